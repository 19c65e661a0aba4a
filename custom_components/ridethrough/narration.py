"""What happens and what is decided, told in words: one event on the bus for each, which the logbook shows."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID, ATTR_ENTITY_ID, ATTR_NAME, Platform
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import RidethroughCoordinator
from .entity import identifier
from .explanation import BY_WHOM, explained, next_step_of_order
from .program_events import events_of
from .reasons import ORDER_REASONS
from .relevance import Owner
from .wire import ChargerWire, Occurrence
from .wording import Words, measured, words

EVENT_TOLD = f"{DOMAIN}_told"
ATTR_KIND = "kind"
ATTR_MESSAGE = "message"
DECIDED = "decided"

# The history that an occurrence stands in, by its kind of device.
HISTORY = {"site": "outage", "charger": "session", "program": "peak_event"}
# A decision that does not last so long after the one before is not worth a line.
SETTLES = timedelta(seconds=30)


class Narration:
    """Tells what happens at one site, once each."""

    def __init__(self, coordinator: RidethroughCoordinator) -> None:
        self._coordinator, self._hass = coordinator, coordinator.hass
        self._listened: set[Owner] = set()
        self._decided: dict[str, tuple[str | None, datetime]] = {}

    @callback
    def async_start(self) -> None:
        """Follow everything until the entry is unloaded; what is decided already was told before."""
        now = dt_util.utcnow()
        self._decided = {
            name: (_reason(one), now - SETTLES) for name, one in self._coordinator.data["chargers"].items()
        }
        self._coordinator.config_entry.async_on_unload(self._coordinator.async_add_listener(self._look))
        self._listen()

    @callback
    def _look(self) -> None:
        self._listen()
        if self._coordinator.last_update_success:
            for name, charger in self._coordinator.data["chargers"].items():
                self._decision(name, charger)

    def _listen(self) -> None:
        """To the site, and to chargers and programs that come later too."""
        state = self._coordinator.data
        chargers = [("charger", name) for name in state["chargers"]]
        programs = [("program", name) for name in state["programs"]]
        for owner in {("site", "site"), *chargers, *programs} - self._listened:
            self._listened.add(owner)
            stop = self._coordinator.async_listen_occurrences(owner, partial(self._happened, owner))
            self._coordinator.config_entry.async_on_unload(stop)

    def _decision(self, name: str, charger: ChargerWire) -> None:
        now, reason = dt_util.utcnow(), _reason(charger)
        before, at = self._decided.get(name, (None, now - SETTLES))
        if reason is None or reason == before or timedelta(0) <= now - at < SETTLES:
            return
        self._decided[name] = (reason, now)
        told = explained(words(self._hass), charger, events_of(self._coordinator.data))
        text = told.text if told.next_step is None else f"{told.text} {told.next_step}"
        self._tell(("charger", name), DECIDED, text, (Platform.SENSOR, "why"))

    @callback
    def _happened(self, owner: Owner, occurrence: Occurrence) -> None:
        text = told(words(self._hass), occurrence, self._hosts(owner))
        if text is not None:
            self._tell(owner, occurrence["kind"], text, (Platform.EVENT, HISTORY[owner[0]]))

    def _hosts(self, owner: Owner) -> Mapping[str, Any]:
        """What the state knows of the event that an occurrence of a program is about."""
        program = self._coordinator.data["programs"].get(owner[1]) if owner[0] == "program" else None
        return {event["uid"]: event for event in program["events"]} if program is not None else {}

    def _tell(self, owner: Owner, kind: str, text: str, entity: tuple[Platform, str]) -> None:
        installation, (part, subject) = self._coordinator.installation, owner
        entry_id = self._coordinator.config_entry.entry_id
        device = dr.async_get(self._hass).async_get_device_by_identifier(
            identifier(installation, part, subject), entry_id
        )
        entity_id = er.async_get(self._hass).async_get_entity_id(
            entity[0], DOMAIN, f"{installation}-{part}-{subject}-{entity[1]}"
        )
        name = (device.name_by_user or device.name) if device else None
        data = {ATTR_CONFIG_ENTRY_ID: entry_id, ATTR_KIND: kind, ATTR_NAME: name, ATTR_MESSAGE: text}
        found = {ATTR_DEVICE_ID: device.id if device else None, ATTR_ENTITY_ID: entity_id}
        self._hass.bus.async_fire(EVENT_TOLD, data | {key: value for key, value in found.items() if value is not None})


def told(words: Words, occurrence: Occurrence, events: Mapping[str, Any]) -> str | None:
    """An occurrence in a sentence; None: a kind of a later edge."""
    kind, data = occurrence["kind"], dict(occurrence["data"])
    data = {**events.get(str(data.get("uid")), {}), **data}
    known = [name for name, value in data.items() if value is not None]
    keys = (f"told_{kind}_{name}" for name in ("power_w", "reason", "soc_pct", "energy_wh", "score") if name in known)
    key = next((key for key in keys if words.find(key)), f"told_{kind}")
    return words.say(key, **_plain(words, kind, data)) if words.find(key) else None


def _plain(words: Words, kind: str, data: Mapping[str, Any]) -> dict[str, str]:
    """What an occurrence tells, as a person reads it by the unit in its name."""
    plain = {name: one for name, value in data.items() if (one := _value(words, name, value)) is not None}
    reason = str(data.get("reason"))
    if kind.startswith("order_"):
        plain["who"] = words.say(f"who_{BY_WHOM.get(reason, 'charger')}")
        plain["reason"] = words.state("sensor.limited_by", reason if reason in ORDER_REASONS else "other")
        plain["next_step"] = next_step_of_order(words, reason) or ""
    elif "reason" in data:
        plain["reason"] = words.attribute("event.outage", "reason", reason)
    if "alarms" in data:
        alarms = [words.attribute("sensor.why", "limited_by", str(alarm)) for alarm in data["alarms"] or ()]
        plain["alarms"] = ", ".join(alarms) or words.say("step_nothing")
    return plain


def _value(words: Words, name: str, value: Any) -> str | None:
    if name in ("start", "end", "at", "until"):
        return words.clock_of(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value if isinstance(value, str) else None
    return measured(name, value)


def _reason(charger: ChargerWire) -> str | None:
    return charger["why"][-1]["reason"] if charger["why"] else None
