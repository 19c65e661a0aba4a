"""An OpenADR 3.1 program by polling: enrol, read programs and events, say which events stand.

A failed contact is never an empty list, and an event is gone only when the server says so of that event by its id.
Nothing is kept on disk here: the events last given out, handed in again as ``known``, bring back first sights, the
meaning of "now" and random starts.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from operator import attrgetter
from typing import Any, Self

import aiohttp

from edge_service.domain.model import Alert, Event, Program, Slot
from edge_service.domain.timeline import Schedule, ScheduleError, Sight, end_of, resolve
from edge_service.ports import ProgramError, ProgramNews
from edge_service.programs.openadr3_alerts import alerts_of
from edge_service.programs.openadr3_client import (
    MOST_RETRY_AFTER_S,
    OpenAdr3Client,
    ProgramAnswerError,
    ProgramDeniedError,
)
from edge_service.programs.openadr3_enrolment import NOT_SERVED, Enrolment
from edge_service.programs.openadr3_listed import ListedEvent
from edge_service.programs.openadr3_objects import (
    EventObject,
    ObjectError,
    ProgramObject,
    VenObject,
    clean,
    object_id,
    read_event,
    read_program,
)
from edge_service.programs.openadr3_options import OpenAdr3Options

# Events looked up by id in one contact; others that left the list stay as they were until the next.
MOST_LOOKUPS = 20
MOST_PROBLEMS = 50
# All requests of one contact together; each has its own, shorter time.
CONTACT_WITHIN_S = 60.0
_MOST_NAMES_SHOWN = 5

_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


@dataclass(frozen=True, slots=True)
class _Memory:
    """What must not change from poll to poll: the name we gave an event, its first sight, what "now" means in it."""

    uid: str
    seen_at: datetime
    anchor: datetime | None = None


class OpenAdr3Source:
    """One program of one server, as ``ports.ProgramSource``. One poll at a time.

    ``installation_id`` makes random starts differ from house to house. ``known``: the events as last given out, of
    this or any program; over, gone and foreign ones do no harm.
    """

    def __init__(
        self,
        options: OpenAdr3Options,
        installation_id: str,
        known: Sequence[Event] = (),
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self.options = options
        self._client = OpenAdr3Client(options.access, session)
        self._seed = f"{installation_id}|{options.id}"
        suffix = hashlib.sha256(self._seed.encode()).hexdigest()[:8]
        self._enrolment = Enrolment(self._client, options.ven_name or f"ridethrough-{suffix}", suffix)
        self._given = {event.uid: event for event in known if self._was_given_by_us(event)}
        self._memories: dict[str, _Memory] = {}
        self._warned: dict[str, tuple[Alert, ...]] = {}
        self._programs: dict[str, ProgramObject] = {}
        self._listed: tuple[ListedEvent, ...] = ()
        self._not_before: datetime | None = None

    @classmethod
    def open(cls, values: Mapping[str, object], installation_id: str, known: Sequence[Event] = ()) -> Self:
        """A source from options as plain values. Raises ConfigError."""
        return cls(OpenAdr3Options.checked(values), installation_id, known)

    @property
    def id(self) -> str:
        return self.options.id

    @property
    def poll_s(self) -> float:
        return self.options.poll_s

    @property
    def program(self) -> Program:
        return self.options.program

    def listed(self) -> tuple[ListedEvent, ...]:
        """All events of the last good contact that are meant for us; empty before the first."""
        return self._listed

    async def close(self) -> None:
        await self._client.close()

    async def poll(self, now: datetime) -> ProgramNews:
        """One contact. While the server's own pause lasts (``retry_after_s``, at most 15 min) it is not asked."""
        self._respect_pause(now)
        try:
            async with asyncio.timeout(CONTACT_WITHIN_S):
                return await self._contact(now)
        except TimeoutError as error:
            raise ProgramError(f"{self.options.base_url} took more than {CONTACT_WITHIN_S:g} s to tell all") from error
        except ProgramAnswerError as error:
            if error.retry_after_s is not None:
                self._not_before = now + timedelta(seconds=error.retry_after_s)
            raise

    def _respect_pause(self, now: datetime) -> None:
        if self._not_before is None:
            return
        rest_s = (self._not_before - now).total_seconds()
        if 0 < rest_s <= MOST_RETRY_AFTER_S:
            message = f"{self.options.base_url} asked to be left alone for another {rest_s:.0f} s"
            raise ProgramAnswerError(message, HTTPStatus.TOO_MANY_REQUESTS, rest_s)
        self._not_before = None

    async def _contact(self, now: datetime) -> ProgramNews:
        self._client.begin(now)
        problems: list[str] = []
        ven = await self._enrolment.meet(now, problems) if self.options.client_id else None
        self._programs = await self._read_programs(problems)
        rows = await self._read_events(ven, problems)
        gone, kept = await self._look_up_missing(rows, now)
        unheard = await self._look_up_alerts(rows, now)
        objects = await self._understand(rows, ven, problems)
        self._continue_under_new_ids(objects.values(), gone, now)
        events = await self._place(objects.values(), now, problems)
        self._given = {event.uid: event for event in [*kept, *events]}
        self._warned = unheard | dict(self._alerts(objects.values(), now))
        self._listed = tuple(self._as_listed(one, now) for one in objects.values())
        self._forget_all_but(_ids(rows) | unheard.keys())
        shown = problems[:MOST_PROBLEMS]
        alerts = tuple(alert for given in self._warned.values() for alert in given)
        events_known, skew_s = tuple(self._given.values()), self._client.clock_skew_s
        return ProgramNews(now, events_known, tuple(shown), skew_s, alerts, version=self._client.version)

    def _was_given_by_us(self, event: Event) -> bool:
        """Events by hand are of a program too, but not of its server."""
        return event.program_id == self.id and event.uid.startswith(f"{self.id}:") and not event.cancelled

    def _forget_all_but(self, listed: set[str]) -> None:
        kept = {own_id: one for own_id, one in self._memories.items() if own_id in listed or one.uid in self._given}
        self._memories = kept

    # --------------------------------------------------------------------------------------------------- what is listed

    async def _read_programs(self, problems: list[str]) -> dict[str, ProgramObject]:
        """The programs that are ours by the options; those of the last contact when none of them is listed any more."""
        listed: dict[str, ProgramObject] = {}
        for row in await self._client.pages("/programs"):
            try:
                program = read_program(row)
            except ObjectError as error:
                problems.append(str(error))
            else:
                listed[program.id] = program
        ours = {own_id: program for own_id, program in listed.items() if self._is_ours(program)}
        if ours or not self._filtered:
            return ours
        wanted = self.options.program_name or self.options.program_id
        offered = ", ".join(f'"{clean(program.name)}"' for program in list(listed.values())[:_MOST_NAMES_SHOWN])
        told = f'the server lists no program "{wanted}"; it lists {offered or "none"}'
        if not self._programs:
            raise ProgramError(f"{told}: correct the program's name or id")
        problems.append(f"{told[0].upper()}{told[1:]}.")
        return self._programs

    @property
    def _filtered(self) -> bool:
        return bool(self.options.program_name or self.options.program_id)

    def _is_ours(self, program: ProgramObject) -> bool:
        chosen = self.options
        return chosen.program_name in ("", program.name) and chosen.program_id in ("", program.id)

    async def _read_events(self, ven: VenObject | None, problems: list[str]) -> list[Any]:
        """All rows, asked for without targets and, since servers differ, also with those granted to us."""
        rows: list[Any] = []
        for query in [[("programID", own_id)] for own_id in self._programs] if self._filtered else [[]]:
            rows += await self._client.pages("/events", query)
            for targets in self._enrolment.target_queries() if ven is not None else ():
                try:
                    rows += await self._client.pages("/events", [*query, *targets])
                except ProgramAnswerError as error:
                    if error.status not in NOT_SERVED:
                        raise
                    problems.append(f"The server does not list events by our targets: {error}.")
        return rows

    async def _look_up_missing(self, rows: list[Any], now: datetime) -> tuple[list[Event], list[Event]]:
        """Look up by id what left the list: what is found joins ``rows``; returns the gone, and those not looked up."""
        listed = _ids(rows)
        standing = sorted((event for event in self._given.values() if event.end > now), key=attrgetter("start"))
        missing = [event for event in standing if self._id_of(event) not in listed]
        gone: list[Event] = []
        for event in missing[:MOST_LOOKUPS]:
            row = await self._look_up(self._id_of(event))
            if row is None:
                gone.append(event)
            else:
                rows.append(row)
        return gone, missing[MOST_LOOKUPS:]

    async def _look_up_alerts(self, rows: list[Any], now: datetime) -> dict[str, tuple[Alert, ...]]:
        """The same for what warns: a storm is not over because a list was short. Returns those not looked up."""
        listed = _ids(rows)
        missing = [
            own_id
            for own_id, alerts in self._warned.items()
            if own_id not in listed and any(alert.end is None or alert.end > now for alert in alerts)
        ]
        found = [await self._look_up(own_id) for own_id in missing[:MOST_LOOKUPS]]
        rows += [row for row in found if row is not None]
        return {own_id: self._warned[own_id] for own_id in missing[MOST_LOOKUPS:]}

    async def _look_up(self, own_id: str) -> Any | None:
        """The event's row, None when there is none for us (not found, or hidden although our token is good)."""
        try:
            return await self._client.get(f"/events/{own_id}")
        except ProgramDeniedError:
            return None
        except ProgramAnswerError as error:
            if error.status not in _GONE:
                raise
            return None

    def _id_of(self, event: Event) -> str:
        for own_id, memory in self._memories.items():
            if memory.uid == event.uid:
                return own_id
        return event.uid.removeprefix(f"{self.id}:")

    # ------------------------------------------------------------------------------------------------- what it means

    async def _understand(
        self, rows: Iterable[Any], ven: VenObject | None, problems: list[str]
    ) -> dict[str, EventObject]:
        """The events that are ours, by id; of two rows with one id the later counts."""
        found: dict[str, EventObject] = {}
        for row in rows:
            await asyncio.sleep(0)
            try:
                one = read_event(row, self._programs, consumption_positive=self.options.consumption_positive)
            except ObjectError as error:
                problems.append(str(error))
                continue
            if (not self._filtered or one.program_id in self._programs) and self._is_for_us(one, ven):
                found[one.id] = one
        return found

    def _is_for_us(self, one: EventObject, ven: VenObject | None) -> bool:
        """OpenADR 3.0.1 servers list what is meant for others too; those of 3.1 hide it."""
        personal = {target for target in one.typed_targets if target[0] not in ("PROGRAM_NAME", "EVENT_NAME")}
        granted = ven.typed_targets if ven is not None else frozenset()
        return not personal or ("VEN_NAME", self._enrolment.ven_name) in personal or not personal.isdisjoint(granted)

    async def _place(self, objects: Iterable[EventObject], now: datetime, problems: list[str]) -> list[Event]:
        """The events that stand, others getting their turn in between: laying out 10,000 slots takes 50 ms."""
        events: list[Event] = []
        for one in objects:
            await asyncio.sleep(0)
            event = self._event(one, now, problems)
            events += [] if event is None else [event]
        return events

    def _alerts(self, objects: Iterable[EventObject], now: datetime) -> Iterator[tuple[str, tuple[Alert, ...]]]:
        """By the event's own id, those that run or come. Their first sight is the event's."""
        for one in objects:
            if one.alerts:
                sight, uid = self._sight(one, now), self._memories[one.id].uid
                name = one.name or self.options.name
                yield one.id, tuple(alerts_of(one.alerts, one.schedule, sight, now, uid=uid, source=self.id, name=name))

    def _event(self, one: EventObject, now: datetime, problems: list[str]) -> Event | None:
        """The event in absolute times; None when it is over, cancelled, or asks nothing of us."""
        sight = self._sight(one, now)
        try:
            end = end_of(one.schedule, sight)
        except ScheduleError as error:
            problems.extend([] if one.alerts else [f"Event {one.id} was skipped: {error}."])
            return None
        if end is None and one.schedule.intervals and not one.schedule.cancelled:
            problems.append(f"Event {one.id} was skipped: it lasts no time.")
        if end is None or end <= now:
            return None
        problems.extend(one.problems)
        slots = resolve(one.schedule, sight, now)
        if not slots or slots[-1].end <= now:
            return None
        memory = self._memories[one.id]
        return Event(memory.uid, self.id, one.name or self.options.name, memory.seen_at, slots, one.priority)

    def _as_listed(self, one: EventObject, now: datetime) -> ListedEvent:
        sight, uid = self._sight(one, now), self._memories[one.id].uid
        program = self._programs.get(one.program_id)
        return ListedEvent(
            id=one.id,
            program_id=one.program_id,
            uid=uid,
            name=one.name,
            schedule=one.schedule,
            sight=sight,
            interval_ids=one.interval_ids,
            report_descriptors=one.report_descriptors,
            program_descriptors=() if program is None else program.report_descriptors,
            targets=one.targets,
            typed_targets=one.typed_targets,
        )

    def _sight(self, one: EventObject, now: datetime) -> Sight:
        """First sight and anchor, remembered from now on. An event changed to start "now" does so at this sight."""
        memory = self._memories.get(one.id) or self._recalled(one, now)
        if not one.schedule.starts_now:
            memory = replace(memory, anchor=None)
        elif memory.anchor is None:
            memory = replace(memory, anchor=now)
        self._memories[one.id] = memory
        return Sight(memory.seen_at, memory.anchor or memory.seen_at, self._seed)

    def _recalled(self, one: EventObject, now: datetime) -> _Memory:
        uid = f"{self.id}:{one.id}"
        event = self._given.get(uid)
        return _Memory(uid, now) if event is None else self._memory_of(event, one.schedule, now)

    def _memory_of(self, event: Event, schedule: Schedule, now: datetime) -> _Memory:
        """The memory behind an event given out before. What "now" meant follows from where its slots began."""
        seen_at = event.announced_at
        try:
            slots = resolve(schedule, Sight(seen_at, seen_at, self._seed), now)
        except ScheduleError:
            return _Memory(event.uid, seen_at, seen_at)
        if not slots or not {slot.start for slot in slots}.isdisjoint(slot.start for slot in event.slots):
            return _Memory(event.uid, seen_at, seen_at)
        return _Memory(event.uid, seen_at, max(seen_at, min(seen_at + (event.start - slots[0].start), now)))

    def _continue_under_new_ids(self, objects: Iterable[EventObject], gone: Sequence[Event], now: datetime) -> None:
        """A server restored from a backup gives an event a new id: the same name and slots go on as the same event."""
        fresh = [one for one in objects if one.id not in self._memories and f"{self.id}:{one.id}" not in self._given]
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
            return resolve(schedule, Sight(memory.seen_at, memory.anchor or memory.seen_at, self._seed), now)
        except ScheduleError:
            return ()


def _ids(rows: Iterable[Any]) -> set[str]:
    found = (object_id(row.get("id")) for row in rows if isinstance(row, dict))
    return {own_id for own_id in found if own_id is not None}
