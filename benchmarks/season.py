"""A summer of events, something breaking in each: what the edge delivers of what one who knows all could, and earns.

Run: ``python -m benchmarks.season``. The edge is the real one (cycle, desks, household, journal, OpenADR client)
against a simulated utility over HTTP; time is virtual, and the charger is the simulated one without its registers.
"""

import argparse
import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import described, keep, machine, table
from benchmarks.season_world import (
    EDGE_DOWN_S,
    UTILITY_DOWN_S,
    Course,
    World,
    by_automation,
    known_beforehand,
    season,
    steps,
)
from edge_service import enrolment
from edge_service.app import Edge
from edge_service.config import Config, parse
from edge_service.domain.model import Backup, Capability, ChargerReading, Control, Lease, MeterReading, Order
from edge_service.domain.settlement import Outcome, Settlement
from edge_service.journal.recording import CycleRecorder
from edge_service.journal.store import SqliteJournal
from edge_service.ports import DeviceIdentity, DeviceUnreachableError, ProgramError
from edge_service.programs import PROGRAMS, PolledProgram
from edge_service.reports import Reports
from edge_service.runner import Devices
from edge_service.simulation.utility import SimulatedUtility

RESERVE_PCT = 30.0
POLL_S = 60.0
USD_PER_KW = 275.0
PROGRAM = "peak"
# The goal: of what one who knows all could deliver under the same faults.
LEAST_SHARE = 0.99
# Without a switch: an outage is not what this is about. It may export, so that all that is asked can be given.
SITE = """
site: {name: Home, import_max_a: 100, export_max_w: 9600, time_zone: America/Santiago}
chargers:
  car: {name: Driveway, model: sunspec_der, address: "127.0.0.1:1502", lease_s: 60}
meter: {model: sunspec_meter, address: "127.0.0.1:1503"}
"""
TERMS = {
    "kind": "openadr3",
    "name": "Peak power",
    "pay_usd_per_kw": USD_PER_KW,
    "season_events": 45,
    "exports": True,
    "rules": {
        "seasons": ["06-01..09-30"],
        "weekdays": ["mon", "tue", "wed", "thu", "fri"],
        "holidays": "US/MA",
        "window": "15:00-20:00",
        "longest_h": 3,
        "most_events": 60,
    },
}
ABLE = Capability(Control.SIGNED, 9600, 9600, lease=Lease.TIMER, backup=Backup.NONE)


class VirtualClock:
    """The time of the world that is under way."""

    def __init__(self, start: datetime) -> None:
        self.start = self.at = start

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - self.start).total_seconds()


class Car:
    """The world's charger as ``ports.Charger``."""

    id = "car"

    def __init__(self) -> None:
        self.world: World | None = None

    async def probe(self) -> tuple[DeviceIdentity, Capability]:
        self._answering()
        return DeviceIdentity("Simulated", "V2X", "1"), ABLE

    async def read(self, now: datetime) -> ChargerReading:
        return self._answering().charger.reading(now)

    async def order(self, order: Order, now: datetime) -> None:
        self._answering().give(order)

    async def close(self) -> None: ...

    def _answering(self) -> World:
        if self.world is None or not self.world.charger_answers:
            raise DeviceUnreachableError("the charger does not answer")
        return self.world


class Grid:
    """The world's meter as ``ports.Meter``."""

    def __init__(self) -> None:
        self.world: World | None = None

    async def probe(self) -> DeviceIdentity:
        return DeviceIdentity("Simulated", "Meter", "1")

    async def read(self, now: datetime) -> MeterReading:
        if self.world is None:
            raise DeviceUnreachableError("the meter does not answer")
        return self.world.meter()

    async def close(self) -> None: ...


@dataclass
class House:
    """What outlives the edge's process: devices, clock, what lies on the disk."""

    config: Config
    clock: VirtualClock
    car: Car
    grid: Grid
    utility: SimulatedUtility

    @asynccontextmanager
    async def edge(self) -> AsyncIterator[tuple[Edge, PolledProgram]]:
        """An edge as its process starts it, with its program's source. It ends as one does that is killed."""
        journal = await SqliteJournal.open(self.config.data)
        recorder = await CycleRecorder.open(self.config.data)
        edge = Edge(self.config, journal, recorder, Devices([self.car], self.grid), self.clock, Reports(self.clock))
        await edge.prepare()
        options = enrolment.source_options(PROGRAM, edge.programs[PROGRAM])
        source = PROGRAMS["openadr3"](options, edge.installation, edge.intake.known_of(PROGRAM))
        try:
            yield edge, source
        finally:
            await source.close()
            await recorder.close()
            await journal.close()

    async def enrol(self) -> None:
        """What a person does in spring."""
        journal = await SqliteJournal.open(self.config.data)
        client = self.utility.options
        access = {"client_id": client.ven_id, "client_secret": client.ven_secret, "poll_s": POLL_S}
        entry = {**TERMS, **access, "url": self.utility.base_url}
        await journal.save_document("programs", {"programs": {PROGRAM: entry}})
        settings = replace(await journal.load_settings(), backup_reserve_pct=RESERVE_PCT)
        await journal.save_settings(settings, "benchmark", {}, self.clock.now())
        await journal.close()


