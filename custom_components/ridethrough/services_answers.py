"""Actions that only answer: why, and how everything stands."""

from typing import Any

import probatio
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.helpers import config_validation as cv

from .services_frame import SITE_SCHEMA, Special, find, site
from .site_explanation import charger_told, faults, grid_told, site_told
from .wording import words

EXPLAIN_SCHEMA = probatio.All(
    probatio.Schema(
        {
            probatio.Exclusive(ATTR_CONFIG_ENTRY_ID, "target"): cv.string,
            probatio.Exclusive(ATTR_DEVICE_ID, "target"): cv.string,
        }
    ),
    cv.has_at_least_one_key(ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID),
)


def specials(hass: HomeAssistant) -> tuple[Special, ...]:
    """Why, and the status."""

    async def explain(call: ServiceCall) -> ServiceResponse:
        """Of one charger, or of the whole site."""
        if device := call.data.get(ATTR_DEVICE_ID):
            coordinator, subject = find(hass, device, "charger")
            return {"chargers": {subject: charger_told(words(hass), coordinator.data["chargers"][subject])}}
        state = site(hass, call).data
        told: dict[str, Any] = {name: charger_told(words(hass), one) for name, one in state["chargers"].items()}
        return {"site": site_told(words(hass), state), "chargers": told}

    async def get_status(call: ServiceCall) -> ServiceResponse:
        coordinator = site(hass, call)
        state = coordinator.data
        chargers = {
            name: charger_told(words(hass), one) | {"state": one["state"], "charge": one["soc_pct"]}
            for name, one in state["chargers"].items()
        }
        told: dict[str, Any] = {
            "linked": coordinator.last_update_success,
            "site": site_told(words(hass), state),
            "grid_evidence": grid_told(words(hass), state),
            "chargers": chargers,
            "faults": faults(words(hass), state),
        }
        return told

    return (
        Special("explain", EXPLAIN_SCHEMA, explain, SupportsResponse.ONLY),
        Special("get_status", SITE_SCHEMA, get_status, SupportsResponse.ONLY),
    )
