"""Times and durations as utilities really write them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from edge_service.domain.timeline import FOREVER, Span
from edge_service.programs.iso8601 import duration, moment, reach

EIGHT = datetime(2026, 7, 15, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("PT1H", Span(length=timedelta(hours=1))),
        ("P0Y0M0DT1H0M0S", Span(length=timedelta(hours=1))),
        ("P0Y0M0DT1.5H0M0S", Span(length=timedelta(minutes=90))),
        ("PT1.5H", Span(length=timedelta(minutes=90))),
        ("P2W", Span(length=timedelta(days=14))),
        ("PT90S", Span(length=timedelta(seconds=90))),
        ("PT0.25S", Span(length=timedelta(milliseconds=250))),
        ("P1M", Span(months=1)),
        ("P1Y2M3DT4H5M6S", Span(14, timedelta(days=3, hours=4, minutes=5, seconds=6))),
        ("PT0S", Span()),
        ("P0D", Span()),
        ("-PT0S", Span()),
    ],
)
def test_a_duration_is_read_in_all_forms_that_servers_send(text: str, span: Span) -> None:
    assert duration(text) == span


@pytest.mark.parametrize("text", ["P9999Y", "P9999Y0M0DT0H0M0S", "P10000Y", "P999999999999Y", "PT999999999999H"])
def test_eternity_is_endless_and_does_not_overflow(text: str) -> None:
    assert duration(text).after(EIGHT) == FOREVER


@pytest.mark.parametrize(
    "text",
    ["P", "PT", "P12H", "-PT1H", "P1.5Y", "P0.5M", "PT1H30", "1H", "", " PT1H", "PT1H ", "pt1h", "P1DT", "PT-1H",
     "P1Y1Y", "PT1M1H", "PT٣H", "PT1e3S", "PT" + "9" * 300 + "S", None, 3600, True, [], {}],
)  # fmt: skip
def test_what_is_not_clearly_a_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"duration|negative|fraction"):
        duration(text)


def test_the_sign_of_a_random_shift_does_not_count() -> None:
    assert reach("-PT5M") == reach("PT5M") == timedelta(minutes=5)
    with pytest.raises(ValueError, match="months"):
        reach("P1M")


@pytest.mark.parametrize(
    "text",
    [
        "2026-07-15T20:00:00Z",
        "2026-07-15T20:00:00+00:00",
        "2026-07-15T20:00:00.000Z",
        "2026-07-15T16:00:00-04:00",
        "2026-07-15 20:00:00Z",
        "2026-07-15t20:00:00z",
        "2026-07-15T20:00:00.000000499Z",
        "2026-07-15T19:59:60Z",
    ],
)
def test_a_time_is_read_in_all_forms_that_servers_send(text: str) -> None:
    assert moment(text) == EIGHT


def test_midnight_may_be_written_at_the_end_of_the_day_and_fractions_are_kept_to_microseconds() -> None:
    assert moment("2026-07-14T24:00:00Z") == datetime(2026, 7, 15, tzinfo=UTC)
    assert moment("2026-11-23T02:22:59.848735912+00:00") == datetime(2026, 11, 23, 2, 22, 59, 848735, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["0001-01-01", "0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00",
     "0001-01-01T00:00:00+05:00", "0001-01-01 00:00:00.000Z"],
)  # fmt: skip
def test_the_first_of_days_means_now(text: str) -> None:
    assert moment(text) is None


@pytest.mark.parametrize(
    "text",
    ["0000-00-00", "2026-07-15", "2026-07-15T20:00:00", "2026-07-15T20:00Z", "2026-02-30T20:00:00Z",
     "2026-07-15T24:00:01Z", "2026-07-15T25:00:00Z", "2026-07-15T20:60:00Z", "2026-07-15T20:00:61Z",
     "2026-07-15T20:00:00+24:00", "0001-01-02T00:00:00+23:59Z", "0001-01-01T05:00:00Z",
     "0001-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "9000-01-01T00:00:00Z",
     "0001-06-01T00:00:00+99:99", "tomorrow", "", None, 1752609600, True, [], "2" * 100],
)  # fmt: skip
def test_what_is_not_clearly_a_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="time"):
        moment(text)


@given(st.text() | st.text("0123456789PYMWDTHS.-:+Z ", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    said = []
    for read in (duration, moment, reach):
        try:
            read(text)
        except ValueError as error:
            said.append(str(error))
    assert all(refusal.startswith(("is ", "has ")) for refusal in said)
