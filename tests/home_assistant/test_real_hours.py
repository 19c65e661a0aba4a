"""Hours of a load group at a real edge: told there as written here, and what they mean when the power goes out."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from custom_components.ridethrough.const import LOAD_GROUP
from edge_service.simulation import acts

from .conftest import shown
from .houses import Houses, Lived
from .peer import Eventually

KITCHEN, HEATER = "input_boolean.kitchen", "input_boolean.heater"


@pytest.fixture
async def houses(
    hass: HomeAssistant, tmp_path: Path, eventually: Eventually, socket_enabled: None
) -> AsyncGenerator[Houses]:
    """Houses that are closed after the test, Home Assistant's side first."""
    async with AsyncExitStack() as stack:
        yield Houses(hass, tmp_path, eventually, stack)


def from_to(start: datetime, end: datetime) -> str:
    """As a resident writes it; ``05:10 PM``."""
    return f"{start:%I:%M %p} to {end:%I:%M %p}"


async def add_group(home: Lived, name: str, **typed: Any) -> None:
    flows = home.hass.config_entries.subentries
    group = {"tier": "nice_to_have", "shed_below": 10, "typical_power": 200, "legs": [], "medical": False}
    form = await flows.async_init((home.entry.entry_id, LOAD_GROUP), context={"source": SOURCE_USER})
    made = await flows.async_configure(form["flow_id"], {"name": name, **group, **typed})
    assert made["type"] == "create_entry"
    state = f"sensor.{name.lower()}_state"
    await home.eventually(lambda: home.hass.states.get(state) is not None and shown(home.hass, state) == "on")


def known_hours(home: Lived) -> dict[str, Any]:
    """By the group's name, what the edge was told."""
    return {load["name"]: load.get("hours") for load in home.entry.runtime_data.data["loads"].values()}


async def test_what_does_not_matter_at_this_hour_goes_in_an_outage_and_comes_back_on_the_grid(houses: Houses) -> None:
    home = await houses.open()
    helpers = {"input_boolean": {"kitchen": {"initial": True}, "heater": {"initial": True}}}
    assert await async_setup_component(home.hass, "input_boolean", helpers)
    now = dt_util.utcnow().astimezone(ZoneInfo("America/New_York"))
    ago, soon, later = now - timedelta(hours=2), now + timedelta(hours=2), now + timedelta(hours=4)
    await add_group(home, "Kitchen", entities=[KITCHEN], hours=from_to(soon, later))
    await add_group(home, "Heater", entities=[HEATER], hours=from_to(ago, soon))
    assert known_hours(home) == {
        "Kitchen": [[f"{soon:%H:%M}", f"{later:%H:%M}"]],
        "Heater": [[f"{ago:%H:%M}", f"{soon:%H:%M}"]],
    }
    assert home.shows(KITCHEN, HEATER) == ("on", "on")

    await home.act(acts.outage)
    await home.sees("sensor.kitchen_state", "shed")
    await home.lights_are_on()
    assert home.shows(KITCHEN, "sensor.kitchen_reason") == ("off", "out_of_hours")
    assert home.shows(HEATER, "sensor.heater_state") == ("on", "on")
    await home.hass.services.async_call(
        "number", "set_value", {"entity_id": "number.kitchen_shed_below", "value": 15}, blocking=True
    )
    await home.sees("number.kitchen_shed_below", "15.0")
    assert known_hours(home)["Kitchen"] == [[f"{soon:%H:%M}", f"{later:%H:%M}"]]

    await home.act(acts.restore)
    await home.sees(KITCHEN, "on")
    await home.is_back()
