"""The Quasar 1 driver against the simulated charger on real sockets, time moved by hand; and against odd peers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.api.wire import State
from edge_service.chargers.link import Link
from edge_service.chargers.wallbox_quasar_1 import QuasarOptions, WallboxQuasar1
from edge_service.config import parse
from edge_service.domain.model import (
    Authority,
    Backup,
    Capability,
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
    ProtocolViolationError,
)
from edge_service.simulation.house import House
from edge_service.simulation.quasar_registers import BLOCKS, QUIRKS, QuasarRegisters
from edge_service.simulation.quirks import Quirks
from edge_service.simulation.site import SimulatedSite
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from tests.edge.chargers.peers import HOST, MemoryUnit, Registers, Request, linked
from tests.edge.edge_kit import RunningEdge, running
from tests.edge.simulation.site_kit import HandClock, a_site
from tests.edge.simulation.test_quasar import QUASAR

T0 = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)
CONTROL, AUTO_START, MODE, WATCHDOG, ACTION, CURRENT, POWER = 81, 82, 83, 88, 257, 258, 260
MAY_BE_WRITTEN = {CONTROL, AUTO_START, MODE, WATCHDOG, ACTION, CURRENT, POWER}
LEASE_S = 60
DUMP = Path(__file__).parent / "dumps" / "simulated_wallbox_quasar_1.json"


@dataclass(slots=True)
class World:
    """A driver at a simulated charger, asked as the core asks; one clock for both. The charge is known, unless said."""

    site: SimulatedSite
    clock: HandClock
    charger: WallboxQuasar1
    capability: Capability | None = None
    reading: ChargerReading | None = None
    trouble: str = ""

    @property
    def face(self) -> QuasarRegisters:
        face = self.site.charger.face
        assert isinstance(face, QuasarRegisters)
        return face

    @property
    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.clock.now_s)

    @property
    def power_w(self) -> float:
        self.site.advance()
        return self.site.house.inverter.power_w

    @property
    def writes(self) -> list[tuple[int, int]]:
        """Address and value of each, with its sign."""
        return [(write.address, round(next(iter(write.named.values()), write.values[0]))) for write in self.site.writes]

    def written_at(self, address: int, value: int) -> float:
        """When, in seconds of the site, this was written last."""
        found = [
            one.at for one in self.site.writes if (one.address, next(iter(one.named.values()))) == (address, value)
        ]
        return (found[-1] - self.site.started_at).total_seconds()

    def pass_(self, seconds: float) -> None:
        self.clock.pass_(seconds)
        self.site.advance()

    async def cycle(self, order: Order | None, seconds: float = 1.0) -> bool:
        """One cycle of the edge; whether the order is proven. Refusals are raised, troubles with reading noted."""
        self.pass_(seconds)
        try:
            if self.capability is None:
                _, self.capability = await self.charger.probe()
            self.reading = await self.charger.read(self.now)
        except DeviceError as error:
            self.capability, self.trouble = None, str(error)
            return False
        if order is None:
            return False
        try:
            await self.charger.order(order, self.now)
        except OrderUnderWayError:
            return False
        return True

    async def until_proven(self, order: Order, within_s: int = 60) -> int:
        """Seconds of cycles until the order is proven."""
        for second in range(1, within_s + 1):
            if await self.cycle(order):
                return second
        raise AssertionError(f"{order} is not proven within {within_s} s; {self.trouble} {self.writes}")

    async def keep(self, order: Order | None, seconds: int) -> None:
        for _ in range(seconds):
            await self.cycle(order)

    def known(self) -> ChargerReading:
        assert self.reading is not None
        return self.reading


@asynccontextmanager
async def a_world(*, charge_known: bool = True, lease_s: int = LEASE_S, **quirks: bool) -> AsyncIterator[World]:
    on = {"soc_zero_when_idle": not charge_known} | quirks
    async with a_site(replace(QUASAR, quirks=on)) as (site, clock), Link(HOST, site.charger_port) as link:
        unit = link.unit(1)
        charger = WallboxQuasar1("left", unit, QuasarOptions(lease_s=lease_s), monotonic=clock)
        unit.set_message_spacing(0)  # the gap after a read is real time; a test of its own has it
        yield World(site, clock, charger)


def in_memory(**words: int) -> tuple[Registers, WallboxQuasar1, HandClock]:
    """The simulated charger's registers as they are at rest, some changed: ``r537=4``."""
    face = QuasarRegisters(House(QUASAR), QUASAR, Quirks(QUIRKS))
    found = {block.start + n: word for block in BLOCKS for n, word in enumerate(_words(face, block))}
    registers, clock = Registers(found), HandClock()
    registers.words |= {int(name[1:]): word for name, word in words.items()}
    return registers, WallboxQuasar1("left", MemoryUnit(registers), monotonic=clock), clock


def _words(face: QuasarRegisters, block: range) -> list[int]:
    return face.read_registers(block.start, len(block))


async def reading_of(**words: int) -> ChargerReading:
    return await in_memory(**words)[1].read(T0)


# ---------------------------------------------------------------------------------------------------- who it is


