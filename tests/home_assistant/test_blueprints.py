"""The blueprints: each installed, made an automation, started by what the controller tells, answered on a phone."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.ridethrough.blueprints import FOLDER, SHIPPED, Shelf, Standing
from custom_components.ridethrough.const import DOMAIN

from .conftest import device_of, shown
from .peer import INSTALLATION, Eventually, Peer, at

TAPPED = "mobile_app_notification_action"


@dataclass
class Automated:
    """A house with automations out of our blueprints, and a resident's phone."""

    hass: HomeAssistant
    house: MockConfigEntry
    devices: dr.DeviceRegistry
    phone_id: str
    rings: asyncio.Queue[dict[str, Any]]

    def device(self, part: str) -> str:
        site = self.devices.async_get_device_by_identifier((DOMAIN, INSTALLATION), self.house.entry_id)
        found = site if part == "site" else device_of(self.devices, self.house, part)
        assert found is not None
        return found.id

    async def automate(self, name: str, **inputs: Any) -> None:
        """The blueprint, installed and used."""
        assert await Shelf(self.hass).async_install([name], replace_changed=False) == set()
        used = {"use_blueprint": {"path": f"{DOMAIN}/{name}.yaml", "input": {"phones": [self.phone_id], **inputs}}}
        automation = {"id": name, "alias": name, **used}
        assert await async_setup_component(self.hass, "automation", {"automation": [automation]})
        await self.hass.async_block_till_done()
        assert shown(self.hass, f"automation.{name}") == "on"

    async def reads(self) -> dict[str, Any]:
        """The next notification on the phone."""
        async with asyncio.timeout(10):
            return await self.rings.get()

    def tap(self, said: dict[str, Any], button: int = 0) -> None:
        """A button of a notification."""
        self.hass.bus.async_fire(TAPPED, {"action": said["data"]["actions"][button]["action"]})


@pytest.fixture
async def automated(
    hass: HomeAssistant, house: MockConfigEntry, device_registry: dr.DeviceRegistry, tmp_path: Path
) -> AsyncGenerator[Automated]:
    """With a phone, and a configuration folder of its own."""
    hass.config.config_dir = str(tmp_path)
    await hass.config.async_set_time_zone("America/New_York")
    app = MockConfigEntry(domain="mobile_app")
    app.add_to_hass(hass)
    phone = device_registry.async_get_or_create(
        config_entry_id=app.entry_id, identifiers={("mobile_app", "phone")}, name="Kitchen phone"
    )
    rings: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @callback
    def ring(call: ServiceCall) -> None:
        rings.put_nowait(dict(call.data))

    hass.services.async_register("notify", "mobile_app_kitchen_phone", ring)
    yield Automated(hass, house, device_registry, phone.id, rings)
    if automations := hass.states.async_entity_ids("automation"):
        await hass.services.async_call("automation", "turn_off", {"entity_id": automations}, blocking=True)


def test_all_files_are_shipped_blueprints_without_an_address() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(SHIPPED)
    for path in FOLDER.glob("*.yaml"):
        text = path.read_text()
        assert "source_url" not in text
        assert "://" not in text


async def test_an_outage_is_told_with_how_long_it_lasts_and_a_tap_sheds_the_loads(
    automated: Automated, peer: Peer, eventually: Eventually
) -> None:
    pool = automated.device("load-pool")
    await automated.automate("outage", site=automated.device("site"), loads=[pool])
    await peer.push(lambda state: state["site"].update(grid="outage", supply="island"))
    await eventually(lambda: shown(automated.hass, "binary_sensor.home_grid") == "off")
    await peer.happen("outage_started", evidence="ConnSt")
    said = await automated.reads()
    assert (said["title"], said["message"]) == (
        "Power is out",
        "The vehicle powers the house, for about 18 h more (14 h to 24 h).",
    )
    assert said["data"]["push"] == {"interruption-level": "critical"}
    automated.hass.bus.async_fire(TAPPED, {"action": "SHED_of_another_outage"})
    # The automation waits, so that Home Assistant is never done: let it look at what was tapped.
    for _ in range(100):
        await asyncio.sleep(0)
    assert peer.named("set_load") == []
    automated.tap(said)
    await eventually(lambda: peer.named("set_load") == [{"group": "pool", "order": "shed"}])
    await peer.happen("outage_ended", duration_s=11_400, energy_wh=9400)
    over = await automated.reads()
    assert (over["title"], over["data"]["tag"]) == ("Power is back", said["data"]["tag"])
    assert over["message"] == "It was out for 3 h 10 min, and the vehicle gave 9.4 kWh."


