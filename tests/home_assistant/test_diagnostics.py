"""What a person sends along with a problem holds the state and no secret."""

import json

from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from .peer import INSTALLATION, TOKEN, Eventually, Peer


async def test_the_download_holds_state_and_history_and_no_secret(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
) -> None:
    await house.runtime_data.async_command("set_mode", mode="paused")
    await peer.happen("outage_started")
    await eventually(lambda: bool(house.runtime_data.occurrences))
    told = await get_diagnostics_for_config_entry(hass, hass_client, house)
    assert isinstance(told, dict)
    assert told["state"]["site"]["grid"] == "on"
    assert told["state"]["chargers"]["driveway"]["soc_pct"] == 78.0
    assert told["commands"][0]["command"] == "set_mode"
    assert told["occurrences"][0]["kind"] == "outage_started"
    text = json.dumps(told)
    for secret in (TOKEN, INSTALLATION, "127.0.0.1", "SN-0042", "Driveway"):
        assert secret not in text
