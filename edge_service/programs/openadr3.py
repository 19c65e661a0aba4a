"""An OpenADR 3.1 program by polling: enrol, read programs and events, say which events stand.

A failed contact is never an empty list, and an event is gone only when the server says so of that event by its id.
Nothing is kept on disk here: the events last given out, handed in again as ``known``, bring back first sights, the
meaning of "now" and random starts.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from operator import attrgetter
from typing import Any, Self

import aiohttp

from edge_service.domain.model import Event, Program
from edge_service.domain.timeline import ScheduleError, Sight, end_of, resolve
from edge_service.ports import Clock, FilingStore, Measured, ProgramError, ProgramNews
from edge_service.programs.openadr3_beside import Beside, alerts_in, beside, limits_in, prices_in
from edge_service.programs.openadr3_client import (
    MOST_RETRY_AFTER_S,
    OpenAdr3Client,
    ProgramAnswerError,
    ProgramDeniedError,
)
from edge_service.programs.openadr3_clock import ClockWatch
from edge_service.programs.openadr3_enrolment import NOT_SERVED, Enrolment
from edge_service.programs.openadr3_listed import ListedEvent, equal_ranks
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
from edge_service.programs.openadr3_push import Push
from edge_service.programs.openadr3_reporter import House, Reporter
from edge_service.programs.openadr3_sights import Sights

# Events looked up by id in one contact; others that left the list stay as they were until the next.
MOST_LOOKUPS = 20
MOST_PROBLEMS = 50
# Slots of all events together: three that repeat a minute for days; more would fill the memory of a small machine.
MOST_LAID_OUT = 30_000
# All requests of one contact together; each has its own, shorter time.
CONTACT_WITHIN_S = 60.0
_MOST_NAMES_SHOWN = 5

_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


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
        self._push = Push(self._client, options.access, options.push_terms)
        self._given = {event.uid: event for event in known if self._was_given_by_us(event)}
        self._sights = Sights(options.id, self._seed)
        self._clocks = ClockWatch(options.most_skew_s)
        self._beside: dict[str, Beside] = {}
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

    async def file_reports(self, measured: Measured, store: FilingStore, clock: Clock) -> None:
        """As ``ports.FilesReports``: what the events of the last contact ask for, and nothing before the first."""
        await self.reporter(measured, store, clock).run()

    def reporter(self, measured: Measured, store: FilingStore, clock: Clock) -> Reporter:
        """Who makes and sends them, for one who keeps the time himself."""
        house = House(
            program=self.id,
            scope=self.program.measured_at,
            sign=1 if self.options.consumption_positive else -1,
            client=lambda: self._enrolment.ven_name,
            resource=lambda: self._enrolment.resource_name,
            names=self._names,
            listed=self.listed,
        )
        return Reporter(house, self._client, measured, store, clock)

    def _names(self) -> frozenset[str] | None:
        """What we go by in the targets of a wish for reports; None: the server did not tell."""
        ven = self._enrolment.ven
        if ven is None:
            return None
        granted = (*ven.targets, *(value for _, value in ven.typed_targets))
        return frozenset({self._enrolment.ven_name, self._enrolment.resource_name, *granted})

    async def close(self) -> None:
        await self._client.close()

    async def hear(self, wake: Callable[[], None]) -> None:
        """As ``ports.WakesWhenNews``: by the server's MQTT broker, where it has one."""
        await self._push.hear(wake)

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
        self._push.about(None if ven is None else ven.id, self._programs if self._filtered else ())
        problems.extend([self._push.problem] if self._push.problem else [])
        rows = await self._read_events(ven, problems)
        gone, kept = await self._look_up_missing(rows, now)
        unheard = await self._look_up_beside(rows, now)
        objects = await self._understand(rows, ven, problems)
        self._sights.continue_under_new_ids(objects.values(), gone, now, self._given)
        said = unheard | await self._place_beside(objects.values(), now)
        events = await self._place(objects.values(), now, problems)
        events = self._clocks.doubted([*kept, *events], self._client.clock_skew_s, self._given, now)
        self._given, self._beside = {event.uid: event for event in events}, said
        self._listed = tuple(self._as_listed(one, now) for one in objects.values())
        self._sights.forget_all_but(_ids(rows) | unheard.keys(), self._given)
        return self._news(now, problems)

    def _news(self, now: datetime, problems: list[str]) -> ProgramNews:
        said = self._beside.values()
        first = (self._clocks.problem(self._client.clock_skew_s), equal_ranks(self._given.values()))
        problems = [problem for problem in first if problem is not None] + problems
        return ProgramNews(
            at=now,
            events=tuple(self._given.values()),
            problems=tuple(problems[:MOST_PROBLEMS]),
            clock_skew_s=self._client.clock_skew_s,
            alerts=alerts_in(said),
            limits=limits_in(said),
            prices=prices_in(said),
            version=self._client.version,
        )

    def _was_given_by_us(self, event: Event) -> bool:
        """Events by hand are of a program too, but not of its server."""
        return event.program_id == self.id and event.uid.startswith(f"{self.id}:") and not event.cancelled

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
        missing = [event for event in standing if self._sights.id_of(event.uid) not in listed]
        gone: list[Event] = []
        for event in missing[:MOST_LOOKUPS]:
            row = await self._look_up(self._sights.id_of(event.uid))
            if row is None:
                gone.append(event)
            else:
                rows.append(row)
        return gone, missing[MOST_LOOKUPS:]

    async def _look_up_beside(self, rows: list[Any], now: datetime) -> dict[str, Beside]:
        """The same for what warns, limits or prices: a storm is not over because a list was short.

        Returns those not looked up.
        """
        listed = _ids(rows)
        missing = [own_id for own_id, said in self._beside.items() if own_id not in listed and said.stands(now)]
        found = [await self._look_up(own_id) for own_id in missing[:MOST_LOOKUPS]]
        rows += [row for row in found if row is not None]
        return {own_id: self._beside[own_id] for own_id in missing[MOST_LOOKUPS:]}

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

    # ------------------------------------------------------------------------------------------------- what it means

    async def _understand(
        self, rows: Iterable[Any], ven: VenObject | None, problems: list[str]
    ) -> dict[str, EventObject]:
        """The events that are ours, by id; of two rows with one id the later counts."""
        found: dict[str, EventObject] = {}
        for row in rows:
            await asyncio.sleep(0)
            try:
                one = read_event(row, self._programs, self.options.meaning)
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
        """The events that stand, others getting their turn in between: laying out 10,000 slots takes 50 ms.

        Those that stood before come first: what else a server lists must not crowd them out.
        """
        events: list[Event] = []
        room = MOST_LAID_OUT
        for one in sorted(objects, key=lambda one: self._sights.uid_of(one.id) not in self._given):
            await asyncio.sleep(0)
            if room <= 0:
                problems.insert(0, f"Only events with {MOST_LAID_OUT} slots in all are read; the others were skipped.")
                break
            event = self._event(one, now, problems)
            events += [] if event is None else [event]
            room -= 0 if event is None else len(event.slots)
        return events

    async def _place_beside(self, objects: Iterable[EventObject], now: datetime) -> dict[str, Beside]:
        """By the event's own id. Their first sight is the event's."""
        said: dict[str, Beside] = {}
        for one in objects:
            await asyncio.sleep(0)
            sight, uid = self._sight(one, now), self._sights.uid_of(one.id)
            # Several kinds of many stretches each take longer than the fast lane may wait.
            found = await asyncio.to_thread(beside, one, sight, now, uid=uid, program=self.id, name=self.options.name)
            if found is not None:
                said[one.id] = found
        return said

    def _sight(self, one: EventObject, now: datetime) -> Sight:
        return self._sights.of(one, now, self._given)

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
        uid = self._sights.uid_of(one.id)
        if end is None or (end <= now and not self._ran(uid, now)):
            return None
        problems.extend(one.problems)
        slots = resolve(one.schedule, sight, now)
        if not slots or (slots[-1].end <= now and not self._ran(uid, now)):
            return None
        return Event(uid, self.id, one.name or self.options.name, sight.seen_at, slots, one.priority)

    def _ran(self, uid: str, now: datetime) -> bool:
        """It ran as given out last: what cuts it to a time that has passed is given out, once."""
        given = self._given.get(uid)
        return given is not None and given.start <= now < given.end

    def _as_listed(self, one: EventObject, now: datetime) -> ListedEvent:
        sight, uid = self._sight(one, now), self._sights.uid_of(one.id)
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


def _ids(rows: Iterable[Any]) -> set[str]:
    found = (object_id(row.get("id")) for row in rows if isinstance(row, dict))
    return {own_id for own_id in found if own_id is not None}
