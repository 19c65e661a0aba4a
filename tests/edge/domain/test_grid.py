"""Is the grid there? Only evidence says so; silence and one voice against another do not make an outage."""

from dataclasses import replace
from typing import Any

import pytest

from edge_service.domain.grid import SUSPECT_EXPIRES, follow
from edge_service.domain.memory import GridMemory
from edge_service.domain.model import Grid, GridEvidence, Observation, Position, SiteFacts, frozen_map
from tests.edge.domain.houses import T0, a_meter, a_site, after, an_observation

FACTS = replace(a_site(), enter_service_s=10.0)
LOST: dict[str, Any] = {"grid_present": False, "voltage_v": 0.0}


def seen(seconds: float, volts: float | None = 240.0, **charger: Any) -> Observation:
    return an_observation(seconds, {"car": charger}, meter=a_meter(after(seconds), voltage_v=volts))


def states(*observations: Observation, memory: GridMemory | None = None, facts: SiteFacts = FACTS) -> list[Grid]:
    memory = memory or known(Grid.ON)
    found = []
    for observation in observations:
        memory, _ = follow(observation, memory, facts)
        found.append(memory.state)
    return found


def known(state: Grid, good: float | None = 0, lost: float | None = None) -> GridMemory:
    return GridMemory(
        state,
        since=T0,
        good_since=None if good is None else after(good),
        lost_since=None if lost is None else after(lost),
        closed_since=after(-60),
    )


def test_all_sources_lost_is_an_outage_after_two_seconds() -> None:
    lost = [seen(second, 0.0, **LOST) for second in (1, 2, 2.9, 3)]
    assert states(*lost) == [Grid.SUSPECT, Grid.SUSPECT, Grid.SUSPECT, Grid.OUTAGE]


def test_one_source_against_another_is_never_an_outage() -> None:
    disputed = [seen(second, 240.0, **LOST) for second in range(1, 100)]
    assert set(states(*disputed)) == {Grid.SUSPECT}


def test_a_flicker_is_suspect_and_clears_after_two_good_seconds() -> None:
    course = [seen(1, 0.0, **LOST), seen(1.5), seen(2.5), seen(3.5)]
    assert states(*course) == [Grid.SUSPECT, Grid.SUSPECT, Grid.SUSPECT, Grid.ON]


def test_silence_is_not_an_outage() -> None:
    silence = [Observation(after(second), frozen_map({"car": None})) for second in (1, 10, 100, 1000)]
    assert set(states(*silence)) == {Grid.UNKNOWN}


def test_a_suspicion_that_nobody_can_settle_ends_as_unknown() -> None:
    silent_s = SUSPECT_EXPIRES.total_seconds()
    silence = [Observation(after(second), frozen_map({"car": None})) for second in (1, silent_s, silent_s + 1)]
    assert states(*silence, memory=known(Grid.SUSPECT)) == [Grid.SUSPECT, Grid.SUSPECT, Grid.UNKNOWN]


def test_an_outage_does_not_end_by_silence() -> None:
    silence = [Observation(after(second), frozen_map({"car": None})) for second in (1, 100, 10000)]
    assert set(states(*silence, memory=known(Grid.OUTAGE, None, 0))) == {Grid.OUTAGE}


def test_the_grid_is_back_only_after_the_enter_service_time_without_a_gap() -> None:
    course = [seen(s, *((0.0,) if s == 8 else ())) for s in range(1, 20)]
    found = states(*course, memory=known(Grid.OUTAGE, None, 0))
    assert found[0] is Grid.RESTORING
    assert found[7] is Grid.OUTAGE
    assert found[8:18] == [Grid.RESTORING] * 10
    assert found[18] is Grid.ON


@pytest.mark.parametrize(
    ("volts", "state", "becomes"),
    [
        (254.0, Grid.ON, Grid.ON),
        (215.0, Grid.ON, Grid.ON),
        (254.0, Grid.OUTAGE, Grid.OUTAGE),
        (215.0, Grid.OUTAGE, Grid.OUTAGE),
        (240.0, Grid.OUTAGE, Grid.RESTORING),
        (270.0, Grid.ON, Grid.UNKNOWN),
        (180.0, Grid.ON, Grid.UNKNOWN),
        (100.0, Grid.ON, Grid.SUSPECT),
    ],
)
def test_a_grid_that_never_left_may_be_a_little_high_or_low_and_one_that_returns_may_not(
    volts: float, state: Grid, becomes: Grid
) -> None:
    assert states(seen(1, volts, grid_present=None), memory=known(state)) == [becomes]


def test_behind_an_open_switch_a_charger_does_not_see_the_grid() -> None:
    observation = seen(1, **LOST)
    assert observation.switch is not None
    opened = replace(observation, switch=replace(observation.switch, open_proven=True, closed_proven=False))
    assert states(opened, memory=known(Grid.RESTORING)) == [Grid.RESTORING]


def test_a_switch_that_fell_silent_proves_nothing_new() -> None:
    observation = seen(30, **LOST)
    assert observation.switch is not None
    stale = replace(observation.switch, at=after(1), open_proven=True, closed_proven=False)
    memory, assessment = follow(replace(observation, switch=stale), known(Grid.ON), FACTS)
    assert assessment.verdict == "disputed"
    assert memory.closed_since == after(-60)


def test_a_house_s_own_source_counts_and_an_old_word_does_not() -> None:
    def with_word(seconds: float, at: float) -> Observation:
        word = GridEvidence("ups", after(at), False, Position.GRID_SIDE)
        return replace(seen(seconds, None, grid_present=None), evidence=(word,))

    assert states(with_word(10, 10)) == [Grid.SUSPECT]
    assert states(with_word(10, 1)) == [Grid.UNKNOWN]


def test_after_a_restart_in_an_island_the_grid_has_to_be_good_for_the_whole_time() -> None:
    carried = [seen(second, forming=True, grid_present=None) for second in range(15)]
    at_rest = [seen(second) for second in range(15)]
    assert states(*carried, memory=GridMemory()).index(Grid.ON) == 10
    assert states(*at_rest, memory=GridMemory()).index(Grid.ON) == 2
