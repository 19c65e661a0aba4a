"""The control API, the acts and the site as a process of its own."""

import asyncio
import json
import signal
import sys
from argparse import ArgumentParser
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from edge_service.simulation import acts, site_command
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite
from edge_service.simulation.site_devices import Device
from tests.edge.simulation.site_kit import a_site, modbus, off_loop, sunspec


async def post(site: SimulatedSite, path: str, body: object) -> tuple[int, Any]:
    async with aiohttp.ClientSession(site.control_url) as session, session.post(path, json=body) as response:
        return response.status, await response.json()


async def test_the_truth_tells_an_outage_from_loss_to_return() -> None:
    async with a_site() as (site, clock):
        await off_loop(acts.outage, site.control_url)
        clock.pass_(0.5)
        site.advance()
        site.house.command_switch(open_=True)
        clock.pass_(5)
        dark = await off_loop(acts.truth, site.control_url)
        assert (dark["grid_present"], dark["house_powered"], dark["island_formed"]) == (False, True, True)
        assert dark["charger"]["power_w"] == -1200
        assert dark["switch"]["position"] == "open"
        assert dark["house"]["dark_s"] == pytest.approx(0.5 + 0.15 + 1.5)
        assert [period["seconds"] for period in dark["house"]["dark_periods"]] == [pytest.approx(2.15)]
        await off_loop(acts.restore, site.control_url)
        back = await off_loop(acts.truth, site.control_url)
        outage_s = datetime.fromisoformat(back["grid_restored_at"]) - datetime.fromisoformat(back["grid_lost_at"])
        assert outage_s.total_seconds() == pytest.approx(5.5)
        assert back["violations"] == []


async def test_the_truth_names_a_violation() -> None:
    async with a_site() as (site, clock):
        site.house.set_grid(present=False)
        site.house.command_switch(open_=True)
        clock.pass_(5)
        site.advance()
        site.house.command_switch(open_=False)
        clock.pass_(1)
        told = await off_loop(acts.truth, site.control_url)
        assert [violation["kind"] for violation in told["violations"]] == ["island_fed_dead_street"]


async def test_a_companion_tells_what_it_sees_or_what_it_is_made_to_tell() -> None:
    async with a_site(SiteOptions(companion_model="victron_system", vendor_backup=True)) as (site, _):
        told = [(await off_loop(acts.truth, site.control_url))["companion"]]
        await off_loop(acts.companion, site.control_url, "generator")
        told.append((await off_loop(acts.truth, site.control_url))["companion"])
        await off_loop(acts.companion, site.control_url, None)
        await off_loop(acts.outage, site.control_url)
        truth = await off_loop(acts.truth, site.control_url)
        assert [one["state"] for one in (*told, truth["companion"])] == ["on_grid", "generator", "islanded"]
        assert truth["house_powered"]


async def test_plug_and_load_act_on_the_house() -> None:
    async with a_site() as (site, _):
        await off_loop(acts.unplug, site.control_url)
        assert not site.house.vehicle.plugged
        await off_loop(acts.plug, site.control_url, 42.5)
        assert (site.house.vehicle.plugged, site.house.vehicle.soc_pct) == (True, 42.5)
        await off_loop(acts.load, site.control_url, 2500)
        assert site.house.load_w == 2500


async def test_faults_are_changed_one_by_one() -> None:
    async with a_site() as (site, _):
        await off_loop(acts.break_device, site.control_url, "charger", {"latency_ms": 5})
        await off_loop(acts.break_device, site.control_url, "charger", {"exception": {"code": 6, "start": 40363}})
        await off_loop(acts.break_device, site.control_url, "switch", {"stuck": True})
        told = await off_loop(acts.truth, site.control_url)
        assert told["faults"]["charger"]["latency_ms"] == 5
        assert told["faults"]["charger"]["exception"] == {"code": 6, "start": 40363, "count": None}
        assert told["switch"]["stuck"]
        await off_loop(acts.break_device, site.control_url, "charger", {"exception": None})
        assert site.servers[Device.CHARGER].faults.exception is None


async def test_a_person_at_the_charger_takes_and_gives_back_control() -> None:
    async with a_site() as (site, _):
        assert (await post(site, "/charger", {"local": True, "permit_service": False}))[0] == 200
        assert site.house.inverter.settings.local
        assert not site.house.inverter.connected


