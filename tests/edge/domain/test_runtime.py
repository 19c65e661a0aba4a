"""How long backup lasts: never less with more energy or less load, a range in order, remembered whatever happens."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from edge_service.domain.decide import Decision, decide
from edge_service.domain.forecast import EFFICIENCY
from edge_service.domain.load_profile import Outlook, minute_of, outlook
from edge_service.domain.memory import HISTORY_H, MINUTES, Memory, RuntimeMemory, Store, Track
from edge_service.domain.model import (
    AtEnd,
    Backup,
    ChargerFacts,
    CompanionFacts,
    CompanionReading,
    CompanionState,
    Grid,
    LoadGroup,
    LoadReading,
    LoadState,
    Observation,
    Position,
    Runtime,
    Settings,
    SiteFacts,
    Supply,
    frozen_map,
)
from edge_service.domain.runtime import STANDBY_W, what_if
from edge_service.journal.encoding import from_plain, to_plain
from tests.edge.domain.houses import DER, T0, a_meter, a_site, after, an_observation

HOUR_S = 3600.0
# T0 is at 20:00.
MIDNIGHT = minute_of(T0) // 60 - 20
CAR = Store("car", 60000, 70.0, 20.0)
USABLE_WH = 30000 * EFFICIENCY


def a_day(hours: Sequence[int], days: int = 14) -> Track:
    """So many past days, each with these 24 hours; the last minutes are like the hour of T0."""
    ring: list[int | None] = [None] * HISTORY_H
    for back in range(1, days * 24 + 1):
        hour = MIDNIGHT + 20 - back
        ring[hour % HISTORY_H] = hours[(hour - MIDNIGHT) % 24]
    return Track(minutes=(hours[20],) * MINUTES, hours=tuple(ring))


def remembered(load: Track, stores: tuple[Store, ...] = (CAR,), **changes: object) -> RuntimeMemory:
    return replace(RuntimeMemory(T0, load, stores=stores), **changes)  # type: ignore[arg-type]


def lasts(memory: RuntimeMemory, **asked: float) -> Runtime:
    found = what_if(memory, T0, **asked)  # type: ignore[arg-type]
    assert found is not None
    return found.lasts


def hours(told: Runtime) -> list[float]:
    return [inf if value is None else value for value in (told.p10_h, told.p50_h, told.p90_h)]


# ------------------------------------------------------------------------------------------------------ what is told


@pytest.mark.parametrize("power_w", [300, 1000, 2500])
def test_a_steady_load_lasts_for_the_energy_by_what_is_drawn_of_it(power_w: int) -> None:
    told = lasts(remembered(a_day([power_w] * 24)))
    assert told.p50_h == pytest.approx(USABLE_WH / (power_w + STANDBY_W), abs=0.01)
    assert told.usable_wh == round(USABLE_WH)
    assert told.load_w == power_w


def test_an_outage_in_the_evening_lasts_longer_than_its_present_load_lets_fear() -> None:
    evening = lasts(remembered(a_day([400] * 18 + [3000] * 4 + [400] * 2)))
    assert evening.p50_h is not None
    assert evening.p50_h > 2 * USABLE_WH / (3000 + STANDBY_W)


def test_a_quiet_night_does_not_hide_the_day_that_comes() -> None:
    busy_by_day = a_day([2500] * 20 + [300] * 4)
    told = lasts(remembered(busy_by_day))
    assert told.p50_h is not None
    assert told.p50_h < 0.6 * USABLE_WH / (300 + STANDBY_W)


def test_solar_that_covers_the_load_makes_backup_without_end() -> None:
    sun = a_day([0] * 7 + [-4000] * 10 + [0] * 7)
    dark, lit = remembered(a_day([1000] * 24)), remembered(a_day([1000] * 24), solar=sun)
    assert hours(lasts(lit)) == [inf, inf, inf]
    assert lasts(dark).p50_h is not None


def test_the_sun_cannot_fill_a_vehicle_beyond_full() -> None:
    sun = a_day([0] * 7 + [-9000] * 10 + [0] * 7)
    small = Store("car", 20000, 100.0, 20.0)
    told = lasts(remembered(a_day([1000] * 24), (small,), solar=sun))
    night_h = 16000 * EFFICIENCY / (1000 + STANDBY_W)
    assert night_h < 14, "the second night, from 17:00 to 07:00, is longer than what fits"
    assert told.p50_h == pytest.approx(21 + night_h, abs=0.1)


def test_each_hour_is_like_that_hour_of_the_days_before() -> None:
    told = lasts(remembered(a_day([500] * 8 + [3000] * 12 + [500] * 4)))
    assert told.p50_h == pytest.approx(12 + (USABLE_WH - 12 * 600) / 3100, abs=0.05)


def test_few_days_give_a_wider_range_and_none_the_widest() -> None:
    ranges = []
    for days in (14, 3, 0):
        low, _, high = hours(lasts(remembered(a_day([1000] * 24, days))))
        ranges.append(high / low)
    assert ranges == sorted(ranges)
    assert ranges[0] < 1.7 < 3 < ranges[2]


def test_with_no_past_the_present_load_counts() -> None:
    found = what_if(remembered(Track()), T0, present_w=900)
    assert found is not None
    assert found.lasts.p50_h == pytest.approx(USABLE_WH / 1000, abs=0.01)
    assert what_if(remembered(Track()), T0) is None


def test_days_that_differ_give_a_wider_range_than_days_that_do_not() -> None:
    same = a_day([1000] * 24)
    mixed = replace(same, hours=tuple([500 if place // 24 % 2 else 1500 for place in range(HISTORY_H)]))
    (low, _, high), (lower, _, higher) = (hours(lasts(remembered(track))) for track in (same, mixed))
    assert higher / lower > high / low


def test_an_island_that_draws_less_than_usual_is_taken_at_its_word_the_more_the_longer_it_stands() -> None:
    usual = replace(a_day([2000] * 24), minutes=(800,) * MINUTES)
    told = [lasts(remembered(usual, carried_h=carried_h)).p50_h or 0 for carried_h in (0.1, 0.5, 0.99)]
    assert told == sorted(told)
    assert told[0] < told[-1] < USABLE_WH / (800 + STANDBY_W)


def test_loads_that_we_shed_are_taken_off_the_days_to_come() -> None:
    track = replace(a_day([2000] * 24), minutes=(500,) * MINUTES)
    told = lasts(remembered(track, carried_h=0.5, shed_w=1500))
    assert told.p50_h == pytest.approx(USABLE_WH / (500 + STANDBY_W), abs=0.01)


def test_a_second_vehicle_that_can_take_over_adds_its_energy() -> None:
    track = a_day([1000] * 24)
    alone, both = (lasts(remembered(track, stores)) for stores in ((CAR,), (CAR, replace(CAR, charger="bus"))))
    assert both.p50_h == pytest.approx(2 * (alone.p50_h or 0), abs=0.02)


# ------------------------------------------------------------------------------------------------------ what never is

day_powers = st.lists(st.integers(-3000, 6000), min_size=24, max_size=24)
tracks = st.builds(a_day, day_powers, st.integers(0, 14))
# Days that differ, with gaps, in any place.
rings = st.lists(st.one_of(st.none(), st.integers(-3000, 6000)), min_size=48, max_size=48).map(
    lambda some: Track(minutes=(some[0],) * MINUTES, hours=tuple((some * 7)[:HISTORY_H]))
)
suns = st.builds(lambda peak: a_day([0] * 8 + [-peak] * 8 + [0] * 8), st.integers(0, 8000))
situations = st.builds(
    lambda load, solar, soc, carried_h, shed_w: remembered(
        load, (replace(CAR, soc_pct=soc),), solar=solar, carried_h=carried_h, shed_w=shed_w
    ),
    st.one_of(tracks, rings),
    suns,
    st.floats(0, 100),
    st.sampled_from([None, 0.0, 0.3, 5.0, 100.0]),
    st.sampled_from([0, 700]),
)


@hypothesis_settings(derandomize=True, max_examples=150, deadline=None)
@given(situations)
def test_the_cautious_time_is_never_longer_than_the_median_nor_that_than_the_hopeful_one(memory: RuntimeMemory) -> None:
    found = what_if(memory, T0, present_w=500)
    assert found is not None
    told = hours(found.lasts)
    assert told == sorted(told)
    assert told[0] >= 0


@hypothesis_settings(derandomize=True, max_examples=150, deadline=None)
@given(situations, st.floats(0, 100), st.floats(0, 100))
def test_more_energy_never_lasts_less(memory: RuntimeMemory, one: float, other: float) -> None:
    less, more = (what_if(memory, T0, soc_pct=soc, present_w=500) for soc in sorted((one, other)))
    assert less is not None
    assert more is not None
    assert all(low <= high for low, high in zip(hours(less.lasts), hours(more.lasts), strict=True))


@hypothesis_settings(derandomize=True, max_examples=150, deadline=None)
@given(situations, st.floats(0, 5000), st.integers(0, 5000))
def test_less_load_never_lasts_less(memory: RuntimeMemory, without_w: float, group_w: int) -> None:
    memory = replace(memory, groups_w=frozen_map({"heat": group_w, "odd": None}))
    all_on, less, off = (
        what_if(memory, T0, present_w=500, **asked) for asked in ({}, {"without_w": without_w}, {"without": ["heat"]})
    )
    assert all_on is not None
    for fewer in (less, off):
        assert fewer is not None
        assert all(before <= now for before, now in zip(hours(all_on.lasts), hours(fewer.lasts), strict=True))
    assert all_on.gains_h["odd"] is None
    assert (all_on.gains_h["heat"] or 0) >= 0
    assert off is not None
    assert "heat" not in off.gains_h


def test_a_group_s_gain_is_what_the_answer_without_it_says() -> None:
    memory = remembered(a_day([1500] * 24), groups_w=frozen_map({"heat": 700}))
    on, off = what_if(memory, T0), what_if(memory, T0, without=["heat"])
    assert on is not None
    assert off is not None
    assert on.gains_h["heat"] == pytest.approx((off.lasts.p50_h or 0) - (on.lasts.p50_h or 0), abs=0.02)
    assert on.gains_h["heat"] == pytest.approx(USABLE_WH / 900 - USABLE_WH / 1600, abs=0.02)


# ------------------------------------------------------------------------------------------------------ how it is seen


def through(
    seconds: range, house_w: int = 1000, memory: Memory | None = None, facts: SiteFacts | None = None, **changes: object
) -> Decision:
    """The last decision of a stretch of time on a good grid."""
    memory, facts, decision = memory or Memory(), facts or a_site(), None
    for second in seconds:
        decision = decide(seen(second, house_w, **changes), memory, Settings(), facts)
        memory = decision.memory
    assert decision is not None
    return decision


def seen(second: float, house_w: int, **changes: object) -> Observation:
    return an_observation(second, meter=a_meter(after(second), power_w=house_w), **changes)  # type: ignore[arg-type]


def known(ring: Sequence[int | None]) -> list[int]:
    return [value for value in ring if value is not None]


def test_a_few_seconds_after_the_start_there_is_an_estimate_with_a_wide_range() -> None:
    told = through(range(15)).runtime
    assert told is not None
    assert told.p50_h == pytest.approx(USABLE_WH / 1100, abs=0.01)
    assert hours(told)[2] > 3 * hours(told)[0]


def test_minutes_and_hours_are_means_and_what_nobody_measured_is_not_known() -> None:
    decision = through(range(0, 3600, 5))
    decision = through(range(3600, 3660, 5), 4000, decision.memory)
    decision = through(range(3 * 3600, 3 * 3600 + 90, 5), 2000, decision.memory)
    load = decision.memory.runtime.load
    assert known(load.hours) == [1000]
    assert load.hours[minute_of(T0) // 60 % HISTORY_H] == 1000
    assert known(load.minutes) == [2000]


def test_a_restart_forgets_nothing_of_what_was_drawn() -> None:
    before = through(range(0, 3700, 5)).memory
    kept = from_plain(Memory, to_plain(before)).after_restart()
    assert known(kept.runtime.load.hours) == [1000]
    decision = through(range(3720, 3735), 1000, kept)
    assert decision.memory.runtime.load.hours == before.runtime.load.hours
    assert decision.runtime is not None


@pytest.mark.parametrize("by_s", [-7200.0, 7200.0, -86400.0, 30 * 86400.0 + 7 * 60])
def test_a_clock_that_is_set_moves_what_was_drawn_with_it(by_s: float) -> None:
    before = through(range(0, 2 * 3600 + 600, 10)).memory
    before = through(range(2 * 3600 + 600, 2 * 3600 + 660, 10), 4000, before).memory
    before = through(range(2 * 3600 + 660, 2 * 3600 + 700, 10), 1000, before).memory
    moved = before.shifted(timedelta(seconds=by_s)).runtime
    assert moved.minute_at == before.runtime.minute_at + timedelta(seconds=by_s)  # type: ignore[operator]
    hour = round(minute_of(after(by_s)) / 60)
    assert [moved.load.hours[(hour + later) % HISTORY_H] for later in (-1, 0, 1, 2)] == [None, 1000, 1000, None]
    minute = minute_of(after(2 * 3600 + 600 + by_s))
    assert [moved.load.minutes[(minute + later) % MINUTES] for later in (-1, 0)] == [1000, pytest.approx(3500, abs=500)]


def test_a_clock_that_went_back_unseen_leaves_nothing_from_the_future() -> None:
    before = through(range(7 * 3600, 9 * 3600, 10)).memory
    decision = through(range(0, 60, 5), 1000, before)
    runtime = decision.memory.runtime
    assert runtime.minute_at is not None
    assert runtime.minute_at <= after(60)
    assert decision.runtime is not None
    hour = minute_of(T0) // 60
    assert [runtime.load.hours[(hour + later) % HISTORY_H] for later in range(1, 12)] == [None] * 11


def test_after_weeks_without_us_nothing_old_is_taken_for_new() -> None:
    before = through(range(0, 3700, 5)).memory
    weeks_s = 15 * 24 * 3600
    decision = through(range(weeks_s, weeks_s + 30, 5), 700, before)
    assert known(decision.memory.runtime.load.hours) == []
    assert known(decision.memory.runtime.load.minutes) == []


def test_the_first_estimate_does_not_wait_until_the_next_is_due() -> None:
    start = through(range(1))
    assert start.runtime is None
    assert through(range(1, 3), memory=start.memory).runtime is not None


def test_the_estimate_stands_for_ten_seconds_unless_what_counts_changes() -> None:
    memory = through(range(30)).memory
    at = memory.runtime.lasts_at
    assert at is not None
    soon = (at - T0).total_seconds() + 1
    same = decide(seen(soon, 5000), memory, Settings(), a_site())
    assert same.memory.runtime.lasts_at == at
    lends = decide(seen(soon, 1000), memory, Settings(at_end=AtEnd.LEND), a_site())
    assert lends.memory.runtime.lasts_at == after(soon)
    assert lends.runtime is not None
    assert same.runtime is not None
    assert lends.runtime.usable_wh > same.runtime.usable_wh


@pytest.mark.parametrize("charger", [{"soc_pct": None}, {"capacity_wh": None}, {"plugged": False}])
def test_without_a_charge_a_battery_or_a_vehicle_nothing_is_told(charger: dict[str, object]) -> None:
    memory = Memory()
    for second in range(15):
        told = decide(an_observation(second, {"car": charger}), memory, Settings(), a_site())
        memory = told.memory
    assert told.runtime is None


def test_at_the_reserve_nothing_is_left() -> None:
    memory = through(range(15)).memory
    told = decide(an_observation(16, {"car": {"soc_pct": 20.0}}), memory, Settings(), a_site())
    assert told.runtime is not None
    assert hours(told.runtime) == [0, 0, 0]


def test_solar_on_the_house_s_side_is_kept_apart_and_solar_on_the_grid_s_side_is_not_counted_on() -> None:
    for position, supplied in ((Position.PROTECTED_SIDE, -3000), (Position.GRID_SIDE, 0)):
        facts = a_site(companions=frozen_map({"sun": CompanionFacts("sun", "Sun", position)}))
        memory = Memory()
        for second in range(0, 130, 5):
            reading = CompanionReading(after(second), CompanionState.ON_GRID, solar_w=-3000)
            looked = seen(second, -2000, companions=frozen_map({"sun": reading}))
            memory = decide(looked, memory, Settings(), facts).memory
        assert known(memory.runtime.load.minutes) == [1000, 1000]
        assert known(memory.runtime.solar.minutes) == [supplied, supplied]


def test_a_group_counts_with_what_it_draws_in_the_mean_and_not_while_it_is_off() -> None:
    settings = Settings(load_groups=frozen_map({"heat": LoadGroup("heat", "Heat", power_w=5000)}))
    memory, decision = Memory(), None
    for second in range(0, 600, 10):
        power_w = 3000 if second // 60 % 2 else 0
        heat = LoadReading(after(second), LoadState.ON, power_w)
        looked = seen(second, 4000, loads=frozen_map({"heat": heat}))
        decision = decide(looked, memory, settings, a_site())
        memory = decision.memory
    assert decision is not None
    use = memory.runtime.groups["heat"]
    assert use.minutes == 9
    assert use.mean_w == pytest.approx(1500, abs=200)
    assert decision.gains_h["heat"] == pytest.approx(USABLE_WH / (4100 - use.mean_w) - USABLE_WH / 4100, rel=0.01)
    off = LoadReading(after(605), LoadState.OFF, 0)
    looked = seen(615, 4000, loads=frozen_map({"heat": replace(off, at=after(615))}))
    assert "heat" not in decide(looked, memory, settings, a_site()).gains_h


def test_an_outlook_has_an_example_for_each_past_day_that_is_known() -> None:
    ahead = outlook(a_day([1000] * 24, 5), Track(), T0)
    assert isinstance(ahead, Outlook)
    assert [example.past for example in ahead.examples] == [1, 2, 3, 4, 5]


def test_the_first_sign_of_a_lost_grid_is_not_delayed_by_an_estimate() -> None:
    memory = through(range(30)).memory
    lost = {"car": {"grid_present": False, "voltage_v": 0.0}}
    told = decide(an_observation(60, lost, meter=a_meter(after(60), voltage_v=0.0)), memory, Settings(), a_site())
    assert told.grid is Grid.SUSPECT
    assert told.memory.runtime.lasts_at == memory.runtime.lasts_at


def test_a_vehicle_that_may_lend_all_lasts_down_to_empty() -> None:
    memory = through(range(15)).memory
    told = decide(seen(26, 1000), memory, Settings(at_end=AtEnd.LEND), a_site()).runtime
    assert told is not None
    assert told.usable_wh == round(0.65 * 60000 * EFFICIENCY)


def usable_wh(facts: SiteFacts, **chargers: dict[str, object]) -> int | None:
    memory, told = Memory(), None
    for second in range(15):
        decision = decide(an_observation(second, chargers), memory, Settings(), facts)
        memory, told = decision.memory, decision.runtime
    return None if told is None else told.usable_wh


def test_a_second_vehicle_counts_where_it_is_there_and_tells_its_charge() -> None:
    both = a_site("bus", "car")
    assert usable_wh(a_site("car"), car={}) == 27900
    assert usable_wh(both, car={}, bus={}) == 55800
    assert usable_wh(both, car={}, bus={"plugged": False}) == 27900
    assert usable_wh(both, car={}, bus={"soc_pct": None}) == 27900


def test_a_vendor_s_gateway_carries_the_house_from_its_vehicle_alone() -> None:
    vendor = ChargerFacts("bus", "Bus", replace(DER, backup=Backup.VENDOR))
    facts = a_site("car", switch=None)
    facts = replace(facts, chargers=frozen_map({**facts.chargers, "bus": vendor}))
    assert usable_wh(facts, bus={"capacity_wh": 40000}, car={}) == 18600


def test_a_site_without_backup_tells_nothing() -> None:
    facts = a_site(chargers=frozen_map({"car": ChargerFacts("car", "Car", replace(DER, backup=Backup.NONE))}))
    assert through(range(15), facts=facts).runtime is None


def test_what_a_dark_house_does_not_draw_is_not_taken_for_little_need() -> None:
    memory = through(range(0, 3600, 5)).memory
    before = memory.runtime
    for second in range(3600, 5400, 5):
        dark = {"car": {"grid_present": False, "voltage_v": 0.0, "soc_pct": 30.0}}
        seen_dark = an_observation(second, dark, meter=a_meter(after(second), power_w=0, voltage_v=0.0))
        decision = decide(seen_dark, memory, Settings(), a_site())
        memory = decision.memory
    assert decision.supply not in (Supply.GRID, Supply.ISLAND)
    assert before.load.minutes[59] is None
    assert 0 not in memory.runtime.load.minutes
    assert decision.runtime is not None
    assert decision.runtime.load_w == 1000
