"""A GoodWe hybrid inverter. What its grid word means hangs on the family, which no register is known to tell.

Modbus TCP only: over UDP or a serial line it is not reached here.
Source: the register as read by OpenEMS (io.openems.edge.goodwe, mapGridMode).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modbus_connection import ModbusUnit
from modbus_connection.model import Component, raw_register

from edge_service.devices.companion import Told, WordCompanion, meaning
from edge_service.domain.model import CompanionState

GRID_MODE = 35136
ET_BT, LARGE = "et_bt", "50k_100k"

_ON, _OFF = Told(CompanionState.ON_GRID, "on grid"), Told(CompanionState.ISLANDED, "off grid")
_MEANS: Mapping[str, Mapping[int, Told]] = {
    ET_BT: {1: _ON, 2: _OFF},
    LARGE: {0: _OFF, 1: _ON},
}


class Mode(Component):
    """Function 3."""

    grid = raw_register(GRID_MODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodWeOptions:
    """What ``site.yaml`` says about it. ``family`` is never guessed: one family's "off" is another's nothing."""

    family: str = field(metadata={"allowed": (ET_BT, LARGE), "help": "as printed on the inverter"})
    unit_id: int = 247


class GoodWe(WordCompanion):
    """``goodwe``."""

    maker, kind = "GoodWe", "inverter"

    def __init__(self, id: str, unit: ModbusUnit, options: GoodWeOptions) -> None:
        self._mode = Mode(unit)
        self._means = _MEANS[options.family]
        super().__init__(id, self._mode)

    def _told(self) -> Told:
        return meaning(self._means, GRID_MODE, self._mode.grid)
