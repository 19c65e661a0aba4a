"""What an OpenADR 3 server lists for us, as reports need it: also events that ask no power, or only for a report."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from edge_service.domain.model import Event
from edge_service.domain.timeline import Schedule, Sight, rank


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event of the last good contact that is meant for us, whether or not it asks anything of the vehicles.

    ``id``, ``program_id``: the server's. ``uid``: ours, the same as of the ``Event`` made of it, if one was. Of an
    event for reports only ``schedule`` has no intervals. ``interval_ids`` stand beside ``schedule.intervals``: labels,
    which may repeat; None where there is none. ``report_descriptors`` are raw objects as written by the server, with
    nothing checked but that they are objects; ``program_descriptors`` likewise the program's own payload descriptors
    that are about reports. ``targets`` are the words of 3.1, ``typed_targets`` the (type, value) of 3.0.1.
    """

    id: str
    program_id: str
    uid: str
    name: str
    schedule: Schedule
    sight: Sight
    interval_ids: tuple[int | None, ...] = ()
    report_descriptors: tuple[Mapping[str, Any], ...] = ()
    program_descriptors: tuple[Mapping[str, Any], ...] = ()
    targets: tuple[str, ...] = ()
    typed_targets: frozenset[tuple[str, str]] = frozenset()


def equal_ranks(events: Iterable[Event]) -> str | None:
    """A sentence on two events that ask at the same time with the same priority, about which the standard is silent."""
    running: dict[int | None, Event] = {}
    for event in sorted(events, key=attrgetter("start", "announced_at", "uid")):
        other = running.get(event.priority)
        if other is not None and event.start < other.end and _collide(event, other):
            first, second = sorted((event, other), key=rank)
            return (
                f'The events "{first.name}" ({first.uid}) and "{second.name}" ({second.uid}) have the same priority at '
                "the same time: the one announced first counts."
            )
        if other is None or event.end > other.end:
            running[event.priority] = event
    return None


def _collide(one: Event, other: Event) -> bool:
    starts = [slot.start for slot in other.slots]
    for slot in one.slots:
        before = other.slots[max(0, bisect_right(starts, slot.start) - 1)]
        if before.start <= slot.start < before.end:
            return True
        after = other.slots[min(len(starts) - 1, bisect_right(starts, slot.start))]
        if slot.start <= after.start < slot.end:
            return True
    return False
