"""What is wrong with a charger or the site, and asks for a person."""

from collections.abc import Mapping
from typing import Any

from .wire import ChargerWire, NoticeWire, State

# What a charger tells of its vehicle and of the grid is no fault of its own.
NO_FAULT = frozenset(
    {
        "session_not_bidirectional",
        "v2g_not_offered",
        "window_unknown",
        "ac_disconnect",
        "grid_disconnect",
        "over_frequency",
        "under_frequency",
        "ac_over_volt",
        "ac_under_volt",
        "pcs_1_grid_power_outage",
        "pcs_1_grid_over_voltage",
        "pcs_1_grid_under_voltage",
        "pcs_1_grid_over_frequency",
        "pcs_1_grid_under_frequency",
    }
)
# Warnings that tell what goes on as it should, or ask a question: nothing is broken.
NO_TROUBLE = frozenset(
    {
        "outage",
        "power_back",
        "return_announced",
        "drill_running",
        "event_asks",
        "event_short",
        "departure_late",
        "solar_surplus",
        "overload",
        "stopped",
    }
)
# A sensor's state has no room for more.
LONGEST_STATE = 255


def own_alarms(charger: ChargerWire) -> tuple[str, ...]:
    """The alarms that are the charger's own, in its words."""
    return tuple(alarm for alarm in charger.get("alarms", ()) if alarm not in NO_FAULT)


def has_fault(charger: ChargerWire) -> bool:
    """It tells a fault of its own."""
    return charger["state"] == "fault" or bool(own_alarms(charger))


def charger_problem(charger: ChargerWire, _: bool | None = None) -> bool | None:
    """Whether the charger tells a fault of its own; not known without contact."""
    return has_fault(charger) if charger["connected"] else None


def error_code(charger: ChargerWire) -> str | None:
    """The charger's own alarms as one text; not known without contact."""
    return (", ".join(own_alarms(charger))[:LONGEST_STATE] or "none") if charger["connected"] else None


def _is_trouble(notice: NoticeWire) -> bool:
    return notice["level"] in ("critical", "warning") and notice["kind"] not in NO_TROUBLE


def needs_person(state: State, _: bool | None = None) -> bool:
    """Whether something here is wrong that a person must see to."""
    chargers = state["chargers"].values()
    return any(map(_is_trouble, state["notices"])) or any(
        charger["connected"] and has_fault(charger) for charger in chargers
    )


def troubles(state: State) -> Mapping[str, Any]:
    """Which notices say so, and which chargers have a fault."""
    kinds = dict.fromkeys(notice["kind"] for notice in state["notices"] if _is_trouble(notice))
    faulty = [charger["name"] for charger in state["chargers"].values() if charger["connected"] and has_fault(charger)]
    return {"notices": tuple(kinds), "chargers": tuple(faulty)}
