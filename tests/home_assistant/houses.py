"""A simulated site, the real edge at it, a real Home Assistant paired with that, and a resident who reads."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from homeassistant.components import persistent_notification
from homeassistant.components.persistent_notification import Notification, UpdateType
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util

from custom_components.ridethrough.const import DOMAIN
from edge_service.config import parse
from edge_service.simulation import acts
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import HOST, RunningEdge, running

from .conftest import attributes, shown
from .onboarding import paired
from .peer import Eventually

# The real delays are 2 s, 300 s and 60 s.
SITE = """
site: {{name: Home, import_max_a: 100, export_max_w: 9600, time_zone: America/New_York, service: split_phase,
  enter_service_s: 2, outage_after_s: 0.4, announce_return_s: 0.5, dark_start_min: 30}}
chargers:
  driveway: {{name: Driveway charger, model: sunspec_der, address: "{host}:{charger}", lease_s: 15}}
meter: {{model: sunspec_meter, address: "{host}:{meter}", position: {position}}}
island_switch: {{model: modbus_io, address: "{host}:{switch}"}}
control: {{cycle_s: 0.2, fast_lane_ms: 50, stale_after_s: 2}}
"""
QUICK = SiteOptions(enter_service_s=1, form_s=0.2)

OUT, NO_BACKUP, BACK = "Power is out", "No backup", "Power is back"
GRID, STATUS, SUPPLY = "binary_sensor.home_grid", "sensor.home_grid_status", "sensor.home_supply"
BACKUP, DISPUTED = "binary_sensor.home_backup_power", "binary_sensor.home_grid_disputed"
NEUTRAL = "binary_sensor.home_neutral"
READINESS, RUNTIME = "sensor.home_backup_readiness", "sensor.home_backup_runtime"
DARK_START = "sensor.home_starts_by_itself_until"
VEHICLE, BATTERY = "binary_sensor.driveway_charger_vehicle", "sensor.driveway_charger_vehicle_battery"


@dataclass
class Resident:
    """What has been told to people so far, in its order: event types of the outage and of peak events, titles of
    notifications, states."""

    happened: list[str] = field(default_factory=list)
    peaks: list[str] = field(default_factory=list)
    notified: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)

    @callback
    def note(self, change: Event[Any]) -> None:
        new, old = change.data["new_state"], change.data["old_state"]
        if new is None or new.state in (STATE_UNAVAILABLE, STATE_UNKNOWN):
            return
        if new.entity_id == STATUS and self.statuses[-1:] != [new.state]:
            self.statuses.append(new.state)
        if (old is not None and old.state == STATE_UNAVAILABLE) or (old is not None and old.state == new.state):
            return
        if new.entity_id == "event.home_outage":
            self.happened.append(new.attributes["event_type"])
        elif new.entity_id.startswith("event.") and new.entity_id.endswith("_peak_event"):
            self.peaks.append(new.attributes["event_type"])

    @callback
    def read(self, kind: UpdateType, notifications: dict[str, Notification]) -> None:
        if kind in (UpdateType.ADDED, UpdateType.UPDATED):
            self.notified += [str(one["title"]) for one in notifications.values()]


@dataclass
class Lived:
    """A simulated site, the real edge at it, Home Assistant paired with that, and who lives there."""

    hass: HomeAssistant
    site: SimulatedSite
    edge: RunningEdge
    entry: ConfigEntry
    resident: Resident
    eventually: Eventually

    async def act(self, act: Callable[..., None], *given: Any, **named: Any) -> None:
        """Something happens at the site."""
        await asyncio.to_thread(act, self.site.control_url, *given, **named)

    async def sees(self, entity_id: str, state: str) -> None:
        await self.eventually(lambda: shown(self.hass, entity_id) == state)

    async def passes(self, span: timedelta) -> None:
        """The edge goes on deciding for so long: more than its delays."""
        until = dt_util.utcnow() + span
        runner = self.edge.edge.runner
        await self.eventually(lambda: runner.image is not None and runner.image.observation.now > until)

    async def lights_are_on(self) -> None:
        """The vehicle carries the house, and Home Assistant shows so."""
        await self.sees(SUPPLY, "island")
        await self.sees(BACKUP, "on")

    async def is_back(self) -> None:
        """The house is on the grid, and Home Assistant shows so."""
        await self.sees(SUPPLY, "grid")
        await self.sees(STATUS, "connected")
        assert self.shows(GRID, BACKUP) == ("on", "off")

    def shows(self, *entity_ids: str) -> tuple[str, ...]:
        return tuple(shown(self.hass, one) for one in entity_ids)

    def lacks(self) -> Any:
        """The reasons of the readiness."""
        return attributes(self.hass, READINESS, "reasons")["reasons"]

    def standing(self) -> set[str]:
        """The titles of the notifications that people see now."""
        board = persistent_notification._async_get_or_create_notifications(self.hass)
        return {str(one["title"]) for one in board.values()}

    async def told(self, *kinds: str) -> None:
        """These happened, each as often as it stands here, in this order; nothing else did."""
        await self.eventually(lambda: self.resident.happened == [*kinds])

    async def reads(self, *titles: str) -> None:
        """These notifications stand, and no other."""
        await self.eventually(lambda: self.standing() == set(titles))

    def device(self, part: str) -> str:
        found = dr.async_get(self.hass).async_get_device_by_identifier(
            (DOMAIN, f"{self.edge.edge.installation}-{part}"), self.entry.entry_id
        )
        assert found is not None
        return found.id


class Houses:
    """Opens a house for a test, and closes it afterwards."""

    def __init__(self, hass: HomeAssistant, folder: Path, eventually: Eventually, stack: AsyncExitStack) -> None:
        self._hass, self._folder, self._eventually, self._stack = hass, folder, eventually, stack

    async def open(self, options: SiteOptions = QUICK, silent: tuple[str, ...] = ()) -> Lived:
        """``silent``: devices that do not let anybody connect yet; else the edge knows the grid when this returns."""
        site = await self._stack.enter_async_context(SimulatedSite(options))
        for device in silent:
            await asyncio.to_thread(acts.break_device, site.control_url, device, {"refuse": True})
        edge = await self._stack.enter_async_context(running(self._config(site)))
        if not silent:
            await edge.until(lambda state: state["site"]["grid"] == "on" and state["chargers"]["driveway"]["connected"])
        resident = Resident()
        self._stack.callback(self._hass.bus.async_listen("state_changed", resident.note))
        self._stack.callback(persistent_notification.async_register_callback(self._hass, resident.read))
        return Lived(self._hass, site, edge, await self._pair(edge), resident, self._eventually)

    def _config(self, site: SimulatedSite) -> Any:
        position = "protected_side" if site.options.meter_on_protected_side else "grid_side"
        ports = {"charger": site.charger_port, "meter": site.meter_port, "switch": site.switch_port}
        config = parse(SITE.format(host=HOST, position=position, **ports), self._folder / "site.yaml")
        return replace(config, api=replace(config.api, port=0), data=self._folder / "data")

    async def _pair(self, edge: RunningEdge) -> ConfigEntry:
        code = (await edge.command("new_pairing_code"))["code"]
        entry = await paired(self._hass, edge.port, code)
        self._stack.push_async_callback(self._hass.config_entries.async_unload, entry.entry_id)
        return entry
