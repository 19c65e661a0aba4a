"""The simulated utility as a server of OpenADR 3.0.1, as openleadr-rs 0.1.4 was seen to be one.

Targets are pairs of type and values, kept as written; a VEN sees what is meant for others too. Resources stand below
their ven. There is no /auth/server and no /notifiers.
"""

from aiohttp import web

from edge_service.simulation import utility_objects as newer
from edge_service.simulation.utility_access import Client
from edge_service.simulation.utility_collections import Collection
from edge_service.simulation.utility_objects import JsonObject, MalformedError
from edge_service.simulation.utility_store import ConflictError

VERSION = "3.0.1"
OBJECT_TYPES = {"programs": "PROGRAM", "events": "EVENT", "reports": "REPORT", "vens": "VEN", "resources": "RESOURCE"}
# Of a program, what 3.1 moved into attributes.
_FLAT = (
    "programLongName",
    "retailerName",
    "retailerLongName",
    "programType",
    "country",
    "principalSubdivision",
    "bindingEvents",
    "localPrice",
)


class OlderCollection(Collection):
    """The same operations on objects of the older form."""

    def _visible(self, client: Client, row: JsonObject) -> bool:
        """VENs see each other's programs and events, and their own ven, resources and reports."""
        return client.business or self._kind in ("programs", "events") or bool(row["clientID"] == client.id)

    def _one(self, request: web.Request, client: Client) -> JsonObject:
        row = super()._one(request, client)
        if "ven" in request.match_info and row["venID"] != request.match_info["ven"]:
            raise web.HTTPNotFound
        return row

    def _asked(self, request: web.Request, row: JsonObject) -> bool:
        if "ven" in request.match_info and row["venID"] != request.match_info["ven"]:
            return False
        kind, values = request.query.get("targetType"), set(request.query.getall("targetValues", []))
        named = [target for target in row.get("targets") or [] if target["type"] == kind]
        if kind is not None and not any(values.intersection(target["values"]) for target in named):
            return False
        return super()._asked(request, row)

    def _fields(self, body: object, client: Client, before: JsonObject | None, request: web.Request) -> JsonObject:
        fields = self._read(body, request)
        if self._kind in ("vens", "resources", "reports"):
            fields["clientID"] = before["clientID"] if before else client.id
        if self._kind == "resources":
            owner = self._store.find("vens", fields["venID"])
            if owner is None or not (client.business or owner["clientID"] == client.id):
                raise ConflictError("A foreign key constraint is violated")
        return fields

    def _read(self, body: object, request: web.Request) -> JsonObject:
        if not isinstance(body, dict):
            raise MalformedError("the body is no object")
        if body.get("objectType", OBJECT_TYPES[self._kind]) != OBJECT_TYPES[self._kind]:
            raise MalformedError(f"objectType: unknown variant {body['objectType']!r}")
        targets = newer.typed_targets(body.get("targets"), "targets")
        plain = {name: value for name, value in body.items() if name != "targets"}
        match self._kind:
            case "programs":
                return (
                    newer.program(plain) | {name: body[name] for name in _FLAT if name in body} | {"targets": targets}
                )
            case "events":
                if not body.get("intervals"):
                    raise MalformedError("intervals: missing field")
                return newer.event(plain) | {"targets": targets}
            case "reports":
                if "programID" not in body:
                    raise MalformedError("programID: missing field")
                return newer.report(plain) | {"programID": body["programID"]}
            case "vens":
                return newer.ven(plain) | {"targets": targets}
        return newer.resource(plain | {"venID": request.match_info["ven"]}) | {"targets": targets}
