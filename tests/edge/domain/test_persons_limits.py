"""What people let a charger draw and give."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from edge_service.domain.asked import CommandRefusedError
from edge_service.domain.commands import carry_out
from edge_service.domain.decide import decide
from edge_service.domain.memory import IslandStep
from edge_service.domain.model import (
    Control,
    Departure,
    Grid,
    ManualKind,
    ManualOrder,
    Order,
    Power,
    Settings,
    frozen_map,
)
from edge_service.domain.realise import order_power_w
from tests.edge.domain.houses import DER, NAMES, a_site, after, an_event, an_observation
from tests.edge.domain.test_commands import asked
from tests.edge.domain.test_decide import ON_GRID, History, bounded, decisions, histories

limits = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0, 500, 1400, 3000, 12000])).map(frozen_map)


def limited(history: History, charge: Any, discharge: Any) -> History:
    facts, wishes, seen, past = history
    return facts, replace(wishes, charge_limit_w=charge, discharge_limit_w=discharge), seen, past


@given(histories(), limits, limits)
@bounded
def test_nothing_beyond_the_limit_is_ordered_while_the_grid_is_there(
    history: History, charge: Any, discharge: Any
) -> None:
    facts, *_ = history
    for decision in decisions(*limited(history, charge, discharge)):
        if decision.grid is not Grid.ON or decision.memory.island.step is not IslandStep.TIED:
            continue
        for name, order in decision.orders.items():
            capability = facts.chargers[name].capability
            if capability is None or capability.control in (Control.GENERATION_CAP, Control.NONE):
                continue
            power_w = order_power_w(order, capability) or 0
            assert -discharge.get(name, 1e9) <= power_w <= charge.get(name, 1e9)


@given(histories(), limits, limits)
@bounded
def test_off_the_grid_all_is_as_without_a_limit(history: History, charge: Any, discharge: Any) -> None:
    facts, wishes, seen, past = history
    bare, memory = past, past
    _, with_limits, *_ = limited(history, charge, discharge)
    for observation in seen:
        free, held = decide(observation, bare, wishes, facts), decide(observation, memory, with_limits, facts)
        if held.grid is not Grid.ON or held.memory.island.step is not IslandStep.TIED:
            assert (held.orders, held.switch, held.steps) == (free.orders, free.switch, free.steps)
        bare = memory = free.memory


def test_what_an_event_can_count_on_and_when_a_departure_must_charge_go_by_the_limit() -> None:
    seen = an_observation(
        0,
        {"car": {"soc_pct": 60.0}},
        events=(an_event("e1", 600, 4200),),
        departures=frozen_map({"car": Departure("trip", after(5 * 3600), soc_pct=90.0)}),
    )
    free = decide(seen, ON_GRID, Settings(), a_site()).memory
    held = decide(seen, ON_GRID, limit(charge=1000, discharge=2000), a_site()).memory
    assert held.charger("car").departure != free.charger("car").departure
    stays = replace(seen, departures=frozen_map())
    promised = [
        decide(stays, ON_GRID, wishes, a_site()).memory.events["e1"].feasible_w
        for wishes in (Settings(), limit(discharge=2000))
    ]
    assert promised == [-5000, -2000]


def limit(charge: int | None = None, discharge: int | None = None, **more: Any) -> Settings:
    return Settings(
        charge_limit_w=frozen_map({} if charge is None else {"car": charge}),
        discharge_limit_w=frozen_map({} if discharge is None else {"car": discharge}),
        **more,
    )


def ordered(kind: ManualKind, settings: Settings) -> Order | None:
    manual = frozen_map({"car": ManualOrder(kind, after(0), after(600))})
    return decide(an_observation(1), ON_GRID, replace(settings, manual=manual), a_site()).orders.get("car")


def test_each_side_is_limited_for_itself() -> None:
    assert ordered(ManualKind.CHARGE, limit(charge=4000)) == Power(4000)
    assert ordered(ManualKind.CHARGE, limit(discharge=4000)) == Power(DER.charge_rating_w)
    assert ordered(ManualKind.DISCHARGE, limit(discharge=4000)) == Power(-4000)
    assert ordered(ManualKind.DISCHARGE, limit(charge=0)) == Power(-DER.discharge_rating_w)


def test_what_is_not_named_stays_and_null_lifts() -> None:
    both = carry_out("set_power_limit", asked(charger="car", charge_w=4000, discharge_w=0))
    assert (dict(both.charge_limit_w), dict(both.discharge_limit_w)) == ({"car": 4000}, {"car": 0})
    one = carry_out("set_power_limit", asked(settings=both, charger="car", charge_w=None))
    assert (dict(one.charge_limit_w), dict(one.discharge_limit_w)) == ({}, {"car": 0})


@pytest.mark.parametrize(
    ("args", "argument"),
    [
        ({}, "charge_w"),
        ({"charge_w": -1}, "charge_w"),
        ({"charge_w": "much"}, "charge_w"),
        ({"charge_w": True}, "charge_w"),
        ({"discharge_w": 1_000_001}, "discharge_w"),
    ],
)
def test_a_limit_that_is_none_is_refused_by_name(args: dict[str, Any], argument: str) -> None:
    with pytest.raises(CommandRefusedError) as refused:
        carry_out("set_power_limit", asked(charger="car", **args))
    assert (refused.value.code, refused.value.data["argument"]) == ("bad_argument", argument)


def test_a_limit_for_a_charger_that_is_not_there_is_refused() -> None:
    with pytest.raises(CommandRefusedError) as refused:
        carry_out("set_power_limit", asked(charger="gone", charge_w=1))
    assert refused.value.code == "unknown_charger"
