"""A site whose maker's gateway runs an outage, on real sockets: we let go, follow, and write nothing meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_service.app import check
from edge_service.config import Config, parse
from edge_service.simulation.faults import DeviceFaults
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite
from edge_service.simulation.site_devices import Device, Write
from tests.edge.edge_kit import HOST, RunningEdge, running
from tests.edge.fakes import until

SITE = """
site: {{name: Home, import_max_a: 100, export_max_w: 9600, enter_service_s: 2, outage_after_s: 1}}
chargers:
  driveway: {{name: Driveway, model: sunspec_der, address: "{host}:{charger}", lease_s: 15, backup: vendor}}
meter: {{model: sunspec_meter, address: "{host}:{meter}"}}
companions:
  inverter: {{name: Inverter, model: {model}, address: "{host}:{companion}"{options}}}
control: {{cycle_s: 0.5, fast_lane_ms: 50, stale_after_s: 5}}
"""
QUICK = ", request_gap_s: 0, read_every_s: 0.2"
OPTIONS = {
    "sigenergy_plant": ("sigenergy_plant", QUICK),
    "solaredge_inverter": ("solaredge_inverter", ""),
    "goodwe_et_bt": ("goodwe", ", family: et_bt"),
    "goodwe_50k_100k": ("goodwe", ", family: 50k_100k"),
    "victron_system": ("victron_system", ""),
}


def config_of(site: SimulatedSite, folder: Path) -> Config:
    model, options = OPTIONS[site.options.companion_model]
    ports = {"charger": site.charger_port, "meter": site.meter_port, "companion": site.companion_port}
    config = parse(SITE.format(host=HOST, model=model, options=options, **ports), folder / "site.yaml")
    return replace(config, api=replace(config.api, port=0), data=folder / "data")


@asynccontextmanager
async def a_home(folder: Path, simulated: str, **options: Any) -> AsyncIterator[tuple[SimulatedSite, RunningEdge]]:
    """A site with the companion that the options name, and the edge that runs it, once it is tied to the grid."""
    chosen = SiteOptions(companion_model=simulated, enter_service_s=1, **{"vendor_backup": True, **options})
    async with SimulatedSite(chosen) as site, running(config_of(site, folder)) as edge:
        await edge.until(lambda state: state["site"]["grid"] == "on")
        yield site, edge


def an_hour(power_w: int) -> dict[str, Any]:
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    return {"charger": "driveway", "power_w": power_w, "until": until}


async def cycles(edge: RunningEdge, count: int) -> None:
    """So many cycles of the edge go by."""

    def decided() -> datetime:
        image = edge.edge.runner.image
        assert image is not None
        return image.decision.at

    def is_after(before: datetime) -> bool:
        return decided() != before

    for _ in range(count):
        await until(partial(is_after, decided()), 15)


def written(site: SimulatedSite, device: Device, after: int = 0) -> list[Write]:
    return [write for write in site.writes if write.device is device and write.number > after]


@pytest.mark.parametrize("simulated", ["sigenergy_plant", "victron_system"])
async def test_from_the_outage_until_the_grid_is_back_for_good_nothing_is_written(
    tmp_path: Path, simulated: str
) -> None:
    async with a_home(tmp_path, simulated) as (site, edge):
        await edge.command("discharge", **an_hour(4000))
        await edge.until(lambda state: (state["chargers"]["driveway"]["power_w"] or 0) < -3000)
        site.house.set_grid(present=False)
        dark = await edge.until(lambda state: state["site"]["grid"] == "outage")
        assert dark["site"]["supply"] == "vendor_backup"
        assert dark["companions"]["inverter"]["state"] == "islanded"
        released = [write for write in written(site, Device.CHARGER) if write.named.get("704.WSetEna") == 0]
        assert released, "our order was not withdrawn"
        last = site.writes[-1].number
        await edge.command("set_backup_reserve", pct=45)
        await cycles(edge, 8)
        site.house.set_grid(present=True)
        await edge.until(lambda state: state["site"]["grid"] == "restoring")
        assert [write for write in site.writes if write.number > last] == []
        await edge.until(lambda state: state["site"]["grid"] == "on")
        await edge.until(lambda state: (state["chargers"]["driveway"]["power_w"] or 0) < -3000)


async def test_the_reserve_of_a_plant_is_kept_on_grid_and_changed_only_there(tmp_path: Path) -> None:
    async with a_home(tmp_path, "sigenergy_plant") as (site, edge):
        await edge.until(lambda state: state["companions"]["inverter"]["reserve_pct"] == 30)
        assert [write.named for write in written(site, Device.COMPANION)] == [{"ess_backup_soc": 30.0}]
        site.house.set_grid(present=False)
        await edge.until(lambda state: state["site"]["grid"] == "outage")
        await edge.command("set_backup_reserve", pct=45)
        await cycles(edge, 4)
        assert len(written(site, Device.COMPANION)) == 1
        site.house.set_grid(present=True)
        await edge.until(lambda state: state["companions"]["inverter"]["reserve_pct"] == 45)
        assert edge.state["site"]["grid"] == "on"
        assert len(written(site, Device.COMPANION)) == 2


async def test_in_mode_read_only_the_reserve_of_a_plant_is_left_as_it_is(tmp_path: Path) -> None:
    async with a_home(tmp_path, "sigenergy_plant") as (site, edge):
        await edge.until(lambda state: state["companions"]["inverter"]["reserve_pct"] == 30)
        await edge.command("set_mode", mode="read_only")
        await edge.command("set_backup_reserve", pct=60)
        await cycles(edge, 4)
        assert len(written(site, Device.COMPANION)) == 1


async def test_a_gateway_that_leaves_the_house_dark_is_not_called_backup(tmp_path: Path) -> None:
    async with a_home(tmp_path, "sigenergy_plant", vendor_backup=False) as (site, edge):
        site.house.set_grid(present=False)
        dark = await edge.until(lambda state: state["site"]["grid"] == "outage")
        assert dark["companions"]["inverter"]["state"] == "outage"
        assert dark["site"]["supply"] == "none"


async def test_a_companion_that_falls_silent_is_shown_as_gone_and_makes_no_outage(tmp_path: Path) -> None:
    async with a_home(tmp_path, "victron_system") as (site, edge):
        await site.misbehave(Device.COMPANION, DeviceFaults(silent=True))
        gone = await edge.until(lambda state: not state["companions"]["inverter"]["connected"])
        assert (gone["site"]["grid"], gone["companions"]["inverter"]["state"]) == ("on", None)


@pytest.mark.parametrize("simulated", list(OPTIONS))
async def test_the_check_says_of_each_companion_what_it_tells(tmp_path: Path, simulated: str) -> None:
    async with SimulatedSite(SiteOptions(companion_model=simulated)) as site:
        config = config_of(site, tmp_path)
        findings = await check(config)
        told = [text for name, good, text in findings if name == "inverter" and good]
        assert any(text.startswith("It tells now: ") for text in told)
        assert list(site.writes) == []
