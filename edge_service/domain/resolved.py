"""What people decided, as it counts at this moment: miles as percent, what was lent, the storm of an alert."""

from dataclasses import replace
from math import ceil
from typing import Any

from edge_service.domain import storms
from edge_service.domain.departing import DEFAULT_MILES_PER_KWH
from edge_service.domain.memory import Memory
from edge_service.domain.model import (
    EMPTY_SOC_PCT,
    AtEnd,
    Observation,
    Settings,
    SiteFacts,
    frozen_map,
)

# A reserve of miles in whole percent, rounded up; what is less than this above a whole percent is arithmetic.
ROUNDING_PCT = 1e-6


def resolved(settings: Settings, observation: Observation, memory: Memory, facts: SiteFacts) -> Settings:
    """The settings that this decision goes by; the very same where nothing is to be worked out."""
    changed: dict[str, Any] = {}
    if settings.drivers_reserve_miles or settings.lent_pct:
        reserves = {
            name: lowered_pct(settings, name, capacity_wh(observation, memory, name))
            for name in settings.drivers_reserve_miles.keys() | settings.lent_pct.keys()
        }
        changed["drivers_reserve_pct"] = frozen_map({**settings.drivers_reserve_pct, **reserves})
    if (at_end := at_end_of(settings, facts)) is not settings.at_end:
        changed["at_end"] = at_end
    if observation.alerts and (storm := storms.storm_of(settings, observation)) != settings.storm:
        changed["storm"] = storm
    if storms.emergency(settings, observation) is not None:
        changed["backup_reserve_pct"] = max(settings.backup_reserve_pct, settings.storm_reserve_pct)
    return replace(settings, **changed) if changed else settings


def at_end_of(settings: Settings, facts: SiteFacts) -> AtEnd:
    """A person's choice; else all that the vehicle has, where somebody's health depends on a load."""
    groups = (*settings.load_groups.values(), *facts.relays.values())
    if not settings.at_end_chosen and any(group.medical for group in groups):
        return AtEnd.LEND
    return settings.at_end


def capacity_wh(observation: Observation, memory: Memory, charger: str) -> int | None:
    """The vehicle's size as read, or as last told; None: never told."""
    reading = observation.chargers.get(charger)
    return (reading.capacity_wh if reading is not None else None) or memory.charger(charger).capacity_wh


def reserve_pct(settings: Settings, charger: str, capacity_wh: int | None) -> float:
    """Percent to drive away with as a person asked for it, before anything is lent.

    Miles of a vehicle of unknown size cannot be told in percent: the usual percentage counts then.
    """
    miles = settings.drivers_reserve_miles.get(charger)
    if miles is None or not capacity_wh:
        return settings.drivers_reserve(charger)
    return min(100.0, pct_of_miles(settings, charger, miles, capacity_wh))


def pct_of_miles(settings: Settings, charger: str, miles: float, capacity_wh: int) -> float:
    """Whole percent of the vehicle's battery that so many miles take, rounded up."""
    energy_wh = miles / settings.miles_per_kwh.get(charger, DEFAULT_MILES_PER_KWH) * 1000
    return float(ceil(energy_wh / capacity_wh * 100 - ROUNDING_PCT))


def lowered_pct(settings: Settings, charger: str, capacity_wh: int | None) -> float:
    """The reserve less what was lent. Lending leaves what the vehicle's own battery management needs."""
    asked = reserve_pct(settings, charger, capacity_wh)
    return min(asked, max(EMPTY_SOC_PCT, asked - settings.lent_pct.get(charger, 0.0)))
