"""Keeps what stands under Repairs equal to what the table finds: raised with the trouble, gone with it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import RidethroughCoordinator
from .entity import subjects
from .following import follow_entry
from .programs import programs_of
from .shapes import is_known
from .troubles import TROUBLES, Found, Seen, Trouble

type Cases = Mapping[str, tuple[Trouble, Found]]


class TroubleWatch:
    """Compares at each change of the state, of the options and of the devices. Without a link all stays as it is, and
    over a reload too, so that what a person chose to ignore stays ignored."""

    def __init__(self, coordinator: RidethroughCoordinator) -> None:
        self._coordinator, self._hass = coordinator, coordinator.hass
        self._entry = coordinator.config_entry
        self._since: dict[str, datetime] = {}
        self._raised = _standing(coordinator.hass, coordinator.config_entry.entry_id)
        self._timer: CALLBACK_TYPE | None = None

    def async_start(self) -> None:
        """Compare now, and until the entry is unloaded."""
        on_unload = self._entry.async_on_unload
        on_unload(self._coordinator.async_add_listener(self._compare))
        follow_entry(self._hass, self._entry, self._compare)
        on_unload(self._hass.bus.async_listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, self._devices_changed))
        on_unload(self._stop)
        self._compare()

    @callback
    def _stop(self) -> None:
        self._rest()
        if self._entry.disabled_by is not None:
            forget_troubles(self._hass, self._entry.entry_id)

    @callback
    def _rest(self) -> None:
        if self._timer is not None:
            self._timer()
            self._timer = None

    @callback
    def _devices_changed(self, _: Event[Any]) -> None:
        self._compare()

    @callback
    def _compare(self, _: datetime | None = None) -> None:
        if not self._coordinator.in_step or not is_known(self._coordinator.data["site"]):
            return
        cases, now = self._cases(), dt_util.utcnow()
        self._since = {issue: self._since.get(issue, now) for issue in cases}
        ripe = {issue: case for issue, case in cases.items() if now - self._since[issue] >= case[0].lasts}
        for issue in self._raised - ripe.keys():
            ir.async_delete_issue(self._hass, DOMAIN, issue)
        for issue, (trouble, found) in ripe.items():
            self._raise(issue, trouble, found)
        self._raised = set(ripe)
        waits = [self._since[issue] + cases[issue][0].lasts - now for issue in cases.keys() - ripe.keys()]
        self._look_again(min(waits, default=None))

    @callback
    def _look_again(self, wait: timedelta | None) -> None:
        self._rest()
        if wait is not None:
            self._timer = async_call_later(self._hass, wait, self._compare)

    def _cases(self) -> Cases:
        seen = Seen(
            self._coordinator.data, self._entry.options, self._gone(), frozenset(programs_of(self._entry).keys())
        )
        return {
            f"{trouble.key}_{self._entry.entry_id}_{found.subject}": (trouble, found)
            for trouble in TROUBLES
            for found in trouble.find(seen)
        }

    def _gone(self) -> dict[str, str]:
        """Devices of ours that the edge no longer has; what is made here as a subentry is removed there."""
        known = subjects(self._coordinator)
        devices = dr.async_entries_for_config_entry(dr.async_get(self._hass), self._entry.entry_id)
        return {
            device.id: device.name_by_user or device.name or ""
            for device in devices
            if device.config_subentry_id is None and device.identifiers.isdisjoint(known)
        }

    def _raise(self, issue: str, trouble: Trouble, found: Found) -> None:
        data: dict[str, str | int | float | None] = {"entry_id": self._entry.entry_id, "key": trouble.key, **found.data}
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue,
            data=data if trouble.fixable else None,
            is_fixable=trouble.fixable,
            severity=trouble.severity,
            translation_key=trouble.key,
            translation_placeholders={"site": self._entry.title, **found.said},
        )


def _standing(hass: HomeAssistant, entry_id: str) -> set[str]:
    """The issues of this entry, those of an earlier load included."""
    ours = tuple(f"{trouble.key}_{entry_id}_" for trouble in TROUBLES)
    known = ir.async_get(hass).issues
    return {issue for domain, issue in known if domain == DOMAIN and issue.startswith(ours)}


@callback
def forget_troubles(hass: HomeAssistant, entry_id: str) -> None:
    """Nobody looks any more."""
    for issue in _standing(hass, entry_id):
        ir.async_delete_issue(hass, DOMAIN, issue)
