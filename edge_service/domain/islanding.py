"""One step at a time through ``islanding_table``: what is remembered, what the switch is told, what feeds the house.

A charger that falls lights the house again by its own act, and is never stopped to keep it from that. Only where it
does not do so by itself is it told to begin anew, ever more seldom: decision 18.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain import vendor_gateway
from edge_service.domain.forming import choose_former
from edge_service.domain.islanding_situation import MOST_ATTEMPTS, Situation
from edge_service.domain.islanding_table import TABLE, S, Transition
from edge_service.domain.memory import ALIVE, DrillMemory, DrillStage, IslandMemory, IslandStep, Memory
from edge_service.domain.model import (
    Grid,
    Mode,
    Observation,
    Settings,
    SiteFacts,
    Supply,
    SwitchOrder,
    SwitchReading,
)

# Enphase's published pace for a black start that failed.
BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (10, 20, 40, 120))
# An island that stands for so long is no longer the one that fell.
STANDS_AFTER = timedelta(minutes=10)

RETURNING = frozenset({S.STOPPING, S.CLOSING})
# The former is told to stop, and nothing else.
STOPPED = RETURNING | {S.ENDED}
# The house is between two supplies: the runner looks more often.
IN_TRANSFER = RETURNING | {S.SHEDDING, S.OPENING, S.FORMING, S.HANDOVER, S.RETRY, S.SYNCHRONISING}

FED = frozenset({Grid.ON, Grid.RESTORING, Grid.GENERATOR})

# What the switch is told in each step; no entry: nothing.
SWITCH_ORDERS: Mapping[IslandStep, SwitchOrder] = {
    S.OPENING: SwitchOrder.OPEN,
    S.CLOSING: SwitchOrder.CLOSE,
    S.SYNCHRONISING: SwitchOrder.CLOSE,
}
# Here an order to close that waited for both sides to be in step is no longer wanted.
NOT_TO_CLOSE = frozenset({S.ISLAND, S.ANNOUNCED, S.ENDED})


def switch_order(
    memory: IslandMemory,
    grid: Grid,
    settings: Settings,
    switch: SwitchReading | None,
    facts: SiteFacts,
    *,
    at_generator: bool = False,
    drill: DrillMemory | None = None,
) -> SwitchOrder | None:
    """What the switch is told now: it opens in an outage only and not against a stop, closes onto a good grid only.

    It does not open while the transfer switch stands at a generator. A drill opens it on a good grid.
    """
    if settings.mode is Mode.READ_ONLY:
        return None
    in_step = facts.switch is not None and facts.switch.synchronism_check
    taken_back = _taken_back(memory, grid, switch, at_generator=at_generator, in_step=in_step)
    order = SWITCH_ORDERS.get(memory.step)
    if order is SwitchOrder.OPEN:
        if settings.stopped or at_generator:
            return taken_back
        return order if grid is Grid.OUTAGE or _is_rehearsed(memory, grid, drill) else taken_back
    if taken_back is not None or order is None:
        return taken_back
    return order if grid is Grid.ON and (memory.step is not S.SYNCHRONISING or in_step) else None


def _is_rehearsed(memory: IslandMemory, grid: Grid, drill: DrillMemory | None) -> bool:
    """A person's confirmed drill wants the house off the grid now."""
    leaving = drill is not None and drill.runs and drill.transfer and drill.stage is DrillStage.TRANSFERRING
    return memory.rehearsal and leaving and grid is Grid.ON


def _taken_back(
    memory: IslandMemory, grid: Grid, switch: SwitchReading | None, *, at_generator: bool, in_step: bool
) -> SwitchOrder | None:
    """An order that moved nothing is taken back by its opposite, which moves nothing either.

    One to open, when the house is fed again, or it would cut it off later; at a generator too. One to close, where
    the switch waits by itself for both sides to be in step, once it is no longer wanted.
    """
    if switch is None or switch.closed_proven is switch.open_proven:
        return None
    if switch.closed_proven and switch.open_proven is not True:
        fed = grid in FED or at_generator
        return SwitchOrder.CLOSE if switch.commanded_open and fed else None
    waits = switch.open_proven is True and switch.commanded_open is False
    return SwitchOrder.OPEN if waits and in_step and memory.step in NOT_TO_CLOSE else None


