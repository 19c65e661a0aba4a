"""From an address and a code to a link; every error can be got over in the same dialogue."""

import asyncio
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_USER, SOURCE_ZEROCONF, ConfigEntryState
from homeassistant.const import CONF_HOST, CONF_PORT, CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import certificate
from custom_components.ridethrough.certificate import is_loopback, looked_at, shown_fingerprint
from custom_components.ridethrough.client import CannotConnectError
from custom_components.ridethrough.config_flow import BadHostError, place_of
from custom_components.ridethrough.const import CONF_FINGERPRINT, DOMAIN
from custom_components.ridethrough.wire import ZEROCONF_TYPE

from .onboarding import ask_for_code
from .peer import CODE, INSTALLATION, TOKEN, Eventually, Peer
from .tls import Certificate, self_made


@pytest.fixture
def key(tmp_path: Path) -> Certificate:
    """The key of the house's edge."""
    return self_made(tmp_path)


@pytest.fixture
async def guarded(peer: Peer, key: Certificate) -> Peer:
    """The edge, with a key of its own."""
    await show_key(peer, key)
    return peer


async def show_key(peer: Peer, key: Certificate) -> None:
    """The edge starts again, with another key."""
    await peer.stop()
    peer.fingerprint = key.fingerprint
    await peer.start(key.context)


def found_at(peer: Peer, host: str = "127.0.0.1", **told: str) -> ZeroconfServiceInfo:
    """The edge's announcement."""
    address = ip_address(host)
    return ZeroconfServiceInfo(
        ip_address=address,
        ip_addresses=[address],
        port=peer.port,
        hostname=f"ridethrough-{INSTALLATION}.local.",
        type=ZEROCONF_TYPE,
        name=f"{INSTALLATION}.{ZEROCONF_TYPE}",
        properties=told,
    )


async def discover(hass: HomeAssistant, info: ZeroconfServiceInfo) -> Any:
    return await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_ZEROCONF}, data=info)


async def answer(hass: HomeAssistant, form: Any, **typed: Any) -> Any:
    """Fill in the form that is shown."""
    return await hass.config_entries.flow.async_configure(form["flow_id"], typed)


async def unload(hass: HomeAssistant) -> None:
    await hass.async_block_till_done()
    for entry in hass.config_entries.async_entries(DOMAIN):
        await hass.config_entries.async_unload(entry.entry_id)


async def test_address_code_and_summary_make_an_entry_named_after_the_house(hass: HomeAssistant, peer: Peer) -> None:
    form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "user")
    form = await answer(hass, form, host=" 127.0.0.1 ", port=peer.port)
    assert form["step_id"] == "pair"
    assert form["description_placeholders"]["fingerprint"].startswith("none")
    summary = await answer(hass, form, code=CODE)
    assert summary["step_id"] == "summary"
    assert "Driveway charger" in summary["description_placeholders"]["summary"]
    made = await answer(hass, summary)
    assert made["type"] is FlowResultType.CREATE_ENTRY
    assert made["title"] == "Home"
    here = {CONF_HOST: "127.0.0.1", CONF_PORT: peer.port, CONF_FINGERPRINT: None, CONF_TOKEN: TOKEN}
    assert made["data"] == here
    assert made["result"].unique_id == INSTALLATION
    await hass.async_block_till_done()
    assert made["result"].state is ConfigEntryState.LOADED
    await unload(hass)


async def test_the_key_that_answers_is_shown_for_comparison_before_anything_is_said_and_pinned(
    hass: HomeAssistant, guarded: Peer, key: Certificate
) -> None:
    form = await ask_for_code(hass, guarded.port)
    told = form["description_placeholders"]["fingerprint"]
    assert told == shown_fingerprint(key.fingerprint)
    assert told.replace("\n", "").replace(":", "") == key.fingerprint
    assert guarded.pairings == []
    made = await answer(hass, await answer(hass, form, code=CODE))
    assert made["data"][CONF_FINGERPRINT] == key.fingerprint
    await hass.async_block_till_done()
    assert made["result"].state is ConfigEntryState.LOADED
    await unload(hass)


async def test_the_edge_learns_which_home_assistant_it_was(hass: HomeAssistant, peer: Peer) -> None:
    hass.config.location_name = "Cabin"
    await answer(hass, await ask_for_code(hass, peer.port), code=CODE)
    assert peer.pairings == [{"code": CODE, "name": "Home Assistant, Cabin"}]


def _mistyped(peer: Peer) -> str:
    return "000000"


def _locked(peer: Peer) -> str:
    peer.pair_status = 429
    return CODE


