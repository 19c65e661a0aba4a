"""The actions: what a person orders once, with an end, and when vehicles leave."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast

import probatio
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.service import async_get_config_entry
from homeassistant.helpers.typing import VolSchemaType
from homeassistant.util import dt as dt_util

from .const import DOMAIN, STORM_RESERVE_PCT
from .coordinator import RidethroughConfigEntry, RidethroughCoordinator
from .entity import identifier
from .wire import ChargerWire, DeparturePlanState

ATTR_UNTIL = "until"
ATTR_DURATION = "duration"
ATTR_POWER = "power"
ATTR_EVENT = "uid"
ATTR_NAME = "name"
ATTR_START = "start"
ATTR_END = "end"
ATTR_CONFIRM = "confirm"
ATTR_PLAN = "plan"
ATTR_AT = "at"
ATTR_WEEKDAYS = "weekdays"
ATTR_TIME = "time"
ATTR_TARGET = "target"
ATTR_MILES = "miles"
ATTR_RESERVE = "reserve"
ATTR_AT_END = "at_end"
ATTR_ALERT = "alert"
ATTR_ORDER = "order"
ATTR_TRANSFER = "transfer"
ATTR_MEDICAL_SAFE = "medical_safe"
ATTR_AT_SWITCH = "at_switch"
ATTR_EVERY_DAYS = "every_days"
ATTR_WITHOUT = "without"
ATTR_WITHOUT_POWER = "without_power"
ATTR_CHARGE = "charge"
ATTR_DATE = "date"
ATTR_MOVE_POWER = "move_power"

# A rehearsal gives a little, for a little while.
MOST_REHEARSED_KW = 5.0
# The edge takes no order beyond this.
MAX_POWER_KW = 1000.0

_SITE = {probatio.Required(ATTR_CONFIG_ENTRY_ID): cv.string}
_DEVICE = {probatio.Required(ATTR_DEVICE_ID): cv.string}
_POWER_KW = probatio.All(probatio.Coerce(float), probatio.Range(min=0.001, max=MAX_POWER_KW))
_PERCENT = probatio.All(probatio.Coerce(float), probatio.Range(min=1, max=100))
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
SITE_SCHEMA = probatio.Schema(_SITE)
DAY_SCHEMA = probatio.Schema(
    {**_SITE, probatio.Required(ATTR_DATE): cv.date, probatio.Optional(ATTR_DEVICE_ID): cv.string}
)
REHEARSAL_SCHEMA = probatio.Schema(
    {
        **_DEVICE,
        probatio.Optional(ATTR_MOVE_POWER, default=False): cv.boolean,
        probatio.Optional(ATTR_POWER): probatio.All(
            probatio.Coerce(float), probatio.Range(min=0.001, max=MOST_REHEARSED_KW)
        ),
        probatio.Optional(ATTR_DURATION): cv.positive_time_period,
        probatio.Optional(ATTR_AT): cv.datetime,
    }
)
END_BACKUP_SCHEMA = probatio.Schema({**_SITE, probatio.Required(ATTR_CONFIRM): cv.boolean})
STORM_SCHEMA = probatio.All(
    probatio.Schema(
        {
            **_SITE,
            **_UNTIL,
            probatio.Optional(ATTR_RESERVE, default=STORM_RESERVE_PCT): _PERCENT,
            probatio.Optional(ATTR_NAME): cv.string,
        }
    ),
    cv.has_at_least_one_key(ATTR_UNTIL, ATTR_DURATION),
)
SET_DEPARTURE_SCHEMA = probatio.Schema(
    {
        **_DEVICE,
        probatio.Optional(ATTR_PLAN): cv.string,
        probatio.Optional(ATTR_AT): cv.datetime,
        probatio.Optional(ATTR_WEEKDAYS): cv.weekdays,
        probatio.Optional(ATTR_TIME): cv.time,
        probatio.Optional(ATTR_TARGET): _PERCENT,
        probatio.Optional(ATTR_MILES): probatio.All(probatio.Coerce(float), probatio.Range(min=1, max=500)),
    }
)
CLEAR_DEPARTURE_SCHEMA = probatio.Schema({**_DEVICE, probatio.Required(ATTR_PLAN): cv.string})
SKIP_DEPARTURE_SCHEMA = probatio.Schema({**_DEVICE, probatio.Optional(ATTR_PLAN): cv.string})
_MILES = probatio.All(probatio.Coerce(float), probatio.Range(min=0, max=500))
_ANY_PERCENT = probatio.All(probatio.Coerce(float), probatio.Range(min=0, max=100))
RESERVE_SCHEMA = probatio.Schema(
    {
        **_DEVICE,
        probatio.Optional(ATTR_RESERVE): _ANY_PERCENT,
        probatio.Optional(ATTR_MILES): _MILES,
        probatio.Optional(ATTR_CONFIRM, default=False): cv.boolean,
    }
)
_CONFIRM = {probatio.Optional(ATTR_CONFIRM, default=False): cv.boolean}
TAKE_BACK_SCHEMA = probatio.Schema({**_DEVICE, **_CONFIRM})
AT_END_SCHEMA = probatio.Schema({**_SITE, **_CONFIRM, probatio.Required(ATTR_AT_END): probatio.In(["stop", "lend"])})
LOAD_SCHEMA = probatio.Schema(
    {
        **_DEVICE,
        probatio.Required(ATTR_ORDER): probatio.In(["auto", "shed", "on"]),
        probatio.Optional(ATTR_CONFIRM, default=False): cv.boolean,
    }
)
ALERT_SCHEMA = probatio.Schema({**_SITE, probatio.Required(ATTR_ALERT): cv.string})
_DRILL = {
    probatio.Required(ATTR_TRANSFER, default=False): cv.boolean,
    probatio.Optional(ATTR_DURATION): cv.positive_time_period,
    probatio.Optional(ATTR_MEDICAL_SAFE, default=False): cv.boolean,
    probatio.Optional(ATTR_AT_SWITCH, default=False): cv.boolean,
    probatio.Optional(ATTR_CONFIRM, default=False): cv.boolean,
}
DRILL_SCHEMA = probatio.Schema({**_SITE, **_DRILL})
DRILL_SCHEDULE_SCHEMA = probatio.Schema(
    {
        **_SITE,
        **_DRILL,
        probatio.Required(ATTR_EVERY_DAYS): probatio.All(probatio.Coerce(int), probatio.Range(min=1, max=366)),
        probatio.Required(ATTR_TIME): cv.time,
    }
)
FORECAST_SCHEMA = probatio.Schema(
    {
        **_SITE,
        probatio.Optional(ATTR_WITHOUT): probatio.All(cv.ensure_list, [cv.string]),
        probatio.Optional(ATTR_WITHOUT_POWER): _POWER_KW,
        probatio.Optional(ATTR_CHARGE): _ANY_PERCENT,
    }
)


@dataclass(frozen=True, slots=True)
class DeviceAction:
    """An action on a charger, program or load group. ``args``: the command's arguments from the call's data."""

    name: str
    kind: str
    command: str
    schema: VolSchemaType
    args: Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SiteAction:
    """An action on the whole site, likewise."""

    name: str
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


def _rehearsal(data: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"dry": not data[ATTR_MOVE_POWER]}
    if ATTR_POWER in data:
        found["power_w"] = _watts(data[ATTR_POWER])
    if ATTR_DURATION in data:
        found["minutes"] = cast("timedelta", data[ATTR_DURATION]).total_seconds() / 60
    return found | ({"at": _wire_time(data[ATTR_AT])} if ATTR_AT in data else {})


def _confirmed(data: Mapping[str, Any]) -> dict[str, Any]:
    if not data[ATTR_CONFIRM]:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="edge_confirm_needed")
    return {"confirm": True}


def _storm(data: Mapping[str, Any]) -> dict[str, Any]:
    name = {"name": data[ATTR_NAME]} if data.get(ATTR_NAME) else {}
    return {**_until(data), "reserve_pct": data[ATTR_RESERVE], **name}


def _plan(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": data[ATTR_PLAN]} if ATTR_PLAN in data else {}


def _departure(data: Mapping[str, Any]) -> dict[str, Any]:
    return {**_plan(data), **_when(data), **_how_much(data)}


def _when(data: Mapping[str, Any]) -> dict[str, Any]:
    """Once, or weekly; the edge knows the clock on the wall. Raises ServiceValidationError on neither or both."""
    weekly = [key for key in (ATTR_WEEKDAYS, ATTR_TIME) if data.get(key)]
    if (ATTR_AT in data) == bool(weekly) or len(weekly) == 1:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="departure_when")
    if ATTR_AT in data:
        return {"at": _wire_time(data[ATTR_AT])}
    return {"weekdays": data[ATTR_WEEKDAYS], "local_time": f"{cast('time', data[ATTR_TIME]):%H:%M}"}


def _how_much(data: Mapping[str, Any]) -> dict[str, Any]:
    if (ATTR_TARGET in data) == (ATTR_MILES in data):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="departure_how_much")
    return {"soc_pct": data[ATTR_TARGET]} if ATTR_TARGET in data else {"miles": data[ATTR_MILES]}


def _reserve(data: Mapping[str, Any]) -> dict[str, Any]:
    if (ATTR_RESERVE in data) == (ATTR_MILES in data):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="reserve_how_much")
    much = {"pct": data[ATTR_RESERVE]} if ATTR_RESERVE in data else {"miles": data[ATTR_MILES]}
    return {**much, **_word_given(data)}


def _word_given(data: Mapping[str, Any]) -> dict[str, Any]:
    """A person's confirmation, if there is one; the edge says when it needs it."""
    return {"confirm": True} if data[ATTR_CONFIRM] else {}


