"""How a drill is judged, what survives a restart, and that it tells nothing of an outage."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge_service.domain.decide import decide
from edge_service.domain.drill import SHED_WITHIN
from edge_service.domain.drill_checks import Moment, refusals
from edge_service.domain.memory import (
    DrillMemory,
    DrillStage,
    GridMemory,
    IslandMemory,
    IslandStep,
    LoadMemory,
    LoadsMemory,
    Memory,
)
from edge_service.domain.model import (
    Contact,
    ContactReading,
    Departure,
    DrillRequest,
    Event,
    Evidence,
    Grid,
    GridEvidence,
    LoadGroup,
    LoadOrder,
    LoadReading,
    LoadState,
    Mode,
    Observation,
    Order,
    Position,
    Power,
    Release,
    Settings,
    SiteFacts,
    Slot,
    Storm,
    SwitchFacts,
    SwitchReading,
    Tier,
    frozen_map,
)
from tests.edge.domain.houses import T0, a_meter, a_reading, a_site, after

WISH = DrillRequest("one", T0, transfer=True, at_switch=True)
TIED = Memory(
    at=after(-1),
    grid=GridMemory(Grid.ON, after(-60), good_since=after(-60), closed_since=after(-60)),
    island=IslandMemory(IslandStep.TIED, after(-60), "car"),
)


def observed(at_s: float = 0, **changes: Any) -> Observation:
    """A house on a good grid, its vehicle plugged in with plenty of charge."""
    now = after(at_s)
    seen = {
        "chargers": frozen_map({"car": a_reading(now, power_w=0)}),
        "meter": a_meter(now, power_w=1200, voltage_v=240.0, frequency_hz=60.0),
        "switch": SwitchReading(now, commanded_open=False, open_proven=False, closed_proven=True),
    }
    return Observation(now, **{**seen, **changes})


def refused(observation: Observation, settings: Settings | None = None, **more: Any) -> tuple[str, ...]:
    facts: SiteFacts = more.get("facts", a_site())
    memory, wish = more.get("memory", TIED), more.get("wish", WISH)
    return refusals(Moment(observation, memory, settings or Settings(), facts), wish)


def test_nothing_is_in_its_way_in_a_house_that_is_ready() -> None:
    assert refused(observed()) == ()


MEDICAL = LoadGroup("bed", "Bedroom", Tier.MUST_HAVE, medical=True)
SOON = Event("e1", "peak", "Peak", T0, (Slot(after(600), after(4000), power_w=-5000),))
STORM = Storm(after(3600), 90.0)


@pytest.mark.parametrize(
    ("reason", "observation", "settings"),
    [
        ("stopped", observed(), Settings(stopped=True)),
        ("read_only", observed(), Settings(mode=Mode.READ_ONLY)),
        ("switch_not_proven", observed(switch=None), None),
        ("switch_not_proven", observed(switch=SwitchReading(T0, False, False, False)), None),
        ("no_grid_side_source", observed(meter=None), None),
        ("storm", observed(), Settings(storm=STORM)),
        ("medical_load", observed(), Settings(load_groups=frozen_map({"bed": MEDICAL}))),
        ("vehicle_absent", observed(chargers=frozen_map({"car": a_reading(T0, plugged=False)})), None),
        ("charger_unable", observed(chargers=frozen_map({"car": None})), None),
        ("charger_unable", observed(contested=frozen_map({"car": T0})), None),
        ("charge_unknown", observed(chargers=frozen_map({"car": a_reading(T0, soc_pct=None)})), None),
        ("reserve_low", observed(chargers=frozen_map({"car": a_reading(T0, soc_pct=29.0)})), None),
        ("departure_near", observed(departures=frozen_map({"car": Departure("d", after(1800), 80.0)})), None),
        ("event_near", observed(events=(SOON,)), None),
    ],
)
def test_what_is_in_its_way_is_named(reason: str, observation: Observation, settings: Settings | None) -> None:
    assert reason in refused(observation, settings)


def test_a_generator_forbids_it() -> None:
    facts = a_site(contacts=frozenset({Contact.GENERATOR}))
    at_it = observed(contacts=frozen_map({Contact.GENERATOR: ContactReading(T0, True)}))
    assert "generator" in refused(at_it, facts=facts)
    apart = observed(contacts=frozen_map({Contact.GENERATOR: ContactReading(T0, False)}))
    assert refused(apart, facts=facts) == ()


def test_a_grid_that_is_not_known_forbids_even_one_without_a_transfer() -> None:
    unknown = replace(TIED, grid=GridMemory(Grid.UNKNOWN))
    assert refused(observed(), memory=unknown, wish=replace(WISH, transfer=False)) == ("grid_not_on",)


def test_a_house_without_a_switch_is_told_so_and_nothing_else() -> None:
    assert refused(observed(), facts=a_site(switch=None)) == ("no_switch",)


def test_a_person_who_says_that_the_medical_device_is_safe_may_rehearse() -> None:
    settings = Settings(load_groups=frozen_map({"bed": MEDICAL}))
    assert refused(observed(), settings, wish=replace(WISH, medical_safe=True)) == ()


def test_a_transfer_without_anybody_at_the_switch_is_refused_unless_the_switch_checks_by_itself() -> None:
    alone = replace(WISH, at_switch=False)
    assert refused(observed(), wish=alone) == ("nobody_at_switch",)
    assert refused(observed(), wish=alone, facts=a_site(switch=SwitchFacts(synchronism_check=True))) == ()
    assert refused(observed(), wish=replace(alone, transfer=False)) == ()


def test_an_event_that_was_opted_out_of_is_in_nobodys_way() -> None:
    assert refused(observed(events=(SOON,)), Settings(opted_out=frozenset({"e1"}))) == ()


@pytest.mark.parametrize("position", [Position.GRID_SIDE, Position.PROTECTED_SIDE])
def test_any_source_on_the_street_s_side_will_do(position: Position) -> None:
    told = (GridEvidence("relay", T0, present=True, position=position),)
    sees = position is Position.GRID_SIDE
    assert ("no_grid_side_source" not in refused(observed(meter=None, evidence=told))) is sees


def test_a_long_drill_needs_more_charge() -> None:
    heavy = replace(TIED, loads=LoadsMemory(house_w=6000))
    seen = observed(chargers=frozen_map({"car": a_reading(T0, soc_pct=35.0)}))
    assert refused(seen, memory=heavy) == ()
    assert refused(seen, memory=heavy, wish=replace(WISH, island_s=3600)) == ("reserve_low",)


# ----------------------------------------------------------------------------------------------- the loads of a dry one

FRIDGE = LoadGroup("pump", "Pool pump", Tier.NON_ESSENTIAL, power_w=1500)
WITH_LOAD = Settings(load_groups=frozen_map({"pump": FRIDGE}))
DRY = DrillMemory("dry", DrillStage.CARRYING, after(-5), after(0), False, 120, told_s=0.2)
SHED = LoadsMemory(groups=frozen_map({"pump": LoadMemory(LoadOrder.SHED, after(0), "tier")}))


def the_drill(memory: Memory, at_s: float, state: LoadState | None) -> DrillMemory:
    loads = frozen_map({"pump": LoadReading(after(at_s), state)})
    decision = decide(observed(at_s, loads=loads), memory, WITH_LOAD, a_site())
    assert decision.memory.drill is not None
    return decision.memory.drill


def test_a_dry_drill_waits_until_its_loads_are_proven_shed() -> None:
    memory = replace(TIED, at=after(0.5), drill=DRY, loads=SHED)
    waiting = the_drill(memory, 1, LoadState.ON)
    assert (waiting.stage, waiting.loads_shed, waiting.loads_unproven) == (
        DrillStage.CARRYING,
        ("pump",),
        ("Pool pump",),
    )
    assert the_drill(memory, 1, LoadState.SHED).stage is DrillStage.RETURNING


def test_the_report_of_a_dry_drill_names_what_it_shed() -> None:
    running = replace(TIED, at=DRY.since, drill=DRY)
    loads = frozen_map({"pump": LoadReading(after(1), LoadState.ON)})
    asked = decide(observed(1, loads=loads), running, WITH_LOAD, a_site()).memory
    assert asked.loads.group("pump").wanted is LoadOrder.SHED
    proven = the_drill(asked, 2, LoadState.SHED)
    assert (proven.stage, proven.loads_shed, proven.loads_unproven) == (DrillStage.RETURNING, ("pump",), ())


def test_a_load_that_nobody_proves_shed_costs_points() -> None:
    late = SHED_WITHIN.total_seconds()
    given_up = the_drill(replace(TIED, drill=DRY, loads=SHED), late, None)
    assert given_up.stage is DrillStage.RETURNING
    ended = the_drill(replace(TIED, drill=given_up), late + 1, LoadState.ON)
    assert (ended.stage, ended.score, ended.reasons) == (DrillStage.PASSED, 85, ("loads_unproven",))


# ----------------------------------------------------------------------------------------------------- how it is scored


@pytest.mark.parametrize(
    ("changes", "score", "reasons"),
    [
        ({}, 100, ()),
        ({"transfer_s": 7.0}, 90, ("slow_transfer",)),
        ({"transfer_s": 12.0}, 80, ("slow_transfer",)),
        ({"lowest_v": 200.0}, 80, ("voltage_sag",)),
        ({"dark_at": after(-30)}, 90, ("slow_return",)),
        ({"told_s": None}, 90, ("notice_not_brought",)),
        (
            {"transfer_s": 12.0, "lowest_v": 200.0, "loads_unproven": ("Pool pump",)},
            45,
            ("voltage_sag", "loads_unproven", "slow_transfer"),
        ),
    ],
)
def test_what_was_measured_is_scored(changes: dict[str, Any], score: int, reasons: tuple[str, ...]) -> None:
    drill = DrillMemory(
        "one",
        DrillStage.RETURNING,
        after(-90),
        after(-5),
        True,
        60,
        transfer_s=2.0,
        lowest_v=238.0,
        dark_at=after(-3),
        told_s=0.1,
    )
    decision = decide(observed(), replace(TIED, drill=replace(drill, **changes)), Settings(), a_site())
    ended = decision.memory.drill
    assert ended is not None
    assert (ended.stage, ended.score, ended.reasons) == (DrillStage.PASSED, score, reasons)
    assert ended.last_passed_at == T0


def test_the_next_one_is_compared_with_the_last_of_its_kind_that_passed() -> None:
    first = DrillMemory(
        "one",
        DrillStage.PASSED,
        after(-900),
        after(-800),
        True,
        60,
        ended_at=after(-800),
        transfer_s=2.5,
        score=90,
        last_passed_at=after(-800),
    )
    settings = Settings(drill=DrillRequest("two", after(0), transfer=True, at_switch=True))
    begun = decide(observed(), replace(TIED, drill=first), settings, a_site()).memory.drill
    assert begun is not None
    assert (begun.id, begun.previous_score, begun.previous_transfer_s, begun.last_passed_at) == (
        "two",
        90,
        2.5,
        after(-800),
    )


def test_its_notice_counts_as_brought_from_when_a_client_says_so() -> None:
    running = DrillMemory("one", DrillStage.CHECKING, after(-3), after(-3), True, 60)
    for brought, told_s in ((frozenset[str](), None), (frozenset({"drill"}), 3.0)):
        drill = decide(observed(brought=brought), replace(TIED, drill=running), Settings(), a_site()).memory.drill
        assert drill is not None
        assert drill.told_s == told_s


def test_a_restart_ends_a_drill_and_keeps_the_last_report() -> None:
    running = DrillMemory("one", DrillStage.CARRYING, after(-60), after(-30), True, 60)
    restarted = replace(TIED, drill=running).after_restart().drill
    assert restarted is not None
    assert (restarted.stage, restarted.reasons, restarted.runs) == (DrillStage.ABORTED, ("restart",), False)
    over = replace(running, stage=DrillStage.PASSED, ended_at=after(0), score=100)
    assert replace(TIED, drill=over).after_restart().drill == over


def test_a_clock_that_is_set_does_not_end_it() -> None:
    running = DrillMemory("one", DrillStage.CARRYING, after(-60), after(-30), True, 60, left_at=after(-31))
    hour = timedelta(hours=1)
    moved = replace(TIED, drill=running).shifted(hour).drill
    assert moved is not None
    assert (moved.since, moved.left_at) == (after(-30) + hour, after(-31) + hour)


def test_a_wish_of_long_ago_is_not_taken_up() -> None:
    settings = Settings(drill=DrillRequest("old", after(-600), transfer=True))
    assert decide(observed(), TIED, settings, a_site()).memory.drill is None


# ------------------------------------------------------------------------------------------ before the switch is opened


@pytest.mark.parametrize(
    ("order", "read_back", "stage"),
    [
        (Power(-3000), True, DrillStage.CHECKING),
        (Release(), False, DrillStage.CHECKING),
        (Release(), True, DrillStage.TRANSFERRING),
    ],
)
def test_it_waits_until_the_withdrawal_of_our_orders_was_read_back(
    order: Order, read_back: bool, stage: DrillStage
) -> None:
    checking = DrillMemory("one", DrillStage.CHECKING, after(-6), after(-6), True, 60)
    evidence = Evidence(order, after(-3), after(-2), after(-1) if read_back else None)
    seen = observed(orders=frozen_map({"car": evidence}))
    decision = decide(seen, replace(TIED, drill=checking), Settings(drill=WISH), a_site())
    assert decision.memory.drill is not None
    assert decision.memory.drill.stage is stage
    assert decision.orders["car"] == Release()
    assert decision.switch is None


def test_an_order_that_cannot_be_withdrawn_refuses_it() -> None:
    checking = DrillMemory("one", DrillStage.CHECKING, after(-30), after(-30), True, 60)
    seen = observed(orders=frozen_map({"car": Evidence(Power(-3000), after(-40), after(-39), after(-38))}))
    ended = decide(seen, replace(TIED, drill=checking), Settings(drill=WISH), a_site()).memory.drill
    assert ended is not None
    assert (ended.stage, ended.reasons) == (DrillStage.REFUSED, ("order_stands",))
