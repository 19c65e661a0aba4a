"""A repair says where Home Assistant and the controller mean another clock on the wall, and goes when they agree."""

import json
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.const import DOMAIN

from .peer import Eventually, Peer
from .test_completeness import WORDS


def told(hass: HomeAssistant) -> list[dict[str, str] | None]:
    """What the standing repairs of ours name."""
    issues = ir.async_get(hass).issues.values()
    return [issue.translation_placeholders for issue in issues if issue.domain == DOMAIN]


async def set_up(hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, edge: Any, here: str) -> None:
    await hass.config.async_set_time_zone(here)
    peer.state["site"]["time_zone"] = edge
    assert await hass.config_entries.async_setup(entry.entry_id)


@pytest.mark.parametrize(
    ("edge", "here", "differ"),
    [
        ("America/New_York", "America/New_York", False),
        ("America/New_York", "US/Eastern", False),
        ("Etc/UTC", "UTC", False),
        (None, "America/Chicago", False),
        ("America/New_York", "America/Chicago", True),
        ("America/Phoenix", "America/Denver", True),
        ("Atlantis/Centre", "America/Denver", True),
    ],
)
async def test_two_zones_whose_clocks_differ_in_a_year_are_told(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, edge: str | None, here: str, differ: bool
) -> None:
    await set_up(hass, entry, peer, edge, here)
    named = {"site": "Home", "controller": edge, "home_assistant": here}
    assert told(hass) == ([named] if differ else [])
    await hass.config_entries.async_unload(entry.entry_id)
    assert told(hass) == []


async def test_an_edge_too_old_to_tell_its_zone_is_no_repair(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer
) -> None:
    del peer.state["site"]["time_zone"]
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert told(hass) == []
    await hass.config_entries.async_unload(entry.entry_id)


async def test_the_repair_goes_when_either_of_the_two_is_set_right_and_comes_back(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await set_up(hass, entry, peer, "America/New_York", "America/Chicago")
    assert len(told(hass)) == 1
    await hass.config.async_update(time_zone="America/New_York")
    await eventually(lambda: told(hass) == [])
    await peer.push(lambda state: state["site"].update(time_zone="America/Denver"))
    await eventually(lambda: len(told(hass)) == 1)
    await peer.push(lambda state: state["site"].update(time_zone=None))
    await eventually(lambda: told(hass) == [])
    await hass.config_entries.async_unload(entry.entry_id)


def test_the_repair_has_words_for_what_it_names() -> None:
    words = WORDS["issues"]["time_zone_differs"]
    assert words["title"]
    assert all(f"{{{name}}}" in json.dumps(words) for name in ("site", "controller", "home_assistant"))
