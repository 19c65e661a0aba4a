"""An event's life and account: what it needs, what can be promised, what was delivered, what it earns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain.band import Sum
from edge_service.domain.memory import OVER, EventMemory, EventStage, Memory, SeasonMemory
from edge_service.domain.model import Event, Grid, Program, frozen_map
from edge_service.domain.preparing import (
    Prospect,
    feasible_w,
    is_prepared_for,
    lacks_energy,
    limits,
    prospect,
    target_w,
)
from edge_service.domain.view import View

# Below this share of the energy asked for an event counts as missed.
MISSED_SHARE = 0.01
# A longer gap between two decisions (a restart, a stall) is not filled with invented energy.
LONGEST_STEP = timedelta(seconds=10)
KEPT_OVER = 20


def earnings_usd(event: EventMemory, program: Program | None) -> float | None:
    """This event's part of the season's pay: pay per average kW, spread over the season's expected events."""
    if program is None or program.pay_usd_per_kw is None:
        return None
    return event.average_w / 1000 * program.pay_usd_per_kw / program.season_events


def follow(view: View, before: Mapping[str, EventMemory], last: datetime | None) -> Mapping[str, EventMemory]:
    """The accounts of all events after this moment. An event that is gone from the observation was cancelled."""
    now = view.observation.now
    present = {event.uid: event for event in view.observation.events}
    accounts: dict[str, EventMemory] = {}
    bounds = limits(view) if present else ()
    for uid, event in present.items():
        if event.slots and (uid in before or (event.end > now and not event.cancelled)):
            accounts[uid] = _account(view, event, before.get(uid), last, bounds)
    for uid, account in before.items():
        if uid not in accounts:
            accounts[uid] = _without_event(account, now)
    return frozen_map(_keep_recent(accounts, now))


# An event that was over and is asked for again (listed again, or made longer) goes on where it was.
def _account(
    view: View, event: Event, before: EventMemory | None, last: datetime | None, bounds: Sequence[Sum]
) -> EventMemory:
    now = view.observation.now
    if before is not None and before.is_over(now) and (event.cancelled or now >= event.end):
        return before
    outlook = prospect(view, event, bounds)
    if before is None:
        return EventMemory(
            EventStage.ANNOUNCED if view.settings.takes_part(event) else EventStage.OPTED_OUT,
            now,
            event.name,
            event.program_id,
            event.start,
            event.end,
            target_w(event),
            feasible_w(view, event, outlook),
            begun=is_prepared_for(view, event),
        )
    counted = before.stage is EventStage.RUNNING
    account = _add_energy(view, before, last) if counted else replace(before, supplied_w=None, exported_w=None)
    stage = _stage(view, event, account, outlook)
    return replace(
        account,
        stage=stage,
        since=before.since if stage is before.stage else now,
        name=event.name,
        start=event.start,
        end=event.end,
        target_w=target_w(event),
        feasible_w=feasible_w(view, event, outlook) if stage not in OVER else account.feasible_w,
        begun=is_prepared_for(view, event),
    )


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
        return EventStage.RUNNING if view.tied or goes_on else EventStage.INTERRUPTED
    return EventStage.PREPARING if lacks_energy(view, event, outlook) else EventStage.PREPARED


def _without_event(account: EventMemory, now: datetime) -> EventMemory:
    if account.is_over(now):
        return account
    if now >= account.end:
        return replace(account, stage=_result(account), since=now)
    return replace(account, stage=EventStage.CANCELLED, since=now)


def _result(account: EventMemory) -> EventStage:
    """Missed when next to nothing of what was asked was delivered."""
    hours = (account.end - account.start).total_seconds() / 3600
    asked_wh = -(account.target_w or 0) * hours
    served = account.charger_wh > asked_wh * MISSED_SHARE if asked_wh > 0 else account.run_s > 0
    return EventStage.FINISHED if served else EventStage.MISSED


def _add_energy(view: View, account: EventMemory, last: datetime | None) -> EventMemory:
    """Count the time since the last decision at the mean of the powers at its two ends: a ramp counts half."""
    now = min(view.observation.now, account.end)
    step = min(now - last, LONGEST_STEP) if last is not None and now > last else timedelta(0)
    hours = step.total_seconds() / 3600
    readings = [view.reading(charger) for charger in view.facts.chargers]
    supplied_w = -float(sum(reading.power_w or 0 for reading in readings if reading is not None))
    exported_w = _exported_w(view)
    site_wh = account.site_wh if view.facts.has_meter and exported_w is not None else None
    return replace(
        account,
        run_s=account.run_s + step.total_seconds(),
        charger_wh=account.charger_wh + _mean(account.supplied_w, supplied_w) * hours,
        site_wh=None if site_wh is None else site_wh + _mean(account.exported_w, exported_w or 0.0) * hours,
        supplied_w=supplied_w,
        exported_w=exported_w,
    )


def _exported_w(view: View) -> float | None:
    meter = view.facts.fresh(view.observation.meter, view.observation.now)
    if meter is None or meter.power_w is None:
        return None
    return -float(meter.power_w)


def _mean(before: float | None, now: float) -> float:
    return now if before is None else (before + now) / 2


def seasons(view: View, before: Memory, after: Mapping[str, EventMemory]) -> Mapping[str, SeasonMemory]:
    """The tally of each program after this moment: an event counts when it is finished or missed, and only once."""
    tallies = dict(before.seasons)
    for uid in before.events.keys() | after.keys():
        was, now = before.events.get(uid), after.get(uid)
        if now is None or _result_of(was) == _result_of(now):
            continue
        (events_was, average_was), (events, average) = _result_of(was), _result_of(now)
        tally = _tally_of(tallies, now)
        if now.end.year == tally.year:
            tally = replace(
                tally, events=tally.events + events - events_was, average_w=tally.average_w + average - average_was
            )
        tallies[now.program_id] = tally
    return frozen_map(tallies)


def _tally_of(tallies: Mapping[str, SeasonMemory], account: EventMemory) -> SeasonMemory:
    """The program's tally; a new one when the event is of a later year."""
    kept = tallies.get(account.program_id)
    return kept if kept is not None and kept.year >= account.end.year else SeasonMemory(account.end.year)


def _result_of(account: EventMemory | None) -> tuple[int, float]:
    if account is None or account.stage not in (EventStage.FINISHED, EventStage.MISSED):
        return 0, 0.0
    return 1, account.average_w if account.stage is EventStage.FINISHED else 0.0


def season_usd(season: SeasonMemory, program: Program) -> float | None:
    """What the season earned so far; None where the program names no pay."""
    if program.pay_usd_per_kw is None:
        return None
    return season.average_w / 1000 * program.pay_usd_per_kw / program.season_events


def _keep_recent(accounts: dict[str, EventMemory], now: datetime) -> dict[str, EventMemory]:
    over = sorted((uid for uid in accounts if accounts[uid].is_over(now)), key=lambda uid: accounts[uid].end)
    dropped = set(over[:-KEPT_OVER])
    return {uid: account for uid, account in accounts.items() if uid not in dropped}
