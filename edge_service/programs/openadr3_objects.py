"""OpenADR 3 objects as they come, one at a time: what is understood, and a sentence for what is not.

Unknown keys are ignored and missing ``objectType`` is tolerated, as real servers need it. Nothing here raises but
ObjectError, and one bad object says nothing about its siblings.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from edge_service.domain.model import frozen_map
from edge_service.domain.timeline import MOST_SLOTS, Interval, Period, Schedule
from edge_service.programs import iso8601
from edge_service.programs.openadr3_alerts import ALERTS, AlertObject
from edge_service.programs.openadr3_limits import LimitObject
from edge_service.programs.openadr3_prices import PriceObject
from edge_service.programs.openadr3_text import LONGEST_SHOWN, clean as clean, shown as shown
from edge_service.programs.openadr3_words import LIMITS, PRICES, Meaning, Told, WordReader, told_by

# No event seen asks for more than four kinds of report.
MOST_REPORTS = 50
_MOST_PROBLEMS_PER_EVENT = 5

_OBJECT_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}", re.ASCII)

type Target = tuple[str, str]


class ObjectError(Exception):
    """An object is skipped; the message is a whole sentence that names it."""


@dataclass(frozen=True, slots=True)
class ProgramObject:
    """A program as offered. ``told``: what its descriptors tell of each type of payload.

    ``report_descriptors``: those of its payload descriptors, as written, that are about reports.
    """

    id: str
    name: str
    told: Mapping[str, Told] = field(default_factory=frozen_map)
    report_descriptors: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class VenObject:
    """How the server knows us. ``targets`` are words (3.1); ``typed_targets`` are the (type, value) of 3.0.1."""

    id: str
    name: str
    targets: tuple[str, ...] = ()
    typed_targets: frozenset[Target] = frozenset()


@dataclass(frozen=True, slots=True)
class EventObject:
    """An event as written. ``targets`` and ``typed_targets`` as in VenObject; ``problems`` are whole sentences.

    ``interval_ids``: the labels of the schedule's intervals. ``report_descriptors``: as written. ``created_at``: by
    the server's clock; None: not told.
    """

    id: str
    program_id: str
    name: str
    priority: int | None
    schedule: Schedule
    typed_targets: frozenset[Target] = frozenset()
    problems: tuple[str, ...] = ()
    alerts: tuple[AlertObject, ...] = ()
    limits: tuple[LimitObject, ...] = ()
    prices: tuple[PriceObject, ...] = ()
    targets: tuple[str, ...] = ()
    interval_ids: tuple[int | None, ...] = ()
    report_descriptors: tuple[Mapping[str, Any], ...] = ()
    created_at: datetime | None = None


def object_id(value: object) -> str | None:
    """The id, if it is one: safe in a path too."""
    return value if isinstance(value, str) and _OBJECT_ID.fullmatch(value) else None


def read_program(raw: object) -> ProgramObject:
    """Raises ObjectError."""
    body, own_id = _identified(raw, "program", "PROGRAM")
    name = body.get("programName")
    if not isinstance(name, str):
        raise ObjectError(f"Program {own_id} was skipped: its programName is {shown(name)}.")
    descriptors = _objects(body.get("payloadDescriptors"))
    reports = tuple(one for one in descriptors if one.get("objectType") == "REPORT_PAYLOAD_DESCRIPTOR")
    return ProgramObject(own_id, name, frozen_map(told_by(body.get("payloadDescriptors"))), reports)


def read_ven(raw: object) -> VenObject:
    """Raises ObjectError."""
    body, own_id = _identified(raw, "ven", "VEN", "VEN_VEN_REQUEST", "BL_VEN_REQUEST")
    name, targets = body.get("venName"), body.get("targets")
    return VenObject(own_id, name if isinstance(name, str) else "", _words(targets), frozenset(_typed_targets(targets)))


def read_event(raw: object, programs: Mapping[str, ProgramObject], meaning: Meaning | None = None) -> EventObject:
    """An event in our words. A payload's unit is the event's own, else its program's. Raises ObjectError."""
    body, own_id = _identified(raw, "event", "EVENT")
    reader = _EventReader(body, own_id, programs, meaning or Meaning())
    try:
        return reader.read()
    except ValueError as error:
        raise ObjectError(f"{reader.label} was skipped: {error}.") from error


