"""The whole catalogue: each entity in a full house, when nothing is known, without a link, with an older edge."""

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest
from homeassistant.const import STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .catalogue import FILE, Line, blind, full_house, pinned, shown_states, table
from .conftest import shown
from .peer import Eventually, Peer, of_an_older_edge

# What says something without a link: history, and the link itself.
STAYS = {"site: event.outage", "charger driveway: event.session", "program peak: event.peak_event"}
DEVICES = ("home", "driveway_charger", "peak_power", "pool_pump")
CONTROLLER = "site: binary_sensor.controller"


async def show(house: MockConfigEntry, peer: Peer, eventually: Eventually, state: Any) -> None:
    """All of it in place of what was shown."""
    await peer.push(lambda document: document.update(deepcopy(state)))
    await eventually(lambda: house.runtime_data.data == peer.state)


@pytest.fixture
async def lines(hass: HomeAssistant, entry: MockConfigEntry, peer: Peer) -> dict[Line, str]:
    """Every entity of the full house, switched on after a look at what is off by default; the entry is not loaded."""
    full_house(peer.state)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    registry = er.async_get(hass)
    found = pinned(registry, entry.entry_id)
    assert await hass.config_entries.async_unload(entry.entry_id)
    for entity_id in found.values():
        registry.async_update_entity(entity_id, disabled_by=None)
    return found


async def test_each_entity_is_as_the_table_says(
    hass: HomeAssistant,
    lines: dict[Line, str],
    entry: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    request: pytest.FixtureRequest,
) -> None:
    whole = deepcopy(peer.state)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    in_the_house = shown_states(hass, lines)
    await show(entry, peer, eventually, blind(deepcopy(whole)))
    nothing_known = shown_states(hass, lines)
    assert await hass.config_entries.async_unload(entry.entry_id)

    peer.state = of_an_older_edge(whole)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    older_edge = shown_states(hass, lines)
    assert await hass.config_entries.async_unload(entry.entry_id)

    found = table([in_the_house, nothing_known, older_edge])
    if request.config.getoption("--snapshot-update"):
        FILE.write_text(found)
    assert found.splitlines() == FILE.read_text().splitlines()


async def test_without_a_link_all_is_unavailable_but_history_and_the_word_on_the_link(
    hass: HomeAssistant, lines: dict[Line, str], entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    missing = [line.entity for line, entity_id in lines.items() if shown(hass, entity_id) == STATE_UNAVAILABLE]
    assert all(".opt_in" in entity or ".opt_out" in entity or "button." in entity for entity in missing)

    await peer.stop()
    await eventually(lambda: shown(hass, "sensor.home_supply") == STATE_UNAVAILABLE)
    speaks = {line.entity: shown(hass, entity_id) for line, entity_id in lines.items()}
    stays = {entity: state for entity, state in speaks.items() if state != STATE_UNAVAILABLE}
    assert stays == {CONTROLLER: "off", **dict.fromkeys(STAYS, STATE_UNKNOWN)}

    await peer.start()
    await eventually(lambda: shown(hass, "sensor.home_supply") != STATE_UNAVAILABLE)
    back = [line.entity for line, entity_id in lines.items() if shown(hass, entity_id) == STATE_UNAVAILABLE]
    assert back == missing
    assert shown(hass, "binary_sensor.home_controller") == STATE_ON
    await hass.config_entries.async_unload(entry.entry_id)


def documented() -> Iterator[str]:
    """Each entity that the page names; ``…`` is the kind and the device named before it."""
    page = (Path(__file__).parents[2] / "docs" / "entities.md").read_text()
    for row in (row for row in page.splitlines() if row.startswith("| `") and "." in row.split("|")[1]):
        before = ""
        for name in re.findall(r"`([^`]+)`", row.split("|")[1]):
            full = before + name[2:] if name.startswith("…_") else name
            before = _of_device(full)
            yield full


def _of_device(entity_id: str) -> str:
    """What the names of a device's entities of this kind begin with."""
    kind, _, rest = entity_id.partition(".")
    return f"{kind}.{next(device for device in DEVICES if rest.startswith(device))}_"


async def test_the_page_of_entities_names_each_of_them_and_no_other(
    hass: HomeAssistant, lines: dict[Line, str]
) -> None:
    ours = {entity_id.replace(".heat_pump_", ".pool_pump_") for entity_id in lines.values()}
    assert set(documented()) == ours


@pytest.mark.parametrize(
    ("part", "gone"),
    [
        ({"has_meter": False}, {"grid_power", "grid_energy_imported", "grid_energy_exported"}),
        ({"switch": None}, {"island_switch", "island_switch_command"}),
        ({"contacts": {}}, {"stop_button", "generator", "voltage_relay"}),
        ({"leg_power_w": []}, {"leg_1_power", "leg_2_power"}),
        ({"solar_power_w": None}, {"solar_power"}),
        ({"neutral_lost": None}, {"neutral_lost"}),
    ],
)
async def test_what_a_site_does_not_have_makes_no_entity(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    entity_registry: er.EntityRegistry,
    part: dict[str, Any],
    gone: set[str],
) -> None:
    keys = await keys_of(hass, entry, entity_registry, "site-site")
    cast("Any", peer.state["site"]).update(part)
    assert await anew(hass, entry, entity_registry, "site-site") == keys - gone


@pytest.mark.parametrize(
    ("changes", "lacks", "gone"),
    [
        (
            {"blocked_by": "unable", "can_back_up": False},
            (),
            {
                "discharging_power",
                "discharging_available",
                "energy_backup",
                "energy_events",
                "session_energy_discharged",
                "bidirectional",
                "max_discharge_power",
            },
        ),
        ({}, ("voltage_v", "current_a", "frequency_hz"), {"voltage", "current", "frequency"}),
        ({}, ("temperature_c",), {"temperature"}),
        ({"clears_faults": False, "restarts": False}, (), {"clear_fault", "restart"}),
    ],
)
async def test_what_a_kind_of_charger_does_not_have_makes_no_entity(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    entity_registry: er.EntityRegistry,
    changes: dict[str, Any],
    lacks: tuple[str, ...],
    gone: set[str],
) -> None:
    keys = await keys_of(hass, entry, entity_registry, "charger-driveway")
    charger = cast("Any", peer.state["chargers"]["driveway"])
    charger.update(changes)
    for key in lacks:
        del charger[key]
    assert await anew(hass, entry, entity_registry, "charger-driveway") == keys - gone


async def keys_of(hass: HomeAssistant, entry: MockConfigEntry, registry: er.EntityRegistry, device: str) -> set[str]:
    """The keys of a device's entities, after a set-up that ends again."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    ours = er.async_entries_for_config_entry(registry, entry.entry_id)
    keys = {one.unique_id.partition(f"{device}-")[2] for one in ours if f"-{device}-" in one.unique_id}
    assert await hass.config_entries.async_unload(entry.entry_id)
    return keys


async def anew(hass: HomeAssistant, entry: MockConfigEntry, registry: er.EntityRegistry, device: str) -> set[str]:
    """The same as if it were the first time."""
    for one in er.async_entries_for_config_entry(registry, entry.entry_id):
        registry.async_remove(one.entity_id)
    return await keys_of(hass, entry, registry, device)
