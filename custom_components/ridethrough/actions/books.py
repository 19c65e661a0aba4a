"""The edge's logs: what events and seasons came to, outages, drills and rehearsals that are over."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, ServerFingerprintMismatch

from ..client import Address, CannotConnectError, TokenRefusedError, WrongCertificateError

LOG_PATH = "/api/v1/log/"
LOGS = ("settlements", "outages", "drills", "rehearsals")

# A season of settlements is some hundred kilobytes, read from the edge's disk.
LONGEST_S = 15.0


async def read_log(
    session: ClientSession, address: Address, token: str, of: str, narrowed: Mapping[str, str]
) -> dict[str, Any] | None:
    """One of ``LOGS``; ``narrowed``: settlements by ``program`` and ``year``. None from an edge without such a log.

    Raises CannotConnectError, TokenRefusedError, WrongCertificateError.
    """
    try:
        async with session.get(
            address.url(f"{LOG_PATH}{of}"),
            params=narrowed,
            headers={"Authorization": f"Bearer {token}"},
            ssl=address.ssl,
            timeout=ClientTimeout(LONGEST_S),
        ) as response:
            if response.status == HTTPStatus.UNAUTHORIZED:
                raise TokenRefusedError("the edge refuses our token")
            answer = await response.json() if response.status == HTTPStatus.OK else None
    except ServerFingerprintMismatch as error:
        raise WrongCertificateError(f"{address.host} answers with another certificate") from error
    except (ClientError, TimeoutError, ValueError) as error:
        raise CannotConnectError(f"no log from {address.host}:{address.port}: {error}") from error
    return answer if isinstance(answer, dict) else None
