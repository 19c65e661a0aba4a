"""What Home Assistant tells the controller: the grid by its entities, warnings, the island switch that it moves."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState, HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.ridethrough.const import DOMAIN

from .peer import Eventually, Peer, of_an_older_edge

GRID, UPS, STATUS = "binary_sensor.gateway_grid", "binary_sensor.ups_on_battery", "sensor.powerwall"
WARNING, LEVEL = "binary_sensor.storm_warning", "sensor.warning_level"
SWITCH, OPEN, CLOSED = "switch.transfer", "binary_sensor.is_open", "binary_sensor.is_closed"
GRID_OPTIONS = {
    "present_when_on": [GRID],
    "lost_when_on": [UPS],
    "state_sensors": [STATUS],
    "present_states": ["On grid"],
    "lost_states": ["Off grid", "islanded"],
    "street_side": [GRID],
}
SWITCH_OPTIONS = {"switch": SWITCH, "on_is_open": True, "open_proof": OPEN, "closed_proof": CLOSED}

type Begin = Callable[..., Awaitable[MockConfigEntry]]


@pytest.fixture
async def begin(hass: HomeAssistant, peer: Peer, entry: MockConfigEntry) -> AsyncGenerator[Begin]:
    """Set up with these options."""

    async def start(**options: Any) -> MockConfigEntry:
        hass.config_entries.async_update_entry(entry, options=options)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        return entry

    yield start
    await hass.config_entries.async_unload(entry.entry_id)


def present(peer: Peer) -> dict[str, Any]:
    """What each entity was last reported to say."""
    return {piece["source"]: piece["present"] for piece in peer.reports[-1]["evidence"]} if peer.reports else {}


async def later(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    freezer.tick(timedelta(seconds=seconds))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


async def by_and_by(hass: HomeAssistant, freezer: FrozenDateTimeFactory, holds: Callable[[], bool]) -> None:
    """Let held time go on until it holds: a link that fell silent in a leap of time comes back meanwhile."""
    for _ in range(2000):
        if holds():
            return
        await later(hass, freezer, 0.05)
    raise AssertionError("it did not come to that")


# ----------------------------------------------------------------------------------------------------------- the grid


async def test_entities_tell_of_the_grid_in_their_own_words(
    hass: HomeAssistant, peer: Peer, begin: Begin, eventually: Eventually
) -> None:
    hass.states.async_set(GRID, "on")
    hass.states.async_set(UPS, "off")
    hass.states.async_set(STATUS, "on_grid")
    await begin(**GRID_OPTIONS)
    await eventually(lambda: present(peer) == {GRID: True, UPS: True, STATUS: True})
    pieces = {piece["source"]: piece for piece in peer.reports[-1]["evidence"]}
    assert pieces[GRID]["position"] == "grid_side"
    assert pieces[UPS] == {
        "source": UPS,
        "present": True,
        "detail": "off",
        "position": "protected_side",
        "confidence": "likely",
    }
    hass.states.async_set(GRID, "off")
    hass.states.async_set(UPS, "on")
    hass.states.async_set(STATUS, "Islanded")
    await eventually(lambda: present(peer) == {GRID: False, UPS: False, STATUS: False})
    hass.states.async_set(STATUS, "syncing")
    await eventually(lambda: present(peer)[STATUS] is None)


@pytest.mark.parametrize("away", ["unavailable", "unknown"])
async def test_an_entity_that_is_away_never_says_that_the_grid_is_lost(
    hass: HomeAssistant, peer: Peer, begin: Begin, freezer: FrozenDateTimeFactory, away: str
) -> None:
    hass.states.async_set(GRID, "on")
    await begin(**GRID_OPTIONS)
    await by_and_by(hass, freezer, lambda: present(peer).get(GRID) is True)
    hass.states.async_set(GRID, away)
    await by_and_by(hass, freezer, lambda: present(peer)[GRID] is None)
    # It comes back with a word that its integration made up.
    hass.states.async_set(GRID, "off")
    await hass.async_block_till_done()
    await later(hass, freezer, 15)
    assert [GRID, False] not in [[p["source"], p["present"]] for r in peer.reports for p in r["evidence"]]
    await later(hass, freezer, 61)
    await by_and_by(hass, freezer, lambda: present(peer)[GRID] is False)


async def test_a_home_assistant_that_starts_never_says_that_the_grid_is_lost(
    hass: HomeAssistant, peer: Peer, begin: Begin, freezer: FrozenDateTimeFactory
) -> None:
    hass.set_state(CoreState.starting)
    hass.states.async_set(GRID, "off")
    await begin(**GRID_OPTIONS)
    await by_and_by(hass, freezer, lambda: bool(peer.reports))
    await later(hass, freezer, 300)
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await hass.async_block_till_done()
    await later(hass, freezer, 15)
    assert {present_of(report, GRID) for report in peer.reports} == {None}
    await later(hass, freezer, 61)
    await by_and_by(hass, freezer, lambda: present(peer)[GRID] is False)
    hass.states.async_set(GRID, "on")
    await by_and_by(hass, freezer, lambda: present(peer)[GRID] is True)


def present_of(report: dict[str, Any], source: str) -> bool | None:
    said: bool | None = next(piece["present"] for piece in report["evidence"] if piece["source"] == source)
    return said


async def test_everything_is_told_again_each_fifteen_seconds_and_on_each_new_link(
    hass: HomeAssistant, peer: Peer, begin: Begin, eventually: Eventually
) -> None:
    await begin()
    await eventually(lambda: bool(peer.reports))
    assert peer.reports[0] == {"evidence": [], "switch": None, "loads": {}, "alerts": []}
    told = len(peer.reports)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=16))
    await eventually(lambda: len(peer.reports) > told)
    told = len(peer.reports)
    await peer.drop()
    await eventually(lambda: len(peer.starts) == 2)
    await eventually(lambda: len(peer.reports) > told)


async def test_a_controller_that_is_too_old_to_listen_is_told_nothing(
    hass: HomeAssistant, peer: Peer, begin: Begin
) -> None:
    peer.state = of_an_older_edge(peer.state)
    hass.states.async_set(GRID, "on")
    await begin(**GRID_OPTIONS)
    hass.states.async_set(GRID, "off")
    await hass.async_block_till_done()
    assert peer.reports == []


# ----------------------------------------------------------------------------------------------------------- warnings


async def test_a_warning_stands_under_one_id_until_it_is_over(
    hass: HomeAssistant, peer: Peer, begin: Begin, eventually: Eventually
) -> None:
    hass.states.async_set(WARNING, "off", {"friendly_name": "Storm"})
    hass.states.async_set(LEVEL, "0")
    house = await begin(alerts=[WARNING, LEVEL])
    await eventually(lambda: bool(peer.reports))
    assert peer.reports[-1]["alerts"] == []
    hass.states.async_set(WARNING, "on", {"headline": "Gale  warning"})
    await eventually(lambda: len(peer.reports[-1]["alerts"]) == 1)
    (alert,) = peer.reports[-1]["alerts"]
    assert (alert["kind"], alert["name"], alert["end"]) == ("weather", "Gale warning", None)
    assert alert["id"] == f"{WARNING}@{alert['start']}"
    # Neither a restart nor an entity that is away makes another alert of it.
    assert await hass.config_entries.async_unload(house.entry_id)
    hass.states.async_set(WARNING, "unavailable")
    peer.reports.clear()
    assert await hass.config_entries.async_setup(house.entry_id)
    await eventually(lambda: bool(peer.reports))
    assert [one["id"] for one in peer.reports[-1]["alerts"]] == [alert["id"]]
    hass.states.async_set(WARNING, "on")
    hass.states.async_set(LEVEL, "2")
    await eventually(lambda: len(peer.reports[-1]["alerts"]) == 2)
    assert peer.reports[-1]["alerts"][0]["id"] == alert["id"]
    hass.states.async_set(WARNING, "off")
    hass.states.async_set(LEVEL, "none")
    await eventually(lambda: len(peer.reports[-1]["alerts"]) == 1)


async def test_a_home_assistant_that_starts_ends_no_storm_and_tells_of_no_grid(
    hass: HomeAssistant, peer: Peer, begin: Begin, freezer: FrozenDateTimeFactory
) -> None:
    hass.states.async_set(WARNING, "on")
    house = await begin(alerts=[WARNING], present_when_on=[GRID])
    await by_and_by(hass, freezer, lambda: bool(peer.reports) and len(peer.reports[-1].get("alerts", ())) == 1)
    await later(hass, freezer, 1)
    assert await hass.config_entries.async_unload(house.entry_id)
    peer.reports.clear()
    # It starts: entities show what they make up, or what was before.
    hass.set_state(CoreState.starting)
    hass.states.async_set(WARNING, "off")
    hass.states.async_set(GRID, "on")
    assert await hass.config_entries.async_setup(house.entry_id)
    await by_and_by(hass, freezer, lambda: bool(peer.reports))
    await later(hass, freezer, 15)
    assert ["alerts" in report for report in peer.reports] == [False] * len(peer.reports)
    assert {present_of(report, GRID) for report in peer.reports} == {None}
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await by_and_by(hass, freezer, lambda: "alerts" in peer.reports[-1])
    assert (len(peer.reports[-1]["alerts"]), present(peer)[GRID]) == (1, True)
    # The word "off" has stood for a minute: now it is one.
    await later(hass, freezer, 61)
    await by_and_by(hass, freezer, lambda: peer.reports[-1]["alerts"] == [])


async def test_a_warning_that_comes_back_from_being_away_with_another_word_stands_a_minute_more(
    hass: HomeAssistant, peer: Peer, begin: Begin, freezer: FrozenDateTimeFactory
) -> None:
    hass.states.async_set(WARNING, "on")
    await begin(alerts=[WARNING])
    await by_and_by(hass, freezer, lambda: bool(peer.reports) and len(peer.reports[-1]["alerts"]) == 1)
    hass.states.async_set(WARNING, "unavailable")
    hass.states.async_set(WARNING, "off")
    told = len(peer.reports)
    await later(hass, freezer, 15)
    await by_and_by(hass, freezer, lambda: len(peer.reports) > told)
    assert len(peer.reports[-1]["alerts"]) == 1
    await later(hass, freezer, 61)
    await by_and_by(hass, freezer, lambda: peer.reports[-1]["alerts"] == [])


# --------------------------------------------------------------------------------------------------- the island switch


class Mover:
    """A transfer switch of another integration."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.hass, self.moves, self.fails = hass, [""][:0], False

    def listen(self) -> None:
        for order in ("turn_on", "turn_off"):
            self.hass.services.async_register("switch", order, self._move)

    async def _move(self, call: ServiceCall) -> None:
        assert call.data["entity_id"] == SWITCH
        self.moves.append(call.service)
        if self.fails:
            raise HomeAssistantError("jammed")
        self.hass.states.async_set(SWITCH, call.service.removeprefix("turn_"))


