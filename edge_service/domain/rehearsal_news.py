"""What people are told of a rehearsed event once it is over."""

from collections.abc import Iterator
from datetime import timedelta

from edge_service.domain.memory import Memory
from edge_service.domain.model import Happening, Notice, frozen_map
from edge_service.domain.rehearsal import report
from edge_service.domain.rehearsal_memory import RehearsalOutcome
from edge_service.domain.view import View

# How it went is shown this long; the log keeps it for good.
RESULT_SHOWN = timedelta(hours=24)
ENDED = {
    RehearsalOutcome.PASSED: "rehearsal_passed",
    RehearsalOutcome.FAILED: "rehearsal_failed",
    RehearsalOutcome.CANCELLED: "rehearsal_cancelled",
}


def happenings(view: View, before: Memory, after: Memory) -> Iterator[Happening]:
    """Its end, with the whole report."""
    known, former = after.rehearsal, before.rehearsal
    if known is None or known.outcome is None:
        return
    if former is None or former.uid != known.uid or former.ended_at is None:
        yield _happening(view, ENDED[known.outcome], **report(known))


def _happening(view: View, kind: str, **data: object) -> Happening:
    return Happening(kind, "site", view.observation.now, frozen_map(data))


def notices(view: View, after: Memory) -> Iterator[Notice]:
    """How it went."""
    known, now = after.rehearsal, view.observation.now
    if known is None or known.outcome is None or known.ended_at is None or now - known.ended_at >= RESULT_SHOWN:
        return
    key = f"rehearsal:{known.uid}"
    if known.outcome is RehearsalOutcome.PASSED:
        yield _notice(view, key, "rehearsal_passed", "info", **report(known))
    elif known.outcome is RehearsalOutcome.FAILED:
        yield _notice(view, key, "rehearsal_failed", "warning", **report(known))


def _notice(view: View, key: str, kind: str, level: str, **data: object) -> Notice:
    return Notice(key, kind, level, view.observation.now, frozen_map(data))
