"""When loads come back: one at a time, into room that there is, and only what we have shed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from edge_service.domain.altered import altered
from edge_service.domain.load_fit import house_load, needs_w, over, plus, share
from edge_service.domain.load_plan import BLAMED_WITHIN, TIERS, Plan, Reason, carrier
from edge_service.domain.memory import IslandStep
from edge_service.domain.model import LoadOrder, Tier

# Put back one by one: what starts together draws its starting current together. Enphase's published pace.
RESTORE_EVERY = timedelta(seconds=22)
# An island that was overloaded is left in peace before it is given more.
QUIET_FOR = timedelta(seconds=60)
# Room for what starts, and for what swings.
RESTORE_SHARE = 0.8
# A charge moves up and down by itself, and by the sun.
RESTORE_ABOVE_PCT = 10.0
MOST_COLLAPSES = 5
MOST_IN_A_ROW = 2


def forget_outage(plan: Plan) -> None:
    """On the grid a new outage begins with a clean slate."""
    plan.loads = altered(plan.loads, overload_since=None)
    for name, at in plan.groups.items():
        if (at.kept or at.collapses or at.in_a_row) and name not in plan.view.settings.loads_by_hand:
            plan.groups[name] = replace(at, kept=False, collapses=0, in_a_row=0)


def restore_in_island(plan: Plan) -> None:
    """What the charge and the inverter bear, once the island stands and is quiet."""
    island, now = plan.view.memory.island, plan.now
    _clear_rows(plan)
    if plan.view.facts.switch is not None and island.step is not IslandStep.ISLAND:
        return
    waits = [(island.since, RESTORE_EVERY), (plan.loads.overloaded_at, QUIET_FOR)]
    waits += [(plan.loads.collapsed_at, QUIET_FOR), (plan.loads.overload_since, QUIET_FOR)]
    if any(at is not None and now - at < quiet for at, quiet in waits):
        return
    if not any(plan.is_pending(name) for name in plan.known):
        restore(plan, lambda name: _may_return(plan, name))


def _clear_rows(plan: Plan) -> None:
    """A group that has come back and stayed is blamed for no row of collapses."""
    for name, at in plan.groups.items():
        stayed = at.wanted is LoadOrder.ON and at.since is not None and plan.now - at.since > BLAMED_WITHIN
        if stayed and at.in_a_row:
            plan.groups[name] = replace(at, in_a_row=0)


def _may_return(plan: Plan, name: str) -> bool:
    at, group = plan.groups[name], plan.known[name]
    soc = plan.view.soc_pct(carrier(plan.view) or "")
    if name in plan.view.settings.loads_by_hand:  # the island fell with what a person wanted on
        return False
    if plan.tier(name) is Tier.NON_ESSENTIAL or at.collapses >= MOST_COLLAPSES or at.in_a_row >= MOST_IN_A_ROW:
        return False
    if at.reason == Reason.OUT_OF_HOURS and at.since is not None and plan.now - at.since < QUIET_FOR:
        return False  # the clock was corrected over the end of its hours: it goes once
    if soc is None or soc < min(group.shed_below_pct + RESTORE_ABOVE_PCT, 100.0):
        return False
    load, limit, power_w = house_load(plan.before), plan.limit(), needs_w(group, at)
    if load is None or limit is None or power_w is None or plan.view.house_w is None:
        return False
    return not any(over(plus(load, plan.part(name, power_w)), share(limit, RESTORE_SHARE)))


def restore(plan: Plan, may: Callable[[str], bool]) -> None:
    """The next group, if its turn has come: the most important first, then the smallest."""
    last = plan.loads.last_restored_at
    if last is not None and plan.now - last < RESTORE_EVERY:
        return
    shed = [name for name in plan.known if _is_restorable(plan, name) and may(name)]
    name = min(shed, key=lambda name: _turn(plan, name), default=None)
    if name is not None:
        plan.want(name, LoadOrder.ON, Reason.RESTORED)
        plan.loads = replace(plan.loads, last_restored_at=plan.now)


def _is_restorable(plan: Plan, name: str) -> bool:
    shed = plan.groups[name].wanted is LoadOrder.SHED
    by_hand = plan.view.settings.loads_by_hand.get(name)
    return shed and by_hand is not LoadOrder.SHED and plan.state(name) is not None


def _turn(plan: Plan, name: str) -> tuple[int, int, str]:
    return TIERS.index(plan.tier(name)), needs_w(plan.known[name], plan.groups[name]) or 0, name
