"""The site as clients are shown it: what feeds it, what is known of the grid, what an outage would find."""

from datetime import datetime

from edge_service.api import wire
from edge_service.api.publish_drill import drill, drill_schedule
from edge_service.api.publish_loads import solar_power_w
from edge_service.api.shown import Shown, moment, time
from edge_service.domain import neutral
from edge_service.domain.contacts import active
from edge_service.domain.dark_start import dark_start_at
from edge_service.domain.grid_evidence import Weighed
from edge_service.domain.load_fit import names
from edge_service.domain.memory import IslandStep
from edge_service.domain.model import Alert, Backup, Contact, Readiness, Runtime, SiteFacts
from edge_service.domain.vendor_gateway import carries_house


def site(shown: Shown) -> wire.SiteWire:
    """All of the site but its devices, programs and loads."""
    facts, settings, decision = shown.facts, shown.settings, shown.decision
    meter, memory = shown.observation.meter, decision.memory
    fresh_meter = facts.fresh(meter, shown.observation.now)
    return {
        "name": facts.name,
        "grid": decision.grid,
        "grid_since": time(memory.grid.since),
        "supply": decision.supply,
        "islanding": memory.island.step,
        "returning_at": time(_returning_at(shown)),
        "evidence": [_evidence(piece) for piece in decision.weighed],
        "disputed": decision.disputed,
        "neutral_lost": neutral.seen(shown.observation, memory.grid.neutral_lost_since, facts),
        "kind": _kind(shown),
        "has_meter": facts.has_meter,
        "has_backup": _has_backup(facts),
        "export_permitted": facts.export_max_w > 0,
        "mode": settings.mode,
        "stopped": settings.stopped,
        "reason": decision.reason,
        "backup_reserve_pct": settings.backup_reserve_pct,
        "at_end": settings.at_end,
        "grid_power_w": fresh_meter.power_w if fresh_meter else None,
        "house_power_w": decision.house_w,
        "energy_imported_wh": meter.energy_imported_wh if meter else None,
        "energy_exported_wh": meter.energy_exported_wh if meter else None,
        "switch": _switch(shown),
        "outage": _outage(shown),
        "started_at": moment(shown.started_at),
        "cycle_late_p99_ms": shown.cycle_late_p99_ms,
        "time_zone": facts.time_zone,
        "storm": _storm(shown),
        "backup_reserve_effective_pct": decision.settings.reserve_pct(shown.observation.now),
        "contacts": {contact: active(shown.observation, facts, contact) for contact in sorted(facts.contacts)},
        "generator_max_w": facts.generator_max_w if Contact.GENERATOR in facts.contacts else None,
        "leg_power_w": _leg_power_w(shown),
        "runtime": _runtime(shown.runtime),
        "readiness": _readiness(decision.readiness),
        "alerts": _alerts(shown),
        "storm_reserve_pct": settings.storm_reserve_pct,
        "heeds_alerts": settings.heeds_alerts,
        "drill": drill(shown),
        "drill_schedule": drill_schedule(settings.drill_schedule, shown.observation.drill_due),
        "dark_start_at": time(dark_start_at(memory, facts)),
        "backup_retry": _backup_retry(shown),
        "solar_power_w": solar_power_w(shown),
        "outages": memory.outages,
        "clock_offset_ms": shown.clock_offset_ms,
        "storage_free_mb": shown.storage_free_mb,
    }


def _storm(shown: Shown) -> wire.StormState | None:
    storm = shown.decision.settings.storm_at(shown.observation.now)
    if storm is None:
        return None
    return {
        "until": moment(storm.until),
        "reserve_pct": storm.reserve_pct,
        "name": storm.name,
        "alert": storm.alert,
    }


def _evidence(one: Weighed) -> wire.EvidenceState:
    piece = one.piece
    return {
        "source": piece.source,
        "present": piece.present,
        "detail": piece.detail,
        "at": moment(_half_minute(piece.at)),
        "confidence": piece.confidence,
        "sees_grid": one.sees_grid,
        "counts": one.counts,
    }


