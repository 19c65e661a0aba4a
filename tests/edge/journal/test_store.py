"""The journal keeps its word: numbers rise, answers repeat, a damaged file does not stop the start."""

import asyncio
import os
import random
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_service.domain.model import (
    Alert,
    AlertKind,
    AtEnd,
    Event,
    Happening,
    ManualKind,
    ManualOrder,
    Notice,
    Settings,
    Slot,
    frozen_map,
)
from edge_service.journal import store
from edge_service.journal.database import BALLAST_BYTES, JournalError
from edge_service.journal.store import SqliteJournal
from edge_service.ports import Journal

AT = datetime(2026, 7, 1, 17, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KILLS = 20


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteJournal]:
    journal = await SqliteJournal.open(folder)
    try:
        yield journal
    finally:
        await journal.close()


def tick(at: datetime = AT) -> Happening:
    return Happening("tick", "site", at, {"n": 1})


def an_event(uid: str) -> Event:
    return Event(uid, "peak", "Peak", AT, (Slot(AT, AT + HOUR, power_w=-4000),))


async def test_it_is_a_journal_of_the_ports(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        port: Journal = journal
        assert await port.load_settings() == Settings()


async def test_settings_and_events_come_back_after_a_restart(tmp_path: Path) -> None:
    settings = Settings(
        at_end=AtEnd.LEND,
        opted_out=frozenset({"u"}),
        manual=frozen_map({"ccu": ManualOrder(ManualKind.HOLD, AT, AT + HOUR)}),
    )
    async with opened(tmp_path) as journal:
        await journal.save_settings(settings, "set_at_end", {"at_end": "lend"}, AT)
        await journal.save_events([an_event("a"), an_event("b")])
        await journal.save_events([an_event("b"), an_event("c")])
        assert await journal.load_alerts() == ()
        await journal.save_alerts([Alert("peak:1/wind", "peak", AlertKind.WIND, "Wind", AT, AT + HOUR)])
        await journal.save_alerts([Alert("siren", "home_assistant", AlertKind.WEATHER, "Siren", AT)])
    async with opened(tmp_path) as journal:
        assert await journal.load_settings() == settings
        assert [event.uid for event in await journal.load_events()] == ["b", "c"]
        assert await journal.load_alerts() == (Alert("siren", "home_assistant", AlertKind.WEATHER, "Siren", AT),)


async def test_happenings_are_numbered_without_gaps_and_read_from_a_number(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        first = await journal.append_happenings([tick(), tick()])
        second = await journal.append_happenings([tick()])
        assert [item.number for item in [*first, *second]] == [1, 2, 3]
        assert await journal.append_happenings([]) == ()
        assert [item.number for item in await journal.happenings_since(1)] == [2, 3]
        assert [item.number for item in await journal.happenings_since(0, limit=1)] == [1]
        assert (await journal.happenings_since(2))[0].happening == tick()
        assert await journal.last_number() == 3


async def test_a_number_is_not_given_twice_even_when_its_happening_is_gone(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.append_happenings([tick(), tick()])
    with sqlite3.connect(tmp_path / store.FILE) as connection:
        connection.execute("DELETE FROM happening")
    connection.close()
    async with opened(tmp_path) as journal:
        assert [item.number for item in await journal.append_happenings([tick()])] == [3]


async def test_old_happenings_go_but_a_clock_that_jumps_cannot_wipe_the_recent_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "HAPPENINGS_KEPT_AT_LEAST", 3)
    async with opened(tmp_path) as journal:
        await journal.append_happenings([tick() for _ in range(10)])
        await journal.append_happenings([tick(AT + timedelta(days=40000))])
        assert [item.number for item in await journal.happenings_since(0)] == [9, 10, 11]


async def test_an_answer_is_recalled_for_a_day(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.remember("a", {"ok": True}, AT)
        await journal.remember("a", {"ok": False}, AT)
        assert await journal.recall("a") == {"ok": True}
        assert await journal.recall("b") is None
        await journal.remember("b", {"ok": True}, AT + timedelta(hours=25))
        assert await journal.recall("a") is None


async def test_a_notice_replaces_the_one_of_the_same_key(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        first = await journal.raise_notice(Notice("outage", "outage", "critical", AT, {"a": 1}))
        other = await journal.raise_notice(Notice("stop", "stopped", "warning", AT, {}))
        back = await journal.raise_notice(Notice("outage", "power_back", "info", AT + HOUR, {}))
        assert first.number < other.number < back.number
        assert [item.number for item in await journal.standing_notices()] == [other.number, back.number]


async def test_a_notice_is_marked_once_and_cleared(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        notice = await journal.raise_notice(Notice("outage", "outage", "critical", AT, {"a": 1}))
        await journal.mark_notice(notice.number, delivered_at=AT)
        await journal.mark_notice(notice.number, delivered_at=AT + HOUR)
        standing = await journal.standing_notices()
        assert standing[0].delivered_at == AT
        cleared = await journal.clear_notice("outage", AT + HOUR)
        assert cleared is not None
        assert cleared.cleared_at == AT + HOUR
        assert await journal.clear_notice("outage", AT) is None
        assert await journal.standing_notices() == ()


async def test_an_acknowledged_notice_no_longer_stands(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        notice = await journal.raise_notice(Notice("outage", "outage", "critical", AT, {}))
        await journal.mark_notice(notice.number, acknowledged_at=AT)
        assert await journal.standing_notices() == ()


async def test_documents_are_kept_by_name(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        assert await journal.load_document("tokens") is None
        await journal.save_document("tokens", {"clients": [1]})
        await journal.save_document("tokens", {"clients": [1, 2]})
        assert await journal.load_document("tokens") == {"clients": [1, 2]}


async def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as journal:
        await journal.save_document("tokens", {})
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        for file in (tmp_path / "data").glob("*.db*"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    with sqlite3.connect(tmp_path / store.FILE) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(JournalError, match="newer Ridethrough"):
        await SqliteJournal.open(tmp_path)
    assert not list(tmp_path.glob("*.corrupt.*"))


async def test_a_damaged_file_is_moved_aside_and_the_backup_takes_its_place(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.save_settings(Settings(stopped=True), "stop", {}, AT)
        await journal.append_happenings([tick()])
    async with opened(tmp_path):  # each start makes a backup of what it found
        pass
    (tmp_path / store.FILE).write_bytes(b"no database at all" * 1000)
    async with opened(tmp_path) as journal:
        assert (await journal.load_settings()).stopped
        told = (await journal.happenings_since(1))[0]
        assert told.happening.kind == "journal_restarted"
        assert told.happening.data["restored"]
        assert told.number > 1_000_000_000
    assert len(list(tmp_path.glob("journal.db.corrupt.*"))) == 1


async def test_a_page_overwritten_with_noise_is_found_at_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.append_happenings([tick() for _ in range(2000)])
    (tmp_path / store.BACKUP).unlink()
    with (tmp_path / store.FILE).open("r+b") as file:
        file.seek(4096 * 8)
        file.write(random.Random(1).randbytes(4096 * 4))
    async with opened(tmp_path) as journal:
        numbers = [item.number for item in await journal.happenings_since(0)]
        assert len(numbers) == 1
        assert numbers[0] > 1_000_000_000


async def test_a_closed_journal_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        pass
    with pytest.raises((JournalError, RuntimeError)):
        await journal.load_settings()


async def acknowledged_before_the_kill(folder: Path, count: int) -> list[int]:
    """Start the appender, kill it after ``count`` acknowledgements, return all that it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "appender.py"),
        str(folder),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        numbers = [int(await process.stdout.readline()) for _ in range(count)]
        process.send_signal(signal.SIGKILL)
        rest = (await process.stdout.read()).split(b"\n")[:-1]
        await process.wait()
    return [*numbers, *(int(line) for line in rest)]


@pytest.mark.timeout(120)
async def test_no_acknowledged_happening_is_lost_however_often_the_process_is_killed(tmp_path: Path) -> None:
    chance = random.Random(40)
    acknowledged: list[int] = []
    for _ in range(KILLS):
        acknowledged += await acknowledged_before_the_kill(tmp_path, chance.randint(1, 40))
    async with opened(tmp_path) as journal:
        stored: list[int] = []
        while page := await journal.happenings_since(stored[-1] if stored else 0):
            stored += [item.number for item in page]
    assert set(acknowledged) <= set(stored)
    assert acknowledged == sorted(set(acknowledged))
    assert stored == list(range(1, len(stored) + 1))


async def test_on_a_full_disk_the_ballast_is_given_up_and_reading_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.save_document("before", {"a": 1})
        assert (tmp_path / "journal.ballast").stat().st_size == BALLAST_BYTES
        await journal._database.run(lambda connection: connection.execute("PRAGMA max_page_count=1").fetchall())
        with pytest.raises(JournalError, match="full"):
            await journal.save_document("big", {"a": "x" * 100_000})
        assert not (tmp_path / "journal.ballast").exists()
        assert await journal.load_document("before") == {"a": 1}
        await journal._database.run(lambda connection: connection.execute("PRAGMA max_page_count=100000").fetchall())
        await journal.save_document("big", {"a": "x" * 100_000})
