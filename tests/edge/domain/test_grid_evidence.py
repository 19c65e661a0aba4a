"""Who says what of the grid, how fresh it is, where it sits, and what all of it together says."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from edge_service.domain.decide import decide
from edge_service.domain.grid import follow
from edge_service.domain.grid_evidence import Verdict, assess, contradicted, weighed
from edge_service.domain.memory import GridMemory, Memory
from edge_service.domain.model import (
    Backup,
    ChargerFacts,
    ChargerReading,
    ChargerState,
    CompanionFacts,
    CompanionReading,
    CompanionState,
    Confidence,
    Contact,
    ContactReading,
    Grid,
    GridEvidence,
    MeterReading,
    Observation,
    Position,
    Settings,
    SiteFacts,
    frozen_map,
)
from tests.edge.domain.houses import DER, T0, a_meter, a_site, after, an_observation, observations

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)
FACTS = SiteFacts(name="Home", chargers=frozen_map({"car": ChargerFacts("car", "Car", None)}), import_max_w=24_000)
STREET, HOUSE = Position.GRID_SIDE, Position.PROTECTED_SIDE
SURE, LIKELY, HINT = Confidence.SURE, Confidence.LIKELY, Confidence.HINT
CLOSED = GridMemory(Grid.ON, since=T0, closed_since=after(-60))


@pytest.mark.parametrize(
    ("grid_seen_s_ago", "verdict"),
    [(None, Verdict.SILENT), (FACTS.stale_after_s + 1, Verdict.SILENT), (0.1, Verdict.LOST)],
)
def test_what_the_fast_lane_saw_counts_although_the_whole_reading_is_stale(
    grid_seen_s_ago: float | None, verdict: Verdict
) -> None:
    reading = ChargerReading(
        at=NOW - timedelta(seconds=FACTS.stale_after_s + 2),
        state=ChargerState.IDLE,
        grid_present=False,
        grid_at=None if grid_seen_s_ago is None else NOW - timedelta(seconds=grid_seen_s_ago),
    )
    observation = Observation(now=NOW, chargers=frozen_map({"car": reading}))
    assert assess(observation, GridMemory(), FACTS).verdict is verdict


# ------------------------------------------------------------------------------------------------- one against another


def say(*words: tuple[str, bool | None, Position, Confidence]) -> Observation:
    """A house where nothing else tells. A charger's name makes it the charger's own word."""
    pieces = tuple(
        GridEvidence(name, T0, present, place, confidence=how) for name, present, place, how in words if name != "car"
    )
    own = {name: present for name, present, _, _ in words if name == "car"}
    chargers = {"car": {"grid_present": own.get("car")}}
    return replace(an_observation(0, chargers), meter=None, evidence=pieces)


MEASURED_LOST = ("relay", False, STREET, SURE)
MEASURED_THERE = ("relay", True, STREET, SURE)
JUDGED_LOST, JUDGED_THERE = ("envoy", False, STREET, LIKELY), ("envoy", True, STREET, LIKELY)
HEARD_LOST, HEARD_THERE = ("map", False, STREET, HINT), ("map", True, STREET, HINT)
CAR_LOST, CAR_THERE = ("car", False, HOUSE, SURE), ("car", True, HOUSE, SURE)
HOUSE_THERE, HOUSE_LOST = ("panel", True, HOUSE, SURE), ("panel", False, HOUSE, SURE)


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ([], Verdict.SILENT),
        ([HEARD_LOST], Verdict.SILENT),
        ([HEARD_THERE], Verdict.SILENT),
        ([JUDGED_LOST], Verdict.LOST),
        ([JUDGED_THERE], Verdict.GOOD),
        ([JUDGED_LOST, HEARD_THERE], Verdict.LOST),
        ([JUDGED_THERE, HEARD_LOST], Verdict.GOOD),
        ([JUDGED_LOST, ("nut", True, STREET, LIKELY)], Verdict.DISPUTED),
        ([MEASURED_LOST, JUDGED_THERE], Verdict.LOST),
        ([MEASURED_THERE, JUDGED_LOST], Verdict.GOOD),
        ([MEASURED_LOST, CAR_THERE], Verdict.DISPUTED),
        ([MEASURED_THERE, CAR_LOST], Verdict.DISPUTED),
        ([CAR_LOST], Verdict.LOST),
        ([CAR_LOST, JUDGED_THERE], Verdict.DISPUTED),
        ([CAR_LOST, HOUSE_LOST, JUDGED_THERE], Verdict.LOST),
        ([CAR_THERE, JUDGED_LOST], Verdict.DISPUTED),
        ([HOUSE_THERE, CAR_THERE, JUDGED_LOST], Verdict.DISPUTED),
        ([CAR_THERE, MEASURED_THERE, JUDGED_LOST], Verdict.GOOD),
        ([CAR_LOST, MEASURED_THERE, JUDGED_LOST], Verdict.DISPUTED),
    ],
)
def test_what_is_measured_goes_before_what_is_judged(words: Iterable[Any], verdict: Verdict) -> None:
    assert assess(say(*words), CLOSED, a_site()).verdict is verdict


def test_a_contradiction_is_shown_though_the_verdict_is_clear() -> None:
    facts = a_site()
    assert contradicted(weighed(say(MEASURED_LOST, JUDGED_THERE), CLOSED, facts))
    assert not contradicted(weighed(say(MEASURED_LOST, HEARD_THERE), CLOSED, facts))


@given(st.data(), st.sampled_from(Grid))
def test_a_hint_changes_no_decision(data: st.DataObject, state: Grid) -> None:
    facts, observation = a_site(), data.draw(observations(1))
    hint = GridEvidence("map", after(1), data.draw(st.booleans()), data.draw(st.sampled_from(Position)), "", HINT)
    memory = replace(CLOSED, state=state, good_since=T0, lost_since=None)
    without, _ = follow(observation, memory, facts)
    heard, _ = follow(replace(observation, evidence=(*observation.evidence, hint)), memory, facts)
    assert heard == without


@given(st.data())
def test_who_falls_silent_never_makes_an_outage(data: st.DataObject) -> None:
    observation = data.draw(observations(1))
    silent = replace(observation, chargers=frozen_map(), meter=None, evidence=(), companions=frozen_map())
    memory = replace(CLOSED, good_since=T0)
    for _ in range(200):
        silent = replace(silent, now=silent.now + timedelta(seconds=1))
        memory, _ = follow(silent, memory, a_site())
        assert memory.state is not Grid.OUTAGE


# ------------------------------------------------------------------------------------------------------ how long, where


@pytest.mark.parametrize(
    ("age_s", "valid_s", "counts"),
    [(4, None, True), (6, None, False), (60, 90, True), (91, 90, False), (-3, 90, False)],
)
def test_a_word_counts_as_long_as_its_source_says(age_s: float, valid_s: float | None, counts: bool) -> None:
    piece = GridEvidence("envoy", after(-age_s), True, STREET, confidence=LIKELY, valid_s=valid_s)
    observation = Observation(T0, frozen_map({"car": None}), evidence=(piece,))
    assert [one.counts for one in weighed(observation, CLOSED, a_site())] == [counts]


def test_behind_an_open_switch_only_the_street_sees_the_grid_and_each_piece_says_so() -> None:
    observation = an_observation(0, {"car": {"grid_present": True}})
    pieces = (GridEvidence("ups", T0, True, HOUSE, confidence=LIKELY), GridEvidence("map", T0, True, STREET, "", HINT))
    opened = replace(observation, evidence=pieces)
    worth = {one.piece.source: (one.sees_grid, one.counts) for one in weighed(opened, GridMemory(), a_site())}
    assert worth == {"ups": (False, False), "map": (True, False), "meter": (True, True), "car": (False, False)}


@pytest.mark.parametrize(
    ("volts", "hertz", "nominal_hz", "state", "present"),
    [
        (240.0, 60.0, 60.0, Grid.ON, True),
        (240.0, None, 60.0, Grid.OUTAGE, True),
        (240.0, 0.0, 60.0, Grid.OUTAGE, True),
        (240.0, 59.5, 60.0, Grid.RESTORING, True),
        (240.0, 59.49, 60.0, Grid.RESTORING, None),
        (240.0, 60.1, 60.0, Grid.OUTAGE, True),
        (240.0, 60.11, 60.0, Grid.OUTAGE, None),
        (240.0, 60.11, 60.0, Grid.ON, True),
        (240.0, 61.3, 60.0, Grid.ON, None),
        (240.0, 58.7, 60.0, Grid.ON, None),
        (240.0, 50.0, 60.0, Grid.ON, None),
        (240.0, 50.0, 50.0, Grid.OUTAGE, True),
        (240.0, 50.2, 50.0, Grid.OUTAGE, None),
        (220.08, 60.0, 60.0, Grid.OUTAGE, True),
        (219.9, 60.0, 60.0, Grid.OUTAGE, None),
        (252.0, 60.0, 60.0, Grid.OUTAGE, True),
        (252.3, 60.0, 60.0, Grid.OUTAGE, None),
        (252.3, 60.0, 60.0, Grid.ON, True),
        (120.0, 60.0, 60.0, Grid.ON, None),
        (119.9, 60.0, 60.0, Grid.ON, False),
        (119.9, 60.0, 60.0, Grid.OUTAGE, False),
        (None, 60.0, 60.0, Grid.ON, None),
    ],
)
def test_a_meter_sees_the_grid_by_voltage_and_frequency(
    volts: float | None, hertz: float | None, nominal_hz: float, state: Grid, present: bool | None
) -> None:
    facts = replace(a_site(), nominal_frequency_hz=nominal_hz)
    meter = a_meter(T0, voltage_v=volts, frequency_hz=hertz)
    observation = Observation(T0, frozen_map({}), meter)
    (piece,) = (one.piece for one in weighed(observation, GridMemory(state, closed_since=T0), facts))
    assert piece.present is present


def test_a_voltage_relay_counts_where_it_is_wired() -> None:
    observation = replace(say(), contacts=frozen_map({Contact.GRID_LOST: ContactReading(T0, active=True)}))
    assert assess(observation, CLOSED, a_site()).verdict is Verdict.SILENT
    wired = a_site(contacts=frozenset({Contact.GRID_LOST}))
    assessment = assess(observation, CLOSED, wired)
    assert (assessment.verdict, assessment.words) == (Verdict.LOST, "voltage relay: grid lost")


# ------------------------------------------------------------------------------------------- other inverters' gateways


def behind_a_gateway(state: CompanionState | None, seconds: float = 0, **charger: Any) -> Observation:
    told = CompanionReading(after(seconds), state)
    return replace(
        an_observation(seconds, {"car": charger}),
        companions=frozen_map({"battery": told}),
        switch=None,
        meter=a_meter(after(seconds)),
    )


GATEWAY = a_site(
    switch=None, meter_position=HOUSE, companions=frozen_map({"battery": CompanionFacts("battery", "Battery")})
)


def test_behind_anothers_gateway_the_houses_voltage_is_no_grid_until_it_says_so() -> None:
    memory = CLOSED
    found = []
    course = [CompanionState.ISLANDED] * 3 + [None] * 3 + [CompanionState.ON_GRID]
    for second, state in enumerate(course):
        memory, assessment = follow(behind_a_gateway(state, second), memory, GATEWAY)
        found.append((memory.state, assessment.verdict))
    lost, silent = (Grid.OUTAGE, Verdict.LOST), (Grid.OUTAGE, Verdict.SILENT)
    assert found == [(Grid.SUSPECT, Verdict.LOST)] * 2 + [lost] + [silent] * 3 + [(Grid.RESTORING, Verdict.GOOD)]


def test_a_makers_gateway_at_a_charger_blinds_the_meter_behind_it() -> None:
    vendor = ChargerFacts("car", "Car", replace(DER, backup=Backup.VENDOR))
    facts = a_site(switch=None, meter_position=HOUSE, chargers=frozen_map({"car": vendor}))
    _, off_grid = follow(an_observation(0, {"car": {"grid_present": False}}), CLOSED, facts)
    assert (off_grid.verdict, [piece.source for piece in off_grid.pieces]) == (Verdict.LOST, ["car"])
    _, on_grid = follow(an_observation(0, {"car": {"grid_present": True}}), CLOSED, facts)
    assert on_grid.verdict is Verdict.GOOD


def test_behind_our_own_switch_a_companion_in_an_island_is_one_more_word() -> None:
    facts = replace(a_site(), companions=GATEWAY.companions, meter_position=HOUSE)
    observation = replace(behind_a_gateway(CompanionState.ISLANDED), switch=an_observation().switch)
    _, assessment = follow(observation, CLOSED, facts)
    assert assessment.verdict is Verdict.DISPUTED


def test_a_companion_at_a_generator_contradicts_a_good_voltage_and_makes_no_outage() -> None:
    memory = CLOSED
    for second in range(100):
        memory, _ = follow(behind_a_gateway(CompanionState.GENERATOR, second), memory, GATEWAY)
        assert memory.state is Grid.SUSPECT


# ------------------------------------------------------------------------------------------------------------ the words


def test_each_transition_names_its_evidence_on_the_way_out_and_back() -> None:
    facts, people = replace(a_site(switch=None), enter_service_s=10.0), Settings()
    known = Memory(grid=replace(CLOSED, good_since=T0))
    words = []
    for second in range(1, 20):
        volts = 0.0 if second < 4 else 240.0
        lost = {"grid_present": volts > 0, "voltage_v": volts}
        observation = an_observation(second, {"car": lost}, meter=a_meter(after(second), voltage_v=volts), switch=None)
        decision = decide(observation, known, people, facts)
        if decision.grid is not known.grid.state:
            words.append((decision.grid.value, decision.memory.grid.evidence))
        known = decision.memory
    gone = "meter: grid lost (0 V, 60.00 Hz); car: grid lost"
    back = "meter: grid there (240 V, 60.00 Hz); car: grid there"
    assert words == [("suspect", gone), ("outage", gone), ("restoring", back), ("on", back)]


# ---------------------------------------------------------------------------------------------------------- the neutral


def legs(seconds: float, *volts: float, **changes: Any) -> Observation:
    meter = MeterReading(after(seconds), 1200, 240.0, 60.0, leg_voltage_v=volts)
    return replace(an_observation(seconds, {"car": {}}), meter=replace(meter, **changes))


@pytest.mark.parametrize(
    ("volts", "wired", "lost"),
    [
        ((121.0, 119.0), 2, False),
        ((112.0, 128.0), 2, False),
        ((110.0, 130.0), 2, True),
        ((0.0, 240.0), 2, True),
        ((110.0, 130.0, 0.0), 2, True),
        ((110.0, 130.0), 0, True),
        ((110.0, 130.0, 120.0), 3, False),
        ((110.0, 130.0, 120.0), 0, False),
        ((0.0, 120.0), 2, False),
        ((0.0, 0.0), 2, False),
        ((120.0,), 2, False),
        ((), 2, False),
    ],
)
def test_a_broken_neutral_shows_on_two_legs_that_are_alive_together(
    volts: tuple[float, ...], wired: int, lost: bool
) -> None:
    facts = a_site(leg_max_w=(12000,) * wired)
    memory, _ = follow(legs(0, *volts), CLOSED, facts)
    assert (memory.neutral_lost_since is not None) is lost


def test_a_broken_neutral_is_told_while_the_meter_is_silent_too() -> None:
    memory, _ = follow(legs(0, 100.0, 140.0), CLOSED, a_site())
    memory, _ = follow(replace(legs(60), meter=legs(0, 100.0, 140.0).meter), memory, a_site())
    assert memory.neutral_lost_since == T0
    memory, _ = follow(legs(61, 118.0, 122.0), memory, a_site())
    assert memory.neutral_lost_since is None
