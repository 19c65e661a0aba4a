"""From a band and a wish to what a device can do. A rounding or refusal is a shown step, never silent.

A device that takes two limits is told a bound and not a setpoint: the wish is the limit of its side, the other side is
set to the device's floor, because such devices cannot be told 0 (a vehicle may latch an error); none at all is a stop.
The direction is the session's: whether power flows on the side that nobody wants is for ``follows`` to see.

A device that takes a cap of generation serves limits only: what it is told follows from the band, whatever is wished.
"""

from dataclasses import dataclass
from datetime import datetime

from edge_service.domain.band import Band
from edge_service.domain.memory import ChargerMemory
from edge_service.domain.model import Capability, Control, Hold, Limits, Order, Pause, Power, Release, Stop


@dataclass(frozen=True, slots=True)
class Realised:
    """The order and, where it differs from the wish, why: ``rounded dead_zone_left dead_zone_raised dwell``.

    ``power_w``: the power it stands for, with its sign; of a cap the most that may be supplied, as a negative number;
    None where nothing is ordered.
    """

    order: Order
    power_w: int | None
    changed_by: str | None = None


def realise(band: Band, want_w: int, capability: Capability, memory: ChargerMemory, now: datetime) -> Realised:
    """The order nearest to the wish that the device can follow and the rungs above allow.

    A value in a dead zone goes toward zero, unless zero is outside the band; then to the zone's edge if that is
    allowed, else pause or stop, whichever keeps the upper rungs.
    """
    if capability.control is Control.GENERATION_CAP:
        return _cap(band, capability, memory, now)
    wish_w = band.nearest(want_w)
    if _dwells(band, wish_w, capability, memory, now):
        return Realised(_order(memory.order_w or 0, capability), memory.order_w, "dwell")
    power_w, changed_by = _reachable(band, wish_w, capability)
    if power_w is None:
        return Realised(_rest(capability, out_of_reach=True), 0, "dead_zone_left")
    return Realised(_order(power_w, capability), power_w, changed_by)


def done_w(band: Band, want_w: int, capability: Capability) -> int:
    """The power inside the band that comes of a wish at this device, guard times aside: what others may count on."""
    if capability.step_w == 1 and not (capability.min_charge_w or capability.min_discharge_w):
        return want_w
    return band.nearest(_reachable(band, want_w, capability)[0] or 0)


def kept_w(band: Band, want_w: int, capability: Capability, memory: ChargerMemory, now: datetime) -> int:
    """The same, the guard time included: while that runs, the former power is what the others have to count with."""
    if _dwells(band, band.nearest(want_w), capability, memory, now):
        return memory.order_w or 0
    return done_w(band, want_w, capability)


def order_power_w(order: Order | None, capability: Capability | None = None) -> int | None:
    """The power an order stands for: its setpoint, 0 for the orders that let nothing flow, None where none is told.

    Limits stand for the side that is wanted: the one above its floor, or the only one that is open. None where the
    order itself does not tell which (both sides at their floors, or a floor that is not known), and for a cap.
    """
    match order:
        case Power(w):
            return w
        case Hold() | Pause() | Stop():
            return 0
        case Limits() as limits:
            return _wanted_w(limits, capability)
        case _:
            return None


def follows(order: Order, power_w: int | None, capability: Capability | None) -> bool | None:
    """Whether a measured power is what the order asks for, within the model's tolerance; None: cannot be told.

    Limits are kept by any power between zero and the wanted side's limit: a full vehicle under a charge limit follows.
    Power on the side that nobody wants does not, though the device's floor is no lower.
    """
    if power_w is None or capability is None:
        return None
    match order:
        case Power(w):
            return abs(power_w - w) <= capability.tolerance_of(w)
        case Hold() | Pause() | Stop():
            return abs(power_w) <= capability.tolerance_of(0)
        case Limits() as limits:
            band = _bound(limits, capability)
            return band.lo - capability.tolerance_of(band.lo) <= power_w <= band.hi + capability.tolerance_of(band.hi)
        case _:
            return None


