"""A charger that a limit stopped is not started each time that it fits; and a meter that is late stops no charging."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import DepartureMemory, DepartureStage, Memory
from edge_service.domain.model import (
    Capability,
    ChargerFacts,
    Control,
    Lease,
    ManualKind,
    ManualOrder,
    Settings,
    SiteFacts,
    frozen_map,
)
from edge_service.domain.realise import order_power_w
from tests.edge.domain.houses import a_meter, a_site, after, an_event, an_observation
from tests.edge.domain.test_legs import on_grid

LEAST_W = 1380
QUASAR = Capability(Control.SIGNED, 7400, 7400, LEAST_W, LEAST_W, guard_s=5.9, lease=Lease.TRAFFIC)
SIGENERGY = Capability(
    Control.TWO_LIMITS, 12500, 0, LEAST_W, LEAST_W, never_zero=True, guard_s=10.0, settle_s=30.0, lease=Lease.TIMER
)
SERVICE_W = 10_000


def a_house(count: int = 1, capability: Capability = QUASAR, **changes: Any) -> SiteFacts:
    chargers = {f"c{n}": ChargerFacts(f"c{n}", f"C{n}", capability) for n in range(count)}
    return a_site(chargers=frozen_map(chargers), switch=None, import_max_w=SERVICE_W, **changes)


@dataclass(slots=True)
class Days:
    """A site whose chargers do as they are told, second by second. ``powers``: what each was told, at each second.

    ``meter_age_s``: seconds since the meter told the last time.
    """

    facts: SiteFacts
    house_w: Callable[[int], int]
    soc_pct: float = 15.0
    settings: Settings = field(default_factory=Settings)
    memory: Memory = field(default_factory=on_grid)
    powers: list[dict[str, int]] = field(default_factory=list)
    at: int = 0
    meter_age_s: int = 0

    def decide(self, **changes: Any) -> Decision:
        self.at += 1
        now_w = self.powers[-1] if self.powers else dict.fromkeys(self.facts.chargers, 0)
        chargers = {name: {"power_w": power_w, "soc_pct": self.soc_pct} for name, power_w in now_w.items()}
        meter = a_meter(after(self.at - self.meter_age_s), power_w=self.house_w(self.at) + sum(now_w.values()))
        observation = replace(an_observation(self.at, chargers), meter=meter, switch=None)
        decision = decide(replace(observation, **changes), self.memory, self.settings, self.facts)
        self.memory = decision.memory
        told = {name: order_power_w(order, QUASAR) or 0 for name, order in decision.orders.items()}
        self.powers.append(told)
        assert self.meter_age_s or self.house_w(self.at) + sum(told.values()) <= SERVICE_W
        return decision

    def live(self, until: int) -> None:
        while self.at < until:
            self.decide()

    def switchings(self, charger: str = "c0") -> int:
        return sum((one[charger] == 0) != (other[charger] == 0) for one, other in pairwise(self.powers))

    def starts_after(self, second: int, within: int, charger: str = "c0") -> int | None:
        """How many seconds after this one it works again."""
        self.live(second + within)
        return next((n for n in range(within) if self.powers[second + n][charger]), None)


def toggling(second: int) -> int:
    """A load of 200 W that comes and goes every 7 s around the room for the least power."""
    return 8500 + (200 if second // 7 % 2 else 0)


def busy_until(second: int, then_w: int = 3000) -> Callable[[int], int]:
    """Room for 5 s, none until this second, then again."""
    return lambda at: 3000 if at <= 5 else 9500 if at <= second else then_w


@pytest.mark.parametrize("capability", [QUASAR, SIGENERGY], ids=["setpoint", "two limits"])
def test_a_load_that_comes_and_goes_does_not_start_and_stop_a_charger_with_it(capability: Capability) -> None:
    days = Days(a_house(capability=capability), toggling)
    days.live(1800)
    assert days.switchings() <= 2


def test_nor_two_that_share_the_room() -> None:
    days = Days(a_house(2), lambda second: toggling(second) - LEAST_W)
    days.live(1800)
    assert max(days.switchings("c0"), days.switchings("c1")) <= 6


def test_a_charger_that_a_limit_stopped_rests_five_minutes_and_says_why() -> None:
    days = Days(a_house(), busy_until(20))
    days.live(10)
    assert days.powers[-1] == {"c0": 0}
    days.live(21)
    steps = days.decide().steps["c0"]
    assert ("site_limits", "rests_after_limit", 0) in [(step.rung, step.reason, step.high_w) for step in steps]
    assert days.starts_after(5, 400) == 300


def test_with_little_to_spare_it_waits_half_an_hour_and_no_longer() -> None:
    days = Days(a_house(), busy_until(20, SERVICE_W - LEAST_W - 100))
    assert days.starts_after(5, 2000) == 1800


def test_with_enough_to_spare_it_waits_no_longer_than_five_minutes() -> None:
    days = Days(a_house(), busy_until(20, SERVICE_W - LEAST_W - LEAST_W // 4))
    assert days.starts_after(5, 2000) == 300


def test_a_limit_that_leaves_less_than_the_least_stops_at_once() -> None:
    days = Days(a_house(), busy_until(100))
    days.live(5)
    assert days.powers[-1]["c0"] >= LEAST_W
    days.live(6)
    assert days.powers[-1] == {"c0": 0}


def test_what_a_person_orders_anew_starts_at_once() -> None:
    days = Days(a_house(), busy_until(20))
    days.live(30)
    assert days.powers[-1] == {"c0": 0}
    days.settings = Settings(manual=frozen_map({"c0": ManualOrder(ManualKind.CHARGE, after(30), after(3600), 5000)}))
    days.live(31)
    assert days.powers[-1] == {"c0": 5000}


def test_what_a_person_ordered_before_does_not_make_it_start_and_stop() -> None:
    days = Days(a_house(), toggling)
    days.settings = Settings(manual=frozen_map({"c0": ManualOrder(ManualKind.CHARGE, after(0), after(3600))}))
    days.live(1800)
    assert days.switchings() <= 2


def test_an_event_that_begins_charges_at_once() -> None:
    days = Days(a_house(), busy_until(20))
    days.live(29)
    decision = days.decide(events=(an_event("e", 30, 600, power_w=4000),))
    assert decision.reasons["c0"] == "demand_response"
    assert days.powers[-1] == {"c0": 4000}


@pytest.mark.parametrize(("stage", "rests_s"), [(DepartureStage.LATE, 60), (DepartureStage.CHARGES, 300)])
def test_a_departure_that_is_late_waits_a_minute_and_one_that_charges_needs_nothing_to_spare(
    stage: DepartureStage, rests_s: int
) -> None:
    days = Days(a_house(), busy_until(20, SERVICE_W - LEAST_W - 100))
    days.live(10)
    outlook = DepartureMemory("p", after(7200), stage, 80.0)
    starts = None
    while starts is None and days.at < 400:
        memory = replace(days.memory.charger("c0"), departure=outlook)
        days.memory = replace(days.memory, chargers=frozen_map({"c0": memory}))
        days.decide()
        starts = days.at - 6 if days.powers[-1]["c0"] else None
    assert starts == rests_s


def test_another_vehicle_on_the_plug_starts_at_once() -> None:
    days = Days(a_house(), busy_until(20))
    days.live(30)
    gone = an_observation(31, {"c0": {"plugged": False, "soc_pct": None}}).chargers
    days.decide(chargers=gone)
    days.live(33)
    assert days.powers[-1]["c0"] > 0


def test_a_discharge_that_may_not_leave_the_house_rests_likewise() -> None:
    days = Days(a_house(export_max_w=0), lambda second: LEAST_W + (100 if second // 7 % 2 else -100), soc_pct=80.0)
    days.settings = Settings(manual=frozen_map({"c0": ManualOrder(ManualKind.DISCHARGE, after(0), after(3600))}))
    days.live(1700)
    assert 0 < days.switchings() <= 2


# ------------------------------------------------------------------------------------------------ a meter that is late


def test_a_meter_that_is_late_stops_no_charging_but_lets_it_rise_no_more() -> None:
    days = Days(a_house(), lambda _: 3000)
    days.live(5)
    charging_w = days.powers[-1]["c0"]
    days.meter_age_s, days.house_w = 8, lambda _: 0
    decision = days.decide()
    assert days.powers[-1] == {"c0": charging_w}
    assert "meter_late" in [step.reason for step in decision.steps["c0"]]


def test_a_meter_that_is_silent_for_longer_ends_charging() -> None:
    days = Days(a_house(), lambda _: 3000)
    days.live(5)
    days.meter_age_s = 11
    days.decide()
    assert days.powers[-1] == {"c0": 0}


def test_a_late_meter_starts_nothing_and_lets_nothing_be_discharged() -> None:
    days = Days(a_house(), lambda _: 3000, soc_pct=80.0)
    days.settings = Settings(manual=frozen_map({"c0": ManualOrder(ManualKind.DISCHARGE, after(0), after(3600))}))
    days.live(5)
    assert days.powers[-1]["c0"] < 0
    days.meter_age_s = 8
    days.decide()
    assert days.powers[-1] == {"c0": 0}
