"""What a person must say to take part in a program, told as fields, so that a form can be made of it anywhere."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from typing import Any, get_args, get_type_hints

from edge_service.domain.program import Baseline, OutsideRules, Program, Scope
from edge_service.programs import presets
from edge_service.programs.icalendar_options import CalendarOptions
from edge_service.programs.openadr2b_options import OpenAdr2Options
from edge_service.programs.openadr3_options import OpenAdr3Options
from edge_service.programs.option_values import said
from edge_service.programs.terms import BY_HAND, WEEKDAYS

type FieldShown = dict[str, Any]

_OPTIONS: Mapping[str, type] = {"openadr3": OpenAdr3Options, "openadr2b": OpenAdr2Options, "calendar": CalendarOptions}
# Asked of everybody who takes part by this kind; the rest is for those who need it.
_USUAL: Mapping[str, tuple[str, ...]] = {
    "openadr3": ("url", "client_id", "client_secret", "program_name"),
    "openadr2b": ("url", "ven_name", "ven_id"),
    "calendar": ("url",),
    BY_HAND: (),
}
# Of every program, whatever brings its events; what it is measured and paid by stands among the terms.
_COMMON = frozenset({"id", "name", "scope", "pay_usd_per_kw", "season_events"})
# Files lie on the edge's own machine and are named there only; so is what opens them.
FILES = frozenset({"certificate_file", "key_file", "ca_file"})
_NOT_ASKED = _COMMON | FILES | {"key_password"}
# A private calendar's address is its key.
_SECRET = frozenset({("openadr3", "client_secret"), ("calendar", "url")})
_PLAIN_VALUES = {bool: "flag", int: "whole", float: "number", str: "text"}
_PAY = ("pay_usd_per_kw", "pay_usd_per_kwh")


def offered() -> dict[str, Any]:
    """The presets that ship, each with the fields that are usual for it; every kind with all of its own; the terms."""
    return {
        "presets": {name: _preset(presets.load(name)) for name in presets.names()},
        "kinds": {kind: {"fields": list(_of_kind(kind))} for kind in _USUAL},
        "terms": _terms(),
    }


def _preset(preset: presets.Preset) -> dict[str, Any]:
    usual = [field for field in _of_kind(preset.kind) if not field["advanced"]]
    pay = [field for field in _terms() if field["name"] in _PAY]
    shown = [{**field, "default": preset.terms.get(field["name"], field["default"])} for field in pay]
    return {
        "title": preset.title,
        "utility": preset.utility,
        "kind": preset.kind,
        "about": preset.about,
        "read": preset.read,
        "terms": dict(preset.terms),
        "fields": [*usual, *shown],
    }


def _field(name: str, value: str, *, default: Any = None, required: bool = False, **more: Any) -> FieldShown:
    """``default``: what counts where nothing is said; ``advanced``: hardly anybody needs it."""
    plain = {"secret": False, "required": required, "advanced": False, "choices": None, "low": None, "high": None}
    return {"name": name, "value": value, **plain, "default": default, **more}


# --------------------------------------------------------------------------------------------------- what a kind needs


def _of_kind(kind: str) -> Iterator[FieldShown]:
    yield _field("name", "text", required=True)
    options = _OPTIONS.get(kind)
    if options is None:
        return
    hints = get_type_hints(options)
    for option in fields(options):
        if option.name not in _NOT_ASKED:
            yield _option(kind, option, hints[option.name])


def _option(kind: str, option: Field[Any], hint: Any) -> FieldShown:
    name = said(option.name)
    value, choices = _value(name, hint)
    default = None if option.default is MISSING else _plain(option.default)
    return _field(
        name,
        value,
        default=default,
        required=option.default is MISSING,
        secret=(kind, name) in _SECRET,
        advanced=name not in _USUAL[kind],
        choices=choices,
    )


def _value(name: str, hint: Any) -> tuple[str, list[str] | None]:
    """The kind of value that an option takes, and out of what it is chosen."""
    if name == "url":
        return "url", None
    if hint in _PLAIN_VALUES:
        return _PLAIN_VALUES[hint], None
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return "choice", [str(one) for one in hint]
    inner = [one for one in get_args(hint) if one in _PLAIN_VALUES]
    if hint == tuple[str, ...]:
        return "texts", None
    return (_PLAIN_VALUES[inner[0]], None) if type(None) in get_args(hint) else ("map", None)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


# ------------------------------------------------------------------------------------------------------- what it pays


def _number(name: str, low: float, high: float, **more: Any) -> FieldShown:
    return _field(name, "number", low=low, high=high, **more)


def _choice(name: str, kind: type[StrEnum], **more: Any) -> FieldShown:
    return _field(name, "choice", choices=[str(one) for one in kind], **more)


def _terms() -> list[FieldShown]:
    """Terms by path; what stands under ``rules.`` is kept in the program's object ``rules``."""
    rare = {"advanced": True}
    return [
        _number("pay_usd_per_kw", 0, 100_000),
        _number("pay_usd_per_kwh", 0, 1_000),
        _field("season_events", "whole", low=1, high=366, default=Program("", "", "").season_events, **rare),
        _choice("scope", Scope, default=Scope.CHARGER, **rare),
        _choice("measure", Scope, **rare),
        _choice("baseline", Baseline, default=Baseline.NONE, **rare),
        _number("baseline_cap_pct", 0, 1000, **rare),
        _field("opted_out_counts", "flag", **rare),
        _field("exports", "flag", **rare),
        _number("ramp_s", 0, 1800, **rare),
        _number("floor_pct", 0, 100, **rare),
        _field("rules.seasons", "texts", **rare),
        _field("rules.weekdays", "choices", choices=list(WEEKDAYS), **rare),
        _field("rules.holidays", "text", **rare),
        _field("rules.window", "text", **rare),
        _number("rules.shortest_h", 0.01, 24, **rare),
        _number("rules.longest_h", 0.01, 48, **rare),
        _number("rules.notice_h", 0, 168, **rare),
        _field("rules.most_events", "whole", low=1, high=1000, **rare),
        _number("rules.most_hours", 0.1, 8784, **rare),
        _choice("rules.outside", OutsideRules, **rare),
    ]
