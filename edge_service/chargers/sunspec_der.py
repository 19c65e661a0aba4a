"""A charger that presents itself as a SunSpec DER (IEEE 1547-2018): models 1, 701 to 704 and 713 to 715.

The file reads like the model definitions: a point is one line, its number the offset from the model's ID register.
SunSpec counts power + for generation; ours is + for charge. It is turned round here, in ``_ours`` and
``_setpoint_points``, and nowhere else. Never written: 702, 703, 704.AntiIslEna, 715.AlarmReset.
Source: SunSpec model definitions json/model_*.json (Apache-2.0). What we make of them: docs/chargers/sunspec_der.md.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntFlag
from math import sqrt
from typing import ClassVar, Literal

from modbus_connection import ModbusUnit
from modbus_connection.model import RegisterField
from modbus_connection.model.sunspec import (
    SunSpecModels,
    bitfield16,
    bitfield32,
    enum16,
    int16,
    int32,
    sunssf,
    uint16,
    uint32,
    uint64,
)

from edge_service.chargers.sunspec import (
    MOST_HZ,
    MOST_V,
    MOST_W,
    Block,
    Common,
    MapMovedError,
    Model,
    counted,
    discover,
    within,
)
from edge_service.domain.grid import LOST_BELOW_PU, STAY_PU
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
from edge_service.ports import DeviceIdentity, DeviceRefusedError, FastReading

# Below this a running converter only covers its own losses: neither charging nor discharging.
DEAD_BAND_W = 50
# Ratings and permission to enter service change with commissioning, not from second to second.
SLOW_EVERY = 10
# A charger needs seconds to start; a start or stop that has no effect is repeated no sooner than this.
OPERATION_RETRY = timedelta(seconds=10)
# The controller's heartbeat is due once a second. A cycle of one second may come a little early; the next is not
# due the sooner for that.
HEARTBEAT_EVERY, HEARTBEAT_EARLY = timedelta(seconds=1), timedelta(seconds=0.1)
# More than any vehicle or house holds; beyond it the register holds garbage.
_MOST_CAPACITY_WH = 1e7
_LOCAL, _REMOTE_START, _REMOTE_STOP = 1, 1, 0
_WATTS_MODE, _PERCENT_MODE = 1, 0
_SPLIT_PHASE, _THREE_PHASE = 1, 2


class Alarm(IntFlag):
    """701.Alrm."""

    GROUND_FAULT = 1 << 0
    DC_OVER_VOLT = 1 << 1
    AC_DISCONNECT = 1 << 2
    DC_DISCONNECT = 1 << 3
    GRID_DISCONNECT = 1 << 4
    CABINET_OPEN = 1 << 5
    MANUAL_SHUTDOWN = 1 << 6
    OVER_TEMP = 1 << 7
    OVER_FREQUENCY = 1 << 8
    UNDER_FREQUENCY = 1 << 9
    AC_OVER_VOLT = 1 << 10
    AC_UNDER_VOLT = 1 << 11
    BLOWN_STRING_FUSE = 1 << 12
    UNDER_TEMP = 1 << 13
    MEMORY_LOSS = 1 << 14
    HW_TEST_FAILURE = 1 << 15
    MANUFACTURER_ALARM = 1 << 16


BAD_GRID = Alarm.OVER_FREQUENCY | Alarm.UNDER_FREQUENCY | Alarm.AC_OVER_VOLT | Alarm.AC_UNDER_VOLT
DISCONNECTED = Alarm.AC_DISCONNECT | Alarm.GRID_DISCONNECT


class DerMode(IntFlag):
    """701.DERMode."""

    GRID_FOLLOWING = 1 << 0
    GRID_FORMING = 1 << 1
    PV_CLIPPED = 1 << 2


class ControlModes(IntFlag):
    """702.CtrlModes, as far as we use it."""

    MAX_W = 1 << 0
    FIXED_W = 1 << 1


class IslandCategory(IntFlag):
    """702.IntIslandCatRtg."""

    UNCATEGORIZED = 1 << 0
    CAPABLE = 1 << 1
    BLACK_START = 1 << 2
    ISOCHRONOUS = 1 << 3


# ------------------------------------------------------------------------------------------------------- the models


class AcState(Model):
    """Model 701, the points of its first 19 registers: safe to read every 100 ms."""

    live: ClassVar[tuple[Block, ...]] = ((3, 16),)
    still: ClassVar[tuple[Block, ...]] = ((0, 3), (113, 4))

    wiring = enum16(2)  # ACType: 0 single phase, 1 split phase, 2 three phases
    on = enum16(3)  # St
    state = enum16(4)  # InvSt: 0 off 1 sleeping 2 starting 3 running 4 throttled 5 shutting down 6 fault 7 standby
    connected = enum16(5)  # ConnSt
    alarms = bitfield32(6, Alarm)
    mode = bitfield32(8, DerMode)
    power = int16(10, scale_register=116, unit="W")
    voltage_ll = uint16(15, scale_register=114, unit="V")
    voltage_ln = uint16(16, scale_register=114, unit="V")
    frequency = uint32(17, scale_register=115, unit="Hz")

    @property
    def forming(self) -> bool | None:
        return None if self.mode is None else DerMode.GRID_FORMING in self.mode


class AcMeasurement(AcState):
    """Model 701, the points of a whole reading."""

    live = ((0, 27),)
    still = ((113, 10),)

    energy_injected = uint64(19, scale_register=120, unit="Wh")
    energy_absorbed = uint64(23, scale_register=120, unit="Wh")


class Capacity(Model):
    """Model 702: ratings, and the settings that a commissioner may have lowered."""

    live = ((0, 52),)

    power_rating = uint16(2, scale_register=45, unit="W")
    charge_rating = uint16(10, scale_register=45, unit="W")
    discharge_rating = uint16(11, scale_register=45, unit="W")
    nominal_voltage_rating = uint16(14, scale_register=49, unit="V")
    control_modes = bitfield32(23, ControlModes)
    island_category = bitfield16(25, IslandCategory)
    power_max = uint16(26, scale_register=45, unit="W")
    charge_max = uint16(34, scale_register=45, unit="W")
    discharge_max = uint16(35, scale_register=45, unit="W")
    nominal_voltage = uint16(38, scale_register=49, unit="V")

    @property
    def can_island(self) -> bool | None:
        """Whether the charger says that it can carry an intentional island; None where it does not say."""
        if self.island_category is None:
            return None
        return bool(self.island_category & (IslandCategory.CAPABLE | IslandCategory.BLACK_START))


class EnterService(Model):
    """Model 703: whether the charger may enter service. A lock-out belongs to a person; never written."""

    live = ((0, 3),)

    permitted = enum16(2)  # ES


class AcControl(Model):
    """Model 704, the setpoint group. ``IN_SAFE_ORDER``: what makes an order die comes first, what enables it last."""

    live = ((0, 35),)
    still = ((53, 6),)

    cap_enabled = enum16(14)  # WMaxLimPctEna
    cap = uint16(15, scale_register=54, unit="%")  # WMaxLimPct
    enabled = enum16(22, writable=True)  # WSetEna
    setpoint_mode = enum16(23, writable=True)  # WSetMod: 0 % of WMax, 1 W
    setpoint = int32(24, scale_register=55, writable=True, unit="W")  # WSet
    revert_setpoint = int32(26, scale_register=55, writable=True, unit="W")  # WSetRvrt
    percent = int16(28, scale_register=56, unit="%")  # WSetPct
    revert_percent = int16(29, scale_register=56, unit="%")  # WSetPctRvrt
    revert_enabled = enum16(30, writable=True)  # WSetEnaRvrt
    revert_after = uint32(31, writable=True, unit="s")  # WSetRvrtTms
    revert_in = uint32(33, unit="s")  # WSetRvrtRem
    setpoint_exponent = sunssf(55)  # WSet_SF

    GROUP = (22, 11)
    IN_SAFE_ORDER = ("revert_after", "revert_setpoint", "revert_enabled", "setpoint_mode", "setpoint", "enabled")

    @property
    def takes_one_block(self) -> bool:
        """Whether every point of the group is there, so that one write sets all at once."""
        return self.has(*self.IN_SAFE_ORDER, "percent", "revert_percent")

    @property
    def takes_setpoint(self) -> bool:
        return self.has("enabled", "setpoint") and self.exponent is not None

    @property
    def exponent(self) -> int | None:
        value = within(self.setpoint_exponent, -10, 10)
        return None if value is None else int(value)

    def encoded(self, points: Mapping[str, float]) -> dict[int, list[int]]:
        """Offset -> words of those of ``points`` that the device implements, in safe order."""
        found = {}
        for name in self.IN_SAFE_ORDER:
            if name in points and self.has(name):
                point = self.declared_fields[name]
                assert isinstance(point, RegisterField)
                exponent = None if point.scale_register is None else self.exponent
                found[point.address] = point.encode(points[name], exponent)
        return found

    def holds(self, words: Mapping[int, list[int]]) -> bool:
        """Whether the registers, as last read, are exactly these."""
        return all(self.image.words(self.at + offset, len(part)) == part for offset, part in words.items())

    def group_with(self, words: Mapping[int, list[int]]) -> list[int]:
        """The whole setpoint group as last read, with ``words`` put in."""
        first, count = self.GROUP
        group = self.image.words(self.at + first, count)
        for offset, part in words.items():
            group[offset - first : offset - first + len(part)] = part
        return group


class Storage(Model):
    """Model 713: the battery behind the charger."""

    live = ((0, 9),)

    capacity = uint16(2, scale_register=7, unit="Wh")
    charge_state = uint16(4, scale_register=8, unit="%")  # SoC


class DcPort(Model):
    """Model 714, its first port."""

    live = ((20, 25),)
    still = ((0, 20),)

    ports = uint16(4)  # NPrt
    kind = enum16(20)  # PrtTyp: 2 EV
    status = enum16(42)  # DCSta: 0 off 1 on 2 warning 3 error


class Operation(Model):
    """Model 715: who commands, the two heartbeats, start and stop."""

    live = ((0, 9),)

    control = enum16(2)  # LocRemCtl
    heartbeat = uint32(3)  # DERHb
    controller_heartbeat = uint32(5, writable=True)  # ControllerHb
    operation = enum16(8, writable=True)  # OpCtl: 0 stop 1 start

    HEARTBEAT_AT, OPERATION_AT = 5, 8

    @property
    def takes_stop(self) -> bool:
        return self.has("operation")


@dataclass(slots=True)
class _Models:
    """The models that this device has."""

    common: Common
    ac: AcMeasurement
    fast: AcState
    capacity: Capacity | None
    service: EnterService | None
    control: AcControl | None
    storage: Storage | None
    port: DcPort | None
    operation: Operation | None


def _bind(unit: ModbusUnit, found: SunSpecModels) -> _Models:
    common, ac = found.first(1), found.first(701)
    if common is None or ac is None:
        raise DeviceRefusedError(
            f"the device has the SunSpec models {sorted(found)}, but not both 1 and 701; it is no SunSpec DER charger",
            "not_sunspec_der",
        )

    def of[M: Model](kind: type[M], model_id: int) -> M | None:
        model = found.first(model_id)
        return None if model is None else kind(unit, model)

    return _Models(
        common=Common(unit, common),
        ac=AcMeasurement(unit, ac),
        fast=AcState(unit, ac),
        capacity=of(Capacity, 702),
        service=of(EnterService, 703),
        control=of(AcControl, 704),
        storage=of(Storage, 713),
        port=of(DcPort, 714),
        operation=of(Operation, 715),
    )


# ------------------------------------------------------------------------------------------- what the registers mean


def _ours(power: float | None) -> int | None:
    """SunSpec's sign turned round: + charge. None beyond what is plausible."""
    plausible = within(power, -MOST_W, MOST_W)
    return None if plausible is None else round(-plausible)


