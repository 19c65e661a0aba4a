"""Decide recorded time again: the same inputs must give the same decisions, or the difference is shown."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import Memory
from edge_service.journal.encoding import to_plain
from edge_service.journal.recording import RecordedCycle


@dataclass(frozen=True, slots=True)
class Difference:
    """Where today's code decides otherwise: what was, what would be."""

    at: datetime
    what: str
    recorded: Any
    today: Any


@dataclass(slots=True)
class Replay:
    """Counts what was decided again."""

    cycles: int = 0
    skipped: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


def digest(decision: Decision) -> Mapping[str, Any]:
    """What counts of a decision, in plain values."""
    return {
        "grid": decision.grid.value,
        "supply": decision.supply.value,
        "islanding": decision.memory.island.step.value,
        "switch": decision.switch.value if decision.switch else None,
        "reason": decision.reason,
        "adjusted": dict(decision.adjusted),
        "orders": {name: _order(order) for name, order in decision.orders.items()},
        "events": {uid: account.stage.value for uid, account in decision.memory.events.items()},
        "happenings": [happening.kind for happening in decision.happenings],
    }


def _order(order: Any) -> dict[str, Any]:
    return {"kind": type(order).__name__, **to_plain(order, type(order))}


def differences(cycles: Iterable[RecordedCycle[Memory]], replay: Replay) -> Iterator[Difference]:
    """Decide each recorded cycle again. Memory is taken from the first keyframe, then carried by today's code.

    After a difference the recorded memory of the next keyframe is taken, so that one difference is told once.
    """
    memory: Memory | None = None
    differed = False
    for cycle in cycles:
        if cycle.memory is not None and (memory is None or differed or _restarted(memory, cycle)):
            memory, differed = cycle.memory, False
        if memory is None:
            replay.skipped += 1
            continue
        decision = decide(cycle.observation, memory, cycle.settings, cycle.facts)
        memory = decision.memory
        _count(replay, cycle)
        found = list(_compare(cycle, digest(decision)))
        differed = differed or bool(found)
        yield from found


def _restarted(memory: Memory, cycle: RecordedCycle[Memory]) -> bool:
    """The edge was started anew here: its memory went on from what a restart leaves."""
    recorded = cycle.memory
    return recorded is not None and recorded.at != memory.at


def _count(replay: Replay, cycle: RecordedCycle[Memory]) -> None:
    replay.cycles += 1
    replay.first_at = replay.first_at or cycle.at
    replay.last_at = cycle.at


def _compare(cycle: RecordedCycle[Memory], today: Mapping[str, Any]) -> Iterator[Difference]:
    for what, value in today.items():
        recorded = cycle.decision.get(what)
        if recorded != value:
            yield Difference(cycle.at, what, recorded, value)
