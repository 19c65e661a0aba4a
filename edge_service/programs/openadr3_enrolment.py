"""Who we are at an OpenADR 3 server: our ven and our resource, adopted where they exist, made where they do not."""

from datetime import datetime, timedelta
from http import HTTPStatus

from edge_service.programs.openadr3_client import OpenAdr3Client, ProgramAnswerError, ProgramDeniedError
from edge_service.programs.openadr3_objects import ObjectError, VenObject, read_ven

# A server that will not let us enrol is not asked again with every poll.
ENROL_AGAIN = timedelta(hours=1)

# What says that a request is not served here, as opposed to not now.
NOT_SERVED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.CONFLICT,
    HTTPStatus.NOT_IMPLEMENTED,
)


class Enrolment:
    """Our own object at one server, looked for with each contact. ``suffix`` tells this house from others."""

    def __init__(self, client: OpenAdr3Client, ven_name: str, suffix: str) -> None:
        self._client = client
        self._suffix = suffix
        self.ven_name = ven_name
        self.ven: VenObject | None = None
        self._again_at: datetime | None = None
        self._refusal = ""

    async def meet(self, now: datetime, problems: list[str]) -> VenObject | None:
        """Our ven, made if need be; without one we go on, since events may come all the same."""
        if self._again_at is None or self._again_at <= now:
            try:
                self.ven = await self._find_ven() or await self._register_ven()
                return self.ven
            except (ProgramDeniedError, ProgramAnswerError) as error:
                if isinstance(error, ProgramAnswerError) and error.status not in NOT_SERVED:
                    raise
                self._again_at, self._refusal = now + ENROL_AGAIN, f"The server does not let us enrol: {error}."
        problems.append(self._refusal)
        return self.ven

    async def _find_ven(self) -> VenObject | None:
        for row in await self._client.pages("/vens", [("venName", self.ven_name)]):
            try:
                ven = read_ven(row)
            except ObjectError:
                continue
            if ven.name == self.ven_name:
                return ven
        return None

    async def _register_ven(self) -> VenObject | None:
        """Register; a name that another holds gets a suffix of this house, once."""
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
        try:
            return read_ven(
                await self._client.post("/vens", {"objectType": "VEN_VEN_REQUEST", "venName": self.ven_name})
            )
        except ObjectError:
            return None
