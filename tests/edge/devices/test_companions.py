"""Companion inverters against their simulated devices, a foreign client, nonsense and silence."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from modbus_connection import ModbusUnit
from pyModbusTCP.client import ModbusClient

from edge_service.chargers.link import Link
from edge_service.devices import COMPANIONS
from edge_service.domain.model import CompanionReading, CompanionState
from edge_service.ports import DeviceError, DeviceRefusedError, DeviceUnreachableError, GridSensor, KeepsReserve
from edge_service.simulation.companion_models import COMPANIONS as SIMULATED
from edge_service.simulation.companion_sigenergy import SigenergyCompanion
from edge_service.simulation.faults import DeviceFaults, Refused
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite
from edge_service.simulation.site_devices import Device
from tests.edge.chargers.peers import HOST, MemoryUnit, Registers
from tests.edge.simulation.site_kit import a_site, off_loop

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)
S = CompanionState
QUICK = {"request_gap_s": 0, "read_every_s": 0}


@dataclass(frozen=True, slots=True)
class Rig:
    """A simulated model: what ``site.yaml`` says of it, where its word is, and which word means what.

    ``words``: as a foreign client reads them, in the order of the wire.
    """

    model: str
    address: int
    words: Mapping[str, list[int]]
    options: Mapping[str, Any] = field(default_factory=dict)
    space: str = "holding"


RIGS: Mapping[str, Rig] = {
    "sigenergy_plant": Rig(
        "sigenergy_plant", 30009, {"on_grid": [0], "islanded": [1], "unknown": [0xFFFF]}, QUICK, "input"
    ),
    "solaredge_inverter": Rig(
        "solaredge_inverter", 40113, {"on_grid": [0, 0], "islanded": [1, 0], "unknown": [0xFFFF, 0xFFFF]}
    ),
    "goodwe_et_bt": Rig("goodwe", 35136, {"on_grid": [1], "islanded": [2], "unknown": [0xFFFF]}, {"family": "et_bt"}),
    "goodwe_50k_100k": Rig(
        "goodwe", 35136, {"on_grid": [1], "islanded": [0], "unknown": [0xFFFF]}, {"family": "50k_100k"}
    ),
    "victron_system": Rig("victron_system", 826, {"on_grid": [1], "generator": [2], "islanded": [240], "unknown": [0]}),
}


def build(simulated: str, unit: ModbusUnit) -> GridSensor:
    rig = RIGS[simulated]
    entry = COMPANIONS[rig.model]
    return entry.build("inverter", unit, entry.options(**rig.options))


@asynccontextmanager
async def at_site(simulated: str, **options: Any) -> AsyncIterator[tuple[SimulatedSite, GridSensor]]:
    """The driver at its simulated device, in the unit that its model usually has."""
    rig = RIGS[simulated]
    async with (
        a_site(SiteOptions(companion_model=simulated, **options)) as (site, _),
        Link(HOST, site.companion_port, timeout_s=0.3) as link,
    ):
        unit_id = COMPANIONS[rig.model].options(**rig.options).unit_id
        companion = build(simulated, link.unit(unit_id))
        yield site, companion
        await companion.close()


every_model = pytest.mark.parametrize("simulated", list(RIGS))


def test_each_model_has_a_simulated_device_and_a_rig() -> None:
    assert {rig.model for rig in RIGS.values()} == set(COMPANIONS)
    assert set(RIGS) == set(SIMULATED)


@every_model
async def test_it_tells_the_grid_and_a_house_that_a_gateway_carries(simulated: str) -> None:
    async with at_site(simulated, vendor_backup=True) as (site, companion):
        assert (await companion.read(NOW)).state is S.ON_GRID
        site.house.set_grid(present=False)
        assert (await companion.read(NOW)).state is S.ISLANDED
        site.house.set_grid(present=True)
        reading = await companion.read(NOW)
        assert (reading.state, reading.at) == (S.ON_GRID, NOW)


@every_model
async def test_what_a_foreign_client_reads_is_what_our_reading_says(simulated: str) -> None:
    rig = RIGS[simulated]
    async with at_site(simulated) as (site, companion):
        unit_id = COMPANIONS[rig.model].options(**rig.options).unit_id
        client = ModbusClient(HOST, site.companion_port, unit_id=unit_id, timeout=2, auto_open=True)
        read = client.read_input_registers if rig.space == "input" else client.read_holding_registers
        for state, words in rig.words.items():
            site.sight.forced = state
            assert await off_loop(read, rig.address, len(words)) == words
            expected = None if state == "unknown" else S(state)
            assert (await companion.read(NOW)).state is expected
        client.close()


@every_model
async def test_probing_and_reading_write_nothing_and_the_probe_says_what_it_tells(simulated: str) -> None:
    async with at_site(simulated) as (site, companion):
        identity = await companion.probe()
        assert identity.manufacturer
        assert identity.findings[0].startswith("It tells now: ")
        for _ in range(6):
            await companion.read(NOW)
        assert list(site.writes) == []


@every_model
async def test_silence_is_an_error_and_no_reading(simulated: str) -> None:
    async with at_site(simulated) as (site, companion):
        await companion.read(NOW)
        await site.misbehave(Device.COMPANION, DeviceFaults(silent=True))
        with pytest.raises(DeviceUnreachableError):
            await companion.read(NOW)
        await site.misbehave(Device.COMPANION, DeviceFaults())
        assert (await companion.read(NOW)).state is S.ON_GRID


@every_model
async def test_a_device_without_the_register_is_told_at_the_probe(simulated: str) -> None:
    async with at_site(simulated) as (site, companion):
        await site.misbehave(Device.COMPANION, DeviceFaults(exception=Refused(2, RIGS[simulated].address, 2)))
        with pytest.raises(DeviceRefusedError) as refused:
            await companion.probe()
        assert refused.value.reason == "no_grid_state"


# ------------------------------------------------------------------------------------------------------ what words mean


@pytest.mark.parametrize(
    ("simulated", "word", "state"),
    [
        ("victron_system", 3, S.ON_GRID),
        ("victron_system", 4, None),
        ("goodwe_et_bt", 0, None),
        ("goodwe_et_bt", 3, None),
        ("goodwe_50k_100k", 2, None),
        ("sigenergy_plant", 2, S.ISLANDED),
        ("sigenergy_plant", 3, None),
    ],
)
async def test_a_word_means_what_the_map_says_and_one_outside_it_is_not_guessed(
    simulated: str, word: int, state: CompanionState | None
) -> None:
    companion = build(simulated, MemoryUnit(Registers({RIGS[simulated].address: word})))
    assert (await companion.read(NOW)).state is state


@pytest.mark.parametrize(
    ("words", "state"),
    [((0, 0), S.ON_GRID), ((7, 0), S.ISLANDED), ((0, 1), S.ISLANDED), ((0xFFFF, 0xFFFF), None)],
)
async def test_solaredge_is_on_the_grid_at_zero_only_and_its_sentinel_says_nothing(
    words: tuple[int, int], state: CompanionState | None
) -> None:
    companion = build("solaredge_inverter", MemoryUnit(Registers({40113: words[0], 40114: words[1]})))
    assert (await companion.read(NOW)).state is state


def test_a_goodwe_s_family_is_not_guessed() -> None:
    with pytest.raises(TypeError, match="family"):
        COMPANIONS["goodwe"].options()


WORD = st.one_of(st.integers(0, 0xFFFF), st.sampled_from([0, 1, 2, 3, 240, 1000, 1001, 0x7FFF, 0x8000, 0xFFFF]))


@every_model
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_nonsense_in_the_registers_yields_our_errors_or_nothing_implausible(
    simulated: str, data: st.DataObject
) -> None:
    address = RIGS[simulated].address
    places = (address, address + 1, 30035, 30036, 30051, 40046)
    registers = Registers({place: data.draw(WORD) for place in places if data.draw(st.booleans())})
    readings: list[CompanionReading] = []

    async def use() -> None:
        companion = build(simulated, MemoryUnit(registers))
        for _ in range(5):
            with suppress(DeviceError):
                readings.append(await companion.read(NOW))

    asyncio.run(use())
    for reading in readings:
        assert reading.state is None or reading.state in S
        assert reading.solar_w is None or -1e6 <= reading.solar_w <= 0
        assert reading.reserve_pct is None or 0 <= reading.reserve_pct <= 100
    assert registers.writes == []


# ------------------------------------------------------------------------------------------------- the Sigenergy plant


async def several(companion: GridSensor, count: int = 7) -> CompanionReading:
    """As the cycle reads it: the slow registers have their turn after some reads."""
    for _ in range(count - 1):
        await companion.read(NOW)
    return await companion.read(NOW)


def plant_of(site: SimulatedSite) -> SigenergyCompanion:
    assert isinstance(site.companion, SigenergyCompanion)
    return site.companion


async def test_a_plant_off_the_grid_that_does_not_run_is_an_outage() -> None:
    async with at_site("sigenergy_plant") as (site, companion):
        site.house.set_grid(present=False)
        reading = await companion.read(NOW)
        assert (reading.state, reading.detail) == (S.OUTAGE, "off grid by itself, plant in shutdown")
        site.sight.forced = "islanded"
        assert (await companion.read(NOW)).state is S.ISLANDED


async def test_solar_and_reserve_of_a_plant_are_read_beside_the_grid_and_solar_is_negative() -> None:
    async with at_site("sigenergy_plant") as (site, companion):
        plant_of(site).solar_w, plant_of(site).reserve_pct = 3210, 12.5
        reading = await several(companion)
        assert (reading.solar_w, reading.reserve_pct) == (-3210, 12.5)


async def test_a_plant_that_refuses_the_slow_registers_still_tells_of_the_grid() -> None:
    async with at_site("sigenergy_plant") as (site, companion):
        await several(companion)
        await site.misbehave(Device.COMPANION, DeviceFaults(exception=Refused(2, 30035, 20_000)))
        reading = await several(companion)
        assert (reading.state, reading.solar_w, reading.reserve_pct) == (S.ON_GRID, None, None)


async def test_a_reserve_is_written_once_read_back_and_not_again_where_it_stands() -> None:
    async with at_site("sigenergy_plant") as (site, companion):
        assert isinstance(companion, KeepsReserve)
        await companion.keep_reserve(30)
        await companion.keep_reserve(30)
        assert [(one.function, one.address, one.values, one.named) for one in site.writes] == [
            (6, 40046, (300,), {"ess_backup_soc": 30.0})
        ]
        assert (await several(companion)).reserve_pct == 30


async def test_a_reserve_that_does_not_stay_is_told() -> None:
    class Forgetful(Registers):
        def write(self, address: int, values: list[int]) -> bool:
            self.writes.append((address, values))
            return True

    registers = Forgetful({30009: 0, 40046: 100})
    companion = build("sigenergy_plant", MemoryUnit(registers))
    assert isinstance(companion, KeepsReserve)
    with pytest.raises(DeviceRefusedError) as refused:
        await companion.keep_reserve(30)
    assert refused.value.reason == "not_applied"
    assert registers.writes == [(40046, [300])]


@pytest.mark.parametrize(("asked", "written"), [(-5, 0), (130, 1000)])
async def test_a_reserve_is_written_within_its_bounds(asked: float, written: int) -> None:
    registers = Registers({40046: 500})
    companion = build("sigenergy_plant", MemoryUnit(registers))
    assert isinstance(companion, KeepsReserve)
    await companion.keep_reserve(asked)
    assert registers.writes == [(40046, [written])]


@pytest.mark.parametrize("simulated", [name for name in RIGS if name != "sigenergy_plant"])
def test_nothing_can_be_written_to_the_others(simulated: str) -> None:
    assert not isinstance(build(simulated, MemoryUnit(Registers({}))), KeepsReserve)


async def test_on_the_grid_s_side_it_sees_the_street_and_a_generator_where_it_has_a_word_for_it() -> None:
    async with at_site("victron_system", companion_on_grid_side=True) as (site, companion):
        site.house.command_switch(open_=True)
        assert (await companion.read(NOW)).state is S.ON_GRID
        site.contacts.generator = True
        assert (await companion.read(NOW)).state is S.GENERATOR
