"""What people are told about events, chargers and the reserve: once, truly, and again when it has changed."""

from dataclasses import replace
from typing import Any

import pytest

from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import EventStage, Gap, GridMemory, IslandMemory, IslandStep, Memory
from edge_service.domain.model import (
    AtEnd,
    Backup,
    Event,
    Grid,
    Observation,
    Settings,
    SiteFacts,
    Slot,
    frozen_map,
)
from tests.edge.domain.houses import DER, T0, a_meter, a_reading, a_site, after, an_event, an_observation

FACTS = a_site()
EVENT = an_event("e1", 20, 60)


class Life:
    """Decisions one after the other, and all that was told."""

    def __init__(self, facts: SiteFacts = FACTS, settings: Settings | None = None) -> None:
        self.facts, self.settings, self.memory = facts, settings or Settings(), Memory()
        self.happened: list[str] = []
        self.told: list[str] = []

    def at(self, seconds: float, *events: Event, lost: bool = False, **charger: Any) -> Decision:
        if lost:
            charger = {"grid_present": False, "voltage_v": 0.0} | charger
        volts = 0.0 if lost else 240.0
        seen = an_observation(seconds, {"car": charger}, events=events, meter=a_meter(after(seconds), voltage_v=volts))
        return self.sees(seen)

    def sees(self, observation: Observation) -> Decision:
        decision = decide(observation, self.memory, self.settings, self.facts)
        self.memory = decision.memory
        self.happened += [happening.kind for happening in decision.happenings]
        self.told += [f"{notice.key} {notice.kind}" for notice in decision.notices]
        return decision

    def stage(self, uid: str = "e1") -> EventStage:
        return self.memory.events[uid].stage

    def opts_out(self, *uids: str) -> None:
        self.settings = replace(self.settings, opted_out=frozenset(uids))


def ready(**given: Any) -> Life:
    life = Life(**given)
    life.at(0)
    life.at(3)
    return life


def served(life: Life, *seconds: float, event: Event = EVENT) -> None:
    for second in seconds:
        life.at(second, event, power_w=-5000 if event.start < after(second) else 0)


def test_an_event_is_announced_started_and_completed_once() -> None:
    life = ready()
    served(life, 4, 5, 20, 30, 40, 50, 60, 61)
    life.at(62)
    assert life.happened == ["event_announced", "event_soon", "event_started", "event_completed"]
    assert life.told == ["event:e1 event_announced", "event:e1 event_result"]


def test_an_event_that_changes_is_told_again() -> None:
    life = ready()
    life.at(4, EVENT)
    longer = an_event("e1", 20, 90)
    assert [notice.data["end"] for notice in life.at(5, longer).notices] == [after(90).isoformat()]
    life.at(6, longer)
    life.at(7, an_event("e1", 20, 90, -7000))
    assert life.told == ["event:e1 event_announced"] * 3
    assert life.happened == ["event_announced", "event_soon", "event_updated", "event_updated"]


def test_after_a_restart_in_an_event_it_is_not_announced_again() -> None:
    life = ready()
    served(life, 4, 20, 25)
    life.memory = life.memory.after_restart()
    served(life, 26, 27, 29, 30)
    assert life.stage() is EventStage.RUNNING
    assert life.told == ["event:e1 event_announced"]
    assert life.happened == ["event_announced", "event_soon", "event_started"]


def test_an_opt_out_and_in_during_an_event() -> None:
    life = ready()
    served(life, 4, 20, 25)
    life.opts_out("e1")
    assert life.at(26, EVENT, power_w=-5000).cleared == ("event:e1",)
    delivered = life.memory.events["e1"].charger_wh
    assert delivered > 0
    life.at(30, EVENT, power_w=0)
    life.opts_out()
    life.at(31, EVENT)
    assert life.happened[3:] == ["event_opted_out", "event_opted_in", "event_resumed"]
    served(life, 40, 60)
    assert life.stage() is EventStage.FINISHED
    assert life.memory.events["e1"].charger_wh > delivered


def test_an_event_opted_out_of_ends_without_a_word() -> None:
    life = ready()
    life.at(4, EVENT)
    life.opts_out("e1")
    for second in (5, 20, 40, 60, 70):
        life.at(second, EVENT)
    life.opts_out()
    life.at(80, EVENT)
    assert life.stage() is EventStage.OPTED_OUT
    assert life.happened == ["event_announced", "event_soon", "event_opted_out"]


def test_who_does_not_take_part_is_not_told_of_events() -> None:
    life = ready(settings=Settings(not_participating=frozenset({"peak"})))
    life.at(4, EVENT)
    life.at(5, EVENT)
    assert life.told == []
    assert life.stage() is EventStage.OPTED_OUT


