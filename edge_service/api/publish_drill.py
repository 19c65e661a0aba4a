"""Rehearsals as clients are shown them: the one that runs or ran last, and those that come by themselves."""

from datetime import datetime

from edge_service.api import wire
from edge_service.api.shown import Shown, moment, time
from edge_service.domain.load_fit import names
from edge_service.domain.model import DrillSchedule


def drill(shown: Shown) -> wire.DrillState | None:
    """The drill that runs, or the last one."""
    memory = shown.decision.memory.drill
    if memory is None:
        return None
    return {
        "id": memory.id,
        "stage": memory.stage,
        "started_at": moment(memory.started_at),
        "ended_at": time(memory.ended_at),
        "transfer": memory.transfer,
        "score": memory.score,
        "reasons": list(memory.reasons),
        "transfer_s": _seconds(memory.transfer_s),
        "return_s": _seconds(memory.return_s),
        "lowest_v": None if memory.lowest_v is None else round(memory.lowest_v, 1),
        "highest_w": memory.highest_w,
        "energy_wh": round(memory.energy_wh),
        "loads_shed": names(memory.loads_shed, shown.settings, shown.facts),
    }


def _seconds(duration_s: float | None) -> float | None:
    return None if duration_s is None else round(duration_s, 1)


def drill_schedule(schedule: DrillSchedule | None, due: datetime | None) -> wire.DrillScheduleState | None:
    """Drills that come by themselves; ``due``: the next of them."""
    if schedule is None:
        return None
    return {
        "every_days": schedule.every_days,
        "local_time": schedule.local_time,
        "transfer": schedule.transfer,
        "next_at": time(due),
    }
