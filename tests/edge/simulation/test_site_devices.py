"""The wire of the simulated site: the switch's contacts, faults, and what a strict Modbus peer must say."""

import asyncio
from dataclasses import replace
from struct import pack, unpack
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from edge_service.simulation.faults import DeviceFaults, Refused
from edge_service.simulation.site import SimulatedSite
from edge_service.simulation.site_devices import Device
from tests.edge.simulation.site_kit import HOST, a_site, modbus, off_loop


async def ask(port: int, request: bytes, *, unit: int = 1, deadline_s: float = 2) -> bytes:
    """One request's reply without its header; b"" when the peer closed."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(pack(">HHHB", 7, 0, len(request) + 1, unit) + request)
        async with asyncio.timeout(deadline_s):
            header = await reader.read(7)
            if not header:
                return b""
            transaction, protocol, length, answered = unpack(">HHHB", header)
            assert (transaction, protocol, answered) == (7, 0, unit)
            return await reader.readexactly(length - 1)
    finally:
        writer.close()


async def test_the_switch_moves_and_proves_both_ends() -> None:
    async with a_site() as (site, clock), modbus(site.switch_port) as client:
        assert await off_loop(client.read_discrete_inputs, 0, 2) == [False, True]
        assert await off_loop(client.write_single_coil, 0, True)
        assert await off_loop(client.read_coils, 0, 1) == [True]
        assert await off_loop(client.read_discrete_inputs, 0, 2) == [False, False]
        clock.pass_(0.16)
        assert await off_loop(client.read_discrete_inputs, 0, 2) == [True, False]
        assert await off_loop(client.write_single_coil, 0, False)
        clock.pass_(0.16)
        assert await off_loop(client.read_discrete_inputs, 0, 2) == [False, True]


@pytest.mark.parametrize(
    ("device", "request_", "code"),
    [
        (Device.SWITCH, pack(">BHH", 1, 0, 2), 2),
        (Device.SWITCH, pack(">BHH", 2, 1, 2), 2),
        (Device.SWITCH, pack(">BHH", 3, 0, 1), 1),
        (Device.SWITCH, pack(">BHH", 5, 0, 0x1234), 3),
        (Device.SWITCH, pack(">BHH", 5, 1, 0xFF00), 2),
        (Device.CHARGER, pack(">BHH", 4, 40000, 2), 1),
        (Device.CHARGER, pack(">BHH", 3, 40000, 0), 3),
        (Device.CHARGER, pack(">BHH", 3, 40000, 126), 3),
        (Device.CHARGER, pack(">BHH", 3, 65535, 2), 2),
        (Device.CHARGER, pack(">BH", 3, 40000), 3),
        (Device.CHARGER, pack(">BHHBH", 16, 40318, 2, 4, 1), 3),
        (Device.CHARGER, pack(">BHHBH", 16, 40318, 1, 4, 1), 3),
        (Device.CHARGER, pack(">BHH", 5, 0, 0xFF00), 1),
        (Device.METER, pack(">BHH", 6, 40070, 1), 1),
    ],
)
async def test_a_wrong_request_gets_the_right_exception(device: Device, request_: bytes, code: int) -> None:
    async with a_site() as (site, _):
        assert await ask(site.servers[device].port, request_) == bytes([request_[0] | 0x80, code])


async def test_another_unit_is_not_answered_for() -> None:
    async with a_site() as (site, _):
        assert await ask(site.meter_port, pack(">BHH", 3, 40000, 2), unit=9) == bytes([0x83, 11])


async def test_a_stream_that_is_no_modbus_is_hung_up_on() -> None:
    async with a_site() as (site, _):
        reader, writer = await asyncio.open_connection(HOST, site.charger_port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            async with asyncio.timeout(2):
                await reader.readexactly(1)
        writer.close()


async def test_a_silent_device_accepts_and_never_answers_until_healed() -> None:
    async with a_site() as (site, _):
        await site.misbehave(Device.CHARGER, DeviceFaults(silent=True))
        with pytest.raises(TimeoutError):
            await ask(site.charger_port, pack(">BHH", 3, 40000, 2), deadline_s=0.2)
        await site.misbehave(Device.CHARGER, DeviceFaults())
        assert await ask(site.charger_port, pack(">BHH", 3, 40000, 2)) == b"\x03\x04SunS"


async def test_a_refusing_device_drops_its_clients_and_returns_on_the_same_port() -> None:
    async with a_site() as (site, _):
        port = site.meter_port
        reader, writer = await asyncio.open_connection(HOST, port)
        await site.misbehave(Device.METER, DeviceFaults(refuse=True))
        async with asyncio.timeout(2):
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await reader.readexactly(1)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)
        await site.misbehave(Device.METER, DeviceFaults())
        assert await ask(port, pack(">BHH", 3, 40000, 2)) == b"\x03\x04SunS"
        writer.close()


@pytest.mark.parametrize("latency_ms", [5, 50, 250])
async def test_a_slow_device_answers_late(latency_ms: int) -> None:
    async with a_site() as (site, _):
        await site.misbehave(Device.CHARGER, DeviceFaults(latency_ms=latency_ms))
        began_s = monotonic()
        assert await ask(site.charger_port, pack(">BHH", 3, 40000, 2)) == b"\x03\x04SunS"
        assert monotonic() - began_s >= latency_ms / 1000


async def test_a_slow_device_serves_one_request_at_a_time() -> None:
    async with a_site() as (site, _):
        await site.misbehave(Device.CHARGER, DeviceFaults(latency_ms=50))
        began_s = monotonic()
        await asyncio.gather(*(ask(site.charger_port, pack(">BHH", 3, 40000, 2)) for _ in range(3)))
        assert monotonic() - began_s >= 0.15


async def test_one_block_may_be_refused_while_the_others_answer() -> None:
    async with a_site() as (site, _), modbus(site.charger_port) as client:
        await site.misbehave(Device.CHARGER, DeviceFaults(exception=Refused(code=6, start=40363, count=9)))
        assert await off_loop(client.read_holding_registers, 40363, 9) is None
        assert client.last_except == 6
        assert await off_loop(client.read_holding_registers, 40360, 3) is not None
        assert await off_loop(client.read_holding_registers, 40372, 5) is not None


async def test_a_frozen_device_repeats_what_it_said_last() -> None:
    async with a_site() as (site, clock), modbus(site.meter_port) as client:
        live = await off_loop(client.read_holding_registers, 40088, 1)
        faults = site.servers[Device.METER].faults
        await site.misbehave(Device.METER, replace(faults, frozen=True))
        site.house.set_load(3000)
        clock.pass_(1)
        assert await off_loop(client.read_holding_registers, 40088, 1) == live == [1200]
        await site.misbehave(Device.METER, faults)
        assert await off_loop(client.read_holding_registers, 40088, 1) == [3000]


async def test_writes_are_journalled_with_names_in_order() -> None:
    async with a_site() as (site, clock), modbus(site.charger_port) as charger, modbus(site.switch_port) as switch:
        await off_loop(charger.write_multiple_registers, 40320, [0xFFFF, 0xEC78])
        clock.pass_(1)
        await off_loop(switch.write_single_coil, 0, True)
        first, second = site.writes
        assert (first.device, first.function, first.address) == (Device.CHARGER, 16, 40320)
        assert (first.named, first.exception) == ({"704.WSet": -5000.0}, None)
        assert (second.device, second.function, second.values) == (Device.SWITCH, 5, (1,))
        assert (second.at - first.at).total_seconds() == pytest.approx(1)


async def test_time_passes_without_anybody_asking() -> None:
    async with SimulatedSite() as site:
        async with asyncio.timeout(5):
            while site.house.history.now_s < 0.1:  # noqa: ASYNC110 - the model has no event for time
                await asyncio.sleep(0)
        assert site.house.import_wh > 0


@given(body=st.binary(min_size=0, max_size=40), function=st.integers(0, 127))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_no_request_is_too_strange_for_a_modbus_answer(function: int, body: bytes) -> None:
    async with a_site() as (site, _):
        for device in Device:
            reply = await ask(site.servers[device].port, bytes([function]) + body)
            assert reply[0] & 0x7F == function