def _at_end(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"at_end": data[ATTR_AT_END], **_word_given(data)}


def _load_order(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"order": data[ATTR_ORDER], **_word_given(data)}


def _alert(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"alert": data[ATTR_ALERT]}


def _drill(data: Mapping[str, Any]) -> dict[str, Any]:
    if data[ATTR_TRANSFER] and not data[ATTR_CONFIRM]:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="edge_drill_confirm_needed")
    lasts = {"island_s": data[ATTR_DURATION].total_seconds()} if ATTR_DURATION in data else {}
    said = {word: True for word in (ATTR_MEDICAL_SAFE, ATTR_AT_SWITCH) if data[word]}
    return {"transfer": data[ATTR_TRANSFER], **lasts, **said, **_word_given(data)}


def _drill_schedule(data: Mapping[str, Any]) -> dict[str, Any]:
    when = {"every_days": data[ATTR_EVERY_DAYS], "local_time": f"{cast('time', data[ATTR_TIME]):%H:%M}"}
    return {**_drill(data), **when}


ACTIONS = (
    DeviceAction("charge", "charger", "charge", POWER_SCHEMA, _power_until),
    DeviceAction("discharge", "charger", "discharge", POWER_SCHEMA, _power_until),
    DeviceAction("hold", "charger", "hold", HOLD_SCHEMA, _until),
    DeviceAction("resume", "charger", "resume", DEVICE_SCHEMA, lambda _: {}),
    DeviceAction("opt_out_event", "program", "opt_out", EVENT_SCHEMA, _event),
    DeviceAction("opt_in_event", "program", "opt_in", EVENT_SCHEMA, _event),
    DeviceAction("enter_event", "program", "enter_event", ENTER_EVENT_SCHEMA, _new_event),
    DeviceAction("cancel_event", "program", "cancel_event", EVENT_SCHEMA, _event),
    DeviceAction("start_rehearsal", "program", "start_rehearsal", REHEARSAL_SCHEMA, _rehearsal),
    DeviceAction("set_departure", "charger", "set_departure", SET_DEPARTURE_SCHEMA, _departure),
    DeviceAction("clear_departure", "charger", "clear_departure", CLEAR_DEPARTURE_SCHEMA, _plan),
    DeviceAction("set_drivers_reserve", "charger", "set_drivers_reserve", RESERVE_SCHEMA, _reserve),
    DeviceAction("lend_reserve", "charger", "lend_reserve", RESERVE_SCHEMA, _reserve),
    DeviceAction("take_back_lent", "charger", "take_back_lent", TAKE_BACK_SCHEMA, _word_given),
    DeviceAction("set_load", "load", "set_load", LOAD_SCHEMA, _load_order),
)
SITE_ACTIONS = (
    SiteAction("end_backup", END_BACKUP_SCHEMA, _confirmed),
    SiteAction("set_at_end", AT_END_SCHEMA, _at_end),
    SiteAction("prepare_for_storm", STORM_SCHEMA, _storm),
    SiteAction("end_storm", SITE_SCHEMA, lambda _: {}),
    SiteAction("opt_out_alert", ALERT_SCHEMA, _alert),
    SiteAction("opt_in_alert", ALERT_SCHEMA, _alert),
    SiteAction("retry_backup", SITE_SCHEMA, lambda _: {}),
    SiteAction("start_drill", DRILL_SCHEMA, _drill),
    SiteAction("cancel_drill", SITE_SCHEMA, lambda _: {}),
    SiteAction("set_drill_schedule", DRILL_SCHEDULE_SCHEMA, _drill_schedule),
    SiteAction("clear_drill_schedule", SITE_SCHEMA, lambda _: {}),
    SiteAction("cancel_rehearsal", SITE_SCHEMA, lambda _: {}),
)
DAY_ACTIONS = ("opt_out_day", "opt_in_day")
# The contract's commands that do not name their program: an event's uid says which it is.
NAMES_ITS_EVENT = frozenset({"opt_out", "opt_in", "cancel_event"})
# What these bring back is of use to an automation: the money at stake, the event that was made.
BRINGS = frozenset({"opt_out", "opt_in", "enter_event", "start_rehearsal"})
# The contract's argument that names a thing, where it is not the kind of device.
NAMED_AS = {"load": "group"}


