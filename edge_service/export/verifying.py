"""Check an export against its manifest, and name the first thing that is wrong: file, day, row where possible."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from edge_service.export import chain
from edge_service.export.rows import MINUTES_A_QUARTER, plain
from edge_service.export.tables import csv_text, day_hash, written
from edge_service.export.writing import BROKEN, MANIFEST, RECORDED, SUMS, UNSEALED, VERSION, ExportError
from edge_service.journal import seals

# A day's lines in a table: the day is in the second column, ``2026-07-15T17:00:00-04:00``.
_LOCAL = 1


class TamperedError(Exception):
    """Something is not as its manifest says; the message names it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found in order. ``notes``: what the manifest itself says and people should know."""

    manifest_sha256: str
    days: int
    rows: int
    notes: tuple[str, ...]


def verify(folder: Path, manifest_sha256: str | None = None, previous: Path | None = None) -> Verified:
    """Check everything. Raises ``TamperedError`` with the first thing that is wrong, ``ExportError``, OSError."""
    data = _bytes_of(folder / MANIFEST)
    digest = sha256(data).hexdigest()
    if manifest_sha256 is not None and digest != manifest_sha256.lower():
        raise TamperedError(f"{MANIFEST}: its SHA-256 is {digest}, not the one that was given")
    manifest = _parsed(data)
    try:
        _check_previous(manifest, previous)
        _check_days(manifest)
        for told in manifest["files"]:
            _check_file(folder, told, manifest)
        _check_sums(folder, manifest, digest)
        _check_seals(manifest)
        rows = sum(day["minutes"]["rows"] for day in manifest["days"])
        return Verified(digest, len(manifest["days"]), rows, tuple(_notes(manifest)))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise TamperedError(f"{MANIFEST}: it is not as Ridethrough writes one: {error!r:.200}") from error


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise TamperedError(f"{path.name} is missing") from error


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise TamperedError(f"{MANIFEST}: it cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("manifest") != VERSION:
        raise ExportError(f"{MANIFEST} is none of this version of Ridethrough; verify it with the one that made it")
    return manifest


# ------------------------------------------------------------------------------------------------- the manifest itself


def _check_previous(manifest: Mapping[str, Any], previous: Path | None) -> None:
    if previous is None:
        return
    told, digest = manifest["previous_manifest"], sha256(_bytes_of(previous)).hexdigest()
    if told is None or told["sha256"] != digest:
        raise TamperedError(f"{MANIFEST}: it does not follow {previous}")


def _check_days(manifest: Mapping[str, Any]) -> None:
    """No day is missing, and each link follows from the one before."""
    link = (manifest["previous_manifest"] or {"sha256": chain.FIRST})["sha256"]
    expected = date.fromisoformat(manifest["period"]["first_day"])
    for day in manifest["days"]:
        if day["day"] != expected.isoformat():
            raise TamperedError(f"{MANIFEST}: day {expected} is missing")
        link = chain.linked(link, day)
        if link != day["chain"]:
            raise TamperedError(f"{MANIFEST}: day {day['day']} does not follow from the days before it")
        expected += timedelta(days=1)
    end, zone = datetime.fromisoformat(manifest["period"]["end_utc"]), ZoneInfo(manifest["site"]["time_zone"])
    if manifest["chain"] != link or (end - timedelta(seconds=1)).astimezone(zone).date() >= expected:
        raise TamperedError(f"{MANIFEST}: day {expected} is missing, or what comes after it")


def _check_seals(manifest: Mapping[str, Any]) -> None:
    """The chain that the edge made day by day, and whether the recorded rows are still those it was made of."""
    previous, last = seals.FIRST, {}
    for number, told in enumerate(manifest["seals"], 1):
        seal = seals.Seal(**told)
        if seal.number != number or not seal.follows(previous):
            raise TamperedError(f"seals: the seal of day {seal.day} does not follow from those before it")
        previous, last[seal.day] = seal.seal, seal
    for day in manifest["recorded"]:
        sealed = last.get(day["day"])
        same = sealed is None or (sealed.rows, sealed.rows_sha256) == (day["rows"], day["sha256"])
        if day["seal"] == BROKEN or not same:
            raise TamperedError(
                f"{RECORDED}: day {day['day']} was changed in the edge's database after it was sealed: "
                f"{day['rows']} rows now, {sealed.rows if sealed else 'none'} sealed"
            )


def _notes(manifest: Mapping[str, Any]) -> Iterator[str]:
    if unrecorded := manifest["minutes_without_record"]:
        yield f"{unrecorded} minutes have no record: they are empty, and marked as gaps"
    unsealed = [day["day"] for day in manifest["recorded"] if day["seal"] == UNSEALED]
    if unsealed:
        yield f"not sealed yet, or never recorded: {len(unsealed)} days, the first {unsealed[0]}"
    days = [one["day"] for one in manifest["seals"]]
    again = sorted({day for day in days if days.count(day) > 1}) if len(set(days)) < len(days) else []
    if again:
        yield f"sealed more than once, since rows came late: {', '.join(again[:5])}{' ...' * (len(again) > 5)}"
    if RECORDED not in {one["name"] for one in manifest["files"]}:
        yield f"made for one program: {RECORDED} is not part of it, so its days cannot be compared with their seals"


# ------------------------------------------------------------------------------------------------------------ its files


def _check_file(folder: Path, told: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    name = told["name"]
    if Path(name).name != name:
        raise TamperedError(f"{MANIFEST}: {name!r:.80} is no name of a file")
    path = folder / name
    if not path.is_file():
        raise TamperedError(f"{name} is missing")
    found = written(path, told["rows"])
    series, _, ending = name.partition(".")
    if (found.sha256, found.bytes) != (told["sha256"], told["bytes"]):
        where = _place(folder, series, ending, manifest)
        raise TamperedError(f"{name}: {where or 'it was changed'}")
    if series in _SERIES or name == RECORDED:
        # Each day's hash is of the manifest's chain: the file may be right and the manifest not.
        wrong = _place(folder, series, ending, manifest)
        if wrong is not None:
            raise TamperedError(f"{name}: {wrong}")


def _check_sums(folder: Path, manifest: Mapping[str, Any], digest: str) -> None:
    sums = [(one["sha256"], one["name"]) for one in manifest["files"]] + [(digest, MANIFEST)]
    if _bytes_of(folder / SUMS) != "".join(f"{one}  {name}\n" for one, name in sums).encode():
        raise TamperedError(f"{SUMS}: it was changed")


_SERIES = ("minutes", "quarters")


def _place(folder: Path, series: str, ending: str, manifest: Mapping[str, Any]) -> str | None:
    """The first day that is not as told, in words; None where all days are."""
    try:
        if f"{series}.{ending}" == RECORDED:
            return _recorded_place(folder, manifest)
        return _series_place(folder, series, ending, manifest) if series in _SERIES else None
    except (ValueError, LookupError, csv.Error) as error:
        return f"it cannot be read: {error!r:.120}"


def _series_place(folder: Path, series: str, ending: str, manifest: Mapping[str, Any]) -> str | None:
    texts = dict(_days_of(folder / f"{series}.{ending}"))
    number = 2  # of the line in the file, the head is the first
    for day in manifest["days"]:
        told, text = day[series], texts.pop(day["day"], None)
        if text is None:
            return f"day {day['day']} is missing"
        if day_hash(text) != told["sha256"]:
            other = folder / f"{'quarters' if series == 'minutes' else 'minutes'}.{ending}"
            pair = {series: text, other.stem: dict(_days_of(other)).get(day["day"], "")}
            names = [column["name"] for column in manifest["columns"]["minutes and quarters"]]
            return f"day {day['day']} was changed{_row_of(series, pair, names, told['rows'], number)}"
        number += told["rows"]
    return f"day {next(iter(texts))} does not belong to it" if texts else None


def _days_of(path: Path) -> Iterator[tuple[str, str]]:
    if path.suffix == ".parquet":
        try:
            from edge_service.export.parquet import rows_of  # noqa: PLC0415
        except ImportError as error:
            raise ExportError(
                "Parquet needs the extra parquet; in the project's folder: scripts/extra parquet"
            ) from error
        for day, rows in groupby(rows_of(path), key=lambda row: str(row[_LOCAL])[:10]):
            yield day, csv_text([plain(value) for value in row] for row in rows)
        return
    with path.open(encoding="utf-8", newline="") as file:
        next(file, None)
        for day, lines in groupby(file, key=lambda line: line.split(",", 2)[_LOCAL][:10]):
            yield day, "".join(lines)


def _row_of(series: str, texts: Mapping[str, str], names: Sequence[str], rows: int, number: int) -> str:
    """Where in the day: by a count that is wrong, or by the first quarter whose minutes do not add up to it.

    ``texts``: the day's lines of both tables; ``number``: of the day's first line in the file.
    """
    minutes, whole = (list(csv.reader(io.StringIO(texts[name]))) for name in ("minutes", "quarters"))
    if (found := len(minutes if series == "minutes" else whole)) != rows:
        return f": {found} rows, {rows} belong there"
    if len(minutes) != len(whole) * MINUTES_A_QUARTER:
        return ""
    for place, quarter in enumerate(whole):
        part = minutes[place * MINUTES_A_QUARTER : (place + 1) * MINUTES_A_QUARTER]
        column = _does_not_add_up(names, part, quarter)
        if column is not None:
            width = MINUTES_A_QUARTER if series == "minutes" else 1
            first = number + place * width
            lines = f"line {first}" if width == 1 else f"lines {first} to {first + width - 1}"
            return f", {lines} ({quarter[_LOCAL]}, {column})"
    return ""


def _does_not_add_up(names: Sequence[str], minutes: Sequence[Sequence[str]], quarter: Sequence[str]) -> str | None:
    """The column whose quarter is not what its minutes make; None where all are."""
    sums: Mapping[str, Callable[[int], bool]] = {
        "_wh": lambda at: _adds(minutes, quarter, at, 0.05),
        "_s": lambda at: _adds(minutes, quarter, at, 0.05),
        "samples": lambda at: _adds(minutes, quarter, at, 0.05),
        "_w": lambda at: not names[at + 1].endswith("_wh") or _averages(minutes, quarter, at),
    }
    for at, name in enumerate(names):
        right = next((check for ending, check in sums.items() if name.endswith(ending)), None)
        if right is not None and not name.startswith("clock") and not right(at):
            return name
    return None


def _adds(minutes: Sequence[Sequence[str]], quarter: Sequence[str], at: int, near: float) -> bool:
    known = [float(row[at]) for row in minutes if row[at]]
    return not quarter[at] or len(known) == 0 or abs(sum(known) - float(quarter[at])) <= near


def _averages(minutes: Sequence[Sequence[str]], quarter: Sequence[str], at: int) -> bool:
    """Mean, energy and measured seconds stand side by side."""
    known = [(float(row[at]), float(row[at + 2])) for row in minutes if row[at] and row[at + 2]]
    seconds = sum(part for _, part in known)
    if not quarter[at] or not seconds:
        return True
    return abs(sum(mean * part for mean, part in known) / seconds - float(quarter[at])) <= 0.06


def _recorded_place(folder: Path, manifest: Mapping[str, Any]) -> str | None:
    with (folder / RECORDED).open(encoding="utf-8", newline="") as file:
        texts = {day: list(lines) for day, lines in groupby(file, key=lambda line: line[2 : 2 + seals.DAY])}
    for day in manifest["recorded"]:
        lines = texts.pop(day["day"], [])
        if len(lines) != day["rows"]:
            return f"day {day['day']}: {len(lines)} rows, {day['rows']} belong there"
        if seals.hash_of(lines) != day["sha256"]:
            return f"day {day['day']} was changed"
    return f"day {next(iter(texts))} does not belong to it" if texts else None
