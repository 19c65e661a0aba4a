"""Departures as people plan them, in local time, and the absolute times that come of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from edge_service.departures import _first_of_week, next_departure, next_departures, next_time
from edge_service.domain.model import Departure, DeparturePlan

BOSTON = "America/New_York"
WORKDAYS = (0, 1, 2, 3, 4)
SHIFTING = [BOSTON, "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "UTC"]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def weekly(local_time: str = "07:30", weekdays: tuple[int, ...] = WORKDAYS) -> DeparturePlan:
    return DeparturePlan("weekly", weekdays=weekdays, local_time=local_time, soc_pct=80.0)


@pytest.mark.parametrize(
    ("now", "leaves"),
    [
        ("2026-07-15T05:00", "2026-07-15T11:30"),  # Wednesday, before
        ("2026-07-15T11:30", "2026-07-16T11:30"),  # at the moment itself it is over
        ("2026-07-17T12:00", "2026-07-20T11:30"),  # after Friday's comes Monday's
        ("2026-10-30T12:00", "2026-11-02T12:30"),  # over the end of summer time
    ],
)
def test_a_weekly_plan_means_the_clock_on_the_wall(now: str, leaves: str) -> None:
    assert next_time(weekly(), utc(now), BOSTON) == utc(leaves)


def test_a_weekly_plan_has_no_time_where_nobody_said_in_which_zone() -> None:
    once = DeparturePlan("once", at=utc("2026-07-16T11:30"), soc_pct=80.0)
    now = utc("2026-07-15T05:00")
    assert next_departures({"car": (weekly(), once), "van": (weekly(),)}, now, None) == {
        "car": Departure("once", utc("2026-07-16T11:30"), 80.0)
    }


def test_a_time_that_the_clocks_skip_is_the_first_after_the_gap() -> None:
    # 8 March 2026: from 02:00 to 03:00 in Boston; 03:00 there is 07:00 UTC.
    assert next_time(weekly("02:30", (6,)), utc("2026-03-07T12:00"), BOSTON) == utc("2026-03-08T07:00")


def test_a_time_that_comes_twice_counts_the_first_time() -> None:
    assert next_time(weekly("01:30", (6,)), utc("2026-10-31T12:00"), BOSTON) == utc("2026-11-01T05:30")
    assert next_time(weekly("01:30", (6,)), utc("2026-11-01T05:30"), BOSTON) == utc("2026-11-08T06:30")


def test_the_times_of_the_largest_site_are_worked_out_once_a_week() -> None:
    plans = {
        f"car{car}": tuple(weekly(f"{(car * 20 + n) // 60 % 24:02}:{(car * 20 + n) % 60:02}") for n in range(20))
        for car in range(40)
    }
    first = next_departures(plans, utc("2026-07-15T05:00"), BOSTON)
    worked_out = _first_of_week.cache_info().misses
    assert next_departures(plans, utc("2026-07-15T05:01"), BOSTON).keys() == first.keys()
    assert _first_of_week.cache_info().misses == worked_out


def test_a_plan_for_once_is_over_when_it_is() -> None:
    plan = DeparturePlan("once", at=utc("2026-07-15T18:00"), miles=40)
    assert next_time(plan, utc("2026-07-15T17:59"), BOSTON) == plan.at
    assert next_time(plan, utc("2026-07-15T18:00"), BOSTON) is None


def test_a_skipped_time_is_left_out_and_the_one_after_is_not() -> None:
    plan = DeparturePlan("w", None, WORKDAYS, "07:30", 80.0, skip_until=utc("2026-07-16T11:30"))
    assert next_time(plan, utc("2026-07-15T12:00"), BOSTON) == utc("2026-07-17T11:30")


def test_the_earliest_plan_counts_and_at_the_same_time_the_one_that_asks_for_more() -> None:
    once = DeparturePlan("once", at=utc("2026-07-16T11:30"), soc_pct=95.0)
    later = DeparturePlan("later", at=utc("2026-07-16T12:00"), soc_pct=100.0)
    found = next_departure((weekly(), once, later), utc("2026-07-15T12:00"), BOSTON)
    assert found is not None
    assert replace(found, later=()) == Departure("once", utc("2026-07-16T11:30"), 95.0)
    assert [one.plan_id for one in found.later] == ["weekly", "later"]


def test_a_charger_without_a_departure_has_none() -> None:
    plans = {"bus": (), "car": (weekly(),), "van": (weekly(weekdays=()),)}
    assert list(next_departures(plans, utc("2026-07-15T12:00"), BOSTON)) == ["car"]


# From the year in which Samoa left out a day.
moments = st.integers(0, 19 * 365 * 24 * 60).map(lambda minutes: utc("2011-01-01T00:00") + timedelta(minutes=minutes))


@given(
    moments, st.sampled_from(SHIFTING), st.integers(0, 23), st.integers(0, 59), st.sets(st.integers(0, 6), min_size=1)
)
def test_the_next_time_is_in_the_future_within_a_week_and_reads_as_planned(
    now: datetime, zone: str, hour: int, minute: int, weekdays: set[int]
) -> None:
    plan = weekly(f"{hour:02}:{minute:02}", tuple(sorted(weekdays)))
    at = next_time(plan, now, zone)
    assert at is not None
    assert now < at <= now + timedelta(days=8, hours=2)
    local = at.astimezone(ZoneInfo(zone))
    if (local.hour, local.minute) == (hour, minute) and local.weekday() in weekdays:
        # The first of two: an hour or half an hour before, clocks did not show the same.
        assert local.fold == 0
    else:
        # The clocks skip that time: the moment before was in another offset.
        assert (at - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).utcoffset() != local.utcoffset()


@given(moments, st.sampled_from(SHIFTING))
def test_one_departure_follows_the_other_once_a_day(now: datetime, zone: str) -> None:
    plan, at, times = weekly("02:15", (0, 1, 2, 3, 4, 5, 6)), now, []
    for _ in range(10):
        following = next_time(plan, at, zone)
        assert following is not None
        times.append(following)
        at = following
    days = [b - a for a, b in pairwise(times)]
    assert all(timedelta(hours=21) <= day <= timedelta(hours=48) for day in days)


def test_the_departures_of_other_plans_soon_after_come_with_the_next_one() -> None:
    trip = DeparturePlan("trip", at=utc("2026-07-16T12:30"), soc_pct=100.0)
    far = DeparturePlan("far", at=utc("2026-07-17T12:30"), soc_pct=100.0)
    found = next_departure((far, trip, weekly()), utc("2026-07-15T22:00"), BOSTON)
    assert found is not None
    assert (found.plan_id, [one.plan_id for one in found.later]) == ("weekly", ["trip"])
    assert found.later[0] == Departure("trip", utc("2026-07-16T12:30"), 100.0)
