"""Carries out what the edge wants of each load group: switches off what is on, puts back exactly that, no more.

It goes by levels, not by edges: what is wanted, what is remembered and what is seen are compared each time anything
changes. What is switched off is on disk before, so that it is put back whenever Home Assistant stops. Without a link to
the edge all stays as it is. Somebody who switches a shed load on wins, until the edge wants it on by itself.
"""

import logging
from asyncio import gather, timeout
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN, UnitOfPower
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
from homeassistant.util.unit_conversion import PowerConverter

from .const import DOMAIN
from .coordinator import RidethroughCoordinator
from .following import EntityWatch, follow_entry
from .load_groups import entities_of, groups_of, power_sensor_of
from .renames import follow_renames
from .stores import Stored, store_of
from .switching import is_off, is_on, put_back, switch_off

_LOGGER = logging.getLogger(__name__)

# An order that is not proven by then is given again.
RETRY_AFTER = timedelta(seconds=15)
# A service that takes longer has lost its device.
PATIENCE_S = 10.0

# Our order is on its way; it is off by us; it is put back.
SWITCHING, SHED, RESTORING = "switching", "shed", "restoring"


class Former(TypedDict):
    """What an entity was before, and how far we are with it."""

    state: str
    phase: str


class Group(TypedDict):
    """What we did to a group. ``kept``: somebody switched a part of it on against the order."""

    kept: bool
    entities: dict[str, Former]


type Memory = dict[str, Group]