async def test_the_journal_of_writes_is_told_from_a_number_on() -> None:
    async with (
        a_site() as (site, _),
        modbus(site.switch_port) as client,
        aiohttp.ClientSession(site.control_url) as session,
    ):
        for on in (True, False):
            await off_loop(client.write_single_coil, 0, on)
        async with session.get("/writes", params={"since": "1"}) as response:
            told = await response.json()
        assert [(write["number"], write["named"]) for write in told["writes"]] == [(2, {"open": 0})]


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/grid", {"present": "yes"}, "present"),
        ("/grid", {}, "present"),
        ("/house", {"load_w": -1}, "load_w"),
        ("/house", {"load_w": True}, "load_w"),
        ("/vehicle", {"soc": 50}, "soc"),
        ("/vehicle", [], "body"),
        ("/device/toaster/faults", {}, "device"),
        ("/device/charger/faults", {"exception": 99}, "exception"),
        ("/device/charger/faults", {"exception": [2]}, "exception"),
        ("/device/charger/faults", {"exception": {"start": 3}}, "code"),
        ("/device/charger/faults", {"stuck": True}, "stuck"),
        ("/companion", {"state": "dark"}, "state"),
        ("/companion", {}, "state"),
    ],
)
async def test_bad_input_is_told_what_where_and_what_is_allowed(path: str, body: object, where: str) -> None:
    async with a_site() as (site, _):
        status, told = await post(site, path, body)
        assert (status, told["where"]) == (400, where)
        assert told["what"]
        assert told["allowed"]


async def test_a_body_that_is_no_json_is_bad_input() -> None:
    async with (
        a_site() as (site, _),
        aiohttp.ClientSession(site.control_url) as session,
        session.post("/grid", data=b"{") as response,
    ):
        assert response.status == 400
        assert (await response.json())["where"] == "body"


def test_an_act_without_a_site_says_what_to_do() -> None:
    with pytest.raises(acts.ControlError, match="ridethrough simulate site"):
        acts.outage("http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("name", "value"), [("soc_pct", 101), ("meter_model", 204), ("charger_base", 1), ("charger_port", 70_000)]
)
def test_an_option_out_of_bounds_names_itself(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        replace(SiteOptions(), **{name: value})


def test_a_wrong_option_on_the_command_line_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser()
    site_command.add_arguments(parser)
    assert site_command.run(parser.parse_args(["--soc-pct", "101"])) == 2
    assert "soc_pct" in capsys.readouterr().err


COMMAND = """
import sys
from argparse import ArgumentParser
from edge_service.simulation import site_command
parser = ArgumentParser()
site_command.add_arguments(parser)
sys.exit(site_command.run(parser.parse_args()))
"""


async def test_a_site_of_its_own_process_announces_itself_acts_and_ends_on_a_signal(tmp_path: Path) -> None:
    announced = tmp_path / "site.json"
    arguments = (
        "--announce-file",
        str(announced),
        "--enter-service-s",
        "5",
        "--soc-pct",
        "55",
        "--companion",
        "goodwe_et_bt",
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COMMAND, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert (await process.stdout.readline()).startswith(b"simulated site: ")
        places = json.loads(announced.read_text())
        await off_loop(acts.outage, places["control_url"])
        told = await off_loop(acts.truth, places["control_url"])
        assert (told["grid_present"], told["vehicle"]["soc_pct"]) == (False, 55)
        async with modbus(places["switch_port"]) as client:
            assert await off_loop(client.read_discrete_inputs, 0, 2) == [False, True]
        async with modbus(places["companion_port"]) as client:
            client.unit_id = 247
            assert await off_loop(client.read_holding_registers, 35136, 1) == [2]
    finally:
        process.send_signal(signal.SIGTERM)
        code = await process.wait()
    assert code == 0


async def test_a_meter_in_the_homes_panel_sees_the_homes_own_voltage_in_an_island() -> None:
    for behind, volts in ((False, 0), (True, 240)):
        async with a_site(SiteOptions(meter_on_protected_side=behind)) as (site, clock):
            await off_loop(acts.outage, site.control_url)
            clock.pass_(0.5)
            site.advance()
            site.house.command_switch(open_=True)
            clock.pass_(5)
            async with sunspec(site.meter_port) as meter:
                model = meter.models[203][0]
                assert model.PPV.cvalue == volts


async def test_a_charger_that_does_not_know_the_charge_says_so_while_the_vehicle_stays_plugged_in() -> None:
    async with a_site() as (site, _):
        await off_loop(acts.hide_charge, site.control_url)
        async with sunspec(site.charger_port) as charger:
            storage = charger.models[713][0]
            assert (storage.SoC.cvalue, storage.WHAvail.cvalue) == (None, None)
            assert storage.WHRtg.cvalue == 60_000
        assert (await off_loop(acts.truth, site.control_url))["vehicle"]["plugged"]
