"""Says which modules of the integration are tested too little, from the JSON report of coverage.

.venv/bin/pytest tests/home_assistant --cov=custom_components.ridethrough --cov-report=json:.run/coverage.json
.venv/bin/python -m tests.coverage_gate .run/coverage.json
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

PACKAGE = "custom_components/ridethrough/"
# What Home Assistant's quality scale asks of each module, and of the flows, through which every house comes.
LEAST_PCT = 95.0
FLOWS = frozenset(
    (
        *("config_flow.py", "options_flow.py", "program_flow.py", "subentry_flow.py"),
        *("blueprint_options.py", "phones/pages.py"),
    )
)


def too_little(report: Mapping[str, Any]) -> Iterator[str]:
    """A line for each module below its bound, with the lines that nothing ran."""
    for path, measured in sorted(report["files"].items()):
        name = Path(path).as_posix().partition(PACKAGE)[2]
        if not name:
            continue
        least, found = 100.0 if name in FLOWS else LEAST_PCT, covered_pct(measured)
        if found < least:
            missing = ranges(measured["missing_lines"])
            yield f"{name}: {found:.1f} % of {least:.0f} %; nothing runs line {missing}"


def covered_pct(measured: Mapping[str, Any]) -> float:
    """A module without statements is covered."""
    summary = measured["summary"]
    statements = summary["num_statements"]
    return 100.0 * summary["covered_lines"] / statements if statements else 100.0


def ranges(lines: Sequence[int]) -> str:
    """Lines in a row as one range."""
    if not lines:
        return "–"
    starts = [lines[0], *(one for before, one in pairwise(lines) if one != before + 1)]
    ends = [*(before for before, one in pairwise(lines) if one != before + 1), lines[-1]]
    return ", ".join(str(start) if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True))


def main(arguments: Sequence[str]) -> int:
    """0: every module is tested enough."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tests.coverage_gate REPORT.json\n")
        return 2
    report = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    lines = list(too_little(report))
    measured = sum(PACKAGE in Path(path).as_posix() for path in report["files"])
    if not measured:
        lines = [f"the report knows no module of {PACKAGE}"]
    for line in lines:
        sys.stderr.write(f"{line}\n")
    sys.stdout.write(f"{measured} modules of the integration, {len(lines)} tested too little\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
