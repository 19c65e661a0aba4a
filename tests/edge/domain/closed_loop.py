"""A house and its chargers that follow, read by a meter and chargers that tell of different moments."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import Memory
from edge_service.domain.model import Event, MeterReading, Observation, Settings, SiteFacts, frozen_map
from edge_service.domain.realise import order_power_w
from tests.edge.domain.houses import a_meter, a_reading, after
from tests.edge.domain.test_legs import on_grid

# The world moves twice in each cycle of a second.
TICKS_PER_S = 2


@dataclass(frozen=True, slots=True)
class Skew:
    """How old, in seconds, what is read is already; ``every_s``: the meter's value is renewed so often."""

    meter_s: float = 0
    charger_s: float = 0
    every_s: int = 1
    ramp_w_per_s: int = 1_000_000


@dataclass
class Loop:
    """Runs the cycle against the world. ``net_w`` and ``orders``: what was so in each tick and each cycle.

    ``follows``: what a charger does of its order; ``house_w``: what the house draws at a second.
    """

    facts: SiteFacts
    settings: Settings
    house_w: Callable[[float], int]
    skew: Skew = Skew()
    events: tuple[Event, ...] = ()
    soc_pct: Mapping[str, float] = field(default_factory=dict)
    follows: Callable[[str, int], int] = lambda _, order_w: order_w
    memory: Memory = field(default_factory=on_grid)
    net_w: list[int] = field(default_factory=list)
    orders: list[dict[str, int]] = field(default_factory=list)
    decision: Decision | None = None

    def run(self, seconds: int) -> Loop:
        """The cycle for so long, from the first second."""
        powers = dict.fromkeys(self.facts.chargers, 0)
        past: deque[tuple[int, dict[str, int]]] = deque(maxlen=10 * TICKS_PER_S)
        meter: MeterReading | None = None
        orders = dict(powers)
        for tick in range(TICKS_PER_S, seconds * TICKS_PER_S):
            at_s = tick / TICKS_PER_S
            past.append((self.house_w(at_s) + sum(powers.values()), dict(powers)))
            if tick % TICKS_PER_S == 0:
                if meter is None or tick // TICKS_PER_S % self.skew.every_s == 0:
                    meter = self._meter(at_s, past)
                orders = self._cycle(at_s, meter, past)
            step_w = self.skew.ramp_w_per_s // TICKS_PER_S
            for name, power_w in powers.items():
                goal_w = self.follows(name, orders.get(name, 0))
                powers[name] += max(-step_w, min(step_w, goal_w - power_w))
            self.net_w.append(self.house_w(at_s) + sum(powers.values()))
        return self

    def _ago(self, past: deque[tuple[int, dict[str, int]]], age_s: float) -> tuple[int, dict[str, int]]:
        return past[max(0, len(past) - 1 - int(age_s * TICKS_PER_S))]

    def _meter(self, at_s: float, past: deque[tuple[int, dict[str, int]]]) -> MeterReading:
        power_w = self._ago(past, self.skew.meter_s)[0]
        legs = len(self.facts.leg_max_w)
        return a_meter(after(at_s), power_w=power_w, leg_power_w=(power_w // legs,) * legs if legs else ())

    def _cycle(self, at_s: float, meter: MeterReading, past: deque[tuple[int, dict[str, int]]]) -> dict[str, int]:
        seen = self._ago(past, self.skew.charger_s)[1]
        given: dict[str, Any] = {name: {"soc_pct": pct} for name, pct in self.soc_pct.items()}
        chargers = {
            name: a_reading(
                after(at_s), power_w=power_w, charge_max_w=11500, discharge_max_w=11500, **given.get(name, {})
            )
            for name, power_w in seen.items()
        }
        observation = Observation(after(at_s), frozen_map(chargers), meter, events=self.events)
        self.decision = decide(observation, self.memory, self.settings, self.facts)
        self.memory = self.decision.memory
        orders = {name: order_power_w(order) or 0 for name, order in self.decision.orders.items()}
        self.orders.append(orders)
        return orders

    def between(self, start_s: float, end_s: float) -> list[int]:
        """What the meter would have told without delay, from one second to another."""
        return self.net_w[int((start_s - 1) * TICKS_PER_S) : int((end_s - 1) * TICKS_PER_S)]

    def seconds_beyond(self, most_w: float) -> float:
        """For how long more than this was drawn."""
        return sum(net_w > most_w for net_w in self.net_w) / TICKS_PER_S

    def seconds_below(self, least_w: float) -> float:
        """For how long less than this was drawn, or more given back."""
        return sum(net_w < least_w for net_w in self.net_w) / TICKS_PER_S

    def changes_since(self, start_s: int) -> int:
        """How often an order changed from then on."""
        late = self.orders[start_s - 1 :]
        return sum(one != other for one, other in pairwise(late))
