"""What an export holds, read back by foreign readers; nothing of it is computed by the code under test."""

import asyncio
import csv
import json
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from edge_service.export.snapshot import looked_at
from edge_service.export.writing import ExportError, Wish, export
from edge_service.journal.database import JournalError
from tests.edge.export_kit import EVENT, MIDNIGHT, MINUTE, SITE, days, exported, record

# Minutes after MIDNIGHT.
EVENT_AT = (EVENT.start - MIDNIGHT) // MINUTE


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text, strict=True))


def number(text: str) -> float:
    assert "e" not in text.lower(), text
    return float(text)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days with an event, an hour without a record, and half an hour in which the charger said nothing."""
    silent: dict[int, dict[str, Any]] = {number: {"car.power_w": None} for number in range(300, 330)}
    short: dict[int, dict[str, Any]] = {
        340: {"car.power_w": 1200, "car.power_w.s": 12.5, "n": 13, "s": 12.5, "grid_w.s": 12.5, "house_w.s": 12.5}
    }
    folder = tmp_path_factory.mktemp("recorded")
    asyncio.run(record(folder, days(3, without=range(120, 180), instead=silent | short)))
    return folder


@pytest.fixture
def data(recorded: Path, tmp_path: Path) -> Path:
    shutil.copytree(recorded, tmp_path / "data")
    return tmp_path / "data"


def test_every_minute_of_the_period_has_a_row_in_both_clocks(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "out")
    rows = read(tmp_path / "out" / "minutes.csv")
    assert len(rows) == 2 * 1440
    for place, row in enumerate(rows):
        at = MIDNIGHT + place * MINUTE
        assert row["at_utc"] == at.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert datetime.fromisoformat(row["at_local"]) == at
    assert (rows[0]["at_local"], rows[-1]["at_local"]) == ("2026-07-14T00:00:00-04:00", "2026-07-15T23:59:00-04:00")


def test_what_was_recorded_is_there_to_the_tenth(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "out")
    row = read(tmp_path / "out" / "minutes.csv")[EVENT_AT + 5]
    power_w = -5000 + (EVENT_AT + 5) % 7
    house_w = 800.5 + (EVENT_AT + 5) % 100
    assert number(row["car_power_w"]) == power_w
    assert number(row["car_wh"]) == round(power_w / 60, 3)
    assert number(row["site_net_w"]) == house_w + power_w
    assert number(row["house_w"]) == house_w
    assert (row["car_order_w"], row["target_w"], row["car_soc_pct"]) == ("-5000", "-5000", "60")
    assert (row["event_id"], row["program_id"], row["event_asks"], row["event_s"]) == ("peak-1", "peak", "power", "60")
    assert (row["grid"], row["rehearsal"]) == ("on", "")
    assert (row["clock_synchronised"], row["clock_error_max_s"], row["clock_set_s"]) == ("1", "0.02", "0")


def test_a_minute_without_a_record_is_a_gap_and_never_filled(data: Path, tmp_path: Path) -> None:
    manifest = exported(data, tmp_path / "out")
    row = read(tmp_path / "out" / "minutes.csv")[150]
    known = {"at_utc", "at_local"}
    told = {name: value for name, value in row.items() if name not in known and value}
    zeros = {"samples": "0", "site_net_measured_s": "0", "house_measured_s": "0", "car_measured_s": "0"}
    assert told == zeros | {"gap_s": "60"}
    assert manifest["minutes_without_record"] == 60


def test_what_nobody_measured_has_neither_power_nor_energy(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "out")
    rows = read(tmp_path / "out" / "minutes.csv")
    assert (rows[310]["car_power_w"], rows[310]["car_wh"], rows[310]["car_measured_s"]) == ("", "", "0")
    assert rows[310]["site_net_measured_s"] == "60"
    assert (rows[340]["gap_s"], rows[340]["car_measured_s"]) == ("47.5", "12.5")
    assert number(rows[340]["car_wh"]) == round(1200 * 12.5 / 3600, 3)


def recomputed(minutes: Sequence[Mapping[str, str]], mean: str, seconds: str) -> float | None:
    known = [(float(row[mean]), float(row[seconds])) for row in minutes if row[mean]]
    whole = sum(part for _, part in known)
    return sum(value * part for value, part in known) / whole if whole else None


def test_the_quarters_are_what_their_minutes_make(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "out")
    minutes, quarters = (read(tmp_path / "out" / f"{name}.csv") for name in ("minutes", "quarters"))
    assert len(quarters) == 2 * 96
    for place, quarter in enumerate(quarters):
        part = minutes[place * 15 : (place + 1) * 15]
        assert quarter["at_utc"] == part[0]["at_utc"]
        assert number(quarter["gap_s"]) == sum(float(row["gap_s"]) for row in part)
        for series, seconds in (("site_net", "site_net"), ("house", "house"), ("car_power", "car")):
            expected = recomputed(part, f"{series}_w", f"{seconds}_measured_s")
            found = quarter[f"{series}_w"]
            assert (found == "") == (expected is None)
            assert expected is None or abs(float(found) - expected) <= 0.051
            energy = sum(float(row[f"{seconds}_wh"] or 0) for row in part)
            assert abs(float(quarter[f"{seconds}_wh"] or 0) - energy) <= 0.05
    assert quarters[EVENT_AT // 15]["event_s"] == "900"
    assert quarters[EVENT_AT // 15]["target_w"] == "-5000"
    assert quarters[150 // 15]["gap_s"] == "900"


async def test_the_day_on_which_the_clocks_change_has_its_true_length(tmp_path: Path) -> None:
    await record(tmp_path / "data", {})
    day = date(2026, 11, 1)
    with looked_at(tmp_path / "data") as snapshot:
        export(snapshot, SITE, Wish(day, day), tmp_path / "out", datetime(2026, 11, 20, tzinfo=UTC), "0")
    rows = read(tmp_path / "out" / "minutes.csv")
    assert len(rows) == 25 * 60
    assert len({row["at_utc"] for row in rows}) == len({row["at_local"] for row in rows}) == 25 * 60


def test_nothing_of_the_future_is_told(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "out", now=MIDNIGHT + timedelta(hours=10, minutes=7))
    assert len(read(tmp_path / "out" / "minutes.csv")) == 10 * 60


def test_events_and_what_they_came_to_are_told_of(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "out")
    events = {row["event_id"]: row for row in read(tmp_path / "out" / "events.csv")}
    assert set(events) == {"peak-1", "other-1"}
    assert events["peak-1"]["name"] == "Peak, 5 kW"
    assert events["peak-1"]["power_w"] == "-5000"
    (settled,) = read(tmp_path / "out" / "settlements.csv")
    assert (settled["outcome"], settled["chargers_supplied_wh"], settled["car_supplied_wh"]) == (
        "served",
        "14991",
        "14991",
    )
    assert float(settled["chargers_supplied_average_w"]) == 4997
    assert settled["baseline_supplied_wh"] == ""


def test_for_one_program_nothing_is_told_of_the_events_of_others(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "out", program="other")
    assert [row["event_id"] for row in read(tmp_path / "out" / "events.csv")] == ["other-1"]
    assert read(tmp_path / "out" / "settlements.csv") == []
    assert {row["event_id"] for row in read(tmp_path / "out" / "minutes.csv")} == {""}
    whole = b"".join(file.read_bytes() for file in (tmp_path / "out").iterdir())
    assert b"peak" not in whole


def test_parquet_holds_the_same_rows_with_units_in_its_schema(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "text")
    exported(data, tmp_path / "out", format="parquet")
    for name in ("minutes", "quarters"):
        table = pq.read_table(tmp_path / "out" / f"{name}.parquet")
        rows = read(tmp_path / "text" / f"{name}.csv")
        assert table.num_rows == len(rows)
        for found, told in zip(table.to_pylist(), rows, strict=True):
            assert {key: same(value) for key, value in found.items()} == {
                key: same(value) for key, value in told.items()
            }
    about = json.loads(table.schema.field("car_power_w").metadata[b"ridethrough"])
    assert (about["unit"], about["origin"]) == ("W", "measured")


def same(value: Any) -> Any:
    """A value of either file in one form."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except ValueError:
        return value


