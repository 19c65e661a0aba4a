"""At whatever instant our process stops, the house that was lit stays lit, and one that the charger would light is lit.

The exceptions are named here, each with its reason: whatever is not among them is a defect.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from edge_service.domain.memory import IslandStep
from edge_service.domain.model import (
    AtEnd,
    Backup,
    Capability,
    ChargerFacts,
    Control,
    DrillRequest,
    Grid,
    Lease,
    ManualKind,
    ManualOrder,
    Mode,
    Release,
    SwitchFacts,
    frozen_map,
)
from edge_service.simulation.house import House
from edge_service.simulation.inverter import Operation, Stage
from tests.edge.domain.houses import an_event
from tests.edge.domain.plant import FACTS, LEASE_S, QUICK, Plant

S = IslandStep
# An open transition: the house goes dark so that the switch can close. It was announced or asked for.
RETURN = frozenset({S.STOPPING, S.CLOSING})
# The house is dark and its charger did not light it; it, or the one before it, is stopped for seconds: decision 18.
NUDGE = frozenset({S.RETRY, S.HANDOVER})
# The charger looks at the dead bus, forms, falls by an order of ours that stands in its way, and tries again.
FORMS_WITHIN_S = QUICK.form_s + QUICK.retry_s + QUICK.overload_s + 2.0
# From a restart until the grid is known, and the time to be sure of it.
LIFTED_WITHIN_S = 30
WATCHED_S = 2 * LEASE_S + FORMS_WITHIN_S


@dataclass(frozen=True)
class Act:
    """Something that becomes of the house, or that people want, and how long it is watched after that."""

    what: str
    value: Any
    seconds: int


def act(plant: Plant, one: Act, number: int) -> None:
    house, now, value = plant.house, plant.now, one.value
    acts: dict[str, Callable[[], None]] = {
        "grid": lambda: house.set_grid(present=value),
        "load": lambda: house.set_load(value),
        "soc": lambda: house.set_vehicle(soc_pct=value),
        "plugged": lambda: house.set_vehicle(plugged=value),
        "switch stuck": lambda: house.break_switch(stuck=value),
        "feedback broken": lambda: house.break_switch(feedback_broken=value),
        "charger falls": lambda: house.inverter.trip("overload", house.surroundings, locked=False),
        "restart": plant.restart,
        "forms": lambda: setattr(house.inverter, "options", replace(plant.options, island_capable=value)),
        "silent": lambda: setattr(plant, "silent", value),
        "event": lambda: setattr(
            plant, "events", (an_event(f"e{number}", plant.seconds + 2, plant.seconds + 40, value),)
        ),
        "manual": lambda: plant.decides(
            manual=frozen_map({"car": ManualOrder(value, now, now + timedelta(seconds=60), 4000)})
        ),
        "drill": lambda: plant.decides(
            drill=DrillRequest(f"d{number}", now, transfer=True, island_s=30.0, medical_safe=True, at_switch=True)
        ),
        "retry": lambda: plant.decides(retry_backup_at=now),
    }
    acts.get(one.what, lambda: plant.decides(**{one.what: value}))()
    house.settle()


lengths = st.sampled_from([1, 2, 3, 5, 8, 13, 30])
flag = st.booleans()


def acts_of(what: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
    return st.builds(Act, st.just(what), values, lengths)


ACTS = st.one_of(
    acts_of("grid", flag),
    acts_of("grid", flag),
    acts_of("grid", flag),
    acts_of("load", st.sampled_from([300.0, 2000.0, 9000.0, 11000.0])),
    acts_of("soc", st.sampled_from([15.0, 21.0, 50.0, 99.0])),
    acts_of("plugged", flag),
    acts_of("switch stuck", flag),
    acts_of("feedback broken", flag),
    acts_of("charger falls", st.none()),
    acts_of("silent", flag),
    acts_of("event", st.sampled_from([-5000, 4000])),
    acts_of("manual", st.sampled_from(ManualKind)),
    acts_of("drill", st.none()),
    acts_of("retry", st.none()),
    acts_of("restart", st.none()),
    acts_of("stopped", flag),
    acts_of("end_backup", st.just(True)),
    acts_of("at_end", st.sampled_from(AtEnd)),
    acts_of("mode", st.sampled_from(Mode)),
)


def can_carry(house: House) -> bool:
    """The vehicle could light the house and hold it, if nothing kept its charger from that."""
    inverter = house.inverter
    carries = house.load_w <= inverter.options.rating_w and house.vehicle.soc_pct > house.vehicle.floor_pct + 1
    carries = carries and inverter.options.island_capable
    locked = inverter.stage is Stage.FAULT and inverter.stage_left_s > 60
    return carries and house.vehicle.plugged and inverter.settings.permit_service and not locked


def source_lasts(house: House) -> bool:
    """What feeds the house now goes on doing so."""
    return house.grid_live or (house.inverter.stage is Stage.ISLAND and not house.switch.closed and can_carry(house))


def excused(plant: Plant) -> bool:
    """The named exceptions: a person's stop, an end of the backup, an open transition, a nudge in a dark house."""
    people, step = plant.people, plant.step
    # Nobody can lift a stop, a person's or of a return, at a charger that has fallen silent since.
    out_of_reach = plant.silent and plant.house.inverter.settings.operation is Operation.STOP
    wanted = people.stopped or people.end_backup or step is S.ENDED
    return wanted or out_of_reach or step in RETURN or step in NUDGE


