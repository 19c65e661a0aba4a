"""What the simulated utility takes for a valid OpenADR 3.1 object, and the form in which it gives it back.

Modelled on exchanges recorded with a real VTN, LF Energy openleadr-rs 0.2.4, not on the letter of the standard: it
rewrites durations and times, fills defaults of report descriptors, drops ``objectType`` of an event's payload
descriptors, leaves out what was not given, and refuses some forms that the user guide shows.
"""

import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

type JsonObject = dict[str, Any]
type Read[T] = Callable[[object, str], T]

LONGEST_NAME = 128
INT32 = 2**31
_MISSING = object()
_DURATION = re.compile(
    r"P(?:(?P<Y>[\d.]+)Y)?(?:(?P<Mo>[\d.]+)M)?(?:(?P<W>[\d.]+)W)?(?:(?P<D>[\d.]+)D)?"
    r"(?:T(?=[\d.])(?:(?P<H>[\d.]+)H)?(?:(?P<Mi>[\d.]+)M)?(?:(?P<S>[\d.]+)S)?)?"
)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


class MalformedError(Exception):
    """A request body that the VTN answers with 400; the text names the place in the body."""


def _wrong(value: object, path: str, wanted: str) -> MalformedError:
    return MalformedError(f"{path}: invalid value: {value!r}, expected {wanted}")


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _want[T](body: JsonObject, name: str, read: Read[T], path: str = "") -> T | None:
    value = body.get(name)
    return None if value is None else read(value, _under(path, name))


def _need[T](body: JsonObject, name: str, read: Read[T], path: str = "") -> T:
    value = body.get(name, _MISSING)
    if value is _MISSING:
        raise MalformedError(f"{path}: missing field `{name}`" if path else f"missing field `{name}`")
    return read(value, _under(path, name))


def _present(**fields: object) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}


def _map(value: object, path: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _wrong(value, path or "body", "an object")
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise _wrong(value, path, "a string")
    return value


def name(value: object, path: str) -> str:
    """1 to 128 characters: names, targets, types, units."""
    if not 1 <= len(_text(value, path)) <= LONGEST_NAME:
        raise _wrong(value, path, f"1 to {LONGEST_NAME} characters")
    return str(value)


def _object_id(value: object, path: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9_-]+", name(value, path)):
        raise _wrong(value, path, "letters, digits, _ and -")
    return str(value)


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, path, "a boolean")
    return value


def _integer(value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -INT32 <= value < INT32:
        raise _wrong(value, path, "i32")
    return value


def _priority(value: object, path: str) -> int:
    if _integer(value, path) < 0:
        raise _wrong(value, path, "0 or more")
    return _integer(value, path)


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _wrong(value, path, "a number")
    return float(value)


def _list[T](read: Read[T], *, least: int = 0) -> Read[list[T]]:
    def read_list(value: object, path: str) -> list[T]:
        if not isinstance(value, list) or len(value) < least:
            raise _wrong(value, path, f"a list of at least {least}" if least else "a list")
        return [read(item, f"{path}[{at}]") for at, item in enumerate(value)]

    return read_list


_targets = _list(name)


def moment(value: object, path: str) -> str:
    """RFC 3339 only, in UTC with ``+00:00``; a date alone is refused, though the user guide shows ``0001-01-01``."""
    text = _text(value, path)
    if not _RFC3339.fullmatch(text):
        raise _wrong(value, path, "an RFC 3339 time")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC).isoformat()
    except (ValueError, OverflowError) as error:
        raise _wrong(value, path, "an RFC 3339 time") from error


def _single_precision(number: str) -> str:
    """The shortest text of a number after it went through 32 bits: 1.5 -> 1.5, 9999 -> 9999."""
    kept = struct.unpack("f", struct.pack("f", float(number)))[0]
    for digits in range(1, 10):
        text = f"{kept:.{digits}g}"
        if struct.unpack("f", struct.pack("f", float(text)))[0] == kept:
            break
    return format(Decimal(text), "f")


