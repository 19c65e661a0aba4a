"""A charger that presents itself as a SunSpec DER (IEEE 1547-2018): models 1, 701 to 704 and 713 to 715.

The points are in ``sunspec_7xx``. SunSpec counts power + for generation; ours is + for charge. It is turned round
here, in ``_ours`` and ``_theirs``, and nowhere else. Never written: 702, 703, 704.AntiIslEna, 715.AlarmReset.
Source: SunSpec model definitions json/model_*.json (Apache-2.0). What we make of them: docs/chargers/sunspec_der.md.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from math import ceil, sqrt
from typing import Literal

from modbus_connection import ModbusUnit
from modbus_connection.model import RegisterField
from modbus_connection.model.sunspec import (
    SunSpecModels,
)

from edge_service.chargers.acquaintance import Acquaintance
from edge_service.chargers.plausible import MOST_HZ, MOST_V, MOST_W, counted, within
from edge_service.chargers.sunspec import (
    LONGEST_READ,
    SLICE,
    Common,
    MapMovedError,
    Model,
    Survey,
    discover,
)
from edge_service.chargers.sunspec_7xx import (
    BAD_GRID,
    CAP,
    DISCONNECTED,
    END_OF_FUNCTIONS,
    IN_BOTH,
    IN_PERCENT,
    IN_WATTS,
    SCALES_FROM,
    AcControl,
    AcMeasurement,
    AcState,
    Alarm,
    Capacity,
    ControlModes,
    DcPort,
    DcPorts,
    EnterService,
    Function,
    Operation,
    Storage,
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
OPERATION_RETRY_S = 10.0
# The controller's heartbeat is due once a second. A cycle of one second may come a little early; the next is not
# due the sooner for that.
HEARTBEAT_EVERY_S, HEARTBEAT_EARLY_S = 1.0, 0.1
# More than any vehicle or house holds; beyond it the register holds garbage.
_MOST_CAPACITY_WH = 1e7
# A renewed timer shows at least this share of the lease; one that was not renewed after a third shows less.
RENEWED_SHARE = 0.75
# IEEE 1547-2018 asks of measured active power 5 % of the rating at least (table 3), the models say nothing. We ask it
# of the order: else an order of 0 W would be kept by hundreds of watts.
TOLERANCE_SHARE, TOLERANCE_W = 0.05, 150
# IEEE 1547-2018, 4.6.2: how soon power must be below a new cap.
CAP_SETTLES_S = 30.0
SETPOINT_SETTLES_S = 5.0
_LOCAL, _REMOTE_START, _REMOTE_STOP = 1, 1, 0
_WATTS_MODE, _PERCENT_MODE = 1, 0
_SPLIT_PHASE, _THREE_PHASE = 1, 2


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
    ports: DcPorts | None
    operation: Operation | None
    # The port of the vehicle, its number and how many there are.
    port: DcPort | None = None
    port_number: int = 0
    port_count: int = 0
    survey: Survey = field(init=False)

    def plan(self, unit: ModbusUnit, most: int) -> None:
        """Which of them a reading brings."""
        found = (self.ac, self.capacity, self.service, self.control, self.storage, self.ports, self.port)
        models = (model for model in (*found, self.operation) if model is not None)
        self.survey = Survey(unit, models, needed=(self.ac,), most=most)


async def _bind(unit: ModbusUnit, found: SunSpecModels, options: SunSpecOptions) -> _Models:
    common, ac = found.first(1), found.first(701)
    if common is None or ac is None:
        raise DeviceRefusedError(
            f"the device has the SunSpec models {sorted(found)}, but not both 1 and 701; it is no SunSpec DER charger",
            "not_sunspec_der",
        )
    most = options.longest_read

    def of[M: Model](kind: type[M], model_id: int) -> M | None:
        model = found.first(model_id)
        return None if model is None else kind(unit, model, most=most)

    models = _Models(
        common=Common(unit, common, most=most),
        ac=AcMeasurement(unit, ac, most=most),
        fast=AcState(unit, ac, most=most),
        capacity=of(Capacity, 702),
        service=of(EnterService, 703),
        control=of(AcControl, 704),
        storage=of(Storage, 713),
        ports=of(DcPorts, 714),
        operation=of(Operation, 715),
    )
    if (at := found.first(714)) is not None:
        count = max(0, min((at.span - DcPorts.FIRST_AT) // DcPorts.SPAN, DcPorts.MOST))
        await _find_port(models, [DcPort(unit, at, most=most, shift=n * DcPorts.SPAN) for n in range(count)], options)
    models.plan(unit, most)
    return models


async def _find_port(models: _Models, ports: list[DcPort], options: SunSpecOptions) -> None:
    """The port that was named, else the first that says that it is for a vehicle, else the first."""
    numbers = [options.dc_port] if options.dc_port else range(1, len(ports) + 1)
    models.port_count = len(ports)
    models.port_number, models.port = (1, ports[0]) if ports and not options.dc_port else (0, None)
    for number in numbers:
        if number > len(ports):
            return
        with suppress(DeviceRefusedError):  # a refused one reads as unknown
            await ports[number - 1].refresh(everything=True)
        if options.dc_port or ports[number - 1].kind == DcPort.VEHICLE:
            models.port_number, models.port = number, ports[number - 1]
            return


# ------------------------------------------------------------------------------------------- what the registers mean


def _ours(power: float | None) -> int | None:
    """SunSpec's sign turned round: + charge. None beyond what is plausible."""
    plausible = within(power, -MOST_W, MOST_W)
    return None if plausible is None else round(-plausible)


