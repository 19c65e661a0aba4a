"""What a person sends along with a problem holds the state and no secret."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from homeassistant.const import CONF_HOST, CONF_PORT, CONF_TOKEN
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.ridethrough.const import DOMAIN
from edge_service.command_line import main
from edge_service.simulation import acts
from tests.edge.edge_kit import RunningEdge, a_house

from .peer import INSTALLATION, TOKEN, Eventually, Peer, at, departure


async def test_the_download_holds_state_and_history_and_no_secret(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
) -> None:
    await house.runtime_data.async_command("set_mode", mode="paused")
    await peer.happen("outage_started")
    await eventually(lambda: bool(house.runtime_data.history.told))
    told = await get_diagnostics_for_config_entry(hass, hass_client, house)
    assert isinstance(told, dict)
    assert told["state"]["site"]["grid"] == "on"
    assert told["state"]["chargers"]["driveway"]["soc_pct"] == 78.0
    assert told["commands"][0]["command"] == "set_mode"
    assert told["occurrences"][0]["kind"] == "outage_started"
    assert told["recording"] == {"recordings": []}
    text = json.dumps(told)
    for secret in (TOKEN, INSTALLATION, "127.0.0.1", "SN-0042", "Driveway"):
        assert secret not in text


async def test_what_people_call_their_departures_and_storms_is_not_in_the_download(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    plan = {"id": "night shift", "at": None, "weekdays": ["mon"], "local_time": "22:00", "soc_pct": 80.0}
    plans = [plan | {"id": name, "miles": None, "skip_until": None} for name in ("doctor", "night shift")]
    coming = departure() | {"id": "night shift"}
    storm = {"until": at(90_000), "reserve_pct": 90.0, "name": "Storm at the cabin"}

    def change(state: Any) -> None:
        state["chargers"]["driveway"].update(departures=plans, departure=coming)
        state["site"]["storm"] = storm

    await peer.push(change)
    await eventually(lambda: bool(house.runtime_data.data["site"].get("storm")))
    send = house.runtime_data.async_command
    await send("set_departure", charger="driveway", id="night shift", at=at(7200), soc_pct=80)
    await send("prepare_for_storm", until=at(90_000), reserve_pct=90, name="Storm at the cabin")
    await send("opt_out", event="peak-1")
    peer.recording = {
        "recordings": [{"settings": {"departures": {"driveway": [{"id": "doctor"}]}}, "plan_id": "doctor"}]
    }
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, house)
    for name in ("night shift", "doctor", "cabin"):
        assert name not in json.dumps(told)
    driveway = told["state"]["chargers"]["driveway"]
    shown = {one["id"] for one in driveway["departures"]}
    assert shown == {"plan_1", "plan_2"}
    assert driveway["departure"]["id"] in shown
    assert told["commands"][0]["args"]["id"] == driveway["departure"]["id"]
    assert told["commands"][2]["args"] == {"event": "peak-1"}
    (recorded,) = told["recording"]["recordings"]
    assert (
        recorded["plan_id"]
        == recorded["settings"]["departures"]["driveway"][0]["id"]
        == driveway["departures"][0]["id"]
    )


@pytest.mark.parametrize("answer", [None, [], "text"])
async def test_an_edge_that_has_no_recording_to_give_costs_the_download_nothing_else(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, house: MockConfigEntry, peer: Peer, answer: Any
) -> None:
    peer.recording = answer
    told = await get_diagnostics_for_config_entry(hass, hass_client, house)
    assert isinstance(told, dict)
    assert told["recording"] is None
    assert told["state"]["site"]["grid"] == "on"


async def test_a_download_without_a_link_has_all_but_the_recording(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, house: MockConfigEntry, peer: Peer
) -> None:
    await peer.stop()
    told = await get_diagnostics_for_config_entry(hass, hass_client, house)
    assert isinstance(told, dict)
    assert told["recording"] is None
    assert told["state"]["site"]["grid"] == "on"


async def paired(edge: RunningEdge) -> str:
    """A client's token."""
    return await edge.edge.pairing.pair(edge.edge.pairing.offer().text, "Home Assistant")


async def test_the_download_of_a_real_edge_becomes_a_scenario_with_one_command(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    eventually: Eventually,
    tmp_path: Path,
    socket_enabled: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with a_house(tmp_path) as (site, edge):
        await asyncio.to_thread(acts.outage, site.control_url)
        await edge.until(lambda state: state["site"]["supply"] == "island")
        typed = {CONF_HOST: "127.0.0.1", CONF_PORT: edge.edge.port, CONF_TOKEN: await paired(edge)}
        entry = MockConfigEntry(domain=DOMAIN, title="Home", unique_id=edge.edge.installation, data=typed)
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        told = await get_diagnostics_for_config_entry(hass, hass_client, entry)
        await hass.config_entries.async_unload(entry.entry_id)
    download, scenario = tmp_path / "diagnostics.json", tmp_path / "scenario.json"
    download.write_text(json.dumps({"home_assistant": {}, "data": told}), encoding="utf-8")
    assert await asyncio.to_thread(main, ["scenario", "make", str(download), "--out", str(scenario)]) == 0
    assert await asyncio.to_thread(main, ["scenario", "run", str(scenario)]) == 0
    assert "no differences" in capsys.readouterr().out
    made = json.loads(scenario.read_text(encoding="utf-8"))
    assert made["mark"]["what"] == "outage_started"
    assert made["cycles"] > 10
    for secret in (TOKEN, edge.edge.installation, "127.0.0.1", "Driveway charger", '"Home"'):
        assert secret not in scenario.read_text(encoding="utf-8")
