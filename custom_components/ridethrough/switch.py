"""Whether the house takes part in a program, prepares for a storm, heeds alerts, has the vehicle ready each day, and
which loads are shed by hand."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .const import STORM_LASTS, STORM_RESERVE_PCT
from .coordinator import RidethroughConfigEntry
from .entity import CHARGER, LOAD, PROGRAM, SITE, RidethroughEntity, add_as_they_come, always
from .ready_by import EVERY_DAY, ReadyBy, plans_departures
from .ready_by_entity import ReadyByEntity
from .wire import ChargerWire, DeparturePlanState, LoadWire, ProgramWire, SiteWire

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class SwitchRow[PartT](SwitchEntityDescription):
    """A standing yes or no."""

    exists: Callable[[PartT], bool] = always


PARTICIPATION: SwitchRow[ProgramWire] = SwitchRow(key="participation", translation_key="participation")
STORM_HOLD: SwitchRow[SiteWire] = SwitchRow(
    key="storm_hold", translation_key="storm_hold", exists=lambda site: "storm" in site
)
HEEDS_ALERTS: SwitchRow[SiteWire] = SwitchRow(
    key="heeds_alerts", translation_key="heeds_alerts", exists=lambda site: "heeds_alerts" in site
)
READY_BY: SwitchRow[ChargerWire] = SwitchRow(key="ready_by", translation_key="ready_by", exists=plans_departures)
SHED: SwitchRow[LoadWire] = SwitchRow(key="shed", translation_key="shed")


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


class HeedsAlerts(RidethroughEntity[SiteWire], SwitchEntity):
    """On: what a utility or a weather service warns of is prepared for by itself."""

    @override
    def _shown(self, part: SiteWire) -> Hashable:
        self._attr_is_on = part.get("heeds_alerts")
        return self._attr_is_on

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        await self.async_order("set_heeds_alerts", heeds=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self.async_order("set_heeds_alerts", heeds=False)


class ReadyBySwitch(ReadyByEntity, SwitchEntity):
    """On: the vehicle is to be ready each day. Off: that plan is forgotten, other departures stay."""

    @override
    def _show(self, kept: ReadyBy, plan: DeparturePlanState | None, *, known: bool) -> Hashable:
        self._attr_is_on = plan is not None if known else None
        return self._attr_is_on

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """A plan that stands keeps its days."""
        if self.kept.stands is None:
            await self.async_plan(self.kept, list(EVERY_DAY))

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        if self.kept.stands is not None:
            await self.async_forget()


class ShedByHand(RidethroughEntity[LoadWire], SwitchEntity):
    """On: a person wants this group off, whatever else speaks. Off: the edge decides again."""

    @override
    def _shown(self, part: LoadWire) -> Hashable:
        self._attr_is_on = part["by_hand"] == "shed"
        return self._attr_is_on

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        await self.async_order("set_load", group=self.subject, order="shed")

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self.async_order("set_load", group=self.subject, order="auto")


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the site's switches, and one for each charger, program and load group."""
    add_as_they_come(entry, async_add_entities, SITE, (STORM_HOLD,), StormHold)
    add_as_they_come(entry, async_add_entities, SITE, (HEEDS_ALERTS,), HeedsAlerts)
    add_as_they_come(entry, async_add_entities, CHARGER, (READY_BY,), ReadyBySwitch)
    add_as_they_come(entry, async_add_entities, PROGRAM, (PARTICIPATION,), Participation)
    add_as_they_come(entry, async_add_entities, LOAD, (SHED,), ShedByHand)
