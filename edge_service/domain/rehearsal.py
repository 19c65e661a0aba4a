"""A rehearsed event: watched from its announcement to its end like one of a utility, and scored. Never settled."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from edge_service.domain.delivery import LONGEST_STEP
from edge_service.domain.memory import EventMemory, EventStage, Memory
from edge_service.domain.model import Event, Scope, frozen_map
from edge_service.domain.realise import order_power_w
from edge_service.domain.rehearsal_memory import RehearsalMemory, RehearsalOutcome
from edge_service.domain.view import View

# The goal of a start is one second on the wire; ten are what a slow poll would take.
LATE_START_S = 1.0
VERY_LATE_START_S = 10.0
# Readings of chargers and meter are of different moments: so much longer than the device needs.
MARGIN = timedelta(seconds=5)
# The best of two percent, half a step and what the model may miss counts as met.
TRACKED_SHARE = 0.02
DELIVERED_SHARE = 0.9
# With less than this a real event would have been lost.
FAILED_SHARE = 0.5
# Points that a finding costs.
COSTS: Mapping[str, int] = {
    "start_late": 10,
    "start_very_late": 30,
    "off_target": 20,
    "fell_short": 20,
    "limited": 15,
    "not_measured": 10,
    "notice_not_brought": 10,
}


def follow(view: View, before: Memory, accounts: Mapping[str, EventMemory]) -> RehearsalMemory | None:
    """The rehearsal that comes or runs, or the last one."""
    known = before.rehearsal
    if known is None or known.ended_at is not None:
        event = _new(view, known)
        known = known if event is None else _begun(view, event)
    if known is None or known.ended_at is not None:
        return known
    account = accounts.get(known.uid)
    if account is None or account.stage in (EventStage.CANCELLED, EventStage.OPTED_OUT):
        return _ended(view, known, RehearsalOutcome.CANCELLED, "cancelled")
    known = _told(view, known, account)
    if account.is_over(view.observation.now):
        return _finished(view, known, account)
    return _watched(view, before, known, account) if account.stage is EventStage.RUNNING else known


def _new(view: View, last: RehearsalMemory | None) -> Event | None:
    """One that nobody has followed yet."""
    now = view.observation.now
    coming = [
        event
        for event in view.observation.events
        if event.rehearsal and event.slots and now < event.end and not event.cancelled
    ]
    return next((event for event in coming if last is None or event.uid != last.uid), None)


def _begun(view: View, event: Event) -> RehearsalMemory:
    target_w = min((slot.power_w for slot in event.slots), default=None)
    now = view.observation.now
    return RehearsalMemory(event.uid, event.program_id, event.name, event.dry, now, event.start, event.end, target_w)


def _told(view: View, known: RehearsalMemory, account: EventMemory) -> RehearsalMemory:
    """What the account says of it by now, and whether people have heard of it."""
    limits = known.limited_by
    if account.limited_by is not None and account.limited_by not in limits:
        limits = (*limits, str(account.limited_by))
    told_s = known.told_s
    if told_s is None and f"event:{known.uid}" in view.observation.brought:
        told_s = (view.observation.now - known.entered_at).total_seconds()
    return replace(known, limited_by=limits, told_s=told_s, energy_wh=account.charger_wh, gap_s=account.gap_s)


def _watched(view: View, before: Memory, known: RehearsalMemory, account: EventMemory) -> RehearsalMemory:
    """The start, and how far what is measured is from the target."""
    if known.start_s is None:
        known = replace(known, start_s=_start_s(view, known))
    now, power_w = view.observation.now, _power_w(view, account)
    steady = now >= account.since + _settles(view, known)  # the stage is of then: also after an interruption
    if known.dry or not steady or power_w is None or known.target_w is None or before.at is None:
        return known
    step_s = max(0.0, min(now - before.at, LONGEST_STEP).total_seconds())
    error_w = abs(power_w - known.target_w)
    return replace(known, error_w_s=known.error_w_s + error_w * step_s, measured_s=known.measured_s + step_s)


def _start_s(view: View, known: RehearsalMemory) -> float | None:
    """None until a charger took an order to supply. A dry one is asked for by the decision alone."""
    if known.dry:
        return max(0.0, (view.observation.now - known.start).total_seconds())
    taken = []
    for charger, evidence in view.observation.orders.items():
        power_w, at = order_power_w(evidence.order, view.capability(charger)), evidence.written_at
        if at is not None and at >= known.start and power_w is not None and power_w < 0:
            taken.append((at - known.start).total_seconds())
    return min(taken, default=None)


def _settles(view: View, known: RehearsalMemory) -> timedelta:
    program = view.facts.programs.get(known.program_id)
    slowest_s = max((one.settle_s for name in view.facts.chargers if (one := view.capability(name))), default=0.0)
    return timedelta(seconds=slowest_s + (0.0 if program is None else program.ramp_s)) + MARGIN


def _power_w(view: View, account: EventMemory) -> float | None:
    """What is measured where the program's setpoints count; None: not known."""
    program = view.facts.programs.get(account.program_id)
    if program is not None and program.scope is Scope.SITE:
        return None if account.exported_w is None else -account.exported_w
    supplied = account.supplied_w.values()
    known = [one for one in supplied if one is not None]
    return -sum(known) if known and len(known) == len(supplied) else None


