"""A charger with its vehicle, as clients are shown it."""

from collections.abc import Mapping

from edge_service.api import wire
from edge_service.api.shown import Nameplate, Shown, Standing, moment, time
from edge_service.domain import energies
from edge_service.domain.blocked import bidirectional, blocked_by
from edge_service.domain.departing import DEFAULT_MILES_PER_KWH, UNDER_WAY
from edge_service.domain.departure_commands import WEEKDAYS
from edge_service.domain.evidence import reached
from edge_service.domain.memory import DepartureMemory
from edge_service.domain.model import (
    Backup,
    Capability,
    ChargerReading,
    ChargerState,
    DeparturePlan,
    Stage,
    order_kind,
)
from edge_service.domain.realise import order_power_w
from edge_service.domain.view import Step, View

# The statements of the rung "departure" that charge; its third one only forbids a discharge.
CHARGES_TO_LEAVE = frozenset({"departure_charges", "departure_late"})


def charger(shown: Shown, view: View, name: str) -> wire.ChargerWire:
    """A charger that does not answer keeps its last counters; what moves is not known."""
    last = shown.observation.chargers.get(name)
    reading = shown.facts.fresh(last, shown.observation.now)
    seen = reading or ChargerReading(shown.observation.now, ChargerState.OFFLINE)
    plate = shown.nameplates.get(name, Nameplate())
    facts, energy = shown.facts.chargers[name], shown.decision.memory.charger(name).energy
    session_wh, given_wh = energies.session_wh(energy, last), energies.given_wh(energy, last)
    found: wire.ChargerWire = {
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
        # Rounded down: a clock that runs backwards each second is no change of anything.
        "lease_remaining_s": None if seen.lease_remaining_s is None else seen.lease_remaining_s // 15 * 15,
        "energy_charged_wh": last.energy_charged_wh if last else None,
        "energy_discharged_wh": last.energy_discharged_wh if last else None,
        "can_back_up": facts.capability is not None and facts.capability.backup is not Backup.NONE,
        "drivers_reserve_pct": shown.settings.drivers_reserve(name),
        "drivers_reserve_miles": shown.settings.drivers_reserve_miles.get(name),
        "drivers_reserve_effective_pct": shown.decision.settings.drivers_reserve(name),
        "lent_pct": shown.settings.lent_pct.get(name, 0.0),
        "order": _order(shown.standing.get(name), reading, facts.capability),
        "manual": _manual(shown, name),
        "reason": shown.decision.reasons.get(name, "idle"),
        "why": [_step(step) for step in shown.decision.steps.get(name, ())],
        "departure": _departure(shown, name),
        "departures": [_plan(plan) for plan in shown.settings.departures.get(name, ())],
        "miles_per_kwh": shown.settings.miles_per_kwh.get(name, DEFAULT_MILES_PER_KWH),
        "alarms": list(seen.alarms),
        "charge_limit_w": shown.settings.charge_limit_w.get(name),
        "discharge_limit_w": shown.settings.discharge_limit_w.get(name),
        "session_charged_wh": session_wh[0],
        "session_discharged_wh": session_wh[1],
        "backup_wh": given_wh[0],
        "events_wh": given_wh[1],
        "bidirectional": bidirectional(reading, facts.capability),
        "blocked_by": blocked_by(view, name),
        "clears_faults": False,
        "restarts": facts.restarts,
    }
    return _with_measured(found, shown.measured.get(name, {}))


def _with_measured(found: wire.ChargerWire, measured: Mapping[str, float | None]) -> wire.ChargerWire:
    """Only what this kind of charger tells."""
    if "voltage_v" in measured:
        found["voltage_v"] = measured["voltage_v"]
    if "current_a" in measured:
        found["current_a"] = measured["current_a"]
    if "frequency_hz" in measured:
        found["frequency_hz"] = measured["frequency_hz"]
    if "temperature_c" in measured:
        found["temperature_c"] = measured["temperature_c"]
    return found


def _departure(shown: Shown, name: str) -> wire.DepartureState | None:
    """The departure that is charged for, with its outlook where one could be made; else the next."""
    departure = shown.observation.departures.get(name)
    if departure is None:
        return None
    outlook = shown.decision.memory.charger(name).departure
    departure = next((one for one in departure.all if outlook and one.plan_id == outlook.plan_id), departure)
    return {
        "id": departure.plan_id,
        "at": moment(departure.at),
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
        "reached": {stage: moment(at) for stage, at in reached(evidence).items()},
    }


def _manual(shown: Shown, name: str) -> wire.ManualState | None:
    order = shown.settings.manual.get(name)
    if order is None or shown.observation.now >= order.until:
        return None
    return {"kind": order.kind, "power_w": order.power_w, "until": moment(order.until)}


def _step(step: Step) -> wire.StepState:
    return {
        "rung": step.rung,
        "reason": step.reason,
        "low_w": step.low_w,
        "high_w": step.high_w,
        "data": dict(step.data),
    }
