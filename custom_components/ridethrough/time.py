"""When a vehicle is to be ready each day."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import time
from typing import override

from homeassistant.components.time import TimeEntity, TimeEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import RidethroughConfigEntry
from .entity import CHARGER, add_as_they_come
from .ready_by import ReadyBy, plans_departures
from .ready_by_entity import ReadyByEntity
from .wire import ChargerWire, DeparturePlanState

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class TimeRow(TimeEntityDescription):
    """One time of the day."""

    exists: Callable[[ChargerWire], bool] = plans_departures


READY_BY = TimeRow(key="ready_by", translation_key="ready_by")


class ReadyByTime(ReadyByEntity, TimeEntity):
    """By the clock of the site; used while ready by is on."""

    @override
    def _show(self, kept: ReadyBy, plan: DeparturePlanState | None, *, known: bool) -> Hashable:
        self._attr_native_value = kept.at if known else None
        return self._attr_native_value

    @override
    async def async_set_value(self, value: time) -> None:
        await self.async_ask(at=value)


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the times of chargers."""
    add_as_they_come(entry, async_add_entities, CHARGER, (READY_BY,), ReadyByTime)
