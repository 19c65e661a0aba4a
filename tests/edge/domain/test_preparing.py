"""What an event may be promised, and the charging that it needs before: what is said can be done, by all limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from edge_service.domain.decide import Decision, decide
from edge_service.domain.forecast import EFFICIENCY, reached_pct
from edge_service.domain.memory import EventMemory, Memory
from edge_service.domain.model import (
    ChargerState,
    Departure,
    Event,
    Observation,
    Settings,
    SiteFacts,
    frozen_map,
)
from edge_service.domain.realise import order_power_w
from tests.edge.domain.houses import T0, a_meter, a_reading, a_site, after, an_event, an_observation

# A case is many hours long: making a failing one smaller would take minutes.
bounded = settings(
    max_examples=30,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
NAMES = ("bus", "car", "van")
STEP_S = 120
HOUSE_W = 1200
RESERVE_PCT = 30.0
WISHES = Settings(backup_reserve_pct=RESERVE_PCT)


@dataclass
class Vehicle:
    """A battery that charges as it is told; over 80 % it takes half of what the charger can."""

    soc_pct: float
    capacity_wh: int = 60000
    departure: Departure | None = None
    power_w: int = 0
    begun: int = 0

    def follow(self, power_w: int, hours: float) -> None:
        most_w = 9600 if self.soc_pct < 80 else 4800
        before_w, self.power_w = self.power_w, min(power_w, most_w)
        self.begun += self.power_w > 0 >= before_w
        stored_wh = self.power_w * hours * (EFFICIENCY if self.power_w > 0 else 1 / EFFICIENCY)
        self.soc_pct = min(100.0, self.soc_pct + stored_wh / self.capacity_wh * 100)


@dataclass
class Yard:
    """Vehicles at one service, decided for every other minute."""

    facts: SiteFacts
    vehicles: dict[str, Vehicle]
    event: Event
    wishes: Settings = WISHES
    memory: Memory = Memory()

    def observe(self, now: datetime, **more: Any) -> Observation:
        seen = {
            name: a_reading(
                now,
                soc_pct=float(int(v.soc_pct)),
                capacity_wh=v.capacity_wh,
                power_w=v.power_w,
                state=ChargerState.DISCHARGING if v.power_w < 0 else ChargerState.IDLE,
            )
            for name, v in self.vehicles.items()
        }
        coming = {name: v.departure for name, v in self.vehicles.items() if v.departure and v.departure.at > now}
        meter = a_meter(now, power_w=HOUSE_W + sum(v.power_w for v in self.vehicles.values()))
        plain = an_observation((now - T0).total_seconds(), {}, meter=meter, departures=frozen_map(coming))
        return replace(plain, **{"chargers": frozen_map(seen), "events": (self.event,), **more})

    def decide(self, seconds: float, **more: Any) -> Decision:
        decision = decide(self.observe(after(seconds), **more), self.memory, self.wishes, self.facts)
        self.memory = decision.memory
        return decision

    def run(self, start: float, end: float) -> list[int]:
        """What all of them do together at each step; what may flow at the service is never exceeded."""
        powers_w = []
        for seconds in range(int(start), int(end), STEP_S):
            decision = self.decide(seconds)
            for name, vehicle in self.vehicles.items():
                gone = vehicle.departure is not None and vehicle.departure.at <= after(seconds)
                power_w = 0 if gone else order_power_w(decision.orders.get(name)) or 0
                vehicle.follow(power_w, STEP_S / 3600)
            powers_w.append(sum(vehicle.power_w for vehicle in self.vehicles.values()))
            assert -self.facts.export_max_w <= powers_w[-1] + HOUSE_W <= self.facts.import_max_w
        return powers_w

    @property
    def account(self) -> EventMemory:
        return self.memory.events[self.event.uid]

    @property
    def promised_w(self) -> int:
        assert self.account.feasible_w is not None
        return -self.account.feasible_w


def a_yard(event: Event, vehicles: Mapping[str, Vehicle], wishes: Settings = WISHES, **limits: Any) -> Yard:
    facts = a_site(*vehicles, **{"import_max_w": 60000, "export_max_w": 60000, **limits})
    yard = Yard(facts, dict(vehicles), event, wishes)
    for seconds in (-3, -2, -1):
        yard.decide(seconds)
    return yard


def an_event_in(hours: float, lasts_h: float, power_w: int) -> Event:
    return an_event("e1", hours * 3600, (hours + lasts_h) * 3600, power_w)


# ----------------------------------------------------------------------------------------- what is said can be done

fleets = st.lists(
    st.builds(Vehicle, st.integers(12, 95).map(float), st.sampled_from([30000, 60000, 100000])), min_size=3, max_size=3
)
kinds_of_event = st.builds(
    an_event_in,
    st.sampled_from([0.5, 1.0, 2.0, 4.0]),
    st.sampled_from([1.0, 2.0, 3.0]),
    st.sampled_from([-5000, -12000, -28000]),
)


def could_hold_w(yard: Yard, before_h: float) -> float:
    """What an omniscient share could hold to the end: all room before is used, by whichever of them it helps most."""
    hours = lasts_h(yard.event)
    best_wh, room_wh = 0.0, (yard.facts.import_max_w - HOUSE_W) * before_h
    for chosen in range(2 ** len(yard.vehicles)):
        given_wh, left_wh = 0.0, room_wh
        for place, vehicle in enumerate(yard.vehicles.values()):
            per_pct = vehicle.capacity_wh / 100
            floor_pct = max(RESERVE_PCT, 20.0)
            has_wh = max(0.0, vehicle.soc_pct - floor_pct) * per_pct * EFFICIENCY
            charged_pct = reached_pct(vehicle.soc_pct, before_h, vehicle.capacity_wh, 9600) - vehicle.soc_pct
            takes_wh = charged_pct * per_pct / EFFICIENCY if chosen >> place & 1 else 0.0
            climbs_wh = max(0.0, floor_pct - vehicle.soc_pct) * per_pct / EFFICIENCY
            takes_wh = min(takes_wh, left_wh, climbs_wh + max(0.0, 9600 * hours - has_wh) / EFFICIENCY**2)
            left_wh -= takes_wh
            gains_wh = max(0.0, takes_wh - climbs_wh) * EFFICIENCY**2
            # One that was at its reserve gives again from two percent above, as its charge comes in whole percent.
            lifted = vehicle.soc_pct > floor_pct or gains_wh > 2 * per_pct * EFFICIENCY
            given_wh += min(9600 * hours, has_wh + gains_wh) if lifted else 0.0
        best_wh = max(best_wh, given_wh)
    return min(-(yard.account.target_w or 0), best_wh / hours, yard.facts.export_max_w + HOUSE_W)


limits_of_import = st.sampled_from([8000, 13200, 40000])
limits_of_export = st.sampled_from([2000, 10000, 60000])


def twins(fleet: list[Vehicle]) -> dict[str, Vehicle]:
    return {name: replace(vehicle) for name, vehicle in zip(NAMES, fleet, strict=False)}


def through(yard: Yard) -> list[int]:
    """What is supplied at each step of the event, after all that comes before it."""
    start_s = (yard.event.start - T0).total_seconds()
    yard.run(0, start_s)
    return [-power_w for power_w in yard.run(start_s, (yard.event.end - T0).total_seconds())]


def lasts_h(event: Event) -> float:
    return (event.end - event.start).total_seconds() / 3600


def odd_percents_wh(fleet: list[Vehicle]) -> float:
    """Each vehicle tells its charge in whole percent, and stops at its floor up to one percent early."""
    return sum(vehicle.capacity_wh for vehicle in fleet) / 100


@given(fleets, kinds_of_event, limits_of_import, limits_of_export)
@bounded
def test_what_is_promised_is_delivered_and_is_not_modest(
    fleet: list[Vehicle], event: Event, import_max_w: int, export_max_w: int
) -> None:
    yard = a_yard(event, twins(fleet), import_max_w=import_max_w, export_max_w=export_max_w)
    promised_w = yard.promised_w
    assert promised_w >= 0.85 * could_hold_w(yard, (event.start - T0).total_seconds() / 3600) - 50
    supplied_w = through(yard)
    assert (0.97 * promised_w - sum(supplied_w) / len(supplied_w)) * lasts_h(event) <= odd_percents_wh(fleet)


@given(fleets, kinds_of_event, limits_of_import, limits_of_export)
@bounded
def test_an_event_that_asks_for_no_more_than_was_promised_is_held_to_its_end(
    fleet: list[Vehicle], event: Event, import_max_w: int, export_max_w: int
) -> None:
    limits = {"import_max_w": import_max_w, "export_max_w": export_max_w}
    promised_w = a_yard(event, twins(fleet), **limits).promised_w
    slot = replace(event.slots[0], power_w=-promised_w * 97 // 100)
    supplied_w = through(a_yard(replace(event, slots=(slot,)), twins(fleet), **limits))
    short_wh = sum(max(0.0, 0.96 * promised_w - power_w) for power_w in supplied_w) * STEP_S / 3600
    assert short_wh <= odd_percents_wh(fleet)