def _first_power(*candidates: float | None) -> int | None:
    for candidate in candidates:
        if (power := within(candidate, 0, MOST_W)) is not None:
            return round(power)
    return None


def _charge_max_w(capacity: Capacity | None) -> int | None:
    if capacity is None:
        return None
    return _first_power(capacity.charge_max, capacity.charge_rating, capacity.power_max, capacity.power_rating)


def _discharge_max_w(capacity: Capacity | None) -> int | None:
    if capacity is None:
        return None
    return _first_power(capacity.discharge_max, capacity.discharge_rating, capacity.power_max, capacity.power_rating)


def _voltage_and_share(ac: AcState, nominal_v: float | None) -> tuple[float | None, float | None]:
    """The AC voltage, line to line where there are two lines, and its share of the nominal voltage."""
    line, neutral = within(ac.voltage_ll, 0, MOST_V), within(ac.voltage_ln, 0, MOST_V)
    if ac.wiring in {_SPLIT_PHASE, _THREE_PHASE} and line is None and neutral is not None:
        line = neutral * (2 if ac.wiring == _SPLIT_PHASE else sqrt(3))
    elif ac.wiring not in {_SPLIT_PHASE, _THREE_PHASE} and neutral is not None:
        line = neutral
    return line, None if line is None or not nominal_v else line / nominal_v


