"""Listening for news of an OpenADR 3.1 server by MQTT. A message is a hint to read the server, never the news itself.

So a broker can neither call an event nor hide one: what is lost, late, doubled or forged costs one reading at most.
"""

import asyncio
import logging
import random
import secrets
import ssl
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiomqtt
from yarl import URL

from edge_service.loopback import is_loopback
from edge_service.ports import ProgramError
from edge_service.programs.openadr3_client import (
    Access,
    OpenAdr3Client,
    ProgramAnswerError,
    ProgramDeniedError,
)
from edge_service.programs.openadr3_tls import tls_context

# A server without push, or with one that we may not use, is asked about it again after this.
LOOK_AGAIN = timedelta(hours=1)
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
# A connection that stood so long was a good one: the next trouble begins anew.
STEADY_S = 60.0
CONNECT_WITHIN_S = 10.0
KEEPALIVE_S = 30
MOST_TOPICS = 60
MOST_PROGRAMS = 10
# More hints than this at a time say no more than one.
QUEUED = 100
# The library calls each broken line an error; we say ourselves what a person should know.
_LIBRARY = logging.getLogger(f"{__name__}.library")
_LIBRARY.setLevel(logging.CRITICAL)
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_LONGEST_TOPIC = 1000
_OWN_ID = "{clientID}"
# The standard's OAUTH2_BEARER_TOKEN is spelled OAUTH2BEARERTOKEN by openleadr-rs 0.2.4.
_ANONYMOUS, _BY_TOKEN, _BY_CERTIFICATE = "ANONYMOUS", "OAUTH2BEARERTOKEN", "CERTIFICATE"
# CONNACK: bad user name or password, not authorised, as MQTT 3.1.1 and 5 number them (the library tells the latter).
_REFUSED_CODES = (4, 5, 134, 135)
_TOPIC_REFUSED = 0x80
_NOT_OFFERED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_IMPLEMENTED,
)


class _NoPushError(Exception):
    """This server's push is of no use to us; an empty text: it has none, which is no problem."""


@dataclass(frozen=True, slots=True)
class PushTerms:
    """What a person allows. ``hosts`` may see a token besides the server's own; ``plain``: no encryption, no token."""

    wanted: bool = True
    hosts: Sequence[str] = ()
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the server's messages are, and how one comes in; ``way`` as the server describes it."""

    url: URL
    method: str
    way: Mapping[str, Any] = field(repr=False)

    @property
    def port(self) -> int:
        return self.url.port or _PORTS[self.url.scheme]


