"""A small Modbus TCP server that can be made to misbehave.

Ours, because a library's server hides what this one is for: late, missing, refused and frozen answers.
Source: Modbus Application Protocol 1.1b3 and Messaging on TCP/IP 1.0b.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import IntEnum
from struct import error as struct_error, pack, unpack
from typing import Protocol

from edge_service.simulation.faults import DeviceFaults

MAX_READ_REGISTERS = 125
MAX_WRITE_REGISTERS = 123
MAX_READ_BITS = 2000
# Answers kept so that a frozen device can repeat them; a client polls a handful of blocks.
_REMEMBERED = 1024
_WRITES = (5, 6, 16)
_COIL = {0x0000: False, 0xFF00: True}


class RefusalCode(IntEnum):
    """Modbus exception codes that are answered here."""

    FUNCTION = 1
    ADDRESS = 2
    VALUE = 3
    DEVICE = 4
    BUSY = 6
    NO_TARGET = 11


class RefusalError(Exception):
    """A request that is answered with a Modbus exception."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code = code


class SilentError(Exception):
    """A request that gets no answer at all."""


class Face(Protocol):
    """One device behind a server. Every method may raise RefusalError or SilentError; one call is one transaction."""

    def read_registers(self, address: int, count: int) -> list[int]: ...
    def read_input_registers(self, address: int, count: int) -> list[int]: ...
    def write_registers(self, address: int, values: list[int]) -> dict[str, float]:
        """Returns what was written by name, in engineering units, for the journal of writes."""
        ...

    def read_coils(self, address: int, count: int) -> list[bool]: ...
    def read_inputs(self, address: int, count: int) -> list[bool]: ...
    def write_coil(self, address: int, *, on: bool) -> dict[str, float]: ...


class Faceless:
    """Refuses everything; a device overrides what it can do."""

    def read_registers(self, address: int, count: int) -> list[int]:
        raise RefusalError(RefusalCode.FUNCTION)

    def read_input_registers(self, address: int, count: int) -> list[int]:
        raise RefusalError(RefusalCode.FUNCTION)

    def write_registers(self, address: int, values: list[int]) -> dict[str, float]:
        raise RefusalError(RefusalCode.FUNCTION)

    def read_coils(self, address: int, count: int) -> list[bool]:
        raise RefusalError(RefusalCode.FUNCTION)

    def read_inputs(self, address: int, count: int) -> list[bool]:
        raise RefusalError(RefusalCode.FUNCTION)

    def write_coil(self, address: int, *, on: bool) -> dict[str, float]:
        raise RefusalError(RefusalCode.FUNCTION)


class SeveralUnits(Faceless):
    """A device that answers as several Modbus units behind one port, whatever unit the site names for it."""

    def __init__(self, units: Mapping[int, Face]) -> None:
        self.units = units


type WriteSeen = Callable[[int, int, list[int], dict[str, float], int | None], None]
"""Called with function code, address, values, names and the exception code (None: done)."""


