"""What a person tells us about an OpenADR 2.0b program."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any, Self

from yarl import URL

from edge_service.domain.program import Program, Rules, Scope
from edge_service.loopback import is_loopback
from edge_service.ports import ConfigError

KIND = "openadr2b"
FASTEST_POLL_S = 1.0
SLOWEST_POLL_S = 3600.0
_LONGEST_TEXT = 500
_PLAIN = Program("", "", KIND)
# What is said of any program, whatever brings its events; read where programs are kept.
_TERMS = frozenset(one.name for kind in (Program, Rules) for one in fields(kind))


@dataclass(frozen=True, slots=True)
class OpenAdr2Options:
    """One program of one server (VTN).

    ``base_url`` goes before ``/OadrPoll``, such as ``https://host/OpenADR2/Simple/2.0b``. ``certificate_file``,
    ``key_file`` and ``ca_file`` are in PEM; the first two show who we are, in TLS and as the signature (``sign``).
    ``vtn_fingerprint``: answers count only when signed with that certificate. ``market_context``: only events of this
    one.
    """

    id: str
    name: str
    base_url: str
    ven_name: str = ""
    ven_id: str = ""
    certificate_file: str = ""
    key_file: str = ""
    key_password: str = ""
    ca_file: str = ""
    vtn_fingerprint: str = ""
    sign: bool = True
    check_hostname: bool = True
    market_context: str = ""
    poll_s: float = 10.0
    consumption_positive: bool = True
    scope: Scope = _PLAIN.scope
    pay_usd_per_kw: float | None = None
    season_events: int = _PLAIN.season_events

    def __repr__(self) -> str:
        """Without the passphrase."""
        return f"OpenAdr2Options({self.id!r}, {self.base_url!r})"

    @classmethod
    def checked(cls, values: Mapping[str, object]) -> Self:
        """Options from plain values. Raises ConfigError naming every mistake at once, and no secret."""
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
                found[name] = _CHECKS.get(name, _text)(values[name])
            except ValueError as error:
                mistakes.append(f"{name} {error}")
        if not mistakes and bool(found.get("certificate_file")) != bool(found.get("key_file")):
            mistakes.append("certificate_file and key_file belong together: say both or none")
        if mistakes:
            raise ConfigError("; ".join(mistakes))
        return cls(**found)

    @property
    def program(self) -> Program:
        """The program as the domain knows it."""
        return Program(self.id, self.name, KIND, self.scope, self.pay_usd_per_kw, self.season_events)

    def tls(self) -> ssl.SSLContext | None:
        """How the server is trusted and who we are; None where nothing is encrypted. Raises ConfigError."""
        if URL(self.base_url).scheme == "http":
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.check_hostname = self.check_hostname
            if self.certificate_file:
                context.load_cert_chain(self.certificate_file, self.key_file, self.key_password or None)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            files = ", ".join(name for name in (self.certificate_file, self.key_file, self.ca_file) if name)
            raise ConfigError(f"the files {files} do not serve: {error}") from error
        return context

    def identity(self) -> tuple[bytes | None, bytes | None]:
        """Certificate and key in PEM, to sign with; None without. Raises ConfigError."""
        if not self.certificate_file:
            return None, None
        try:
            return Path(self.certificate_file).read_bytes(), Path(self.key_file).read_bytes()
        except OSError as error:
            raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from error


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not value.isprintable():
        raise ValueError(f"is a line of text of at most {_LONGEST_TEXT} characters")
    return value.strip()


def _url(value: object) -> str:
    told = "is the address of the server, such as https://host/OpenADR2/Simple/2.0b"
    try:
        url = URL(_text(value))
    except ValueError as error:
        raise ValueError(told) from error
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string or url.fragment:
        raise ValueError(told)
    if url.scheme == "http" and not is_loopback(url.host):
        raise ValueError("must be https (http only on this machine)")
    return _text(value).rstrip("/")


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is true or false")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError("is a number")
    return float(value)


def _poll_s(value: object) -> float:
    if not FASTEST_POLL_S <= _number(value) <= SLOWEST_POLL_S:
        raise ValueError(f"is a number of seconds from {FASTEST_POLL_S:g} to {SLOWEST_POLL_S:g}")
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
    "base_url": _url,
    "sign": _flag,
    "check_hostname": _flag,
    "consumption_positive": _flag,
    "poll_s": _poll_s,
    "pay_usd_per_kw": _pay,
    "season_events": _count,
    "scope": _scope,
}
