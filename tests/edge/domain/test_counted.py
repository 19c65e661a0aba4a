"""What a charger may count on of the others: what they surely do, and not what they were only told to do."""

from dataclasses import replace

import pytest

from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import Memory
from edge_service.domain.model import (
    Capability,
    ChargerFacts,
    Control,
    Lease,
    ManualKind,
    ManualOrder,
    Observation,
    Settings,
    SiteFacts,
    frozen_map,
)
from tests.edge.domain.closed_loop import Loop
from tests.edge.domain.houses import T0, a_reading, after, an_event
from tests.edge.domain.test_legs import a_depot, on_grid, powers

BIG = Capability(Control.SIGNED, 11500, 11500, lease=Lease.TIMER)

# The second vehicle is below its driver's reserve, and fills.
LOW = {"c1": 15.0}


def wishes(**powers_w: int) -> Settings:
    """Persons' orders with their sign."""
    kinds = {name: ManualKind.CHARGE if w > 0 else ManualKind.DISCHARGE for name, w in powers_w.items()}
    orders = {name: ManualOrder(kinds[name], T0, after(3600), abs(w)) for name, w in powers_w.items()}
    return Settings(manual=frozen_map(orders), backup_reserve_pct=0)


def quiet_w(_: float) -> int:
    return 2000


def gives_nothing(name: str, order_w: int) -> int:
    return 0 if name == "c0" else order_w


@pytest.mark.parametrize("legs", [(), (5000, 5000)], ids=["site", "legs"])
def test_nobody_charges_on_a_discharge_that_does_not_come(legs: tuple[int, ...]) -> None:
    facts = a_depot((), (), capability=BIG, import_max_w=10000, export_max_w=10000, leg_max_w=legs)
    loop = Loop(facts, wishes(c0=-11500), quiet_w, soc_pct=LOW, follows=gives_nothing).run(30)
    assert max(loop.net_w) <= 10000
    assert loop.orders[-1] == {"c0": loop.orders[-1]["c0"], "c1": 8000}
    assert loop.orders[-1]["c0"] < 0, "it is asked for all the same"


@pytest.mark.parametrize("legs", [(), (2500, 2500)], ids=["site", "legs"])
def test_nobody_gives_back_on_a_charging_that_does_not_come(legs: tuple[int, ...]) -> None:
    facts = a_depot((), (), capability=BIG, import_max_w=20000, export_max_w=5000, leg_max_w=legs)
    event = an_event("e1", 0, 600, -11500)
    loop = Loop(facts, wishes(c0=3000), quiet_w, events=(event,), follows=gives_nothing).run(30)
    assert min(loop.net_w) >= -5000
    assert loop.orders[-1]["c1"] == -7000


def test_what_another_is_measured_to_give_makes_room() -> None:
    facts = a_depot((), (), capability=BIG, import_max_w=10000, export_max_w=10000)
    loop = Loop(facts, wishes(c0=-3000), quiet_w, soc_pct=LOW).run(30)
    assert loop.orders[-1] == {"c0": -3000, "c1": 11000}
    assert max(loop.net_w) <= 10000


@pytest.mark.parametrize("first", [True, False])
def test_what_a_guard_time_holds_is_counted(first: bool) -> None:
    """Told to turn round, it charges on for the guard time, or goes to nothing where that would be too much."""
    guarded, other = ("c0", "c1") if first else ("c1", "c0")
    facts = a_depot((), (), capability=BIG, import_max_w=10000, export_max_w=10000)
    chargers = {**facts.chargers, guarded: ChargerFacts(guarded, "G", replace(BIG, guard_s=30))}
    facts = replace(facts, chargers=frozen_map(chargers))
    before = Loop(facts, wishes(**{guarded: 4000, other: 11500}), quiet_w).run(5)
    assert before.orders[-1] == {guarded: 4000, other: 4000}
    loop = Loop(facts, wishes(**{guarded: -4000, other: 11500}), quiet_w, memory=before.memory).run(60)
    assert all(2000 + max(0, orders[guarded]) + orders[other] <= 10000 for orders in loop.orders[:30])
    assert loop.orders[-1][guarded] == -4000


def silent_after(facts: SiteFacts, memory: Memory, settings: Settings, seconds: float) -> Decision:
    """The first charger's last word is of second 10, the other goes on."""
    now = after(seconds)
    chargers = {
        name: a_reading(after(10) if name == "c0" else now, power_w=5750, charge_max_w=11500) for name in facts.chargers
    }
    return decide(Observation(now, frozen_map(chargers)), memory, settings, facts)


@pytest.mark.parametrize(("lease", "free_at_s"), [(Lease.TIMER, 56), (Lease.TRAFFIC, 56), (Lease.NONE, None)])
def test_without_a_meter_a_silent_charger_keeps_its_room_while_its_order_may_stand(
    lease: Lease, free_at_s: int | None
) -> None:
    facts = a_depot((), (), capability=replace(BIG, lease=lease), import_max_w=11500, has_meter=False)
    chargers = {name: replace(one, lease_s=40) for name, one in facts.chargers.items()}
    facts, settings = replace(facts, chargers=frozen_map(chargers)), wishes(c0=11500, c1=11500)
    memory = on_grid()
    room_w: dict[int, int] = {}
    for seconds in range(9, 70):
        decision = silent_after(facts, memory, settings, seconds)
        memory, room_w[seconds] = decision.memory, powers(decision)["c1"]
    free = [seconds for seconds, power_w in room_w.items() if power_w > 5750]
    assert (free[0] if free else None) == free_at_s
    back = decide(
        Observation(after(70), frozen_map({name: a_reading(after(70), charge_max_w=11500) for name in facts.chargers})),
        memory,
        settings,
        facts,
    )
    assert powers(back) == {"c0": 5750, "c1": 5750}
    assert back.memory.charger("c0").held is None
