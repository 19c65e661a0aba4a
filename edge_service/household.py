"""What people and utilities want: settings and events, changed by command, on disk before they count."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from edge_service.departures import local_date, next_time
from edge_service.domain import event_commands
from edge_service.domain.asked import Asked, CommandRefusedError
from edge_service.domain.commands import carry_out
from edge_service.domain.departure_commands import departure_plan, skip_departure
from edge_service.domain.memory import Memory
from edge_service.domain.model import (
    Alert,
    CapacityLimit,
    Event,
    Observation,
    Price,
    Program,
    Settings,
    SiteFacts,
    frozen_map,
)
from edge_service.domain.rehearsal_commands import rehearsal_event, rehearsal_to_cancel
from edge_service.domain.runtime_commands import QUESTIONS
from edge_service.domain.tally import Tally
from edge_service.intake import Intake
from edge_service.ports import Clock, Journal
from edge_service.programs.calendar_report import read_report
from edge_service.programs.manual import ManualEventError, by_hand, enter_event

LOG = logging.getLogger(__name__)

# What counts and is not on disk yet would be forgotten by a restart: it is written again and again.
KEEP_EVERY_S = 5.0
# So long a person's stop, which counts at once, waits for word from the disk.
STOP_AWAITS_DISK_S = 2.0
# What undoes a stop or matters in an outage counts although the disk fails. Everything else is refused then.
COUNTS_UNKEPT = frozenset(
    {
        "reset_stop",
        "set_mode",
        "set_at_end",
        "lend_reserve",
        "end_backup",
        "retry_backup",
        "postpone_return",
        "opt_out",
        "opt_in",
        "resume",
    }
)


class Books(Protocol):
    """What each program's season has come to."""

    def seasons(self, programs: Mapping[str, Program], now: datetime) -> Mapping[str, Tally]: ...


