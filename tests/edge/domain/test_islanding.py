"""The table from grid to island and back: no dead end, no endless turning, no way that leaves a house dark."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from edge_service.domain.decide import decide
from edge_service.domain.forming import choose_former
from edge_service.domain.islanding import SWITCH_ORDERS, switch_order
from edge_service.domain.islanding_situation import MOST_ATTEMPTS, Situation
from edge_service.domain.islanding_table import TABLE
from edge_service.domain.memory import GridMemory, IslandMemory, IslandStep, Memory, OutageMemory
from edge_service.domain.model import (
    AtEnd,
    Grid,
    Mode,
    Observation,
    Position,
    Settings,
    SwitchOrder,
    SwitchReading,
    frozen_map,
)
from tests.edge.domain.houses import T0, a_meter, a_reading, a_site, after, an_observation
from tests.edge.scenarios.story import House

S = IslandStep
MOVING = (S.SHEDDING, S.OPENING, S.FORMING, S.RETRY, S.SYNCHRONISING, S.STOPPING, S.CLOSING)
FACTS = replace(a_site("car"), enter_service_s=10.0, announce_return_s=5.0)


def reached_from(step: IslandStep) -> set[IslandStep]:
    reached, ahead = {step}, [step]
    while ahead:
        new = {transition.to for transition in TABLE[ahead.pop()]} - reached
        reached |= new
        ahead += new
    return reached


def test_every_step_can_be_reached() -> None:
    assert reached_from(S.UNKNOWN) == set(S)


@pytest.mark.parametrize("step", S)
def test_from_every_step_there_is_a_way_to_the_grid(step: IslandStep) -> None:
    assert TABLE[step]
    assert S.TIED in reached_from(step)


@pytest.mark.parametrize("step", S)
def test_no_step_leads_to_itself(step: IslandStep) -> None:
    assert step not in {transition.to for transition in TABLE[step]}


@pytest.mark.parametrize("step", MOVING)
@pytest.mark.parametrize("grid", Grid)
def test_a_step_that_darkens_the_house_ends_by_itself_when_nothing_answers(step: IslandStep, grid: Grid) -> None:
    silence = Observation(after(3600), frozen_map({"car": None}))
    situation = Situation(silence, IslandMemory(step, T0, "car"), grid, Settings(), FACTS)
    assert any(transition.guard(situation) for transition in TABLE[step])


def test_the_switch_is_told_something_only_while_it_shall_move() -> None:
    assert SWITCH_ORDERS == {
        S.OPENING: SwitchOrder.OPEN,
        S.CLOSING: SwitchOrder.CLOSE,
        S.SYNCHRONISING: SwitchOrder.CLOSE,
    }


# ------------------------------------------------------------------------------------------- a house that runs for long


class Run:
    """A closed loop of decisions and the tiny house, second by second."""

    def __init__(self, step: IslandStep = S.TIED, known: Grid = Grid.ON, **house: Any) -> None:
        self.house = House(FACTS, **house)
        self.house.chargers["car"].forming = step in (S.ISLAND, S.ANNOUNCED) and not self.house.closed
        self.memory = Memory(
            grid=GridMemory(known, T0, lost_since=T0, good_since=T0, closed_since=T0),
            island=IslandMemory(step, T0, "car"),
            outage=None if step is S.TIED else OutageMemory(T0),
        )
        self.settings = Settings()
        self.seconds = 0
        self.walked: list[IslandStep] = [step]
        self.switched: list[SwitchOrder] = []
        self.told: list[str] = []

    def seconds_pass(self, seconds: int) -> Run:
        for _ in range(seconds):
            self.seconds += 1
            decision = decide(self.house.observe(after(self.seconds)), self.memory, self.settings, FACTS)
            self.memory = decision.memory
            self.house.obey(decision)
            self.told += [f"{notice.key}: {notice.kind}" for notice in decision.notices]
            if decision.memory.island.step is not self.walked[-1]:
                self.walked.append(decision.memory.island.step)
                if decision.switch is not None:
                    self.switched.append(decision.switch)
        return self

    @property
    def lit(self) -> bool:
        observation = self.house.observe(after(self.seconds + 1))
        voltage_v = observation.chargers["car"].voltage_v if observation.chargers["car"] else 0
        return bool(voltage_v)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("step", S)
def test_from_every_step_the_house_comes_back_to_a_good_grid(step: IslandStep, closed: bool) -> None:
    run = Run(step, closed=closed).seconds_pass(120)
    assert run.walked[-1] is S.TIED
    assert run.house.closed
    assert run.lit
    assert len(run.walked) < 10


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("step", S)
def test_from_every_step_the_vehicle_lights_the_house_in_an_outage(step: IslandStep, closed: bool) -> None:
    run = Run(step, Grid.OUTAGE, closed=closed, grid=False).seconds_pass(60)
    assert run.walked[-1] is S.ISLAND
    assert run.lit
    assert len(run.walked) < 10


def hour(run: Run) -> Run:
    return run.seconds_pass(1800)


def test_a_switch_that_does_not_open_is_tried_three_times_and_told_once() -> None:
    run = hour(Run(switch_obeys=False).seconds_pass(5))
    run.house.grid = False
    hour(run)
    assert run.switched == [SwitchOrder.OPEN] * MOST_ATTEMPTS
    assert run.walked[-1] is S.TIED
    assert run.told == ["outage: outage", "outage: no_backup"]
    run.house.grid = True
    hour(run)
    run.house.grid, run.house.switch_obeys = False, True
    assert run.seconds_pass(60).walked[-1] is S.ISLAND, "the next outage has its own attempts"


def test_a_switch_that_does_not_close_is_tried_again_and_again_but_not_every_second() -> None:
    run = Run(S.ISLAND, closed=False, switch_obeys=False)
    hour(run)
    assert SwitchOrder.OPEN not in run.switched
    assert 3 <= len(run.switched) <= 10
    run.house.switch_obeys = True
    assert run.seconds_pass(600).walked[-1] is S.TIED


def test_a_charger_that_does_not_stop_keeps_the_house_lit_and_is_asked_now_and_then() -> None:
    run = Run(S.ISLAND, closed=False, will_stop=False)
    hour(run)
    assert not run.switched
    assert run.lit
    assert run.walked.count(S.STOPPING) <= 7
    run.house.will_stop = True
    assert run.seconds_pass(600).walked[-1] is S.TIED


def test_a_house_that_cannot_be_proven_dead_is_lit_by_the_vehicle_instead_of_dark() -> None:
    run = Run(S.ISLAND, closed=False)
    run.house.pins["car"] = {"voltage_v": None}
    hour(run)
    assert not run.switched, "closing blind could join a live island to the grid"
    assert run.walked.count(S.STOPPING) <= 7
    assert run.house.chargers["car"].forming
    assert run.walked[-1] in (S.ISLAND, S.ANNOUNCED)


def test_a_charger_slow_to_die_is_waited_for() -> None:
    run = Run(S.ISLAND, closed=False)
    run.house.pins["car"] = {"voltage_v": 100.0}
    run.seconds_pass(21)
    assert run.walked[-1] is S.FORMING
    run.house.will_form = False
    del run.house.pins["car"]
    run.house.chargers["car"].forming = False
    assert run.seconds_pass(5).walked[-1] is S.TIED


def test_a_charger_that_never_forms_leaves_a_dark_house_that_returns_at_once() -> None:
    run = Run(S.TIED, will_form=False)
    run.house.grid = False
    hour(run)
    assert run.walked[-1] is S.DARK
    assert run.told == ["outage: outage", "outage: no_backup", "outage: no_backup"], "and once more when a retry failed"
    run.house.grid = True
    assert run.seconds_pass(15).walked[-1] is S.TIED


def test_a_charger_that_loses_the_island_as_soon_as_the_grid_is_good_returns_without_more_dark_time() -> None:
    run = Run(S.ISLAND, Grid.ON, closed=False, will_form=False)
    run.house.chargers["car"].forming = False
    assert run.seconds_pass(5).walked == [S.ISLAND, S.FORMING, S.STOPPING, S.CLOSING, S.TIED]


# --------------------------------------------------------------------------------------------------------- single cases


def island(observation: Observation, settings: Settings, step: IslandStep, grid: Grid = Grid.OUTAGE) -> IslandStep:
    memory = Memory(
        grid=GridMemory(grid, T0, lost_since=T0, good_since=T0), island=IslandMemory(step, T0, "car"), at=T0
    )
    return decide(observation, memory, settings, FACTS).memory.island.step


def dark(seconds: float = 1, soc_pct: float = 70.0, **switch: bool) -> Observation:
    """Grid lost and the switch open, the car not forming."""
    quiet = {"grid_present": False, "voltage_v": 0.0, "soc_pct": soc_pct}
    seen = an_observation(seconds, {"car": quiet}, meter=a_meter(after(seconds), voltage_v=0.0))
    assert seen.switch is not None
    return replace(seen, switch=replace(seen.switch, commanded_open=True, open_proven=True, closed_proven=False))


def test_at_the_driver_s_reserve_no_island_is_begun() -> None:
    closed = an_observation(
        1, {"car": {"soc_pct": 20.0, "grid_present": False}}, meter=a_meter(after(1), voltage_v=0.0)
    )
    assert island(closed, Settings(), S.TIED) is S.TIED
    assert island(closed, Settings(at_end=AtEnd.LEND), S.TIED) is S.OPENING


def test_after_a_restart_a_stopped_reserve_is_not_used_again() -> None:
    assert island(dark(soc_pct=20.0), Settings(), S.FORMING) is S.ENDED


def test_a_switch_that_somebody_opens_on_a_good_grid_is_noticed() -> None:
    seen = replace(dark(), meter=a_meter(after(1)))
    assert island(seen, Settings(), S.TIED, Grid.ON) is S.FORMING


def test_in_read_only_nobody_opens_a_switch() -> None:
    closed = replace(dark(), switch=an_observation(1).switch)
    assert island(closed, Settings(mode=Mode.READ_ONLY), S.TIED) is S.TIED


def test_a_stop_while_the_switch_opens_takes_the_order_back() -> None:
    memory = Memory(grid=GridMemory(Grid.OUTAGE, T0, lost_since=T0), island=IslandMemory(S.OPENING, T0, "car"), at=T0)
    closed = replace(dark(), switch=an_observation(1).switch)
    assert decide(closed, memory, Settings(), FACTS).switch is SwitchOrder.OPEN
    assert decide(closed, memory, Settings(stopped=True), FACTS).switch is None


def test_a_stale_switch_proves_nothing() -> None:
    old = replace(dark(10), switch=replace(dark(1).switch or pytest.fail("no switch"), at=after(1)))
    assert island(old, Settings(), S.OPENING) is S.STUCK


def test_a_live_house_seen_by_any_device_is_not_dead() -> None:
    facts = replace(a_site("bus", "car"), meter_position=Position.PROTECTED_SIDE)
    memory = IslandMemory(S.STOPPING, T0, "car")

    def dead(car: dict[str, Any], bus: dict[str, Any], volts: float | None = 0.0) -> bool:
        seen = an_observation(1, {"car": car, "bus": bus}, meter=a_meter(after(1), voltage_v=volts), stopped=stopped)
        return Situation(seen, memory, Grid.ON, Settings(), facts).dead

    stopped: Mapping[str, datetime] = {"car": T0}
    quiet, live, mute = {"voltage_v": 0.0}, {"voltage_v": 240.0}, {"voltage_v": None}
    assert dead(quiet, quiet)
    stopped = {}
    assert not dead(quiet, quiet), "a charger that was not stopped may form at any moment"
    stopped = {"car": after(1)}
    assert not dead(quiet, quiet), "what was seen before the stop was read back proves nothing"
    stopped = {"car": T0}
    assert dead(mute, mute)
    assert dead(quiet, mute, None)
    assert not dead(mute, mute, None)
    assert not dead(quiet, live)
    assert not dead(quiet, quiet, 240.0)
    assert not dead(quiet, quiet | {"forming": True})
    assert not dead(quiet | {"forming": None}, quiet)


def test_an_order_to_open_that_moved_nothing_is_taken_back_when_the_grid_returns() -> None:
    stuck = SwitchReading(after(1), commanded_open=True, open_proven=False, closed_proven=True)
    for grid in (Grid.RESTORING, Grid.ON):
        assert switch_order(IslandMemory(S.TIED), grid, Settings(), stuck, FACTS) is SwitchOrder.CLOSE
    assert switch_order(IslandMemory(S.TIED), Grid.OUTAGE, Settings(), stuck, FACTS) is None
    open_now = SwitchReading(after(1), commanded_open=True, open_proven=True, closed_proven=False)
    assert switch_order(IslandMemory(S.ISLAND), Grid.ON, Settings(), open_now, FACTS) is None


def test_a_return_that_does_not_succeed_calls_a_person() -> None:
    run = Run(S.ISLAND, closed=False, grid=False, known=Grid.OUTAGE).seconds_pass(5)
    run.house.silent.add("car")
    run.house.grid = True
    hour(run)
    assert "return_failed: return_failed" in run.told
    run.house.silent.clear()
    assert hour(run).walked[-1] is S.TIED


def without_contacts(seen: Observation, *, told_to_open: bool) -> Observation:
    """The switch obeys, but its contacts prove nothing any more."""
    assert seen.switch is not None
    return replace(
        seen, switch=replace(seen.switch, commanded_open=told_to_open, open_proven=False, closed_proven=False)
    )


@pytest.mark.parametrize("step", [S.OPENING, S.STUCK, S.UNKNOWN])
def test_an_island_that_is_seen_counts_though_no_contact_proves_the_switch(step: IslandStep) -> None:
    formed = an_observation(1, {"car": {"grid_present": None, "forming": True}}, meter=a_meter(after(1), voltage_v=0.0))
    assert island(without_contacts(formed, told_to_open=True), Settings(), step) is S.ISLAND


@pytest.mark.parametrize("step", [S.CLOSING, S.STUCK, S.UNKNOWN])
def test_a_house_alive_behind_a_switch_told_to_close_is_on_the_grid_though_no_contact_proves_it(
    step: IslandStep,
) -> None:
    alive = without_contacts(an_observation(1), told_to_open=False)
    assert island(alive, Settings(), step, Grid.ON) is S.TIED
    dead = replace(alive, chargers=frozen_map({"car": a_reading(after(1), voltage_v=0.0)}))
    assert island(dead, Settings(), step, Grid.ON) is not S.TIED


@pytest.mark.parametrize(("silent_s", "step"), [(50, S.OPENING), (70, S.TIED)])
def test_the_switch_opens_only_for_a_charger_that_was_there(silent_s: int, step: IslandStep) -> None:
    gone = a_reading(after(100 - silent_s), grid_present=True)
    seen = an_observation(100, meter=a_meter(after(100), voltage_v=0.0))
    assert island(replace(seen, chargers=frozen_map({"car": gone})), Settings(), S.TIED) is step


def test_who_forms_already_is_the_one_that_forms_though_another_has_more_charge() -> None:
    facts = a_site("bus", "car")
    chargers = {"bus": {"soc_pct": 90.0}, "car": {"soc_pct": 30.0, "forming": True}}
    assert choose_former(an_observation(1, chargers), facts) == "car"


def test_a_silent_charger_is_chosen_to_form_only_when_there_is_no_other() -> None:
    facts = a_site("bus", "car")
    seen = an_observation(60, {"car": {"soc_pct": 30.0}})
    silent = frozen_map({**seen.chargers, "bus": a_reading(after(1), soc_pct=90.0)})
    assert choose_former(replace(seen, chargers=silent), facts) == "car"
    alone = frozen_map({"bus": a_reading(after(1), soc_pct=90.0), "car": None})
    assert choose_former(replace(seen, chargers=alone), facts) == "bus"


@pytest.mark.parametrize("forms", [True, None])
def test_after_a_restart_in_the_island_the_former_is_not_parked_for_a_fuller_neighbour(forms: bool | None) -> None:
    facts = a_site("bus", "car")
    memory = Memory(island=IslandMemory(S.ISLAND, T0, "car"), at=T0).after_restart()
    observation = dark()
    chargers = {
        "bus": a_reading(after(1), soc_pct=90.0, grid_present=False, voltage_v=240.0),
        "car": a_reading(after(1), soc_pct=40.0, forming=forms, grid_present=None, voltage_v=240.0),
    }
    for second in range(1, 8):
        fresh = {name: replace(reading, at=after(second)) for name, reading in chargers.items()}
        seen = replace(dark(second), chargers=frozen_map(fresh))
        decision = decide(seen, memory, Settings(), facts)
        memory = decision.memory
        assert memory.island.former == "car"
        assert "pause" not in str(decision.orders.get("car")).lower()
    assert observation.switch is not None


def _at(step: IslandStep, settings: Settings, soc_pct: float = 70.0) -> IslandStep:
    forming = {"forming": True, "grid_present": None, "soc_pct": soc_pct}
    seen = an_observation(30, {"car": forming})
    assert seen.switch is not None
    opened = replace(seen, switch=replace(seen.switch, open_proven=True, closed_proven=False))
    return island(opened, settings, step, Grid.ON)


@pytest.mark.parametrize(
    ("settings", "soc_pct", "becomes"),
    [
        (Settings(), 70.0, S.STOPPING),
        (Settings(return_not_before=after(3600)), 70.0, S.ISLAND),
        (Settings(return_not_before=after(33)), 70.0, S.ANNOUNCED),
        (Settings(return_not_before=after(3600)), 20.0, S.STOPPING),
        (Settings(return_not_before=after(3600), end_backup=True), 70.0, S.STOPPING),
        (Settings(stopped=True), 70.0, S.ENDED),
        (Settings(mode=Mode.READ_ONLY), 70.0, S.ISLAND),
    ],
)
def test_an_announced_return(settings: Settings, soc_pct: float, becomes: IslandStep) -> None:
    assert _at(S.ANNOUNCED, settings, soc_pct) is becomes


def test_a_postponed_return_is_announced_when_its_time_comes() -> None:
    assert _at(S.ISLAND, Settings(return_not_before=after(36))) is S.ISLAND
    assert _at(S.ISLAND, Settings(return_not_before=after(35))) is S.ANNOUNCED


def test_every_transition_has_a_reason_of_its_own_within_its_step() -> None:
    for transitions in TABLE.values():
        pairs = [(transition.to, transition.why) for transition in transitions]
        assert len(pairs) == len(set(pairs))