async def test_an_outage_that_began_while_home_assistant_was_dark_is_told_when_it_starts(
    automated: Automated, peer: Peer, eventually: Eventually
) -> None:
    await automated.automate("outage", site=automated.device("site"))
    await peer.push(lambda state: state["site"].update(grid="outage", supply="island"))
    await eventually(lambda: shown(automated.hass, "binary_sensor.home_grid") == "off")
    automated.hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    said = await automated.reads()
    assert said["title"] == "Power is out"
    assert said["data"]["actions"] == []


async def test_a_start_without_an_outage_tells_nothing(automated: Automated) -> None:
    await automated.automate("outage", site=automated.device("site"))
    automated.hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await automated.hass.async_block_till_done()
    assert automated.rings.empty()


CALLED: dict[str, Any] = {
    "uid": "peak-1",
    "name": "Summer peak",
    "start": "2100-07-15T21:00:00+00:00",
    "end": "2100-07-16T00:00:00+00:00",
    "power_w": -5000,
    "feasible_w": -4800,
    "stake_usd": 12.4,
    "day": "2100-07-15",
    "asks": False,
}


@pytest.mark.parametrize(
    ("asks", "button", "command"), [(False, 0, "opt_out"), (True, 0, "opt_in"), (True, 1, "opt_out")]
)
async def test_a_peak_event_is_told_with_its_money_and_answered_with_one_tap(
    automated: Automated, peer: Peer, eventually: Eventually, asks: bool, button: int, command: str
) -> None:
    await automated.automate("peak_event", program=automated.device("program-peak"))
    await peer.happen("event_announced", "peak", **CALLED | {"asks": asks})
    said = await automated.reads()
    assert said["title"] == ("Serve this peak event?" if asks else "Peak event announced")
    assert said["message"] == "Thursday July 15, 17:00 to 20:00: 5.0 kW asked, worth about $12.40."
    automated.tap(said, button)
    await eventually(lambda: peer.named(command) == [{"event": "peak-1"}])


@pytest.mark.parametrize(
    ("kind", "tells", "title", "message"),
    [
        ("event_completed", True, "Peak event over", "Delivered 14.2 kWh, worth about $12.10."),
        ("event_missed", True, "Peak event missed", "Delivered 14.2 kWh, worth about $12.10."),
        ("event_completed", False, None, "clear_notification"),
        ("event_opted_out", True, None, "clear_notification"),
    ],
)
async def test_the_result_of_a_peak_event_takes_the_place_of_its_announcement(
    automated: Automated, peer: Peer, kind: str, tells: bool, title: str | None, message: str
) -> None:
    await automated.automate("peak_event", program=automated.device("program-peak"), result=tells)
    result = {"uid": "peak-1", "name": "Summer peak", "energy_wh": 14_200, "average_w": 4730, "earnings_usd": 12.1}
    await peer.happen(kind, "peak", **result)
    said = await automated.reads()
    assert (said.get("title"), said["message"]) == (title, message)
    assert said["data"]["tag"] == "ridethrough_event_peak-1"