def _find(hass: HomeAssistant, device_id: str, kind: str) -> tuple[RidethroughCoordinator, str]:
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


def _register(hass: HomeAssistant, action: DeviceAction) -> None:
    async def act(call: ServiceCall) -> ServiceResponse:
        coordinator, subject = _find(hass, call.data[ATTR_DEVICE_ID], action.kind)
        names = {} if action.command in NAMES_ITS_EVENT else {NAMED_AS.get(action.kind, action.kind): subject}
        answer = await coordinator.async_command(action.command, **names, **action.args(call.data))
        return cast("ServiceResponse", answer) if call.return_response else None

    brings = SupportsResponse.OPTIONAL if action.command in BRINGS else SupportsResponse.NONE
    hass.services.async_register(DOMAIN, action.name, act, schema=action.schema, supports_response=brings)


def _register_for_site(hass: HomeAssistant, action: SiteAction) -> None:
    async def act(call: ServiceCall) -> None:
        entry: RidethroughConfigEntry = async_get_config_entry(hass, DOMAIN, call.data[ATTR_CONFIG_ENTRY_ID])
        await entry.runtime_data.async_command(action.name, **action.args(call.data))

    hass.services.async_register(DOMAIN, action.name, act, schema=action.schema)


def _register_for_day(hass: HomeAssistant, command: str) -> None:
    """No, or yes again, to a day's events: of one program, or of all."""

    async def act(call: ServiceCall) -> None:
        entry: RidethroughConfigEntry = async_get_config_entry(hass, DOMAIN, call.data[ATTR_CONFIG_ENTRY_ID])
        device = call.data.get(ATTR_DEVICE_ID)
        program = None if device is None else _find(hass, device, "program")[1]
        day = cast("date", call.data[ATTR_DATE]).isoformat()
        await entry.runtime_data.async_command(command, day=day, program=program)

    hass.services.async_register(DOMAIN, command, act, schema=DAY_SCHEMA)


