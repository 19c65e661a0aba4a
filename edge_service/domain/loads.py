"""Which loads are shed, when and why, and when they come back. Home Assistant or a relay of ours carries it out."""

from collections.abc import Mapping

from edge_service.domain.memory import LoadsMemory, Memory
from edge_service.domain.model import LoadGroup, LoadOrder, Settings, SiteFacts, frozen_map
from edge_service.domain.view import View


def groups(settings: Settings, facts: SiteFacts) -> Mapping[str, LoadGroup]:
    """Every load group: those of the site's relays, and those that people made; theirs count for the same id."""
    return frozen_map({**facts.relays, **settings.load_groups})


def follow(view: View, before: Memory) -> LoadsMemory:
    """What is wanted of each group from now on."""
    return before.loads


def orders(memory: LoadsMemory) -> Mapping[str, LoadOrder]:
    """What is wanted of each group."""
    return frozen_map({name: group.wanted for name, group in memory.groups.items()})