def _theirs(value: float) -> float:
    """Our sign turned round: + generation."""
    return -value


def _first_power(*candidates: float | None) -> int | None:
    for candidate in candidates:
        if (power := within(candidate, 0, MOST_W)) is not None:
            return round(power)
    return None


def _most_w(capacity: Capacity | None) -> int | None:
    """702.WMax, of which percents count; None where it is not known."""
    return None if capacity is None else _first_power(capacity.power_max, capacity.power_rating) or None


def _charge_max_w(capacity: Capacity | None, function: Function | None) -> int | None:
    if capacity is None:
        return None
    most = _first_power(capacity.charge_max, capacity.charge_rating, capacity.power_max, capacity.power_rating)
    return _in_percent(most, capacity, function)


def _discharge_max_w(capacity: Capacity | None, function: Function | None) -> int | None:
    if capacity is None:
        return None
    most = _first_power(capacity.discharge_max, capacity.discharge_rating, capacity.power_max, capacity.power_rating)
    return _in_percent(most, capacity, function)


def _in_percent(most: int | None, capacity: Capacity, function: Function | None) -> int | None:
    """A setpoint in percent ends at 100 % of WMax."""
    whole = _most_w(capacity)
    if function not in {IN_PERCENT, IN_BOTH} or most is None or whole is None:
        return most
    return min(most, whole)


def _capped_w(control: AcControl | None, capacity: Capacity | None) -> int | None:
    """To what the cap on generation lets the charger discharge; None where none stands or it is not known."""
    most = _most_w(capacity)
    if control is None or control.cap_enabled != 1 or most is None:
        return None
    percent = within(control.cap, 0, 1000)
    return None if percent is None else int(min(most, most * percent / 100))


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
    alarms = int(ac.alarms or 0)
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


_ALARM_NAMES = {member.value: (member.name or "").lower() for member in Alarm}


@cache
def _alarm_names(bits: int) -> tuple[str, ...]:
    return tuple(_ALARM_NAMES.get(1 << bit, f"alarm_bit_{bit}") for bit in range(32) if bits >> bit & 1)


def _followed_w(control: AcControl | None, capacity: Capacity | None) -> int | None:
    """The setpoint that the charger follows now; None while it follows none."""
    if control is None or control.enabled != 1:
        return None
    in_percent = control.setpoint_mode == _PERCENT_MODE if control.has("setpoint_mode") else not control.has("setpoint")
    if not in_percent:
        return _ours(control.setpoint)
    most, percent = _most_w(capacity), within(control.percent, -1000, 1000)
    return None if most is None or percent is None else _ours(most * percent / 100)


def _limits(control: AcControl | None, capacity: Capacity | None) -> Limits | None:
    """The cap that stands; charging is not limited by it, only by the charger itself."""
    capped, charge = _capped_w(control, capacity), _charge_max_w(capacity, CAP)
    return None if capped is None or charge is None else Limits(charge, capped)


def _is_of_others(control: AcControl, function: Function) -> bool:
    """A cap without a running timer is not ours: an installer's or the utility's, meant to stay.

    One of 100 % binds nobody, and is what ours reverts to where its enable stays.
    """
    if function is not CAP or control.cap_enabled != 1 or not control.has(CAP.timer, CAP.timer_left):
        return False
    return control.cap_revert_in == 0 and (control.cap is None or control.cap < 100)


