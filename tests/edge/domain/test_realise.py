"""Orders stay inside what the rungs have left, and are such as the device can do."""

from dataclasses import replace

from hypothesis import given, settings, strategies as st

from edge_service.domain.band import Band
from edge_service.domain.decide import decide
from edge_service.domain.memory import ChargerMemory, Memory
from edge_service.domain.model import (
    Capability,
    ChargerFacts,
    Control,
    Hold,
    Limits,
    ManualKind,
    ManualOrder,
    Pause,
    Power,
    Release,
    Settings,
    Stop,
    frozen_map,
)
from edge_service.domain.realise import follows, order_power_w, realise
from tests.edge.domain.houses import T0, a_site, after, an_observation, capabilities

EVDC = Capability(Control.TWO_LIMITS, 12500, 12500, 1000, 1000, never_zero=True)
CHARGES_ONLY = replace(EVDC, discharge_rating_w=0)
CAP = Capability(Control.GENERATION_CAP, 9600, 9600, step_w=100)
ANYTHING = Band(-12500, 12500)

watts = st.integers(-20000, 20000)
bands = st.tuples(watts, watts).map(lambda pair: Band(min(pair), max(pair)))
around_zero = st.tuples(st.integers(0, 20000), st.integers(0, 20000)).map(lambda pair: Band(-pair[0], pair[1]))
memories = st.builds(
    ChargerMemory,
    order_w=st.one_of(st.none(), watts),
    order_since=st.one_of(st.none(), st.integers(-20, 0).map(after)),
)
devices = st.one_of(capabilities, st.sampled_from([EVDC, CHARGES_ONLY, CAP, replace(EVDC, guard_s=10)]))


# ---------------------------------------------------------------------------------------------- whatever is wished


@given(bands, watts, devices, memories)
@settings(max_examples=1000)
def test_an_order_leaves_the_band_only_to_let_nothing_flow_when_nothing_allowed_can_be_done(
    band: Band, want_w: int, capability: Capability, memory: ChargerMemory
) -> None:
    made = realise(band, want_w, capability, memory, T0)
    if capability.control is Control.GENERATION_CAP:
        return
    assert made.power_w is not None
    if made.power_w not in band:
        assert isinstance(made.order, Pause | Stop)
        assert 0 not in band
        assert not any(_can_be_done(w, capability) for w in (band.lo, band.hi))


@given(bands, watts, devices, memories)
@settings(max_examples=1000)
def test_an_order_is_on_the_step_grid_and_in_no_dead_zone(
    band: Band, want_w: int, capability: Capability, memory: ChargerMemory
) -> None:
    made = realise(band, want_w, capability, memory, T0)
    if made.power_w:
        assert made.power_w % capability.step_w == 0
        assert capability.control is Control.GENERATION_CAP or _can_be_done(made.power_w, capability)


@given(bands, watts, devices, memories)
@settings(max_examples=1000)
def test_what_never_takes_zero_is_never_told_zero(
    band: Band, want_w: int, capability: Capability, memory: ChargerMemory
) -> None:
    order = realise(band, want_w, capability, memory, T0).order
    if capability.control is Control.TWO_LIMITS:
        assert isinstance(order, Limits | Stop)
        if isinstance(order, Limits):
            assert order.charge_max_w >= min(capability.min_charge_w, capability.charge_rating_w)
            assert order.discharge_max_w >= min(capability.min_discharge_w, capability.discharge_rating_w)
            assert order.charge_max_w or order.discharge_max_w
    elif capability.never_zero and capability.control is not Control.GENERATION_CAP:
        assert isinstance(order, Stop) or (isinstance(order, Power) and order.w)


@given(bands, watts, devices)
@settings(max_examples=1000)
def test_what_was_realised_is_realised_again_to_the_same(band: Band, want_w: int, capability: Capability) -> None:
    once = realise(band, want_w, capability, ChargerMemory(), T0)
    wish_w = want_w if once.power_w is None else once.power_w
    memory = ChargerMemory(order_w=once.power_w, order_since=T0)
    again = realise(band, wish_w, capability, memory, after(1))
    assert (again.order, again.power_w) == (once.order, once.power_w)


@given(bands, watts, devices, st.integers(-20000, 20000), st.integers(0, 20))
@settings(max_examples=1000)
def test_no_guard_time_holds_back_less_power_or_what_upper_rungs_demand(
    band: Band, want_w: int, capability: Capability, before_w: int, ago_s: int
) -> None:
    memory = ChargerMemory(order_w=before_w, order_since=after(-ago_s))
    free = realise(band, want_w, capability, ChargerMemory(), T0)
    made = realise(band, want_w, capability, memory, T0)
    if made.changed_by != "dwell":
        assert made == free
        return
    assert made.power_w == before_w
    assert capability.control is Control.GENERATION_CAP or before_w in band
    assert ago_s < capability.guard_s
    if capability.control is Control.GENERATION_CAP:
        assert before_w >= -max(0, -band.lo)
    else:
        wish_w = band.nearest(want_w)
        assert abs(wish_w) > abs(before_w) or wish_w * before_w < 0


