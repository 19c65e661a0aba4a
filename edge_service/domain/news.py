"""What people are told: what happened once, and what stands until it is over. Made from two memories side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from edge_service.domain import (
    drill_news,
    grid_news,
    island_news,
    load_news,
    rehearsal_news,
    reserve_news,
    settlement,
    shortfall_news,
    storm_news,
)
from edge_service.domain.evidence import unfollowed_since
from edge_service.domain.islanding import IN_TRANSFER
from edge_service.domain.islanding_situation import announcement_s, closes_in_step
from edge_service.domain.islanding_table import STOP_DEADLINE, move_deadline
from edge_service.domain.memory import (
    ALIVE,
    OVER,
    ChargerMemory,
    DepartureStage,
    EventMemory,
    EventStage,
    IslandStep,
    Memory,
)
from edge_service.domain.model import (
    Contact,
    Evidence,
    Grid,
    Happening,
    Notice,
    Runtime,
    Stage,
    Supply,
    frozen_map,
    order_kind,
)
from edge_service.domain.outage_account import is_another, report as outage_report
from edge_service.domain.realise import order_power_w
from edge_service.domain.view import View

# A return takes seconds once it is due; later than this a person must look.
RETURN_LATE = timedelta(seconds=60)
NOT_RETURNED = (IN_TRANSFER | {IslandStep.DARK, IslandStep.STUCK}) - {IslandStep.SYNCHRONISING}
FAILED_BACKUP = frozenset({"open_not_proven", "not_formed"})
SILENT_CONTACT: Mapping[Contact, str] = {
    Contact.STOP: "stop_contact_silent",
    Contact.GENERATOR: "generator_contact_silent",
    Contact.GRID_LOST: "grid_contact_silent",
}
# A charger that answers again within this time was not worth waking anybody.
OFFLINE_AFTER = timedelta(seconds=30)
# A slow start or a passing derating is nothing that a person must look at.
NOT_FOLLOWED_FOR = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Told:
    """News of one decision. ``standing`` maps the key of each standing notice to its kind, for the next decision."""

    happenings: tuple[Happening, ...]
    notices: tuple[Notice, ...]
    cleared: tuple[str, ...]
    standing: Mapping[str, str]


def tell(view: View, before: Memory, after: Memory, lasts: Runtime | None = None) -> Told:
    """All news between two memories. ``lasts``: how long the vehicle carries the house."""
    happenings = tuple(_happenings(view, before, after))
    wanted = {notice.key: notice for notice in _notices(view, before, after, lasts)}
    updated = {f"event:{uid}" for uid, account in after.events.items() if _changed(before.events.get(uid), account)}
    updated |= {"outage"} if island_news.retry_told_anew(before, after) else set()
    updated |= {reserve_news.KEY} if reserve_news.rings(before, after) else set()
    fresh = tuple(notice for key, notice in wanted.items() if before.notices.get(key) != notice.kind or key in updated)
    passing = {key: kind for key, kind in before.notices.items() if key not in wanted and _lingers(key, kind, after)}
    cleared = tuple(key for key in before.notices if key not in wanted and key not in passing)
    standing = passing | {key: notice.kind for key, notice in wanted.items()}
    return Told(happenings, fresh, cleared, frozen_map(standing))


def _lingers(key: str, kind: str, after: Memory) -> bool:
    """A result stays until people have read it, or its event is forgotten; an alarm while the island is looked for."""
    if kind == "reserve_near" and after.island.step is IslandStep.UNKNOWN:
        return True
    return kind == "power_back" or (kind == "event_result" and key.removeprefix("event:") in after.events)


def _changed(old: EventMemory | None, new: EventMemory) -> bool:
    """The utility has changed its mind about when or how much."""
    return old is not None and (old.start, old.end, old.target_w) != (new.start, new.end, new.target_w)


# -------------------------------------------------------------------------------------------------- what happened once


def _happenings(view: View, before: Memory, after: Memory) -> Iterator[Happening]:
    yield from _of_generator(view, before, after)
    yield from drill_news.happenings(view, before, after)
    yield from rehearsal_news.happenings(view, before, after)
    yield from _of_outage(view, before, after)
    yield from _of_island(view, before, after)
    yield from island_news.happenings(view, before, after)
    yield from load_news.happenings(view, before, after)
    for charger in view.facts.chargers:
        yield from _of_charger(view, charger, before, after)
    for uid, account in after.events.items():
        yield from _of_event(view, uid, before.events.get(uid), account)


def _happening(view: View, kind: str, subject: str = "site", **data: Any) -> Happening:
    return Happening(kind, subject, view.observation.now, frozen_map(data))


def stop_pressed(view: View) -> Happening:
    """Somebody pressed the stop button of the site."""
    return _happening(view, "stop_pressed", by="contact")


def _of_generator(view: View, before: Memory, after: Memory) -> Iterator[Happening]:
    """By the contact's last words: neither its silence nor a restart is news."""
    was, runs = before.contact(Contact.GENERATOR).active or False, after.contact(Contact.GENERATOR).active or False
    if runs is not was:
        yield _happening(view, "generator_started" if runs else "generator_stopped")


