"""The real edge under strain: a disk that stalls at each access, and a planner that computes in the edge's own process.

Run by ``grid_loss``. Nothing of this is in the product: the stall is put around the one function through which
everything reaches the disk, and the planner is a thread of plain Python.
"""

import argparse
import asyncio
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edge_service import app
from edge_service.config.site_file import load
from edge_service.journal import recording, store
from edge_service.journal.database import Database

# A planner's search takes 25 to 120 ms at a time; one that rests as long as it computed is busier than any would be.
BURST_S = (0.025, 0.12)
PLANNERS = ("none", "bursts", "restless")


class StallingDatabase(Database):
    """Each piece of work, reading too, waits as long as a disk that is busy with something else."""

    stall_s = 0.0

    def _guarded[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        time.sleep(self.stall_s)
        return super()._guarded(work)


def compute(until: float) -> int:
    """Plain Python that lets nobody else run until it is made to."""
    number = 0
    while time.monotonic() < until:
        for step in range(500):
            number = (number * 31 + step) % 1_000_003
    return number


def plan(kind: str) -> None:
    """Compute for ever: in bursts with rests of the same length, or without a rest."""
    while kind == "restless":
        compute(time.monotonic() + 1.0)
    while kind == "bursts":
        burst_s = random.uniform(*BURST_S)
        compute(time.monotonic() + burst_s)
        time.sleep(burst_s)


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--stall-ms", type=float, default=0.0)
    parser.add_argument("--planner", choices=PLANNERS, default="none")
    args = parser.parse_args()
    StallingDatabase.stall_s = args.stall_ms / 1000
    for opener in (store, recording):
        vars(opener)["Database"] = StallingDatabase
    threading.Thread(target=plan, args=(args.planner,), name="planner", daemon=True).start()
    asyncio.run(app.run(load(args.config)))


if __name__ == "__main__":
    main()
