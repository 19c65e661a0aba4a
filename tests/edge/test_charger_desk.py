"""The desk of one charger: one order under way, the newest waits, and a withdrawal that waits is not forgotten."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from edge_service.charger_desk import ChargerDesk
from edge_service.domain.model import (
    Capability,
    ChargerReading,
    ChargerState,
    Control,
    Order,
    Pause,
    Power,
    Release,
    Stop,
)
from edge_service.ports import DeviceIdentity, FastReading

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)


class StoppedClock:
    """The wall clock stands where it is put; the other one runs."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return time.monotonic()


class SlowCharger:
    """A charger that takes an order only when it is let."""

    id = "left"
    has_fast_lane = False

    def __init__(self) -> None:
        self.taken: list[Order] = []
        self.begun = asyncio.Event()
        self.let = asyncio.Event()

    async def order(self, order: Order, now: datetime) -> None:
        self.begun.set()
        await self.let.wait()
        self.taken.append(order)

    async def probe(self) -> tuple[DeviceIdentity, Capability]:
        return DeviceIdentity("SimVendor", "Sim", "1"), Capability(Control.SIGNED, 9600, 9600)

    async def read(self, now: datetime) -> ChargerReading:
        return ChargerReading(now, ChargerState.IDLE, grid_present=True, forming=False)

    async def read_fast(self, now: datetime) -> FastReading:
        return FastReading(now, grid_present=False, forming=False)

    async def close(self) -> None: ...


async def taken(*orders: Order | None) -> list[Order]:
    """What reaches a charger that is busy with the first of the orders while the others are given."""
    charger = SlowCharger()
    desk = ChargerDesk(charger, lambda: None, StoppedClock())
    desk.give(orders[0], NOW)
    async with asyncio.timeout(5):
        await charger.begun.wait()
        for order in orders[1:]:
            desk.give(order, NOW)
        charger.let.set()
        await desk.close()
    return charger.taken


async def test_of_the_orders_that_wait_the_newest_is_given() -> None:
    assert await taken(Power(-1), Power(-2), Power(-3)) == [Power(-1), Power(-3)]


async def test_a_withdrawal_that_waits_is_given_although_the_next_cycle_lets_the_charger_alone() -> None:
    assert await taken(Power(-1), Release(), None) == [Power(-1), Release()]


@pytest.mark.parametrize("order", [Power(-2), Pause(), Stop()])
async def test_any_other_order_that_waits_is_dropped_when_the_charger_is_let_alone(order: Order) -> None:
    assert await taken(Power(-1), order, None) == [Power(-1)]


@pytest.mark.parametrize(("full_reading_is_s_old", "stays_fresh"), [(3, True), (31, False)])
async def test_what_the_fast_lane_saw_stands_in_the_reading_and_keeps_a_young_one_fresh(
    full_reading_is_s_old: float, stays_fresh: bool
) -> None:
    seen, clock = asyncio.Event(), StoppedClock()
    desk = ChargerDesk(SlowCharger(), seen.set, clock)
    await desk.read()
    clock.at = NOW + timedelta(seconds=full_reading_is_s_old)
    lane = asyncio.create_task(desk.watch(0.001))
    async with asyncio.timeout(5):
        await seen.wait()
    lane.cancel()
    reading = desk.reading
    assert reading is not None
    assert reading.at == (clock.at if stays_fresh else NOW)
    assert (reading.grid_present, reading.grid_at) == (False, clock.at)
