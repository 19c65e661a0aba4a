"""The Energy dashboard is filled in with our meters, and nothing that a person set up there is lost."""

import logging
from typing import Any

import pytest
from homeassistant.components.recorder import Recorder
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.ridethrough.const import DOMAIN

CAR = "sensor.driveway_charger_energy_discharged"
GRID = "sensor.home_energy_imported"


async def _fill(hass: HomeAssistant, house: MockConfigEntry) -> list[str]:
    answer: Any = await hass.services.async_call(
        DOMAIN, "fill_energy_dashboard", {"config_entry_id": house.entry_id}, blocking=True, return_response=True
    )
    return list(answer["added"])


@pytest.fixture(autouse=True)
def our_integration(recorder_mock: Recorder, enable_custom_integrations: None) -> None:
    """The recorder wants to be first; each of its statements in the test's output helps nobody."""
    logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)


@pytest.fixture
async def energy(hass: HomeAssistant) -> None:
    """Home Assistant with its Energy dashboard."""
    assert await async_setup_component(hass, "energy", {})


async def test_home_assistant_accepts_what_was_filled_in(
    energy: None, hass: HomeAssistant, house: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    assert await _fill(hass, house) == [GRID, CAR]
    client = await hass_ws_client()
    await client.send_json_auto_id({"type": "energy/get_prefs"})
    grid, car = (await client.receive_json())["result"]["energy_sources"]
    assert (grid["stat_energy_to"], grid["stat_rate"]) == ("sensor.home_energy_exported", "sensor.home_grid_power")
    assert car["name"] == "Driveway charger"
    assert car["stat_energy_to"] == "sensor.driveway_charger_energy_charged"
    assert (car["stat_rate"], car["stat_soc"]) == (
        "sensor.driveway_charger_power",
        "sensor.driveway_charger_vehicle_battery",
    )
    await client.send_json_auto_id({"type": "energy/validate"})
    found = (await client.receive_json())["result"]["energy_sources"]
    # The recorder compiles statistics every five minutes, and has not yet.
    assert {issue["type"] for source in found for issue in source} <= {"statistics_not_defined"}


async def test_a_second_time_adds_nothing(energy: None, hass: HomeAssistant, house: MockConfigEntry) -> None:
    await _fill(hass, house)
    assert await _fill(hass, house) == []


async def test_a_persons_own_grid_meter_and_batteries_stay(
    energy: None, hass: HomeAssistant, house: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    client = await hass_ws_client()
    own = [
        {"type": "grid", "stat_energy_from": "sensor.meter", "cost_adjustment_day": 0},
        {"type": "battery", "stat_energy_from": "sensor.wall_out", "stat_energy_to": "sensor.wall_in"},
    ]
    await client.send_json_auto_id({"type": "energy/save_prefs", "energy_sources": own})
    assert (await client.receive_json())["success"]
    assert await _fill(hass, house) == [CAR]
    await client.send_json_auto_id({"type": "energy/get_prefs"})
    sources = (await client.receive_json())["result"]["energy_sources"]
    assert [source["stat_energy_from"] for source in sources] == ["sensor.meter", "sensor.wall_out", CAR]


async def test_without_an_energy_dashboard_it_says_so(hass: HomeAssistant, house: MockConfigEntry) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await _fill(hass, house)
    assert refused.value.translation_key == "no_energy_dashboard"
