"""What automations ask before they act. What is not known is not so."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import override

from homeassistant.components.binary_sensor import DOMAIN as BINARY_SENSOR
from homeassistant.components.sensor import DOMAIN as SENSOR
from homeassistant.components.switch import DOMAIN as SWITCH
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers.automation import DomainSpec
from homeassistant.helpers.condition import Condition, EntityStateConditionBase

from .targets import Wanted, ours, watch_target

# The entity, and the states in which it is so.
HOLDS: Mapping[str, tuple[Wanted, frozenset[str]]] = MappingProxyType(
    {
        "is_outage": (Wanted(BINARY_SENSOR, "grid"), frozenset({STATE_OFF})),
        "is_grid_connected": (Wanted(BINARY_SENSOR, "grid"), frozenset({STATE_ON})),
        "is_backup_active": (Wanted(BINARY_SENSOR, "backup_active"), frozenset({STATE_ON})),
        "is_backup_ready": (Wanted(SENSOR, "backup_readiness"), frozenset({"ready", "degraded"})),
        "is_discharging": (Wanted(BINARY_SENSOR, "discharging"), frozenset({STATE_ON})),
        "is_peak_event_active": (Wanted(BINARY_SENSOR, "event_active"), frozenset({STATE_ON})),
        "is_participating": (Wanted(SWITCH, "participation"), frozenset({STATE_ON})),
        "is_vehicle_connected": (Wanted(BINARY_SENSOR, "vehicle_connected"), frozenset({STATE_ON})),
        "is_storm_hold": (Wanted(SWITCH, "storm_hold"), frozenset({STATE_ON})),
        "is_alert": (Wanted(BINARY_SENSOR, "alert"), frozenset({STATE_ON})),
        "is_stopped": (Wanted(BINARY_SENSOR, "stopped"), frozenset({STATE_ON})),
    }
)


class Holds(EntityStateConditionBase):
    """Something is so with our own entities of one kind. What is not known counts as not so, and is not left out."""

    _wanted: Wanted
    _key: str

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        return ours(self._hass, self._wanted, entities)

    @override
    def _should_include(self, _state: State) -> bool:
        return True

    @override
    def _check_all_match_state(self, states: list[State]) -> bool:
        return bool(states) and super()._check_all_match_state(states)

    @override
    async def _async_setup(self) -> None:
        await super()._async_setup()
        self._on_unload.append(await watch_target(self._hass, "conditions", self._key, self._target, self._wanted))


def _holds(name: str, wanted: Wanted, states: frozenset[str]) -> type[Condition]:
    specs = {wanted.domain: DomainSpec()}
    return type("Holds", (Holds,), {"_key": name, "_wanted": wanted, "_domain_specs": specs, "_states": states})


CONDITIONS: Mapping[str, type[Condition]] = MappingProxyType({name: _holds(name, *row) for name, row in HOLDS.items()})


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """What Home Assistant offers for an automation's And if."""
    return dict(CONDITIONS)
