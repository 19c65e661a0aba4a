"""What the benchmarks measure on: a simulated site and the real edge, each a process of its own, on loopback."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml

from demo.processes import HOST, Child, free_port, until
from edge_service.command_line.local_edge import LocalEdge

# The charger tells the loss of the grid after this, the shortest time that the simulated site takes.
DETECTION_S = 0.001
STARTS_WITHIN_S = 30.0
ORDER_W = 3000
CHARGER = "driveway"
EDGE_RUN = ("edge_service", "run")
_DEVICES = ("charger", "meter", "switch")


@dataclass(frozen=True, slots=True)
class Written:
    """One write as the simulated device saw it, on the device's own clock."""

    number: int
    at: datetime
    named: Mapping[str, float]


class Site:
    """A simulated site in a process of its own, and the hand that acts on it."""

    def __init__(self, http: aiohttp.ClientSession, places: Mapping[str, Any]) -> None:
        self._http = http
        self.places = places

    @classmethod
    async def start(cls, stack: AsyncExitStack, folder: Path, **options: float) -> Self:
        """Start one that lives as long as ``stack``; an option is one of ``ridethrough simulate site``."""
        given = {"detection_s": DETECTION_S, "enter_service_s": 0, "soc_pct": 90, **options}
        flags = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        announce = folder / "site.json"
        words = (sys.executable, "-m", "edge_service", "simulate", "site", "--announce-file", str(announce), *flags)
        child = await started(stack, Child("simulated site", words, folder / "site.log"))

        async def announced() -> bool:
            return announce.exists()

        await child.ready(announced, STARTS_WITHIN_S, "listen")
        http = await stack.enter_async_context(aiohttp.ClientSession())
        return cls(http, json.loads(announce.read_text(encoding="utf-8")))

    def port(self, device: str) -> int:
        return int(self.places[f"{device}_port"])

    async def act(self, what: str, **body: Any) -> datetime:
        """POST to the control API; the moment at which it took effect, on the site's clock."""
        async with self._http.post(f"{self.places['control_url']}/{what}", json=body) as answer:
            answer.raise_for_status()
            return datetime.fromisoformat((await answer.json())["at"])

    async def set_latency(self, latency_ms: float) -> None:
        """Every device answers this late."""
        for device in _DEVICES:
            await self.act(f"device/{device}/faults", latency_ms=latency_ms)

    async def first_write(self, since: int, within_s: float, **wanted: float) -> Written:
        """The first done write to the charger after number ``since`` with these values of model 704.

        Raises TimeoutError when there is none in time.
        """
        found: list[Written] = []

        async def seen() -> bool:
            found.extend(one for one in await self.writes(since) if _has(one, wanted))
            return bool(found)

        await until(seen, within_s, f"a write of {wanted}")
        return found[0]

    async def first_order(self, since: int, within_s: float, power_w: int) -> Written:
        """The first done write after number ``since`` that orders so much power in either direction.

        Raises TimeoutError when there is none in time.
        """
        found: list[Written] = []

        async def seen() -> bool:
            found.extend(one for one in await self.writes(since) if abs(one.named.get("704.WSet", 0)) == power_w)
            return bool(found)

        await until(seen, within_s, f"an order of {power_w} W")
        return found[0]

    async def writes(self, since: int = 0) -> list[Written]:
        async with self._http.get(f"{self.places['control_url']}/writes", params={"since": str(since)}) as answer:
            entries = (await answer.json())["writes"]
        return [
            Written(entry["number"], datetime.fromisoformat(entry["at"]), entry["named"])
            for entry in entries
            if entry["device"] == "charger" and entry["exception"] is None
        ]


def _has(write: Written, wanted: Mapping[str, float]) -> bool:
    return all(write.named.get(f"704.{point}") == value for point, value in wanted.items())


async def started(stack: AsyncExitStack, child: Child) -> Child:
    """The child, started; it ends with ``stack``."""
    stack.push_async_callback(child.stop)
    return await child.start()


async def start_edge(
    stack: AsyncExitStack,
    folder: Path,
    site: Site,
    outage_after_s: float = 2.0,
    run: Sequence[str] = EDGE_RUN,
    *,
    cycle_s: float = 1.0,
) -> LocalEdge:
    """Start the real edge service for ``site``; returns once it has completed a cycle with every device.

    ``run``: the Python module that runs it, and its arguments.
    """
    config = folder / "site.yaml"
    port = free_port()
    settings = _site_yaml(site, port, folder / "data", outage_after_s, cycle_s)
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    words = (sys.executable, "-m", *run, "--config", str(config))
    child = await started(stack, Child("edge service", words, folder / "edge.log"))
    edge = LocalEdge(HOST, port, folder / "data" / "local.token")

    async def knows_the_grid() -> bool:
        return await asyncio.to_thread(_grid, edge) == "on"

    await child.ready(knows_the_grid, STARTS_WITHIN_S, "know the grid")
    return edge


def _grid(edge: LocalEdge) -> str | None:
    from edge_service.command_line.outcome import CommandError  # noqa: PLC0415

    try:
        return str(edge.state()["site"]["grid"])
    except CommandError, KeyError:
        return None


async def discharge(edge: LocalEdge) -> None:
    """Place a manual order, so that there is something to withdraw."""
    until_ = datetime.now(UTC) + timedelta(hours=3)
    order = {"charger": CHARGER, "power_w": ORDER_W, "until": until_.isoformat()}
    await asyncio.to_thread(edge.command, "discharge", order)


def _site_yaml(site: Site, port: int, data: Path, outage_after_s: float, cycle_s: float) -> dict[str, Any]:
    """The delays are short so that many trials fit into minutes; none of them comes before the protective act."""
    return {
        "site": {
            "name": "Benchmark",
            "import_max_a": 200,
            "export_max_w": 10_000,
            "outage_after_s": outage_after_s,
            "enter_service_s": 0,
            "announce_return_s": 0,
        },
        "chargers": {
            CHARGER: {"name": "Driveway", "model": "sunspec_der", "address": f"{HOST}:{site.port('charger')}"}
        },
        "meter": {"model": "sunspec_meter", "address": f"{HOST}:{site.port('meter')}"},
        "island_switch": {"model": "modbus_io", "address": f"{HOST}:{site.port('switch')}"},
        "control": {"cycle_s": cycle_s, "stale_after_s": max(5.0, 3 * cycle_s)},
        "api": {"host": HOST, "port": port, "announce": False},
        "data": str(data),
    }
