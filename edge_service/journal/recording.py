"""The recording of control cycles for replay, and the minute rows: ``telemetry.db``.

A keyframe holds everything a decision needs, memory too; the cycles after it hold only what changed. The process may
lose the last seconds of a recording; orders and events are in ``journal.db``.
"""

import json
import logging
import sqlite3
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from edge_service.domain.decide import Decision
from edge_service.domain.model import Observation, Settings, SiteFacts
from edge_service.journal import seals
from edge_service.journal.database import Database, JournalError, Layout, time_text, transaction
from edge_service.journal.delta import columns, cycles_of, patch
from edge_service.journal.digest import Digest, digest
from edge_service.journal.encoding import Change, changes, from_plain, patched, to_plain
from edge_service.journal.keeping import (
    DISK_LEFT_BYTES,
    KEPT_BYTES,
    ROOM_WITHIN_BYTES,
    MarkBudget,
    free_bytes,
    room_within,
    shrink,
)
from edge_service.ports import Mark

_LOGGER = logging.getLogger(__name__)

FILE = "telemetry.db"
RECORDING_KEPT = timedelta(days=7)
# Three program seasons: what a later plan or a disputed bill may look at. 72 MB a year with one charger.
MINUTES_KEPT = timedelta(days=1100)
KEYFRAME_EVERY = 60
# That many cycles take no longer than this; a keyframe from further back belongs to something else.
KEYFRAME_WITHIN = timedelta(minutes=15)
WRITE_EVERY = 10
# Ten minutes of cycles at one a second: a disk that stands still longer loses the recording, not the control.
BUFFER_AT_MOST = 600
# Marks that wait for the disk. A mark is a hundred bytes; a fault that comes and goes all day must not fill memory.
MARKS_AT_MOST = 1000
TIDY_EVERY = timedelta(hours=1)

LAYOUT = Layout(
    steps=(
        """
        CREATE TABLE stretch (id INTEGER PRIMARY KEY, first_at TEXT NOT NULL, last_at TEXT NOT NULL,
                              keyframe INTEGER NOT NULL, body BLOB NOT NULL);
        CREATE INDEX stretch_age ON stretch (last_at);
        CREATE TABLE kept (first_at TEXT NOT NULL, last_at TEXT NOT NULL);
        CREATE TABLE minute (at TEXT PRIMARY KEY, grid_w REAL, house_w REAL, more TEXT NOT NULL) WITHOUT ROWID
        """,
        # Recordings of the first layout cannot be read any more; minute rows stay.
        """
        DELETE FROM stretch;
        DROP TABLE kept;
        CREATE TABLE kept (id INTEGER PRIMARY KEY, at TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL,
                           first_at TEXT NOT NULL, last_at TEXT NOT NULL, UNIQUE (at, what, subject))
        """,
        seals.STEP,
    ),
    synchronous="NORMAL",
)


@dataclass(frozen=True, slots=True)
class KeptStretch:
    """What is kept in one piece, for one mark or several that lie close; ``number`` stays the same over its life."""

    number: int
    start: datetime
    end: datetime
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class RecordedCycle[M]:
    """One cycle as it was. ``memory`` (before the decision) is known at keyframes only; a replay starts at one.

    ``decision``: the plain form of its ``Digest``. What did not change since the cycle before is the same object.
    """

    at: datetime
    observation: Observation
    settings: Settings
    facts: SiteFacts
    memory: M | None
    decision: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Cycle:
    observation: Observation
    memory: Any
    settings: Settings
    facts: SiteFacts
    decision: Decision
    marked: bool


@dataclass(frozen=True, slots=True)
class _Last:
    """What the cycle before left, on the writing thread."""

    cycle: _Cycle
    digest: Digest
    since_keyframe: int


@dataclass(slots=True)
class _Row:
    """Some cycles in a row: the first of a keyframe, or none of it, and what changed in the others."""

    key: dict[str, Any] | None
    changes: list[list[Change]] = field(default_factory=list)
    times: list[str] = field(default_factory=list)

    def values(self) -> tuple[str, str, bool, bytes]:
        body = {"key": self.key, "count": len(self.changes), "changes": columns(self.changes)}
        packed = zlib.compress(_json(body).encode())
        return min(self.times), max(self.times), self.key is not None, packed


@dataclass(slots=True)
class _Batch:
    cycles: list[_Cycle]
    marks: list[Mark]
    minutes: list[seals.MinuteRow]


