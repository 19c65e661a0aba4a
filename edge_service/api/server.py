"""The edge's door: HTTP routes and the socket of the contract, behind admission."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web

from edge_service.api import wire
from edge_service.api.admission import CLIENT, admission
from edge_service.api.commands import Commands
from edge_service.api.connection import Connection, Patience
from edge_service.api.hub import Hub
from edge_service.api.listener import Bounds, Listen, Listener
from edge_service.api.pairing import Pairing, PairingError, Role
from edge_service.api.paths import CHECK_PATH, CLIENTS_PATH, COMMAND_PATH, HEALTH_PATH, LOG_PATH, STATE_PATH
from edge_service.ports import Journal

# What ends an outage or a drill carries its whole account.
LOGS: Mapping[str, Sequence[str]] = {
    "outages": ("outage_ended",),
    "drills": ("drill_passed", "drill_failed", "drill_refused", "drill_aborted"),
    "rehearsals": ("rehearsal_passed", "rehearsal_failed", "rehearsal_cancelled"),
}
LOG_ENTRIES = 100
# What a client sends is a command of a few hundred bytes.
MOST_BYTES = 64 * 1024

_PAIRING_STATUS: Mapping[str, HTTPStatus] = {
    "wrong_code": HTTPStatus.FORBIDDEN,
    "no_code": HTTPStatus.GONE,
    "too_many_tries": HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_clients": HTTPStatus.CONFLICT,
}


async def _nothing_recorded() -> str:
    return '{"recordings":[]}'


def _nothing_settled(program: str | None, year: int | None) -> Mapping[str, Any]:
    return {"entries": [], "seasons": []}


@dataclass(frozen=True, slots=True)
class Edge:
    """What stands behind the door.

    ``is_fresh``: whether the control cycle has completed lately. ``check``: what each device says, a list of
    ``{"device": ..., "ok": ..., "text": ...}``. ``recording``: what was recorded lately, without names, as JSON; it
    may raise ``OSError``. ``settlements``: what events and seasons came to, of one program, of one year, or of all.
    """

    installation: str
    version: str
    hub: Hub
    journal: Journal
    pairing: Pairing
    commands: Commands
    is_fresh: Callable[[], bool]
    check: Callable[[], Awaitable[Sequence[Mapping[str, Any]]]]
    recording: Callable[[], Awaitable[str]] = _nothing_recorded
    settlements: Callable[[str | None, int | None], Mapping[str, Any]] = _nothing_settled


class ApiServer:
    """Serves one edge at one address."""

    def __init__(
        self, edge: Edge, listen: Listen, *, bounds: Bounds | None = None, patience: Patience | None = None
    ) -> None:
        self._edge = edge
        self._listen = listen
        self._bounds = bounds or Bounds()
        self._patience = patience or Patience()
        self._sockets: set[web.WebSocketResponse] = set()
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        self._fingerprint: str | None = None

    async def start(self) -> None:
        """Listen. Raises ``ConfigError`` for an address or certificate that is refused, ``OSError`` for a taken one."""
        self._listen.check()
        self._fingerprint = None if self._listen.tls is None else self._listen.tls.fingerprint()
        # aiohttp's keep-alive timeout also ends a connection that never completes its first request's headers.
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            keepalive_timeout=self._bounds.silence_s,
            lingering_time=1.0,
            shutdown_timeout=2.0,
        )
        await self._runner.setup()
        if self._runner.server is None:
            raise LookupError("aiohttp made no server")
        try:
            self._listener = await Listener(self._runner.server, self._bounds).open(self._listen)
        except BaseException:
            await self._runner.cleanup()
            raise

    async def stop(self) -> None:
        """Say goodbye to every client and close."""
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def port(self) -> int:
        """The port in use, once started."""
        if self._listener is None:
            raise LookupError("not started")
        return self._listener.port

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the certificate as hex; None over plain HTTP."""
        return self._fingerprint

    def _application(self) -> web.Application:
        application = web.Application(
            client_max_size=MOST_BYTES, middlewares=[admission(self._edge.pairing, self._listen.names)]
        )
        application.router.add_get(HEALTH_PATH, self._health)
        application.router.add_post(wire.PAIR_PATH, self._pair)
        application.router.add_get(wire.PATH, self._socket)
        application.router.add_get(STATE_PATH, self._state)
        application.router.add_post(COMMAND_PATH, self._command)
        application.router.add_get(CHECK_PATH, self._check)
        application.router.add_get(wire.RECORDING_PATH, self._recording)
        application.router.add_get(f"{LOG_PATH}/{{of}}", self._log)
        application.router.add_get(CLIENTS_PATH, self._clients)
        application.router.add_delete(f"{CLIENTS_PATH}/{{id}}", self._revoke)
        application.on_response_prepare.append(_harden)
        application.on_shutdown.append(self._goodbye)
        return application

    async def _goodbye(self, _: web.Application) -> None:
        await asyncio.gather(*(socket.close(code=1001, message=b"the edge stops") for socket in set(self._sockets)))

    # --------------------------------------------------------------------------------------------------------- routes

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=HTTPStatus.OK if self._edge.is_fresh() else HTTPStatus.SERVICE_UNAVAILABLE)

    async def _pair(self, request: web.Request) -> web.Response:
        """``{code, name}`` for ``{token, installation, fingerprint}``."""
        body = await self._body(request)
        try:
            token = await self._edge.pairing.pair(str(body.get("code", "")), str(body.get("name", "")))
        except PairingError as error:
            return _failed(_PAIRING_STATUS[error.code], error.code, str(error))
        except OSError:
            return _failed(HTTPStatus.SERVICE_UNAVAILABLE, "internal", "the token could not be kept; is the disk full?")
        return web.json_response(
            {"token": token, "installation": self._edge.installation, "fingerprint": self._fingerprint}
        )

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if len(self._sockets) >= self._bounds.sockets:
            raise web.HTTPServiceUnavailable(text="too many sockets\n")
        if request.transport is None:
            raise web.HTTPBadRequest
        socket = web.WebSocketResponse(
            heartbeat=self._patience.ping_s, timeout=2.0, compress=False, max_msg_size=MOST_BYTES
        )
        self._sockets.add(socket)
        try:
            await socket.prepare(request)
            edge = self._edge
            connection = Connection(
                socket,
                request.transport,
                request[CLIENT],
                hub=edge.hub,
                journal=edge.journal,
                commands=edge.commands,
                patience=self._patience,
            )
            await connection.run(self._hello())
        finally:
            self._sockets.discard(socket)
        return socket

    def _hello(self) -> wire.Hello:
        return wire.Hello(
            type="hello",
            product="ridethrough",
            version=self._edge.version,
            installation=self._edge.installation,
            schema_low=wire.LOWEST_SCHEMA,
            schema_high=wire.HIGHEST_SCHEMA,
        )

    async def _state(self, _: web.Request) -> web.Response:
        state = self._edge.hub.state
        if state is None:
            return _failed(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", "the first control cycle is not complete")
        return web.json_response(text=wire.encode(state))

    async def _command(self, request: web.Request) -> web.Response:
        """A command message; the answer is a result message, also when it says no."""
        return web.json_response(await self._edge.commands.answer(await self._body(request), request[CLIENT]))

    async def _check(self, _: web.Request) -> web.Response:
        return web.json_response({"findings": [dict(finding) for finding in await self._edge.check()]})

    async def _recording(self, _: web.Request) -> web.Response:
        try:
            return web.json_response(text=await self._edge.recording())
        except OSError as error:
            return _failed(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", f"the recording cannot be read: {error}")

    async def _log(self, request: web.Request) -> web.Response:
        """The last outages or drills, the newest first: the data of the occurrence that ended each."""
        if request.match_info["of"] == "settlements":
            return self._settlements(request)
        kinds = LOGS.get(request.match_info["of"])
        if kinds is None:
            known = " and of ".join([*LOGS, "settlements"])
            return _failed(HTTPStatus.NOT_FOUND, "bad_argument", f"there is a log of {known}")
        try:
            kept = await self._edge.journal.last_happenings(kinds, LOG_ENTRIES)
        except OSError as error:
            return _failed(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", f"the log cannot be read: {error}")
        entries = [
            {"at": one.happening.at.isoformat(), "kind": one.happening.kind, **one.happening.data} for one in kept
        ]
        return web.json_response({"entries": entries})

    def _settlements(self, request: web.Request) -> web.Response:
        """What events and seasons have come to: ``program`` and ``year`` narrow it."""
        year = request.query.get("year")
        if year is not None and not (year.isascii() and year.isdigit()):
            return _failed(HTTPStatus.BAD_REQUEST, "bad_argument", "year must be a year, such as 2026")
        books = self._edge.settlements(request.query.get("program"), None if year is None else int(year))
        return web.json_response(text=wire.encode(books))

    async def _clients(self, request: web.Request) -> web.Response:
        _require_local(request)
        return web.json_response(
            {
                "clients": [
                    {"id": client.id, "name": client.name, "role": client.role, "paired_at": client.paired_at}
                    for client in self._edge.pairing.clients
                ]
            }
        )

    async def _revoke(self, request: web.Request) -> web.Response:
        """Take a client's token away and end its connections."""
        _require_local(request)
        client_id = request.match_info["id"]
        if not await self._edge.pairing.revoke(client_id):
            raise web.HTTPNotFound(text="no such client\n")
        self._edge.hub.disconnect(client_id)
        return web.json_response({})

    async def _body(self, request: web.Request) -> Mapping[str, Any]:
        """A JSON object, of our content type: a page's form cannot send it."""
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="application/json is needed\n")
        try:
            async with asyncio.timeout(self._bounds.silence_s):
                body = json.loads(await request.read())
        except TimeoutError as error:
            raise web.HTTPRequestTimeout from error
        except (ValueError, RecursionError) as error:
            raise web.HTTPBadRequest(text="the body is not JSON\n") from error
        if not isinstance(body, dict):
            raise web.HTTPBadRequest(text="the body is not a JSON object\n")
        return body


def _require_local(request: web.Request) -> None:
    if request[CLIENT].role is not Role.LOCAL:
        raise web.HTTPForbidden(text="only for the edge's own command line\n")


def _failed(status: HTTPStatus, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


async def _harden(_: web.Request, response: web.StreamResponse) -> None:
    """Nothing here is for caches or for guessing; nor whose software answers."""
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    response.headers[hdrs.X_CONTENT_TYPE_OPTIONS] = "nosniff"
    response.headers[hdrs.SERVER] = "ridethrough"
