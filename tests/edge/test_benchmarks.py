"""The benchmarks still measure: a figure that nobody can make again is worth nothing. How fast is not asked here."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks import chargers_per_core, decision_cost, event_start, export, recorder_growth, runtime_estimate, season
from benchmarks.figures import Spread, machine, table
from benchmarks.grid_loss import CYCLE, EDGE, HEADS, LANE, Plan, rows, run
from benchmarks.season_world import season as courses_of


async def test_each_loss_of_the_grid_is_measured_to_the_write_that_withdraws_the_order() -> None:
    plan = Plan(latency_ms=5, trials=3, outage_after_s=0.4)
    async with asyncio.timeout(40):
        found = await run(((plan,),))
    taken = found[plan]
    assert {who: (len(one.seconds), one.missed) for who, one in taken.items()} == {
        EDGE: (3, 0),
        LANE: (3, 0),
        CYCLE: (2, 0),
    }
    assert all(seconds > 0 for one in taken.values() for seconds in one.seconds)
    assert len(table(HEADS, rows(found)).splitlines()) == 5


async def test_the_start_of_an_event_is_measured_by_hand_and_from_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_start, "POLL_S", 1.0)
    async with asyncio.timeout(55):
        found = await event_start.run(1, (event_start.HAND, event_start.SERVER))
    assert {who: (len(one.start_s), one.missed) for who, one in found.items()} == {
        event_start.HAND: (1, 0),
        event_start.SERVER: (1, 0),
    }
    assert len(found[event_start.SERVER].pick_up_s) == 1
    assert len(table(event_start.HEADS, event_start.rows(found)).splitlines()) == 5


async def test_a_season_is_run_with_all_that_breaks_in_it_and_summed_up(tmp_path: Path) -> None:
    (course,) = courses_of(seed=7, most=1)
    short = replace(course, end=course.start + timedelta(minutes=20), utility_down=course.start)
    short = replace(
        short, edge_down=course.start + timedelta(minutes=4), charger_down=course.start + timedelta(minutes=12)
    )
    told, rows, usd = await season.run([short], tmp_path)
    assert [one.kind for one in told] == ["event"]
    assert 0 < told[0].automation_wh < told[0].given_wh <= told[0].best_wh + 1
    verdict = season.judged(told, rows, usd)
    assert verdict.usd_by_hand == f"{usd:.2f}"
    assert len(season.printed(verdict).splitlines()) == 12


def test_a_decision_s_cost_is_measured_beside_the_bare_split() -> None:
    found = decision_cost.rows(3, (1, 2))
    assert [row[0] for row in found[:3]] == ["1, at rest", "1, event", "1, fills, tight limit"]
    assert len(found) == 6
    assert all(float(figure) > 0 for row in found for figure in row[2:6])


def test_a_percentile_is_one_of_the_trials() -> None:
    spread = Spread.of([number / 1000 for number in range(1, 201)])
    assert (spread.shortest, spread.p50, spread.p90, spread.p99, spread.longest) == (1, 100, 180, 198, 200)
    assert Spread.of([0.004]) == Spread(1, 4.0, 4.0, 4.0, 4.0, 4.0)


async def test_a_fleet_is_polled_by_the_edge_and_by_the_bare_loop() -> None:
    whos = (chargers_per_core.BARE, chargers_per_core.EDGE)
    async with asyncio.timeout(60):
        found = await chargers_per_core.run([chargers_per_core.Plan(who, 3, 2, 2, settle_s=1) for who in whos])
    assert [one.plan.who for one in found] == list(whos)
    assert all(one.polls > 0 and one.cpu_pct > 0 and one.rss_mb > 0 for one in found)
    assert len(table(chargers_per_core.HEADS, chargers_per_core.rows(found)).splitlines()) == 4


def test_how_long_backup_lasts_is_judged_on_houses_that_nobody_tuned_with() -> None:
    held_back, tuned = (runtime_estimate.houses_of(tuning=tuning) for tuning in (False, True))
    assert not {house.name for house in held_back} & {house.name for house in tuned}
    some = [held_back[0], held_back[-1]]
    found = [runtime_estimate.trial(outage) for outage in runtime_estimate.outages(some, 2, seed=1)]
    assert len(runtime_estimate.rows(found)) == 7
    assert all(one.low_h <= one.mid_h <= one.high_h for one in found)
    assert all(one.true_h > 0 for one in found)
    assert len(runtime_estimate.cost_rows(2)) == 2


def test_an_export_is_timed_beside_a_plain_loop_and_a_dump(tmp_path: Path) -> None:
    found = export.measure(tmp_path, days=2)
    assert len(found) == 5
    assert all(run.seconds > 0 and run.written_mb > 0.1 for run in found)
    assert "| plain CSV loop" in export.report(found, 1.0, machine("pyarrow"))


def test_a_day_of_the_recorder_is_put_together_from_its_stretches() -> None:
    bytes_a_second = {"idle": 50, "event": 200, "outage": 250, "naive": 3000}
    found = [recorder_growth.Stretch(name, 100, 10, 100 * each) for name, each in bytes_a_second.items()]
    day = recorder_growth.composed(found, statistics=0)
    assert day["history_mb"] == round((20 * 50 + 3 * 200 + 1 * 250) * 3600 / 1e6, 1)
    assert day["naive_to_ours"] > 30
    assert [row[-1] for row in recorder_growth.rows(found)] == ["1.0", "4.0", "5.0", "60.0"]
