"""OpenADR 3 objects as they come, one at a time: what is understood, and a sentence for what is not.

Unknown keys are ignored and missing ``objectType`` is tolerated, as real servers need it. Nothing here raises but
ObjectError, and one bad object says nothing about its siblings.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from edge_service.domain.model import SlotKind
from edge_service.domain.timeline import MOST_SLOTS, Interval, Period, Schedule
from edge_service.programs import iso8601
from edge_service.programs.openadr3_alerts import ALERTS, AlertObject

SETPOINT = "DISPATCH_SETPOINT"
SIMPLE = "SIMPLE"

# No house moves a gigawatt; what is larger is a mistake of unit or worse.
MOST_W = 1_000_000_000
LONGEST_NAME = 120
# No event seen asks for more than four kinds of report.
MOST_REPORTS = 50
_LONGEST_SHOWN = 40
_MOST_PROBLEMS_PER_EVENT = 5
_LONGEST_PLAIN_NUMBER = 10**15

# Watts of one unit, by its name in capitals. Others, also MW (megawatt or milliwatt?), are not followed.
_UNIT_W = {"KW": 1000, "W": 1}

# Levels of SIMPLE: moderate, high and special shed, as our documentation of the program tells the resident.
_LEVELS = {0: None, 1: SlotKind.NO_CHARGE, 2: SlotKind.COVER_HOUSE, 3: SlotKind.MAX_DISCHARGE}

_OBJECT_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}", re.ASCII)

type Target = tuple[str, str]


class ObjectError(Exception):
    """An object is skipped; the message is a whole sentence that names it."""


@dataclass(frozen=True, slots=True)
class ProgramObject:
    """A program as offered. ``setpoint_unit_w``: watts of one unit of its setpoints, None: not told or not known.

    ``report_descriptors``: those of its payload descriptors, as written, that are about reports.
    """

    id: str
    name: str
    setpoint_unit_w: int | None
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

    ``interval_ids``: the labels of the schedule's intervals. ``report_descriptors``: as written.
    """

    id: str
    program_id: str
    name: str
    priority: int | None
    schedule: Schedule
    typed_targets: frozenset[Target] = frozenset()
    problems: tuple[str, ...] = ()
    alerts: tuple[AlertObject, ...] = ()
    targets: tuple[str, ...] = ()
    interval_ids: tuple[int | None, ...] = ()
    report_descriptors: tuple[Mapping[str, Any], ...] = ()


def clean(value: str, longest: int = LONGEST_NAME) -> str:
    """A foreign text fit to be shown as text: no control, direction or broken characters, one line, bounded."""
    kept = (char for char in value[: 4 * longest] if char.isspace() or unicodedata.category(char)[0] != "C")
    return " ".join("".join(kept).split())[:longest].strip()


def shown(value: object) -> str:
    """A foreign value for a sentence of ours, bounded whatever it is."""
    if isinstance(value, str):
        return f'"{clean(value, _LONGEST_SHOWN)}"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return str(value) if -_LONGEST_PLAIN_NUMBER < value < _LONGEST_PLAIN_NUMBER else "a number out of all bounds"
    return "a list" if isinstance(value, list) else "an object"


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
    return ProgramObject(own_id, name, _unit_w(body.get("payloadDescriptors")), reports)


def read_ven(raw: object) -> VenObject:
    """Raises ObjectError."""
    body, own_id = _identified(raw, "ven", "VEN", "VEN_VEN_REQUEST", "BL_VEN_REQUEST")
    name, targets = body.get("venName"), body.get("targets")
    return VenObject(own_id, name if isinstance(name, str) else "", _words(targets), frozenset(_typed_targets(targets)))


def read_event(raw: object, programs: Mapping[str, ProgramObject], *, consumption_positive: bool) -> EventObject:
    """An event in our words. A setpoint's unit is the event's own, else its program's. Raises ObjectError."""
    body, own_id = _identified(raw, "event", "EVENT")
    reader = _EventReader(body, own_id, programs, 1 if consumption_positive else -1)
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


def _unit_w(descriptors: object) -> int | None:
    """Watts of one unit of a setpoint; None: not told, not known, or told twice in different ways."""
    told = {_unit_of(one) for one in _descriptors(descriptors)}
    return told.pop() if len(told) == 1 else None


def _unit_of(descriptor: dict[str, Any]) -> int | None:
    units = descriptor.get("units")
    return _UNIT_W.get(units.upper()) if isinstance(units, str) else None


def _descriptors(descriptors: object) -> list[dict[str, Any]]:
    rows = descriptors if isinstance(descriptors, list) else []
    return [row for row in rows if isinstance(row, dict) and row.get("payloadType") == SETPOINT]


def _number(value: object) -> float | None:
    """A finite number; true is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or isfinite(value) else None


def _label(value: object) -> int | None:
    """An interval's id: a whole number that only names it."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


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
    for field, read in readers.items():
        text = value.get(field)
        try:
            found[field] = None if text is None else read(text)
        except ValueError as error:
            raise ValueError(f"{where}.{field} {shown(text)} {error}") from error
    return Period(found["start"], found["duration"], found["randomizeStart"])


