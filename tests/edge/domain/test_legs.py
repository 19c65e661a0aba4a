"""Whole decisions for sites of one to forty chargers: the site's limits and each leg's are kept, whatever is wished."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import sqrt
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from edge_service.domain.band import ANY, MILLION, Band, Sum
from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import ChargerMemory, GridMemory, IslandMemory, IslandStep, Memory
from edge_service.domain.model import (
    Authority,
    Capability,
    ChargerFacts,
    ChargerReading,
    ChargerState,
    Control,
    Grid,
    Lease,
    Limits,
    ManualKind,
    ManualOrder,
    MeterReading,
    Observation,
    Pause,
    Power,
    Release,
    Settings,
    SiteFacts,
    Stop,
    Supply,
    frozen_map,
)
from edge_service.domain.realise import order_power_w
from edge_service.domain.service import parts_of_legs
from edge_service.domain.view import HandsOff, Narrowing, Statement, View
from tests.edge.domain.houses import T0, a_meter, a_reading, a_site, after, an_event

bounded = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PLAIN = Capability(Control.SIGNED, 9600, 9600, lease=Lease.TIMER)
SIX_AMPERES = replace(PLAIN, min_charge_w=1440, min_discharge_w=1440)
CAP_ONLY = replace(PLAIN, control=Control.GENERATION_CAP)


def on_grid(orders: Mapping[str, int] | None = None, rotation: int = 0) -> Memory:
    """The grid has been on for a minute; what was ordered then stands since."""
    return Memory(
        at=T0,
        grid=GridMemory(Grid.ON, after(-60), good_since=after(-60), closed_since=after(-60)),
        island=IslandMemory(IslandStep.TIED, after(-60)),
        chargers=frozen_map({name: ChargerMemory(power_w, after(-600)) for name, power_w in (orders or {}).items()}),
        rotation=rotation,
    )


def a_depot(*legs: tuple[int, ...], capability: Capability = PLAIN, **changes: Any) -> SiteFacts:
    """Chargers c0, c1, ... on these legs, no switch."""
    chargers = {f"c{place}": ChargerFacts(f"c{place}", f"C{place}", capability, on) for place, on in enumerate(legs)}
    return a_site(chargers=frozen_map(chargers), switch=None, **changes)


def seen(facts: SiteFacts, readings: Mapping[str, Any] | None = None, **changes: Any) -> Observation:
    chargers = {name: a_reading(after(1), **(readings or {}).get(name, {})) for name in facts.chargers}
    return replace(Observation(after(1), frozen_map(chargers), a_meter(after(1))), **changes)


def powers(decision: Decision) -> dict[str, int]:
    return {name: order_power_w(order) or 0 for name, order in decision.orders.items()}


def charge_all(facts: SiteFacts, power_w: int | None = None) -> Settings:
    order = ManualOrder(ManualKind.CHARGE, T0, after(600), power_w)
    return Settings(manual=frozen_map(dict.fromkeys(facts.chargers, order)))


# --------------------------------------------------------------------------------------------------- what a leg carries


@pytest.mark.parametrize(
    ("legs", "count", "share"),
    [
        ((), 1, 1),
        ((), 2, 1 / 2),
        ((1, 2), 2, 1 / 2),
        ((2,), 2, 1),
        ((), 3, 1 / 3),
        ((3,), 3, 1),
        ((1, 3), 3, 1 / sqrt(3)),
    ],
)
def test_a_leg_s_part_of_a_charger_is_never_counted_too_small(legs: tuple[int, ...], count: int, share: float) -> None:
    parts = parts_of_legs(legs, count)
    on = legs or tuple(range(1, count + 1))
    for leg in range(1, count + 1):
        exact = share * MILLION if leg in on else 0
        assert exact - 1e-6 <= parts[leg - 1] <= exact + 1


def test_one_on_a_single_leg_gets_that_leg_s_part_of_the_breaker() -> None:
    facts = a_depot((1,), import_max_w=12000, leg_max_w=(6000, 6000))
    decision = decide(seen(facts, meter=a_meter(after(1), leg_power_w=(600, 600))), on_grid(), charge_all(facts), facts)
    assert powers(decision) == {"c0": 5400}


def test_what_the_house_draws_on_one_leg_counts_there_only() -> None:
    facts = a_depot((1,), (2,), import_max_w=20000, leg_max_w=(6000, 6000))
    meter = a_meter(after(1), power_w=5000, leg_power_w=(5000, 0))
    decision = decide(seen(facts, meter=meter), on_grid(), charge_all(facts), facts)
    assert powers(decision) == {"c0": 1000, "c1": 6000}


def test_a_leg_that_is_not_told_now_carries_nothing_more() -> None:
    facts = a_depot((1,), (2,), import_max_w=20000, leg_max_w=(6000, 6000))
    meter = a_meter(after(1), power_w=1200, leg_power_w=(None, 600))
    decision = decide(seen(facts, meter=meter), on_grid(), charge_all(facts), facts)
    assert powers(decision) == {"c0": 0, "c1": 5400}


def test_with_a_meter_that_tells_no_legs_the_chargers_alone_stay_within_them() -> None:
    facts = a_depot((1,), import_max_w=20000, leg_max_w=(6000, 6000))
    decision = decide(seen(facts), on_grid(), charge_all(facts), facts)
    assert powers(decision) == {"c0": 6000}


def test_a_leg_bounds_what_is_given_back_too() -> None:
    facts = a_depot((1,), import_max_w=12000, export_max_w=12000, leg_max_w=(6000, 6000))
    meter = a_meter(after(1), power_w=-600, leg_power_w=(-1000, 400))
    event = an_event("e1", 0, 60, -9000)
    decision = decide(seen(facts, meter=meter, events=(event,)), on_grid(), Settings(), facts)
    assert powers(decision) == {"c0": -5000}


def test_a_full_leg_makes_no_charger_work_for_another() -> None:
    facts = a_depot((1,), (1, 2), import_max_w=20000, leg_max_w=(6000, 6000))
    meter = a_meter(after(1), power_w=9000, leg_power_w=(9000, 0))
    decision = decide(seen(facts, meter=meter), on_grid(), charge_all(facts), facts)
    assert powers(decision) == {"c0": 0, "c1": 0}


# ----------------------------------------------------------------------------------------------- many under one limit


def test_vehicles_below_their_reserve_share_a_small_limit_alike() -> None:
    facts = a_depot((), (), (), import_max_w=7200)
    low = {name: {"soc_pct": 10.0} for name in facts.chargers}
    assert powers(decide(seen(facts, low), on_grid(), Settings(), facts)) == {"c0": 2000, "c1": 2000, "c2": 2000}


def test_twenty_at_six_amperes_take_turns_under_a_limit_for_five() -> None:
    facts = a_depot(*[()] * 20, capability=SIX_AMPERES, import_max_w=1200 + 5 * 1440 + 300)
    low = {name: {"soc_pct": 10.0} for name in facts.chargers}
    turns = dict.fromkeys(facts.chargers, 0)
    for turn in range(20):
        found = powers(decide(seen(facts, low), on_grid(rotation=15 * turn), Settings(), facts))
        assert sum(found.values()) == 5 * 1440 + 300
        assert sum(power_w >= 1440 for power_w in found.values()) == 5
        for name, power_w in found.items():
            turns[name] += power_w > 0
    assert set(turns.values()) == {5}


def test_a_failed_charger_s_share_of_an_event_is_the_others_in_the_next_cycle() -> None:
    facts = a_depot((), (), (), import_max_w=40000, export_max_w=40000)
    event = (an_event("e1", 0, 60, -9000),)
    before = powers(decide(seen(facts, events=event), on_grid(), Settings(), facts))
    broken = {"c1": {"state": ChargerState.FAULT}}
    then = powers(decide(seen(facts, broken, events=event), on_grid(before), Settings(), facts))
    assert before == {"c0": -3000, "c1": -3000, "c2": -3000}
    assert then == {"c0": -4500, "c2": -4500}


def test_what_a_capped_charger_supplies_counts_for_the_event_and_is_ordered_by_nobody() -> None:
    facts = a_depot((), (), import_max_w=40000, export_max_w=40000)
    facts = replace(facts, chargers=frozen_map({**facts.chargers, "c0": ChargerFacts("c0", "C0", CAP_ONLY)}))
    meter = a_meter(after(1), power_w=1200 - 2000)
    event = (an_event("e1", 0, 60, -5000),)
    decision = decide(seen(facts, {"c0": {"power_w": -2000}}, meter=meter, events=event), on_grid(), Settings(), facts)
    assert decision.orders == {"c0": Release(), "c1": Power(-3000)}
    assert decision.reasons["c0"] == "idle"


def test_a_charger_that_takes_only_a_cap_is_capped_at_what_may_be_exported() -> None:
    facts = a_depot((), capability=CAP_ONLY, export_max_w=2000)
    meter = a_meter(after(1), power_w=1200 - 6000)
    decision = decide(seen(facts, {"c0": {"power_w": -6000}}, meter=meter), on_grid(), Settings(), facts)
    assert decision.orders == {"c0": Limits(9600, 3200)}


def test_a_charger_that_another_controller_keeps_overwriting_is_let_alone() -> None:
    facts = a_depot((), ())
    observation = seen(facts, contested=frozen_map({"c0": T0}), events=(an_event("e1", 0, 60, -4000),))
    decision = decide(observation, on_grid(), Settings(), facts)
    assert decision.orders == {"c1": Power(-4000)}
    assert decision.steps["c0"][-1].reason == "another_controller"


# -------------------------------------------------------------------------------------------------- any site whatsoever


@dataclass(frozen=True, slots=True)
class Scene:
    """A site, what is seen of it, what people wish, what was before; ``house_w``: what the house uses on each leg."""

    facts: SiteFacts
    seen: Observation
    wishes: Settings
    before: Memory
    house_w: tuple[int, ...]

    @property
    def decision(self) -> Decision:
        return decide(self.seen, self.before, self.wishes, self.facts)

    def parts(self, leg: int) -> dict[str, int]:
        return {
            name: parts_of_legs(one.legs, len(self.facts.leg_max_w))[leg] for name, one in self.facts.chargers.items()
        }

    def flows_now(self) -> dict[str, int]:
        return {name: (one.power_w or 0) if one else 0 for name, one in self.seen.chargers.items()}


capabilities = st.builds(
    Capability,
    control=st.sampled_from(
        [Control.SIGNED, Control.SIGNED, Control.STEPS, Control.TWO_LIMITS, Control.GENERATION_CAP]
    ),
    charge_rating_w=st.sampled_from([3600, 9600, 11520]),
    discharge_rating_w=st.sampled_from([0, 3600, 9600]),
    min_charge_w=st.sampled_from([0, 0, 1380]),
    min_discharge_w=st.sampled_from([0, 0, 1380]),
    step_w=st.sampled_from([1, 1, 230]),
    lease=st.just(Lease.TIMER),
)
plain_capabilities = st.builds(
    Capability,
    control=st.just(Control.SIGNED),
    charge_rating_w=st.sampled_from([3600, 9600]),
    discharge_rating_w=st.sampled_from([3600, 9600]),
    lease=st.just(Lease.TIMER),
)
orders_of_people = st.builds(
    ManualOrder,
    kind=st.sampled_from(ManualKind),
    placed_at=st.just(T0),
    until=st.just(after(600)),
    power_w=st.one_of(st.none(), st.integers(1, 12000)),
)


@st.composite
def readings(draw: st.DrawFn, capability: Capability, trouble: bool) -> ChargerReading | None:
    if trouble and draw(st.integers(0, 7)) == 0:
        return None
    reading = a_reading(
        after(1),
        power_w=draw(st.sampled_from([0, 0, 3000, -min(3000, capability.discharge_rating_w)])),
        soc_pct=draw(st.sampled_from([12.0, 25.0, 60.0, 60.0, 90.0])),
        charge_max_w=draw(st.sampled_from([9600, 9600, 4000])),
    )
    if not trouble:
        return reading
    return replace(
        reading,
        state=draw(st.sampled_from([ChargerState.IDLE] * 5 + [ChargerState.FAULT])),
        authority=draw(st.sampled_from([Authority.OURS] * 5 + [Authority.LOCAL])),
        plugged=draw(st.sampled_from([True, True, True, None, False])),
        power_w=draw(st.sampled_from([reading.power_w, reading.power_w, None])),
        soc_pct=draw(st.sampled_from([reading.soc_pct, reading.soc_pct, None])),
    )


@st.composite
def scenes(draw: st.DrawFn, plain: bool = False) -> Scene:
    """``plain``: no legs, every charger answers and follows any power, and nobody wishes anything of it himself."""
    count, legs = draw(st.sampled_from([1, 2, 3, 5, 12, 40])), 0 if plain else draw(st.sampled_from([0, 1, 2, 3]))
    kinds = draw(st.lists(plain_capabilities if plain else capabilities, min_size=1, max_size=3))
    on = st.sampled_from([(), *[(leg,) for leg in range(1, legs + 1)], *pairwise(range(1, legs + 1))])
    names = [f"c{place:02d}" for place in range(count)]
    most_w = draw(st.sampled_from([3000, 9600, 24000, 200_000]))
    facts = a_site(
        chargers=frozen_map({name: ChargerFacts(name, "C", draw(st.sampled_from(kinds)), draw(on)) for name in names}),
        switch=None,
        import_max_w=most_w,
        export_max_w=draw(st.sampled_from([0, 2000, most_w])),
        has_meter=plain or draw(st.sampled_from([True, True, False])),
        leg_max_w=(most_w // legs,) * legs if legs else (),
    )
    can = {name: one.capability or PLAIN for name, one in facts.chargers.items()}
    chargers = {name: draw(readings(can[name], trouble=not plain)) for name in names}
    house_w = tuple(draw(st.sampled_from([0, 500, 1500, 4000, -3000])) for _ in range(legs or 1))
    event = an_event("e1", 0, 600, draw(st.integers(-60000, 60000)), draw(st.sampled_from(["peak", "net"])))
    wished = {} if plain else draw(st.dictionaries(st.sampled_from(names), orders_of_people))
    scene = Scene(
        facts,
        Observation(after(1), frozen_map(chargers), events=(event,) if plain or draw(st.booleans()) else ()),
        Settings(manual=frozen_map(wished), backup_reserve_pct=0.0 if plain else draw(st.sampled_from([0.0, 30.0]))),
        on_grid(rotation=draw(st.integers(0, 700))),
        house_w,
    )
    silent = not plain and draw(st.integers(0, 9)) == 0
    return replace(scene, seen=replace(scene.seen, meter=None if silent else draw(meters(scene))))


@st.composite
def meters(draw: st.DrawFn, scene: Scene) -> MeterReading | None:
    """What the meter tells of house and chargers; of the legs perhaps nothing, perhaps not all."""
    if not scene.facts.has_meter:
        return None
    flows = scene.flows_now()
    legs = tuple(
        None if draw(st.integers(0, 9)) == 0 else house_w + Sum(ANY, scene.parts(leg)).of(flows) // MILLION
        for leg, house_w in enumerate(scene.house_w[: len(scene.facts.leg_max_w)])
    )
    power_w = sum(scene.house_w) + sum(flows.values())
    return a_meter(after(1), power_w=power_w, leg_power_w=legs if draw(st.booleans()) else ())


def takes_cap_only(scene: Scene, name: str) -> bool:
    capability = scene.facts.chargers[name].capability
    return capability is not None and capability.control is Control.GENERATION_CAP


def flows_then(scene: Scene, decision: Decision) -> dict[str, int]:
    """What each charger does next: what it is ordered, else what it does already, up to its cap."""
    flows = scene.flows_now()
    for name, order in decision.orders.items():
        if not takes_cap_only(scene, name):
            flows[name] = order_power_w(order, scene.facts.chargers[name].capability) or 0
        elif isinstance(order, Limits):
            flows[name] = max(flows[name], -order.discharge_max_w)
    return flows


def beyond_w(scene: Scene, decision: Decision, parts: Mapping[str, int], limits: Band, house_w: int) -> float:
    """How far our orders drive a sum beyond its limits and beyond what is not ours to change."""
    flows = flows_then(scene, decision)
    rest = dict(flows)
    for name in decision.orders:
        rest[name] = max(flows[name], 0) if takes_cap_only(scene, name) else 0
    then_w, rest_w = (house_w + Sum(ANY, parts).of(powers) / MILLION for powers in (flows, rest))
    return max(then_w - max(limits.hi, rest_w), min(limits.lo, rest_w) - then_w)


@given(scenes())
@bounded
def test_no_order_drives_the_site_beyond_its_limits(scene: Scene) -> None:
    facts, meter, decision = scene.facts, scene.seen.meter, scene.decision
    flows = flows_then(scene, decision)
    if facts.has_meter and meter is None:
        assert not any(flows[name] for name in decision.orders if not takes_cap_only(scene, name))
        assert not any(flows[name] < 0 for name in decision.orders)
        return
    whole = dict.fromkeys(facts.chargers, MILLION)
    house_w = sum(scene.house_w) if meter is not None else 0
    assert beyond_w(scene, decision, whole, Band(-facts.export_max_w, facts.import_max_w), house_w) <= 0


@given(scenes())
@bounded
def test_no_order_drives_a_leg_beyond_its_part_of_the_breaker(scene: Scene) -> None:
    """To two watts: the meter tells whole watts, and parts of a charger's power are not whole."""
    facts, meter, decision = scene.facts, scene.seen.meter, scene.decision
    for leg, most_w in enumerate(facts.leg_max_w):
        told = meter.leg_power_w if meter is not None else ()
        if told and told[leg] is None:
            flows, parts = flows_then(scene, decision), scene.parts(leg)
            steered = [name for name in decision.orders if not takes_cap_only(scene, name)]
            assert not any(flows[name] for name in steered if parts[name])
        else:
            house_w = scene.house_w[leg] if told else 0
            assert beyond_w(scene, decision, scene.parts(leg), Band(-most_w, most_w), house_w) <= 2


