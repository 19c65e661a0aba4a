"""A depot of twenty on real sockets: one meter, one main breaker, one edge."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_service.api import wire
from edge_service.config import Config, parse
from edge_service.simulation.depot import SimulatedDepot
from edge_service.simulation.faults import DeviceFaults
from edge_service.simulation.options import SiteOptions
from tests.edge.edge_kit import HOST, RunningEdge, running

BAYS = 20
RATING_W = 9600
BREAKER_W = 60_000
BUILDING_W = 10_000
# What twenty ramps and a cycle of half a second may do between two looks at the meter.
PLAY_W = 400


def config_of(depot: SimulatedDepot, folder: Path) -> Config:
    chargers = "".join(
        f"  bay_{bay}: {{name: Bay {bay}, model: sunspec_der, address: '{HOST}:{port}', lease_s: 15, backup: none}}\n"
        for bay, port in enumerate(depot.charger_ports)
    )
    text = (
        f"site: {{name: Depot, import_max_w: {BREAKER_W}, export_max_w: {BREAKER_W}}}\nchargers:\n{chargers}"
        f"meter: {{model: sunspec_meter, address: '{HOST}:{depot.meter_port}'}}\n"
        "control: {cycle_s: 0.5, fast_lane_ms: 200, stale_after_s: 2}\n"
    )
    config = parse(text, folder / "site.yaml")
    return replace(config, api=replace(config.api, port=0), data=folder / "data")


@asynccontextmanager
async def a_depot(folder: Path, soc_pct: float) -> AsyncIterator[tuple[SimulatedDepot, RunningEdge]]:
    bay = SiteOptions(rating_w=RATING_W, soc_pct=soc_pct, island_capable=False, enter_service_s=0)
    async with SimulatedDepot([bay] * BAYS, BUILDING_W) as depot, running(config_of(depot, folder)) as edge:
        await edge.until(lambda state: state["site"]["grid"] == "on" and all_known(state))
        yield depot, edge


def all_known(state: wire.State) -> bool:
    return all(charger["power_w"] is not None for charger in state["chargers"].values())


def powers(state: wire.State) -> list[int]:
    return [charger["power_w"] or 0 for charger in state["chargers"].values()]


async def test_twenty_buses_that_must_leave_share_what_the_breaker_has_and_never_more(tmp_path: Path) -> None:
    async with a_depot(tmp_path, soc_pct=40) as (depot, edge):
        leave = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        for bay in range(BAYS):
            await edge.command("set_departure", charger=f"bay_{bay}", at=leave, soc_pct=90)
        await edge.until(lambda state: sum(powers(state)) > BREAKER_W - BUILDING_W - 2 * PLAY_W)
        depot.connection.forget_extremes()
        # A charger that fails frees its part, and it goes to the others.
        failed = max(range(BAYS), key=lambda bay: depot.bays[bay].house.inverter.power_w)
        name, inverter = f"bay_{failed}", depot.bays[failed].house.inverter
        await depot.misbehave(failed, DeviceFaults(silent=True))
        await edge.until(lambda state: not state["chargers"][name]["connected"])
        assert inverter.power_w > 0, "a silent charger draws on until its lease ends"
        await edge.until(
            lambda state: inverter.power_w == 0 and sum(powers(state)) > BREAKER_W - BUILDING_W - 2 * PLAY_W,
            within_s=30,
        )
        assert depot.connection.highest_w <= BREAKER_W + PLAY_W, "its part stayed reserved while it drew"


async def test_an_event_gets_its_joint_target_at_the_meter_from_all_bays(tmp_path: Path) -> None:
    async with a_depot(tmp_path, soc_pct=90) as (depot, edge):
        await edge.command(
            "set_program", id="peak", program={"kind": "manual", "name": "Peak", "scope": "site", "season_events": 40}
        )
        now = datetime.now(UTC)
        times = {"start": (now + timedelta(seconds=2)).isoformat(), "end": (now + timedelta(minutes=30)).isoformat()}
        await edge.command("enter_event", program="peak", name="Hot day", power_w=40_000, **times)
        await edge.until(lambda state: abs((state["site"]["grid_power_w"] or 0) + 40_000) < PLAY_W, within_s=30)
        given = powers(edge.state)
        assert max(given) - min(given) < 200, "twenty alike give alike"
        await depot.misbehave(7, DeviceFaults(refuse=True))
        await edge.until(
            lambda state: (
                not state["chargers"]["bay_7"]["connected"]
                and depot.bays[7].house.inverter.power_w == 0
                and abs((state["site"]["grid_power_w"] or 0) + 40_000) < PLAY_W
            ),
            within_s=30,
        )
