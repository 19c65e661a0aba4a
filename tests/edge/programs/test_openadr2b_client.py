"""The conversation of OpenADR 2.0b: certificates, the optional extra, and whatever a server may send."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings, strategies as st
from openleadr.messaging import create_message
from openleadr.utils import certificate_fingerprint

from edge_service.ports import ConfigError, ProgramCredentialsError, ProgramError
from edge_service.program_trial import checks
from edge_service.programs.openadr2b import OpenAdr2Source
from edge_service.programs.openadr2b_client import MOST_BYTES
from edge_service.programs.openadr2b_messages import MessageError, read_distribution, read_message
from tests.edge.programs.test_openadr2b_source import HOUR, NOW, SOON, a_source
from tests.edge.programs.vtn_2b import a_vtn

PLAIN = {"id": "peak", "name": "Peak power", "base_url": "http://127.0.0.1:9/OpenADR2/Simple/2.0b"}


class Papers:
    """An authority, and the certificates and keys that it gave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        made = self._signed(name, self.key.public_key(), name, ca=True)
        self.ca = self._written("ca.pem", made.public_bytes(serialization.Encoding.PEM))

    def give(self, name: str) -> tuple[str, str]:
        """A certificate for this machine, and its key."""
        key = rsa.generate_private_key(65537, 2048)
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        made = self._signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key(), issuer)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        certificate = self._written(f"{name}.pem", made.public_bytes(serialization.Encoding.PEM))
        return certificate, self._written(f"{name}.key", private)

    def _signed(self, subject: x509.Name, key: Any, issuer: x509.Name, *, ca: bool = False) -> x509.Certificate:
        now = datetime.now(UTC)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.KeyUsage(True, False, False, False, False, ca, ca, False, False), critical=True)
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def _written(self, name: str, text: bytes) -> str:
        (self.folder / name).write_bytes(text)
        return str(self.folder / name)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


async def test_both_sides_show_certificates_and_every_message_is_signed(papers: Papers) -> None:
    theirs, ours = papers.give("server"), papers.give("house")
    fingerprint = certificate_fingerprint(Path(ours[0]).read_text())
    seen: list[str] = []

    async def look_up(ven_id: str) -> dict[str, Any]:
        seen.append(ven_id)
        return {"ven_id": ven_id, "registration_id": "reg-1", "fingerprint": fingerprint}

    server: dict[str, Any] = {
        "http_cert": theirs[0],
        "http_key": theirs[1],
        "http_ca_file": papers.ca,
        "cert": theirs[0],
    }
    shown: dict[str, Any] = {"certificate_file": ours[0], "key_file": ours[1], "ca_file": papers.ca}
    async with a_vtn(**server, key=theirs[1], show_fingerprint=False, look_up=look_up) as vtn:
        signed_by = certificate_fingerprint(Path(theirs[0]).read_text())
        async with a_source(vtn, **shown, vtn_fingerprint=signed_by) as source:
            await source.poll(NOW)
            vtn.call(SOON, HOUR)
            assert len((await source.poll(NOW)).events) == 1
            assert source.fingerprint == fingerprint
        assert seen  # the server has compared the certificate of the connection and that of the message with ours
        async with a_source(vtn, **shown, vtn_fingerprint="00:" * 9 + "00") as source:
            with pytest.raises(ProgramError, match="not signed as it must be"):
                await source.poll(NOW)
        async with a_source(vtn, ca_file=papers.ca) as source:  # without a certificate of ours
            with pytest.raises(ProgramError):
                await source.poll(NOW)
        async with a_source(vtn, **(shown | {"ca_file": ""})) as source:  # of an authority that nobody knows
            with pytest.raises(ProgramError, match="not trusted"):
                await source.poll(NOW)


