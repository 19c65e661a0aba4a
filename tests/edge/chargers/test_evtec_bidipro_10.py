"""The BiDiPro 10 driver against the simulated charger on real sockets, time moved by hand, and odd registers."""

import asyncio
import math
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.api.wire import State
from edge_service.chargers.evtec_bidipro_10 import EvtecBidiPro10, EvtecOptions
from edge_service.chargers.link import Link
from edge_service.config import parse
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
from edge_service.ports import (
    DeviceError,
    DeviceRefusedError,
    DeviceUnreachableError,
    FastLane,
    OrderUnderWayError,
)
from edge_service.simulation.evtec_registers import EvtecRegisters
from edge_service.simulation.site import SimulatedSite
from tests.edge.chargers.peers import HOST, MemoryUnit, Registers, Request, linked, load_dump
from tests.edge.edge_kit import RunningEdge, running
from tests.edge.simulation.site_kit import HandClock, a_site
from tests.edge.simulation.test_evtec import EVTEC

T0 = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)
LEASE_S = 60
TIMEOUT, SETPOINT, SUSPEND = 42, 186, 188
MAY_BE_WRITTEN = {TIMEOUT, TIMEOUT + 1, SETPOINT, SETPOINT + 1, SUSPEND, SUSPEND + 1}
DUMP = Path(__file__).parent / "dumps" / "simulated_evtec_bidipro_10.json"
GATES = {
    "session_not_bidirectional": "session_not_bidirectional",
    "v2g_not_offered": "v2g_not_offered",
    "window_not_told": "window_unknown",
}


@dataclass(slots=True)
class World:
    """A driver at a simulated charger, asked as the core asks; one clock for both."""

    site: SimulatedSite
    clock: HandClock
    link: Link
    charger: EvtecBidiPro10

    @property
    def face(self) -> EvtecRegisters:
        face = self.site.charger.face
        assert isinstance(face, EvtecRegisters)
        return face

    @property
    def power_w(self) -> float:
        self.site.advance()
        return self.site.house.inverter.power_w

    @property
    def writes(self) -> list[tuple[str, float]]:
        return [next(iter(write.named.items())) for write in self.site.writes if write.named]

    def pass_(self, seconds: float) -> None:
        self.clock.pass_(seconds)
        self.site.advance()

    async def cycle(self, order: Order | None = None) -> ChargerReading:
        """One second, a reading, and the order."""
        self.pass_(1)
        reading = await self.charger.read(T0 + timedelta(seconds=self.clock.now_s))
        if order is not None:
            await self.charger.order(order, T0)
        return reading

    async def keep(self, order: Order, seconds: int) -> ChargerReading:
        for _ in range(seconds):
            reading = await self.cycle(order)
        return reading

    async def refused(self, order: Order) -> str:
        """Why the order is refused."""
        with pytest.raises(DeviceRefusedError) as error:
            await self.cycle(order)
        return error.value.reason


@asynccontextmanager
async def a_world(
    options: EvtecOptions | None = None, /, *, plugged: bool = True, **quirks: bool
) -> AsyncIterator[World]:
    site_options = replace(EVTEC, quirks=quirks, plugged=plugged)
    async with a_site(site_options) as (site, clock), Link(HOST, site.charger_port) as link:
        charger = EvtecBidiPro10("left", link.unit(1), options or EvtecOptions(lease_s=LEASE_S), monotonic=clock)
        yield World(site, clock, link, charger)
        await charger.close()


def f32(value: float) -> list[int]:
    return list(struct.unpack(">2H", struct.pack(">f", value)))


def s32(value: int) -> list[int]:
    return [value >> 16 & 0xFFFF, value & 0xFFFF]


def in_memory(**values: list[int]) -> tuple[Registers, EvtecBidiPro10, HandClock]:
    """The registers of the dump at rest, some changed: ``r130=f32(0)``."""
    registers, clock = Registers(load_dump(DUMP)), HandClock()
    at_rest = {"r42": s32(0), "r100": s32(7), "r110": f32(0), "r186": s32(0)}
    for name, words in (at_rest | values).items():
        registers.words |= {int(name[1:]) + place: word for place, word in enumerate(words)}
    return (
        registers,
        EvtecBidiPro10("left", MemoryUnit(registers), EvtecOptions(lease_s=LEASE_S), monotonic=clock),
        clock,
    )


