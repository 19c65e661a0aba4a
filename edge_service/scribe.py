"""Writes down what each cycle knew and did, and passes it on to clients. Behind the cycle's back, in order."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from edge_service.domain.decide import Decision
from edge_service.domain.memory import Memory
from edge_service.domain.model import Happening, Notice, Observation, Settings, SiteFacts, frozen_map
from edge_service.minutes import ClockTrust, MinuteMeans
from edge_service.ports import Journal, Mark, NumberedHappening
from edge_service.runner import Image

LOG = logging.getLogger(__name__)

# Happenings that wait for the disk; older ones are given up.
MOST_UNTOLD = 1000
# Numbers of notices that no journal gave: far above any that it gives.
UNKEPT_FROM = 2**52

# What made or ended an outage or an event, and what went wrong, is worth keeping for good, with what led to it and what
# followed.
MARKS = frozenset(
    {
        "outage_started",
        "outage_ended",
        "backup_failed",
        "fault_raised",
        "order_refused",
        "control_contested",
        "stop_pressed",
        "drill_passed",
        "drill_failed",
        "drill_aborted",
        "event_started",
        "event_interrupted",
        "event_completed",
        "event_missed",
    }
)
KEPT_AROUND = timedelta(minutes=15)

# What comes and goes with a loose wire or a charger that is busy: so many are told an hour, the rest are counted.
OFTEN = frozenset(
    {
        "fault_raised",
        "fault_cleared",
        "order_refused",
        "order_limited",
        "control_contested",
        "generator_started",
        "generator_stopped",
    }
)
TOLD_AN_HOUR = 4
_HOUR = timedelta(hours=1)
# A notice that comes back so soon after its end is the same story: it stands again, and nobody is called anew.
SAME_STORY_WITHIN = timedelta(seconds=60)

# The accounts of a running event are on disk at least this often; a restart may lose no more of them.
SAVE_MEMORY_EVERY = timedelta(seconds=5)


class Audience(Protocol):
    """Who is shown things at once. Must not block."""

    def show(self, image: Image, notices: Sequence[Notice]) -> None: ...

    def occurred(self, numbered: NumberedHappening) -> None: ...

    def notify(self, notice: Notice) -> None: ...


class Recorder(Protocol):
    """Keeps cycles for replay, for good where asked, and minute rows."""

    def add_minute(self, at: datetime, values: Mapping[str, Any]) -> None: ...

    def keep(self, marks: Sequence[Mark]) -> object: ...

    def add(
        self,
        observation: Observation,
        memory_before: Memory,
        settings: Settings,
        facts: SiteFacts,
        decision: Decision,
        marks: Sequence[Mark] = (),
    ) -> None: ...


class Repeats:
    """Lets only so many of the same through; the next one that is told says how many were not (``repeats``)."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], list[datetime]] = {}
        self._held_back: Counter[tuple[str, str]] = Counter()

    def told(self, happenings: Iterable[Happening]) -> Iterator[Happening]:
        """Those that are told, in order."""
        for happening in happenings:
            what = happening.kind, happening.subject
            if happening.kind in OFTEN and self._is_too_much(what, happening.at):
                self._held_back[what] += 1
            elif count := self._held_back.pop(what, 0):
                yield replace(happening, data=frozen_map({**happening.data, "repeats": count}))
            else:
                yield happening

    def _is_too_much(self, what: tuple[str, str], at: datetime) -> bool:
        times = self._told.setdefault(what, [])
        times[:] = [before for before in times if abs(at - before) < _HOUR]
        if len(times) >= TOLD_AN_HOUR:
            return True
        times.append(at)
        return False


