"""What each control asks of the controller, and what the ready-by entities remember while they are off."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from homeassistant.const import ATTR_ENTITY_ID, STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry, mock_restore_cache_with_extra_data

from .catalogue import a_drill, full_house, ready_by_plan
from .conftest import attributes, shown
from .peer import Eventually, Peer, event, refusing

CHARGER = {"charger": "driveway"}
EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
READY_BY = {**CHARGER, "id": "ready_by", "weekdays": EVERY_DAY}
MODE = "select.driveway_charger_charge_mode"
TIME, TARGET, SWITCH = (
    "time.driveway_charger_ready_by_time",
    "number.driveway_charger_ready_by_charge",
    "switch.driveway_charger_ready_by",
)
FAULT = {"state": "fault", "alarms": ["over_temp"]}


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a control: the entity, the action with its data, and the command with its arguments. ``charger``,
    ``site``, ``event``: what has to be so before."""

    entity: str
    action: str
    command: str
    args: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    charger: dict[str, Any] = field(default_factory=dict)
    site: dict[str, Any] = field(default_factory=dict)
    event: dict[str, Any] = field(default_factory=dict)


def turned(entity: str, command: str, on: dict[str, Any], off: dict[str, Any], **given: Any) -> Iterator[Use]:
    """A switch in both directions."""
    yield Use(f"switch.{entity}", "turn_off", command, off, **given)
    yield Use(f"switch.{entity}", "turn_on", command, on, **given)


def chosen(entity: str, option: str, command: str, args: dict[str, Any], **given: Any) -> Use:
    """An option of a select."""
    return Use(f"select.{entity}", "select_option", command, args, {"option": option}, **given)


def put(entity: str, value: float, command: str, args: dict[str, Any]) -> Use:
    """A number that is set."""
    return Use(f"number.{entity}", "set_value", command, args, {"value": value})


def press(entity: str, command: str, args: dict[str, Any] | None = None, **given: Any) -> Use:
    """A button."""
    return Use(f"button.{entity}", "press", command, args or {}, **given)


POOL = {"name": "Pool pump", "tier": "nice_to_have", "power_w": 1500, "legs": [], "medical": False, "hours": []}
USES = (
    chosen("home_operating_mode", "paused", "set_mode", {"mode": "paused"}),
    chosen("home_at_the_driver_s_reserve", "lend", "set_at_end", {"at_end": "lend"}),
    chosen("driveway_charger_charge_mode", "automatic", "resume", CHARGER),
    chosen("driveway_charger_charge_mode", "charge_now", "charge", {**CHARGER, "power_w": None, "until": "12 h"}),
    chosen("driveway_charger_charge_mode", "pause", "hold", {**CHARGER, "until": "12 h"}, charger={"manual": None}),
    put("home_backup_reserve", 45, "set_backup_reserve", {"pct": 45}),
    put("home_storm_reserve", 80, "set_storm_reserve", {"pct": 80}),
    put("driveway_charger_driver_s_reserve", 25, "set_drivers_reserve", {**CHARGER, "pct": 25}),
    put("driveway_charger_miles_per_kwh", 3.4, "set_miles_per_kwh", {**CHARGER, "miles_per_kwh": 3.4}),
    put(
        "driveway_charger_maximum_charging_power",
        3.7,
        "set_power_limit",
        {**CHARGER, "charge_w": 3700},
    ),
    put(
        "driveway_charger_maximum_charging_power",
        25,
        "set_power_limit",
        {**CHARGER, "charge_w": None},
    ),
    put(
        "driveway_charger_maximum_discharging_power",
        5,
        "set_power_limit",
        {**CHARGER, "discharge_w": 5000},
    ),
    put("driveway_charger_ready_by_charge", 90, "set_departure", READY_BY | {"local_time": "06:45", "soc_pct": 90.0}),
    put("peak_power_event_floor", 15, "set_event_floor", {"program": "peak", "pct": 15}),
    put("pool_pump_shed_below", 40, "set_load_group", {"id": "pool", **POOL, "shed_below_pct": 40}),
    Use(TIME, "set_value", "set_departure", READY_BY | {"local_time": "07:15", "soc_pct": 85.0}, {"time": "07:15:00"}),
    Use(SWITCH, "turn_off", "clear_departure", {**CHARGER, "id": "ready_by"}),
    Use(
        SWITCH,
        "turn_on",
        "set_departure",
        READY_BY | {"local_time": "07:00", "soc_pct": 80.0},
        charger={"departures": []},
    ),
    *turned(
        "peak_power_participation",
        "set_participation",
        {"program": "peak", "participating": True},
        {"program": "peak", "participating": False},
    ),
    *turned("home_prepare_for_alerts", "set_heeds_alerts", {"heeds": True}, {"heeds": False}),
    Use("switch.home_storm_hold", "turn_off", "end_storm", {}),
    Use(
        "switch.home_storm_hold",
        "turn_on",
        "prepare_for_storm",
        {"until": "24 h", "reserve_pct": 90},
        site={"storm": None},
    ),
    *turned("pool_pump_shed", "set_load", {"group": "pool", "order": "shed"}, {"group": "pool", "order": "auto"}),
    *turned("heat_pump_shed", "set_load", {"group": "heat", "order": "shed"}, {"group": "heat", "order": "auto"}),
    press("home_emergency_stop", "stop"),
    press("home_start_dry_drill", "start_drill", {"transfer": False}),
    press("home_break_off_drill", "cancel_drill", site={"drill": a_drill() | {"ended_at": None}}),
    press("home_try_backup_again", "retry_backup"),
    press("driveway_charger_take_back_what_was_lent", "take_back_lent", CHARGER),
    press("driveway_charger_resume_automatic", "resume", CHARGER),
    press("driveway_charger_skip_next_departure", "skip_departure", {**CHARGER, "id": "weekly"}),
    press("driveway_charger_clear_fault", "clear_fault", CHARGER, charger=FAULT),
    press("driveway_charger_restart_charger", "restart_charger", CHARGER),
    press("peak_power_opt_out_of_next_event", "opt_out", {"event": "peak-1"}),
    press("peak_power_opt_in_to_next_event", "opt_in", {"event": "peak-1"}, event={"status": "opted_out"}),
)