def _bound(limits: Limits, capability: Capability) -> Band:
    wanted_w = _wanted_w(limits, capability)
    if wanted_w is None:
        return Band(-limits.discharge_max_w, limits.charge_max_w)
    return Band(min(wanted_w, 0), max(wanted_w, 0))


def _wanted_w(limits: Limits, capability: Capability | None) -> int | None:
    charge_w, discharge_w = limits.charge_max_w, limits.discharge_max_w
    if capability is not None and capability.control is Control.GENERATION_CAP:
        return None
    if not charge_w or not discharge_w:
        return charge_w or -discharge_w
    if capability is None:
        return None
    charges, discharges = charge_w > capability.min_charge_w, discharge_w > capability.min_discharge_w
    if charges == discharges:
        return None
    return charge_w if charges else -discharge_w


def _dwells(band: Band, wish_w: int, capability: Capability, memory: ChargerMemory, now: datetime) -> bool:
    """Within the guard time after a change the former order stands, if it is still allowed and can be done.

    It never holds back a change toward zero.
    """
    before_w = memory.order_w
    if not capability.guard_s or before_w is None or memory.order_since is None or before_w not in band:
        return False
    if wish_w == before_w or (now - memory.order_since).total_seconds() >= capability.guard_s:
        return False
    is_less = 0 <= wish_w < before_w or before_w < wish_w <= 0
    return not is_less and _reachable(band, before_w, capability) == (before_w, None)


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
    edge_w = _away_from_zero(least_w, capability.step_w) * (1 if stepped_w > 0 else -1)
    return (edge_w if edge_w in band else None), "dead_zone_raised"


def _toward_zero(power_w: int, step_w: int) -> int:
    whole = abs(power_w) // step_w * step_w
    return whole if power_w >= 0 else -whole


def _away_from_zero(power_w: int, step_w: int) -> int:
    return -(-power_w // step_w) * step_w


def _order(power_w: int, capability: Capability) -> Order:
    if not power_w:
        return _rest(capability)
    if capability.control is not Control.TWO_LIMITS:
        return Power(power_w)
    charge_floor_w = min(capability.min_charge_w, capability.charge_rating_w)
    discharge_floor_w = min(capability.min_discharge_w, capability.discharge_rating_w)
    return Limits(power_w, discharge_floor_w) if power_w > 0 else Limits(charge_floor_w, -power_w)


def _rest(capability: Capability, *, out_of_reach: bool = False) -> Order:
    """Nothing flows. ``out_of_reach``: zero is not what is allowed, but nothing that is allowed can be done."""
    if capability.never_zero or capability.control is Control.TWO_LIMITS:
        return Stop()
    ends = capability.zero_ends_session_after_s is not None
    if out_of_reach:
        return Stop() if ends else Pause()
    return Pause() if ends else Hold()


def _cap(band: Band, capability: Capability, memory: ChargerMemory, now: datetime) -> Realised:
    """The most that may be supplied, on the step grid below it; released where the rating is allowed anyway.

    A cap neither makes a charger work nor holds its charging: of the band only the supply side can be kept. Within the
    guard time it is tightened and not loosened.
    """
    allowed_w = max(0, -band.lo)
    most_w = _toward_zero(min(allowed_w, capability.discharge_rating_w), capability.step_w)
    if (former_w := _guarded_cap_w(most_w, capability, memory, now)) is not None:
        return Realised(Limits(capability.charge_rating_w, former_w), -former_w, "dwell")
    if allowed_w >= capability.discharge_rating_w:
        return Realised(Release(), None)
    return Realised(Limits(capability.charge_rating_w, most_w), -most_w, "rounded" if most_w != allowed_w else None)


def _guarded_cap_w(most_w: int, capability: Capability, memory: ChargerMemory, now: datetime) -> int | None:
    if not capability.guard_s or memory.order_w is None or memory.order_since is None:
        return None
    former_w, passed_s = -memory.order_w, (now - memory.order_since).total_seconds()
    is_cap = former_w >= 0 and former_w == _toward_zero(former_w, capability.step_w)
    return former_w if is_cap and former_w < most_w and passed_s < capability.guard_s else None
