"""What counts of a decision when recorded time is decided again."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge_service.domain.decide import Decision
from edge_service.domain.memory import EventStage, IslandStep
from edge_service.domain.model import Grid, Order, Supply, SwitchOrder


@dataclass(frozen=True, slots=True)
class Digest:
    """What was ordered, why, and what was told; powers that were only computed on the way are left out.

    ``notices`` and ``happenings`` name what is new in this cycle, ``events`` the stage of each event.
    """

    grid: Grid
    supply: Supply
    islanding: IslandStep
    switch: SwitchOrder | None
    reason: str
    adjusted: Mapping[str, str]
    orders: Mapping[str, Order]
    events: Mapping[str, EventStage]
    happenings: tuple[str, ...]
    notices: tuple[str, ...]


def digest(decision: Decision) -> Digest:
    """Shares what it can with the decision, so that it costs next to nothing."""
    return Digest(
        decision.grid,
        decision.supply,
        decision.memory.island.step,
        decision.switch,
        decision.reason,
        decision.adjusted,
        decision.orders,
        {uid: account.stage for uid, account in decision.memory.events.items()},
        tuple(happening.kind for happening in decision.happenings),
        tuple(notice.kind for notice in decision.notices),
    )
