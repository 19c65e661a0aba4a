"""Load groups that matter at their hours only: first to go outside of them, in an outage and never else."""

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.domain.load_plan import Reason
from edge_service.domain.load_restoring import QUIET_FOR, RESTORE_EVERY
from edge_service.domain.model import LoadGroup, LoadOrder, LoadState, Tier, frozen_map
from tests.edge.domain.test_loads import DRYER, FRIDGE, ON, OVEN, PUMP, SHED, Home

OUT = frozenset({"oven"})
PACE_S = RESTORE_EVERY.total_seconds()


def out_of_hours() -> Home:
    """A house in which the oven does not matter now."""
    home = Home(OVEN, DRYER, FRIDGE, base_w=500)
    home.out_of_hours = OUT
    home.pass_("grid")
    return home


@pytest.mark.parametrize("where", ["outage", "forming", "island"])
def test_outside_of_its_hours_a_nice_load_goes_at_once_in_an_outage(where: str) -> None:
    home = out_of_hours()
    home.pass_(where)
    assert home.shed() == {"oven"}
    assert home.reason("oven") == Reason.OUT_OF_HOURS


def test_within_its_hours_it_stays_as_long_as_its_charge_allows() -> None:
    home = Home(OVEN)
    home.pass_("grid")
    home.pass_("island", 90)
    assert home.shed() == set()
    home.soc_pct = 50.0
    home.pass_("island")
    assert home.reason("oven") == Reason.RESERVE


@pytest.mark.parametrize("where", ["grid", "generator", "unknown", "closing"])
def test_where_the_vehicle_does_not_carry_the_house_hours_shed_nothing(where: str) -> None:
    home = out_of_hours()
    home.pass_(where, 90)
    assert home.shed() == set()


def test_it_comes_back_once_when_its_hours_begin_and_goes_once_when_they_end() -> None:
    home = out_of_hours()
    home.pass_("island", 120)
    home.out_of_hours = frozenset()
    home.pass_("island", 300)
    assert home.reason("oven") == Reason.RESTORED
    home.out_of_hours = OUT
    home.pass_("island", 300)
    assert [(name, order) for _, name, order in home.log] == [("oven", SHED), ("oven", ON), ("oven", SHED)]


def test_several_that_begin_to_matter_come_back_one_by_one() -> None:
    home = Home(OVEN, DRYER, FRIDGE, base_w=500)
    home.out_of_hours = frozenset({"oven", "dryer"})
    home.pass_("grid")
    home.pass_("island", 120)
    home.out_of_hours = frozenset()
    home.pass_("island", 60)
    assert [name for _, name in home.restored()] == ["dryer", "oven"]
    (first, _), (second, _) = home.restored()
    assert second - first == PACE_S


def test_when_its_hours_begin_too_little_charge_keeps_it_off_and_says_so() -> None:
    home = out_of_hours()
    home.pass_("island", 90)
    home.soc_pct, home.out_of_hours = 55.0, frozenset()
    home.pass_("island", 90)
    assert (home.shed(), home.reason("oven")) == ({"oven"}, Reason.RESERVE)
    home.soc_pct = 60.0
    home.pass_("island", 2)
    assert home.shed() == set()


def test_what_went_for_its_charge_stays_off_when_its_hours_end_and_says_why() -> None:
    home = Home(OVEN)
    home.pass_("grid")
    home.soc_pct = 40.0
    home.pass_("island", 2)
    since = home.memory.loads.group("oven").since
    home.soc_pct, home.out_of_hours = 95.0, OUT
    home.pass_("island", 200)
    assert (home.shed(), home.reason("oven")) == ({"oven"}, Reason.OUT_OF_HOURS)
    assert home.memory.loads.group("oven").since == since
    assert len(home.log) == 1


