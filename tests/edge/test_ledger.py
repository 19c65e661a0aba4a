"""The books through crashes and failing disks, in leaping time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from edge_service.domain.memory import EventMemory, EventStage
from edge_service.domain.model import Program, frozen_map
from edge_service.domain.settlement import settle
from edge_service.ledger import AGAIN_AFTER_S, Ledger
from tests.edge.domain.houses import T0, after
from tests.edge.fakes import LeapingClock, MemoryJournal, leaping, until

PROGRAMS = frozen_map({"peak": Program("peak", "Peak", "manual", pay_usd_per_kw=275.0, season_events=1)})
RUNS = EventMemory(EventStage.RUNNING, T0, "Peak", "peak", T0, after(3600), charger_wh=4900.0, gap_s=0)
DONE = replace(RUNS, stage=EventStage.FINISHED, charger_wh=5000.0)


@asynccontextmanager
async def writing(ledger: Ledger) -> AsyncIterator[None]:
    task = asyncio.create_task(ledger.write())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def a_ledger(journal: MemoryJournal) -> Ledger:
    return Ledger(tuple(journal.settlements.values()), journal, LeapingClock())


@leaping
async def test_a_row_is_written_once_when_its_event_is_over() -> None:
    journal = MemoryJournal()
    ledger = a_ledger(journal)
    async with writing(ledger):
        for second, account in ((3599, RUNS), (3600, DONE), (3601, DONE), (3602, replace(DONE, begun=True))):
            ledger.follow({"e1": account}, after(second))
        await until(lambda: journal.settlements)
        ledger.follow({"e1": DONE, "e2": DONE}, after(3603))
        await until(lambda: "e2" in journal.settlements)
    assert journal.wrote == ["settlement: e1", "settlement: e2"]
    assert journal.settlements["e1"] == settle("e1", DONE, after(3600))


@leaping
async def test_a_disk_that_fails_costs_no_row_and_the_season_counts_it_already() -> None:
    journal = MemoryJournal()
    journal.disk_fails = True
    ledger = a_ledger(journal)
    async with writing(ledger):
        ledger.follow({"e1": DONE}, after(3600))
        assert ledger.seasons(PROGRAMS, after(3600))["peak"].usd == 5 * 275
        await asyncio.sleep(2 * AGAIN_AFTER_S)
        assert journal.settlements == {}
        journal.disk_fails = False
        await until(lambda: journal.settlements)


@leaping
async def test_a_crash_before_the_row_was_written_is_made_up_for_at_the_next_start() -> None:
    journal = MemoryJournal()
    ledger = a_ledger(journal)
    async with writing(ledger):
        ledger.follow({"e1": DONE}, after(4000))  # the first cycle after the start finds the account closed
        await until(lambda: journal.settlements)
    assert ledger.seasons(PROGRAMS, after(4000))["peak"].events == 1


@leaping
async def test_a_crash_after_the_row_was_written_neither_spoils_it_nor_counts_it_twice() -> None:
    journal = MemoryJournal()
    ledger = a_ledger(journal)
    ledger.follow({"e1": DONE}, after(3600))
    await ledger.drain()
    again = a_ledger(journal)
    torn = replace(DONE, charger_wh=4993.0, gap_s=5.0, site_gap_s=5.0)
    again.follow({"e1": replace(RUNS, charger_wh=4993.0)}, after(3595))
    again.follow({"e1": torn}, after(3620))
    await again.drain()
    assert journal.settlements["e1"].charger_wh == 5000
    assert again.seasons(PROGRAMS, after(3700))["peak"].events == 1


@leaping
async def test_an_event_that_was_made_longer_is_settled_anew() -> None:
    journal = MemoryJournal()
    ledger = a_ledger(journal)
    ledger.follow({"e1": DONE}, after(3600))
    ledger.follow({"e1": replace(RUNS, end=after(7200))}, after(3700))
    ledger.follow({"e1": replace(DONE, end=after(7200), charger_wh=9000.0, gap_s=60.0)}, after(7200))
    await ledger.drain()
    assert [row.hours for row in journal.settlements.values()] == [2]


@leaping
async def test_what_a_season_came_to_is_the_same_object_until_something_changes() -> None:
    ledger = a_ledger(MemoryJournal())
    first = ledger.seasons(PROGRAMS, after(0))
    assert ledger.seasons(PROGRAMS, after(1)) is first
    ledger.follow({"e1": DONE}, after(3600))
    assert ledger.seasons(PROGRAMS, after(3600)) is not first


@leaping
async def test_an_event_left_out_is_written_when_time_has_closed_it() -> None:
    journal = MemoryJournal()
    ledger = a_ledger(journal)
    out = replace(RUNS, stage=EventStage.OPTED_OUT, charger_wh=0.0)
    ledger.follow({"e1": out}, after(1800))
    assert ledger.rows == []
    ledger.follow({"e1": out}, after(3600))
    assert [row.outcome for row in ledger.rows] == ["opted_out"]
