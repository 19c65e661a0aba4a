"""Demand response: the utility's event that runs now, or the charging that one to come needs."""

import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from edge_service.domain import dispatch, dispatch_charge
from edge_service.domain.band import ANY, Band
from edge_service.domain.model import Event, SlotKind, frozen_map
from edge_service.domain.preparing import claims, lacks, limits, spare_wh
from edge_service.domain.ruling import ruling
from edge_service.domain.timeline import Call
from edge_service.domain.tracking import stepped_w, trimmed_w
from edge_service.domain.view import Narrowing, Statement, View

# An event this far ahead is prepared for; utilities announce a day before.
PREPARE_AHEAD = timedelta(hours=24)


def demand_response(view: View) -> tuple[Statement, ...]:
    """What the event that rules now asks of the chargers together; before an event, the charge it lacks."""
    if view.on_generator:
        return ()
    running = ruling(view)
    if running is None:
        return _prepare(view)
    return _rehearse(view, running) if running.event.dry else _serve(view, running)


def _serve(view: View, call: Call) -> tuple[Statement, ...]:
    data, event = _data(call), call.event
    low = [charger for charger in view.open_chargers if view.is_low(charger, "event")]
    floors = Narrowing("event_floor", bands=frozen_map(dict.fromkeys(low, Band(0, ANY.hi))), data=data)
    match call.slot.kind:
        case SlotKind.NO_CHARGE:
            bands = frozen_map(dict.fromkeys(view.open_chargers, Band(ANY.lo, 0)))
            return (floors, Narrowing("event_no_charge", bands=bands, data=data))
        case SlotKind.CHARGE_SHARE:
            return (floors, Narrowing("event_charge_share", bands=frozen_map(_caps(view, call)), data=data))
        case SlotKind.CHARGE_STATE:
            wishes = dispatch_charge.wishes(view, call)
            kept = {name: max(0, wish_w) if name in low else wish_w for name, wish_w in wishes.items()}
            wants = view.share(
                dispatch.without_export(view, event, kept), weight=dispatch_charge.weights(view), fully=True
            )
        case _:
            target_w = dispatch.asked_w(view, call)
            if target_w is None:
                waits = frozen_map(dict.fromkeys(view.open_chargers, ANY))
                return (floors, Narrowing("event_waits_for_power", bands=waits, data=data))
            wants = _wants(view, event, dispatch.left_w(view, call, target_w), low)
    return (floors, *_asks(view, call, wants, data))


def _asks(view: View, call: Call, wants: Mapping[str, int], data: Mapping[str, Any]) -> Iterator[Narrowing]:
    """Of each charger its part, and what it is told so that just that is measured."""
    for name, asked_w in wants.items():
        told_w = frozen_map({name: trimmed_w(view, call, name, asked_w)})
        yield Narrowing("event", wants=told_w, data=frozen_map({**data, "asked_w": asked_w}))


def _rehearse(view: View, call: Call) -> tuple[Statement, ...]:
    """Nothing moves: what would be asked is only said."""
    target_w = None if call.slot.kind in _WITHOUT_TARGET else dispatch.asked_w(view, call)
    would_w = None if target_w is None else dispatch.left_w(view, call, target_w)
    data = frozen_map({**_data(call), "power_w": would_w})
    return (Narrowing("event_rehearsed", bands=frozen_map(dict.fromkeys(view.open_chargers, ANY)), data=data),)


_WITHOUT_TARGET = frozenset({SlotKind.NO_CHARGE, SlotKind.CHARGE_SHARE, SlotKind.CHARGE_STATE})


def _data(call: Call) -> Mapping[str, Any]:
    return frozen_map({"event": call.event.uid, "name": call.event.name, "until": call.slot.end.isoformat()})


def _wants(view: View, event: Event, left_w: int, low: list[str]) -> dict[str, int]:
    """The chargers' parts: by what each holds above its floor, or by what each can still take in."""
    wishes = {
        charger: 0 if left_w < 0 and charger in low else view.bands[charger].nearest(left_w)
        for charger in view.steerable
    }
    weight = spare_wh(view, event) if left_w < 0 else dispatch_charge.weights(view)
    return _to_nearest_step(view, view.share(wishes, left_w, weight=weight, fully=True), left_w)


def _to_nearest_step(view: View, wants: Mapping[str, int], left_w: int) -> dict[str, int]:
    """Where all move in steps, the sum is the nearest to the target, not the one below it."""
    missing_w = left_w - sum(stepped_w(view, name, want_w) for name, want_w in wants.items())
    for name, want_w in wants.items():
        capability = view.capability(name)
        step_w = 1 if capability is None else capability.step_w
        next_w = want_w + round(math.copysign(step_w, missing_w))
        odd = step_w > 1 and want_w * missing_w > 0 and want_w % step_w == 0
        if odd and step_w / 2 < abs(missing_w) and next_w in view.bands[name]:
            return {**wants, name: next_w}
    return dict(wants)


def _caps(view: View, call: Call) -> dict[str, Band]:
    """At most this part of what each charger could take in. More than all of it is no cap."""
    share = max(0.0, call.slot.share)
    if share >= 1:
        return dict.fromkeys(view.open_chargers, ANY)
    return {charger: Band(ANY.lo, round(max(0, view.bands[charger].hi) * share)) for charger in view.open_chargers}


def _prepare(view: View) -> tuple[Statement, ...]:
    """Charge what the next event lacks that cannot wait; the vehicles share what the site leaves."""
    now = view.observation.now
    agreed = [event for event in view.observation.events if event.slots and view.settings.takes_part(event)]
    soon = [event for event in agreed if now < event.start <= now + PREPARE_AHEAD and not event.dry]
    bounds, claimed = (limits(view), claims(view)) if soon else ((), ())
    for event in sorted(soon, key=lambda event: (event.start, event.uid)):
        missing = {name: lack for name, lack in lacks(view, event, bounds, claimed).items() if name in view.steerable}
        if missing:
            wants = view.share(
                {name: view.bands[name].hi for name in missing},
                weight={name: round(lack.hours * lack.power_w, -2) for name, lack in missing.items()},
                urgency={name: lack.urgency for name, lack in missing.items()},
                fully=True,
            )
            return (Narrowing("charges_for_event", wants=frozen_map(wants), data=frozen_map({"event": event.uid})),)
    return ()
