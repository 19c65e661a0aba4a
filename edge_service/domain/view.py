"""What a policy may look at, and how its statements narrow what is left for those below."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from types import MappingProxyType
from typing import Any

from edge_service.domain.band import ANY, MILLION, Band, Sum, propagate, total
from edge_service.domain.memory import Memory
from edge_service.domain.model import (
    Capability,
    ChargerReading,
    Control,
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
from edge_service.domain.realise import kept_w
from edge_service.domain.sharing import Sharer, fill

# A charger that had to make way for others does not start again sooner, as long as another can start: contactors wear.
RESTS_AT_LEAST_S = 300.0
WITHOUT_SETPOINT = frozenset({Control.NONE, Control.GENERATION_CAP})


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A rung's statement about powers. What it names is squeezed into what the rungs above have left.

    ``bands`` bound chargers, ``site`` bounds the sum of the chargers, ``legs`` what they do on each leg, ``wants`` asks
    for a power of a charger: that settles it for all rungs below. ``instead`` settles a charger with an order that is
    no power.
    """

    reason: str
    bands: Mapping[str, Band] = field(default_factory=frozen_map)
    site: Band | None = None
    wants: Mapping[str, int] = field(default_factory=frozen_map)
    instead: Mapping[str, Stop | Pause] = field(default_factory=frozen_map)
    data: Mapping[str, Any] = field(default_factory=frozen_map)
    legs: tuple[Sum, ...] = ()


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
    tell their power; a silent charger counts there, as it can be no one's to steer. ``site`` bounds the sum of the
    chargers, ``legs`` what they do on each leg. All of them always allow that the open chargers rest.
    ``counted``: settled chargers that may do anything from one power to another; each sum counts with the worse.
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
    legs: tuple[Sum, ...] = ()
    counted: Mapping[str, Band] = field(default_factory=frozen_map)
    fresh: Mapping[str, ChargerReading] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Asked for a dozen times per charger and decision; a view is handed what the one before it has found.
        if self.fresh is None:
            now, facts, readings = self.observation.now, self.facts, self.observation.chargers
            fresh = {name: one for name, last in readings.items() if (one := facts.fresh(last, now)) is not None}
            object.__setattr__(self, "fresh", MappingProxyType(fresh))

    @property
    def open_chargers(self) -> tuple[str, ...]:
        """Chargers that no rung has settled yet."""
        settled = self.settled
        return tuple([name for name in self.bands if name not in settled])

    @property
    def steerable(self) -> tuple[str, ...]:
        """The open chargers that take a setpoint. One that only takes a cap does as it likes below it."""
        return tuple([name for name in self.open_chargers if self.takes_setpoint(name)])

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
        return self.fresh.get(charger) if self.fresh is not None else None

    def capability(self, charger: str) -> Capability | None:
        return self.facts.chargers[charger].capability

    def takes_setpoint(self, charger: str) -> bool:
        """Whether the charger can be told a power. Not known yet counts as yes: device safety speaks first."""
        capability = self.facts.chargers[charger].capability
        return capability is None or capability.control not in WITHOUT_SETPOINT

    def soc_pct(self, charger: str) -> float | None:
        reading = self.reading(charger)
        return reading.soc_pct if reading else None

    def is_low(self, charger: str, floor: str) -> bool:
        """Whether the charger is at or below a floor, with hysteresis: ``driver``, ``backup`` or ``event``.

        ``full``: likewise, whether its vehicle takes no more.
        """
        return floor in self.memory.charger(charger).low

    def outcome_w(self, charger: str) -> int:
        """What an open charger does when nothing is asked of it: rests, or what is measured if it takes no setpoint."""
        if self.takes_setpoint(charger):
            return 0
        reading = self.reading(charger)
        return 0 if reading is None else reading.power_w or 0

    def outcome_in(self, charger: str, band: Band) -> int:
        """The same inside a band. Where that caps it, the cap's steps count toward zero: nobody may count on more."""
        outcome_w = self.outcome_w(charger)
        inside_w, capability = band.nearest(outcome_w), self.capability(charger)
        if inside_w == outcome_w or inside_w >= 0 or capability is None:
            return inside_w
        return band.nearest(-(-inside_w // capability.step_w * capability.step_w))

    def resting(self) -> dict[str, int]:
        """What each charger does while nothing more is asked of those that are open. Every sum allows that."""
        resting = {name: 0 if band.lo <= 0 <= band.hi else band.nearest(0) for name, band in self.bands.items()}
        unsteered = [name for name in resting if not self.takes_setpoint(name)]
        return resting | {name: self.outcome_in(name, self.bands[name]) for name in unsteered}

    def hears(self, rung: str, *statements: Statement) -> View:
        """The view after a rung's statements, in their order."""
        view = self
        for together in _heard_together(statements):
            draft = _Draft(view, rung)
            for statement in together:
                draft.hear(statement)
            view = draft.view()
        return view

    def share(
        self,
        wishes: Mapping[str, int],
        total_w: int | None = None,
        *,
        weight: Mapping[str, float] | None = None,
        urgency: Mapping[str, float] | None = None,
        fully: bool = False,
    ) -> dict[str, int]:
        """Powers for open chargers, none beyond its wish, that bands, site and legs allow together.

        ``total_w``: what they are to add up to; None: as much as they wish. The more urgent go first, equals by
        ``weight``; who could only do less than its least power waits for its turn. ``fully``: come as near to the
        total as the legs allow, though one on a busy leg gets less for it.
        """
        if not wishes:
            return {}
        names = set(self.steerable)
        resting = self.resting()
        powers = {name: resting[name] for name in wishes if name in names}
        missing_w = None if total_w is None else total_w - sum(powers.values())
        for sign in (1, -1):
            sharers = [
                _sharer(
                    self, name, wishes[name], powers[name], (weight or {}).get(name, 1.0), (urgency or {}).get(name, 0)
                )
                for name in powers
                if (wishes[name] - powers[name]) * sign > 0
            ]
            most_w = sum(sharer.most_w for sharer in sharers)
            most_w = most_w if missing_w is None else min(most_w, missing_w * sign)
            if most_w > 0:
                counted = resting | {name: band.hi if sign > 0 else band.lo for name, band in self.counted.items()}
                left_u = [_left_u(bound, counted, sign) for bound in self._sums()]
                given = fill(most_w, sharers, left_u, self.memory.rotation, fully=fully)
                powers |= {one.name: powers[one.name] + sign * one.told_w(given[one.name]) for one in sharers}
        return powers

    def _sums(self) -> list[Sum]:
        return _sums(self.site, self.legs)


def _heard_together(statements: Iterable[Statement]) -> Iterator[tuple[Statement, ...]]:
    """Statements that only settle chargers go in one draft: each is given what the sums leave while the others rest.

    What the one before means for the others' bands takes nothing of that away, so it can be worked out once.
    """
    for settles, alike in groupby(statements, _only_settles):
        together = tuple(alike)
        yield from [together] if settles else [(statement,) for statement in together]


def _only_settles(statement: Statement) -> bool:
    return isinstance(statement, Narrowing) and statement.site is None and not statement.legs and not statement.bands


def _sums(site: Band, legs: Iterable[Sum]) -> list[Sum]:
    """The sums that bind; a site without a bound is none."""
    return [*([] if site == ANY else [Sum(site)]), *legs]


def held_by_silent(view: View, charger: str) -> Band | None:
    """Between which powers a silent charger may still be, where no meter counts it among the others."""
    if view.others_w is not None and not view.on_generator:
        return None
    memory = view.memory.charger(charger)
    over = memory.held_until is not None and view.observation.now >= memory.held_until
    return None if memory.held is None or over else Band(*memory.held)


def _left_u(bound: Sum, powers: Mapping[str, int], sign: int) -> int:
    """Millionths of a watt that the sum allows beyond these powers, upwards or downwards."""
    now_u = bound.of(powers)
    return bound.band.hi * MILLION - now_u if sign > 0 else now_u - bound.band.lo * MILLION


def _sharer(view: View, name: str, wish_w: int, rest_w: int, weight: float, urgency: float) -> Sharer:
    """A charger on its way from where it rests to its wish. Where it cannot rest at 0, steps and minimum are moot."""
    capability = view.capability(name)
    step_w, least_w = 1, 0
    if capability is not None and rest_w == 0:
        step_w = capability.step_w
        least_w = capability.min_charge_w if wish_w > 0 else capability.min_discharge_w
    return Sharer(
        name,
        abs(view.bands[name].nearest(wish_w) - rest_w),
        tuple([bound.part(name) for bound in view._sums()]),
        least_w=-(-least_w // step_w) * step_w,
        step_w=step_w,
        weight=weight,
        urgency=urgency,
        rested=_is_rested(view, name),
    )


def _is_rested(view: View, name: str) -> bool:
    """It has not stopped only just now."""
    memory = view.memory.charger(name)
    if memory.order_w != 0 or memory.order_since is None:
        return True
    return (view.observation.now - memory.order_since).total_seconds() >= RESTS_AT_LEAST_S


class _Draft:
    """A view while statements of a rung are heard.

    What keeps all sums reachable together: at every moment they allow that those that are open rest. A charger is
    given what the sums leave while the others rest, so that stays true whoever is settled next, and at what.
    """

    def __init__(self, view: View, rung: str) -> None:
        self._view, self._rung = view, rung
        self._bands, self._settled, self._steps = dict(view.bands), dict(view.settled), dict(view.steps)
        self._site, self._legs = view.site, view.legs
        self._resting: dict[str, int] = {}
        self._sums: list[Sum] = []
        self._counted = dict(view.counted)
        self._most_u: list[int] = []
        self._least_u: list[int] = []
        self._propagated = False
        self._open_sums()

    def view(self) -> View:
        """The view after what was heard, with each bound's meaning for the other bounds."""
        site, view = self._site, self._view
        if self._sums:
            if not self._propagated and len(self._settled) < len(self._bands):
                self._bands = propagate(self._sums, self._bands)
            site = site if site == ANY else total((self._bands | self._counted).values()).squeeze(site)
        return View(
            view.observation,
            view.memory,
            view.settings,
            view.facts,
            view.grid,
            view.supply,
            view.house_w,
            view.others_w,
            site,
            MappingProxyType(self._bands),
            MappingProxyType(self._settled),
            MappingProxyType(self._steps),
            self._legs,
            MappingProxyType(self._counted),
            view.fresh,
        )

    def hear(self, statement: Statement) -> None:
        self._statement = statement
        if isinstance(statement, HandsOff):
            self._let_go(statement)
        else:
            self._narrow(statement)

    def _let_go(self, statement: HandsOff) -> None:
        """What a charger does that is let alone counts as it is; a sum that it exceeds is left as it makes it."""
        charger = statement.charger
        if charger in self._settled:
            return
        reading = self._view.reading(charger)
        power_w = reading.power_w if reading and reading.power_w is not None else 0
        if reading is None and (held := held_by_silent(self._view, charger)) is not None:
            self._counted[charger] = held
        instead = Release() if statement.withdraw else None
        self._settled[charger] = Settled(self._rung, statement.reason, instead=instead)
        self._note(charger, None, None)
        self._bands[charger] = Band(power_w, power_w)
        if self._sums:
            self._resting[charger] = power_w
            self._bound(self._site, self._legs)

    def _narrow(self, statement: Narrowing) -> None:
        """Hear the sums first, then the bands, then who is settled."""
        if statement.site is not None or statement.legs:
            self._narrow_sums(statement)
        for charger, band in statement.bands.items():
            if charger not in self._settled:
                self._propagated = False
                self._narrow_band(charger, band)
        for charger, order in statement.instead.items():
            self._settle(charger, 0, order)
        for charger, want_w in statement.wants.items():
            self._settle(charger, want_w, None)

    def _narrow_sums(self, statement: Narrowing) -> None:
        self._resting = {name: band.nearest(max(self._view.outcome_w(name), 0)) for name, band in self._bands.items()}
        site = self._site if statement.site is None else self._site.squeeze(statement.site)
        legs = tuple(
            Sum(self._legs[place].band.squeeze(leg.band), leg.parts) if self._legs else leg
            for place, leg in enumerate(statement.legs)
        )
        self._bound(site, legs or self._legs)
        for charger in self._view.open_chargers:
            self._cap(charger)
        self._bands = propagate(self._sums, self._bands)
        self._propagated = True
        for charger in self._view.open_chargers:
            band = self._bands[charger]
            self._note(charger, band.lo, band.hi)

    def _cap(self, charger: str) -> None:
        """One that takes no setpoint goes on supplying what it does, up to what the sums leave."""
        outcome_w = self._view.outcome_in(charger, self._bands[charger])
        if outcome_w == self._resting[charger]:
            return
        room = self._room(charger)
        if outcome_w not in room:
            self._bands[charger] = room
        self._move(charger, self._view.outcome_in(charger, room))

    def _bound(self, site: Band, legs: tuple[Sum, ...]) -> None:
        """Take these sums, each stretched to what the chargers do while nothing is asked: a limit makes none work."""
        self._site, self._legs = site, legs
        self._sums = _sums(site, legs)
        self._count_all()
        ends = zip(self._sums, self._least_u, self._most_u, strict=True)
        self._sums = [bound.stretched(least_u).stretched(most_u) for bound, least_u, most_u in ends]
        if site != ANY:
            self._site = self._sums[0].band
        self._legs = tuple(self._sums[len(self._sums) - len(legs) :])

    def _open_sums(self) -> None:
        self._sums = self._view._sums()
        if self._sums:
            self._resting = self._view.resting()
            self._count_all()

    def _count_all(self) -> None:
        """The least and the most of what the chargers may do while nothing more is asked, in each sum."""
        now_u = [bound.of(self._resting) for bound in self._sums]
        self._least_u, self._most_u = now_u, [*now_u]
        for charger, band in self._counted.items():
            self._widen(charger, band)

    def _widen(self, charger: str, band: Band) -> None:
        point_w = self._resting[charger]
        for place, bound in enumerate(self._sums):
            self._least_u[place] += (band.lo - point_w) * bound.part(charger)
            self._most_u[place] += (band.hi - point_w) * bound.part(charger)

    def _narrow_band(self, charger: str, wish: Band) -> None:
        if not self._view.takes_setpoint(charger):
            wish = Band(wish.lo, ANY.hi)  # what it takes in is held by no order of ours
        left = self._bands[charger].squeeze(wish)
        if self._sums and self._resting[charger] not in left:
            left = self._room(charger).squeeze(wish)
            self._move(charger, self._view.outcome_in(charger, left))
        self._bands[charger] = left
        self._note(charger, left.lo, left.hi)

    def _settle(self, charger: str, want_w: int, instead: Stop | Pause | None) -> None:
        if charger in self._settled:
            return
        allowed = self._room(charger)
        capability = self._view.capability(charger)
        steered = self._view.takes_setpoint(charger)
        point_w = allowed.nearest(want_w if steered else self._view.outcome_w(charger))
        self._settled[charger] = Settled(self._rung, self._statement.reason, allowed, point_w, instead)
        self._note(charger, point_w, point_w)
        if capability is not None and steered and not instead:
            memory, now = self._view.memory.charger(charger), self._view.observation.now
            point_w = kept_w(allowed, point_w, capability, memory, now)
        self._bands[charger] = Band(point_w, point_w)
        self._propagated = False
        self._count(charger, point_w)

    def _count(self, charger: str, point_w: int) -> None:
        """What it is to supply or to take in makes room for others only as far as it is measured to do so."""
        rest_w = self._resting.get(charger, 0)
        if self._sums:
            self._move(charger, point_w)
        if point_w == rest_w or not self._view.takes_setpoint(charger):
            return
        reading = self._view.reading(charger)
        measured_w = (reading.power_w if reading else None) or 0
        low_w, high_w = min(point_w, max(rest_w, measured_w)), max(point_w, min(rest_w, measured_w))
        if (low_w, high_w) != (point_w, point_w):
            self._counted[charger] = Band(low_w, high_w)
            if self._sums:
                self._widen(charger, self._counted[charger])

    def _room(self, charger: str) -> Band:
        """What band and sums leave while the other chargers rest: one's wish makes no other work."""
        band = self._bands[charger]
        low_w, high_w = band.lo, band.hi
        for bound, least_u, most_u in zip(self._sums, self._least_u, self._most_u, strict=True):
            if part := bound.part(charger):
                own_u = part * self._resting[charger]
                low_w = max(low_w, -((least_u - own_u - bound.band.lo * MILLION) // part))
                high_w = min(high_w, (bound.band.hi * MILLION - most_u + own_u) // part)
        return band if (low_w, high_w) == (band.lo, band.hi) else Band(low_w, high_w)

    def _move(self, charger: str, power_w: int) -> None:
        by_w = power_w - self._resting[charger]
        if by_w:
            self._resting[charger] = power_w
            for place, bound in enumerate(self._sums):
                by_u = by_w * bound.part(charger)
                self._least_u[place] += by_u
                self._most_u[place] += by_u

    def _note(self, charger: str, low_w: int | None, high_w: int | None) -> None:
        step = Step(self._rung, self._statement.reason, low_w, high_w, self._statement.data)
        self._steps[charger] = (*self._steps.get(charger, ()), step)
