"""The form of a utility program, made of what the edge asks for, and what was typed into it as the edge keeps it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import probatio
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    Selector,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

type Field = Mapping[str, Any]
type Entry = Mapping[str, Any]

CONF_MORE = "more"
CONF_UNTESTED = "untested"
# What the edge shows in the place of a secret that it keeps.
MASK = "***"
# What the form has words for: asked of everybody, or found under "more". Terms that hardly anybody changes come with
# the preset, and are changed at the edge's own command line.
ASKED = frozenset({"name", "url", "client_id", "client_secret", "program_name", "ven_name", "ven_id"}) | frozenset(
    {"pay_usd_per_kw", "pay_usd_per_kwh"}
)
MORE = frozenset(("ven_name", "program_id", "market_context", "poll_s", "time_zone", "floor_pct", "season_events"))
# Ids that mean something else at the edge.
RESERVED = frozenset({"", "site", "hand", "manual"})
LONGEST_ID = 32

# Steps of the edge's trial that a program cannot do without, and the field that mends each.
TRIED: Mapping[str, str] = {
    "address": "url",
    "tls": "url",
    "contact": "url",
    "token": "client_secret",
    "programs": "program_name",
    "options": "base",
}


def fields_of(offered: Mapping[str, Any], preset: str, kind: str) -> tuple[list[Field], list[Field]]:
    """What is asked of everybody, and what stands under "more"; with the values that the preset brings."""
    given = offered["presets"].get(preset, {}).get("terms", {})
    every = [*offered["kinds"][kind]["fields"], *offered["terms"]]
    every = [{**field, "default": given.get(field["name"], field["default"])} for field in every]
    asked = [field for field in every if field["required"] or (not field["advanced"] and field["name"] in ASKED)]
    more = [field for field in every if field not in asked and field["name"] in MORE]
    return asked, more


def schema_of(asked: Iterable[Field], more: Iterable[Field], *, known: Entry, failed: bool) -> probatio.Schema:
    """The form. ``known``: as it is kept now. ``failed``: the trial did, and a person may go on all the same."""
    fields: dict[Any, Any] = dict(_rows(asked, known))
    if folded := dict(_rows(more, known)):
        fields[probatio.Required(CONF_MORE)] = section(probatio.Schema(folded), {"collapsed": True})
    if failed:
        fields[probatio.Required(CONF_UNTESTED, default=False)] = BooleanSelector()
    return probatio.Schema(fields)


def _rows(fields: Iterable[Field], known: Entry) -> Iterator[tuple[Any, Selector[Any]]]:
    for field in fields:
        name, value = field["name"], known.get(field["name"], field["default"])
        kept_secret = field["secret"] and value == MASK
        hint = {} if value is None or kept_secret else {"suggested_value": value}
        needed = probatio.Required if field["required"] and not kept_secret else probatio.Optional
        yield needed(name, description=hint), _selector(field)


def _selector(field: Field) -> Selector[Any]:
    if field["value"] in ("number", "whole"):
        low, high = field["low"], field["high"]
        step: float | Literal["any"] = 1 if field["value"] == "whole" else "any"
        shape = NumberSelectorConfig(step=step, mode=NumberSelectorMode.BOX)
        if low is not None and high is not None:
            shape = NumberSelectorConfig(step=step, mode=NumberSelectorMode.BOX, min=low, max=high)
        return NumberSelector(shape)
    if field["value"] == "flag":
        return BooleanSelector()
    if field["choices"]:
        many = field["value"] == "choices"
        return SelectSelector(SelectSelectorConfig(options=field["choices"], multiple=many))
    if field["secret"] and field["value"] == "text":
        return TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD))
    return TextSelector()


def entry_of(typed: Mapping[str, Any], fields: Iterable[Field], known: Entry) -> dict[str, Any]:
    """The program as it is told to the edge: what was typed over what is kept; an empty field takes a value back."""
    said = {**typed, **typed.get(CONF_MORE, {})}
    entry = dict(known)
    for field in fields:
        value = said.get(field["name"])
        value = value.strip() if isinstance(value, str) else value
        if value in (None, "") and field["secret"] and known.get(field["name"]) == MASK:
            continue
        if value in (None, ""):
            entry.pop(field["name"], None)
        else:
            entry[field["name"]] = round(float(value)) if field["value"] == "whole" else value
    return entry


def id_of(name: str, taken: Iterable[str]) -> str:
    """A short name that the edge takes, made of what people call it, and not one of ``taken``."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[: LONGEST_ID - 3].strip("_")
    plain = f"program_{plain}".strip("_") if plain in RESERVED else plain
    used = set(taken)
    tries = (plain if number == 1 else f"{plain}_{number}" for number in range(1, len(used) + 2))
    return next(free for free in tries if free not in used)


def failures(checks: Iterable[Mapping[str, Any]], shown: Iterable[str]) -> tuple[dict[str, str], str]:
    """What the trial found wrong: the texts of the errors by field, and the edge's own words."""
    wrong = [check for check in checks if not check["ok"] and check["what"] in TRIED]
    names = set(shown)
    places = (TRIED[check["what"]] for check in wrong)
    errors = {place if place in names else "base": "not_reached" for place in places}
    return errors, "; ".join(str(check["text"]) for check in wrong)
