"""A difference between the utility's clock and ours is told, and where it is large nothing starts anew."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from edge_service.domain.model import Event
from edge_service.domain.program import Flag

# Beyond this people hear of it; programs of fast dispatch demand as much. The Date header counts whole seconds.
ALARM_S = 5.0
# What is told stays as it is while the clocks drift by less.
_STEADY_S, _STEADY_PART = 2.0, 0.1
_MINUTE_S, _HOUR_S = 60, 3600
_LONGEST_IN_SECONDS, _LONGEST_IN_MINUTES = 120, 7200


class ClockWatch:
    """Compares the clocks at each contact. ``most_s``: no event starts anew beyond this difference."""

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._told_s = 0.0

    def problem(self, skew_s: float | None) -> str | None:
        """A sentence for people, the same while the difference hardly changes. ``skew_s`` > 0: ours is ahead."""
        if skew_s is None or abs(skew_s) <= ALARM_S:
            self._told_s = 0.0
            return None
        if abs(skew_s - self._told_s) > max(_STEADY_S, _STEADY_PART * abs(self._told_s)):
            self._told_s = skew_s
        which = "ahead" if self._told_s > 0 else "behind"
        told = f"Our clock is {_length(abs(self._told_s))} {which} of the utility's"
        if abs(skew_s) <= self._most_s:
            return f"{told}."
        return f"{told}: no event of this program starts until they agree or you say yes to it."

    def doubted(
        self, events: Iterable[Event], skew_s: float | None, given: Mapping[str, Event], now: datetime
    ) -> list[Event]:
        """The events; with clocks too far apart those that do not run yet as given out are left to a person."""
        if skew_s is None or abs(skew_s) <= self._most_s:
            return list(events)
        return [one if _runs(given.get(one.uid), now) else _asking(one) for one in events]


def _runs(event: Event | None, now: datetime) -> bool:
    """It began in good faith: it goes on."""
    return event is not None and event.start <= now and Flag.UNSURE_CLOCK not in event.flags


def _asking(event: Event) -> Event:
    return replace(event, flags=(Flag.UNSURE_CLOCK,), asks=True)


def _length(seconds: float) -> str:
    if seconds < _LONGEST_IN_SECONDS:
        return f"{seconds:.0f} s"
    if seconds < _LONGEST_IN_MINUTES:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.0f} h"
