"""What companion inverters have in common: they tell of the grid, and nothing is made of what they do not tell."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, NamedTuple

from modbus_connection.model import Component

from edge_service.domain.model import CompanionReading, CompanionState
from edge_service.ports import DeviceIdentity, DeviceRefusedError


class Told(NamedTuple):
    """A state and the words for it. None: the register tells nothing, or what its map does not have."""

    state: CompanionState | None
    detail: str


class WordCompanion:
    """A companion that tells its supply in one value, read in one request; implements ``ports.GridSensor``."""

    maker: ClassVar[str]
    kind: ClassVar[str]
    read_every_s = 0.0

    def __init__(self, id: str, block: Component) -> None:
        self.id = id
        self._block = block

    def _told(self) -> Told:
        """What the block that was just read means."""
        raise NotImplementedError

    async def probe(self) -> DeviceIdentity:
        """Read the register once; it does not say who it is. Writes nothing.

        Raises DeviceRefusedError (``no_grid_state``) where the device does not have it.
        """
        try:
            await self._block.async_update(notify=False)
        except DeviceRefusedError as error:
            says = f"{self.id}: {error}; it does not tell whether the grid is there: check its model and unit"
            raise DeviceRefusedError(says, "no_grid_state") from error
        return DeviceIdentity(self.maker, self.kind, "", findings=(finding(self._told()),))

    async def read(self, now: datetime) -> CompanionReading:
        """Read the register. Raises DeviceError."""
        await self._block.async_update(notify=False)
        state, detail = self._told()
        return CompanionReading(now, state, detail)

    async def close(self) -> None:
        """Nothing to give back."""


def finding(told: Told) -> str:
    """What a probe tells people of it."""
    return f"It tells now: {told.detail}{'' if told.state else ', which says nothing of the grid'}."


def meaning(means: Mapping[int, Told], address: int, value: int | None) -> Told:
    """What the map says of the value that this register holds."""
    told = None if value is None else means.get(value)
    return unmapped(address, value) if told is None else told


def unmapped(address: int, value: object) -> Told:
    """A value that the register's description does not have: not known, whatever it may mean."""
    return Told(None, f"register {address} holds {'no value' if value is None else value}")