async def test_a_trial_of_the_program_shows_the_fingerprint_that_the_utility_needs_also_where_it_lets_nobody_in(
    papers: Papers,
) -> None:
    certificate, key = papers.give("porch")
    entry = {"kind": "openadr2b", "name": "Peak", "url": "https://127.0.0.1:9/x"}
    entry |= {"certificate_file": certificate, "key_file": key}
    told = {check.what: check for check in await checks("peak", entry, "installation-1", None, NOW)}
    assert certificate_fingerprint(Path(certificate).read_text()) in told["certificate"].text
    assert told["contact"].ok is False


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"base_url": "http://example.org"}, "https"),
        ({"base_url": "ftp://example.org"}, "address"),
        ({"certificate_file": "a.pem"}, "belong together"),
        ({"base_url": "https://h", "certificate_file": "/no.pem", "key_file": "/no.key"}, "do not serve"),
        ({"base_url": "https://h", "ca_file": "/no.pem"}, "do not serve"),
        ({"poll_s": 0.5}, "poll_s"),
        ({"sign": "yes"}, "sign"),
        ({"scope": "town"}, "scope"),
        ({"colour": "red"}, "no option"),
        ({"name": ""}, "name is missing"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        OpenAdr2Source.open(PLAIN | wrong, "installation-1")


def test_without_the_extra_the_program_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "openleadr"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openleadr", None)
    with pytest.raises(ConfigError, match="scripts/extra openadr2"):
        OpenAdr2Source.open(PLAIN, "installation-1")


def test_a_passphrase_is_not_shown() -> None:
    source = OpenAdr2Source.open(PLAIN | {"key_password": "geheim"}, "installation-1")
    assert "geheim" not in repr(source.options)


# -------------------------------------------------------------------------------------------- whatever a server says


@asynccontextmanager
async def a_server(*answers: tuple[int, bytes]) -> AsyncIterator[tuple[str, list[str]]]:
    """Gives these answers one by one, the last for ever; and what it was asked."""
    left, asked = list(answers), list[str]()

    async def give(request: web.Request) -> web.Response:
        asked.append(await request.text())
        status, body = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=status, body=body, headers={"Location": "/"})

    app = web.Application()
    app.add_routes([web.post("/{service}", give)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def registered(ven_id: str = "ven-1") -> bytes:
    answer = create_message(
        "oadrCreatedPartyRegistration",
        response={"response_code": 200, "response_description": "OK", "request_id": "1"},
        registration_id="reg-1",
        ven_id=ven_id,
        vtn_id="VTN",
        profiles=[{"profile_name": "2.0b", "transports": [{"transport_name": "simpleHttp"}]}],
    )
    return str(answer).encode()


def refused(code: int) -> bytes:
    response = {"response_code": code, "response_description": "no <b>", "request_id": "1"}
    return str(create_message("oadrResponse", response=response | {"response_description": "no"}, ven_id="v")).encode()


NO_ANSWERS: dict[str, tuple[int, bytes, type[ProgramError]]] = {
    "a defect of theirs": (500, b"", ProgramError),
    "sent elsewhere": (302, b"", ProgramError),
    "nothing there": (404, b"<html>", ProgramError),
    "not let in": (401, b"", ProgramCredentialsError),
    "not allowed": (403, b"", ProgramCredentialsError),
    "a page to sign in": (200, b"<html>Sign in</html>", ProgramError),
    "something else": (200, b"{}", ProgramError),
    "half of it": (200, registered()[:200], ProgramError),
    "entities": (200, registered().replace(b"?>", b'?><!DOCTYPE a [<!ENTITY b "c">]>', 1), ProgramError),
    "nested for ever": (200, b"<a>" * 100_000, ProgramError),
    "no text": (200, b"\xff\xfe\x00", ProgramError),
    "far too much": (200, registered() + b" " * MOST_BYTES, ProgramError),
    "an id that it does not know": (200, refused(452), ProgramCredentialsError),
    "not registered": (200, refused(463), ProgramCredentialsError),
}


@pytest.mark.parametrize("what", NO_ANSWERS)
async def test_whatever_is_no_answer_is_a_failed_contact(what: str) -> None:
    status, body, error = NO_ANSWERS[what]
    async with a_server((status, body)) as (url, asked):
        source = OpenAdr2Source.open(PLAIN | {"base_url": url}, "i")
        with pytest.raises(error):
            await source.poll(NOW)
        assert len(asked) == 1
        await source.close()


async def test_a_list_that_cannot_be_had_is_not_an_empty_one_and_a_refused_poll_registers_anew() -> None:
    async with a_server((200, registered()), (200, b""), (200, refused(454))) as (url, asked):
        source = OpenAdr2Source.open(PLAIN | {"base_url": url}, "i")
        for _ in range(2):
            with pytest.raises(ProgramError, match=r"454|does not register"):
                await source.poll(NOW)
        # Once at first; then by the id that it gave, and anew without.
        assert sum("oadrCreatePartyRegistration" in text for text in asked) == 3
        await source.close()


async def test_what_a_server_named_us_goes_back_as_text_and_never_as_markup() -> None:
    odd = "v&amp;n &lt;x/&gt; &quot;1&quot;"
    plain = registered("VEN-ID").replace(b"VEN-ID", odd.encode())
    async with a_server((200, plain), (200, b""), (500, b"")) as (url, asked):
        source = OpenAdr2Source.open(PLAIN | {"base_url": url}, "i")
        with pytest.raises(ProgramError):
            await source.poll(NOW)
        root = ET.fromstring(asked[-1])
        assert [one.text for one in root.iter() if one.tag.endswith("venID")] == ['v&n <x/> "1"']
        await source.close()


def test_a_second_message_beside_the_signed_one_is_not_read() -> None:
    signed, other = "<oadrSignedObject><a/></oadrSignedObject>", "<b><oadrSignedObject><c/></oadrSignedObject></b>"
    assert read_message(f"<oadrPayload>{signed}</oadrPayload>".encode()).kind == "a"
    with pytest.raises(MessageError):
        read_message(f"<oadrPayload>{other}{signed}</oadrPayload>".encode())


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_bytes_raise_anything_but_our_error(body: bytes) -> None:
    with pytest.raises(MessageError):
        read_message(body)


PARTS = st.sampled_from(
    ["eventID", "modificationNumber", "eventStatus", "testEvent", "priority", "date-time", "duration", "startafter"]
)
WORDS = st.one_of(
    st.sampled_from(
        ["", "e1", "-1", "1e999", "NaN", "P1M", "PT1H", "-PT1H", "2026-07-15T10:00:00Z", "0001-01-01", "SIMPLE"]
    ),
    st.text(alphabet=st.characters(exclude_characters="<&]", exclude_categories=["C"]), max_size=10),
)


@given(st.lists(st.tuples(PARTS, WORDS), max_size=12))
@settings(deadline=None)
def test_no_event_however_odd_stops_the_others(parts: list[tuple[str, str]]) -> None:
    inner = "".join(f"<{name}>{text}</{name}>" for name, text in parts)
    period = f"<eiActivePeriod><properties>{inner}</properties></eiActivePeriod>"
    odd = f"<oadrEvent><eiEvent>{period}{inner}</eiEvent></oadrEvent>"
    good = (
        "<oadrEvent><eiEvent><eventDescriptor><eventID>good</eventID></eventDescriptor><eiActivePeriod><properties>"
        "<dtstart><date-time>2026-07-15T10:00:00Z</date-time></dtstart><duration><duration>PT1H</duration></duration>"
        "</properties></eiActivePeriod></eiEvent></oadrEvent>"
    )
    text = f"<oadrDistributeEvent>{odd}{good}</oadrDistributeEvent>"
    message = read_message(f"<oadrPayload><oadrSignedObject>{text}</oadrSignedObject></oadrPayload>".encode())
    found = read_distribution(message)
    assert "good" in [event.id for event in found.events]
