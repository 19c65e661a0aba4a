"""Site limits: what the service and each of its legs carry, measured at the meter; or what a generator can give.

And what the utility leaves of that, by its capacity limits and while a grid is being built up again; and people.
"""

from collections.abc import Iterator

from edge_service.domain import capacity, persons_limits, rests, service, storms
from edge_service.domain.band import ANY, ZERO, Band
from edge_service.domain.model import frozen_map
from edge_service.domain.program import Direction
from edge_service.domain.view import Narrowing, Statement, View

# A stale meter is waited for so long before charging stops: no breaker trips in that time on what it carried before.
LATE_S = 5.0


def site_limits(view: View) -> tuple[Statement, ...]:
    """Bound the sum of the chargers so that the point of connection stays within its limits.

    A configured meter that does not answer is taken for the worst case: no export, no import on top (a house that
    draws nothing cannot take our power; one that draws all leaves none); charging waits a few seconds for one that is
    late. Without a meter the limits hold for the chargers alone. What the house and chargers that are let alone do
    beyond a limit is not ours to balance: a limit never makes a charger work.
    """
    if view.on_generator:
        return (_generator(view),)
    if not view.tied:
        return (Narrowing("no_export_off_grid", site=Band(0, max(0, view.facts.import_max_w))),)
    return (*_black_start(view), *_capacity(view), *_service(view), *persons_limits.statements(view))


def _capacity(view: View) -> Iterator[Narrowing]:
    """The utility's limits of now, each by its own name; like every limit they make no charger work.

    While a meter that is there does not answer, the worst is assumed anyway, and no more can be.
    """
    if view.others_w is None and view.facts.has_meter:
        return
    for direction in Direction:
        if (limit := capacity.standing(view, direction)) is None or not view.open_chargers:
            continue
        until = None if limit.end is None else limit.end.isoformat()
        data = frozen_map({"limit_w": limit.power_w, "until": until, "program": limit.program_id})
        reason = "import_capacity" if direction is Direction.IMPORT else "export_capacity"
        yield Narrowing(reason, site=capacity.band(view, limit), data=data)


def _black_start(view: View) -> tuple[Statement, ...]:
    """The grid is being built up again: nothing is charged and nothing goes out, until the utility takes it back."""
    alert = storms.black_start(view.observation)
    if alert is None or not view.open_chargers:
        return ()
    gives_w = max(0, view.others_w or 0)
    let_alone_w = sum(view.bands[charger].nearest(0) for charger in view.settled)
    return (
        Narrowing(
            "black_start",
            bands=frozen_map(dict.fromkeys(view.open_chargers, Band(ANY.lo, 0))),
            site=Band(min(let_alone_w, -gives_w), max(0, let_alone_w)),
            data=frozen_map({"until": None if alert.end is None else alert.end.isoformat(), "name": alert.name}),
        ),
    )


def _service(view: View) -> tuple[Statement, ...]:
    facts, others_w = view.facts, view.others_w
    if others_w is None and facts.has_meter:
        let_alone_w = sum(view.bands[charger].nearest(0) for charger in view.settled)
        if _meter_is_late(view):
            return (_goes_on(view, let_alone_w),)
        rest = frozen_map(dict.fromkeys(view.open_chargers, ZERO))
        return (Narrowing("meter_silent", bands=rest, site=Band(let_alone_w, let_alone_w)),)
    data = frozen_map({"house_w": others_w or 0})
    blind = frozen_map(dict.fromkeys(service.on_blind_legs(view), ZERO))
    limits = Narrowing("service_limits", bands=blind, site=service.site(view), legs=service.legs(view), data=data)
    resting = rests.bands(view)
    return (limits, Narrowing("rests_after_limit", bands=frozen_map(resting))) if resting else (limits,)


def _meter_is_late(view: View) -> bool:
    """It told the power a moment ago: a reading or two that are missed are no reason to stop a session."""
    meter = view.observation.meter
    if meter is None or meter.power_w is None:
        return False
    age_s = (view.observation.now - meter.at).total_seconds()
    return 0 <= age_s <= view.facts.stale_after_s + LATE_S


def _goes_on(view: View, let_alone_w: int) -> Narrowing:
    """What was allowed when the meter last told goes on at most, and less as soon as that is wished; no discharge."""
    charging = {name: max(0, view.memory.charger(name).order_w or 0) for name in view.open_chargers}
    return Narrowing(
        "meter_late",
        bands=frozen_map({name: Band(0, power_w) for name, power_w in charging.items()}),
        site=Band(let_alone_w, let_alone_w + sum(charging.values())),
    )


def _generator(view: View) -> Narrowing:
    """A generator takes nothing back, and has little to give: no discharge, and a ceiling on charging in total.

    The meter is no help here: whether it sees the generator depends on where that is wired. What a charger that is let
    alone supplies makes no room for another to draw: it may end at any moment.
    """
    cap_w = view.facts.generator_max_w
    let_alone = [view.bands[charger].nearest(0) for charger in view.settled]
    let_alone_w, drawn_w = sum(let_alone), sum(power_w for power_w in let_alone if power_w > 0)
    return Narrowing(
        "generator",
        bands=frozen_map(dict.fromkeys(view.open_chargers, Band(0, ANY.hi))),
        site=Band(min(0, let_alone_w), let_alone_w + max(0, cap_w - drawn_w)),
        data=frozen_map({"charge_max_w": cap_w}),
    )
