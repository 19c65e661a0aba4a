"""The tightest export limit of a time to come, against every moment of it asked for itself."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, strategies as st

from edge_service.domain.capacity import best, least_export_w
from edge_service.domain.memory import Memory
from edge_service.domain.model import CapacityLimit, Grid, Settings, Supply
from edge_service.domain.program import Direction
from edge_service.domain.view import View
from tests.edge.domain.houses import a_site, after, an_observation

seconds = st.integers(0, 20)
limits = st.builds(
    lambda number, program, way, power_w, start, lasts, priority, subscribed: CapacityLimit(
        f"l{number}",
        program,
        way,
        power_w,
        after(start),
        None if lasts is None else after(start + lasts),
        priority,
        subscribed,
    ),
    st.integers(0, 99),
    st.sampled_from(["peak", "net"]),
    st.sampled_from(Direction),
    st.integers(0, 9),
    seconds,
    st.none() | st.integers(1, 9),
    st.none() | st.integers(0, 2),
    st.booleans(),
)


def asked_for_each_second(told: tuple[CapacityLimit, ...], start: int, end: int) -> int | None:
    moments: list[datetime] = [after(start) + timedelta(seconds=n) for n in range(end - start)]
    found = [best(told, Direction.EXPORT, moment) for moment in moments]
    return min((limit.power_w for limit in found if limit is not None), default=None)


@given(st.lists(limits, max_size=6).map(tuple), seconds, st.integers(1, 20))
def test_it_is_the_least_of_those_that_count_at_some_moment(
    told: tuple[CapacityLimit, ...], start: int, lasts: int
) -> None:
    observation = replace(an_observation(0, {"car": {}}), capacity_limits=told)
    view = View(observation, Memory(), Settings(), a_site("car"), Grid.ON, Supply.GRID, house_w=None)
    expected = asked_for_each_second(told, start, start + lasts)
    assert least_export_w(view, after(start), after(start + lasts)) == expected
