"""The recording of control cycles for replay, and the minute rows: ``telemetry.db``.

A keyframe holds everything a decision needs; the cycles after it hold only what changed. The process may lose the last
seconds of a recording; orders and events are in ``journal.db``.
"""

import json
import logging
import sqlite3
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from edge_service.domain.model import Observation, Settings, SiteFacts
from edge_service.journal.database import Database, JournalError, Layout, transaction
from edge_service.journal.delta import difference, patch
from edge_service.journal.encoding import EncodingError, from_plain, to_plain

_LOGGER = logging.getLogger(__name__)

FILE = "telemetry.db"
RECORDING_KEPT = timedelta(days=7)
# Three program seasons: what a later plan or a disputed bill may look at. About 53 MB a year.
MINUTES_KEPT = timedelta(days=1100)
KEYFRAME_EVERY = 60
WRITE_EVERY = 10
# Ten minutes of cycles at one a second: a disk that stands still longer loses the recording, not the control.
BUFFER_AT_MOST = 600
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
    ),
    synchronous="NORMAL",
)


@dataclass(frozen=True, slots=True)
class RecordedCycle[M]:
    """One cycle as it was. ``memory`` (before the decision) is known at keyframes only; a replay starts at one."""

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
    decision: Mapping[str, Any]


@dataclass(slots=True)
class _Last:
    """What the cycle before left, on the writing thread."""

    tree: Any
    settings: Settings
    facts: SiteFacts
    since_keyframe: int


class CycleRecorder:
    """Takes cycles without waiting and writes them on a thread of its own. ``lost`` counts what could not be kept."""

    def __init__(self, folder: Path, keyframe_every: int = KEYFRAME_EVERY, write_every: int = WRITE_EVERY) -> None:
        self._database = Database(folder / FILE, LAYOUT)
        self._keyframe_every = keyframe_every
        self._write_every = write_every
        self._cycles: deque[_Cycle] = deque()
        self._minutes: list[tuple[str, float | None, float | None, str]] = []
        self._writing: Future[None] | None = None
        self._last: _Last | None = None
        self._tidied_at: datetime | None = None
        self.lost = 0

    @classmethod
    async def open(cls, folder: Path, keyframe_every: int = KEYFRAME_EVERY, write_every: int = WRITE_EVERY) -> Self:
        """Open or make ``folder/telemetry.db``; a damaged file is moved aside. Raises ``JournalError``."""
        recorder = cls(folder, keyframe_every, write_every)
        try:
            await recorder._database.open()
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
        decision_digest: Mapping[str, Any],
    ) -> None:
        """Take one cycle. Never waits and never raises; everything given must be immutable."""
        if len(self._cycles) >= BUFFER_AT_MOST:
            self.lost += 1
            return
        self._cycles.append(_Cycle(observation, memory_before, settings, facts, decision_digest))
        if len(self._cycles) >= self._write_every:
            self._write_soon()

    def add_minute(self, at: datetime, values: Mapping[str, float | None]) -> None:
        """Take the means of one minute: ``grid_w``, ``house_w`` and any others, such as ``charger.power_w``."""
        more = {name: value for name, value in values.items() if name not in ("grid_w", "house_w")}
        self._minutes.append((_time(at), values.get("grid_w"), values.get("house_w"), _json(more)))
        del self._minutes[:-BUFFER_AT_MOST]
        self._write_soon()

    async def keep(self, start: datetime, end: datetime) -> None:
        """Keep the recording from ``start`` to ``end`` for good: an outage, an event, a fault."""

        def work(connection: sqlite3.Connection) -> None:
            key = connection.execute(
                "SELECT max(first_at) FROM stretch WHERE keyframe AND first_at <= ?", (_time(start),)
            ).fetchone()[0]
            connection.execute("INSERT INTO kept VALUES (?, ?)", (key or _time(start), _time(end)))

        await self._database.run(work)

    async def flush(self) -> None:
        """Return when everything taken so far is written. Raises ``JournalError``."""
        cycles, minutes = self._take()
        await self._database.run(lambda connection: self._write(connection, cycles, minutes))

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
        cycles, minutes = self._take()
        self._writing = self._database.submit(lambda connection: self._write(connection, cycles, minutes))
        self._writing.add_done_callback(_report)

    def _take(self) -> tuple[list[_Cycle], list[tuple[str, float | None, float | None, str]]]:
        cycles, minutes = list(self._cycles), self._minutes
        self._cycles.clear()
        self._minutes = []
        return cycles, minutes

    # ------------------------------------------------------------------------------------------ on the writing thread

    def _write(self, connection: sqlite3.Connection, cycles: list[_Cycle], minutes: list[Any]) -> None:
        try:
            rows = [_row(stretch) for stretch in self._stretches(cycles)]
            with transaction(connection):
                connection.executemany(
                    "INSERT INTO stretch (first_at, last_at, keyframe, body) VALUES (?, ?, ?, ?)", rows
                )
                connection.executemany("INSERT OR REPLACE INTO minute VALUES (?, ?, ?, ?)", minutes)
        except BaseException:
            self.lost += len(cycles)
            self._last = None  # cycles are missing from here, so the next one must stand by itself
            raise
        if cycles:
            self._tidy_if_due(connection, cycles[-1].observation.now)

    def _stretches(self, cycles: list[_Cycle]) -> Iterator[list[dict[str, Any]]]:
        """Entries in rows; a keyframe always begins one."""
        stretch: list[dict[str, Any]] = []
        for entry in map(self._entry, cycles):
            if "key" in entry and stretch:
                yield stretch
                stretch = []
            stretch.append(entry)
        if stretch:
            yield stretch

    def _entry(self, cycle: _Cycle) -> dict[str, Any]:
        tree = {"observation": to_plain(cycle.observation), "decision": to_plain(cycle.decision)}
        at = _time(cycle.observation.now)
        last = self._last
        if (
            last is None
            or last.since_keyframe >= self._keyframe_every
            or last.settings != cycle.settings
            or last.facts != cycle.facts
        ):
            self._last = _Last(tree, cycle.settings, cycle.facts, 1)
            return {
                "at": at,
                "key": {
                    "tree": tree,
                    "memory": to_plain(cycle.memory),
                    "settings": to_plain(cycle.settings),
                    "facts": to_plain(cycle.facts),
                },
            }
        changes = difference(last.tree, tree)
        last.tree = tree
        last.since_keyframe += 1
        return {"at": at, "set": changes}

    def _tidy_if_due(self, connection: sqlite3.Connection, now: datetime) -> None:
        if self._tidied_at is not None and abs(now - self._tidied_at) < TIDY_EVERY:
            return
        self._tidied_at = now
        with transaction(connection):
            connection.execute(
                "DELETE FROM stretch WHERE last_at < ? AND NOT EXISTS (SELECT 1 FROM kept WHERE "
                "kept.first_at <= stretch.last_at AND kept.last_at >= stretch.first_at)",
                (_time(now - RECORDING_KEPT),),
            )
            connection.execute("DELETE FROM minute WHERE at < ?", (_time(now - MINUTES_KEPT),))


