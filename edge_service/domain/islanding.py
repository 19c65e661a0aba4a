"""From grid to island and back: a table, because here the order is physics.

We order the switch, prove it, and wait for the charger to form the island by its own act. Each step has a deadline and
a way back. Only ``outage`` may open the switch. Without a synchronism check the way back is an open transition:
announce, stop the charger, prove the house dead, close, prove.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from edge_service.domain.memory import IslandMemory, IslandStep
from edge_service.domain.model import (
    AtEnd,
    Backup,
    ChargerReading,
    Grid,
    Observation,
    Settings,
    SiteFacts,
    Supply,
    SwitchOrder,
)

# Transfer switches of this class move in well under a second; five leave room for a slow contact.
OPEN_DEADLINE = timedelta(seconds=5)
CLOSE_DEADLINE = timedelta(seconds=5)
# Vendors state up to half a minute from an open contact to a live island.
FORM_DEADLINE = timedelta(seconds=30)
STOP_DEADLINE = timedelta(seconds=15)
# A house bus below this share of nominal is dead.
DEAD_BELOW_PU = 0.1
# A switch that fails this often in a row waits for a person.
MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Situation:
    """What a guard may look at."""

    observation: Observation
    memory: IslandMemory
    grid: Grid
    settings: Settings
    facts: SiteFacts

    @property
    def former(self) -> ChargerReading | None:
        """A fresh reading of the charger that forms the island."""
        reading = self.observation.chargers.get(self.memory.former or "")
        if reading is None or (self.observation.now - reading.at).total_seconds() > self.facts.stale_after_s:
            return None
        return reading

    @property
    def opened(self) -> bool:
        switch = self.observation.switch
        return switch is not None and switch.open_proven is True and switch.closed_proven is not True

    @property
    def closed(self) -> bool:
        switch = self.observation.switch
        return switch is not None and switch.closed_proven is True and switch.open_proven is not True

    @property
    def formed(self) -> bool:
        return self.former is not None and self.former.forming is True

    @property
    def collapsed(self) -> bool:
        return self.former is not None and self.former.forming is False

    @property
    def dead(self) -> bool:
        """Nothing feeds the house: proven by the voltage at the charger, not by its silence."""
        former = self.former
        if former is None or former.forming is not False or former.voltage_v is None:
            return False
        return former.voltage_v < DEAD_BELOW_PU * self.facts.nominal_voltage_v

    @property
    def at_reserve(self) -> bool:
        """The driver's reserve is reached and the resident did not choose to lend it."""
        soc = self.former.soc_pct if self.former else None
        if soc is None or self.settings.at_end is AtEnd.LEND or self.memory.former is None:
            return False
        return soc <= self.settings.drivers_reserve(self.memory.former)

    @property
    def may_lend(self) -> bool:
        """There is charge that the resident gives: by lending, or by a reserve set clearly below the charge."""
        soc = self.former.soc_pct if self.former else None
        if self.settings.at_end is AtEnd.LEND:
            return True
        return soc is not None and soc > self.settings.drivers_reserve(self.memory.former or "") + 1.0

    @property
    def may_return(self) -> bool:
        """The grid is back for good and the announcement has had its time."""
        waited = self.memory.since is not None and self.observation.now - self.memory.since >= timedelta(
            seconds=self.facts.announce_return_s
        )
        not_before = self.settings.return_not_before
        return waited and (not_before is None or self.observation.now >= not_before)

    @property
    def wants_island(self) -> bool:
        return (
            self.grid is Grid.OUTAGE
            and not self.settings.stopped
            and not self.settings.end_backup
            and self.memory.attempts < MOST_ATTEMPTS
            and choose_former(self.observation, self.facts) is not None
        )


@dataclass(frozen=True, slots=True)
class Transition:
    """From a step, when the guard holds, to another; ``why`` is journalled."""

    to: IslandStep
    guard: Callable[[Situation], bool]
    why: str
    failure: bool = False