class Push:
    """The ear of one program. Nothing is heard before ``about`` said who we are there."""

    def __init__(
        self, client: OpenAdr3Client, access: Access, terms: PushTerms, chance: Callable[[], float] = random.random
    ) -> None:
        self._client = client
        self._access = access
        self._terms = terms
        self._chance = chance
        self._ven_id: str | None = None
        self._program_ids: tuple[str, ...] = ()
        self._known = asyncio.Event()
        self._session_ends: asyncio.Timeout | None = None
        self._token_refused = False
        self.problem = ""
        self.listening = False

    def about(self, ven_id: str | None, program_ids: Iterable[str]) -> None:
        """Who we are at the server by now; when that changed, topics are asked for anew."""
        ids = tuple(sorted(program_ids))[:MOST_PROGRAMS]
        changed = (ven_id, ids) != (self._ven_id, self._program_ids)
        if changed and self._session_ends is not None and not self._session_ends.expired():
            self._session_ends.reschedule(asyncio.get_running_loop().time())
        self._ven_id, self._program_ids = ven_id, ids
        self._known.set()

    async def hear(self, wake: Callable[[], None]) -> None:
        """Listen for ever. ``wake`` is called with each hint, and after each connecting, since hints may be missed."""
        if not self._terms.wanted:
            return
        failures = 0
        while True:
            await self._known.wait()
            began = asyncio.get_running_loop().time()
            pause_s = FIRST_PAUSE_S
            try:
                await self._session(wake)
            except _NoPushError as error:
                self.problem, failures = str(error), 0
                pause_s = LOOK_AGAIN.total_seconds()
            except (ProgramError, aiomqtt.MqttError, OSError, ValueError) as error:
                self.problem = f"News are not pushed ({error}); the server is asked all the same."
                steady = asyncio.get_running_loop().time() - began >= STEADY_S
                failures = 1 if steady else failures + 1
                pause_s = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 9), LONGEST_PAUSE_S)
            finally:
                self.listening = False
            await asyncio.sleep(pause_s * (1 + 0.1 * self._chance()))

    async def _session(self, wake: Callable[[], None]) -> None:
        """One connection, until our token ends or we are someone else there."""
        broker = await self._broker()
        topics = await self._topics()
        user, password, lasts_s = await self._credentials(broker)
        connection = aiomqtt.Client(
            broker.url.host or "",
            broker.port,
            username=user,
            password=password,
            identifier=f"ridethrough-{secrets.token_hex(6)}",
            logger=_LIBRARY,
            timeout=CONNECT_WITHIN_S,
            keepalive=KEEPALIVE_S,
            max_queued_incoming_messages=QUEUED,
            tls_context=self._tls(broker) if broker.url.scheme == "mqtts" else None,
        )
        try:
            async with connection:
                await _subscribe(connection, topics)
                self.problem, self.listening, self._token_refused = "", True, False
                wake()
                await self._listen(connection, lasts_s, wake)
        except aiomqtt.MqttCodeError as error:
            self._token_refused = not self.listening and _code(error.rc) in _REFUSED_CODES
            raise

    async def _listen(self, connection: aiomqtt.Client, lasts_s: float | None, wake: Callable[[], None]) -> None:
        try:
            async with asyncio.timeout(lasts_s) as self._session_ends:
                async for message in connection.messages:
                    # A retained one is of before we connected, and we have asked since.
                    if not message.retain:
                        wake()
        except TimeoutError:
            return
        finally:
            self._session_ends = None

    # -------------------------------------------------------------------------------------------- what the server tells

    async def _broker(self) -> Broker:
        try:
            told = await self._client.get("/notifiers")
        except (ProgramDeniedError, ProgramAnswerError) as error:
            if isinstance(error, ProgramAnswerError) and error.status not in _NOT_OFFERED:
                raise
            raise _NoPushError from error
        found = [self._allowed(broker) for broker in brokers(told)]
        if not found:
            raise _NoPushError
        usable = [broker for broker, refusal in found if not refusal]
        if not usable:
            raise _NoPushError(f"News are not pushed: {found[0][1]}.")
        return usable[0]

    def _allowed(self, broker: Broker) -> tuple[Broker, str]:
        """The broker, and why we may not go there, if so."""
        host = broker.url.host or ""
        here = is_loopback(host)
        if broker.method not in (_ANONYMOUS, _BY_TOKEN, _BY_CERTIFICATE):
            return broker, f"the broker {host} wants {broker.method[:40]!r}, which we do not know"
        if broker.method == _BY_TOKEN and not self._access.client_id:
            return broker, f"the broker {host} wants a token, and we have no client id"
        if broker.url.scheme == "mqtt" and not here and not (self._terms.plain and broker.method == _ANONYMOUS):
            wanted = "mqtts" if broker.method != _ANONYMOUS else "mqtts, or plain_push if you accept that"
            return broker, f"the broker {host} is addressed without encryption; it takes {wanted}"
        server = URL(self._access.base_url).host or ""
        own = host in (server, *self._terms.hosts) or (here and is_loopback(server))
        if broker.method == _BY_TOKEN and not own:
            return broker, f"the broker {host} is another host and wants our token; if right, allow it in broker_hosts"
        return broker, ""

    async def _topics(self) -> list[str]:
        found: list[str] = []
        for path in self._topic_paths():
            found += await self._topics_at(path)
        found = found or await self._topics_at("events")
        if not found:
            raise _NoPushError("News are not pushed: the server names no topics for us.")
        return list(dict.fromkeys(found))[:MOST_TOPICS]

    def _topic_paths(self) -> Iterator[str]:
        if self._ven_id is not None:
            yield f"vens/{self._ven_id}/events"
            yield f"vens/{self._ven_id}/programs"
        yield from (f"programs/{own_id}/events" for own_id in self._program_ids)

    async def _topics_at(self, path: str) -> list[str]:
        try:
            return topics(await self._client.get(f"/notifiers/mqtt/topics/{path}"))
        except ProgramDeniedError:
            return []
        except ProgramAnswerError as error:
            if error.status not in _NOT_OFFERED:
                raise
            return []

    async def _credentials(self, broker: Broker) -> tuple[str | None, str | None, float | None]:
        """User name, password, and for how many seconds they are good."""
        if broker.method != _BY_TOKEN:
            return None, None, None
        token, lasts_s = await self._client.bearer(fresh=self._token_refused)
        user = broker.way.get("username", _OWN_ID)
        return (self._access.client_id if user == _OWN_ID else str(user)), token, lasts_s

    def _tls(self, broker: Broker) -> ssl.SSLContext:
        context = tls_context(self._access.ca_file, allow_unverified=self._access.allow_unverified)
        if broker.method == _BY_CERTIFICATE:
            _show_certificate(context, broker.way)
        return context


