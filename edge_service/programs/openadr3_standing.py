"""How the house stands at a moment, in the words in which OpenADR 3 wants it reported: state, level, storage, room."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from edge_service.domain.memory import EventStage
from edge_service.domain.model import (
    ChargerReading,
    ChargerState,
    Control,
    Event,
    Grid,
    Hold,
    Mode,
    Order,
    Pause,
    Power,
    Slot,
    SlotKind,
    Stop,
)
from edge_service.domain.ruling import event_floor_pct
from edge_service.ports import Live

# Less than this is a charger's own use: it runs no more.
RUNS_FROM_W = 100
_LEVELS = {SlotKind.NO_CHARGE: 1, SlotKind.COVER_HOUSE: 2, SlotKind.MAX_DISCHARGE: 3}


@dataclass(frozen=True, slots=True)
class Standing:
    """All chargers together; None: not known. Powers in watts, positive consumes, except the two limits.

    ``usable_wh``: what the vehicles hold when full; ``stored_wh``: what they hold now. ``charge_max_w``,
    ``discharge_max_w``: positive numbers. ``room_up_w``: by how much the house can consume less for an hour,
    ``room_down_w``: more. ``state``: of Definition table 4. ``level``: of SIMPLE.
    """

    state: str | None = None
    level: int | None = None
    setpoint_w: float | None = None
    usable_wh: float | None = None
    stored_wh: float | None = None
    charge_max_w: float | None = None
    discharge_max_w: float | None = None
    room_up_w: float | None = None
    room_down_w: float | None = None

    def plain(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """What another version wrote beside it is passed over."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in plain.items() if name in known})


def standing(live: Live, uid: str) -> Standing:
    """How the house stands now towards the event of this ``uid``."""
    observation, decision = live.observation, live.decision
    seen = [live.facts.fresh(last, decision.at) for last in observation.chargers.values()]
    readings = [reading for reading in seen if reading is not None]
    event = next((one for one in observation.events if one.uid == uid), None)
    bounds = [_bounds(live, name) for name in observation.chargers]
    return Standing(
        state=_state(live, event, readings, unseen=len(seen) - len(readings)),
        level=_level(live, event),
        setpoint_w=_sum(_ordered_w(decision.orders.get(name)) for name in observation.chargers),
        usable_wh=_sum(_plugged(seen, lambda one: one.capacity_wh)),
        stored_wh=_sum(_plugged(seen, _stored_wh)),
        charge_max_w=_sum(one and one[0] for one in bounds),
        discharge_max_w=_sum(one and one[1] for one in bounds),
        room_up_w=_room(live, up=True),
        room_down_w=_room(live, up=False),
    )


def _sum(values: Iterator[float | None] | Any) -> float | None:
    """None when there is nothing, or one of them is not known."""
    found = list(values)
    return None if not found or None in found else float(sum(found))


def _plugged(seen: list[ChargerReading | None], value: Any) -> Iterator[float | None]:
    """Of each vehicle that is there. A charger that is not seen may have one."""
    for one in seen:
        if one is None or one.plugged is not False:
            yield None if one is None else value(one)


def _stored_wh(one: ChargerReading) -> float | None:
    return None if one.soc_pct is None or one.capacity_wh is None else one.soc_pct / 100 * one.capacity_wh


def _ordered_w(order: Order | None) -> float | None:
    match order:
        case Power(w):
            return w
        case Hold() | Pause() | Stop():
            return 0
    return None


# --------------------------------------------------------------------------------------------------- state and level


def _state(live: Live, event: Event | None, readings: list[ChargerReading], *, unseen: int) -> str | None:
    """Table 4 of the Definition, whose words come from CTA-2045."""
    if not readings:
        return "ERROR" if unseen else None
    runs = abs(sum(one.power_w or 0 for one in readings)) >= RUNS_FROM_W
    doing = "RUNNING" if runs else "IDLE"
    slot = _slot(event, live)
    if event is not None and slot is not None and _is_left_out(live, event):
        return f"{doing}_OPTED_OUT"
    if all(one.state is ChargerState.FAULT for one in readings):
        return "SGD_ERROR_CONDITION"
    if slot is not None and all(one.plugged is False for one in readings):
        return "SGD_ERROR_CONDITION"  # "no response to the grid": there is no vehicle to answer with
    if slot is None or event is None or not _is_served(live, event):
        return f"{doing}_NORMAL"
    return f"{doing}_{'HEIGHTENED' if _asks_for_more(slot) else 'CURTAILED'}"


