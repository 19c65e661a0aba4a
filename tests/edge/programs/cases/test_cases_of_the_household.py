"""Cases 17, 38, 40 to 42, 44 and 45: what a house makes of an event when something else happens to it meanwhile.

Where no server has a part in it the case is a story; the others run a whole edge at a simulated site and utility.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_service.simulation.site import SimulatedSite
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from tests.edge.edge_kit import QUICK_SITE, RunningEdge, a_house, config_of, running
from tests.edge.scenarios.story import play_file
from tests.edge.test_app_programs import an_entry

STORIES = Path(__file__).parents[2] / "scenarios"


def story(name: str) -> None:
    play_file(STORIES / f"{name}.json")


def event_of(state: Any, program: str = "peak") -> dict[str, Any]:
    """The one event of the program, {} before it is known."""
    events = state["programs"].get(program, {}).get("events", [])
    return events[0] if events else {}


@asynccontextmanager
async def a_called_house(
    folder: Path, power_kw: float = 3.0
) -> AsyncIterator[tuple[SimulatedUtility, SimulatedSite, RunningEdge]]:
    """A house at a utility whose event it serves."""
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, a_house(folder) as (site, edge):
        await edge.command("set_program", id="peak", program=an_entry(utility))
        utility.dispatch.call_event(start_in_s=0, duration_s=600, power_kw=power_kw)
        await edge.until(lambda state: event_of(state).get("status") == "running")
        yield utility, site, edge


# -------------------------------------------------------------------------------------------------------------- case 17


def test_case_17_of_two_programs_that_contradict_a_person_s_first_one_counts_and_safety_above_both() -> None:
    story("programs-contradict")


# -------------------------------------------------------------------------------------------------------------- case 38


@pytest.mark.parametrize("power_kw", [1000.0, 900_000.0])
async def test_case_38_an_absurd_setpoint_becomes_what_house_and_charger_allow_and_that_is_told(
    tmp_path: Path, power_kw: float
) -> None:
    async with a_called_house(tmp_path, power_kw) as (_, site, edge):
        await edge.until(lambda _: site.house.inverter.power_w <= -9000)
        assert site.house.inverter.power_w >= -9700
        assert site.house.site_power_w >= -9600 - 50
        state = await edge.until(lambda state: event_of(state)["limited_by"] is not None)
        assert event_of(state)["limited_by"] in ("rating", "export_limit", "vehicle")
        assert event_of(state)["power_w"] == -round(power_kw * 1000)


# -------------------------------------------------------------------------------------------------------------- case 40


def test_case_40_in_an_outage_nothing_goes_out_and_the_event_resumes_on_the_grid() -> None:
    story("event-outage-in-its-middle")


async def test_case_40_a_real_outage_withdraws_the_event_s_order_and_the_event_resumes(tmp_path: Path) -> None:
    async with a_called_house(tmp_path) as (_, site, edge):
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -3000)
        site.house.set_grid(present=False)
        state = await edge.until(lambda state: state["site"]["supply"] == "island")
        assert event_of(state)["status"] == "interrupted"
        assert event_of(state)["limited_by"] == "outage"
        site.house.set_grid(present=True)
        await edge.until(lambda state: event_of(state)["status"] == "running", within_s=40)
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -3000)
        assert site.house.history.violations == []


# -------------------------------------------------------------------------------------------------------------- case 41


@pytest.mark.parametrize("name", ["event-storm-alert-in-its-middle", "storm-over-an-event", "storm-and-a-coming-event"])
def test_case_41_a_storm_alert_and_a_peak_event_together_the_backup_reserve_wins(name: str) -> None:
    story(name)


# -------------------------------------------------------------------------------------------------------------- case 42


@pytest.mark.parametrize(
    "name", ["event-unplugged-and-back", "event-reaches-the-reserve", "departure-interrupts-an-event"]
)
def test_case_42_unplugged_below_the_reserve_or_left_the_event_stops_gracefully_and_resumes(name: str) -> None:
    story(name)


async def test_case_42_a_car_that_leaves_and_comes_back_serves_the_rest_of_the_event(tmp_path: Path) -> None:
    async with a_called_house(tmp_path) as (_, site, edge):
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -3000)
        site.house.set_vehicle(plugged=False)
        state = await edge.until(lambda state: event_of(state)["limited_by"] == "no_vehicle")
        assert event_of(state)["status"] == "running"
        assert state["chargers"]["driveway"]["power_w"] == 0
        site.house.set_vehicle(plugged=True)
        state = await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -3000)
        assert (await edge.until(lambda state: event_of(state)["limited_by"] is None))["programs"]


# -------------------------------------------------------------------------------------------------------------- case 44


async def test_case_44_a_restarted_edge_goes_on_with_the_event_by_itself_though_the_utility_is_away(
    tmp_path: Path,
) -> None:
    """Its base, its account and its window are what they were; nobody has to tell it anew."""
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            await edge.command("set_program", id="peak", program=an_entry(utility))
            utility.dispatch.call_event(start_in_s=0, duration_s=600, power_kw=3)
            await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -3000)
            before = event_of(await edge.until(lambda state: event_of(state)["energy_wh"] > 0))
        utility.set_faults({"status": 503})
        async with running(config) as edge:
            state = await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -3000)
            after = event_of(await edge.until(lambda state: event_of(state).get("status") == "running"))
            assert (after["uid"], after["start"], after["end"]) == (before["uid"], before["start"], before["end"])
            assert after["energy_wh"] >= before["energy_wh"]
            assert len(state["programs"]["peak"]["events"]) == 1


def test_case_44_what_a_change_counts_from_survives_a_restart() -> None:
    story("event-change-of-power")


# -------------------------------------------------------------------------------------------------------------- case 45


async def test_case_45_the_edge_serves_an_event_with_no_home_assistant_at_all(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, a_house(tmp_path) as (site, edge):
        await edge.command("set_program", id="peak", program=an_entry(utility))
        utility.dispatch.call_event(start_in_s=3, duration_s=6, power_kw=3)
        await edge.until(lambda _: abs(site.house.inverter.power_w + 3000) <= 60)
        await edge.until(lambda state: event_of(state).get("status") == "finished")
        await edge.until(lambda _: abs(site.house.inverter.power_w) <= 60)
        assert site.house.history.violations == []