async def test_a_probe_says_who_it_is_and_what_it_can_do_and_writes_nothing() -> None:
    async with a_world() as world:
        identity, capability = await world.charger.probe()
        await world.charger.read(world.now)
        assert (identity.manufacturer, identity.model, identity.serial) == ("Wallbox", "Quasar abcdefghijkl", "347339")
        assert identity.version == "3400"
        assert capability.control is Control.SIGNED
        assert (capability.charge_rating_w, capability.discharge_rating_w) == (7400, 7400)
        assert (capability.min_charge_w, capability.min_discharge_w, capability.step_w) == (720, 720, 1)
        assert (capability.lease, capability.backup) == (Lease.TRAFFIC, Backup.NONE)
        assert not isinstance(world.charger, FastLane)
        assert "It gives no backup: it lives on the grid and forms no island." in identity.findings
        assert world.writes == []


async def test_only_the_four_blocks_are_read_and_none_of_the_holes() -> None:
    face = QuasarRegisters(House(QUASAR), QUASAR, Quirks(QUIRKS))
    asked: list[range] = []

    def answer(request: Request) -> bytes:
        asked.append(range(request.address, request.address + request.count))
        return request.words(*face.read_registers(request.address, request.count))

    async with linked(answer) as (_, unit):
        charger = WallboxQuasar1("left", unit)
        await charger.probe()
        await charger.read(T0)
    assert asked == [range(1, 10), *2 * [range(80, 89), range(256, 261), range(512, 549)]]


@pytest.mark.parametrize("reply", [bytes((3, 0)), bytes((0x83, 2)), bytes((0x83, 4))])
async def test_firmware_that_answers_nothing_is_told_with_what_helps(reply: bytes) -> None:
    async with linked(lambda request: request.frame(reply)) as (_, unit):
        with pytest.raises(
            (ProtocolViolationError, DeviceRefusedError), match=r"reading 9 .*firmware 5\.13\.25.*breaker"
        ):
            await WallboxQuasar1("left", unit).probe()


async def test_the_simulated_firmware_that_answers_nothing_is_told_likewise() -> None:
    async with a_world(empty_registers=True) as world:
        with pytest.raises(ProtocolViolationError, match=r"firmware 5\.13\.25"):
            await world.charger.probe()


async def test_a_silent_module_is_told_as_crashed_once_it_is_no_lost_packet() -> None:
    async with a_site(QUASAR) as (site, clock), Link(HOST, site.charger_port, timeout_s=0.05) as link:
        charger = WallboxQuasar1("left", link.unit(1), monotonic=clock)
        await charger.read(T0)
        await site.switch_quirks({"modbus_crash": True})
        for told in (False, False, True, True):
            with pytest.raises(DeviceUnreachableError) as error:
                await charger.read(T0)
            assert ("Modbus module has crashed" in str(error.value)) is told


@pytest.mark.parametrize(("register", "word"), [(81, 7), (83, 2), (514, 20000), (537, 500)])
async def test_another_device_at_the_address_is_not_taken_for_a_quasar(register: int, word: int) -> None:
    _, charger, _ = in_memory(**{f"r{register}": word})
    with pytest.raises(DeviceRefusedError, match="no Quasar 1"):
        await charger.probe()


async def test_another_charger_after_a_reconnect_is_not_commanded_until_it_is_probed() -> None:
    registers, charger, clock = in_memory()
    await charger.probe()
    registers.words[3] += 1
    await charger._unit.disconnect()
    with pytest.raises(DeviceRefusedError) as error:
        await charger.order(Power(-3000), T0)
    assert (error.value.reason, registers.writes) == ("identity_changed", [])
    await charger.probe()
    clock.pass_(1)
    with pytest.raises(OrderUnderWayError):
        await charger.order(Power(-3000), T0)
    assert registers.writes == [(CONTROL, [1]), (WATCHDOG, [LEASE_S])]


# ------------------------------------------------------------------------------------------------ what it reads


@pytest.mark.parametrize(
    ("word", "state", "plugged"),
    [
        (0, ChargerState.DISCONNECTED, False),
        (1, ChargerState.CHARGING, True),
        (2, ChargerState.WAITING, True),
        (3, ChargerState.BLOCKED, None),
        (4, ChargerState.IDLE, True),
        (5, ChargerState.IDLE, True),
        (6, ChargerState.DISCONNECTED, False),
        (7, ChargerState.BOOTING, None),
        (8, ChargerState.BLOCKED, True),
        (9, ChargerState.FAULT, None),
        (10, ChargerState.BLOCKED, True),
        (11, ChargerState.DISCHARGING, True),
        (13, ChargerState.BLOCKED, None),
    ],
)
async def test_each_state_has_its_word(word: int, state: ChargerState, plugged: bool | None) -> None:
    reading = await reading_of(r537=word)
    assert (reading.state, reading.plugged) == (state, plugged)


async def test_state_7_is_a_fault_after_its_grace_or_with_an_error_word() -> None:
    _, charger, clock = in_memory(r537=7)
    assert (await charger.read(T0)).state is ChargerState.BOOTING
    clock.pass_(60)
    assert (await charger.read(T0)).state is ChargerState.FAULT
    reading = await reading_of(r537=7, r539=0x0004, r542=0x8001)
    assert reading.state is ChargerState.FAULT
    assert reading.alarms == ("error_1_0x0004", "error_4_0x0001", "error_4_0x8000")


