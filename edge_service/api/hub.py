"""What all clients are shown. The core puts news in and never waits; each client takes them out at its own pace."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from edge_service.api import publish, wire
from edge_service.ports import Notice, NumberedHappening

_LOGGER = logging.getLogger(__name__)

# About a minute of changes. A client further behind is better served by one new snapshot.
OUTBOX_BOUND = 64
# A client that has not confirmed a notice by then may be stuck; another one, if there is any, gets it too.
CONFIRM_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message ready to be sent. ``number``: of an occurrence, else 0."""

    text: str
    number: int = 0


class Outbox:
    """What one client has not been sent yet. Over the bound everything goes, and the client must catch up."""

    def __init__(self, bound: int = OUTBOX_BOUND) -> None:
        self._bound = bound
        self._messages: deque[Message] = deque()
        self._news = asyncio.Event()
        self._behind = True
        self._news.set()

    def put(self, message: Message) -> None:
        """Never waits."""
        if self._behind:
            self._news.set()
            return
        if len(self._messages) >= self._bound:
            self.fall_behind()
            return
        self._messages.append(message)
        self._news.set()

    def fall_behind(self) -> None:
        """Let go of everything: the next thing to send is the whole state."""
        self._messages.clear()
        self._behind = True
        self._news.set()

    def catch_up(self) -> bool:
        """Whether the whole state is due. From now on messages are collected again."""
        was, self._behind = self._behind, False
        return was

    async def next(self) -> Message | None:
        """The next message, or None when the client must catch up."""
        while not self._messages and not self._behind:
            self._news.clear()
            await self._news.wait()
        return None if self._behind else self._messages.popleft()


@dataclass(slots=True, eq=False)
class Subscriber:
    """One client's place in the hub.

    ``carries_notices``: it can bring them to people. ``close``: ends its connection at once.
    """

    client_id: str
    carries_notices: bool
    close: Callable[[], None]
    outbox: Outbox = field(default_factory=Outbox)


@dataclass(slots=True)
class _Errand:
    """A notice on its way: who has it, since when (loop seconds)."""

    notice: Notice
    carrier: Subscriber | None = None
    since_s: float = 0.0


class Hub:
    """The state of now, its changes, occurrences and notices, for every subscriber. All methods but ``ready`` return
    at once; what is given must not be changed afterwards. ``last_occurrence``: the number of the last so far."""

    def __init__(self, last_occurrence: int = 0) -> None:
        self._state: wire.State | None = None
        self._seq = 0
        self._last_occurrence = last_occurrence
        self._subscribers: list[Subscriber] = []
        self._errands: dict[int, _Errand] = {}
        self._brought: set[int] = set()
        self._ready = asyncio.Event()

    @property
    def subscribers(self) -> int:
        """How many sockets are open."""
        return len(self._subscribers)

    @property
    def state(self) -> wire.State | None:
        """What was published last; None before the first cycle."""
        return self._state

    @property
    def last_occurrence(self) -> int:
        """The number of the last happening."""
        return self._last_occurrence

    async def ready(self) -> None:
        """Return once there is a state to show."""
        await self._ready.wait()

    # --------------------------------------------------------------------------------------------------- from the core

    def publish(self, state: wire.State) -> None:
        """Show a new state. A notice that stands in it no longer is not brought any more."""
        before, self._state = self._state, state
        self._ready.set()
        self._pass_on_unconfirmed({notice["number"] for notice in state["notices"]})
        if before is None or not self._subscribers:
            return
        put, gone = wire.changes(before, state)
        if put or gone:
            self._seq += 1
            self._send(self._subscribers, wire.Change(type="change", seq=self._seq, set=put, removed=gone))

    def occurred(self, numbered: NumberedHappening) -> None:
        """Tell of a happening that is already in the journal."""
        self._last_occurrence = max(self._last_occurrence, numbered.number)
        self._send(self._subscribers, occurrence(numbered), numbered.number)

    def notify(self, notice: Notice) -> None:
        """Bring a notice to people, through one client; a former one of the same key is no longer brought.

        Every state published afterwards names it among its notices, for as long as it stands.
        """
        self._errands = {number: errand for number, errand in self._errands.items() if errand.notice.key != notice.key}
        self._errands[notice.number] = errand = _Errand(notice)
        self._give(errand, self._carriers())

    # ----------------------------------------------------------------------------------------------- from the clients

    def join(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        """Notices that it had and did not confirm go to another."""
        self._subscribers.remove(subscriber)
        for errand in self._errands.values():
            if errand.carrier is subscriber:
                errand.carrier = None
                self._give(errand, self._carriers())

    def snapshot(self) -> wire.Snapshot:
        """The whole state. Only once ``ready``."""
        if self._state is None:
            raise LookupError("no state has been published yet")
        return wire.Snapshot(type="snapshot", seq=self._seq, state=self._state, last_occurrence=self._last_occurrence)

    def give_undelivered(self, subscriber: Subscriber, undelivered: Mapping[int, Notice]) -> None:
        """Give a client that has caught up what nobody brings yet; ``undelivered`` as the journal knows it."""
        for number, notice in undelivered.items():
            if number not in self._brought:
                self._errands.setdefault(number, _Errand(notice))
        for errand in self._errands.values():
            if subscriber.carries_notices and errand.carrier in (None, subscriber):
                self._give(errand, [subscriber])

    @property
    def brought(self) -> AbstractSet[int]:
        """The numbers of notices that clients have brought to people since the start."""
        return self._brought

    def delivered(self, number: int) -> None:
        """A client has brought the notice to people."""
        self._errands.pop(number, None)
        self._brought.add(number)

    def disconnect(self, client_id: str) -> None:
        """End every connection of a client whose token was taken away."""
        for subscriber in [item for item in self._subscribers if item.client_id == client_id]:
            subscriber.close()

    # ---------------------------------------------------------------------------------------------------------- inside

    def _carriers(self) -> list[Subscriber]:
        return [subscriber for subscriber in self._subscribers if subscriber.carries_notices]

    def _give(self, errand: _Errand, candidates: list[Subscriber]) -> None:
        """To the first candidate: the one that has been connected for longest."""
        for subscriber in candidates[:1]:
            errand.carrier = subscriber
            errand.since_s = asyncio.get_running_loop().time()
            self._send([subscriber], wire.NoticeMessage(type="notice", notice=publish.notice(errand.notice)))

    def _pass_on_unconfirmed(self, standing: set[int]) -> None:
        if not self._errands:
            return
        self._errands = {number: errand for number, errand in self._errands.items() if number in standing}
        late = asyncio.get_running_loop().time() - CONFIRM_WITHIN_S
        for errand in self._errands.values():
            if errand.carrier is not None and errand.since_s < late:
                self._give(errand, [item for item in self._carriers() if item is not errand.carrier])

    def _send(self, subscribers: Sequence[Subscriber], message: Mapping[str, Any], number: int = 0) -> None:
        if not subscribers:
            return
        try:
            text = wire.encode(message)
        except TypeError, ValueError:  # a number that is none, say: the control goes on, and the gap shows
            _LOGGER.exception("A message of type %s cannot be sent", message["type"])
            return
        for subscriber in subscribers:
            subscriber.outbox.put(Message(text, number))


def occurrence(numbered: NumberedHappening) -> wire.Occurrence:
    """A happening in the contract's words."""
    happening = numbered.happening
    at = happening.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return wire.Occurrence(
        type="occurrence",
        number=numbered.number,
        kind=happening.kind,
        subject=happening.subject,
        at=at,
        data=dict(happening.data),
    )