@given(bands, watts, devices, memories)
@settings(max_examples=600)
def test_a_cap_lets_no_more_be_supplied_than_the_band_allows(
    band: Band, want_w: int, capability: Capability, memory: ChargerMemory
) -> None:
    cap = replace(capability, control=Control.GENERATION_CAP)
    order = realise(band, want_w, cap, memory, T0).order
    if isinstance(order, Release):
        assert max(0, -band.lo) >= cap.discharge_rating_w
    else:
        assert isinstance(order, Limits)
        assert order.charge_max_w == cap.charge_rating_w
        assert order.discharge_max_w <= max(0, -band.lo)


def _can_be_done(power_w: int, capability: Capability) -> bool:
    least_w = capability.min_charge_w if power_w > 0 else capability.min_discharge_w
    return power_w % capability.step_w == 0 and abs(power_w) >= least_w


@given(around_zero, watts, st.sampled_from([1400, 2000]), st.sampled_from([900, 1400]), st.sampled_from([1, 100, 230]))
def test_a_wish_in_the_dead_zone_goes_to_zero_where_zero_is_allowed(
    band: Band, want_w: int, min_charge_w: int, min_discharge_w: int, step_w: int
) -> None:
    capability = Capability(Control.STEPS, 20000, 20000, min_charge_w, min_discharge_w, step_w)
    power_w = order_power_w(realise(band, want_w, capability, ChargerMemory(), T0).order)
    assert power_w is not None
    assert power_w == 0 or power_w >= min_charge_w or power_w <= -min_discharge_w
    assert abs(power_w) <= abs(band.nearest(want_w))


def test_the_edge_of_a_dead_zone_is_raised_to_the_next_step() -> None:
    capability = Capability(Control.STEPS, 20000, 20000, min_charge_w=1400, step_w=230)
    made = realise(Band(500, 9600), 500, capability, ChargerMemory(), T0)
    assert (made.order, made.changed_by) == (Power(1610), "dead_zone_raised")


# ------------------------------------------------------------------------------------------------------ two limits


def test_the_side_that_nobody_wants_is_set_to_its_floor_and_nothing_at_all_is_a_stop() -> None:
    assert realise(ANYTHING, 4000, EVDC, ChargerMemory(), T0).order == Limits(4000, 1000)
    assert realise(ANYTHING, -4000, EVDC, ChargerMemory(), T0).order == Limits(1000, 4000)
    assert realise(ANYTHING, 0, EVDC, ChargerMemory(), T0).order == Stop()
    assert realise(ANYTHING, 700, EVDC, ChargerMemory(), T0).order == Stop()
    # Of two evils: what is allowed cannot be done, and the device is not told 0.
    assert realise(Band(300, 700), 500, EVDC, ChargerMemory(), T0).order == Stop()


def test_two_limits_without_a_floor_are_never_both_zero_but_a_stop() -> None:
    capability = Capability(Control.TWO_LIMITS, 9600, 9600)
    assert realise(Band(-9600, 9600), 0, capability, ChargerMemory(), T0).order == Stop()
    assert realise(Band(-9600, 9600), -4000, capability, ChargerMemory(), T0).order == Limits(0, 4000)


def test_a_charger_that_cannot_discharge_is_told_no_limit_of_discharge() -> None:
    assert realise(Band(0, 12500), 4000, CHARGES_ONLY, ChargerMemory(), T0).order == Limits(4000, 0)


def test_limits_stand_for_the_power_of_the_side_that_is_wanted() -> None:
    assert order_power_w(Limits(4000, 1000), EVDC) == 4000
    assert order_power_w(Limits(1000, 4000), EVDC) == -4000
    assert order_power_w(Limits(4000, 0), CHARGES_ONLY) == 4000
    assert order_power_w(Limits(1000, 0)) == 1000
    assert order_power_w(Limits(0, 4000)) == -4000
    # Both at their floors, or floors that are not known: a bound, and no power that anyone could name.
    assert order_power_w(Limits(1000, 1000), EVDC) is None
    assert order_power_w(Limits(4000, 1000)) is None
    assert order_power_w(Limits(9600, 3000), CAP) is None


def test_the_least_charge_and_the_least_discharge_are_remembered_for_what_they_are() -> None:
    """Both are the same pair of limits; only the wish tells them apart."""
    for want_w in (1000, -1000):
        made = realise(ANYTHING, want_w, EVDC, ChargerMemory(), T0)
        assert (made.order, made.power_w) == (Limits(1000, 1000), want_w)


def test_a_decision_remembers_what_was_wanted_of_a_charger_that_takes_limits() -> None:
    facts = a_site(chargers=frozen_map({"car": ChargerFacts("car", "Car", EVDC)}))
    wishes = Settings(manual=frozen_map({"car": ManualOrder(ManualKind.DISCHARGE, T0, after(600), 1000)}))
    first = decide(an_observation(0), Memory(), wishes, facts)
    decision = decide(an_observation(3), first.memory, wishes, facts)
    assert decision.orders["car"] == Limits(1000, 1000)
    assert decision.memory.charger("car").order_w == -1000