def _of_outage(view: View, before: Memory, after: Memory) -> Iterator[Happening]:
    outage, former = after.outage, before.outage
    if outage is None:
        return
    if is_another(former, outage):
        yield _happening(view, "outage_started", evidence=after.grid.evidence)
    if outage.ended_at is not None and former is not None and former.ended_at is None:
        yield _happening(view, "outage_ended", **outage_report(view, outage))
    back = after.grid.state is Grid.RESTORING and before.grid.state is not Grid.RESTORING
    if back and outage.ended_at is None:
        yield _happening(view, "grid_returned", evidence=after.grid.evidence)


def _of_island(view: View, before: Memory, after: Memory) -> Iterator[Happening]:
    step, former = after.island.step, before.island.step
    if step is former or _rehearsed(after):
        return
    if step in ALIVE and former not in ALIVE and not _is_found_again(before):
        started_at = after.outage.started_at if after.outage else view.observation.now
        transfer_s = round((view.observation.now - started_at).total_seconds(), 2)
        yield _happening(view, "backup_started", transfer_s=transfer_s)
    if after.island.attempts > before.island.attempts and after.island.failure in FAILED_BACKUP:
        yield _happening(view, "backup_failed", reason=after.island.failure)
    if former in ALIVE and step not in ALIVE:
        yield _happening(view, "backup_stopped", reason=_why_stopped(step))
    if step is IslandStep.ENDED and not view.settings.stopped and not view.settings.end_backup:
        charger = after.island.former or ""
        yield _happening(view, "reserve_reached", charger=charger, soc_pct=view.soc_pct(charger))
    if step is IslandStep.ANNOUNCED:
        yield _happening(view, "return_announced", **_return(view, after))


def _rehearsed(after: Memory) -> bool:
    """A drill tells of itself; what it does is no outage."""
    outage_runs = after.outage is not None and after.outage.ended_at is None
    runs = after.drill is not None and after.drill.transfer and after.drill.runs
    return (runs or after.island.rehearsal) and not outage_runs


def _return(view: View, after: Memory) -> dict[str, Any]:
    """When the house goes dark for the return, and for how long at most if all goes well."""
    announced_at = after.island.since or view.observation.now
    at = announced_at + timedelta(seconds=announcement_s(after.island, view.facts))
    not_before = view.settings.return_not_before
    in_step = closes_in_step(after.island, view.facts)
    dark_s = 0.0 if in_step else (STOP_DEADLINE + move_deadline(view.facts)).total_seconds()
    return {"at": (max(at, not_before) if not_before else at).isoformat(), "dark_s": dark_s}


def _is_found_again(before: Memory) -> bool:
    """A restarted edge finds the island of which it told before it went down."""
    outage = before.outage
    told = outage is not None and outage.ended_at is None and outage.backup_started_at is not None
    return told and before.island.step is IslandStep.UNKNOWN


def _why_stopped(step: IslandStep) -> str:
    why = {
        IslandStep.STOPPING: "returning_to_grid",
        IslandStep.TIED: "returning_to_grid",
        IslandStep.ENDED: "ended",
        IslandStep.FORMING: "collapsed",
    }
    return why.get(step, step.value)