def grid_present(ac: AcState, nominal_v: float | None) -> bool | None:
    """Whether the grid is there, as the charger's own AC side shows; None where that cannot tell.

    A charger that forms an island measures its own voltage. AC_DISCONNECT and GRID_DISCONNECT also stand while it
    waits beside a healthy grid to enter service, so with a healthy voltage they say nothing.
    """
    if ac.forming:
        return None
    alarms = ac.alarms or Alarm(0)
    _, share = _voltage_and_share(ac, nominal_v)
    if alarms & BAD_GRID:
        return False
    if alarms & DISCONNECTED:
        return False if within(share, *STAY_PU) is None else None
    if ac.connected == 1:
        return True
    return False if share is not None and share < LOST_BELOW_PU else None


def _plugged(port: DcPort | None, storage: Storage | None) -> bool | None:
    """SunSpec has no point for it: the DC port's state, else whether there is a battery to speak of."""
    if port is not None and port.status is not None:
        return {0: False, 1: True, 2: True}.get(int(port.status))
    return True if storage is not None and storage.has("charge_state") else None


def _flowing(power_w: int | None) -> ChargerState:
    if power_w is None or abs(power_w) < DEAD_BAND_W:
        return ChargerState.IDLE
    return ChargerState.CHARGING if power_w > 0 else ChargerState.DISCHARGING


