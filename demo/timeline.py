"""What a story saw, as a table: each step, when it showed in Home Assistant, and how long after its cause."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

HEAD = ("step", "seen at", "latency", "after", "shown")


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that was made to happen. ``mark``: how many changes Home Assistant had told before."""

    words: str
    at: datetime
    mark: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step that was seen. ``shown``: the entity and what it said."""

    words: str
    at: datetime
    cause: Cause
    shown: str

    @property
    def latency_s(self) -> float:
        return (self.at - self.cause.at).total_seconds()


@dataclass(slots=True)
class Timeline:
    """Steps as they are seen, told at once."""

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    steps: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> str:
        """Keep it; returns its line."""
        self.steps.append(step)
        return self.line(step)

    def line(self, step: Step) -> str:
        seen_s = (step.at - self.started_at).total_seconds()
        return _columns(step.words, f"{seen_s:.1f} s", f"{step.latency_s:.2f} s", step.cause.words, step.shown)


def head() -> str:
    """The line above the steps."""
    return _columns(*HEAD)


def _columns(step: str, seen: str, latency: str, after: str, shown: str) -> str:
    return f"  {step:<42} {seen:>8} {latency:>8}  {after:<22} {shown}".rstrip()
