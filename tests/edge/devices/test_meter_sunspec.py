"""The SunSpec meter against the simulated one, in all its models, and against registers full of nonsense."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.chargers.link import Link
from edge_service.devices import METERS
from edge_service.devices.meter_sunspec import SunSpecMeter, SunSpecMeterOptions
from edge_service.domain.model import MeterReading
from edge_service.ports import DeviceError, DeviceRefusedError, Meter
from edge_service.simulation.options import SiteOptions
from tests.edge.chargers.peers import HOST, MemoryUnit, Registers
from tests.edge.simulation.site_kit import a_site

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)
BASE = 40000
METER = BASE + 70


def registers_of(model: int = 203, **points: int) -> Registers:
    """A meter of 1,500 W import at 240 V and 60 Hz; ``at_18=200`` is offset 18 of the meter model."""
    words = {BASE: 0x5375, BASE + 1: 0x6E53, BASE + 2: 1, BASE + 3: 66}
    words |= {BASE + 4 + n: 0 for n in range(66)}
    words |= {METER + n: 0x8000 for n in range(107)} | {METER: model, METER + 1: 105}
    words |= {
        METER + 11: 2400,
        METER + 15: 0xFFFF,
        METER + 16: 6000,
        METER + 17: 0xFFFE,
        METER + 18: 150,
        METER + 22: 1,
    }
    words |= {
        METER + 38: 0,
        METER + 39: 77,
        METER + 46: 1,
        METER + 47: 0,
        METER + 54: 0,
        METER + 107: 0xFFFF,
        METER + 108: 0,
    }
    words |= {METER + int(name.removeprefix("at_")): word for name, word in points.items()}
    return Registers(words)


def meter_of(options: SunSpecMeterOptions | None = None, /, **points: int) -> SunSpecMeter:
    return SunSpecMeter("main", MemoryUnit(registers_of(**points)), options)


@pytest.mark.parametrize("model", [201, 202, 203])
async def test_each_meter_model_reads_the_house(model: int) -> None:
    async with a_site(SiteOptions(meter_model=model)) as (site, clock), Link(HOST, site.meter_port) as link:
        meter = SunSpecMeter("main", link.unit(1))
        assert (await meter.probe()).model == "Sim Grid Meter"
        clock.pass_(3600)
        reading = await meter.read(NOW)
        assert (reading.power_w, reading.voltage_v, reading.frequency_hz) == (1200, 240, 60)
        assert reading.leg_power_w[:2] == ((600, 600) if model != 201 else (600,))
        assert reading.energy_imported_wh == pytest.approx(1200, abs=1)
        site.house.set_grid(present=False)
        assert (await meter.read(NOW)).voltage_v == 0


async def test_export_reads_negative() -> None:
    assert (await meter_of().read(NOW)).power_w == 1500
    assert (await meter_of(at_18=0x10000 - 150).read(NOW)).power_w == -1500


@pytest.mark.parametrize(("model", "legs"), [(201, (700,)), (202, (700, 800)), (203, (700, 800, -20))])
async def test_each_leg_has_its_power(model: int, legs: tuple[int, ...]) -> None:
    reading = await meter_of(model=model, at_19=70, at_20=80, at_21=0x10000 - 2).read(NOW)
    assert reading.leg_power_w == legs


async def test_a_broken_neutral_shows_on_the_legs_and_nowhere_else() -> None:
    async with a_site(SiteOptions(meter_model=202)) as (site, clock), Link(HOST, site.meter_port) as link:
        meter = SunSpecMeter("main", link.unit(1))
        clock.pass_(1)
        assert (await meter.read(NOW)).leg_voltage_v == (120, 120)
        site.house.set_load(1200, leg_1_share=0.75)
        assert (await meter.read(NOW)).leg_voltage_v == (120, 120)
        site.house.break_neutral(lost=True)
        reading = await meter.read(NOW)
        assert list(reading.leg_voltage_v) == [60, 180]
        assert (reading.voltage_v, reading.frequency_hz) == (240, 60)


async def test_a_leg_whose_voltage_is_not_told_ends_the_legs_and_the_probe_says_so() -> None:
    meter = meter_of(model=202, at_8=1201, at_19=70, at_20=80)
    assert "It reports no voltage per leg: a broken neutral is not seen." in (await meter.probe()).findings
    assert (await meter.read(NOW)).leg_voltage_v == (120.1,)


async def test_a_leg_that_is_not_wired_is_none_and_one_that_falls_silent_stays_one() -> None:
    registers = registers_of(at_19=70, at_20=80)
    meter = SunSpecMeter("main", MemoryUnit(registers), SunSpecMeterOptions(sign="export_positive"))
    assert (await meter.read(NOW)).leg_power_w == (-700, -800)
    registers.words[METER + 20] = 0x8000
    assert (await meter.read(NOW)).leg_power_w == (-700, None)


async def test_a_meter_that_counts_export_positive_is_turned_round_but_not_its_energies() -> None:
    reading = await meter_of(SunSpecMeterOptions(sign="export_positive")).read(NOW)
    assert reading.power_w == -1500
    assert (reading.energy_imported_wh, reading.energy_exported_wh) == (65536, 77)


async def test_sentinels_and_impossible_scales_read_as_unknown() -> None:
    reading = await meter_of(at_11=0x8000, at_16=0x8000, at_22=0x8000, at_39=0).read(NOW)
    assert (reading.power_w, reading.voltage_v, reading.frequency_hz) == (None, None, None)
    assert reading.energy_exported_wh is None


@pytest.mark.parametrize(("word", "power_w"), [(0x7FFF, None), (0x8001, None), (0x7FFE, 327_660), (0x8002, -327_660)])
async def test_a_register_at_its_very_end_may_mean_anything_beyond(word: int, power_w: int | None) -> None:
    reading = await meter_of(at_18=word, at_19=word).read(NOW)
    assert (reading.power_w, reading.leg_power_w[:1]) == (power_w, (power_w,))


async def test_a_meter_without_line_to_line_voltage_gives_its_phase_voltage() -> None:
    assert (await meter_of(at_11=0x8000, at_7=1200).read(NOW)).voltage_v == 120


async def test_what_a_meter_does_not_tell_is_found() -> None:
    findings = (await meter_of(at_18=0x8000, at_11=0x8000).probe()).findings
    assert findings == (
        "It reports no power.",
        "It reports no power per leg: of what a leg carries, only the chargers' own part can be watched.",
        "It reports no voltage: it cannot tell whether the grid is there.",
    )


async def test_a_device_that_is_no_meter_is_refused() -> None:
    async with a_site() as (site, _), Link(HOST, site.charger_port) as link:
        with pytest.raises(DeviceRefusedError, match="none of them a meter") as error:
            await SunSpecMeter("main", link.unit(1)).read(NOW)
        assert error.value.reason == "not_a_meter"


async def test_a_map_that_moved_is_found_again() -> None:
    registers = registers_of()
    meter = SunSpecMeter("main", MemoryUnit(registers))
    await meter.read(NOW)
    registers.words[METER] = 202
    with pytest.raises(DeviceError):
        await meter.read(NOW)
    assert (await meter.read(NOW)).power_w == 1500


async def test_the_registry_builds_a_meter() -> None:
    model = METERS["sunspec_meter"]
    meter: Meter = model.build("main", MemoryUnit(registers_of()), model.options())
    assert (await meter.read(NOW)).power_w == 1500
    await meter.close()


WORD = st.one_of(st.integers(0, 0xFFFF), st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFF6, 0xFFFF]))


@settings(max_examples=60, deadline=None)
@given(words=st.lists(WORD, min_size=105, max_size=105))
def test_nonsense_in_the_registers_yields_nothing_implausible(words: list[int]) -> None:
    registers = registers_of()
    registers.words |= {METER + 2 + n: word for n, word in enumerate(words)}
    readings: list[MeterReading] = []

    async def use() -> None:
        with suppress(DeviceError):
            readings.append(await SunSpecMeter("main", MemoryUnit(registers)).read(NOW))

    asyncio.run(use())
    for reading in readings:
        assert reading.power_w is None or abs(reading.power_w) <= 1e6
        assert reading.voltage_v is None or 0 <= reading.voltage_v <= 1000
        assert reading.frequency_hz is None or 0 <= reading.frequency_hz <= 100
        assert reading.energy_imported_wh is None or 0 <= reading.energy_imported_wh <= 1e12
    assert registers.writes == []
