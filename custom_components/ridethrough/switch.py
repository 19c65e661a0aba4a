"""Whether the house takes part in a utility's program."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import RidethroughConfigEntry
from .entity import PROGRAM, RidethroughEntity, add_as_they_come, always
from .wire import ProgramWire

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class SwitchRow(SwitchEntityDescription):
    """A standing yes or no of a program."""

    exists: Callable[[ProgramWire], bool] = always


PARTICIPATION = SwitchRow(key="participation", translation_key="participation")


class Participation(RidethroughEntity[ProgramWire], SwitchEntity):
    """Off: every coming event is opted out of, until it is on again."""

    @override
    def _shown(self, part: ProgramWire) -> Hashable:
        self._attr_is_on = part["participating"]
        return self._attr_is_on

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        await self.async_order("set_participation", program=self.subject, participating=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self.async_order("set_participation", program=self.subject, participating=False)


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create a switch for each program."""
    add_as_they_come(entry, async_add_entities, PROGRAM, (PARTICIPATION,), Participation)
