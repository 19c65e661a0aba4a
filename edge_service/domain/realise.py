"""From a band and a wish to what a device can do. A rounding or refusal is a shown step, never silent."""

from dataclasses import dataclass
from datetime import datetime

from edge_service.domain.band import Band
from edge_service.domain.memory import ChargerMemory
from edge_service.domain.model import Capability, Control, Hold, Limits, Order, Pause, Power, Stop


@dataclass(frozen=True, slots=True)
class Realised:
    """The order and, where it differs from the wish, why: ``rounded dead_zone_left dead_zone_raised dwell``."""

    order: Order
    changed_by: str | None = None


def realise(band: Band, want_w: int, capability: Capability, memory: ChargerMemory, now: datetime) -> Realised:
    """The order nearest to the wish that the device can follow and the rungs above allow.

    A value in a dead zone goes toward zero, unless zero is outside the band; then to the zone's edge if that is
    allowed, else pause or stop, whichever keeps the upper rungs.
    """
    wish_w = band.nearest(want_w)
    if _dwells(band, wish_w, capability, memory, now):
        return Realised(_order(memory.order_w or 0, capability), "dwell")
    power_w, changed_by = _reachable(band, wish_w, capability)
    if power_w is None:
        return Realised(Stop() if capability.zero_ends_session_after_s is not None else Pause(), "dead_zone_left")
    return Realised(_order(power_w, capability), changed_by)


def order_power_w(order: Order | None) -> int | None:
    """The power an order stands for: its setpoint, 0 for the orders that let nothing flow, None where none is told."""
    match order:
        case Power(w):
            return w
        case Hold() | Pause() | Stop():
            return 0
        case Limits(charge_max_w, discharge_max_w):
            return charge_max_w or -discharge_max_w
        case _:
            return None


def _dwells(band: Band, wish_w: int, capability: Capability, memory: ChargerMemory, now: datetime) -> bool:
    """Within the guard time after a change the former order stands, as long as it is still allowed."""
    if not capability.guard_s or memory.order_w is None or memory.order_since is None or memory.order_w not in band:
        return False
    return wish_w != memory.order_w and (now - memory.order_since).total_seconds() < capability.guard_s


def _reachable(band: Band, wish_w: int, capability: Capability) -> tuple[int | None, str | None]:
    stepped_w = _toward_zero(wish_w, capability.step_w)
    if stepped_w not in band:
        stepped_w += capability.step_w * (1 if wish_w > 0 else -1)
    least_w = capability.min_charge_w if stepped_w > 0 else capability.min_discharge_w
    if stepped_w == 0 or abs(stepped_w) >= least_w:
        fits = stepped_w in band
        return (stepped_w if fits else None), ("rounded" if stepped_w != wish_w else None)
    if 0 in band:
        return 0, "dead_zone_left"
    edge_w = least_w if stepped_w > 0 else -least_w
    return (edge_w if edge_w in band else None), "dead_zone_raised"


def _toward_zero(power_w: int, step_w: int) -> int:
    whole = abs(power_w) // step_w * step_w
    return whole if power_w >= 0 else -whole


def _order(power_w: int, capability: Capability) -> Order:
    if capability.control is Control.TWO_LIMITS:
        return Limits(max(power_w, 0), max(-power_w, 0)) if power_w else Stop()
    if power_w:
        return Power(power_w)
    if capability.never_zero:
        return Stop()
    return Pause() if capability.zero_ends_session_after_s is not None else Hold()
