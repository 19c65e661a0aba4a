"""The SunSpec DER driver against the simulated charger, recorded dumps, and registers full of nonsense."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.chargers import MODELS
from edge_service.chargers.link import Link
from edge_service.chargers.sunspec_der import SunSpecDer
from edge_service.chargers.sunspec_der_models import SunSpecOptions
from edge_service.domain.model import (
    Authority,
    Backup,
    ChargerReading,
    ChargerState,
    Control,
    Hold,
    Lease,
    Limits,
    Order,
    Pause,
    Power,
    Release,
    Stop,
)
from edge_service.ports import Charger, DeviceError, DeviceRefusedError, ProtocolViolationError
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite
from tests.edge.chargers.peers import HOST, MemoryUnit, Registers, linked, load_dump
from tests.edge.chargers.plausible import assert_plausible
from tests.edge.simulation.site_kit import HandClock, a_site

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)
DUMP = Path(__file__).parent / "dumps" / "simulated_sunspec_der.json"
# Addresses of the dump's models, as the reference layout has them.
M701, M702, M703, M704, M713, M714, M715 = 40070, 40225, 40277, 40296, 40363, 40372, 40417
SETPOINT_GROUP = set(range(M704 + 22, M704 + 33))
HEARTBEAT, OP_CTL = {M715 + 5, M715 + 6}, {M715 + 8}
MAY_BE_WRITTEN = SETPOINT_GROUP | HEARTBEAT | OP_CTL
GRID_PARALLEL = SunSpecOptions(backup="none")


class Timed(Registers):
    """Registers of a device whose reversion timer runs once it is armed."""

    def write(self, address: int, values: list[int]) -> bool:
        done = super().write(address, values)
        armed = self.words[M704 + 22] == 1
        if (self.words[M704 + 31], self.words[M704 + 32]) != (0xFFFF, 0xFFFF):
            self.words |= {M704 + 33 + n: self.words[M704 + 31 + n] if armed else 0 for n in (0, 1)}
        return done


@asynccontextmanager
async def a_charger(
    options: SiteOptions | None = None, of_driver: SunSpecOptions | None = None
) -> AsyncIterator[tuple[SimulatedSite, HandClock, SunSpecDer]]:
    async with a_site(options) as (site, clock), Link(HOST, site.charger_port) as link:
        yield site, clock, SunSpecDer("left", link.unit(1), of_driver, monotonic=clock)


def from_dump(
    options: SunSpecOptions | None = None, clock: HandClock | None = None, /, **points: int
) -> tuple[Registers, SunSpecDer]:
    """The dumped charger with some registers changed: ``m701_4=3`` is offset 4 of model 701."""
    registers = Timed(load_dump(DUMP))
    for name, word in points.items():
        model, offset = name.split("_")
        registers.words[globals()[model.upper()] + int(offset)] = word
    return registers, SunSpecDer("left", MemoryUnit(registers), options, monotonic=clock or HandClock())


async def reading_of(**points: int) -> ChargerReading:
    return await from_dump(**points)[1].read(NOW)


class HeldUnit(MemoryUnit):
    """A device that keeps its answer to a read of model 704 back until it is ``free``."""

    def __init__(self, registers: Registers) -> None:
        super().__init__(registers)
        self.asked, self.written, self.free = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def read_holding_registers(self, address: int, count: int) -> list[int]:
        if address == M704:
            self.asked.set()
            await self.free.wait()
        return await super().read_holding_registers(address, count)

    async def write_registers(self, address: int, values: list[int]) -> None:
        await super().write_registers(address, values)
        self.written.set()


async def test_a_withdrawal_does_not_wait_for_a_reading_under_way() -> None:
    registers = Timed(load_dump(DUMP))
    unit = HeldUnit(registers)
    charger = SunSpecDer("left", unit)
    unit.free.set()
    await charger.read(NOW)
    await charger.order(Power(-3000), NOW)
    for event in (unit.free, unit.asked, unit.written):
        event.clear()
    reading = asyncio.ensure_future(charger.read(NOW))
    async with asyncio.timeout(5):
        await unit.asked.wait()
        withdrawing = asyncio.ensure_future(charger.order(Release(), NOW))
        await unit.written.wait()
    assert registers.writes[-1] == (M704 + 22, [0])
    unit.free.set()
    await asyncio.gather(reading, withdrawing)


# ---------------------------------------------------------------------------------------------------- who it is


async def test_the_simulated_charger_is_known_for_what_it_can_do() -> None:
    async with a_charger() as (_, _, charger):
        identity, capability = await charger.probe()
        assert (identity.manufacturer, identity.serial, identity.findings) == ("SimVendor", "SIM0001", ())
        assert capability.control is Control.SIGNED
        assert (capability.charge_rating_w, capability.discharge_rating_w) == (9600, 9600)
        assert (capability.backup, capability.lease, capability.step_w) == (Backup.CAN_FORM, Lease.TIMER, 1)


@pytest.mark.parametrize("base", [0, 40000, 50000])
async def test_the_map_is_found_wherever_it_may_begin(base: int) -> None:
    async with a_charger(SiteOptions(charger_base=base)) as (_, _, charger):
        assert (await charger.probe())[0].serial == "SIM0001"


async def test_a_probe_writes_nothing() -> None:
    async with a_charger() as (site, _, charger):
        await charger.probe()
        await charger.read(NOW)
        await charger.read_fast(NOW)
        assert list(site.writes) == []


@pytest.mark.parametrize(
    ("options", "control", "backup", "finding"),
    [
        (SiteOptions(no_wset=True), Control.GENERATION_CAP, Backup.CAN_FORM, "only a cap"),
        (SiteOptions(no_713=True), Control.SIGNED, Backup.CAN_FORM, "no model 713"),
        (SiteOptions(no_715=True), Control.SIGNED, Backup.NONE, "no model 715"),
        (SiteOptions(island_capable=False), Control.SIGNED, Backup.NONE, None),
    ],
)
async def test_what_a_variant_lacks_is_found_and_said(
    options: SiteOptions, control: Control, backup: Backup, finding: str | None
) -> None:
    async with a_charger(options) as (_, _, charger):
        identity, capability = await charger.probe()
        assert (capability.control, capability.backup) == (control, backup)
        assert bool(identity.findings) is bool(finding)
        assert finding is None or any(finding in sentence for sentence in identity.findings)
        reading = await charger.read(NOW)
        assert reading.power_w == 0
        assert reading.plugged is True


CANNOT_BE_STOPPED = "It cannot be stopped over Modbus"


@pytest.mark.parametrize(
    ("backup", "points", "seen", "said"),
    [
        ("auto", {"m715_8": 0xFFFF}, Backup.NONE, True),
        ("auto", {"m715_8": 1}, Backup.CAN_FORM, False),
        ("auto", {"m715_8": 0xFFFF, "m702_25": 0}, Backup.NONE, False),
        ("none", {"m715_8": 0xFFFF}, Backup.NONE, False),
        ("vendor", {"m715_8": 0xFFFF}, Backup.VENDOR, False),
    ],
)
async def test_a_charger_that_cannot_be_stopped_gives_no_backup_since_its_island_could_not_be_ended(
    backup: Literal["auto", "none", "vendor"], points: dict[str, int], seen: Backup, said: bool
) -> None:
    identity, capability = await from_dump(SunSpecOptions(backup=backup), **points)[1].probe()
    assert capability.backup is seen
    assert any(sentence.startswith(CANNOT_BE_STOPPED) for sentence in identity.findings) is said


async def test_what_cannot_be_stopped_may_still_carry_the_house_by_itself_so_no_order_ends_in_zero_enabled() -> None:
    registers, charger = from_dump(m715_8=0xFFFF)
    await charger.order(Power(-5000), NOW)
    assert registers.words[M704 + 30] == 0


async def test_a_device_that_is_no_charger_is_refused_by_name() -> None:
    async with a_site() as (site, _), Link(HOST, site.meter_port) as link:
        with pytest.raises(DeviceRefusedError, match="not both 1 and 701") as error:
            await SunSpecDer("left", link.unit(1)).probe()
        assert error.value.reason == "not_sunspec_der"


async def test_a_device_without_a_map_is_refused() -> None:
    async with linked(Registers({})) as (_, unit):
        with pytest.raises(DeviceRefusedError, match="no SunSpec map at 40000, 0, 50000") as error:
            await SunSpecDer("left", unit).probe()
        assert error.value.reason == "not_sunspec"


@pytest.mark.parametrize("length", [0xFFFE, 0, 1])
async def test_a_broken_chain_of_models_ends_in_an_error(length: int) -> None:
    words = {40000 + n: 1 if n % 2 == 0 else length for n in range(20_000)} | {40000: 0x5375, 40001: 0x6E53}
    with pytest.raises(DeviceError):
        await SunSpecDer("left", MemoryUnit(Registers(words))).probe()


async def test_the_registry_builds_a_charger() -> None:
    model = MODELS["sunspec_der"]
    unit = MemoryUnit(Timed(load_dump(DUMP)))
    charger: Charger = model.build("left", unit, model.options(), monotonic=HandClock())
    assert charger.id == "left"
    assert (await charger.read(NOW)).plugged is True
    await charger.close()


# ---------------------------------------------------------------------------------------------------- reading


async def test_discharge_reads_negative_and_charge_positive() -> None:
    async with a_charger() as (_, clock, charger):
        for order_w, state in ((-5000, ChargerState.DISCHARGING), (4000, ChargerState.CHARGING)):
            await charger.order(Power(order_w), NOW)
            clock.pass_(10)
            reading = await charger.read(NOW)
            assert (reading.power_w, reading.setpoint_w, reading.state) == (order_w, order_w, state)
            assert reading.authority is Authority.OURS
        assert (reading.energy_discharged_wh or 0) > 0
        assert (reading.energy_charged_wh or 0) > 0


@pytest.mark.parametrize("scale", [0, 1, 2])
async def test_a_coarse_scale_is_followed_and_told(scale: int) -> None:
    async with a_charger(SiteOptions(power_scale=scale, enter_service_s=0)) as (_, clock, charger):
        assert (await charger.probe())[1].step_w == 10**scale
        await charger.order(Power(-5170), NOW)
        clock.pass_(10)
        assert (await charger.read(NOW)).power_w == -(5170 // 10**scale) * 10**scale


async def test_an_unplugged_charger_offers_nothing_and_knows_no_charge() -> None:
    async with a_charger(SiteOptions(plugged=False)) as (_, _, charger):
        reading = await charger.read(NOW)
        assert (reading.plugged, reading.state) == (False, ChargerState.DISCONNECTED)
        assert (reading.charge_max_w, reading.discharge_max_w) == (0, 0)
        assert (reading.soc_pct, reading.capacity_wh) == (None, None)


async def test_an_outage_shows_in_the_fast_lane_and_then_the_island() -> None:
    async with a_charger() as (site, clock, charger):
        assert (await charger.read_fast(NOW)).grid_present is True
        site.house.set_grid(present=False)
        clock.pass_(0.2)
        assert (await charger.read_fast(NOW)).grid_present is False
        assert (await charger.read(NOW)).alarms == ("ac_disconnect", "grid_disconnect", "ac_under_volt")
        site.house.command_switch(open_=True)
        clock.pass_(3)
        fast = await charger.read_fast(NOW)
        assert (fast.forming, fast.grid_present) == (True, None)
        reading = await charger.read(NOW)
        assert (reading.forming, reading.grid_present, reading.power_w) == (True, None, -1200)


NOT_IMPLEMENTED = {"m701_10": 0x8000, "m701_15": 0xFFFF, "m701_16": 0xFFFF, "m701_17": 0xFFFF, "m701_18": 0xFFFF}


async def test_sentinels_read_as_unknown() -> None:
    reading = await reading_of(
        **NOT_IMPLEMENTED, m713_4=0xFFFF, m713_2=0xFFFF, m703_2=0xFFFF, m715_3=0xFFFF, m715_4=0xFFFF
    )
    assert (reading.power_w, reading.voltage_v, reading.frequency_hz) == (None, None, None)
    assert (reading.soc_pct, reading.capacity_wh, reading.service_permitted, reading.heartbeat) == (
        None,
        None,
        None,
        None,
    )


@pytest.mark.parametrize("exponent", [11, 0x8000, 0xFFF0])
async def test_an_impossible_scale_factor_makes_its_values_unknown(exponent: int) -> None:
    reading = await reading_of(m701_116=exponent)
    assert reading.power_w is None
    assert reading.voltage_v == 240


async def test_a_charge_beyond_hundred_percent_is_unknown() -> None:
    assert (await reading_of(m713_4=1010)).soc_pct is None
    assert (await reading_of(m713_4=1000)).soc_pct == 100


RUNNING, BIT = 3, {name: 1 << bit for name, bit in (("ac", 2), ("grid", 4), ("uf", 9), ("uv", 11))}


@pytest.mark.parametrize(
    ("points", "present"),
    [
        ({"m701_5": 1}, True),
        ({"m701_5": 0}, None),
        ({"m701_5": 0xFFFF}, None),
        ({"m701_5": 1, "m701_7": BIT["uf"]}, False),
        ({"m701_5": 0, "m701_7": BIT["uv"]}, False),
        ({"m701_5": 0, "m701_7": BIT["grid"]}, None),  # healthy voltage: it waits to enter service
        ({"m701_5": 0, "m701_7": BIT["ac"], "m701_15": 0}, False),
        ({"m701_5": 0, "m701_7": BIT["ac"], "m701_15": 0xFFFF, "m701_16": 0xFFFF}, False),
        ({"m701_5": 0, "m701_7": BIT["ac"], "m701_15": 0xFFFF}, None),  # 120 V to neutral are 240 V split phase
        ({"m701_5": 0, "m701_15": 1100}, False),
        ({"m701_5": 0, "m701_15": 1300}, None),
        ({"m701_5": 0, "m701_9": 2, "m701_7": BIT["grid"]}, None),
        ({"m701_5": 1, "m701_9": 2, "m701_7": BIT["uv"]}, None),  # forming: it cannot see past its own voltage
        ({"m701_5": 0, "m701_2": 0, "m701_15": 0xFFFF, "m701_16": 2400, "m701_7": BIT["grid"]}, None),
        ({"m701_5": 0, "m701_2": 2, "m701_15": 0xFFFF, "m701_16": 1386, "m701_7": BIT["grid"]}, None),
        ({"m701_5": 0, "m702_14": 0xFFFF, "m702_38": 0xFFFF, "m701_15": 0}, None),  # no nominal voltage to compare with
    ],
)
async def test_grid_evidence(points: dict[str, int], present: bool | None) -> None:
    charger = from_dump(**points)[1]
    assert (await charger.read(NOW)).grid_present is present
    assert (await charger.read_fast(NOW)).grid_present is present


@pytest.mark.parametrize(
    ("points", "state"),
    [
        ({"m701_4": 0}, ChargerState.UNAVAILABLE),
        ({"m701_4": 1}, ChargerState.IDLE),
        ({"m701_4": 2}, ChargerState.PREPARING),
        ({"m701_4": 3, "m701_10": 49}, ChargerState.IDLE),
        ({"m701_4": 3, "m701_10": 51}, ChargerState.DISCHARGING),
        ({"m701_4": 4, "m701_10": 0x10000 - 51}, ChargerState.CHARGING),
        ({"m701_4": 5}, ChargerState.IDLE),
        ({"m701_4": 6}, ChargerState.FAULT),
        ({"m701_4": 7}, ChargerState.IDLE),
        ({"m701_4": 7, "m714_42": 0}, ChargerState.DISCONNECTED),
        ({"m701_4": 6, "m714_42": 0}, ChargerState.FAULT),
        ({"m701_4": 0xFFFF, "m701_3": 0}, ChargerState.UNAVAILABLE),
        ({"m701_4": 0xFFFF, "m701_3": 1, "m701_10": 500}, ChargerState.DISCHARGING),
    ],
)
async def test_states(points: dict[str, int], state: ChargerState) -> None:
    charger = from_dump(**points)[1]
    assert (await charger.read(NOW)).state is state
    assert (await charger.read_fast(NOW)).state is state


async def test_a_charger_that_we_stopped_shows_as_off_in_the_fast_lane_at_once() -> None:
    async with a_charger() as (_, _, charger):
        await charger.read(NOW)
        await charger.order(Stop(), NOW)
        assert (await charger.read_fast(NOW)).state is ChargerState.UNAVAILABLE


async def test_a_refused_block_leaves_the_others_known() -> None:
    for model, span in ((M702, 52), (M703, 19), (M704, 67), (M713, 9), (M714, 45), (M715, 9)):
        registers, charger = from_dump()
        await charger.probe()
        registers.refused = set(range(model + 2, model + span))
        reading = await charger.read(NOW)
        assert reading.power_w == 0
        assert reading.grid_present is True


async def test_without_model_701_there_is_no_reading() -> None:
    registers, charger = from_dump()
    await charger.read(NOW)
    registers.refused = {M701 + 10}
    with pytest.raises(DeviceRefusedError):
        await charger.read(NOW)


async def test_what_a_refused_block_told_before_is_no_longer_believed() -> None:
    registers, charger = from_dump()
    await charger.order(Power(-1000), NOW)
    before = await charger.read(NOW)
    assert (before.setpoint_w, before.soc_pct, before.authority) == (-1000, 70, Authority.OURS)
    registers.refused = {M704 + 2, M713 + 2}
    after = await charger.read(NOW)
    assert (after.setpoint_w, after.soc_pct, after.authority) == (None, None, Authority.UNKNOWN)


@pytest.mark.parametrize(
    ("cabinet", "heat_sink", "temperature_c"),
    [(385, 500, 38.5), (0x8000, 500, 50.0), (0x8000, 0x8000, None), (9999, 412, 41.2)],
)
async def test_current_has_the_sign_of_our_power_and_the_electronics_tell_how_warm_they_are(
    cabinet: int, heat_sink: int, temperature_c: float | None
) -> None:
    registers = Registers(load_dump(DUMP))
    warm = {M701 + 36: cabinet, M701 + 37: heat_sink, M701 + 122: 0xFFFF}
    registers.words |= warm | {M701 + 10: 4800, M701 + 14: 200, M701 + 113: 0xFFFF}
    async with linked(registers) as (_, unit):
        reading = await SunSpecDer("left", unit).read(NOW)
    assert (reading.power_w, reading.current_a) == (-4800, -20.0)
    assert reading.temperature_c == temperature_c


async def test_a_reading_takes_three_requests_and_the_fast_lane_one_of_sixteen_registers() -> None:
    async with linked(Registers(load_dump(DUMP))) as (peer, unit):
        charger = SunSpecDer("left", unit)
        await charger.read(NOW)
        peer.requests.clear()
        await charger.read(NOW)
        assert [(request.address, request.count) for request in peer.requests] == [
            (M701, 38),
            (M704, 35),
            (M713, M715 + 9 - M713),
        ]
        peer.requests.clear()
        await charger.read_fast(NOW)
        await charger.read_fast(NOW)
        assert [(request.address, request.count) for request in peer.requests[-1:]] == [(M701 + 3, 16)]


async def test_on_a_slow_line_no_read_is_longer_than_the_fast_lane_can_bear() -> None:
    async with linked(Registers(load_dump(DUMP))) as (peer, unit):
        charger = SunSpecDer("left", unit, SunSpecOptions(slices=True))
        for _ in range(2):
            assert (await charger.read(NOW)).soc_pct == 70
        assert max(request.count for request in peer.requests) <= 40


async def test_what_was_refused_among_others_is_asked_for_alone_and_again_with_them_later() -> None:
    """One model that does not answer must not cost the reading of its neighbours, nor a request more for ever."""
    registers = Registers(load_dump(DUMP))
    async with linked(registers) as (peer, unit):
        charger = SunSpecDer("left", unit)
        await charger.read(NOW)
        registers.refused = {M713 + 2}
        for _ in range(2):
            peer.requests.clear()
            reading = await charger.read(NOW)
            assert (reading.soc_pct, reading.plugged, reading.heartbeat) == (None, True, 0)
        assert [request.address for request in peer.requests] == [M701, M704, M713, M714 + 20, M715]
        registers.refused = set()
        for _ in range(10):
            peer.requests.clear()
            reading = await charger.read(NOW)
        assert (reading.soc_pct, len(peer.requests)) == (70, 3)


async def test_what_did_not_change_is_not_decoded_again_and_what_did_is() -> None:
    registers, charger = from_dump()
    first = await charger.read(NOW)
    registers.words |= {M713 + 4: 650, M701 + 10: 1234, M701 + 116: 1}
    second, third = await charger.read(NOW), await charger.read(NOW)
    assert (first.soc_pct, second.soc_pct) == (70, 65)
    assert (second.power_w, third) == (-1234, second)
    for _ in range(9):
        last = await charger.read(NOW)
    assert last.power_w == -12340  # scale factors are read every tenth time


# ---------------------------------------------------------------------------------------------------- ordering


def named(site: SimulatedSite) -> list[dict[str, float]]:
    """What was written since the last look, without the heartbeat."""
    seen = [write.named for write in site.writes if "715.ControllerHb" not in write.named]
    site.writes.clear()
    return seen


async def test_an_order_is_one_write_with_its_own_end_armed() -> None:
    async with a_charger() as (site, _, charger):
        await charger.order(Power(-5000), NOW)
        (write,) = named(site)
        assert write["704.WSet"] == 5000
        assert (write["704.WSetRvrtTms"], write["704.WSetRvrt"], write["704.WSetEnaRvrt"]) == (60, 0, 0)
        assert (write["704.WSetEna"], write["704.WSetMod"]) == (1, 1)


async def test_only_a_declared_grid_parallel_charger_reverts_to_zero_enabled() -> None:
    for options, of_driver, enabled in (
        (SiteOptions(), SunSpecOptions(), 0),
        (SiteOptions(), SunSpecOptions(backup="vendor"), 0),
        (SiteOptions(), GRID_PARALLEL, 1),
        (SiteOptions(island_capable=False), SunSpecOptions(), 1),
    ):
        async with a_charger(options, of_driver) as (site, _, charger):
            await charger.order(Power(-5000), NOW)
            assert named(site)[0]["704.WSetEnaRvrt"] == enabled
    registers, charger = from_dump(m702_25=0xFFFF)  # it does not say whether it can island
    await charger.order(Power(-5000), NOW)
    assert registers.words[M704 + 30] == 0


async def test_a_lease_is_renewed_after_a_third_and_not_before() -> None:
    async with a_charger() as (site, clock, charger):
        await charger.order(Power(-5000), NOW)
        assert len(named(site)) == 1
        clock.pass_(19)
        await charger.read(NOW)
        await charger.order(Power(-5000), NOW)
        assert named(site) == []
        assert (await charger.read(NOW)).lease_remaining_s == 41
        clock.pass_(1)
        await charger.order(Power(-5000), NOW)
        assert len(named(site)) == 1
        assert (await charger.read(NOW)).lease_remaining_s == 60
        for hours in (-1, 1):  # the time of day was set
            await charger.order(Power(-5000), NOW + timedelta(hours=hours))
        assert named(site) == []


async def test_an_order_nobody_renews_dies_in_the_charger() -> None:
    async with a_charger() as (_, clock, charger):
        await charger.order(Power(-5000), NOW)
        clock.pass_(61)
        reading = await charger.read(NOW)
        assert (reading.setpoint_w, reading.authority) == (None, Authority.UNKNOWN)
        clock.pass_(10)
        assert (await charger.read(NOW)).power_w == 0


async def test_a_setpoint_that_somebody_changed_is_written_again() -> None:
    async with a_charger() as (site, _, charger):
        await charger.order(Power(-5000), NOW)
        site.house.inverter.settings.setpoint_w = 1000
        named(site)
        assert (await charger.read(NOW)).setpoint_w == 1000
        await charger.order(Power(-5000), NOW)
        assert len(named(site)) == 1
        assert (await charger.read(NOW)).setpoint_w == -5000


async def test_hold_and_pause_are_zero_watts_with_the_session_kept() -> None:
    for order in (Hold(), Pause()):
        async with a_charger() as (_, _, charger):
            await charger.order(order, NOW)
            assert (await charger.read(NOW)).setpoint_w == 0


async def test_release_is_one_write_and_then_none() -> None:
    async with a_charger() as (site, _, charger):
        await charger.read(NOW)
        await charger.order(Release(), NOW)
        assert named(site) == []
        await charger.order(Power(-5000), NOW)
        named(site)
        await charger.order(Release(), NOW)
        assert named(site) == [{"704.WSetEna": 0}]
        await charger.order(Release(), NOW)
        assert named(site) == []
        assert (await charger.read(NOW)).setpoint_w is None


async def test_release_after_a_restart_withdraws_what_still_stands() -> None:
    async with a_charger() as (site, _, charger):
        await charger.order(Power(-5000), NOW)
        named(site)
        async with Link(HOST, site.charger_port) as link:
            await SunSpecDer("left", link.unit(1)).order(Release(), NOW)
        assert named(site) == [{"704.WSetEna": 0}]


async def test_stop_ceases_operation_once_and_power_starts_it_again() -> None:
    async with a_charger(SiteOptions(enter_service_s=0)) as (site, clock, charger):
        await charger.order(Power(-5000), NOW)
        named(site)
        await charger.order(Stop(), NOW)
        assert named(site) == [{"715.OpCtl": 0}, {"704.WSetEna": 0}]
        await charger.read(NOW)
        clock.pass_(1)
        await charger.order(Stop(), NOW)
        assert named(site) == []
        assert (await charger.read(NOW)).state is ChargerState.UNAVAILABLE
        clock.pass_(1)
        await charger.order(Power(-4000), NOW)
        first, second = named(site)
        assert first == {"715.OpCtl": 1}
        assert second["704.WSet"] == 4000
        clock.pass_(10)
        assert (await charger.read(NOW)).power_w == -4000


async def test_release_starts_what_a_stop_over_modbus_stopped() -> None:
    async with a_charger() as (site, _, charger):
        await charger.order(Stop(), NOW)
        named(site)
        await charger.order(Release(), NOW)
        assert named(site) == [{"715.OpCtl": 1}]


async def test_release_starts_what_our_stop_from_before_a_restart_left_off() -> None:
    """Else an edge that restarts between stop and closing leaves the house dark in the next outage."""
    async with a_charger() as (site, _, charger):
        await charger.order(Stop(), NOW)
        named(site)
        async with Link(HOST, site.charger_port) as link:
            await SunSpecDer("restarted", link.unit(1)).order(Release(), NOW)
        assert named(site)[0] == {"715.OpCtl": 1}


@pytest.mark.parametrize("fails", ["write", "read_back"])
async def test_release_starts_what_we_stopped_even_where_the_withdrawal_is_refused(fails: str) -> None:
    """Else a charger whose setpoint group fails stays off after one return, and the next outage is dark."""
    registers, charger = from_dump(m701_4=0, m715_8=0, m704_22=1)
    await charger.read(NOW)
    registers.refused = {M704 + 22 if fails == "write" else M704 + 2}
    with pytest.raises(DeviceRefusedError) as error:
        await charger.order(Release(), NOW)
    assert error.value.reason == "illegal_address"
    assert registers.words[M715 + 8] == 1


async def test_a_charger_that_refuses_to_stop_loses_our_setpoint_all_the_same() -> None:
    registers, charger = from_dump(m701_4=3, m715_8=1, m704_22=1)
    await charger.read(NOW)
    registers.refused = {M715 + 8}
    with pytest.raises(DeviceRefusedError):
        await charger.order(Stop(), NOW)
    assert registers.words[M704 + 22] == 0


async def test_a_withdrawal_that_stays_without_effect_is_told_after_the_start() -> None:
    registers = Deaf(load_dump(DUMP))
    registers.words |= {M701 + 4: 0, M715 + 8: 0, M704 + 22: 1}
    registers.deaf = (M704 + 22,)
    with pytest.raises(DeviceRefusedError) as error:
        await SunSpecDer("left", MemoryUnit(registers)).order(Release(), NOW)
    assert error.value.reason == "not_applied"
    assert registers.words[M715 + 8] == 1


async def test_a_stopped_charger_is_started_before_an_order_is_refused_as_not_readable() -> None:
    registers, charger = from_dump()
    await charger.order(Stop(), NOW)
    registers.refused = {M704 + 2}
    registers.words[M701 + 4] = 0
    await charger.read(NOW)
    with pytest.raises(DeviceRefusedError) as error:
        await charger.order(Hold(), NOW)
    assert error.value.reason == "not_readable"
    assert registers.words[M715 + 8] == 1


async def test_release_starts_nothing_that_a_person_locked_out() -> None:
    registers, charger = from_dump(m701_4=0, m715_8=0, m715_2=1)
    await charger.read(NOW)
    with pytest.raises(DeviceRefusedError):
        await charger.order(Release(), NOW)
    assert not OP_CTL & registers.written


async def test_a_charger_in_standby_is_started_for_power_and_left_alone_for_zero() -> None:
    registers, charger = from_dump(m701_4=7, m715_8=0)
    await charger.order(Hold(), NOW)
    assert not OP_CTL & registers.written
    await charger.order(Power(-1000), NOW)
    assert registers.words[M715 + 8] == 1


async def test_a_start_without_effect_is_not_repeated_every_second() -> None:
    clock = HandClock()
    registers, charger = from_dump(None, clock, m701_4=0)
    for _ in range(25):
        registers.words[M715 + 8] = 0  # a command register that clears itself
        await charger.read(NOW)
        await charger.order(Power(-1000), NOW)
        clock.pass_(1)
    assert sum(address == M715 + 8 for address, _ in registers.writes) == 3


async def test_stop_without_a_stop_register_is_zero_watts() -> None:
    async with a_charger(SiteOptions(no_715=True)) as (_, _, charger):
        await charger.order(Stop(), NOW)
        assert (await charger.read(NOW)).setpoint_w == 0


def beats(registers: Registers) -> list[list[int]]:
    return [values for address, values in registers.writes if address == M715 + 5]


async def test_the_heartbeat_counts_up_with_each_completed_cycle() -> None:
    clock = HandClock()
    registers, charger = from_dump(None, clock, m715_5=0xFFFF, m715_6=0xFFFD)
    for _ in range(3):
        await charger.order(Hold(), NOW)
        clock.pass_(1)
    assert beats(registers) == [[0xFFFF, 0xFFFE], [0, 0], [0, 1]]


async def test_the_heartbeat_is_written_once_a_second_however_often_the_cycle_wakes() -> None:
    clock = HandClock()
    registers, charger = from_dump(None, clock)
    for _ in range(16):
        await charger.order(Hold(), NOW)
        clock.pass_(1 / 8)
    assert len(beats(registers)) == 2  # at 0 and 1
    clock.pass_(-1 / 16)
    await charger.order(Hold(), NOW)  # a little early
    assert len(beats(registers)) == 3
    clock.pass_(1)
    await charger.order(Hold(), NOW - timedelta(hours=1))  # the time of day was set back
    assert len(beats(registers)) == 4


async def test_no_heartbeat_follows_a_stop_a_withdrawal_or_a_start_at_once() -> None:
    clock = HandClock()
    registers, charger = from_dump(None, clock, m704_22=1)
    orders: tuple[Order, ...] = (Stop(), Power(-1000), Release())
    for order in orders:
        await charger.order(order, NOW)
        clock.pass_(2)
    assert registers.writes != []
    assert beats(registers) == []
    await charger.order(Release(), NOW)
    assert len(beats(registers)) == 1


async def test_a_vendors_backup_hears_nothing_from_us_after_release() -> None:
    registers, charger = from_dump(SunSpecOptions(backup="vendor"))
    assert (await charger.probe())[1].backup is Backup.VENDOR
    await charger.order(Release(), NOW)
    assert registers.writes == []


@pytest.mark.parametrize("order", [Power(-1000), Hold(), Stop()])
async def test_local_mode_is_refused_before_any_write(order: Order) -> None:
    registers, charger = from_dump(m715_2=1)
    with pytest.raises(DeviceRefusedError) as error:
        await charger.order(order, NOW)
    assert error.value.reason == "local_mode"
    assert registers.writes == []
    assert (await charger.read(NOW)).authority is Authority.LOCAL


async def test_a_lock_out_is_refused_but_may_always_be_withdrawn_from() -> None:
    registers, charger = from_dump(m703_2=0, m704_22=1)
    with pytest.raises(DeviceRefusedError) as error:
        await charger.order(Power(-1000), NOW)
    assert error.value.reason == "service_not_permitted"
    assert registers.writes == []
    await charger.order(Release(), NOW)
    assert registers.words[M704 + 22] == 0


@pytest.mark.parametrize(
    ("w", "points"), [(9601, {}), (-9601, {}), (5000, {"m702_34": 4999}), (-5000, {"m702_35": 4999})]
)
async def test_no_setpoint_goes_beyond_what_the_charger_allows(w: int, points: dict[str, int]) -> None:
    registers, charger = from_dump(**points)
    with pytest.raises(DeviceRefusedError) as error:
        await charger.order(Power(w), NOW)
    assert error.value.reason == "beyond_rating"
    assert registers.writes == []


class Deaf(Timed):
    """Acknowledges writes to some registers and forgets them."""

    deaf: Sequence[int] = ()

    def write(self, address: int, values: list[int]) -> bool:
        kept = {at: self.words[at] for at in self.deaf}
        done = super().write(address, values)
        self.words.update(kept)
        return done


@pytest.mark.parametrize(
    ("order", "deaf"),
    [
        (Power(-1000), M704 + 22),
        (Power(-1000), M704 + 25),
        (Power(-1000), M704 + 32),
        (Release(), M704 + 22),
        (Stop(), M715 + 8),
    ],
)
async def test_an_acknowledged_write_that_was_not_applied_is_refused(order: Order, deaf: int) -> None:
    registers = Deaf(load_dump(DUMP))
    registers.words[M704 + 22] = 0 if isinstance(order, Power) else 1
    registers.deaf = (deaf,)
    with pytest.raises(DeviceRefusedError) as error:
        await SunSpecDer("left", MemoryUnit(registers)).order(order, NOW)
    assert error.value.reason == "not_applied"


@pytest.mark.parametrize(("backup", "remarks"), [("auto", 2), ("none", 1)])
async def test_a_charger_whose_orders_do_not_end_by_themselves_is_told_of(
    backup: Literal["auto", "none"], remarks: int
) -> None:
    points = {f"m704_{offset}": 0xFFFF for offset in (31, 32, 33, 34)}
    _, charger = from_dump(SunSpecOptions(backup=backup), **points)
    identity, capability = await charger.probe()
    assert capability.lease is Lease.NONE
    said = [sentence for sentence in identity.findings if "reversion timer" in sentence or "gets no orders" in sentence]
    assert len(said) == remarks


async def test_where_a_point_is_missing_the_end_is_armed_first_and_the_order_enabled_last() -> None:
    registers, charger = from_dump(GRID_PARALLEL, m704_28=0x8000, m704_30=0xFFFF)
    identity, _ = await charger.probe()
    assert any("several writes" in sentence for sentence in identity.findings)
    await charger.order(Power(-1000), NOW)
    setpoint = [address - M704 for address, _ in registers.writes if address in SETPOINT_GROUP]
    assert setpoint == [31, 26, 23, 24, 22]


ORDERS: st.SearchStrategy[Order] = st.one_of(
    st.integers(-9600, 9600).map(Power), st.sampled_from([Hold(), Pause(), Stop(), Release(), Limits(1, 1)])
)


@settings(max_examples=60, deadline=None)
@given(
    orders=st.lists(ORDERS, max_size=12), state=st.sampled_from([0, 3, 6, 7]), missing=st.sampled_from([None, 28, 31])
)
def test_only_the_setpoint_group_the_heartbeat_and_start_stop_are_ever_written(
    orders: list[Order], state: int, missing: int | None
) -> None:
    clock = HandClock()
    registers, charger = from_dump(None, clock, m701_4=state)
    if missing is not None:
        registers.words |= {M704 + missing: 0x8000 if missing == 28 else 0xFFFF, M704 + 32: 0xFFFF}

    async def give_all() -> None:
        for order in orders:
            clock.pass_(1)
            with suppress(DeviceRefusedError):
                await charger.order(order, NOW)

    asyncio.run(give_all())
    assert registers.written <= MAY_BE_WRITTEN


# ---------------------------------------------------------------------------------------------------- connections


async def test_after_a_lost_connection_the_device_is_identified_before_it_is_commanded() -> None:
    async with linked(Timed(load_dump(DUMP))) as (peer, unit):
        charger = SunSpecDer("left", unit)
        await charger.order(Power(-1000), NOW)
        lost = asyncio.Event()
        unit.on_connection_lost(lost.set)
        peer.reset()
        await asyncio.wait_for(lost.wait(), 2)
        await peer.until(lambda: peer.connections == 2)
        peer.requests.clear()
        await charger.order(Power(-1000), NOW)
        assert peer.requests[0].address == 40002
        assert [request.function for request in peer.requests].index(16) > 1


async def test_another_device_at_the_address_is_not_commanded() -> None:
    registers = Timed(load_dump(DUMP))
    unit = MemoryUnit(registers)
    charger = SunSpecDer("left", unit)
    await charger.order(Hold(), NOW)
    registers.words[40002 + 50] ^= 1  # another serial number
    await unit.disconnect()
    registers.writes.clear()
    assert (await charger.read(NOW)).power_w == 0
    with pytest.raises(DeviceRefusedError) as error:
        await charger.order(Power(-1000), NOW)
    assert error.value.reason == "identity_changed"
    assert registers.writes == []
    await charger.probe()
    await charger.order(Power(-1000), NOW)
    assert registers.writes != []


async def test_a_register_map_that_moved_is_not_written_to() -> None:
    registers, charger = from_dump()
    await charger.order(Hold(), NOW)
    registers.writes.clear()
    registers.words[M704] = 64999
    with pytest.raises(ProtocolViolationError):
        await charger.read(NOW)
    with pytest.raises(DeviceError):
        await charger.order(Power(-1000), NOW)
    assert registers.writes == []


# --------------------------------------------------------------------------------------------------------- nonsense


WORD = st.one_of(st.integers(0, 0xFFFF), st.sampled_from([0, 1, 2, 3, 10, 0x7FFF, 0x8000, 0xFFF6, 0xFFFF]))
HEADERS = {40000, 40001} | {at + n for at in (40002, M701, M702, M703, M704, M713, M714, M715, 40426) for n in (0, 1)}


@settings(max_examples=80, deadline=None)
@given(data=st.data(), order=ORDERS)
def test_nonsense_in_any_register_raises_our_errors_or_yields_nothing_implausible(
    data: st.DataObject, order: Order
) -> None:
    registers, charger = from_dump()
    nonsense = data.draw(st.dictionaries(st.sampled_from(sorted(set(registers.words) - HEADERS)), WORD, max_size=120))
    registers.words |= nonsense
    registers.refused = data.draw(st.sets(st.sampled_from(sorted(registers.words)), max_size=2))

    async def use() -> None:
        with suppress(DeviceError):
            await charger.probe()
            assert_plausible(await charger.read(NOW))
            await charger.read_fast(NOW)
            await charger.order(order, NOW)

    asyncio.run(use())
    assert registers.written <= MAY_BE_WRITTEN


@settings(max_examples=40, deadline=None)
@given(words=st.lists(WORD, min_size=200, max_size=600), base=st.sampled_from([0, 40000, 50000]))
def test_nonsense_instead_of_a_chain_raises_our_errors(words: list[int], base: int) -> None:
    map_ = {base + n: word for n, word in enumerate([0x5375, 0x6E53, *words])}
    charger = SunSpecDer("left", MemoryUnit(Registers(map_)))

    async def use() -> None:
        with suppress(DeviceError):
            assert_plausible(await charger.read(NOW))

    asyncio.run(use())
    assert charger.id == "left"


def test_options_are_plain_and_bounded() -> None:
    options = SunSpecOptions()
    assert (options.unit_id, options.lease_s, options.backup) == (1, 60, "auto")
    assert replace(options, backup="vendor").backup == "vendor"
