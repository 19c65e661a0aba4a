"""An event's account and the season's: what was delivered, what may be promised, what it adds up to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from edge_service.domain.decide import decide
from edge_service.domain.memory import EventStage, Gap, Memory
from edge_service.domain.model import Event, Mode, Notice, Observation, Settings, SlotKind, Storm, frozen_map
from tests.edge.domain.houses import a_site, after, an_event, an_observation


def run(event: Event, powers_w: dict[int, int], until: int, memory: Memory | None = None, begin: int = 0) -> Memory:
    """Decide once a second through an event; the charger's power changes at the given seconds."""
    memory, power_w = memory or Memory(), 0
    for second in range(begin, until):
        power_w = powers_w.get(second, power_w)
        observation = an_observation(second, {"car": {"power_w": power_w}}, events=(event,))
        memory = decide(observation, memory, Settings(), a_site()).memory
    return memory


def test_a_ramp_counts_half() -> None:
    memory = run(an_event("one", 5, 25), {8: -3600, 18: 0}, 30)
    account = memory.events["one"]
    assert account.stage is EventStage.FINISHED
    # Ten seconds at 3.6 kW are 10 Wh; the second up and the second down count half each.
    assert account.charger_wh == pytest.approx(10.0)


def test_no_more_is_promised_than_a_full_battery_holds_above_the_floor() -> None:
    eight_hours = an_event("long", 0, 0)
    day = timedelta(hours=24)
    slot = replace(eight_hours.slots[0], start=after(0) + day, end=after(0) + day + timedelta(hours=8), power_w=-9000)
    observation: Observation = an_observation(0, {"car": {}}, events=(replace(eight_hours, slots=(slot,)),))
    promised_w = decide(observation, Memory(), Settings(), a_site()).memory.events["long"].feasible_w
    # 60 kWh, backup reserve 30 %, 93 % efficient: 39 kWh over eight hours.
    assert promised_w == pytest.approx(-4882, abs=2)


@pytest.mark.parametrize(
    ("wishes", "promised_w"),
    [
        (Settings(), -5000),
        (Settings(mode=Mode.HOLD_FOR_BACKUP), 0),
        (Settings(mode=Mode.PAUSED), 0),
        (Settings(storm=Storm(after(3600), 90)), 0),
        (Settings(storm=Storm(after(60), 30)), -5000),
    ],
)
def test_what_a_mode_or_a_storm_keeps_is_not_promised(wishes: Settings, promised_w: int) -> None:
    observation = an_observation(0, events=(an_event("one", 600, 1200, -5000),))
    assert decide(observation, Memory(), wishes, a_site()).memory.events["one"].feasible_w == promised_w


def test_a_missed_event_counts_as_nothing_delivered() -> None:
    memory = run(an_event("one", 5, 15), {}, 20)
    assert memory.events["one"].stage is EventStage.MISSED
    assert memory.events["one"].charger_wh == 0


def two(second: int, bus_w: int | None, event: Event, memory: Memory) -> Memory:
    """A cycle of a site with two chargers; the car gives 2 kW, the bus is silent where it says nothing."""
    seen: dict[str, dict[str, int]] = {"car": {"power_w": -2000}}
    observation = an_observation(second, seen | ({} if bus_w is None else {"bus": {"power_w": bus_w}}), events=(event,))
    silent = frozen_map({"bus": None, **observation.chargers})
    return decide(replace(observation, chargers=silent), memory, Settings(), a_site("car", "bus")).memory


def test_each_charger_s_part_is_told_and_a_silent_one_is_a_gap_while_the_other_counts() -> None:
    memory, event = Memory(), an_event("one", 10, 46)
    for second in range(50):
        memory = two(second, None if 20 < second < 30 else -4000, event, memory)
    account = memory.events["one"]
    assert {name: round(wh, 3) for name, wh in account.by_charger_wh.items()} == {"car": 20.0, "bus": 28.889}
    assert account.charger_wh == pytest.approx(20.0 + 28.889, abs=0.001)
    assert (account.gap_s, account.site_gap_s) == (10, 0)
    assert account.gaps == (Gap(after(20), after(30)),)


def test_a_site_without_a_meter_says_nothing_of_its_net_export() -> None:
    memory = Memory()
    for second in range(4, 20):
        observation = an_observation(second, events=(an_event("one", 5, 15),), meter=None)
        memory = decide(observation, memory, Settings(), a_site(has_meter=False)).memory
    assert memory.events["one"].site_wh is None
    assert memory.events["one"].site_gap_s == 0


def test_the_notice_of_a_new_event_names_the_money_at_stake() -> None:
    site = a_site()
    paid = replace(site.programs["peak"], pay_usd_per_kw=275.0, season_events=50)
    site = replace(site, programs=frozen_map({"peak": paid}))
    memory, told = Memory(), list[Notice]()
    for second in range(5):
        events = (an_event("one", 600, 4200, -5000),) if second else ()
        decision = decide(an_observation(second, events=events), memory, Settings(), site)
        memory, told = decision.memory, [*told, *decision.notices]
    (notice,) = [one for one in told if one.kind == "event_announced"]
    # 5 kW of one of 50 events.
    assert notice.data["stake_usd"] == 27.5


def test_what_an_event_asked_for_and_has_had_is_not_kept_for_it_any_more() -> None:
    """All there is until noon, then no charging: once it is noon nothing more is taken for it."""
    later = an_event("later", 7200, 10800, -5000)
    most = an_event("most", 0, 3600)
    first = replace(most.slots[0], end=after(1800), kind=SlotKind.MAX_DISCHARGE)
    rest = replace(most.slots[0], start=after(1800), kind=SlotKind.NO_CHARGE)
    observation = an_observation(1801, {"car": {}}, events=(replace(most, slots=(first, rest)), later))
    memory = decide(observation, Memory(), Settings(), a_site()).memory
    memory = decide(replace(observation, now=after(1802)), memory, Settings(), a_site()).memory
    assert (memory.events["later"].feasible_w, memory.events["later"].stage) == (-5000, EventStage.PREPARED)


def test_events_that_all_end_at_one_moment_are_all_shown_closed_before_the_oldest_are_forgotten() -> None:
    events = tuple(an_event(f"e{number}", 5, 15) for number in range(30))
    memory = Memory()
    for second in range(17):
        observation = an_observation(second, {"car": {}}, events=events)
        memory = decide(observation, memory, Settings(), a_site()).memory
        if second == 15:
            assert {account.stage for account in memory.events.values()} == {EventStage.MISSED}
            assert len(memory.events) == 30
    assert len(memory.events) == 20