@pytest.fixture
async def full(hass: HomeAssistant, everything_enabled: None, entry: MockConfigEntry, peer: Peer) -> MockConfigEntry:
    """A house where everything goes on, with every entity switched on."""
    full_house(peer.state)
    return entry


async def begin(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


async def do(hass: HomeAssistant, entity: str, action: str, **data: Any) -> None:
    domain = entity.partition(".")[0]
    await hass.services.async_call(domain, action, {ATTR_ENTITY_ID: entity, **data}, blocking=True)


def rounded(args: dict[str, Any]) -> dict[str, Any]:
    """Times from now on as whole hours."""
    if "until" not in args:
        return args
    ahead = datetime.fromisoformat(args["until"]) - datetime.now(UTC)
    return args | {"until": f"{ahead.total_seconds() / 3600:.0f} h"}


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.entity} {use.action} {use.command}")
async def test_a_control_sends_its_command_and_nothing_else(
    hass: HomeAssistant, full: MockConfigEntry, peer: Peer, use: Use
) -> None:
    state = cast("Any", peer.state)
    state["chargers"]["driveway"].update(use.charger)
    state["site"].update(use.site)
    state["programs"]["peak"]["events"] = [event(status="running", start_s=-60) | use.event]
    await begin(hass, full)
    before = shown(hass, use.entity)
    await do(hass, use.entity, use.action, **use.data)
    assert [(one["name"], rounded(one["args"])) for one in peer.commands] == [(use.command, use.args)]
    assert use.entity.startswith("button.") or shown(hass, use.entity) == before  # it changes when the edge says so
    await hass.config_entries.async_unload(full.entry_id)


async def test_every_control_is_tried(
    hass: HomeAssistant, full: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    await begin(hass, full)
    controls = {"button", "number", "select", "switch", "time"}
    ours = er.async_entries_for_config_entry(entity_registry, full.entry_id)
    assert {one.entity_id for one in ours if one.domain in controls} == {use.entity for use in USES}
    await hass.config_entries.async_unload(full.entry_id)


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.entity} {use.action} {use.command}")
async def test_a_refusal_is_told_and_changes_nothing(
    hass: HomeAssistant, full: MockConfigEntry, peer: Peer, use: Use
) -> None:
    state = cast("Any", peer.state)
    state["chargers"]["driveway"].update(use.charger)
    state["site"].update(use.site)
    state["programs"]["peak"]["events"] = [event(status="running", start_s=-60) | use.event]
    peer.answers[use.command] = refusing("stopped")
    await begin(hass, full)
    before = shown(hass, use.entity), shown(hass, TIME), shown(hass, TARGET)
    with pytest.raises(ServiceValidationError):
        await do(hass, use.entity, use.action, **use.data)
    after = shown(hass, use.entity), shown(hass, TIME), shown(hass, TARGET)
    assert after[1:] == before[1:]
    assert use.entity.startswith("button.") or after == before
    await hass.config_entries.async_unload(full.entry_id)


