"""How many chargers one core serves with the whole pipeline, against a bare polling loop in the same run.

Whole pipeline: validate every reply, decode, decide, order, renew leases, record, publish to a client of each site.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.figures import described, keep, machine, table
from benchmarks.fleet import MISSED_FROM
from benchmarks.rig import started
from demo.processes import HOST, Child
from edge_service.api import wire

PER_SITE = 40
STARTS_WITHIN_S = 300.0
# What the driver reads of such a charger in a cycle; the bare client reads the same.
BLOCKS = "40070:27,40292:35,40371:63"
HEADS = ("who", "chargers", "Hz", "CPU %", "us per poll", "missed", "late p99 ms", "RSS MB", "to bare")
EDGE, EDGE_WITH_LANE, BARE = "ridethrough", "ridethrough, 100 ms lane", "bare loop"


@dataclass(frozen=True, slots=True)
class Plan:
    """One row: so many chargers, polled so often, by whom, watched so long."""

    who: str
    chargers: int
    hertz: float
    seconds: float
    settle_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Found:
    """What one row cost and missed. CPU of one core; ``late``: how far polls were apart beyond the period."""

    plan: Plan
    cpu_pct: float
    polls: int
    missed: int
    late_p99_ms: float
    rss_mb: float

    @property
    def us_per_poll(self) -> float:
        return self.cpu_pct / 100 * self.plan.seconds / max(1, self.polls) * 1e6


async def measure(plan: Plan, folder: Path) -> Found:
    """Start fleet and subject, let them settle, watch, end both."""
    async with AsyncExitStack() as stack:
        fleet = folder / "fleet.json"
        words = ["--count", str(plan.chargers), "--announce", str(fleet)]
        await _child(stack, "fleet", words, fleet)
        announce = folder / "subject.json"
        if plan.who == BARE:
            child = await _child(stack, "fleet_bare", [*_subject(plan, fleet, announce), "--blocks", BLOCKS], announce)
        else:
            words = [*_subject(plan, fleet, announce), "--folder", str(folder), "--per-site", str(PER_SITE)]
            words += ["--lane-ms", "100"] if plan.who == EDGE_WITH_LANE else []
            child = await _child(stack, "fleet_edge", words, announce)
            await _listen(stack, [(int(one["port"]), _text(Path(one["token"]))) for one in _json(announce)])
        await asyncio.sleep(plan.settle_s)
        figures = int(_json(fleet)["figures"])
        await _gaps(figures)
        before = _cpu_s(child.pid)
        await asyncio.sleep(plan.seconds)
        cpu_s = _cpu_s(child.pid) - before
        return _found(plan, cpu_s, await _gaps(figures), _rss_mb(child.pid))


def _subject(plan: Plan, fleet: Path, announce: Path) -> list[str]:
    return ["--fleet", str(fleet), "--announce", str(announce), "--period-s", str(1 / plan.hertz)]


async def _child(stack: AsyncExitStack, module: str, words: list[str], announce: Path) -> Child:
    argv = (sys.executable, "-m", f"benchmarks.{module}", *words)
    child = await started(stack, Child(module, argv, announce.with_name(f"{module}.log")))

    async def announced() -> bool:
        return await asyncio.to_thread(announce.exists)

    await child.ready(announced, STARTS_WITHIN_S, "say that it is ready")
    return child


async def _listen(stack: AsyncExitStack, places: Sequence[tuple[int, str]]) -> None:
    """A client for each site that takes in every change, as Home Assistant does."""
    http = await stack.enter_async_context(aiohttp.ClientSession())
    group = await stack.enter_async_context(asyncio.TaskGroup())
    for port, token in places:
        headers = {"Authorization": f"Bearer {token}"}
        socket = await http.ws_connect(f"http://{HOST}:{port}{wire.PATH}", headers=headers)
        hello = await socket.receive_json()
        await socket.send_json({"type": "start", "schema": hello["schema_high"], "last_occurrence": None})
        following = group.create_task(_follow(socket))
        stack.callback(following.cancel)


async def _follow(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for message in socket:
        json.loads(message.data)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _json(path: Path) -> Any:
    return json.loads(_text(path))


async def _gaps(port: int) -> list[list[float]]:
    reader, writer = await asyncio.open_connection(HOST, port)
    gaps: list[list[float]] = json.loads(await reader.read())
    writer.close()
    return gaps


def _cpu_s(pid: int) -> float:
    """Processor time of a process to the nanosecond; ``/proc`` counts in hundredths, in which a small fleet is 0.

    Linux names the clock of another process by its complemented id and the word 2 (``clock_getcpuclockid(3)``).
    """
    return time.clock_gettime(~pid << 3 | 2)


def _rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def _found(plan: Plan, cpu_s: float, gaps: list[list[float]], rss_mb: float) -> Found:
    """A charger that was not polled at all in the time missed every poll."""
    period_s = 1 / plan.hertz
    every = sorted(gap for some in gaps for gap in some)
    missed = sum(round(gap / period_s) - 1 for gap in every if gap > MISSED_FROM * period_s)
    missed += sum(int(plan.seconds / period_s) for some in gaps if not some)
    late_s = every[ceil(0.99 * len(every)) - 1] - period_s if every else float("nan")
    return Found(plan, 100 * cpu_s / plan.seconds, len(every), missed, 1000 * late_s, rss_mb)


def rows(found: Sequence[Found]) -> list[list[str]]:
    """One line each; "to bare": CPU against the bare loop with as many chargers at the same rate."""
    bare = {(one.plan.chargers, one.plan.hertz): one.cpu_pct for one in found if one.plan.who == BARE}
    lines = []
    for one in found:
        of_bare = bare.get((one.plan.chargers, one.plan.hertz))
        ratio = "" if of_bare is None else f"{one.cpu_pct / of_bare:.2f}"
        figures = [f"{one.cpu_pct:.1f}", f"{one.us_per_poll:.0f}", str(one.missed), f"{one.late_p99_ms:.1f}"]
        lines.append(
            [one.plan.who, str(one.plan.chargers), f"{one.plan.hertz:g}", *figures, f"{one.rss_mb:.0f}", ratio]
        )
    return lines


async def run(plans: Sequence[Plan]) -> list[Found]:
    """One row after another; nothing else of ours runs beside it."""
    found = []
    for plan in plans:
        with tempfile.TemporaryDirectory(prefix="ridethrough-fleet-") as folder:
            found.append(await measure(plan, Path(folder)))
            sys.stderr.write(f"{rows(found[-1:])}\n")
    return found


SIZES = ((40, 1.0), (300, 1.0), (1000, 1.0), (300, 5.0))
PLANS = (*(Plan(who, *size, 60) for size in SIZES for who in (BARE, EDGE)), Plan(EDGE_WITH_LANE, 40, 1, 60))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="N@HZ", help="one size and rate, such as 300@5")
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args(arguments)
    plans = [Plan(plan.who, plan.chargers, plan.hertz, args.seconds) for plan in PLANS]
    if args.only:
        count, _, hertz = args.only.partition("@")
        plans = [Plan(who, int(count), float(hertz), args.seconds) for who in (BARE, EDGE)]
    about = machine("pymodbus")
    found = asyncio.run(run(plans))
    sys.stdout.write(f"{described(about)}\n\n{table(HEADS, rows(found))}\n")
    kept = {"machine": about, "rows": [asdict(one) for one in found]}
    sys.stdout.write(f"\nkept in {keep('chargers_per_core', kept)}\n")


if __name__ == "__main__":
    main()
