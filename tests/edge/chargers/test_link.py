"""The link against peers that break the protocol: a wrong reply is never taken for a right one."""

import asyncio
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings, strategies as st
from modbus_connection import ModbusUnit

from edge_service.chargers.link import FIRST_RECONNECT_S, LAST_RECONNECT_S, Link, Unit
from edge_service.ports import DeviceError, DeviceRefusedError, DeviceUnreachableError, ProtocolViolationError
from tests.edge.chargers.peers import HOST, Peer, Request, linked

TEN = list(range(100, 110))


class HeldClock:
    """The loop's clock, which stands until a test moves it: what ends meanwhile was ended by no deadline."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    async def pass_(self, seconds: float) -> None:
        """Let time pass, and then as many turns of the loop as what it set off can need on a loopback."""
        self.now_s += seconds
        for _ in range(50):
            await asyncio.sleep(0)


@contextmanager
def held_clock() -> Iterator[HeldClock]:
    """While it stands no deadline can end a test that hangs; a thread does after a while in real time."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    clock, real = HeldClock(loop.time()), loop.time
    guard = threading.Timer(20, loop.call_soon_threadsafe, (task.cancel,))
    guard.start()
    loop.time = clock  # type: ignore[method-assign]
    try:
        yield clock
    finally:
        loop.time = real  # type: ignore[method-assign]
        guard.cancel()


def ten_words(request: Request) -> bytes:
    return request.words(*TEN)


def late_then_right(abandoned: Request) -> Callable[[Request], bytes]:
    return lambda request: abandoned.words(*[0] * 10) + request.words(*TEN)


def pdu(*parts: bytes) -> Callable[[Request], bytes]:
    return lambda request: request.frame(b"".join(parts))


def words(function: int, count: int, *, size: int | None = None) -> bytes:
    """The PDU of a read's reply; ``size`` is what its byte count claims."""
    return struct.pack(f">BB{count}H", function, 2 * count if size is None else size, *range(count))


async def read_ten(unit: Unit) -> object:
    return await unit.read_holding_registers(0, 10)


async def write_one(unit: Unit) -> object:
    await unit.write_register(7, 9)
    return None


async def write_two(unit: Unit) -> object:
    await unit.write_registers(7, [1, 2])
    return None


async def switch_on(unit: Unit) -> object:
    await unit.write_coil(7, True)
    return None


async def read_bits(unit: Unit) -> object:
    return await unit.read_coils(0, 9)


WRONG_REPLIES: list[tuple[str, Callable[[Unit], Awaitable[object]], Callable[[Request], bytes]]] = [
    ("function 4 for 3", read_ten, pdu(words(4, 10))),
    ("function 6 for 3", read_ten, pdu(struct.pack(">BHH", 6, 0, 10))),
    ("4 registers for 10", read_ten, pdu(words(3, 4))),
    ("20 registers for 10", read_ten, pdu(words(3, 20))),
    ("a byte count that lies low", read_ten, pdu(words(3, 10, size=8))),
    ("a byte count that lies high", read_ten, pdu(words(3, 10, size=40))),
    ("an odd byte count", read_ten, pdu(words(3, 10, size=19)[:-1])),
    ("a byte too many", read_ten, pdu(words(3, 10), b"\0")),
    ("nothing but a function", read_ten, pdu(b"\x03\x00")),
    ("another unit", read_ten, lambda request: request.frame(words(3, 10), unit=2)),
    ("an exception of another function", read_ten, pdu(b"\x84\x02")),
    ("an exception without its code", read_ten, pdu(b"\x83\x02\x02")),
    ("one byte of bits for nine", read_bits, pdu(b"\x01\x01\xff")),
    ("inputs for coils", read_bits, pdu(b"\x02\x02\xff\x01")),
    ("another register written", write_one, pdu(struct.pack(">BHH", 6, 8, 9))),
    ("another value written", write_one, pdu(struct.pack(">BHH", 6, 7, 0))),
    ("function 16 for 6", write_one, pdu(struct.pack(">BHH", 16, 7, 1))),
    ("another block written", write_two, pdu(struct.pack(">BHH", 16, 8, 2))),
    ("fewer registers written", write_two, pdu(struct.pack(">BHH", 16, 7, 1))),
    ("another coil switched", switch_on, pdu(struct.pack(">BHH", 5, 8, 0xFF00))),
    ("the coil switched the other way", switch_on, pdu(struct.pack(">BHH", 5, 7, 0))),
]


@pytest.mark.parametrize(
    ("ask", "answer"), [case[1:] for case in WRONG_REPLIES], ids=[case[0] for case in WRONG_REPLIES]
)
async def test_a_wrong_reply_is_an_error(
    ask: Callable[[Unit], Awaitable[object]], answer: Callable[[Request], bytes]
) -> None:
    async with linked(answer) as (_, unit):
        with pytest.raises(ProtocolViolationError, match="unit 1: "):
            await ask(unit)


