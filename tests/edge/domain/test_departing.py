"""Departures of several vehicles under one limit: who can wait, who cannot, and that nobody misses what can be had."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, combinations, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings, strategies as st

from edge_service.domain.decide import Decision, decide
from edge_service.domain.forecast import EFFICIENCY, HEAD_START, Job, Room, delivered_h, slacks
from edge_service.domain.memory import DepartureMemory, DepartureStage, Memory
from edge_service.domain.model import Departure, ManualKind, ManualOrder, Observation, Settings, SiteFacts, frozen_map
from edge_service.domain.realise import order_power_w
from tests.edge.domain.houses import T0, a_meter, a_reading, a_site, after, an_event, an_observation

# A case is many hours long: making a failing one smaller would take minutes.
bounded = settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
STEP_S = 120
HOUSE_W = 1200
NO_RESERVES = Settings(drivers_reserve_pct=frozen_map(dict.fromkeys(("bus", "car", "van"), 0.0)), backup_reserve_pct=0)

jobs_of_some = st.dictionaries(
    st.sampled_from("abcde"),
    st.builds(
        Job,
        hours=st.floats(0.05, 6),
        power_w=st.sampled_from([3000, 7000, 9600, 19200]),
        by=st.sampled_from([0.5, 1, 2, 3, 5, 8]).map(lambda hours: after(hours * 3600)),
    ),
    min_size=1,
)
rooms = st.sampled_from([3000, 9600, 12000, 20000, 60000])


def service(room_w: float) -> list[Room]:
    """One limit that counts all of everybody's power."""
    return [Room(room_w, dict.fromkeys([*"abcde", "bus", "car", "van"], 1.0))]


def fits(jobs: Mapping[str, Job], room_w: int, more: float) -> bool:
    """Whether all can be served, by the theorem of cuts: no set of jobs needs more than the stretches can give it."""
    stretches = list(pairwise([T0, *sorted({job.by for job in jobs.values()})]))
    names = list(jobs)
    for chosen in chain.from_iterable(combinations(names, size) for size in range(1, len(names) + 1)):
        needed = sum(jobs[name].hours * jobs[name].power_w for name in chosen) * more
        given_wh = 0.0
        for start, end in stretches:
            power_w = sum(jobs[name].power_w for name in chosen if jobs[name].by >= end)
            given_wh += min(room_w, power_w) * (end - start).total_seconds() / 3600
        if needed > given_wh:
            return False
    return True


@given(jobs_of_some, rooms)
@settings(max_examples=400, deadline=None)
def test_nobody_is_short_exactly_when_all_can_be_served(jobs: dict[str, Job], room_w: int) -> None:
    least_h = min(slack.together_h for slack in slacks(jobs, T0, service(room_w)).values())
    if fits(jobs, room_w, 1.02):
        assert least_h >= -0.01
    if not fits(jobs, room_w, 0.98):
        assert least_h <= 0.01


@given(jobs_of_some, rooms)
@settings(max_examples=200, deadline=None)
@example(
    {
        "a": Job(1.928463498039103, 3000, after(10800)),
        "b": Job(2.0, 3000, after(10800)),
        "c": Job(1.0, 3000, after(10800)),
    },
    3000,
)
def test_what_is_delivered_is_neither_more_than_asked_nor_than_there_is(jobs: dict[str, Job], room_w: int) -> None:
    done_h = delivered_h(jobs, T0, service(room_w))
    assert all(0 <= done_h[name] <= job.hours + 1e-9 for name, job in jobs.items())
    last_h = max((job.by - T0).total_seconds() / 3600 for job in jobs.values())
    assert sum(done_h[name] * job.power_w for name, job in jobs.items()) <= room_w * last_h + 1e-6


def test_a_vehicle_that_can_charge_while_the_first_is_gone_waits() -> None:
    jobs = {"bus": Job(1.0, 9600, after(3600)), "car": Job(1.0, 9600, after(7200))}
    found = slacks(jobs, T0, service(9600))
    assert (found["bus"].together_h, found["bus"].due_h) == (0.0, 1.0)
    assert (found["car"].together_h, found["car"].due_h) == (float("inf"), 0.0)