def _full(peer: Peer) -> str:
    peer.pair_status = 409
    return CODE


def _newer(peer: Peer) -> str:
    peer.schemas = (2, 2)
    return CODE


def _older(peer: Peer) -> str:
    peer.schemas = (0, 0)
    return CODE


def _forgotten(peer: Peer) -> str:
    peer.token_given = "of another start"
    return CODE


def _between(peer: Peer) -> str:
    peer.fingerprint = "ab" * 32
    return CODE


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (_mistyped, "code_refused"),
        (_locked, "pairing_locked"),
        (_full, "too_many_clients"),
        (_newer, "edge_too_new"),
        (_older, "edge_too_old"),
        (_forgotten, "token_refused"),
        (_between, "wrong_certificate"),
    ],
)
@pytest.mark.parametrize("found", [False, True])
async def test_each_error_of_the_code_is_named_and_can_be_got_over(
    hass: HomeAssistant, guarded: Peer, key: Certificate, trouble: Callable[[Peer], str], error: str, *, found: bool
) -> None:
    announced = found_at(guarded, installation=INSTALLATION, fingerprint=key.fingerprint)
    form = await discover(hass, announced) if found else await ask_for_code(hass, guarded.port)
    step = form["step_id"]
    again = await answer(hass, form, code=trouble(guarded))
    assert (again["type"], again["step_id"]) == (FlowResultType.FORM, step)
    assert again["errors"] == {"base": error}

    guarded.pair_status, guarded.schemas, guarded.token_given = None, (1, 1), None
    guarded.fingerprint = key.fingerprint
    made = await answer(hass, await answer(hass, again, code=CODE))
    assert made["type"] is FlowResultType.CREATE_ENTRY
    await unload(hass)


@pytest.mark.parametrize(
    ("host", "port", "error"),
    [
        ("127.0.0.1", 9, "cannot_connect"),
        ("no machine", None, "bad_host"),
        ("http://", None, "bad_host"),
        ("http://[1", None, "bad_host"),
    ],
)
async def test_each_error_of_the_address_is_named_and_can_be_got_over(
    hass: HomeAssistant, peer: Peer, host: str, port: int | None, error: str
) -> None:
    again = await ask_for_code(hass, port or peer.port, host)
    assert (again["step_id"], again["errors"]) == ("user", {"base": error})
    form = await answer(hass, again, host="127.0.0.1", port=peer.port)
    made = await answer(hass, await answer(hass, form, code=CODE))
    assert made["type"] is FlowResultType.CREATE_ENTRY
    await unload(hass)


async def test_something_else_that_answers_there_asks_for_another_address(hass: HomeAssistant, peer: Peer) -> None:
    peer.pair_status = 404
    form = await ask_for_code(hass, peer.port)
    again = await answer(hass, form, code=CODE)
    assert (again["step_id"], again["errors"]) == ("user", {"base": "cannot_connect"})
    peer.pair_status = None
    form = await answer(hass, again, host="127.0.0.1", port=peer.port)
    made = await answer(hass, await answer(hass, form, code=CODE))
    assert made["type"] is FlowResultType.CREATE_ENTRY
    await unload(hass)


async def test_an_edge_elsewhere_without_encryption_is_refused_before_anything_is_sent(
    hass: HomeAssistant, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate, "is_loopback", lambda host: False)
    again = await ask_for_code(hass, peer.port)
    assert (again["step_id"], again["errors"]) == ("user", {"base": "plain_http"})
    assert peer.pairings == []
    monkeypatch.undo()
    form = await answer(hass, again, host="127.0.0.1", port=peer.port)
    made = await answer(hass, await answer(hass, form, code=CODE))
    assert made["type"] is FlowResultType.CREATE_ENTRY
    await unload(hass)


async def test_a_port_where_nobody_speaks_is_no_edge(monkeypatch: pytest.MonkeyPatch, socket_enabled: None) -> None:
    monkeypatch.setattr(certificate, "LOOK_TIMEOUT_S", 0.05)
    silent = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    with pytest.raises(CannotConnectError):
        await looked_at("127.0.0.1", silent.sockets[0].getsockname()[1])
    silent.close()


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("LocalHost", True)),
        *(("192.168.1.20", False), ("localhost.evil.example", False), ("edge.local", False), ("0.0.0.0", False)),
    ],
)
def test_only_this_machine_is_this_machine(host: str, here: bool) -> None:
    assert is_loopback(host) is here


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("edge.local", ("edge.local", 8127)),
        ("https://edge.local:9000/x", ("edge.local", 9000)),
        ("http://10.0.0.7", ("10.0.0.7", 8127)),
        ("fd00::5", ("fd00::5", 8127)),
        ("[fd00::5]", ("fd00::5", 8127)),
        ("10.0.0.7:9000", ("10.0.0.7", 9000)),
    ],
)
def test_an_address_may_be_typed_as_a_browser_shows_it(typed: str, place: tuple[str, int]) -> None:
    assert place_of({CONF_HOST: typed, CONF_PORT: 8127}) == place


