"""How many bytes a day Home Assistant's recorder writes for a house, against numbers that are pushed each second.

Simulated site, edge and a real Home Assistant with the integration and its recorder as it is out of the box, each a
process of its own. Four stretches, one after another: nothing happens but that the house's load moves; a peak event
runs; the house is on its vehicle in an outage; and, with the edge's process ended, twenty numbers that change each
second, as an integration that writes what it reads would do. A day is put together from them.
"""

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from benchmarks.figures import described, keep, machine, table
from benchmarks.rig import Site, start_edge
from demo.home_assistant import HomeAssistant
from demo.processes import HOST
from demo.watching import Watch
from edge_service.command_line.local_edge import LocalEdge

STRETCH_S = 150.0
SETTLES_S = 20.0
# The recorder writes each five seconds.
COMMITS_S = 7.0
LOAD_W, LOAD_EACH_S = 1200.0, 5.0
NAIVE_SENSORS, NAIVE_EACH_S = 20, 1.0
EVENT_W = 3000
DAY_S = 86_400
# A hard day: an event of three hours and an outage of one.
DAY_H: Mapping[str, float] = {"idle": 20, "event": 3, "outage": 1}
# The recorder's own statistics: a row for five minutes, and one for an hour, of each entity that has a state class.
STATISTICS_A_DAY = {"statistics_short_term": 288, "statistics": 24}
# An hour of short-term rows is enough to know what one weighs; a table this small is mostly empty pages.
BYTES_OF_A_STATISTIC = 120

# What a stretch wrote: rows of states, and bytes by table.
HISTORY = ("states", "state_attributes", "events", "event_data", "states_meta")


# Indexes count with their table; what is free on a page does not count.
BYTES_BY_TABLE = """
select master.tbl_name, sum(page.pgsize - page.unused) from dbstat page
join sqlite_master master on master.name = page.name group by 1
"""


@dataclass(frozen=True, slots=True)
class Size:
    """The recorder's file at a moment: bytes by table, indexes with theirs, and rows of states."""

    bytes_: Mapping[str, int]
    states: int

    @classmethod
    def of(cls, path: Path) -> Size:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as base:
            found = base.execute(BYTES_BY_TABLE).fetchall()
            (states,) = base.execute("select count(*) from states").fetchone()
        return cls(dict(found), states)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was written in so many seconds."""

    name: str
    seconds: float
    rows: int
    bytes_: int

    @property
    def rows_an_hour(self) -> float:
        return 3600 * self.rows / self.seconds

    @property
    def mb_a_day(self) -> float:
        return self.bytes_ / self.seconds * DAY_S / 1e6


class Recorder:
    """The recorder's file of a running Home Assistant."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def size(self) -> Size:
        """After everything so far was written."""
        await asyncio.sleep(COMMITS_S)
        return await asyncio.to_thread(Size.of, self._path)

    async def stretch(self, name: str, seconds: float, during: Callable[[float], Awaitable[None]]) -> Stretch:
        before, began = await self.size(), asyncio.get_running_loop().time()
        await during(seconds)
        passed = asyncio.get_running_loop().time() - began
        after = await self.size()
        grown = sum(after.bytes_.get(one, 0) - before.bytes_.get(one, 0) for one in HISTORY)
        return Stretch(name, passed, after.states - before.states, grown)


async def live(site: Site, seconds: float) -> None:
    """The house's load trembles by three percent each five seconds; now and then something is switched."""
    base, until = LOAD_W, asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        if random.random() < LOAD_EACH_S / 60:
            base = random.choice((400.0, 900.0, 1200.0, 2200.0, 3500.0))
        await site.act("house", load_w=round(base * random.uniform(0.97, 1.03), 1))
        await asyncio.sleep(LOAD_EACH_S)


