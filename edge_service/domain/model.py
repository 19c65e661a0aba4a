"""The words of the trade as types: what is seen, what people wish, what is decided.

Sign of every power and energy flow: positive consumes (charging, import, house load), negative supplies
(discharging, export). Watts are whole numbers. Every time is aware and in UTC. ``None`` means "not known".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

from edge_service.domain.program import (
    CapacityLimit as CapacityLimit,
    Event as Event,
    Price as Price,
    Program as Program,
    Scope as Scope,
    Slot as Slot,
    SlotKind as SlotKind,
)
from edge_service.domain.tally import Tally


def frozen_map[K, V](items: Mapping[K, V] | None = None) -> Mapping[K, V]:
    """Return a read-only copy, so that a frozen dataclass stays frozen all the way down."""
    return MappingProxyType(dict(items or {}))


# -------------------------------------------------------------------------------- facts of power


class Grid(StrEnum):
    """What the utility's supply is doing, as far as the evidence tells."""

    ON = "on"
    SUSPECT = "suspect"
    OUTAGE = "outage"
    RESTORING = "restoring"
    GENERATOR = "generator"
    UNKNOWN = "unknown"


class Supply(StrEnum):
    """What feeds the house."""

    GRID = "grid"
    TRANSFER = "transfer"
    ISLAND = "island"
    VENDOR_BACKUP = "vendor_backup"
    NONE = "none"
    UNKNOWN = "unknown"


class Position(StrEnum):
    """Where a source of grid evidence sits: only the grid side sees the grid while the switch is open."""

    GRID_SIDE = "grid_side"
    PROTECTED_SIDE = "protected_side"


class Confidence(StrEnum):
    """How far a source's word on the grid can be relied on.

    ``sure``: it measures, or is wired to what does. ``likely``: a device's own judgement, or an entity that somebody
    chose in Home Assistant. ``hint``: hearsay, such as a utility's map; it is shown, and moves nothing alone.
    """

    SURE = "sure"
    LIKELY = "likely"
    HINT = "hint"


@dataclass(frozen=True, slots=True)
class GridEvidence:
    """One source's word on whether the grid is there. ``present`` None: the source cannot tell now.

    ``valid_s``: how long the word counts where the source speaks less often than devices are read; None: as readings.
    """

    source: str
    at: datetime
    present: bool | None
    position: Position
    detail: str = ""
    confidence: Confidence = Confidence.SURE
    valid_s: float | None = None


# -------------------------------------------------------------------------------- orders


@dataclass(frozen=True, slots=True)
class Power:
    """Follow this power. Positive charges."""

    w: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Stay within these, both positive numbers."""

    charge_max_w: int
    discharge_max_w: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Zero power, session kept."""


@dataclass(frozen=True, slots=True)
class Pause:
    """No energy flow, session allowed to sleep."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Cease operation of the charger; a dead output. Needs a start before the next order."""


@dataclass(frozen=True, slots=True)
class Release:
    """Withdraw our order: the charger goes by its own default."""


type Order = Power | Limits | Hold | Pause | Stop | Release


_ORDER_KINDS: Mapping[type, str] = frozen_map(
    {Power: "power", Limits: "limits", Hold: "hold", Pause: "pause", Stop: "stop", Release: "release"}
)


def order_kind(order: Order) -> str:
    """The contract's word for what kind of order it is."""
    return _ORDER_KINDS[type(order)]


