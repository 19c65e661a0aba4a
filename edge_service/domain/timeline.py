"""From what a utility wrote to absolute times, and from several events to the one that counts at a moment.

The rules are those of the OpenADR 3.1 user guide, 7.3 and 7.4, where it speaks; where it is silent (overlaps within an
event, equal priorities) the rule is named at the function.
"""

import hashlib
import heapq
from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from operator import attrgetter, itemgetter

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
    """A stretch of an event as written. ``kind`` None: back to normal, if it ``speaks``, else no word on power.

    The amounts are as in ``Slot``.
    """

    period: Period = Period()
    kind: SlotKind | None = None
    power_w: int = 0
    speaks: bool = True
    share: float = 1.0
    soc_pct: float | None = None
    energy_wh: int | None = None


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
class Stretch:
    """[start, end) in which one of an event's intervals has the word; ``place`` is its place among those written.

    [begins, ends) is all of that interval, before others or the event's own duration cut it. ``endless``: it goes on
    for ever, and ``end`` is only how far it is laid out.
    """

    start: datetime
    end: datetime
    place: int
    begins: datetime
    ends: datetime
    endless: bool = False


@dataclass(frozen=True, slots=True)
class _Claim:
    start: datetime
    end: datetime
    rank: int
    place: int
    ends: datetime


def resolve(schedule: Schedule, sight: Sight, now: datetime) -> tuple[Slot, ...]:
    """Slots in order, not overlapping; empty when the event asks for nothing or is cancelled.

    Of two intervals of one event at the same time the later in the array counts. ``now`` only bounds how far endless
    events are laid out. Raises ScheduleError when an interval has no duration.
    """
    asking = [(one.place, one) for one in lay_out(schedule, sight, now, _speaking(schedule))]
    return tuple(
        Slot(one.start, one.end, kind, of.power_w, of.share, of.soc_pct, of.energy_wh)
        for place, one in asking
        if (kind := (of := schedule.intervals[place]).kind) is not None
    )


def lay_out(schedule: Schedule, sight: Sight, now: datetime, places: Container[int]) -> tuple[Stretch, ...]:
    """Where the intervals at these places have the word, in order and not overlapping; the others count as silent.

    So each thing that an event may speak of (power, a limit, a price) is laid out for itself. As ``resolve``.
    """
    if schedule.cancelled or not schedule.intervals:
        return ()
    placed = tuple(_place(schedule, sight))
    claims = islice(_repeat(schedule, placed, now, places), MOST_SLOTS)
    ranked = sorted(claims, key=attrgetter("rank"), reverse=True)
    won = layered((claim.start, claim.end, claim) for claim in ranked)
    return tuple(
        Stretch(start, end, claim.place, claim.start, claim.ends, claim.ends >= FOREVER and end == claim.end)
        for start, end, claim in islice(won, MOST_SLOTS)
    )


def _speaking(schedule: Schedule) -> Container[int]:
    return {place for place, interval in enumerate(schedule.intervals) if interval.speaks}


def end_of(schedule: Schedule, sight: Sight) -> datetime | None:
    """When the last of it ends, whatever it asks for; FOREVER at most, None: it takes no time at all.

    Raises ScheduleError as ``resolve``.
    """
    if schedule.cancelled or not schedule.intervals:
        return None
    start, end, limit = _extent(schedule, tuple(_place(schedule, sight)))
    return limit if start < end else None


def spans(schedule: Schedule, sight: Sight) -> tuple[tuple[datetime, datetime], ...]:
    """Start and end of each interval, in the order written, once through. Raises ScheduleError as ``resolve``."""
    return tuple((claim.start, claim.end) for claim in _place(schedule, sight))


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
        end = following if following == FOREVER else following + shift
        yield _Claim(start + shift, end, number, number, end)


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


def _repeat(schedule: Schedule, placed: tuple[_Claim, ...], now: datetime, places: Container[int]) -> Iterator[_Claim]:
    """What speaks, cut or repeated to the event's duration; what is endless is cut at the window."""
    claims = [claim for claim in placed if claim.place in places and claim.start < claim.end]
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
            begins = claim.start + number * cycle
            whole = limit if claim.end >= FOREVER else claim.end + number * cycle
            ends = min(stop, horizon if whole >= FOREVER else whole)
            if begins < ends:
                yield _Claim(begins, ends, number * len(placed) + claim.rank, claim.place, whole)


def _first_cycle(cycle: timedelta, claims: int, start: datetime, now: datetime) -> int:
    """The first repetition to lay out: a day back, or less if the present would not fit any more."""
    running, first = (now - start) // cycle, (_day(now) - PAST - start) // cycle
    if (running - first) * claims > MOST_SLOTS // 2:
        first = running - MOST_SLOTS // 4 // claims
    return max(first, 0)


def _day(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), time(), UTC)


def layered[T](claims: Iterable[tuple[datetime, datetime, T]]) -> Iterator[tuple[datetime, datetime, T]]:
    """Who has the word when, in order and not overlapping: of the claims [start, end) at a moment the first one told.

    Who loses resumes when the winner ends. One sweep over starts and ends.
    """
    ahead = sorted(((start, rank, end, of) for rank, (start, end, of) in enumerate(claims)), key=itemgetter(0))
    standing: list[tuple[int, datetime, T]] = []
    begun, since, holder = 0, FOREVER, None
    for at in sorted({edge for start, _, end, _ in ahead for edge in (start, end)}):
        while begun < len(ahead) and ahead[begun][0] <= at:
            _, rank, end, of = ahead[begun]
            heapq.heappush(standing, (rank, end, of))
            begun += 1
        while standing and standing[0][1] <= at:
            heapq.heappop(standing)
        top = standing[0] if standing else None
        if top is not holder:
            if holder is not None:
                yield since, at, holder[2]
            holder, since = top, at


@dataclass(frozen=True, slots=True)
class Call:
    """What counts at a moment: this slot of this event."""

    event: Event
    slot: Slot


def rank(event: Event, order: Sequence[str] = ()) -> tuple[bool, int, bool, int, datetime, str]:
    """Sorts events by who wins: a real one before a rehearsal, then by a person's order of programs.

    Those not named in it come after, all alike. Then the lower priority number, none last; then the one announced
    first; then the uid.
    """
    place = order.index(event.program_id) if event.program_id in order else len(order)
    return event.rehearsal, place, event.priority is None, event.priority or 0, event.announced_at, event.uid


class Timeline:
    """Several events as one line. A better ranked event interrupts another, which resumes when the better one ends."""

    def __init__(self, events: Iterable[Event], order: Sequence[str] = ()) -> None:
        stands = [event for event in events if event.slots and not event.cancelled]
        self._events = tuple(sorted(stands, key=lambda event: rank(event, order)))

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
