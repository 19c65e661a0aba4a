"""Facts that are so or not. Off needs evidence; without any the state is unknown."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .coordinator import RidethroughConfigEntry
from .entity import (
    CHARGER,
    HOUSE,
    PROGRAM,
    SITE,
    RidethroughEntity,
    add_as_they_come,
    always,
    may_discharge,
    nothing_more,
)
from .faults import charger_problem, needs_person, troubles
from .program_events import BY_HAND, is_active
from .times import time_of
from .wire import AlertState, ChargerWire, ProgramWire, SiteWire, State

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class BinaryRow[PartT](BinarySensorEntityDescription):
    """One fact. ``value`` is given the part and what was shown before; None: not known."""

    value: Callable[[PartT, bool | None], bool | None]
    exists: Callable[[PartT], bool] = always
    attributes: Callable[[PartT], Mapping[str, Any]] = nothing_more


def grid_present(site: SiteWire, before: bool | None) -> bool | None:
    """Whether utility power is there for good. A suspicion changes nothing yet."""
    match site["grid"]:
        case "on":
            return True
        case "suspect":
            return before
        case "outage" | "restoring" | "generator":
            return False
    return None


def backup_active(site: SiteWire, _: bool | None) -> bool | None:
    """Whether the vehicle feeds the house."""
    return None if site["supply"] == "unknown" else site["supply"] in ("island", "vendor_backup")


def wired(contact: str) -> Callable[[SiteWire], bool]:
    """Whether this input contact is wired; an older edge tells of none."""
    return lambda site: contact in site.get("contacts", {})


def contact_active(contact: str) -> Callable[[SiteWire, bool | None], bool | None]:
    """What the input contact says; None: it is silent."""
    return lambda site, _: site.get("contacts", {}).get(contact)


def disputed(site: SiteWire, _: bool | None) -> bool | None:
    """Whether sources that count contradict each other on the grid."""
    return site.get("disputed")


def neutral_lost(site: SiteWire, _: bool | None) -> bool | None:
    """Whether the legs' voltages have diverged."""
    return site.get("neutral_lost")


def shown_alert(site: SiteWire) -> AlertState | None:
    """The alert that people are told of: one that stands before one that comes, heeded before opted out."""
    now = dt_util.utcnow()

    def comes(alert: AlertState) -> bool:
        start = time_of(alert["start"])
        return start is None or start > now

    alerts = site.get("alerts", [])
    return min(alerts, key=lambda alert: (comes(alert), alert["opted_out"], alert["start"]), default=None)


def alert_stands(site: SiteWire, _: bool | None) -> bool | None:
    """Whether a warning stands or comes, whatever is done about it; not known from an older edge."""
    return bool(site["alerts"]) if "alerts" in site else None


def alert_data(site: SiteWire) -> Mapping[str, Any]:
    """Which it is, until when, and what ``opt_out_alert`` calls it; and the same of all others."""
    alert = shown_alert(site)
    if alert is None:
        return {}
    others = tuple(_alert_words(other) for other in site.get("alerts", []) if other["id"] != alert["id"])
    return {**_alert_words(alert), **({"others": others} if others else {})}


def _alert_words(alert: AlertState) -> Mapping[str, Any]:
    return {
        "alert": alert["id"],
        "alert_name": alert["name"],
        "kind": alert["kind"],
        "start": alert["start"],
        "until": alert["end"],
        "opted_out": alert["opted_out"],
    }


def backup_given_up(site: SiteWire, _: bool | None) -> bool | None:
    """Whether the island fell so often that only a person's word tries it again."""
    if "backup_retry" not in site:
        return None
    retry = site["backup_retry"]
    return retry is not None and retry["latched"]


def in_state(state: str) -> Callable[[ChargerWire, bool | None], bool | None]:
    """Whether the charger says to be in this state; not known without contact."""
    return lambda charger, _: charger["state"] == state if charger["connected"] else None


def program_problem(program: ProgramWire, _: bool | None) -> bool | None:
    """Whether the program cannot be used as it is meant, or some of its words were passed over."""
    return program["problem"] is not None if "problem" in program else None


def program_trouble(program: ProgramWire) -> Mapping[str, Any]:
    """What it is, in the controller's words."""
    problem = program.get("problem")
    return {} if problem is None else {"reason": problem}


def bidirectional(charger: ChargerWire, _: bool | None) -> bool | None:
    """Whether charger and vehicle have agreed on discharge."""
    return charger.get("bidirectional")


