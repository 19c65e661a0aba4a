"""What a person sends along with a problem: the whole state, what was ordered lately and recorded, without secrets."""

from typing import Any

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.const import CONF_HOST, CONF_TOKEN
from homeassistant.core import HomeAssistant

from .coordinator import RidethroughConfigEntry
from .wire import HIGHEST_SCHEMA, LOWEST_SCHEMA

TO_REDACT = {CONF_HOST, CONF_TOKEN, "serial", "installation", "name", "unique_id", "title"}


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: RidethroughConfigEntry) -> dict[str, Any]:
    """The state document, the link, the last commands and occurrences, and recorded time to make a scenario of."""
    coordinator = entry.runtime_data
    recording = await coordinator.async_recording()
    return {
        "entry": async_redact_data(dict(entry.data), TO_REDACT),
        "installation": REDACTED,
        "edge_version": coordinator.version,
        "schemas": [LOWEST_SCHEMA, HIGHEST_SCHEMA],
        "linked": coordinator.last_update_success,
        "state": async_redact_data(dict(coordinator.data), TO_REDACT),
        "commands": [async_redact_data(command, TO_REDACT) for command in coordinator.commands],
        "occurrences": [async_redact_data(dict(occurrence), TO_REDACT) for occurrence in coordinator.occurrences],
        "recording": None if recording is None else async_redact_data(recording, TO_REDACT),
    }