def _of_charger(view: View, charger: str, before: Memory, after: Memory) -> Iterator[Happening]:
    old, new = before.charger(charger), after.charger(charger)
    if old.plugged is not None and new.plugged is not old.plugged:
        yield _happening(view, "vehicle_connected" if new.plugged else "vehicle_disconnected", charger)
    if old.discharging is not None and new.discharging is not old.discharging:
        yield _happening(view, "discharging_started" if new.discharging else "discharging_stopped", charger)
    if old.faulty is not None and new.faulty is not old.faulty:
        reading = view.reading(charger)
        alarms = list(reading.alarms) if reading else []
        yield _happening(view, "fault_raised" if new.faulty else "fault_cleared", charger, alarms=alarms)
    yield from _of_charge(view, charger, old, new)
    if charger in view.observation.contested and f"contested:{charger}" not in before.notices:
        yield _happening(view, "control_contested", charger, setpoint_w=_setpoint_w(view, charger))
    evidence = view.observation.orders.get(charger)
    if evidence is not None and new.complaints - old.complaints:
        yield _of_order(view, charger, evidence)


def _of_charge(view: View, charger: str, old: ChargerMemory, new: ChargerMemory) -> Iterator[Happening]:
    """The vehicle is as full as it was to be, or will not be when it leaves."""
    if new.completed_pct is not None and new.completed_pct != old.completed_pct:
        yield _happening(view, "charging_completed", charger, soc_pct=new.completed_pct)
    outlook = new.departure
    if outlook is not None and new.late_told != old.late_told:
        told = {"at": outlook.at.isoformat(), "target_pct": outlook.target_pct, "reaches_pct": outlook.reaches_pct}
        yield _happening(view, "charge_not_ready", charger, id=outlook.plan_id, **told)


def _of_order(view: View, charger: str, evidence: Evidence) -> Happening:
    """An order that was refused, or does not go as given."""
    power_w = order_power_w(evidence.order, view.capability(charger))
    told: dict[str, Any] = {"order": order_kind(evidence.order), "reason": evidence.reason, "power_w": power_w}
    if evidence.stage is Stage.REFUSED:
        return _happening(view, "order_refused", charger, **told)
    reading = view.reading(charger)
    measured_w = reading.power_w if reading is not None else None
    return _happening(view, "order_limited", charger, **told, measured_w=measured_w)


def _setpoint_w(view: View, charger: str) -> int | None:
    reading = view.reading(charger)
    return reading.setpoint_w if reading is not None else None


STAGE_NEWS: Mapping[EventStage, str] = {
    EventStage.FINISHED: "event_completed",
    EventStage.MISSED: "event_missed",
    EventStage.CANCELLED: "event_cancelled",
    EventStage.OPTED_OUT: "event_opted_out",
    EventStage.INTERRUPTED: "event_interrupted",
}


def _of_event(view: View, uid: str, old: EventMemory | None, new: EventMemory) -> Iterator[Happening]:
    if old is None or (old.stage is EventStage.CANCELLED and new.stage not in OVER):
        yield _happening(view, "event_announced", new.program_id, uid=uid, **_called(view, new))
        yield from _soon(view, uid, old, new)
        return
    yield from _soon(view, uid, old, new)
    if _changed(old, new):
        yield _happening(view, "event_updated", new.program_id, uid=uid, **_called(view, new))
    if old.stage is new.stage:
        return
    if old.stage is EventStage.OPTED_OUT and new.stage not in OVER:
        yield _happening(view, "event_opted_in", new.program_id, uid=uid)
    if new.stage is EventStage.RUNNING:
        yield _happening(view, "event_resumed" if new.run_s > 0 else "event_started", new.program_id, uid=uid)
    elif new.stage in STAGE_NEWS:
        yield _happening(view, STAGE_NEWS[new.stage], new.program_id, uid=uid, **_result(view, new))


def _soon(view: View, uid: str, old: EventMemory | None, new: EventMemory) -> Iterator[Happening]:
    if new.soon and not (old is not None and old.soon):
        yield _happening(view, "event_soon", new.program_id, uid=uid, **_terms(view, new))


def _called(view: View, account: EventMemory) -> dict[str, Any]:
    """What it asks for, with what an answer needs: its date, and whether it waits for a yes."""
    return {**_terms(view, account), "day": account.day, "asks": account.asks}


def _terms(view: View, account: EventMemory) -> dict[str, Any]:
    program, season = account.program_id, view.observation.seasons.get(account.program_id)
    stake = settlement.stake(account, view.facts.programs.get(program), season, view.observation.now)
    return {
        "name": account.name,
        "start": account.start.isoformat(),
        "end": account.end.isoformat(),
        "power_w": account.target_w,
        "feasible_w": account.feasible_w,
        "stake_usd": None if stake is None else round(stake.usd, 2),
    }


