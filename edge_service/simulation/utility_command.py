"""``ridethrough simulate utility``: the simulated utility as a process of its own."""

import argparse
import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from edge_service.simulation.utility import VERSIONS, SimulatedUtility, UtilityOptions
from edge_service.simulation.utility_advertised import advertised

DEFAULT_PORT = 8731


def add_arguments(parser: argparse.ArgumentParser) -> None:
    plain = UtilityOptions()
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="loopback port; 0: any free (%(default)s)")
    parser.add_argument("--client-id", default=plain.ven_id, help="of the house (%(default)s)")
    parser.add_argument("--client-secret", default=plain.ven_secret, help="of the house (%(default)s)")
    parser.add_argument("--business-client-id", default=plain.business_id, help="of the utility (%(default)s)")
    parser.add_argument("--business-client-secret", default=plain.business_secret, help="of the utility (%(default)s)")
    parser.add_argument("--openadr", choices=VERSIONS, default=VERSIONS[0], help="version (%(default)s)")
    words = "tell of news by MQTT: own, for a broker in this process, or mqtt://HOST:PORT of another (default: no)"
    parser.add_argument("--mqtt", default="", metavar="WHERE", help=words)
    parser.add_argument("--advertise", action="store_true", help="be found by mDNS on this machine")
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
        version=args.openadr,
        mqtt=args.mqtt,
    )
    try:
        asyncio.run(_serve(options, advertise=args.advertise))
    except (OSError, ValueError) as error:
        print(f"The simulated utility cannot start: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: UtilityOptions, *, advertise: bool) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with SimulatedUtility(options) as utility, AsyncExitStack() as stack:
        utility.dispatch.program()
        if advertise:
            await stack.enter_async_context(advertised(utility))
        print(f"utility: OpenADR {options.version.removesuffix('.0')} at {utility.base_url}", flush=True)
        print(f"utility: control at {utility.control_url}", flush=True)
        await ended.wait()