# ---------------------------------------------------------------------------------------------------- what is offered


async def test_a_discharge_by_hand_is_shown_in_the_charge_mode_and_cannot_be_begun_there(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    assert shown(hass, MODE) == "automatic"
    with pytest.raises(ServiceValidationError):
        await do(hass, MODE, "select_option", option="discharge")
    order = {"kind": "discharge", "power_w": 3000, "until": "2030-01-01T00:00:00+00:00"}
    await peer.push(lambda state: state["chargers"]["driveway"].update(manual=order))
    await eventually(lambda: shown(hass, MODE) == "discharge")
    assert attributes(hass, MODE, "options")["options"] == ["automatic", "charge_now", "pause", "discharge"]
    await do(hass, MODE, "select_option", option="discharge")
    assert peer.commands == []
    await peer.push(lambda state: state["chargers"]["driveway"].update(manual=order | {"kind": "polish"}))
    await eventually(lambda: shown(hass, MODE) == STATE_UNKNOWN)
    await peer.push(lambda state: state["chargers"]["driveway"].update(manual=None))
    await eventually(lambda: shown(hass, MODE) == "automatic")
    assert attributes(hass, MODE, "options")["options"] == ["automatic", "charge_now", "pause"]


@pytest.mark.parametrize(
    ("charger", "clears", "restarts"),
    [
        ({}, False, True),
        (FAULT, True, True),
        ({"alarms": ["grid_disconnect"]}, False, True),
        ({"forming": True}, False, False),
        ({"connected": False, "state": "offline", "alarms": []}, False, False),
    ],
)
async def test_a_fault_is_cleared_only_while_there_is_one_and_nothing_restarts_while_it_carries_the_house(
    hass: HomeAssistant, full: MockConfigEntry, peer: Peer, charger: dict[str, Any], *, clears: bool, restarts: bool
) -> None:
    cast("Any", peer.state["chargers"]["driveway"]).update(charger)
    await begin(hass, full)
    assert (shown(hass, "button.driveway_charger_clear_fault") != STATE_UNAVAILABLE) is clears
    assert (shown(hass, "button.driveway_charger_restart_charger") != STATE_UNAVAILABLE) is restarts
    await hass.config_entries.async_unload(full.entry_id)


# ----------------------------------------------------------------------------------------------------------- ready by


def ready_by(hass: HomeAssistant) -> tuple[str, str, str]:
    return shown(hass, SWITCH), shown(hass, TIME), shown(hass, TARGET)


async def plan(peer: Peer, *plans: dict[str, Any]) -> None:
    await peer.push(lambda state: state["chargers"]["driveway"].update(departures=list(plans)))


async def test_time_and_charge_are_remembered_while_ready_by_is_off_and_used_when_it_is_switched_on(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    assert ready_by(hass) == (STATE_OFF, "07:00:00", "80.0")
    await do(hass, TIME, "set_value", time="05:30:00")
    await do(hass, TARGET, "set_value", value=95)
    assert ready_by(hass) == (STATE_OFF, "05:30:00", "95.0")
    assert peer.commands == []
    await do(hass, SWITCH, "turn_off")
    assert peer.commands == []

    await do(hass, SWITCH, "turn_on")
    assert peer.named("set_departure") == [READY_BY | {"local_time": "05:30", "soc_pct": 95.0}]
    assert shown(hass, SWITCH) == STATE_OFF  # the edge has not said so
    await plan(peer, ready_by_plan(local_time="05:30", soc_pct=95.0))
    await eventually(lambda: ready_by(hass) == (STATE_ON, "05:30:00", "95.0"))
    await do(hass, SWITCH, "turn_on")
    assert len(peer.commands) == 1


async def test_changes_in_quick_succession_are_all_kept_though_the_controller_shows_them_later(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await do(hass, SWITCH, "turn_on")
    await do(hass, TARGET, "set_value", value=95)
    await do(hass, TIME, "set_value", time="05:30:00")
    assert [(one["local_time"], one["soc_pct"]) for one in peer.named("set_departure")] == [
        ("07:00", 80.0),
        ("07:00", 95.0),
        ("05:30", 95.0),
    ]
    await plan(peer, ready_by_plan(local_time="05:30", soc_pct=95.0))
    await eventually(lambda: ready_by(hass) == (STATE_ON, "05:30:00", "95.0"))

    await do(hass, SWITCH, "turn_off")
    await do(hass, TIME, "set_value", time="08:00:00")
    await do(hass, SWITCH, "turn_off")
    assert len(peer.named("set_departure")) == 3
    assert len(peer.named("clear_departure")) == 1
    await plan(peer)
    await eventually(lambda: ready_by(hass) == (STATE_OFF, "08:00:00", "95.0"))


async def test_another_departure_is_no_ready_by_and_is_left_alone(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    bus = ready_by_plan(id="school bus", local_time="06:40")
    once = ready_by_plan(at="2030-01-01T12:00:00+00:00", local_time=None, weekdays=[])
    await plan(peer, bus, once)
    await eventually(lambda: house.runtime_data.data["chargers"]["driveway"]["departures"] == [bus, once])
    assert ready_by(hass) == (STATE_OFF, "07:00:00", "80.0")
    await plan(peer, bus, ready_by_plan(local_time="08:05", soc_pct=70.0))
    await eventually(lambda: ready_by(hass) == (STATE_ON, "08:05:00", "70.0"))
    await do(hass, SWITCH, "turn_off")
    assert peer.named("clear_departure") == [{**CHARGER, "id": "ready_by"}]
    await plan(peer, bus)
    await eventually(lambda: ready_by(hass) == (STATE_OFF, "08:05:00", "70.0"))


async def test_a_plan_in_miles_or_on_school_days_stays_so_when_its_time_is_moved(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    days = ["mon", "tue"]
    await plan(peer, ready_by_plan(weekdays=days, soc_pct=None, miles=90.0))
    await eventually(lambda: ready_by(hass) == (STATE_ON, "06:45:00", STATE_UNKNOWN))
    await do(hass, TIME, "set_value", time="07:10:00")
    asked = {**CHARGER, "id": "ready_by", "weekdays": days, "local_time": "07:10"}
    assert peer.named("set_departure") == [asked | {"miles": 90.0}]
    await do(hass, TARGET, "set_value", value=75)
    assert peer.named("set_departure")[1] == asked | {"soc_pct": 75.0}


async def test_a_restart_of_home_assistant_forgets_nothing(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer
) -> None:
    kept = {"at": "04:50:00", "target_pct": 65.0}
    mock_restore_cache_with_extra_data(
        hass, [(State(entity, "unavailable"), kept) for entity in (TIME, TARGET, SWITCH)]
    )
    await begin(hass, entry)
    assert ready_by(hass) == (STATE_OFF, "04:50:00", "65.0")
    await do(hass, TARGET, "set_value", value=70)
    await hass.config_entries.async_reload(entry.entry_id)
    assert ready_by(hass) == (STATE_OFF, "04:50:00", "70.0")
    await hass.config_entries.async_unload(entry.entry_id)


async def test_what_the_controller_has_counts_before_what_was_remembered(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer
) -> None:
    kept = {"at": "04:50:00", "target_pct": 65.0}
    mock_restore_cache_with_extra_data(hass, [(State(TIME, "04:50:00"), kept)])
    peer.state["chargers"]["driveway"]["departures"] = cast("Any", [ready_by_plan()])
    await begin(hass, entry)
    assert ready_by(hass) == (STATE_ON, "06:45:00", "85.0")
    await hass.config_entries.async_unload(entry.entry_id)


async def test_without_a_link_nothing_is_remembered_that_was_not_taken(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await plan(peer, ready_by_plan())
    await eventually(lambda: shown(hass, SWITCH) == STATE_ON)
    peer.answers["set_departure"] = refusing("internal")
    with pytest.raises(HomeAssistantError):
        await do(hass, TIME, "set_value", time="09:00:00")
    assert shown(hass, TIME) == "06:45:00"
