"""An input contact on a plain Modbus I/O block: one discrete input, on while its circuit is closed."""

from dataclasses import dataclass, field
from datetime import datetime

from modbus_connection import ModbusUnit

from edge_service.domain.model import ContactReading
from edge_service.ports import DeviceIdentity

OPEN, CLOSED = "open", "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactIoOptions:
    """What ``site.yaml`` may say about a contact. Active while open: a broken wire then counts as active."""

    input: int = field(metadata={"min": 0, "max": 65535, "help": "discrete input that the contact is wired to"})
    unit_id: int = 1
    active: str = field(
        default=OPEN, metadata={"allowed": (OPEN, CLOSED), "help": "how its circuit is while it is active"}
    )


class ContactIo:
    """A contact behind one Modbus unit; implements ``ports.ContactInput``."""

    def __init__(self, id: str, unit: ModbusUnit, options: ContactIoOptions) -> None:
        self.id = id
        self._unit = unit
        self._options = options

    async def probe(self) -> DeviceIdentity:
        """Read it once. Writes nothing; such a block does not say who it is."""
        options = self._options
        (closed,) = await self._unit.read_discrete_inputs(options.input, 1)
        is_now = "active" if self._is_active(closed) else "not active"
        finding = f"Input {options.input} is {CLOSED if closed else OPEN}: {is_now} now."
        return DeviceIdentity("unknown", "Modbus input", "", findings=(finding,))

    async def read(self, now: datetime) -> ContactReading:
        (closed,) = await self._unit.read_discrete_inputs(self._options.input, 1)
        return ContactReading(now, self._is_active(closed))

    async def close(self) -> None:
        """Nothing to give back."""

    def _is_active(self, closed: bool) -> bool:
        return closed is (self._options.active == CLOSED)
