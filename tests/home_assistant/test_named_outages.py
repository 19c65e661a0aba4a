"""Ten outages by name, from the street of the simulated site to what a resident sees: everything real but the metal."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from homeassistant.components import persistent_notification
from homeassistant.const import ATTR_DEVICE_ID, EVENT_HOMEASSISTANT_STARTED, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.util import dt as dt_util

from custom_components.ridethrough.const import DOMAIN
from edge_service.simulation import acts

from .conftest import shown
from .houses import (
    BACK,
    BACKUP,
    BATTERY,
    DARK_START,
    DISPUTED,
    GRID,
    NEUTRAL,
    NO_BACKUP,
    OUT,
    QUICK,
    READINESS,
    RUNTIME,
    STATUS,
    SUPPLY,
    VEHICLE,
    Houses,
)
from .peer import Eventually


@pytest.fixture
async def houses(
    hass: HomeAssistant, tmp_path: Path, eventually: Eventually, socket_enabled: None
) -> AsyncGenerator[Houses]:
    """Houses that are closed after the test, Home Assistant's side first."""
    async with AsyncExitStack() as stack:
        yield Houses(hass, tmp_path, eventually, stack)


async def test_flapping_grid(houses: Houses) -> None:
    """The house stays in its island, and nothing is told twice but that the grid was there for a moment."""
    home = await houses.open()
    await home.act(acts.outage)
    await home.lights_are_on()
    for _ in range(3):
        await home.act(acts.restore)
        await home.sees(STATUS, "reconnecting")
        await home.act(acts.outage)
        await home.sees(STATUS, "outage")
    assert home.shows(GRID, SUPPLY, BACKUP) == ("off", "island", "on")
    await home.told("started", "backup_started", *["grid_returned"] * 3)
    assert home.resident.notified == [OUT]
    await home.act(acts.restore)
    await home.is_back()
    flaps = ["grid_returned"] * 4
    await home.told("started", "backup_started", *flaps, "return_announced", "backup_stopped", "ended")
    await home.reads(BACK)
    assert home.resident.notified == [OUT, "Short dark time ahead", BACK]
    assert home.resident.statuses.count("connected") == 2


async def test_outage_with_the_car_absent(houses: Houses) -> None:
    """That there is no backup is told beforehand, and in the outage why; a car that comes home carries the house."""
    home = await houses.open(replace(QUICK, plugged=False))
    await home.sees(READINESS, "not_ready")
    assert home.lacks()[0] == "vehicle_absent"
    await home.act(acts.outage)
    await home.sees(STATUS, "outage")
    await home.sees(SUPPLY, "none")
    await home.reads(NO_BACKUP)
    await home.told("started")
    assert home.shows(GRID, BACKUP, RUNTIME) == ("off", "off", STATE_UNKNOWN)
    assert home.shows(DARK_START) != (STATE_UNKNOWN,)
    await home.act(acts.plug, 70.0)
    await home.lights_are_on()
    await home.told("started", "backup_started")
    await home.reads(OUT)
    await home.sees(READINESS, "degraded")
    assert home.lacks() == ("drill_too_old",)
    assert home.shows(DARK_START) == (STATE_UNKNOWN,)


async def test_car_unplugged_mid_outage(houses: Houses) -> None:
    """Backup is shown as off, with the reason; plugged in again, the car carries on and both are told once."""
    home = await houses.open()
    await home.act(acts.outage)
    await home.lights_are_on()
    await home.act(acts.unplug)
    await home.sees(BACKUP, "off")
    await home.sees(VEHICLE, "off")
    await home.sees(READINESS, "not_ready")
    assert home.lacks()[0] == "vehicle_absent"
    assert home.shows(GRID, STATUS, BATTERY, RUNTIME) == ("off", "outage", STATE_UNKNOWN, STATE_UNKNOWN)
    await home.act(acts.plug, 60.0)
    await home.lights_are_on()
    await home.told("started", "backup_started", "backup_stopped", "backup_collapsed", "backup_started")
    await home.sees(BATTERY, "60.0")
    assert home.resident.notified == [OUT]


async def test_outage_at_the_reserve(houses: Houses) -> None:
    """The house is dark for the driver's sake, and that is told; to lend a part lights it."""
    home = await houses.open(replace(QUICK, soc_pct=20.0))
    await home.sees(READINESS, "not_ready")
    assert home.lacks()[0] == "charge_below_reserve"
    await home.act(acts.outage)
    await home.sees(SUPPLY, "none")
    await home.reads(NO_BACKUP)
    assert home.shows(GRID, STATUS, BACKUP) == ("off", "outage", "off")
    await home.told("started")
    lend = {ATTR_DEVICE_ID: home.device("charger-driveway"), "reserve": 10, "confirm": True}
    await home.hass.services.async_call(DOMAIN, "lend_reserve", lend, blocking=True)
    await home.lights_are_on()
    await home.eventually(lambda: shown(home.hass, RUNTIME) != STATE_UNKNOWN)
    await home.told("started", "backup_started")
    await home.reads(OUT)


