"""Makes the reports that the events of one OpenADR 3 program ask for, when they are due, and sees that they get there.

Nothing is reported that no descriptor asks for: while a report stands, servers refuse to delete its event.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from edge_service.domain.model import Scope
from edge_service.domain.timeline import FOREVER, ScheduleError, Sight
from edge_service.ports import Clock, Filing, FilingStage, FilingStore, Live, Measured
from edge_service.programs.openadr3_descriptors import Descriptor, Spacing, read_descriptors
from edge_service.programs.openadr3_filing import Outbox, Post
from edge_service.programs.openadr3_listed import ListedEvent
from edge_service.programs.openadr3_payloads import (
    KINDS,
    LONGEST_MEANT,
    MINUTE,
    Known,
    Rows,
    Seen,
    body,
    needs_rows,
    qualities,
    span,
    spans_of,
)
from edge_service.programs.openadr3_reports import (
    PART,
    Due,
    Line,
    Reported,
    due,
    first_asked,
    intervals,
    last_due,
)
from edge_service.programs.openadr3_sightings import Sightings
from edge_service.programs.openadr3_standing import standing

LOG = logging.getLogger(__name__)

TICK_S = 5.0
# The row of an interval's last minute is written with the first cycle after it; ten seconds is the slowest.
ROWS_AFTER = timedelta(seconds=15)
# What was not known is looked for again so often, for so long.
CORRECT_EVERY = timedelta(minutes=5)
CORRECT_WITHIN = timedelta(hours=24)
# Reports that fell due while nothing ran; older ones are of no use to anybody.
MOST_CAUGHT_UP = 200
# A cycle that is older shows nothing of now.
LIVE_WITHIN = timedelta(seconds=30)
# Reports whose time is ours: at once where a word changes, not more often than this where a number does.
AD_HOC_EVERY = timedelta(minutes=5)
AD_HOC_SHARE = 0.1
# No more events are asked about at once, and what takes longer than a few milliseconds is made beside the control.
MOST_ASKING = 200
MOST_AT_ONCE = 2000
# What was filed is not needed any more; that it was filed is.
BODIES_KEPT = timedelta(days=3)
# An event that left the list is remembered so long.
FORGOTTEN_AFTER = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class House:
    """Who reports to whom. ``names``: what we go by in targets; None: not known. ``sign`` as in ``Known``.

    ``scope``: where the program measures, as long as the site does not know better.
    """

    program: str
    scope: Scope
    sign: int
    client: Callable[[], str]
    resource: Callable[[], str]
    names: Callable[[], frozenset[str] | None]
    listed: Callable[[], tuple[ListedEvent, ...]]


@dataclass(frozen=True, slots=True)
class _Asking:
    """An event with what it asks for of one who goes by ``names``, laid out. ``idle_until``: per wish, by its key."""

    event: ListedEvent
    sight: Sight
    names: frozenset[str] | None
    wishes: tuple[Descriptor, ...]
    line: Line
    idle_until: dict[str, datetime] = field(default_factory=dict)

    def is_open(self, now: datetime) -> bool:
        """Whether a report at a time of our own choice is welcome."""
        if self.line.start is None:
            return not self.event.schedule.intervals
        return self.line.start <= now < self.line.end


class Reporter:
    """One program's reports: what is asked, made and sent. ``step`` does all that is due by then.

    ``trouble``: what kept the last one of ``run`` from it; empty: nothing.
    """

    def __init__(self, house: House, post: Post, measured: Measured, store: FilingStore, clock: Clock) -> None:
        self._house, self._measured, self._clock = house, measured, clock
        self._outbox = Outbox(house.program, post, store)
        self._sightings = Sightings(house.program, store)
        self._asking: dict[str, _Asking] = {}
        self._told: set[str] = set()
        self._opened = False
        self.trouble = ""
        self._tidied_at: datetime | None = None

    async def run(self) -> None:
        """For ever. Whatever a utility asks for, it must never end the control of the house."""
        while True:
            try:
                await self.step(self._clock.now())
                self.trouble = ""
            except Exception as error:  # as in the intake
                if repr(error) != self.trouble:
                    LOG.exception("program %s: no reports are made", self._house.program)
                self.trouble = repr(error)
            await asyncio.sleep(TICK_S)

    async def step(self, now: datetime) -> None:
        """Look at the house, make what is due, send what waits. Raises OSError; nothing is lost by that."""
        if not self._opened:
            await self._outbox.open()
            await self._sightings.open()
            self._opened = True
        self._understand(now)
        live = self._live(now)
        for asking in self._asking.values():
            await asyncio.sleep(0)  # others' turn: a server may list a thousand events
            self._look(asking, live, now)
            for wish in asking.wishes:
                await self._make(asking, wish, live, now)
        if self._tidied_at is None or not timedelta() <= now - self._tidied_at < CORRECT_EVERY:
            self._tidied_at = now
            await self._correct(now)
            await self._forget(now)
        await self._sightings.save(now)
        await self._outbox.send(now)

    # ------------------------------------------------------------------------------------------------ what is asked

    def _understand(self, now: datetime) -> None:
        """What the events of the last contact ask for; before the first nothing.

        One that leaves the list before its end was taken back; after it, a server may only list what is not over.
        """
        names = self._house.names()
        listed = {event.id: event for event in self._house.listed()}
        found = {
            event_id: asking
            for event_id, asking in self._asking.items()
            if event_id not in listed and timedelta() <= now - asking.line.end < CORRECT_WITHIN
        }
        for event in listed.values():
            if not event.report_descriptors:
                continue
            sight, known = self._sightings.sight(event), self._asking.get(event.id)
            if known is not None and (known.event, known.sight, known.names) == (event, sight, names):
                found[event.id] = known
            elif len(found) < MOST_ASKING and (asking := self._read(event, sight, names)) is not None:
                found[event.id] = asking
        self._asking = found

    def _read(self, event: ListedEvent, sight: Sight, names: frozenset[str] | None) -> _Asking | None:
        problems: list[str] = []
        wishes = tuple(self._wishes(event, names, problems))
        line = None
        try:
            line = Line(event.schedule, sight, event.interval_ids)
        except ScheduleError as error:
            problems.append(f"no report is sent: {error}")
        self._say(event, problems)
        if line is None or not wishes or (event.schedule.cancelled and event.schedule.intervals):
            return None
        return _Asking(event, sight, names, wishes, line)

    @staticmethod
    def _wishes(event: ListedEvent, names: frozenset[str] | None, problems: list[str]) -> Iterable[Descriptor]:
        for wish in read_descriptors(event.report_descriptors, event.program_descriptors, problems):
            if names is not None and not wish.is_for(names):
                continue
            if wish.payload in KINDS:
                yield wish
            elif wish.payload != "DATA_QUALITY":  # which stands beside every value
                problems.append(f"{wish.payload} is not reported: Ridethrough does not know it")

    def _say(self, event: ListedEvent, problems: list[str]) -> None:
        for problem in problems:
            text = f"event {event.id}: {problem}"
            if text not in self._told and len(self._told) < MOST_CAUGHT_UP:
                self._told.add(text)
                LOG.warning("program %s: %s", self._house.program, text)

    # ---------------------------------------------------------------------------------------------- how it stands now

    def _live(self, now: datetime) -> Live | None:
        live = self._measured.live()
        return live if live is not None and abs(now - live.decision.at) <= LIVE_WITHIN else None

    def _look(self, asking: _Asking, live: Live | None, now: datetime) -> None:
        """Remember how the house stands towards this event, as far as a report will want to know it."""
        if live is None:
            return
        wanted = any(not needs_rows(wish.payload) and not wish.ad_hoc for wish in asking.wishes)
        place = asking.line.at_moment(now) if wanted else None
        one = None if place is None else asking.line.at(place)
        if one is not None:
            part = one.start + (now - one.start) // PART * PART
            self._sightings.see(asking.event.id, {one.start, part}, self._seen(asking, live))

    @staticmethod
    def _seen(asking: _Asking, live: Live) -> Seen:
        return Seen(live.decision.at, standing(live, asking.event.uid))

    # ------------------------------------------------------------------------------------------------- what is made

    async def _make(self, asking: _Asking, wish: Descriptor, live: Live | None, now: datetime) -> None:
        if live is not None and any(one.rehearsal and one.uid == asking.event.uid for one in live.observation.events):
            return
        if wish.ad_hoc:
            await self._make_ad_hoc(asking, wish, live, now)
            return
        moment = now - (ROWS_AFTER if needs_rows(wish.payload) else timedelta())
        if moment < asking.idle_until.get(wish.key, moment):
            return
        newest = last_due(wish, asking.line, moment)
        following = due(wish, asking.line, 0 if newest is None else newest + 1)
        if newest is not None:
            await self._make_due(asking, wish, newest, live, now)
        asking.idle_until[wish.key] = FOREVER if following is None else following.at

    async def _make_due(self, asking: _Asking, wish: Descriptor, newest: int, live: Live | None, now: datetime) -> None:
        """Those up to ``newest`` that were not made yet; of forecasts only that one."""
        made = self._outbox.last(asking.event.id, wish.key)
        number = max(first_asked(wish, asking.line, asking.sight), 0 if made is None else made.number + 1)
        number = max(number, newest if not wish.historical else newest - MOST_CAUGHT_UP + 1)
        for one in (due(wish, asking.line, each) for each in range(number, newest + 1)):
            if one is not None:
                await self._outbox.keep(await self._filing(asking, wish, one, live, now))

    async def _filing(self, asking: _Asking, wish: Descriptor, one: Due, live: Live | None, now: datetime) -> Filing:
        told = intervals(wish, asking.line, one)
        made = await self._body(asking, wish, told, one.number, live, now)
        final = not needs_rows(wish.payload) or set(qualities(made)) == {"OK"}
        return Filing(self._house.program, asking.event.id, wish.key, one.number, one.at, made, final=final)

    async def _body(
        self, asking: _Asking, wish: Descriptor, told: list[Reported], number: int, live: Live | None, now: datetime
    ) -> dict[str, Any]:
        event, house = asking.event, self._house
        last = self._measured.live()
        chargers = () if last is None else tuple(last.facts.chargers)
        program = None if last is None else last.facts.programs.get(house.program)
        scope = house.scope if program is None else program.measured_at
        start, end = told[0].start, min(max(one.end for one in told), now)
        rows = await self._rows(start, end) if needs_rows(wish.payload) else {}
        baseline = await self._measured.baseline(event.uid) if wish.payload == "BASELINE" else None
        seen = self._sightings.seen(event.id)
        known = Known(now, scope, chargers, rows, seen, sign=house.sign, baseline=baseline)
        known = known if live is None else replace(known, now_seen=self._seen(asking, live))
        name = f"{wish.payload} {wish.key} {_house_mark(house)} {number}"
        make = partial(body, event_id=event.id, name=name, client=house.client(), house=house.resource())
        large = len(rows) + len(told) > MOST_AT_ONCE
        report = await asyncio.to_thread(make, wish, told, known) if large else make(wish, told, known)
        return {"programID": event.program_id} | report

    async def _rows(self, start: datetime, end: datetime) -> Rows:
        """What was measured; nothing where it cannot be read now: then that is missing, and looked for again."""
        try:
            return await self._measured.minutes(max(start, end - LONGEST_MEANT), end) if start < end else {}
        except OSError as error:
            LOG.error("program %s: what was measured cannot be read: %s", self._house.program, error)
            return {}

    async def _make_ad_hoc(self, asking: _Asking, wish: Descriptor, live: Live | None, now: datetime) -> None:
        """One when it is first asked, then where something changed: a further one if so many are wanted, else anew."""
        if live is None or not asking.is_open(now):
            return
        last = self._outbox.last(asking.event.id, wish.key)
        if last is not None and (last.stage is FilingStage.DROPPED or (last.final and not last.body)):
            return
        again = last is not None and 0 < wish.repeat <= last.number + 1
        number = 0 if last is None else last.number if again else last.number + 1
        made = await self._body(asking, wish, [_moment(asking, wish, live)], number, live, now)
        if last is None or _is_news(last, made, now):
            fresh = Filing(self._house.program, asking.event.id, wish.key, number, now, made, final=True)
            await self._outbox.keep(fresh if last is None or not again else _better(last, made, now, final=True))

    # ----------------------------------------------------------------------------------------------- what gets better

    async def _correct(self, now: datetime) -> None:
        """Make anew what was not wholly known when it was sent, or is of an event that was changed since."""
        for filing in self._outbox.all():
            lately = now - filing.due <= CORRECT_WITHIN
            if filing.stage is FilingStage.FILED and filing.body and (lately or not filing.final) and not filing.part:
                await self._try_better(filing, now)

    async def _try_better(self, filing: Filing, now: datetime) -> None:
        asking = self._asking.get(filing.event_id)
        wish = next((one for one in asking.wishes if one.key == filing.wish), None) if asking is not None else None
        one = None if asking is None or wish is None else due(wish, asking.line, filing.number)
        if asking is None or wish is None or one is None or one.at > now or not needs_rows(wish.payload):
            return
        moved = spans_of(filing.body) != [span(each) for each in intervals(wish, asking.line, one)]
        if filing.final and not moved:
            return
        fresh = await self._filing(asking, wish, one, self._live(now), now)
        final = fresh.final or now - filing.due > CORRECT_WITHIN
        if fresh.body != filing.body and (moved or _known(fresh.body) >= _known(filing.body)):
            await self._outbox.keep(_better(filing, fresh.body, filing.due, final=final))
        elif final:
            await self._outbox.keep(replace(filing, final=True))

    async def _forget(self, now: datetime) -> None:
        listed = {event.id for event in self._house.listed()}
        if listed:
            gone = {one.event_id for one in self._outbox.all() if now - one.due > FORGOTTEN_AFTER} - listed
            for event_id in gone:
                await self._outbox.forget(event_id, now - FORGOTTEN_AFTER)
            self._sightings.keep_only(listed, now)
        await self._outbox.lighten(now - BODIES_KEPT)


def _house_mark(house: House) -> str:
    """So that two houses of one client tell their reports apart."""
    return hashlib.sha256(house.resource().encode()).hexdigest()[:6]


def _better(filing: Filing, made: Any, at: datetime, *, final: bool) -> Filing:
    """In the place of what is or may be at the server."""
    under_way = filing.stage is FilingStage.SENDING and not filing.report_id
    stage = FilingStage.SENDING if under_way else FilingStage.WAITING
    return replace(filing, body=made, due=at, stage=stage, final=final)


def _moment(asking: _Asking, wish: Descriptor, live: Live) -> Reported:
    """Now; of what is measured over time the last quarter of an hour."""
    at = live.decision.at
    place = None if wish.spacing is Spacing.OPEN_INTERVALS else asking.line.at_moment(at)
    inside = None if place is None else asking.line.at(place)
    label = 0 if inside is None else inside.label
    if needs_rows(wish.payload):
        end = at - timedelta(seconds=at.second, microseconds=at.microsecond) - MINUTE
        return Reported(label, end - PART, end)
    return Reported(label, at, at)


def _values(report: Any) -> list[tuple[Any, Any]]:
    """Value and quality of each interval."""
    found = [one["payloads"] for whole in report["resources"] for one in whole["intervals"]]
    return [(each[0]["values"][0] if len(each) > 1 else None, each[-1]["values"][0]) for each in found]


def _known(report: Any) -> int:
    """How well a report knows what it tells."""
    worth = {"OK": 2, "ESTIMATED": 1, "MISSING": 0}
    return sum(worth[quality] for quality in qualities(report))


def _is_news(last: Filing, made: Any, now: datetime) -> bool:
    """Whether the utility would want to hear: a word that changed, or a number by much and not too soon."""
    if not last.body:
        return False
    (was, was_quality), (told, quality) = _values(last.body)[0], _values(made)[0]
    if isinstance(was, str) or isinstance(told, str):
        return bool(was != told)
    if timedelta() <= now - last.due < AD_HOC_EVERY:
        return False
    if was is None or told is None:
        return bool(was is not told) or quality != was_quality
    return bool(abs(told - was) > AD_HOC_SHARE * max(abs(told), abs(was)))