class Stage(StrEnum):
    """How far an order got. Each is evidence of its own: a read-back proves receipt, not action."""

    ORDERED = "ordered"
    WRITTEN = "written"
    READ_BACK = "read_back"
    MEASURED = "measured"
    HELD = "held"
    LIMITED = "limited"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an order at a charger: when it reached each stage, and what stands in its way (``reason``).

    ``written_at``: the device accepted the write; ``read_back_at``: its registers hold it; ``measured_at``: its power
    is within the model's tolerance since then; ``held_at``: and was so for long. ``astray_since``: its power has been
    elsewhere since then; ``limited_at``: for longer than it may take. A stage that is no longer so is None again.
    """

    order: Order
    ordered_at: datetime
    written_at: datetime | None = None
    read_back_at: datetime | None = None
    measured_at: datetime | None = None
    held_at: datetime | None = None
    limited_at: datetime | None = None
    refused_at: datetime | None = None
    astray_since: datetime | None = None
    reason: str | None = None

    @property
    def stage(self) -> Stage:
        """The last stage that is reached and still so."""
        if self.refused_at is not None:
            return Stage.REFUSED
        if self.limited_at is not None:
            return Stage.LIMITED
        if self.measured_at is not None:
            return Stage.MEASURED if self.held_at is None else Stage.HELD
        if self.read_back_at is not None:
            return Stage.READ_BACK
        return Stage.ORDERED if self.written_at is None else Stage.WRITTEN


class SwitchOrder(StrEnum):
    """What the island switch is told."""

    OPEN = "open"
    CLOSE = "close"


# -------------------------------------------------------------------------------- devices


class ChargerState(StrEnum):
    """A charger's state in one vocabulary for all models."""

    OFFLINE = "offline"
    BOOTING = "booting"
    UNAVAILABLE = "unavailable"
    DISCONNECTED = "disconnected"
    PREPARING = "preparing"
    IDLE = "idle"
    WAITING = "waiting"
    BLOCKED = "blocked"
    CHARGING = "charging"
    DISCHARGING = "discharging"
    FINISHED = "finished"
    FAULT = "fault"


class Authority(StrEnum):
    """Who commands the charger."""

    OURS = "ours"
    APP = "app"
    LOCAL = "local"
    OCPP = "ocpp"
    UNKNOWN = "unknown"


class Control(StrEnum):
    """What kind of order a charger takes."""

    SIGNED = "signed"
    STEPS = "steps"
    TWO_LIMITS = "two_limits"
    GENERATION_CAP = "generation_cap"
    NONE = "none"


class Lease(StrEnum):
    """How an order dies when nobody renews it."""

    TIMER = "timer"
    TRAFFIC = "traffic"
    NONE = "none"


class Backup(StrEnum):
    """Whether a charger can carry a house."""

    NONE = "none"
    CAN_FORM = "can_form"
    VENDOR = "vendor"


# Below this a vehicle's own battery management may open its contactors and end the session.
EMPTY_SOC_PCT = 5.0


@dataclass(frozen=True, slots=True)
class Capability:
    """What a charger can do, as probed. Ratings in watts, both positive numbers.

    It follows an order when its measured power is within ``tolerance_w`` or ``tolerance_share`` of it, whichever is
    more, ``settle_s`` after it was written. ``guard_s``: an order stands at least so long before a stronger one; 0 also
    where the driver keeps its device's guard times by itself, since they hang on more than time.
    """

    control: Control
    charge_rating_w: int
    discharge_rating_w: int
    min_charge_w: int = 0
    min_discharge_w: int = 0
    step_w: int = 1
    never_zero: bool = False
    zero_ends_session_after_s: float | None = None
    settle_s: float = 5.0
    guard_s: float = 0.0
    tolerance_w: int = 150
    tolerance_share: float = 0.03
    lease: Lease = Lease.NONE
    backup: Backup = Backup.NONE

    def tolerance_of(self, power_w: int) -> float:
        """Watts by which the device may miss this power and still follows it."""
        return max(self.tolerance_w, abs(power_w) * self.tolerance_share)


