"""Entries of a calendar, whoever brings them, as events of a program. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from edge_service.domain.program import Event, Slot
from edge_service.programs.calendar_words import UnclearError, Wish, read_words
from edge_service.programs.openadr3_text import clean, shown

# As long and as far ahead as an event that is entered by hand.
LONGEST = timedelta(hours=12)
FARTHEST = timedelta(days=90)
MOST_EVENTS = 100
MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One appointment in absolute times. ``uid`` stays when it is moved; ``private``: its title is shown to nobody."""

    uid: str
    title: str
    description: str
    start: datetime
    end: datetime
    private: bool = False


class CalendarError(Exception):
    """A text is no calendar, or not a whole one; or an entry in it cannot be read."""


@dataclass(frozen=True, slots=True)
class Found:
    """The entries of a calendar that are ours, and a sentence for each that could not be read."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """The program that a calendar is of. ``prefix`` begins the uids of its events; ``at_meter``: its scope.

    ``zone``: of the days that people are told; None: they are told in UTC.
    """

    program_id: str
    name: str
    prefix: str
    at_meter: bool = False
    zone: tzinfo | None = None


def called(
    entries: Iterable[Entry], watched: Watched, now: datetime, known: Mapping[str, Event]
) -> tuple[list[Event], list[str]]:
    """The events that run or come, and a sentence for each entry that means to be one and is not clear.

    ``known``: by uid, for when they were announced.
    """
    events: dict[str, Event] = {}
    problems: list[str] = []
    for entry in sorted(entries, key=lambda one: (one.start, one.uid)):
        over = entry.end <= now and not _ran(known.get(_uid(entry, watched)), now)
        if over or entry.start - now > FARTHEST:
            continue
        try:
            event = _event(entry, watched, now, known)
        except UnclearError as error:
            title = "a private entry" if entry.private else shown(entry.title)
            day = entry.start.astimezone(watched.zone or UTC)
            problems.append(f"The entry {title} of {day:%Y-%m-%d} was passed over: {error}.")
            continue
        if event is not None and len(events) < MOST_EVENTS:
            events.setdefault(event.uid, event)
    return list(events.values()), problems[:MOST_PROBLEMS]


def _event(entry: Entry, watched: Watched, now: datetime, known: Mapping[str, Event]) -> Event | None:
    wish = read_words(entry.title, entry.description)
    if wish is None or wish.program not in (None, watched.program_id):
        return None
    _check(entry, wish, watched)
    uid = _uid(entry, watched)
    name = watched.name if entry.private else clean(entry.title) or watched.name
    announced_at = known[uid].announced_at if uid in known else now
    slot = Slot(entry.start, entry.end, wish.kind, wish.power_w)
    return Event(uid, watched.program_id, name, announced_at, (slot,))


def _uid(entry: Entry, watched: Watched) -> str:
    return watched.prefix + hashlib.sha256(entry.uid.encode()).hexdigest()[:16]


def _ran(known: Event | None, now: datetime) -> bool:
    """It ran as it was known: what ends it early is told, once."""
    return known is not None and known.start <= now < known.end


def _check(entry: Entry, wish: Wish, watched: Watched) -> None:
    if entry.end <= entry.start:
        raise UnclearError("it does not end after it begins")
    if entry.end - entry.start > LONGEST:
        raise UnclearError(f"it lasts longer than {LONGEST // timedelta(hours=1)} hours")
    if wish.net and not watched.at_meter:
        raise UnclearError("it says net, and the program counts at the charger; set the program's scope to site")