def _is_left_out(live: Live, event: Event) -> bool:
    """A person said no. That nobody has said yes to an event that asks for it is no such word."""
    settings = live.decision.settings
    return not settings.takes_part(replace(event, asks=False))


def _slot(event: Event | None, live: Live) -> Slot | None:
    if event is None or event.cancelled:
        return None
    return next((slot for slot in event.slots if slot.start <= live.decision.at < slot.end), None)


def _is_served(live: Live, event: Event) -> bool:
    account = live.decision.memory.events.get(event.uid)
    return account is not None and account.stage is EventStage.RUNNING


def _asks_for_more(slot: Slot) -> bool:
    match slot.kind:
        case SlotKind.MAX_CHARGE:
            return True
        case SlotKind.POWER | SlotKind.CHANGE:
            return slot.power_w > 0
        case SlotKind.CHARGE_SHARE:
            return slot.share > 1
    return False


def _level(live: Live, event: Event | None) -> int | None:
    """None while the event asks for what is no level."""
    slot = _slot(event, live)
    if slot is None or event is None or not live.decision.settings.takes_part(event) or not _is_served(live, event):
        return 0
    return _LEVELS.get(slot.kind)


# --------------------------------------------------------------------------------------------------- limits and room


def _bounds(live: Live, name: str) -> tuple[float, float] | None:
    """The most that this charger may charge and discharge now, as it and the vehicle say; None: not known."""
    reading = live.facts.fresh(live.observation.chargers[name], live.decision.at)
    capability = live.facts.chargers[name].capability if name in live.facts.chargers else None
    if reading is None or capability is None:
        return None
    if reading.plugged is False:
        return 0, 0
    if capability.control is Control.NONE:
        return 0, 0
    if reading.charge_max_w is None or reading.discharge_max_w is None:
        return None
    discharge_w = min(reading.discharge_max_w, capability.discharge_rating_w)
    supplies = capability.control is not Control.GENERATION_CAP
    return min(reading.charge_max_w, capability.charge_rating_w), discharge_w if supplies else 0


def _room(live: Live, *, up: bool) -> float | None:
    """What could be had for an hour from now, above the reserves and the event floor; None: not known."""
    settings = live.decision.settings
    if live.decision.grid in (Grid.UNKNOWN, Grid.SUSPECT):
        return None
    unwilling = settings.stopped or settings.mode in (Mode.PAUSED, Mode.READ_ONLY)
    if unwilling or live.program in settings.not_participating or live.decision.grid is not Grid.ON:
        return 0.0
    return _sum(_charger_room(live, name, up=up) for name in live.observation.chargers)


def _charger_room(live: Live, name: str, *, up: bool) -> float | None:
    settings, bounds = live.decision.settings, _bounds(live, name)
    reading = live.facts.fresh(live.observation.chargers[name], live.decision.at)
    if bounds is None or reading is None:
        return None
    if reading.plugged is False:
        return 0.0
    if reading.power_w is None or reading.soc_pct is None or reading.capacity_wh is None:
        return None
    floor_pct = event_floor_pct(settings, live.facts, live.program)
    kept = (settings.drivers_reserve(name), settings.reserve_pct(live.decision.at), floor_pct)
    above_w = max(0.0, reading.soc_pct - max(kept)) / 100 * reading.capacity_wh
    below_w = max(0.0, 100.0 - reading.soc_pct) / 100 * reading.capacity_wh
    if up:
        return max(0.0, reading.power_w + min(bounds[1], above_w))
    return max(0.0, min(bounds[0], below_w) - reading.power_w)