async def test_a_warning_fills_the_car_and_a_tap_or_its_end_lets_it_go(
    automated: Automated, peer: Peer, eventually: Eventually, freezer: FrozenDateTimeFactory
) -> None:
    hass = automated.hass
    for warning in ("binary_sensor.wind", "binary_sensor.flood"):
        hass.states.async_set(warning, "off", {"friendly_name": "High wind"})
    await automated.automate(
        "storm", site=automated.device("site"), warnings=["binary_sensor.wind", "binary_sensor.flood"], hours=12
    )
    hass.states.async_set("binary_sensor.wind", "on", {"friendly_name": "High wind"})
    said = await automated.reads()
    assert said["message"].startswith("High wind: the vehicles fill up")
    (asked,) = peer.named("prepare_for_storm")
    until = dt_util.parse_datetime(asked["until"])
    assert until is not None
    assert until - dt_util.utcnow() == timedelta(hours=12)
    assert (asked["reserve_pct"], asked["name"]) == (90.0, "High wind")
    automated.tap(said)
    await eventually(lambda: peer.named("end_storm") == [{}])

    hass.states.async_set("binary_sensor.flood", "on", {"friendly_name": "Flood"})
    assert (await automated.reads())["message"].startswith("Flood")
    hass.states.async_set("binary_sensor.wind", "off")
    await hass.async_block_till_done()
    assert peer.named("end_storm") == [{}]
    hass.states.async_set("binary_sensor.flood", "off")
    await eventually(lambda: peer.named("end_storm") == [{}, {}])
    assert (await automated.reads())["message"] == "clear_notification"


async def comes(automated: Automated, freezer: FrozenDateTimeFactory, due: str) -> None:
    """A time of day. Only a moment passes: the link to the controller has timers of its own."""
    at_last = dt_util.parse_datetime(due)
    assert at_last is not None
    freezer.move_to(at_last)
    async_fire_time_changed(automated.hass, at_last)
    await automated.hass.async_block_till_done()


@pytest.mark.parametrize(("day", "asked"), [(1, [{"transfer": False}]), (2, [])])
async def test_a_drill_runs_on_its_day_only(
    automated: Automated, peer: Peer, freezer: FrozenDateTimeFactory, day: int, asked: list[Any]
) -> None:
    freezer.move_to("2026-07-01T14:29:59+00:00")
    await automated.automate("drill", site=automated.device("site"), day=day)
    await comes(automated, freezer, "2026-07-01T14:30:00+00:00")
    assert peer.named("start_drill") == asked


async def test_a_drill_that_could_not_be_run_is_tried_again_with_a_tap(
    automated: Automated, peer: Peer, eventually: Eventually
) -> None:
    await automated.automate("drill", site=automated.device("site"))
    await peer.happen("drill_passed", transfer=False, score=95, reasons=[])
    passed = await automated.reads()
    assert (passed["title"], passed["message"]) == ("Drill passed", "Score: 95 of 100. Nothing was in the way.")
    assert passed["data"]["actions"] == []
    await peer.happen("drill_refused", transfer=False, score=None, reasons=["vehicle_absent", "storm"])
    refused = await automated.reads()
    assert refused["message"] == "What was in the way: vehicle absent, storm."
    automated.tap(refused)
    await eventually(lambda: peer.named("start_drill") == [{"transfer": False}])


async def test_a_charge_that_comes_too_late_is_told_and_answered(
    automated: Automated, peer: Peer, eventually: Eventually
) -> None:
    await automated.automate("departure", charger=automated.device("charger-driveway"))
    leaves = at(8 * 3600)
    late = {"id": "weekly", "at": leaves, "target_pct": 80.0, "reaches_pct": 61.6}
    await peer.happen("charge_not_ready", "driveway", **late)
    said = await automated.reads()
    assert said["title"] == "Not enough charge in time"
    assert said["message"].endswith("the car will have 62%, not 80%.")
    automated.tap(said, 0)
    await eventually(lambda: [one["charger"] for one in peer.named("charge")] == ["driveway"])
    (charged,) = peer.named("charge")
    assert dt_util.parse_datetime(charged["until"]) == dt_util.parse_datetime(leaves)
    await peer.happen("charge_not_ready", "driveway", **late)
    automated.tap(await automated.reads(), 1)
    await eventually(lambda: peer.named("skip_departure") == [{"charger": "driveway", "id": "weekly"}])
    await peer.happen("vehicle_connected", "driveway")
    assert (await automated.reads())["message"] == "clear_notification"


