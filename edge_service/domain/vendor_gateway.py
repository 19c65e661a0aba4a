"""A maker's own gateway at the house: whether it carries the house now, and the reserve that it keeps for that.

It acts by itself. Ours is the reserve, set while the site is tied to a good grid and at no other time.
"""

from math import ceil

from edge_service.domain.model import Backup, CompanionState, Grid, Mode, Observation, SiteFacts, Supply
from edge_service.domain.view import View


def carries_house(observation: Observation, facts: SiteFacts) -> bool:
    """A companion tells, and not long ago, that it runs the house off the grid."""
    readings = (facts.fresh(observation.companions.get(name), observation.now) for name in facts.companions)
    return any(reading is not None and reading.state is CompanionState.ISLANDED for reading in readings)


def supply(observation: Observation, grid: Grid, facts: SiteFacts, *, dark: bool) -> Supply:
    """What feeds a house off the grid that we do not carry. ``dark``: a source on the house's side proves it dead.

    A gateway that tells nothing is believed to do its work, as long as nothing proves otherwise.
    """
    if carries_house(observation, facts):
        return Supply.VENDOR_BACKUP
    if grid is not Grid.OUTAGE:
        return Supply.UNKNOWN
    has_gateway = any(one.capability and one.capability.backup is Backup.VENDOR for one in facts.chargers.values())
    return Supply.VENDOR_BACKUP if has_gateway and not dark else Supply.NONE


def reserve_pct(view: View) -> float | None:
    """The reserve that gateways are to keep, in whole percent; None: nothing is written to them now."""
    settings = view.settings
    if not any(companion.keeps_reserve for companion in view.facts.companions.values()):
        return None
    if not view.tied or settings.stopped or settings.mode is Mode.READ_ONLY:
        return None
    return float(ceil(min(100.0, max(0.0, settings.reserve_pct(view.observation.now)))))
