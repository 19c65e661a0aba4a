"""What a client such as Home Assistant tells of a calendar that it watches for a program.

It is told whole each time. What was taken in is kept like any accepted event, whether the client lives or not, and is
gone only when a later report of the same calendar lacks it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from edge_service.domain.asked import AN_AWARE_TIME, Asked, aware_time, bad_argument
from edge_service.domain.program import Event, Scope
from edge_service.programs.calendar_entries import Entry, Watched, called
from edge_service.programs.calendar_words import LONGEST_DESCRIPTION, LONGEST_TITLE, looks_like_an_event
from edge_service.programs.openadr3_text import shown

# With a sign that no program's id has, so that no program's own event can be taken for one.
PREFIX = "ha-calendar:"
MOST_ENTRIES = 500
LONGEST_ID = 500
_DATE_ONLY = len("2026-07-15")


@dataclass(frozen=True, slots=True)
class CalendarReport:
    """The events of one calendar up to ``until``, and a sentence for each entry that is not clear."""

    program_id: str
    prefix: str
    until: datetime
    events: tuple[Event, ...]
    problems: tuple[str, ...]

    def replaces(self, event: Event) -> bool:
        """Whether it would have been told, if it still stood."""
        return event.uid.startswith(self.prefix) and event.start < self.until


def reported(event: Event) -> bool:
    """Whether it is of a calendar that a client watches, so that no server's word takes it back."""
    return event.uid.startswith(PREFIX)


def read_report(asked: Asked, known: Sequence[Event]) -> CalendarReport:
    """Raises ``CommandRefusedError``; then nothing of it is taken."""
    program = asked.facts.programs[asked.program()]
    calendar, until = _bounded(asked.args, "calendar"), asked.time("until")
    prefix = f"{PREFIX}{hashlib.sha256(calendar.encode()).hexdigest()[:8]}:"
    entries, all_day = _entries(asked.args.get("entries"))
    zone = ZoneInfo(asked.facts.time_zone) if asked.facts.time_zone else None
    watched = Watched(program.id, program.name, prefix, program.scope is Scope.SITE, zone)
    events, problems = called(entries, watched, asked.now, {event.uid: event for event in known})
    return CalendarReport(program.id, prefix, until, tuple(events), (*all_day, *problems))


def _entries(rows: Any) -> tuple[list[Entry], list[str]]:
    if not isinstance(rows, list) or len(rows) > MOST_ENTRIES:
        raise bad_argument("entries", type(rows).__name__, f"a list of at most {MOST_ENTRIES} entries")
    entries: list[Entry] = []
    problems: list[str] = []
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise bad_argument(f"entries[{number}]", type(row).__name__, "an object")
        entry = _entry(row, f"entries[{number}]")
        if entry is not None:
            entries.append(entry)
        elif looks_like_an_event(title := _text(row, "summary"), _text(row, "description")):
            problems.append(
                f"The entry {shown(title)} was passed over: it lasts all day; give it a beginning and an end."
            )
    return entries, problems


def _entry(row: Mapping[str, Any], path: str) -> Entry | None:
    """None: it lasts all day, as Home Assistant tells by dates without a time."""
    if all(isinstance(row.get(key), str) and len(row[key]) == _DATE_ONLY for key in ("start", "end")):
        return None
    title, description = _text(row, "summary"), _text(row, "description")
    start, end = (_time(row, key, path) for key in ("start", "end"))
    # Many calendars of Home Assistant's have no uid to give: then the entry is its words and its beginning.
    uid = _bounded(row, "uid", path) if row.get("uid") is not None else f"{title}|{start.isoformat()}"
    return Entry(f"{uid}|{_text(row, 'recurrence_id')}", title, description, start, end)


def _time(row: Mapping[str, Any], key: str, path: str) -> datetime:
    moment = aware_time(row.get(key))
    if moment is None:
        raise bad_argument(f"{path}.{key}", shown(row.get(key)), AN_AWARE_TIME)
    return moment


def _text(row: Mapping[str, Any], key: str) -> str:
    """A text that may be missing. One character more than is allowed shows that it is too long."""
    value = row.get(key)
    return value[: LONGEST_TITLE + 1 if key == "summary" else LONGEST_DESCRIPTION] if isinstance(value, str) else ""


def _bounded(row: Mapping[str, Any], key: str, path: str = "") -> str:
    value = row.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
        raise bad_argument(f"{path}.{key}".strip("."), shown(value), f"1 to {LONGEST_ID} characters")
    return value