class Household:
    """``runner.People``, and the one place where commands are carried out, one at a time."""

    def __init__(
        self, settings: Settings, intake: Intake, journal: Journal, clock: Clock, books: Books | None = None
    ) -> None:
        self._settings, self._books = settings, books
        self._intake, self._journal, self._clock = intake, journal, clock
        self._one_at_a_time = asyncio.Lock()
        self._saving: set[asyncio.Task[Any]] = set()
        self._unkept: dict[str, tuple[Mapping[str, Any], datetime]] = {}
        self._keeping: asyncio.Task[None] | None = None
        self._presses = 0

    @property
    def settings(self) -> Settings:
        return self._settings

    def events(self) -> Sequence[Event]:
        return self._intake.events()

    def alerts(self) -> Sequence[Alert]:
        return self._intake.alerts()

    def capacity_limits(self) -> tuple[CapacityLimit, ...]:
        return self._intake.limits()

    def prices(self) -> tuple[Price, ...]:
        return self._intake.prices()

    def outage_over(self) -> None:
        """The utilities' limits of before count no more; written behind the cycle's back."""
        self._write_behind(self._intake.after_outage())

    def seasons(self, programs: Mapping[str, Program], now: datetime) -> Mapping[str, Tally]:
        return frozen_map() if self._books is None else self._books.seasons(programs, now)

    def replace_expired(self, settings: Settings) -> None:
        """Take over settings from which only time has taken something away; written behind the cycle's back."""
        self._settings = settings
        self._write_behind(self._save_expired())

    def _write_behind[T](self, saving: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(saving, name="save settings")
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)
        return task

    def press_stop(self) -> None:
        """The button of the site is pressed: stopped from now on, whatever the disk does. Cheap while it stands."""
        self._presses += 1
        if not self._settings.stopped:
            self._latch_stop({"by": "contact"})

    def _latch_stop(self, args: Mapping[str, Any]) -> asyncio.Task[bool]:
        """The task tells whether it could be written at the first attempt."""
        self._settings = replace(self._settings, stopped=True)
        return self._write_behind(self._kept("stop", args))

    async def _kept(self, command: str, args: Mapping[str, Any]) -> bool:
        """Whether what stands could be written, in its turn."""
        async with self._one_at_a_time:
            try:
                await self._journal.save_settings(self._settings, command, args, self._clock.now())
            except OSError as error:
                self._keep_trying(command, args, error)
                return False
            return True

    def _keep_trying(self, command: str, args: Mapping[str, Any], error: OSError) -> None:
        LOG.error("%s counts, but is not on disk: %s", command, error)
        self._unkept[command] = args, self._clock.now()
        if self._keeping is None or self._keeping.done():
            self._keeping = self._write_behind(self._keep())

    async def _keep(self) -> None:
        """Write what stands until everything that counts is on disk."""
        while self._unkept:
            await asyncio.sleep(KEEP_EVERY_S)
            async with self._one_at_a_time:
                await self._try_unkept()

    async def _try_unkept(self) -> None:
        try:
            for command, (args, at) in tuple(self._unkept.items()):
                await self._journal.save_settings(self._settings, command, args, at)
                del self._unkept[command]
        except OSError as error:
            LOG.error("%s: not on disk yet: %s", ", ".join(self._unkept), error)

    async def _save_expired(self) -> None:
        """In its turn, and what stands then: a command that was answered meanwhile must not be undone on disk."""
        try:
            async with self._one_at_a_time:
                await self._journal.save_settings(self._settings, "expire", {}, self._clock.now())
        except OSError as error:
            LOG.warning("settings not saved, they expire again after a restart: %s", error)

    async def carry_out(
        self,
        name: str,
        args: Mapping[str, Any],
        facts: SiteFacts,
        memory: Memory,
        *,
        local: bool,
        observation: Observation | None = None,
    ) -> Mapping[str, Any]:
        """Change settings or events; returns once that is on disk. Raises ``CommandRefusedError``.

        A question is answered at once: it waits for no other command and for no disk.
        With ``kept`` False in the answer it counts, but is not on disk yet. Raises OSError where it does not count.
        """
        if name == "stop":
            return await self._stop(args)
        if (question := QUESTIONS.get(name)) is not None:
            return question(Asked(args, self._settings, facts, memory, self._clock.now(), local, observation))
        presses = self._presses
        async with self._one_at_a_time:
            try:
                return await self._do(
                    name, Asked(args, self._settings, facts, memory, self._clock.now(), local, observation)
                )
            finally:
                if self._presses != presses and not self._settings.stopped:
                    self._latch_stop({"by": "meanwhile"})  # since it was asked; it wrote settings without the stop

    async def _do(self, name: str, asked: Asked) -> Mapping[str, Any]:
        special = self._special.get(name)
        if special is not None:
            return await special(self, asked)
        settings, stood = carry_out(name, asked), event_commands.told(name, asked)
        if name == "reset_stop":
            stood["stood"] = asked.settings.stopped
        try:
            await self._journal.save_settings(settings, name, asked.args, asked.now)
        except OSError as error:
            if name not in COUNTS_UNKEPT:
                raise
            self._keep_trying(name, asked.args, error)
            stood["kept"] = False
        self._settings = settings
        return stood

    async def _stop(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """A person's stop waits for nothing: neither for other commands nor for the disk."""
        self._presses += 1
        writing = self._latch_stop(args)
        await asyncio.wait({writing}, timeout=STOP_AWAITS_DISK_S)
        return {} if writing.done() and writing.result() else {"kept": False}

    async def _skip_departure(self, asked: Asked) -> Mapping[str, Any]:
        """Which time is the next needs the site's clock on the wall, so it is found here."""
        _, plan = departure_plan(asked)
        at = next_time(plan, asked.now, asked.facts.time_zone)
        settings = skip_departure(asked, at)
        await self._journal.save_settings(settings, "skip_departure", asked.args, asked.now)
        self._settings = settings
        return {} if at is None else {"skipped": at.isoformat()}

    async def _opt_out_day(self, asked: Asked) -> Mapping[str, Any]:
        return await self._change_day(asked, "opt_out_day")

    async def _opt_in_day(self, asked: Asked) -> Mapping[str, Any]:
        return await self._change_day(asked, "opt_in_day")

    async def _change_day(self, asked: Asked, name: str) -> Mapping[str, Any]:
        """Which date it is needs the site's clock on the wall, so it is found here."""
        asked.need_time_zone()
        settings = event_commands.DAY_COMMANDS[name](asked, local_date(asked.now, asked.facts.time_zone))
        await self._journal.save_settings(settings, name, asked.args, asked.now)
        self._settings = settings
        return {}

    async def _enter_event(self, asked: Asked) -> Mapping[str, Any]:
        program = asked.program()
        power_w = int(asked.number("power_w", 1, 1_000_000))
        try:
            event = enter_event(program, asked.text("name"), asked.time("start"), asked.time("end"), power_w, asked.now)
        except ManualEventError as error:
            raise CommandRefusedError(error.code, error.message, **_plain(error.data)) from error
        await self._intake.enter(event)
        await self._mean(event, asked)
        return {"event": event.uid}

    async def _mean(self, event: Event, asked: Asked) -> None:
        """Who enters an event anew that was left out and taken back means it."""
        if event.uid in self._settings.opted_out:
            settings = replace(self._settings, opted_out=self._settings.opted_out - {event.uid})
            await self._journal.save_settings(settings, "enter_event", asked.args, asked.now)
            self._settings = settings

    async def _set_calendar(self, asked: Asked) -> Mapping[str, Any]:
        report = read_report(asked, self._intake.events())
        await self._intake.report(report)
        return {"events": [event.uid for event in report.events], "problems": list(report.problems)}

    async def _cancel_event(self, asked: Asked) -> Mapping[str, Any]:
        uid = asked.text("event")
        event = next((event for event in self._intake.events() if event.uid == uid), None)
        if event is None:
            raise CommandRefusedError("unknown_event", f"no event {uid}", found=uid)
        if not by_hand(event):
            raise CommandRefusedError("not_by_hand", "the utility called this event; opt out of it instead")
        await self._intake.withdraw(uid)
        return {}

    async def _start_rehearsal(self, asked: Asked) -> Mapping[str, Any]:
        event = rehearsal_event(asked)
        await self._intake.enter(event)
        return {"event": event.uid, "start": event.start.isoformat(), "end": event.end.isoformat()}

    async def _cancel_rehearsal(self, asked: Asked) -> Mapping[str, Any]:
        await self._intake.withdraw(rehearsal_to_cancel(asked))
        return {}

    _special: Mapping[str, Callable[[Household, Asked], Awaitable[Mapping[str, Any]]]] = {
        "enter_event": _enter_event,
        "set_calendar": _set_calendar,
        "cancel_event": _cancel_event,
        "start_rehearsal": _start_rehearsal,
        "cancel_rehearsal": _cancel_rehearsal,
        "skip_departure": _skip_departure,
        "opt_out_day": _opt_out_day,
        "opt_in_day": _opt_in_day,
    }


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, int | float | str) else str(value) for key, value in data.items()}
