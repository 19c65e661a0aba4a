"""What a person may rehearse, when, and what it becomes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge_service.domain.asked import Asked, CommandRefusedError
from edge_service.domain.memory import DrillMemory, DrillStage, GridMemory, IslandMemory, IslandStep, Memory
from edge_service.domain.model import (
    Alert,
    AlertKind,
    Capability,
    ChargerFacts,
    ChargerReading,
    ChargerState,
    Control,
    Event,
    Grid,
    Mode,
    Observation,
    Program,
    Settings,
    SiteFacts,
    Slot,
    Storm,
    frozen_map,
)
from edge_service.domain.rehearsal_commands import REFUSALS, Refusal, rehearsal_event, rehearsal_to_cancel
from edge_service.domain.rehearsal_memory import RehearsalMemory
from edge_service.programs.manual import by_hand
from tests.edge.domain.houses import T0

MINUTE = timedelta(minutes=1)
FACTS = SiteFacts(
    "Home",
    frozen_map({"car": ChargerFacts("car", "Car", Capability(Control.SIGNED, 9600, 9600))}),
    import_max_w=24_000,
    programs=frozen_map({name: Program(name, name, "manual") for name in ("manual", "peak")}),
)
TIED = Memory(at=T0, grid=GridMemory(Grid.ON, T0), island=IslandMemory(IslandStep.TIED, T0))


def seen(**changes: Any) -> Observation:
    reading = ChargerReading(T0, ChargerState.IDLE, plugged=True, power_w=0, soc_pct=60.0)
    return replace(Observation(T0, frozen_map({"car": reading})), **changes)


def asked(
    settings: Settings | None = None,
    memory: Memory = TIED,
    observation: Observation | None = None,
    facts: SiteFacts = FACTS,
    **args: Any,
) -> Asked:
    return Asked(args, settings or Settings(), facts, memory, T0, observation=observation or seen())


def refusal(**how: Any) -> str:
    with pytest.raises(CommandRefusedError) as found:
        rehearsal_event(asked(**how))
    return found.value.code


def test_without_a_word_more_it_is_dry_small_short_and_begins_in_a_minute() -> None:
    event = rehearsal_event(asked())
    assert (event.program_id, event.rehearsal, event.dry) == ("manual", True, True)
    assert event.slots == (Slot(T0 + MINUTE, T0 + 6 * MINUTE, power_w=-1000),)


def test_a_pulse_is_asked_for_in_words() -> None:
    start = T0 + timedelta(hours=2)
    event = rehearsal_event(asked(program="peak", dry=False, power_w=2500, minutes=15, at=start.isoformat()))
    assert (event.program_id, event.dry) == ("peak", False)
    assert event.slots == (Slot(start, start + 15 * MINUTE, power_w=-2500),)


def test_no_word_of_a_utility_takes_it_away() -> None:
    assert by_hand(rehearsal_event(asked(program="peak")))


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"power_w": 5001}, "bad_argument"),
        ({"power_w": 0}, "bad_argument"),
        ({"power_w": True}, "bad_argument"),
        ({"minutes": 16}, "bad_argument"),
        ({"minutes": 0}, "bad_argument"),
        ({"dry": "no"}, "bad_argument"),
        ({"at": "tomorrow"}, "bad_argument"),
        ({"at": (T0 - MINUTE).isoformat()}, "in_the_past"),
        ({"at": (T0 + timedelta(days=8)).isoformat()}, "until_too_far"),
        ({"program": "nobody"}, "unknown_program"),
    ],
)
def test_what_is_out_of_bounds_is_refused(args: dict[str, Any], code: str) -> None:
    assert refusal(**args) == code


def real(start: timedelta, end: timedelta, **changes: Any) -> Observation:
    return seen(events=(Event("real", "peak", "Peak", T0, (Slot(T0 + start, T0 + end),), **changes),))


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"settings": Settings(stopped=True)}, "rehearsal_stopped"),
        ({"settings": Settings(mode=Mode.PAUSED)}, "rehearsal_mode"),
        ({"settings": Settings(mode=Mode.READ_ONLY)}, "rehearsal_mode"),
        ({"settings": Settings(mode=Mode.HOLD_FOR_BACKUP)}, "rehearsal_mode"),
        ({"memory": replace(TIED, grid=GridMemory(Grid.SUSPECT, T0))}, "rehearsal_grid_not_on"),
        ({"memory": replace(TIED, grid=GridMemory(Grid.OUTAGE, T0))}, "rehearsal_grid_not_on"),
        ({"memory": Memory()}, "rehearsal_grid_not_on"),
        ({"settings": Settings(storm=Storm(T0 + timedelta(hours=9), 90.0))}, "rehearsal_storm"),
        ({"observation": seen(alerts=(Alert("a", "peak", AlertKind.WIND, "Wind", T0),))}, "rehearsal_storm"),
        ({"memory": replace(TIED, drill=DrillMemory("d", DrillStage.CHECKING, T0, T0, True, 60))}, "rehearsal_drill"),
        ({"observation": real(timedelta(), 3 * MINUTE)}, "rehearsal_event_near"),
        ({"observation": real(4 * MINUTE, 9 * MINUTE)}, "rehearsal_event_near"),
        ({"settings": Settings(not_participating=frozenset({"manual"}))}, "rehearsal_not_participating"),
        ({"dry": False, "observation": seen(chargers=frozen_map({"car": None}))}, "rehearsal_no_charger"),
    ],
)
def test_what_forbids_it_is_named(how: dict[str, Any], code: str) -> None:
    assert refusal(**how) == code


@pytest.mark.parametrize(
    "beside",
    [
        real(7 * MINUTE, 9 * MINUTE),
        real(timedelta(), 9 * MINUTE, cancelled=True),
        real(timedelta(), 9 * MINUTE, rehearsal=True),
    ],
)
def test_an_event_at_another_time_or_taken_back_is_in_nobody_s_way(beside: Observation) -> None:
    assert rehearsal_event(asked(observation=beside)).rehearsal


def test_a_dry_one_needs_no_vehicle() -> None:
    assert rehearsal_event(asked(observation=seen(chargers=frozen_map({"car": None})))).dry


def test_a_pulse_needs_a_charger_that_can_supply() -> None:
    one_way = replace(FACTS.chargers["car"], capability=Capability(Control.SIGNED, 9600, 0))
    facts = replace(FACTS, chargers=frozen_map({"car": one_way}))
    assert refusal(dry=False, facts=facts) == "rehearsal_no_charger"


def test_there_is_one_at_a_time_and_it_can_be_taken_back() -> None:
    known = RehearsalMemory("hand:rehearsal:x", "manual", "Rehearsal", True, T0, T0 + MINUTE, T0 + 6 * MINUTE)
    memory = replace(TIED, rehearsal=known)
    assert refusal(memory=memory) == "rehearsal_running"
    assert rehearsal_to_cancel(asked(memory=memory)) == known.uid
    over = replace(TIED, rehearsal=replace(known, ended_at=T0))
    assert rehearsal_event(asked(memory=over)).rehearsal
    with pytest.raises(CommandRefusedError) as found:
        rehearsal_to_cancel(asked(memory=over))
    assert found.value.code == "no_rehearsal_running"


def test_before_the_first_cycle_nothing_is_rehearsed() -> None:
    with pytest.raises(CommandRefusedError) as found:
        rehearsal_event(Asked({}, Settings(), FACTS, TIED, T0))
    assert found.value.code == "not_ready"


def test_a_refusal_is_told_in_words_all_of_them_at_once() -> None:
    with pytest.raises(CommandRefusedError) as refused:
        rehearsal_event(asked(replace(Settings(), mode=Mode.PAUSED, not_participating=frozenset({"manual"}))))
    assert str(refused.value) == (
        "no rehearsal now: the mode is not automatic, the house does not take part in its program"
    )
    assert set(REFUSALS) == set(Refusal)


def test_a_house_with_a_program_of_its_own_for_events_by_hand_rehearses_in_that() -> None:
    kinds = {"grid": "openadr3", "summer": "manual", "winter": "manual"}
    own = replace(FACTS, programs=frozen_map({name: Program(name, name, kind) for name, kind in kinds.items()}))
    assert rehearsal_event(asked(facts=own)).program_id == "summer"
    assert rehearsal_event(asked(facts=own, program=None)).program_id == "summer"
