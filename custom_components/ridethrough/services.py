"""All actions: what a person orders, sets and asks."""

from homeassistant.core import HomeAssistant, callback

from .actions import answers, backup, departures, energy_dashboard, events, orders
from .actions.frame import Special, register, register_for_site, register_special

ACTIONS = (
    *orders.ACTIONS,
    *events.ACTIONS,
    *departures.ACTIONS,
    *backup.ACTIONS,
)
SITE_ACTIONS = (*events.SITE_ACTIONS, *backup.SITE_ACTIONS)


def specials(hass: HomeAssistant) -> tuple[Special, ...]:
    """Those that do more than to send one command."""
    return (
        *orders.specials(hass),
        *events.specials(hass),
        *departures.specials(hass),
        *backup.specials(hass),
        *answers.specials(hass),
        *energy_dashboard.specials(hass),
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
