"""From an address and a code to a link; every error can be got over in the same dialogue."""

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_USER, SOURCE_ZEROCONF, ConfigEntryState
from homeassistant.const import CONF_CODE, CONF_HOST, CONF_PORT, CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.const import CONF_FINGERPRINT, DOMAIN
from custom_components.ridethrough.wire import ZEROCONF_TYPE

from .peer import CODE, INSTALLATION, TOKEN, Eventually, Peer


def found_at(peer: Peer, **told: str) -> ZeroconfServiceInfo:
    """The edge's announcement."""
    address = ip_address("127.0.0.1")
    return ZeroconfServiceInfo(
        ip_address=address,
        ip_addresses=[address],
        port=peer.port,
        hostname=f"ridethrough-{INSTALLATION}.local.",
        type=ZEROCONF_TYPE,
        name=f"{INSTALLATION}.{ZEROCONF_TYPE}",
        properties=told,
    )


def typed(peer: Peer, **other: Any) -> dict[str, Any]:
    """What a person types into the first form."""
    return {CONF_HOST: " 127.0.0.1 ", CONF_PORT: peer.port, CONF_CODE: CODE} | other


async def unload(hass: HomeAssistant) -> None:
    for entry in hass.config_entries.async_entries(DOMAIN):
        await hass.config_entries.async_unload(entry.entry_id)


async def test_an_address_and_a_code_make_an_entry_named_after_the_house(hass: HomeAssistant, peer: Peer) -> None:
    form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert form["type"] is FlowResultType.FORM
    made = await hass.config_entries.flow.async_configure(form["flow_id"], typed(peer))
    assert made["type"] is FlowResultType.CREATE_ENTRY
    assert made["title"] == "Home"
    assert made["data"] == {
        CONF_HOST: "127.0.0.1",
        CONF_PORT: peer.port,
        CONF_FINGERPRINT: None,
        CONF_TOKEN: TOKEN,
    }
    assert made["result"].unique_id == INSTALLATION
    await hass.async_block_till_done()
    assert made["result"].state is ConfigEntryState.LOADED
    await unload(hass)


def _mistyped(peer: Peer) -> dict[str, Any]:
    return {CONF_CODE: "000000"}


def _locked(peer: Peer) -> dict[str, Any]:
    peer.pair_status = 429
    return {}


def _full(peer: Peer) -> dict[str, Any]:
    peer.pair_status = 409
    return {}


def _broken(peer: Peer) -> dict[str, Any]:
    peer.pair_status = 500
    return {}


def _nobody(peer: Peer) -> dict[str, Any]:
    return {CONF_PORT: 9}


def _newer(peer: Peer) -> dict[str, Any]:
    peer.schemas = (2, 2)
    return {}


def _older(peer: Peer) -> dict[str, Any]:
    peer.schemas = (0, 0)
    return {}


def _no_fingerprint(peer: Peer) -> dict[str, Any]:
    return {CONF_FINGERPRINT: "abc"}


def _no_tls(peer: Peer) -> dict[str, Any]:
    return {CONF_FINGERPRINT: "AB:" * 31 + "AB"}


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (_mistyped, "code_refused"),
        (_locked, "pairing_locked"),
        (_full, "too_many_clients"),
        (_broken, "cannot_connect"),
        (_nobody, "cannot_connect"),
        (_newer, "edge_too_new"),
        (_older, "edge_too_old"),
        (_no_fingerprint, "bad_fingerprint"),
        (_no_tls, "cannot_connect"),
    ],
)
async def test_each_error_is_named_and_can_be_got_over(
    hass: HomeAssistant, peer: Peer, trouble: Callable[[Peer], dict[str, Any]], error: str
) -> None:
    form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    again = await hass.config_entries.flow.async_configure(form["flow_id"], typed(peer, **trouble(peer)))
    assert again["type"] is FlowResultType.FORM
    assert again["errors"] == {"base": error}

    peer.pair_status, peer.schemas = None, (1, 1)
    made = await hass.config_entries.flow.async_configure(form["flow_id"], typed(peer))
    assert made["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    await unload(hass)


async def test_the_same_house_is_not_set_up_twice(hass: HomeAssistant, house: MockConfigEntry, peer: Peer) -> None:
    form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    ended = await hass.config_entries.flow.async_configure(form["flow_id"], typed(peer))
    assert ended["type"] is FlowResultType.ABORT
    assert ended["reason"] == "already_configured"
    await hass.async_block_till_done()


async def test_a_discovered_house_asks_for_the_code_only(hass: HomeAssistant, peer: Peer) -> None:
    form = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_ZEROCONF}, data=found_at(peer, installation=INSTALLATION)
    )
    assert form["step_id"] == "discovered"
    again = await hass.config_entries.flow.async_configure(form["flow_id"], {CONF_CODE: "wrong"})
    assert again["errors"] == {"base": "code_refused"}
    made = await hass.config_entries.flow.async_configure(form["flow_id"], {CONF_CODE: CODE})
    assert made["type"] is FlowResultType.CREATE_ENTRY
    assert made["result"].unique_id == INSTALLATION
    await hass.async_block_till_done()
    await unload(hass)


