"""Actions that only answer: why, how everything stands, and what is in the controller's books."""

import json
from hashlib import sha256
from typing import Any

import probatio
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID, CONF_TOKEN
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from ..client import EdgeError
from ..const import DOMAIN
from ..program_events import events_of
from ..site_explanation import charger_told, faults, grid_told, site_told
from ..wire import State
from ..wording import Words, words
from .books import LOGS, read_log
from .frame import SITE, SITE_SCHEMA, Special, find, site

EXPLAIN_SCHEMA = probatio.All(
    probatio.Schema(
        {
            probatio.Exclusive(ATTR_CONFIG_ENTRY_ID, "target"): cv.string,
            probatio.Exclusive(ATTR_DEVICE_ID, "target"): cv.string,
        }
    ),
    cv.has_at_least_one_key(ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID),
)

ATTR_LOG = "log"
ATTR_YEAR = "year"
EXPORT_SCHEMA = probatio.Schema(
    {
        **SITE,
        probatio.Required(ATTR_LOG, default="settlements"): probatio.In(LOGS),
        probatio.Optional(ATTR_DEVICE_ID): cv.string,
        probatio.Optional(ATTR_YEAR): probatio.All(probatio.Coerce(int), probatio.Range(min=2020, max=2100)),
    }
)


async def explain(call: ServiceCall) -> ServiceResponse:
    """Why: of one charger, or of the whole site."""
    said = words(call.hass)
    if device := call.data.get(ATTR_DEVICE_ID):
        coordinator, subject = find(call.hass, device, "charger")
        found = coordinator.data["chargers"][subject]
        return {"chargers": {subject: charger_told(said, found, events_of(coordinator.data))}}
    state = site(call.hass, call).data
    chargers: dict[str, Any] = _chargers_told(said, state)
    return {"site": site_told(said, state), "chargers": chargers}


async def get_status(call: ServiceCall) -> ServiceResponse:
    """How everything stands, and what needs a person."""
    coordinator, said = site(call.hass, call), words(call.hass)
    state = coordinator.data
    told_of = _chargers_told(said, state)
    chargers = {
        name: told_of[name] | {"state": one["state"], "charge": one["soc_pct"]}
        for name, one in state["chargers"].items()
    }
    told: dict[str, Any] = {
        "linked": coordinator.last_update_success,
        "site": site_told(said, state),
        "grid_evidence": grid_told(said, state),
        "chargers": chargers,
        "faults": faults(said, state),
    }
    return told


async def export_data(call: ServiceCall) -> ServiceResponse:
    """One of the edge's logs, with a hash by which a later copy can be told from a changed one."""
    coordinator, of = site(call.hass, call), call.data[ATTR_LOG]
    session, token = async_get_clientsession(call.hass), coordinator.config_entry.data[CONF_TOKEN]
    try:
        log = await read_log(session, coordinator.address, token, of, _narrowed(call.hass, call))
    except EdgeError as error:
        raise HomeAssistantError(translation_domain=DOMAIN, translation_key="no_link") from error
    if log is None:
        raise HomeAssistantError(translation_domain=DOMAIN, translation_key="edge_unknown_command")
    text = json.dumps(log, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {**log, "sha256": sha256(text.encode()).hexdigest()}


def specials(_: HomeAssistant) -> tuple[Special, ...]:
    """Why, the status, and the books."""
    return (
        Special("explain", EXPLAIN_SCHEMA, explain, SupportsResponse.ONLY),
        Special("get_status", SITE_SCHEMA, get_status, SupportsResponse.ONLY),
        Special("export_data", EXPORT_SCHEMA, export_data, SupportsResponse.ONLY),
    )


def _chargers_told(said: Words, state: State) -> dict[str, Any]:
    events = events_of(state)
    return {name: charger_told(said, one, events) for name, one in state["chargers"].items()}


def _narrowed(hass: HomeAssistant, call: ServiceCall) -> dict[str, str]:
    """Only settlements are of a program and a season. Raises ServiceValidationError."""
    asked = {ATTR_DEVICE_ID, ATTR_YEAR} & call.data.keys()
    if asked and call.data[ATTR_LOG] != "settlements":
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="only_settlements")
    year = {"year": str(call.data[ATTR_YEAR])} if ATTR_YEAR in call.data else {}
    if ATTR_DEVICE_ID not in call.data:
        return year
    return year | {"program": find(hass, call.data[ATTR_DEVICE_ID], "program")[1]}
