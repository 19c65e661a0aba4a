"""What the signals of an OpenADR 2.0b event ask of a house. Pure.

Of several signals in one event the most exact that is understood counts: a power, else a charge, else a level.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from edge_service.domain.program import Price, PriceKind, Slot, SlotKind
from edge_service.domain.timeline import FOREVER
from edge_service.programs.openadr2b_messages import EventMessage, Signal, Stretch

LOAD_DISPATCH, CHARGE_STATE, SIMPLE, PRICE = "LOAD_DISPATCH", "CHARGE_STATE", "SIMPLE", "ELECTRICITY_PRICE"

# No house moves a gigawatt; what is larger is a mistake of unit or worse.
MOST_W = 1_000_000_000

# Levels of SIMPLE as in OpenADR 3: moderate, high and special shed.
_LEVELS = {0: None, 1: SlotKind.NO_CHARGE, 2: SlotKind.COVER_HOUSE, 3: SlotKind.MAX_DISCHARGE}
_POWER = {"setpoint": SlotKind.POWER, "delta": SlotKind.CHANGE}
_SCALES = {"": 1, "none": 1, "k": 1_000, "M": 1_000_000}
_UNITS = {"powerReal": {"W": 1, "kW": 1_000}, "energyReal": {"Wh": 1, "kWh": 1_000}}
_ORDER = (LOAD_DISPATCH, CHARGE_STATE, SIMPLE)


class SignalError(Exception):
    """A signal is not followed; the rest of a sentence that begins with its name."""


def slots_of(event: EventMessage, shift: timedelta, sign: int) -> tuple[tuple[Slot, ...], tuple[str, ...]]:
    """What the event asks, its start put off by ``shift``, and a sentence for each signal that is not followed.

    ``sign``: 1 when the utility's positive power consumes, as OpenADR has it, else -1.
    """
    problems = [f"Event {event.id[:40]!r}: signal {one.name[:40]!r} is not known here." for one in _strangers(event)]
    for name in _ORDER:
        for signal in (one for one in event.signals if one.name == name):
            try:
                return tuple(_slots(event, signal, shift, sign)), tuple(problems)
            except SignalError as error:
                problems.append(f"Event {event.id[:40]!r}: signal {name} {error}.")
    return (), tuple(problems)


def prices_of(event: EventMessage, program_id: str) -> tuple[Price, ...]:
    """Prices per kWh that the event tells. Others, and what cannot be read, are left out."""
    found: list[Price] = []
    for signal in event.signals:
        if signal.name == PRICE and signal.type == "price" and signal.quantity == "currencyPerKWh":
            with suppress(SignalError):
                found += list(_prices(event, signal, program_id))
    return tuple(found)


def _prices(event: EventMessage, signal: Signal, program_id: str) -> Iterator[Price]:
    scale = _SCALES.get(signal.scale)
    for start, end, stretch in _laid_out(event, signal, timedelta()):
        if stretch.value is not None and scale is not None:
            yield Price(program_id, PriceKind.IMPORT, start, end, stretch.value * scale, signal.unit[:3].upper())


def _strangers(event: EventMessage) -> list[Signal]:
    return [one for one in event.signals if one.name not in (*_ORDER, PRICE)]


def _slots(event: EventMessage, signal: Signal, shift: timedelta, sign: int) -> Iterator[Slot]:
    for start, end, stretch in _laid_out(event, signal, shift):
        slot = _slot(signal, stretch, start, end, sign)
        if slot is not None:
            yield slot


def _slot(signal: Signal, stretch: Stretch, start: datetime, end: datetime, sign: int) -> Slot | None:
    """None: the normal level, which asks nothing. Raises SignalError."""
    if stretch.value is None:
        raise SignalError("has an interval without a number")
    if signal.name == SIMPLE:
        if stretch.value not in _LEVELS:
            raise SignalError(f"has level {stretch.value:g}, allowed are 0 to 3")
        kind = _LEVELS[int(stretch.value)]
        return None if kind is None else Slot(start, end, kind)
    if signal.name == LOAD_DISPATCH:
        if signal.type not in _POWER:
            raise SignalError(f"of type {signal.type[:40]!r} is not followed; setpoint and delta are")
        return Slot(start, end, _POWER[signal.type], power_w=sign * _amount(signal, "powerReal", stretch.value))
    if signal.type != "setpoint" or stretch.value < 0:
        raise SignalError("is followed as a setpoint from 0 up only")
    return Slot(start, end, SlotKind.CHARGE_STATE, energy_wh=_amount(signal, "energyReal", stretch.value))


def _amount(signal: Signal, quantity: str, value: float) -> int:
    """In whole watts or watt-hours. Without its unit no number is acted on."""
    unit, scale = _UNITS[quantity].get(signal.unit), _SCALES.get(signal.scale)
    if signal.quantity != quantity or unit is None or scale is None:
        told = f"{signal.quantity} {signal.scale} {signal.unit}".strip()[:60]
        raise SignalError(f"names its unit as {told!r}; {quantity} is needed, scaled by none, k or M")
    amount = value * unit * scale
    if abs(amount) > MOST_W:
        raise SignalError("asks for more than any house can")
    return round(amount)


def _laid_out(event: EventMessage, signal: Signal, shift: timedelta) -> Iterator[tuple[datetime, datetime, Stretch]]:
    """The intervals in absolute times, each after the other, within the event's own length. Raises SignalError."""
    last = _later(event.start, event.length)
    cursor = event.start
    for stretch in signal.stretches:
        start = cursor if stretch.start is None else stretch.start
        if start < cursor:
            raise SignalError("has intervals that overlap")
        cursor = _later(start, stretch.length)
        begins, ends = _moved(start, shift), _moved(min(cursor, last), shift)
        if begins < ends:
            yield begins, ends, stretch


def _moved(at: datetime, by: timedelta) -> datetime:
    return FOREVER if by >= FOREVER - at else at + by


def _later(at: datetime, length: timedelta) -> datetime:
    """No length at all is one without an end, as the active period has it."""
    return _moved(at, length) if length else FOREVER
