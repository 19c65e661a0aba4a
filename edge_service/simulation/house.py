"""The physical site as one model: street, meter, switch, home bus, load, charger, vehicle.

Pure: no clock and no I/O. ``step`` moves time; everything else is an act that takes effect at once.
Power: + consumes (import, load, charge), - supplies.
"""

from dataclasses import dataclass

from edge_service.simulation.history import History
from edge_service.simulation.inverter import Inverter, Stage, Surroundings
from edge_service.simulation.island_switch import IslandSwitch
from edge_service.simulation.loads import Loads
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.vehicle import Vehicle

NOMINAL_V = 240.0
NOMINAL_HZ = 60.0
# The battery's taper and floor are followed in steps this short.
_LONGEST_STEP_S = 1.0
_SHORTEST_STEP_S = 1e-6


@dataclass(slots=True)
class DarkPeriod:
    """``until_s`` is None while it is still dark. Model seconds."""

    from_s: float
    until_s: float | None = None


class House:
    """Everything physical at the site."""

    def __init__(self, options: SiteOptions) -> None:
        self.history = History()
        self.grid_present = options.grid_present
        self.vendor_backup = options.vendor_backup
        self.base_w = options.house_load_w
        self.loads = Loads(options.loads)
        self.leg_1_share = options.leg_1_share
        self.neutral_lost = False
        self.vehicle = Vehicle(
            capacity_wh=options.battery_wh,
            energy_wh=options.battery_wh * options.soc_pct / 100,
            plugged=options.plugged,
            efficiency=options.battery_efficiency,
            floor_pct=options.battery_floor_pct,
            taper_from_pct=options.battery_taper_pct,
        )
        self.switch = IslandSwitch(options.switch_moves_s, self.history, options.synchronism_check, options.in_step_s)
        self.inverter = Inverter(options, self.vehicle, self.history)
        self.import_wh = 0.0
        self.export_wh = 0.0
        self.served_wh = 0.0
        self.dark_s = 0.0
        self.dark_periods: list[DarkPeriod] = []
        self._lit = True
        self.settle()

    # What is physically so

    @property
    def grid_live(self) -> bool:
        """The street's voltage reaches the home bus."""
        return self.grid_present and self.switch.closed

    @property
    def powered(self) -> bool:
        return self.grid_live or self.inverter.feeds_bus or self.vendor_backup

    @property
    def site_power_w(self) -> float:
        """At the point of connection, on the street's side of the switch: + import, - export."""
        return self.load_w + self.inverter.power_w if self.grid_live else 0.0

    @property
    def leg_power_w(self) -> tuple[float, float]:
        """The same on each leg: the load as it is spread, the charger half on each."""
        if not self.grid_live:
            return 0.0, 0.0
        first_w = self.base_w * self.leg_1_share + self.loads.leg_1_w + self.inverter.power_w / 2
        return first_w, self.site_power_w - first_w

    @property
    def load_w(self) -> float:
        """What hangs on the home bus, with the loads that are switched on; drawn while there is voltage."""
        return self.base_w + self.loads.power_w

    @property
    def bus_v(self) -> float:
        return NOMINAL_V if self.powered else 0.0

    @property
    def street_v(self) -> float:
        return NOMINAL_V if self.grid_present else 0.0

    @property
    def leg_v(self) -> tuple[float, float]:
        """The street's voltage from each leg to neutral: without a neutral it divides by what is switched on there."""
        if not self.neutral_lost or not self.load_w:
            return self.street_v / 2, self.street_v / 2
        first_v = self.street_v * (1 - (self.base_w * self.leg_1_share + self.loads.leg_1_w) / self.load_w)
        return first_v, self.street_v - first_v

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(self.grid_live, self.switch.wire_shows_open, self.load_w)

    # Time

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds pass; how they are cut into steps does not change the outcome."""
        left_s = dt_s
        while left_s > 0:
            change_s = min(self.switch.changes_s, self.inverter.time_to_change_s(), self.loads.left_s, _LONGEST_STEP_S)
            part_s = min(left_s, max(change_s, _SHORTEST_STEP_S))
            self._elapse(part_s)
            self.settle()
            left_s -= part_s

    def _elapse(self, dt_s: float) -> None:
        lit, on_grid = self.powered, self.grid_live
        self.history.now_s += dt_s
        self.switch.elapse(dt_s)
        charger_wh = self.inverter.elapse(dt_s)
        load_wh = self.load_w * dt_s / 3600
        self.loads.elapse(dt_s)
        if lit:
            self.served_wh += load_wh
        else:
            self.dark_s += dt_s
        if on_grid:
            self._meter(load_wh + charger_wh)

    def _meter(self, energy_wh: float) -> None:
        if energy_wh > 0:
            self.import_wh += energy_wh
        else:
            self.export_wh -= energy_wh

    # Consequences

    def settle(self) -> None:
        """Do all that needs no time: contacts, trips, transitions, and note what changed."""
        self.switch.look(house_lives=self.inverter.feeds_bus, street_lives=self.grid_present)
        if self.switch.settle() and self.switch.closed and not self.switch.synchronism_check:
            self._judge_closing()
        self.loads.settle(powered=self.powered)
        before = self.inverter.stage
        self.inverter.settle(self.surroundings)
        if before is not self.inverter.stage:
            self._judge_stage(before)
            self.inverter.settle(self.surroundings)
        self._note_light()

    def _judge_closing(self) -> None:
        """Closing onto a living island: out of phase with the street, or feeding a dead one."""
        if not self.inverter.feeds_bus:
            return
        if self.grid_present:
            self.history.violate("closed_out_of_phase", power_w=self.inverter.power_w)
            self.inverter.trip("out_of_phase", self.surroundings, locked=True)
        else:
            self.history.violate("island_fed_dead_street", power_w=self.inverter.power_w)
            self.inverter.trip("fed_dead_street", self.surroundings, locked=False)

    def _judge_stage(self, before: Stage) -> None:
        entered = self.inverter.stage
        if entered is Stage.ISLAND and self.switch.closed:
            self.history.violate("island_formed_while_closed")
            self.inverter.trip("formed_while_closed", self.surroundings, locked=False)
        undetectable = before is Stage.CONNECTED and not self.inverter.settings.anti_islanding
        if undetectable and entered is Stage.WAITING and not self.grid_live:
            self.history.violate("energised_dead_street")
            self.inverter.trip("fed_dead_street", self.surroundings, locked=False)

    def _note_light(self) -> None:
        if self.powered == self._lit:
            return
        self._lit = self.powered
        if self._lit:
            self.loads.start()
            self.dark_periods[-1].until_s = self.history.now_s
            self.history.note("house_lit")
        else:
            self.dark_periods.append(DarkPeriod(self.history.now_s))
            self.history.note("house_dark")

    # Acts

    def set_grid(self, *, present: bool) -> None:
        if present != self.grid_present:
            self.grid_present = present
            self.history.note("grid_restored" if present else "grid_lost")
            if present and self.switch.closed:
                self._judge_closing()
        self.settle()

    def break_neutral(self, *, lost: bool) -> None:
        """Of the service, in the street. ``lost`` False: it is mended."""
        if lost is not self.neutral_lost:
            self.neutral_lost = lost
            self.history.note("neutral_lost" if lost else "neutral_mended")

    def set_load(self, load_w: float, leg_1_share: float | None = None) -> None:
        """All but the loads that can be switched. ``leg_1_share``: how much hangs on the first leg; None: as before."""
        self.base_w = load_w
        self.leg_1_share = self.leg_1_share if leg_1_share is None else leg_1_share
        self.history.note("house_load", load_w=load_w)
        self.settle()

    def set_switched_load(
        self,
        name: str,
        *,
        on: bool | None = None,
        told_off: bool | None = None,
        bridged: bool | None = None,
        stuck: bool | None = None,
    ) -> None:
        """Act on a load; None leaves one as it is. Raises KeyError on a load that nobody knows."""
        load = self.loads.by_name[name]
        load.on = load.on if on is None else on
        load.told_off = load.told_off if told_off is None else told_off
        load.bridged = load.bridged if bridged is None else bridged
        load.stuck = load.stuck if stuck is None else stuck
        self.history.note("switched_load", name=name, running=load.running)
        self.settle()

    def set_vehicle(
        self, *, plugged: bool | None = None, soc_pct: float | None = None, tells_charge: bool | None = None
    ) -> None:
        if tells_charge is not None:
            self.vehicle.tells_charge = tells_charge
        if soc_pct is not None:
            self.vehicle.soc_pct = soc_pct
        if plugged is not None:
            self.vehicle.plugged = plugged
        self.history.note("vehicle", plugged=self.vehicle.plugged, soc_pct=round(self.vehicle.soc_pct, 2))
        self.settle()

    def command_switch(self, *, open_: bool) -> None:
        self.switch.command(open_=open_)
        self.settle()

    def break_switch(
        self, *, stuck: bool | None = None, feedback_broken: bool | None = None, false_open_contact: bool | None = None
    ) -> None:
        """Set or heal faults of the switch; None leaves one as it is."""
        switch = self.switch
        switch.stuck = switch.stuck if stuck is None else stuck
        switch.feedback_broken = switch.feedback_broken if feedback_broken is None else feedback_broken
        switch.false_open_contact = switch.false_open_contact if false_open_contact is None else false_open_contact
        switch.wake()
        self.settle()