def leaves_grid(plant: Plant) -> bool:
    """A drill, or an outage that ends at this moment, opens the switch: dark until the charger has formed."""
    return plant.step in (S.OPENING, S.FORMING) and plant.house.switch.commanded_open


def dark_s(house: House, seconds: float) -> float:
    before = house.dark_s
    house.step(seconds)
    return house.dark_s - before


@dataclass
class Onlooker:
    """Looks at what would become of the house if our process ended here. ``unlifted_s``: an excused stop stands on."""

    plant: Plant
    unlifted_s: int = 0

    @property
    def excuses(self) -> bool:
        """An excused stop is so until it is lifted: by the next write, or once a restarted edge knows the grid."""
        return excused(self.plant) or (self.unlifted_s > 0 and self._stopped)

    @property
    def _stopped(self) -> bool:
        return self.plant.house.inverter.settings.operation is Operation.STOP

    def second_passed(self, told: str) -> None:
        stands_on = self.unlifted_s > 0 and self._stopped
        self.unlifted_s = 1 if excused(self.plant) else self.unlifted_s + 1 if stands_on else 0
        assert self.unlifted_s < LIFTED_WITHIN_S, f"a stop is not lifted: {told}"

    def freeze(self, told: str) -> None:
        """What becomes of the house from here on without us."""
        house = self.plant.copy_of_house()
        lit, lasted = house.powered, source_lasts(house)
        lost_s = dark_s(house, WATCHED_S)
        assert not house.inverter.settings.setpoint_enabled, f"an order outlives its lease: {told}"
        if self.excuses:
            return
        if lit and lasted and not leaves_grid(self.plant):
            assert lost_s == 0, f"a lit house went dark for {lost_s:.1f} s: {told}"
        if house.switch.wire_shows_open and not house.grid_live and can_carry(house):
            assert house.powered, f"a house that the charger would light stayed dark: {told}"

    def freeze_and_lose_the_grid(self, told: str) -> None:
        """The same on a good grid; then it fails, and somebody opens the switch by hand."""
        house = self.plant.copy_of_house()
        able = self.plant.facts.switch is not None and house.grid_live and can_carry(house) and not house.switch.stuck
        if self.excuses or not able:
            return
        assert house.inverter.settings.operation is not Operation.STOP, f"stopped on a good grid: {told}"
        house.set_grid(present=False)
        house.step(2.0)
        house.command_switch(open_=False)
        house.command_switch(open_=True)
        house.step(LEASE_S + FORMS_WITHIN_S)
        assert house.powered or not can_carry(house), f"the charger did not light the house: {told}"


def live_through(course: list[Act], plant: Plant) -> None:
    """Decide second by second; wherever something changed, look at what would be without us from there."""
    seen: tuple[object, ...] = ()
    onlooker = Onlooker(plant)
    for number, one in enumerate(course):
        act(plant, one, number)
        for _ in range(one.seconds):
            decision = plant.cycle()
            stands: tuple[object, ...] = (plant.step, decision.orders.get("car"), decision.switch, plant.house.powered)
            changed, seen = stands != seen, stands
            told = f"{[step.value for step in plant.walked]} then {decision.orders} and switch {decision.switch}"
            if changed:
                onlooker.freeze(f"{told}, before any write")
            plant.order_charger(decision)
            if changed:
                onlooker.freeze(f"{told}, before the switch was told")
            plant.order_switch(decision)
            if changed or plant.seconds % 7 == 0:
                onlooker.freeze(told)
                onlooker.freeze_and_lose_the_grid(told)
            onlooker.second_passed(told)
    assert plant.house.history.violations == [], plant.walked


