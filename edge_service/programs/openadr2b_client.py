"""The conversation with an OpenADR 2.0b server: one message out, one back, within its time and size.

Messages are made and signed by openleadr, an optional extra that is imported only where such a program is set. Its own
client is not used: it runs its own scheduler, logs failures where we must know them, and reads ``007`` as 7.
"""

import uuid
from typing import Any, Protocol
from xml.sax.saxutils import escape

import aiohttp

from edge_service.ports import ConfigError, ProgramCredentialsError, ProgramError
from edge_service.programs.openadr2b_messages import Message, MessageError, read_message
from edge_service.programs.openadr2b_options import OpenAdr2Options

REQUEST_WITHIN_S = 15.0
MOST_BYTES = 2_000_000
_CHUNK = 65_536
_OK = 200
_DENIED = (401, 403)
_LONGEST_DETAIL = 200

# What openleadr's own code says of messages that it cannot make sense of.
NOT_REGISTERED = 463

MISSING = (
    "this program speaks OpenADR 2.0b, which needs the extra openadr2; in the project's folder: scripts/extra openadr2"
)


class _Messaging(Protocol):
    """What we use of ``openleadr.messaging``."""

    def create_message(self, message_type: str, **payload: Any) -> str: ...

    def validate_xml_signature(self, xml_tree: Any, cert_fingerprint: str) -> None: ...


def messaging() -> _Messaging:
    """openleadr's messages. Raises ConfigError naming the extra where it is not installed."""
    try:
        from openleadr import messaging as found  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(MISSING) from error
    module: _Messaging = found
    return module


def fingerprint(options: OpenAdr2Options) -> str | None:
    """Our certificate's, as OpenADR writes it, which the utility asks for; None without a certificate."""
    certificate, _ = options.identity()
    if certificate is None:
        return None
    messaging()
    from openleadr.utils import certificate_fingerprint  # noqa: PLC0415

    try:
        return str(certificate_fingerprint(certificate))
    except ValueError as error:
        raise ConfigError(f"{options.certificate_file} is no certificate in PEM") from error


class OpenAdr2Client:
    """Raises ProgramError for any failed exchange, ProgramCredentialsError when we are refused."""

    def __init__(self, options: OpenAdr2Options) -> None:
        self._options = options
        self._messaging = messaging()
        self._tls = options.tls()
        self._certificate, self._key = options.identity() if options.sign else (None, None)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, service: str, kind: str, **payload: Any) -> Message | None:
        """The answer to one message; None: the server had nothing to say (an empty body)."""
        asked = f"{kind} to {self._options.base_url}/{service}"
        status, body = await self._send(f"{self._options.base_url}/{service}", asked, self._made(kind, payload))
        if status in _DENIED:
            raise ProgramCredentialsError(
                f"{asked} was refused ({status}); check the certificate, and that the utility has its fingerprint"
            )
        if status != _OK:
            raise ProgramError(f"{asked} failed with {status}")
        if not body.strip():
            return None
        try:
            message = read_message(body)
        except MessageError as error:
            raise ProgramError(f"{asked}: the answer cannot be read, {error}") from error
        self._verify(body, asked)
        if message.code == NOT_REGISTERED:
            raise ProgramCredentialsError(f"{asked} was refused: {message.description[:_LONGEST_DETAIL]}")
        return message

    def _made(self, kind: str, payload: dict[str, Any]) -> bytes:
        """openleadr puts text into its templates as it is, so what came from outside is escaped here."""
        text = self._messaging.create_message(
            kind,
            cert=self._certificate,
            key=self._key,
            passphrase=self._options.key_password or None,
            **{key: _escaped(value) for key, value in payload.items()},
        )
        return text.encode()

    def _verify(self, body: bytes, asked: str) -> None:
        """Where a person named the server's certificate, only what it signed counts.

        Without the schema: servers add to it, and what is signed is signed.
        """
        if not self._options.vtn_fingerprint:
            return
        from lxml import etree  # noqa: PLC0415

        try:
            tree = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
            self._messaging.validate_xml_signature(tree, cert_fingerprint=self._options.vtn_fingerprint)
        except Exception as error:  # from three libraries, which share no class of errors
            raise ProgramError(f"{asked}: the answer is not signed as it must be ({error})") from error

    async def _send(self, url: str, asked: str, body: bytes) -> tuple[int, bytes]:
        try:
            async with self._own_session().post(
                url,
                data=body,
                headers={"Content-Type": "application/xml", "Accept-Encoding": "identity"},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=REQUEST_WITHIN_S),
            ) as response:
                return response.status, await _body(response, asked)
        except TimeoutError as error:
            raise ProgramError(f"{asked} was not answered within {REQUEST_WITHIN_S:g} s") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise ProgramError(f"{asked}: its certificate is not trusted: {error.certificate_error}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProgramError(f"{asked} failed: {type(error).__name__}: {error}") from error

    def _own_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def new_id() -> str:
    """An id for a request."""
    return str(uuid.uuid4())


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return escape(value, {'"': "&quot;"})
    if isinstance(value, dict):
        return {key: _escaped(one) for key, one in value.items()}
    return [_escaped(one) for one in value] if isinstance(value, list) else value


async def _body(response: aiohttp.ClientResponse, asked: str) -> bytes:
    gathered = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        gathered += chunk
        if len(gathered) > MOST_BYTES:
            raise ProgramError(f"{asked} answers with more than {MOST_BYTES // 1000} kB")
    return bytes(gathered)
