"""Whatever is changed in an export, or was in the edge's database, is found and named."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from edge_service.export.verifying import TamperedError, verify
from edge_service.export.writing import ExportError
from tests.edge.export_kit import EVENT, MIDNIGHT, MINUTE, days, exported, record

EVENT_AT = (EVENT.start - MIDNIGHT) // MINUTE


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days, of which three are sealed."""
    folder = tmp_path_factory.mktemp("recorded")
    asyncio.run(record(folder, days(4)))
    return folder


@pytest.fixture
def data(recorded: Path, tmp_path: Path) -> Path:
    shutil.copytree(recorded, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def out(data: Path, tmp_path: Path) -> Path:
    exported(data, tmp_path / "out", count=3)
    return tmp_path / "out"


def complaint(folder: Path, **how: Any) -> str:
    with pytest.raises(TamperedError) as found:
        verify(folder, **how)
    return str(found.value)


def lines_of(file: Path) -> list[str]:
    return file.read_bytes().decode().splitlines(keepends=True)


def rewrite(file: Path, change: Callable[[list[str]], object]) -> None:
    lines = lines_of(file)
    change(lines)
    file.write_bytes("".join(lines).encode())


def line_with(lines: list[str], local: str) -> int:
    return next(place for place, line in enumerate(lines) if local in line)


def test_what_was_not_touched_is_in_order(out: Path) -> None:
    found = verify(out)
    assert (found.days, found.rows) == (3, 3 * 1440)
    assert found.manifest_sha256 == sha256((out / "manifest.json").read_bytes()).hexdigest()
    assert found.notes == ()


def test_a_changed_figure_is_found_with_its_day_and_its_lines(out: Path) -> None:
    def more(lines: list[str]) -> None:
        at = line_with(lines, ",2026-07-15T18:07:00")
        lines[at] = lines[at].replace(",-500", ",-600", 1).replace(",-499", ",-599", 1)

    rewrite(out / "minutes.csv", more)
    at = 2 + EVENT_AT + 60  # the first line of that quarter; the head is line 1
    assert complaint(out).startswith(
        f"minutes.csv: day 2026-07-15 was changed, lines {at} to {at + 14} (2026-07-15T18:00"
    )


def test_a_changed_quarter_is_found_with_its_line(out: Path) -> None:
    def more(lines: list[str]) -> None:
        at = line_with(lines, ",2026-07-15T18:15:00")
        lines[at] = lines[at].replace(",900,", ",800,", 1)

    rewrite(out / "quarters.csv", more)
    assert complaint(out).startswith("quarters.csv: day 2026-07-15 was changed, line ")


def test_a_removed_row_is_found_with_its_day(out: Path) -> None:
    rewrite(out / "minutes.csv", lambda lines: lines.pop(2000))
    assert complaint(out) == "minutes.csv: day 2026-07-15 was changed: 1439 rows, 1440 belong there"


@pytest.mark.parametrize("day", ["2026-07-14", "2026-07-15", "2026-07-16"])
def test_a_removed_day_is_found_by_its_date(day: str, out: Path) -> None:
    rewrite(
        out / "minutes.csv",
        lambda lines: lines.__setitem__(slice(None), [one for one in lines if f",{day}" not in one]),
    )
    assert complaint(out) == f"minutes.csv: day {day} is missing"


def test_an_added_day_is_found(out: Path) -> None:
    rewrite(out / "minutes.csv", lambda lines: lines.append(lines[-1].replace("2026-07-16", "2026-07-17")))
    assert complaint(out) == "minutes.csv: day 2026-07-17 does not belong to it"


@pytest.mark.parametrize("name", ["minutes.csv", "quarters.csv", "events.csv", "settlements.csv", "recorded.jsonl"])
def test_a_removed_file_is_found(name: str, out: Path) -> None:
    (out / name).unlink()
    assert complaint(out) == f"{name} is missing"


@pytest.mark.parametrize("name", ["minutes.csv", "events.csv", "settlements.csv", "recorded.jsonl", "SHA256SUMS"])
def test_one_byte_more_anywhere_is_found(name: str, out: Path) -> None:
    with (out / name).open("ab") as file:
        file.write(b" ")
    assert complaint(out).startswith(f"{name}: ")


def without_a_day(manifest: dict[str, Any]) -> None:
    del manifest["days"][1]


def without_the_last_day(manifest: dict[str, Any]) -> None:
    manifest["days"].pop()
    manifest["chain"] = manifest["days"][-1]["chain"]


def with_another_count(manifest: dict[str, Any]) -> None:
    manifest["days"][1]["minutes"]["rows"] -= 1


def with_another_seal(manifest: dict[str, Any]) -> None:
    manifest["seals"][1]["rows"] -= 1


def without_a_seal(manifest: dict[str, Any]) -> None:
    del manifest["seals"][1]


def with_a_way_out(manifest: dict[str, Any]) -> None:
    manifest["files"][0]["name"] = "../minutes.csv"


def with_nonsense(manifest: dict[str, Any]) -> None:
    manifest["days"] = 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_a_day, "manifest.json: day 2026-07-15 is missing"),
        (without_the_last_day, "manifest.json: day 2026-07-16 is missing"),
        (with_another_count, "manifest.json: day 2026-07-15 does not follow from the days before it"),
        (with_another_seal, "does not follow from those before it"),
        (without_a_seal, "does not follow from those before it"),
        (with_a_way_out, "is no name of a file"),
        (with_nonsense, "it is not as Ridethrough writes one"),
    ],
)
def test_a_changed_manifest_is_found(change: Callable[[dict[str, Any]], None], words: str, out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    change(manifest)
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    (out / "manifest.json").write_text(text)
    sums = lines_of(out / "SHA256SUMS")
    sums[-1] = f"{sha256(text.encode()).hexdigest()}  manifest.json\n"  # as somebody would who knows what they do
    (out / "SHA256SUMS").write_text("".join(sums))
    assert words in complaint(out)


def test_who_makes_everything_anew_is_found_by_the_hash_that_was_told_before(
    data: Path, out: Path, tmp_path: Path
) -> None:
    told = verify(out).manifest_sha256
    assert verify(out, told).days == 3
    exported(data, tmp_path / "anew", count=3, now=MIDNIGHT + timedelta(days=31))
    verify(tmp_path / "anew")
    assert "not the one that was given" in complaint(tmp_path / "anew", manifest_sha256=told)


def test_a_row_changed_in_the_database_after_its_day_was_sealed_is_found(data: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "telemetry.db")) as connection:
        connection.execute("UPDATE minute SET grid_w = grid_w - 1000 WHERE at LIKE '2026-07-15T21:30%'")
        connection.commit()
    exported(data, tmp_path / "late", count=3)
    assert complaint(tmp_path / "late").startswith(
        "recorded.jsonl: day 2026-07-15 was changed in the edge's database after it was sealed"
    )


