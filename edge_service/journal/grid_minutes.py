"""The minute rows of the point of connection, read beside a running edge: for baselines."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

from edge_service.journal.database import JournalError, time_text
from edge_service.journal.recording import FILE


def grid_minutes(folder: Path, start: datetime, end: datetime) -> Mapping[datetime, float]:
    """Mean net power of each minute that begins in [start, end), positive imports; unknown ones are left out.

    Opens the file for reading only. Raises ``JournalError``.
    """
    path = folder / FILE
    query = "SELECT at, grid_w FROM minute WHERE at >= ? AND at < ? AND grid_w IS NOT NULL"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(query, (time_text(start), time_text(end))).fetchall()
    except sqlite3.Error as error:
        raise JournalError(f"{path}: {error}") from error
    return {datetime.fromisoformat(at): float(grid_w) for at, grid_w in rows}
