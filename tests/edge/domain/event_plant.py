"""A charger that misses its orders a little, late and noisily, at a house with a meter: the loop of an event."""

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from edge_service.domain import evidence as proofs
from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import Memory
from edge_service.domain.model import (
    Capability,
    ChargerFacts,
    ChargerState,
    Control,
    Event,
    Evidence,
    Lease,
    Observation,
    Settings,
    SiteFacts,
    Stage,
    frozen_map,
)
from edge_service.domain.realise import order_power_w
from tests.edge.domain.houses import a_meter, a_reading, a_site, after
from tests.edge.domain.test_legs import on_grid

CAR = Capability(Control.SIGNED, 9600, 9600, lease=Lease.TIMER, settle_s=3.0)


@dataclass
class Device:
    """What becomes of an order: ``gain`` and ``offset_w`` of it, approached over ``lag_s``, told ``delay_s`` later.

    ``least_w`` and ``step_w``: orders that are less, or in between, are done as a device does them: toward zero.
    """

    gain: float = 1.0
    offset_w: float = 0.0
    lag_s: float = 0.0
    delay_s: int = 0
    noise_w: float = 0.0
    step_w: int = 1
    least_w: int = 0
    most_w: float = 9600.0
    power_w: float = 0.0

    def follow(self, order_w: int) -> None:
        goal_w = float(int(order_w / self.step_w) * self.step_w)
        goal_w = 0.0 if abs(goal_w) < self.least_w else goal_w * self.gain + (self.offset_w if goal_w else 0.0)
        goal_w = max(-self.most_w, min(self.most_w, goal_w))
        self.power_w += (goal_w - self.power_w) * (1.0 if self.lag_s <= 0 else min(1.0, 1 / self.lag_s))


def facts_of(*names: str, capability: Capability = CAR, **changes: object) -> SiteFacts:
    chargers = {name: ChargerFacts(name, name.title(), capability) for name in names or ("car",)}
    return replace(a_site(*names), chargers=frozen_map(chargers), export_max_w=30000, import_max_w=40000, **changes)  # type: ignore[arg-type]


@dataclass
class Rig:
    """One decision a second. ``net_w``, ``powers``, ``orders`` and ``stages``: what was so in each."""

    devices: Mapping[str, Device]
    events: tuple[Event, ...]
    facts: SiteFacts = field(default_factory=facts_of)
    house_w: Callable[[int], float] = lambda _: 1200.0
    memory: Memory = field(default_factory=on_grid)
    settings: Settings = field(default_factory=lambda: Settings(backup_reserve_pct=10))
    seed: int = 1
    second: int = 0
    powers: list[dict[str, float]] = field(default_factory=list)
    orders: list[dict[str, int]] = field(default_factory=list)
    net_w: list[float] = field(default_factory=list)
    stages: set[Stage] = field(default_factory=set)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    decision: Decision | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._told: dict[str, deque[float]] = {
            name: deque([0.0], one.delay_s + 1) for name, one in self.devices.items()
        }

    def run(self, seconds: int) -> Rig:
        for _ in range(seconds):
            self.second += 1
            self._cycle()
        return self

    def _cycle(self) -> None:
        now = after(self.second)
        seen = {}
        for name, device in self.devices.items():
            told_w = round(self._told[name][0] + self._random.gauss(0, device.noise_w))
            state = ChargerState.DISCHARGING if told_w < 0 else ChargerState.CHARGING if told_w else ChargerState.IDLE
            seen[name] = a_reading(now, power_w=told_w, state=state, charge_max_w=9600, discharge_max_w=9600)
            self._judge(name, seen[name])
        net_w = self.house_w(self.second) + sum(one.power_w for one in self.devices.values())
        observation = Observation(
            now,
            frozen_map(seen),
            a_meter(now, power_w=round(net_w)),
            events=self.events,
            orders=frozen_map(self.evidence),
        )
        self.decision = decide(observation, self.memory, self.settings, self.facts)
        self.memory = self.decision.memory
        orders = {}
        for name, order in self.decision.orders.items():
            if name not in self.evidence or self.evidence[name].order != order:
                former, capability = self.evidence.get(name), self.facts.chargers[name].capability
                ordered = proofs.ordered(order, now, former, capability)
                self.evidence[name] = proofs.read_back(proofs.written(ordered, now), now)
            orders[name] = order_power_w(order) or 0
        for name, device in self.devices.items():
            device.follow(orders.get(name, 0))
            self._told[name].append(device.power_w)
        self.orders.append(orders)
        self.powers.append({name: one.power_w for name, one in self.devices.items()})
        self.net_w.append(self.house_w(self.second) + sum(one.power_w for one in self.devices.values()))

    def _judge(self, name: str, reading: object) -> None:
        capability = self.facts.chargers[name].capability
        if name in self.evidence and capability is not None:
            self.evidence[name] = proofs.seen(self.evidence[name], reading, capability)  # type: ignore[arg-type]
            self.stages.add(self.evidence[name].stage)

    def mean_w(self, seconds: int) -> float:
        """What all chargers did together in the last seconds."""
        lately = self.powers[-seconds:]
        return sum(sum(one.values()) for one in lately) / len(lately)

    def trim_w(self, name: str = "car") -> int | None:
        """What is added to the charger's order now; None: nothing is kept of it."""
        trim = self.memory.charger(name).trim
        return None if trim is None else trim.w

    def changes(self, seconds: int) -> int:
        """How often an order changed in the last seconds."""
        lately = self.orders[-seconds:]
        return sum(one != other for one, other in pairwise(lately))
