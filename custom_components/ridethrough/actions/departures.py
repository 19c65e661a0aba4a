"""When vehicles leave, and with how much."""

from collections.abc import Mapping
from datetime import time
from typing import Any, cast

import probatio
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv

from ..const import DOMAIN
from ..wire import DeparturePlanState
from .frame import (
    ATTR_AT,
    ATTR_MILES,
    ATTR_TIME,
    DEVICE,
    DEVICE_SCHEMA,
    PERCENT,
    DeviceAction,
    Special,
    charger,
    wire_time,
)

ATTR_PLAN = "plan"
ATTR_WEEKDAYS = "weekdays"
ATTR_TARGET = "target"

SET_DEPARTURE_SCHEMA = probatio.Schema(
    {
        **DEVICE,
        probatio.Optional(ATTR_PLAN): cv.string,
        probatio.Optional(ATTR_AT): cv.datetime,
        probatio.Optional(ATTR_WEEKDAYS): cv.weekdays,
        probatio.Optional(ATTR_TIME): cv.time,
        probatio.Optional(ATTR_TARGET): PERCENT,
        probatio.Optional(ATTR_MILES): probatio.All(probatio.Coerce(float), probatio.Range(min=1, max=500)),
    }
)
CLEAR_DEPARTURE_SCHEMA = probatio.Schema({**DEVICE, probatio.Required(ATTR_PLAN): cv.string})
SKIP_DEPARTURE_SCHEMA = probatio.Schema({**DEVICE, probatio.Optional(ATTR_PLAN): cv.string})


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
        return {"at": wire_time(data[ATTR_AT])}
    return {"weekdays": data[ATTR_WEEKDAYS], "local_time": f"{cast('time', data[ATTR_TIME]):%H:%M}"}


def _how_much(data: Mapping[str, Any]) -> dict[str, Any]:
    if (ATTR_TARGET in data) == (ATTR_MILES in data):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="departure_how_much")
    return {"soc_pct": data[ATTR_TARGET]} if ATTR_TARGET in data else {"miles": data[ATTR_MILES]}


ACTIONS = (
    DeviceAction("set_departure", "charger", "set_departure", SET_DEPARTURE_SCHEMA, _departure),
    DeviceAction("clear_departure", "charger", "clear_departure", CLEAR_DEPARTURE_SCHEMA, _plan),
)


def specials(hass: HomeAssistant) -> tuple[Special, ...]:
    """Skipping the next time, and reading the plans."""

    async def skip_departure(call: ServiceCall) -> ServiceResponse:
        """Leave out the next time of the plan named, else of the one that comes first."""
        coordinator, subject, found = charger(hass, call)
        departure = found.get("departure")
        plan_id = call.data.get(ATTR_PLAN) or (departure["id"] if departure else None)
        if plan_id is None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_departure")
        answer = await coordinator.async_command("skip_departure", charger=subject, id=plan_id)
        return {ATTR_PLAN: plan_id, "skipped": answer.get("skipped")}

    async def get_departures(call: ServiceCall) -> ServiceResponse:
        _, _, found = charger(hass, call)
        return {"departures": [_shown_plan(plan) for plan in found.get("departures", [])]}

    return (
        Special("skip_departure", SKIP_DEPARTURE_SCHEMA, skip_departure, SupportsResponse.OPTIONAL),
        Special("get_departures", DEVICE_SCHEMA, get_departures, SupportsResponse.ONLY),
    )


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
