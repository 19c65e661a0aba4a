"""What is remembered of events: a restart at any moment is as none."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings, strategies as st

from edge_service.domain.model import Event, SlotKind
from edge_service.domain.timeline import Interval, Period, Schedule, Span, resolve
from edge_service.programs.openadr3_objects import EventObject
from edge_service.programs.openadr3_sights import Sights

NOON = datetime(2026, 7, 15, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def told(sights: Sights, one: EventObject, now: datetime, known: Mapping[str, Event]) -> dict[str, Event]:
    """One contact with a server that lists this event: what is given out, by uid."""
    sight = sights.of(one, now, known)
    slots = resolve(one.schedule, sight, now)
    uid = sights.uid_of(one.id)
    stands = slots and slots[-1].end > now
    events = {uid: Event(uid, "peak", one.name, sight.seen_at, slots, one.priority)} if stands else {}
    sights.forget_all_but({one.id}, events)
    return events


def an_object(schedule: Schedule, created_at: datetime | None = NOON) -> EventObject:
    return EventObject("e1", "p1", "Peak", None, schedule, created_at=created_at)


minutes = st.integers(-180, 600).map(lambda number: NOON + number * MINUTE)
lengths = st.integers(1, 400).map(lambda number: Span(length=number * MINUTE)) | st.just(Span(months=12 * 9999))
reaches = st.none() | st.integers(0, 60).map(lambda number: number * MINUTE)
periods = st.builds(Period, st.none() | minutes, lengths, reaches)
intervals = st.builds(
    Interval,
    st.just(Period()) | st.builds(Period, minutes, lengths, reaches),
    st.sampled_from(SlotKind),
    st.integers(-9, 9),
    st.booleans(),
)
schedules = st.builds(Schedule, periods, st.lists(intervals, min_size=1, max_size=4).map(tuple), st.none() | lengths)


@settings(max_examples=400, deadline=None)
@given(schedules, st.lists(st.integers(1, 2000), min_size=1, max_size=4), st.integers(0, 3))
def test_a_restart_at_any_moment_is_as_none(schedule: Schedule, waits: list[int], restart: int) -> None:
    one, now = an_object(schedule), NOON
    steady = sights = Sights("peak", "seed")
    known = again = told(steady, one, now, {})
    for number, wait in enumerate(waits):
        now += wait * MINUTE
        if number == restart:
            sights = Sights("peak", "seed")
        known, before = told(steady, one, now, known), again
        again = known if sights is steady else told(sights, one, now, before)
        laid_out = [(event.uid, event.announced_at, event.slots) for event in known.values()]
        assert [(event.uid, event.announced_at, event.slots) for event in again.values()] == laid_out


def test_a_restart_does_not_begin_again_what_was_to_start_now_and_is_over() -> None:
    one = an_object(Schedule(Period(None, Span(length=60 * MINUTE)), (Interval(kind=SlotKind.NO_CHARGE),)))
    assert told(Sights("peak", "seed"), one, NOON + 90 * MINUTE, {}) == {}
    (event,) = told(Sights("peak", "seed"), one, NOON + 30 * MINUTE, {}).values()
    assert (event.start, event.announced_at) == (NOON, NOON + 30 * MINUTE)


def test_what_a_server_begins_to_list_later_starts_now_when_it_is_seen_whatever_its_stamp() -> None:
    sights = Sights("peak", "seed")
    sights.forget_all_but(set(), ())
    one = an_object(Schedule(Period(None, Span(length=60 * MINUTE)), (Interval(kind=SlotKind.NO_CHARGE),)))
    (event,) = told(sights, one, NOON + 90 * MINUTE, {}).values()
    assert event.start == NOON + 90 * MINUTE


def test_a_stamp_in_the_future_of_our_clock_starts_nothing_later() -> None:
    one = an_object(
        Schedule(Period(None, Span(length=60 * MINUTE)), (Interval(kind=SlotKind.NO_CHARGE),)), NOON + 600 * MINUTE
    )
    (event,) = told(Sights("peak", "seed"), one, NOON, {}).values()
    assert event.start == NOON
