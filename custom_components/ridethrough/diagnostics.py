"""What a person sends along with a problem: the whole state, what was ordered lately and recorded, without secrets."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.const import CONF_HOST, CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceEntry

from .aliases import Aliases
from .const import CONF_FINGERPRINT, DOMAIN
from .coordinator import RidethroughConfigEntry, RidethroughCoordinator
from .wire import HIGHEST_SCHEMA, LOWEST_SCHEMA

TO_REDACT = {
    *(CONF_HOST, CONF_TOKEN, CONF_FINGERPRINT, "serial", "installation", "name", "unique_id", "title"),
    *("url", "client_id", "client_secret", "ven_name", "ven_id", "account", "evcc_id", "latitude", "longitude"),
}

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
    recording, told = await coordinator.async_recording(), _Told(coordinator)
    return {
        **_link(coordinator),
        "entry": async_redact_data(dict(entry.data), TO_REDACT),
        "options": {key: _size(value) for key, value in entry.options.items()},
        "subentries": Counter(subentry.subentry_type for subentry in entry.subentries.values()),
        "state": told.of(coordinator.data),
        "commands": [told.of(command) for command in coordinator.commands],
        "occurrences": [told.of(occurrence) for occurrence in coordinator.history.told],
        "recording": None if recording is None else told.nameless.of(recording),
    }


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: RidethroughConfigEntry, device: DeviceEntry
) -> dict[str, Any]:
    """What is known of one charger, program or load group, or of the site, and what was said of it."""
    coordinator, told = entry.runtime_data, _Told(entry.runtime_data)
    kind, subject = _owner(coordinator, device)
    state = coordinator.data
    parts: dict[str, Mapping[str, Any]] = {
        "charger": state["chargers"],
        "program": state["programs"],
        "load": state.get("loads", {}),
    }
    part: Any = state["site"] if kind == "site" else parts.get(kind, {}).get(subject)
    commands = [command for command in coordinator.commands if _is_of(command["args"], kind, subject)]
    return {
        **_link(coordinator),
        "kind": kind,
        "id": told.aliases.id(subject),
        "part": None if part is None else told.of(part),
        "commands": [told.of(command) for command in commands],
        "occurrences": [told.of(one) for one in coordinator.history.told if one["subject"] == subject],
    }


class _Told:
    """A part of the download without names and ids."""

    def __init__(self, coordinator: RidethroughCoordinator) -> None:
        self.nameless, self.aliases = Nameless(), Aliases(coordinator.data)

    def of(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return self.nameless.of(self.aliases.of(data))


def _link(coordinator: RidethroughCoordinator) -> dict[str, Any]:
    return {
        "installation": REDACTED,
        "edge_version": coordinator.version,
        "schemas": [LOWEST_SCHEMA, HIGHEST_SCHEMA],
        "linked": coordinator.last_update_success,
        "read_only": coordinator.read_only,
    }


def _size(value: Any) -> Any:
    """Of a choice only how much was chosen: entities bear names of people."""
    return len(value) if isinstance(value, list | dict | str) else value


def _owner(coordinator: RidethroughCoordinator, device: DeviceEntry) -> tuple[str, str]:
    """The kind of a device and its id at the edge."""
    named = next((name for domain, name in device.identifiers if domain == DOMAIN), "")
    kind, _, subject = named.removeprefix(coordinator.installation).removeprefix("-").partition("-")
    return (kind, subject) if kind else ("site", "site")


def _is_of(args: Mapping[str, Any], kind: str, subject: str) -> bool:
    named = {args.get("charger"), args.get("program"), args.get("group"), args.get("id")} - {None}
    return subject in named if kind != "site" else not named
