"""What is kept of an outage: what told of it, how the house was carried, what it took, and what people were told."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from edge_service.domain.load_fit import names
from edge_service.domain.memory import Memory, OutageMemory
from edge_service.domain.model import Grid, LoadOrder, Notice, Supply
from edge_service.domain.performance import LONGEST_STEP
from edge_service.domain.view import View

# Kinds of notices are kept as often as they were raised, but for a fault that repeats without end.
MOST_NOTICES = 50


def follow(view: View, before: Memory) -> OutageMemory | None:
    """The outage that runs, or the last one, with this moment."""
    outage, now = before.outage, view.observation.now
    running = outage is not None and outage.ended_at is None
    if view.grid is Grid.OUTAGE and not running:
        return _begun(view)
    if outage is None or not running:
        return outage
    hours = _hours(before.at, now)
    if before.dark_since is not None:
        outage = replace(outage, dark_s=outage.dark_s + hours * 3600)
    outage = _with_loads(replace(outage, collapses=max(outage.collapses, view.memory.island.collapses)), before)
    if view.tied:
        return replace(outage, ended_at=now)
    if view.supply is Supply.ISLAND:
        return _in_island(view, outage, hours)
    return outage


def is_another(before: OutageMemory | None, after: OutageMemory | None) -> bool:
    """Whether an outage began with this moment."""
    return after is not None and (before is None or before.started_at != after.started_at)


def _begun(view: View) -> OutageMemory:
    """Where nothing feeds the house now, nothing did since the first sign either."""
    now, lost = view.observation.now, view.memory.grid.lost_since or view.observation.now
    dark = view.supply in (Supply.NONE, Supply.TRANSFER)
    dark_s = (now - lost).total_seconds() if dark else 0.0
    return OutageMemory(started_at=lost, evidence=view.memory.grid.evidence, dark_s=dark_s)


def _hours(last: datetime | None, now: datetime) -> float:
    """Since the last decision; not longer than one may believe that nothing changed."""
    return min(now - last, LONGEST_STEP).total_seconds() / 3600 if last is not None and now > last else 0.0


def _in_island(view: View, outage: OutageMemory, hours: float) -> OutageMemory:
    now, former, house_w = view.observation.now, view.memory.island.former, view.house_w
    soc = view.soc_pct(former) if former else None
    lows = [value for value in (outage.lowest_soc_pct, soc) if value is not None]
    highs = [value for value in (outage.highest_w, house_w) if value is not None]
    first = outage.backup_started_at is None
    transfer_s = (now - outage.started_at).total_seconds() if first else outage.transfer_s
    return replace(
        outage,
        backup_started_at=outage.backup_started_at or now,
        transfer_s=transfer_s,
        energy_wh=outage.energy_wh + (house_w or 0) * hours,
        lowest_soc_pct=min(lows, default=None),
        highest_w=max(highs, default=None),
        former=former,
    )


def _with_loads(outage: OutageMemory, before: Memory) -> OutageMemory:
    shed = [name for name, group in before.loads.groups.items() if group.wanted is LoadOrder.SHED]
    new = [name for name in shed if name not in outage.loads_shed]
    return replace(outage, loads_shed=(*outage.loads_shed, *new)) if new else outage


def with_notices(outage: OutageMemory | None, notices: Iterable[Notice]) -> OutageMemory | None:
    """With what people are told now, the word that it is over included."""
    told = tuple(notice.kind for notice in notices)
    if outage is None or not told or (outage.ended_at is not None and "power_back" not in told):
        return outage
    return replace(outage, notices=(*outage.notices, *told)[:MOST_NOTICES])


def report(view: View, outage: OutageMemory) -> dict[str, Any]:
    """The outage as its log shows it once it is over."""
    ended_at = outage.ended_at or outage.started_at
    return {
        "started_at": outage.started_at.isoformat(),
        "duration_s": round((ended_at - outage.started_at).total_seconds(), 1),
        "energy_wh": round(outage.energy_wh),
        "evidence": outage.evidence,
        "transfer_s": None if outage.transfer_s is None else round(outage.transfer_s, 2),
        "dark_s": round(outage.dark_s, 1),
        "highest_w": outage.highest_w,
        "lowest_soc_pct": outage.lowest_soc_pct,
        "collapses": outage.collapses,
        "charger": outage.former,
        "loads_shed": names(outage.loads_shed, view.settings, view.facts),
        "notices": list(outage.notices),
    }
