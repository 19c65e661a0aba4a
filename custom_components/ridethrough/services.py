"""The actions: what a person orders once, with an end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import probatio
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.service import async_get_config_entry
from homeassistant.helpers.typing import VolSchemaType
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import RidethroughConfigEntry, RidethroughCoordinator
from .entity import identifier

ATTR_UNTIL = "until"
ATTR_DURATION = "duration"
ATTR_POWER = "power"
ATTR_EVENT = "uid"
ATTR_NAME = "name"
ATTR_START = "start"
ATTR_END = "end"
ATTR_CONFIRM = "confirm"

# The edge takes no order beyond this.
MAX_POWER_KW = 1000.0

_DEVICE = {probatio.Required(ATTR_DEVICE_ID): cv.string}
_POWER_KW = probatio.All(probatio.Coerce(float), probatio.Range(min=0.001, max=MAX_POWER_KW))
_UNTIL = {
    probatio.Exclusive(ATTR_UNTIL, "end"): cv.datetime,
    probatio.Exclusive(ATTR_DURATION, "end"): cv.positive_time_period,
}

DEVICE_SCHEMA = probatio.Schema(_DEVICE)
HOLD_SCHEMA = probatio.All(probatio.Schema({**_DEVICE, **_UNTIL}), cv.has_at_least_one_key(ATTR_UNTIL, ATTR_DURATION))
POWER_SCHEMA = probatio.All(
    probatio.Schema({**_DEVICE, **_UNTIL, probatio.Optional(ATTR_POWER): _POWER_KW}),
    cv.has_at_least_one_key(ATTR_UNTIL, ATTR_DURATION),
)
EVENT_SCHEMA = probatio.Schema({**_DEVICE, probatio.Required(ATTR_EVENT): cv.string})
ENTER_EVENT_SCHEMA = probatio.Schema(
    {
        **_DEVICE,
        probatio.Required(ATTR_NAME): cv.string,
        probatio.Required(ATTR_START): cv.datetime,
        probatio.Required(ATTR_END): cv.datetime,
        probatio.Required(ATTR_POWER): _POWER_KW,
    }
)
END_BACKUP_SCHEMA = probatio.Schema(
    {probatio.Required(ATTR_CONFIG_ENTRY_ID): cv.string, probatio.Required(ATTR_CONFIRM): cv.boolean}
)


@dataclass(frozen=True, slots=True)
class DeviceAction:
    """An action on a charger or program. ``args``: the command's arguments from the call's data."""

    name: str
    kind: str
    command: str
    schema: VolSchemaType
    args: Callable[[Mapping[str, Any]], dict[str, Any]]


def _wire_time(at: datetime) -> str:
    """A time in the contract's form; one without a zone is the home's local time."""
    local = at if at.tzinfo else at.replace(tzinfo=dt_util.get_default_time_zone())
    return local.astimezone(UTC).isoformat()


def _until(data: Mapping[str, Any]) -> dict[str, Any]:
    if ATTR_UNTIL in data:
        return {"until": _wire_time(data[ATTR_UNTIL])}
    return {"until": _wire_time(dt_util.utcnow() + cast("timedelta", data[ATTR_DURATION]))}


def _watts(kilowatts: float | None) -> int | None:
    return None if kilowatts is None else round(kilowatts * 1000)


def _power_until(data: Mapping[str, Any]) -> dict[str, Any]:
    return {**_until(data), "power_w": _watts(data.get(ATTR_POWER))}


def _event(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"event": data[ATTR_EVENT]}


def _new_event(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": data[ATTR_NAME],
        "start": _wire_time(data[ATTR_START]),
        "end": _wire_time(data[ATTR_END]),
        "power_w": _watts(data[ATTR_POWER]),
    }


ACTIONS = (
    DeviceAction("charge", "charger", "charge", POWER_SCHEMA, _power_until),
    DeviceAction("discharge", "charger", "discharge", POWER_SCHEMA, _power_until),
    DeviceAction("hold", "charger", "hold", HOLD_SCHEMA, _until),
    DeviceAction("resume", "charger", "resume", DEVICE_SCHEMA, lambda _: {}),
    DeviceAction("opt_out_event", "program", "opt_out", EVENT_SCHEMA, _event),
    DeviceAction("opt_in_event", "program", "opt_in", EVENT_SCHEMA, _event),
    DeviceAction("enter_event", "program", "enter_event", ENTER_EVENT_SCHEMA, _new_event),
)
# The contract's commands that name their charger or program; an event's uid says which program it is.
NAMES_ITS_SUBJECT = frozenset({"charge", "discharge", "hold", "resume", "enter_event"})


def _find(hass: HomeAssistant, device_id: str, kind: str) -> tuple[RidethroughCoordinator, str]:
    """The edge and the id of a charger or program. Raises ServiceValidationError."""
    device = dr.async_get(hass).async_get(device_id)
    for entry in hass.config_entries.async_entries(DOMAIN):
        if device is None or entry.state is not ConfigEntryState.LOADED:
            continue
        coordinator = cast("RidethroughConfigEntry", entry).runtime_data
        parts = coordinator.data["chargers"] if kind == "charger" else coordinator.data["programs"]
        for subject in parts:
            if identifier(coordinator.installation, kind, subject) in device.identifiers:
                return coordinator, subject
    raise ServiceValidationError(translation_domain=DOMAIN, translation_key=f"not_a_{kind}")


def _register(hass: HomeAssistant, action: DeviceAction) -> None:
    async def act(call: ServiceCall) -> None:
        coordinator, subject = _find(hass, call.data[ATTR_DEVICE_ID], action.kind)
        names = {action.kind: subject} if action.command in NAMES_ITS_SUBJECT else {}
        await coordinator.async_command(action.command, **names, **action.args(call.data))

    hass.services.async_register(DOMAIN, action.name, act, schema=action.schema)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register all actions."""

    async def end_backup(call: ServiceCall) -> None:
        entry: RidethroughConfigEntry = async_get_config_entry(hass, DOMAIN, call.data[ATTR_CONFIG_ENTRY_ID])
        if not call.data[ATTR_CONFIRM]:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="edge_confirm_needed")
        await entry.runtime_data.async_command("end_backup", confirm=True)

    for action in ACTIONS:
        _register(hass, action)
    hass.services.async_register(DOMAIN, "end_backup", end_backup, schema=END_BACKUP_SCHEMA)
