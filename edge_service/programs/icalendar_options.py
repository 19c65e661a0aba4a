"""What a person tells us about a program whose events stand in an iCalendar file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from edge_service.domain.program import Program, Rules, Scope
from edge_service.loopback import is_loopback
from edge_service.ports import ConfigError

KIND = "calendar"
FASTEST_FILE_S = 1.0
# A calendar on the web is somebody's server, and changes by the hour.
FASTEST_WEB_S = 60.0
SLOWEST_S = 3600.0
_LONGEST_TEXT = 2000
_PLAIN = Program("", "", KIND)
_TERMS = frozenset(one.name for kind in (Program, Rules) for one in fields(kind))
_ADDRESS = "is https://..., webcal://... or file:///... (http only on this machine)"


@dataclass(frozen=True, slots=True)
class CalendarOptions:
    """One calendar. ``base_url``: its address, which may be a secret by itself; ``time_zone``: of times without one."""

    id: str
    name: str
    base_url: str
    poll_s: float = 300.0
    time_zone: str = ""
    scope: Scope = _PLAIN.scope
    pay_usd_per_kw: float | None = None
    season_events: int = _PLAIN.season_events

    @classmethod
    def checked(cls, values: Mapping[str, object]) -> Self:
        """Options from plain values. Raises ConfigError naming every mistake at once, and not the address."""
        known = {one.name for one in fields(cls)}
        mistakes = [
            f"{name} is no option; known are {', '.join(sorted(known))}"
            for name in values
            if name not in known and name not in _TERMS
        ]
        mistakes += [f"{name} is missing" for name in ("id", "name", "base_url") if not values.get(name)]
        found: dict[str, Any] = {}
        for name in known & values.keys():
            try:
                found[name] = _CHECKS[name](values[name])
            except ValueError as error:
                mistakes.append(f"{name} {error}")
        if mistakes:
            raise ConfigError("; ".join(mistakes))
        options = cls(**found)
        if options.poll_s < options.fastest_s:
            raise ConfigError(f"poll_s is at least {options.fastest_s:g} for a calendar on the web")
        return options

    @property
    def file(self) -> Path | None:
        """The file; None for a calendar on the web."""
        parts = urlsplit(self.base_url)
        return Path(unquote(parts.path)) if parts.scheme == "file" else None

    @property
    def fastest_s(self) -> float:
        host = urlsplit(self.base_url).hostname
        return FASTEST_FILE_S if self.file is not None or is_loopback(host or "") else FASTEST_WEB_S

    @property
    def told(self) -> str:
        """Where it is, for words to people: a private calendar's address is its key, so of one only the server."""
        return str(self.file) if self.file is not None else f"the calendar at {urlsplit(self.base_url).hostname}"

    @property
    def program(self) -> Program:
        """The program as the domain knows it."""
        return Program(self.id, self.name, KIND, self.scope, self.pay_usd_per_kw, self.season_events)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not value.isprintable():
        raise ValueError(f"is a line of text of at most {_LONGEST_TEXT} characters")
    return value.strip()


def _url(value: object) -> str:
    text = _text(value)
    if text.casefold().startswith("webcal://"):
        text = f"https://{text[len('webcal://') :]}"
    try:
        parts = urlsplit(text)
        host = parts.hostname
        if parts.scheme == "file" and not host and parts.path.startswith("/"):
            return text
    except ValueError as error:
        raise ValueError(_ADDRESS) from error
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host or ""))
    if not secure or not host or parts.fragment or parts.username:
        raise ValueError(_ADDRESS)
    return text


def _zone(value: object) -> str:
    text = _text(value)
    try:
        if text:
            ZoneInfo(text)
    except (KeyError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError("is a time zone such as America/New_York") from error
    return text


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError("is a number")
    return float(value)


def _poll_s(value: object) -> float:
    if not FASTEST_FILE_S <= _number(value) <= SLOWEST_S:
        raise ValueError(f"is a number of seconds from {FASTEST_FILE_S:g} to {SLOWEST_S:g}")
    return _number(value)


def _pay(value: object) -> float | None:
    if value is not None and _number(value) < 0:
        raise ValueError("is no number from 0")
    return None if value is None else _number(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        raise ValueError("is a whole number from 1 to 1000")
    return value


def _scope(value: object) -> Scope:
    try:
        return Scope(str(value))
    except ValueError as error:
        raise ValueError(f"is one of {', '.join(Scope)}") from error


_CHECKS: Mapping[str, Callable[[object], object]] = {
    "id": _text,
    "name": _text,
    "base_url": _url,
    "poll_s": _poll_s,
    "time_zone": _zone,
    "scope": _scope,
    "pay_usd_per_kw": _pay,
    "season_events": _count,
}
