"""Other ids for those that people and utilities give, in a recording that leaves the house.

``our_leaf`` becomes ``charger_1``, a utility's ``vtn-account-4711`` becomes ``event_1``. The new ids sort as the old
ones do, since where two are equal in all else a decision takes them in the order of their ids.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

CHARGER, COMPANION, PROGRAM, EVENT, ALERT = "charger", "companion", "program", "event", "alert"
NOTICE = "notice"
_NUMBERED = (CHARGER, COMPANION, PROGRAM, EVENT, ALERT)
# A step of a path that may be anything: an id, a place in a list.
ANY = None

type Path = tuple[str | int, ...]

# Where ids are the keys. A path begins with a part of the document.
_KEYS: Mapping[tuple[str, str], str] = {
    ("facts", "chargers"): CHARGER,
    ("facts", "programs"): PROGRAM,
    ("facts", "companions"): COMPANION,
    ("observation", "companions"): COMPANION,
    **{("settings", name): CHARGER for name in ("drivers_reserve_pct", "manual", "departures", "miles_per_kwh")},
    **{("settings", name): CHARGER for name in ("drivers_reserve_miles", "lent_pct")},
    ("settings", "alerts_opted_out"): ALERT,
    ("settings", "event_floor_pct"): PROGRAM,
    ("memory", "chargers"): CHARGER,
    ("memory", "events"): EVENT,
    ("memory", "seasons"): PROGRAM,
    ("memory", "notices"): NOTICE,
    **{("observation", name): CHARGER for name in ("chargers", "stopped", "contested", "departures", "orders")},
    ("decision", "orders"): CHARGER,
    ("decision", "adjusted"): CHARGER,
    ("decision", "events"): EVENT,
}
# Where they are values.
_VALUES: Mapping[tuple[str | None, ...], str] = {
    ("facts", "chargers", ANY, "id"): CHARGER,
    ("facts", "programs", ANY, "id"): PROGRAM,
    ("facts", "companions", ANY, "id"): COMPANION,
    ("settings", "opted_out", ANY): EVENT,
    ("settings", "not_participating", ANY): PROGRAM,
    ("memory", "island", "former"): CHARGER,
    ("memory", "runtime", "stores", ANY, "charger"): CHARGER,
    ("memory", "events", ANY, "program_id"): PROGRAM,
    ("observation", "events", ANY, "uid"): EVENT,
    ("observation", "alerts", ANY, "id"): ALERT,
    ("observation", "alerts", ANY, "source"): PROGRAM,
    ("observation", "events", ANY, "program_id"): PROGRAM,
}
# "car: the grid is there; meter: it is not"
_EVIDENCE = (("memory", "grid", "evidence"), ("memory", "outage", "evidence"))
_SOURCE = re.compile(r"(?:^|(?<=[;,] ))[a-z0-9_]+(?=: )")
_PARTS = ("facts", "settings", "memory", "observation", "decision")


def without_ids(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a recording with other ids throughout: the same everywhere in it."""
    seen = _Seen()
    _renamed(document, seen.notes)
    aliases = _Aliases({kind: _numbered(kind, ids) for kind, ids in seen.ids.items()})
    made = _renamed(document, aliases.of)
    if (mark := document.get("mark")) is not None:
        made["mark"] = mark | {"subject": aliases.subject(mark["subject"])}
    return made


def _numbered(kind: str, ids: set[str]) -> dict[str, str]:
    width = len(str(len(ids)))
    return {name: f"{kind}_{number:0{width}}" for number, name in enumerate(sorted(ids), 1)}


@dataclass(frozen=True, slots=True)
class _Seen:
    """Every id that is met."""

    ids: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in _NUMBERED})

    def notes(self, kind: str, name: str) -> str:
        if kind in self.ids:
            self.ids[kind].add(name)
        return name


@dataclass(frozen=True, slots=True)
class _Aliases:
    """What stands in place of each id."""

    known: Mapping[str, Mapping[str, str]]

    def of(self, kind: str, name: str) -> str:
        if kind == NOTICE:
            return self._key(name)
        if kind == "evidence":
            sources = {**self.known[COMPANION], **self.known[CHARGER]}
            return _SOURCE.sub(lambda found: sources.get(found[0], found[0]), name)
        return self.known[kind].get(name, name)

    def _key(self, key: str) -> str:
        """The key of a notice: what it is about, then the id, then perhaps a time."""
        about, colon, rest = key.partition(":")
        if about == EVENT:
            return f"{about}:{self.known[EVENT].get(rest, 'event')}"
        if about in (ALERT, "storm") and (alias := self._alert(rest)) is not None:
            return f"{about}:{alias}"
        name, *more = rest.split(":", 1)
        return ":".join([about, self.known[CHARGER].get(name, name), *more]) if colon else key

    def _alert(self, rest: str) -> str | None:
        """An alert's id, and perhaps its end; None: a time alone, of a storm by hand."""
        for name, alias in self.known[ALERT].items():
            if rest == name or rest.startswith(f"{name}:"):
                return alias + rest.removeprefix(name)
        return None if rest[:1].isdigit() else "alert"

    def subject(self, name: str) -> str:
        """Of a mark: the site, a charger or a program."""
        return self.known[CHARGER].get(name) or self.known[PROGRAM].get(name) or name


type _Rename = Callable[[str, str], str]


def _renamed(document: Mapping[str, Any], rename: _Rename) -> dict[str, Any]:
    parts = {part: _walk(document[part], (part,), rename) for part in _PARTS}
    memories = {number: _walk(memory, ("memory",), rename) for number, memory in document["memories"].items()}
    changes = [_column(column, rename) for column in document["changes"]]
    return {**document, **parts, "memories": memories, "changes": changes}


def _column(column: Mapping[str, Any], rename: _Rename) -> dict[str, Any]:
    path = tuple(column["path"])
    new = [_step(path[:place], step, rename) for place, step in enumerate(path)]
    values = {"values": [_walk(value, path, rename) for value in column["values"]]} if "values" in column else {}
    return {**column, "path": new, **values}


def _step(above: Path, step: str | int, rename: _Rename) -> str | int:
    kind = _KEYS.get((str(above[0]), str(above[1]))) if len(above) == 2 else None
    return step if kind is None or not isinstance(step, str) else rename(kind, step)


def _walk(plain: Any, path: Path, rename: _Rename) -> Any:
    if isinstance(plain, dict):
        return {_step(path, key, rename): _walk(value, (*path, key), rename) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_walk(item, (*path, number), rename) for number, item in enumerate(plain)]
    return _value(plain, path, rename) if isinstance(plain, str) else plain


def _value(text: str, path: Path, rename: _Rename) -> str:
    if path in _EVIDENCE:
        return rename("evidence", text)
    for pattern, kind in _VALUES.items():
        if len(pattern) == len(path) and all(want in (ANY, step) for want, step in zip(pattern, path, strict=True)):
            return rename(kind, text)
    return text