class Scribe:
    """``runner.Witness``: shows each image at once and queues what must reach the disk."""

    def __init__(
        self,
        journal: Journal,
        recorder: Recorder,
        audience: Audience,
        encode: Callable[[Memory], Mapping[str, Any]],
        standing: Sequence[Notice] = (),
        clock: Callable[[], ClockTrust] = ClockTrust,
    ) -> None:
        self._journal, self._recorder, self._audience = journal, recorder, audience
        self._encode = encode
        self._queue: asyncio.Queue[Image] = asyncio.Queue(maxsize=1000)
        self._minutes = MinuteMeans(clock)
        self._memory_at: datetime | None = None
        self._untold: deque[Happening] = deque(maxlen=MOST_UNTOLD)
        self._repeats = Repeats()
        self._ended: dict[str, tuple[str, datetime]] = {}
        self._unnumbered = 0
        self._interrupted: Image | None = None
        self._standing = {notice.key: notice for notice in standing}

    @property
    def standing(self) -> list[Notice]:
        """The notices that stand, with their numbers."""
        return list(self._standing.values())

    def acknowledged(self, number: int) -> None:
        """A person has read it: it stands no longer."""
        self._standing = {key: notice for key, notice in self._standing.items() if notice.number != number}

    def witness(self, image: Image) -> None:
        marks = marks_of(image.happenings, image.decision.memory)
        self._recorder.add(image.observation, image.memory_before, image.settings, image.facts, image.decision, marks)
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
            self._untold.extend(self._repeats.told(image.happenings))
            try:
                await self._write(image)
            except asyncio.CancelledError:
                self._interrupted = image
                raise
            finally:
                self._queue.task_done()

    async def drain(self) -> None:
        """Write what is left once ``write`` has ended, so that a stop in good order loses no news."""
        if self._interrupted is not None:
            await self._write(self._interrupted)
        while not self._queue.empty():
            image = self._queue.get_nowait()
            self._untold.extend(self._repeats.told(image.happenings))
            await self._write(image)

    async def _write(self, image: Image) -> None:
        try:
            await self._stand(image)
            await self._keep(image)
        except OSError as error:
            LOG.error("the journal fails, what happens is told when it works again: %s", error)

    async def _keep(self, image: Image) -> None:
        # Memory last: after a crash between the two, news are told twice rather than never.
        while self._untold:
            await self._tell([self._untold[0]])
            self._untold.popleft()
        await self._journal.save_document("memory", self._encode(image.decision.memory))

    async def _stand(self, image: Image) -> None:
        """Notices are brought to people even when the disk fails; then with a number that no journal gave."""
        for key in image.decision.cleared:
            await self.clear(key, image.decision.at)
        for notice in image.decision.notices:
            await self.stand(notice)

    async def stand(self, notice: Notice) -> None:
        """Raise a notice, or replace the standing one of its key."""
        try:
            kept = await self._journal.raise_notice(notice)
        except OSError as error:
            LOG.error("notice %s is not kept: %s", notice.kind, error)
            self._unnumbered += 1
            kept = replace(notice, number=UNKEPT_FROM + self._unnumbered)
        self._standing[kept.key] = kept
        kind, ended_at = self._ended.get(kept.key, ("", kept.raised_at))
        if kind == kept.kind and abs(kept.raised_at - ended_at) < SAME_STORY_WITHIN:
            await self._count_as_brought(kept)
        else:
            self._audience.notify(kept)

    async def _count_as_brought(self, notice: Notice) -> None:
        """It stands for everybody to see; a client that connects later does not bring it either."""
        self._standing[notice.key] = replace(notice, delivered_at=notice.raised_at)
        try:
            await self._journal.mark_notice(notice.number, delivered_at=notice.raised_at)
        except OSError as error:
            LOG.error("notice %s may be brought once more: %s", notice.kind, error)

    async def clear(self, key: str, at: datetime) -> None:
        """Take a notice back: its cause is over."""
        self._standing.pop(key, None)
        try:
            former = await self._journal.clear_notice(key, at)
        except OSError as error:
            LOG.error("notice %s is cleared here, but not on disk: %s", key, error)
            return
        self._ended = {key: end for key, end in self._ended.items() if abs(at - end[1]) < SAME_STORY_WITHIN}
        if former is not None and former.delivered_at is not None:
            self._ended[former.key] = former.kind, at

    async def _tell(self, happenings: Sequence[Happening]) -> None:
        for happening in happenings:
            LOG.info("%s (%s)", happening.kind, happening.subject)
        if happenings:
            for numbered in await self._journal.append_happenings(happenings):
                self._audience.occurred(numbered)

    async def tell(self, kind: str, at: datetime, **data: Any) -> None:
        """Something that happened outside a cycle."""
        happening = Happening(kind, "site", at, frozen_map(data))
        self._recorder.keep(marks_of([happening], Memory()))
        await self._tell([happening])


def marks_of(happenings: Iterable[Happening], memory: Memory) -> list[Mark]:
    """What of this is worth keeping for good; ``memory`` tells when that began which ended."""
    return [_mark(happening, memory) for happening in happenings if happening.kind in MARKS]


def _mark(happening: Happening, memory: Memory) -> Mark:
    at = happening.at
    since = _began(happening, memory) or at
    return Mark(at, happening.kind, happening.subject, min(since, at) - KEPT_AROUND, at + KEPT_AROUND)


def _began(happening: Happening, memory: Memory) -> datetime | None:
    """When that began which ends with this happening, so that its middle is kept too."""
    if happening.kind == "outage_ended" and memory.outage is not None:
        return memory.outage.started_at
    account = memory.events.get(str(happening.data.get("uid")))
    return account.start if account is not None and happening.kind in ("event_completed", "event_missed") else None