HOUSE_FACTS: tuple[BinaryRow[State], ...] = (
    BinaryRow(
        key="problem",
        translation_key="site_problem",
        device_class=BinarySensorDeviceClass.PROBLEM,
        value=needs_person,
        attributes=troubles,
    ),
)
SITE_FACTS: tuple[BinaryRow[SiteWire], ...] = (
    BinaryRow(key="grid", translation_key="grid", device_class=BinarySensorDeviceClass.POWER, value=grid_present),
    BinaryRow(
        key="backup_active",
        translation_key="backup_active",
        device_class=BinarySensorDeviceClass.RUNNING,
        value=backup_active,
        exists=lambda site: site["has_backup"],
    ),
    BinaryRow(key="stopped", translation_key="stopped", value=lambda site, _: site["stopped"]),
    BinaryRow(key="stop_button", translation_key="stop_button", value=contact_active("stop"), exists=wired("stop")),
    BinaryRow(
        key="generator",
        translation_key="generator",
        device_class=BinarySensorDeviceClass.RUNNING,
        value=contact_active("generator"),
        exists=wired("generator"),
    ),
    BinaryRow(
        key="voltage_relay",
        translation_key="voltage_relay",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        value=contact_active("grid_lost"),
        exists=wired("grid_lost"),
    ),
    BinaryRow(
        key="grid_disputed",
        translation_key="grid_disputed",
        device_class=BinarySensorDeviceClass.PROBLEM,
        value=disputed,
        exists=lambda site: "disputed" in site,
    ),
    BinaryRow(
        key="neutral_lost",
        translation_key="neutral_lost",
        device_class=BinarySensorDeviceClass.SAFETY,
        value=neutral_lost,
        exists=lambda site: site.get("neutral_lost") is not None,
    ),
    BinaryRow(
        key="backup_given_up",
        translation_key="backup_given_up",
        device_class=BinarySensorDeviceClass.PROBLEM,
        value=backup_given_up,
        exists=lambda site: "backup_retry" in site and site["has_backup"],
    ),
    BinaryRow(
        key="alert",
        translation_key="alert",
        device_class=BinarySensorDeviceClass.SAFETY,
        value=alert_stands,
        attributes=alert_data,
        exists=lambda site: "alerts" in site,
    ),
    BinaryRow(
        key="export_permitted",
        translation_key="export_permitted",
        entity_category=EntityCategory.DIAGNOSTIC,
        value=lambda site, _: site["export_permitted"],
    ),
)
CONTROLLER: BinaryRow[SiteWire] = BinaryRow(
    key="controller",
    translation_key="controller",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
    entity_category=EntityCategory.DIAGNOSTIC,
    value=lambda _, before: before,
)
CHARGER_FACTS: tuple[BinaryRow[ChargerWire], ...] = (
    BinaryRow(
        key="vehicle_connected",
        translation_key="vehicle_connected",
        device_class=BinarySensorDeviceClass.PLUG,
        value=lambda charger, _: charger["plugged"],
    ),
    BinaryRow(
        key="charging",
        translation_key="charging",
        device_class=BinarySensorDeviceClass.BATTERY_CHARGING,
        value=in_state("charging"),
    ),
    BinaryRow(
        key="discharging",
        translation_key="discharging",
        device_class=BinarySensorDeviceClass.RUNNING,
        value=in_state("discharging"),
    ),
    BinaryRow(
        key="connection",
        translation_key="connection",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        value=lambda charger, _: charger["connected"],
    ),
    BinaryRow(
        key="problem",
        translation_key="problem",
        device_class=BinarySensorDeviceClass.PROBLEM,
        value=charger_problem,
        exists=lambda charger: "alarms" in charger,
        attributes=lambda charger: {"alarms": tuple(charger.get("alarms", ()))},
    ),
    BinaryRow(
        key="bidirectional",
        translation_key="bidirectional",
        entity_category=EntityCategory.DIAGNOSTIC,
        value=bidirectional,
        exists=lambda charger: "bidirectional" in charger and may_discharge(charger),
    ),
)
PROGRAM_FACTS: tuple[BinaryRow[ProgramWire], ...] = (
    BinaryRow(
        key="event_active",
        translation_key="event_active",
        device_class=BinarySensorDeviceClass.RUNNING,
        value=lambda program, _: is_active(program),
    ),
    BinaryRow(
        key="connection",
        translation_key="connection",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        value=lambda program, _: program["connected"],
        exists=lambda program: program["kind"] != BY_HAND,
    ),
    BinaryRow(
        key="problem",
        translation_key="program_problem",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        value=program_problem,
        attributes=program_trouble,
        exists=lambda program: "problem" in program,
    ),
)


class RidethroughBinarySensor[PartT](RidethroughEntity[PartT], BinarySensorEntity):
    """One fact of a table above."""

    entity_description: BinaryRow[PartT]

    @override
    def _shown(self, part: PartT) -> Hashable:
        attributes = self.entity_description.attributes(part)
        self._attr_extra_state_attributes = dict(attributes)
        self._attr_is_on = self.entity_description.value(part, self._attr_is_on)
        return (self._attr_is_on, tuple(attributes.items()))


class ControllerSensor(RidethroughBinarySensor[SiteWire]):
    """Whether the link to the edge stands; the one state that stays available without it."""

    @property
    @override
    def available(self) -> bool:
        return True

    @override
    def _shown(self, part: SiteWire) -> Hashable:
        self._attr_is_on = self.coordinator.last_update_success
        return self._attr_is_on


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the facts of site, chargers and programs."""
    add_as_they_come(entry, async_add_entities, SITE, SITE_FACTS, RidethroughBinarySensor)
    add_as_they_come(entry, async_add_entities, HOUSE, HOUSE_FACTS, RidethroughBinarySensor)
    add_as_they_come(entry, async_add_entities, SITE, (CONTROLLER,), ControllerSensor)
    add_as_they_come(entry, async_add_entities, CHARGER, CHARGER_FACTS, RidethroughBinarySensor)
    add_as_they_come(entry, async_add_entities, PROGRAM, PROGRAM_FACTS, RidethroughBinarySensor)
