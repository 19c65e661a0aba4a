"""The utility's events: no and yes, by hand, rehearsed, and what there is to know of them."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, cast

import probatio
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv

from ..const import DOMAIN
from ..times import time_of
from ..wire import EventWire
from .frame import (
    ATTR_AT,
    ATTR_DURATION,
    ATTR_END,
    ATTR_NAME,
    ATTR_POWER,
    ATTR_START,
    DEVICE,
    POWER_KW,
    SITE,
    SITE_SCHEMA,
    DeviceAction,
    SiteAction,
    Special,
    find,
    kilowatts,
    nothing,
    site,
    watts,
    wire_time,
)

ATTR_EVENT = "uid"
ATTR_DATE = "date"
ATTR_MOVE_POWER = "move_power"
ATTR_PROGRAMS = "programs"

# A rehearsal gives a little, for a little while.
MOST_REHEARSED_KW = 5.0

EVENT_SCHEMA = probatio.Schema({**DEVICE, probatio.Required(ATTR_EVENT): cv.string})
ENTER_EVENT_SCHEMA = probatio.Schema(
    {
        **DEVICE,
        probatio.Required(ATTR_NAME): cv.string,
        probatio.Required(ATTR_START): cv.datetime,
        probatio.Required(ATTR_END): cv.datetime,
        probatio.Required(ATTR_POWER): POWER_KW,
    }
)
DAY_SCHEMA = probatio.Schema(
    {**SITE, probatio.Required(ATTR_DATE): cv.date, probatio.Optional(ATTR_DEVICE_ID): cv.string}
)
REHEARSAL_SCHEMA = probatio.Schema(
    {
        **DEVICE,
        probatio.Optional(ATTR_MOVE_POWER, default=False): cv.boolean,
        probatio.Optional(ATTR_POWER): probatio.All(
            probatio.Coerce(float), probatio.Range(min=0.001, max=MOST_REHEARSED_KW)
        ),
        probatio.Optional(ATTR_DURATION): cv.positive_time_period,
        probatio.Optional(ATTR_AT): cv.datetime,
    }
)
GET_EVENTS_SCHEMA = probatio.Schema(
    {**DEVICE, probatio.Optional(ATTR_START): cv.datetime, probatio.Optional(ATTR_END): cv.datetime}
)
ORDER_SCHEMA = probatio.Schema({**SITE, probatio.Required(ATTR_PROGRAMS): probatio.All(cv.ensure_list, [cv.string])})


def _event(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"event": data[ATTR_EVENT]}


def _new_event(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": data[ATTR_NAME],
        "start": wire_time(data[ATTR_START]),
        "end": wire_time(data[ATTR_END]),
        "power_w": watts(data[ATTR_POWER]),
    }


def _rehearsal(data: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"dry": not data[ATTR_MOVE_POWER]}
    if ATTR_POWER in data:
        found["power_w"] = watts(data[ATTR_POWER])
    if ATTR_DURATION in data:
        found["minutes"] = cast("timedelta", data[ATTR_DURATION]).total_seconds() / 60
    return found | ({"at": wire_time(data[ATTR_AT])} if ATTR_AT in data else {})


ACTIONS = (
    DeviceAction("opt_out_event", "program", "opt_out", EVENT_SCHEMA, _event, brings=True),
    DeviceAction("opt_in_event", "program", "opt_in", EVENT_SCHEMA, _event, brings=True),
    DeviceAction("enter_event", "program", "enter_event", ENTER_EVENT_SCHEMA, _new_event, brings=True),
    DeviceAction("cancel_event", "program", "cancel_event", EVENT_SCHEMA, _event),
    DeviceAction("start_rehearsal", "program", "start_rehearsal", REHEARSAL_SCHEMA, _rehearsal, brings=True),
)
SITE_ACTIONS = (SiteAction("cancel_rehearsal", SITE_SCHEMA, nothing),)


def specials(hass: HomeAssistant) -> tuple[Special, ...]:
    """No and yes to a day, whose events count first, and the events themselves."""

    async def set_program_order(call: ServiceCall) -> None:
        programs = [find(hass, device, "program")[1] for device in call.data[ATTR_PROGRAMS]]
        await site(hass, call).async_command("set_program_order", programs=programs)

    async def get_events(call: ServiceCall) -> ServiceResponse:
        coordinator, subject = find(hass, call.data[ATTR_DEVICE_ID], "program")
        events = coordinator.data["programs"][subject]["events"]
        return {"events": [shown(event) for event in events if _within(event, call.data)]}

    return (
        _for_day(hass, "opt_out_day"),
        _for_day(hass, "opt_in_day"),
        Special("set_program_order", ORDER_SCHEMA, set_program_order),
        Special("get_events", GET_EVENTS_SCHEMA, get_events, SupportsResponse.ONLY),
    )


def _for_day(hass: HomeAssistant, command: str) -> Special:
    """No, or yes again, to a day's events: of one program, or of all."""

    async def act(call: ServiceCall) -> None:
        coordinator = site(hass, call)
        device = call.data.get(ATTR_DEVICE_ID)
        owner, program = (coordinator, None) if device is None else find(hass, device, "program")
        if owner is not coordinator:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="not_a_program")
        day = cast("date", call.data[ATTR_DATE]).isoformat()
        await coordinator.async_command(command, day=day, program=program)

    return Special(command, DAY_SCHEMA, act)


def _within(event: EventWire, data: Mapping[str, Any]) -> bool:
    """It overlaps the span that was asked for; without one, everything does."""
    start, end = time_of(event["start"]), time_of(event["end"])
    first, last = (time_of(wire_time(data[key])) if key in data else None for key in (ATTR_START, ATTR_END))
    return not ((first and end and end <= first) or (last and start and start >= last))


def shown(event: EventWire) -> dict[str, Any]:
    """An event in kilowatts and kilowatt-hours, positive from the vehicle, with what it brought so far."""
    asked_w, feasible_w = event["power_w"], event["feasible_w"]
    return {
        "uid": event["uid"],
        "name": event["name"],
        "start": event["start"],
        "end": event["end"],
        "power": None if asked_w is None else round(-asked_w / 1000, 2),
        "possible": None if feasible_w is None else round(-feasible_w / 1000, 2),
        "status": event["status"],
        "opted_out": event.get("opted_out"),
        "asks": event.get("asks"),
        "limited_by": event.get("limited_by"),
        "at_stake": event.get("stake_usd"),
        "result": {
            "energy": round(event["energy_wh"] / 1000, 2),
            "average_power": kilowatts(event["average_w"]),
            "earnings": event["earnings_usd"],
        },
    }
