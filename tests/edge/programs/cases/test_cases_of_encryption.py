"""Case 48: certificates and versions of TLS, with real ones made here."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_service.ports import ConfigError, ProgramError
from edge_service.programs.openadr3 import OpenAdr3Source
from edge_service.programs.openadr3_options import OpenAdr3Options

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
# What a server of an empty program answers.
ANSWERS: dict[str, Any] = {
    "/auth/server": {"tokenURL": "/auth/token"},
    "/auth/token": {"access_token": "t", "token_type": "Bearer"},
    "/vens": [{"id": "v", "venName": "home"}],
    "/resources": [{"id": "r", "venID": "v", "resourceName": "home"}],
    "/programs": [],
    "/events": [],
}
type Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    def write(self, path: Path) -> Path:
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + self.certificate.public_bytes(serialization.Encoding.PEM))
        return path


def made(name: str, by: Pair | None = None, *, host: str = "", until: datetime = NOW + DAY) -> Pair:
    """Signed ``by`` another, or by itself; for a host's name or address, or else an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 10 * DAY)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=not host, path_length=None), critical=True)
    )
    if host:
        builder = builder.add_extension(x509.SubjectAlternativeName([_named(host)]), critical=False)
    return Pair(builder.sign(by.key if by else key, hashes.SHA256()), key)


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@dataclass
class Safe:
    """A server behind TLS, and what reached it in clear."""

    port: int = 0
    seen: int = 0
    authority: Path = Path()

    async def answer(self, request: web.Request) -> web.Response:
        self.seen += 1
        return web.json_response(ANSWERS.get(request.path))

    async def poll(self, **options: Any) -> None:
        values = {"id": "peak", "name": "Peak", "base_url": f"https://127.0.0.1:{self.port}", "ven_name": "home"}
        values |= {"client_id": "us", "client_secret": "word"} | options
        source = OpenAdr3Source(OpenAdr3Options.checked(values), "house")
        try:
            await source.poll(NOW)
        finally:
            await source.close()


@asynccontextmanager
async def serving(pair: Pair, folder: Path, newest: ssl.TLSVersion | None = None) -> AsyncIterator[Safe]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.write(folder / "server.pem"))
    if newest is not None:
        # OpenSSL offers versions as old as this only at its lowest level of security.
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = newest
    safe = Safe(authority=folder / "authority.pem")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", safe.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    safe.port = runner.addresses[0][1]
    try:
        yield safe
    finally:
        await runner.cleanup()


@pytest.fixture
def authority(tmp_path: Path) -> Pair:
    """The utility's own; its certificate alone is in ``authority.pem``."""
    pair = made("Utility CA")
    (tmp_path / "authority.pem").write_bytes(pair.certificate.public_bytes(serialization.Encoding.PEM))
    return pair


async def test_case_48_a_certificate_of_the_utilitys_own_authority_is_trusted_once_a_person_names_it(
    authority: Pair, tmp_path: Path
) -> None:
    async with serving(made("vtn", authority, host="127.0.0.1"), tmp_path) as safe:
        with pytest.raises(ProgramError, match=r"not trusted \(.*issuer.*\); .*ca_file"):
            await safe.poll()
        assert safe.seen == 0
        await safe.poll(ca_file=str(safe.authority))
        assert safe.seen == len(ANSWERS)


async def test_case_48_an_expired_certificate_is_refused_and_said_to_be(authority: Pair, tmp_path: Path) -> None:
    async with serving(made("vtn", authority, host="127.0.0.1", until=NOW - DAY), tmp_path) as safe:
        with pytest.raises(ProgramError, match="expired"):
            await safe.poll(ca_file=str(safe.authority))
        assert safe.seen == 0


async def test_case_48_a_certificate_of_another_host_is_refused_and_said_to_be(authority: Pair, tmp_path: Path) -> None:
    async with serving(made("vtn", authority, host="utility.example"), tmp_path) as safe:
        with pytest.raises(ProgramError, match=r"not trusted \(.*mismatch"):
            await safe.poll(ca_file=str(safe.authority))
        assert safe.seen == 0


async def test_case_48_a_server_that_vouches_for_itself_is_refused_until_a_person_allows_it(tmp_path: Path) -> None:
    async with serving(made("vtn", host="127.0.0.1"), tmp_path) as safe:
        with pytest.raises(ProgramError, match="self-signed"):
            await safe.poll()
        assert safe.seen == 0
        await safe.poll(allow_unverified=True)
        assert safe.seen == len(ANSWERS)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_case_48_no_tls_older_than_1_2_is_spoken_even_where_any_certificate_will_do(
    newest: ssl.TLSVersion, tmp_path: Path
) -> None:
    async with serving(made("vtn", host="127.0.0.1"), tmp_path, newest) as safe:
        with pytest.raises(ProgramError, match=r"TLS 1\.2 or newer"):
            await safe.poll(allow_unverified=True)
        assert safe.seen == 0


async def test_case_48_tls_1_2_is_spoken(authority: Pair, tmp_path: Path) -> None:
    async with serving(made("vtn", authority, host="127.0.0.1"), tmp_path, ssl.TLSVersion.TLSv1_2) as safe:
        await safe.poll(ca_file=str(safe.authority))
        assert safe.seen == len(ANSWERS)


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_case_48_an_authority_that_cannot_be_read_trusts_nobody(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        await asyncio.to_thread(path.write_text, content)
    async with serving(made("vtn", host="127.0.0.1"), tmp_path) as safe:
        with pytest.raises(ProgramError, match="cannot be read as certificates"):
            await safe.poll(ca_file=str(path))
        assert safe.seen == 0


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://utility.example/", False),
        ("https://8.8.8.8/", False),
        ("https://vtn.local/", True),
        ("https://192.168.1.9/", True),
        ("https://localhost/", True),
        ("https://[fd00::1]/", True),
    ],
)
def test_case_48_only_a_server_of_this_house_may_do_without(url: str, allowed: bool) -> None:
    values = {"id": "peak", "name": "Peak", "base_url": url, "allow_unverified": True}
    if allowed:
        assert OpenAdr3Options.checked(values).access.allow_unverified
    else:
        with pytest.raises(ConfigError, match="only for a server in this house"):
            OpenAdr3Options.checked(values)
