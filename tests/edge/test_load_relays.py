"""Loads on relays of the edge's own, on real sockets: shed before the house is lit, put back one by one."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_service.config import Config, parse
from edge_service.simulation import acts
from edge_service.simulation.loads import LoadOptions
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import HOST, QUICK_SITE, SITE, RunningEdge, running

RELAYS = """
relays:
  pump: {{name: Pool pump, address: "{host}:{port}", coil: 0, feedback_input: 0, tier: non_essential, power_w: 1500}}
  oven: {{name: Oven, address: "{host}:{port}", coil: 1, feedback_input: 1, power_w: 5000}}
  fridge: {{name: Fridge, address: "{host}:{port}", coil: 2, feedback_input: 2, tier: must_have, power_w: 300}}
"""
# 12.8 kW, more than the 9.6 kW that the charger can carry; 7.8 kW without the oven, 6.3 kW without the pump.
LOADS = (LoadOptions("pump", 1500), LoadOptions("oven", 5000), LoadOptions("fridge", 300))
HEAVY = replace(QUICK_SITE, house_load_w=6000, loads=LOADS)


def config_of(site: SimulatedSite, folder: Path) -> Config:
    text = SITE.format(host=HOST, charger=site.charger_port, meter=site.meter_port, switch=site.switch_port)
    config = parse(text + RELAYS.format(host=HOST, port=site.relay_port), folder / "site.yaml")
    return replace(config, api=replace(config.api, port=0), data=folder / "data")


@asynccontextmanager
async def a_heavy_house(folder: Path) -> AsyncIterator[tuple[SimulatedSite, RunningEdge]]:
    async with SimulatedSite(HEAVY) as site, running(config_of(site, folder)) as edge:
        await edge.until(lambda state: state["site"]["grid"] == "on" and state["site"]["house_power_w"] == 12800)
        yield site, edge


def running_loads(site: SimulatedSite) -> set[str]:
    return {name for name, load in site.house.loads.by_name.items() if load.running}


def faults(site: SimulatedSite) -> list[Any]:
    """How often the charger fell out, and by what."""
    stages = [entry.detail for entry in site.house.history.of("charger_stage")]
    return [one["fault"] for one in stages if one["entered"] == "fault"]


def moments(site: SimulatedSite, name: str, running_: bool) -> list[float]:
    """When a load was switched, in the site's seconds."""
    told = site.house.history.of("switched_load")
    return [entry.at_s for entry in told if entry.detail == {"name": name, "running": running_}]


async def happened(edge: RunningEdge) -> list[tuple[str, Mapping[str, Any]]]:
    told = [one.happening for one in await edge.edge.journal.happenings_since(0)]
    return [(one.kind, one.data) for one in told if one.kind in ("load_shed", "load_restored")]


async def test_what_is_too_much_goes_before_the_house_is_lit_and_comes_back_on_the_grid_one_by_one(
    tmp_path: Path,
) -> None:
    async with a_heavy_house(tmp_path) as (site, edge):
        await asyncio.to_thread(acts.outage, site.control_url)
        await edge.until(lambda state: state["site"]["supply"] == "island")
        lit_at = site.house.history.last("house_lit")
        assert lit_at is not None
        assert running_loads(site) == {"fridge"}
        assert max(*moments(site, "oven", False), *moments(site, "pump", False)) < lit_at
        assert faults(site) == []
        assert site.house.powered
        await asyncio.to_thread(acts.restore, site.control_url)
        await edge.until(lambda state: state["site"]["supply"] == "grid")
        state = await edge.until(lambda state: state["loads"]["oven"]["state"] == "on")
        assert state["loads"]["pump"]["wanted"] == "shed", "it is not its turn yet"
        assert running_loads(site) == {"oven", "fridge"}
        assert site.house.history.violations == []
        told = [(kind, data["group"], data["reason"]) for kind, data in await happened(edge)]
        assert told[:2] == [("load_shed", "pump", "tier"), ("load_shed", "oven", "before_forming")]
        assert state["loads"]["oven"]["reason"] == "restored"


async def test_an_overload_in_the_island_is_shed_before_the_inverter_trips(tmp_path: Path) -> None:
    options = replace(HEAVY, house_load_w=1000)
    async with SimulatedSite(options) as site, running(config_of(site, tmp_path)) as edge:
        await edge.until(lambda state: state["site"]["grid"] == "on" and state["site"]["house_power_w"] == 7800)
        await asyncio.to_thread(acts.outage, site.control_url)
        await edge.until(lambda state: state["site"]["supply"] == "island")
        await edge.until(lambda state: state["site"]["house_power_w"] == 6300)
        assert running_loads(site) == {"oven", "fridge"}
        await asyncio.to_thread(acts.load, site.control_url, 7000)
        await edge.until(lambda state: state["loads"]["oven"]["state"] == "shed")
        await edge.until(lambda state: state["site"]["house_power_w"] == 7300)
        assert faults(site) == []
        assert edge.state["loads"]["oven"]["reason"] == "overload"
        assert "overload" in [notice["kind"] for notice in edge.state["notices"]]


