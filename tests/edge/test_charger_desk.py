"""The desk of one charger: one order under way, the newest waits, and a withdrawal that waits is not forgotten."""

import asyncio
from datetime import UTC, datetime

import pytest

from edge_service.charger_desk import ChargerDesk
from edge_service.domain.model import Capability, ChargerReading, Order, Pause, Power, Release, Stop
from edge_service.ports import DeviceIdentity, FastReading

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)


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
        raise NotImplementedError

    async def read(self, now: datetime) -> ChargerReading:
        raise NotImplementedError

    async def read_fast(self, now: datetime) -> FastReading:
        raise NotImplementedError

    async def close(self) -> None: ...


async def taken(*orders: Order | None) -> list[Order]:
    """What reaches a charger that is busy with the first of the orders while the others are given."""
    charger = SlowCharger()
    desk = ChargerDesk(charger, lambda: None)
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