@given(scenes(plain=True))
@bounded
def test_an_event_s_joint_target_is_met_exactly_or_as_nearly_as_chargers_and_site_allow(scene: Scene) -> None:
    facts, event = scene.facts, scene.seen.events[0]
    chargers = {name: replace(one, soc_pct=80.0) for name, one in scene.seen.chargers.items() if one is not None}
    scene = replace(scene, seen=replace(scene.seen, chargers=frozen_map(chargers)))
    house_w = sum(scene.house_w)
    most = [
        (one.capability.discharge_rating_w, min(one.capability.charge_rating_w, chargers[name].charge_max_w or 0))
        for name, one in facts.chargers.items()
        if one.capability is not None
    ]
    lowest_w = max(-sum(give_w for give_w, _ in most), min(0, -facts.export_max_w - house_w))
    highest_w = min(sum(take_w for _, take_w in most), max(0, facts.import_max_w - house_w))
    target_w = event.slots[0].power_w - (house_w if event.program_id == "net" else 0)
    assert sum(powers(scene.decision).values()) == max(lowest_w, min(highest_w, target_w))


@given(scenes())
@bounded
def test_every_charger_is_settled_by_one_rung_and_no_bound_is_empty(scene: Scene) -> None:
    decision = scene.decision
    assert set(decision.reasons) == set(scene.facts.chargers)
    for steps in decision.steps.values():
        assert all(step.low_w is None or step.high_w is None or step.low_w <= step.high_w for step in steps)


