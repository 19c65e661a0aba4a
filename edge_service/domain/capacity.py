"""The utility's bounds on what the site draws or supplies at the point of connection: which of them counts now.

They hold whoever takes part in what; of a program's limits in one direction the best ranked counts, what is subscribed
only while no other speaks. Which of several limits of one rank counts is open in the standard: here the tightest. Of
several programs each is kept to, since their ranks cannot be compared.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache

from edge_service.domain.band import ANY, Band
from edge_service.domain.model import CapacityLimit
from edge_service.domain.program import Direction
from edge_service.domain.view import View

# Without a meter nobody knows what the house draws: the chargers take this part of what the site may.
BLIND_SHARE = 0.5


def best(limits: Iterable[CapacityLimit], direction: Direction, moment: datetime) -> CapacityLimit | None:
    """The limit that counts in this direction at this moment; None: the utility sets none."""
    standing = [limit for limit in limits if limit.direction is direction and _runs_at(limit, moment)]
    ruling = {limit.program_id: limit for limit in sorted(standing, key=_rank, reverse=True)}
    return min(ruling.values(), key=lambda limit: (limit.power_w, limit.id), default=None)


def _runs_at(limit: CapacityLimit, moment: datetime) -> bool:
    return limit.start <= moment and (limit.end is None or moment < limit.end)


def _rank(limit: CapacityLimit) -> tuple[bool, bool, int, int, str]:
    return limit.subscribed, limit.priority is None, limit.priority or 0, limit.power_w, limit.id


def standing(view: View, direction: Direction) -> CapacityLimit | None:
    """The limit that counts now."""
    return best(view.observation.capacity_limits, direction, view.observation.now)


def band(view: View, limit: CapacityLimit) -> Band:
    """What a limit leaves to all chargers together. Without a meter: no export, and part of the import."""
    others_w, most_w = view.others_w, max(0, limit.power_w)
    if limit.direction is Direction.IMPORT:
        return Band(ANY.lo, int(most_w * BLIND_SHARE) if others_w is None else most_w - others_w)
    return Band(0 if others_w is None else -most_w - others_w, ANY.hi)


def site(view: View) -> Band:
    """What all limits of now leave to all chargers together."""
    left = ANY
    for direction in Direction:
        limit = standing(view, direction)
        left = left if limit is None else left.squeeze(band(view, limit))
    return left


def least_export_w(view: View, start: datetime, end: datetime) -> int | None:
    """The tightest export limit of a time to come, as far as it is told; None: the utility sets none."""
    limits = tuple([limit for limit in view.observation.capacity_limits if limit.direction is Direction.EXPORT])
    if not limits:
        return None
    moments, bounds_w = _export_steps(limits)
    first, last = bisect_right(moments, start) - 1, bisect_left(moments, end)
    return min((bound_w for bound_w in bounds_w[max(0, first) : last] if bound_w is not None), default=None)


@lru_cache(maxsize=4)
def _export_steps(limits: tuple[CapacityLimit, ...]) -> tuple[list[datetime], list[int | None]]:
    """From when which bound counts, until the next of these moments. They stay the same for many cycles."""
    moments = sorted(set(edges(limits)))
    found = [best(limits, Direction.EXPORT, moment) for moment in moments]
    return moments, [None if limit is None else max(0, limit.power_w) for limit in found]


def edges(limits: Iterable[CapacityLimit]) -> Iterator[datetime]:
    """When limits begin and end."""
    for limit in limits:
        yield limit.start
        if limit.end is not None:
            yield limit.end
