"""One input contact of the site: looked at as often as the fast lane, as a person's stop waits for no cycle."""

import asyncio
import logging
from collections.abc import Callable

from edge_service.domain.model import ContactReading
from edge_service.ports import Clock, ContactInput, DeviceError

LOG = logging.getLogger(__name__)


class ContactDesk:
    """The last reading of a contact. Not debounced: a single reading stops, and a reset waits for the button's rest."""

    def __init__(self, name: str, contact: ContactInput, wake: Callable[[], None], clock: Clock) -> None:
        self.contact = contact
        self.reading: ContactReading | None = None
        self._name, self._wake, self._clock = name, wake, clock
        self._trouble: str | None = None

    async def watch(self, period_s: float) -> None:
        """Read for ever; wake the cycle when the contact changes, or is seen for the first time."""
        due = self._clock.monotonic()
        while True:
            await asyncio.sleep(max(0.0, due - self._clock.monotonic()))
            began = self._clock.monotonic()
            await self._look()
            # A slow input block leaves half of its connection to whoever shares it.
            due = began + max(period_s, 2 * (self._clock.monotonic() - began))

    async def _look(self) -> None:
        before = self.reading
        try:
            self.reading = await self.contact.read(self._clock.now())
        except DeviceError as error:
            if str(error) != self._trouble:
                LOG.warning("%s contact: %s", self._name, error)
            self._trouble = str(error)
            return
        self._trouble = None
        if before is None or before.active is not self.reading.active:
            self._wake()