async def test_a_relay_outside_of_its_hours_goes_in_an_outage_and_its_hours_may_be_changed(tmp_path: Path) -> None:
    async with SimulatedSite(replace(HEAVY, house_load_w=1000)) as site:
        config = config_of(site, tmp_path)
        now = datetime.now(UTC)
        ago, soon, later = (f"{now + timedelta(hours=hours):%H:%M}" for hours in (-2, 2, 4))
        relays = {**config.relays, "oven": replace(config.relays["oven"], hours=((soon, later),))}
        zoned = replace(config, site=replace(config.site, time_zone="UTC"), relays=relays)
        async with running(zoned) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on" and state["site"]["house_power_w"] == 7800)
            assert edge.state["loads"]["oven"]["hours"] == [[soon, later]]
            await asyncio.to_thread(acts.outage, site.control_url)
            state = await edge.until(lambda state: state["loads"]["oven"]["state"] == "shed")
            assert state["loads"]["oven"]["reason"] == "out_of_hours"
            assert moments(site, "oven", False) != []
            oven = {"id": "oven", "name": "Oven", "tier": "nice_to_have", "power_w": 5000}
            await edge.command("set_load_group", **oven, hours=[[ago, soon]])
            await edge.until(lambda state: state["loads"]["oven"]["hours"] == [[ago, soon]])
            assert edge.state["loads"]["oven"]["wanted"] == "shed", "it has just gone"
            await asyncio.to_thread(acts.restore, site.control_url)
            await edge.until(lambda state: state["loads"]["oven"]["state"] == "on", within_s=40)
            assert len(moments(site, "oven", False)) == 1


async def test_a_restarted_edge_puts_back_what_it_shed_and_nothing_else(tmp_path: Path) -> None:
    async with SimulatedSite(HEAVY) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on" and state["site"]["house_power_w"] == 12800)
            await asyncio.to_thread(acts.switch_load, site.control_url, "pump", False)
            await edge.until(lambda state: state["loads"]["pump"]["state"] == "off")
            await asyncio.to_thread(acts.outage, site.control_url)
            await edge.until(lambda state: state["site"]["supply"] == "island")
            await edge.until(lambda state: state["loads"]["oven"]["state"] == "shed")
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["supply"] == "island")
            assert edge.state["loads"]["oven"]["wanted"] == "shed"
            assert site.house.loads.by_name["oven"].told_off
            await asyncio.to_thread(acts.restore, site.control_url)
            await edge.until(lambda state: state["loads"]["oven"]["state"] == "on", within_s=40)
            assert running_loads(site) == {"oven", "fridge"}


async def test_a_person_sheds_by_hand_and_takes_it_back(tmp_path: Path) -> None:
    async with a_heavy_house(tmp_path) as (site, edge):
        await edge.command("set_load", group="oven", order="shed")
        await edge.until(lambda state: state["loads"]["oven"]["state"] == "shed")
        assert running_loads(site) == {"pump", "fridge"}
        await edge.command("set_load", group="oven", order="auto")
        await edge.until(lambda state: state["loads"]["oven"]["state"] == "on")
        assert running_loads(site) == {"pump", "oven", "fridge"}


async def test_check_shows_how_the_relays_stand(tmp_path: Path) -> None:
    async with a_heavy_house(tmp_path) as (_, edge):
        told = {(one["device"], one["ok"], one["text"]) for one in await edge.edge.check()}
        assert ("relay oven", True, "Coil 1: told to leave the load on.") in told


async def test_a_motor_whose_start_brings_the_island_down_is_left_off_at_the_next_try(tmp_path: Path) -> None:
    motor = LoadOptions("oven", 3000, inrush=4.0, inrush_s=3.0)
    options = replace(HEAVY, house_load_w=1000, loads=(LOADS[0], motor, LOADS[2]), retry_s=1.0)
    async with SimulatedSite(options) as site, running(config_of(site, tmp_path)) as edge:
        await edge.until(lambda state: state["site"]["grid"] == "on" and state["loads"]["oven"]["state"] == "on")
        await edge.command("set_load", group="oven", order="shed")
        await edge.until(lambda state: state["loads"]["oven"]["state"] == "shed")
        await asyncio.to_thread(acts.outage, site.control_url)
        await edge.until(lambda state: state["site"]["supply"] == "island")
        await edge.command("set_load", group="oven", order="on")
        await edge.until(lambda state: state["loads"]["oven"]["reason"] == "collapse")
        await edge.until(lambda state: state["site"]["supply"] == "island", within_s=40)
        assert faults(site) == ["overload"]
        assert running_loads(site) == {"fridge"}
        assert site.house.powered
