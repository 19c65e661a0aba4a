"""What a person tells us about an OpenADR 3 program."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from ipaddress import ip_address
from math import isfinite
from pathlib import PurePath
from typing import Any, Self

from yarl import URL

from edge_service.domain.model import Program, Scope, frozen_map
from edge_service.loopback import is_loopback
from edge_service.ports import ConfigError
from edge_service.programs.openadr3_client import Access
from edge_service.programs.openadr3_push import PushTerms
from edge_service.programs.openadr3_words import MOST_LEVEL, Meaning, Percent, checked_map
from edge_service.programs.option_values import said

KIND = "openadr3"
FASTEST_POLL_S = 1.0
SLOWEST_POLL_S = 3600.0
# The Date header counts whole seconds and travels for some; a day off is no clock at all.
LEAST_SKEW_S, MOST_SKEW_S = 10.0, 86_400.0
_LONGEST_TEXT = 500
_NO_MAP: Mapping[str, str] = frozen_map()
_PLAIN = Program("", "", KIND)
_CURRENCY = re.compile(r"[A-Z]{3}")
_ID = re.compile(r"[a-z0-9_]{1,32}")
# The record's subject of the site itself, the prefix and the program of events entered by hand.
_RESERVED_IDS = frozenset({"site", "hand", "manual"})


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not value.isprintable():
        raise ValueError(f"is a line of text of at most {_LONGEST_TEXT} characters")
    return value.strip()


def _word(value: object) -> str:
    text = _text(value)
    if not text:
        raise ValueError("must not be empty")
    return text


def _own_id(value: object) -> str:
    text = _word(value)
    if not _ID.fullmatch(text) or text in _RESERVED_IDS:
        raise ValueError("has 1 to 32 characters out of a-z, 0-9 and _, and is not site, hand or manual")
    return text


def _url(value: object) -> str:
    try:
        url = URL(_word(value))
    except ValueError as error:
        raise ValueError("is the address of the server, such as https://host/openadr3/3.1.0") from error
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string or url.fragment:
        raise ValueError("is the address of the server, such as https://host/openadr3/3.1.0")
    if url.scheme == "http" and not is_loopback(url.host):
        raise ValueError("must be https (http only on this machine)")
    return str(value).strip()


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


def _offset_level(value: object) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_LEVEL):
        raise ValueError(f"is a whole number from 1 to {MOST_LEVEL}")
    return value


def _percent(value: object) -> Percent:
    try:
        return Percent(str(value))
    except ValueError as error:
        raise ValueError(f"is one of {', '.join(Percent)}") from error


def _currency(value: object) -> str:
    text = _text(value).upper()
    if text and not _CURRENCY.fullmatch(text):
        raise ValueError("is a currency of three letters, such as USD")
    return text


def _skew_s(value: object) -> float:
    if not LEAST_SKEW_S <= _number(value) <= MOST_SKEW_S:
        raise ValueError(f"is a number of seconds from {LEAST_SKEW_S:g} to {MOST_SKEW_S:g}")
    return _number(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        raise ValueError("is a whole number from 1 to 1000")
    return value


def _scope(value: object) -> Scope:
    try:
        return Scope(str(value))
    except ValueError as error:
        raise ValueError(f"is one of {', '.join(Scope)}") from error


def _hosts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("is a list of host names")
    return tuple(_host(host) for host in value)


def _host(value: object) -> str:
    """A bare name or IPv4 address, as it will be compared: in small letters."""
    text = _word(value).lower()
    try:
        bare = URL(f"https://{text}").host == text
    except ValueError:
        bare = False
    if not bare:
        raise ValueError("is a host name, without scheme, port or path")
    return text


def _file(value: object) -> str:
    text = _text(value)
    if text and not PurePath(text).is_absolute():
        raise ValueError("is the whole path of a file")
    return text


def _is_local(host: str) -> bool:
    """A name of the local network or an address that the internet does not route."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return is_loopback(host) or host.endswith(".local")