def _first_text(values: object) -> str:
    """What an alert says to people, if anything."""
    texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
    return clean(texts[0]) if texts else ""


class _EventReader:
    """Reads one event; gathers what is skipped inside it."""

    def __init__(self, body: dict[str, Any], own_id: str, programs: Mapping[str, ProgramObject], sign: int) -> None:
        name = body.get("eventName")
        self._body = body
        self._id = own_id
        self._name = clean(name) if isinstance(name, str) else ""
        self._programs = programs
        self._sign = sign
        self._unit_w: int | None = None
        self._problems: dict[str, None] = {}
        self._ignored: dict[str, None] = {}
        self._alerts: dict[str, tuple[str, set[int]]] = {}
        self.label = f"Event {own_id}" + (f" ({clean(self._name, _LONGEST_SHOWN)})" if self._name else "")

    def read(self) -> EventObject:
        body = self._body
        program_id = _program_id(body)
        self._unit_w = self._setpoint_unit_w(self._programs.get(program_id))
        duration = _period({"duration": body.get("duration")}, "event").duration
        period, intervals = _period(body.get("intervalPeriod"), "intervalPeriod"), tuple(self._intervals())
        schedule = Schedule(period, intervals, duration)
        targets = body.get("targets")
        alerts = tuple(AlertObject(ALERTS[word], text, frozenset(at)) for word, (text, at) in self._alerts.items())
        priority = self._priority()
        return EventObject(
            id=self._id,
            program_id=program_id,
            name=self._name,
            priority=priority,
            schedule=schedule,
            typed_targets=frozenset(_typed_targets(targets)),
            problems=self._sentences(),
            alerts=alerts,
            targets=_words(targets),
            interval_ids=tuple(_label(row.get("id")) for row in (body.get("intervals") or ())[:MOST_SLOTS]),
            report_descriptors=_objects(body.get("reportDescriptors"))[:MOST_REPORTS],
        )

    def _setpoint_unit_w(self, program: ProgramObject | None) -> int | None:
        own = self._body.get("payloadDescriptors")
        return _unit_w(own) if _descriptors(own) or program is None else program.setpoint_unit_w

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
        """A setpoint counts before a level; an interval without a valid one of them does not speak of power."""
        where = f"interval {number}"
        found = dict(self._payloads(payloads, where))
        for word in found.keys() & ALERTS.keys():
            self._alerts.setdefault(word, (_first_text(found[word]), set()))[1].add(number)
        if SETPOINT in found and (power_w := self._power_w(found[SETPOINT], where)) is not None:
            return Interval(period, SlotKind.POWER, power_w)
        if SIMPLE in found and (level := self._level(found[SIMPLE], where)) is not None:
            return Interval(period, _LEVELS[level])
        return Interval(period, speaks=False)

    def _payloads(self, payloads: object, where: str) -> Iterator[tuple[str, object]]:
        if payloads is not None and not isinstance(payloads, list):
            self._note(f"{where}: payloads are {shown(payloads)}")
            return
        for payload in payloads or ():
            kind = payload.get("type") if isinstance(payload, dict) else None
            if kind in (SETPOINT, SIMPLE) or (isinstance(kind, str) and kind in ALERTS):
                yield str(kind), payload.get("values")
            elif isinstance(kind, str):
                self._ignored[clean(kind, _LONGEST_SHOWN)] = None
            else:
                self._note(f"{where}: a payload has no type")

    def _power_w(self, values: object, where: str) -> int | None:
        value = self._single(SETPOINT, values, where)
        if value is None:
            return None
        if self._unit_w is None:
            self._note(f"no known unit is told for {SETPOINT} (KW or W), so it is not followed")
            return None
        if not -MOST_W <= value * self._unit_w <= MOST_W:
            self._note(f"{where}: {SETPOINT} is {shown(value)} and out of all bounds")
            return None
        return self._sign * round(value * self._unit_w)

    def _level(self, values: object, where: str) -> int | None:
        value = self._single(SIMPLE, values, where)
        if value is not None and value not in _LEVELS:
            self._note(f"{where}: {SIMPLE} is {shown(value)}, no level from 0 to 3")
            return None
        return None if value is None else int(value)

    def _single(self, kind: str, values: object, where: str) -> float | None:
        if not isinstance(values, list) or len(values) != 1:
            self._note(f"{where}: {kind} has not exactly one value")
            return None
        value = _number(values[0])
        if value is None:
            self._note(f"{where}: {kind} is {shown(values[0])}, no number")
        return value

    def _note(self, problem: str) -> None:
        self._problems[problem] = None

    def _sentences(self) -> tuple[str, ...]:
        noted = list(self._problems)
        if len(noted) > _MOST_PROBLEMS_PER_EVENT:
            rest = len(noted) - _MOST_PROBLEMS_PER_EVENT + 1
            noted[_MOST_PROBLEMS_PER_EVENT - 1 :] = [f"{rest} more such problems"]
        if self._ignored:
            noted.append(f"does not speak of power to us: {clean(', '.join(self._ignored))}")
        return tuple(f"{self.label}: {problem}." for problem in noted)
