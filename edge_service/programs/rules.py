"""Whether an event is as its program says that its events are: day, flags, and whether a person is asked first.

Pure: the same event, program, time zone and calls always give the same judgement; judging again changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from edge_service.domain.model import Event, Program
from edge_service.domain.program import MILD_FLAGS, Flag, OutsideRules, Rules, Season
from edge_service.programs.manual import by_hand

# A random start moves an event by minutes, and polling sees it seconds late: neither is against the rules.
SLACK = timedelta(minutes=5)
END_OF_DAY = "24:00"
ALL_DAY = ("00:00", END_OF_DAY)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Call:
    """That a program called an event: what counts toward the most that it may call in a season."""

    uid: str
    program_id: str
    start: datetime
    end: datetime


def judge(event: Event, program: Program | None, zone: str | None, calls: Iterable[Call] = ()) -> Event:
    """The event with its local day, its flags, and whether a person is asked before it is served.

    ``zone`` None: the site does not say where it is; then nothing is said that local time would have to tell.
    ``calls``: others of the program, in any order; this event and those after it do no harm.
    """
    own_zone = None if zone is None else ZoneInfo(zone)
    day = None if own_zone is None else event.start.astimezone(own_zone).date()
    found = () if program is None or event.rehearsal else tuple(_flags(event, program.rules, own_zone, calls))
    asked = program is not None and program.rules.outside is OutsideRules.ASK and not by_hand(event)
    # Its source says so where it cannot tell when the event is to start: no rule takes that back.
    doubted = (Flag.UNSURE_CLOCK,) if Flag.UNSURE_CLOCK in event.flags else ()
    return replace(
        event,
        day="" if day is None else day.isoformat(),
        flags=found + doubted,
        asks=bool(doubted) or (asked and not MILD_FLAGS.issuperset(found)),
    )


def needs_zone(rules: Rules) -> bool:
    """Whether these rules can only be told in local time."""
    said = (rules.seasons, rules.weekdays, rules.holidays, rules.window, rules.most_events, rules.most_hours)
    return any(said)


def _flags(event: Event, rules: Rules, zone: ZoneInfo | None, calls: Iterable[Call]) -> Iterator[Flag]:
    if zone is not None:
        yield from _flags_of_day(event, rules, event.start.astimezone(zone).date())
        if rules.window is not None and not _within(event, rules.window, zone):
            yield Flag.OUTSIDE_WINDOW
    length = event.end - event.start
    if rules.longest_h is not None and length > timedelta(hours=rules.longest_h) + SLACK:
        yield Flag.TOO_LONG
    if rules.shortest_h is not None and length < timedelta(hours=rules.shortest_h) - SLACK:
        yield Flag.TOO_SHORT
    if rules.notice_h is not None and event.start - event.announced_at < timedelta(hours=rules.notice_h) - SLACK:
        yield Flag.SHORT_NOTICE
    if zone is not None and _is_too_many(event, rules, zone, calls):
        yield Flag.TOO_MANY


def _flags_of_day(event: Event, rules: Rules, day: date) -> Iterator[Flag]:
    if rules.seasons and season_of(rules, day) is None:
        yield Flag.OUT_OF_SEASON
    if rules.weekdays and day.weekday() not in rules.weekdays:
        yield Flag.WRONG_WEEKDAY
    if is_holiday(rules, day):
        yield Flag.HOLIDAY


def _within(event: Event, window: tuple[str, str], zone: ZoneInfo) -> bool:
    """In one opening of the window, which may span midnight; an hour that a clock repeats is wholly inside."""
    if window == ALL_DAY:
        return True
    first = event.start.astimezone(zone).date()
    openings = [_opening(day, window, zone) for day in (first - _DAY, first, first + _DAY)]
    return any(opens - SLACK <= event.start and event.end <= closes + SLACK for opens, closes in openings)


def _opening(day: date, window: tuple[str, str], zone: ZoneInfo) -> tuple[datetime, datetime]:
    first, last = window
    opens = datetime.combine(day, time.fromisoformat(first), zone)
    closing_day = day + _DAY if last == END_OF_DAY or last <= first else day
    closing = time() if last == END_OF_DAY else time.fromisoformat(last)
    closes = datetime.combine(closing_day, closing, zone).replace(fold=1)
    return opens.astimezone(UTC), closes.astimezone(UTC)


# ------------------------------------------------------------------------------------------------------------- seasons


def season_of(rules: Rules, day: date) -> tuple[date, date] | None:
    """First and last day of the season around this day; None: it is in none. Without seasons: the calendar year."""
    if not rules.seasons:
        return date(day.year, 1, 1), date(day.year, 12, 31)
    found = [_around(season, day) for season in rules.seasons]
    return next((season for season in found if season is not None), None)


def _around(season: Season, day: date) -> tuple[date, date] | None:
    written = day.strftime("%m-%d")
    if season.first <= season.last:
        within, begun = season.first <= written <= season.last, day.year
    else:
        within = written >= season.first or written <= season.last
        begun = day.year if written >= season.first else day.year - 1
    if not within:
        return None
    ends = begun if season.first <= season.last else begun + 1
    return _on(begun, season.first), _on(ends, season.last)


def _on(year: int, written: str) -> date:
    """A day of the year; 29 February of another year is the 28th."""
    month, day = int(written[:2]), int(written[3:])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return date(year, month, 28 if (month, day) == (2, 29) and not leap else day)


def _is_too_many(event: Event, rules: Rules, zone: ZoneInfo, calls: Iterable[Call]) -> bool:
    """Whether those of the season that begin before this one leave no room for it."""
    if rules.most_events is None and rules.most_hours is None:
        return False
    season = season_of(rules, event.start.astimezone(zone).date())
    if season is None:
        return False
    before = {call.uid: call for call in calls if _counts_before(call, event, season, zone)}
    length = sum((call.end - call.start for call in before.values()), event.end - event.start)
    too_many = rules.most_events is not None and len(before) >= rules.most_events
    return too_many or (rules.most_hours is not None and length > timedelta(hours=rules.most_hours) + SLACK)


def _counts_before(call: Call, event: Event, season: tuple[date, date], zone: ZoneInfo) -> bool:
    if call.program_id != event.program_id or (call.start, call.uid) >= (event.start, event.uid):
        return False
    return season[0] <= call.start.astimezone(zone).date() <= season[1]


# ------------------------------------------------------------------------------------------------------------ holidays


@lru_cache(maxsize=64)
def _holidays(country: str, subdivision: str | None, year: int) -> Mapping[date, str]:
    import holidays  # noqa: PLC0415 - most houses have no program that knows holidays

    return holidays.country_holidays(country, subdiv=subdivision, years=year)


def is_holiday(rules: Rules, day: date) -> bool:
    """Whether the program takes this local date for a holiday; never where it knows none."""
    return rules.holidays is not None and day in _holidays(rules.holidays, rules.subdivision, day.year)


def is_calendar(country: str, subdivision: str | None) -> bool:
    """Whether the holidays of this country, or of this part of it, are known."""
    try:
        _holidays(country, subdivision, 2026)
    except NotImplementedError, KeyError:  # what the library says of a country, and of a part, that it has not
        return False
    return True
