"""A switch with a synchronism check on real sockets: the house goes back to the grid without a dark moment."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_service.config import Config, parse
from edge_service.simulation import acts
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import HOST, QUICK_SITE, SITE, running

IN_STEP = SITE.replace('address: "{host}:{switch}"}}', 'address: "{host}:{switch}", synchronism_check: true}}')


def config_of(site: SimulatedSite, folder: Path) -> Config:
    text = IN_STEP.format(host=HOST, charger=site.charger_port, meter=site.meter_port, switch=site.switch_port)
    config = parse(text, folder / "site.yaml")
    return replace(config, api=replace(config.api, port=0), data=folder / "data")


async def truth(site: SimulatedSite) -> dict[str, Any]:
    return await asyncio.to_thread(acts.truth, site.control_url)


async def test_a_house_goes_back_in_step_without_a_dark_moment(tmp_path: Path) -> None:
    options = replace(QUICK_SITE, synchronism_check=True, in_step_s=1.0)
    async with SimulatedSite(options) as site, running(config_of(site, tmp_path)) as edge:
        await edge.until(lambda state: state["site"]["grid"] == "on")
        await asyncio.to_thread(acts.outage, site.control_url)
        await edge.until(lambda state: state["site"]["supply"] == "island")
        dark_s = (await truth(site))["house"]["dark_s"]
        await asyncio.to_thread(acts.restore, site.control_url)
        await edge.until(lambda state: state["site"]["islanding"] == "synchronising")
        await edge.until(lambda state: state["site"]["islanding"] == "tied")
        await edge.until(lambda state: state["chargers"]["driveway"]["order"] is not None)
        seen = await truth(site)
        assert seen["violations"] == []
        assert seen["house_powered"]
        assert seen["house"]["dark_s"] == dark_s
