"""Site limits: what the service and each of its legs carry, measured at the meter; or what a generator can give."""

from functools import cache

from edge_service.domain.band import ANY, MILLION, ZERO, Band, Sum
from edge_service.domain.model import SiteFacts, frozen_map
from edge_service.domain.view import Narrowing, Statement, View


def site_limits(view: View) -> tuple[Statement, ...]:
    """Bound the sum of the chargers so that the point of connection stays within its limits.

    A configured meter that does not answer is taken for the worst case: no export, no import on top (a house that
    draws nothing cannot take our power; one that draws all leaves none). Without a meter the limits hold for the
    chargers alone. What the house and chargers that are let alone do beyond a limit is not ours to balance: a limit
    never makes a charger work.
    """
    if view.on_generator:
        return (_generator(view),)
    if not view.tied:
        return (Narrowing("no_export_off_grid", site=Band(0, max(0, view.facts.import_max_w))),)
    facts, others_w = view.facts, view.others_w
    if others_w is None and facts.has_meter:
        let_alone_w = sum(view.bands[charger].nearest(0) for charger in view.settled)
        rest = frozen_map(dict.fromkeys(view.open_chargers, ZERO))
        return (Narrowing("meter_silent", bands=rest, site=Band(let_alone_w, let_alone_w)),)
    others_w = others_w or 0
    site = Band(-facts.export_max_w - others_w, facts.import_max_w - others_w)
    data = frozen_map({"house_w": others_w})
    blind = frozen_map(dict.fromkeys(_on_blind_legs(view), ZERO))
    return (Narrowing("service_limits", bands=blind, site=site, legs=_legs(view), data=data),)


def _told(view: View) -> tuple[int | None, ...]:
    """What the meter tells of each leg; empty: it has not so many, and only the chargers' own part is bounded."""
    meter, count = view.observation.meter, len(view.facts.leg_max_w)
    told = meter.leg_power_w[:count] if view.facts.has_meter and meter is not None else ()
    return told if len(told) == count else ()


def _on_blind_legs(view: View) -> list[str]:
    """A leg that is told otherwise but not now is taken for full: nothing more on it, in either direction."""
    blind = [leg for leg, leg_w in enumerate(_told(view)) if leg_w is None]
    return [name for name in view.open_chargers if blind and any(_parts(view.facts, name)[leg] for leg in blind)]


def _legs(view: View) -> tuple[Sum, ...]:
    """What each leg's part of the breaker leaves the chargers."""
    facts, told = view.facts, _told(view)
    known = {name: reading.power_w or 0 for name in facts.chargers if (reading := view.reading(name)) is not None}
    legs = []
    for leg, most_w in enumerate(facts.leg_max_w):
        parts = frozen_map({name: _parts(facts, name)[leg] for name in facts.chargers})
        leg_w = told[leg] if told else 0
        others_u = leg_w * MILLION - Sum(ANY, parts).of(known) if told and leg_w is not None else 0
        low_w, high_w = -((most_w * MILLION + others_u) // MILLION), (most_w * MILLION - others_u) // MILLION
        legs.append(Sum(ANY if leg_w is None else Band(low_w, high_w), parts))
    return tuple(legs)


def _parts(facts: SiteFacts, charger: str) -> tuple[int, ...]:
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


def _generator(view: View) -> Narrowing:
    """A generator takes nothing back, and has little to give: no discharge, and a ceiling on charging in total.

    The meter is no help here: whether it sees the generator depends on where that is wired.
    """
    cap_w = view.facts.generator_max_w
    let_alone_w = sum(view.bands[charger].nearest(0) for charger in view.settled)
    return Narrowing(
        "generator",
        bands=frozen_map(dict.fromkeys(view.open_chargers, Band(0, ANY.hi))),
        site=Band(min(0, let_alone_w), max(cap_w, let_alone_w)),
        data=frozen_map({"charge_max_w": cap_w}),
    )
