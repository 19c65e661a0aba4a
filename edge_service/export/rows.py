"""From recorded minutes to rows of an export: a minute without a record is there, empty, and a gap."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from edge_service.journal.seals import MinuteRow

MINUTE_S, QUARTER_S = 60.0, 900.0
QUARTER = timedelta(minutes=15)
MINUTES_A_QUARTER = 15
# ``2026-07-15T21:00`` of a row's time.
_TO_THE_MINUTE = 16

# The values of a row, in the order of its columns; None: not known.
type Values = list[Any]


@dataclass(frozen=True, slots=True)
class Quarter:
    """Fifteen minutes and their sum. ``day``: of the site's own calendar."""

    day: str
    minutes: list[Values]
    whole: Values
    unrecorded: int


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end) in whole quarters of an hour, of a site in this zone. ``program``: events of others are left out."""

    start: datetime
    end: datetime
    zone: tzinfo
    chargers: Sequence[str]
    program: str | None = None


def quarters(period: Period, recorded: Iterable[MinuteRow]) -> Iterator[Quarter]:
    """Every quarter of the period; ``recorded``: its minute rows in order of time."""
    series = ("grid_w", "house_w", *(f"{name}.power_w" for name in period.chargers))
    waiting = iter(recorded)
    row = next(waiting, None)
    at = period.start
    while at < period.end:
        utc, local = f"{at:%Y-%m-%dT%H:}", at.astimezone(period.zone)
        on_the_wall, offset = f"{local:%Y-%m-%dT%H:}", _offset(local)
        read: list[_Read] = []
        minutes: list[Values] = []
        for number in range(MINUTES_A_QUARTER):
            minute = f"{utc}{at.minute + number:02d}"
            while row is not None and row[0][:_TO_THE_MINUTE] < minute:
                row = next(waiting, None)
            known = row if row is not None and row[0][:_TO_THE_MINUTE] == minute else None
            one = _read(known, series, period)
            times = f"{minute}:00Z", f"{on_the_wall}{local.minute + number:02d}:00{offset}"
            read.append(one)
            minutes.append(_values(times, one, period.chargers))
        whole = _values((minutes[0][0], minutes[0][1]), _joined(read, series, period.chargers), period.chargers)
        yield Quarter(f"{local:%Y-%m-%d}", minutes, whole, sum(not one.recorded for one in read))
        at += QUARTER


def _offset(local: datetime) -> str:
    text = f"{local:%z}"
    return f"{text[:3]}:{text[3:5]}"


@dataclass(slots=True)
class _Read:
    """An interval as it goes into columns. ``means`` and ``seconds``: by series; no seconds: that is not known."""

    recorded: bool
    samples: int | None
    gap_s: float | None
    means: dict[str, float | None]
    seconds: dict[str, float | None]
    soc: dict[str, float | None]
    orders: dict[str, float | None]
    grid: str | None
    event: tuple[str, str, str, float, float | None, int | None] | None
    clock: tuple[int | None, float | None, float | None]


def _read(row: MinuteRow | None, series: Sequence[str], period: Period) -> _Read:
    if row is None:
        nothing = dict.fromkeys(series, 0.0)
        return _Read(False, 0, MINUTE_S, {}, {**nothing}, {}, {}, None, None, (None, None, None))
    _, grid_w, house_w, text = row
    more: dict[str, Any] = json.loads(text)
    samples = more.get("n")
    means = {"grid_w": grid_w, "house_w": house_w}
    for name in series[2:]:
        means[name] = more.get(name)
    # Rows of before 2026-11-23 do not say how much of their minute they are of.
    tells = samples is not None
    seconds: dict[str, float | None] = {}
    for name, mean in means.items():
        seconds[name] = None if not tells else 0.0 if mean is None else more.get(f"{name}.s", MINUTE_S)
    return _Read(
        True,
        samples,
        round(MINUTE_S - more.get("s", MINUTE_S), 1) if tells else None,
        means,
        seconds,
        {name: more.get(f"{name}.soc_pct") for name in period.chargers},
        {name: more.get(f"{name}.order_w") for name in period.chargers},
        more.get("grid", "on" if tells else None),
        _event(more, period.program),
        (
            more.get("sync", 1 if "error_s" in more else None),
            more.get("error_s"),
            more.get("set_s", 0.0) if tells else None,
        ),
    )


def _event(
    more: Mapping[str, Any], program: str | None
) -> tuple[str, str, str, float, float | None, int | None] | None:
    if "event" not in more or program not in (None, more["program"]):
        return None
    told = more["event"], more["program"], more["asks"]
    return *told, more.get("event_s", MINUTE_S), more.get("target_w"), more.get("rehearsal")


def _values(times: tuple[str, str], one: _Read, chargers: Sequence[str]) -> Values:
    values: Values = [*times, one.samples, one.gap_s]
    values += _measured(one, "grid_w")
    values += _measured(one, "house_w")
    values.append(one.grid)
    for name in chargers:
        values += _measured(one, f"{name}.power_w")
        values += (one.soc.get(name), one.orders.get(name))
    event = one.event or (None,) * 6
    return [plain(value) for value in (*values, *event, *one.clock)]


def plain(value: Any) -> Any:
    """A whole number without the point, so that each figure has one way to be written."""
    return int(value) if type(value) is float and value.is_integer() else value


def _measured(one: _Read, name: str) -> tuple[float | None, float | None, float | None]:
    """Mean, energy and seconds. There is no energy of what was not measured."""
    mean, seconds = one.means.get(name), one.seconds[name]
    return mean, None if mean is None or not seconds else round(mean * seconds / 3600, 3), seconds


def _joined(read: Sequence[_Read], series: Sequence[str], chargers: Sequence[str]) -> _Read:
    clocks = [one.clock for one in read]
    return _Read(
        any(one.recorded for one in read),
        _sum([one.samples for one in read]),
        _sum([one.gap_s for one in read]),
        {name: _mean([(one.means.get(name), one.seconds[name]) for one in read]) for name in series},
        {name: _sum([one.seconds[name] for one in read]) for name in series},
        {name: _plain_mean([one.soc.get(name) for one in read]) for name in chargers},
        {name: _plain_mean([one.orders.get(name) for one in read]) for name in chargers},
        " ".join(dict.fromkeys(" ".join(one.grid for one in read if one.grid).split())) or None,
        _longest([one.event for one in read if one.event is not None]),
        (
            min((sync for sync, _, _ in clocks if sync is not None), default=None),
            max((error_s for _, error_s, _ in clocks if error_s is not None), default=None),
            _sum([set_s for _, _, set_s in clocks if set_s is not None] or [None]),
        ),
    )


def _sum[N: (int, float)](values: Sequence[N | None]) -> Any:
    """None where one of them is not known."""
    known = [value for value in values if value is not None]
    return None if len(known) < len(values) else round(sum(known), 1)


def _mean(parts: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Over the time that was measured. None where that was never, or where it is not known how long it was."""
    if any(seconds is None for _, seconds in parts):
        return None
    known = [(mean, seconds) for mean, seconds in parts if mean is not None and seconds]
    whole = sum(seconds for _, seconds in known)
    return round(sum(mean * seconds for mean, seconds in known) / whole, 1) if whole else None


def _plain_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 1) if known else None


def _longest(events: Sequence[tuple[str, str, str, float, float | None, int | None]]) -> Any:
    """The event that ran longest, with the mean of its target over that time."""
    if not events:
        return None
    ran: dict[str, float] = {}
    for uid, _, _, ran_s, _, _ in events:
        ran[uid] = ran.get(uid, 0.0) + ran_s
    longest = max(ran, key=lambda uid: (ran[uid], uid))
    of_it = [event for event in events if event[0] == longest]
    last = of_it[-1]
    target_w = _mean([(event[4], event[3]) for event in of_it])
    return *last[:3], round(ran[longest], 1), target_w, last[5]