@pytest.mark.parametrize("told", [{}, {"installation": INSTALLATION, "fingerprint": "no"}])
async def test_an_announcement_that_is_none_of_an_edge_is_left_alone(
    hass: HomeAssistant, peer: Peer, told: dict[str, str]
) -> None:
    ended = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_ZEROCONF}, data=found_at(peer, **told)
    )
    assert ended["reason"] == "not_an_edge"


async def test_a_known_house_that_moved_is_followed_but_not_while_its_link_stands(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    here = house.data[CONF_PORT]
    elsewhere = found_at(peer, installation=INSTALLATION, fingerprint="ab" * 32)
    elsewhere.port = here + 1
    for linked, port in ((True, here), (False, here + 1)):
        if not linked:
            await peer.stop()
            await eventually(lambda: not house.runtime_data.last_update_success)
        ended = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_ZEROCONF}, data=elsewhere)
        assert ended["reason"] == "already_configured"
        assert house.data[CONF_PORT] == port
    assert house.data.get(CONF_FINGERPRINT) is None
    await hass.async_block_till_done()


async def test_a_lost_pairing_is_made_again_and_keeps_everything_else(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    peer.token = "a-new-token"
    form = await house.start_reauth_flow(hass)
    assert form["step_id"] == "reauth_confirm"
    again = await hass.config_entries.flow.async_configure(form["flow_id"], {CONF_CODE: "wrong"})
    assert again["errors"] == {"base": "code_refused"}
    ended = await hass.config_entries.flow.async_configure(form["flow_id"], {CONF_CODE: CODE})
    assert ended["reason"] == "reauth_successful"
    await hass.async_block_till_done()
    assert house.data[CONF_TOKEN] == "a-new-token"
    assert house.data[CONF_PORT] == peer.port


async def test_pairing_again_with_another_house_is_refused(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    peer.installation = "another"
    form = await house.start_reauth_flow(hass)
    ended = await hass.config_entries.flow.async_configure(form["flow_id"], {CONF_CODE: CODE})
    assert ended["reason"] == "wrong_installation"


async def test_an_address_can_be_changed_without_pairing_again(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    form = await house.start_reconfigure_flow(hass)
    assert form["step_id"] == "reconfigure"
    wrong = await hass.config_entries.flow.async_configure(form["flow_id"], {CONF_HOST: "127.0.0.1", CONF_PORT: 9})
    assert wrong["errors"] == {"base": "cannot_connect"}
    await peer.stop()
    peer.port = 0
    await peer.start()
    ended = await hass.config_entries.flow.async_configure(
        form["flow_id"], {CONF_HOST: "127.0.0.1", CONF_PORT: peer.port}
    )
    assert ended["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert house.data[CONF_PORT] == peer.port
    assert house.data[CONF_TOKEN] == TOKEN


@pytest.mark.parametrize(
    ("change", "outcome"),
    [({"token": "another"}, "token_refused"), ({"installation": "another"}, "wrong_installation")],
)
async def test_an_address_of_something_else_is_refused(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, change: dict[str, str], outcome: str
) -> None:
    for name, value in change.items():
        setattr(peer, name, value)
    form = await house.start_reconfigure_flow(hass)
    ended = await hass.config_entries.flow.async_configure(
        form["flow_id"], {CONF_HOST: "127.0.0.1", CONF_PORT: peer.port}
    )
    assert outcome in (ended.get("reason"), (ended.get("errors") or {}).get("base"))
