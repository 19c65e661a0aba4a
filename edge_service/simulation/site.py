"""A simulated site: its Modbus TCP devices and a control API on loopback, over one physical model."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from edge_service.simulation.control import control_app
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site_devices import Device, SiteDevices


class SimulatedSite(SiteDevices):
    """The site while the context is entered; a test may hand in a clock of its own and move time by hand."""

    def __init__(
        self,
        options: SiteOptions | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        started_at: datetime | None = None,
    ) -> None:
        super().__init__(options or SiteOptions(), clock, started_at)
        self._runner: web.AppRunner | None = None
        self._control_port = 0

    @property
    def charger_port(self) -> int:
        return self.servers[Device.CHARGER].port

    @property
    def meter_port(self) -> int:
        return self.servers[Device.METER].port

    @property
    def switch_port(self) -> int:
        return self.servers[Device.SWITCH].port

    @property
    def contact_port(self) -> int:
        return self.servers[Device.CONTACTS].port

    @property
    def relay_port(self) -> int:
        return self.servers[Device.RELAYS].port

    @property
    def companion_port(self) -> int:
        return self.servers[Device.COMPANION].port

    @property
    def control_port(self) -> int:
        return self._control_port

    @property
    def control_url(self) -> str:
        return f"http://{self.options.host}:{self._control_port}"

    @property
    def announcement(self) -> dict[str, str | int]:
        """Host, ports and control address, as they are written to the announce file."""
        return {
            "host": self.options.host,
            "charger_port": self.charger_port,
            "meter_port": self.meter_port,
            "switch_port": self.switch_port,
            "contact_port": self.contact_port,
            "companion_port": self.companion_port,
            "relay_port": self.relay_port,
            "control_port": self.control_port,
            "control_url": self.control_url,
        }

    async def __aenter__(self) -> Self:
        """Listen on all ports; raises OSError if one is taken."""
        try:
            await self.open()
            await self._open_control()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _open_control(self) -> None:
        options = self.options
        self._runner = web.AppRunner(control_app(self), access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, options.host, options.control_port).start()
        self._control_port = self._runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        await super().close()


async def run_site(options: SiteOptions) -> None:
    """Serve a site until SIGINT or SIGTERM, announcing where once it listens."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with SimulatedSite(options) as site:
        if options.announce_file is not None:
            _announce(options.announce_file, site)
        sys.stdout.write(f"simulated site: {json.dumps(site.announcement)}\n")
        sys.stdout.flush()
        await stop.wait()


def _announce(path: Path, site: SimulatedSite) -> None:
    """Whole or not at all: who waits for the file never reads half of it."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(site.announcement) + "\n", encoding="utf-8")
    partial.replace(path)
