"""What stands in the text of an iCalendar: the entries that mean us, each occurrence by itself.

Only entries whose words are ours are expanded, within a window, and by the day at most: a rule that recurs each second
is a mistake, or worse.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events

from edge_service.programs.calendar_entries import FARTHEST, LONGEST, MOST_PROBLEMS, CalendarError, Entry, Found
from edge_service.programs.calendar_words import LONGEST_DESCRIPTION, LONGEST_TITLE, looks_like_an_event
from edge_service.programs.openadr3_text import shown

MOST_COMPONENTS = 20_000
MOST_SERIES = 100
_PRIVATE = ("PRIVATE", "CONFIDENTIAL")
_TOO_OFTEN = ("SECONDLY", "MINUTELY", "HOURLY")
_WITHIN_A_DAY = ("BYHOUR", "BYMINUTE", "BYSECOND")


def read_calendar(text: str, now: datetime, zone: tzinfo | None = None) -> Found:
    """The entries that run or come. ``zone``: of times that say none. Raises CalendarError. Takes up to a second."""
    if not text.rstrip().endswith("END:VCALENDAR"):
        raise CalendarError("it is no iCalendar, or only the beginning of one")
    try:
        calendar = icalendar.Calendar.from_ical(text)
        components = list(calendar.walk("VEVENT"))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise CalendarError(f"it cannot be read ({str(error)[:100]})") from error
    if len(components) > MOST_COMPONENTS:
        raise CalendarError(f"it has more than {MOST_COMPONENTS} entries")
    zone = _own_zone(calendar) or zone
    series: dict[str, list[Any]] = {}
    for component in components:
        series.setdefault(_line(component, "UID"), []).append(component)
    ours = [parts for parts in series.values() if any(looks_like_an_event(*_words(one)) for one in parts)]
    entries: list[Entry] = []
    problems: list[str] = []
    for parts in ours[:MOST_SERIES]:
        _read_series(parts, now, zone, entries, problems)
    if len(ours) > MOST_SERIES:
        problems.append(f"Only {MOST_SERIES} of {len(ours)} entries are read; take out those of the past.")
    return Found(tuple(entries), tuple(dict.fromkeys(problems))[:MOST_PROBLEMS])


def _read_series(
    parts: list[Any], now: datetime, zone: tzinfo | None, entries: list[Entry], problems: list[str]
) -> None:
    """One appointment with all its occurrences; what is wrong with it says nothing about the others."""
    try:
        for part in parts:
            _refuse_too_often(part)
            _refuse_backwards(part)
        recurs = any(part.get(name) is not None for part in parts for name in ("RRULE", "RDATE", "RECURRENCE-ID"))
        for occurrence in _occurrences(parts, now):
            entry = _entry(occurrence, zone, recurs=recurs)
            if entry is not None:
                entries.append(entry)
    except CalendarError as error:
        problems.append(f"The entry {_title_shown(parts[0])} was passed over: {error}.")
    except Exception as error:  # a library that reads what anybody wrote raises whatever it likes
        problems.append(f"The entry {_title_shown(parts[0])} was passed over: {str(error)[:100]}.")


def _refuse_too_often(part: Any) -> None:
    """What would be expanded without an end: each second, or in steps of nothing."""
    for name in ("RRULE", "EXRULE"):
        rules = part.get(name)
        for rule in rules if isinstance(rules, list) else [rules] if rules is not None else []:
            within_a_day = any(len(_values(rule, key)) > 1 for key in _WITHIN_A_DAY)
            frequency, steps = _values(rule, "FREQ"), _values(rule, "INTERVAL")
            too_often = any(str(word).upper() in _TOO_OFTEN for word in frequency)
            if within_a_day or too_often or any(int(step) < 1 for step in steps):
                raise CalendarError("it recurs more often than once a day")


def _values(rule: Any, key: str) -> list[Any]:
    value = rule.get(key)
    return value if isinstance(value, list) else [] if value is None else [value]


def _refuse_backwards(part: Any) -> None:
    """The library that expands would turn it round."""
    start, end = part.get("DTSTART"), part.get("DTEND")
    if start is not None and end is not None and type(start.dt) is type(end.dt) and not start.dt < end.dt:
        raise CalendarError("it does not end after it begins")


def _occurrences(parts: list[Any], now: datetime) -> Iterator[Any]:
    alone = icalendar.Calendar()
    for part in parts:
        alone.add_component(part)
    # A day more on both sides: times without a zone are compared as they stand.
    window = (now - LONGEST - timedelta(days=1), now + FARTHEST + timedelta(days=1))
    yield from recurring_ical_events.of(alone).between(*window)


def _entry(component: Any, zone: tzinfo | None, *, recurs: bool) -> Entry | None:
    """None: an occurrence that is called off, or whose words are no longer ours. Raises CalendarError."""
    status, words = _line(component, "STATUS").upper(), _words(component)
    if status == "CANCELLED" or not looks_like_an_event(*words):
        return None
    if status == "TENTATIVE":
        raise CalendarError("it is tentative; confirm it in the calendar")
    start, end = _moment(component.start, zone), _moment(component.end, zone)
    uid = _line(component, "UID")
    if recurs:
        uid += f"|{_moment(component['RECURRENCE-ID'].dt, zone).isoformat()}"
    return Entry(uid, *words, start, end, private=_line(component, "CLASS").upper() in _PRIVATE)


def _moment(value: date, zone: tzinfo | None) -> datetime:
    if not isinstance(value, datetime):
        raise CalendarError("it lasts all day; give it a beginning and an end")
    if value.tzinfo is None:
        if zone is None:
            raise CalendarError("its times name no time zone; say time_zone with the program")
        value = value.replace(tzinfo=zone)
    return value.astimezone(UTC)


def _own_zone(calendar: Any) -> tzinfo | None:
    """The zone that the calendar says for all of it, as some servers do."""
    name = _line(calendar, "X-WR-TIMEZONE")
    try:
        return ZoneInfo(name) if name else None
    except KeyError, ValueError, OSError:
        return None


def _words(component: Any) -> tuple[str, str]:
    # One character more than is allowed, so that what is too long is seen to be.
    return _line(component, "SUMMARY")[: LONGEST_TITLE + 1], _line(component, "DESCRIPTION")[:LONGEST_DESCRIPTION]


def _title_shown(component: Any) -> str:
    private = _line(component, "CLASS").upper() in _PRIVATE
    return "that is private" if private else shown(_line(component, "SUMMARY"))


def _line(component: Any, name: str) -> str:
    value = component.get(name)
    return str(value[0] if isinstance(value, list) and value else value) if value is not None else ""