def _authority(operation: Operation | None, control: AcControl | None, function: Function | None) -> Authority:
    if operation is not None and operation.control == _LOCAL:
        return Authority.LOCAL
    if control is None or function is None or getattr(control, function.enabled) != 1:
        return Authority.UNKNOWN
    return Authority.UNKNOWN if _is_of_others(control, function) else Authority.OURS


# -------------------------------------------------------------------------------------------------------- the driver


@dataclass(frozen=True, slots=True)
class SunSpecOptions:
    """What ``site.yaml`` may say about a charger of this model."""

    unit_id: int = 1
    # After so many seconds the charger drops an order that nobody renews.
    lease_s: int = 60
    # auto: as the charger says; none: it is grid-parallel only; vendor: its own gateway runs outages.
    backup: Literal["auto", "none", "vendor"] = "auto"
    # Which DC port is the vehicle's, from 1; 0: the one that says so.
    dc_port: int = field(default=0, metadata={"min": 0, "max": 8, "help": "which DC port is the vehicle's"})
    # Read at most 40 registers at once, for a slow line behind a gateway.
    slices: bool = False

    @property
    def longest_read(self) -> int:
        return SLICE if self.slices else LONGEST_READ


class SunSpecDer:
    """A SunSpec DER charger behind a Modbus unit; implements ``ports.Charger``. ``monotonic`` gives rising seconds."""

    def __init__(
        self,
        id: str,
        unit: ModbusUnit,
        options: SunSpecOptions | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = id
        self.on_written: Callable[[], None] | None = None
        self._unit = unit
        self._options = options or SunSpecOptions()
        self._monotonic = monotonic
        self._device = Acquaintance[tuple[str, str, str, str]](id, unit)
        self._probed: tuple[str, str, str, str] | None = None
        self._models: _Models | None = None
        self._capability: Capability | None = None
        self._function: Function | None = None
        # Its timer did not run although it was armed: it gets no orders until it is probed again.
        self._timer_stands = False
        # An order of ours is enabled under no timer, and its withdrawal has not read back yet.
        self._outlives = False
        self._moved = False
        self._reads = 0
        self._ordering = asyncio.Lock()
        self._written: tuple[dict[int, list[int]], float] | None = None
        self._encoding: tuple[tuple[object, ...], dict[int, list[int]]] | None = None
        self._stopped = False
        self._operated_at = float("-inf")
        # Whether the order under way wrote a withdrawal, a start or a stop.
        self._acted = False
        self._beats: int | None = None
        self._beat_due = float("-inf")
        self._beat_refused = False

    @property
    def has_fast_lane(self) -> bool:
        return True

    # Who it is

    async def probe(self) -> tuple[DeviceIdentity, Capability]:
        """Find the device's models, identity and capability anew. Writes nothing."""
        models = await _bind(self._unit, await discover(self._unit), self._options)
        await self._device.identify(models.common.introduce, again=True)
        await models.survey.refresh(everything=True)
        self._outlives = self._outlives and models.common.identity == self._probed
        self._models, self._probed = models, models.common.identity
        self._function = _function(models)
        self._capability = _capability(models, self._function, self._options)
        self._device.accept()
        self._moved = self._timer_stands = False
        self._reads, self._written = 0, None
        manufacturer, model, serial, version = models.common.identity
        findings = _findings(models, self._function, self._capability, self._options)
        return DeviceIdentity(manufacturer, model, serial, version, findings), self._capability

    async def _known(self) -> _Models:
        """The models of a device that has identified itself on this very connection."""
        if self._models is None:
            await self.probe()
        assert self._models is not None
        if self._moved:
            self._models = await _bind(self._unit, await discover(self._unit), self._options)
            self._device.suspect()
            self._moved, self._reads, self._written = False, 0, None
        await self._device.identify(self._introduce)
        return self._models

    async def _introduce(self) -> tuple[str, str, str, str]:
        """What was read or written over another connection counts no longer."""
        assert self._models is not None
        identity = await self._models.common.introduce()
        self._reads, self._written = 0, None
        return identity

    # Reading

    async def read(self, now: datetime) -> ChargerReading:
        """Read it all, in three requests in the usual map; ratings and permission every tenth time.

        A block that the device refuses leaves its values unknown; without 701 it raises DeviceError.
        """
        models = await self._known()
        try:
            await models.survey.refresh(everything=self._reads % SLOW_EVERY == 0)
        except MapMovedError:
            self._moved = True  # the next read learns the new map; orders wait for a probe
            raise
        self._reads += 1
        return _reading(models, self._function, now)

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

        ``Limits`` is for a charger that only takes a cap: it caps the discharge, charging goes on as the charger likes.
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
                    await self._follow(models, w)
                case Hold() | Pause():
                    await self._follow(models, 0)
                case Stop():
                    await self._stop(models)
                case Release():
                    await self._release(models)
                case Limits(discharge_max_w=w):
                    await self._limit(models, w)
            # The act that follows a withdrawal, a start or a stop must not wait for a heartbeat; the next cycle beats.
            if not self._acted and not (isinstance(order, Release) and self._options.backup == "vendor"):
                await self._beat(models)

    async def _look_before_writing(self, models: _Models) -> None:
        """Nothing is written to registers that were not read on this connection."""
        for model in (models.control, models.operation):
            if model is not None and (not model.fresh or self._reads == 0):
                with suppress(DeviceRefusedError):  # a refused one reads as unknown
                    await model.refresh(everything=True)

    def _require_remote(self, models: _Models) -> None:
        self._device.require_accepted()
        if models.operation is not None and models.operation.control == _LOCAL:
            raise self._device.refusal("the charger is in local mode; set it to remote at the charger", "local_mode")

    def _require_service(self, models: _Models) -> None:
        self._require_remote(models)
        if models.service is not None and models.service.permitted == 0:
            raise self._device.refusal(
                "the charger is not permitted to enter service (703.ES); the person who locked it out must release it",
                "service_not_permitted",
            )

    async def _follow(self, models: _Models, w: int) -> None:
        """A setpoint."""
        self._require_service(models)
        if self._function is None or self._function is CAP:
            raise self._device.refusal("the charger takes no power setpoint over Modbus", "not_supported")
        control = await self._orderable(models, self._function)
        self._require_within(models, w)
        await self._start(models, needed=w != 0)
        await self._have(control, self._function, self._setpoint(models, w))

    async def _limit(self, models: _Models, discharge_max_w: int) -> None:
        """A cap on generation."""
        self._require_service(models)
        if self._function is not CAP:
            raise self._device.refusal("takes a setpoint or nothing, not a pair of limits", "not_supported")
        control = await self._orderable(models, CAP)
        if self._written is None and _is_of_others(control, CAP):
            raise self._device.refusal(
                f"a cap of {control.cap} % that is not ours stands; it was left alone", "not_supported"
            )
        await self._start(models, needed=False)
        share = 100.0 * discharge_max_w / (_most_w(models.capacity) or 1)
        points = {"revert_cap": 100, "cap_revert_enabled": 0, "cap": min(100.0, max(0.0, share)), "cap_enabled": 1}
        await self._have(control, CAP, {"cap_revert_after": self._options.lease_s, **points})

    async def _orderable(self, models: _Models, function: Function) -> AcControl:
        """Model 704, read, and sure to drop an order that outlives us; else a refusal, after a start that was due."""
        control = models.control
        assert control is not None
        if not control.fresh:
            await self._start(models, needed=False)
            raise self._device.refusal("the charger did not let its setpoint be read; none was written", "not_readable")
        if self._may_carry_a_house and not _ends_by_itself(control, function, may_carry=True):
            await self._start(models, needed=False)
            raise self._device.refusal(
                "an order would outlive us, and the charger might carry the house", "not_supported"
            )
        if self._outlives:
            await self._withdraw(models)
        if self._timer_stands:
            raise self._device.refusal(
                "its reversion timer did not run when it was armed; probe it again", "not_applied"
            )
        return control

    def _require_within(self, models: _Models, w: int) -> None:
        capacity = _fresh(models.capacity)
        limit = _charge_max_w if w > 0 else _discharge_max_w
        most = limit(capacity, self._function)
        if most is not None and abs(w) > most:
            raise self._device.refusal(f"{w} W is beyond the charger's limit of {most} W", "beyond_rating")

    def _setpoint(self, models: _Models, w: int) -> dict[str, float]:
        """The points of a setpoint, in SunSpec's sign; those that the function has not are left aside."""
        return {
            "revert_after": self._options.lease_s,
            "revert_setpoint": 0,
            "revert_percent": 0,
            "revert_enabled": 0 if self._may_carry_a_house else 1,
            "setpoint_mode": _WATTS_MODE if self._function is IN_WATTS else _PERCENT_MODE,
            "setpoint": _theirs(w),
            "percent": _theirs(100 * w / (_most_w(models.capacity) or 1)),
            "enabled": 1,
        }

    @property
    def _may_carry_a_house(self) -> bool:
        """Unless declared grid-parallel: "0 W, enabled" would outlive us and leave a house dark."""
        return self._models is None or _may_carry_a_house(self._models, self._options)

    async def _have(self, control: AcControl, function: Function, points: Mapping[str, float]) -> None:
        """See to it that these points stand, under a timer that was started anew not long ago."""
        wanted = self._encoded(control, function, points)
        now = self._monotonic()
        if self._due(control, wanted, now):
            await self._write(control, function, wanted)
            self._written = wanted, now

    def _encoded(self, control: AcControl, function: Function, points: Mapping[str, float]) -> dict[int, list[int]]:
        """The same words as the last time for the same points, as long as the function's registers stand."""
        seen = function, points, control.words[:END_OF_FUNCTIONS], control.words[SCALES_FROM:]
        if self._encoding is not None and self._encoding[0] == seen:
            return self._encoding[1]
        try:
            words = control.encoded(function, points)
        except OverflowError as error:
            raise self._device.refusal(
                f"the order does not fit into its register ({error})", "beyond_rating"
            ) from error
        self._encoding = seen, words
        return words

    def _due(self, control: AcControl, wanted: dict[int, list[int]], now: float) -> bool:
        if self._written is None or self._written[0] != wanted or not control.holds(wanted):
            return True
        return now - self._written[1] >= self._options.lease_s / 3

    async def _write(self, control: AcControl, function: Function, words: dict[int, list[int]]) -> None:
        """Write, read back, and see the timer run.

        What starts a timer anew is the device's own: any write, one of its time, or the enabling. Each is tried; where
        none helps the order would outlive us, so it is withdrawn; each later order sees to that until it reads back.
        """
        off, on = control.encoded(function, {function.enabled: 0}), control.encoded(function, {function.enabled: 1})
        timer = {at: part for at, part in words.items() if at == _offset(control, function.timer)}
        for renewal in ((words,), (timer,), (off, on)):
            for part in renewal:
                await self._send(control, function, part)
            await control.refresh()
            self._require_held(control, function, words)
            if self._timer_runs(control, function):
                return
        self._timer_stands = self._outlives = True
        left_s = control.timer_left_s(function)
        await self._send(control, function, off)
        await control.refresh()
        self._outlives = not control.holds(off)
        raise self._device.refusal(
            f"its reversion timer shows {left_s} s after {self._options.lease_s} s were armed;"
            " the order would outlive us and was withdrawn",
            "not_applied",
        )

    async def _send(self, control: AcControl, function: Function, words: Mapping[int, list[int]]) -> None:
        first = function.block[0]
        if len(words) > 1 and control.takes_one_block(function):
            await self._unit.write_registers(control.at + first, control.block_with(function, words))
        else:
            for offset, part in words.items():
                await self._unit.write_registers(control.at + offset, part)
        if self.on_written is not None:
            self.on_written()

    def _require_held(self, control: AcControl, function: Function, words: Mapping[int, list[int]]) -> None:
        if not control.holds(words):
            raise self._device.refusal(
                f"the order reads back otherwise than written (enabled {getattr(control, function.enabled)}, "
                f"setpoint {_followed_w(control, None)} W, cap {control.cap} %); another controller may command it",
                "not_applied",
            )

    def _timer_runs(self, control: AcControl, function: Function) -> bool:
        """Whether the lease was renewed; taken for granted where the device has no timer, or does not say."""
        left = control.timer_left_s(function)
        return left is None or left >= RENEWED_SHARE * self._options.lease_s

    async def _release(self, models: _Models) -> None:
        """Start what a stop left off even where the withdrawal is refused: in an outage the start lights the house."""
        refusal: DeviceRefusedError | None = None
        try:
            await self._withdraw(models)
        except DeviceRefusedError as error:
            refusal = error
        if self._stopped or self._is_stopped_over_modbus(models):
            await self._start(models, needed=True)
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
        """Disable what we order by, in one write and its read-back, unless it is known to be disabled."""
        ours, self._written = self._outlives or self._written is not None, None
        control, function = models.control, self._function or IN_WATTS
        if control is None or getattr(control, function.enabled) in {None, 0}:
            self._outlives = self._outlives and (control is None or getattr(control, function.enabled) is None)
            return
        if not ours and _is_of_others(control, function):
            return
        self._require_remote(models)
        words = control.encoded(function, {function.enabled: 0})
        self._acted = True
        await self._send(control, function, words)
        await control.refresh()
        if not control.holds(words):
            raise self._device.refusal("the setpoint stays enabled although it was withdrawn", "not_applied")
        self._outlives = False

    async def _start(self, models: _Models, *, needed: bool) -> None:
        """Start what is stopped. Standing by is left alone until power is wanted. The state tells whether it starts."""
        operation = models.operation
        if operation is None or not operation.takes_stop:
            return
        stopped = models.ac.state == 0 or (models.ac.state == 7 and needed)
        if not self._stopped and (not stopped or operation.operation == _REMOTE_START or not self._may_operate()):
            return
        self._require_service(models)
        await self._operate(operation, _REMOTE_START)
        self._stopped = False

    async def _stop(self, models: _Models) -> None:
        self._require_remote(models)
        operation = models.operation
        if operation is None or not operation.takes_stop:
            await self._stop_by_order(models)
            return
        running = models.ac.state in {2, 3, 4} and self._may_operate()
        try:
            if not self._stopped or operation.operation != _REMOTE_STOP or running:
                await self._cease(operation)
        except DeviceRefusedError:
            # A charger that will not cease is at least held to no power of ours.
            await self._withdraw(models)
            raise
        await self._withdraw(models)

    async def _stop_by_order(self, models: _Models) -> None:
        """The nearest to a stop where there is none: 0 W, or a cap of 0 W, under which it may still charge."""
        if self._function is not CAP:
            await self._follow(models, 0)
            return
        await self._limit(models, 0)
        raise self._device.refusal(
            "it cannot be stopped: its discharge was capped, its charging cannot be", "not_supported"
        )

    async def _cease(self, operation: Operation) -> None:
        await self._operate(operation, _REMOTE_STOP)
        await operation.refresh()
        if operation.operation != _REMOTE_STOP:
            raise self._device.refusal(
                f"715.OpCtl reads {operation.operation} although stop was written", "not_applied"
            )
        self._stopped = True

    def _may_operate(self) -> bool:
        return self._monotonic() - self._operated_at >= OPERATION_RETRY_S

    async def _operate(self, operation: Operation, value: int) -> None:
        self._operated_at, self._acted = self._monotonic(), True
        await self._unit.write_registers(operation.at + operation.OPERATION_AT, [value])

    async def _beat(self, models: _Models) -> None:
        """Count the controller's heartbeat up once a second, from a completed cycle only."""
        operation = models.operation
        if operation is None or self._beat_refused or not operation.has("controller_heartbeat"):
            return
        if self._device.changed or operation.control == _LOCAL:
            return
        if not self._beat_is_due():
            return
        last = self._beats if self._beats is not None else int(operation.controller_heartbeat or 0)
        self._beats = (last + 1) % 0xFFFF_FFFF  # all ones would mean "not implemented"
        try:
            await self._unit.write_registers(
                operation.at + operation.HEARTBEAT_AT, [self._beats >> 16, self._beats & 0xFFFF]
            )
        except DeviceRefusedError:
            self._beat_refused = True

    def _beat_is_due(self) -> bool:
        """Whether it is time; if so, it is next due a second later."""
        now = self._monotonic()
        if self._beat_due - now > HEARTBEAT_EARLY_S:
            return False
        self._beat_due = max(self._beat_due, now) + HEARTBEAT_EVERY_S
        return True

    async def close(self) -> None:
        """Forget the connection. Writes nothing: what stands dies with its lease."""
        self._device.close()


def _offset(control: AcControl, name: str) -> int:
    point = control.declared_fields[name]
    assert isinstance(point, RegisterField)
    return point.address


def _fresh[M: Model](model: M | None) -> M | None:
    return model if model is not None and model.fresh else None


def _nominal_v(models: _Models) -> float | None:
    capacity = models.capacity
    if capacity is None:
        return None
    return within(capacity.nominal_voltage, 1, MOST_V) or within(capacity.nominal_voltage_rating, 1, MOST_V)


def _reading(models: _Models, function: Function | None, now: datetime) -> ChargerReading:
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
        authority=_authority(operation, control, function),
        plugged=plugged,
        power_w=_ours(ac.power),
        soc_pct=soc_pct,
        capacity_wh=None if capacity_wh is None else round(capacity_wh),
        charge_max_w=0 if gone else _charge_max_w(capacity, function),
        discharge_max_w=0 if gone else _discharge_now_w(control, capacity, function),
        setpoint_w=_followed_w(control, capacity),
        limits=_limits(control, capacity) if function is CAP else None,
        lease_remaining_s=None if control is None or function is None else control.timer_left_s(function),
        grid_present=grid_present(ac, _nominal_v(models)),
        forming=ac.forming,
        service_permitted=None if service is None or service.permitted is None else service.permitted == 1,
        voltage_v=_voltage_and_share(ac, None)[0],
        frequency_hz=within(ac.frequency, 0, MOST_HZ),
        energy_charged_wh=counted(ac.energy_absorbed),
        energy_discharged_wh=counted(ac.energy_injected),
        heartbeat=None if operation is None or operation.heartbeat is None else int(operation.heartbeat),
        alarms=_alarm_names(int(ac.alarms or 0)),
    )


