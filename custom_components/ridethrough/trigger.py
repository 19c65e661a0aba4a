"""What automations start on. What happens once comes from the histories, never from a state that merely came back."""

from asyncio import Task
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, override

from homeassistant.components.binary_sensor import DOMAIN as BINARY_SENSOR
from homeassistant.components.event import ATTR_EVENT_TYPE, DOMAIN as EVENT
from homeassistant.components.sensor import DOMAIN as SENSOR
from homeassistant.components.switch import DOMAIN as SWITCH
from homeassistant.const import ATTR_ENTITY_ID, STATE_OFF, STATE_ON
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.automation import DomainSpec
from homeassistant.helpers.trigger import (
    ATTR_BEHAVIOR,
    BEHAVIOR_EACH,
    EntityTargetStateTriggerBase,
    EntityTriggerBase,
    NotTriggeredReasonReporter,
    StatelessEntityTriggerBase,
    Trigger,
    TriggerActionRunner,
    TriggerConfig,
    TriggerNotTriggeredReporter,
)

from .targets import Wanted, ours, watch_target

OUTAGE, SESSION, PEAK_EVENT = (Wanted(EVENT, key) for key in ("outage", "session", "peak_event"))

# The history, and the types of event that start it.
HAPPENS: Mapping[str, tuple[Wanted, frozenset[str]]] = MappingProxyType(
    {
        name: (wanted, frozenset(types))
        for wanted, names in (
            (
                OUTAGE,
                {
                    "outage_started": ("started",),
                    "outage_ended": ("ended",),
                    "grid_returned": ("grid_returned",),
                    "return_announced": ("return_announced",),
                    "backup_started": ("backup_started",),
                    "backup_stopped": ("backup_stopped",),
                    "backup_failed": ("backup_failed",),
                    "backup_collapsed": ("backup_collapsed",),
                    "backup_reserve_reached": ("reserve_reached",),
                    "stop_pressed": ("stop_pressed",),
                    "stop_reset": ("stop_reset",),
                    "generator_started": ("generator_started",),
                    "generator_stopped": ("generator_stopped",),
                    "load_shed": ("load_shed",),
                    "load_restored": ("load_restored",),
                    "drill_passed": ("drill_passed",),
                    "drill_failed": ("drill_failed",),
                    "drill_refused": ("drill_refused",),
                },
            ),
            (
                SESSION,
                {
                    "discharging_started": ("discharging_started",),
                    "discharging_stopped": ("discharging_stopped",),
                    "order_refused": ("order_refused",),
                    "charge_not_ready": ("charge_not_ready",),
                    "charging_completed": ("charging_completed",),
                    "fault_raised": ("fault_raised",),
                    "fault_cleared": ("fault_cleared",),
                    "vehicle_connected": ("vehicle_connected",),
                    "vehicle_disconnected": ("vehicle_disconnected",),
                },
            ),
            (
                PEAK_EVENT,
                {
                    "peak_event_announced": ("announced",),
                    "peak_event_changed": ("updated", "cancelled"),
                    "peak_event_starting_soon": ("soon",),
                    "peak_event_started": ("started",),
                    "peak_event_ended": ("completed", "missed", "cancelled", "opted_out"),
                    "peak_event_missed": ("missed",),
                },
            ),
        )
        for name, types in names.items()
    }
)

# What lasts: the entity and the state that it comes to, for a while if wished.
BECOMES: Mapping[str, tuple[Wanted, str]] = MappingProxyType(
    {
        "backup_not_ready": (Wanted(SENSOR, "backup_readiness"), "not_ready"),
        "alert_raised": (Wanted(BINARY_SENSOR, "alert"), STATE_ON),
        "storm_hold_started": (Wanted(SWITCH, "storm_hold"), STATE_ON),
        "storm_hold_ended": (Wanted(SWITCH, "storm_hold"), STATE_OFF),
    }
)


