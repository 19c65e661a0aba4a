"""Who answers at a charger's address: asked on every connection anew. Another one than before is not commanded."""

from collections.abc import Awaitable, Callable

from modbus_connection import ModbusUnit

from edge_service.ports import DeviceRefusedError


class Acquaintance[Identity]:
    """What a driver knows of who answers. ``identity`` is the last that was told, None before the first.

    ``forget`` is called when the connection is lost: what was read over it is no longer believed.
    """

    def __init__(self, id: str, unit: ModbusUnit, forget: Callable[[], None] = lambda: None) -> None:
        self.identity: Identity | None = None
        self._id = id
        self._forget = forget
        self._connection = 0
        self._met_on: int | None = None
        self._changed = False
        self._unsubscribe = unit.on_connection_lost(self._lose)

    def _lose(self) -> None:
        self._connection += 1
        self._forget()

    async def identify(self, ask: Callable[[], Awaitable[Identity]], *, again: bool = False) -> None:
        """Have ``ask`` told who answers, unless that is known on this very connection or it is asked ``again``."""
        if self._met_on == self._connection and not again:
            return
        connection, self._met_on = self._connection, None
        identity = await ask()
        self._changed = self._changed or (self.identity is not None and identity != self.identity)
        self.identity, self._met_on = identity, connection

    def suspect(self) -> None:
        """Something shows that another device or firmware answers."""
        self._changed = True

    def accept(self) -> None:
        """It was probed: whoever answers now is the one that may be commanded."""
        self._changed = False

    @property
    def changed(self) -> bool:
        """Another one than before answers, and was not probed yet."""
        return self._changed

    def require_accepted(self) -> None:
        """Raises DeviceRefusedError (``identity_changed``) while another one than before answers."""
        if self._changed:
            raise self.refusal(
                "another device, firmware or register map answers; probe it again before it may be commanded",
                "identity_changed",
            )

    def refusal(self, why: str, reason: str) -> DeviceRefusedError:
        """The charger's refusal of an order; ``reason`` is one of the contract's codes."""
        return DeviceRefusedError(f"{self._id}: {why}", reason)

    def close(self) -> None:
        """Listen no more to what becomes of the connection."""
        self._unsubscribe()
