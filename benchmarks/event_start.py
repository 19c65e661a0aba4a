"""How late an event begins, and how late it is known: from its scheduled start to the first write at the charger.

Subjects, each with a simulated site and utility of its own, at the same time: the real edge with events by hand, at a
cycle of one second and of five; the real edge with an OpenADR 3.1 server, polled; and a bare poller, woken once a
minute. "Start": the first register write that orders the event's power, less the scheduled start. "Pick-up": from the
utility's change to the edge's own state naming the event; the bare poller knows nothing before it acts.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.figures import SPREAD_HEADS, Spread, described, keep, machine, table
from benchmarks.rig import Site, start_edge, started
from demo.processes import Child, until
from edge_service.command_line.local_edge import LocalEdge
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions

HAND, SLOW, SERVER, BARE = (
    "ridethrough, by hand",
    "ridethrough, by hand, 5 s cycle",
    "ridethrough, server",
    "bare poller",
)
SUBJECTS = (HAND, SLOW, SERVER, BARE)
CYCLE_S = {SLOW: 5.0}
POLL_S = 10.0
MINUTE_S = 60.0
# An event by hand is entered so long before it begins, at least.
AHEAD_S = 3.0
LASTS_S = 4.0
POWER_W = 3000
PROGRAM = "peak"


@dataclass(slots=True)
class Taken:
    """Seconds of each trial: from the scheduled start to the write, and from the change to the knowledge of it."""

    start_s: list[float] = field(default_factory=list)
    pick_up_s: list[float] = field(default_factory=list)
    missed: int = 0

    def add(self, other: Taken) -> None:
        self.start_s += other.start_s
        self.pick_up_s += other.pick_up_s
        self.missed += other.missed


async def _begun(site: Site, since: int, start: datetime, within_s: float, taken: Taken) -> int:
    """Wait for the write that orders the event; the number of the last write."""
    wait_s = (start - datetime.now(UTC)).total_seconds() + within_s
    try:
        written = await site.first_order(since, wait_s, POWER_W)
        taken.start_s.append((written.at - start).total_seconds())
    except TimeoutError:
        taken.missed += 1
    return (await site.writes())[-1].number if await site.writes() else since


async def _ended(end: datetime) -> None:
    await asyncio.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()) + 1.5)


async def by_hand(site: Site, edge: LocalEdge, trials: int) -> Taken:
    """Events at random parts of a second."""
    taken = Taken()
    for _ in range(trials):
        start = datetime.now(UTC) + timedelta(seconds=AHEAD_S + random.uniform(0, 1))
        end, number = start + timedelta(seconds=LASTS_S), await _last(site)
        times = {"start": start.isoformat(), "end": end.isoformat()}
        event = {"program": "manual", "name": "Trial", "power_w": POWER_W, **times}
        await asyncio.to_thread(edge.command, "enter_event", event)
        await _begun(site, number, start, LASTS_S, taken)
        await _ended(end)
    return taken


async def by_server(site: Site, edge: LocalEdge, utility: SimulatedUtility, trials: int) -> Taken:
    """Events that the utility calls at a random moment of a poll, a poll and some seconds ahead."""
    entry = {"kind": "openadr3", "name": "Peak", "url": utility.base_url, "poll_s": POLL_S}
    entry |= {"client_id": "ven-client", "client_secret": "ven-secret"}
    await asyncio.to_thread(edge.command, "set_program", {"id": PROGRAM, "program": entry})
    taken = Taken()
    for trial in range(trials):
        await asyncio.sleep(random.uniform(0, POLL_S))
        number, name = await _last(site), f"Trial {trial}"
        called_at = datetime.now(UTC)
        event = utility.dispatch.call_event(
            start_in_s=POLL_S + AHEAD_S, duration_s=LASTS_S, power_kw=POWER_W / 1000, name=name
        )
        start = datetime.fromisoformat(str(event["intervalPeriod"]["start"]))
        try:
            await until(lambda name=name: _knows(edge, name), POLL_S + AHEAD_S, "the event to be known")  # type: ignore[misc]
            taken.pick_up_s.append((datetime.now(UTC) - called_at).total_seconds())
        except TimeoutError:
            pass
        await _begun(site, number, start, LASTS_S, taken)
        await _ended(start + timedelta(seconds=LASTS_S))
    return taken


async def _knows(edge: LocalEdge, name: str) -> bool:
    state = await asyncio.to_thread(edge.state)
    return any(event["name"] == name for event in state["programs"].get(PROGRAM, {}).get("events", ()))


async def by_minute(site: Site, utility: SimulatedUtility, trials: int) -> Taken:
    """Events of more than a minute, so that each is seen at all."""
    taken = Taken()
    for _ in range(trials):
        # The one before ended with a poll: without this each would begin at the same moment of the poller's minute.
        await asyncio.sleep(random.uniform(0, MINUTE_S))
        number = await _last(site)
        event = utility.dispatch.call_event(start_in_s=AHEAD_S, duration_s=MINUTE_S + 5, power_kw=POWER_W / 1000)
        start = datetime.fromisoformat(str(event["intervalPeriod"]["start"]))
        await _begun(site, number, start, MINUTE_S + 10, taken)
        utility.dispatch.cancel(str(event["id"]))
        await site.first_write(max(0, await _last(site) - 1), MINUTE_S + 10, WSetEna=0)
    return taken


async def _last(site: Site) -> int:
    writes = await site.writes()
    return writes[-1].number if writes else 0


async def measure(subject: str, trials: int, folder: Path) -> Taken:
    """Start one subject with its site and utility, do its trials, end them."""
    async with AsyncExitStack() as stack:
        site = await Site.start(stack, folder)
        utility = await stack.enter_async_context(SimulatedUtility(UtilityOptions()))
        utility.dispatch.program()
        if subject == BARE:
            words = [sys.executable, "-m", "benchmarks.bare_poller", "--url", utility.base_url]
            words += ["--port", str(site.port("charger")), "--period-s", str(MINUTE_S)]
            await started(stack, Child("bare poller", words, folder / "bare.log"))
            return await by_minute(site, utility, trials)
        edge = await start_edge(stack, folder, site, cycle_s=CYCLE_S.get(subject, 1.0))
        if subject == SERVER:
            return await by_server(site, edge, utility, trials)
        return await by_hand(site, edge, trials)


async def run(trials: int, subjects: Sequence[str] = SUBJECTS, bare_sites: int = 4) -> dict[str, Taken]:
    """All subjects side by side; the bare poller, whose trials take minutes, at several sites."""
    found = {subject: Taken() for subject in subjects}

    async def one(subject: str, number: int, count: int, root: Path) -> None:
        folder = root / f"{subject}, {number}"
        folder.mkdir(parents=True)
        found[subject].add(await measure(subject, count, folder))

    with tempfile.TemporaryDirectory(prefix="ridethrough-event-start-") as folder:
        async with asyncio.TaskGroup() as group:
            for subject in subjects:
                sites = bare_sites if subject == BARE else 1
                share = max(1, trials // 6) if subject == BARE else trials
                for number in range(sites):
                    group.create_task(one(subject, number, share, Path(folder)))
    return found


HEADS = ("who, what", *SPREAD_HEADS, "missed", "p50 to ours")


def rows(found: dict[str, Taken]) -> list[list[str]]:
    """Each subject's start, and its pick-up where it has one, in milliseconds."""
    lines = []
    ours = next((Spread.of(taken.start_s).p50 for taken in found.values() if taken.start_s), 1.0)
    for subject, taken in found.items():
        if taken.start_s:
            spread = Spread.of(taken.start_s)
            lines.append([f"{subject}, start", *spread.cells(), str(taken.missed), f"{spread.p50 / ours:.1f}"])
        if taken.pick_up_s:
            lines.append([f"{subject}, pick-up", *Spread.of(taken.pick_up_s).cells(), "", ""])
    return lines


def kept(found: dict[str, Taken], about: Any) -> dict[str, Any]:
    """All that was measured, each trial too."""
    return {
        "machine": about,
        "subjects": {
            subject: {
                "start_ms": [round(1000 * one, 2) for one in taken.start_s],
                "pick_up_ms": [round(1000 * one, 2) for one in taken.pick_up_s],
                "missed": taken.missed,
            }
            for subject, taken in found.items()
        },
    }


def main() -> None:
    """Measure, print the table, keep the trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=30)
    args = parser.parse_args()
    about = machine("aiohttp", "pymodbus")
    print(described(about), flush=True)
    found = asyncio.run(run(args.trials))
    print(table(HEADS, rows(found)))
    print(f"every trial: {keep('event_start', kept(found, about))}")


if __name__ == "__main__":
    main()
