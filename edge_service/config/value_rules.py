"""What a value of a configuration may be, with the words that say so: voluptuous validators that explain themselves."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import voluptuous as vol

MODBUS_PORT = 502


@dataclass(frozen=True, slots=True)
class Address:
    """Where a device listens: Modbus TCP."""

    host: str
    port: int = MODBUS_PORT

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One value's check, and the words for what it allows. ``choices``: for a hint at the nearest."""

    allowed: str
    accept: Callable[[Any], Any]
    choices: tuple[str, ...] = ()

    def __call__(self, value: Any) -> Any:
        try:
            return self.accept(value)
        except (vol.Invalid, ValueError) as error:
            raise WrongValue(self) from error


class WrongValue(vol.Invalid):
    """A value that its rule does not allow."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.allowed)
        self.choices = rule.choices


class Section:
    """A mapping of known keys; reports unknown, missing and wrong ones together. ``open_ended``: there may be more.

    ``absent``: keys that one would look for here, and why they are not known.
    """

    def __init__(
        self,
        required: Mapping[str, Rule],
        optional: Mapping[str, Rule],
        *,
        open_ended: bool = False,
        absent: Mapping[str, str] | None = None,
    ) -> None:
        self._absent = absent or {}
        self.keys = tuple(sorted([*required, *optional]))
        self.allowed = f"a section with {', '.join(self.keys)}"
        self._open_ended = open_ended
        rules: dict[vol.Marker, Rule] = {vol.Required(key, msg=rule.allowed): rule for key, rule in required.items()}
        rules |= {vol.Optional(key): rule for key, rule in optional.items()}
        self._schema = vol.Schema(rules, extra=vol.REMOVE_EXTRA)

    def __call__(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise vol.MultipleInvalid([vol.Invalid(self.allowed)])
        errors: list[vol.Invalid] = []
        if not self._open_ended:
            errors.extend(
                UnknownKey(key, self.keys, self._absent.get(key, "")) for key in value if key not in self.keys
            )
        try:
            clean: dict[str, Any] = self._schema(value)
        except vol.MultipleInvalid as error:
            errors.extend(error.errors)
        if errors:
            raise vol.MultipleInvalid(errors)
        return clean


class UnknownKey(vol.Invalid):
    """A key that the section does not have; ``known`` are those that it has. ``why`` it has not, empty: not told."""

    def __init__(self, key: str, known: tuple[str, ...], why: str = "") -> None:
        super().__init__(", ".join(known), path=[key])
        self.known = known
        self.why = why


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise vol.Invalid("a number")
    return value


def whole(low: int, high: int, unit: str) -> Rule:
    accept = vol.Schema(vol.All(_not_bool, int, vol.Range(min=low, max=high)))
    return Rule(f"{unit} from {low} to {high}, a whole number", accept)


def number(low: float, high: float, unit: str) -> Rule:
    accept = vol.Schema(vol.All(_not_bool, vol.Any(int, float), vol.Range(min=low, max=high), vol.Coerce(float)))
    return Rule(f"{unit} from {low:g} to {high:g}", accept)


def one_of(*numbers: int) -> Rule:
    return Rule(" or ".join(map(str, numbers)), vol.Schema(vol.All(_not_bool, vol.In(numbers), vol.Coerce(float))))


def flag() -> Rule:
    return Rule("true or false", vol.Schema(bool))


def choice(kind: type[StrEnum] | tuple[str, ...]) -> Rule:
    words = tuple(str(word) for word in kind)
    accept = vol.Schema(vol.All(str, vol.In(words), vol.Coerce(kind) if isinstance(kind, type) else str))
    return Rule(" or ".join(words), accept, words)


def text(longest: int) -> Rule:
    def accept(value: Any) -> str:
        if not isinstance(value, str) or not value.strip() or len(value) > longest or not value.isprintable():
            raise vol.Invalid("text")
        return value

    return Rule(f"text of 1 to {longest} printable characters; put a number in quotes", accept)


_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL}){{0,9}}\.?")
_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\[\]:]+)(:(?P<port>[0-9]{1,5}))?")


def or_null(rule: Rule) -> Rule:
    return Rule(f"{rule.allowed}, or null for none", lambda value: None if value is None else rule(value), rule.choices)


def _host_name(value: Any) -> str:
    """A name or a numeric address; four numbers must be a possible IPv4 address. Raises ValueError."""
    if not isinstance(value, str):
        raise vol.Invalid("host")
    if ":" in value or value.replace(".", "").isdigit():
        return str(ipaddress.ip_address(value))
    if len(value) > 253 or not _HOST_NAME.fullmatch(value):
        raise vol.Invalid("host")
    return value


def _address(value: Any) -> Address:
    match = _HOST_AND_PORT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise vol.Invalid("address")
    port = int(match["port"] or MODBUS_PORT)
    if not 1 <= port <= 65535:
        raise vol.Invalid("port")
    return Address(_host_name(match["host"].strip("[]")), port)


def host() -> Rule:
    return Rule("a host name or address, such as 0.0.0.0", _host_name)


def device_address() -> Rule:
    return Rule("host or host:port, such as 192.168.1.40:502", _address)


def hosts() -> Rule:
    accept = vol.Schema(vol.All([_host_name], vol.Coerce(tuple)))
    return Rule("a list of host names, such as [ridethrough.local]", accept)


def _legs(value: Any) -> tuple[int, ...]:
    legs: list[Any] = value if isinstance(value, list) else [value]
    if not legs or any(isinstance(leg, bool) or leg not in (1, 2, 3) for leg in legs) or len(set(legs)) != len(legs):
        raise vol.Invalid("legs")
    return tuple(sorted(legs))


def legs() -> Rule:
    return Rule("the legs of the service that carry it, such as [1, 2]", _legs)


_LOCAL_TIME = r"((?:[01][0-9]|2[0-3]):[0-5][0-9])"
_SPAN = re.compile(f"{_LOCAL_TIME}-{_LOCAL_TIME}")


def hours(most: int) -> Rule:
    """Spans of the day, from and until when."""

    def accept(value: Any) -> tuple[tuple[str, str], ...]:
        written = value if isinstance(value, list) else [value]
        found = [_SPAN.fullmatch(one) if isinstance(one, str) else None for one in written]
        spans = tuple((one[1], one[2]) for one in found if one is not None and one[1] != one[2])
        if len(spans) != len(written) or not 1 <= len(spans) <= most:
            raise vol.Invalid("hours")
        return spans

    return Rule(f"a list of up to {most} spans of local time, such as [06:00-09:00, 22:00-02:00]", accept)


def _time_zone(value: Any) -> str:
    if not isinstance(value, str):
        raise vol.Invalid("time zone")
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise vol.Invalid("time zone") from error
    return value


def time_zone() -> Rule:
    return Rule("a time zone, such as America/New_York", _time_zone)
