"""The objects of the simulated utility: names unique, references whole, and a file that outlives the process."""

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from edge_service.simulation.utility_objects import JsonObject

KINDS = ("programs", "events", "reports", "vens", "resources")

# The recorded VTN names its type in these only; events and vens carry no objectType.
OBJECT_TYPES = {"programs": "PROGRAM", "reports": "REPORT"}
UNIQUE = {"programs": ("programName",), "vens": ("venName",), "resources": ("venID", "resourceName")}
REFERENCES = {
    "events": ("programID", "programs"),
    "reports": ("eventID", "events"),
    "resources": ("venID", "vens"),
}


class ConflictError(Exception):
    """The store refuses: a name is taken or a reference would dangle (409)."""


class Store:
    """Objects by kind and id. Each change is written to ``path`` at once, when one is given."""

    def __init__(
        self, now: Callable[[], datetime], path: Path | None = None, types: Mapping[str, str] = OBJECT_TYPES
    ) -> None:
        """``types``: what the objects of a kind are called in themselves, where they are."""
        self._now = now
        self._types = types
        self._path = path
        self._objects: dict[str, dict[str, JsonObject]] = {kind: {} for kind in KINDS}
        # Each is told operation (CREATE, UPDATE, DELETE), kind and object.
        self.watchers: list[Callable[[str, str, JsonObject], None]] = []
        self._last_change = datetime.min.replace(tzinfo=UTC)
        if path is not None and path.exists():
            self._load(path)

    def find(self, kind: str, object_id: str) -> JsonObject | None:
        return self._objects[kind].get(object_id)

    def rows(self, kind: str) -> list[JsonObject]:
        """Newest first; events by priority before that, 0 first and null last."""
        newest = sorted(self._objects[kind].values(), key=lambda row: str(row["createdDateTime"]), reverse=True)
        return sorted(newest, key=_rank) if kind == "events" else newest

    def add(self, kind: str, fields: JsonObject) -> JsonObject:
        """Raises ConflictError when the name is taken or what it refers to does not exist."""
        self._check(kind, fields, None)
        at = self._stamp()
        row = {"id": str(uuid4()), "createdDateTime": at, "modificationDateTime": at}
        if kind in self._types:
            row["objectType"] = self._types[kind]
        self._objects[kind][row["id"]] = row | fields
        self._changed("CREATE", kind, self._objects[kind][row["id"]])
        return self._objects[kind][row["id"]]

    def replace(self, kind: str, object_id: str, fields: JsonObject) -> JsonObject:
        """All fields anew, as PUT does; id and creation stay. Raises ConflictError as ``add``."""
        self._check(kind, fields, object_id)
        before = self._objects[kind][object_id]
        kept = {name: before[name] for name in ("id", "createdDateTime", "objectType") if name in before}
        self._objects[kind][object_id] = kept | {"modificationDateTime": self._stamp()} | fields
        self._changed("UPDATE", kind, self._objects[kind][object_id])
        return self._objects[kind][object_id]

    def remove(self, kind: str, object_id: str) -> JsonObject:
        """Raises ConflictError while another object refers to it: an event with a report cannot be deleted."""
        for other, (field, referred) in REFERENCES.items():
            if referred == kind and any(row[field] == object_id for row in self._objects[other].values()):
                raise ConflictError("A foreign key constraint is violated")
        row = self._objects[kind].pop(object_id)
        self._changed("DELETE", kind, row)
        return row

    def _check(self, kind: str, fields: JsonObject, own_id: str | None) -> None:
        names = UNIQUE.get(kind, ())
        for row in self._objects[kind].values():
            if names and row["id"] != own_id and all(row[name] == fields[name] for name in names):
                raise ConflictError("Conflict")
        if kind in REFERENCES:
            field, referred = REFERENCES[kind]
            if fields[field] not in self._objects[referred]:
                raise ConflictError("A foreign key constraint is violated")

    def _changed(self, operation: str, kind: str, row: JsonObject) -> None:
        self._save()
        for tell in self.watchers:
            tell(operation, kind, row)

    def _stamp(self) -> str:
        # Two changes never share an instant, so that "newest first" is one order.
        self._last_change = max(self._now(), self._last_change + timedelta(microseconds=1))
        return self._last_change.isoformat(timespec="microseconds")

    def _load(self, path: Path) -> None:
        """Raises ValueError when the file is not what an earlier run wrote."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            self._objects = {kind: dict(kept[kind]) for kind in KINDS}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a state file of the simulated utility ({error}); delete it") from error

    def _save(self) -> None:
        if self._path is None:
            return
        beside = self._path.with_name(self._path.name + ".new")
        beside.write_text(json.dumps(self._objects, indent=1), encoding="utf-8")
        os.replace(beside, self._path)


def _rank(event: JsonObject) -> tuple[bool, int]:
    priority = event["priority"]
    return (priority is None, priority or 0)
