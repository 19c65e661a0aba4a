"""What goes wrong around a house for years: restarts in every state, second houses, second Home Assistants, renamed
things, clocks that jump. Nothing doubles, nothing is lost, nothing is left behind."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components import persistent_notification
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import CONF_HOST, CONF_PORT, CONF_TOKEN, STATE_UNAVAILABLE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.ridethrough.client import Address, Connection, pair
from custom_components.ridethrough.const import DOMAIN
from edge_service.simulation import acts

from .conftest import device_of, shown
from .houses import OUT, Houses
from .peer import INSTALLATION, TOKEN, Eventually, Peer, event, home, notice

GRID_STATUS, CONTROLLER = "sensor.home_grid_status", "binary_sensor.home_controller"


@pytest.fixture
async def houses(
    hass: HomeAssistant, tmp_path: Path, eventually: Eventually, socket_enabled: None
) -> AsyncGenerator[Houses]:
    """Houses with the real edge, closed after the test."""
    async with AsyncExitStack() as stack:
        yield Houses(hass, tmp_path, eventually, stack)


class Writes:
    """Every state that is written, by entity."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.of: dict[str, list[str | None]] = {}
        hass.bus.async_listen("state_changed", self._note)
        hass.bus.async_listen("state_reported", self._note, event_filter=self._any)

    @callback
    def _any(self, _: Any) -> bool:
        return True

    @callback
    def _note(self, event: Event[Any]) -> None:
        new = event.data["new_state"]
        self.of.setdefault(event.data["entity_id"], []).append(None if new is None else new.state)


def out(state: Any) -> None:
    state["site"].update(grid="outage", supply="island", reason="outage")
    state["chargers"]["driveway"].update(state="discharging", forming=True, power_w=-1700)


def in_event(state: Any) -> None:
    state["programs"]["peak"]["events"] = [event(status="running", start_s=-60)]


def in_drill(state: Any) -> None:
    state["site"]["drill"] = {
        "id": "d1",
        "stage": "carrying",
        "started_at": "2026-07-15T12:00:00+00:00",
        "ended_at": None,
        "transfer": True,
        "score": None,
        "reasons": [],
        "transfer_s": 3.0,
        "return_s": None,
        "lowest_v": 236.0,
        "highest_w": 2100,
        "energy_wh": 40,
        "loads_shed": [],
    }


# ------------------------------------------------------------------------------------------------------ restarts


@pytest.mark.parametrize("now", [lambda _: None, out, in_event, in_drill], ids=["idle", "outage", "event", "drill"])
async def test_a_reload_in_any_state_doubles_and_loses_nothing(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    entity_registry: er.EntityRegistry,
    now: Callable[[Any], None],
) -> None:
    now(peer.state)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    before = {state.entity_id: state.state for state in hass.states.async_all()}
    entities = set(entity_registry.entities)
    await peer.happen("outage_started", evidence="charger:driveway")
    await eventually(lambda: shown(hass, "event.home_outage") != before["event.home_outage"])
    told = shown(hass, "event.home_outage")
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    await eventually(lambda: len(peer._sockets) == 1)
    after = {state.entity_id: state.state for state in hass.states.async_all()}
    assert set(entity_registry.entities) == entities
    assert after | {"event.home_outage": ""} == before | {"event.home_outage": ""}
    assert after["event.home_outage"] == told
    assert peer.starts[-1]["last_occurrence"] == 1
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_after_a_reload_only_what_changes_is_written(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    writes = Writes(hass)
    assert await hass.config_entries.async_reload(house.entry_id)
    await hass.async_block_till_done()
    assert {entity: len(states) for entity, states in writes.of.items() if len(states) > 2} == {}
    writes.of.clear()
    await peer.push(lambda state: state["chargers"]["driveway"].update(soc_pct=61.0))
    await eventually(lambda: shown(hass, "sensor.driveway_charger_vehicle_battery") == "61.0")
    assert [states for entity, states in writes.of.items() if entity.endswith("vehicle_battery")] == [["61.0"]]
    assert "sensor.home_supply" not in writes.of
    assert "sensor.peak_power_peak_event_status" not in writes.of


async def test_a_reload_while_the_link_is_down_tries_again_and_comes_back(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.stop()
    await eventually(lambda: shown(hass, CONTROLLER) == "off")
    assert not await hass.config_entries.async_reload(house.entry_id)
    assert house.state is ConfigEntryState.SETUP_RETRY
    await peer.start()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=60))
    await eventually(lambda: house.state is ConfigEntryState.LOADED)
    assert shown(hass, GRID_STATUS) == "connected"


