"""What of the house's load the vehicle can carry: in all, and on each leg of the service."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from edge_service.domain.memory import LoadMemory, LoadsMemory
from edge_service.domain.model import (
    LoadGroup,
    LoadOrder,
    LoadReading,
    LoadState,
    Observation,
    Settings,
    SiteFacts,
    Tier,
    frozen_map,
)

# Loads swing, and what was last known of them is seconds old: an island is formed only below this share of the rating.
FORM_SHARE = 0.9
# Nothing to take off any more: it is off by us or by a person.
OFF = frozenset({LoadState.SHED, LoadState.OFF})

type Sums = tuple[float, ...]
"""Watts of the house, then of each leg of the service."""


def groups(settings: Settings, facts: SiteFacts) -> Mapping[str, LoadGroup]:
    """Every load group: those of the site's relays, and those that people made; theirs count for the same id."""
    return frozen_map({**facts.relays, **settings.load_groups})


def names(ids: Iterable[str], settings: Settings, facts: SiteFacts) -> list[str]:
    """What people call these groups; one that is gone keeps its id."""
    known = groups(settings, facts)
    return [known[one].name if one in known else one for one in ids]


def heard(observation: Observation, group: str, facts: SiteFacts) -> LoadReading | None:
    """The group's last reading while it counts; None: nobody tells how it stands."""
    reading = observation.loads.get(group)
    if reading is None or reading.valid_s is None:
        return facts.fresh(reading, observation.now)
    return reading if observation.now - reading.at <= timedelta(seconds=reading.valid_s) else None


def state(observation: Observation, group: str, facts: SiteFacts) -> LoadState | None:
    """How the group stands; None: not known."""
    reading = heard(observation, group, facts)
    return None if reading is None else reading.state


def expected_w(group: LoadGroup, memory: LoadMemory) -> int | None:
    """What it draws while it is on: as last measured, else as told; None: neither."""
    return group.power_w if memory.power_w is None else memory.power_w


def needs_w(group: LoadGroup, memory: LoadMemory) -> int | None:
    """What must be free for it to come back: what was measured may have been a pause of it."""
    known = [power for power in (group.power_w, memory.power_w) if power is not None]
    return max(known, default=None)


def is_sheddable(group: LoadGroup, settings: Settings) -> bool:
    """We may switch it off at all: it is no must-have, and no person has decided otherwise."""
    return group.tier is not Tier.MUST_HAVE and not group.medical and group.id not in settings.loads_by_hand


def part(group: LoadGroup, power_w: float, legs: int) -> Sums:
    """What this much of the group means for the house and for each of so many legs."""
    on = [leg for leg in group.legs if leg <= legs] or list(range(1, legs + 1))
    return (power_w, *(power_w / len(on) if leg in on else 0.0 for leg in range(1, legs + 1)))


def plus(load: Sums, more: Sums, sign: int = 1) -> Sums:
    return tuple(max(0.0, one + sign * other) for one, other in zip(load, more, strict=True))


def over(load: Sums, limit: Sums) -> Sums:
    """By how much the house, and each leg, is over."""
    return tuple(max(0.0, one - most) for one, most in zip(load, limit, strict=True))


def house_load(memory: LoadsMemory) -> Sums | None:
    """The last known load; None: it was never known."""
    return None if memory.house_w is None else (float(memory.house_w), *(float(leg) for leg in memory.leg_w))


def rating(observation: Observation, facts: SiteFacts, former: str | None, legs: int) -> Sums | None:
    """What charger and vehicle give, and on each leg at most; None: not known, or nobody carries the house."""
    charger = facts.chargers.get(former or "")
    if charger is None or charger.capability is None or not charger.capability.discharge_rating_w:
        return None
    reading = observation.chargers.get(charger.id)
    most_w = charger.capability.discharge_rating_w
    if reading is not None and reading.discharge_max_w:  # at 0 it gives nothing, so nothing is to be fitted to it
        most_w = min(most_w, reading.discharge_max_w)
    return (float(most_w), *([most_w / legs] * legs if legs else ()))


def share(limit: Sums, of: float) -> Sums:
    return tuple(one * of for one in limit)


def without(load: Sums, off: Iterable[LoadGroup], memory: LoadsMemory) -> Sums:
    """The last known load without these groups, as far as they were part of it."""
    for group in off:
        known = memory.group(group.id)
        if known.counted:
            load = plus(load, part(group, expected_w(group, known) or 0, len(load) - 1), -1)
    return load


def fits(
    observation: Observation, memory: LoadsMemory, settings: Settings, facts: SiteFacts, former: str | None
) -> bool:
    """Whether the former can carry what is left after proven sheds, or waiting for more of them is no use.

    What is not known, the load or the rating, is no reason to keep a house dark.
    """
    known = groups(settings, facts)
    states = {name: state(observation, name, facts) for name in known}
    load = house_load(memory)
    limit = rating(observation, facts, former, len(memory.leg_w))
    if load is not None and limit is not None:
        off = [group for name, group in known.items() if states[name] in OFF]
        if not any(over(without(load, off, memory), share(limit, FORM_SHARE))):
            return True
        return not any(_awaited(group, states[name], memory, settings) for name, group in known.items())
    wanted = [group for name, group in known.items() if memory.group(name).wanted is LoadOrder.SHED]
    return not any(_awaited(group, states[group.id], memory, settings) for group in wanted)


def _awaited(group: LoadGroup, stands: LoadState | None, memory: LoadsMemory, settings: Settings) -> bool:
    """It can still be shed, and somebody tells of it."""
    by_hand = settings.loads_by_hand.get(group.id) is LoadOrder.SHED
    return stands is LoadState.ON and (by_hand or is_sheddable(group, settings)) and not memory.group(group.id).kept
