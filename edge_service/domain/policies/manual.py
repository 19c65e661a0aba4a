"""Manual orders of a person, each with an end; and the mode that pauses everything."""

from collections.abc import Iterator
from datetime import datetime

from edge_service.domain.model import ManualKind, ManualOrder, Mode, Pause, frozen_map
from edge_service.domain.view import Narrowing, Statement, View


def manual(view: View) -> tuple[Statement, ...]:
    """A wish per charger with a running order; in mode ``paused`` all others pause."""
    return tuple(_statements(view))


def running(order: ManualOrder | None, now: datetime) -> ManualOrder | None:
    """The order, unless it is over."""
    return order if order is not None and now < order.until else None


def _statements(view: View) -> Iterator[Statement]:
    for charger in view.open_chargers:
        order = running(view.settings.manual.get(charger), view.observation.now)
        if order is not None:
            wants = frozen_map({charger: _wish_w(view, charger, order)})
            yield Narrowing(f"manual_{order.kind}", wants=wants, data=frozen_map({"until": order.until.isoformat()}))
        elif view.settings.mode is Mode.PAUSED:
            yield Narrowing("paused", instead=frozen_map({charger: Pause()}))


def _wish_w(view: View, charger: str, order: ManualOrder) -> int:
    band = view.bands[charger]
    match order.kind:
        case ManualKind.CHARGE:
            return band.hi if order.power_w is None else order.power_w
        case ManualKind.DISCHARGE:
            return band.lo if order.power_w is None else -order.power_w
        case ManualKind.HOLD:
            return 0
