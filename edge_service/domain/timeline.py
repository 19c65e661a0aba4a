"""From what a utility wrote to absolute times, and from several events to the one that counts at a moment.

The rules are those of the OpenADR 3.1 user guide, 7.3 and 7.4, where it speaks; where it is silent (overlaps within an
event, equal priorities) the rule is named at the function.
"""

import hashlib
import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import chain, islice
from operator import attrgetter

from edge_service.domain.model import Event, Slot, SlotKind

# Later than any event that means anything, early enough that adding to it does not overflow: stands for "never".
FOREVER = datetime(9000, 1, 1, tzinfo=UTC)

# What has no end is laid out to the end of a UTC day at least this far ahead. It moves once a day, not with each poll.
WINDOW = timedelta(hours=48)
# Repetitions that ended longer ago are not laid out.
PAST = timedelta(hours=24)
# More stretches than this say nothing to a house, and each costs time on the control loop.
MOST_SLOTS = 10_000
# A later draw is not a random start but another day.
MOST_RANDOM = timedelta(hours=24)

_DAY = timedelta(days=1)
_MONTHS_PER_YEAR = 12
_LAST_DAY_OF_EVERY_MONTH = 28


class ScheduleError(ValueError):
    """An event does not say when it is; the message names what is missing."""


@dataclass(frozen=True, slots=True)
class Span:
    """A duration that may hold calendar months. Never negative; endless when it reaches FOREVER."""

    months: int = 0
    length: timedelta = timedelta()

    @property
    def empty(self) -> bool:
        return not self.months and not self.length

    def after(self, start: datetime) -> datetime:
        """The end of this span from ``start``; FOREVER at most."""
        year, month = divmod(start.year * _MONTHS_PER_YEAR + start.month - 1 + self.months, _MONTHS_PER_YEAR)
        if year >= FOREVER.year:
            return FOREVER
        moved = _on_day(start, year, month + 1)
        return FOREVER if self.length >= FOREVER - moved else moved + self.length


def _on_day(start: datetime, year: int, month: int) -> datetime:
    """The same day in another month, or that month's last day (31 January and a month: 28 or 29 February)."""
    if start.day <= _LAST_DAY_OF_EVERY_MONTH:
        return start.replace(year=year, month=month)
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return start.replace(year=year, month=month, day=min(start.day, (following - _DAY).day))


@dataclass(frozen=True, slots=True)
class Period:
    """When, as written; each field None where it was not.

    ``start`` None means "now" for the event and "follow the previous" for an interval. ``randomize`` is the greatest
    shift of the start to either side.
    """

    start: datetime | None = None
    duration: Span | None = None
    randomize: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of an event as written. ``kind`` None: back to normal, if it ``speaks``, else no word on power."""

    period: Period = Period()
    kind: SlotKind | None = None
    power_w: int = 0
    speaks: bool = True


@dataclass(frozen=True, slots=True)
class Schedule:
    """An event as written. ``duration`` repeats or cuts the intervals; None: they count once."""

    period: Period
    intervals: tuple[Interval, ...]
    duration: Span | None = None

    @property
    def starts_now(self) -> bool:
        """Whether any time hangs on the moment at which the event is first seen."""
        return self.period.start is None and bool(self.intervals) and self.intervals[0].period.start is None

    @property
    def cancelled(self) -> bool:
        """A start of "now" and no duration is how a utility takes an event back (user guide, 7.9)."""
        return self.period.start is None and self.period.duration is not None and self.period.duration.empty


@dataclass(frozen=True, slots=True)
class Sight:
    """What is remembered of an event, so that polls and restarts do not move it.

    ``seen_at``: first sight. ``anchor``: what "now" means in it. ``seed``: the same for one event as long as it lives,
    different from house to house; random starts are drawn from it.
    """

    seen_at: datetime
    anchor: datetime
    seed: str


@dataclass(frozen=True, slots=True)
class _Claim:
    start: datetime
    end: datetime
    rank: int
    interval: Interval


def resolve(schedule: Schedule, sight: Sight, now: datetime) -> tuple[Slot, ...]:
    """Slots in order, not overlapping; empty when the event asks for nothing or is cancelled.

    Of two intervals of one event at the same time the later in the array counts. ``now`` only bounds how far endless
    events are laid out. Raises ScheduleError when an interval has no duration.
    """
    if schedule.cancelled or not schedule.intervals:
        return ()
    placed = tuple(_place(schedule, sight))
    return tuple(islice(_overlay(islice(_repeat(schedule, placed, now), MOST_SLOTS)), MOST_SLOTS))


def end_of(schedule: Schedule, sight: Sight) -> datetime | None:
    """When the last of it ends, whatever it asks for; FOREVER at most, None: it takes no time at all.

    Raises ScheduleError as ``resolve``.
    """
    if schedule.cancelled or not schedule.intervals:
        return None
    start, end, limit = _extent(schedule, tuple(_place(schedule, sight)))
    return limit if start < end else None


def _place(schedule: Schedule, sight: Sight) -> Iterator[_Claim]:
    """The intervals, once, each with its own field before the event's, following the previous, randomly shifted."""
    default = schedule.period
    following, shift = default.start or sight.anchor, timedelta()
    for number, interval in enumerate(schedule.intervals):
        own = interval.period
        start, duration = own.start or following, own.duration or default.duration
        if duration is None:
            raise ScheduleError(f"interval {number} has no duration")
        reach = own.randomize if own.randomize is not None else default.randomize if number == 0 else None
        if reach is not None and (number == 0 or own.start is not None):
            shift = _draw(start, reach, sight, anchored=not (own.start or default.start))
        following = duration.after(start)
        yield _Claim(start + shift, following if following == FOREVER else following + shift, number, interval)


