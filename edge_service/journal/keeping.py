"""How much of the recording is kept for good: little of what comes again and again, and only so much on the disk."""

import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from edge_service.ports import Mark

# A fault that comes and goes all day is one story; so many of its beginnings tell it.
MARKS_A_DAY = 4
_DAY = timedelta(days=1)
# A keyframe holds everything, fifty times what a cycle needs: marks that follow each other share one.
KEYFRAME_FOR_MARKS_EVERY = timedelta(seconds=60)
# What is older than the ring and kept for good: years of outages and events.
KEPT_BYTES = 500_000_000
# The journal, the system and everybody else need the disk more than the recording does.
DISK_LEFT_BYTES = 200_000_000
# Pages within the file that are free to be used again: the recording goes on in them though the disk is nearly full.
ROOM_WITHIN_BYTES = 1_000_000
# What is kept whatever else must go; everything else comes as often as a device is broken.
LASTING = ("outage_", "backup_", "event_")


def is_lasting(mark: Mark) -> bool:
    """An outage or an event."""
    return mark.what.startswith(LASTING)


class MarkBudget:
    """Which marks are kept, and which get a keyframe. ``known``: time, kind and subject of those kept before."""

    def __init__(self, known: Iterable[tuple[datetime, str, str]] = ()) -> None:
        self._times: dict[tuple[str, str], list[datetime]] = {}
        self._keyframe_at: datetime | None = None
        for at, what, subject in known:
            self._times.setdefault((what, subject), []).append(at)

    def granted(self, marks: Sequence[Mark]) -> list[Mark]:
        """Those of the marks that are kept; outages and events always are."""
        return [mark for mark in marks if is_lasting(mark) or self._grants(mark)]

    def _grants(self, mark: Mark) -> bool:
        times = self._times.setdefault((mark.what, mark.subject), [])
        times[:] = [at for at in times if abs(mark.at - at) < _DAY]
        if mark.at in times or len(times) >= MARKS_A_DAY:
            return False
        times.append(mark.at)
        return True

    def keyframe(self, marks: Sequence[Mark], now: datetime) -> bool:
        """Whether the cycle of these marks gets a keyframe because of them."""
        if not marks:
            return False
        lately = self._keyframe_at is not None and abs(now - self._keyframe_at) < KEYFRAME_FOR_MARKS_EVERY
        if lately and not any(map(is_lasting, marks)):
            return False
        self._keyframe_at = now
        return True


def disk_left(folder: Path) -> int | None:
    """Bytes that are left on the disk of this folder; None where nobody can tell."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def free_bytes(folder: Path) -> int:
    """Likewise; enough where nobody can tell."""
    left = disk_left(folder)
    return DISK_LEFT_BYTES if left is None else left


def room_within(connection: sqlite3.Connection) -> int:
    """Bytes that can be written without the file growing."""
    pages, size = (connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("freelist_count", "page_size"))
    return int(pages) * int(size)


def shrink(connection: sqlite3.Connection, old: str, most_bytes: int) -> None:
    """Let the oldest of what is kept from before ``old`` go until ``most_bytes`` hold it; outages and events last."""
    kept = connection.execute("SELECT coalesce(sum(length(body)), 0) FROM stretch WHERE last_at < ?", (old,))
    too_much = kept.fetchone()[0] - most_bytes
    lasting = " OR ".join(f"what GLOB '{beginning}*'" for beginning in LASTING)
    while too_much > 0:
        mark = connection.execute(
            f"SELECT id, first_at, last_at FROM kept WHERE first_at < ? ORDER BY ({lasting}), at LIMIT 1", (old,)
        ).fetchone()
        if mark is None:
            return
        too_much -= _let_go(connection, mark, old)


def _let_go(connection: sqlite3.Connection, mark: tuple[int, str, str], old: str) -> int:
    """Delete a mark and what was kept for it alone. Returns how many bytes that were."""
    number, first_at, last_at = mark
    connection.execute("DELETE FROM kept WHERE id = ?", (number,))
    gone = connection.execute(
        "DELETE FROM stretch WHERE last_at >= ? AND first_at <= ? AND last_at < ? AND NOT EXISTS (SELECT 1 FROM kept "
        "WHERE kept.first_at <= stretch.last_at AND kept.last_at >= stretch.first_at) RETURNING length(body)",
        (first_at, last_at, old),
    )
    return sum(size for (size,) in gone)
