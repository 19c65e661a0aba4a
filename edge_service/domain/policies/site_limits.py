"""Site limits: the service's import limit and what may be exported, measured at the meter."""

from edge_service.domain.band import Band
from edge_service.domain.model import frozen_map
from edge_service.domain.view import Narrowing, Statement, View


def site_limits(view: View) -> tuple[Statement, ...]:
    """Bound the sum of the chargers so that the point of connection stays within its limits.

    A configured meter that does not answer is taken for the worst case: no export, no import on top (a house that
    draws nothing cannot take our power; one that draws all leaves none). Without a meter the limits hold for the
    chargers alone.
    """
    if not view.tied:
        return (Narrowing("no_export_off_grid", site=Band(0, max(0, view.facts.import_max_w))),)
    facts, house_w = view.facts, view.house_w
    if house_w is None and facts.has_meter:
        return (Narrowing("meter_silent", site=Band(0, 0)),)
    house_w = house_w or 0
    low, high = -(facts.export_max_w + max(house_w, 0)) - min(house_w, 0), facts.import_max_w - house_w
    band = Band(min(low, high), high)
    return (Narrowing("service_limits", site=band, data=frozen_map({"house_w": house_w})),)
