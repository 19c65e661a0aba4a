"""``ridethrough program discover``: which OpenADR 3 servers there are in this house."""

import argparse

from edge_service.command_line.outcome import CommandError, Commands, say
from edge_service.ports import ProgramError


def add_command(acts: Commands) -> None:
    """Declare it among the acts of ``program``."""
    parser = acts.add_parser("discover", help="look for OpenADR 3 servers in this house (mDNS)")
    parser.add_argument("--seconds", type=_seconds, default=3.0, help="how long to listen, 0.1 to 60 (%(default)g)")
    parser.add_argument(
        "--interface", type=_address, metavar="ADDRESS", help="ask only from this address of this machine"
    )
    parser.set_defaults(act=_discover)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 60:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: seconds from 0.1 to 60")
    return value


def _address(text: str) -> str:
    import ipaddress  # noqa: PLC0415

    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: an address such as 192.168.1.20") from None


def _discover(args: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from edge_service.programs.openadr3_discovery import FoundServer, discover  # noqa: PLC0415

    def line(one: FoundServer) -> str:
        needs = {True: "needs credentials", False: "needs no credentials", None: "does not say if it needs credentials"}
        spoken = f"OpenADR {one.version}" if one.version else "OpenADR 3"
        offered = f"; programs: {', '.join(one.program_names)}" if one.program_names else ""
        return f"{one.name}: {spoken} at {one.url}; {needs[one.needs_credentials]}{offered}"

    interfaces = None if args.interface is None else [args.interface]
    try:
        found = asyncio.run(discover(args.seconds, interfaces))
    except ProgramError as error:
        raise CommandError(str(error)) from error
    for one in found:
        say(line(one))
    if found:
        say("Anybody in this network can announce a server: ask the utility first, then: ridethrough program add")
    else:
        say("No OpenADR 3 server answered in this network.")
    return 0
