"""Where the door may stand, and with which key."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge_service.api import announce, wire
from edge_service.api.announce import Announcement, service
from edge_service.api.listener import Listen, Tls
from edge_service.ports import ConfigError
from tests.edge.api.door import bearer, opened, until


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A key and a certificate that it signed itself."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ridethrough")])
    certificate = x509.CertificateBuilder(
        name,
        name,
        key.public_key(),
        1,
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2126, 1, 1, tzinfo=UTC),
    ).sign(key, hashes.SHA256())
    made = Tls(folder / "certificate.pem", folder / "key.pem")
    made.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


@pytest.mark.parametrize(
    ("listen", "allowed"),
    [
        (Listen("127.0.0.1", 8127), True),
        (Listen("::1", 8127), True),
        (Listen("localhost", 8127), True),
        (Listen("127.8.8.8", 8127), True),
        (Listen("0.0.0.0", 8127), False),
        (Listen("::", 8127), False),
        (Listen("192.168.1.5", 8127), False),
        (Listen("edge.local", 8127), False),
        (Listen("0.0.0.0", 8127, insecure_lan=True), True),
        (Listen("0.0.0.0", 8127, tls=Tls(Path("c"), Path("k"))), True),
    ],
)
def test_a_token_travels_in_the_clear_on_this_machine_only(listen: Listen, allowed: bool) -> None:
    if allowed:
        listen.check()
    else:
        with pytest.raises(ConfigError, match="insecure_lan"):
            listen.check()


async def test_a_client_that_pins_the_certificate_gets_in_and_the_pin_is_told_when_pairing(
    tmp_path: Path, tls: Tls
) -> None:
    async with opened(tmp_path, listen=Listen("127.0.0.1", 0, tls=tls)) as house:
        address = house.url("").replace("http:", "https:")
        pin = aiohttp.Fingerprint(bytes.fromhex(tls.fingerprint()))
        code = {"code": house.pairing.offer().text, "name": "x"}
        async with house.session.post(address + wire.PAIR_PATH, json=code, ssl=pin) as response:
            answer = await response.json()
        assert answer["fingerprint"] == tls.fingerprint() == house.server.fingerprint
        async with house.session.ws_connect(address + wire.PATH, ssl=pin, headers=bearer(answer["token"])) as socket:
            assert (await socket.receive_json())["type"] == "hello"


async def test_another_pin_and_an_older_tls_are_refused(tmp_path: Path, tls: Tls) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with opened(tmp_path, listen=Listen("127.0.0.1", 0, tls=tls)) as house:
        address = house.url("/health").replace("http:", "https:")
        with pytest.raises(aiohttp.ServerFingerprintMismatch):
            await house.session.get(address, ssl=aiohttp.Fingerprint(b"\0" * 32))
        with pytest.raises(aiohttp.ClientConnectorError):
            await house.session.get(address, ssl=old)


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("nothing")
    wrong = Tls(tmp_path / "c.pem", tmp_path / "k.pem")
    for act in (wrong.fingerprint, wrong.context):
        with pytest.raises(ConfigError, match=r"c\.pem"):
            act()


async def test_a_port_that_is_taken_is_an_error_of_the_system(tmp_path: Path) -> None:
    async with opened(tmp_path / "a") as house:
        with pytest.raises(OSError, match="address already in use"):
            async with opened(tmp_path / "b", listen=Listen("127.0.0.1", house.server.port)):
                pass


async def test_an_announcement_tells_the_id_the_schemas_and_the_fingerprint_and_no_more() -> None:
    info = service("5f0c2b7d9a1e4c33", Listen("192.168.1.5", 8127), 8127, "ab12")
    assert info.decoded_properties == {
        "installation": "5f0c2b7d9a1e4c33",
        "schema_low": "1",
        "schema_high": "1",
        "fingerprint": "ab12",
    }
    assert info.parsed_addresses() == ["192.168.1.5"]
    assert info.type == wire.ZEROCONF_TYPE
    assert "fingerprint" not in service("x", Listen("192.168.1.5", 8127), 8127, None).decoded_properties


async def test_what_only_this_machine_can_reach_is_not_announced() -> None:
    assert await Announcement.start("5f0c2b7d9a1e4c33", Listen("127.0.0.1", 8127), 8127, None) is None


async def test_without_a_network_the_edge_starts_and_the_announcement_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0

    def no_route(*_: object) -> None:
        nonlocal tries
        tries += 1
        raise OSError("Network is unreachable")

    monkeypatch.setattr(announce, "service", no_route)
    monkeypatch.setattr(announce, "TRY_AGAIN_S", 0.0)
    announcement = await Announcement.start("5f0c2b7d9a1e4c33", Listen("0.0.0.0", 8127), 8127, None)
    assert announcement is not None
    await until(lambda: tries >= 2)
    await announcement.stop()
    assert "unreachable" in caplog.text
