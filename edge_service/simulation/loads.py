"""Loads of the simulated house that can be switched: by a relay, by a person, or by what Home Assistant would use."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

_OVER_S = 1e-9


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """One load. At switching on it draws ``inrush`` times its power for ``inrush_s``. Legs as for the house.

    Raises ValueError, naming the field, on a value out of bounds.
    """

    name: str
    power_w: float
    leg_1_share: float = 0.5
    inrush: float = 1.0
    inrush_s: float = 0.0
    on: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (("power_w", 0, 30_000), ("leg_1_share", 0, 1), ("inrush", 1, 20), ("inrush_s", 0, 60)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} of {self.name} is {getattr(self, name)}; allowed is {low} to {high}")


@dataclass(slots=True)
class Load:
    """``on``: its own switch. ``told_off``: its relay's coil. ``bridged``: a person has led power round the relay.

    ``stuck``: the relay does not move and leaves it connected.
    """

    options: LoadOptions
    on: bool = True
    told_off: bool = False
    bridged: bool = False
    stuck: bool = False
    inrush_left_s: float = 0.0
    was_running: bool = field(default=False, repr=False)

    @property
    def connected(self) -> bool:
        return not self.told_off or self.bridged or self.stuck

    @property
    def running(self) -> bool:
        return self.on and self.connected

    @property
    def power_w(self) -> float:
        """What it draws where there is voltage."""
        options = self.options
        if not self.running:
            return 0.0
        return options.power_w * (options.inrush if self.inrush_left_s > _OVER_S else 1.0)

    def start(self) -> None:
        """It gets voltage."""
        self.inrush_left_s = self.options.inrush_s if self.running else 0.0


class Loads:
    """All of them, in the order of their relays' coils."""

    def __init__(self, options: Iterable[LoadOptions]) -> None:
        self.by_name = {one.name: Load(one, on=one.on, was_running=one.on) for one in options}
        self.in_order = list(self.by_name.values())

    @property
    def power_w(self) -> float:
        return sum(load.power_w for load in self.in_order)

    @property
    def leg_1_w(self) -> float:
        return sum(load.power_w * load.options.leg_1_share for load in self.in_order)

    @property
    def left_s(self) -> float:
        """Until the next inrush is over."""
        return min((load.inrush_left_s for load in self.in_order if load.inrush_left_s > _OVER_S), default=inf)

    def elapse(self, dt_s: float) -> None:
        for load in self.in_order:
            load.inrush_left_s = max(0.0, load.inrush_left_s - dt_s)

    def settle(self, *, powered: bool) -> None:
        """What was switched on since draws its inrush."""
        for load in self.in_order:
            if load.running and not load.was_running and powered:
                load.start()
            load.was_running = load.running

    def start(self) -> None:
        """The house is lit: all that is on starts at once."""
        for load in self.in_order:
            load.start()
