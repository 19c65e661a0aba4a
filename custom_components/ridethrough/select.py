"""The resident's standing choices."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import override

from homeassistant.components.select import SelectEntity, SelectEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import RidethroughConfigEntry
from .entity import SITE, RidethroughEntity, add_as_they_come, always
from .wire import SiteWire

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class ChoiceRow(SelectEntityDescription):
    """One choice, the command that makes it, and that command's argument."""

    value: Callable[[SiteWire], str]
    command: str
    argument: str
    exists: Callable[[SiteWire], bool] = always


CHOICES: tuple[ChoiceRow, ...] = (
    ChoiceRow(
        key="operating_mode",
        translation_key="operating_mode",
        options=["automatic", "hold_for_backup", "paused", "read_only"],
        value=lambda site: site["mode"],
        command="set_mode",
        argument="mode",
    ),
    ChoiceRow(
        key="at_end",
        translation_key="at_end",
        options=["stop", "lend"],
        value=lambda site: site["at_end"],
        command="set_at_end",
        argument="at_end",
        exists=lambda site: site["has_backup"],
    ),
)


class Choice(RidethroughEntity[SiteWire], SelectEntity):
    """One choice of the table above."""

    entity_description: ChoiceRow

    @override
    def _shown(self, part: SiteWire) -> Hashable:
        value = self.entity_description.value(part)
        self._attr_current_option = value if value in self.options else None
        return self._attr_current_option

    @override
    async def async_select_option(self, option: str) -> None:
        await self.async_order(self.entity_description.command, **{self.entity_description.argument: option})


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the choices."""
    add_as_they_come(entry, async_add_entities, SITE, CHOICES, Choice)
