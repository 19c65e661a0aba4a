"""Estimates that move a little each second, held still for clients: what has not really changed is not sent."""

from datetime import datetime, timedelta

from edge_service.domain.model import Runtime

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
