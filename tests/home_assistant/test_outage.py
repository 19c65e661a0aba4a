"""What a resident sees and does about an outage: how long, whether it would work, drills, loads, alerts."""

from functools import partial
from typing import Any

import pytest
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID, ATTR_ENTITY_ID
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.const import DOMAIN

from .conftest import attributes, device_of, shown
from .peer import Eventually, Peer, at, of_an_older_edge, refusing


async def press(hass: HomeAssistant, button: str) -> None:
    await hass.services.async_call("button", "press", {ATTR_ENTITY_ID: button}, blocking=True)


async def test_how_long_the_vehicle_lasts_is_shown_as_a_range(
    hass: HomeAssistant, everything_enabled: None, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    assert shown(hass, "sensor.home_backup_runtime") == "18.0"
    assert shown(hass, "sensor.home_backup_runtime_cautious") == "14.5"
    assert shown(hass, "sensor.home_backup_runtime_hopeful") == "24.0"
    assert shown(hass, "sensor.home_backup_energy") == "31.2"
    await peer.push(lambda state: state["site"].update(runtime=None))
    await eventually(lambda: shown(hass, "sensor.home_backup_runtime") == "unknown")
    assert shown(hass, "sensor.home_backup_energy") == "unknown"


async def test_whether_backup_would_work_is_told_with_its_reasons(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    readiness = "sensor.home_backup_readiness"
    assert (shown(hass, readiness), attributes(hass, readiness, "reasons")) == ("ready", {"reasons": ()})
    reasons = [{"code": "vehicle_absent", "subject": one} for one in ("driveway", "garage")]
    await peer.push(lambda state: state["site"].update(readiness={"level": "not_ready", "reasons": reasons}))
    await eventually(lambda: shown(hass, readiness) == "not_ready")
    assert attributes(hass, readiness, "reasons") == {"reasons": ("vehicle_absent",)}


async def test_an_outage_tells_how_it_went(
    hass: HomeAssistant, everything_enabled: None, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    assert shown(hass, "sensor.home_outage_transfer_time") == "unknown"
    outage = {
        "started_at": at(-600),
        "ended_at": None,
        "backup_started_at": at(-590),
        "energy_wh": 2500,
        "lowest_soc_pct": 61.0,
        "transfer_s": 9.5,
        "dark_s": 10,
    }
    await peer.push(lambda state: state["site"].update(outage=outage, dark_start_at=at(3600)))
    await eventually(lambda: shown(hass, "sensor.home_outage_transfer_time") == "9.5")
    assert shown(hass, "sensor.home_outage_dark_time") == "10"
    assert shown(hass, "sensor.home_outage_energy") == "2.5"
    assert shown(hass, "sensor.home_outage_lowest_charge") == "61.0"
    assert shown(hass, "sensor.home_starts_by_itself_until") != "unknown"
    assert shown(hass, "sensor.home_solar_power") == "2.4"
    assert shown(hass, "sensor.home_kind_of_backup") == "island_switch"


async def test_sources_that_disagree_are_a_problem_and_those_that_count_are_counted(
    hass: HomeAssistant, everything_enabled: None, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    assert shown(hass, "binary_sensor.home_grid_disputed") == "off"
    assert shown(hass, "binary_sensor.home_voltage_relay") == "off"
    pieces = [
        {"source": one, "present": one == "a", "detail": "", "at": at(), "counts": one != "c"}
        for one in ("a", "b", "c")
    ]
    await peer.push(lambda state: state["site"].update(disputed=True, evidence=pieces))
    await eventually(lambda: shown(hass, "binary_sensor.home_grid_disputed") == "on")
    assert shown(hass, "sensor.home_sources_that_see_the_grid") == "2"


async def test_a_lost_neutral_is_an_alarm_and_a_meter_that_is_silent_is_not(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    neutral = "binary_sensor.home_neutral"
    assert shown(hass, neutral) == "off"
    told: list[tuple[bool | None, str]] = [(True, "on"), (None, "unknown"), (False, "off")]
    for lost, state in told:
        await peer.push(partial(_tell_neutral, lost=lost))
        await eventually(partial(_shows, hass, neutral, state))


def _tell_neutral(document: Any, *, lost: bool | None) -> None:
    document["site"].update(neutral_lost=lost)


def _shows(hass: HomeAssistant, entity: str, state: str) -> bool:
    return shown(hass, entity) == state


async def test_a_backup_that_gave_up_is_tried_again_by_one_tap(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    given_up, button = "binary_sensor.home_backup_given_up", "button.home_try_backup_again"
    assert (shown(hass, given_up), shown(hass, button)) == ("off", "unavailable")
    retry = {"collapses": 4, "retries": 4, "retry_at": None, "latched": True}
    await peer.push(lambda state: state["site"].update(backup_retry=retry))
    await eventually(lambda: shown(hass, given_up) == "on")
    await press(hass, button)
    assert peer.named("retry_backup") == [{}]
    await peer.push(lambda state: state["site"]["backup_retry"].update(latched=False, retry_at=at(600)))
    await eventually(lambda: shown(hass, given_up) == "off")
    assert shown(hass, "sensor.home_backup_tried_again_at") != "unknown"


def a_drill(stage: str, **changes: Any) -> dict[str, Any]:
    ended = stage in ("passed", "failed", "refused", "aborted")
    return {
        "id": "d1",
        "stage": stage,
        "started_at": at(-60),
        "ended_at": at() if ended else None,
        "transfer": True,
        "score": 92 if ended else None,
        "reasons": [],
        "transfer_s": 8.0,
        "return_s": None,
        "lowest_v": 231.0,
        "highest_w": 2400,
        "energy_wh": 80,
        "loads_shed": [],
    } | changes


async def test_a_drill_is_started_followed_and_broken_off(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    drill, passed = "sensor.home_drill", "sensor.home_last_backup_test_passed"
    assert (shown(hass, drill), shown(hass, "sensor.home_drill_score")) == ("none", "unknown")
    await press(hass, "button.home_start_dry_drill")
    assert peer.named("start_drill") == [{"transfer": False}]
    await peer.push(lambda state: state["site"].update(drill=a_drill("carrying")))
    await eventually(lambda: shown(hass, drill) == "carrying")
    assert shown(hass, "button.home_start_dry_drill") == "unavailable"
    await press(hass, "button.home_break_off_drill")
    assert peer.named("cancel_drill") == [{}]
    await peer.push(lambda state: state["site"].update(drill=a_drill("passed")))
    await eventually(lambda: shown(hass, drill) == "passed")
    assert shown(hass, passed) != "unknown"
    assert shown(hass, "sensor.home_drill_score") == "92"
    await peer.push(lambda state: state["site"].update(drill=a_drill("refused", reasons=["storm"])))
    await eventually(lambda: shown(hass, drill) == "refused")
    assert attributes(hass, drill, "reasons", "transfer") == {"reasons": ("storm",), "transfer": True}
    assert shown(hass, passed) == "unknown"


async def test_a_drill_with_transfer_wants_a_persons_word(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    site = {ATTR_CONFIG_ENTRY_ID: house.entry_id}
    with pytest.raises(ServiceValidationError) as refused:
        await hass.services.async_call(DOMAIN, "start_drill", {**site, "transfer": True}, blocking=True)
    assert refused.value.translation_key == "edge_drill_confirm_needed"
    assert peer.named("start_drill") == []
    said = {"transfer": True, "confirm": True, "medical_safe": True, "at_switch": True}
    wish = {**site, **said, "duration": {"minutes": 3}}
    await hass.services.async_call(DOMAIN, "start_drill", wish, blocking=True)
    assert peer.named("start_drill") == [{**said, "island_s": 180.0}]
    peer.answers["start_drill"] = refusing("drill_vehicle_absent")
    with pytest.raises(ServiceValidationError) as named:
        await hass.services.async_call(DOMAIN, "start_drill", {**site, "transfer": False}, blocking=True)
    assert named.value.translation_key == "edge_drill_vehicle_absent"


async def test_drills_come_by_themselves_and_no_more(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    site = {ATTR_CONFIG_ENTRY_ID: house.entry_id}
    wish = {**site, "every_days": 90, "time": "10:30", "transfer": False}
    await hass.services.async_call(DOMAIN, "set_drill_schedule", wish, blocking=True)
    assert peer.named("set_drill_schedule") == [{"transfer": False, "every_days": 90, "local_time": "10:30"}]
    schedule = {"every_days": 90, "local_time": "10:30", "transfer": False, "next_at": at(86_400)}
    assert shown(hass, "sensor.home_next_drill") == "unknown"
    await peer.push(lambda state: state["site"].update(drill_schedule=schedule))
    await eventually(lambda: shown(hass, "sensor.home_next_drill") != "unknown")
    await hass.services.async_call(DOMAIN, "clear_drill_schedule", site, blocking=True)
    assert peer.named("clear_drill_schedule") == [{}]


async def test_the_drivers_reserve_is_set_in_miles_lent_and_taken_back(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, device_registry: dr.DeviceRegistry
) -> None:
    device = device_of(device_registry, house, "charger-driveway")
    assert device is not None
    charger = {ATTR_DEVICE_ID: device.id}
    await hass.services.async_call(DOMAIN, "set_drivers_reserve", {**charger, "miles": 40}, blocking=True)
    assert peer.named("set_drivers_reserve") == [{"charger": "driveway", "miles": 40.0}]
    lend = {**charger, "reserve": 10, "confirm": True}
    await hass.services.async_call(DOMAIN, "lend_reserve", lend, blocking=True)
    assert peer.named("lend_reserve") == [{"charger": "driveway", "pct": 10.0, "confirm": True}]
    with pytest.raises(ServiceValidationError) as both:
        await hass.services.async_call(DOMAIN, "lend_reserve", {**charger, "reserve": 5, "miles": 9}, blocking=True)
    assert both.value.translation_key == "reserve_how_much"
    now, lent = "sensor.driveway_charger_driver_s_reserve_now", "sensor.driveway_charger_lent_to_the_house"
    assert (shown(hass, now), shown(hass, lent)) == ("20.0", "0.0")
    button = "button.driveway_charger_take_back_what_was_lent"
    assert shown(hass, button) == "unavailable"
    counts = {"lent_pct": 10.0, "drivers_reserve_effective_pct": 12.0, "drivers_reserve_miles": 40.0}
    await peer.push(lambda state: state["chargers"]["driveway"].update(counts))
    await eventually(lambda: shown(hass, lent) == "10.0")
    assert (shown(hass, now), attributes(hass, now, "miles")) == ("12.0", {"miles": 40.0})
    await press(hass, button)
    assert peer.named("take_back_lent") == [{"charger": "driveway"}]


async def test_an_alert_is_shown_by_name_and_left_unheeded_by_its_id(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    alert = "binary_sensor.home_alert"
    assert shown(hass, alert) == "off"
    coming = {"id": "w2", "source": "peak", "kind": "wind", "name": "Gale", "start": at(9000), "end": at(20_000)}
    standing = {"id": "f1", "source": "peak", "kind": "fire", "name": "Fire", "start": at(-60), "end": None}
    alerts = [coming | {"opted_out": False}, standing | {"opted_out": False}]
    await peer.push(lambda state: state["site"].update(alerts=alerts))
    await eventually(lambda: shown(hass, alert) == "on")
    told = attributes(hass, alert, "alert", "alert_name", "kind", "until", "opted_out")
    assert told == {"alert": "f1", "alert_name": "Fire", "kind": "fire", "until": None, "opted_out": False}
    (other,) = attributes(hass, alert, "others")["others"]
    assert (other["alert"], other["alert_name"]) == ("w2", "Gale")
    wish = {ATTR_CONFIG_ENTRY_ID: house.entry_id, "alert": "f1"}
    await hass.services.async_call(DOMAIN, "opt_out_alert", wish, blocking=True)
    await hass.services.async_call(DOMAIN, "opt_in_alert", wish, blocking=True)
    assert peer.named("opt_out_alert") == peer.named("opt_in_alert") == [{"alert": "f1"}]


async def test_the_storm_reserve_and_heeding_alerts_are_the_residents_choice(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    number, switch = "number.home_storm_reserve", "switch.home_prepare_for_alerts"
    assert (shown(hass, number), shown(hass, switch)) == ("90.0", "on")
    await hass.services.async_call("number", "set_value", {ATTR_ENTITY_ID: number, "value": 80}, blocking=True)
    assert peer.named("set_storm_reserve") == [{"pct": 80.0}]
    for order in ("turn_off", "turn_on"):
        await hass.services.async_call("switch", order, {ATTR_ENTITY_ID: switch}, blocking=True)
    assert peer.named("set_heeds_alerts") == [{"heeds": False}, {"heeds": True}]
    await peer.push(lambda state: state["site"].update(heeds_alerts=False))
    await eventually(lambda: shown(hass, switch) == "off")


async def test_a_load_group_is_shown_and_shed_by_hand(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, device_registry: dr.DeviceRegistry
) -> None:
    assert shown(hass, "sensor.pool_pump_runtime_gain") == "5.5"
    assert shown(hass, "sensor.pool_pump_state") == "on"
    assert shown(hass, "sensor.pool_pump_reason") == "none"
    assert shown(hass, "sensor.heat_pump_power") == "0.9"
    assert hass.states.get("number.heat_pump_shed_below") is None
    switch = "switch.pool_pump_shed"
    for order in ("turn_on", "turn_off"):
        await hass.services.async_call("switch", order, {ATTR_ENTITY_ID: switch}, blocking=True)
    assert peer.named("set_load") == [{"group": "pool", "order": "shed"}, {"group": "pool", "order": "auto"}]
    await peer.push(lambda state: state["loads"]["pool"].update(by_hand="shed", reason="by_hand", state="shed"))
    await eventually(lambda: shown(hass, switch) == "on")
    assert (shown(hass, "sensor.pool_pump_state"), shown(hass, "sensor.pool_pump_reason")) == ("shed", "by_hand")
    device = device_of(device_registry, house, "load-pool")
    assert device is not None
    wish = {ATTR_DEVICE_ID: device.id, "order": "on"}
    await hass.services.async_call(DOMAIN, "set_load", wish, blocking=True)
    assert peer.named("set_load")[-1] == {"group": "pool", "order": "on"}
    await hass.services.async_call(
        "number", "set_value", {ATTR_ENTITY_ID: "number.pool_pump_shed_below", "value": 35}, blocking=True
    )
    (asked,) = peer.named("set_load_group")
    assert (asked["id"], asked["shed_below_pct"], asked["power_w"]) == ("pool", 35, 1500)


async def test_what_if_is_asked_of_the_controller(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, device_registry: dr.DeviceRegistry
) -> None:
    device = device_of(device_registry, house, "load-heat")
    assert device is not None
    peer.brings["forecast_runtime"] = {"p10_h": 20.0, "p50_h": 23.5, "p90_h": 30.0}
    site = {ATTR_CONFIG_ENTRY_ID: house.entry_id}
    what = {**site, "without": device.id, "without_power": 0.5, "charge": 60}
    answer = await hass.services.async_call(DOMAIN, "forecast_runtime", what, blocking=True, return_response=True)
    assert answer == peer.brings["forecast_runtime"]
    assert peer.named("forecast_runtime") == [{"without": ["heat"], "without_w": 500, "soc_pct": 60.0}]
    peer.answers["forecast_runtime"] = refusing("no_load_data")
    with pytest.raises(HomeAssistantError) as unknown:
        await hass.services.async_call(DOMAIN, "forecast_runtime", site, blocking=True, return_response=True)
    assert unknown.value.translation_key == "edge_no_load_data"


@pytest.mark.parametrize("kind", ["load_shed", "load_restored", "backup_collapsed", "drill_started", "drill_failed"])
async def test_what_happens_to_loads_and_drills_is_history_of_the_outage(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, kind: str
) -> None:
    event = "event.home_outage"
    await peer.happen(kind, group="pool", name="Pool pump", reason="reserve")
    await eventually(lambda: shown(hass, event) != "unknown")
    told = attributes(hass, event, "event_type", "name", "reason")
    assert told == {"event_type": kind, "name": "Pool pump", "reason": "reserve"}


async def test_an_older_controller_makes_none_of_it_and_hears_no_reports(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, entity_registry: er.EntityRegistry
) -> None:
    peer.state = of_an_older_edge(peer.state)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    keys = {one.translation_key for one in er.async_entries_for_config_entry(entity_registry, entry.entry_id)}
    newer = {
        "backup_runtime",
        "backup_readiness",
        "drill_status",
        "alert",
        "storm_reserve",
        "shed",
        "lent",
        "dark_start",
    }
    assert keys & newer == set()
    assert peer.reports == []
    await hass.config_entries.async_unload(entry.entry_id)