async def reading_of(**values: list[int]) -> ChargerReading:
    return await in_memory(**values)[1].read(T0)


def sets(registers: Registers, address: int) -> list[int]:
    """What was written there, signed."""
    pairs = [words for at, words in registers.writes if at == address]
    return [struct.unpack(">i", struct.pack(">2H", *words))[0] for words in pairs]


# ---------------------------------------------------------------------------------------------------- who it is


async def test_a_probe_says_who_it_is_and_what_it_can_do_and_writes_nothing() -> None:
    async with a_world() as world:
        identity, capability = await world.charger.probe()
        await world.cycle()
        assert (identity.manufacturer, identity.model, identity.serial) == ("EVtec", "ECP4 crema sim", "EVTSIM0001")
        assert (capability.control, capability.step_w) == (Control.SIGNED, 1)
        assert (capability.charge_rating_w, capability.discharge_rating_w) == (10_000, 10_000)
        assert (capability.min_charge_w, capability.min_discharge_w) == (500, 500)
        assert (capability.lease, capability.backup) == (Lease.TRAFFIC, Backup.NONE)
        assert not isinstance(world.charger, FastLane)
        assert identity.findings == (
            "It gives no backup and tells nothing of the grid: the meter must tell of an outage.",
            "Connector 1 is driven.",
        )
        assert list(world.site.writes) == []


