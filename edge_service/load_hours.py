"""Which load groups matter at this moment, from the hours that people named by the site's own clock."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from edge_service.departures import to_utc
from edge_service.domain.model import LoadGroup

type Spans = tuple[tuple[str, str], ...]

NONE: frozenset[str] = frozenset()
# Around a day of UTC: what began on the local day before may last over midnight, and zones are up to 14 h away.
_DAYS = range(-2, 3)


def out_of_hours(groups: Mapping[str, LoadGroup], now: datetime, time_zone: str | None) -> frozenset[str]:
    """The groups that do not matter now. A site that does not say in which zone it is has none."""
    if time_zone is None:
        return NONE
    timed = {name: group.hours for name, group in groups.items() if group.hours}
    return frozenset(name for name, hours in timed.items() if not _is_within(hours, now, time_zone))


def _is_within(hours: Spans, now: datetime, time_zone: str) -> bool:
    return any(start <= now < end for start, end in _around(hours, now.astimezone(UTC).date(), time_zone))


# Asked each second for the same answer: 64 groups at most, a day that ends and one that begins.
@lru_cache(maxsize=256)
def _around(hours: Spans, day: date, time_zone: str) -> tuple[tuple[datetime, datetime], ...]:
    zone = ZoneInfo(time_zone)
    days = [day + timedelta(days=number) for number in _DAYS]
    return tuple(_absolute(one, span, zone) for one in days for span in hours)


def _absolute(day: date, span: tuple[str, str], zone: tzinfo) -> tuple[datetime, datetime]:
    """Where the clocks show an hour twice, it begins at the first and ends at the last: once, and never too short."""
    start, end = (time.fromisoformat(text) for text in span)
    last_day = day if start < end else day + timedelta(days=1)
    return to_utc(datetime.combine(day, start), zone), _last(datetime.combine(last_day, end), zone)


def _last(local: datetime, zone: tzinfo) -> datetime:
    """The last moment at which clocks show ``local`` (naive); where they skip it, the first moment after the gap."""
    return max(to_utc(local, zone), local.replace(tzinfo=zone, fold=1).astimezone(UTC))
