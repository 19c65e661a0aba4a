"""The resident's standing choices, and what each charger does now."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, override

from homeassistant.components.select import SelectEntity, SelectEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .coordinator import RidethroughConfigEntry
from .entity import CHARGER, SITE, RidethroughEntity, add_as_they_come, always
from .wire import ChargerWire, SiteWire

PARALLEL_UPDATES = 1

# Every order of a person has an end. Over a night, or a day away; who wants more says so with an action.
ORDER_LASTS = timedelta(hours=12)
AUTOMATIC = "automatic"
# What a charge mode orders, and how a standing order is shown. A discharge always has an end that somebody chose, so
# it is an action and cannot be chosen here; while one runs it is shown.
ORDERS = MappingProxyType({"charge_now": "charge", "pause": "hold"})
SHOWN_AS = MappingProxyType({"charge": "charge_now", "hold": "pause", "discharge": "discharge"})
DISCHARGE = "discharge"


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


@dataclass(frozen=True, kw_only=True)
class ChargeModeRow(SelectEntityDescription):
    """What a charger does by a person's order."""

    exists: Callable[[ChargerWire], bool] = always


CHARGE_MODE = ChargeModeRow(key="charge_mode", translation_key="charge_mode", options=[AUTOMATIC, *ORDERS])


def charge_mode(charger: ChargerWire) -> str | None:
    """The person's order that stands; one of a later edge is not known."""
    return SHOWN_AS.get(charger["manual"]["kind"]) if charger["manual"] else AUTOMATIC


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


class ChargeMode(RidethroughEntity[ChargerWire], SelectEntity):
    """Automatic, or an order that ends by itself. A discharge is an option only while it runs."""

    @override
    def _shown(self, part: ChargerWire) -> Hashable:
        mode = charge_mode(part)
        self._attr_options = [AUTOMATIC, *ORDERS, *([DISCHARGE] if mode == DISCHARGE else [])]
        self._attr_current_option = mode
        return mode

    @override
    async def async_select_option(self, option: str) -> None:
        if option == AUTOMATIC:
            await self.async_order("resume", charger=self.subject)
        elif option in ORDERS:
            until = (dt_util.utcnow() + ORDER_LASTS).isoformat()
            power: Mapping[str, Any] = {"power_w": None} if option == "charge_now" else {}
            await self.async_order(ORDERS[option], charger=self.subject, until=until, **power)


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the choices of the site and of chargers."""
    add_as_they_come(entry, async_add_entities, SITE, CHOICES, Choice)
    add_as_they_come(entry, async_add_entities, CHARGER, (CHARGE_MODE,), ChargeMode)
