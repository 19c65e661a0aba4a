"""The hours in which people sleep."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Self

# Until somebody chooses.
START, END = "22:00:00", "07:00:00"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` to ``end`` by the clock on the wall, over midnight where ``end`` is the earlier; none where both
    are the same. A night in which the clock is put forward or back is one night."""

    start: time
    end: time
    zone: tzinfo

    @classmethod
    def of(cls, options: Mapping[str, Any], zone: tzinfo) -> Self:
        """As chosen."""
        start, end = options.get("quiet_start", START), options.get("quiet_end", END)
        return cls(time.fromisoformat(start), time.fromisoformat(end), zone)

    def ends_at(self, now: datetime) -> datetime | None:
        """When the night that it is now ends; None: it is none."""
        if self.start == self.end:
            return None
        today = now.astimezone(self.zone).date()
        nights = (self._night(today - timedelta(days=1)), self._night(today))
        return next((end for start, end in nights if start <= now < end), None)

    def _night(self, day: date) -> tuple[datetime, datetime]:
        """The one that begins on this day."""
        morning = day if self.end > self.start else day + timedelta(days=1)
        return self._at(day, self.start), self._at(morning, self.end)

    def _at(self, day: date, wall: time) -> datetime:
        return datetime.combine(day, wall, self.zone).astimezone(UTC)