def _report(writing: Future[None]) -> None:
    if not writing.cancelled() and (error := writing.exception()) is not None:
        _LOGGER.warning("A piece of the recording is lost: %s", error)


def _row(stretch: list[dict[str, Any]]) -> tuple[str, str, bool, bytes]:
    times = [entry["at"] for entry in stretch]
    return min(times), max(times), "key" in stretch[0], zlib.compress(_json(stretch).encode())


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _time(at: datetime) -> str:
    """Text that sorts like time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


# ------------------------------------------------------------------------------------------------------------- reading


def read_stretch[M](folder: Path, start: datetime, end: datetime, memory: type[M]) -> Iterator[RecordedCycle[M]]:
    """The cycles recorded in [start, end), from the last keyframe at or before ``start`` on, in order.

    Opens the file for reading only, so it may be called beside a running edge. Raises ``JournalError``.
    """
    path = folder / FILE
    if not path.exists():
        raise JournalError(f"no recording at {path}")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield from _rebuild(_entries(connection, _time(start), _time(end)), _time(end), memory)
    except (sqlite3.Error, zlib.error, EncodingError) as error:
        raise JournalError(f"{path}: {error}") from error


def _entries(connection: sqlite3.Connection, start: str, end: str) -> Iterator[dict[str, Any]]:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(LAYOUT.steps):
        raise JournalError(f"{FILE} was written by a newer Ridethrough (schema {version})")
    first = connection.execute(
        "SELECT coalesce(max(id), 0) FROM stretch WHERE keyframe AND first_at <= ?", (start,)
    ).fetchone()[0]
    rows = connection.execute(
        "SELECT id, body FROM stretch WHERE id BETWEEN ? AND "
        "(SELECT max(id) FROM stretch WHERE first_at < ?) ORDER BY id",
        (first, end),
    )
    before = None
    for number, body in rows:
        if before is not None and number != before + 1:
            yield {"gap": True}
        before = number
        yield from json.loads(zlib.decompress(body))


def _rebuild[M](entries: Iterator[dict[str, Any]], end: str, memory: type[M]) -> Iterator[RecordedCycle[M]]:
    """Cycles from entries. Changes that have no keyframe to stand on are passed over."""
    tree: Any = None
    settings, facts = Settings(), SiteFacts("", {}, 0)
    for entry in entries:
        before: M | None = None
        if (key := entry.get("key")) is not None:
            tree = key["tree"]
            settings, facts = from_plain(Settings, key["settings"]), from_plain(SiteFacts, key["facts"])
            before = from_plain(memory, key["memory"])
        elif tree is None or "gap" in entry:
            tree = None
            continue
        else:
            tree = patch(tree, entry["set"])
        if entry["at"] < end:
            observation = from_plain(Observation, tree["observation"])
            yield RecordedCycle(observation.now, observation, settings, facts, before, deepcopy(tree["decision"]))
