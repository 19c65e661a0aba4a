"""A season worked out by hand, event by event, against what the books make of it: to the cent, by both measures.

Simulated cycles of ten seconds go through the real ``decide``; the rows are read back from a real journal. The house
draws 1 kW. kW over each event, at the charger and net at the street:

    | event                                                        | hours | charger | site   |
    |--------------------------------------------------------------|-------|---------|--------|
    | 10 June, served                                              | 1     |  5      |  4     |
    | 17 June, served                                              | 1     |  5      |  4     |
    |  1 July, served                                              | 1     |  4      |  3     |
    |  8 July, left out the day before                             | 1     |  0      |  0     |
    | 15 July, no vehicle: missed                                  | 1     |  0      | -1     |
    | 22 July, 5 kW, the edge is down for 20 of 60 minutes         | 1     | 10/3    |  8/3   |
    | 29 July, the vehicle charges with 2 kW all the time          | 1     | -2      | -3     |
    |  5 August, 5 kW, left out after half of it                   | 1     |  2.5    |  2     |
    | 12 August, 5 kW and 3 kW of solar                            | 1     |  5      |  7     |
    | 19 August, 5 kW, the meter is silent for 15 of 60 minutes    | 1     |  5      |  3     |
    |  2 September, two hours                                      | 2     |  4      |  3     |
    |  1 November, from 0:30 to 2:30 on the wall: clocks go back   | 3     |  3      |  2     |
    | 26 August, cancelled in its middle, and a rehearsal          |       | never   | never  |

    charger: 34.8333 kW / 12 events = 2.90278 kW x $275 = $798.26
    site:    26.6667 kW / 12 events = 2.22222 kW x $275 = $611.11
    charger, what is left out does not count: 32.3333 kW / 10 events x $275 = $889.17
    charger: 5+5+4+0+0+10/3-2+2.5+5+5+8+9 = 44.8333 kWh x $2 = $89.67
    site:    4+4+3+0-1+8/3-3+2+7+3+6+6    = 33.6667 kWh x $2 = $67.33
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_service.domain.decide import decide
from edge_service.domain.memory import Memory
from edge_service.domain.model import Event, Observation, Program, Scope, Settings, Slot, SwitchReading, frozen_map
from edge_service.domain.program import Rules, Season
from edge_service.domain.settlement import Outcome, Settlement, event_usd, season_at, tally
from edge_service.journal.encoding import from_plain, to_plain
from edge_service.journal.store import SqliteJournal
from edge_service.ledger import Ledger
from tests.edge.domain.houses import a_meter, a_reading, a_site

CYCLE = timedelta(seconds=10)
HOUSE_W = 1000
PEAK = Program(
    "peak",
    "Peak",
    "manual",
    pay_usd_per_kw=275.0,
    season_events=12,
    rules=Rules(seasons=(Season("06-01", "11-30"),)),
)
FACTS = a_site(programs=frozen_map({"peak": PEAK}))


class Wall:
    """``Clock`` of rows: when they were written does not matter here."""

    def now(self) -> datetime:
        return datetime(2026, 12, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


@dataclass
class Summer:
    """The events of a season, one after the other, into the books."""

    ledger: Ledger
    memory: Memory = field(default_factory=Memory)

    def event(
        self,
        day: str,
        supplied_w: int,
        *,
        hour: float = 21,
        hours: int = 1,
        solar_w: int = 0,
        left_out_from: float | None = None,
        down: tuple[float, float] | None = None,
        meter_silent: tuple[float, float] | None = None,
        cancelled_from: float | None = None,
        **changes: Any,
    ) -> None:
        """One event, from half a minute before it to half a minute after. Spans in minutes of the event."""
        start = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=hour)
        slot = Slot(start, start + timedelta(hours=hours), power_w=-5000)
        event = Event(f"e-{day}", "peak", day, start - timedelta(days=1), (slot,), day=day, **changes)
        for second in range(-30, hours * 3600 + 31, 10):
            minute = second / 60
            if down is not None and down[0] < minute < down[1]:
                continue
            if down is not None and minute == down[1]:
                self.memory = from_plain(Memory, json.loads(json.dumps(to_plain(self.memory)))).after_restart()
            seen = self._seen(start + timedelta(seconds=second), supplied_w, solar_w)
            if meter_silent is not None and meter_silent[0] < minute < meter_silent[1]:
                seen = replace(seen, meter=None)
            called = replace(event, cancelled=cancelled_from is not None and minute >= cancelled_from)
            out = left_out_from is not None and minute >= left_out_from
            settings = Settings(opted_out=frozenset({event.uid}) if out else frozenset())
            decision = decide(replace(seen, events=(called,)), self.memory, settings, FACTS)
            self.memory = decision.memory
            self.ledger.follow(decision.memory.events, decision.at)

    def _seen(self, now: datetime, supplied_w: int, solar_w: int) -> Observation:
        net_w = HOUSE_W - supplied_w - solar_w
        car = a_reading(now, power_w=-supplied_w)
        closed = SwitchReading(now, commanded_open=False, open_proven=False, closed_proven=True)
        return Observation(now, frozen_map({"car": car}), a_meter(now, power_w=net_w), closed)


def spend(summer: Summer) -> None:
    """The season of the table."""
    summer.event("2026-06-10", 5000)
    summer.event("2026-06-17", 5000)
    summer.event("2026-07-01", 4000)
    summer.event("2026-07-08", 0, left_out_from=-1)
    summer.event("2026-07-15", 0)
    summer.event("2026-07-22", 5000, down=(20, 40))
    summer.event("2026-07-29", -2000)
    summer.event("2026-08-05", 5000, left_out_from=30)
    summer.event("2026-08-12", 5000, solar_w=3000)
    summer.event("2026-08-19", 5000, meter_silent=(15, 30))
    summer.event("2026-08-26", 5000, cancelled_from=30)
    summer.event("2026-08-27", 5000, rehearsal=True)
    summer.event("2026-09-02", 4000, hours=2)
    summer.event("2026-11-01", 3000, hour=4.5, hours=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("season")


@pytest.fixture(scope="module")
def rows(folder: Path) -> Mapping[str, Settlement]:
    return asyncio.run(kept_in(folder))


async def kept_in(folder: Path) -> Mapping[str, Settlement]:
    """The rows, written to a journal and read back from it after it was closed."""
    journal = await SqliteJournal.open(folder)
    ledger = Ledger((), journal, Wall())
    spend(Summer(ledger))
    await ledger.drain()
    await journal.close()
    journal = await SqliteJournal.open(folder)
    kept = await journal.load_settlements()
    await journal.close()
    return {row.day: row for row in kept}


def test_each_event_comes_to_what_was_worked_out_by_hand(rows: Mapping[str, Settlement]) -> None:
    assert {day: (round(row.charger_average_w, 3), round(row.site_average_w or 0, 3)) for day, row in rows.items()} == {
        "2026-06-10": (5000, 4000),
        "2026-06-17": (5000, 4000),
        "2026-07-01": (4000, 3000),
        "2026-07-08": (0, 0),
        "2026-07-15": (0, -1000),
        "2026-07-22": (3333.333, 2666.667),
        "2026-07-29": (-2000, -3000),
        "2026-08-05": (2500, 2000),
        "2026-08-12": (5000, 7000),
        "2026-08-19": (5000, 3000),
        "2026-09-02": (4000, 3000),
        "2026-11-01": (3000, 2000),
    }
    assert {day for day, row in rows.items() if row.outcome is Outcome.OPTED_OUT} == {"2026-07-08", "2026-08-05"}
    assert {day for day, row in rows.items() if row.outcome is Outcome.MISSED} == {"2026-07-15", "2026-07-29"}


def test_what_nobody_measured_is_marked_and_counts_as_nothing(rows: Mapping[str, Settlement]) -> None:
    assert {day: (row.gap_s, row.site_gap_s) for day, row in rows.items() if row.gap_s or row.site_gap_s} == {
        "2026-07-22": (1200, 1200),
        "2026-08-19": (0, 900),
    }
    (gap,) = rows["2026-07-22"].gaps
    assert (gap.start, gap.end) == (
        datetime(2026, 7, 22, 21, 20, tzinfo=UTC),
        datetime(2026, 7, 22, 21, 40, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("terms", "usd"),
    [
        ({}, 798.26),
        ({"measure": Scope.SITE}, 611.11),
        ({"opted_out_counts": False}, 889.17),
        ({"pay_usd_per_kw": None, "pay_usd_per_kwh": 2.0}, 89.67),
        ({"pay_usd_per_kw": None, "pay_usd_per_kwh": 2.0, "measure": Scope.SITE}, 67.33),
        ({"pay_usd_per_kw": 275.0, "pay_usd_per_kwh": 2.0}, 887.93),
    ],
)
def test_a_season_worked_out_by_hand_matches_to_the_cent(
    rows: Mapping[str, Settlement], terms: dict[str, Any], usd: float
) -> None:
    program = replace(PEAK, **terms)
    made = tally(rows.values(), program, season_at("2026-12-01", program), "2026-12-01")
    assert made.usd is not None
    assert made.projection_usd is not None
    assert (round(made.usd, 2), round(made.projection_usd, 2)) == (usd, usd)
    assert (made.missed, made.opted_out, made.gap_s, made.unsettled) == (2, 2, 1200, 0)
    assert made.events == (12 if program.opted_out_counts else 10)


def test_the_events_of_a_season_add_up_to_its_pay(rows: Mapping[str, Settlement]) -> None:
    parts = [event_usd(row.charger_average_w, row.hours, PEAK) or 0.0 for row in rows.values()]
    assert round(sum(parts), 2) == 798.26


def test_in_the_middle_of_a_season_what_is_safe_and_what_it_comes_to_are_told_apart(
    rows: Mapping[str, Settlement],
) -> None:
    so_far = [row for row in rows.values() if row.day < "2026-07-08"]
    made = tally(so_far, PEAK, season_at("2026-07-05", PEAK), "2026-07-05")
    # 5 + 5 + 4 = 14 kW of three events: 14 / 12 x $275 are safe; 14 / 3 x $275 if the rest goes like this.
    assert (round(made.usd or 0, 2), round(made.projection_usd or 0, 2)) == (320.83, 1283.33)


async def test_rows_that_are_found_again_after_a_restart_are_counted_once(
    rows: Mapping[str, Settlement], folder: Path
) -> None:
    journal = await SqliteJournal.open(folder)
    ledger = Ledger(await journal.load_settlements(), journal, Wall())
    spend(Summer(ledger))
    await ledger.drain()
    assert {row.day: row for row in await journal.load_settlements()} == rows
    await journal.close()
    seasons = ledger.seasons(FACTS.programs, datetime(2026, 12, 1, tzinfo=UTC))
    assert round(seasons["peak"].usd or 0, 2) == 798.26
