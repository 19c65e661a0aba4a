"""What a recording from elsewhere may hold, so that a crafted file is refused by name and never crashes a tool."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from edge_service.domain.model import Settings, SiteFacts

# A day of cycles at one a second, and some.
MOST_CYCLES = 100_000
# Longer than any path into an observation.
LONGEST_PATH = 12
YEARS = (2000, 2200)
# No register holds more.
MOST_NUMBER = 2**64
# Ten megawatts: a large depot.
MOST_POWER_W = 10_000_000
_DAY_S = 86_400

type Where = tuple[str | int, ...]

_POWER, _SECONDS, _PERCENT = (0, MOST_POWER_W), (0, _DAY_S), (0, 100)
# By the name of a field, lowest and highest. What devices say may be odd; what is configured and wished may not.
_CONFIGURED: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("import_max_w", "export_max_w", "generator_max_w", "leg_max_w"), _POWER),
    **dict.fromkeys(("charge_rating_w", "discharge_rating_w", "min_charge_w", "min_discharge_w"), _POWER),
    **dict.fromkeys(("outage_after_s", "enter_service_s", "announce_return_s", "stale_after_s"), _SECONDS),
    **dict.fromkeys(("settle_s", "guard_s", "zero_ends_session_after_s"), _SECONDS),
    **dict.fromkeys(
        ("drivers_reserve_pct", "backup_reserve_pct", "event_floor_pct", "reserve_pct", "soc_pct", "lent_pct"), _PERCENT
    ),
    "nominal_voltage_v": (50, 1000),
    "nominal_frequency_hz": (50, 60),
    "dark_start_min": (1, 10_080),
    "step_w": (1, MOST_POWER_W),
    "tolerance_w": _POWER,
    "tolerance_share": (0, 1),
    "legs": (1, 3),
    "season_events": (1, 10_000),
    "pay_usd_per_kw": _POWER,
    "power_w": (1, MOST_POWER_W),
    "miles": (0, 10_000),
    "drivers_reserve_miles": (0, 10_000),
    "storm_reserve_pct": _PERCENT,
    "miles_per_kwh": (0.01, 1000),
    "weekdays": (0, 6),
}


class OutOfBoundsError(ValueError):
    """A value that no recording of ours holds; the message names the key, what was found and what is allowed."""

    def __init__(self, where: Where, found: Any, allowed: str) -> None:
        told = repr(found)
        short = told if len(told) <= 60 else f"{told[:60]}..."
        message = f"{'.'.join(map(str, where))}: found {short}; allowed: {allowed}"
        super().__init__("".join(letter if letter.isprintable() else "?" for letter in message))


def check_count(where: Where, found: Any, low: int, high: int) -> int:
    """A whole number within [low, high]."""
    if type(found) is not int or not low <= found <= high:
        raise OutOfBoundsError(where, found, f"a whole number from {low} to {high}")
    return found


def check_moment(where: Where, found: Any) -> datetime:
    """A time with its zone, as text."""
    try:
        moment = datetime.fromisoformat(found)
    except (TypeError, ValueError) as error:
        raise OutOfBoundsError(where, found, "a time with its zone") from error
    _check_datetime(where, moment)
    return moment


def check_facts(facts: SiteFacts) -> None:
    """What is configured."""
    check(("facts",), facts, _CONFIGURED)
    for name, charger in facts.chargers.items():
        if charger.id != name:
            raise OutOfBoundsError(("facts", "chargers", name, "id"), charger.id, name)
        if facts.leg_max_w and any(leg > len(facts.leg_max_w) for leg in charger.legs):
            legs = f"legs up to {len(facts.leg_max_w)}"
            raise OutOfBoundsError(("facts", "chargers", name, "legs"), list(charger.legs), legs)


def check_settings(settings: Settings) -> None:
    """What people wish."""
    check(("settings",), settings, _CONFIGURED)


def check_known(where: Where, names: Any, facts: SiteFacts) -> None:
    """Chargers that the facts know."""
    for name in names:
        if name not in facts.chargers:
            raise OutOfBoundsError(where, name, f"the chargers of facts: {', '.join(facts.chargers) or 'none'}")


def check(where: Where, value: Any, bounds: Mapping[str, tuple[float, float]]) -> None:
    """Every time in it aware and near, every number finite, and within the bounds that its field has."""
    if isinstance(value, datetime):
        _check_datetime(where, value)
    elif isinstance(value, int | float):
        _check_number(where, value, bounds)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            check((*where, str(key)), item, bounds)
    elif isinstance(value, tuple):
        for place, item in enumerate(value):
            check((*where, place), item, bounds)
    elif is_dataclass(value):
        for field in fields(value):
            check((*where, field.name), getattr(value, field.name), bounds)


def _check_datetime(where: Where, value: datetime) -> None:
    if value.tzinfo is None or not YEARS[0] <= value.year < YEARS[1]:
        raise OutOfBoundsError(where, value.isoformat(), f"a time with its zone, {YEARS[0]} to {YEARS[1]}")


def _check_number(where: Where, value: float, bounds: Mapping[str, tuple[float, float]]) -> None:
    if isinstance(value, bool):
        return
    if not math.isfinite(value) or abs(value) > MOST_NUMBER:
        raise OutOfBoundsError(where, value, "a number that a register can hold")
    low, high = next((bounds[str(step)] for step in reversed(where) if step in bounds), (value, value))
    if not low <= value <= high:
        raise OutOfBoundsError(where, value, f"{low} to {high}")
