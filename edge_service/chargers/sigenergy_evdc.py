"""The bidirectional DC module (EVDC) of a Sigenergy inverter: two limits, start and stop, one request a second.

The EVDC has no Modbus unit of its own: its registers are the inverter's; the plant's unit tells whether the grid is
there. Sign on the wire: the power's is not certain in discharge, the currents' is; see ``_power_w``. Never written: the
plant's registers, 0 W to a limit. What we make of it all: docs/chargers/sigenergy_evdc.md.
Source: Sigenergy "Modbus Protocol" V2.9 (2026-05-13); field reports as named on that page.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import ClassVar, Literal

from modbus_connection import ModbusUnit
from modbus_connection.model import Component, RegisterSpace, gauge, int32, raw_register, string, uint32

from edge_service.chargers.acquaintance import Acquaintance
from edge_service.chargers.link import Unit
from edge_service.chargers.plausible import MOST_W, counted, text, within
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
from edge_service.ports import DeviceError, DeviceIdentity, DeviceRefusedError

# The smallest limit that was tried on a real device; 0 makes some vehicles latch an error that only the plug clears.
FLOOR_W = 1000
# Below this, without a current and a session, the module only covers its own losses.
DEAD_BAND_W = 50
# Raising a limit costs two of the one request a second, each time.
GUARD_S = 10.0
# From a start: the vehicle's handshake, its insulation check, the ramp, and our own slow look at it.
SETTLE_S = 30.0
# A vehicle that does not follow a start is asked again, but not for ever: it may be full, or stopped by a person.
START_RETRY_S, MOST_STARTS = 30.0, 3
# A stop is proven by the state, which follows after the ramp down; one look a second.
LOOKS_FOR_STOP = 4

# The session is looked at again before others have their turn where the last look is this old; yet they get theirs.
OLD_SESSION_S, MOST_LOOKS_IN_A_ROW = 1.5, 2

START_STOP, MAX_CHARGE, MAX_DISCHARGE = 41000, 41002, 41004
START, STOP = 0, 1


class State(IntEnum):
    """31513."""

    IDLE = 0
    OCCUPIED = 1
    PREPARING = 2
    CHARGING = 3
    FAULT = 4
    SCHEDULED = 5
    ENDED = 6
    UNAVAILABLE = 7
    DISCHARGING = 8
    ALARM = 9
    INSULATION_CHECK = 10


RUNNING = frozenset({State.PREPARING, State.CHARGING, State.DISCHARGING, State.INSULATION_CHECK})
STARTABLE = frozenset({State.OCCUPIED, State.ENDED})
_STATES = {
    State.IDLE: ChargerState.DISCONNECTED,
    State.OCCUPIED: ChargerState.PREPARING,
    State.PREPARING: ChargerState.PREPARING,
    State.CHARGING: ChargerState.CHARGING,
    State.FAULT: ChargerState.FAULT,
    State.SCHEDULED: ChargerState.BLOCKED,
    State.ENDED: ChargerState.FINISHED,
    State.UNAVAILABLE: ChargerState.UNAVAILABLE,
    State.DISCHARGING: ChargerState.DISCHARGING,
    State.ALARM: ChargerState.FAULT,
    State.INSULATION_CHECK: ChargerState.PREPARING,
}
# A cable may or may not be plugged while the module is in one of these.
_PLUG_UNKNOWN = frozenset({State.FAULT, State.UNAVAILABLE, State.ALARM})


# ------------------------------------------------------------------------------------------------------ the registers


class Block(Component):
    """Registers that are read in one request. ``fresh``: the last request brought them."""

    register_space: RegisterSpace = "input"
    fresh: bool = False

    async def refresh(self) -> None:
        """Raises DeviceError; the values that were read before stand, but are not fresh."""
        try:
            await self.async_update(notify=False)
        except DeviceError:
            self.fresh = False
            raise
        self.fresh = True


class Nameplate(Block):
    """The inverter."""

    model = string(30500, 15)
    serial = string(30515, 10)
    firmware = string(30525, 15)

    @property
    def texts(self) -> tuple[str, str, str]:
        """Model, serial, firmware."""
        return text(self.model), text(self.serial), text(self.firmware)


class Session(Block):
    """The EVDC before firmware V2.9. 31509 to 31512 lie inside and belong to the solar side."""

    charging_current = gauge(31501, 0.1, signed=False, unit="A")
    output_power = int32(31502, unit="W")
    soc = gauge(31504, 0.1, signed=False, nan=0, unit="%")  # 0: not known
    state = raw_register(31513)

    @property
    def stands(self) -> State | None:
        """None: a state that is not in the document."""
        return State(self.state) if self.state in set(State) else None

    @property
    def rests(self) -> bool:
        """No session runs, and the state says so."""
        return self.stands is not None and self.stands not in RUNNING


class SessionV29(Session):
    """The same from firmware V2.9 on."""

    discharging_current = gauge(31514, 0.1, signed=False, unit="A")
    total_charged = uint32(31519, scale=10, unit="Wh")
    total_discharged = uint32(31521, scale=10, unit="Wh")
    charge_rating = uint32(31523, unit="W")
    discharge_rating = uint32(31525, unit="W")


class Alarms(Block):
    """The inverter's alarm words."""

    pcs_1 = raw_register(30605)
    pcs_2 = raw_register(30606)
    battery = raw_register(30607)
    gateway = raw_register(30608)
    dc_charger = raw_register(30609)


