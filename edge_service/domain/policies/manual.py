"""Manual orders of a person, each with an end; and the mode that pauses everything."""

from collections.abc import Iterator
from datetime import datetime

from edge_service.domain.band import ANY, Band
from edge_service.domain.model import ManualKind, ManualOrder, Mode, Pause, frozen_map
from edge_service.domain.view import Narrowing, Statement, View


def manual(view: View) -> tuple[Statement, ...]:
    """A wish per charger with a running order; in mode ``paused`` all others pause."""
    return tuple(_statements(view))


def running(order: ManualOrder | None, now: datetime) -> ManualOrder | None:
    """The order, unless it is over."""
    return order if order is not None and now < order.until else None


def _statements(view: View) -> Iterator[Statement]:
    """Several persons' orders share what there is: no vehicle is served first because it is named first."""
    now, orders = view.observation.now, view.settings.manual
    ordered = {name: order for name in view.steerable if (order := running(orders.get(name), now))}
    shares = view.share({name: _wish_w(view, name, order) for name, order in ordered.items()})
    for charger, order in ordered.items():
        wants = frozen_map({charger: shares[charger]})
        yield Narrowing(f"manual_{order.kind}", wants=wants, data=frozen_map({"until": order.until.isoformat()}))
    if view.settings.mode is Mode.PAUSED:
        yield from _pauses(view, [charger for charger in view.open_chargers if charger not in ordered])


def _pauses(view: View, chargers: list[str]) -> Iterator[Statement]:
    """One that takes only a cap cannot be paused; it gives nothing."""
    for charger in chargers:
        if view.takes_setpoint(charger):
            yield Narrowing("paused", instead=frozen_map({charger: Pause()}))
        else:
            yield Narrowing("paused", bands=frozen_map({charger: Band(0, ANY.hi)}))


def _wish_w(view: View, charger: str, order: ManualOrder) -> int:
    band = view.bands[charger]
    match order.kind:
        case ManualKind.CHARGE:
            return band.hi if order.power_w is None else order.power_w
        case ManualKind.DISCHARGE:
            return band.lo if order.power_w is None else -order.power_w
        case ManualKind.HOLD:
            return 0