def _identified(raw: object, noun: str, *types: str) -> tuple[dict[str, Any], str]:
    if not isinstance(raw, dict):
        raise ObjectError(f"A row in the list of {noun}s was skipped: it is {shown(raw)}.")
    own_id, kind = object_id(raw.get("id")), raw.get("objectType")
    if own_id is None:
        raise ObjectError(f"A {noun} was skipped: its id is {shown(raw.get('id'))}.")
    if kind is not None and kind not in types:
        raise ObjectError(f"{noun.capitalize()} {own_id} was skipped: its objectType is {shown(kind)}.")
    return raw, own_id


def _words(targets: object) -> tuple[str, ...]:
    """Targets as 3.1 has them."""
    return tuple(word for word in targets if isinstance(word, str) and word) if isinstance(targets, list) else ()


def _objects(rows: object) -> tuple[dict[str, Any], ...]:
    return tuple(row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()


def _typed_targets(targets: object) -> Iterator[Target]:
    for target in targets if isinstance(targets, list) else ():
        if isinstance(target, dict) and isinstance(target.get("type"), str) and isinstance(target.get("values"), list):
            yield from ((target["type"], value) for value in target["values"] if isinstance(value, str))


def _label(value: object) -> int | None:
    """An interval's id: a whole number that only names it."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _stamp(value: object) -> datetime | None:
    """A server's own stamp; one that is odd is none."""
    try:
        return iso8601.moment(value)
    except ValueError:
        return None


def _program_id(body: dict[str, Any]) -> str:
    program_id = object_id(body.get("programID"))
    if program_id is None:
        raise ValueError(f"its programID is {shown(body.get('programID'))}")
    return program_id


def _period(value: object, where: str) -> Period:
    """Raises ValueError naming the field."""
    if value is None:
        return Period()
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {shown(value)}")
    found: dict[str, Any] = {}
    readers = {"start": iso8601.moment, "duration": iso8601.duration, "randomizeStart": iso8601.reach}
    for key, read in readers.items():
        text = value.get(key)
        try:
            found[key] = None if text is None else read(text)
        except ValueError as error:
            raise ValueError(f"{where}.{key} {shown(text)} {error}") from error
    return Period(found["start"], found["duration"], found["randomizeStart"])


def _first_text(values: object) -> str:
    """What an alert says to people, if anything."""
    texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
    return clean(texts[0]) if texts else ""


class _EventReader:
    """Reads one event; gathers what is skipped inside it."""

    def __init__(
        self, body: dict[str, Any], own_id: str, programs: Mapping[str, ProgramObject], meaning: Meaning
    ) -> None:
        name = body.get("eventName")
        self._body = body
        self._id = own_id
        self._name = clean(name) if isinstance(name, str) else ""
        self._programs = programs
        self._meaning = meaning
        self._problems: dict[str, None] = {}
        self._ignored: dict[str, None] = {}
        self._alerts: dict[str, tuple[str, set[int]]] = {}
        self._limits: dict[str, dict[int, int]] = {}
        self._prices: dict[str, dict[int, tuple[float, ...]]] = {}
        self._reader = WordReader({}, meaning, self._note)
        self.label = f"Event {own_id}" + (f" ({clean(self._name, LONGEST_SHOWN)})" if self._name else "")

    def read(self) -> EventObject:
        body, targets = self._body, self._body.get("targets")
        program_id = _program_id(body)
        self._reader = WordReader(self._told(self._programs.get(program_id)), self._meaning, self._note)
        duration = _period({"duration": body.get("duration")}, "event").duration
        period, intervals = _period(body.get("intervalPeriod"), "intervalPeriod"), tuple(self._intervals())
        read = EventObject(
            id=self._id,
            program_id=program_id,
            name=self._name,
            priority=self._priority(),
            schedule=Schedule(period, intervals, duration),
            typed_targets=frozenset(_typed_targets(targets)),
            targets=_words(targets),
            interval_ids=tuple(_label(row.get("id")) for row in (body.get("intervals") or ())[:MOST_SLOTS]),
            report_descriptors=_objects(body.get("reportDescriptors"))[:MOST_REPORTS],
            created_at=_stamp(body.get("createdDateTime")),
        )
        return replace(
            read,
            alerts=tuple(AlertObject(ALERTS[word], text, frozenset(at)) for word, (text, at) in self._alerts.items()),
            limits=tuple(LimitObject(*LIMITS[word], at=frozen_map(at)) for word, at in self._limits.items()),
            prices=tuple(
                PriceObject(PRICES[word], self._reader.currency(word), frozen_map(at))
                for word, at in self._prices.items()
            ),
            problems=self._sentences(),
        )

    def _told(self, program: ProgramObject | None) -> Mapping[str, Told]:
        return {**({} if program is None else program.told), **told_by(self._body.get("payloadDescriptors"))}

    def _priority(self) -> int | None:
        priority = self._body.get("priority")
        if priority is None or (isinstance(priority, int) and not isinstance(priority, bool) and priority >= 0):
            return priority
        self._note(f"priority {shown(priority)} is no whole number from 0; it ranks last")
        return None

    def _intervals(self) -> Iterator[Interval]:
        rows = self._body.get("intervals")
        if rows is not None and not isinstance(rows, list):
            raise ValueError(f"its intervals are {shown(rows)}")
        if rows and len(rows) > MOST_SLOTS:
            self._note(f"it has {len(rows)} intervals; only the first {MOST_SLOTS} are read")
        for number, row in enumerate((rows or [])[:MOST_SLOTS]):
            if not isinstance(row, dict):
                raise ValueError(f"interval {number} is {shown(row)}")
            period = _period(row.get("intervalPeriod"), f"interval {number}: intervalPeriod")
            yield self._interval(period, row.get("payloads"), number)

    def _interval(self, period: Period, payloads: object, number: int) -> Interval:
        """What it asks of the vehicles, noting beside it what else it says; one without a valid word asks nothing."""
        where = f"interval {number}"
        found = dict(self._payloads(payloads, where))
        for word, values in found.items():
            if word in ALERTS:
                self._alerts.setdefault(word, (_first_text(values), set()))[1].add(number)
            elif word in LIMITS and (limit_w := self._reader.limit_w(word, values, where)) is not None:
                self._limits.setdefault(word, {})[number] = limit_w
            elif word in PRICES and (prices := self._reader.prices(word, values, where)) is not None:
                self._prices.setdefault(word, {})[number] = prices
        asked = self._reader.ask(found, where)
        return Interval(period, speaks=False) if asked is None else replace(asked, period=period)

    def _payloads(self, payloads: object, where: str) -> Iterator[tuple[str, object]]:
        if payloads is not None and not isinstance(payloads, list):
            self._note(f"{where}: payloads are {shown(payloads)}")
            return
        for payload in payloads or ():
            kind = payload.get("type") if isinstance(payload, dict) else None
            if isinstance(kind, str) and (kind in ALERTS or self._reader.knows(kind)):
                yield kind, payload.get("values")
            elif isinstance(kind, str):
                self._ignored[clean(kind, LONGEST_SHOWN)] = None
            else:
                self._note(f"{where}: a payload has no type")

    def _note(self, problem: str) -> None:
        self._problems[problem] = None

    def _sentences(self) -> tuple[str, ...]:
        noted = list(self._problems)
        if len(noted) > _MOST_PROBLEMS_PER_EVENT:
            rest = len(noted) - _MOST_PROBLEMS_PER_EVENT + 1
            noted[_MOST_PROBLEMS_PER_EVENT - 1 :] = [f"{rest} more such problems"]
        if self._ignored:
            noted.append(f"not followed: {clean(', '.join(self._ignored))}")
        return tuple(f"{self.label}: {problem}." for problem in noted)
