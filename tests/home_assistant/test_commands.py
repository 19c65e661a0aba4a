"""What people set, press and order: what reaches the edge, and what they read when it says no."""

from datetime import timedelta
from typing import Any, cast

import pytest
from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
from probatio import Invalid
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import refusals
from custom_components.ridethrough.const import DOMAIN

from .conftest import device_of, shown
from .peer import Eventually, Peer, departure, refusing


@pytest.fixture
def charger(house: MockConfigEntry, device_registry: dr.DeviceRegistry) -> str:
    """The device id of the charger."""
    device = device_of(device_registry, house, "charger-driveway")
    assert device is not None
    return device.id


@pytest.fixture
def program(house: MockConfigEntry, device_registry: dr.DeviceRegistry) -> str:
    """The device id of the program."""
    device = device_of(device_registry, house, "program-peak")
    assert device is not None
    return device.id


@pytest.mark.parametrize(
    ("domain", "service", "entity", "data", "command", "args"),
    [
        ("number", "set_value", "number.home_backup_reserve", {"value": 55}, "set_backup_reserve", {"pct": 55.0}),
        (
            "number",
            "set_value",
            "number.driveway_charger_driver_s_reserve",
            {"value": 25},
            "set_drivers_reserve",
            {"charger": "driveway", "pct": 25.0},
        ),
        (
            "number",
            "set_value",
            "number.peak_power_event_floor",
            {"value": 15},
            "set_event_floor",
            {"program": "peak", "pct": 15.0},
        ),
        ("select", "select_option", "select.home_operating_mode", {"option": "paused"}, "set_mode", {"mode": "paused"}),
        (
            "select",
            "select_option",
            "select.home_at_the_driver_s_reserve",
            {"option": "lend"},
            "set_at_end",
            {"at_end": "lend"},
        ),
        (
            "switch",
            "turn_off",
            "switch.peak_power_participation",
            {},
            "set_participation",
            {"program": "peak", "participating": False},
        ),
        (
            "switch",
            "turn_on",
            "switch.peak_power_participation",
            {},
            "set_participation",
            {"program": "peak", "participating": True},
        ),
        (
            "number",
            "set_value",
            "number.driveway_charger_miles_per_kwh",
            {"value": 3.4},
            "set_miles_per_kwh",
            {"charger": "driveway", "miles_per_kwh": 3.4},
        ),
        ("switch", "turn_off", "switch.home_storm_hold", {}, "end_storm", {}),
        ("button", "press", "button.home_emergency_stop", {}, "stop", {}),
        ("button", "press", "button.peak_power_opt_out_of_next_event", {}, "opt_out", {"event": "peak-1"}),
    ],
)
async def test_what_people_set_reaches_the_edge_and_nothing_is_shown_before_it_says_so(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    domain: str,
    service: str,
    entity: str,
    data: dict[str, Any],
    command: str,
    args: dict[str, Any],
) -> None:
    before = shown(hass, entity)
    await hass.services.async_call(domain, service, {ATTR_ENTITY_ID: entity, **data}, blocking=True)
    assert peer.named(command) == [args]
    if domain != "button":
        assert shown(hass, entity) == before