# ---------------------------------------------------------------------------------------------- a cap of generation


def test_a_cap_is_set_where_the_band_binds_the_discharge_and_released_where_nothing_does() -> None:
    assert realise(Band(-3050, 9600), -9600, CAP, ChargerMemory(), T0).order == Limits(9600, 3000)
    assert realise(Band(0, 9600), 4000, CAP, ChargerMemory(), T0).order == Limits(9600, 0)
    assert realise(Band(2000, 9600), 4000, CAP, ChargerMemory(), T0).order == Limits(9600, 0)
    assert realise(Band(-9600, 2000), 0, CAP, ChargerMemory(), T0).order == Release()


def test_within_the_guard_time_a_cap_is_tightened_and_not_loosened() -> None:
    capability, memory = replace(CAP, guard_s=10), ChargerMemory(order_w=-3000, order_since=T0)
    assert realise(Band(-2000, 0), 0, capability, memory, after(5)).order == Limits(9600, 2000)
    assert realise(Band(-5000, 0), 0, capability, memory, after(5)).order == Limits(9600, 3000)
    assert realise(Band(-9600, 0), 0, capability, memory, after(5)).order == Limits(9600, 3000)
    assert realise(Band(-9600, 0), 0, capability, memory, after(10)).order == Release()


# ------------------------------------------------------------------------------------------------- zero, guard time


def test_a_charger_whose_session_dies_at_zero_is_paused() -> None:
    capability = Capability(Control.SIGNED, 9600, 9600, zero_ends_session_after_s=5)
    assert realise(Band(-9600, 9600), 0, capability, ChargerMemory(), T0).order == Pause()
    assert realise(Band(-9600, 9600), 0, Capability(Control.SIGNED, 1, 1), ChargerMemory(), T0).order == Hold()


def test_within_the_guard_time_the_former_order_stands_unless_it_is_no_longer_allowed() -> None:
    capability = Capability(Control.SIGNED, 9600, 9600, guard_s=10)
    memory = ChargerMemory(order_w=4000, order_since=T0)
    assert realise(Band(-9600, 9600), -2000, capability, memory, after(5)).order == Power(4000)
    assert realise(Band(-9600, 3000), -2000, capability, memory, after(5)).order == Power(-2000)
    assert realise(Band(-9600, 9600), -2000, capability, memory, after(10)).order == Power(-2000)


def test_within_the_guard_time_less_power_and_none_are_ordered_at_once() -> None:
    capability = Capability(Control.SIGNED, 9600, 9600, guard_s=10)
    memory = ChargerMemory(order_w=-4000, order_since=T0)
    assert realise(Band(-9600, 9600), -1500, capability, memory, after(1)).order == Power(-1500)
    assert realise(Band(-9600, 9600), 0, capability, memory, after(1)).order == Hold()
    assert realise(Band(-9600, 9600), -4500, capability, memory, after(1)).order == Power(-4000)


def test_a_former_order_that_the_device_could_not_do_does_not_stand() -> None:
    capability = Capability(Control.STEPS, 9600, 9600, min_charge_w=1400, step_w=100, guard_s=10)
    memory = ChargerMemory(order_w=1050, order_since=T0)
    assert realise(Band(0, 9600), 3000, capability, memory, after(1)).order == Power(3000)


# -------------------------------------------------------------------------------------------------------- following


def test_a_setpoint_is_followed_within_the_models_tolerance() -> None:
    capability = Capability(Control.SIGNED, 9600, 9600, tolerance_w=100, tolerance_share=0.1)
    assert follows(Power(-5000), -4500, capability) is True
    assert follows(Power(-5000), -4499, capability) is False
    assert follows(Power(500), 401, capability) is True
    assert follows(Hold(), 100, capability) is True
    assert follows(Stop(), -101, capability) is False


def test_a_limit_is_kept_by_any_power_of_its_side_and_not_by_the_other_direction() -> None:
    assert follows(Limits(4000, 1000), 0, EVDC) is True
    assert follows(Limits(4000, 1000), 4100, EVDC) is True
    assert follows(Limits(4000, 1000), 4400, EVDC) is False
    assert follows(Limits(4000, 1000), -900, EVDC) is False
    assert follows(Limits(1000, 4000), -3900, EVDC) is True
    assert follows(Limits(1000, 1000), -900, EVDC) is True
    assert follows(Limits(9600, 3000), 9000, CAP) is True
    assert follows(Limits(9600, 3000), -3500, CAP) is False


def test_what_is_not_measured_or_asks_for_nothing_cannot_be_told_to_follow() -> None:
    assert follows(Power(1000), None, EVDC) is None
    assert follows(Power(1000), 1000, None) is None
    assert follows(Release(), 0, EVDC) is None