async def test_an_edge_that_is_down_at_the_start_is_found_later_by_itself(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.stop()
    assert not await hass.config_entries.async_setup(entry.entry_id)
    await peer.start()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=60))
    await eventually(lambda: entry.state is ConfigEntryState.LOADED)
    assert shown(hass, GRID_STATUS) == "connected"
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_an_edge_that_says_nothing_is_given_up_and_leaves_no_socket(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.ridethrough.client.CONNECT_TIMEOUT_S", 0.2)
    monkeypatch.setattr(peer, "_welcome", _never)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    await peer.until(lambda: not peer._sockets)


async def _never(*_: Any) -> None:
    """The edge hears us and does not answer."""


async def test_unloading_in_the_midst_of_a_reconnect_leaves_no_socket(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "_welcome", _never)
    await peer.drop()
    await eventually(lambda: shown(hass, CONTROLLER) == "off")
    await peer.until(lambda: len(peer._sockets) == 1)
    assert await hass.config_entries.async_unload(house.entry_id)
    await peer.until(lambda: not peer._sockets)


async def test_a_set_up_that_fails_halfway_closes_its_link(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, hass_storage: dict[str, Any]
) -> None:
    hass_storage[f"{DOMAIN}.{entry.entry_id}.loads"] = {"version": 99, "key": "x", "data": {}}
    assert not await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.SETUP_ERROR
    await peer.until(lambda: bool(peer.starts) and not peer._sockets)


async def test_what_was_told_is_on_disk_at_once_and_pushes_write_nothing(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, hass_storage: dict[str, Any]
) -> None:
    key = f"{DOMAIN}.{house.entry_id}"
    for watts in range(20):
        await draw(peer, watts)
    await eventually(lambda: house.runtime_data.data["site"]["grid_power_w"] == 19)
    first = hass_storage.get(key)
    await peer.happen("outage_started", evidence="charger:driveway")
    await eventually(lambda: hass_storage.get(key, {}).get("data") == {"last_occurrence": 1})
    written = hass_storage[key]
    for watts in range(20, 40):
        await draw(peer, watts)
    await eventually(lambda: house.runtime_data.data["site"]["grid_power_w"] == 39)
    await hass.async_block_till_done()
    assert hass_storage[key] is written
    assert first is None or first["data"] == {"last_occurrence": 0}


async def draw(peer: Peer, watts: int) -> None:
    await peer.push(lambda state: state["site"].update(grid_power_w=watts))


# ------------------------------------------------------------------------------------------------- the token, the clock


async def test_a_token_revoked_while_running_asks_once_to_pair_again(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.ridethrough.coordinator.FIRST_RETRY_S", 0.01)
    monkeypatch.setattr("custom_components.ridethrough.coordinator.LAST_RETRY_S", 0.01)
    peer.token = "another"
    await peer.drop()
    await eventually(lambda: bool(hass.config_entries.flow.async_progress()))
    asked = [flow["context"]["source"] for flow in hass.config_entries.flow.async_progress()]
    assert asked == [SOURCE_REAUTH]
    peer.token = TOKEN
    await eventually(lambda: shown(hass, CONTROLLER) == "on")


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(hours=-6)], ids=["ahead", "back"])
async def test_a_clock_of_home_assistant_that_jumps_changes_nothing_of_the_link(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, freezer: FrozenDateTimeFactory, jump: timedelta
) -> None:
    freezer.move_to(dt_util.utcnow() + jump)
    async_fire_time_changed(hass)
    await peer.push(lambda state: state["site"].update(grid="outage"))
    for _ in range(100):
        await asyncio.sleep(0)
        await hass.async_block_till_done()
    assert shown(hass, GRID_STATUS) == "outage"
    assert len(peer.starts) == 1
    reserve = {"entity_id": "number.home_backup_reserve", "value": 44}
    await hass.services.async_call("number", "set_value", reserve, blocking=True)
    assert peer.named("set_backup_reserve") == [{"pct": 44}]


