"""An island switch that Home Assistant moves by an entity of its own, and of whose contacts it tells.

Nothing here talks to a device. What Home Assistant says counts while it is connected; what it is to do is a lease.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from edge_service.domain.model import SwitchOrder, SwitchReading
from edge_service.ports import DeviceIdentity, DeviceUnreachableError, ProtocolViolationError


class Told(Protocol):
    """Who passes on what Home Assistant says of the switch, and asks it to move it."""

    def switch(self) -> SwitchReading | None: ...

    def want(self, order: SwitchOrder) -> None:
        """Raises ``DeviceError``."""
        ...

    def keep_only(self, order: SwitchOrder | None) -> None: ...


@dataclass(frozen=True, slots=True)
class HomeAssistantSwitchOptions:
    """Which entities it uses is said in Home Assistant."""


class HomeAssistantSwitch:
    """Implements ``ports.IslandSwitch`` and ``ports.MovedOnRequest``."""

    def __init__(self, id: str, told: Told) -> None:
        self.id = id
        self._told = told

    async def probe(self) -> DeviceIdentity:
        """Whether Home Assistant tells of it now. Raises ``DeviceUnreachableError`` where it does not."""
        reading = self._contacts()
        remarks = {
            "Nothing proves that it is open: no island can be formed behind it.": reading.open_proven is None,
            "Nothing proves that it is closed.": reading.closed_proven is None,
        }
        findings = tuple(sentence for sentence, holds in remarks.items() if holds)
        return DeviceIdentity("Home Assistant", "island switch", "", findings=findings)

    async def read(self, now: datetime) -> SwitchReading:
        """What Home Assistant told last: it tells at once what changes, and repeats it while it is connected."""
        reading = self._contacts()
        return SwitchReading(now, reading.commanded_open, reading.open_proven, reading.closed_proven)

    async def move(self, order: SwitchOrder) -> None:
        """Ask for it. ``read`` shows later whether the switch moved."""
        self._told.want(order)

    def keep_only(self, order: SwitchOrder | None) -> None:
        """Ask for nothing but this any more."""
        self._told.keep_only(order)

    async def close(self) -> None:
        """Nobody is asked any more; the switch stays where it is."""
        self._told.keep_only(None)

    def _contacts(self) -> SwitchReading:
        reading = self._told.switch()
        if reading is None:
            raise DeviceUnreachableError(
                f"{self.id}: Home Assistant is not connected, or does not tell of it; name its entities there"
            )
        if reading.open_proven and reading.closed_proven:
            raise ProtocolViolationError(
                f"{self.id}: Home Assistant says that it is open and closed at once; look at its feedback entities"
            )
        return reading
