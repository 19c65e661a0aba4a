"""When an order goes to the edge: the last wins for each setting, at a pace that keeps nobody else waiting.

A slider that is dragged, a scene for a depot and an automation that flaps all come through here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from .client import EdgeError, LinkLostError
from .pace import Bucket

# A person sets one thing a few times; a scene for a whole depot is twice forty orders.
SAME_PER_S, SAME_AT_ONCE = 1.0, 5
ALL_PER_S, ALL_AT_ONCE = 10.0, 80
# One more would come later than anybody waits.
MOST_WAITING = 100

# Never delayed: what stops, what an outage needs, and what is said once for each notice.
AT_ONCE = frozenset(
    {
        "stop",
        "reset_stop",
        "end_backup",
        "retry_backup",
        "postpone_return",
        "lend_reserve",
        "take_back_lent",
        "cancel_drill",
        "cancel_rehearsal",
        "set_load",
        "notice_delivered",
        "acknowledge_notice",
        "report",
    }
)
# A person's order on a charger: a later one takes the place of an earlier one, of whatever kind.
MANUAL = frozenset({"charge", "discharge", "hold", "resume"})
# Of these there are several on one charger or program, and none is in the other's place.
SEVERAL = frozenset({"set_departure", "set_calendar", "set_program"})
# What says which thing is set.
SUBJECTS = ("charger", "program", "group", "id")


def setting_of(command: str, args: Mapping[str, Any]) -> Hashable:
    """What is set by a command: of two on the same, the later one counts."""
    if command in MANUAL:
        return ("manual", args.get("charger"))
    if command.startswith("set_") and command not in SEVERAL:
        return (command, *(args.get(name) for name in SUBJECTS), *sorted(args))
    return (command, *sorted((name, repr(value)) for name, value in args.items()))


class TooManyOrdersError(EdgeError):
    """So many different orders wait that one more would come too late anyway."""


@dataclass(slots=True)
class _Waiting:
    """The order that goes next for one setting; everybody who was overtaken gets its answer."""

    command: str
    args: Mapping[str, Any]
    answer: asyncio.Future[dict[str, Any]]


type Send = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]


class Orders:
    """Sends orders one by one for each setting, at a pace that the edge can follow; the last one wins.

    ``send`` puts one on the link. ``start`` runs what waits. ``held`` is called for each that cannot go at once.
    """

    def __init__(
        self, send: Send, start: Callable[[Coroutine[Any, Any, None]], object], held: Callable[[], None]
    ) -> None:
        self._send, self._start, self._held = send, start, held
        self._all = Bucket(ALL_AT_ONCE, ALL_PER_S)
        self._same: dict[Hashable, Bucket] = {}
        self._under_way: dict[Hashable, asyncio.Event] = {}
        self._waiting: dict[Hashable, _Waiting] = {}

    async def order(self, command: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """The edge's answer, to this order or to a later one that took its place.

        Raises TooManyOrdersError, and what ``send`` raises.
        """
        if command in AT_ONCE:
            return await self._send(command, args)
        setting = setting_of(command, args)
        if setting not in self._waiting:
            if setting not in self._under_way and self._wait_s(setting) <= 0:
                return await self._go(setting, command, args)
            self._wait(setting, command, args)
        waiting = self._waiting[setting]
        waiting.command, waiting.args = command, args
        self._held()
        return await asyncio.shield(waiting.answer)

    def _wait_s(self, setting: Hashable) -> float:
        now = asyncio.get_running_loop().time()
        same = self._same.setdefault(setting, Bucket(SAME_AT_ONCE, SAME_PER_S))
        return max(self._all.wait_s(now), same.wait_s(now))

    async def _go(self, setting: Hashable, command: str, args: Mapping[str, Any]) -> dict[str, Any]:
        self._all.take()
        self._same[setting].take()
        done = self._under_way[setting] = asyncio.Event()
        try:
            return await self._send(command, args)
        finally:
            done.set()
            del self._under_way[setting]
            self._forget_rested()

    def _forget_rested(self) -> None:
        """Whoever may do all at once again needs no book any more."""
        now = asyncio.get_running_loop().time()
        for setting, bucket in list(self._same.items()):
            bucket.wait_s(now)
            if bucket.left >= SAME_AT_ONCE:
                del self._same[setting]

    def _wait(self, setting: Hashable, command: str, args: Mapping[str, Any]) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._held()
            raise TooManyOrdersError(f"{MOST_WAITING} orders wait already")
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        # Whoever asked may have gone away meanwhile.
        answer.add_done_callback(lambda one: one.cancelled() or one.exception())
        self._waiting[setting] = _Waiting(command, args, answer)
        self._start(self._go_when_due(setting))

    async def _go_when_due(self, setting: Hashable) -> None:
        waiting = self._waiting[setting]
        try:
            while True:
                if setting in self._under_way:
                    await self._under_way[setting].wait()
                elif (wait_s := self._wait_s(setting)) > 0:
                    await asyncio.sleep(wait_s)
                else:
                    break
            del self._waiting[setting]
            answer = await self._go(setting, waiting.command, waiting.args)
            waiting.answer.set_result(answer)
        except EdgeError as error:
            waiting.answer.set_exception(error)
        finally:
            if self._waiting.get(setting) is waiting:
                del self._waiting[setting]
            if not waiting.answer.done():
                waiting.answer.set_exception(LinkLostError("nobody sends it any more"))
