"""Each day's minute rows are sealed once it is over, and each seal goes into the next."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from edge_service.journal import seals
from edge_service.journal.recording import FILE, CycleRecorder
from edge_service.journal.seals import Seal

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@contextmanager
def looking(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        yield connection


async def recorded(folder: Path, *times: datetime) -> list[Seal]:
    """The seals after rows of these minutes were written, each by itself."""
    recorder = await CycleRecorder.open(folder)
    for at in times:
        recorder.add_minute(at, {"grid_w": 100.5, "house_w": None, "car.power_w": -5000})
        await recorder.flush()
    await recorder.close()
    with looking(folder) as connection:
        return seals.seals_of(connection)


async def test_a_day_is_sealed_when_the_first_row_of_another_comes(tmp_path: Path) -> None:
    assert await recorded(tmp_path, NOON, NOON + MINUTE) == []
    (seal,) = await recorded(tmp_path, NOON + DAY)
    assert (seal.number, seal.day, seal.rows) == (1, "2026-07-01", 2)


async def test_a_seal_is_what_the_decision_record_says_computed_here_anew(tmp_path: Path) -> None:
    first, second = await recorded(tmp_path, NOON, NOON + MINUTE, NOON + DAY, NOON + 2 * DAY)
    more = '{"car.power_w":-5000}'
    lines = [f'["2026-07-01T12:0{number}:00.000000+00:00",100.5,null,{more}]\n' for number in range(2)]
    assert first.rows_sha256 == sha256("".join(lines).encode()).hexdigest()
    made = f"{'0' * 64}\n1\n2026-07-01\n2\n{first.rows_sha256}\n2026-07-02T12:00:00.000000+00:00\n"
    assert first.seal == sha256(made.encode()).hexdigest()
    assert second.follows(first.seal)
    assert not replace(second, rows=2).follows(first.seal)


async def test_a_day_that_ended_while_the_edge_was_off_is_sealed_at_its_next_row(tmp_path: Path) -> None:
    await recorded(tmp_path, NOON)
    days = [seal.day for seal in await recorded(tmp_path, NOON + 5 * DAY)]
    assert days == ["2026-07-01"]


async def test_rows_that_come_late_get_their_day_a_second_seal_and_the_first_stays(tmp_path: Path) -> None:
    made = await recorded(tmp_path, NOON, NOON + DAY, NOON + 2 * MINUTE, NOON + DAY + MINUTE, NOON + 2 * DAY)
    assert [(seal.day, seal.rows) for seal in made] == [("2026-07-01", 1), ("2026-07-01", 2), ("2026-07-02", 2)]
    assert all(seal.follows(before.seal) for before, seal in pairwise(made))


async def test_a_clock_that_was_far_ahead_for_a_moment_costs_one_seal_more(tmp_path: Path) -> None:
    minutes = [NOON + number * MINUTE for number in range(3)]
    made = await recorded(tmp_path, minutes[0], NOON + 3650 * DAY, *minutes[1:], NOON + DAY)
    assert [(seal.day, seal.rows) for seal in made] == [("2026-07-01", 1), ("2026-07-01", 3)]


async def test_rows_of_before_there_were_seals_are_sealed_too(tmp_path: Path) -> None:
    await recorded(tmp_path, NOON)
    with looking(tmp_path) as connection:
        connection.executescript("DROP TABLE seal; DROP TABLE unsealed; PRAGMA user_version = 2")
    assert [seal.day for seal in await recorded(tmp_path, NOON + DAY)] == ["2026-07-01"]
