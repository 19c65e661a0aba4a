"""The EVtec BiDiPro 10: 10 kW, CCS. Holding registers in objects of 100, read by function 3, written by 16.

Its sign is ours: + charge. Its watchdog (42) is fed by any message, so it is read only while orders are renewed. It
takes a discharge that the session cannot give and says nothing, so that is looked at before. Sources and reasons:
docs/chargers/evtec_bidipro_10.md.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from modbus_connection import ModbusUnit
from modbus_connection.model import Component, float32, int32, string, uint64

from edge_service.chargers.acquaintance import Acquaintance
from edge_service.chargers.plausible import MOST_W, counted, text, within
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
)

MODEL_HAS = "crema"
RATING_W, LEAST_W = 10_000, 500
# Nobody has published how fast and how well it follows: these are ours, and generous.
SETTLE_S, TOLERANCE_W, TOLERANCE_SHARE = 15.0, 200, 0.05
# Less flows only for its own needs.
DEAD_BAND_W = 50
# Errors may stand so long after a boot, which we know by a new contact at the latest.
ERROR_GRACE_S = 300.0
# No car that discharges by CCS has less; a VW ID.7 says 10 kWh for its 77.
BATTERY_BELIEVED_WH = (15_000, 1_000_000)
OBJECT, CONNECTORS = 100, range(1, 11)
SUSPEND, GO_ON = 0, 1
# Types of session that can discharge: dynamic V2X, bidirectional.
BIDIRECTIONAL = frozenset({3, 5})
POWER_UNIT_ERROR = 0

SESSION_NOT_BIDIRECTIONAL = "session_not_bidirectional"
V2G_NOT_OFFERED = "v2g_not_offered"
WINDOW_UNKNOWN = "window_unknown"
WHY: Mapping[str, str] = {
    SESSION_NOT_BIDIRECTIONAL: "the session with this vehicle cannot discharge; the vehicle would have to open another",
    V2G_NOT_OFFERED: "the vehicle offers no discharge now; see its own settings and its charge",
    WINDOW_UNKNOWN: "the charger does not say what the vehicle allows",
}


# ----------------------------------------------------------------------------------------------------- the registers


class Nameplate(Component):
    """Object 0, 0 to 35: who it is."""

    version = string(0, 16)
    serial = string(16, 10)
    model = string(26, 10)


class Station(Component):
    """Object 0, 36 to 43: the charge point."""

    max_gap = 4

    connectors = int32(36)
    fallback_w = int32(38, unit="W")
    timeout_s = int32(42, writable=True, unit="s")


class Slot(Component):
    """Object X, 0 to 5: whether there is a connector at all."""

    state = int32(0)
    session_state = int32(2)
    session_type = int32(4)

    @property
    def is_configured(self) -> bool:
        return any((self.state, self.session_state, self.session_type))


class Session(Component):
    """Object X, 0 to 59: what it measures, and what charger and vehicle allow. One read, unnamed registers too."""

    max_gap = 16

    state = int32(0)
    session_type = int32(4)
    power_w = float32(10, unit="W")
    soc_permille = int32(12)
    charged_wh = float32(18, unit="Wh")
    discharged_wh = float32(20, unit="Wh")
    discharge_floor_w = float32(22, unit="W")  # below 0: discharge is offered, down to this
    charge_ceiling_w = float32(30, unit="W")  # 0 until the vehicle has told
    charge_floor_w = float32(38, unit="W")
    errors = uint64(54)
    battery_wh = float32(58, unit="Wh")


class Command(Component):
    """Object X, 86 to 89: what we write."""

    setpoint_w = int32(86, writable=True, unit="W")
    suspend_mode = int32(88, writable=True)


class State(IntEnum):
    """X+0."""

    BOOT = 0
    READY = 1
    UNAVAILABLE = 2
    RESERVED = 3
    AUTHORISE = 4
    PLUGGED = 5
    INITIALISE = 6
    CURRENT_DEMAND = 7
    GRID_FEED_IN = 8
    SESSION_STOP = 9
    WAIT_FOR_GRID = 10
    CHARGING_END = 11
    ERROR = 12


_STATES: Mapping[int, ChargerState] = {
    State.BOOT: ChargerState.BOOTING,
    State.READY: ChargerState.DISCONNECTED,
    State.UNAVAILABLE: ChargerState.UNAVAILABLE,
    State.RESERVED: ChargerState.BLOCKED,
    State.AUTHORISE: ChargerState.PREPARING,
    State.PLUGGED: ChargerState.PREPARING,
    State.INITIALISE: ChargerState.PREPARING,
    State.CURRENT_DEMAND: ChargerState.CHARGING,
    State.GRID_FEED_IN: ChargerState.DISCHARGING,
    State.SESSION_STOP: ChargerState.FINISHED,
    State.WAIT_FOR_GRID: ChargerState.IDLE,
    State.CHARGING_END: ChargerState.FINISHED,
    State.ERROR: ChargerState.FAULT,
}
PREPARING = frozenset({State.AUTHORISE, State.PLUGGED, State.INITIALISE})
IN_SESSION = frozenset(
    {State.CURRENT_DEMAND, State.GRID_FEED_IN, State.SESSION_STOP, State.WAIT_FOR_GRID, State.CHARGING_END}
)


# -------------------------------------------------------------------------------------------------------- the driver


@dataclass(frozen=True, slots=True)
class EvtecOptions:
    """What ``site.yaml`` may say about a charger of this model."""

    unit_id: int = 1
    # After so many seconds without a message the charger goes idle.
    lease_s: int = 60
    connector: int = field(
        default=0, metadata={"min": 0, "max": 10, "help": "which connector is driven; 0: the lowest that is configured"}
    )


class EvtecBidiPro10:
    """One connector of a BiDiPro 10; implements ``ports.Charger``. ``monotonic`` gives rising seconds."""

    def __init__(
        self,
        id: str,
        unit: ModbusUnit,
        options: EvtecOptions | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = id
        self.on_written: Callable[[], None] | None = None
        self._unit = unit
        self._options = options or EvtecOptions()
        self._monotonic = monotonic
        self._lease = TrafficLease(self._options.lease_s, monotonic)
        self._nameplate, self._station = Nameplate(unit), Station(unit)
        self._connector = 0
        self._session, self._command = Session(unit), Command(unit)
        self._device = Acquaintance[tuple[str, str, str]](id, unit, self._forget)
        self._looking, self._ordering = asyncio.Lock(), asyncio.Lock()
        # Whether all was read on the connection that stands.
        self._looked = False
        # The setpoint other than zero that we wrote last.
        self._own_w: int | None = None
        self._grace_until = 0.0
        # The vehicle on the plug has told its ceiling: from then on 0 means 0.
        self._ceiling_told = False

    def _forget(self) -> None:
        self._looked = self._ceiling_told = False

    # Who it is

    async def probe(self) -> tuple[DeviceIdentity, Capability]:
        """Read who it is, find the connector, read what it shows. Writes nothing."""
        self._lease.require_renewed(self.id)
        async with self._looking:
            await self._device.identify(self._introduce, again=True)
            await self._find_connector()
            await self._look()
        self._device.accept()
        model, serial, version = self._device.identity or ("", "", "")
        return DeviceIdentity("EVtec", model, serial, version, tuple(self._findings())), self._capability()

    async def _introduce(self) -> tuple[str, str, str]:
        """Model, serial, version."""
        await self._ask(self._nameplate)
        texts = (text(self._nameplate.model), text(self._nameplate.serial), text(self._nameplate.version))
        if MODEL_HAS not in texts[0].lower():
            raise DeviceRefusedError(
                f"{self.id}: model '{texts[0]}' is no BiDiPro, whose model has '{MODEL_HAS}' in it; check address, "
                "port (5020), unit number and model"
            )
        if self._device.identity not in (None, texts):
            self._own_w = None
        self._grace_until = self._monotonic() + ERROR_GRACE_S
        return texts

    async def _find_connector(self) -> None:
        """The lowest that is configured. Raises DeviceUnreachableError where none is: it may still boot."""
        number = self._options.connector
        for candidate in () if number else CONNECTORS:
            slot = Slot(self._unit, base_offset=OBJECT * candidate)
            try:
                await self._ask(slot)
            except DeviceRefusedError:
                continue
            if slot.is_configured:
                number = candidate
                break
        if not number:
            raise DeviceUnreachableError(f"{self.id}: none of its connectors is configured; it may still be booting")
        if number != self._connector:
            self._connector, self._looked, self._own_w = number, False, None
            self._session = Session(self._unit, base_offset=OBJECT * number)
            self._command = Command(self._unit, base_offset=OBJECT * number)

    async def _ask(self, block: Component) -> None:
        await block.async_update(notify=False)
        self._lease.heard()

    def _capability(self) -> Capability:
        return Capability(
            control=Control.SIGNED,
            charge_rating_w=RATING_W,
            discharge_rating_w=RATING_W,
            min_charge_w=LEAST_W,
            min_discharge_w=LEAST_W,
            settle_s=SETTLE_S,
            tolerance_w=TOLERANCE_W,
            tolerance_share=TOLERANCE_SHARE,
            lease=Lease.NONE if self._station.fallback_w else Lease.TRAFFIC,
        )

    def _findings(self) -> Iterator[str]:
        """What a person who installs should know, in sentences."""
        yield "It gives no backup and tells nothing of the grid: the meter must tell of an outage."
        yield f"Connector {self._connector} is driven."
        if (self._station.connectors or 0) > 1 and not self._options.connector:
            yield f"It has {self._station.connectors} connectors: say by connector in site.yaml which one is meant."
        if self._station.fallback_w:
            yield (
                f"Its fallback power (register 38) is {self._station.fallback_w} W: when the edge falls silent it goes "
                "on with that, and no order of ours ends by itself. Set it to 0."
            )
        for code in self._gates():
            yield f"{WHY[code][0].upper()}{WHY[code][1:]}."

    # Reading

    async def read(self, now: datetime) -> ChargerReading:
        """Read it in three blocks.

        Raises DeviceError also while it must not be read, lest its watchdog be fed, and when it took our own setpoint
        back because no watchdog of ours would end it.
        """
        self._lease.require_renewed(self.id)
        async with self._looking:
            await self._know()
            await self._look()
            await self._end_own()
        return self._reading(now)

    async def _know(self) -> None:
        await self._device.identify(self._introduce)
        if not self._connector:
            await self._find_connector()

    async def _look(self) -> None:
        for block in (self._station, self._session, self._command):
            await self._ask(block)
        self._looked = True
        if self._session.state == State.BOOT:
            self._grace_until = self._monotonic() + ERROR_GRACE_S
        if self._plugged is not True:
            self._ceiling_told = False
        elif self._session.charge_ceiling_w:
            self._ceiling_told = True
        self._note_standing()

    def _note_standing(self) -> None:
        """Whether it follows a setpoint under the timeout that we set."""
        ours = self._station.timeout_s == self._options.lease_s
        self._lease.stands = ours and bool(self._command.setpoint_w) and self._session.state in IN_SESSION

    async def _end_own(self) -> None:
        """Take back a setpoint of ours that nobody renews and that no watchdog of ours ends; what others set stays."""
        if self._own_w is None or not self._lease.cannot_end:
            return
        own_w = self._own_w
        if self._session.state not in IN_SESSION or self._command.setpoint_w != own_w:
            self._own_w = None  # what follows an end is somebody else's, though it be the same number
            return
        await self._command.write("setpoint_w", 0)
        self._lease.heard()
        raise DeviceError(
            f"{self.id}: our setpoint of {own_w} W was set to 0: nobody renews it, and another client keeps it alive, "
            f"by its messages or by the communication timeout (it is {self._station.timeout_s} s, ours is "
            f"{self._options.lease_s} s); connect no other client to this charger"
        )

    def _reading(self, now: datetime) -> ChargerReading:
        session, in_session = self._session, self._session.state in IN_SESSION
        gone = self._plugged is False
        soc, battery_wh = within(session.soc_permille, 1, 1000), within(session.battery_wh, *BATTERY_BELIEVED_WH)
        power_w = within(session.power_w, -2 * RATING_W, 2 * RATING_W)
        setpoint_w = within(self._command.setpoint_w, -RATING_W, RATING_W) if in_session else None
        return ChargerReading(
            at=now,
            state=self._state(power_w),
            authority=Authority.OURS if self._lease.stands else Authority.UNKNOWN,
            plugged=self._plugged,
            power_w=None if power_w is None else round(power_w),
            soc_pct=None if gone or soc is None else soc / 10,
            capacity_wh=None if gone or battery_wh is None else round(battery_wh),
            charge_max_w=0 if gone else self._charge_max_w,
            discharge_max_w=0 if gone else self._discharge_max_w,
            setpoint_w=None if setpoint_w is None else int(setpoint_w),
            lease_remaining_s=self._options.lease_s if self._lease.stands else None,
            energy_charged_wh=counted(session.charged_wh),
            energy_discharged_wh=counted(session.discharged_wh),
            alarms=(*_errors(session.errors), *self._gates()),
        )

    @property
    def _plugged(self) -> bool | None:
        """None in states that do not tell."""
        if self._session.state == State.READY:
            return False
        return True if self._session.state in PREPARING | IN_SESSION else None

    def _state(self, power_w: float | None) -> ChargerState:
        state = _STATES.get(int(self._session.state or 0), ChargerState.UNAVAILABLE)
        if state is ChargerState.FAULT and self._monotonic() < self._grace_until:
            return ChargerState.BOOTING
        flows = state in (ChargerState.CHARGING, ChargerState.DISCHARGING)
        return ChargerState.IDLE if flows and power_w is not None and abs(power_w) < DEAD_BAND_W else state

    # What charger and vehicle allow

    @property
    def _charge_max_w(self) -> int:
        """The vehicle's ceiling. 0 before it has told one is none; where nothing can be read nothing is allowed."""
        ceiling_w = within(self._session.charge_ceiling_w, 0, MOST_W)
        if ceiling_w is None:
            return 0
        return RATING_W if ceiling_w == 0 and not self._ceiling_told else min(int(ceiling_w), RATING_W)

    @property
    def _discharge_max_w(self) -> int:
        """As a positive number; 0 with the reason among the alarms, or before a session has begun."""
        floor_w = within(self._session.discharge_floor_w, -MOST_W, MOST_W)
        if floor_w is None or _why_no_discharge(self._session) or self._session.state not in IN_SESSION:
            return 0
        return min(int(-floor_w), RATING_W)

    def _gates(self) -> tuple[str, ...]:
        """Why a vehicle in session can take or give nothing."""
        if self._session.state not in IN_SESSION:
            return ()
        return tuple(sorted({code for why in (_why_no_charge, _why_no_discharge) if (code := why(self._session))}))

    # Ordering

    async def order(self, order: Order, now: datetime) -> None:
        """Make ``order`` so in one go, each write read back.

        What may not be followed is refused with the setpoint at 0. Refusal reasons: ``identity_changed``,
        ``not_supported``, ``beyond_rating``, ``busy``, ``device_failure``, ``session_not_bidirectional``,
        ``v2g_not_offered``, ``window_unknown``, ``dead_zone_left``, ``not_applied``, the device's own.
        """
        async with self._ordering:
            try:
                await self._order(order)
            except OrderUnderWayError:
                self._lease.renew()
                raise
            self._lease.renew()

    async def _order(self, order: Order) -> None:
        if isinstance(order, Limits):
            raise self._device.refusal("takes a setpoint, not a pair of limits", "not_supported")
        if not self._looked:
            async with self._looking:
                await self._know()
                await self._look()
        self._device.require_accepted()
        match order:
            case Power(w=w) if w:
                await self._follow(w)
            case Power() | Hold():
                await self._rest(GO_ON)
            case Stop() | Pause() | Release():
                await self._rest(SUSPEND)

    async def _follow(self, w: int) -> None:
        """The timeout before anything else; a setpoint only within what the vehicle allows."""
        try:
            self._require_able(w)
            setpoint_w = self._within_window(w)
            await self._put(self._station, "timeout_s", self._options.lease_s)
            await self._put(self._command, "suspend_mode", GO_ON)
            await self._put(self._command, "setpoint_w", setpoint_w)
        except DeviceRefusedError, OrderUnderWayError:
            await self._put(self._command, "setpoint_w", 0)
            raise

    async def _rest(self, suspend_mode: int) -> None:
        await self._put(self._command, "setpoint_w", 0)
        await self._put(self._command, "suspend_mode", suspend_mode)

    def _require_able(self, w: int) -> None:
        state = self._session.state
        if abs(w) > RATING_W:
            raise self._device.refusal(f"{w} W is beyond its {RATING_W} W", "beyond_rating")
        if state in PREPARING | {State.BOOT}:
            raise OrderUnderWayError(f"{self.id}: the session has not begun yet (state {state})")
        if state == State.READY:
            raise DeviceRefusedError(f"{self.id}: no vehicle is plugged in")
        if state == State.RESERVED:
            raise self._device.refusal("it is reserved (OCPP)", "busy")
        if state not in IN_SESSION:
            errors = ", ".join(_errors(self._session.errors)) or "none shown"
            raise self._device.refusal(f"it takes no order in state {state}; errors: {errors}", "device_failure")

    def _within_window(self, w: int) -> int:
        """Never more than ordered; less where the vehicle allows less."""
        why = _why_no_charge(self._session) if w > 0 else _why_no_discharge(self._session)
        if why is not None:
            raise self._device.refusal(WHY[why], why)
        allowed_w = min(w, self._charge_max_w) if w > 0 else max(w, -self._discharge_max_w)
        least_w = max(LEAST_W, within(self._session.charge_floor_w, 0, RATING_W) or 0) if w > 0 else LEAST_W
        if abs(allowed_w) < least_w:
            raise self._device.refusal(f"{allowed_w} W is less than the {least_w:.0f} W it can do", "dead_zone_left")
        return allowed_w

    async def _put(self, block: Component, name: str, value: int) -> None:
        """Write what was read otherwise, and read it back."""
        if getattr(block, name) == value:
            return
        await block.write(name, value)
        self._lease.heard()
        if name == "setpoint_w" and value:
            self._own_w = value
        if block is self._command and self.on_written is not None:
            self.on_written()
        await self._ask(block)
        self._note_standing()
        if getattr(block, name) != value:
            raise self._device.refusal(
                f"{name} reads {getattr(block, name)} although {value} was written", "not_applied"
            )

    async def close(self) -> None:
        """Let go of the connection; the charger's timeout ends what stands."""
        self._device.close()


def _why_no_charge(session: Session) -> str | None:
    return WINDOW_UNKNOWN if within(session.charge_ceiling_w, 0, MOST_W) is None else None


def _why_no_discharge(session: Session) -> str | None:
    if session.session_type not in BIDIRECTIONAL:
        return SESSION_NOT_BIDIRECTIONAL
    floor_w = within(session.discharge_floor_w, -MOST_W, MOST_W)
    if floor_w is None:
        return WINDOW_UNKNOWN
    return V2G_NOT_OFFERED if floor_w >= 0 else None


def _errors(mask: float | None) -> Iterator[str]:
    for bit in range(64):
        if int(mask or 0) >> bit & 1:
            yield "power_unit_error" if bit == POWER_UNIT_ERROR else f"error_bit_{bit}"