def _ended(view: View, known: RehearsalMemory, outcome: RehearsalOutcome, *reasons: str) -> RehearsalMemory:
    return replace(known, ended_at=view.observation.now, outcome=outcome, reasons=(*known.reasons, *reasons))


def _finished(view: View, known: RehearsalMemory, account: EventMemory) -> RehearsalMemory:
    if account.stage is not EventStage.FINISHED or known.start_s is None:
        why = "missed" if account.stage is not EventStage.FINISHED else "not_started"
        return _ended(view, known, RehearsalOutcome.FAILED, why)
    if not (known.dry or _is_net(view, known)) and known.energy_wh < FAILED_SHARE * _asked_wh(known):
        return _ended(view, known, RehearsalOutcome.FAILED, "fell_short", *(["limited"] if known.limited_by else []))
    found = tuple(_findings(view, known))
    scored = replace(known, score=max(0, 100 - sum(COSTS[reason] for reason in found)))
    return _ended(view, scored, RehearsalOutcome.PASSED, *found)


def _findings(view: View, known: RehearsalMemory) -> Iterator[str]:
    if (known.start_s or 0.0) > LATE_START_S:
        yield "start_very_late" if (known.start_s or 0.0) > VERY_LATE_START_S else "start_late"
    if not known.dry:
        yield from _of_pulse(view, known)
    if known.told_s is None:
        yield "notice_not_brought"


def _of_pulse(view: View, known: RehearsalMemory) -> Iterator[str]:
    target_w = abs(known.target_w or 0)
    if known.error_w is None or known.gap_s > 0:
        yield "not_measured"
    if known.error_w is not None and known.error_w > _tolerance_w(view, target_w):
        yield "off_target"
    if not _is_net(view, known) and known.energy_wh < DELIVERED_SHARE * _asked_wh(known):
        yield "fell_short"
    if known.limited_by:
        yield "limited"


def _asked_wh(known: RehearsalMemory) -> float:
    return abs(known.target_w or 0) * (known.end - known.start).total_seconds() / 3600


def _is_net(view: View, known: RehearsalMemory) -> bool:
    program = view.facts.programs.get(known.program_id)
    return program is not None and program.scope is Scope.SITE


def _tolerance_w(view: View, target_w: int) -> float:
    """What all chargers together may miss."""
    capabilities = [one for name in view.facts.chargers if (one := view.capability(name)) is not None]
    each = [max(one.step_w / 2, one.tolerance_of(target_w)) for one in capabilities]
    return max(TRACKED_SHARE * target_w, sum(each))


def report(known: RehearsalMemory) -> Mapping[str, object]:
    """All of it, for the log and for people."""
    return frozen_map(
        {
            "uid": known.uid,
            "program": known.program_id,
            "name": known.name,
            "dry": known.dry,
            "start": known.start.isoformat(),
            "end": known.end.isoformat(),
            "target_w": known.target_w,
            "score": known.score,
            "reasons": list(known.reasons),
            "start_s": None if known.start_s is None else round(known.start_s, 2),
            "error_w": None if known.error_w is None else round(known.error_w),
            "energy_wh": round(known.energy_wh),
            "limited_by": list(known.limited_by),
            "told_s": None if known.told_s is None else round(known.told_s, 1),
            "gap_s": round(known.gap_s),
        }
    )
