"""The edge's own key and certificate, made at the first start; clients pin the certificate, no authority is asked."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_service.api.listener import Tls

# Clients pin it, so its end would only break them; a new one is made by deleting the old and pairing again.
VALID = timedelta(days=3650)


def own(tls: Tls) -> Tls:
    """The certificate and key at these paths, made if absent. Raises ``OSError``."""
    if not (tls.certificate.exists() and tls.key.exists()):
        _make(tls)
    return tls


def _make(tls: Tls) -> None:
    # Loaded here alone: it is large, and needed once in the life of an installation.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ridethrough")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    no_password = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    _write(tls.key, key.private_bytes(pem, pkcs8, no_password))
    _write(tls.certificate, certificate.public_bytes(pem))


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, readable by the edge's user alone."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
    unfinished.replace(path)
