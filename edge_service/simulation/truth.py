"""What is physically so at a simulated site, as JSON: the ground that a test or a story compares claims with."""

from collections.abc import Mapping
from dataclasses import asdict
from math import inf
from typing import Any

from edge_service.simulation.history import Happening
from edge_service.simulation.house import NOMINAL_HZ, DarkPeriod
from edge_service.simulation.loads import Load
from edge_service.simulation.site_devices import SiteDevices, Write

type Json = dict[str, Any]


def truth(site: SiteDevices) -> Json:
    """Powers: + consumes (import, charge, load), - supplies. Times: ISO 8601, UTC."""
    site.advance()
    house, history = site.house, site.house.history
    return {
        "at": _at(site, history.now_s),
        "uptime_s": round(history.now_s, 3),
        "grid_present": house.grid_present,
        "grid_lost_at": _at(site, history.last("grid_lost")),
        "grid_restored_at": _at(site, history.last("grid_restored")),
        "house_powered": house.powered,
        "island_formed": house.inverter.feeds_bus,
        "violations": [_happening(site, entry) for entry in history.violations],
        "grid": {"voltage_v": house.street_v, "frequency_hz": NOMINAL_HZ if house.grid_present else 0.0},
        "house": _house(site),
        "loads": {name: _load(load) for name, load in house.loads.by_name.items()},
        "switch": _switch(site),
        "charger": _charger(site),
        "vehicle": _vehicle(site),
        "meter": {
            "power_w": round(house.site_power_w, 1),
            "import_wh": round(house.import_wh, 3),
            "export_wh": round(house.export_wh, 3),
        },
        "contacts": asdict(site.contacts),
        "companion": {"model": site.options.companion_model, "state": site.sight.state},
        "faults": {device: asdict(server.faults) for device, server in site.servers.items()},
        "history": [_happening(site, entry) for entry in history.happenings],
    }


def write_entry(write: Write) -> Json:
    return {
        "number": write.number,
        "at": write.at.isoformat(),
        "device": write.device,
        "fc": write.function,
        "address": write.address,
        "values": list(write.values),
        "named": write.named,
        "exception": write.exception,
    }


def _house(site: SiteDevices) -> Json:
    house = site.house
    return {
        "load_w": house.load_w,
        "served_wh": round(house.served_wh, 3),
        "dark_s": round(house.dark_s, 3),
        "dark_periods": [_dark(site, period) for period in house.dark_periods],
    }


def _load(load: Load) -> Json:
    return {
        "power_w": load.power_w,
        "running": load.running,
        "on": load.on,
        "told_off": load.told_off,
        "bridged": load.bridged,
    }


def _dark(site: SiteDevices, period: DarkPeriod) -> Json:
    until_s = site.house.history.now_s if period.until_s is None else period.until_s
    return {
        "from": _at(site, period.from_s),
        "until": _at(site, period.until_s),
        "seconds": round(until_s - period.from_s, 3),
    }


def _switch(site: SiteDevices) -> Json:
    switch = site.house.switch
    return {
        "position": "moving" if switch.moving else "closed" if switch.closed else "open",
        "commanded": "open" if switch.commanded_open else "closed",
        "open_proven": switch.open_proven,
        "closed_proven": switch.closed_proven,
        "stuck": switch.stuck,
        "feedback_broken": switch.feedback_broken,
        "false_open_contact": switch.false_open_contact,
        "movements": [
            _happening(site, entry)
            for entry in site.house.history.of("switch_commanded", "switch_moving", "switch_moved")
        ],
    }


def _charger(site: SiteDevices) -> Json:
    inverter, history = site.house.inverter, site.house.history
    settings = inverter.settings
    return {
        "stage": inverter.stage,
        "connected": inverter.connected,
        "power_w": round(inverter.power_w, 1),
        "target_w": round(inverter.target_w, 1),
        "limited": inverter.limited,
        "alarms": sorted(alarm.name for alarm in inverter.alarms),
        "fault": inverter.fault,
        "operation": settings.operation.name.lower(),
        "permit_service": settings.permit_service,
        "local": settings.local,
        "setpoint_enabled": settings.setpoint_enabled,
        "setpoint_w": settings.setpoint_w,
        "lease_s": settings.lease_s,
        "lease_left_s": None if inverter.lease_left_s == inf else round(inverter.lease_left_s, 3),
        "enter_service_left_s": round(inverter.enter_service_left_s, 3),
        "discharged_wh": round(inverter.injected_wh, 3),
        "charged_wh": round(inverter.absorbed_wh, 3),
        "setpoints_seen": [_happening(site, entry) for entry in history.of("setpoint_written")[-50:]],
        "model": site.options.charger_model,
        "quirks": site.charger.quirks.as_flags(),
        "lease_expiries": [_at(site, entry.at_s) for entry in history.of("lease_expired")],
    }


def _vehicle(site: SiteDevices) -> Json:
    vehicle = site.house.vehicle
    return {
        "plugged": vehicle.plugged,
        "soc_pct": round(vehicle.soc_pct, 3),
        "energy_wh": round(vehicle.energy_wh, 2),
        "capacity_wh": vehicle.capacity_wh,
    }


def _happening(site: SiteDevices, entry: Happening) -> Mapping[str, Any]:
    return {"at": _at(site, entry.at_s), "kind": entry.kind, **entry.detail}


def _at(site: SiteDevices, model_s: float | None) -> str | None:
    return None if model_s is None else site.wall(model_s).isoformat()