@dataclass(frozen=True, slots=True)
class Told:
    """One call: what was asked, what the edge gave by the world's own count, what one who knows all gives. Wh."""

    number: int
    kind: str
    asked_wh: float
    given_wh: float
    best_wh: float
    automation_wh: float
    late_s: float | None


class Run:
    """One course in one house, from the vehicle's arrival to some minutes after the event."""

    def __init__(self, house: House, course: Course) -> None:
        self._house, self._course = house, course
        self._world = World(course)
        self._polled_at: datetime | None = None
        self._event_id = ""
        self._first_power_at: datetime | None = None

    async def go(self) -> Told:
        house, world, course = self._house, self._world, self._course
        house.car.world = house.grid.world = world
        await self._announced()
        down = asyncio.Event()
        while world.now < course.until:
            async with house.edge() as (edge, source):
                await self._until_killed(edge, source, down)
            await self._without_edge()
        if self._event_id:
            house.utility.dispatch.cancel(self._event_id)  # it is over: the utility tidies up
        asked_wh = course.power_w * (course.end - course.start).total_seconds() / 3600
        best_wh = known_beforehand(course, RESERVE_PCT) if course.served else 0.0
        plain_wh = by_automation(course, RESERVE_PCT) if course.served else 0.0
        first_at = self._first_power_at
        late_s = None if first_at is None else (first_at - course.start).total_seconds()
        return Told(course.number, course.kind, asked_wh, world.supplied_wh, best_wh, plain_wh, late_s)

    async def _announced(self) -> None:
        """The utility calls it the day before; the edge hears of it then, and again as the day begins."""
        house, course = self._house, self._course
        house.clock.at = min(course.announced, course.from_)
        row = house.utility.dispatch.call_event(
            start_in_s=(course.start - house.clock.at).total_seconds(),
            duration_s=(course.end - course.start).total_seconds(),
            power_kw=course.power_w / 1000,
            name=f"Event {course.number}",
        )
        self._event_id = row["id"]
        async with house.edge() as (edge, source):
            await edge.intake.contact(source)
        house.clock.at = course.from_

    async def _until_killed(self, edge: Edge, source: PolledProgram, killed: asyncio.Event) -> None:
        world, course = self._world, self._course
        for step_s in steps(world):
            self._house.clock.at = world.now
            await self._poll(edge, source)
            self._cancel()
            await edge.runner.cycle()
            await asyncio.sleep(0)
            await edge.scribe.drain()
            await edge.ledger.drain()
            world.pass_s(step_s)
            if self._first_power_at is None and world.event_runs and world.house.inverter.power_w < -100:
                self._first_power_at = world.now
            if not killed.is_set() and world.now >= course.edge_down:
                killed.set()
                return

    async def _without_edge(self) -> None:
        for _ in range(EDGE_DOWN_S if self._world.now < self._course.until else 0):
            self._world.pass_s(1)

    async def _poll(self, edge: Edge, source: PolledProgram) -> None:
        now, course = self._world.now, self._course
        if self._polled_at is not None and (now - self._polled_at).total_seconds() < POLL_S:
            return
        self._polled_at = now
        gone = course.utility_down <= now < course.utility_down + timedelta(seconds=UTILITY_DOWN_S)
        self._house.utility.set_faults({"status": 503 if gone else None})
        try:
            await edge.intake.contact(source)
        except ProgramError:
            if not gone:
                raise

    def _cancel(self) -> None:
        """A storm comes: the utility takes the event back."""
        course = self._course
        if course.cancelled is not None and self._event_id and self._world.now >= course.cancelled:
            self._house.utility.dispatch.cancel(self._event_id)
            self._event_id = ""