# -------------------------------------------------------------------------------------- two houses, two Home Assistants


async def test_two_houses_side_by_side_are_two(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, device_registry: dr.DeviceRegistry
) -> None:
    cabin = Peer()
    cabin.installation, cabin.state["site"]["name"] = "another", "Cabin"
    cabin.state["chargers"]["driveway"]["name"] = "Barn charger"
    await cabin.start()
    second = MockConfigEntry(
        domain=DOMAIN,
        title="Cabin",
        unique_id="another",
        data={CONF_HOST: "127.0.0.1", CONF_PORT: cabin.port, CONF_TOKEN: TOKEN},
    )
    second.add_to_hass(hass)
    assert await hass.config_entries.async_setup(second.entry_id)
    await hass.async_block_till_done()
    await cabin.push(out)
    await eventually(lambda: shown(hass, "sensor.cabin_grid_status") == "outage")
    assert shown(hass, GRID_STATUS) == "connected"
    reserve = {"entity_id": "number.cabin_backup_reserve", "value": 66}
    await hass.services.async_call("number", "set_value", reserve, blocking=True)
    assert (len(cabin.named("set_backup_reserve")), peer.named("set_backup_reserve")) == (1, [])
    for one in (cabin, peer):
        await one.raise_notice(notice(1))
    board = persistent_notification._async_get_or_create_notifications(hass)
    await eventually(lambda: {f"ridethrough_{one}_outage" for one in ("another", INSTALLATION)} <= set(board))
    await cabin.stop()
    await eventually(lambda: shown(hass, "sensor.cabin_grid_status") == STATE_UNAVAILABLE)
    assert shown(hass, GRID_STATUS) == "connected"
    assert await hass.config_entries.async_unload(second.entry_id)
    assert shown(hass, GRID_STATUS) == "connected"


def kinds(client: Connection) -> set[str]:
    """The notices that a client sees standing."""
    return set() if client.state is None else {one["kind"] for one in client.state["notices"]}


async def test_two_home_assistants_at_one_edge_both_see_and_command_and_hear_each_notice_once(
    hass: HomeAssistant, houses: Houses, eventually: Eventually
) -> None:
    """The real edge; the other Home Assistant is the same client without the rest."""
    house = await houses.open()
    code = (await house.edge.command("new_pairing_code"))["code"]
    address = Address("127.0.0.1", house.entry.data[CONF_PORT])
    session = async_get_clientsession(hass)
    other = await Connection.open(session, address, await pair(session, address, code, "Other"))
    await other.start(None)
    heard: list[dict[str, Any]] = []
    told: list[asyncio.Future[Any]] = []

    async def listen() -> None:
        while True:
            message = await other.read()
            heard.append(message)
            if message["type"] == "notice":
                number = message["notice"]["number"]
                told.append(asyncio.ensure_future(other.command("notice_delivered", {"number": number})))

    listening = asyncio.ensure_future(listen())
    await other.command("set_backup_reserve", {"pct": 61})
    await eventually(lambda: shown(hass, "number.home_backup_reserve") in ("61", "61.0"))
    reserve = {"entity_id": "number.home_backup_reserve", "value": 62}
    await hass.services.async_call("number", "set_value", reserve, blocking=True)
    await eventually(lambda: other.state is not None and other.state["site"]["backup_reserve_pct"] == 62)
    await house.act(acts.outage)
    await house.lights_are_on()
    await eventually(lambda: OUT in house.standing() and "outage" in kinds(other))
    await house.act(acts.restore)
    await house.is_back()
    listening.cancel()
    await asyncio.gather(listening, *told, return_exceptions=True)
    await other.close()
    brought = [one["notice"]["number"] for one in heard if one["type"] == "notice"]
    brought += [
        one["args"]["number"] for one in house.entry.runtime_data.commands if one["command"] == "notice_delivered"
    ]
    assert brought
    assert len(brought) == len(set(brought))
    assert house.resident.notified.count(OUT) == 1
    started = [one for one in heard if one["type"] == "occurrence" and one["kind"] == "outage_started"]
    assert (len(started), house.resident.happened.count("started")) == (1, 1)


