"""What the system health page says of us: how many edges there are, and how it stands with each link."""

from typing import Any

from homeassistant.components.system_health import SystemHealthRegistration
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .coordinator import RidethroughCoordinator
from .times import time_of
from .wire import HIGHEST_SCHEMA, LOWEST_SCHEMA


@callback
def async_register(hass: HomeAssistant, register: SystemHealthRegistration) -> None:
    """Called by Home Assistant when somebody looks."""
    register.async_register_info(_info)


async def _info(hass: HomeAssistant) -> dict[str, Any]:
    entries = hass.config_entries.async_entries(DOMAIN)
    loaded = [entry.runtime_data for entry in entries if entry.state is ConfigEntryState.LOADED]
    return {
        "controllers": f"{len(loaded)}/{len(entries)}",
        "links": sum(coordinator.last_update_success for coordinator in loaded),
        "versions": ", ".join(sorted({coordinator.version for coordinator in loaded})),
        "schemas": f"{LOWEST_SCHEMA}-{HIGHEST_SCHEMA}",
        "utilities": _utilities(loaded),
        "running_since": min((at for one in loaded if (at := time_of(one.data["site"]["started_at"]))), default=None),
    }


def _utilities(coordinators: list[RidethroughCoordinator]) -> str:
    """Servers that answer, of those that are asked."""
    asked = [
        program["connected"]
        for coordinator in coordinators
        for program in coordinator.data["programs"].values()
        if program["connected"] is not None
    ]
    return f"{sum(asked)}/{len(asked)}"
