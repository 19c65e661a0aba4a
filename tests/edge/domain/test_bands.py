"""Bands stay jointly reachable, and sharing adds up."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.domain.band import ANY, MILLION, Band, Sum, propagate, total
from edge_service.domain.memory import Memory
from edge_service.domain.model import (
    Grid,
    Pause,
    Settings,
    Stop,
    Supply,
    frozen_map,
)
from edge_service.domain.view import HandsOff, Narrowing, Statement, View
from tests.edge.domain.houses import a_site, an_observation

NAMES = ("a", "b", "c")
watts = st.integers(-20000, 20000)
bands = st.tuples(watts, watts).map(lambda pair: Band(min(pair), max(pair)))
around_zero = st.tuples(st.integers(0, 20000), st.integers(0, 20000)).map(lambda pair: Band(-pair[0], pair[1]))
stacks = st.dictionaries(st.sampled_from(NAMES), bands, min_size=1)


def test_an_empty_band_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Band(1, 0)


@given(bands, bands)
def test_a_squeezed_wish_never_leaves_the_band(band: Band, wish: Band) -> None:
    left = band.squeeze(wish)
    assert left.lo in band
    assert left.hi in band


def within(chargers: Mapping[str, Band], bound: Band) -> Band:
    """A bound that the chargers can keep, as every sum of a view is."""
    return total(chargers.values()).squeeze(bound)


@given(bands, stacks)
def test_every_power_that_propagation_leaves_is_reachable_together(bound: Band, chargers: Mapping[str, Band]) -> None:
    site = within(chargers, bound)
    tight = propagate([Sum(site)], chargers)
    for name, band in tight.items():
        others = total(other for key, other in tight.items() if key != name)
        for power_w in (band.lo, band.hi):
            assert max(site.lo, power_w + others.lo) <= min(site.hi, power_w + others.hi)
            assert power_w in chargers[name]


@given(bands, stacks)
def test_propagating_again_changes_nothing(bound: Band, chargers: Mapping[str, Band]) -> None:
    sums = [Sum(within(chargers, bound))]
    once = propagate(sums, chargers)
    assert propagate(sums, once) == once


parts = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([333_334, 500_000, 577_351, MILLION])).map(frozen_map)


@given(stacks, st.data(), st.lists(parts, max_size=3))
def test_propagation_over_several_sums_cuts_away_nothing_that_all_of_them_allow(
    chargers: Mapping[str, Band], data: st.DataObject, legs: list[Mapping[str, int]]
) -> None:
    powers = {name: data.draw(st.integers(band.lo, band.hi)) for name, band in chargers.items()}
    sums = [Sum(data.draw(bands), shares).stretched(Sum(ANY, shares).of(powers)) for shares in (None, *legs)]
    tight = propagate(sums, chargers)
    assert all(power_w in tight[name] for name, power_w in powers.items())


statements: st.SearchStrategy[Statement] = st.one_of(
    st.builds(Narrowing, st.just("bands"), bands=st.dictionaries(st.sampled_from(NAMES), bands).map(frozen_map)),
    st.builds(Narrowing, st.just("site"), site=bands),
    st.builds(Narrowing, st.just("wants"), wants=st.dictionaries(st.sampled_from(NAMES), watts).map(frozen_map)),
    st.builds(
        Narrowing,
        st.just("instead"),
        instead=st.dictionaries(st.sampled_from(NAMES), st.sampled_from([Stop(), Pause()])).map(frozen_map),
    ),
)


def a_view(ratings: Mapping[str, Band]) -> View:
    return View(
        observation=an_observation(),
        memory=Memory(),
        settings=Settings(),
        facts=a_site(*ratings),
        grid=Grid.ON,
        supply=Supply.GRID,
        house_w=0,
        bands=frozen_map(ratings),
    )


@given(st.dictionaries(st.sampled_from(NAMES), around_zero, min_size=1), st.lists(statements, max_size=8))
@settings(max_examples=400)
def test_no_stack_of_statements_widens_what_an_upper_one_left(
    ratings: Mapping[str, Band], stack: list[Statement]
) -> None:
    view = a_view(ratings)
    for number, statement in enumerate(stack):
        known = _known_only(statement, ratings)
        after_it = view.hears(f"rung {number}", known)
        for name in ratings:
            assert after_it.bands[name].lo in view.bands[name]
            assert after_it.bands[name].hi in view.bands[name]
        reach = total({**after_it.bands, **after_it.counted}.values())
        assert reach.lo <= after_it.site.lo <= after_it.site.hi <= reach.hi or after_it.site == ANY
        view = after_it
    for name, settled in view.settled.items():
        if settled.allowed is not None and settled.want_w is not None:
            assert settled.want_w in settled.allowed
            assert settled.want_w in ratings[name]


def _known_only(statement: Statement, ratings: Mapping[str, Band]) -> Statement:
    if isinstance(statement, HandsOff):
        return statement
    return Narrowing(
        statement.reason,
        bands=frozen_map({name: band for name, band in statement.bands.items() if name in ratings}),
        site=statement.site,
        wants=frozen_map({name: want for name, want in statement.wants.items() if name in ratings}),
        instead=frozen_map({name: order for name, order in statement.instead.items() if name in ratings}),
    )


@given(
    st.dictionaries(st.sampled_from(NAMES), around_zero, min_size=2),
    around_zero,
    st.lists(st.tuples(st.sampled_from(NAMES), watts), max_size=6),
)
def test_one_charger_s_wish_never_makes_another_work(
    ratings: Mapping[str, Band], site: Band, wishes: list[tuple[str, int]]
) -> None:
    """A discharge beyond what may be exported is cut; it does not make the neighbour charge."""
    view = a_view(ratings).hears("site_limits", Narrowing("limits", site=site))
    for name, want_w in wishes:
        if name in ratings:
            view = view.hears("manual", Narrowing("manual", wants=frozen_map({name: want_w})))
    for name in view.open_chargers:
        assert 0 in view.bands[name]
    assert sum(settled.want_w or 0 for settled in view.settled.values()) in site