@pytest.mark.parametrize(
    ("volts", "present"), [(230, True), (240, True), (195, True), (180, None), (114, False), (1, False), (0, None)]
)
async def test_the_grid_is_gone_below_half_the_voltage_and_unknown_where_nothing_is_told(
    volts: int, present: bool | None
) -> None:
    assert (await reading_of(r522=volts)).grid_present is present


async def test_the_sign_on_its_wire_is_ours() -> None:
    assert (await reading_of(r526=0x10000 - 4600)).power_w == -4600
    assert (await reading_of(r526=4600)).power_w == 4600


async def test_who_commands_and_what_stands_is_told_from_the_registers() -> None:
    user = await reading_of()
    assert (user.authority, user.setpoint_w, user.lease_remaining_s) == (Authority.UNKNOWN, None, None)
    ours = await reading_of(r81=1, r83=1, r88=60, r260=0x10000 - 5000)
    assert (ours.authority, ours.setpoint_w, ours.lease_remaining_s) == (Authority.OURS, -5000, 60)
    amperes = await reading_of(r81=1, r83=0, r258=0x10000 - 10)
    assert (amperes.setpoint_w, amperes.lease_remaining_s) == (-2300, None)
    assert (await reading_of(r81=1, r537=3)).authority is Authority.APP


async def test_limits_are_the_installers_and_none_without_a_vehicle_or_at_the_ceiling() -> None:
    reading = await reading_of(r514=3680)
    assert (reading.charge_max_w, reading.discharge_max_w) == (3680, 3680)
    gone = await reading_of(r537=0)
    assert (gone.charge_max_w, gone.discharge_max_w) == (0, 0)
    full = await reading_of(r538=97)
    assert (full.charge_max_w, full.discharge_max_w, full.soc_pct) == (0, 7400, 97)


async def test_a_charge_of_0_is_none_and_the_last_good_one_is_kept() -> None:
    registers, charger, clock = in_memory(r538=0)
    assert (await charger.read(T0)).soc_pct is None
    for word, told in ((55, 55), (0, 55), (1, 55), (98, 55), (101, 55), (0xFFFF, 55), (54, 54)):
        registers.words[538] = word
        clock.pass_(1)
        assert (await charger.read(T0)).soc_pct == told


@pytest.mark.parametrize("word", [1, 98, 100])
async def test_a_charge_that_looks_wrong_is_believed_after_a_minute(word: int) -> None:
    registers, charger, clock = in_memory(r538=50)
    await charger.read(T0)
    registers.words[538] = word
    for seconds, told in ((1, 50), (58, 50), (2, word)):
        clock.pass_(seconds)
        assert (await charger.read(T0)).soc_pct == told


async def test_two_glitches_with_rest_between_them_are_no_charge() -> None:
    registers, charger, clock = in_memory(r538=50)
    for seconds, word in ((0, 50), (1, 1), (1, 0), (98, 1)):
        registers.words[538] = word
        clock.pass_(seconds)
        assert (await charger.read(T0)).soc_pct == 50


async def test_the_charge_is_forgotten_with_the_vehicle_and_with_time() -> None:
    registers, charger, clock = in_memory(r538=50)
    assert (await charger.read(T0)).soc_pct == 50
    registers.words |= {537: 0, 538: 50}
    assert (await charger.read(T0)).soc_pct is None
    registers.words |= {537: 4, 538: 0}
    assert (await charger.read(T0)).soc_pct is None
    registers.words[538] = 60
    assert (await charger.read(T0)).soc_pct == 60
    registers.words[538] = 0
    clock.pass_(4 * 60)
    assert (await charger.read(T0)).soc_pct == 60
    clock.pass_(6 * 60)
    assert (await charger.read(T0)).soc_pct is None
    registers.words[538] = 60
    for looks in range(14 * 15):
        reading = await charger.read(T0)
        assert (reading.soc_pct == 60) is (looks <= 12 * 15)
        registers.words[538] = 0
        clock.pass_(4 * 60)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from([at for block in BLOCKS for at in block]), st.integers(0, 0xFFFF)))
def test_registers_full_of_nonsense_raise_only_our_errors(words: dict[int, int]) -> None:
    async def ask() -> None:
        registers, charger, _ = in_memory()
        registers.words |= words
        try:
            await charger.probe()
            reading = await charger.read(T0)
            await charger.order(Power(-3000), T0)
        except DeviceError:
            reading = None
        assert reading is None or reading.soc_pct is None or 1 <= reading.soc_pct <= 100
        assert {address for address, _ in registers.writes} <= MAY_BE_WRITTEN

    asyncio.run(ask())


# --------------------------------------------------------------------------------------------------- taking over


async def test_a_discharge_takes_over_arms_the_watchdog_first_and_ends_in_power() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        assert world.writes == [
            (CONTROL, 1),
            (WATCHDOG, LEASE_S),
            (AUTO_START, 0),
            (MODE, 1),
            (ACTION, 1),
            (POWER, -5000),
        ]
        await world.keep(Power(-5000), 15)
        assert world.power_w == pytest.approx(-4600)
        assert (world.known().power_w, world.known().setpoint_w) == (-4600, -5000)
        assert len(world.writes) == 6


