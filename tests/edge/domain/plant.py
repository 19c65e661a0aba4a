"""A closed loop without sockets: the simulated house's physics, read and ordered as the SunSpec driver would."""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime

from edge_service.domain.commands import expire
from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import GridMemory, IslandMemory, IslandStep, Memory
from edge_service.domain.model import (
    ChargerReading,
    Event,
    Grid,
    MeterReading,
    Observation,
    Settings,
    SiteFacts,
    Stop,
    SwitchOrder,
    SwitchReading,
    frozen_map,
)
from edge_service.simulation.house import House
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.unwired import UnwiredCharger
from tests.edge.domain.houses import T0, a_site, after

LEASE_S = 15.0
FACTS = a_site("car", enter_service_s=10.0, announce_return_s=5.0)
QUICK = SiteOptions(enter_service_s=1.0)


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
        self.charger = UnwiredCharger(self.house, LEASE_S)
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
            self.seen = self.charger.reading(self.now)
        orders = {} if self.charger.standing is None else {"car": self.charger.standing}
        switch, street_v = self.house.switch, self.house.street_v
        return Observation(
            self.now,
            frozen_map({"car": self.seen}),
            MeterReading(self.now, round(self.house.site_power_w), street_v, 60.0 if street_v else None),
            SwitchReading(self.now, switch.commanded_open, switch.open_proven, switch.closed_proven)
            if self.facts.switch
            else None,
            events=self.events,
            orders=frozen_map(orders),
            stopped=frozen_map(
                {
                    name: one.read_back_at
                    for name, one in orders.items()
                    if isinstance(one.order, Stop) and one.read_back_at
                }
            ),
        )

    def order_charger(self, decision: Decision) -> None:
        order = decision.orders.get("car")
        if order is None:
            self.charger.forget()
        elif not (self.silent or self.deaf):
            self.charger.give(order, self.now)

    def order_switch(self, decision: Decision) -> None:
        if decision.switch is not None:
            self.house.command_switch(open_=decision.switch is SwitchOrder.OPEN)

    def restart(self) -> None:
        """Our process ends and is there again at once."""
        self.memory, self.seen = self.memory.after_restart(), None
        self.charger.forget()

    def decides(self, **changes: object) -> None:
        """People change their minds."""
        self.people = replace(self.people, **changes)  # type: ignore[arg-type]
