"""A clock that is set back must not darken a house."""

from dataclasses import replace

from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import Memory
from edge_service.domain.model import Grid, Observation, Release, Settings, Supply
from tests.edge.domain.houses import a_meter, a_site, after, an_observation

HOUR_S = 3600.0


def seen(seconds: float, *, there: bool) -> Observation:
    """A moment at which charger and meter see the grid, or see it gone."""
    at, volts = after(seconds), 240.0 if there else 0.0
    charger = {"grid_present": there, "voltage_v": volts}
    return an_observation(seconds, {"car": charger}, meter=a_meter(at, voltage_v=volts))


def through(*observations: Observation) -> Decision:
    """The last decision of a stretch of moments."""
    memory, decision = Memory(), None
    for observation in observations:
        decision = decide(observation, memory, Settings(), a_site())
        memory = decision.memory
    assert decision is not None
    return decision


def test_an_outage_is_still_sure_after_two_seconds_when_the_clock_was_set_back_in_it() -> None:
    before = [seen(HOUR_S + second, there=True) for second in range(5)]
    lost = [seen(HOUR_S + 5, there=False)]
    set_back = [seen(second, there=False) for second in range(4)]
    decision = through(*before, *lost, *set_back)
    assert decision.grid is Grid.OUTAGE
    assert decision.supply is not Supply.GRID


def test_a_reading_from_before_the_clock_was_set_back_is_not_taken_for_fresh() -> None:
    before = [seen(HOUR_S + second, there=True) for second in range(5)]
    stale = replace(an_observation(10), chargers=before[-1].chargers, meter=before[-1].meter)
    decision = through(*before, stale)
    assert decision.grid is Grid.UNKNOWN
    assert not [order for order in decision.orders.values() if not isinstance(order, Release)]


def test_a_clock_set_forward_ends_no_delay_that_evidence_does_not_carry() -> None:
    decision = through(seen(0, there=True), *[seen(HOUR_S + second, there=False) for second in range(2)])
    assert decision.grid is Grid.SUSPECT
