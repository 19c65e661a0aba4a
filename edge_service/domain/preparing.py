"""An event to come or under way: what the vehicles can give together, what they lack for it, and whether that can wait.

All limits count: what the chargers may take in before it, what the site may supply during it, what departures need.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf

from edge_service.domain import capacity, service, storms
from edge_service.domain.band import MILLION, Sum
from edge_service.domain.forecast import (
    EFFICIENCY,
    HEAD_START,
    TIME_FACTOR,
    Job,
    Room,
    begun_pct,
    hours_between,
    hours_to_reach,
    reached_pct,
    slacks,
)
from edge_service.domain.memory import DepartureMemory, DepartureStage
from edge_service.domain.model import (
    ChargerReading,
    ChargerState,
    Event,
    ManualOrder,
    Mode,
    Scope,
    Slot,
    SlotKind,
)
from edge_service.domain.packing import most_together
from edge_service.domain.ruling import event_floor_pct
from edge_service.domain.view import View

FLOWS = frozenset({ChargerState.CHARGING, ChargerState.DISCHARGING})
OUT_OF_ORDER = frozenset({ChargerState.OFFLINE, ChargerState.BOOTING, ChargerState.BLOCKED, ChargerState.FAULT})
CHARGES_FIRST = frozenset({DepartureStage.CHARGES, DepartureStage.LATE})
# A vehicle that was at its floor gives again from a percent above; charge readings come in whole percent.
LIFTED_PCT = 2.0
FLOORS = frozenset({"driver", "backup", "event"})
# The reason that is told of it.
CHARGES_FOR_EVENT = "charges_for_event"
# No vehicle begins for less than this.
ENOUGH_WH = 50


@dataclass(frozen=True, slots=True)
class Giver:
    """A vehicle that an event can count on. Positive watts; ``floor_pct``: below it the event takes nothing.

    ``parts``: millionths of its power that count under each limit. ``low``: it gives nothing before it is well above.
    """

    soc_pct: float
    capacity_wh: int
    charge_w: int
    discharge_w: int
    floor_pct: float
    parts: tuple[int, ...]
    low: bool = False

    @property
    def wh_per_pct(self) -> float:
        """AC energy that a percent gives."""
        return self.capacity_wh / 100 * EFFICIENCY

    @property
    def has_wh(self) -> float:
        """AC energy above the floor."""
        return 0.0 if self.low else max(0.0, self.soc_pct - self.floor_pct) * self.wh_per_pct

    @property
    def climb_wh(self) -> float:
        """AC energy that it takes in before it gives anything."""
        missing_pct = max(0.0, self.floor_pct + (LIFTED_PCT if self.low else 0.0) - self.soc_pct)
        return missing_pct * self.capacity_wh / 100 / EFFICIENCY

    @property
    def lifted_wh(self) -> float:
        """AC energy that it can give as soon as it gives anything."""
        return LIFTED_PCT * self.wh_per_pct if self.low else 0.0

    def takes_wh(self, more_wh: float) -> float:
        """AC energy that it takes in until it can give so much more than now."""
        return self.climb_wh + max(0.0, more_wh - self.lifted_wh) / EFFICIENCY**2 if more_wh > 0 else 0.0

    def useful_wh(self, hours: float) -> float:
        """AC energy that it gives in so many hours of an event, if it begins full."""
        return min(max(0.0, 100.0 - self.floor_pct) * self.wh_per_pct, self.discharge_w * hours)

    def charged_wh(self, hours: float, rooms_w: Sequence[float]) -> float:
        """AC energy above the floor after so many hours of charging alone under the limits."""
        room_w = min((w * MILLION / part for w, part in zip(rooms_w, self.parts, strict=True) if part), default=inf)
        reached = reached_pct(self.soc_pct, hours, self.capacity_wh, self.charge_w, room_w)
        if self.low and reached <= self.floor_pct + LIFTED_PCT:
            return 0.0
        return max(0.0, reached - self.floor_pct) * self.wh_per_pct

    def hours_for(self, more_wh: float) -> float:
        """Hours of charging alone until it can give so much more than now."""
        from_pct = self.floor_pct if self.low else max(self.soc_pct, self.floor_pct)
        least_pct = self.floor_pct + LIFTED_PCT if self.low else 0.0
        target_pct = min(100.0, max(from_pct + more_wh / self.wh_per_pct, least_pct))
        return hours_to_reach(self.soc_pct, target_pct, self.capacity_wh, self.charge_w)


@dataclass(frozen=True, slots=True)
class Claim:
    """AC energy that an event takes in what is left of it, and when it is."""

    start: datetime
    uid: str
    end: datetime
    energy_wh: float


@dataclass(frozen=True, slots=True)
class Prospect:
    """An event as seen now. Hours of it that are left, and for charging before it.

    ``stock_wh``: AC energy that each can give in it without charging; ``more_wh``: and after charging alone till then.
    ``into_wh`` and ``out_w``: AC energy that each limit leaves for charging, and power that it leaves for giving.
    """

    hours: float
    before_h: float
    givers: Mapping[str, Giver]
    stock_wh: Mapping[str, float]
    more_wh: Mapping[str, float]
    into_wh: tuple[float, ...]
    out_w: tuple[float, ...]

    def low(self) -> list[str]:
        """Those below their floors that can be lifted over them in time, the nearest to its floor first."""
        low = [name for name, giver in self.givers.items() if giver.climb_wh and self.more_wh[name] > 0]
        return sorted(low, key=lambda name: (self.givers[name].climb_wh, name))

    def has_room_for_all(self) -> bool:
        """No limit keeps anybody from charging as if alone."""
        takes = [(giver.parts, giver.takes_wh(self.more_wh[name])) for name, giver in self.givers.items()]
        return all(
            sum([parts[place] * wh for parts, wh in takes]) <= left_wh * MILLION
            for place, left_wh in enumerate(self.into_wh)
        )


def limits(view: View) -> tuple[Sum, ...]:
    """The service and each of its legs, which no rung above has narrowed."""
    return (Sum(service.site(view)), *(view.legs or service.legs(view)))


def prospect(view: View, event: Event, bounds: Sequence[Sum], claimed: Iterable[Claim]) -> Prospect:
    """What the vehicles, the limits and the departures make of this event."""
    now, start = view.observation.now, event.start
    claimed_wh, blocked_h = _claimed(view, event, claimed)
    hours = max(0.0, hours_between(max(now, start), event.end))
    before_h = max(0.0, hours_between(now, start) - blocked_h)
    givers = dict(_givers(view, event, bounds))
    has_wh = {name: giver.has_wh for name, giver in givers.items()}
    useful_wh = {name: giver.useful_wh(hours) for name, giver in givers.items()}
    part = max(0.0, 1 - claimed_wh / sum(has_wh.values())) if claimed_wh and any(has_wh.values()) else 1.0
    stock_wh = {name: min(wh * part, useful_wh[name]) for name, wh in has_wh.items()}
    more_wh, into_wh = dict.fromkeys(givers, 0.0), (0.0,) * len(bounds)
    if before_h:
        into_wh = tuple(_into_wh(view, event, bounds, givers, before_h))
        rooms_w = [wh / before_h for wh in into_wh]
        more_wh = {
            name: max(0.0, min(giver.charged_wh(before_h, rooms_w) - has_wh[name], useful_wh[name] - stock_wh[name]))
            for name, giver in givers.items()
        }
    out_w = tuple([max(0.0, _others_w(view, bound, givers, -1) - bound.band.lo) for bound in bounds])
    if out_w and (export_w := capacity.least_export_w(view, max(now, start), event.end)) is not None:
        out_w = (min(out_w[0], max(0.0, export_w + (view.others_w or 0))), *out_w[1:])
    return Prospect(hours, before_h, givers, stock_wh, more_wh, into_wh, out_w)


def spare_wh(view: View, event: Event) -> Mapping[str, float]:
    """AC energy above what each keeps, per vehicle that the event can count on."""
    return {name: giver.has_wh for name, giver in _givers(view, event, limits(view))}


def claims(view: View) -> tuple[Claim, ...]:
    """What each event that is not over takes from those after it, the first one first."""
    now = view.observation.now
    standing = [one for one in view.observation.events if one.slots and one.end > now and view.settings.takes_part(one)]
    return tuple([_claim(view, one) for one in sorted(standing, key=lambda one: (one.start, one.uid))])


def _claim(view: View, event: Event) -> Claim:
    now = view.observation.now
    left = [(slot, hours_left) for slot in event.slots if (hours_left := _left_h(slot, now)) > 0]
    return Claim(event.start, event.uid, event.end, sum([_asked_w(view, event, slot) * hours for slot, hours in left]))


def _claimed(view: View, event: Event, claimed: Iterable[Claim]) -> tuple[float, float]:
    """AC energy that events before this one take, and the hours before it in which they leave no charging."""
    now, energy_wh, hours = view.observation.now, 0.0, 0.0
    for other in claimed:
        if (other.start, other.uid) >= (event.start, event.uid):
            break
        energy_wh += other.energy_wh
        hours += max(0.0, hours_between(max(now, other.start), min(other.end, event.start)))
    return energy_wh, hours


def _left_h(slot: Slot, now: datetime) -> float:
    return max(0.0, hours_between(max(now, slot.start), slot.end))


def _asked_w(view: View, event: Event, slot: Slot) -> float:
    """Power that the chargers are asked to supply in this slot, a positive number."""
    house_w = view.others_w or 0
    match slot.kind:
        case SlotKind.POWER:
            return float(max(0, (house_w if is_net(view, event) else 0) - slot.power_w))
        case SlotKind.COVER_HOUSE:
            return float(max(0, house_w))
        case SlotKind.MAX_DISCHARGE:
            return inf
        case _:
            return 0.0


def is_net(view: View, event: Event) -> bool:
    """The program measures at the point of connection."""
    program = view.facts.programs.get(event.program_id)
    return program is not None and program.scope is Scope.SITE


def needed_wh(view: View, event: Event) -> float:
    """AC energy that the chargers give if what is left of the event is served; of slots that name a power."""
    now = view.observation.now
    named = [slot for slot in event.slots if slot.kind is SlotKind.POWER]
    return sum(_asked_w(view, event, slot) * _left_h(slot, now) for slot in named)


# ------------------------------------------------------------------------------------------------ who can be counted on


def floor_pct(view: View, event: Event, charger: str) -> float:
    """Percent below which the event does not discharge this charger's vehicle, departures aside."""
    return max(_site_floor_pct(view, event), view.settings.drivers_reserve(charger))


