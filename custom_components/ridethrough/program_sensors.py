"""What a program, its events and its season come to, as sensors."""

from collections.abc import Callable, Mapping
from typing import Any

from homeassistant.components.sensor import SensorStateClass
from homeassistant.const import EntityCategory

from .program_events import BY_HAND, is_active, measured_event, next_event, shown_event, waits_for_yes
from .sensor_rows import SensorRow, energy_row, enum_row, money_row, power_row, time_row, turned
from .times import time_of
from .wire import EventWire, ProgramWire

# What keeps an event from its target: the contract's words in EventWire.
LIMITS = [
    "outage",
    "generator",
    "grid_unknown",
    "other_event",
    "stopped",
    "mode",
    "manual",
    "departure",
    "reserve",
    "event_floor",
    "storm",
    "grid_emergency",
    "black_start",
    "export_limit",
    "import_limit",
    "capacity_limit",
    "meter_silent",
    "no_vehicle",
    "vehicle",
    "charger",
    "charger_silent",
    "another_controller",
    "no_setpoint",
    "rating",
    "not_followed",
    "power_unknown",
    "persons_limit",
]


def _of[ValueT](
    event: Callable[[ProgramWire], EventWire | None], value: Callable[[EventWire], ValueT]
) -> Callable[[ProgramWire], ValueT | None]:
    def read(program: ProgramWire) -> ValueT | None:
        found = event(program)
        return None if found is None else value(found)

    return read


def event_status(program: ProgramWire) -> str:
    """The phase of the running or next event, else the last one's outcome."""
    event = shown_event(program)
    if event is None:
        return "none"
    return "asks" if waits_for_yes(event) else event["status"]


def about_event(program: ProgramWire) -> Mapping[str, Any]:
    """Which event the status tells of, how it departs from its program's rules, and whether it is a rehearsal."""
    event = shown_event(program)
    if event is None or "flags" not in event:
        return {}
    return {
        "uid": event["uid"],
        "day": event.get("day", ""),
        "flags": tuple(event["flags"]),
        "rehearsal": event.get("rehearsal", False),
    }


def limits(program: ProgramWire) -> str:
    """What keeps the running or next event from its target."""
    event = next_event(program)
    return (event.get("limited_by") if event is not None else None) or "none"


def no_event_runs(program: ProgramWire) -> bool:
    """What was delivered and earned stands as it is."""
    return not is_active(program)


PROGRAM_SENSORS: tuple[SensorRow[ProgramWire], ...] = (
    enum_row(
        "event_status",
        [
            "none",
            "announced",
            "preparing",
            "prepared",
            "running",
            "interrupted",
            "asks",
            "opted_out",
            "finished",
            "missed",
            "cancelled",
        ],
        event_status,
        attributes=about_event,
    ),
    time_row("next_event_start", _of(next_event, lambda event: time_of(event["start"]))),
    time_row("next_event_end", _of(next_event, lambda event: time_of(event["end"]))),
    power_row("event_power", _of(next_event, lambda event: turned(event["power_w"]))),
    power_row("event_feasible_power", _of(next_event, lambda event: turned(event["feasible_w"]))),
    energy_row("event_energy", _of(measured_event, lambda event: event["energy_wh"]), at_rest=no_event_runs),
    power_row("event_average_power", _of(measured_event, lambda event: event["average_w"]), at_rest=no_event_runs),
    money_row("event_earnings", _of(measured_event, lambda event: event["earnings_usd"]), at_rest=no_event_runs),
    enum_row("event_limited_by", ["none", *LIMITS, "other"], limits, exists=lambda program: "preset" in program),
    money_row(
        "event_stake",
        _of(next_event, lambda event: event.get("stake_usd")),
        exists=lambda program: "preset" in program,
    ),
    power_row("season_power", lambda program: program["season_average_w"], at_rest=no_event_runs),
    money_row(
        "season_earnings",
        lambda program: program["season_earnings_usd"],
        at_rest=no_event_runs,
        state_class=SensorStateClass.TOTAL,
    ),
    money_row(
        "season_projection",
        lambda program: program.get("season_projection_usd"),
        exists=lambda program: "season_projection_usd" in program,
    ),
    power_row(
        "season_site_power",
        lambda program: program.get("season_site_average_w"),
        exists=lambda program: "season_site_average_w" in program,
        entity_registry_enabled_default=False,
    ),
    SensorRow(
        key="season_events",
        translation_key="season_events",
        state_class=SensorStateClass.TOTAL,
        value=lambda program: program["season_events"],
    ),
    SensorRow(
        key="season_missed",
        translation_key="season_missed",
        state_class=SensorStateClass.TOTAL,
        entity_registry_enabled_default=False,
        value=lambda program: program.get("season_missed"),
        exists=lambda program: "season_missed" in program,
    ),
    SensorRow(
        key="season_opt_outs",
        translation_key="season_opt_outs",
        state_class=SensorStateClass.TOTAL,
        entity_registry_enabled_default=False,
        value=lambda program: program.get("season_opted_out"),
        exists=lambda program: "season_opted_out" in program,
    ),
    time_row(
        "last_contact",
        lambda program: time_of(program["last_contact"]),
        exists=lambda program: program["kind"] != BY_HAND,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
    ),
)
