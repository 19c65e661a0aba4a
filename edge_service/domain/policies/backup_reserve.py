"""Backup reserve: charge kept for an outage while the grid is there. Events and tariff never go below it.

A storm raises it for a time: the vehicles charge up to it at once, and give nothing while it lasts.
"""

from collections.abc import Iterator

from edge_service.domain.band import ANY, Band
from edge_service.domain.model import Mode, Storm, frozen_map
from edge_service.domain.policies.drivers_reserve import no_discharge
from edge_service.domain.view import Narrowing, Statement, View


def backup_reserve(view: View) -> tuple[Statement, ...]:
    """No discharge at or below the reserve; none at all in a storm and in mode ``hold_for_backup``."""
    storm = view.settings.storm_at(view.observation.now)
    if storm is not None:
        return tuple(_in_storm(view, storm))
    if view.settings.mode is Mode.HOLD_FOR_BACKUP:
        return no_discharge("hold_for_backup", list(view.open_chargers))
    low = [charger for charger in view.open_chargers if view.is_low(charger, "backup")]
    return no_discharge("backup_reserve", low)


def _in_storm(view: View, storm: Storm) -> Iterator[Statement]:
    data = frozen_map({"until": storm.until.isoformat(), "name": storm.name, "reserve_pct": storm.reserve_pct})
    keeps = dict.fromkeys(view.open_chargers, Band(0, ANY.hi))
    yield Narrowing("storm", bands=frozen_map(keeps), data=data)
    # A vehicle that does not tell its charge is filled, too: it ends that by itself.
    low = [name for name in view.steerable if view.is_low(name, "fill") or view.soc_pct(name) is None]
    wishes = {name: view.bands[name].hi for name in low if view.bands[name].hi > 0}
    if wishes:
        yield Narrowing("storm_charges", wants=frozen_map(view.share(wishes)), data=data)
