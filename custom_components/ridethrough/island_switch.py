"""Moves an island switch that only Home Assistant can reach: when the edge says so, once for each time it says so."""

import logging
from asyncio import timeout
from typing import Any, TypedDict

from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store

from .const import CONF_ON_IS_OPEN, CONF_SWITCH, DOMAIN
from .coordinator import RidethroughCoordinator
from .forwarding import Forwarding
from .shapes import is_known
from .stores import Stored, store_of

_LOGGER = logging.getLogger(__name__)

PATIENCE_S = 10.0


class Done(TypedDict):
    """The wish that was carried out and still stands; None: none does."""

    wish: str | None


class IslandSwitch:
    """Carries out ``site.switch.wanted``. What was carried out is not repeated: a person may have moved it since."""

    def __init__(self, coordinator: RidethroughCoordinator, forwarding: Forwarding) -> None:
        self._coordinator, self._hass = coordinator, coordinator.hass
        self._entry, self._forwarding = coordinator.config_entry, forwarding
        self._store: Store[Done] = store_of(coordinator.hass, self._entry.entry_id, Stored.SWITCH)
        self._done: str | None = None
        # Until it is known what was carried out before a restart, nothing is.
        self._busy = True

    async def async_start(self) -> None:
        """Remember what was carried out, and follow, until the entry is unloaded."""
        kept = await self._store.async_load()
        self._done, self._busy = kept["wish"] if kept else None, False
        self._entry.async_on_unload(self._coordinator.async_add_listener(self.async_look))
        self.async_look()

    @property
    def _wish(self) -> str | None:
        switch = self._coordinator.data["site"]["switch"]
        if switch is None or switch.get("owner") != "home_assistant":
            return None
        return switch.get("wanted")

    @callback
    def async_look(self) -> None:
        """Carry out a wish that is new, as soon as the entity can be reached."""
        if self._busy or not self._coordinator.in_step or not self._entry.options.get(CONF_SWITCH):
            return
        if not is_known(self._coordinator.data["site"]):  # that nothing is known is no word that nothing is wanted
            return
        wish = self._wish
        if wish is None:
            self._forget()
        elif wish != self._done and wish in ("open", "close") and self._forwarding.commanded_open is not None:
            self._busy = True
            self._entry.async_create_background_task(self._hass, self._carry_out(wish), f"{DOMAIN} island switch")

    def _forget(self) -> None:
        if self._done is not None:
            self._done = None
            self._store.async_delay_save(lambda: Done(wish=self._done), 0)

    async def _carry_out(self, wish: str) -> None:
        """On disk first: a restart in its midst must not move the switch a second time."""
        try:
            await self._store.async_save(Done(wish=wish))
            self._done = wish
            if self._coordinator.in_step and self._wish == wish:
                await self._move(wish)
        finally:
            self._busy = False
        self.async_look()

    async def _move(self, wish: str) -> None:
        options: dict[str, Any] = dict(self._entry.options)
        on = (wish == "open") is bool(options.get(CONF_ON_IS_OPEN))
        entity = options[CONF_SWITCH]
        _LOGGER.info("The controller wants the island switch to %s", wish)
        try:
            async with timeout(PATIENCE_S):
                await self._hass.services.async_call(
                    entity.partition(".")[0], f"turn_{'on' if on else 'off'}", {ATTR_ENTITY_ID: entity}, blocking=True
                )
        except (HomeAssistantError, TimeoutError) as error:
            _LOGGER.error("%s did not %s the island switch: %s", entity, wish, str(error) or type(error).__name__)
