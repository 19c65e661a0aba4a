"""Sensors of a charger and its vehicle, and why it does what it does."""

from collections.abc import Callable, Mapping
from typing import Any

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import (
    EntityCategory,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfFrequency,
    UnitOfRatio,
    UnitOfTemperature,
)

from .entity import may_discharge
from .faults import error_code
from .reasons import BLOCKS, CONTROL_REASONS, DRAWS, GIVES, ORDER_REASONS, ORDER_STAGES
from .sensor_rows import SensorRow, Value, energy_row, enum_row, power_row, reading_row, share_row, time_row, turned
from .times import time_of
from .wire import ChargerWire, DepartureState, StepState


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
    wished = _wish(last["reason"]) if last is not None and last["low_w"] == last["high_w"] == 0 else None
    for step in charger["why"]:
        bound_w = step["low_w"] if wished == "discharge_limit" else step["high_w"]
        if wished is not None and step["reason"] == "device" and bound_w == 0:
            return next((alarm for alarm in _alarms(step) if alarm in ORDER_REASONS), wished)
    return None


def _wish(reason: str) -> str | None:
    """What the direction that a step asks for is called when charger and vehicle allow none; None: it asks for none."""
    if reason in DRAWS:
        return "charge_limit"
    return "discharge_limit" if reason in GIVES or reason == "event" else None


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


def one_way_w(power_w: int | None, way: int) -> int | None:
    """The part of the power that goes one way, never negative: 1 into the vehicle, -1 out of it."""
    return None if power_w is None else max(0, way * power_w)


def blocked_by(charger: ChargerWire) -> str | None:
    """Why it cannot discharge now; an older edge does not tell."""
    return (charger["blocked_by"] or "none") if "blocked_by" in charger else None


def told(key: str) -> Callable[[ChargerWire], bool]:
    """Whether the kind of charger, and its edge, tell this."""
    return lambda charger: key in charger


# What moves all the time without telling anybody anything new.
VOLTAGE_DEADBAND_V = 1.0
CURRENT_DEADBAND_A = 0.5
FREQUENCY_DEADBAND_HZ = 0.05
TEMPERATURE_DEADBAND_C = 1.0

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
    power_row(
        "charging_power", lambda charger: one_way_w(charger["power_w"], 1), entity_registry_enabled_default=False
    ),
    power_row(
        "discharging_power",
        lambda charger: one_way_w(charger["power_w"], -1),
        entity_registry_enabled_default=False,
        exists=may_discharge,
    ),
    power_row(
        "charging_available",
        lambda charger: charger["charge_max_w"],
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
    ),
    power_row(
        "discharging_available",
        lambda charger: charger["discharge_max_w"],
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        exists=may_discharge,
    ),
    energy_row("energy_charged", lambda charger: charger["energy_charged_wh"]),
    energy_row("energy_discharged", lambda charger: charger["energy_discharged_wh"]),
    energy_row(
        "energy_backup",
        lambda charger: charger.get("backup_wh"),
        exists=lambda charger: "backup_wh" in charger and charger["can_back_up"],
    ),
    energy_row(
        "energy_events",
        lambda charger: charger.get("events_wh"),
        exists=lambda charger: "events_wh" in charger and may_discharge(charger),
    ),
    energy_row(
        "session_energy_charged",
        lambda charger: charger.get("session_charged_wh"),
        entity_registry_enabled_default=False,
        exists=told("session_charged_wh"),
    ),
    energy_row(
        "session_energy_discharged",
        lambda charger: charger.get("session_discharged_wh"),
        entity_registry_enabled_default=False,
        exists=lambda charger: "session_discharged_wh" in charger and may_discharge(charger),
    ),
    enum_row("control_reason", CONTROL_REASONS, lambda charger: charger["reason"]),
    enum_row("order", ["none", *ORDER_STAGES], order_stage, attributes=order_evidence),
    enum_row(
        "limited_by",
        ["none", *ORDER_REASONS, "other"],
        limited_by,
    ),
    enum_row("blocked_by", ["none", *BLOCKS, "other"], blocked_by, exists=told("blocked_by")),
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
    reading_row(
        "voltage",
        SensorDeviceClass.VOLTAGE,
        UnitOfElectricPotential.VOLT,
        VOLTAGE_DEADBAND_V,
        lambda charger: charger.get("voltage_v"),
        suggested_display_precision=1,
        exists=told("voltage_v"),
    ),
    reading_row(
        "current",
        SensorDeviceClass.CURRENT,
        UnitOfElectricCurrent.AMPERE,
        CURRENT_DEADBAND_A,
        lambda charger: turned(charger.get("current_a")),
        suggested_display_precision=1,
        exists=told("current_a"),
    ),
    reading_row(
        "frequency",
        SensorDeviceClass.FREQUENCY,
        UnitOfFrequency.HERTZ,
        FREQUENCY_DEADBAND_HZ,
        lambda charger: charger.get("frequency_hz"),
        suggested_display_precision=2,
        exists=told("frequency_hz"),
    ),
    reading_row(
        "temperature",
        SensorDeviceClass.TEMPERATURE,
        UnitOfTemperature.CELSIUS,
        TEMPERATURE_DEADBAND_C,
        lambda charger: charger.get("temperature_c"),
        suggested_display_precision=0,
        exists=told("temperature_c"),
    ),
    SensorRow(
        key="error_code",
        translation_key="error_code",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=error_code,
        exists=told("alarms"),
    ),
)
