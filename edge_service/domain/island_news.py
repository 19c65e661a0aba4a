"""What people are told of an island that falls, of when it is tried again, and of a sun that it has no room for."""

from collections.abc import Iterator

from edge_service.domain.load_fit import house_load, over, rating, share
from edge_service.domain.memory import ALIVE, IslandStep, Memory
from edge_service.domain.model import Happening, Notice, frozen_map
from edge_service.domain.view import View

# The last word before an inverter falls is up to a second old, and the load has grown since.
OVERLOADED_FROM = 0.95
# Above this the vehicle's battery takes less and less; it lets go of the notice only clearly below.
FULL_FROM_PCT = 97.0
FULL_UNTIL_PCT = 95.0
# Below this it is the charger's own use, or a reading that is not quite 0.
SURPLUS_FROM_W = 100
FELL = frozenset({IslandStep.FORMING, IslandStep.STOPPING, IslandStep.HANDOVER})


def happenings(view: View, before: Memory, after: Memory) -> Iterator[Happening]:
    """The island fell, and as far as seen why."""
    if after.island.collapses > before.island.collapses:
        data = {"charger": before.island.former, "reason": _why_fell(view, before), "count": after.island.collapses}
        yield Happening("backup_collapsed", "site", view.observation.now, frozen_map(data))


def _why_fell(view: View, before: Memory) -> str:
    """``overload``, where the last known load comes near what charger and vehicle give, in all or on a leg."""
    load, former = house_load(before.loads), before.island.former
    limit = rating(view.observation, view.facts, former, len(before.loads.leg_w))
    if limit is None:
        return "unknown"
    near = share(limit, OVERLOADED_FROM)
    seen_w = before.charger(former or "").seen_w
    overloaded = seen_w is not None and -seen_w > near[0]
    return "overload" if overloaded or (load is not None and any(over(load, near))) else "unknown"


def retry_told_anew(before: Memory, after: Memory) -> bool:
    """A retry of ours has failed, and another time is planned."""
    return after.island.retry_at is not None and after.island.retry_at != before.island.retry_at


def notices(view: View, before: Memory, after: Memory) -> Iterator[Notice]:
    """Only a person can help, or only a person can use what the sun gives."""
    now, island = view.observation.now, after.island
    if island.latched and after.outage is not None and after.outage.ended_at is None:
        since = now if island.since is None else island.since
        data = {"reason": island.failure, "retries": island.retries, "since": since.isoformat()}
        yield Notice("backup_latched", "backup_latched", "critical", now, frozen_map(data))
    if _has_surplus(view, before, after):
        reading = view.reading(island.former or "")
        power_w = None if reading is None else reading.power_w
        name = view.facts.chargers[island.former or ""].name
        surplus = {"charger": name, "soc_pct": view.soc_pct(island.former or ""), "power_w": power_w}
        yield Notice("solar_surplus", "solar_surplus", "warning", now, frozen_map(surplus))


def _has_surplus(view: View, before: Memory, after: Memory) -> bool:
    """Nothing can be ordered of a charger that makes the island: its power is what the house has left over."""
    former = after.island.former or ""
    reading, stands = view.reading(former), "solar_surplus" in before.notices
    if after.island.step not in ALIVE or reading is None or reading.soc_pct is None:
        return False
    if stands:
        return reading.soc_pct > FULL_UNTIL_PCT
    return reading.soc_pct >= FULL_FROM_PCT and (reading.power_w or 0) > SURPLUS_FROM_W
