"""A charger that does not light the house: told to begin anew, ever more seldom, then only when a person asks."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from edge_service.domain.asked import Asked, CommandRefusedError
from edge_service.domain.commands import carry_out, expire
from edge_service.domain.decide import Decision, decide
from edge_service.domain.island_news import happenings
from edge_service.domain.memory import GridMemory, IslandMemory, IslandStep, LoadsMemory, Memory
from edge_service.domain.model import Grid, Mode, Notice, Release, Settings, Stop
from edge_service.domain.view import View
from tests.edge.domain.houses import T0, a_site, after, an_observation
from tests.edge.scenarios.story import House

S = IslandStep
FACTS = replace(a_site("car"), enter_service_s=10.0, announce_return_s=5.0)
# Few decisions for hours, and every reading fresh.
EVERY_S = 4


class Run:
    """An outage in which the charger forms only if it is let to."""

    def __init__(self) -> None:
        self.house = House(FACTS, grid=False, will_form=False)
        self.memory = Memory(
            grid=GridMemory(Grid.ON, T0, good_since=T0, closed_since=after(-60)), island=IslandMemory(S.TIED, T0, "car")
        )
        self.people = Settings()
        self.seconds = 0
        self.walked: list[IslandStep] = []
        self.stops: list[int] = []
        self.notices: list[Notice] = []
        self.stop_helps = False

    def minutes_pass(self, minutes: float, until: Callable[[Run], bool] = lambda _: False) -> Run:
        end_s = self.seconds + minutes * 60
        while self.seconds < end_s and not until(self):
            self.seconds += EVERY_S
            self._cycle(after(self.seconds))
        return self

    def _cycle(self, now: datetime) -> None:
        self.people = expire(self.people, self.memory, now)
        decision = decide(self.house.observe(now), self.memory, self.people, FACTS)
        self.memory = decision.memory
        self.house.obey(decision)
        self.notices += decision.notices
        if isinstance(decision.orders.get("car"), Stop) and self.walked[-1:] != [S.RETRY]:
            self.stops.append(self.seconds)
            self.house.will_form = self.stop_helps
        if self.walked[-1:] != [decision.memory.island.step]:
            self.walked.append(decision.memory.island.step)
        self._look(decision)

    def _look(self, decision: Decision) -> None:
        """Beyond a nudge in a dark house, and the way back, nothing ever stops the charger."""
        stopped = isinstance(decision.orders.get("car"), Stop)
        assert stopped is (decision.memory.island.step in (S.RETRY, S.STOPPING, S.CLOSING))

    def told(self, kind: str) -> list[Notice]:
        return [notice for notice in self.notices if notice.kind == kind]

    def command(self, name: str, **args: Any) -> None:
        self.people = carry_out(name, Asked(args, self.people, FACTS, self.memory, after(self.seconds), False))


def test_it_is_told_to_begin_anew_after_10_20_40_and_120_minutes_and_then_a_person_has_to_ask() -> None:
    run = Run().minutes_pass(60 * 4)
    dark_s = [0, *run.stops[:-1]]
    waited = [round((stop - since) / 60) for since, stop in zip(dark_s, run.stops, strict=True)]
    assert waited == [11, 21, 41, 121], "each from when it was clear that the last had failed"
    assert run.memory.island.latched
    assert run.memory.island.step is S.DARK
    assert [notice.level for notice in run.told("backup_latched")] == ["critical"]
    run.command("retry_backup")
    run.minutes_pass(60 * 3)
    assert len(run.stops) == 5, "one more, and one only"
    run.command("retry_backup")
    run.stop_helps = True
    run.minutes_pass(2)
    assert run.walked[-1] is S.ISLAND
    assert not run.memory.island.latched


def test_people_are_told_when_it_is_tried_again_and_woken_once() -> None:
    run = Run().minutes_pass(60)
    told = run.told("no_backup")
    assert [notice.level for notice in told] == ["critical", "warning", "warning"]
    planned = [datetime.fromisoformat(notice.data["retry_at"]) for notice in told]
    assert [at - notice.raised_at for at, notice in zip(planned, told, strict=True)] == [
        timedelta(minutes=minutes) for minutes in (10, 20, 40)
    ]


def test_a_charger_that_forms_by_its_own_act_at_any_time_is_followed_and_never_stopped() -> None:
    run = Run().minutes_pass(5)
    run.house.will_form = True
    run.minutes_pass(15)
    assert (run.walked[-1], run.stops) == (S.ISLAND, [])
    assert run.memory.island.retry_at is None


def test_a_charger_that_is_unplugged_is_not_told_to_begin_anew_until_it_is_back() -> None:
    run = Run().minutes_pass(2)
    run.house.pins["car"] = {"plugged": False}
    assert run.minutes_pass(30).stops == []
    del run.house.pins["car"]
    assert len(run.minutes_pass(1).stops) == 1


def test_nothing_is_stopped_while_only_watching() -> None:
    run = Run().minutes_pass(2)
    run.people = Settings(mode=Mode.READ_ONLY)
    assert run.minutes_pass(30).stops == []


def test_with_the_outage_all_of_it_is_forgotten() -> None:
    run = Run().minutes_pass(60)
    assert run.memory.island.retries == 2
    run.house.grid = True
    run.minutes_pass(3)
    island = run.memory.island
    assert (island.step, island.retries, island.retry_at, island.latched) == (S.TIED, 0, None, False)


def test_a_restart_gives_no_retries_anew() -> None:
    run = Run().minutes_pass(60)
    run.memory = run.memory.after_restart()
    run.minutes_pass(5)
    assert (run.memory.island.step, run.memory.island.retries) == (S.DARK, 2)
    assert len(run.minutes_pass(60 * 4).stops) == 4
    run.memory = run.memory.after_restart()
    assert run.minutes_pass(30).memory.island.latched


def test_the_grid_ends_a_nudge_at_once() -> None:
    run = Run().minutes_pass(60, lambda run: run.walked[-1:] == [S.RETRY])
    run.house.grid = True
    run.minutes_pass(1)
    assert run.walked[-1] is S.TIED


@pytest.mark.parametrize("seconds", [5, 20])
def test_there_is_nothing_to_retry_before_an_attempt_has_failed(seconds: int) -> None:
    run = Run().minutes_pass(seconds / 60)
    with pytest.raises(CommandRefusedError, match="no attempt"):
        run.command("retry_backup")


def test_a_person_can_ask_once_more_of_a_switch_that_did_not_open() -> None:
    run = Run()
    run.house.switch_obeys = False
    run.minutes_pass(5)
    assert (run.walked[-1], run.walked.count(S.OPENING)) == (S.TIED, 3)
    run.command("retry_backup")
    assert run.minutes_pass(5).walked.count(S.OPENING) == 4, "one more, and one only"
    run.command("retry_backup")
    run.house.switch_obeys = run.house.will_form = True
    assert run.minutes_pass(1).walked[-1] is S.ISLAND


# ------------------------------------------------------------------------------------------------------------ collapses


def falling(run: Run, times: int, stands_min: float) -> Run:
    run.house.will_form = True
    for _ in range(times):
        run.minutes_pass(stands_min)
        run.house.unable = ["car"]
        run.minutes_pass(0.2)
        run.house.unable = []
    return run.minutes_pass(1)


def test_each_collapse_is_counted_until_an_island_has_stood_for_ten_minutes() -> None:
    run = falling(Run(), 3, stands_min=2)
    assert (run.memory.island.collapses, run.walked[-1], run.stops) == (3, S.ISLAND, [])
    assert run.minutes_pass(11).memory.island.collapses == 0


@pytest.mark.parametrize(
    ("loads", "seen_w", "reason"),
    [
        (LoadsMemory(house_w=9300), -2000, "overload"),
        (LoadsMemory(house_w=2000), -9300, "overload"),
        (LoadsMemory(house_w=6000, leg_w=(5000, 1000)), -6000, "overload"),
        (LoadsMemory(house_w=6000, leg_w=(3000, 3000)), -6000, "unknown"),
        (LoadsMemory(), None, "unknown"),
    ],
)
def test_why_it_fell_is_told_by_the_last_load_against_the_rating(
    loads: LoadsMemory, seen_w: int | None, reason: str
) -> None:
    before = Memory(island=IslandMemory(S.ISLAND, T0, "car"), loads=loads)
    before = replace(before, chargers={"car": replace(before.charger("car"), seen_w=seen_w)})
    after_it = replace(before, island=IslandMemory(S.FORMING, T0, "car", collapses=1))
    view = View(an_observation(1), after_it, Settings(), FACTS, Grid.OUTAGE, supply=None, house_w=None, bands={})  # type: ignore[arg-type]
    (told,) = happenings(view, before, after_it)
    assert (told.kind, told.data["reason"], told.data["count"]) == ("backup_collapsed", reason, 1)


def test_the_charger_is_let_go_of_while_it_begins_anew() -> None:
    run = Run().minutes_pass(60, lambda run: run.walked[-2:] == [S.RETRY, S.FORMING])
    decision = decide(run.house.observe(after(run.seconds + 1)), run.memory, run.people, FACTS)
    assert decision.orders["car"] == Release()