@given(scenes(plain=True), st.randoms(use_true_random=False))
@bounded
def test_other_names_of_the_chargers_change_nothing_but_odd_watts(scene: Scene, dice: Random) -> None:
    order = list(scene.facts.chargers)
    dice.shuffle(order)
    names = dict(zip(scene.facts.chargers, order, strict=True))
    renamed = replace(
        scene,
        facts=replace(scene.facts, chargers=frozen_map({names[n]: one for n, one in scene.facts.chargers.items()})),
        seen=replace(scene.seen, chargers=frozen_map({names[n]: one for n, one in scene.seen.chargers.items()})),
    )
    before, then = powers(scene.decision), powers(renamed.decision)
    assert all(abs(before[name] - then[names[name]]) <= len(names) for name in names)


# ---------------------------------------------------------------------------------------- what the rungs may ever state

some_watts = st.integers(-20000, 20000)
some_bands = st.tuples(some_watts, some_watts).map(lambda pair: Band(min(pair), max(pair)))
FOUR = {"c0": (1,), "c1": (2,), "c2": (1, 2), "c3": ()}
names_of_four = st.sampled_from(sorted(FOUR))
leg_sums = st.lists(some_bands, min_size=2, max_size=2).map(
    lambda bands: tuple(
        Sum(band, frozen_map({name: parts_of_legs(legs, 2)[leg] for name, legs in FOUR.items()}))
        for leg, band in enumerate(bands)
    )
)
statements: st.SearchStrategy[Statement] = st.one_of(
    st.builds(Narrowing, st.just("site"), site=some_bands, legs=st.one_of(st.just(()), leg_sums)),
    st.builds(Narrowing, st.just("bands"), bands=st.dictionaries(names_of_four, some_bands).map(frozen_map)),
    st.builds(Narrowing, st.just("wants"), wants=st.dictionaries(names_of_four, some_watts).map(frozen_map)),
    st.builds(HandsOff, names_of_four, st.just("let alone")),
)