# 701.InvSt; 3 and 4 (running, throttled) go by the power that flows.
_STATES = {
    0: ChargerState.UNAVAILABLE,
    1: ChargerState.IDLE,
    2: ChargerState.PREPARING,
    5: ChargerState.IDLE,
    6: ChargerState.FAULT,
    7: ChargerState.IDLE,
}


def _state(ac: AcState, plugged: bool | None) -> ChargerState:
    state = ac.state
    if state is None:  # not implemented: 1547 asks for St only
        state = None if ac.on is None else (3 if ac.on == 1 else 0)
    known = _STATES.get(int(state)) if state is not None else None
    if known in {ChargerState.FAULT, ChargerState.UNAVAILABLE}:
        return known
    if plugged is False:
        return ChargerState.DISCONNECTED
    return known or _flowing(_ours(ac.power))


def _alarm_names(alarms: Alarm | None) -> tuple[str, ...]:
    bits = int(alarms or 0)
    known = {member.value: (member.name or "").lower() for member in Alarm}
    return tuple(known.get(1 << bit, f"alarm_bit_{bit}") for bit in range(32) if bits >> bit & 1)


def _followed_w(control: AcControl | None, capacity: Capacity | None) -> int | None:
    """The setpoint that the charger follows now; None while it follows none."""
    if control is None or control.enabled != 1:
        return None
    if control.setpoint_mode != _PERCENT_MODE:
        return _ours(control.setpoint)
    most = None if capacity is None else _first_power(capacity.power_max, capacity.power_rating)
    percent = within(control.percent, -1000, 1000)
    return None if most is None or percent is None else _ours(most * percent / 100)


def _lease_remaining_s(control: AcControl | None) -> int | None:
    if control is None or control.enabled != 1 or not control.revert_after or control.revert_in is None:
        return None
    return int(control.revert_in)


def _authority(operation: Operation | None, control: AcControl | None) -> Authority:
    if operation is not None and operation.control == _LOCAL:
        return Authority.LOCAL
    return Authority.OURS if control is not None and control.enabled == 1 else Authority.UNKNOWN


# -------------------------------------------------------------------------------------------------------- the driver


@dataclass(frozen=True, slots=True)
class SunSpecOptions:
    """What ``site.yaml`` may say about a charger of this model."""

    unit_id: int = 1
    # After so many seconds the charger drops an order that nobody renews.
    lease_s: int = 60
    # auto: as the charger says; none: it is grid-parallel only; vendor: its own gateway runs outages.
    backup: Literal["auto", "none", "vendor"] = "auto"


