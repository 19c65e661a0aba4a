"""Appends happenings without end and prints the number of each once it is acknowledged. Made to be killed."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from edge_service.domain.model import Happening
from edge_service.journal.store import SqliteJournal


async def main(folder: Path) -> None:
    journal = await SqliteJournal.open(folder)
    while True:
        numbered = await journal.append_happenings([Happening("tick", "site", datetime.now(UTC), {})])
        sys.stdout.write(f"{numbered[0].number}\n")
        sys.stdout.flush()


asyncio.run(main(Path(sys.argv[1])))