@dataclass(frozen=True, slots=True)
class ChargerReading:
    """One consistent read of a charger.

    ``charge_max_w`` and ``discharge_max_w`` are what charger and vehicle allow now, both positive numbers.
    ``setpoint_w`` is the setpoint read back, None while the charger follows none; ``limits`` likewise at a charger that
    takes limits. ``grid_present`` is the charger's own
    view of its AC side; it cannot see the grid while the island switch is open. ``forming``: it makes the island.
    ``grid_at``: when both of these were seen, where the fast lane saw them later than the rest; None: as the rest.
    ``lease_remaining_s``: seconds until the device drops our order by itself. ``voltage_v`` compares with the site's
    nominal voltage: between the legs of a split-phase service. ``current_a`` is signed like the power.
    """

    at: datetime
    state: ChargerState
    authority: Authority = Authority.UNKNOWN
    plugged: bool | None = None
    power_w: int | None = None
    soc_pct: float | None = None
    capacity_wh: int | None = None
    charge_max_w: int | None = None
    discharge_max_w: int | None = None
    setpoint_w: int | None = None
    limits: Limits | None = None
    lease_remaining_s: int | None = None
    grid_present: bool | None = None
    forming: bool | None = None
    service_permitted: bool | None = None
    voltage_v: float | None = None
    frequency_hz: float | None = None
    energy_charged_wh: int | None = None
    energy_discharged_wh: int | None = None
    heartbeat: int | None = None
    alarms: tuple[str, ...] = ()
    grid_at: datetime | None = None
    current_a: float | None = None
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One read of the meter at the point of connection. ``power_w`` positive: import.

    ``leg_power_w``: the same per leg of the service, empty where the meter does not tell. ``voltage_v`` compares
    with the site's nominal voltage: between the legs of a split-phase service. ``leg_voltage_v``: from each leg to
    neutral, empty where the meter does not tell.
    """

    at: datetime
    power_w: int | None = None
    voltage_v: float | None = None
    frequency_hz: float | None = None
    energy_imported_wh: int | None = None
    energy_exported_wh: int | None = None
    leg_power_w: tuple[int | None, ...] = ()
    leg_voltage_v: tuple[float | None, ...] = ()


class Contact(StrEnum):
    """What an input contact of the site means while it is active. ``grid_lost``: a voltage relay on the grid side."""

    STOP = "stop"
    GENERATOR = "generator"
    GRID_LOST = "grid_lost"


@dataclass(frozen=True, slots=True)
class ContactReading:
    """One read of an input contact: whether it is active, whichever way it is wired."""

    at: datetime
    active: bool


@dataclass(frozen=True, slots=True)
class SwitchReading:
    """The island switch: what it was told and what its contacts prove. Both proofs False: it moves or is stuck."""

    at: datetime
    commanded_open: bool | None
    open_proven: bool | None
    closed_proven: bool | None


class CompanionState(StrEnum):
    """What a companion inverter says of its supply."""

    ON_GRID = "on_grid"
    OUTAGE = "outage"
    ISLANDED = "islanded"
    GENERATOR = "generator"


@dataclass(frozen=True, slots=True)
class CompanionReading:
    """One read of another inverter at the house. ``state`` None: it does not tell now.

    ``solar_w`` negative supplies. ``reserve_pct``: the charge that its own gateway keeps for an outage, read back.
    """

    at: datetime
    state: CompanionState | None
    detail: str = ""
    solar_w: int | None = None
    reserve_pct: float | None = None


class Tier(StrEnum):
    """How much a load matters in an outage. ``must_have`` is never shed by us, only by a person."""

    MUST_HAVE = "must_have"
    NICE_TO_HAVE = "nice_to_have"
    NON_ESSENTIAL = "non_essential"


# In the middle of what is left above a usual driver's reserve: a start, until the resident says otherwise.
DEFAULT_SHED_BELOW_PCT = 50.0
# Breakfast, lunch, supper and the night.
MOST_SPANS = 4


@dataclass(frozen=True, slots=True)
class LoadGroup:
    """Loads that are shed together. ``power_w``: what they use when on, as told by a person; None: not told.

    ``legs``: the legs that carry them, empty: all alike. ``shed_below_pct``: nice to have, down to this charge of the
    vehicle that carries the house. ``medical``: somebody's health depends on it; it is a must-have. ``hours``: from
    and until when it matters, by the site's own clock, such as ("17:00", "21:00"), over midnight too; none: always.
    """

    id: str
    name: str
    tier: Tier = Tier.NICE_TO_HAVE
    power_w: int | None = None
    legs: tuple[int, ...] = ()
    shed_below_pct: float = DEFAULT_SHED_BELOW_PCT
    medical: bool = False
    hours: tuple[tuple[str, str], ...] = ()


class LoadState(StrEnum):
    """How a load group stands, as told by who carries out our orders.

    ``on``: it runs or may run. ``shed``: we switched it off, proven. ``kept``: a person switched it on against our
    order. ``off``: it was off before, there was nothing to shed.
    """

    ON = "on"
    SHED = "shed"
    KEPT = "kept"
    OFF = "off"


class LoadOrder(StrEnum):
    """What is wanted of a load group. ``on``: put back what was shed, and only that."""

    ON = "on"
    SHED = "shed"


@dataclass(frozen=True, slots=True)
class LoadReading:
    """What is known of a load group at a moment. ``state`` None: not known. ``power_w``: what it draws now.

    ``valid_s`` as in ``GridEvidence``.
    """

    at: datetime
    state: LoadState | None
    power_w: int | None = None
    valid_s: float | None = None


class AlertKind(StrEnum):
    """What an alert warns of; OpenADR 3 calls the first seven ALERT_POSSIBLE_OUTAGE and so on."""

    POSSIBLE_OUTAGE = "possible_outage"
    FIRE = "fire"
    WIND = "wind"
    FREEZING = "freezing"
    TSUNAMI = "tsunami"
    OTHER = "other"
    GRID_EMERGENCY = "grid_emergency"
    BLACK_START = "black_start"
    WEATHER = "weather"


@dataclass(frozen=True, slots=True)
class Alert:
    """A warning of a utility or of a weather service, half open [start, end). ``id`` tells it from every other.

    ``source``: a program's id or ``home_assistant``. ``end`` None: until its source takes it back.
    """

    id: str
    source: str
    kind: AlertKind
    name: str
    start: datetime
    end: datetime | None = None

    def runs_at(self, now: datetime) -> bool:
        return self.start <= now and (self.end is None or now < self.end)


# -------------------------------------------------------------------------------- facts of the site


class SwitchOwner(StrEnum):
    """Who moves the island switch: the edge itself by Modbus, or Home Assistant by an entity, when the edge says so."""

    EDGE = "edge"
    HOME_ASSISTANT = "home_assistant"


@dataclass(frozen=True, slots=True)
class SwitchFacts:
    """The island switch of a site. Without a hardware synchronism check a return is an open transition."""

    synchronism_check: bool = False
    owner: SwitchOwner = SwitchOwner.EDGE


# No order can be leased for longer than this: the configuration's bound.
LONGEST_LEASE_S = 300


@dataclass(frozen=True, slots=True)
class ChargerFacts:
    """One charger of the site; ``capability`` None until the first good probe.

    ``legs``: the legs of the service that carry it, from 1; empty: all of them. ``lease_s``: how long an order of ours
    may stand there at most after it was renewed last. ``restarts``: it can be told to start itself anew.
    """

    id: str
    name: str
    capability: Capability | None = None
    legs: tuple[int, ...] = ()
    lease_s: int = LONGEST_LEASE_S
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class CompanionFacts:
    """Another inverter of the site. ``position``: on which side of the island switch it sits, or of its own gateway.

    ``keeps_reserve``: its own gateway's reserve for outages is ours to set, on grid.
    """

    id: str
    name: str
    position: Position = Position.PROTECTED_SIDE
    keeps_reserve: bool = False


class Timed(Protocol):
    """What was seen at a moment."""

    @property
    def at(self) -> datetime: ...


# Two readings of one clock a moment apart may come in either order; more than this is a clock that was set back.
CLOCK_TOLERANCE_S = 2.0


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """Facts of the installation, from ``site.yaml`` and the probes. Durations in seconds, powers in positive watts.

    ``outage_after_s``: how long the first sign must last to be an outage (IEEE 1547-2018 asks for 2 s to cease).
    ``enter_service_s``: continuous good grid before return (IEEE 1547-2018 default 300 s).
    ``export_max_w`` 0: export is not permitted. ``leg_max_w``: what each leg of the service carries, empty: not told.
    ``generator_max_w``: what the chargers may draw together while a generator runs. ``contacts``: those that are wired.
    ``time_zone``: what clocks on the wall go by, such as ``America/New_York``; None: not told.
    ``departure_first``: a departure stands above a manual order, as a depot wants it.
    ``relays``: load groups that the edge switches itself. ``dark_start_min``: minutes of an outage without a supply
    after which the system can no longer start itself, as its maker declares; None: it declares none.
    """

    name: str
    chargers: Mapping[str, ChargerFacts]
    import_max_w: int
    export_max_w: int = 0
    has_meter: bool = False
    meter_position: Position = Position.GRID_SIDE
    switch: SwitchFacts | None = None
    programs: Mapping[str, Program] = field(default_factory=frozen_map)
    nominal_voltage_v: float = 240.0
    nominal_frequency_hz: float = 60.0
    outage_after_s: float = 2.0
    enter_service_s: float = 300.0
    announce_return_s: float = 60.0
    stale_after_s: float = 5.0
    leg_max_w: tuple[int, ...] = ()
    contacts: frozenset[Contact] = frozenset()
    generator_max_w: int = 0
    time_zone: str | None = None
    departure_first: bool = False
    companions: Mapping[str, CompanionFacts] = field(default_factory=frozen_map)
    relays: Mapping[str, LoadGroup] = field(default_factory=frozen_map)
    dark_start_min: float | None = None

    def fresh[R: Timed](self, reading: R | None, now: datetime) -> R | None:
        """The reading while it counts. One from the future does not: the clock was set back since."""
        if reading is None or not -CLOCK_TOLERANCE_S <= (now - reading.at).total_seconds() <= self.stale_after_s:
            return None
        return reading


# -------------------------------------------------------------------------------- wishes of people


class Mode(StrEnum):
    """The resident's standing choice."""

    AUTOMATIC = "automatic"
    HOLD_FOR_BACKUP = "hold_for_backup"
    PAUSED = "paused"
    READ_ONLY = "read_only"


