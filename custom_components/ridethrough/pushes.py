"""When a pushed state is shown: numbers ten times a second at most, all else that changes at once."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import wire
from .pace import Bucket

# To show one takes 0.7 ms in a home and 6 ms in a depot of forty: 200 a second would be more than a core.
PER_S, AT_ONCE = 10.0, 10

# Parts of the state that are told anew with each measurement, though they are no plain numbers.
MEASURED = frozenset({"evidence", "why", "runtime", "leg_power_w", "last_contact"})


class Shown:
    """Shows the newest state: now, or within a tenth of a second when only numbers changed, many times over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, show: Callable[[wire.State], None]) -> None:
        self._loop, self._show = loop, show
        self._bucket = Bucket(AT_ONCE, PER_S)
        self._newest: wire.State | None = None
        self._timer: asyncio.TimerHandle | None = None

    def take(self, state: wire.State, change: Mapping[str, Any]) -> None:
        """A change of the edge, which led to this state."""
        self._newest = state
        wait_s = self._bucket.wait_s(self._loop.time())
        if wait_s <= 0 or not is_measurement(change["set"], change["removed"]):
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(wait_s, self.flush)

    def flush(self) -> None:
        """Show what waits, if anything does."""
        newest = self._newest
        self.drop()
        if newest is not None:
            self._bucket.take()
            self._show(newest)

    def drop(self) -> None:
        """What waits is not to be shown any more."""
        self._newest = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def is_measurement(put: Iterable[Any], gone: Iterable[Any]) -> bool:
    """Whether nothing but measured numbers changed."""
    return not gone and all(_is_number(value) or not MEASURED.isdisjoint(path) for path, value in put)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
