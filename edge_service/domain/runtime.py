"""How long the vehicle carries the house: a range, from what the house drew lately and at such hours before.

Each past day is an example of how it may go on. The energy is used up along each of them, and the range is read from
the times that this takes; beside the median a little more or less energy is taken, since no past day is like the next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf, sqrt

from edge_service.domain.forecast import EFFICIENCY
from edge_service.domain.load_fit import OFF, expected_w, groups, heard
from edge_service.domain.load_plan import carrier
from edge_service.domain.load_profile import DAYS, HORIZON_H, Example, Outlook, counted, minute_of, outlook, turned
from edge_service.domain.memory import GroupUse, LoadMemory, Memory, RuntimeMemory, Store
from edge_service.domain.model import (
    EMPTY_SOC_PCT,
    AtEnd,
    Backup,
    CompanionReading,
    Grid,
    LoadGroup,
    LoadState,
    Position,
    Runtime,
    Supply,
    frozen_map,
)
from edge_service.domain.performance import LONGEST_STEP
from edge_service.domain.view import View

# Charger and vehicle stay awake while they supply, counted at the house's side. A Wallbox Quasar 1 was measured to lose
# some 200 W more than its share, idle inverters of 10 kW are declared at 30 to 100 W.
STANDBY_W = 100
# Worked out anew after so long, or at once when what counts has changed.
ESTIMATE_EVERY = timedelta(seconds=10)
# What each group would gain is worked out less often: it costs as much as the estimate for each of them.
GAINS_EVERY = timedelta(seconds=60)
# A charge that moves by less than this waits its turn.
SOC_CHANGE_PCT = 1.0
# A group's mean use looks back for a day.
GROUP_MINUTES = 24 * 60
CARRIED = frozenset({Supply.ISLAND, Supply.VENDOR_BACKUP})

# Tuned as those of ``load_profile``: by how much more or less energy the ends of the range count on, with many past
# days, and with none; and where between the examples the ends lie.
SPREAD = 0.05
SPREAD_OF_FEW = 0.35
SPREAD_UNKNOWN = 1.0
LOW, HIGH = 0.1, 0.9
# With no past day: as it is now, for all hours.
AS_NOW = Example(DAYS, 1, 1.0)


@dataclass(frozen=True, slots=True)
class Forecast:
    """An answer to "what if". ``gains_h``: how much longer it would last without each group that is on."""

    lasts: Runtime
    gains_h: Mapping[str, float | None]


# ------------------------------------------------------------------------------------------------------ what is seen


def follow(view: View, before: Memory) -> RuntimeMemory:
    """What the house has drawn, with this moment, and how long it lasts now."""
    memory, now = _drawn(view), view.observation.now
    stores = _stores(view)
    if view.grid is Grid.SUSPECT or not _is_due(memory, stores, now):
        return memory  # a suspicion is acted on first
    gains_due = memory.gains_at is None or not timedelta(0) <= now - memory.gains_at < GAINS_EVERY
    memory = replace(
        memory,
        lasts_at=now,
        stores=stores,
        carried_h=_carried_h(view),
        groups_w=frozen_map({name: _group_w(view, memory, name) for name in _groups_on(view)}),
        shed_w=sum(_group_w(view, memory, name) or 0 for name in _groups_shed(view)),
    )
    gains_due = gains_due or memory.groups_w.keys() != memory.gains_h.keys()
    present_w = view.house_w if _is_fed(view) else None
    found = what_if(memory, now, present_w=present_w, with_gains=gains_due)
    if found is None:
        return replace(memory, lasts=None, gains_at=None, gains_h=frozen_map())
    memory = replace(memory, lasts=found.lasts)
    return replace(memory, gains_at=now, gains_h=frozen_map(found.gains_h)) if gains_due else memory


def estimate(view: View, memory: RuntimeMemory) -> Runtime | None:
    """How long from now on; None: nothing here can carry the house, or its charge is not known."""
    return memory.lasts


def gains(memory: RuntimeMemory) -> Mapping[str, float | None]:
    """By load group that is on: how many hours longer it lasts without it. None: not known, or it never ends."""
    return memory.gains_h


def _drawn(view: View) -> RuntimeMemory:
    memory, now = view.memory.runtime, view.observation.now
    if memory.minute_at is None:
        memory = replace(memory, minute_at=now)
    minute, was = minute_of(now), minute_of(memory.minute_at or now)
    if minute != was:
        load, solar = turned(memory.load, was, minute), turned(memory.solar, was, minute)
        memory = replace(memory, minute_at=now, load=load, solar=solar, groups=_used(view, memory.groups))
    last = view.memory.at
    if last is None or view.house_w is None or now <= last or not _is_fed(view):
        return memory
    step_s = min(now - last, LONGEST_STEP).total_seconds()
    behind_w, all_w = _solar_w(view)
    load_w = view.house_w - (behind_w if view.supply in CARRIED else all_w)
    solar = counted(memory.solar, behind_w, step_s) if view.facts.companions else memory.solar
    return replace(memory, load=counted(memory.load, load_w, step_s), solar=solar)


def _is_fed(view: View) -> bool:
    """What a dark house does not draw tells nothing of what it needs."""
    return view.tied or view.supply in CARRIED


def _solar_w(view: View) -> tuple[int, int]:
    """What companions supply behind the island switch, and in all. One that does not tell counts as the load's."""
    behind_w = all_w = 0
    for name, companion in view.facts.companions.items():
        reading: CompanionReading | None = view.facts.fresh(view.observation.companions.get(name), view.observation.now)
        solar_w = min(0, reading.solar_w or 0) if reading is not None else 0
        all_w += solar_w
        behind_w += solar_w if companion.position is Position.PROTECTED_SIDE else 0
    return behind_w, all_w