def _site_floor_pct(view: View, event: Event) -> float:
    reserve_pct = view.settings.reserve_pct(max(view.observation.now, event.start))
    return max(reserve_pct, event_floor_pct(view.settings, view.facts, event.program_id))


def _givers(view: View, event: Event, bounds: Sequence[Sum]) -> Iterator[tuple[str, Giver]]:
    seen = dict(_vehicles(view))
    if is_withheld(view, event):
        return
    kept_pct, site_pct = dict(_kept_for_departures(view, event, bounds, seen)), _site_floor_pct(view, event)
    for name, reading in seen.items():
        discharge_w = _discharge_w(view, event, name, reading)
        if discharge_w and _is_there(view, event, name, reading):
            soc_pct, reserve_pct = reading.soc_pct or 0.0, max(site_pct, view.settings.drivers_reserve(name))
            low = soc_pct <= reserve_pct or (soc_pct < reserve_pct + LIFTED_PCT and _was_low(view, name))
            yield (
                name,
                Giver(
                    soc_pct,
                    reading.capacity_wh or 1,
                    _charge_w(view, name, reading),
                    discharge_w,
                    max(reserve_pct, kept_pct.get(name, 0.0)),
                    tuple([bound.part(name) for bound in bounds]),
                    low,
                ),
            )


