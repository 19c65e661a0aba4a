"""Demand response: the utility's event that runs now, or the charging that one to come needs."""

from datetime import timedelta

from edge_service.domain.band import ANY, Band
from edge_service.domain.model import Event, Slot, SlotKind, frozen_map
from edge_service.domain.preparing import is_net, lacks, limits, spare_wh
from edge_service.domain.timeline import Timeline
from edge_service.domain.view import Narrowing, Statement, View

# An event this far ahead is prepared for; utilities announce a day before.
PREPARE_AHEAD = timedelta(hours=24)


def demand_response(view: View) -> tuple[Statement, ...]:
    """What the event that rules now asks of the chargers together; before an event, the charge it lacks."""
    if view.on_generator:
        return ()
    now = view.observation.now
    events = tuple(event for event in view.observation.events if event.slots and view.settings.takes_part(event))
    running = Timeline(events).at(now)
    if running is not None:
        return _serve(view, running.event, running.slot)
    return _prepare(view, events)


def _serve(view: View, event: Event, slot: Slot) -> tuple[Statement, ...]:
    data = frozen_map({"event": event.uid, "name": event.name, "until": slot.end.isoformat()})
    low = [charger for charger in view.open_chargers if view.is_low(charger, "event")]
    floors = Narrowing("event_floor", bands=frozen_map(dict.fromkeys(low, Band(0, ANY.hi))), data=data)
    if slot.kind is SlotKind.NO_CHARGE:
        bands = frozen_map(dict.fromkeys(view.open_chargers, Band(ANY.lo, 0)))
        return (floors, Narrowing("event_no_charge", bands=bands, data=data))
    target_w = _target_w(view, event, slot)
    left_w = _left_w(view, event, target_w)
    wishes = {
        charger: 0 if left_w < 0 and charger in low else view.bands[charger].nearest(left_w)
        for charger in view.steerable
    }
    wants = view.share(wishes, left_w, weight=spare_wh(view, event), fully=True)
    return (floors, Narrowing("event", wants=frozen_map(wants), data=data))


def _target_w(view: View, event: Event, slot: Slot) -> int:
    house_w = view.others_w or 0
    if slot.kind is SlotKind.MAX_DISCHARGE:
        return ANY.lo
    if slot.kind is SlotKind.COVER_HOUSE:
        return -max(house_w, 0)
    return slot.power_w - house_w if is_net(view, event) else slot.power_w


def _left_w(view: View, event: Event, target_w: int) -> int:
    """What the steerable chargers have yet to do: less what the others do, and within what the site allows."""
    steerable = view.steerable
    fixed = [power_w for charger, power_w in view.resting().items() if charger not in steerable]
    counted = fixed if is_net(view, event) else [power_w for power_w in fixed if power_w < 0]
    fixed_w = sum(fixed)
    return Band(view.site.lo - fixed_w, view.site.hi - fixed_w).nearest(target_w - sum(counted))


def _prepare(view: View, events: tuple[Event, ...]) -> tuple[Statement, ...]:
    """Charge what the next event lacks that cannot wait; the vehicles share what the site leaves."""
    now = view.observation.now
    coming = sorted((e for e in events if now < e.start <= now + PREPARE_AHEAD), key=lambda e: (e.start, e.uid))
    bounds = limits(view) if coming else ()
    for event in coming:
        missing = {name: lack for name, lack in lacks(view, event, bounds).items() if name in view.steerable}
        if missing:
            wants = view.share(
                {name: view.bands[name].hi for name in missing},
                weight={name: round(lack.hours * lack.power_w, -2) for name, lack in missing.items()},
                urgency={name: lack.urgency for name, lack in missing.items()},
                fully=True,
            )
            return (Narrowing("charges_for_event", wants=frozen_map(wants), data=frozen_map({"event": event.uid})),)
    return ()
