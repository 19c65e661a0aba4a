"""What all actions share: their fields, what they act on, how they reach the edge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import probatio
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.service import async_get_config_entry
from homeassistant.helpers.typing import VolSchemaType
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from ..coordinator import RidethroughConfigEntry, RidethroughCoordinator
from ..entity import identifier
from ..wire import ChargerWire

ATTR_UNTIL = "until"
ATTR_DURATION = "duration"
ATTR_POWER = "power"
ATTR_NAME = "name"
ATTR_START = "start"
ATTR_END = "end"
ATTR_CONFIRM = "confirm"
ATTR_AT = "at"
ATTR_TIME = "time"
ATTR_MILES = "miles"
ATTR_RESERVE = "reserve"

# The edge takes no order beyond this.
MAX_POWER_KW = 1000.0

SITE = {probatio.Required(ATTR_CONFIG_ENTRY_ID): cv.string}
DEVICE = {probatio.Required(ATTR_DEVICE_ID): cv.string}
POWER_KW = probatio.All(probatio.Coerce(float), probatio.Range(min=0.001, max=MAX_POWER_KW))
PERCENT = probatio.All(probatio.Coerce(float), probatio.Range(min=1, max=100))
ANY_PERCENT = probatio.All(probatio.Coerce(float), probatio.Range(min=0, max=100))
UNTIL = {
    probatio.Exclusive(ATTR_UNTIL, "end"): cv.datetime,
    probatio.Exclusive(ATTR_DURATION, "end"): cv.positive_time_period,
}
CONFIRM = {probatio.Optional(ATTR_CONFIRM, default=False): cv.boolean}

SITE_SCHEMA = probatio.Schema(SITE)
DEVICE_SCHEMA = probatio.Schema(DEVICE)

type Arguments = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class DeviceAction:
    """An action on a charger, program or load group. ``args``: the command's arguments from the call's data;
    ``brings``: what the edge answers is of use to an automation."""

    name: str
    kind: str
    command: str
    schema: VolSchemaType
    args: Arguments
    brings: bool = False


@dataclass(frozen=True, slots=True)
class SiteAction:
    """An action on the whole site, likewise."""

    name: str
    schema: VolSchemaType
    args: Arguments


@dataclass(frozen=True, slots=True)
class Special:
    """An action that does more than to send one command."""

    name: str
    schema: VolSchemaType
    act: Callable[[ServiceCall], Any]
    answers: SupportsResponse = SupportsResponse.NONE


# The contract's commands that do not name their program: an event's uid says which it is.
NAMES_ITS_EVENT = frozenset({"opt_out", "opt_in", "cancel_event"})
# The contract's argument that names a thing, where it is not the kind of device.
NAMED_AS = {"load": "group"}


def with_end(schema: Mapping[Any, Any]) -> VolSchemaType:
    """The fields, and the one end that every order of a person has."""
    return probatio.All(probatio.Schema({**schema, **UNTIL}), cv.has_at_least_one_key(ATTR_UNTIL, ATTR_DURATION))


def nothing(_: Mapping[str, Any]) -> dict[str, Any]:
    """No arguments."""
    return {}


def wire_time(at: datetime) -> str:
    """A time in the contract's form; one without a zone is the home's local time. Raises ServiceValidationError."""
    local = at if at.tzinfo else at.replace(tzinfo=dt_util.get_default_time_zone())
    try:
        return local.astimezone(UTC).isoformat()
    except OverflowError as error:
        raise _no_such_time() from error


def _no_such_time() -> ServiceValidationError:
    return ServiceValidationError(translation_domain=DOMAIN, translation_key="no_such_time")


def until(data: Mapping[str, Any]) -> dict[str, Any]:
    """The end, told as a time or as a duration from now."""
    if ATTR_UNTIL in data:
        return {"until": wire_time(data[ATTR_UNTIL])}
    try:
        end = dt_util.utcnow() + cast("timedelta", data[ATTR_DURATION])
    except OverflowError as error:
        raise _no_such_time() from error
    return {"until": wire_time(end)}


def watts(kilowatts: float | None) -> int | None:
    """Whole watts."""
    return None if kilowatts is None else round(kilowatts * 1000)


def kilowatts(power_w: int | None) -> float | None:
    """Kilowatts as people are shown them, without a sign."""
    return None if power_w is None else round(abs(power_w) / 1000, 2)


def word_given(data: Mapping[str, Any]) -> dict[str, Any]:
    """A person's confirmation, if there is one; the edge says when it needs it."""
    return {"confirm": True} if data[ATTR_CONFIRM] else {}


def site(hass: HomeAssistant, call: ServiceCall) -> RidethroughCoordinator:
    """The edge of the entry that the call names. Raises ServiceValidationError."""
    entry: RidethroughConfigEntry = async_get_config_entry(hass, DOMAIN, call.data[ATTR_CONFIG_ENTRY_ID])
    return entry.runtime_data


def find(hass: HomeAssistant, device_id: str, kind: str) -> tuple[RidethroughCoordinator, str]:
    """The edge and the id of a charger, program or load group. Raises ServiceValidationError."""
    device = dr.async_get(hass).async_get(device_id)
    for entry in hass.config_entries.async_entries(DOMAIN):
        if device is None or entry.state is not ConfigEntryState.LOADED:
            continue
        coordinator = cast("RidethroughConfigEntry", entry).runtime_data
        data = coordinator.data
        ids = {
            "charger": list(data["chargers"]),
            "program": list(data["programs"]),
            "load": list(data.get("loads", {})),
        }
        for subject in ids[kind]:
            if identifier(coordinator.installation, kind, subject) in device.identifiers:
                return coordinator, subject
    raise ServiceValidationError(translation_domain=DOMAIN, translation_key=f"not_a_{kind}")


def charger(hass: HomeAssistant, call: ServiceCall) -> tuple[RidethroughCoordinator, str, ChargerWire]:
    """The charger that the call names. Raises ServiceValidationError."""
    coordinator, subject = find(hass, call.data[ATTR_DEVICE_ID], "charger")
    return coordinator, subject, coordinator.data["chargers"][subject]


def register(hass: HomeAssistant, action: DeviceAction) -> None:
    """Offer an action on a device."""

    async def act(call: ServiceCall) -> ServiceResponse:
        coordinator, subject = find(hass, call.data[ATTR_DEVICE_ID], action.kind)
        names = {} if action.command in NAMES_ITS_EVENT else {NAMED_AS.get(action.kind, action.kind): subject}
        answer = await coordinator.async_command(action.command, **names, **action.args(call.data))
        return cast("ServiceResponse", answer) if call.return_response else None

    brings = SupportsResponse.OPTIONAL if action.brings else SupportsResponse.NONE
    hass.services.async_register(DOMAIN, action.name, act, schema=action.schema, supports_response=brings)


def register_for_site(hass: HomeAssistant, action: SiteAction) -> None:
    """Offer an action on the whole site."""

    async def act(call: ServiceCall) -> None:
        await site(hass, call).async_command(action.name, **action.args(call.data))

    hass.services.async_register(DOMAIN, action.name, act, schema=action.schema)


def register_special(hass: HomeAssistant, special: Special) -> None:
    """Offer an action that does more."""
    hass.services.async_register(
        DOMAIN, special.name, special.act, schema=special.schema, supports_response=special.answers
    )