def test_rows_deleted_from_the_database_after_their_day_was_sealed_are_found(data: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "telemetry.db")) as connection:
        connection.execute("DELETE FROM minute WHERE at LIKE '2026-07-15%'")
        connection.commit()
    exported(data, tmp_path / "late", count=3)
    assert "day 2026-07-15 was changed in the edge's database" in complaint(tmp_path / "late")


def test_a_seal_made_anew_breaks_the_chain_behind_it(data: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "telemetry.db")) as connection:
        connection.execute("UPDATE seal SET rows = 1 WHERE number = 2")
        connection.commit()
    exported(data, tmp_path / "late", count=3)
    assert "does not follow from those before it" in complaint(tmp_path / "late")


def test_an_export_says_which_one_it_follows(data: Path, out: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "next", count=3, previous=out / "manifest.json")
    verify(tmp_path / "next", previous=out / "manifest.json")
    exported(data, tmp_path / "other", count=2)
    assert "does not follow" in complaint(tmp_path / "next", previous=tmp_path / "other" / "manifest.json")
    assert "does not follow" in complaint(out, previous=tmp_path / "other" / "manifest.json")


def test_a_changed_figure_in_parquet_is_found_with_its_day(data: Path, tmp_path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    exported(data, tmp_path / "out", format="parquet")
    verify(tmp_path / "out")
    file = tmp_path / "out" / "minutes.parquet"
    table = pq.read_table(file)
    rows = table.to_pylist()
    rows[EVENT_AT + 3]["car_power_w"] -= 500
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)
    assert complaint(tmp_path / "out").startswith("minutes.parquet: day 2026-07-15 was changed, lines ")


def test_what_people_should_know_is_said(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "out", count=4, program="peak", now=MIDNIGHT + timedelta(days=3, hours=23))
    notes = " ".join(verify(tmp_path / "out").notes)
    assert "not sealed yet" in notes
    assert "made for one program" in notes


async def test_a_gap_and_a_second_seal_are_said(tmp_path: Path) -> None:
    rows = days(4, without=range(100, 160))
    late = {number: rows.pop(number) for number in range(50, 60)}
    last = {number: rows.pop(number) for number in range(3 * 1440, 4 * 1440)}
    await record(tmp_path / "data", rows | late | last)
    exported(tmp_path / "data", tmp_path / "out", count=2)
    notes = verify(tmp_path / "out").notes
    assert notes[0].startswith("60 minutes have no record")
    assert "sealed more than once, since rows came late: 2026-07-14" in notes[1]


def test_what_another_version_made_is_no_accusation(out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text()) | {"manifest": 99}
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ExportError, match="verify it with the one that made it"):
        verify(out)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"manifest": 1}'])
def test_a_broken_manifest_ends_in_one_sentence(text: str, out: Path) -> None:
    (out / "manifest.json").write_text(text)
    with pytest.raises((TamperedError, ExportError)):
        verify(out)


def test_a_moment_of_the_made_time_is_aware(out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    assert datetime.fromisoformat(manifest["made_at"]).tzinfo is not None
