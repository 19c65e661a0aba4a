"""Finds the like days of an event in the minute rows, for programs that compare with a baseline."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_service.domain.baseline import BEFORE_FROM, BEFORE_TO, LOOKED_BACK_DAYS, STEP, TOO_FEW_DAYS, Day, Found, find
from edge_service.domain.model import SiteFacts
from edge_service.domain.program import Program
from edge_service.domain.settlement import Settlement
from edge_service.journal.grid_minutes import grid_minutes
from edge_service.ledger import Ledger
from edge_service.ports import Clock, Journal, NumberedHappening
from edge_service.programs.rules import is_holiday

type Minutes = Callable[[datetime, datetime], Mapping[datetime, float]]

# The rows of an event's last minutes are on disk by then.
SETTLED_AFTER = timedelta(minutes=3)
OUTAGES_LOOKED_AT = 500
# Of a longer event there is no day like it; and its minutes, times sixty days, would keep a small machine busy.
LONGEST = timedelta(hours=24)
NO_TIME_ZONE = "no_time_zone"

_MINUTE = timedelta(minutes=1)
_SATURDAY = 5


def baseline_of(
    row: Settlement,
    program: Program,
    zone: ZoneInfo,
    minutes: Minutes,
    *,
    excluded: Collection[str] = (),
    is_holiday: Callable[[date], bool] = lambda _: False,
) -> Found:
    """The baseline of an event. ``excluded``: local dates with an event or an outage. Reads files: call it off-loop."""
    length = row.end - row.start
    if length > LONGEST:
        return Found(None, (), TOO_FEW_DAYS)
    own = _day(row.start, length, minutes)
    starts = _like_starts(row.start.astimezone(zone), excluded, is_holiday)
    like_days = (_day(start, length, minutes) for start in starts)
    return find(like_days, own, program.baseline_cap_pct, length)


def _like_starts(start: datetime, excluded: Collection[str], is_holiday: Callable[[date], bool]) -> Iterator[datetime]:
    """The same time on the wall on earlier days of the same kind: working days, or days off."""

    def is_off(day: date) -> bool:
        return day.weekday() >= _SATURDAY or is_holiday(day)

    for back in range(1, LOOKED_BACK_DAYS + 1):
        day = start.date() - timedelta(days=back)
        if is_off(day) == is_off(start.date()) and day.isoformat() not in excluded:
            yield datetime.combine(day, start.timetz())


def _day(start: datetime, length: timedelta, minutes: Minutes) -> Day:
    start_utc = start.astimezone(UTC)
    known = minutes(start_utc - BEFORE_FROM, start_utc + length)
    before = _steps(known, start_utc - BEFORE_FROM, BEFORE_FROM - BEFORE_TO)
    return Day(start.date().isoformat(), _steps(known, start_utc, length), before)


def _steps(known: Mapping[datetime, float], start: datetime, length: timedelta) -> tuple[float | None, ...]:
    """Means over ``STEP`` of the minutes that begin in it; None where none is known."""
    steps: list[float | None] = []
    at, end = start, start + length
    while at < end:
        until = min(at + STEP, end)
        values = [watts for minute, watts in _minutes_in(known, at, until)]
        steps.append(sum(values) / len(values) if values else None)
        at = until
    return tuple(steps)


def _minutes_in(known: Mapping[datetime, float], at: datetime, until: datetime) -> Iterator[tuple[datetime, float]]:
    minute = at.replace(second=0, microsecond=0)
    while minute < until:
        if minute in known:
            yield minute, known[minute]
        minute += _MINUTE


class BaselineFinder:
    """Looks for the baselines that the books want, in a thread of its own."""

    def __init__(self, ledger: Ledger, journal: Journal, folder: Path, clock: Clock) -> None:
        self._ledger, self._journal, self._folder, self._clock = ledger, journal, folder, clock

    async def find_all(self, facts: SiteFacts) -> None:
        """Find those of events that are over for some minutes. Raises OSError."""
        before = self._clock.now() - SETTLED_AFTER
        due = [row for row in self._ledger.without_baseline(facts.programs) if row.end < before]
        if not due:
            return
        outages = await self._journal.last_happenings(("outage_ended",), OUTAGES_LOOKED_AT)
        for row in due:
            found = Found(None, (), NO_TIME_ZONE)
            if facts.time_zone is not None:
                zone, program = ZoneInfo(facts.time_zone), facts.programs[row.program_id]
                search = partial(
                    baseline_of,
                    row,
                    program,
                    zone,
                    partial(grid_minutes, self._folder),
                    excluded=_excluded(self._ledger.rows, outages, zone),
                    is_holiday=partial(is_holiday, program.rules),
                )
                found = await asyncio.to_thread(search)
            self._ledger.set_baseline(row.uid, found)


def _excluded(rows: Sequence[Settlement], outages: Sequence[NumberedHappening], zone: ZoneInfo) -> frozenset[str]:
    """Local dates on which the site did not do what it does by itself: events that were served, and outages."""
    days = {row.day for row in rows if row.run_s > 0}
    for one in outages:
        began = datetime.fromisoformat(str(one.happening.data["started_at"])).astimezone(zone).date()
        ended = one.happening.at.astimezone(zone).date()
        days |= {(began + timedelta(days=more)).isoformat() for more in range((ended - began).days + 1)}
    return frozenset(days)
