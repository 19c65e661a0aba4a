"""What is kept on disk for one entry, beside what was told last: each in a file of its own, written in one go."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store

from .const import DOMAIN


class Stored(StrEnum):
    """Since when warnings stand, the calendars that were told, and so on; the values are names of files."""

    ALERTS = "alerts"
    CALENDARS = "calendars"
    GROUPS = "groups"
    LOADS = "loads"
    PHONES = "phones"
    PROGRAMS = "programs"
    SWITCH = "switch"


def store_of[DataT: Mapping[str, Any]](hass: HomeAssistant, entry_id: str, what: Stored) -> Store[DataT]:
    """Where it is kept: whole or not at all, since after a power cut it decides what is done again."""
    return Store(hass, 1, f"{DOMAIN}.{entry_id}.{what}", atomic_writes=True)


async def async_forget_all(hass: HomeAssistant, entry_id: str) -> None:
    """Remove all of it."""
    for what in Stored:
        await store_of(hass, entry_id, what).async_remove()