class SunSpecDer:
    """A SunSpec DER charger behind one Modbus unit; implements ``ports.Charger``."""

    def __init__(self, id: str, unit: ModbusUnit, options: SunSpecOptions | None = None) -> None:
        self.id = id
        self._unit = unit
        self._options = options or SunSpecOptions()
        self._models: _Models | None = None
        self._identity: tuple[str, str, str, str] | None = None
        self._capability: Capability | None = None
        self._changed = False
        self._moved = False
        self._reads = 0
        # The device is known only as long as the connection over which it was identified lives.
        self._losses = 0
        self._identified_at_loss = -1
        self._unsubscribe = unit.on_connection_lost(self._count_loss)
        self._ordering = asyncio.Lock()
        self._written: tuple[dict[int, list[int]], datetime] | None = None
        self._stopped = False
        self._operated_at: datetime | None = None
        # Whether the order under way wrote a withdrawal, a start or a stop.
        self._acted = False
        self._beats: int | None = None
        self._beat_due: datetime | None = None
        self._beat_refused = False

    @property
    def has_fast_lane(self) -> bool:
        return True

    def _count_loss(self) -> None:
        self._losses += 1

    # Who it is

    async def probe(self) -> tuple[DeviceIdentity, Capability]:
        """Find the device's models, identity and capability anew. Writes nothing."""
        losses = self._losses
        models = _bind(self._unit, await discover(self._unit))
        await models.common.refresh()
        await self._refresh(models, everything=True)
        self._models, self._identity = models, models.common.identity
        self._capability = _capability(models, self._options)
        self._changed = self._moved = False
        self._reads, self._written, self._identified_at_loss = 0, None, losses
        manufacturer, model, serial, version = models.common.identity
        findings = _findings(models, self._capability, self._options)
        return DeviceIdentity(manufacturer, model, serial, version, findings), self._capability

    async def _known(self) -> _Models:
        """The models of a device that has identified itself on this very connection."""
        if self._models is None:
            await self.probe()
        assert self._models is not None
        if self._moved:
            self._models = _bind(self._unit, await discover(self._unit))
            self._moved, self._changed, self._reads, self._written = False, True, 0, None
        if self._identified_at_loss != self._losses:
            losses = self._losses
            await self._models.common.refresh()
            self._changed = self._changed or self._models.common.identity != self._identity
            self._reads, self._written = 0, None
            self._identified_at_loss = losses
        return self._models

    # Reading

    async def _refresh(self, models: _Models, *, everything: bool) -> None:
        await models.ac.refresh(everything=everything)
        for model in (models.control, models.operation, models.storage, models.port):
            await _try(model, everything=everything)
        if everything:
            await _try(models.capacity)
            await _try(models.service)

    async def read(self, now: datetime) -> ChargerReading:
        """Read it all in five block reads of at most 40 registers; ratings and permission every tenth time.

        A block that the device refuses leaves its values unknown; without 701 it raises DeviceError.
        """
        models = await self._known()
        try:
            await self._refresh(models, everything=self._reads % SLOW_EVERY == 0)
        except MapMovedError:
            self._moved = True  # the next read learns the new map; orders wait for a probe
            raise
        self._reads += 1
        return _reading(models, now)

    async def read_fast(self, now: datetime) -> FastReading:
        """One read of 16 registers; whether a vehicle is plugged in, for the state, is from the last full reading."""
        models = self._models
        if models is None:
            models = await self._known()
        await models.fast.refresh()
        fast = models.fast
        return FastReading(
            at=now,
            grid_present=grid_present(fast, _nominal_v(models)),
            forming=fast.forming,
            voltage_v=_voltage_and_share(fast, None)[0],
            power_w=_ours(fast.power),
            state=_state(fast, _plugged(_fresh(models.port), _fresh(models.storage))),
        )

    # Ordering

    async def order(self, order: Order, now: datetime) -> None:
        """See ``ports.Charger``. ``Hold`` and ``Pause`` are a setpoint of 0 W.

        ``Stop`` ceases operation and withdraws the setpoint. ``Power``, ``Hold`` and ``Pause`` start again what is
        stopped; ``Release`` only what a stop over Modbus stopped: ours, also from before a restart. Refusal
        reasons: ``local_mode``, ``service_not_permitted``, ``identity_changed``, ``not_supported``,
        ``beyond_rating``, ``not_applied``.
        """
        async with self._ordering:
            models = await self._known()
            await self._look_before_writing(models)
            self._acted = False
            match order:
                case Power(w=w):
                    await self._follow(models, w, now)
                case Hold() | Pause():
                    await self._follow(models, 0, now)
                case Stop():
                    await self._stop(models, now)
                case Release():
                    await self._release(models, now)
                case Limits():
                    raise self._refusal("takes a setpoint, not a pair of limits", "not_supported")
            # The act that follows a withdrawal, a start or a stop must not wait for a heartbeat; the next cycle beats.
            if not self._acted and not (isinstance(order, Release) and self._options.backup == "vendor"):
                await self._beat(models, now)

    async def _look_before_writing(self, models: _Models) -> None:
        """Nothing is written to registers that were not read on this connection."""
        for model in (models.control, models.operation):
            if model is not None and (not model.fresh or self._reads == 0):
                await _try(model, everything=True)

    def _refusal(self, why: str, reason: str) -> DeviceRefusedError:
        return DeviceRefusedError(f"{self.id}: {why}", reason)

    def _require_remote(self, models: _Models) -> None:
        if self._changed:
            raise self._refusal(
                "another device, firmware or register map answers; probe it again before it may be commanded",
                "identity_changed",
            )
        if models.operation is not None and models.operation.control == _LOCAL:
            raise self._refusal("the charger is in local mode; set it to remote at the charger", "local_mode")

    def _require_service(self, models: _Models) -> None:
        self._require_remote(models)
        if models.service is not None and models.service.permitted == 0:
            raise self._refusal(
                "the charger is not permitted to enter service (703.ES); the person who locked it out must release it",
                "service_not_permitted",
            )

    async def _follow(self, models: _Models, w: int, now: datetime) -> None:
        self._require_service(models)
        control = models.control
        if self._capability is None or self._capability.control is not Control.SIGNED or control is None:
            raise self._refusal("the charger takes no power setpoint over Modbus", "not_supported")
        if not control.fresh:
            await self._start(models, now, needed=False)
            raise self._refusal("the charger did not let its setpoint be read; none was written", "not_readable")
        self._require_within(models, w)
        await self._start(models, now, needed=w != 0)
        wanted = self._encoded(control, w)
        if self._due(control, wanted, now):
            await self._write(control, wanted)
            self._written = wanted, now

    def _require_within(self, models: _Models, w: int) -> None:
        capacity = _fresh(models.capacity)
        most = _charge_max_w(capacity) if w > 0 else _discharge_max_w(capacity)
        if most is not None and abs(w) > most:
            raise self._refusal(f"{w} W is beyond the charger's limit of {most} W", "beyond_rating")

    def _encoded(self, control: AcControl, w: int) -> dict[int, list[int]]:
        try:
            return control.encoded(self._setpoint_points(control, w))
        except OverflowError as error:
            raise self._refusal(f"{w} W does not fit into the setpoint register ({error})", "beyond_rating") from error

    def _setpoint_points(self, control: AcControl, w: int) -> dict[str, float]:
        step_w = 10.0 ** (control.exponent or 0)
        return {
            "revert_after": self._options.lease_s,
            "revert_setpoint": 0,
            "revert_enabled": 0 if self._may_carry_a_house else 1,
            "setpoint_mode": _WATTS_MODE,
            "setpoint": -int(w / step_w) * step_w,
            "enabled": 1,
        }

    @property
    def _may_carry_a_house(self) -> bool:
        """Unless declared grid-parallel: "0 W, enabled" would outlive us and leave a house dark."""
        if self._options.backup == "none":
            return False
        capacity = self._models.capacity if self._models is not None else None
        return self._options.backup == "vendor" or capacity is None or capacity.can_island is not False

    def _due(self, control: AcControl, wanted: dict[int, list[int]], now: datetime) -> bool:
        if self._written is None or self._written[0] != wanted or not control.holds(wanted):
            return True
        age = now - self._written[1]
        return not timedelta() <= age < timedelta(seconds=self._options.lease_s / 3)

    async def _write(self, control: AcControl, words: Mapping[int, list[int]]) -> None:
        if control.takes_one_block:
            await self._unit.write_registers(control.at + control.GROUP[0], control.group_with(words))
        else:
            for offset, part in words.items():
                await self._unit.write_registers(control.at + offset, part)
        await control.refresh()
        if not control.holds(words):
            raise self._refusal(
                f"the setpoint reads back otherwise than written ({_followed_w(control, None)} W, enabled "
                f"{control.enabled}); another controller may command the charger",
                "not_applied",
            )

    async def _release(self, models: _Models, now: datetime) -> None:
        """Start what a stop left off even where the withdrawal is refused: in an outage the start lights the house."""
        refusal: DeviceRefusedError | None = None
        try:
            await self._withdraw(models)
        except DeviceRefusedError as error:
            refusal = error
        if self._stopped or self._is_stopped_over_modbus(models):
            await self._start(models, now, needed=True)
        if refusal is not None:
            raise refusal

    @staticmethod
    def _is_stopped_over_modbus(models: _Models) -> bool:
        """Off, and the stop stands in the register that only a controller writes: ours, from before a restart.

        A person's stop at the charger shows as local mode, a missing permission or a fault, and is respected.
        """
        operation = models.operation
        return models.ac.state == 0 and operation is not None and operation.operation == _REMOTE_STOP

    async def _withdraw(self, models: _Models) -> None:
        """Disable the setpoint, in one write and its read-back, unless it is known to be disabled."""
        self._written = None
        control = models.control
        if control is None or not control.has("enabled") or control.enabled == 0:
            return
        self._require_remote(models)
        words = control.encoded({"enabled": 0})
        self._acted = True
        for offset, part in words.items():
            await self._unit.write_registers(control.at + offset, part)
        await control.refresh()
        if not control.holds(words):
            raise self._refusal("the setpoint stays enabled although it was withdrawn", "not_applied")

    async def _start(self, models: _Models, now: datetime, *, needed: bool) -> None:
        """Start what is stopped. Standing by is left alone until power is wanted. The state tells whether it starts."""
        operation = models.operation
        if operation is None or not operation.takes_stop:
            return
        stopped = models.ac.state == 0 or (models.ac.state == 7 and needed)
        if not self._stopped and (not stopped or operation.operation == _REMOTE_START or not self._may_operate(now)):
            return
        self._require_service(models)
        await self._operate(operation, _REMOTE_START, now)
        self._stopped = False

    async def _stop(self, models: _Models, now: datetime) -> None:
        self._require_remote(models)
        operation = models.operation
        if operation is None or not operation.takes_stop:
            await self._follow(models, 0, now)
            return
        running = models.ac.state in {2, 3, 4} and self._may_operate(now)
        try:
            if not self._stopped or operation.operation != _REMOTE_STOP or running:
                await self._cease(operation, now)
        except DeviceRefusedError:
            # A charger that will not cease is at least held to no power of ours.
            await self._withdraw(models)
            raise
        await self._withdraw(models)

    async def _cease(self, operation: Operation, now: datetime) -> None:
        await self._operate(operation, _REMOTE_STOP, now)
        await operation.refresh()
        if operation.operation != _REMOTE_STOP:
            raise self._refusal(f"715.OpCtl reads {operation.operation} although stop was written", "not_applied")
        self._stopped = True

    def _may_operate(self, now: datetime) -> bool:
        return self._operated_at is None or abs(now - self._operated_at) >= OPERATION_RETRY

    async def _operate(self, operation: Operation, value: int, now: datetime) -> None:
        self._operated_at, self._acted = now, True
        await self._unit.write_registers(operation.at + operation.OPERATION_AT, [value])

    async def _beat(self, models: _Models, now: datetime) -> None:
        """Count the controller's heartbeat up once a second, from a completed cycle only."""
        operation = models.operation
        if operation is None or self._beat_refused or not operation.has("controller_heartbeat"):
            return
        if self._changed or operation.control == _LOCAL:
            return
        if not self._beat_is_due(now):
            return
        last = self._beats if self._beats is not None else int(operation.controller_heartbeat or 0)
        self._beats = (last + 1) % 0xFFFF_FFFF  # all ones would mean "not implemented"
        try:
            await self._unit.write_registers(
                operation.at + operation.HEARTBEAT_AT, [self._beats >> 16, self._beats & 0xFFFF]
            )
        except DeviceRefusedError:
            self._beat_refused = True

    def _beat_is_due(self, now: datetime) -> bool:
        """Whether it is time; if so, it is next due a second later. A clock that was set back is started anew."""
        due = self._beat_due if self._beat_due is not None else now
        if HEARTBEAT_EARLY < due - now <= HEARTBEAT_EVERY + HEARTBEAT_EARLY:
            return False
        soon = timedelta() < due - now <= HEARTBEAT_EARLY
        self._beat_due = (due if soon else now) + HEARTBEAT_EVERY
        return True

    async def close(self) -> None:
        """Forget the connection. Writes nothing: what stands dies with its lease."""
        self._unsubscribe()


