"""Decide recorded time again: the same inputs must give the same decisions, or the difference is shown."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from edge_service.domain.decide import decide
from edge_service.domain.memory import Memory
from edge_service.domain.model import Settings
from edge_service.domain.policies import LADDER
from edge_service.domain.policy import Rung
from edge_service.journal.digest import Digest, digest
from edge_service.journal.encoding import EncodingError, from_plain, to_plain
from edge_service.journal.recording import RecordedCycle, read_part

# A difference that is gone for this long and comes again is told again: longer than a keyframe is away.
RUN_ENDS_AFTER = timedelta(minutes=2)


class WhatIfError(ValueError):
    """A setting to be tried out is none, or its value does not fit; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where today's code decides otherwise: what was, what would be."""

    at: datetime
    what: str
    recorded: Any
    today: Any


@dataclass(slots=True)
class Run:
    """A difference that lasts: its first cycle, how many there are, and when the last was."""

    first: Difference
    cycles: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Settings as they were, but for some. ``wishes``: what to change, as the plain form of ``Settings`` has it."""

    wishes: Mapping[tuple[str, ...], Any] = field(default_factory=dict)

    @classmethod
    def of(cls, words: Iterable[str], parse: Any) -> Self:
        """From ``backup_reserve_pct=50`` and ``drivers_reserve_pct.car=40``; ``parse`` reads a value or gives the text.

        Raises ``WhatIfError``.
        """
        wishes: dict[tuple[str, ...], Any] = {}
        for word in words:
            name, given, value = word.partition("=")
            if not given:
                raise WhatIfError(f"found {word}; allowed: a setting and its value, such as backup_reserve_pct=50")
            wishes[tuple(name.split("."))] = parse(value)
        made = cls(wishes)
        made.settings(Settings())
        return made

    def settings(self, recorded: Settings) -> Settings:
        """What would have stood. Raises ``WhatIfError``."""
        plain = to_plain(recorded, Settings)
        for path, value in self.wishes.items():
            if path[0] not in plain:
                raise WhatIfError(f"there is no setting {path[0]}; there are {', '.join(plain)}")
            _put(plain, path, value)
        try:
            return from_plain(Settings, plain)
        except EncodingError as error:
            raise WhatIfError(f"this value is not allowed: {error}") from error


def _put(plain: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *above, name = path
    node: Any = plain
    for key in above:
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        raise WhatIfError(f"{'.'.join(above)} holds nothing named {name}")
    node[name] = value


@dataclass(slots=True)
class Replay:
    """Decides recorded cycles again and counts them. ``ladder``: the policies to be tried; ``what_if``: settings.

    After a difference the recorded memory of the next keyframe is taken, so that one difference is told once; under a
    what-if the memory goes on by itself, since there everything that follows is the answer.
    """

    ladder: tuple[Rung, ...] = LADDER
    what_if: WhatIf | None = None
    cycles: int = 0
    skipped: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    _memory: Memory | None = None
    _differed: bool = False
    _settings: tuple[Settings, Settings] | None = None
    _known: tuple[Mapping[str, Any], Digest, list[tuple[str, Any, Any]]] | None = None

    def all(self, cycles: Iterable[RecordedCycle[Memory]]) -> Iterator[tuple[RecordedCycle[Memory], Digest]]:
        """Each cycle that can be decided again, with what is decided today."""
        for cycle in cycles:
            today = self.again(cycle)
            if today is not None:
                yield cycle, today

    def again(self, cycle: RecordedCycle[Memory]) -> Digest | None:
        """What is decided today; None while no memory is known to start from."""
        if cycle.memory is not None and self._takes(cycle.memory):
            self._memory, self._differed = cycle.memory, False
        if self._memory is None:
            self.skipped += 1
            return None
        decision = decide(cycle.observation, self._memory, self._settings_of(cycle), cycle.facts, self.ladder)
        self._memory = decision.memory
        self.cycles += 1
        self.first_at = self.first_at or cycle.at
        self.last_at = cycle.at
        return digest(decision)

    def _takes(self, recorded: Memory) -> bool:
        """Where the recorded memory counts: at the first, after a difference, a restart, or a clock that was set."""
        if self._memory is None or recorded.at != self._memory.at:
            return True
        return self._differed and self.what_if is None

    def _settings_of(self, cycle: RecordedCycle[Memory]) -> Settings:
        if self.what_if is None:
            return cycle.settings
        if self._settings is None or self._settings[0] is not cycle.settings:
            self._settings = (cycle.settings, self.what_if.settings(cycle.settings))
        return self._settings[1]

    def compare(self, cycle: RecordedCycle[Memory], today: Digest) -> list[Difference]:
        """Where ``today`` is not what was recorded."""
        if self._known is None or self._known[0] is not cycle.decision or self._known[1] != today:
            found = list(differing(cycle.decision, to_plain(today, Digest)))
            self._known = cycle.decision, today, found
        self._differed = self._differed or bool(self._known[2])
        return [Difference(cycle.at, *one) for one in self._known[2]]


def differing(recorded: Mapping[str, Any], today: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What is not the same, of what was recorded; an entry of its own for each charger and event."""
    for what, was in recorded.items():
        now = today.get(what)
        if was == now or what not in today:
            continue
        if what in _BY_NAME and isinstance(was, Mapping) and isinstance(now, Mapping):
            names = [*was, *(name for name in now if name not in was)]
            yield from ((f"{what}.{n}", was.get(n), now.get(n)) for n in names if was.get(n) != now.get(n))
        else:
            yield what, was, now


