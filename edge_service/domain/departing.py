"""Departures: what each vehicle lacks, whether that can wait, and with how much it will leave.

Vehicles share the site's power, so they are judged together; how is in ``forecast.py``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from edge_service.domain.band import MILLION, Sum
from edge_service.domain.forecast import (
    HEAD_START,
    TIME_FACTOR,
    Job,
    Room,
    Slack,
    delivered_h,
    hours_to_reach,
    slacks,
)
from edge_service.domain.memory import ChargerMemory, DepartureMemory, DepartureStage
from edge_service.domain.model import Departure, frozen_map
from edge_service.domain.ruling import ruling
from edge_service.domain.view import View

# A vehicle that does not tell its size is taken for a large one, so that charging begins early rather than late.
ASSUMED_CAPACITY_WH = 100_000
# EPA ratings of US electric cars lie between about 2 (pickup trucks) and 4: a start, until the resident says otherwise.
DEFAULT_MILES_PER_KWH = 3.0
# The charge reading moves by itself and often comes in whole percent.
REACHED_WITHIN_PCT = 0.5
LEFT_AGAIN_PCT = 1.0
# Beyond this a departure is called late, and on time again only with as much to spare.
LATE_BY_H = 5 / 60
# What forbids a discharge for the departure's sake lets go only with this much to spare.
KEEP_MORE_H = 10 / 60
# Room that other loads take for moments is no reason to begin, nor to warn anybody.
ROOM_SETTLES = timedelta(seconds=60)

UNDER_WAY = frozenset({DepartureStage.CHARGES, DepartureStage.LATE})


@dataclass(frozen=True, slots=True)
class Need:
    """What a vehicle lacks: hours of charging alone at ``power_w``, 0 at its target.

    ``unsure``: what it does not tell: ``soc``, ``capacity`` or nothing.
    """

    departure: Departure
    target_pct: float
    soc_pct: float | None
    hours: float
    power_w: int
    unsure: str = ""


def follow(view: View) -> View:
    """The view with each departure's outlook, made from the power that the rungs above have left."""
    if not view.observation.departures and not any(memory.departure for memory in view.memory.chargers.values()):
        return view
    needs = dict(_needs(view)) if view.tied else {}
    outlooks = _outlooks(view, needs, tuple(_rooms(view, needs))) if needs else {}
    chargers = {
        name: outlooks.get(name) or replace(memory, departure=_standing(view, name), due_since=None, late_since=None)
        for name, memory in view.memory.chargers.items()
    }
    return replace(view, memory=replace(view.memory, chargers=frozen_map(chargers)))


def _rooms(view: View, needs: Mapping[str, Need]) -> Iterator[Room]:
    """What the service and each of its legs leave to those that will leave, while the others do as they do."""
    others = {name: power_w for name, power_w in view.resting().items() if name not in needs}
    for bound in (Sum(view.site), *view.legs):
        left_u = bound.band.hi * MILLION - bound.of(others)
        yield Room(max(0, left_u) / MILLION, {name: bound.part(name) / MILLION for name in needs})


def _standing(view: View, charger: str) -> DepartureMemory | None:
    """What was said before of a departure that cannot be judged now: an outage, a charger that does not answer."""
    before, departure = view.memory.charger(charger).departure, view.observation.departures.get(charger)
    reading = view.reading(charger)
    if before is None or departure is None or (reading and reading.plugged is False):
        return None
    return before if any(before.at == one.at for one in departure.all) else None


# ------------------------------------------------------------------------------------------------- what is missing


def _needs(view: View) -> Iterator[tuple[str, Need]]:
    for charger, departure in view.observation.departures.items():
        reading = view.reading(charger) if charger in view.facts.chargers else None
        if reading is not None and reading.plugged is not False and view.capability(charger) is not None:
            yield charger, _ruling(view, charger, [_need(view, charger, one) for one in departure.all])


