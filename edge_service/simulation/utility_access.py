"""Who may do what at the simulated utility: OAuth2 client credentials, bearer tokens, scopes."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

# As measured on openleadr-rs 0.2.4: thirty days.
TOKEN_LIFETIME = timedelta(seconds=2_592_000)

VEN_SCOPES = frozenset({"read_targets", "read_ven_objects", "write_reports", "write_subscriptions", "write_vens"})
BUSINESS_SCOPES = frozenset({"read_all", "write_programs", "write_events", "write_subscriptions", "write_vens"})


@dataclass(frozen=True, slots=True)
class Client:
    """One set of OAuth2 client credentials and what they are good for."""

    id: str
    secret: str
    scopes: frozenset[str]

    @property
    def business(self) -> bool:
        """The utility's own side, which sees everything."""
        return "read_all" in self.scopes


class DeniedError(Exception):
    """``status``: 401 without a token; 403, as the recorded VTN, with one that is wrong, old or too weak."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class GrantError(Exception):
    """The token endpoint says no; ``error`` is the word of RFC 6749, section 5.2."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error


class Access:
    """Issues tokens and recognises them again, as long as its signing key lasts (one process, or until ``expire``)."""

    def __init__(self, clients: tuple[Client, ...], now: Callable[[], datetime]) -> None:
        self._clients = {client.id: client for client in clients}
        self._now = now
        self._key = secrets.token_bytes(32)

    def expire(self) -> None:
        """No token given out so far is good any more."""
        self._key = secrets.token_bytes(32)

    def grant(self, form: Mapping[str, str], authorization: str | None) -> dict[str, object]:
        """The token response. Credentials come in the form or by HTTP Basic. Raises GrantError."""
        if form.get("grant_type") != "client_credentials":
            raise GrantError(400, "unsupported_grant_type", "Only client_credentials grant type is supported")
        client_id, secret = _basic(authorization) or (form.get("client_id", ""), form.get("client_secret", ""))
        client = self._clients.get(client_id)
        if client is None or not hmac.compare_digest(client.secret.encode(), secret.encode()):
            raise GrantError(401, "invalid_client", "Invalid client_id or client_secret")
        lifetime_s = int(TOKEN_LIFETIME.total_seconds())
        return {"access_token": self._sign(client), "token_type": "Bearer", "expires_in": lifetime_s}

    def client(self, authorization: str | None) -> Client:
        """The client behind an Authorization header. Raises DeniedError."""
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise DeniedError(401, "Authorization via Bearer token in Authorization header required")
        body, _, signature = token.strip().rpartition(".")
        if not hmac.compare_digest(self._signature(body).encode(), signature.encode()):
            raise DeniedError(403, "Invalid authentication token provided")
        claims = json.loads(_unbase64(body.partition(".")[2]))
        if claims["exp"] <= self._now().timestamp():
            raise DeniedError(403, "Invalid authentication token provided")
        return self._clients[claims["sub"]]

    def _sign(self, client: Client) -> str:
        at = int(self._now().timestamp())
        claims = {"sub": client.id, "nbf": at, "exp": at + int(TOKEN_LIFETIME.total_seconds())}
        claims |= {"scope": sorted(client.scopes), "jti": secrets.token_hex(8)}
        body = f"{_base64(json.dumps({'typ': 'JWT', 'alg': 'HS256'}))}.{_base64(json.dumps(claims))}"
        return f"{body}.{self._signature(body)}"

    def _signature(self, body: str) -> str:
        return _base64(hmac.new(self._key, body.encode(), hashlib.sha256).digest())


def require(client: Client, *scopes: str) -> None:
    """Raises DeniedError unless the client has one of the scopes; the first is the one that is named."""
    if client.scopes.isdisjoint(scopes):
        raise DeniedError(403, f"Missing '{scopes[0]}' scope")


def _base64(data: str | bytes) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _basic(authorization: str | None) -> tuple[str, str] | None:
    kind, _, encoded = (authorization or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    except binascii.Error, UnicodeDecodeError:
        return None
    return client_id, secret
