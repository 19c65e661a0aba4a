"""A simulated utility: an OpenADR 3.1 or 3.0.1 VTN over plain HTTP on loopback, with OAuth2 client credentials.

It answers as LF Energy openleadr-rs 0.2.4 was recorded to answer; tests replay the recordings. Subscriptions are not
there; MQTT is, when asked for. Beside the protocol, under /simulate, routes call and cancel events and make it
misbehave (``utility_control``).
"""

import asyncio
import gzip
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import responses as phrases
from pathlib import Path
from typing import Self
from uuid import uuid4

from aiohttp import web

from edge_service.simulation import utility_older
from edge_service.simulation.utility_access import (
    BUSINESS_SCOPES,
    VEN_SCOPES,
    Access,
    Client,
    DeniedError,
    GrantError,
)
from edge_service.simulation.utility_broker import Broker
from edge_service.simulation.utility_collections import Collection, json_answer
from edge_service.simulation.utility_control import CONTROL_PATH, Dispatch, control_routes
from edge_service.simulation.utility_faults import GARBAGE, Faults, bad_siblings
from edge_service.simulation.utility_objects import JsonObject, MalformedError
from edge_service.simulation.utility_push import Push, topics_of
from edge_service.simulation.utility_store import KINDS, OBJECT_TYPES, ConflictError, Store

VERSIONS = ("3.1.0", utility_older.VERSION)
OWN_BROKER = "own"
# The one way that openleadr-rs 0.2.4 names; the standard spells it OAUTH2_BEARER_TOKEN.
BY_TOKEN = "OAUTH2BEARERTOKEN"
REQUESTS_KEPT = 10_000
EXCHANGES_KEPT = 500
type Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class UtilityOptions:
    """Where the utility listens (port 0: any free one), who may come in, where it keeps its objects (None: nowhere).

    ``mqtt``: empty for no push, ``own`` for a broker in this process, else the address of one to publish at.
    """

    port: int = 0
    ven_id: str = "ven-client"
    ven_secret: str = "ven-secret"
    business_id: str = "business-client"
    business_secret: str = "business-secret"
    state: Path | None = None
    version: str = VERSIONS[0]
    mqtt: str = ""
    mqtt_method: str = BY_TOKEN