def _about(check: Callable[[object], object], tells: str, *, secret: bool = False) -> dict[str, object]:
    return {"check": check, "help": tells, "secret": secret}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAdr3Options:
    """One program of one server. Each field's metadata holds ``help`` for people, ``check`` and ``secret``."""

    id: str = field(metadata=_about(_own_id, "our own short id of this program; it stays"))
    name: str = field(metadata=_about(_word, "what the resident calls the program"))
    base_url: str = field(metadata=_about(_url, "address of the utility's server, with its path"))
    client_id: str = field(
        default="", metadata=_about(_text, "OAuth2 client id from the utility; empty for a public server")
    )
    client_secret: str = field(
        default="", metadata=_about(_text, "OAuth2 client secret from the utility", secret=True), repr=False
    )
    program_name: str = field(
        default="", metadata=_about(_text, "only the program of this name, as the utility spells it")
    )
    program_id: str = field(default="", metadata=_about(_text, "only the program with this id at the utility"))
    ven_name: str = field(
        default="", metadata=_about(_text, "name to register under; empty: made from the installation")
    )
    poll_s: float = field(default=10.0, metadata=_about(_poll_s, "seconds between two readings"))
    scope: Scope = field(
        default=_PLAIN.scope, metadata=_about(_scope, "where setpoints count: at the chargers or net at the meter")
    )
    consumption_positive: bool = field(
        default=True, metadata=_about(_flag, "a positive setpoint consumes, as OpenADR has it")
    )
    payload_map: Mapping[str, str] = field(
        default=_NO_MAP,
        metadata=_about(checked_map, 'what values mean here, such as {"SIMPLE:1": "cover_house"}'),
    )
    discharge_level: int | None = field(
        default=None,
        metadata=_about(_offset_level, "CONTROL_LEVEL_OFFSET from which on to discharge, 1 to 10; none: never"),
    )
    percent: Percent = field(
        default=Percent.AUTO,
        metadata=_about(_percent, "how a percentage is written: auto, fraction or percent"),
    )
    currency: str = field(default="", metadata=_about(_currency, "currency of prices, such as USD; empty: as told"))
    most_skew_s: float = field(
        default=120.0,
        metadata=_about(_skew_s, "no event starts anew while the utility's clock and ours differ by more seconds"),
    )
    pay_usd_per_kw: float | None = field(default=None, metadata=_about(_pay, "dollars per season and average kW"))
    season_events: int = field(default=_PLAIN.season_events, metadata=_about(_count, "events expected in a season"))
    token_hosts: tuple[str, ...] = field(
        default=(), metadata=_about(_hosts, "other hosts that may see the secret to give a token")
    )
    push: bool = field(default=True, metadata=_about(_flag, "listen for news at the server's broker, if it has one"))
    broker_hosts: tuple[str, ...] = field(
        default=(), metadata=_about(_hosts, "other hosts that may see a token, to tell us of news")
    )
    plain_push: bool = field(
        default=False, metadata=_about(_flag, "listen also without encryption; no token is sent that way")
    )
    ca_file: str = field(
        default="", metadata=_about(_file, "file with the certificates of the utility's own authority")
    )
    allow_unverified: bool = field(
        default=False, metadata=_about(_flag, "trust any certificate; for a server in this house only")
    )

    @classmethod
    def value(cls, name: str, value: object) -> Any:
        """One option's value, checked. Raises ValueError with words for people."""
        (option,) = (one for one in fields(cls) if one.name == name)
        return option.metadata["check"](value)

    @classmethod
    def checked(cls, values: Mapping[str, object]) -> Self:
        """Options from plain values. Raises ConfigError naming every mistake at once, and no secret."""
        known = {one.name: one for one in fields(cls)}
        unknown = [name for name in values if name not in known]
        mistakes = [(name, f"{name} is no option; known are {', '.join(known)}") for name in unknown]
        found: dict[str, Any] = {}
        for name, one in known.items():
            _check(name, one, values, found, mistakes)
        if found.get("allow_unverified") and "base_url" in found and not _is_local(URL(found["base_url"]).host or ""):
            words = "allow_unverified is only for a server in this house: a .local name or a private address"
            mistakes.append(("allow_unverified", words))
        if mistakes:
            raise ConfigError.listing(mistakes)
        return cls(**found)

    @property
    def program(self) -> Program:
        """The program as the domain knows it."""
        return Program(self.id, self.name, KIND, self.scope, self.pay_usd_per_kw, self.season_events)

    @property
    def meaning(self) -> Meaning:
        """What reading the payloads needs."""
        return Meaning(self.consumption_positive, self.payload_map, self.discharge_level, self.percent, self.currency)

    @property
    def push_terms(self) -> PushTerms:
        """What a person allows of push."""
        return PushTerms(self.push, self.broker_hosts, self.plain_push)

    @property
    def access(self) -> Access:
        """What the conversation with the server needs."""
        return Access(
            self.base_url,
            self.client_id,
            self.client_secret,
            self.token_hosts,
            ca_file=self.ca_file,
            allow_unverified=self.allow_unverified,
        )


def _check(
    name: str,
    one: Field[Any],
    values: Mapping[str, object],
    found: dict[str, Any],
    mistakes: list[tuple[str, str]],
) -> None:
    if name not in values:
        if one.default is MISSING:
            mistakes.append((said(name), f"{name} is missing: {one.metadata['help']}"))
        return
    try:
        found[name] = one.metadata["check"](values[name])
    except ValueError as error:
        mistakes.append((said(name), f"{name} {error}"))
