"""Cases 29 and 30: push is a hint to read the server; without it everything comes by polling."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from edge_service.intake import Intake
from edge_service.programs.openadr3 import OpenAdr3Source
from edge_service.programs.openadr3_options import OpenAdr3Options
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from edge_service.simulation.utility_broker import Broker
from tests.edge.fakes import MemoryJournal

# Polling is never what brings an event in these tests: only a hint can.
SLOW_POLL_S = 3600.0


class WallClock:
    """``ports.Clock``."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass
class House:
    """A polled program and what the house knows of it."""

    utility: SimulatedUtility
    source: OpenAdr3Source
    intake: Intake = field(
        default_factory=lambda: Intake(WallClock(), MemoryJournal(), (), lambda: None, chance=lambda: 0.0)
    )

    @property
    def broker(self) -> Broker:
        assert self.utility.push is not None
        assert self.utility.push.broker is not None
        return self.utility.push.broker

    @property
    def problem(self) -> str:
        contact = self.intake.contacts.get("peak")
        return (contact.problem or "") if contact else ""

    def polls(self) -> int:
        return sum(seen.path.startswith("/programs?") for seen in self.utility.requests)

    def knows(self) -> list[str]:
        return [event.uid.removeprefix("peak:") for event in self.intake.events()]

    def call(self) -> str:
        return str(self.utility.dispatch.call_event(start_in_s=600, duration_s=60, power_kw=5)["id"])


async def until(holds: Callable[[], object], within_s: float = 10.0) -> float:
    """Seconds until it held."""
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.005)
    return asyncio.get_running_loop().time() - began


@asynccontextmanager
async def a_house(
    method: str = "OAUTH2BEARERTOKEN", poll_s: float = SLOW_POLL_S, mqtt: str = "own", **options: object
) -> AsyncIterator[House]:
    """A polled house at a utility with push, which listens already, where ``mqtt`` is its own broker."""
    async with SimulatedUtility(UtilityOptions(mqtt=mqtt, mqtt_method=method)) as utility:
        utility.dispatch.program()
        values = {"id": "peak", "name": "Peak", "base_url": utility.base_url, "poll_s": poll_s}
        values |= {"client_id": "ven-client", "client_secret": "ven-secret"} | options
        source = OpenAdr3Source(OpenAdr3Options.checked(values), "house")
        house = House(utility, source)
        polling = asyncio.create_task(house.intake.poll(source))
        try:
            await until(lambda: house.intake.contacts)
            yield house
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
            await source.close()


@asynccontextmanager
async def a_listening_house(method: str = "OAUTH2BEARERTOKEN", **options: object) -> AsyncIterator[House]:
    async with a_house(method, **options) as house:
        # The first contact, and the one that follows each connecting.
        await until(lambda: house.broker.subscriptions and house.polls() == 2)
        yield house


@pytest.mark.parametrize("method", ["OAUTH2BEARERTOKEN", "OAUTH2_BEARER_TOKEN", "ANONYMOUS"])
async def test_case_30_an_event_called_is_known_in_a_moment_however_the_method_is_spelled(method: str) -> None:
    async with a_listening_house(method) as house:
        await until(lambda: asyncio.get_running_loop().time() - house_polled(house) > 1.05)
        event = house.call()
        assert await until(lambda: house.knows() == [event]) < 0.5
        (user, password) = house.broker.connects[-1]
        assert (user, bool(password)) == ((None, False) if method == "ANONYMOUS" else ("ven-client", True))


def house_polled(house: House) -> float:
    """When the house last read the list of events, on the clock of the loop."""
    last = max(datetime.fromisoformat(seen.at) for seen in house.utility.requests)
    return asyncio.get_running_loop().time() - (datetime.now(UTC) - last).total_seconds()


async def test_case_29_a_hundred_notifications_are_one_reading_or_two() -> None:
    async with a_listening_house() as house:
        for _ in range(100):
            house.utility.push.tell("CREATE", "programs", house.utility.dispatch.program())  # type: ignore[union-attr]
        await until(lambda: house.polls() >= 3)
        assert house.polls() == 3
