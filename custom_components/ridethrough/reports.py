"""What the edge is told each 15 seconds and at each change: evidence, island switch, loads, warnings."""

from asyncio import Event as Waiter
from datetime import datetime, timedelta
from typing import Any

from homeassistant.core import callback
from homeassistant.helpers.event import async_track_time_interval

from .const import DOMAIN
from .coordinator import RidethroughCoordinator
from .following import follow_entry, follow_links
from .forwarding import Forwarding
from .island_switch import IslandSwitch
from .load_shedding import LoadShedding

# The edge forgets what it was told after 45 s: two reports may be lost.
EVERY = timedelta(seconds=15)


class Reports:
    """Tells one edge what Home Assistant sees and did; an edge that is too old to listen is told nothing."""

    def __init__(self, coordinator: RidethroughCoordinator) -> None:
        self._coordinator, self._hass = coordinator, coordinator.hass
        self._entry = coordinator.config_entry
        self._news = Waiter()
        self._forwarding = Forwarding(coordinator.hass, coordinator.config_entry, self._changed)
        self._shedding = LoadShedding(coordinator, self._changed)
        self._switch = IslandSwitch(coordinator, self._forwarding)

    async def async_start(self) -> None:
        """Follow everything, and report from now on, until the entry is unloaded."""
        await self._forwarding.async_start()
        await self._shedding.async_start()
        await self._switch.async_start()
        self._entry.async_on_unload(async_track_time_interval(self._hass, self._tick, EVERY))
        follow_entry(self._hass, self._entry, self._entry_changed)
        follow_links(self._coordinator, self._news.set)
        self._entry.async_create_background_task(self._hass, self._report(), f"{DOMAIN} reports")

    @callback
    def _changed(self) -> None:
        self._switch.async_look()
        self._news.set()

    @callback
    def _tick(self, _: datetime) -> None:
        self._changed()

    @callback
    def _entry_changed(self) -> None:
        self._forwarding.async_track()
        self._changed()

    async def _report(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if self._coordinator.last_update_success and "loads" in self._coordinator.data:
                await self._coordinator.async_report(self._now())

    def _now(self) -> dict[str, Any]:
        """A kind of which nothing can be said yet is left out: an empty one takes back what was said before."""
        told = {
            "evidence": self._forwarding.evidence(),
            "switch": self._forwarding.switch(),
            "loads": self._shedding.loads(),
        }
        alerts = self._forwarding.alerts()
        return told if alerts is None else told | {"alerts": alerts}
