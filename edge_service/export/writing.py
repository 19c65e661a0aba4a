"""Write an export: tables, what they were made from, and a manifest by which all of it can be checked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from edge_service.domain.model import Event
from edge_service.domain.settlement import Settlement
from edge_service.export import chain
from edge_service.export.columns import EVENT_COLUMNS, Column, columns, settlement_columns
from edge_service.export.rows import Period, Quarter, Values, plain, quarters
from edge_service.export.snapshot import Snapshot
from edge_service.export.tables import CsvTable, Table, Written, csv_text, day_hash, written
from edge_service.journal import seals

MANIFEST, SUMS, RECORDED = "manifest.json", "SHA256SUMS", "recorded.jsonl"
VERSION = 1
# Whether the recorded rows of a day are those that were sealed when the day was over.
SEALED, UNSEALED, BROKEN = "as_sealed", "not_sealed", "differs_from_seal"


class ExportError(Exception):
    """An export cannot be made or read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Site:
    """Who is measured. ``devices``: per charger its driver's model and the name that people gave it."""

    name: str
    time_zone: str | None
    devices: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is exported: local days, both included."""

    first: date
    last: date
    program: str | None = None
    format: str = "csv"
    previous: Path | None = None


class _Columns(Protocol):
    def __call__(self, path: Path, columns: Sequence[Column]) -> Table: ...


@dataclass(slots=True)
class _Days:
    """The export's own chain, day by day."""

    link: str
    told: list[dict[str, Any]] = field(default_factory=list)
    unrecorded: int = 0


