"""What a person orders of one charger, once and with an end, and how far it may go at most."""

from asyncio import Event as Waiter, timeout
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import probatio
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv

from ..const import DOMAIN
from ..coordinator import RidethroughCoordinator
from ..times import time_of
from ..wire import ChargerWire
from .frame import (
    ATTR_POWER,
    DEVICE,
    DEVICE_SCHEMA,
    MAX_POWER_KW,
    POWER_KW,
    DeviceAction,
    Special,
    charger,
    kilowatts,
    nothing,
    until,
    watts,
    with_end,
)

ATTR_CHARGE_LIMIT = "charge_limit"
ATTR_DISCHARGE_LIMIT = "discharge_limit"
ATTR_LIFT = "lift"
CHARGING, DISCHARGING = "charging", "discharging"

# The device has answered by then, or the answer says that it has not.
LONGEST_READ_BACK_S = 10.0
# The order is in the device, or it is known why not.
ANSWERED = frozenset({"read_back", "measured", "held", "limited", "refused"})

_LIMIT_KW = probatio.All(probatio.Coerce(float), probatio.Range(min=0, max=MAX_POWER_KW))
LIMIT_SCHEMA = probatio.All(
    probatio.Schema(
        {
            **DEVICE,
            probatio.Optional(ATTR_CHARGE_LIMIT): _LIMIT_KW,
            probatio.Optional(ATTR_DISCHARGE_LIMIT): _LIMIT_KW,
            probatio.Optional(ATTR_LIFT): probatio.All(cv.ensure_list, [probatio.In([CHARGING, DISCHARGING])]),
        }
    ),
    cv.has_at_least_one_key(ATTR_CHARGE_LIMIT, ATTR_DISCHARGE_LIMIT, ATTR_LIFT),
)
HOLD_SCHEMA = with_end(DEVICE)
POWER_SCHEMA = with_end({**DEVICE, probatio.Optional(ATTR_POWER): POWER_KW})

ACTIONS = (DeviceAction("resume", "charger", "resume", DEVICE_SCHEMA, nothing),)


def specials(hass: HomeAssistant) -> tuple[Special, ...]:
    """Orders that are answered with how far they came, and the limits of power."""

    def order(kind: str) -> Callable[[ServiceCall], Any]:
        async def act(call: ServiceCall) -> ServiceResponse:
            coordinator, subject, _ = charger(hass, call)
            args = until(call.data) | ({} if kind == "hold" else {"power_w": watts(call.data.get(ATTR_POWER))})
            await coordinator.async_command(kind, charger=subject, **args)
            if not call.return_response:
                return None
            await _read_back(coordinator, subject, args["until"])
            return _outcome(coordinator.data["chargers"].get(subject), args["until"])

        return act

    async def set_power_limit(call: ServiceCall) -> None:
        coordinator, subject, _ = charger(hass, call)
        await coordinator.async_command("set_power_limit", charger=subject, **_limits(call.data))

    return (
        Special("charge", POWER_SCHEMA, order("charge"), SupportsResponse.OPTIONAL),
        Special("discharge", POWER_SCHEMA, order("discharge"), SupportsResponse.OPTIONAL),
        Special("hold", HOLD_SCHEMA, order("hold"), SupportsResponse.OPTIONAL),
        Special("set_power_limit", LIMIT_SCHEMA, set_power_limit),
    )


def _limits(data: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are told or lifted; the edge leaves another as it is."""
    lift = data.get(ATTR_LIFT, [])
    if (CHARGING in lift and ATTR_CHARGE_LIMIT in data) or (DISCHARGING in lift and ATTR_DISCHARGE_LIMIT in data):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="limit_or_lift")
    told = {"charge_w": ATTR_CHARGE_LIMIT, "discharge_w": ATTR_DISCHARGE_LIMIT}
    limits = {name: watts(data[attribute]) for name, attribute in told.items() if attribute in data}
    lifted = {"charge_w": CHARGING, "discharge_w": DISCHARGING}
    return limits | {name: None for name, way in lifted.items() if way in lift}


def _is_ours(found: ChargerWire | None, end: str) -> bool:
    """The order that stands ends when ours does; the edge may tell whole seconds."""
    manual = found["manual"] if found is not None else None
    told, meant = (time_of(one) for one in (manual["until"] if manual else None, end))
    return told is not None and meant is not None and abs(told - meant) < timedelta(seconds=1)


async def _read_back(coordinator: RidethroughCoordinator, subject: str, end: str) -> None:
    """Wait until the charger holds the order or refused it, or for as long as that may take."""
    news = Waiter()

    @callback
    def look() -> None:
        found = coordinator.data["chargers"].get(subject)
        order = found["order"] if found is not None else None
        if _is_ours(found, end) and order is not None and order["stage"] in ANSWERED:
            news.set()

    stop = coordinator.async_add_listener(look)
    try:
        look()
        async with timeout(LONGEST_READ_BACK_S):
            await news.wait()
    except TimeoutError:
        pass
    finally:
        stop()


def _outcome(found: ChargerWire | None, end: str) -> ServiceResponse:
    """How far the order came; ``stage`` "accepted": the controller has it, and the charger has not answered yet."""
    order = found["order"] if found is not None and _is_ours(found, end) else None
    if order is None:
        return {"stage": "accepted", "reason": None, "power": None, "ends_at": end}
    stage = order["stage"] if order["stage"] in ANSWERED else "accepted"
    return {"stage": stage, "reason": order["reason"], "power": kilowatts(order["power_w"]), "ends_at": end}
