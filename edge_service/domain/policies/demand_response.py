"""Demand response: the utility's event that runs now, or the charging that one to come needs."""

from collections.abc import Mapping
from datetime import timedelta

from edge_service.domain.band import ANY, Band
from edge_service.domain.model import Event, Scope, Slot, SlotKind, frozen_map
from edge_service.domain.performance import must_charge_now, takes_part
from edge_service.domain.timeline import Timeline
from edge_service.domain.view import Narrowing, Statement, View

# An event this far ahead is prepared for; utilities announce a day before.
PREPARE_AHEAD = timedelta(hours=24)


def demand_response(view: View) -> tuple[Statement, ...]:
    """What the event that rules now asks of the chargers together; before an event, the charge it lacks."""
    if view.on_generator:
        return ()
    now = view.observation.now
    events = tuple(event for event in view.observation.events if event.slots and takes_part(view.settings, event))
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
    wants = view.share(wishes, left_w, weight=_spare_wh(view), fully=True)
    return (floors, Narrowing("event", wants=frozen_map(wants), data=data))


def _target_w(view: View, event: Event, slot: Slot) -> int:
    house_w = view.others_w or 0
    if slot.kind is SlotKind.MAX_DISCHARGE:
        return ANY.lo
    if slot.kind is SlotKind.COVER_HOUSE:
        return -max(house_w, 0)
    return slot.power_w - house_w if _is_net(view, event) else slot.power_w


def _left_w(view: View, event: Event, target_w: int) -> int:
    """What the steerable chargers have yet to do: less what the others do, and within what the site allows."""
    steerable = view.steerable
    fixed = [power_w for charger, power_w in view.resting().items() if charger not in steerable]
    counted = fixed if _is_net(view, event) else [power_w for power_w in fixed if power_w < 0]
    fixed_w = sum(fixed)
    return Band(view.site.lo - fixed_w, view.site.hi - fixed_w).nearest(target_w - sum(counted))


def _is_net(view: View, event: Event) -> bool:
    program = view.facts.programs.get(event.program_id)
    return program is not None and program.scope is Scope.SITE


def _spare_wh(view: View) -> Mapping[str, float]:
    """Energy above empty per charger: the fuller vehicle gives first."""
    spare: dict[str, float] = {}
    for charger in view.open_chargers:
        reading = view.reading(charger)
        known = reading is not None and reading.soc_pct is not None
        spare[charger] = reading.soc_pct * (reading.capacity_wh or 1) if reading and known and reading.soc_pct else 0.0
    return spare


def _prepare(view: View, events: tuple[Event, ...]) -> tuple[Statement, ...]:
    now = view.observation.now
    coming = sorted((e for e in events if now < e.start <= now + PREPARE_AHEAD), key=lambda e: (e.start, e.uid))
    for event in coming:
        short = [charger for charger in view.open_chargers if must_charge_now(view, event, charger)]
        if short:
            wants = frozen_map({charger: view.bands[charger].hi for charger in short})
            return (Narrowing("charges_for_event", wants=wants, data=frozen_map({"event": event.uid})),)
    return ()
