"""Capacity limits and prices as utilities announced them: who takes back which, kept over a restart."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Protocol

from edge_service.domain.model import CapacityLimit, Price

# No utility sets so many at once; more are a mistake, and each costs time in every cycle.
MOST_LIMITS = 300
MOST_PRICES = 300


class AnnouncedStore(Protocol):
    """Where they are kept. Raises OSError."""

    async def save_limits(self, limits: Sequence[CapacityLimit]) -> None: ...

    async def save_prices(self, prices: Sequence[Price]) -> None: ...


class Announced:
    """What all programs say, as far as it is not over. The same objects come back until something changes."""

    def __init__(
        self, store: AnnouncedStore, limits: Sequence[CapacityLimit] = (), prices: Sequence[Price] = ()
    ) -> None:
        self._store = store
        self._limits, self._prices = tuple(limits), tuple(prices)
        self._limits_kept = self._prices_kept = True

    def limits(self, now: datetime) -> tuple[CapacityLimit, ...]:
        """Limits that run or come."""
        if any(_is_over(limit, now) for limit in self._limits):
            self._limits = tuple(limit for limit in self._limits if not _is_over(limit, now))
        return self._limits

    def prices(self, now: datetime) -> tuple[Price, ...]:
        """Prices that count now or later."""
        if any(price.end <= now for price in self._prices):
            self._prices = tuple(price for price in self._prices if price.end > now)
        return self._prices

    def say(self, program: str, limits: Sequence[CapacityLimit], prices: Sequence[Price], now: datetime) -> bool:
        """All that stands by this program's word: others of its are over. Returns whether anything changed."""
        told = sorted(limits, key=lambda limit: (not limit.subscribed, limit.start))[:MOST_LIMITS]
        limits_now = (*_of_others(self.limits(now), program), *(one for one in told if not _is_over(one, now)))
        quoted = sorted(prices, key=attrgetter("start"))[:MOST_PRICES]
        prices_now = (*_of_others(self.prices(now), program), *(one for one in quoted if one.end > now))
        other_limits, other_prices = set(limits_now) != set(self._limits), set(prices_now) != set(self._prices)
        if other_limits:
            self._limits, self._limits_kept = limits_now, False
        if other_prices:
            self._prices, self._prices_kept = prices_now, False
        return other_limits or other_prices

    def after_outage(self) -> bool:
        """Only what was subscribed counts until the utilities speak again (user guide of OpenADR 3.1, 8.10.1)."""
        subscribed = tuple(limit for limit in self._limits if limit.subscribed)
        if len(subscribed) == len(self._limits):
            return False
        self._limits, self._limits_kept = subscribed, False
        return True

    async def keep(self) -> None:
        """Write what is not on disk yet. Raises OSError: it counts, and is written with the next word."""
        if not self._limits_kept:
            limits = self._limits
            await self._store.save_limits(limits)
            self._limits_kept = limits is self._limits
        if not self._prices_kept:
            prices = self._prices
            await self._store.save_prices(prices)
            self._prices_kept = prices is self._prices


def _is_over(limit: CapacityLimit, now: datetime) -> bool:
    return limit.end is not None and limit.end <= now


def _of_others[T: (CapacityLimit, Price)](announced: Sequence[T], program: str) -> tuple[T, ...]:
    return tuple(one for one in announced if one.program_id != program)