def test_an_event_that_was_cancelled_before_it_was_seen_is_not_told() -> None:
    life = ready()
    life.at(4, replace(EVENT, cancelled=True))
    assert life.told == life.happened == []


@pytest.mark.parametrize("gone", [(), (replace(EVENT, cancelled=True),)])
def test_a_cancelled_event_that_comes_back_is_served_and_counted(gone: tuple[Event, ...]) -> None:
    life = ready()
    life.at(4, EVENT)
    life.at(5, *gone)
    life.at(6, *gone)
    assert life.stage() is EventStage.CANCELLED
    served(life, 7, 20, 30, 40, 50, 60)
    assert life.stage() is EventStage.FINISHED
    assert life.memory.events["e1"].charger_wh > 0
    assert life.happened[:4] == ["event_announced", "event_soon", "event_cancelled", "event_announced"]


def test_an_event_made_longer_after_its_end_goes_on_counting() -> None:
    life = ready()
    served(life, 4, 20, 30, 40, 50, 60)
    assert life.stage() is EventStage.FINISHED
    served(life, 61, 65, 70, event=an_event("e1", 20, 90))
    assert life.stage() is EventStage.RUNNING
    assert life.happened[-1] == "event_resumed"


def test_an_event_that_begins_in_an_outage_starts_when_the_grid_is_back_and_is_not_called_resumed() -> None:
    life = ready(facts=replace(FACTS, switch=None, enter_service_s=5.0))
    life.at(4, EVENT)
    for second in (18, 20, 21, 22):
        life.at(second, EVENT, lost=True)
    assert life.stage() is EventStage.INTERRUPTED
    for second in range(23, 32):
        life.at(second, EVENT)
    assert life.stage() is EventStage.RUNNING
    assert "event_started" in life.happened
    assert "event_resumed" not in life.happened


def test_nothing_delivered_is_a_missed_event() -> None:
    life = ready()
    for second in (4, 20, 30, 40, 50, 60):
        life.at(second, EVENT, plugged=False)
    assert life.stage() is EventStage.MISSED
    assert life.told[-1] == "event:e1 event_result"


def test_time_without_a_decision_is_not_filled_with_energy() -> None:
    life = ready()
    served(life, 4, 20, 21)
    served(life, 59)
    account = life.memory.events["e1"]
    assert account.charger_wh == pytest.approx(5000 * 0.5 / 3600)
    assert (account.gap_s, account.site_gap_s) == (38, 38)
    assert account.gaps == (Gap(after(21), after(59)),)


def test_an_event_that_ended_while_nobody_watched_has_a_gap_to_its_end() -> None:
    life = ready()
    served(life, 4, 20, 30)
    life.memory = life.memory.after_restart()
    life.at(100)
    account = life.memory.events["e1"]
    assert account.stage is EventStage.FINISHED
    assert (account.gap_s, account.site_gap_s) == (30, 30)
    assert account.gaps == (Gap(after(30), after(60)),)


def test_the_account_of_a_whole_event_adds_up() -> None:
    life = ready()
    life.at(4, EVENT)
    served(life, *range(20, 61))
    account = life.memory.events["e1"]
    assert (account.run_s, account.gap_s) == (40, 0)
    # Up from nothing in the first second, which counts half.
    assert account.charger_wh == pytest.approx(5000 * 39.5 / 3600)
    assert account.average_w == pytest.approx(5000 * 39.5 / 40)


def test_results_of_forgotten_events_do_not_stand_for_ever() -> None:
    life = ready()
    for number in range(30):
        start = 100 * number + 20
        event = Event(f"e{number}", "peak", "Peak", T0, (Slot(after(start), after(start + 20), power_w=-5000),))
        for second in (start - 5, start, start + 10, start + 20, start + 21):
            life.at(second, event, power_w=-5000)
    assert len(life.memory.events) <= 21
    assert len(life.memory.notices) <= 21


# ------------------------------------------------------------------------------------------------- chargers and outages


def test_a_charger_that_is_silent_for_a_moment_wakes_nobody() -> None:
    life = ready()
    reading = a_reading(after(3))
    for second in [*range(4, 30), *range(40, 55)]:
        stale = frozen_map({"car": reading if second < 30 else a_reading(after(35))})
        life.sees(replace(an_observation(second), chargers=stale))
    life.at(56)
    assert life.told == []


def test_a_charger_that_stays_silent_is_told_once_and_cleared() -> None:
    life = ready()
    for second in range(4, 120):
        life.sees(replace(an_observation(second), chargers=frozen_map({"car": None})))
    assert life.told == ["offline:car charger_offline"]
    assert life.at(121).cleared == ("offline:car",)


