"""How often states are written: never for what did not change, seldom for what only trembles, little in a whole day."""

import random
from collections import Counter
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_platform
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from custom_components.ridethrough.const import DOMAIN
from custom_components.ridethrough.sensor_rows import LONGEST_WAIT, SHORT_WAIT, RidethroughSensor

from .catalogue import full_house
from .peer import Eventually, Peer, at

# Measured with the recorder of Home Assistant: a row of a sensor takes 149 to 196 bytes.
BYTES_A_ROW = 196
BUDGET_BYTES_A_DAY = 30_000_000
# No change of these is worth a line of history by itself: each is less than its deadband.
TREMBLES: dict[str, dict[str, Any]] = {
    "site": {
        "grid_power_w": 40,
        "house_power_w": 40,
        "solar_power_w": -40,
        "energy_imported_wh": 8,
        "energy_exported_wh": 8,
        "clock_offset_ms": 15.0,
        "cycle_late_p99_ms": 4.0,
        "storage_free_mb": 90,
    },
    "charger": {
        "power_w": -40,
        "soc_pct": 0.4,
        "charge_max_w": 40,
        "discharge_max_w": 40,
        "energy_charged_wh": 8,
        "energy_discharged_wh": 8,
        "backup_wh": 8,
        "events_wh": 8,
        "session_charged_wh": 8,
        "session_discharged_wh": 8,
        "voltage_v": 0.8,
        "current_a": -0.4,
        "frequency_hz": 0.04,
        "temperature_c": 0.8,
    },
    "event": {"energy_wh": 8, "average_w": 40, "earnings_usd": 0.08, "stake_usd": -0.08, "feasible_w": 40},
    "program": {"season_average_w": 40, "season_earnings_usd": 0.08, "season_projection_usd": 0.08},
}


async def begin(hass: HomeAssistant, entry: MockConfigEntry, peer: Peer) -> None:
    full_house(peer.state)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


def noted(reports: list[str], data: Any) -> bool:
    """A state was written again as it was."""
    reports.append(data["entity_id"])
    return False


def moved(state: Any, share: float) -> None:
    """Everything that trembles, by this share of what it may."""
    charger, program = state["chargers"]["driveway"], state["programs"]["peak"]
    parts = {"site": state["site"], "charger": charger, "program": program, "event": program["events"][0]}
    for name, numbers in TREMBLES.items():
        for key, most in numbers.items():
            now = parts[name][key] + share * most
            parts[name][key] = now if isinstance(most, float) else round(now)
    state["site"]["evidence"] = [{"source": "charger:driveway", "present": True, "detail": "ConnSt", "at": at()}]


