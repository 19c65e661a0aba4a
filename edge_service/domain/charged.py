"""When a vehicle that was being charged is as full as it was to be."""

from edge_service.domain.altered import altered
from edge_service.domain.departing import UNDER_WAY
from edge_service.domain.memory import ChargerMemory, DepartureStage
from edge_service.domain.model import ChargerState
from edge_service.domain.view import View

# The charge reading moves by itself; a vehicle that was told full is full anew only after so much more, or less.
MOVED_PCT = 5.0


def follow(view: View, charger: str, before: ChargerMemory, after: ChargerMemory) -> ChargerMemory:
    """The memory with whether it charges, and the charge at which its charging was completed last."""
    reading = view.reading(charger)
    if reading is None:
        return after
    soc_pct, told_pct = reading.soc_pct, after.completed_pct
    if reading.plugged is False or (soc_pct is not None and told_pct is not None and soc_pct <= told_pct - MOVED_PCT):
        told_pct = None
    anew = told_pct is None or (soc_pct is not None and soc_pct >= told_pct + MOVED_PCT)
    if soc_pct is not None and anew and _is_complete(before, after, reading.state):
        told_pct = soc_pct
    return altered(after, charging=reading.state is ChargerState.CHARGING, completed_pct=told_pct)


def _is_complete(before: ChargerMemory, after: ChargerMemory, state: ChargerState) -> bool:
    """It was charged until now, and its departure has what it asked for, or the vehicle takes no more."""
    if not before.charging:
        return False
    departs, departed = after.departure, before.departure
    reached = departs is not None and departs.stage is DepartureStage.READY
    reached = reached and departed is not None and departed.stage in UNDER_WAY
    return reached or state is ChargerState.FINISHED or ("full" in after.low and "full" not in before.low)
