"""One Modbus TCP connection per endpoint, with every reply checked before anyone may believe it.

A device file is handed a ``Unit`` and never sees the connection. Why this is not a stock client:
docs/decisions/0003-modbus-link.md.
"""

import asyncio
import logging
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import NamedTuple, NoReturn, Self

from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest, WriteSingleCoilRequest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from edge_service.ports import DeviceError, DeviceRefusedError, DeviceUnreachableError, ProtocolViolationError

_LOGGER = logging.getLogger(__name__)

# A silent device must not hold the control cycle longer than one cycle.
LONGEST_DEADLINE_S = 1.0
FIRST_RECONNECT_S = 0.1
LAST_RECONNECT_S = 1.0
# Three wrong replies: whatever answers there is confused; a new connection is the only cure we have.
VIOLATIONS_PER_CONNECTION = 3
# Two unanswered requests in a row: the connection may be half-open, which only a new one can tell.
SILENCES_IN_A_ROW = 2

_HEADER = struct.Struct(">HHHB")  # transaction, protocol (0), bytes that follow, unit
_SHORTEST_LENGTH, _LONGEST_LENGTH = 3, 254  # unit + PDU; a PDU has 2 to 253 bytes
# Some replies at once. The loop's own buffer, of 256 KiB and new for each read, costs more time than the read itself.
_INBOX = 2048
_EXCEPTION_BIT = 0x80
_READS = frozenset({1, 2, 3, 4})

