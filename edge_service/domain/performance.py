"""An event's life and account: what it needs, what can be promised, what was delivered."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from edge_service.domain.altered import altered
from edge_service.domain.band import Sum
from edge_service.domain.delivery import LONGEST_STEP as LONGEST_STEP, counted, unwatched, within
from edge_service.domain.event_limits import is_outranked
from edge_service.domain.memory import OVER, EventMemory, EventStage
from edge_service.domain.model import Event, Grid, frozen_map
from edge_service.domain.preparing import (
    Claim,
    Prospect,
    claims,
    feasible_w,
    is_prepared_for,
    is_withheld,
    lacks_energy,
    limits,
    prospect,
    target_w,
)
from edge_service.domain.view import View

# Below this share of the energy asked for an event counts as missed.
MISSED_SHARE = 0.01
KEPT_OVER = 20
# Time to plug in, or to say no.
SOON = timedelta(minutes=30)
_COMING = frozenset({EventStage.ANNOUNCED, EventStage.PREPARING, EventStage.PREPARED})
# Servers take an event off their list when it is over by their own clock.
LAST_MOMENTS, LAST_SHARE = timedelta(seconds=60), 0.02


def follow(view: View, before: Mapping[str, EventMemory], last: datetime | None) -> Mapping[str, EventMemory]:
    """The accounts of all events after this moment. An event that is gone from the observation was cancelled."""
    now = view.observation.now
    present = {event.uid: event for event in view.observation.events}
    accounts: dict[str, EventMemory] = {}
    bounds, claimed = (limits(view), claims(view)) if present else ((), ())
    for uid, event in present.items():
        if event.slots and (uid in before or (event.end > now and not event.cancelled)):
            accounts[uid] = _account(view, event, before.get(uid), last, bounds, claimed)
    for uid, account in before.items():
        if uid not in accounts:
            accounts[uid] = _without_event(account, now)
    return frozen_map(_keep_recent(accounts, before, last))


# An event that was over and is asked for again (listed again, or made longer) goes on where it was.
def _account(
    view: View,
    event: Event,
    before: EventMemory | None,
    last: datetime | None,
    bounds: Sequence[Sum],
    claimed: Sequence[Claim],
) -> EventMemory:
    now = view.observation.now
    if before is not None and before.is_over(now) and (event.cancelled or now >= event.end):
        return before
    outlook = prospect(view, event, bounds, claimed)
    if before is None:
        announced = EventMemory(
            EventStage.ANNOUNCED if view.settings.takes_part(event) else EventStage.OPTED_OUT,
            now,
            event.name,
            event.program_id,
            event.start,
            event.end,
            target_w(event),
            feasible_w(view, event, outlook),
            begun=is_prepared_for(view, event),
            counted_to=now if now > event.start else None,
            site_wh=0.0 if view.facts.has_meter else None,
            **_of_event(event),
        )
        return altered(announced, soon=_comes_soon(view, event, announced))
    account = counted(view, within(before, event.start, event.end, now), last)
    stage = _stage(view, event, account, outlook)
    known = replace(
        account,
        stage=stage,
        since=before.since if stage is before.stage else now,
        name=event.name,
        target_w=target_w(event),
        feasible_w=feasible_w(view, event, outlook) if stage not in OVER else account.feasible_w,
        begun=is_prepared_for(view, event),
        **_of_event(event),
    )
    return altered(known, soon=_comes_soon(view, event, known))


def _comes_soon(view: View, event: Event, account: EventMemory) -> bool:
    """It begins soon and will be served, as far as is known; told once, and anew where it was moved away meanwhile."""
    now = view.observation.now
    if now < event.start - SOON:
        return False
    serves = account.stage in _COMING and not is_withheld(view, event)
    empty = bool(account.target_w) and account.feasible_w == 0
    return account.soon or (now < event.start and serves and not empty)


def _of_event(event: Event) -> dict[str, Any]:
    """What an account takes over of its event."""
    return {
        "day": event.day,
        "flags": event.flags,
        "asks": event.asks,
        "rehearsal": event.rehearsal,
        "dry": event.dry,
    }


def _stage(view: View, event: Event, account: EventMemory, outlook: Prospect) -> EventStage:
    now = view.observation.now
    if event.cancelled:
        return EventStage.CANCELLED
    if not view.settings.takes_part(event):
        return EventStage.OPTED_OUT
    if now >= event.end:
        return _result(account)
    if now >= event.start:
        # A restarted edge knows nothing for a moment; what it had begun goes on at the charger by its lease.
        goes_on = view.grid is Grid.UNKNOWN and account.stage is EventStage.RUNNING
        served = (view.tied or goes_on) and not is_outranked(view, event.uid)
        return EventStage.RUNNING if served else EventStage.INTERRUPTED
    return EventStage.PREPARING if lacks_energy(view, event, outlook) else EventStage.PREPARED


def _without_event(account: EventMemory, now: datetime) -> EventMemory:
    if account.is_over(now):
        return account
    if now >= account.end - _last_moments(account):
        account = unwatched(account, now)
        return replace(account, stage=_result(account), since=now)
    return replace(account, stage=EventStage.CANCELLED, since=now)


def _last_moments(account: EventMemory) -> timedelta:
    """So near to its end an event that is gone was not taken back: its server's clock is a little ahead of ours."""
    begun = account.stage in (EventStage.RUNNING, EventStage.INTERRUPTED)
    return min(LAST_MOMENTS, (account.end - account.start) * LAST_SHARE) if begun else timedelta()


def _result(account: EventMemory) -> EventStage:
    """Missed when next to nothing of what was asked was delivered. One that moves no power is served by being run."""
    if account.dry:
        return EventStage.FINISHED if account.run_s > 0 else EventStage.MISSED
    hours = (account.end - account.start).total_seconds() / 3600
    asked_wh = -(account.target_w or 0) * hours
    served = account.charger_wh > asked_wh * MISSED_SHARE if asked_wh > 0 else account.run_s > 0
    return EventStage.FINISHED if served else EventStage.MISSED


def _keep_recent(
    accounts: dict[str, EventMemory], before: Mapping[str, EventMemory], last: datetime | None
) -> dict[str, EventMemory]:
    """Without the oldest of those that were over a decision ago: what closes now is seen by the books first."""
    told = [uid for uid, account in before.items() if last is not None and account.is_over(last)]
    over = sorted((uid for uid in told if uid in accounts), key=lambda uid: accounts[uid].end)
    dropped = set(over[:-KEPT_OVER])
    return {uid: account for uid, account in accounts.items() if uid not in dropped}
