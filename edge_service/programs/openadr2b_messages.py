"""OpenADR 2.0b messages as they come, read leniently: an odd event says nothing about its siblings.

Nothing is turned into a number by its looks here: an event named ``007`` keeps its name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from xml.etree import ElementTree as ET

from edge_service.programs import iso8601

MOST_EVENTS = 1000
MOST_INTERVALS = 1000
LONGEST_ID = 256
ACCEPTED = 200
_MOST_DIGITS = 9

# A document type brings entities, and no OpenADR message has one.
_FORBIDDEN = ("<!DOCTYPE", "<!ENTITY")


class MessageError(Exception):
    """What came is no OpenADR 2.0b message, or an event in it cannot be read; words for people."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: ``kind`` such as ``oadrDistributeEvent``; ``code`` of its eiResponse, None without one."""

    kind: str
    body: ET.Element
    code: int | None = None
    description: str = ""

    @property
    def accepted(self) -> bool:
        """No word against what was asked. An eiResponse without a code says nothing."""
        return self.code in (None, ACCEPTED)

    def text(self, name: str) -> str:
        """The text of the first element of this name, anywhere in it; empty without one."""
        return _text(self.body, name)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One interval of a signal; ``start`` None: follows the one before. ``value`` None: none that is a number."""

    start: datetime | None
    length: timedelta
    value: float | None


@dataclass(frozen=True, slots=True)
class Signal:
    """``quantity``: the element that names what is measured, such as ``powerReal``, with ``unit`` and SI ``scale``."""

    name: str
    type: str
    quantity: str
    unit: str
    scale: str
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class EventMessage:
    """An event as written. ``length`` zero: until taken back. ``startafter``: the most that the start may wait."""

    id: str
    modification: int
    status: str
    priority: int | None
    market_context: str
    test: bool
    wants_answer: bool
    start: datetime
    length: timedelta
    startafter: timedelta
    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """All events that apply; ``problems``: a sentence for each that cannot be read."""

    request_id: str
    events: tuple[EventMessage, ...]
    problems: tuple[str, ...]


def read_message(body: bytes) -> Message:
    """Raises MessageError."""
    try:
        text = body.decode("utf-8-sig")
        if any(word in text for word in _FORBIDDEN):
            raise MessageError("it has a document type")
        root = ET.fromstring(text)
    except (UnicodeDecodeError, ET.ParseError, ValueError) as error:
        raise MessageError(f"it is no XML ({error})") from error
    # One only: a signature is of one, and another beside it would be read in its place.
    signed = list(_all(root, "oadrSignedObject"))
    content = next(iter(signed[0]), None) if len(signed) == 1 else None
    if content is None:
        raise MessageError("it is no OpenADR 2.0b message")
    response = next(_all(content, "eiResponse"), None)
    if response is None:
        return Message(_name(content), content)
    code = _text(response, "responseCode")
    number = int(code) if code.isascii() and code.isdigit() and len(code) <= len("200") else 0
    return Message(_name(content), content, number, _text(response, "responseDescription"))


def read_distribution(message: Message) -> Distribution:
    """The events of an oadrDistributeEvent, those that cannot be read apart."""
    request_id = next((_said(child) for child in message.body if _name(child) == "requestID"), "")
    # oadrResponseRequired stands beside eiEvent, in oadrEvent around both.
    asked = {_text(one, "eventID"): _text(one, "oadrResponseRequired") for one in _all(message.body, "oadrEvent")}
    events: list[EventMessage] = []
    problems: list[str] = []
    for element in list(_all(message.body, "eiEvent"))[:MOST_EVENTS]:
        own_id = _text(element, "eventID")
        try:
            events.append(_event(element, own_id, wants_answer=asked.get(own_id) != "never"))
        except ValueError as error:
            problems.append(f"Event {own_id[:40]!r} was skipped: {error}.")
    return Distribution(request_id, tuple(events), tuple(problems))


def poll_period(message: Message) -> timedelta | None:
    """How often at most the server wants to be polled; None: it does not say, or nothing sensible."""
    element = next(_all(message.body, "oadrRequestedOadrPollFreq"), None)
    if element is None:
        return None
    try:
        return _length(_text(element, "duration"), "its poll period")
    except ValueError:
        return None


def _event(element: ET.Element, own_id: str, *, wants_answer: bool) -> EventMessage:
    if not own_id or len(own_id) > LONGEST_ID or not own_id.isprintable():
        raise ValueError("its eventID is missing or no plain text")
    period = _child(element, "eiActivePeriod")
    if period is None:
        raise ValueError("it has no active period")
    start = iso8601.moment(_text(period, "date-time"))
    if start is None:
        raise ValueError("its start is no time")
    test = _text(element, "testEvent").lower()
    properties = _child(period, "properties")
    return EventMessage(
        id=own_id,
        modification=_whole(_text(element, "modificationNumber")),
        status=_text(element, "eventStatus").lower(),
        priority=_whole(_text(element, "priority")) or None,
        market_context=_text(element, "marketContext"),
        test=test not in ("", "false"),
        wants_answer=wants_answer,
        start=start,
        length=_length(_own_duration(properties if properties is not None else period), "its duration"),
        startafter=_length(_text(period, "startafter") or "PT0S", "its startafter"),
        signals=tuple(_signal(one) for one in _all(element, "eiEventSignal")),
    )


def _own_duration(properties: ET.Element) -> str:
    """The period's own duration, not those of its notice, ramp or recovery."""
    element = _child(properties, "duration")
    if element is None:
        raise ValueError("it has no duration")
    return _text(element, "duration") or _said(element)


def _signal(element: ET.Element) -> Signal:
    units = next((one for one in element.iter() if _child(one, "itemUnits") is not None), None)
    stretches = [_stretch(one) for one in list(_all(element, "interval"))[:MOST_INTERVALS]]
    return Signal(
        _text(element, "signalName"),
        _text(element, "signalType"),
        "" if units is None else _name(units),
        "" if units is None else _text(units, "itemUnits"),
        "" if units is None else _text(units, "siScaleCode"),
        tuple(stretches),
    )


def _stretch(element: ET.Element) -> Stretch:
    at = _text(element, "date-time")
    payload = next(_all(element, "signalPayload"), None)
    return Stretch(
        iso8601.moment(at) if at else None,
        _length(_text(element, "duration") or "PT0S", "an interval's duration"),
        None if payload is None else _number(_text(payload, "value")),
    )


def _length(text: str, what: str) -> timedelta:
    """A server built on openleadr writes no time at all as ``P``."""
    if text in ("P", "PT"):
        return timedelta()
    try:
        span = iso8601.duration(text)
    except ValueError as error:
        raise ValueError(f"{what} {error}") from error
    if span.months:
        raise ValueError(f"{what} is in months or years")
    return span.length


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _whole(text: str) -> int:
    """A count; 0 where there is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0


# ------------------------------------------------------------------------------------------ elements by name


def _name(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _said(element: ET.Element) -> str:
    return (element.text or "").strip()


def _child(element: ET.Element, name: str) -> ET.Element | None:
    return next((child for child in element if _name(child) == name), None)


def _all(element: ET.Element, name: str) -> Iterator[ET.Element]:
    return (one for one in element.iter() if _name(one) == name)


def _text(element: ET.Element, name: str) -> str:
    """The first non-empty text of an element of this name: some wrap ``duration`` in ``duration``."""
    return next((said for one in _all(element, name) if (said := _said(one))), "")