async def test_a_manual_order_can_be_taken_back_with_a_button(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    button = "button.driveway_charger_resume_automatic"
    assert shown(hass, button) == "unavailable"
    manual = {"kind": "charge", "power_w": None, "until": "2026-01-01T00:00:00+00:00"}
    await peer.push(lambda state: state["chargers"]["driveway"].update(manual=manual))
    await eventually(lambda: shown(hass, button) == "unknown")
    await hass.services.async_call("button", "press", {ATTR_ENTITY_ID: button}, blocking=True)
    assert peer.named("resume") == [{"charger": "driveway"}]


async def test_the_same_button_takes_a_charger_up_again_that_was_left_to_another_controller(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    button = "button.driveway_charger_resume_automatic"
    step: dict[str, Any] = {
        "rung": "device_safety",
        "reason": "another_controller",
        "low_w": None,
        "high_w": None,
        "data": {},
    }
    await peer.push(lambda state: state["chargers"]["driveway"].update(why=[step], order=None))
    await eventually(lambda: shown(hass, button) == "unknown")
    await hass.services.async_call("button", "press", {ATTR_ENTITY_ID: button}, blocking=True)
    assert peer.named("resume") == [{"charger": "driveway"}]


async def test_charge_discharge_and_hold_carry_an_end_and_watts(
    hass: HomeAssistant, charger: str, peer: Peer, freezer: Any
) -> None:
    freezer.move_to("2026-07-01T18:00:00+00:00")
    await hass.services.async_call(
        DOMAIN, "charge", {ATTR_DEVICE_ID: charger, "duration": {"hours": 2}, "power": 7.2}, blocking=True
    )
    await hass.services.async_call(
        DOMAIN, "discharge", {ATTR_DEVICE_ID: charger, "until": "2026-07-01T21:30:00+00:00"}, blocking=True
    )
    await hass.services.async_call(DOMAIN, "hold", {ATTR_DEVICE_ID: charger, "duration": "00:30:00"}, blocking=True)
    await hass.services.async_call(DOMAIN, "resume", {ATTR_DEVICE_ID: charger}, blocking=True)
    assert peer.named("charge") == [{"charger": "driveway", "until": "2026-07-01T20:00:00+00:00", "power_w": 7200}]
    assert peer.named("discharge") == [{"charger": "driveway", "until": "2026-07-01T21:30:00+00:00", "power_w": None}]
    assert peer.named("hold") == [{"charger": "driveway", "until": "2026-07-01T18:30:00+00:00"}]
    assert peer.named("resume") == [{"charger": "driveway"}]


async def test_a_time_without_a_zone_is_the_homes_own(hass: HomeAssistant, charger: str, peer: Peer) -> None:
    await hass.config.async_set_time_zone("America/New_York")
    await hass.services.async_call(
        DOMAIN, "hold", {ATTR_DEVICE_ID: charger, "until": "2026-07-01 21:30:00"}, blocking=True
    )
    assert peer.named("hold")[0]["until"] == "2026-07-02T01:30:00+00:00"


@pytest.mark.parametrize(
    "data", [{}, {"until": "2026-07-01T21:30:00+00:00", "duration": "01:00:00"}, {"duration": "01:00", "power": 0}]
)
async def test_an_order_without_one_end_or_with_no_power_is_refused_here(
    hass: HomeAssistant, charger: str, peer: Peer, data: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        await hass.services.async_call(DOMAIN, "charge", {ATTR_DEVICE_ID: charger, **data}, blocking=True)
    assert peer.commands == []


async def test_events_are_answered_and_entered_by_hand(hass: HomeAssistant, program: str, peer: Peer) -> None:
    await hass.services.async_call(DOMAIN, "opt_out_event", {ATTR_DEVICE_ID: program, "uid": "peak-1"}, blocking=True)
    await hass.services.async_call(DOMAIN, "opt_in_event", {ATTR_DEVICE_ID: program, "uid": "peak-1"}, blocking=True)
    start = dt_util.utcnow() + timedelta(hours=1)
    await hass.services.async_call(
        DOMAIN,
        "enter_event",
        {
            ATTR_DEVICE_ID: program,
            "name": "Tomorrow 17 to 20",
            "start": start.isoformat(),
            "end": (start + timedelta(hours=3)).isoformat(),
            "power": 5.5,
        },
        blocking=True,
    )
    assert peer.named("opt_out") == peer.named("opt_in") == [{"event": "peak-1"}]
    assert peer.named("enter_event") == [
        {
            "program": "peak",
            "name": "Tomorrow 17 to 20",
            "start": start.isoformat(),
            "end": (start + timedelta(hours=3)).isoformat(),
            "power_w": 5500,
        }
    ]


async def test_departures_are_set_once_and_weekly_in_the_contracts_words(
    hass: HomeAssistant, charger: str, peer: Peer
) -> None:
    leaves = {ATTR_DEVICE_ID: charger, "at": "2026-07-03T05:30:00-04:00", "miles": 120, "plan": "cabin"}
    await hass.services.async_call(DOMAIN, "set_departure", leaves, blocking=True)
    school = {ATTR_DEVICE_ID: charger, "weekdays": ["mon", "fri"], "time": "07:30:00", "target": 80}
    await hass.services.async_call(DOMAIN, "set_departure", school, blocking=True)
    midnight = {ATTR_DEVICE_ID: charger, "weekdays": "sun", "time": "00:00", "target": 100}
    await hass.services.async_call(DOMAIN, "set_departure", midnight, blocking=True)
    assert peer.named("set_departure") == [
        {"charger": "driveway", "id": "cabin", "at": "2026-07-03T09:30:00+00:00", "miles": 120.0},
        {"charger": "driveway", "weekdays": ["mon", "fri"], "local_time": "07:30", "soc_pct": 80.0},
        {"charger": "driveway", "weekdays": ["sun"], "local_time": "00:00", "soc_pct": 100.0},
    ]
    await hass.services.async_call(DOMAIN, "clear_departure", {ATTR_DEVICE_ID: charger, "plan": "cabin"}, blocking=True)
    assert peer.named("clear_departure") == [{"charger": "driveway", "id": "cabin"}]


AT, WEEKLY = {"at": "2026-07-03T05:30:00-04:00"}, {"weekdays": ["mon"], "time": "07:30"}


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"target": 80}, "departure_when"),
        ({**AT, **WEEKLY, "target": 80}, "departure_when"),
        ({"weekdays": ["mon"], "target": 80}, "departure_when"),
        ({"weekdays": [], "time": "07:30", "target": 80}, "departure_when"),
        ({"time": "07:30", "target": 80}, "departure_when"),
        (AT, "departure_how_much"),
        ({**WEEKLY, "target": 80, "miles": 30}, "departure_how_much"),
    ],
)
async def test_a_departure_needs_one_when_and_one_how_much_and_says_so(
    hass: HomeAssistant, charger: str, peer: Peer, data: dict[str, Any], key: str
) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await hass.services.async_call(DOMAIN, "set_departure", {ATTR_DEVICE_ID: charger, **data}, blocking=True)
    assert refused.value.translation_key == key
    assert peer.commands == []