def _half_minute(at: datetime) -> datetime:
    """Rounded down: a word that is only repeated each second is no change. Whether it counts is told beside it."""
    return at.replace(second=at.second // 30 * 30, microsecond=0)


def _alerts(shown: Shown) -> list[wire.AlertState]:
    opted_out = shown.settings.alerts_opted_out
    coming = sorted(shown.observation.alerts, key=lambda alert: (alert.start, alert.id))
    return [_alert(alert, opted_out=alert.id in opted_out) for alert in coming]


def _alert(alert: Alert, *, opted_out: bool) -> wire.AlertState:
    return {
        "id": alert.id,
        "source": alert.source,
        "kind": alert.kind,
        "name": alert.name,
        "start": moment(alert.start),
        "end": time(alert.end),
        "opted_out": opted_out,
    }


def _runtime(runtime: Runtime | None) -> wire.RuntimeState | None:
    if runtime is None:
        return None
    return {
        "p10_h": runtime.p10_h,
        "p50_h": runtime.p50_h,
        "p90_h": runtime.p90_h,
        "usable_wh": runtime.usable_wh,
        "load_w": runtime.load_w,
    }


def _readiness(readiness: Readiness) -> wire.ReadinessState:
    reasons: list[wire.ReasonState] = [{"code": code, "subject": subject} for code, subject in readiness.reasons]
    return {"level": readiness.level, "reasons": reasons}


def _backup_retry(shown: Shown) -> wire.BackupRetryState | None:
    island = shown.decision.memory.island
    if not (island.collapses or island.retries or island.retry_at or island.latched):
        return None
    return {
        "collapses": island.collapses,
        "retries": island.retries,
        "retry_at": time(island.retry_at),
        "latched": island.latched,
    }


def _leg_power_w(shown: Shown) -> list[int | None]:
    """A meter that is silent still has its legs; what they carry is not known."""
    meter = shown.observation.meter
    if meter is None:
        return []
    fresh = shown.facts.fresh(meter, shown.observation.now)
    return [None] * len(meter.leg_power_w) if fresh is None else list(fresh.leg_power_w)


def _has_backup(facts: SiteFacts) -> bool:
    backups = _backups(facts)
    return Backup.VENDOR in backups or (Backup.CAN_FORM in backups and facts.switch is not None)


def _backups(facts: SiteFacts) -> set[Backup]:
    return {charger.capability.backup for charger in facts.chargers.values() if charger.capability is not None}


def _kind(shown: Shown) -> str:
    """A companion's gateway shows by its reserve, and at the latest when it carries the house."""
    facts = shown.facts
    if facts.switch is not None:
        return "island_switch"
    gateways = any(companion.keeps_reserve for companion in facts.companions.values())
    vendor = Backup.VENDOR in _backups(facts) or gateways or carries_house(shown.observation, facts)
    return "vendor" if vendor else "none"


def _returning_at(shown: Shown) -> datetime | None:
    island = shown.decision.memory.island
    if island.step is not IslandStep.ANNOUNCED or island.since is None:
        return None
    announced = datetime.fromtimestamp(island.since.timestamp() + shown.facts.announce_return_s, tz=island.since.tzinfo)
    not_before = shown.settings.return_not_before
    return max(announced, not_before) if not_before else announced


def _switch(shown: Shown) -> wire.SwitchWire | None:
    facts = shown.facts.switch
    if facts is None:
        return None
    switch = shown.observation.switch
    return {
        "owner": facts.owner,
        "wanted": shown.switch_wanted,
        "commanded_open": switch.commanded_open if switch else None,
        "open_proven": switch.open_proven if switch else None,
        "closed_proven": switch.closed_proven if switch else None,
    }


def _outage(shown: Shown) -> wire.OutageWire | None:
    outage = shown.decision.memory.outage
    if outage is None:
        return None
    return {
        "started_at": moment(outage.started_at),
        "ended_at": time(outage.ended_at),
        "backup_started_at": time(outage.backup_started_at),
        "energy_wh": round(outage.energy_wh),
        "lowest_soc_pct": outage.lowest_soc_pct,
        "evidence": outage.evidence,
        "transfer_s": None if outage.transfer_s is None else round(outage.transfer_s, 1),
        "dark_s": round(outage.dark_s),
        "highest_w": outage.highest_w,
        "collapses": outage.collapses,
        "loads_shed": names(outage.loads_shed, shown.settings, shown.facts),
        "notices": list(outage.notices),
    }
