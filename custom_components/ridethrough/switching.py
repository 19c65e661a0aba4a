"""How entities are switched off and put back as they were, kind by kind."""

from typing import Any

from homeassistant.const import ATTR_ENTITY_ID, ATTR_SUPPORTED_FEATURES, STATE_OFF, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import State

# What can be shed: all are on, or in a mode, or off.
DOMAINS = ["climate", "fan", "humidifier", "input_boolean", "light", "switch", "water_heater"]

# WaterHeaterEntityFeature.ON_OFF
WATER_HEATER_ON_OFF = 8

type Call = tuple[str, str, dict[str, Any]]


def is_off(state: State | None) -> bool:
    """It is proven off."""
    return state is not None and state.state == STATE_OFF


def is_on(state: State | None) -> bool:
    """It is on, or in a mode other than off."""
    return state is not None and state.state not in (STATE_OFF, STATE_UNAVAILABLE, STATE_UNKNOWN)


def switch_off(state: State) -> Call:
    """The action that switches it off."""
    target = {ATTR_ENTITY_ID: state.entity_id}
    if state.domain == "climate":
        return "climate", "set_hvac_mode", {**target, "hvac_mode": STATE_OFF}
    if state.domain == "water_heater" and not state.attributes.get(ATTR_SUPPORTED_FEATURES, 0) & WATER_HEATER_ON_OFF:
        return "water_heater", "set_operation_mode", {**target, "operation_mode": STATE_OFF}
    return state.domain, "turn_off", target


def put_back(state: State, former: str) -> Call:
    """The action that makes it again what it was."""
    target = {ATTR_ENTITY_ID: state.entity_id}
    if state.domain == "climate":
        return "climate", "set_hvac_mode", {**target, "hvac_mode": former}
    if state.domain == "water_heater" and former in (state.attributes.get("operation_list") or ()):
        return "water_heater", "set_operation_mode", {**target, "operation_mode": former}
    return state.domain, "turn_on", target
