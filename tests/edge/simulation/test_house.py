"""The physics of the simulated site, with time moved by hand."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.simulation.house import House
from edge_service.simulation.inverter import Alarm, Operation, Stage
from edge_service.simulation.options import SiteOptions


def a_house(
    *, soc_pct: float = 70, plugged: bool = True, island_capable: bool = True, obeys: bool = False, form_s: float = 1.5
) -> House:
    return House(
        SiteOptions(
            soc_pct=soc_pct,
            plugged=plugged,
            island_capable=island_capable,
            setpoint_obeyed_in_island=obeys,
            form_s=form_s,
            enter_service_s=5,
        )
    )


def order(house: House, setpoint_w: float, lease_s: float = 0, *, revert_enabled: bool = False) -> None:
    wanted = house.inverter.settings
    wanted.setpoint_enabled, wanted.setpoint_w, wanted.lease_s = True, setpoint_w, lease_s
    wanted.revert_enabled = revert_enabled
    house.inverter.renew_lease()
    house.settle()


def operate(house: House, operation: Operation) -> None:
    house.inverter.settings.operation = operation
    house.settle()


def island(house: House) -> None:
    """Lose the grid, open the switch, and wait until the charger has formed the island."""
    house.set_grid(present=False)
    house.step(0.2)
    house.command_switch(open_=True)
    house.step(2)
    assert stage(house) is Stage.ISLAND


def stage(house: House) -> Stage:
    return house.inverter.stage


def lit(house: House) -> bool:
    return house.powered


def codes(house: House) -> list[str]:
    return [violation.kind for violation in house.history.violations]


def test_power_follows_the_setpoint_along_the_ramp() -> None:
    house = a_house()
    order(house, -9000)
    house.step(1)
    assert house.inverter.power_w == pytest.approx(-4800)
    house.step(1)
    assert house.inverter.power_w == pytest.approx(-9000)
    assert house.site_power_w == pytest.approx(1200 - 9000)


def test_a_setpoint_beyond_the_rating_is_limited() -> None:
    house = a_house()
    order(house, 50_000)
    house.step(10)
    assert house.inverter.power_w == pytest.approx(9600)
    assert house.inverter.limited


def test_the_generation_cap_limits_discharge_and_not_charge() -> None:
    house = a_house()
    house.inverter.settings.cap_enabled, house.inverter.settings.cap_pct = True, 25
    order(house, -9000)
    house.step(5)
    assert house.inverter.power_w == pytest.approx(-2400)
    order(house, 9000)
    house.step(5)
    assert house.inverter.power_w == pytest.approx(9000)


def test_a_lease_that_is_not_renewed_reverts_with_the_function_off() -> None:
    house = a_house()
    order(house, -5000, lease_s=10)
    house.step(9.9)
    assert house.inverter.power_w == pytest.approx(-5000)
    house.step(0.2)
    assert not house.inverter.settings.setpoint_enabled
    house.step(2)
    assert house.inverter.power_w == 0
    assert house.history.last("lease_expired") == pytest.approx(10)


def test_a_renewed_lease_does_not_expire() -> None:
    house = a_house()
    for _ in range(5):
        order(house, -5000, lease_s=10)
        house.step(8)
    assert house.history.last("lease_expired") is None
    assert house.inverter.power_w == pytest.approx(-5000)


def test_a_lease_may_revert_to_another_setpoint() -> None:
    house = a_house()
    house.inverter.settings.revert_w = 1000
    order(house, -5000, lease_s=10, revert_enabled=True)
    house.step(20)
    assert house.inverter.power_w == pytest.approx(1000)


def test_a_released_setpoint_leaves_no_timer_behind() -> None:
    house = a_house()
    order(house, -5000, lease_s=10, revert_enabled=True)
    house.inverter.settings.setpoint_enabled = False
    house.inverter.renew_lease()
    house.step(20)
    assert not house.inverter.settings.setpoint_enabled
    assert house.inverter.power_w == 0


def test_charging_tapers_towards_full_and_never_passes_it() -> None:
    house = a_house(soc_pct=96)
    order(house, 9600)
    house.step(10)
    assert house.inverter.power_w < 0.8 * 9600
    house.step(6 * 3600)
    assert 99.9 < house.vehicle.soc_pct <= 100


def test_discharge_ends_at_the_battery_managements_floor() -> None:
    house = a_house(soc_pct=6)
    order(house, -9600)
    house.step(1800)
    assert house.inverter.power_w == 0
    assert house.vehicle.soc_pct == pytest.approx(5, abs=0.01)


def test_without_an_open_switch_an_outage_leaves_the_house_dark() -> None:
    house = a_house()
    order(house, -5000)
    house.step(5)
    house.set_grid(present=False)
    assert not lit(house)
    assert house.inverter.connected
    house.step(0.17)
    assert stage(house) is Stage.WAITING
    assert house.inverter.power_w == 0
    assert house.inverter.alarms == {Alarm.AC_DISCONNECT, Alarm.GRID_DISCONNECT, Alarm.AC_UNDER_VOLT}
    house.step(60)
    assert not lit(house)
    assert house.dark_s == pytest.approx(60.17)
    assert codes(house) == []


def test_the_house_is_lit_again_once_the_charger_has_formed_the_island() -> None:
    house = a_house()
    house.set_grid(present=False)
    house.step(0.2)
    house.command_switch(open_=True)
    house.step(0.1)
    assert (house.switch.open_proven, house.switch.closed_proven) == (False, False)
    house.step(0.06)
    assert house.switch.open_proven
    assert stage(house) is Stage.FORMING
    house.step(1.5)
    assert lit(house)
    assert house.inverter.power_w == -1200
    assert house.dark_s == pytest.approx(0.2 + 0.15 + 1.5)
    assert house.site_power_w == 0
    assert {Alarm.AC_DISCONNECT, Alarm.GRID_DISCONNECT} == house.inverter.alarms


def test_the_island_carries_the_load_and_ignores_the_setpoint() -> None:
    house = a_house()
    island(house)
    order(house, 5000)
    house.set_load(4000)
    house.step(10)
    assert house.inverter.power_w == -4000
    assert lit(house)


def test_a_lease_that_expires_in_the_island_leaves_the_house_lit() -> None:
    house = a_house()
    order(house, -5000, lease_s=10)
    island(house)
    house.step(60)
    assert lit(house)
    assert house.history.last("lease_expired") is not None


def test_a_charger_that_obeys_its_setpoint_in_the_island_brings_it_down() -> None:
    house = a_house(obeys=True)
    island(house)
    order(house, 5000)
    house.step(1.1)
    assert not lit(house)


@pytest.mark.parametrize("soc_pct", [5.0, 3.0])
def test_no_island_forms_from_an_empty_battery(soc_pct: float) -> None:
    house = a_house(soc_pct=soc_pct)
    house.set_grid(present=False)
    house.command_switch(open_=True)
    house.step(30)
    assert not lit(house)


@dataclass(frozen=True)
class Unfit:
    name: str
    house: House


def unfit_houses() -> list[Unfit]:
    stopped, forbidden = a_house(), a_house()
    stopped.inverter.settings.operation = Operation.STOP
    forbidden.inverter.settings.permit_service = False
    return [
        Unfit("unplugged", a_house(plugged=False)),
        Unfit("grid-parallel only", a_house(island_capable=False)),
        Unfit("stopped", stopped),
        Unfit("service not permitted", forbidden),
    ]


@pytest.mark.parametrize("unfit", unfit_houses(), ids=lambda unfit: unfit.name)
def test_no_island_forms_from_an_unfit_charger(unfit: Unfit) -> None:
    unfit.house.set_grid(present=False)
    unfit.house.command_switch(open_=True)
    unfit.house.step(30)
    assert not unfit.house.powered


def test_an_overloaded_island_trips_after_a_second_and_tries_again_after_five() -> None:
    house = a_house()
    island(house)
    house.set_load(12_000)
    house.step(0.9)
    assert lit(house)
    house.step(0.2)
    assert stage(house) is Stage.FAULT
    assert not lit(house)
    house.set_load(2000)
    house.step(5 + 1.6)
    assert lit(house)


def test_the_island_ends_at_the_battery_managements_floor() -> None:
    house = a_house(soc_pct=5.1)
    island(house)
    house.set_load(9000)
    house.step(120)
    assert not lit(house)
    assert stage(house) is Stage.WAITING


@pytest.mark.parametrize("spoil", ["close", "unplug", "stop"])
def test_forming_is_given_up_when_its_ground_falls_away(spoil: str) -> None:
    house = a_house(form_s=10)
    house.set_grid(present=False)
    house.command_switch(open_=True)
    house.step(1)
    assert stage(house) is Stage.FORMING
    if spoil == "close":
        house.command_switch(open_=False)
    elif spoil == "unplug":
        house.set_vehicle(plugged=False)
    else:
        operate(house, Operation.STOP)
    house.step(20)
    assert not lit(house)
    assert codes(house) == []
    assert [entry for entry in house.history.of("charger_stage") if entry.detail["entered"] == Stage.ISLAND] == []


def test_pulling_the_plug_darkens_the_island() -> None:
    house = a_house()
    island(house)
    house.set_vehicle(plugged=False)
    assert not lit(house)


def test_an_open_transition_returns_the_house_without_a_violation() -> None:
    house = a_house()
    island(house)
    house.set_grid(present=True)
    house.step(10)
    assert stage(house) is Stage.ISLAND
    operate(house, Operation.STOP)
    house.step(0.2)
    assert not lit(house)
    assert stage(house) is Stage.OFF
    house.command_switch(open_=False)
    house.step(0.2)
    assert lit(house)
    operate(house, Operation.START)
    house.step(4.9)
    assert stage(house) is not Stage.CONNECTED
    assert house.inverter.enter_service_left_s == pytest.approx(0.1)
    house.step(0.2)
    assert house.inverter.connected
    assert house.inverter.alarms == set()
    assert codes(house) == []


def test_the_enter_service_delay_begins_anew_when_the_grid_fails_again() -> None:
    house = a_house()
    house.set_grid(present=False)
    house.step(1)
    house.set_grid(present=True)
    house.step(4)
    house.set_grid(present=False)
    house.step(1)
    house.set_grid(present=True)
    house.step(4)
    assert stage(house) is not Stage.CONNECTED
    house.step(1.1)
    assert house.inverter.connected


def test_closing_onto_a_live_street_out_of_phase_is_a_violation_and_locks_the_charger_out() -> None:
    house = a_house()
    island(house)
    house.set_grid(present=True)
    house.command_switch(open_=False)
    house.step(0.2)
    assert codes(house) == ["closed_out_of_phase"]
    house.step(600)
    assert stage(house) is Stage.FAULT
    house.inverter.reset_alarm()
    house.step(6)
    assert house.inverter.connected


def test_closing_onto_a_dead_street_feeds_it_and_is_a_violation() -> None:
    house = a_house()
    island(house)
    house.command_switch(open_=False)
    house.step(0.2)
    assert codes(house) == ["island_fed_dead_street"]
    assert not lit(house)


def test_a_false_contact_lets_an_island_form_on_a_closed_switch_which_is_a_violation() -> None:
    house = a_house()
    house.break_switch(false_open_contact=True)
    house.set_grid(present=False)
    house.step(2)
    assert codes(house)[0] == "island_formed_while_closed"
    assert not lit(house)


def test_without_anti_islanding_the_charger_feeds_a_dead_street_which_is_a_violation() -> None:
    house = a_house()
    house.inverter.settings.anti_islanding = False
    order(house, -5000)
    house.step(5)
    house.set_grid(present=False)
    house.step(1)
    assert codes(house) == ["energised_dead_street"]


def test_a_stuck_switch_does_not_move_until_it_is_healed() -> None:
    house = a_house()
    house.break_switch(stuck=True)
    house.command_switch(open_=True)
    house.step(10)
    assert house.switch.closed_proven
    house.break_switch(stuck=False)
    house.step(0.2)
    assert house.switch.open_proven


def test_broken_feedback_proves_nothing_though_the_switch_moves() -> None:
    house = a_house()
    house.break_switch(feedback_broken=True)
    house.command_switch(open_=True)
    house.step(1)
    assert not house.switch.closed
    assert (house.switch.open_proven, house.switch.closed_proven) == (False, False)


acts = st.lists(
    st.one_of(
        st.tuples(st.just("grid"), st.booleans()),
        st.tuples(st.just("switch"), st.booleans()),
        st.tuples(st.just("plug"), st.booleans()),
        st.tuples(st.just("order"), st.integers(-12_000, 12_000)),
        st.tuples(st.just("load"), st.integers(0, 14_000)),
        st.tuples(st.just("operate"), st.sampled_from(Operation)),
        st.tuples(st.just("wait"), st.floats(0.01, 400)),
    ),
    max_size=25,
)


def do(house: House, act: str, value: float) -> None:
    match act:
        case "grid":
            house.set_grid(present=bool(value))
        case "switch":
            house.command_switch(open_=bool(value))
        case "plug":
            house.set_vehicle(plugged=bool(value))
        case "order":
            order(house, value, lease_s=60)
        case "load":
            house.set_load(value)
        case "operate":
            operate(house, Operation(int(value)))
        case _:
            house.step(value)


@given(acts=acts, soc_pct=st.floats(4, 99))
@settings(max_examples=150, deadline=None)
def test_energy_is_conserved_whatever_happens(acts: list[tuple[str, float]], soc_pct: float) -> None:
    house = a_house(soc_pct=soc_pct)
    stored_wh = house.vehicle.energy_wh
    for act, value in acts:
        do(house, act, value)
    charger = house.inverter
    expected_wh = stored_wh + charger.absorbed_wh * 0.95 - charger.injected_wh / 0.95
    assert house.vehicle.energy_wh == pytest.approx(expected_wh, abs=1)


@given(acts=acts)
@settings(max_examples=150, deadline=None)
def test_the_house_is_lit_exactly_by_the_street_or_the_island(acts: list[tuple[str, float]]) -> None:
    house = a_house()
    for act, value in acts:
        do(house, act, value)
        assert house.powered == ((house.grid_present and house.switch.closed) or house.inverter.feeds_bus)
        assert not (house.inverter.feeds_bus and house.switch.closed)
    now_s = house.history.now_s
    ends_s = (now_s if dark.until_s is None else dark.until_s for dark in house.dark_periods)
    total_s = sum(until_s - dark.from_s for until_s, dark in zip(ends_s, house.dark_periods, strict=True))
    assert house.dark_s == pytest.approx(total_s, abs=1e-6)


@given(acts=acts, parts=st.integers(2, 50))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_how_time_is_cut_does_not_change_the_outcome(acts: list[tuple[str, float]], parts: int) -> None:
    whole, cut = a_house(), a_house()
    for act, value in acts:
        do(whole, act, value)
        for _ in range(parts if act == "wait" else 1):
            do(cut, act, value / parts if act == "wait" else value)
    assert stage(cut) is stage(whole)
    assert cut.inverter.power_w == pytest.approx(whole.inverter.power_w, abs=20)
    assert cut.vehicle.energy_wh == pytest.approx(whole.vehicle.energy_wh, abs=10)
    assert cut.dark_s == pytest.approx(whole.dark_s, abs=0.01)