def duration(value: object, path: str) -> str:
    """All six fields, fractions kept where they stood: PT1.5H -> P0Y0M0DT1.5H0M0S. Negative ones are refused."""
    found = _DURATION.fullmatch(_text(value, path))
    if found is None or not any(found.groups()):
        raise _wrong(value, path, "an ISO 8601 duration")
    try:
        field = {unit: _single_precision(number or "0") for unit, number in found.groupdict().items()}
        days = _single_precision(str(float(field["D"]) + 7 * float(field["W"])))
    except (ValueError, OverflowError) as error:
        raise _wrong(value, path, "an ISO 8601 duration") from error
    return f"P{field['Y']}Y{field['Mo']}M{days}DT{field['H']}H{field['Mi']}M{field['S']}S"


def _interval_period(value: object, path: str) -> JsonObject:
    """``start`` is required, against the standard: an interval cannot override its duration alone."""
    body = _map(value, path)
    return _present(
        start=_need(body, "start", moment, path),
        duration=_want(body, "duration", duration, path),
        randomizeStart=_want(body, "randomizeStart", duration, path),
    )


def _payload_value(value: object, path: str) -> object:
    if isinstance(value, dict):
        return {"x": _need(value, "x", _number, path), "y": _need(value, "y", _number, path)}
    if isinstance(value, (str, bool)):
        return value
    _number(value, path)
    return value


def _values_map(value: object, path: str) -> JsonObject:
    body = _map(value, path)
    return {"type": _need(body, "type", name, path), "values": _need(body, "values", _list(_payload_value), path)}


def typed_targets(value: object, path: str) -> list[JsonObject]:
    """As 3.0.1 has them: pairs of a type and its values."""
    return [] if value is None else _list(_values_map)(value, path)


def _interval(value: object, path: str) -> JsonObject:
    body = _map(value, path)
    return _present(
        id=_need(body, "id", _integer, path),
        intervalPeriod=_want(body, "intervalPeriod", _interval_period, path),
        payloads=_need(body, "payloads", _list(_values_map, least=1), path),
    )


def _event_payload_descriptor(value: object, path: str) -> JsonObject:
    body = _map(value, path)
    return _present(
        payloadType=_need(body, "payloadType", name, path),
        units=_want(body, "units", name, path),
        currency=_want(body, "currency", _text, path),
    )


def _report_payload_descriptor(value: object, path: str) -> JsonObject:
    body = _map(value, path)
    return _present(
        payloadType=_need(body, "payloadType", name, path),
        readingType=_want(body, "readingType", name, path),
        units=_want(body, "units", name, path),
        accuracy=_want(body, "accuracy", _number, path),
        confidence=_want(body, "confidence", _integer, path),
    )


def _program_payload_descriptor(value: object, path: str) -> JsonObject:
    kind = _need(_map(value, path), "objectType", _text, path)
    read = {
        "EVENT_PAYLOAD_DESCRIPTOR": _event_payload_descriptor,
        "REPORT_PAYLOAD_DESCRIPTOR": _report_payload_descriptor,
    }.get(kind)
    if read is None:
        raise _wrong(kind, _under(path, "objectType"), "EVENT_PAYLOAD_DESCRIPTOR or REPORT_PAYLOAD_DESCRIPTOR")
    return {"objectType": kind} | read(value, path)


def _report_intervals(value: object, path: str) -> str:
    if value not in ("INTERVALS", "SUB_INTERVALS", "OPEN_INTERVALS"):
        raise _wrong(value, path, "INTERVALS, SUB_INTERVALS or OPEN_INTERVALS")
    return str(value)


