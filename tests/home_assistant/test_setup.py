"""Setting up, going away, coming back."""

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import async_remove_config_entry_device

from .conftest import device_of, shown
from .peer import INSTALLATION, Eventually, Peer


async def test_a_paired_house_is_shown_at_once(hass: HomeAssistant, house: MockConfigEntry) -> None:
    assert house.state is ConfigEntryState.LOADED
    assert shown(hass, "sensor.home_grid_status") == "connected"
    assert shown(hass, "binary_sensor.home_grid") == STATE_ON
    assert shown(hass, "sensor.driveway_charger_vehicle_battery") == "78.0"
    assert shown(hass, "sensor.peak_power_peak_event_status") == "prepared"


async def test_chargers_and_programs_hang_below_the_site(
    hass: HomeAssistant, house: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
    site = device_registry.async_get_device_by_identifier(("ridethrough", INSTALLATION), house.entry_id)
    charger = device_of(device_registry, house, "charger-driveway")
    program = device_of(device_registry, house, "program-peak")
    assert site is not None
    assert charger is not None
    assert program is not None
    assert charger.via_device_id == program.via_device_id == site.id
    assert charger.serial_number == "SN-0042"


async def test_a_silent_edge_is_tried_again_later(hass: HomeAssistant, entry: MockConfigEntry, peer: Peer) -> None:
    await peer.stop()
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY


async def test_a_refused_token_asks_to_pair_again(hass: HomeAssistant, entry: MockConfigEntry, peer: Peer) -> None:
    peer.token = "another"
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert [flow["context"]["source"] for flow in hass.config_entries.flow.async_progress()] == [SOURCE_REAUTH]


async def test_a_newer_edge_that_still_speaks_our_schema_is_fine(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer
) -> None:
    peer.schemas = (1, 7)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert peer.starts[0]["schema"] == 1
    await hass.config_entries.async_unload(entry.entry_id)


async def test_another_house_at_our_address_is_not_shown_as_ours(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer
) -> None:
    peer.installation = "another"
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY


async def test_unloading_closes_the_link(hass: HomeAssistant, house: MockConfigEntry, peer: Peer) -> None:
    assert await hass.config_entries.async_unload(house.entry_id)
    await peer.until(lambda: not peer._sockets)
    assert shown(hass, "sensor.home_grid_status") == STATE_UNAVAILABLE


async def test_a_lost_link_makes_everything_unavailable_except_what_says_so(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.stop()
    await eventually(lambda: shown(hass, "sensor.home_grid_status") == STATE_UNAVAILABLE)
    assert shown(hass, "binary_sensor.home_grid") == STATE_UNAVAILABLE
    assert shown(hass, "number.driveway_charger_driver_s_reserve") == STATE_UNAVAILABLE
    assert shown(hass, "binary_sensor.home_controller") == STATE_OFF
    assert shown(hass, "event.home_outage") != STATE_UNAVAILABLE

    await peer.start()
    await eventually(lambda: shown(hass, "binary_sensor.home_controller") == STATE_ON)
    assert shown(hass, "sensor.home_grid_status") == "connected"


async def test_a_token_withdrawn_while_running_asks_to_pair_again(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    peer.token = "another"
    await peer.drop()
    await eventually(lambda: bool(hass.config_entries.flow.async_progress()))
    assert hass.config_entries.flow.async_progress()[0]["context"]["source"] == SOURCE_REAUTH


async def test_a_charger_that_appears_gets_its_entities_without_a_reload(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    second = {**peer.state["chargers"]["driveway"], "name": "Garage charger"}
    await peer.push(lambda state: state["chargers"].update(garage=second))
    await eventually(lambda: hass.states.get("sensor.garage_charger_status") is not None)
    assert shown(hass, "sensor.garage_charger_status") == "idle"


async def test_a_charger_that_is_gone_may_be_removed_and_a_present_one_not(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    device_registry: dr.DeviceRegistry,
) -> None:
    charger = device_of(device_registry, house, "charger-driveway")
    assert charger is not None
    assert not await async_remove_config_entry_device(hass, house, charger)
    await peer.push(lambda state: state["chargers"].clear())
    await eventually(lambda: shown(hass, "sensor.driveway_charger_status") == STATE_UNAVAILABLE)
    assert await async_remove_config_entry_device(hass, house, charger)


async def test_removing_the_entry_forgets_what_was_kept(
    hass: HomeAssistant, house: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    assert await hass.config_entries.async_remove(house.entry_id)
    assert er.async_entries_for_config_entry(entity_registry, house.entry_id) == []