def _used(view: View, before: Mapping[str, GroupUse]) -> Mapping[str, GroupUse]:
    """The mean use of each group that is measured while it is on; of one that is gone nothing is kept."""
    known = {name: before[name] for name in groups(view.settings, view.facts) if name in before}
    for name in _groups_on(view):
        reading = heard(view.observation, name, view.facts)
        if reading is not None and reading.power_w is not None:
            use = known.get(name) or GroupUse(0.0, 0)
            minutes = min(use.minutes + 1, GROUP_MINUTES)
            known[name] = GroupUse(round(use.mean_w + (reading.power_w - use.mean_w) / minutes, 2), minutes)
    return before if known == before else frozen_map(known)


def _groups_on(view: View) -> list[str]:
    return [name for name in groups(view.settings, view.facts) if _load_state(view, name) not in OFF]


def _groups_shed(view: View) -> list[str]:
    return [name for name in groups(view.settings, view.facts) if _load_state(view, name) is LoadState.SHED]


def _load_state(view: View, name: str) -> LoadState | None:
    reading = heard(view.observation, name, view.facts)
    return None if reading is None else reading.state


def _group_w(view: View, memory: RuntimeMemory, name: str) -> int | None:
    """What a group draws in the mean while it is on, else as last measured or as told."""
    if use := memory.groups.get(name):
        return max(0, round(use.mean_w))
    group: LoadGroup = groups(view.settings, view.facts)[name]
    return expected_w(group, view.memory.loads.groups.get(name) or LoadMemory())


def _carried_h(view: View) -> float | None:
    """For how long a vehicle has carried the house; None: it does not."""
    outage = view.memory.outage
    if view.supply not in CARRIED or outage is None or outage.ended_at is not None:
        return 0.0 if view.supply in CARRIED else None
    since = outage.backup_started_at or outage.started_at
    return max(0.0, (view.observation.now - since).total_seconds() / 3600)


def _is_due(memory: RuntimeMemory, stores: Sequence[Store], now: datetime) -> bool:
    if memory.lasts_at is None or not timedelta(0) <= now - memory.lasts_at < ESTIMATE_EVERY:
        return True
    if len(stores) != len(memory.stores):
        return True
    if memory.lasts is None and stores:
        return True  # as soon as it can be known, it is
    return any(
        (one.charger, one.capacity_wh, one.end_pct) != (was.charger, was.capacity_wh, was.end_pct)
        or abs(one.soc_pct - was.soc_pct) >= SOC_CHANGE_PCT
        for one, was in zip(stores, memory.stores, strict=True)
    )


# ------------------------------------------------------------------------------------------------------ what is there


def _stores(view: View) -> tuple[Store, ...]:
    """Who carries the house, then those that it can be handed over to; empty: nobody, or the charge is not known."""
    first = carrier(view)
    if first is None or (store := _store(view, first)) is None:
        return ()
    return (store, *(one for name in view.facts.chargers if name != first and (one := _successor(view, name))))


def _successor(view: View, name: str) -> Store | None:
    capability = view.capability(name)
    if view.facts.switch is None or capability is None or capability.backup is not Backup.CAN_FORM:
        return None
    return _store(view, name)


def _store(view: View, name: str) -> Store | None:
    """None: no vehicle is known to be there, or it does not tell its charge or its battery."""
    reading, settings = view.reading(name), view.settings
    if reading is None or reading.soc_pct is None or not reading.capacity_wh or reading.plugged is False:
        return None
    end_pct = settings.drivers_reserve(name) if settings.at_end is AtEnd.STOP else EMPTY_SOC_PCT
    return Store(name, reading.capacity_wh, reading.soc_pct, max(end_pct, EMPTY_SOC_PCT))


def _usable_wh(stores: Iterable[Store]) -> float:
    return sum(max(0.0, one.soc_pct - one.end_pct) / 100 * one.capacity_wh * EFFICIENCY for one in stores)


