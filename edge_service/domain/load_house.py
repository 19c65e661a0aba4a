"""What the house draws, remembered for the moment in which nobody measures it any more, and of which groups it is."""

from collections.abc import Mapping
from dataclasses import replace

from edge_service.domain.altered import altered
from edge_service.domain.band import MILLION
from edge_service.domain.load_fit import expected_w, heard, part
from edge_service.domain.memory import LoadMemory, LoadsMemory
from edge_service.domain.model import LoadGroup, LoadOrder, LoadState, Supply, frozen_map
from edge_service.domain.view import View

RUNS = frozenset({LoadState.ON, LoadState.KEPT})


def of_house(view: View, memory: LoadsMemory, known: Mapping[str, LoadGroup]) -> LoadsMemory:
    """The last known load, while something feeds the house and it is measured; otherwise as it was."""
    carried = view.supply in (Supply.ISLAND, Supply.VENDOR_BACKUP)
    if not (view.tied or carried) or view.house_w is None:
        return memory
    groups = {name: _seen(view, name, memory.group(name)) for name in known}
    legs = _measured_legs(view) if view.tied else _reckoned_legs(view.house_w, memory, groups, known)
    return altered(memory, groups=frozen_map(groups), house_w=max(0, view.house_w), leg_w=legs)


def _seen(view: View, name: str, known: LoadMemory) -> LoadMemory:
    """Whether it is part of the load that is measured now, and what it draws."""
    reading = heard(view.observation, name, view.facts)
    if reading is None or reading.state is None:
        counted, power_w = known.wanted is LoadOrder.ON, known.power_w
    else:
        counted = reading.state in RUNS
        power_w = reading.power_w if counted and reading.power_w is not None else known.power_w
    if (counted, power_w) == (known.counted, known.power_w):
        return known
    return replace(known, counted=counted, power_w=power_w)


def _measured_legs(view: View) -> tuple[int, ...]:
    """Of each leg, less the chargers; empty where the meter does not tell."""
    legs = view.memory.others_u[1:]
    known = [max(0, leg // MILLION) for leg in legs if leg is not None]
    return tuple(known) if len(known) == len(view.facts.leg_max_w) else ()


def _reckoned_legs(
    house_w: int, memory: LoadsMemory, groups: Mapping[str, LoadMemory], known: Mapping[str, LoadGroup]
) -> tuple[int, ...]:
    """In an island no meter sees the legs: as they were, with what was shed or came back, the rest spread alike."""
    count = len(memory.leg_w)
    if not count:
        return ()
    legs = [float(leg) for leg in memory.leg_w]
    for name, now in groups.items():
        was = memory.group(name)
        if now.counted is not was.counted:
            change = part(known[name], expected_w(known[name], now) or 0, count)[1:]
            legs = [leg + (one if now.counted else -one) for leg, one in zip(legs, change, strict=True)]
    rest = (house_w - sum(legs)) / count
    return tuple(max(0, round(leg + rest)) for leg in legs)
