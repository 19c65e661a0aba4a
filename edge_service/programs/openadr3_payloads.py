"""What a report of OpenADR 3 holds: a value for each interval with its quality beside it, in the units asked for.

What cannot be told is told as MISSING, without a value. Energies and powers are those measured, positive consumes
(as DISPATCH_SETPOINT has it), so that what the vehicles supply is negative.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Any

from edge_service.domain.model import Scope
from edge_service.domain.timeline import FOREVER
from edge_service.ports import BaselineFound
from edge_service.programs.openadr3_descriptors import Descriptor
from edge_service.programs.openadr3_reports import Reported
from edge_service.programs.openadr3_standing import Standing

AGGREGATED = "AGGREGATED_REPORT"
MINUTE = timedelta(minutes=1)
# Of an interval of which less is known no mean is told.
LEAST_KNOWN = 0.5
# Over more no mean is told: no program settles so, and a year has half a million minutes.
LONGEST_MEANT = timedelta(days=35)
# What the pace of the cycles may leave out at the edges of an interval; more is a gap.
SLACK_S = 2.0
# What was seen of the house last counts as what stood at an interval's end, if it was no longer before.
STILL_SURE = timedelta(minutes=2)

type Rows = Mapping[datetime, Mapping[str, Any]]


class Quality(StrEnum):
    """Definition, table 6."""

    OK = "OK"
    ESTIMATED = "ESTIMATED"
    MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class Told:
    """A value in our own units (watts, watt hours, parts of one) or a word."""

    value: float | str | None
    quality: Quality


MISSING = Told(None, Quality.MISSING)


@dataclass(frozen=True, slots=True)
class Seen:
    """How the house stood, and when that was seen."""

    at: datetime
    standing: Standing


@dataclass(frozen=True, slots=True)
class Known:
    """All that a report can be made of. ``seen``: how it stood before, oldest first.

    ``now_seen``: how it stands now. ``chargers``: names in the rows. ``sign`` -1: this utility turns setpoints round,
    and reports with them. None: not known.
    """

    now: datetime
    scope: Scope
    chargers: Sequence[str]
    rows: Rows = field(default_factory=dict)
    seen: Sequence[Seen] = ()
    now_seen: Seen | None = None
    sign: int = 1
    baseline: BaselineFound | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """How a dimension is told: what one of each unit is in our own; the first counts where another is asked."""

    sizes: Mapping[str, float]

    def chosen(self, asked: str | None) -> tuple[str, float]:
        """The unit as asked, where it fits, and its size."""
        size = self.sizes.get((asked or "").upper())
        return next(iter(self.sizes.items())) if size is None or asked is None else (asked, size)


ENERGY = Unit({"KWH": 1000.0, "WH": 1.0})
POWER = Unit({"KW": 1000.0, "W": 1.0})
# PERCENT is a fraction by the Definition (table 9: -1.0 to 1.0); PERCENTAGE is how the user guide (8.6) writes 33.
SHARE = Unit({"PERCENT": 1.0, "PERCENTAGE": 0.01, "KWH": 0.0})
NO_UNIT = Unit({"": 1.0})


@dataclass(frozen=True, slots=True)
class Kind:
    """How one payload type is made: ``reading``: what it is where nothing that fits is asked for."""

    unit: Unit
    reading: str
    tell: Callable[[Descriptor, Reported, Known], Told]
    readings: frozenset[str] = frozenset()
    is_flow: bool = False


def needs_rows(payload: str) -> bool:
    """Whether it is made of what was measured over time, and may become better known later."""
    return payload in KINDS and KINDS[payload].is_flow


def body(
    wish: Descriptor, intervals: Sequence[Reported], known: Known, *, event_id: str, name: str, client: str, house: str
) -> dict[str, Any]:
    """The report as it is sent, but for what one version alone wants. ``house``: the name of our one resource."""
    kind = KINDS[wish.payload]
    unit, size = kind.unit.chosen(wish.units)
    descriptor: dict[str, Any] = {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": wish.payload}
    descriptor["readingType"] = wish.reading if wish.reading in kind.readings else kind.reading
    descriptor |= {"units": unit} if unit else {}
    told = [_interval(wish, one, kind.tell(wish, one, known), size) for one in intervals]
    resource = {"resourceName": AGGREGATED if wish.aggregate else house, "intervals": told}
    return {
        "reportName": name,
        "eventID": event_id,
        "clientName": client,
        "payloadDescriptors": [descriptor],
        "resources": [resource],
    }


def _interval(wish: Descriptor, one: Reported, told: Told, size: float) -> dict[str, Any]:
    payloads: list[dict[str, Any]] = []
    if told.value is not None:
        value = told.value if isinstance(told.value, str) else _rounded(told.value / (size or 1.0))
        payloads.append({"type": wish.payload, "values": [value]})
    payloads.append({"type": "DATA_QUALITY", "values": [told.quality.value]})
    label, period = span(one)
    return {"id": label, "intervalPeriod": period, "payloads": payloads}


def span(one: Reported) -> tuple[int, dict[str, str]]:
    """An interval's id and period, as a report has them."""
    return one.label, {"start": one.start.astimezone(UTC).isoformat(), "duration": lasting(one)}


