"""Another controller: what counts as overwriting, what is the charger's own doing, and for how long we yield."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge_service.domain.contest import (
    FIRST_YIELD,
    LONGEST_YIELD,
    OVERWRITES,
    Contest,
    is_charger_s_own_doing,
    is_overwritten,
)
from edge_service.domain.model import (
    Authority,
    ChargerState,
    Hold,
    Limits,
    Order,
    Pause,
    Power,
    Release,
    Stop,
)
from tests.edge.domain.houses import DER, a_reading, after


def contested(*seconds: float) -> Contest:
    contest = Contest()
    for second in seconds:
        contest = contest.now(after(second)).overwritten(after(second))
    return contest


def test_three_overwritten_orders_within_five_minutes_are_another_controller() -> None:
    assert contested(0, 100).since is None
    assert contested(0, 100, 299).since == after(299)


def test_three_in_a_longer_time_are_not() -> None:
    assert contested(0, 150, 300).since is None
    assert contested(0, 150, 300, 400).since == after(400)


def test_we_try_again_after_ten_minutes_and_need_three_again_to_yield() -> None:
    contest = contested(0, 1, 2)
    assert contest.now(after(601)).since == after(2)
    assert contest.now(after(602)).since is None
    assert contest.now(after(602)).overwritten(after(603)).since is None


def test_each_time_in_a_row_we_yield_for_twice_as_long_up_to_an_hour() -> None:
    contest, at, lasted = Contest(), after(0), []
    for _ in range(5):
        for _ in range(OVERWRITES):
            contest = contest.overwritten(at)
        assert contest.until is not None
        lasted.append(contest.until - at)
        at = contest.until
        contest = contest.now(at)
    assert lasted == [FIRST_YIELD, 2 * FIRST_YIELD, 4 * FIRST_YIELD, LONGEST_YIELD, LONGEST_YIELD]
    at += LONGEST_YIELD
    for _ in range(OVERWRITES):
        contest = contest.overwritten(at)
    assert contest.until == at + FIRST_YIELD


def test_a_yielding_from_the_future_is_over() -> None:
    assert contested(0, 1, 2).now(after(-3600)).since is None


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_is_set_changes_nothing_of_what_was_counted(hours: int) -> None:
    by = timedelta(hours=hours)
    assert contested(0, 1).shifted(by).overwritten(after(2) + by).since == after(2) + by
    yielding = contested(0, 1, 2).shifted(by)
    assert yielding.now(after(601) + by).since == after(2) + by
    again = yielding.now(after(602) + by)
    assert again.since is None
    assert again.shifted(-by).overwritten(after(603)).overwritten(after(604)).overwritten(after(605)).yields == 2


@pytest.mark.parametrize(
    ("order", "shows", "overwritten"),
    [
        (Power(-4000), {"setpoint_w": -4000}, False),
        (Power(-4000), {"setpoint_w": -3850}, False),
        (Power(-4000), {"setpoint_w": -3849}, True),
        (Power(-4000), {"setpoint_w": 4000}, True),
        (Power(-4000), {"setpoint_w": None}, True),
        (Power(-4000), {"setpoint_w": 0}, True),
        (Hold(), {"setpoint_w": 0}, False),
        (Hold(), {"setpoint_w": None}, False),
        (Hold(), {"setpoint_w": 2000}, True),
        (Pause(), {"setpoint_w": -2000}, True),
        (Release(), {"setpoint_w": 2000}, False),
        (Stop(), {"setpoint_w": 2000}, False),
        (Power(-4000), {"setpoint_w": -3000, "discharge_max_w": 3000}, False),
        (Power(-4000), {"setpoint_w": -3500, "discharge_max_w": 3000}, True),
        (Power(-4000), {"setpoint_w": 3000, "charge_max_w": 3000, "discharge_max_w": 3000}, True),
        (Power(4000), {"setpoint_w": 3000, "charge_max_w": 3000}, False),
        (Limits(4000, 0), {"limits": Limits(4000, 0)}, False),
        (Limits(4000, 0), {"limits": Limits(2000, 0)}, True),
        (Limits(4000, 0), {"limits": Limits(4000, 5000)}, True),
        (Limits(4000, 0), {"limits": None}, False),
    ],
)
def test_what_counts_as_overwritten(order: Order, shows: dict[str, Any], overwritten: bool) -> None:
    assert is_overwritten(order, a_reading(after(0), **shows), DER, withdrawn=True) is overwritten


def test_a_setpoint_that_may_have_run_out_was_not_withdrawn_by_anybody() -> None:
    assert not is_overwritten(Power(-4000), a_reading(after(0), setpoint_w=None), DER, withdrawn=False)


def test_a_device_of_coarse_steps_may_round() -> None:
    coarse = replace(DER, step_w=240)
    assert not is_overwritten(Power(-4000), a_reading(after(0), setpoint_w=-3600), coarse, withdrawn=True)


@pytest.mark.parametrize(
    "shows",
    [
        {"authority": Authority.LOCAL},
        {"authority": Authority.APP},
        {"authority": Authority.OCPP},
        {"state": ChargerState.FAULT},
        {"state": ChargerState.BOOTING},
        {"grid_present": False},
        {"forming": True},
        {"plugged": False},
        {"service_permitted": False},
    ],
)
def test_what_the_charger_does_by_itself_is_no_contest(shows: dict[str, Any]) -> None:
    assert is_charger_s_own_doing(a_reading(after(0), **shows))


@pytest.mark.parametrize(
    "shows", [{}, {"authority": Authority.UNKNOWN}, {"grid_present": None, "service_permitted": None, "plugged": None}]
)
def test_what_is_not_known_is_no_excuse(shows: dict[str, Any]) -> None:
    assert not is_charger_s_own_doing(a_reading(after(0), **shows))
