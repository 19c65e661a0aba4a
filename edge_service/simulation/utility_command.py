"""``ridethrough simulate utility``: the simulated utility as a process of its own."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from edge_service.simulation.utility import SimulatedUtility, UtilityOptions

DEFAULT_PORT = 8731


def add_arguments(parser: argparse.ArgumentParser) -> None:
    plain = UtilityOptions()
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="loopback port; 0: any free (%(default)s)")
    parser.add_argument("--client-id", default=plain.ven_id, help="of the house (%(default)s)")
    parser.add_argument("--client-secret", default=plain.ven_secret, help="of the house (%(default)s)")
    parser.add_argument("--business-client-id", default=plain.business_id, help="of the utility (%(default)s)")
    parser.add_argument("--business-client-secret", default=plain.business_secret, help="of the utility (%(default)s)")
    parser.add_argument("--state", type=Path, help="file that keeps programs and events over a restart (default: none)")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; 1 when the port is taken or the state file is not ours."""
    options = UtilityOptions(
        port=args.port,
        ven_id=args.client_id,
        ven_secret=args.client_secret,
        business_id=args.business_client_id,
        business_secret=args.business_client_secret,
        state=args.state,
    )
    try:
        asyncio.run(_serve(options))
    except (OSError, ValueError) as error:
        print(f"The simulated utility cannot start: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: UtilityOptions) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with SimulatedUtility(options) as utility:
        utility.dispatch.program()
        print(f"utility: OpenADR 3.1 at {utility.base_url}", flush=True)
        print(f"utility: control at {utility.control_url}", flush=True)
        await ended.wait()
