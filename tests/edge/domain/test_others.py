"""Meter and chargers tell of different moments: the breaker holds all the same, and the orders come to rest."""

from dataclasses import replace
from datetime import timedelta

import pytest

from edge_service.domain.decide import decide
from edge_service.domain.model import (
    Capability,
    Control,
    Event,
    Lease,
    ManualKind,
    ManualOrder,
    Observation,
    Settings,
    Slot,
    SlotKind,
    frozen_map,
)
from tests.edge.domain.closed_loop import Loop, Skew
from tests.edge.domain.houses import T0, a_meter, a_reading, after
from tests.edge.domain.test_legs import a_depot, charge_all, powers

BIG = Capability(Control.SIGNED, 11500, 11500, lease=Lease.TIMER)
SLOW_W_PER_S = 1000
# The meter's delay, the chargers', how often the meter's value is renewed, and the ramp.
SKEWS = (
    Skew(),
    Skew(0.5),
    Skew(1),
    Skew(2, ramp_w_per_s=SLOW_W_PER_S),
    Skew(4),
    Skew(every_s=2),
    Skew(every_s=5),
    Skew(charger_s=0.5),
    Skew(charger_s=1),
    Skew(charger_s=4, ramp_w_per_s=SLOW_W_PER_S),
    Skew(2, 4),
    Skew(4, 1, every_s=2, ramp_w_per_s=SLOW_W_PER_S),
)
# Within this of a limit is at the limit.
PLAY = 1.02
LIMIT_W = 12000


def reacts_s(skew: Skew) -> float:
    """How long a load that begins may be over the limit: until it is seen and the chargers have come down by 4 kW."""
    return skew.meter_s + skew.every_s + 1 + 4000 / skew.ramp_w_per_s


def kettle_w(at_s: float) -> int:
    return 5000 if 50 <= at_s < 90 else 1000


@pytest.mark.parametrize("skew", SKEWS, ids=repr)
@pytest.mark.parametrize("legs", [(), (LIMIT_W // 2, LIMIT_W // 2)], ids=["site", "legs"])
@pytest.mark.parametrize("count", [1, 2])
def test_chargers_fill_what_the_house_leaves_and_come_to_rest_whatever_the_readings_age(
    skew: Skew, legs: tuple[int, ...], count: int
) -> None:
    facts = a_depot(*((),) * count, capability=BIG, import_max_w=LIMIT_W, leg_max_w=legs)
    loop = Loop(facts, charge_all(facts), kettle_w, skew).run(130)
    assert max(loop.between(1, 50)) <= LIMIT_W * PLAY
    assert loop.seconds_beyond(LIMIT_W * PLAY) <= reacts_s(skew)
    assert max(loop.between(90, 130)) <= LIMIT_W * PLAY
    for settled_at_s in (40, 80, 120):
        assert abs(loop.between(settled_at_s, settled_at_s + 1)[0] - min(LIMIT_W, 11500 * count + 1000)) <= count
    assert loop.changes_since(115) <= 1, "at most the odd watt that changes hands"


def test_twenty_chargers_whose_meter_is_late_stay_within_the_breaker() -> None:
    facts = a_depot(*((),) * 20, capability=BIG, import_max_w=60_000)
    loop = Loop(facts, charge_all(facts), kettle_w, Skew(1, 2, ramp_w_per_s=SLOW_W_PER_S)).run(75)
    assert loop.seconds_beyond(60_000 * PLAY) <= reacts_s(Skew(1, 2, ramp_w_per_s=SLOW_W_PER_S))
    assert max(loop.between(1, 50)) <= 60_000 * PLAY
    assert abs(loop.net_w[-1] - 60_000) <= 20


def dinner_w(at_s: float) -> int:
    return 5000 if at_s < 50 else 1500 if at_s < 90 else 4000


@pytest.mark.parametrize("skew", SKEWS, ids=repr)
@pytest.mark.parametrize("kind", [SlotKind.COVER_HOUSE, SlotKind.MAX_DISCHARGE])
def test_a_house_that_is_covered_gives_nothing_back_longer_than_it_takes_to_see(skew: Skew, kind: SlotKind) -> None:
    facts = a_depot((), (), capability=BIG, import_max_w=24000, export_max_w=0)
    event = Event("e1", "peak", "Peak", T0, (Slot(T0, after(600), kind),))
    loop = Loop(facts, Settings(backup_reserve_pct=0), dinner_w, skew, events=(event,)).run(130)
    assert min(loop.between(1, 50)) >= -100
    assert loop.seconds_below(-100) <= reacts_s(skew)
    assert min(loop.between(90, 130)) >= -100
    assert [loop.between(at_s, at_s + 1)[0] for at_s in (45, 85, 125)] == [0, 0, 0]
    assert loop.changes_since(115) <= 1


@pytest.mark.parametrize("skew", [Skew(), Skew(1, 1), Skew(every_s=5)], ids=repr)
def test_a_load_that_grows_while_the_chargers_change_is_followed(skew: Skew) -> None:
    facts = a_depot((), (), capability=BIG, import_max_w=LIMIT_W)
    loop = Loop(facts, charge_all(facts), lambda at_s: 1000 + 250 * int(min(20, max(0, at_s - 50))), skew).run(110)
    # What it has grown by while meter, cycle and our own last changes were waited for.
    assert max(loop.net_w) <= LIMIT_W + 250 * (reacts_s(skew) + 7)
    assert max(loop.between(85, 110)) <= LIMIT_W * PLAY
    assert abs(loop.net_w[-1] - LIMIT_W) <= 2


def test_what_the_others_use_is_exact_once_nothing_of_ours_changes() -> None:
    facts = a_depot((), (), capability=BIG, import_max_w=LIMIT_W, leg_max_w=(6000, 6000))
    loop = Loop(facts, charge_all(facts, 3000), kettle_w, Skew(2, 1)).run(40)
    assert loop.decision is not None
    assert loop.decision.house_w == 1000
    assert loop.memory.others_u == (1000 * 10**6, 500 * 10**6, 500 * 10**6)


def test_delays_go_on_when_the_clock_is_set() -> None:
    facts = a_depot((), capability=BIG, import_max_w=LIMIT_W)
    before = Loop(facts, charge_all(facts), kettle_w, Skew(1)).run(4).memory
    moments = [one.since for one in before.charger("c0").lately]
    assert moments
    hour = timedelta(hours=1)
    assert [one.since for one in before.shifted(hour).charger("c0").lately] == [at + hour for at in moments]
    back = before.not_after(T0 - hour).charger("c0").lately
    assert {one.since for one in back} == {T0 - hour}
    assert before.after_restart().others_u == ()


def test_a_meter_that_was_silent_is_no_reason_to_take_our_own_power_for_the_house_s() -> None:
    """The chargers went to nothing meanwhile, and their readings are as old as the meter's last word."""
    facts = a_depot((), capability=BIG, import_max_w=LIMIT_W)
    order = ManualOrder(ManualKind.CHARGE, T0, after(600))
    wishes = Settings(manual=frozen_map({"c0": order}))
    loop = Loop(facts, wishes, lambda _: 1000).run(30)
    charging = frozen_map({"c0": a_reading(after(40), power_w=11000, charge_max_w=11500)})
    blind = decide(Observation(after(40), charging, None), loop.memory, wishes, facts)
    assert powers(blind) == {"c0": 0}
    late = replace(charging["c0"], at=after(41))
    again = decide(
        Observation(after(41), frozen_map({"c0": late}), a_meter(after(41), power_w=1000)), blind.memory, wishes, facts
    )
    assert powers(again) == {"c0": 11000}
