"""The events the site knows: polled from program servers, entered by hand, kept over a restart."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Protocol

from edge_service.announced import Announced, AnnouncedStore
from edge_service.domain.model import Alert, CapacityLimit, Event, Price
from edge_service.domain.storms import WITHOUT_WORD
from edge_service.domain.timeline import FOREVER, MOST_SLOTS
from edge_service.ports import (
    Clock,
    ProgramCredentialsError,
    ProgramError,
    ProgramNews,
    ProgramSource,
    WakesWhenNews,
)
from edge_service.programs.calendar_report import CalendarReport, reported
from edge_service.programs.manual import by_hand

LOG = logging.getLogger(__name__)

# After an event's end it stays in the process image this long, so that its account closes in a cycle, not in a race.
KEPT_AFTER_END = timedelta(seconds=30)
LONGEST_WAIT_S = 900.0
# Houses that lost a server together do not come back together: each waits up to this part longer.
SPREAD = 0.1
# Hints come in bursts, one per object and topic; a broker gone mad must not make us a burden to the server.
HINTS_APART_S = 1.0
# A server that let us in and then refuses us may have lost its keys for a while; a person is told after this.
REFUSED_FOR = timedelta(hours=1)
# No region has so many warnings at once; more are a mistake, and each costs time in every cycle.
MOST_ALERTS = 100
# A season has some sixty events. With these, and so many slots in all, a decision takes a twentieth of a second.
MOST_EVENTS = 100


class Judge(Protocol):
    """Says of events how they stand to their programs' rules."""

    def judged(self, events: Iterable[Event]) -> list[Event]: ...

    async def keep(self, events: Iterable[Event]) -> None: ...


class EventStore(AnnouncedStore, Protocol):
    """Where known events, alerts, limits and prices are kept."""

    async def save_events(self, events: Sequence[Event]) -> None: ...

    async def save_alerts(self, alerts: Sequence[Alert]) -> None: ...


@dataclass(frozen=True, slots=True)
class Contact:
    """How it stands with a program's server. ``connected`` None: never asked yet.

    ``credentials_refused``: a person must act, as far as we can tell.
    """

    connected: bool | None = None
    last_at: datetime | None = None
    problem: str | None = None
    credentials_refused: bool = False
    version: str | None = None


@dataclass(slots=True)
class _Refusals:
    """How long a server refuses us without a break. ``proven``: these credentials were good before."""

    proven: bool = False
    _since_s: float | None = None

    def count(self, error: ProgramError, at_s: float) -> bool:
        """Whether a person must act: at once where the credentials never worked, else after ``REFUSED_FOR``.

        No answer is no forgiveness: the time since the first refusal goes on.
        """
        if isinstance(error, ProgramCredentialsError) and self._since_s is None:
            self._since_s = at_s
        if self._since_s is None:
            return False
        return not self.proven or at_s - self._since_s >= REFUSED_FOR.total_seconds()


