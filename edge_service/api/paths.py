"""Where the local API answers besides the contract's paths (``wire.py``), and the file of its command line's token."""

HEALTH_PATH = "/health"
STATE_PATH = "/api/v1/state"
COMMAND_PATH = "/api/v1/command"
CHECK_PATH = "/api/v1/check"
LOG_PATH = "/api/v1/log"
CLIENTS_PATH = "/api/v1/clients"

# In the edge's data folder; a fresh one with each start.
LOCAL_TOKEN_FILE = "local.token"
