"""Calendars that people keep in Home Assistant, told to the edge whole, so that it can serve what stands in them.

What an entry means is the edge's to say. While a calendar cannot be read nothing is told: what the edge has taken in
stands. A calendar that is watched no longer is told to be empty, once.
"""

from asyncio import Event as Waiter, sleep
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from homeassistant.components.calendar import DOMAIN as CALENDAR
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.json import json_dumps
from homeassistant.helpers.start import async_at_started
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from .const import CONF_CALENDAR_PROGRAM, CONF_CALENDARS, DOMAIN
from .coordinator import RidethroughCoordinator
from .following import EntityWatch, follow_entry, follow_links
from .program_events import BY_HAND
from .stores import Stored, store_of

# Calendars change without a word: their state tells of the next entry only.
EVERY = timedelta(minutes=15)
AHEAD = timedelta(days=30)
# An entry that runs is told until it is over.
BACK = timedelta(days=1)
# Several changes at once, as when a calendar is imported, are told as one.
SETTLES_S = 2.0

MOST_PROBLEMS = 5
# The edge takes messages of 64 kB and 500 entries; what does not fit is of a time that is told later.
MOST_BYTES = 48_000
MOST_ENTRIES = 500
LONGEST_DESCRIPTION = 4_000


class Calendars:
    """Tells one edge what stands in the calendars of the options."""

    def __init__(self, coordinator: RidethroughCoordinator) -> None:
        self._coordinator, self._hass = coordinator, coordinator.hass
        self._entry = coordinator.config_entry
        # By calendar the program that the edge was told for, so that one that is left out is taken back.
        self._store: Store[dict[str, str]] = store_of(coordinator.hass, self._entry.entry_id, Stored.CALENDARS)
        self._told: dict[str, str] = {}
        self._started = False
        self._watch = EntityWatch(coordinator.hass, self._entry, self._look)
        self._news = Waiter()

    async def async_start(self) -> None:
        """Tell what stands, and follow, until the entry is unloaded."""
        self._told = await self._store.async_load() or {}
        self._entry.async_on_unload(async_track_time_interval(self._hass, self._look, EVERY))
        follow_links(self._coordinator, self._news.set)
        follow_entry(self._hass, self._entry, self._entry_changed)
        self._entry.async_on_unload(async_at_started(self._hass, self._home_assistant_started))
        self._watch.follow(self._chosen)
        self._entry.async_create_background_task(self._hass, self._tell(), f"{DOMAIN} calendars")

    @property
    def _chosen(self) -> dict[str, str]:
        """The program of each calendar that is watched."""
        program = self._entry.options.get(CONF_CALENDAR_PROGRAM) or BY_HAND
        return dict.fromkeys(self._entry.options.get(CONF_CALENDARS, ()), program)

    @callback
    def _home_assistant_started(self, _: HomeAssistant) -> None:
        """Before, a calendar may still be without its entries."""
        self._started = True
        self._news.set()

    @callback
    def _look(self, _: object) -> None:
        """Time has passed, or a calendar changed."""
        self._news.set()

    @callback
    def _entry_changed(self) -> None:
        self._watch.follow(self._chosen)
        self._news.set()

    async def _tell(self) -> None:
        """Whatever changes while a calendar is read or told is told after it."""
        while True:
            await self._news.wait()
            await sleep(SETTLES_S)
            self._news.clear()
            await self._tell_all()

    async def _tell_all(self) -> None:
        """Take back what is watched no longer, then tell the others; an edge that is too old is told nothing."""
        if not self._started or not self._coordinator.in_step:
            return
        chosen = self._chosen
        for calendar, program in tuple(self._told.items()):
            if chosen.get(calendar) != program and await self._tell_edge(calendar, program, []):
                del self._told[calendar]
                await self._store.async_save(self._told)
        for calendar, program in chosen.items():
            entries = await self._read(calendar)
            if entries is None or not await self._tell_edge(calendar, program, entries):
                continue
            if self._told.get(calendar) != program:
                self._told[calendar] = program
                await self._store.async_save(self._told)

    async def _read(self, calendar: str) -> list[dict[str, Any]] | None:
        """Its entries; None where it cannot be read."""
        state = self._hass.states.get(calendar)
        if state is None or state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN):
            return None
        now = dt_util.utcnow()
        wish = {
            "entity_id": calendar,
            "start_date_time": (now - BACK).isoformat(),
            "end_date_time": (now + AHEAD).isoformat(),
        }
        try:
            answer = await self._hass.services.async_call(
                CALENDAR, "get_events", wish, blocking=True, return_response=True
            )
        except HomeAssistantError as error:
            self._coordinator.logger.info("%s cannot be read: %s", calendar, error)
            return None
        found = (answer or {}).get(calendar)
        events = found.get("events") if isinstance(found, Mapping) else None
        if not isinstance(events, list):
            return None
        return [_entry(event) for event in events if isinstance(event, Mapping)]

    async def _tell_edge(self, calendar: str, program: str, entries: list[dict[str, Any]]) -> bool:
        """Whether the edge took it. What it does not understand of it becomes a repair that says so."""
        fitting, until = _fitting(entries)
        try:
            answer = await self._coordinator.async_command(
                "set_calendar", program=program, calendar=calendar, entries=fitting, until=until
            )
        except HomeAssistantError as error:
            self._coordinator.logger.warning("%s was not taken: %s", calendar, error)
            return False
        self._show(calendar, [str(problem) for problem in answer.get("problems", ())])
        return True

    def _show(self, calendar: str, problems: list[str]) -> None:
        issue = f"calendar_{self._entry.entry_id}_{calendar}"
        if not problems:
            ir.async_delete_issue(self._hass, DOMAIN, issue)
            return
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="calendar_entry_unclear",
            translation_placeholders={"calendar": calendar, "problems": "\n".join(problems[:MOST_PROBLEMS])},
        )


def _fitting(entries: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """The first entries that fit into a message, and up to when they are complete."""
    ordered = sorted(entries, key=lambda entry: str(entry["start"]))
    size = 0
    for count, entry in enumerate(ordered):
        size += len(json_dumps(entry).encode())
        if count == MOST_ENTRIES or size > MOST_BYTES:
            return ordered[:count], str(entry["start"])
    return ordered, (dt_util.utcnow() + AHEAD).isoformat()


def _entry(event: Mapping[str, Any]) -> dict[str, Any]:
    """An entry in the contract's words; the edge tells it from others by its title and start."""
    return {
        "summary": str(event.get("summary") or ""),
        "description": str(event.get("description") or "")[:LONGEST_DESCRIPTION],
        "start": event.get("start"),
        "end": event.get("end"),
    }
