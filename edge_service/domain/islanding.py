"""From grid to island and back: a table, because here the order is physics.

We order the switch, prove it, and wait for the charger to form the island by its own act. Each step has a deadline and
a way back. Only ``outage`` may open the switch. Without a synchronism check the way back is an open transition:
announce, stop the charger, prove the house dead, close, prove.

Exactly one charger may form. Where it cannot, another takes its place, once the first is stopped and seen not to form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from edge_service.domain.memory import IslandMemory, IslandStep
from edge_service.domain.model import (
    EMPTY_SOC_PCT,
    AtEnd,
    Backup,
    ChargerReading,
    ChargerState,
    Grid,
    Mode,
    Observation,
    Pause,
    Position,
    Settings,
    SiteFacts,
    Stop,
    Supply,
    SwitchOrder,
    SwitchReading,
    Timed,
)

# Transfer switches of this class move in well under a second; five leave room for a slow contact.
OPEN_DEADLINE = timedelta(seconds=5)
CLOSE_DEADLINE = timedelta(seconds=5)
# Vendors state up to half a minute from an open contact to a live island.
FORM_DEADLINE = timedelta(seconds=30)
STOP_DEADLINE = timedelta(seconds=15)
# A house bus below this share of nominal is dead.
DEAD_BELOW_PU = 0.1
# A house bus above this share is alive: the low end of what IEEE 1547-2018 calls continuous operation.
ALIVE_FROM_PU = 0.88
# A charger that answered this long before the switch opens is one to open it for.
HEARD_WITHIN = timedelta(seconds=60)
# A switch that fails this often in a row waits for a person.
MOST_ATTEMPTS = 3
# A return that failed may have darkened the house: not again at once.
RETURN_RETRY = timedelta(minutes=5)
# A charger that is silent for so long and has not lit a dark house in that time will not do so at this moment.
SILENT_FOR = timedelta(seconds=60)
# A charger that would not stop for another is asked again after a while.
HANDOVER_RETRY = timedelta(seconds=60)
# One that did not form is tried again after the others; its fault may have passed.
TRY_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Situation:
    """What a guard may look at. ``at_generator``: the transfer switch stands there, by its contact's last word."""

    observation: Observation
    memory: IslandMemory
    grid: Grid
    settings: Settings
    facts: SiteFacts
    at_generator: bool = False

    def fresh[R: Timed](self, reading: R | None) -> R | None:
        return self.facts.fresh(reading, self.observation.now)

    @property
    def former(self) -> ChargerReading | None:
        """A fresh reading of the charger that forms the island."""
        return self.fresh(self.observation.chargers.get(self.memory.former or ""))

    @property
    def switch(self) -> SwitchReading | None:
        """A fresh reading of the switch."""
        return self.fresh(self.observation.switch)

    @property
    def opened(self) -> bool:
        return self.switch is not None and self.switch.open_proven is True and self.switch.closed_proven is not True

    @property
    def closed(self) -> bool:
        return self.switch is not None and self.switch.closed_proven is True and self.switch.open_proven is not True

    @property
    def told_to_close(self) -> bool:
        """It may still move by our last command."""
        return self.switch is None or self.switch.commanded_open is False

    @property
    def formed(self) -> bool:
        return self.former is not None and self.former.forming is True

    @property
    def collapsed(self) -> bool:
        return self.former is not None and self.former.forming is False

    @property
    def gone(self) -> bool:
        """The former is silent for long, and the house is seen to be dark: it does not carry it."""
        reading = self.observation.chargers.get(self.memory.former or "")
        if self.former is not None or not self.dark:
            return False
        return _late(SILENT_FOR)(self) if reading is None else self.observation.now - reading.at >= SILENT_FOR

    @property
    def cannot(self) -> bool:
        """There is no former, or it is seen not to form and something speaks against it."""
        if self.memory.former is None:
            return True
        return self.former is not None and self.former.forming is False and not _could_carry(self.former)

    @property
    def successor(self) -> str | None:
        """Who forms in the former's place: heard, able, not at its reserve; one that has not been tried goes first."""
        if self.watching or not self.opened:
            return None
        again = self.memory.step is S.HANDOVER or self.cannot or self.gone or _late(TRY_AGAIN)(self)
        heard = {name: self.fresh(self.observation.chargers[name]) for name in _able(self.observation, self.facts)}
        ranks = [
            (name in self.memory.tried, -(reading.soc_pct or 0.0), name)
            for name, reading in heard.items()
            if reading is not None and self._may_succeed(name, reading)
        ]
        return min([rank for rank in ranks if again or not rank[0]], default=(False, 0.0, None))[2]

    def _may_succeed(self, name: str, reading: ChargerReading) -> bool:
        if name == self.memory.former or reading.forming is not False:
            return False
        reserve_pct = self.settings.drivers_reserve(name)
        return reading.soc_pct is None or self.settings.at_end is AtEnd.LEND or reading.soc_pct > reserve_pct

    @property
    def let_go(self) -> bool:
        """Nobody forms, and the former will not: it cannot, or its stop was read back and it is seen since."""
        readings = [self.fresh(reading) for reading in self.observation.chargers.values()]
        if any(reading.forming for reading in readings if reading is not None):
            return False
        former, order = self.former, self.observation.orders.get(self.memory.former or "")
        if former is None or self.cannot:
            return self.cannot or self.gone
        if order is None or order.read_back_at is None or not isinstance(order.order, Pause | Stop):
            return False
        return former.forming is False and former.at > order.read_back_at

    @property
    def dark(self) -> bool:
        """Nothing feeds the house now: shown by voltage on the house's side, not by silence, and denied by none."""
        readings = [one for reading in self.observation.chargers.values() if (one := self.fresh(reading)) is not None]
        voltages = [reading.voltage_v for reading in readings if reading.voltage_v is not None]
        meter = self.fresh(self.observation.meter)
        if meter is not None and self.facts.meter_position is Position.PROTECTED_SIDE:
            voltages += [] if meter.voltage_v is None else [meter.voltage_v]
        if not voltages or any(reading.forming for reading in readings):
            return False
        return max(voltages) < DEAD_BELOW_PU * self.facts.nominal_voltage_v

    @property
    def dead(self) -> bool:
        """The house is dark and stays so: who could feed it was stopped, that was read back, and is seen since."""
        former, stopped_at = self.former, self.observation.stopped.get(self.memory.former or "")
        if former is None or stopped_at is None or former.forming is not False or former.at <= stopped_at:
            return False
        return self.dark

    @property
    def at_reserve(self) -> bool:
        """The driver's reserve is reached and the resident did not choose to lend it."""
        soc = self.former.soc_pct if self.former else None
        if soc is None or self.settings.at_end is AtEnd.LEND or self.memory.former is None or self.watching:
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
    def watching(self) -> bool:
        """Nothing is ours to move."""
        return self.settings.mode is Mode.READ_ONLY

    @property
    def returnable(self) -> bool:
        """The grid is there; and after a failed return a while has passed, or there is nothing left to darken."""
        if self.grid is not Grid.ON or self.watching:
            return False
        failed_at = self.memory.return_failed_at
        return failed_at is None or self.observation.now - failed_at >= RETURN_RETRY or self.dark

    @property
    def postponed(self) -> bool:
        """The return is not wanted for longer than its announcement takes. A reached reserve does not wait for it."""
        not_before = self.settings.return_not_before
        if not_before is None or self.at_reserve:
            return False
        return not_before - self.observation.now > timedelta(seconds=self.facts.announce_return_s)

    @property
    def may_return(self) -> bool:
        """The announcement has had its time, and a person's date has come."""
        if not self.returnable or self.memory.since is None:
            return False
        waited = self.observation.now - self.memory.since >= timedelta(seconds=self.facts.announce_return_s)
        not_before = self.settings.return_not_before
        return waited and (not_before is None or self.observation.now >= not_before or self.at_reserve)

    @property
    def wants_island(self) -> bool:
        """Never while the transfer switch stands at a generator: nobody told on which side of our switch it feeds in.

        In the house, the vehicle would feed a generator that stalled, and whoever refuels it.
        """
        return (
            self.grid is Grid.OUTAGE
            and not self.at_generator
            and not (self.settings.stopped or self.settings.end_backup or self.watching or self.at_reserve)
            and self.memory.attempts < MOST_ATTEMPTS
            and self.former_was_heard
        )

    @property
    def former_was_heard(self) -> bool:
        """A charger that could carry the house was there when the grid failed.

        It may fall silent with the grid and form all the same. But behind a switch that was opened for a charger long
        gone nothing would ever be proven dead, and the house would stay dark when the grid is back.
        """
        name = choose_former(self.observation, self.facts)
        reading = self.observation.chargers.get(name or "")
        return reading is not None and self.observation.now - reading.at <= HEARD_WITHIN

    @property
    def fed_by_grid(self) -> bool:
        """The house is alive, nobody forms an island, and the switch was told to close: its contacts must be broken."""
        former = self.former
        if former is None or former.forming is not False or former.voltage_v is None or not self.told_to_close:
            return False
        alive = former.voltage_v >= ALIVE_FROM_PU * self.facts.nominal_voltage_v
        return alive and self.grid is Grid.ON and self.switch is not None


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