async def test_outage_mid_event(houses: Houses) -> None:
    """The event is interrupted, not missed, and goes on when the house is back on the grid."""
    home = await houses.open()
    start = dt_util.utcnow()
    times = {"start": start.isoformat(), "end": (start + timedelta(minutes=30)).isoformat()}
    await home.edge.command("enter_event", program="manual", name="Peak", power_w=3000, **times)
    status = next(one for one in home.hass.states.async_entity_ids("sensor") if one.endswith("peak_event_status"))
    await home.sees(status, "running")
    await home.act(acts.outage)
    await home.sees(status, "interrupted")
    await home.lights_are_on()
    await home.act(acts.restore)
    await home.is_back()
    await home.sees(status, "running")
    await home.told("started", "backup_started", "grid_returned", "return_announced", "backup_stopped", "ended")
    assert home.resident.notified.count(OUT) == home.resident.notified.count(BACK) == 1


async def test_edge_cold_started_inside_an_outage(houses: Houses) -> None:
    """Until something was read, all is unknown and nothing is told; then it is an outage like any other."""
    devices = ("charger", "meter", "switch")
    home = await houses.open(replace(QUICK, grid_present=False), silent=devices)
    assert home.shows(GRID, STATUS, SUPPLY) == (STATE_UNKNOWN,) * 3
    assert home.shows(DISPUTED, READINESS) == ("off", "not_ready")
    assert (home.resident.happened, home.resident.notified) == ([], [])
    for device in devices:
        await home.act(acts.break_device, device, {"refuse": False})
    await home.lights_are_on()
    assert home.shows(GRID, STATUS) == ("off", "outage")
    await home.told("started", "backup_started")
    await home.eventually(lambda: OUT in home.standing())
    assert home.resident.statuses == ["checking", "outage"]


async def test_home_assistant_rebooting_in_the_transfer(houses: Houses) -> None:
    """What happened before is not told again; what happened meanwhile is, once, when automations listen."""
    home = await houses.open(replace(QUICK, form_s=3))
    hass, entry = home.hass, home.entry.entry_id
    await home.act(acts.outage)
    await home.told("started")
    await home.reads(OUT)
    assert home.shows(SUPPLY, BACKUP) == ("transfer", "off")
    await hass.config_entries.async_unload(entry)
    persistent_notification.async_dismiss_all(hass)
    assert home.shows(GRID, SUPPLY) == (STATE_UNAVAILABLE,) * 2
    await home.edge.until(lambda state: state["site"]["supply"] == "island")
    hass.set_state(CoreState.starting)
    await hass.config_entries.async_setup(entry)
    await home.lights_are_on()
    await home.reads(OUT)
    assert home.resident.happened == ["started"]
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await home.told("started", "backup_started")
    await home.act(acts.restore)
    await home.is_back()
    await home.told("started", "backup_started", "grid_returned", "return_announced", "backup_stopped", "ended")
    assert home.resident.notified == [OUT, OUT, "Short dark time ahead", BACK]


async def test_meter_on_the_protected_side(houses: Houses) -> None:
    """In the island it sees the car's own voltage: that is not taken for the grid, nor for a contradiction."""
    home = await houses.open(replace(QUICK, meter_on_protected_side=True))
    await home.sees(READINESS, "degraded")
    assert "no_grid_side_source" in home.lacks()
    await home.act(acts.outage)
    await home.lights_are_on()
    await home.edge.until(lambda state: any("240 V" in one["detail"] for one in state["site"]["evidence"]))
    await home.act(acts.restore)
    await home.passes(timedelta(seconds=3))
    assert home.shows(GRID, STATUS, SUPPLY, DISPUTED) == ("off", "outage", "island", "off")
    assert not [one for one in home.edge.state["site"]["evidence"] if one["counts"]]
    await home.told("started", "backup_started")
    assert home.resident.notified == [OUT]


async def test_charge_unknown(houses: Houses) -> None:
    """The car goes on; charge and runtime are unknown, and people are told that no reserve is kept."""
    home = await houses.open()
    await home.sees(BATTERY, "70.0")
    await home.act(acts.outage)
    await home.lights_are_on()
    await home.eventually(lambda: shown(home.hass, RUNTIME) != STATE_UNKNOWN)
    await home.act(acts.hide_charge)
    await home.sees(BATTERY, STATE_UNKNOWN)
    await home.sees(RUNTIME, STATE_UNKNOWN)
    await home.reads(OUT, "The vehicle does not tell its charge")
    assert home.shows(SUPPLY, BACKUP, VEHICLE) == ("island", "on", "on")
    await home.eventually(lambda: "charge_unknown" in home.lacks())
    assert home.shows(READINESS) == ("degraded",)
    await home.told("started", "backup_started")


async def test_lost_neutral(houses: Houses) -> None:
    """An alarm at once, and no outage: the grid is there, and nothing moves."""
    home = await houses.open()
    await home.act(acts.break_neutral, lost=True, leg_1_share=0.8)
    await home.reads("Danger: the neutral may be broken")
    assert home.shows(GRID, STATUS, SUPPLY, BACKUP, DISPUTED) == ("on", "connected", "grid", "off", "off")
    assert home.shows(NEUTRAL) == ("on",)
    await home.act(acts.break_neutral, lost=False, leg_1_share=0.5)
    await home.reads()
    assert home.shows(NEUTRAL) == ("off",)
    assert home.resident.happened == []
    assert home.resident.notified == ["Danger: the neutral may be broken"]
    assert home.resident.statuses == ["connected"]
