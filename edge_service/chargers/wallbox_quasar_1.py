"""The Wallbox Quasar 1: 7.4 kW, one phase, CHAdeMO. Holding registers, read by function 3, written one by one by 6.

Its sign is ours: + charge. Its watchdog (88) is fed by any message, so it is read only while orders are renewed. It
needs time after a write: each call of ``order`` goes one step nearer to what is ordered, and the next reading shows
whether that holds. Only what takes power away goes at once. Sources and reasons: docs/chargers/wallbox_quasar_1.md.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from modbus_connection import ModbusUnit
from modbus_connection.model import Component, gauge, integer, string

from edge_service.chargers.acquaintance import Acquaintance
from edge_service.chargers.plausible import current_a, text, within
from edge_service.chargers.traffic_lease import TrafficLease
from edge_service.domain.model import (
    Authority,
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
    DeviceIdentity,
    DeviceRefusedError,
    DeviceUnreachableError,
    OrderUnderWayError,
    ProtocolViolationError,
)

READ_GAP_S = 0.05
# Below this the converter turns more than 40 % into heat.
LEAST_A = 3
RATING_W, LEAST_RATING_W = 7400, 1380
# Twice what it is made for; beyond it the register holds garbage.
MOST_AC_A = 64
# What another firmware may show and still be this model's; beyond it something else answers.
MOST_RATING_W, MOST_STATES = 11_000, 32
# It ramps for 15 s after a start, and a session takes some seconds to begin.
SETTLE_S = 20.0
# What it delivers is 81 to 97 % of the setpoint, and trembles.
TOLERANCE_W, TOLERANCE_SHARE = 200, 0.2
# How long it needs to follow a change before it takes a larger one: from zero, else by amperes that changed.
GUARD_FROM_ZERO_S = 21.9
GUARDS_S = ((1, 5.9), (2, 7.9))
LONGEST_GUARD_S = 10.9
# A written value that does not hold is written again no sooner than this; a start or stop likewise.
RETRY_S, RESTART_S = 10.0, 30.0
# After a restart state 7 may stand for minutes; within this it is no fault.
ERROR_GRACE_S = 60.0
# A withdrawal of this length is no flicker of the grid: control goes back to the user, and with it auto start.
GIVE_BACK_AFTER_S = 60.0
# Silent so often in a row: more than a lost packet or a Wi-Fi that comes back.
SILENCES_TOLD = 3

CEILING_PCT = 97
SOC_BELIEVED = range(2, CEILING_PCT + 1)
SOC_POSSIBLE = range(1, 101)
SOC_ODD_FOR_S = 60.0
# What was read is no longer the charge of this vehicle after so long without contact, or so long without power.
SOC_OUT_OF_SIGHT_S, SOC_LASTS_S = 300.0, 12 * 3600.0
# The charge shows only while power flows: a session of 1 W wakes it, rarely and for a moment.
WAKE_W, WAKE_FOR_S, WAKE_EVERY_S = 1, 60.0, 1800.0

CRASHED = (
    "if the charger is on, its Modbus module has crashed, as this model's does every week or two: "
    "switch it off at the breaker for half a minute, or restart it in the Wallbox app"
)
EMPTY = (
    "a Quasar 1 on firmware 5.13.25 answers every read like that: switch it off at the breaker for half a minute or "
    "restart it in the Wallbox app, and ask Wallbox for other firmware if that does not help; "
    "else check address and unit number, since this may be another device"
)


# ----------------------------------------------------------------------------------------------------- the registers


class Identity(Component):
    """1 to 9: who it is."""

    firmware = integer(1, signed=False)
    serial_high = integer(2, signed=False)
    serial_low = integer(3, signed=False)
    part_number = string(4, 6)


class Registers(Component):
    """80 to 88, 256 to 260 and 512 to 548: settings, commands, measurements. What lies between does not exist."""

    # Registers of one block lie at most 11 apart, the blocks 168 and more.
    max_gap = 12

    port = integer(80, signed=False)
    control = integer(81, signed=False, writable=True)  # 0 user, 1 remote
    auto_start = integer(82, signed=False, writable=True)
    setpoint_type = integer(83, signed=False, writable=True)  # 0 current, 1 power
    watchdog = integer(88, signed=False, writable=True, unit="s")
    lock = integer(256, signed=False)
    action = integer(257, signed=False, writable=True)  # 1 start, 2 stop, 3 reboot, 4 update firmware
    current = integer(258, writable=True, unit="A")
    power = integer(260, writable=True, unit="W")
    most_a = integer(512, signed=False, unit="A")
    most_w = integer(514, signed=False, unit="W")
    ac_a = integer(519, unit="A")
    ac_v = integer(522, signed=False, unit="V")
    ac_w = integer(526, unit="W")
    state = integer(537, signed=False)
    soc = integer(538, signed=False, unit="%")
    error_1 = integer(539, signed=False)
    error_2 = integer(540, signed=False)
    error_3 = integer(541, signed=False)
    error_4 = integer(542, signed=False)
    dc_v = gauge(547, 0.1, signed=False, unit="V")
    dc_a = gauge(548, 0.1, unit="A")


CONTROL, AUTO_START, SETPOINT_TYPE, WATCHDOG, ACTION, CURRENT, POWER = 81, 82, 83, 88, 257, 258, 260
_OURS = (CONTROL, AUTO_START, SETPOINT_TYPE, WATCHDOG, ACTION, CURRENT, POWER)
USER, REMOTE = 0, 1
CURRENT_MODE, POWER_MODE = 0, 1
START, STOP, REBOOT = 1, 2, 3


class State(IntEnum):
    """Register 537."""

    NO_CAR = 0
    CHARGING = 1
    WAITING_FOR_CAR = 2
    WALLBOX_APP = 3
    PAUSED = 4
    END_OF_SCHEDULE = 5
    NO_CAR_LOCKED = 6
    ERROR = 7
    POWER_SHARING_QUEUE = 8
    POWER_SHARING_ERROR = 9
    POWER_BOOST_QUEUE = 10
    DISCHARGING = 11


_STATES: Mapping[int, ChargerState] = {
    State.NO_CAR: ChargerState.DISCONNECTED,
    State.CHARGING: ChargerState.CHARGING,
    State.WAITING_FOR_CAR: ChargerState.WAITING,
    State.WALLBOX_APP: ChargerState.BLOCKED,
    State.PAUSED: ChargerState.IDLE,
    State.END_OF_SCHEDULE: ChargerState.IDLE,
    State.NO_CAR_LOCKED: ChargerState.DISCONNECTED,
    State.ERROR: ChargerState.FAULT,
    State.POWER_SHARING_QUEUE: ChargerState.BLOCKED,
    State.POWER_SHARING_ERROR: ChargerState.FAULT,
    State.POWER_BOOST_QUEUE: ChargerState.BLOCKED,
    State.DISCHARGING: ChargerState.DISCHARGING,
}
NO_CAR = frozenset({State.NO_CAR, State.NO_CAR_LOCKED})
FAULTY = frozenset({State.ERROR, State.POWER_SHARING_ERROR})
BLOCKED = frozenset({State.WALLBOX_APP, State.POWER_SHARING_QUEUE, State.POWER_BOOST_QUEUE})
FLOWING = frozenset({State.CHARGING, State.DISCHARGING})
IN_SESSION = FLOWING | {State.WAITING_FOR_CAR}
AT_REST = frozenset({State.PAUSED, State.END_OF_SCHEDULE})


def _number(value: float | None) -> int:
    """A register of a block that was read."""
    assert value is not None
    return int(value)


@dataclass(frozen=True, slots=True)
class Seen:
    """The registers as one reading found them, begun at ``at``: monotonic seconds."""

    at: float
    state: int
    soc: int
    most_a: int
    most_w: int
    ac_a: int
    ac_v: int
    ac_w: int
    errors: tuple[int, int, int, int]
    ours: dict[int, int]

    @classmethod
    def of(cls, found: Registers, at: float) -> Seen:
        errors = (found.error_1, found.error_2, found.error_3, found.error_4)
        ours = (
            found.control,
            found.auto_start,
            found.setpoint_type,
            found.watchdog,
            found.action,
            found.current,
            found.power,
        )
        return cls(
            at=at,
            state=_number(found.state),
            soc=_number(found.soc),
            most_a=_number(found.most_a),
            most_w=_number(found.most_w),
            ac_a=_number(found.ac_a),
            ac_v=_number(found.ac_v),
            ac_w=_number(found.ac_w),
            errors=(_number(errors[0]), _number(errors[1]), _number(errors[2]), _number(errors[3])),
            ours=dict(zip(_OURS, map(_number, ours), strict=True)),
        )

    @property
    def is_quasar(self) -> bool:
        """Whether what answers at these addresses can be this model."""
        return (
            self.ours[CONTROL] in (USER, REMOTE)
            and self.ours[SETPOINT_TYPE] in (CURRENT_MODE, POWER_MODE)
            and self.state < MOST_STATES
            and self.most_w <= MOST_RATING_W
        )

    @property
    def plugged(self) -> bool | None:
        """None in states that do not tell."""
        if self.state in NO_CAR:
            return False
        return None if self.state in FAULTY | {State.WALLBOX_APP} or self.state not in _STATES else True

    @property
    def volts(self) -> float | None:
        """None where the register tells nothing: a charger that lives on the grid and answers has more than 0 V."""
        return float(self.ac_v) if 0 < self.ac_v <= 300 else None

    @property
    def grid_present(self) -> bool | None:
        """Below half of 230 V it is gone; from 85 % on it is there; between and at 0 nobody can tell."""
        if self.volts is None:
            return None
        if self.volts < 115:
            return False
        return True if self.volts >= 195 else None

    @property
    def limit_w(self) -> int:
        """What the installer allows."""
        return min(self.most_w, RATING_W) if self.most_w >= LEAST_RATING_W else RATING_W

    @property
    def alarms(self) -> tuple[str, ...]:
        words = enumerate(self.errors, start=1)
        bits = ((number, 1 << bit) for number, word in words for bit in range(16) if word >> bit & 1)
        return tuple(f"error_{number}_0x{bit:04x}" for number, bit in bits)


@dataclass(frozen=True, slots=True)
class Step:
    """A register that must hold a value. ``urgent``: it takes power away or makes safe, and waits for nothing."""

    address: int
    value: int
    urgent: bool = False
    # The power that flows by it, for the guard time; None: not a setpoint.
    power_w: int | None = None


class SocFilter:
    """Which of the readings of register 538 are a state of charge: 0 never, 1 and more than 97 only if they last."""

    def __init__(self) -> None:
        self.value: int | None = None
        self._at: float | None = None
        self._looked_at: float | None = None
        self._odd_since: float | None = None

    def see(self, word: int, now: float, *, plugged: bool | None) -> int | None:
        """The last good value while the same vehicle is plugged in, else None; ``now`` in monotonic seconds."""
        out_of_sight = self._looked_at is not None and now - self._looked_at > SOC_OUT_OF_SIGHT_S
        self._looked_at = now
        if plugged is False or out_of_sight:
            self.value = self._odd_since = None
        if plugged is False:
            return None
        if self._is_good(word, now):
            self.value, self._at = word, now
        if self._at is not None and now - self._at > SOC_LASTS_S:
            self.value = None
        return self.value

    def _is_good(self, word: int, now: float) -> bool:
        if word in SOC_BELIEVED or word not in SOC_POSSIBLE:
            self._odd_since = None
            return word in SOC_BELIEVED
        if self._odd_since is None:
            self._odd_since = now
        return now - self._odd_since >= SOC_ODD_FOR_S


# -------------------------------------------------------------------------------------------------------- the driver


@dataclass(frozen=True, slots=True)
class QuasarOptions:
    """What ``site.yaml`` may say about a charger of this model."""

    unit_id: int = 1
    # After so many seconds without a message the charger goes idle.
    lease_s: int = 60
    write_gap_s: float = field(
        default=2.5, metadata={"min": 0.0, "max": 10.0, "help": "how long it is left alone after a write, in seconds"}
    )


# Firmware, the two words of the serial number, part number.
type Introduction = tuple[int, int, int, str]


class WallboxQuasar1:
    """A Wallbox Quasar 1 behind one Modbus unit; implements ``ports.Charger``. ``monotonic`` gives rising seconds."""

    def __init__(
        self,
        id: str,
        unit: ModbusUnit,
        options: QuasarOptions | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = id
        self.on_written: Callable[[], None] | None = None
        self._unit = unit
        self._options = options or QuasarOptions()
        self._monotonic = monotonic
        self._identity_registers, self._registers = Identity(unit), Registers(unit)
        unit.set_message_spacing(READ_GAP_S)
        self._device = Acquaintance[Introduction](id, unit, self._forget_registers)
        self._reading_turn, self._ordering = asyncio.Lock(), asyncio.Lock()
        self._met_at = 0.0
        # What was read on this connection, with what was written since in its place.
        self._seen: Seen | None = None
        self._sent: dict[int, tuple[int, float]] = {}
        # The setpoint other than zero that we wrote last, with its register.
        self._own: tuple[int, int] | None = None
        self._last: ChargerReading | None = None
        self._written_at = float("-inf")
        self._silences = 0
        self._tries: dict[int, tuple[int, int, float]] = {}
        self._soc = SocFilter()
        # Whether setpoints are in watts: None until the charger was asked to.
        self._takes_watts: bool | None = None
        self._told_mode: bool | None = None
        self._volts_per_step = 230
        self._lease = TrafficLease(self._options.lease_s, monotonic)
        self._guarded_until = self._eased_at = float("-inf")
        self._started_at = self._stopped_at = float("-inf")
        self._released_at: float | None = None
        self._woken_at: float | None = None
        self._waking = False

    def _forget_registers(self) -> None:
        self._seen = None
        self._sent.clear()

    # Who it is

    async def probe(self) -> tuple[DeviceIdentity, Capability]:
        """Read who it is and all that it shows. Writes nothing."""
        self._lease.require_renewed(self.id)
        async with self._reading_turn:
            await self._device.identify(self._introduce, again=True)
            seen = await self._look()
        self._device.accept()
        self._told_mode = self._takes_watts
        self._volts_per_step = round(seen.volts or 230)
        firmware, high, low, part = self._device.identity or (0, 0, 0, "")
        findings = tuple(_findings(seen, takes_watts=self._takes_watts is not False))
        identity = DeviceIdentity("Wallbox", f"Quasar {part}".strip(), str(high << 16 | low), str(firmware), findings)
        return identity, self._capability(seen)

    def _capability(self, seen: Seen) -> Capability:
        in_watts, volts = self._takes_watts is not False, self._volts_per_step
        return Capability(
            control=Control.SIGNED if in_watts else Control.STEPS,
            charge_rating_w=seen.limit_w,
            discharge_rating_w=seen.limit_w,
            min_charge_w=LEAST_A * volts,
            min_discharge_w=LEAST_A * volts,
            step_w=1 if in_watts else volts,
            settle_s=SETTLE_S,
            guard_s=GUARDS_S[0][1],
            tolerance_w=TOLERANCE_W,
            tolerance_share=TOLERANCE_SHARE,
            lease=Lease.TRAFFIC,
        )

    async def _introduce(self) -> Introduction:
        """Learn who answers; of another one than before nothing is known."""
        await self._ask(self._identity_registers)
        found = self._identity_registers
        identity = (
            _number(found.firmware),
            _number(found.serial_high),
            _number(found.serial_low),
            text(found.part_number),
        )
        if self._device.identity not in (None, identity):
            self._takes_watts, self._soc, self._own = None, SocFilter(), None
        self._met_at = self._monotonic()
        return identity

    async def _ask(self, block: Component) -> None:
        try:
            await block.async_update(notify=False)
        except DeviceUnreachableError as error:
            self._silences += 1
            if self._silences < SILENCES_TOLD:
                raise
            raise DeviceUnreachableError(f"{error}; {CRASHED}") from error
        except ProtocolViolationError as error:
            raise ProtocolViolationError(f"{error}; {EMPTY}") from error
        except DeviceRefusedError as error:
            raise DeviceRefusedError(f"{error}; {EMPTY}", error.reason) from error
        self._silences = 0
        self._lease.heard()

    # Reading

    async def read(self, now: datetime) -> ChargerReading:
        """Read it in three blocks. In the quiet after a write the last reading, with its own time.

        Raises DeviceError also while it must not be read, lest its watchdog be fed, and when it took our own setpoint
        back because no watchdog of ours would end it.
        """
        self._lease.require_renewed(self.id)
        self._require_told_mode()
        if self._last is not None and self._seen is not None and self._is_quiet:
            return self._last
        async with self._reading_turn:
            await self._device.identify(self._introduce)
            seen = await self._look()
            await self._end_own(seen)
        soc = self._soc.see(seen.soc, seen.at, plugged=seen.plugged)
        self._last = self._reading(seen, soc, now)
        return self._last

    @property
    def _is_quiet(self) -> bool:
        """Whether the charger is still busy with what was written last."""
        return self._monotonic() - self._written_at < self._options.write_gap_s

    async def _look(self) -> Seen:
        began = self._monotonic()
        await self._ask(self._registers)
        seen = Seen.of(self._registers, began)
        if not seen.is_quasar:
            raise DeviceRefusedError(
                f"{self.id}: control {seen.ours[CONTROL]}, state {seen.state} and {seen.most_w} W at most are no "
                "Quasar 1; check address, unit number and model"
            )
        self._sent = {address: sent for address, sent in self._sent.items() if sent[1] >= began}
        self._seen = seen
        self._lease.stands = self._is_standing(seen)
        if seen.ours[CONTROL] == REMOTE and seen.ours[SETPOINT_TYPE] == POWER_MODE and self._takes_watts is None:
            self._takes_watts = True
        return seen

    def _is_standing(self, seen: Seen) -> bool:
        """Whether the charger follows a setpoint under the watchdog that we set."""
        ours = self._view(seen, CONTROL) == REMOTE and self._view(seen, WATCHDOG) == self._options.lease_s
        return ours and self._in_session(seen) and self._in_force_w(seen) != 0

    def _in_session(self, seen: Seen) -> bool:
        return seen.state in IN_SESSION or self._started_at > seen.at

    async def _end_own(self, seen: Seen) -> None:
        """Take back a setpoint of ours that nobody renews and that no watchdog of ours ends; what others set stays."""
        if self._own is None or not self._lease.cannot_end:
            return
        if not self._in_session(seen) or self._view(seen, self._own[0]) != self._own[1]:
            self._own = None  # what follows an end is somebody else's, though it be the same number
        elif self._view(seen, CONTROL) == REMOTE and self._own[0] == self._setpoint_register(seen):
            await self._withdraw(seen)
            raise DeviceError(
                f"{self.id}: our setpoint of {self._own[1]} was set to 0: nobody renews it, and another client keeps "
                f"it alive, by its messages or by the idle timeout (it is {seen.ours[WATCHDOG]} s, ours is "
                f"{self._options.lease_s} s); connect no other client to this charger"
            )

    def _setpoint_register(self, seen: Seen) -> int:
        """The one that is in force."""
        return POWER if self._view(seen, SETPOINT_TYPE) == POWER_MODE else CURRENT

    def _require_told_mode(self) -> None:
        if self._takes_watts is False and self._told_mode is not False:
            raise DeviceError(
                f"{self.id}: this firmware takes no setpoint in watts; it is commanded in whole amperes from now on"
            )

    def _view(self, seen: Seen, address: int) -> int:
        """What a register holds, as far as we know: what was written since counts."""
        return self._sent[address][0] if address in self._sent else seen.ours[address]

    def _in_force_w(self, seen: Seen) -> int:
        """The setpoint that is in force."""
        if self._view(seen, SETPOINT_TYPE) == POWER_MODE:
            return self._view(seen, POWER)
        return self._view(seen, CURRENT) * self._volts_per_step

    def _reading(self, seen: Seen, soc: int | None, now: datetime) -> ChargerReading:
        remote = seen.ours[CONTROL] == REMOTE
        most_w = 0 if seen.plugged is False else seen.limit_w
        full = soc is not None and soc >= CEILING_PCT
        return ChargerReading(
            at=now,
            state=self._state(seen),
            authority=_authority(seen),
            plugged=seen.plugged,
            power_w=seen.ac_w if abs(seen.ac_w) <= 2 * RATING_W else None,
            soc_pct=None if soc is None else float(soc),
            charge_max_w=0 if full else most_w,
            discharge_max_w=most_w,
            setpoint_w=self._in_force_w(seen) if remote else None,
            lease_remaining_s=seen.ours[WATCHDOG] or None if remote else None,
            grid_present=seen.grid_present,
            voltage_v=seen.volts,
            alarms=seen.alarms,
            current_a=current_a(within(seen.ac_a, -MOST_AC_A, MOST_AC_A), seen.ac_w),
        )

    def _state(self, seen: Seen) -> ChargerState:
        booting = self._monotonic() - self._met_at < ERROR_GRACE_S
        if seen.state == State.ERROR and booting and not any(seen.errors):
            return ChargerState.BOOTING
        return _STATES.get(seen.state, ChargerState.BLOCKED)

    # Ordering

    async def order(self, order: Order, now: datetime) -> None:
        """Go one step nearer to ``order``; returns once a reading shows that all its registers hold.

        Raises OrderUnderWayError until then. Refusal reasons: ``identity_changed``, ``not_supported``,
        ``beyond_rating``, ``local_mode``, ``busy``, ``device_failure``, ``not_applied``, the device's own.
        """
        async with self._ordering:
            try:
                await self._order(order)
            except OrderUnderWayError:
                self._lease.renew()
                raise
            self._lease.renew()

    async def restart(self) -> None:
        """Take control, which the register needs, and start it anew; after that it is the user's, as delivered."""
        async with self._ordering:
            seen = await self._known()
            if self._view(seen, CONTROL) != REMOTE:
                await self._unit.write_register(CONTROL, REMOTE)
            await self._unit.write_register(ACTION, REBOOT)
            self._sent.clear()
            self._note_action(Step(ACTION, REBOOT), self._monotonic())

    async def _order(self, order: Order) -> None:
        if isinstance(order, Limits):
            raise self._device.refusal("takes a setpoint, not a pair of limits", "not_supported")
        seen = await self._known()
        if not isinstance(order, Release):
            self._released_at = None
        if not isinstance(order, Hold | Power) or (isinstance(order, Power) and order.w):
            self._waking = False
        self._require_able(seen, order)
        await self._go(seen, list(self._steps(seen, order)), order)

    async def _known(self) -> Seen:
        """What was read on this connection; nothing is written to registers that were not."""
        if self._seen is None:
            async with self._reading_turn:
                await self._device.identify(self._introduce)
                await self._look()
        self._device.require_accepted()
        assert self._seen is not None
        return self._seen

    def _require_able(self, seen: Seen, order: Order) -> None:
        if not isinstance(order, Power) or not order.w:
            return
        if abs(order.w) > seen.limit_w:
            raise self._device.refusal(
                f"{order.w} W is beyond the charger's limit of {seen.limit_w} W", "beyond_rating"
            )
        if seen.state in NO_CAR:
            raise DeviceRefusedError(f"{self.id}: no vehicle is plugged in")
        if seen.state in FAULTY:
            raise self._device.refusal(f"it shows an error ({', '.join(seen.alarms) or seen.state})", "device_failure")
        if seen.state == State.WALLBOX_APP:
            raise self._device.refusal("the Wallbox app has control; end its schedule or session there", "local_mode")
        if seen.state in BLOCKED or seen.state not in _STATES:
            raise self._device.refusal(
                f"its state {seen.state} takes no order; switch Power Sharing and Power Boost off", "busy"
            )

    # What must hold, in safe order

    def _steps(self, seen: Seen, order: Order) -> Iterator[Step]:
        match order:
            case Power(w=w) if w:
                yield from self._follow(seen, w)
            case Power() | Hold():
                yield from self._hold(seen)
            case Pause() | Stop():
                yield from self._cease(seen)
            case Release():
                yield from self._let_go(seen)

    def _follow(self, seen: Seen, w: int) -> Iterator[Step]:
        yield from self._take(seen, w)
        setpoint = self._setpoint(w)
        yield from self._ease(seen, w, setpoint)
        if self._takes_watts is not False:
            yield from self._start(seen)
        yield setpoint
        if self._takes_watts is False:
            yield from self._start(seen)

    def _take(self, seen: Seen, w: int = 0) -> Iterator[Step]:
        """Control and the watchdog before anything else, then what may move by itself, then watts or amperes."""
        yield from self._seize(seen)
        yield Step(AUTO_START, 0)
        mode = CURRENT_MODE if self._takes_watts is False else POWER_MODE
        if self._view(seen, SETPOINT_TYPE) != mode:
            setpoint = self._setpoint(w)
            if self._view(seen, setpoint.address) != setpoint.value:
                yield Step(setpoint.address, 0)  # what was left there must not come into force
            yield Step(SETPOINT_TYPE, mode)

    def _seize(self, seen: Seen) -> Iterator[Step]:
        """Control brings into force what was left in the setpoints, without a watchdog: so all that goes at once."""
        yield Step(CONTROL, REMOTE, urgent=True)
        yield Step(WATCHDOG, self._options.lease_s, urgent=True)
        if self._view(seen, CONTROL) != REMOTE:
            yield Step(CURRENT, 0, urgent=True)
            yield Step(POWER, 0, urgent=True)

    def _setpoint(self, w: int) -> Step:
        if self._takes_watts is not False:
            return Step(POWER, w, power_w=w)
        volts = self._seen.volts if self._seen is not None and self._seen.volts else self._volts_per_step
        # A little more voltage than at the probe is made up for by what it does not deliver; more is not.
        per_a = self._volts_per_step if volts <= self._volts_per_step * 1.03 else volts
        amperes = int(abs(w) / per_a) * (1 if w > 0 else -1)
        return Step(CURRENT, amperes, power_w=round(amperes * self._volts_per_step))

    def _ease(self, seen: Seen, w: int, setpoint: Step) -> Iterator[Step]:
        """Less power goes at once; the other direction by way of zero where it may not be taken yet."""
        before, wanted = self._view(seen, setpoint.address), setpoint.value
        if before * wanted < 0 and self._monotonic() < self._guarded_until:
            yield Step(setpoint.address, 0, urgent=True, power_w=0)
        elif before * wanted > 0 and abs(wanted) < abs(before) and self._eased_at <= seen.at:
            # Once until the next reading: one that follows the house's load must not be kept from being read at all.
            self._eased_at = self._monotonic()
            yield Step(setpoint.address, wanted, urgent=True, power_w=setpoint.power_w)

    def _start(self, seen: Seen) -> Iterator[Step]:
        if seen.state not in FLOWING and self._monotonic() - self._started_at >= RESTART_S:
            yield Step(ACTION, START)

    def _hold(self, seen: Seen) -> Iterator[Step]:
        """Zero power; the session stays as it is, unless we began it to see the charge."""
        wakes = self._wakes(seen)
        if not wakes:
            yield from self._zero(seen)
        yield from self._take(seen)
        if wakes:
            yield from self._start(seen)
            yield Step(POWER, WAKE_W, power_w=0)
        elif self._waking:
            if seen.state in IN_SESSION:
                yield from self._stop(seen)
            else:
                self._waking = False

    def _zero(self, seen: Seen) -> Iterator[Step]:
        """What is in force goes to zero at once, what is not comes to zero too."""
        in_force, other = (POWER, CURRENT) if self._view(seen, SETPOINT_TYPE) == POWER_MODE else (CURRENT, POWER)
        if self._view(seen, CONTROL) == REMOTE:
            yield Step(in_force, 0, urgent=True, power_w=0)
            yield Step(other, 0)

    def _wakes(self, seen: Seen) -> bool:
        """Whether a session of 1 W shall show the charge now: unknown, a vehicle at rest, and not tried of late."""
        now = self._monotonic()
        if self._woken_at is not None and now - self._woken_at < WAKE_FOR_S and self._waking:
            return self._soc.value is None and seen.plugged is True
        may = self._soc.value is None and seen.state in AT_REST and self._takes_watts is True and not any(seen.errors)
        if not may or self._waking or (self._woken_at is not None and now - self._woken_at < WAKE_EVERY_S):
            return False
        if any(self._view(seen, at) != value for at, value in ((CONTROL, REMOTE), (WATCHDOG, self._options.lease_s))):
            return False
        self._woken_at, self._waking, self._started_at = now, True, float("-inf")
        return True

    def _cease(self, seen: Seen) -> Iterator[Step]:
        """The session ends and no other begins by itself."""
        yield from self._seize(seen)
        yield from self._stop(seen)
        yield from self._zero(seen)
        yield Step(AUTO_START, 0, urgent=True)

    def _stop(self, seen: Seen) -> Iterator[Step]:
        if seen.state in IN_SESSION and self._monotonic() - self._stopped_at >= RETRY_S:
            yield Step(ACTION, STOP, urgent=True)

    def _let_go(self, seen: Seen) -> Iterator[Step]:
        """Our setpoint goes at once. Control goes back only if that lasts, and after the session: it would go on."""
        if self._view(seen, CONTROL) == USER:
            return
        now = self._monotonic()
        self._released_at = now if self._released_at is None else self._released_at
        yield from self._zero(seen)
        if now - self._released_at >= GIVE_BACK_AFTER_S:
            yield from self._stop(seen)
            yield Step(CONTROL, USER)

    # Doing it

    async def _go(self, seen: Seen, steps: list[Step], order: Order) -> None:
        """Write all urgent steps, or the first of the others; done when nothing is left and a reading has shown it."""
        left = [step for step in steps if step.address == ACTION or self._view(seen, step.address) != step.value]
        urgent = [step for step in left if step.urgent]
        for step in urgent:
            await self._write(seen, step, order)
        if urgent:
            raise self._under_way("what could not wait was written; its read-back is awaited")
        if self._is_quiet or seen.at < self._written_at + self._options.write_gap_s:
            raise self._under_way("what was written is not read back yet")
        if left:
            await self._take_step(seen, left[0], order)
        if isinstance(order, Stop | Pause) and seen.state in IN_SESSION:
            raise self._under_way("the session has not ended yet")
        self._tries.clear()

    async def _take_step(self, seen: Seen, step: Step, order: Order) -> None:
        if step.power_w is not None and self._monotonic() < self._guarded_until and self._is_more(seen, step):
            wait_s = self._guarded_until - self._monotonic()
            raise self._under_way(f"it still follows the last change; {step.power_w} W in {wait_s:.1f} s")
        await self._write(seen, step, order)
        raise self._under_way(f"register {step.address} was set to {step.value}; its read-back is awaited")

    def _is_more(self, seen: Seen, step: Step) -> bool:
        return abs(step.value) > abs(self._view(seen, step.address)) or step.value * self._view(seen, step.address) < 0

    def _under_way(self, what: str) -> OrderUnderWayError:
        return OrderUnderWayError(f"{self.id}: {what}")

    async def _write(self, seen: Seen, step: Step, order: Order) -> None:
        now = self._monotonic()
        await self._count_try(seen, step, now)
        if step.address == ACTION:
            self._note_action(step, now)  # also one that is refused is not repeated at once
        try:
            await self._unit.write_register(step.address, step.value & 0xFFFF)
        except DeviceRefusedError as error:
            if step.address == SETPOINT_TYPE and step.value == POWER_MODE:
                self._takes_watts = False
                raise self._under_way(f"it takes no setpoint in watts ({error.reason})") from error
            if step.address == WATCHDOG:
                await self._withdraw(seen)
            raise
        self._note_written(seen, step, self._monotonic())
        if self.on_written is not None and (step.power_w is not None or not isinstance(order, Power)):
            self.on_written()

    async def _count_try(self, seen: Seen, step: Step, now: float) -> None:
        """A value that was written twice and does not hold is refused for a while. What needs it comes to zero."""
        value, count, at = self._tries.get(step.address, (step.value, 0, now))
        if step.address == ACTION or value != step.value:
            count = 0
        if count and step.address == SETPOINT_TYPE and step.value == POWER_MODE:
            self._takes_watts = False
            raise self._under_way("it takes no setpoint in watts (it does not read back)")
        if count >= 2 and now - at < RETRY_S:
            raise self._device.refusal(
                f"register {step.address} does not keep {step.value}; another controller may command the charger",
                "not_applied",
            )
        self._tries[step.address] = step.value, count + 1, now
        if count and step.address == WATCHDOG:
            await self._withdraw(seen)

    async def _withdraw(self, seen: Seen) -> None:
        """No setpoint without a watchdog."""
        if self._view(seen, CONTROL) == REMOTE and self._in_force_w(seen):
            address = self._setpoint_register(seen)
            await self._unit.write_register(address, 0)
            self._note_written(seen, Step(address, 0, power_w=0), self._monotonic())

    def _note_written(self, seen: Seen, step: Step, now: float) -> None:
        if step.power_w is not None:
            self._guard(self._view(seen, step.address), step, now)
        self._written_at = now
        self._lease.heard()
        if step.address in (CURRENT, POWER) and step.value:
            self._own = step.address, step.value
        if step.address != ACTION:
            self._sent[step.address] = step.value, now
            self._lease.stands = self._is_standing(seen)

    def _note_action(self, step: Step, now: float) -> None:
        if step.value == START:
            self._started_at = now
        else:
            self._stopped_at, self._started_at = now, float("-inf")

    def _guard(self, before: int, step: Step, now: float) -> None:
        if step.value == 0 or (step.address == POWER and step.value == WAKE_W):
            return
        if before == 0:
            guard_s = GUARD_FROM_ZERO_S
        else:
            volts = 1 if step.address == CURRENT else self._volts_per_step
            changed_a = abs(step.value - before) / volts
            guard_s = next((guard for most_a, guard in GUARDS_S if changed_a <= most_a), LONGEST_GUARD_S)
        self._guarded_until = max(self._guarded_until, now + guard_s)

    async def close(self) -> None:
        """Let go of the connection; the charger's watchdog ends what stands."""
        self._device.close()


def _authority(seen: Seen) -> Authority:
    if seen.state == State.WALLBOX_APP:
        return Authority.APP
    return Authority.OURS if seen.ours[CONTROL] == REMOTE else Authority.UNKNOWN


def _findings(seen: Seen, *, takes_watts: bool) -> Iterator[str]:
    """What a person who installs should know, in sentences."""
    yield "It gives no backup: it lives on the grid and forms no island."
    yield "Its built-in Power Boost does not act under Modbus control: site.yaml must know the main breaker."
    if not takes_watts:
        yield "Its firmware takes no setpoint in watts: it is commanded in whole amperes."
    if seen.ours[CONTROL] == USER:
        yield "It is under user control until the first order; after a release it starts by itself at the next plug-in."
    if seen.state == State.WALLBOX_APP:
        yield "The Wallbox app has control: end its schedule or session there."
    if seen.alarms:
        yield f"It shows errors whose meaning is not public: {', '.join(seen.alarms)}."
