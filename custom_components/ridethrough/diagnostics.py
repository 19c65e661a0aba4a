"""What a person sends along with a problem: the whole state, what was ordered lately and recorded, without secrets."""

import re
from collections.abc import Mapping
from typing import Any

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.const import CONF_HOST, CONF_TOKEN
from homeassistant.core import HomeAssistant

from .coordinator import RidethroughConfigEntry
from .wire import HIGHEST_SCHEMA, LOWEST_SCHEMA

TO_REDACT = {CONF_HOST, CONF_TOKEN, "serial", "installation", "name", "unique_id", "title"}

# Of a plan to leave: the state's parts and the commands that hold its id.
DEPARTURES = frozenset({"departure", "departures"})
OF_A_DEPARTURE = frozenset({"set_departure", "clear_departure", "skip_departure"})

RENAMED = re.compile(r"plan_\d+")


class Nameless:
    """Takes secrets and names out. Plans to leave are told apart by what people call them: they get other names."""

    def __init__(self) -> None:
        self._plans: dict[str, str] = {}

    def of(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """A part of the download."""
        return async_redact_data(self._renamed(dict(data), holds_plan=data.get("command") in OF_A_DEPARTURE), TO_REDACT)

    def _renamed(self, node: Any, *, holds_plan: bool) -> Any:
        if isinstance(node, list):
            return [self._renamed(item, holds_plan=holds_plan) for item in node]
        if isinstance(node, dict):
            return {key: self._value(key, value, holds_plan=holds_plan) for key, value in node.items()}
        return node

    def _value(self, key: str, value: Any, *, holds_plan: bool) -> Any:
        if isinstance(value, str) and (key == "plan_id" or (holds_plan and key == "id")):
            if RENAMED.fullmatch(value):  # by the edge, in a recording that says it elsewhere too
                return value
            return self._plans.setdefault(value, f"plan_{len(self._plans) + 1}")
        return self._renamed(value, holds_plan=holds_plan or key in DEPARTURES)


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: RidethroughConfigEntry) -> dict[str, Any]:
    """The state document, the link, the last commands and occurrences, and recorded time to make a scenario of."""
    coordinator = entry.runtime_data
    recording, nameless = await coordinator.async_recording(), Nameless()
    return {
        "entry": async_redact_data(dict(entry.data), TO_REDACT),
        "installation": REDACTED,
        "edge_version": coordinator.version,
        "schemas": [LOWEST_SCHEMA, HIGHEST_SCHEMA],
        "linked": coordinator.last_update_success,
        "state": nameless.of(coordinator.data),
        "commands": [nameless.of(command) for command in coordinator.commands],
        "occurrences": [nameless.of(occurrence) for occurrence in coordinator.history.told],
        "recording": None if recording is None else nameless.of(recording),
    }
