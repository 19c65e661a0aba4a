"""What Home Assistant sees and the edge does not: entities that tell of the grid, of warnings, of the island switch.

Unknown stays unknown: an entity that is away, or a Home Assistant that has just started, never says that the grid is
lost.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import CALLBACK_TYPE, Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.helpers.start import async_at_started
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from .const import (
    CONF_ALERTS,
    CONF_CLOSED_PROOF,
    CONF_LOST_STATES,
    CONF_LOST_WHEN_ON,
    CONF_ON_IS_OPEN,
    CONF_OPEN_PROOF,
    CONF_PRESENT_STATES,
    CONF_PRESENT_WHEN_ON,
    CONF_STATE_SENSORS,
    CONF_STREET_SIDE,
    CONF_SWITCH,
)
from .coordinator import RidethroughConfigEntry
from .following import EntityWatch
from .stores import Stored, store_of

# Integrations begin with a state that they made up. One that says "lost" without having said "present" before is
# believed after this long.
SETTLES_AFTER = timedelta(seconds=60)

LONGEST_TEXT = 200

# Attributes in which weather integrations keep what a warning is called.
TITLES = ("headline", "title", "event")

type Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GridEntities:
    """Which entities tell of the grid, and how."""

    present_when_on: tuple[str, ...]
    lost_when_on: tuple[str, ...]
    state_sensors: tuple[str, ...]
    present_states: frozenset[str]
    lost_states: frozenset[str]
    street_side: frozenset[str]

    @classmethod
    def of(cls, options: Options) -> GridEntities:
        """As chosen."""
        return cls(
            tuple(options.get(CONF_PRESENT_WHEN_ON, ())),
            tuple(options.get(CONF_LOST_WHEN_ON, ())),
            tuple(options.get(CONF_STATE_SENSORS, ())),
            frozenset(folded(state) for state in options.get(CONF_PRESENT_STATES, ())),
            frozenset(folded(state) for state in options.get(CONF_LOST_STATES, ())),
            frozenset(options.get(CONF_STREET_SIDE, ())),
        )

    @property
    def all(self) -> tuple[str, ...]:
        """Each entity once."""
        return tuple(dict.fromkeys((*self.present_when_on, *self.lost_when_on, *self.state_sensors)))

    def present(self, state: State | None) -> bool | None:
        """What a state says of the grid; None: nothing."""
        if state is None or state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN):
            return None
        if state.entity_id in self.state_sensors:
            word = folded(state.state)
            return True if word in self.present_states else False if word in self.lost_states else None
        if state.state not in (STATE_ON, STATE_OFF):
            return None
        return (state.state == STATE_ON) is (state.entity_id in self.present_when_on)


def folded(state: str) -> str:
    """A state as it is compared: people write it as they see it."""
    return state.strip().casefold().replace(" ", "_")


class Forwarding:
    """Follows the entities that were chosen in the options of one entry."""

    def __init__(self, hass: HomeAssistant, entry: RidethroughConfigEntry, changed: CALLBACK_TYPE) -> None:
        self._hass, self._entry, self._changed = hass, entry, changed
        self._started_at: datetime | None = None
        # Entities that went from "present" to "lost" before our eyes.
        self._fell: set[str] = set()
        # Warnings that ended before our eyes.
        self._over: set[str] = set()
        self._alerts_since: dict[str, str] = {}
        # Since when warnings stand, so that one is the same after a restart.
        self._store: Store[dict[str, str]] = store_of(hass, entry.entry_id, Stored.ALERTS)
        self._watch = EntityWatch(hass, entry, self._seen)

    @property
    def grid(self) -> GridEntities:
        """The entities that tell of the grid."""
        return GridEntities.of(self._entry.options)

    async def async_start(self) -> None:
        """Remember since when warnings stand, and follow, until the entry is unloaded."""
        self._alerts_since = await self._store.async_load() or {}
        self._entry.async_on_unload(async_at_started(self._hass, self._home_assistant_started))
        self.async_track()

    @callback
    def _home_assistant_started(self, _: HomeAssistant) -> None:
        self._started_at = dt_util.utcnow()
        self._changed()

    @callback
    def async_track(self) -> None:
        """Follow the entities that are chosen now."""
        options = self._entry.options
        proofs = [options.get(key) for key in (CONF_SWITCH, CONF_OPEN_PROOF, CONF_CLOSED_PROOF)]
        self._watch.follow({*self.grid.all, *options.get(CONF_ALERTS, ()), *(entity for entity in proofs if entity)})

    @callback
    def _seen(self, event: Event[EventStateChangedData]) -> None:
        entity, grid = event.data["entity_id"], self.grid
        was, now = grid.present(event.data["old_state"]), grid.present(event.data["new_state"])
        if was is True and now is False and self._started_at is not None:
            self._fell.add(entity)
        elif now is not False:
            self._fell.discard(entity)
        self._see_warning(entity, warns(event.data["old_state"]), warns(event.data["new_state"]))
        self._changed()

    def _see_warning(self, entity: str, was: bool | None, now: bool | None) -> None:
        if was is True and now is False and self._started_at is not None:
            self._over.add(entity)
        elif now is not False:
            self._over.discard(entity)

    # ------------------------------------------------------------------------------------------------ what is told

    def evidence(self) -> list[dict[str, Any]]:
        """Each entity's word on the grid, in the contract's words."""
        grid = self.grid
        return [
            {
                "source": entity,
                "present": self._present(grid, entity),
                "detail": _detail(self._hass.states.get(entity)),
                "position": "grid_side" if entity in grid.street_side else "protected_side",
                "confidence": "likely",
            }
            for entity in grid.all
        ]

    def _present(self, grid: GridEntities, entity: str) -> bool | None:
        """Before Home Assistant has started, an entity may show what it was before, not what is."""
        if self._started_at is None:
            return None
        state = self._hass.states.get(entity)
        present = grid.present(state)
        if present is not False or entity in self._fell:
            return present
        return False if state is not None and self._has_settled(state) else None

    def _has_settled(self, state: State) -> bool:
        now = dt_util.utcnow()
        if self._started_at is None or now - self._started_at < SETTLES_AFTER:
            return False
        return now - state.last_changed >= SETTLES_AFTER

    def alerts(self) -> list[dict[str, Any]] | None:
        """The warnings that stand. One whose entity is away stands on: nobody has taken it back.

        None before Home Assistant has started: a list without a storm that stands would end it.
        """
        if self._started_at is None:
            return None
        chosen = self._entry.options.get(CONF_ALERTS, ())
        before = dict(self._alerts_since)
        for entity in [entity for entity in self._alerts_since if entity not in chosen]:
            del self._alerts_since[entity]
        for entity in chosen:
            self._follow_alert(entity, self._hass.states.get(entity))
        if self._alerts_since != before:
            self._store.async_delay_save(lambda: self._alerts_since, 0)
        return list(self._told_alerts())

    def _follow_alert(self, entity: str, state: State | None) -> None:
        """An end is believed that was seen or stands for a while: entities begin with a state that they made up."""
        stands = warns(state)
        if stands is False and state is not None and (entity in self._over or self._has_settled(state)):
            self._alerts_since.pop(entity, None)
        elif stands and entity not in self._alerts_since:
            self._alerts_since[entity] = dt_util.utcnow().isoformat(timespec="seconds")

    def _told_alerts(self) -> Iterator[dict[str, Any]]:
        for entity, since in self._alerts_since.items():
            name = _title(self._hass.states.get(entity)) or entity
            yield {"id": f"{entity}@{since}", "kind": "weather", "name": name, "start": since, "end": None}

    def switch(self) -> dict[str, Any] | None:
        """Where the island switch stands; proven only by its feedback. None: it is not moved from here."""
        options = self._entry.options
        if not options.get(CONF_SWITCH):
            return None
        return {
            "commanded_open": self.commanded_open,
            "open_proven": self._on(options.get(CONF_OPEN_PROOF)),
            "closed_proven": self._on(options.get(CONF_CLOSED_PROOF)),
        }

    @property
    def commanded_open(self) -> bool | None:
        """What the switch entity was told last, as it shows itself."""
        on = self._on(self._entry.options.get(CONF_SWITCH))
        return None if on is None else on is bool(self._entry.options.get(CONF_ON_IS_OPEN))

    def _on(self, entity: str | None) -> bool | None:
        state = self._hass.states.get(entity) if entity else None
        return {STATE_ON: True, STATE_OFF: False}.get(state.state) if state is not None else None


def warns(state: State | None) -> bool | None:
    """Whether a warning stands: a binary sensor that is on, a number above zero (how many, or how grave)."""
    if state is None or state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN):
        return None
    if state.state in (STATE_ON, STATE_OFF):
        return state.state == STATE_ON
    try:
        return float(state.state) > 0
    except ValueError:
        return None


def _detail(state: State | None) -> str:
    return STATE_UNAVAILABLE if state is None else state.state[:LONGEST_TEXT]


def _title(state: State | None) -> str:
    if state is None:
        return ""
    found = next((text for key in TITLES if isinstance(text := state.attributes.get(key), str) and text), state.name)
    return " ".join(found.split())[:LONGEST_TEXT]