async def test_it_tells_when_the_charger_took_the_setpoint_and_not_when_it_was_only_taken_over() -> None:
    async with a_world() as world:
        told: list[int] = []

        def written() -> None:
            told.append(len(world.writes))

        world.charger.on_written = written
        await world.until_proven(Power(-5000))
        await world.until_proven(Stop())
        assert told == [6, 7, 8]


async def test_after_a_write_it_is_left_alone_for_2_5_seconds_and_the_cycle_does_not_wait() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        control, *times = [write.at for write in world.site.writes]
        assert times[0] == control, "the watchdog does not wait"
        assert all((after - before).total_seconds() >= 2.5 for before, after in pairwise(times))
        await world.cycle(Power(-4000))
        before = await world.charger.read(world.now)
        world.pass_(1)
        assert await world.charger.read(world.now) is before
        world.pass_(1.5)
        assert (await world.charger.read(world.now)).at == world.now


async def test_its_requests_keep_a_gap_of_50_ms() -> None:
    registers, _, clock = in_memory()
    async with linked(registers) as (peer, unit):
        await WallboxQuasar1("left", unit, monotonic=clock).read(T0)
        assert len(peer.arrivals) == 4
        assert all(after - before >= 0.045 for before, after in pairwise(peer.arrivals))


class RefusesToWrite(Registers):
    """A charger that refuses writes of one register."""

    def __init__(self, words: Mapping[int, int], refused: int) -> None:
        super().__init__(words)
        self._kept = refused

    def write(self, address: int, values: list[int]) -> bool:
        if address == self._kept:
            self.writes.append((address, values))
            return False
        return super().write(address, values)


async def test_a_start_that_is_refused_is_not_repeated_with_every_cycle() -> None:
    registers = RefusesToWrite(in_memory(r81=1, r82=0, r83=1, r88=60)[0].words, ACTION)
    clock = HandClock()
    charger = WallboxQuasar1("left", MemoryUnit(registers), monotonic=clock)
    for _ in range(20):
        clock.pass_(1)
        with suppress(DeviceError):
            await charger.read(T0)
            await charger.order(Power(-3000), T0)
    assert [address for address, _ in registers.writes].count(ACTION) == 1


async def test_a_session_that_runs_is_not_started_again() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        await world.until_proven(Power(-3000))
        await world.until_proven(Hold())
        await world.keep(Hold(), 30)
        await world.until_proven(Power(2000))
        assert [value for address, value in world.writes if address == ACTION] == [1]


async def test_what_was_left_in_a_setpoint_does_not_come_into_force() -> None:
    async with a_world() as world:
        world.face.words |= {81: 1, 260: 6000}
        await world.until_proven(Power(-3000))
        assert world.writes.index((POWER, 0)) < world.writes.index((MODE, 1)) < world.writes.index((POWER, -3000))


@pytest.mark.parametrize("in_amperes", [False, True])
@pytest.mark.parametrize("order", [Power(-5000), Power(3000), Hold(), Pause(), Stop()], ids=str)
async def test_at_no_write_of_a_takeover_may_the_edge_die_and_leave_an_old_setpoint_in_force(
    order: Order, in_amperes: bool
) -> None:
    """The app took control, with our session running, and gives it back."""
    async with a_world(power_mode_unsupported=in_amperes) as world:
        await world.until_proven(Power(-5000))
        await world.keep(Power(-5000), 20)
        world.face.write_registers(CONTROL, [0])
        world.pass_(5)
        before = len(world.writes)
        await world.cycle(order)
        old = (CURRENT, 0) if in_amperes else (POWER, 0)
        assert world.writes[before : before + 3] == [(CONTROL, 1), (WATCHDOG, LEASE_S), old]
        world.pass_(3600)
        assert world.power_w == 0


async def test_a_watchdog_that_somebody_reset_is_armed_again() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        world.face.words[WATCHDOG] = 0
        await world.until_proven(Power(-5000))
        assert world.face.words[WATCHDOG] == LEASE_S
        assert world.writes[-1] == (WATCHDOG, LEASE_S)


async def test_no_power_flows_by_our_order_where_the_watchdog_is_not_kept() -> None:
    async with a_world(watchdog_not_kept=True) as world:
        with pytest.raises(DeviceRefusedError) as error:
            await world.keep(Power(-5000), 30)
        assert error.value.reason == "not_applied"
        assert POWER not in {address for address, _ in world.writes}
        assert world.power_w == 0


async def test_power_that_flows_goes_to_zero_when_the_watchdog_is_refused() -> None:
    found = in_memory(r81=1, r82=0, r83=1, r88=0, r260=0x10000 - 5000, r537=11)[0].words
    registers = RefusesToWrite(found, WATCHDOG)
    with pytest.raises(DeviceRefusedError):
        await WallboxQuasar1("left", MemoryUnit(registers), monotonic=HandClock()).order(Power(-5000), T0)
    assert registers.writes == [(WATCHDOG, [LEASE_S]), (POWER, [0])]