def _report_descriptor(value: object, path: str) -> JsonObject:
    body = _map(value, path)
    defaults: JsonObject = {"aggregate": False, "startInterval": -1, "numIntervals": -1, "historical": True}
    defaults |= {"frequency": -1, "repeat": 1, "reportIntervals": "INTERVALS"}
    return defaults | _present(
        payloadType=_need(body, "payloadType", name, path),
        readingType=_want(body, "readingType", name, path),
        units=_want(body, "units", name, path),
        targets=_want(body, "targets", _targets, path),
        aggregate=_want(body, "aggregate", _flag, path),
        startInterval=_want(body, "startInterval", _integer, path),
        numIntervals=_want(body, "numIntervals", _integer, path),
        historical=_want(body, "historical", _flag, path),
        frequency=_want(body, "frequency", _integer, path),
        repeat=_want(body, "repeat", _integer, path),
        reportIntervals=_want(body, "reportIntervals", _report_intervals, path),
    )


def _program_description(value: object, path: str) -> JsonObject:
    return {"URL": _need(_map(value, path), "URL", _text, path)}


def program(value: object) -> JsonObject:
    body = _map(value, "")
    return _present(
        programName=_need(body, "programName", name),
        intervalPeriod=_want(body, "intervalPeriod", _interval_period),
        programDescriptions=_want(body, "programDescriptions", _list(_program_description)),
        payloadDescriptors=_want(body, "payloadDescriptors", _list(_program_payload_descriptor)),
        attributes=_want(body, "attributes", _list(_values_map)),
        targets=_want(body, "targets", _targets) or [],
    )


def event(value: object) -> JsonObject:
    """``priority`` is null and ``targets`` empty when not given; every other absent field stays absent."""
    body = _map(value, "")
    fields = _present(
        programID=_need(body, "programID", _object_id),
        eventName=_want(body, "eventName", _text),
        duration=_want(body, "duration", duration),
        targets=_want(body, "targets", _targets) or [],
        reportDescriptors=_want(body, "reportDescriptors", _list(_report_descriptor)),
        payloadDescriptors=_want(body, "payloadDescriptors", _list(_event_payload_descriptor)),
        intervalPeriod=_want(body, "intervalPeriod", _interval_period),
        intervals=_want(body, "intervals", _list(_interval)),
    )
    return fields | {"priority": _want(body, "priority", _priority)}


def _reported_resource(value: object, path: str) -> JsonObject:
    body = _map(value, path)
    return _present(
        resourceName=_need(body, "resourceName", name, path),
        intervalPeriod=_want(body, "intervalPeriod", _interval_period, path),
        intervals=_need(body, "intervals", _list(_interval), path),
    )


def report(value: object) -> JsonObject:
    body = _map(value, "")
    return _present(
        eventID=_need(body, "eventID", _object_id),
        clientName=_need(body, "clientName", name),
        reportName=_want(body, "reportName", _text),
        payloadDescriptors=_want(body, "payloadDescriptors", _list(_report_payload_descriptor)),
        resources=_need(body, "resources", _list(_reported_resource)),
    )


def request_type(value: object, allowed: tuple[str, ...]) -> str:
    """``objectType`` of a ven or resource request: who speaks, the VEN itself or the utility's business logic."""
    kind = _need(_map(value, ""), "objectType", _text)
    if kind not in allowed:
        raise _wrong(kind, "objectType", " or ".join(allowed))
    return kind


def ven(value: object) -> JsonObject:
    """What a VEN may say of itself; ``targets`` and ``clientID`` in it are dropped without a word."""
    body = _map(value, "")
    return _present(
        venName=_need(body, "venName", name),
        attributes=_want(body, "attributes", _list(_values_map)),
    )


def resource(value: object) -> JsonObject:
    body = _map(value, "")
    return _present(
        resourceName=_need(body, "resourceName", name),
        venID=_need(body, "venID", _object_id),
        attributes=_want(body, "attributes", _list(_values_map)),
    )


def granted(value: object) -> JsonObject:
    """What only the utility's business logic may say of a ven or resource: whose it is and its targets."""
    body = _map(value, "")
    return {"clientID": _need(body, "clientID", name), "targets": _want(body, "targets", _targets) or []}
