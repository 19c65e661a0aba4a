"""Programs' terms as they ship: one file each in ``presets/``, every value with its source and the day it was read.

They are copied into a program when it is added and never looked at again for it: an update changes nobody's pay.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import voluptuous as vol

from edge_service.config import marked_yaml
from edge_service.config.value_rules import Rule, Section, choice, text
from edge_service.ports import ConfigError
from edge_service.programs.terms import BY_HAND, RULES, TERMS, check_term

FOLDER = Path(__file__).parent / "presets"
KINDS = (BY_HAND, "openadr3", "openadr2b", "calendar")
# The source of a value that no page says: we chose it, and ``choices`` says why.
CHOICE = "choice"
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of one offer. ``terms`` and ``sources`` by path, such as ``rules.window``.

    ``utility``: who offers it. ``kind``: how its events reach a single home today.
    """

    name: str
    title: str
    about: str
    page: str
    read: str
    utility: str
    kind: str
    terms: Mapping[str, Any]
    sources: Mapping[str, str]
    choices: tuple[str, ...]

    def entry(self) -> dict[str, Any]:
        """The terms as a program keeps them, with where they are from."""
        entry: dict[str, Any] = {"preset": self.name, "preset_date": self.read}
        rules = {path.partition(".")[2]: value for path, value in self.terms.items() if "." in path}
        entry |= {path: value for path, value in self.terms.items() if "." not in path}
        return entry | ({"rules": rules} if rules else {})

    def differs(self, entry: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """What this preset says otherwise than a kept program: by path, what is kept and what is said."""
        kept = flat(entry)
        return {path: (kept.get(path), value) for path, value in self.terms.items() if kept.get(path) != value}


def flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A kept program's terms by path."""
    rules = entry.get("rules") or {}
    found = {key: entry[key] for key in TERMS if entry.get(key) is not None}
    return found | {f"rules.{key}": rules[key] for key in RULES if rules.get(key) is not None}


def names() -> tuple[str, ...]:
    """The presets that ship."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load(name: str) -> Preset:
    """One preset. Raises ``ConfigError``: there is none of this name, or its file is wrong."""
    if name not in names():
        words = f"preset: found {name!r}; allowed: {', '.join(names())}"
        raise ConfigError(words, {"preset": words})
    path = FOLDER / f"{name}.yaml"
    return read(name, path.read_text(encoding="utf-8"))


def filled(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A program with the terms of the preset that it names, where it says nothing itself; unchanged once it has them.

    A term that is None is said: the preset's does not count then. Raises ``ConfigError``.
    """
    name = entry.get("preset")
    if name is None or entry.get("preset_date") is not None:
        return dict(entry)
    offered = load(str(name)).entry()
    rules = {**offered.get("rules", {}), **(entry.get("rules") or {})}
    return {**offered, **entry, "preset_date": offered["preset_date"]} | ({"rules": rules} if rules else {})


def newer(entry: Mapping[str, Any]) -> Preset | None:
    """The preset that a kept program was made from, if its facts were read later and say something else."""
    name, kept = entry.get("preset"), entry.get("preset_date")
    if not isinstance(name, str) or not isinstance(kept, str) or name not in names():
        return None
    preset = load(name)
    return preset if preset.read > kept and preset.differs(entry) else None


# ------------------------------------------------------------------------------------------------------------ the file


def _date(value: Any) -> str:
    return date.fromisoformat(value).isoformat()


def _mapping(value: Any) -> Any:
    if not isinstance(value, dict):
        raise vol.Invalid("a section")
    return value


def _sentences(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise vol.Invalid("a list")
    return tuple(text(_LONGEST)(one) for one in value)


_SECTION = Rule("a section", _mapping)
_FILE = Section(
    {
        "title": text(80),
        "about": text(_LONGEST),
        "page": text(80),
        "utility": text(120),
        "kind": choice(KINDS),
        "read": Rule("a day, such as 2026-11-23", _date),
        "terms": _SECTION,
        "sources": _SECTION,
        "choices": Rule("a list of sentences", _sentences),
    },
    {},
)


def read(name: str, written: str) -> Preset:
    """A preset out of its file's text. Raises ``ConfigError`` naming every mistake."""
    source = marked_yaml.parse(written)
    mistakes = [f"line {flaw.line}: {flaw.text}" for flaw in source.flaws]
    found: dict[str, Any] = {}
    try:
        found = vol.Schema(_FILE)(source.value)
    except vol.MultipleInvalid as problem:
        mistakes += [f"{'.'.join(map(str, error.path))}: allowed: {error.msg}" for error in problem.errors]
    terms = _terms(found.pop("terms", {}), found.get("sources", {}), mistakes)
    if mistakes:
        raise ConfigError(f"preset {name}: {'; '.join(mistakes)}")
    values = {path: value for path, (value, _) in terms.items()}
    said = {path: CHOICE if key == CHOICE else found["sources"][key] for path, (_, key) in terms.items()}
    return Preset(name, terms=values, **(found | {"sources": said}))


def _terms(listed: Mapping[str, Any], sources: Mapping[str, Any], mistakes: list[str]) -> dict[str, tuple[Any, str]]:
    """Each term with its value, right by its own rule, and the key of its source."""
    known = {*TERMS, *(f"rules.{key}" for key in RULES)} - {"name", "preset", "preset_date"}
    terms: dict[str, tuple[Any, str]] = {}
    for path, one in listed.items():
        if path not in known:
            mistakes.append(f"{path} is no term; known are {', '.join(sorted(known))}")
        elif not isinstance(one, dict) or set(one) != {"value", "source"}:
            mistakes.append(f"{path} has no value and source")
        elif one["source"] != CHOICE and one["source"] not in sources:
            mistakes.append(f"{path}: {one['source']} is none of its sources")
        else:
            try:
                terms[path] = check_term(path, one["value"]), one["source"]
            except ConfigError as error:
                mistakes.append(str(error))
    return terms