async def test_the_next_departure_is_skipped_with_a_button_or_an_action_and_another_one_by_name(
    hass: HomeAssistant, charger: str, peer: Peer, eventually: Eventually
) -> None:
    button = "button.driveway_charger_skip_next_departure"
    assert shown(hass, button) == "unavailable"
    with pytest.raises(ServiceValidationError) as refused:
        await hass.services.async_call(DOMAIN, "skip_departure", {ATTR_DEVICE_ID: charger}, blocking=True)
    assert refused.value.translation_key == "no_departure"
    await peer.push(lambda state: state["chargers"]["driveway"].update(departure=departure()))
    await eventually(lambda: shown(hass, button) == "unknown")
    await hass.services.async_call("button", "press", {ATTR_ENTITY_ID: button}, blocking=True)
    peer.brings["skip_departure"] = {"skipped": "2026-07-03T11:30:00+00:00"}
    answer = await hass.services.async_call(
        DOMAIN, "skip_departure", {ATTR_DEVICE_ID: charger}, blocking=True, return_response=True
    )
    assert answer == {"plan": "weekly", "skipped": "2026-07-03T11:30:00+00:00"}
    await hass.services.async_call(DOMAIN, "skip_departure", {ATTR_DEVICE_ID: charger, "plan": "b"}, blocking=True)
    weekly = {"charger": "driveway", "id": "weekly"}
    assert peer.named("skip_departure") == [weekly, weekly, {"charger": "driveway", "id": "b"}]


async def test_a_plan_that_was_listed_can_be_given_back(
    hass: HomeAssistant, charger: str, peer: Peer, eventually: Eventually
) -> None:
    plan = {
        "id": "school run",
        "at": None,
        "weekdays": ["mon", "tue"],
        "local_time": "07:30",
        "soc_pct": 80.0,
        "miles": None,
        "skip_until": None,
    }
    await peer.push(lambda state: state["chargers"]["driveway"].update(departures=[plan], departure=departure()))
    await eventually(lambda: shown(hass, "sensor.driveway_charger_departure_status") == "waits")
    listed = await hass.services.async_call(
        DOMAIN, "get_departures", {ATTR_DEVICE_ID: charger}, blocking=True, return_response=True
    )
    assert listed is not None
    (known,) = cast("list[dict[str, Any]]", listed["departures"])
    again = {key: value for key, value in known.items() if value not in (None, [])} | {ATTR_DEVICE_ID: charger}
    await hass.services.async_call(DOMAIN, "set_departure", again, blocking=True)
    given = {key: plan[key] for key in ("id", "weekdays", "local_time", "soc_pct")}
    assert peer.named("set_departure") == [{"charger": "driveway", **given}]


