"""What is kept of a program's terms: plain values, each with a rule that says what is allowed, and what they mean."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import voluptuous as vol

from edge_service.config.value_rules import Rule, Section, UnknownKey, choice, flag, number, or_null, text, whole
from edge_service.domain.program import Baseline, OutsideRules, Program, Rules, Scope, Season
from edge_service.ports import ConfigError
from edge_service.programs.rules import END_OF_DAY, is_calendar

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST_USD_PER_KW = 100_000.0
MOST_USD_PER_KWH = 1_000.0

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTH_DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_CALENDAR = re.compile(r"[A-Z]{2}(/[A-Za-z0-9]{1,8})?")
_WORD = re.compile(r"[a-z0-9_]{1,40}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


# ---------------------------------------------------------------------------------------- values of a form of our own


def _pair(value: Any, parts: str) -> tuple[str, str]:
    if not isinstance(value, str):
        raise ValueError(value)
    first, between, last = value.partition(parts)
    if not between:
        raise ValueError(value)
    return first.strip(), last.strip()


def _season(value: Any) -> str:
    for word in (pair := _pair(value, "..")):
        match = _MONTH_DAY.fullmatch(word)
        if match is None or int(match[2]) > _DAYS[int(match[1]) - 1]:
            raise ValueError(value)
    return "..".join(pair)


def _seasons(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(value)
    return [_season(one) for one in value]


def _weekdays(value: Any) -> list[str]:
    if not isinstance(value, list) or any(day not in WEEKDAYS for day in value):
        raise ValueError(value)
    return [day for day in WEEKDAYS if day in value]


def _window(value: Any) -> str:
    first, last = _pair(value, "-")
    if not _TIME.fullmatch(first) or not (_TIME.fullmatch(last) or last == END_OF_DAY) or first == last:
        raise ValueError(value)
    return f"{first}-{last}"


def _calendar(value: Any) -> str:
    if not isinstance(value, str) or not _CALENDAR.fullmatch(value) or not is_calendar(*_country(value)):
        raise ValueError(value)
    return value


def _country(written: str) -> tuple[str, str | None]:
    country, _, part = written.partition("/")
    return country, part or None


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    def accept(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(value)
        return value

    return accept


# --------------------------------------------------------------------------------------------------------------- rules

RULES: Mapping[str, Rule] = {
    "seasons": or_null(Rule("a list of seasons in local dates, such as [06-01..09-30]", _seasons)),
    "weekdays": or_null(Rule(f"a list out of {', '.join(WEEKDAYS)}", _weekdays)),
    "holidays": or_null(Rule("a country, or with its part, such as US or US/MA", _calendar)),
    "window": or_null(Rule("local times of the first and last moment, such as 15:00-20:00", _window)),
    "shortest_h": or_null(number(0.01, 24, "hours")),
    "longest_h": or_null(number(0.01, 48, "hours")),
    "notice_h": or_null(number(0, 168, "hours")),
    "most_events": or_null(whole(1, 1000, "events in a season")),
    "most_hours": or_null(number(0.1, 8784, "hours in a season")),
    "outside": or_null(choice(OutsideRules)),
}
TERMS: Mapping[str, Rule] = {
    "name": or_null(text(120)),
    "preset": or_null(Rule("the name of a preset", _matching(_WORD))),
    "preset_date": or_null(Rule("the day of the preset's facts, such as 2026-11-23", _matching(_DATE))),
    "scope": or_null(choice(Scope)),
    "measure": or_null(choice(Scope)),
    "pay_usd_per_kw": or_null(number(0, MOST_USD_PER_KW, "dollars per season and average kW")),
    "pay_usd_per_kwh": or_null(number(0, MOST_USD_PER_KWH, "dollars per kWh")),
    "season_events": or_null(whole(1, 366, "events expected in a season")),
    "baseline": or_null(choice(Baseline)),
    "baseline_cap_pct": or_null(number(0, 1000, "percent of the baseline")),
    "opted_out_counts": or_null(flag()),
    "exports": or_null(flag()),
    "ramp_s": or_null(number(0, 1800, "seconds")),
    "floor_pct": or_null(number(0, 100, "percent")),
}
# Every house has one: events entered by hand have the rank of any program's.
BY_HAND = "manual"
# What every kind of program keeps; the rest is its protocol's.
OUR_KEYS = frozenset({"kind", "rules", *TERMS})
RULES_SECTION = Section({}, RULES)
PROGRAM_SECTION = Section({}, {**TERMS, "rules": Rule(RULES_SECTION.allowed, lambda value: value)}, open_ended=True)


def check(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The terms of a kept program, those of its rules under ``rules``, without what says nothing.

    Raises ``ConfigError`` naming every mistake at once. What else is kept of it is its protocol's to judge.
    """
    mistakes: list[tuple[str, str]] = []
    found = _clean(PROGRAM_SECTION, entry, mistakes)
    if entry.get("rules") is not None:
        found["rules"] = _clean(RULES_SECTION, entry["rules"], mistakes, "rules")
    if entry.get("kind") == BY_HAND:
        unknown = [key for key in entry if key not in OUR_KEYS]
        mistakes += [(key, f"{key}: there is no such key; allowed: {', '.join(sorted(OUR_KEYS))}") for key in unknown]
    if mistakes:
        raise ConfigError.listing(mistakes)
    return found


