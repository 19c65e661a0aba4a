"""The journal: what must outlive the process. Every call returns when the words are on disk (``journal.db``)."""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from edge_service.domain.model import Alert, CapacityLimit, Event, Happening, Notice, Price, Settings, frozen_map
from edge_service.domain.settlement import Settlement
from edge_service.journal.database import Database, JournalError, Layout, make_ballast, time_text, transaction
from edge_service.journal.encoding import EncodingError, from_plain, to_plain
from edge_service.ports import Filing, NumberedHappening

_LOGGER = logging.getLogger(__name__)

# A client that repeats a command does so within seconds; a day also covers one that was asleep.
ANSWERS_KEPT = timedelta(hours=24)
# A season's settlement may be disputed for a year after it.
EVIDENCE_KEPT = timedelta(days=400)
# However old, so that a clock that jumps far ahead cannot wipe the evidence; and however young, so that a fault that
# repeats every second cannot fill the disk.
HAPPENINGS_KEPT_AT_LEAST = 10_000
HAPPENINGS_KEPT_AT_MOST = 200_000
TIDY_EVERY = timedelta(hours=24)

FILE = "journal.db"
BACKUP = "journal.backup.db"

LAYOUT = Layout(
    steps=(
        """
        CREATE TABLE happening (number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL,
                                subject TEXT NOT NULL, data TEXT NOT NULL);
        CREATE TABLE notice (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, kind TEXT NOT NULL,
                             level TEXT NOT NULL, raised_at TEXT NOT NULL, data TEXT NOT NULL, delivered_at TEXT,
                             acknowledged_at TEXT, cleared_at TEXT);
        CREATE INDEX notice_standing ON notice (key) WHERE cleared_at IS NULL;
        CREATE TABLE answer (command_id TEXT PRIMARY KEY, at TEXT NOT NULL, answer TEXT NOT NULL) WITHOUT ROWID;
        CREATE INDEX answer_age ON answer (at);
        CREATE TABLE setting_change (at TEXT NOT NULL, command TEXT NOT NULL, args TEXT NOT NULL);
        CREATE TABLE event (uid TEXT PRIMARY KEY, until TEXT NOT NULL, current INTEGER NOT NULL, event TEXT NOT NULL)
                           WITHOUT ROWID;
        CREATE TABLE document (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID
        """,
        # What events came to is kept for good: no tidying touches it.
        """
        CREATE TABLE settlement (uid TEXT PRIMARY KEY, program TEXT NOT NULL, day TEXT NOT NULL,
                                 written_at TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID
        """,
        """
        CREATE TABLE filing (program TEXT NOT NULL, event_id TEXT NOT NULL, wish TEXT NOT NULL, number INTEGER NOT NULL,
                             part INTEGER NOT NULL, due TEXT NOT NULL, filing TEXT NOT NULL,
                             PRIMARY KEY (program, event_id, wish, number, part)) WITHOUT ROWID
        """,
    ),
    synchronous="FULL",
    precious=True,
)


