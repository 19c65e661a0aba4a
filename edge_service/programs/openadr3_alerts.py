"""OpenADR 3 alerts: of an event's ALERT_ payloads the warnings, each with its time. The text is for people only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_service.domain.model import Alert, AlertKind
from edge_service.domain.timeline import FOREVER, Schedule, ScheduleError, Sight, end_of, lay_out

# ALERT_AIR_QUALITY asks nothing of a vehicle that stands here; ALERT_FLEX_ALERT asks for power (openadr3_words).
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
        start, end = _when(schedule, one.places, sight, now)
        if start is None or start - now > LONGEST:
            continue
        end = None if end is not None and end - max(now, start) > LONGEST else end
        if end is None or end > now:
            yield Alert(f"{uid}/{one.kind}", source, one.kind, one.text or name, start, end)


def _when(
    schedule: Schedule, places: frozenset[int], sight: Sight, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """From the first to the last interval that warns."""
    try:
        warned, last = lay_out(schedule, sight, now, places), end_of(schedule, sight)
    except ScheduleError:
        starts = (schedule.intervals[0].period.start, schedule.period.start, sight.anchor)
        return next(start for start in starts if start is not None), None
    if not warned:
        return None, None
    return warned[0].start, None if last is not None and last >= FOREVER else warned[-1].end