def test_the_sums_are_those_of_the_files(data: Path, tmp_path: Path) -> None:
    manifest = exported(data, tmp_path / "out")
    listed = dict(line.split("  ")[::-1] for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines())
    assert set(listed) == {file.name for file in (tmp_path / "out").iterdir()} - {"SHA256SUMS"}
    for name, digest in listed.items():
        assert sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    for file in manifest["files"]:
        assert (file["sha256"], file["bytes"]) == (
            listed[file["name"]],
            (tmp_path / "out" / file["name"]).stat().st_size,
        )


def test_the_chain_of_days_can_be_computed_with_nothing_but_a_hash(data: Path, tmp_path: Path) -> None:
    manifest = exported(data, tmp_path / "out")
    link = "0" * 64
    lines = {
        name: (tmp_path / "out" / f"{name}.csv").read_bytes().splitlines(True)[1:] for name in ("minutes", "quarters")
    }
    for day in manifest["days"]:
        parts = [link, day["day"]]
        for name in ("minutes", "quarters"):
            of_day = [line for line in lines[name] if line.split(b",")[1].startswith(day["day"].encode())]
            parts += [sha256(b"".join(of_day)).hexdigest(), str(len(of_day))]
        link = sha256("".join(f"{part}\n" for part in parts).encode()).hexdigest()
        assert day["chain"] == link
    assert manifest["chain"] == link


