"""What the edge says when it refuses a command: whose matter it is, and in which words it is told."""

from types import MappingProxyType

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .client import CommandRefusedError
from .const import DOMAIN

# What a person can set right; every other code is the edge's or the device's trouble.
MISTAKES = frozenset(
    {
        "bad_argument",
        "unknown_charger",
        "unknown_program",
        "unknown_event",
        "unknown_load",
        "load_power_not_known",
        "load_is_shed",
        "too_many_load_groups",
        "no_outage",
        "capacity_unknown",
        "unknown_alert",
        "alert_is_a_limit",
        "in_the_past",
        "until_too_far",
        "not_bidirectional",
        "not_supported",
        "mode_read_only",
        "outage_running",
        "no_backup_running",
        "nothing_to_retry",
        "stopped",
        "reset_on_site",
        "stop_contact_active",
        "event_over",
        "not_by_hand",
        "confirm_needed",
        "medical_confirm_needed",
        "time_zone_needed",
        "unknown_departure",
        "too_many_departures",
        "not_permitted",
        "time_without_zone",
        "end_before_start",
        "event_too_long",
        "event_too_far",
        "name_invalid",
        "power_out_of_bounds",
        "no_drill_running",
        "rehearsal_running",
        "no_rehearsal_running",
        "rehearsal_stopped",
        "rehearsal_mode",
        "rehearsal_grid_not_on",
        "rehearsal_storm",
        "rehearsal_drill",
        "rehearsal_event_near",
        "rehearsal_not_participating",
        "rehearsal_no_charger",
        "drill_confirm_needed",
        "drill_running",
        "drill_stopped",
        "drill_read_only",
        "drill_grid_not_on",
        "drill_no_switch",
        "drill_switch_not_proven",
        "drill_no_grid_side_source",
        "drill_generator",
        "drill_storm",
        "drill_medical_load",
        "drill_nobody_at_switch",
        "drill_vehicle_absent",
        "drill_charger_unable",
        "drill_charge_unknown",
        "drill_reserve_low",
        "drill_departure_near",
        "drill_event_near",
    }
)
TROUBLES = frozenset(
    {
        "unknown_command",
        "too_late",
        "too_many_commands",
        "charger_refused",
        "not_ready",
        "internal",
        "charge_not_known",
        "no_load_data",
    }
)

# What the words of a refusal name, out of the edge's data.
NAMED = MappingProxyType(
    {
        "bad_argument": ("argument", "found", "allowed"),
        "until_too_far": ("allowed",),
        "too_many_load_groups": ("allowed",),
        "time_zone_needed": ("allowed",),
        "unknown_departure": ("found", "allowed"),
        "too_many_departures": ("allowed",),
        "event_too_long": ("longest_h",),
        "event_too_far": ("farthest_d",),
        "name_invalid": ("longest",),
        "power_out_of_bounds": ("least_w", "most_w"),
    }
)


def translated(error: CommandRefusedError) -> HomeAssistantError:
    """The edge's no as Home Assistant tells it: a mistake of the person, or a trouble of ours."""
    kind = ServiceValidationError if error.code in MISTAKES else HomeAssistantError
    key = error.code if error.code in MISTAKES | TROUBLES else "refused"
    return kind(
        translation_domain=DOMAIN,
        translation_key=f"edge_{key}",
        translation_placeholders=_placeholders(key, error),
    )


def _placeholders(key: str, error: CommandRefusedError) -> dict[str, str]:
    if key in NAMED:
        return {name: str(error.data.get(name, "–")) for name in NAMED[key]}
    return {"message": error.message} if key in ("refused", "internal") else {}