def _draw(start: datetime, reach: timedelta, sight: Sight, *, anchored: bool) -> timedelta:
    """A shift within ``reach`` to either side, the same each time; never to before the event was seen."""
    if not anchored and start <= sight.seen_at:
        return timedelta()
    written = "now" if anchored else start.isoformat()
    digest = hashlib.sha256(f"{sight.seed}|{written}".encode(errors="replace")).digest()
    part = int.from_bytes(digest[:8]) / 2**63 - 1
    shift = timedelta(seconds=round(min(abs(reach), MOST_RANDOM).total_seconds() * part))
    return abs(shift) if anchored else max(shift, sight.seen_at - start)


def _extent(schedule: Schedule, placed: tuple[_Claim, ...]) -> tuple[datetime, datetime, datetime]:
    """Start and end of one pass through the intervals, and the end that the event's own duration sets."""
    start, end = min(claim.start for claim in placed), max(claim.end for claim in placed)
    return start, end, end if schedule.duration is None else schedule.duration.after(start)


def _repeat(schedule: Schedule, placed: tuple[_Claim, ...], now: datetime) -> Iterator[_Claim]:
    """What speaks of power, cut or repeated to the event's duration; what is endless is cut at the window."""
    claims = [claim for claim in placed if claim.interval.speaks and claim.start < claim.end]
    start, end, limit = _extent(schedule, placed)
    if not claims:
        return
    horizon = _day(max(now, start)) + _DAY + WINDOW
    stop = horizon if limit >= FOREVER else limit
    once = limit <= end
    cycle = end - start
    first, last = (0, 1) if once else (_first_cycle(cycle, len(claims), start, now), -((start - stop) // cycle))
    for number in range(first, last):
        for claim in claims:
            begins, ends = claim.start + number * cycle, claim.end
            ends = min(stop, horizon if ends >= FOREVER else ends + number * cycle)
            if begins < ends:
                yield _Claim(begins, ends, number * len(placed) + claim.rank, claim.interval)


def _first_cycle(cycle: timedelta, claims: int, start: datetime, now: datetime) -> int:
    """The first repetition to lay out: a day back, or less if the present would not fit any more."""
    running, first = (now - start) // cycle, (_day(now) - PAST - start) // cycle
    if (running - first) * claims > MOST_SLOTS // 2:
        first = running - MOST_SLOTS // 4 // claims
    return max(first, 0)


def _day(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), time(), UTC)


def _overlay(claims: Iterable[_Claim]) -> Iterator[Slot]:
    """Of the claims at each moment the one of highest rank. One sweep over starts and ends."""
    ahead = sorted(claims, key=attrgetter("start"))
    standing: list[tuple[int, datetime, _Claim]] = []
    edges = sorted(set(chain.from_iterable((claim.start, claim.end) for claim in ahead)))
    begun, slot_start, holder, at = 0, FOREVER, None, FOREVER
    for at in edges:
        while begun < len(ahead) and ahead[begun].start <= at:
            heapq.heappush(standing, (-ahead[begun].rank, ahead[begun].end, ahead[begun]))
            begun += 1
        while standing and standing[0][1] <= at:
            heapq.heappop(standing)
        top = standing[0][2] if standing else None
        if top is not holder:
            yield from _slot(holder, slot_start, at)
            holder, slot_start = top, at


def _slot(claim: _Claim | None, start: datetime, end: datetime) -> Iterator[Slot]:
    if claim is not None and claim.interval.kind is not None:
        yield Slot(start, end, claim.interval.kind, claim.interval.power_w)


@dataclass(frozen=True, slots=True)
class Call:
    """What counts at a moment: this slot of this event."""

    event: Event
    slot: Slot


def rank(event: Event) -> tuple[bool, int, datetime, str]:
    """Sorts events by who wins: the lower priority number, none last; then the one announced first; then the uid."""
    return event.priority is None, event.priority or 0, event.announced_at, event.uid


class Timeline:
    """Several events as one line. A better ranked event interrupts another, which resumes when the better one ends."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._events = tuple(sorted((event for event in events if event.slots and not event.cancelled), key=rank))

    def at(self, moment: datetime) -> Call | None:
        """What counts at ``moment``; None: nothing is asked."""
        return self._standing(moment)[1]

    def next_change(self, moment: datetime) -> datetime | None:
        """The first time after ``moment`` at which another slot counts, or none does; None: nothing follows."""
        place, current = self._standing(moment)
        upcoming = [slot.start for event in self._events[:place] if (slot := _current_or_next(event, moment))]
        return min(upcoming + ([] if current is None else [current.slot.end]), default=None)

    def _standing(self, moment: datetime) -> tuple[int, Call | None]:
        """What counts, and how many events are ranked above it."""
        for place, event in enumerate(self._events):
            slot = _current_or_next(event, moment)
            if slot is not None and slot.start <= moment:
                return place, Call(event, slot)
        return len(self._events), None


def _current_or_next(event: Event, moment: datetime) -> Slot | None:
    position = bisect_right(event.slots, moment, key=attrgetter("end"))
    return event.slots[position] if position < len(event.slots) else None