class CycleRecorder:
    """Takes cycles without waiting and writes them on a thread of its own. ``lost`` counts what could not be kept.

    ``kept_bytes``: what is kept for good takes no more. ``disk_left``: bytes left on the disk.
    """

    def __init__(
        self,
        folder: Path,
        keyframe_every: int = KEYFRAME_EVERY,
        write_every: int = WRITE_EVERY,
        kept_bytes: int = KEPT_BYTES,
        disk_left: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._folder = folder
        self._kept_bytes, self._disk_left = kept_bytes, disk_left
        self._budget = MarkBudget()
        self._has_room = True
        self._database = Database(folder / FILE, LAYOUT)
        self._keyframe_every = keyframe_every
        self._write_every = write_every
        self._cycles: deque[_Cycle] = deque()
        self._marks: deque[Mark] = deque(maxlen=MARKS_AT_MOST)
        self._minutes: list[seals.MinuteRow] = []
        self._sealed_on = ""
        self._writing: Future[None] | None = None
        self._last: _Last | None = None
        self._tidied_at: datetime | None = None
        self.lost = 0

    @classmethod
    async def open(
        cls,
        folder: Path,
        keyframe_every: int = KEYFRAME_EVERY,
        write_every: int = WRITE_EVERY,
        kept_bytes: int = KEPT_BYTES,
        disk_left: Callable[[Path], int] = free_bytes,
    ) -> Self:
        """Open or make ``folder/telemetry.db``; a damaged file is moved aside. Raises ``JournalError``."""
        recorder = cls(folder, keyframe_every, write_every, kept_bytes, disk_left)
        try:
            await recorder._database.open()
            recorder._budget = MarkBudget(await recorder._database.run(_known_marks))
        except BaseException:
            await recorder._database.close()
            raise
        return recorder

    def add(
        self,
        observation: Observation,
        memory_before: Any,
        settings: Settings,
        facts: SiteFacts,
        decision: Decision,
        marks: Sequence[Mark] = (),
    ) -> None:
        """Take one cycle. Never waits and never raises; everything given must be immutable.

        A cycle with ``marks`` that are kept gets a keyframe, and is written at once together with them.
        """
        marks = self.keep(marks)
        if len(self._cycles) >= BUFFER_AT_MOST:
            self.lost += 1
            return
        marked = self._budget.keyframe(marks, observation.now)
        self._cycles.append(_Cycle(observation, memory_before, settings, facts, decision, marked))
        if marks or len(self._cycles) >= self._write_every:
            self._write_soon()

    def keep(self, marks: Sequence[Mark]) -> Sequence[Mark]:
        """Keep the recording around these for good: written with the next cycles, again and again until it is.

        Returns those that are kept: of what comes again and again only some.
        """
        granted = self._budget.granted(marks)
        self._marks.extend(granted)
        return granted

    def add_minute(self, at: datetime, values: Mapping[str, Any]) -> None:
        """Take the row of one minute: ``grid_w``, ``house_w`` and any others, such as ``charger.power_w``."""
        more = {name: value for name, value in values.items() if name not in ("grid_w", "house_w")}
        self._minutes.append((time_text(at), values.get("grid_w"), values.get("house_w"), _json(more)))
        del self._minutes[:-BUFFER_AT_MOST]
        self._write_soon()

    async def minutes(self, start: datetime, end: datetime) -> dict[datetime, dict[str, Any]]:
        """The minute rows that touch [start, end), those just taken too, by their time. Raises ``JournalError``."""
        await self.flush()
        first = start.replace(second=0, microsecond=0)

        def read(connection: sqlite3.Connection) -> list[tuple[str, float | None, float | None, str]]:
            query = "SELECT at, grid_w, house_w, more FROM minute WHERE at >= ? AND at < ? ORDER BY at"
            return connection.execute(query, (time_text(first), time_text(end))).fetchall()

        rows = await self._database.run(read)
        return {_moment(at): {"grid_w": grid, "house_w": house, **json.loads(more)} for at, grid, house, more in rows}

    async def flush(self) -> None:
        """Return when everything taken so far is written. Raises ``JournalError``."""
        batch = self._take()
        await self._database.run(lambda connection: self._write(connection, batch))

    async def close(self) -> None:
        """Write what is left, as far as the disk lets us, and close the file."""
        try:
            await self.flush()
        except JournalError as error:
            _LOGGER.warning("The end of the recording is lost: %s", error)
        await self._database.close()

    def _write_soon(self) -> None:
        if self._writing is not None and not self._writing.done():
            return
        batch = self._take()
        self._writing = self._database.submit(lambda connection: self._write(connection, batch))
        self._writing.add_done_callback(_report)

    def _take(self) -> _Batch:
        # One by one: the writing thread may be putting marks back that it could not write.
        marks = [self._marks.popleft() for _ in range(len(self._marks))]
        batch = _Batch(list(self._cycles), marks, self._minutes)
        self._cycles.clear()
        self._minutes = []
        return batch

    # ------------------------------------------------------------------------------------------ on the writing thread

    def _write(self, connection: sqlite3.Connection, batch: _Batch) -> None:
        try:
            rows = [row.values() for row in self._rows(self._recorded(connection, batch.cycles))]
            with transaction(connection):
                connection.executemany(
                    "INSERT INTO stretch (first_at, last_at, keyframe, body) VALUES (?, ?, ?, ?)", rows
                )
                connection.executemany("INSERT OR REPLACE INTO minute VALUES (?, ?, ?, ?)", batch.minutes)
                sealed_on = self._sealed(connection, batch.minutes)
                connection.executemany(
                    "INSERT OR IGNORE INTO kept (at, what, subject, first_at, last_at) VALUES (?, ?, ?, ?, ?)",
                    [_kept(connection, mark) for mark in batch.marks],
                )
        except BaseException:
            self.lost += len(batch.cycles)
            self._marks.extendleft(reversed(batch.marks))
            self._last = None  # cycles are missing from here, so the next one must stand by itself
            raise
        self._sealed_on = sealed_on
        if batch.cycles:
            self._tidy_if_due(connection, batch.cycles[-1].observation.now)

    def _sealed(self, connection: sqlite3.Connection, minutes: Sequence[seals.MinuteRow]) -> str:
        """Seal the days that are over, with the first row of another day and of a run. Returns the day that runs."""
        if not minutes:
            return self._sealed_on
        seals.note(connection, minutes)
        newest = minutes[-1][0]
        if newest[: seals.DAY] != self._sealed_on:
            seals.seal_days(connection, newest)
        return newest[: seals.DAY]

    def _recorded(self, connection: sqlite3.Connection, cycles: list[_Cycle]) -> list[_Cycle]:
        """The cycles, none while the disk is nearly full: the journal needs what is left."""
        has_room = self._disk_left(self._folder) >= DISK_LEFT_BYTES or room_within(connection) >= ROOM_WITHIN_BYTES
        if has_room is not self._has_room:
            self._has_room = has_room
            _LOGGER.log(
                logging.WARNING if has_room else logging.ERROR,
                "The recording goes on" if has_room else "The disk is nearly full: nothing is recorded; make room",
            )
        if has_room:
            return cycles
        self.lost += len(cycles)
        self._last = None
        return []

    def _rows(self, cycles: list[_Cycle]) -> list[_Row]:
        """Cycles in rows; a keyframe always begins one."""
        rows: list[_Row] = []
        for cycle in cycles:
            last, now = self._last, digest(cycle.decision)
            if last is None or self._needs_keyframe(last, cycle):
                rows.append(_Row(_keyframe(cycle, now)))
                self._last = _Last(cycle, now, 1)
            else:
                if not rows:
                    rows.append(_Row(None))
                rows[-1].changes.append(_changed(last, cycle, now))
                self._last = _Last(cycle, now, last.since_keyframe + 1)
            rows[-1].times.append(time_text(cycle.observation.now))
        return rows

    def _needs_keyframe(self, last: _Last, cycle: _Cycle) -> bool:
        """Now and then, at a mark, and wherever a replay could not go on by itself."""
        return (
            last.since_keyframe >= self._keyframe_every
            or cycle.marked
            or (cycle.settings is not last.cycle.settings and cycle.settings != last.cycle.settings)
            or (cycle.facts is not last.cycle.facts and cycle.facts != last.cycle.facts)
            or cycle.memory is not last.cycle.decision.memory
        )

    def _tidy_if_due(self, connection: sqlite3.Connection, now: datetime) -> None:
        if self._tidied_at is not None and abs(now - self._tidied_at) < TIDY_EVERY:
            return
        # What was kept when it came of age stays kept: only what came of age since is looked at.
        looked_at = "" if self._tidied_at is None else time_text(self._tidied_at - RECORDING_KEPT)
        self._tidied_at = now
        with transaction(connection):
            connection.execute(
                "DELETE FROM stretch WHERE last_at >= ? AND last_at < ? AND NOT EXISTS (SELECT 1 FROM kept WHERE "
                "kept.first_at <= stretch.last_at AND kept.last_at >= stretch.first_at)",
                (looked_at, time_text(now - RECORDING_KEPT)),
            )
            shrink(connection, time_text(now - RECORDING_KEPT), self._kept_bytes)
            # Whole days, as they are sealed.
            connection.execute("DELETE FROM minute WHERE at < ?", (time_text(now - MINUTES_KEPT)[: seals.DAY],))


def _report(writing: Future[None]) -> None:
    if not writing.cancelled() and (error := writing.exception()) is not None:
        _LOGGER.warning("A piece of the recording is lost: %s", error)


def _keyframe(cycle: _Cycle, decided: Digest) -> dict[str, Any]:
    return {
        "observation": to_plain(cycle.observation, Observation),
        "decision": to_plain(decided, Digest),
        "memory": to_plain(cycle.memory),
        "settings": to_plain(cycle.settings, Settings),
        "facts": to_plain(cycle.facts, SiteFacts),
    }


def _changed(last: _Last, cycle: _Cycle, decided: Digest) -> list[Change]:
    seen = changes(Observation, last.cycle.observation, cycle.observation)
    done = changes(Digest, last.digest, decided)
    return [(("observation", *path), value) for path, value in seen] + [
        (("decision", *path), value) for path, value in done
    ]


def _kept(connection: sqlite3.Connection, mark: Mark) -> tuple[str, str, str, str, str]:
    """The row of a mark. It begins at a keyframe: a stretch must stand by itself once the ring around it is gone."""
    start = time_text(mark.start)
    key = connection.execute(
        "SELECT max(first_at) FROM stretch WHERE keyframe AND first_at BETWEEN ? AND ?",
        (time_text(mark.start - KEYFRAME_WITHIN), start),
    ).fetchone()
    return time_text(mark.at), mark.what, mark.subject, key[0] or start, time_text(mark.end)


def _known_marks(connection: sqlite3.Connection) -> list[tuple[datetime, str, str]]:
    """Kinds, subjects and times of the last marks: enough of them for a day of any site."""
    rows = connection.execute("SELECT at, what, subject FROM kept ORDER BY at DESC LIMIT ?", (MARKS_AT_MOST,))
    return [(datetime.fromisoformat(at), what, subject) for at, what, subject in rows]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


# ------------------------------------------------------------------------------------------------------------- reading


def read_stretch[M](folder: Path, start: datetime, end: datetime, memory: type[M]) -> Iterator[RecordedCycle[M]]:
    """The cycles recorded in [start, end), from the last keyframe at or before ``start`` on, in order.

    Opens the file for reading only, so it may be called beside a running edge. Raises ``JournalError``.
    """
    with _reading(folder) as connection:
        span = _ids_between(connection, time_text(start), time_text(end))
        yield from _cycles_of(connection, span, end, memory)


def keyframed_parts(folder: Path, start: datetime, end: datetime, least: int) -> list[tuple[int, int]]:
    """Where [start, end) can be cut: rows from ... to, each part with ``least`` keyframes or more, one at its start.

    Raises ``JournalError``.
    """
    with _reading(folder) as connection:
        first, last = _ids_between(connection, time_text(start), time_text(end))
        found = connection.execute(
            "SELECT id FROM stretch WHERE keyframe AND id BETWEEN ? AND ? ORDER BY id", (first, last)
        ).fetchall()
    begins = [number for (number,) in found[::least]]
    return [(begin, next_one - 1) for begin, next_one in pairwise([*begins, last + 1])]


def read_part[M](folder: Path, part: tuple[int, int], end: datetime, memory: type[M]) -> Iterator[RecordedCycle[M]]:
    """The cycles of one of ``keyframed_parts``, those before ``end``. Raises ``JournalError``."""
    with _reading(folder) as connection:
        yield from _cycles_of(connection, part, end, memory)


def _cycles_of[M](
    connection: sqlite3.Connection, span: tuple[int, int], end: datetime, memory: type[M]
) -> Iterator[RecordedCycle[M]]:
    for cycle in _rebuild(_rows(connection, span), memory):
        if cycle.at < end:
            yield cycle


def kept_stretches(folder: Path) -> list[KeptStretch]:
    """What is kept for good, oldest first. Raises ``JournalError``."""
    with _reading(folder) as connection:
        rows = connection.execute(
            "SELECT id, at, what, subject, first_at, last_at FROM kept ORDER BY first_at, id"
        ).fetchall()
    stretches: list[KeptStretch] = []
    for number, at, what, subject, *span in rows:
        mark = Mark(_moment(at), what, subject, *map(_moment, span))
        if stretches and mark.start <= stretches[-1].end:
            stretches.append(_joined(stretches.pop(), number, mark))
        else:
            stretches.append(KeptStretch(number, mark.start, mark.end, (mark,)))
    return stretches


def _joined(stretch: KeptStretch, number: int, mark: Mark) -> KeptStretch:
    marks = tuple(sorted((*stretch.marks, mark), key=lambda one: one.at))
    return KeptStretch(min(stretch.number, number), stretch.start, max(stretch.end, mark.end), marks)


@contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection]:
    path = folder / FILE
    if not path.exists():
        raise JournalError(f"no recording at {path}")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(LAYOUT.steps):
                raise JournalError(f"{FILE} was written by a newer Ridethrough (schema {version})")
            if version < len(LAYOUT.steps):
                raise JournalError(f"{FILE} was written by an older Ridethrough; start the edge once to bring it up")
            yield connection
    except (sqlite3.Error, zlib.error, ValueError, LookupError, TypeError) as error:
        raise JournalError(f"{path}: {error}") from error


