"""What a report descriptor of OpenADR 3 asks for, in the shapes of 3.0.1 and 3.1. User guide 3.1, 7.5."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edge_service.programs.openadr3_objects import shown

# A count beyond this is a mistake; it also bounds what is searched.
MOST_INTERVALS = 1_000_000
_LONGEST_WORD = 128


class Spacing(StrEnum):
    """Whose intervals a report has: the event's, parts of them, or our own."""

    INTERVALS = "INTERVALS"
    SUB_INTERVALS = "SUB_INTERVALS"
    OPEN_INTERVALS = "OPEN_INTERVALS"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One wish for reports. ``start``, ``count``, ``frequency``, ``repeat`` as written, -1 with its own meaning each.

    ``targets``: words of 3.1, or the values of 3.0.1; empty: all who see the event.
    """

    payload: str
    reading: str | None = None
    units: str | None = None
    targets: frozenset[str] = frozenset()
    aggregate: bool = False
    start: int = -1
    count: int = -1
    historical: bool = True
    frequency: int = -1
    repeat: int = 1
    spacing: Spacing = Spacing.INTERVALS

    @property
    def ad_hoc(self) -> bool:
        """The time of a report is ours to choose."""
        return self.frequency == 0

    @property
    def key(self) -> str:
        """Tells this wish from others of the same event, and stays over restarts."""
        told = (
            *(self.payload, self.reading, self.units, sorted(self.targets), self.aggregate, self.start, self.count),
            *(self.historical, self.frequency, self.repeat, str(self.spacing)),
        )
        return hashlib.sha256(repr(told).encode()).hexdigest()[:12]

    def is_for(self, names: frozenset[str]) -> bool:
        """Whether it is meant for one who goes by ``names``: of the ven, its resource, and the targets granted."""
        return not self.targets or not self.targets.isdisjoint(names)


def read_descriptors(
    rows: Iterable[Mapping[str, Any]], defaults: Iterable[Mapping[str, Any]], problems: list[str]
) -> Iterator[Descriptor]:
    """Each wish that is understood, once; the others are named in ``problems``.

    ``defaults``: the program's payload descriptors, for a unit and a reading type where the wish names none.
    """
    by_payload = {_word(row.get("payloadType")): row for row in defaults}
    seen: set[str] = set()
    for row in rows:
        try:
            one = _descriptor(row, by_payload)
        except ValueError as error:
            problems.append(f"a report is not sent: {error}")
            continue
        if one.key not in seen:
            seen.add(one.key)
            yield one


def _descriptor(row: Mapping[str, Any], defaults: Mapping[str | None, Mapping[str, Any]]) -> Descriptor:
    """Raises ValueError. ``payLoadType`` is how the user guide itself spells it in places."""
    payload = _word(row.get("payloadType", row.get("payLoadType")))
    if payload is None:
        raise ValueError(f"its payloadType is {shown(row.get('payloadType'))}")
    default = defaults.get(payload, {})
    return Descriptor(
        payload,
        _word(row.get("readingType")) or _word(default.get("readingType")),
        _word(row.get("units")) or _word(default.get("units")),
        frozenset(_targets(row.get("targets"))),
        _flag(row, "aggregate", otherwise=False),
        _whole(row, "startInterval", -1, -1),
        _whole(row, "numIntervals", -1, -1, never=0),
        _flag(row, "historical", otherwise=True),
        _whole(row, "frequency", -1, -1),
        _whole(row, "repeat", 1, -1, never=0),
        _spacing(row.get("reportIntervals")),
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_WORD and value.isprintable() else None


def _flag(row: Mapping[str, Any], name: str, *, otherwise: bool) -> bool:
    value = row.get(name)
    if value is None or isinstance(value, bool):
        return otherwise if value is None else value
    raise ValueError(f"its {name} is {shown(value)}")


def _whole(row: Mapping[str, Any], name: str, otherwise: int, least: int, never: int | None = None) -> int:
    value = row.get(name)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST_INTERVALS or value == never:
        raise ValueError(f"its {name} is {shown(value)}")
    return value


def _spacing(value: object) -> Spacing:
    try:
        return Spacing.INTERVALS if value is None else Spacing(str(value))
    except ValueError as error:
        raise ValueError(f"its reportIntervals are {shown(value)}") from error


def _targets(value: object) -> Iterator[str]:
    for target in value if isinstance(value, list) else ():
        if isinstance(target, str):
            yield target
        elif isinstance(target, dict) and isinstance(target.get("values"), list):
            yield from (one for one in target["values"] if isinstance(one, str))
