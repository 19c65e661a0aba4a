"""Backup reserve: charge kept for an outage while the grid is there. Events and tariff never go below it.

A storm raises it for a time: the vehicles charge up to it at once, and give nothing while it lasts.
"""

from collections.abc import Iterator

from edge_service.domain import storms
from edge_service.domain.band import ANY, Band
from edge_service.domain.model import Alert, Mode, Storm, frozen_map
from edge_service.domain.policies.drivers_reserve import no_discharge
from edge_service.domain.view import Narrowing, Statement, View


def backup_reserve(view: View) -> tuple[Statement, ...]:
    """No discharge at or below the reserve; none at all in a storm and in mode ``hold_for_backup``."""
    storm = view.settings.storm_at(view.observation.now)
    if storm is not None:
        return tuple(_in_storm(view, storm))
    alert = storms.emergency(view.settings, view.observation)
    return (*_rations(view, alert), *_reserve(view))


def _reserve(view: View) -> tuple[Statement, ...]:
    if view.settings.mode is Mode.HOLD_FOR_BACKUP:
        return no_discharge("hold_for_backup", list(view.open_chargers))
    low = [charger for charger in view.open_chargers if view.is_low(charger, "backup")]
    return no_discharge("backup_reserve", low)


def _rations(view: View, alert: Alert | None) -> tuple[Statement, ...]:
    """The grid may fail for want of power: nothing is taken from it, and more is kept (``resolved.py``)."""
    if alert is None or not view.open_chargers:
        return ()
    data = frozen_map({"until": None if alert.end is None else alert.end.isoformat(), "name": alert.name})
    rations = dict.fromkeys(view.open_chargers, Band(ANY.lo, 0))
    return (Narrowing("grid_emergency", bands=frozen_map(rations), data=data),)


def _in_storm(view: View, storm: Storm) -> Iterator[Statement]:
    until = None if storm.open_ended else storm.until.isoformat()
    data = frozen_map({"until": until, "name": storm.name, "reserve_pct": storm.reserve_pct, "alert": storm.alert})
    keeps = dict.fromkeys(view.open_chargers, Band(0, ANY.hi))
    yield Narrowing("storm", bands=frozen_map(keeps), data=data)
    # A vehicle that does not tell its charge is filled, too: it ends that by itself.
    low = [name for name in view.steerable if view.is_low(name, "fill") or view.soc_pct(name) is None]
    wishes = {name: view.bands[name].hi for name in low if view.bands[name].hi > 0}
    if wishes:
        yield Narrowing("storm_charges", wants=frozen_map(view.share(wishes)), data=data)
