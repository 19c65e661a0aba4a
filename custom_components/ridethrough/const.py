"""Names that several files of the integration share."""

from datetime import timedelta

DOMAIN = "ridethrough"
MANUFACTURER = "Ridethrough"

# The port of ``ridethrough run`` unless ``site.yaml`` says otherwise.
DEFAULT_PORT = 8127

# SHA-256 of the edge's certificate as hex; absent where the link is plain HTTP on this machine.
CONF_FINGERPRINT = "fingerprint"

# What "storm hold" means where nobody says more: a storm passes in a day, and the last tenth charges slowly.
STORM_LASTS = timedelta(hours=24)
STORM_RESERVE_PCT = 90

# A utility program is a subentry of this type; all but its id at the edge is kept there.
PROGRAM = "program"
CONF_PROGRAM = "program"
CONF_PRESET = "preset"
CONF_KIND = "kind"

# A load group is a subentry of this type, with these fields.
LOAD_GROUP = "load_group"
CONF_POWER_SENSOR = "power_sensor"
CONF_TIER = "tier"
CONF_SHED_BELOW = "shed_below"
CONF_TYPICAL_POWER = "typical_power"
CONF_LEGS = "legs"
CONF_MEDICAL = "medical"
CONF_HOURS = "hours"

# Whether the vehicle powers the controller in an outage, as a person said at the set-up: an option of the entry.
CONF_BACKED_UP = "backed_up"

# What is forwarded to the edge: options of the entry.
CONF_PRESENT_WHEN_ON = "present_when_on"
CONF_LOST_WHEN_ON = "lost_when_on"
CONF_STATE_SENSORS = "state_sensors"
CONF_PRESENT_STATES = "present_states"
CONF_LOST_STATES = "lost_states"
CONF_STREET_SIDE = "street_side"
CONF_ALERTS = "alerts"
CONF_CALENDARS = "calendars"
CONF_CALENDAR_PROGRAM = "calendar_program"
CONF_SWITCH = "switch"
CONF_ON_IS_OPEN = "on_is_open"
CONF_OPEN_PROOF = "open_proof"
CONF_CLOSED_PROOF = "closed_proof"