@pytest.fixture
async def mover(hass: HomeAssistant, peer: Peer, begin: Begin) -> Mover:
    """A house whose island switch is Home Assistant's to move, closed."""
    hass.states.async_set(SWITCH, "off")
    hass.states.async_set(OPEN, "off")
    hass.states.async_set(CLOSED, "on")
    peer.state["site"]["switch"] = the_switch()
    await begin(**SWITCH_OPTIONS)
    moving = Mover(hass)
    moving.listen()
    return moving


def the_switch(wanted: str | None = None, owner: str = "home_assistant") -> Any:
    return {"commanded_open": False, "open_proven": False, "closed_proven": True, "owner": owner, "wanted": wanted}


async def wish(peer: Peer, wanted: str | None, owner: str = "home_assistant") -> None:
    await peer.push(lambda state: state["site"].update(switch=the_switch(wanted, owner)))


async def test_the_switch_is_told_as_its_feedback_proves_it(
    hass: HomeAssistant, peer: Peer, mover: Mover, eventually: Eventually
) -> None:
    await eventually(lambda: bool(peer.reports))
    assert peer.reports[-1]["switch"] == {"commanded_open": False, "open_proven": False, "closed_proven": True}
    hass.states.async_set(OPEN, "unavailable")
    await eventually(lambda: peer.reports[-1]["switch"]["open_proven"] is None)


