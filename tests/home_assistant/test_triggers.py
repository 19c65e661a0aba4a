"""Our triggers in real automations: how often each fires, through everything that happens to a link and a house."""

from datetime import timedelta
from typing import Any

import pytest
from homeassistant.components.event import EventEntity
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED, STATE_UNAVAILABLE
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    issue_registry as ir,
    label_registry as lr,
    target,
    trigger as platform,
)
from homeassistant.setup import async_set_domains_to_be_loaded
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.ridethrough.const import DOMAIN
from custom_components.ridethrough.event import OUTAGE_KINDS, PEAK_KINDS, SESSION_KINDS
from custom_components.ridethrough.trigger import BECOMES, HAPPENS, TRIGGERS

from .automations import Automations, Json, on
from .conftest import device_of, shown
from .peer import INSTALLATION, Eventually, Peer, at

OUTAGE, GRID, READINESS = "event.home_outage", "binary_sensor.home_grid", "sensor.home_backup_readiness"


@pytest.fixture
def automations(hass: HomeAssistant) -> Automations:
    return Automations(hass)


@pytest.fixture
def site(device_registry: dr.DeviceRegistry, house: MockConfigEntry) -> dr.DeviceEntry:
    found = device_registry.async_get_device_by_identifier((DOMAIN, INSTALLATION), house.entry_id)
    assert found is not None
    return found


def part(registry: dr.DeviceRegistry, entry: MockConfigEntry, name: str) -> str:
    device = device_of(registry, entry, name)
    assert device is not None
    return device.id


def pointless(registry: ir.IssueRegistry) -> list[ir.IssueEntry]:
    """The repairs that tell of a target with nothing to fire on."""
    return [one for one in registry.issues.values() if str(one.translation_key).startswith("automation_target")]


async def lose_link(hass: HomeAssistant, peer: Peer, eventually: Eventually) -> None:
    await peer.stop()
    await eventually(lambda: shown(hass, GRID) == STATE_UNAVAILABLE)


async def regain_link(hass: HomeAssistant, peer: Peer, eventually: Eventually) -> None:
    await peer.start()
    await eventually(lambda: shown(hass, GRID) != STATE_UNAVAILABLE)


# ------------------------------------------------------------------------------------------------- which fires on what


async def test_each_kind_of_occurrence_fires_its_triggers_once_and_no_other(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    automations: Automations,
    device_registry: dr.DeviceRegistry,
    site: dr.DeviceEntry,
    eventually: Eventually,
) -> None:
    everywhere = {
        "device_id": [
            site.id,
            part(device_registry, house, "charger-driveway"),
            part(device_registry, house, "program-peak"),
        ]
    }
    await automations.load(*(on(name, everywhere) for name in HAPPENS))
    for kinds, subject in ((OUTAGE_KINDS, "site"), (SESSION_KINDS, "driveway"), (PEAK_KINDS, "peak")):
        for kind in kinds:
            await peer.happen(kind, subject, program="peak", uid="peak-1")
    await eventually(lambda: house.runtime_data.history.received == len(peer.history))
    await hass.async_block_till_done()
    twice = {"peak_event_ended": 4, "peak_event_changed": 2}
    assert automations.counts() == {name: twice.get(name, 1) for name in HAPPENS}
    assert set(TRIGGERS) >= {
        "discharge_refused",
        *("outage_started", "outage_ended", "backup_started", "backup_stopped", "backup_reserve_reached"),
        *("backup_not_ready", "discharging_started", "discharging_stopped", "fault_raised", "charge_not_ready"),
        *("peak_event_announced", "peak_event_changed", "peak_event_started", "peak_event_ended"),
        *("peak_event_starting_soon", "drill_failed", "drill_passed", "stop_pressed", "backup_failed"),
    }


async def test_the_automation_is_told_what_happened_and_when(
    house: MockConfigEntry, peer: Peer, automations: Automations, eventually: Eventually
) -> None:
    await automations.load(on("backup_failed", {"entity_id": OUTAGE}))
    await peer.happen("backup_failed", reason="open_not_proven")
    await eventually(lambda: bool(automations.runs))
    assert automations.seen == [("backup_failed", peer.history[0]["at"])]


