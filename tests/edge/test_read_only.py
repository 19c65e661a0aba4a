"""Mode ``read_only`` as the charger's registers see it: looked at, and not written."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_service.simulation import acts
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import QUICK_SITE, config_of, running


async def test_a_standing_order_runs_out_and_only_a_person_s_stop_and_its_end_are_written(tmp_path: Path) -> None:
    ahead_s = 0.0
    async with (
        SimulatedSite(QUICK_SITE, clock=lambda: time.monotonic() + ahead_s) as site,
        running(config_of(site, tmp_path)) as edge,
    ):
        await edge.until(lambda state: state["site"]["grid"] == "on")
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        await edge.command("discharge", charger="driveway", until=until, power_w=4000)
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -4000)

        await edge.command("set_mode", mode="read_only")
        await edge.until(lambda state: state["site"]["mode"] == "read_only")
        before = len(site.writes)
        # The order dies by the charger's own timer; an outage and its end change nothing in that.
        ahead_s = 16.0
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == 0)
        await asyncio.to_thread(acts.outage, site.control_url)
        await edge.until(lambda state: state["site"]["grid"] == "outage")
        await asyncio.to_thread(acts.restore, site.control_url)
        await edge.until(lambda state: state["site"]["grid"] == "on")
        assert list(site.writes)[before:] == []

        await edge.command("stop")
        await edge.until(lambda state: state["chargers"]["driveway"]["state"] == "unavailable")
        assert len(site.writes) > before

        # The stop was ours, so is the start that undoes it: a ceased charger could carry no house.
        await edge.command("reset_stop")
        await edge.until(lambda state: state["chargers"]["driveway"]["state"] != "unavailable")
        told = await edge.until(lambda state: state["chargers"]["driveway"]["why"][0]["reason"] == "read_only")
        assert told["site"]["mode"] == "read_only"
        after = len(site.writes)
        await asyncio.to_thread(acts.outage, site.control_url)
        await edge.until(lambda state: state["site"]["grid"] == "outage")
        assert list(site.writes)[after:] == []
