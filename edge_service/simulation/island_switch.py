"""The switch between the point of connection and the home bus."""

from dataclasses import dataclass, field
from math import inf

from edge_service.simulation.history import History


@dataclass(slots=True)
class IslandSwitch:
    """A motor-driven contact, fed from its own small battery, so that it moves in an outage too.

    While opening the main contact conducts until the movement ends; while closing it conducts only then. With a
    synchronism check it closes onto a living house only when both sides are in step, ``in_step_s`` after both live.
    """

    moves_s: float
    history: History
    synchronism_check: bool = False
    in_step_s: float = 4.0
    closed: bool = True
    commanded_open: bool = False
    left_s: float = field(default=inf)
    drifts_s: float = field(default=inf)
    stuck: bool = False
    feedback_broken: bool = False
    false_open_contact: bool = False

    @property
    def moving(self) -> bool:
        return self.left_s != inf

    @property
    def open_proven(self) -> bool:
        return not self.closed and not self.moving and not self.feedback_broken

    @property
    def closed_proven(self) -> bool:
        return self.closed and not self.moving and not self.feedback_broken

    @property
    def wire_shows_open(self) -> bool:
        """The auxiliary contact that is wired to the charger; apart from the feedback that Modbus reads."""
        return self.false_open_contact or (not self.closed and not self.moving)

    def command(self, *, open_: bool) -> None:
        if open_ == self.commanded_open:
            return
        self.commanded_open = open_
        self.history.note("switch_commanded", to=_word(open_))
        self.wake()

    def wake(self) -> None:
        """Start, turn round or give up a movement, as the standing command and the fault now say."""
        if self.stuck or self.closed != self.commanded_open:
            self.left_s = self.drifts_s = inf
        elif not self.moving and (self.commanded_open or not self.synchronism_check):
            self.left_s = self.moves_s
            self.history.note("switch_moving", to=_word(self.commanded_open))

    def look(self, *, house_lives: bool, street_lives: bool) -> None:
        """The check: onto a dead house it closes at once, onto a living one in step, from a dead street never."""
        if not self.synchronism_check or self.commanded_open or self.closed or self.stuck:
            self.drifts_s = inf
        elif house_lives and not street_lives:
            self.left_s = self.drifts_s = inf
        elif house_lives and not self.moving:
            self.drifts_s = min(self.drifts_s, self.in_step_s)
            self._move(ready=self.drifts_s <= 1e-9)
        elif not house_lives:
            self._move(ready=not self.moving)

    def _move(self, *, ready: bool) -> None:
        if ready:
            self.left_s, self.drifts_s = self.moves_s, inf
            self.history.note("switch_moving", to=_word(self.commanded_open))

    @property
    def changes_s(self) -> float:
        """How long nothing about it changes by time alone."""
        return min(self.left_s, self.drifts_s)

    def elapse(self, dt_s: float) -> None:
        self.left_s = max(0.0, self.left_s - dt_s)
        self.drifts_s = max(0.0, self.drifts_s - dt_s)

    def settle(self) -> bool:
        """End a movement whose time is over; True if the main contact changed."""
        if self.left_s > 1e-9:
            return False
        self.left_s = inf
        self.closed = not self.commanded_open
        self.history.note("switch_moved", to=_word(self.commanded_open))
        return True


def _word(open_: bool) -> str:
    return "open" if open_ else "closed"