async def test_every_function_that_we_use_brings_its_values_home() -> None:
    def answer(request: Request) -> bytes:
        match request.function:
            case 1 | 2:
                return request.frame(bytes((request.function, 2, 0b0000_0101, 0b1)))
            case 3 | 4:
                return request.words(1, 0xFFFF)
        return request.frame(request.pdu[:5])

    async with linked(answer) as (peer, unit):
        assert await unit.read_coils(3, 9) == [True, False, True, *[False] * 5, True]
        assert await unit.read_discrete_inputs(3, 9) == [True, False, True, *[False] * 5, True]
        assert await unit.read_holding_registers(40000, 2) == [1, 0xFFFF]
        assert await unit.read_input_registers(40000, 2) == [1, 0xFFFF]
        await unit.write_coil(1, True)
        await unit.write_register(2, 3)
        await unit.write_registers(4, [5, 6])
        assert [request.pdu.hex() for request in peer.requests[4:]] == [
            "050001ff00",
            "0600020003",
            "100004000204" + "00050006",
        ]
        assert isinstance(unit, ModbusUnit)


async def test_the_third_wrong_reply_ends_the_connection_and_a_new_one_is_made() -> None:
    async with linked(pdu(words(3, 4))) as (peer, unit):
        for _ in range(3):
            with pytest.raises(ProtocolViolationError):
                await read_ten(unit)
        await peer.until(lambda: peer.connections == 2)
        peer.answer = ten_words
        assert await read_ten(unit) == TEN


