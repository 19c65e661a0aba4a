"""A charger that presents itself as a SunSpec DER (IEEE 1547-2018): models 1, 701 to 704 and 713 to 715.

The points are in ``sunspec_7xx``, what they mean in ``sunspec_der_reading``, what the charger can do by them in
``sunspec_der_capability``; here is how it is driven. Never written: 702, 703, 704.AntiIslEna, 715.AlarmReset.
Source: SunSpec model definitions json/model_*.json (Apache-2.0). What we make of them: docs/chargers/sunspec_der.md.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from modbus_connection import ModbusUnit
from modbus_connection.model import RegisterField

from edge_service.chargers.acquaintance import Acquaintance
from edge_service.chargers.sunspec import (
    MapMovedError,
    discover,
)
from edge_service.chargers.sunspec_7xx import (
    CAP,
    END_OF_FUNCTIONS,
    IN_WATTS,
    SCALES_FROM,
    AcControl,
    Function,
    Operation,
)
from edge_service.chargers.sunspec_der_capability import (
    capability_of,
    ends_by_itself,
    findings_of,
    function_of,
    may_carry_a_house,
)
from edge_service.chargers.sunspec_der_models import Models, SunSpecOptions, bind
from edge_service.chargers.sunspec_der_reading import (
    LOCAL,
    PERCENT_MODE,
    WATTS_MODE,
    charge_max_w,
    discharge_max_w,
    followed_w,
    fresh,
    grid_present,
    is_of_others,
    most_w,
    nominal_v,
    our_power_w,
    plugged_in,
    reading_of,
    state_of,
    their_power_w,
    voltage_and_share,
)
from edge_service.domain.model import (
    Capability,
    ChargerReading,
    Hold,
    Limits,
    Order,
    Pause,
    Power,
    Release,
    Stop,
)
from edge_service.ports import DeviceIdentity, DeviceRefusedError, FastReading

# Ratings and permission to enter service change with commissioning, not from second to second.
SLOW_EVERY = 10
# A charger needs seconds to start; a start or stop that has no effect is repeated no sooner than this.
OPERATION_RETRY_S = 10.0
# The controller's heartbeat is due once a second. A cycle of one second may come a little early; the next is not
# due the sooner for that.
HEARTBEAT_EVERY_S, HEARTBEAT_EARLY_S = 1.0, 0.1
# A renewed timer shows at least this share of the lease; one that was not renewed after a third shows less.
RENEWED_SHARE = 0.75
_REMOTE_START, _REMOTE_STOP = 1, 0


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
        self._models: Models | None = None
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

    # Who it is

    async def probe(self) -> tuple[DeviceIdentity, Capability]:
        """Find the device's models, identity and capability anew. Writes nothing."""
        models = await bind(self._unit, await discover(self._unit), self._options)
        await self._device.identify(models.common.introduce, again=True)
        await models.survey.refresh(everything=True)
        self._outlives = self._outlives and models.common.identity == self._probed
        self._models, self._probed = models, models.common.identity
        self._function = function_of(models)
        self._capability = capability_of(models, self._function, self._options)
        self._device.accept()
        self._moved = self._timer_stands = False
        self._reads, self._written = 0, None
        manufacturer, model, serial, version = models.common.identity
        findings = findings_of(models, self._function, self._capability, self._options)
        return DeviceIdentity(manufacturer, model, serial, version, findings), self._capability

    async def _known(self) -> Models:
        """The models of a device that has identified itself on this very connection."""
        if self._models is None:
            await self.probe()
        assert self._models is not None
        if self._moved:
            self._models = await bind(self._unit, await discover(self._unit), self._options)
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
        return reading_of(models, self._function, now)

    async def read_fast(self, now: datetime) -> FastReading:
        """One read of 16 registers; whether a vehicle is plugged in, for the state, is from the last full reading."""
        models = self._models
        if models is None:
            models = await self._known()
        await models.fast.refresh()
        fast = models.fast
        return FastReading(
            at=now,
            grid_present=grid_present(fast, nominal_v(models)),
            forming=fast.forming,
            voltage_v=voltage_and_share(fast, None)[0],
            power_w=our_power_w(fast.power),
            state=state_of(fast, plugged_in(fresh(models.port), fresh(models.storage))),
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

    async def _look_before_writing(self, models: Models) -> None:
        """Nothing is written to registers that were not read on this connection."""
        for model in (models.control, models.operation):
            if model is not None and (not model.fresh or self._reads == 0):
                with suppress(DeviceRefusedError):  # a refused one reads as unknown
                    await model.refresh(everything=True)

    def _require_remote(self, models: Models) -> None:
        self._device.require_accepted()
        if models.operation is not None and models.operation.control == LOCAL:
            raise self._device.refusal("the charger is in local mode; set it to remote at the charger", "local_mode")

    def _require_service(self, models: Models) -> None:
        self._require_remote(models)
        if models.service is not None and models.service.permitted == 0:
            raise self._device.refusal(
                "the charger is not permitted to enter service (703.ES); the person who locked it out must release it",
                "service_not_permitted",
            )

    async def _follow(self, models: Models, w: int) -> None:
        """A setpoint."""
        self._require_service(models)
        if self._function is None or self._function is CAP:
            raise self._device.refusal("the charger takes no power setpoint over Modbus", "not_supported")
        control = await self._orderable(models, self._function)
        self._require_within(models, w)
        await self._start(models, needed=w != 0)
        await self._have(control, self._function, self._setpoint(models, w))

    async def _limit(self, models: Models, discharge_max_w: int) -> None:
        """A cap on generation."""
        self._require_service(models)
        if self._function is not CAP:
            raise self._device.refusal("takes a setpoint or nothing, not a pair of limits", "not_supported")
        control = await self._orderable(models, CAP)
        if self._written is None and is_of_others(control, CAP):
            raise self._device.refusal(
                f"a cap of {control.cap} % that is not ours stands; it was left alone", "not_supported"
            )
        await self._start(models, needed=False)
        share = 100.0 * discharge_max_w / (most_w(models.capacity) or 1)
        points = {"revert_cap": 100, "cap_revert_enabled": 0, "cap": min(100.0, max(0.0, share)), "cap_enabled": 1}
        await self._have(control, CAP, {"cap_revert_after": self._options.lease_s, **points})

    async def _orderable(self, models: Models, function: Function) -> AcControl:
        """Model 704, read, and sure to drop an order that outlives us; else a refusal, after a start that was due."""
        control = models.control
        assert control is not None
        if not control.fresh:
            await self._start(models, needed=False)
            raise self._device.refusal("the charger did not let its setpoint be read; none was written", "not_readable")
        if self._may_carry_a_house and not ends_by_itself(control, function, may_carry=True):
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

    def _require_within(self, models: Models, w: int) -> None:
        capacity = fresh(models.capacity)
        limit = charge_max_w if w > 0 else discharge_max_w
        most = limit(capacity, self._function)
        if most is not None and abs(w) > most:
            raise self._device.refusal(f"{w} W is beyond the charger's limit of {most} W", "beyond_rating")

    def _setpoint(self, models: Models, w: int) -> dict[str, float]:
        """The points of a setpoint, in SunSpec's sign; those that the function has not are left aside."""
        return {
            "revert_after": self._options.lease_s,
            "revert_setpoint": 0,
            "revert_percent": 0,
            "revert_enabled": 0 if self._may_carry_a_house else 1,
            "setpoint_mode": WATTS_MODE if self._function is IN_WATTS else PERCENT_MODE,
            "setpoint": their_power_w(w),
            "percent": their_power_w(100 * w / (most_w(models.capacity) or 1)),
            "enabled": 1,
        }

    @property
    def _may_carry_a_house(self) -> bool:
        """Unless declared grid-parallel: "0 W, enabled" would outlive us and leave a house dark."""
        return self._models is None or may_carry_a_house(self._models, self._options)

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
                f"setpoint {followed_w(control, None)} W, cap {control.cap} %); another controller may command it",
                "not_applied",
            )

    def _timer_runs(self, control: AcControl, function: Function) -> bool:
        """Whether the lease was renewed; taken for granted where the device has no timer, or does not say."""
        left = control.timer_left_s(function)
        return left is None or left >= RENEWED_SHARE * self._options.lease_s

    async def _release(self, models: Models) -> None:
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
    def _is_stopped_over_modbus(models: Models) -> bool:
        """Off, and the stop stands in the register that only a controller writes: ours, from before a restart.

        A person's stop at the charger shows as local mode, a missing permission or a fault, and is respected.
        """
        operation = models.operation
        return models.ac.state == 0 and operation is not None and operation.operation == _REMOTE_STOP

    async def _withdraw(self, models: Models) -> None:
        """Disable what we order by, in one write and its read-back, unless it is known to be disabled."""
        ours, self._written = self._outlives or self._written is not None, None
        control, function = models.control, self._function or IN_WATTS
        if control is None or getattr(control, function.enabled) in {None, 0}:
            self._outlives = self._outlives and (control is None or getattr(control, function.enabled) is None)
            return
        if not ours and is_of_others(control, function):
            return
        self._require_remote(models)
        words = control.encoded(function, {function.enabled: 0})
        self._acted = True
        await self._send(control, function, words)
        await control.refresh()
        if not control.holds(words):
            raise self._device.refusal("the setpoint stays enabled although it was withdrawn", "not_applied")
        self._outlives = False

    async def _start(self, models: Models, *, needed: bool) -> None:
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

    async def _stop(self, models: Models) -> None:
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

    async def _stop_by_order(self, models: Models) -> None:
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

    async def _beat(self, models: Models) -> None:
        """Count the controller's heartbeat up once a second, from a completed cycle only."""
        operation = models.operation
        if operation is None or self._beat_refused or not operation.has("controller_heartbeat"):
            return
        if self._device.changed or operation.control == LOCAL:
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
