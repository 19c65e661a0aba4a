"""Case 43: a person leaves a running event and comes back, at a real edge, a simulated charger and utility."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_service.api import wire
from edge_service.simulation.site import SimulatedSite
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from tests.edge.edge_kit import QUICK_SITE, RunningEdge, config_of, running
from tests.edge.test_app_programs import an_entry

SERVING_W = -3000
TERMS = {"pay_usd_per_kw": 275.0, "season_events": 45}


def the_event(state: wire.State) -> dict[str, Any]:
    """The only one of the only program with a server."""
    (event,) = state["programs"]["peak"]["events"]
    return dict(event)


async def until_power(edge: RunningEdge, power_w: int) -> None:
    """The charger's measured power is this."""
    await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == power_w)


async def serving(edge: RunningEdge, utility: SimulatedUtility) -> str:
    """The uid of an event that runs and is served."""
    await edge.command("set_program", id="peak", program=an_entry(utility, **TERMS))
    utility.dispatch.call_event(start_in_s=0, duration_s=600, power_kw=3)
    await until_power(edge, SERVING_W)
    return str(the_event(edge.state)["uid"])


async def test_case_43_leaving_a_running_event_counts_at_once_survives_a_restart_and_is_taken_back(
    tmp_path: Path,
) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            uid = await serving(edge, utility)
            assert the_event(edge.state)["stake_usd"] == pytest.approx(18.33, rel=0.1)
            told = await edge.command("opt_out", event=uid)
            # 3 kW of one event of 45, nearly whole: 3 / 45 x $275 = $18.33.
            assert told["stake_usd"] == pytest.approx(18.33, rel=0.1)
            assert told["average_w"] == pytest.approx(3000 / 45, rel=0.1)
            await until_power(edge, 0)
            event = the_event(await edge.until(lambda state: the_event(state)["status"] == "opted_out"))
            assert event["opted_out"] is True
            assert event["energy_wh"] >= 0
        async with running(config) as edge:
            event = the_event(await edge.until(lambda state: state["site"]["grid"] == "on"))
            assert (event["status"], event["opted_out"]) == ("opted_out", True)
            assert edge.state["chargers"]["driveway"]["power_w"] == 0
            await edge.command("opt_in", event=uid)
            await until_power(edge, SERVING_W)
            event = the_event(await edge.until(lambda state: the_event(state)["status"] == "running"))
            assert (event["opted_out"], event["uid"]) == (False, uid)


@pytest.mark.parametrize("by", ["program", "day"])
async def test_case_43_leaving_a_program_or_a_day_ends_its_running_event_and_a_yes_to_the_event_brings_it_back(
    tmp_path: Path, by: str
) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        config = replace(config, site=replace(config.site, time_zone="America/New_York"))
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await leaves_and_comes_back(edge, utility, by)


async def leaves_and_comes_back(edge: RunningEdge, utility: SimulatedUtility, by: str) -> None:
    """Out by the program or the day, in by the event."""
    uid = await serving(edge, utility)
    day = the_event(edge.state)["day"]
    if by == "program":
        await edge.command("set_participation", program="peak", participating=False)
    else:
        await edge.command("opt_out_day", day=day)
    await until_power(edge, 0)
    event = the_event(await edge.until(lambda state: the_event(state)["status"] == "opted_out"))
    assert event["opted_out"] is True
    assert edge.state["programs"]["peak"]["days_opted_out"] == ([day] if by == "day" else [])
    await edge.command("opt_in", event=uid)
    await until_power(edge, SERVING_W)
    assert the_event(await edge.until(lambda state: the_event(state)["opted_out"] is False))["status"] == "running"
