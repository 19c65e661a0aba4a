"""Names that several files of the integration share."""

DOMAIN = "ridethrough"
MANUFACTURER = "Ridethrough"

# The port of ``ridethrough run`` unless ``site.yaml`` says otherwise.
DEFAULT_PORT = 8127
