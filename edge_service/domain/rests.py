"""Rest after a limit left a charger less than its least power: started each time that it fits, its contactors wear out.

What a person or an event asks anew starts at once, and a departure that is late waits a minute only. What takes power
away, an outage and a stop wait for nothing: a rest only keeps a charger from being started.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain import capacity, service
from edge_service.domain.band import ANY, MILLION, Band, Sum
from edge_service.domain.memory import ChargerMemory, DepartureStage
from edge_service.domain.ruling import ruling
from edge_service.domain.view import View

RESTS_AT_LEAST = timedelta(minutes=5)
LATE_RESTS = timedelta(minutes=1)
# So long after, it starts only with this share of its least power to spare: what took the room may come again.
WARY_FOR = timedelta(minutes=30)
SPARE_SHARE = 0.25
UP, DOWN = 1, -1


def bands(view: View) -> Mapping[str, Band]:
    """What is left to the open chargers that are not to be started now: not the direction in which they rest."""
    resting = {name: (_rests(view, name, UP), _rests(view, name, DOWN)) for name in view.open_chargers}
    return {
        name: Band(0 if down else ANY.lo, 0 if up else ANY.hi) for name, (up, down) in resting.items() if up or down
    }


def follow(
    view: View, before: Mapping[str, ChargerMemory], after: Mapping[str, ChargerMemory]
) -> dict[str, ChargerMemory]:
    """What is remembered after a decision, with since when a limit keeps each charger from what it did before."""
    return {name: _followed(view, name, before.get(name), after) for name in after}


def _followed(view: View, name: str, before: ChargerMemory | None, after: Mapping[str, ChargerMemory]) -> ChargerMemory:
    memory, reading = after[name], view.reading(name)
    was_w = (before.order_w if before else None) or 0
    if memory.order_w or (reading is not None and reading.plugged is False):
        if memory.no_charge_since is None and memory.no_discharge_since is None:
            return memory
        return replace(memory, no_charge_since=None, no_discharge_since=None)
    if memory.order_w is None or not was_w or not _is_crowded_out(view, name, UP if was_w > 0 else DOWN, after):
        return memory
    now = view.observation.now
    return replace(memory, no_charge_since=now) if was_w > 0 else replace(memory, no_discharge_since=now)


def _is_crowded_out(view: View, name: str, sign: int, after: Mapping[str, ChargerMemory]) -> bool:
    """Whether its least power has no room beside what the others were ordered. Nobody took it away by an order."""
    settled, least_w = view.settled.get(name), _least_w(view, name, sign)
    if not view.tied or not least_w or settled is None or settled.instead is not None:
        return False
    if view.others_w is None and view.facts.has_meter:
        return sign > 0  # an event goes on as soon as the meter is back
    powers = {other: _power_w(view, other, memory) for other, memory in after.items()}
    powers[name] = sign * least_w
    return any(_left_u(bound, powers, sign) < 0 for bound in _bounds(view))


def _rests(view: View, name: str, sign: int) -> bool:
    memory, now = view.memory.charger(name), view.observation.now
    since = memory.no_charge_since if sign > 0 else memory.no_discharge_since
    if since is None or not view.tied or now >= since + WARY_FOR or _is_asked_anew(view, name, since):
        return False
    stage = memory.departure.stage if memory.departure and sign > 0 else None
    if now < since + (LATE_RESTS if stage is DepartureStage.LATE else RESTS_AT_LEAST):
        return True
    return stage not in (DepartureStage.LATE, DepartureStage.CHARGES) and _has_little_to_spare(view, name, sign)


def _is_asked_anew(view: View, name: str, since: datetime) -> bool:
    """Whether a person's order was placed, or an event's slot has begun, since then."""
    now, order = view.observation.now, view.settings.manual.get(name)
    if order is not None and since <= order.placed_at and now < order.until:
        return True
    call = ruling(view)
    return call is not None and since <= call.slot.start


def _has_little_to_spare(view: View, name: str, sign: int) -> bool:
    """Whether its least power would fit beside the least of those that work, but hardly more."""
    powers = {other: _power_w(view, other, view.memory.charger(other)) for other in view.facts.chargers}
    working = {other for other, power_w in powers.items() if power_w * sign > 0 and view.takes_setpoint(other)}
    least_w = {other: sign * (_least_w(view, other, sign) or abs(powers[other])) for other in working}
    powers |= least_w | {name: sign * _least_w(view, name, sign)}
    spare_w = round(_least_w(view, name, sign) * SPARE_SHARE)
    left = [(_left_u(bound, powers, sign), bound.part(name)) for bound in _bounds(view)]
    return all(left_u >= 0 for left_u, _ in left) and any(left_u < spare_w * part for left_u, part in left)


def _least_w(view: View, name: str, sign: int) -> int:
    capability = view.capability(name)
    if capability is None or not view.takes_setpoint(name):
        return 0
    return capability.min_charge_w if sign > 0 else capability.min_discharge_w


def _power_w(view: View, name: str, memory: ChargerMemory) -> int:
    """What it was ordered, or does where it was ordered nothing."""
    if memory.order_w is not None and view.takes_setpoint(name):
        return memory.order_w
    reading = view.reading(name)
    return (reading.power_w if reading else None) or 0


def _bounds(view: View) -> list[Sum]:
    return [Sum(service.site(view).squeeze(capacity.site(view))), *service.legs(view)]


def _left_u(bound: Sum, powers: Mapping[str, int], sign: int) -> int:
    """Millionths of a watt that are left beyond these powers, upwards or downwards."""
    now_u = bound.of(powers)
    return bound.band.hi * MILLION - now_u if sign > 0 else now_u - bound.band.lo * MILLION
