"""What is remembered of a rehearsed event."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class RehearsalOutcome(StrEnum):
    """How a rehearsal ended."""

    PASSED = "passed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class RehearsalMemory:
    """The rehearsal that comes or runs, or the last one. Durations in seconds, None: not reached.

    ``start_s``: from the planned start to the charger's own word that it took the order (``dry``: to the decision).
    ``error_w_s`` over ``measured_s``: how far the measured power was from the target, once the chargers had time to
    settle. ``limited_by``: all that kept the target from being met. ``told_s``: until its notice was brought to people.
    ``reasons``: what ended it or cost it points.
    """

    uid: str
    program_id: str
    name: str
    dry: bool
    entered_at: datetime
    start: datetime
    end: datetime
    target_w: int | None = None
    start_s: float | None = None
    error_w_s: float = 0.0
    measured_s: float = 0.0
    limited_by: tuple[str, ...] = ()
    told_s: float | None = None
    energy_wh: float = 0.0
    gap_s: float = 0.0
    ended_at: datetime | None = None
    outcome: RehearsalOutcome | None = None
    reasons: tuple[str, ...] = ()
    score: int | None = None

    @property
    def error_w(self) -> float | None:
        """Mean distance from the target; None: never measured in rest."""
        return self.error_w_s / self.measured_s if self.measured_s > 0 else None

    def not_after(self, now: datetime) -> RehearsalMemory:
        """Its end is no time that has yet to come."""
        late = self.ended_at is not None and self.ended_at > now
        return replace(self, ended_at=now) if late else self
