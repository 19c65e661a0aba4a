"""Backup reserve: charge kept for an outage while the grid is there. Events and tariff never go below it."""

from edge_service.domain.model import Mode
from edge_service.domain.policies.drivers_reserve import no_discharge
from edge_service.domain.view import Statement, View


def backup_reserve(view: View) -> tuple[Statement, ...]:
    """No discharge at or below the reserve; none at all in mode ``hold_for_backup``."""
    if view.settings.mode is Mode.HOLD_FOR_BACKUP:
        return no_discharge("hold_for_backup", list(view.open_chargers))
    low = [charger for charger in view.open_chargers if view.is_low(charger, "backup")]
    return no_discharge("backup_reserve", low)
