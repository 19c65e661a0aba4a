"""What is known of the house for those who report on it: the last cycle, the minute rows, what events came to."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from edge_service.domain.settlement import Settlement
from edge_service.ports import BaselineFound, Live
from edge_service.runner import Image


class Minutes(Protocol):
    """Gives minute rows. Raises OSError."""

    async def minutes(self, start: datetime, end: datetime) -> Mapping[datetime, Mapping[str, Any]]: ...


class Settled(Protocol):
    """Gives the rows of events that are over. Raises OSError."""

    async def load_settlements(self) -> Sequence[Settlement]: ...


class MeasuredHouse:
    """``ports.Measured`` for one program."""

    def __init__(self, program: str, image: Callable[[], Image | None], minutes: Minutes, settled: Settled) -> None:
        self._program, self._image, self._minutes, self._settled = program, image, minutes, settled

    def live(self) -> Live | None:
        image = self._image()
        return None if image is None else Live(self._program, image.observation, image.decision, image.facts)

    async def minutes(self, start: datetime, end: datetime) -> Mapping[datetime, Mapping[str, Any]]:
        return await self._minutes.minutes(start, end)

    async def baseline(self, uid: str) -> BaselineFound | None:
        rows = [row for row in await self._settled.load_settlements() if row.uid == uid]
        found = rows[0] if rows else None
        if found is None or found.baseline_wh is None:
            return None
        return BaselineFound(found.baseline_wh, found.start, found.end)
