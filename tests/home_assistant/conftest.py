"""A house's edge service on a loopback socket, and Home Assistant with the integration set up against it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any
from unittest.mock import patch

import pytest
from freezegun.api import real_monotonic
from homeassistant.const import CONF_HOST, CONF_PORT, CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.entity import Entity
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.const import DOMAIN

from .peer import INSTALLATION, TOKEN, Eventually, Peer
from .phone_kit import Client, PhoneShop, PushService


@pytest.fixture(autouse=True)
def our_integration(enable_custom_integrations: None) -> None:
    """Let Home Assistant load what lies in custom_components."""


@pytest.fixture
async def peer(socket_enabled: None) -> AsyncGenerator[Peer]:
    """An edge service that listens."""
    running = Peer()
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
def entry(hass: HomeAssistant, peer: Peer) -> MockConfigEntry:
    """A paired entry, not yet set up."""
    new = MockConfigEntry(
        domain=DOMAIN,
        title="Home",
        unique_id=INSTALLATION,
        data={CONF_HOST: "127.0.0.1", CONF_PORT: peer.port, CONF_TOKEN: TOKEN},
    )
    new.add_to_hass(hass)
    return new


@pytest.fixture
async def house(hass: HomeAssistant, entry: MockConfigEntry) -> AsyncGenerator[MockConfigEntry]:
    """The entry, set up."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    yield entry
    if hass.config_entries.async_get_entry(entry.entry_id) is not None:
        await hass.config_entries.async_unload(entry.entry_id)


@pytest.fixture
async def shop(hass: HomeAssistant, socket_enabled: None, hass_client: Client) -> AsyncGenerator[PhoneShop]:
    """Where phones with the companion app come from."""
    for first in ("mobile_app", "calendar"):  # what serves pages does so before anybody connects
        assert await async_setup_component(hass, first, {})
    await hass.async_block_till_done()
    service = PushService()
    await service.start()
    yield PhoneShop(hass, await hass_client(), service)
    await service.stop()


@pytest.fixture
def everything_enabled() -> Generator[None]:
    """Entities that are off by default are created too."""
    with patch.object(Entity, "entity_registry_enabled_default", True):
        yield


@pytest.fixture
def eventually(hass: HomeAssistant) -> Eventually:
    """Wait for what comes with the next messages: a minute at most, on a busy machine, also where time stands still."""

    async def wait(met: Callable[[], bool]) -> None:
        latest = real_monotonic() + 60
        while not met():
            assert real_monotonic() < latest, "it did not come"
            await hass.async_block_till_done()
            await asyncio.sleep(0)

    return wait


def device_of(registry: dr.DeviceRegistry, entry: MockConfigEntry, part: str) -> dr.DeviceEntry | None:
    """The device of a charger or program, such as ``charger-driveway``."""
    return registry.async_get_device_by_identifier((DOMAIN, f"{INSTALLATION}-{part}"), entry.entry_id)


def shown(hass: HomeAssistant, entity_id: str) -> str:
    """The state of an entity that must exist."""
    state = hass.states.get(entity_id)
    assert state is not None, entity_id
    return state.state


def attributes(hass: HomeAssistant, entity_id: str, *names: str) -> dict[str, Any]:
    """Those of the attributes named that the entity has."""
    state = hass.states.get(entity_id)
    assert state is not None, entity_id
    return {name: state.attributes[name] for name in names if name in state.attributes}
