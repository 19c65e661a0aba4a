"""A utility that asks for reports, a house whose minutes are known, and our source between them; time stands still."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from edge_service.domain.decide import decide
from edge_service.domain.memory import GridMemory, Memory
from edge_service.domain.model import Event, Grid, Settings, SiteFacts, frozen_map
from edge_service.ports import BaselineFound, Filing, FilingStage, FilingStore, Live
from edge_service.programs.openadr3 import OpenAdr3Source
from edge_service.programs.openadr3_options import OpenAdr3Options
from edge_service.programs.openadr3_reporter import Reporter
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from tests.edge.domain.houses import T0, a_reading, a_site, an_observation
from tests.edge.fakes import MemoryJournal

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
USAGE = {"payloadType": "USAGE", "units": "KWH"}
STATE = {"payloadType": "OPERATING_STATE"}


@dataclass
class KnownHouse:
    """``Measured``: rows and readings that a test sets. ``dark``: no cycle was completed, ``rows_fail``: the disk."""

    facts: SiteFacts = field(default_factory=lambda: a_site("car"))
    rows: dict[datetime, dict[str, Any]] = field(default_factory=dict)
    chargers: dict[str, dict[str, Any]] = field(default_factory=lambda: {"car": {}})
    settings: Settings = field(default_factory=Settings)
    events: tuple[Event, ...] = ()
    baselines: dict[str, BaselineFound] = field(default_factory=dict)
    memory: Memory = field(default_factory=lambda: Memory(grid=GridMemory(Grid.ON, T0)))
    now: datetime = T0
    dark: bool = False
    rows_fail: bool = False

    def live(self) -> Live | None:
        if self.dark:
            return None
        seconds = (self.now - T0).total_seconds()
        seen = {name: a_reading(self.now, **given) for name, given in self.chargers.items()}
        observation = replace(an_observation(seconds), chargers=frozen_map(seen), events=self.events)
        decision = decide(observation, self.memory, self.settings, self.facts)
        self.memory = decision.memory
        return Live("peak", observation, decision, self.facts)

    async def minutes(self, start: datetime, end: datetime) -> Mapping[datetime, Mapping[str, Any]]:
        if self.rows_fail:
            raise OSError("the disk fails")
        return {at: row for at, row in self.rows.items() if start - MINUTE < at < end}

    async def baseline(self, uid: str) -> BaselineFound | None:
        return self.baselines.get(uid)

    def ran(self, start: datetime, end: datetime, power_w: float, **more: Any) -> None:
        """Rows in which the car's charger had this power."""
        at = start
        while at < end:
            self.rows[at] = {"grid_w": 1200.0, "car.power_w": power_w, **more}
            at += MINUTE


class StandingClock:
    """A clock that tells the desk's time."""

    def __init__(self, desk: ReportDesk) -> None:
        self._desk = desk

    def now(self) -> datetime:
        return self._desk.now

    def monotonic(self) -> float:
        return (self._desk.now - T0).total_seconds()


@dataclass
class ReportDesk:
    """``step`` polls and lets the reporter work at ``now``; ``restart`` is a new process on the same disk.

    ``disk``: the real one, where a test wants it.
    """

    utility: SimulatedUtility
    now: datetime = T0
    house: KnownHouse = field(default_factory=KnownHouse)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    disk: FilingStore | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    sources: list[OpenAdr3Source] = field(default_factory=list)
    given: tuple[Event, ...] = ()

    def restart(self) -> None:
        plain = {"client_id": "ven-client", "client_secret": "ven-secret", "ven_name": "our-house"}
        options = OpenAdr3Options(
            id="peak", name="Peak power", base_url=self.utility.base_url, **(plain | self.changes)
        )
        self.sources.append(OpenAdr3Source(options, "house", self.given))
        self.reporter: Reporter = self.sources[-1].reporter(self.house, self.disk or self.journal, StandingClock(self))

    async def step(self, after: timedelta = timedelta(), *, polls: bool = True) -> None:
        self.now += after
        self.house.now = self.now
        if polls:
            self.given = (await self.sources[-1].poll(self.now)).events
            self.house.events = self.given
        await self.reporter.step(self.now)

    def ask(self, *wishes: Mapping[str, Any], hours: int = 1, start: timedelta = HOUR, **fields: Any) -> str:
        """An event of so many hours of SIMPLE 3 that asks for these reports."""
        step = {"payloads": [{"type": "SIMPLE", "values": [3]}]}
        row = {
            "programID": self.utility.dispatch.program()["id"],
            "priority": None,
            "targets": [],
            "eventName": "Peak",
            "intervalPeriod": {"start": (T0 + start).isoformat(), "duration": "PT1H"},
            "intervals": [step | {"id": number} for number in range(hours)],
            "reportDescriptors": list(wishes),
        }
        kept = {name: value for name, value in (row | fields).items() if value is not ...}
        return str(self.utility.store.add("events", kept)["id"])

    def change(self, event_id: str, **fields: Any) -> None:
        row = self.utility.store.find("events", event_id)
        assert row is not None
        rest = ("id", "createdDateTime", "modificationDateTime")
        self.utility.store.replace("events", event_id, {k: v for k, v in row.items() if k not in rest} | fields)

    @property
    def reports(self) -> list[dict[str, Any]]:
        """At the utility, oldest first."""
        return list(reversed(self.utility.store.rows("reports")))

    def asked(self, method: str) -> int:
        """How often reports were spoken of with that method."""
        return sum(one.method == method and one.path.startswith("/reports") for one in self.utility.requests)

    def queued(self, *stages: FilingStage) -> list[Filing]:
        return [one for one in self.journal.filings.values() if one.stage in (stages or (FilingStage.WAITING,))]


def told(report: Mapping[str, Any]) -> list[tuple[Any, str]]:
    """Value (None: none) and quality of each interval."""
    return [(None if len(each) < 2 else each[0]["values"][0], each[-1]["values"][0]) for each in _payloads(report)]


def _payloads(report: Mapping[str, Any]) -> Sequence[Any]:
    return [one["payloads"] for whole in report["resources"] for one in whole["intervals"]]


@asynccontextmanager
async def a_desk(options: UtilityOptions | None = None, **changes: Any) -> AsyncIterator[ReportDesk]:
    desk: ReportDesk
    async with SimulatedUtility(options, now=lambda: desk.now) as utility:
        desk = ReportDesk(utility, changes=changes)
        utility.dispatch.program()
        desk.restart()
        try:
            yield desk
        finally:
            for source in desk.sources:
                await source.close()
