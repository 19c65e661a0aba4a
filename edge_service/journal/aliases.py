"""Other ids for those that people and utilities give, in a recording that leaves the house.

``our_leaf`` becomes ``charger_1``, a utility's ``vtn-account-4711`` becomes ``event_1``. The new ids sort as the old
ones do, since where two are equal in all else a decision takes them in the order of their ids.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

CHARGER, COMPANION, PROGRAM, EVENT, ALERT = "charger", "companion", "program", "event", "alert"
# ``LOAD``: a load group. ``SOURCE``: an entity of Home Assistant.
LOAD, SOURCE, DRILL = "load", "source", "drill"
_NUMBERED = (CHARGER, COMPANION, PROGRAM, EVENT, ALERT, LOAD, SOURCE, DRILL)
# Ids of several kinds, and text with ids in it. ``DEVICE``: a charger or a companion.
NOTICE, DEVICE, EVIDENCE = "notice", "device", "evidence"
# A step of a path that may be anything: an id, a place in a list.
ANY = None

type Path = tuple[str | int, ...]

# Where ids are the keys. A path begins with a part of the document.
_KEYS: Mapping[Path, str] = {
    ("facts", "chargers"): CHARGER,
    ("facts", "relays"): LOAD,
    ("facts", "programs"): PROGRAM,
    ("facts", "companions"): COMPANION,
    ("observation", "companions"): COMPANION,
    **{("settings", name): CHARGER for name in ("drivers_reserve_pct", "manual", "departures", "miles_per_kwh")},
    **{("settings", name): CHARGER for name in ("drivers_reserve_miles", "lent_pct")},
    **{("settings", name): CHARGER for name in ("charge_limit_w", "discharge_limit_w")},
    **{("settings", name): LOAD for name in ("load_groups", "loads_by_hand", "loads_by_hand_at")},
    ("settings", "alerts_opted_out"): ALERT,
    ("settings", "event_floor_pct"): PROGRAM,
    ("memory", "chargers"): CHARGER,
    ("memory", "events"): EVENT,
    ("observation", "seasons"): PROGRAM,
    ("settings", "days_opted_out"): PROGRAM,
    ("memory", "notices"): NOTICE,
    ("memory", "loads", "groups"): LOAD,
    **{("memory", "runtime", name): LOAD for name in ("groups", "groups_w", "gains_h")},
    ("observation", "loads"): LOAD,
    **{("observation", name): CHARGER for name in ("chargers", "stopped", "contested", "departures", "orders")},
    ("decision", "orders"): CHARGER,
    ("decision", "adjusted"): CHARGER,
    ("decision", "events"): EVENT,
}
# Likewise, below another id.
_KEYS_BELOW: Mapping[tuple[str | None, ...], str] = {
    ("memory", "events", ANY, name): CHARGER for name in ("by_charger_wh", "supplied_w")
}
# Where they are values.
_VALUES: Mapping[tuple[str | None, ...], str] = {
    ("facts", "chargers", ANY, "id"): CHARGER,
    ("facts", "programs", ANY, "id"): PROGRAM,
    ("facts", "companions", ANY, "id"): COMPANION,
    ("facts", "relays", ANY, "id"): LOAD,
    ("settings", "load_groups", ANY, "id"): LOAD,
    ("settings", "storm", "alert"): ALERT,
    ("settings", "drill", "id"): DRILL,
    ("settings", "drill_cancelled"): DRILL,
    **{("settings", name, ANY): EVENT for name in ("opted_out", "opted_in")},
    ("settings", "not_participating", ANY): PROGRAM,
    ("memory", "grid", "evidence"): EVIDENCE,
    ("memory", "grid", "islanders", ANY): DEVICE,
    ("memory", "island", "former"): CHARGER,
    ("memory", "island", "tried", ANY): CHARGER,
    ("memory", "outage", "evidence"): EVIDENCE,
    ("memory", "outage", "former"): CHARGER,
    ("memory", "outage", "loads_shed", ANY): LOAD,
    ("memory", "drill", "id"): DRILL,
    ("memory", "rehearsal", "uid"): EVENT,
    ("memory", "rehearsal", "program_id"): PROGRAM,
    ("memory", "drill", "loads_shed", ANY): LOAD,
    ("memory", "drill", "loads_unproven", ANY): LOAD,
    ("memory", "runtime", "stores", ANY, "charger"): CHARGER,
    ("memory", "events", ANY, "program_id"): PROGRAM,
    ("observation", "events", ANY, "uid"): EVENT,
    ("observation", "alerts", ANY, "id"): ALERT,
    ("observation", "alerts", ANY, "source"): PROGRAM,
    ("observation", "events", ANY, "program_id"): PROGRAM,
    ("observation", "evidence", ANY, "source"): SOURCE,
    ("observation", "brought", ANY): NOTICE,
    ("observation", "out_of_hours", ANY): LOAD,
}
# "car: grid there; binary_sensor.street: grid lost (Elm Street is dark)": an id before each colon, and of what an
# entity says the words in brackets, which somebody else chose.
_SOURCE = re.compile(r"(?:^|(?<=[;,] ))[a-z0-9_.]+(?=: )")
_SAID = re.compile(r"((?:^|(?<=; ))[a-z0-9_]+\.[a-z0-9_]+: grid (?:there|lost)) \(.*?\)(?=$|; [a-z0-9_. ]+: grid )")
_NOT_OURS = frozenset({"meter"})
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
        if kind in self.ids and name:
            self.ids[kind].add(name)
        return name


@dataclass(frozen=True, slots=True)
class _Aliases:
    """What stands in place of each id."""

    known: Mapping[str, Mapping[str, str]]

    def of(self, kind: str, name: str) -> str:
        if kind == NOTICE:
            return self._key(name)
        if kind == EVIDENCE:
            return _SOURCE.sub(lambda found: self._source(found[0]), _SAID.sub(r"\1", name))
        if kind == DEVICE:
            return self._any_of(name, COMPANION, CHARGER)
        # A drill that came by itself is known by its time.
        return name if kind == DRILL and _is_time(name) else self.known[kind].get(name, name)

    def _any_of(self, name: str, *kinds: str, otherwise: str | None = None) -> str:
        found = next((self.known[kind][name] for kind in kinds if name in self.known[kind]), otherwise)
        return name if found is None else found

    def _source(self, name: str) -> str:
        """Who said something, perhaps long ago: one that nothing else in the recording names is a source as well."""
        return name if name in _NOT_OURS else self._any_of(name, CHARGER, COMPANION, SOURCE, otherwise=SOURCE)

    def _key(self, key: str) -> str:
        """The key of a notice: what it is about, then the id, then perhaps a time."""
        about, colon, rest = key.partition(":")
        if about == "rehearsal":
            return f"{about}:{self.known[EVENT].get(rest, EVENT)}"
        if about in (EVENT, DRILL):
            return f"{about}:{rest if _is_time(rest) else self.known[about].get(rest, about)}"
        if about in (ALERT, "storm") and (alias := self._alert(rest)) is not None:
            return f"{about}:{alias}"
        name, *more = rest.split(":", 1)
        return ":".join([about, self._any_of(name, CHARGER, COMPANION, LOAD), *more]) if colon else key

    def _alert(self, rest: str) -> str | None:
        """An alert's id, and perhaps its end; None: a time alone, of a storm by hand."""
        for name, alias in self.known[ALERT].items():
            if rest == name or rest.startswith(f"{name}:"):
                return alias + rest.removeprefix(name)
        return None if _is_time(rest) else "alert"

    def subject(self, name: str) -> str:
        """Of a mark: the site, a charger, a program or another that has an id."""
        return self._any_of(name, CHARGER, PROGRAM, COMPANION, LOAD, EVENT)


def _is_time(name: str) -> bool:
    try:
        datetime.fromisoformat(name)
    except ValueError:
        return False
    return True


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
    kind = _KEYS.get(above) or next((kind for pattern, kind in _KEYS_BELOW.items() if _is_like(above, pattern)), None)
    return step if kind is None or not isinstance(step, str) else rename(kind, step)


def _is_like(path: Path, pattern: tuple[str | None, ...]) -> bool:
    return len(pattern) == len(path) and all(want in (ANY, step) for want, step in zip(pattern, path, strict=True))


def _walk(plain: Any, path: Path, rename: _Rename) -> Any:
    if isinstance(plain, dict):
        return {_step(path, key, rename): _walk(value, (*path, key), rename) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_walk(item, (*path, number), rename) for number, item in enumerate(plain)]
    return _value(plain, path, rename) if isinstance(plain, str) else plain


def _value(text: str, path: Path, rename: _Rename) -> str:
    for pattern, kind in _VALUES.items():
        if _is_like(path, pattern):
            return rename(kind, text)
    return text
