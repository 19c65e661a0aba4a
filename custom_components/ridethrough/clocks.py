"""Whether Home Assistant and the edge mean the same by half past seven; a repair says so where they do not."""

from datetime import datetime, timedelta

from homeassistant.const import EVENT_CORE_CONFIG_UPDATE
from homeassistant.core import Event, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import RidethroughCoordinator

# Clocks are put forward and back within a year, by half an hour at least and for months.
COMPARED_AT = tuple(timedelta(days=15 * number) for number in range(25))


class Clocks:
    """Compares the two time zones whenever one of them is another one."""

    def __init__(self, coordinator: RidethroughCoordinator) -> None:
        self._coordinator, self._hass = coordinator, coordinator.hass
        self._issue = f"time_zone_{coordinator.config_entry.entry_id}"
        self._compared: tuple[str | None, str] | None = None

    async def async_start(self) -> None:
        """Compare now and from now on, until the entry is unloaded."""
        on_unload = self._coordinator.config_entry.async_on_unload
        on_unload(lambda: ir.async_delete_issue(self._hass, DOMAIN, self._issue))
        on_unload(self._coordinator.async_add_listener(self._changed))
        on_unload(self._hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, self._changed))
        await self._compare()

    @callback
    def _changed(self, _: Event | None = None) -> None:
        if self._zones() != self._compared:
            self._coordinator.config_entry.async_create_task(self._hass, self._compare(), f"{DOMAIN} time zones")

    def _zones(self) -> tuple[str | None, str]:
        """The edge's, None where it was not told or is too old to tell; Home Assistant's."""
        return self._coordinator.data["site"].get("time_zone"), self._hass.config.time_zone

    async def _compare(self) -> None:
        self._compared = zones = self._zones()
        edge, here = zones
        differ = edge is not None and not await _agree(edge, here, dt_util.utcnow())
        if zones != self._zones():
            return
        if not differ:
            ir.async_delete_issue(self._hass, DOMAIN, self._issue)
            return
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._issue,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="time_zone_differs",
            translation_placeholders={
                "site": self._coordinator.data["site"]["name"],
                "controller": edge or "",
                "home_assistant": here,
            },
        )


async def _agree(one: str, other: str, now: datetime) -> bool:
    """Whether clocks show the same in both for a year; one place has several names. A zone unknown here never does."""
    if one == other:
        return True
    first, second = await dt_util.async_get_time_zone(one), await dt_util.async_get_time_zone(other)
    if first is None or second is None:
        return False
    moments = [now + ahead for ahead in COMPARED_AT]
    return all(at.astimezone(first).utcoffset() == at.astimezone(second).utcoffset() for at in moments)