def _late(deadline: timedelta) -> Callable[[Situation], bool]:
    return lambda at: at.memory.since is not None and at.observation.now - at.memory.since >= deadline


S = IslandStep

# Per step, in order of precedence. The first guard that holds decides.
TABLE: Mapping[IslandStep, tuple[Transition, ...]] = {
    S.UNKNOWN: (
        Transition(S.TIED, lambda at: at.closed, "found_closed"),
        Transition(S.ISLAND, lambda at: at.opened and at.formed, "found_island"),
        Transition(S.FORMING, lambda at: at.opened and at.grid in (Grid.OUTAGE, Grid.RESTORING), "found_open"),
        Transition(S.STOPPING, lambda at: at.opened and at.grid is Grid.ON, "found_open_on_grid"),
    ),
    S.TIED: (
        Transition(S.OPENING, lambda at: at.wants_island, "outage"),
        Transition(S.FORMING, lambda at: at.opened and at.grid is not Grid.ON, "opened_by_other"),
    ),
    S.OPENING: (
        Transition(S.FORMING, lambda at: at.opened, "open_proven"),
        Transition(S.CLOSING, lambda at: at.grid is Grid.ON, "grid_back"),
        Transition(S.STUCK, _late(OPEN_DEADLINE), "open_not_proven", failure=True),
    ),
    S.FORMING: (
        Transition(S.ENDED, lambda at: at.settings.stopped or at.settings.end_backup, "ended_by_person"),
        Transition(S.TIED, lambda at: at.closed, "closed_by_other"),
        Transition(S.ISLAND, lambda at: at.formed, "formed"),
        Transition(S.STOPPING, lambda at: at.grid is Grid.ON, "grid_back"),
        Transition(S.DARK, _late(FORM_DEADLINE), "not_formed", failure=True),
    ),
    S.DARK: (
        Transition(S.ENDED, lambda at: at.settings.stopped or at.settings.end_backup, "ended_by_person"),
        Transition(S.TIED, lambda at: at.closed, "closed_by_other"),
        Transition(S.ISLAND, lambda at: at.formed, "formed"),
        Transition(S.STOPPING, lambda at: at.grid is Grid.ON, "grid_back"),
    ),
    S.ISLAND: (
        Transition(S.ENDED, lambda at: at.settings.stopped, "stopped"),
        Transition(S.ENDED, lambda at: at.settings.end_backup, "ended_by_person"),
        Transition(S.ENDED, lambda at: at.at_reserve and at.grid is not Grid.ON, "reserve_reached"),
        Transition(S.FORMING, lambda at: at.collapsed, "collapsed"),
        Transition(S.ANNOUNCED, lambda at: at.grid is Grid.ON, "grid_back"),
    ),
    S.ANNOUNCED: (
        Transition(S.ENDED, lambda at: at.settings.stopped, "stopped"),
        Transition(S.FORMING, lambda at: at.collapsed, "collapsed"),
        Transition(S.ISLAND, lambda at: at.grid is not Grid.ON, "grid_gone_again"),
        Transition(S.STOPPING, lambda at: at.may_return, "announced"),
    ),
    S.STOPPING: (
        Transition(S.CLOSING, lambda at: at.dead and at.grid is Grid.ON, "dead_proven"),
        Transition(S.FORMING, lambda at: at.grid in (Grid.OUTAGE, Grid.RESTORING), "grid_gone_again"),
        Transition(S.ISLAND, lambda at: _late(STOP_DEADLINE)(at) and at.formed, "would_not_stop", failure=True),
        Transition(S.FORMING, _late(STOP_DEADLINE), "dead_not_proven", failure=True),
    ),
    S.CLOSING: (
        Transition(S.TIED, lambda at: at.closed, "closed_proven"),
        Transition(S.OPENING, lambda at: at.grid is Grid.OUTAGE and at.opened, "grid_gone_again"),
        Transition(S.STUCK, _late(CLOSE_DEADLINE), "close_not_proven", failure=True),
    ),
    S.ENDED: (
        Transition(S.TIED, lambda at: at.closed, "closed_by_other"),
        Transition(S.STOPPING, lambda at: at.grid is Grid.ON and not at.settings.stopped, "grid_back"),
        Transition(
            S.FORMING,
            lambda at: not at.settings.stopped and not at.settings.end_backup and at.may_lend and at.opened,
            "lent",
        ),
    ),
    S.STUCK: (
        Transition(S.TIED, lambda at: at.closed, "closed_proven_late"),
        Transition(S.FORMING, lambda at: at.opened and at.grid is not Grid.ON, "open_proven_late"),
        Transition(S.STOPPING, lambda at: at.opened and at.grid is Grid.ON, "open_with_grid"),
    ),
}

