"""A person's stop button and a generator's contact: what they do in any situation, and what is told of them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from edge_service.domain import grid
from edge_service.domain.asked import Asked, CommandRefusedError
from edge_service.domain.commands import carry_out
from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import ContactMemory, GridMemory, IslandMemory, IslandStep, Memory, OutageMemory
from edge_service.domain.model import (
    Backup,
    ChargerFacts,
    Contact,
    ContactReading,
    Control,
    Grid,
    GridEvidence,
    Limits,
    ManualKind,
    ManualOrder,
    Mode,
    Observation,
    Position,
    Power,
    Release,
    Settings,
    SiteFacts,
    Stop,
    Supply,
    SwitchOrder,
    SwitchReading,
    frozen_map,
)
from edge_service.domain.realise import order_power_w
from edge_service.journal.encoding import from_plain, to_plain
from tests.edge.domain.houses import (
    DER,
    NAMES,
    T0,
    a_meter,
    a_site,
    after,
    an_event,
    an_observation,
    likely_observations,
    observations,
    settings_of_people,
    sites,
)

bounded = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WIRED = frozenset(Contact)
GENERATOR = Contact.GENERATOR
TIED = IslandMemory(IslandStep.TIED, after(-60), "car")
ON_GRID = Memory(
    at=T0, grid=GridMemory(Grid.ON, after(-60), good_since=after(-60), closed_since=after(-60)), island=TIED
)
pasts = st.builds(
    Memory,
    at=st.just(T0),
    grid=st.builds(GridMemory, st.sampled_from(Grid), st.just(T0), after_generator=st.booleans()),
    island=st.builds(IslandMemory, st.sampled_from(IslandStep), st.just(T0), st.sampled_from([None, *NAMES])),
)
seen = st.one_of(observations(1), likely_observations(1))


def saying(observation: Observation, contact: Contact, *, active: bool, age_s: float = 0) -> Observation:
    """The same with a reading of the contact."""
    reading = ContactReading(observation.now - timedelta(seconds=age_s), active)
    return replace(observation, contacts=frozen_map({**observation.contacts, contact: reading}))


def wired(facts: SiteFacts | None = None, **changes: Any) -> SiteFacts:
    return replace(facts or a_site(), contacts=WIRED, **changes)


# ----------------------------------------------------------------------------------------------------- the stop button


@bounded
@given(sites(), settings_of_people, seen, pasts)
def test_a_pressed_button_is_a_persons_stop_whatever_else_is_so(
    facts: SiteFacts, people: Settings, observation: Observation, memory: Memory
) -> None:
    facts = wired(facts)
    pressed = decide(saying(observation, Contact.STOP, active=True), memory, people, facts)
    at_rest = saying(observation, Contact.STOP, active=False)
    commanded = decide(at_rest, memory, replace(people, stopped=True), facts)
    assert pressed.pressed
    assert not commanded.pressed
    assert (pressed.orders, pressed.switch, pressed.reasons) == (commanded.orders, commanded.switch, commanded.reasons)
    for charger, order in pressed.orders.items():
        assert isinstance(order, Stop) or pressed.reasons[charger] == "device_safety"
    told = [happening.kind for happening in pressed.happenings]
    assert told.count("stop_pressed") == (not people.stopped)


@bounded
@given(sites(), settings_of_people, seen, pasts, st.sampled_from([None, 6, 3600, -3]))
def test_a_button_that_is_not_seen_changes_nothing(
    facts: SiteFacts, people: Settings, observation: Observation, memory: Memory, age_s: float | None
) -> None:
    facts = replace(facts, contacts=frozenset({Contact.STOP}))
    silent = observation if age_s is None else saying(observation, Contact.STOP, active=True, age_s=age_s)
    decision = decide(silent, memory, people, facts)
    plain = decide(observation, memory, people, replace(facts, contacts=frozenset()))
    assert not decision.pressed
    assert (decision.orders, decision.switch, decision.grid) == (plain.orders, plain.switch, plain.grid)


def test_a_contact_that_is_not_wired_says_nothing() -> None:
    observation = saying(saying(an_observation(1), Contact.STOP, active=True), GENERATOR, active=True)
    decision = decide(observation, ON_GRID, Settings(), a_site())
    assert not decision.pressed
    assert decision.grid is Grid.ON


@pytest.mark.parametrize(
    ("known", "refused"),
    [
        (ContactMemory(active=True), True),
        (ContactMemory(active=True, silent_since=T0), True),
        (ContactMemory(active=False), False),
        (ContactMemory(active=False, silent_since=T0), False),
        (ContactMemory(), False),
    ],
)
def test_a_stop_is_reset_unless_the_button_was_last_seen_pressed(known: ContactMemory, refused: bool) -> None:
    memory = replace(ON_GRID, contacts=frozen_map({Contact.STOP: known}))
    asked = Asked({}, Settings(stopped=True), wired(), memory, T0, local=True)
    if refused:
        with pytest.raises(CommandRefusedError) as error:
            carry_out("reset_stop", asked)
        assert error.value.code == "stop_contact_active"
    else:
        assert not carry_out("reset_stop", asked).stopped


def test_a_button_taken_out_of_the_configuration_holds_no_stop() -> None:
    memory = replace(ON_GRID, contacts=frozen_map({Contact.STOP: ContactMemory(active=True)}))
    asked = Asked({}, Settings(stopped=True), a_site(), memory, T0, local=True)
    assert not carry_out("reset_stop", asked).stopped


# ------------------------------------------------------------------------------------------------------- the generator


@bounded
@given(sites(), settings_of_people, seen, pasts, st.sampled_from([0, 1500, 5000]))
def test_on_a_generator_nothing_is_given_little_is_taken_and_no_switch_moves(
    facts: SiteFacts, people: Settings, observation: Observation, memory: Memory, cap_w: int
) -> None:
    facts = wired(facts, generator_max_w=cap_w)
    decision = decide(saying(observation, GENERATOR, active=True), memory, people, facts)
    house = [piece.present for piece in sees_house(decision)]
    assert decision.grid is Grid.GENERATOR or (
        decision.grid in (Grid.SUSPECT, Grid.OUTAGE) and house and not any(house)
    )
    assert decision.switch is not SwitchOrder.OPEN
    if decision.switch is SwitchOrder.CLOSE:
        assert observation.switch is not None
        assert observation.switch.closed_proven
    powers = [order_power_w(order) or 0 for order in decision.orders.values() if isinstance(order, Power)]
    assert all(power_w >= 0 for power_w in powers)
    for name, order in decision.orders.items():
        if isinstance(order, Limits):
            assert order.discharge_max_w <= least_discharge_w(facts, name)
    if decision.supply is Supply.GRID:
        assert sum(powers) <= cap_w
        assert "demand_response" not in decision.reasons.values()


def least_discharge_w(facts: SiteFacts, charger: str) -> int:
    """The lowest limit of discharge that the charger can be told; a cap goes down to nothing."""
    capability = facts.chargers[charger].capability
    if capability is None or capability.control is not Control.TWO_LIMITS:
        return 0
    return min(capability.min_discharge_w, capability.discharge_rating_w)


def sees_house(decision: Decision) -> list[GridEvidence]:
    """The words that count of those on the house's side: a voltage that a charger makes itself is no generator's."""
    return [one.piece for one in decision.weighed if one.counts and one.piece.position is Position.PROTECTED_SIDE]


@given(st.sampled_from(Grid), st.booleans())
def test_a_generator_is_believed_at_once_and_its_silence_is_not_its_end(state: Grid, active: bool) -> None:
    facts = wired()
    memory = replace(ON_GRID, grid=GridMemory(state, after(-1), good_since=after(-600), closed_since=after(-60)))
    runs, _ = grid.follow(saying(an_observation(1), GENERATOR, active=True), memory.grid, facts, at_generator=True)
    assert (runs.state, runs.good_since, runs.after_generator) == (Grid.GENERATOR, None, True)
    silent, _ = grid.follow(
        saying(an_observation(60), GENERATOR, active=active, age_s=50), runs, facts, at_generator=True
    )
    assert silent.state is Grid.GENERATOR


# What a meter that sits before the transfer switch says, and the charger behind it.
@pytest.mark.parametrize(
    ("meter_v", "charger", "states"),
    [
        (0.0, True, {Grid.GENERATOR}),
        (240.0, False, {Grid.SUSPECT, Grid.OUTAGE}),
        (0.0, False, {Grid.SUSPECT, Grid.OUTAGE}),
        (0.0, None, {Grid.GENERATOR}),
        (240.0, None, {Grid.GENERATOR}),
    ],
)
def test_whether_a_generator_feeds_the_house_shows_on_the_houses_side(
    meter_v: float, charger: bool | None, states: set[Grid]
) -> None:
    memory, found, switched = ON_GRID, set(), set()
    for second in range(1, 60):
        seen_now = an_observation(second, {"car": {"grid_present": charger}}, meter=a_meter(after(second)))
        assert seen_now.meter is not None
        seen_now = replace(seen_now, meter=replace(seen_now.meter, voltage_v=meter_v))
        decision = decide(saying(seen_now, GENERATOR, active=True), memory, Settings(), wired())
        memory = decision.memory
        found.add(decision.grid)
        switched.add(decision.switch)
    assert found == states
    assert switched == {None}


def test_a_generator_that_stumbles_is_no_outage() -> None:
    running, stalled = (1.0, True, True), [(2.0 + second, True, False) for second in range(12)]
    told = played([running, *stalled, (13.5, True, True)], wired())
    assert [decision.grid for decision in told] == [Grid.GENERATOR, *[Grid.SUSPECT] * 12, Grid.GENERATOR]
    assert told[1].orders == {"car": Release()}


def test_a_generator_whose_voltage_nobody_sees_any_more_after_it_stalled_stays_failed() -> None:
    told = played([(1, True, True), *((float(second), True, False) for second in range(2, 20))], wired())
    blind = saying(Observation(after(21), frozen_map({"car": None})), GENERATOR, active=True)
    assert decide(blind, told[-1].memory, Settings(), wired()).grid is Grid.OUTAGE
    at_first = decide(blind, told[5].memory, Settings(), wired())
    assert at_first.grid is Grid.SUSPECT
    later = replace(blind, now=after(60))
    assert decide(later, at_first.memory, Settings(), wired()).grid is Grid.GENERATOR


def test_a_contact_that_is_taken_out_of_the_configuration_holds_no_backup_back() -> None:
    told = played([(1, True, True), *((float(second), True, False) for second in range(2, 20))], wired())
    memory = told[-1].memory
    for second in range(20, 25):
        lost = an_observation(second, {"car": {"grid_present": False}}, meter=a_meter(after(second), voltage_v=0.0))
        decision = decide(lost, memory, Settings(), a_site())
        memory = decision.memory
    assert memory.island.step is IslandStep.OPENING


def played(states: list[tuple[float, bool | None, bool]], facts: SiteFacts) -> list[Decision]:
    """Decide at each of: seconds, the contact (None: no reading), whether there is voltage."""
    memory, decisions = ON_GRID, []
    for at, active, live in states:
        volts = 240.0 if live else 0.0
        seen_now = an_observation(at, {"car": {"grid_present": live, "voltage_v": volts}})
        assert seen_now.meter is not None
        seen_now = replace(seen_now, meter=replace(seen_now.meter, voltage_v=volts))
        seen_now = seen_now if active is None else saying(seen_now, GENERATOR, active=active)
        decisions.append(decide(seen_now, memory, Settings(), facts))
        memory = decisions[-1].memory
    return decisions


def test_after_a_generator_the_grid_must_be_good_for_the_whole_enter_service_delay() -> None:
    facts = wired(enter_service_s=300)
    told = played([(1, True, True), *((10.0 + second, False, True) for second in range(302))], facts)
    states = [decision.grid for decision in told]
    assert states[0] is Grid.GENERATOR
    assert states[1:301] == [Grid.RESTORING] * 300
    assert states[301] is Grid.ON


def test_the_dead_moment_of_a_transfer_is_no_outage_and_a_lasting_one_is() -> None:
    short = played(
        [(1, True, True), (2, False, False), (3, False, False), (3.5, False, True), (6, False, True)], wired()
    )
    assert [decision.grid for decision in short[1:]] == [Grid.SUSPECT] * 3 + [Grid.RESTORING]
    assert {decision.switch for decision in short} == {None}
    long = played([(1, True, True), (2, False, False), (4, False, False)], wired())
    assert (long[-1].grid, long[-1].switch) == (Grid.OUTAGE, SwitchOrder.OPEN)


def test_without_the_contacts_word_a_good_voltage_proves_no_grid_but_a_lost_one_is_lost() -> None:
    blind = played([(at, None, True) for at in range(1, 20)], wired())
    assert blind[-1].grid is Grid.UNKNOWN
    lost = played([(1, None, True), (2, None, False), (3, None, False), (4, None, False)], wired())
    assert lost[-1].grid is Grid.OUTAGE


def test_an_event_is_interrupted_while_a_generator_runs_and_resumed_after_it() -> None:
    facts, event = wired(enter_service_s=2), an_event("e1", 1, 100)
    memory, stages = ON_GRID, []
    for at, active in ((0.5, False), (1, False), (2, True), (3, False), (4, False), (5, False)):
        observation = saying(an_observation(at, events=(event,)), GENERATOR, active=active)
        decision = decide(observation, memory, Settings(), facts)
        memory = decision.memory
        stages.append(memory.events["e1"].stage.value)
    assert stages == ["announced", "running", "interrupted", "interrupted", "interrupted", "running"]


def test_the_words_of_the_contact_are_shown_as_evidence_and_vote_for_nobody() -> None:
    decision = decide(saying(an_observation(1), GENERATOR, active=True), ON_GRID, Settings(), wired())
    (piece,) = [piece for piece in decision.evidence if piece.source == "generator contact"]
    assert (piece.present, piece.detail) == (None, "a generator feeds the house")


def test_a_return_that_a_generator_cuts_short_gives_the_house_back_to_the_vehicle() -> None:
    opened = an_observation(1, switch=SwitchReading(after(1), True, True, False))
    for step in (IslandStep.STOPPING, IslandStep.UNKNOWN):
        memory = replace(ON_GRID, island=IslandMemory(step, T0, "car"))
        decision = decide(saying(opened, GENERATOR, active=True), memory, Settings(), wired())
        assert decision.memory.island.step is IslandStep.FORMING
        assert decision.switch is None


def test_an_order_to_open_that_moved_nothing_is_taken_back_when_a_generator_feeds_the_house() -> None:
    stuck = an_observation(1, switch=SwitchReading(after(1), True, False, True))
    memory = replace(ON_GRID, island=IslandMemory(IslandStep.STUCK, T0, "car"))
    decision = decide(saying(stuck, GENERATOR, active=True), memory, Settings(), wired())
    assert decision.switch is SwitchOrder.CLOSE
    stands = an_observation(1, {"car": {"grid_present": False}}, switch=stuck.switch)
    waits = replace(memory, grid=GridMemory(Grid.OUTAGE, T0, lost_since=T0, closed_since=after(-60)))
    decision = decide(saying(stands, GENERATOR, active=True), waits, Settings(), wired())
    assert (decision.grid, decision.switch) == (Grid.OUTAGE, SwitchOrder.CLOSE), "nor may it open behind a dead one"


@pytest.mark.parametrize(("let_alone_w", "cap_w", "left_w"), [(-5000, 0, 0), (-5000, 2000, 2000), (1500, 4000, 2500)])
def test_on_a_generator_what_one_charger_supplies_makes_no_room_for_another(
    let_alone_w: int, cap_w: int, left_w: int
) -> None:
    cars = {"car": ChargerFacts("car", "Car", DER), "van": ChargerFacts("van", "Van", capability=None)}
    facts = wired(chargers=frozen_map(cars), generator_max_w=cap_w)
    charge = ManualOrder(ManualKind.CHARGE, T0, after(3600))
    seen_now = saying(an_observation(1, {"car": {}, "van": {"power_w": let_alone_w}}), GENERATOR, active=True)
    decision = decide(seen_now, ON_GRID, Settings(manual=frozen_map({"car": charge})), facts)
    assert decision.grid is Grid.GENERATOR
    assert order_power_w(decision.orders["car"]) == left_w


def test_a_vendors_own_gateway_is_let_alone_on_a_generator() -> None:
    car = ChargerFacts("car", "Car", replace(DER, backup=Backup.VENDOR))
    facts = wired(chargers=frozen_map({"car": car}), switch=None)
    decision = decide(saying(an_observation(1), GENERATOR, active=True), ON_GRID, Settings(), facts)
    assert decision.orders == {"car": Release()}


def test_after_a_generator_the_end_of_an_old_outage_is_not_told_again() -> None:
    memory = replace(ON_GRID, outage=OutageMemory(after(-900), after(-600)))
    runs = decide(saying(an_observation(1), GENERATOR, active=True), memory, Settings(), wired())
    ended = decide(saying(an_observation(2), GENERATOR, active=False), runs.memory, Settings(), wired())
    assert ended.grid is Grid.RESTORING
    assert [happening.kind for happening in ended.happenings] == ["generator_stopped"]


def test_watch_only_writes_nothing_on_a_generator_either() -> None:
    observation = saying(an_observation(1), GENERATOR, active=True)
    assert decide(observation, ON_GRID, Settings(mode=Mode.READ_ONLY), wired()).orders == {}


# ------------------------------------------------------------------------------------------------------------- memory


def test_a_restart_forgets_no_last_word_and_tells_nothing_twice() -> None:
    facts = wired()
    observation = saying(saying(an_observation(1), GENERATOR, active=True), Contact.STOP, active=True)
    first = decide(observation, ON_GRID, Settings(), facts)
    assert {"generator_started", "stop_pressed"} <= {happening.kind for happening in first.happenings}
    kept = from_plain(Memory, to_plain(first.memory, Memory)).after_restart()
    again = decide(replace(observation, contacts=frozen_map()), kept, Settings(stopped=True), facts)
    assert [happening.kind for happening in again.happenings] == []
    assert (kept.contact(GENERATOR).active, kept.contact(Contact.STOP).active) == (True, True)
    assert "generator" in again.memory.notices


def test_a_set_clock_moves_the_silence_with_it() -> None:
    known = ContactMemory(active=False, silent_since=after(-10))
    memory = replace(ON_GRID, contacts=frozen_map({Contact.STOP: known}))
    assert memory.shifted(timedelta(hours=1)).contact(Contact.STOP).silent_since == after(3590)
    assert memory.not_after(after(-20)).contact(Contact.STOP).silent_since == after(-20)