async def test_only_a_refused_order_to_give_power_fires_discharge_refused(
    house: MockConfigEntry, peer: Peer, automations: Automations, eventually: Eventually
) -> None:
    session = {"entity_id": "event.driveway_charger_session"}
    await automations.load(on("discharge_refused", session), on("order_refused", session))
    for power in ({"power_w": 4000}, {"power_w": None}, {}, {"power_w": -4000}):
        await peer.happen("order_refused", "driveway", order="power", reason="busy", **power)
    await eventually(lambda: len(automations.runs) == 5)
    assert automations.counts() == {"order_refused": 4, "discharge_refused": 1}
    assert "discharge_refused" in automations.runs[-2:]


async def test_two_in_one_instant_fire_twice(
    house: MockConfigEntry, peer: Peer, automations: Automations, eventually: Eventually
) -> None:
    await automations.load(on("load_shed", {"entity_id": OUTAGE}), on("outage_started", {"entity_id": OUTAGE}))
    await peer.happen("outage_started")
    await peer.happen("load_shed", group="pool")
    await peer.happen("load_shed", group="heat")
    await eventually(lambda: len(automations.runs) == 3)
    assert automations.runs == ["outage_started", "load_shed", "load_shed"]


# ------------------------------------------------------------------------------------------- through link and reload


async def test_an_outage_that_is_first_seen_after_a_link_loss_fires_once(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, automations: Automations, eventually: Eventually
) -> None:
    await automations.load(on("outage_started", {"entity_id": OUTAGE}), on("outage_ended", {"entity_id": OUTAGE}))
    await lose_link(hass, peer, eventually)
    await peer.happen("outage_started")
    await peer.push(lambda state: state["site"].update(grid="outage"))
    await regain_link(hass, peer, eventually)
    await eventually(lambda: bool(automations.runs))
    assert shown(hass, GRID) == "off"
    assert automations.runs == ["outage_started"]


async def test_a_link_that_comes_back_to_a_grid_that_was_never_out_fires_nothing(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, automations: Automations, eventually: Eventually
) -> None:
    await automations.load(*(on(name, {"entity_id": OUTAGE}) for name in ("outage_started", "outage_ended")))
    for _ in range(2):
        await lose_link(hass, peer, eventually)
        await regain_link(hass, peer, eventually)
    await hass.async_block_till_done()
    assert shown(hass, GRID) == "on"
    assert automations.runs == []


async def test_a_reload_and_the_restored_last_event_fire_nothing(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, automations: Automations, eventually: Eventually
) -> None:
    await automations.load(on("outage_started", {"entity_id": OUTAGE}))
    await peer.happen("outage_started")
    await eventually(lambda: automations.runs == ["outage_started"])
    last = shown(hass, OUTAGE)
    for _ in range(2):
        await hass.config_entries.async_reload(house.entry_id)
        await hass.async_block_till_done()
    assert shown(hass, OUTAGE) == last
    assert automations.runs == ["outage_started"]


async def test_what_happens_during_a_reload_fires_once(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, automations: Automations, eventually: Eventually
) -> None:
    await automations.load(on("outage_started", {"entity_id": OUTAGE}))
    await hass.config_entries.async_unload(house.entry_id)
    await peer.happen("outage_started")
    await hass.config_entries.async_setup(house.entry_id)
    await eventually(lambda: bool(automations.runs))
    assert automations.runs == ["outage_started"]


# ----------------------------------------------------------------------------------------------- through a restart


def left_off_at(number: int, entry: MockConfigEntry) -> Json:
    """What was on disk when Home Assistant went."""
    return {f"{DOMAIN}.{entry.entry_id}": {"version": 1, "key": "", "data": {"last_occurrence": number}}}


