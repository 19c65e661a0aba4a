"""From the moment a charger's register shows a lost grid to the arrival of the write that withdraws our order.

Subjects, each with a simulated site of its own, at the same time: the real edge, and the bare client at the period of
our fast lane and at one second; in rounds of their own the edge under strain beside the bare client. Both moments are
taken by the simulated charger, on its one clock.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.figures import SPREAD_HEADS, Spread, described, keep, machine, table
from benchmarks.flood import start_flood
from benchmarks.rig import DETECTION_S, EDGE_RUN, Site, discharge, start_edge, started
from demo.processes import HOST, Child

# A trial begins at a random moment of a control cycle, the longest period of any subject.
LONGEST_PERIOD_S = 1.0
LANE_S = 0.1
# An act that takes longer counts as missed.
ACTS_WITHIN_S = 10.0
ORDERS_WITHIN_S = 60.0

EDGE, LANE, CYCLE = "ridethrough", "bare client, 100 ms", "bare client, 1 s"
PERIODS_S = {LANE: LANE_S, CYCLE: LONGEST_PERIOD_S}
PLAIN = (EDGE, LANE, CYCLE)


@dataclass(frozen=True, slots=True)
class Strain:
    """What burdens the edge while it is measured. ``planner``: see ``loaded_edge``; ``flood``: see ``flood``."""

    stall_ms: float = 0
    planner: str = "none"
    flood: bool = False

    def run(self) -> tuple[str, ...]:
        return ("benchmarks.loaded_edge", "--stall-ms", str(self.stall_ms), "--planner", self.planner)


LOADED, RESTLESS = "ridethrough, all strains", "ridethrough, a planner that never rests"
STRAINS = {
    "ridethrough, disk stalls": Strain(stall_ms=500),
    "ridethrough, flooded": Strain(flood=True),
    "ridethrough, busy planner": Strain(planner="bursts"),
    LOADED: Strain(500, "bursts", flood=True),
    RESTLESS: Strain(500, "restless", flood=True),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Trials at one device latency, for the edge shared among ``sites``.

    A loss shorter than ``outage_after_s`` stays a suspicion, and the next trial is near. It does not touch what is
    measured: the protective act comes with the suspicion.
    """

    latency_ms: float
    trials: int
    outage_after_s: float
    sites: int = 1
    subjects: tuple[str, ...] = PLAIN

    def shares(self, subject: str) -> list[int]:
        """Trials per site. At one second a trial takes twice as long, and its distribution is the plainest: half."""
        if subject not in PERIODS_S:
            return [ceil(self.trials / self.sites)] * self.sites
        return [ceil(self.trials / 2) if subject == CYCLE else self.trials]


# Plans of one round run side by side.
ROUNDS = ((Plan(5, 200, 0.4),), (Plan(50, 60, 0.8), Plan(250, 40, 5.0, sites=4)))


def strained(trials: int, strains: Sequence[str] = (LOADED, RESTLESS)) -> tuple[tuple[Plan, ...], ...]:
    """A round for each strain, beside the edge without one and the bare client at the lane's period."""
    return tuple((Plan(5, trials, 0.4, subjects=(strain, EDGE, LANE)),) for strain in strains)


@dataclass(slots=True)
class Taken:
    """Seconds of each trial, and how many trials saw no act in time."""

    seconds: list[float] = field(default_factory=list)
    missed: int = 0

    def add(self, other: Taken) -> None:
        self.seconds += other.seconds
        self.missed += other.missed


type Found = dict[Plan, dict[str, Taken]]


async def withdrawals(site: Site, trials: int) -> Taken:
    """From the register's word to the write, in each trial."""
    taken, number = Taken(), 0
    for _ in range(trials):
        number = (await site.first_write(number, ORDERS_WITHIN_S, WSetEna=1)).number
        await asyncio.sleep(random.uniform(0, LONGEST_PERIOD_S))
        lost_at = await site.act("grid", present=False)
        try:
            withdrawn = await site.first_write(number, ACTS_WITHIN_S, WSetEna=0)
            taken.seconds.append((withdrawn.at - lost_at).total_seconds() - DETECTION_S)
        except TimeoutError:
            taken.missed += 1
        await site.act("grid", present=True)
        number = (await site.writes())[-1].number
    return taken


