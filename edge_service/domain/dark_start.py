"""The dark-start clock: how long a system that nothing feeds can still start itself.

Inverter, switch and controller live on a small battery while the house is dark. Its maker declares how long it lasts;
after that only the grid, or a person by the maker's own procedure, brings the backup to life again.
"""

from datetime import datetime, timedelta

from edge_service.domain.memory import Memory
from edge_service.domain.model import Backup, SiteFacts, Supply
from edge_service.domain.view import View

# A transfer takes seconds and is no standstill; the clock itself counts from the first dark moment on.
STANDSTILL = timedelta(seconds=60)
_FEEDS = frozenset({Supply.GRID, Supply.ISLAND})
_DARK = frozenset({Supply.NONE, Supply.TRANSFER})


def follow(view: View, before: Memory) -> datetime | None:
    """Since when nothing feeds the house; None while something does. Where nobody knows it stays as it was.

    It outlives a restart: the controller may be what was dark.
    """
    if view.supply in _FEEDS:
        return None
    if view.supply is Supply.VENDOR_BACKUP and not _is_known_absent(view):
        return None
    if view.supply in _DARK or view.supply is Supply.VENDOR_BACKUP:
        return before.dark_since or view.observation.now
    return before.dark_since


def _is_known_absent(view: View) -> bool:
    """No vehicle is plugged in at any charger whose vendor's gateway would carry the house."""
    chargers = view.facts.chargers.values()
    vendors = [one.id for one in chargers if one.capability and one.capability.backup is Backup.VENDOR]
    readings = [view.reading(name) for name in vendors]
    return bool(vendors) and all(reading is not None and reading.plugged is False for reading in readings)


def dark_start_at(memory: Memory, facts: SiteFacts) -> datetime | None:
    """When the system can no longer start itself; None while something feeds it, or where its maker declares nothing.

    A moment that has passed stays told: the system is down until the grid is back.
    """
    if facts.dark_start_min is None or memory.dark_since is None:
        return None
    return memory.dark_since + timedelta(minutes=facts.dark_start_min)


def stands_still(memory: Memory, now: datetime) -> bool:
    """It has been dark for longer than a transfer takes."""
    return memory.dark_since is not None and now - memory.dark_since >= STANDSTILL
