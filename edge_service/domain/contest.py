"""Another controller at the same charger: what tells its overwriting from the charger's own acts; when we yield."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from edge_service.domain.model import (
    Authority,
    Capability,
    ChargerReading,
    ChargerState,
    Hold,
    Limits,
    Order,
    Pause,
    Power,
)

# So many overwritten orders within this time are no accident (a person at the app, a restart of the charger).
OVERWRITES = 3
WITHIN = timedelta(minutes=5)
# Whoever yields writes nothing and so cannot see whether the other still would: it must try again, ever more rarely.
FIRST_YIELD, LONGEST_YIELD = timedelta(minutes=10), timedelta(hours=1)

_COMMANDS_ITSELF = frozenset({Authority.LOCAL, Authority.APP, Authority.OCPP})
_OWN_STATES = frozenset(
    {
        ChargerState.OFFLINE,
        ChargerState.BOOTING,
        ChargerState.UNAVAILABLE,
        ChargerState.DISCONNECTED,
        ChargerState.BLOCKED,
        ChargerState.FAULT,
    }
)


@dataclass(frozen=True, slots=True)
class Contest:
    """Overwritten orders of late, and the yielding that they led to: ``since`` to ``until``; ``yields`` in a row."""

    overwrites: tuple[datetime, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    yields: int = 0

    def overwritten(self, at: datetime) -> Contest:
        """One more of our orders was overwritten."""
        if self.since is not None:
            return self
        recent = (*(one for one in self.overwrites if timedelta() <= at - one < WITHIN), at)
        if len(recent) < OVERWRITES:
            return replace(self, overwrites=recent)
        again = self.until is not None and timedelta() <= at - self.until < LONGEST_YIELD
        yields = self.yields + 1 if again else 1
        return Contest(recent, at, at + min(LONGEST_YIELD, FIRST_YIELD * 2 ** (yields - 1)), yields)

    def now(self, now: datetime) -> Contest:
        """As it stands now: a yielding ends by time. So does one from the future: the clock was set back."""
        if self.since is None or self.until is None or self.since <= now < self.until:
            return self
        return replace(self, overwrites=(), since=None)

    def shifted(self, by: timedelta) -> Contest:
        """The same after the wall clock was set: what was counted and for how long stays."""
        return Contest(
            tuple(one + by for one in self.overwrites),
            None if self.since is None else self.since + by,
            None if self.until is None else self.until + by,
            self.yields,
        )


def is_charger_s_own_doing(reading: ChargerReading) -> bool:
    """Whether the charger itself may have dropped the order: commanded on the spot, off the grid, faulty, empty."""
    return (
        reading.authority in _COMMANDS_ITSELF
        or reading.state in _OWN_STATES
        or reading.grid_present is False
        or reading.forming is True
        or reading.plugged is False
        or reading.service_permitted is False
    )


def is_overwritten(order: Order, reading: ChargerReading, capability: Capability, *, withdrawn: bool) -> bool:
    """Whether the registers hold another order than ours, which stood.

    ``withdrawn``: a charger that follows no setpoint any more did not drop it by itself, as its lease still ran.
    What differs by less than the charger's own tolerance and step contests nothing. Orders that want no power say
    nothing about the setpoint of a charger that follows none.
    """
    match order:
        case Power(w=w):
            if reading.setpoint_w is None:
                return withdrawn
            return _differs(w, reading.setpoint_w, capability) and not _is_own_limit(w, reading)
        case Hold() | Pause():
            return reading.setpoint_w is not None and _differs(0, reading.setpoint_w, capability)
        case Limits(charge_max_w=charge_w, discharge_max_w=discharge_w):
            limits = reading.limits
            return limits is not None and (
                _differs(charge_w, limits.charge_max_w, capability)
                or _differs(discharge_w, limits.discharge_max_w, capability)
            )
        case _:
            return False


def _differs(ours_w: int, found_w: int, capability: Capability) -> bool:
    """A device may also keep what it was told on a grid of its own."""
    return abs(found_w - ours_w) > max(capability.tolerance_of(ours_w), 2 * capability.step_w)


def _is_own_limit(ordered_w: int, reading: ChargerReading) -> bool:
    """A charger that was derated may cut the setpoint down to the limit that it reports."""
    limit_w = reading.charge_max_w if ordered_w > 0 else reading.discharge_max_w
    found_w = reading.setpoint_w or 0
    same_way = found_w * ordered_w >= 0
    return same_way and limit_w is not None and limit_w < abs(ordered_w) and abs(found_w) <= limit_w
