"""Commands from clients: in time, once, and answered in the contract's words."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from edge_service.api import wire
from edge_service.api.allowance import Allowance
from edge_service.api.hub import Hub
from edge_service.api.pairing import Client, Pairing, Role
from edge_service.domain.asked import AN_AWARE_TIME, CommandRefusedError, aware_time, bad_argument
from edge_service.ports import Clock, Journal

_LOGGER = logging.getLogger(__name__)

# Seconds in practice; minutes allow for a client's clock. Far below the day for which answers are recalled, so a
# command that is sent again can never be carried out again.
LONGEST_DEADLINE = timedelta(minutes=10)
LONGEST_ID = 128
# Numbers of notices count up from 1. Beyond this, JSON readers disagree about a whole number, and SQLite holds 63 bits.
MOST_NUMBER = 2**53
# A disk that writes something else takes milliseconds; one that takes longer must not keep a person from stopping.
STOP_RECALLED_WITHIN_S = 0.25


class Executor(Protocol):
    """Carries a command out."""

    async def __call__(
        self, name: str, args: Mapping[str, Any], *, command_id: str, deadline: datetime, role: Role
    ) -> Mapping[str, Any]:
        """Return ``{"stage": ..., "data": {...}}``, both optional (``accepted``, nothing).

        Called at most once per ``command_id``, unless the process died before the answer was kept.
        Raises ``CommandRefusedError``.
        """
        ...


class Reported(Protocol):
    """Takes what clients report of things that only they see. ``client``: one connection."""

    def take(self, client: object, args: Mapping[str, Any]) -> None:
        """Raises ``CommandRefusedError``; then nothing of it is taken."""
        ...

    def gone(self, client: object) -> None: ...


class Commands:
    """Stands between the clients and the executor: roles, deadlines, and each id answered once."""

    def __init__(
        self, execute: Executor, journal: Journal, hub: Hub, pairing: Pairing, clock: Clock, reports: Reported
    ) -> None:
        self._execute = execute
        self._reports = reports
        self._journal = journal
        self._hub = hub
        self._pairing = pairing
        self._clock = clock
        self._allowance = Allowance(clock)
        self._running: dict[str, asyncio.Future[wire.Result]] = {}

    async def answer(self, message: Mapping[str, Any], client: Client) -> wire.Result:
        """The answer to a command message. Never raises but for cancellation.

        A second message with the same id gets the first one's answer, also while that is still being carried out.
        """
        if message.get("name") == "report":
            return refused(_id_of(message), "not_permitted", "a report counts while its socket is open: send it there")
        command_id = _id_of(message)
        if not command_id:
            return refused("", "bad_argument", "id must be 1 to 128 ASCII characters", argument="id")
        name = message.get("name")
        if not self._allowance.takes(client.id, name if isinstance(name, str) else ""):
            return self.too_many(message)
        key = f"{client.id}:{command_id}"
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.ensure_future(self._answer(key, command_id, message, client))
            running.add_done_callback(lambda _: self._running.pop(key, None))
        # A client that goes away does not undo what it began.
        result: wire.Result = await asyncio.shield(running)
        return result

    def too_many(self, message: Mapping[str, Any]) -> wire.Result:
        """The answer to a command that is one too many."""
        words = "too many commands at once; send it again in a few seconds"
        return refused(_id_of(message), "too_many_commands", words)

    def take_report(self, message: Mapping[str, Any], client: Client, connection: object) -> wire.Result:
        """The answer to a report: at once, from memory, and kept nowhere, since the next one is never far."""
        command_id = _id_of(message)
        try:
            _require(bool(command_id), "bad_argument", "id must be 1 to 128 ASCII characters")
            _, args, _ = self._checked(message)
            _require(client.role is Role.CONTROL, "not_permitted", "only a paired Home Assistant reports")
            self._reports.take(connection, args)
        except CommandRefusedError as error:
            return refused(command_id, error.code, str(error), **error.data)
        return wire.Result(type="result", id=command_id, ok=True, stage="accepted", data={})

    def gone(self, connection: object) -> None:
        """A socket is closed: what it reported is not known any more."""
        self._reports.gone(connection)

    async def _answer(self, key: str, command_id: str, message: Mapping[str, Any], client: Client) -> wire.Result:
        try:
            if (known := await self._known(key, message)) is not None:
                return known
            stage, data = await self._carried_out(key, message, client)
            result = wire.Result(type="result", id=command_id, ok=True, stage=stage, data=data)
            wire.encode(result)
        except CommandRefusedError as error:
            result = refused(command_id, error.code, str(error), **error.data)
            if error.code in _NOT_REMEMBERED:
                return result
        except Exception:  # a defect in one command must not take the edge's door down
            _LOGGER.exception("Command %s failed", message.get("name"))
            return refused(command_id, "internal", "the edge failed; its log says why")
        name = message.get("name")
        if isinstance(name, str) and name not in _OF_THE_DOOR:
            await self._remember(key, result)
        return result

    async def _carried_out(self, key: str, message: Mapping[str, Any], client: Client) -> tuple[str, dict[str, Any]]:
        name, args, deadline = self._checked(message)
        _require(client.role is not Role.READ, "not_permitted", "this token may only look")
        if name == "acknowledge_notice":
            _notice_number(args)
        if name == "notice_delivered":
            await self._notice_delivered(_notice_number(args))
            return "accepted", {}
        if name == "new_pairing_code":
            _require(client.role is Role.LOCAL, "not_permitted", "only the edge's own command line makes pairing codes")
            code = self._pairing.offer()
            return "accepted", {"code": code.text, "until": code.until.isoformat()}
        answer = await self._execute(name, args, command_id=key, deadline=deadline, role=client.role)
        return str(answer.get("stage", "accepted")), dict(answer.get("data", {}))

    def _checked(self, message: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], datetime]:
        name, args = message.get("name"), message.get("args", {})
        if not isinstance(name, str):
            raise bad_argument("name", _sound(name), "text")
        if not isinstance(args, dict):
            raise bad_argument("args", _sound(args), "an object")
        _require(_is_sound(args), "bad_argument", "args hold text or numbers that cannot be passed on")
        return name, args, self._deadline(message.get("deadline"))

    def _deadline(self, text: Any) -> datetime:
        deadline = aware_time(text)
        if deadline is None:
            raise bad_argument("deadline", _sound(text), AN_AWARE_TIME, "deadline must be a time with its offset")
        now = self._clock.now()
        _require(deadline > now, "too_late", "the command came after its deadline; do the clocks agree?")
        _require(deadline <= now + LONGEST_DEADLINE, "bad_argument", "the deadline is more than 10 minutes ahead")
        return deadline

    async def _notice_delivered(self, number: int) -> None:
        self._hub.delivered(number)
        await self._journal.mark_notice(number, delivered_at=self._clock.now())

    async def _known(self, key: str, message: Mapping[str, Any]) -> wire.Result | None:
        """The answer that was given before. A stop, harmless to repeat, waits for no disk that hangs."""
        if message.get("name") != "stop":
            return await self._recall(key)
        try:
            return await asyncio.wait_for(self._recall(key), STOP_RECALLED_WITHIN_S)
        except TimeoutError:
            return None

    async def _recall(self, key: str) -> wire.Result | None:
        """A disk that fails must not keep a person from stopping the charger: then nothing is recalled."""
        try:
            known = await self._journal.recall(key)
        except OSError as error:
            _LOGGER.error("Answers cannot be recalled: %s", error)
            return None
        return None if known is None else cast("wire.Result", dict(known))

    async def _remember(self, key: str, result: wire.Result) -> None:
        try:
            await self._journal.remember(key, result, self._clock.now())
        except OSError as error:
            _LOGGER.error("An answer could not be kept: %s", error)


# Refusals that say nothing about the command itself: sent again, it may fare better.
_NOT_REMEMBERED = frozenset({"too_late", "not_ready", "internal"})
# Carried out here, harmless to repeat; and a pairing code must not lie on the disk.
_OF_THE_DOOR = frozenset({"notice_delivered", "new_pairing_code"})


def refused(command_id: str, code: str, message: str, **data: Any) -> wire.Result:
    """The answer that says no."""
    error = wire.CommandError(code=code, message=message, data=data)
    return wire.Result(type="result", id=command_id, ok=False, error=error)


def _id_of(message: Mapping[str, Any]) -> str:
    """The id to answer with; empty where it is none."""
    command_id = message.get("id")
    good = isinstance(command_id, str) and command_id.isascii() and len(command_id) <= LONGEST_ID
    return str(command_id) if good else ""


def _require(fact: bool, code: str, message: str) -> None:
    if not fact:
        raise CommandRefusedError(code, message)


def _notice_number(args: Mapping[str, Any]) -> int:
    number = args.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MOST_NUMBER:
        raise bad_argument("number", number, "a whole number from 0 to 2^53")
    return number


def _sound(value: Any) -> Any:
    """What was found, as far as it can be sent back."""
    return value if _is_sound({"found": value}) else None


def _is_sound(args: Mapping[str, Any]) -> bool:
    """Whether it can be stored and sent again: no half characters, no infinite numbers."""
    try:
        wire.encode(args).encode()
    except ValueError, RecursionError:
        return False
    return True