def _discharge_now_w(control: AcControl | None, capacity: Capacity | None, function: Function | None) -> int | None:
    """A cap beside our setpoint is somebody else's, and binds; where we set it, it is no limit of the charger's."""
    most, capped = _discharge_max_w(capacity, function), _capped_w(control, capacity)
    return most if function is CAP or most is None or capped is None else min(most, capped)


# -------------------------------------------------------------------------------------------------------- capability


def _function(models: _Models) -> Function | None:
    """By what the charger takes orders: a setpoint in watts, in percent, or a cap; None: by nothing."""
    control, capacity = _fresh(models.control), _fresh(models.capacity)
    if control is None:
        return None
    modes = capacity.control_modes if capacity is not None else None
    if (modes is None or ControlModes.FIXED_W in modes) and control.has("enabled"):
        watts = control.takes("setpoint")
        percent = control.takes("percent") and _most_w(capacity) is not None
        if watts:
            return IN_BOTH if percent and not control.has("setpoint_mode") else IN_WATTS
        if percent:
            return IN_PERCENT
    caps = (modes is None or ControlModes.MAX_W in modes) and _most_w(capacity) is not None
    return CAP if caps and control.takes("cap_enabled", "cap") else None


def _may_carry_a_house(models: _Models, options: SunSpecOptions) -> bool:
    if options.backup == "none":
        return False
    return options.backup == "vendor" or models.capacity is None or models.capacity.can_island is not False


