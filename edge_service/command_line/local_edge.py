"""Talks to the edge that runs on this machine, with the token that it leaves in its data folder."""

import http.client
import json
import ssl
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlencode

from edge_service.api import rfc3339
from edge_service.api.paths import CHECK_PATH, COMMAND_PATH, LOCAL_TOKEN_FILE, LOG_PATH, STATE_PATH
from edge_service.command_line.outcome import CommandError
from edge_service.config import Config

# A check reads every device once; a dead one costs its deadline several times.
CHECK_WITHIN_S = 60.0
ANSWER_WITHIN_S = 10.0

# An edge that listens on all addresses is reached on this one.
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}

# An answer of this size is not from an edge.
_LONGEST_ANSWER = 4_000_000


class NotRunningError(CommandError):
    """No edge answers for this site."""


@dataclass(frozen=True, slots=True)
class LocalEdge:
    """The running edge of one site. Every method raises ``NotRunningError`` or ``CommandError``."""

    host: str
    port: int
    token_file: Path
    certificate: Path | None = None

    @classmethod
    def of(cls, config: Config) -> Self:
        return cls(
            _ANY_ADDRESS.get(config.api.host, config.api.host),
            config.api.port,
            config.data / LOCAL_TOKEN_FILE,
            config.certificate[0] if config.api.encrypted else None,
        )

    def state(self) -> Mapping[str, Any]:
        """The state document of the contract."""
        return self.ask("GET", STATE_PATH)

    def check(self) -> Mapping[str, Any]:
        """What the edge finds at its devices."""
        return self.ask("GET", CHECK_PATH, within_s=CHECK_WITHIN_S)

    def log(self, of: str) -> Sequence[Mapping[str, Any]]:
        """The last ``outages``, ``drills`` or ``rehearsals``, the newest first."""
        return cast("Sequence[Mapping[str, Any]]", self.ask("GET", f"{LOG_PATH}/{of}").get("entries", ()))

    def settlements(self, program: str | None, year: int | None) -> Mapping[str, Any]:
        """What events (``entries``) and ``seasons`` have come to; of one program, of one year, or of all."""
        asked = {"program": program, "year": year}
        query = urlencode({key: value for key, value in asked.items() if value is not None})
        return self.ask("GET", f"{LOG_PATH}/settlements?{query}")

    def command(self, name: str, args: Mapping[str, Any], within_s: float = ANSWER_WITHIN_S) -> Mapping[str, Any]:
        """Give a command of the contract and return the data of its result."""
        deadline = datetime.now(UTC) + timedelta(seconds=within_s)
        wish = {
            "type": "command",
            "id": uuid.uuid4().hex,
            "name": name,
            "args": dict(args),
            "deadline": rfc3339.text(deadline),
        }
        result = self.ask("POST", COMMAND_PATH, wish, within_s)
        if not result.get("ok"):
            error = result.get("error", {})
            raise CommandError(f"the edge refused {name}: {error.get('message') or error.get('code') or 'no reason'}")
        return cast("Mapping[str, Any]", result.get("data", {}))

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, within_s: float = ANSWER_WITHIN_S
    ) -> Mapping[str, Any]:
        """One request; the answer is a JSON object."""
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        connection = self._connection(within_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return self._object(response.status, response.read(_LONGEST_ANSWER))
        except ConnectionRefusedError as error:
            raise NotRunningError(f"{self._name()}; start it with: ridethrough run") from error
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(f"the edge at {self.host}:{self.port} did not answer: {error}") from error
        finally:
            connection.close()

    def _connection(self, within_s: float) -> http.client.HTTPConnection:
        """Over TLS it must be the very certificate in the edge's folder; the name in it does not matter."""
        if self.certificate is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=within_s)
        try:
            context = ssl.create_default_context(cafile=self.certificate)
        except FileNotFoundError as error:
            raise NotRunningError(f"{self._name()}; start it with: ridethrough run") from error
        context.check_hostname = False
        return http.client.HTTPSConnection(self.host, self.port, timeout=within_s, context=context)

    def _object(self, status: int, content: bytes) -> Mapping[str, Any]:
        if status == http.client.UNAUTHORIZED:
            raise CommandError(
                f"the edge at {self.host}:{self.port} does not know the token in {self.token_file}; "
                "is it the edge of another site? Check api.port"
            )
        try:
            answer = json.loads(content)
        except ValueError, RecursionError:
            answer = None
        if status >= http.client.BAD_REQUEST:
            raise CommandError(f"the edge at {self.host}:{self.port} says: {_reason(answer, content) or _bare(status)}")
        if not isinstance(answer, dict):
            raise CommandError(f"what answers at {self.host}:{self.port} is not an edge (status {status})")
        return answer

    def _token(self) -> str:
        try:
            token = self.token_file.read_text(encoding="ascii").strip()
        except FileNotFoundError as error:
            raise NotRunningError(f"{self._name()}; start it with: ridethrough run") from error
        except (OSError, ValueError) as error:
            raise CommandError(f"{self.token_file} cannot be read; run this as the user of the edge") from error
        if not token or not token.isprintable():
            raise CommandError(f"{self.token_file} holds no token; delete it and start the edge again")
        return token

    def _name(self) -> str:
        return f"no edge is running for this site ({self.host}:{self.port})"


def _reason(answer: object, content: bytes) -> str:
    """Why the edge said no: an error of the contract, or a line of text."""
    if isinstance(answer, dict) and isinstance(error := answer.get("error"), dict):
        return str(error.get("message") or error.get("code"))
    text = content[:200].decode(errors="replace").strip()
    return text if text.isprintable() else ""


def _bare(status: int) -> str:
    return f"error {status}, and its log says why"
