"""Recorded time as one small document, without names: what a diagnostics download carries and a scenario is made of."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from edge_service.domain.memory import Memory, Track
from edge_service.domain.model import Observation, Settings, SiteFacts, Supply
from edge_service.journal.aliases import without_ids
from edge_service.journal.bounds import (
    LONGEST_PATH,
    MOST_CYCLES,
    OutOfBoundsError,
    Where,
    check,
    check_count,
    check_facts,
    check_known,
    check_moment,
    check_settings,
)
from edge_service.journal.delta import columns, cycles_of, patch
from edge_service.journal.encoding import Change, EncodingError, changes, from_plain, patched, to_plain
from edge_service.journal.recording import KeptStretch, RecordedCycle, kept_stretches, read_stretch
from edge_service.ports import Mark

FORMAT = 1
# What stands for a name that a person gave: site, charger, program, event, storm.
NAMELESS = "(name)"
# A download holds the time around the last mark and the last minutes, 1 MB together at most.
BEFORE_MARK, AFTER_MARK = timedelta(minutes=5), timedelta(minutes=5)
LATELY = timedelta(minutes=10)
MOST_BYTES = 450_000
# A download has a recording in three wrappings.
MOST_WRAPPED = 8
# A scenario lies in the repository for good.
SCENARIO_BYTES = 100_000

# While a vehicle carries the house, what the house drew in past days decides when alarms come.
_CARRIED = (Supply.ISLAND, Supply.VENDOR_BACKUP)

type Cycle = RecordedCycle[Memory]


class ScenarioError(ValueError):
    """A document is no recording, or one that cannot be played; the message says what is wrong with it."""


# ------------------------------------------------------------------------------------------------------------- writing


def document(cycles: Sequence[Cycle], version: str, mark: Mark | None = None) -> dict[str, Any]:
    """Cycles that follow each other, the first with memory, as plain values. Raises ``ScenarioError`` without any."""
    if not cycles or (begins_with := cycles[0].memory) is None:
        raise ScenarioError("nothing is recorded there")
    first, nameless = cycles[0], _Nameless()
    needs_past = any(cycle.decision.get("supply") in _CARRIED for cycle in cycles)

    def memory_of(memory: Memory) -> Any:
        return nameless.of(to_plain(memory if needs_past else _without_past(memory), Memory))

    made = {
        "recorded": FORMAT,
        "made_by": version,
        "mark": None if mark is None else {"at": mark.at.isoformat(), "what": mark.what, "subject": mark.subject},
        "facts": nameless.of(to_plain(first.facts, SiteFacts)),
        "settings": nameless.of(to_plain(first.settings, Settings)),
        "memory": memory_of(begins_with),
        "observation": nameless.of(to_plain(first.observation, Observation)),
        "decision": first.decision,
        "cycles": len(cycles),
        "memories": {
            str(number): memory_of(after.memory)
            for number, (before, after) in enumerate(pairwise(cycles), 1)
            if after.memory is not None and after.memory.at != before.at
        },
        "changes": [
            {"path": list(path), "at": _span([number + 1 for number in numbers]), **_packed(values)}
            for path, numbers, values in columns([_changes(*pair, nameless) for pair in pairwise(cycles)])
        ],
    }
    return without_ids(made)


def _without_past(memory: Memory) -> Memory:
    """The memory without what the house drew in past days.

    That tells when people were at home, and decides nothing but when the alarms before the end of a backup come.
    """
    known = memory.runtime
    load, solar = (replace(track, hours=Track().hours) for track in (known.load, known.solar))
    return replace(memory, runtime=replace(known, load=load, solar=solar))


def _changes(before: Cycle, after: Cycle, nameless: _Nameless) -> list[Change]:
    """All that changed from one cycle to the next, without names."""
    parts: list[tuple[str, list[Change]]] = [
        ("observation", changes(Observation, before.observation, after.observation)),
        ("settings", changes(Settings, before.settings, after.settings)),
        ("facts", changes(SiteFacts, before.facts, after.facts)),
        ("decision", _plain_changes(before.decision, after.decision)),
    ]
    return [((part, *path), nameless.of(value, path)) for part, made in parts for path, value in made]


def _plain_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    return [] if before is after else [((key,), value) for key, value in after.items() if before.get(key) != value]


class _Nameless:
    """Takes out each name that a person or a utility gave. Plans to leave are told apart by theirs: they get others."""

    def __init__(self) -> None:
        self._plans: dict[str, str] = {}

    def of(self, plain: Any, path: Sequence[str | int] = ()) -> Any:
        """A plain value without names; ``path``: where it stands in its part of the document."""
        if isinstance(plain, dict):
            return {key: self.of(value, (*path, key)) for key, value in plain.items()}
        if isinstance(plain, list):
            return [self.of(item, (*path, number)) for number, item in enumerate(plain)]
        if not isinstance(plain, str) or not path:
            return plain
        if path[-1] == "plan_id" or (path[-1] == "id" and path[0] == "departures"):
            return self._plans.setdefault(plain, f"plan_{len(self._plans) + 1}")
        # What an entity of Home Assistant says is in words that somebody chose.
        said = path[0] == "evidence" and path[-1] == "detail" and plain
        return NAMELESS if said or path[-1] == "name" else plain


def _span(numbers: Sequence[int]) -> list[int] | str:
    """Cycles in a row as ``"0-899"``."""
    whole = numbers == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]}-{numbers[-1]}" if whole and len(numbers) > 2 else list(numbers)


def _packed(values: list[Any]) -> dict[str, Any]:
    """Values as they are; times as the first and microseconds from each to the next."""
    moments = [_moment(value) for value in values]
    known = [moment for moment in moments if moment is not None]
    if len(values) < 3 or len(known) != len(values):
        return {"values": values}
    steps = [(after - before) // timedelta(microseconds=1) for before, after in pairwise(known)]
    return {"since": values[0], "us": steps}


def _moment(value: Any) -> datetime | None:
    """A time in UTC that comes back as the same text, else None."""
    try:
        moment = datetime.fromisoformat(value)
    except TypeError, ValueError:
        return None
    return moment if moment.utcoffset() == timedelta(0) and moment.astimezone(UTC).isoformat() == value else None


def text_of(made: Mapping[str, Any]) -> str:
    """The document as a file: what a person looks at first, then one line for each field that changes."""
    lines = [f"  {_json(key)}: {_json(value)}" for key, value in made.items() if key != "changes"]
    changed = ",\n".join(f"    {_json(column)}" for column in made["changes"])
    return "{\n" + ",\n".join([*lines, f'  "changes": [\n{changed}\n  ]']) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


# ------------------------------------------------------------------------------------------------------------- reading


def recorded_cycles(made: Mapping[str, Any]) -> list[Cycle]:
    """The cycles of a document, each one such as an edge could have recorded. Raises ``ScenarioError``."""
    if made.get("recorded") != FORMAT:
        raise ScenarioError(f"found format {made.get('recorded')!r}; this version knows {FORMAT}")
    try:
        return list(_checked(_cycles(made)))
    except OutOfBoundsError as error:
        raise ScenarioError(str(error)) from error
    except (EncodingError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ScenarioError(f"the recording cannot be read: {error!r}") from error


def mark_of(made: Mapping[str, Any]) -> dict[str, str] | None:
    """What a recording is about: ``at``, ``what``, ``subject``. Raises ``ScenarioError``."""
    mark = made.get("mark")
    if mark is None:
        return None
    try:
        texts = {key: mark[key] for key in ("at", "what", "subject")}
        check_moment(("mark", "at"), texts["at"])
    except (LookupError, TypeError) as error:
        raise ScenarioError(f"mark: found {mark!r:.60}; allowed: null, or at, what and subject") from error
    except OutOfBoundsError as error:
        raise ScenarioError(str(error)) from error
    return {key: str(text) for key, text in texts.items()}


def _cycles(made: Mapping[str, Any]) -> Iterator[Cycle]:
    observation = from_plain(Observation, made["observation"])
    settings, facts = from_plain(Settings, made["settings"]), from_plain(SiteFacts, made["facts"])
    memory = from_plain(Memory, made["memory"])
    last: Cycle = RecordedCycle(observation.now, observation, settings, facts, memory, made["decision"])
    yield last
    count = check_count(("cycles",), made["cycles"], 1, MOST_CYCLES)
    turned = [_column(("changes", place), column, count) for place, column in enumerate(made["changes"])]
    _, *following = cycles_of(turned, count)
    for number, changed in enumerate(following, 1):
        kept = made["memories"].get(str(number))
        last = _next(last, changed, None if kept is None else from_plain(Memory, kept))
        yield last


def _column(where: Where, column: Mapping[str, Any], count: int) -> tuple[list[Any], Sequence[int], list[Any]]:
    path, numbers = column["path"], _numbers((*where, "at"), column["at"], count)
    if not isinstance(path, list) or not 2 <= len(path) <= LONGEST_PATH:
        raise OutOfBoundsError((*where, "path"), path, f"2 to {LONGEST_PATH} steps")
    values = _values(where, column)
    if len(values) != len(numbers):
        raise OutOfBoundsError((*where, "values"), f"{len(values)} values", f"as many as cycles: {len(numbers)}")
    return path, numbers, values


def _numbers(where: Where, at: Any, count: int) -> Sequence[int]:
    """The cycles of a change; ``"0-899"`` stays a span, however many columns have it."""
    first, dash, last = at.partition("-") if isinstance(at, str) else ("", "", "")
    if dash and first.isdecimal() and last.isdecimal() and len(first) < 10 and len(last) < 10:
        found: Sequence[int] = range(int(first), int(last) + 1)
        ends = [int(first), int(last)]
    elif isinstance(at, list):
        found = ends = at
    else:
        raise OutOfBoundsError(where, at, 'a list of cycles, or a span such as "0-899"')
    for number in ends:
        check_count(where, number, 0, count - 1)
    return found


def _values(where: Where, column: Mapping[str, Any]) -> list[Any]:
    if "values" in column:
        return list(column["values"])
    moments = [check_moment((*where, "since"), column["since"])]
    for step in column["us"]:
        try:
            moments.append(moments[-1] + timedelta(microseconds=step))
        except (OverflowError, TypeError, ValueError) as error:
            raise OutOfBoundsError((*where, "us"), step, "microseconds to the next time") from error
    return [moment.isoformat() for moment in moments]


def _checked(cycles: Iterable[Cycle]) -> Iterator[Cycle]:
    """Each cycle once nothing in it is out of bounds; what is the same object was looked at already."""
    before: Cycle | None = None
    for cycle in cycles:
        _check_cycle(cycle, before)
        before = cycle
        yield cycle


def _check_cycle(cycle: Cycle, before: Cycle | None) -> None:
    if before is None or cycle.facts is not before.facts:
        check_facts(cycle.facts)
    if before is None or cycle.settings is not before.settings:
        check_settings(cycle.settings)
    if cycle.memory is not None:
        check(("memory",), cycle.memory, {})
        former = cycle.memory.island.former
        check_known(("memory", "island", "former"), () if former is None else (former,), cycle.facts)
    for item in fields(Observation):
        value = getattr(cycle.observation, item.name)
        if before is None or value is not getattr(before.observation, item.name):
            check(("observation", item.name), value, {})
    check_known(("observation", "chargers"), cycle.observation.chargers, cycle.facts)
    if not isinstance(cycle.decision, Mapping):
        raise OutOfBoundsError(("decision",), cycle.decision, "an object")


def _next(last: Cycle, changed: list[Change], memory: Memory | None) -> Cycle:
    parts: dict[str, list[Change]] = {"observation": [], "settings": [], "facts": [], "decision": []}
    for (part, *path), value in changed:
        parts[str(part)].append((tuple(path), value))
    observation = patched(Observation, last.observation, parts["observation"])
    settings, facts = (
        patched(Settings, last.settings, parts["settings"]),
        patched(SiteFacts, last.facts, parts["facts"]),
    )
    return RecordedCycle(observation.now, observation, settings, facts, memory, patch(last.decision, parts["decision"]))


def documents_in(plain: Any, within: int = MOST_WRAPPED) -> list[Mapping[str, Any]]:
    """The recordings in a file: a scenario, an export, or a diagnostics download of Home Assistant around one."""
    if not isinstance(plain, dict) or not within:
        return []
    if "recorded" in plain:
        return [plain]
    if isinstance(listed := plain.get("recordings"), list):
        return [found for item in listed for found in documents_in(item, within - 1)]
    return documents_in(plain.get("recording") or plain.get("data"), within - 1)


# ------------------------------------------------------------------------------------------------------------- cutting


def cut(cycles: Sequence[Cycle], start: datetime, end: datetime) -> list[Cycle]:
    """What lies in [start, end), from the last cycle at or before ``start`` whose memory is known."""
    begins = 0
    for number, cycle in enumerate(cycles):
        if cycle.memory is not None and (cycle.at <= start or cycles[begins].memory is None):
            begins = number
    return [cycle for cycle in cycles[begins:] if cycle.at < end]


def fitted(
    cycles: Sequence[Cycle], focus: datetime, most_bytes: int, make: Callable[[Sequence[Cycle]], dict[str, Any]]
) -> dict[str, Any]:
    """The document of as many cycles around ``focus`` as ``most_bytes`` hold; at least those of its keyframe."""
    made = make(cycles)
    around = max(abs(cycles[0].at - focus), abs(cycles[-1].at - focus))
    while len(text_of(made).encode()) > most_bytes:
        around /= 2
        fewer = cut(cycles, focus - around, focus + around)
        if not fewer or len(fewer) == len(cycles):
            break
        cycles = fewer
        made = make(cycles)
    return made


@dataclass(frozen=True, slots=True)
class _Window:
    start: datetime
    end: datetime
    focus: datetime
    mark: Mark | None


def export(folder: Path, now: datetime, version: str) -> str:
    """JSON of the time around the last mark and the last minutes: what someone who reports a problem sends along.

    Raises ``JournalError``.
    """
    found = []
    for window in _windows(last_mark(kept_stretches(folder)), now):
        cycles = cut(list(read_stretch(folder, window.start, window.end, Memory)), window.start, window.end)
        if cycles and cycles[0].memory is not None:
            make = partial(document, version=version, mark=window.mark)
            found.append(fitted(cycles, window.focus, MOST_BYTES, make))
    return _json({"recordings": found})


def last_mark(stretches: Iterable[KeptStretch]) -> Mark | None:
    """What was marked last."""
    return max((mark for stretch in stretches for mark in stretch.marks), key=lambda mark: mark.at, default=None)


def _windows(mark: Mark | None, now: datetime) -> list[_Window]:
    end = now + timedelta(seconds=1)
    if mark is None or mark.at > now:
        return [_Window(now - LATELY, end, now, None)]
    if now - mark.at <= LATELY:
        return [_Window(mark.at - BEFORE_MARK, end, mark.at, mark)]
    around = _Window(mark.at - BEFORE_MARK, mark.at + AFTER_MARK, mark.at, mark)
    return [around, _Window(now - LATELY, end, now, None)]
