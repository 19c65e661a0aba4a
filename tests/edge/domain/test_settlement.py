"""Rows and seasons: which season a day is in, what is worth more of two rows, what a bad season brings."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge_service.domain.memory import EventMemory, EventStage
from edge_service.domain.model import Program, Scope
from edge_service.domain.program import Baseline, Flag, Rules, Season
from edge_service.domain.settlement import (
    Outcome,
    Settlement,
    corrected,
    earned_usd,
    paid_w,
    season_at,
    season_of,
    settle,
    stake,
    tally,
)
from tests.edge.domain.houses import T0, after

PEAK = Program("peak", "Peak", "manual", pay_usd_per_kw=275.0, season_events=4)
SUMMER = replace(PEAK, rules=Rules(seasons=(Season("06-01", "09-30"),)))
BOTH = replace(PEAK, rules=Rules(seasons=(Season("06-01", "09-30"), Season("12-01", "03-31"))))
HOUR = timedelta(hours=1)


def row(day: str = "2026-07-15", kw: float = 5.0, **changes: Any) -> Settlement:
    made = Settlement("e1", "peak", "Peak", day, T0, T0 + HOUR, Outcome.SERVED, charger_wh=kw * 1000)
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("program", "day", "dates"),
    [
        (PEAK, "2026-07-15", ("2026-01-01", "2026-12-31")),
        (SUMMER, "2026-06-01", ("2026-06-01", "2026-09-30")),
        (SUMMER, "2026-09-30", ("2026-06-01", "2026-09-30")),
        (SUMMER, "2026-05-31", None),
        (SUMMER, "2026-10-01", None),
        (BOTH, "2026-12-31", ("2026-12-01", "2027-03-31")),
        (BOTH, "2027-01-01", ("2026-12-01", "2027-03-31")),
        (BOTH, "2027-03-31", ("2026-12-01", "2027-03-31")),
        (BOTH, "2027-04-01", None),
    ],
)
def test_a_day_is_in_the_season_that_its_program_says_also_over_the_new_year(
    program: Program, day: str, dates: tuple[str, str] | None
) -> None:
    assert season_of(day, program) == dates


@pytest.mark.parametrize(
    ("program", "today", "first"),
    [
        (SUMMER, "2026-10-01", "2026-06-01"),
        (SUMMER, "2027-05-31", "2026-06-01"),
        (SUMMER, "2027-06-01", "2027-06-01"),
        (BOTH, "2027-02-01", "2026-12-01"),
        (BOTH, "2027-04-15", "2026-12-01"),
    ],
)
def test_between_two_seasons_the_last_one_is_shown(program: Program, today: str, first: str) -> None:
    assert season_at(today, program)[0] == first


def test_an_event_over_the_new_year_counts_in_the_winter_that_it_began_in() -> None:
    rows = [row("2026-12-30"), row("2027-01-02", uid="e2"), row("2027-07-01", uid="e3")]
    made = tally(rows, BOTH, season_at("2027-01-03", BOTH), "2027-01-03")
    assert (made.events, made.year) == (2, 2026)


def test_an_event_out_of_season_is_in_no_season() -> None:
    assert tally([row("2026-05-01")], SUMMER, season_at("2026-07-01", SUMMER), "2026-07-01").events == 0


def test_a_season_that_ends_below_nothing_costs_nothing() -> None:
    made = tally([row(kw=-2)], PEAK, season_at("2027-01-01", replace(PEAK)), "2026-12-31")
    assert made.events == 0
    made = tally([row(kw=-2)], PEAK, ("2026-01-01", "2026-12-31"), "2026-12-31")
    assert (made.usd, made.projection_usd, made.paid_average_w) == (0, 0, -2000)


def test_an_event_without_a_meter_is_not_settled_where_the_street_is_paid() -> None:
    site = replace(PEAK, measure=Scope.SITE)
    made = tally([row(), row(uid="e2", site_wh=3000.0)], site, ("2026-01-01", "2026-12-31"), "2026-07-16")
    assert (made.events, made.unsettled, made.paid_average_w) == (2, 1, 3000)
    # One of four expected events is known to be worth 3 kW; nothing is invented for the other.
    assert round(made.usd or 0, 2) == 206.25


def test_with_a_baseline_what_counts_is_what_was_less_than_usual() -> None:
    program = replace(PEAK, measure=Scope.SITE, baseline=Baseline.TEN_OF_TEN)
    # It would have drawn 1.2 kWh and supplied 3: 4.2 kW less.
    assert paid_w(row(site_wh=3000.0, baseline_wh=-1200.0), program) == 4200
    assert paid_w(row(site_wh=3000.0), program) is None
    assert paid_w(row(site_wh=0.0, outcome=Outcome.OPTED_OUT), program) == 0


@pytest.mark.parametrize(
    "changes", [{"rehearsal": True}, {"dry": True}, {"stage": EventStage.CANCELLED}, {"stage": EventStage.RUNNING}]
)
def test_a_rehearsal_and_a_cancelled_event_make_no_row(changes: dict[str, Any]) -> None:
    account = EventMemory(EventStage.FINISHED, T0, "Peak", "peak", T0, after(3600), charger_wh=5000.0)
    assert settle("e1", account, after(3600)) is not None
    assert settle("e1", replace(account, **changes), after(3600)) is None


def test_an_event_left_out_is_settled_when_it_would_have_ended() -> None:
    account = EventMemory(EventStage.OPTED_OUT, T0, "Peak", "peak", T0, after(3600))
    assert settle("e1", account, after(3599)) is None
    found = settle("e1", account, after(3600))
    assert found is not None
    assert found.outcome is Outcome.OPTED_OUT


def test_of_two_rows_the_one_that_knows_more_stands() -> None:
    whole, torn = row(baseline_wh=-900.0, baseline_note="found"), row(kw=4, gap_s=300.0, site_gap_s=300.0)
    assert corrected(whole, torn) is whole
    assert corrected(torn, row()) == row()
    assert corrected(None, torn) is torn
    assert corrected(whole, row(kw=5.5)) == row(kw=5.5, baseline_wh=-900.0, baseline_note="found")
    longer = row(end=T0 + 2 * HOUR, gap_s=300.0)
    assert corrected(whole, longer) is longer


def test_the_money_of_a_running_event_follows_the_program_s_measure() -> None:
    account = EventMemory(EventStage.RUNNING, T0, "Peak", "peak", T0, after(3600), charger_wh=5000.0, site_wh=4000.0)
    assert earned_usd(account, PEAK) == 5 * 275 / 4
    assert earned_usd(account, replace(PEAK, measure=Scope.SITE)) == 4 * 275 / 4
    per_kwh = replace(PEAK, pay_usd_per_kw=None, pay_usd_per_kwh=2.0)
    assert earned_usd(account, per_kwh) == 10
    assert earned_usd(account, replace(PEAK, baseline=Baseline.TEN_OF_TEN)) is None
    assert earned_usd(replace(account, rehearsal=True), PEAK) is None


def test_where_left_out_events_do_not_count_leaving_out_a_weak_one_costs_nothing() -> None:
    account = EventMemory(EventStage.PREPARED, T0, "Peak", "peak", after(60), after(3660), feasible_w=-2000)
    free = replace(PEAK, opted_out_counts=False)
    season = tally([row(kw=4)], free, ("2026-01-01", "2026-12-31"), "2026-07-16")
    weak, strong = stake(account, free, season, T0), stake(replace(account, feasible_w=-8000), free, season, T0)
    assert weak is not None
    assert strong is not None
    # 4 kW so far: with 2 kW it falls to 3; with 8 kW it rises to 6, by $550.
    assert (weak.usd, strong.usd) == (0, 550)


def test_what_the_program_s_rules_do_not_know_and_nobody_agreed_to_is_none_of_its_events() -> None:
    year, today = ("2026-01-01", "2026-12-31"), "2026-07-16"
    said_no = row(uid="no", kw=0, outcome=Outcome.OPTED_OUT)
    unanswered = replace(said_no, uid="asked", flags=(Flag.HOLIDAY,))
    brief = replace(said_no, uid="brief", flags=(Flag.SHORT_NOTICE,))
    agreed = row(uid="yes", kw=4, flags=(Flag.HOLIDAY,))
    assert tally([row(kw=4), unanswered], PEAK, year, today).average_w == 4000
    assert tally([row(kw=4), said_no], PEAK, year, today).average_w == 2000
    assert tally([row(kw=4), brief], PEAK, year, today).average_w == 2000
    assert tally([row(kw=4), agreed], PEAK, year, today).events == 2
