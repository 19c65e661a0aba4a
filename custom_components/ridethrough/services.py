"""All actions: what a person orders, sets and asks."""

from homeassistant.core import HomeAssistant, callback

from . import (
    energy_sources,
    services_answers,
    services_backup,
    services_departures,
    services_events,
    services_orders,
)
from .services_frame import Special, register, register_for_site, register_special

ACTIONS = (
    *services_orders.ACTIONS,
    *services_events.ACTIONS,
    *services_departures.ACTIONS,
    *services_backup.ACTIONS,
)
SITE_ACTIONS = (*services_events.SITE_ACTIONS, *services_backup.SITE_ACTIONS)


def specials(hass: HomeAssistant) -> tuple[Special, ...]:
    """Those that do more than to send one command."""
    return (
        *services_orders.specials(hass),
        *services_events.specials(hass),
        *services_departures.specials(hass),
        *services_backup.specials(hass),
        *services_answers.specials(hass),
        *energy_sources.specials(hass),
    )


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register all actions."""
    for action in ACTIONS:
        register(hass, action)
    for site_action in SITE_ACTIONS:
        register_for_site(hass, site_action)
    for special in specials(hass):
        register_special(hass, special)
