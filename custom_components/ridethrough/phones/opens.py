"""What a tap on a message opens: our dashboard where people have made one, else the first one."""

from homeassistant.components.lovelace.const import LOVELACE_DATA, MODE_STORAGE, ConfigNotFound
from homeassistant.core import HomeAssistant

from ..const import DOMAIN

FIRST = "/lovelace"


async def dashboard_path(hass: HomeAssistant) -> str:
    """The path of the first dashboard that is made by our strategy."""
    if LOVELACE_DATA not in hass.data:
        return FIRST
    for path, dashboard in hass.data[LOVELACE_DATA].dashboards.items():
        if path is None or dashboard.mode != MODE_STORAGE:
            continue
        try:
            config = await dashboard.async_load(force=False)
        except ConfigNotFound:
            continue
        if config.get("strategy", {}).get("type") == f"custom:{DOMAIN}":
            return f"/{path}"
    return FIRST
