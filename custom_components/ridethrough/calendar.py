"""A program's peak events as a calendar to look at: what was, what runs, what comes."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import override

from homeassistant.components.calendar import CalendarEntity, CalendarEntityDescription, CalendarEvent
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .coordinator import RidethroughConfigEntry, RidethroughCoordinator
from .entity import PROGRAM, RidethroughEntity, Scope, add_as_they_come, always
from .program_entries import description, summary
from .program_events import next_event
from .times import time_of
from .wire import EventWire, ProgramWire
from .wording import words

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class CalendarRow(CalendarEntityDescription):
    """One calendar."""

    exists: Callable[[ProgramWire], bool] = always


PEAK_EVENTS = CalendarRow(key="peak_events", translation_key="peak_events")


class PeakEvents(RidethroughEntity[ProgramWire], CalendarEntity):
    """The events of one program. The utility makes them, so nobody writes here."""

    def __init__(
        self, coordinator: RidethroughCoordinator, scope: Scope[ProgramWire], subject: str, row: CalendarRow
    ) -> None:
        super().__init__(coordinator, scope, subject, row)
        self._event: CalendarEvent | None = None
        self._coming: EventWire | None = None
        self._events: list[EventWire] | None = None
        self._entries: tuple[str, ...] = ()

    @property
    @override
    def event(self) -> CalendarEvent | None:
        """The event that runs, else the next one. Its text has nothing that moves all the time."""
        return self._event

    @override
    def _shown(self, part: ProgramWire) -> Hashable:
        """All events, since a calendar that is open on a screen follows each; worked out anew when one has changed."""
        coming, events = next_event(part), part["events"]
        if coming is not self._coming:
            self._coming = coming
            self._event = None if coming is None else self._entry(coming, moving=False)
        if events is not self._events:
            self._events = events
            self._entries = tuple(str(self._entry(event, moving=False)) for event in events)
        return (str(self._event), self._entries)

    def _entry(self, event: EventWire, *, moving: bool) -> CalendarEvent | None:
        """None for what is called off, or has no length."""
        start, end = time_of(event["start"]), time_of(event["end"])
        if event["status"] == "cancelled" or start is None or end is None or end <= start:
            return None
        said = words(self.hass)
        return CalendarEvent(
            start=dt_util.as_local(start),
            end=dt_util.as_local(end),
            summary=summary(event, said),
            description=description(event, said, moving=moving),
            uid=event["uid"],
        )

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """What overlaps the span that is asked for, by its start."""
        program = self.part
        events = () if program is None else program["events"]
        entries = [entry for event in events if (entry := self._entry(event, moving=True)) is not None]
        start, end = start_date.timestamp(), end_date.timestamp()
        spans = sorted(((*_span(entry), entry) for entry in entries), key=lambda span: span[:2])
        return [entry for first, last, entry in spans if first < end and last > start]


def _span(entry: CalendarEvent) -> tuple[float, float]:
    """On the time line: two times of one zone compare by the wall, and in November an hour of it comes twice."""
    return entry.start_datetime_local.timestamp(), entry.end_datetime_local.timestamp()


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create a calendar for each program."""
    add_as_they_come(entry, async_add_entities, PROGRAM, (PEAK_EVENTS,), PeakEvents)
