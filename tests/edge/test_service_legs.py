"""A split-phase house with an uneven load, on real sockets: the main breaker holds for each leg."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_service.config import parse
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import HOST, QUICK_SITE, running

# 50 A: 6 kW for each leg, 12 kW for both.
SITE = """
site: {{name: Home, import_max_a: 50, service: split_phase}}
chargers:
  driveway: {{name: Driveway, model: sunspec_der, address: "{host}:{charger}", lease_s: 15, backup: none}}
meter: {{model: sunspec_meter, address: "{host}:{meter}"}}
control: {{cycle_s: 0.5, fast_lane_ms: 100, stale_after_s: 2}}
"""
LEG_W = 6000
PLAY_W = 60


async def test_an_oven_on_one_leg_leaves_the_car_twice_what_that_leg_has_left(tmp_path: Path) -> None:
    async with SimulatedSite(replace(QUICK_SITE, house_load_w=4000, leg_1_share=1)) as site:
        text = SITE.format(host=HOST, charger=site.charger_port, meter=site.meter_port)
        config = parse(text, tmp_path / "site.yaml")
        config = replace(config, api=replace(config.api, port=0), data=tmp_path / "data")
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            await edge.command("charge", charger="driveway", until=until)
            # 8 kW would fit the breaker as a whole; on the first leg only 2 kW are left, and the car uses both alike.
            await edge.until(lambda _: abs(site.house.inverter.power_w - 4000) < PLAY_W)
            site.house.set_load(5500)
            await edge.until(lambda _: abs(site.house.inverter.power_w - 1000) < PLAY_W)
            assert site.house.leg_power_w[0] <= LEG_W + PLAY_W
            # The same load spread over both legs is in nobody's way.
            site.house.set_load(5500, leg_1_share=0.5)
            await edge.until(lambda _: abs(site.house.inverter.power_w - 6500) < PLAY_W)
            assert max(site.house.leg_power_w) <= LEG_W + PLAY_W
