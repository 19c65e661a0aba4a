"""Baselines out of real minute rows: which days are like days, and the same time on the wall when clocks change."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge_service.baselines import BaselineFinder, baseline_of
from edge_service.domain.model import Happening, Program, Scope, frozen_map
from edge_service.domain.program import Baseline, Rules
from edge_service.domain.settlement import Outcome, Settlement, paid_w
from edge_service.journal.recording import CycleRecorder
from edge_service.ledger import Ledger
from tests.edge.domain.houses import a_site
from tests.edge.fakes import MemoryJournal

BOSTON = ZoneInfo("America/New_York")
PEAK = Program(
    "peak",
    "Peak",
    "manual",
    measure=Scope.SITE,
    baseline=Baseline.TEN_OF_TEN,
    rules=Rules(holidays="US"),
    pay_usd_per_kw=200.0,
)
FACTS = a_site(time_zone="America/New_York", programs=frozen_map({"peak": PEAK}))
FRIDAY = date(2026, 7, 24)


class Later:
    """``Clock``: an hour after the event."""

    def __init__(self, event: Settlement) -> None:
        self.at = event.end + timedelta(hours=1)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0


class Desk:
    """Minute rows of days, an event, and the books."""

    def __init__(self, folder: Path, recorder: CycleRecorder) -> None:
        self.folder, self.recorder, self.journal = folder, recorder, MemoryJournal()

    async def drew(self, day: date, watts: float, *, event_w: float | None = None) -> None:
        """So much from 14 to 18 on the wall, from 17 on ``event_w`` where it says so."""
        start = datetime(day.year, day.month, day.day, 14, tzinfo=BOSTON).astimezone(UTC)
        for minute in range(240):
            power_w = watts if minute < 180 or event_w is None else event_w
            self.recorder.add_minute(start + timedelta(minutes=minute), {"grid_w": power_w})
        await self.recorder.flush()

    async def finds(self, day: date, others: Iterable[Settlement] = ()) -> Settlement:
        """The row of an event from 17 to 18 on that day, with what was found."""
        event = a_row(day)
        ledger = Ledger([event, *others], self.journal, Later(event))
        await BaselineFinder(ledger, self.journal, self.folder, Later(event)).find_all(FACTS)
        await ledger.drain()
        return self.journal.settlements[event.uid]


def a_row(day: date, **changes: object) -> Settlement:
    start = datetime(day.year, day.month, day.day, 17, tzinfo=BOSTON).astimezone(UTC)
    row = Settlement(f"e-{day}", "peak", "Peak", day.isoformat(), start, start + timedelta(hours=1), Outcome.SERVED)
    return replace(row, site_wh=3000.0, run_s=3600.0, **changes)  # type: ignore[arg-type]


def days_before(day: date, count: int) -> list[date]:
    return [day - timedelta(days=back) for back in range(1, count + 1)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    recorder = await CycleRecorder.open(tmp_path)
    yield Desk(tmp_path, recorder)
    await recorder.close()


async def test_ten_working_days_say_what_a_working_day_would_have_drawn(desk: Desk) -> None:
    for day in days_before(FRIDAY, 28):
        await desk.drew(day, 9000 if day.weekday() >= 5 or day == date(2026, 7, 3) else 1500)
    await desk.drew(FRIDAY, 1500, event_w=-3000)
    row = await desk.finds(FRIDAY)
    assert row.baseline_note == "found"
    assert row.baseline_wh == pytest.approx(-1500)
    # Friday, 3 July, was the day off for the Fourth: ten days before the 24th end there.
    assert row.baseline_days[0] == "2026-07-23"
    assert row.baseline_days[-1] == "2026-07-10"
    assert paid_w(row, PEAK) == pytest.approx(4500)


async def test_a_holiday_is_compared_with_days_off(desk: Desk) -> None:
    holiday = date(2026, 7, 3)
    for day in days_before(holiday, 45):
        await desk.drew(day, 9000 if day.weekday() >= 5 or day == date(2026, 5, 25) else 1500)
    await desk.drew(holiday, 9000, event_w=0)
    row = await desk.finds(holiday)
    assert row.baseline_wh == pytest.approx(-9000)
    assert {date.fromisoformat(day).weekday() for day in row.baseline_days} <= {4, 5, 6}


async def test_days_with_an_event_or_an_outage_are_no_like_days(desk: Desk) -> None:
    event_day, outage_day = date(2026, 7, 22), date(2026, 7, 21)
    for day in days_before(FRIDAY, 28):
        await desk.drew(day, -8000 if day in (event_day, outage_day) else 1500)
    await desk.drew(FRIDAY, 1500, event_w=-3000)
    began, ended = (datetime(2026, 7, 21, hour, tzinfo=UTC) for hour in (15, 23))
    data = frozen_map({"started_at": began.isoformat()})
    await desk.journal.append_happenings([Happening("outage_ended", "site", ended, data)])
    row = await desk.finds(FRIDAY, [a_row(event_day, baseline_note="found")])
    assert row.baseline_wh == pytest.approx(-1500)
    assert not {"2026-07-22", "2026-07-21"} & set(row.baseline_days)


async def test_a_day_after_the_clocks_went_back_is_compared_at_the_same_time_on_the_wall(desk: Desk) -> None:
    monday = date(2026, 11, 2)  # clocks went back on the day before
    for day in days_before(monday, 20):
        await desk.drew(day, 500, event_w=2500)
    await desk.drew(monday, 500, event_w=0)
    assert (await desk.finds(monday)).baseline_wh == pytest.approx(-2500)


async def test_too_few_days_are_said_and_not_looked_for_again(desk: Desk) -> None:
    for day in days_before(FRIDAY, 5):
        await desk.drew(day, 1500)
    await desk.drew(FRIDAY, 1500, event_w=-3000)
    row = await desk.finds(FRIDAY)
    assert (row.baseline_wh, row.baseline_note) == (None, "too_few_days")
    assert paid_w(row, PEAK) is None
    assert Ledger([row], desk.journal, Later(row)).without_baseline(FACTS.programs) == []


def test_there_is_no_day_like_an_event_of_a_year_and_none_is_looked_for() -> None:
    def never(start: datetime, end: datetime) -> dict[datetime, float]:
        raise AssertionError(f"minutes from {start} to {end}")

    start = datetime(2025, 7, 24, 21, tzinfo=UTC)
    row = Settlement("e1", "peak", "Peak", "2025-07-24", start, start + timedelta(days=365), Outcome.SERVED)
    found = baseline_of(row, PEAK, BOSTON, never)
    assert (found.wh, found.note) == (None, "too_few_days")
