"""A closed loop without sockets: the simulated house's physics, read and ordered as the SunSpec driver would.

An order is a setpoint under a timer that reverts to "off" (``WSetEnaRvrt`` 0). A stop has no timer: it stays.
"""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime

from edge_service.domain.commands import expire
from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import GridMemory, IslandMemory, IslandStep, Memory
from edge_service.domain.model import (
    Authority,
    ChargerReading,
    ChargerState,
    Event,
    Evidence,
    Grid,
    Hold,
    MeterReading,
    Observation,
    Order,
    Pause,
    Power,
    Release,
    Settings,
    SiteFacts,
    Stop,
    SwitchOrder,
    SwitchReading,
    frozen_map,
)
from edge_service.simulation.house import House
from edge_service.simulation.inverter import Alarm, Operation, Stage
from edge_service.simulation.options import SiteOptions
from tests.edge.domain.houses import T0, a_site, after

LEASE_S = 15.0
FACTS = a_site("car", enter_service_s=10.0, announce_return_s=5.0)
QUICK = SiteOptions(enter_service_s=1.0)

STATES = {
    Stage.OFF: ChargerState.UNAVAILABLE,
    Stage.FAULT: ChargerState.FAULT,
    Stage.WAITING: ChargerState.WAITING,
    Stage.FORMING: ChargerState.PREPARING,
}


@dataclass
class Plant:
    """The house and the only process that orders it. Its charger may be ``silent``, or ``deaf`` to our orders."""

    facts: SiteFacts = FACTS
    options: SiteOptions = QUICK
    people: Settings = field(default_factory=Settings)
    events: tuple[Event, ...] = ()
    silent: bool = False
    deaf: bool = False
    seconds: int = 0
    walked: list[IslandStep] = field(default_factory=list)
    decision: Decision | None = None

    def __post_init__(self) -> None:
        self.house = House(self.options)
        self.memory = Memory(
            grid=GridMemory(Grid.ON, T0, good_since=T0, closed_since=after(-60)),
            island=IslandMemory(IslandStep.TIED, T0),
        )
        self.orders: dict[str, Evidence] = {}
        self.seen: ChargerReading | None = None

    @property
    def now(self) -> datetime:
        return after(self.seconds)

    @property
    def step(self) -> IslandStep:
        return self.memory.island.step

    def cycle(self) -> Decision:
        """One second of the world, then one decision; nothing of it is carried out yet."""
        self.house.step(1.0)
        self.seconds += 1
        self.people = expire(self.people, self.memory, self.now)
        decision = decide(self._observe(), self.memory, self.people, self.facts)
        self.decision, self.memory = decision, decision.memory
        if self.walked[-1:] != [self.step]:
            self.walked.append(self.step)
        return decision

    def seconds_pass(self, seconds: int) -> Plant:
        for _ in range(seconds):
            decision = self.cycle()
            self.order_charger(decision)
            self.order_switch(decision)
        return self

    def copy_of_house(self) -> House:
        """What would become of it without us."""
        return deepcopy(self.house)

    def _observe(self) -> Observation:
        if not self.silent:
            self.seen = self._reading()
        switch, street_v = self.house.switch, self.house.street_v
        return Observation(
            self.now,
            frozen_map({"car": self.seen}),
            MeterReading(self.now, round(self.house.site_power_w), street_v, 60.0 if street_v else None),
            SwitchReading(self.now, switch.commanded_open, switch.open_proven, switch.closed_proven)
            if self.facts.switch
            else None,
            events=self.events,
            orders=frozen_map(self.orders),
            stopped=frozen_map(
                {
                    name: one.read_back_at
                    for name, one in self.orders.items()
                    if isinstance(one.order, Stop) and one.read_back_at
                }
            ),
        )

    def _reading(self) -> ChargerReading:
        inverter, vehicle = self.house.inverter, self.house.vehicle
        forming = inverter.feeds_bus
        dead = Alarm.AC_UNDER_VOLT in inverter.alarms
        rest = ChargerState.DISCHARGING if inverter.power_w < 0 else ChargerState.IDLE
        state = STATES.get(inverter.stage, ChargerState.CHARGING if inverter.power_w > 0 else rest)
        if state not in (ChargerState.FAULT, ChargerState.UNAVAILABLE) and not vehicle.plugged:
            state = ChargerState.DISCONNECTED
        return ChargerReading(
            self.now,
            state,
            Authority.OURS,
            plugged=vehicle.plugged,
            power_w=round(inverter.power_w),
            soc_pct=vehicle.soc_pct,
            capacity_wh=round(vehicle.capacity_wh),
            charge_max_w=round(inverter.charge_max_w),
            discharge_max_w=round(inverter.discharge_max_w),
            setpoint_w=round(inverter.settings.setpoint_w) if inverter.settings.setpoint_enabled else None,
            grid_present=None if forming else False if dead else True if inverter.connected else None,
            forming=forming,
            service_permitted=inverter.settings.permit_service,
            voltage_v=self.house.bus_v,
        )

    def order_charger(self, decision: Decision) -> None:
        order = decision.orders.get("car")
        if order is None:
            self.orders.pop("car", None)
        if self.silent or self.deaf or order is None:
            return
        self._write(order)
        if "car" not in self.orders or self.orders["car"].order != order:
            self.orders["car"] = Evidence(order, self.now, self.now, self.now)
        self.house.settle()

    def _write(self, order: Order) -> None:
        inverter = self.house.inverter
        match order:
            case Stop():
                self._follow(None)
                inverter.settings.operation = Operation.STOP
            case Release():
                self._follow(None)
                inverter.settings.operation = Operation.START
            case Power(w):
                self._follow(w)
                inverter.settings.operation = Operation.START
            case Hold() | Pause():
                self._follow(0)
                inverter.settings.operation = Operation.START
            case _:
                raise NotImplementedError(order)

    def _follow(self, w: int | None) -> None:
        inverter = self.house.inverter
        settings = inverter.settings
        settings.setpoint_enabled, settings.setpoint_w = w is not None, float(w or 0)
        settings.revert_enabled, settings.lease_s = False, LEASE_S
        inverter.renew_lease()

    def order_switch(self, decision: Decision) -> None:
        if decision.switch is not None:
            self.house.command_switch(open_=decision.switch is SwitchOrder.OPEN)

    def restart(self) -> None:
        """Our process ends and is there again at once."""
        self.memory, self.orders, self.seen = self.memory.after_restart(), {}, None

    def decides(self, **changes: object) -> None:
        """People change their minds."""
        self.people = replace(self.people, **changes)  # type: ignore[arg-type]