async def test_power_that_flows_goes_to_zero_when_the_watchdog_is_no_longer_kept() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        await world.site.switch_quirks({"watchdog_not_kept": True})
        world.face.words[WATCHDOG] = 0
        with pytest.raises(DeviceRefusedError):
            await world.keep(Power(-5000), 30)
        assert world.face.words[POWER] == 0
        world.pass_(2)
        assert world.power_w == 0


@pytest.mark.parametrize("quirk", ["power_mode_unsupported", "power_mode_ignored"])
async def test_firmware_without_setpoints_in_watts_is_commanded_in_whole_amperes(quirk: str) -> None:
    async with a_world(**{quirk: True}) as world:
        await world.until_proven(Power(-5000), within_s=90)
        assert "whole amperes" in world.trouble
        assert world.capability is not None
        assert (world.capability.control, world.capability.step_w) == (Control.STEPS, 240)
        assert world.face.words[CURRENT] == -20
        assert world.face.words[MODE] == 0
        await world.keep(Power(-5000), 15)
        assert world.power_w == pytest.approx(-0.92 * 20 * 240)
        await world.until_proven(Power(10 * 240), within_s=90)
        assert world.face.words[CURRENT] == 10


async def test_amperes_never_amount_to_more_than_was_ordered_when_the_voltage_rises() -> None:
    registers, charger, clock = in_memory(r522=230, r81=1, r83=1, r88=60, r82=0)
    charger._takes_watts = False
    await charger.probe()
    registers.words |= {83: 0, 522: 250, 537: 1}
    clock.pass_(3)
    await charger.read(T0)
    with pytest.raises(OrderUnderWayError):
        await charger.order(Power(10 * 230), T0)
    assert registers.writes == [(CURRENT, [9])]


async def test_a_written_value_that_does_not_hold_is_refused_and_tried_again_later() -> None:
    async with a_world(app_control=True) as world:
        with pytest.raises(DeviceRefusedError) as error:
            await world.keep(Hold(), 30)
        assert error.value.reason == "not_applied"
        refused = len(world.writes)
        with pytest.raises(DeviceRefusedError):
            await world.cycle(Hold())
        assert len(world.writes) == refused
        await world.site.switch_quirks({"app_control": False})
        world.pass_(10)
        await world.until_proven(Hold())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"r537": 3}, "local_mode"),
        ({"r537": 8}, "busy"),
        ({"r537": 10}, "busy"),
        ({"r537": 13}, "busy"),
        ({"r537": 7}, "device_failure"),
        ({"r537": 9}, "device_failure"),
        ({"r537": 0}, "refused"),
        ({"r537": 6}, "refused"),
        ({"r514": 2990}, "beyond_rating"),
    ],
)
async def test_power_is_refused_with_the_reason_and_nothing_is_written(words: dict[str, int], reason: str) -> None:
    registers, charger, _ = in_memory(**words)
    with pytest.raises(DeviceRefusedError) as error:
        await charger.order(Power(-3000), T0)
    assert (error.value.reason, registers.writes) == (reason, [])


async def test_a_pair_of_limits_is_refused() -> None:
    with pytest.raises(DeviceRefusedError) as error:
        await in_memory()[1].order(Limits(3000, 3000), T0)
    assert error.value.reason == "not_supported"


async def test_a_wrong_grid_code_shows_as_power_that_does_not_come() -> None:
    async with a_world(discharge_blocked_by_grid_code=True) as world:
        await world.until_proven(Power(-5000))
        await world.keep(Power(-5000), 30)
        assert (world.known().state, world.known().power_w, world.known().setpoint_w) == (
            ChargerState.DISCHARGING,
            0,
            -5000,
        )


# -------------------------------------------------------------------------------------- guard times, taking away


async def test_more_power_waits_for_its_guard_time_and_less_never_does() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-2000))
        began = world.written_at(POWER, -2000)
        await world.until_proven(Power(-4000))
        assert 21.9 <= world.written_at(POWER, -4000) - began < 23
        began = world.written_at(POWER, -4000)
        await world.until_proven(Power(-4200))
        assert 10.9 <= world.written_at(POWER, -4200) - began < 12
        began = world.written_at(POWER, -4200)
        await world.until_proven(Power(-4400))
        assert 5.9 <= world.written_at(POWER, -4400) - began < 7
        await world.cycle(Power(-1000), 0.1)
        assert world.face.words[POWER] == -1000


async def test_the_other_direction_within_the_guard_time_goes_by_way_of_zero_at_once() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-4000))
        await world.cycle(Power(3000), 0.1)
        assert world.face.words[POWER] == 0
        await world.until_proven(Power(3000))
        assert world.written_at(POWER, 3000) - world.written_at(POWER, -4000) >= 21.9


@pytest.mark.parametrize("order", [Hold(), Power(0), Pause(), Stop(), Release(), Power(-1000)])
async def test_what_takes_power_away_waits_neither_for_a_gap_nor_for_a_reading(order: Order) -> None:
    async with a_world() as world:
        while (POWER, -5000) not in world.writes:
            await world.cycle(Power(-5000))
        with pytest.raises(OrderUnderWayError):
            await world.charger.order(order, world.now)
        assert world.face.words[POWER] == (-1000 if order == Power(-1000) else 0)


