"""Whether the controller's software is older than this integration."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import override

from awesomeversion import AwesomeVersion
from homeassistant.components.update import UpdateDeviceClass, UpdateEntity, UpdateEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.loader import async_get_integration

from .const import DOMAIN
from .coordinator import RidethroughConfigEntry, RidethroughCoordinator
from .entity import SITE, RidethroughEntity, Scope, add_as_they_come, always
from .wire import SiteWire

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class SoftwareRow(UpdateEntityDescription):
    """One piece of software, and the version that this integration came with."""

    exists: Callable[[SiteWire], bool] = always
    ours: AwesomeVersion | None


class ControllerSoftware(RidethroughEntity[SiteWire], UpdateEntity):
    """The two halves come out together, so the integration's own version is the newest that is known. It is installed
    at the controller, by its own way."""

    entity_description: SoftwareRow

    def __init__(
        self, coordinator: RidethroughCoordinator, scope: Scope[SiteWire], subject: str, row: SoftwareRow
    ) -> None:
        super().__init__(coordinator, scope, subject, row)
        self._attr_title = coordinator.config_entry.domain.capitalize()

    @override
    def _shown(self, part: SiteWire) -> Hashable:
        theirs, ours = AwesomeVersion(self.coordinator.version), self.entity_description.ours
        newer = ours is not None and theirs.valid and ours.valid and ours > theirs
        self._attr_installed_version = str(theirs)
        self._attr_latest_version = str(ours if newer else theirs)
        return (self._attr_installed_version, self._attr_latest_version)


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the update of the controller."""
    integration = await async_get_integration(hass, DOMAIN)
    controller = SoftwareRow(
        key="controller",
        translation_key="controller",
        device_class=UpdateDeviceClass.FIRMWARE,
        entity_category=EntityCategory.CONFIG,
        ours=integration.version,
    )
    add_as_they_come(entry, async_add_entities, SITE, (controller,), ControllerSoftware)