async def test_a_wish_is_carried_out_once_and_a_new_one_again(
    hass: HomeAssistant, peer: Peer, mover: Mover, eventually: Eventually
) -> None:
    await wish(peer, "open")
    await eventually(lambda: mover.moves == ["turn_on"])
    await eventually(lambda: peer.reports[-1]["switch"]["commanded_open"] is True)
    # Without its contacts nobody may say that it is open.
    assert peer.reports[-1]["switch"]["open_proven"] is False
    # A person puts it back: the wish that stands is not carried out against that.
    hass.states.async_set(SWITCH, "off")
    await peer.push(lambda state: state["site"].update(grid="outage"))
    await eventually(lambda: hass.states.get("binary_sensor.home_grid").state == "off")  # type: ignore[union-attr]
    assert mover.moves == ["turn_on"]
    await wish(peer, None)
    await hass.async_block_till_done()
    await wish(peer, "open")
    await eventually(lambda: mover.moves == ["turn_on", "turn_on"])
    await wish(peer, "close")
    await eventually(lambda: mover.moves == ["turn_on", "turn_on", "turn_off"])


async def test_a_wish_is_not_carried_out_a_second_time_by_a_restart(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, mover: Mover, eventually: Eventually
) -> None:
    await wish(peer, "open")
    await eventually(lambda: mover.moves == ["turn_on"])
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.states.async_set(SWITCH, "off")
    peer.reports.clear()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: bool(peer.reports))
    assert mover.moves == ["turn_on"]