class ManualKind(StrEnum):
    """What a manual order asks for."""

    CHARGE = "charge"
    DISCHARGE = "discharge"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class ManualOrder:
    """A person's order for one charger. It always ends. ``power_w`` a positive number, None: as much as allowed."""

    kind: ManualKind
    placed_at: datetime
    until: datetime
    power_w: int | None = None


@dataclass(frozen=True, slots=True)
class DeparturePlan:
    """When a vehicle leaves, and with how much: once ``at``, or on ``weekdays`` (0 Monday) at ``local_time`` ("07:30").

    ``local_time`` is in the site's time zone. Either ``soc_pct`` or ``miles``. ``skip_until``: the times of a weekly
    plan until then, and at it, are left out.
    """

    id: str
    at: datetime | None = None
    weekdays: tuple[int, ...] = ()
    local_time: str | None = None
    soc_pct: float | None = None
    miles: float | None = None
    skip_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Departure:
    """The next time that a vehicle leaves, resolved to an absolute time, and with how much.

    ``later``: the next ones of its other plans that may need to be charged for already, by time.
    """

    plan_id: str
    at: datetime
    soc_pct: float | None = None
    miles: float | None = None
    later: tuple[Departure, ...] = ()

    @property
    def all(self) -> tuple[Departure, ...]:
        """This one and the later ones."""
        return (self, *self.later)


