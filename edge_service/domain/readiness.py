"""Would backup work now? The level, and what stands in its way by name."""

from edge_service.domain.memory import Memory
from edge_service.domain.model import Readiness, ReadinessLevel, Runtime
from edge_service.domain.view import View


def judge(view: View, after: Memory, runtime: Runtime | None) -> Readiness:
    """The level and its reasons, worst first."""
    return Readiness(ReadinessLevel.NOT_READY, (("not_judged", "site"),))
