"""What no decision may ever do, whatever is observed."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from edge_service.domain.band import MILLION
from edge_service.domain.decide import Decision, decide
from edge_service.domain.departing import UNDER_WAY
from edge_service.domain.memory import GridMemory, IslandMemory, IslandStep, Memory
from edge_service.domain.model import (
    Capability,
    ChargerFacts,
    Event,
    Grid,
    Hold,
    Limits,
    Mode,
    Observation,
    Order,
    Pause,
    Position,
    Power,
    Release,
    Settings,
    SiteFacts,
    Stop,
    SwitchFacts,
    SwitchOrder,
    frozen_map,
)
from edge_service.domain.policies import LADDER
from edge_service.domain.policy import Rung
from edge_service.domain.realise import order_power_w
from edge_service.domain.view import View
from tests.edge.domain.houses import (
    DER,
    NAMES,
    T0,
    a_site,
    after,
    an_event,
    an_observation,
    eager_settings,
    likely_observations,
    observations,
    settings_of_people,
    sites,
)

bounded = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


pasts = st.builds(
    Memory,
    at=st.just(T0),
    grid=st.builds(GridMemory, st.sampled_from(Grid), st.just(T0), *[st.sampled_from([None, T0, after(-60)])] * 4),
    island=st.builds(
        IslandMemory,
        st.sampled_from(IslandStep),
        st.sampled_from([T0, after(-60)]),
        st.sampled_from([None, *NAMES, "gone"]),
        st.integers(0, 3),
        st.sampled_from([None, "not_formed", "dead_not_proven"]),
        st.sampled_from([None, T0, after(-600)]),
    ),
)

type History = tuple[SiteFacts, Settings, list[Observation], Memory]


ON_GRID = Memory(
    at=T0,
    grid=GridMemory(Grid.ON, after(-60), good_since=after(-60), closed_since=after(-60)),
    island=IslandMemory(IslandStep.TIED, after(-60), "car"),
)
moves = st.builds(
    Memory,
    at=st.just(T0),
    grid=st.builds(GridMemory, st.sampled_from([Grid.ON, Grid.ON, Grid.ON, *Grid]), st.just(T0)),
    island=st.builds(
        IslandMemory,
        st.sampled_from([IslandStep.OPENING, IslandStep.STOPPING, IslandStep.CLOSING]),
        st.just(T0),
        st.sampled_from(NAMES),
    ),
)
two_that_form = frozen_map({name: ChargerFacts(name, name.title(), DER) for name in NAMES})


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A site and observations one after the other: from anything, from a steady grid, from a moving switch."""
    facts = draw(sites())
    gaps = draw(st.lists(st.sampled_from([0.1, 1.0, 1.0, 3.0, 20.0]), min_size=1, max_size=6))
    times = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    kind = draw(st.sampled_from(["anything", "likely", "steady", "steady", "moving", "moving"]))
    if kind in ("steady", "moving"):
        facts = replace(facts, chargers=two_that_form if draw(st.booleans()) else facts.chargers, switch=SwitchFacts())
    if kind == "anything":
        seen = [draw(observations(seconds)) for seconds in times]
    else:
        seen = [draw(likely_observations(seconds, steady=kind == "steady")) for seconds in times]
    past = {"steady": st.just(ON_GRID), "moving": moves}.get(kind, st.one_of(st.just(Memory()), pasts))
    wishes = st.one_of(eager_settings, settings_of_people) if kind == "steady" else settings_of_people
    return facts, draw(wishes), seen, draw(past)


def decisions(facts: SiteFacts, wishes: Settings, seen: list[Observation], past: Memory) -> list[Decision]:
    memory, made = past, []
    for observation in seen:
        made.append(decide(observation, memory, wishes, facts))
        memory = made[-1].memory
    return made


def gives_w(order: Order | None, capability: Capability | None) -> int:
    return max(0, -(order_power_w(order, capability) or 0))


@given(histories())
@bounded
def test_the_same_past_always_gives_the_same_decision(history: History) -> None:
    assert decisions(*history) == decisions(*history)


