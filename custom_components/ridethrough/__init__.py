"""Ridethrough: the house rides through an outage and earns at peaks, on the battery of the parked car."""

from contextlib import AsyncExitStack

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.typing import ConfigType

from .calendars import Calendars
from .clocks import Clocks
from .const import DOMAIN
from .coordinator import RidethroughConfigEntry, RidethroughCoordinator
from .dashboard import async_setup_dashboard
from .entity import site_device, subjects
from .load_groups import LoadGroups
from .narration import Narration
from .notices import Notices
from .programs import Programs
from .reports import Reports
from .services import async_setup_services
from .stores import async_forget_all
from .trouble_watch import TroubleWatch, forget_troubles

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.CALENDAR,
    Platform.EVENT,
    Platform.NUMBER,
    Platform.SELECT,
    Platform.SENSOR,
    Platform.SWITCH,
    Platform.TIME,
    Platform.UPDATE,
]

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions, so that they exist and validate without a loaded entry."""
    async_setup_services(hass)
    await async_setup_dashboard(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: RidethroughConfigEntry) -> bool:
    """Connect to one edge service."""
    coordinator = RidethroughCoordinator(hass, entry)
    await coordinator.async_connect()
    async with AsyncExitStack() as stack:
        # Whatever fails below: the link is closed, for the next try makes another.
        stack.push_async_callback(coordinator.async_stop)
        entry.runtime_data = coordinator
        site = dr.async_get(hass).async_get_or_create(config_entry_id=entry.entry_id, **site_device(coordinator))
        coordinator.site_device_id = site.id
        await Notices(coordinator).async_start()
        await Clocks(coordinator).async_start()
        await Programs(coordinator).async_start()
        await LoadGroups(coordinator).async_start()
        await Reports(coordinator).async_start()
        await Calendars(coordinator).async_start()
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
        Narration(coordinator).async_start()
        TroubleWatch(coordinator).async_start()
        coordinator.async_follow()
        stack.pop_all()
    return True


async def async_unload_entry(hass: HomeAssistant, entry: RidethroughConfigEntry) -> bool:
    """Take the entities away and close the link; the edge goes on by itself."""
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if unloaded:
        await entry.runtime_data.async_stop()
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: RidethroughConfigEntry) -> None:
    """Forget what was kept for this entry."""
    forget_troubles(hass, entry.entry_id)
    await RidethroughCoordinator(hass, entry).async_forget()
    await async_forget_all(hass, entry.entry_id)


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: RidethroughConfigEntry, device: dr.DeviceEntry
) -> bool:
    """Let a person remove a charger or program that the edge no longer has."""
    return device.identifiers.isdisjoint(subjects(entry.runtime_data))
