"""The ``ridethrough`` command."""

import sys

from edge_service.command_line import main

if __name__ == "__main__":
    sys.exit(main())
