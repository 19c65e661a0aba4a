"""When the reports that an event asks for are due, and over which of its intervals. User guide 3.1, 7.5 and 8.7.

The guide speaks of ``startInterval`` in two ways. Here it is the interval at whose end (of a forecast: at whose start)
the first report is made, which fits its examples of periodic and rolling reports; where fewer intervals than asked for
come before it, it is the first one reported, which fits the others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice, pairwise

from edge_service.domain.timeline import FOREVER, Schedule, Sight, spans
from edge_service.programs.openadr3_descriptors import MOST_INTERVALS, Descriptor, Spacing

# Our own intervals, and the parts of an event's: what utilities' meters count in.
PART = timedelta(minutes=15)
# A report of more is cut: an hour of a year has fewer.
MOST_REPORTED = 10_000


@dataclass(frozen=True, slots=True)
class Reported:
    """An interval to be reported; ``label`` is the id it gets in the report."""

    label: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """One report: the intervals from ``first`` to ``last``, to be made ``at``."""

    number: int
    at: datetime
    first: int
    last: int


class Line:
    """An event's intervals by time, counted on where they repeat. An event for reports only may imply them (8.7)."""

    def __init__(self, schedule: Schedule, sight: Sight, labels: tuple[int | None, ...] = ()) -> None:
        """Raises ScheduleError when an interval has no duration."""
        self._once = tuple(_once(schedule, sight, labels))
        self._limit = FOREVER
        self._cycle = timedelta()
        self._implied = not schedule.intervals
        if self._once:
            start, end = self._once[0].start, max(one.end for one in self._once)
            self._cycle = end - start
            whole = FOREVER if self._implied else end
            self._limit = whole if schedule.duration is None else schedule.duration.after(start)

    @property
    def once(self) -> int:
        """Intervals of one pass; 0: the event has none, not even implied ones."""
        return len(self._once)

    @property
    def start(self) -> datetime | None:
        return self._once[0].start if self._once else None

    @property
    def end(self) -> datetime:
        """When the last interval ends, if ever."""
        return self._limit

    def at(self, place: int) -> Reported | None:
        """The interval of this number from 0; None: after the last."""
        if not self._once or place > MOST_INTERVALS:
            return None
        again, number = divmod(place, len(self._once))
        one = self._once[number]
        if again and (one.end >= FOREVER or again >= (FOREVER - one.end) // self._cycle):
            return None
        shift = self._cycle * again
        start = one.start + shift
        if start >= self._limit:
            return None
        label = place if self._implied else one.label
        return Reported(label, start, min(one.end + shift if one.end < FOREVER else FOREVER, self._limit))

    def at_moment(self, moment: datetime) -> int | None:
        """The number of the interval that holds ``moment``; of overlapping ones the last."""
        if not self._once or not self._once[0].start <= moment < self._limit:
            return None
        again = (moment - self._once[0].start) // self._cycle if self._cycle else 0
        for number in reversed(range(len(self._once))):
            found = self.at(again * len(self._once) + number)
            if found is not None and found.start <= moment < found.end:
                return again * len(self._once) + number
        return None


def _once(schedule: Schedule, sight: Sight, labels: tuple[int | None, ...]) -> Iterator[Reported]:
    if schedule.intervals:
        named = [*labels, *([None] * len(schedule.intervals))]
        numbered = enumerate(spans(schedule, sight))
        found = (Reported(number if (told := named[number]) is None else told, *span) for number, span in numbered)
        yield from sorted((one for one in found if one.start < one.end), key=lambda one: one.start)
        return
    start, lasts = schedule.period.start or sight.anchor, schedule.period.duration
    if lasts is not None and not lasts.empty:
        yield Reported(0, start, lasts.after(start))


def due(wish: Descriptor, line: Line, number: int) -> Due | None:
    """The report of this number from 0; None: there is none, or its time is ours to choose."""
    if wish.ad_hoc or not line.once or (wish.repeat > 0 and number >= wish.repeat):
        return None
    first, last = _window(wish, line, number)
    begun = line.at(first)
    if begun is None:
        return None
    last = _cut(line, first, last)
    if not wish.historical:
        return Due(number, begun.start, first, last)
    ended = max(one.end for place in (first, last) if (one := line.at(place)) is not None)
    return None if ended >= FOREVER else Due(number, ended, first, last)


def _cut(line: Line, first: int, last: int) -> int:
    """The last interval there is, of those up to ``last``."""
    while first < last and line.at(last) is None:
        middle = (first + last) // 2
        first, last = (first, middle) if line.at(middle) is None else (middle, last - 1)
    return last


def _window(wish: Descriptor, line: Line, number: int) -> tuple[int, int]:
    """First and last interval, not yet cut at the event's end."""
    count = wish.count if wish.count > 0 else line.once
    if wish.count < 0 < wish.frequency and (wish.repeat != 1 or wish.start >= 0):
        count = wish.frequency
    step = wish.frequency if wish.frequency > 0 else count
    shift = number * step
    if not wish.historical:
        first = max(wish.start, 0) + shift
        return first, first + (count if wish.count > 0 else max(line.once - first, 1)) - 1
    if wish.start < 0:
        every = wish.frequency > 0 and wish.repeat != 1
        last = (count if every else line.once) - 1 + shift
        return max(last - count + 1, 0), last
    if wish.count < 0 and wish.frequency < 0:
        return wish.start + shift, max(line.once - 1, wish.start) + shift
    if wish.start >= count - 1:
        return wish.start - count + 1 + shift, wish.start + shift
    return wish.start + shift, wish.start + count - 1 + shift


def last_due(wish: Descriptor, line: Line, now: datetime) -> int | None:
    """The number of the last report whose time has come; None: of none yet."""

    def has_come(number: int) -> bool:
        found = due(wish, line, number)
        return found is not None and found.at <= now

    if not has_come(0):
        return None
    low, high = 0, 1
    while high < MOST_INTERVALS and has_come(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if has_come(middle) else (low, middle)
    return low


def first_asked(wish: Descriptor, line: Line, sight: Sight) -> int:
    """The number of the first report to make: of those due before the event was seen only the last (7.5).

    An event that was over when it was first seen is no affair of ours: then none, whatever the number.
    """
    if line.end <= sight.seen_at:
        return MOST_INTERVALS
    return last_due(wish, line, sight.seen_at) or 0


def intervals(wish: Descriptor, line: Line, one: Due) -> list[Reported]:
    """What the report tells of, at most ``MOST_REPORTED``."""
    found = [told for place in range(one.first, one.last + 1)[:MOST_REPORTED] if (told := line.at(place))]
    if wish.spacing is Spacing.INTERVALS:
        return found
    if wish.spacing is Spacing.SUB_INTERVALS:
        return list(islice(chain.from_iterable(map(_parts, found)), MOST_REPORTED))
    span = Reported(0, found[0].start, max(one.end for one in found))
    return [Reported(number, part.start, part.end) for number, part in enumerate(_parts(span))][:MOST_REPORTED]


def _parts(whole: Reported) -> Iterator[Reported]:
    if (whole.end - whole.start) // PART >= MOST_REPORTED:
        yield whole
        return
    edges = [whole.start]
    while edges[-1] < whole.end:
        edges.append(min(edges[-1] + PART, whole.end))
    yield from (Reported(whole.label, start, end) for start, end in pairwise(edges))