def spans_of(report: Mapping[str, Any]) -> list[tuple[int, Mapping[str, str]]]:
    """Those of a body made here."""
    return [(one["id"], one["intervalPeriod"]) for whole in report["resources"] for one in whole["intervals"]]


def _rounded(value: float) -> float:
    whole = round(value, 4)
    return int(whole) if whole == int(whole) else whole


def lasting(one: Reported) -> str:
    """The duration as the official schema has it: a fraction in seconds only."""
    if one.end >= FOREVER:
        return "P9999Y"
    seconds = (one.end - one.start).total_seconds()
    if seconds % 1:
        return f"PT{seconds:.6f}".rstrip("0") + "S"
    hours, rest = divmod(int(seconds), 3600)
    minutes, left = divmod(rest, 60)
    parts = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (left, "S")) if n)
    return f"PT{parts or '0S'}"


def qualities(report: Mapping[str, Any]) -> list[str]:
    """Of each interval of a body made here."""
    return [one["payloads"][-1]["values"][0] for whole in report["resources"] for one in whole["intervals"]]


# ------------------------------------------------------------------------------------------------------------- flows


def _series(known: Known) -> tuple[str, ...]:
    if known.scope is Scope.SITE:
        return ("grid_w",)
    return tuple(f"{name}.power_w" for name in known.chargers)


def _minutes(one: Reported, known: Known) -> Iterator[tuple[float, float | None, float]]:
    """Of each minute: seconds of it in the interval, the power meant over it, the part of it that was measured."""
    minute = one.start.replace(second=0, microsecond=0)
    while minute < one.end:
        inside = min(one.end, minute + MINUTE) - max(one.start, minute)
        yield inside.total_seconds(), *_power(known.rows.get(minute, {}), _series(known))
        minute += MINUTE


def _power(row: Mapping[str, Any], names: Sequence[str]) -> tuple[float | None, float]:
    values = [row.get(name) for name in names]
    if not names or any(value is None for value in values):
        return None, 0.0
    return sum(float(value) for value in values if value is not None), min(
        float(row.get(f"{name}.s", 60.0)) / 60 for name in names
    )


def _mean(wish: Descriptor, one: Reported, known: Known) -> Told:
    """The mean power over the interval: exact where each second was measured, else of what was."""
    if not wish.historical or one.end > known.now or not timedelta() < one.end - one.start <= LONGEST_MEANT:
        return MISSING
    parts = [(s * part, w) for s, w, part in _minutes(one, known) if w is not None]
    length_s, known_s = (one.end - one.start).total_seconds(), sum(s for s, _ in parts)
    if known_s < LEAST_KNOWN * length_s:
        return MISSING
    aligned = one.start.second == one.end.second == 0 and one.start.microsecond == one.end.microsecond == 0
    sure = aligned and length_s - known_s <= SLACK_S
    mean_w = sum(s * w for s, w in parts) / known_s
    return Told(known.sign * mean_w, Quality.OK if sure else Quality.ESTIMATED)


def _peak(one: Reported, known: Known, mean: Told) -> Told:
    if mean.value is None:
        return MISSING
    return Told(max(known.sign * w for _, w, _ in _minutes(one, known) if w is not None), mean.quality)


def _demand(wish: Descriptor, one: Reported, known: Known) -> Told:
    mean = _mean(wish, one, known)
    return _peak(one, known, mean) if wish.reading == "PEAK" else mean


def _usage(wish: Descriptor, one: Reported, known: Known) -> Told:
    mean = _mean(wish, one, known)
    if not isinstance(mean.value, float):
        return MISSING
    return Told(mean.value * (one.end - one.start).total_seconds() / 3600, mean.quality)


def _baseline(wish: Descriptor, one: Reported, known: Known) -> Told:
    """Its part of what the site would have used: the account has it for the whole event only."""
    if known.baseline is None or not wish.historical:
        return MISSING
    start, end = known.baseline.start, known.baseline.end
    inside_s = (min(one.end, end) - max(one.start, start)).total_seconds()
    whole_s = (end - start).total_seconds()
    if inside_s < (one.end - one.start).total_seconds() or whole_s <= 0:
        return MISSING
    return Told(-known.sign * known.baseline.supplied_wh * inside_s / whole_s, Quality.ESTIMATED)


