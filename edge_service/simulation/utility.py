"""A simulated utility: an OpenADR 3.1 VTN over plain HTTP on loopback, with OAuth2 client credentials.

It answers as LF Energy openleadr-rs 0.2.4 was recorded to answer; tests replay the recordings. Subscriptions and MQTT
are not there. Beside the protocol, under /simulate, routes call and cancel events and make it misbehave
(``utility_control``).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http.client import responses as phrases
from pathlib import Path
from typing import Self
from uuid import uuid4

from aiohttp import web

from edge_service.simulation.utility_access import (
    BUSINESS_SCOPES,
    VEN_SCOPES,
    Access,
    Client,
    DeniedError,
    GrantError,
)
from edge_service.simulation.utility_collections import Collection, json_answer
from edge_service.simulation.utility_control import CONTROL_PATH, Dispatch, control_routes
from edge_service.simulation.utility_faults import GARBAGE, Faults, bad_siblings
from edge_service.simulation.utility_objects import JsonObject, MalformedError
from edge_service.simulation.utility_store import KINDS, ConflictError, Store

BASE_PATH = "/openadr3/3.1.0"
REQUESTS_KEPT = 10_000
type Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class UtilityOptions:
    """Where the utility listens (port 0: any free one), who may come in, where it keeps its objects (None: nowhere)."""

    port: int = 0
    ven_id: str = "ven-client"
    ven_secret: str = "ven-secret"
    business_id: str = "business-client"
    business_secret: str = "business-secret"
    state: Path | None = None


@dataclass(frozen=True, slots=True)
class RequestSeen:
    """One OpenADR request as it was answered. ``path`` includes the query, not the base path."""

    at: str
    method: str
    path: str
    status: int


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SimulatedUtility:
    """The running utility, an async context manager; ``dispatch`` and ``set_faults`` control it from this process."""

    def __init__(self, options: UtilityOptions | None = None, now: Callable[[], datetime] = _utc_now) -> None:
        """Raises ValueError when the state file is not one of ours."""
        self.options = options or UtilityOptions()
        self.faults = Faults()
        self.requests: deque[RequestSeen] = deque(maxlen=REQUESTS_KEPT)
        self.store = Store(now, self.options.state)
        self.dispatch = Dispatch(self.store, now)
        self.port = 0
        self._now = now
        self._garbage_given = 0
        self._runner: web.AppRunner | None = None
        chosen = self.options
        self._access = Access(
            (
                Client(chosen.ven_id, chosen.ven_secret, VEN_SCOPES),
                Client(chosen.business_id, chosen.business_secret, BUSINESS_SCOPES),
            ),
            now,
        )

    @property
    def base_url(self) -> str:
        """What a VEN is configured with."""
        return f"http://127.0.0.1:{self.port}{BASE_PATH}"

    @property
    def control_url(self) -> str:
        """What ``utility_acts`` wants."""
        return f"http://127.0.0.1:{self.port}{CONTROL_PATH}"

    async def __aenter__(self) -> Self:
        """Raises OSError when the port is taken."""
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.options.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def set_faults(self, wish: JsonObject) -> Faults:
        """Set the named faults (null takes one away) and return all; ``expire_tokens`` acts once. Raises ValueError."""
        rest = {name: value for name, value in wish.items() if name != "expire_tokens"}
        self.faults = self.faults.changed(rest)
        if wish.get("expire_tokens"):
            self._access.expire()
        return self.faults

    def truth(self) -> JsonObject:
        """What really happened here: requests seen, oldest first, and all objects, newest first."""
        objects = {kind: self.store.rows(kind) for kind in KINDS}
        return {"requests": [asdict(seen) for seen in self.requests], "faults": asdict(self.faults), **objects}

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._record, self._misbehave, _answer_problems])
        app.router.add_get(f"{BASE_PATH}/auth/server", self._tell_token_url)
        app.router.add_post(f"{BASE_PATH}/auth/token", self._give_token)
        app.router.add_get(f"{BASE_PATH}/notifiers", self._tell_notifiers)
        for kind in KINDS:
            serve = Collection(kind, self.store, self._client, self._siblings)
            app.router.add_get(f"{BASE_PATH}/{kind}", serve.listing)
            app.router.add_post(f"{BASE_PATH}/{kind}", serve.create)
            app.router.add_get(f"{BASE_PATH}/{kind}/{{id}}", serve.read)
            app.router.add_put(f"{BASE_PATH}/{kind}/{{id}}", serve.update)
            app.router.add_delete(f"{BASE_PATH}/{kind}/{{id}}", serve.delete)
        app.add_routes(control_routes(self.dispatch, self.set_faults, self.truth))
        return app

    def _client(self, request: web.Request) -> Client:
        return self._access.client(request.headers.get("Authorization"))

    def _siblings(self, kind: str, rows: list[JsonObject]) -> list[object]:
        """Broken rows to stand before the real ones, when that fault is set."""
        if not self.faults.extra_bad_objects:
            return []
        return bad_siblings(kind, rows, self._now().isoformat(timespec="microseconds"))

    async def _tell_token_url(self, _: web.Request) -> web.Response:
        return json_answer({"tokenURL": f"{self.base_url}/auth/token"})

    async def _give_token(self, request: web.Request) -> web.Response:
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        try:
            return json_answer(self._access.grant(form, request.headers.get("Authorization")))
        except GrantError as refused:
            body = {"error": refused.error, "error_description": str(refused)}
            return json_answer(body, status=refused.status, headers=_challenge(refused.status))

    async def _tell_notifiers(self, request: web.Request) -> web.Response:
        """As recorded, no WEBHOOK key though the standard requires it; MQTT is not there."""
        self._client(request)
        return json_answer({"WEBSOCKET": False})

    @web.middleware
    async def _record(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        if not request.path.startswith(BASE_PATH):
            return await handler(request)
        at = self._now().isoformat(timespec="microseconds")
        response = await handler(request)
        path = request.path_qs.removeprefix(BASE_PATH)
        self.requests.append(RequestSeen(at, request.method, path, response.status))
        return response

    @web.middleware
    async def _misbehave(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        if not request.path.startswith(BASE_PATH):
            return await handler(request)
        if self.faults.latency_ms is not None:
            await asyncio.sleep(self.faults.latency_ms / 1000)
        if self.faults.status is not None:
            retry = {} if self.faults.retry_after_s is None else {"Retry-After": str(self.faults.retry_after_s)}
            return _problem(self.faults.status, "Simulated fault", retry)
        if self.faults.garbage:
            self._garbage_given += 1
            text = GARBAGE[self._garbage_given % len(GARBAGE) - 1]
            return web.Response(text=text, content_type="application/json")
        return await handler(request)


def _challenge(status: int) -> dict[str, str]:
    return {"WWW-Authenticate": 'Bearer realm="VTN"'} if status == 401 else {}


def _problem(status: int, detail: str | None, headers: dict[str, str] | None = None) -> web.Response:
    """A problem body as recorded: ``instance`` a bare UUID, ``detail`` absent for 404."""
    title = f"{status} {phrases.get(status, 'Error')}"
    body: JsonObject = {"type": "about:blank", "title": title, "status": status}
    body |= {"detail": detail} if detail else {}
    return json_answer(body | {"instance": str(uuid4())}, status=status, headers=headers)


@web.middleware
async def _answer_problems(request: web.Request, handler: Answer) -> web.StreamResponse:
    if not request.path.startswith(BASE_PATH):
        return await handler(request)
    try:
        return await handler(request)
    except MalformedError as error:
        return _problem(400, str(error))
    except DeniedError as error:
        return _problem(error.status, str(error), _challenge(error.status))
    except ConflictError as error:
        return _problem(409, str(error))
    except web.HTTPNotFound:
        return _problem(404, None)
    except web.HTTPMethodNotAllowed as error:
        allowed = {"Allow": ",".join(sorted(error.allowed_methods))}
        return _problem(405, "See allow headers for allowed methods", allowed)
