"""The link itself, without Home Assistant's entities: silence, lost answers, certificates."""

import ssl
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from aiohttp import ClientSession
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import client
from custom_components.ridethrough.client import Address, Connection

from .conftest import shown
from .peer import INSTALLATION, TOKEN, Eventually, Peer


@pytest.fixture
async def session(hass: HomeAssistant) -> ClientSession:
    """Home Assistant's own session, as the integration is given it."""
    return async_get_clientsession(hass)


async def test_an_edge_that_falls_silent_is_lost_within_ten_seconds(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert 2 * client.QUIET_S + client.CLOSE_TIMEOUT_S < 10
    monkeypatch.setattr(client, "QUIET_S", 0.05)
    monkeypatch.setattr(client, "CLOSE_TIMEOUT_S", 0.05)
    peer.silent = True
    await hass.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: shown(hass, "sensor.home_supply") == STATE_UNAVAILABLE)
    await hass.config_entries.async_unload(entry.entry_id)


async def test_an_edge_that_has_nothing_to_say_but_answers_is_not_lost(
    session: ClientSession, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "QUIET_S", 0.02)
    connection = await Connection.open(session, Address("127.0.0.1", peer.port), TOKEN)
    await connection.start(None)
    pings = 0
    ping = connection._socket.ping

    async def counted() -> None:
        nonlocal pings
        pings += 1
        await ping()
        if pings == 3:
            await peer.happen("outage_started")

    monkeypatch.setattr(connection._socket, "ping", counted)
    assert (await connection.read())["kind"] == "outage_started"
    assert pings == 3
    await connection.close()


async def test_a_command_that_is_never_answered_says_so(
    session: ClientSession, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "COMMAND_TIMEOUT_S", 0.01)
    connection = await Connection.open(session, Address("127.0.0.1", peer.port), TOKEN)
    await connection.start(None)
    with pytest.raises(client.CommandTimeoutError):
        await connection.command("resume", {})
    await connection.close()


async def test_a_command_under_way_when_the_link_ends_says_so(session: ClientSession, peer: Peer) -> None:
    connection = await Connection.open(session, Address("127.0.0.1", peer.port), TOKEN)
    await connection.start(None)
    await connection.close()
    with pytest.raises(client.LinkLostError):
        await connection.command("resume", {})


async def test_a_server_that_is_no_edge_is_told_apart(session: ClientSession, peer: Peer) -> None:
    peer.installation = 5  # type: ignore[assignment]
    with pytest.raises(client.CannotConnectError):
        await Connection.open(session, Address("127.0.0.1", peer.port), TOKEN)


async def test_a_state_that_lacks_something_is_never_shown(session: ClientSession, peer: Peer) -> None:
    del peer.state["site"]["grid"]  # type: ignore[misc]
    connection = await Connection.open(session, Address("127.0.0.1", peer.port), TOKEN)
    with pytest.raises(client.CannotConnectError, match="grid"):
        await connection.start(None)


def test_an_address_is_written_as_a_url_also_in_ipv6() -> None:
    assert Address("fd00::5", 8127).url("/x") == "http://[fd00::5]:8127/x"
    assert Address("edge.local", 8127, "ab" * 32).url("/x") == "https://edge.local:8127/x"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """A server's key of its own making, and its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ridethrough")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "edge.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest()


async def test_only_the_certificate_that_was_paired_with_is_spoken_to(
    session: ClientSession, socket_enabled: None, certificate: tuple[ssl.SSLContext, str]
) -> None:
    context, fingerprint = certificate
    peer = Peer()
    await peer.start(context)
    connection = await Connection.open(session, Address("127.0.0.1", peer.port, fingerprint), TOKEN)
    assert connection.hello["installation"] == INSTALLATION
    await connection.close()
    with pytest.raises(client.WrongCertificateError):
        await Connection.open(session, Address("127.0.0.1", peer.port, "ab" * 32), TOKEN)
    with pytest.raises(client.WrongCertificateError):
        await client.pair(session, Address("127.0.0.1", peer.port, "ab" * 32), "1", "x")
    await peer.stop()
