"""The dashboard that is offered beside Home Assistant's own: a script that the frontend loads."""

from pathlib import Path

from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http import StaticPathConfig
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_integration

from .const import DOMAIN

FOLDER = Path(__file__).parent / "frontend"
SCRIPT = f"{DOMAIN}.js"


async def async_setup_dashboard(hass: HomeAssistant) -> None:
    """Offer it, unless this Home Assistant has no frontend."""
    if "frontend" not in hass.config.components:
        return
    integration = await async_get_integration(hass, DOMAIN)
    # Browsers keep what they loaded, so each version has an address of its own, also for what the script imports.
    address = f"/{DOMAIN}_frontend/{integration.version}"
    await hass.http.async_register_static_paths([StaticPathConfig(address, str(FOLDER), cache_headers=True)])
    add_extra_js_url(hass, f"{address}/{SCRIPT}")
