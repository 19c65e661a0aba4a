"""A whole edge in this process, on real sockets, beside a simulated site: what tests of the whole share."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from edge_service.api import wire
from edge_service.api.hub import Subscriber
from edge_service.app import Edge, opened
from edge_service.config import Config, parse
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite

HOST = "127.0.0.1"
# A quick site: the real delays are 300 s and 60 s.
SITE = """
site: {{name: Home, import_max_a: 100, export_max_w: 9600, enter_service_s: 1, outage_after_s: 1, announce_return_s: 1}}
chargers:
  driveway: {{name: Driveway charger, model: sunspec_der, address: "{host}:{charger}", lease_s: 15}}
meter: {{model: sunspec_meter, address: "{host}:{meter}"}}
island_switch: {{model: modbus_io, address: "{host}:{switch}"}}
control: {{cycle_s: 0.5, fast_lane_ms: 50, stale_after_s: 5}}
"""
QUICK_SITE = SiteOptions(enter_service_s=1, form_s=0.3)


def config_of(site: SimulatedSite, folder: Path) -> Config:
    """The configuration of an edge at this simulated site; it listens on a free port."""
    text = SITE.format(host=HOST, charger=site.charger_port, meter=site.meter_port, switch=site.switch_port)
    config = parse(text, folder / "site.yaml")
    return replace(config, api=replace(config.api, port=0), data=folder / "data")


@dataclass(frozen=True, slots=True)
class RunningEdge:
    """An edge that serves."""

    edge: Edge
    task: asyncio.Task[None]
    subscriber: Subscriber

    @property
    def state(self) -> wire.State:
        state = self.edge.hub.state
        if state is None:
            raise LookupError("no cycle yet")
        return state

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self.edge.port is not None
        return self.edge.port

    async def until(self, holds: Callable[[wire.State], object], within_s: float = 15.0) -> wire.State:
        """The first published state for which ``holds``; fails with the last state after ``within_s``."""
        try:
            async with asyncio.timeout(within_s):
                while not holds(self.state):
                    if self.task.done():
                        self.task.result()
                    await _next_change(self.subscriber)
        except TimeoutError:
            raise AssertionError(f"not seen within {within_s} s; last state: {self.state}") from None
        return self.state

    async def command(self, name: str, /, **args: Any) -> Mapping[str, Any]:
        """A command as the edge's own command line gives it; the data of its answer."""
        token = (self.edge.config.data / "local.token").read_text()
        message = {"type": "command", "id": f"{name}-{id(args)}", "name": name, "args": args, "deadline": soon()}
        headers = {"Authorization": f"Bearer {token}"}
        url = f"http://{HOST}:{self.edge.port}/api/v1/command"
        async with aiohttp.ClientSession() as session, session.post(url, json=message, headers=headers) as answer:
            result = await answer.json()
        assert result["ok"], result
        data: Mapping[str, Any] = result["data"]
        return data


def soon() -> str:
    """A deadline a few seconds ahead."""
    return (datetime.now(UTC) + timedelta(seconds=10)).isoformat()


async def _next_change(subscriber: Subscriber) -> None:
    """Return once something was published after the last time."""
    subscriber.outbox.catch_up()
    await subscriber.outbox.next()


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[RunningEdge]:
    """An edge that serves until the block ends; a defect in it fails the test."""
    async with opened(config) as edge:
        task = asyncio.create_task(edge.serve(), name="edge under test")
        subscriber = Subscriber("test", carries_notices=False, close=lambda: None)
        edge.hub.join(subscriber)
        try:
            async with asyncio.timeout(10):
                await edge.hub.ready()
            yield RunningEdge(edge, task, subscriber)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def a_house(folder: Path, options: SiteOptions = QUICK_SITE) -> AsyncIterator[tuple[SimulatedSite, RunningEdge]]:
    """A simulated site and an edge that runs it, past the first seconds in which it knows nothing."""
    async with SimulatedSite(options) as site, running(config_of(site, folder)) as edge:
        await edge.until(lambda state: state["site"]["grid"] == "on")
        yield site, edge
