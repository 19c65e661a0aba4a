"""What a person sends along with a problem holds the state and no secret."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from homeassistant.components.diagnostics import REDACTED
from homeassistant.const import CONF_HOST, CONF_PORT, CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
    get_diagnostics_for_device,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.ridethrough.const import DOMAIN
from edge_service.command_line import main
from edge_service.simulation import acts
from tests.edge.edge_kit import RunningEdge, a_house

from .peer import INSTALLATION, TOKEN, Eventually, Peer, at, departure, notice


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
    assert told["state"]["chargers"]["charger_1"]["soc_pct"] == 78.0
    assert told["commands"][0]["command"] == "set_mode"
    assert told["occurrences"][0]["kind"] == "outage_started"
    assert told["recording"] == {"recordings": []}
    text = json.dumps(told)
    for secret in (TOKEN, INSTALLATION, "127.0.0.1", "SN-0042", "Driveway", "driveway", "Peak", "peak", "Pool"):
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
    already = {"plan_id": "plan_1"}
    peer.recording = {
        "already_renamed_by_the_edge": already,
        "recordings": [{"settings": {"departures": {"driveway": [{"id": "doctor"}]}}, "plan_id": "doctor"}],
    }
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, house)
    for name in ("night shift", "doctor", "cabin"):
        assert name not in json.dumps(told)
    driveway = told["state"]["chargers"]["charger_1"]
    shown = {one["id"] for one in driveway["departures"]}
    assert shown == {"plan_1", "plan_2"}
    assert driveway["departure"]["id"] in shown
    assert told["commands"][0]["args"]["id"] == driveway["departure"]["id"]
    assert told["commands"][2]["args"] == {"event": "event_1"}
    assert told["recording"]["already_renamed_by_the_edge"] == already
    (recorded,) = told["recording"]["recordings"]
    assert (
        recorded["plan_id"]
        == recorded["settings"]["departures"]["driveway"][0]["id"]
        == driveway["departures"][0]["id"]
    )


async def test_each_id_has_one_other_name_throughout_the_download(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    watcher = {"source": "binary_sensor.anna_ups", "present": True, "detail": "Anna is home", "at": at()}
    owed = {
        **peer.state["programs"]["peak"],
        "problem": "GET https://vtn.example/x at 10.0.0.7:443 failed",
        "events": [],
    }

    def change(state: Any) -> None:
        state["site"]["evidence"] += [watcher, {**watcher, "source": "driveway", "detail": "ConnSt"}]
        state["chargers"]["aunts"] = state["chargers"]["driveway"]
        state["programs"]["extra"] = owed
        state["notices"] = [notice(1, "offline:driveway", "charger_offline", charger="driveway")]
        state["notices"] += [notice(2, f"departure:aunts:{at()}", "departure_late"), notice(3, "storm", "storm")]

    await peer.push(change)
    await eventually(lambda: "aunts" in house.runtime_data.data["chargers"])
    send = house.runtime_data.async_command
    await send("resume", charger="driveway")
    await send("set_program", id="peak", program={"kind": "openadr3", "name": "P", "client_secret": "s3cret-word"})
    await send("set_program_order", programs=["peak", "extra"])
    await send("set_calendar", program="peak", calendar="calendar.anna", entries=[{"summary": "Anna"}])
    await send("remove_load_group", id="pool")
    await peer.happen("discharging_started", "driveway")
    await eventually(lambda: bool(house.runtime_data.history.told))
    hass.config_entries.async_update_entry(house, options={"alerts": ["binary_sensor.annas_storm"], "backed_up": True})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, house)
    text = json.dumps(told)
    for secret in ("driveway", "aunts", "peak", "extra", "pool", "anna", "Anna", "vtn.example", "10.0.0.7", "s3cret"):
        assert secret not in text
    assert set(told["state"]["chargers"]) == {"charger_1", "charger_2"}
    assert [one["key"].split(":")[:2] for one in told["state"]["notices"]] == [
        ["offline", "charger_2"],
        ["departure", "charger_1"],
        ["storm"],
    ]
    assert [one["source"] for one in told["state"]["site"]["evidence"]] == [
        "charger:charger_2",
        "source_1",
        "charger_2",
    ]
    args = [command["args"] for command in told["commands"]]
    assert args[0] == {"charger": "charger_2"}
    assert args[1] == {"id": "program_2", "program": REDACTED}
    assert args[2] == {"programs": ["program_2", "program_1"]}
    assert args[3] == {"program": "program_2", "calendar": REDACTED, "entries": REDACTED}
    assert args[4] == {"id": "load_2"}
    assert told["occurrences"][0]["subject"] == "charger_2"
    assert told["options"] == {"alerts": 1, "backed_up": True}


@pytest.mark.parametrize(
    ("part", "own", "about"),
    [
        ("charger-driveway", "charger_1", "soc_pct"),
        ("program-peak", "program_1", "participating"),
        ("load-pool", "load_2", "tier"),
        (None, "site", "grid"),
    ],
)
async def test_a_device_has_a_download_of_its_own(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    part: str | None,
    own: str,
    about: str,
) -> None:
    send = house.runtime_data.async_command
    await send("set_mode", mode="paused")
    await send("resume", charger="driveway")
    await send("set_participation", program="peak", participating=True)
    await send("set_load", group="pool", order="auto")
    for kind, subject in (("discharging_started", "driveway"), ("outage_started", "site"), ("event_started", "peak")):
        await peer.happen(kind, subject)
    await eventually(lambda: len(house.runtime_data.history.told) == 3)
    registry = dr.async_get(hass)
    identifier = (DOMAIN, INSTALLATION if part is None else f"{INSTALLATION}-{part}")
    device = registry.async_get_device_by_identifier(identifier, house.entry_id)
    assert device is not None
    told: Any = await get_diagnostics_for_device(hass, hass_client, house, device)
    assert (told["id"], about in told["part"]) == (own, True)
    assert len(told["commands"]) == 1
    assert len(told["occurrences"]) == (0 if own == "load_2" else 1)
    assert "driveway" not in json.dumps(told)


async def test_the_device_of_a_charger_that_is_gone_has_a_download_too(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.push(lambda state: state["chargers"].clear())
    await eventually(lambda: not house.runtime_data.data["chargers"])
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, f"{INSTALLATION}-charger-driveway"), house.entry_id
    )
    assert device is not None
    told: Any = await get_diagnostics_for_device(hass, hass_client, house, device)
    assert told["part"] is None


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