async def test_an_order_that_sinks_with_every_cycle_leaves_time_to_read() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        for second in range(60):
            await world.cycle(Power(-4900 + 10 * second))
            assert world.now - world.known().at < timedelta(seconds=5)
        assert abs(world.face.words[POWER]) < 4400


async def test_a_hold_takes_the_power_away_and_keeps_the_session() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        await world.until_proven(Hold())
        world.pass_(2)
        assert (world.face.state, world.power_w) == (1, 0)


async def test_a_hold_ends_a_charge_that_began_by_itself_and_the_next() -> None:
    async with a_world() as world:
        world.site.house.set_vehicle(plugged=False)
        world.site.house.set_vehicle(plugged=True)
        world.pass_(15)
        assert world.power_w > 6000
        await world.until_proven(Hold())
        world.face.words[AUTO_START] = 1
        await world.until_proven(Hold())
        world.site.house.set_vehicle(plugged=False)
        world.site.house.set_vehicle(plugged=True)
        assert world.face.state == 4


@pytest.mark.parametrize("order", [Pause(), Stop()])
async def test_a_stop_ends_the_session_and_power_starts_it_again(order: Order) -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        await world.until_proven(order)
        assert world.writes[-2:] == [(ACTION, 2), (POWER, 0)]
        assert (world.face.state, world.known().state) == (4, ChargerState.IDLE)
        await world.keep(order, 20)
        await world.until_proven(Power(-3000))
        assert world.face.state == 11


async def test_a_stop_takes_control_of_a_charger_that_charges_by_itself() -> None:
    async with a_world() as world:
        world.site.house.set_vehicle(plugged=False)
        world.site.house.set_vehicle(plugged=True)
        world.pass_(15)
        await world.until_proven(Stop())
        assert world.writes[:4] == [(CONTROL, 1), (WATCHDOG, LEASE_S), (ACTION, 2), (AUTO_START, 0)]
        assert (world.face.state, world.power_w) == (4, 0)


async def test_a_release_withdraws_at_once_and_gives_control_back_only_if_it_lasts() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        await world.until_proven(Release())
        assert world.writes[-1] == (POWER, 0)
        await world.keep(Release(), 50)
        assert world.face.words[CONTROL] == 1
        await world.keep(Release(), 20)
        assert world.writes[-3:] == [(POWER, 0), (ACTION, 2), (CONTROL, 0)]
        assert (world.face.words[CONTROL], world.face.state, world.power_w) == (0, 4, 0)
        await world.until_proven(Release())


async def test_a_release_leaves_a_charger_under_user_control_alone() -> None:
    async with a_world() as world:
        assert await world.until_proven(Release()) == 1
        assert world.writes == []


async def test_a_release_also_empties_the_setpoint_that_would_come_into_force_after_it() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        world.face.words[CURRENT] = 16
        await world.keep(Release(), 80)
        assert (world.face.words[CONTROL], world.face.words[CURRENT]) == (0, 0)


# ------------------------------------------------------------------------------------------------- the watchdog


async def test_an_order_dies_in_the_charger_when_nobody_reads_it_any_more() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        world.pass_(LEASE_S + 3)
        assert (world.face.state, world.power_w) == (4, 0)


async def test_reading_without_renewed_orders_ends_so_that_the_order_does_too() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        died_after_s = 0
        while world.power_w < 0:
            await world.cycle(None)
            died_after_s += 1
            assert died_after_s < 100
        assert 60 < died_after_s <= 20 + LEASE_S + 4
        assert "no order was renewed" in world.trouble
        await world.keep(None, 3)
        assert world.known().state is ChargerState.IDLE


async def test_an_order_that_is_refused_keeps_the_one_before_it_no_longer_alive() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        for _ in range(20 + LEASE_S + 4):
            with suppress(DeviceRefusedError):
                await world.cycle(Limits(1000, 1000))
        assert (world.face.state, world.power_w) == (4, 0)


def an_heir(world: World) -> World:
    """The same site after the edge was started anew."""
    unit = world.charger._unit
    heir = World(world.site, world.clock, WallboxQuasar1("left", unit, QuasarOptions(), monotonic=world.clock))
    unit.set_message_spacing(0)
    return heir


async def test_what_stands_from_an_earlier_life_is_not_kept_alive_by_looking_at_it() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        heir = an_heir(world)
        await heir.keep(None, 20 + LEASE_S + 5)
        assert (heir.known().state, heir.known().power_w) == (ChargerState.IDLE, 0)


async def test_a_lost_connection_does_not_make_it_forget_that_an_order_stands() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        await world.keep(None, 25)
        lost = asyncio.Event()
        world.charger._unit.on_connection_lost(lost.set)
        await world.charger._unit.disconnect()
        await lost.wait()
        with pytest.raises(DeviceError, match="no order was renewed"):
            await world.charger.probe()


async def test_a_charger_without_an_order_is_read_as_long_as_one_likes() -> None:
    async with a_world() as world:
        await world.until_proven(Hold())
        await world.keep(None, 100)
        assert world.known().at == world.now
        assert world.trouble == ""


async def test_a_setpoint_of_unknown_origin_that_somebody_keeps_alive_is_read_on() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        heir = an_heir(world)
        for _ in range(120):
            world.face.read_registers(537, 1)
            await heir.cycle(None)
        assert heir.known().at == world.now
        assert heir.known().power_w == -4600