OBEYS = replace(QUICK, setpoint_obeyed_in_island=True)
IN_STEP = replace(FACTS, switch=SwitchFacts(synchronism_check=True))
SITES = {
    "plain": (FACTS, QUICK),
    "setpoint obeyed in the island": (FACTS, OBEYS),
    "synchronism check": (IN_STEP, replace(QUICK, synchronism_check=True)),
}


@pytest.mark.parametrize("site", SITES)
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(course=st.lists(ACTS, min_size=1, max_size=8))
def test_a_frozen_process_darkens_no_house(site: str, course: list[Act]) -> None:
    facts, options = SITES[site]
    live_through([Act("grid", True, 8), *course], Plant(facts, options))


DISCHARGES = Act("manual", ManualKind.DISCHARGE, 5)
LOST, BACK = Act("grid", False, 20), Act("grid", True, 40)
FALLS = Act("charger falls", None, 15)
# Courses that chance finds seldom, and the steps that they must have walked.
COURSES: dict[str, tuple[list[Act], set[IslandStep]]] = {
    "there and back": ([DISCHARGES, LOST, BACK], {S.OPENING, S.FORMING, S.ISLAND, S.ANNOUNCED, S.TIED}),
    "in an event": ([Act("event", -5000, 10), LOST, BACK], {S.ISLAND, S.ANNOUNCED}),
    "falls and falls": ([LOST, FALLS, FALLS, FALLS, BACK], {S.ISLAND, S.FORMING}),
    "too much load": ([LOST, Act("load", 11000.0, 20), Act("load", 900.0, 20), BACK], {S.ISLAND, S.FORMING}),
    "a drill": ([Act("drill", None, 60)], {S.OPENING, S.ISLAND, S.TIED}),
    "a drill in which it falls": ([Act("drill", None, 22), FALLS, Act("load", 900.0, 30)], {S.ISLAND, S.STOPPING}),
    "a drill that an outage ends": ([Act("drill", None, 22), LOST, BACK], {S.ISLAND, S.ANNOUNCED}),
    "a drill without an island": ([Act("forms", False, 1), Act("drill", None, 70)], {S.FORMING, S.STOPPING}),
    "begins anew": (
        [Act("forms", False, 1), Act("grid", False, 660), Act("forms", True, 30), BACK],
        {S.DARK, S.RETRY, S.ISLAND},
    ),
    "a switch that sticks": ([Act("switch stuck", True, 1), LOST, Act("switch stuck", False, 20), BACK], {S.STUCK}),
    "restarts in the island": ([LOST, Act("restart", None, 10), BACK], {S.ISLAND, S.TIED}),
    "restarts on the way back": (
        [LOST, Act("grid", True, 16), *[Act("restart", None, 1)] * 6, BACK],
        {S.ISLAND, S.TIED},
    ),
    "silent in the island": ([LOST, Act("silent", True, 90), BACK], {S.ISLAND}),
}


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("course", COURSES)
def test_a_frozen_process_darkens_no_house_in_a_known_course(course: str, site: str) -> None:
    acts, steps = COURSES[course]
    facts, options = SITES[site]
    plant = Plant(facts, options)
    live_through([Act("grid", True, 8), *acts], plant)
    assert steps <= {*plant.walked}, plant.walked


# ------------------------------------------------------------------------------------------------ a maker's own gateway

GATEWAY = Capability(Control.SIGNED, 9600, 9600, lease=Lease.TIMER, backup=Backup.VENDOR)
BEHIND_GATEWAY = replace(FACTS, switch=None, chargers=frozen_map({"car": ChargerFacts("car", "Car", GATEWAY)}))


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(course=st.lists(ACTS, min_size=1, max_size=8))
def test_at_a_makers_gateway_no_order_outlives_its_lease_and_none_is_given_in_an_outage(course: list[Act]) -> None:
    plant = Plant(BEHIND_GATEWAY, replace(QUICK, island_capable=False))
    for number, one in enumerate([Act("grid", True, 8), *course]):
        act(plant, one, number)
        for _ in range(one.seconds):
            decision = plant.cycle()
            plant.order_charger(decision)
            plant.order_switch(decision)
            if plant.seconds % 3 == 0:
                Onlooker(plant).freeze(str(decision.orders))
            stopped = plant.people.stopped
            assert decision.switch is None
            if decision.grid is Grid.OUTAGE and not stopped:
                assert decision.orders.get("car") in (None, Release())
            if not (stopped or plant.silent):
                assert plant.house.inverter.settings.operation is not Operation.STOP
