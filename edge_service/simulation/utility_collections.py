"""The five operations of the simulated utility on one kind of object, each for what the asking client may see."""

import json
from collections.abc import Callable

from aiohttp import web

from edge_service.simulation.utility_access import Client, DeniedError, require
from edge_service.simulation.utility_objects import (
    JsonObject,
    MalformedError,
    event,
    granted,
    program,
    report,
    request_type,
    resource,
    ven,
)
from edge_service.simulation.utility_store import ConflictError, Store

MOST_ROWS = 50
READ_SCOPES = {
    "programs": "read_targets",
    "events": "read_targets",
    "reports": "read_ven_objects",
    "vens": "read_ven_objects",
    "resources": "read_ven_objects",
}
WRITE_SCOPES = {
    "programs": "write_programs",
    "events": "write_events",
    "reports": "write_reports",
    "vens": "write_vens",
    "resources": "write_vens",
}
FILTERS = {
    "events": ("programID",),
    "reports": ("programID", "eventID", "clientName"),
    "vens": ("venName",),
    "resources": ("resourceName", "venID"),
}


class Collection:
    """The request handlers of one kind; ``siblings`` gives the broken rows to stand before a first page."""

    def __init__(
        self,
        kind: str,
        store: Store,
        client: Callable[[web.Request], Client],
        siblings: Callable[[str, list[JsonObject]], list[object]],
    ) -> None:
        self._kind = kind
        self._store = store
        self._client = client
        self._siblings = siblings

    async def listing(self, request: web.Request) -> web.Response:
        """``active`` is ignored, as by the recorded VTN: past events come back too."""
        client = self._reader(request)
        skip = _count(request, "skip", least=0, most=2**63 - 1, default=0)
        limit = _count(request, "limit", least=1, most=MOST_ROWS, default=MOST_ROWS)
        rows = [row for row in self._store.rows(self._kind) if self._visible(client, row) and self._asked(request, row)]
        page: list[object] = list(rows[skip : skip + limit])
        return json_answer(page if skip else [*self._siblings(self._kind, rows), *page])

    async def create(self, request: web.Request) -> web.Response:
        client = self._writer(request)
        fields = self._fields(await _json(request), client, None, request)
        return json_answer(self._store.add(self._kind, fields), status=201)

    async def read(self, request: web.Request) -> web.Response:
        return json_answer(self._one(request, self._reader(request)))

    async def update(self, request: web.Request) -> web.Response:
        client = self._writer(request)
        before = self._one(request, client)
        fields = self._fields(await _json(request), client, before, request)
        return json_answer(self._store.replace(self._kind, before["id"], fields))

    async def delete(self, request: web.Request) -> web.Response:
        """The deleted object is the answer."""
        row = self._one(request, self._writer(request))
        return json_answer(self._store.remove(self._kind, row["id"]))

    def _reader(self, request: web.Request) -> Client:
        client = self._client(request)
        require(client, READ_SCOPES[self._kind], "read_all")
        return client

    def _writer(self, request: web.Request) -> Client:
        client = self._client(request)
        require(client, WRITE_SCOPES[self._kind])
        return client

    def _one(self, request: web.Request, client: Client) -> JsonObject:
        row = self._store.find(self._kind, request.match_info["id"])
        if row is None or not self._visible(client, row):
            raise web.HTTPNotFound
        return row

    def _visible(self, client: Client, row: JsonObject) -> bool:
        """A VEN sees its own objects, and programs and events with no target or with one granted to it."""
        if client.business:
            return True
        if self._kind not in ("programs", "events"):
            return bool(row["clientID"] == client.id)
        owned = (own["targets"] for own in self._store.rows("vens") if own["clientID"] == client.id)
        mine = {target for targets in owned for target in targets}
        return not row["targets"] or not mine.isdisjoint(row["targets"])

    def _asked(self, request: web.Request, row: JsonObject) -> bool:
        targets = set(request.query.getall("targets", []))
        if targets and targets.isdisjoint(row.get("targets", [])):
            return False
        known = row | {"programID": self._program_of(row)}
        wanted = {field: request.query[field] for field in FILTERS.get(self._kind, ()) if field in request.query}
        return all(known.get(field) == value for field, value in wanted.items())

    def _program_of(self, row: JsonObject) -> object:
        """The program of an event, or of the event that a report is about."""
        event_row = self._store.find("events", row["eventID"]) if "eventID" in row else row
        return (event_row or {}).get("programID")

    def _fields(self, body: object, client: Client, before: JsonObject | None, request: web.Request) -> JsonObject:
        """The checked body. Raises MalformedError, DeniedError; ConflictError for a resource of another's ven."""
        match self._kind:
            case "programs":
                return program(body)
            case "events":
                return event(body)
            case "reports":
                return report(body) | {"clientID": client.id}
            case "vens":
                return _owner(body, client, before, "VEN") | ven(body)
        fields = resource(body)
        owner = self._store.find("vens", fields["venID"])
        if owner is None or not (client.business or owner["clientID"] == client.id):
            raise ConflictError("A foreign key constraint is violated")
        return _owner(body, client, before, "RESOURCE") | fields


def _owner(body: object, client: Client, before: JsonObject | None, noun: str) -> JsonObject:
    """Whose the object is and its targets: the business logic says so, a VEN keeps what it was given."""
    kind = request_type(body, (f"VEN_{noun}_REQUEST", f"BL_{noun}_REQUEST"))
    if kind.startswith("VEN"):
        return {"clientID": client.id, "targets": before["targets"] if before else []}
    if not client.business:
        raise DeniedError(403, f"Only business logic may send a {kind}")
    return granted(body)


def json_answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer whose media type names no charset, as recorded."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def _count(request: web.Request, name: str, *, least: int, most: int, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise MalformedError(f"{name}: Validation error: {text!r} is not from {least} to {most}")
    return int(text)


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


async def _json(request: web.Request) -> object:
    try:
        return json.loads(await request.text(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"Failed to parse the request body as JSON: {error}") from error
