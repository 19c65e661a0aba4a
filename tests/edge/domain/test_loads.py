"""Load groups: what is shed for which reason, what comes back, and what never does."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.domain.load_fit import fits
from edge_service.domain.load_plan import Reason
from edge_service.domain.load_restoring import RESTORE_EVERY
from edge_service.domain.loads import follow, orders
from edge_service.domain.memory import GridMemory, IslandMemory, IslandStep, LoadMemory, Memory
from edge_service.domain.model import (
    Grid,
    LoadGroup,
    LoadOrder,
    LoadReading,
    LoadState,
    Mode,
    Settings,
    SiteFacts,
    Storm,
    Supply,
    Tier,
    frozen_map,
)
from edge_service.domain.view import View
from tests.edge.domain.houses import a_site, after, an_observation

PUMP = LoadGroup("pump", "Pool pump", Tier.NON_ESSENTIAL, 1500)
OVEN = LoadGroup("oven", "Oven", Tier.NICE_TO_HAVE, 4000)
DRYER = LoadGroup("dryer", "Dryer", Tier.NICE_TO_HAVE, 2500)
FRIDGE = LoadGroup("fridge", "Fridge", Tier.MUST_HAVE, 300)
SHED, ON = LoadOrder.SHED, LoadOrder.ON

STEPS = {
    "grid": (Grid.ON, Supply.GRID, IslandStep.TIED),
    "outage": (Grid.OUTAGE, Supply.NONE, IslandStep.TIED),
    "forming": (Grid.OUTAGE, Supply.TRANSFER, IslandStep.FORMING),
    "island": (Grid.OUTAGE, Supply.ISLAND, IslandStep.ISLAND),
    "announced": (Grid.ON, Supply.ISLAND, IslandStep.ANNOUNCED),
    "closing": (Grid.ON, Supply.TRANSFER, IslandStep.CLOSING),
    "generator": (Grid.GENERATOR, Supply.GRID, IslandStep.TIED),
    "unknown": (Grid.UNKNOWN, Supply.UNKNOWN, IslandStep.UNKNOWN),
}


class Home:
    """Groups whose orders are carried out at once unless a test says otherwise; a house that draws what is on."""

    def __init__(self, *groups: LoadGroup, base_w: int = 1000, legs: int = 0, **settings: Any) -> None:
        self.facts: SiteFacts = a_site(leg_max_w=(12000,) * legs)
        self.settings = Settings(load_groups=frozen_map({group.id: group for group in groups}), **settings)
        self.base_w, self.soc_pct, self.house_w = base_w, 80.0, None
        self.leg_1_share = 0.5
        self.states: dict[str, LoadState | None] = {group.id: LoadState.ON for group in groups}
        self.draws = {group.id: group.power_w or 0 for group in groups}
        self.measured: set[str] = set()
        self.obeys = True
        self.out_of_hours: frozenset[str] = frozenset()
        self.memory = Memory()
        self.at_s = 0.0
        self.log: list[tuple[float, str, LoadOrder]] = []
        self.kept: list[tuple[float, str]] = []

    @property
    def load_w(self) -> int:
        on = [name for name, state in self.states.items() if state in (LoadState.ON, LoadState.KEPT)]
        return self.base_w + sum(self.draws[name] for name in on)

    def see(self, where: str) -> View:
        grid, supply, step = STEPS[where]
        island = self.memory.island
        if island.step is not step:
            island = IslandMemory(step, after(self.at_s), "car")
        fed = supply in (Supply.GRID, Supply.ISLAND)
        now = after(self.at_s)
        readings = {
            name: LoadReading(now, state, self.draws[name] if name in self.measured and state is LoadState.ON else None)
            for name, state in self.states.items()
            if state is not None
        }
        observation = an_observation(
            self.at_s,
            {"car": {"soc_pct": self.soc_pct, "forming": step is IslandStep.ISLAND}},
            loads=frozen_map(readings),
            out_of_hours=self.out_of_hours,
        )
        memory = replace(self.memory, grid=GridMemory(grid), island=island, others_u=self._others())
        house_w = self.load_w if fed and grid is not Grid.GENERATOR else None
        return View(observation, memory, self.settings, self.facts, grid, supply, house_w)

    def _others(self) -> tuple[int, ...]:
        legs = len(self.facts.leg_max_w)
        first = round(self.load_w * self.leg_1_share)
        return (self.load_w * 10**6, *([first * 10**6, (self.load_w - first) * 10**6] if legs else []))

    def pass_(self, where: str, seconds: float = 1.0, step_s: float = 1.0) -> Mapping[str, LoadOrder]:
        """Decide each second; the last orders."""
        until = self.at_s + seconds
        while self.at_s < until:
            self.at_s += step_s
            view = self.see(where)
            before = self.memory.loads
            loads = follow(view, self.memory)
            self.memory = replace(view.memory, loads=loads, at=after(self.at_s))
            for name, order in orders(loads).items():
                if order is not before.group(name).wanted:
                    self.log.append((self.at_s, name, order))
                    if loads.group(name).reason == Reason.KEPT:
                        self.kept.append((self.at_s, name))
            if self.obeys:
                self._carry_out(orders(loads))
        return orders(self.memory.loads)

    def _carry_out(self, wanted: Mapping[str, LoadOrder]) -> None:
        for name, order in wanted.items():
            if self.states[name] is LoadState.ON and order is SHED:
                self.states[name] = LoadState.SHED
            elif self.states[name] in (LoadState.SHED, LoadState.KEPT) and order is ON:
                self.states[name] = LoadState.ON

    def reason(self, name: str) -> str:
        return self.memory.loads.group(name).reason

    def fits(self) -> bool:
        observation = self.see("outage").observation
        return fits(observation, self.memory.loads, self.settings, self.facts, "car")

    def shed(self) -> set[str]:
        return {name for name, order in orders(self.memory.loads).items() if order is SHED}

    def by_people(self, at: float) -> set[str]:
        """The groups that people switched on against us at this moment."""
        return {name for moment, name in self.kept if moment == at}

    def restored(self) -> Iterator[tuple[float, str]]:
        return ((at, name) for at, name, order in self.log if order is ON)


# ------------------------------------------------------------------------------------------------------ before forming


def test_on_the_grid_everything_is_on() -> None:
    home = Home(PUMP, OVEN, FRIDGE)
    assert set(home.pass_("grid", 3).values()) == {ON}


def test_in_an_outage_what_is_not_essential_goes_and_what_fits_stays() -> None:
    home = Home(PUMP, OVEN, FRIDGE)
    home.pass_("grid")
    home.pass_("outage")
    assert home.shed() == {"pump"}
    assert home.reason("pump") == Reason.TIER


def test_nice_loads_go_the_largest_first_until_the_last_known_load_fits_with_a_margin() -> None:
    home = Home(PUMP, OVEN, DRYER, FRIDGE, base_w=4000)  # 8640 W fit; without the pump it is 10800 W
    home.pass_("grid", 2)
    home.pass_("outage")
    assert home.shed() == {"pump", "oven"}
    assert home.reason("oven") == Reason.BEFORE_FORMING
    assert home.memory.loads.house_w == 4000 + 1500 + 4000 + 2500 + 300


def test_a_storm_hinders_no_shedding() -> None:
    home = Home(PUMP, OVEN, base_w=6000, storm=Storm(after(3600), 90.0))
    home.pass_("grid", 2)
    home.pass_("outage")
    assert home.shed() == {"pump", "oven"}


def test_a_must_have_stays_though_nothing_fits_and_so_does_what_somebodys_health_depends_on() -> None:
    bed = LoadGroup("bed", "Bed", Tier.NON_ESSENTIAL, 5000, medical=True)
    home = Home(bed, FRIDGE, base_w=12000)
    home.pass_("grid")
    home.pass_("outage", 5)
    home.pass_("island", 90)
    assert home.shed() == set()


def test_a_leg_of_its_own_must_fit_too() -> None:
    on_first, on_second = replace(OVEN, legs=(1,)), replace(DRYER, power_w=3500, legs=(2,))
    home = Home(on_first, on_second, base_w=1000, legs=2)  # 8.5 kW fit in all, but not 5.5 kW on a leg
    home.leg_1_share = 5500 / 8500
    home.pass_("grid")
    home.pass_("outage")
    assert home.shed() == {"oven"}


def test_a_load_of_unknown_power_goes_when_the_known_ones_do_not_suffice() -> None:
    sauna = LoadGroup("sauna", "Sauna", Tier.NICE_TO_HAVE)
    home = Home(sauna, DRYER, base_w=9000)
    home.pass_("grid")
    home.pass_("outage")
    assert home.shed() == {"sauna", "dryer"}


def test_what_was_measured_counts_more_than_what_was_told() -> None:
    home = Home(OVEN, DRYER, base_w=4000)
    home.measured, home.draws["oven"], home.draws["dryer"] = {"oven", "dryer"}, 100, 6000
    home.pass_("grid")
    home.pass_("outage")
    assert home.shed() == {"dryer"}


def test_the_load_before_the_outage_is_kept_while_nobody_measures() -> None:
    home = Home(OVEN, base_w=6000)
    home.pass_("grid", 2)
    home.base_w = 0
    home.pass_("outage", 3)
    assert home.memory.loads.house_w == 10000
    assert home.shed() == {"oven"}


def test_nothing_is_shed_where_nobody_could_carry_the_house() -> None:
    home = Home(PUMP)
    home.facts = replace(home.facts, switch=None)
    home.pass_("grid")
    home.pass_("outage", 5)
    assert home.shed() == set()


# -------------------------------------------------------------------------------------------------------- does it fit


def test_the_switch_waits_for_the_sheds_that_are_needed_and_for_their_proof() -> None:
    home = Home(OVEN, base_w=6000)
    home.pass_("grid")
    home.obeys = False
    assert not home.fits()
    home.pass_("outage")
    assert home.shed() == {"oven"}
    assert not home.fits()
    home.states["oven"] = LoadState.SHED
    assert home.fits()


@pytest.mark.parametrize("stands", [None, LoadState.OFF, LoadState.KEPT])
def test_the_switch_does_not_wait_for_what_will_not_come(stands: LoadState | None) -> None:
    home = Home(OVEN, base_w=9500)
    home.pass_("grid")
    home.states["oven"] = stands
    assert home.fits()


def test_what_was_off_already_when_the_load_was_measured_is_not_taken_off_it_again() -> None:
    home = Home(OVEN, DRYER, base_w=500)
    home.pass_("grid")
    home.states["oven"] = LoadState.OFF
    home.base_w = 7000
    home.pass_("grid", 2)
    home.obeys = False
    assert home.memory.loads.house_w == 9500
    assert not home.fits()
    home.pass_("outage")
    assert home.shed() == {"dryer"}


def test_a_load_that_fits_waits_for_nothing_though_something_is_to_go() -> None:
    home = Home(PUMP)
    home.pass_("grid")
    assert home.fits()


def test_an_unknown_load_keeps_no_house_dark() -> None:
    home = Home(OVEN, base_w=9500)
    assert home.fits()


# ------------------------------------------------------------------------------------------------------ in the island


def test_a_nice_load_goes_at_its_charge_and_comes_back_ten_points_above() -> None:
    home = Home(OVEN)
    home.pass_("grid")
    home.pass_("island", 30)
    home.soc_pct = 50.0
    home.pass_("island")
    assert home.shed() == {"oven"}
    assert home.reason("oven") == Reason.RESERVE
    home.soc_pct = 59.9
    home.pass_("island", 90)
    assert home.shed() == {"oven"}
    home.soc_pct = 60.0
    home.pass_("island", 2)
    assert home.shed() == set()


def test_an_overload_sheds_at_once_what_just_suffices() -> None:
    toaster = LoadGroup("a_toaster", "Toaster", Tier.NICE_TO_HAVE, 1000)
    oven = replace(OVEN, id="an_oven")
    home = Home(oven, DRYER, toaster, base_w=500)
    home.pass_("grid")
    home.pass_("island", 3)
    home.base_w = 2300  # 9800 W against 9600 W: 1160 W must go
    home.pass_("island")
    assert home.shed() == {"dryer"}
    assert home.reason("dryer") == Reason.OVERLOAD
    home.pass_("island", 10)
    assert home.shed() == {"dryer"}


def test_an_overload_sheds_several_in_one_decision_when_one_is_not_enough() -> None:
    home = Home(OVEN, DRYER, base_w=500)
    home.pass_("grid")
    home.pass_("island", 3)
    home.base_w = 8000
    home.pass_("island")
    assert home.shed() == {"oven", "dryer"}


def test_what_is_on_its_way_off_is_not_counted_again() -> None:
    home = Home(OVEN, DRYER, base_w=500)
    home.pass_("grid")
    home.pass_("island", 3)
    home.obeys, home.base_w = False, 4000
    home.pass_("island", 3)
    assert home.shed() == {"dryer"}
    home.pass_("island", 4)  # nobody proves it for five seconds: then the next
    assert home.shed() == {"dryer", "oven"}


def test_nearly_too_much_is_borne_for_half_a_minute() -> None:
    home = Home(OVEN, DRYER, base_w=500)
    home.pass_("grid")
    home.pass_("island", 3)
    home.base_w = 2800
    home.pass_("island", 29)
    assert home.shed() == set()
    home.pass_("island", 4)
    assert home.shed() == {"dryer"}


def test_after_an_overload_nothing_comes_back_for_a_minute_and_only_into_four_fifths() -> None:
    home = Home(DRYER, base_w=500)
    home.pass_("grid")
    home.pass_("island", 40)
    home.base_w = 8000
    home.pass_("island")
    home.base_w = 5300  # with the dryer 7800 W, more than 80 %
    home.pass_("island", 120)
    assert home.shed() == {"dryer"}
    home.base_w = 5000
    home.pass_("island", 2)
    assert home.shed() == set()


def test_an_overload_that_is_over_at_once_still_means_a_minute_of_quiet() -> None:
    home = Home(DRYER, base_w=500)
    home.pass_("grid")
    home.pass_("island", 40)
    home.base_w = 8000
    home.pass_("island")
    home.base_w = 500
    home.pass_("island", 58)
    assert home.shed() == {"dryer"}
    home.pass_("island", 4)
    assert home.shed() == set()


def test_a_load_of_which_nobody_knows_the_power_waits_for_the_grid() -> None:
    sauna = LoadGroup("sauna", "Sauna", Tier.NICE_TO_HAVE)
    home = Home(sauna, base_w=500)
    home.pass_("grid")
    home.soc_pct = 40.0
    home.pass_("island", 3)
    home.soc_pct = 90.0
    home.pass_("island", 200)
    assert home.shed() == {"sauna"}
    home.pass_("grid")
    assert home.shed() == set()


def test_nothing_comes_back_while_a_return_is_announced() -> None:
    home = Home(OVEN)
    home.pass_("grid")
    home.soc_pct = 40.0
    home.pass_("island", 3)
    home.soc_pct = 90.0
    home.pass_("announced", 120)
    assert home.shed() == {"oven"}


# ---------------------------------------------------------------------------------------------------------- collapses


def test_after_a_collapse_all_that_may_go_is_off() -> None:
    home = Home(OVEN, DRYER, FRIDGE)
    home.pass_("grid")
    home.pass_("island", 40)
    home.pass_("forming")
    assert home.shed() == {"oven", "dryer"}
    assert home.reason("oven") == Reason.COLLAPSE
    home.pass_("island", 55)
    assert home.shed() == {"oven", "dryer"}


def test_a_load_that_brings_the_island_down_twice_in_a_row_stays_off_until_the_grid_is_back() -> None:
    home = Home(DRYER, base_w=500)
    home.pass_("grid")
    home.pass_("island", 40)
    home.pass_("forming", 2)
    assert home.memory.loads.group("dryer").collapses == 0, "it had been on all the time"
    for row in (1, 2):
        home.pass_("island", 62)
        assert home.shed() == set()
        home.pass_("forming", 2)
        assert home.memory.loads.group("dryer").in_a_row == row
    home.pass_("island", 300)
    assert home.shed() == {"dryer"}
    home.pass_("grid")
    assert home.shed() == set()
    assert home.memory.loads.group("dryer").in_a_row == 0


def test_five_collapses_in_one_outage_are_enough_though_it_held_in_between() -> None:
    home = Home(DRYER, base_w=500)
    home.pass_("grid")
    home.pass_("island", 2)
    home.soc_pct = 40
    home.pass_("island", 2)
    known = replace(home.memory.loads.group("dryer"), collapses=5)
    home.memory = replace(home.memory, loads=replace(home.memory.loads, groups=frozen_map({"dryer": known})))
    home.soc_pct = 90
    home.pass_("island", 200)
    assert home.shed() == {"dryer"}


# ------------------------------------------------------------------------------------------------------- putting back


def test_on_the_grid_loads_come_back_one_by_one_the_important_and_small_first() -> None:
    home = Home(PUMP, OVEN, DRYER, base_w=9000)
    home.pass_("grid")
    home.pass_("outage", 2)
    home.pass_("closing", 2)
    assert home.shed() == {"pump", "oven", "dryer"}
    home.pass_("grid", 60)
    pace = RESTORE_EVERY.total_seconds()
    assert list(home.restored()) == [(6.0, "dryer"), (6.0 + pace, "oven"), (6.0 + 2 * pace, "pump")]


def test_what_we_did_not_shed_is_not_switched_on() -> None:
    home = Home(OVEN)
    home.states["oven"] = LoadState.OFF
    home.pass_("grid", 2)
    home.pass_("island", 60)
    home.pass_("grid", 60)
    assert home.states["oven"] is LoadState.OFF


def test_a_generator_is_given_nothing_back_and_loses_nothing() -> None:
    home = Home(PUMP, OVEN)
    home.pass_("grid")
    home.pass_("island", 2)
    home.pass_("generator", 60)
    assert home.shed() == {"pump"}


# ------------------------------------------------------------------------------------------------------------- people


def test_what_a_person_switches_on_against_us_stays_on_in_this_outage() -> None:
    home = Home(PUMP)
    home.pass_("grid")
    home.pass_("island", 2)
    home.states["pump"] = LoadState.KEPT
    home.pass_("island", 60)
    assert home.shed() == set()
    assert home.memory.loads.group("pump").kept
    home.pass_("grid", 2)
    home.pass_("island", 2)
    assert home.shed() == {"pump"}


def test_only_an_overload_sheds_what_a_person_kept_and_last() -> None:
    home = Home(PUMP, OVEN, base_w=500)
    home.pass_("grid")
    home.pass_("island", 2)
    home.states["pump"] = LoadState.KEPT
    home.pass_("island", 3)
    home.base_w = 4500
    home.pass_("island")
    assert home.shed() == {"oven"}
    home.base_w = 8500
    home.pass_("island", 3)
    assert home.shed() == {"oven", "pump"}


def test_a_persons_order_holds_whatever_else_speaks() -> None:
    home = Home(OVEN, FRIDGE, base_w=9000, loads_by_hand=frozen_map({"oven": ON, "fridge": SHED}))
    home.pass_("grid", 2)
    assert home.shed() == {"fridge"}
    home.pass_("island", 90)
    assert home.shed() == {"fridge"}
    home.settings = replace(home.settings, loads_by_hand=frozen_map())
    home.pass_("island")
    assert home.shed() == {"oven"}


def test_what_a_person_wants_on_goes_when_the_island_falls_and_stays_off_until_asked_for_again() -> None:
    home = Home(OVEN, FRIDGE, loads_by_hand=frozen_map({"oven": ON, "fridge": ON}))
    home.settings = replace(home.settings, loads_by_hand_at=frozen_map({"oven": after(0), "fridge": after(0)}))
    home.pass_("grid", 2)
    home.pass_("island", 60)
    assert home.shed() == set()
    home.pass_("forming", 2)
    assert home.shed() == {"oven"}
    home.pass_("island", 200)
    assert home.shed() == {"oven"}
    home.settings = replace(home.settings, loads_by_hand_at=frozen_map({"oven": after(home.at_s)}))
    home.pass_("island")
    assert home.shed() == set()
    home.pass_("forming", 2)
    assert home.shed() == {"oven"}
    home.pass_("grid")
    assert home.shed() == set()


def test_who_switches_on_at_the_wall_what_was_shed_by_hand_is_heeded_until_the_next_order() -> None:
    shed, at = frozen_map({"oven": SHED}), frozen_map({"oven": after(0)})
    home = Home(OVEN, loads_by_hand=shed, loads_by_hand_at=at)
    home.pass_("grid", 3)
    home.states["oven"] = LoadState.KEPT
    home.pass_("grid", 30)
    assert home.shed() == set()
    home.settings = replace(home.settings, loads_by_hand_at=frozen_map({"oven": after(home.at_s)}))
    home.pass_("grid", 2)
    assert home.shed() == {"oven"}


def test_while_only_watching_nothing_is_wanted_otherwise() -> None:
    home = Home(PUMP, OVEN, base_w=9000, mode=Mode.READ_ONLY)
    home.pass_("grid")
    home.pass_("outage", 5)
    assert home.shed() == set()


# ------------------------------------------------------------------------------------------- what is not known, restart


def test_a_group_never_heard_of_gets_no_order() -> None:
    home = Home(OVEN)
    home.states["oven"] = None
    assert home.pass_("grid", 3) == {}


def test_a_group_found_shed_at_the_first_start_is_put_back_as_if_we_had_shed_it() -> None:
    home = Home(OVEN, DRYER)
    home.states |= {"oven": LoadState.SHED, "dryer": LoadState.SHED}
    home.pass_("unknown", 3)
    assert home.shed() == {"oven", "dryer"}
    home.pass_("grid")
    assert home.shed() == {"oven"}


def test_a_restart_in_the_island_forgets_nothing() -> None:
    home = Home(PUMP, OVEN, base_w=9000)
    home.pass_("grid")
    home.pass_("island", 3)
    home.memory = home.memory.after_restart()
    home.pass_("unknown", 3)
    assert home.shed() == {"pump", "oven"}
    home.pass_("island", 3)
    assert home.shed() == {"pump", "oven"}
    assert home.log[-1][2] is SHED


def test_a_silent_group_is_not_put_back_until_it_is_heard() -> None:
    home = Home(PUMP, OVEN)
    home.pass_("grid")
    home.pass_("island", 3)
    home.states["pump"] = None
    home.pass_("grid", 90)
    assert home.shed() == {"pump"}
    home.states["pump"] = LoadState.SHED
    home.pass_("grid")
    assert home.shed() == set()


def test_a_report_of_home_assistant_counts_for_as_long_as_it_says() -> None:
    home = Home(OVEN)
    view = home.see("unknown")
    old = LoadReading(view.observation.now - timedelta(seconds=30), LoadState.SHED, valid_s=60)
    view = replace(view, observation=replace(view.observation, loads=frozen_map({"oven": old})))
    assert follow(view, Memory()).group("oven") == LoadMemory(
        SHED, view.observation.now, Reason.FOUND, shed_proven=True
    )
    stale = replace(old, valid_s=20)
    view = replace(view, observation=replace(view.observation, loads=frozen_map({"oven": stale})))
    assert orders(follow(view, Memory())) == {}


# ------------------------------------------------------------------------------------------------------------ always

WHERE = ["grid", "outage", "forming", "island", "island", "island", "announced", "closing", "generator", "unknown"]
moments = st.tuples(
    st.sampled_from(WHERE),
    st.integers(1, 70),
    st.sampled_from([500, 3000, 8000, 12000]),
    st.sampled_from([10.0, 45.0, 50.0, 60.0, 95.0]),
    st.sampled_from([None, "pump", "oven", "dryer", "fridge"]),
    st.sampled_from([None, *LoadState]),
    st.booleans(),
)


@given(st.lists(moments, max_size=12), st.booleans())
@settings(max_examples=150, deadline=None)
def test_nothing_flaps_no_must_have_is_shed_and_only_what_was_shed_comes_back(
    story: list[tuple[str, int, int, float, str | None, LoadState | None, bool]], restarts: bool
) -> None:
    home = Home(PUMP, OVEN, DRYER, FRIDGE)
    home.pass_("grid")
    for where, seconds, base_w, soc_pct, name, state, obeys in story:
        home.base_w, home.soc_pct, home.obeys = base_w, soc_pct, obeys
        if name is not None and not (state is LoadState.SHED and name not in home.shed()):
            home.states[name] = state
        home.pass_(where, seconds)
        home.memory = home.memory.after_restart() if restarts else home.memory
    assert not [entry for entry in home.log if entry[1:] == ("fridge", SHED)]
    ours = [(at, name) for at, name, order in home.log if order is ON and name not in home.by_people(at)]
    for (at, _), (later, _) in itertools.pairwise(ours):
        assert later - at >= RESTORE_EVERY.total_seconds()
    for at, name in ours:
        assert (name, SHED) in [(other, order) for before, other, order in home.log if before < at]