@given(histories())
@bounded
def test_nothing_is_ordered_to_flow_unless_the_grid_is_on(
    history: History,
) -> None:
    for decision in decisions(*history):
        if decision.grid is not Grid.ON or decision.memory.island.step is not IslandStep.TIED:
            assert not any(isinstance(order, Power | Limits | Hold) for order in decision.orders.values())


@given(histories())
@bounded
def test_only_an_outage_opens_the_switch_and_only_a_dead_house_closes_it(
    history: History,
) -> None:
    facts, wishes, seen, past = history
    closing_before = past.island.step is IslandStep.CLOSING
    for observation, decision in zip(seen, decisions(facts, wishes, seen, past), strict=True):
        if decision.switch is SwitchOrder.OPEN:
            assert decision.grid is Grid.OUTAGE
            assert wishes.mode is not Mode.READ_ONLY
        if decision.switch is SwitchOrder.CLOSE:
            taken_back = observation.switch is not None and observation.switch.closed_proven is True
            assert taken_back or closing_before or _proven_dead(observation, decision, facts)
            assert decision.grid is Grid.ON or (taken_back and decision.grid is Grid.RESTORING)
            assert wishes.mode is not Mode.READ_ONLY
        closing_before = decision.memory.island.step is IslandStep.CLOSING


def _proven_dead(observation: Observation, decision: Decision, facts: SiteFacts) -> bool:
    former = decision.memory.island.former or ""
    stopped_at, seen = observation.stopped.get(former), observation.chargers.get(former)
    if stopped_at is None or seen is None or seen.at <= stopped_at:
        return False
    fresh = [
        reading
        for reading in observation.chargers.values()
        if reading is not None and (observation.now - reading.at).total_seconds() <= facts.stale_after_s
    ]
    voltages = [reading.voltage_v for reading in fresh if reading.voltage_v is not None]
    meter = observation.meter
    if facts.meter_position is Position.PROTECTED_SIDE and meter is not None:
        fresh_meter = (observation.now - meter.at).total_seconds() <= facts.stale_after_s
        voltages += [meter.voltage_v] if fresh_meter and meter.voltage_v is not None else []
    return (
        bool(voltages)
        and all(volts < 0.1 * facts.nominal_voltage_v for volts in voltages)
        and not any(reading.forming for reading in fresh)
    )


@given(histories())
@bounded
def test_a_reserve_or_an_unknown_charge_is_never_given_away(
    history: History,
) -> None:
    facts, wishes, seen, past = history
    for observation, decision in zip(seen, decisions(facts, wishes, seen, past), strict=True):
        for name, order in decision.orders.items():
            reading = observation.chargers.get(name)
            if not gives_w(order, facts.chargers[name].capability):
                continue
            assert reading is not None
            assert reading.soc_pct is not None
            assert reading.soc_pct > wishes.drivers_reserve(name)
            assert reading.plugged is not False


@given(histories())
@bounded
def test_only_a_person_takes_from_a_vehicle_in_a_storm_or_what_its_departure_needs(history: History) -> None:
    facts, wishes, seen, past = history
    for observation, decision in zip(seen, decisions(facts, wishes, seen, past), strict=True):
        for name, order in decision.orders.items():
            if not gives_w(order, facts.chargers[name].capability) or decision.reasons[name] == "manual":
                continue
            outlook = decision.memory.charger(name).departure
            assert wishes.storm_at(observation.now) is None
            assert outlook is None or not (outlook.keeps or outlook.stage in UNDER_WAY)


@given(histories())
@bounded
def test_the_point_of_connection_keeps_its_limits_or_what_the_house_alone_makes_of_them(
    history: History,
) -> None:
    facts, wishes, seen, past = history
    for observation, decision in zip(seen, decisions(facts, wishes, seen, past), strict=True):
        ordered = {
            name: order_power_w(order, facts.chargers[name].capability) or 0 for name, order in decision.orders.items()
        }
        fresh = {
            name: reading
            for name, reading in observation.chargers.items()
            if reading is not None and (observation.now - reading.at).total_seconds() <= facts.stale_after_s
        }
        meter = observation.meter
        silent = meter is None or (observation.now - meter.at).total_seconds() > facts.stale_after_s
        if facts.has_meter and (silent or meter is None or meter.power_w is None):
            assert not any(ordered.values())
            continue
        told = meter is not None and not silent and meter.power_w is not None
        # What we do not order goes on as it is: the house, and chargers that are let alone.
        rest_w = (decision.memory.others_u[0] or 0) // MILLION if told else 0
        rest_w += sum(reading.power_w or 0 for name, reading in fresh.items() if name not in ordered)
        net_w = rest_w + sum(ordered.values())
        assert net_w <= max(facts.import_max_w, rest_w)
        assert net_w >= min(-facts.export_max_w, rest_w)