async def naive(home: HomeAssistant, seconds: float) -> None:
    """Numbers of the usual kind, each written each second."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    headers = {"Authorization": f"Bearer {home.browser_tokens['access_token']}"}
    async with ClientSession(headers=headers) as session:
        while loop.time() < until:
            next_at = loop.time() + NAIVE_EACH_S
            for number in range(NAIVE_SENSORS):
                state = {
                    "state": f"{random.uniform(0, 9600):.1f}",
                    "attributes": {
                        "device_class": "power",
                        "state_class": "measurement",
                        "unit_of_measurement": "W",
                        "friendly_name": f"Naive {number}",
                    },
                }
                async with session.post(f"{home.url}/api/states/sensor.naive_{number}", json=state) as answer:
                    answer.raise_for_status()
            await asyncio.sleep(max(0.0, next_at - loop.time()))


async def measure(seconds: float) -> tuple[list[Stretch], int]:
    """The stretches, and how many of our entities have statistics."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ridethrough-recorder-")))
        site = await Site.start(stack, folder, house_load_w=LOAD_W, battery_wh=60_000)
        edge_life = await stack.enter_async_context(AsyncExitStack())
        edge = await start_edge(edge_life, folder, site)
        program = {"id": "peak", "program": {"kind": "manual", "name": "Peak power"}}
        await asyncio.to_thread(edge.command, "set_program", program)
        home = await stack.enter_async_context(HomeAssistant(folder / "home_assistant", folder / "home_assistant.log"))
        watch = await _paired(home, edge)
        recorder = Recorder(folder / "home_assistant" / "home-assistant_v2.db")
        await asyncio.sleep(SETTLES_S)
        done = [await recorder.stretch("idle", seconds, lambda span: live(site, span))]
        done.append(await recorder.stretch("event", seconds, lambda span: _event(site, edge, span)))
        done.append(await recorder.stretch("outage", seconds, lambda span: _outage(site, span)))
        statistics = sum("state_class" in one.attributes for one in watch.now.values() if one.key)
        await edge_life.aclose()
        await asyncio.sleep(SETTLES_S)
        done.append(await recorder.stretch("naive", seconds / 2, lambda span: naive(home, span)))
    return done, statistics


async def _paired(home: HomeAssistant, edge: LocalEdge) -> Watch:
    async def code() -> str:
        return str((await asyncio.to_thread(edge.command, "new_pairing_code", {}))["code"])

    await home.answers()
    await home.pair(HOST, edge.port, code)
    watch = await home.watch()
    await watch.learn()
    return watch


async def _event(site: Site, edge: LocalEdge, seconds: float) -> None:
    start = datetime.now(UTC) + timedelta(seconds=5)
    times = {"start": start.isoformat(), "end": (start + timedelta(seconds=seconds - 10)).isoformat()}
    event = {"program": "peak", "name": "Peak", "power_w": EVENT_W, **times}
    await asyncio.to_thread(edge.command, "enter_event", event)
    await live(site, seconds)


async def _outage(site: Site, seconds: float) -> None:
    await site.act("grid", present=False)
    await live(site, seconds - 15)
    await site.act("grid", present=True)
    await live(site, 15)


HEADS = ("what happens", "seconds", "rows an hour", "bytes a row", "MB a day of it", "to idle")


def rows(stretches: Sequence[Stretch]) -> list[list[str]]:
    idle = stretches[0]
    return [
        [
            one.name if one.name != "naive" else f"{NAIVE_SENSORS} numbers, each written each second",
            f"{one.seconds:.0f}",
            f"{one.rows_an_hour:.0f}",
            f"{one.bytes_ / max(one.rows, 1):.0f}",
            f"{one.mb_a_day:.1f}",
            f"{one.mb_a_day / idle.mb_a_day:.1f}",
        ]
        for one in stretches
    ]


def composed(stretches: Sequence[Stretch], statistics: int) -> dict[str, float]:
    """Megabytes of a day: its history, its statistics, both, and the naive day beside it."""
    a_day = {one.name: one.mb_a_day for one in stretches}
    history = sum(a_day[name] * hours / 24 for name, hours in DAY_H.items())
    told = statistics * sum(STATISTICS_A_DAY.values()) * BYTES_OF_A_STATISTIC / 1e6
    naive_told = NAIVE_SENSORS * sum(STATISTICS_A_DAY.values()) * BYTES_OF_A_STATISTIC / 1e6
    return {
        "history_mb": round(history, 1),
        "statistics_mb": round(told, 1),
        "day_mb": round(history + told, 1),
        "naive_day_mb": round(a_day["naive"] + naive_told, 1),
        "naive_to_ours": round((a_day["naive"] + naive_told) / (history + told), 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=STRETCH_S, metavar="N", help=f"of a stretch ({STRETCH_S:.0f})")
    args = parser.parse_args(arguments)
    about = machine("homeassistant")
    stretches, statistics = asyncio.run(measure(args.seconds))
    after = machine()["load_average"]
    day = composed(stretches, statistics)
    words = ", ".join(f"{name} {value}" for name, value in day.items())
    sys.stdout.write(f"{described(about)}; load after {after}\n\n{table(HEADS, rows(stretches))}\n\n{words}\n")
    content: dict[str, Any] = {
        "machine": about,
        "load_average_after": after,
        "entities_with_statistics": statistics,
        "day": day,
        "stretches": [
            {"name": one.name, "seconds": one.seconds, "rows": one.rows, "bytes": one.bytes_} for one in stretches
        ],
    }
    sys.stdout.write(f"\nkept in {keep('recorder_growth', content)}\n")


if __name__ == "__main__":
    main()