async def _try(model: Model | None, *, everything: bool = False) -> None:
    """Refresh a block without which we can go on; a refused one reads as unknown."""
    if model is None:
        return
    try:
        await model.refresh(everything=everything)
    except DeviceRefusedError:
        return


def _fresh[M: Model](model: M | None) -> M | None:
    return model if model is not None and model.fresh else None


def _nominal_v(models: _Models) -> float | None:
    capacity = models.capacity
    if capacity is None:
        return None
    return within(capacity.nominal_voltage, 1, MOST_V) or within(capacity.nominal_voltage_rating, 1, MOST_V)


def _reading(models: _Models, now: datetime) -> ChargerReading:
    ac, capacity = models.ac, _fresh(models.capacity)
    control, operation = _fresh(models.control), _fresh(models.operation)
    storage, service = _fresh(models.storage), _fresh(models.service)
    plugged = _plugged(_fresh(models.port), storage)
    gone = plugged is False
    soc_pct = None if gone or storage is None else within(storage.charge_state, 0, 100)
    capacity_wh = None if gone or storage is None else within(storage.capacity, 1, _MOST_CAPACITY_WH)
    return ChargerReading(
        at=now,
        state=_state(ac, plugged),
        authority=_authority(operation, control),
        plugged=plugged,
        power_w=_ours(ac.power),
        soc_pct=soc_pct,
        capacity_wh=None if capacity_wh is None else round(capacity_wh),
        charge_max_w=0 if gone else _charge_max_w(capacity),
        discharge_max_w=0 if gone else _discharge_max_w(capacity),
        setpoint_w=_followed_w(control, capacity),
        lease_remaining_s=_lease_remaining_s(control),
        grid_present=grid_present(ac, _nominal_v(models)),
        forming=ac.forming,
        service_permitted=None if service is None or service.permitted is None else service.permitted == 1,
        voltage_v=_voltage_and_share(ac, None)[0],
        frequency_hz=within(ac.frequency, 0, MOST_HZ),
        energy_charged_wh=counted(ac.energy_absorbed),
        energy_discharged_wh=counted(ac.energy_injected),
        heartbeat=None if operation is None or operation.heartbeat is None else int(operation.heartbeat),
        alarms=_alarm_names(ac.alarms),
    )


