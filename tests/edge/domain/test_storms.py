"""Storms and alerts: which of them count, what they ask, and that none makes a limit or a reserve weaker."""

from dataclasses import replace

import pytest
from hypothesis import given, settings as bounded

from edge_service.domain.decide import decide
from edge_service.domain.memory import GridMemory, IslandMemory, IslandStep, Memory
from edge_service.domain.model import (
    Alert,
    AlertKind,
    AtEnd,
    Grid,
    LoadGroup,
    Observation,
    Power,
    Settings,
    SiteFacts,
    Storm,
    Tier,
    frozen_map,
)
from edge_service.domain.resolved import resolved
from edge_service.domain.storms import LEAD, PREPARED_FOR, is_stormy, storm_of
from tests.edge.domain.houses import T0, a_meter, a_site, after, an_observation, observations, settings_of_people, sites

TIED = Memory(at=T0, grid=GridMemory(Grid.ON, T0), island=IslandMemory(IslandStep.TIED, T0))
DAY = LEAD.total_seconds()


def wind(start: float, end: float | None, own_id: str = "gale", kind: AlertKind = AlertKind.WIND) -> Alert:
    return Alert(own_id, "peak", kind, own_id.title(), after(start), None if end is None else after(end))


def seen(*alerts: Alert, at: float = 0) -> Observation:
    return an_observation(at, alerts=alerts)


@pytest.mark.parametrize("kind", sorted(PREPARED_FOR))
def test_each_kind_that_may_bring_an_outage_is_prepared_for(kind: AlertKind) -> None:
    storm = storm_of(Settings(storm_reserve_pct=85.0), seen(wind(10, 600, kind=kind)))
    assert storm == Storm(after(600), 85.0, "Gale", "gale")


@pytest.mark.parametrize("kind", [AlertKind.GRID_EMERGENCY, AlertKind.BLACK_START])
def test_what_asks_for_something_else_is_no_storm(kind: AlertKind) -> None:
    assert storm_of(Settings(), seen(wind(0, 600, kind=kind))) is None


@pytest.mark.parametrize(
    ("at", "counts"), [(-DAY - 1, False), (-DAY, True), (0, True), (599, True), (600, False), (100_000, False)]
)
def test_an_alert_counts_from_a_day_before_its_start_to_its_end(at: float, counts: bool) -> None:
    alert = wind(0, 600)
    assert (storm_of(Settings(), seen(alert, at=at)) is not None) is counts
    assert is_stormy(Settings(), seen(alert), after(at)) is counts


def test_an_alert_without_an_end_has_one_in_sight_that_stands_still() -> None:
    ends = {storm_of(Settings(), seen(wind(0, None), at=at)) for at in (0, 60, 3500)}
    assert ends == {Storm(after(7 * 3600), 90.0, "Gale", "gale", open_ended=True)}


def test_an_alert_of_the_first_day_of_all_time_is_no_trouble() -> None:
    ancient = replace(wind(0, None), start=T0.replace(year=1, month=1, day=1))
    assert storm_of(Settings(), seen(ancient)) is not None


def test_settings_are_the_very_same_where_nothing_is_to_be_worked_out() -> None:
    settings = Settings(drivers_reserve_pct=frozen_map({"car": 40.0}))
    assert resolved(settings, an_observation(), Memory(), a_site()) is settings


@pytest.mark.parametrize(
    ("chosen", "at_end", "counts"),
    [(False, AtEnd.STOP, AtEnd.LEND), (True, AtEnd.STOP, AtEnd.STOP), (True, AtEnd.LEND, AtEnd.LEND)],
)
def test_a_medical_load_of_the_edge_s_own_relays_counts_too(chosen: bool, at_end: AtEnd, counts: AtEnd) -> None:
    medical = LoadGroup("oxygen", "Oxygen", Tier.MUST_HAVE, medical=True)
    settings = Settings(at_end=at_end, at_end_chosen=chosen)
    facts = a_site("car", relays=frozen_map({"oxygen": medical}))
    assert resolved(settings, an_observation(), Memory(), facts).at_end is counts


@bounded(max_examples=150, deadline=None)
@given(sites(), settings_of_people, observations(1))
def test_while_the_grid_is_built_up_again_no_order_charges(
    facts: SiteFacts, people: Settings, observation: Observation
) -> None:
    alert = wind(-10, None, "rebuild", AlertKind.BLACK_START)
    decision = decide(replace(observation, alerts=(*observation.alerts, alert)), TIED, people, facts)
    powers = [order.w for order in decision.orders.values() if isinstance(order, Power)]
    if decision.grid is Grid.ON:
        assert all(power_w <= 0 for power_w in powers)


@pytest.mark.parametrize("house_w", [0, 700, 5000])
def test_while_the_grid_is_built_up_again_nothing_goes_out(house_w: int) -> None:
    alert = wind(-10, None, "rebuild", AlertKind.BLACK_START)
    event_wants_all = an_observation(1, alerts=(alert,), meter=a_meter(after(1), power_w=house_w))
    settings = Settings(manual=frozen_map({}), backup_reserve_pct=0.0)
    decision = decide(event_wants_all, TIED, settings, a_site())
    steps = [step for step in decision.steps["car"] if step.reason == "black_start"]
    assert [(step.low_w, step.high_w) for step in steps][-1] == (-house_w, 0)


@bounded(max_examples=150, deadline=None)
@given(sites(), settings_of_people, observations(1))
def test_what_was_lent_lowers_a_reserve_and_never_raises_one(
    facts: SiteFacts, people: Settings, observation: Observation
) -> None:
    nothing_lent = replace(people, lent_pct=frozen_map())
    whole = resolved(nothing_lent, observation, Memory(), facts)
    lowered = resolved(people, observation, Memory(), facts)
    for charger in facts.chargers:
        assert 0 <= lowered.drivers_reserve(charger) <= whole.drivers_reserve(charger) <= 100
        left = lowered.drivers_reserve(charger) - whole.drivers_reserve(charger)
        assert left >= -people.lent_pct.get(charger, 0.0) - 1e-9
