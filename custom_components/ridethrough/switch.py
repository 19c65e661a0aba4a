"""Whether the house takes part in a utility's program, and whether a storm is prepared for."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .const import STORM_LASTS, STORM_RESERVE_PCT
from .coordinator import RidethroughConfigEntry
from .entity import PROGRAM, SITE, RidethroughEntity, add_as_they_come, always
from .wire import ProgramWire, SiteWire

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class SwitchRow[PartT](SwitchEntityDescription):
    """A standing yes or no."""

    exists: Callable[[PartT], bool] = always


PARTICIPATION: SwitchRow[ProgramWire] = SwitchRow(key="participation", translation_key="participation")
STORM_HOLD: SwitchRow[SiteWire] = SwitchRow(
    key="storm_hold", translation_key="storm_hold", exists=lambda site: "storm" in site
)


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


class StormHold(RidethroughEntity[SiteWire], SwitchEntity):
    """On: the vehicles fill up and give nothing. It ends by itself, so the edge may switch it off."""

    @override
    def _shown(self, part: SiteWire) -> Hashable:
        self._attr_is_on = part["storm"] is not None if "storm" in part else None
        return self._attr_is_on

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Prepare for a day; a storm that an action has told of already keeps its own end and reserve."""
        if not self.is_on:
            until = dt_util.utcnow() + STORM_LASTS
            await self.async_order("prepare_for_storm", until=until.isoformat(), reserve_pct=STORM_RESERVE_PCT)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self.async_order("end_storm")


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the site's switch and one for each program."""
    add_as_they_come(entry, async_add_entities, SITE, (STORM_HOLD,), StormHold)
    add_as_they_come(entry, async_add_entities, PROGRAM, (PARTICIPATION,), Participation)
