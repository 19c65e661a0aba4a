"""From a register of the simulated charger to an entity in Home Assistant, and from an action back to the register."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from homeassistant.config_entries import SOURCE_USER
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from custom_components.ridethrough.const import DOMAIN, LOAD_GROUP
from edge_service.simulation import acts
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import RunningEdge, a_house

from . import onboarding
from .conftest import attributes, shown
from .peer import Eventually


@dataclass(frozen=True, slots=True)
class PairedHouse:
    """A simulated site, the real edge at it, and Home Assistant paired with that."""

    site: SimulatedSite
    edge: RunningEdge
    charger: str


@pytest.fixture
async def paired(hass: HomeAssistant, tmp_path: Path, socket_enabled: None) -> AsyncGenerator[PairedHouse]:
    """Everything real but the metal."""
    async with a_house(tmp_path) as (site, edge):
        code = (await edge.command("new_pairing_code"))["code"]
        entry = await onboarding.paired(hass, edge.port, code)
        device = dr.async_get(hass).async_get_device_by_identifier(
            (DOMAIN, f"{edge.edge.installation}-charger-driveway"), entry.entry_id
        )
        assert device is not None
        yield PairedHouse(site, edge, device.id)
        await hass.config_entries.async_unload(entry.entry_id)


async def test_a_register_of_the_charger_becomes_an_entity(
    hass: HomeAssistant, paired: PairedHouse, eventually: Eventually
) -> None:
    assert shown(hass, "sensor.driveway_charger_vehicle_battery") == "70.0"
    url = paired.site.control_url
    await asyncio.to_thread(acts.unplug, url)
    await eventually(lambda: shown(hass, "binary_sensor.driveway_charger_vehicle") == "off")
    assert shown(hass, "sensor.driveway_charger_vehicle_battery") == "unknown"
    await asyncio.to_thread(acts.plug, url, 55.0)
    await eventually(lambda: shown(hass, "sensor.driveway_charger_vehicle_battery") == "55.0")


async def test_an_outage_in_the_street_is_seen_in_home_assistant(
    hass: HomeAssistant, paired: PairedHouse, eventually: Eventually
) -> None:
    assert shown(hass, "binary_sensor.home_grid") == "on"
    await asyncio.to_thread(acts.outage, paired.site.control_url)
    await eventually(lambda: shown(hass, "binary_sensor.home_grid") == "off")
    await eventually(lambda: shown(hass, "binary_sensor.home_backup_power") == "on")
    assert hass.states.get("event.home_outage") is not None


async def test_an_action_reaches_the_chargers_register_and_ends(
    hass: HomeAssistant, paired: PairedHouse, eventually: Eventually
) -> None:
    wish = {ATTR_DEVICE_ID: paired.charger, "duration": {"minutes": 30}, "power": 3}
    await hass.services.async_call(DOMAIN, "discharge", wish, blocking=True)
    await eventually(lambda: shown(hass, "sensor.driveway_charger_power") == "3.0")
    truth = await asyncio.to_thread(acts.truth, paired.site.control_url)
    assert truth["charger"]["setpoint_w"] == -3000
    await hass.services.async_call(
        "button", "press", {"entity_id": "button.driveway_charger_resume_automatic"}, blocking=True
    )
    await eventually(lambda: shown(hass, "sensor.driveway_charger_status") == "idle")


async def test_a_departure_that_is_near_charges_the_vehicle_and_skipping_it_ends_that(
    hass: HomeAssistant, paired: PairedHouse, eventually: Eventually
) -> None:
    status = "sensor.driveway_charger_departure_status"
    assert shown(hass, status) == "none"
    leaves = {ATTR_DEVICE_ID: paired.charger, "at": dt_util.utcnow() + timedelta(minutes=45), "target": 100}
    await hass.services.async_call(DOMAIN, "set_departure", leaves, blocking=True)
    await eventually(lambda: shown(hass, status) == "late")
    await eventually(lambda: shown(hass, "sensor.driveway_charger_status") == "charging")
    assert attributes(hass, status, "charging") == {"charging": True}
    assert float(shown(hass, "sensor.driveway_charger_charge_at_departure")) < 100
    skip = {"entity_id": "button.driveway_charger_skip_next_departure"}
    await hass.services.async_call("button", "press", skip, blocking=True)
    await eventually(lambda: shown(hass, "sensor.driveway_charger_status") == "idle")
    assert shown(hass, status) == "none"


async def test_a_weekly_departure_of_a_house_that_does_not_say_where_it_is_is_refused_in_words(
    hass: HomeAssistant, paired: PairedHouse
) -> None:
    school = {ATTR_DEVICE_ID: paired.charger, "weekdays": ["mon"], "time": "07:30", "target": 80}
    with pytest.raises(ServiceValidationError) as refused:
        await hass.services.async_call(DOMAIN, "set_departure", school, blocking=True)
    assert refused.value.translation_key == "edge_time_zone_needed"


async def test_a_load_group_is_shed_in_an_outage_and_put_back_after_it(
    hass: HomeAssistant, paired: PairedHouse, eventually: Eventually
) -> None:
    pump, lamp = "input_boolean.pump", "input_boolean.lamp"
    helpers = {"input_boolean": {"pump": {"initial": True}, "lamp": {"initial": False}}}
    assert await async_setup_component(hass, "input_boolean", helpers)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    group = {"name": "Pool", "entities": [pump, lamp], "tier": "non_essential", "shed_below": 50, "typical_power": 400}
    form = await hass.config_entries.subentries.async_init(
        (entry.entry_id, LOAD_GROUP), context={"source": SOURCE_USER}
    )
    made = await hass.config_entries.subentries.async_configure(form["flow_id"], group | {"legs": [], "medical": False})
    assert made["type"] == "create_entry"
    await eventually(
        lambda: hass.states.get("sensor.pool_state") is not None and shown(hass, "sensor.pool_state") == "on"
    )
    await asyncio.to_thread(acts.outage, paired.site.control_url)
    await eventually(lambda: shown(hass, "sensor.pool_state") == "shed")
    assert (shown(hass, pump), shown(hass, lamp)) == ("off", "off")
    await eventually(lambda: shown(hass, "binary_sensor.home_backup_power") == "on")
    assert shown(hass, "sensor.pool_reason") in ("tier", "before_forming")
    await asyncio.to_thread(acts.restore, paired.site.control_url)
    async with asyncio.timeout(60):
        while shown(hass, pump) != "on":
            await hass.async_block_till_done()
            await asyncio.sleep(0)
    assert shown(hass, lamp) == "off"


async def test_a_discharge_in_an_outage_is_refused_in_words(
    hass: HomeAssistant, paired: PairedHouse, eventually: Eventually
) -> None:
    await asyncio.to_thread(acts.outage, paired.site.control_url)
    await eventually(lambda: shown(hass, "binary_sensor.home_grid") == "off")
    wish = {ATTR_DEVICE_ID: paired.charger, "duration": {"minutes": 30}}
    with pytest.raises(ServiceValidationError) as refused:
        await hass.services.async_call(DOMAIN, "discharge", wish, blocking=True)
    assert refused.value.translation_key == "edge_outage_running"
