"""The simulated utility as a local VTN that is found by mDNS, on the loopback interface only."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from edge_service.simulation.utility import SimulatedUtility

SERVICE = "_openadr3._tcp.local."
LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def advertised(utility: SimulatedUtility) -> AsyncIterator[None]:
    """Raises OSError where this machine has no multicast on loopback."""
    told = {
        "version": utility.options.version,
        "base_path": utility.base_path,
        "local_url": utility.base_url,
        "program_names": ",".join(str(row["programName"]) for row in utility.store.rows("programs")),
        "requires_auth": "True",
    }
    name = f"simulated-{uuid4().hex[:8]}"
    info = AsyncServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        port=utility.port,
        properties=told,
        server=f"{name}.local.",
        parsed_addresses=[LOOPBACK],
    )
    network = AsyncZeroconf(interfaces=[LOOPBACK])
    try:
        await network.async_register_service(info)
        yield
        await network.async_unregister_service(info)
    finally:
        await network.async_close()
