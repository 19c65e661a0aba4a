"""The island switch as a generic remote I/O block.

Coil 0: command, on = open. Discrete input 0: open proven; 1: closed proven; both off while it moves.
"""

from edge_service.simulation.house import House
from edge_service.simulation.modbus_server import Faceless, RefusalCode, RefusalError

COILS = 1
INPUTS = 2


class SwitchRegisters(Faceless):
    """Register face of ``House.switch``."""

    def __init__(self, house: House) -> None:
        self._house = house

    def read_coils(self, address: int, count: int) -> list[bool]:
        _check(address, count, COILS)
        return [self._house.switch.commanded_open]

    def read_inputs(self, address: int, count: int) -> list[bool]:
        _check(address, count, INPUTS)
        switch = self._house.switch
        return [switch.open_proven, switch.closed_proven][address : address + count]

    def write_coil(self, address: int, *, on: bool) -> dict[str, float]:
        _check(address, 1, COILS)
        self._house.command_switch(open_=on)
        return {"open": int(on)}


def _check(address: int, count: int, size: int) -> None:
    if address + count > size:
        raise RefusalError(RefusalCode.ADDRESS)
