"""Options of a program as plain values, read strictly: what OpenADR 2.0b and calendars have in common.

Each check raises ValueError with the rest of a sentence that begins with the option's name, and no value in it.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from math import isfinite
from typing import Any

from edge_service.domain.program import Program, Rules, Scope
from edge_service.ports import ConfigError

SLOWEST_S = 3600.0
LONGEST_TEXT = 2000

type Check = Callable[[object], object]

# What is said of any program, whatever brings its events; read where programs are kept.
_TERMS = frozenset(one.name for kind in (Program, Rules) for one in fields(kind))
_NEEDED = ("id", "name", "base_url")
# As people say it, where their word is another.
_SAID = {"base_url": "url"}


def read_options(values: Mapping[str, object], known: Collection[str], checks: Mapping[str, Check]) -> dict[str, Any]:
    """The known options, checked; a plain text where there is no check. Raises ConfigError naming every mistake."""
    mistakes = [
        (name, f"{name} is no option; known are {', '.join(sorted(known))}")
        for name in values
        if name not in known and name not in _TERMS
    ]
    missing = [said(name) for name in _NEEDED if not values.get(name)]
    mistakes += [(name, f"{name} is missing") for name in missing]
    found: dict[str, Any] = {}
    for name in (name for name in values if name in known):
        try:
            found[name] = checks.get(name, text)(values[name])
        except ValueError as error:
            mistakes.append((said(name), f"{said(name)} {error}"))
    if mistakes:
        raise ConfigError.listing(mistakes)
    return found


def said(name: str) -> str:
    """An option as people say it and a program keeps it."""
    return _SAID.get(name, name)


def text(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or not value.isprintable():
        raise ValueError(f"is a line of text of at most {LONGEST_TEXT} characters")
    return value.strip()


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is true or false")
    return value


def number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError("is a number")
    return float(value)


def poll_s(value: object) -> float:
    if not 1 <= number(value) <= SLOWEST_S:
        raise ValueError(f"is a number of seconds from 1 to {SLOWEST_S:g}")
    return number(value)


def pay(value: object) -> float | None:
    if value is not None and number(value) < 0:
        raise ValueError("is no number from 0")
    return None if value is None else number(value)


def count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        raise ValueError("is a whole number from 1 to 1000")
    return value


def scope(value: object) -> Scope:
    try:
        return Scope(str(value))
    except ValueError as error:
        raise ValueError(f"is one of {', '.join(Scope)}") from error


# Terms that a source passes on with its program.
TERMS: Mapping[str, Check] = {"poll_s": poll_s, "pay_usd_per_kw": pay, "season_events": count, "scope": scope}