def check_term(path: str, value: Any) -> Any:
    """One term by its path, such as ``rules.window``. Raises ``ConfigError`` with what is allowed."""
    table, _, key = path.rpartition(".")
    rule = (RULES if table else TERMS)[key]
    try:
        return rule(value)
    except vol.Invalid as error:
        words = f"{path}: found {shown(value)}; allowed: {rule.allowed}"
        raise ConfigError(words, {path: words}) from error


def _clean(section: Section, value: Any, mistakes: list[tuple[str, str]], within: str = "") -> dict[str, Any]:
    try:
        clean: dict[str, Any] = vol.Schema(section)(dict(value) if isinstance(value, Mapping) else value)
    except vol.MultipleInvalid as problem:
        mistakes += [_says(error, value, within) for error in problem.errors]
        return {}
    return {key: one for key, one in clean.items() if one is not None}


def _says(error: vol.Invalid, value: Any, within: str) -> tuple[str, str]:
    """The field, and what is wrong with it."""
    path = [str(key) for key in error.path]
    found = value.get(path[0]) if path and isinstance(value, Mapping) else value
    no_such = ", but there is no such key" if isinstance(error, UnknownKey) else ""
    field = ".".join([*([within] if within else []), *path])
    return field, f"{field}: found {shown(found)}{no_such}; allowed: {error.msg}"


def shown(value: Any) -> str:
    """A value as a person may have written it, shortened."""
    written = value if isinstance(value, str) else repr(value)
    return written if len(written) <= 60 and written.isprintable() else f"{ascii(written)[:57]}..."


# ------------------------------------------------------------------------------------------------------- what they mean


def program(name: str, entry: Mapping[str, Any]) -> Program:
    """A kept program as the domain knows it. Raises ``ConfigError``."""
    said = check(entry)
    said.pop("preset_date", None)
    rules = _rules(said.pop("rules", {}))
    return Program(name, said.pop("name", name), str(entry.get("kind")), rules=rules, **said)


def _rules(said: Mapping[str, Any]) -> Rules:
    given: dict[str, Any] = {key: value for key, value in said.items() if key not in _READ}
    for key, read in _READ.items():
        if key in said:
            given |= read(said[key])
    return Rules(**given)


def _read_holidays(written: str) -> dict[str, Any]:
    country, part = _country(written)
    return {"holidays": country, "subdivision": part}


_READ: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "seasons": lambda value: {"seasons": tuple(Season(*_pair(one, "..")) for one in value)},
    "weekdays": lambda value: {"weekdays": tuple(n for n, day in enumerate(WEEKDAYS) if day in value)},
    "holidays": _read_holidays,
    "window": lambda value: {"window": _pair(value, "-")},
}