def _was_low(view: View, charger: str) -> bool:
    return bool(view.memory.charger(charger).low & FLOORS)


def is_withheld(view: View, event: Event) -> bool:
    """The vehicles give nothing at the event's start, as people have decided up to now: a mode, a storm, a stop."""
    settings = view.settings
    if settings.mode is not Mode.AUTOMATIC or settings.stopped:
        return True
    return storms.is_stormy(settings, view.observation, max(view.observation.now, event.start))


def _vehicles(view: View) -> Iterator[tuple[str, ChargerReading]]:
    """Those that tell their charge and size, at chargers that can be told a power."""
    for name in view.facts.chargers:
        reading = view.reading(name)
        if reading is None or reading.plugged is False or view.capability(name) is None:
            continue
        if reading.soc_pct is not None and reading.capacity_wh and view.takes_setpoint(name):
            yield name, reading


def _charge_w(view: View, charger: str, reading: ChargerReading) -> int:
    """A vehicle that takes nothing at this moment (asleep, waiting) will take more when it charges."""
    capability = view.capability(charger)
    rating_w = capability.charge_rating_w if capability else 0
    rating_w = min(rating_w, view.settings.charge_limit_w.get(charger, rating_w))
    return max(1, min(rating_w, reading.charge_max_w or rating_w))


