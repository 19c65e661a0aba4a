"""The site's input contacts as a generic remote input block: stop button, transfer switch, voltage relay.

Discrete input 0: the button's circuit; 1: the transfer switch's; 2: a voltage relay's at the street. All are closed
(on) at rest and opened by what they tell, or by a broken wire. Only the contacts: no generator feeds the house.
"""

from dataclasses import dataclass

from edge_service.simulation.house import House
from edge_service.simulation.modbus_server import Faceless, RefusalCode, RefusalError

INPUTS = 3


@dataclass(slots=True)
class InputContacts:
    """What people and the generator do to them."""

    stop: bool = False
    generator: bool = False


class ContactRegisters(Faceless):
    """Register face of ``InputContacts`` and of the street's voltage; read only."""

    def __init__(self, house: House, contacts: InputContacts) -> None:
        self._house = house
        self._contacts = contacts

    def read_inputs(self, address: int, count: int) -> list[bool]:
        if address + count > INPUTS:
            raise RefusalError(RefusalCode.ADDRESS)
        circuits = [not self._contacts.stop, not self._contacts.generator, self._house.grid_present]
        return circuits[address : address + count]
