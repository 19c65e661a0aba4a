"""Outages, before and in them: reserves, storms, drills, loads, how long it lasts."""

from collections.abc import Mapping
from typing import Any, cast

import probatio
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv

from ..const import DOMAIN, STORM_RESERVE_PCT
from .frame import (
    ANY_PERCENT,
    ATTR_CONFIRM,
    ATTR_DURATION,
    ATTR_MILES,
    ATTR_NAME,
    ATTR_RESERVE,
    ATTR_TIME,
    CONFIRM,
    DEVICE,
    PERCENT,
    POWER_KW,
    SITE,
    SITE_SCHEMA,
    DeviceAction,
    SiteAction,
    Special,
    find,
    nothing,
    site,
    until,
    watts,
    with_end,
    word_given,
)

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

END_BACKUP_SCHEMA = probatio.Schema({**SITE, probatio.Required(ATTR_CONFIRM): cv.boolean})
STORM_SCHEMA = with_end(
    {
        **SITE,
        probatio.Optional(ATTR_RESERVE, default=STORM_RESERVE_PCT): PERCENT,
        probatio.Optional(ATTR_NAME): cv.string,
    }
)
POSTPONE_SCHEMA = with_end(SITE)
RESERVE_SCHEMA = probatio.Schema(
    {
        **DEVICE,
        probatio.Optional(ATTR_RESERVE): ANY_PERCENT,
        probatio.Optional(ATTR_MILES): probatio.All(probatio.Coerce(float), probatio.Range(min=0, max=500)),
        **CONFIRM,
    }
)
TAKE_BACK_SCHEMA = probatio.Schema({**DEVICE, **CONFIRM})
AT_END_SCHEMA = probatio.Schema({**SITE, **CONFIRM, probatio.Required(ATTR_AT_END): probatio.In(["stop", "lend"])})
LOAD_SCHEMA = probatio.Schema({**DEVICE, probatio.Required(ATTR_ORDER): probatio.In(["auto", "shed", "on"]), **CONFIRM})
ALERT_SCHEMA = probatio.Schema({**SITE, probatio.Required(ATTR_ALERT): cv.string})
_DRILL: dict[Any, Any] = {
    probatio.Required(ATTR_TRANSFER, default=False): cv.boolean,
    probatio.Optional(ATTR_DURATION): cv.positive_time_period,
    probatio.Optional(ATTR_MEDICAL_SAFE, default=False): cv.boolean,
    probatio.Optional(ATTR_AT_SWITCH, default=False): cv.boolean,
    **CONFIRM,
}
DRILL_SCHEMA = probatio.Schema({**SITE, **_DRILL})
DRILL_SCHEDULE_SCHEMA = probatio.Schema(
    {
        **SITE,
        **_DRILL,
        probatio.Required(ATTR_EVERY_DAYS): probatio.All(probatio.Coerce(int), probatio.Range(min=1, max=366)),
        probatio.Required(ATTR_TIME): cv.time,
    }
)
FORECAST_SCHEMA = probatio.Schema(
    {
        **SITE,
        probatio.Optional(ATTR_WITHOUT): probatio.All(cv.ensure_list, [cv.string]),
        probatio.Optional(ATTR_WITHOUT_POWER): POWER_KW,
        probatio.Optional(ATTR_CHARGE): ANY_PERCENT,
    }
)


def _confirmed(data: Mapping[str, Any]) -> dict[str, Any]:
    if not data[ATTR_CONFIRM]:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="edge_confirm_needed")
    return {"confirm": True}


def _storm(data: Mapping[str, Any]) -> dict[str, Any]:
    name = {"name": data[ATTR_NAME]} if data.get(ATTR_NAME) else {}
    return {**until(data), "reserve_pct": data[ATTR_RESERVE], **name}


def _reserve(data: Mapping[str, Any]) -> dict[str, Any]:
    if (ATTR_RESERVE in data) == (ATTR_MILES in data):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="reserve_how_much")
    much = {"pct": data[ATTR_RESERVE]} if ATTR_RESERVE in data else {"miles": data[ATTR_MILES]}
    return {**much, **word_given(data)}


def _at_end(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"at_end": data[ATTR_AT_END], **word_given(data)}


def _load_order(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"order": data[ATTR_ORDER], **word_given(data)}


def _alert(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"alert": data[ATTR_ALERT]}


def _drill(data: Mapping[str, Any]) -> dict[str, Any]:
    if data[ATTR_TRANSFER] and not data[ATTR_CONFIRM]:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="edge_drill_confirm_needed")
    lasts = {"island_s": data[ATTR_DURATION].total_seconds()} if ATTR_DURATION in data else {}
    said = {word: True for word in (ATTR_MEDICAL_SAFE, ATTR_AT_SWITCH) if data[word]}
    return {"transfer": data[ATTR_TRANSFER], **lasts, **said, **word_given(data)}


def _drill_schedule(data: Mapping[str, Any]) -> dict[str, Any]:
    return {**_drill(data), "every_days": data[ATTR_EVERY_DAYS], "local_time": f"{data[ATTR_TIME]:%H:%M}"}


ACTIONS = (
    DeviceAction("set_drivers_reserve", "charger", "set_drivers_reserve", RESERVE_SCHEMA, _reserve),
    DeviceAction("lend_reserve", "charger", "lend_reserve", RESERVE_SCHEMA, _reserve),
    DeviceAction("take_back_lent", "charger", "take_back_lent", TAKE_BACK_SCHEMA, word_given),
    DeviceAction("set_load", "load", "set_load", LOAD_SCHEMA, _load_order),
)
SITE_ACTIONS = (
    SiteAction("end_backup", END_BACKUP_SCHEMA, _confirmed),
    SiteAction("set_at_end", AT_END_SCHEMA, _at_end),
    SiteAction("prepare_for_storm", STORM_SCHEMA, _storm),
    SiteAction("end_storm", SITE_SCHEMA, nothing),
    SiteAction("opt_out_alert", ALERT_SCHEMA, _alert),
    SiteAction("opt_in_alert", ALERT_SCHEMA, _alert),
    SiteAction("retry_backup", SITE_SCHEMA, nothing),
    SiteAction("postpone_return", POSTPONE_SCHEMA, until),
    SiteAction("start_drill", DRILL_SCHEMA, _drill),
    SiteAction("cancel_drill", SITE_SCHEMA, nothing),
    SiteAction("set_drill_schedule", DRILL_SCHEDULE_SCHEMA, _drill_schedule),
    SiteAction("clear_drill_schedule", SITE_SCHEMA, nothing),
)


def specials(hass: HomeAssistant) -> tuple[Special, ...]:
    """How long backup lasts."""

    async def forecast_runtime(call: ServiceCall) -> ServiceResponse:
        """What if some loads were off, or the vehicle had another charge."""
        args: dict[str, Any] = {}
        coordinator = site(hass, call)
        if groups := call.data.get(ATTR_WITHOUT):
            args["without"] = [find(hass, device, "load")[1] for device in groups]
        if ATTR_WITHOUT_POWER in call.data:
            args["without_w"] = watts(call.data[ATTR_WITHOUT_POWER])
        if ATTR_CHARGE in call.data:
            args["soc_pct"] = call.data[ATTR_CHARGE]
        return cast("ServiceResponse", await coordinator.async_command("forecast_runtime", **args))

    return (Special("forecast_runtime", FORECAST_SCHEMA, forecast_runtime, SupportsResponse.ONLY),)
