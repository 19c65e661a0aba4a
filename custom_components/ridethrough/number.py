"""The reserves that people set, in percent of the vehicle's battery."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import override

from homeassistant.components.number import NumberDeviceClass, NumberEntity, NumberEntityDescription, NumberMode
from homeassistant.const import UnitOfRatio
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import RidethroughConfigEntry
from .entity import CHARGER, PROGRAM, SITE, RidethroughEntity, add_as_they_come, always
from .wire import ChargerWire, ProgramWire, SiteWire

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class ReserveRow[PartT](NumberEntityDescription):
    """One reserve and the command that sets it. ``names``: the command's argument for the subject, if any."""

    value: Callable[[PartT], float]
    command: str
    names: str | None = None
    exists: Callable[[PartT], bool] = always
    device_class: NumberDeviceClass | None = NumberDeviceClass.BATTERY
    native_unit_of_measurement: str | None = UnitOfRatio.PERCENTAGE
    native_min_value: float | None = 0
    native_max_value: float | None = 100
    native_step: float | None = 1
    mode: NumberMode | None = NumberMode.SLIDER


BACKUP_RESERVE: ReserveRow[SiteWire] = ReserveRow(
    key="backup_reserve",
    translation_key="backup_reserve",
    value=lambda site: site["backup_reserve_pct"],
    command="set_backup_reserve",
)
DRIVERS_RESERVE: ReserveRow[ChargerWire] = ReserveRow(
    key="drivers_reserve",
    translation_key="drivers_reserve",
    value=lambda charger: charger["drivers_reserve_pct"],
    command="set_drivers_reserve",
    names="charger",
)
EVENT_FLOOR: ReserveRow[ProgramWire] = ReserveRow(
    key="event_floor",
    translation_key="event_floor",
    value=lambda program: program["event_floor_pct"],
    command="set_event_floor",
    names="program",
)


class Reserve[PartT](RidethroughEntity[PartT], NumberEntity):
    """One reserve of the rows above."""

    entity_description: ReserveRow[PartT]

    @override
    def _shown(self, part: PartT) -> Hashable:
        self._attr_native_value = self.entity_description.value(part)
        return self._attr_native_value

    @override
    async def async_set_native_value(self, value: float) -> None:
        row = self.entity_description
        subject = {row.names: self.subject} if row.names else {}
        await self.async_order(row.command, **subject, pct=value)


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the reserves."""
    add_as_they_come(entry, async_add_entities, SITE, (BACKUP_RESERVE,), Reserve)
    add_as_they_come(entry, async_add_entities, CHARGER, (DRIVERS_RESERVE,), Reserve)
    add_as_they_come(entry, async_add_entities, PROGRAM, (EVENT_FLOOR,), Reserve)