def _ends_by_itself(control: AcControl, function: Function, *, may_carry: bool) -> bool:
    """Whether an order that nobody renews dies, and in a way that leaves a charger free that might carry the house."""
    if not control.has(function.timer):
        return False
    # "100 %, enabled" caps nothing; "0 W, enabled" would hold the charger for ever.
    harmless = function is CAP and control.has(function.reverts_to)
    return not may_carry or harmless or control.has(function.reverts_enabled)


def _backup(models: _Models, options: SunSpecOptions) -> Backup:
    if options.backup != "auto":
        return Backup.VENDOR if options.backup == "vendor" else Backup.NONE
    can_form = models.capacity is not None and models.capacity.can_island
    return Backup.CAN_FORM if can_form and _takes_stop(models) else Backup.NONE


def _takes_stop(models: _Models) -> bool:
    """Without it an island could not be ended: the house must be dead before the switch closes onto the grid."""
    return models.operation is not None and models.operation.takes_stop


def _step_w(models: _Models, function: Function | None) -> int:
    """The smallest step of an order, in whole watts."""
    control, most = models.control, _most_w(models.capacity) or 0
    if control is None or function is None:
        return 1
    watts = control.step("setpoint") if function in {IN_WATTS, IN_BOTH} else 0
    percent = control.step("cap" if function is CAP else "percent") if function is not IN_WATTS else 0
    return max(1, ceil(max(watts, most * percent / 100) - 1e-6))


