"""The edge's logs: what events and seasons came to, outages, drills and rehearsals that are over."""

from collections.abc import Mapping
from typing import Any

from aiohttp import ClientSession

from ..client import Address, get

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
    return await get(session, address, token, f"{LOG_PATH}{of}", within_s=LONGEST_S, narrowed=narrowed)
