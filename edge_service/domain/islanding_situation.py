"""What a guard of the islanding table may look at: proofs by fresh readings, and what people have decided."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from edge_service.domain.forming import able_to_form, choose_former, could_carry
from edge_service.domain.load_fit import fits
from edge_service.domain.memory import DrillMemory, DrillStage, IslandMemory, IslandStep, LoadsMemory
from edge_service.domain.model import (
    AtEnd,
    ChargerReading,
    Grid,
    Mode,
    Observation,
    Pause,
    Position,
    Settings,
    SiteFacts,
    Stop,
    SwitchReading,
    Timed,
)

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
# With a synchronism check nothing goes dark; people are told all the same, a moment before.
ANNOUNCED_IN_STEP_S = 10.0
NOT_SYNCHRONISED = "not_synchronised"

S = IslandStep


NO_LOADS = LoadsMemory()


@dataclass(frozen=True, slots=True)
class Situation:
    """What a guard may look at. ``at_generator``: the transfer switch stands there, by its contact's last word."""

    observation: Observation
    memory: IslandMemory
    grid: Grid
    settings: Settings
    facts: SiteFacts
    at_generator: bool = False
    loads: LoadsMemory = NO_LOADS
    drill: DrillMemory | None = None

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
    def rests_closed(self) -> bool:
        """It is closed, and nobody has told it to open."""
        return self.closed and self.switch is not None and self.switch.commanded_open is not True

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
        return late(SILENT_FOR)(self) if reading is None else self.observation.now - reading.at >= SILENT_FOR

    @property
    def cannot(self) -> bool:
        """There is no former, or it is seen not to form and something speaks against it."""
        if self.memory.former is None:
            return True
        return self.former is not None and self.former.forming is False and not could_carry(self.former)

    @property
    def successor(self) -> str | None:
        """Who forms in the former's place: heard, able, not at its reserve; one that has not been tried goes first."""
        if self.watching or not self.opened:
            return None
        again = self.memory.step is S.HANDOVER or self.cannot or self.gone or self.retry_due
        heard = {
            name: self.fresh(self.observation.chargers[name]) for name in able_to_form(self.observation, self.facts)
        }
        ranks = [
            (name in self.memory.tried, -(reading.soc_pct or 0.0), name)
            for name, reading in heard.items()
            if reading is not None and self._may_succeed(name, reading)
        ]
        return min([rank for rank in ranks if again or not rank[0]], default=(False, 0.0, None))[2]

    @property
    def retry_due(self) -> bool:
        """A planned retry's time has come, or a person asked for one since the last."""
        planned = self.memory.retry_at is not None and self.observation.now >= self.memory.retry_at
        return planned or self.asked_again

    @property
    def asked_again(self) -> bool:
        """A person asked for one more attempt since this step began."""
        asked_at, since = self.settings.retry_backup_at, self.memory.since
        return asked_at is not None and since is not None and since < asked_at <= self.observation.now

    @property
    def may_retry(self) -> bool:
        """The former is seen not to form, nothing known speaks against it, and nothing else feeds the house."""
        if not self.retry_due or self.watching or self.at_generator or self.grid is Grid.ON or not self.opened:
            return False
        return self.collapsed and not self.cannot

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
        if not self._house_v or any(reading.forming for reading in readings):
            return False
        return max(self._house_v) < DEAD_BELOW_PU * self.facts.nominal_voltage_v

    @property
    def _house_v(self) -> list[float]:
        """What each source on the house's side sees there now."""
        readings = [self.fresh(reading) for reading in self.observation.chargers.values()]
        voltages = [one.voltage_v for one in readings if one is not None and one.voltage_v is not None]
        meter = self.fresh(self.observation.meter)
        if meter is not None and self.facts.meter_position is Position.PROTECTED_SIDE:
            voltages += [] if meter.voltage_v is None else [meter.voltage_v]
        return voltages

    @property
    def dead(self) -> bool:
        """The house is dark and stays so. Nothing is closed onto it otherwise: a voltage shows it, not silence."""
        return self.proven_dead or self.stays_dead

    @property
    def proven_dead(self) -> bool:
        """Who could feed the house was stopped, that was read back, and it is seen since."""
        former, stopped_at = self.former, self.observation.stopped.get(self.memory.former or "")
        if former is None or stopped_at is None or former.forming is not False or former.at <= stopped_at:
            return False
        return self.dark

    @property
    def stays_dead(self) -> bool:
        """The stop was proven, then its charger fell silent, as one that lives off the house does; another source sees
        the house dark now."""
        return self.memory.dead_since is not None and self.former is None and self.dark

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
        return not_before - self.observation.now > timedelta(seconds=announcement_s(self.memory, self.facts))

    @property
    def may_return(self) -> bool:
        """The announcement has had its time, and a person's date has come."""
        if not self.returnable or self.memory.since is None:
            return False
        waited = self.observation.now - self.memory.since >= timedelta(seconds=announcement_s(self.memory, self.facts))
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
            and (self.memory.attempts < MOST_ATTEMPTS or self.asked_again)
            and self.former_was_heard
        )

    @property
    def fits(self) -> bool:
        """The former can carry what is left of the load, or waiting for more to be shed is no use."""
        return fits(self.observation, self.loads, self.settings, self.facts, self.memory.former)

    @property
    def may_synchronise(self) -> bool:
        """The island stands, and the switch joins it to the grid by itself once both are in step."""
        return self.opened and self.formed and closes_in_step(self.memory, self.facts)

    @property
    def drill_leads(self) -> bool:
        """A drill wants the house on the vehicle now, and nothing speaks against it."""
        return self._rehearsed(DrillStage.TRANSFERRING) and not self.at_generator and self.former_was_heard

    @property
    def drill_begins(self) -> bool:
        """The same, once: an attempt that failed is not repeated in the same drill."""
        if not self.drill_leads or self.memory.since is None or self.drill is None:
            return False
        return self.memory.since <= self.drill.since

    @property
    def drill_holds(self) -> bool:
        """The house stays with the vehicle although the grid is there: that is what is rehearsed."""
        return self.memory.rehearsal and self._rehearsed(DrillStage.TRANSFERRING, DrillStage.CARRYING)

    @property
    def drill_over(self) -> bool:
        """The house is on the vehicle for a drill that is over, or was broken off: back without an announcement."""
        return self.memory.rehearsal and not self.drill_holds and self.returnable

    def _rehearsed(self, *stages: DrillStage) -> bool:
        drill = self.drill
        if drill is None or not (drill.runs and drill.transfer) or drill.stage not in stages:
            return False
        hindered = self.settings.stopped or self.settings.end_backup or self.watching or self.at_reserve
        return self.grid is Grid.ON and not hindered

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


def late(deadline: timedelta) -> Callable[[Situation], bool]:
    return lambda at: at.memory.since is not None and at.observation.now - at.memory.since >= deadline


def closes_in_step(memory: IslandMemory, facts: SiteFacts) -> bool:
    """The switch declares a hardware synchronism check, and that has not failed in this return."""
    return facts.switch is not None and facts.switch.synchronism_check and memory.failure != NOT_SYNCHRONISED


def announcement_s(memory: IslandMemory, facts: SiteFacts) -> float:
    """How long before it begins a return is announced."""
    return (
        min(facts.announce_return_s, ANNOUNCED_IN_STEP_S) if closes_in_step(memory, facts) else facts.announce_return_s
    )
