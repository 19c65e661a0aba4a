"""Device safety: what charger and vehicle can take now. A charger that we cannot see or may not command is let go."""

from collections.abc import Mapping
from typing import Any

from edge_service.domain.band import ZERO, Band
from edge_service.domain.letting_go import stays_behind
from edge_service.domain.memory import IslandStep
from edge_service.domain.model import (
    EMPTY_SOC_PCT,
    Authority,
    Backup,
    Capability,
    ChargerReading,
    ChargerState,
    Control,
    Grid,
    Lease,
    Mode,
    frozen_map,
)
from edge_service.domain.view import HandsOff, Narrowing, Statement, View

NOT_READY = frozenset(
    {ChargerState.OFFLINE, ChargerState.BOOTING, ChargerState.UNAVAILABLE, ChargerState.FAULT, ChargerState.BLOCKED}
)
_NOT_READY_WHY = frozenset(f"charger_{state}" for state in NOT_READY)


def device_safety(view: View) -> tuple[Statement, ...]:
    """One statement per charger that is let alone; for all others the bands that device and vehicle allow."""
    let_alone: list[Statement] = []
    bands: dict[tuple[str, ...], dict[str, Band]] = {}
    for charger in view.open_chargers:
        reading, capability = view.reading(charger), view.capability(charger)
        why = _why_not_ours(reading, capability) or _why_let_alone(view, charger)
        if why or reading is None or capability is None:
            let_alone.append(_let_alone(view, charger, why or "no_contact"))
        else:
            limited_by = _limited_by(reading, capability)
            bands.setdefault(limited_by, {})[charger] = _allowed(view, charger, reading, capability)
    allowed = [Narrowing("device", bands=frozen_map(alike), data=_told(why)) for why, alike in bands.items()]
    return (*let_alone, *allowed)


def _let_alone(view: View, charger: str, why: str) -> HandsOff:
    """Where the charger's own word is the reason, with what it tells of that."""
    reading = view.reading(charger)
    alarms = reading.alarms if reading is not None and why in _NOT_READY_WHY else ()
    return HandsOff(charger, why, withdraw=_withdraws(view, charger, why), data=_told(alarms))


def _limited_by(reading: ChargerReading, capability: Capability) -> tuple[str, ...]:
    """What the device tells while it allows nothing in a direction that it is made for."""
    if reading.plugged is False:
        return ()
    charges = reading.charge_max_w != 0 or capability.charge_rating_w == 0
    discharges = reading.discharge_max_w != 0 or capability.discharge_rating_w == 0
    return () if charges and discharges else reading.alarms


def _told(alarms: tuple[str, ...]) -> Mapping[str, Any]:
    return frozen_map({"limited_by": list(alarms)} if alarms else None)


def _why_not_ours(reading: ChargerReading | None, capability: Capability | None) -> str | None:
    if reading is None:
        return "no_contact"
    if capability is None:
        return "not_probed"
    if capability.control is Control.NONE:
        return "takes_no_setpoint"
    # An order that nobody can renew must die by itself, or a charger that could carry the house would be held by it.
    if capability.lease is Lease.NONE and capability.backup is not Backup.NONE:
        return "no_lease"
    if reading.authority in (Authority.LOCAL, Authority.APP, Authority.OCPP):
        return "commanded_by_other"
    if reading.service_permitted is False:
        return "service_not_permitted"
    # A charger that we stopped says "unavailable"; it may be started again, so it is ours.
    if reading.state in NOT_READY - {ChargerState.UNAVAILABLE}:
        return f"charger_{reading.state}"
    return None


def _why_let_alone(view: View, charger: str) -> str | None:
    """In mode ``read_only`` nothing is written, but a person's stop, and what takes back an order that would stay.

    Where somebody else keeps overwriting our orders we cease, or the two of us would wear the charger out; not where
    the house's supply or a person's stop is at stake. A cap is for the time on the grid: off grid it could only keep
    power from the house.
    """
    if view.settings.mode is Mode.READ_ONLY and not view.settings.stopped:
        return "taken_back" if stays_behind(view, charger) else "read_only"
    if charger in view.observation.contested and (view.tied or view.on_generator) and not view.settings.stopped:
        return "another_controller"
    capped_off_grid = not view.takes_setpoint(charger) and not (view.tied or view.on_generator)
    return "takes_no_setpoint" if capped_off_grid and not view.settings.stopped else None


def _withdraws(view: View, charger: str, why: str) -> bool:
    """The protective act needs no fresh reading: a charger that is slow, silent or faulty may still hold our order.

    A cap of ours goes as soon as the grid is not sure. Not after a person's stop: a withdrawal would lift it.
    """
    if why in ("taken_back", "another_controller"):
        return stays_behind(view, charger)
    if view.settings.stopped or view.settings.mode is Mode.READ_ONLY:
        return False
    if why == "takes_no_setpoint":
        return view.grid not in (Grid.ON, Grid.UNKNOWN) and view.memory.island.step is not IslandStep.UNKNOWN
    suspect = view.grid is Grid.SUSPECT and view.memory.island.step is IslandStep.TIED
    return suspect and (why == "no_contact" or why in _NOT_READY_WHY)


def _allowed(view: View, charger: str, reading: ChargerReading, capability: Capability) -> Band:
    if reading.plugged is False:
        return ZERO
    charge_w = _least(capability.charge_rating_w, reading.charge_max_w)
    discharge_w = _least(capability.discharge_rating_w, reading.discharge_max_w)
    if reading.soc_pct is None or reading.soc_pct <= EMPTY_SOC_PCT:
        discharge_w = 0
    if view.is_low(charger, "full"):
        charge_w = 0
    return Band(-discharge_w, charge_w)


def _least(rating_w: int, now_w: int | None) -> int:
    return max(0, rating_w if now_w is None else min(rating_w, now_w))