SUPPLIES: Mapping[IslandStep, Supply] = {
    S.UNKNOWN: Supply.UNKNOWN,
    S.SHEDDING: Supply.TRANSFER,
    S.OPENING: Supply.TRANSFER,
    S.FORMING: Supply.TRANSFER,
    S.DARK: Supply.NONE,
    S.HANDOVER: Supply.TRANSFER,
    S.RETRY: Supply.NONE,
    S.ISLAND: Supply.ISLAND,
    S.ANNOUNCED: Supply.ISLAND,
    S.SYNCHRONISING: Supply.ISLAND,
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
    before: Memory,
    grid: Grid,
    settings: Settings,
    facts: SiteFacts,
    *,
    at_generator: bool = False,
) -> IslandMemory:
    """Take at most one transition of the table. A site without a switch stays tied."""
    now, memory = observation.now, before.island
    if facts.switch is None:
        return memory if memory.step is S.TIED else IslandMemory(step=S.TIED, since=now)
    memory = _rested(memory, grid, now)
    if memory.step in (S.UNKNOWN, S.TIED):
        memory = replace(memory, former=_former(observation, memory, facts))
    situation = Situation(
        observation, memory, grid, settings, facts, at_generator, loads=before.loads, drill=before.drill
    )
    memory = replace(memory, dead_since=_dead_since(situation))
    situation = replace(situation, memory=memory)
    for transition in TABLE[memory.step]:
        if transition.guard(situation):
            return _moved(situation, transition)
    return memory


def _dead_since(situation: Situation) -> datetime | None:
    """Since when the house is proven dead; that stands while the former stays stopped and is heard to say no other."""
    before = situation.memory.dead_since
    if situation.memory.step not in STOPPED:
        return None
    if situation.proven_dead:
        return before or situation.observation.now
    return before if situation.stays_dead else None


def _rested(memory: IslandMemory, grid: Grid, now: datetime) -> IslandMemory:
    """What is forgotten of failures: all of it on a good grid, collapses once an island has stood for long."""
    if memory.step is S.TIED and grid is Grid.ON:
        return IslandMemory(S.TIED, memory.since, memory.former, tried=memory.tried)
    if memory.rehearsal and grid is Grid.OUTAGE:
        memory = replace(memory, rehearsal=False)
    stood = memory.step in ALIVE and memory.since is not None and now - memory.since >= STANDS_AFTER
    if stood and (memory.collapses or memory.retries):
        return replace(memory, collapses=0, collapsed_at=None, retries=0)
    return memory


def _moved(situation: Situation, transition: Transition) -> IslandMemory:
    """The step taken, and what it does to the account of failures and retries."""
    now, before = situation.observation.now, situation.memory
    after = _take(before, transition, now)
    if before.step is S.TIED and situation.grid is Grid.ON and after.step in (S.SHEDDING, S.OPENING):
        after = replace(after, rehearsal=True)
    if before.step is S.TIED and situation.asked_again:
        after = replace(after, attempts=min(after.attempts, MOST_ATTEMPTS - 1))
    if before.step in ALIVE and transition.why == "collapsed":
        after = replace(after, collapses=before.collapses + 1, collapsed_at=now)
    if before.step is S.DARK and after.step in (S.RETRY, S.HANDOVER) and situation.retry_due:
        after = _retried(after, now)
    if after.step is S.DARK:
        after = _planned(after, now)
    return _handed_over(before, after, situation.successor)


def _retried(memory: IslandMemory, now: datetime) -> IslandMemory:
    """A person's retry takes none of ours."""
    planned = memory.retry_at is not None and now >= memory.retry_at
    return replace(memory, retries=memory.retries + 1, retry_at=None) if planned else memory


def _planned(memory: IslandMemory, now: datetime) -> IslandMemory:
    """When it is tried again; after the last time a person has to ask for it."""
    if memory.retry_at is not None and memory.retry_at > now:
        return memory
    if memory.retries >= len(BACK_OFF):
        return replace(memory, retry_at=None, latched=True)
    return replace(memory, retry_at=now + BACK_OFF[memory.retries])


def _handed_over(before: IslandMemory, after: IslandMemory, successor: str | None) -> IslandMemory:
    """With the step goes who forms: the successor once the former is let go, and anybody again after a success."""
    if before.step is S.HANDOVER and after.step is S.FORMING:
        return replace(after, former=successor, tried=before.tried | ({before.former} if before.former else set()))
    return replace(after, tried=frozenset()) if after.step in (S.ISLAND, S.TIED) else after


def _take(memory: IslandMemory, transition: Transition, now: datetime) -> IslandMemory:
    returning_failed = transition.failure and memory.step in RETURNING
    moved = replace(memory, step=transition.to, since=now)
    if returning_failed:
        # The next return is announced like any other, a drill's too.
        moved = replace(moved, return_failed_at=now, rehearsal=False)
    if transition.failure:
        return replace(moved, attempts=memory.attempts + 1, failure=transition.why)
    if transition.to is not S.ISLAND:
        return moved
    return replace(moved, attempts=0, failure=None, retry_at=None, latched=False)


def supply(memory: IslandMemory, grid: Grid, facts: SiteFacts, observation: Observation) -> Supply:
    """What feeds the house, as far as devices and grid prove it. A generator feeds it in the grid's place."""
    if memory.step in SUPPLIES:
        return SUPPLIES[memory.step]
    if grid in (Grid.ON, Grid.GENERATOR):
        return Supply.GRID
    dark = Situation(observation, memory, grid, Settings(), facts).dark
    return vendor_gateway.supply(observation, grid, facts, dark=dark)
