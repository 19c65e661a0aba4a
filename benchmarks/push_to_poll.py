"""From a call at a utility that pushes to the request that follows from the hint, and to the event being known.

The utility, its broker and the house are in this process; each trial calls one event while nothing else is asked.
"""

import argparse
import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from benchmarks.figures import SPREAD_HEADS, Spread, described, keep, machine, table
from edge_service.domain.model import Alert, CapacityLimit, Event, Price
from edge_service.intake import HINTS_APART_S, Intake
from edge_service.programs.openadr3 import OpenAdr3Source
from edge_service.programs.openadr3_options import OpenAdr3Options
from edge_service.simulation.utility import OWN_BROKER, SimulatedUtility, UtilityOptions


class _WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class _NoDisk:
    """``intake.EventStore``: what the disk takes is not measured here."""

    async def save_events(self, events: Sequence[Event]) -> None: ...

    async def save_alerts(self, alerts: Sequence[Alert]) -> None: ...

    async def save_limits(self, limits: Sequence[CapacityLimit]) -> None: ...

    async def save_prices(self, prices: Sequence[Price]) -> None: ...


async def until(holds: Callable[[], object]) -> None:
    """Return within a millisecond after it holds."""
    async with asyncio.timeout(10):
        while True:
            if holds():
                return
            await asyncio.sleep(0.001)


async def measure(trials: int) -> dict[str, list[float]]:
    """Seconds, by what was waited for: ``asked`` and ``known``."""
    taken: dict[str, list[float]] = {"asked": [], "known": []}
    async with SimulatedUtility(UtilityOptions(mqtt=OWN_BROKER)) as utility:
        utility.dispatch.program()
        intake = Intake(_WallClock(), _NoDisk(), (), lambda: None)
        source = OpenAdr3Source(
            OpenAdr3Options(
                id="peak",
                name="Peak",
                base_url=utility.base_url,
                client_id="ven-client",
                client_secret="ven-secret",
                poll_s=3600.0,
            ),
            "house",
        )
        polling = asyncio.create_task(intake.poll(source))
        try:
            await _listens(utility)
            for number in range(trials):
                await _trial(utility, intake, number, taken)
        finally:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling
            await source.close()
    return taken


async def _listens(utility: SimulatedUtility) -> None:
    await until(lambda: sum(seen.path.startswith("/programs") for seen in utility.requests) >= 2)


async def _trial(utility: SimulatedUtility, intake: Intake, number: int, taken: dict[str, list[float]]) -> None:
    """Past the second in which hints are gathered, so that it is the way that is measured."""
    await asyncio.sleep(HINTS_APART_S * 1.2)
    loop, asked_before = asyncio.get_running_loop(), len(utility.requests)
    began = loop.time()
    event = utility.dispatch.call_event(start_in_s=3600 * (number + 1), duration_s=60, power_kw=5)
    await until(lambda: len(utility.requests) > asked_before)
    taken["asked"].append(loop.time() - began)
    await until(lambda: f"peak:{event['id']}" in {known.uid for known in intake.events()})
    taken["known"].append(loop.time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    taken = asyncio.run(measure(parser.parse_args().trials))
    spreads = {name: Spread.of(seconds) for name, seconds in taken.items()}
    about = machine("aiohttp", "aiomqtt")
    print(described(about))
    print(table(("from the call to", *SPREAD_HEADS), [[name, *one.cells()] for name, one in spreads.items()]))
    print(f"kept in {keep('push_to_poll', {'about': about, 'seconds': taken})}")


if __name__ == "__main__":
    main()
