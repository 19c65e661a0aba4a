"""How long a season's export takes, against what a user would pick: SQLite's own dump, and a short CSV loop.

Run: ``python -m benchmarks.export``. Each exporter is a process of its own; the recording is made anew. 122 days of one
site with two chargers, an event on 45 of them.
"""

import argparse
import asyncio
import csv
import json
import random
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import described, keep, machine, table
from edge_service.journal.recording import FILE, CycleRecorder
from edge_service.journal.store import SqliteJournal

START = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)  # midnight in Massachusetts
DAYS = 122
SITE = """
site: {name: Home, import_max_a: 100, export_max_w: 9600, time_zone: America/New_York}
chargers:
  left: {name: Left, model: sunspec_der, address: "127.0.0.1:1502"}
  right: {name: Right, model: sunspec_der, address: "127.0.0.1:1503"}
meter: {model: sunspec_meter, address: "127.0.0.1:1504"}
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One exporter's processor-independent figures: seconds on the wall, peak memory, bytes written."""

    name: str
    seconds: float
    memory_mb: float
    written_mb: float


def minute(at: datetime, chance: random.Random) -> dict[str, Any]:
    """A row as the edge makes it; an event from 17 to 20 o'clock local time on one day of eight in three."""
    house_w = round(chance.uniform(200, 4000), 1)
    hour, day = (at.hour - 4) % 24, (at - START).days
    runs = 17 <= hour < 20 and day * 45 % DAYS < 45
    power_w = -5000 if runs else 0
    row: dict[str, Any] = {"grid_w": round(house_w + 2 * power_w, 1), "house_w": house_w}
    for name in ("left", "right"):
        row |= {f"{name}.power_w": power_w + (round(chance.uniform(-20, 20), 1) if runs else 0)}
        row |= {f"{name}.soc_pct": round(chance.uniform(20, 90), 1)} | ({f"{name}.order_w": power_w} if runs else {})
    row |= {"n": 60, "error_s": 0.01}
    event = {"event": f"event-{day}", "program": "peak", "asks": "power", "target_w": -10000}
    return row | (event if runs else {})


async def record(folder: Path, days: int) -> None:
    """A season as the edge itself writes it."""
    chance = random.Random(1)
    journal = await SqliteJournal.open(folder)
    await journal.close()
    recorder = await CycleRecorder.open(folder)
    for number in range(days * 1440):
        at = START + timedelta(minutes=number)
        recorder.add_minute(at, minute(at, chance))
        if number % 500 == 0:
            await recorder.flush()
    await recorder.close()


def loop(source: Path, out: Path) -> None:
    """What a person would write: every row as it lies there."""
    names = [f"{name}.{what}" for name in ("left", "right") for what in ("power_w", "soc_pct", "order_w")]
    with closing(sqlite3.connect(source)) as connection, out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["at", "grid_w", "house_w", *names, "event", "target_w"])
        for at, grid_w, house_w, more in connection.execute("SELECT at, grid_w, house_w, more FROM minute ORDER BY at"):
            known = json.loads(more)
            writer.writerow([at, grid_w, house_w, *(known.get(name) for name in (*names, "event", "target_w"))])


def dump(source: Path, out: Path) -> None:
    """SQL text of everything, as ``sqlite3 telemetry.db .dump`` gives it."""
    with closing(sqlite3.connect(source)) as connection, out.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in connection.iterdump())


def timed(name: str, words: Sequence[str], folder: Path, out: Path) -> Run:
    """Run a command and weigh it."""
    before = time.monotonic()
    process = subprocess.Popen([sys.executable, *words], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = _ended(process.pid)
    if status:
        raise RuntimeError(f"{name} ended with {status}")
    files = [out] if out.is_file() else list(out.iterdir())
    return Run(
        name,
        time.monotonic() - before,
        usage.ru_maxrss / 1024,
        sum(file.stat().st_size for file in files if file.exists()) / 1e6,
    )


def _ended(pid: int) -> tuple[int, int, resource.struct_rusage]:
    import os  # noqa: PLC0415

    return os.wait4(pid, 0)


def measure(folder: Path, days: int) -> list[Run]:
    """All of them on the same recording, one after the other."""
    (folder / "site.yaml").write_text(SITE, encoding="utf-8")
    data = folder / "data"
    asyncio.run(record(data, days))
    last = (START + timedelta(days=days - 1)).date()
    edge = ["-m", "edge_service", "export", "--from", str(START.date()), "--to", str(last)]
    ours = {
        "ridethrough export, CSV": [*edge, "--out", "csv"],
        "ridethrough export, Parquet": [*edge, "--out", "parquet", "--format", "parquet"],
    }
    runs = [timed(name, words, folder, folder / words[words.index("--out") + 1]) for name, words in ours.items()]
    runs.append(timed("ridethrough verify, CSV", ["-m", "edge_service", "verify", "csv"], folder, folder / "csv"))
    for name, which in (("plain CSV loop", "loop"), ("SQLite's dump", "dump")):
        words = ["-m", "benchmarks.export", "--only", which, str(data / FILE), str(folder / which)]
        runs.append(timed(name, words, Path.cwd(), folder / which))
    return runs


def report(runs: Sequence[Run], size_mb: float, about: Mapping[str, Any]) -> str:
    """The table, with every time in units of the plain loop's."""
    loop_s = next(run.seconds for run in runs if run.name == "plain CSV loop")
    rows = [
        [run.name, f"{run.seconds:.1f}", f"{run.memory_mb:.0f}", f"{run.written_mb:.1f}", f"{run.seconds / loop_s:.2f}"]
        for run in runs
    ]
    heads = ("exporter", "s", "memory MB", "files MB", "to the loop")
    return f"{described(about)}\ntelemetry.db: {size_mb:.1f} MB\n\n{table(heads, rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--only", nargs=3, metavar=("WHICH", "FROM", "TO"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        which, source, out = args.only
        {"loop": loop, "dump": dump}[which](Path(source), Path(out))
        return
    about = machine("pyarrow")
    with TemporaryDirectory() as folder:
        runs = measure(Path(folder), args.days)
        size_mb = (Path(folder) / "data" / FILE).stat().st_size / 1e6
    sys.stdout.write(report(runs, size_mb, about) + "\n")
    keep("export", {"about": about, "size_mb": size_mb, "runs": [vars_of(run) for run in runs]})


def vars_of(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in Run.__slots__}


if __name__ == "__main__":
    main()
