"""An event's life and account: what it needs, what can be promised, what was delivered, what it earns."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain.forecast import EFFICIENCY
from edge_service.domain.memory import OVER, EventMemory, EventStage, Memory, SeasonMemory
from edge_service.domain.model import Event, Grid, Mode, Program, Settings, SlotKind, frozen_map
from edge_service.domain.view import View

# Charging for an event starts this much earlier than the arithmetic asks.
HEAD_START = timedelta(minutes=30)
TIME_FACTOR = 1.5
# Below this share of the energy asked for an event counts as missed.
MISSED_SHARE = 0.01
# A longer gap between two decisions (a restart, a stall) is not filled with invented energy.
LONGEST_STEP = timedelta(seconds=10)
KEPT_OVER = 20


def takes_part(settings: Settings, event: Event) -> bool:
    """The event stands, and neither it nor its program was opted out of."""
    return not (event.cancelled or event.uid in settings.opted_out or event.program_id in settings.not_participating)


def target_w(event: Event) -> int | None:
    """The strongest power asked, negative when supplying; None where the event names no power."""
    powers = [slot.power_w for slot in event.slots if slot.kind is SlotKind.POWER]
    return min(powers) if powers else None


def needed_wh(event: Event) -> float:
    """AC energy the chargers give if the whole event is served; 0 where the event names no power."""
    return sum(
        max(0, -slot.power_w) * (slot.end - slot.start).total_seconds() / 3600
        for slot in event.slots
        if slot.kind is SlotKind.POWER
    )


def floor_pct(view: View, program_id: str, charger: str) -> float:
    """Percent below which an event does not discharge this charger's vehicle."""
    settings = view.settings
    reserve_pct = settings.reserve_pct(view.observation.now)
    return max(settings.drivers_reserve(charger), reserve_pct, settings.event_floor(program_id))


def is_withheld(view: View, event: Event) -> bool:
    """The vehicles give nothing at the event's start, as people have decided up to now: a mode, a storm."""
    storm = view.settings.storm
    return view.settings.mode is not Mode.AUTOMATIC or (storm is not None and event.start < storm.until)


def spare_wh(view: View, program_id: str, charger: str) -> float:
    """AC energy above the floor; 0 while the charge is not known."""
    reading = view.reading(charger)
    if reading is None or reading.soc_pct is None or reading.capacity_wh is None:
        return 0.0
    above_pct = max(0.0, reading.soc_pct - floor_pct(view, program_id, charger))
    return above_pct / 100 * reading.capacity_wh * EFFICIENCY


def full_wh(view: View, program_id: str, charger: str) -> float:
    """AC energy above the floor of a full vehicle; 0 while its size is not known."""
    reading = view.reading(charger)
    if reading is None or reading.capacity_wh is None:
        return 0.0
    return max(0.0, 100.0 - floor_pct(view, program_id, charger)) / 100 * reading.capacity_wh * EFFICIENCY


def missing_wh(view: View, event: Event, charger: str) -> float:
    """AC energy this charger's vehicle has yet to take in before the event; the chargers share alike."""
    share = needed_wh(event) / max(1, len(view.facts.chargers))
    return max(0.0, share - spare_wh(view, event.program_id, charger)) / EFFICIENCY**2


def must_charge_now(view: View, event: Event, charger: str) -> bool:
    """Energy is missing, and the time left is what charging it takes, with a head start."""
    missing = missing_wh(view, event, charger)
    reading = view.reading(charger)
    if missing <= 0 or reading is None or reading.soc_pct is None:
        return False
    charge_w = max(1, view.bands[charger].hi)
    takes = timedelta(hours=missing / charge_w) * TIME_FACTOR + HEAD_START
    return event.start - view.observation.now <= takes


def feasible_w(view: View, event: Event) -> int | None:
    """Power that can be held to the event's end as of now, negative; None where the event names no power."""
    target, now = target_w(event), view.observation.now
    hours = (event.end - max(now, event.start)).total_seconds() / 3600
    if target is None or target >= 0 or hours <= 0:
        return target
    if is_withheld(view, event):
        return 0
    hours_before = max(0.0, (event.start - now).total_seconds() / 3600)
    energy_wh, rating_w = 0.0, 0
    for charger in view.facts.chargers:
        capability, reading = view.capability(charger), view.reading(charger)
        if capability is None or reading is None or reading.plugged is False:
            continue
        rating_w += capability.discharge_rating_w
        charged_wh = capability.charge_rating_w * hours_before * EFFICIENCY**2
        energy_wh += min(
            full_wh(view, event.program_id, charger), spare_wh(view, event.program_id, charger) + charged_wh
        )
    return -min(-target, rating_w, int(energy_wh / hours))


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
    for uid, event in present.items():
        if event.slots and (uid in before or (event.end > now and not event.cancelled)):
            accounts[uid] = _account(view, event, before.get(uid), last)
    for uid, account in before.items():
        if uid not in accounts:
            accounts[uid] = _without_event(account, now)
    return frozen_map(_keep_recent(accounts, now))


# An event that was over and is asked for again (listed again, or made longer) goes on where it was.
def _account(view: View, event: Event, before: EventMemory | None, last: datetime | None) -> EventMemory:
    now = view.observation.now
    if before is None:
        return EventMemory(
            EventStage.ANNOUNCED if takes_part(view.settings, event) else EventStage.OPTED_OUT,
            now,
            event.name,
            event.program_id,
            event.start,
            event.end,
            target_w(event),
            feasible_w(view, event),
        )
    if before.is_over(now) and (event.cancelled or now >= event.end):
        return before
    counted = before.stage is EventStage.RUNNING
    account = _add_energy(view, before, last) if counted else replace(before, supplied_w=None, exported_w=None)
    stage = _stage(view, event, account)
    return replace(
        account,
        stage=stage,
        since=before.since if stage is before.stage else now,
        name=event.name,
        start=event.start,
        end=event.end,
        target_w=target_w(event),
        feasible_w=feasible_w(view, event) if stage not in OVER else account.feasible_w,
    )


def _stage(view: View, event: Event, account: EventMemory) -> EventStage:
    now = view.observation.now
    if event.cancelled:
        return EventStage.CANCELLED
    if not takes_part(view.settings, event):
        return EventStage.OPTED_OUT
    if now >= event.end:
        return _result(account)
    if now >= event.start:
        # A restarted edge knows nothing for a moment; what it had begun goes on at the charger by its lease.
        goes_on = view.grid is Grid.UNKNOWN and account.stage is EventStage.RUNNING
        return EventStage.RUNNING if view.tied or goes_on else EventStage.INTERRUPTED
    short = any(missing_wh(view, event, charger) > 0 for charger in view.facts.chargers)
    return EventStage.PREPARING if short else EventStage.PREPARED


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
    meter = view.observation.meter
    if meter is None or meter.power_w is None or not view.facts.is_fresh(meter.at, view.observation.now):
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
