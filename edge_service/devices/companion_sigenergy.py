"""A Sigenergy plant: its unit tells whether it is on the grid, what the sun brings, and which reserve it keeps.

One request a second over the whole connection, which a Sigenergy charger may share: so it is read at leisure.
Written is the reserve for outages (40046) and nothing else, and only by ``keep_reserve``.
Source: Sigenergy "Modbus Protocol" V2.9 (2026-05-13).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from modbus_connection import ModbusUnit
from modbus_connection.model import Component, RegisterSpace, gauge, int32, raw_register

from edge_service.chargers.plausible import MOST_W, within
from edge_service.devices.companion import Told, finding, meaning
from edge_service.domain.model import CompanionReading, CompanionState
from edge_service.ports import DeviceError, DeviceIdentity, DeviceRefusedError

GRID_STATUS, BACKUP_SOC = 30009, 40046
# A charger that shares the connection needs more than half of the one request a second for itself.
READ_EVERY_S = 3.0


class Running(IntEnum):
    """30051, of which only these are certain to feed nothing."""

    FAULT = 2
    SHUTDOWN = 3


class Block(Component):
    """Registers that are read in one request. ``fresh``: the last request for them brought them."""

    register_space: RegisterSpace = "input"
    fresh = False

    async def refresh(self) -> None:
        """Raises DeviceError; what was read before is then not fresh."""
        self.fresh = False
        await self.async_update(notify=False)
        self.fresh = True

    async def try_refresh(self) -> None:
        """What is not told, for whatever reason, is not fresh."""
        try:
            await self.refresh()
        except DeviceError:
            return


class GridStatus(Block):
    """The word that everything hangs on."""

    status = raw_register(GRID_STATUS)


class Solar(Block):
    """Positive on the wire where it brings something."""

    power = int32(30035, unit="W")


class PlantState(Block):
    """Whether the plant runs."""

    running = raw_register(30051)


class BackupSoc(Block):
    """The charge of the stationary battery that is kept for an outage. Function 3 reads, 6 writes."""

    register_space = "holding"

    reserve = gauge(BACKUP_SOC, 0.1, signed=False, unit="%")

    @property
    def pct(self) -> float | None:
        return within(self.reserve, 0, 100) if self.fresh else None


_MEANS: Mapping[int, Told] = {
    0: Told(CompanionState.ON_GRID, "on grid"),
    1: Told(CompanionState.ISLANDED, "off grid by itself"),
    2: Told(CompanionState.ISLANDED, "off grid by hand"),
}


@dataclass(frozen=True, slots=True)
class SigenergyPlantOptions:
    """What ``site.yaml`` may say about it. ``keep_reserve`` None: where a charger is ``backup: vendor``."""

    unit_id: int = 247
    keep_reserve: bool | None = None
    # The maker's least time from one request to the next; less is for simulators.
    request_gap_s: float = field(default=1.0, metadata={"min": 0, "max": 10})
    read_every_s: float = field(default=READ_EVERY_S, metadata={"min": 0, "max": 4})


class SigenergyPlant:
    """``sigenergy_plant``; implements ``ports.GridSensor`` and ``ports.KeepsReserve``."""

    def __init__(self, id: str, unit: ModbusUnit, options: SigenergyPlantOptions | None = None) -> None:
        options = options or SigenergyPlantOptions()
        self.id = id
        self.read_every_s = options.read_every_s
        self._unit = unit
        unit.set_message_spacing(options.request_gap_s)
        self._grid, self._plant = GridStatus(unit), PlantState(unit)
        self._solar, self._backup = Solar(unit), BackupSoc(unit)
        self._reads = 0

    async def probe(self) -> DeviceIdentity:
        """Read all of it once. Writes nothing. Raises DeviceRefusedError (``no_grid_state``) at another's unit."""
        try:
            await self._grid.refresh()
        except DeviceRefusedError as error:
            says = f"{self.id}: {error}; is that the plant's unit (usually 247)?"
            raise DeviceRefusedError(says, "no_grid_state") from error
        for block in (self._plant, self._solar, self._backup):
            await block.try_refresh()
        reserve = self._backup.pct
        kept = "It does not tell its reserve." if reserve is None else f"It keeps {reserve:g} % for an outage."
        return DeviceIdentity("Sigenergy", "plant", "", findings=(finding(self._told()), kept))

    async def read(self, now: datetime) -> CompanionReading:
        """The grid's word each time, or DeviceError; with every third the next other block. See ``_is_unclear``."""
        await self._grid.refresh()
        on_grid = self._told().state is CompanionState.ON_GRID
        self._plant.fresh = self._plant.fresh and not on_grid
        if self._reads % 3 == 0 or self._is_unclear():
            solar_or_backup = self._solar if self._reads % 2 else self._backup
            await (solar_or_backup if on_grid else self._plant).try_refresh()
        self._reads += 1
        state, detail = self._told()
        return CompanionReading(now, state, detail, self._solar_w(), self._backup.pct)

    def _is_unclear(self) -> bool:
        """Off grid, and whether the plant runs is not known yet, or it did not: it may by now."""
        state = self._told().state
        return state is CompanionState.OUTAGE or (state is CompanionState.ISLANDED and not self._plant.fresh)

    def _told(self) -> Told:
        """Off grid it carries the house, unless it tells that it does not run at all."""
        told = meaning(_MEANS, GRID_STATUS, self._grid.status)
        running = self._plant.running if self._plant.fresh else None
        if told.state is CompanionState.ISLANDED and running in set(Running):
            return Told(CompanionState.OUTAGE, f"{told.detail}, plant in {Running(running).name.lower()}")
        return told

    def _solar_w(self) -> int | None:
        power = within(self._solar.power, 0, MOST_W) if self._solar.fresh else None
        return None if power is None else -round(power)

    async def keep_reserve(self, pct: float) -> None:
        """Set 40046, from 0 to 100 percent, and read it back. Raises DeviceError; ``not_applied``: it holds another."""
        wanted = round(min(100.0, max(0.0, pct)) * 10)
        if await self._holds(wanted):
            return
        await self._unit.write_register(BACKUP_SOC, wanted)
        if not await self._holds(wanted):
            says = f"{self.id}: register {BACKUP_SOC} reads back otherwise than written; does the maker's app set it?"
            raise DeviceRefusedError(says, "not_applied")

    async def _holds(self, tenths: int) -> bool:
        await self._backup.refresh()
        reserve = self._backup.reserve
        return reserve is not None and round(reserve * 10) == tenths

    async def close(self) -> None:
        """Nothing to give back; the reserve stays as it was set."""
