"""Every recording in the folder ``recorded`` is found and decided again to what it expects."""

import json
from pathlib import Path

import pytest

from edge_service.domain.policies import LADDER
from edge_service.replay import Replay, differences, runs
from edge_service.scenario_export import NAMELESS, SCENARIO_BYTES, recorded_cycles

RECORDINGS = sorted((Path(__file__).parent / "recorded").glob("*.json"))


def played(path: Path, replay: Replay) -> list[str]:
    """What is decided otherwise today, in words."""
    cycles = recorded_cycles(json.loads(path.read_text(encoding="utf-8")))
    found = runs(differences(cycles, replay))
    return [f"{r.first.at} {r.first.what}: {r.first.recorded} -> {r.first.today} ({r.cycles} cycles)" for r in found]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_what_was_recorded_is_decided_as_expected(path: Path) -> None:
    replay = Replay()
    differs = played(path, replay)
    if differs:
        again = f"if today's decisions are right: ridethrough scenario make {path} --expect today --out {path}"
        pytest.fail("\n  ".join([path.name, *differs, again]), pytrace=False)
    assert replay.cycles > 0
    assert replay.skipped == 0


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_recording_tells_its_story_is_small_and_names_nobody(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    made = json.loads(text)
    assert made["title"]
    assert made["story"]
    assert len(text.encode()) <= SCENARIO_BYTES
    assert made["facts"]["name"] == NAMELESS


def test_a_policy_that_is_missing_shows_in_a_recording() -> None:
    path = Path(__file__).parent / "recorded" / "outage-in-an-event.json"
    without = tuple(rung for rung in LADDER if rung.name != "demand_response")
    assert any(" orders.driveway: " in line for line in played(path, Replay(without)))