@given(histories())
@bounded
def test_a_stopped_site_stops_what_it_may_command_and_moves_nothing(
    history: History,
) -> None:
    facts, wishes, seen, past = history
    for decision in decisions(facts, replace(wishes, stopped=True), seen, past):
        assert all(order == Stop() for order in decision.orders.values())
        assert decision.switch is not SwitchOrder.OPEN
        left_alone = set(facts.chargers) - set(decision.orders)
        assert all(decision.reasons[name] == "device_safety" for name in left_alone)


@given(histories())
@bounded
def test_who_is_let_alone_gets_nothing_but_its_order_withdrawn(
    history: History,
) -> None:
    for decision in decisions(*history):
        for name, steps in decision.steps.items():
            if steps[-1].low_w is None:
                assert decision.orders.get(name) in (None, Release())


@given(histories())
@bounded
def test_in_read_only_nothing_is_written_but_a_person_s_stop(
    history: History,
) -> None:
    facts, wishes, seen, past = history
    for decision in decisions(facts, replace(wishes, mode=Mode.READ_ONLY), seen, past):
        assert decision.switch is None
        assert all(order == Stop() for order in decision.orders.values())
        assert wishes.stopped or not decision.orders


@given(histories())
@bounded
def test_every_charger_is_settled_and_says_why(history: History) -> None:
    facts = history[0]
    for decision in decisions(*history):
        assert set(decision.reasons) == set(facts.chargers)
        assert all(decision.steps[name] for name in facts.chargers)
        assert decision.reason in {rung.name for rung in LADDER}


@given(histories())
@bounded
def test_a_notice_is_told_once_while_it_stands(history: History) -> None:
    standing: dict[str, str] = {}
    for decision in decisions(*history):
        updated = {f"event:{h.data['uid']}" for h in decision.happenings if h.kind == "event_updated"}
        for notice in decision.notices:
            assert standing.get(notice.key) != notice.kind or notice.key in updated
        for key in decision.cleared:
            del standing[key]
        standing |= {notice.key: notice.kind for notice in decision.notices}
        assert standing == dict(decision.memory.notices)


@pytest.mark.parametrize("mode", Mode)
def test_a_site_without_any_answer_gets_no_order(mode: Mode) -> None:
    observation = Observation(T0, frozen_map({"car": None}))
    decision = decide(observation, Memory(), Settings(mode=mode), a_site())
    assert not decision.orders
    assert decision.switch is None
    assert decision.grid is Grid.UNKNOWN


def test_an_event_that_says_nothing_is_no_error() -> None:
    empty = Event("e0", "peak", "Empty", T0, ())
    decision = decide(an_observation(events=(empty,)), Memory(), Settings(), a_site())
    assert "e0" not in decision.memory.events


def test_a_ladder_of_one_s_own_is_explained_in_its_own_words() -> None:
    def parks(view: View) -> tuple[()]:
        return ()

    ladder = (*LADDER[:-1], Rung("parks", parks), LADDER[-1])
    memory = decide(an_observation(0), Memory(), Settings(), a_site()).memory
    decision = decide(an_observation(3), memory, Settings(), a_site(), ladder)
    assert decision.reason == "idle"
    assert Pause() not in decision.orders.values()


def test_a_running_event_is_served() -> None:
    memory = decide(an_observation(0), Memory(), Settings(), a_site()).memory
    event = an_event("e1", 1, 60)
    decision = decide(an_observation(2, events=(event,)), memory, Settings(), a_site())
    assert decision.orders["car"] == Power(-5000)
    assert decision.reason == "demand_response"