def test_a_slow_vehicle_that_leaves_last_begins_with_the_first() -> None:
    jobs = {"bus": Job(1.0, 10000, after(3600)), "car": Job(2.0, 5000, after(7200))}
    found = slacks(jobs, T0, service(15000))
    assert found["car"].due_h == pytest.approx(1.0)
    assert found["car"].together_h == pytest.approx(0.0)
    assert slacks(jobs, T0, service(10000))["bus"].together_h == pytest.approx(-0.5)


def test_without_any_room_nobody_can_wait() -> None:
    found = slacks({"car": Job(1.0, 9600, after(36000))}, T0, service(0))
    assert found["car"].together_h == float("-inf")


def test_on_a_busy_leg_there_is_less_time_to_wait() -> None:
    jobs = {"bus": Job(1.0, 10000, after(7200)), "car": Job(1.0, 10000, after(7200))}
    rooms = [*service(20000), Room(5000, {"car": 0.5})]
    found = slacks(jobs, T0, rooms)
    assert (found["bus"].together_h, found["car"].together_h) == (1.0, 1.0)
    found = slacks(jobs, T0, [*service(20000), Room(2500, {"car": 0.5})])
    assert (found["bus"].together_h, found["car"].together_h) == (1.0, 0.0)
    assert delivered_h(jobs, T0, [*service(20000), Room(2000, {"car": 0.5})]) == {"bus": 1.0, "car": pytest.approx(0.8)}


# ------------------------------------------------------------------------------------------------- over many hours


@dataclass
class Vehicle:
    """A battery that charges as it is told; over 80 % it takes half of what the charger can."""

    soc_pct: float
    capacity_wh: int
    departure: Departure
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
    """Vehicles at one service, decided for once a minute."""

    facts: SiteFacts
    vehicles: dict[str, Vehicle]
    memory: Memory
    wishes: Settings = NO_RESERVES

    def observe(self, now: datetime, **more: Any) -> Observation:
        seen = {
            name: a_reading(now, soc_pct=float(int(v.soc_pct)), capacity_wh=v.capacity_wh, power_w=v.power_w)
            for name, v in self.vehicles.items()
        }
        coming = {name: v.departure for name, v in self.vehicles.items() if v.departure.at > now}
        meter = a_meter(now, power_w=HOUSE_W + sum(v.power_w for v in self.vehicles.values()))
        plain = an_observation((now - T0).total_seconds(), {}, meter=meter, departures=frozen_map(coming))
        return replace(plain, **{"chargers": frozen_map(seen), **more})

    def decide(self, now: datetime, **more: Any) -> Decision:
        decision = decide(self.observe(now, **more), self.memory, self.wishes, self.facts)
        self.memory = decision.memory
        return decision

    def run(self, start: float, end: float, **more: Any) -> None:
        for seconds in range(int(start), int(end), STEP_S):
            decision = self.decide(after(seconds), **more)
            total_w = 0
            for name, vehicle in self.vehicles.items():
                if vehicle.departure.at > after(seconds):
                    vehicle.follow(order_power_w(decision.orders.get(name)) or 0, STEP_S / 3600)
                else:
                    vehicle.power_w = 0
                total_w += vehicle.power_w
            assert total_w <= self.facts.import_max_w - HOUSE_W

    def outlook(self, name: str) -> DepartureMemory:
        found = self.memory.charger(name).departure
        assert found is not None
        return found


def a_yard(import_max_w: int, **vehicles: Vehicle) -> Yard:
    facts = a_site(*vehicles, import_max_w=import_max_w, export_max_w=60000, stale_after_s=5.0)
    yard = Yard(facts, vehicles, Memory())
    for seconds in (-130, -65, -1):
        yard.decide(after(seconds))
    return yard


def a_vehicle(soc_pct: float, hours: float, target_pct: float, capacity_wh: int = 60000) -> Vehicle:
    return Vehicle(soc_pct, capacity_wh, Departure("trip", after(hours * 3600), target_pct))


def leaves_twice(soc_pct: float, first: tuple[float, float], second: tuple[float, float]) -> Vehicle:
    """Hours and percent of the next departure, and of another plan's soon after."""
    later = Departure("far", after(second[0] * 3600), second[1])
    return Vehicle(soc_pct, 60000, Departure("near", after(first[0] * 3600), first[1], later=(later,)))