@dataclass(frozen=True, slots=True)
class Storm:
    """A storm to prepare for: charge up to ``reserve_pct`` now and keep it until then.

    ``alert``: the id of the alert that it comes from; empty: a person said so. ``open_ended``: its alert has no end,
    ``until`` is how long it counts without a new word.
    """

    until: datetime
    reserve_pct: float
    name: str = ""
    alert: str = ""
    open_ended: bool = False


class AtEnd(StrEnum):
    """What happens in an island at the driver's reserve."""

    STOP = "stop"
    LEND = "lend"


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """A person's confirmed wish to rehearse an outage now, or when it is due.

    ``transfer``: the house really goes to the vehicle and back, which darkens it twice for a moment; otherwise all
    but that is rehearsed. ``island_s``: how long the vehicle carries the house. ``medical_safe``: what somebody's
    health depends on has a battery of its own, a person says. ``at_switch``: and that somebody stands beside the island
    switch, who can close it by hand: behind an open switch a charger that falls silent leaves the house dark.
    """

    id: str
    placed_at: datetime
    transfer: bool
    island_s: float = 120.0
    medical_safe: bool = False
    at_switch: bool = False


@dataclass(frozen=True, slots=True)
class DrillSchedule:
    """A drill every ``every_days`` at ``local_time`` ("10:30") of the site's time zone, the first after ``since``."""

    every_days: int
    local_time: str
    transfer: bool
    since: datetime
    island_s: float = 120.0
    medical_safe: bool = False
    at_switch: bool = False


