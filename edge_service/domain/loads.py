"""Which loads are shed, when and why, and when they come back. Home Assistant or a relay of ours carries it out.

What is wanted is a state, not an act: it is compared with what was heard of each group in every cycle. Only what we
shed is put back, and what a person decides goes first.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, auto

from edge_service.domain import load_restoring, load_shedding
from edge_service.domain.altered import altered
from edge_service.domain.load_fit import groups, heard
from edge_service.domain.load_house import of_house
from edge_service.domain.load_plan import Plan, Reason, carrier
from edge_service.domain.memory import ALIVE, DrillStage, IslandStep, LoadMemory, LoadsMemory, Memory
from edge_service.domain.model import Grid, LoadOrder, LoadReading, LoadState, Mode, Supply, frozen_map
from edge_service.domain.view import View

UNFORMED = frozenset(
    {
        IslandStep.SHEDDING,
        IslandStep.OPENING,
        IslandStep.FORMING,
        IslandStep.DARK,
        IslandStep.RETRY,
        IslandStep.HANDOVER,
    }
)


class Phase(Enum):
    """What the house lives on, as far as loads go. ``apart``: nothing is shed or put back now."""

    TIED = auto()
    FORMING = auto()
    CARRIED = auto()
    APART = auto()


def phase(view: View) -> Phase:
    """Where the house stands."""
    step = view.memory.island.step
    if step in ALIVE or view.supply is Supply.VENDOR_BACKUP:
        return Phase.CARRIED
    lost = view.grid is Grid.OUTAGE and step is IslandStep.TIED and carrier(view) is not None
    if step in UNFORMED or lost or (step is IslandStep.TIED and _is_rehearsed(view)):
        return Phase.FORMING
    return Phase.TIED if view.tied else Phase.APART


def _is_rehearsed(view: View) -> bool:
    """A drill wants the loads shed: before the house is moved, or instead of that."""
    drill = view.memory.drill
    if drill is None or not drill.runs:
        return False
    return drill.stage is (DrillStage.TRANSFERRING if drill.transfer else DrillStage.CARRYING)


def follow(view: View, before: Memory) -> LoadsMemory:
    """What is wanted of each group from now on."""
    known = groups(view.settings, view.facts)
    heard_of = {name: _hear(view, name, before.loads.group(name)) for name in known}
    memory = of_house(view, altered(before.loads, groups=frozen_map(heard_of)), known)
    if view.settings.mode is Mode.READ_ONLY:
        return memory
    plan = Plan(view, memory, known)
    plan.heed_people()
    match phase(view):
        case Phase.FORMING:
            if before.island.step in ALIVE and view.memory.island.step is not IslandStep.HANDOVER:
                load_shedding.collapse(plan, before.at or view.observation.now)
            load_shedding.by_tier(plan)
            load_shedding.shed_to_fit(plan)
        case Phase.CARRIED:
            load_shedding.by_tier(plan)
            load_shedding.relieve(plan)
            load_restoring.restore_in_island(plan)
        case Phase.TIED:
            load_restoring.forget_outage(plan)
            load_restoring.restore(plan, lambda name: True)
        case Phase.APART:
            pass
    return plan.memory()


def orders(memory: LoadsMemory) -> Mapping[str, LoadOrder]:
    """What is wanted of each group; no entry for one that was never heard of: it is left as it stands."""
    told = {name: one for name, one in memory.groups.items() if one.since is not None or one.silent_since is None}
    return frozen_map({name: group.wanted for name, group in told.items()})


def _hear(view: View, name: str, known: LoadMemory) -> LoadMemory:
    """What the group's own word changes: its power, a person's hand on it, that it is shed already."""
    now, reading = view.observation.now, heard(view.observation, name, view.facts)
    if reading is None or reading.state is None:
        return known if known.silent_since else replace(known, silent_since=now)
    known = known if known.silent_since is None else replace(known, silent_since=None)
    if reading.state is LoadState.KEPT and known.wanted is LoadOrder.SHED and not _is_older(reading, known):
        return replace(known, wanted=LoadOrder.ON, since=now, reason=Reason.KEPT, kept=True, shed_proven=False)
    if reading.state is LoadState.SHED and known.since is None:
        return replace(known, wanted=LoadOrder.SHED, since=now, reason=Reason.FOUND, shed_proven=True)
    proven = known.wanted is LoadOrder.SHED and (known.shed_proven or reading.state is LoadState.SHED)
    return known if proven is known.shed_proven else replace(known, shed_proven=proven)


def _is_older(reading: LoadReading, known: LoadMemory) -> bool:
    """It was told before our last word, and says nothing on that."""
    return known.since is not None and reading.at < known.since
