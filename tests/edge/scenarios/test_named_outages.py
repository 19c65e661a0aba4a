"""Ten outages that each have a story here, a test in Home Assistant, and a row in docs/outage-scenarios.md."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent

STORIES = {
    "flapping grid": ("outage-flapping-grid",),
    "outage with the car absent": ("car-away-when-the-outage-begins",),
    "car unplugged mid-outage": ("outage-car-unplugged", "former-unplugged-in-the-island"),
    "outage at the reserve": ("outage-at-the-reserve", "former-at-its-reserve"),
    "outage mid-event": ("outage-in-an-event",),
    "edge cold-started inside an outage": ("outage-cold-start", "outage-cold-start-in-the-island"),
    "Home Assistant rebooting in the transfer": ("outage-home-assistant-rebooting",),
    "meter on the protected side": ("grid-unseen-in-the-island",),
    "charge unknown": ("outage-charge-unknown",),
    "lost neutral": ("neutral-lost",),
}


@pytest.mark.parametrize("name", STORIES)
def test_each_named_outage_has_its_stories_its_test_in_home_assistant_and_its_row(name: str) -> None:
    missing = [story for story in STORIES[name] if not (HERE / f"{story}.json").is_file()]
    assert not missing
    shown = (ROOT / "tests/home_assistant/test_named_outages.py").read_text(encoding="utf-8")
    test = f"test_{name.lower().replace(' ', '_').replace('-', '_')}"
    assert f"async def {test}(" in shown
    told = (ROOT / "docs/outage-scenarios.md").read_text(encoding="utf-8")
    (row,) = [line for line in told.splitlines() if line.lower().startswith(f"| {name.lower()} |")]
    assert test in row
    assert not [story for story in STORIES[name] if story not in row]
