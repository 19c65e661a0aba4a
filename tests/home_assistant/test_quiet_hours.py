"""The night by the clock on the wall, also when the clock is put forward or back; and times in words."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from custom_components.ridethrough.clock_words import ClockWords
from custom_components.ridethrough.notice_words import NoticeWords
from custom_components.ridethrough.phones.quiet import QuietHours

BOSTON = ZoneInfo("America/New_York")


def quiet(start: str = "22:00:00", end: str = "07:00:00") -> QuietHours:
    return QuietHours.of({"quiet_start": start, "quiet_end": end}, BOSTON)


def wall(text: str, fold: int = 0) -> datetime:
    """A time of the clock on the wall."""
    return datetime.fromisoformat(text).replace(tzinfo=BOSTON, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-11-23T21:59:59", None),
        ("2026-11-23T22:00:00", "2026-11-24T07:00:00"),
        ("2026-11-24T06:59:59", "2026-11-24T07:00:00"),
        ("2026-11-24T07:00:00", None),
        ("2026-12-31T23:30:00", "2027-01-01T07:00:00"),
        # the clock is put forward at 2:00, and back at 2:00
        ("2026-03-07T23:00:00", "2026-03-08T07:00:00"),
        ("2026-10-31T23:00:00", "2026-11-01T07:00:00"),
    ],
)
def test_the_night_ends_in_the_morning_of_the_clock_on_the_wall(now: str, ends: str | None) -> None:
    assert quiet().ends_at(wall(now)) == (None if ends is None else wall(ends))


def test_a_night_of_changing_clocks_is_as_long_as_it_is() -> None:
    for day, hours in (("2026-03-07", 8), ("2026-10-31", 10), ("2026-06-01", 9)):
        begins = wall(f"{day}T22:00:00")
        assert quiet().ends_at(begins) == begins + timedelta(hours=hours)


def test_a_night_that_ends_in_the_hour_that_comes_twice_ends_once() -> None:
    hours = quiet("22:00:00", "01:30:00")
    assert hours.ends_at(wall("2026-11-01T01:10:00")) == wall("2026-11-01T01:30:00")
    assert hours.ends_at(wall("2026-11-01T01:10:00", fold=1)) is None


def test_a_night_that_ends_in_the_hour_that_is_left_out_ends() -> None:
    hours = quiet("22:00:00", "02:30:00")
    end = hours.ends_at(wall("2026-03-08T01:50:00"))
    assert end is not None
    assert hours.ends_at(end) is None


def test_a_rest_at_noon_and_no_quiet_hours_at_all() -> None:
    assert quiet("12:00:00", "14:00:00").ends_at(wall("2026-06-01T13:00:00")) == wall("2026-06-01T14:00:00")
    assert quiet("12:00:00", "14:00:00").ends_at(wall("2026-06-01T23:00:00")) is None
    assert quiet("07:00:00", "07:00:00").ends_at(wall("2026-06-01T07:00:00")) is None
    assert QuietHours.of({}, BOSTON).ends_at(wall("2026-06-01T23:00:00")) == wall("2026-06-02T07:00:00")


@pytest.fixture
async def boston(hass: HomeAssistant) -> HomeAssistant:
    await hass.config.async_set_time_zone("America/New_York")
    return hass


NOW = wall("2026-11-23T16:00:00")


async def clock(hass: HomeAssistant, country: str | None, language: str = "en") -> ClockWords:
    hass.config.country, hass.config.language = country, language
    return (await NoticeWords.load(hass)).clock


@pytest.mark.parametrize(
    ("start", "end", "by_24", "by_12"),
    [
        ("2026-11-24T17:00:00", "2026-11-24T20:00:00", "tomorrow 17–20", "tomorrow 5–8 PM"),
        ("2026-11-23T17:30:00", "2026-11-23T20:00:00", "today 17:30–20:00", "today 5:30–8 PM"),
        ("2026-11-25T11:00:00", "2026-11-25T13:00:00", "Wed 11–13", "Wed 11 AM–1 PM"),
        ("2026-12-05T00:00:00", "2026-12-05T12:00:00", "Sat Dec 5 0–12", "Sat Dec 5 12 AM–12 PM"),
        ("2026-11-24T22:00:00", "2026-11-25T01:00:00", "tomorrow 22:00 – Wed 01:00", "tomorrow 10:00 PM – Wed 1:00 AM"),
        ("2026-11-24T22:00:00", None, "tomorrow 22:00", "tomorrow 10:00 PM"),
    ],
)
async def test_when_something_is_is_said_as_people_of_the_country_do(
    boston: HomeAssistant, start: str, end: str | None, by_24: str, by_12: str
) -> None:
    times: Any = (wall(start), None if end is None else wall(end), NOW)
    assert (await clock(boston, "DE")).span(*times) == by_24
    assert (await clock(boston, "US")).span(*times) == by_12


async def test_the_clock_goes_by_country_and_language_and_days_by_the_home(boston: HomeAssistant) -> None:
    evening = wall("2026-11-23T20:05:00")
    assert (await clock(boston, "CA")).time(evening) == "8:05 PM"
    assert (await clock(boston, "CA", "fr")).time(evening) == "20:05"
    plain = await clock(boston, None)
    assert (plain.moment(evening, NOW), plain.moment(evening + timedelta(days=-1), NOW)) == (
        "20:05",
        "Sun Nov 22 20:05",
    )
    assert dt_util.as_local(evening).tzinfo == BOSTON
    assert plain.day(wall("2026-11-23T23:59:00"), NOW) == "today"
