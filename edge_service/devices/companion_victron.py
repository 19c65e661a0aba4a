"""A Victron GX device with its inverter: the system's unit tells from where the AC input is fed.

Source: register list of the GX device as read by OpenEMS (VictronBatteryInverterImpl, ActiveInputSource).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from modbus_connection import ModbusUnit
from modbus_connection.model import Component, raw_register

from edge_service.devices.companion import Told, WordCompanion, meaning
from edge_service.domain.model import CompanionState

ACTIVE_INPUT = 826


class System(Component):
    """Unit 100 of the GX device. Function 3."""

    active_input = raw_register(ACTIVE_INPUT)


_MEANS: Mapping[int, Told] = {
    0: Told(None, "its input is not known"),
    1: Told(CompanionState.ON_GRID, "its input is the grid"),
    2: Told(CompanionState.GENERATOR, "its input is a generator"),
    3: Told(CompanionState.ON_GRID, "its input is shore power"),
    240: Told(CompanionState.ISLANDED, "no input, it inverts"),
}


@dataclass(frozen=True, slots=True)
class VictronOptions:
    """What ``site.yaml`` may say about it. ``unit_id``: the system's unit, which is the same on every GX device."""

    unit_id: int = 100


class VictronSystem(WordCompanion):
    """``victron_system``."""

    maker, kind = "Victron", "GX system"

    def __init__(self, id: str, unit: ModbusUnit, options: VictronOptions | None = None) -> None:
        self._system = System(unit)
        super().__init__(id, self._system)

    def _told(self) -> Told:
        return meaning(_MEANS, ACTIVE_INPUT, self._system.active_input)
