"""What happened, once each: outages, sessions, peak events. These stay available without a link; they are history."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import RidethroughConfigEntry
from .entity import CHARGER, PROGRAM, SITE, RidethroughEntity, add_as_they_come, always
from .wire import Occurrence

PARALLEL_UPDATES = 0

ATTR_NUMBER = "seq"

OUTAGE_KINDS = MappingProxyType(
    {
        "outage_started": "started",
        "backup_started": "backup_started",
        "backup_failed": "backup_failed",
        "backup_collapsed": "backup_collapsed",
        "backup_stopped": "backup_stopped",
        "reserve_reached": "reserve_reached",
        "grid_returned": "grid_returned",
        "return_announced": "return_announced",
        "outage_ended": "ended",
        "stop_pressed": "stop_pressed",
        "stop_reset": "stop_reset",
        "generator_started": "generator_started",
        "generator_stopped": "generator_stopped",
        "load_shed": "load_shed",
        "load_restored": "load_restored",
        "drill_started": "drill_started",
        "drill_passed": "drill_passed",
        "drill_failed": "drill_failed",
        "drill_refused": "drill_refused",
        "drill_aborted": "drill_aborted",
    }
)
SESSION_KINDS = MappingProxyType(
    {
        kind: kind
        for kind in (
            "vehicle_connected",
            "vehicle_disconnected",
            "discharging_started",
            "discharging_stopped",
            "charging_completed",
            "charge_not_ready",
            "order_refused",
            "order_limited",
            "control_contested",
            "fault_raised",
            "fault_cleared",
        )
    }
)
PEAK_KINDS = MappingProxyType(
    {
        "event_announced": "announced",
        "event_updated": "updated",
        "event_soon": "soon",
        "event_started": "started",
        "event_interrupted": "interrupted",
        "event_resumed": "resumed",
        "event_completed": "completed",
        "event_missed": "missed",
        "event_cancelled": "cancelled",
        "event_opted_out": "opted_out",
        "event_opted_in": "opted_in",
        "rehearsal_passed": "rehearsal_passed",
        "rehearsal_failed": "rehearsal_failed",
        "rehearsal_cancelled": "rehearsal_cancelled",
    }
)


@dataclass(frozen=True, kw_only=True)
class HistoryRow(EventEntityDescription):
    """One history. ``kinds``: the contract's occurrence to the event type that is shown; others are not shown."""

    kinds: Mapping[str, str]
    exists: Callable[[Any], bool] = always


OUTAGE = HistoryRow(key="outage", translation_key="outage", kinds=OUTAGE_KINDS, event_types=list(OUTAGE_KINDS.values()))
SESSION = HistoryRow(
    key="session", translation_key="session", kinds=SESSION_KINDS, event_types=list(SESSION_KINDS.values())
)
PEAK_EVENT = HistoryRow(
    key="peak_event", translation_key="peak_event", kinds=PEAK_KINDS, event_types=list(PEAK_KINDS.values())
)


class HistoryEvent[PartT](RidethroughEntity[PartT], EventEntity):
    """One history of the rows above. Each occurrence is one write of its own."""

    entity_description: HistoryRow

    @property
    @override
    def available(self) -> bool:
        return True

    @override
    def _shown(self, part: PartT) -> Hashable:
        return None

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        # Automations compare with a first state and need a moment to see that there is such an entity.
        self.async_on_remove(self.hass.loop.call_soon(self._catch_up).cancel)

    @callback
    def _catch_up(self) -> None:
        """Tell what was told before there was this entity, and from now on what happens."""
        owner = (self.scope.kind, self.subject)
        self.async_on_remove(self.coordinator.async_listen_occurrences(owner, self._happened))
        for occurrence in self.coordinator.history.told_of(owner):
            if occurrence["number"] > self._last_number():
                self._happened(occurrence)

    def _last_number(self) -> int:
        """Of the occurrence that is shown, also one of before a restart."""
        return int(self.state_attributes.get(ATTR_NUMBER, 0))

    @callback
    def _happened(self, occurrence: Occurrence) -> None:
        shown = self.entity_description.kinds.get(occurrence["kind"])
        if shown is None:
            return
        self._trigger_event(
            shown, {**occurrence["data"], ATTR_NUMBER: occurrence["number"], "occurred_at": occurrence["at"]}
        )
        self.async_write_ha_state()


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the histories of site, chargers and programs."""
    add_as_they_come(entry, async_add_entities, SITE, (OUTAGE,), HistoryEvent)
    add_as_they_come(entry, async_add_entities, CHARGER, (SESSION,), HistoryEvent)
    add_as_they_come(entry, async_add_entities, PROGRAM, (PEAK_EVENT,), HistoryEvent)
