"""One client's socket: greet, agree, then show what the hub has and answer commands, each at its own pace."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from edge_service.api import wire
from edge_service.api.commands import Commands
from edge_service.api.hub import Hub, Outbox, Subscriber, occurrence
from edge_service.api.pairing import Client, Role
from edge_service.ports import Journal, Notice

_LOGGER = logging.getLogger(__name__)

# Close codes of our own; RFC 6455 leaves 4000 to 4999 to applications. The numbers recall HTTP's.
NOT_OF_THE_CONTRACT = 4400
UNKNOWN_SCHEMA = 4406
NO_START = 4408

_PAGE = 500
# Commands that one client may have waiting; then we stop reading from it.
_MOST_ASKED = 16
# What waits for a utility's server or for a device stands in a line of its own: a person's stop is not behind it.
_SLOW = frozenset(
    {"test_program", "set_program", "remove_program", "list_programs", "list_presets", "restart_charger", "clear_fault"}
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds, and how much may wait for it, in messages.

    ``send_s``: for taking one message off us. ``ping_s``: between signs of life.
    """

    start_s: float = 5.0
    send_s: float = 10.0
    ping_s: float = 20.0
    outbox: int = 64


class Connection:
    """Serves one socket until either side ends it."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        client: Client,
        *,
        hub: Hub,
        journal: Journal,
        commands: Commands,
        patience: Patience,
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._client = client
        self._hub = hub
        self._journal = journal
        self._commands = commands
        self._patience = patience
        self._sent_number: int | None = None
        self._asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_MOST_ASKED)
        self._asked_slow: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_MOST_ASKED)
        # Only a client that may act for people brings them notices; the command line comes and goes.
        carries = client.role is Role.CONTROL
        self._subscriber = Subscriber(client.id, carries, transport.abort, Outbox(patience.outbox))

    async def run(self, hello: wire.Hello) -> None:
        """Return when the socket is closed."""
        with suppress(ConnectionError, TimeoutError):
            await self._send(hello)
            if await self._agreed():
                await self._serve()

    async def _agreed(self) -> bool:
        """Read the client's first word. False when the socket was closed over it."""
        try:
            async with asyncio.timeout(self._patience.start_s):
                frame = await self._socket.receive()
        except TimeoutError:
            return await self._closed(NO_START, "no start message came")
        message = _understood(frame.data) if frame.type is WSMsgType.TEXT else None
        if message is None or message["type"] != "start":
            return await self._closed(NOT_OF_THE_CONTRACT, "the first message must be start")
        schema = message.get("schema")
        if not isinstance(schema, int) or not wire.LOWEST_SCHEMA <= schema <= wire.HIGHEST_SCHEMA:
            return await self._closed(UNKNOWN_SCHEMA, f"schema {wire.LOWEST_SCHEMA} to {wire.HIGHEST_SCHEMA} is spoken")
        self._start_from(message)
        return True

    def _start_from(self, message: Mapping[str, Any]) -> None:
        number = message.get("last_occurrence")
        known = isinstance(number, int) and not isinstance(number, bool) and number >= 0
        # A number from another life of the edge would hide everything new.
        self._sent_number = min(number, self._hub.last_occurrence) if known and isinstance(number, int) else None

    async def _closed(self, code: int, reason: str) -> bool:
        await self._socket.close(code=code, message=reason.encode())
        return False

    async def _serve(self) -> None:
        self._hub.join(self._subscriber)
        tasks = [
            asyncio.create_task(self._until_it_breaks(work), name=f"{word} for {self._client.name}")
            for word, work in (
                ("news", self._write()),
                ("answers", self._answer(self._asked)),
                ("slow answers", self._answer(self._asked_slow)),
            )
        ]
        try:
            await self._read()
        finally:
            self._hub.leave(self._subscriber)
            self._commands.gone(self)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_it_breaks(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``; a client that does not take its messages in time is cut off."""
        try:
            await work
        except TimeoutError:
            _LOGGER.warning("%s does not take its messages; its connection is cut", self._client.name)
        except (OSError, ValueError) as error:
            _LOGGER.info("The connection of %s ends: %s", self._client.name, error)
        finally:
            self._transport.abort()

    # -------------------------------------------------------------------------------------------------------- writing

    async def _write(self) -> None:
        """Send what the outbox has."""
        while True:
            message = await self._subscriber.outbox.next()
            if message is None:
                await self._catch_up()
            elif not message.number or message.number > (self._sent_number or 0):
                await self._send_text(message.text)
                self._sent_number = message.number or self._sent_number

    async def _catch_up(self) -> None:
        """The whole state, then what happened since the number that the client has, then undelivered notices."""
        await self._hub.ready()
        undelivered = await self._undelivered()
        self._subscriber.outbox.catch_up()
        snapshot = self._hub.snapshot()
        if self._sent_number is None:
            self._sent_number = snapshot["last_occurrence"]
        self._hub.give_undelivered(self._subscriber, undelivered)
        await self._send(snapshot)
        await self._replay()

    async def _undelivered(self) -> dict[int, Notice]:
        try:
            standing = await self._journal.standing_notices()
        except OSError as error:
            _LOGGER.error("Standing notices cannot be read: %s", error)
            return {}
        return {notice.number: notice for notice in standing if notice.delivered_at is None}

    async def _replay(self) -> None:
        while page := await self._page():
            for numbered in page:
                await self._send(occurrence(numbered))
                self._sent_number = numbered.number

    async def _page(self) -> Any:
        try:
            return await self._journal.happenings_since(self._sent_number or 0, _PAGE)
        except OSError as error:
            _LOGGER.error("Happenings cannot be read: %s", error)
            return ()

    async def _send(self, message: Mapping[str, Any]) -> None:
        await self._send_text(wire.encode(message))

    async def _send_text(self, text: str) -> None:
        async with asyncio.timeout(self._patience.send_s):
            await self._socket.send_str(text)

    # -------------------------------------------------------------------------------------------------------- reading

    async def _read(self) -> None:
        """Take messages until the socket is closed."""
        async for frame in self._socket:
            message = _understood(frame.data) if frame.type is WSMsgType.TEXT else None
            if message is None:
                await self._closed(NOT_OF_THE_CONTRACT, "a message is a JSON object with a type")
            elif message["type"] == "command" and message.get("name") == "report":
                # What is seen of the grid stands behind no command that waits for a disk.
                await self._send(self._commands.take_report(message, self._client, self))
            elif message["type"] == "command" and _is_slow(message):
                await self._ask_slow(message)
            elif message["type"] == "command":
                await self._asked.put(message)
            elif message["type"] == "start":  # the client saw a gap
                self._start_from(message)
                self._subscriber.outbox.fall_behind()

    async def _ask_slow(self, message: dict[str, Any]) -> None:
        """Never waits for a place in the line: what comes next is read."""
        try:
            self._asked_slow.put_nowait(message)
        except asyncio.QueueFull:
            await self._send(self._commands.too_many(message))

    async def _answer(self, asked: asyncio.Queue[dict[str, Any]]) -> None:
        """Answer commands in the order in which they came."""
        while True:
            await self._send(await self._commands.answer(await asked.get(), self._client))


def _is_slow(message: Mapping[str, Any]) -> bool:
    name = message.get("name")
    return isinstance(name, str) and name in _SLOW


def _understood(text: str) -> dict[str, Any] | None:
    try:
        return wire.decode(text)
    except wire.WireError:
        return None
