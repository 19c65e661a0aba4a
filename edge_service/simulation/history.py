"""What happened in the model, in order, in model time."""

from collections import deque
from dataclasses import dataclass

# Enough for hours of renewed setpoints; the truth is for looking at, the journal of writes is beside it.
KEPT = 2000

type Detail = dict[str, float | int | str | bool | None]


@dataclass(frozen=True, slots=True)
class Happening:
    """``at_s`` is seconds of model time since the start."""

    at_s: float
    kind: str
    detail: Detail


class History:
    """The model's time and its happenings; violations are kept apart so that they are never pushed out."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.happenings: deque[Happening] = deque(maxlen=KEPT)
        self.violations: list[Happening] = []

    def note(self, kind: str, **detail: float | int | str | bool | None) -> None:
        self.happenings.append(Happening(self.now_s, kind, detail))

    def violate(self, code: str, **detail: float | int | str | bool | None) -> None:
        """Record something that must never be made to happen at a real site."""
        happening = Happening(self.now_s, code, detail)
        self.violations.append(happening)
        self.happenings.append(Happening(self.now_s, "violation", {"code": code, **detail}))

    def last(self, kind: str) -> float | None:
        """Model time of the newest happening of this kind, None if there is none kept."""
        return next((entry.at_s for entry in reversed(self.happenings) if entry.kind == kind), None)

    def of(self, *kinds: str) -> list[Happening]:
        return [entry for entry in self.happenings if entry.kind in kinds]
