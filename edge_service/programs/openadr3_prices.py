"""OpenADR 3 prices: of an event's payloads what energy costs when, and of several events the one that counts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from edge_service.domain.program import Price, PriceKind
from edge_service.domain.timeline import Schedule, ScheduleError, Sight, Stretch, lay_out, layered

# Hours of three days of each kind, or quarters of one; more cost time in every cycle, and the rest comes later.
MOST_PRICES = 300


@dataclass(frozen=True, slots=True)
class PriceObject:
    """One kind of price in an event: the values by the place of the interval, each for an equal part of it."""

    kind: PriceKind
    currency: str
    at: Mapping[int, tuple[float, ...]]


def prices_of(
    found: tuple[PriceObject, ...], schedule: Schedule, sight: Sight, now: datetime, *, program: str
) -> Iterator[Price]:
    """The next prices that count now or later, in order of time for each kind; what has no end cannot be divided."""
    for one in found:
        yield from islice(_of_kind(one, schedule, sight, now, program), MOST_PRICES)


def _of_kind(one: PriceObject, schedule: Schedule, sight: Sight, now: datetime, program: str) -> Iterator[Price]:
    try:
        stretches = lay_out(schedule, sight, now, one.at)
    except ScheduleError:
        return
    for stretch in stretches:
        if stretch.end <= now:
            continue
        for start, end, value in _parts(stretch, one.at[stretch.place]):
            if start < end and end > now:
                yield Price(program, one.kind, start, end, value, one.currency)


def _parts(stretch: Stretch, values: tuple[float, ...]) -> Iterator[tuple[datetime, datetime, float]]:
    """The sub-intervals of a whole interval (user guide, 7.3), as far as it has the word."""
    if len(values) == 1:
        yield stretch.start, stretch.end, values[0]
        return
    if stretch.endless:
        return
    whole = stretch.ends - stretch.begins
    for number, value in enumerate(values):
        start = stretch.begins + whole * number / len(values)
        end = stretch.begins + whole * (number + 1) / len(values)
        yield max(start, stretch.start), min(end, stretch.end), value


def ruling(prices: Iterable[Price]) -> tuple[Price, ...]:
    """Of prices of one program, best ranked first, those that count: not overlapping within a kind, and bounded."""
    given = list(prices)
    found: list[Price] = []
    for kind in PriceKind:
        claims = layered((one.start, one.end, one) for one in given if one.kind is kind)
        found += (replace(one, start=start, end=end) for start, end, one in islice(claims, MOST_PRICES))
    return tuple(sorted(found, key=lambda one: (one.start, one.kind))[:MOST_PRICES])
