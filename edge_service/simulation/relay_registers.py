"""Load relays as a generic remote I/O block: coil n on sheds load n; discrete input n is on while it is connected."""

from edge_service.simulation.house import House
from edge_service.simulation.modbus_server import Faceless, RefusalCode, RefusalError


class RelayRegisters(Faceless):
    """Register face of ``House.loads``."""

    def __init__(self, house: House) -> None:
        self._house = house

    def read_coils(self, address: int, count: int) -> list[bool]:
        self._check(address, count)
        return [load.told_off for load in self._house.loads.in_order][address : address + count]

    def read_inputs(self, address: int, count: int) -> list[bool]:
        self._check(address, count)
        return [load.running for load in self._house.loads.in_order][address : address + count]

    def write_coil(self, address: int, *, on: bool) -> dict[str, float]:
        self._check(address, 1)
        name = self._house.loads.in_order[address].options.name
        self._house.set_switched_load(name, told_off=on)
        return {f"shed {name}": int(on)}

    def _check(self, address: int, count: int) -> None:
        if address + count > len(self._house.loads.in_order):
            raise RefusalError(RefusalCode.ADDRESS)