async def test_a_slider_a_choice_or_a_button_that_would_darken_the_house_says_which_action_does(
    hass: HomeAssistant, house: MockConfigEntry, charger: str, peer: Peer, eventually: Eventually
) -> None:
    await peer.push(lambda state: state["chargers"]["driveway"].update(lent_pct=10.0))
    button = "button.driveway_charger_take_back_what_was_lent"
    await eventually(lambda: shown(hass, button) == "unknown")
    slider, choice = "number.driveway_charger_driver_s_reserve", "select.home_at_the_driver_s_reserve"
    for command in ("set_drivers_reserve", "set_at_end", "take_back_lent"):
        peer.answers[command] = refusing("confirm_needed", allowed="confirm: true")
    presses: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("number", "set_value", {ATTR_ENTITY_ID: slider, "value": 60}),
        ("select", "select_option", {ATTR_ENTITY_ID: choice, "option": "stop"}),
        ("button", "press", {ATTR_ENTITY_ID: button}),
    )
    for domain, service, data in presses:
        with pytest.raises(ServiceValidationError) as refused:
            await hass.services.async_call(domain, service, data, blocking=True)
        assert refused.value.translation_key == "edge_confirm_needed"
        assert "action of the same name and turn on its confirmation" in str(refused.value)
    peer.answers.clear()
    on_charger, on_site = {ATTR_DEVICE_ID: charger}, {"config_entry_id": house.entry_id}
    for action, data in (
        ("set_drivers_reserve", on_charger | {"reserve": 60}),
        ("set_at_end", on_site | {"at_end": "stop"}),
        ("take_back_lent", on_charger),
    ):
        await hass.services.async_call(DOMAIN, action, data | {"confirm": True}, blocking=True)
        assert peer.named(action)[-1]["confirm"] is True
    assert peer.named("set_at_end")[-1] == {"at_end": "stop", "confirm": True}
    assert peer.named("take_back_lent")[-1] == {"charger": "driveway", "confirm": True}
    await hass.services.async_call(DOMAIN, "set_at_end", on_site | {"at_end": "lend"}, blocking=True)
    assert peer.named("set_at_end")[-1] == {"at_end": "lend"}


