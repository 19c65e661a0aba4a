"""``ridethrough set`` as a person types it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.edge.test_command_line import SITE, TOKEN, FakeEdge, ridethrough, serving

NAMES = (
    "set_mode",
    "set_backup_reserve",
    "set_drivers_reserve",
    "set_event_floor",
    "set_program_order",
    "set_power_limit",
)


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[FakeEdge]:
    fake = FakeEdge({name: {} for name in NAMES})
    with serving(fake) as port:
        (tmp_path / "site.yaml").write_text(SITE.format(port=port), encoding="utf-8")
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "local.token").write_text(f"{TOKEN}\n", encoding="ascii")
        yield fake


@pytest.mark.parametrize(
    ("words", "name", "args"),
    [
        ("mode paused", "set_mode", {"mode": "paused"}),
        ("backup-reserve 30", "set_backup_reserve", {"pct": 30.0}),
        ("drivers-reserve bus 40", "set_drivers_reserve", {"charger": "bus", "pct": 40.0, "confirm": False}),
        ("drivers-reserve bus 0 --confirm", "set_drivers_reserve", {"charger": "bus", "pct": 0.0, "confirm": True}),
        ("event-floor peak 25", "set_event_floor", {"program": "peak", "pct": 25.0}),
        ("power-limit bus --charge 4000", "set_power_limit", {"charger": "bus", "charge_w": 4000}),
        (
            "power-limit bus --charge none --discharge 0",
            "set_power_limit",
            {"charger": "bus", "charge_w": None, "discharge_w": 0},
        ),
        ("program-order grid peak", "set_program_order", {"programs": ["grid", "peak"]}),
    ],
)
def test_a_preference_reaches_the_edge(
    words: str, name: str, args: dict[str, Any], edge: FakeEdge, tmp_path: Path
) -> None:
    done = ridethrough("set", *words.split(), cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert (edge.commands[-1]["name"], edge.commands[-1]["args"]) == (name, args)


@pytest.mark.parametrize(
    "words",
    ["mode fast", "backup-reserve 101", "event-floor peak much", "program-order", "power-limit bus --charge -1"],
)
def test_what_is_not_allowed_never_reaches_the_edge(words: str, edge: FakeEdge, tmp_path: Path) -> None:
    done = ridethrough("set", *words.split(), cwd=tmp_path)
    assert (done.code, done.err.count("\n"), edge.commands) == (2, 1, [])