class Allowed(Block):
    """The two limits that stand: read by function 3, written by 16."""

    register_space = "holding"

    charge = uint32(MAX_CHARGE, unit="W")
    discharge = uint32(MAX_DISCHARGE, unit="W")

    AT: ClassVar[Mapping[int, str]] = {MAX_CHARGE: "charge", MAX_DISCHARGE: "discharge"}

    def holds(self, address: int) -> int | None:
        value = getattr(self, self.AT[address])
        return None if value is None else int(value)


class PlantGrid(Block):
    """The plant's unit."""

    status = raw_register(30009)  # 0 on grid, 1 off grid by itself, 2 off grid by hand


GRID_POWER_OUTAGE = 1 << 9
_ALARM_NAMES: Mapping[str, Mapping[int, str]] = {
    "pcs_1": {
        0: "software_mismatch",
        1: "low_insulation",
        2: "over_temperature",
        3: "equipment_fault",
        4: "grounding_fault",
        5: "pv_over_voltage",
        6: "pv_reversed",
        7: "pv_backfill",
        8: "afci",
        9: "grid_power_outage",
        10: "grid_over_voltage",
        11: "grid_under_voltage",
        12: "grid_over_frequency",
        13: "grid_under_frequency",
        14: "grid_voltage_imbalance",
        15: "dc_component_limit",
    },
    "pcs_2": {
        0: "leak_current",
        1: "communication",
        2: "internal_protection",
        3: "afci_self_check",
        4: "off_grid_protection",
        5: "manual_operation_protection",
        7: "phase_sequence",
        8: "short_to_pe",
        9: "soft_start_failure",
    },
    "battery": {
        0: "software_mismatch",
        1: "low_insulation",
        2: "over_temperature",
        3: "equipment_fault",
        4: "under_temperature",
        5: "internal_protection",
        6: "thermal_runaway",
    },
    "gateway": {
        0: "software_mismatch",
        1: "over_temperature",
        2: "equipment_fault",
        3: "leakage_in_off_grid_output",
        4: "n_line_grounding",
        5: "grid_phase_sequence",
        6: "inverter_phase_sequence",
        7: "grid_phase_loss",
    },
    "dc_charger": {
        0: "software_mismatch",
        1: "low_insulation",
        2: "over_temperature",
        3: "equipment_fault",
        4: "charging_fault",
        5: "equipment_protection",
    },
}


# ------------------------------------------------------------------------------------------- what the registers mean


def _power_w(session: Session) -> int | None:
    """The magnitude of 31502; its direction is that of the current that flows, else of the state. + charges."""
    told = within(session.output_power, -MOST_W, MOST_W)
    if told is None:
        return None
    power_w = abs(round(told))
    charges = bool(session.charging_current)
    discharges = isinstance(session, SessionV29) and bool(session.discharging_current)
    if charges == discharges:
        charges, discharges = session.stands is State.CHARGING, session.stands is State.DISCHARGING
    if charges or discharges:
        return power_w if charges else -power_w
    return 0 if power_w < DEAD_BAND_W else None


def _plugged(state: State | None) -> bool | None:
    if state is None or state in _PLUG_UNKNOWN:
        return None
    return state is not State.IDLE


def _grid_present(grid: PlantGrid, alarms: Alarms) -> bool | None:
    """The plant's own word; where it does not answer, only the inverter's alarm can tell that the grid is gone.

    Off grid by hand counts as gone: the house then lives on the stationary battery, which is no place to charge from.
    """
    if grid.fresh:
        return {0: True, 1: False, 2: False}.get(int(grid.status or 0))
    return False if alarms.fresh and int(alarms.pcs_1 or 0) & GRID_POWER_OUTAGE else None


