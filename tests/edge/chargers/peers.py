"""What devices tests talk to besides the simulated site: raw peers that break the protocol, and dumps served whole."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edge_service.chargers.link import Link, Unit, UnusedFunctions
from edge_service.ports import DeviceRefusedError

HOST = "127.0.0.1"
DUMPS = sorted((Path(__file__).parent / "dumps").glob("*.json"))


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came off the wire."""

    transaction: int
    unit: int
    pdu: bytes

    @property
    def function(self) -> int:
        return self.pdu[0]

    @property
    def address(self) -> int:
        return int.from_bytes(self.pdu[1:3])

    @property
    def count(self) -> int:
        return int.from_bytes(self.pdu[3:5])

    def frame(self, pdu: bytes, *, transaction: int | None = None, unit: int | None = None) -> bytes:
        """``pdu`` as a reply to this request."""
        number = self.transaction if transaction is None else transaction
        return struct.pack(">HHHB", number, 0, len(pdu) + 1, self.unit if unit is None else unit) + pdu

    def words(self, *words: int) -> bytes:
        """A right reply to a read of registers."""
        return self.frame(struct.pack(f">BB{len(words)}H", self.function, 2 * len(words), *words))


type Answer = Callable[[Request], bytes | None]


class Peer:
    """A TCP server that answers each request with whatever ``answer`` returns; None is silence."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.arrivals: list[float] = []
        self.connections = 0
        self.port = 0
        self.changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.reset()
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    def send(self, data: bytes) -> None:
        """Send bytes that nobody asked for."""
        self._writers[-1].write(data)

    def reset(self) -> None:
        """Break every connection with a TCP reset."""
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._writers.clear()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds, looked at whenever a connection or a request arrives."""
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(condition)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.connections += 1
        await self._notify()
        try:
            while True:
                transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                request = Request(transaction, unit, await reader.readexactly(length - 1))
                self.requests.append(request)
                self.arrivals.append(asyncio.get_running_loop().time())
                reply = self.answer(request)
                if reply is not None:
                    writer.write(reply)
                await self._notify()
        except asyncio.IncompleteReadError, ConnectionError:
            writer.close()

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


class Registers:
    """Holding registers of one device, with its refusals and a list of all that was written. Use as ``answer``."""

    def __init__(self, words: Mapping[int, int], refused: Iterable[int] = ()) -> None:
        self.words = dict(words)
        self.refused = set(refused)
        self.writes: list[tuple[int, list[int]]] = []

    def read(self, address: int, count: int) -> list[int] | None:
        """None: refused, as every address is that the device does not have."""
        span = range(address, address + count)
        if any(at in self.refused or at not in self.words for at in span):
            return None
        return [self.words[at] for at in span]

    def write(self, address: int, values: list[int]) -> bool:
        self.writes.append((address, values))
        span = range(address, address + len(values))
        if any(at in self.refused or at not in self.words for at in span):
            return False
        self.words.update(zip(span, values, strict=True))
        return True

    @property
    def written(self) -> set[int]:
        """Every address that somebody tried to write."""
        return {address + n for address, values in self.writes for n in range(len(values))}

    def __call__(self, request: Request) -> bytes:
        if request.function == 3:
            words = self.read(request.address, request.count)
            if words is not None:
                return request.words(*words)
        elif request.function == 16:
            values = list(struct.unpack(f">{request.count}H", request.pdu[6:]))
            if self.write(request.address, values):
                return request.frame(request.pdu[:5])
        return request.frame(bytes((request.function | 0x80, 2)))


class MemoryUnit(UnusedFunctions):
    """A ``ModbusUnit`` without a wire, for properties over many register maps."""

    connected = True

    def __init__(self, registers: Registers) -> None:
        self.registers = registers
        self.lost: list[Callable[[], None]] = []

    async def read_holding_registers(self, address: int, count: int) -> list[int]:
        words = self.registers.read(address, count)
        if words is None:
            raise DeviceRefusedError(f"no registers at {address}", "illegal_address")
        return words

    async def read_input_registers(self, address: int, count: int) -> list[int]:
        return await self.read_holding_registers(address, count)

    async def write_registers(self, address: int, values: list[int]) -> None:
        if not self.registers.write(address, values):
            raise DeviceRefusedError(f"no registers at {address}", "illegal_address")

    async def write_register(self, address: int, value: int) -> None:
        await self.write_registers(address, [value])

    async def read_coils(self, address: int, count: int) -> list[bool]:
        raise DeviceRefusedError("no coils", "illegal_function")

    async def read_discrete_inputs(self, address: int, count: int) -> list[bool]:
        raise DeviceRefusedError("no inputs", "illegal_function")

    async def write_coil(self, address: int, value: bool) -> None:
        raise DeviceRefusedError("no coils", "illegal_function")

    def set_message_spacing(self, seconds: float) -> None: ...
    def require_timeout(self, seconds: float | None) -> None: ...
    def require_connect_delay(self, seconds: float | None) -> None: ...

    def on_connection_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.lost.append(callback)
        return lambda: self.lost.remove(callback)

    async def disconnect(self) -> None:
        for callback in self.lost:
            callback()


def load_dump(path: Path) -> dict[int, int]:
    """Address -> word of a recorded device."""
    blocks = json.loads(path.read_text(encoding="utf-8"))["holding_registers"]
    return {int(start) + n: word for start, words in blocks.items() for n, word in enumerate(words)}


@asynccontextmanager
async def linked(answer: Answer, *, timeout_s: float = 1.0, min_gap_s: float = 0.0) -> AsyncIterator[tuple[Peer, Unit]]:
    """A peer and unit 1 of a link to it."""
    async with Peer(answer) as peer, Link(HOST, peer.port, timeout_s=timeout_s, min_gap_s=min_gap_s) as link:
        yield peer, link.unit(1)
