"""What people are told: what happened once, and what stands until it is over. Made from two memories side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge_service.domain.memory import EventMemory, EventStage, IslandStep, Memory
from edge_service.domain.model import Grid, Happening, Notice, frozen_map
from edge_service.domain.performance import earnings_usd
from edge_service.domain.view import View

ALIVE = frozenset({IslandStep.ISLAND, IslandStep.ANNOUNCED})


@dataclass(frozen=True, slots=True)
class Told:
    """News of one decision. ``standing`` maps the key of each standing notice to its kind, for the next decision."""

    happenings: tuple[Happening, ...]
    notices: tuple[Notice, ...]
    cleared: tuple[str, ...]
    standing: Mapping[str, str]


def tell(view: View, before: Memory, after: Memory) -> Told:
    """All news between two memories."""
    happenings = tuple(_happenings(view, before, after))
    wanted = {notice.key: notice for notice in _notices(view, before, after)}
    fresh = tuple(notice for key, notice in wanted.items() if before.notices.get(key) != notice.kind)
    passing = {key: kind for key, kind in before.notices.items() if key not in wanted and _lingers(key, kind, view)}
    cleared = tuple(key for key in before.notices if key not in wanted and key not in passing)
    standing = passing | {key: notice.kind for key, notice in wanted.items()}
    return Told(happenings, fresh, cleared, frozen_map(standing))


def _lingers(key: str, kind: str, view: View) -> bool:
    """A result stays until people have read it: it stands until acknowledged or replaced."""
    return kind in ("power_back", "event_result") or (key.startswith("offline:") and not view.facts.chargers)


# -------------------------------------------------------------------------------------------------- what happened once


def _happenings(view: View, before: Memory, after: Memory) -> Iterator[Happening]:
    yield from _of_outage(view, before, after)
    yield from _of_island(view, before, after)
    for charger in view.facts.chargers:
        yield from _of_charger(view, charger, before, after)
    for uid, account in after.events.items():
        yield from _of_event(view, uid, before.events.get(uid), account)


def _happening(view: View, kind: str, subject: str = "site", **data: Any) -> Happening:
    return Happening(kind, subject, view.observation.now, frozen_map(data))


def _of_outage(view: View, before: Memory, after: Memory) -> Iterator[Happening]:
    outage, former = after.outage, before.outage
    if outage is None:
        return
    if former is None or former.started_at != outage.started_at:
        yield _happening(view, "outage_started", evidence=after.grid.evidence)
    if outage.ended_at is not None and former is not None and former.ended_at is None:
        duration_s = round((outage.ended_at - outage.started_at).total_seconds(), 1)
        yield _happening(view, "outage_ended", duration_s=duration_s, energy_wh=round(outage.energy_wh))
    if after.grid.state is Grid.RESTORING and before.grid.state is not Grid.RESTORING:
        yield _happening(view, "grid_returned")


def _of_island(view: View, before: Memory, after: Memory) -> Iterator[Happening]:
    step, former = after.island.step, before.island.step
    if step is former:
        return
    if step in ALIVE and former not in ALIVE:
        started_at = after.outage.started_at if after.outage else view.observation.now
        transfer_s = round((view.observation.now - started_at).total_seconds(), 2)
        yield _happening(view, "backup_started", transfer_s=transfer_s)
    if after.island.failure in ("open_not_proven", "not_formed"):
        yield _happening(view, "backup_failed", reason=after.island.failure)
    if former in ALIVE and step not in ALIVE:
        yield _happening(view, "backup_stopped", reason=_why_stopped(step))
    if step is IslandStep.ENDED and not view.settings.stopped and not view.settings.end_backup:
        charger = after.island.former or ""
        yield _happening(view, "reserve_reached", charger=charger, soc_pct=view.soc_pct(charger))
    if step is IslandStep.ANNOUNCED:
        at = view.observation.now.timestamp() + view.facts.announce_return_s
        yield _happening(view, "return_announced", in_s=view.facts.announce_return_s, at_s=round(at))


def _why_stopped(step: IslandStep) -> str:
    return {IslandStep.STOPPING: "returning_to_grid", IslandStep.ENDED: "ended", IslandStep.FORMING: "collapsed"}.get(
        step, step.value
    )


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


STAGE_NEWS: Mapping[EventStage, str] = {
    EventStage.FINISHED: "event_completed",
    EventStage.MISSED: "event_missed",
    EventStage.CANCELLED: "event_cancelled",
    EventStage.OPTED_OUT: "event_opted_out",
    EventStage.INTERRUPTED: "event_interrupted",
}


def _of_event(view: View, uid: str, old: EventMemory | None, new: EventMemory) -> Iterator[Happening]:
    if old is None:
        yield _happening(view, "event_announced", new.program_id, uid=uid, **_terms(new))
        return
    if (old.start, old.end, old.target_w) != (new.start, new.end, new.target_w):
        yield _happening(view, "event_updated", new.program_id, uid=uid, **_terms(new))
    if old.stage is new.stage:
        return
    if new.stage is EventStage.RUNNING:
        kind = "event_resumed" if old.stage is EventStage.INTERRUPTED else "event_started"
        yield _happening(view, kind, new.program_id, uid=uid)
    elif new.stage in STAGE_NEWS:
        yield _happening(view, STAGE_NEWS[new.stage], new.program_id, uid=uid, **_result(view, new))
    elif old.stage is EventStage.OPTED_OUT:
        yield _happening(view, "event_opted_in", new.program_id, uid=uid)


def _terms(account: EventMemory) -> dict[str, Any]:
    return {
        "name": account.name,
        "start": account.start.isoformat(),
        "end": account.end.isoformat(),
        "power_w": account.target_w,
        "feasible_w": account.feasible_w,
    }


def _result(view: View, account: EventMemory) -> dict[str, Any]:
    earned = earnings_usd(account, view.facts.programs.get(account.program_id))
    return {
        "name": account.name,
        "energy_wh": round(account.charger_wh),
        "average_w": round(account.average_w),
        "earnings_usd": None if earned is None else round(earned, 2),
    }


# --------------------------------------------------------------------------------------------------------- what stands


def _notices(view: View, before: Memory, after: Memory) -> Iterator[Notice]:
    yield from _outage_notice(view, before, after)
    if after.island.step is IslandStep.ANNOUNCED:
        yield _notice(view, "return", "return_announced", "warning", in_s=view.facts.announce_return_s)
    if view.settings.stopped:
        yield _notice(view, "stop", "stopped", "warning")
    for charger, facts in view.facts.chargers.items():
        reading = view.reading(charger)
        if reading is None:
            yield _notice(view, f"offline:{charger}", "charger_offline", "warning", charger=facts.name)
        elif reading.service_permitted is False:
            yield _notice(view, f"service:{charger}", "service_not_permitted", "warning", charger=facts.name)
    for uid, account in after.events.items():
        yield from _event_notice(view, uid, account)


def _notice(view: View, key: str, kind: str, level: str, **data: Any) -> Notice:
    return Notice(key, kind, level, view.observation.now, frozen_map(data))


def _outage_notice(view: View, before: Memory, after: Memory) -> Iterator[Notice]:
    outage = after.outage
    if outage is None:
        return
    if outage.ended_at is not None:
        if before.outage is None or before.outage.ended_at is None:
            duration_s = round((outage.ended_at - outage.started_at).total_seconds())
            yield _notice(
                view, "outage", "power_back", "info", duration_s=duration_s, energy_wh=round(outage.energy_wh)
            )
        return
    soc = view.soc_pct(after.island.former or "")
    if after.island.step in (IslandStep.DARK, IslandStep.STUCK, IslandStep.ENDED) or _cannot(view, after):
        reason = after.island.failure or ("ended" if after.island.step is IslandStep.ENDED else "no_charger")
        yield _notice(view, "outage", "no_backup", "critical", reason=reason)
    else:
        yield _notice(view, "outage", "outage", "critical", since=outage.started_at.isoformat(), soc_pct=soc)


def _cannot(view: View, after: Memory) -> bool:
    return view.grid is Grid.OUTAGE and after.island.step is IslandStep.TIED


def _event_notice(view: View, uid: str, account: EventMemory) -> Iterator[Notice]:
    coming = (
        EventStage.ANNOUNCED,
        EventStage.PREPARING,
        EventStage.PREPARED,
        EventStage.RUNNING,
        EventStage.INTERRUPTED,
    )
    if account.stage in coming:
        yield _notice(view, f"event:{uid}", "event_announced", "info", uid=uid, **_terms(account))
    elif account.stage in (EventStage.FINISHED, EventStage.MISSED) and account.since == view.observation.now:
        yield _notice(view, f"event:{uid}", "event_result", "info", uid=uid, **_result(view, account))
