"""The reserves that people set, in percent of the vehicle's battery, how far a kilowatt-hour goes, limits of power."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import cast, override

from homeassistant.components.number import NumberDeviceClass, NumberEntity, NumberEntityDescription, NumberMode
from homeassistant.const import EntityCategory, UnitOfEnergyDistance, UnitOfPower, UnitOfRatio
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import RidethroughConfigEntry
from .entity import CHARGER, LOAD, PROGRAM, SITE, RidethroughEntity, add_as_they_come, always, may_discharge
from .load_groups import keep_shed_below, wire_group
from .ready_by import ReadyBy, plans_departures
from .ready_by_entity import ReadyByEntity
from .wire import ChargerWire, DeparturePlanState, LoadWire, ProgramWire, SiteWire

PARALLEL_UPDATES = 1

# No charger of a house takes more: at the end of the slider there is no limit but the charger's own.
NO_LIMIT_KW = 25.0


@dataclass(frozen=True, kw_only=True)
class NumberRow[PartT](NumberEntityDescription):
    """One number, a reserve unless it says otherwise, and the command that sets it. ``names``: the command's argument
    for the subject, if any; ``argument``: that for the number."""

    value: Callable[[PartT], float | None]
    command: str
    names: str | None = None
    argument: str = "pct"
    exists: Callable[[PartT], bool] = always
    device_class: NumberDeviceClass | None = NumberDeviceClass.BATTERY
    native_unit_of_measurement: str | None = UnitOfRatio.PERCENTAGE
    native_min_value: float | None = 0
    native_max_value: float | None = 100
    native_step: float | None = 1
    mode: NumberMode | None = NumberMode.SLIDER


BACKUP_RESERVE: NumberRow[SiteWire] = NumberRow(
    key="backup_reserve",
    translation_key="backup_reserve",
    value=lambda site: site["backup_reserve_pct"],
    command="set_backup_reserve",
)
STORM_RESERVE: NumberRow[SiteWire] = NumberRow(
    key="storm_reserve",
    translation_key="storm_reserve",
    value=lambda site: site.get("storm_reserve_pct"),
    command="set_storm_reserve",
    native_min_value=1,
    exists=lambda site: "storm_reserve_pct" in site,
)
DRIVERS_RESERVE: NumberRow[ChargerWire] = NumberRow(
    key="drivers_reserve",
    translation_key="drivers_reserve",
    value=lambda charger: charger["drivers_reserve_pct"],
    command="set_drivers_reserve",
    names="charger",
)
# The bounds are the edge's; EPA ratings lie between 2 and 4.
MILES_PER_KWH: NumberRow[ChargerWire] = NumberRow(
    key="miles_per_kwh",
    translation_key="miles_per_kwh",
    value=lambda charger: charger.get("miles_per_kwh"),
    command="set_miles_per_kwh",
    names="charger",
    argument="miles_per_kwh",
    exists=lambda charger: "miles_per_kwh" in charger,
    device_class=NumberDeviceClass.ENERGY_DISTANCE,
    native_unit_of_measurement=UnitOfEnergyDistance.MILES_PER_KILO_WATT_HOUR,
    native_min_value=0.5,
    native_max_value=10,
    native_step=0.1,
    mode=NumberMode.BOX,
)
EVENT_FLOOR: NumberRow[ProgramWire] = NumberRow(
    key="event_floor",
    translation_key="event_floor",
    value=lambda program: program["event_floor_pct"],
    command="set_event_floor",
    names="program",
)


def limit_kw(charger: ChargerWire, key: str) -> float | None:
    """What people allow; the end of the slider where they allow all."""
    limit_w = cast("int | None", charger.get(key))
    if key not in charger:
        return None
    return NO_LIMIT_KW if limit_w is None else min(limit_w / 1000, NO_LIMIT_KW)


def limit_row(key: str, shown: str, argument: str, exists: Callable[[ChargerWire], bool]) -> NumberRow[ChargerWire]:
    """A limit of power that people set, once: a setting."""
    return NumberRow(
        key=key,
        translation_key=key,
        entity_category=EntityCategory.CONFIG,
        value=lambda charger: limit_kw(charger, shown),
        command="set_power_limit",
        names="charger",
        argument=argument,
        exists=exists,
        device_class=NumberDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.KILO_WATT,
        native_max_value=NO_LIMIT_KW,
        native_step=0.1,
        mode=NumberMode.BOX,
    )


LIMITS = (
    limit_row("max_charge_power", "charge_limit_w", "charge_w", lambda charger: "charge_limit_w" in charger),
    limit_row(
        "max_discharge_power",
        "discharge_limit_w",
        "discharge_w",
        lambda charger: "discharge_limit_w" in charger and may_discharge(charger),
    ),
)
TARGET_CHARGE: NumberRow[ChargerWire] = NumberRow(
    key="target_charge",
    translation_key="target_charge",
    value=lambda _: None,
    command="set_departure",
    native_min_value=50,
    exists=plans_departures,
)

SHED_BELOW: NumberRow[LoadWire] = NumberRow(
    key="shed_below",
    translation_key="shed_below",
    value=lambda load: load["shed_below_pct"],
    command="set_load_group",
    exists=lambda load: load["owner"] == "home_assistant" and load["tier"] == "nice_to_have",
)


class RidethroughNumber[PartT](RidethroughEntity[PartT], NumberEntity):
    """One number of the rows above."""

    entity_description: NumberRow[PartT]

    @override
    def _shown(self, part: PartT) -> Hashable:
        self._attr_native_value = self.entity_description.value(part)
        return self._attr_native_value

    @override
    async def async_set_native_value(self, value: float) -> None:
        row = self.entity_description
        subject = {row.names: self.subject} if row.names else {}
        await self.async_order(row.command, **subject, **{row.argument: value})


class ShedBelow(RidethroughNumber[LoadWire]):
    """Of a load group: the edge knows the group as a whole, and its subentry must not say otherwise."""

    @override
    async def async_set_native_value(self, value: float) -> None:
        if (load := self.part) is not None:
            group = wire_group(load) | {"shed_below_pct": value}
            await self.async_order("set_load_group", id=self.subject, **group)
            keep_shed_below(self.hass, self.coordinator.config_entry, self.subject, value)


class PowerLimit(RidethroughNumber[ChargerWire]):
    """The other limit of the charger is not named: it stays as it is, also where somebody sets it at this moment."""

    @override
    async def async_set_native_value(self, value: float) -> None:
        limit_w = None if value >= NO_LIMIT_KW else round(value * 1000)
        await self.async_order("set_power_limit", charger=self.subject, **{self.entity_description.argument: limit_w})


class TargetCharge(ReadyByEntity, NumberEntity):
    """How full the vehicle is to be by the ready-by time; unknown where that is asked for in miles."""

    @override
    def _show(self, kept: ReadyBy, plan: DeparturePlanState | None, *, known: bool) -> Hashable:
        in_miles = plan is not None and plan["soc_pct"] is None
        self._attr_native_value = None if in_miles or not known else kept.target_pct
        return self._attr_native_value

    @override
    async def async_set_native_value(self, value: float) -> None:
        await self.async_ask(target_pct=value)


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the numbers of site, chargers, programs and load groups."""
    add_as_they_come(entry, async_add_entities, SITE, (BACKUP_RESERVE, STORM_RESERVE), RidethroughNumber)
    add_as_they_come(entry, async_add_entities, CHARGER, (DRIVERS_RESERVE, MILES_PER_KWH), RidethroughNumber)
    add_as_they_come(entry, async_add_entities, CHARGER, LIMITS, PowerLimit)
    add_as_they_come(entry, async_add_entities, CHARGER, (TARGET_CHARGE,), TargetCharge)
    add_as_they_come(entry, async_add_entities, PROGRAM, (EVENT_FLOOR,), RidethroughNumber)
    add_as_they_come(entry, async_add_entities, LOAD, (SHED_BELOW,), ShedBelow)
