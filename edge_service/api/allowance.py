"""How many commands a client may send: a mistake in an automation must not keep everybody else from being heard."""

from dataclasses import dataclass, field

from edge_service.ports import Clock

# A scene for a depot of forty chargers sets two things of each.
BURST = 100.0
PER_SECOND = 20.0
# A person's stop, and what matters while the house is dark, are never counted against anybody.
ALWAYS_HEARD = frozenset(
    {
        "stop",
        "report",
        "notice_delivered",
        "end_backup",
        "retry_backup",
        "postpone_return",
        "lend_reserve",
        "take_back_lent",
        "cancel_drill",
        "set_at_end",
        "set_load",
    }
)


@dataclass(slots=True)
class _Left:
    commands: float
    at_s: float


@dataclass(slots=True)
class Allowance:
    """What each client has left, filled up again by the second."""

    clock: Clock
    _left: dict[str, _Left] = field(default_factory=dict)

    def takes(self, client_id: str, name: object) -> bool:
        """Whether this command is still allowed; then it is counted."""
        if name in ALWAYS_HEARD:
            return True
        now_s = self.clock.monotonic()
        left = self._left.setdefault(client_id, _Left(BURST, now_s))
        left.commands = min(BURST, left.commands + (now_s - left.at_s) * PER_SECOND)
        left.at_s = now_s
        if left.commands < 1:
            return False
        left.commands -= 1
        return True