async def test_a_site_that_cannot_be_read_for_a_moment_does_not_move_the_switch_again(
    hass: HomeAssistant, peer: Peer, mover: Mover, eventually: Eventually
) -> None:
    await wish(peer, "open")
    await eventually(lambda: mover.moves == ["turn_on"])
    hass.states.async_set(SWITCH, "off")
    grid = "sensor.home_grid_status"
    await peer.push(lambda state: state["site"].update(grid_power_w="much"))
    await eventually(lambda: hass.states.get(grid).state == "unavailable")  # type: ignore[union-attr]
    assert not [issue for domain, issue in ir.async_get(hass).issues if domain == DOMAIN]
    await peer.push(lambda state: state["site"].update(grid_power_w=900))
    await eventually(lambda: hass.states.get(grid).state != "unavailable")  # type: ignore[union-attr]
    await hass.async_block_till_done()
    assert mover.moves == ["turn_on"]


async def test_a_switch_of_the_controllers_own_is_not_touched(
    hass: HomeAssistant, peer: Peer, mover: Mover, eventually: Eventually
) -> None:
    await wish(peer, "open", owner="edge")
    await eventually(lambda: hass.states.get("sensor.home_island_switch") is not None)
    await hass.async_block_till_done()
    assert mover.moves == []


async def test_a_switch_that_is_away_is_moved_when_it_is_back_if_that_is_wanted_still(
    hass: HomeAssistant, peer: Peer, mover: Mover, eventually: Eventually
) -> None:
    hass.states.async_set(SWITCH, "unavailable")
    await wish(peer, "open")
    await eventually(lambda: peer.reports[-1]["switch"]["commanded_open"] is None)
    assert mover.moves == []
    hass.states.async_set(SWITCH, "off")
    await eventually(lambda: mover.moves == ["turn_on"])


async def test_a_switch_that_jams_is_told_once_and_stops_nothing(
    hass: HomeAssistant, peer: Peer, mover: Mover, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    mover.fails = True
    await wish(peer, "open")
    await eventually(lambda: "did not open the island switch: jammed" in caplog.text)
    assert mover.moves == ["turn_on"]
    mover.fails = False
    await wish(peer, None)
    await hass.async_block_till_done()
    await wish(peer, "open")
    await eventually(lambda: mover.moves == ["turn_on", "turn_on"])


# -------------------------------------------------------------------------------------------------------- the options


async def chosen(hass: HomeAssistant, entry: MockConfigEntry, page: str, typed: dict[str, Any]) -> Any:
    menu = await hass.config_entries.options.async_init(entry.entry_id)
    form = await hass.config_entries.options.async_configure(menu["flow_id"], {"next_step_id": page})
    return await hass.config_entries.options.async_configure(form["flow_id"], typed)


async def test_what_is_chosen_counts_at_once_and_each_page_keeps_the_others(
    hass: HomeAssistant, peer: Peer, begin: Begin, eventually: Eventually
) -> None:
    hass.states.async_set(GRID, "on")
    entry = await begin()
    links = len(peer.starts)
    assert (await chosen(hass, entry, "grid_evidence", GRID_OPTIONS))["type"] == "create_entry"
    assert (await chosen(hass, entry, "weather_alerts", {"alerts": [WARNING]}))["type"] == "create_entry"
    assert (await chosen(hass, entry, "island_switch", SWITCH_OPTIONS))["type"] == "create_entry"
    assert entry.options == {**GRID_OPTIONS, "alerts": [WARNING], **SWITCH_OPTIONS}
    await eventually(lambda: present(peer).get(GRID) is True)
    hass.states.async_set(GRID, "off")
    await eventually(lambda: present(peer)[GRID] is False)
    assert len(peer.starts) == links


@pytest.mark.parametrize(
    ("page", "good", "change", "error"),
    [
        ("grid_evidence", GRID_OPTIONS, {"lost_when_on": [GRID]}, {"lost_when_on": "both_ways"}),
        ("grid_evidence", GRID_OPTIONS, {"lost_states": []}, {"state_sensors": "states_missing"}),
        ("grid_evidence", GRID_OPTIONS, {"lost_states": ["on_grid"]}, {"lost_states": "both_ways"}),
        ("grid_evidence", GRID_OPTIONS, {"street_side": [WARNING]}, {"street_side": "not_chosen"}),
        ("island_switch", SWITCH_OPTIONS, {"closed_proof": OPEN}, {"closed_proof": "same_proof"}),
        ("island_switch", SWITCH_OPTIONS, {"switch": None}, {"switch": "switch_missing"}),
    ],
)
async def test_what_would_tell_of_outages_that_are_none_is_asked_for_again(
    hass: HomeAssistant, begin: Begin, page: str, good: dict[str, Any], change: dict[str, Any], error: dict[str, str]
) -> None:
    entry = await begin()
    typed = {key: value for key, value in (good | change).items() if value is not None}
    refused = await chosen(hass, entry, page, typed)
    assert refused["errors"] == error
    done = await hass.config_entries.options.async_configure(refused["flow_id"], good)
    assert done["type"] == "create_entry"
