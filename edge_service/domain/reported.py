"""What a client such as Home Assistant reports, read strictly: all of it is good, or nothing of it counts. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from edge_service.domain.asked import AN_AWARE_TIME, aware_time, bad_argument
from edge_service.domain.model import (
    Alert,
    AlertKind,
    Confidence,
    GridEvidence,
    LoadReading,
    LoadState,
    Position,
    SwitchReading,
)

# A client repeats its report every 15 s: two may be lost.
VALID_S = 45.0
MOST_EVIDENCE = 32
MOST_LOADS = 64
MOST_ALERTS = 32
LONGEST_TEXT = 200
MOST_POWER_W = 1_000_000
HOME_ASSISTANT = "home_assistant"

# An entity's id has a point in it, so that none can be taken for a device of ours.
_ENTITY = re.compile(r"[a-z0-9_]{1,64}\.[a-z0-9_]{1,128}")
_GROUP = re.compile(r"[a-z0-9_]{1,64}")


@dataclass(frozen=True, slots=True)
class Report:
    """What one message reports. A kind that it says nothing of is None; one that is empty takes back what was said.

    ``switch`` holds one reading or none, so that all four are alike.
    """

    evidence: Mapping[str, GridEvidence] | None = None
    switch: Mapping[str, SwitchReading] | None = None
    loads: Mapping[str, LoadReading] | None = None
    alerts: Mapping[str, Alert] | None = None


def read_report(args: Mapping[str, Any], now: datetime) -> Report:
    """The report in a command's arguments. Raises ``CommandRefusedError`` (``bad_argument``) naming what is wrong."""
    return Report(
        evidence=_all(_items(args, "evidence", MOST_EVIDENCE), lambda item: _evidence(item, now)),
        switch=_switch(args, now),
        loads=_loads(args, now),
        alerts=_all(_items(args, "alerts", MOST_ALERTS), _alert),
    )


@dataclass(frozen=True, slots=True)
class _Item:
    """One object of a report; ``path`` names it in a refusal."""

    path: str
    values: Mapping[str, Any]

    def text(self, key: str, default: str | None = None) -> str:
        value = self.values.get(key, default)
        if not isinstance(value, str) or len(value) > LONGEST_TEXT or (default is None and not value):
            raise bad_argument(f"{self.path}.{key}", _short(value), f"text of at most {LONGEST_TEXT} characters")
        return value

    def fact(self, key: str) -> bool | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise bad_argument(f"{self.path}.{key}", _short(value), "true, false, null")
        return value

    def choice[E: StrEnum](self, key: str, allowed: tuple[E, ...]) -> E:
        value = self.values.get(key)
        found = next((one for one in allowed if isinstance(value, str) and one == value), None)
        if found is None:
            raise bad_argument(f"{self.path}.{key}", _short(value), ", ".join(allowed))
        return found

    def power_w(self, key: str) -> int | None:
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MOST_POWER_W:
            raise bad_argument(f"{self.path}.{key}", _short(value), f"watts up to {MOST_POWER_W}, null")
        return round(value)

    def time(self, key: str) -> datetime:
        moment = aware_time(self.values.get(key))
        if moment is None:
            raise bad_argument(f"{self.path}.{key}", _short(self.values.get(key)), AN_AWARE_TIME)
        return moment


def _short(value: Any) -> str:
    """What was found, for a refusal: never long."""
    return repr(value)[:LONGEST_TEXT]


def _items(args: Mapping[str, Any], key: str, most: int) -> list[_Item] | None:
    if key not in args:
        return None
    given = args[key]
    if not isinstance(given, list) or len(given) > most:
        raise bad_argument(key, _short(given), f"a list of at most {most}")
    return [_item(f"{key}[{index}]", value) for index, value in enumerate(given)]


def _item(path: str, value: Any) -> _Item:
    if not isinstance(value, dict):
        raise bad_argument(path, _short(value), "an object")
    return _Item(path, value)


def _all[T](items: list[_Item] | None, read: Callable[[_Item], tuple[str, T]]) -> Mapping[str, T] | None:
    return None if items is None else dict(read(item) for item in items)


def _evidence(item: _Item, now: datetime) -> tuple[str, GridEvidence]:
    source = item.text("source")
    if not _ENTITY.fullmatch(source):
        raise bad_argument(f"{item.path}.source", _short(source), "the id of an entity, such as binary_sensor.grid")
    # Taken for the grid's while it is the house's own voltage, it would call back a grid that is not there.
    position = item.choice("position", tuple(Position)) if "position" in item.values else Position.PROTECTED_SIDE
    confidence = item.choice("confidence", (Confidence.LIKELY, Confidence.HINT))
    present = item.fact("present")
    return source, GridEvidence(source, now, present, position, item.text("detail", ""), confidence, VALID_S)


def _switch(args: Mapping[str, Any], now: datetime) -> Mapping[str, SwitchReading] | None:
    if "switch" not in args:
        return None
    if args["switch"] is None:
        return {}
    item = _item("switch", args["switch"])
    facts = (item.fact(key) for key in ("commanded_open", "open_proven", "closed_proven"))
    return {"switch": SwitchReading(now, *facts)}


def _loads(args: Mapping[str, Any], now: datetime) -> Mapping[str, LoadReading] | None:
    if "loads" not in args:
        return None
    given = args["loads"]
    if not isinstance(given, dict) or len(given) > MOST_LOADS:
        raise bad_argument("loads", _short(given), f"an object of at most {MOST_LOADS} load groups")
    return {group: _load(group, value, now) for group, value in given.items()}


def _load(group: str, value: Any, now: datetime) -> LoadReading:
    if not _GROUP.fullmatch(group):
        raise bad_argument("loads", _short(group), "ids of load groups")
    item = _item(f"loads.{group}", value)
    state = None if item.values.get("state") is None else item.choice("state", tuple(LoadState))
    return LoadReading(now, state, item.power_w("power_w"), VALID_S)


def _alert(item: _Item) -> tuple[str, Alert]:
    start, end = item.time("start"), None if item.values.get("end") is None else item.time("end")
    if end is not None and end <= start:
        raise bad_argument(f"{item.path}.end", end.isoformat(), "a time after its start")
    name = item.text("id")
    return name, Alert(name, HOME_ASSISTANT, item.choice("kind", tuple(AlertKind)), item.text("name"), start, end)
