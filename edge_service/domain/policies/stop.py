"""A person's stop: for fire, smoke or someone working on the line. Latched; reset on site."""

from edge_service.domain.model import Stop, frozen_map
from edge_service.domain.view import Narrowing, Statement, View


def stop(view: View) -> tuple[Statement, ...]:
    """Every charger stops, a forming one too."""
    if not view.settings.stopped:
        return ()
    return (Narrowing("stopped_by_person", instead=frozen_map(dict.fromkeys(view.open_chargers, Stop()))),)
