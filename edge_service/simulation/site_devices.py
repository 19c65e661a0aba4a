"""The Modbus TCP devices of a simulated site over one physical model, and the time they share."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from edge_service.simulation.charger_models import charger
from edge_service.simulation.companion_models import companion
from edge_service.simulation.companion_registers import CompanionSight
from edge_service.simulation.contact_registers import ContactRegisters, InputContacts
from edge_service.simulation.faults import DeviceFaults
from edge_service.simulation.house import House
from edge_service.simulation.meter_registers import MeterRegisters
from edge_service.simulation.modbus_server import Face, ModbusServer, WriteSeen
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.relay_registers import RelayRegisters
from edge_service.simulation.switch_registers import SwitchRegisters

WRITES_KEPT = 5000


class Device(StrEnum):
    """The devices at the site, by the name that the control API uses."""

    CHARGER = "charger"
    METER = "meter"
    SWITCH = "switch"
    CONTACTS = "contacts"
    COMPANION = "companion"
    RELAYS = "relays"


@dataclass(frozen=True, slots=True)
class Write:
    """One Modbus write; ``named`` is in SunSpec's units and sign, ``exception`` None if it was done."""

    number: int
    at: datetime
    device: Device
    function: int
    address: int
    values: tuple[int, ...]
    named: dict[str, float]
    exception: int | None


class SiteDevices:
    """``clock`` gives seconds that only rise; wall-clock times are ``started_at`` plus the clock's seconds."""

    def __init__(self, options: SiteOptions, clock: Callable[[], float], started_at: datetime | None) -> None:
        self.options = options
        self.house = House(options)
        self.charger = charger(self.house, options)
        self.contacts = InputContacts()
        self.sight = CompanionSight(self.house, self.contacts, options.companion_on_grid_side)
        self.companion = companion(options.companion_model, self.sight)
        self.writes: deque[Write] = deque(maxlen=WRITES_KEPT)
        self.started_at = started_at or datetime.now(UTC)
        self._clock = clock
        self._zero_s = clock()
        self._written = 0
        self._silenced = False
        self._ticking: asyncio.Task[None] | None = None
        self.servers = {
            Device.CHARGER: self._server(Device.CHARGER, self.charger.face, options.charger_unit),
            Device.METER: self._server(Device.METER, MeterRegisters(self.house, options), options.meter_unit),
            Device.SWITCH: self._server(Device.SWITCH, SwitchRegisters(self.house), options.switch_unit),
            Device.CONTACTS: self._server(
                Device.CONTACTS, ContactRegisters(self.house, self.contacts), options.contact_unit
            ),
            Device.COMPANION: self._server(Device.COMPANION, self.companion, self.companion.unit),
            Device.RELAYS: self._server(Device.RELAYS, RelayRegisters(self.house), options.relay_unit),
        }

    def _server(self, device: Device, face: Face, unit: int) -> ModbusServer:
        return ModbusServer(face, unit, self.advance, self._journal(device))

    def _journal(self, device: Device) -> WriteSeen:
        def seen(
            function: int, address: int, values: list[int], named: dict[str, float], exception: int | None
        ) -> None:
            self._written += 1
            at = self.wall(self.house.history.now_s)
            self.writes.append(Write(self._written, at, device, function, address, tuple(values), named, exception))

        return seen

    async def open(self) -> None:
        """Listen and let time run; raises OSError if a port is taken."""
        options = self.options
        await self.servers[Device.CHARGER].start(options.host, options.charger_port)
        await self.servers[Device.METER].start(options.host, options.meter_port)
        await self.servers[Device.SWITCH].start(options.host, options.switch_port)
        await self.servers[Device.CONTACTS].start(options.host, options.contact_port)
        await self.servers[Device.COMPANION].start(options.host, options.companion_port)
        await self.servers[Device.RELAYS].start(options.host, options.relay_port)
        await self._let_quirks_silence()
        self._ticking = asyncio.create_task(self._tick(), name="simulated site")

    async def close(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
        for server in self.servers.values():
            await server.stop()

    async def misbehave(self, device: Device, faults: DeviceFaults) -> None:
        """Give a device these faults on the wire, and only these."""
        await self.servers[device].misbehave(faults)

    async def switch_quirks(self, wanted: Mapping[str, bool]) -> None:
        """Switch quirks of the charger on and off; raises UnknownQuirkError."""
        self.advance()
        self.charger.quirks.switch(wanted)
        await self._let_quirks_silence()

    async def _let_quirks_silence(self) -> None:
        server, silent = self.servers[Device.CHARGER], self.charger.quirks.silent
        if silent != self._silenced:
            self._silenced = silent
            await server.misbehave(replace(server.faults, silent=silent))

    def advance(self) -> None:
        """Bring the model up to now."""
        self.house.step(max(0.0, self._clock() - self._zero_s - self.house.history.now_s))

    def wall(self, model_s: float) -> datetime:
        return self.started_at + timedelta(seconds=model_s)

    async def _tick(self) -> None:
        while True:
            self.advance()
            await asyncio.sleep(self.options.tick_s)