settling: st.SearchStrategy[Statement] = st.one_of(
    st.builds(Narrowing, st.just("wants"), wants=st.dictionaries(names_of_four, some_watts).map(frozen_map)),
    st.builds(
        Narrowing,
        st.just("instead"),
        instead=st.dictionaries(names_of_four, st.sampled_from([Stop(), Pause()])).map(frozen_map),
    ),
)


def view_of_four(measured: list[int], *, capped: bool) -> View:
    """``capped``: the last of them only takes a cap."""
    facts = a_depot(*FOUR.values())
    if capped:
        facts = replace(facts, chargers=frozen_map({**facts.chargers, "c3": ChargerFacts("c3", "C3", CAP_ONLY)}))
    flows = {name: {"power_w": power_w} for name, power_w in zip(FOUR, measured, strict=True)}
    bands = frozen_map(dict.fromkeys(FOUR, Band(-9600, 9600)))
    return View(seen(facts, flows), Memory(), Settings(), facts, Grid.ON, Supply.GRID, 0, bands=bands)


@given(st.lists(statements, max_size=10), st.lists(some_watts, min_size=4, max_size=4), st.booleans())
@settings(max_examples=400, deadline=None)
def test_whatever_is_stated_every_sum_always_allows_that_all_that_is_open_rests(
    stack: list[Statement], measured: list[int], capped: bool
) -> None:
    view = view_of_four(measured, capped=capped)
    for statement in stack:
        view = view.hears("rung", statement)
        for bound in (Sum(view.site), *view.legs):
            assert bound.band.lo * MILLION <= bound.of(view.resting()) <= bound.band.hi * MILLION
        wishes = view.share({name: view.bands[name].lo for name in view.open_chargers})
        joint = view.hears("share", Narrowing("share", wants=frozen_map(wishes)))
        assert all(joint.bands[name] == Band(power_w, power_w) for name, power_w in wishes.items())