def test_a_departure_behind_the_next_one_is_charged_for_in_time() -> None:
    car = leaves_twice(50.0, (7.5, 40.0), (8.5, 100.0))
    yard = a_yard(40000, car=car)
    assert yard.outlook("car").plan_id == "far"
    yard.run(0, 7.5 * 3600)
    assert car.soc_pct >= 90
    (car.departure,) = car.departure.later
    yard.run(7.5 * 3600, 8.5 * 3600)
    assert car.soc_pct >= 98
    assert car.begun == 1


def test_of_two_departures_the_tighter_rules_and_then_the_other() -> None:
    car = leaves_twice(50.0, (3.0, 80.0), (9.0, 100.0))
    yard = a_yard(40000, car=car)
    assert yard.outlook("car").plan_id == "near"
    yard.run(0, 2.8 * 3600)
    assert car.soc_pct >= 79
    assert (yard.outlook("car").plan_id, yard.outlook("car").stage) == ("far", DepartureStage.WAITS)
    assert car.begun == 1


def test_charging_goes_on_for_the_one_departure_while_another_is_about_as_tight() -> None:
    car = leaves_twice(50.0, (6.0, 80.0), (8.35, 100.0))
    yard = a_yard(40000, car=car)
    ruled = []
    for seconds in range(0, 6 * 3600, STEP_S):
        yard.run(seconds, seconds + STEP_S)
        ruled.append(yard.outlook("car").plan_id)
    assert sum(one != other for one, other in pairwise(ruled)) <= 2
    assert car.begun == 1
    assert car.soc_pct >= 79


def test_with_enough_for_all_departures_the_one_that_asks_most_is_watched() -> None:
    yard = a_yard(40000, car=leaves_twice(100.0, (3.0, 40.0), (9.0, 90.0)))
    yard.run(0, 3 * 3600 - 1)
    assert (yard.outlook("car").plan_id, yard.outlook("car").stage) == ("far", DepartureStage.READY)


vehicles = st.builds(
    a_vehicle,
    soc_pct=st.integers(6, 90).map(float),
    hours=st.sampled_from([1.0, 2.0, 3.5, 4.0, 7.0, 9.0]),
    target_pct=st.integers(20, 100).map(float),
    capacity_wh=st.sampled_from([30000, 60000, 100000]),
)


@given(st.lists(vehicles, min_size=3, max_size=3), st.sampled_from([8000, 12000, 20000, 40000]))
@bounded
def test_who_could_wait_leaves_with_what_was_asked_and_begins_once(fleet: list[Vehicle], import_max_w: int) -> None:
    yard = a_yard(import_max_w, **dict(zip(("bus", "car", "van"), fleet, strict=True)))
    calm = (DepartureStage.WAITS, DepartureStage.READY)
    assume(all(yard.outlook(name).stage in calm for name in yard.vehicles))
    yard.run(0, 9.5 * 3600)
    for vehicle in fleet:
        assert vehicle.departure.soc_pct is not None
        assert vehicle.soc_pct >= vehicle.departure.soc_pct - 1
        assert vehicle.begun <= 2


@given(st.lists(vehicles, min_size=3, max_size=3), st.sampled_from([12000, 40000]))
@bounded
def test_an_event_before_spoils_no_departure(fleet: list[Vehicle], import_max_w: int) -> None:
    yard = a_yard(import_max_w, **dict(zip(("bus", "car", "van"), fleet, strict=True)))
    calm = (DepartureStage.WAITS, DepartureStage.READY)
    assume(all(yard.outlook(name).stage in calm for name in yard.vehicles))
    yard.run(0, 9.5 * 3600, events=(an_event("e1", 0, 2.5 * 3600, -20000),))
    for vehicle in fleet:
        assert vehicle.departure.soc_pct is not None
        assert vehicle.soc_pct >= vehicle.departure.soc_pct - 1


def test_a_vehicle_far_from_its_departure_gives_and_one_near_it_does_not() -> None:
    yard = a_yard(24000, bus=a_vehicle(80.0, 2.8, 80.0), car=a_vehicle(80.0, 9.0, 80.0))
    event = an_event("e1", -10, 2.5 * 3600, -9600)
    decision = yard.decide(after(0), events=(event,))
    assert {name: order_power_w(order) for name, order in decision.orders.items()} == {"bus": 0, "car": -9600}


