"""A rehearsed outage: pre-checks that refuse by name, measured phases, a score."""

from edge_service.domain.memory import DrillMemory, Memory
from edge_service.domain.view import View


def follow(view: View, before: Memory) -> DrillMemory | None:
    """The drill that runs, or the last one; ``islanding`` moves the house for it."""
    return before.drill
