"""Events by hand: "tomorrow from five to eight, 5 kW", for programs that have no signal a home can receive."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from edge_service.domain.model import Event, Slot

UID_PREFIX = "hand:"
LONGEST = timedelta(hours=12)
FARTHEST = timedelta(days=90)
LEAST_W = 1
MOST_W = 1_000_000
LONGEST_NAME = 120


class ManualEventError(ValueError):
    """An event by hand is refused. ``code`` is one of ours, ``data`` what its text needs."""

    def __init__(self, code: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = dict(data or {})


def enter_event(program_id: str, name: str, start: datetime, end: datetime, power_w: int, now: datetime) -> Event:
    """An event that asks the house to supply ``power_w`` > 0 from ``start`` to ``end``, aware times.

    Entering the same again gives the same uid. A start that has passed means at once. Raises ManualEventError.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise ManualEventError("time_without_zone", "start and end need a time zone")
    written, end = start.astimezone(UTC), end.astimezone(UTC)
    _check_times(written, end, now)
    start = max(written, now)
    _check_power(power_w)
    title = " ".join(name.split())
    if not title or len(title) > LONGEST_NAME or not title.isprintable():
        raise ManualEventError(
            "name_invalid", f"the name is one line of 1 to {LONGEST_NAME} characters", {"longest": LONGEST_NAME}
        )
    uid = _uid(program_id, title, written, end, power_w)
    return Event(uid, program_id, title, now, (Slot(start, end, power_w=-power_w),))


def by_hand(event: Event) -> bool:
    """Whether a person entered it, so that a person may take it back."""
    return event.uid.startswith(UID_PREFIX)


def _check_times(start: datetime, end: datetime, now: datetime) -> None:
    if end <= now:
        raise ManualEventError("event_over", "the event would already be over", {"end": end})
    if end <= start:
        raise ManualEventError("end_before_start", "the end is not after the start", {"start": start, "end": end})
    if end - start > LONGEST:
        hours = LONGEST // timedelta(hours=1)
        raise ManualEventError("event_too_long", f"an event lasts at most {hours} hours", {"longest_h": hours})
    if start - now > FARTHEST:
        raise ManualEventError(
            "event_too_far", f"an event starts within {FARTHEST.days} days", {"farthest_d": FARTHEST.days}
        )


def _check_power(power_w: int) -> None:
    if type(power_w) is not int or not LEAST_W <= power_w <= MOST_W:
        raise ManualEventError(
            "power_out_of_bounds",
            f"the power is a whole number of watts from {LEAST_W} to {MOST_W}",
            {"least_w": LEAST_W, "most_w": MOST_W},
        )


def _uid(program_id: str, name: str, start: datetime, end: datetime, power_w: int) -> str:
    told = f"{program_id}|{name}|{start.isoformat()}|{end.isoformat()}|{power_w}"
    return UID_PREFIX + hashlib.sha256(told.encode()).hexdigest()[:16]