def _discharge_w(view: View, event: Event, charger: str, reading: ChargerReading) -> int:
    """Nothing before a session means nothing yet; in the event, or while power flows, it means nothing."""
    capability = view.capability(charger)
    rating_w = capability.discharge_rating_w if capability else 0
    rating_w = min(rating_w, view.settings.discharge_limit_w.get(charger, rating_w))
    told_w = reading.discharge_max_w
    if not told_w and view.observation.now < event.start and reading.state not in FLOWS:
        told_w = None
    return max(0, rating_w if told_w is None else min(rating_w, told_w))


def _is_there(view: View, event: Event, charger: str, reading: ChargerReading) -> bool:
    """It is plugged in to the event's end, ours to order then, and has not to charge for its departure first."""
    now = view.observation.now
    order: ManualOrder | None = view.settings.manual.get(charger)
    if (order is not None and order.until > max(now, event.start)) or reading.service_permitted is False:
        return False
    if now >= event.start and (charger in view.observation.contested or reading.state in OUT_OF_ORDER):
        return False
    departure = view.memory.charger(charger).departure
    return departure is None or not (
        departure.at < event.end or departure.stage in CHARGES_FIRST or (departure.keeps and now < departure.at)
    )


def _kept_for_departures(
    view: View, event: Event, bounds: Sequence[Sum], seen: Mapping[str, ChargerReading]
) -> Iterator[tuple[str, float]]:
    """Percent from which each vehicle can be charged, with the others, between the event and its departure."""
    jobs, targets = {}, {}
    for name, departure in _departures(view):
        if departure.at < event.end or (reading := seen.get(name)) is None:
            continue
        low_pct, power_w = floor_pct(view, event, name), _charge_w(view, name, reading)
        hours = hours_to_reach(low_pct, departure.target_pct, reading.capacity_wh or 1, power_w)
        targets[name] = departure.target_pct
        by = max(event.end, departure.at - HEAD_START)
        if hours > 0:
            jobs[name] = Job(min(hours * TIME_FACTOR, hours_between(event.end, by)), power_w, by)
    part = _part_that_fits(jobs, event.end, _rooms(view, bounds, jobs)) if jobs else 1.0
    for name, job in jobs.items():
        capacity_wh, power_w = seen[name].capacity_wh or 1, _charge_w(view, name, seen[name])
        yield name, begun_pct(targets[name], part * job.hours / TIME_FACTOR, capacity_wh, power_w)


