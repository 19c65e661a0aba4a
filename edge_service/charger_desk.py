"""One charger at work: its probe, its last reading, its fast lane, and the order it was given with the evidence."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from edge_service.domain import evidence as proofs
from edge_service.domain.contest import Contest, is_charger_s_own_doing, is_overwritten
from edge_service.domain.model import Capability, ChargerReading, Evidence, Lease, Order, Release, Stop
from edge_service.ports import (
    Charger,
    Clock,
    DeviceError,
    DeviceIdentity,
    DeviceRefusedError,
    FastLane,
    FastReading,
    OrderUnderWayError,
    TellsWhenWritten,
)

LOG = logging.getLogger(__name__)

# Charge and limits move slowly; they may be this old while the fast lane shows that the charger is there.
FULL_READING_LASTS = timedelta(seconds=30)
# SunSpec 715.DERHb counts every second; a device that is busy may miss a few.
HEART_MAY_PAUSE = timedelta(seconds=5)
# An order that was just made so or renewed cannot have run out sooner: leases are 15 s at least, renewed at a third.
LEASE_LASTS = timedelta(seconds=5)


class ChargerDesk:
    """One charger's last reading, its probe, and the order given to it: one order under way, the newest wins.

    Evidence and overwritten orders are counted here and forgotten with the process.
    """

    def __init__(self, charger: Charger, wake: Callable[[], None], clock: Clock) -> None:
        self.charger = charger
        self._clock = clock
        self.identity: DeviceIdentity | None = None
        self.capability: Capability | None = None
        self._evidence: Evidence | None = None
        self._judged: ChargerReading | None = None
        self._reading: ChargerReading | None = None
        self.fast_lane = charger if isinstance(charger, FastLane) else None
        self._fast: FastReading | None = None
        self._merged: ChargerReading | None = None
        self._probed = False
        self._trouble: str | None = None
        self._heartbeat: int | None = None
        self._beat_at = clock.now()
        self._frozen = False
        self._wake = wake
        self._acting: asyncio.Task[None] | None = None
        self._next: tuple[Order, datetime] | None = None
        self._task_name = f"order {charger.id}"
        # The order that the registers were proven to hold, unless it was seen overwritten since.
        self._proven: Order | None = None
        self._proven_at = self._leased_until = self._written_at = clock.now()
        # A model that never shows its setpoint does not show either that it was withdrawn.
        self._shows_setpoint = False
        self._contest = Contest()
        self._writing: Order | None = None
        if isinstance(charger, TellsWhenWritten):
            charger.on_written = self._written

    @property
    def reading(self) -> ChargerReading | None:
        """The last full reading; what the fast lane saw later takes its place in it.

        While the fast lane answers, a slow charger's full reading stays fresh with it, until it is too old itself.
        """
        if self._merged is None and self._reading is not None:
            fast = self._last_look()
            self._merged = _merge(self._reading, fast) if isinstance(fast, FastReading) else self._reading
        return self._merged

    def _last_look(self) -> ChargerReading | FastReading | None:
        """The newest look at the charger, full or fast."""
        full, fast = self._reading, self._fast
        return full if full is None or fast is None or fast.at <= full.at or self._frozen else fast

    @property
    def evidence(self) -> Evidence | None:
        """What is known of the order that stands, with the newest reading judged; None while none stands."""
        evidence, reading = self._evidence, self.reading
        if evidence is None or reading is None or reading is self._judged or self.capability is None:
            return evidence
        self._judged = reading
        self._evidence = proofs.seen(evidence, reading, self.capability)
        return self._evidence

    @property
    def stopped_at(self) -> datetime | None:
        """When the stop that stands was read back; None while none stands."""
        evidence = self._evidence
        return evidence.read_back_at if evidence is not None and isinstance(evidence.order, Stop) else None

    @property
    def contested_since(self) -> datetime | None:
        """Since when we yield to another controller that overwrites our orders; None while we do not."""
        if self._contest.since is not None:
            self._contest = self._contest.now(self._clock.now())
        return self._contest.since

    def take_up(self) -> None:
        """Command again at once: a person says that no other controller does."""
        self._contest = Contest()

    def clock_set(self, by: timedelta) -> None:
        """The wall clock was set: what is counted from a time before moves with it."""
        self._proven_at += by
        self._leased_until += by
        self._written_at += by
        self._beat_at += by
        self._contest = self._contest.shifted(by)
        if self._evidence is not None:
            self._evidence = proofs.shifted(self._evidence, by)

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
            self._proven = None  # it may have been restarted meanwhile
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
            if reading.heartbeat is not None and reading.heartbeat < (self._heartbeat or 0):
                self._proven = None  # it counts from the beginning: it was restarted and holds nothing of ours
            self._heartbeat, self._beat_at = reading.heartbeat, reading.at
        self._frozen = reading.heartbeat is not None and reading.at - self._beat_at > HEART_MAY_PAUSE
        self._merged = None
        if not self._frozen:
            self._reading = reading
            self._compare(reading)
        elif self._trouble is None:
            self._trouble = "its heartbeat stands still, its values are old"
            LOG.warning("charger %s: %s", self.charger.id, self._trouble)

    def _compare(self, reading: ChargerReading) -> None:
        """Whether the registers still hold our order; only a reading begun after they were proven to can tell."""
        order, capability = self._proven, self.capability
        self._shows_setpoint = self._shows_setpoint or reading.setpoint_w is not None
        if order is None or capability is None or reading.at <= max(self._proven_at, self._written_at):
            return
        if is_charger_s_own_doing(reading):
            self._proven = None
            return
        leased = capability.lease is not Lease.TIMER or reading.at < self._leased_until
        if is_overwritten(order, reading, capability, withdrawn=leased and self._shows_setpoint):
            LOG.warning(
                "charger %s: another controller put %s W in the place of %s",
                self.charger.id,
                reading.setpoint_w if reading.limits is None else reading.limits,
                order,
            )
            self._lose(order, reading.at)
            if (evidence := self._of(order)) is not None:
                self._evidence = proofs.undone(evidence, "overwritten")

    def _lose(self, order: Order, at: datetime) -> None:
        """Our order, proven to stand, does not stand any more: counted once, until it is proven again."""
        if order == self._proven and not isinstance(order, Release):
            self._contest = self._contest.overwritten(at)
        self._proven = None

    async def watch(self, period_s: float) -> None:
        """The fast lane: read the first block in which a grid loss shows, and wake the cycle when it changes."""
        assert self.fast_lane is not None
        due = self._clock.monotonic()
        while True:
            await asyncio.sleep(max(0.0, due - self._clock.monotonic()))
            began = self._clock.monotonic()
            if self._probed:
                try:
                    self._see(await self.fast_lane.read_fast(self._clock.now()))
                except DeviceError:
                    LOG.debug("charger %s: fast lane got no answer", self.charger.id)
            took_s = self._clock.monotonic() - began
            # A slow device keeps half of its connection for its full readings and its orders.
            due = began + max(period_s, 2 * took_s)

    def _see(self, fast: FastReading) -> None:
        before = self._last_look()
        self._fast, self._merged = fast, None
        if before is None or (before.grid_present, before.forming) != (fast.grid_present, fast.forming):
            self._wake()
        elif self._carries_too_much(fast) and not self._carries_too_much(before):
            self._wake()  # the inverter trips within a second: a load has to go now

    def _carries_too_much(self, look: ChargerReading | FastReading) -> bool:
        """It forms the island and gives more than it can for long."""
        if not look.forming or look.power_w is None or self.capability is None:
            return False
        allowed_w = self._reading.discharge_max_w if self._reading is not None else None
        return -look.power_w > min(self.capability.discharge_rating_w, allowed_w or self.capability.discharge_rating_w)

    def give(self, order: Order | None, now: datetime) -> None:
        """Hand over the order of a completed cycle. None: let the charger alone, its lease runs out by itself.

        A withdrawal that waits for its turn is not forgotten for that: it may be the protective act.
        Raises what a defect in the driver raised while it carried out the order before.
        """
        if self._acting is not None and self._acting.done():
            self._acting.result()
            self._acting = None
        if order is None:
            self._evidence = self._proven = None
            if self._next is not None and not isinstance(self._next[0], Release):
                self._next = None
            return
        self._next = (order, now)
        if self._evidence is None or self._evidence.order != order:
            self._evidence = proofs.ordered(order, now, self._evidence, self.capability)
        if self._acting is None:
            # Begun here and now: what it writes leaves before this cycle is shown and recorded.
            self._acting = asyncio.create_task(self._act(), name=self._task_name, eager_start=True)

    async def _act(self) -> None:
        while self._next is not None:
            (order, now), self._next = self._next, None
            if order != self._proven:
                self._proven = None
            self._writing = order
            try:
                await self.charger.order(order, now)
            except DeviceRefusedError as error:
                self._refuse(order, error.reason)
            except OrderUnderWayError:
                self._proven = None
                if (evidence := self._of(order)) is not None:
                    self._evidence = proofs.under_way(evidence)
            except DeviceError as error:
                LOG.warning("charger %s: order not given: %s", self.charger.id, error)
                self._proven = None
                if (evidence := self._of(order)) is not None:
                    self._evidence = proofs.undone(evidence, "no_contact")
            else:
                self._prove(order)

    def _of(self, order: Order) -> Evidence | None:
        """The evidence of an order, unless another one was given since."""
        return self._evidence if self._evidence is not None and self._evidence.order == order else None

    def _written(self) -> None:
        """The device accepted a write; a reading on its way now may have caught it half done."""
        self._written_at = self._clock.now()
        if self._writing is not None and (evidence := self._of(self._writing)) is not None:
            self._evidence = proofs.written(evidence, self._written_at)

    def _refuse(self, order: Order, reason: str) -> None:
        now = self._clock.now()
        if reason == "not_applied":
            self._lose(order, now)
        self._proven = None
        if (evidence := self._of(order)) is not None:
            self._evidence = proofs.refused(evidence, reason, now)

    def _prove(self, order: Order) -> None:
        """The charger's registers hold the order now, and it is leased anew."""
        now = self._clock.now()
        if (evidence := self._of(order)) is None:
            return
        self._evidence = proofs.read_back(evidence, now)
        if self._proven is None:
            self._proven, self._proven_at = order, now
        self._leased_until = now + LEASE_LASTS

    async def close(self) -> None:
        """Finish the order under way, then close the device."""
        if self._acting is not None:
            await asyncio.gather(self._acting, return_exceptions=True)
        await self.charger.close()


def _merge(full: ChargerReading, fast: FastReading) -> ChargerReading:
    """A full reading with what the fast lane saw later."""
    changes: dict[str, Any] = {"grid_present": fast.grid_present, "forming": fast.forming, "grid_at": fast.at}
    if fast.voltage_v is not None:
        changes["voltage_v"] = fast.voltage_v
    if fast.power_w is not None:
        changes["power_w"] = fast.power_w
    if fast.state is not None:
        changes["state"] = fast.state
    if fast.at - full.at <= FULL_READING_LASTS:
        changes["at"] = fast.at
    return replace(full, **changes)