class OwnTrigger(EntityTriggerBase):
    """Listens to our own entities of one kind, and has a repair say so where its target holds none."""

    _wanted: Wanted

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        super().__init__(hass, config)
        self._key = config.key.partition(".")[2]

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        return ours(self._hass, self._wanted, entities)

    @override
    async def async_attach_runner(
        self, run_action: TriggerActionRunner, did_not_trigger: TriggerNotTriggeredReporter | None = None
    ) -> CALLBACK_TYPE:
        detach = await super().async_attach_runner(run_action, did_not_trigger)
        unwatch = await watch_target(self._hass, "triggers", self._key, self._target, self._wanted)

        def remove() -> None:
            unwatch()
            detach()

        return remove


class Happens(OwnTrigger, StatelessEntityTriggerBase):
    """Something happened, once."""

    _types: frozenset[str]

    @override
    def is_valid_state(self, state: State, report_not_triggered: NotTriggeredReasonReporter) -> bool:
        return state.attributes.get(ATTR_EVENT_TYPE) in self._types


class Becomes(OwnTrigger, EntityTargetStateTriggerBase):
    """Something has come to a state, and lasts. A time of not knowing in between neither ends nor begins anything."""

    _excluded_from_states: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        super().__init__(hass, config)
        # Entities whose state was known at some time, and those of them that have fired since they came to it.
        self._seen: set[str] = set()
        self._fired: set[str] = set()

    @override
    def is_valid_state(self, state: State, report_not_triggered: NotTriggeredReasonReporter) -> bool:
        valid = super().is_valid_state(state, report_not_triggered)
        if not valid:
            self._seen.add(state.entity_id)
            self._fired.discard(state.entity_id)
        return valid

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        if from_state.state in self._excluded_states and to_state.entity_id not in self._seen:
            self._fired.add(to_state.entity_id)
        self._seen.add(to_state.entity_id)
        return from_state.state != to_state.state and to_state.entity_id not in self._fired

    def _known(self) -> dict[str, str]:
        """The states of our entities of this kind, as far as they are known."""
        entries = er.async_get(self._hass).entities.values()
        states = (self._hass.states.get(one.entity_id) for one in entries if self._wanted.is_met_by(one))
        return {
            one.entity_id: one.state for one in states if one is not None and one.state not in self._excluded_states
        }

    def _so_now(self) -> set[str]:
        return {entity_id for entity_id, state in self._known().items() if state in self._to_states}

    @override
    async def async_attach_runner(
        self, run_action: TriggerActionRunner, did_not_trigger: TriggerNotTriggeredReporter | None = None
    ) -> CALLBACK_TYPE:
        self._seen |= set(self._known())
        self._fired |= self._so_now()

        def run(extra_trigger_payload: dict[str, Any], description: str, context: Context | None = None) -> Task[Any]:
            alone = self._options.get(ATTR_BEHAVIOR) == BEHAVIOR_EACH
            self._fired |= {extra_trigger_payload[ATTR_ENTITY_ID]} if alone else self._so_now()
            return run_action(extra_trigger_payload, description, context)

        return await super().async_attach_runner(run, did_not_trigger)


class DischargeRefused(Happens):
    """An order to give power was refused; an order that names no power is another matter."""

    _wanted = SESSION
    _domain_specs = MappingProxyType({SESSION.domain: DomainSpec()})
    _types = frozenset({"order_refused"})

    @override
    def is_valid_state(self, state: State, report_not_triggered: NotTriggeredReasonReporter) -> bool:
        # The contract's sign: what supplies is negative.
        return super().is_valid_state(state, report_not_triggered) and (state.attributes.get("power_w") or 0) < 0


def _happens(wanted: Wanted, types: frozenset[str]) -> type[Trigger]:
    specs = {wanted.domain: DomainSpec()}
    return type("Happens", (Happens,), {"_wanted": wanted, "_domain_specs": specs, "_types": types})


def _becomes(wanted: Wanted, state: str) -> type[Trigger]:
    specs = {wanted.domain: DomainSpec()}
    return type("Becomes", (Becomes,), {"_wanted": wanted, "_domain_specs": specs, "_to_states": {state}})


TRIGGERS: Mapping[str, type[Trigger]] = MappingProxyType(
    {name: _happens(*row) for name, row in HAPPENS.items()}
    | {"discharge_refused": DischargeRefused}
    | {name: _becomes(*row) for name, row in BECOMES.items()}
)


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """What Home Assistant offers for an automation's When."""
    return dict(TRIGGERS)
