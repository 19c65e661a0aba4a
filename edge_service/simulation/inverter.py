"""The charger's power electronics and its own firmware, without any register.

The order of what may follow what is physics and certified behaviour, so it is one state machine in one file.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from math import inf

from edge_service.simulation.history import History
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.vehicle import Vehicle

_OVER_S = 1e-9


class Stage(StrEnum):
    """Where the charger's firmware stands."""

    OFF = "off"
    WAITING = "waiting"
    CONNECTED = "connected"
    FORMING = "forming"
    ISLAND = "island"
    STOPPING = "stopping"
    FAULT = "fault"


class Operation(IntEnum):
    """The operation that was ordered last: SunSpec 715.OpCtl."""

    STOP = 0
    START = 1
    ENTER_STANDBY = 2
    EXIT_STANDBY = 3


class Alarm(IntEnum):
    """Bits of SunSpec 701.Alrm that this charger raises."""

    AC_DISCONNECT = 2
    GRID_DISCONNECT = 4
    AC_UNDER_VOLT = 11
    MANUFACTURER = 16


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the charger's terminals see: a live street behind a closed switch, the wired contact, the house's load."""

    grid_live: bool
    wire_shows_open: bool
    load_w: float


@dataclass(slots=True)
class Settings:
    """What was written to the charger. Powers: + charge, - discharge; limits are positive numbers."""

    setpoint_enabled: bool
    setpoint_in_watts: bool
    setpoint_w: float
    setpoint_pct: float
    revert_enabled: bool
    revert_w: float
    revert_pct: float
    lease_s: float
    cap_enabled: bool
    cap_pct: float
    power_limit_w: float
    apparent_limit_va: float
    charge_limit_w: float
    discharge_limit_w: float
    operation: Operation
    permit_service: bool
    enter_service_s: float
    anti_islanding: bool = True
    local: bool = False
    cap_revert_pct: float = 100.0
    cap_revert_enabled: bool = False
    cap_lease_s: float = 0.0


def settings_from(options: SiteOptions) -> Settings:
    rating = options.rating_w
    return Settings(
        setpoint_enabled=False,
        setpoint_in_watts=True,
        setpoint_w=0.0,
        setpoint_pct=0.0,
        revert_enabled=False,
        revert_w=0.0,
        revert_pct=0.0,
        lease_s=0.0,
        cap_enabled=False,
        cap_pct=100.0,
        power_limit_w=rating,
        apparent_limit_va=rating,
        charge_limit_w=rating,
        discharge_limit_w=rating,
        operation=Operation.START if options.started else Operation.STOP,
        permit_service=options.permit_service,
        enter_service_s=options.enter_service_s,
        local=options.local,
    )


class Inverter:
    """One bidirectional charger. ``power_w`` is at its AC terminals: + charge, - discharge."""

    def __init__(self, options: SiteOptions, vehicle: Vehicle, history: History) -> None:
        self.options = options
        self.vehicle = vehicle
        self.history = history
        self.settings = settings_from(options)
        connected = options.started and options.permit_service and options.grid_present
        self.stage = Stage.CONNECTED if connected else Stage.WAITING if options.started else Stage.OFF
        self.power_w = 0.0
        self.alarms: set[Alarm] = set()
        self.fault: str | None = None
        self.injected_wh = 0.0
        self.absorbed_wh = 0.0
        self.uptime_s = 0.0
        self.lease_left_s = inf
        self.cap_lease_left_s = inf
        # Time until the current stage ends by itself, until a lost grid is detected, until an overload trips.
        self.stage_left_s = inf
        self.detection_left_s = inf
        self.overload_left_s = inf

    # What others may see

    @property
    def feeds_bus(self) -> bool:
        """The home bus lives by this charger alone."""
        return self.stage in (Stage.ISLAND, Stage.STOPPING)

    @property
    def connected(self) -> bool:
        return self.stage is Stage.CONNECTED

    @property
    def enter_service_left_s(self) -> float:
        return self.stage_left_s if self.stage is Stage.WAITING and self.stage_left_s != inf else 0.0

    @property
    def standing_by(self) -> bool:
        return self.settings.operation is Operation.ENTER_STANDBY

    @property
    def target_w(self) -> float:
        """Where the power ramps to on grid: the setpoint within every limit, 0 without one."""
        return min(self.charge_max_w, max(-self.discharge_max_w, self.wished_w))

    @property
    def wished_w(self) -> float:
        settings = self.settings
        if not settings.setpoint_enabled or self.standing_by or self.stage is not Stage.CONNECTED:
            return 0.0
        return self._asked_w

    @property
    def _asked_w(self) -> float:
        settings = self.settings
        return settings.setpoint_w if settings.setpoint_in_watts else self._of_limit(settings.setpoint_pct)

    @property
    def limited(self) -> bool:
        return abs(self.target_w - self.wished_w) >= 1

    @property
    def charge_max_w(self) -> float:
        settings = self.settings
        return self.vehicle.charge_max_w(min(self.options.rating_w, settings.charge_limit_w, settings.power_limit_w))

    @property
    def discharge_max_w(self) -> float:
        settings = self.settings
        limit = min(self.options.rating_w, settings.discharge_limit_w, settings.power_limit_w)
        return self.vehicle.discharge_max_w(min(limit, self._cap_w))

    @property
    def _cap_w(self) -> float:
        return self._of_limit(self.settings.cap_pct) if self.settings.cap_enabled else inf

    def _of_limit(self, pct: float) -> float:
        return self.settings.power_limit_w * pct / 100

    # Time

    def time_to_change_s(self) -> float:
        """How long nothing but a straight ramp happens."""
        leases = (self.lease_left_s, self.cap_lease_left_s)
        return min(self.stage_left_s, self.detection_left_s, self.overload_left_s, self._ramp_left_s, *leases)

    @property
    def _ramp_left_s(self) -> float:
        """A gap under a watt is no ramp: near full the target itself glides, and following that would never end."""
        gap_w = abs(self.target_w - self.power_w) if self.connected else 0.0
        return gap_w / self.options.ramp_w_per_s if gap_w >= 1 else inf

    def elapse(self, dt_s: float) -> float:
        """Let time pass within the current stage; the energy at the AC terminals in Wh, + charge."""
        before_w = self.power_w
        if self.connected:
            self._ramp(dt_s)
        self.uptime_s += dt_s
        self.stage_left_s -= dt_s
        self.detection_left_s -= dt_s
        self.overload_left_s -= dt_s
        self.lease_left_s -= dt_s
        self.cap_lease_left_s -= dt_s
        energy_wh = (before_w + self.power_w) / 2 * dt_s / 3600
        self._count(energy_wh)
        return energy_wh

    def _ramp(self, dt_s: float) -> None:
        step = self.options.ramp_w_per_s * dt_s
        gap = self.target_w - self.power_w
        self.power_w = self.target_w if abs(gap) <= step + 1e-6 else self.power_w + (step if gap > 0 else -step)

    def _count(self, energy_wh: float) -> None:
        self.vehicle.transfer(energy_wh)
        if energy_wh > 0:
            self.absorbed_wh += energy_wh
        else:
            self.injected_wh -= energy_wh

    # The leases

    def renew_lease(self) -> None:
        """Start the setpoint's timer anew; it runs only while the function is on."""
        running = self.settings.setpoint_enabled and self.settings.lease_s > 0
        self.lease_left_s = self.settings.lease_s if running else inf

    def renew_cap_lease(self) -> None:
        """The same for the cap."""
        running = self.settings.cap_enabled and self.settings.cap_lease_s > 0
        self.cap_lease_left_s = self.settings.cap_lease_s if running else inf

    def _expire_leases(self) -> None:
        if self.lease_left_s <= _OVER_S:
            self.lease_left_s = inf
            if not self.options.timer_ends_nothing:
                self._expire_lease()
        if self.cap_lease_left_s <= _OVER_S:
            self.cap_lease_left_s = inf
            if not self.options.timer_ends_nothing:
                self._expire_cap_lease()

    def _expire_cap_lease(self) -> None:
        settings = self.settings
        settings.cap_pct, settings.cap_enabled = settings.cap_revert_pct, settings.cap_revert_enabled
        self.history.note("cap_lease_expired", enabled=settings.cap_enabled, cap_pct=settings.cap_pct)

    def _expire_lease(self) -> None:
        settings = self.settings
        if settings.setpoint_in_watts:
            settings.setpoint_w = settings.revert_w
        else:
            settings.setpoint_pct = settings.revert_pct
        settings.setpoint_enabled = settings.revert_enabled
        self.history.note("lease_expired", enabled=settings.setpoint_enabled, setpoint_w=settings.setpoint_w)

    # Transitions

    def settle(self, around: Surroundings) -> None:
        """Do at once all that needs no time."""
        self._expire_leases()
        while (following := self._following(around)) is not self.stage:
            self._enter(following, around)
        if self.feeds_bus:
            self.power_w = self._island_power_w(around)
        elif self.stage is not Stage.CONNECTED or not self._battery_takes(self.power_w):
            self.power_w = 0.0
        self._watch_voltage(around)

    def _battery_takes(self, power_w: float) -> bool:
        return self.vehicle.plugged and (power_w >= 0 or self.vehicle.can_supply)

    def _following(self, around: Surroundings) -> Stage:
        return {
            Stage.OFF: self._after_off,
            Stage.WAITING: self._after_waiting,
            Stage.CONNECTED: self._after_connected,
            Stage.FORMING: self._after_forming,
            Stage.ISLAND: self._after_island,
            Stage.STOPPING: self._after_stopping,
            Stage.FAULT: self._after_fault,
        }[self.stage](around)

    def _after_off(self, around: Surroundings) -> Stage:
        return Stage.OFF if self.settings.operation is Operation.STOP else Stage.WAITING

    def _after_waiting(self, around: Surroundings) -> Stage:
        if self.settings.operation is Operation.STOP:
            return Stage.OFF
        if self._may_form(around):
            return Stage.FORMING
        if not (around.grid_live and self.settings.permit_service):
            self.stage_left_s = inf
        elif self.stage_left_s == inf:
            self.stage_left_s = self.settings.enter_service_s
        return Stage.CONNECTED if self.stage_left_s <= _OVER_S else Stage.WAITING

    def _after_connected(self, around: Surroundings) -> Stage:
        if self.settings.operation is Operation.STOP:
            return Stage.OFF
        if not self.settings.permit_service:
            return Stage.WAITING
        if around.grid_live:
            self.detection_left_s = inf
        elif self.detection_left_s == inf:
            self.detection_left_s = self.options.detection_s
        return Stage.WAITING if self.detection_left_s <= _OVER_S else Stage.CONNECTED

    def _after_forming(self, around: Surroundings) -> Stage:
        if self.settings.operation is Operation.STOP:
            return Stage.OFF
        if not self._may_form(around):
            return Stage.WAITING
        return Stage.ISLAND if self.stage_left_s <= _OVER_S else Stage.FORMING

    def _after_island(self, around: Surroundings) -> Stage:
        if around.grid_live:
            return Stage.CONNECTED  # joined in step: a closing out of step has tripped it already
        if self.settings.operation is Operation.STOP:
            return Stage.STOPPING
        if not (self.settings.permit_service and self.vehicle.can_supply):
            return Stage.WAITING
        if not self._overloaded(around):
            self.overload_left_s = inf
        elif self.overload_left_s == inf:
            self.overload_left_s = self.options.overload_s
        return Stage.FAULT if self.overload_left_s <= _OVER_S else Stage.ISLAND

    def _after_stopping(self, around: Surroundings) -> Stage:
        return Stage.OFF if self.stage_left_s <= _OVER_S or not self.vehicle.can_supply else Stage.STOPPING

    def _after_fault(self, around: Surroundings) -> Stage:
        return Stage.WAITING if self.stage_left_s <= _OVER_S else Stage.FAULT

    def _may_form(self, around: Surroundings) -> bool:
        return (
            self.options.island_capable
            and not around.grid_live
            and around.wire_shows_open
            and self.vehicle.can_supply
            and self.settings.permit_service
        )

    def _overloaded(self, around: Surroundings) -> bool:
        unbalanced = abs(self._island_power_w(around) + around.load_w) > self.options.rating_w / 10
        return around.load_w > self.options.rating_w or unbalanced

    def _island_power_w(self, around: Surroundings) -> float:
        if not self.options.setpoint_obeyed_in_island:
            return -around.load_w
        if self.settings.setpoint_enabled:
            return self._asked_w
        return -min(around.load_w, self._cap_w)

    def _enter(self, stage: Stage, around: Surroundings) -> None:
        left, self.stage = self.stage, stage
        self.stage_left_s = self.detection_left_s = self.overload_left_s = inf
        if stage is Stage.FORMING:
            self.stage_left_s = self.options.form_s
        elif stage is Stage.STOPPING:
            self.stage_left_s = self.options.stop_s
        elif stage is Stage.FAULT:
            self.stage_left_s = self.options.retry_s
            self.fault = self.fault or "overload"
        elif stage is Stage.CONNECTED:
            self.alarms.clear()
        if left is Stage.FAULT:
            self.fault = None
            self.alarms.discard(Alarm.MANUFACTURER)
        if left is Stage.CONNECTED and not around.grid_live:
            self.alarms |= {Alarm.AC_DISCONNECT, Alarm.GRID_DISCONNECT}
        self.history.note("charger_stage", left=left, entered=stage, fault=self.fault)

    def _watch_voltage(self, around: Surroundings) -> None:
        """Under-voltage stands while the terminals are dead, but for the time that detection takes."""
        if around.grid_live or self.feeds_bus:
            self.alarms.discard(Alarm.AC_UNDER_VOLT)
        elif self.stage is not Stage.CONNECTED:
            self.alarms.add(Alarm.AC_UNDER_VOLT)

    def trip(self, reason: str, around: Surroundings, *, locked: bool) -> None:
        """Fall out with a fault; a locked one stays until a person resets the alarm."""
        self.fault = reason
        self._enter(Stage.FAULT, around)
        self.power_w = 0.0
        self.alarms |= {Alarm.GRID_DISCONNECT, Alarm.MANUFACTURER}
        if locked:
            self.stage_left_s = inf

    def reset_alarm(self) -> None:
        """A person's act: end a locked fault at once."""
        if self.stage is Stage.FAULT:
            self.stage_left_s = 0.0
