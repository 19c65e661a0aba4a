"""What a policy may look at, and how its statements narrow what is left for those below."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edge_service.domain.band import ANY, Band, propagate
from edge_service.domain.memory import Memory
from edge_service.domain.model import (
    Capability,
    ChargerReading,
    Grid,
    Observation,
    Pause,
    Release,
    Settings,
    SiteFacts,
    Stop,
    Supply,
    frozen_map,
)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A rung's statement about powers. What it names is squeezed into what the rungs above have left.

    ``bands`` bound chargers, ``site`` bounds the sum of the chargers, ``wants`` asks for a power of a charger: that
    settles it for all rungs below. ``instead`` settles a charger with an order that is no power.
    """

    reason: str
    bands: Mapping[str, Band] = field(default_factory=frozen_map)
    site: Band | None = None
    wants: Mapping[str, int] = field(default_factory=frozen_map)
    instead: Mapping[str, Stop | Pause] = field(default_factory=frozen_map)
    data: Mapping[str, Any] = field(default_factory=frozen_map)


@dataclass(frozen=True, slots=True)
class HandsOff:
    """A charger whose power is an outcome, measured and never ordered.

    ``withdraw``: an order of ours that still stands is withdrawn, a stop too, so that the charger may serve by its own
    act. Otherwise nothing at all is written.
    """

    charger: str
    reason: str
    withdraw: bool = False
    data: Mapping[str, Any] = field(default_factory=frozen_map)


type Statement = Narrowing | HandsOff


@dataclass(frozen=True, slots=True)
class Step:
    """One rung's statement on one charger, kept for the explanation. Bounds in watts; None: not ordered."""

    rung: str
    reason: str
    low_w: int | None
    high_w: int | None
    data: Mapping[str, Any] = field(default_factory=frozen_map)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a rung decided for a charger: a wish inside ``allowed``, or an order that is no power, or hands off."""

    rung: str
    reason: str
    allowed: Band | None = None
    want_w: int | None = None
    instead: Stop | Pause | Release | None = None


@dataclass(frozen=True, slots=True)
class View:
    """The state of a decision between two rungs.

    ``house_w``: what the house uses besides the chargers. ``others_w``: what the meter sees besides the chargers that
    tell their power; a silent charger counts there, as it can be no one's to steer.
    """

    observation: Observation
    memory: Memory
    settings: Settings
    facts: SiteFacts
    grid: Grid
    supply: Supply
    house_w: int | None
    others_w: int | None = None
    site: Band = ANY
    bands: Mapping[str, Band] = field(default_factory=frozen_map)
    settled: Mapping[str, Settled] = field(default_factory=frozen_map)
    steps: Mapping[str, tuple[Step, ...]] = field(default_factory=frozen_map)

    @property
    def open_chargers(self) -> tuple[str, ...]:
        """Chargers that no rung has settled yet."""
        return tuple(name for name in self.bands if name not in self.settled)

    @property
    def tied(self) -> bool:
        """The grid feeds the house, beyond suspicion."""
        return self.grid is Grid.ON and self.supply is Supply.GRID

    @property
    def on_generator(self) -> bool:
        """A generator feeds the house in the grid's place."""
        return self.grid is Grid.GENERATOR and self.supply is Supply.GRID

    def reading(self, charger: str) -> ChargerReading | None:
        """The charger's last reading, unless it is stale."""
        reading = self.observation.chargers.get(charger)
        if reading is None or not self.facts.is_fresh(reading.at, self.observation.now):
            return None
        return reading

    def capability(self, charger: str) -> Capability | None:
        return self.facts.chargers[charger].capability

    def soc_pct(self, charger: str) -> float | None:
        reading = self.reading(charger)
        return reading.soc_pct if reading else None

    def is_low(self, charger: str, floor: str) -> bool:
        """Whether the charger is at or below a floor, with hysteresis: ``driver``, ``backup`` or ``event``."""
        return floor in self.memory.charger(charger).low

    def hears(self, rung: str, statement: Statement) -> View:
        """The view after a rung's statement."""
        if isinstance(statement, HandsOff):
            return self._let_go(rung, statement)
        view = self._narrow_site(rung, statement)
        for charger, band in statement.bands.items():
            view = view._narrow(rung, charger, band, statement)
        for charger, order in statement.instead.items():
            view = view._settle(rung, charger, statement, instead=order)
        for charger, want_w in statement.wants.items():
            view = view._settle(rung, charger, statement, want_w=want_w)
        return view

    def _let_go(self, rung: str, statement: HandsOff) -> View:
        if statement.charger in self.settled:
            return self
        reading = self.reading(statement.charger)
        power_w = reading.power_w if reading and reading.power_w is not None else 0
        instead = Release() if statement.withdraw else None
        settled = Settled(rung, statement.reason, instead=instead)
        step = Step(rung, statement.reason, None, None, statement.data)
        return self._put(statement.charger, Band(power_w, power_w), settled, step, force=True)

    def _narrow_site(self, rung: str, statement: Narrowing) -> View:
        if statement.site is None:
            return self
        site, bands = propagate(self.site.squeeze(statement.site), self.bands)
        return replace(self, site=site, bands=frozen_map(bands))._note_site(rung, statement)

    def _note_site(self, rung: str, statement: Narrowing) -> View:
        steps = dict(self.steps)
        for charger in self.open_chargers:
            band = self.bands[charger]
            step = Step(rung, statement.reason, band.lo, band.hi, statement.data)
            steps[charger] = (*steps.get(charger, ()), step)
        return replace(self, steps=frozen_map(steps))

    def _narrow(self, rung: str, charger: str, band: Band, statement: Narrowing) -> View:
        if charger in self.settled:
            return self
        left = self.bands[charger].squeeze(band)
        return self._put(charger, left, None, Step(rung, statement.reason, left.lo, left.hi, statement.data))

    def _settle(
        self,
        rung: str,
        charger: str,
        statement: Narrowing,
        want_w: int | None = None,
        instead: Stop | Pause | None = None,
    ) -> View:
        if charger in self.settled:
            return self
        allowed = self.bands[charger].squeeze(self._without_others(charger))
        point_w = allowed.nearest(want_w or 0)
        settled = Settled(rung, statement.reason, allowed, point_w, instead)
        step = Step(rung, statement.reason, point_w, point_w, statement.data)
        return self._put(charger, Band(point_w, point_w), settled, step)

    def _without_others(self, charger: str) -> Band:
        """What the site's band leaves while the other chargers rest: one's wish makes no other work."""
        others_w = sum(band.nearest(0) for name, band in self.bands.items() if name != charger)
        return Band(self.site.lo - others_w, self.site.hi - others_w)

    def _put(self, charger: str, band: Band, settled: Settled | None, step: Step, *, force: bool = False) -> View:
        bands = {**self.bands, charger: band}
        site = ANY if force else self.site
        site, bands = propagate(site, bands)
        steps = {**self.steps, charger: (*self.steps.get(charger, ()), step)}
        settlements = {**self.settled, charger: settled} if settled else self.settled
        return replace(
            self, site=site, bands=frozen_map(bands), settled=frozen_map(settlements), steps=frozen_map(steps)
        )
