"""The queue of reports to one OpenADR 3 server: on disk before they are sent, in order, each there once.

A POST may be carried out although we never hear of it. So it is noted as under way first, and what was under way is
looked for at the server before it is sent again.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Protocol

from edge_service.ports import Filing, FilingStage, FilingStore, ProgramError
from edge_service.programs.openadr3_client import PAGE, ProgramAnswerError, ProgramDeniedError, Version
from edge_service.programs.openadr3_objects import object_id

LOG = logging.getLogger(__name__)

# A server in trouble is tried again after this, then twice as long each time, up to the most.
PAUSE_S = 10.0
MOST_PAUSE_S = 300.0
# A right that is missing is given by a person at the utility.
DENIED_PAUSE_S = 3600.0
# A report that could not be sent for so long is of no use to a settlement any more.
WAITS_AT_MOST = timedelta(days=35)
# So many pages of reports are looked through for one that may be there; servers list the newest first.
MOST_PAGES = 20

# The event or the report is not there any more, or never was for us.
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.CONFLICT)
_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)

type Key = tuple[str, str, int, int]


class Post(Protocol):
    """The conversation with the server. Everything raises ProgramError."""

    @property
    def version(self) -> Version | None: ...

    async def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any: ...

    async def post(self, path: str, body: Mapping[str, object]) -> Any: ...

    async def put(self, path: str, body: Mapping[str, object]) -> Any: ...


class Outbox:
    """The reports of one program: those that wait, and those that are there."""

    def __init__(self, program: str, post: Post, store: FilingStore) -> None:
        self._program, self._post, self._store = program, post, store
        self._filings: dict[Key, Filing] = {}
        self._pause: tuple[datetime, float] | None = None
        self._failures = 0

    async def open(self) -> None:
        """Read what the last run left. Raises OSError."""
        self._filings = {_key(one): one for one in await self._store.load_filings(self._program)}

    def all(self) -> list[Filing]:
        return list(self._filings.values())

    def last(self, event_id: str, wish: str) -> Filing | None:
        """The one of the highest number that was made of this wish, whole or its first part."""
        found = [one for one in self._filings.values() if one.event_id == event_id and one.wish == wish]
        return max(found, key=lambda one: (one.number, -one.part), default=None)

    async def keep(self, filing: Filing) -> None:
        """Take it, or the better one in its place; on disk when this returns. Raises OSError."""
        await self._store.save_filing(filing)
        self._filings[_key(filing)] = filing

    async def forget(self, event_id: str, before: datetime) -> None:
        """What was due before that, of an event that nobody speaks of any more. Raises OSError."""
        await self._store.forget_filings(self._program, event_id, before)
        kept = {key: one for key, one in self._filings.items() if one.event_id != event_id or one.due >= before}
        self._filings = kept

    async def lighten(self, before: datetime) -> None:
        """Keep of what was filed before that only that it was; the last of each wish stays whole. Raises OSError."""
        last = {(one.event_id, one.wish): one.number for one in sorted(self.all(), key=lambda one: one.number)}
        for one in self.all():
            done = one.stage is FilingStage.FILED and one.final and one.due < before
            if done and one.body and one.number < last[one.event_id, one.wish]:
                await self.keep(replace(one, body={}))

    async def send(self, now: datetime) -> None:
        """Send what waits, the oldest first, until the server is in trouble. Raises OSError.

        Before the first contact it is not known in which version.
        """
        if self._is_pausing(now) or self._post.version is None:
            return
        open_ones = (FilingStage.WAITING, FilingStage.SENDING)
        waiting = [one for one in self._filings.values() if one.stage in open_ones]
        for filing in sorted(waiting, key=lambda one: (one.due, one.event_id, one.number, one.part)):
            if not await self._sent(filing, now):
                return
        self._failures = 0

    def _is_pausing(self, now: datetime) -> bool:
        """A pause counts in time that passed; a clock set back must not make it longer."""
        if self._pause is not None and 0 <= (now - self._pause[0]).total_seconds() < self._pause[1]:
            return True
        self._pause = None
        return False

    async def _sent(self, filing: Filing, now: datetime) -> bool:
        """Whether the next one may be tried."""
        if now - filing.due > WAITS_AT_MOST:
            await self._drop(filing, "it could not be sent for weeks")
            return True
        try:
            await self._deliver(filing)
        except ProgramDeniedError as error:
            self._wait(now, DENIED_PAUSE_S, error)
        except ProgramAnswerError as error:
            if await self._is_settled(filing, error):
                return True
            self._wait(now, error.retry_after_s, error)
        except ProgramError as error:
            self._wait(now, None, error)
        else:
            return True
        return False

    def _wait(self, now: datetime, asked_s: float | None, error: ProgramError) -> None:
        self._failures += 1
        pause_s = min(PAUSE_S * 2.0 ** min(self._failures - 1, 10), MOST_PAUSE_S) if asked_s is None else asked_s
        self._pause = now, pause_s
        log = LOG.warning if self._failures == 1 else LOG.info
        log("program %s: reports wait: %s", self._program, error)

    async def _deliver(self, filing: Filing) -> None:
        """Put it there. Raises ProgramError; then it is still to be sent."""
        if not filing.report_id and filing.stage is FilingStage.SENDING:
            filing = replace(filing, report_id=await self._found(filing))
        if filing.report_id:
            await self._post.put(f"/reports/{filing.report_id}", self._body(filing))
            await self.keep(replace(filing, stage=FilingStage.FILED))
            return
        filing = replace(filing, stage=FilingStage.SENDING)
        await self.keep(filing)
        row = await self._post.post("/reports", self._body(filing))
        report_id = object_id(row.get("id")) if isinstance(row, dict) else None
        await self.keep(replace(filing, stage=FilingStage.FILED, report_id=report_id or "", final=not report_id))

    def _body(self, filing: Filing) -> dict[str, Any]:
        """Version 3.1 knows no programID in a report, 3.0.1 requires it."""
        spoken = self._post.version is Version.V3_0
        return {name: value for name, value in filing.body.items() if spoken or name != "programID"}

    async def _found(self, filing: Filing) -> str:
        """The id of the report at the server, by our name of it; empty: it is not there, or cannot be looked for."""
        query = [("eventID", filing.event_id), ("clientName", str(filing.body["clientName"]))]
        wanted = filing.event_id, filing.body["clientName"], filing.body["reportName"]
        for page in range(MOST_PAGES):
            rows = await self._listed([*query, ("limit", str(PAGE)), ("skip", str(page * PAGE))])
            for row in rows:
                if isinstance(row, dict) and tuple(map(row.get, ("eventID", "clientName", "reportName"))) == wanted:
                    return object_id(row.get("id")) or ""
            if len(rows) < PAGE:
                break
        return ""

    async def _listed(self, query: list[tuple[str, str]]) -> list[Any]:
        try:
            rows = await self._post.get("/reports", query)
        except ProgramDeniedError as error:
            LOG.warning("program %s: our own reports cannot be read: %s", self._program, error)
            return []
        except ProgramAnswerError as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status in _LATER:
                raise
            LOG.warning("program %s: our own reports cannot be looked through: %s", self._program, error)
            return []
        return rows if isinstance(rows, list) else []

    async def _is_settled(self, filing: Filing, error: ProgramAnswerError) -> bool:
        """Whether sending it again would only meet the same answer."""
        if error.status in _LATER or not HTTPStatus.BAD_REQUEST <= error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        if error.status in _GONE:
            await self._drop(filing, "its event is gone, or the report at the server")
        elif filing.report_id:
            LOG.warning("program %s: a report stays as it was first sent: %s", self._program, error)
            await self.keep(replace(filing, stage=FilingStage.FILED, final=True))
        elif error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            await self._split(filing)
        else:
            await self._drop(filing, f"the server refuses it: {error}")
        return True

    async def _split(self, filing: Filing) -> None:
        """Two reports with half the intervals each, in its place."""
        halves = _halves(filing.body)
        if not halves:
            await self._drop(filing, "it is too large for the server, with one interval")
            return
        for part, body in enumerate(halves, 2 * filing.part + 1):
            body["reportName"] = f"{str(filing.body['reportName']).partition('/')[0]}/{part}"
            half = replace(filing, body=body, part=part, stage=FilingStage.WAITING, final=True)
            if _key(half) not in self._filings:  # else the last run was interrupted here
                await self.keep(half)
        await self._drop(filing, "it was too large for the server and goes in two parts")

    async def _drop(self, filing: Filing, why: str) -> None:
        LOG.warning("program %s: a report on event %s is dropped: %s", self._program, filing.event_id, why)
        await self.keep(replace(filing, stage=FilingStage.DROPPED, final=True, body={}))


def _key(filing: Filing) -> Key:
    return filing.event_id, filing.wish, filing.number, filing.part


def _halves(body: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    (whole,) = body["resources"]
    intervals = whole["intervals"]
    middle = len(intervals) // 2
    if not middle:
        return ()
    parts = intervals[:middle], intervals[middle:]
    return tuple({**body, "resources": [{**whole, "intervals": part}]} for part in parts)
