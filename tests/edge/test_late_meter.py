"""A meter that answers late, on real sockets: the car fills what the house leaves, and the main breaker holds."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_service.config import parse
from edge_service.simulation import acts
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import HOST, QUICK_SITE, running

# 50 A: 12 kW.
SITE = """
site: {{name: Home, import_max_a: 50}}
chargers:
  driveway: {{name: Driveway, model: sunspec_der, address: "{host}:{charger}", lease_s: 15, backup: none}}
meter: {{model: sunspec_meter, address: "{host}:{meter}"}}
control: {{cycle_s: 0.5, fast_lane_ms: 100, stale_after_s: 5}}
"""
LIMIT_W, HOUSE_W, PLAY_W = 12_000, 8000, 60
# About nine seconds: long enough for the first order to settle and the next to be thought of.
CYCLES = 18


async def test_a_car_beside_a_meter_that_answers_late_stays_within_the_breaker(tmp_path: Path) -> None:
    async with SimulatedSite(replace(QUICK_SITE, house_load_w=HOUSE_W)) as site:
        text = SITE.format(host=HOST, charger=site.charger_port, meter=site.meter_port)
        config = parse(text, tmp_path / "site.yaml")
        config = replace(config, api=replace(config.api, port=0), data=tmp_path / "data")
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await asyncio.to_thread(acts.break_device, site.control_url, "meter", {"latency_ms": 500})
            until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            await edge.command("charge", charger="driveway", until=until)
            drawn_w: list[float] = []

            def watched(_: Any) -> bool:
                drawn_w.append(site.house.site_power_w)
                return len(drawn_w) >= CYCLES

            await edge.until(lambda _: abs(site.house.site_power_w - LIMIT_W) < PLAY_W)
            await edge.until(watched)
            assert max(drawn_w) <= LIMIT_W + PLAY_W
            assert min(drawn_w) >= LIMIT_W - PLAY_W