async def run(courses: Sequence[Course], folder: Path) -> tuple[list[Told], Sequence[Settlement], float | None]:
    """All calls, one after another; the rows that are settled, and the season's dollars as the edge tells them."""
    clock = VirtualClock(courses[0].announced)
    async with SimulatedUtility(now=clock.now) as utility:
        config = replace(parse(SITE, folder / "site.yaml"), data=folder / "data")
        config.data.mkdir()
        house = House(config, clock, Car(), Grid(), utility)
        await house.enrol()
        told = [await Run(house, course).go() for course in courses]
        async with house.edge() as (edge, _):
            tallies = edge.ledger.seasons(edge.runner.facts.programs, clock.now())
            return told, edge.ledger.rows, tallies[PROGRAM].usd


@dataclass(frozen=True, slots=True)
class Verdict:
    """The season in figures. Shares of what one who knows all delivers; dollars by hand are worked out in fractions."""

    calls: int
    served: int
    rows: int
    missed: int
    edge_share: float
    automation_share: float
    worst_share: float
    latest_s: float
    measured_share: float
    usd: float | None
    usd_by_hand: str
    usd_by_truth: str


def judged(told: Sequence[Told], rows: Sequence[Settlement], usd: float | None) -> Verdict:
    """Sum up. The money is worked out anew, by nothing of the edge's, from its rows and from the truth."""
    events = [one for one in told if one.kind == "event"]
    best_wh = sum(one.best_wh for one in events)
    hours = {row.name: Fraction(round((row.end - row.start).total_seconds()), 3600) for row in rows}
    paid = [row for row in rows if row.outcome is not Outcome.OPTED_OUT]
    by_rows = [Fraction(row.charger_wh) / hours[row.name] for row in paid]
    by_truth = [Fraction(one.given_wh) / hours[f"Event {one.number}"] for one in events]
    return Verdict(
        len(told),
        len(events),
        len(rows),
        sum(row.outcome is Outcome.MISSED for row in rows),
        sum(one.given_wh for one in events) / best_wh,
        sum(one.automation_wh for one in events) / best_wh,
        min(one.given_wh / one.best_wh for one in events),
        max((one.late_s for one in events if one.late_s is not None), default=inf),
        sum(row.charger_wh for row in rows) / sum(one.given_wh for one in told),
        usd,
        _dollars(by_rows),
        _dollars(by_truth),
    )


def _dollars(averages_w: Sequence[Fraction]) -> str:
    """The season's average kW times the rate, to the cent; spread over the expected events while fewer have been."""
    over = max(len(averages_w), int(str(TERMS["season_events"])))
    cents = round(sum(averages_w) / over / 1000 * Fraction(USD_PER_KW) * 100)
    return f"{cents // 100}.{cents % 100:02}"


def printed(verdict: Verdict) -> str:
    """The verdict as a table."""
    percent = [
        ("delivered, of what perfect knowledge could", verdict.edge_share),
        ("worst event, likewise", verdict.worst_share),
        ("a plain automation, likewise", verdict.automation_share),
        ("settled, of what was truly delivered", verdict.measured_share),
    ]
    rows = [[name, f"{100 * share:.2f} %"] for name, share in percent]
    rows += [
        ["calls, and events to serve among them", f"{verdict.calls}, {verdict.served}"],
        ["rows settled, and missed events among them", f"{verdict.rows}, {verdict.missed}"],
        ["latest start (first second with power)", f"{verdict.latest_s:.0f} s"],
        ["season, as the edge tells it", "not known" if verdict.usd is None else f"${verdict.usd:.2f}"],
        ["season, by hand from its rows", f"${verdict.usd_by_hand}"],
        ["season, by hand from the truth", f"${verdict.usd_by_truth}"],
    ]
    return table(("of the season", "figure"), rows)


def main() -> int:
    """Run, print, and fail when a promise of docs/settlement.md is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=48, help="the first so many calls (%(default)s: all)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    began = time.monotonic()
    courses = season(args.seed, args.events)
    with TemporaryDirectory() as folder:
        told, rows, usd = asyncio.run(run(courses, Path(folder)))
    verdict = judged(told, rows, usd)
    about = machine()
    print(described(about))
    print(printed(verdict))
    print(f"{time.monotonic() - began:.0f} s")
    keep(
        "season",
        {"machine": about, "seed": args.seed, "verdict": asdict(verdict), "calls": [asdict(one) for one in told]},
    )
    return 0 if verdict.edge_share >= LEAST_SHARE and verdict.usd_by_hand == f"{verdict.usd:.2f}" else 1


if __name__ == "__main__":
    raise SystemExit(main())
