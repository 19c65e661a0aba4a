"""The simulated Sigenergy inverter with its EVDC as a foreign Modbus client sees it, over real sockets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from pyModbusTCP.client import ModbusClient

from edge_service.simulation.options import SiteOptions
from edge_service.simulation.sigenergy_registers import PLANT_UNIT, SigenergyPlant
from edge_service.simulation.site import SimulatedSite
from tests.edge.simulation.site_kit import HandClock, a_site, modbus, off_loop

STATE, START_STOP, MAX_CHARGE, MAX_DISCHARGE = 31513, 41000, 41002, 41004


@asynccontextmanager
async def an_evdc(
    quirks: Mapping[str, bool] | None = None, rating_w: float = 12_500
) -> AsyncIterator[tuple[SimulatedSite, HandClock, ModbusClient]]:
    options = SiteOptions(charger_model="sigenergy_evdc", quirks=quirks or {}, rating_w=rating_w, enter_service_s=5)
    async with a_site(options) as (site, clock), modbus(site.charger_port) as client:
        yield site, clock, client


async def inputs(client: ModbusClient, address: int, count: int, unit: int = 1) -> list[int] | None:
    client.unit_id = unit
    return await off_loop(client.read_input_registers, address, count)


async def wide(client: ModbusClient, address: int) -> int | None:
    words = await inputs(client, address, 2)
    return None if words is None else int.from_bytes(b"".join(word.to_bytes(2) for word in words), signed=True)


async def limit(client: ModbusClient, address: int, watts: int) -> bool:
    client.unit_id = 1
    return bool(await off_loop(client.write_multiple_registers, address, [watts >> 16, watts & 0xFFFF]))


async def start(client: ModbusClient, clock: HandClock, settle_s: float = 10) -> None:
    client.unit_id = 1
    assert await off_loop(client.write_single_register, START_STOP, 0)
    clock.pass_(settle_s)


async def state(client: ModbusClient) -> int | None:
    words = await inputs(client, STATE, 1)
    return None if words is None else words[0]


async def test_a_foreign_client_finds_the_identity_the_ratings_and_the_plant() -> None:
    async with an_evdc() as (_, _, client):
        model = await inputs(client, 30500, 15)
        assert model is not None
        assert b"".join(word.to_bytes(2) for word in model).startswith(b"Sim SigenStor")
        assert await wide(client, 31523) == 12_500
        assert await inputs(client, 31504, 1) == [700]
        assert await inputs(client, 30009, 1, PLANT_UNIT) == [0]
        assert await inputs(client, 30009, 1, 9) is None


async def test_a_foreign_client_starts_limits_and_stops_a_charge() -> None:
    async with an_evdc() as (_, clock, client):
        assert await state(client) == 1
        assert await limit(client, MAX_CHARGE, 4000)
        assert await off_loop(client.read_holding_registers, MAX_CHARGE, 2) == [0, 4000]
        await start(client, clock, 1)
        assert await state(client) == 2
        clock.pass_(10)
        assert (await state(client), await wide(client, 31502)) == (3, 4000)
        assert await off_loop(client.write_single_register, START_STOP, 1)
        clock.pass_(5)
        assert (await state(client), await wide(client, 31502)) == (6, 0)
        assert (await wide(client, 31519) or 0) > 0


async def test_solar_energy_lies_inside_the_chargers_block_and_is_not_the_chargers() -> None:
    async with an_evdc() as (_, _, client):
        block = await inputs(client, 31500, 27)
        assert block is not None
        assert block[9:13] != [0, 0, 0, 0]
        assert block[19:23] == [0, 0, 0, 0]


@pytest.mark.parametrize(("address", "count"), [(31527, 1), (30008, 1), (START_STOP, 1), (30540, 1)])
async def test_holes_and_what_is_only_written_are_refused(address: int, count: int) -> None:
    async with an_evdc() as (_, _, client):
        assert await inputs(client, address, count) is None
        assert client.last_except == 2


async def test_half_a_limit_a_limit_beyond_the_rating_and_a_read_only_register_are_refused() -> None:
    async with an_evdc() as (_, _, client):
        assert not await off_loop(client.write_single_register, MAX_CHARGE, 1)
        assert client.last_except == 2
        assert not await limit(client, MAX_CHARGE, 12_501)
        assert client.last_except == 3
        assert not await off_loop(client.write_single_register, STATE, 1)
        assert client.last_except == 2


async def test_older_firmware_has_neither_ratings_nor_control() -> None:
    async with an_evdc({"old_firmware": True}) as (_, _, client):
        assert await inputs(client, 31500, 14) is not None
        for address in (31514, 31523):
            assert await inputs(client, address, 2) is None
            assert client.last_except == 2
        assert not await limit(client, MAX_CHARGE, 4000)
        assert not await off_loop(client.write_single_register, START_STOP, 0)


async def test_zero_while_charging_is_a_fault_until_the_plug_is_pulled() -> None:
    async with an_evdc() as (site, clock, client):
        await start(client, clock)
        assert await limit(client, MAX_CHARGE, 0)
        assert await state(client) == 4
        await start(client, clock)
        assert await state(client) == 4
        assert [entry.kind for entry in site.house.history.violations] == ["zero_limit_latched_car"]
        for plugged, expected in ((False, 0), (True, 1)):
            site.house.set_vehicle(plugged=plugged)
            assert await state(client) == expected


async def test_requests_that_come_too_soon_are_counted_and_refused_on_demand() -> None:
    async with an_evdc({"strict_spacing": True}) as (site, clock, client):
        assert await state(client) == 1
        clock.pass_(0.5)
        assert await state(client) is None
        assert client.last_except == 6
        clock.pass_(1.0)
        assert await inputs(client, 30009, 1, PLANT_UNIT) == [0]
        assert isinstance(site.charger.face, SigenergyPlant)
        assert (site.charger.face.line.requests, site.charger.face.line.too_soon) == (3, 1)


async def test_an_outage_shows_at_the_plant_and_as_an_alarm() -> None:
    async with an_evdc() as (site, clock, client):
        await start(client, clock)
        site.house.set_grid(present=False)
        clock.pass_(1)
        assert await inputs(client, 30009, 1, PLANT_UNIT) == [1]
        assert await inputs(client, 30605, 1) == [1 << 9]
        assert await state(client) == 7
        assert not site.house.powered


async def test_in_an_outage_it_may_answer_nothing_and_answers_again_when_the_grid_is_back() -> None:
    options = SiteOptions(charger_model="sigenergy_evdc", quirks={"silent_in_outage": True})
    async with a_site(options) as (site, _), modbus(site.charger_port, timeout_s=0.2) as client:
        site.house.set_grid(present=False)
        assert await state(client) is None
        site.house.set_grid(present=True)
        assert await state(client) is not None


async def test_limit_and_start_open_no_discharge_unless_the_app_did_or_an_option_says_so() -> None:
    async with an_evdc() as (site, clock, client):
        await limit(client, MAX_CHARGE, 1000)
        await limit(client, MAX_DISCHARGE, 3000)
        await start(client, clock)
        assert (await state(client), await wide(client, 31502)) == (3, 1000)
        await site.switch_quirks({"start_opens_discharge": True})
        clock.pass_(10)
        assert (await state(client), await wide(client, 31502)) == (8, -3000)
        await site.switch_quirks({"start_opens_discharge": False, "app_v2x_session": True, "unsigned_power": True})
        clock.pass_(1)
        assert (await state(client), await wide(client, 31502)) == (8, 3000)
        assert await inputs(client, 31514, 1) == [75]
        assert await inputs(client, 31501, 1) == [0]
