"""From grid to island and back: a table, because here the order is physics.

We order the switch, prove it, and wait for the charger to form the island by its own act. Each step has a deadline and
a way back. Only ``outage`` may open the switch. Without a synchronism check the way back is an open transition:
announce, stop the charger, prove the house dead, close, prove.

Exactly one charger may form. Where it cannot, another takes its place, once the first is stopped and seen not to form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from edge_service.domain.forming import choose_former
from edge_service.domain.islanding_situation import MOST_ATTEMPTS, RETURN_RETRY, Situation, late
from edge_service.domain.memory import IslandMemory, IslandStep
from edge_service.domain.model import (
    Backup,
    Grid,
    Mode,
    Observation,
    Settings,
    SiteFacts,
    Supply,
    SwitchOrder,
    SwitchReading,
)

# Transfer switches of this class move in well under a second; five leave room for a slow contact.
OPEN_DEADLINE = timedelta(seconds=5)
CLOSE_DEADLINE = timedelta(seconds=5)
# Vendors state up to half a minute from an open contact to a live island.
FORM_DEADLINE = timedelta(seconds=30)
STOP_DEADLINE = timedelta(seconds=15)
# A charger that would not stop for another is asked again after a while.
HANDOVER_RETRY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Transition:
    """From a step, when the guard holds, to another; ``why`` is journalled."""

    to: IslandStep
    guard: Callable[[Situation], bool]
    why: str
    failure: bool = False


S = IslandStep


def _ended_by_person(at: Situation) -> bool:
    return at.settings.stopped or at.settings.end_backup


def _reserve_reached(at: Situation) -> bool:
    return at.at_reserve and not at.returnable


def _may_hand_over(at: Situation) -> bool:
    """There is somebody to hand over to, and it has not failed just now; nothing else feeds the house, or could."""
    if at.grid is Grid.ON or at.at_generator:
        return False
    return at.successor is not None and (at.memory.failure != "would_not_stop" or late(HANDOVER_RETRY)(at))


def _reserve_handed_over(at: Situation) -> bool:
    return _reserve_reached(at) and _may_hand_over(at)


# No return is under way: behind an open switch the charger may carry the house.
NO_GRID = frozenset({Grid.OUTAGE, Grid.RESTORING, Grid.GENERATOR})

# Per step, in order of precedence. The first guard that holds decides.
TABLE: Mapping[IslandStep, tuple[Transition, ...]] = {
    S.UNKNOWN: (
        Transition(S.TIED, lambda at: at.closed, "found_closed"),
        Transition(S.ISLAND, lambda at: at.formed, "found_island"),
        Transition(S.TIED, lambda at: at.fed_by_grid, "fed_by_grid"),
        Transition(S.ENDED, lambda at: at.opened and (_ended_by_person(at) or _reserve_reached(at)), "found_ended"),
        Transition(S.FORMING, lambda at: at.opened and at.grid in NO_GRID, "found_open"),
        Transition(S.STOPPING, lambda at: at.opened and at.returnable, "found_open_on_grid"),
    ),
    S.TIED: (
        Transition(S.OPENING, lambda at: at.wants_island, "outage"),
        Transition(S.FORMING, lambda at: at.opened, "opened_by_other"),
    ),
    S.OPENING: (
        Transition(S.FORMING, lambda at: at.opened, "open_proven"),
        Transition(S.ISLAND, lambda at: at.formed and not at.closed, "formed_without_proof"),
        Transition(S.STUCK, late(OPEN_DEADLINE), "open_not_proven", failure=True),
    ),
    S.FORMING: (
        Transition(S.ENDED, _ended_by_person, "ended_by_person"),
        Transition(S.TIED, lambda at: at.closed, "closed_by_other"),
        Transition(S.HANDOVER, _reserve_handed_over, "reserve_reached"),
        Transition(S.ENDED, _reserve_reached, "reserve_reached"),
        Transition(S.ISLAND, lambda at: at.formed, "formed"),
        Transition(S.STOPPING, lambda at: at.returnable, "grid_back"),
        Transition(S.HANDOVER, lambda at: at.cannot and _may_hand_over(at), "former_cannot"),
        Transition(S.DARK, late(FORM_DEADLINE), "not_formed", failure=True),
    ),
    S.DARK: (
        Transition(S.ENDED, _ended_by_person, "ended_by_person"),
        Transition(S.TIED, lambda at: at.closed, "closed_by_other"),
        Transition(S.HANDOVER, _reserve_handed_over, "reserve_reached"),
        Transition(S.ENDED, _reserve_reached, "reserve_reached"),
        Transition(S.ISLAND, lambda at: at.formed, "formed"),
        Transition(S.STOPPING, lambda at: at.returnable, "grid_back"),
        Transition(
            S.HANDOVER, lambda at: (at.cannot or at.collapsed or at.gone) and _may_hand_over(at), "former_does_not_form"
        ),
    ),
    S.HANDOVER: (
        Transition(S.ENDED, _ended_by_person, "ended_by_person"),
        Transition(S.TIED, lambda at: at.closed, "closed_by_other"),
        Transition(S.STOPPING, lambda at: at.returnable, "grid_back"),
        Transition(S.FORMING, lambda at: at.let_go and at.successor is not None, "handed_over"),
        Transition(S.DARK, lambda at: not at.formed and at.successor is None, "nobody_else"),
        Transition(S.ISLAND, lambda at: late(STOP_DEADLINE)(at) and at.formed, "would_not_stop", failure=True),
        Transition(S.DARK, late(STOP_DEADLINE), "would_not_stop", failure=True),
    ),
    S.ISLAND: (
        Transition(S.ENDED, lambda at: at.settings.stopped, "stopped"),
        Transition(S.STOPPING, lambda at: at.settings.end_backup and at.returnable, "ended_by_person"),
        Transition(S.ENDED, lambda at: at.settings.end_backup, "ended_by_person"),
        Transition(S.HANDOVER, _reserve_handed_over, "reserve_reached"),
        Transition(S.ENDED, _reserve_reached, "reserve_reached"),
        Transition(S.FORMING, lambda at: at.collapsed, "collapsed"),
        Transition(S.FORMING, lambda at: at.gone, "gone"),
        Transition(S.ANNOUNCED, lambda at: at.returnable and not at.postponed, "grid_back"),
    ),
    S.ANNOUNCED: (
        Transition(S.ENDED, lambda at: at.settings.stopped, "stopped"),
        Transition(S.STOPPING, lambda at: at.settings.end_backup and at.returnable, "ended_by_person"),
        Transition(S.FORMING, lambda at: at.collapsed, "collapsed"),
        Transition(S.ISLAND, lambda at: not at.returnable, "grid_gone_again"),
        Transition(S.ISLAND, lambda at: at.postponed, "postponed"),
        Transition(S.STOPPING, lambda at: at.may_return, "announced"),
    ),
    S.STOPPING: (
        Transition(S.TIED, lambda at: at.closed and not at.formed, "closed_by_other"),
        Transition(S.CLOSING, lambda at: at.dead and at.grid is Grid.ON, "dead_proven"),
        Transition(S.FORMING, lambda at: at.grid in NO_GRID, "grid_gone_again"),
        Transition(S.ISLAND, lambda at: late(STOP_DEADLINE)(at) and at.formed, "would_not_stop", failure=True),
        Transition(S.FORMING, late(STOP_DEADLINE), "dead_not_proven", failure=True),
    ),
    S.CLOSING: (
        Transition(S.TIED, lambda at: at.closed, "closed_proven"),
        Transition(S.TIED, lambda at: at.fed_by_grid, "fed_by_grid"),
        Transition(S.STOPPING, lambda at: at.opened and at.formed, "alive_again"),
        Transition(
            S.OPENING, lambda at: at.grid is Grid.OUTAGE and at.opened and not at.settings.stopped, "grid_gone_again"
        ),
        Transition(S.STUCK, late(CLOSE_DEADLINE), "close_not_proven", failure=True),
    ),
    S.ENDED: (
        Transition(S.TIED, lambda at: at.closed, "closed_by_other"),
        Transition(S.STOPPING, lambda at: at.returnable and not at.settings.stopped, "grid_back"),
        Transition(
            S.FORMING,
            lambda at: not _ended_by_person(at) and at.may_lend and at.opened,
            "lent",
        ),
        Transition(S.HANDOVER, lambda at: not _ended_by_person(at) and _may_hand_over(at), "another_can"),
    ),
    S.STUCK: (
        Transition(S.TIED, lambda at: at.closed, "closed_proven_late"),
        Transition(S.TIED, lambda at: at.fed_by_grid, "fed_by_grid"),
        Transition(S.ISLAND, lambda at: at.formed and not at.told_to_close, "formed_without_proof"),
        Transition(
            S.FORMING, lambda at: at.opened and at.grid is not Grid.ON and not at.told_to_close, "open_proven_late"
        ),
        Transition(
            S.OPENING, lambda at: at.opened and at.grid is Grid.OUTAGE and not at.settings.stopped, "grid_gone_again"
        ),
        Transition(
            S.STOPPING,
            lambda at: at.opened and at.returnable and (at.memory.attempts < MOST_ATTEMPTS or late(RETURN_RETRY)(at)),
            "open_with_grid",
        ),
    ),
}

RETURNING = frozenset({S.STOPPING, S.CLOSING})
# The house is between two supplies: the runner looks more often.
IN_TRANSFER = RETURNING | {S.OPENING, S.FORMING, S.HANDOVER}

FED = frozenset({Grid.ON, Grid.RESTORING, Grid.GENERATOR})

# What the switch is told in each step; no entry: nothing.
SWITCH_ORDERS: Mapping[IslandStep, SwitchOrder] = {
    S.OPENING: SwitchOrder.OPEN,
    S.CLOSING: SwitchOrder.CLOSE,
}


def switch_order(
    memory: IslandMemory,
    grid: Grid,
    settings: Settings,
    switch: SwitchReading | None,
    *,
    at_generator: bool = False,
) -> SwitchOrder | None:
    """What the switch is told now: it opens in an outage only and not against a stop, closes onto a good grid only.

    It does not open while the transfer switch stands at a generator.

    An order to open that moved nothing is taken back when the house is fed again, or it would cut it off later; at a
    generator too.
    """
    if settings.mode is Mode.READ_ONLY:
        return None
    stayed_closed = switch is not None and switch.closed_proven is True and switch.open_proven is not True
    if stayed_closed and switch is not None and switch.commanded_open and (grid in FED or at_generator):
        return SwitchOrder.CLOSE
    order = SWITCH_ORDERS.get(memory.step)
    if order is SwitchOrder.OPEN and (settings.stopped or at_generator):
        return None
    needs = Grid.OUTAGE if order is SwitchOrder.OPEN else Grid.ON
    return order if grid is needs else None


SUPPLIES: Mapping[IslandStep, Supply] = {
    S.UNKNOWN: Supply.UNKNOWN,
    S.OPENING: Supply.TRANSFER,
    S.FORMING: Supply.TRANSFER,
    S.DARK: Supply.NONE,
    S.HANDOVER: Supply.TRANSFER,
    S.ISLAND: Supply.ISLAND,
    S.ANNOUNCED: Supply.ISLAND,
    S.STOPPING: Supply.TRANSFER,
    S.CLOSING: Supply.TRANSFER,
    S.ENDED: Supply.NONE,
    S.STUCK: Supply.UNKNOWN,
}


def _former(observation: Observation, memory: IslandMemory, facts: SiteFacts) -> str | None:
    """Who forms, or would. After a restart it is still who it was, unless another is seen to form."""
    chosen = choose_former(observation, facts)
    reading = observation.chargers.get(chosen or "")
    remembered = memory.former if memory.former in facts.chargers else None
    if memory.step is S.UNKNOWN and remembered and not (reading and reading.forming):
        return remembered
    return chosen or remembered


def follow(
    observation: Observation,
    memory: IslandMemory,
    grid: Grid,
    settings: Settings,
    facts: SiteFacts,
    *,
    at_generator: bool = False,
) -> IslandMemory:
    """Take at most one transition of the table. A site without a switch stays tied."""
    if facts.switch is None:
        return memory if memory.step is S.TIED else IslandMemory(step=S.TIED, since=observation.now)
    if memory.step in (S.UNKNOWN, S.TIED):
        memory = replace(memory, former=_former(observation, memory, facts))
    if memory.step is S.TIED and grid is Grid.ON:
        memory = replace(memory, attempts=0, failure=None, return_failed_at=None)
    situation = Situation(observation, memory, grid, settings, facts, at_generator)
    for transition in TABLE[memory.step]:
        if transition.guard(situation):
            return _handed_over(memory, _take(memory, transition, observation.now), situation.successor)
    return memory


def _handed_over(before: IslandMemory, after: IslandMemory, successor: str | None) -> IslandMemory:
    """With the step goes who forms: the successor once the former is let go, and anybody again after a success."""
    if before.step is S.HANDOVER and after.step is S.FORMING:
        return replace(after, former=successor, tried=before.tried | ({before.former} if before.former else set()))
    return replace(after, tried=frozenset()) if after.step in (S.ISLAND, S.TIED) else after


def _take(memory: IslandMemory, transition: Transition, now: datetime) -> IslandMemory:
    returning_failed = transition.failure and memory.step in RETURNING
    moved = replace(memory, step=transition.to, since=now)
    if returning_failed:
        moved = replace(moved, return_failed_at=now)
    if transition.failure:
        return replace(moved, attempts=memory.attempts + 1, failure=transition.why)
    return replace(moved, attempts=0, failure=None) if transition.to is S.ISLAND else moved


def supply(memory: IslandMemory, grid: Grid, facts: SiteFacts) -> Supply:
    """What feeds the house, as far as switch, charger and grid prove it. A generator feeds it in the grid's place."""
    if memory.step in SUPPLIES:
        return SUPPLIES[memory.step]
    if grid in (Grid.ON, Grid.GENERATOR):
        return Supply.GRID
    if grid is Grid.OUTAGE:
        vendor = any(c.capability and c.capability.backup is Backup.VENDOR for c in facts.chargers.values())
        return Supply.VENDOR_BACKUP if vendor else Supply.NONE
    return Supply.UNKNOWN
