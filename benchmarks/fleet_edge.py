"""The real edge over many chargers: sites of forty in one process, each with its own journal, recording and door."""

import argparse
import asyncio
import json
import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from demo.processes import HOST, free_port
from edge_service.api.pairing import Role
from edge_service.app import Edge, opened
from edge_service.config import Config
from edge_service.config.site_file import parse
from edge_service.domain.model import Grid

ORDER_W = 4000
# A lane this slow never runs again while a run lasts.
NO_LANE_MS = 3_600_000


def config_of(number: int, ports: list[int], folder: Path, period_s: float, lane_ms: int) -> Config:
    """One site with a charger at each port."""
    chargers = "".join(
        f"  c{place}: {{name: Bay {place}, model: sunspec_der, address: '{HOST}:{port}', backup: none}}\n"
        for place, port in enumerate(ports)
    )
    text = (
        f"site: {{name: Depot {number}, import_max_w: {10_000 * len(ports)}}}\n"
        f"chargers:\n{chargers}"
        f"api: {{host: {HOST}, port: {free_port()}, announce: false}}\n"
        f"control: {{cycle_s: {period_s}}}\n"
        f"data: site{number}\n"
    )
    config = parse(text, folder / f"site{number}.yaml")
    # With or without the lane: only a benchmark asks for that.
    return replace(config, control=replace(config.control, fast_lane_ms=lane_ms))


async def serve(config: Config, turn: asyncio.Lock, ready: asyncio.Queue[Edge]) -> None:
    """Open the site in its turn, order something at each charger, then serve until cancelled."""
    async with opened(config) as edge:
        async with turn:
            serving = asyncio.create_task(edge.serve())
            while edge.runner.image is None or edge.runner.image.decision.grid is not Grid.ON:
                await asyncio.wait({serving}, timeout=0.05)
                if serving.done():
                    serving.result()
            for charger in config.chargers:
                await _order(edge, charger)
        await ready.put(edge)
        await serving


async def _order(edge: Edge, charger: str) -> None:
    now = edge.clock.now()
    args = {"charger": charger, "power_w": ORDER_W, "until": (now + timedelta(hours=3)).isoformat()}
    deadline = now + timedelta(minutes=1)
    await edge.execute("charge", args, command_id=charger, deadline=deadline, role=Role.LOCAL)


async def run(configs: list[Config], announce: Path) -> None:
    """Open the sites one after another; say so once all of them order."""
    ready: asyncio.Queue[Edge] = asyncio.Queue()
    turn = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        for config in configs:
            group.create_task(serve(config, turn, ready))
        edges = [await ready.get() for _ in configs]
        places = [{"port": edge.port, "token": str(edge.config.data / "local.token")} for edge in edges]
        _announce(announce, places)


def _announce(path: Path, places: Any) -> None:
    """Whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(places), encoding="utf-8")
    part.rename(path)


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleet", type=Path, required=True, help="what the fleet announced")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--announce", type=Path, required=True)
    parser.add_argument("--per-site", type=int, default=40)
    parser.add_argument("--period-s", type=float, default=1.0)
    parser.add_argument("--lane-ms", type=int, default=NO_LANE_MS)
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    ports = json.loads(args.fleet.read_text(encoding="utf-8"))["ports"]
    cut = [ports[first : first + args.per_site] for first in range(0, len(ports), args.per_site)]
    configs = [config_of(number, some, args.folder, args.period_s, args.lane_ms) for number, some in enumerate(cut)]
    asyncio.run(run(configs, args.announce))


if __name__ == "__main__":
    main()
