"""From a decision to the state that clients are shown, in the shape of the newest schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from edge_service.api import wire
from edge_service.domain.contacts import active
from edge_service.domain.decide import Decision
from edge_service.domain.departing import DEFAULT_MILES_PER_KWH, UNDER_WAY
from edge_service.domain.departure_commands import WEEKDAYS
from edge_service.domain.evidence import reached
from edge_service.domain.memory import DepartureMemory, EventMemory, IslandStep, SeasonMemory
from edge_service.domain.model import (
    Backup,
    Capability,
    ChargerReading,
    ChargerState,
    Contact as InputContact,
    DeparturePlan,
    Evidence,
    Notice,
    Observation,
    Program,
    Settings,
    SiteFacts,
    Stage,
    order_kind,
)
from edge_service.domain.performance import earnings_usd, season_usd
from edge_service.domain.realise import order_power_w
from edge_service.domain.view import Step

# The statements of the rung "departure" that charge; its third one only forbids a discharge.
CHARGES_TO_LEAVE = frozenset({"departure_charges", "departure_late"})


@dataclass(frozen=True, slots=True)
class Nameplate:
    """Who a device says it is."""

    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """An order as it stands at a charger: its evidence, and what had to be changed in the wish to make it doable."""

    evidence: Evidence
    adjusted: str | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """How it stands with a program's server; ``connected`` None: it has none, or was not asked yet."""

    connected: bool | None = None
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """All that a state is made of."""

    observation: Observation
    settings: Settings
    facts: SiteFacts
    decision: Decision
    nameplates: Mapping[str, Nameplate]
    standing: Mapping[str, Standing]
    contacts: Mapping[str, Contact]
    notices: list[wire.NoticeWire]
    started_at: datetime
    cycle_late_p99_ms: float | None = None


def state(shown: Shown) -> wire.State:
    """The whole state."""
    return {
        "site": _site(shown),
        "chargers": {name: _charger(shown, name) for name in shown.facts.chargers},
        "programs": {name: _program(shown, program) for name, program in shown.facts.programs.items()},
        "notices": shown.notices,
    }


def time(moment: datetime | None) -> str | None:
    """A moment as the contract writes it."""
    return None if moment is None else _moment(moment)


# What an order has reached is shown cycle after cycle, and its moments stand.
@lru_cache(maxsize=8192)
def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _site(shown: Shown) -> wire.SiteWire:
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
        "evidence": [
            {"source": piece.source, "present": piece.present, "detail": piece.detail, "at": _moment(piece.at)}
            for piece in decision.evidence
        ],
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
        "started_at": _moment(shown.started_at),
        "cycle_late_p99_ms": shown.cycle_late_p99_ms,
        "time_zone": facts.time_zone,
        "storm": _storm(shown),
        "backup_reserve_effective_pct": settings.reserve_pct(shown.observation.now),
        "contacts": {contact: active(shown.observation, facts, contact) for contact in sorted(facts.contacts)},
        "generator_max_w": facts.generator_max_w if InputContact.GENERATOR in facts.contacts else None,
        "leg_power_w": _leg_power_w(shown),
    }


def _storm(shown: Shown) -> wire.StormState | None:
    storm = shown.settings.storm_at(shown.observation.now)
    if storm is None:
        return None
    return {"until": _moment(storm.until), "reserve_pct": storm.reserve_pct, "name": storm.name}


def _leg_power_w(shown: Shown) -> list[int | None]:
    """A meter that is silent still has its legs; what they carry is not known."""
    meter = shown.observation.meter
    if meter is None:
        return []
    fresh = shown.facts.fresh(meter, shown.observation.now)
    return [None] * len(meter.leg_power_w) if fresh is None else list(fresh.leg_power_w)


def _has_backup(facts: SiteFacts) -> bool:
    backups = {charger.capability.backup for charger in facts.chargers.values() if charger.capability is not None}
    return Backup.VENDOR in backups or (Backup.CAN_FORM in backups and facts.switch is not None)


