"""What is measured and decided, as sensors. Signs are turned to Home Assistant's here and nowhere else."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import EntityCategory, UnitOfRatio, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import RidethroughConfigEntry
from .entity import CHARGER, LOAD, PROGRAM, SITE, add_as_they_come
from .outage_sensors import LOAD_SENSORS, OUTAGE_SENSORS
from .program_events import time_of
from .program_sensors import PROGRAM_SENSORS
from .sensor_rows import (
    RidethroughSensor,
    SensorRow,
    Value,
    energy_row,
    enum_row,
    power_row,
    share_row,
    time_row,
    turned,
)
from .wire import ChargerWire, DepartureState, SiteWire, StepState, SwitchWire

PARALLEL_UPDATES = 0

# The rungs of the edge's ladder, highest first.
CONTROL_REASONS = [
    "device_safety",
    "stop",
    "site_limits",
    "outage",
    "drivers_reserve",
    "manual",
    "departure",
    "backup_reserve",
    "demand_response",
    "plan",
    "idle",
    "other",
]


# Why the last rung that was heard settled the charger so: the contract's "Reasons of a step", rung by rung.
STEP_REASONS = [
    "device",
    "no_contact",
    "not_probed",
    "no_lease",
    "takes_no_setpoint",
    "commanded_by_other",
    "another_controller",
    "service_not_permitted",
    "charger_offline",
    "charger_booting",
    "charger_fault",
    "charger_blocked",
    "read_only",
    "taken_back",
    "stopped_by_person",
    "no_export_off_grid",
    "generator",
    "meter_silent",
    "meter_late",
    "import_capacity",
    "export_capacity",
    "service_limits",
    "rests_after_limit",
    "grid_unknown",
    "protective_act",
    "left_to_its_own_act",
    "forms_the_island",
    "parked",
    "drill",
    "returning",
    "handing_over",
    "begins_anew",
    "drivers_reserve",
    "manual_charge",
    "manual_discharge",
    "manual_hold",
    "paused",
    "departure_charges",
    "departure_late",
    "departure_keeps",
    "storm",
    "storm_charges",
    "grid_emergency",
    "black_start",
    "hold_for_backup",
    "backup_reserve",
    "event",
    "event_floor",
    "event_no_charge",
    "event_charge_share",
    "event_waits_for_power",
    "event_rehearsed",
    "charges_for_event",
    "fills_reserve",
    "rests",
    "other",
]

# How far an order has come: the contract's stages.
ORDER_STAGES = ["ordered", "written", "read_back", "measured", "held", "limited", "refused"]

# Why an order is not followed as given: the contract's "Reasons of an order".
ORDER_REASONS = [
    "rounded",
    "dead_zone_left",
    "dead_zone_raised",
    "dwell",
    "charge_limit",
    "discharge_limit",
    "soc_ceiling",
    "soc_floor",
    "vehicle",
    "not_followed",
    "overwritten",
    "no_contact",
    "local_mode",
    "service_not_permitted",
    "identity_changed",
    "other_device",
    "not_supported",
    "beyond_rating",
    "not_readable",
    "not_applied",
    "session_not_bidirectional",
    "v2g_not_offered",
    "window_unknown",
    "not_sunspec",
    "not_sunspec_der",
    "illegal_function",
    "illegal_address",
    "illegal_value",
    "device_failure",
    "busy",
    "refused",
]

# The reasons of a step that ask for a flow, and what it is called when charger and vehicle allow none.
WISHES: Mapping[str, str] = {
    "manual_discharge": "discharge_limit",
    "event": "discharge_limit",
    "manual_charge": "charge_limit",
    "departure_charges": "charge_limit",
    "departure_late": "charge_limit",
    "storm_charges": "charge_limit",
    "charges_for_event": "charge_limit",
    "fills_reserve": "charge_limit",
}


# ---------------------------------------------------------------------------------------------------------- the site


def grid_status(site: SiteWire) -> str | None:
    """The published table from the two facts ``grid`` and ``supply`` to one word; None where there is no evidence."""
    if site["grid"] == "on":
        return "islanded" if site["supply"] in ("island", "vendor_backup") else "connected"
    words = {"suspect": "checking", "outage": "outage", "restoring": "reconnecting", "generator": "generator"}
    return words.get(site["grid"])


def supply(site: SiteWire) -> str | None:
    """What feeds the house."""
    return None if site["supply"] == "unknown" else site["supply"]


def switch_position(switch: SwitchWire | None) -> str | None:
    """What the contacts prove; neither: it moves or is stuck; both: the feedback is wrong."""
    if switch is None or switch["open_proven"] is None or switch["closed_proven"] is None:
        return None
    proofs = (switch["open_proven"], switch["closed_proven"])
    return {(True, False): "open", (False, True): "closed", (False, False): "moving"}.get(proofs, "contradictory")


def switch_command(switch: SwitchWire | None) -> str | None:
    """What the island switch was told."""
    if switch is None or switch["commanded_open"] is None:
        return None
    return "open" if switch["commanded_open"] else "closed"


def outage_started(site: SiteWire) -> datetime | None:
    """Start of the outage that runs; None when there is none."""
    outage = site["outage"]
    return time_of(outage["started_at"]) if outage is not None and outage["ended_at"] is None else None


def last_outage_s(site: SiteWire) -> float | None:
    """Length of the last outage that is over."""
    outage = site["outage"]
    started, ended = (time_of(outage["started_at"]), time_of(outage["ended_at"])) if outage else (None, None)
    return (ended - started).total_seconds() if started and ended else None


def leg_power_w(site: SiteWire, leg: int) -> int | None:
    """The power of one leg of the service, counted from 1."""
    legs = site.get("leg_power_w", [])
    return legs[leg - 1] if leg <= len(legs) else None


def storm_until(site: SiteWire) -> datetime | None:
    """The end of the storm that is prepared for."""
    storm = site.get("storm")
    return time_of(storm["until"]) if storm else None


def storm_data(site: SiteWire) -> Mapping[str, Any]:
    """What else is known of the storm."""
    storm = site.get("storm")
    return {"reserve_pct": storm["reserve_pct"], "storm": storm["name"]} if storm else {}


def leg_row(leg: int) -> SensorRow[SiteWire]:
    """The power of one leg, where the meter tells it."""
    row: SensorRow[SiteWire] = power_row(
        f"leg_{leg}_power",
        lambda site: leg_power_w(site, leg),
        exists=lambda site: leg <= len(site.get("leg_power_w", [])),
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
    )
    return replace(row, translation_key="leg_power", translation_placeholders={"leg": str(leg)})


def _has_meter(site: SiteWire) -> bool:
    return site["has_meter"]


def _has_backup(site: SiteWire) -> bool:
    return site["has_backup"]


def _has_switch(site: SiteWire) -> bool:
    return site["switch"] is not None


SITE_SENSORS: tuple[SensorRow[SiteWire], ...] = (
    enum_row(
        "grid_status",
        ["connected", "checking", "outage", "islanded", "reconnecting", "generator"],
        grid_status,
    ),
    enum_row("supply", ["grid", "transfer", "island", "vendor_backup", "none"], supply),
    enum_row("control_reason", CONTROL_REASONS, lambda site: site["reason"]),
    power_row("grid_power", lambda site: site["grid_power_w"], exists=_has_meter),
    power_row("house_power", lambda site: site["house_power_w"]),
    leg_row(1),
    leg_row(2),
    leg_row(3),
    energy_row("grid_energy_imported", lambda site: site["energy_imported_wh"], exists=_has_meter),
    energy_row("grid_energy_exported", lambda site: site["energy_exported_wh"], exists=_has_meter),
    time_row("outage_started", outage_started),
    SensorRow(
        key="last_outage_duration",
        translation_key="last_outage_duration",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_unit_of_measurement=UnitOfTime.MINUTES,
        suggested_display_precision=0,
        value=last_outage_s,
    ),
    time_row("returning_at", lambda site: time_of(site["returning_at"]), exists=_has_backup),
    time_row("storm_until", storm_until, attributes=storm_data, exists=lambda site: "storm" in site),
    share_row(
        "backup_reserve_now",
        lambda site: site.get("backup_reserve_effective_pct"),
        exists=lambda site: "backup_reserve_effective_pct" in site,
    ),
    enum_row(
        "island_switch",
        ["open", "closed", "moving", "contradictory"],
        lambda site: switch_position(site["switch"]),
        exists=_has_switch,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
    enum_row(
        "island_switch_command",
        ["open", "closed"],
        lambda site: switch_command(site["switch"]),
        exists=_has_switch,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
    SensorRow(
        key="cycle_delay",
        translation_key="cycle_delay",
        device_class=SensorDeviceClass.DURATION,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfTime.MILLISECONDS,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        deadband=5.0,
        value=lambda site: site["cycle_late_p99_ms"],
    ),
)


# ------------------------------------------------------------------------------------------------------- the charger


def charger_status(charger: ChargerWire) -> str:
    """The charger's state, with other words where Home Assistant reserves ours."""
    return {"unavailable": "out_of_service", "booting": "starting"}.get(charger["state"], charger["state"])


