"""The life of an order at a charger, each stage by evidence of its own: a read-back proves receipt, not action."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from edge_service.domain.model import Capability, ChargerReading, ChargerState, Evidence, Order, Stage
from edge_service.domain.realise import follows, order_power_w

# A power that stays with its order this long is no coincidence on the way to somewhere else.
HELD_AFTER = timedelta(seconds=30)
# Contactors, a session's negotiation and a slow ramp may add this much to the time that the model declares.
PATIENCE = timedelta(seconds=10)
# Vehicles take less and less above this, and some never more; the Quasar's own ceiling is 97 %.
SOC_CEILING_PCT = 95.0
# Vehicles guard a floor of their own, commonly at a tenth of the battery.
SOC_FLOOR_PCT = 10.0
# Why an order is limited where nobody tells.
NOT_FOLLOWED = "not_followed"
# In these states it is the vehicle that asks for nothing.
_VEHICLE_RESTS = frozenset({ChargerState.WAITING, ChargerState.FINISHED, ChargerState.DISCONNECTED})


def ordered(order: Order, now: datetime, former: Evidence | None, capability: Capability | None) -> Evidence:
    """The evidence of a new order, which takes the former one's place.

    A charger that chases an order which moves by less than its tolerance is judged as for one that stands: else no
    order that follows the house would ever be found out as not followed.
    """
    if former is None or former.astray_since is None:
        return Evidence(order, now)
    if follows(order, order_power_w(former.order, capability), capability) is not True:
        return Evidence(order, now)
    return Evidence(order, now, astray_since=former.astray_since, reason=former.reason)


def written(evidence: Evidence, at: datetime) -> Evidence:
    """The device accepted the write; a renewal of what stands is no news."""
    return evidence if evidence.read_back_at is not None else replace(evidence, written_at=at)


def read_back(evidence: Evidence, at: datetime) -> Evidence:
    """The registers hold the order."""
    if evidence.read_back_at is not None:
        return evidence
    since = evidence.astray_since
    reason = None if since is None else evidence.reason
    written_at = evidence.written_at or at
    return Evidence(evidence.order, evidence.ordered_at, written_at, at, astray_since=since, reason=reason)


def refused(evidence: Evidence, reason: str, at: datetime) -> Evidence:
    """The device said no; with ``not_applied`` it had accepted the write and reads back otherwise."""
    if evidence.refused_at is not None and evidence.reason == reason:
        return evidence
    written_at = (evidence.written_at or at) if reason == "not_applied" else None
    return Evidence(evidence.order, evidence.ordered_at, written_at, refused_at=at, reason=reason)


def undone(evidence: Evidence, reason: str) -> Evidence:
    """It does not stand, or nobody knows: ``no_contact``, or ``overwritten`` by another controller.

    A write that was accepted just before the contact broke stays on record; an earlier one does not.
    """
    fresh = evidence.read_back_at is None and evidence.refused_at is None
    return Evidence(evidence.order, evidence.ordered_at, evidence.written_at if fresh else None, reason=reason)


def under_way(evidence: Evidence) -> Evidence:
    """The charger makes it so step by step, and proves it later: a refusal before is over."""
    return evidence if evidence.refused_at is None else Evidence(evidence.order, evidence.ordered_at)


def seen(evidence: Evidence, reading: ChargerReading, capability: Capability) -> Evidence:
    """What a reading begun after the read-back proves; the same evidence where it proves nothing new."""
    if evidence.read_back_at is None or reading.at <= evidence.read_back_at:
        return evidence
    close = follows(evidence.order, reading.power_w, capability)
    if close is None:
        return evidence
    return _followed(evidence, reading.at) if close else _astray(evidence, evidence.read_back_at, reading, capability)


def _followed(evidence: Evidence, at: datetime) -> Evidence:
    if evidence.measured_at is None:
        return replace(evidence, measured_at=at, limited_at=None, astray_since=None, reason=None)
    if evidence.held_at is None and at - evidence.measured_at >= HELD_AFTER:
        return replace(evidence, held_at=at)
    return evidence


def _astray(evidence: Evidence, proven_at: datetime, reading: ChargerReading, capability: Capability) -> Evidence:
    since = evidence.astray_since or (proven_at if evidence.measured_at is None else reading.at)
    if reading.at - since < PATIENCE + timedelta(seconds=capability.settle_s):
        known = evidence.astray_since is not None
        return evidence if known else replace(evidence, measured_at=None, held_at=None, astray_since=since)
    reason = limited_by(order_power_w(evidence.order, capability) or 0, reading, capability)
    if evidence.limited_at is not None and evidence.reason == reason:
        return evidence
    return replace(evidence, astray_since=since, limited_at=evidence.limited_at or reading.at, reason=reason)


def shifted(evidence: Evidence, by: timedelta) -> Evidence:
    """The same evidence after the clock was set."""
    moved: dict[str, Any] = {
        item.name: value + by
        for item in fields(evidence)
        if isinstance(value := getattr(evidence, item.name), datetime)
    }
    return replace(evidence, **moved)


def reached(evidence: Evidence) -> Mapping[Stage, datetime]:
    """The stages that the order reached and that are still so, with their times, in the order of its life."""
    times = {
        Stage.ORDERED: evidence.ordered_at,
        Stage.WRITTEN: evidence.written_at,
        Stage.READ_BACK: evidence.read_back_at,
        Stage.MEASURED: evidence.measured_at,
        Stage.HELD: evidence.held_at,
        Stage.LIMITED: evidence.limited_at,
        Stage.REFUSED: evidence.refused_at,
    }
    return {stage: at for stage, at in times.items() if at is not None}


def unfollowed_since(evidence: Evidence) -> datetime | None:
    """Since when the power goes elsewhere without a cause that anybody tells; None while it does not."""
    return evidence.astray_since if evidence.reason == NOT_FOLLOWED else None


def complaints(told: frozenset[str], evidence: Evidence | None) -> frozenset[str]:
    """What people were told of, as ``stage:reason``: each once, and again only after an order was taken or followed.

    What is only on its way, or broken off, proves neither. A read-back ends a refusal, a limit only the power that
    follows.
    """
    if evidence is None:
        return frozenset()
    match evidence.stage:
        case Stage.REFUSED | Stage.LIMITED as stage:
            return told | {f"{stage}:{evidence.reason}"}
        case Stage.ORDERED | Stage.WRITTEN:
            return told
        case Stage.READ_BACK:
            return frozenset(one for one in told if one.startswith(f"{Stage.LIMITED}:"))
    return frozenset()


def limited_by(ordered_w: int, reading: ChargerReading, capability: Capability) -> str:
    """Why a charger gives or takes less than ordered, as far as its readings tell; ``not_followed`` where they do not.

    More than ordered, or the other direction, is never a limit.
    """
    power_w = reading.power_w or 0
    against = power_w * ordered_w < 0 and abs(power_w) > capability.tolerance_of(0)
    if abs(power_w) >= abs(ordered_w) or against:
        return NOT_FOLLOWED
    limit = _limit(ordered_w > 0, abs(ordered_w), reading)
    if limit is not None:
        return limit
    rests = reading.plugged is False or reading.state in _VEHICLE_RESTS
    return "vehicle" if rests else NOT_FOLLOWED


def _limit(charging: bool, most_w: int, reading: ChargerReading) -> str | None:
    soc = reading.soc_pct
    if charging:
        if reading.charge_max_w is not None and reading.charge_max_w < most_w:
            return "charge_limit"
        return "soc_ceiling" if soc is not None and soc >= SOC_CEILING_PCT else None
    if reading.discharge_max_w is not None and reading.discharge_max_w < most_w:
        return "discharge_limit"
    return "soc_floor" if soc is not None and soc <= SOC_FLOOR_PCT else None
