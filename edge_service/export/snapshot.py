"""One consistent look at a site's two databases, for reading only, whether or not the edge runs."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from edge_service.domain.model import Event
from edge_service.domain.settlement import Settlement
from edge_service.journal import recording, seals, store
from edge_service.journal.database import JournalError, time_text
from edge_service.journal.encoding import EncodingError, from_plain
from edge_service.journal.seals import MinuteRow, Seal

POWER = ".power_w"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Each database as it stood at one moment; the two moments are milliseconds apart."""

    telemetry: sqlite3.Connection
    journal: sqlite3.Connection | None

    def rows(self, start: datetime, end: datetime) -> Iterator[MinuteRow]:
        """The minute rows of [start, end), in order."""
        yield from self.telemetry.execute(
            "SELECT at, grid_w, house_w, more FROM minute WHERE at >= ? AND at < ? ORDER BY at",
            (time_text(start), time_text(end)),
        )

    def day_lines(self, day: str) -> list[str]:
        """A whole UTC day as it is sealed."""
        return [seals.line_of(row) for row in seals.rows_of_days(self.telemetry, day, day)]

    def seals(self) -> list[Seal]:
        """All of them."""
        return seals.seals_of(self.telemetry)

    def chargers(self, days: list[str]) -> list[str]:
        """Ids of chargers that the first or the last row of one of these UTC days tells of."""
        found: set[str] = set()
        for day in days:
            for order in ("ASC", "DESC"):
                row = self.telemetry.execute(
                    f"SELECT more FROM minute WHERE at >= ? AND at < ? ORDER BY at {order} LIMIT 1", (day, f"{day}~")
                ).fetchone()
                names = json.loads(row[0]) if row else ()
                found.update(name.removesuffix(POWER) for name in names if name.endswith(POWER))
        return sorted(found)

    def events(self, start: datetime, end: datetime) -> list[Event]:
        """Every event ever accepted that has a part in [start, end), by time."""
        if self.journal is None:
            return []
        rows = self.journal.execute("SELECT event FROM event WHERE until > ?", (time_text(start),))
        found = [from_plain(Event, json.loads(body)) for (body,) in rows]
        return sorted((e for e in found if e.slots and e.start < end), key=lambda e: (e.start, e.uid))

    def settlements(self, first: date, last: date) -> list[Settlement]:
        """What events of these local days came to, by time."""
        if self.journal is None:
            return []
        days = first.isoformat(), last.isoformat()
        rows = self.journal.execute("SELECT body FROM settlement WHERE day BETWEEN ? AND ?", days)
        found = [from_plain(Settlement, json.loads(body)) for (body,) in rows]
        return sorted(found, key=lambda one: (one.start, one.uid))


@contextmanager
def looked_at(folder: Path) -> Iterator[Snapshot]:
    """Open ``folder``'s databases at their present state. Raises ``JournalError``."""
    telemetry, journal = folder / recording.FILE, folder / store.FILE
    if not telemetry.exists():
        raise JournalError(f"no recording at {telemetry}; has the edge run for this site?")
    try:
        with ExitStack() as stack:
            first = stack.enter_context(_reading(telemetry, len(recording.LAYOUT.steps)))
            second = stack.enter_context(_reading(journal, len(store.LAYOUT.steps))) if journal.exists() else None
            yield Snapshot(first, second)
    except (sqlite3.Error, EncodingError, ValueError) as error:
        raise JournalError(f"{folder}: {error}") from error


@contextmanager
def _reading(path: Path, version: int) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, autocommit=True)
    try:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found != version:
            who = "a newer" if found > version else "an older"
            remedy = "install that version" if found > version else "start the edge once to bring it up"
            raise JournalError(f"{path.name} was written by {who} Ridethrough; {remedy}")
        # Everything that is read from here on is of one moment.
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        yield connection
    finally:
        connection.close()
