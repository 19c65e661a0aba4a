"""The site's input contacts as a generic remote input block: a stop button and a generator's transfer switch.

Discrete input 0: the button's circuit; 1: the transfer switch's. Both closed (on) at rest and opened by what they tell,
or by a broken wire. Only the contacts: no generator feeds the simulated house.
"""

from dataclasses import dataclass

from edge_service.simulation.modbus_server import Faceless, RefusalCode, RefusalError

INPUTS = 2


@dataclass(slots=True)
class InputContacts:
    """What people and the generator do to them."""

    stop: bool = False
    generator: bool = False


class ContactRegisters(Faceless):
    """Register face of ``InputContacts``; read only."""

    def __init__(self, contacts: InputContacts) -> None:
        self._contacts = contacts

    def read_inputs(self, address: int, count: int) -> list[bool]:
        if address + count > INPUTS:
            raise RefusalError(RefusalCode.ADDRESS)
        circuits = [not self._contacts.stop, not self._contacts.generator]
        return circuits[address : address + count]
