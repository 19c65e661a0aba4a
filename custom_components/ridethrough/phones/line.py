"""One phone: what it shows is kept equal to what stands, one message after the other, each once."""

import logging
from asyncio import Event as Waiter, Lock
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Protocol

from homeassistant.core import CoreState, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.util import dt as dt_util

from ..notice_kinds import kind_of, wakes
from ..times import time_of
from ..wire import NoticeWire
from .choice import Choice
from .drafts import Draft
from .ledger import UPDATES_AFTER_S, Ledger, Sent, has_moved, sent_at, sent_now
from .post import Loudness, Message, Way

_LOGGER = logging.getLogger(__name__)

# A phone that is away comes home some day; what still stands then is worth bringing.
RETRIES = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(minutes=30))
# Home Assistant starts, and with it what reaches the phones.
WHILE_STARTING = timedelta(seconds=5)
# The edge's answer to an answer, such as an event that is served after a yes: no sound, the person knows.
FOLLOWS_WITHIN = timedelta(minutes=1)


class Desk(Protocol):
    """What all phones of a site share."""

    choice: Choice
    ledger: Ledger

    def wanted(self, recipient: str) -> Mapping[str, Draft]:
        """The messages that this one should show, by key of their notices."""

    def message(self, draft: Draft, recipient: str, loudness: Loudness) -> Message:
        """A draft as it is sent."""

    def tag(self, key: str) -> str:
        """What a message is known by on the phone."""