# ------------------------------------------------------------------------------------------------------ how it goes on


def what_if(
    memory: RuntimeMemory,
    now: datetime,
    *,
    without: Iterable[str] = (),
    without_w: float = 0.0,
    soc_pct: float | None = None,
    present_w: int | None = None,
    with_gains: bool = True,
) -> Forecast | None:
    """How long it lasts with these groups off besides, or so many watts less, or from another charge of the first.

    None: nobody can carry the house, the charge is not known, or nothing is known of what it draws.
    """
    ahead = outlook(memory.load, memory.solar, now, memory.carried_h, memory.shed_w, present_w)
    if ahead is None or not memory.stores:
        return None
    first, *others = memory.stores
    stores = [first if soc_pct is None else replace(first, soc_pct=soc_pct), *others]
    full = [replace(one, soc_pct=max(100.0, one.soc_pct)) for one in stores]
    energy = _usable_wh(stores), _usable_wh(full)
    off = set(without)
    less_w = without_w + sum(memory.groups_w.get(name) or 0 for name in off)
    lasts_h = range_h(ahead, *energy, less_w)
    low_h, mid_h, high_h = (round(hours, 2) if hours < inf else None for hours in lasts_h)
    lasts = Runtime(low_h, mid_h, high_h, round(energy[0]), round(_next_hour_w(ahead, less_w)))
    gains_h = {
        name: None if group_w is None or mid_h is None else _gain_h(ahead, energy, less_w + group_w, lasts_h[1])
        for name, group_w in memory.groups_w.items()
        if with_gains and name not in off
    }
    return Forecast(lasts, gains_h)


def _gain_h(ahead: Outlook, energy: tuple[float, float], less_w: float, without_h: float) -> float:
    """Where it would never end, as much as the horizon has left."""
    return round(max(0.0, min(_median_h(ahead, *energy, less_w), HORIZON_H) - without_h), 2)


def _next_hour_w(ahead: Outlook, less_w: float) -> float:
    powers = sorted(next(ahead.powers(example, less_w)) for example in ahead.examples or (AS_NOW,))
    return powers[len(powers) // 2]


def spread_of(days: int) -> float:
    return SPREAD + SPREAD_OF_FEW / sqrt(days) if days else SPREAD_UNKNOWN


def range_h(ahead: Outlook, usable_wh: float, most_wh: float, less_w: float = 0.0) -> tuple[float, float, float]:
    """p10, p50 and p90 of the hours until the energy is used up; infinite beyond the horizon."""
    more = 1 + spread_of(ahead.days)
    low, mid, high = _ranked(ahead, (usable_wh / more, usable_wh, usable_wh * more), most_wh, less_w)
    return _quantile(low, LOW), _quantile(mid, 0.5), _quantile(high, HIGH)


def _median_h(ahead: Outlook, usable_wh: float, most_wh: float, less_w: float) -> float:
    return _quantile(_ranked(ahead, (usable_wh,), most_wh, less_w)[0], 0.5)


def _ranked(ahead: Outlook, energies: Sequence[float], most_wh: float, less_w: float) -> list[list[float]]:
    """For each of the energies the times that the examples take for it, the least first."""
    found: list[list[float]] = []
    for example in ahead.examples or (AS_NOW,):
        found += [_used_up_h(ahead, example, energies, most_wh, less_w)] * example.weight
    return [sorted(times) for times in zip(*found, strict=True)]


def _used_up_h(
    ahead: Outlook, example: Example, energies: Sequence[float], most_wh: float, less_w: float
) -> list[float]:
    """When each of the energies, the least first, is used up on this path. Surplus of the sun goes back in."""
    until = list(energies)  # what may be used in all, with what was put back and found room
    times = [inf] * len(until)
    first, used, at_h, step_h = 0, 0.0, 0.0, ahead.first_h
    for power_w in ahead.powers(example, less_w):
        drain_w = power_w + STANDBY_W
        if drain_w > 0:
            after = used + drain_w * step_h
            while until[first] <= after:
                times[first] = at_h + (until[first] - used) / drain_w
                first += 1
                if first == len(until):
                    return times
            used = after
        else:
            used += drain_w * EFFICIENCY**2 * step_h
            until = [min(wh, used + max(most_wh, given)) for wh, given in zip(until, energies, strict=True)]
        at_h, step_h = at_h + step_h, 1.0
    return times


def _quantile(ranked: Sequence[float], share: float) -> float:
    """Between the two nearest; an infinite neighbour makes it infinite."""
    place = share * (len(ranked) - 1)
    below = int(place)
    part = place - below
    return ranked[below] + part * (ranked[below + 1] - ranked[below]) if part and ranked[below] < inf else ranked[below]
