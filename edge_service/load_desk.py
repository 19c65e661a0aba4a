"""One load relay: what it shows, and what is wanted of it, until it stands so. One thing under way at a time."""

import asyncio
import logging
from collections.abc import Callable

from edge_service.domain.model import LoadOrder, LoadReading, LoadState
from edge_service.ports import Clock, DeviceError, LoadRelay

LOG = logging.getLogger(__name__)

# One write and its read-back, each of which has a second.
CLOSES_WITHIN_S = 2.0
# As wanted: what a person did at it is not undone, nor is a load switched on that a person has switched off.
STANDS = {
    LoadOrder.SHED: frozenset({LoadState.SHED, LoadState.KEPT}),
    LoadOrder.ON: frozenset({LoadState.ON, LoadState.OFF}),
}


class LoadDesk:
    """The last reading of a relay, and the order under way."""

    def __init__(self, relay: LoadRelay, wake: Callable[[], None], clock: Clock) -> None:
        self.relay = relay
        self.reading: LoadReading | None = None
        self._wake, self._clock = wake, clock
        self._under_way: asyncio.Task[None] | None = None
        self._trouble: str | None = None

    async def watch(self, period_s: float) -> None:
        """Read for ever, beside the cycle: a relay that does not answer holds up no decision."""
        due = self._clock.monotonic()
        while True:
            await asyncio.sleep(max(0.0, due - self._clock.monotonic()))
            due = self._clock.monotonic() + period_s
            await self.read()

    async def read(self) -> None:
        """Read it; a relay that does not answer keeps its last reading, which grows old."""
        before = self.reading
        try:
            self.reading = await self.relay.read(self._clock.now())
        except DeviceError as error:
            self._complain(error)
            return
        self._trouble = None
        if before is not None and before.state is not self.reading.state:
            self._wake()

    def give(self, order: LoadOrder | None) -> None:
        """Have it stand so; None: it is left as it is. Compared with its reading, so what failed is tried again."""
        if self._under_way is not None and self._under_way.done():
            self._under_way.result()  # a defect in a driver is not lost in a task
            self._under_way = None
        if order is None or self.reading is None or self._under_way is not None:
            return
        if self.reading.state not in STANDS[order]:
            self._under_way = asyncio.create_task(self._carry_out(order), name=f"relay {self.relay.id}")

    async def _carry_out(self, order: LoadOrder) -> None:
        try:
            await self.relay.give(order)
        except DeviceError as error:
            self._complain(error)
            return
        await self.read()

    def _complain(self, error: DeviceError) -> None:
        if str(error) != self._trouble:
            LOG.warning("relay %s: %s", self.relay.id, error)
        self._trouble = str(error)

    async def close(self) -> None:
        """Let what is under way finish if it soon does, then let go."""
        if self._under_way is not None:
            await asyncio.wait([self._under_way], timeout=CLOSES_WITHIN_S)
            self._under_way.cancel()
            await asyncio.gather(self._under_way, return_exceptions=True)
        await self.relay.close()