async def test_what_health_depends_on_is_shed_by_the_action_that_confirms_it(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    switch = "switch.pool_pump_shed"
    assert shown(hass, switch) == "off"
    peer.answers["set_load"] = refusing("medical_confirm_needed", allowed="confirm: true")
    with pytest.raises(ServiceValidationError) as refused:
        await hass.services.async_call("switch", "turn_on", {ATTR_ENTITY_ID: switch}, blocking=True)
    assert "Set a load group" in str(refused.value)


async def test_a_storm_is_prepared_for_and_ended(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, freezer: Any
) -> None:
    freezer.move_to("2026-07-01T18:00:00+00:00")
    site = {"config_entry_id": house.entry_id}
    named = site | {"until": "2026-07-03T06:00:00+00:00", "reserve": 95, "name": "Tropical storm"}
    await hass.services.async_call(DOMAIN, "prepare_for_storm", named, blocking=True)
    await hass.services.async_call(DOMAIN, "prepare_for_storm", site | {"duration": {"hours": 12}}, blocking=True)
    await hass.services.async_call(DOMAIN, "end_storm", site, blocking=True)
    assert peer.named("prepare_for_storm") == [
        {"until": "2026-07-03T06:00:00+00:00", "reserve_pct": 95.0, "name": "Tropical storm"},
        {"until": "2026-07-02T06:00:00+00:00", "reserve_pct": 90.0},
    ]
    assert peer.named("end_storm") == [{}]


async def test_storm_hold_is_switched_on_for_a_day_and_does_not_shorten_a_storm_that_stands(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, freezer: Any
) -> None:
    freezer.move_to("2026-07-01T18:00:00+00:00")
    hold = {ATTR_ENTITY_ID: "switch.home_storm_hold"}
    await hass.services.async_call("switch", "turn_on", hold, blocking=True)
    assert peer.named("prepare_for_storm") == [{"until": "2026-07-02T18:00:00+00:00", "reserve_pct": 90}]
    assert shown(hass, hold[ATTR_ENTITY_ID]) == "off"
    storm = {"until": "2026-07-05T18:00:00+00:00", "reserve_pct": 95.0, "name": "Tropical storm"}
    await peer.push(lambda state: state["site"].update(storm=storm))
    await eventually(lambda: shown(hass, hold[ATTR_ENTITY_ID]) == STATE_ON)
    await hass.services.async_call("switch", "turn_on", hold, blocking=True)
    assert len(peer.named("prepare_for_storm")) == 1


async def test_an_edge_that_does_not_know_departures_yet_is_told_as_too_old(
    hass: HomeAssistant, charger: str, peer: Peer
) -> None:
    peer.answers["set_departure"] = refusing("unknown_command")
    with pytest.raises(HomeAssistantError) as refused:
        await hass.services.async_call(
            DOMAIN, "set_departure", {ATTR_DEVICE_ID: charger, **AT, "target": 80}, blocking=True
        )
    assert refused.value.translation_key == "edge_unknown_command"


async def test_backup_ends_only_when_confirmed(hass: HomeAssistant, house: MockConfigEntry, peer: Peer) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await hass.services.async_call(
            DOMAIN, "end_backup", {"config_entry_id": house.entry_id, "confirm": False}, blocking=True
        )
    assert refused.value.translation_key == "edge_confirm_needed"
    assert peer.commands == []
    await hass.services.async_call(
        DOMAIN, "end_backup", {"config_entry_id": house.entry_id, "confirm": True}, blocking=True
    )
    assert peer.named("end_backup") == [{"confirm": True}]


async def test_an_action_on_the_wrong_kind_of_device_says_which_to_choose(
    hass: HomeAssistant, charger: str, program: str
) -> None:
    for action, device, key in (
        ("resume", program, "not_a_charger"),
        ("resume", "no-such-device", "not_a_charger"),
        ("opt_out_event", charger, "not_a_program"),
    ):
        data = {ATTR_DEVICE_ID: device} | ({"uid": "peak-1"} if action == "opt_out_event" else {})
        with pytest.raises(ServiceValidationError) as refused:
            await hass.services.async_call(DOMAIN, action, data, blocking=True)
        assert refused.value.translation_key == key


@pytest.mark.parametrize("code", sorted(refusals.MISTAKES))
async def test_a_persons_mistake_is_told_as_one(hass: HomeAssistant, charger: str, peer: Peer, code: str) -> None:
    peer.answers["resume"] = refusing(code, argument="pct", found="200", allowed="0 to 100")
    with pytest.raises(ServiceValidationError) as refused:
        await hass.services.async_call(DOMAIN, "resume", {ATTR_DEVICE_ID: charger}, blocking=True)
    assert refused.value.translation_key == f"edge_{code}"
    assert "{" not in str(refused.value)


@pytest.mark.parametrize("code", [*sorted(refusals.TROUBLES), "of_a_later_edge"])
async def test_trouble_at_the_edge_is_told_as_that(hass: HomeAssistant, charger: str, peer: Peer, code: str) -> None:
    peer.answers["resume"] = refusing(code, "the disk is full")
    with pytest.raises(HomeAssistantError) as refused:
        await hass.services.async_call(DOMAIN, "resume", {ATTR_DEVICE_ID: charger}, blocking=True)
    assert not isinstance(refused.value, ServiceValidationError)
    assert refused.value.translation_key == (f"edge_{code}" if code in refusals.TROUBLES else "edge_refused")
    assert "{" not in str(refused.value)


async def test_without_a_link_an_order_says_so(
    hass: HomeAssistant, charger: str, peer: Peer, eventually: Eventually
) -> None:
    await peer.stop()
    await eventually(lambda: shown(hass, "binary_sensor.home_controller") != STATE_ON)
    with pytest.raises(HomeAssistantError) as refused:
        await hass.services.async_call(DOMAIN, "resume", {ATTR_DEVICE_ID: charger}, blocking=True)
    assert refused.value.translation_key == "no_link"


async def test_actions_exist_and_explain_themselves_without_a_loaded_house(
    hass: HomeAssistant, charger: str, house: MockConfigEntry
) -> None:
    await hass.config_entries.async_unload(house.entry_id)
    with pytest.raises(ServiceValidationError):
        await hass.services.async_call(DOMAIN, "resume", {ATTR_DEVICE_ID: charger}, blocking=True)
