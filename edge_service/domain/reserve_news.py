"""What people are told of the charge in an outage: alarms before the backup ends, and what is not known of it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from edge_service.domain.memory import ALIVE, Memory
from edge_service.domain.model import (
    EMPTY_SOC_PCT,
    AtEnd,
    Backup,
    Notice,
    Runtime,
    Supply,
    frozen_map,
)
from edge_service.domain.view import View

# Time to go home and plan, to switch off what is not needed, to save work and lend the reserve.
ALARMS_MIN = (120.0, 30.0, 10.0)
# The same without a runtime: points of charge above where backup ends.
ALARMS_PCT = (5.0, 3.0, 1.0)
# An alarm that has passed rings again only when there was so much more left meanwhile.
HYSTERESIS = 1.5
HYSTERESIS_PCT = 1.0
SETTLES = timedelta(seconds=30)
# A vehicle that was just plugged in tells its charge a moment after it begins to carry the house.
TELLS_AFTER = timedelta(seconds=5)
KEY = "reserve"


def follow(view: View, before: Memory, after: Memory, lasts: Runtime | None) -> int:
    """How many of the alarms the end of the backup has passed. Kept while it is not known, or dark for a moment."""
    if view.tied:
        return 0
    charger = _carrier(view, after)
    if charger is None:
        return before.reserve_alarms
    if lasts is not None:
        wider = tuple(limit * HYSTERESIS for limit in ALARMS_MIN)
        return _passed(before.reserve_alarms, ALARMS_MIN, wider, _min(lasts))
    soc_pct = view.soc_pct(charger)
    if soc_pct is None or _just_found(view, after):
        return before.reserve_alarms
    left_pct, wider = soc_pct - _end_pct(view, charger), tuple(limit + HYSTERESIS_PCT for limit in ALARMS_PCT)
    return _passed(before.reserve_alarms, ALARMS_PCT, wider, left_pct)


def _just_found(view: View, after: Memory) -> bool:
    """An island that stands since a moment, or was found after a restart: how long it lasts is worked out yet."""
    since = after.island.since
    return after.island.step in ALIVE and since is not None and view.observation.now - since < SETTLES


def _passed(before: int, limits: tuple[float, ...], again: tuple[float, ...], left: float | None) -> int:
    if left is None:
        return 0
    return sum(left <= (again if place < before else limits)[place] for place in range(len(limits)))


def _min(lasts: Runtime) -> float | None:
    """Minutes that the vehicle lasts; None: without end."""
    return None if lasts.p50_h is None else lasts.p50_h * 60


def _carrier(view: View, after: Memory) -> str | None:
    """The charger that carries the house now: the one that forms, or the emptiest of those that a gateway runs."""
    if after.island.step in ALIVE:
        return after.island.former
    if view.supply is not Supply.VENDOR_BACKUP:
        return None
    gives = {name: view.soc_pct(name) for name in view.facts.chargers if _has_gateway(view, name)}
    known = {name: soc for name, soc in gives.items() if soc is not None}
    return min(known, key=lambda name: (known[name], name), default=None)


def _has_gateway(view: View, charger: str) -> bool:
    capability = view.capability(charger)
    return capability is not None and capability.backup is Backup.VENDOR


def _ends(view: View) -> AtEnd:
    """A vendor's gateway does not know the driver's reserve: it goes on to the empty battery."""
    return AtEnd.LEND if view.supply is Supply.VENDOR_BACKUP else view.settings.at_end


def _end_pct(view: View, charger: str) -> float:
    return EMPTY_SOC_PCT if _ends(view) is AtEnd.LEND else view.settings.drivers_reserve(charger)


def rings(before: Memory, after: Memory) -> bool:
    """One more alarm has passed: the notice gets a new number, so that a phone rings again."""
    return after.reserve_alarms > before.reserve_alarms


def notices(view: View, before: Memory, after: Memory, lasts: Runtime | None) -> Iterator[Notice]:
    """What stands."""
    charger = _carrier(view, after)
    if charger is not None and after.reserve_alarms:
        left_min = None if lasts is None else _min(lasts)
        yield _notice(
            view,
            KEY,
            "reserve_near",
            "critical",
            charger=view.facts.chargers[charger].name,
            soc_pct=view.soc_pct(charger),
            minutes=None if left_min is None else round(left_min),
            ends="stop" if _ends(view) is AtEnd.STOP else "empty",
        )
    if charger is not None and _tells_no_charge(view, before, after, charger):
        name = view.facts.chargers[charger].name
        yield _notice(view, f"charge_unknown:{charger}", "charge_unknown", "warning", charger=name)
    for name, miles in view.settings.drivers_reserve_miles.items():
        yield from _unsure(view, after, name, miles)


def _tells_no_charge(view: View, before: Memory, after: Memory, charger: str) -> bool:
    if view.reading(charger) is None or view.soc_pct(charger) is not None:
        return False
    since = after.island.since
    just_begun = since is not None and view.observation.now - since < TELLS_AFTER
    return not just_begun or f"charge_unknown:{charger}" in before.notices


def _unsure(view: View, after: Memory, charger: str, miles: float) -> Iterator[Notice]:
    """A vehicle that is there and has never told its size: so many miles cannot be told in percent."""
    reading = view.reading(charger)
    if reading is not None and reading.plugged and not after.charger(charger).capacity_wh:
        said = {"charger": view.facts.chargers[charger].name, "miles": miles}
        reserve_pct = view.settings.drivers_reserve(charger)
        yield _notice(view, f"reserve:{charger}", "reserve_unsure", "info", **said, reserve_pct=reserve_pct)


def _notice(view: View, key: str, kind: str, level: str, **data: Any) -> Notice:
    return Notice(key, kind, level, view.observation.now, frozen_map(data))