# -------------------------------------------------------------------------------------------------------- capability


def _control(models: _Models) -> Control:
    control, capacity = _fresh(models.control), _fresh(models.capacity)
    if control is None:
        return Control.NONE
    modes = capacity.control_modes if capacity is not None else None
    if control.takes_setpoint and (modes is None or ControlModes.FIXED_W in modes):
        return Control.SIGNED
    return Control.GENERATION_CAP if control.has("cap_enabled", "cap") else Control.NONE


def _backup(models: _Models, options: SunSpecOptions) -> Backup:
    if options.backup != "auto":
        return Backup.VENDOR if options.backup == "vendor" else Backup.NONE
    can_form = models.capacity is not None and models.capacity.can_island
    return Backup.CAN_FORM if can_form and _takes_stop(models) else Backup.NONE


def _takes_stop(models: _Models) -> bool:
    """Without it an island could not be ended: the house must be dead before the switch closes onto the grid."""
    return models.operation is not None and models.operation.takes_stop


def _capability(models: _Models, options: SunSpecOptions) -> Capability:
    control, capacity = models.control, _fresh(models.capacity)
    exponent = control.exponent if control is not None else None
    return Capability(
        control=_control(models),
        charge_rating_w=_charge_max_w(capacity) or 0,
        discharge_rating_w=_discharge_max_w(capacity) or 0,
        step_w=10 ** max(0, exponent or 0),
        lease=Lease.TIMER if control is not None and control.has("revert_after") else Lease.NONE,
        backup=_backup(models, options),
    )


