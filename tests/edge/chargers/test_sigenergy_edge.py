"""The whole edge beside a simulated Sigenergy inverter: a limit of charge, a rest that is a stop, the maker's pace."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_service.chargers.sigenergy_evdc import FLOOR_W, MAX_CHARGE, MAX_DISCHARGE, START_STOP
from edge_service.config import parse
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.sigenergy_registers import SigenergyPlant
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import HOST, running

# The site's seconds pass five times as fast as ours, so the driver's gap is a fifth of the maker's second.
FASTER = 5
SITE = """
site: {{name: Home, import_max_a: 200, enter_service_s: 1, outage_after_s: 1}}
chargers:
  garage: {{name: Garage, model: sigenergy_evdc, address: "{host}:{charger}", request_gap_s: 0.2}}
meter: {{model: sunspec_meter, address: "{host}:{meter}"}}
control: {{cycle_s: 0.5, stale_after_s: 5}}
"""


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


async def test_an_edge_charges_within_a_limit_rests_without_ever_writing_zero_and_keeps_the_pace(
    tmp_path: Path,
) -> None:
    options = SiteOptions(charger_model="sigenergy_evdc", quirks={"strict_spacing": True}, rating_w=12_500)
    async with SimulatedSite(options, clock=lambda: time.monotonic() * FASTER) as site:
        text = SITE.format(host=HOST, charger=site.charger_port, meter=site.meter_port)
        config = parse(text, tmp_path / "site.yaml")
        config = replace(config, api=replace(config.api, port=0), data=tmp_path / "data")
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await edge.command("charge", charger="garage", power_w=4000, until=in_an_hour())
            state = await edge.until(lambda state: state["chargers"]["garage"]["power_w"] == 4000)
            order = state["chargers"]["garage"]["order"]
            assert order is not None
            assert (order["kind"], order["power_w"]) == ("limits", 4000)
            await edge.command("charge", charger="garage", power_w=600, until=in_an_hour())
            await edge.until(lambda state: state["chargers"]["garage"]["power_w"] == 0)
            order = edge.state["chargers"]["garage"]["order"]
            assert order is not None
            assert order["kind"] == "stop"
        plant = site.charger.face
        assert isinstance(plant, SigenergyPlant)
        assert plant.line.requests > 20
        assert plant.line.too_soon == 0
        assert site.house.history.violations == []
        told = [(write.function, write.address, *write.values) for write in site.writes]
        assert {address for _, address, *_ in told} == {START_STOP, MAX_CHARGE}
        assert [values for _, address, *values in told if address == START_STOP][-2:] == [[0], [1]]
        limits = [high << 16 | low for _, address, *(high, low) in (one for one in told if one[1] != START_STOP)]
        assert min(limits) >= FLOOR_W
        assert MAX_DISCHARGE not in {address for _, address, *_ in told}


async def test_a_lost_grid_shows_by_the_plants_word_alone(tmp_path: Path) -> None:
    options = SiteOptions(charger_model="sigenergy_evdc", rating_w=12_500)
    async with SimulatedSite(options) as site:
        text = SITE.format(host=HOST, charger=site.charger_port, meter=site.meter_port).replace("0.2}", "0}")
        text = "\n".join(line for line in text.splitlines() if not line.startswith("meter"))
        config = parse(text, tmp_path / "site.yaml")
        config = replace(config, api=replace(config.api, port=0), data=tmp_path / "data")
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            site.house.set_grid(present=False)
            await edge.until(lambda state: state["site"]["grid"] == "outage")
            assert edge.state["chargers"]["garage"]["forming"] is not True
            assert not site.writes or {write.address for write in site.writes} == {START_STOP}
