"""Is the grid there? Evidence with source, time and place becomes one debounced state.

Silence is never an outage: a source that says nothing says nothing. Who says what, and what it is worth, is in
``grid_evidence.py``. A generator's voltage looks like the grid's to every charger; only its contact can tell. So
where one is wired its word comes first, and without its word nothing shows that the grid is there. But a contact only
tells where the transfer switch stands: whether the generator feeds the house shows on the house's side.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain import neutral
from edge_service.domain.altered import altered
from edge_service.domain.grid_evidence import (
    A_GENERATOR as A_GENERATOR,
    LOST_BELOW_PU as LOST_BELOW_PU,
    STAY_PU as STAY_PU,
    SWITCH_SETTLE,
    Assessment as Assessment,
    Verdict as Verdict,
    Weighed as Weighed,
    assess as assess,
    collect as collect,
    contradicted as contradicted,
    islanders,
    weighed as weighed,
)
from edge_service.domain.memory import GridMemory
from edge_service.domain.model import Grid, GridEvidence, Observation, Position, SiteFacts

# A suspicion that no source can confirm or clear any more ends here as "unknown".
SUSPECT_EXPIRES = timedelta(seconds=30)
# A generator that stumbles under a load, or is started by hand, is given this long beyond the debounce of an outage.
GENERATOR_RECOVERS = timedelta(seconds=10)
NOBODY_TELLS = "no source tells"


def follow(
    observation: Observation, memory: GridMemory, facts: SiteFacts, *, at_generator: bool = False
) -> tuple[GridMemory, Assessment]:
    """The next grid memory. See the state diagram in ``docs/architecture.md``.

    ``at_generator``: by its contact's last word the transfer switch stands there. If the contact is silent since then,
    what looks like the grid could be the generator still.
    """
    now = observation.now
    memory = altered(
        memory,
        closed_since=_closed_since(observation, memory, facts),
        islanders=islanders(observation, memory.islanders, facts),
        neutral_lost_since=neutral.lost_since(observation, memory.neutral_lost_since, facts),
    )
    assessment = assess(observation, memory, facts)
    disputed = assessment.verdict is Verdict.DISPUTED
    memory = altered(memory, disputed_since=_since(disputed, memory.disputed_since, now))
    if at_generator:
        return _with_generator(memory, assessment, facts, now), assessment
    verdict = assessment.verdict
    if memory.at_generator:
        # Its readings may still be those of a moment ago.
        memory = replace(memory, state=Grid.GENERATOR, at_generator=False, lost_since=None)
    memory = altered(
        memory,
        lost_since=_since(verdict is Verdict.LOST, memory.lost_since, now),
        good_since=_since(verdict is Verdict.GOOD, memory.good_since, now),
        silent_since=_since(verdict is Verdict.SILENT, memory.silent_since, now),
    )
    slow = memory.after_generator or _carried(observation, facts)
    first_s = facts.enter_service_s if slow else facts.outage_after_s
    state = _next_state(memory, verdict, facts, now, first_s)
    if state is memory.state:
        return memory, assessment
    after_generator = memory.after_generator and state not in (Grid.ON, Grid.OUTAGE)
    words = assessment.words or NOBODY_TELLS
    moved = replace(memory, state=state, since=now, evidence=words, after_generator=after_generator)
    return moved, assessment


def _with_generator(memory: GridMemory, assessment: Assessment, facts: SiteFacts, now: datetime) -> GridMemory:
    """At once, without a debounce; whatever was good or lost before counts anew once the generator has ended.

    A generator that stalls is a lost supply like any other: suspected at once, an outage when it does not recover.
    """
    feeds = _feeds(assessment.pieces)
    lost_since = _since(feeds is False, memory.lost_since, now)
    silent_since = _since(feeds is None, memory.silent_since if memory.at_generator else None, now)
    known = replace(memory, lost_since=lost_since, silent_since=silent_since)
    state = _of_generator(known, feeds, facts, now)
    anew = replace(known, good_since=None, after_generator=True, at_generator=True)
    if memory.state is state:
        return anew
    return replace(anew, state=state, since=now, evidence=A_GENERATOR if state is Grid.GENERATOR else assessment.words)


def _feeds(pieces: Sequence[GridEvidence]) -> bool | None:
    """Whether the house is alive; None: nobody there can tell. A meter may sit before the transfer switch."""
    house = [piece.present for piece in pieces if piece.position is Position.PROTECTED_SIDE]
    return any(house) if house else None


def _of_generator(memory: GridMemory, feeds: bool | None, facts: SiteFacts, now: datetime) -> Grid:
    if feeds is None and memory.at_generator and memory.state is not Grid.GENERATOR:
        expired = _lasted(memory.silent_since, now, SUSPECT_EXPIRES.total_seconds())
        return Grid.GENERATOR if memory.state is Grid.SUSPECT and expired else memory.state
    if feeds is not False:
        return Grid.GENERATOR
    patience_s = facts.outage_after_s + GENERATOR_RECOVERS.total_seconds()
    dark = memory.state is Grid.OUTAGE or _lasted(memory.lost_since, now, patience_s)
    return Grid.OUTAGE if dark else Grid.SUSPECT


def _since(holds: bool, before: datetime | None, now: datetime) -> datetime | None:
    return (before or now) if holds else None


def _carried(observation: Observation, facts: SiteFacts) -> bool:
    """A charger carries the house: after a restart there is no hurry to call the grid good."""
    readings = [facts.fresh(reading, observation.now) for reading in observation.chargers.values()]
    return any(reading.forming for reading in readings if reading is not None)


def _closed_since(observation: Observation, memory: GridMemory, facts: SiteFacts) -> datetime | None:
    switch = facts.fresh(observation.switch, observation.now)
    if switch is None:
        return memory.closed_since
    if not switch.closed_proven:
        return None
    # At the first sight of a closed switch after a start there is nothing to settle.
    first_sight = observation.now - SWITCH_SETTLE if memory.state is Grid.UNKNOWN and memory.since is None else None
    return memory.closed_since or first_sight or observation.now


def _next_state(memory: GridMemory, verdict: Verdict, facts: SiteFacts, now: datetime, first_s: float) -> Grid:
    """One transition at most. Lost evidence acts at once; good evidence has to last, ``first_s`` from the unknown."""
    lost = verdict in (Verdict.LOST, Verdict.DISPUTED)
    match memory.state:
        case Grid.OUTAGE:
            return Grid.RESTORING if verdict is Verdict.GOOD else Grid.OUTAGE
        case Grid.GENERATOR:
            return _generator_ended(verdict)
        case Grid.RESTORING:
            if lost or _lasted(memory.silent_since, now, facts.stale_after_s):
                return _failed_return(memory, lost=lost)
            return Grid.ON if _lasted(memory.good_since, now, facts.enter_service_s) else Grid.RESTORING
        case Grid.SUSPECT:
            return _suspected(memory, facts, now)
    if lost:
        return Grid.SUSPECT
    ripe = memory.state is Grid.ON or _lasted(memory.good_since, now, first_s)
    return Grid.ON if ripe and verdict is Verdict.GOOD else Grid.UNKNOWN


def _lasted(since: datetime | None, now: datetime, seconds: float) -> bool:
    return since is not None and (now - since).total_seconds() >= seconds


def _suspected(memory: GridMemory, facts: SiteFacts, now: datetime) -> Grid:
    if _lasted(memory.lost_since, now, facts.outage_after_s):
        return Grid.OUTAGE
    if _lasted(memory.good_since, now, facts.outage_after_s):
        return Grid.RESTORING if memory.after_generator else Grid.ON
    return Grid.UNKNOWN if _lasted(memory.silent_since, now, SUSPECT_EXPIRES.total_seconds()) else Grid.SUSPECT


def _generator_ended(verdict: Verdict) -> Grid:
    if verdict in (Verdict.LOST, Verdict.DISPUTED):
        return Grid.SUSPECT
    return Grid.RESTORING if verdict is Verdict.GOOD else Grid.UNKNOWN


def _failed_return(memory: GridMemory, *, lost: bool) -> Grid:
    """The transfer from a generator has a dead moment of its own: what was no outage before is debounced anew."""
    if not memory.after_generator:
        return Grid.OUTAGE
    return Grid.SUSPECT if lost else Grid.UNKNOWN


def deadlines(memory: GridMemory, facts: SiteFacts) -> tuple[datetime, ...]:
    """When lost or good evidence will have lasted long enough, if it lasts."""
    debounce = timedelta(seconds=facts.outage_after_s)
    enter_service = timedelta(seconds=facts.enter_service_s)
    ends: list[datetime] = []
    if memory.state is Grid.SUSPECT and memory.lost_since is not None:
        ends.append(memory.lost_since + debounce)
    if memory.good_since is not None and memory.state in (Grid.SUSPECT, Grid.UNKNOWN, Grid.RESTORING):
        slow = memory.state is Grid.RESTORING or (memory.after_generator and memory.state is Grid.UNKNOWN)
        ends.append(memory.good_since + (enter_service if slow else debounce))
    return tuple(ends)
