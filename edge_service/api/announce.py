"""Makes the edge findable on the local network (mDNS). Tells its id, its schemas and its key's fingerprint, no more."""

import ipaddress
import socket
from typing import Self

from zeroconf import NonUniqueNameException
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from edge_service.api import wire
from edge_service.api.listener import Listen, is_loopback

_GROUP = ("224.0.0.251", 5353)


def service(installation: str, listen: Listen, port: int, fingerprint: str | None) -> AsyncServiceInfo:
    """What is announced. ``fingerprint`` None: plain HTTP."""
    low, high = str(wire.LOWEST_SCHEMA), str(wire.HIGHEST_SCHEMA)
    told = {"installation": installation, "schema_low": low, "schema_high": high}
    if fingerprint is not None:
        told["fingerprint"] = fingerprint
    return AsyncServiceInfo(wire.ZEROCONF_TYPE, f"{installation}.{wire.ZEROCONF_TYPE}", port=port, properties=told,
                            server=f"ridethrough-{installation}.local.", parsed_addresses=[_address(listen.host)])


class Announcement:
    """Stands from ``start`` to ``stop``."""

    def __init__(self, zeroconf: AsyncZeroconf, info: AsyncServiceInfo) -> None:
        self._zeroconf = zeroconf
        self._info = info

    @classmethod
    async def start(cls, installation: str, listen: Listen, port: int, fingerprint: str | None) -> Self | None:
        """Announce; None where only this machine could connect anyway. Raises ``OSError`` without a network."""
        if is_loopback(listen.host):
            return None
        zeroconf = AsyncZeroconf()
        info = service(installation, listen, port, fingerprint)
        try:
            await zeroconf.async_register_service(info)
        except NonUniqueNameException as error:
            await zeroconf.async_close()
            raise OSError(f"another edge announces itself as {installation}; is its data folder a copy?") from error
        except BaseException:
            await zeroconf.async_close()
            raise
        return cls(zeroconf, info)

    async def stop(self) -> None:
        """Take it back."""
        await self._zeroconf.async_unregister_service(self._info)
        await self._zeroconf.async_close()


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