# What the switch is told in each step; no entry: nothing.
SWITCH_ORDERS: Mapping[IslandStep, SwitchOrder] = {
    S.OPENING: SwitchOrder.OPEN,
    S.CLOSING: SwitchOrder.CLOSE,
}

# The house is between two supplies.
IN_TRANSFER = frozenset({S.OPENING, S.FORMING, S.STOPPING, S.CLOSING})

SUPPLIES: Mapping[IslandStep, Supply] = {
    S.UNKNOWN: Supply.UNKNOWN,
    S.OPENING: Supply.TRANSFER,
    S.FORMING: Supply.TRANSFER,
    S.DARK: Supply.NONE,
    S.ISLAND: Supply.ISLAND,
    S.ANNOUNCED: Supply.ISLAND,
    S.STOPPING: Supply.TRANSFER,
    S.CLOSING: Supply.TRANSFER,
    S.ENDED: Supply.NONE,
    S.STUCK: Supply.UNKNOWN,
}


def choose_former(observation: Observation, facts: SiteFacts) -> str | None:
    """The one charger that may form: island capable, not known to be unplugged, highest charge; ties by name."""

    def rank(name: str) -> tuple[float, str]:
        reading = observation.chargers.get(name)
        return (-(reading.soc_pct or 0.0) if reading else 0.0, name)

    able = [
        name
        for name, charger in facts.chargers.items()
        if charger.capability is not None
        and charger.capability.backup is Backup.CAN_FORM
        and (reading := observation.chargers.get(name)) is not None
        and reading.plugged is not False
    ]
    return min(able, key=rank) if able else None


def follow(
    observation: Observation, memory: IslandMemory, grid: Grid, settings: Settings, facts: SiteFacts
) -> IslandMemory:
    """Take at most one transition of the table. A site without a switch stays tied."""
    if facts.switch is None:
        return memory if memory.step is S.TIED else IslandMemory(step=S.TIED, since=observation.now)
    if memory.step in (S.UNKNOWN, S.TIED):
        memory = replace(memory, former=choose_former(observation, facts) or memory.former)
    situation = Situation(observation, memory, grid, settings, facts)
    for transition in TABLE[memory.step]:
        if transition.guard(situation):
            return _take(memory, transition, observation.now)
    return memory


def _take(memory: IslandMemory, transition: Transition, now: datetime) -> IslandMemory:
    attempts = 0 if transition.to in (S.TIED, S.ISLAND) else memory.attempts + int(transition.failure)
    return replace(
        memory,
        step=transition.to,
        since=now,
        attempts=attempts,
        failure=transition.why if transition.failure else None,
    )


def supply(memory: IslandMemory, grid: Grid, facts: SiteFacts) -> Supply:
    """What feeds the house, as far as switch, charger and grid prove it."""
    if memory.step in SUPPLIES:
        return SUPPLIES[memory.step]
    if grid is Grid.ON:
        return Supply.GRID
    if grid is Grid.OUTAGE:
        vendor = any(c.capability and c.capability.backup is Backup.VENDOR for c in facts.chargers.values())
        return Supply.VENDOR_BACKUP if vendor else Supply.NONE
    return Supply.UNKNOWN
