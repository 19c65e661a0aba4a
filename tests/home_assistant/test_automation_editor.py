"""What the automation editor of Home Assistant is offered of us, asked as it asks: over its WebSocket."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.translation import async_get_translations
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.ridethrough.condition import HOLDS
from custom_components.ridethrough.const import DOMAIN
from custom_components.ridethrough.trigger import BECOMES, HAPPENS, TRIGGERS as OURS

from .automations import on, only_if
from .conftest import device_of
from .peer import INSTALLATION

HERE = Path(__file__).parents[2] / "custom_components" / "ridethrough"
TRIGGERS = {f"ridethrough.{name}" for name in OURS}
CONDITIONS = {f"ridethrough.{name}" for name in HOLDS}


class Editor:
    """The automation editor's questions."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def ask(self, kind: str, **more: Any) -> Any:
        await self._client.send_json_auto_id({"type": kind} | more)
        answer = await self._client.receive_json()
        assert answer["success"], answer
        return answer["result"]

    async def offered(self, kind: str) -> dict[str, Any]:
        """What it lists, of us."""
        await self.ask(f"{kind}_platforms/subscribe")
        listed = (await self._client.receive_json())["event"]
        return {name: row for name, row in listed.items() if name.startswith("ridethrough.")}


@pytest.fixture
async def editor(hass: HomeAssistant, house: MockConfigEntry, hass_ws_client: WebSocketGenerator) -> Editor:
    assert await async_setup_component(hass, "automation", {})
    await hass.async_block_till_done()
    return Editor(await hass_ws_client(hass))


async def test_the_editor_lists_every_trigger_and_condition_with_its_target_and_fields(editor: Editor) -> None:
    triggers = await editor.offered("trigger")
    conditions = await editor.offered("condition")
    assert (set(triggers), set(conditions)) == (TRIGGERS, CONDITIONS)
    lasting = {f"ridethrough.{name}" for name in BECOMES}
    for name, row in (triggers | conditions).items():
        (wanted,) = row["target"]["entity"]
        assert wanted["integration"] == DOMAIN
        expected = {"behavior", "for"} if name in lasting | CONDITIONS else set()
        assert set(row["fields"]) == expected, name
    assert {row["target"]["entity"][0]["domain"][0] for name, row in triggers.items() if name not in lasting} == {
        "event"
    }


async def test_each_device_is_offered_what_its_entities_can_do(
    editor: Editor, house: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
    site = device_registry.async_get_device_by_identifier((DOMAIN, INSTALLATION), house.entry_id)
    charger = device_of(device_registry, house, "charger-driveway")
    load = device_of(device_registry, house, "load-pool")
    assert site is not None
    assert charger is not None
    assert load is not None
    offers = {
        part: {
            *await editor.ask("get_triggers_for_target", target={"device_id": device.id}),
            *await editor.ask("get_conditions_for_target", target={"device_id": device.id}),
        }
        for part, device in (("site", site), ("charger", charger), ("load", load))
    }
    assert {"ridethrough.outage_started", "ridethrough.is_outage", "ridethrough.is_storm_hold"} <= offers["site"]
    assert {"ridethrough.charge_not_ready", "ridethrough.is_vehicle_connected"} <= offers["charger"]
    assert "ridethrough.is_vehicle_connected" not in offers["site"]
    assert not {"ridethrough.outage_started", "ridethrough.is_outage"} & offers["load"]


async def test_what_the_editor_writes_is_valid_and_what_it_must_not_write_is_not(editor: Editor) -> None:
    target, lasts = {"device_id": ["any"]}, {"behavior": "each", "for": {"minutes": 10}}
    good = {
        "triggers": [*(on(name, target) for name in HAPPENS), *(on(name, target, **lasts) for name in BECOMES)],
        "conditions": [only_if(name, target, behavior="all", **{"for": "00:10:00"}) for name in HOLDS],
    }
    answer = await editor.ask("validate_config", **good)
    assert {kind: one["valid"] for kind, one in answer.items()} == {"triggers": True, "conditions": True}
    for bad in (
        {"triggers": on("outage_started", target, **{"for": "00:10:00"})},
        {"triggers": {"trigger": "ridethrough.outage_started"}},
        {"triggers": on("backup_not_ready", target, behavior="some")},
        {"triggers": on("tea_ready", target)},
        {"conditions": only_if("is_outage", target, behavior="each")},
        {"conditions": {"condition": "ridethrough.is_outage"}},
        {"conditions": only_if("is_tea_ready", target)},
    ):
        (answer,) = (await editor.ask("validate_config", **bad)).values()
        assert not answer["valid"], bad


async def test_every_one_has_its_name_its_sentence_and_its_icon(hass: HomeAssistant, editor: Editor) -> None:
    icons = json.loads((HERE / "icons.json").read_text())
    for kind, names, one in (("triggers", TRIGGERS, "trigger"), ("conditions", CONDITIONS, "condition")):
        words = await async_get_translations(hass, "en", kind, [DOMAIN])
        described = yaml.safe_load((HERE / f"{kind}.yaml").read_text())
        keys = {name.partition(".")[2] for name in names}
        assert {key for key in described if not key.startswith(".")} == set(icons[kind]) == keys
        for key in keys:
            path = f"component.{DOMAIN}.{kind}.{key}"
            assert words[f"{path}.name"]
            assert words[f"{path}.description"].startswith("Triggers " if one == "trigger" else "Tests if")
            assert icons[kind][key][one].startswith("mdi:")
            for field in described[key].get("fields", {}):
                assert words[f"{path}.fields.{field}.name"]
        assert {path.split(".")[3] for path in words} == keys
