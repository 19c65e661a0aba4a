"""No order of ours stays behind at a charger that is let alone: it dies by itself, or is taken back."""

from dataclasses import replace
from typing import Any

import pytest

from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import ChargerMemory, GridMemory, IslandMemory, IslandStep, Memory
from edge_service.domain.model import (
    Backup,
    ChargerFacts,
    ChargerState,
    Evidence,
    Grid,
    Hold,
    Lease,
    Mode,
    Observation,
    Order,
    Power,
    Release,
    Settings,
    Stop,
    SwitchReading,
    frozen_map,
)
from tests.edge.domain.houses import DER, T0, a_meter, a_site, after, an_observation

WATCHING = Settings(mode=Mode.READ_ONLY)


def site_of(lease: Lease) -> Any:
    capability = replace(DER, lease=lease, backup=Backup.NONE)
    return a_site(chargers=frozen_map({"car": ChargerFacts("car", "Car", capability)}), switch=None)


def before(step: IslandStep = IslandStep.TIED, *, ceased: bool = False) -> Memory:
    car = ChargerMemory(ceased=ceased)
    grid = GridMemory(Grid.ON, T0, good_since=T0, closed_since=T0)
    return Memory(T0, grid, IslandMemory(step, T0, "car"), frozen_map({"car": car}))


def standing(order: Order | None, *, proven: bool = True, reason: str | None = None, **changes: Any) -> Observation:
    """A good grid, and an order of ours that stands at the car."""
    evidence = {} if order is None else {"car": Evidence(order, T0, T0, T0 if proven else None, reason=reason)}
    return replace(an_observation(1), orders=frozen_map(evidence), **changes)


def written(decision: Decision) -> Order | None:
    return decision.orders.get("car")


BLIND: dict[str, Any] = {
    "chargers": an_observation(1, {"car": {"grid_present": None, "voltage_v": None}}).chargers,
    "meter": None,
}
LET_ALONE = {
    "read_only": (WATCHING, {}),
    "grid_unknown": (Settings(), BLIND),
    "another_controller": (Settings(), {"contested": frozen_map({"car": T0})}),
}


@pytest.mark.parametrize("why", LET_ALONE)
@pytest.mark.parametrize(
    ("lease", "order", "proven", "reason", "expected"),
    [
        (Lease.NONE, Power(-5000), True, None, Release()),
        (Lease.NONE, Power(-5000), False, None, Release()),
        (Lease.NONE, Hold(), True, None, Release()),
        (Lease.NONE, Release(), False, None, Release()),
        (Lease.NONE, Release(), True, None, None),
        (Lease.NONE, None, True, None, None),
        (Lease.NONE, Power(-5000), False, "overwritten", None),
        (Lease.TIMER, Power(-5000), True, None, None),
        (Lease.TIMER, Release(), False, None, None),
        (Lease.TRAFFIC, Power(-5000), True, None, None),
    ],
)
def test_what_has_no_lease_is_taken_back_once_and_what_has_one_runs_out(
    why: str, lease: Lease, order: Order | None, proven: bool, reason: str | None, expected: Order | None
) -> None:
    people, changes = LET_ALONE[why]
    decision = decide(standing(order, proven=proven, reason=reason, **changes), before(), people, site_of(lease))
    assert written(decision) == expected
    told = {"read_only": "taken_back" if expected else "read_only"}.get(why, why)
    assert decision.steps["car"][-1].reason == told


@pytest.mark.parametrize("why", LET_ALONE)
@pytest.mark.parametrize("lease", Lease)
def test_a_stop_of_ours_is_undone_whatever_the_lease(why: str, lease: Lease) -> None:
    people, changes = LET_ALONE[why]
    facts = site_of(lease)
    first = decide(standing(Stop(), **changes), before(ceased=True), people, facts)
    assert written(first) == Release()
    waits = decide(standing(Release(), proven=False, **changes), first.memory, people, facts)
    assert (written(waits), waits.memory.charger("car").ceased) == (Release(), True)
    done = decide(standing(Release(), **changes), waits.memory, people, facts)
    assert (written(done), done.memory.charger("car").ceased) == (None, False)


def test_after_a_restart_only_a_charger_that_says_it_is_stopped_is_started_again() -> None:
    kept = before(ceased=True).after_restart()
    tied = replace(kept, island=IslandMemory(IslandStep.TIED, T0, "car"))
    stopped = an_observation(1, {"car": {"state": ChargerState.UNAVAILABLE}})
    assert written(decide(stopped, tied, WATCHING, a_site())) == Release()
    assert written(decide(an_observation(1), tied, WATCHING, a_site())) is None
    never_ours = replace(tied, chargers=frozen_map())
    assert written(decide(stopped, never_ours, WATCHING, a_site())) is None


@pytest.mark.parametrize("step", [IslandStep.STOPPING, IslandStep.CLOSING, IslandStep.ENDED, IslandStep.UNKNOWN])
def test_on_the_way_back_to_the_grid_and_at_the_reserve_a_stop_stays(step: IslandStep) -> None:
    dead = an_observation(1, {"car": {"voltage_v": None}})
    seen = standing(Stop(), chargers=dead.chargers)
    assert seen.switch is not None
    moving = replace(seen, switch=replace(seen.switch, open_proven=None, closed_proven=None))
    assert written(decide(moving, before(step, ceased=True), WATCHING, a_site())) is None


@pytest.mark.parametrize(("former", "expected"), [("car", Release()), ("bus", None)])
def test_behind_an_open_switch_only_the_one_that_may_form_is_started_again(former: str, expected: Order | None) -> None:
    dark = an_observation(1, {name: {"voltage_v": 0.0, "grid_present": False} for name in ("bus", "car")})
    seen = standing(Stop(), chargers=dark.chargers, meter=a_meter(after(1), voltage_v=0.0))
    seen = replace(seen, switch=SwitchReading(after(1), True, True, False))
    memory = before(IslandStep.DARK, ceased=True)
    memory = replace(memory, grid=GridMemory(Grid.OUTAGE, T0), island=IslandMemory(IslandStep.DARK, T0, former))
    assert written(decide(seen, memory, WATCHING, a_site("bus", "car"))) == expected


def test_a_persons_stop_is_taken_back_by_nobody() -> None:
    decision = decide(standing(Stop()), before(ceased=True), replace(WATCHING, stopped=True), a_site())
    assert written(decision) == Stop()
    assert decision.memory.charger("car").ceased


def test_what_another_controller_started_is_not_ceased_by_us_any_more() -> None:
    decision = decide(standing(Stop(), reason="overwritten", proven=False), before(ceased=True), WATCHING, a_site())
    assert written(decision) is None
    assert not decision.memory.charger("car").ceased
