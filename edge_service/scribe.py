"""Writes down what each cycle knew and did, and passes it on to clients. Behind the cycle's back, in order."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from edge_service.domain.memory import Memory
from edge_service.domain.model import Happening, Notice, frozen_map
from edge_service.minutes import MinuteMeans
from edge_service.ports import Journal, NumberedHappening
from edge_service.runner import Image

LOG = logging.getLogger(__name__)

# What made or ended an outage or an event is worth keeping for good, with what led to it and what followed.
MARKS = frozenset(
    {
        "outage_started",
        "outage_ended",
        "backup_failed",
        "fault_raised",
        "event_started",
        "event_completed",
        "event_missed",
    }
)
KEPT_AROUND = timedelta(minutes=15)

# The accounts of a running event are on disk at least this often; a restart may lose no more of them.
SAVE_MEMORY_EVERY = timedelta(seconds=5)


class Audience(Protocol):
    """Who is shown things at once. Must not block."""

    def show(self, image: Image, notices: Sequence[Notice]) -> None: ...

    def occurred(self, numbered: NumberedHappening) -> None: ...

    def notify(self, notice: Notice) -> None: ...


class Recorder(Protocol):
    """Keeps cycles for replay, for good where asked, and minute rows."""

    def add_minute(self, at: datetime, values: Mapping[str, float | None]) -> None: ...

    async def keep(self, start: datetime, end: datetime) -> None: ...

    def add(
        self, observation: Any, memory_before: Any, settings: Any, facts: Any, decision_digest: Mapping[str, Any]
    ) -> None: ...


class Scribe:
    """``runner.Witness``: shows each image at once and queues what must reach the disk."""

    def __init__(
        self,
        journal: Journal,
        recorder: Recorder,
        audience: Audience,
        encode: Callable[[Memory], Mapping[str, Any]],
        digest: Callable[[Image], Mapping[str, Any]],
        standing: Sequence[Notice] = (),
    ) -> None:
        self._journal, self._recorder, self._audience = journal, recorder, audience
        self._encode, self._digest = encode, digest
        self._queue: asyncio.Queue[Image] = asyncio.Queue(maxsize=1000)
        self._minutes = MinuteMeans()
        self._memory_at: datetime | None = None
        self._standing = {notice.key: notice for notice in standing}

    @property
    def standing(self) -> list[Notice]:
        """The notices that stand, with their numbers."""
        return list(self._standing.values())

    def acknowledged(self, number: int) -> None:
        """A person has read it: it stands no longer."""
        self._standing = {key: notice for key, notice in self._standing.items() if notice.number != number}

    def witness(self, image: Image) -> None:
        self._recorder.add(image.observation, image.memory_before, image.settings, image.facts, self._digest(image))
        row = self._minutes.add(image)
        if row is not None:
            self._recorder.add_minute(*row)
        self._audience.show(image, self.standing)
        if self._is_due(image):
            try:
                self._queue.put_nowait(image)
            except asyncio.QueueFull:
                LOG.error("the disk does not keep up; news of this cycle are not kept")

    def _is_due(self, image: Image) -> bool:
        decision = image.decision
        told = image.happenings or decision.notices or decision.cleared
        if told or self._memory_at is None or decision.at - self._memory_at >= SAVE_MEMORY_EVERY:
            self._memory_at = decision.at
            return True
        return False

    async def write(self) -> None:
        """Write what is queued, for ever. A disk that fails costs the record, never the control."""
        while True:
            image = await self._queue.get()
            try:
                await self._keep(image)
            except OSError as error:
                LOG.error("journal: %s", error)
                for happening in image.happenings:
                    LOG.error("not kept: %s %s", happening.kind, happening.subject)
            finally:
                self._queue.task_done()

    async def finish(self) -> None:
        """Return when all that was queued is written."""
        await self._queue.join()

    async def _keep(self, image: Image) -> None:
        # Memory last: after a crash between the two, news are told twice rather than never.
        await self._tell(image.happenings)
        for key in image.decision.cleared:
            self._standing.pop(key, None)
            await self._journal.clear_notice(key, image.decision.at)
        for notice in image.decision.notices:
            kept = await self._journal.raise_notice(notice)
            self._standing[kept.key] = kept
            self._audience.notify(kept)
        await self._journal.save_document("memory", self._encode(image.decision.memory))
        if any(happening.kind in MARKS for happening in image.happenings):
            await self._recorder.keep(image.decision.at - KEPT_AROUND, image.decision.at + KEPT_AROUND)

    async def _tell(self, happenings: Sequence[Happening]) -> None:
        if happenings:
            for numbered in await self._journal.append_happenings(happenings):
                self._audience.occurred(numbered)

    async def tell(self, kind: str, at: datetime, **data: Any) -> None:
        """Something that happened outside a cycle."""
        await self._tell([Happening(kind, "site", at, frozen_map(data))])