def _result(view: View, account: EventMemory) -> dict[str, Any]:
    earned = settlement.earned_usd(account, view.facts.programs.get(account.program_id))
    return {
        "name": account.name,
        "energy_wh": round(account.charger_wh),
        "average_w": round(account.average_w),
        "earnings_usd": None if earned is None else round(earned, 2),
    }


# --------------------------------------------------------------------------------------------------------- what stands


def _notices(view: View, before: Memory, after: Memory, lasts: Runtime | None) -> Iterator[Notice]:
    yield from _outage_notice(view, before, after)
    if after.island.step is IslandStep.ANNOUNCED:
        yield _notice(view, "return", "return_announced", "warning", **_return(view, after))
    yield from island_news.notices(view, before, after)
    yield from reserve_news.notices(view, before, after, lasts)
    if view.settings.stopped:
        yield _notice(view, "stop", "stopped", "warning")
    yield from _trouble(view, after)
    yield from grid_news.notices(view, after)
    yield from _of_contacts(view, after)
    for charger, facts in view.facts.chargers.items():
        reading = view.reading(charger)
        silent_since = after.charger(charger).silent_since
        if reading is None and silent_since and view.observation.now - silent_since >= OFFLINE_AFTER:
            since = silent_since.isoformat()
            yield _notice(view, f"offline:{charger}", "charger_offline", "warning", charger=facts.name, since=since)
        elif reading is not None and reading.service_permitted is False:
            yield _notice(view, f"service:{charger}", "service_not_permitted", "warning", charger=facts.name)
    yield from load_news.notices(view, before, after)
    yield from _departure_notices(view, after)
    yield from drill_news.notices(view, after)
    yield from rehearsal_news.notices(view, after)
    yield from storm_news.notices(view)
    yield from _of_orders(view)
    for uid, account in after.events.items():
        yield from _event_notice(view, uid, account)
    yield from shortfall_news.notices(view, before, after)


def _departure_notices(view: View, after: Memory) -> Iterator[Notice]:
    """What the driver should know before leaving: too little in time, or a vehicle that does not tell what it has."""
    for charger, facts in view.facts.chargers.items():
        outlook = after.charger(charger).departure
        if outlook is None:
            continue
        at = outlook.at.isoformat()
        key, data = f"departure:{charger}:{at}", {"charger": facts.name, "at": at, "target_pct": outlook.target_pct}
        if outlook.stage is DepartureStage.LATE:
            yield _notice(view, key, "departure_late", "warning", **data, reaches_pct=outlook.reaches_pct)
        elif outlook.unsure:
            yield _notice(view, key, "departure_unsure", "info", **data)


def _trouble(view: View, after: Memory) -> Iterator[Notice]:
    """What only a person at the house can solve: a return that does not succeed."""
    now, island, grid = view.observation.now, after.island, after.grid
    since = max((moment for moment in (grid.since, island.since) if moment is not None), default=now)
    waits = now - since >= RETURN_LATE and island.step in NOT_RETURNED
    failed = island.return_failed_at is not None and island.step is not IslandStep.TIED
    if view.grid is Grid.ON and (waits or failed):
        yield _notice(view, "return_failed", "return_failed", "critical", reason=island.failure)


def _of_contacts(view: View, after: Memory) -> Iterator[Notice]:
    at_generator = after.contact(Contact.GENERATOR).active
    if at_generator and view.grid is Grid.OUTAGE and view.supply is Supply.NONE:
        yield _notice(view, "generator", "generator_failed", "critical")
    elif at_generator:
        yield _notice(view, "generator", "generator", "info", charge_max_w=view.facts.generator_max_w)
    for contact, known in after.contacts.items():
        since = known.silent_since
        if since is not None and view.observation.now - since >= OFFLINE_AFTER:
            yield _notice(view, f"contact:{contact}", SILENT_CONTACT[contact], "warning", since=since.isoformat())


