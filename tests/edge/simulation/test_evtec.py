"""The simulated EVtec BiDiPro 10, as a foreign Modbus client and the model's own clock see it."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from pyModbusTCP.client import ModbusClient
from pyModbusTCP.constants import EXP_DATA_ADDRESS, EXP_DATA_VALUE
from pyModbusTCP.utils import decode_ieee, word_list_to_long

from edge_service.simulation.evtec_registers import EvtecRegisters
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite
from tests.edge.simulation.site_kit import HandClock, a_site, modbus, off_loop

EVTEC = SiteOptions(charger_model="evtec_bidipro_10", enter_service_s=5)
FALLBACK, TIMEOUT, SETPOINT, SUSPEND = 38, 42, 186, 188


@asynccontextmanager
async def an_evtec(
    options: SiteOptions = EVTEC, /, **quirks: bool
) -> AsyncIterator[tuple[SimulatedSite, HandClock, ModbusClient]]:
    async with a_site(replace(options, quirks=quirks)) as (site, clock), modbus(site.charger_port) as client:
        yield site, clock, client


async def words(client: ModbusClient, address: int, count: int) -> list[int]:
    found: list[int] | None = await off_loop(client.read_holding_registers, address, count)
    assert found is not None, client.last_except_as_txt
    return found


async def number(client: ModbusClient, address: int) -> int:
    return int.from_bytes(b"".join(word.to_bytes(2) for word in await words(client, address, 2)), signed=True)


async def real(client: ModbusClient, address: int) -> float:
    (raw,) = word_list_to_long(await words(client, address, 2))
    return float(decode_ieee(raw))


async def write(client: ModbusClient, address: int, value: int) -> int:
    """0, or the exception code."""
    done = await off_loop(client.write_multiple_registers, address, [value >> 16 & 0xFFFF, value & 0xFFFF])
    return 0 if done else int(client.last_except)


async def pass_(site: SimulatedSite, clock: HandClock, seconds: float) -> None:
    clock.pass_(seconds)
    site.advance()


async def test_a_foreign_client_reads_each_object_and_across_none() -> None:
    async with an_evtec() as (_, _, client):
        texts = await words(client, 0, 44)
        assert b"".join(word.to_bytes(2) for word in texts[26:36]).rstrip(b"\0") == b"ECP4 crema sim"
        assert (await number(client, 100), await number(client, 104), await number(client, 112)) == (7, 5, 700)
        assert await words(client, 200, 90) == [0] * 90
        for address, count in ((40, 10), (90, 20), (185, 20), (1100, 2)):
            assert await off_loop(client.read_holding_registers, address, count) is None
            assert client.last_except == EXP_DATA_ADDRESS


async def test_numbers_begin_with_the_high_word() -> None:
    async with an_evtec(last_error_bit=True) as (_, _, client):
        assert await words(client, 154, 4) == [0, 0x0080, 0, 0]
        assert await real(client, 158) == 60_000


async def test_it_charges_and_discharges_and_shows_it() -> None:
    async with an_evtec() as (site, clock, client):
        for watts, state in ((4000, 7), (-4000, 8)):
            assert await write(client, SETPOINT, watts) == 0
            await pass_(site, clock, 5)
            assert (await real(client, 110), await number(client, 100)) == (watts, state)


async def test_silence_ends_the_setpoint_and_any_message_prevents_it() -> None:
    async with an_evtec() as (site, clock, client):
        await write(client, TIMEOUT, 20)
        await write(client, SETPOINT, -4000)
        for _ in range(4):
            await pass_(site, clock, 15)
            assert await real(client, 110) == -4000
        await pass_(site, clock, 30)
        assert (await real(client, 110), await number(client, SETPOINT)) == (0, 0)


async def test_a_fallback_power_takes_the_place_of_idle() -> None:
    async with an_evtec() as (site, clock, client):
        await write(client, FALLBACK, 2000)
        await write(client, TIMEOUT, 20)
        await write(client, SETPOINT, -4000)
        await pass_(site, clock, 30)
        assert (await real(client, 110), await number(client, SETPOINT)) == (2000, 0)


async def test_a_session_that_cannot_discharge_takes_a_discharge_and_nothing_happens() -> None:
    for quirk in ("session_not_bidirectional", "v2g_not_offered"):
        async with an_evtec(**{quirk: True}) as (site, clock, client):
            assert await write(client, SETPOINT, -4000) == 0
            await pass_(site, clock, 10)
            assert (await real(client, 110), await number(client, SETPOINT)) == (0, -4000)
            assert (await number(client, 104), await real(client, 122) < 0) == (
                (2, True) if quirk == "session_not_bidirectional" else (5, False)
            )


async def test_a_setpoint_outside_the_window_or_the_rating_is_refused() -> None:
    async with an_evtec() as (site, _, client):
        for watts in (10_001, -10_001, 9700, -9700, 400):
            assert await write(client, SETPOINT, watts) == EXP_DATA_VALUE
        await site.switch_quirks({"window_rejects": False})
        assert await write(client, SETPOINT, 9700) == 0
        assert await write(client, TIMEOUT, 601) == EXP_DATA_VALUE


async def test_half_a_value_and_a_read_only_register_are_not_written() -> None:
    async with an_evtec() as (_, _, client):
        assert not await off_loop(client.write_single_register, SETPOINT, 1)
        assert client.last_except == EXP_DATA_ADDRESS
        assert await write(client, 110, 1) == EXP_DATA_ADDRESS


async def test_the_window_is_closed_late_or_not_told() -> None:
    async with an_evtec(replace(EVTEC, plugged=False), ceiling_zero_at_start=True) as (site, clock, client):
        assert (await number(client, 100), await number(client, 112)) == (1, 0)
        site.house.set_vehicle(plugged=True)
        assert (await number(client, 100), await real(client, 130)) == (6, 0)
        await pass_(site, clock, 31)
        assert (await number(client, 100), await real(client, 130)) == (7, 9600)
        await site.switch_quirks({"window_not_told": True})
        assert math.isnan(await real(client, 122))


async def test_after_it_is_switched_on_it_boots_and_shows_errors() -> None:
    async with an_evtec(boots_slowly=True, errors_after_boot=True) as (site, clock, client):
        assert await words(client, 100, 6) == [0] * 6
        await pass_(site, clock, 61)
        assert (await number(client, 100), await words(client, 154, 4)) == (12, [0, 0, 0, 1])
        await pass_(site, clock, 240)
        assert await number(client, 100) == 7
        await write(client, SETPOINT, 4000)
        face = site.charger.face
        assert isinstance(face, EvtecRegisters)
        face.restart()
        assert (await number(client, 100), await number(client, SETPOINT)) == (0, 0)


@pytest.mark.parametrize(
    ("quirk", "address", "value"),
    [("power_unit_error", 100, 12), ("reserved", 100, 3), ("fallback_power", 38, 3000)],
)
async def test_a_quirk_shows_in_its_register(quirk: str, address: int, value: int) -> None:
    async with an_evtec(**{quirk: True}) as (_, _, client):
        assert await number(client, address) == value


async def test_what_is_not_kept_does_not_read_back() -> None:
    async with an_evtec(setpoint_not_kept=True, timeout_not_kept=True) as (_, _, client):
        assert (await write(client, SETPOINT, 4000), await write(client, TIMEOUT, 60)) == (0, 0)
        assert (await number(client, SETPOINT), await number(client, TIMEOUT)) == (0, 0)


async def test_its_connector_may_be_the_ninth() -> None:
    async with an_evtec(connector_9=True) as (_, _, client):
        assert await words(client, 100, 90) == [0] * 90
        assert await number(client, 900) == 7


async def test_a_full_vehicle_ends_the_charge() -> None:
    async with an_evtec() as (site, clock, client):
        await write(client, SETPOINT, 4000)
        site.house.set_vehicle(soc_pct=100)
        await pass_(site, clock, 5)
        assert (await number(client, 100), await real(client, 110)) == (11, 0)


async def test_without_the_grid_it_is_gone_and_afterwards_waits_for_it() -> None:
    async with an_evtec() as (site, clock, client):
        site.house.set_grid(present=False)
        await pass_(site, clock, 1)
        assert await off_loop(client.read_holding_registers, 100, 2) is None
        site.house.set_grid(present=True)
        assert await number(client, 100) == 10
        await pass_(site, clock, 6)
        assert await number(client, 100) == 7