def test_a_clock_that_is_corrected_over_the_end_of_the_hours_switches_it_once() -> None:
    home = Home(OVEN)
    home.pass_("grid")
    home.pass_("island", 90)
    home.out_of_hours = OUT
    home.pass_("island")
    home.out_of_hours = frozenset()
    home.pass_("island", QUIET_FOR.total_seconds() - 2)
    home.out_of_hours = OUT
    home.pass_("island", 90)
    assert [order for _, _, order in home.log] == [SHED]


def test_a_must_have_and_what_somebodys_health_depends_on_matter_at_every_hour() -> None:
    bed = LoadGroup("bed", "Bed", Tier.NICE_TO_HAVE, 200, medical=True)
    home = Home(FRIDGE, bed)
    home.out_of_hours = frozenset({"fridge", "bed"})
    home.pass_("grid")
    home.pass_("island", 60)
    assert home.shed() == set()


def test_what_is_not_essential_goes_for_that_at_every_hour() -> None:
    home = Home(PUMP)
    home.out_of_hours = frozenset({"pump"})
    home.pass_("grid")
    home.pass_("island", 3)
    home.out_of_hours = frozenset()
    home.pass_("island", 200)
    assert (home.shed(), home.reason("pump")) == ({"pump"}, Reason.TIER)


def test_a_person_who_switches_it_on_outside_of_its_hours_wins_over_every_further_boundary() -> None:
    home = out_of_hours()
    home.pass_("island", 3)
    home.states["oven"] = LoadState.KEPT
    for out in (frozenset[str](), OUT, frozenset[str](), OUT):
        home.out_of_hours = out
        home.pass_("island", 90)
        assert home.shed() == set()


@pytest.mark.parametrize("order", list(LoadOrder))
def test_a_persons_order_counts_at_every_hour(order: LoadOrder) -> None:
    home = Home(OVEN, loads_by_hand=frozen_map({"oven": order}))
    home.pass_("grid")
    for out in (OUT, frozenset[str](), OUT):
        home.out_of_hours = out
        home.pass_("island", 90)
        assert home.shed() == ({"oven"} if order is SHED else set())


def test_on_the_grid_it_comes_back_though_it_is_outside_of_its_hours() -> None:
    home = out_of_hours()
    home.pass_("island", 30)
    home.pass_("grid", 30)
    assert home.shed() == set()


def test_an_overload_takes_what_a_person_kept_outside_of_its_hours_before_what_was_kept_within() -> None:
    dryer = replace(DRYER, power_w=4000)
    home = Home(OVEN, dryer, base_w=1000)
    home.out_of_hours = OUT
    home.pass_("grid")
    home.soc_pct = 40.0
    home.pass_("island", 2)
    home.states |= {"oven": LoadState.KEPT, "dryer": LoadState.KEPT}
    home.pass_("island", 3)
    home.base_w = 2500
    home.pass_("island")
    assert home.shed() == {"oven"}


spells = st.tuples(
    st.sampled_from(["grid", "outage", "island", "island", "island", "generator"]),
    st.integers(1, 150),
    st.sampled_from([45.0, 55.0, 95.0]),
    st.sets(st.sampled_from(["oven", "dryer", "fridge", "pump"])).map(frozenset),
)


@given(st.lists(spells, max_size=12))
@settings(max_examples=150, deadline=None)
def test_hours_switch_at_most_once_at_a_boundary_and_never_outside_of_an_outage(
    story: list[tuple[str, int, float, frozenset[str]]],
) -> None:
    home = Home(PUMP, OVEN, DRYER, FRIDGE, base_w=500)
    home.pass_("grid")
    for where, seconds, soc_pct, out in story:
        home.soc_pct, home.out_of_hours = soc_pct, out
        before, told = home.shed(), len(home.log)
        home.pass_(where, seconds)
        news = home.log[told:]
        assert len({name for _, name, _ in news}) == len(news), "a group moves once between two boundaries"
        if where in ("grid", "generator"):
            assert home.shed() <= before
        for name in home.shed() - before:
            assert name != "fridge"
            assert home.reason(name) != Reason.OUT_OF_HOURS or name in out
        if where in ("outage", "island"):
            assert out & {"oven", "dryer"} <= home.shed()