def _alarm_names(alarms: Alarms) -> tuple[str, ...]:
    found = []
    for word, names in _ALARM_NAMES.items():
        bits = int(getattr(alarms, word) or 0)
        found += [f"{word}_{names.get(bit, f'bit_{bit}')}" for bit in range(16) if bits >> bit & 1]
    return tuple(found)


# -------------------------------------------------------------------------------------------------------- the driver


@dataclass(frozen=True, slots=True)
class SigenergyOptions:
    """What ``site.yaml`` may say about a charger of this model."""

    unit_id: int = 1
    # auto and none: it gives no backup; vendor: the EVDC carries the house by the maker's gateway, and is only watched.
    backup: Literal["auto", "none", "vendor"] = "auto"
    # That a discharge opens over Modbus was never seen on a real device.
    discharge: bool = False
    plant_unit_id: int = field(default=247, metadata={"min": 1, "max": 247})
    # The maker's least time from one request to the next; less is for simulators.
    request_gap_s: float = field(default=1.0, metadata={"min": 0, "max": 10})


class SigenergyEvdc:
    """An EVDC behind its inverter's Modbus unit; implements ``ports.Charger``. ``monotonic`` gives rising seconds."""

    def __init__(
        self,
        id: str,
        unit: ModbusUnit,
        options: SigenergyOptions | None = None,
        plant: ModbusUnit | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = id
        self._unit = unit
        self._options = options or SigenergyOptions()
        self._monotonic = monotonic
        if plant is None:
            plant = unit.beside(self._options.plant_unit_id) if isinstance(unit, Unit) else unit
        for one in (unit, plant):
            one.set_message_spacing(self._options.request_gap_s)
        self._nameplate = Nameplate(unit)
        self._session: Session = SessionV29(unit)
        self._alarms = Alarms(unit)
        self._allowed = Allowed(unit)
        self._grid = PlantGrid(plant)
        self._capability: Capability | None = None
        self._looks = 0
        self._looks_in_a_row = 0
        self._others = 0
        # When the session was read, as a time of day and in monotonic seconds.
        self._session_at: datetime | None = None
        self._session_read_at = float("-inf")
        self._grid_at: datetime | None = None
        self._device = Acquaintance[tuple[str, str, str]](id, unit)
        self._ordering = asyncio.Lock()
        # An order of ours stands: limits, or a session that we started.
        self._ours = False
        self._stopped = False
        self._ran = False
        self._starts = 0
        self._started_at = float("-inf")

    # Who it is

    async def probe(self) -> tuple[DeviceIdentity, Capability]:
        """Read identity, ratings and state, in two requests, or three with firmware before V2.9. Writes nothing."""
        await self._device.identify(self._introduce, again=True)
        self._session = await self._find_session()
        self._capability = capability = _capability(self._session, self._options)
        self._device.accept()
        model, serial, firmware = self._nameplate.texts
        findings = _findings(self._session, capability, self._options)
        return DeviceIdentity("Sigenergy", model, serial, firmware, findings), capability

    async def _find_session(self) -> Session:
        newer = SessionV29(self._unit)
        try:
            await newer.refresh()
        except DeviceRefusedError as error:
            if error.reason != "illegal_address":
                raise
        else:
            return newer
        older = Session(self._unit)
        await older.refresh()
        return older

    async def _introduce(self) -> tuple[str, str, str]:
        """Model, serial, firmware. What was read over another connection is no longer believed."""
        for block in (self._session, self._alarms, self._allowed, self._grid):
            block.fresh = False
        await self._nameplate.refresh()
        return self._nameplate.texts

    async def _known(self) -> Capability:
        """What a device can do that has identified itself on this very connection."""
        if self._capability is None:
            await self.probe()
        assert self._capability is not None
        await self._device.identify(self._introduce)
        return self._capability

    # Reading

    async def read(self, now: datetime) -> ChargerReading:
        """One request each time: the session every second time, else the grid, and now and then limits and alarms.

        The reading is as old as the session in it, ``grid_at`` as the grid. Raises DeviceError where the session is not
        read; another block that is not reads as unknown.
        """
        capability = await self._known()
        looks, began = self._looks, self._monotonic()
        if self._session_is_due(began):
            await self._look()
            self._looks_in_a_row += 1
        else:
            await self._read_another(capability, now)
            self._looks_in_a_row = 0
        if self._looks != looks:  # by this reading, or by an order meanwhile
            self._session_at, self._session_read_at = now, began
        return self._reading(capability, now)

    def _session_is_due(self, now: float) -> bool:
        """Every second time; twice running where orders took up the line."""
        if not self._session.fresh or not self._looks_in_a_row:
            return True
        return self._looks_in_a_row < MOST_LOOKS_IN_A_ROW and now - self._session_read_at >= OLD_SESSION_S

    async def _read_another(self, capability: Capability, now: datetime) -> None:
        """Of eight such requests six are for the grid, one each for limits and alarms."""
        turn, self._others = self._others % 8, self._others + 1
        block: Block = self._grid
        if turn == 1 and capability.control is Control.TWO_LIMITS:
            block = self._allowed
        elif turn == 5:
            block = self._alarms
        with suppress(DeviceError):  # one that is refused or silent reads as unknown
            await block.refresh()
        if block is self._grid:
            self._grid_at = now

    async def _look(self) -> None:
        await self._session.refresh()
        self._looks += 1
        state = self._session.stands
        if state in {State.CHARGING, State.DISCHARGING}:
            self._ran = True
        elif state is State.IDLE:
            self._ran, self._starts, self._stopped = False, 0, False

    def _reading(self, capability: Capability, now: datetime) -> ChargerReading:
        session = self._session
        state = session.stands
        plugged = _plugged(state)
        gone = plugged is False
        newer = session if isinstance(session, SessionV29) else None
        return ChargerReading(
            at=self._session_at or now,
            state=ChargerState.UNAVAILABLE if state is None else _STATES[state],
            authority=Authority.OURS if self._ours else Authority.UNKNOWN,
            plugged=plugged,
            power_w=_power_w(session),
            soc_pct=None if gone else within(session.soc, 0, 100),
            charge_max_w=0 if gone else capability.charge_rating_w,
            discharge_max_w=0 if gone else capability.discharge_rating_w,
            limits=self._limits(capability),
            grid_present=_grid_present(self._grid, self._alarms),
            energy_charged_wh=counted(newer.total_charged) if newer else None,
            energy_discharged_wh=counted(newer.total_discharged) if newer else None,
            alarms=_alarm_names(self._alarms) if self._alarms.fresh else (),
            grid_at=self._grid_at if self._grid.fresh else None,
        )

    def _limits(self, capability: Capability) -> Limits | None:
        """What is read back of what we write: without discharge its limit is somebody else's, and told as 0."""
        charge_w, discharge_w = self._allowed.charge, self._allowed.discharge
        if not self._allowed.fresh or charge_w is None or discharge_w is None:
            return None
        return Limits(int(charge_w), int(discharge_w) if capability.discharge_rating_w else 0)

    # Ordering

    async def order(self, order: Order, now: datetime) -> None:
        """See ``ports.Charger``. ``Stop``, ``Hold`` and ``Pause`` end the session, which is the only way to rest.

        ``Limits`` are written, read back, and a session is started where none runs. ``Release`` ends a charging that is
        ours, and leaves a discharge alone. Refusal reasons: ``not_supported``, ``identity_changed``, ``not_applied``.
        """
        async with self._ordering:
            capability = await self._known()
            if capability.control is not Control.TWO_LIMITS:
                self._require_nothing(order)
                return
            self._device.require_accepted()
            if not self._session.fresh:
                await self._look()
            match order:
                case Limits():
                    await self._limit(order, capability)
                case Stop() | Hold() | Pause():
                    await self._cease()
                    self._ran, self._starts = False, 0
                case Release():
                    await self._release()
                case Power():
                    raise self._device.refusal("takes a pair of limits, not a setpoint", "not_supported")

    def _require_nothing(self, order: Order) -> None:
        if not isinstance(order, Release):
            raise self._device.refusal("cannot be commanded over Modbus with this firmware", "not_supported")

    async def _limit(self, limits: Limits, capability: Capability) -> None:
        """A pair of which neither side reaches the floor is a stop: more than was allowed is never written for it."""
        discharge_w = limits.discharge_max_w if capability.discharge_rating_w else 0
        if max(limits.charge_max_w, discharge_w) < FLOOR_W:
            await self._cease()
            return
        wanted = {MAX_CHARGE: _within_limits(limits.charge_max_w, capability.charge_rating_w)}
        if capability.discharge_rating_w:
            wanted[MAX_DISCHARGE] = _within_limits(discharge_w, capability.discharge_rating_w)
        self._ours = True
        await self._write_limits(wanted)
        if discharge_w > FLOOR_W >= limits.charge_max_w and self._session.stands is State.CHARGING:
            await self._cease()
            raise self._device.refusal(
                "a session charges where a discharge is wanted; open it in the app", "not_applied"
            )
        await self._start_if_needed()

    async def _write_limits(self, wanted: Mapping[int, int]) -> None:
        """Only what differs, what is lowered first; then one read proves both."""
        if not self._allowed.fresh:
            await self._allowed.refresh()
        changes = {at: watts for at, watts in wanted.items() if self._allowed.holds(at) != watts}
        if not changes:
            return
        for at in sorted(changes, key=lambda at: changes[at] - (self._allowed.holds(at) or 0)):
            await self._unit.write_registers(at, [changes[at] >> 16, changes[at] & 0xFFFF])
        await self._allowed.refresh()
        for at, watts in changes.items():
            if self._allowed.holds(at) != watts:
                raise self._device.refusal(
                    f"{at} reads {self._allowed.holds(at)} W although {watts} W was written", "not_applied"
                )

    async def _start_if_needed(self) -> None:
        """Start what rests. A session that ran under this order and ended was ended by vehicle or person: it rests."""
        if self._session.stands not in STARTABLE or self._ran or self._starts >= MOST_STARTS:
            return
        now = self._monotonic()
        if self._starts and now - self._started_at < START_RETRY_S:
            return
        await self._unit.write_register(START_STOP, START)
        self._starts, self._started_at, self._stopped = self._starts + 1, now, False

    async def _cease(self) -> None:
        """End the session. The register is never read back: the state proves it, within a few looks."""
        if self._session.stands is State.IDLE or (self._stopped and self._session.rests):
            return
        await self._unit.write_register(START_STOP, STOP)
        self._stopped = True
        for _ in range(LOOKS_FOR_STOP):
            await self._look()
            if self._session.rests:
                return
        raise self._device.refusal("the session runs on although it was stopped", "not_applied")

    async def _release(self) -> None:
        """In an outage a charging of ours must not go on at the expense of the house's battery."""
        if self._ours and self._session.stands in RUNNING - {State.DISCHARGING}:
            await self._cease()
        self._ours = self._ran = False
        self._starts = 0

    async def close(self) -> None:
        """Forget the connection. Writes nothing: what stands is a limit or an ended session."""
        self._device.close()


def _within_limits(watts: int, rating_w: int) -> int:
    return min(max(watts, FLOOR_W), rating_w)


# -------------------------------------------------------------------------------------------------------- capability


def _rating_w(watts: float | None) -> int:
    plausible = within(watts, FLOOR_W, MOST_W)
    return 0 if plausible is None else round(plausible)


def _capability(session: Session, options: SigenergyOptions) -> Capability:
    newer = session if isinstance(session, SessionV29) else None
    charge_w = _rating_w(newer.charge_rating) if newer else 0
    discharge_w = _rating_w(newer.discharge_rating) if newer and options.discharge else 0
    return Capability(
        control=Control.TWO_LIMITS if charge_w else Control.NONE,
        charge_rating_w=charge_w,
        discharge_rating_w=discharge_w,
        min_charge_w=FLOOR_W,
        min_discharge_w=FLOOR_W,
        never_zero=True,
        settle_s=SETTLE_S,
        guard_s=GUARD_S,
        lease=Lease.NONE,
        backup=Backup.VENDOR if options.backup == "vendor" else Backup.NONE,
    )


def _findings(session: Session, capability: Capability, options: SigenergyOptions) -> tuple[str, ...]:
    """What is missing or remarkable, in sentences for the person who installs."""
    newer = isinstance(session, SessionV29)
    commanded = capability.control is Control.TWO_LIMITS
    remarks = {
        "Its firmware is older than V2.9: it can only be read.": not newer,
        "It tells no rated charging power: is there an EVDC behind this inverter? It can only be read.": (
            newer and not commanded
        ),
        "It answers one request a second, so its state is up to 4 s old and its view of the grid up to 6 s: set "
        "control.stale_after_s to 10.": True,
        "It has no watchdog: a limit or a stop stands until somebody changes it, also if this edge is gone.": commanded,
        "Discharge is off. On no known device does it open over Modbus; discharge: true in site.yaml tries it.": (
            commanded and not options.discharge
        ),
        "Discharge is on and unproven: a session may have to be opened in the maker's app.": (
            commanded and options.discharge
        ),
        "As it carries the house by its maker's gateway and its orders do not end by themselves, it is only watched.": (
            capability.backup is Backup.VENDOR
        ),
    }
    return tuple(sentence for sentence, holds in remarks.items() if holds)
