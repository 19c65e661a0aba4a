"""One companion inverter: read at its own pace beside the cycle, so that a slow or silent one delays nobody."""

import asyncio
import logging
from collections.abc import Callable

from edge_service.domain.model import CompanionReading
from edge_service.ports import Clock, DeviceError, DeviceRefusedError, GridSensor, KeepsReserve

LOG = logging.getLogger(__name__)

# A reserve that could not be set is no danger at once; a refused one is worn into its memory with each attempt.
RETRY_S, REFUSED_RETRY_S = 60.0, 3600.0


class CompanionDesk:
    """The last reading of a companion, and the reserve that it was told to keep."""

    def __init__(self, companion: GridSensor, wake: Callable[[], None], clock: Clock) -> None:
        self.companion = companion
        self.reading: CompanionReading | None = None
        self._wake, self._clock = wake, clock
        self._trouble: str | None = None
        self._kept_pct: float | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._not_before = float("-inf")

    async def watch(self, period_s: float) -> None:
        """Read for ever; wake the cycle when it tells another state than before, or tells one for the first time."""
        due = self._clock.monotonic()
        while True:
            await asyncio.sleep(max(0.0, due - self._clock.monotonic()))
            began = self._clock.monotonic()
            await self._look()
            due = began + max(period_s, self.companion.read_every_s)

    async def _look(self) -> None:
        before = self.reading
        try:
            self.reading = await self.companion.read(self._clock.now())
        except DeviceError as error:
            if str(error) != self._trouble:
                LOG.info("companion %s: %s", self.companion.id, error)
            self._trouble = str(error)
            return
        self._trouble = None
        if before is None or before.state is not self.reading.state:
            self._wake()

    def keep(self, pct: float | None) -> None:
        """Have this reserve kept: set once, and not again over what a person sets at the device since.

        None: write nothing, and break off what is not written yet.
        """
        if self._keeping is not None and self._keeping.done():
            if not self._keeping.cancelled():
                self._keeping.result()  # a defect in a driver ends the process; it must not be lost in a task
            self._keeping = None
        if pct is None:
            if self._keeping is not None:
                self._keeping.cancel()
            return
        companion, due = self.companion, self._clock.monotonic() >= self._not_before
        if pct != self._kept_pct and due and self._keeping is None and isinstance(companion, KeepsReserve):
            name = f"reserve of {companion.id}"
            self._keeping = asyncio.create_task(self._keep(companion, pct), name=name)

    async def _keep(self, companion: KeepsReserve, pct: float) -> None:
        try:
            await companion.keep_reserve(pct)
        except DeviceError as error:
            LOG.warning("companion %s: its reserve is not set to %g %%: %s", self.companion.id, pct, error)
            refused = isinstance(error, DeviceRefusedError)
            self._not_before = self._clock.monotonic() + (REFUSED_RETRY_S if refused else RETRY_S)
        else:
            self._kept_pct = pct

    async def close(self) -> None:
        """Break off what is not written yet, then close the device."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self.companion.close()
