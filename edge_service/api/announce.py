"""Makes the edge findable on the local network (mDNS). Tells its id, its schemas and its key's fingerprint, no more."""

import asyncio
import ipaddress
import logging
import socket
from typing import Self

from zeroconf import Error as ZeroconfError
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from edge_service.api import wire
from edge_service.api.listener import Listen
from edge_service.loopback import is_loopback

_LOGGER = logging.getLogger(__name__)

# A router needs about that long to start after an outage, which is when this matters.
TRY_AGAIN_S = 60.0
_GROUP = ("224.0.0.251", 5353)


def service(installation: str, listen: Listen, port: int, fingerprint: str | None) -> AsyncServiceInfo:
    """What is announced. ``fingerprint`` None: plain HTTP."""
    low, high = str(wire.LOWEST_SCHEMA), str(wire.HIGHEST_SCHEMA)
    told = {"installation": installation, "schema_low": low, "schema_high": high}
    if fingerprint is not None:
        told["fingerprint"] = fingerprint
    return AsyncServiceInfo(
        wire.ZEROCONF_TYPE,
        f"{installation}.{wire.ZEROCONF_TYPE}",
        port=port,
        properties=told,
        server=f"ridethrough-{installation}.local.",
        parsed_addresses=[_address(listen.host)],
    )


class Announcement:
    """Stands from ``start`` to ``stop``. A network that is down never keeps the edge waiting: it is tried again."""

    def __init__(self, installation: str, listen: Listen, port: int, fingerprint: str | None) -> None:
        self._told = (installation, listen, port, fingerprint)
        self._zeroconf: AsyncZeroconf | None = None
        self._info: AsyncServiceInfo | None = None
        self._trying = asyncio.create_task(self._announce(), name="announcement")

    @classmethod
    async def start(cls, installation: str, listen: Listen, port: int, fingerprint: str | None) -> Self | None:
        """Begin to announce; None where only this machine could connect anyway."""
        return None if is_loopback(listen.host) else cls(installation, listen, port, fingerprint)

    async def stop(self) -> None:
        """Take it back."""
        self._trying.cancel()
        await asyncio.gather(self._trying, return_exceptions=True)
        if self._zeroconf is not None:
            if self._info is not None:
                await self._zeroconf.async_unregister_service(self._info)
            await self._zeroconf.async_close()

    async def _announce(self) -> None:
        while True:
            if await self._announced():
                return
            await asyncio.sleep(TRY_AGAIN_S)

    async def _announced(self) -> bool:
        """Whether it stands now; else the log says why."""
        try:
            info = service(*self._told)
            self._zeroconf = AsyncZeroconf()
            await self._zeroconf.async_register_service(info)
        except (OSError, ZeroconfError) as error:
            _LOGGER.warning(
                "The edge cannot be found on the network by itself, its address still works: %s",
                str(error) or type(error).__name__,
            )
            if self._zeroconf is not None:
                await self._zeroconf.async_close()
                self._zeroconf = None
            return False
        self._info = info
        return True


def _address(host: str) -> str:
    """The bound address; where all are bound, the one from which this machine speaks to mDNS's group."""
    try:
        if not ipaddress.ip_address(host).is_unspecified:
            return host
    except ValueError:
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_GROUP)  # asks the routing table; sends nothing
        return str(probe.getsockname()[0])
