"""The link to the edge service: pair, connect, agree on a schema, follow the state, send commands.

Knows the contract (``wire``) and aiohttp, and nothing of Home Assistant.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Self, cast
from uuid import uuid4

from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    ClientWSTimeout,
    Fingerprint,
    ServerFingerprintMismatch,
    WSMessage,
    WSMsgType,
    WSServerHandshakeError,
)

from . import wire
from .shapes import Fitting, has_form

_LOGGER = logging.getLogger(__name__)

# An edge that is silent this long is pinged, and lost after as long again: 6 s, so that people see it within 10 s.
QUIET_S = 3.0
# A dead peer answers no close either.
CLOSE_TIMEOUT_S = 1.0
# The edge answers a command when it is on disk or read back from the device; a charger may take seconds.
COMMAND_TIMEOUT_S = 15.0
# A utility's server may take a minute to tell all, and a dead one costs its deadline at each step.
PATIENCE_S: Mapping[str, float] = {"test_program": 120.0}
# How far ahead a command stays valid: the wait, and as much again for two clocks that differ.
DEADLINE_S = 30.0
# Pairing, the upgrade and the first snapshot are local and small.
CONNECT_TIMEOUT_S = 10.0
# The edge reads it from its disk; at a depot that is a megabyte, and more of it is not from an edge.
RECORDING_TIMEOUT_S = 30.0
RECORDING_BYTES = 1_100_000

ENDS = frozenset({WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR})

# What a message must have to be one; other kinds are of a later schema and not for us.
SHAPES: Mapping[str, type] = {
    "snapshot": wire.Snapshot,
    "change": wire.Change,
    "occurrence": wire.Occurrence,
    "notice": wire.NoticeMessage,
    "result": wire.Result,
}
SITE_KEYS = wire.SiteWire.__required_keys__
CHARGER_KEYS = wire.ChargerWire.__required_keys__
PROGRAM_KEYS = wire.ProgramWire.__required_keys__
EVENT_KEYS = wire.EventWire.__required_keys__
NOTICE_KEYS = wire.NoticeWire.__required_keys__
STORM_KEYS = wire.StormState.__required_keys__
DEPARTURE_KEYS = wire.DepartureState.__required_keys__
PLAN_KEYS = wire.DeparturePlanState.__required_keys__


class EdgeError(Exception):
    """Something between us and the edge went wrong."""


class CannotConnectError(EdgeError):
    """Nobody there, or it is not an edge service."""


class TokenRefusedError(EdgeError):
    """The edge does not know our token: pair again."""


class CodeRefusedError(EdgeError):
    """The pairing code is wrong, used up or too old."""


class PairingLockedError(EdgeError):
    """Too many wrong codes; the edge takes none for a while."""


class TooManyClientsError(EdgeError):
    """The edge has as many clients as it takes; a person must take a token away."""


class WrongCertificateError(EdgeError):
    """Somebody answers with another key than the edge's."""


