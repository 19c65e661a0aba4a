"""From a change in a device's register to the entity's ``state_changed`` on Home Assistant's websocket.

Simulated site, edge and a real Home Assistant with the integration, each a process of its own, and this process as the
websocket's client. Two ways: a lost grid, which the fast lane sees, and the house's load, which the cycle reads.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import SPREAD_HEADS, Spread, described, keep, machine, table
from benchmarks.rig import DETECTION_S, Site, start_edge
from demo.home_assistant import HomeAssistant
from demo.processes import HOST
from demo.watching import Seen, Watch
from edge_service.command_line.local_edge import LocalEdge

TRIALS = 150
LATENCY_MS = 5.0
LANE_S, CYCLE_S = 0.1, 1.0
# The default of Home Assistant's own Modbus integration: DEFAULT_SCAN_INTERVAL in its const.py.
MODBUS_SCAN_S = 15.0
OUTAGE_AFTER_S = 0.4
SHOWN_WITHIN_S = 20.0
LOADS_W = (1000.0, 4000.0)
GRID, HOUSE = "site-grid_status", "site-house_power"


@dataclass(slots=True)
class Taken:
    """Seconds of each trial, by the way that the change took."""

    lane: list[float] = field(default_factory=list)
    cycle: list[float] = field(default_factory=list)
    entities: int = 0


async def changed(site: Site, what: str, **body: Any) -> datetime:
    """Change something at the site; when it took effect, which can be neither before nor after the request."""
    before = datetime.now(UTC)
    at = await site.act(what, **body)
    return min(max(at, before), datetime.now(UTC))


async def lose_grid(site: Site, watch: Watch) -> float:
    """Take the grid away until Home Assistant shows it; wait until it shows the grid's return, too."""
    since = len(watch.changes)
    at = await changed(site, "grid", present=False)
    seen = await watch.see(lambda one: one.key == GRID and one.state != "connected", since, SHOWN_WITHIN_S)
    await site.act("grid", present=True)
    await watch.see(lambda one: one.key == GRID and one.state == "connected", since, SHOWN_WITHIN_S)
    return (seen.at - at).total_seconds() - DETECTION_S


async def change_load(site: Site, watch: Watch, load_w: float) -> float:
    """Give the house another load until Home Assistant shows it."""

    def shows(seen: Seen) -> bool:
        return seen.key == HOUSE and seen.number is not None and abs(seen.number - load_w) < 100

    since = len(watch.changes)
    at = await changed(site, "house", load_w=load_w)
    return ((await watch.see(shows, since, SHOWN_WITHIN_S)).at - at).total_seconds()


async def measure(trials: int) -> Taken:
    """Start everything, do the trials, end everything."""
    taken = Taken()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ridethrough-register-")))
        site = await Site.start(stack, folder, house_load_w=LOADS_W[0])
        await site.set_latency(LATENCY_MS)
        edge = await start_edge(stack, folder, site, OUTAGE_AFTER_S)
        watch = await _home_assistant(stack, folder, edge)
        taken.entities = sum(one.key.startswith(("site-", "charger-")) for one in watch.now.values())
        for number in range(trials):
            await asyncio.sleep(random.uniform(0, CYCLE_S))
            taken.cycle.append(await change_load(site, watch, LOADS_W[(number + 1) % 2]))
            await asyncio.sleep(random.uniform(0, CYCLE_S))
            taken.lane.append(await lose_grid(site, watch))
    return taken


async def _home_assistant(stack: AsyncExitStack, folder: Path, edge: LocalEdge) -> Watch:
    async def code() -> str:
        return str((await asyncio.to_thread(edge.command, "new_pairing_code", {}))["code"])

    home = await stack.enter_async_context(HomeAssistant(folder / "home_assistant", folder / "home_assistant.log"))
    await home.answers()
    await home.pair(HOST, edge.port, code)
    watch = await home.watch()
    await watch.learn()
    return watch


def rows(taken: Taken) -> list[list[str]]:
    """Each way measured, then what a bare poll at the same period and at fifteen seconds would give, derived."""
    lines = []
    for name, seconds, period_s in (
        ("lost grid, fast lane 100 ms", taken.lane, LANE_S),
        ("house load, cycle 1 s", taken.cycle, CYCLE_S),
    ):
        ours = Spread.of(seconds)
        lines.append([f"{name} (measured)", *ours.cells(), "1.00", "1.00"])
        for who, period in (("polling at that period", period_s), ("polling each 15 s", MODBUS_SCAN_S)):
            lines.append(_polling(f"{who} (derived)", period, ours))
    return lines


def _polling(name: str, period_s: float, ours: Spread) -> list[str]:
    """Nothing but the wait for the next poll: even over one period, with no time for the device or the way."""
    p50, p99 = 500 * period_s, 990 * period_s
    bounds = ("-", "0.0", f"{p50:.1f}", f"{900 * period_s:.1f}", f"{p99:.1f}", f"{1000 * period_s:.1f}")
    return [name, *bounds, f"{p50 / ours.p50:.2f}", f"{p99 / ours.p99:.2f}"]


HEADS = ("change and way", *SPREAD_HEADS, "p50 to ours", "p99 to ours")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and keep the trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS, metavar="N", help=f"of each way ({TRIALS})")
    args = parser.parse_args(arguments)
    about = machine("homeassistant", "pymodbus")
    taken = asyncio.run(measure(args.trials))
    after = machine()["load_average"]
    sys.stdout.write(f"{described(about)}; load after {after}; {taken.entities} entities\n\n")
    sys.stdout.write(f"{table(HEADS, rows(taken))}\n")
    ways = {"fast_lane": taken.lane, "cycle": taken.cycle}
    content = {
        "machine": about,
        "load_average_after": after,
        "device_latency_ms": LATENCY_MS,
        "entities": taken.entities,
        "ways": {
            name: {"spread": Spread.of(seconds), "trials_ms": [round(1000 * one, 2) for one in seconds]}
            for name, seconds in ways.items()
        },
    }
    sys.stdout.write(f"\nkept in {keep('register_to_home_assistant', content)}\n")


if __name__ == "__main__":
    main()
