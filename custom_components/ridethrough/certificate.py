"""Which key an edge shows before anything is said to it: looked at first, pinned, compared by a person.

Knows nothing of Home Assistant.
"""

import asyncio
import ssl
from contextlib import suppress
from hashlib import sha256
from ipaddress import ip_address
from string import hexdigits

from .client import Address, CannotConnectError, EdgeError

# SHA-256 as hex.
FINGERPRINT_DIGITS = 64
# A handshake on the local network takes milliseconds; a small computer that is busy may take a second.
LOOK_TIMEOUT_S = 10.0
# As the edge's command line shows it. A line fits on a phone.
PAIRS_PER_LINE = 8


class BadFingerprintError(EdgeError):
    """What was typed is no fingerprint."""


class PlainHttpError(EdgeError):
    """It speaks without encryption, and not from this machine: no code and no token may travel so."""


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host.lower() == "localhost"


def read_fingerprint(typed: str) -> str | None:
    """As hex; colons and spaces do not matter, None: nothing was typed. Raises BadFingerprintError."""
    digits = "".join(typed.lower().replace(":", " ").split())
    if digits and (len(digits) != FINGERPRINT_DIGITS or set(digits) - set(hexdigits)):
        raise BadFingerprintError("not a SHA-256 fingerprint")
    return digits or None


def shown_fingerprint(fingerprint: str) -> str:
    """In the form in which the edge's command line shows it, to be compared line by line."""
    pairs = [fingerprint[at : at + 2] for at in range(0, len(fingerprint), 2)]
    starts = range(0, len(pairs), PAIRS_PER_LINE)
    return ":\n".join(":".join(pairs[at : at + PAIRS_PER_LINE]) for at in starts)


async def looked_at(host: str, port: int) -> Address:
    """The address with the key that answers there; nothing is said to it. On this machine it may have none.

    Raises CannotConnectError, PlainHttpError.
    """
    fingerprint = await _seen_fingerprint(host, port)
    if fingerprint is None and not is_loopback(host):
        raise PlainHttpError(f"{host}:{port} speaks without encryption")
    return Address(host, port, fingerprint)


async def _seen_fingerprint(host: str, port: int) -> str | None:
    """Of the certificate that is shown there; None: whoever listens speaks no TLS. Raises CannotConnectError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError:
        return None
    except (OSError, TimeoutError, ValueError) as error:
        raise CannotConnectError(f"nobody answers at {host}:{port}: {error}") from error
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            await writer.wait_closed()
    return sha256(shown).hexdigest()
