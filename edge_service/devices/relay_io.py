"""A load relay on a plain Modbus I/O block: one coil switches it, one contact may prove whether the load is connected.

A coil that sheds while it is on leaves the load connected when the block loses its power or its program.
"""

from dataclasses import dataclass, field
from datetime import datetime

from modbus_connection import ModbusUnit

from edge_service.domain.model import LoadOrder, LoadReading, LoadState
from edge_service.ports import DeviceIdentity, DeviceRefusedError

_ADDRESS = {"min": 0, "max": 65535}


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayIoOptions:
    """What ``site.yaml`` may say about a relay. Without a feedback the coil's own read-back has to do as proof."""

    coil: int = field(metadata={**_ADDRESS, "help": "coil that sheds the load while it is on"})
    unit_id: int = 1
    inverted: bool = field(default=False, metadata={"help": "the coil's off sheds the load"})
    feedback_input: int | None = field(
        default=None, metadata={**_ADDRESS, "help": "discrete input that is on while the load is connected"}
    )


class RelayIo:
    """A relay behind one Modbus unit; implements ``ports.LoadRelay``."""

    def __init__(self, id: str, unit: ModbusUnit, options: RelayIoOptions) -> None:
        self.id = id
        self._unit = unit
        self._options = options
        # The contact was seen open under the standing order to shed: closed again, a person has bridged it.
        self._was_open = False

    async def probe(self) -> DeviceIdentity:
        """Read command and feedback once. Writes nothing; such a block does not say who it is."""
        sheds, connected = await self._sheds(), await self._connected()
        finding = "told to shed" if sheds else "told to leave the load on"
        remarks = {
            "No contact proves it: the coil's read-back has to do.": connected is None,
            "The contact is open though the load is to be on: it is off on site.": connected is False and not sheds,
            "The contact is closed though the load is shed: check the relay.": connected is True and sheds,
        }
        findings = (f"Coil {self._options.coil}: {finding}.", *(says for says, holds in remarks.items() if holds))
        return DeviceIdentity("unknown", "Modbus relay", "", findings=findings)

    async def read(self, now: datetime) -> LoadReading:
        """``shed`` when coil and contact agree on it; ``on`` while a contact denies what the coil was told."""
        sheds, connected = await self._sheds(), await self._connected()
        self._was_open = sheds and (self._was_open or connected is False)
        return LoadReading(now, self._state(sheds, connected))

    async def give(self, order: LoadOrder) -> None:
        """Write the coil and read it back; nothing is written where it stands already."""
        sheds = order is LoadOrder.SHED
        if await self._sheds() is sheds:
            return
        await self._unit.write_coil(self._options.coil, sheds is not self._options.inverted)
        if await self._sheds() is not sheds:
            raise DeviceRefusedError(
                f"{self.id}: coil {self._options.coil} reads back otherwise than written; check the I/O block",
                "not_applied",
            )

    async def close(self) -> None:
        """Nothing to give back; the relay stays as it is."""

    def _state(self, sheds: bool, connected: bool | None) -> LoadState:
        if sheds:
            kept = LoadState.KEPT if self._was_open else LoadState.ON
            return kept if connected else LoadState.SHED
        return LoadState.OFF if connected is False else LoadState.ON

    async def _sheds(self) -> bool:
        (on,) = await self._unit.read_coils(self._options.coil, 1)
        return on is not self._options.inverted

    async def _connected(self) -> bool | None:
        if self._options.feedback_input is None:
            return None
        (on,) = await self._unit.read_discrete_inputs(self._options.feedback_input, 1)
        return on
