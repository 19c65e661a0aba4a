"""How long the vehicle carries the house: a range, from what the house drew lately and at such hours before."""

from edge_service.domain.memory import Memory, RuntimeMemory
from edge_service.domain.model import Runtime
from edge_service.domain.view import View


def follow(view: View, before: Memory) -> RuntimeMemory:
    """What the house has drawn, with this moment."""
    return before.runtime


def estimate(view: View, memory: RuntimeMemory) -> Runtime | None:
    """How long from now on; None: nothing here can carry the house, or its charge is not known."""
    return None
