"""The books: what every event that is over came to. The rows in the journal are the one truth; seasons follow of them.

A row is made when its event is over, again after a restart that lost it, and corrected when more is known. So a crash
at any moment costs no row and counts none twice.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from edge_service.domain.baseline import Found
from edge_service.domain.memory import EventMemory
from edge_service.domain.model import Program, frozen_map
from edge_service.domain.program import Baseline
from edge_service.domain.settlement import Outcome, Settlement, corrected, season_at, settle, tally
from edge_service.domain.tally import Tally
from edge_service.ports import Clock

LOG = logging.getLogger(__name__)

# A disk that fails is asked again after this.
AGAIN_AFTER_S = 5.0


class RowStore(Protocol):
    """Where rows are kept for good. Raises OSError."""

    async def save_settlement(self, row: Settlement, at: datetime) -> None: ...


class Ledger:
    """``runner.Books``: takes in accounts that are closed, and keeps their rows."""

    def __init__(self, rows: Sequence[Settlement], store: RowStore, clock: Clock) -> None:
        self._rows = {row.uid: row for row in rows}
        self._store, self._clock = store, clock
        self._seen: dict[str, EventMemory] = {}
        self._unwritten: dict[str, Settlement] = {}
        self._due = asyncio.Event()
        self._tallied: tuple[Mapping[str, Program], str, Mapping[str, Tally]] | None = None

    @property
    def rows(self) -> Sequence[Settlement]:
        """Every row, the oldest first."""
        return sorted(self._rows.values(), key=lambda row: (row.start, row.uid))

    def follow(self, accounts: Mapping[str, EventMemory], now: datetime) -> None:
        """Take in the accounts of a cycle. Cheap while none of them closes."""
        for uid, account in accounts.items():
            if self._seen.get(uid) is not account:
                self._seen[uid] = account
                found = settle(uid, account, now)
                if found is not None:
                    self._take(corrected(self._rows.get(uid), found))
            elif uid not in self._rows and (found := settle(uid, account, now)) is not None:
                self._take(found)  # one that was left out closes by time alone
        if len(self._seen) > len(accounts):
            self._seen = {uid: account for uid, account in self._seen.items() if uid in accounts}

    def _take(self, row: Settlement) -> None:
        if self._rows.get(row.uid) == row:
            return
        self._rows[row.uid] = self._unwritten[row.uid] = row
        self._tallied = None
        self._due.set()

    def set_baseline(self, uid: str, found: Found) -> None:
        """What the site would have supplied by itself, once that is known."""
        row = self._rows[uid]
        self._take(replace(row, baseline_wh=found.wh, baseline_days=found.days, baseline_note=found.note))

    def without_baseline(self, programs: Mapping[str, Program]) -> Sequence[Settlement]:
        """Rows whose program compares with a baseline, and for which none was looked for yet."""
        return [
            row
            for row in self.rows
            if row.program_id in programs
            and programs[row.program_id].baseline is not Baseline.NONE
            and row.outcome is not Outcome.OPTED_OUT
            and not row.baseline_note
        ]

    def seasons(self, programs: Mapping[str, Program], now: datetime) -> Mapping[str, Tally]:
        """Each program's season that runs, or the last; the same object until something changes."""
        today = now.date().isoformat()
        if self._tallied is None or self._tallied[:2] != (programs, today):
            rows = self.rows
            made = {name: tally(rows, program, season_at(today, program), today) for name, program in programs.items()}
            self._tallied = programs, today, frozen_map(made)
        return self._tallied[2]

    async def write(self) -> None:
        """Write what is new, for ever; a disk that fails is asked again."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self.drain()
            except OSError as error:
                LOG.error("what an event came to counts, but is not on disk yet: %s", error)
                await asyncio.sleep(AGAIN_AFTER_S)
                self._due.set()

    async def drain(self) -> None:
        """Write what is new. Raises OSError; what is not written stays due."""
        for uid, row in tuple(self._unwritten.items()):
            await self._store.save_settlement(row, self._clock.now())
            if self._unwritten.get(uid) is row:
                del self._unwritten[uid]
