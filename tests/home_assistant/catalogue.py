"""Every entity of a full house as one line of a table, and how it looks when nothing is known or the edge is older.

The table is ``catalogue.txt``. When the catalogue changes on purpose, let the test write it anew with
``pytest tests/home_assistant/test_catalogue.py --snapshot-update``, and read the difference.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any, cast, get_args, get_type_hints

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from custom_components.ridethrough import wire

from .peer import INSTALLATION, at, departure, event

FILE = Path(__file__).with_name("catalogue.txt")
HEADS = ("entity", "class", "unit", "state class", "category", "default", "in the house", "nothing known", "older edge")


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """What is pinned of an entity, beside its states."""

    entity: str
    device_class: str
    unit: str
    state_class: str
    category: str
    default: str


def full_house(state: wire.State) -> wire.State:
    """A house in which everything goes on: an outage that ended, a drill, a storm, a departure, an event that runs."""
    whole = cast("Any", state)
    charger, site = whole["chargers"]["driveway"], whole["site"]
    charger |= {
        "power_w": -4800,
        "current_a": -20.0,
        "state": "discharging",
        "reason": "demand_response",
        "why": [{"rung": "demand_response", "reason": "event", "low_w": -4800, "high_w": -4800, "data": {}}],
        "order": {"kind": "power", "power_w": -4800, "stage": "held", "reason": None},
        "manual": {"kind": "hold", "power_w": None, "until": at(3600)},
        "departure": departure(),
        "departures": [ready_by_plan()],
        "charge_limit_w": 7000,
        "lent_pct": 5.0,
    }
    site |= {
        "outage": an_outage(),
        "drill": a_drill(),
        "drill_schedule": {"every_days": 90, "local_time": "10:30", "transfer": False, "next_at": at(86_400)},
        "storm": {"until": at(7200), "reserve_pct": 90.0, "name": "Gale", "alert": ""},
        "backup_retry": {"collapses": 1, "retries": 1, "retry_at": at(60), "latched": False},
        "returning_at": at(60),
        "dark_start_at": at(600),
        "reason": "demand_response",
    }
    running = event(status="running", start_s=-1800) | {"energy_wh": 2400, "average_w": 4700, "earnings_usd": 4.7}
    whole["programs"]["peak"]["events"] = [running]
    whole["notices"] = []
    return state


def ready_by_plan(**changes: Any) -> dict[str, Any]:
    """The plan that the ready-by entities show."""
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    plan = {"id": "ready_by", "at": None, "weekdays": days, "local_time": "06:45"}
    return plan | {"soc_pct": 85.0, "miles": None, "skip_until": None} | changes


def an_outage() -> dict[str, Any]:
    """One that is over."""
    return {
        "started_at": at(-7200),
        "ended_at": at(-3600),
        "backup_started_at": at(-7190),
        "energy_wh": 1400,
        "lowest_soc_pct": 66.0,
        "transfer_s": 8.5,
        "dark_s": 9,
    }


def a_drill() -> dict[str, Any]:
    """One that passed."""
    times = {"started_at": at(-90_000), "ended_at": at(-89_000)}
    told = {"transfer_s": 4.0, "return_s": 0.2, "lowest_v": 231.0, "highest_w": 2100, "energy_wh": 60, "loads_shed": []}
    return {"id": "d1", "stage": "passed", "transfer": True, "score": 97, "reasons": [], **times, **told}


def blind(state: wire.State) -> wire.State:
    """The same house of which nothing is known: None wherever the contract allows it, and its words for unknown."""
    whole = cast("Any", state)
    _forget(whole["site"], wire.SiteWire)
    whole["site"] |= {"grid": "unknown", "supply": "unknown", "has_meter": True}
    whole["site"]["switch"] = {"commanded_open": None, "open_proven": None, "closed_proven": None}
    whole["site"]["contacts"] = dict.fromkeys(whole["site"]["contacts"])
    whole["site"]["leg_power_w"] = [None] * len(whole["site"]["leg_power_w"])
    whole["site"]["evidence"] = []
    for charger in whole["chargers"].values():
        _forget(charger, wire.ChargerWire)
        charger |= {"connected": False, "state": "offline", "authority": "unknown", "why": [], "departures": []}
    for program in whole["programs"].values():
        _forget(program, wire.ProgramWire)
        program["events"] = []
    for load in whole["loads"].values():
        _forget(load, wire.LoadWire)
    return state


def _forget(part: dict[str, Any], form: Any) -> None:
    for key, hint in get_type_hints(form).items():
        if NoneType in get_args(hint) and key in part:
            part[key] = None


def pinned(registry: er.EntityRegistry, entry_id: str) -> dict[Line, str]:
    """Each entity's line, to its id."""
    return {_line(one): one.entity_id for one in er.async_entries_for_config_entry(registry, entry_id)}


def _line(one: er.RegistryEntry) -> Line:
    kind, _, rest = one.unique_id.removeprefix(f"{INSTALLATION}-").partition("-")
    subject, _, key = rest.partition("-")
    return Line(
        f"{kind}{'' if kind == 'site' else f' {subject}'}: {one.domain}.{key}",
        one.original_device_class or "-",
        _unit(one),
        (one.capabilities or {}).get("state_class") or "-",
        one.entity_category or "-",
        "off" if one.disabled_by else "on",
    )


def _unit(one: er.RegistryEntry) -> str:
    private: Mapping[str, object] = one.options.get("sensor.private", {})
    shown = private.get("suggested_unit_of_measurement")
    return str(shown or one.unit_of_measurement or "-")


def shown_states(hass: HomeAssistant, lines: dict[Line, str]) -> dict[Line, str]:
    """What each entity shows; moments as such, so that the table stays the same tomorrow."""
    return {line: _shown(hass, entity_id) for line, entity_id in lines.items()}


def _shown(hass: HomeAssistant, entity_id: str) -> str:
    state = hass.states.get(entity_id)
    if state is None or state.attributes.get("restored"):
        return "-"
    is_moment = re.match(r"\d{4}-", state.state) and isinstance(dt_util.parse_datetime(state.state), datetime)
    return "a moment" if is_moment else state.state


def table(columns: Iterable[dict[Line, str]]) -> str:
    """The lines and their states, aligned."""
    states = list(columns)
    rows = [HEADS, *(_cells(line, states) for line in sorted(states[0]))]
    widths = [max(len(row[index]) for row in rows) for index in range(len(HEADS))]
    return "".join(f"{'  '.join(_padded(row, widths)).rstrip()}\n" for row in rows)


def _cells(line: Line, states: list[dict[Line, str]]) -> tuple[str, ...]:
    pinned_cells = (line.entity, line.device_class, line.unit, line.state_class, line.category, line.default)
    return (*pinned_cells, *(column.get(line, "-") for column in states))


def _padded(row: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    return (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
