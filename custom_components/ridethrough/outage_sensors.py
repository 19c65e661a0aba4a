"""Sensors of the outage: how long the vehicle lasts, whether backup would work, how the last one went; loads."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import EntityCategory, UnitOfEnergy, UnitOfRatio

from .sensor_rows import (
    ENERGY_DEADBAND_WH,
    SensorRow,
    Value,
    enum_row,
    hours_row,
    power_row,
    seconds_row,
    time_row,
    turned,
)
from .times import time_of
from .wire import BackupRetryState, DrillState, LoadWire, OutageWire, RuntimeState, SiteWire

READINESS = ["ready", "degraded", "not_ready"]
DRILL_STAGES = ["none", "checking", "transferring", "carrying", "returning", "passed", "failed", "refused", "aborted"]
KINDS = ["island_switch", "vendor", "none"]
LOAD_STATES = ["on", "shed", "kept", "off"]

# Why a load group is wanted as it is: the contract's "Reasons of a load".
LOAD_REASONS = [
    "none",
    "by_hand",
    "before_forming",
    "tier",
    "out_of_hours",
    "reserve",
    "overload",
    "collapse",
    "found",
    "kept",
    "restored",
    "other",
]


def of_runtime(value: Callable[[RuntimeState], Value]) -> Callable[[SiteWire], Value]:
    """Out of how long the vehicle lasts; None where that is not known."""

    def read(site: SiteWire) -> Value:
        runtime = site.get("runtime")
        return None if runtime is None else value(runtime)

    return read


def of_outage(value: Callable[[OutageWire], Value]) -> Callable[[SiteWire], Value]:
    """Out of the outage that runs, or the last one."""

    def read(site: SiteWire) -> Value:
        outage = site["outage"]
        return None if outage is None else value(outage)

    return read


def of_drill(value: Callable[[DrillState], Value]) -> Callable[[SiteWire], Value]:
    """Out of the drill that runs, or the last one."""

    def read(site: SiteWire) -> Value:
        drill = site.get("drill")
        return None if drill is None else value(drill)

    return read


def of_retry(value: Callable[[BackupRetryState], Value]) -> Callable[[SiteWire], Value]:
    """Out of how it stands with an island that fell."""

    def read(site: SiteWire) -> Value:
        retry = site.get("backup_retry")
        return None if retry is None else value(retry)

    return read


def sends(key: str) -> Callable[[SiteWire], bool]:
    """Whether the edge is new enough to tell this, and a charger here can carry the house."""
    return lambda site: key in site and site["has_backup"]


def readiness(site: SiteWire) -> str | None:
    """Whether backup would work now."""
    judged = site.get("readiness")
    return None if judged is None else judged["level"]


def readiness_reasons(site: SiteWire) -> Mapping[str, Any]:
    """Why not, or not fully; worst first, each once."""
    judged = site.get("readiness")
    codes = dict.fromkeys(reason["code"] for reason in judged["reasons"]) if judged else {}
    return {"reasons": tuple(codes)}


def drill_status(site: SiteWire) -> str:
    """How far the drill has come, or how the last one ended."""
    drill = site.get("drill")
    return "none" if drill is None else drill["stage"]


def drill_reasons(site: SiteWire) -> Mapping[str, Any]:
    """What refused it, ended it or cost it points."""
    drill = site.get("drill")
    return {} if drill is None else {"reasons": tuple(drill["reasons"]), "transfer": drill["transfer"]}


def drill_passed(drill: DrillState) -> datetime | None:
    """When the last drill passed; None where it did not."""
    return time_of(drill["ended_at"]) if drill["stage"] == "passed" else None


def next_drill(site: SiteWire) -> datetime | None:
    """The next drill that comes by itself."""
    schedule = site.get("drill_schedule")
    return None if schedule is None else time_of(schedule["next_at"])


def counting_sources(site: SiteWire) -> int:
    """How many sources tell now whether the grid is there."""
    return sum(bool(piece.get("counts")) for piece in site["evidence"])


OUTAGE_SENSORS: tuple[SensorRow[SiteWire], ...] = (
    hours_row("backup_runtime", of_runtime(lambda runtime: runtime["p50_h"]), exists=sends("runtime")),
    hours_row("backup_runtime_low", of_runtime(lambda runtime: runtime["p10_h"]), exists=sends("runtime")),
    hours_row("backup_runtime_high", of_runtime(lambda runtime: runtime["p90_h"]), exists=sends("runtime")),
    SensorRow(
        key="backup_energy",
        translation_key="backup_energy",
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfEnergy.WATT_HOUR,
        suggested_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=1,
        deadband=ENERGY_DEADBAND_WH,
        value=of_runtime(lambda runtime: runtime["usable_wh"]),
        exists=sends("runtime"),
    ),
    enum_row(
        "backup_readiness",
        READINESS,
        readiness,
        attributes=readiness_reasons,
        exists=lambda site: "readiness" in site,
    ),
    enum_row(
        "backup_kind",
        KINDS,
        lambda site: site.get("kind"),
        exists=lambda site: "kind" in site,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
    time_row("dark_start", lambda site: time_of(site.get("dark_start_at")), exists=sends("dark_start_at")),
    time_row("backup_retry", of_retry(lambda retry: time_of(retry["retry_at"])), exists=sends("backup_retry")),
    power_row(
        "solar_power",
        lambda site: turned(site.get("solar_power_w")),
        exists=lambda site: site.get("solar_power_w") is not None,
    ),
    SensorRow(
        key="grid_sources",
        translation_key="grid_sources",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=counting_sources,
        exists=lambda site: "disputed" in site,
    ),
    seconds_row(
        "outage_transfer_time", of_outage(lambda outage: outage.get("transfer_s")), exists=sends("backup_retry")
    ),
    seconds_row(
        "outage_dark_time",
        of_outage(lambda outage: outage.get("dark_s")),
        exists=sends("backup_retry"),
        entity_registry_enabled_default=False,
    ),
    SensorRow(
        key="outage_energy",
        translation_key="outage_energy",
        device_class=SensorDeviceClass.ENERGY,
        native_unit_of_measurement=UnitOfEnergy.WATT_HOUR,
        suggested_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
        deadband=ENERGY_DEADBAND_WH,
        value=of_outage(lambda outage: outage["energy_wh"]),
        exists=lambda site: site["has_backup"],
    ),
    SensorRow(
        key="outage_lowest_charge",
        translation_key="outage_lowest_charge",
        native_unit_of_measurement=UnitOfRatio.PERCENTAGE,
        suggested_display_precision=0,
        deadband=0.5,
        entity_registry_enabled_default=False,
        value=of_outage(lambda outage: outage["lowest_soc_pct"]),
        exists=lambda site: site["has_backup"],
    ),
    enum_row("drill_status", DRILL_STAGES, drill_status, attributes=drill_reasons, exists=lambda site: "drill" in site),
    SensorRow(
        key="drill_score",
        translation_key="drill_score",
        value=of_drill(lambda drill: drill["score"]),
        exists=lambda site: "drill" in site,
    ),
    time_row(
        "last_backup_test",
        of_drill(drill_passed),
        exists=lambda site: "drill" in site,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
    time_row("next_drill", next_drill, exists=lambda site: "drill_schedule" in site),
)


# ---------------------------------------------------------------------------------------------------- the load group


LOAD_SENSORS: tuple[SensorRow[LoadWire], ...] = (
    enum_row("load_state", LOAD_STATES, lambda load: load["state"]),
    enum_row("load_reason", LOAD_REASONS, lambda load: load["reason"] or "none"),
    hours_row("runtime_gain", lambda load: load["gain_h"]),
    power_row("load_power", lambda load: load["measured_w"], exists=lambda load: load["measured_w"] is not None),
)