def _lease(models: _Models, function: Function | None, options: SunSpecOptions) -> Lease:
    control = models.control
    if control is None or function is None:
        return Lease.NONE
    ends = _ends_by_itself(control, function, may_carry=_may_carry_a_house(models, options))
    return Lease.TIMER if ends else Lease.NONE


def _capability(models: _Models, function: Function | None, options: SunSpecOptions) -> Capability:
    capacity = _fresh(models.capacity)
    charge_w, discharge_w = _charge_max_w(capacity, function) or 0, _discharge_max_w(capacity, function) or 0
    control = {None: Control.NONE, CAP: Control.GENERATION_CAP}.get(function, Control.SIGNED)
    return Capability(
        control=control,
        charge_rating_w=charge_w,
        discharge_rating_w=discharge_w,
        step_w=_step_w(models, function),
        settle_s=CAP_SETTLES_S if function is CAP else SETPOINT_SETTLES_S,
        tolerance_w=TOLERANCE_W,
        tolerance_share=TOLERANCE_SHARE,
        lease=_lease(models, function, options),
        backup=_backup(models, options),
    )


def _findings(
    models: _Models, function: Function | None, capability: Capability, options: SunSpecOptions
) -> tuple[str, ...]:
    """What is missing or remarkable, in sentences for the person who installs."""
    remarks = _ratings_remarks(models) | _order_remarks(models, function, capability, options)
    remarks |= _vehicle_remarks(models, options) | _operation_remarks(models, options)
    return tuple(sentence for sentence, holds in remarks.items() if holds)