# Enough for a US commute and back (about 40 miles of a 60 kWh vehicle): a start, until the resident says otherwise.
DEFAULT_DRIVERS_RESERVE_PCT = 20.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything people have decided; kept by the edge, changed by commands only. Percent of the vehicle's battery.

    ``at_end_chosen``: a person chose ``at_end``; else it follows from the loads (``resolved.py``). ``lent_pct``: points
    of the driver's reserve given to the house for this outage. ``alerts_opted_out``: until when. ``loads_by_hand``:
    groups that a person wants shed, or left on, whatever else speaks, ``loads_by_hand_at`` when that was said.
    ``program_order``: whose events count first where two programs call at once; those not named come after.
    ``opted_in``: events to which a person said yes, whatever was said of their program or day; ``days_opted_out``: per
    program the local dates on which none of its events is served.
    ``retry_backup_at``: when a person asked for one more attempt. ``drill_cancelled``: the id of the drill that a
    person broke off. ``charge_limit_w`` and ``discharge_limit_w``: the most that people let a charger draw and give,
    positive, while the grid is there.
    """

    mode: Mode = Mode.AUTOMATIC
    drivers_reserve_pct: Mapping[str, float] = field(default_factory=frozen_map)
    backup_reserve_pct: float = 30.0
    at_end: AtEnd = AtEnd.STOP
    stopped: bool = False
    manual: Mapping[str, ManualOrder] = field(default_factory=frozen_map)
    opted_out: frozenset[str] = frozenset()
    not_participating: frozenset[str] = frozenset()
    event_floor_pct: Mapping[str, float] = field(default_factory=frozen_map)
    return_not_before: datetime | None = None
    end_backup: bool = False
    departures: Mapping[str, tuple[DeparturePlan, ...]] = field(default_factory=frozen_map)
    miles_per_kwh: Mapping[str, float] = field(default_factory=frozen_map)
    storm: Storm | None = None
    drivers_reserve_miles: Mapping[str, float] = field(default_factory=frozen_map)
    lent_pct: Mapping[str, float] = field(default_factory=frozen_map)
    storm_reserve_pct: float = 90.0
    heeds_alerts: bool = True
    alerts_opted_out: Mapping[str, datetime] = field(default_factory=frozen_map)
    at_end_chosen: bool = False
    load_groups: Mapping[str, LoadGroup] = field(default_factory=frozen_map)
    loads_by_hand: Mapping[str, LoadOrder] = field(default_factory=frozen_map)
    loads_by_hand_at: Mapping[str, datetime] = field(default_factory=frozen_map)
    drill: DrillRequest | None = None
    drill_schedule: DrillSchedule | None = None
    drill_cancelled: str = ""
    retry_backup_at: datetime | None = None
    opted_in: frozenset[str] = frozenset()
    days_opted_out: Mapping[str, frozenset[str]] = field(default_factory=frozen_map)
    program_order: tuple[str, ...] = ()
    charge_limit_w: Mapping[str, int] = field(default_factory=frozen_map)
    discharge_limit_w: Mapping[str, int] = field(default_factory=frozen_map)

    def drivers_reserve(self, charger: str) -> float:
        """Percent kept to drive away with."""
        return self.drivers_reserve_pct.get(charger, DEFAULT_DRIVERS_RESERVE_PCT)

    def reserve_pct(self, now: datetime) -> float:
        """Percent kept for an outage; a storm raises it while it lasts."""
        storm = self.storm_at(now)
        return self.backup_reserve_pct if storm is None else max(self.backup_reserve_pct, storm.reserve_pct)

    def storm_at(self, now: datetime) -> Storm | None:
        """The storm that is prepared for, unless it is over."""
        return self.storm if self.storm is not None and now < self.storm.until else None

    def takes_part(self, event: Event) -> bool:
        """The event stands and a person agrees; a word on the event counts before one on its day or program."""
        if event.cancelled or event.uid in self.opted_out:
            return False
        if event.uid in self.opted_in:
            return True
        on_this_day = event.day in self.days_opted_out.get(event.program_id, frozenset())
        return not (event.asks or on_this_day or event.program_id in self.not_participating)


# -------------------------------------------------------------------------------- the process image


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything known at one moment. A charger, meter or switch that never answered is None.

    ``stopped``: the chargers whose standing order is a stop that was read back, and when that was. ``contested``: the
    chargers at which another controller overwrites our orders, and since when. ``departures``: the next of each
    charger's vehicle. ``orders``: the order that stands at each charger, and the evidence of it so far.
    ``evidence``: of sources that are no device here, such as an entity of Home Assistant. ``loads``: by load group.
    ``drill_due``: the next time of a scheduled drill. ``brought``: keys of standing notices that a client has brought
    to people. ``capacity_limits`` and ``prices``: those that utilities have told and that are not over.
    ``seasons``: what each program's season has come to, by the rows of its events that are over. ``out_of_hours``: the
    load groups that do not matter at this time of day.
    """

    now: datetime
    chargers: Mapping[str, ChargerReading | None]
    meter: MeterReading | None = None
    switch: SwitchReading | None = None
    evidence: tuple[GridEvidence, ...] = ()
    events: tuple[Event, ...] = ()
    stopped: Mapping[str, datetime] = field(default_factory=frozen_map)
    contested: Mapping[str, datetime] = field(default_factory=frozen_map)
    contacts: Mapping[Contact, ContactReading] = field(default_factory=frozen_map)
    departures: Mapping[str, Departure] = field(default_factory=frozen_map)
    orders: Mapping[str, Evidence] = field(default_factory=frozen_map)
    companions: Mapping[str, CompanionReading] = field(default_factory=frozen_map)
    loads: Mapping[str, LoadReading] = field(default_factory=frozen_map)
    alerts: tuple[Alert, ...] = ()
    drill_due: datetime | None = None
    brought: frozenset[str] = frozenset()
    capacity_limits: tuple[CapacityLimit, ...] = ()
    prices: tuple[Price, ...] = ()
    seasons: Mapping[str, Tally] = field(default_factory=frozen_map)
    out_of_hours: frozenset[str] = frozenset()