def _part_that_fits(jobs: Mapping[str, Job], start: datetime, rooms: Sequence[Room]) -> float:
    """The part of all their hours that finds room in time."""

    def fits(part: float) -> bool:
        scaled = {name: replace(job, hours=job.hours * part) for name, job in jobs.items()}
        return all(slack.together_h >= 0 for slack in slacks(scaled, start, rooms).values())

    low, high = 0.0, 1.0
    if fits(high):
        return high
    for _ in range(7):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _departures(view: View) -> list[tuple[str, DepartureMemory]]:
    chargers = view.memory.chargers
    return [(name, one.departure) for name, one in chargers.items() if one.departure is not None]


# -------------------------------------------------------------------------------------------------- what limits leave


def _rooms(view: View, bounds: Sequence[Sum], names: Iterable[str]) -> list[Room]:
    counted = dict.fromkeys(names)
    return [
        Room(
            max(0.0, bound.band.hi - _others_w(view, bound, counted, 1)),
            {name: bound.part(name) / MILLION for name in counted},
        )
        for bound in bounds
    ]


def _into_wh(
    view: View, event: Event, bounds: Sequence[Sum], givers: Mapping[str, Giver], hours: float
) -> Iterator[float]:
    """What each limit leaves for charging in so many hours, less what other vehicles need for their departures."""
    needs = dict(_departing_jobs(view, event, givers))
    for room in _rooms(view, bounds, [*givers, *needs]):
        gone_wh = sum(room.parts[name] * job.power_w * job.hours for name, job in needs.items())
        yield max(0.0, room.w * hours - gone_wh)


def _departing_jobs(view: View, event: Event, givers: Mapping[str, Giver]) -> Iterator[tuple[str, Job]]:
    """What vehicles that the event does not count on take in before it, for their departures."""
    seen = dict(_vehicles(view))
    for name, departure in _departures(view):
        reading = seen.get(name)
        if reading is None or name in givers or departure.at <= view.observation.now:
            continue
        if departure.at < event.end or departure.stage in CHARGES_FIRST:
            power_w = _charge_w(view, name, reading)
            hours = hours_to_reach(reading.soc_pct or 0.0, departure.target_pct, reading.capacity_wh or 1, power_w)
            yield name, Job(hours, power_w, max(view.observation.now, departure.at - HEAD_START))


def _others_w(view: View, bound: Sum, counted: Container[str], sign: int) -> float:
    """What is not ours to steer does under this limit in one direction: it is taken to go on."""
    others = [
        bound.part(name) * (reading.power_w or 0)
        for name, reading in (view.fresh or {}).items()
        if (reading.power_w or 0) * sign > 0 and name not in counted and not _is_free(view, name)
    ]
    return sum(others) / MILLION


def _is_free(view: View, charger: str) -> bool:
    """What it does now does not last: it takes a setpoint, and no person has set one."""
    order = view.settings.manual.get(charger)
    ordered = order is not None and view.observation.now < order.until
    return charger in view.facts.chargers and view.takes_setpoint(charger) and not ordered


# ---------------------------------------------------------------------------------------------------- what can be held


def can_give_wh(outlook: Prospect) -> float:
    """AC energy that all can give to the event's end, at an even power, if they charge from now on."""
    low, best_wh = outlook.low(), 0.0
    # Charge up to a floor cannot be given: with little room fewer vehicles lifted over theirs can give more.
    for count in [len(low)] if outlook.has_room_for_all() else range(len(low) + 1):
        lifted = low[:count]
        left_wh = [
            wh - sum(outlook.givers[name].parts[place] * outlook.givers[name].climb_wh for name in lifted) / MILLION
            for place, wh in enumerate(outlook.into_wh)
        ]
        found_wh = _most_wh(outlook, lifted, left_wh) if min(left_wh, default=0.0) >= 0 else 0.0
        if found_wh < best_wh:
            break
        best_wh = found_wh
    return best_wh


