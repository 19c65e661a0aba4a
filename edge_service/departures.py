"""From what people planned, in the site's own time, to the next departure of each vehicle as an absolute time."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from edge_service.domain.model import Departure, DeparturePlan

# A week of days, one more for a plan whose time of today is over, and one for a zone far from UTC.
_DAYS_AHEAD = 9
_MINUTE = timedelta(minutes=1)
# A departure behind the next one is looked at so long before: a large battery takes a day at a small charger.
LOOKED_AHEAD = timedelta(hours=36)


def next_departures(
    plans: Mapping[str, tuple[DeparturePlan, ...]], now: datetime, time_zone: str | None
) -> dict[str, Departure]:
    """The next departure of each charger's vehicle; chargers without one are left out."""
    coming = {charger: next_departure(of_charger, now, time_zone) for charger, of_charger in plans.items()}
    return {charger: departure for charger, departure in coming.items() if departure is not None}


def next_departure(plans: Iterable[DeparturePlan], now: datetime, time_zone: str | None) -> Departure | None:
    """The earliest departure after ``now``, with those of other plans soon after.

    Of two at the same time the one that asks for more percent comes first.
    """
    times = ((next_time(plan, now, time_zone), plan) for plan in plans)
    coming = [(at, plan) for at, plan in times if at is not None]
    if not coming:
        return None
    coming.sort(key=lambda item: (item[0], -(item[1].soc_pct or 0.0), item[1].id))
    (first_at, first), *others = coming
    later = tuple(_departure(at, plan) for at, plan in others if at - now <= LOOKED_AHEAD)
    return replace(_departure(first_at, first), later=later) if later else _departure(first_at, first)


def _departure(at: datetime, plan: DeparturePlan) -> Departure:
    return Departure(plan.id, at, plan.soc_pct, plan.miles)


def next_time(plan: DeparturePlan, now: datetime, time_zone: str | None) -> datetime | None:
    """When the plan's vehicle leaves next, after ``now`` and after what is skipped; None: never again.

    A weekly plan has no time at a site that does not say in which zone it is.
    """
    after = now if plan.skip_until is None else max(now, plan.skip_until)
    if plan.at is not None:
        return plan.at if plan.at > after else None
    return _next_weekly(plan.weekdays, plan.local_time, after, time_zone)


# Asked each second for the same answer: a plan's next time moves once a day. It holds 40 chargers' plans, twenty each,
# for the week that ends and the one that begins.
@lru_cache(maxsize=2048)
def _first_of_week(weekdays: tuple[int, ...], local_time: str, monday: date, time_zone: str) -> tuple[datetime, ...]:
    zone, at = ZoneInfo(time_zone), time.fromisoformat(local_time)
    days = (monday + timedelta(days=number) for number in range(7 + _DAYS_AHEAD))
    return tuple(to_utc(datetime.combine(day, at), zone) for day in days if day.weekday() in weekdays)


def _next_weekly(
    weekdays: tuple[int, ...], local_time: str | None, after: datetime, time_zone: str | None
) -> datetime | None:
    if local_time is None or time_zone is None or not weekdays:
        return None
    # From the day before: a local day can begin a day before or after that of UTC.
    yesterday = after.date() - timedelta(days=1)
    monday = yesterday - timedelta(days=yesterday.weekday())
    times = _first_of_week(weekdays, local_time, monday, time_zone)
    return next((at for at in times if at > after), None)


def to_utc(local: datetime, zone: tzinfo) -> datetime:
    """The first moment at which clocks show ``local`` (naive); where they skip it, the first moment after the gap."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return first
    return _gap_end(second, first, zone)


def _gap_end(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """When the clocks were put forward, to the minute, between two moments on either side of it."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _MINUTE:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return _whole_minute(after)


def _whole_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def local_date(now: datetime, time_zone: str | None) -> date:
    """The date at the site; by UTC where it does not say in which zone it is."""
    return now.astimezone(ZoneInfo(time_zone) if time_zone else UTC).date()