def order_stage(charger: ChargerWire) -> str:
    """How far the order that stands has come."""
    order = charger["order"]
    return "none" if order is None else order["stage"]


def limited_by(charger: ChargerWire) -> str | None:
    """Why the order is not followed as given, or why what is wished comes to nothing."""
    order = charger["order"]
    if order is not None and order["reason"] is not None:
        return order["reason"]
    return _forbidden_by(charger) or "none"


def _forbidden_by(charger: ChargerWire) -> str | None:
    """What charger and vehicle tell of the direction that is wished, while they allow nothing in it."""
    last = charger["why"][-1] if charger["why"] else None
    wished = WISHES.get(last["reason"]) if last is not None and last["low_w"] == last["high_w"] == 0 else None
    for step in charger["why"]:
        bound_w = step["low_w"] if wished == "discharge_limit" else step["high_w"]
        if wished is not None and step["reason"] == "device" and bound_w == 0:
            return next((alarm for alarm in _alarms(step) if alarm in ORDER_REASONS), wished)
    return None


def _alarms(step: StepState) -> tuple[str, ...]:
    return tuple(step["data"].get("limited_by", ()))


def told_of_limit(charger: ChargerWire) -> Mapping[str, Any]:
    """What the charger tells while it allows nothing in a direction."""
    told = next((alarms for step in charger["why"] if (alarms := _alarms(step))), ())
    return {"limited_by": told} if told else {}


