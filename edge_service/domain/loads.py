"""Which loads are shed, when and why, and when they come back. Home Assistant or a relay of ours carries it out.

What is wanted is a state, not an act: it is compared with what was heard of each group in every cycle. Only what we
shed is put back, and what a person decides goes first.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto

from edge_service.domain.load_fit import (
    FORM_SHARE,
    OFF,
    Sums,
    expected_w,
    groups as groups,
    heard,
    house_load,
    is_sheddable,
    needs_w,
    over,
    part,
    plus,
    rating,
    share,
    without,
)
from edge_service.domain.load_house import of_house
from edge_service.domain.memory import DrillStage, IslandStep, LoadMemory, LoadsMemory, Memory
from edge_service.domain.model import (
    Backup,
    Grid,
    LoadGroup,
    LoadOrder,
    LoadReading,
    LoadState,
    Mode,
    Supply,
    Tier,
    frozen_map,
)
from edge_service.domain.view import View

# Put back one by one: what starts together draws its starting current together. Enphase's published pace.
RESTORE_EVERY = timedelta(seconds=22)
# An island that was overloaded is left in peace before it is given more.
QUIET_FOR = timedelta(seconds=60)
# Room for what starts, and for what swings.
RESTORE_SHARE = 0.8
# Up to here for long is wear, above the rating the inverter trips within seconds.
NEARLY_SHARE = 0.95
NEARLY_FOR = timedelta(seconds=30)
# A charge moves up and down by itself, and by the sun.
RESTORE_ABOVE_PCT = 10.0
# An inverter that falls within this time of a load's return fell by it.
BLAMED_WITHIN = timedelta(seconds=30)
MOST_COLLAPSES = 5
MOST_IN_A_ROW = 2
# A relay takes a moment, a radio plug more; then an order that nobody proves counts for nothing.
CARRIED_OUT_WITHIN = timedelta(seconds=5)
# The inverter's own reading lags behind what it carries.
MEASURED_WITHIN = timedelta(seconds=1)

ALIVE = frozenset({IslandStep.ISLAND, IslandStep.ANNOUNCED, IslandStep.SYNCHRONISING})
UNFORMED = frozenset(
    {IslandStep.SHEDDING, IslandStep.OPENING, IslandStep.FORMING, IslandStep.DARK, IslandStep.RETRY}
) | {IslandStep.HANDOVER}
TIERS = tuple(Tier)


class Reason(StrEnum):
    """Why a group is wanted as it is. ``found``: it was shed when we began. ``kept``: a person switched it on."""

    BY_HAND = "by_hand"
    BEFORE_FORMING = "before_forming"
    TIER = "tier"
    RESERVE = "reserve"
    OVERLOAD = "overload"
    COLLAPSE = "collapse"
    FOUND = "found"
    KEPT = "kept"
    RESTORED = "restored"


class Phase(Enum):
    """What the house lives on, as far as loads go. ``apart``: nothing is shed or put back now."""

    TIED = auto()
    FORMING = auto()
    CARRIED = auto()
    APART = auto()


def phase(view: View) -> Phase:
    """Where the house stands."""
    step = view.memory.island.step
    if step in ALIVE or view.supply is Supply.VENDOR_BACKUP:
        return Phase.CARRIED
    lost = view.grid is Grid.OUTAGE and step is IslandStep.TIED and carrier(view) is not None
    if step in UNFORMED or lost or (step is IslandStep.TIED and _is_rehearsed(view)):
        return Phase.FORMING
    return Phase.TIED if view.tied else Phase.APART


def _is_rehearsed(view: View) -> bool:
    """A drill wants the loads shed: before the house is moved, or instead of that."""
    drill = view.memory.drill
    if drill is None or not drill.runs:
        return False
    return drill.stage is (DrillStage.TRANSFERRING if drill.transfer else DrillStage.CARRYING)


def carrier(view: View) -> str | None:
    """The charger that carries the house in an outage, or would; None: none does."""
    if view.facts.switch is not None:
        return view.memory.island.former
    able = {name: one.capability for name, one in view.facts.chargers.items() if one.capability is not None}
    return next((name for name, one in able.items() if one.backup is Backup.VENDOR), None)


def follow(view: View, before: Memory) -> LoadsMemory:
    """What is wanted of each group from now on."""
    known = groups(view.settings, view.facts)
    heard_of = {name: _hear(view, name, before.loads.group(name)) for name in known}
    memory = of_house(view, replace(before.loads, groups=frozen_map(heard_of)), known)
    if view.settings.mode is Mode.READ_ONLY:
        return memory
    plan = Plan(view, memory, known)
    plan.heed_people()
    match phase(view):
        case Phase.FORMING:
            if before.island.step in ALIVE and view.memory.island.step is not IslandStep.HANDOVER:
                plan.collapse(before.at or view.observation.now)
            plan.by_tier()
            plan.shed_to_fit()
        case Phase.CARRIED:
            plan.by_tier()
            plan.relieve()
            plan.restore_in_island()
        case Phase.TIED:
            plan.forget_outage()
            plan.restore(lambda name: True)
        case Phase.APART:
            pass
    return plan.memory()


def orders(memory: LoadsMemory) -> Mapping[str, LoadOrder]:
    """What is wanted of each group; no entry for one that was never heard of: it is left as it stands."""
    told = {name: one for name, one in memory.groups.items() if one.since is not None or one.silent_since is None}
    return frozen_map({name: group.wanted for name, group in told.items()})


def _hear(view: View, name: str, known: LoadMemory) -> LoadMemory:
    """What the group's own word changes: its power, a person's hand on it, that it is shed already."""
    now, reading = view.observation.now, heard(view.observation, name, view.facts)
    if reading is None or reading.state is None:
        return known if known.silent_since else replace(known, silent_since=now)
    known = known if known.silent_since is None else replace(known, silent_since=None)
    if reading.state is LoadState.KEPT and known.wanted is LoadOrder.SHED and not _is_older(reading, known):
        return replace(known, wanted=LoadOrder.ON, since=now, reason=Reason.KEPT, kept=True, shed_proven=False)
    if reading.state is LoadState.SHED and known.since is None:
        return replace(known, wanted=LoadOrder.SHED, since=now, reason=Reason.FOUND, shed_proven=True)
    proven = known.wanted is LoadOrder.SHED and (known.shed_proven or reading.state is LoadState.SHED)
    return known if proven is known.shed_proven else replace(known, shed_proven=proven)


def _is_older(reading: LoadReading, known: LoadMemory) -> bool:
    """It was told before our last word, and says nothing on that."""
    return known.since is not None and reading.at < known.since


class Plan:
    """The groups while a decision is made on them."""

    def __init__(self, view: View, memory: LoadsMemory, known: Mapping[str, LoadGroup]) -> None:
        self._view, self._before, self._known = view, memory, known
        self._now = view.observation.now
        self._groups = dict(memory.groups)
        self._memory = memory

    def memory(self) -> LoadsMemory:
        return replace(self._memory, groups=frozen_map(self._groups))

    # A person

    def heed_people(self) -> None:
        """What a person decided is so until that is taken back; a must-have that nobody wants shed is on."""
        for name, group in self._known.items():
            order, at = self._view.settings.loads_by_hand.get(name), self._groups[name]
            must = group.tier is Tier.MUST_HAVE or group.medical
            if order is not None:
                later = at.since is not None and at.reason == Reason.KEPT and at.since >= self._by_hand_at(name)
                if not later and (at.wanted, at.reason) != (order, Reason.BY_HAND):
                    self._want(name, order, Reason.BY_HAND, kept=False)
            elif must and at.wanted is LoadOrder.SHED:
                self._want(name, LoadOrder.ON, Reason.RESTORED)

    def _by_hand_at(self, name: str) -> datetime:
        return self._view.settings.loads_by_hand_at.get(name, self._now)

    # Shedding

    def by_tier(self) -> None:
        """Non-essential loads go in every outage, nice ones at or below their charge."""
        soc = self._view.soc_pct(carrier(self._view) or "")
        for name, group in self._sheddable():
            if self._groups[name].kept:
                continue
            if group.tier is Tier.NON_ESSENTIAL:
                self._shed(name, Reason.TIER)
            elif soc is not None and soc <= group.shed_below_pct:
                self._shed(name, Reason.RESERVE)

    def collapse(self, fell_at: datetime) -> None:
        """The island fell: all that may go is off for the next try, and what had just come back is blamed."""
        self._memory = replace(self._memory, collapsed_at=self._now, overload_since=None)
        for name, _ in self._sheddable():
            at = self._groups[name]
            if at.wanted is LoadOrder.ON and at.since is not None and fell_at - at.since <= BLAMED_WITHIN:
                self._groups[name] = replace(at, collapses=at.collapses + 1, in_a_row=at.in_a_row + 1)
            self._shed(name, Reason.COLLAPSE)

    def shed_to_fit(self) -> None:
        """Before forming, nice loads go, the largest first, until what is left fits; unknown ones when that fails."""
        load, limit = house_load(self._before), self._limit()
        if load is None or limit is None:
            return
        most = share(limit, FORM_SHARE)
        left = without(load, [group for name, group in self._known.items() if self._goes_off(name)], self._before)
        while any(excess := over(left, most)):
            open_ = [(name, group) for name, group in self._sheddable() if self._is_on(name, but_kept=True)]
            helps = [one for one in open_ if self._relief(one[0], excess) > 0]
            if not helps:
                for name, _ in [one for one in open_ if expected_w(one[1], self._groups[one[0]]) is None]:
                    self._shed(name, Reason.BEFORE_FORMING)
                return
            name, group = max(helps, key=lambda one: (self._relief(one[0], excess), one[0]))
            self._shed(name, Reason.BEFORE_FORMING)
            left = without(left, [group], self._before)

    def relieve(self) -> None:
        """In the island: the inverter trips within a second of too much, so what suffices goes in this decision."""
        load, limit = house_load(self._before), self._limit()
        if load is None or limit is None or self._view.house_w is None:
            return
        nearly = any(over(load, share(limit, NEARLY_SHARE)))
        since = (self._memory.overload_since or self._now) if nearly else None
        self._memory = replace(self._memory, overload_since=since)
        if since is None or not (any(over(load, limit)) or self._now - since >= NEARLY_FOR):
            return
        self._memory = replace(self._memory, overloaded_at=self._now)
        left = self._after_pending(load)
        while left is not None and any(over(left, share(limit, NEARLY_SHARE))):
            excess = over(left, share(limit, FORM_SHARE))
            name = self._next(excess)
            if name is None:
                return
            self._shed(name, Reason.OVERLOAD)
            power_w = expected_w(self._known[name], self._groups[name])
            left = None if power_w is None else plus(left, self._part(name, power_w), -1)

    def _after_pending(self, load: Sums) -> Sums | None:
        """The load once what is on its way off is off; None: nobody knows how much that is."""
        for name in self._known:
            if self._is_pending(name):
                power_w = expected_w(self._known[name], self._groups[name])
                if power_w is None:
                    return None
                load = plus(load, self._part(name, power_w), -1)
        return load

    def _is_pending(self, name: str) -> bool:
        """Shed so lately that the inverter does not show it yet."""
        at, stands = self._groups[name], self._state(name)
        if at.wanted is LoadOrder.ON or at.since is None or stands is LoadState.OFF:
            return False
        reading = self._view.reading(carrier(self._view) or "")
        unseen = reading is not None and at.since > reading.at - MEASURED_WITHIN
        return unseen or (stands is not LoadState.SHED and self._now - at.since < CARRIED_OUT_WITHIN)

    def _next(self, excess: Sums) -> str | None:
        """Known power first, the least important tier first, then the one that just suffices, else the largest."""

        def rank(name: str) -> tuple[bool, bool, bool, int, bool, float, str]:
            at, group = self._groups[name], self._known[name]
            relief = self._relief(name, excess)
            suffices = not any(plus(excess, self._part(name, expected_w(group, at) or 0), -1))
            unknown = expected_w(group, at) is None
            rarest = -TIERS.index(group.tier)
            return (
                at.kept,
                self._state(name) is None,
                unknown,
                rarest,
                not suffices,
                relief if suffices else -relief,
                name,
            )

        useful = [name for name, _ in self._sheddable() if self._is_on(name) and self._may_help(name, excess)]
        return min(useful, key=rank, default=None)

    def _may_help(self, name: str, excess: Sums) -> bool:
        unknown = expected_w(self._known[name], self._groups[name]) is None
        return unknown or self._relief(name, excess) > 0

    @property
    def has_more(self) -> bool:
        """Something is left that could be shed, or is on its way off."""
        return any(self._is_on(name) or self._is_pending(name) for name, _ in self._sheddable())

    # Putting back

    def forget_outage(self) -> None:
        """On the grid a new outage begins with a clean slate."""
        self._memory = replace(self._memory, overload_since=None)
        for name, at in self._groups.items():
            if (at.kept or at.collapses or at.in_a_row) and name not in self._view.settings.loads_by_hand:
                self._groups[name] = replace(at, kept=False, collapses=0, in_a_row=0)

    def restore_in_island(self) -> None:
        """What the charge and the inverter bear, once the island stands and is quiet."""
        island, now = self._view.memory.island, self._now
        self._clear_rows()
        if self._view.facts.switch is not None and island.step is not IslandStep.ISLAND:
            return
        waits = [(island.since, RESTORE_EVERY), (self._memory.overloaded_at, QUIET_FOR)]
        waits += [(self._memory.collapsed_at, QUIET_FOR), (self._memory.overload_since, QUIET_FOR)]
        if any(at is not None and now - at < quiet for at, quiet in waits):
            return
        if not any(self._is_pending(name) for name in self._known):
            self.restore(self._may_return)

    def _clear_rows(self) -> None:
        """A group that has come back and stayed is blamed for no row of collapses."""
        for name, at in self._groups.items():
            stayed = at.wanted is LoadOrder.ON and at.since is not None and self._now - at.since > BLAMED_WITHIN
            if stayed and at.in_a_row:
                self._groups[name] = replace(at, in_a_row=0)

    def _may_return(self, name: str) -> bool:
        at, group = self._groups[name], self._known[name]
        soc = self._view.soc_pct(carrier(self._view) or "")
        if group.tier is Tier.NON_ESSENTIAL or at.collapses >= MOST_COLLAPSES or at.in_a_row >= MOST_IN_A_ROW:
            return False
        if soc is None or soc < min(group.shed_below_pct + RESTORE_ABOVE_PCT, 100.0):
            return False
        load, limit, power_w = house_load(self._before), self._limit(), needs_w(group, at)
        if load is None or limit is None or power_w is None or self._view.house_w is None:
            return False
        return not any(over(plus(load, self._part(name, power_w)), share(limit, RESTORE_SHARE)))

    def restore(self, may: Callable[[str], bool]) -> None:
        """The next group, if its turn has come: the most important first, then the smallest."""
        last = self._memory.last_restored_at
        if last is not None and self._now - last < RESTORE_EVERY:
            return
        shed = [name for name in self._known if self._is_restorable(name) and may(name)]
        name = min(shed, key=self._turn, default=None)
        if name is not None:
            self._want(name, LoadOrder.ON, Reason.RESTORED)
            self._memory = replace(self._memory, last_restored_at=self._now)

    def _is_restorable(self, name: str) -> bool:
        shed = self._groups[name].wanted is LoadOrder.SHED
        return shed and name not in self._view.settings.loads_by_hand and self._state(name) is not None

    def _turn(self, name: str) -> tuple[int, int, str]:
        group = self._known[name]
        return TIERS.index(group.tier), needs_w(group, self._groups[name]) or 0, name

    # What all of these ask

    def _sheddable(self) -> list[tuple[str, LoadGroup]]:
        return [(name, group) for name, group in self._known.items() if is_sheddable(group, self._view.settings)]

    def _state(self, name: str) -> LoadState | None:
        reading = heard(self._view.observation, name, self._view.facts)
        return None if reading is None else reading.state

    def _is_on(self, name: str, *, but_kept: bool = False) -> bool:
        """It is not to be off, and is not off by a person."""
        at = self._groups[name]
        wanted = at.wanted is LoadOrder.ON and not (but_kept and at.kept)
        return wanted and self._state(name) is not LoadState.OFF

    def _goes_off(self, name: str) -> bool:
        """It is off, or has been told so just now."""
        at = self._groups[name]
        told = at.wanted is LoadOrder.SHED and at.since is not None and self._now - at.since < CARRIED_OUT_WITHIN
        return told or self._state(name) in OFF

    def _limit(self) -> Sums | None:
        view = self._view
        return rating(view.observation, view.facts, carrier(view), len(self._before.leg_w))

    def _part(self, name: str, power_w: float) -> Sums:
        return part(self._known[name], power_w, len(self._before.leg_w))

    def _relief(self, name: str, excess: Sums) -> float:
        """What it takes off where there is too much."""
        at, group = self._groups[name], self._known[name]
        off = self._part(name, expected_w(group, at) or 0)
        return sum(min(one, too_much) if too_much else 0.0 for one, too_much in zip(off, excess, strict=True))

    def _shed(self, name: str, reason: Reason) -> None:
        if self._groups[name].wanted is LoadOrder.ON:
            self._want(name, LoadOrder.SHED, reason)

    def _want(self, name: str, order: LoadOrder, reason: Reason, *, kept: bool | None = None) -> None:
        at = self._groups[name]
        keeps = at.kept if kept is None else kept
        since = at.since if at.wanted is order and at.since is not None else self._now
        self._groups[name] = replace(
            at,
            wanted=order,
            since=since,
            reason=reason,
            kept=keeps,
            shed_proven=at.shed_proven and order is LoadOrder.SHED,
        )