def _charger(hass: HomeAssistant, call: ServiceCall) -> tuple[RidethroughCoordinator, str, ChargerWire]:
    coordinator, subject = _find(hass, call.data[ATTR_DEVICE_ID], "charger")
    return coordinator, subject, coordinator.data["chargers"][subject]


def _shown_plan(plan: DeparturePlanState) -> dict[str, Any]:
    """A plan in the words of ``set_departure``, so that it can be changed and given back."""
    return {
        ATTR_PLAN: plan["id"],
        ATTR_AT: plan["at"],
        ATTR_WEEKDAYS: list(plan["weekdays"]),
        ATTR_TIME: plan["local_time"],
        ATTR_TARGET: plan["soc_pct"],
        ATTR_MILES: plan["miles"],
        "skipped_until": plan["skip_until"],
    }


def _register_rows(hass: HomeAssistant) -> None:
    for command in DAY_ACTIONS:
        _register_for_day(hass, command)
    for action in ACTIONS:
        _register(hass, action)
    for site_action in SITE_ACTIONS:
        _register_for_site(hass, site_action)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register all actions."""

    async def skip_departure(call: ServiceCall) -> ServiceResponse:
        """Leave out the next time of the plan named, else of the one that comes first."""
        coordinator, subject, charger = _charger(hass, call)
        departure = charger.get("departure")
        plan_id = call.data.get(ATTR_PLAN) or (departure["id"] if departure else None)
        if plan_id is None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_departure")
        answer = await coordinator.async_command("skip_departure", charger=subject, id=plan_id)
        return {ATTR_PLAN: plan_id, "skipped": answer.get("skipped")}

    async def get_departures(call: ServiceCall) -> ServiceResponse:
        _, _, charger = _charger(hass, call)
        return {"departures": [_shown_plan(plan) for plan in charger.get("departures", [])]}

    async def forecast_runtime(call: ServiceCall) -> ServiceResponse:
        """What if some loads were off, or the vehicle had another charge."""
        entry: RidethroughConfigEntry = async_get_config_entry(hass, DOMAIN, call.data[ATTR_CONFIG_ENTRY_ID])
        args: dict[str, Any] = {}
        if groups := call.data.get(ATTR_WITHOUT):
            args["without"] = [_find(hass, device, "load")[1] for device in groups]
        if ATTR_WITHOUT_POWER in call.data:
            args["without_w"] = _watts(call.data[ATTR_WITHOUT_POWER])
        if ATTR_CHARGE in call.data:
            args["soc_pct"] = call.data[ATTR_CHARGE]
        return cast("ServiceResponse", await entry.runtime_data.async_command("forecast_runtime", **args))

    _register_rows(hass)
    hass.services.async_register(
        DOMAIN,
        "skip_departure",
        skip_departure,
        schema=SKIP_DEPARTURE_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )
    hass.services.async_register(
        DOMAIN,
        "forecast_runtime",
        forecast_runtime,
        schema=FORECAST_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    hass.services.async_register(
        DOMAIN, "get_departures", get_departures, schema=DEVICE_SCHEMA, supports_response=SupportsResponse.ONLY
    )
