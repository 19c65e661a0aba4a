"""Names that several files of the integration share."""

DOMAIN = "ridethrough"
MANUFACTURER = "Ridethrough"

# The port of ``ridethrough run`` unless ``site.yaml`` says otherwise.
DEFAULT_PORT = 8127

# SHA-256 of the edge's certificate as hex; absent where the link is plain HTTP on this machine.
CONF_FINGERPRINT = "fingerprint"
