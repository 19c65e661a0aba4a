"""A rehearsed outage: pre-checks that refuse by name, measured phases, a score.

A drill with a transfer takes the house to the vehicle and back: ``islanding`` moves it as the stage here says. Without
one the loads are shed and put back, and everything else is looked at as it stands.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain import performance
from edge_service.domain.drill_checks import Moment, refusals
from edge_service.domain.load_fit import groups
from edge_service.domain.memory import ALIVE, DrillMemory, DrillStage, IslandStep, Memory
from edge_service.domain.model import DrillRequest, DrillSchedule, Grid, LoadOrder, LoadState, Mode, Release
from edge_service.domain.view import View

# A wish that nobody took up for so long is of another time: the edge was off, or its clock was set.
TAKEN_UP_WITHIN = timedelta(minutes=5)
# A scheduled one may be this late, so that it is still at the hour that people chose.
LATE_BY = timedelta(minutes=30)
# Every source has spoken at least once in this time, on what the pre-checks go by.
LOOKS_FOR = timedelta(seconds=5)
# The outage rung withdraws every order meanwhile; one that cannot be withdrawn would stand while the charger forms.
LETS_GO_WITHIN = timedelta(seconds=30)
# From the wish to leave the grid to an island: shedding, the switch, and half a minute in which the charger forms.
TRANSFERS_WITHIN = timedelta(seconds=60)
# Stopping, proving the house dead and closing take seconds; a hardware synchronism check may take two minutes.
RETURNS_WITHIN = timedelta(seconds=180)
# Loads are switched over a home's network; those that answer later than this are not counted on in an outage either.
SHED_WITHIN = timedelta(seconds=20)
# They come back one after another.
RESTORED_WITHIN = timedelta(minutes=5)

BACK = frozenset({IslandStep.STOPPING, IslandStep.CLOSING, IslandStep.SYNCHRONISING, IslandStep.STUCK})

# Points that a finding costs. Times are measured from the open contact to the live house: vendors state half a minute
# at most; ten seconds of darkness restart a router, five hardly anything.
SLOW_TRANSFER_S = {20: 10.0, 10: 5.0}
SLOW_RETURN_S = 10.0
SAG_BELOW_PU = 0.88
COSTS: Mapping[str, int] = {
    "voltage_sag": 20,
    "slow_return": 10,
    "loads_unproven": 15,
    "loads_not_restored": 10,
    "notice_not_brought": 10,
}


def follow(view: View, before: Memory) -> DrillMemory | None:
    """The drill that runs, or the last one; ``islanding`` moves the house for it."""
    drill = before.drill
    if drill is not None and drill.runs:
        return _go_on(view, drill, before)
    request = _wanted(view, drill)
    return drill if request is None else _begin(view, request, drill)


def _wanted(view: View, last: DrillMemory | None) -> DrillRequest | None:
    """What a person asked for just now, or what is due."""
    now, request, schedule = view.observation.now, view.settings.drill, view.settings.drill_schedule
    if request is not None and (last is None or last.id != request.id) and now - request.placed_at < TAKEN_UP_WITHIN:
        return request
    due = view.observation.drill_due
    if schedule is None or due is None or due > now:
        return None
    return _planned(schedule, due.isoformat(), due)


def _planned(schedule: DrillSchedule, own_id: str, at: datetime) -> DrillRequest:
    return DrillRequest(own_id, at, schedule.transfer, schedule.island_s, schedule.medical_safe, schedule.at_switch)


def _begin(view: View, request: DrillRequest, last: DrillMemory | None) -> DrillMemory:
    now = view.observation.now
    drill = DrillMemory(request.id, DrillStage.CHECKING, now, now, request.transfer, request.island_s)
    drill = _compared(drill, last)
    due = view.observation.drill_due
    if due is not None and request.id == due.isoformat():
        drill = replace(drill, scheduled_for=due)
    if now - request.placed_at > LATE_BY:
        return _end(drill, DrillStage.REFUSED, now, "missed")
    moment = _moment(view)
    reasons = refusals(moment, request)
    if reasons:
        return _end(drill, DrillStage.REFUSED, now, *reasons)
    reading = moment.former[1]
    return replace(drill, soc_from_pct=None if reading is None else reading.soc_pct)


def _compared(drill: DrillMemory, last: DrillMemory | None) -> DrillMemory:
    """With the figures of the last one of its kind that passed, and when one came by itself last."""
    if last is None:
        return drill
    drill = replace(drill, last_passed_at=last.last_passed_at, scheduled_for=last.scheduled_for)
    if last.transfer is not drill.transfer:
        return drill
    passed = last.stage is DrillStage.PASSED
    score = last.score if passed else last.previous_score
    transfer_s = last.transfer_s if passed else last.previous_transfer_s
    return replace(drill, previous_score=score, previous_transfer_s=transfer_s)


def _moment(view: View) -> Moment:
    return Moment(view.observation, view.memory, view.settings, view.facts)


def _end(drill: DrillMemory, stage: DrillStage, now: datetime, *reasons: str) -> DrillMemory:
    return replace(drill, stage=stage, since=now, ended_at=now, reasons=(*drill.reasons, *reasons))


def _enter(drill: DrillMemory, stage: DrillStage, now: datetime) -> DrillMemory:
    return replace(drill, stage=stage, since=now)


def _go_on(view: View, drill: DrillMemory, before: Memory) -> DrillMemory:
    now = view.observation.now
    broken_off = _broken_off(view, drill)
    if broken_off is not None:
        return _end(drill, DrillStage.ABORTED, now, broken_off)
    drill = _measured(view, drill, before)
    match drill.stage:
        case DrillStage.CHECKING:
            return _check(view, drill)
        case DrillStage.TRANSFERRING:
            return _transfer(view, drill)
        case DrillStage.CARRYING:
            return _carry(view, drill) if drill.transfer else _carry_dry(view, drill, before)
        case _:
            return _return(view, drill) if drill.transfer else _return_dry(view, drill)


def _broken_off(view: View, drill: DrillMemory) -> str | None:
    if view.grid is Grid.OUTAGE:
        return "outage"
    if view.settings.stopped:
        return "stopped"
    if view.settings.mode is Mode.READ_ONLY:
        return "read_only"
    return "cancelled" if view.settings.drill_cancelled == drill.id else None


def _check(view: View, drill: DrillMemory) -> DrillMemory:
    """The same pre-checks on fresh readings of every source; then it begins."""
    now = view.observation.now
    request, schedule = view.settings.drill, view.settings.drill_schedule
    if request is None or request.id != drill.id:
        request = None if schedule is None else _planned(schedule, drill.id, drill.started_at)
    wish = request or DrillRequest(drill.id, drill.started_at, drill.transfer)
    reasons = refusals(_moment(view), replace(wish, transfer=drill.transfer, island_s=drill.island_s))
    if reasons:
        return _end(drill, DrillStage.REFUSED, now, *reasons)
    if now - drill.since < LOOKS_FOR:
        return drill
    if drill.transfer and not _let_go(view):
        late = now - drill.since >= LETS_GO_WITHIN
        return _end(drill, DrillStage.REFUSED, now, "order_stands") if late else drill
    return _enter(drill, DrillStage.TRANSFERRING if drill.transfer else DrillStage.CARRYING, now)


def _let_go(view: View) -> bool:
    """No order of ours stands at any charger: the withdrawal was read back."""
    orders = view.observation.orders.values()
    return all(isinstance(one.order, Release) and one.read_back_at is not None for one in orders)


def _transfer(view: View, drill: DrillMemory) -> DrillMemory:
    now, step = view.observation.now, view.memory.island.step
    if drill.left_at is None and step in (IslandStep.FORMING, *ALIVE):
        drill = replace(drill, left_at=now)
    if step in ALIVE:
        left_at = drill.left_at or drill.since
        return replace(_enter(drill, DrillStage.CARRYING, now), transfer_s=(now - left_at).total_seconds())
    if drill.left_at is not None and (step in BACK or step is IslandStep.TIED):
        return _end(drill, DrillStage.FAILED, now, view.memory.island.failure or "not_formed")
    return _end(drill, DrillStage.FAILED, now, "not_transferred") if now - drill.since > TRANSFERS_WITHIN else drill


def _carry(view: View, drill: DrillMemory) -> DrillMemory:
    now = view.observation.now
    if view.memory.island.step not in ALIVE:
        return _end(drill, DrillStage.FAILED, now, "collapsed")
    return _enter(drill, DrillStage.RETURNING, now) if (now - drill.since).total_seconds() >= drill.island_s else drill


def _return(view: View, drill: DrillMemory) -> DrillMemory:
    now, step = view.observation.now, view.memory.island.step
    if drill.dark_at is None and step in BACK:
        drill = replace(drill, dark_at=now)
    if step is IslandStep.TIED:
        return_s = (now - (drill.dark_at or now)).total_seconds()
        return _finish(view, replace(drill, return_s=return_s))
    return _end(drill, DrillStage.FAILED, now, "not_returned") if now - drill.since > RETURNS_WITHIN else drill


def _carry_dry(view: View, drill: DrillMemory, before: Memory) -> DrillMemory:
    """The loads that an outage would shed are shed. They are asked for one decision after this stage has begun."""
    now = view.observation.now
    waits = drill.loads_unproven or before.at is None or before.at <= drill.since
    if waits and now - drill.since < SHED_WITHIN:
        return drill
    return _enter(drill, DrillStage.RETURNING, now)


def _return_dry(view: View, drill: DrillMemory) -> DrillMemory:
    now = view.observation.now
    left = [name for name in drill.loads_shed if _state(view, name) is LoadState.SHED]
    if left and now - drill.since < RESTORED_WITHIN:
        return drill
    return _finish(view, replace(drill, reasons=(*drill.reasons, *(["loads_not_restored"] if left else []))))


def _measured(view: View, drill: DrillMemory, before: Memory) -> DrillMemory:
    """What is seen while the vehicle carries the house, and which loads were shed and proved it."""
    if drill.told_s is None and "drill" in view.observation.brought:
        drill = replace(drill, told_s=(view.observation.now - drill.started_at).total_seconds())
    if drill.stage not in (DrillStage.TRANSFERRING, DrillStage.CARRYING):
        return drill
    wanted = [name for name, one in before.loads.groups.items() if one.wanted is LoadOrder.SHED]
    known = groups(view.settings, view.facts)
    unproven = tuple(known[name].name for name in wanted if name in known and not _is_shed(view, name))
    shed = tuple(dict.fromkeys((*drill.loads_shed, *wanted)))
    drill = replace(drill, loads_shed=shed, loads_unproven=unproven)
    return _of_island(view, drill, before) if drill.transfer and view.memory.island.step in ALIVE else drill


def _is_shed(view: View, group: str) -> bool:
    return _state(view, group) in (LoadState.SHED, LoadState.OFF, LoadState.KEPT)


def _state(view: View, group: str) -> LoadState | None:
    reading = view.observation.loads.get(group)
    return None if reading is None else reading.state


def _of_island(view: View, drill: DrillMemory, before: Memory) -> DrillMemory:
    now, reading = view.observation.now, view.reading(view.memory.island.former or "")
    house_w = view.house_w or 0
    step = min(now - before.at, performance.LONGEST_STEP) if before.at is not None else timedelta()
    volts = [one for one in (drill.lowest_v, reading.voltage_v if reading else None) if one is not None]
    return replace(
        drill,
        lowest_v=min(volts, default=None),
        highest_w=max(drill.highest_w or 0, house_w),
        energy_wh=drill.energy_wh + house_w * step.total_seconds() / 3600,
        soc_to_pct=reading.soc_pct if reading else drill.soc_to_pct,
    )


def _finish(view: View, drill: DrillMemory) -> DrillMemory:
    now = view.observation.now
    found = tuple(_findings(view, drill))
    slow = next((cost for cost, over_s in SLOW_TRANSFER_S.items() if (drill.transfer_s or 0.0) > over_s), 0)
    reasons = tuple(dict.fromkeys((*drill.reasons, *found, *(["slow_transfer"] if slow else []))))
    score = max(0, 100 - slow - sum(COSTS.get(reason, 0) for reason in reasons))
    passed = replace(drill, reasons=reasons, score=score, last_passed_at=now)
    return _end(passed, DrillStage.PASSED, now)


def _findings(view: View, drill: DrillMemory) -> list[str]:
    nominal_v = view.facts.nominal_voltage_v
    found = {
        "voltage_sag": drill.lowest_v is not None and drill.lowest_v < SAG_BELOW_PU * nominal_v,
        "slow_return": (drill.return_s or 0.0) > SLOW_RETURN_S,
        "loads_unproven": bool(drill.loads_unproven),
        "notice_not_brought": drill.told_s is None,
    }
    return [name for name, holds in found.items() if holds]
