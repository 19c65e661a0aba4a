"""A person's say on events: by the event, by the day, by the program; the later word counts."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from edge_service.domain import event_commands
from edge_service.domain.asked import Asked, CommandRefusedError
from edge_service.domain.commands import carry_out, expire
from edge_service.domain.event_commands import DAY_COMMANDS
from edge_service.domain.memory import EventMemory, EventStage, GridMemory, IslandMemory, IslandStep, Memory
from edge_service.domain.model import Event, Grid, Program, Settings, frozen_map
from edge_service.domain.program import Rules, Season
from edge_service.domain.settlement import earned_usd
from edge_service.domain.tally import Tally
from tests.edge.domain.houses import T0, a_site, after, an_event, an_observation

DAY = "2026-07-15"
TODAY = date(2026, 7, 15)
ON = Memory(grid=GridMemory(Grid.ON), island=IslandMemory(IslandStep.TIED))
PAID = Program("peak", "Peak", "manual", pay_usd_per_kw=275.0, season_events=45)
FACTS = a_site(
    "car", time_zone="America/New_York", programs=frozen_map({"peak": PAID, "net": Program("net", "Net", "manual")})
)


def memory(stage: EventStage = EventStage.PREPARED, **changes: Any) -> Memory:
    account = EventMemory(stage, T0, "Peak", "peak", after(600), after(4200), feasible_w=-4500, day=DAY)
    return replace(ON, events=frozen_map({"e1": replace(account, **changes)}))


def asked(settings: Settings | None = None, known: Memory | None = None, **args: Any) -> Asked:
    return Asked(args, settings or Settings(), FACTS, known or memory(), T0)


def event(**changes: Any) -> Event:
    return replace(an_event("e1", 600, 4200), **({"day": DAY} | changes))


def test_a_yes_to_an_event_that_asks_serves_it() -> None:
    assert not Settings().takes_part(event(asks=True))
    assert carry_out("opt_in", asked(event="e1")).takes_part(event(asks=True))


def test_a_no_to_an_event_takes_back_the_yes_to_it() -> None:
    settings = carry_out("opt_in", asked(event="e1"))
    settings = carry_out("opt_out", asked(settings, event="e1"))
    assert (settings.opted_in, settings.opted_out) == (frozenset(), frozenset({"e1"}))
    assert not settings.takes_part(event())


@pytest.mark.parametrize("program", [None, "peak"])
def test_a_day_that_is_left_out_leaves_out_its_events_also_one_that_a_person_said_yes_to(program: str | None) -> None:
    settings = carry_out("opt_in", asked(event="e1"))
    settings = DAY_COMMANDS["opt_out_day"](asked(settings, day=DAY, program=program), TODAY)
    assert not settings.takes_part(event())
    assert settings.takes_part(event(day="2026-07-16"))
    assert set(settings.days_opted_out) == ({"peak"} if program else {"peak", "net"})
    back = DAY_COMMANDS["opt_in_day"](asked(settings, day=DAY, program=program), TODAY)
    assert back.takes_part(event())
    assert back.days_opted_out == {}


def test_a_yes_to_an_event_counts_on_a_day_that_was_left_out_before() -> None:
    settings = DAY_COMMANDS["opt_out_day"](asked(day=DAY), TODAY)
    assert carry_out("opt_in", asked(settings, event="e1")).takes_part(event())


def test_leaving_a_program_takes_back_a_yes_to_its_events() -> None:
    settings = carry_out("opt_in", asked(event="e1"))
    settings = carry_out("set_participation", asked(settings, program="peak", participating=False))
    assert not settings.takes_part(event())
    assert carry_out("set_participation", asked(settings, program="peak", participating=True)).takes_part(event())


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"day": "2026-07-14"}, "in_the_past"),
        ({"day": "tomorrow"}, "bad_argument"),
        ({"day": "2026-13-01"}, "bad_argument"),
        ({"day": "2028-07-15"}, "bad_argument"),
        ({}, "bad_argument"),
        ({"day": DAY, "program": "none"}, "unknown_program"),
    ],
)
@pytest.mark.parametrize("name", ["opt_out_day", "opt_in_day"])
def test_a_day_that_is_over_or_none_is_refused(name: str, args: dict[str, Any], code: str) -> None:
    with pytest.raises(CommandRefusedError) as refused:
        DAY_COMMANDS[name](asked(**args), TODAY)
    assert refused.value.code == code


@pytest.mark.parametrize("name", ["opt_out", "opt_in"])
def test_an_event_that_is_over_or_unknown_is_refused(name: str) -> None:
    for known, uid, code in (
        (memory(), "e2", "unknown_event"),
        (memory(EventStage.FINISHED), "e1", "event_over"),
        (memory(EventStage.OPTED_OUT, end=after(-1)), "e1", "event_over"),
    ):
        with pytest.raises(CommandRefusedError) as refused:
            carry_out(name, asked(known=known, event=uid))
        assert refused.value.code == code


def test_what_was_said_of_a_day_is_forgotten_once_it_is_over_everywhere_and_not_before() -> None:
    settings = DAY_COMMANDS["opt_out_day"](asked(day=DAY), TODAY)
    late_in_the_west = datetime(2026, 7, 16, 11, 59, tzinfo=UTC)  # 15 July, a minute to midnight, at the date line
    assert expire(settings, ON, late_in_the_west) is settings
    assert expire(settings, ON, late_in_the_west + timedelta(minutes=1)).days_opted_out == {}


def test_a_yes_is_forgotten_with_its_event() -> None:
    settings = carry_out("opt_in", asked(event="e1"))
    assert expire(settings, memory(), T0) is settings
    assert expire(settings, memory(EventStage.FINISHED), T0).opted_in == frozenset()


def test_who_leaves_an_event_out_hears_what_that_costs() -> None:
    # 4.5 kW of one of 45 events: 0.1 kW off the season's average, at $275.
    assert event_commands.told("opt_out", asked(event="e1")) == {"stake_usd": 27.5, "average_w": 100}
    assert event_commands.told("set_participation", asked()) == {}


def test_half_way_through_an_event_half_of_it_is_at_stake() -> None:
    half = asked(known=memory(EventStage.RUNNING, start=after(-1800), end=after(1800)), event="e1")
    assert event_commands.told("opt_out", half) == {"stake_usd": 13.75, "average_w": 50}


def test_once_more_events_came_than_were_expected_each_is_worth_less() -> None:
    seasons = frozen_map({"peak": Tally("2026-01-01", "2026-12-31", 59, paid_events=59)})
    many = replace(asked(event="e1"), observation=an_observation(seasons=seasons))
    assert event_commands.told("opt_out", many) == {"stake_usd": round(4.5 * 275 / 60, 2), "average_w": 75}


def test_no_money_is_at_stake_or_earned_out_of_season() -> None:
    summer = replace(PAID, rules=Rules(seasons=(Season("06-01", "09-30"),)))
    facts = replace(FACTS, programs=frozen_map({"peak": summer}))
    winter = memory(day="2026-11-23", charger_wh=2000.0)
    told = event_commands.told("opt_out", replace(asked(known=winter, event="e1"), facts=facts))
    assert told == {"stake_usd": None, "average_w": None}
    assert earned_usd(winter.events["e1"], summer) is None
    assert earned_usd(memory(charger_wh=2000.0).events["e1"], summer) == 275 * 2 / 45