def _most_wh(outlook: Prospect, lifted: Sequence[str], into_wh: Sequence[float]) -> float:
    """Chargers on the same legs are alike: of each kind what it has, and what it can take in, count as one share."""
    kinds: dict[tuple[int, ...], list[float]] = {}
    for name, giver in outlook.givers.items():
        of_kind = kinds.setdefault(giver.parts, [0.0, 0.0])
        more_wh = outlook.more_wh[name] if not giver.climb_wh or name in lifted else 0.0
        at_once_wh = min(more_wh, giver.lifted_wh)
        of_kind[0] += outlook.stock_wh[name] + at_once_wh
        of_kind[1] += more_wh - at_once_wh
    idle = [0] * len(into_wh)
    most = [int(of_kind[place] * 1000) for place in (0, 1) for of_kind in kinds.values()]
    parts = [[*idle, *kind] for kind in kinds]
    parts += [[*(int(part / EFFICIENCY**2) for part in kind), *kind] for kind in kinds]
    left_wh = [*into_wh, *(w * outlook.hours for w in outlook.out_w)]
    return sum(most_together(most, parts, [int(wh * 1000) * MILLION for wh in left_wh])) / 1000


def feasible_w(view: View, event: Event, outlook: Prospect) -> int | None:
    """Power that can be held to the event's end as of now, negative; None where nothing is asked of the vehicles.

    Where an event asks for all there is, the mean that they can give over it.
    """
    target = target_w(event)
    wants_all = target is None and any(slot.kind is SlotKind.MAX_DISCHARGE for slot in event.slots)
    if event.end <= view.observation.now or (not wants_all and (target is None or target >= 0)):
        return target
    house_w, program = view.others_w or 0, view.facts.programs.get(event.program_id)
    supplied_w = can_give_wh(outlook) / outlook.hours
    if program is not None and not program.exports:
        supplied_w = min(supplied_w, max(0.0, house_w))
    net_w = min(0, round((house_w if is_net(view, event) else 0) - supplied_w))
    return net_w if target is None else max(target, net_w)


def target_w(event: Event) -> int | None:
    """The strongest power asked, negative when supplying; None where the event names no power."""
    powers = [slot.power_w for slot in event.slots if slot.kind is SlotKind.POWER]
    return min(powers) if powers else None


# ------------------------------------------------------------------------------------------------------ what is lacking


@dataclass(frozen=True, slots=True)
class Lack:
    """What a vehicle has yet to take in: hours of charging alone at its power. The more urgent is charged first."""

    hours: float
    power_w: int
    urgency: float = 0.0


def lacks_energy(view: View, event: Event, outlook: Prospect) -> bool:
    """What the vehicles hold is not enough for what is asked and the site may supply."""
    return sum(outlook.stock_wh.values()) + ENOUGH_WH < _goal_wh(view, event, outlook)


def _goal_wh(view: View, event: Event, outlook: Prospect) -> float:
    could_wh = [sum(giver.discharge_w for giver in outlook.givers.values()) * outlook.hours] if outlook.givers else []
    return min(needed_wh(view, event), outlook.out_w[0] * outlook.hours, *could_wh)


def lacks(view: View, event: Event, bounds: Sequence[Sum], claimed: Iterable[Claim]) -> Mapping[str, Lack]:
    """What each vehicle has yet to take in before the event, once that can wait no longer; nothing while it can.

    The emptier are raised to one level. Where there is no time for that, those above their floors are charged first.
    """
    outlook = prospect(view, event, bounds, claimed)
    if not outlook.before_h or not lacks_energy(view, event, outlook):
        return {}
    goal_wh = _goal_wh(view, event, outlook)
    found = _jobs(outlook, _raised(outlook, outlook.givers, goal_wh))
    account = view.memory.events.get(event.uid)
    begun = account is not None and account.begun and account.start == event.start
    if not begun and _slack_h(view, event, bounds, outlook, found, careful=True) > 0:
        return {}
    in_time = _slack_h(view, event, bounds, outlook, found, careful=False) >= 0
    return found if in_time else _first_things_first(outlook, goal_wh)


def is_prepared_for(view: View, event: Event) -> bool:
    """Whether this decision charges vehicles for the event."""
    return any(
        step.reason == CHARGES_FOR_EVENT and step.data.get("event") == event.uid
        for steps in view.steps.values()
        for step in steps[-1:]
    )


