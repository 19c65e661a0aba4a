"""Reports to utilities are kept until they are there, in the order in which they were due; minutes can be read back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_service.journal.recording import CycleRecorder
from edge_service.journal.store import SqliteJournal
from edge_service.ports import Filing, FilingStage, FilingStore

AT = datetime(2026, 7, 1, 17, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST = Filing("peak", "e1", "w1", 0, AT, {"eventID": "e1", "resources": [{"intervals": [{"id": 1}]}]})


async def test_reports_come_back_after_a_restart_the_oldest_first_and_each_once(tmp_path: Path) -> None:
    later = replace(FIRST, number=1, due=AT + HOUR)
    journal: SqliteJournal = await SqliteJournal.open(tmp_path)
    store: FilingStore = journal
    for filing in (later, FIRST, replace(FIRST, program="other"), replace(FIRST, part=2)):
        await store.save_filing(filing)
    filed = replace(FIRST, stage=FilingStage.FILED, report_id="r1", final=True)
    await store.save_filing(filed)
    await journal.close()
    journal = await SqliteJournal.open(tmp_path)
    assert list(await journal.load_filings("peak")) == [filed, replace(FIRST, part=2), later]
    await journal.forget_filings("peak", "e1", AT + HOUR)
    assert list(await journal.load_filings("peak")) == [later]
    assert len(await journal.load_filings("other")) == 1
    await journal.close()


async def test_minutes_are_read_back_with_those_just_taken(tmp_path: Path) -> None:
    recorder = await CycleRecorder.open(tmp_path)
    for minute in range(5):
        recorder.add_minute(AT + minute * HOUR / 60, {"grid_w": float(minute), "house_w": None, "car.power_w": -5})
    found = await recorder.minutes(AT + timedelta(seconds=70), AT + timedelta(seconds=180))
    assert found == {
        AT + HOUR / 60: {"grid_w": 1.0, "house_w": None, "car.power_w": -5},
        AT + 2 * HOUR / 60: {"grid_w": 2.0, "house_w": None, "car.power_w": -5},
    }
    await recorder.close()
