"""The listening socket: where, with which key, how many connections, how long one may stay silent."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self, cast

from aiohttp import web

from edge_service.loopback import is_loopback
from edge_service.ports import ConfigError


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate and its key, both PEM files. Clients pin the certificate's fingerprint."""

    certificate: Path
    key: Path

    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as hex. Raises ``ConfigError``."""
        try:
            pem = self.certificate.read_text(encoding="ascii")
            return sha256(ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])).hexdigest()
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.certificate} cannot be read as a certificate: {error}") from error

    def context(self) -> ssl.SSLContext:
        """TLS 1.3 and nothing older. Raises ``ConfigError``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{self.certificate} and {self.key} are no certificate with its key: {error}") from error
        return context


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen. Port 0: any free one. ``names``: further host names under which clients may ask for us.

    Beyond this machine a token must not travel in the clear: without ``tls`` such an address is refused, unless
    ``insecure_lan`` says that the network is trusted.
    """

    host: str
    port: int
    tls: Tls | None = None
    insecure_lan: bool = False
    names: frozenset[str] = frozenset()

    def check(self) -> None:
        """Raises ``ConfigError`` when tokens would travel in the clear."""
        if self.tls is None and not self.insecure_lan and not is_loopback(self.host):
            raise ConfigError(
                f"api.host {self.host} is reachable from other machines: it must speak TLS there, or "
                "be allowed plain HTTP, on a network that you trust, with api.insecure_lan: true"
            )


# A house has a handful of clients, each with a few connections; a small computer keeps this many with ease.
MOST_CONNECTIONS = 64
# One Home Assistant needs two or three. So a single host can neither fill the total nor keep the others out.
MOST_PER_PEER = 16
# Whoever is on this machine is let in whatever others do: a person's stop at the command line must get through.
# Bounded all the same, so that a program that runs wild here does not use up all of the process's files.
MOST_FROM_HERE = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """What strangers may take from us: open connections, sockets of the contract among them, and seconds of silence
    until a request's headers, and then its body, are complete.

    ``connections`` and ``per_peer`` count those from other machines, ``from_here`` all from this one.
    """

    connections: int = MOST_CONNECTIONS
    per_peer: int = MOST_PER_PEER
    from_here: int = MOST_FROM_HERE
    sockets: int = 32
    silence_s: float = 10.0

    def admit(self, peer: str, present: Iterable[str]) -> bool:
        """Whether one more connection from the address ``peer`` fits beside those from ``present``."""
        here, elsewhere = 0, Counter[str]()
        for address in present:
            if is_loopback(address):
                here += 1
            else:
                elsewhere[address] += 1
        if is_loopback(peer):
            return here < self.from_here
        return elsewhere.total() < self.connections and elsewhere[peer] < self.per_peer


class Listener:
    """Hands connections to aiohttp, but not too many, and not too many from one peer."""

    def __init__(self, serve: web.Server, bounds: Bounds) -> None:
        self._serve = serve
        self._bounds = bounds
        self._server: asyncio.Server | None = None

    async def open(self, listen: Listen) -> Self:
        """Bind. Raises ``ConfigError`` for an address that is refused, ``OSError`` for one that is taken."""
        listen.check()
        context = None if listen.tls is None else listen.tls.context()
        loop = asyncio.get_running_loop()
        handshake_s = None if context is None else self._bounds.silence_s
        self._server = await loop.create_server(
            lambda: _Entrance(self), listen.host, listen.port, ssl=context, ssl_handshake_timeout=handshake_s
        )
        return self

    @property
    def port(self) -> int:
        """The port in use. Only while open."""
        if self._server is None or not self._server.sockets:
            raise LookupError("not listening")
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Take no new connections."""
        if self._server is not None:
            self._server.close()

    def admit(self, transport: asyncio.Transport) -> None:
        """Pass a new connection on, or close it at once."""
        peer = _peer(transport)
        present = (_peer(connection.transport) for connection in self._serve.connections)
        if peer is None or not self._bounds.admit(peer, (address for address in present if address is not None)):
            transport.close()
            return
        protocol = self._serve()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class _Entrance(asyncio.Protocol):
    """Stands at a new connection until its peer is known."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._listener.admit(cast("asyncio.Transport", transport))


def _peer(transport: asyncio.BaseTransport | None) -> str | None:
    """The numeric address of the other end; None when it has gone already."""
    name = None if transport is None else transport.get_extra_info("peername")
    return str(name[0]) if name else None