def outage_without_switch(house_v: float = 0.0, **capability: Any) -> Life:
    """``house_v``: what the charger measures on the house's side while the grid is lost."""
    chargers = {"car": replace(FACTS.chargers["car"], capability=replace(DER, **capability))}
    life = ready(facts=replace(FACTS, switch=None, chargers=frozen_map(chargers), enter_service_s=5.0))
    for second in range(4, 10):
        life.at(second, lost=True, voltage_v=house_v)
    for second in range(10, 20):
        life.at(second)
    return life


def test_without_backup_people_are_told_so_once_and_not_again_when_the_grid_comes_back() -> None:
    assert outage_without_switch().told == ["outage no_backup", "outage power_back"]


def test_where_the_vendor_backs_up_nobody_is_told_that_nothing_does() -> None:
    told = outage_without_switch(house_v=240.0, backup=Backup.VENDOR).told
    assert told == ["outage outage", "outage power_back"]


def test_a_vendors_backup_that_leaves_the_house_dark_is_told_as_none() -> None:
    assert outage_without_switch(house_v=0.0, backup=Backup.VENDOR).told == ["outage no_backup", "outage power_back"]


def in_island(soc_pct: float, settings: Settings | None = None, **more: Any) -> Life:
    life = Life(settings=settings)
    life.memory = Memory(
        at=T0,
        grid=GridMemory(Grid.OUTAGE, T0, lost_since=T0),
        island=IslandMemory(IslandStep.ISLAND, T0, "car"),
    )
    carries(life, 1, soc_pct, **more)
    return life


def carries(life: Life, seconds: float, soc_pct: float | None, volts: float = 0.0, **more: Any) -> Decision:
    forming = {"forming": True, "grid_present": None, "power_w": -1200, "soc_pct": soc_pct} | more
    seen = an_observation(seconds, {"car": forming}, meter=a_meter(after(seconds), voltage_v=volts))
    assert seen.switch is not None
    return life.sees(replace(seen, switch=replace(seen.switch, open_proven=True, closed_proven=False)))


def test_near_the_driver_s_reserve_people_are_warned_once() -> None:
    life = in_island(26.0)
    assert "reserve reserve_near" not in life.told
    for second, soc in enumerate((25.5, 23.0, 24.4, 22.0, 24.9), 2):
        carries(life, second, soc)
    assert life.told.count("reserve reserve_near") == 1
    assert "reserve" in carries(life, 10, 28.0).cleared


def test_a_restart_rings_no_alarm_again() -> None:
    life = in_island(23.0)
    life.memory = life.memory.after_restart()
    for second in range(2, 8):
        carries(life, second, 23.0)
    assert life.memory.island.step is IslandStep.ISLAND
    assert life.told.count("reserve reserve_near") == 1
    carries(life, 9, 21.0)
    assert life.told.count("reserve reserve_near") == 2


def test_who_lends_the_reserve_is_warned_before_the_vehicle_is_empty() -> None:
    assert "reserve reserve_near" not in in_island(22.0, Settings(at_end=AtEnd.LEND)).told
    life = in_island(8.0, Settings(at_end=AtEnd.LEND))
    told = [notice.data for notice in carries(life, 2, 6.0).notices]
    assert life.told.count("reserve reserve_near") == 2
    assert [data["ends"] for data in told] == ["empty"]


def test_without_a_known_size_the_alarms_go_by_the_charge_that_is_left() -> None:
    life = in_island(26.0, capacity_wh=None)
    for second, soc in enumerate((25.0, 24.0, 23.0, 25.0, 21.0, 20.5), 40):
        carries(life, second, soc, capacity_wh=None)
    assert life.told.count("reserve reserve_near") == 3


def test_one_whose_charge_is_unknown_is_not_warned_of_its_end() -> None:
    life = in_island(40.0)
    carries(life, 2, None)
    assert "charge_unknown:car charge_unknown" not in life.told  # it has just begun to carry the house
    carries(life, 40, None)
    assert "reserve reserve_near" not in life.told
    assert life.told.count("charge_unknown:car charge_unknown") == 1


def test_a_return_is_announced_with_its_time() -> None:
    life = in_island(70.0)
    life.memory = replace(life.memory, grid=GridMemory(Grid.ON, T0, good_since=T0))
    notice = next(notice for notice in carries(life, 10, 70.0, 240.0).notices if notice.kind == "return_announced")
    assert notice.data == {"at": after(70).isoformat(), "dark_s": 20.0}


def test_backup_that_runs_on_over_a_restart_is_told_once() -> None:
    life = in_island(70.0)
    carries(life, 2, 70.0)
    life.happened.clear()
    life.memory = life.memory.after_restart()
    for second in range(3, 8):
        carries(life, second, 70.0)
    assert life.memory.island.step is IslandStep.ISLAND
    assert "backup_started" not in life.happened