def _returning_at(shown: Shown) -> datetime | None:
    island = shown.decision.memory.island
    if island.step is not IslandStep.ANNOUNCED or island.since is None:
        return None
    announced = datetime.fromtimestamp(island.since.timestamp() + shown.facts.announce_return_s, tz=island.since.tzinfo)
    not_before = shown.settings.return_not_before
    return max(announced, not_before) if not_before else announced


def _switch(shown: Shown) -> wire.SwitchWire | None:
    if shown.facts.switch is None:
        return None
    switch = shown.observation.switch
    return {
        "commanded_open": switch.commanded_open if switch else None,
        "open_proven": switch.open_proven if switch else None,
        "closed_proven": switch.closed_proven if switch else None,
    }


def _outage(shown: Shown) -> wire.OutageWire | None:
    outage = shown.decision.memory.outage
    if outage is None:
        return None
    return {
        "started_at": _moment(outage.started_at),
        "ended_at": time(outage.ended_at),
        "backup_started_at": time(outage.backup_started_at),
        "energy_wh": round(outage.energy_wh),
        "lowest_soc_pct": outage.lowest_soc_pct,
    }


def _charger(shown: Shown, name: str) -> wire.ChargerWire:
    """A charger that does not answer keeps its last counters; what moves is not known."""
    last = shown.observation.chargers.get(name)
    reading = shown.facts.fresh(last, shown.observation.now)
    seen = reading or ChargerReading(shown.observation.now, ChargerState.OFFLINE)
    plate = shown.nameplates.get(name, Nameplate())
    facts = shown.facts.chargers[name]
    return {
        "name": facts.name,
        "manufacturer": plate.manufacturer,
        "model": plate.model,
        "serial": plate.serial,
        "version": plate.version,
        "connected": reading is not None,
        "state": seen.state,
        "authority": seen.authority,
        "plugged": seen.plugged,
        "soc_pct": seen.soc_pct,
        "capacity_wh": seen.capacity_wh,
        "power_w": seen.power_w,
        "charge_max_w": seen.charge_max_w,
        "discharge_max_w": seen.discharge_max_w,
        "forming": seen.forming,
        "lease_remaining_s": seen.lease_remaining_s,
        "energy_charged_wh": last.energy_charged_wh if last else None,
        "energy_discharged_wh": last.energy_discharged_wh if last else None,
        "can_back_up": facts.capability is not None and facts.capability.backup is not Backup.NONE,
        "drivers_reserve_pct": shown.settings.drivers_reserve(name),
        "order": _order(shown.standing.get(name), reading, facts.capability),
        "manual": _manual(shown, name),
        "reason": shown.decision.reasons.get(name, "idle"),
        "why": [_step(step) for step in shown.decision.steps.get(name, ())],
        "departure": _departure(shown, name),
        "departures": [_plan(plan) for plan in shown.settings.departures.get(name, ())],
        "miles_per_kwh": shown.settings.miles_per_kwh.get(name, DEFAULT_MILES_PER_KWH),
        "alarms": list(seen.alarms),
    }


def _departure(shown: Shown, name: str) -> wire.DepartureState | None:
    """The departure that is charged for, with its outlook where one could be made; else the next."""
    departure = shown.observation.departures.get(name)
    if departure is None:
        return None
    outlook = shown.decision.memory.charger(name).departure
    departure = next((one for one in departure.all if outlook and one.plan_id == outlook.plan_id), departure)
    return {
        "id": departure.plan_id,
        "at": _moment(departure.at),
        "soc_pct": departure.soc_pct,
        "miles": departure.miles,
        "stage": outlook.stage if outlook else None,
        "target_pct": outlook.target_pct if outlook else None,
        "reaches_pct": outlook.reaches_pct if outlook else None,
        "charging": outlook is not None and _charges_to_leave(shown, name, outlook),
    }


