"""From written events to absolute times, and from several events to the one that counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.domain.model import Event, Slot, SlotKind
from edge_service.domain.timeline import (
    FOREVER,
    MOST_SLOTS,
    Call,
    Interval,
    Period,
    Schedule,
    ScheduleError,
    Sight,
    Span,
    Timeline,
    end_of,
    lay_out,
    layered,
    resolve,
)

NOON = datetime(2026, 7, 15, 12, tzinfo=UTC)
SEEN = NOON - timedelta(days=1)
SIGHT = Sight(SEEN, SEEN, "house")
ENDLESS = Span(months=12 * 9999)


def at(hour: float, day: int = 15) -> datetime:
    return datetime(2026, 7, day, tzinfo=UTC) + timedelta(hours=hour)


def hours(number: float) -> Span:
    return Span(length=timedelta(hours=number))


def power(w: int, start: datetime | None = None, lasts: Span | None = None) -> Interval:
    return Interval(Period(start, lasts), SlotKind.POWER, w)


def told(schedule: Schedule, sight: Sight = SIGHT, now: datetime = NOON) -> list[tuple[datetime, datetime, int]]:
    return [(slot.start, slot.end, slot.power_w) for slot in resolve(schedule, sight, now)]


def test_intervals_without_a_start_follow_each_other_from_the_start_of_the_event() -> None:
    schedule = Schedule(Period(at(17), hours(1)), (power(-5), power(-6), power(-7)))
    assert told(schedule) == [(at(17), at(18), -5), (at(18), at(19), -6), (at(19), at(20), -7)]


def test_an_interval_overrides_only_the_fields_it_has() -> None:
    schedule = Schedule(Period(at(17), hours(1)), (power(-5), power(-6, lasts=hours(2)), power(-7, at(22))))
    assert told(schedule) == [(at(17), at(18), -5), (at(18), at(20), -6), (at(22), at(23), -7)]


def test_an_event_without_a_period_takes_all_from_its_intervals() -> None:
    schedule = Schedule(Period(), (power(-5, at(17), hours(1)), power(-6, lasts=hours(2))))
    assert told(schedule) == [(at(17), at(18), -5), (at(18), at(20), -6)]


def test_now_means_the_anchor_however_late_it_is_resolved() -> None:
    schedule = Schedule(Period(duration=hours(2)), (power(-5),))
    sight = Sight(at(11.5), at(11.5), "house")
    for later in (at(11.5), at(12), at(13.4)):
        assert told(schedule, sight, later) == [(at(11.5), at(13.5), -5)]


def test_a_missing_duration_is_refused_and_one_that_is_given_by_each_interval_is_not_missed() -> None:
    with pytest.raises(ScheduleError, match="interval 1 has no duration"):
        resolve(Schedule(Period(at(17)), (power(-5, lasts=hours(1)), power(-6))), SIGHT, NOON)


@pytest.mark.parametrize("start", [None, at(17)])
def test_no_duration_at_all_asks_for_nothing(start: datetime | None) -> None:
    schedule = Schedule(Period(start, Span()), (power(-5),))
    assert resolve(schedule, SIGHT, NOON) == ()
    assert end_of(schedule, SIGHT) is None


def test_now_without_duration_cancels_even_when_the_intervals_have_their_own_times() -> None:
    schedule = Schedule(Period(None, Span()), (power(-5, at(17), hours(1)),))
    assert schedule.cancelled
    assert resolve(schedule, SIGHT, NOON) == ()


def test_an_event_without_intervals_claims_no_time() -> None:
    assert resolve(Schedule(Period(at(17), hours(1)), ()), SIGHT, NOON) == ()


def test_the_later_of_two_overlapping_intervals_counts_and_the_earlier_goes_on_after_it() -> None:
    schedule = Schedule(Period(), (power(-5, at(17), hours(4)), power(-9, at(18), hours(1))))
    assert told(schedule) == [(at(17), at(18), -5), (at(18), at(19), -9), (at(19), at(21), -5)]


def test_back_to_normal_cuts_a_hole_and_a_word_on_something_else_does_not() -> None:
    normal = Interval(Period(at(18), hours(1)))
    long = power(-5, at(17), hours(3))
    assert told(Schedule(Period(), (long, normal))) == [(at(17), at(18), -5), (at(19), at(20), -5)]
    price = replace(normal, speaks=False)
    assert told(Schedule(Period(), (long, price))) == [(at(17), at(20), -5)]


def test_a_silent_interval_still_takes_its_time() -> None:
    schedule = Schedule(Period(at(17), hours(1)), (Interval(speaks=False), power(-5)))
    assert told(schedule) == [(at(18), at(19), -5)]


def test_intervals_out_of_order_are_put_in_order() -> None:
    schedule = Schedule(Period(), (power(-6, at(19), hours(1)), power(-5, at(17), hours(1))))
    assert told(schedule) == [(at(17), at(18), -5), (at(19), at(20), -6)]


@pytest.mark.parametrize(
    ("lasts", "wanted"),
    [
        (1.5, [(17, 18, -5), (18, 18.5, -6)]),
        (2, [(17, 18, -5), (18, 19, -6)]),
        (3.5, [(17, 18, -5), (18, 19, -6), (19, 20, -5), (20, 20.5, -6)]),
        (0, []),
    ],
)
def test_the_duration_of_the_event_cuts_or_repeats_its_intervals(
    lasts: float, wanted: list[tuple[float, float, int]]
) -> None:
    schedule = Schedule(Period(at(17), hours(1)), (power(-5), power(-6)), hours(lasts))
    assert told(schedule) == [(at(start), at(end), w) for start, end, w in wanted]


def test_an_endless_event_ends_at_least_two_days_ahead_and_its_end_moves_once_a_day() -> None:
    schedule = Schedule(Period(at(0), ENDLESS), (power(-5),))
    ends = {resolve(schedule, SIGHT, at(hour))[-1].end for hour in range(24)}
    assert ends == {at(0, day=18)}
    assert resolve(schedule, SIGHT, at(0, day=16))[-1].end == at(0, day=19)
    assert end_of(schedule, SIGHT) == FOREVER


def test_an_endless_tariff_repeats_around_today_although_it_began_years_ago() -> None:
    began = datetime(2020, 1, 1, tzinfo=UTC)
    schedule = Schedule(Period(began, hours(12)), (power(-5), power(-6)), ENDLESS)
    slots = told(schedule)
    assert slots[0][0] == at(0, day=14)
    assert slots[-1][1] == at(0, day=18)
    assert (at(12), at(24), -6) in slots


def test_a_thousandth_of_a_second_repeated_for_ever_is_bounded() -> None:
    blink = Span(length=timedelta(milliseconds=1))
    schedule = Schedule(Period(at(0), blink), (power(-5), Interval(speaks=False)), ENDLESS)
    slots = resolve(schedule, SIGHT, NOON)
    assert 0 < len(slots) <= MOST_SLOTS
    assert slots[0].start < NOON < slots[-1].end
    assert resolve(Schedule(Period(at(0), blink), (Interval(speaks=False),), ENDLESS), SIGHT, NOON) == ()


def test_what_follows_an_endless_interval_never_comes_but_a_fixed_time_cuts_it() -> None:
    assert told(Schedule(Period(at(17)), (power(-5, lasts=ENDLESS), power(-6, lasts=hours(1))))) == [
        (at(17), at(0, day=18), -5)
    ]
    cut = Schedule(Period(at(17)), (power(-5, lasts=ENDLESS), power(0, at(18), hours(1))))
    assert told(cut)[:2] == [(at(17), at(18), -5), (at(18), at(19), 0)]


@pytest.mark.parametrize(
    ("start", "span", "end"),
    [
        (datetime(2026, 1, 31, tzinfo=UTC), Span(months=1), datetime(2026, 2, 28, tzinfo=UTC)),
        (datetime(2028, 2, 29, tzinfo=UTC), Span(months=12), datetime(2029, 2, 28, tzinfo=UTC)),
        (datetime(2026, 11, 30, tzinfo=UTC), Span(months=3), datetime(2027, 2, 28, tzinfo=UTC)),
        (datetime(2026, 7, 15, tzinfo=UTC), Span(1, timedelta(days=1)), datetime(2026, 8, 16, tzinfo=UTC)),
        (datetime(2026, 12, 31, tzinfo=UTC), Span(months=12), datetime(2027, 12, 31, tzinfo=UTC)),
        (datetime(8999, 12, 31, tzinfo=UTC), Span(length=timedelta(days=9)), FOREVER),
        (datetime(2026, 7, 15, tzinfo=UTC), Span(12 * 10_000, timedelta.max), FOREVER),
    ],
)
def test_months_are_those_of_the_calendar(start: datetime, span: Span, end: datetime) -> None:
    assert span.after(start) == end


def random(reach: timedelta, start: datetime | None = None) -> Period:
    return Period(at(17) if start is None else start, hours(1), reach)


def test_a_random_start_is_bounded_the_same_each_time_and_different_from_house_to_house() -> None:
    reach = timedelta(minutes=10)
    schedule = Schedule(random(reach), (power(-5), power(-6)))
    first = resolve(schedule, SIGHT, NOON)
    assert resolve(schedule, SIGHT, NOON + timedelta(hours=6)) == first
    assert abs(first[0].start - at(17)) <= reach
    assert first[1].start == first[0].end
    assert first[1].end - first[0].start == timedelta(hours=2)
    shifts = [resolve(schedule, replace(SIGHT, seed=str(house)), NOON)[0].start - at(17) for house in range(200)]
    assert all(abs(shift) <= reach for shift in shifts)
    assert min(shifts) < -reach / 2 < reach / 2 < max(shifts)


def test_a_random_start_is_drawn_anew_when_the_start_changes() -> None:
    reach = timedelta(minutes=10)
    shifts = {
        resolve(Schedule(random(reach, at(hour)), (power(-5),)), SIGHT, NOON)[0].start - at(hour)
        for hour in range(13, 23)
    }
    assert len(shifts) > 5


@pytest.mark.parametrize("minutes", [-600, 600, 100_000])
def test_a_random_start_is_never_before_the_event_was_seen(minutes: int) -> None:
    for house in range(50):
        sight = Sight(at(16.9), at(16.9), str(house))
        assert resolve(Schedule(random(timedelta(minutes=minutes)), (power(-5),)), sight, NOON)[0].start >= at(16.9)
        now = Schedule(Period(None, hours(1), timedelta(minutes=minutes)), (power(-5),))
        assert resolve(now, sight, NOON)[0].start >= at(16.9)


def test_a_start_that_had_passed_at_first_sight_is_not_shifted() -> None:
    sight = Sight(at(17.2), at(17.2), "house")
    assert told(Schedule(random(timedelta(minutes=10)), (power(-5),)), sight) == [(at(17), at(18), -5)]


def test_a_fixed_start_shifts_with_the_first_unless_it_has_its_own_draw() -> None:
    reach = timedelta(minutes=10)
    fixed = Schedule(random(reach), (power(-5), power(-6, at(19))))
    own = Schedule(random(reach), (power(-5), Interval(Period(at(19), None, timedelta()), SlotKind.POWER, -6)))
    shift = resolve(fixed, SIGHT, NOON)[0].start - at(17)
    assert shift
    assert resolve(fixed, SIGHT, NOON)[1].start == at(19) + shift
    assert resolve(own, SIGHT, NOON)[0].start == at(17) + shift
    assert resolve(own, SIGHT, NOON)[1].start == at(19)


def moments(first_year: int, last_year: int) -> st.SearchStrategy[datetime]:
    first, last = datetime(first_year, 1, 2, tzinfo=UTC), datetime(last_year, 12, 31, tzinfo=UTC)
    return st.integers(0, int((last - first).total_seconds())).map(lambda after: first + timedelta(seconds=after))


spans = st.builds(Span, st.sampled_from([0, 0, 0, 1, 12, 12 * 9999]), st.timedeltas(timedelta(), timedelta(days=400)))
starts = st.none() | moments(1, 8999)
periods = st.builds(Period, starts, spans, st.none() | st.timedeltas(timedelta(days=-9), timedelta(days=9)))
intervals = st.builds(Interval, periods, st.none() | st.sampled_from(SlotKind), st.integers(-9, 9), st.booleans())
schedules = st.builds(Schedule, periods, st.lists(intervals, max_size=6).map(tuple), st.none() | spans)


@settings(max_examples=300, deadline=None)
@given(schedules, moments(2020, 2030))
def test_whatever_is_written_becomes_ordered_slots_that_do_not_overlap(schedule: Schedule, now: datetime) -> None:
    slots = resolve(schedule, Sight(now, now, "house"), now)
    assert len(slots) <= MOST_SLOTS
    assert all(slot.start < slot.end for slot in slots)
    assert all(one.end <= other.start for one, other in pairwise(slots))


# ------------------------------------------------------------------------------------------------------- several events


def event(uid: str, start: float, end: float, priority: int | None = None, seen: float = 0) -> Event:
    return Event(uid, "peak", uid, at(seen), (Slot(at(start), at(end), power_w=-5),), priority)


def uids(timeline: Timeline, *moments: float) -> list[str | None]:
    calls = [timeline.at(at(moment)) for moment in moments]
    return [None if call is None else call.event.uid for call in calls]


def test_a_lower_priority_number_wins_and_the_loser_resumes() -> None:
    timeline = Timeline([event("long", 17, 20, priority=3), event("short", 18, 19, priority=1)])
    assert uids(timeline, 16.9, 17, 18, 18.99, 19, 20) == [None, "long", "short", "short", "long", None]


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (event("b", 17, 18, priority=0), event("a", 17, 18, priority=1)),
        (event("b", 17, 18, priority=2**60), event("a", 17, 18)),
        (event("b", 17, 18, seen=1), event("a", 17, 18, seen=2)),
        (event("a", 17, 18), event("b", 17, 18)),
    ],
    ids=["zero is highest", "none is last", "first announced", "uid"],
)
def test_of_two_events_at_once_one_rule_always_decides(winner: Event, loser: Event) -> None:
    for order in ([winner, loser], [loser, winner]):
        assert uids(Timeline(order), 17.5) == [winner.uid]


def test_the_next_change_is_when_another_slot_counts() -> None:
    timeline = Timeline([event("long", 17, 20, priority=3), event("short", 18, 19, priority=1)])
    assert timeline.next_change(at(12)) == at(17)
    assert timeline.next_change(at(17)) == at(18)
    assert timeline.next_change(at(18)) == at(19)
    assert timeline.next_change(at(19)) == at(20)
    assert timeline.next_change(at(20)) is None


def test_a_lower_ranked_start_is_no_change_while_a_better_event_runs() -> None:
    timeline = Timeline([event("best", 17, 20, priority=0), event("other", 18, 21, priority=1)])
    assert timeline.next_change(at(17.5)) == at(20)
    assert uids(timeline, 20) == ["other"]


def test_a_cancelled_event_and_one_that_asks_nothing_do_not_count() -> None:
    timeline = Timeline([replace(event("a", 17, 18), cancelled=True), replace(event("b", 17, 18), slots=())])
    assert timeline.at(at(17.5)) is None
    assert timeline.next_change(at(12)) is None


def test_a_gap_within_an_event_lets_the_other_through() -> None:
    gapped = replace(event("gapped", 17, 18, priority=0), slots=(Slot(at(17), at(18)), Slot(at(19), at(20))))
    timeline = Timeline([gapped, event("other", 17, 21)])
    assert uids(timeline, 17, 18, 19, 20) == ["gapped", "other", "gapped", "other"]
    assert timeline.at(at(19)) == Call(gapped, gapped.slots[1])


slot_lists = (
    st.lists(st.integers(0, 40), min_size=2, max_size=8, unique=True)
    .map(sorted)
    .map(lambda edges: tuple(Slot(at(a), at(b)) for a, b in zip(edges[::2], edges[1::2], strict=False)))
)
events = st.lists(st.tuples(slot_lists, st.none() | st.integers(0, 2), st.integers(0, 2)), max_size=4).map(
    lambda rows: [
        Event(str(number), "peak", "", at(seen), slots, priority) for number, (slots, priority, seen) in enumerate(rows)
    ]
)


@given(events)
def test_nothing_changes_before_the_next_change(several: list[Event]) -> None:
    timeline = Timeline(several)
    for hour in range(42):
        change = timeline.next_change(at(hour))
        if timeline.at(at(hour)) != timeline.at(at(hour + 1)):
            assert change == at(hour + 1)
        else:
            assert change is None or change > at(hour)
            assert change != at(hour + 1)


def schedule_of(timeline: Timeline, start: datetime) -> list[tuple[datetime, datetime | None, Call | None]]:
    """From ``next_change`` to ``next_change``: what counts, and until when."""
    laid, moment = [], start
    while True:
        change = timeline.next_change(moment)
        laid.append((moment, change, timeline.at(moment)))
        if change is None:
            return laid
        assert change > moment
        moment = change


@given(events)
def test_what_counts_is_one_line_without_overlaps_within_the_slots_that_were_told(several: list[Event]) -> None:
    laid = schedule_of(Timeline(several), at(-1))
    assert all(one[1] == other[0] for one, other in pairwise(laid))
    for start, end, call in laid:
        if call is not None:
            assert end is not None
            assert call.slot.start <= start < end <= call.slot.end
    for one, other in pairwise(laid):
        assert one[2] != other[2]


@given(events, st.lists(st.floats(-1, 42, allow_nan=False), max_size=20))
def test_polling_at_any_times_finds_what_the_continuous_schedule_says(
    several: list[Event], moments: list[float]
) -> None:
    timeline = Timeline(several)
    laid = schedule_of(timeline, at(-1))
    for hour in moments:
        moment = at(hour)
        (says,) = [call for start, end, call in laid if start <= moment and (end is None or moment < end)]
        assert timeline.at(moment) == says


@given(events, slot_lists, st.booleans())
def test_an_event_of_lower_rank_never_changes_when_another_counts(
    several: list[Event], more: tuple[Slot, ...], named: bool
) -> None:
    lower = Event("lower", "other", "", at(3), more, None)
    order = ("peak",) if named else ()

    def of_the_others(timeline: Timeline) -> list[tuple[datetime, datetime | None, Call | None]]:
        return [one for one in schedule_of(timeline, at(-1)) if one[2] and one[2].event.uid != "lower"]

    assert of_the_others(Timeline([*several, lower], order)) == of_the_others(Timeline(several, order))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8))
def test_of_claims_in_layers_the_first_told_has_the_word_wherever_it_stands(claims: list[tuple[int, int]]) -> None:
    told_claims = [(at(start), at(end), number) for number, (start, end) in enumerate(claims)]
    laid = list(layered(told_claims))
    assert all(one[1] <= other[0] for one, other in pairwise(laid))
    for hour in range(41):
        standing = [number for start, end, number in told_claims if start <= at(hour) < end]
        assert [of for start, end, of in laid if start <= at(hour) < end] == standing[:1]


def test_what_an_event_speaks_of_is_laid_out_for_itself() -> None:
    schedule = Schedule(Period(at(17), hours(1)), (power(-5), power(-6), power(-7, at(17.5), hours(1))))
    found = [(one.start, one.end, one.place) for one in lay_out(schedule, SIGHT, NOON, {0, 2})]
    assert found == [(at(17), at(17.5), 0), (at(17.5), at(18.5), 2)]
    assert [(one.begins, one.ends) for one in lay_out(schedule, SIGHT, NOON, {0, 2})] == [
        (at(17), at(18)),
        (at(17.5), at(18.5)),
    ]
    assert lay_out(schedule, SIGHT, NOON, ()) == ()


@pytest.mark.parametrize(("event_lasts", "endless"), [(None, True), (ENDLESS, True), (hours(24 * 30), False)])
def test_only_what_goes_on_for_ever_is_endless(event_lasts: Span | None, endless: bool) -> None:
    schedule = Schedule(Period(at(17), ENDLESS), (power(-5),), event_lasts)
    assert [one.endless for one in lay_out(schedule, SIGHT, NOON, {0})] == [endless]
    repeated = Schedule(Period(at(17), hours(24)), (power(-5),), ENDLESS)
    assert not any(one.endless for one in lay_out(repeated, SIGHT, NOON, {0}))