class SchemaError(EdgeError):
    """No schema that both sides know. ``edge_is_older`` says which side needs the update."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(f"the edge speaks schema {low} to {high}, we {wire.LOWEST_SCHEMA} to {wire.HIGHEST_SCHEMA}")
        self.edge_is_older = high < wire.LOWEST_SCHEMA
        # The nearest that the edge speaks: good for looking, not for orders.
        self.nearest = high if self.edge_is_older else low


class LinkLostError(EdgeError):
    """The connection ended while something was under way."""


class CommandTimeoutError(EdgeError):
    """The edge did not answer in time; the command may or may not have been carried out."""


class CommandRefusedError(EdgeError):
    """The edge said no. ``code`` is one of the contract's error codes."""

    def __init__(self, code: str, message: str, data: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class Address:
    """Where an edge service listens. ``fingerprint``: SHA-256 of its certificate as hex; None: plain HTTP."""

    host: str
    port: int
    fingerprint: str | None = None

    def url(self, path: str) -> str:
        """The address of one of its pages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "https" if self.fingerprint else "http"
        return f"{scheme}://{host}:{self.port}{path}"

    @property
    def ssl(self) -> Fingerprint | bool:
        """What the other side's certificate is checked against."""
        return Fingerprint(bytes.fromhex(self.fingerprint)) if self.fingerprint else True


async def pair(session: ClientSession, address: Address, code: str, name: str) -> str:
    """Change a pairing code for a token. ``name`` tells the resident later which client it was.

    Raises CannotConnectError, CodeRefusedError, PairingLockedError, TooManyClientsError, WrongCertificateError.
    """
    try:
        async with session.post(
            address.url(wire.PAIR_PATH),
            json={"code": code, "name": name},
            ssl=address.ssl,
            timeout=ClientTimeout(CONNECT_TIMEOUT_S),
        ) as response:
            _check_pairing(response.status)
            answer = await response.json()
    except ServerFingerprintMismatch as error:
        raise WrongCertificateError(f"{address.host} answers with another certificate") from error
    except (ClientError, TimeoutError, ValueError) as error:
        raise CannotConnectError(f"no pairing with {address.host}:{address.port}: {error}") from error
    token = answer.get("token") if isinstance(answer, dict) else None
    if not isinstance(token, str) or not token:
        raise CannotConnectError(f"{address.host}:{address.port} answered the pairing without a token")
    _check_own_key(address, answer.get("fingerprint"))
    return token


def _check_own_key(address: Address, told: object) -> None:
    """The edge says which key it shows: another one was seen if somebody stands between. An older edge says nothing."""
    if isinstance(told, str) and told.lower() != (address.fingerprint or ""):
        raise WrongCertificateError(f"{address.host} shows another certificate than the edge's own")


def _check_pairing(status: int) -> None:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise PairingLockedError("too many wrong codes")
    if status == HTTPStatus.CONFLICT:
        raise TooManyClientsError("the edge takes no more clients")
    if status in (HTTPStatus.FORBIDDEN, HTTPStatus.GONE):
        raise CodeRefusedError("the pairing code was refused")
    if status != HTTPStatus.OK:
        raise CannotConnectError(f"pairing was answered with status {status}")


async def get(
    session: ClientSession,
    address: Address,
    token: str,
    path: str,
    *,
    within_s: float,
    most_bytes: int | None = None,
    narrowed: Mapping[str, str] | None = None,
) -> dict[str, Any] | None:
    """A page of the edge beside the socket; None: an older edge has no such page, or it is longer than ``most_bytes``.

    Raises CannotConnectError, TokenRefusedError, WrongCertificateError.
    """
    try:
        async with session.get(
            address.url(path),
            params=narrowed,
            headers={"Authorization": f"Bearer {token}"},
            ssl=address.ssl,
            timeout=ClientTimeout(within_s),
        ) as response:
            if response.status == HTTPStatus.UNAUTHORIZED:
                raise TokenRefusedError("the edge refuses our token")
            too_long = most_bytes is not None and (response.content_length or 0) > most_bytes
            if response.status != HTTPStatus.OK or too_long:
                return None
            answer = await response.json()
    except ServerFingerprintMismatch as error:
        raise WrongCertificateError(f"{address.host} answers with another certificate") from error
    except (ClientError, TimeoutError, ValueError) as error:
        raise CannotConnectError(f"nothing of {path} from {address.host}:{address.port}: {error}") from error
    return answer if isinstance(answer, dict) else None


async def recording(session: ClientSession, address: Address, token: str) -> dict[str, Any] | None:
    """What the edge recorded lately, without names; None from an edge that has no such thing to give.

    Raises CannotConnectError, TokenRefusedError, WrongCertificateError.
    """
    return await get(
        session, address, token, wire.RECORDING_PATH, within_s=RECORDING_TIMEOUT_S, most_bytes=RECORDING_BYTES
    )


class Connection:
    """One life of the socket, from ``open`` to its end. ``state`` is always whole and current.

    ``foreign``: the edge speaks no schema of ours; what still fits is in ``state``, and nothing should be ordered.
    """

    def __init__(
        self, socket: ClientWebSocketResponse, hello: wire.Hello, schema: int, foreign: SchemaError | None = None
    ) -> None:
        self._socket = socket
        self._schema = schema
        self.foreign = foreign
        # As the edge has it, where that is not what can be shown.
        self._whole: Mapping[str, Any] = {}
        self._fitting = Fitting()
        self._seq: int | None = None
        self._waiting: dict[str, asyncio.Future[wire.Result]] = {}
        self.hello = hello
        self.state: wire.State | None = None
        self.last_occurrence = 0

    @classmethod
    async def open(cls, session: ClientSession, address: Address, token: str, *, any_schema: bool = False) -> Self:
        """Connect, read the greeting and pick a schema; ``any_schema``: one of the edge's where none is ours.

        Raises CannotConnectError, TokenRefusedError, SchemaError, WrongCertificateError.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                socket = await session.ws_connect(
                    address.url(wire.PATH),
                    headers={"Authorization": f"Bearer {token}"},
                    ssl=address.ssl,
                    autoping=False,
                    timeout=ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                    max_msg_size=wire.MAX_MESSAGE_BYTES,
                )
                return await cls._greeted(socket, any_schema)
        except WSServerHandshakeError as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                raise TokenRefusedError("the edge refuses our token") from error
            raise CannotConnectError(f"the upgrade was answered with status {error.status}") from error
        except ServerFingerprintMismatch as error:
            raise WrongCertificateError(f"{address.host} answers with another certificate") from error
        except (ClientError, TimeoutError, OSError) as error:
            raise CannotConnectError(f"no connection to {address.host}:{address.port}: {error}") from error

    @classmethod
    async def _greeted(cls, socket: ClientWebSocketResponse, any_schema: bool) -> Self:
        foreign = None
        try:
            hello = _hello(await socket.receive_str())
            schema = wire.pick_schema(hello["schema_low"], hello["schema_high"])
            if schema is None:
                foreign = SchemaError(hello["schema_low"], hello["schema_high"])
                if not any_schema:
                    raise foreign
                schema = foreign.nearest
        except (TypeError, wire.WireError) as error:
            await socket.close()
            raise CannotConnectError(f"no greeting of an edge service: {error}") from error
        except BaseException:
            await socket.close()
            raise
        return cls(socket, hello, schema, foreign)

    async def start(self, last_occurrence: int | None) -> wire.Snapshot:
        """Subscribe and return the first snapshot. ``last_occurrence``: replay what came after; None: nothing.

        Raises CannotConnectError.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._subscribe(last_occurrence)
                while (message := await self.read())["type"] != "snapshot":
                    pass
        except (LinkLostError, TimeoutError) as error:
            await self.close()
            raise CannotConnectError(f"the edge sent no state: {error}") from error
        except BaseException:
            await self.close()
            raise
        snapshot = cast("wire.Snapshot", message)
        self.last_occurrence = snapshot["last_occurrence"] if last_occurrence is None else last_occurrence
        return snapshot

    async def _subscribe(self, last_occurrence: int | None) -> None:
        await self._send(wire.Start(type="start", schema=self._schema, last_occurrence=last_occurrence))

    async def read(self) -> dict[str, Any]:
        """The next snapshot, change (already applied to ``state``), occurrence or notice.

        A gap in the sequence asks for a new snapshot by itself. Raises LinkLostError.
        """
        while True:
            message = _understood(await self._frame())
            if message is not None and await self._take(message):
                return message

    async def _frame(self) -> WSMessage:
        """The next frame that carries anything. Raises LinkLostError."""
        pinged = False
        while True:
            try:
                frame = await self._socket.receive(timeout=QUIET_S)
            except TimeoutError as error:
                if pinged:
                    raise LinkLostError("the edge is silent") from error
                await _sent(self._socket.ping())
                pinged = True
                continue
            if frame.type in ENDS:
                raise LinkLostError(f"the link to the edge ended ({frame.data or frame.type.name.lower()})")
            if frame.type not in (WSMsgType.PING, WSMsgType.PONG):
                return frame
            pinged = False
            if frame.type is WSMsgType.PING:
                await _sent(self._socket.pong(frame.data))

    async def _take(self, message: dict[str, Any]) -> bool:
        """Whether the message is news for the reader, once the link has used it."""
        match message["type"]:
            case "snapshot":
                self._take_snapshot(cast("wire.Snapshot", message))
            case "change":
                return await self._take_change(cast("wire.Change", message))
            case "result":
                self._take_result(cast("wire.Result", message))
                return False
            case "occurrence":
                self.last_occurrence = max(self.last_occurrence, message["number"])
        return True

    def _take_snapshot(self, snapshot: wire.Snapshot) -> None:
        try:
            self._take_state(snapshot["state"])
        except wire.WireError as error:
            raise LinkLostError(f"the edge breaks the contract: {error}") from error
        self._seq = snapshot["seq"]

    def _take_state(self, state: Mapping[str, Any]) -> None:
        """Raises WireError for a state that our own schema does not allow."""
        if self.foreign is None:
            _check_whole(state, self._whole)
        told = self._fitting.lost
        self.state = self._fitting.of(state)
        self._whole = state
        if self.foreign is None and self._fitting.lost - told:
            _LOGGER.warning("The edge breaks the contract: %s cannot be shown", ", ".join(sorted(self._fitting.lost)))

    async def _take_change(self, change: wire.Change) -> bool:
        if self._seq is None or self.state is None:
            return False
        try:
            if change["seq"] != self._seq + 1:
                raise wire.WireError(f"change {change['seq']} after {self._seq}")
            self._take_state(wire.apply(self._whole, change["set"], change["removed"]))
        except ValueError, TypeError:
            self._seq = None
            await self._subscribe(self.last_occurrence)
            return False
        self._seq = change["seq"]
        return True

    def _take_result(self, result: wire.Result) -> None:
        waiting = self._waiting.get(result["id"])
        if waiting is not None and not waiting.done():
            waiting.set_result(result)

    async def command(self, name: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Send a command and wait for its answer; somebody must ``read`` meanwhile.

        Raises CommandRefusedError, CommandTimeoutError, LinkLostError.
        """
        number = uuid4().hex
        deadline = datetime.now(UTC) + timedelta(seconds=DEADLINE_S)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(
                wire.Command(type="command", id=number, name=name, args=dict(args), deadline=deadline.isoformat())
            )
            async with asyncio.timeout(PATIENCE_S.get(name, COMMAND_TIMEOUT_S)):
                return _answer(await waiting)
        except TimeoutError as error:
            raise CommandTimeoutError(f"no answer to {name} in time") from error
        finally:
            del self._waiting[number]

    async def _send(self, message: Mapping[str, Any]) -> None:
        await _sent(self._socket.send_str(wire.encode(message)))

    def _abandon(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(LinkLostError("the link to the edge ended before the answer"))

    async def close(self) -> None:
        """End it. Whoever waits for an answer gets LinkLostError."""
        self._abandon()
        with suppress(ClientError, ConnectionError):
            await self._socket.close()


async def _sent(sending: Awaitable[None]) -> None:
    try:
        await sending
    except (ClientError, ConnectionError) as error:
        raise LinkLostError("the link to the edge is down") from error


def _hello(text: str) -> wire.Hello:
    message = wire.decode(text)
    if message["type"] != "hello":
        raise wire.WireError(f"the first word was {message['type']}")
    for key, kind in (("installation", str), ("version", str), ("schema_low", int), ("schema_high", int)):
        if not isinstance(message.get(key), kind):
            raise wire.WireError(f"the greeting has no {key}")
    return cast("wire.Hello", message)


def _understood(frame: WSMessage) -> dict[str, Any] | None:
    """The message, or None for one that is none: had it been a change, the gap will show."""
    if frame.type is not WSMsgType.TEXT:
        return None
    try:
        message = wire.decode(frame.data)
    except wire.WireError:
        return None
    shape = SHAPES.get(message["type"])
    return message if shape is not None and has_form(message, shape) else None


def _check_whole(state: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Nothing that people are shown is missing. What is the same as ``before`` was looked at. Raises WireError."""
    try:
        old = before.get("chargers", {})
        parts = [(SITE_KEYS, state["site"]), (wire.State.__required_keys__, state)]
        parts += [(STORM_KEYS, storm) for storm in (state["site"].get("storm"),) if storm is not None]
        changed = [one for subject, one in state["chargers"].items() if one is not old.get(subject)]
        parts += [part for charger in changed for part in _charger_parts(charger)]
        parts += [(PROGRAM_KEYS, program) for program in state["programs"].values()]
        parts += [(EVENT_KEYS, event) for program in state["programs"].values() for event in program["events"]]
        parts += [(NOTICE_KEYS, notice) for notice in state["notices"]]
        missing = [key for required, part in parts for key in required - part.keys()]
    except (AttributeError, KeyError, TypeError) as error:
        raise wire.WireError("the state is not of the contract's form") from error
    if missing:
        raise wire.WireError(f"the state lacks {', '.join(missing)}")


def _charger_parts(charger: Mapping[str, Any]) -> Iterator[tuple[frozenset[str], Mapping[str, Any]]]:
    """A charger and what hangs on it, with the keys that each must have; an older edge has no departures."""
    yield CHARGER_KEYS, charger
    if charger.get("departure") is not None:
        yield DEPARTURE_KEYS, charger["departure"]
    yield from ((PLAN_KEYS, plan) for plan in charger.get("departures", ()))


def _answer(result: wire.Result) -> dict[str, Any]:
    if result["ok"]:
        return result.get("data", {})
    error = result.get("error")
    if error is None:
        raise CommandRefusedError("internal", "refused without a reason", {})
    raise CommandRefusedError(error["code"], error["message"], error["data"])
