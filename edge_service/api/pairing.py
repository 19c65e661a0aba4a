"""Who may talk to the edge: a pairing code is changed for a token, and tokens are known by their hashes only."""

import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from edge_service.api.paths import LOCAL_TOKEN_FILE
from edge_service.ports import Clock, Journal

DOCUMENT = "tokens"

# Eight digits and five tries: one chance in 20 million for a guesser. Digits are typed easily on a phone.
CODE_DIGITS = 8
TRIES = 5
CODE_VALID = timedelta(minutes=5)
LONGEST_NAME = 64
# A house has one or two clients; a longer list is a mistake that would never be looked through.
MOST_CLIENTS = 32


class Role(StrEnum):
    """What a token may do. ``local`` is the edge's own command line: somebody who stands at the machine."""

    READ = "read"
    CONTROL = "control"
    LOCAL = "local"


class PairingError(Exception):
    """No token is given. ``code``: ``no_code``, ``wrong_code``, ``too_many_tries`` or ``too_many_clients``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who was given a token. ``token_hash``: SHA-256 in hex; the token itself is kept nowhere."""

    id: str
    name: str
    role: Role
    token_hash: str
    paired_at: str


@dataclass(frozen=True, slots=True)
class Code:
    """A pairing code as shown to a person, until when it works, and what the client may then do."""

    text: str
    until: datetime
    role: Role


@dataclass(frozen=True, slots=True)
class _Offer:
    digits: str
    until_s: float
    role: Role
    tries_left: int = TRIES


class Pairing:
    """The pairing code of the moment and the list of clients."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._clients: dict[str, Client] = {}
        self._offer: _Offer | None = None

    async def load(self) -> None:
        """Read the clients from the journal. Raises ``OSError`` when the disk fails."""
        document = await self._journal.load_document(DOCUMENT) or {}
        clients = [Client(**{**item, "role": Role(item["role"])}) for item in document.get("clients", ())]
        self._clients = {client.token_hash: client for client in clients}

    @property
    def clients(self) -> tuple[Client, ...]:
        """Everybody with a token, the local command line left out."""
        return tuple(client for client in self._clients.values() if client.role is not Role.LOCAL)

    def offer(self, role: Role = Role.CONTROL) -> Code:
        """Make a new code, to be shown once; a former one no longer works."""
        digits = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
        self._offer = _Offer(digits, self._clock.monotonic() + CODE_VALID.total_seconds(), role)
        return Code(f"{digits[:4]}-{digits[4:]}", self._clock.now() + CODE_VALID, role)

    async def pair(self, code: str, name: str) -> str:
        """Change a code for a token, once. Raises ``PairingError``, and ``OSError`` when the disk fails."""
        offer = self._checked(code)
        if len(self.clients) >= MOST_CLIENTS:
            raise PairingError("too_many_clients", f"{MOST_CLIENTS} clients are paired; take a token away first")
        self._offer = None
        token = secrets.token_urlsafe(32)
        client = Client(secrets.token_hex(8), _tidied(name), offer.role, _hash(token), self._clock.now().isoformat())
        await self._save({**self._clients, client.token_hash: client})
        return token

    def _checked(self, code: str) -> _Offer:
        """The offer that ``code`` belongs to; a wrong one costs a try."""
        offer = self._offer
        if offer is None or self._clock.monotonic() > offer.until_s:
            raise PairingError("no_code", "no pairing code is valid now; make one with: ridethrough pair")
        if offer.tries_left <= 0:
            raise PairingError("too_many_tries", "too many wrong codes; make a new one with: ridethrough pair")
        self._offer = replace(offer, tries_left=offer.tries_left - 1)
        typed = "".join(character for character in code if character.isalnum())
        if not hmac.compare_digest(typed.encode(), offer.digits.encode()):
            raise PairingError("wrong_code", "this is not the pairing code")
        return offer

    async def revoke(self, client_id: str) -> bool:
        """Take a client's token away; False when there is no such client. Raises ``OSError`` when the disk fails."""
        left = {key: client for key, client in self._clients.items() if client.id != client_id}
        if len(left) == len(self._clients):
            return False
        await self._save(left)
        return True

    def client_of(self, token: str) -> Client | None:
        """Who holds this token. Looked up by hash, so the time it takes tells nothing of the token."""
        return self._clients.get(_hash(token))

    def write_local_token(self, folder: Path) -> Path:
        """Leave a fresh token for the edge's own command line, readable by its user alone; valid until the next."""
        token = secrets.token_urlsafe(32)
        path = folder / LOCAL_TOKEN_FILE
        unfinished = path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(token)
        unfinished.replace(path)
        remote = {key: client for key, client in self._clients.items() if client.role is not Role.LOCAL}
        local = Client("local", "command line", Role.LOCAL, _hash(token), self._clock.now().isoformat())
        self._clients = {**remote, local.token_hash: local}
        return path

    async def _save(self, clients: Mapping[str, Client]) -> None:
        kept = [_plain(client) for client in clients.values() if client.role is not Role.LOCAL]
        await self._journal.save_document(DOCUMENT, {"clients": kept})
        self._clients = dict(clients)


async def installation_id(journal: Journal) -> str:
    """What tells this installation from every other; made once. Raises ``OSError`` when the disk fails."""
    document = await journal.load_document("installation")
    if document is None:
        document = {"id": secrets.token_hex(8)}
        await journal.save_document("installation", document)
    return str(document["id"])


def _plain(client: Client) -> dict[str, Any]:
    return {
        "id": client.id,
        "name": client.name,
        "role": client.role.value,
        "token_hash": client.token_hash,
        "paired_at": client.paired_at,
    }


def _tidied(name: str) -> str:
    return "".join(character for character in name if character.isprintable())[:LONGEST_NAME].strip() or "unnamed"


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