def why(charger: ChargerWire) -> str | None:
    """The reason of the step that settled the charger; None before the first decision."""
    return charger["why"][-1]["reason"] if charger["why"] else None


def order_evidence(charger: ChargerWire) -> Mapping[str, Any]:
    """When the order that stands reached each of its stages; an older edge does not tell."""
    order = charger["order"]
    reached = order.get("reached", {}) if order else {}
    return {f"{stage}_at": reached[stage] for stage in ORDER_STAGES if stage in reached}


def _plans_departures(charger: ChargerWire) -> bool:
    return "departures" in charger


def _of_departure(value: Callable[[DepartureState], Value]) -> Callable[[ChargerWire], Value]:
    def read(charger: ChargerWire) -> Value:
        departure = charger.get("departure")
        return None if departure is None else value(departure)

    return read


def departure_status(charger: ChargerWire) -> str | None:
    """How the vehicle stands toward its next departure; None where that cannot be judged now."""
    departure = charger.get("departure")
    return "none" if departure is None else departure["stage"]


def departure_data(charger: ChargerWire) -> Mapping[str, Any]:
    """Which plan it is, and what it asks for in its own unit."""
    departure = charger.get("departure")
    if departure is None:
        return {}
    asked = {"target": departure["soc_pct"]} if departure["miles"] is None else {"miles": departure["miles"]}
    return {"plan": departure["id"], **asked}


