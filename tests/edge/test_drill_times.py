"""When drills come by themselves, by the clock on the wall."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from edge_service.domain.memory import DrillMemory, DrillStage
from edge_service.domain.model import DrillSchedule
from edge_service.drill_times import next_drill

ZONE = "America/New_York"
# 08:00 on the wall.
SINCE = datetime(2026, 3, 1, 13, 0, tzinfo=UTC)
MONTHLY = DrillSchedule(30, "10:30", transfer=True, since=SINCE)


def done(scheduled_for: datetime) -> DrillMemory:
    later = scheduled_for + timedelta(days=1)
    return DrillMemory("by hand", DrillStage.PASSED, later, later, True, 120, later, scheduled_for=scheduled_for)


def test_the_first_is_on_the_day_it_was_asked_for_if_its_time_still_comes() -> None:
    assert next_drill(MONTHLY, None, SINCE, ZONE) == datetime(2026, 3, 1, 15, 30, tzinfo=UTC)


def test_a_time_of_day_that_is_over_comes_at_the_next_turn() -> None:
    early = replace(MONTHLY, local_time="07:00")
    assert next_drill(early, None, SINCE, ZONE) == datetime(2026, 3, 31, 11, 0, tzinfo=UTC)


def test_it_stays_at_its_hour_when_the_clocks_change() -> None:
    first = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)
    assert next_drill(MONTHLY, done(first), SINCE + timedelta(days=3), ZONE) == datetime(
        2026, 3, 31, 14, 30, tzinfo=UTC
    )


def test_one_that_has_come_is_due_until_it_was_taken_up() -> None:
    first = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)
    for late in (timedelta(), timedelta(minutes=10), timedelta(days=5)):
        assert next_drill(MONTHLY, None, first + late, ZONE) == first
    following = next_drill(MONTHLY, done(first), first + timedelta(days=5), ZONE)
    assert following == datetime(2026, 3, 31, 14, 30, tzinfo=UTC)


def test_a_drill_by_hand_does_not_move_the_schedule() -> None:
    first = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)
    by_hand = replace(done(first), started_at=first + timedelta(days=29))
    assert next_drill(MONTHLY, by_hand, first + timedelta(days=29), ZONE) == datetime(2026, 3, 31, 14, 30, tzinfo=UTC)


def test_after_a_long_absence_only_the_last_one_is_due() -> None:
    now = SINCE + timedelta(days=200)
    due = next_drill(MONTHLY, None, now, ZONE)
    assert due is not None
    assert timedelta() <= now - due < timedelta(days=30)


@pytest.mark.parametrize("days", [1, 7, 30, 366])
def test_every_time_comes_once_and_no_other(days: int) -> None:
    schedule, last, now = replace(MONTHLY, every_days=days), None, SINCE
    taken: list[datetime] = []
    while len(taken) < 5:
        due = next_drill(schedule, last, now, ZONE)
        assert due is not None
        if due <= now:
            taken.append(due)
            last = done(due)
        else:
            now = due
    steps = {(after - before).days for before, after in pairwise(taken)}
    assert steps <= {days - 1, days}  # an hour short of it when the clocks go forward


@pytest.mark.parametrize(("schedule", "zone"), [(None, ZONE), (MONTHLY, None)])
def test_without_a_schedule_or_a_clock_on_the_wall_none_comes(schedule: DrillSchedule | None, zone: str | None) -> None:
    assert next_drill(schedule, None, SINCE, zone) is None