def export(snapshot: Snapshot, site: Site, wish: Wish, folder: Path, now: datetime, version: str) -> dict[str, Any]:
    """Write everything into ``folder``, which must not exist. Returns the manifest. Raises ``ExportError``, OSError."""
    period = _period(snapshot, site, wish, now)
    previous, made = _previous(wish.previous), _table_of(wish.format)
    folder.mkdir(parents=True)
    days = _Days(previous["sha256"] if previous else chain.FIRST)
    files = _write_series(snapshot, period, made, folder, days, wish.format)
    files.append(_write_events(snapshot.events(period.start, period.end), wish, folder))
    settled = [one for one in snapshot.settlements(wish.first, wish.last) if wish.program in (None, one.program_id)]
    files.append(_write_settlements(settled, period.chargers, folder))
    recorded, devices = _write_recorded(snapshot, period, folder / RECORDED)
    if wish.program is None:
        files.append(written(folder / RECORDED, sum(day["rows"] for day in recorded)))
    else:
        (folder / RECORDED).unlink()  # it tells of the events of other programs too
    manifest = {
        "manifest": VERSION,
        "made_by": f"ridethrough {version}",
        "made_at": now.isoformat(timespec="seconds"),
        "site": {"name": site.name, "time_zone": site.time_zone or "UTC", "chargers": dict(site.devices)},
        "devices": devices,
        "period": {
            "first_day": wish.first.isoformat(),
            "last_day": wish.last.isoformat(),
            "start_utc": period.start.isoformat(),
            "end_utc": period.end.isoformat(),
        },
        "program": wish.program,
        "signs": "power and energy: positive is drawn or charged, negative is supplied",
        "columns": {"minutes and quarters": [asdict(one) for one in columns(period.chargers)]}
        | {"events": [asdict(one) for one in EVENT_COLUMNS]}
        | {"settlements": [asdict(one) for one in settlement_columns(period.chargers)]},
        "minutes_without_record": days.unrecorded,
        "files": [asdict(one) for one in files],
        "previous_manifest": previous,
        "days": days.told,
        "chain": days.link,
        "recorded": recorded,
        "seals": [asdict(one) for one in snapshot.seals() if one.day <= f"{period.end:%Y-%m-%d}"],
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    sums = [(one.sha256, one.name) for one in files] + [(sha256(text.encode()).hexdigest(), MANIFEST)]
    (folder / SUMS).write_text("".join(f"{digest}  {name}\n" for digest, name in sums), encoding="utf-8")
    return manifest


def _period(snapshot: Snapshot, site: Site, wish: Wish, now: datetime) -> Period:
    """In whole quarters, nothing of the future."""
    if wish.last < wish.first:
        raise ExportError(f"--to {wish.last} is before --from {wish.first}")
    zone = ZoneInfo(site.time_zone or "UTC")
    start = datetime.combine(wish.first, time(), zone).astimezone(UTC)
    end = datetime.combine(wish.last + timedelta(days=1), time(), zone).astimezone(UTC)
    last = datetime.fromtimestamp(now.timestamp() // 900 * 900, UTC)
    if start >= last:
        raise ExportError(f"--from {wish.first}: nothing of that time is over yet")
    end = min(end, last)
    chargers = sorted({*site.devices, *snapshot.chargers(_utc_days(start, end))})
    return Period(start, end, zone, chargers, wish.program)


def _utc_days(start: datetime, end: datetime) -> list[str]:
    count = ((end - timedelta(microseconds=1)).date() - start.date()).days
    return [(start.date() + timedelta(days=number)).isoformat() for number in range(count + 1)]


def _previous(file: Path | None) -> dict[str, str] | None:
    if file is None:
        return None
    try:
        data = file.read_bytes()
        known = json.loads(data)
        return {"sha256": sha256(data).hexdigest(), "chain": known["chain"], "last_day": known["period"]["last_day"]}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ExportError(f"{file} is no manifest of an earlier export: {error}") from error


def _table_of(format_name: str) -> _Columns:
    if format_name == "csv":
        return CsvTable
    try:
        from edge_service.export.parquet import ParquetTable  # noqa: PLC0415
    except ImportError as error:
        message = "Parquet needs the extra parquet; in the project's folder: scripts/extra parquet. Or use --format csv"
        raise ExportError(message) from error
    return ParquetTable


def _write_series(
    snapshot: Snapshot, period: Period, made: _Columns, folder: Path, days: _Days, ending: str
) -> list[Written]:
    names = columns(period.chargers)
    minutes, whole = (made(folder / f"{name}.{ending}", names) for name in ("minutes", "quarters"))
    rows = quarters(period, snapshot.rows(period.start, period.end))
    for day, of_day in groupby(rows, key=lambda quarter: quarter.day):
        _add_day(day, list(of_day), minutes, whole, days)
    return [minutes.close(), whole.close()]


def _add_day(day: str, of_day: list[Quarter], minutes: Table, whole: Table, days: _Days) -> None:
    told: dict[str, Any] = {"day": day}
    tables: dict[str, tuple[Table, list[Values]]] = {
        "minutes": (minutes, [row for quarter in of_day for row in quarter.minutes]),
        "quarters": (whole, [quarter.whole for quarter in of_day]),
    }
    for name, (table, rows) in tables.items():
        text = csv_text(rows)
        table.add(rows, text)
        told[name] = {"rows": len(rows), "sha256": day_hash(text)}
    days.link = chain.linked(days.link, told)
    days.told.append(told | {"chain": days.link})
    days.unrecorded += sum(quarter.unrecorded for quarter in of_day)


def _write_events(events: Sequence[Event], wish: Wish, folder: Path) -> Written:
    table = CsvTable(folder / "events.csv", EVENT_COLUMNS)
    told = [event for event in events if wish.program in (None, event.program_id)]
    rows: list[Values] = [
        [
            *(event.uid, event.program_id, event.name),
            *(_utc(at) for at in (event.announced_at, slot.start, slot.end)),
            *(slot.kind.value, slot.power_w if slot.kind in ("power", "change") else None),
            *(int(event.cancelled), int(event.rehearsal)),
        ]
        for event in told
        for slot in event.slots
    ]
    table.add(rows, csv_text(rows))
    return table.close()


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _write_settlements(settled: Sequence[Settlement], chargers: Sequence[str], folder: Path) -> Written:
    """As the edge settled them."""
    table = CsvTable(folder / "settlements.csv", settlement_columns(chargers))
    rows = [_settled(one, chargers) for one in settled]
    table.add(rows, csv_text(rows))
    return table.close()


def _settled(one: Settlement, chargers: Sequence[str]) -> Values:
    values = [
        *(one.uid, one.program_id, one.name, one.day, _utc(one.start), _utc(one.end), one.outcome.value, one.target_w),
        *(one.charger_wh, one.charger_average_w, *(one.by_charger_wh.get(name) for name in chargers)),
        *(one.site_wh, one.site_average_w, one.run_s, one.gap_s, one.site_gap_s),
        *(" ".join(one.flags) or None, one.baseline_wh, " ".join(one.baseline_days) or None, one.baseline_note or None),
    ]
    return [plain(round(value, 3)) if isinstance(value, float) else value for value in values]


def _write_recorded(snapshot: Snapshot, period: Period, path: Path) -> tuple[list[dict[str, Any]], list[Any]]:
    """The minute rows as they lie in the database, whole UTC days, with what their seals say; and the devices."""
    last = {one.day: one for one in snapshot.seals()}
    told: list[dict[str, Any]] = []
    devices: dict[str, Any] = {}
    with path.open("x", encoding="utf-8", newline="") as file:
        for day in _utc_days(period.start, period.end):
            lines = snapshot.day_lines(day)
            file.writelines(lines)
            made = {"day": day, "rows": len(lines), "sha256": seals.hash_of(lines)}
            told.append(made | {"seal": _compared(made, last.get(day))})
            for line in lines:
                if '"devices":' in line:
                    _add_devices(devices, day, json.loads(line)[3]["devices"])
    return told, list(devices.values())


def _add_devices(devices: dict[str, Any], day: str, told: Mapping[str, Sequence[str]]) -> None:
    """Who the chargers said they were, with the first day on which they did."""
    for name, (manufacturer, model, serial, version) in told.items():
        about = {"manufacturer": manufacturer, "model": model, "serial_alias": serial or None, "version": version}
        devices.setdefault(json.dumps([name, about]), {"charger": name, **about, "since": day})


def _compared(made: Mapping[str, Any], seal: seals.Seal | None) -> str:
    if seal is None:
        return UNSEALED
    return SEALED if (seal.rows, seal.rows_sha256) == (made["rows"], made["sha256"]) else BROKEN