class LoadShedding:
    """Carries out the orders for one edge's load groups. ``changed`` is called when there is news to report."""

    def __init__(self, coordinator: RidethroughCoordinator, changed: Callable[[], None]) -> None:
        self._coordinator, self._hass = coordinator, coordinator.hass
        self._entry = coordinator.config_entry
        self._changed = changed
        self._store: Store[Memory] = store_of(coordinator.hass, self._entry.entry_id, Stored.LOADS)
        self._memory: Memory = {}
        self._ordered_at: dict[str, datetime] = {}
        self._watch = EntityWatch(coordinator.hass, self._entry, self._seen)
        self._running = self._again = False

    async def async_start(self) -> None:
        """Remember what was shed, and follow from now on, until the entry is unloaded."""
        self._memory = await self._store.async_load() or {}
        on_unload = self._entry.async_on_unload
        on_unload(self._coordinator.async_add_listener(self._wake))
        on_unload(async_track_time_interval(self._hass, self._tick, RETRY_AFTER))
        follow_entry(self._hass, self._entry, self._entry_changed)
        follow_renames(self._hass, self._entry, self._renamed)
        self._track()
        self._wake()

    # ------------------------------------------------------------------------------------------------ what is seen

    @callback
    def _track(self) -> None:
        groups = groups_of(self._entry).values()
        watched = {entity for group in groups for entity in entities_of(group)}
        watched |= {sensor for group in groups if (sensor := power_sensor_of(group))}
        watched |= {entity for memory in self._memory.values() for entity in memory["entities"]}
        self._watch.follow(watched)

    @callback
    def _entry_changed(self) -> None:
        self._track()
        self._wake()

    @callback
    def _renamed(self, old: str, new: str) -> None:
        """What was shed under its old name is put back under its new one."""
        shed = [memory["entities"] for memory in self._memory.values() if old in memory["entities"]]
        for entities in shed:
            entities[new] = entities.pop(old)
        if shed:
            self._save()

    @callback
    def _tick(self, _: datetime) -> None:
        self._wake()

    @callback
    def _seen(self, event: Event[EventStateChangedData]) -> None:
        entity, old, new = event.data["entity_id"], event.data["old_state"], event.data["new_state"]
        for subject, memory in self._memory.items():
            self._note(subject, memory, entity, old, new)
        self._changed()
        self._wake()

    def _note(self, subject: str, memory: Group, entity: str, old: State | None, new: State | None) -> None:
        """Take over what an entity of a group that we have shed does now."""
        former, group = memory["entities"].get(entity), groups_of(self._entry).get(subject)
        came_on = is_off(old) and is_on(new)
        if former is None:
            if came_on and group is not None and entity in entities_of(group):
                self._keep(subject, memory, entity)
        elif former["phase"] == SHED and came_on:
            self._keep(subject, memory, entity)
        elif former["phase"] == SHED and is_on(new):
            # It lost its own power and came back as such things do. Nobody wanted it on.
            former["phase"] = SWITCHING
            self._ordered_at.pop(entity, None)
        elif former["phase"] == SWITCHING and is_off(new):
            former["phase"] = SHED
            self._save()

    def _keep(self, subject: str, memory: Group, entity: str) -> None:
        _LOGGER.info("%s was switched on by somebody: load group %s is left alone", entity, subject)
        memory["kept"] = True
        memory["entities"].pop(entity, None)
        self._save()

    @callback
    def _save(self) -> None:
        self._store.async_delay_save(lambda: self._memory, 0)

    # ----------------------------------------------------------------------------------------------- what is told

    def loads(self) -> dict[str, dict[str, Any]]:
        """How each group stands, in the contract's words."""
        return {
            subject: {
                "state": self._state(entities_of(group), self._memory.get(subject)),
                "power_w": power_w(self._hass, power_sensor_of(group)),
            }
            for subject, group in groups_of(self._entry).items()
        }

    def _state(self, entities: Iterable[str], memory: Group | None) -> str | None:
        """None: something of it does not answer, so that nobody can say that all of it is off."""
        states = [self._hass.states.get(entity) for entity in entities]
        if any(is_on(state) for state in states):
            return "kept" if memory is not None and memory["kept"] else "on"
        if not all(is_off(state) for state in states):
            return None
        return "shed" if memory is not None and memory["entities"] else "off"

    # ------------------------------------------------------------------------------------------------ what is done

    @callback
    def _wake(self) -> None:
        self._again = True
        if not self._running:
            self._running = True
            self._entry.async_create_background_task(self._hass, self._follow_all(), f"{DOMAIN} loads")

    async def _follow_all(self) -> None:
        try:
            while self._again:
                self._again = False
                for subject in {**groups_of(self._entry), **self._memory}:
                    await self._follow(subject)
        finally:
            self._running = False
        self._changed()

    def _wanted(self, subject: str) -> str | None:
        """None: the edge is away, or knows no such group; then nothing is done. A group that is gone is put back."""
        if subject not in groups_of(self._entry):
            return "on"
        if not self._coordinator.in_step:
            return None
        load = self._coordinator.data.get("loads", {}).get(subject)
        return None if load is None else load["wanted"]

    async def _follow(self, subject: str) -> None:
        wanted, group = self._wanted(subject), groups_of(self._entry).get(subject)
        if wanted == "shed" and group is not None:
            await self._shed(subject, entities_of(group))
        elif wanted == "on" and subject in self._memory:
            await self._restore(subject, list(self._memory[subject]["entities"]))

    async def _shed(self, subject: str, entities: list[str]) -> None:
        memory = self._memory.setdefault(subject, Group(kept=False, entities={}))
        left = [entity for entity in memory["entities"] if entity not in entities]
        if left:
            await self._put_back(memory, left)
        if memory["kept"]:
            return
        changed = False
        for entity in entities:
            changed |= self._remember(memory, entity)
        if changed:
            await self._store.async_save(self._memory)
        await self._order({entity: switch_off(state) for entity, state in self._to_switch_off(memory)})

    def _remember(self, memory: Group, entity: str) -> bool:
        """Whether there is something new to be written down before anything is switched."""
        state, former = self._hass.states.get(entity), memory["entities"].get(entity)
        if former is None:
            if state is None or not is_on(state):
                return False
            memory["entities"][entity] = Former(state=state.state, phase=SWITCHING)
            self._ordered_at.pop(entity, None)
            return True
        phase = SHED if is_off(state) else SWITCHING if is_on(state) else former["phase"]
        if former["phase"] == RESTORING:
            self._ordered_at.pop(entity, None)
        changed, former["phase"] = former["phase"] != phase, phase
        return changed

    def _to_switch_off(self, memory: Group) -> Iterable[tuple[str, State]]:
        for entity, former in memory["entities"].items():
            state = self._hass.states.get(entity)
            if former["phase"] == SWITCHING and state is not None and is_on(state):
                yield entity, state

    async def _restore(self, subject: str, entities: list[str]) -> None:
        memory = self._memory[subject]
        await self._put_back(memory, entities)
        if not memory["entities"] and self._memory.get(subject) is memory:
            del self._memory[subject]
            await self._store.async_save(self._memory)

    async def _put_back(self, memory: Group, entities: list[str]) -> None:
        """As it was, what is off still; what is on again by somebody's hand stays so, what is away waits."""
        orders: dict[str, tuple[str, str, dict[str, Any]]] = {}
        changed = False
        for entity in entities:
            state, former = self._hass.states.get(entity), memory["entities"][entity]
            if is_on(state):
                del memory["entities"][entity]
                changed = True
            elif is_off(state) and state is not None:
                if former["phase"] != RESTORING:
                    former["phase"] = RESTORING
                    changed = True
                    self._ordered_at.pop(entity, None)
                orders[entity] = put_back(state, former["state"])
        if changed:
            await self._store.async_save(self._memory)
        await self._order(orders)
        for entity in orders:
            if is_on(self._hass.states.get(entity)):
                memory["entities"].pop(entity, None)

    async def _order(self, orders: Mapping[str, tuple[str, str, dict[str, Any]]]) -> None:
        now = dt_util.utcnow()
        due = [one for one in orders if one not in self._ordered_at or now - self._ordered_at[one] >= RETRY_AFTER]
        self._ordered_at |= dict.fromkeys(due, now)
        results = await gather(*(self._call(*orders[entity]) for entity in due), return_exceptions=True)
        for entity, result in zip(due, results, strict=True):
            if isinstance(result, Exception):
                _LOGGER.warning(
                    "%s did not switch, it is tried again: %s", entity, str(result) or type(result).__name__
                )

    async def _call(self, domain: str, service: str, data: dict[str, Any]) -> None:
        async with timeout(PATIENCE_S):
            await self._hass.services.async_call(domain, service, data, blocking=True)


def power_w(hass: HomeAssistant, sensor: str | None) -> int | None:
    """What a power sensor says, in watts."""
    state = hass.states.get(sensor) if sensor else None
    if state is None or state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN):
        return None
    unit = state.attributes.get("unit_of_measurement", UnitOfPower.WATT)
    try:
        return round(PowerConverter.convert(float(state.state), unit, UnitOfPower.WATT))
    except ValueError, OverflowError, HomeAssistantError:
        return None