def _ids_between(connection: sqlite3.Connection, start: str, end: str) -> tuple[int, int]:
    """The rows that hold [start, end), from the last keyframe at or before ``start``."""
    first = "SELECT coalesce(max(id), 0) FROM stretch WHERE keyframe AND first_at <= ?"
    last = "SELECT coalesce(max(id), 0) FROM stretch WHERE first_at < ? AND last_at >= ?"
    return connection.execute(first, (start,)).fetchone()[0], connection.execute(last, (end, start)).fetchone()[0]


def _rows(connection: sqlite3.Connection, span: tuple[int, int]) -> Iterator[dict[str, Any] | None]:
    """The bodies of rows; None where one is missing in between."""
    before = None
    for number, body in connection.execute("SELECT id, body FROM stretch WHERE id BETWEEN ? AND ? ORDER BY id", span):
        if before is not None and number != before + 1:
            yield None
        before = number
        yield json.loads(zlib.decompress(body))


def _rebuild[M](rows: Iterator[dict[str, Any] | None], memory: type[M]) -> Iterator[RecordedCycle[M]]:
    """Cycles from rows. Changes that have no keyframe to stand on are passed over."""
    last: RecordedCycle[M] | None = None
    for row in rows:
        if row is None:
            last = None
            continue
        if row["key"] is not None:
            last = _first(row["key"], memory, last)
            yield last
        if last is None:
            continue
        for made in cycles_of(row["changes"], row["count"]):
            last = _next(last, made)
            yield last


def _first[M](key: dict[str, Any], memory: type[M], before: RecordedCycle[M] | None) -> RecordedCycle[M]:
    """The cycle of a keyframe. Settings and facts that are as before are the same objects."""
    observation = from_plain(Observation, key["observation"])
    settings, facts = from_plain(Settings, key["settings"]), from_plain(SiteFacts, key["facts"])
    if before is not None:
        settings = before.settings if settings == before.settings else settings
        facts = before.facts if facts == before.facts else facts
    remembered = from_plain(memory, key["memory"])
    return RecordedCycle(observation.now, observation, settings, facts, remembered, key["decision"])


def _next[M](last: RecordedCycle[M], made: list[Change]) -> RecordedCycle[M]:
    """The cycle after ``last``. Raises ``EncodingError``."""
    parts: dict[str, list[Change]] = {"observation": [], "decision": []}
    for (part, *path), value in made:
        parts[str(part)].append((tuple(path), value))
    observation = patched(Observation, last.observation, parts["observation"])
    decision = patch(last.decision, parts["decision"]) if parts["decision"] else last.decision
    return RecordedCycle(observation.now, observation, last.settings, last.facts, None, decision)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
