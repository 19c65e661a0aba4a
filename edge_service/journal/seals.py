"""Seals on the minute rows: once a UTC day is over, its rows are hashed, and each hash goes into the next.

A row's line is ``[at,grid_w,house_w,{...}]``; a day's hash is SHA-256 over its lines in order of time, each ended by a
newline; a seal is SHA-256 over the seal before it (64 zeros at first), its own number, the day, the count of rows, the
day's hash and when it was made, each ended by a newline. Rows that come late (a clock that was set) get the day a
second seal: both stay. What that proves, and what not: docs/decisions/0027.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

FIRST = "0" * 64
# ``2026-07-15`` of ``2026-07-15T21:00:00.000000+00:00``.
DAY = 10

STEP = """
    CREATE TABLE seal (number INTEGER PRIMARY KEY, day TEXT NOT NULL, rows INTEGER NOT NULL, rows_sha256 TEXT NOT NULL,
                       made_at TEXT NOT NULL, seal TEXT NOT NULL);
    CREATE INDEX seal_day ON seal (day);
    CREATE TABLE unsealed (day TEXT PRIMARY KEY) WITHOUT ROWID;
    INSERT INTO unsealed SELECT DISTINCT substr(at, 1, 10) FROM minute
"""

type MinuteRow = tuple[str, float | None, float | None, str]


@dataclass(frozen=True, slots=True)
class Seal:
    """One link of the chain. ``day`` is of UTC."""

    number: int
    day: str
    rows: int
    rows_sha256: str
    made_at: str
    seal: str

    def follows(self, previous: str) -> bool:
        """It is what these contents make of the seal before it."""
        return self.seal == _sealed(previous, self.number, self.day, self.rows, self.rows_sha256, self.made_at)


def line_of(row: MinuteRow) -> str:
    """A row as it is hashed and handed out."""
    at, grid_w, house_w, more = row
    return f"[{json.dumps(at)},{json.dumps(grid_w)},{json.dumps(house_w)},{more}]\n"


def hash_of(lines: Iterable[str]) -> str:
    """Of a day's lines in order."""
    whole = sha256()
    for line in lines:
        whole.update(line.encode())
    return whole.hexdigest()


def note(connection: sqlite3.Connection, rows: Sequence[MinuteRow]) -> None:
    """These rows were written: their days need a seal once they are over."""
    days = {(row[0][:DAY],) for row in rows}
    connection.executemany("INSERT OR IGNORE INTO unsealed VALUES (?)", sorted(days))


def seal_days(connection: sqlite3.Connection, now: str) -> None:
    """Seal every day before that of ``now`` that has rows not sealed yet. Within the caller's transaction."""
    days = connection.execute("SELECT day FROM unsealed WHERE day < ? ORDER BY day", (now[:DAY],)).fetchall()
    for (day,) in days:
        _seal(connection, day, now)
        connection.execute("DELETE FROM unsealed WHERE day = ?", (day,))


def _seal(connection: sqlite3.Connection, day: str, now: str) -> None:
    last = connection.execute("SELECT number, seal FROM seal ORDER BY number DESC LIMIT 1").fetchone() or (0, FIRST)
    lines = [line_of(row) for row in rows_of_days(connection, day, day)]
    number, made = last[0] + 1, (day, len(lines), hash_of(lines), now)
    connection.execute("INSERT INTO seal VALUES (?, ?, ?, ?, ?, ?)", (number, *made, _sealed(last[1], number, *made)))


def _sealed(previous: str, *contents: object) -> str:
    return sha256("".join(f"{one}\n" for one in (previous, *contents)).encode()).hexdigest()


def rows_of_days(connection: sqlite3.Connection, first: str, last: str) -> Iterable[MinuteRow]:
    """The minute rows of the UTC days from first to last, in order of time."""
    # Times begin with their day, and "~" sorts behind everything that follows it.
    return connection.execute(
        "SELECT at, grid_w, house_w, more FROM minute WHERE at >= ? AND at < ? ORDER BY at", (first, f"{last}~")
    )


def seals_of(connection: sqlite3.Connection) -> list[Seal]:
    """The whole chain."""
    rows = connection.execute("SELECT number, day, rows, rows_sha256, made_at, seal FROM seal ORDER BY number")
    return [Seal(*row) for row in rows]