def brokers(told: object) -> list[Broker]:
    """Those of an answer of GET /notifiers that MQTT over TCP can reach, encrypted ones first. Other bindings: none."""
    mqtt = told.get("MQTT") if isinstance(told, dict) else None
    if not isinstance(mqtt, dict) or str(mqtt.get("serialization", "JSON")).upper() != "JSON":
        return []
    way = mqtt.get("authentication")
    way = way if isinstance(way, dict) else {}
    method = str(way.get("method", "")).upper().replace("_", "").replace("-", "")
    uris = mqtt.get("URIS")
    found = [_address(uri) for uri in (uris if isinstance(uris, list) else [])[:MOST_TOPICS]]
    known = [url for url in found if url is not None]
    return [Broker(url, method, way) for url in sorted(known, key=lambda url: url.scheme != "mqtts")]


def _address(uri: object) -> URL | None:
    try:
        url = URL(uri) if isinstance(uri, str) else URL()
    except ValueError:
        return None
    return url if url.scheme in _PORTS and url.host and not url.user else None


def topics(told: object) -> list[str]:
    """The topics of one answer: the one for all operations, where there is one."""
    by_operation = told.get("topics") if isinstance(told, dict) else None
    if not isinstance(by_operation, dict):
        return []
    everything = by_operation.get("ALL")
    wanted = [everything] if isinstance(everything, str) else list(by_operation.values())
    return [one for one in wanted if isinstance(one, str) and one.isprintable() and 0 < len(one) <= _LONGEST_TOPIC]


async def _subscribe(connection: aiomqtt.Client, wanted: Sequence[str]) -> None:
    """Raises ValueError when the broker lets us have none of them."""
    codes = [_code(code) for topic in wanted for code in await connection.subscribe(topic)]
    if all(code >= _TOPIC_REFUSED for code in codes):
        raise ValueError("the broker refuses our topics")


def _code(told: object) -> int:
    """Of MQTT 3.1.1 or 5; -1: none."""
    number = getattr(told, "value", told)
    return number if isinstance(number, int) else -1


def _show_certificate(context: ssl.SSLContext, way: Mapping[str, Any]) -> None:
    """What the server gave us to be known by at its broker. Raises ValueError; nothing stays on disk."""
    authority, own, key = (way.get(name) for name in ("caCert", "clientCert", "clientKey"))
    if not isinstance(own, str) or not isinstance(key, str):
        raise ValueError("the server names no certificate for its broker")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "client.pem"
        path.touch(mode=0o600)
        path.write_text(f"{own}\n{key}\n", encoding="ascii")
        context.load_cert_chain(path)
    if isinstance(authority, str):
        context.load_verify_locations(cadata=authority)
        # As for a file of authorities that a person names.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
