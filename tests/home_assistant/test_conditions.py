"""Our conditions, as automations ask them: what is not known is not so, and nothing is an error."""

from typing import Any

import pytest
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import condition as platform, device_registry as dr, issue_registry as ir
from homeassistant.helpers.condition import async_from_config, async_validate_condition_config
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.condition import HOLDS
from custom_components.ridethrough.const import DOMAIN

from .automations import Automations, Json, only_if
from .conftest import device_of, shown
from .peer import INSTALLATION, Eventually, Peer, at, event

type Change = Any

GRID = "binary_sensor.home_grid"


class Asking:
    """One condition that is asked again and again."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._checkers: list[platform.ConditionChecker] = []

    async def about(self, config: Json) -> platform.ConditionChecker:
        checked = await async_validate_condition_config(self._hass, config)
        checker = await async_from_config(self._hass, checked)
        self._checkers.append(checker)
        return checker

    def stop(self) -> None:
        for checker in self._checkers:
            checker.async_unload()


@pytest.fixture
def asking(hass: HomeAssistant) -> Any:
    asked = Asking(hass)
    yield asked
    asked.stop()


@pytest.fixture
def everywhere(device_registry: dr.DeviceRegistry, house: MockConfigEntry) -> Json:
    """The devices of site, charger and program."""
    site = device_registry.async_get_device_by_identifier((DOMAIN, INSTALLATION), house.entry_id)
    others = [device_of(device_registry, house, part) for part in ("charger-driveway", "program-peak")]
    return {"device_id": [one.id for one in (site, *others) if one is not None]}


def site(**now: Any) -> Change:
    return lambda state: state["site"].update(now)


def charger(**now: Any) -> Change:
    return lambda state: state["chargers"]["driveway"].update(now)


STORM = {"until": at(3600), "reserve_pct": 90.0, "name": "Hurricane"}
ALERT = {"id": "a", "source": "hand", "name": "Storm", "kind": "storm", "start": at(), "end": None, "opted_out": False}


def program(**now: Any) -> Change:
    return lambda state: state["programs"]["peak"].update(now)


def running(state: Any) -> None:
    state["programs"]["peak"]["events"] = [event(status="running", start_s=-60)]


CASES: list[tuple[str, Change, Change]] = [
    ("is_outage", site(grid="outage"), site(grid="on")),
    ("is_outage", site(grid="restoring"), site(grid="unknown")),
    ("is_grid_connected", site(grid="on"), site(grid="outage")),
    ("is_grid_connected", site(grid="on"), site(grid="unknown")),
    ("is_backup_active", site(supply="island"), site(supply="grid")),
    ("is_backup_active", site(supply="vendor_backup"), site(supply="unknown")),
    (
        "is_backup_ready",
        site(readiness={"level": "ready", "reasons": []}),
        site(readiness={"level": "not_ready", "reasons": []}),
    ),
    (
        "is_backup_ready",
        site(readiness={"level": "degraded", "reasons": []}),
        site(readiness={"level": "later", "reasons": []}),
    ),
    ("is_discharging", charger(state="discharging"), charger(state="idle")),
    ("is_discharging", charger(state="discharging", connected=True), charger(connected=False)),
    ("is_peak_event_active", running, program(events=[])),
    ("is_participating", program(participating=True), program(participating=False)),
    ("is_vehicle_connected", charger(plugged=True), charger(plugged=False)),
    ("is_vehicle_connected", charger(plugged=True), charger(plugged=None)),
    ("is_storm_hold", site(storm=STORM), site(storm=None)),
    ("is_alert", site(alerts=[ALERT]), site(alerts=[])),
    ("is_stopped", site(stopped=True), site(stopped=False)),
]


@pytest.mark.parametrize(("name", "so", "not_so"), CASES)
async def test_each_condition_holds_when_it_is_so_and_not_when_it_is_not_or_is_not_known(
    hass: HomeAssistant,
    peer: Peer,
    asking: Asking,
    everywhere: Json,
    eventually: Eventually,
    name: str,
    so: Change,
    not_so: Change,
) -> None:
    some = await asking.about(only_if(name, everywhere, behavior="any"))
    every = await asking.about(only_if(name, everywhere, behavior="all"))

    def answers() -> set[bool | None]:
        return {some.async_check(), every.async_check()}

    for change, answer in ((so, True), (not_so, False), (so, True)):
        await peer.push(change)
        await eventually(lambda answer=answer: answers() == {answer})  # type: ignore[misc]
    await peer.stop()
    await eventually(lambda: shown(hass, GRID) == STATE_UNAVAILABLE)
    assert answers() == {False}


def test_every_condition_is_tried() -> None:
    assert {name for name, _, _ in CASES} == set(HOLDS)


async def test_a_condition_that_asks_for_a_while_holds_only_after_it(
    hass: HomeAssistant, peer: Peer, asking: Asking, everywhere: Json, eventually: Eventually, freezer: Any
) -> None:
    grid_out = await asking.about(only_if("is_outage", everywhere, **{"for": "00:05:00"}))
    ready = await asking.about(only_if("is_backup_ready", everywhere, **{"for": "00:05:00"}))
    await peer.push(site(grid="outage"))
    await eventually(lambda: shown(hass, GRID) == "off")
    assert not grid_out.async_check()
    freezer.tick(200)
    await peer.push(site(readiness={"level": "degraded", "reasons": []}))
    await eventually(lambda: shown(hass, "sensor.home_backup_readiness") == "degraded")
    freezer.tick(200)
    assert grid_out.async_check()
    assert ready.async_check()


async def test_without_anything_to_ask_it_is_not_so_and_a_repair_says_that(
    hass: HomeAssistant, house: MockConfigEntry, asking: Asking, issue_registry: ir.IssueRegistry
) -> None:
    def keys() -> set[str | None]:
        return {one.translation_key for one in issue_registry.issues.values() if one.domain == DOMAIN}

    hass.states.async_set("binary_sensor.foreign", "off", {"device_class": "power"})
    before = keys()
    for behavior in ("any", "all"):
        asked = await asking.about(only_if("is_outage", {"entity_id": "binary_sensor.foreign"}, behavior=behavior))
        assert asked.async_check() is False
    assert keys() - before == {"automation_target_empty"}
    asking.stop()
    assert keys() == before


async def test_all_means_every_one_also_where_one_is_not_known(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, asking: Asking, eventually: Eventually
) -> None:
    peer.state["chargers"]["garage"] = peer.state["chargers"]["driveway"] | {"name": "Garage charger"}
    await hass.config_entries.async_setup(entry.entry_id)
    both = {"entity_id": ["binary_sensor.driveway_charger_vehicle", "binary_sensor.garage_charger_vehicle"]}
    every = await asking.about(only_if("is_vehicle_connected", both, behavior="all"))
    some = await asking.about(only_if("is_vehicle_connected", both, behavior="any"))
    assert every.async_check()
    await peer.push(lambda state: state["chargers"]["garage"].update(plugged=None))
    await eventually(lambda: shown(hass, both["entity_id"][1]) == STATE_UNKNOWN)
    assert not every.async_check()
    assert some.async_check()
    await hass.config_entries.async_unload(entry.entry_id)


async def test_an_automation_asks_before_it_acts(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, everywhere: Json, eventually: Eventually
) -> None:
    automations = Automations(hass)
    lamp = {"trigger": "state", "entity_id": "light.lamp"}
    await automations.load(lamp, conditions=[only_if("is_outage", everywhere)])
    hass.states.async_set("light.lamp", "off")
    await hass.async_block_till_done()
    await peer.push(site(grid="outage"))
    await eventually(lambda: shown(hass, GRID) == "off")
    hass.states.async_set("light.lamp", "on")
    await eventually(lambda: len(automations.runs) == 1)


def test_home_assistants_classes_are_still_as_our_conditions_need_them() -> None:
    base = platform.EntityConditionBase
    assert base._excluded_states == {STATE_UNAVAILABLE, STATE_UNKNOWN}
    assert base._primary_entities_only
    assert issubclass(platform.EntityStateConditionBase, base)
    assert "_states" in platform.EntityStateConditionBase.__annotations__
    assert "_domain_specs" in base.__annotations__
    for name in ("entity_filter", "_should_include", "_check_all_match_state", "_async_setup", "_async_unload"):
        assert callable(getattr(base, name)), name
