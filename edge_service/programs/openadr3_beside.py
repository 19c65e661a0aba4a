"""What an OpenADR 3 event says besides asking for power: warnings, limits at the point of connection, prices."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from edge_service.domain.model import Alert
from edge_service.domain.program import CapacityLimit, Price
from edge_service.domain.timeline import Sight
from edge_service.programs.openadr3_alerts import alerts_of
from edge_service.programs.openadr3_limits import MOST_LIMITS, limits_of
from edge_service.programs.openadr3_objects import EventObject
from edge_service.programs.openadr3_prices import prices_of, ruling


@dataclass(frozen=True, slots=True)
class Beside:
    """Of one event, what runs or comes. ``rank`` sorts events by who wins, as ``timeline.rank``."""

    rank: tuple[bool, int, datetime, str]
    alerts: tuple[Alert, ...] = ()
    limits: tuple[CapacityLimit, ...] = ()
    prices: tuple[Price, ...] = ()

    def stands(self, now: datetime) -> bool:
        """Whether any of it is not over."""
        ends = [one.end for one in self.alerts] + [one.end for one in self.limits] + [one.end for one in self.prices]
        return any(end is None or end > now for end in ends)


def beside(one: EventObject, sight: Sight, now: datetime, *, uid: str, program: str, name: str) -> Beside | None:
    """None: it says nothing of the kind."""
    if not (one.alerts or one.limits or one.prices):
        return None
    schedule = one.schedule
    return Beside(
        (one.priority is None, one.priority or 0, sight.seen_at, uid),
        tuple(alerts_of(one.alerts, schedule, sight, now, uid=uid, source=program, name=one.name or name)),
        tuple(limits_of(one.limits, schedule, sight, now, uid=uid, program=program, priority=one.priority)),
        tuple(prices_of(one.prices, schedule, sight, now, program=program)),
    )


def alerts_in(several: Iterable[Beside]) -> tuple[Alert, ...]:
    return tuple(alert for one in several for alert in one.alerts)


def limits_in(several: Iterable[Beside]) -> tuple[CapacityLimit, ...]:
    """The next ones of all events; the subscribed first, so that what else speaks never crowds them out."""
    found = sorted((limit for one in several for limit in one.limits), key=lambda one: (not one.subscribed, one.start))
    return tuple(found[:MOST_LIMITS])


def prices_in(several: Iterable[Beside]) -> tuple[Price, ...]:
    """Not overlapping within a kind: of two events the better ranked counts, and the other resumes."""
    return ruling(_ranked(several))


def _ranked(several: Iterable[Beside]) -> Iterator[Price]:
    for one in sorted(several, key=attrgetter("rank")):
        yield from one.prices