def _findings(models: _Models, capability: Capability, options: SunSpecOptions) -> tuple[str, ...]:
    """What is missing or remarkable, in sentences for the person who installs."""
    control, operation, port = models.control, models.operation, models.port
    unleased = control is not None and capability.control is Control.SIGNED and capability.lease is Lease.NONE
    remarks = {
        "It has no model 702: its ratings are not known, so it gets no power.": models.capacity is None,
        "It has no model 703: whether it may enter service is not known.": models.service is None,
        "It has no model 704: it cannot be commanded.": control is None,
        "It takes no power setpoint, only a cap of what it generates: it serves limits, not events.": (
            capability.control is Control.GENERATION_CAP
        ),
        "It takes neither a setpoint nor a cap: it can only be read.": (
            control is not None and capability.control is Control.NONE
        ),
        "It has no reversion timer: an order outlives a controller that dies.": unleased,
        "As it might carry the house, it gets no orders; if it never does, say backup: none.": (
            unleased and capability.backup is not Backup.NONE
        ),
        "Its setpoint group is incomplete: an order takes several writes instead of one.": (
            control is not None and capability.control is Control.SIGNED and not control.takes_one_block
        ),
        "It does not say its state (701.InvSt): only on, off and power are known.": not models.ac.has("state"),
        "It does not say whether it forms an island (701.DERMode).": not models.ac.has("mode"),
        "It does not say whether it can form an island (702.IntIslandCatRtg).": (
            models.capacity is not None and models.capacity.can_island is None
        ),
        "It has no model 713: the vehicle's charge is not known.": models.storage is None,
        "It has no model 714: whether a vehicle is plugged in is a guess.": port is None,
        "It has several DC ports; only the first is read.": port is not None and (port.ports or 0) > 1,
        "It has no model 715: it cannot be started or stopped, and local mode is not seen.": operation is None,
        "It cannot be stopped over Modbus (715.OpCtl), so its island could not be ended: it gives no backup.": (
            options.backup == "auto"
            and models.capacity is not None
            and bool(models.capacity.can_island)
            and not _takes_stop(models)
        ),
        "It is in local mode: set it to remote at the charger.": operation is not None and operation.control == _LOCAL,
        "It is not permitted to enter service (703.ES): the person who locked it out must release it.": (
            models.service is not None and models.service.permitted == 0
        ),
    }
    return tuple(sentence for sentence, holds in remarks.items() if holds)