def _ratings_remarks(models: _Models) -> dict[str, bool]:
    ac, capacity = models.ac, models.capacity
    return {
        "It has no model 702: its ratings are not known, so it gets no power.": capacity is None,
        "It has no model 703: whether it may enter service is not known.": models.service is None,
        "It does not say its state (701.InvSt): only on, off and power are known.": not ac.has("state"),
        "It does not say whether it forms an island (701.DERMode).": not ac.has("mode"),
        "It does not say whether it can form an island (702.IntIslandCatRtg).": (
            capacity is not None and capacity.can_island is None
        ),
    }


def _order_remarks(
    models: _Models, function: Function | None, capability: Capability, options: SunSpecOptions
) -> dict[str, bool]:
    control = models.control
    if control is None:
        return {"It has no model 704: it cannot be commanded.": True}
    if function is None:
        return {"It takes neither a setpoint nor a cap: it can only be read.": True}
    timed, leased = control.has(function.timer), capability.lease is Lease.TIMER
    return {
        "It takes no power setpoint, only a cap of what it generates: it serves limits, not events; how fast it charges"
        " cannot be limited.": function is CAP,
        "It already stands under a cap that is not on a timer: it is somebody else's and is left alone.": (
            _is_of_others(control, function)
        ),
        f"It takes its setpoint in percent of {_most_w(models.capacity)} W.": function is IN_PERCENT,
        "It does not say whether watts or percent count (704.WSetMod): an order says the same in both.": (
            function is IN_BOTH
        ),
        "It has no reversion timer: an order outlives a controller that dies.": not timed,
        "Its reversion timer cannot turn the setpoint off, only to 0 W.": (
            timed and function is not CAP and not control.has(function.reverts_enabled)
        ),
        "As it might carry the house, it gets no orders; if it never does, say backup: none.": (
            not leased and _may_carry_a_house(models, options)
        ),
        "It does not say how long an order still stands: whether a renewal takes effect is not seen.": (
            timed and not control.has(function.timer_left)
        ),
        "Its setpoint group is incomplete: an order takes several writes instead of one.": (
            not control.takes_one_block(function)
        ),
    }


