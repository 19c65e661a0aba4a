"""What stays behind at a charger that is let alone: an order of ours that does not die by itself is taken back first.

A lease runs out. A stop does not, at any charger; nor does anything at a charger without a lease.
"""

from edge_service.domain.memory import ChargerMemory, IslandStep
from edge_service.domain.model import Backup, ChargerState, Evidence, Lease, Order, Release, Stop
from edge_service.domain.view import View

# The charger is stopped on purpose, or the way back to the grid counts on it; or the switch is not known yet.
LEFT_AS_IT_IS = frozenset({IslandStep.UNKNOWN, IslandStep.STOPPING, IslandStep.CLOSING, IslandStep.ENDED})
OVERWRITTEN = "overwritten"


def stays_behind(view: View, charger: str) -> bool:
    """Whether an order of ours stands that would not die by itself, or its withdrawal is not read back yet.

    What another controller has put in its place is not ours to take back.
    """
    if view.memory.island.step in LEFT_AS_IT_IS or view.settings.stopped or _parked(view, charger):
        return False
    evidence, reading, capability = (
        view.observation.orders.get(charger),
        view.reading(charger),
        view.capability(charger),
    )
    ceased = view.memory.charger(charger).ceased
    if evidence is None:
        # After a restart the charger's own word is needed too.
        return ceased and reading is not None and reading.state is ChargerState.UNAVAILABLE
    if evidence.reason == OVERWRITTEN:
        return False
    without_lease = capability is not None and capability.lease is Lease.NONE
    if isinstance(evidence.order, Release):
        return (ceased or without_lease) and evidence.read_back_at is None
    return ceased or without_lease


def _parked(view: View, charger: str) -> bool:
    """It could form beside the one that does, or that may."""
    capability, island = view.capability(charger), view.memory.island
    can_form = capability is not None and capability.backup is Backup.CAN_FORM
    return can_form and island.step is not IslandStep.TIED and charger != island.former


def is_ceased(memory: ChargerMemory, ordered: Order | None, evidence: Evidence | None) -> bool:
    """Whether the charger is ceased by our own order, until another one is proven in its place."""
    if isinstance(ordered, Stop):
        return True
    if evidence is None or isinstance(evidence.order, Stop):
        return memory.ceased and (evidence is None or evidence.reason != OVERWRITTEN)
    return memory.ceased and evidence.read_back_at is None
