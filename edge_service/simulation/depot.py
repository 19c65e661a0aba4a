"""A simulated depot: many chargers with their vehicles behind one meter, each at a Modbus TCP port of its own.

A depot has no island switch of ours: what is simulated is the grid connection that all share.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from edge_service.simulation.faults import DeviceFaults
from edge_service.simulation.house import NOMINAL_V, House
from edge_service.simulation.meter_registers import MeterRegisters
from edge_service.simulation.modbus_server import ModbusServer
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site_devices import Device, SiteDevices

# Many models share one processor; a charger's ramp is followed well enough five times a second.
TICK_S = 0.2


class Connection:
    """What the depot's meter sees: the buildings and all chargers together. + import, - export."""

    def __init__(self, houses: Sequence[House], load_w: float, clock: Callable[[], float]) -> None:
        self.load_w = load_w
        self.import_wh = self.export_wh = 0.0
        self.highest_w = self.lowest_w = load_w
        self._houses, self._clock, self._at_s = houses, clock, clock()

    @property
    def grid_present(self) -> bool:
        return self._houses[0].grid_present

    @property
    def street_v(self) -> float:
        return NOMINAL_V if self.grid_present else 0.0

    @property
    def bus_v(self) -> float:
        return self.street_v

    @property
    def leg_v(self) -> tuple[float, float]:
        return self.street_v / 2, self.street_v / 2

    @property
    def site_power_w(self) -> float:
        return self.load_w + sum(house.inverter.power_w for house in self._houses) if self.grid_present else 0.0

    @property
    def leg_power_w(self) -> tuple[float, float]:
        return self.site_power_w / 2, self.site_power_w / 2

    def count(self) -> None:
        """Note the energy since the last count, and how far the power went."""
        now_s, power_w = self._clock(), self.site_power_w
        energy_wh = power_w * (now_s - self._at_s) / 3600
        self._at_s = now_s
        self.import_wh += max(0.0, energy_wh)
        self.export_wh += max(0.0, -energy_wh)
        self.highest_w, self.lowest_w = max(self.highest_w, power_w), min(self.lowest_w, power_w)

    def forget_extremes(self) -> None:
        """Begin ``highest_w`` and ``lowest_w`` anew."""
        self.highest_w = self.lowest_w = self.site_power_w


class SimulatedDepot:
    """The depot while the context is entered. ``chargers``: one for each bay; their house load does not count."""

    def __init__(
        self, chargers: Sequence[SiteOptions], load_w: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        bays = [replace(options, house_load_w=0, tick_s=TICK_S) for options in chargers]
        self.bays = [SiteDevices(options, clock, None) for options in bays]
        self.connection = Connection([bay.house for bay in self.bays], load_w, clock)
        face = MeterRegisters(self.connection, bays[0])
        # A register of 16 bits with a sign ends at 32 kW; a depot's meter counts in tens of watts.
        face.image.put(f"{bays[0].meter_model}.W_SF", 1)
        self._meter = ModbusServer(face, 1, self._advance, _unseen)
        self._stack = AsyncExitStack()

    @property
    def charger_ports(self) -> list[int]:
        return [bay.servers[Device.CHARGER].port for bay in self.bays]

    @property
    def meter_port(self) -> int:
        return self._meter.port

    def set_grid(self, *, present: bool) -> None:
        for bay in self.bays:
            bay.house.set_grid(present=present)

    async def misbehave(self, bay: int, faults: DeviceFaults) -> None:
        """Give one charger these faults on the wire, and only these."""
        await self.bays[bay].misbehave(Device.CHARGER, faults)

    def _advance(self) -> None:
        for bay in self.bays:
            bay.advance()
        self.connection.count()

    async def _count(self) -> None:
        while True:
            self._advance()
            await asyncio.sleep(TICK_S)

    async def __aenter__(self) -> Self:
        """Listen on all ports; raises OSError if one is taken."""
        async with AsyncExitStack() as stack:
            for bay in self.bays:
                stack.push_async_callback(bay.close)
                await bay.open()
            stack.push_async_callback(self._meter.stop)
            await self._meter.start(self.bays[0].options.host, 0)
            counting = asyncio.create_task(self._count(), name="simulated depot")
            stack.push_async_callback(asyncio.wait, {counting})
            stack.callback(counting.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()


def _unseen(function: int, address: int, values: list[int], named: dict[str, float], exception: int | None) -> None:
    """Nobody writes to a meter."""
