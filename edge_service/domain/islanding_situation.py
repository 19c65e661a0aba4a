"""What a guard of the islanding table may look at: proofs by fresh readings, and what people have decided."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from edge_service.domain.forming import able_to_form, choose_former, could_carry
from edge_service.domain.memory import IslandMemory, IslandStep
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
# One that did not form is tried again after the others; its fault may have passed.
TRY_AGAIN = timedelta(minutes=10)

S = IslandStep


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
        again = self.memory.step is S.HANDOVER or self.cannot or self.gone or late(TRY_AGAIN)(self)
        heard = {
            name: self.fresh(self.observation.chargers[name]) for name in able_to_form(self.observation, self.facts)
        }
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


def late(deadline: timedelta) -> Callable[[Situation], bool]:
    return lambda at: at.memory.since is not None and at.observation.now - at.memory.since >= deadline