async def test_what_only_trembles_writes_no_state_at_all(
    hass: HomeAssistant,
    everything_enabled: None,
    entry: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    freezer: Any,
) -> None:
    await begin(hass, entry, peer)
    changes = async_capture_events(hass, "state_changed")
    reports: list[str] = []
    hass.bus.async_listen("state_reported", lambda _: None, event_filter=callback(lambda data: noted(reports, data)))
    still = deepcopy(peer.state)
    draw = random.Random(6)
    for step in range(200):
        trembling = deepcopy(still)
        moved(trembling, draw.random())
        await peer.push(lambda state, trembling=trembling: state.update(trembling))  # type: ignore[misc]
        await eventually(lambda: entry.runtime_data.data == peer.state)
        if step % 10 == 0:
            freezer.tick(LONGEST_WAIT / 25)
            await entry.runtime_data.async_command("nothing")  # the link hears something, as it does in a house
    assert [change.data["entity_id"] for change in changes] == []
    assert reports == []
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_push_that_changes_nothing_writes_nothing(
    hass: HomeAssistant, everything_enabled: None, entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await begin(hass, entry, peer)
    changes = async_capture_events(hass, "state_changed")
    for _ in range(50):
        await peer.push(lambda _: None)
    await peer.push(lambda state: state["site"].update(name="Home, sweet home"))
    await eventually(lambda: entry.runtime_data.data["site"]["name"] == "Home, sweet home")
    assert [change.data["entity_id"] for change in changes] == []
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("steps", "written"),
    [
        ([(0, 1300)], ["1.3"]),
        ([(1, 1220)], []),
        ([(1, 1300)], []),
        ([(1, 1300), (SHORT_WAIT.total_seconds(), 1301)], ["1.301"]),
        ([(1, 1220), (LONGEST_WAIT.total_seconds(), 1221)], ["1.221"]),
        ([(1, 1700)], ["1.7"]),
        ([(1, -1200)], ["-1.2"]),
        ([(1, 0), (1, 49), (1, 51)], ["0.0", "0.051"]),
        ([(1, None), (1, 1200), (1, 1200)], ["unknown", "1.2"]),
    ],
)
async def test_a_large_step_zero_and_unknown_are_written_at_once_and_small_steps_wait(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    freezer: Any,
    steps: list[tuple[float, int | None]],
    written: list[str],
) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    changes = async_capture_events(hass, "state_changed")
    if steps[0][0] == 0:
        freezer.tick(SHORT_WAIT)
    for wait_s, power_w in steps:
        freezer.tick(wait_s)
        await peer.push(lambda state, power_w=power_w: state["site"].update(grid_power_w=power_w))  # type: ignore[misc]
        await eventually(lambda power_w=power_w: entry.runtime_data.data["site"]["grid_power_w"] == power_w)  # type: ignore[misc]
    grid = [
        change.data["new_state"].state for change in changes if change.data["entity_id"] == "sensor.home_grid_power"
    ]
    assert grid == written
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_day_of_a_lively_house_stays_below_the_budget_of_the_recorder(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, eventually: Eventually, freezer: Any
) -> None:
    """Each second the load jumps by some hundred watts while the vehicle discharges; ten minutes stand for a day."""
    await begin(hass, entry, peer)
    changes = async_capture_events(hass, "state_changed")
    draw, seconds = random.Random(7), 600
    for second in range(seconds):
        house_w = 1500 + round(draw.uniform(-400, 400))
        charger_w = -4800 + round(draw.uniform(-60, 60))
        given_wh = 90_000 + round(second * 4800 / 3600)

        def live(state: Any, house_w: int = house_w, charger_w: int = charger_w, given_wh: int = given_wh) -> None:
            state["site"].update(house_power_w=house_w, grid_power_w=house_w + charger_w, solar_power_w=-house_w)
            state["chargers"]["driveway"].update(power_w=charger_w, energy_discharged_wh=given_wh, events_wh=given_wh)

        freezer.tick(1)
        await peer.push(live)
        await eventually(lambda: entry.runtime_data.data == peer.state)
        if second % 4 == 0:
            await entry.runtime_data.async_command("nothing")  # the link hears something, as it does in a house
    day = timedelta(days=1).total_seconds()
    assert 0 < len(changes) * day / seconds * BYTES_A_ROW < BUDGET_BYTES_A_DAY
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_push_has_only_those_looked_at_whose_part_it_changes(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, freezer: FrozenDateTimeFactory
) -> None:
    platforms = entity_platform.async_get_platforms(hass, DOMAIN)
    numbers = [
        one for platform in platforms for one in platform.entities.values() if isinstance(one, RidethroughSensor)
    ]
    looked: Counter[str] = Counter()
    for one in numbers:
        if one.entity_description.key != "why":  # its sentence names events, too
            with_count(one, looked)
    freezer.tick(5)
    await peer.push(lambda state: state["site"].update(outages=4))
    await eventually(lambda: looked["site"] > 0)
    looked.clear()
    await peer.push(lambda state: state["site"].update(outages=5))
    await eventually(lambda: looked["site"] > 0)
    assert looked["charger"] == looked["program"] == 0
    freezer.tick(5)
    await peer.push(lambda state: state["site"].update(outages=6))
    await eventually(lambda: looked["charger"] > 0 and looked["program"] > 0)


def with_count(entity: RidethroughSensor[Any], looked: Counter[str]) -> None:
    """Count how often it works out what it shows."""
    show = entity._shown

    def counted(part: Any) -> Any:
        looked[entity.scope.kind] += 1
        return show(part)

    entity._shown = counted  # type: ignore[method-assign]