def departure_charging(charger: ChargerWire) -> Mapping[str, Any]:
    """Whether it is charged for it now; what stands higher may forbid that."""
    departure = charger.get("departure")
    return {} if departure is None else {"charging": departure["charging"]}


def reserve_in_miles(charger: ChargerWire) -> Mapping[str, Any]:
    """What the reserve was asked for in, if in miles."""
    miles = charger.get("drivers_reserve_miles")
    return {} if miles is None else {"miles": miles}


def setpoint_w(charger: ChargerWire) -> int | None:
    """The power that was ordered, in Home Assistant's sign; None while nothing is."""
    return turned(charger["order"]["power_w"]) if charger["order"] else None


CHARGER_SENSORS: tuple[SensorRow[ChargerWire], ...] = (
    enum_row(
        "status",
        [
            "offline",
            "starting",
            "out_of_service",
            "disconnected",
            "preparing",
            "idle",
            "waiting",
            "blocked",
            "charging",
            "discharging",
            "finished",
            "fault",
        ],
        charger_status,
    ),
    SensorRow(
        key="vehicle_battery",
        translation_key="vehicle_battery",
        device_class=SensorDeviceClass.BATTERY,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfRatio.PERCENTAGE,
        suggested_display_precision=0,
        deadband=0.5,
        value=lambda charger: charger["soc_pct"],
    ),
    power_row("power", lambda charger: turned(charger["power_w"])),
    share_row(
        "drivers_reserve_now",
        lambda charger: charger.get("drivers_reserve_effective_pct"),
        attributes=reserve_in_miles,
        exists=lambda charger: "drivers_reserve_effective_pct" in charger,
    ),
    share_row("lent", lambda charger: charger.get("lent_pct"), exists=lambda charger: "lent_pct" in charger),
    power_row(
        "power_setpoint", setpoint_w, entity_category=EntityCategory.DIAGNOSTIC, entity_registry_enabled_default=False
    ),
    energy_row("energy_charged", lambda charger: charger["energy_charged_wh"]),
    energy_row("energy_discharged", lambda charger: charger["energy_discharged_wh"]),
    enum_row("control_reason", CONTROL_REASONS, lambda charger: charger["reason"]),
    enum_row("why", STEP_REASONS, why, attributes=told_of_limit),
    enum_row("order", ["none", *ORDER_STAGES], order_stage, attributes=order_evidence),
    enum_row(
        "limited_by",
        ["none", *ORDER_REASONS, "other"],
        limited_by,
    ),
    enum_row(
        "authority",
        ["ours", "app", "local", "ocpp"],
        lambda charger: charger["authority"],
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
    time_row("manual_until", lambda charger: time_of(charger["manual"]["until"]) if charger["manual"] else None),
    time_row(
        "next_departure",
        _of_departure(lambda departure: time_of(departure["at"])),
        attributes=departure_data,
        exists=_plans_departures,
    ),
    enum_row(
        "departure_status",
        ["none", "ready", "waits", "charges", "late"],
        departure_status,
        attributes=departure_charging,
        exists=_plans_departures,
    ),
    share_row("departure_target", _of_departure(lambda departure: departure["target_pct"]), exists=_plans_departures),
    share_row("departure_charge", _of_departure(lambda departure: departure["reaches_pct"]), exists=_plans_departures),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the sensors of site, chargers, programs and load groups."""
    add_as_they_come(entry, async_add_entities, SITE, (*SITE_SENSORS, *OUTAGE_SENSORS), RidethroughSensor)
    add_as_they_come(entry, async_add_entities, CHARGER, CHARGER_SENSORS, RidethroughSensor)
    add_as_they_come(entry, async_add_entities, PROGRAM, PROGRAM_SENSORS, RidethroughSensor)
    add_as_they_come(entry, async_add_entities, LOAD, LOAD_SENSORS, RidethroughSensor)
