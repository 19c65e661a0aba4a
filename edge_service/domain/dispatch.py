"""What a slot of an event asks of all chargers together at this moment: its target, ramped, and counted out for them.

Positive powers charge. The program's scope says whether a target is a sum of the chargers or net at the meter; here
both become a sum of the chargers.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain.band import ANY, Band
from edge_service.domain.memory import EventMemory
from edge_service.domain.model import Event, Slot, SlotKind
from edge_service.domain.preparing import is_net
from edge_service.domain.timeline import Call
from edge_service.domain.view import View

# A charger that is silent when a slot begins is waited for so long: what it does belongs to the power then.
BASE_WAITS_S = 30.0


def asked_w(view: View, call: Call) -> int | None:
    """The sum of the chargers that the slot asks for at its full strength; None: what it counts from is not known.

    Where the program does not want export, or the slot covers the house, no more is supplied than the house uses.
    """
    event, slot = call.event, call.slot
    others_w = view.others_w or 0
    covered_w = -max(others_w, 0)
    match slot.kind:
        case SlotKind.COVER_HOUSE:
            return covered_w
        case SlotKind.MAX_CHARGE:
            return ANY.hi
        case SlotKind.MAX_DISCHARGE:
            target_w: int | None = ANY.lo
        case SlotKind.CHANGE:
            base_w = base_of(view, call)
            target_w = None if base_w is None else base_w + slot.power_w
        case _:
            target_w = slot.power_w
    if target_w is None:
        return None
    if is_net(view, event) and slot.kind is not SlotKind.MAX_DISCHARGE:
        target_w -= others_w
    return target_w if _exports(view, event) else max(target_w, covered_w)


def _exports(view: View, event: Event) -> bool:
    program = view.facts.programs.get(event.program_id)
    return program is None or program.exports


def without_export(view: View, event: Event, wishes: Mapping[str, int]) -> Mapping[str, int]:
    """Powers of chargers that together supply no more than the house and the others use, unless export is wanted."""
    gives_w = sum(wish_w for wish_w in wishes.values() if wish_w < 0)
    used_w = max(view.others_w or 0, 0) + sum(wish_w for wish_w in wishes.values() if wish_w > 0)
    if _exports(view, event) or -gives_w <= used_w:
        return wishes
    return {name: wish_w if wish_w >= 0 else int(wish_w * used_w / -gives_w) for name, wish_w in wishes.items()}


def strength(view: View, event: Event) -> float:
    """How much of the target counts now, 0 to 1: it rises from the event's start and falls to its end.

    What changes inside an event changes at once: slots are the utility's own steps.
    """
    program = view.facts.programs.get(event.program_id)
    ramp_s = 0.0 if program is None else program.ramp_s
    if ramp_s <= 0:
        return 1.0
    now = view.observation.now
    begun_s, left_s = (now - event.start).total_seconds(), (event.end - now).total_seconds()
    return max(0.0, min(1.0, begun_s / ramp_s, left_s / ramp_s))


def left_w(view: View, call: Call, target_w: int) -> int:
    """What the steerable chargers have yet to do: less what the others do, within what is left, and ramped."""
    resting, steerable = view.resting(), view.steerable
    fixed = [power_w for charger, power_w in resting.items() if charger not in steerable]
    fixed_w, whole = sum(fixed), is_net(view, call.event) or call.slot.kind is SlotKind.CHANGE
    counted = fixed if whole else [power_w for power_w in fixed if power_w * target_w > 0]
    possible = Band(
        sum(min(0, view.bands[charger].lo) for charger in steerable),
        sum(max(0, view.bands[charger].hi) for charger in steerable),
    )
    room = possible.squeeze(Band(view.site.lo - fixed_w, max(view.site.lo, view.site.hi) - fixed_w))
    full_w = room.nearest(target_w - sum(counted))
    from_w = room.nearest((_unchanged_w(view, call) or 0) - sum(counted)) if call.slot.kind is SlotKind.CHANGE else 0
    return from_w + round((full_w - from_w) * strength(view, call.event))


def _unchanged_w(view: View, call: Call) -> int | None:
    """What a change begins from, as a sum of the chargers."""
    base_w = base_of(view, call)
    if base_w is None or not is_net(view, call.event):
        return base_w
    return base_w - (view.others_w or 0)


# -------------------------------------------------------------------------------------------- what a change counts from


def base_since(event: Event, slot: Slot) -> datetime:
    """When what a change counts from was measured: the beginning of the unbroken run of changes that holds the slot.

    Not of each slot: an hour of "2 kW less" in four quarters would be 8 kW less in the last.
    """
    since = slot.start
    for former in reversed([one for one in event.slots if one.start < slot.start]):
        if former.kind is not SlotKind.CHANGE or former.end != since:
            break
        since = former.start
    return since


def base_of(view: View, call: Call) -> int | None:
    """The power from which the slot's change counts: as remembered, or as measured now. None: not measured yet."""
    account, since = view.memory.events.get(call.event.uid), base_since(call.event, call.slot)
    if account is not None and account.base_since == since:
        return account.base_w
    return _measured_w(view, call.event, since)


def with_base(view: View, call: Call, account: EventMemory) -> EventMemory:
    """Freeze what a change counts from as soon as it is measured; from then on it stands, over a restart too."""
    if call.slot.kind is not SlotKind.CHANGE:
        return account
    since = base_since(call.event, call.slot)
    if account.base_since == since or (base_w := base_of(view, call)) is None:
        return account
    return replace(account, base_w=base_w, base_since=since)


def _measured_w(view: View, event: Event, since: datetime) -> int | None:
    if not view.tied:
        return None
    if is_net(view, event):
        meter = view.facts.fresh(view.observation.meter, view.observation.now)
        return None if meter is None else meter.power_w
    powers = [reading.power_w for reading in (view.fresh or {}).values() if reading.power_w is not None]
    waits = view.observation.now < since + timedelta(seconds=BASE_WAITS_S)
    return None if waits and len(powers) < len(view.facts.chargers) else sum(powers)
