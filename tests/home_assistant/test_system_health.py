"""The system health page: how many edges, and how it stands with each link."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, get_system_health_info

from custom_components.ridethrough.const import DOMAIN

from .peer import Eventually, Peer


async def told(hass: HomeAssistant) -> Any:
    assert await async_setup_component(hass, "system_health", {})
    return await get_system_health_info(hass, DOMAIN)


async def test_the_page_tells_versions_links_and_utilities(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    info = await told(hass)
    assert info.pop("running_since").tzinfo is not None
    assert info == {"controllers": "1/1", "links": 1, "versions": "0.1.0", "schemas": "1-1", "utilities": "1/1"}

    await peer.push(lambda state: state["programs"]["peak"].update(connected=False))
    await eventually(lambda: house.runtime_data.data["programs"]["peak"]["connected"] is False)
    await peer.stop()
    await eventually(lambda: not house.runtime_data.last_update_success)
    info = await told(hass)
    assert (info["links"], info["utilities"]) == (0, "0/1")


async def test_an_entry_that_is_not_loaded_counts_and_tells_nothing(
    hass: HomeAssistant, house: MockConfigEntry
) -> None:
    await hass.config_entries.async_unload(house.entry_id)
    info = await told(hass)
    assert (info["controllers"], info["versions"], info["running_since"]) == ("0/1", "", None)
