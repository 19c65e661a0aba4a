"""One charger at work: its probe, its last reading, its fast lane, and the order it was given with the evidence."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from edge_service.domain.model import Capability, ChargerReading, Order, Release, Stop
from edge_service.domain.realise import order_power_w
from edge_service.ports import Charger, Clock, DeviceError, DeviceIdentity, DeviceRefusedError, FastReading

LOG = logging.getLogger(__name__)

# A charger follows when it is this close: its own metering is a percent class and its ramp takes a moment.
FOLLOWS_WITHIN_W = 150
FOLLOWS_WITHIN_SHARE = 0.03
# Charge and limits move slowly; they may be this old while the fast lane shows that the charger is there.
FULL_READING_LASTS = timedelta(seconds=30)
# SunSpec 715.DERHb counts every second; a device that is busy may miss a few.
HEART_MAY_PAUSE = timedelta(seconds=5)


class Stage(StrEnum):
    """How far an order got. Each is evidence of its own: a read-back proves receipt, not action."""

    ORDERED = "ordered"
    READ_BACK = "read_back"
    MEASURED = "measured"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class OrderProgress:
    """The order that stands at a charger, how far it got, and the reason where it was refused."""

    order: Order
    stage: Stage
    at: datetime
    reason: str | None = None


class ChargerDesk:
    """One charger's last reading, its probe, and the order given to it: one order under way, the newest wins."""

    def __init__(self, charger: Charger, wake: Callable[[], None], clock: Clock) -> None:
        self.charger = charger
        self._clock = clock
        self.identity: DeviceIdentity | None = None
        self.capability: Capability | None = None
        self._progress: OrderProgress | None = None
        self._reading: ChargerReading | None = None
        self._fast: FastReading | None = None
        self._probed = False
        self._trouble: str | None = None
        self._proven_at: datetime | None = None
        self._heartbeat: int | None = None
        self._beat_at = clock.now()
        self._frozen = False
        self._wake = wake
        self._acting: asyncio.Task[None] | None = None
        self._next: tuple[Order, datetime] | None = None

    @property
    def reading(self) -> ChargerReading | None:
        """The last full reading; what the fast lane saw later takes its place in it.

        While the fast lane answers, a slow charger's full reading stays fresh with it, until it is too old itself.
        """
        full, fast = self._reading, self._fast
        if full is None or fast is None or fast.at <= full.at or self._frozen:
            return full
        merged = replace(full, grid_present=fast.grid_present, forming=fast.forming, grid_at=fast.at)
        if fast.voltage_v is not None:
            merged = replace(merged, voltage_v=fast.voltage_v)
        if fast.power_w is not None:
            merged = replace(merged, power_w=fast.power_w)
        if fast.state is not None:
            merged = replace(merged, state=fast.state)
        return replace(merged, at=fast.at) if fast.at - full.at <= FULL_READING_LASTS else merged

    @property
    def progress(self) -> OrderProgress | None:
        """How far the standing order got; measured once a reading later than its writing shows its power."""
        progress, reading = self._progress, self.reading
        if progress is None or progress.stage is not Stage.READ_BACK or reading is None or reading.at <= progress.at:
            return progress
        wanted_w = order_power_w(progress.order)
        if wanted_w is None or reading.power_w is None:
            return progress
        close = abs(reading.power_w - wanted_w) <= max(FOLLOWS_WITHIN_W, abs(wanted_w) * FOLLOWS_WITHIN_SHARE)
        return replace(progress, stage=Stage.MEASURED) if close else progress

    @property
    def stopped_at(self) -> datetime | None:
        """When the stop that stands was read back; None while none stands."""
        progress = self._progress
        proven = progress is not None and progress.stage is Stage.READ_BACK and isinstance(progress.order, Stop)
        return self._proven_at if proven else None

    async def read(self) -> None:
        """Probe first where contact was lost: identity before any order."""
        try:
            if not self._probed:
                await self._probe()
            self._take(await self.charger.read(self._clock.now()))
        except DeviceError as error:
            if str(error) != self._trouble:
                LOG.warning("charger %s: %s", self.charger.id, error)
            self._trouble = str(error)
            self._probed = False
        else:
            self._trouble = None

    async def _probe(self) -> None:
        identity, capability = await self.charger.probe()
        if self.identity is not None and identity.serial != self.identity.serial:
            raise DeviceRefusedError(
                f"charger {self.charger.id} was {self.identity.serial}, now {identity.serial} answers: "
                "check the address, then restart",
                "other_device",
            )
        self.identity, self.capability, self._probed = identity, capability, True

    def _take(self, reading: ChargerReading) -> None:
        """Take a reading for fresh, unless the device's own heartbeat stands still: then it repeats old values."""
        if reading.heartbeat is None or reading.heartbeat != self._heartbeat:
            self._heartbeat, self._beat_at = reading.heartbeat, reading.at
        self._frozen = reading.heartbeat is not None and reading.at - self._beat_at > HEART_MAY_PAUSE
        if not self._frozen:
            self._reading = reading
        elif self._trouble is None:
            self._trouble = "its heartbeat stands still, its values are old"
            LOG.warning("charger %s: %s", self.charger.id, self._trouble)

    async def watch(self, period_s: float) -> None:
        """The fast lane: read the first block in which a grid loss shows, and wake the cycle when it changes."""
        due = self._clock.monotonic()
        while True:
            await asyncio.sleep(max(0.0, due - self._clock.monotonic()))
            began = self._clock.monotonic()
            if self._probed:
                try:
                    self._see(await self.charger.read_fast(self._clock.now()))
                except DeviceError:
                    LOG.debug("charger %s: fast lane got no answer", self.charger.id)
            took_s = self._clock.monotonic() - began
            # A slow device keeps half of its connection for its full readings and its orders.
            due = began + max(period_s, 2 * took_s)

    def _see(self, fast: FastReading) -> None:
        before = self.reading
        self._fast = fast
        changed = before is None or (before.grid_present, before.forming) != (fast.grid_present, fast.forming)
        if changed:
            self._wake()

    def give(self, order: Order | None, now: datetime) -> None:
        """Hand over the order of a completed cycle. None: let the charger alone, its lease runs out by itself.

        A withdrawal that waits for its turn is not forgotten for that: it may be the protective act.
        Raises what a defect in the driver raised while it carried out the order before.
        """
        if self._acting is not None and self._acting.done():
            self._acting.result()
            self._acting = None
        if order is None:
            self._progress = None
            if self._next is not None and not isinstance(self._next[0], Release):
                self._next = None
            return
        self._next = (order, now)
        if self._progress is None or self._progress.order != order:
            self._progress = OrderProgress(order, Stage.ORDERED, now)
        if self._acting is None:
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
                if self._progress is None or self._progress.stage is not Stage.READ_BACK:
                    self._proven_at = self._clock.now()
                self._note(order, Stage.READ_BACK, now)

    def _note(self, order: Order, stage: Stage, now: datetime, reason: str | None = None) -> None:
        if self._progress is not None and self._progress.order == order:
            self._progress = OrderProgress(order, stage, now, reason)

    async def close(self) -> None:
        """Finish the order under way, then close the device."""
        if self._acting is not None:
            await asyncio.gather(self._acting, return_exceptions=True)
        await self.charger.close()