async def test_what_happened_while_home_assistant_was_down_fires_once_after_its_start(
    hass: HomeAssistant,
    hass_storage: Json,
    entry: MockConfigEntry,
    peer: Peer,
    automations: Automations,
    eventually: Eventually,
) -> None:
    hass_storage |= left_off_at(0, entry)
    hass.set_state(CoreState.not_running)
    await peer.happen("outage_started")
    await hass.config_entries.async_setup(entry.entry_id)
    await automations.load(on("outage_started", {"entity_id": OUTAGE}))
    await eventually(lambda: entry.runtime_data.history.received == 1)
    assert automations.runs == []
    await hass.async_start()
    await eventually(lambda: bool(automations.runs))
    assert automations.runs == ["outage_started"]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_it_fires_once_also_where_automations_load_after_home_assistants_start(
    hass: HomeAssistant,
    hass_storage: Json,
    entry: MockConfigEntry,
    peer: Peer,
    automations: Automations,
    eventually: Eventually,
) -> None:
    hass_storage |= left_off_at(0, entry)
    hass.set_state(CoreState.starting)
    await peer.happen("outage_started")
    await hass.config_entries.async_setup(entry.entry_id)
    async_set_domains_to_be_loaded(hass, {"automation"})
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await eventually(lambda: entry.runtime_data.history.received == 1)
    assert shown(hass, OUTAGE) == "unknown"
    await automations.load(on("outage_started", {"entity_id": OUTAGE}))
    await eventually(lambda: bool(automations.runs))
    assert automations.runs == ["outage_started"]
    await hass.config_entries.async_unload(entry.entry_id)


# -------------------------------------------------------------------------------------------- what a target holds


async def test_a_foreign_entity_of_the_same_kind_in_the_same_area_fires_nothing(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    automations: Automations,
    area_registry: ar.AreaRegistry,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
    site: dr.DeviceEntry,
    eventually: Eventually,
) -> None:
    cellar = area_registry.async_create("Cellar")
    device_registry.async_update_device(site.id, area_id=cellar.id)
    foreign = [
        entity_registry.async_get_or_create(domain, "other", key, translation_key=key).entity_id
        for domain, key in (("event", "outage"), ("sensor", "backup_readiness"))
    ]
    for entity_id in foreign:
        entity_registry.async_update_entity(entity_id, area_id=cellar.id)
    here = {"area_id": cellar.id}
    await automations.load(on("outage_started", here), on("backup_not_ready", here), on("outage_ended", here))
    hass.states.async_set(foreign[0], "unknown")
    hass.states.async_set(foreign[1], "ready")
    hass.states.async_set(foreign[0], at(), {"event_type": "started"})
    hass.states.async_set(foreign[1], "not_ready")
    # of ours, but another history and another sensor
    await peer.happen("event_started", "peak", uid="peak-1")
    await hass.async_block_till_done()
    assert automations.runs == []
    await peer.happen("outage_started")
    await eventually(lambda: bool(automations.runs))
    assert automations.runs == ["outage_started"]


@pytest.mark.parametrize("by", ["entity_id", "device_id", "area_id", "label_id", "floor_id"])
async def test_a_target_by_entity_device_area_label_or_floor_fires_once_also_under_a_new_entity_id(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    automations: Automations,
    area_registry: ar.AreaRegistry,
    floor_registry: fr.FloorRegistry,
    label_registry: lr.LabelRegistry,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
    site: dr.DeviceEntry,
    issue_registry: ir.IssueRegistry,
    eventually: Eventually,
    by: str,
) -> None:
    floor, label = floor_registry.async_create("Ground"), label_registry.async_create("Power")
    area = area_registry.async_create("Cellar", floor_id=floor.floor_id)
    device_registry.async_update_device(site.id, area_id=area.id, labels={label.label_id})
    chosen = {
        "entity_id": OUTAGE,
        "device_id": site.id,
        "area_id": area.id,
        "label_id": label.label_id,
        "floor_id": floor.floor_id,
    }[by]
    await automations.load(on("outage_started", {by: chosen}))
    await peer.happen("outage_started")
    await eventually(lambda: automations.runs == ["outage_started"])

    entity_registry.async_update_entity(OUTAGE, new_entity_id="event.blackout")
    await eventually(lambda: hass.states.get("event.blackout") is not None)
    await peer.happen("outage_started")
    await eventually(lambda: house.runtime_data.history.received == 2)
    await hass.async_block_till_done()
    if by == "entity_id":
        # Home Assistant itself does not follow an id that somebody wrote down: so a person is told.
        assert automations.runs == ["outage_started"]
        assert [issue.translation_key for issue in pointless(issue_registry)] == ["automation_target_empty"]
    else:
        assert automations.runs == ["outage_started"] * 2
        assert pointless(issue_registry) == []


