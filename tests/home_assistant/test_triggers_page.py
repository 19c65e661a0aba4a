"""The page on triggers and conditions: it has each of them, and Home Assistant takes every example as it stands."""

import re
from pathlib import Path
from typing import Any

import yaml
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.condition import HOLDS
from custom_components.ridethrough.trigger import TRIGGERS

from .peer import Peer

PAGE = (Path(__file__).parents[2] / "docs" / "triggers-and-conditions.md").read_text()
SECTIONS: dict[str, str] = dict(
    re.findall(r"^#{3,4} `ridethrough\.(\w+)`:(.*?)(?=^#{2,4} |\Z)", PAGE, re.MULTILINE | re.DOTALL)
)
EXAMPLES: dict[str, dict[str, Any]] = {
    name: yaml.safe_load(block)
    for name, text in SECTIONS.items()
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
}


def used(example: dict[str, Any]) -> set[str]:
    """Our triggers and conditions in it, by name."""
    named = [
        one.get("trigger") or one.get("condition")
        for part in ("triggers", "conditions")
        for one in example.get(part, [])
    ]
    return {name.partition(".")[2] for name in named if name.startswith("ridethrough.")}


def test_each_trigger_and_condition_has_its_part_with_an_example_of_its_own() -> None:
    assert list(SECTIONS) == list(EXAMPLES)
    assert set(SECTIONS) == {*TRIGGERS, *HOLDS}
    for name, example in EXAMPLES.items():
        assert name in used(example)
        assert "*Fields*: target" in SECTIONS[name]


def test_the_attributes_in_an_example_are_those_that_its_part_names() -> None:
    tells = ""
    for name, text in SECTIONS.items():
        # "as the one above" means the part before
        tells = tells + text if "*Tells*: as the one above" in text else text
        for attribute in re.findall(r"trigger\.to_state\.attributes\.(\w+)", str(EXAMPLES.get(name))):
            assert attribute == "event_type" or f"{attribute}`" in tells, (name, attribute)


async def test_home_assistant_takes_every_example_and_finds_what_it_points_at(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, issue_registry: ir.IssueRegistry
) -> None:
    assert await async_setup_component(hass, "automation", {"automation": list(EXAMPLES.values())})
    await hass.async_block_till_done()
    running = hass.states.async_all("automation")
    assert len(running) == len(EXAMPLES)
    assert [one.entity_id for one in running if one.state != "on"] == []
    pointless = [
        one for one in issue_registry.issues.values() if str(one.translation_key).startswith("automation_target")
    ]
    assert [one.translation_placeholders for one in pointless] == []
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)
