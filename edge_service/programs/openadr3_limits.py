"""OpenADR 3 capacity limits: of an event's payloads the bounds at the point of connection, each with its time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from edge_service.domain.program import CapacityLimit, Direction
from edge_service.domain.timeline import Schedule, ScheduleError, Sight, Stretch, lay_out

# Half hours of three days in both directions; more are a mistake, and each costs time in every cycle.
MOST_LIMITS = 300


@dataclass(frozen=True, slots=True)
class LimitObject:
    """One kind of limit in an event: its bound in watts, by the place of the interval."""

    direction: Direction
    subscribed: bool
    at: Mapping[int, int]


def limits_of(
    found: tuple[LimitObject, ...],
    schedule: Schedule,
    sight: Sight,
    now: datetime,
    *,
    uid: str,
    program: str,
    priority: int | None,
) -> Iterator[CapacityLimit]:
    """The limits that run or come, in absolute times. What goes on for ever has no end: it stands until taken back."""
    for one in found:
        for stretch in islice((part for part in _laid(one, schedule, sight, now) if part.end > now), MOST_LIMITS):
            yield CapacityLimit(
                id=f"{uid}/{one.direction}{'/subscribed' if one.subscribed else ''}/{stretch.start:%Y%m%dT%H%M%SZ}",
                program_id=program,
                direction=one.direction,
                power_w=one.at[stretch.place],
                start=stretch.start,
                end=None if stretch.endless else stretch.end,
                priority=priority,
                subscribed=one.subscribed,
            )


def _laid(one: LimitObject, schedule: Schedule, sight: Sight, now: datetime) -> Iterator[Stretch]:
    try:
        yield from lay_out(schedule, sight, now, one.at)
    except ScheduleError:
        return