def _vehicle_remarks(models: _Models, options: SunSpecOptions) -> dict[str, bool]:
    number, count, several = models.port_number, models.port_count, models.port_count > 1
    named = models.port is not None and models.port.kind == DcPort.VEHICLE
    return {
        "It has no model 713: the vehicle's charge is not known, so it is charged but never discharged.": (
            models.storage is None
        ),
        "It has no model 714: whether a vehicle is plugged in is a guess.": models.ports is None,
        f"It has {count} DC ports; port {number}, which says it is a vehicle's, is read.": several and named,
        f"It has {count} DC ports and none says it is a vehicle's: the first is read; name it by dc_port.": (
            several and number != 0 and not named and not options.dc_port
        ),
        f"DC port {number} was named as the vehicle's, but does not say so itself.": (
            bool(options.dc_port) and number != 0 and not named
        ),
        f"It has no DC port {options.dc_port}: whether a vehicle is plugged in is a guess.": (
            models.ports is not None and options.dc_port > models.port_count
        ),
    }


def _operation_remarks(models: _Models, options: SunSpecOptions) -> dict[str, bool]:
    operation, capacity = models.operation, models.capacity
    unstoppable = capacity is not None and bool(capacity.can_island) and not _takes_stop(models)
    return {
        "It has no model 715: it cannot be started or stopped, and local mode is not seen.": operation is None,
        "It cannot be stopped over Modbus (715.OpCtl), so its island could not be ended: it gives no backup.": (
            options.backup == "auto" and unstoppable
        ),
        "It is in local mode: set it to remote at the charger.": operation is not None and operation.control == _LOCAL,
        "It is not permitted to enter service (703.ES): the person who locked it out must release it.": (
            models.service is not None and models.service.permitted == 0
        ),
    }
