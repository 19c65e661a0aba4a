"""What several of ours follow until their entry is unloaded: its options, the link, entities that people chose."""

from collections.abc import Callable, Iterable
from typing import Any

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntry, ConfigEntryChange
from homeassistant.core import CALLBACK_TYPE, Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.event import async_track_state_change_event

from .coordinator import RidethroughConfigEntry, RidethroughCoordinator

type StateListener = Callable[[Event[EventStateChangedData]], None]


@callback
def follow_entry(hass: HomeAssistant, entry: RidethroughConfigEntry, changed: CALLBACK_TYPE) -> None:
    """Call ``changed`` when the entry has other options, other subentries or another name."""

    @callback
    def see(_: ConfigEntryChange, other: ConfigEntry[Any]) -> None:
        if other is entry:
            changed()

    entry.async_on_unload(async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, see))


@callback
def follow_links(coordinator: RidethroughCoordinator, begun: CALLBACK_TYPE) -> None:
    """Call ``begun`` for the link that stands, and for each that begins: nothing was said on it yet."""
    linked = False

    @callback
    def look() -> None:
        nonlocal linked
        before, linked = linked, coordinator.last_update_success
        if linked and not before:
            begun()

    coordinator.config_entry.async_on_unload(coordinator.async_add_listener(look))
    look()


class EntityWatch:
    """Calls ``seen`` when one of the entities changes that were named last."""

    def __init__(self, hass: HomeAssistant, entry: RidethroughConfigEntry, seen: StateListener) -> None:
        self._hass, self._seen = hass, seen
        self._untrack: CALLBACK_TYPE | None = None
        entry.async_on_unload(self._stop)

    @callback
    def follow(self, entities: Iterable[str]) -> None:
        """These, and no others any more."""
        self._stop()
        self._untrack = async_track_state_change_event(self._hass, set(entities), self._seen)

    @callback
    def _stop(self) -> None:
        if self._untrack is not None:
            self._untrack()
            self._untrack = None
