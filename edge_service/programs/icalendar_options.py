"""What a person tells us about a program whose events stand in an iCalendar file."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from edge_service.domain.program import Program, Scope
from edge_service.loopback import is_loopback
from edge_service.ports import ConfigError
from edge_service.programs.option_values import TERMS, Check, read_options, text

KIND = "calendar"
FASTEST_FILE_S = 1.0
# A calendar on the web is somebody's server, and changes by the hour.
FASTEST_WEB_S = 60.0
_PLAIN = Program("", "", KIND)
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
        found = read_options(values, [one.name for one in fields(cls)], _CHECKS)
        options = cls(**found)
        if options.poll_s < options.fastest_s:
            words = f"poll_s is at least {options.fastest_s:g} for a calendar on the web"
            raise ConfigError(words, {"poll_s": words})
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


def _url(value: object) -> str:
    line = text(value)
    if line.casefold().startswith("webcal://"):
        line = f"https://{line[len('webcal://') :]}"
    try:
        parts = urlsplit(line)
        host = parts.hostname
        if parts.scheme == "file" and not host and parts.path.startswith("/"):
            return line
    except ValueError as error:
        raise ValueError(_ADDRESS) from error
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host or ""))
    if not secure or not host or parts.fragment or parts.username:
        raise ValueError(_ADDRESS)
    return line


def _zone(value: object) -> str:
    line = text(value)
    try:
        if line:
            ZoneInfo(line)
    except (KeyError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError("is a time zone such as America/New_York") from error
    return line


_CHECKS: Mapping[str, Check] = {"base_url": _url, "time_zone": _zone, **TERMS}
