"""Driver's reserve: charge kept to drive away with. In an island it works by notice and by ``end_backup``."""

from edge_service.domain.band import ANY, Band
from edge_service.domain.model import frozen_map
from edge_service.domain.view import Narrowing, Statement, View


def drivers_reserve(view: View) -> tuple[Statement, ...]:
    """A vehicle at or below the reserve does not discharge."""
    low = [charger for charger in view.open_chargers if view.is_low(charger, "driver")]
    return no_discharge("drivers_reserve", low)


def no_discharge(reason: str, chargers: list[str]) -> tuple[Statement, ...]:
    """Forbid discharge, leave charging as it is."""
    if not chargers:
        return ()
    return (Narrowing(reason, bands=frozen_map(dict.fromkeys(chargers, Band(0, ANY.hi)))),)
