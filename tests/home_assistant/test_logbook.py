"""What the logbook says of us, through Home Assistant's own logbook and its recorder."""

import json
import logging
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events
from pytest_homeassistant_custom_component.components.recorder.common import async_wait_recording_done
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.ridethrough import event as histories
from custom_components.ridethrough.const import DOMAIN
from custom_components.ridethrough.narration import EVENT_TOLD, SETTLES

from .conftest import device_of
from .peer import Eventually, Peer, at
from .test_why import CALLED, DEVICE, step

TEXTS: dict[str, str] = json.loads(
    (Path(__file__).parents[2] / "custom_components" / DOMAIN / "translations" / "en.json").read_text()
)["common"]


@pytest.fixture
def our_integration(recorder_mock: Any, enable_custom_integrations: None) -> None:
    """The recorder wants to be first; each of its statements in the test's output helps nobody."""
    logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)


@pytest.fixture
async def logbook(hass: HomeAssistant, our_integration: None) -> None:
    """The logbook, which brings the frontend in a real house; here its panel is not looked at."""
    hass.config.components.add("frontend")
    hass.data.setdefault("frontend_panels", {})
    assert await async_setup_component(hass, "logbook", {})
    hass.config.components.remove("frontend")


@pytest.fixture
async def house(logbook: None, hass: HomeAssistant, entry: MockConfigEntry) -> AsyncGenerator[MockConfigEntry]:
    """The entry, set up with a logbook."""
    await hass.config.async_set_time_zone("America/New_York")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    yield entry
    await hass.config_entries.async_unload(entry.entry_id)


async def lines(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, **only: Any
) -> list[tuple[str, str, str | None]]:
    """Our lines: whose, what, and the entity that they lead to."""
    await async_wait_recording_done(hass)
    client = await hass_ws_client(hass)
    start = (dt_util.utcnow() - timedelta(hours=1)).isoformat()
    await client.send_json({"id": 1, "type": "logbook/get_events", "start_time": start, **only})
    answer = await client.receive_json()
    assert answer["success"], answer
    return [
        (one["name"], one["message"], one.get("entity_id")) for one in answer["result"] if one.get("domain") == DOMAIN
    ]


async def test_what_happens_stands_in_the_logbook_in_words_at_its_device_and_its_entity(
    hass: HomeAssistant,
    house: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
    hass_ws_client: WebSocketGenerator,
    peer: Peer,
    eventually: Eventually,
) -> None:
    told = async_capture_events(hass, EVENT_TOLD)
    await peer.happen("outage_started", evidence="the charger lost the grid")
    await peer.happen("outage_ended", duration_s=11_400, energy_wh=9400, started_at=at(-11_400))
    await peer.happen("order_refused", "driveway", order="power", reason="local_mode")
    await peer.happen("event_started", "peak", uid="peak-1")
    await peer.happen("of_a_later_edge")
    await eventually(lambda: house.runtime_data.data is not None and len(told) == 4)
    texts = [(one.data["name"], one.data["message"]) for one in told]
    assert texts[:3] == [
        ("Home", "Power went out: the charger lost the grid."),
        ("Home", "Power is back after 3 h 10 min; the vehicle gave 9.4 kWh."),
        (
            "Driveway charger",
            "An order was refused by the charger: Charger is in local mode, set it to remote there. "
            "Set the charger to remote at its own display or app.",
        ),
    ]
    assert texts[3][1].startswith("Peak event started: 5.0 kW until ")
    everything = await lines(hass, hass_ws_client)
    assert everything == [(one.data["name"], one.data["message"], one.data["entity_id"]) for one in told]
    assert [entity for _, _, entity in everything] == [
        "event.home_outage",
        "event.home_outage",
        "event.driveway_charger_session",
        "event.peak_power_peak_event",
    ]
    charger = device_of(device_registry, house, "charger-driveway")
    assert charger is not None
    assert [name for name, _, _ in await lines(hass, hass_ws_client, device_ids=[charger.id])] == ["Driveway charger"]
    of_entity = await lines(hass, hass_ws_client, entity_ids=["event.peak_power_peak_event"])
    assert [name for name, _, _ in of_entity] == ["Peak power"]


async def test_a_decision_is_told_once_it_lasts_with_what_to_do(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, freezer: FrozenDateTimeFactory
) -> None:
    told = async_capture_events(hass, EVENT_TOLD)

    async def decides(*steps: Any) -> None:
        await peer.push(lambda state: state["chargers"]["driveway"].update(why=list(steps)))
        await eventually(lambda: house.runtime_data.data["chargers"]["driveway"]["why"] == list(steps))

    await decides(DEVICE, step("event", -5000, -5000, **CALLED))
    assert told[0].data["message"].startswith("Gives 5.0 kW for the peak event until ")
    assert told[0].data["entity_id"] == "sensor.driveway_charger_why"
    await decides(DEVICE, step("event", -4900, -4900, **CALLED))
    await decides(step("no_contact", None, None))
    assert len(told) == 1
    freezer.tick(SETTLES)
    await decides(step("no_contact", None, None, text="still"))
    assert told[1].data["message"] == (
        "Does nothing: the charger does not answer. Check the charger's power, network and address."
    )
    assert len(told) == 2


async def test_a_charger_that_comes_later_is_told_of_too(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    told = async_capture_events(hass, EVENT_TOLD)
    second = {**peer.state["chargers"]["driveway"], "name": "Carport charger"}
    await peer.push(lambda state: state["chargers"].update(carport=second))
    await eventually(lambda: "carport" in house.runtime_data.data["chargers"])
    await peer.happen("fault_raised", "carport", alarms=["over_temp", "of_a_later_device"])
    await peer.happen("fault_raised", "carport", alarms=[])
    await eventually(lambda: len(told) == 2)
    assert [one.data["message"] for one in told] == [
        "The charger reports a fault: Too hot, of a later device. Look at its display.",
        "The charger reports a fault: nothing. Look at its display.",
    ]


def test_everything_that_a_history_shows_has_its_sentence() -> None:
    kinds = {kind for row in (histories.OUTAGE, histories.SESSION, histories.PEAK_EVENT) for kind in row.kinds}
    assert len(kinds) > 40
    assert {kind for kind in kinds if f"told_{kind}" not in TEXTS} == set()
