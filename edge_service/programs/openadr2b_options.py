"""What a person tells us about an OpenADR 2.0b program."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from yarl import URL

from edge_service.domain.program import Program, Scope
from edge_service.loopback import is_loopback
from edge_service.ports import ConfigError
from edge_service.programs.option_values import TERMS, Check, flag, read_options, text

KIND = "openadr2b"
_PLAIN = Program("", "", KIND)


@dataclass(frozen=True, slots=True)
class OpenAdr2Options:
    """One program of one server (VTN).

    ``base_url`` goes before ``/OadrPoll``, such as ``https://host/OpenADR2/Simple/2.0b``. ``certificate_file``,
    ``key_file`` and ``ca_file`` are in PEM; the first two show who we are, in TLS and as the signature (``sign``).
    ``vtn_fingerprint``: answers count only when signed with that certificate. ``market_context``: only events of this
    one.
    """

    id: str
    name: str
    base_url: str
    ven_name: str = ""
    ven_id: str = ""
    certificate_file: str = ""
    key_file: str = ""
    key_password: str = ""
    ca_file: str = ""
    vtn_fingerprint: str = ""
    sign: bool = True
    check_hostname: bool = True
    market_context: str = ""
    poll_s: float = 10.0
    consumption_positive: bool = True
    scope: Scope = _PLAIN.scope
    pay_usd_per_kw: float | None = None
    season_events: int = _PLAIN.season_events

    def __repr__(self) -> str:
        """Without the passphrase."""
        return f"OpenAdr2Options({self.id!r}, {self.base_url!r})"

    @classmethod
    def checked(cls, values: Mapping[str, object]) -> Self:
        """Options from plain values. Raises ConfigError naming every mistake at once, and no secret."""
        found = read_options(values, [one.name for one in fields(cls)], _CHECKS)
        if bool(found.get("certificate_file")) != bool(found.get("key_file")):
            words = "certificate_file and key_file belong together: say both or none"
            raise ConfigError(words, {"certificate_file": words})
        return cls(**found)

    @property
    def program(self) -> Program:
        """The program as the domain knows it."""
        return Program(self.id, self.name, KIND, self.scope, self.pay_usd_per_kw, self.season_events)

    def tls(self) -> ssl.SSLContext | None:
        """How the server is trusted and who we are; None where nothing is encrypted. Raises ConfigError."""
        if URL(self.base_url).scheme == "http":
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.check_hostname = self.check_hostname
            if self.certificate_file:
                context.load_cert_chain(self.certificate_file, self.key_file, self.key_password or None)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            files = ", ".join(name for name in (self.certificate_file, self.key_file, self.ca_file) if name)
            raise ConfigError(f"the files {files} do not serve: {error}") from error
        return context

    def identity(self) -> tuple[bytes | None, bytes | None]:
        """Certificate and key in PEM, to sign with; None without. Raises ConfigError."""
        if not self.certificate_file:
            return None, None
        try:
            return Path(self.certificate_file).read_bytes(), Path(self.key_file).read_bytes()
        except OSError as error:
            raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from error


def _url(value: object) -> str:
    told = "is the address of the server, such as https://host/OpenADR2/Simple/2.0b"
    try:
        url = URL(text(value))
    except ValueError as error:
        raise ValueError(told) from error
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string or url.fragment:
        raise ValueError(told)
    if url.scheme == "http" and not is_loopback(url.host):
        raise ValueError("must be https (http only on this machine)")
    return text(value).rstrip("/")


_CHECKS: Mapping[str, Check] = {
    "base_url": _url,
    "sign": flag,
    "check_hostname": flag,
    "consumption_positive": flag,
    **TERMS,
}