def _ended_by_person(at: Situation) -> bool:
    return at.settings.stopped or at.settings.end_backup


def _reserve_reached(at: Situation) -> bool:
    return at.at_reserve and not at.returnable


def _may_hand_over(at: Situation) -> bool:
    """There is somebody to hand over to, and it has not failed just now; nothing else feeds the house, or could."""
    if at.grid is Grid.ON or at.at_generator:
        return False
    return at.successor is not None and (at.memory.failure != "would_not_stop" or _late(HANDOVER_RETRY)(at))


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
        Transition(S.STUCK, _late(OPEN_DEADLINE), "open_not_proven", failure=True),
    ),
    S.FORMING: (
        Transition(S.ENDED, _ended_by_person, "ended_by_person"),
        Transition(S.TIED, lambda at: at.closed, "closed_by_other"),
        Transition(S.HANDOVER, _reserve_handed_over, "reserve_reached"),
        Transition(S.ENDED, _reserve_reached, "reserve_reached"),
        Transition(S.ISLAND, lambda at: at.formed, "formed"),
        Transition(S.STOPPING, lambda at: at.returnable, "grid_back"),
        Transition(S.HANDOVER, lambda at: at.cannot and _may_hand_over(at), "former_cannot"),
        Transition(S.DARK, _late(FORM_DEADLINE), "not_formed", failure=True),
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
        Transition(S.ISLAND, lambda at: _late(STOP_DEADLINE)(at) and at.formed, "would_not_stop", failure=True),
        Transition(S.DARK, _late(STOP_DEADLINE), "would_not_stop", failure=True),
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
        Transition(S.ISLAND, lambda at: _late(STOP_DEADLINE)(at) and at.formed, "would_not_stop", failure=True),
        Transition(S.FORMING, _late(STOP_DEADLINE), "dead_not_proven", failure=True),
    ),
    S.CLOSING: (
        Transition(S.TIED, lambda at: at.closed, "closed_proven"),
        Transition(S.TIED, lambda at: at.fed_by_grid, "fed_by_grid"),
        Transition(S.STOPPING, lambda at: at.opened and at.formed, "alive_again"),
        Transition(
            S.OPENING, lambda at: at.grid is Grid.OUTAGE and at.opened and not at.settings.stopped, "grid_gone_again"
        ),
        Transition(S.STUCK, _late(CLOSE_DEADLINE), "close_not_proven", failure=True),
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
            lambda at: at.opened and at.returnable and (at.memory.attempts < MOST_ATTEMPTS or _late(RETURN_RETRY)(at)),
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


def choose_former(observation: Observation, facts: SiteFacts) -> str | None:
    """The one charger that may form: who forms already, else island capable, not known to be unplugged, heard of
    lately, highest charge; ties by name."""

    def rank(name: str) -> tuple[bool, bool, float, str]:
        reading = observation.chargers[name]
        if reading is None:
            return True, True, 0.0, name
        silent = facts.fresh(reading, observation.now) is None
        return not reading.forming or silent, silent, -(reading.soc_pct or 0.0), name

    return min(_able(observation, facts), key=rank, default=None)


def _able(observation: Observation, facts: SiteFacts) -> list[str]:
    """The chargers that can form an island, as far as was ever heard."""
    return [
        name
        for name, charger in facts.chargers.items()
        if charger.capability is not None
        and charger.capability.backup is Backup.CAN_FORM
        and (reading := observation.chargers.get(name)) is not None
        and _could_carry(reading)
    ]


def _could_carry(reading: ChargerReading) -> bool:
    """Nothing that is known speaks against it. A charge that is not known does not."""
    return (
        reading.plugged is not False
        and reading.service_permitted is not False
        and reading.state is not ChargerState.FAULT
        and (reading.soc_pct is None or reading.soc_pct > EMPTY_SOC_PCT)
    )


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