class SqliteJournal:
    """``ports.Journal`` in SQLite, on a thread of its own. All methods raise ``JournalError`` when the disk fails."""

    def __init__(self, folder: Path) -> None:
        self._backup = folder / BACKUP
        self._database = Database(folder / FILE, LAYOUT)
        self._tidied_at: datetime | None = None

    @classmethod
    async def open(cls, folder: Path) -> Self:
        """Open or make ``folder/journal.db``.

        A damaged file is moved aside and the last backup (made daily and at each start) takes its place; a happening
        ``journal_restarted`` tells. Raises ``JournalError`` for a file of a newer version.
        """
        journal = cls(folder)
        try:
            await journal._database.open(journal._backup)
            await journal._after_open(folder)
        except BaseException:
            await journal._database.close()
            raise
        return journal

    async def _after_open(self, folder: Path) -> None:
        moved = self._database.moved_aside
        if moved is not None:
            await self._database.run(_number_from_now)
            data = {"moved_to": moved.name, "restored": self._backup.exists()}
            await self.append_happenings([Happening("journal_restarted", "site", datetime.now(UTC), data)])
        make_ballast(folder / FILE)
        self._database.submit(self._back_up)

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        await self._database.close()

    # ------------------------------------------------------------------------------------------ settings and documents

    async def load_settings(self) -> Settings:
        document = await self.load_document("settings")
        return Settings() if document is None else _decoded(Settings, document)

    async def save_settings(self, settings: Settings, command: str, args: Mapping[str, Any], at: datetime) -> None:
        body, words = _json(settings), _json(args)

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute("INSERT OR REPLACE INTO document VALUES ('settings', ?)", (body,))
                connection.execute("INSERT INTO setting_change VALUES (?, ?, ?)", (time_text(at), command, words))

        await self._database.run(work)

    async def load_document(self, name: str) -> Mapping[str, Any] | None:
        row = await self._one("SELECT body FROM document WHERE name = ?", name)
        return None if row is None else frozen_map(json.loads(row[0]))

    async def save_document(self, name: str, document: Mapping[str, Any]) -> None:
        await self._write("INSERT OR REPLACE INTO document VALUES (?, ?)", name, _json(document))

    # -------------------------------------------------------------------------------------------------------- events

    async def load_events(self) -> Sequence[Event]:
        """The events of the last ``save_events``, by uid."""
        rows = await self._all("SELECT event FROM event WHERE current ORDER BY uid")
        return tuple(_decoded(Event, json.loads(row[0])) for row in rows)

    async def save_events(self, events: Sequence[Event]) -> None:
        """Make ``events`` the current ones; those of before stay on disk as evidence."""
        rows = [(event.uid, time_text(event.end), _json(event)) for event in events]

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute("UPDATE event SET current = 0")
                connection.executemany("INSERT OR REPLACE INTO event VALUES (?, ?, 1, ?)", rows)

        await self._database.run(work)

    async def load_alerts(self) -> Sequence[Alert]:
        document = await self.load_document("alerts") or {}
        return tuple(_decoded(Alert, alert) for alert in document.get("alerts", ()))

    async def save_alerts(self, alerts: Sequence[Alert]) -> None:
        """Make ``alerts`` the current ones."""
        await self.save_document("alerts", {"alerts": [to_plain(alert, Alert) for alert in alerts]})

    async def load_limits(self) -> Sequence[CapacityLimit]:
        document = await self.load_document("limits") or {}
        return tuple(_decoded(CapacityLimit, limit) for limit in document.get("limits", ()))

    async def save_limits(self, limits: Sequence[CapacityLimit]) -> None:
        """Make ``limits`` the current ones."""
        await self.save_document("limits", {"limits": [to_plain(limit, CapacityLimit) for limit in limits]})

    async def load_prices(self) -> Sequence[Price]:
        document = await self.load_document("prices") or {}
        return tuple(_decoded(Price, price) for price in document.get("prices", ()))

    async def save_prices(self, prices: Sequence[Price]) -> None:
        """Make ``prices`` the current ones."""
        await self.save_document("prices", {"prices": [to_plain(price, Price) for price in prices]})

    # --------------------------------------------------------------------------------------------------- settlements

    async def load_settlements(self) -> Sequence[Settlement]:
        rows = await self._all("SELECT body FROM settlement ORDER BY day, uid")
        return tuple(_decoded(Settlement, json.loads(row[0])) for row in rows)

    async def save_settlement(self, row: Settlement, at: datetime) -> None:
        await self._write(
            "INSERT OR REPLACE INTO settlement VALUES (?, ?, ?, ?, ?)",
            row.uid,
            row.program_id,
            row.day,
            time_text(at),
            _json(row),
        )

    # ----------------------------------------------------------------------------------------- reports to utilities

    async def load_filings(self, program: str) -> Sequence[Filing]:
        rows = await self._all(
            "SELECT filing FROM filing WHERE program = ? ORDER BY due, event_id, wish, number, part", program
        )
        return tuple(_decoded(Filing, json.loads(row[0])) for row in rows)

    async def save_filing(self, filing: Filing) -> None:
        named = filing.program, filing.event_id, filing.wish, filing.number, filing.part
        await self._write(
            "INSERT OR REPLACE INTO filing VALUES (?, ?, ?, ?, ?, ?, ?)", *named, time_text(filing.due), _json(filing)
        )

    async def forget_filings(self, program: str, event_id: str, before: datetime) -> None:
        await self._write(
            "DELETE FROM filing WHERE program = ? AND event_id = ? AND due < ?", program, event_id, time_text(before)
        )

    # ---------------------------------------------------------------------------------------------------- happenings

    async def append_happenings(self, happenings: Sequence[Happening]) -> Sequence[NumberedHappening]:
        if not happenings:
            return ()
        rows = [(time_text(item.at), item.kind, item.subject, _json(item.data)) for item in happenings]

        def work(connection: sqlite3.Connection) -> list[int]:
            with transaction(connection):
                return [
                    _insert(connection, "INSERT INTO happening (at, kind, subject, data) VALUES (?, ?, ?, ?)", row)
                    for row in rows
                ]

        numbers = await self._database.run(work)
        self._tidy_if_due(happenings[-1].at)
        return tuple(NumberedHappening(number, item) for number, item in zip(numbers, happenings, strict=True))

    async def happenings_since(self, number: int, limit: int = 500) -> Sequence[NumberedHappening]:
        rows = await self._all(
            "SELECT number, kind, subject, at, data FROM happening WHERE number > ? ORDER BY number LIMIT ?",
            number,
            limit,
        )
        return tuple(map(_numbered, rows))

    async def last_happenings(self, kinds: Sequence[str], limit: int) -> Sequence[NumberedHappening]:
        """The last of these kinds, the newest first."""
        places = ", ".join("?" * len(kinds))
        rows = await self._all(
            f"SELECT number, kind, subject, at, data FROM happening WHERE kind IN ({places}) "
            "ORDER BY number DESC LIMIT ?",
            *kinds,
            limit,
        )
        return tuple(map(_numbered, rows))

    async def last_number(self) -> int:
        """The highest number ever given to a happening, 0 when there was none."""
        row = await self._one("SELECT seq FROM sqlite_sequence WHERE name = 'happening'")
        return 0 if row is None else int(row[0])

    # ------------------------------------------------------------------------------------------------------- notices

    async def raise_notice(self, notice: Notice) -> Notice:
        row = (notice.key, notice.kind, notice.level, time_text(notice.raised_at), _json(notice.data))

        def work(connection: sqlite3.Connection) -> int:
            with transaction(connection):
                connection.execute(
                    "UPDATE notice SET cleared_at = ? WHERE key = ? AND cleared_at IS NULL",
                    (time_text(notice.raised_at), notice.key),
                )
                return _insert(
                    connection, "INSERT INTO notice (key, kind, level, raised_at, data) VALUES (?, ?, ?, ?, ?)", row
                )

        number = await self._database.run(work)
        return replace(notice, number=number, delivered_at=None, acknowledged_at=None, cleared_at=None)

    async def clear_notice(self, key: str, at: datetime) -> Notice | None:
        """Clear the standing notice of this key; returns it as it is then, None when there was none."""
        rows = await self._returned(
            f"UPDATE notice SET cleared_at = ? WHERE key = ? AND cleared_at IS NULL RETURNING {_NOTICE_COLUMNS}",
            time_text(at),
            key,
        )
        return _notice(rows[-1]) if rows else None

    async def mark_notice(
        self, number: int, *, delivered_at: datetime | None = None, acknowledged_at: datetime | None = None
    ) -> None:
        """The first time counts: a second mark changes nothing."""
        await self._write(
            "UPDATE notice SET delivered_at = coalesce(delivered_at, ?), "
            "acknowledged_at = coalesce(acknowledged_at, ?) WHERE number = ?",
            delivered_at and time_text(delivered_at),
            acknowledged_at and time_text(acknowledged_at),
            number,
        )

    async def standing_notices(self) -> Sequence[Notice]:
        rows = await self._all(
            f"SELECT {_NOTICE_COLUMNS} FROM notice WHERE cleared_at IS NULL AND acknowledged_at IS NULL ORDER BY number"
        )
        return tuple(_notice(row) for row in rows)

    # ------------------------------------------------------------------------------------------------------- answers

    async def recall(self, command_id: str) -> Mapping[str, Any] | None:
        row = await self._one("SELECT answer FROM answer WHERE command_id = ?", command_id)
        return None if row is None else frozen_map(json.loads(row[0]))

    async def remember(self, command_id: str, answer: Mapping[str, Any], at: datetime) -> None:
        """Keep the answer for ``ANSWERS_KEPT``; the first answer to a command id stands."""
        row = (command_id, time_text(at), _json(answer))

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute("DELETE FROM answer WHERE at < ?", (time_text(at - ANSWERS_KEPT),))
                connection.execute("INSERT OR IGNORE INTO answer VALUES (?, ?, ?)", row)

        await self._database.run(work)

    # ------------------------------------------------------------------------------------------------------- tidying

    def _tidy_if_due(self, now: datetime) -> None:
        if self._tidied_at is not None and abs(now - self._tidied_at) < TIDY_EVERY:
            return
        self._tidied_at = now
        self._database.submit(lambda connection: _tidy(connection, now))
        self._database.submit(self._back_up)

    def _back_up(self, connection: sqlite3.Connection) -> None:
        """A copy that is whole or absent, for the day the file is damaged."""
        unfinished = self._backup.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        try:
            os.close(os.open(unfinished, os.O_CREAT | os.O_RDWR, 0o600))
            copy = sqlite3.connect(unfinished, autocommit=True)
            try:
                connection.backup(copy)
            finally:
                copy.close()
            unfinished.replace(self._backup)
        except (OSError, sqlite3.Error) as error:
            _LOGGER.warning("No backup of the journal could be made: %s", error)

    # ------------------------------------------------------------------------------------------------------ plumbing

    async def _write(self, statement: str, *values: Any) -> None:
        await self._database.run(lambda connection: connection.execute(statement, values).close())

    async def _returned(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        def work(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            with transaction(connection):
                return connection.execute(statement, values).fetchall()

        return await self._database.run(work)

    async def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        def read(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            return connection.execute(query, values).fetchall()

        return await self._database.run(read)

    async def _one(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        rows = await self._all(query, *values)
        return rows[0] if rows else None


_NOTICE_COLUMNS = "key, kind, level, raised_at, data, number, delivered_at, acknowledged_at, cleared_at"


def _notice(row: tuple[Any, ...]) -> Notice:
    key, kind, level, raised_at, data, number, *marks = row
    delivered, acknowledged, cleared = (None if mark is None else datetime.fromisoformat(mark) for mark in marks)
    return Notice(
        key,
        kind,
        level,
        datetime.fromisoformat(raised_at),
        frozen_map(json.loads(data)),
        number,
        delivered,
        acknowledged,
        cleared,
    )


def _insert(connection: sqlite3.Connection, statement: str, row: tuple[Any, ...]) -> int:
    number = connection.execute(statement, row).lastrowid
    if number is None:
        raise sqlite3.DataError("no number was given")
    return number


def _numbered(row: Sequence[Any]) -> NumberedHappening:
    number, kind, subject, at, data = row
    return NumberedHappening(number, Happening(kind, subject, datetime.fromisoformat(at), frozen_map(json.loads(data))))


def _json(value: Any) -> str:
    return json.dumps(to_plain(value), separators=(",", ":"), ensure_ascii=False)


def _decoded[T](kind: type[T], plain: Mapping[str, Any]) -> T:
    try:
        return from_plain(kind, plain)
    except EncodingError as error:
        raise JournalError(f"{FILE}: stored by another version? {error}") from error


def _number_from_now(connection: sqlite3.Connection) -> None:
    """After a loss go on above every number ever given: the seconds since 1970 outrun one happening a second."""
    with transaction(connection):
        for table in ("happening", "notice"):
            connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, int(time.time())))


def _tidy(connection: sqlite3.Connection, now: datetime) -> None:
    old = time_text(now - EVIDENCE_KEPT)
    newest = int(connection.execute("SELECT coalesce(max(number), 0) FROM happening").fetchone()[0])
    with transaction(connection):
        connection.execute(
            "DELETE FROM happening WHERE (at < ? AND number <= ?) OR number <= ?",
            (old, newest - HAPPENINGS_KEPT_AT_LEAST, newest - HAPPENINGS_KEPT_AT_MOST),
        )
        connection.execute("DELETE FROM notice WHERE cleared_at < ?", (old,))
        connection.execute("DELETE FROM setting_change WHERE at < ?", (old,))
        connection.execute("DELETE FROM event WHERE until < ? AND NOT current", (old,))
