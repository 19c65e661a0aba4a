"""Utility programs that people made here, each a subentry: one that is deleted here is removed at the edge."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypedDict

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store

from .const import CONF_PROGRAM, DOMAIN, PROGRAM
from .coordinator import RidethroughCoordinator
from .following import follow_entry
from .stores import Stored, store_of


class Kept(TypedDict):
    """What is kept over restarts: the programs that have, or had, a subentry here."""

    programs: list[str]


def program_id(subentry: ConfigSubentry) -> str:
    """What the edge calls the program of a subentry."""
    return str(subentry.data[CONF_PROGRAM])


def programs_of(entry: ConfigEntry[Any]) -> Mapping[str, ConfigSubentry]:
    """The programs made here, by the edge's id."""
    ours = (subentry for subentry in entry.subentries.values() if subentry.subentry_type == PROGRAM)
    return MappingProxyType({program_id(subentry): subentry for subentry in ours})


class Programs:
    """Removes at the edge what was deleted here; at once, or when it can be reached again."""

    def __init__(self, coordinator: RidethroughCoordinator) -> None:
        self._coordinator, self._hass = coordinator, coordinator.hass
        self._entry = coordinator.config_entry
        self._store: Store[Kept] = store_of(coordinator.hass, self._entry.entry_id, Stored.PROGRAMS)
        self._told: set[str] = set()
        self._busy = False
        # What was refused is not asked again on the same link.
        self._refused: set[str] = set()
        # Removed, and perhaps in the state still.
        self._leaving: set[str] = set()

    async def async_start(self) -> None:
        """Compare now and after each change, here or there."""
        kept = await self._store.async_load()
        self._told = set(kept["programs"]) if kept else set()
        self._note()
        self._entry.async_on_unload(self._coordinator.async_add_listener(self._compare))
        follow_entry(self._hass, self._entry, self._entry_changed)
        self._compare()

    @callback
    def _entry_changed(self) -> None:
        self._note()
        self._coordinator.async_update_listeners()

    @callback
    def _note(self) -> None:
        """Entities of a program wait for its subentry, and there are none of one that is on its way out."""
        ours = set(programs_of(self._entry))
        if ours - self._told:
            self._told |= ours
            self._save()
        held = self._coordinator.held_programs
        held -= ours
        held |= self._told - ours
        self._leaving -= ours

    @callback
    def _save(self) -> None:
        self._store.async_delay_save(lambda: Kept(programs=sorted(self._told)), 0)

    @callback
    def _compare(self) -> None:
        left = self._leaving - self._coordinator.data["programs"].keys()
        self._leaving -= left
        self._coordinator.held_programs -= left
        gone = self._told - set(programs_of(self._entry)) - self._refused
        if not self._coordinator.last_update_success:
            self._refused.clear()
        elif gone and not self._busy:
            self._busy = True
            self._entry.async_create_background_task(self._hass, self._remove(sorted(gone)), f"{DOMAIN} programs")

    async def _remove(self, gone: list[str]) -> None:
        try:
            for key in gone:
                await self._forget(key)
        finally:
            self._busy = False
        self._compare()

    async def _forget(self, key: str) -> None:
        try:
            await self._coordinator.async_command("remove_program", id=key)
        except HomeAssistantError as error:
            self._refused.add(key)
            self._coordinator.logger.warning("The program %s cannot be removed at the controller yet: %s", key, error)
            return
        self._told.discard(key)
        self._leaving.add(key)
        self._save()
