"""From grid to island and back: a table, because here the order is physics.

We order the switch, prove it, and wait for the charger to form the island by its own act. Each step has a deadline and
a way back. Only an outage opens the switch, or a drill that a person confirmed. Without a synchronism check the way
back is an open transition: announce, stop the charger, prove the house dead, close, prove.

Exactly one charger may form. Where it cannot, another takes its place, once the first is stopped and seen not to form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from edge_service.domain.islanding_situation import MOST_ATTEMPTS, RETURN_RETRY, Situation, late
from edge_service.domain.memory import IslandStep
from edge_service.domain.model import Grid, SiteFacts, SwitchOwner

# Transfer switches of this class move in well under a second; five leave room for a slow contact.
MOVE_DEADLINE = timedelta(seconds=5)
# One that Home Assistant moves is told over the network, and what its entity shows may come late as well.
FOREIGN_MOVE_DEADLINE = timedelta(seconds=15)
# Loads are switched within seconds or not at all; the house is dark meanwhile.
SHED_DEADLINE = timedelta(seconds=3)
# Two supplies drift past each other within seconds; a check that finds no such moment for so long never will.
SYNCHRONISE_DEADLINE = timedelta(seconds=120)
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


def move_deadline(facts: SiteFacts) -> timedelta:
    """How long the switch may take to prove a movement."""
    foreign = facts.switch is not None and facts.switch.owner is SwitchOwner.HOME_ASSISTANT
    return FOREIGN_MOVE_DEADLINE if foreign else MOVE_DEADLINE


def _move_late(at: Situation) -> bool:
    return late(move_deadline(at.facts))(at)


def _leaves_grid(at: Situation) -> bool:
    return at.wants_island or at.drill_leads


def _begins(at: Situation) -> bool:
    return at.wants_island or at.drill_begins


def _waits_for_drill(at: Situation) -> bool:
    """In a drill the charger has the usual time to form, though the grid is there."""
    return at.memory.rehearsal and at.drill_leads and not late(FORM_DEADLINE)(at)


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
        Transition(S.SHEDDING, lambda at: _begins(at) and not at.fits, "too_much_load"),
        Transition(S.OPENING, _begins, "outage"),
        Transition(S.FORMING, lambda at: at.opened, "opened_by_other"),
    ),
    S.SHEDDING: (
        Transition(S.FORMING, lambda at: at.opened, "opened_by_other"),
        Transition(S.TIED, lambda at: not _leaves_grid(at), "not_wanted"),
        Transition(S.OPENING, lambda at: at.fits, "shed"),
        Transition(S.OPENING, late(SHED_DEADLINE), "not_shed_in_time"),
    ),
    S.OPENING: (
        Transition(S.FORMING, lambda at: at.opened, "open_proven"),
        Transition(S.ISLAND, lambda at: at.formed and not at.closed, "formed_without_proof"),
        Transition(S.TIED, lambda at: at.rests_closed and not _leaves_grid(at), "not_wanted"),
        Transition(S.STUCK, _move_late, "open_not_proven", failure=True),
    ),
    S.FORMING: (
        Transition(S.ENDED, _ended_by_person, "ended_by_person"),
        Transition(S.TIED, lambda at: at.closed, "closed_by_other"),
        Transition(S.HANDOVER, _reserve_handed_over, "reserve_reached"),
        Transition(S.ENDED, _reserve_reached, "reserve_reached"),
        Transition(S.ISLAND, lambda at: at.formed, "formed"),
        Transition(S.STOPPING, lambda at: at.returnable and not _waits_for_drill(at), "grid_back"),
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
        Transition(S.RETRY, lambda at: at.may_retry, "retry"),
    ),
    S.RETRY: (
        Transition(S.ENDED, _ended_by_person, "ended_by_person"),
        Transition(S.TIED, lambda at: at.closed, "closed_by_other"),
        Transition(S.ENDED, _reserve_reached, "reserve_reached"),
        Transition(S.ISLAND, lambda at: at.formed, "formed"),
        Transition(S.STOPPING, lambda at: at.returnable, "grid_back"),
        Transition(S.FORMING, lambda at: at.let_go, "begins_anew"),
        Transition(S.DARK, late(STOP_DEADLINE), "would_not_stop", failure=True),
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
        Transition(S.SYNCHRONISING, lambda at: at.drill_over and at.may_synchronise, "drill_over"),
        Transition(S.STOPPING, lambda at: at.drill_over, "drill_over"),
        Transition(S.STOPPING, lambda at: at.settings.end_backup and at.returnable, "ended_by_person"),
        Transition(S.ENDED, lambda at: at.settings.end_backup, "ended_by_person"),
        Transition(S.HANDOVER, _reserve_handed_over, "reserve_reached"),
        Transition(S.ENDED, _reserve_reached, "reserve_reached"),
        Transition(S.FORMING, lambda at: at.collapsed, "collapsed"),
        Transition(S.FORMING, lambda at: at.gone, "gone"),
        Transition(S.ANNOUNCED, lambda at: at.returnable and not (at.postponed or at.drill_holds), "grid_back"),
    ),
    S.ANNOUNCED: (
        Transition(S.ENDED, lambda at: at.settings.stopped, "stopped"),
        Transition(S.STOPPING, lambda at: at.drill_over, "drill_over"),
        Transition(S.STOPPING, lambda at: at.settings.end_backup and at.returnable, "ended_by_person"),
        Transition(S.FORMING, lambda at: at.collapsed, "collapsed"),
        Transition(S.ISLAND, lambda at: not at.returnable, "grid_gone_again"),
        Transition(S.ISLAND, lambda at: at.postponed, "postponed"),
        Transition(S.SYNCHRONISING, lambda at: at.may_return and at.may_synchronise, "announced"),
        Transition(S.STOPPING, lambda at: at.may_return, "announced"),
    ),
    S.SYNCHRONISING: (
        Transition(S.TIED, lambda at: at.closed and not at.formed, "closed_in_step"),
        Transition(S.TIED, lambda at: at.fed_by_grid, "fed_by_grid"),
        Transition(S.ENDED, lambda at: at.settings.stopped and not at.closed, "stopped"),
        # The charger's word may be the newer of the two: it leaves the island as the contact closes.
        Transition(S.FORMING, lambda at: at.collapsed and at.dark, "collapsed"),
        Transition(S.FORMING, lambda at: at.gone, "gone"),
        Transition(S.ISLAND, lambda at: at.opened and not at.returnable, "grid_gone_again"),
        Transition(S.ISLAND, lambda at: at.opened and at.postponed, "postponed"),
        Transition(S.TIED, lambda at: at.closed and late(SYNCHRONISE_DEADLINE)(at), "closed_proven"),
        Transition(S.ANNOUNCED, late(SYNCHRONISE_DEADLINE), "not_synchronised", failure=True),
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
        Transition(S.STUCK, _move_late, "close_not_proven", failure=True),
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
