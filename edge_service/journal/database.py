"""One SQLite file on one thread of its own, opened with care: permissions, schema version, corruption."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

_LOGGER = logging.getLogger(__name__)

# Spare room to give back when the disk is full, so that the journal can still write what matters.
BALLAST_BYTES = 4 * 1024 * 1024
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class JournalError(OSError):
    """The journal could not be read or written. An ``OSError``: layers that know only the ports can catch it."""


class _CorruptError(Exception):
    """The file is no usable database; move it aside."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of a file. Step *n* of ``steps`` (SQL) brings schema version *n* to *n + 1*.

    ``synchronous``: FULL keeps every committed row through a power cut, NORMAL may lose the last ones.
    ``precious``: looked through page by page at start, and never replaced while running.
    """

    steps: tuple[str, ...]
    synchronous: Literal["FULL", "NORMAL"]
    precious: bool = False


def time_text(at: datetime) -> str:
    """Text that sorts like time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; on disk when it returns (as far as ``synchronous`` promises)."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class Database:
    """A database file and the only thread that touches it. ``moved_aside``: where a corrupt file went, else None."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path
        self._layout = layout
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=path.stem)
        self._connection: sqlite3.Connection | None = None
        self.moved_aside: Path | None = None

    async def open(self, backup: Path | None = None) -> None:
        """Open or make the file. A corrupt one is moved aside and ``backup``, if good, put in its place.

        Raises ``JournalError`` when the folder cannot be written or the file is of a newer version.
        """
        await self._in_thread(lambda: self._open(backup))

    async def run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` on the file's thread and return its result. Raises ``JournalError``."""
        return await self._in_thread(lambda: self._guarded(work))

    def submit[T](self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Like ``run``, without waiting."""
        return self._thread.submit(self._guarded, work)

    async def close(self) -> None:
        """Finish what is queued, then close the file."""
        if self._connection is not None:
            await self._in_thread(self._connection.close)
            self._connection = None
        self._thread.shutdown(wait=False)

    async def _in_thread[T](self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _guarded[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            raise JournalError(f"{self._path.name} is not open")
        try:
            return self._with_room(work, self._connection)
        except sqlite3.Error as error:
            if _is_corrupt(error) and not self._layout.precious:
                self._start_afresh(error)
            raise JournalError(f"{self._path.name}: {error}") from error

    def _with_room[T](self, work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
        """Do ``work``; on a full disk give the ballast back and try once more."""
        try:
            return work(connection)
        except sqlite3.OperationalError as error:
            ballast = _ballast(self._path)
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL or not ballast.exists():
                raise
            ballast.unlink()
            _LOGGER.error("The disk is full. %s was given up so that the journal can go on; make room", ballast)
            return work(connection)

    def _open(self, backup: Path | None) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._connection = _connect(self._path, self._layout)
            except _CorruptError as error:
                self._replace(error, backup)
        except JournalError:
            raise
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"{self._path}: {error}") from error

    def _replace(self, reason: Exception, backup: Path | None) -> None:
        self.moved_aside = _move_aside(self._path)
        _LOGGER.error("%s is damaged (%s): moved to %s, starting afresh", self._path, reason, self.moved_aside)
        if backup is not None and backup.exists():
            backup.copy(self._path)
            with suppress(_CorruptError):
                self._connection = _connect(self._path, self._layout)
                return
            _move_aside(self._path)
        self._connection = _connect(self._path, self._layout)

    def _start_afresh(self, reason: sqlite3.Error) -> None:
        """Damage found while running: what comes next goes to a new file; this piece of work is lost."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._replace(reason, None)


def make_ballast(path: Path) -> None:
    """Keep spare room beside the database at ``path``. Silently none where there is no room."""
    ballast = _ballast(path)
    if not ballast.exists():
        with suppress(OSError):
            ballast.write_bytes(b"\0" * BALLAST_BYTES)


def _ballast(path: Path) -> Path:
    return path.with_suffix(".ballast")


def _is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the file itself is damaged. The low byte of SQLite's extended code names the class."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in _CORRUPT


def _move_aside(path: Path) -> Path:
    """Rename the file and its companions; returns the new name of the file."""
    target = path.with_name(f"{path.name}.corrupt.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{path}{ending}").rename(f"{target}{ending}")
    return target


def _connect(path: Path, layout: Layout) -> sqlite3.Connection:
    # Tokens and programs' secrets live in here: readable by us alone. SQLite gives its companions the same mode.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, autocommit=True, check_same_thread=False)
    try:
        _prepare(connection, path, layout)
    except sqlite3.DatabaseError as error:
        connection.close()
        if _is_corrupt(error):
            raise _CorruptError(str(error)) from error
        raise
    except JournalError, _CorruptError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, layout: Layout) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(layout.steps):
        raise JournalError(
            f"{path} was written by a newer Ridethrough (schema {version}, this one knows "
            f"{len(layout.steps)}): install that version again, or move the file away to start afresh"
        )
    if layout.precious and (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise _CorruptError(found)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={layout.synchronous}")
    for number, step in enumerate(layout.steps[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version={number}; COMMIT;")
