"""A calendar of Home Assistant in which tests write, as people do."""

from datetime import datetime, timedelta
from typing import override

from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util


class Diary(CalendarEntity):
    """``broken``: its server does not answer."""

    _attr_should_poll = False

    def __init__(self, name: str) -> None:
        self._attr_name = name
        self.entries: list[CalendarEvent] = []
        self.broken = False

    @property
    @override
    def event(self) -> CalendarEvent | None:
        return min(self.entries, key=lambda one: one.start_datetime_local, default=None)

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        if self.broken:
            raise HomeAssistantError("the calendar's server does not answer")
        return [
            one for one in self.entries if one.start_datetime_local < end_date and one.end_datetime_local > start_date
        ]

    def write(self, title: str, ahead: timedelta, lasts: timedelta, description: str | None = None) -> CalendarEvent:
        """An entry, so far ahead."""
        start = dt_util.now().replace(microsecond=0) + ahead
        entry = CalendarEvent(start, start + lasts, title, description)
        self.entries.append(entry)
        self.async_write_ha_state()
        return entry
