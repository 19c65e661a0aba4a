"""What the others at the meter use, though meter and chargers speak of different moments.

A meter's value may be of a moment before our last change and a charger's of one after it, or the other way round. Their
difference then shows our own change as the house's, and who follows that follows himself. So each charger counts with
every power that it may have had lately: what the others use lies in a range. The former estimate stands while it is
inside; else it moves to the range's nearer end, at once. While nothing of ours changes, the range is one number.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain.band import MILLION, Band
from edge_service.domain.memory import ChargerMemory, Lately, Memory
from edge_service.domain.model import ChargerReading, Lease, SiteFacts
from edge_service.domain.service import parts_on
from edge_service.domain.view import View

# How old a device's value may be when it is read: a Sigenergy charger's own power up to 4 s, a usual meter's 1 to 2 s.
SKEW = timedelta(seconds=4)
# What happened within this is kept as one.
MOMENT = timedelta(seconds=1)


def follow_charger(view: View, name: str, memory: ChargerMemory) -> ChargerMemory:
    """With what the charger is measured to do now, and what the meter may still be telling of it."""
    reading = view.reading(name)
    tells = reading is not None and reading.power_w is not None
    if memory.tells is not tells:
        memory = replace(memory, tells=tells)
    if reading is None:
        return _fallen_silent(view, name, memory)
    if memory.held is not None:
        memory = replace(memory, held=None, held_until=None)
    if reading.power_w is None:
        return memory
    under_way = _is_under_way(view, name, memory)
    if reading.power_w == memory.seen_w and not memory.lately and not under_way:
        return memory
    return _measured(view, name, memory, reading.power_w, under_way=under_way)


def _is_under_way(view: View, name: str, memory: ChargerMemory) -> bool:
    """It may not have come to its order yet, or have done so unseen."""
    if memory.order_since is None:
        return False
    capability = view.capability(name)
    settle_s = 0.0 if capability is None else capability.settle_s
    return view.observation.now - memory.order_since <= SKEW + timedelta(seconds=settle_s)


def _measured(view: View, name: str, memory: ChargerMemory, power_w: int, *, under_way: bool) -> ChargerMemory:
    """While nothing was changed, a play as small as the device's tolerance is not a change."""
    now, capability = view.observation.now, view.capability(name)
    lately = tuple([one for one in memory.lately if one.since + MOMENT + SKEW >= _meter_at(view)])
    play_w = 0.0 if under_way or capability is None else capability.tolerance_of(memory.seen_w or 0)
    seen_w = memory.seen_w
    if seen_w is not None and abs(power_w - seen_w) > play_w:
        lately = _with(lately, seen_w, now)
    if under_way and memory.order_w not in (None, power_w) and view.takes_setpoint(name):
        lately = _with(lately, memory.order_w or 0, now)
    seen_w = power_w if seen_w is None or abs(power_w - seen_w) > play_w else seen_w
    return (
        memory if (seen_w, lately) == (memory.seen_w, memory.lately) else replace(memory, seen_w=seen_w, lately=lately)
    )


def _meter_at(view: View) -> datetime:
    now = view.observation.now
    meter = view.facts.fresh(view.observation.meter, now)
    return now - timedelta(seconds=view.facts.stale_after_s) if meter is None else min(meter.at, now)


def _with(lately: tuple[Lately, ...], power_w: int, now: datetime) -> tuple[Lately, ...]:
    if not lately or now - lately[-1].since >= MOMENT:
        return (*lately, Lately(now, power_w, power_w))
    last = lately[-1]
    return (*lately[:-1], Lately(last.since, min(last.low_w, power_w), max(last.high_w, power_w)))


def _fallen_silent(view: View, name: str, memory: ChargerMemory) -> ChargerMemory:
    """Remember what it may go on doing: its order until the lease has surely run out, without one until it is seen."""
    if memory.silent_since is not None or memory.held is not None:
        return memory
    known = [power_w for power_w in (memory.order_w, memory.seen_w) if power_w]
    if not known:
        return memory
    facts = view.facts.chargers[name]
    leased = facts.capability is None or (facts.capability.lease is not Lease.NONE and memory.order_w is not None)
    until = view.observation.now + timedelta(seconds=facts.lease_s) if leased else None
    return replace(memory, held=(min(0, *known), max(0, *known)), held_until=until)


def estimate(view: View, former: Memory) -> tuple[int | None, ...]:
    """What the others use, the site first, then each leg, in millionths of a watt; None: never told.

    A charger that tells its power no more is one of the others from now on, with what it did last; one that tells it
    again is none of them any more.
    """
    facts, before = view.facts, view.memory.others_u
    meter = facts.fresh(view.observation.meter, view.observation.now)
    if meter is None:
        return before
    count = len(facts.leg_max_w)
    told = (meter.power_w, *(meter.leg_power_w[:count] if len(meter.leg_power_w) >= count else ()))
    before = before if len(before) == len(told) else (None,) * len(told)
    seen = {name: one for name in facts.chargers if (one := view.reading(name)) and one.power_w is not None}
    ranges = {name: _range(view.memory.charger(name), one) for name, one in seen.items()}
    joined_w = _joined_w(view, former, seen)
    return tuple(
        _nearest(
            None if was_u is None else was_u + sum([_part(facts, name, place) * w for name, w in joined_w.items()]),
            told_w,
            seen,
            ranges,
            {name: _part(facts, name, place) for name in seen},
        )
        for place, (was_u, told_w) in enumerate(zip(before, told, strict=True))
    )


def _joined_w(view: View, former: Memory, seen: Mapping[str, ChargerReading]) -> Mapping[str, int]:
    """Power that joined the others since the last estimate, per charger; less than none: it left them, drawing."""
    joined: dict[str, int] = {}
    for name in view.facts.chargers:
        memory = former.charger(name)
        if memory.tells and name not in seen:
            joined[name] = memory.seen_w or 0
        elif not memory.tells and name in seen:
            joined[name] = -(seen[name].power_w or 0)
    return joined


def _part(facts: SiteFacts, charger: str, place: int) -> int:
    """Of the charger's power, how much counts for the site (place 0) or for a leg (from 1), in millionths."""
    return MILLION if place == 0 else parts_on(facts, charger)[place - 1]


def _range(memory: ChargerMemory, reading: ChargerReading) -> Band:
    power_w = reading.power_w or 0
    if not memory.lately:
        return Band(power_w, power_w)
    lows, highs = [one.low_w for one in memory.lately], [one.high_w for one in memory.lately]
    return Band(min(power_w, *lows), max(power_w, *highs))


def _nearest(
    was_u: int | None,
    told_w: int | None,
    seen: Mapping[str, ChargerReading],
    ranges: Mapping[str, Band],
    part: Mapping[str, int],
) -> int | None:
    if told_w is None:
        return was_u
    told_u = told_w * MILLION
    if was_u is None:
        return told_u - sum([part[name] * (one.power_w or 0) for name, one in seen.items()])
    low_u = told_u - sum([part[name] * band.hi for name, band in ranges.items()])
    high_u = told_u - sum([part[name] * band.lo for name, band in ranges.items()])
    return min(max(was_u, low_u), high_u)
