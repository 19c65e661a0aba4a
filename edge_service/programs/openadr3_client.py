"""The conversation with one OpenADR 3 server over HTTP: a token, bounded requests, pages. No meaning of events here."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from math import isfinite
from typing import Any

import aiohttp
from yarl import URL

from edge_service.loopback import is_loopback
from edge_service.ports import ProgramCredentialsError, ProgramError
from edge_service.programs.openadr3_tls import cut_short, tls_context, tls_reason

REQUEST_WITHIN_S = 10.0
# A home's events take a few kilobytes; a larger answer is a mistake or an attack.
MOST_BYTES = 1_000_000
# The most that OpenADR 3 lets one ask for, and what openleadr-rs refuses to exceed (400).
PAGE = 50
# 1,000 events for one home are far beyond any program seen.
MOST_PAGES = 20
# A server that asks for more patience is asked again after this, or an event could pass unseen.
MOST_RETRY_AFTER_S = 900.0
# Zero, or a date that has passed on our clock, must not become a loop.
LEAST_RETRY_AFTER_S = 5.0
# Without a word of the server's own.
DEFAULT_RETRY_AFTER_S = 60.0

_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
# How servers without GET /auth/server answer it: 3.0.1, those that check a token first, those that have only a stub.
_NO_SUCH_ENDPOINT = (
    HTTPStatus.BAD_REQUEST,
    *_DENIED,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_IMPLEMENTED,
)
_LONGEST_INTEGER = 20
_CHUNK = 65_536
_LONGEST_DETAIL = 200


class Version(StrEnum):
    """What a server speaks; it decides the form of queries and bodies."""

    V3_0 = "3.0.1"
    V3_1 = "3.1"


class ProgramAnswerError(ProgramError):
    """The server answered with an error of HTTP. ``retry_after_s``: do not ask again before; None: no matter when."""

    def __init__(self, message: str, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class ProgramDeniedError(ProgramCredentialsError):
    """A fresh token was given and yet refused for this request: a right is missing."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where the server is and what we show it. Without ``client_id`` no token is asked for.

    ``ca_file``: trust certificates of these authorities only; empty: those this machine trusts. ``allow_unverified``:
    any certificate will do.
    """

    base_url: str
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    token_hosts: Sequence[str] = ()
    ca_file: str = ""
    allow_unverified: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    until: datetime | None


class OpenAdr3Client:
    """Asks one server as one client. ``session`` None: an own one, opened with the first request.

    Everything raises ProgramError: ProgramCredentialsError when a person must act, ProgramAnswerError for a status.
    """

    def __init__(self, access: Access, session: aiohttp.ClientSession | None = None) -> None:
        self._access = access
        self._base = _url(access.base_url.rstrip("/"))
        self._given_session = session
        self._own_session: aiohttp.ClientSession | None = None
        self._token: _Token | None = None
        self._now = datetime.min.replace(tzinfo=UTC)
        self._now_at_s = 0.0
        self.clock_skew_s: float | None = None
        # As the server shows by having GET /auth/server or not; None: not asked yet.
        self.version: Version | None = None

    def begin(self, now: datetime) -> None:
        """A new contact: ``now`` dates its answers, and the clocks are compared anew."""
        self._now, self._now_at_s, self.clock_skew_s = now, asyncio.get_running_loop().time(), None

    async def close(self) -> None:
        """Close the session, if it is our own."""
        if self._own_session is not None:
            await self._own_session.close()
            self._own_session = None

    async def bearer(self, *, fresh: bool = False) -> tuple[str, float | None]:
        """A token for another protocol of the same server, and for how many seconds; None: not told.

        ``fresh``: the one in use was refused.
        """
        left_s = self._token_left_s()
        if fresh or (left_s is not None and left_s <= 0):
            self._token = None
        return await self._bearer(), self._token_left_s()

    def _token_left_s(self) -> float | None:
        if self._token is None or self._token.until is None:
            return None
        since_s = asyncio.get_running_loop().time() - self._now_at_s
        return (self._token.until - self._now).total_seconds() - since_s

    async def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        """The JSON of one object or list."""
        return await self._ask("GET", path, query)

    async def post(self, path: str, body: Mapping[str, object]) -> Any:
        """Create an object and return it as the server holds it."""
        return await self._ask("POST", path, body=body)

    async def put(self, path: str, body: Mapping[str, object]) -> Any:
        """Write an object anew and return it as the server holds it."""
        return await self._ask("PUT", path, body=body)

    async def pages(self, path: str, query: Sequence[tuple[str, str]] = ()) -> list[Any]:
        """All rows of a list, each object once, as last seen.

        Pages go by offset, so that a change meanwhile shifts rows: a row seen twice says so, and all are read again.
        """
        rows, shifted = await self._pages(path, query, [])
        return (await self._pages(path, query, rows))[0] if shifted else rows

    async def _pages(self, path: str, query: Sequence[tuple[str, str]], before: list[Any]) -> tuple[list[Any], bool]:
        found: dict[object, Any] = {_key(row, number): row for number, row in enumerate(before)}
        seen: set[object] = set()
        shifted = False
        for page in range(MOST_PAGES):
            rows = await self.get(path, [*query, ("limit", str(PAGE)), ("skip", str(page * PAGE))])
            if not isinstance(rows, list):
                raise ProgramError(f"{self._base}{path} did not answer with a list; is the address right?")
            keyed = {_key(row, page * PAGE + number): row for number, row in enumerate(rows)}
            shifted = shifted or not seen.isdisjoint(keyed)
            found |= keyed
            if len(rows) < PAGE or seen.issuperset(keyed):
                return list(found.values()), shifted
            seen |= keyed.keys()
        raise ProgramError(f"{self._base}{path} lists more than {MOST_PAGES * PAGE} objects; name one program")

    async def _ask(
        self, method: str, path: str, query: Sequence[tuple[str, str]] = (), body: Mapping[str, object] | None = None
    ) -> Any:
        """One request; a refused token is renewed once."""
        if self.version is None and not self._access.client_id:
            await self._told_token_url()
        url = URL(f"{self._base}{path}")
        answer = await self._request(method, url.extend_query(list(query)) if query else url, body)
        if answer.status in _DENIED and self._access.client_id:
            self._token = None
            answer = await self._request(method, url.extend_query(list(query)) if query else url, body)
        if answer.status in _DENIED:
            raise ProgramDeniedError(
                f"{method} {url} was refused ({answer.status}{self._detail(answer)}); "
                "check the client id, its secret and its rights with the utility"
            )
        self._refuse_errors(answer, f"{method} {url}")
        return _json(answer.body, f"{method} {url}")

    async def _request(self, method: str, url: URL, body: Mapping[str, object] | None) -> _Answer:
        headers = {"Authorization": f"Bearer {await self._bearer()}"} if self._access.client_id else {}
        return await self._send(method, url, headers, json=body)

    async def _bearer(self) -> str:
        if self._token is None or (self._token.until is not None and self._token.until <= self._now):
            self._token = await self._fetch_token(await self._token_url())
        return self._token.text

    async def _token_url(self) -> URL:
        """Where the server says that tokens are given; below the base address when it does not say (3.0.1)."""
        told = await self._told_token_url()
        return self._base / "auth/token" if told is None else self._trusted(told)

    async def _told_token_url(self) -> str | None:
        """What GET /auth/server says, which came with 3.1 and tells that version; None where there is no such thing."""
        asked = self._base / "auth/server"
        answer = await self._send("GET", asked, {})
        if answer.status in _NO_SUCH_ENDPOINT:
            self.version = self.version or Version.V3_0
            return None
        self._refuse_errors(answer, f"GET {asked}")
        body = _json(answer.body, f"GET {asked}")
        told = body.get("tokenURL") if isinstance(body, dict) else None
        if not isinstance(told, str) or not told:
            raise ProgramError(f"{asked} names no tokenURL")
        self.version = Version.V3_1
        return told

    def _trusted(self, told: str) -> URL:
        """The address, if our secret may go there: the server's scheme and host, or a host that a person allowed."""
        url = _url(f"{self._base}/").join(_url(told))
        ours, host = self._base.host, url.host
        here = is_loopback(host or "") and is_loopback(ours or "")
        same = url.scheme == self._base.scheme and (host == ours or here)
        if not same and (host not in self._access.token_hosts or url.scheme != "https"):
            raise ProgramError(
                f"{self._base} wants our secret sent to {url.scheme}://{host}, another place; "
                "if the utility confirms that host, allow it in token_hosts (https only)"
            )
        return url

    async def _fetch_token(self, url: URL) -> _Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._access.client_id,
            "client_secret": self._access.client_secret,
        }
        answer = await self._send("POST", url, {}, data=form)
        if answer.status in (HTTPStatus.BAD_REQUEST, *_DENIED):
            told = f"{answer.status}{self._detail(answer)}"
            raise ProgramCredentialsError(f"{url} gave no token ({told}); check client id and secret")
        if answer.status in _NO_SUCH_ENDPOINT:
            raise ProgramError(f"{url} gives no tokens ({answer.status}); check the address with the utility")
        self._refuse_errors(answer, f"POST {url}")
        body = _json(answer.body, f"POST {url}")
        token = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise ProgramError(f"{url} answered without an access_token")
        return _Token(token, self._expiry(body.get("expires_in")))

    def _expiry(self, expires_in: object) -> datetime | None:
        """A tenth before the end; None, to be used until refused, when the server names no sensible time."""
        text = expires_in if isinstance(expires_in, int | float | str) and not isinstance(expires_in, bool) else ""
        try:
            seconds = float(text)
        except ValueError, OverflowError:
            return None
        if not isfinite(seconds) or seconds <= 0:
            return None
        return self._now + timedelta(seconds=min(seconds, 10.0**8) * 0.9)

    def _refuse_errors(self, answer: _Answer, asked: str) -> None:
        if answer.ok:
            return
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            raise ProgramAnswerError(f"{asked} sends us elsewhere; enter the final address", answer.status)
        retry_after_s = _retry_after_s(answer, self._now) if answer.status in _BUSY else None
        told = f"{asked} failed with {answer.status}{self._detail(answer)}"
        raise ProgramAnswerError(told, answer.status, retry_after_s)

    def _detail(self, answer: _Answer) -> str:
        """The same for people, in logs and in Home Assistant: some servers repeat what they were given."""
        told = _detail(answer)
        for secret in (self._access.client_secret, "" if self._token is None else self._token.text):
            told = told.replace(secret, "***") if secret else told
        return f": {told[:_LONGEST_DETAIL]}" if told else ""

    async def _send(self, method: str, url: URL, headers: Mapping[str, str], **payload: Any) -> _Answer:
        """One exchange within its time and size. Foreign errors end here."""
        self._refuse_plain(url)
        asked = f"{method} {url.with_query(None)}"
        try:
            async with self._session().request(
                method,
                url,
                headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=REQUEST_WITHIN_S),
                **payload,
            ) as response:
                self._compare_clocks(response.headers.get("Date"))
                return _Answer(response.status, response.headers.copy(), await _body(response, asked))
        except TimeoutError as error:
            raise ProgramError(f"{asked} was not answered within {REQUEST_WITHIN_S:g} s") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise ProgramError(
                f"the certificate of {url.host} is not trusted ({tls_reason(error.certificate_error)}); ask the "
                "utility, or name its own authority's file in ca_file"
            ) from error
        except aiohttp.ClientSSLError as error:
            raise ProgramError(
                f"no secure connection with {url.host} ({tls_reason(error)}); it must speak TLS 1.2 or newer"
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if url.scheme == "https" and cut_short(error):
                raise ProgramError(
                    f"{url.host} broke off while the connection was being secured; it must speak TLS 1.2 or newer"
                ) from error
            raise ProgramError(f"{asked} failed: {type(error).__name__}: {error}") from error

    def _refuse_plain(self, url: URL) -> None:
        if url.host is None or url.scheme not in ("http", "https") or url.user is not None:
            raise ProgramError(
                f"{url.with_user(None) if url.user else url} is no address of a server (https://host/...)"
            )
        if url.scheme == "http" and not is_loopback(url.host):
            raise ProgramError(f"{url.host} is addressed without encryption; use https (http only on this machine)")

    def _session(self) -> aiohttp.ClientSession:
        if self._given_session is not None:
            return self._given_session
        if self._own_session is None:
            connector = aiohttp.TCPConnector(
                ssl=tls_context(self._access.ca_file, allow_unverified=self._access.allow_unverified)
            )
            self._own_session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._own_session

    def _compare_clocks(self, date: str | None) -> None:
        """The header counts whole seconds, so that the answer is good to a second; the first of a contact counts."""
        theirs = _http_date(date)
        if theirs is not None and self.clock_skew_s is None:
            elapsed_s = asyncio.get_running_loop().time() - self._now_at_s
            self.clock_skew_s = round((self._now - theirs).total_seconds() + elapsed_s - 0.5, 1)


def _url(text: str) -> URL:
    try:
        return URL(text)
    except ValueError as error:
        raise ProgramError(f"{text[:_LONGEST_DETAIL]!r} is no address of a server") from error


def _key(row: object, number: int) -> object:
    """What makes a row the same object; a row without an id is only itself."""
    own_id = row.get("id") if isinstance(row, dict) else None
    return own_id if isinstance(own_id, str) else number


async def _body(response: aiohttp.ClientResponse, asked: str) -> bytes:
    gathered = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        gathered += chunk
        if len(gathered) > MOST_BYTES:
            raise ProgramError(f"{asked} answers with more than {MOST_BYTES // 1000} kB")
    return bytes(gathered)


def _json(body: bytes, asked: str) -> Any:
    """Strict JSON. A number too large for a float becomes infinite, for the reader of its object to refuse."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise ProgramError(f"{asked} gave no JSON; check the address; a sign-in page may be between") from error


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _integer(text: str) -> float:
    return int(text) if len(text) <= _LONGEST_INTEGER else float(text)


def _detail(answer: _Answer) -> str:
    """What a problem body or an OAuth2 error says."""
    try:
        body = json.loads(answer.body)
    except ValueError, RecursionError:
        return ""
    texts = body if isinstance(body, dict) else {}
    told = next((texts[key] for key in ("error_description", "detail", "error", "title") if texts.get(key)), "")
    return told if isinstance(told, str) and told.isprintable() else ""


def _retry_after_s(answer: _Answer, now: datetime) -> float:
    """Seconds, from a number or a date, from LEAST_RETRY_AFTER_S to MOST_RETRY_AFTER_S."""
    told = answer.headers.get("Retry-After", "").strip()
    date = _http_date(told)
    seconds = DEFAULT_RETRY_AFTER_S if date is None else (date - now).total_seconds()
    if told.isascii() and told.isdigit():
        seconds = float(told[:9])
    return min(max(seconds, LEAST_RETRY_AFTER_S), MOST_RETRY_AFTER_S)


def _http_date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError, OverflowError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
