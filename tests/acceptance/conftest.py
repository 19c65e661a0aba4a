"""A house of real processes for each test, and the words to wait with."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from demo.house import House, Json, Pace
from demo.processes import until

# The shortest lease that a site may have, and a return that a test lives to see.
PACE = Pace(enter_service_s=3, announce_return_s=2, lease_s=15)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """The simulated site, the utility and the edge, each a process of its own."""
    async with House(tmp_path, PACE) as running:
        yield running


async def until_true(house: House, holds: Callable[[Json], object], within_s: float, what: str) -> Json:
    """The first account of the simulated site for which it holds."""
    found: list[Json] = []

    async def looks() -> bool:
        truth = await house.truth()
        found.append(truth)
        return bool(holds(truth))

    await until(looks, within_s, what)
    return found[-1]


async def until_told(house: House, holds: Callable[[Json], object], within_s: float, what: str) -> Json:
    """The first state of the edge for which it holds; an edge that is not there has none."""
    found: list[Json] = []

    async def looks() -> bool:
        state = await house.state()
        if state is None:
            return False
        found.append(state)
        return bool(holds(state))

    await until(looks, within_s, what)
    return found[-1]
