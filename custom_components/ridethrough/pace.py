"""So many at once, then so many a second: for what the edge pushes and for what it is ordered."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    """So many at once, then so many a second. Seconds are the event loop's."""

    at_once: int
    per_s: float
    left: float = field(init=False)
    at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.left = float(self.at_once)

    def wait_s(self, now: float) -> float:
        """How long until one may go."""
        self.left = min(float(self.at_once), self.left + max(now - self.at, 0.0) * self.per_s)
        self.at = now
        return max(1.0 - self.left, 0.0) / self.per_s

    def take(self) -> None:
        """One goes, also one that could not wait."""
        self.left = max(self.left - 1.0, 0.0)
