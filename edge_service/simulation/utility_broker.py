"""The simulated utility's own MQTT 3.1.1 broker on loopback: it only gives, and only to those with a token.

What a client publishes is not taken. Quality of service is 0 throughout; topic filters know ``+`` and ``#``.
"""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

LARGEST_PACKET = 65_536
_CONNECT, _CONNACK, _PUBLISH, _SUBSCRIBE, _SUBACK, _PINGREQ, _PINGRESP, _DISCONNECT = 1, 2, 3, 8, 9, 12, 13, 14
_BAD_CREDENTIALS, _REFUSED_TOPIC = 5, 0x80


@dataclass(eq=False, slots=True)
class _Visitor:
    writer: asyncio.StreamWriter
    filters: list[str] = field(default_factory=list)


class Broker:
    """Runs from ``start`` to ``stop``; the port stays the same over a restart.

    ``lets_in`` judges user name and password, both None when not given. ``retained`` is given to each new subscriber.
    """

    def __init__(self, lets_in: Callable[[str | None, str | None], bool]) -> None:
        self._lets_in = lets_in
        self._server: asyncio.Server | None = None
        self._visitors: set[_Visitor] = set()
        self.port = 0
        self.connects: list[tuple[str | None, str | None]] = []
        # Passwords that are good no more, and whether subscriptions are denied.
        self.refused: set[str] = set()
        self.refuses_topics = False
        self.retained: list[tuple[str, bytes]] = []

    async def start(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Everybody is dropped without a word."""
        if self._server is not None:
            self._server.close()
        self.drop()
        self._server = None

    def drop(self) -> None:
        """End all connections, as a broker does that restarts or whose clients' tokens are over."""
        for visitor in list(self._visitors):
            visitor.writer.transport.abort()

    @property
    def subscriptions(self) -> list[str]:
        return sorted(one for visitor in self._visitors for one in visitor.filters)

    def publish(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """``retained`` marks it as an old one, as a broker does that forwards another's."""
        for visitor in self._visitors:
            if any(_matches(one, topic) for one in visitor.filters):
                _send(visitor, _PUBLISH << 4 | retained, _text(topic) + payload)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visitor = _Visitor(writer)
        try:
            if await self._greets(reader, visitor):
                self._visitors.add(visitor)
                while await self._answers(reader, visitor):
                    pass
        except asyncio.IncompleteReadError, ConnectionError, ValueError, struct.error:
            pass
        finally:
            self._visitors.discard(visitor)
            writer.close()

    async def _greets(self, reader: asyncio.StreamReader, visitor: _Visitor) -> bool:
        kind, body = await _packet(reader)
        if kind >> 4 != _CONNECT:
            return False
        credentials = _credentials(body)
        self.connects.append(credentials)
        welcome = credentials[1] not in self.refused and self._lets_in(*credentials)
        _send(visitor, _CONNACK << 4, bytes([0, 0 if welcome else _BAD_CREDENTIALS]))
        return welcome

    async def _answers(self, reader: asyncio.StreamReader, visitor: _Visitor) -> bool:
        kind, body = await _packet(reader)
        if kind >> 4 == _SUBSCRIBE:
            wanted = _filters(body[2:])
            code = _REFUSED_TOPIC if self.refuses_topics else 0
            visitor.filters += [] if self.refuses_topics else wanted
            _send(visitor, _SUBACK << 4, body[:2] + bytes([code] * len(wanted)))
            for topic, payload in self.retained:
                _send(visitor, _PUBLISH << 4 | 1, _text(topic) + payload)
        elif kind >> 4 == _PINGREQ:
            _send(visitor, _PINGRESP << 4, b"")
        return kind >> 4 != _DISCONNECT


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The first byte and the rest. Raises ValueError for a packet that nobody honest sends here."""
    (kind,) = await reader.readexactly(1)
    length = 0
    for shift in range(0, 28, 7):
        (byte,) = await reader.readexactly(1)
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    if length > LARGEST_PACKET:
        raise ValueError("the packet is too large")
    return kind, await reader.readexactly(length)


def _send(visitor: _Visitor, kind: int, body: bytes) -> None:
    length, rest = bytearray(), len(body)
    while True:
        rest, low = rest >> 7, rest & 0x7F
        length.append(low | (0x80 if rest else 0))
        if not rest:
            break
    visitor.writer.write(bytes([kind]) + bytes(length) + body)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def _cut(body: bytes) -> tuple[str, bytes]:
    (length,) = struct.unpack_from(">H", body)
    return body[2 : 2 + length].decode(), body[2 + length :]


def _credentials(body: bytes) -> tuple[str | None, str | None]:
    """Of a CONNECT: after the protocol's name come level, flags and keep-alive, then the texts that the flags name."""
    _, rest = _cut(body)
    flags, rest = rest[1], rest[4:]
    _, rest = _cut(rest)
    for _ in range(2 if flags & 0x04 else 0):
        _, rest = _cut(rest)
    user, rest = _cut(rest) if flags & 0x80 else (None, rest)
    password, _ = _cut(rest) if flags & 0x40 else (None, rest)
    return user, password


def _filters(body: bytes) -> list[str]:
    found = []
    while body:
        one, body = _cut(body)
        found.append(one)
        body = body[1:]
    return found


def _matches(wanted: str, topic: str) -> bool:
    parts, steps = wanted.split("/"), topic.split("/")
    if parts[-1] == "#":
        parts, steps = parts[:-1], steps[: len(parts) - 1]
    return len(parts) == len(steps) and all(part in ("+", step) for part, step in zip(parts, steps, strict=True))
