"""What went into a vehicle since it was plugged in, and what of all that it gave went where.

Only counters of the charger are read, and only where something begins or ends: so nothing is lost while nobody looked,
and nothing is written while nothing changes.
"""

from dataclasses import replace

from edge_service.domain.altered import altered
from edge_service.domain.memory import ChargerMemory, EnergyMemory, EventStage
from edge_service.domain.model import ChargerReading, Supply
from edge_service.domain.view import View

BACKUP, EVENTS = "backup", "events"


def follow(view: View, charger: str, before: ChargerMemory, after: ChargerMemory) -> ChargerMemory:
    """The memory with its energies, while the charger answers and counts."""
    reading = view.reading(charger)
    if reading is None:
        return after
    known = _with_session(after.energy, before, reading)
    return altered(after, energy=_with_part(known, _purpose(view), reading.energy_discharged_wh))


def session_wh(known: EnergyMemory, reading: ChargerReading | None) -> tuple[int | None, int | None]:
    """Into and out of the vehicle since it was plugged in; None: it is not known since when, or nothing counts."""
    if reading is None:
        return None, None
    charged_wh = _since(known.charged_from_wh, reading.energy_charged_wh)
    return charged_wh, _since(known.discharged_from_wh, reading.energy_discharged_wh)


def given_wh(known: EnergyMemory, reading: ChargerReading | None) -> tuple[int | None, int | None]:
    """What the house was given in outages, and what was given in events; None where the charger counts nothing."""
    counter = None if reading is None else reading.energy_discharged_wh
    if counter is None:
        return None, None
    running = _since(known.part_from_wh, counter) or 0
    backup, events = (running if known.part == part else 0 for part in (BACKUP, EVENTS))
    return known.backup_wh + backup, known.events_wh + events


def _since(from_wh: int | None, counter_wh: int | None) -> int | None:
    """One that is below where it began counts anew from nothing."""
    if from_wh is None or counter_wh is None:
        return None
    return counter_wh - from_wh if counter_wh >= from_wh else counter_wh


def _with_session(known: EnergyMemory, before: ChargerMemory, reading: ChargerReading) -> EnergyMemory:
    if reading.plugged is False:
        return altered(known, charged_from_wh=None, discharged_from_wh=None)
    charged_from, discharged_from = known.charged_from_wh, known.discharged_from_wh
    if reading.plugged and before.plugged is False:
        charged_from, discharged_from = reading.energy_charged_wh, reading.energy_discharged_wh
    return altered(
        known,
        charged_from_wh=_restarted(charged_from, reading.energy_charged_wh),
        discharged_from_wh=_restarted(discharged_from, reading.energy_discharged_wh),
    )


def _restarted(from_wh: int | None, counter_wh: int | None) -> int | None:
    return 0 if from_wh is not None and counter_wh is not None and counter_wh < from_wh else from_wh


def _purpose(view: View) -> str:
    """What the vehicles give for now; nothing in particular is empty. A drill is neither."""
    if view.supply in (Supply.ISLAND, Supply.VENDOR_BACKUP):
        outage = view.memory.outage
        return BACKUP if outage is not None and outage.ended_at is None else ""
    events = view.memory.events.values()
    return EVENTS if any(one.stage is EventStage.RUNNING and not one.rehearsal for one in events) else ""


def _with_part(known: EnergyMemory, purpose: str, counter_wh: int | None) -> EnergyMemory:
    """What ends is added up; what begins counts from here."""
    if counter_wh is None or (known.part == purpose and not _is_restarted(known, counter_wh)):
        return known
    given = _since(known.part_from_wh, counter_wh) or 0
    if known.part == BACKUP:
        known = replace(known, backup_wh=known.backup_wh + given)
    elif known.part == EVENTS:
        known = replace(known, events_wh=known.events_wh + given)
    return replace(known, part=purpose, part_from_wh=counter_wh if purpose else None)


def _is_restarted(known: EnergyMemory, counter_wh: int) -> bool:
    return known.part_from_wh is not None and counter_wh < known.part_from_wh