async def measure(plan: Plan, subject: str, trials: int, folder: Path) -> Taken:
    """Start one subject with its site, do its trials, end both."""
    async with AsyncExitStack() as stack:
        site = await Site.start(stack, folder)
        await site.set_latency(plan.latency_ms)
        if subject in PERIODS_S:
            await _start_bare(stack, folder, site, PERIODS_S[subject])
        else:
            await _start_edge(stack, folder, site, plan.outage_after_s, STRAINS.get(subject))
        return await withdrawals(site, trials)


async def _start_edge(
    stack: AsyncExitStack, folder: Path, site: Site, outage_after_s: float, strain: Strain | None
) -> None:
    edge = await start_edge(stack, folder, site, outage_after_s, EDGE_RUN if strain is None else strain.run())
    await discharge(edge)
    if strain is not None and strain.flood:
        await start_flood(stack, edge)


async def _start_bare(stack: AsyncExitStack, folder: Path, site: Site, period_s: float) -> None:
    words = [sys.executable, "-m", "benchmarks.bare_client", "--host", HOST]
    words += ["--port", str(site.port("charger")), "--period-s", str(period_s)]
    await started(stack, Child("bare client", words, folder / "bare.log"))


async def run(rounds: Sequence[Sequence[Plan]]) -> Found:
    """Every plan with every subject; the rounds one after another."""
    found: Found = {}
    with tempfile.TemporaryDirectory(prefix="ridethrough-grid-loss-") as folder:
        for plans in rounds:
            for (plan, subject), taken in (await _side_by_side(plans, Path(folder))).items():
                found.setdefault(plan, {})[subject] = taken
    return found


async def _side_by_side(plans: Sequence[Plan], folder: Path) -> dict[tuple[Plan, str], Taken]:
    subjects = [(plan, subject) for plan in plans for subject in plan.subjects]
    found = {key: Taken() for key in subjects}

    async def one(plan: Plan, subject: str, number: int, trials: int) -> None:
        place = folder / f"{plan.latency_ms:g} ms, {subject}, {number}"
        found[plan, subject].add(await measure(plan, subject, trials, place))

    async with asyncio.TaskGroup() as group:
        for plan, subject in subjects:
            for number, trials in enumerate(plan.shares(subject)):
                group.create_task(one(plan, subject, number, trials))
    return found


def rows(found: Found) -> list[list[str]]:
    """Latency and subject, its spread, and how many times longer than ours its median and 99th percentile are."""
    lines = []
    for plan, subjects in found.items():
        ours = Spread.of(subjects[plan.subjects[0]].seconds)
        for subject, taken in subjects.items():
            spread = Spread.of(taken.seconds)
            ratios = [f"{spread.p50 / ours.p50:.2f}", f"{spread.p99 / ours.p99:.2f}"]
            lines.append([f"{plan.latency_ms:g} ms, {subject}", *spread.cells(), str(taken.missed), *ratios])
    return lines


HEADS = ("device latency, who", *SPREAD_HEADS, "missed", "p50 to ours", "p99 to ours")


def kept(found: Found, about: Any, load_after: Sequence[float]) -> dict[str, Any]:
    """All that was measured, each trial too."""
    return {
        "machine": about,
        "load_average_after": load_after,
        "latencies": [
            {
                "latency_ms": plan.latency_ms,
                "subjects": {
                    subject: {
                        "spread": Spread.of(taken.seconds),
                        "missed": taken.missed,
                        "trials_ms": [round(1000 * one, 2) for one in taken.seconds],
                    }
                    for subject, taken in subjects.items()
                },
            }
            for plan, subjects in found.items()
        ],
    }


def _rounds(trials: int | None, strains: Sequence[str] | None) -> Sequence[Sequence[Plan]]:
    if strains:
        return strained(trials or 200, strains)
    plain = ((Plan(5, trials, 0.4),),) if trials else ROUNDS
    return (*plain, *strained(trials or 200))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and keep the trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, metavar="N", help="so many at 5 ms, and none at 50 and 250 ms")
    parser.add_argument("--strain", action="append", choices=STRAINS, help="this one, and no unburdened edge")
    args = parser.parse_args(arguments)
    rounds = _rounds(args.trials, args.strain)
    about = machine("pymodbus")
    found = asyncio.run(run(rounds))
    after = machine()["load_average"]
    sys.stdout.write(f"{described(about)}; load after {after}\n\n{table(HEADS, rows(found))}\n")
    sys.stdout.write(f"\nkept in {keep('grid_loss', kept(found, about, after))}\n")


if __name__ == "__main__":
    main()