@pytest.mark.parametrize("timeout_s", [0, 3600])
@pytest.mark.parametrize("in_amperes", [False, True])
async def test_our_own_setpoint_is_taken_back_when_another_client_changed_the_watchdog_and_nobody_orders(
    timeout_s: int, in_amperes: bool
) -> None:
    async with a_world(power_mode_unsupported=in_amperes) as world:
        await world.until_proven(Power(-5000))
        world.face.write_registers(WATCHDOG, [timeout_s])
        await world.keep(None, 25)
        assert "another client keeps it alive" in world.trouble
        assert world.writes[-1] == (CURRENT if in_amperes else POWER, 0)
        assert world.power_w == 0
        written = len(world.writes)
        await world.keep(None, 60)
        assert (len(world.writes), world.known().at) == (written, world.now)


async def test_our_own_setpoint_is_taken_back_when_another_client_feeds_the_watchdog_and_nobody_orders() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        for _ in range(20 + LEASE_S + 5):
            world.face.read_registers(537, 1)
            await world.cycle(None)
        assert "another client keeps it alive" in world.trouble
        assert world.power_w == 0


async def test_a_withdrawal_that_was_lost_is_written_again() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        world.face.write_registers(WATCHDOG, [0])
        await world.keep(None, 21)
        assert world.face.words[POWER] == 0
        world.face.words[POWER] = -5000  # as if it had been taken without effect
        await world.keep(None, 10)
        assert world.face.words[POWER] == 0


async def test_the_setpoint_of_another_controller_is_left_alone_though_it_be_the_number_that_was_ours() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        await world.keep(None, 20 + LEASE_S + 5)
        assert world.known().state is ChargerState.IDLE
        for register, value in ((WATCHDOG, 3600), (ACTION, 1), (POWER, -5000 & 0xFFFF)):
            world.face.write_registers(register, [value])
        await world.keep(None, 60)
        assert world.known().power_w == -4600


# ------------------------------------------------------------------------------------------------ the SoC's wake


async def test_a_hold_with_an_unknown_charge_wakes_it_with_1_watt_and_rests_again() -> None:
    async with a_world(charge_known=False, soc_glitch=False) as world:
        await world.keep(Hold(), 40)
        assert world.known().soc_pct == 70
        assert world.writes[-4:] == [(ACTION, 1), (POWER, 1), (POWER, 0), (ACTION, 2)]
        assert (world.face.state, world.power_w) == (4, 0)
        written = len(world.writes)
        await world.keep(Hold(), 60)
        assert len(world.writes) == written


async def test_a_charge_that_does_not_wake_is_left_alone_after_a_minute_for_half_an_hour() -> None:
    async with a_world(charge_known=False) as world:
        world.site.house.set_vehicle(soc_pct=0.4)
        await world.keep(Hold(), 100)
        assert world.known().soc_pct is None
        assert 55 < world.written_at(POWER, 0) - world.written_at(ACTION, 1) < 66
        await world.keep(Hold(), 1650)
        assert world.writes.count((ACTION, 1)) == 1
        await world.keep(Hold(), 150)
        assert world.writes.count((ACTION, 1)) == 2


@pytest.mark.parametrize("order", [None, Release(), Pause(), Stop()])
async def test_nobody_wakes_a_charger_that_is_let_alone_or_stopped(order: Order | None) -> None:
    async with a_world(charge_known=False) as world:
        await world.keep(order, 60)
        assert {ACTION, POWER} & {address for address, _ in world.writes} == set()


@pytest.mark.parametrize(("order", "word"), [(Power(-5000), -5000), (Stop(), 0), (Release(), 0)])
async def test_any_order_ends_a_waking(order: Order, word: int) -> None:
    async with a_world(charge_known=False, soc_glitch=False) as world:
        world.site.house.set_vehicle(soc_pct=0.4)
        while (POWER, 1) not in world.writes:
            await world.cycle(Hold())
        world.site.house.set_vehicle(soc_pct=60)
        await world.until_proven(order)
        assert world.face.words[POWER] == word
        await world.keep(order, 70)
        assert world.writes.count((POWER, 1)) == 1


async def test_amperes_wake_nothing() -> None:
    async with a_world(charge_known=False, power_mode_unsupported=True) as world:
        await world.keep(Hold(), 60)
        assert {ACTION, CURRENT} & {address for address, _ in world.writes} == set()


# ---------------------------------------------------------------------------------------------- after a restart


async def test_a_restarted_charger_is_taken_over_anew() -> None:
    async with a_world() as world:
        await world.until_proven(Power(-5000))
        world.face.restart()
        written = len(world.writes)
        await world.until_proven(Power(-5000))
        assert world.writes[written : written + 2] == [(CONTROL, 1), (WATCHDOG, LEASE_S)]
        assert world.writes[-1] == (POWER, -5000)


