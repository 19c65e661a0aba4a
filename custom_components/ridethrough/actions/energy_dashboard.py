"""The Energy dashboard, filled in with this house's meters. What a person set up there stays as it is."""

from collections.abc import Iterator, Mapping
from typing import Any

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er

from ..const import DOMAIN
from .frame import SITE_SCHEMA, Special, site

type Source = dict[str, Any]

# The dashboard's fields and our sensors for them. Both call power out of the battery and out of the grid positive.
BATTERY = {
    "stat_energy_from": "energy_discharged",
    "stat_energy_to": "energy_charged",
    "stat_rate": "power",
    "stat_soc": "vehicle_battery",
}
GRID = {
    "stat_energy_from": "grid_energy_imported",
    "stat_energy_to": "grid_energy_exported",
    "stat_rate": "grid_power",
}
NO_PRICES = {
    "stat_cost": None,
    "entity_energy_price": None,
    "number_energy_price": None,
    "stat_compensation": None,
    "entity_energy_price_export": None,
    "number_energy_price_export": None,
    "cost_adjustment_day": 0.0,
}


def specials(_: HomeAssistant) -> tuple[Special, ...]:
    """One action."""
    return (Special("fill_energy_dashboard", SITE_SCHEMA, fill, SupportsResponse.OPTIONAL),)


async def fill(call: ServiceCall) -> ServiceResponse:
    """Add the battery of each charger, and the grid if nobody named a meter yet; answers what was added."""
    if "energy" not in call.hass.config.components:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_energy_dashboard")
    # Loaded with that dashboard, and slow to load without it.
    from homeassistant.components.energy.data import async_get_manager  # noqa: PLC0415

    manager = await async_get_manager(call.hass)
    there: list[Any] = list(manager.data["energy_sources"]) if manager.data else []
    entry_id = site(call.hass, call).config_entry.entry_id
    new = [source for source in _sources(call.hass, entry_id) if not _is_covered(source, there)]
    if new:
        update: Any = {"energy_sources": [*there, *new]}
        await manager.async_update(update)
    return {"added": [source["stat_energy_from"] for source in new]}


def _is_covered(source: Source, there: list[Any]) -> bool:
    """A second grid meter would count the same energy twice; a second battery is another vehicle."""
    same = [one for one in there if one["type"] == source["type"]]
    if source["type"] == "grid":
        return bool(same)
    return any(one.get("stat_energy_from") == source["stat_energy_from"] for one in same)


def _sources(hass: HomeAssistant, entry_id: str) -> Iterator[Source]:
    """Of each device that has what is needed."""
    for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry_id):
        sensors = _sensors(hass, device.id)
        if battery := _fields(BATTERY, ("stat_energy_from", "stat_energy_to"), sensors):
            yield {"type": "battery", "name": device.name_by_user or device.name or "", **battery}
        if grid := _fields(GRID, ("stat_energy_from",), sensors):
            yield {"type": "grid", **NO_PRICES, "stat_energy_to": None, **grid}


def _sensors(hass: HomeAssistant, device_id: str) -> dict[str, str]:
    """The sensors that are switched on, by what they show."""
    entries = er.async_entries_for_device(er.async_get(hass), device_id)
    return {one.translation_key: one.entity_id for one in entries if one.domain == "sensor" and one.translation_key}


def _fields(wanted: Mapping[str, str], needed: tuple[str, ...], sensors: Mapping[str, str]) -> dict[str, str]:
    """The dashboard's fields; empty where it would miss what it needs."""
    if not all(wanted[field] in sensors for field in needed):
        return {}
    return {field: sensors[key] for field, key in wanted.items() if key in sensors}
