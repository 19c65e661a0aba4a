"""How a utility's servers are trusted, and why one is not."""

import ssl

import aiohttp

from edge_service.ports import ProgramError


def tls_context(ca_file: str, *, allow_unverified: bool) -> ssl.SSLContext:
    """How servers of this program are trusted: TLS 1.2 or newer, certificate and name checked unless a person said no.

    Raises ProgramError for a file of authorities that cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ProgramError(f"ca_file {ca_file} cannot be read as certificates: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        # Authorities made by hand often lack key identifiers, which Python asks for since 3.13.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if allow_unverified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def cut_short(error: BaseException) -> bool:
    """How a server of TLS 1.1 ends the handshake: in connecting, by a reset."""
    return isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionResetError)


def tls_reason(error: BaseException) -> str:
    """What TLS says, without its address and numbers: "certificate has expired"."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ssl.SSLError):
        seen = getattr(seen, "os_error", None) or seen.__cause__
    if isinstance(seen, ssl.SSLCertVerificationError):
        return str(seen.verify_message)
    return str(getattr(seen, "reason", None) or error)