class ModbusServer:
    """Serves one device on one port. Requests are handled one at a time, whatever connection they come from."""

    def __init__(self, face: Face, unit: int, advance: Callable[[], None], write_seen: WriteSeen) -> None:
        self.faults = DeviceFaults()
        self.port = 0
        self._faces: Mapping[int, Face] = face.units if isinstance(face, SeveralUnits) else {unit: face}
        self._advance = advance
        self._write_seen = write_seen
        self._host = ""
        self._turn = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._frozen: dict[tuple[int, bytes], bytes] = {}

    async def start(self, host: str, port: int) -> None:
        """Listen; raises OSError if the port is taken."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self._host = host
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Drop every connection and stop listening."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()

    async def misbehave(self, faults: DeviceFaults) -> None:
        """Take on these faults; a refusing server comes back on the same port."""
        self.faults = faults
        if not faults.frozen:
            self._frozen.clear()
        if faults.refuse:
            await self.stop()
        elif self._server is None:
            await self.start(self._host, self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._serve_one(reader, writer):
                    pass
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; False when the stream is no Modbus and the connection must end."""
        transaction, protocol, length, unit = unpack(">HHHB", await reader.readexactly(7))
        if protocol != 0 or not 2 <= length <= 254:
            return False
        request = await reader.readexactly(length - 1)
        async with self._turn:
            reply = await self._answer(unit, request)
        if reply is not None:
            writer.write(pack(">HHHB", transaction, 0, len(reply) + 1, unit) + reply)
            await writer.drain()
        return True

    async def _answer(self, unit: int, request: bytes) -> bytes | None:
        """The reply, None for silence.

        Latency counts against the reader and the writer alike: a read is taken when the request arrives and answered
        late, a write takes effect late.
        """
        if self._is_silent():
            return None
        face = self._faces.get(unit)
        if face is None:
            return _refused(request[0], RefusalCode.NO_TARGET)
        writes = request[0] in _WRITES
        reply = None if writes else self._process(unit, face, request)
        if self.faults.latency_ms > 0:
            await asyncio.sleep(self.faults.latency_ms / 1000)
        if self._is_silent():
            return None
        return self._process(unit, face, request) if writes else reply

    def _is_silent(self) -> bool:
        return self.faults.silent

    def _process(self, unit: int, face: Face, request: bytes) -> bytes | None:
        if self.faults.frozen and (unit, request) in self._frozen:
            return self._frozen[unit, request]
        self._advance()
        try:
            reply = self._dispatch(face, request[0], request[1:])
        except SilentError:
            return None
        except RefusalError as refusal:
            return _refused(request[0], refusal.code)
        except struct_error:
            return _refused(request[0], RefusalCode.VALUE)
        if request[0] not in _WRITES and len(self._frozen) < _REMEMBERED:
            self._frozen[unit, request] = reply
        return reply

    def _dispatch(self, face: Face, function: int, body: bytes) -> bytes:
        match function:
            case 1 | 2:
                return self._read_bits(face, function, body)
            case 3 | 4:
                return self._read_registers(face, function, body)
            case 5:
                return self._write_coil(face, body)
            case 6 | 16:
                return self._write_registers(face, function, body)
        raise RefusalError(RefusalCode.FUNCTION)

    def _read_bits(self, face: Face, function: int, body: bytes) -> bytes:
        address, count = unpack(">HH", body)
        self._check(address, count, MAX_READ_BITS)
        bits = (face.read_coils if function == 1 else face.read_inputs)(address, count)
        packed = sum(1 << place for place, bit in enumerate(bits) if bit).to_bytes((count + 7) // 8, "little")
        return pack(">BB", function, len(packed)) + packed

    def _read_registers(self, face: Face, function: int, body: bytes) -> bytes:
        address, count = unpack(">HH", body)
        self._check(address, count, MAX_READ_REGISTERS)
        words = (face.read_registers if function == 3 else face.read_input_registers)(address, count)
        return pack(f">BB{len(words)}H", function, 2 * len(words), *words)

    def _write_coil(self, face: Face, body: bytes) -> bytes:
        address, word = unpack(">HH", body)
        if word not in _COIL:
            raise RefusalError(RefusalCode.VALUE)
        self._write(5, address, [int(_COIL[word])], lambda: face.write_coil(address, on=_COIL[word]))
        return pack(">BHH", 5, address, word)

    def _write_registers(self, face: Face, function: int, body: bytes) -> bytes:
        if function == 6:
            address, *values = unpack(">HH", body)
            echo = pack(">BHH", 6, address, *values)
        else:
            address, count, size = unpack(">HHB", body[:5])
            if not 1 <= count <= MAX_WRITE_REGISTERS or size != 2 * count:
                raise RefusalError(RefusalCode.VALUE)
            values = list(unpack(f">{count}H", body[5:]))
            echo = pack(">BHH", 16, address, count)
        self._write(function, address, values, lambda: face.write_registers(address, values))
        return echo

    def _write(self, function: int, address: int, values: list[int], act: Callable[[], dict[str, float]]) -> None:
        try:
            self._check(address, len(values), MAX_WRITE_REGISTERS)
            named = act()
        except RefusalError as refusal:
            self._write_seen(function, address, values, {}, refusal.code)
            raise
        self._write_seen(function, address, values, named, None)

    def _check(self, address: int, count: int, most: int) -> None:
        exception = self.faults.exception
        if exception is not None and exception.covers(address, count):
            raise RefusalError(exception.code)
        if not 1 <= count <= most:
            raise RefusalError(RefusalCode.VALUE)
        if address + count > 0x10000:
            raise RefusalError(RefusalCode.ADDRESS)


def _refused(function: int, code: int) -> bytes:
    return pack(">BB", function | 0x80, code)
