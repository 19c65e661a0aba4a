"""The point of connection: what the service and each of its legs leave the chargers now."""

from functools import cache

from edge_service.domain.band import ANY, MILLION, Band, Sum
from edge_service.domain.model import SiteFacts, frozen_map
from edge_service.domain.view import View


def site(view: View) -> Band:
    """What the service leaves to all chargers together. What the house draws is taken for 0 where it is not known."""
    facts, others_w = view.facts, view.others_w or 0
    return Band(-facts.export_max_w - others_w, facts.import_max_w - others_w)


def _told(view: View) -> tuple[int | None, ...]:
    """What the meter tells of each leg; empty: it has not so many, and only the chargers' own part is bounded."""
    meter, count = view.observation.meter, len(view.facts.leg_max_w)
    told = meter.leg_power_w[:count] if view.facts.has_meter and meter is not None else ()
    return told if len(told) == count else ()


def on_blind_legs(view: View) -> list[str]:
    """A leg that is told otherwise but not now is taken for full: nothing more on it, in either direction."""
    blind = [leg for leg, leg_w in enumerate(_told(view)) if leg_w is None]
    return [name for name in view.open_chargers if blind and any(parts_on(view.facts, name)[leg] for leg in blind)]


def legs(view: View) -> tuple[Sum, ...]:
    """What each leg's part of the breaker leaves the chargers."""
    facts, told, found = view.facts, _told(view), []
    others_u = view.memory.others_u[1:]
    for leg, most_w in enumerate(facts.leg_max_w):
        parts = frozen_map({name: parts_on(facts, name)[leg] for name in facts.chargers})
        blind = bool(told) and told[leg] is None
        leg_u = (others_u[leg] if told and len(others_u) == len(told) else None) or 0
        low_w, high_w = -((most_w * MILLION + leg_u) // MILLION), (most_w * MILLION - leg_u) // MILLION
        found.append(Sum(ANY if blind else Band(low_w, high_w), parts))
    return tuple(found)


def parts_on(facts: SiteFacts, charger: str) -> tuple[int, ...]:
    """Millionths of the charger's power on each leg of the service."""
    return parts_of_legs(facts.chargers[charger].legs, len(facts.leg_max_w))


@cache
def parts_of_legs(legs: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Millionths of a charger's power on each leg of a service with so many; no ``legs``: it is on all of them.

    Between two legs of a split phase each carries half. Between two of three phases the current is that of the power
    at 208 V, which on a leg of 120 V is 1/sqrt(3) of the power. Rounded up.
    """
    on = legs or tuple(range(1, count + 1))
    part = 577_351 if (len(on), count) == (2, 3) else -(-MILLION // len(on))
    return tuple(part if leg in on else 0 for leg in range(1, count + 1))