async def test_nothing_is_written_on_a_connection_on_which_nothing_was_read() -> None:
    seen: list[int] = []
    registers, _, clock = in_memory(r81=1, r83=1, r88=60, r260=0x10000 - 5000, r537=11)

    def answer(request: Request) -> bytes:
        seen.append(request.function)
        return registers(request)

    async with linked(answer) as (peer, unit):
        charger = WallboxQuasar1("left", unit, monotonic=clock)
        unit.set_message_spacing(0)
        await charger.read(T0)
        peer.reset()
        await peer.until(lambda: peer.connections == 2)
        seen.clear()
        with pytest.raises(DeviceError):
            await charger.order(Stop(), T0)
        assert seen[:4] == [3, 3, 3, 3]


# ------------------------------------------------------------------------------------------------ the whole edge

SITE = """
site: {{name: Home, import_max_a: 100, export_max_w: 9600, enter_service_s: 1, outage_after_s: 1}}
chargers:
  garage: {{name: Garage, model: wallbox_quasar_1, address: "{host}:{charger}", lease_s: 15, write_gap_s: 0.1}}
meter: {{model: sunspec_meter, address: "{host}:{meter}"}}
control: {{cycle_s: 0.5, stale_after_s: 5}}
"""
# The site's time runs faster than the edge's, so that the charger's ramp of 15 s is soon over.
HASTE = 10


@asynccontextmanager
async def an_edge(folder: Path) -> AsyncIterator[tuple[SimulatedSite, RunningEdge]]:
    """A whole edge at a simulated Quasar, once the charge has been woken."""
    async with SimulatedSite(QUASAR, clock=lambda: HASTE * monotonic()) as site:
        config = parse(SITE.format(host=HOST, charger=site.charger_port, meter=site.meter_port), folder / "site.yaml")
        config = replace(config, api=replace(config.api, port=0), data=folder / "data")
        async with running(config) as edge:
            await edge.until(lambda state: state["chargers"]["garage"]["soc_pct"] == 70, within_s=30)
            yield site, edge
        garage = site.house.inverter
        site.house.step(16.0)
        assert not garage.settings.setpoint_enabled
        site.house.step(3.0)
        assert garage.power_w == 0


def _stage(state: State) -> str | None:
    order = state["chargers"]["garage"]["order"]
    return None if order is None else order["stage"]


async def test_the_edge_serves_a_manual_discharge_and_the_watchdog_ends_it_when_the_edge_is_gone(
    tmp_path: Path,
) -> None:
    async with an_edge(tmp_path) as (site, edge):
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        await edge.command("discharge", charger="garage", power_w=4000, until=until)
        await edge.until(lambda state: (state["chargers"]["garage"]["power_w"] or 0) < -3600, within_s=30)
        state = await edge.until(lambda state: _stage(state) == "measured")
        assert state["chargers"]["garage"]["authority"] == "ours"
        assert site.house.inverter.settings.setpoint_w == -4000
        assert site.house.inverter.settings.lease_s == 15


async def test_the_edge_serves_a_utilitys_event(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, an_edge(tmp_path) as (site, edge):
        program = {
            "kind": "openadr3",
            "name": "Peak power",
            "url": utility.base_url,
            "client_id": "ven-client",
            "client_secret": "ven-secret",
            "poll_s": 1.0,
        }
        await edge.command("set_program", id="peak", program=program)
        utility.dispatch.call_event(start_in_s=2, duration_s=6, power_kw=5)
        await edge.until(lambda state: (state["chargers"]["garage"]["power_w"] or 0) < -4500, within_s=30)
        await edge.until(lambda state: state["programs"]["peak"]["events"][0]["status"] == "finished", within_s=30)
        state = await edge.until(lambda state: state["chargers"]["garage"]["power_w"] == 0, within_s=30)
        assert state["programs"]["peak"]["events"][0]["energy_wh"] > 1
        assert site.house.inverter.settings.setpoint_w == 0


async def test_it_is_restarted_when_a_person_says_so_also_while_the_user_has_control() -> None:
    async with a_world() as world:
        await world.cycle(None)
        await world.charger.restart()
        assert world.writes[-2:] == [(81, 1), (257, 3)]
        await world.until_proven(Power(3000), within_s=600)
        await world.charger.restart()
        world.pass_(1)
        await world.keep(None, 30)
        assert world.known().power_w == 0
        await world.until_proven(Power(3000), within_s=600)


async def test_a_command_restarts_it_and_a_persons_limit_holds_at_the_running_edge(tmp_path: Path) -> None:
    async with an_edge(tmp_path) as (site, edge):
        state = await edge.until(lambda state: state["chargers"]["garage"]["connected"], within_s=30)
        await edge.command("set_power_limit", charger="garage", discharge_w=2000)
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        await edge.command("discharge", charger="garage", power_w=4000, until=until)
        await edge.until(lambda state: (state["chargers"]["garage"]["power_w"] or 0) < -1500, within_s=30)
        state = await edge.until(lambda state: (state["chargers"]["garage"].get("current_a") or 0) < -5, within_s=30)
        shown = state["chargers"]["garage"]
        assert shown["discharge_limit_w"] == 2000
        assert shown["restarts"]
        assert not shown["clears_faults"]
        assert shown["voltage_v"] is not None
        assert "frequency_hz" not in shown
        assert site.house.inverter.settings.setpoint_w == -2000
        await edge.command("restart_charger", charger="garage")
        assert (257, 3) in [(write.address, write.values[0]) for write in site.writes]
