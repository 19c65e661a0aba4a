"""The Sigenergy EVDC driver against the simulated inverter, registers full of nonsense, and the pace it has to keep."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.chargers import MODELS
from edge_service.chargers.link import Link
from edge_service.chargers.sigenergy_evdc import (
    FLOOR_W,
    MAX_CHARGE,
    MAX_DISCHARGE,
    MOST_STARTS,
    START_RETRY_S,
    START_STOP,
    SigenergyEvdc,
    SigenergyOptions,
)
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
from edge_service.ports import Charger, DeviceError, DeviceRefusedError, FastLane
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite
from tests.edge.chargers.peers import HOST, MemoryUnit, Registers, Request, linked
from tests.edge.simulation.site_kit import HandClock, a_site

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)
AT_ONCE = SigenergyOptions(request_gap_s=0)
WITH_DISCHARGE = SigenergyOptions(request_gap_s=0, discharge=True)
MAY_BE_WRITTEN = {START_STOP, MAX_CHARGE, MAX_CHARGE + 1, MAX_DISCHARGE, MAX_DISCHARGE + 1}


def soon(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@asynccontextmanager
async def an_evdc(
    quirks: Mapping[str, bool] | None = None, options: SigenergyOptions = AT_ONCE, **site_options: Any
) -> AsyncIterator[tuple[SimulatedSite, HandClock, SigenergyEvdc]]:
    given = {"rating_w": 12_500, "enter_service_s": 5} | site_options
    with_options = SiteOptions(charger_model="sigenergy_evdc", quirks=quirks or {}, **given)
    async with a_site(with_options) as (site, clock), Link(HOST, site.charger_port) as link:
        yield site, clock, SigenergyEvdc("left", link.unit(1), options, monotonic=clock)


async def all_read(charger: SigenergyEvdc, now: datetime = NOW) -> ChargerReading:
    """Sixteen requests: every block in its turn."""
    for _ in range(15):
        await charger.read(now)
    return await charger.read(now)


async def charging(site: SimulatedSite, clock: HandClock, charger: SigenergyEvdc, watts: int = 4000) -> None:
    await charger.order(Limits(watts, 0), NOW)
    clock.pass_(30)
    await charger.read(NOW)
    await charger.read(NOW)
    site.writes.clear()


def written(site: SimulatedSite) -> list[tuple[int, dict[str, float]]]:
    return [(write.function, write.named) for write in site.writes]


# ---------------------------------------------------------------------------------------------------- who it is


async def test_an_evdc_is_known_for_what_it_can_do() -> None:
    async with an_evdc() as (site, _, charger):
        identity, capability = await charger.probe()
        assert (identity.manufacturer, identity.serial) == ("Sigenergy", "SIGSIM0001")
        assert capability.control is Control.TWO_LIMITS
        assert (capability.charge_rating_w, capability.discharge_rating_w) == (12_500, 0)
        assert (capability.lease, capability.backup) == (Lease.NONE, Backup.NONE)
        assert capability.never_zero
        assert any("Discharge is off" in finding for finding in identity.findings)
        assert any("control.stale_after_s" in finding for finding in identity.findings)
        assert list(site.writes) == []


async def test_discharge_is_switched_on_by_name_and_called_unproven() -> None:
    async with an_evdc(options=WITH_DISCHARGE) as (_, _, charger):
        identity, capability = await charger.probe()
        assert capability.discharge_rating_w == 12_500
        assert any("unproven" in finding for finding in identity.findings)


async def test_older_firmware_is_read_and_not_commanded() -> None:
    async with an_evdc({"old_firmware": True}) as (site, _, charger):
        identity, capability = await charger.probe()
        assert capability.control is Control.NONE
        assert any("older than V2.9" in finding for finding in identity.findings)
        reading = await all_read(charger)
        assert (reading.soc_pct, reading.energy_charged_wh) == (70.0, None)
        await charger.order(Release(), NOW)
        for order in (Limits(4000, 0), Stop()):
            with pytest.raises(DeviceRefusedError) as refusal:
                await charger.order(order, NOW)
            assert refusal.value.reason == "not_supported"
        assert list(site.writes) == []


async def test_one_that_carries_the_house_by_its_makers_gateway_is_only_watched() -> None:
    async with an_evdc(options=SigenergyOptions(backup="vendor", request_gap_s=0)) as (_, _, charger):
        identity, capability = await charger.probe()
        assert capability.backup is Backup.VENDOR
        assert any("only watched" in finding for finding in identity.findings)


async def test_the_registry_builds_an_evdc() -> None:
    async with a_site(SiteOptions(charger_model="sigenergy_evdc")) as (site, _), Link(HOST, site.charger_port) as link:
        charger: Charger = MODELS["sigenergy_evdc"].build("left", link.unit(1), AT_ONCE, monotonic=HandClock())
        assert (await charger.probe())[0].model == "Sim SigenStor EC 12.0"
        assert not isinstance(charger, FastLane)


# ------------------------------------------------------------------------------------------------------- reading


async def test_a_charge_reads_positive_with_its_limits_and_its_energy() -> None:
    async with an_evdc() as (site, clock, charger):
        await charging(site, clock, charger)
        clock.pass_(3600)
        reading = await all_read(charger)
        assert (reading.state, reading.power_w) == (ChargerState.CHARGING, 4000)
        assert reading.limits == Limits(4000, 0)
        assert reading.energy_charged_wh == pytest.approx(4020, abs=30)
        assert reading.energy_discharged_wh == 0
        assert (reading.charge_max_w, reading.discharge_max_w) == (12_500, 0)
        assert reading.authority is Authority.OURS
        assert reading.voltage_v is None


@pytest.mark.parametrize("unsigned", [False, True])
async def test_a_discharge_reads_negative_whatever_sign_the_power_has(unsigned: bool) -> None:
    quirks = {"app_v2x_session": True, "unsigned_power": unsigned}
    async with an_evdc(quirks, WITH_DISCHARGE) as (_, clock, charger):
        await charger.order(Limits(FLOOR_W, 3000), NOW)
        clock.pass_(30)
        reading = await all_read(charger)
        assert (reading.state, reading.power_w) == (ChargerState.DISCHARGING, -3000)


async def test_an_unplugged_charger_offers_nothing_and_knows_no_charge() -> None:
    async with an_evdc(plugged=False) as (_, _, charger):
        reading = await charger.read(NOW)
        assert (reading.state, reading.plugged, reading.soc_pct) == (ChargerState.DISCONNECTED, False, None)
        assert (reading.charge_max_w, reading.discharge_max_w) == (0, 0)


@pytest.mark.parametrize(
    ("raw", "state", "plugged"),
    [
        (0, ChargerState.DISCONNECTED, False),
        (1, ChargerState.PREPARING, True),
        (2, ChargerState.PREPARING, True),
        (3, ChargerState.CHARGING, True),
        (4, ChargerState.FAULT, None),
        (5, ChargerState.BLOCKED, True),
        (6, ChargerState.FINISHED, True),
        (7, ChargerState.UNAVAILABLE, None),
        (8, ChargerState.DISCHARGING, True),
        (9, ChargerState.FAULT, None),
        (10, ChargerState.PREPARING, True),
        (11, ChargerState.UNAVAILABLE, None),
    ],
)
async def test_states(raw: int, state: ChargerState, plugged: bool | None) -> None:
    _, charger = from_words({31513: raw})
    reading = await charger.read(NOW)
    assert (reading.state, reading.plugged) == (state, plugged)


@pytest.mark.parametrize(
    ("words", "power_w"),
    [
        ({31503: 3000, 31501: 75}, 3000),
        ({31503: 3000, 31514: 75}, -3000),
        ({31502: 0xFFFF, 31503: 0xF448, 31501: 75}, 3000),
        ({31503: 3000, 31513: 8}, -3000),
        ({31503: 3000, 31513: 3}, 3000),
        ({31503: 3000, 31513: 3, 31514: 75}, -3000),
        ({31503: 3000, 31513: 6}, None),
        ({31503: 20, 31513: 6}, 0),
        ({31502: 0x7FFF}, None),
    ],
)
async def test_the_direction_of_power_is_that_of_the_current_else_of_the_state(
    words: dict[int, int], power_w: int | None
) -> None:
    _, charger = from_words(words)
    assert (await charger.read(NOW)).power_w == power_w


async def test_a_charge_of_zero_is_not_known() -> None:
    _, charger = from_words({31504: 0, 31513: 3})
    assert (await charger.read(NOW)).soc_pct is None


async def test_solar_energy_inside_the_block_is_nobodys() -> None:
    _, dark = from_words({})
    _, sunny = from_words(dict.fromkeys(range(31509, 31513), 0xFFFF))
    assert await dark.read(NOW) == await sunny.read(NOW)


async def test_alarms_are_named() -> None:
    _, charger = from_words({30605: 1 << 4, 30609: 1 << 1 | 1 << 9})
    assert (await all_read(charger)).alarms == (
        "pcs_1_grounding_fault",
        "dc_charger_low_insulation",
        "dc_charger_bit_9",
    )


async def test_the_plants_word_on_the_grid_is_evidence_with_a_time_of_its_own() -> None:
    async with an_evdc() as (site, clock, charger):
        first = await charger.read(NOW)
        assert (first.grid_present, first.grid_at) == (None, None)
        second = await charger.read(soon(1))
        assert (second.at, second.grid_present, second.grid_at) == (NOW, True, soon(1))
        site.house.set_grid(present=False)
        clock.pass_(1)
        lost = await all_read(charger, soon(20))
        assert lost.grid_present is False
        assert "pcs_1_grid_power_outage" in lost.alarms


@pytest.mark.parametrize(("status", "present"), [(0, True), (1, False), (2, False), (3, None), (0xFFFF, None)])
async def test_off_grid_by_itself_or_by_hand_is_no_grid(status: int, present: bool | None) -> None:
    _, charger = from_words({30009: status})
    assert (await all_read(charger)).grid_present is present


@pytest.mark.parametrize(("alarm", "present"), [(0, None), (1 << 9, False)])
async def test_without_the_plants_word_only_an_alarm_tells_that_the_grid_is_gone(
    alarm: int, present: bool | None
) -> None:
    _, charger = from_words({30605: alarm}, refused={30009})
    reading = await all_read(charger)
    assert (reading.grid_present, reading.grid_at) == (present, None)


async def test_half_of_all_requests_are_for_the_session_and_each_reading_takes_one() -> None:
    async with linked(Anything()) as (peer, unit):
        charger = SigenergyEvdc("left", unit, AT_ONCE)
        await charger.probe()
        asked = []
        for _ in range(16):
            peer.requests.clear()
            await charger.read(NOW)
            asked += [(request.unit, request.function, request.address) for request in peer.requests]
        assert len(asked) == 16
        assert asked.count((1, 4, 31501)) == 8
        assert asked.count((247, 4, 30009)) == 6
        assert asked.count((1, 3, MAX_CHARGE)) == asked.count((1, 4, 30605)) == 1


async def test_where_orders_take_up_the_line_the_session_comes_first_and_the_grid_still_has_its_turn() -> None:
    async with linked(Anything()) as (peer, unit):
        clock = HandClock()
        charger = SigenergyEvdc("left", unit, AT_ONCE, monotonic=clock)
        await charger.probe()
        asked = []
        for seconds in (0, 1, 1, 3, 3, 3, 3):
            clock.pass_(seconds)
            peer.requests.clear()
            await charger.read(NOW)
            asked += [request.address for request in peer.requests]
        session, grid, limits = 31501, 30009, MAX_CHARGE
        assert asked == [session, grid, session, session, limits, session, session]


class HeldUnit(MemoryUnit):
    """Keeps its answer on the grid back until it is ``free``."""

    def __init__(self, registers: Registers) -> None:
        super().__init__(registers)
        self.asked, self.free = asyncio.Event(), asyncio.Event()

    async def read_input_registers(self, address: int, count: int) -> list[int]:
        if address == 30009:
            self.asked.set()
            await self.free.wait()
        return await super().read_input_registers(address, count)


async def test_what_an_order_saw_of_the_session_meanwhile_keeps_the_reading_fresh() -> None:
    unit = HeldUnit(from_words({31513: 6})[0])
    charger = SigenergyEvdc("left", unit, AT_ONCE)
    await charger.read(NOW)
    reading = asyncio.create_task(charger.read(soon(1)))
    async with asyncio.timeout(5):
        await unit.asked.wait()
        await charger.order(Stop(), NOW)
    unit.free.set()
    assert (await reading).at == soon(1)


# ------------------------------------------------------------------------------------------------------ ordering


async def test_a_limit_is_written_proven_and_then_the_session_started() -> None:
    async with an_evdc() as (site, clock, charger):
        await charger.order(Limits(4000, 0), NOW)
        assert written(site) == [(16, {"max_charge_power": 4000}), (6, {"start_stop": 0})]
        clock.pass_(30)
        assert (await charger.read(NOW)).power_w == 4000
        site.writes.clear()
        for second in range(5):
            await charger.order(Limits(4000, 0), soon(second))
        assert written(site) == []
        await charger.order(Limits(6000, 0), soon(6))
        assert written(site) == [(16, {"max_charge_power": 6000})]


async def test_a_limit_that_somebody_changed_is_written_again() -> None:
    async with an_evdc() as (site, clock, charger):
        await charging(site, clock, charger)
        site.charger.face.units[1].write_registers(MAX_CHARGE, [0, 9000])  # type: ignore[attr-defined]
        await all_read(charger)
        await charger.order(Limits(4000, 0), NOW)
        assert written(site) == [(16, {"max_charge_power": 4000})]


@pytest.mark.parametrize("order", [Stop(), Hold(), Pause(), Limits(FLOOR_W - 1, 0), Limits(0, 0)])
async def test_to_rest_is_to_end_the_session_and_never_a_limit_of_zero(order: Order) -> None:
    async with an_evdc() as (site, clock, charger):
        await charging(site, clock, charger)
        await charger.order(order, NOW)
        assert written(site) == [(6, {"start_stop": 1})]
        assert (await charger.read(NOW)).state is ChargerState.FINISHED
        await charger.order(order, soon(1))
        assert len(site.writes) == 1
        assert site.house.history.violations == []


async def test_a_stopped_session_is_started_again_by_the_next_limit() -> None:
    async with an_evdc() as (site, clock, charger):
        await charging(site, clock, charger)
        await charger.order(Stop(), NOW)
        await charger.order(Limits(4000, 0), soon(1))
        assert written(site) == [(6, {"start_stop": 1}), (6, {"start_stop": 0})]
        clock.pass_(30)
        await charger.read(NOW)
        assert (await charger.read(NOW)).power_w == 4000


async def test_a_session_that_ended_by_itself_is_left_alone_until_the_next_stop_or_plug() -> None:
    async with an_evdc() as (site, clock, charger):
        await charging(site, clock, charger)
        site.charger.face.module.stop()  # type: ignore[attr-defined]
        await all_read(charger)
        await charger.order(Limits(4000, 0), soon(120))
        assert written(site) == []
        for plugged in (False, True):
            site.house.set_vehicle(plugged=plugged)
            await all_read(charger)
        await charger.order(Limits(4000, 0), soon(121))
        assert written(site) == [(6, {"start_stop": 0})]


async def test_a_vehicle_that_does_not_follow_a_start_is_asked_again_and_not_for_ever() -> None:
    clock, starts_at = HandClock(), list[int]()
    registers, charger = from_words({31513: 6}, clock=clock)
    for second in range(int(START_RETRY_S) * (MOST_STARTS + 3)):
        await charger.order(Limits(4000, 0), NOW)
        starts = [values for address, values in registers.writes if address == START_STOP]
        starts_at += [second] * (len(starts) - len(starts_at))
        clock.pass_(1)
    assert starts == [[0]] * MOST_STARTS
    assert starts_at == [0, START_RETRY_S, 2 * START_RETRY_S]


async def test_nothing_is_stopped_or_started_without_a_vehicle() -> None:
    async with an_evdc(plugged=False) as (site, _, charger):
        await charger.order(Stop(), NOW)
        assert written(site) == []
        await charger.order(Limits(4000, 0), NOW)
        assert written(site) == [(16, {"max_charge_power": 4000})]


async def test_a_session_that_somebody_starts_under_a_stop_is_stopped_again() -> None:
    async with an_evdc() as (site, clock, charger):
        await charger.order(Stop(), NOW)
        site.charger.face.module.start()  # type: ignore[attr-defined]
        clock.pass_(30)
        await all_read(charger)
        site.writes.clear()
        await charger.order(Stop(), soon(30))
        assert written(site) == [(6, {"start_stop": 1})]


@pytest.mark.parametrize("state", [3, 11])
async def test_a_stop_without_effect_or_with_an_unknown_one_is_told(state: int) -> None:
    _, charger = from_words({31513: state})
    with pytest.raises(DeviceRefusedError) as refusal:
        await charger.order(Stop(), NOW)
    assert refusal.value.reason == "not_applied"


async def test_a_limit_that_is_not_kept_is_told_and_nothing_is_started() -> None:
    registers, charger = from_words({31513: 6}, kept=False)
    with pytest.raises(DeviceRefusedError) as refusal:
        await charger.order(Limits(4000, 0), NOW)
    assert refusal.value.reason == "not_applied"
    assert START_STOP not in registers.written


async def test_limits_stay_between_the_floor_and_the_rating() -> None:
    async with an_evdc(options=WITH_DISCHARGE) as (site, _, charger):
        await charger.order(Limits(99_000, 0), NOW)
        assert written(site)[0] == (16, {"max_discharge_power": FLOOR_W})
        assert (await all_read(charger)).limits == Limits(12_500, FLOOR_W)
        await charger.order(Limits(0, 5000), NOW)
        assert (await all_read(charger)).limits == Limits(FLOOR_W, 5000)


async def test_what_is_lowered_is_written_before_what_is_raised() -> None:
    async with an_evdc(options=WITH_DISCHARGE) as (site, _, charger):
        await charger.order(Limits(FLOOR_W, 9000), NOW)
        site.writes.clear()
        await charger.order(Limits(9000, FLOOR_W), NOW)
        names = [list(named) for function, named in written(site) if function == 16]
        assert names == [["max_discharge_power"], ["max_charge_power"]]


async def test_without_the_option_the_limit_of_discharge_is_never_written() -> None:
    async with an_evdc() as (site, _, charger):
        await charger.order(Limits(4000, 3000), NOW)
        assert not any("max_discharge_power" in named for _, named in written(site))


async def test_where_a_discharge_is_wanted_and_the_session_charges_it_is_ended_and_told() -> None:
    async with an_evdc(options=WITH_DISCHARGE) as (site, clock, charger):
        await charger.order(Limits(FLOOR_W, 5000), NOW)
        clock.pass_(30)
        await all_read(charger)
        with pytest.raises(DeviceRefusedError) as refusal:
            await charger.order(Limits(FLOOR_W, 5000), soon(30))
        assert refusal.value.reason == "not_applied"
        clock.pass_(30)
        assert (await all_read(charger)).power_w == 0
        await charger.order(Limits(FLOOR_W, 5000), soon(60))
        assert written(site)[-1] == (6, {"start_stop": 1})


async def test_a_release_ends_a_charging_of_ours_once_and_writes_nothing_more() -> None:
    async with an_evdc() as (site, clock, charger):
        await charging(site, clock, charger)
        await charger.order(Release(), NOW)
        assert written(site) == [(6, {"start_stop": 1})]
        site.charger.face.module.start()  # type: ignore[attr-defined]
        clock.pass_(30)
        await all_read(charger)
        await charger.order(Release(), soon(30))
        assert len(site.writes) == 1


async def test_a_release_leaves_a_discharge_and_a_session_that_is_not_ours_alone() -> None:
    async with an_evdc({"app_v2x_session": True}, WITH_DISCHARGE) as (site, clock, charger):
        await charger.order(Limits(FLOOR_W, 3000), NOW)
        clock.pass_(30)
        await all_read(charger)
        site.writes.clear()
        await charger.order(Release(), NOW)
        assert written(site) == []
    async with an_evdc() as (site, clock, charger):
        site.charger.face.module.start()  # type: ignore[attr-defined]
        clock.pass_(30)
        await all_read(charger)
        await charger.order(Release(), NOW)
        assert written(site) == []


async def test_a_setpoint_is_refused() -> None:
    async with an_evdc() as (site, _, charger):
        with pytest.raises(DeviceRefusedError) as refusal:
            await charger.order(Power(4000), NOW)
        assert refusal.value.reason == "not_supported"
        assert written(site) == []


async def test_another_device_at_the_address_is_not_commanded() -> None:
    registers, charger = from_words({31513: 6})
    await charger.read(NOW)
    registers.words[30520] = 0x4242
    await charger._unit.disconnect()
    with pytest.raises(DeviceRefusedError) as refusal:
        await charger.order(Limits(4000, 0), NOW)
    assert refusal.value.reason == "identity_changed"
    assert registers.writes == []
    await charger.probe()
    await charger.order(Limits(4000, 0), NOW)
    assert registers.writes


# ---------------------------------------------------------------------------------------------------------- pace


async def test_the_real_driver_keeps_a_second_between_requests_to_both_units() -> None:
    quirks = {"strict_spacing": True}
    with_options = SiteOptions(charger_model="sigenergy_evdc", quirks=quirks, rating_w=12_500)
    async with SimulatedSite(with_options) as site, Link(HOST, site.charger_port) as link:
        charger = SigenergyEvdc("left", link.unit(1))
        await charger.read(NOW)
        await asyncio.gather(charger.read(NOW), charger.order(Stop(), NOW))
        line = site.charger.face.line  # type: ignore[attr-defined]
        assert (line.requests >= 6, line.too_soon) == (True, 0)
        assert site.house.history.violations == []


async def test_an_order_passes_a_reading_that_waits_for_its_gap() -> None:
    async with linked(Anything()) as (peer, unit):
        charger = SigenergyEvdc("left", unit, SigenergyOptions(request_gap_s=0.2))
        await charger.read(NOW)
        await charger.read(NOW)
        count = len(peer.requests)
        reading = asyncio.create_task(charger.read(NOW))
        await asyncio.sleep(0)  # the reading stands in line now
        writing = asyncio.create_task(unit.write_register(START_STOP, 1))
        await peer.until(lambda: len(peer.requests) == count + 2)
        await asyncio.gather(reading, writing)
        assert [request.function for request in peer.requests[count:]] == [6, 4]


# ------------------------------------------------------------------------------------------------------ nonsense


def zeros() -> dict[int, int]:
    """The whole map, all zero but for the ratings: 12 500 W both ways."""
    spans = (range(30500, 30540), range(30605, 30610), range(31500, 31527), range(41000, 41006), range(30009, 30010))
    words = dict.fromkeys((at for span in spans for at in span), 0)
    return words | {31524: 12_500, 31526: 12_500, 41003: 12_500, 41005: 12_500}


class Deaf(Registers):
    """Acknowledges every write and keeps none."""

    def write(self, address: int, values: list[int]) -> bool:
        self.writes.append((address, values))
        return True


def from_words(
    words: Mapping[int, int],
    options: SigenergyOptions = AT_ONCE,
    *,
    refused: set[int] | None = None,
    kept: bool = True,
    clock: HandClock | None = None,
) -> tuple[Registers, SigenergyEvdc]:
    """A device whose registers, of both units, are all zero but for these and the ratings."""
    registers = (Registers if kept else Deaf)(zeros() | dict(words), refused or ())
    return registers, SigenergyEvdc("left", MemoryUnit(registers), options, monotonic=clock or HandClock())


class Anything:
    """Answers every read with ones, every write with its echo."""

    def __call__(self, request: Request) -> bytes:
        if request.function in {3, 4}:
            return request.words(*[1] * request.count)
        return request.frame(request.pdu[:5])


words = st.one_of(st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF]), st.integers(0, 0xFFFF))
orders = st.one_of(
    st.builds(Limits, st.integers(0, 30_000), st.integers(0, 30_000)),
    st.sampled_from([Stop(), Hold(), Pause(), Release(), Power(3000)]),
)


@given(st.dictionaries(st.sampled_from(sorted(zeros())), words, max_size=12), st.lists(orders, max_size=4))
@settings(max_examples=300)
def test_nonsense_in_any_register_raises_our_errors_or_yields_nothing_implausible(
    nonsense: dict[int, int], given_orders: list[Order]
) -> None:
    asyncio.run(_read_and_order(nonsense, given_orders))


async def _read_and_order(nonsense: dict[int, int], given_orders: list[Order]) -> None:
    registers, charger = from_words(nonsense, WITH_DISCHARGE)
    readings = []
    with suppress(DeviceError):
        await charger.probe()
        readings = [await charger.read(soon(second)) for second in range(16)]
    for reading in readings:
        assert reading.soc_pct is None or 0 < reading.soc_pct <= 100
        assert reading.power_w is None or abs(reading.power_w) <= 1_000_000
    for second, order in enumerate(given_orders):
        with suppress(DeviceError):
            await charger.order(order, soon(second))
    assert registers.written <= MAY_BE_WRITTEN
    for address, values in registers.writes:
        if address in {MAX_CHARGE, MAX_DISCHARGE}:
            assert values[0] << 16 | values[1] >= FLOOR_W


def test_options_are_plain_and_bounded() -> None:
    assert {one.name for one in fields(SigenergyOptions)} == {
        "unit_id",
        "backup",
        "discharge",
        "plant_unit_id",
        "request_gap_s",
    }
    assert SigenergyOptions().request_gap_s == 1.0
    assert SigenergyOptions().discharge is False