class Line:
    """``log`` is told once why it cannot be reached."""

    def __init__(self, hass: HomeAssistant, desk: Desk, recipient: str, way: Way, log: Callable[[str], None]) -> None:
        self._hass, self._desk, self._log = hass, desk, log
        self.recipient, self.way = recipient, way
        self.lock = Lock()
        self._news = Waiter()
        self._failed: dict[str, tuple[int, datetime]] = {}
        self._complained = False

    @callback
    def wake(self, _: datetime | None = None) -> None:
        """Look again."""
        self._news.set()

    async def run(self) -> None:
        """Follow what stands, until it is no longer chosen and shows nothing."""
        while True:
            self._news.clear()
            async with self.lock:
                look_at = await self._looked(dt_util.utcnow())
            if self._is_done():
                self._desk.ledger.forget(self.recipient)
                return await self._desk.ledger.save()
            await self._rest(look_at)

    async def _looked(self, now: datetime) -> datetime | None:
        try:
            return await self._look(now)
        except Exception:  # a defect in one message must not leave the phone silent for good
            _LOGGER.exception("Not all could be said to %s", self.recipient)
            return now + RETRIES[0]

    async def _rest(self, until: datetime | None) -> None:
        timer = async_track_point_in_utc_time(self._hass, self.wake, until) if until is not None else None
        try:
            await self._news.wait()
        finally:
            if timer is not None:
                timer()

    def _is_done(self) -> bool:
        return self.recipient not in self._desk.choice.recipients and not self._sent

    @property
    def _sent(self) -> dict[str, Sent]:
        return self._desk.ledger.of(self.recipient)

    async def _look(self, now: datetime) -> datetime | None:
        """Send and clear what is due; when to look again."""
        wanted = self._desk.wanted(self.recipient)
        if not self._desk.ledger.knows(self.recipient):
            await self._leave_out_the_past(wanted)
        over = [await self._clear(key, now) for key in list(self._sent) if key not in wanted]
        due = [await self._bring(draft, now) for draft in wanted.values()]
        return min((at for at in chain(over, due) if at is not None), default=None)

    async def _leave_out_the_past(self, wanted: Mapping[str, Draft]) -> None:
        """Who was chosen just now is not told how last week's event went."""
        past = {key: draft for key, draft in wanted.items() if kind_of(draft.notice).over}
        self._sent.update({key: sent_now(draft, sure=True, shown=False) for key, draft in past.items()})
        await self._desk.ledger.save()

    # ------------------------------------------------------------------------------------------------- what stands

    async def _bring(self, draft: Draft, now: datetime) -> datetime | None:
        key = draft.notice["key"]
        sent = self._sent.get(key)
        is_new = sent is None or sent["number"] != draft.notice["number"]
        if sent is not None and not is_new and sent["sure"]:
            return await self._update(sent, draft, now)
        loudness = self._loudness(draft.notice, sent, now)
        if loudness is None:
            return self._desk.choice.quiet().ends_at(now)
        if is_new:
            self._failed.pop(key, None)
        return self._retry_at(key, now) or await self._send(draft, loudness, now, again=not is_new)

    def _loudness(self, notice: NoticeWire, sent: Sent | None, now: datetime) -> Loudness | None:
        """How it is brought now; None: not before the morning."""
        if wakes(notice):
            return Loudness.ALARM if self.recipient in self._desk.choice.alarms else Loudness.URGENT
        morning = self._desk.choice.quiet().ends_at(now)
        if morning is None:
            hushed = kind_of(notice).hushed or self._follows_an_answer(notice)
            return Loudness.SILENT if hushed else Loudness.NORMAL
        replaces = sent is not None and sent["shown"]
        silently = self.way.replaces and (replaces or _is_too_late_then(notice, morning))
        return Loudness.SILENT if silently else None

    def _follows_an_answer(self, notice: NoticeWire) -> bool:
        answer = self._desk.ledger.answers.get(notice["key"])
        raised_at = time_of(notice["raised_at"])
        if answer is None or raised_at is None:
            return False
        return raised_at - sent_at(answer) < FOLLOWS_WITHIN

    async def _send(self, draft: Draft, loudness: Loudness, now: datetime, *, again: bool) -> datetime | None:
        """Written down before and after: killed in between, it is sent once more, silently if it is there."""
        key = draft.notice["key"]
        self._sent[key] = sent_now(draft, sure=False)
        await self._desk.ledger.save()
        message = self._desk.message(draft, self.recipient, loudness)
        if not await self._try(key, self.way.send(replace(message, again=again)), now):
            return self._retry_at(key, now)
        self._sent[key] = sent_now(draft, sure=True)
        await self._desk.ledger.save()
        return self._updates_at(self._sent[key], draft)

    async def _update(self, sent: Sent, draft: Draft, now: datetime) -> datetime | None:
        """The same message with the numbers of now, without a sound."""
        at = self._updates_at(sent, draft)
        if at is None or at > now:
            return at
        key = draft.notice["key"]
        if wait := self._retry_at(key, now):
            return wait
        if await self._try(key, self.way.send(self._desk.message(draft, self.recipient, Loudness.SILENT)), now):
            self._sent[key] = sent_now(draft, sure=True)
            await self._desk.ledger.save()
        return self._retry_at(key, now)

    def _updates_at(self, sent: Sent, draft: Draft) -> datetime | None:
        """From when on it may be updated; None: there is nothing to update."""
        if not (self.way.replaces and sent["shown"] and has_moved(sent, draft)):
            return None
        return sent_at(sent) + timedelta(seconds=UPDATES_AFTER_S)

    # -------------------------------------------------------------------------------------------------- what is over

    async def _clear(self, key: str, now: datetime) -> datetime | None:
        if self._sent[key]["shown"]:
            if wait := self._retry_at(key, now):
                return wait
            if not await self._try(key, self.way.clear(self._desk.tag(key)), now):
                return self._retry_at(key, now)
        self._sent.pop(key, None)
        self._failed.pop(key, None)
        await self._desk.ledger.save()
        return None

    async def reply(self, message: Message) -> None:
        """Answer a tap in the place of the message that was tapped. The lock is held."""
        await self._try(None, self.way.send(message), dt_util.utcnow())

    # ------------------------------------------------------------------------------------------------------- failing

    def _retry_at(self, key: str, now: datetime) -> datetime | None:
        _, at = self._failed.get(key, (0, now))
        return at if at > now else None

    async def _try(self, key: str | None, sending: Awaitable[None], now: datetime) -> bool:
        """Whether it went. A phone that cannot be reached is told of once in the log."""
        try:
            await sending
        except HomeAssistantError as error:
            self._fails(key, error, now)
            return False
        self._complained = False
        if key is not None:
            self._failed.pop(key, None)
        return True

    def _fails(self, key: str | None, error: HomeAssistantError, now: datetime) -> None:
        tries, _ = self._failed.get(key or "", (0, now))
        pause = RETRIES[min(tries, len(RETRIES) - 1)]
        if self._hass.state is not CoreState.running:
            tries, pause = -1, WHILE_STARTING
        elif not self._complained:
            self._log(f"{error}")
            self._complained = True
        if key is not None:
            self._failed[key] = (tries + 1, now + pause)


def _is_too_late_then(notice: NoticeWire, morning: datetime) -> bool:
    """An answer is asked for, or a vehicle leaves, before people would read it."""
    name = {"event_asks": "start", "departure_late": "at"}.get(notice["kind"])
    at = None if name is None else time_of(notice["data"].get(name))
    return at is not None and at < morning
