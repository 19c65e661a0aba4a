"""At which moments a load group matters: the site's own clock, over midnight and over the days on which it is set."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from edge_service.domain.model import LoadGroup
from edge_service.load_hours import Spans, out_of_hours

BOSTON = "America/New_York"
SHIFTING = [BOSTON, "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "Pacific/Kiritimati"]
KITCHEN = (("06:00", "09:00"), ("17:00", "21:00"))
NIGHT = (("22:00", "07:00"),)
MINUTE = timedelta(minutes=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def matters(hours: Spans, at: datetime, time_zone: str | None = BOSTON) -> bool:
    return not out_of_hours({"load": LoadGroup("load", "Load", hours=hours)}, at, time_zone)


def turns(hours: Spans, start: str, hours_long: int, time_zone: str = BOSTON) -> list[str]:
    """When it begins or ends to matter, looked at each minute."""
    minutes = [utc(start) + number * MINUTE for number in range(hours_long * 60)]
    seen = [(at, matters(hours, at, time_zone)) for at in minutes]
    return [f"{at:%H:%M} {is_so}" for (_, was_so), (at, is_so) in pairwise(seen) if is_so is not was_so]


def test_a_day_has_its_spans_by_the_clock_on_the_wall() -> None:
    assert turns(KITCHEN, "2026-07-15T04:00", 24) == ["10:00 True", "13:00 False", "21:00 True", "01:00 False"]


def test_a_span_over_midnight_is_one() -> None:
    assert turns(NIGHT, "2026-07-15T16:00", 24) == ["02:00 True", "11:00 False"]


def test_spans_that_touch_are_one() -> None:
    assert turns((("06:00", "09:00"), ("09:00", "10:00")), "2026-07-15T04:00", 24) == ["10:00 True", "14:00 False"]


def test_without_hours_it_always_matters_and_without_a_time_zone_too() -> None:
    assert matters((), utc("2026-07-15T12:00"))
    assert matters(KITCHEN, utc("2026-07-15T16:00"), None)
    assert not matters(KITCHEN, utc("2026-07-15T16:00"), "UTC")


@pytest.mark.parametrize(
    ("span", "moments"),
    [
        (("01:30", "04:00"), ["06:30 True", "08:00 False"]),
        (("02:15", "05:00"), ["07:00 True", "09:00 False"]),
        (("00:30", "02:30"), ["05:30 True", "07:00 False"]),
        (("02:15", "02:45"), []),
    ],
)
def test_where_the_clocks_skip_an_hour_it_begins_or_ends_after_the_gap(
    span: tuple[str, str], moments: list[str]
) -> None:
    # 8 March 2026: from 02:00 to 03:00 in Boston, at 07:00 UTC.
    assert turns((span,), "2026-03-08T05:00", 22) == moments


@pytest.mark.parametrize(
    ("span", "moments"),
    [
        (("01:30", "03:00"), ["05:30 True", "08:00 False"]),
        (("00:30", "01:30"), ["04:30 True", "06:30 False"]),
        (("01:15", "01:45"), ["05:15 True", "06:45 False"]),
        (("23:00", "01:15"), ["06:15 False", "04:00 True"]),
    ],
)
def test_where_the_clocks_show_an_hour_twice_it_begins_once_and_ends_once(
    span: tuple[str, str], moments: list[str]
) -> None:
    # 1 November 2026: back from 02:00 to 01:00 in Boston, at 06:00 UTC.
    assert turns((span,), "2026-11-01T04:00", 25) == moments


times = st.times().map(lambda at: f"{at:%H:%M}")
spans = st.lists(st.tuples(times, times).filter(lambda span: span[0] != span[1]), min_size=1, max_size=4).map(tuple)
moments = st.integers(0, 6 * 365 * 24 * 60).map(lambda minutes: utc("2024-01-01T00:00") + minutes * MINUTE)


@given(spans, moments, st.sampled_from(SHIFTING))
def test_at_every_moment_at_which_the_clock_shows_one_of_its_times_it_matters(
    hours: Spans, now: datetime, time_zone: str
) -> None:
    shows = f"{now.astimezone(ZoneInfo(time_zone)):%H:%M}"
    shown = any(start <= shows < end if start < end else not end <= shows < start for start, end in hours)
    assert matters(hours, now, time_zone) or not shown


@given(spans, moments, st.sampled_from(SHIFTING))
def test_in_a_day_each_span_begins_and_ends_once(hours: Spans, now: datetime, time_zone: str) -> None:
    looked = [now + number * 5 * MINUTE for number in range(24 * 12)]
    changes = sum(
        matters(hours, at, time_zone) is not matters(hours, later, time_zone) for at, later in pairwise(looked)
    )
    assert changes <= 2 * len(hours) + 2
