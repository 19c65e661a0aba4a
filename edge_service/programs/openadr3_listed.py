"""What an OpenADR 3 server lists for us, as reports need it: also events that ask no power, or only for a report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_service.domain.timeline import Schedule, Sight


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