async def test_bytes_that_are_no_modbus_fail_the_request_at_once_and_end_the_connection() -> None:
    async with linked(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as (peer, unit):
        with held_clock(), pytest.raises(ProtocolViolationError):
            await read_ten(unit)
        await peer.until(lambda: peer.connections == 2)


async def test_a_reset_in_mid_frame_fails_the_request_at_once() -> None:
    async with linked(lambda request: request.words(*TEN)[:12]) as (peer, unit):
        asking = asyncio.ensure_future(read_ten(unit))
        await peer.until(lambda: len(peer.requests) == 1)
        with held_clock():
            peer.reset()
            with pytest.raises(DeviceUnreachableError):
                await asking


async def test_a_reply_in_pieces_is_put_together() -> None:
    async with linked(lambda request: request.words(*TEN)[:12]) as (peer, unit):
        asking = asyncio.ensure_future(read_ten(unit))
        await peer.until(lambda: len(peer.requests) == 1)
        peer.send(peer.requests[0].words(*TEN)[12:])
        assert await asking == TEN


async def test_silence_ends_at_the_deadline() -> None:
    async with linked(lambda _: None, timeout_s=0.2) as (peer, unit):
        with held_clock() as clock:
            asking = asyncio.ensure_future(read_ten(unit))
            await peer.until(lambda: len(peer.requests) == 1)
            await clock.pass_(0.19)
            assert not asking.done()
            await clock.pass_(0.02)
            assert asking.done()
        with pytest.raises(DeviceUnreachableError, match=r"no answer within 0\.2 s"):
            await asking


async def test_a_deadline_of_more_than_a_second_is_not_to_be_had() -> None:
    with pytest.raises(ValueError, match="timeout_s"):
        Link(HOST, 502, timeout_s=1.5)


async def test_a_late_reply_is_not_taken_for_the_next_one() -> None:
    async with linked(lambda _: None, timeout_s=0.1) as (peer, unit):
        with pytest.raises(DeviceUnreachableError):
            await read_ten(unit)
        peer.answer = late_then_right(peer.requests[0])
        assert await read_ten(unit) == TEN
        assert peer.connections == 1


async def test_late_replies_are_no_wrong_replies() -> None:
    async with linked(lambda _: None, timeout_s=0.05) as (peer, unit):
        for _ in range(4):
            peer.answer = lambda _: None
            with pytest.raises(DeviceUnreachableError):
                await read_ten(unit)
            peer.answer = late_then_right(peer.requests[-1])
            assert await read_ten(unit) == TEN
        assert peer.connections == 1


async def test_a_reply_to_a_request_never_made_is_left_aside() -> None:
    def answer(request: Request) -> bytes:
        return request.frame(words(3, 10), transaction=request.transaction + 77) + request.words(*TEN)

    async with linked(answer) as (_, unit):
        assert await read_ten(unit) == TEN


async def test_two_silences_in_a_row_make_a_new_connection() -> None:
    async with linked(lambda _: None, timeout_s=0.1) as (peer, unit):
        for _ in range(2):
            with pytest.raises(DeviceUnreachableError):
                await read_ten(unit)
        await peer.until(lambda: peer.connections == 2)


async def test_a_device_that_comes_back_is_found_within_a_second_or_so() -> None:
    async with linked(ten_words) as (peer, unit):
        assert await read_ten(unit) == TEN
        lost = asyncio.Event()
        unit.on_connection_lost(lost.set)
        await peer.stop()
        await asyncio.wait_for(lost.wait(), 1)
        refusals = 0
        async with asyncio.timeout(5):
            while refusals < 3:  # a refused connection shows at once, and no request hangs on it
                with pytest.raises(DeviceUnreachableError, match="check that the device is on"):
                    await read_ten(unit)
                refusals += 1
        with held_clock() as clock:
            for _ in range(30):  # long enough for the longest pause to be in force
                await clock.pass_(FIRST_RECONNECT_S)
            await peer.start()
            await clock.pass_(LAST_RECONNECT_S)
            await peer.until(lambda: peer.connections == 2)
        assert await read_ten(unit) == TEN


async def test_one_request_is_in_flight_and_the_first_to_ask_is_the_first_served() -> None:
    async with linked(lambda _: None) as (peer, unit):
        asking = [asyncio.ensure_future(unit.read_holding_registers(address, 1)) for address in range(5)]
        for served in range(5):
            await peer.until(lambda: len(peer.requests) == served + 1)  # noqa: B023
            peer.send(peer.requests[-1].words(served))
        assert await asyncio.gather(*asking) == [[0], [1], [2], [3], [4]]
        assert [request.address for request in peer.requests] == [0, 1, 2, 3, 4]


async def test_a_write_waits_for_the_request_in_flight_only_and_passes_all_reads() -> None:
    async with linked(lambda _: None) as (peer, unit):
        reading = [asyncio.ensure_future(unit.read_holding_registers(address, 1)) for address in range(3)]
        await peer.until(lambda: len(peer.requests) == 1)
        writing = asyncio.ensure_future(unit.write_registers(9, [1]))
        for served in range(4):
            await peer.until(lambda: len(peer.requests) > served)  # noqa: B023
            request = peer.requests[-1]
            peer.send(request.words(0) if request.function == 3 else request.frame(request.pdu[:5]))
        await asyncio.gather(*reading, writing)
        assert [request.address for request in peer.requests] == [0, 9, 1, 2]


async def test_units_share_the_connection_of_their_endpoint() -> None:
    def answer(request: Request) -> bytes:
        return request.words(request.unit)

    async with Peer(answer) as peer, Link(HOST, peer.port) as link:
        units = [link.unit(number) for number in (1, 2, 3)]
        assert await asyncio.gather(*(unit.read_holding_registers(0, 1) for unit in units)) == [[1], [2], [3]]
        assert peer.connections == 1


async def test_a_request_given_up_does_not_block_the_next() -> None:
    async with linked(lambda _: None) as (peer, unit):
        asking = asyncio.ensure_future(read_ten(unit))
        await peer.until(lambda: len(peer.requests) == 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        peer.answer = ten_words
        assert await read_ten(unit) == TEN


async def test_the_line_is_quiet_for_the_gap_that_a_device_needs() -> None:
    async with linked(ten_words, min_gap_s=0.05) as (peer, unit):
        for _ in range(3):
            await read_ten(unit)
        first, second, third = peer.arrivals
        assert second - first >= 0.045
        assert third - second >= 0.045


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1, "illegal_function"), (2, "illegal_address"), (3, "illegal_value"), (4, "device_failure"), (5, "busy"),
     (6, "busy"), (99, "refused")],
)  # fmt: skip
async def test_a_refusal_tells_why(code: int, reason: str) -> None:
    async with linked(pdu(bytes((0x83, code)))) as (peer, unit):
        with pytest.raises(
            DeviceRefusedError, match=f"{peer.port} unit 1: reading 10 holding registers from 0"
        ) as error:
            await read_ten(unit)
        assert error.value.reason == reason


@pytest.mark.parametrize("code", [10, 11])
async def test_a_gateway_without_its_device_is_no_contact(code: int) -> None:
    async with linked(pdu(bytes((0x83, code)))) as (_, unit):
        with pytest.raises(DeviceUnreachableError, match="gateway"):
            await read_ten(unit)


async def test_dropping_on_purpose_makes_a_new_connection() -> None:
    async with linked(ten_words) as (peer, unit):
        await read_ten(unit)
        await unit.disconnect()
        await peer.until(lambda: peer.connections == 2)


@settings(max_examples=60, deadline=None)
@given(
    reply=st.one_of(
        st.binary(max_size=40), st.binary(max_size=30).map(lambda tail: b"\x00\x01\x00\x00\x00\x17\x01" + tail)
    )
)
def test_no_bytes_at_all_bring_anything_but_a_right_reply_or_our_error(reply: bytes) -> None:
    async def ask() -> None:
        async with linked(lambda _: reply, timeout_s=0.02) as (_, unit):
            answers: list[int] = []
            with suppress(DeviceError):
                answers = await unit.read_holding_registers(0, 10)
            assert len(answers) in {0, 10}

    asyncio.run(ask())
