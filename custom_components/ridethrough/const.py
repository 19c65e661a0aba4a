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