class Intake:
    """Holds the known events, limits and prices of all programs, and the alerts of all who warn.

    ``changed`` is called when they or a contact changed. ``clock_offset_ms``: how far our clock is ahead of that of the
    last server that told one; None: none did.
    """

    def __init__(
        self,
        clock: Clock,
        store: EventStore,
        known: Sequence[Event],
        changed: Callable[[], None],
        alerts: Sequence[Alert] = (),
        *,
        chance: Callable[[], float] = random.random,
        judge: Judge | None = None,
        announced: Announced | None = None,
    ) -> None:
        """``chance`` gives numbers from 0 to below 1. ``announced``: the limits and prices that are known."""
        self._announced = announced or Announced(store)
        self.clock_offset_ms: float | None = None
        self._hints: dict[str, asyncio.Event] = {}
        self._chance, self._judge = chance, judge
        self._clock, self._store, self._changed = clock, store, changed
        self._alerts: dict[str, Alert] = {alert.id: alert for alert in alerts}
        self._alerts_kept = True
        self._heard_at = dict.fromkeys({alert.source for alert in alerts}, clock.now())
        self._events: dict[str, Event] = {event.uid: event for event in known}
        self._cut_short_at: dict[str, datetime] = {}
        self.contacts: dict[str, Contact] = {}
        self._one_at_a_time = asyncio.Lock()

    def events(self) -> Sequence[Event]:
        """Events that run or come, and those just over."""
        now = self._clock.now()
        return [event for event in self._events.values() if self._is_kept(event, now)]

    def _is_kept(self, event: Event, now: datetime) -> bool:
        """Whether it runs, comes or is just over: by its end, or since it was cut to a time that had passed."""
        return now < max(event.end, self._cut_short_at.get(event.uid, event.end)) + KEPT_AFTER_END

    def alerts(self) -> Sequence[Alert]:
        """Alerts that run or come. One without an end is dropped when its source is silent for long."""
        now = self._clock.now()
        return [alert for alert in self._alerts.values() if self._stands(alert, now)]

    def _stands(self, alert: Alert, now: datetime) -> bool:
        if alert.end is not None:
            return now < alert.end
        return now - self._heard_at.get(alert.source, now) < WITHOUT_WORD

    def limits(self) -> tuple[CapacityLimit, ...]:
        """The capacity limits of all utilities that run or come."""
        return self._announced.limits(self._clock.now())

    def prices(self) -> tuple[Price, ...]:
        """The prices of all utilities that count now or later."""
        return self._announced.prices(self._clock.now())

    async def after_outage(self) -> None:
        """The grid is back: of the limits only those subscribed count until each server, asked at once, has spoken."""
        for hint in self._hints.values():
            hint.set()
        if self._announced.after_outage():
            self._changed()
            await self._keep_announced("after an outage")

    async def _announce(self, program: str, news: ProgramNews) -> None:
        if self._announced.say(program, news.limits, news.prices, self._clock.now()):
            self._changed()
        await self._keep_announced(program)

    async def _keep_announced(self, source: str) -> None:
        try:
            await self._announced.keep()
        except OSError as error:
            LOG.error("%s: its limits and prices count, but are not on disk: %s", source, error)

    async def warn(self, source: str, alerts: Sequence[Alert]) -> None:
        """All alerts that stand by this source's word, a program's or Home Assistant's: others of its are over.

        They count at once: being prepared for a storm harms nobody. Raises OSError where a restart would forget them.
        """
        self._heard_at[source], now = self._clock.now(), self._clock.now()
        others = {alert.id: alert for alert in self._alerts.values() if alert.source != source}
        said = {alert.id: alert for alert in sorted(alerts, key=attrgetter("start"))[:MOST_ALERTS]}
        merged = {own_id: alert for own_id, alert in (others | said).items() if self._stands(alert, now)}
        if merged != self._alerts:
            self._alerts, self._alerts_kept = merged, False
            self._changed()
        if not self._alerts_kept:
            await self._store.save_alerts(list(merged.values()))
            self._alerts_kept = True

    def known_of(self, program: str) -> list[Event]:
        """The events of one program."""
        return [event for event in self._events.values() if event.program_id == program]

    async def enter(self, event: Event) -> None:
        """Take an event entered by hand; returns when it is on disk."""
        async with self._one_at_a_time:
            await self._put(event.program_id, [*self.known_of(event.program_id), event])

    async def withdraw(self, uid: str) -> None:
        """Drop an event entered by hand; returns when that is on disk."""
        async with self._one_at_a_time:
            event = self._events.get(uid)
            if event is not None:
                others = [known for known in self.known_of(event.program_id) if known.uid != uid]
                await self._put(event.program_id, others)

    async def report(self, report: CalendarReport) -> None:
        """Take what a client tells of a calendar that it watches; returns when it is on disk."""
        async with self._one_at_a_time:
            told = {event.uid for event in report.events}
            known = self.known_of(report.program_id)
            others = [event for event in known if event.uid not in told and not report.replaces(event)]
            await self._put(report.program_id, [*others, *report.events])

    async def judge_anew(self) -> None:
        """The programs' rules have changed. Raises OSError; then the events stand as they were judged before."""
        async with self._one_at_a_time:
            await self._put("", [])

    async def forget(self, program: str) -> None:
        """A program that is followed no more: nothing of it is served. Raises OSError; then its events still are."""
        self.contacts.pop(program, None)
        await self.warned_by(program, ())
        await self._announce(program, ProgramNews(self._clock.now(), ()))
        async with self._one_at_a_time:
            await self._put(program, [])
        self._changed()

    async def poll(self, source: ProgramSource) -> None:
        """Ask the source for ever. Its trouble changes no event: what was accepted runs to its end.

        A source that hears of news is asked at once, and as often as others besides: a hint may be lost.
        """
        hint = self._hints[source.id] = asyncio.Event()
        listening = asyncio.create_task(self._listen(source, hint.set), name=f"hints of {source.id}")
        try:
            await self._poll(source, hint)
        finally:
            if self._hints.get(source.id) is hint:
                del self._hints[source.id]
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _poll(self, source: ProgramSource, hint: asyncio.Event) -> None:
        failures, refusals = 0, _Refusals()
        while True:
            hint.clear()
            try:
                await self.contact(source)
            except ProgramError as error:
                failures += 1
                told = refusals.count(error, self._clock.monotonic())
                self._lost(source.id, error, credentials_refused=told)
                await self._wait_failed(source, error, failures, hint)
            else:
                failures, refusals = 0, _Refusals(proven=True)
                await _rest(source.poll_s, hint, at_least_s=HINTS_APART_S)

    async def contact(self, source: ProgramSource) -> None:
        """Ask once, and take what is told. Raises ``ProgramError``; then nothing has changed."""
        news = bounded(await self._ask(source))
        self._found(source.id, news)
        await self._take(source.id, news.events)
        await self.warned_by(source.id, news.alerts)
        await self._announce(source.id, news)

    async def _wait_failed(
        self, source: ProgramSource, error: ProgramError, failures: int, hint: asyncio.Event
    ) -> None:
        """A hint shortens our own patience to the poll period; not the pause for which the server asked."""
        wait_s = self._backoff_s(source, error, failures)
        asked = getattr(error, "retry_after_s", None) is not None
        await _rest(wait_s, hint, at_least_s=wait_s if asked else min(source.poll_s, wait_s))

    async def _listen(self, source: ProgramSource, wake: Callable[[], None]) -> None:
        if not isinstance(source, WakesWhenNews):
            return
        try:
            await source.hear(wake)
        except Exception:  # push only saves time: polling goes on without it
            LOG.exception("program %s: a defect in listening for news; it is polled as before", source.id)

    async def _ask(self, source: ProgramSource) -> ProgramNews:
        try:
            return await source.poll(self._clock.now())
        except ProgramError:
            raise
        except Exception as error:  # what a utility sends must never end the control of the house
            LOG.exception("program %s: a defect in reading it", source.id)
            raise ProgramError(f"a defect in reading the program: {error!r}") from error

    def _found(self, program: str, news: ProgramNews) -> None:
        before = self.contacts.get(program, Contact())
        problem = "; ".join(news.problems) or None
        if problem is not None and problem != before.problem:
            LOG.warning("program %s: passed over: %s", program, problem)
        self.contacts[program] = Contact(True, news.at, problem, version=news.version)
        if news.clock_skew_s is not None:
            self.clock_offset_ms = news.clock_skew_s * 1000
        if before.connected is not True:
            self._changed()

    async def _take(self, program: str, events: Sequence[Event]) -> None:
        """Take what the server says beside what people entered. What cannot be kept is not promised."""
        try:
            async with self._one_at_a_time:
                entered = [event for event in self.known_of(program) if by_hand(event) or reported(event)]
                await self._put(program, [*events, *entered])
        except OSError as error:
            LOG.error("program %s: its events could not be kept, the former ones stand: %s", program, error)
        except Exception:  # what a utility sends must never end the control of the house
            LOG.exception("program %s: a defect in judging its events, the former ones stand", program)

    async def warned_by(self, source: str, alerts: Sequence[Alert]) -> None:
        """As ``warn``; a failing disk is noted and tried again with the next word."""
        try:
            await self.warn(source, alerts)
        except OSError as error:
            LOG.error("%s: its alerts count, but are not on disk: %s", source, error)

    def _lost(self, program: str, error: ProgramError, *, credentials_refused: bool) -> None:
        before = self.contacts.get(program, Contact())
        if before.connected is not False:
            LOG.warning("program %s: %s", program, error)
        self.contacts[program] = replace(
            before, connected=False, problem=str(error), credentials_refused=credentials_refused
        )
        self._changed()

    def _backoff_s(self, source: ProgramSource, error: ProgramError, failures: int) -> float:
        """The server's own wish, else the poll period doubled up to five minutes; somewhat longer by chance."""
        asked_s = getattr(error, "retry_after_s", None)
        own_s = min(source.poll_s * 2.0 ** min(failures - 1, 6), 300.0)
        wait_s = own_s if asked_s is None else float(asked_s)
        return min(wait_s * (1 + SPREAD * self._chance()), LONGEST_WAIT_S)

    async def _put(self, program: str, events: list[Event]) -> None:
        """Replace a program's events: on disk first, so that an event that runs was kept before it ran."""
        now = self._clock.now()
        kept = {event.uid: event for event in self._events.values() if event.program_id != program}
        merged = kept | {event.uid: event for event in events if event.slots}
        self._cut_short_at = self._cut_short(merged, now)
        over = {
            e.uid: e for e in self.known_of(program) if e.uid not in merged and e.end <= now and self._is_kept(e, now)
        }
        merged = {uid: event for uid, event in (merged | over).items() if self._is_kept(event, now)}
        if self._judge is not None:
            merged = {event.uid: event for event in self._judge.judged(merged.values())}
        if merged == self._events:
            return
        await self._store.save_events(list(merged.values()))
        if self._judge is not None:
            await self._judge.keep(merged.values())
        self._events = merged
        self._changed()

    def _cut_short(self, told: Mapping[str, Event], now: datetime) -> dict[str, datetime]:
        """Events that ran and are over since this word, and when that came: their accounts have to close, too."""
        found = {uid: at for uid, at in self._cut_short_at.items() if now < at + KEPT_AFTER_END}
        for uid, event in told.items():
            known = self._events.get(uid)
            if known is not None and known.start <= now < known.end and event.end <= now:
                found[uid] = now
        return found


def bounded(news: ProgramNews) -> ProgramNews:
    """The events that come next, as many as a cycle can look at; a later contact brings those after them."""
    taken: list[Event] = []
    room = MOST_SLOTS
    for event in sorted(news.events, key=_by_start):
        if len(taken) < MOST_EVENTS and len(event.slots) <= room:
            room -= len(event.slots)
            taken.append(event)
    if len(taken) == len(news.events):
        return news
    told = f"Of {len(news.events)} events {len(taken)} are taken, those that come next; the others are too many."
    return replace(news, events=tuple(taken), problems=(told, *news.problems))


def _by_start(event: Event) -> tuple[datetime, str]:
    return event.start if event.slots else FOREVER, event.uid


async def _rest(wait_s: float, hint: asyncio.Event, *, at_least_s: float) -> None:
    """Wait so long, or until a hint comes, then ``at_least_s`` all the same."""
    least_s = min(at_least_s, wait_s)
    await asyncio.sleep(least_s)
    try:
        async with asyncio.timeout(wait_s - least_s):
            await hint.wait()
    except TimeoutError:
        return
