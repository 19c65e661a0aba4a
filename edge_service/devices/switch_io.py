"""An island switch behind a plain Modbus I/O block: one coil commands it, two contacts prove where it stands.

Use two auxiliary contacts of the switch itself, one closed when it is open, one closed when it is closed.
"""

from dataclasses import dataclass, field
from datetime import datetime

from modbus_connection import ModbusUnit

from edge_service.domain.model import SwitchOrder, SwitchReading
from edge_service.ports import DeviceIdentity, DeviceRefusedError, ProtocolViolationError

_ADDRESS = {"min": 0, "max": 65535}
# Contacts this close together are read at once, so that both belong to one moment.
_ONE_READ = 16


@dataclass(frozen=True, slots=True)
class SwitchIoOptions:
    """What ``site.yaml`` may say about a switch of this kind. An input of None is not wired: not proven, not known."""

    unit_id: int = 1
    open_coil: int = field(default=0, metadata={**_ADDRESS, "help": "coil that commands the switch; on opens it"})
    inverted: bool = field(default=False, metadata={"help": "the coil's off opens the switch"})
    open_proven_input: int | None = field(
        default=0, metadata={**_ADDRESS, "help": "discrete input that is on while the switch is proven open"}
    )
    closed_proven_input: int | None = field(
        default=1, metadata={**_ADDRESS, "help": "discrete input that is on while the switch is proven closed"}
    )


class SwitchIo:
    """An island switch behind one Modbus unit; implements ``ports.IslandSwitch``."""

    def __init__(self, id: str, unit: ModbusUnit, options: SwitchIoOptions | None = None) -> None:
        self.id = id
        self._unit = unit
        self._options = options or SwitchIoOptions()

    async def probe(self) -> DeviceIdentity:
        """Read the command and both contacts once. Writes nothing."""
        options = self._options
        reading = await self._contacts()
        await self._commanded_open()
        remarks = {
            "No contact proves that it is open: no island can be formed behind it.": options.open_proven_input is None,
            "No contact proves that it is closed.": options.closed_proven_input is None,
            "Neither contact is on: it moves, is stuck or is not wired.": reading == (False, False),
            "It stands open, by both contacts.": reading == (True, False),
            "It stands closed, by both contacts.": reading == (False, True),
        }
        findings = tuple(sentence for sentence, holds in remarks.items() if holds)
        return DeviceIdentity("unknown", "Modbus I/O switch", "", findings=findings)

    async def read(self, now: datetime) -> SwitchReading:
        """Read command and contacts. Raises ProtocolViolationError while both contacts are on."""
        open_proven, closed_proven = await self._contacts()
        return SwitchReading(now, await self._commanded_open(), open_proven, closed_proven)

    async def move(self, order: SwitchOrder) -> None:
        """Write the command coil and read it back; ``read`` shows later whether the switch moved."""
        opens = order is SwitchOrder.OPEN
        await self._unit.write_coil(self._options.open_coil, opens is not self._options.inverted)
        if await self._commanded_open() is not opens:
            raise DeviceRefusedError(
                f"{self.id}: coil {self._options.open_coil} reads back otherwise than written; check the I/O block",
                "not_applied",
            )

    async def close(self) -> None:
        """Nothing to give back; the switch stays where it is."""

    async def _commanded_open(self) -> bool:
        (on,) = await self._unit.read_coils(self._options.open_coil, 1)
        return on is not self._options.inverted

    async def _contacts(self) -> tuple[bool | None, bool | None]:
        """Open proven, closed proven."""
        first, second = self._options.open_proven_input, self._options.closed_proven_input
        if first is None or second is None or abs(first - second) >= _ONE_READ:
            open_proven, closed_proven = await self._input(first), await self._input(second)
        else:
            start = min(first, second)
            inputs = await self._unit.read_discrete_inputs(start, abs(first - second) + 1)
            open_proven, closed_proven = inputs[first - start], inputs[second - start]
        if open_proven and closed_proven:
            raise ProtocolViolationError(
                f"{self.id}: the contacts prove it open and closed at once; check the wiring of {first}, {second}"
            )
        return open_proven, closed_proven

    async def _input(self, address: int | None) -> bool | None:
        if address is None:
            return None
        (on,) = await self._unit.read_discrete_inputs(address, 1)
        return on
