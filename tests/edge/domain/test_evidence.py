"""The life of an order, stage by stage: what proves each, what takes it back, and what a charger is limited by."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge_service.domain.decide import Decision, decide
from edge_service.domain.evidence import (
    HELD_AFTER,
    PATIENCE,
    ordered,
    reached,
    read_back,
    refused,
    seen,
    shifted,
    undone,
    unfollowed_since,
    written,
)
from edge_service.domain.memory import Memory
from edge_service.domain.model import ChargerState, Evidence, Hold, Order, Power, Release, Settings, Stage, Stop
from edge_service.domain.news import NOT_FOLLOWED_FOR
from tests.edge.domain.houses import DER, T0, a_reading, a_site, after, an_observation

# Within so many seconds after the read-back a charger of this model must follow.
IN_TIME_S = DER.settle_s + PATIENCE.total_seconds()


DISCHARGE = Power(-4000)


def an_order(order: Order = DISCHARGE, at: float = 0) -> Evidence:
    """An order that was read back."""
    return read_back(ordered(order, after(at), None, DER), after(at))


def measured(evidence: Evidence, *powers_w: int | None, first: float = 1, every: float = 1, **shows: Any) -> Evidence:
    """The evidence after readings of these powers, so many seconds apart."""
    for number, power_w in enumerate(powers_w):
        evidence = seen(evidence, a_reading(after(first + number * every), power_w=power_w, **shows), DER)
    return evidence


def test_an_order_goes_through_each_stage_in_turn_and_keeps_its_times() -> None:
    evidence = ordered(Power(-4000), after(0), None, DER)
    assert evidence.stage is Stage.ORDERED
    evidence = written(evidence, after(0.1))
    assert evidence.stage is Stage.WRITTEN
    evidence = read_back(evidence, after(0.2))
    assert evidence.stage is Stage.READ_BACK
    evidence = measured(evidence, -1500, -3900)
    assert evidence.stage is Stage.MEASURED
    evidence = measured(evidence, *[-3980] * 31, first=3)
    assert evidence.stage is Stage.HELD
    assert list(reached(evidence)) == [Stage.ORDERED, Stage.WRITTEN, Stage.READ_BACK, Stage.MEASURED, Stage.HELD]
    assert list(reached(evidence).values()) == [after(at) for at in (0, 0.1, 0.2, 2, 2 + HELD_AFTER.total_seconds())]


def test_a_charger_that_does_not_tell_the_write_apart_has_written_when_it_has_read_back() -> None:
    assert reached(an_order()) == {stage: after(0) for stage in (Stage.ORDERED, Stage.WRITTEN, Stage.READ_BACK)}


@pytest.mark.parametrize("at", [-1, 0])
def test_a_reading_begun_before_the_read_back_proves_nothing(at: float) -> None:
    assert seen(an_order(), a_reading(after(at), power_w=-4000), DER).stage is Stage.READ_BACK


@pytest.mark.parametrize(
    ("ordered_w", "power_w", "follows"),
    [(-4000, -3850, True), (-4000, -3849, False), (-9000, -8730, True), (-9000, -8729, False), (3000, -3000, False)],
)
def test_what_follows_is_within_the_models_own_tolerance(ordered_w: int, power_w: int, follows: bool) -> None:
    evidence = measured(an_order(Power(ordered_w)), power_w)
    assert evidence.stage is (Stage.MEASURED if follows else Stage.READ_BACK)


def test_a_model_of_less_precision_is_given_more() -> None:
    coarse = replace(DER, tolerance_w=500, tolerance_share=0.2)
    assert seen(an_order(), a_reading(after(1), power_w=-3300), coarse).stage is Stage.MEASURED


@pytest.mark.parametrize("power_w", [None, 0])
def test_a_release_is_never_measured(power_w: int | None) -> None:
    assert measured(an_order(Release()), *[power_w] * 60).stage is Stage.READ_BACK


@pytest.mark.parametrize("order", [Hold(), Stop()])
def test_an_order_of_no_power_is_measured_by_none(order: Order) -> None:
    assert measured(an_order(order), 40).stage is Stage.MEASURED
    assert measured(an_order(order), *[900] * 60).stage is Stage.LIMITED


def test_a_power_that_is_not_known_takes_nothing_back() -> None:
    evidence = measured(an_order(), -4000)
    assert measured(evidence, None, None, first=2) is evidence


def test_power_that_leaves_its_order_is_no_longer_measured_and_held_only_by_a_new_stretch() -> None:
    evidence = measured(an_order(), *[-4000] * 29, -2000)
    assert evidence.stage is Stage.READ_BACK
    evidence = measured(evidence, *[-4000] * 30, first=31)
    assert evidence.stage is Stage.MEASURED
    assert measured(evidence, -4000, first=61).stage is Stage.HELD


def test_a_charger_has_its_time_to_follow_and_is_limited_after_that() -> None:
    evidence = measured(an_order(), *[-1000] * 14)
    assert evidence.stage is Stage.READ_BACK
    evidence = measured(evidence, -1000, first=IN_TIME_S)
    assert (evidence.stage, evidence.reason, evidence.limited_at) == (Stage.LIMITED, "not_followed", after(IN_TIME_S))
    evidence = measured(evidence, -4000, first=20)
    assert (evidence.stage, evidence.reason) == (Stage.MEASURED, None)
    assert Stage.LIMITED not in reached(evidence)


@pytest.mark.parametrize(
    ("ordered_w", "power_w", "shows", "reason"),
    [
        (5000, 3000, {"charge_max_w": 3000}, "charge_limit"),
        (-5000, -3000, {"discharge_max_w": 3000}, "discharge_limit"),
        (-5000, -3000, {"charge_max_w": 3000}, "not_followed"),
        (5000, 1200, {"soc_pct": 95.0}, "soc_ceiling"),
        (5000, 1200, {"soc_pct": 94.0}, "not_followed"),
        (-5000, 0, {"soc_pct": 10.0}, "soc_floor"),
        (-5000, 0, {"soc_pct": 96.0}, "not_followed"),
        (5000, 0, {"state": ChargerState.WAITING}, "vehicle"),
        (5000, 0, {"state": ChargerState.FINISHED}, "vehicle"),
        (5000, 0, {"plugged": False}, "vehicle"),
        (5000, 0, {}, "not_followed"),
        (5000, 7000, {"charge_max_w": 3000}, "not_followed"),
        (5000, -2000, {"soc_pct": 99.0}, "not_followed"),
        (-5000, 5000, {"soc_pct": 5.0}, "not_followed"),
        (0, 2000, {"state": ChargerState.WAITING}, "not_followed"),
    ],
)
def test_a_limit_has_the_name_that_the_readings_give_it(
    ordered_w: int, power_w: int, shows: dict[str, Any], reason: str
) -> None:
    order = Power(ordered_w) if ordered_w else Hold()
    evidence = measured(an_order(order), *[power_w] * 16, **shows)
    assert (evidence.stage, evidence.reason) == (Stage.LIMITED, reason)
    assert (unfollowed_since(evidence) == after(0)) is (reason == "not_followed")


def test_an_order_that_follows_the_house_in_small_steps_is_found_out_all_the_same() -> None:
    evidence = an_order(Power(-4000))
    for second in range(1, 20):
        evidence = measured(evidence, 0, first=second)
        evidence = read_back(ordered(Power(-4000 - second * 50), after(second), evidence, DER), after(second))
    evidence = measured(evidence, 0, first=20)
    assert (evidence.stage, unfollowed_since(evidence)) == (Stage.LIMITED, after(0))


def test_between_two_such_orders_nobody_is_told_that_it_is_over() -> None:
    evidence = measured(an_order(), *[0] * 20)
    moved = ordered(Power(-4100), after(21), evidence, DER)
    assert (moved.stage, unfollowed_since(moved)) == (Stage.ORDERED, after(0))
    assert unfollowed_since(read_back(moved, after(21))) == after(0)


def test_a_new_order_far_from_the_former_has_all_its_time() -> None:
    evidence = ordered(Power(3000), after(20), measured(an_order(), *[0] * 20), DER)
    assert measured(read_back(evidence, after(20)), *[0] * 14, first=21).stage is Stage.READ_BACK


def test_a_refusal_keeps_what_was_written_only_where_the_read_back_refuses() -> None:
    fresh = ordered(Power(-4000), after(0), None, DER)
    assert list(reached(refused(fresh, "local_mode", after(1)))) == [Stage.ORDERED, Stage.REFUSED]
    assert list(reached(refused(fresh, "not_applied", after(1)))) == [Stage.ORDERED, Stage.WRITTEN, Stage.REFUSED]
    again = refused(refused(fresh, "local_mode", after(1)), "local_mode", after(2))
    assert again.refused_at == after(1)
    assert refused(again, "busy", after(3)).refused_at == after(3)


def test_a_refused_order_that_is_taken_after_all_is_measured_anew() -> None:
    evidence = read_back(refused(measured(an_order(), -4000), "local_mode", after(2)), after(3))
    assert evidence.stage is Stage.READ_BACK
    assert measured(evidence, -4000, first=4).measured_at == after(4)


def test_a_write_whose_read_back_got_no_answer_stays_written() -> None:
    sent = written(ordered(Power(-4000), after(0), None, DER), after(0.1))
    assert (undone(sent, "no_contact").stage, undone(sent, "no_contact").reason) == (Stage.WRITTEN, "no_contact")


def test_what_is_overwritten_begins_anew() -> None:
    evidence = undone(measured(an_order(), -4000), "overwritten")
    assert (evidence.stage, evidence.reason, list(reached(evidence))) == (
        Stage.ORDERED,
        "overwritten",
        [Stage.ORDERED],
    )


def test_evidence_that_says_nothing_new_is_the_same_object() -> None:
    standing = measured(an_order(), *[-4000] * 40)
    assert measured(standing, -4000, first=50) is standing
    assert read_back(standing, after(51)) is standing
    assert written(standing, after(51)) is standing
    limited = measured(an_order(), *[0] * 20)
    assert measured(limited, 0, first=30) is limited


def test_a_clock_that_is_set_moves_every_time() -> None:
    evidence = shifted(measured(an_order(), -4000), timedelta(hours=1))
    assert list(reached(evidence).values()) == [after(3600), after(3600), after(3600), after(3601)]


# ------------------------------------------------------------------------------------------------------ what is told


def decided(second: float, memory: Memory, evidence: Evidence | None, **changes: Any) -> Decision:
    orders = {} if evidence is None else {"car": evidence}
    return decide(an_observation(second, orders=orders, **changes), memory, Settings(), a_site())


def test_a_charger_that_does_not_follow_is_told_of_once_and_taken_back_when_it_does() -> None:
    evidence, memory, told, cleared = an_order(), Memory(), [], []
    for second in range(1, 60):
        evidence = measured(evidence, 0 if second < 50 else -4000, first=second)
        decision = decided(second, memory, evidence)
        memory = decision.memory
        told += [(second, notice) for notice in decision.notices if notice.kind == "order_not_followed"]
        cleared += [(second, key) for key in decision.cleared]
    ((at, notice),) = told
    assert (at, notice.key, notice.level) == (NOT_FOLLOWED_FOR.total_seconds(), "order:car", "warning")
    assert dict(notice.data) == {"charger": "Car", "since": after(0).isoformat(), "power_w": -4000, "measured_w": 0}
    assert cleared == [(50, "order:car")]


def test_a_limit_with_a_known_cause_wakes_nobody() -> None:
    evidence = measured(an_order(Power(5000)), *[1200] * 60, soc_pct=97.0)
    assert [notice.kind for notice in decided(61, Memory(), evidence).notices] == []


def test_another_controller_is_told_of_once_with_what_it_wrote() -> None:
    memory, kinds, notices, cleared = Memory(), [], [], []
    for second in range(20):
        contested = {"car": after(3)} if 3 <= second < 15 else {}
        decision = decided(second, memory, None, chargers={"car": {"setpoint_w": 3000}}, contested=contested)
        memory = decision.memory
        kinds += [(second, one.kind, one.data["setpoint_w"]) for one in decision.happenings if one.subject == "car"]
        notices += [notice for notice in decision.notices if notice.kind == "another_controller"]
        cleared += [(second, key) for key in decision.cleared]
    assert kinds == [(3, "control_contested", 3000)]
    (notice,) = notices
    assert (notice.key, notice.data["charger"], notice.data["setpoint_w"]) == ("contested:car", "Car", 3000)
    assert cleared == [(15, "contested:car")]


def test_what_went_wrong_with_an_order_is_told_once_per_reason_and_again_after_one_was_taken() -> None:
    given = Evidence(Power(-4000), T0)
    refused = replace(given, refused_at=T0, reason="local_mode")
    busy = replace(given, refused_at=T0, reason="busy")
    read_back = replace(given, written_at=T0, read_back_at=T0)
    limited = replace(read_back, limited_at=T0, reason="soc_floor")
    followed = replace(read_back, measured_at=T0)
    lived = [None, refused, given, refused, busy, read_back, busy, limited, read_back, limited, followed, limited, None]
    memory, told = Memory(), []
    for second, evidence in enumerate(lived):
        decision = decided(second, memory, evidence)
        memory = decision.memory
        told += [(second, one.kind, one.data["reason"]) for one in decision.happenings if one.subject == "car"]
    assert told == [
        (1, "order_refused", "local_mode"),
        (4, "order_refused", "busy"),
        (6, "order_refused", "busy"),
        (7, "order_limited", "soc_floor"),
        (11, "order_limited", "soc_floor"),
    ]
    assert memory.charger("car").complaints == frozenset()


def test_news_of_a_limited_order_name_the_power_that_was_ordered_and_what_flows() -> None:
    limited = Evidence(Power(5000), T0, read_back_at=T0, limited_at=T0, reason="soc_ceiling")
    (news,) = decided(1, Memory(), limited, chargers={"car": {"power_w": 1200}}).happenings
    assert (news.kind, news.subject) == ("order_limited", "car")
    assert dict(news.data) == {"order": "power", "reason": "soc_ceiling", "power_w": 5000, "measured_w": 1200}