@dataclass(frozen=True, slots=True)
class RequestSeen:
    """One OpenADR request as it was answered. ``path`` includes the query, not the base path."""

    at: str
    method: str
    path: str
    status: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """One OpenADR request and its answer, whole. ``path`` is without the base path, ``kind`` the body's media type."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    kind: str
    body: bytes
    status: int
    answer: bytes


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SimulatedUtility:
    """The running utility, an async context manager; ``dispatch`` and ``set_faults`` control it from this process."""

    def __init__(self, options: UtilityOptions | None = None, now: Callable[[], datetime] = _utc_now) -> None:
        """Raises ValueError when the state file is not one of ours."""
        self.options = options or UtilityOptions()
        self.faults = Faults()
        self.requests: deque[RequestSeen] = deque(maxlen=REQUESTS_KEPT)
        self.exchanges: deque[Exchange] = deque(maxlen=EXCHANGES_KEPT)
        self._older = self.options.version == utility_older.VERSION
        types = utility_older.OBJECT_TYPES if self._older else OBJECT_TYPES
        self.store = Store(now, self.options.state, types)
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
        self.push = self._make_push()

    @property
    def base_path(self) -> str:
        return f"/openadr3/{self.options.version}"

    @property
    def base_url(self) -> str:
        """What a VEN is configured with."""
        return f"http://127.0.0.1:{self.port}{self.base_path}"

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
        if self.push is not None:
            await self.push.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.push is not None:
            await self.push.stop()
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
        app = web.Application(middlewares=[self._record, self._misbehave, self._answer_problems])
        app.router.add_post(f"{self.base_path}/auth/token", self._give_token)
        app.router.add_get(f"{self.base_path}/auth/server", self._tell_token_url)
        if not self._older:
            app.router.add_get(f"{self.base_path}/notifiers", self._tell_notifiers)
            app.router.add_get(f"{self.base_path}/notifiers/mqtt/topics/{{path:.+}}", self._tell_topics)
        for kind in KINDS:
            self._serve(app, kind)
        app.add_routes(control_routes(self.dispatch, self.set_faults, self.truth))
        return app

    def _serve(self, app: web.Application, kind: str) -> None:
        of_kind = utility_older.OlderCollection if self._older else Collection
        serve = of_kind(kind, self.store, self._client, self._siblings)
        path = f"{self.base_path}/{kind}"
        if self._older and kind == "resources":
            path = f"{self.base_path}/vens/{{ven}}/resources"
        app.router.add_get(path, serve.listing)
        app.router.add_post(path, serve.create)
        app.router.add_get(f"{path}/{{id}}", serve.read)
        app.router.add_put(f"{path}/{{id}}", serve.update)
        app.router.add_delete(f"{path}/{{id}}", serve.delete)

    def _make_push(self) -> Push | None:
        if not self.options.mqtt:
            return None
        own = Broker(self._may_listen) if self.options.mqtt == OWN_BROKER else None
        return Push(self.store, own, self.options.mqtt, self.options.mqtt_method)

    def _may_listen(self, user: str | None, password: str | None) -> bool:
        """At the own broker, as the notifiers' answer says: a client's id and its token."""
        if self.options.mqtt_method == "ANONYMOUS":
            return True
        try:
            return self._access.client(f"Bearer {password}").id == user
        except DeniedError:
            return False

    def _client(self, request: web.Request) -> Client:
        if self.faults.refuses_all_tokens:
            raise DeniedError(self.faults.denied_status or 403, "Invalid authentication token provided")
        try:
            return self._access.client(request.headers.get("Authorization"))
        except DeniedError as error:
            raise DeniedError(self.faults.denied_status or error.status, str(error)) from error

    def _siblings(self, kind: str, rows: list[JsonObject]) -> list[object]:
        """Broken rows to stand before the real ones, when that fault is set."""
        if not self.faults.extra_bad_objects:
            return []
        return bad_siblings(kind, rows, self._now().isoformat(timespec="microseconds"))

    async def _tell_token_url(self, _: web.Request) -> web.Response:
        if self.faults.hides_auth_server or (self._older and not self.faults.shows_auth_server):
            raise web.HTTPNotFound
        return json_answer({"tokenURL": self.faults.token_url or f"{self.base_url}/auth/token"})

    async def _give_token(self, request: web.Request) -> web.Response:
        if self.faults.token_status is not None:
            return _no_token(self.faults.token_status)
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        try:
            given = self._access.grant(form, request.headers.get("Authorization"))
            return json_answer(_with_expiry(given, self.faults.token_expires_in))
        except GrantError as refused:
            body = {"error": refused.error, "error_description": str(refused)}
            return json_answer(body, status=refused.status, headers=_challenge(refused.status))

    async def _tell_notifiers(self, request: web.Request) -> web.Response:
        """As recorded, no WEBHOOK key though the standard requires it."""
        self._client(request)
        mqtt = {} if self.push is None else {"MQTT": self.push.binding()}
        return json_answer({**mqtt, "WEBSOCKET": False})

    async def _tell_topics(self, request: web.Request) -> web.Response:
        client = self._client(request)
        if self.push is None:
            raise web.HTTPNotFound
        return json_answer(await topics_of(self.push, self.store, client, request))

    @web.middleware
    async def _record(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        if not request.path.startswith(self.base_path):
            return await handler(request)
        at = self._now().isoformat(timespec="microseconds")
        response = await handler(request)
        theirs = self._now() + timedelta(seconds=self.faults.clock_off_s or 0)
        response.headers["Date"] = format_datetime(theirs.astimezone(UTC), usegmt=True)
        path = request.path_qs.removeprefix(self.base_path)
        self.requests.append(RequestSeen(at, request.method, path, response.status))
        self.exchanges.append(await self._exchange(request, response))
        return response

    async def _exchange(self, request: web.Request, response: web.StreamResponse) -> Exchange:
        return Exchange(
            method=request.method,
            path=request.path.removeprefix(self.base_path),
            query=tuple(request.query.items()),
            kind=request.content_type,
            body=await request.read(),
            status=response.status,
            answer=response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b"",
        )

    @web.middleware
    async def _misbehave(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        faults, path = self.faults, request.path.removeprefix(self.base_path)
        if path == request.path or (faults.only is not None and not path.startswith(faults.only)):
            return await handler(request)
        if faults.latency_ms is not None:
            await asyncio.sleep(faults.latency_ms / 1000)
        if faults.status is not None:
            wait = faults.retry_after_s if faults.retry_after is None else faults.retry_after
            return _problem(faults.status, "Simulated fault", {} if wait is None else {"Retry-After": str(wait)})
        if faults.garbage:
            self._garbage_given += 1
            text = GARBAGE[self._garbage_given % len(GARBAGE) - 1]
            return web.Response(text=text, content_type="application/json")
        if faults.body is not None and request.method == "GET" and not path.startswith("/auth"):
            return web.Response(body=faults.body.encode(errors="surrogateescape"), content_type="application/json")
        if faults.most_body_bytes is not None and (request.content_length or 0) > faults.most_body_bytes:
            return _problem(413, "The body is too large")
        answer = _lost(path, request, faults) or await handler(request)
        if faults.swallows_answers and request.method != "GET" and request.transport is not None:
            request.transport.close()
        return answer

    @web.middleware
    async def _answer_problems(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        if not request.path.startswith(self.base_path):
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


def _lost(path: str, request: web.Request, faults: Faults) -> web.Response | None:
    """What a server says that lost its objects, or that packs a bomb."""
    if faults.bomb and request.method == "GET" and not path.startswith("/auth"):
        packed = gzip.compress(b"[" + b" " * 50_000_000 + b"]", compresslevel=9)
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"}, content_type="application/json")
    listed = path.strip("/") in KINDS and request.method == "GET"
    if listed and (faults.empty_lists or (faults.forgets_vens and path.startswith("/vens"))):
        return json_answer([])
    if faults.forgets_vens and path.startswith("/vens/"):
        return _problem(404, None)
    return None


def _no_token(status: int) -> web.Response:
    """The token endpoint in trouble; 501 where the standard lets it be missing."""
    if status < 400:
        return web.Response(status=status, headers={"Location": "http://127.0.0.1:9/elsewhere"})
    return json_answer({"error": "invalid_client" if status == 401 else "invalid_request"}, status=status)


def _with_expiry(given: JsonObject, told: str | None) -> JsonObject:
    """``absent``: no word of it; else a number, or a text as it stands."""
    if told is None:
        return given
    rest = {name: value for name, value in given.items() if name != "expires_in"}
    if told == "absent":
        return rest
    try:
        return rest | {"expires_in": int(told)}
    except ValueError:
        return rest | {"expires_in": told}


def _challenge(status: int) -> dict[str, str]:
    return {"WWW-Authenticate": 'Bearer realm="VTN"'} if status == 401 else {}


def _problem(status: int, detail: str | None, headers: dict[str, str] | None = None) -> web.Response:
    """A problem body as recorded: ``instance`` a bare UUID, ``detail`` absent for 404."""
    title = f"{status} {phrases.get(status, 'Error')}"
    body: JsonObject = {"type": "about:blank", "title": title, "status": status}
    body |= {"detail": detail} if detail else {}
    return json_answer(body | {"instance": str(uuid4())}, status=status, headers=headers)
