"""Several chargers at one joint: alike, in turn, the urgent first, and never beyond a band or a sum."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.domain.band import MILLION
from edge_service.domain.packing import most_together
from edge_service.domain.sharing import ODD_TURNS_PER_TURN, Sharer, fill

WHOLE = (MILLION,)
SPLIT = {(1,): (1_000_000, 0), (2,): (0, 1_000_000), (1, 2): (500_000, 500_000)}


def names(count: int) -> list[str]:
    return [f"c{number:02d}" for number in range(count)]


def alike(count: int, most_w: int = 9600, parts: tuple[int, ...] = WHOLE, least_w: int = 0) -> list[Sharer]:
    return [Sharer(name, most_w, parts, least_w) for name in names(count)]


def worked(given_w: Mapping[str, int]) -> set[str]:
    return {name for name, power_w in given_w.items() if power_w}


@st.composite
def problems(draw: st.DrawFn, exact: bool = False) -> tuple[int, list[Sharer], list[int]]:
    """1 to 40 chargers under one to three sums. ``exact``: without steps and least powers."""
    count, sums = draw(st.integers(1, 40)), draw(st.integers(1, 3))
    part = st.sampled_from([0, 333_334, 500_000, 577_351, MILLION])
    sharers = [
        Sharer(
            name,
            draw(st.integers(0, 12000)),
            (MILLION, *(draw(part) for _ in range(sums - 1))),
            0 if exact else draw(st.sampled_from([0, 0, 1380])),
            1 if exact else draw(st.sampled_from([1, 230])),
            draw(st.sampled_from([0.0, 1.0, 1.0, 7.5])),
            draw(st.sampled_from([0.0, 0.0, 1.0])),
            draw(st.sampled_from([True, True, True, False])),
        )
        for name in names(count)
    ]
    left_u = [draw(st.integers(0, 100_000)) * MILLION for _ in range(sums)]
    return draw(st.integers(0, 200_000)), sharers, left_u


def keeps(total_w: int, sharers: Sequence[Sharer], left_u: Sequence[int], given_w: Mapping[str, int]) -> bool:
    inside = all(0 <= given_w[one.name] <= one.most_w for one in sharers)
    sums = [sum(one.parts[place] * given_w[one.name] for one in sharers) for place in range(len(left_u))]
    return inside and sum(given_w.values()) <= total_w and all(a <= b for a, b in zip(sums, left_u, strict=True))


@given(problems(), st.integers(0, 1000), st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_share_exceeds_its_charger_the_joint_wish_or_any_sum(
    problem: tuple[int, list[Sharer], list[int]], rotation: int, fully: bool
) -> None:
    total_w, sharers, left_u = problem
    given_w = fill(total_w, sharers, left_u, rotation, fully=fully)
    assert keeps(total_w, sharers, left_u, given_w)
    for one in sharers:
        assert given_w[one.name] == 0 or given_w[one.name] >= one.least_w
        assert given_w[one.name] % one.step_w == 0


@given(problems(exact=True), st.integers(0, 1000))
@settings(max_examples=200, deadline=None)
def test_a_joint_wish_is_met_as_nearly_as_the_sums_allow(
    problem: tuple[int, list[Sharer], list[int]], rotation: int
) -> None:
    """To a watt per charger: the sums count in parts of watts, the chargers in whole ones."""
    total_w, sharers, left_u = problem
    given_w = fill(total_w, sharers, left_u, rotation, fully=True)
    possible_w = sum(most_together([one.most_w for one in sharers], [one.parts for one in sharers], left_u))
    assert sum(given_w.values()) >= min(total_w, possible_w) - len(sharers)


@given(problems(exact=True), st.integers(0, 1000), st.permutations(range(40)))
@settings(max_examples=150, deadline=None)
def test_other_names_change_nothing_but_odd_watts(
    problem: tuple[int, list[Sharer], list[int]], rotation: int, order: list[int]
) -> None:
    total_w, sharers, left_u = problem
    renamed = {one.name: f"n{order[place]:02d}" for place, one in enumerate(sharers)}
    before = fill(total_w, sharers, left_u, rotation)
    after = fill(total_w, [replace(one, name=renamed[one.name]) for one in sharers], left_u, rotation)
    assert all(abs(before[name] - after[renamed[name]]) <= len(sharers) for name in before)


@given(st.integers(1, 40), st.integers(0, 100_000))
def test_over_a_full_turn_equal_vehicles_get_equal_energy(count: int, total_w: int) -> None:
    sums = dict.fromkeys(names(count), 0)
    for rotation in range(count):
        for name, power_w in fill(total_w, alike(count), [10**12], rotation).items():
            sums[name] += power_w
    assert len(set(sums.values())) == 1


@pytest.mark.parametrize("count", [2, 7, 20, 40])
def test_where_not_all_can_work_they_take_turns_and_over_a_full_turn_all_got_the_same(count: int) -> None:
    sharers, total_w = alike(count, least_w=1440), count // 3 * 1440 + 2000
    sums = dict.fromkeys(names(count), 0)
    for turn in range(count):
        given_w = fill(total_w, sharers, [total_w * MILLION], turn * ODD_TURNS_PER_TURN)
        assert all(power_w >= 1440 for power_w in given_w.values() if power_w)
        assert sum(given_w.values()) == total_w
        assert len(worked(given_w)) == total_w // 1440
        for name, power_w in given_w.items():
            sums[name] += power_w
    assert max(sums.values()) - min(sums.values()) <= count


def test_whose_turn_it_is_works_for_a_quarter_of_an_hour() -> None:
    sharers = alike(20, least_w=1440)
    crews = [worked(fill(8000, sharers, [8000 * MILLION], rotation)) for rotation in range(60)]
    changes = [minute for minute in range(1, 60) if crews[minute] != crews[minute - 1]]
    assert changes == [15, 30, 45]


def test_who_has_only_just_stopped_is_not_started_while_another_can_be() -> None:
    sharers = [replace(one, rested=one.name != "c00") for one in alike(3, least_w=1440)]
    assert worked(fill(3000, sharers, [3000 * MILLION])) == {"c01", "c02"}
    assert worked(fill(3000, sharers[:1], [3000 * MILLION])) == {"c00"}


def test_what_one_in_its_dead_zone_cannot_take_the_others_take_over() -> None:
    sharers = [Sharer("small", 9600, WHOLE), Sharer("big", 9600, WHOLE, least_w=4000)]
    assert fill(5000, sharers, [10**12]) == {"big": 4000, "small": 1000}
    assert fill(3000, sharers, [10**12]) == {"big": 0, "small": 3000}


def test_the_more_urgent_is_served_before_the_other_gets_anything() -> None:
    sharers = [Sharer("late", 9600, WHOLE, urgency=2.0), Sharer("early", 9600, WHOLE, urgency=1.0)]
    assert fill(9000, sharers, [10**12]) == {"late": 9000, "early": 0}
    assert fill(12000, sharers, [10**12]) == {"late": 9600, "early": 2400}


def test_steps_are_whole_and_go_round() -> None:
    sharers = [replace(one, step_w=230) for one in alike(3)]
    first, second = fill(1000, sharers, [10**12], 0), fill(1000, sharers, [10**12], 1)
    assert first == {"c00": 460, "c01": 230, "c02": 230}
    assert second == {"c00": 230, "c01": 460, "c02": 230}


def test_a_full_leg_leaves_its_rest_to_those_on_the_other() -> None:
    sharers = [Sharer("left", 9600, SPLIT[1,]), Sharer("right", 9600, SPLIT[2,]), Sharer("both", 9600, SPLIT[1, 2])]
    given_w = fill(10**6, sharers, [3000 * MILLION, 9000 * MILLION])
    assert given_w == {"left": 2000, "both": 2000, "right": 8000}


def test_an_event_gets_all_that_the_legs_can_carry_though_one_on_a_busy_leg_gets_less() -> None:
    sharers = [Sharer("left", 9600, SPLIT[1,]), Sharer("both", 20000, SPLIT[1, 2])]
    left_u = [10_000 * MILLION, 10_000 * MILLION]
    fair = fill(18_000, sharers, left_u)
    assert abs(fair["left"] - fair["both"]) <= 2
    assert sum(fair.values()) < 14_000
    assert sum(fill(18_000, sharers, left_u, fully=True).values()) == 18_000


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=3),
    st.data(),
    st.lists(st.integers(0, 12), min_size=1, max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_nothing_greater_fits_than_the_most_together(most: list[int], data: st.DataObject, left: list[int]) -> None:
    parts = [[data.draw(st.integers(0, 4)) for _ in left] for _ in most]
    found = most_together(most, parts, left)

    def fits(shares: Sequence[int]) -> bool:
        return all(
            sum(part[place] * share for part, share in zip(parts, shares, strict=True)) <= limit
            for place, limit in enumerate(left)
        )

    greatest = max(sum(shares) for shares in product(*(range(top + 1) for top in most)) if fits(shares))
    assert fits(found)
    assert all(0 <= share <= top for share, top in zip(found, most, strict=True))
    assert sum(found) >= greatest - len(most)
