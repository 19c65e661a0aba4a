"""A second Modbus client commands the charger too: the edge yields, says so, and takes it up when a person asks."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_service.simulation import acts
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import a_house
from tests.edge.simulation.site_kit import modbus, off_loop
from tests.edge.simulation.test_charger_registers import WSET_ENA, setpoint_block

# Their wish: charge with 3 kW. SunSpec counts power + for generation.
THEIRS = setpoint_block(-3000, 600)


def driveway(state: Any) -> Any:
    return state["chargers"]["driveway"]


def stage(state: Any) -> Any:
    order = driveway(state)["order"]
    return None if order is None else (order["stage"], order["reason"])


async def setpoint_w(site: SimulatedSite) -> Any:
    return (await asyncio.to_thread(acts.truth, site.control_url))["charger"]["setpoint_w"]


async def test_who_overwrites_three_orders_gets_the_charger_until_a_person_says_otherwise(tmp_path: Path) -> None:
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    async with a_house(tmp_path) as (site, edge), modbus(site.charger_port) as other:
        await edge.command("discharge", charger="driveway", power_w=4000, until=until)
        for _ in range(2):
            await edge.until(lambda state: stage(state) in [("read_back", None), ("measured", None)])
            assert await off_loop(other.write_multiple_registers, WSET_ENA, THEIRS)
            await edge.until(lambda state: stage(state) == ("ordered", "overwritten"))
        state = await edge.until(lambda state: stage(state) == ("measured", None))
        assert list(driveway(state)["order"]["reached"]) == ["ordered", "written", "read_back", "measured"]
        assert abs(driveway(state)["order"]["measured_w"] + 4000) <= 200
        assert await off_loop(other.write_multiple_registers, WSET_ENA, THEIRS)
        state = await edge.until(lambda state: state["notices"])
        assert driveway(state)["order"] is None
        assert driveway(state)["why"][-1]["reason"] == "another_controller"
        ((kind, data),) = [(notice["kind"], notice["data"]) for notice in state["notices"]]
        assert (kind, data["charger"], data["setpoint_w"]) == ("another_controller", "Driveway charger", 3000)
        await edge.until(lambda state: driveway(state)["power_w"] == 3000)
        assert await setpoint_w(site) == 3000
        told = await edge.edge.journal.happenings_since(0)
        assert [one.happening.kind for one in told].count("control_contested") == 1
        await edge.command("resume", charger="driveway")
        state = await edge.until(lambda state: stage(state) == ("measured", None) and not state["notices"])
        assert driveway(state)["order"]["kind"] == "hold"
        assert await setpoint_w(site) == 0


async def test_an_outage_takes_their_order_away_as_it_would_ours(tmp_path: Path) -> None:
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    async with a_house(tmp_path) as (site, edge), modbus(site.charger_port) as other:
        await edge.command("discharge", charger="driveway", power_w=4000, until=until)
        for _ in range(3):
            await edge.until(lambda state: stage(state) in [("read_back", None), ("measured", None)])
            assert await off_loop(other.write_multiple_registers, WSET_ENA, THEIRS)
            await edge.until(lambda state: stage(state) in [("ordered", "overwritten"), None])
        await edge.until(lambda state: driveway(state)["why"][-1]["reason"] == "another_controller")
        await asyncio.to_thread(acts.outage, site.control_url)
        await edge.until(lambda state: state["site"]["supply"] == "island")
        seen = await asyncio.to_thread(acts.truth, site.control_url)
        assert (seen["violations"], seen["house_powered"]) == ([], True)
        assert seen["charger"]["setpoint_enabled"] is False