def _raised(outlook: Prospect, names: Iterable[str], goal_wh: float) -> dict[str, float]:
    """AC energy to have per vehicle: nobody less than the level at which all reach the goal together."""
    stock = {name: outlook.stock_wh[name] for name in names}
    most = {name: outlook.givers[name].useful_wh(outlook.hours) for name in stock}
    low_wh, high_wh = 0.0, max(most.values(), default=0.0)
    for _ in range(16):
        level_wh = (low_wh + high_wh) / 2
        if sum(min(most[name], max(has_wh, level_wh)) for name, has_wh in stock.items()) < goal_wh:
            low_wh = level_wh
        else:
            high_wh = level_wh
    return {name: min(most[name], max(has_wh, high_wh)) for name, has_wh in stock.items()}


def _jobs(outlook: Prospect, targets_wh: Mapping[str, float], urgency: float = 0.0) -> dict[str, Lack]:
    more_wh = {name: target_wh - outlook.stock_wh[name] for name, target_wh in targets_wh.items()}
    return {
        name: Lack(outlook.givers[name].hours_for(wh), outlook.givers[name].charge_w, urgency)
        for name, wh in more_wh.items()
        if wh > 0
    }


def _first_things_first(outlook: Prospect, goal_wh: float) -> dict[str, Lack]:
    """What can still be done: those above their floors first, then the nearest to its floor, as far as limits go.

    In proportion to what each takes in, so that all have it in time; who does not fit takes what the others leave.
    """
    takes = {name: giver.takes_wh(outlook.more_wh[name]) for name, giver in outlook.givers.items()}
    above = [name for name, giver in outlook.givers.items() if not giver.climb_wh and takes[name] > 0]
    left_wh, missing_wh = list(outlook.into_wh), goal_wh - sum(outlook.stock_wh.values())
    found: dict[str, Lack] = {}
    for group in (above, *([name] for name in outlook.low())):
        share = min(1.0, _fitting(outlook, group, takes, left_wh)) if missing_wh > 0 else 0.0
        climbs = sum(outlook.givers[name].climb_wh for name in group) >= share * sum(takes[name] for name in group)
        for name in group:
            giver, part = outlook.givers[name], 0.0 if climbs else share
            hours = takes[name] * (part or 1.0) / giver.charge_w
            found[name] = Lack(hours, giver.charge_w, 1.0 if part else 0.0)
            left_wh = [wh - part * takes[name] * giver.parts[place] / MILLION for place, wh in enumerate(left_wh)]
            missing_wh -= part * outlook.more_wh[name]
    # By its whole percent a vehicle may seem too late that is not: it goes on with what the others leave.
    rest = {name: giver.useful_wh(outlook.hours) for name, giver in outlook.givers.items() if name not in found}
    return found | _jobs(outlook, rest, -1.0)


def _fitting(outlook: Prospect, names: Sequence[str], takes: Mapping[str, float], left_wh: Sequence[float]) -> float:
    """The part of what these take in that all limits allow; above 1: there is room for more."""
    parts = [
        (wh, sum(outlook.givers[name].parts[place] * takes[name] for name in names) / MILLION)
        for place, wh in enumerate(left_wh)
    ]
    return min((wh / whole_wh for wh, whole_wh in parts if whole_wh > 0), default=0.0)


def _slack_h(
    view: View, event: Event, bounds: Sequence[Sum], outlook: Prospect, found: Mapping[str, Lack], *, careful: bool
) -> float:
    """Hours until the first of them must begin, those that leave before the event being charged, too."""
    now = view.observation.now
    factor, ahead = (TIME_FACTOR, HEAD_START) if careful else (1.0, timedelta())
    by = max(now, now + timedelta(hours=outlook.before_h) - ahead)
    jobs = dict(_departing_jobs(view, event, outlook.givers))
    jobs |= {name: Job(lack.hours * factor, lack.power_w, by) for name, lack in found.items()}
    waits = slacks(jobs, now, _rooms(view, bounds, jobs))
    return min((min(waits[name].alone_h, waits[name].together_h) for name in found), default=inf)
