"""One charger at work: its probe, its last reading, its fast lane, and the order it was given with the evidence."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from edge_service.domain.model import Capability, ChargerReading, Order, Power, Release
from edge_service.ports import Charger, Clock, DeviceError, DeviceIdentity, DeviceRefusedError, FastReading

LOG = logging.getLogger(__name__)

# A charger follows when it is this close: its own metering is a percent class and its ramp takes a moment.
FOLLOWS_WITHIN_W = 150
FOLLOWS_WITHIN_SHARE = 0.03


class Stage:
    """How far an order got. Each is evidence of its own: a read-back proves receipt, not action."""

    ORDERED = "ordered"
    WRITTEN = "written"
    READ_BACK = "read_back"
    MEASURED = "measured"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class OrderProgress:
    """The order that stands at a charger, how far it got, and the reason where it was refused."""

    order: Order
    stage: str
    at: datetime
    reason: str | None = None


class ChargerDesk:
    """One charger's last reading, its probe, and the order given to it: one order under way, the newest wins."""

    def __init__(self, charger: Charger, wake: Callable[[], None]) -> None:
        self.charger = charger
        self.identity: DeviceIdentity | None = None
        self.capability: Capability | None = None
        self.progress: OrderProgress | None = None
        self._reading: ChargerReading | None = None
        self._fast: FastReading | None = None
        self._probed = False
        self._wake = wake
        self._acting: asyncio.Task[None] | None = None
        self._next: tuple[Order, datetime] | None = None

    @property
    def reading(self) -> ChargerReading | None:
        """The last full reading; what the fast lane saw later takes its place in it."""
        if self._reading is None or self._fast is None or self._fast.at <= self._reading.at:
            return self._reading
        fast = self._fast
        return replace(self._reading, grid_present=fast.grid_present, forming=fast.forming, grid_at=fast.at)

    async def read(self, clock: Clock) -> None:
        """Probe first where contact was lost: identity before any order."""
        try:
            if not self._probed:
                await self._probe()
            self._reading = await self.charger.read(clock.now())
        except DeviceError as error:
            if self._probed:
                LOG.warning("charger %s: %s", self.charger.id, error)
            self._probed = False

    async def _probe(self) -> None:
        identity, capability = await self.charger.probe()
        if self.identity is not None and identity.serial != self.identity.serial:
            raise DeviceRefusedError(
                f"charger {self.charger.id} was {self.identity.serial}, now {identity.serial} answers: "
                "check the address, then restart",
                "other_device",
            )
        self.identity, self.capability, self._probed = identity, capability, True

    async def watch(self, clock: Clock, period_s: float) -> None:
        """The fast lane: read the first block in which a grid loss shows, and wake the cycle when it changes."""
        due = clock.monotonic()
        while True:
            due = max(due + period_s, clock.monotonic())
            await asyncio.sleep(max(0.0, due - clock.monotonic()))
            if not self._probed:
                continue
            try:
                self._see(await self.charger.read_fast(clock.now()))
            except DeviceError:
                LOG.debug("charger %s: fast lane got no answer", self.charger.id)

    def _see(self, fast: FastReading) -> None:
        before = self.reading
        self._fast = fast
        changed = before is None or (before.grid_present, before.forming) != (fast.grid_present, fast.forming)
        if changed:
            self._wake()

    def give(self, order: Order | None, now: datetime) -> None:
        """Hand over the order of a completed cycle. None: let the charger alone, its lease runs out by itself.

        A withdrawal that waits for its turn is not forgotten for that: it may be the protective act.
        """
        if order is None:
            self.progress = None
            if self._next is not None and not isinstance(self._next[0], Release):
                self._next = None
            return
        self._next = (order, now)
        if self.progress is None or self.progress.order != order:
            self.progress = OrderProgress(order, Stage.ORDERED, now)
        if self._acting is None or self._acting.done():
            self._acting = asyncio.create_task(self._act(), name=f"order {self.charger.id}")

    async def _act(self) -> None:
        while self._next is not None:
            (order, now), self._next = self._next, None
            try:
                await self.charger.order(order, now)
            except DeviceRefusedError as error:
                self._note(order, Stage.REFUSED, now, error.reason)
            except DeviceError as error:
                LOG.warning("charger %s: order not given: %s", self.charger.id, error)
                self._note(order, Stage.ORDERED, now, "no_contact")
            else:
                self._note(order, self._evidence(order), now)

    def _note(self, order: Order, stage: str, now: datetime, reason: str | None = None) -> None:
        if self.progress is not None and self.progress.order == order:
            self.progress = OrderProgress(order, stage, now, reason)

    def _evidence(self, order: Order) -> str:
        """Measured when the power is there; else what the read-back proved."""
        power_w = self._reading.power_w if self._reading else None
        wanted_w = order.w if isinstance(order, Power) else 0
        if power_w is None:
            return Stage.READ_BACK
        close = abs(power_w - wanted_w) <= max(FOLLOWS_WITHIN_W, abs(wanted_w) * FOLLOWS_WITHIN_SHARE)
        return Stage.MEASURED if close else Stage.READ_BACK

    async def close(self) -> None:
        """Finish the order under way, then close the device."""
        if self._acting is not None:
            await asyncio.gather(self._acting, return_exceptions=True)
        await self.charger.close()