_BY_NAME = frozenset({"orders", "adjusted", "events"})


def differences(cycles: Iterable[RecordedCycle[Memory]], replay: Replay) -> Iterator[Difference]:
    """Decide each recorded cycle again and give what differs."""
    for cycle, today in replay.all(cycles):
        yield from replay.compare(cycle, today)


def runs(found: Iterable[Difference]) -> list[Run]:
    """Differences that last told once, in the order in which they began."""
    return joined(Run(difference, 1, difference.at) for difference in found)


def joined(found: Iterable[Run]) -> list[Run]:
    """Runs of the same that follow each other closely made one."""
    told: list[Run] = []
    open_runs: dict[str, Run] = {}
    for piece in found:
        run = open_runs.get(piece.first.what)
        if run is None or piece.first.at - run.last_at > RUN_ENDS_AFTER:
            open_runs[piece.first.what] = Run(piece.first, piece.cycles, piece.last_at)
            told.append(open_runs[piece.first.what])
        else:
            run.cycles += piece.cycles
            run.last_at = piece.last_at
    return told


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of a replay, or of a part of one."""

    runs: list[Run]
    cycles: int
    skipped: int
    first_at: datetime | None
    last_at: datetime | None


def tally(cycles: Iterable[RecordedCycle[Memory]], replay: Replay) -> Tally:
    """Decide cycles again and sum up."""
    found = runs(differences(cycles, replay))
    return Tally(found, replay.cycles, replay.skipped, replay.first_at, replay.last_at)


def tally_part(folder: Path, part: tuple[int, int], end: datetime) -> Tally:
    """One of ``keyframed_parts`` decided again from the memory that was recorded at its start."""
    return tally(read_part(folder, part, end, Memory), Replay())


def summed(tallies: Iterable[Tally]) -> Tally:
    """Parts of one replay, in order, put together."""
    parts = [one for one in tallies if one.cycles or one.skipped]
    times = [(one.first_at, one.last_at) for one in parts if one.cycles]
    return Tally(
        joined(run for one in parts for run in one.runs),
        sum(one.cycles for one in parts),
        sum(one.skipped for one in parts),
        times[0][0] if times else None,
        times[-1][1] if times else None,
    )
