"""When the island switch is told to move: in an outage, for a confirmed drill, onto a dead house, or in step."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from edge_service.domain.islanding import follow, switch_order
from edge_service.domain.islanding_situation import Situation
from edge_service.domain.islanding_table import TABLE
from edge_service.domain.memory import DrillMemory, DrillStage, IslandMemory, IslandStep, Memory
from edge_service.domain.model import Grid, Mode, Settings, SiteFacts, SwitchFacts, SwitchOrder, SwitchReading
from edge_service.simulation.house import House
from edge_service.simulation.inverter import Stage
from tests.edge.domain.houses import T0, a_site, after, an_observation
from tests.edge.domain.plant import QUICK, Plant
from tests.edge.domain.test_frozen_process import Act, act, live_through

S = IslandStep
PLAIN = a_site("car")
IN_STEP = replace(PLAIN, switch=SwitchFacts(synchronism_check=True))
CLOSED = SwitchReading(after(1), commanded_open=False, open_proven=False, closed_proven=True)
TOLD_TO_OPEN = replace(CLOSED, commanded_open=True)
OPEN = SwitchReading(after(1), commanded_open=True, open_proven=True, closed_proven=False)
TOLD_TO_CLOSE = replace(OPEN, commanded_open=False)
DRILL = DrillMemory("d", DrillStage.TRANSFERRING, T0, T0, transfer=True, island_s=60.0)
OPENING = IslandMemory(S.OPENING, T0, "car")
REHEARSAL = replace(OPENING, rehearsal=True)


@pytest.mark.parametrize("grid", Grid)
def test_without_a_drill_only_an_outage_opens_the_switch(grid: Grid) -> None:
    opens = switch_order(OPENING, grid, Settings(), CLOSED, PLAIN) is SwitchOrder.OPEN
    assert opens is (grid is Grid.OUTAGE)


@pytest.mark.parametrize("grid", Grid)
def test_a_drill_opens_it_on_a_good_grid_and_nowhere_else(grid: Grid) -> None:
    opens = switch_order(REHEARSAL, grid, Settings(), TOLD_TO_OPEN, PLAIN, drill=DRILL) is SwitchOrder.OPEN
    assert opens is (grid in (Grid.ON, Grid.OUTAGE))


@pytest.mark.parametrize(
    "drill",
    [
        None,
        replace(DRILL, transfer=False),
        replace(DRILL, ended_at=T0),
        *[replace(DRILL, stage=stage) for stage in DrillStage if stage is not DrillStage.TRANSFERRING],
    ],
)
def test_a_drill_that_does_not_transfer_now_opens_nothing(drill: DrillMemory | None) -> None:
    assert switch_order(REHEARSAL, Grid.ON, Settings(), CLOSED, PLAIN, drill=drill) is None
    taken_back = switch_order(REHEARSAL, Grid.ON, Settings(), TOLD_TO_OPEN, PLAIN, drill=drill)
    assert taken_back is SwitchOrder.CLOSE


@pytest.mark.parametrize(
    ("people", "at_generator"),
    [(Settings(stopped=True), False), (Settings(mode=Mode.READ_ONLY), False), (Settings(), True)],
)
@pytest.mark.parametrize(("memory", "grid"), [(OPENING, Grid.OUTAGE), (REHEARSAL, Grid.ON)])
def test_nothing_opens_it_against_a_stop_while_only_watching_or_at_a_generator(
    memory: IslandMemory, grid: Grid, people: Settings, at_generator: bool
) -> None:
    order = switch_order(memory, grid, people, CLOSED, PLAIN, at_generator=at_generator, drill=DRILL)
    assert order is None


@pytest.mark.parametrize(
    ("switch", "grid", "step"),
    [
        (CLOSED, Grid.ON, S.TIED),
        (CLOSED, Grid.RESTORING, S.TIED),
        (CLOSED, Grid.OUTAGE, S.OPENING),
        (TOLD_TO_OPEN, Grid.ON, S.OPENING),
        (replace(CLOSED, closed_proven=False), Grid.ON, S.OPENING),
    ],
)
def test_a_switch_that_has_not_moved_when_the_grid_returns_is_waited_for_no_longer(
    switch: SwitchReading, grid: Grid, step: IslandStep
) -> None:
    begun = Memory(at=T0, island=replace(OPENING, since=T0))
    after_it = follow(an_observation(1, switch=switch), begun, grid, Settings(), PLAIN)
    assert (after_it.step, after_it.attempts) == (step, 0)


@pytest.mark.parametrize(("facts", "grid"), product([PLAIN, IN_STEP], Grid))
def test_it_closes_onto_a_living_house_only_with_a_declared_check_and_a_good_grid(facts: SiteFacts, grid: Grid) -> None:
    closes = switch_order(IslandMemory(S.SYNCHRONISING, T0, "car"), grid, Settings(), OPEN, facts)
    assert (closes is SwitchOrder.CLOSE) is (facts is IN_STEP and grid is Grid.ON)


@pytest.mark.parametrize("step", S)
@pytest.mark.parametrize("switch", [CLOSED, TOLD_TO_OPEN, OPEN, TOLD_TO_CLOSE, None])
def test_an_order_to_close_is_taken_back_only_where_that_moves_nothing(
    step: IslandStep, switch: SwitchReading | None
) -> None:
    order = switch_order(IslandMemory(step, T0, "car"), Grid.RESTORING, Settings(), switch, IN_STEP)
    waits_in_vain = switch is TOLD_TO_CLOSE and step in (S.ISLAND, S.ANNOUNCED, S.ENDED)
    assert (order is SwitchOrder.OPEN) is waits_in_vain
    assert switch_order(IslandMemory(step), Grid.RESTORING, Settings(), TOLD_TO_CLOSE, PLAIN) is not SwitchOrder.OPEN


def test_a_drill_that_failed_is_not_tried_again_in_the_same_drill() -> None:
    plant = Plant()
    live_through([Act("grid", True, 8), Act("switch stuck", True, 1), Act("drill", None, 80)], plant)
    assert plant.walked.count(S.OPENING) == 1
    assert plant.walked[-1] is S.TIED


def test_after_a_drill_s_return_that_failed_the_next_one_is_announced() -> None:
    plant = Plant()
    for one in (Act("grid", True, 0), Act("drill", None, 0)):
        plant.seconds_pass(5)
        act(plant, one, 0)
    plant.seconds_pass(30)
    assert plant.step is S.ISLAND
    plant.deaf = True
    plant.seconds_pass(30)
    assert S.STOPPING in plant.walked
    assert plant.step is S.ISLAND
    plant.deaf = False
    assert plant.seconds_pass(330).walked[-4:] == [S.ANNOUNCED, S.STOPPING, S.CLOSING, S.TIED]


def test_a_silent_charger_is_not_told_to_begin_anew() -> None:
    plant = Plant()
    for one in (Act("forms", False, 0), Act("grid", False, 0)):
        act(plant, one, 0)
    plant.seconds_pass(60)
    plant.silent = True
    plant.seconds_pass(640)
    assert S.RETRY not in plant.walked
    plant.silent = False
    assert S.RETRY in plant.seconds_pass(10).walked


def test_a_charger_that_leaves_the_island_as_the_contact_closes_has_not_fallen() -> None:
    live, dead = ({"forming": False, "voltage_v": volts} for volts in (240.0, 0.0))
    assert _first_of(S.SYNCHRONISING, live) == "fed_by_grid", "the switch's word is of a moment ago"
    assert _first_of(S.SYNCHRONISING, live | {"voltage_v": None}) is None
    assert _first_of(S.SYNCHRONISING, dead) == "collapsed"


def _first_of(step: IslandStep, car: dict[str, Any]) -> str | None:
    seen = replace(an_observation(1, {"car": car}), switch=TOLD_TO_CLOSE)
    at = Situation(seen, IslandMemory(step, T0, "car"), Grid.ON, Settings(), IN_STEP)
    return next((transition.why for transition in TABLE[step] if transition.guard(at)), None)


@pytest.mark.parametrize(("at_generator", "may"), [(False, True), (True, False)])
def test_no_charger_is_told_to_begin_anew_at_a_generator(at_generator: bool, may: bool) -> None:
    dead = an_observation(700, {"car": {"forming": False, "voltage_v": 0.0, "grid_present": False}})
    memory = IslandMemory(S.DARK, T0, "car", retry_at=after(600))
    seen = replace(dead, switch=replace(OPEN, at=after(700)))
    assert Situation(seen, memory, Grid.OUTAGE, Settings(), PLAIN, at_generator).may_retry is may


# -------------------------------------------------------------------------------------------------- the simulated check


def an_island(**options: object) -> House:
    house = House(replace(QUICK, **options))  # type: ignore[arg-type]
    house.set_grid(present=False)
    house.command_switch(open_=True)
    house.step(5.0)
    assert house.inverter.stage is Stage.ISLAND
    return house


def test_a_simulated_switch_with_a_check_closes_in_step_and_the_charger_follows() -> None:
    house = an_island(synchronism_check=True, in_step_s=3.0)
    house.set_grid(present=True)
    house.command_switch(open_=False)
    house.step(2.9)
    moved = [house.switch.closed]
    house.step(1.0)
    assert [*moved, house.switch.closed, house.inverter.connected] == [False, True, True]
    assert house.history.violations == []
    assert house.powered


def test_a_simulated_switch_with_a_check_never_closes_from_a_dead_street() -> None:
    house = an_island(synchronism_check=True)
    house.command_switch(open_=False)
    house.step(60.0)
    assert not house.switch.closed
    assert house.powered
    house.command_switch(open_=True)
    house.set_grid(present=True)
    house.step(60.0)
    assert not house.switch.closed, "taken back"


def test_without_the_check_closing_onto_a_living_house_is_what_must_never_be() -> None:
    house = an_island()
    house.set_grid(present=True)
    house.command_switch(open_=False)
    house.step(2.0)
    assert [one.kind for one in house.history.violations] == ["closed_out_of_phase"]


def test_a_switch_with_a_check_closes_onto_a_dead_house_at_once() -> None:
    house = an_island(synchronism_check=True)
    house.set_grid(present=True)
    house.set_vehicle(plugged=False)
    house.command_switch(open_=False)
    house.step(1.0)
    assert house.switch.closed
