"""What is remembered of a server's events from poll to poll, and found again after a restart in what was given out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from edge_service.domain.model import Event, Slot
from edge_service.domain.timeline import Schedule, ScheduleError, Sight, resolve
from edge_service.programs.openadr3_objects import EventObject


@dataclass(frozen=True, slots=True)
class _Memory:
    """What must not change from poll to poll: the name we gave an event, its first sight, what "now" means in it."""

    uid: str
    seen_at: datetime
    anchor: datetime | None = None


class Sights:
    """First sights of one program's events. ``seed``: random starts are drawn from it."""

    def __init__(self, program: str, seed: str) -> None:
        self._program, self._seed = program, seed
        self._memories: dict[str, _Memory] = {}
        self._first_contact = True

    def uid_of(self, own_id: str) -> str:
        """Our name of an event: after the id under which it was first seen."""
        memory = self._memories.get(own_id)
        return f"{self._program}:{own_id}" if memory is None else memory.uid

    def id_of(self, uid: str) -> str:
        """The id at the server."""
        ours = (own_id for own_id, memory in self._memories.items() if memory.uid == uid)
        return next(ours, uid.removeprefix(f"{self._program}:"))

    def forget_all_but(self, listed: set[str], uids: Iterable[str]) -> None:
        """A contact is over: keep those listed by the server's id, and those of these names."""
        self._first_contact = False
        known = set(uids)
        kept = {own_id: one for own_id, one in self._memories.items() if own_id in listed or one.uid in known}
        self._memories = kept

    def of(self, one: EventObject, now: datetime, given: Mapping[str, Event]) -> Sight:
        """First sight and anchor, remembered from now on. An event changed to start "now" does so at this sight.

        ``given``: the events as last given out, by uid.
        """
        memory = self._memories.get(one.id) or self._recalled(one, now, given)
        if not one.schedule.starts_now:
            memory = replace(memory, anchor=None)
        elif memory.anchor is None:
            memory = replace(memory, anchor=now)
        self._memories[one.id] = memory
        return self._sight(memory)

    def _sight(self, memory: _Memory) -> Sight:
        return Sight(memory.seen_at, memory.anchor or memory.seen_at, self._seed)

    def _recalled(self, one: EventObject, now: datetime, given: Mapping[str, Event]) -> _Memory:
        uid = f"{self._program}:{one.id}"
        event = given.get(uid)
        if event is not None:
            return self._memory_of(event, one.schedule, now)
        # What was there before us may have been seen, and be over, before a restart: it must not begin again.
        created_at = one.created_at if self._first_contact else None
        return _Memory(uid, now, None if created_at is None else min(created_at, now))

    def _memory_of(self, event: Event, schedule: Schedule, now: datetime) -> _Memory:
        """The memory behind an event given out before. What "now" meant follows from where its slots began."""
        seen_at = event.announced_at
        slots = self._slots(schedule, _Memory(event.uid, seen_at), now)
        if not slots or not {slot.start for slot in slots}.isdisjoint(slot.start for slot in event.slots):
            return _Memory(event.uid, seen_at, seen_at)
        return _Memory(event.uid, seen_at, max(seen_at, min(seen_at + (event.start - slots[0].start), now)))

    def continue_under_new_ids(
        self, objects: Iterable[EventObject], gone: Sequence[Event], now: datetime, given: Mapping[str, Event]
    ) -> None:
        """A server restored from a backup gives an event a new id: the same name and slots go on as the same event."""
        known = {self.id_of(uid) for uid in given}
        fresh = [one for one in objects if one.id not in self._memories and one.id not in known]
        for event in gone:
            for one in fresh:
                memory = self._memory_of(event, one.schedule, now)
                if (
                    one.name == event.name
                    and one.priority == event.priority
                    and event.slots == self._slots(one.schedule, memory, now)
                ):
                    self._memories[one.id] = memory
                    fresh.remove(one)
                    break

    def _slots(self, schedule: Schedule, memory: _Memory, now: datetime) -> tuple[Slot, ...]:
        try:
            return resolve(schedule, self._sight(memory), now)
        except ScheduleError:
            return ()
