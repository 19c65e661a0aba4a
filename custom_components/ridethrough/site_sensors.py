"""Sensors of the site: the grid, what feeds the house, what it draws, and what is kept for an outage."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import EntityCategory, UnitOfInformation, UnitOfTime

from .reasons import CONTROL_REASONS
from .sensor_rows import SensorRow, energy_row, enum_row, power_row, reading_row, share_row, time_row
from .times import time_of
from .wire import SiteWire, SwitchWire


def grid_status(site: SiteWire) -> str | None:
    """The published table from the two facts ``grid`` and ``supply`` to one word; None where there is no evidence."""
    if site["grid"] == "on":
        return "islanded" if site["supply"] in ("island", "vendor_backup") else "connected"
    words = {"suspect": "checking", "outage": "outage", "restoring": "reconnecting", "generator": "generator"}
    return words.get(site["grid"])


def supply(site: SiteWire) -> str | None:
    """What feeds the house."""
    return None if site["supply"] == "unknown" else site["supply"]


def switch_position(switch: SwitchWire | None) -> str | None:
    """What the contacts prove; neither: it moves or is stuck; both: the feedback is wrong."""
    if switch is None or switch["open_proven"] is None or switch["closed_proven"] is None:
        return None
    proofs = (switch["open_proven"], switch["closed_proven"])
    return {(True, False): "open", (False, True): "closed", (False, False): "moving"}.get(proofs, "contradictory")


def switch_command(switch: SwitchWire | None) -> str | None:
    """What the island switch was told."""
    if switch is None or switch["commanded_open"] is None:
        return None
    return "open" if switch["commanded_open"] else "closed"


def outage_started(site: SiteWire) -> datetime | None:
    """Start of the outage that runs; None when there is none."""
    outage = site["outage"]
    return time_of(outage["started_at"]) if outage is not None and outage["ended_at"] is None else None


def last_outage_s(site: SiteWire) -> int | None:
    """Length of the last outage that is over."""
    outage = site["outage"]
    started, ended = (time_of(outage["started_at"]), time_of(outage["ended_at"])) if outage else (None, None)
    return round((ended - started).total_seconds()) if started and ended else None


def leg_power_w(site: SiteWire, leg: int) -> int | None:
    """The power of one leg of the service, counted from 1."""
    legs = site.get("leg_power_w", [])
    return legs[leg - 1] if leg <= len(legs) else None


def storm_until(site: SiteWire) -> datetime | None:
    """The end of the storm that is prepared for."""
    storm = site.get("storm")
    return time_of(storm["until"]) if storm else None


def storm_data(site: SiteWire) -> Mapping[str, Any]:
    """What else is known of the storm."""
    storm = site.get("storm")
    return {"reserve_pct": storm["reserve_pct"], "storm": storm["name"]} if storm else {}


def leg_row(leg: int) -> SensorRow[SiteWire]:
    """The power of one leg, where the meter tells it."""
    row: SensorRow[SiteWire] = power_row(
        f"leg_{leg}_power",
        lambda site: leg_power_w(site, leg),
        exists=lambda site: leg <= len(site.get("leg_power_w", [])),
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
    )
    return replace(row, translation_key="leg_power", translation_placeholders={"leg": str(leg)})


def _has_meter(site: SiteWire) -> bool:
    return site["has_meter"]


def _has_backup(site: SiteWire) -> bool:
    return site["has_backup"]


def _has_switch(site: SiteWire) -> bool:
    return site["switch"] is not None


# A clock and a cycle always move by some milliseconds; the journal's own writing is no news.
CLOCK_DEADBAND_MS = 20.0
CYCLE_DEADBAND_MS = 5.0
STORAGE_DEADBAND_MB = 100.0

SITE_SENSORS: tuple[SensorRow[SiteWire], ...] = (
    enum_row(
        "grid_status",
        ["connected", "checking", "outage", "islanded", "reconnecting", "generator"],
        grid_status,
    ),
    enum_row("supply", ["grid", "transfer", "island", "vendor_backup", "none"], supply),
    enum_row("control_reason", CONTROL_REASONS, lambda site: site["reason"]),
    power_row("grid_power", lambda site: site["grid_power_w"], exists=_has_meter),
    power_row("house_power", lambda site: site["house_power_w"]),
    leg_row(1),
    leg_row(2),
    leg_row(3),
    energy_row("grid_energy_imported", lambda site: site["energy_imported_wh"], exists=_has_meter),
    energy_row("grid_energy_exported", lambda site: site["energy_exported_wh"], exists=_has_meter),
    time_row("outage_started", outage_started),
    SensorRow(
        key="last_outage_duration",
        translation_key="last_outage_duration",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_unit_of_measurement=UnitOfTime.MINUTES,
        suggested_display_precision=0,
        value=last_outage_s,
    ),
    time_row("returning_at", lambda site: time_of(site["returning_at"]), exists=_has_backup),
    time_row("storm_until", storm_until, attributes=storm_data, exists=lambda site: "storm" in site),
    share_row(
        "backup_reserve_now",
        lambda site: site.get("backup_reserve_effective_pct"),
        exists=lambda site: "backup_reserve_effective_pct" in site,
    ),
    enum_row(
        "island_switch",
        ["open", "closed", "moving", "contradictory"],
        lambda site: switch_position(site["switch"]),
        exists=_has_switch,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
    enum_row(
        "island_switch_command",
        ["open", "closed"],
        lambda site: switch_command(site["switch"]),
        exists=_has_switch,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
    SensorRow(
        key="outages",
        translation_key="outages",
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_registry_enabled_default=False,
        value=lambda site: site.get("outages"),
        exists=lambda site: "outages" in site,
    ),
    SensorRow(
        key="uptime",
        translation_key="uptime",
        device_class=SensorDeviceClass.UPTIME,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=lambda site: time_of(site["started_at"]),
    ),
    reading_row(
        "clock_offset",
        SensorDeviceClass.DURATION,
        UnitOfTime.MILLISECONDS,
        CLOCK_DEADBAND_MS,
        lambda site: site.get("clock_offset_ms"),
        suggested_display_precision=0,
        exists=lambda site: "clock_offset_ms" in site,
    ),
    reading_row(
        "cycle_delay",
        SensorDeviceClass.DURATION,
        UnitOfTime.MILLISECONDS,
        CYCLE_DEADBAND_MS,
        lambda site: site["cycle_late_p99_ms"],
        suggested_display_precision=0,
    ),
    reading_row(
        "storage_free",
        SensorDeviceClass.DATA_SIZE,
        UnitOfInformation.MEGABYTES,
        STORAGE_DEADBAND_MB,
        lambda site: site.get("storage_free_mb"),
        suggested_unit_of_measurement=UnitOfInformation.GIGABYTES,
        suggested_display_precision=1,
        exists=lambda site: "storage_free_mb" in site,
    ),
)
