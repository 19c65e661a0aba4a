"""When the next drill comes by itself, from the site's own clock to an absolute time."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from edge_service.departures import to_utc
from edge_service.domain.memory import DrillMemory
from edge_service.domain.model import DrillSchedule


def next_drill(
    schedule: DrillSchedule | None, last: DrillMemory | None, now: datetime, time_zone: str | None
) -> datetime | None:
    """The latest time that has come and was not taken up, else the next one; None: none is planned."""
    if schedule is None or time_zone is None:
        return None
    done = last.scheduled_for if last is not None else None
    after = schedule.since if done is None else max(schedule.since, done)
    passed = _last_until(schedule, now, time_zone)
    return passed if passed is not None and passed > after else _first_after(schedule, max(after, now), time_zone)


def _time(schedule: DrillSchedule, number: int, time_zone: str) -> datetime:
    zone = ZoneInfo(time_zone)
    day = schedule.since.astimezone(zone).date() + timedelta(days=number * schedule.every_days)
    return to_utc(datetime.combine(day, time.fromisoformat(schedule.local_time)), zone)


def _number(schedule: DrillSchedule, at: datetime) -> int:
    """About how many times lie between the first and ``at``; one too few rather than too many."""
    return max(0, (at - schedule.since).days // schedule.every_days - 1)


def _last_until(schedule: DrillSchedule, now: datetime, time_zone: str) -> datetime | None:
    first = _number(schedule, now)
    times = [_time(schedule, number, time_zone) for number in range(first, first + 4)]
    return max((at for at in times if schedule.since < at <= now), default=None)


def _first_after(schedule: DrillSchedule, after: datetime, time_zone: str) -> datetime | None:
    first = _number(schedule, after)
    times = [_time(schedule, number, time_zone) for number in range(first, first + 4)]
    return min((at for at in times if at > after), default=None)
