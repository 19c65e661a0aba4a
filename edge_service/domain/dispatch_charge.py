"""A charge to be reached by a slot's end: how much each vehicle takes in or gives for that, spread over the time."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from math import ceil

from edge_service.domain.forecast import EFFICIENCY, HEAD_START, hours_between, hours_to_reach
from edge_service.domain.model import ChargerReading, Slot
from edge_service.domain.preparing import floor_pct
from edge_service.domain.timeline import Call
from edge_service.domain.view import View

# Charge is told in whole percent: nearer than this it is reached.
REACHED_PCT = 0.5
# Spread over the time that is left, with so much to spare: vehicles take less and less, and others may need the room.
SPARE = 1.15
# Orders move in these steps, so that a charger is not told a new watt each second.
STEP_W = 100


def wishes(view: View, call: Call) -> dict[str, int]:
    """A power for each open charger that takes a setpoint: 0 where its charge is reached, or is not told."""
    targets = dict(_targets(view, call))
    return {name: _power_w(view, call.slot, name, targets.get(name)) for name in view.steerable}


def _targets(view: View, call: Call) -> Iterator[tuple[str, float]]:
    """Percent that each vehicle is to have; of an energy for all of them each takes the same percent."""
    slot, told = call.slot, {name: one for name in view.steerable if (one := _told(view, name)) is not None}
    percent = slot.soc_pct
    if percent is None and slot.energy_wh is not None and told:
        percent = 100 * slot.energy_wh / sum(one.capacity_wh or 0 for one in told.values())
    if percent is None:
        return
    for name, reading in told.items():
        # No lower than its floor for the event's sake; and what is below its floor already is not lifted for it.
        lowest_pct = min(floor_pct(view, call.event, name), reading.soc_pct or 0.0)
        yield name, min(100.0, max(percent, lowest_pct))


def _told(view: View, charger: str) -> ChargerReading | None:
    reading = view.reading(charger)
    return reading if reading is not None and reading.soc_pct is not None and reading.capacity_wh else None


def _power_w(view: View, slot: Slot, charger: str, target_pct: float | None) -> int:
    reading = view.reading(charger)
    if target_pct is None or reading is None or reading.soc_pct is None or not reading.capacity_wh:
        return 0
    missing_pct = target_pct - reading.soc_pct
    if abs(missing_pct) < REACHED_PCT:
        return 0
    hours = _hours_left(view, slot)
    band, wh = view.bands[charger], abs(missing_pct) / 100 * reading.capacity_wh
    if missing_pct < 0:
        return -_stepped(wh * EFFICIENCY / hours, _least_w(view, charger, -1), -band.lo)
    needs_h = hours_to_reach(reading.soc_pct, target_pct, reading.capacity_wh, max(1, band.hi))
    spread_w = wh / EFFICIENCY / hours
    # Near the top it takes longer than its energy tells: the power that has it there in time, at its own pace.
    return _stepped(max(spread_w, band.hi * min(1.0, needs_h / hours)), _least_w(view, charger, 1), band.hi)


def _hours_left(view: View, slot: Slot) -> float:
    """Hours in which to do it; the last of them are kept to spare while there are enough."""
    now = view.observation.now
    whole = slot.end - now
    return max(hours_between(now, slot.end - min(HEAD_START, whole / 4)), timedelta(seconds=1) / timedelta(hours=1))


def _least_w(view: View, charger: str, sign: int) -> int:
    capability = view.capability(charger)
    if capability is None:
        return 0
    return capability.min_charge_w if sign > 0 else capability.min_discharge_w


def _stepped(power_w: float, least_w: int, most_w: int) -> int:
    return max(0, min(most_w, max(least_w, ceil(power_w * SPARE / STEP_W) * STEP_W)))


def weights(view: View) -> Mapping[str, float]:
    """AC energy that each vehicle can still take in: who has more room gets more."""
    told = {name: one for name in view.steerable if (one := _told(view, name)) is not None}
    return {name: max(1.0, 100 - (one.soc_pct or 0)) * (one.capacity_wh or 1) for name, one in told.items()}