@pytest.mark.parametrize("typed", ["", "two words", "https://", "http://[1"])
def test_what_names_no_machine_is_refused(typed: str) -> None:
    with pytest.raises(BadHostError):
        place_of({CONF_HOST: typed, CONF_PORT: 8127})


async def test_the_same_address_is_not_set_up_twice_and_costs_no_code(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    ended = await ask_for_code(hass, peer.port)
    assert (ended["type"], ended["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_the_same_house_by_another_name_is_not_set_up_twice(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer
) -> None:
    hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_HOST: "edge.local"})
    ended = await answer(hass, await ask_for_code(hass, peer.port), code=CODE)
    assert (ended["type"], ended["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert entry.data[CONF_HOST] == "127.0.0.1"
    await unload(hass)


async def test_a_discovered_house_asks_for_the_code_only_and_shows_where_and_which_key(
    hass: HomeAssistant, guarded: Peer, key: Certificate
) -> None:
    form = await discover(hass, found_at(guarded, installation=INSTALLATION, fingerprint=key.fingerprint))
    assert form["step_id"] == "discovered"
    assert form["description_placeholders"]["host"] == "127.0.0.1"
    assert form["description_placeholders"]["fingerprint"] == shown_fingerprint(key.fingerprint)
    (waiting,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert waiting["context"]["title_placeholders"] == {"name": "127.0.0.1"}
    made = await answer(hass, await answer(hass, form, code=CODE))
    assert made["result"].unique_id == INSTALLATION
    assert made["result"].data[CONF_FINGERPRINT] == key.fingerprint
    await unload(hass)


async def test_somebody_who_announces_a_house_with_another_key_is_told_no_code(
    hass: HomeAssistant, guarded: Peer
) -> None:
    form = await discover(hass, found_at(guarded, installation=INSTALLATION, fingerprint="ab" * 32))
    again = await answer(hass, form, code=CODE)
    assert again["errors"] == {"base": "wrong_certificate"}
    assert guarded.pairings == []


async def test_a_house_that_is_found_twice_is_asked_about_once(
    hass: HomeAssistant, guarded: Peer, key: Certificate
) -> None:
    announced = found_at(guarded, installation=INSTALLATION, fingerprint=key.fingerprint)
    await discover(hass, announced)
    ended = await discover(hass, announced)
    assert ended["reason"] == "already_in_progress"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({}, "not_an_edge"),
        ({"installation": INSTALLATION, "fingerprint": "no"}, "not_an_edge"),
        ({"installation": INSTALLATION}, "plain_http"),
    ],
)
async def test_an_announcement_that_is_none_of_a_guarded_edge_is_left_alone(
    hass: HomeAssistant, peer: Peer, told: dict[str, str], reason: str
) -> None:
    ended = await discover(hass, found_at(peer, **told))
    assert ended["reason"] == reason


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
        ended = await discover(hass, elsewhere)
        assert ended["reason"] == "already_configured"
        assert house.data[CONF_PORT] == port
    assert house.data.get(CONF_FINGERPRINT) is None
    await hass.async_block_till_done()


async def test_a_token_that_was_given_without_a_key_never_follows_an_announcement_to_another_machine(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer
) -> None:
    ended = await discover(hass, found_at(peer, "192.168.1.66", installation=INSTALLATION, fingerprint="ab" * 32))
    assert ended["reason"] == "already_configured"
    assert entry.data[CONF_HOST] == "127.0.0.1"


async def test_a_lost_pairing_is_made_again_and_keeps_everything_else(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    peer.token = "a-new-token"
    form = await house.start_reauth_flow(hass)
    assert form["step_id"] == "reauth_confirm"
    assert form["description_placeholders"]["name"] == "Home"
    again = await answer(hass, form, code="wrong")
    assert again["errors"] == {"base": "code_refused"}
    ended = await answer(hass, again, code=CODE)
    assert ended["reason"] == "reauth_successful"
    await hass.async_block_till_done()
    assert house.data[CONF_TOKEN] == "a-new-token"
    assert house.data[CONF_PORT] == peer.port


async def test_an_edge_that_was_installed_anew_asks_by_itself_and_its_new_key_is_compared(
    hass: HomeAssistant, guarded: Peer, key: Certificate, tmp_path: Path, eventually: Eventually
) -> None:
    form = await ask_for_code(hass, guarded.port)
    entry = (await answer(hass, await answer(hass, form, code=CODE)))["result"]
    await hass.async_block_till_done()
    other = self_made(tmp_path, 2)
    await show_key(guarded, other)
    guarded.token = "a-new-token"
    for anew in (False, True):
        if anew:
            await hass.config_entries.async_unload(entry.entry_id)
            await hass.config_entries.async_setup(entry.entry_id)
            assert entry.state is ConfigEntryState.SETUP_ERROR
        await eventually(lambda: bool(hass.config_entries.flow.async_progress_by_handler(DOMAIN)))
        (page,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        assert page["step_id"] == "pair_again"
        if not anew:
            hass.config_entries.flow.async_abort(page["flow_id"])
    form = await hass.config_entries.flow.async_configure(page["flow_id"])
    told = form["description_placeholders"]
    assert told is not None
    assert told["fingerprint"] == shown_fingerprint(other.fingerprint)
    ended = await answer(hass, form, code=CODE)
    assert ended["reason"] == "reauth_successful"
    await hass.async_block_till_done()
    assert (entry.data[CONF_TOKEN], entry.data[CONF_FINGERPRINT]) == ("a-new-token", other.fingerprint)
    assert entry.state is ConfigEntryState.LOADED
    await unload(hass)


async def test_an_edge_that_is_away_when_it_is_paired_with_again_is_no_end_of_the_page(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    await peer.stop()
    form = await house.start_reauth_flow(hass)
    assert form["step_id"] == "reauth_confirm"
    again = await answer(hass, form, code=CODE)
    assert again["errors"] == {"base": "cannot_connect"}
    await peer.start()
    ended = await answer(hass, again, code=CODE)
    assert ended["reason"] == "reauth_successful"
    await hass.async_block_till_done()


async def test_pairing_again_with_another_house_is_refused(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    peer.installation = "another"
    form = await house.start_reauth_flow(hass)
    ended = await answer(hass, form, code=CODE)
    assert ended["reason"] == "wrong_installation"


async def test_an_address_can_be_changed_without_pairing_again(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    form = await house.start_reconfigure_flow(hass)
    assert form["step_id"] == "reconfigure"
    again = await answer(hass, form, host="127.0.0.1", port=9)
    assert again["errors"] == {"base": "cannot_connect"}
    await peer.stop()
    peer.port = 0
    await peer.start()
    ended = await answer(hass, again, host="127.0.0.1", port=peer.port)
    assert ended["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert house.data[CONF_PORT] == peer.port
    assert house.data[CONF_TOKEN] == TOKEN


async def test_the_address_of_another_house_is_refused(hass: HomeAssistant, house: MockConfigEntry, peer: Peer) -> None:
    peer.installation = "another"
    form = await house.start_reconfigure_flow(hass)
    ended = await answer(hass, form, host="127.0.0.1", port=peer.port)
    assert ended["reason"] == "wrong_installation"


async def test_an_edge_that_forgot_us_is_paired_with_anew_while_its_address_is_changed(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    peer.token = "a-new-token"
    form = await house.start_reconfigure_flow(hass)
    again = await answer(hass, form, host="127.0.0.1", port=peer.port)
    assert again["step_id"] == "pair_again"
    assert again["description_placeholders"]["name"] == "Home"
    again = await answer(hass, again, code="wrong")
    assert again["errors"] == {"base": "code_refused"}
    ended = await answer(hass, again, code=CODE)
    assert ended["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert house.data[CONF_TOKEN] == "a-new-token"


async def test_a_new_key_is_compared_and_paired_with_and_the_old_token_is_never_shown_to_it(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, key: Certificate
) -> None:
    await show_key(peer, key)
    peer.token = "a-new-token"
    asked_before = len(peer.asked)
    form = await house.start_reconfigure_flow(hass)
    form = await answer(hass, form, host="127.0.0.1", port=peer.port)
    assert form["step_id"] == "pair_again"
    assert form["description_placeholders"]["fingerprint"] == shown_fingerprint(key.fingerprint)
    assert peer.asked[asked_before:] == []
    ended = await answer(hass, form, code=CODE)
    assert ended["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert (house.data[CONF_TOKEN], house.data[CONF_FINGERPRINT]) == ("a-new-token", key.fingerprint)