# -------------------------------------------------------------------------------- what is found out


@dataclass(frozen=True, slots=True)
class Runtime:
    """How long the vehicle carries the house down to where backup ends, in hours: cautious, median, hopeful.

    An infinite one is None: solar covers the load. ``usable_wh``: at the house's side, losses taken off. ``load_w``:
    the median of what the house is expected to draw in the next hour, solar counted.
    """

    p10_h: float | None
    p50_h: float | None
    p90_h: float | None
    usable_wh: int
    load_w: int


class ReadinessLevel(StrEnum):
    """Would backup work now?"""

    READY = "ready"
    DEGRADED = "degraded"
    NOT_READY = "not_ready"


@dataclass(frozen=True, slots=True)
class Readiness:
    """The level and its reasons, worst first: ``(code, subject)``, subject ``site``, a charger or a load group."""

    level: ReadinessLevel
    reasons: tuple[tuple[str, str], ...] = ()


# -------------------------------------------------------------------------------- what people are told


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened once, numbered by the journal. ``subject`` is ``site``, a charger or a program id."""

    kind: str
    subject: str
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Notice:
    """A standing message to people. ``key`` names its subject: a new one with the same key replaces the former.

    ``kind`` names its text. ``level``: ``critical`` (wake a person, only if a person can act), ``warning`` or ``info``.
    """

    key: str
    kind: str
    level: str
    raised_at: datetime
    data: Mapping[str, Any]
    number: int = 0
    delivered_at: datetime | None = None
    acknowledged_at: datetime | None = None
    cleared_at: datetime | None = None