def _charges_to_leave(shown: Shown, name: str, outlook: DepartureMemory) -> bool:
    """The departure has the last word on the charger, and that word is to charge."""
    steps = shown.decision.steps.get(name, ())
    return outlook.stage in UNDER_WAY and bool(steps) and steps[-1].reason in CHARGES_TO_LEAVE


def _plan(plan: DeparturePlan) -> wire.DeparturePlanState:
    return {
        "id": plan.id,
        "at": time(plan.at),
        "weekdays": [WEEKDAYS[day] for day in plan.weekdays],
        "local_time": plan.local_time,
        "soc_pct": plan.soc_pct,
        "miles": plan.miles,
        "skip_until": time(plan.skip_until),
    }


def _order(
    standing: Standing | None, reading: ChargerReading | None, capability: Capability | None
) -> wire.OrderState | None:
    """The order as people see it: what the device refuses or does not do, else what we had to change in the wish."""
    if standing is None:
        return None
    evidence = standing.evidence
    stage, reason = evidence.stage, evidence.reason
    if standing.adjusted is not None and stage in (Stage.READ_BACK, Stage.MEASURED, Stage.HELD):
        stage, reason = Stage.LIMITED, standing.adjusted
    proven_at = evidence.read_back_at
    measured = reading is not None and proven_at is not None and reading.at > proven_at
    return {
        "kind": order_kind(evidence.order),
        "power_w": order_power_w(evidence.order, capability),
        "stage": stage,
        "reason": reason,
        "measured_w": reading.power_w if reading is not None and measured else None,
        "reached": {stage: _moment(at) for stage, at in reached(evidence).items()},
    }


def _manual(shown: Shown, name: str) -> wire.ManualState | None:
    order = shown.settings.manual.get(name)
    if order is None or shown.observation.now >= order.until:
        return None
    return {"kind": order.kind, "power_w": order.power_w, "until": _moment(order.until)}


def _step(step: Step) -> wire.StepState:
    return {
        "rung": step.rung,
        "reason": step.reason,
        "low_w": step.low_w,
        "high_w": step.high_w,
        "data": dict(step.data),
    }


def _program(shown: Shown, program: Program) -> wire.ProgramWire:
    contact = shown.contacts.get(program.id, Contact())
    accounts = [(uid, a) for uid, a in shown.decision.memory.events.items() if a.program_id == program.id]
    accounts.sort(key=lambda pair: (pair[1].start, pair[0]))
    season = shown.decision.memory.seasons.get(program.id) or SeasonMemory(shown.observation.now.year)
    earned = season_usd(season, program)
    return {
        "name": program.name,
        "kind": program.kind,
        "connected": contact.connected,
        "last_contact": time(contact.last_at),
        "participating": program.id not in shown.settings.not_participating,
        "event_floor_pct": shown.settings.event_floor(program.id),
        "events": [_event(uid, account, program) for uid, account in accounts],
        "season_average_w": round(season.average_w / season.events) if season.events else None,
        "season_earnings_usd": round(earned, 2) if season.events and earned is not None else None,
        "season_events": season.events,
    }


def _event(uid: str, account: EventMemory, program: Program) -> wire.EventWire:
    earned = earnings_usd(account, program)
    begun = account.run_s > 0
    return {
        "uid": uid,
        "name": account.name,
        "status": account.stage,
        "start": _moment(account.start),
        "end": _moment(account.end),
        "power_w": account.target_w,
        "feasible_w": account.feasible_w,
        "energy_wh": round(account.charger_wh),
        "average_w": round(account.average_w) if begun else None,
        "site_energy_wh": None if account.site_wh is None else round(account.site_wh),
        "earnings_usd": round(earned, 2) if begun and earned is not None else None,
    }


def notice(raised: Notice) -> wire.NoticeWire:
    """A standing notice as clients are shown it."""
    return {
        "number": raised.number,
        "key": raised.key,
        "kind": raised.kind,
        "level": raised.level,
        "raised_at": _moment(raised.raised_at),
        "data": dict(raised.data),
    }
