"""Who we are at an OpenADR 3 server: our ven and its one resource, adopted where they exist, made where they do not.

The house enrols as one resource, named as its ven: chargers share an event among themselves, and may change.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from edge_service.programs.openadr3_client import OpenAdr3Client, ProgramAnswerError, ProgramDeniedError, Version
from edge_service.programs.openadr3_objects import ObjectError, VenObject, read_ven

# A server that will not let us enrol is not asked again with every poll.
ENROL_AGAIN = timedelta(hours=1)
# A server that takes our registration and does not know us afterwards is not filled with copies of us.
MOST_REGISTRATIONS = 2

# What says that a request is not served here, as opposed to not now.
NOT_SERVED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.CONFLICT,
    HTTPStatus.NOT_IMPLEMENTED,
)
# How a server of the other version refuses the form of a body.
_WRONG_FORM = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
type Query = list[tuple[str, str]]


class Enrolment:
    """Our own objects at one server, looked for with each contact. ``suffix`` tells this house from others."""

    def __init__(self, client: OpenAdr3Client, ven_name: str, suffix: str) -> None:
        self._client = client
        self._suffix = suffix
        self.ven_name = ven_name
        self.ven: VenObject | None = None
        self._again_at: datetime | None = None
        self._refusal = ""
        self._registered_at: list[datetime] = []
        self._resource = _Resource(client)

    @property
    def resource_name(self) -> str:
        """What reports of this house name."""
        return self.ven_name

    async def meet(self, now: datetime, problems: list[str]) -> VenObject | None:
        """Our ven with all targets granted to us, made if need be; without one we go on: events may come all the same.

        A refusal is said in ``problems``. Raises ProgramError for a server in trouble.
        """
        if self._again_at is None or self._again_at <= now:
            try:
                self.ven = await self._resource.meet(await self._met(now), now, problems)
                self._again_at = None
                return self.ven
            except (ProgramDeniedError, ProgramAnswerError) as error:
                if isinstance(error, ProgramAnswerError) and error.status not in NOT_SERVED:
                    raise
                self._again_at, self._refusal = now + ENROL_AGAIN, f"The server does not let us enrol: {error}."
        problems.append(self._refusal)
        return self.ven

    def target_queries(self) -> Iterator[Query]:
        """What to ask for besides everything, since servers differ in what they list unasked."""
        if self.ven is None:
            return
        if self._client.version is Version.V3_0:
            for kind in sorted({kind for kind, _ in self.ven.typed_targets}):
                values = sorted(value for of, value in self.ven.typed_targets if of == kind)
                yield [("targetType", kind), *(("targetValues", value) for value in values)]
        elif self.ven.targets:
            yield [("targets", word) for word in self.ven.targets]

    async def _met(self, now: datetime) -> VenObject | None:
        return await self._find_ven() or await self._still_there() or await self._register_ven(now)

    async def _find_ven(self) -> VenObject | None:
        for row in await self._client.pages("/vens", [("venName", self.ven_name)]):
            ven = _ven(row)
            if ven is not None and ven.name == self.ven_name:
                return ven
        return None

    async def _still_there(self) -> VenObject | None:
        """The one we had, when the list is silent about it and its id is not."""
        if self.ven is None:
            return None
        try:
            return _ven(await self._client.get(f"/vens/{self.ven.id}"))
        except (ProgramDeniedError, ProgramAnswerError) as error:
            if isinstance(error, ProgramAnswerError) and error.status not in _GONE:
                raise
            return None

    async def _register_ven(self, now: datetime) -> VenObject | None:
        """Register; a name that another holds gets a suffix of this house, once."""
        self._registered_at = [at for at in self._registered_at if now - at < ENROL_AGAIN]
        if len(self._registered_at) >= MOST_REGISTRATIONS:
            raise ProgramAnswerError("it forgets us each time", HTTPStatus.CONFLICT)
        self._registered_at.append(now)
        try:
            return await self._post_ven()
        except ProgramAnswerError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        found = await self._find_ven()
        if found is None and not self.ven_name.endswith(self._suffix):
            self.ven_name = f"{self.ven_name}-{self._suffix}"
            found = await self._find_ven()
        return found or await self._post_ven()

    async def _post_ven(self) -> VenObject | None:
        """Made in the form of the server's version; where that form is refused, in the other, and the version is that.

        A server may hide or stub what tells its version.
        """
        plain = {"venName": self.ven_name}
        forms: Mapping[Version, dict[str, object]] = {
            Version.V3_1: {"objectType": "VEN_VEN_REQUEST", **plain},
            Version.V3_0: {**plain},
        }
        presumed = self._client.version or Version.V3_1
        other = Version.V3_0 if presumed is Version.V3_1 else Version.V3_1
        try:
            return _ven(await self._client.post("/vens", forms[presumed]))
        except ProgramAnswerError as error:
            if error.status not in _WRONG_FORM:
                raise
        made = _ven(await self._client.post("/vens", forms[other]))
        self._client.version = other
        return made


class _Resource:
    """The resource of one ven. It is looked for when the ven is new to us, and again each hour."""

    def __init__(self, client: OpenAdr3Client) -> None:
        self._client = client
        self._of = ""
        self._again_at: datetime | None = None
        self._granted: VenObject | None = None
        self._refusal = ""

    async def meet(self, ven: VenObject | None, now: datetime, problems: list[str]) -> VenObject | None:
        """The ven with what was granted to its resource too. A server without resources is none the worse."""
        if ven is None:
            return None
        if self._of != ven.id or self._again_at is None or self._again_at <= now:
            await self._look(ven)
            self._of, self._again_at = ven.id, now + ENROL_AGAIN
        problems.extend([self._refusal] if self._refusal else [])
        return _with(ven, self._granted)

    async def _look(self, ven: VenObject) -> None:
        self._granted, self._refusal = None, ""
        try:
            row = await self._find(ven) or await self._make(ven)
        except (ProgramDeniedError, ProgramAnswerError) as error:
            if isinstance(error, ProgramAnswerError) and error.status not in NOT_SERVED:
                raise
            if isinstance(error, ProgramDeniedError) or error.status in (*_WRONG_FORM, HTTPStatus.CONFLICT):
                self._refusal = f"The server takes no resource of ours: {error}."
            return
        self._granted = _ven({"venName": ven.name, "targets": row.get("targets"), "id": ven.id})

    def _path(self, ven: VenObject) -> str:
        return f"/vens/{ven.id}/resources" if self._client.version is Version.V3_0 else "/resources"

    async def _find(self, ven: VenObject) -> Mapping[str, Any] | None:
        try:
            rows = await self._client.pages(self._path(ven), self._query(ven))
        except ProgramAnswerError as error:
            if error.status not in _GONE or self._client.version is not Version.V3_0:
                raise
            rows = await self._newer(ven)
        ours = (row for row in rows if isinstance(row, dict) and row.get("resourceName") == ven.name)
        return next((row for row in ours if row.get("venID") in (ven.id, None)), None)

    async def _newer(self, ven: VenObject) -> list[Any]:
        """Resources where 3.1 has them; a list there shows that version, whatever the server hides."""
        rows = await self._client.pages("/resources", [("resourceName", ven.name), ("venID", ven.id)])
        self._client.version = Version.V3_1
        return rows

    def _query(self, ven: VenObject) -> Query:
        return [("resourceName", ven.name), *([] if self._client.version is Version.V3_0 else [("venID", ven.id)])]

    async def _make(self, ven: VenObject) -> Mapping[str, Any]:
        body: dict[str, object] = {"resourceName": ven.name}
        if self._client.version is not Version.V3_0:
            body = {"objectType": "VEN_RESOURCE_REQUEST", **body, "venID": ven.id}
        made = await self._client.post(self._path(ven), body)
        return made if isinstance(made, dict) else {}


def _ven(row: object) -> VenObject | None:
    try:
        return read_ven(row)
    except ObjectError:
        return None


def _with(ven: VenObject, granted: VenObject | None) -> VenObject:
    """What is meant for the ven, by name too, or for its resource."""
    by_name = {("VEN_NAME", ven.name), ("RESOURCE_NAME", ven.name)}
    also = granted or VenObject(ven.id, ven.name)
    return replace(
        ven,
        targets=tuple(dict.fromkeys(ven.targets + also.targets)),
        typed_targets=ven.typed_targets | also.typed_targets | by_name,
    )
