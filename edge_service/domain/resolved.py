"""What people decided, as it counts at this moment: miles as percent, what was lent, the storm of an alert."""

from edge_service.domain.memory import Memory
from edge_service.domain.model import Observation, Settings, SiteFacts


def resolved(settings: Settings, observation: Observation, memory: Memory, facts: SiteFacts) -> Settings:
    """The settings that this decision goes by."""
    return settings
