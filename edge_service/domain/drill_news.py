"""What people are told of drills: that one comes, runs, and how it went."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from edge_service.domain.load_fit import names
from edge_service.domain.memory import DrillMemory, DrillStage, Memory
from edge_service.domain.model import Happening, Notice, frozen_map
from edge_service.domain.view import View

# A day is time enough to be at home, or to put it off.
ANNOUNCED_BEFORE = timedelta(hours=24)
# How it went is shown this long; the log keeps it for good.
RESULT_SHOWN = timedelta(hours=24)
ENDED = {
    DrillStage.PASSED: "drill_passed",
    DrillStage.FAILED: "drill_failed",
    DrillStage.REFUSED: "drill_refused",
    DrillStage.ABORTED: "drill_aborted",
}


def happenings(view: View, before: Memory, after: Memory) -> Iterator[Happening]:
    """Its start, and its end with the whole report."""
    drill, former = after.drill, before.drill
    if drill is None or drill is former:
        return
    began = former is None or former.id != drill.id
    if began and drill.runs:
        yield _happening(view, "drill_started", transfer=drill.transfer)
    if not drill.runs and (began or (former is not None and former.runs)):
        yield _happening(view, ENDED[drill.stage], **report(view, drill))


def _happening(view: View, kind: str, **data: Any) -> Happening:
    return Happening(kind, "site", view.observation.now, frozen_map(data))


def report(view: View, drill: DrillMemory) -> dict[str, Any]:
    """What was measured, beside the last one of its kind that passed."""
    return {
        "transfer": drill.transfer,
        "score": drill.score,
        "previous_score": drill.previous_score,
        "reasons": list(drill.reasons),
        "transfer_s": _rounded(drill.transfer_s),
        "previous_transfer_s": _rounded(drill.previous_transfer_s),
        "return_s": _rounded(drill.return_s),
        "told_s": _rounded(drill.told_s),
        "lowest_v": _rounded(drill.lowest_v),
        "highest_w": drill.highest_w,
        "energy_wh": round(drill.energy_wh),
        "soc_from_pct": drill.soc_from_pct,
        "soc_to_pct": drill.soc_to_pct,
        "loads_shed": names(drill.loads_shed, view.settings, view.facts),
        "loads_unproven": list(drill.loads_unproven),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def notices(view: View, after: Memory) -> Iterator[Notice]:
    """That one comes, runs, or how it went."""
    drill, now = after.drill, view.observation.now
    if drill is not None and drill.runs:
        yield _notice(view, "drill", "drill_running", "warning", transfer=drill.transfer)
    elif drill is not None and drill.ended_at is not None and now - drill.ended_at < RESULT_SHOWN:
        level = "info" if drill.stage is DrillStage.PASSED else "warning"
        data = {"score": drill.score, "reasons": list(drill.reasons), "transfer_s": _rounded(drill.transfer_s)}
        yield _notice(view, f"drill:{drill.id}", ENDED[drill.stage], level, **data)
    due = view.observation.drill_due
    schedule = view.settings.drill_schedule
    if schedule is not None and schedule.transfer and due is not None and due - ANNOUNCED_BEFORE <= now < due:
        yield _notice(view, f"drill_due:{due.isoformat()}", "drill_announced", "info", at=due.isoformat())


def _notice(view: View, key: str, kind: str, level: str, **data: Any) -> Notice:
    return Notice(key, kind, level, view.observation.now, frozen_map(data))