@given(st.lists(st.one_of(statements, settling), max_size=10), st.booleans())
@settings(max_examples=400, deadline=None)
def test_statements_heard_together_settle_what_each_alone_would(stack: list[Statement], capped: bool) -> None:
    """What is settled is the same. The bounds that are shown on the way may differ: they are propagated once less."""
    singly = view = view_of_four([1000, -3000, 0, 7000], capped=capped)
    for statement in stack:
        singly = singly.hears("rung", statement)
    together = view.hears("rung", *stack)
    assert together.settled == singly.settled
    assert together.resting() == singly.resting()


def test_several_persons_orders_beyond_the_limit_are_served_alike() -> None:
    facts = a_depot((), (), import_max_w=7200)
    assert powers(decide(seen(facts), on_grid(), charge_all(facts), facts)) == {"c0": 3000, "c1": 3000}


def test_what_the_device_makes_of_a_person_s_order_is_shown() -> None:
    facts = a_depot((), (), capability=replace(PLAIN, step_w=230, min_charge_w=1380))
    decision = decide(seen(facts), on_grid(), charge_all(facts, 2000), facts)
    assert (powers(decision), set(decision.adjusted.values())) == ({"c0": 1840, "c1": 1840}, {"rounded"})
    decision = decide(seen(facts), on_grid(), charge_all(facts, 1000), facts)
    assert (powers(decision), set(decision.adjusted.values())) == ({"c0": 0, "c1": 0}, {"dead_zone_left"})


def test_nobody_counts_on_what_a_charger_s_steps_do_not_let_it_take_in() -> None:
    facts = a_depot((), (), export_max_w=0)
    coarse = ChargerFacts("c0", "C0", replace(PLAIN, step_w=230))
    facts = replace(facts, chargers=frozen_map({**facts.chargers, "c0": coarse}))
    wish = Settings(manual=frozen_map({"c0": ManualOrder(ManualKind.CHARGE, T0, after(600), 1000)}))
    nothing_else, event = a_meter(after(1), power_w=920), (an_event("e1", 0, 60, -5000),)
    follows = {"c0": {"power_w": 920}}
    decision = decide(seen(facts, follows, meter=nothing_else, events=event), on_grid(), wish, facts)
    assert powers(decision) == {"c0": 920, "c1": -920}
