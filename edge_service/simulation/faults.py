"""What can be wrong with a simulated device on the wire."""

from dataclasses import dataclass

EXCEPTION_CODES = (1, 2, 3, 4, 5, 6, 8, 10, 11)


@dataclass(frozen=True, slots=True)
class Refused:
    """Answer every request that touches these addresses with an exception; ``count`` None is to the end."""

    code: int
    start: int = 0
    count: int | None = None

    def covers(self, address: int, count: int) -> bool:
        return address + count > self.start and (self.count is None or address < self.start + self.count)


@dataclass(frozen=True, slots=True)
class DeviceFaults:
    """``silent`` accepts and never answers; ``refuse`` drops and refuses connections; ``frozen`` repeats old values."""

    latency_ms: float = 0.0
    silent: bool = False
    refuse: bool = False
    frozen: bool = False
    exception: Refused | None = None
