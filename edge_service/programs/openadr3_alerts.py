"""OpenADR 3 alerts: of an event's ALERT_ payloads the warnings, each with its time. The text is for people only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from edge_service.domain.model import Alert, AlertKind, SlotKind
from edge_service.domain.timeline import FOREVER, Interval, Schedule, ScheduleError, Sight, end_of, resolve

# ALERT_FLEX_ALERT and ALERT_AIR_QUALITY ask nothing of a vehicle that stands here.
ALERTS: Mapping[str, AlertKind] = {f"ALERT_{kind.upper()}": kind for kind in AlertKind if kind is not AlertKind.WEATHER}

# No warning lasts longer, or is given earlier: then it has no end that is worth the name.
LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class AlertObject:
    """One kind of alert in an event: in which of its intervals, and what it says to people."""

    kind: AlertKind
    text: str
    places: frozenset[int]


def alerts_of(
    found: tuple[AlertObject, ...], schedule: Schedule, sight: Sight, now: datetime, *, uid: str, source: str, name: str
) -> Iterator[Alert]:
    """The alerts that run or come, in absolute times. One that does not say for how long has no end."""
    for one in found:
        if schedule.cancelled:
            return
        start, end = _when(_marked(schedule, one.places), sight, now)
        if start is None or start - now > LONGEST:
            continue
        end = None if end is not None and end - max(now, start) > LONGEST else end
        if end is None or end > now:
            yield Alert(f"{uid}/{one.kind}", source, one.kind, one.text or name, start, end)


def _marked(schedule: Schedule, places: frozenset[int]) -> Schedule:
    """The same event, asking for something where it warns and for nothing elsewhere."""
    return replace(
        schedule,
        intervals=tuple(
            Interval(interval.period, SlotKind.NO_CHARGE)
            if number in places
            else Interval(interval.period, speaks=False)
            for number, interval in enumerate(schedule.intervals)
        ),
    )


def _when(schedule: Schedule, sight: Sight, now: datetime) -> tuple[datetime | None, datetime | None]:
    try:
        slots, last = resolve(schedule, sight, now), end_of(schedule, sight)
    except ScheduleError:
        starts = (schedule.intervals[0].period.start, schedule.period.start, sight.anchor)
        return next(start for start in starts if start is not None), None
    if not slots:
        return None, None
    return slots[0].start, None if last is not None and last >= FOREVER else slots[-1].end