# --------------------------------------------------------------------------------------- things that go and come, names


async def test_a_charger_that_goes_and_comes_back_is_the_same_one(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    entity_registry: er.EntityRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    entities, charger = set(entity_registry.entities), home()["chargers"]["driveway"]
    device = device_of(device_registry, house, "charger-driveway")
    await peer.push(lambda state: state["chargers"].clear())
    await eventually(lambda: shown(hass, "sensor.driveway_charger_status") == STATE_UNAVAILABLE)
    await peer.push(lambda state: state["chargers"].update(driveway=charger))
    await eventually(lambda: shown(hass, "sensor.driveway_charger_status") == "idle")
    assert set(entity_registry.entities) == entities
    again = device_of(device_registry, house, "charger-driveway")
    assert again is not None
    assert device is not None
    assert again.id == device.id


async def test_a_charger_that_was_removed_by_hand_and_comes_back_is_shown_again(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    device_registry: dr.DeviceRegistry,
) -> None:
    charger = home()["chargers"]["driveway"]
    await peer.push(lambda state: state["chargers"].clear())
    await eventually(lambda: shown(hass, "sensor.driveway_charger_status") == STATE_UNAVAILABLE)
    device = device_of(device_registry, house, "charger-driveway")
    assert device is not None
    device_registry.async_remove_device(device.id)
    await hass.async_block_till_done()
    assert hass.states.get("sensor.driveway_charger_status") is None
    await peer.push(lambda state: state["chargers"].update(driveway=charger))
    await eventually(lambda: hass.states.get("sensor.driveway_charger_status") is not None)
    assert shown(hass, "sensor.driveway_charger_status") == "idle"


async def test_renamed_entities_and_devices_keep_working_under_their_new_names(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    entity_registry: er.EntityRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    entity_registry.async_update_entity(GRID_STATUS, new_entity_id="sensor.power_company")
    entity_registry.async_update_entity("number.home_backup_reserve", new_entity_id="number.keep")
    entity_registry.async_update_entity("event.home_outage", new_entity_id="event.dark")
    device = device_of(device_registry, house, "charger-driveway")
    assert device is not None
    device_registry.async_update_device(device.id, name_by_user="Old faithful")
    await hass.async_block_till_done()
    await peer.push(out)
    await eventually(lambda: shown(hass, "sensor.power_company") == "outage")
    await peer.happen("outage_started", evidence="charger:driveway")
    await eventually(lambda: shown(hass, "event.dark") not in ("unknown", STATE_UNAVAILABLE))
    await hass.services.async_call("number", "set_value", {"entity_id": "number.keep", "value": 47}, blocking=True)
    assert peer.named("set_backup_reserve") == [{"pct": 47}]
    assert await hass.config_entries.async_reload(house.entry_id)
    await hass.async_block_till_done()
    assert shown(hass, "sensor.power_company") == "outage"
    assert hass.states.get(GRID_STATUS) is None
    renamed = device_registry.async_get(device.id)
    assert renamed is not None
    assert renamed.name_by_user == "Old faithful"


async def test_a_listener_that_fails_neither_ends_the_link_nor_the_others(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("a defect of ours")

    coordinator = house.runtime_data
    coordinator._listeners = {**coordinator._listeners, fail: (fail, None)}
    coordinator.async_listen_occurrences(("site", "site"), fail)
    coordinator.async_listen_notices(fail)
    await peer.raise_notice(notice(1))
    await peer.happen("outage_started", evidence="charger:driveway")
    await peer.push(out)
    await eventually(lambda: shown(hass, GRID_STATUS) == "outage")
    assert len(peer.starts) == 1
    assert "a defect of ours" in caplog.text


async def test_nothing_is_left_under_repairs_by_a_house_that_is_removed(
    hass: HomeAssistant, house: MockConfigEntry, issue_registry: ir.IssueRegistry
) -> None:
    assert await hass.config_entries.async_remove(house.entry_id)
    await hass.async_block_till_done()
    assert [one for one in issue_registry.issues if one[0] == DOMAIN and house.entry_id in one[1]] == []
