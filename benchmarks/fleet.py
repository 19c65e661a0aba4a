"""Many SunSpec chargers that answer at once, in one process: what the edge and the bare client poll.

Every charger has its own port and its own registers. The image comes from the simulated charger; this one has no house
behind it: it follows its setpoint on the spot, its measurements tremble, its heartbeat and its reversion timer run.
When it is polled is noted here, by whoever waits for the answer.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from struct import pack, unpack_from
from typing import Any

from edge_service.simulation.charger_registers import ChargerRegisters
from edge_service.simulation.house import House
from edge_service.simulation.options import SiteOptions

HOST = "127.0.0.1"
# A gap between two polls this much longer than the period means that at least one was missed.
MISSED_FROM = 1.5
# The fast lane reads 16 registers of model 701; a longer read is a poll.
FAST_BYTES = 2 * 16
_HEAD = 8
_READ, _WRITE = 3, 16


@dataclass(slots=True)
class Gaps:
    """Seconds between two polls of one charger, since ``cleared``."""

    last: float | None = None
    seen: list[float] = field(default_factory=list)

    def note(self, now: float) -> None:
        if self.last is not None:
            self.seen.append(now - self.last)
        self.last = now


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the registers that live are, as offsets into the image in words."""

    base: int
    words: bytes
    at: Mapping[str, int]

    @classmethod
    def of(cls, unit: int = 1) -> Layout:
        options = SiteOptions(charger_unit=unit, soc_pct=60)
        registers = ChargerRegisters(House(options), options)
        image = registers.image
        registers.read_registers(image.base, 1)
        at = {key: point.address - image.base for key, point in image.points.items()}
        return cls(image.base, pack(f">{len(image.words)}H", *image.words), at)


class Charger(asyncio.Protocol):
    """One charger behind one port. Requests come one at a time, as Modbus TCP masters send them."""

    def __init__(self, layout: Layout, gaps: Gaps, registers: bytearray) -> None:
        self._layout, self._gaps, self._registers = layout, gaps, registers
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        at = layout.at
        self._power, self._volts, self._beat = 2 * at["701.W"], 2 * at["701.LLV"], 2 * at["715.DERHb"]
        self._enabled, self._wanted = 2 * at["704.WSetEna"], 2 * at["704.WSet"]
        self._left, self._lease = 2 * at["704.WSetRvrtRem"], 2 * at["704.WSetRvrtTms"]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _HEAD and len(self._buffer) >= 6 + self._length():
            request = bytes(self._buffer[: 6 + self._length()])
            del self._buffer[: len(request)]
            self._answer(request)

    def _length(self) -> int:
        return int(unpack_from(">H", self._buffer, 4)[0])

    def _answer(self, request: bytes) -> None:
        function = request[7]
        address, count = unpack_from(">HH", request, 8)
        place = 2 * (address - self._layout.base)
        if function not in (_READ, _WRITE) or place < 0 or place + 2 * count > len(self._registers):
            body = bytes((function | 0x80, 2))
        elif function == _READ:
            self._live(place, count)
            body = bytes((_READ, 2 * count)) + self._registers[place : place + 2 * count]
        else:
            self._registers[place : place + 2 * count] = request[13:]
            self._registers[self._left : self._left + 4] = self._registers[self._lease : self._lease + 4]
            body = request[7:12]
        assert self._transport is not None
        self._transport.write(request[:4] + pack(">H", len(body) + 1) + request[6:7] + body)

    def _live(self, place: int, count: int) -> None:
        """What moves by itself moves when it is looked at; a look at more than the fast block is a poll."""
        registers = self._registers
        if place <= self._power < place + 2 * count:
            wanted_w = unpack_from(">i", registers, self._wanted)[0] if registers[self._enabled + 1] else 0
            registers[self._power : self._power + 2] = pack(">h", wanted_w + random.randrange(-20, 21))
            registers[self._volts : self._volts + 2] = pack(">H", 2400 + random.randrange(-5, 6))
            if 2 * count > FAST_BYTES:
                self._gaps.note(time.monotonic())
        if place <= self._beat < place + 2 * count:
            registers[self._beat : self._beat + 4] = pack(">I", int(time.monotonic()))


class Fleet:
    """All chargers, and the figures of their polls."""

    def __init__(self, count: int) -> None:
        self._layout = Layout.of()
        self._gaps = [Gaps() for _ in range(count)]
        self._servers: list[asyncio.Server] = []

    async def listen(self) -> list[int]:
        """One port for each charger."""
        loop = asyncio.get_running_loop()
        for gaps in self._gaps:
            make = partial(Charger, self._layout, gaps, bytearray(self._layout.words))
            self._servers.append(await loop.create_server(make, HOST, 0))
        return [server.sockets[0].getsockname()[1] for server in self._servers]

    async def serve_figures(self) -> int:
        """A port that answers the gaps so far and forgets them, as JSON."""
        server = await asyncio.start_server(self._tell, HOST, 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = [[round(gap, 6) for gap in gaps.seen] for gaps in self._gaps]
        for gaps in self._gaps:
            gaps.seen.clear()
        writer.write(json.dumps(told).encode())
        await writer.drain()
        writer.close()


async def serve(count: int, announce: Path) -> None:
    """Serve until the process is ended."""
    fleet = Fleet(count)
    ports, figures = await fleet.listen(), await fleet.serve_figures()
    _announce(announce, {"ports": ports, "figures": figures})
    await asyncio.Event().wait()


def _announce(path: Path, places: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(places), encoding="utf-8")
    part.rename(path)


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--announce", type=Path, required=True)
    args = parser.parse_args()
    asyncio.run(serve(args.count, args.announce))


if __name__ == "__main__":
    main()