def _ruling(view: View, charger: str, needs: Sequence[Need]) -> Need:
    """Of several departures the one that leaves the least time to wait; the one that asks most, where all have it.

    One that rules goes on while another leaves only a little less time.
    """
    if len(needs) == 1:
        return needs[0]
    waits_h = {
        place: (need.departure.at - HEAD_START - view.observation.now).total_seconds() / 3600 - need.hours * TIME_FACTOR
        for place, need in enumerate(needs)
        if need.hours > 0
    }
    if not waits_h:
        return max(needs, key=lambda need: need.target_pct)
    before = view.memory.charger(charger).departure
    for place, wait_h in waits_h.items():
        if before is not None and needs[place].departure.at == before.at:
            waits_h[place] = wait_h - LATE_BY_H
    return needs[min(waits_h, key=waits_h.__getitem__)]


def _need(view: View, charger: str, departure: Departure) -> Need:
    reading, capability = view.reading(charger), view.capability(charger)
    capacity_wh = reading.capacity_wh if reading else None
    soc_pct = reading.soc_pct if reading else None
    rating_w = capability.charge_rating_w if capability else 0
    # A vehicle that takes nothing at this moment (asleep, waiting) will take more when it charges.
    rating_w = min(rating_w, view.settings.charge_limit_w.get(charger, rating_w))
    power_w = max(1, min(rating_w, (reading.charge_max_w if reading else None) or rating_w))
    target_pct = _target_pct(view, charger, departure, capacity_wh)
    unsure = "soc" if soc_pct is None else "" if capacity_wh else "capacity"
    missing_pct = target_pct - (soc_pct or 0.0)
    before = view.memory.charger(charger).departure
    ready = before is not None and before.at == departure.at and before.stage is DepartureStage.READY
    hours = 0.0
    if missing_pct > (LEFT_AGAIN_PCT if ready else REACHED_WITHIN_PCT):
        hours = hours_to_reach(soc_pct or 0.0, target_pct, capacity_wh or ASSUMED_CAPACITY_WH, power_w)
    return Need(departure, target_pct, soc_pct, hours, power_w, unsure)


def _target_pct(view: View, charger: str, departure: Departure, capacity_wh: int | None) -> float:
    """Percent to leave with. Miles of a vehicle whose size is not known cannot be turned into percent: all of it."""
    if departure.miles is None:
        return departure.soc_pct if departure.soc_pct is not None else 100.0
    if not capacity_wh:
        return 100.0
    kwh = departure.miles / view.settings.miles_per_kwh.get(charger, DEFAULT_MILES_PER_KWH)
    return min(100.0, kwh * 1000 / capacity_wh * 100)


# --------------------------------------------------------------------------------------------------- the outlook


def _outlooks(view: View, needs: Mapping[str, Need], rooms: Sequence[Room]) -> dict[str, ChargerMemory]:
    now = view.observation.now
    free_at = _free_at(view)
    short = {name: need for name, need in needs.items() if need.hours > 0}
    waits = slacks(_careful(short, now), now, rooms)
    after_event = waits if free_at <= now else slacks(_careful(short, free_at), free_at, rooms)
    tight, done_h = _with_nothing_to_spare(view, short, waits, rooms)
    return {
        name: _outlook(
            view,
            name,
            need,
            _Prospect(waits.get(name, Slack()), after_event.get(name, Slack()), tight.get(name, Slack()), free_at),
            done_h.get(name, 0.0),
        )
        for name, need in needs.items()
    }


def _with_nothing_to_spare(
    view: View, needs: Mapping[str, Need], waits: Mapping[str, Slack], rooms: Sequence[Room]
) -> tuple[dict[str, Slack], dict[str, float]]:
    """Slack and what is delivered if all charge from now; not asked while everybody can wait: then nobody is late."""
    if all(slack.alone_h > 0 and slack.together_h > 0 for slack in waits.values()):
        return {}, {}
    now = view.observation.now
    bare = {name: Job(need.hours, need.power_w, need.departure.at) for name, need in needs.items()}
    return slacks(bare, now, rooms), delivered_h(bare, now, rooms)


