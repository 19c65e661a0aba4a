"""What people are told of the grid's evidence, of the neutral, and of a system that runs out of its own start."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from edge_service.domain import dark_start, neutral
from edge_service.domain.memory import Memory
from edge_service.domain.model import Grid, Notice, Supply, frozen_map
from edge_service.domain.view import View

# A real loss is sure after two seconds; what contradicts itself for so long does not settle by itself.
DISPUTED_FOR = timedelta(seconds=30)
# Sources that are asked once a minute may be late by one turn.
UNSEEN_FOR = timedelta(seconds=120)


def notices(view: View, after: Memory) -> Iterator[Notice]:
    """What stands now."""
    yield from _disputed(view, after)
    if is_unseen(view):
        yield _notice(view, "grid_unseen", "grid_unseen", "warning")
    if neutral.is_lost(after.grid.neutral_lost_since, view.observation.now):
        yield _notice(view, "neutral_lost", "neutral_lost", "critical", legs=_legs(view))
    yield from _dark_start(view, after)


def _disputed(view: View, after: Memory) -> Iterator[Notice]:
    """Suspected for long, or contradicted for long while the house is off the grid and waits for it."""
    now, grid = view.observation.now, after.grid
    suspected = view.grid is Grid.SUSPECT and grid.since is not None and now - grid.since >= DISPUTED_FOR
    contradicted = grid.disputed_since is not None and now - grid.disputed_since >= DISPUTED_FOR
    if suspected or contradicted:
        yield _notice(view, "grid_disputed", "grid_disputed", "critical", evidence=grid.evidence)


def is_unseen(view: View) -> bool:
    """The vehicle carries the house, and nothing can tell whether the grid is back."""
    silent_since = view.memory.grid.silent_since
    away = view.supply is Supply.ISLAND and view.grid is not Grid.GENERATOR
    return away and silent_since is not None and view.observation.now - silent_since >= UNSEEN_FOR


def _legs(view: View) -> str:
    """The voltages that were seen last, for people."""
    meter = view.observation.meter
    return "" if meter is None else " / ".join(f"{volts:.0f} V" for volts in meter.leg_voltage_v[:2] if volts)


def _dark_start(view: View, after: Memory) -> Iterator[Notice]:
    """How long is left for plugging a vehicle in; then, that it is over."""
    now, at = view.observation.now, dark_start.dark_start_at(after, view.facts)
    if at is None or not dark_start.stands_still(after, now):
        return
    kind = "dark_start" if now < at else "dark_start_passed"
    yield _notice(view, "dark_start", kind, "critical", at=at.isoformat())


def _notice(view: View, key: str, kind: str, level: str, **data: Any) -> Notice:
    return Notice(key, kind, level, view.observation.now, frozen_map(data))