def test_the_databases_are_not_touched_and_may_be_in_use(data: Path, tmp_path: Path) -> None:
    writer = sqlite3.connect(data / "telemetry.db", autocommit=True)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM minute")
    before = {name: (data / name).read_bytes() for name in ("telemetry.db", "journal.db")}
    exported(data, tmp_path / "out")
    writer.execute("ROLLBACK")
    writer.close()
    assert len(read(tmp_path / "out" / "minutes.csv")) == 2880
    assert before == {name: (data / name).read_bytes() for name in ("telemetry.db", "journal.db")}


def test_each_column_says_its_unit_where_it_comes_from_and_whether_it_was_measured(data: Path, tmp_path: Path) -> None:
    manifest = exported(data, tmp_path / "out")
    for name, which in (("minutes", "minutes and quarters"), ("events", "events"), ("settlements", "settlements")):
        head = next(csv.reader((tmp_path / "out" / f"{name}.csv").open(encoding="utf-8", newline="")))
        told = manifest["columns"][which]
        assert [column["name"] for column in told] == head
        assert all(column["source"] and column["origin"] in ("measured", "derived", "stated") for column in told)


def test_an_export_without_a_recording_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="has the edge run for this site"):
        exported(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(("count", "complaint"), [(0, "is before --from"), (-10, "is before --from")])
def test_a_period_that_is_none_is_refused(count: int, complaint: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=complaint):
        exported(data, tmp_path / "out", count=count)


def test_what_is_written_meanwhile_is_of_another_moment(data: Path, tmp_path: Path) -> None:
    with looked_at(data) as snapshot:
        before = list(snapshot.rows(MIDNIGHT, MIDNIGHT + timedelta(days=2)))
        writer = sqlite3.connect(data / "telemetry.db", autocommit=True)
        writer.execute("DELETE FROM minute")
        writer.close()
        assert list(snapshot.rows(MIDNIGHT, MIDNIGHT + timedelta(days=2))) == before
