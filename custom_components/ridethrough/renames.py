"""Entities of other integrations that people chose here go on to be meant when they are given another name."""

from collections.abc import Callable, Mapping
from typing import Any

from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from .coordinator import RidethroughConfigEntry


@callback
def follow_renames(
    hass: HomeAssistant, entry: RidethroughConfigEntry, renamed: Callable[[str, str], None] | None = None
) -> None:
    """Until the entry is unloaded. ``renamed``: told the old name and the new one, before the entry has it."""

    @callback
    def see(change: Event[er.EventEntityRegistryUpdatedData]) -> None:
        old, new = change.data.get("old_entity_id"), change.data["entity_id"]
        if not isinstance(old, str):
            return
        if renamed is not None:
            renamed(old, new)
        _rename_in(hass, entry, old, new)

    entry.async_on_unload(hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, see))


def _rename_in(hass: HomeAssistant, entry: RidethroughConfigEntry, old: str, new: str) -> None:
    options = _with_name(dict(entry.options), old, new)
    if options != entry.options:
        hass.config_entries.async_update_entry(entry, options=options)
    for subentry in tuple(entry.subentries.values()):
        data = _with_name(dict(subentry.data), old, new)
        if data != subentry.data:
            hass.config_entries.async_update_subentry(entry, subentry, data=data)


def _with_name(value: Any, old: str, new: str) -> Any:
    """The same with the new name in the place of the old one, wherever it stands."""
    if isinstance(value, Mapping):
        return {_with_name(key, old, new): _with_name(one, old, new) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_name(one, old, new) for one in value]
    return new if value == old else value
