"""What moves a little each second, held still for clients: what has not really changed is not sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_service.domain.model import ChargerReading, Runtime, SiteFacts

RENEW_AFTER = timedelta(seconds=30)
# What moves by more than this share is news at once.
MOVED_SHARE = 0.1
# Below this a tenth of an hour matters to whoever plans the night; above it half an hour does.
FINE_BELOW_H = 10.0


class SteadyRuntime:
    """The runtime as it is shown, from one cycle to the next."""

    def __init__(self) -> None:
        self._shown: Runtime | None = None
        self._at: datetime | None = None

    def follow(self, runtime: Runtime | None, now: datetime) -> Runtime | None:
        """What to show of it now."""
        if runtime is None or self._shown is None or self._is_due(runtime, self._shown, now):
            self._shown, self._at = None if runtime is None else _rounded(runtime), now
        return self._shown

    def _is_due(self, runtime: Runtime, shown: Runtime, now: datetime) -> bool:
        old = self._at is None or not timedelta(0) <= now - self._at < RENEW_AFTER
        return old or _has_moved(runtime.p50_h, shown.p50_h)


@dataclass(slots=True)
class Held:
    """A measured value as it is shown, in whole ``step``; it moves only when it is off by ``hold`` or more."""

    step: float
    hold: float
    shown: float | None = None

    def follow(self, value: float | None) -> float | None:
        if value is None or self.shown is None or abs(value - self.shown) >= self.hold:
            self.shown = None if value is None else round(round(value / self.step) * self.step, 3)
        return self.shown


# By the key of the contract: in which steps it is shown, and how far it must move.
MEASURED: Mapping[str, tuple[float, float]] = {
    "voltage_v": (1.0, 1.0),
    "current_a": (0.1, 0.5),
    "frequency_hz": (0.01, 0.05),
    "temperature_c": (1.0, 1.0),
}


class SteadyMeasured:
    """What chargers measure of themselves. A value that a charger never told is not shown at all."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Held] = {}

    def follow(
        self, readings: Mapping[str, ChargerReading | None], facts: SiteFacts, now: datetime
    ) -> dict[str, dict[str, float | None]]:
        """By charger and key, what to show of it now."""
        return {name: self._of(name, facts.fresh(reading, now)) for name, reading in readings.items()}

    def _of(self, charger: str, reading: ChargerReading | None) -> dict[str, float | None]:
        found = {}
        for key, bounds in MEASURED.items():
            value = None if reading is None else getattr(reading, key)
            if (charger, key) not in self._held and value is None:
                continue
            found[key] = self._held.setdefault((charger, key), Held(*bounds)).follow(value)
        return found


# Servers tell their time in whole seconds.
_CLOCK_MOVED_MS = 1000.0


def clock_offset() -> Held:
    """How far the clock is off, in milliseconds."""
    return Held(100.0, _CLOCK_MOVED_MS)


def storage_free_mb(free_bytes: int, shown_mb: int | None) -> int:
    """Rounded down to 100 MB; more of it is shown only when it is clearly more."""
    free_mb = free_bytes // 1_000_000
    if shown_mb is not None and shown_mb <= free_mb < shown_mb + 150:
        return shown_mb
    return free_mb // 100 * 100


def _has_moved(hours: float | None, shown: float | None) -> bool:
    if hours is None or shown is None:
        return hours is not shown
    # What is shown was rounded; that alone is no move.
    return abs(hours - shown) > max(MOVED_SHARE * shown, 0.1)


def _rounded(runtime: Runtime) -> Runtime:
    return Runtime(
        rounded_h(runtime.p10_h),
        rounded_h(runtime.p50_h),
        rounded_h(runtime.p90_h),
        round(runtime.usable_wh, -2),
        round(runtime.load_w, -1),
    )


def rounded_h(hours: float | None) -> float | None:
    """Hours as finely as they matter."""
    if hours is None:
        return None
    return round(hours, 1) if hours < FINE_BELOW_H else round(hours * 2) / 2