@pytest.mark.parametrize(
    ("plugged", "planned", "reminds"), [(False, True, True), (True, True, False), (False, False, False)]
)
async def test_in_the_evening_somebody_is_reminded_to_plug_in_where_it_matters(
    automated: Automated,
    peer: Peer,
    eventually: Eventually,
    freezer: FrozenDateTimeFactory,
    plugged: bool,
    planned: bool,
    reminds: bool,
) -> None:
    freezer.move_to("2026-07-02T00:59:59+00:00")
    plan = {"id": "weekly", "at": None, "weekdays": ["mon"], "local_time": "07:30", "soc_pct": 80.0, "miles": None}
    plans = [plan | {"skip_until": None}] if planned else []
    await peer.push(lambda state: state["chargers"]["driveway"].update(plugged=plugged, departures=plans))
    charger = automated.house.runtime_data
    await eventually(lambda: charger.data["chargers"]["driveway"].get("departures") == plans)
    await automated.automate("departure", charger=automated.device("charger-driveway"))
    await comes(automated, freezer, "2026-07-02T01:00:00+00:00")
    assert automated.rings.empty() is not reminds
    if reminds:
        assert (await automated.reads())["title"] == "Plug the car in"


# ------------------------------------------------------------------------------------------------------ installing


async def page(hass: HomeAssistant, house: MockConfigEntry) -> Any:
    menu = await hass.config_entries.options.async_init(house.entry_id)
    return await hass.config_entries.options.async_configure(menu["flow_id"], {"next_step_id": "blueprints"})


def labels(form: Any) -> list[str]:
    (install, _) = form["data_schema"].schema.values()
    return [one["label"] for one in install.config["options"]]


async def test_they_are_installed_from_the_options_and_a_changed_one_is_replaced_only_after_a_word(
    automated: Automated, house: MockConfigEntry, tmp_path: Path
) -> None:
    hass = automated.hass
    assert await async_setup_component(hass, "automation", {})
    folder, options = tmp_path / "blueprints" / "automation" / DOMAIN, dict(house.options)
    form = await page(hass, house)
    assert labels(form)[0] == "Power is out (not installed)"
    done = await hass.config_entries.options.async_configure(form["flow_id"], {"install": ["outage", "storm"]})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert dict(house.options) == options
    assert {path.stem for path in folder.iterdir()} == {"outage", "storm"}

    outage = folder / "outage.yaml"
    ours = outage.read_text()
    outage.write_text(ours.replace("Power is out", "No power"))
    form = await page(hass, house)
    assert labels(form)[:3] == ["Power is out (changed by you)", "Peak event (not installed)", "Storm (installed)"]
    asks = await hass.config_entries.options.async_configure(form["flow_id"], {"install": ["outage"]})
    assert asks["errors"] == {"replace_changed": "blueprint_changed"}
    assert "No power" in outage.read_text()
    again = {"install": ["outage"], "replace_changed": True}
    assert (await hass.config_entries.options.async_configure(asks["flow_id"], again))[
        "type"
    ] is FlowResultType.CREATE_ENTRY
    assert outage.read_text() == ours


async def test_an_older_one_of_ours_is_brought_up_to_date_and_a_broken_file_counts_as_changed(
    automated: Automated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hass, shelf = automated.hass, Shelf(automated.hass)
    assert await async_setup_component(hass, "automation", {})
    await shelf.async_install(SHIPPED, replace_changed=False)
    assert set((await shelf.async_standing()).values()) == {Standing.INSTALLED}
    # A release later: what was written is ours still, and what is shipped differs from it.
    newer = tmp_path / "shipped"
    newer.mkdir()
    for path in FOLDER.glob("*.yaml"):
        (newer / path.name).write_text(path.read_text().replace("author: Ridethrough", "author: Ridethrough 2"))
    monkeypatch.setattr("custom_components.ridethrough.blueprints.FOLDER", newer)
    assert set((await shelf.async_standing()).values()) == {Standing.OUTDATED}
    assert await shelf.async_install(["drill"], replace_changed=False) == set()
    standing = await shelf.async_standing()
    assert (standing["drill"], standing["storm"]) == (Standing.INSTALLED, Standing.OUTDATED)
    (tmp_path / "blueprints" / "automation" / DOMAIN / "drill.yaml").write_text("{ not yaml")
    assert (await shelf.async_standing())["drill"] is Standing.CHANGED


async def test_without_automations_the_page_says_so(hass: HomeAssistant, house: MockConfigEntry) -> None:
    told = await page(hass, house)
    assert (told["type"], told["reason"]) == (FlowResultType.ABORT, "no_automations")