_REASONS = {
    1: "illegal_function",
    2: "illegal_address",
    3: "illegal_value",
    4: "device_failure",
    5: "busy",
    6: "busy",
    8: "device_failure",
}
_GATEWAY_CODES = {10: "the gateway has no path to this unit", 11: "the gateway got no answer from this unit"}


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and its right reply: ``length`` bytes that begin with ``wanted``. ``what`` tells people of it."""

    pdu: bytes
    wanted: bytes
    length: int
    what: str

    @property
    def function(self) -> int:
        return self.pdu[0]


class _Reply(NamedTuple):
    unit: int
    pdu: bytes


class _Wire(asyncio.BufferedProtocol):
    """One TCP connection: cuts the stream into replies and gives each to the request that waits for it."""

    def __init__(self, on_lost: Callable[[str], None]) -> None:
        self.answered = False
        self.lost = asyncio.Event()
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._inbox = memoryview(bytearray(_INBOX))
        self._buffer = bytearray()
        self._transaction = 0
        self._pending: asyncio.Future[_Reply] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._unanswered: set[int] = set()
        self._violations = 0
        self._silences = 0
        self._why = "the device closed the connection"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._why = f"the connection broke ({exc})"
        self.lost.set()
        if self._timer is not None:
            self._timer.cancel()
        self._on_lost(self._why)
        if self._pending is not None and not self._pending.done():
            self._pending.set_exception(DeviceUnreachableError(self._why))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox

    def buffer_updated(self, nbytes: int) -> None:
        self._buffer += self._inbox[:nbytes]
        while len(self._buffer) >= _HEADER.size and not self.lost.is_set():
            transaction, protocol, length, unit = _HEADER.unpack_from(self._buffer)
            if protocol != 0 or not _SHORTEST_LENGTH <= length <= _LONGEST_LENGTH:
                self._reject_stream()
                return
            end = _HEADER.size + length - 1
            if len(self._buffer) < end:
                return
            pdu = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            self._deliver(transaction, _Reply(unit, pdu))

    def _reject_stream(self) -> None:
        head = self._buffer[: _HEADER.size].hex()
        self._buffer.clear()
        if self._pending is not None and not self._pending.done():
            self._pending.set_exception(ProtocolViolationError(f"no Modbus reply begins with {head}"))
        self.drop(f"the device sent bytes that are no Modbus reply ({head})")

    def _deliver(self, transaction: int, reply: _Reply) -> None:
        pending = self._pending
        if pending is not None and not pending.done() and transaction == self._transaction:
            self._unanswered.discard(transaction)
            pending.set_result(reply)
        elif transaction in self._unanswered:
            self._unanswered.discard(transaction)  # late: its request has failed long since
        else:
            self.count_violation()

    async def exchange(self, unit: int, pdu: bytes, deadline: float) -> _Reply:
        """Send one request and return whatever answers its transaction; fails at once when the link drops.

        Raises TimeoutError at ``deadline``, in loop seconds.
        """
        assert self._transport is not None
        if self.lost.is_set():
            raise DeviceUnreachableError(self._why)
        self._transaction = self._transaction % 0xFFFF + 1
        self._unanswered.add(self._transaction)
        loop = asyncio.get_running_loop()
        self._pending = loop.create_future()
        self._deadline = deadline
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._look_at_deadline, deadline)
        try:
            self._transport.write(_HEADER.pack(self._transaction, 0, len(pdu) + 1, unit) + pdu)
            return await self._pending
        finally:
            self._pending = None

    def _look_at_deadline(self, at: float) -> None:
        """A timer that a reply overtook runs on and is set for the request of now: one for many, not one for each."""
        self._timer = None
        if self._pending is None or self._pending.done():
            return
        if at < self._deadline:
            self._timer = asyncio.get_running_loop().call_at(self._deadline, self._look_at_deadline, self._deadline)
        else:
            self._pending.set_exception(TimeoutError())

    def count_answer(self) -> None:
        self.answered = True
        self._silences = 0

    def count_violation(self) -> None:
        self._violations += 1
        if self._violations >= VIOLATIONS_PER_CONNECTION:
            self.drop(f"{self._violations} wrong replies on one connection")

    def count_silence(self) -> None:
        self._silences += 1
        if self._silences >= SILENCES_IN_A_ROW:
            self.drop(f"{self._silences} requests in a row were not answered")

    def drop(self, why: str) -> None:
        """Give the connection up now; unsent bytes are discarded."""
        if self.lost.is_set():
            return
        self._why = why
        if self._transport is not None:
            self._transport.abort()


class Link:
    """The only connection to one endpoint: one request in flight, no retries. Writes go first, reads in their order.

    ``timeout_s`` is the deadline of a request from its turn to its reply, at most 1 s. ``min_gap_s`` keeps the line
    quiet between requests. ``run`` keeps the connection up and lives as long as the process; ``async with`` runs it
    for a shorter life.
    """

    def __init__(self, host: str, port: int = 502, *, timeout_s: float = 1.0, min_gap_s: float = 0.0) -> None:
        if not 0 < timeout_s <= LONGEST_DEADLINE_S:
            raise ValueError(f"timeout_s is {timeout_s}; allowed is more than 0, at most {LONGEST_DEADLINE_S}")
        self.host = host
        self.port = port
        self.timeout_s = timeout_s
        self._gaps_s: dict[int, float] = {}
        self._min_gap_s = min_gap_s
        self._connect_delays_s: dict[int, float] = {}
        self._turn = asyncio.Lock()
        # Only one read at a time stands in line for its turn: a write, which may be protective, passes all others.
        self._reads = asyncio.Lock()
        self._quiet_since = 0.0
        self._wire: _Wire | None = None
        # Set while the outcome of the last attempt to connect stands: a request waits for an attempt, not for a pause.
        self._attempted = asyncio.Event()
        self._failure = "not tried yet"
        self._lost_callbacks: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def connected(self) -> bool:
        return self._wire is not None

    def unit(self, unit_id: int) -> Unit:
        """One Modbus unit behind this endpoint."""
        return Unit(self, unit_id)

    # The connection

    async def run(self) -> None:
        """Keep the connection up, for ever; a pause of 0.1 s doubles up to 1 s until a device answers again."""
        pause_s = FIRST_RECONNECT_S
        try:
            while True:
                self._attempted.clear()
                wire = await self._connect()
                self._wire = wire
                self._attempted.set()
                if wire is not None:
                    await wire.lost.wait()
                    pause_s = FIRST_RECONNECT_S if wire.answered else pause_s
                # Jitter, so that two links to one small device do not knock at the same instant.
                await asyncio.sleep(pause_s * random.uniform(0.75, 1.0))
                pause_s = min(pause_s * 2, LAST_RECONNECT_S)
        finally:
            self._failure = "the link is closed"
            self._attempted.set()
            if self._wire is not None:
                self._wire.drop(self._failure)

    async def _connect(self) -> _Wire | None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.timeout_s):
                _, wire = await loop.create_connection(lambda: _Wire(self._lose), self.host, self.port)
        except (OSError, TimeoutError) as error:
            self._fail(f"cannot connect ({str(error) or 'no answer'})")
            return None
        if self._connect_delays_s:
            await asyncio.sleep(max(self._connect_delays_s.values()))
        _LOGGER.info("%s: connected", self.endpoint)
        return None if wire.lost.is_set() else wire

    def _fail(self, why: str) -> None:
        if why != self._failure:
            _LOGGER.warning("%s: %s", self.endpoint, why)
        self._failure = why

    def _lose(self, why: str) -> None:
        self._wire = None
        self._fail(why)
        for callback in tuple(self._lost_callbacks):
            callback()

    def drop(self) -> None:
        """Drop the connection; ``run`` makes a new one."""
        if self._wire is not None:
            self._wire.drop("the connection was dropped on purpose")

    def on_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` whenever the connection drops; returns what unsubscribes it."""
        self._lost_callbacks.append(callback)
        return lambda: self._lost_callbacks.remove(callback)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.run(), name=f"link {self.endpoint}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            wire = self._wire
            self._task.cancel()
            await asyncio.wait((self._task,))
            if wire is not None:
                await wire.lost.wait()

    # Requests

    def set_gap(self, unit_id: int, seconds: float) -> None:
        self._gaps_s[unit_id] = seconds

    def set_connect_delay(self, unit_id: int, seconds: float | None) -> None:
        if seconds is None:
            self._connect_delays_s.pop(unit_id, None)
        else:
            self._connect_delays_s[unit_id] = seconds

    async def ask(self, unit_id: int, question: Question) -> bytes:
        """The checked PDU that answers ``question``, which is put when its turn comes.

        Raises DeviceUnreachableError, DeviceRefusedError or ProtocolViolationError.
        """
        if question.function not in _READS:
            return await self._ask_in_turn(unit_id, question)
        async with self._reads:
            if self._gap_s(unit_id) > 0:
                await self._let_gap_pass(unit_id)
            return await self._ask_in_turn(unit_id, question)

    async def _ask_in_turn(self, unit_id: int, question: Question) -> bytes:
        async with self._turn:
            try:
                if self._gap_s(unit_id) > 0:
                    await asyncio.sleep(self._gap_left_s(unit_id))
                return self._checked(await self._exchange(unit_id, question.pdu), unit_id, question)
            except DeviceRefusedError as error:
                raise DeviceRefusedError(self._told(unit_id, question, error), error.reason) from None
            except DeviceError as error:
                raise type(error)(self._told(unit_id, question, error)) from None
            finally:
                self._quiet_since = asyncio.get_running_loop().time()

    def _told(self, unit_id: int, question: Question, error: DeviceError) -> str:
        return f"{self.endpoint} unit {unit_id}: {question.what}: {error}"

    def _gap_s(self, unit_id: int) -> float:
        return max(self._min_gap_s, self._gaps_s.get(unit_id, 0.0))

    def _gap_left_s(self, unit_id: int) -> float:
        return self._quiet_since + self._gap_s(unit_id) - asyncio.get_running_loop().time()

    async def _let_gap_pass(self, unit_id: int) -> None:
        """A read waits for the line to have been quiet without taking its turn: a write may come meanwhile."""
        while self._turn.locked() or self._gap_left_s(unit_id) > 0:
            async with self._turn:
                left_s = self._gap_left_s(unit_id)
            await asyncio.sleep(left_s)

    async def _exchange(self, unit_id: int, pdu: bytes) -> _Reply:
        deadline = asyncio.get_running_loop().time() + self.timeout_s
        if not self._attempted.is_set():
            await self._attempt(deadline)
        wire = self._wire
        if wire is None:
            raise DeviceUnreachableError(
                f"{self._failure}; check that the device is on and that no other Modbus client holds it"
            )
        try:
            reply = await wire.exchange(unit_id, pdu, deadline)
        except TimeoutError:
            wire.count_silence()
            raise DeviceUnreachableError(
                f"no answer within {self.timeout_s:g} s; check the unit number and that the device is awake"
            ) from None
        wire.count_answer()
        return reply

    async def _attempt(self, deadline: float) -> None:
        """Wait for the outcome of the attempt to connect that is under way."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._attempted.wait()
        except TimeoutError:
            raise DeviceUnreachableError(f"not connected within {self.timeout_s:g} s; {self._failure}") from None

    def _checked(self, reply: _Reply, unit_id: int, question: Question) -> bytes:
        pdu = reply.pdu
        if reply.unit != unit_id or len(pdu) != question.length or not pdu.startswith(question.wanted):
            self._reject(reply, unit_id, question)
        return pdu

    def _reject(self, reply: _Reply, unit_id: int, question: Question) -> NoReturn:
        """Raise what is wrong with a reply."""
        pdu, asked = reply.pdu, question.function
        function = pdu[0]
        if reply.unit != unit_id:
            self._violated(f"unit {reply.unit} answered")
        if function == asked | _EXCEPTION_BIT and len(pdu) == 2:
            _refuse(pdu[1])
        if function != asked:
            self._violated(f"function {function} answered a request of function {asked}")
        self._violated(
            f"the reply has {len(pdu)} bytes and begins with {pdu[:5].hex()};"
            f" right would be {question.length} bytes that begin with {question.wanted.hex()}"
        )

    def _violated(self, message: str) -> NoReturn:
        if self._wire is not None:
            self._wire.count_violation()
        raise ProtocolViolationError(f"{message}; the reply was discarded; suspect the device or a gateway before it")


def _refuse(code: int) -> NoReturn:
    if code in _GATEWAY_CODES:
        raise DeviceUnreachableError(f"{_GATEWAY_CODES[code]}; check the wiring behind the gateway")
    reason = _REASONS.get(code, "refused")
    raise DeviceRefusedError(f"the device refused with Modbus exception {code} ({reason})", reason)


type _Read = (
    type[ReadCoilsRequest]
    | type[ReadDiscreteInputsRequest]
    | type[ReadHoldingRegistersRequest]
    | type[ReadInputRegistersRequest]
)
_READS_WHAT: dict[_Read, str] = {
    ReadCoilsRequest: "coils",
    ReadDiscreteInputsRequest: "discrete inputs",
    ReadHoldingRegistersRequest: "holding registers",
    ReadInputRegistersRequest: "input registers",
}


# The same blocks are read cycle after cycle, of chargers of one model at the same addresses.
@lru_cache(maxsize=1000)
def _reading(kind: _Read, address: int, count: int) -> Question:
    """A read, whose reply brings so many bytes after its function and their count."""
    size = 2 * count if kind in (ReadHoldingRegistersRequest, ReadInputRegistersRequest) else (count + 7) // 8
    pdu = _pdu(kind(address=address, count=count))
    wanted = bytes((pdu[0], size & 0xFF))
    return Question(pdu, wanted, len(wanted) + size, f"reading {count} {_READS_WHAT[kind]} from {address}")


def _writing(request: ModbusPDU, what: str) -> Question:
    pdu = _pdu(request)
    # Functions 5 and 6 echo the whole request, function 16 its address and count: the first five bytes of each.
    return Question(pdu, pdu[:5], 5, f"writing {what}")


def _pdu(request: ModbusPDU) -> bytes:
    return bytes((request.function_code,)) + request.encode()


def _words(pdu: bytes) -> list[int]:
    """The registers of a checked reply, which is nothing but words: the decoder would take ten times as long."""
    return list(struct.unpack_from(f">{pdu[1] // 2}H", pdu, 2))


class UnusedFunctions:
    """The function codes of ``ModbusUnit`` that no device file of ours uses; each raises NotImplementedError."""

    async def write_coils(self, address: int, values: list[bool]) -> None:
        raise NotImplementedError("Modbus function 15 is not used")

    async def read_exception_status(self) -> int:
        raise NotImplementedError("Modbus function 7 is not used")

    async def report_server_id(self) -> bytes:
        raise NotImplementedError("Modbus function 17 is not used")

    async def mask_write_register(self, address: int, and_mask: int, or_mask: int) -> None:
        raise NotImplementedError("Modbus function 22 is not used")

    async def read_write_registers(
        self, read_address: int, read_count: int, write_address: int, write_values: list[int]
    ) -> list[int]:
        raise NotImplementedError("Modbus function 23 is not used")

    async def read_fifo_queue(self, address: int) -> list[int]:
        raise NotImplementedError("Modbus function 24 is not used")

    async def read_device_identification(self) -> dict[int, bytes]:
        raise NotImplementedError("Modbus function 43 is not used")

    async def read_file_record(self, file: int, record: int, length: int) -> list[int]:
        raise NotImplementedError("Modbus function 20 is not used")

    async def write_file_record(self, file: int, record: int, values: list[int]) -> None:
        raise NotImplementedError("Modbus function 21 is not used")

    async def diagnostics(self, sub_function: int, data: int = 0) -> int:
        raise NotImplementedError("Modbus function 8 is not used")

    async def get_comm_event_counter(self) -> tuple[bool, int]:
        raise NotImplementedError("Modbus function 11 is not used")

    async def get_comm_event_log(self) -> bytes:
        raise NotImplementedError("Modbus function 12 is not used")


class Unit(UnusedFunctions):
    """One Modbus unit on a link; modbus-connection's ``ModbusUnit``, but every error is one of ``ports``."""

    def __init__(self, link: Link, unit_id: int) -> None:
        self._link = link
        self.unit_id = unit_id
        self._decoder = DecodePDU(is_server=False)

    @property
    def connected(self) -> bool:
        return self._link.connected

    async def read_holding_registers(self, address: int, count: int) -> list[int]:
        return _words(await self._link.ask(self.unit_id, _reading(ReadHoldingRegistersRequest, address, count)))

    async def read_input_registers(self, address: int, count: int) -> list[int]:
        return _words(await self._link.ask(self.unit_id, _reading(ReadInputRegistersRequest, address, count)))

    async def read_coils(self, address: int, count: int) -> list[bool]:
        return self._bits(await self._link.ask(self.unit_id, _reading(ReadCoilsRequest, address, count)), count)

    async def read_discrete_inputs(self, address: int, count: int) -> list[bool]:
        pdu = await self._link.ask(self.unit_id, _reading(ReadDiscreteInputsRequest, address, count))
        return self._bits(pdu, count)

    def _bits(self, pdu: bytes, count: int) -> list[bool]:
        reply = self._decoder.decode(pdu)
        assert reply is not None, "a reply of the right function and size decodes"
        return list(reply.bits[:count])

    async def write_register(self, address: int, value: int) -> None:
        request = WriteSingleRegisterRequest(address=address, registers=[value])
        await self._link.ask(self.unit_id, _writing(request, f"{value} to register {address}"))

    async def write_registers(self, address: int, values: list[int]) -> None:
        request = WriteMultipleRegistersRequest(address=address, registers=values)
        await self._link.ask(self.unit_id, _writing(request, f"{len(values)} registers from {address}"))

    async def write_coil(self, address: int, value: bool) -> None:
        request = WriteSingleCoilRequest(address=address, bits=[value])
        await self._link.ask(self.unit_id, _writing(request, f"{'on' if value else 'off'} to coil {address}"))

    def beside(self, unit_id: int) -> Unit:
        """Another unit behind the same endpoint."""
        return self._link.unit(unit_id)

    def set_message_spacing(self, seconds: float) -> None:
        self._link.set_gap(self.unit_id, seconds)

    def require_timeout(self, seconds: float | None) -> None:
        """Change nothing: the link's one deadline holds for every unit, a slow one must not slow the others."""

    def require_connect_delay(self, seconds: float | None) -> None:
        self._link.set_connect_delay(self.unit_id, seconds)

    def on_connection_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._link.on_lost(callback)

    async def disconnect(self) -> None:
        self._link.drop()
