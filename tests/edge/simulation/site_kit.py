"""What the tests of the simulated site share: a clock moved by hand, and foreign clients."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pyModbusTCP.client import ModbusClient
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite

HOST = "127.0.0.1"


class HandClock:
    """Seconds that rise only when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def pass_(self, seconds: float) -> None:
        self.now_s += seconds


@asynccontextmanager
async def a_site(options: SiteOptions | None = None) -> AsyncIterator[tuple[SimulatedSite, HandClock]]:
    clock = HandClock()
    async with SimulatedSite(options or SiteOptions(enter_service_s=5), clock=clock) as site:
        yield site, clock


def scan(port: int) -> Any:
    """A SunSpec device as pysunspec2 finds it; close it after use."""
    device = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr=HOST, ipport=port, timeout=2)
    device.scan()
    return device


@asynccontextmanager
async def sunspec(port: int) -> AsyncIterator[Any]:
    device = await asyncio.to_thread(scan, port)
    try:
        yield device
    finally:
        await asyncio.to_thread(device.close)


@asynccontextmanager
async def modbus(port: int, timeout_s: float = 2) -> AsyncIterator[ModbusClient]:
    client = ModbusClient(HOST, port, unit_id=1, timeout=timeout_s, auto_open=True, auto_close=False)
    try:
        yield client
    finally:
        client.close()


async def off_loop[T](call: Callable[..., T], *args: object) -> T:
    """Foreign clients block; they run in a thread."""
    return await asyncio.to_thread(call, *args)