async def test_no_read_crosses_an_object() -> None:
    registers, asked = Registers(load_dump(DUMP)), list[range]()

    def answer(request: Request) -> bytes | None:
        asked.append(range(request.address, request.address + request.count))
        return registers_answer(registers, request)

    async with linked(answer) as (_, unit):
        charger = EvtecBidiPro10("left", unit)
        await charger.probe()
        await charger.read(T0)
    once = [range(36, 44), range(100, 160), range(186, 190)]
    assert asked == [range(36), range(100, 106), *once, *once]
    assert all(block[0] // 100 == block[-1] // 100 for block in asked)


def registers_answer(registers: Registers, request: Request) -> bytes:
    words = registers.read(request.address, request.count)
    return request.frame(bytes((request.function | 0x80, 2))) if words is None else request.words(*words)


async def test_the_connector_is_found_wherever_it_is() -> None:
    async with a_world(connector_9=True) as world:
        identity, _ = await world.charger.probe()
        assert "Connector 9 is driven." in identity.findings
        await world.cycle(Power(-4000))
        assert [write.address for write in world.site.writes] == [TIMEOUT, 988, 986]


async def test_the_lowest_configured_connector_is_driven_unless_another_is_named() -> None:
    registers, charger, _ = in_memory()
    registers.words |= {300 + at: word for at, word in enumerate(registers.read(100, 60) or [])}
    registers.words |= {386: 0, 387: 0, 388: 0, 389: 0, 37: 2}
    identity, _ = await charger.probe()
    assert "Connector 1 is driven." in identity.findings
    assert any("It has 2 connectors" in finding for finding in identity.findings)
    named = EvtecBidiPro10("left", MemoryUnit(registers), EvtecOptions(connector=3))
    identity, _ = await named.probe()
    assert identity.findings[1:] == ("Connector 3 is driven.",)
    await named.order(Power(-4000), T0)
    assert [at for at, _ in registers.writes] == [42, 388, 386]


async def test_a_connector_that_still_boots_is_looked_for_again() -> None:
    async with a_world(boots_slowly=True) as world:
        with pytest.raises(DeviceUnreachableError, match="may still be booting"):
            await world.charger.probe()
        world.pass_(61)
        await world.charger.probe()
        assert (await world.cycle()).plugged is True


async def test_a_fixed_connector_that_still_boots_is_known() -> None:
    async with a_world(EvtecOptions(connector=1), boots_slowly=True) as world:
        await world.charger.probe()
        assert (await world.cycle()).state is ChargerState.BOOTING


async def test_another_charger_of_this_maker_is_not_commanded() -> None:
    async with a_world(other_model=True) as world:
        with pytest.raises(DeviceRefusedError, match="no BiDiPro, whose model has 'crema' in it"):
            await world.charger.probe()


async def test_another_charger_after_a_reconnect_is_not_commanded_until_it_is_probed() -> None:
    registers, charger, _ = in_memory()
    await charger.probe()
    registers.words[20] += 1
    await charger._unit.disconnect()
    with pytest.raises(DeviceRefusedError) as error:
        await charger.order(Power(-3000), T0)
    assert (error.value.reason, registers.writes) == ("identity_changed", [])
    await charger.probe()
    await charger.order(Power(-3000), T0)
    assert sets(registers, SETPOINT) == [-3000]


async def test_a_silent_charger_is_unreachable_and_comes_back() -> None:
    async with a_site(EVTEC) as (site, clock), Link(HOST, site.charger_port, timeout_s=0.05) as link:
        charger = EvtecBidiPro10("left", link.unit(1), monotonic=clock)
        await charger.read(T0)
        await site.switch_quirks({"stuck_comms": True})
        with pytest.raises(DeviceUnreachableError):
            await charger.read(T0)
        await site.switch_quirks({"stuck_comms": False})
        assert (await charger.read(T0)).plugged is True


# ------------------------------------------------------------------------------------------------ what it reads


@pytest.mark.parametrize(
    ("word", "state", "plugged"),
    [
        (0, ChargerState.BOOTING, None),
        (1, ChargerState.DISCONNECTED, False),
        (2, ChargerState.UNAVAILABLE, None),
        (3, ChargerState.BLOCKED, None),
        (4, ChargerState.PREPARING, True),
        (5, ChargerState.PREPARING, True),
        (6, ChargerState.PREPARING, True),
        (7, ChargerState.CHARGING, True),
        (8, ChargerState.DISCHARGING, True),
        (9, ChargerState.FINISHED, True),
        (10, ChargerState.IDLE, True),
        (11, ChargerState.FINISHED, True),
        (12, ChargerState.BOOTING, None),
        (13, ChargerState.UNAVAILABLE, None),
        (-1, ChargerState.UNAVAILABLE, None),
    ],
)
async def test_each_state_has_its_word(word: int, state: ChargerState, plugged: bool | None) -> None:
    reading = await reading_of(r100=s32(word), r110=f32(900))
    assert (reading.state, reading.plugged) == (state, plugged)


@pytest.mark.parametrize("word", [7, 8])
async def test_a_session_in_which_nothing_flows_is_idle(word: int) -> None:
    assert (await reading_of(r100=s32(word), r110=f32(-30))).state is ChargerState.IDLE


async def test_an_error_after_a_boot_is_no_fault_for_five_minutes() -> None:
    async with a_world(errors_after_boot=True) as world:
        reading = await world.cycle()
        assert (reading.state, reading.alarms) == (ChargerState.BOOTING, ("power_unit_error",))
        world.pass_(298)
        assert (await world.cycle()).state is ChargerState.IDLE
        await world.site.switch_quirks({"power_unit_error": True})
        assert (await world.cycle()).state is ChargerState.FAULT


async def test_the_grace_begins_anew_with_a_boot_that_was_seen() -> None:
    registers, charger, clock = in_memory(r100=s32(0), r102=s32(1))
    await charger.read(T0)
    clock.pass_(600)
    await charger.read(T0)
    registers.words[101] = 12
    assert (await charger.read(T0)).state is ChargerState.BOOTING
    clock.pass_(300)
    assert (await charger.read(T0)).state is ChargerState.FAULT


async def test_the_last_of_the_forty_error_bits_is_told_as_such() -> None:
    async with a_world(last_error_bit=True) as world:
        assert (await world.cycle()).alarms == ("error_bit_39",)
    assert (await reading_of(r154=[0x8000, 0, 0, 1])).alarms == ("power_unit_error", "error_bit_63")


async def test_the_sign_on_its_wire_is_ours_and_no_number_is_none() -> None:
    assert (await reading_of(r110=f32(-4600))).power_w == -4600
    assert (await reading_of(r110=f32(4600))).power_w == 4600
    for nonsense in (math.nan, math.inf, 1e9):
        assert (await reading_of(r110=f32(nonsense))).power_w is None


@pytest.mark.parametrize(
    ("raw", "soc_pct"), [(655, 65.5), (1000, 100.0), (1, 0.1), (0, None), (1001, None), (-5, None)]
)
async def test_the_charge_is_in_per_mille_and_0_is_not_known(raw: int, soc_pct: float | None) -> None:
    assert (await reading_of(r112=s32(raw))).soc_pct == soc_pct


async def test_a_battery_size_that_no_such_car_has_is_not_known() -> None:
    async with a_world() as world:
        assert (await world.cycle()).capacity_wh == 60_000
        await world.site.switch_quirks({"wrong_battery_size": True})
        assert (await world.cycle()).capacity_wh is None


async def test_it_says_nothing_of_the_grid() -> None:
    reading = await reading_of(r100=s32(10))
    assert (reading.grid_present, reading.voltage_v, reading.forming) == (None, None, None)


async def test_what_stands_is_told_from_the_registers() -> None:
    idle = await reading_of()
    assert (idle.authority, idle.setpoint_w, idle.lease_remaining_s) == (Authority.UNKNOWN, 0, None)
    ours = await reading_of(r42=s32(60), r186=s32(-5000))
    assert (ours.authority, ours.setpoint_w, ours.lease_remaining_s) == (Authority.OURS, -5000, 60)
    other = await reading_of(r42=s32(600), r186=s32(-5000))
    assert (other.authority, other.lease_remaining_s) == (Authority.UNKNOWN, None)


# ----------------------------------------------------------------------------------------------------- the window


async def test_the_window_is_the_vehicles_and_at_most_the_rating() -> None:
    reading = await reading_of(r122=f32(-3200.7), r130=f32(4100.9))
    assert (reading.discharge_max_w, reading.charge_max_w) == (3200, 4100)
    reading = await reading_of(r122=f32(-150_000), r130=f32(150_000))
    assert (reading.discharge_max_w, reading.charge_max_w) == (10_000, 10_000)


async def test_an_order_is_cut_down_to_the_window() -> None:
    registers, charger, _ = in_memory(r122=f32(-3200.7), r130=f32(4100.9))
    await charger.read(T0)
    await charger.order(Power(-5000), T0)
    await charger.order(Power(5000), T0)
    await charger.order(Power(-2000), T0)
    assert sets(registers, SETPOINT) == [-3200, 4100, -2000]


async def test_never_more_than_ordered_is_written_to_reach_the_least() -> None:
    registers, charger, _ = in_memory(r138=f32(1400), r186=s32(2000))
    await charger.read(T0)
    for watts in (1000, 300, -300):
        with pytest.raises(DeviceRefusedError) as error:
            await charger.order(Power(watts), T0)
        assert error.value.reason == "dead_zone_left"
    assert sets(registers, SETPOINT) == [0]
    await charger.order(Power(1400), T0)
    assert sets(registers, SETPOINT) == [0, 1400]


async def test_a_ceiling_of_0_is_10_kw_until_the_vehicle_has_told_another() -> None:
    async with a_world(ceiling_zero_at_start=True) as world:
        assert (await world.cycle()).charge_max_w == 10_000
        await world.keep(Power(5000), 10)
        assert world.power_w == 5000
    registers, charger, _ = in_memory(r130=f32(7000))
    assert (await charger.read(T0)).charge_max_w == 7000
    registers.words |= {130: 0, 131: 0}
    assert (await charger.read(T0)).charge_max_w == 0
    registers.words[101] = 1
    assert (await charger.read(T0)).charge_max_w == 0
    registers.words[101] = 6
    assert (await charger.read(T0)).charge_max_w == 10_000


@pytest.mark.parametrize(("quirk", "reason"), GATES.items())
async def test_a_discharge_that_cannot_be_is_said_beforehand_and_refused_with_its_reason(
    quirk: str, reason: str
) -> None:
    async with a_world(**{quirk: True}) as world:
        identity, _ = await world.charger.probe()
        assert len(identity.findings) == 3
        reading = await world.cycle()
        assert (reading.discharge_max_w, reading.alarms) == (0, (reason,))
        assert await world.refused(Power(-4000)) == reason
        assert world.writes == []
        await world.site.switch_quirks({quirk: False})
        reading = await world.cycle(Power(-4000))
        assert (reading.discharge_max_w, reading.alarms) == (9600, ())
        await world.keep(Power(-4000), 5)
        assert world.power_w == -4000


@pytest.mark.parametrize(("quirk", "reason"), GATES.items())
async def test_a_discharge_that_stands_goes_to_0_when_it_may_not_be_any_more(quirk: str, reason: str) -> None:
    async with a_world() as world:
        await world.keep(Power(-4000), 5)
        await world.site.switch_quirks({quirk: True})
        assert await world.refused(Power(-4000)) == reason
        assert world.writes[-1] == ("power_setpoint", 0)


async def test_a_charge_needs_no_bidirectional_session_but_a_known_ceiling() -> None:
    async with a_world(session_not_bidirectional=True) as world:
        await world.keep(Power(4000), 5)
        assert world.power_w == 4000
        await world.site.switch_quirks({"window_not_told": True})
        assert (await world.cycle()).charge_max_w == 0
        assert await world.refused(Power(4000)) == "window_unknown"


async def test_before_a_session_nothing_is_said_of_its_kind() -> None:
    reading = await reading_of(r100=s32(6), r104=s32(0), r122=f32(0))
    assert (reading.discharge_max_w, reading.alarms) == (0, ())


# --------------------------------------------------------------------------------------------------------- orders


async def test_the_timeout_is_armed_before_the_setpoint_and_what_stands_is_not_written_again() -> None:
    async with a_world() as world:
        told: list[int] = []
        world.charger.on_written = lambda: told.append(len(world.site.writes))
        await world.keep(Power(-4000), 20)
        assert world.writes == [("communication_timeout", 60), ("suspend_mode", 1), ("power_setpoint", -4000)]
        assert told == [2, 3]
        await world.cycle(Power(-4500))
        assert world.writes[3:] == [("power_setpoint", -4500)]


@pytest.mark.parametrize(
    ("order", "written"),
    [
        (Hold(), [("power_setpoint", 0)]),
        (Power(0), [("power_setpoint", 0)]),
        (Pause(), [("power_setpoint", 0), ("suspend_mode", 0)]),
        (Stop(), [("power_setpoint", 0), ("suspend_mode", 0)]),
        (Release(), [("power_setpoint", 0), ("suspend_mode", 0)]),
    ],
)
async def test_what_takes_power_away_takes_it_first(order: Order, written: list[tuple[str, float]]) -> None:
    async with a_world() as world:
        await world.keep(Power(-4000), 5)
        await world.keep(order, 5)
        assert world.writes[3:] == written
        assert world.power_w == 0


async def test_what_was_overwritten_is_written_again() -> None:
    registers, charger, _ = in_memory()
    await charger.read(T0)
    await charger.order(Power(-4000), T0)
    registers.words |= {42: 0, 43: 0, 186: 0, 187: 0}
    await charger.read(T0)
    await charger.order(Power(-4000), T0)
    assert (sets(registers, TIMEOUT), sets(registers, SETPOINT)) == ([60, 60], [-4000, -4000])


async def test_a_timeout_that_is_not_kept_lets_no_setpoint_stand() -> None:
    async with a_world(timeout_not_kept=True) as world:
        assert await world.refused(Power(-4000)) == "not_applied"
        assert world.writes == [("communication_timeout", 60)]


async def test_a_setpoint_that_is_not_kept_is_refused() -> None:
    async with a_world(setpoint_not_kept=True) as world:
        assert await world.refused(Power(-4000)) == "not_applied"


async def test_a_setpoint_that_the_charger_refuses_ends_the_one_before() -> None:
    async with a_world() as world:
        await world.keep(Power(3000), 5)
        await world.site.switch_quirks({"ceiling_zero_at_start": False})
        world.site.house.vehicle.soc_pct = 98.0  # the ceiling falls after it was read
        with pytest.raises(DeviceRefusedError) as error:
            await world.charger.order(Power(9000), T0)
        assert (error.value.reason, world.writes[-1]) == ("illegal_value", ("power_setpoint", 0))


@pytest.mark.parametrize(
    ("order", "reason"), [(Power(-10_001), "beyond_rating"), (Limits(5000, 5000), "not_supported")]
)
async def test_what_it_cannot_do_is_refused(order: Order, reason: str) -> None:
    async with a_world() as world:
        assert await world.refused(order) == reason
        assert world.writes == []


@pytest.mark.parametrize(("quirk", "reason"), [("reserved", "busy"), ("power_unit_error", "device_failure")])
async def test_a_charger_that_takes_no_order_says_why_and_its_setpoint_goes_to_0(quirk: str, reason: str) -> None:
    async with a_world() as world:
        await world.keep(Power(-4000), 5)
        await world.site.switch_quirks({quirk: True})
        assert await world.refused(Power(-4000)) == reason
        assert world.writes[-1] == ("power_setpoint", 0)


async def test_an_order_waits_for_the_session_with_the_setpoint_at_0() -> None:
    async with a_world() as world:
        await world.keep(Power(-4000), 5)
        world.site.house.set_vehicle(plugged=False)
        assert (await world.cycle()).plugged is False
        world.site.house.set_vehicle(plugged=True)
        with pytest.raises(OrderUnderWayError, match="not begun"):
            await world.cycle(Power(-4000))
        assert world.writes[-1:] == [("power_setpoint", 0)]
        world.pass_(5)
        await world.keep(Power(-4000), 5)
        assert world.power_w == -4000


async def test_without_a_vehicle_no_power_is_ordered() -> None:
    async with a_world(plugged=False) as world:
        assert await world.refused(Power(-4000)) == "refused"
        assert world.writes == []


# -------------------------------------------------------------------------------------------------- its watchdog


async def test_an_order_that_nobody_renews_is_not_kept_alive_by_looking_at_it() -> None:
    async with a_world() as world:
        await world.keep(Power(-4000), 5)
        for _ in range(20):
            await world.cycle()
        for second in range(LEASE_S):
            with pytest.raises(DeviceError, match="no order was renewed"):
                await world.cycle()
            with pytest.raises(DeviceError, match="no order was renewed"):
                await world.charger.probe()
            if second < 30:
                assert world.power_w == -4000
        world.pass_(2)
        reading = await world.cycle()
        assert (reading.setpoint_w, world.power_w) == (0, 0)
        await world.keep(Power(-4000), 5)
        assert world.power_w == -4000


async def test_an_order_that_is_renewed_is_read_for_ever() -> None:
    async with a_world() as world:
        await world.keep(Power(-4000), 3 * LEASE_S)
        assert world.power_w == -4000


async def test_what_another_client_keeps_alive_is_read_on() -> None:
    registers, charger, clock = in_memory(r42=s32(60), r186=s32(-5000))
    await charger.read(T0)
    clock.pass_(21)
    with pytest.raises(DeviceError, match="no order was renewed"):
        await charger.read(T0)
    clock.pass_(61)
    assert (await charger.read(T0)).setpoint_w == -5000
    for _ in range(100):
        clock.pass_(1)
        assert (await charger.read(T0)).setpoint_w == -5000
    assert registers.writes == []


@pytest.mark.parametrize("timeout_s", [0, 600])
async def test_our_own_setpoint_is_taken_back_when_another_client_changed_the_timeout_and_nobody_orders(
    timeout_s: int,
) -> None:
    async with a_world() as world:
        await world.keep(Power(-4000), 5)
        world.face.write_registers(TIMEOUT, s32(timeout_s))
        for _ in range(15):
            await world.cycle()
        world.pass_(10)
        with pytest.raises(DeviceError, match="another client keeps it alive"):
            await world.cycle()
        for _ in range(60):
            await world.cycle()
        assert world.power_w == 0
        assert [write for write in world.writes if write[0] == world.writes[-1][0]][1:] == [(world.writes[-1][0], 0)]


async def test_our_own_setpoint_is_taken_back_when_another_client_feeds_the_timeout_and_nobody_orders() -> None:
    async with a_world() as world:
        await world.keep(Power(-4000), 5)
        told = ""
        for _ in range(20 + LEASE_S + 5):
            world.face.read_registers(TIMEOUT, 2)
            try:
                await world.cycle()
            except DeviceError as error:
                told = str(error)
        assert "another client keeps it alive" in told
        assert world.power_w == 0


async def test_a_withdrawal_without_effect_is_written_again() -> None:
    registers, charger, clock = in_memory()
    await charger.read(T0)
    await charger.order(Power(4000), T0)
    registers.words[TIMEOUT + 1] = 0
    await charger.read(T0)
    clock.pass_(21)
    for _ in range(3):
        registers.words[SETPOINT + 1] = 4000
        with pytest.raises(DeviceError, match="another client keeps it alive"):
            await charger.read(T0)
    assert (await charger.read(T0)).setpoint_w == 0
    registers.words[SETPOINT + 1] = 4000
    assert (await charger.read(T0)).setpoint_w == 4000, "what follows is somebody else's"


async def test_a_fallback_power_means_that_no_order_dies_by_itself_and_is_told() -> None:
    async with a_world(fallback_power=True) as world:
        identity, capability = await world.charger.probe()
        assert capability.lease is Lease.NONE
        assert any("fallback power (register 38) is 3000 W" in finding for finding in identity.findings)
        await world.keep(Power(-4000), 5)
        world.pass_(LEASE_S + 30)
        assert world.power_w == 3000


# ------------------------------------------------------------------------------------------------ the whole edge

SITE = """
site: {{name: Home, import_max_a: 100, export_max_w: 9600, enter_service_s: 1, outage_after_s: 1}}
chargers:
  garage: {{name: Garage, model: evtec_bidipro_10, address: "{host}:{charger}", lease_s: 15}}
meter: {{model: sunspec_meter, address: "{host}:{meter}"}}
control: {{cycle_s: 0.2, stale_after_s: 5}}
"""


def _is_known(state: State) -> bool:
    """The meter says that the grid is there, which this charger cannot."""
    return state["site"]["grid"] == "on" and state["chargers"]["garage"]["soc_pct"] == 70


@asynccontextmanager
async def an_edge(folder: Path, **quirks: bool) -> AsyncIterator[tuple[SimulatedSite, RunningEdge]]:
    async with SimulatedSite(replace(EVTEC, quirks=quirks)) as site:
        config = parse(SITE.format(host=HOST, charger=site.charger_port, meter=site.meter_port), folder / "site.yaml")
        config = replace(config, api=replace(config.api, port=0), data=folder / "data")
        async with running(config) as edge:
            await edge.until(_is_known, within_s=30)
            until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            await edge.command("discharge", charger="garage", power_w=4000, until=until)
            yield site, edge


async def test_the_edge_serves_a_manual_discharge_and_the_watchdog_ends_it_when_the_edge_is_gone(
    tmp_path: Path,
) -> None:
    async with an_edge(tmp_path) as (site, edge):
        state = await edge.until(lambda state: state["chargers"]["garage"]["power_w"] == -4000, within_s=30)
        assert state["chargers"]["garage"]["authority"] == "ours"
    site.house.step(16.0)
    assert not site.house.inverter.settings.setpoint_enabled
    site.house.step(3.0)
    assert site.house.inverter.power_w == 0


async def test_the_edge_plans_no_discharge_in_a_session_that_cannot(tmp_path: Path) -> None:
    async with an_edge(tmp_path, session_not_bidirectional=True) as (site, edge):
        state = await edge.until(lambda state: state["chargers"]["garage"]["order"] is not None, within_s=30)
        garage = state["chargers"]["garage"]
        order = garage["order"]
        assert (garage["discharge_max_w"], garage["charge_max_w"]) == (0, 9600)
        assert order is not None
        assert order["kind"] == "hold"
        assert garage["why"][0]["high_w"] == 9600
        assert garage["why"][0]["low_w"] == 0
        assert site.house.inverter.settings.setpoint_w == 0


# -------------------------------------------------------------------------------------------------------- nonsense


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(load_dump(DUMP))), st.integers(0, 0xFFFF)), st.integers(-10_000, 10_000))
def test_whatever_the_registers_say_only_our_errors_are_raised_and_no_more_than_ordered_is_written(
    words: dict[int, int], watts: int
) -> None:
    async def ask() -> None:
        registers, charger, _ = in_memory()
        registers.words |= words
        try:
            await charger.probe()
            await charger.read(T0)
            await charger.order(Power(watts), T0)
        except DeviceError:
            pass
        assert registers.written <= MAY_BE_WRITTEN
        for setpoint_w in sets(registers, SETPOINT):
            assert setpoint_w == 0 or 500 <= abs(setpoint_w) <= abs(watts)
            assert setpoint_w * watts >= 0

    asyncio.run(ask())
