"""How long an order lives at a charger whose watchdog is fed by any message, so that a mere look keeps it alive.

Such an order would stand as long as somebody looks, though nobody renews it: in mode ``read_only``, while the site is
blind, or while a new order is refused. So the driver asks ``require_renewed`` before it reads. Where another client
changed the watchdog, or feeds it, silence ends nothing: then the driver takes its own setpoint back (``cannot_end``).
"""

from collections.abc import Callable

from edge_service.ports import DeviceError

# No order for so long: reading would only keep alive what should die. At most a third of the lease.
PATIENCE_S = 20.0


class TrafficLease:
    """The watchdog of one charger, ``lease_s`` seconds long, as far as its driver must reckon with it.

    ``stands``: the charger follows a setpoint under this watchdog; the driver keeps it true. ``monotonic`` gives rising
    seconds.
    """

    def __init__(self, lease_s: float, monotonic: Callable[[], float]) -> None:
        self.stands = False
        self._lease_s = lease_s
        self._monotonic = monotonic
        self._heard_at = float("-inf")
        self._renewed_at: float | None = None
        # The watchdog was given the time to end what stood: what survived that is kept alive by somebody else.
        self._rested = False

    def heard(self) -> None:
        """A message reached the charger just now."""
        self._heard_at = self._monotonic()

    def renew(self) -> None:
        """An order was made so or is under way. One that is refused renews nothing: what stands instead must die."""
        self._renewed_at, self._rested = self._monotonic(), False

    @property
    def _unrenewed_s(self) -> float:
        """How long ago an order was renewed; counted from the first asking where none was."""
        now = self._monotonic()
        if self._renewed_at is None:
            self._renewed_at = now
        return now - self._renewed_at

    @property
    def is_renewed(self) -> bool:
        """Whether an order was renewed not long ago."""
        return self._unrenewed_s <= min(PATIENCE_S, self._lease_s / 3)

    @property
    def cannot_end(self) -> bool:
        """No order is renewed, and our silence ends nothing: the watchdog is not ours, or somebody else feeds it."""
        return not self.is_renewed and (self._rested or not self.stands)

    def require_renewed(self, charger: str) -> None:
        """Raises DeviceError while an order stands that nobody renews: each message would keep it alive."""
        if self.is_renewed or self._rested or not self.stands:
            return
        now, ends_at = self._monotonic(), self._heard_at + self._lease_s + 1
        if now < ends_at:
            raise DeviceError(
                f"{charger}: no order was renewed for {self._unrenewed_s:.0f} s; it is not read for "
                f"{ends_at - now:.0f} s more, so that its own watchdog ends the order that stands"
            )
        self._rested = True
