"""The programs a site takes part in, as the journal keeps them: checked when they are set and when they are read."""

import logging
import re
from collections.abc import Mapping
from typing import Any

from edge_service.config import Config
from edge_service.domain.model import Program, Scope
from edge_service.ports import ConfigError
from edge_service.programs import PROGRAMS

LOG = logging.getLogger(__name__)

# Every house has one: events entered by hand have the rank of any program's.
BY_HAND = "manual"
PROGRAM_ID = re.compile(r"[a-z0-9_]{1,32}")
MOST_USD_PER_KW = 100_000.0
MOST_SEASON_EVENTS = 366


def kept(document: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The programs as kept, with the one for events by hand. What cannot be understood is left out, and logged."""
    listed = (document or {}).get("programs", {})
    programs: dict[str, dict[str, Any]] = {}
    for name, entry in listed.items() if isinstance(listed, Mapping) else ():
        try:
            program(name, entry)
        except ConfigError as error:
            LOG.error("program %s is left out: %s; set it anew with: ridethrough program add", name, error)
        else:
            programs[name] = dict(entry)
    if not any(entry.get("kind") == BY_HAND for entry in programs.values()):
        programs[BY_HAND] = {"kind": BY_HAND, "name": "By hand"}
    return programs


def program(name: str, entry: Any) -> Program:
    """A kept program as the domain knows it. Raises ``ConfigError``."""
    if not isinstance(entry, Mapping):
        raise ConfigError("it is no object")
    kind, scope = entry.get("kind"), entry.get("scope") or Scope.CHARGER.value
    if kind != BY_HAND and kind not in PROGRAMS:
        raise ConfigError(f"kind {kind} is not known; allowed: {', '.join([BY_HAND, *PROGRAMS])}")
    if scope not in list(Scope):
        raise ConfigError(f"scope {scope} is not known; allowed: {', '.join(Scope)}")
    pay, events = entry.get("pay_usd_per_kw"), entry.get("season_events")
    return Program(
        id=name,
        name=str(entry.get("name") or name),
        kind=str(kind),
        scope=Scope(scope),
        pay_usd_per_kw=None if pay is None else _number("pay_usd_per_kw", pay, 0, MOST_USD_PER_KW),
        season_events=45 if events is None else int(_number("season_events", events, 1, MOST_SEASON_EVENTS)),
    )


def _number(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(f"{name} is {value!r}; allowed: {low:g} to {high:g}")
    return float(value)


def check_id(name: str, kind: Any, config: Config) -> None:
    """Raises ``ConfigError`` for an id that is malformed or means something else here."""
    taken = name in config.chargers or name == "site" or (name == BY_HAND and kind != BY_HAND)
    if taken or not PROGRAM_ID.fullmatch(name):
        raise ConfigError(
            f"{name} cannot be a program's id: 1 to 32 of a-z, 0-9 and _, and no charger's id, site or {BY_HAND}"
        )


def source_options(name: str, entry: Mapping[str, Any]) -> dict[str, object]:
    """A kept program as its protocol's options. Raises ``ConfigError``."""
    if not entry.get("url"):
        raise ConfigError(f"program {name} names no url of its server")
    options: dict[str, object] = {
        key: value for key, value in entry.items() if key not in ("kind", "url") and value is not None
    }
    return options | {"id": name, "base_url": entry["url"]}
