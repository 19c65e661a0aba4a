"""How long the vehicle carries the house: a range, from what the house drew lately and at such hours before.

Each past day is an example of how it may go on. The energy is used up along each of them, and the range is read from
the times that this takes; beside the median a little more or less energy is taken, since no past day is like the next.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf, sqrt

from edge_service.domain import load_profile
from edge_service.domain.forecast import EFFICIENCY
from edge_service.domain.forming import choose_former
from edge_service.domain.load_profile import HORIZON_H, Outlook, counted, minute_of, turned
from edge_service.domain.loads import groups
from edge_service.domain.memory import Memory, RuntimeMemory, Store, Track
from edge_service.domain.model import (
    EMPTY_SOC_PCT,
    AtEnd,
    Backup,
    ChargerReading,
    LoadState,
    Position,
    Runtime,
    Supply,
    frozen_map,
)
from edge_service.domain.performance import LONGEST_STEP
from edge_service.domain.view import View

# Charger and vehicle stay awake while they supply, at the house's side. A Quasar 1 is measured to lose up to 250 W more
# than its share at full power; others tell less.
STANDBY_W = 100.0
# Worked out anew after so long, or at once when what counts has changed.
ESTIMATE_EVERY = timedelta(seconds=10)
# A charge reading that moves by less than this waits its turn.
SOC_CHANGE_PCT = 1.0

# Tuned as those of ``load_profile``: by how much more or less energy the ends of the range count on, with many past
# days, and with none; and where between the examples the ends lie.
SPREAD = 0.05
SPREAD_OF_FEW = 0.25
SPREAD_UNKNOWN = 1.0
LOW, HIGH = 0.1, 0.9


def spread_of(examples: int) -> float:
    return SPREAD + SPREAD_OF_FEW / sqrt(examples) if examples else SPREAD_UNKNOWN


def range_h(ahead: Outlook, usable_wh: float, most_wh: float, less_w: float = 0.0) -> tuple[float, float, float]:
    """p10, p50 and p90 of the hours until the energy is used up; infinite beyond the horizon."""
    more = 1 + spread_of(len(ahead.examples))
    energies = (usable_wh / more, usable_wh, usable_wh * more)
    examples = ahead.examples or (load_profile.Example(0, 1, 1.0),)
    found = [_used_up_h(ahead, one, energies, most_wh, less_w) for one in examples for _ in range(one.weight)]
    low, mid, high = (sorted(times) for times in zip(*found, strict=True))
    return _quantile(low, LOW), _quantile(mid, 0.5), _quantile(high, HIGH)


def _used_up_h(
    ahead: Outlook, example: load_profile.Example, energies: Sequence[float], most_wh: float, less_w: float
) -> list[float]:
    """When each of the energies, the least first, is used up on this path. Surplus of the sun goes back in."""
    left = list(energies)
    most = [max(most_wh, wh) for wh in energies]
    times = [inf] * len(left)
    first, at_h, step_h = 0, 0.0, ahead.first_h
    for power_w in ahead.powers(example, less_w):
        drain_w = power_w + STANDBY_W
        step_wh = (drain_w if drain_w > 0 else drain_w * EFFICIENCY**2) * step_h
        for place in range(first, len(left)):
            if left[place] <= step_wh:
                times[place] = at_h + (left[place] / drain_w if drain_w > 0 else 0.0)
                first = place + 1
            else:
                left[place] = min(most[place], left[place] - step_wh)
        if first == len(left):
            break
        at_h, step_h = at_h + step_h, 1.0
    return times


def _quantile(ranked: Sequence[float], share: float) -> float:
    """Between the two nearest; an infinite neighbour makes it infinite."""
    place = share * (len(ranked) - 1)
    below = int(place)
    part = place - below
    return ranked[below] + part * (ranked[below + 1] - ranked[below]) if part and ranked[below] < inf else ranked[below]
