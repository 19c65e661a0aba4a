"""The gate that names the module and the lines that no test runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import coverage_gate


def module(statements: int, missing: list[int]) -> dict[str, Any]:
    return {
        "summary": {"num_statements": statements, "covered_lines": statements - len(missing)},
        "missing_lines": missing,
    }


def report(tmp_path: Path, **modules: dict[str, Any]) -> str:
    path = tmp_path / "coverage.json"
    files = {f"custom_components/ridethrough/{name}.py": one for name, one in modules.items()}
    path.write_text(json.dumps({"files": files | {"edge_service/app.py": module(10, [1, 2, 3])}}))
    return str(path)


def test_all_that_is_tested_enough_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(tmp_path, sensor=module(100, [3, 4, 5, 7, 9]), config_flow=module(50, []), const=module(0, []))
    assert coverage_gate.main([found]) == 0
    assert capsys.readouterr().out == "3 modules of the integration, 0 tested too little\n"


def test_a_module_below_its_bound_is_named_with_its_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(tmp_path, sensor=module(100, [3, 4, 5, 7, 9, 10]), config_flow=module(50, [8]))
    assert coverage_gate.main([found]) == 1
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "config_flow.py: 98.0 % of 100 %; nothing runs line 8",
        "sensor.py: 94.0 % of 95 %; nothing runs line 3-5, 7, 9-10",
    ]
    assert told.out == "2 modules of the integration, 2 tested too little\n"


def test_a_report_of_something_else_does_not_pass(tmp_path: Path) -> None:
    assert coverage_gate.main([report(tmp_path)]) == 1
    assert coverage_gate.main([]) == 2
    assert coverage_gate.ranges([]) == "–"
