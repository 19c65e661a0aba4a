"""A SolarEdge inverter with backup. The block that tells of the grid is optional: some units do not have it.

Source: the register map of the package solaredged 0.5.0 (MIT), facts only.
"""

from dataclasses import dataclass

from modbus_connection import ModbusUnit
from modbus_connection.model import Component, uint32

from edge_service.devices.companion import Told, WordCompanion, unmapped
from edge_service.domain.model import CompanionState

GRID_STATUS = 40113


class Status(Component):
    """Function 3; the low word comes first."""

    grid = uint32(GRID_STATUS, word_order="little", nan=0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class SolarEdgeOptions:
    """What ``site.yaml`` may say about it. Its port is a setting of the inverter, 1502 or 502."""

    unit_id: int = 1


class SolarEdgeInverter(WordCompanion):
    """``solaredge_inverter``."""

    maker, kind = "SolarEdge", "inverter"

    def __init__(self, id: str, unit: ModbusUnit, options: SolarEdgeOptions | None = None) -> None:
        self._status = Status(unit)
        super().__init__(id, self._status)

    def _told(self) -> Told:
        value = self._status.grid
        if value is None:
            return unmapped(GRID_STATUS, None)
        return Told(CompanionState.ISLANDED, "off grid") if value else Told(CompanionState.ON_GRID, "on grid")
