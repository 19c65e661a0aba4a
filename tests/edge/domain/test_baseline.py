"""The mean of the ten last like days, adjusted to the day: worked out by hand."""

from dataclasses import replace
from datetime import timedelta

import pytest

from edge_service.domain.baseline import FOUND, NOT_ADJUSTED, NOT_MEASURED, TOO_FEW_DAYS, Day, find

HOUR = timedelta(hours=1)
STEPS, BEFORE = 12, 24


def a_day(number: int, watts: float, before_w: float | None = 800.0) -> Day:
    return Day(f"2026-07-{number:02}", (watts,) * STEPS, (before_w,) * BEFORE)


# Ten days from 1.0 to 1.9 kW: 1.45 kW in the mean.
DAYS = [a_day(20 - place, 1000.0 + 100 * place) for place in range(10)]
OWN = a_day(21, -3000.0)


def test_the_mean_of_ten_days_is_what_would_have_been_drawn() -> None:
    found = find(DAYS, OWN, 20, HOUR)
    assert (found.note, found.adjustment_w) == (FOUND, 0)
    assert found.wh == pytest.approx(-1450)
    assert len(found.days) == 10


def test_an_eleventh_day_and_older_ones_do_not_count() -> None:
    assert find([*DAYS, a_day(1, 90_000.0)], OWN, 20, HOUR) == find(DAYS, OWN, 20, HOUR)


@pytest.mark.parametrize(
    ("before_w", "wh"),
    [
        (1000.0, -1650),  # 200 W more than usual before the event: 200 W more in it
        (700.0, -1350),
        (3000.0, -1740),  # 2200 W more, but 20 % of 1450 W is 290 W
        (-3000.0, -1160),
    ],
)
def test_it_is_adjusted_to_the_day_but_not_beyond_the_cap(before_w: float, wh: float) -> None:
    own = replace(OWN, before_w=(before_w,) * BEFORE)
    assert find(DAYS, own, 20, HOUR).wh == pytest.approx(wh)


def test_a_program_may_set_another_cap() -> None:
    own = replace(OWN, before_w=(3000.0,) * BEFORE)
    assert find(DAYS, own, 0, HOUR).wh == pytest.approx(-1450)
    assert find(DAYS, own, 1000, HOUR).wh == pytest.approx(-3650)


def test_too_few_days_are_said_and_nothing_is_invented() -> None:
    found = find(DAYS[:9], OWN, 20, HOUR)
    assert (found.wh, found.note, len(found.days)) == (None, TOO_FEW_DAYS, 9)


def test_a_day_of_which_too_little_is_known_is_passed_over() -> None:
    torn = replace(DAYS[0], event_w=(None, None, *DAYS[0].event_w[2:]))
    assert find([torn, *DAYS[1:]], OWN, 20, HOUR).note == TOO_FEW_DAYS
    found = find([torn, *DAYS[1:], a_day(9, 1000.0)], OWN, 20, HOUR)
    assert found.wh == pytest.approx(-1450)
    assert found.days[-1] == "2026-07-09"


def test_only_the_parts_of_the_event_that_were_measured_are_compared() -> None:
    own = replace(OWN, event_w=(*OWN.event_w[:6], *(None,) * 6))
    assert find(DAYS, own, 20, HOUR).wh == pytest.approx(-725)


def test_an_event_that_nobody_measured_has_no_baseline() -> None:
    assert find(DAYS, replace(OWN, event_w=(None,) * STEPS), 20, HOUR).note == NOT_MEASURED


def test_a_morning_that_nobody_measured_adjusts_nothing_and_says_so() -> None:
    found = find(DAYS, replace(OWN, before_w=(None,) * BEFORE), 20, HOUR)
    assert found.wh == pytest.approx(-1450)
    assert found.note == NOT_ADJUSTED


def test_the_last_step_of_an_odd_event_counts_for_its_own_length() -> None:
    days = [replace(day, event_w=day.event_w[:2]) for day in DAYS]
    own = replace(OWN, event_w=OWN.event_w[:2])
    assert find(days, own, 20, timedelta(minutes=6)).wh == pytest.approx(-145)
