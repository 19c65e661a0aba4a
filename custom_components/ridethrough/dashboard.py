"""The dashboard that is offered beside Home Assistant's own: a script that the frontend loads."""

from pathlib import Path

from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http import StaticPathConfig
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_integration

from .const import DOMAIN

SCRIPT = Path(__file__).parent / "frontend" / f"{DOMAIN}.js"
ADDRESS = f"/{DOMAIN}/dashboard.js"


async def async_setup_dashboard(hass: HomeAssistant) -> None:
    """Offer it, unless this Home Assistant has no frontend. The version makes browsers fetch a new one."""
    if "frontend" not in hass.config.components:
        return
    integration = await async_get_integration(hass, DOMAIN)
    await hass.http.async_register_static_paths([StaticPathConfig(ADDRESS, str(SCRIPT), cache_headers=True)])
    add_extra_js_url(hass, f"{ADDRESS}?v={integration.version}")