# ------------------------------------------------------------------------------------------------------------ states


def _seen(wish: Descriptor, one: Reported, known: Known) -> tuple[Standing, Quality] | None:
    """How the house stood at the interval's end, or now where that is within it."""
    now_seen = known.now_seen
    if now_seen is not None and (one.start <= now_seen.at < one.end or one.start == now_seen.at == one.end):
        return now_seen.standing, Quality.OK
    after = bisect_left(known.seen, one.end, key=attrgetter("at"))
    if not wish.historical or not after or (last := known.seen[after - 1]).at < one.start:
        return None
    return last.standing, Quality.OK if one.end - last.at <= STILL_SURE else Quality.ESTIMATED


def _state(value: Callable[[Standing], float | str | None]) -> Callable[[Descriptor, Reported, Known], Told]:
    def tell(wish: Descriptor, one: Reported, known: Known) -> Told:
        found = _seen(wish, one, known)
        told = None if found is None else value(found[0])
        return MISSING if found is None or told is None else Told(told, found[1])

    return tell


def _setpoint(wish: Descriptor, one: Reported, known: Known) -> Told:
    told = _state(lambda standing: standing.setpoint_w)(wish, one, known)
    return Told(known.sign * told.value, told.quality) if isinstance(told.value, float) else told


def _charge(wish: Descriptor, one: Reported, known: Known) -> Told:
    """The part of what the vehicles hold, of all together; in kWh where that is asked."""
    if (wish.units or "").upper() == "KWH":
        told = _state(lambda standing: standing.stored_wh)(wish, one, known)
        return Told(told.value / 1000, told.quality) if isinstance(told.value, float) else told
    return _state(_part_full)(wish, one, known)


def _part_full(standing: Standing) -> float | None:
    if not standing.usable_wh or standing.stored_wh is None:
        return None
    return standing.stored_wh / standing.usable_wh


def _forecast(
    value: Callable[[Standing], float | None],
) -> Callable[[Descriptor, Reported, Known], Told]:
    """What could be had: for an hour from now. Nobody knows whether the vehicle is there in a later one."""

    def tell(wish: Descriptor, one: Reported, known: Known) -> Told:
        told = _state(value)(wish, one, known)
        return Told(told.value, Quality.ESTIMATED) if told.value is not None else told

    return tell


_MEANS = frozenset({"MEAN", "PEAK"})
_DIRECT = frozenset({"DIRECT_READ"})
_UP = _forecast(lambda standing: standing.room_up_w)

KINDS: Mapping[str, Kind] = {
    "USAGE": Kind(ENERGY, "DIRECT_READ", _usage, _DIRECT, is_flow=True),
    "DEMAND": Kind(POWER, "MEAN", _demand, _MEANS, is_flow=True),
    "BASELINE": Kind(ENERGY, "ESTIMATED", _baseline, is_flow=True),
    "OPERATING_STATE": Kind(NO_UNIT, "DIRECT_READ", _state(lambda standing: standing.state)),
    "SIMPLE_LEVEL": Kind(NO_UNIT, "DIRECT_READ", _state(lambda standing: standing.level)),
    "SETPOINT": Kind(POWER, "DIRECT_READ", _setpoint),
    "STORAGE_CHARGE_LEVEL": Kind(SHARE, "DIRECT_READ", _charge),
    "STORAGE_USABLE_CAPACITY": Kind(ENERGY, "DIRECT_READ", _state(lambda standing: standing.usable_wh)),
    "STORAGE_MAX_CHARGE_POWER": Kind(POWER, "DIRECT_READ", _state(lambda standing: standing.charge_max_w)),
    "STORAGE_MAX_DISCHARGE_POWER": Kind(POWER, "DIRECT_READ", _state(lambda standing: standing.discharge_max_w)),
    "LOAD_SHED_DELTA_AVAILABLE": Kind(POWER, "FORECAST", _UP),
    "UP_REGULATION_AVAILABLE": Kind(POWER, "FORECAST", _UP),
    "DOWN_REGULATION_AVAILABLE": Kind(POWER, "FORECAST", _forecast(lambda standing: standing.room_down_w)),
    # Standard, and nothing here knows them: told as MISSING.
    **dict.fromkeys(
        (
            *("READING", "DELTA_USAGE", "REGULATION_SETPOINT", "USAGE_FORECAST", "STORAGE_DISPATCH_FORECAST"),
            *("GENERATION_DELTA_AVAILABLE", "IMPORT_RESERVATION_CAPACITY", "IMPORT_RESERVATION_FEE"),
            *("EXPORT_RESERVATION_CAPACITY", "EXPORT_RESERVATION_FEE"),
        ),
        Kind(NO_UNIT, "DIRECT_READ", lambda _wish, _one, _known: MISSING),
    ),
}