def _of_orders(view: View) -> Iterator[Notice]:
    """A charger that does not do as it is told, and one that somebody else tells otherwise."""
    for charger, evidence in view.observation.orders.items():
        since, reading = unfollowed_since(evidence), view.reading(charger)
        if since is not None and view.observation.now - since >= NOT_FOLLOWED_FOR:
            told: dict[str, Any] = {"charger": view.facts.chargers[charger].name, "since": since.isoformat()}
            told["power_w"] = order_power_w(evidence.order, view.capability(charger))
            told["measured_w"] = reading.power_w if reading is not None else None
            yield _notice(view, f"order:{charger}", "order_not_followed", "warning", **told)
    for charger, since in view.observation.contested.items():
        name, setpoint_w = view.facts.chargers[charger].name, _setpoint_w(view, charger)
        data = {"charger": name, "since": since.isoformat(), "setpoint_w": setpoint_w}
        yield _notice(view, f"contested:{charger}", "another_controller", "warning", **data)


def _notice(view: View, key: str, kind: str, level: str, **data: Any) -> Notice:
    return Notice(key, kind, level, view.observation.now, frozen_map(data))


def _outage_notice(view: View, before: Memory, after: Memory) -> Iterator[Notice]:
    outage = after.outage
    on_generator = after.grid.after_generator and after.island.step is IslandStep.TIED
    if outage is None or (on_generator and outage.ended_at is None):
        return
    if outage.ended_at is not None:
        if before.outage is None or before.outage.ended_at is None:
            duration_s = round((outage.ended_at - outage.started_at).total_seconds())
            yield _notice(
                view, "outage", "power_back", "info", duration_s=duration_s, energy_wh=round(outage.energy_wh)
            )
        return
    if _no_backup(view, before, after):
        reason = after.island.failure or ("ended" if after.island.step is IslandStep.ENDED else "no_charger")
        retry_at, again = after.island.retry_at, after.island.retries > 0
        told = {"retry_at": None if retry_at is None else retry_at.isoformat()}
        yield _notice(view, "outage", "no_backup", "warning" if again else "critical", reason=reason, **told)
    else:
        soc = view.soc_pct(after.island.former or "")
        yield _notice(view, "outage", "outage", "critical", since=outage.started_at.isoformat(), soc_pct=soc)


def _no_backup(view: View, before: Memory, after: Memory) -> bool:
    """Nothing carries the house, or an attempt has failed. What was told stands while nothing is known."""
    step, told = after.island.step, before.notices.get("outage") == "no_backup"
    if step in ALIVE or view.supply is Supply.VENDOR_BACKUP:
        return False
    if step in (IslandStep.DARK, IslandStep.STUCK, IslandStep.ENDED) or after.island.failure in FAILED_BACKUP:
        return True
    return told or (step is IslandStep.TIED and view.grid is Grid.OUTAGE)


def _event_notice(view: View, uid: str, account: EventMemory) -> Iterator[Notice]:
    coming = (
        EventStage.ANNOUNCED,
        EventStage.PREPARING,
        EventStage.PREPARED,
        EventStage.RUNNING,
        EventStage.INTERRUPTED,
    )
    if account.stage in coming and account.flags:
        yield _notice(view, f"event:{uid}", "event_flagged", "info", uid=uid, **_flagged(view, account))
    elif account.stage in coming:
        yield _notice(view, f"event:{uid}", "event_announced", "info", uid=uid, **_terms(view, account))
    elif _awaits_answer(view, uid, account):
        yield _notice(view, f"event:{uid}", "event_asks", "warning", uid=uid, **_flagged(view, account))
    elif account.rehearsal:
        return  # how it went is told by its score
    elif account.stage in (EventStage.FINISHED, EventStage.MISSED) and account.since == view.observation.now:
        yield _notice(view, f"event:{uid}", "event_result", "info", uid=uid, **_result(view, account))


def _flagged(view: View, account: EventMemory) -> dict[str, Any]:
    return {"flags": list(account.flags), **_terms(view, account)}


def _awaits_answer(view: View, uid: str, account: EventMemory) -> bool:
    """It asks, is not over, and nobody has said a word on it, its day or its program."""
    settings, program = view.settings, account.program_id
    answered = uid in settings.opted_out or program in settings.not_participating
    answered = answered or account.day in settings.days_opted_out.get(program, frozenset())
    opted_out = account.stage is EventStage.OPTED_OUT and view.observation.now < account.end
    return account.asks and opted_out and not answered
