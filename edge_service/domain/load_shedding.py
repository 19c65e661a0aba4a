"""When loads are shed: in every outage, before forming, at their charge, in an overload and after a collapse."""

from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain.load_fit import FORM_SHARE, Sums, expected_w, house_load, over, plus, share, without
from edge_service.domain.load_plan import BLAMED_WITHIN, TIERS, Plan, Reason, carrier
from edge_service.domain.load_restoring import RESTORE_ABOVE_PCT
from edge_service.domain.model import LoadOrder, Tier

# Up to here for long is wear, above the rating the inverter trips within seconds.
NEARLY_SHARE = 0.95
NEARLY_FOR = timedelta(seconds=30)


def by_tier(plan: Plan) -> None:
    """Non-essential loads go in every outage, nice ones outside of their hours and at or below their charge."""
    soc = plan.view.soc_pct(carrier(plan.view) or "")
    for name, group in plan.sheddable():
        if plan.groups[name].kept:
            continue
        if group.tier is Tier.NON_ESSENTIAL:
            plan.shed(name, Reason.TIER)
        elif plan.is_out_of_hours(name):
            plan.shed(name, Reason.OUT_OF_HOURS)
        elif soc is not None and soc <= group.shed_below_pct:
            plan.shed(name, Reason.RESERVE)
        _say_anew(plan, name, soc)


def _say_anew(plan: Plan, name: str, soc: float | None) -> None:
    """Hours begin and end while a group is off: which of hours and charge keeps it off now."""
    at = plan.groups[name]
    if at.wanted is LoadOrder.ON or at.reason not in (Reason.OUT_OF_HOURS, Reason.RESERVE):
        return
    if plan.is_out_of_hours(name):
        plan.want(name, LoadOrder.SHED, Reason.OUT_OF_HOURS)
    elif soc is not None and soc < plan.known[name].shed_below_pct + RESTORE_ABOVE_PCT:
        plan.want(name, LoadOrder.SHED, Reason.RESERVE)


def collapse(plan: Plan, fell_at: datetime) -> None:
    """The island fell: all that may go is off for the next try, and what had just come back is blamed."""
    plan.loads = replace(plan.loads, collapsed_at=plan.now, overload_since=None)
    for name, group in plan.known.items():
        at = plan.groups[name]
        if group.tier is Tier.MUST_HAVE or group.medical:
            continue
        if at.wanted is LoadOrder.ON and at.since is not None and fell_at - at.since <= BLAMED_WITHIN:
            plan.groups[name] = replace(at, collapses=at.collapses + 1, in_a_row=at.in_a_row + 1)
        plan.shed(name, Reason.COLLAPSE)


def shed_to_fit(plan: Plan) -> None:
    """Before forming, nice loads go, the largest first, until what is left fits; unknown ones when that fails."""
    load, limit = house_load(plan.before), plan.limit()
    if load is None or limit is None:
        return
    most = share(limit, FORM_SHARE)
    left = without(load, [group for name, group in plan.known.items() if plan.goes_off(name)], plan.before)
    while any(excess := over(left, most)):
        open_ = [(name, group) for name, group in plan.sheddable() if plan.is_on(name, but_kept=True)]
        helps = [one for one in open_ if plan.relief(one[0], excess) > 0]
        if not helps:
            for name, _ in [one for one in open_ if expected_w(one[1], plan.groups[one[0]]) is None]:
                plan.shed(name, Reason.BEFORE_FORMING)
            return
        name, group = max(helps, key=lambda one: (plan.relief(one[0], excess), one[0]))
        plan.shed(name, Reason.BEFORE_FORMING)
        left = without(left, [group], plan.before)


def relieve(plan: Plan) -> None:
    """In the island: the inverter trips within a second of too much, so what suffices goes in this decision."""
    load, limit = house_load(plan.before), plan.limit()
    if load is None or limit is None or plan.view.house_w is None:
        return
    nearly = any(over(load, share(limit, NEARLY_SHARE)))
    since = (plan.loads.overload_since or plan.now) if nearly else None
    plan.loads = replace(plan.loads, overload_since=since)
    if since is None or not (any(over(load, limit)) or plan.now - since >= NEARLY_FOR):
        return
    plan.loads = replace(plan.loads, overloaded_at=plan.now)
    left = _after_pending(plan, load)
    while left is not None and any(over(left, share(limit, NEARLY_SHARE))):
        excess = over(left, share(limit, FORM_SHARE))
        name = _next(plan, excess)
        if name is None:
            return
        plan.shed(name, Reason.OVERLOAD)
        power_w = expected_w(plan.known[name], plan.groups[name])
        left = None if power_w is None else plus(left, plan.part(name, power_w), -1)


def _after_pending(plan: Plan, load: Sums) -> Sums | None:
    """The load once what is on its way off is off; None: nobody knows how much that is."""
    for name in plan.known:
        if plan.is_pending(name):
            power_w = expected_w(plan.known[name], plan.groups[name])
            if power_w is None:
                return None
            load = plus(load, plan.part(name, power_w), -1)
    return load


def _next(plan: Plan, excess: Sums) -> str | None:
    """Known power first, the least important tier first, then the one that just suffices, else the largest."""

    def rank(name: str) -> tuple[bool, bool, bool, int, bool, float, str]:
        at = plan.groups[name]
        power_w = expected_w(plan.known[name], at)
        suffices = not any(plus(excess, plan.part(name, power_w or 0), -1))
        size = (power_w or 0) if suffices else -plan.relief(name, excess)
        unknown, unheard = power_w is None, plan.state(name) is None
        return at.kept, unheard, unknown, -TIERS.index(plan.tier(name)), not suffices, size, name

    useful = [name for name, _ in plan.sheddable() if plan.is_on(name) and _may_help(plan, name, excess)]
    return min(useful, key=rank, default=None)


def _may_help(plan: Plan, name: str, excess: Sums) -> bool:
    unknown = expected_w(plan.known[name], plan.groups[name]) is None
    return unknown or plan.relief(name, excess) > 0


def has_more(plan: Plan) -> bool:
    """Something is left that could be shed, or is on its way off."""
    return any(plan.is_on(name) or plan.is_pending(name) for name, _ in plan.sheddable())
