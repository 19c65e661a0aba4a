"""What a benchmark prints and keeps: percentiles, a table, a JSON file, and a word about the machine."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from math import ceil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RUNS = ROOT / ".run"


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds. Percentiles by nearest rank: of fewer than 100 trials the 99th is the longest."""

    trials: int
    shortest: float
    p50: float
    p90: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Raises ValueError when there is nothing to sum up."""
        if not seconds:
            raise ValueError("there are no trials to sum up")
        ranked = sorted(1000 * value for value in seconds)

        def rank(share: float) -> float:
            return round(ranked[ceil(share * len(ranked)) - 1], 1)

        return cls(len(ranked), round(ranked[0], 1), rank(0.5), rank(0.9), rank(0.99), round(ranked[-1], 1))

    def cells(self) -> list[str]:
        values = (self.shortest, self.p50, self.p90, self.p99, self.longest)
        return [str(self.trials), *(f"{value:.1f}" for value in values)]


SPREAD_HEADS = ("trials", "min ms", "p50 ms", "p90 ms", "p99 ms", "max ms")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that also reads well on a terminal; the first column is text, the others are figures."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *others]) + " |"

    rule = (
        "|"
        + "|".join(
            "-" * (width + 2 if place == 0 else width + 1) + ("" if place == 0 else ":")
            for place, width in enumerate(widths)
        )
        + "|"
    )
    return "\n".join([line(heads), rule, *(line(row) for row in rows)])


def machine(*packages: str) -> dict[str, Any]:
    """Processors, load and versions: without them a figure means nothing."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("ridethrough", *packages)},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def described(about: Mapping[str, Any]) -> str:
    """One line about the machine."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    load = ", ".join(str(value) for value in about["load_average"])
    return (
        f"{about['at']}: {about['cores']} cores ({about['processor']}), {about['system']}, load {load}; "
        f"Python {about['python']}, {versions}"
    )


def keep(name: str, content: Mapping[str, Any]) -> Path:
    """Write what was measured to ``.run/``; returns the file."""
    RUNS.mkdir(exist_ok=True)
    path = RUNS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1, default=_plain) + "\n", encoding="utf-8")
    return path


def _plain(value: object) -> object:
    if isinstance(value, Spread):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} cannot be kept")