def test_it_waits_as_long_as_is_safe() -> None:
    yard = a_yard(24000, car=a_vehicle(70.0, 9.0, 80.0))
    yard.run(0, 7 * 3600)
    assert yard.vehicles["car"].begun == 0
    yard.run(7 * 3600, 9 * 3600 - HEAD_START.total_seconds())
    assert yard.vehicles["car"].soc_pct >= 79


def test_a_kettle_starts_no_charging_hours_ahead() -> None:
    yard = a_yard(24000, car=a_vehicle(70.0, 9.0, 80.0))
    for seconds, house_w in ((0, HOUSE_W), (1, 23900), (2, 23900), (30, HOUSE_W)):
        now = after(seconds)
        yard.decide(now, meter=a_meter(now, power_w=house_w))
        assert yard.outlook("car").stage is DepartureStage.WAITS
    for seconds in (40, 101):
        yard.decide(after(seconds), meter=a_meter(after(seconds), power_w=23100))
    assert yard.outlook("car").stage is DepartureStage.CHARGES


def test_a_charger_on_a_narrow_leg_begins_earlier_than_one_on_a_wide_one() -> None:
    yard = a_yard(24000, bus=a_vehicle(70.0, 3.5, 80.0), car=a_vehicle(70.0, 3.5, 80.0))
    legs = {"bus": (1,), "car": (2,)}
    chargers = {name: replace(charger, legs=legs[name]) for name, charger in yard.facts.chargers.items()}
    yard.facts = replace(yard.facts, chargers=frozen_map(chargers), leg_max_w=(12000, 3000))
    for seconds in (0, 61):
        now = after(seconds)
        yard.decide(now, meter=a_meter(now, power_w=1200, leg_power_w=(600, 600)))
    assert yard.outlook("bus").stage is DepartureStage.WAITS
    assert yard.outlook("car").stage is DepartureStage.CHARGES


def test_what_a_person_charges_with_elsewhere_is_no_room_to_leave_with() -> None:
    yard = a_yard(12000, bus=a_vehicle(70.0, -1.0, 80.0), car=a_vehicle(70.0, 5.0, 80.0))
    order = ManualOrder(ManualKind.CHARGE, T0, after(3600))
    for wishes, stage in (
        (NO_RESERVES, DepartureStage.WAITS),
        (replace(NO_RESERVES, manual=frozen_map({"bus": order})), DepartureStage.CHARGES),
    ):
        yard.wishes = wishes
        for seconds in (0, 61):
            yard.decide(after(seconds))
        assert yard.outlook("car").stage is stage


def test_a_moment_without_room_warns_nobody_and_a_lasting_one_does() -> None:
    yard = a_yard(24000, car=a_vehicle(50.0, 2.5, 80.0))
    stages = []
    for seconds in (0, 30, 59, 61):
        now = after(seconds)
        yard.decide(now, meter=a_meter(now, power_w=22000))
        stages.append(yard.outlook("car").stage)
    assert stages == [DepartureStage.CHARGES] * 3 + [DepartureStage.LATE]


def test_charging_that_has_begun_goes_on_over_a_restart() -> None:
    yard = a_yard(24000, car=a_vehicle(70.0, 1.0, 80.0))
    assert yard.outlook("car").stage is DepartureStage.CHARGES
    yard.memory = yard.memory.after_restart()
    yard.vehicles["car"].soc_pct = 78.0
    yard.decide(after(10))
    yard.decide(after(13))
    assert yard.outlook("car").stage is DepartureStage.CHARGES


def test_a_later_plan_ends_the_charging_of_the_one_before() -> None:
    yard = a_yard(24000, car=a_vehicle(70.0, 1.0, 80.0))
    yard.vehicles["car"].departure = Departure("trip", after(9 * 3600), 80.0)
    yard.decide(after(1))
    assert yard.outlook("car").stage is DepartureStage.WAITS


def test_a_silent_charger_keeps_what_was_said_of_its_departure_until_that_is_over() -> None:
    yard = a_yard(24000, car=a_vehicle(20.0, 0.5, 80.0))
    assert yard.outlook("car").stage is DepartureStage.LATE
    silent = frozen_map({"car": None})
    assert yard.decide(after(5), chargers=silent).memory.charger("car").departure is not None
    assert yard.decide(after(1800), chargers=silent).memory.charger("car").departure is None
