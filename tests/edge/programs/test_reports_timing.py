"""When reports are due and what they cover: the examples of the user guide, 7.5 and 8, and what servers write."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.domain.timeline import FOREVER, Interval, Period, Schedule, ScheduleError, Sight, Span
from edge_service.programs.openadr3_descriptors import Descriptor, Spacing, read_descriptors
from edge_service.programs.openadr3_reports import Line, due, first_asked, intervals, last_due

NOON = datetime(2026, 7, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
AN_HOUR = Span(length=HOUR)
BEFORE = Sight(NOON - HOUR, NOON - HOUR, "house")


def a_line(count: int, labels: Sequence[int | None] = (), **period: Any) -> Line:
    """An event of so many hours from noon; 0: for reports only."""
    whole = Period(NOON, AN_HOUR) if "start" not in period else Period(**period)
    return Line(Schedule(whole, (Interval(),) * count), BEFORE, tuple(labels))


def wished(**told: Any) -> Descriptor:
    (one,) = read_descriptors([{"payloadType": "USAGE", **told}], (), [])
    return one


def plan(line: Line, most: int = 6, **told: Any) -> list[tuple[float, int, int]]:
    """Of each report the hours after noon at which it is due, and its first and last interval."""
    found = [due(wished(**told), line, number) for number in range(most)]
    return [((one.at - NOON) / HOUR, one.first, one.last) for one in found if one is not None]


def test_without_a_word_one_report_of_everything_comes_at_the_end() -> None:
    assert plan(a_line(4)) == [(4, 0, 3)]
    written = {"startInterval": -1, "numIntervals": -1, "historical": True, "frequency": -1, "repeat": 1}
    assert plan(a_line(4), **written) == [(4, 0, 3)]


def test_a_forecast_comes_at_the_start() -> None:
    assert plan(a_line(4), historical=False) == [(0, 0, 3)]


def test_of_ten_intervals_the_last_five_or_three_in_the_middle_are_wanted() -> None:
    assert plan(a_line(10), startInterval=5) == [(10, 5, 9)]
    assert plan(a_line(5), startInterval=1, numIntervals=3) == [(4, 1, 3)]


def test_a_report_after_every_two_intervals_covers_those_two() -> None:
    wish = {"startInterval": 1, "numIntervals": 2, "frequency": 2, "repeat": 3}
    assert plan(a_line(6), **wish) == [(2, 0, 1), (4, 2, 3), (6, 4, 5)]


def test_five_reports_of_two_intervals_each_need_only_the_frequency() -> None:
    assert [one[0] for one in plan(a_line(10), frequency=2, repeat=5)] == [2, 4, 6, 8, 10]
    assert plan(a_line(3), frequency=1, repeat=-1) == [(1, 0, 0), (2, 1, 1), (3, 2, 2)]


def test_a_last_group_that_is_not_full_is_reported_at_the_end() -> None:
    assert plan(a_line(5), frequency=2, repeat=-1) == [(2, 0, 1), (4, 2, 3), (5, 4, 4)]


def test_rolling_forecasts_move_on_by_an_interval_each() -> None:
    wish = {"startInterval": 0, "numIntervals": 3, "frequency": 1, "repeat": 3, "historical": False}
    assert plan(a_line(5), **wish) == [(0, 0, 2), (1, 1, 3), (2, 2, 4)]


def test_implied_intervals_go_on_for_ever_with_labels_of_our_own() -> None:
    line = a_line(0)
    wish = {"startInterval": 0, "numIntervals": 48, "frequency": 1, "repeat": -1, "historical": False}
    assert plan(line, most=3, **wish) == [(0, 0, 47), (1, 1, 48), (2, 2, 49)]
    late = due(wished(**wish), line, 30_000)
    assert late is not None
    assert (late.at, late.last) == (NOON + 30_000 * HOUR, 30_047)
    assert [one.label for one in intervals(wished(**wish), line, late)][:2] == [30_000, 30_001]
    assert last_due(wished(**wish), line, NOON + 30_000.5 * HOUR) == 30_000


def test_looping_intervals_keep_their_ids_and_are_reported_after_each_pass_if_so_many_are_wanted() -> None:
    schedule = Schedule(Period(NOON, AN_HOUR), (Interval(), Interval()), Span(length=6 * HOUR))
    line = Line(schedule, BEFORE, (7, 8))
    assert plan(line, repeat=-1) == [(2, 0, 1), (4, 2, 3), (6, 4, 5)]
    assert plan(line) == [(2, 0, 1)]
    second = due(wished(repeat=-1), line, 1)
    assert second is not None
    assert [one.label for one in intervals(wished(), line, second)] == [7, 8]


def test_an_event_cut_by_its_own_duration_is_reported_when_that_is_over() -> None:
    schedule = Schedule(Period(NOON, AN_HOUR), (Interval(),) * 3, Span(length=1.5 * HOUR))
    line = Line(schedule, BEFORE)
    assert plan(line) == [(1.5, 0, 1)]
    one = due(wished(), line, 0)
    assert one is not None
    assert intervals(wished(), line, one)[-1].end == NOON + 1.5 * HOUR


def test_what_never_ends_is_never_due() -> None:
    endless = Span(months=12 * 9999)
    line = Line(Schedule(Period(NOON, endless), (Interval(),)), BEFORE)
    assert (line.end, plan(line)) == (FOREVER, [])
    assert plan(line, historical=False) == [(0, 0, 0)]


def test_ad_hoc_reports_have_no_time_of_their_own() -> None:
    assert plan(a_line(4), frequency=0) == []
    assert wished(frequency=0).ad_hoc


def test_of_reports_missed_before_the_event_was_seen_only_the_last_is_made() -> None:
    line, wish = a_line(6), wished(frequency=1, repeat=-1)
    assert first_asked(wish, line, Sight(NOON + 3.5 * HOUR, NOON, "house")) == 2
    assert first_asked(wish, line, Sight(NOON - HOUR, NOON, "house")) == 0
    assert first_asked(wish, line, Sight(NOON + 6 * HOUR, NOON, "house")) > 100  # it was over before


def test_parts_carry_the_id_of_their_interval_and_open_ones_our_own() -> None:
    line = a_line(2, labels=(5, None))
    one = due(wished(), line, 0)
    assert one is not None
    assert [each.label for each in intervals(wished(), line, one)] == [5, 1]
    parts = intervals(wished(reportIntervals="SUB_INTERVALS"), line, one)
    assert [each.label for each in parts] == [5] * 4 + [1] * 4
    assert {each.end - each.start for each in parts} == {HOUR / 4}
    ours = intervals(wished(reportIntervals="OPEN_INTERVALS"), line, one)
    assert [each.label for each in ours] == list(range(8))
    assert (ours[0].start, ours[-1].end) == (NOON, NOON + 2 * HOUR)


def test_a_million_intervals_make_no_report_without_bound() -> None:
    line = a_line(0)
    wish = wished(numIntervals=1_000_000, historical=False, startInterval=0)
    one = due(wish, line, 0)
    assert one is not None
    assert len(intervals(wish, line, one)) == 10_000


def test_an_interval_that_holds_a_moment_is_found_also_in_a_later_pass() -> None:
    schedule = Schedule(Period(NOON, AN_HOUR), (Interval(), Interval()), Span(months=12 * 9999))
    line = Line(schedule, BEFORE)
    assert [line.at_moment(NOON + hours * HOUR) for hours in (-0.5, 0, 0.5, 1, 7.5)] == [None, 0, 0, 1, 7]


lengths = st.sampled_from([timedelta(), timedelta(seconds=1), HOUR, timedelta(days=40), timedelta(days=365 * 8000)])
spans = st.builds(Span, months=st.sampled_from([0, 0, 1, 12 * 9999]), length=lengths)
moments = st.none() | st.integers(-100, 100).map(lambda hours: NOON + hours * HOUR)
periods = st.builds(Period, moments, st.none() | spans, st.none() | lengths)
schedules = st.builds(
    Schedule, periods, st.lists(st.builds(Interval, periods), max_size=4).map(tuple), st.none() | spans
)
counts = st.integers(-1, 5) | st.sampled_from([1_000_000])
wishes = st.builds(
    Descriptor,
    st.just("USAGE"),
    start=counts,
    count=counts.filter(bool),
    historical=st.booleans(),
    frequency=counts,
    repeat=counts.filter(bool),
    spacing=st.sampled_from(Spacing),
)


@settings(deadline=None)
@given(schedules, wishes, st.integers(-200, 200))
def test_whatever_is_written_each_report_has_its_time_and_not_too_many_intervals(
    schedule: Schedule, wish: Descriptor, hours: int
) -> None:
    try:
        line = Line(schedule, BEFORE)
    except ScheduleError:
        return
    now = NOON + hours * HOUR
    last = last_due(wish, line, now)
    found = [one for number in range(4) if (one := due(wish, line, number)) is not None]
    assert [one.at for one in found] == sorted(one.at for one in found)
    for one in found:
        told = intervals(wish, line, one)
        assert 0 < len(told) <= 10_000
        assert all(each.start < each.end for each in told)
        assert not wish.historical or one.at < FOREVER
    if last is not None:
        latest, following = due(wish, line, last), due(wish, line, last + 1)
        assert latest is not None
        assert latest.at <= now
        assert following is None or following.at > now or last + 1 >= 1_000_000
    place = line.at_moment(now)
    holds = None if place is None else line.at(place)
    assert holds is None or holds.start <= now < holds.end


# ------------------------------------------------------------------------------------------------- what servers write


def test_the_targets_and_units_of_both_versions_are_read() -> None:
    modern = wished(targets=["group-1", 7], units="kWh", aggregate=True, reportIntervals="OPEN_INTERVALS")
    assert modern == Descriptor(
        "USAGE", None, "kWh", frozenset({"group-1"}), aggregate=True, spacing=Spacing.OPEN_INTERVALS
    )
    older = wished(targets=[{"type": "VEN_NAME", "values": ["us", 3]}, {"type": "GROUP"}])
    assert older.targets == {"us"}
    assert older.is_for(frozenset({"us", "house"}))
    assert not older.is_for(frozenset({"others"}))
    assert wished().is_for(frozenset())


def test_the_program_tells_unit_and_reading_where_the_wish_does_not() -> None:
    told = {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": "USAGE", "units": "WH", "readingType": "MEAN"}
    (plain,) = read_descriptors([{"payloadType": "USAGE"}], [told], [])
    (own,) = read_descriptors([{"payloadType": "USAGE", "units": "KWH"}], [told], [])
    assert (plain.units, plain.reading, own.units) == ("WH", "MEAN", "KWH")


@pytest.mark.parametrize(
    "wrong",
    [
        {"payloadType": 7},
        {"payloadType": ""},
        {"startInterval": "first"},
        {"startInterval": -2},
        {"numIntervals": 0},
        {"frequency": True},
        {"repeat": 0},
        {"repeat": 10**9},
        {"historical": "yes"},
        {"reportIntervals": "SOME"},
    ],
)
def test_a_wish_that_cannot_be_is_named_and_the_others_stand(wrong: dict[str, Any]) -> None:
    problems: list[str] = []
    rows = [{"payloadType": "DEMAND", **wrong}, {"payloadType": "USAGE"}, {"payLoadType": "USAGE"}]
    assert [one.payload for one in read_descriptors(rows, (), problems)] == ["USAGE"]
    assert len(problems) == 1