@dataclass(frozen=True, slots=True)
class _Prospect:
    """How long a vehicle can wait: from now, from the end of the event that runs, and with nothing to spare."""

    waits: Slack
    after_event: Slack
    tight: Slack
    free_at: datetime


def _careful(needs: Mapping[str, Need], start: datetime) -> dict[str, Job]:
    return {
        name: Job(need.hours * TIME_FACTOR, need.power_w, max(start, need.departure.at - HEAD_START))
        for name, need in needs.items()
    }


def _free_at(view: View) -> datetime:
    """When a vehicle that gives in the event that runs can be charged again."""
    now = view.observation.now
    call = ruling(view)
    return now if call is None or call.event.dry else max(now, call.event.end)


def _outlook(view: View, charger: str, need: Need, prospect: _Prospect, done_h: float) -> ChargerMemory:
    now, memory = view.observation.now, view.memory.charger(charger)
    before = memory.departure if memory.departure and memory.departure.at == need.departure.at else None
    due_since = (memory.due_since or now) if prospect.waits.together_h <= 0 else None
    lacks_h = need.hours - done_h if prospect.tight.together_h < 0 and not need.unsure else 0.0
    late_since = (memory.late_since or now) if lacks_h > LATE_BY_H else None
    stage = _stage(before, need, prospect, _lasts(due_since, now), _lasts(late_since, now))
    reaches_pct = need.target_pct
    if need.soc_pct is not None and need.hours > 0 and lacks_h > 0:
        reaches_pct = need.soc_pct + (need.target_pct - need.soc_pct) * done_h / need.hours
    outlook = DepartureMemory(
        plan_id=need.departure.plan_id,
        at=need.departure.at,
        stage=stage,
        target_pct=round(need.target_pct, 1),
        reaches_pct=None if need.unsure else round(reaches_pct, 1),
        keeps=_keeps(before, need, prospect),
        due_wh=round(prospect.waits.due_h * need.power_w, -2),  # steady shares, not new ones each second
        unsure=need.unsure,
    )
    late_told = outlook.at.isoformat() if stage is DepartureStage.LATE else memory.late_told
    return replace(memory, departure=outlook, due_since=due_since, late_since=late_since, late_told=late_told)


def _lasts(since: datetime | None, now: datetime) -> bool:
    return since is not None and now - since >= ROOM_SETTLES


def _stage(
    before: DepartureMemory | None, need: Need, prospect: _Prospect, room_is_short: bool, will_lack: bool
) -> DepartureStage:
    """Charging that has begun goes on to the target; a warning stands until there is time to spare."""
    if need.hours <= 0:
        return DepartureStage.READY
    was_late = before is not None and before.stage is DepartureStage.LATE
    alone_h = prospect.tight.alone_h
    stays_late = was_late and min(alone_h, prospect.tight.together_h) < LATE_BY_H
    if not need.unsure and (alone_h < -LATE_BY_H or will_lack or stays_late):
        return DepartureStage.LATE
    begun = before is not None and before.stage in UNDER_WAY
    if begun or prospect.waits.alone_h <= 0 or room_is_short:
        return DepartureStage.CHARGES
    return DepartureStage.WAITS


def _keeps(before: DepartureMemory | None, need: Need, prospect: _Prospect) -> bool:
    """Whether what is given now could not be refilled in time, also if charging waits for the event's end."""
    kept = before is not None and before.keeps
    if min(prospect.after_event.alone_h, prospect.after_event.together_h) <= (KEEP_MORE_H if kept else 0.0):
        return True
    no_time = need.departure.at - HEAD_START <= prospect.free_at
    return no_time and (need.soc_pct or 0.0) <= need.target_pct + (LEFT_AGAIN_PCT if kept else 0.0)
