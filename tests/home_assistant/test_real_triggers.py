"""Automations on our triggers at a real edge with simulated devices: they run once in an outage, and never in none."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr

from custom_components.ridethrough.const import DOMAIN
from edge_service.simulation import acts

from .automations import Automations, on, only_if
from .houses import GRID, Houses, Lived
from .peer import Eventually

NAMES = ("outage_started", "backup_started", "backup_failed", "backup_stopped", "outage_ended")


@pytest.fixture
async def houses(
    hass: HomeAssistant, tmp_path: Path, eventually: Eventually, socket_enabled: None
) -> AsyncGenerator[Houses]:
    """Houses that are closed after the test, Home Assistant's side first."""
    async with AsyncExitStack() as stack:
        yield Houses(hass, tmp_path, eventually, stack)


def _site(home: Lived) -> str:
    found = dr.async_get(home.hass).async_get_device_by_identifier(
        (DOMAIN, home.edge.edge.installation), home.entry.entry_id
    )
    assert found is not None
    return found.id


@pytest.mark.timeout(120)
async def test_an_outage_runs_each_automation_once_and_a_reload_without_one_runs_none(
    hass: HomeAssistant, houses: Houses
) -> None:
    home = await houses.open()
    automations = Automations(hass)
    await automations.load(*(on(name, {"device_id": _site(home)}) for name in NAMES))
    await hass.config_entries.async_reload(home.entry.entry_id)
    await home.is_back()
    assert automations.runs == []

    await home.act(acts.outage)
    await home.lights_are_on()
    await home.eventually(lambda: automations.runs == ["outage_started", "backup_started"])
    await hass.config_entries.async_reload(home.entry.entry_id)
    await home.lights_are_on()
    assert automations.runs == ["outage_started", "backup_started"]
    await home.act(acts.restore)
    await home.is_back()
    await home.eventually(lambda: len(automations.runs) == 4)
    await hass.config_entries.async_reload(home.entry.entry_id)
    await home.is_back()
    assert automations.runs == ["outage_started", "backup_started", "backup_stopped", "outage_ended"]


@pytest.mark.timeout(120)
async def test_an_outage_that_came_and_stayed_while_home_assistant_was_away_runs_it_once(
    hass: HomeAssistant, houses: Houses
) -> None:
    home = await houses.open()
    automations = Automations(hass)
    target = {"device_id": _site(home)}
    await automations.load(*(on(name, target) for name in NAMES), conditions=[only_if("is_outage", target)])
    await hass.config_entries.async_unload(home.entry.entry_id)
    await home.act(acts.outage)
    await home.edge.until(lambda state: state["site"]["supply"] == "island")
    await hass.config_entries.async_setup(home.entry.entry_id)
    await home.sees(GRID, "off")
    await home.eventually(lambda: len(automations.runs) == 2)
    assert automations.runs == ["outage_started", "backup_started"]


@pytest.mark.timeout(120)
async def test_one_that_came_and_went_while_home_assistant_was_away_is_told_but_not_acted_on_where_asked_first(
    hass: HomeAssistant, houses: Houses
) -> None:
    home = await houses.open()
    automations = Automations(hass)
    target = {"device_id": _site(home)}
    await automations.load(*(on(name, target) for name in NAMES), conditions=[only_if("is_outage", target)])
    await hass.config_entries.async_unload(home.entry.entry_id)
    await home.act(acts.outage)
    await home.edge.until(lambda state: state["site"]["supply"] == "island")
    await home.act(acts.restore)
    await home.edge.until(lambda state: (one := state["site"]["outage"]) is not None and one["ended_at"] is not None)
    await hass.config_entries.async_setup(home.entry.entry_id)
    await home.eventually(lambda: home.resident.happened[-1:] == ["ended"])
    assert home.resident.happened == ["started", "backup_started", "grid_returned", "backup_stopped", "ended"]
    assert automations.runs == []
