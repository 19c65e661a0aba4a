"""Loads of the simulated house: what they draw, at the start too, and what that does to an island."""

import pytest

from edge_service.simulation import acts
from edge_service.simulation.house import House
from edge_service.simulation.inverter import Stage
from edge_service.simulation.loads import LoadOptions
from edge_service.simulation.options import SiteOptions
from tests.edge.simulation.site_kit import a_site, off_loop
from tests.edge.simulation.test_house import island, stage


def a_house(*loads: LoadOptions) -> House:
    return House(SiteOptions(loads=loads, enter_service_s=5))


def test_a_load_counts_while_it_is_on_and_connected_on_its_own_leg() -> None:
    house = a_house(LoadOptions("pump", 1000, leg_1_share=1.0))
    assert house.site_power_w == pytest.approx(2200)
    assert house.leg_power_w == pytest.approx((1600, 600))
    house.set_switched_load("pump", told_off=True)
    assert house.site_power_w == pytest.approx(1200)
    house.set_switched_load("pump", told_off=False, on=False)
    assert house.site_power_w == pytest.approx(1200)


def test_a_motor_draws_more_at_its_start_and_for_its_time_only() -> None:
    house = a_house(LoadOptions("pump", 1000, inrush=4, inrush_s=0.5, on=False))
    house.set_switched_load("pump", on=True)
    assert house.load_w == pytest.approx(5200)
    house.step(0.4)
    assert house.load_w == pytest.approx(5200)
    house.step(0.2)
    assert house.load_w == pytest.approx(2200)


@pytest.mark.parametrize(("inrush_s", "falls"), [(0.5, False), (2.0, True)])
def test_a_start_that_outlasts_the_inverters_patience_trips_the_island(inrush_s: float, falls: bool) -> None:
    house = a_house(LoadOptions("pump", 2500, inrush=5, inrush_s=inrush_s, on=False))
    island(house)
    house.set_switched_load("pump", on=True)
    house.step(1.5)
    assert (stage(house) is Stage.FAULT) is falls
    assert house.powered is not falls


def test_after_a_dark_time_everything_starts_at_once() -> None:
    house = a_house(LoadOptions("pump", 1000, inrush=4, inrush_s=0.5))
    house.set_grid(present=False)
    house.step(1)
    house.set_grid(present=True)
    assert [period.until_s for period in house.dark_periods] == pytest.approx([1])
    assert house.load_w == pytest.approx(5200)


async def test_people_switch_loads_by_the_control_api_and_a_load_that_is_not_there_is_named() -> None:
    async with a_site(SiteOptions(loads=(LoadOptions("pump", 1000),))) as (site, _):
        await off_loop(acts.switch_load, site.control_url, "pump", False)
        truth = await off_loop(acts.truth, site.control_url)
        assert truth["loads"]["pump"] == {
            "power_w": 0.0,
            "running": False,
            "on": False,
            "told_off": False,
            "bridged": False,
        }
        with pytest.raises(acts.ControlError, match="pump"):
            await off_loop(acts.switch_load, site.control_url, "oven", False)


def test_a_load_out_of_bounds_is_named() -> None:
    with pytest.raises(ValueError, match="inrush of pump is 0"):
        LoadOptions("pump", 1000, inrush=0)