async def test_a_target_without_anything_to_fire_on_is_said_by_a_repair_until_it_has(
    hass: HomeAssistant,
    house: MockConfigEntry,
    automations: Automations,
    label_registry: lr.LabelRegistry,
    device_registry: dr.DeviceRegistry,
    issue_registry: ir.IssueRegistry,
    site: dr.DeviceEntry,
) -> None:
    label = label_registry.async_create("Power")
    await automations.load(
        on("outage_started", {"label_id": label.label_id}), on("outage_started", {"label_id": label.label_id})
    )
    (issue,) = pointless(issue_registry)
    assert issue.translation_key == "automation_target_empty"
    assert issue.translation_placeholders == {
        "name": "Power went out",
        "target": "Power",
        "automations": "Watch",
        "entities": "–",
    }
    device_registry.async_update_device(site.id, labels={label.label_id})
    await hass.async_block_till_done()
    assert pointless(issue_registry) == []

    device_registry.async_update_device(site.id, labels=set())
    await hass.async_block_till_done()
    assert len(pointless(issue_registry)) == 1
    await hass.services.async_call("automation", "turn_off", {"entity_id": "automation.watch"}, blocking=True)
    assert pointless(issue_registry) == []


async def test_an_event_entity_that_is_switched_off_is_said_by_a_repair(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    automations: Automations,
    entity_registry: er.EntityRegistry,
    issue_registry: ir.IssueRegistry,
    site: dr.DeviceEntry,
    eventually: Eventually,
) -> None:
    entity_registry.async_update_entity(OUTAGE, disabled_by=er.RegistryEntryDisabler.USER)
    await hass.async_block_till_done()
    await automations.load(on("outage_started", {"device_id": site.id}), on("outage_ended", {"entity_id": OUTAGE}))
    issues = pointless(issue_registry)
    assert {issue.translation_key for issue in issues} == {"automation_target_disabled"}
    assert {(issue.translation_placeholders or {})["entities"] for issue in issues} == {OUTAGE}
    await peer.happen("outage_started")
    entity_registry.async_update_entity(OUTAGE, disabled_by=None)
    await hass.async_block_till_done()
    assert pointless(issue_registry) == []


async def test_what_a_wrong_device_is_told_is_the_name_of_what_was_chosen(
    house: MockConfigEntry,
    automations: Automations,
    device_registry: dr.DeviceRegistry,
    issue_registry: ir.IssueRegistry,
) -> None:
    charger = part(device_registry, house, "charger-driveway")
    await automations.load(on("outage_started", {"device_id": [charger, "gone"]}))
    (issue,) = pointless(issue_registry)
    assert (issue.translation_placeholders or {})["target"] == "Driveway charger, gone"


# ------------------------------------------------------------------------------------------------- what lasts


async def test_backup_not_ready_fires_when_it_has_lasted_and_not_after_a_blink(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    automations: Automations,
    eventually: Eventually,
    freezer: Any,
) -> None:
    target = {"entity_id": READINESS}
    await automations.load(on("backup_not_ready", target, **{"for": "00:10:00"}))

    async def passes(minutes: int) -> None:
        freezer.tick(60 * minutes)
        async_fire_time_changed(hass)
        await hass.async_block_till_done()

    await becomes(peer, "not_ready")
    await eventually(lambda: shown(hass, READINESS) == "not_ready")
    await passes(9)
    await becomes(peer, "ready")
    await eventually(lambda: shown(hass, READINESS) == "ready")
    await passes(20)
    assert automations.runs == []
    await becomes(peer, "not_ready")
    await eventually(lambda: shown(hass, READINESS) == "not_ready")
    await passes(11)
    assert automations.runs == ["backup_not_ready"]


async def becomes(peer: Peer, level: str) -> None:
    await peer.push(lambda state: state["site"].update(readiness={"level": level, "reasons": []}))


