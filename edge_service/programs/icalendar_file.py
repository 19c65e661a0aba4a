"""A program whose events stand in a calendar: an iCalendar file, or an address on the web that gives one.

A calendar that cannot be read, or not to its end, is never an empty one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from zoneinfo import ZoneInfo

import aiohttp

from edge_service.domain.program import Event, Program, Scope
from edge_service.ports import ProgramCredentialsError, ProgramError, ProgramNews
from edge_service.programs.calendar_entries import CalendarError, Found, Watched, called
from edge_service.programs.icalendar_options import CalendarOptions

REQUEST_WITHIN_S = 30.0
# Ten years of appointments; parsing as much takes a second, in a thread.
MOST_BYTES = 2_000_000
_CHUNK = 65_536
_OK, _UNCHANGED = 200, 304
_DENIED = (401, 403)


@dataclass(frozen=True, slots=True)
class _Read:
    """A calendar as it was read, and what its server wants to hear to say that it has not changed."""

    text: str
    etag: str = ""
    modified: str = ""


class CalendarSource:
    """One calendar, as ``ports.ProgramSource``. ``known``: the events as last given out."""

    def __init__(self, options: CalendarOptions, known: Sequence[Event] = ()) -> None:
        self.options = options
        scope = options.program.scope
        zone = ZoneInfo(options.time_zone) if options.time_zone else None
        self._watched = Watched(options.id, options.name, f"{options.id}:", scope is Scope.SITE, zone)
        self._given = {event.uid: event for event in known}
        self._last: _Read | None = None
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def open(cls, values: Mapping[str, object], installation_id: str, known: Sequence[Event] = ()) -> Self:
        """A source from options as plain values. Raises ConfigError."""
        return cls(CalendarOptions.checked(values), known)

    @property
    def id(self) -> str:
        return self.options.id

    @property
    def poll_s(self) -> float:
        return self.options.poll_s

    @property
    def program(self) -> Program:
        return self.options.program

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def poll(self, now: datetime) -> ProgramNews:
        self._last = await (self._fetched() if self.options.file is None else self._from_file())
        zone = ZoneInfo(self.options.time_zone) if self.options.time_zone else None
        try:
            found = await asyncio.to_thread(_found, self._last.text, now, zone)
        except CalendarError as error:
            self._last = None  # it is read whole again, whatever the server says has not changed
            raise ProgramError(f"{self.options.told}: {error}") from error
        events, problems = called(found.entries, self._watched, now, self._given)
        self._given = {event.uid: event for event in events}
        return ProgramNews(now, tuple(events), (*found.problems, *problems))

    async def _from_file(self) -> _Read:
        try:
            return _Read(_text(await asyncio.to_thread(self._bytes)))
        except (OSError, ValueError) as error:
            raise ProgramError(f"{self.options.told} cannot be read: {error}") from error

    def _bytes(self) -> bytes:
        assert self.options.file is not None
        with self.options.file.open("rb") as file:
            return file.read(MOST_BYTES + 1)

    async def _fetched(self) -> _Read:
        told, last = self.options.told, self._last
        headers = {"Accept": "text/calendar", "Accept-Encoding": "identity"}
        headers |= {"If-None-Match": last.etag} if last is not None and last.etag else {}
        headers |= {"If-Modified-Since": last.modified} if last is not None and last.modified else {}
        try:
            async with self._own_session().get(
                self.options.base_url,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=REQUEST_WITHIN_S),
            ) as answer:
                if answer.status == _UNCHANGED and last is not None:
                    return last
                _refuse_errors(answer.status, told)
                text = _text(await _body(answer))
                return _Read(text, answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""))
        except TimeoutError as error:
            raise ProgramError(f"{told} did not answer within {REQUEST_WITHIN_S:g} s") from error
        except aiohttp.ClientError as error:  # its words may hold the address, which may be a secret
            raise ProgramError(f"{told} could not be asked: {type(error).__name__}") from error
        except (OSError, ValueError) as error:
            raise ProgramError(f"{told} cannot be read: {error}") from error

    def _own_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def _found(text: str, now: datetime, zone: ZoneInfo | None) -> Found:
    """In a thread; the library is loaded by the first who needs it, which takes a second on a small machine."""
    from edge_service.programs.icalendar_entries import read_calendar  # noqa: PLC0415

    return read_calendar(text, now, zone)


def _refuse_errors(status: int, told: str) -> None:
    if status in _DENIED:
        raise ProgramCredentialsError(f"{told} refuses us ({status}); set its private address anew")
    if 300 <= status < 400:
        raise ProgramError(f"{told} sends us elsewhere; enter the final address")
    if status != _OK:
        raise ProgramError(f"{told} answered {status}")


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    gathered = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK):
        gathered += chunk
        if len(gathered) > MOST_BYTES:
            break
    return bytes(gathered)


def _text(body: bytes) -> str:
    """Raises ValueError."""
    if len(body) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES // 1_000_000} MB")
    return body.decode("utf-8-sig")