async def test_what_came_or_went_on_while_the_link_was_down_fires_once(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, automations: Automations, eventually: Eventually
) -> None:
    await automations.load(on("backup_not_ready", {"entity_id": READINESS}))
    for level, runs in (
        ("ready", 0),
        ("not_ready", 1),
        ("not_ready", 1),
        ("ready", 1),
        ("degraded", 1),
        ("not_ready", 2),
    ):
        await lose_link(hass, peer, eventually)
        await becomes(peer, level)
        await regain_link(hass, peer, eventually)
        await eventually(lambda level=level: shown(hass, READINESS) == level)  # type: ignore[misc]
        await hass.async_block_till_done()
        assert automations.runs == ["backup_not_ready"] * runs


async def test_a_link_that_blinks_begins_the_wait_anew_and_does_not_lose_the_alarm(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, automations: Automations, eventually: Eventually
) -> None:
    await automations.load(on("backup_not_ready", {"entity_id": READINESS}, behavior="all", **{"for": "00:10:00"}))
    await becomes(peer, "not_ready")
    await eventually(lambda: shown(hass, READINESS) == "not_ready")
    await peer.drop()
    await eventually(lambda: shown(hass, READINESS) == STATE_UNAVAILABLE)
    await eventually(lambda: shown(hass, READINESS) == "not_ready")
    assert automations.runs == []
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=11))
    await hass.async_block_till_done()
    assert automations.runs == ["backup_not_ready"]
    await peer.drop()
    await eventually(lambda: shown(hass, READINESS) == STATE_UNAVAILABLE)
    await eventually(lambda: shown(hass, READINESS) == "not_ready")
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=11))
    await hass.async_block_till_done()
    assert automations.runs == ["backup_not_ready"]


async def test_what_is_so_from_the_first_that_is_known_fires_nothing(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, automations: Automations, eventually: Eventually
) -> None:
    await becomes(peer, "not_ready")
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.config_entries.async_unload(entry.entry_id)
    await automations.load(on("backup_not_ready", {"entity_id": READINESS}))
    await hass.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: shown(hass, READINESS) == "not_ready")
    assert automations.runs == []
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_storm_and_its_warning_fire_at_their_beginning_and_end(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    automations: Automations,
    eventually: Eventually,
    site: dr.DeviceEntry,
) -> None:
    await automations.load(*(on(name, {"device_id": site.id}) for name in BECOMES))
    storm = {"until": at(3600), "reserve_pct": 90.0, "name": "Hurricane"}
    alert = {
        "id": "a",
        "source": "hand",
        "name": "Hurricane",
        "kind": "storm",
        "start": at(),
        "end": at(3600),
        "opted_out": False,
    }
    await peer.push(lambda state: state["site"].update(storm=storm, alerts=[alert]))
    await eventually(lambda: len(automations.runs) == 2)
    await peer.push(lambda state: state["site"].update(storm=None))
    await eventually(lambda: len(automations.runs) == 3)
    assert set(automations.runs[:2]) == {"alert_raised", "storm_hold_started"}
    assert automations.runs[2] == "storm_hold_ended"


# --------------------------------------------------------------------------------- what we lean on in Home Assistant


def test_home_assistants_classes_are_still_as_our_triggers_need_them() -> None:
    base, event = platform.EntityTriggerBase, platform.StatelessEntityTriggerBase
    assert event._excluded_from_states == {STATE_UNAVAILABLE}
    assert base._excluded_states == {"unavailable", "unknown"}
    assert base._primary_entities_only
    assert issubclass(event, base)
    assert issubclass(platform.EntityTargetStateTriggerBase, base)
    for name in ("_domain_specs", "_schema", "_excluded_states"):
        assert name in base.__annotations__, name
    assert "_to_states" in platform.EntityTargetStateTriggerBase.__annotations__
    for name in ("entity_filter", "is_valid_state", "is_valid_transition", "async_attach_runner"):
        assert callable(getattr(base, name)), name
    for name in ("_referenced_entities", "_handle_entities_update", "async_setup"):
        assert callable(getattr(target.TargetEntityChangeTracker, name)), name
    assert issubclass(EventEntity, object)
