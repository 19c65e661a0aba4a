"""``ridethrough simulate``: start a simulated site or utility, and make things happen there."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_service.command_line.outcome import CommandError, Commands, say

# Where ``scripts/demo`` leaves the announcement of its simulated site, from the folder it was started in.
SITE_ANNOUNCEMENT = Path(".demo/site.json")
UTILITY_URL = "http://127.0.0.1:8731/simulate"


def add_commands(commands: Commands, words: list[str]) -> None:
    """Declare them. Options of ``site`` and ``utility`` belong to the simulation and are loaded only for them."""
    simulate = commands.add_parser("simulate", help="simulated site and utility, and what happens there")
    acts = simulate.add_subparsers(title="what to simulate", metavar="WHAT", required=True)
    _add_site(acts, wanted=words[:2] == ["simulate", "site"])
    _add_utility(acts, wanted=words[:2] == ["simulate", "utility"])
    _add_site_acts(acts)
    _add_utility_acts(acts)


def _add_site(acts: Commands, *, wanted: bool) -> None:
    parser = acts.add_parser("site", help="run a simulated charger, meter and island switch")
    if wanted:
        from edge_service.simulation import site_command  # noqa: PLC0415

        site_command.add_arguments(parser)
        parser.set_defaults(act=site_command.run)


def _add_utility(acts: Commands, *, wanted: bool) -> None:
    parser = acts.add_parser("utility", help="run a simulated utility that speaks OpenADR 3.1")
    if wanted:
        from edge_service.simulation import utility_command  # noqa: PLC0415

        utility_command.add_arguments(parser)
        parser.set_defaults(act=utility_command.run)


def _add_site_acts(acts: Commands) -> None:
    for name, words in {
        "outage": "the grid fails",
        "restore": "the grid comes back",
        "unplug": "the vehicle leaves",
        "plug": "a vehicle arrives",
        "load": "the house draws this much",
    }.items():
        parser = acts.add_parser(name, help=words)
        parser.add_argument("--site", metavar="URL", help="control address of the simulated site (the demo's)")
        parser.set_defaults(act=_site_act, what=name)
        if name == "plug":
            parser.add_argument("--soc", dest="soc_pct", type=float, metavar="PERCENT", help="its charge")
        if name == "load":
            parser.add_argument("watts", type=float)


def _add_utility_acts(acts: Commands) -> None:
    event = acts.add_parser("event", help="the utility calls a peak")
    event.add_argument("--power-kw", type=float, default=5.0, help="what it asks the house for (%(default)s)")
    event.add_argument(
        "--start-in", dest="start_in_s", type=float, default=60.0, metavar="S", help="seconds from now (%(default)s)"
    )
    event.add_argument(
        "--duration", dest="duration_s", type=float, default=1800.0, metavar="S", help="seconds (%(default)s)"
    )
    event.add_argument("--name", default="Peak event", help="what the utility calls it (%(default)s)")
    event.set_defaults(act=_event)
    cancel = acts.add_parser("cancel", help="the utility takes its newest event back")
    cancel.add_argument("--event", dest="event_id", metavar="ID", help="this one instead")
    cancel.set_defaults(act=_cancel)
    for parser in (event, cancel):
        parser.add_argument(
            "--utility", metavar="URL", help="control address of the simulated utility, as it says itself (the demo's)"
        )


def _site_act(args: argparse.Namespace) -> int:
    from edge_service.simulation import acts  # noqa: PLC0415

    url = args.site or os.environ.get("RIDETHROUGH_SITE") or _announced()
    doing: dict[str, Callable[[], None]] = {
        "outage": lambda: acts.outage(url),
        "restore": lambda: acts.restore(url),
        "unplug": lambda: acts.unplug(url),
        "plug": lambda: acts.plug(url, args.soc_pct),
        "load": lambda: acts.load(url, args.watts),
    }
    try:
        doing[args.what]()
    except acts.ControlError as error:
        raise CommandError(str(error)) from error
    say(f"{args.what}: done")
    return 0


def _announced() -> str:
    try:
        return str(json.loads(SITE_ANNOUNCEMENT.read_text(encoding="utf-8"))["control_url"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(
            f"no simulated site is announced in {SITE_ANNOUNCEMENT}; run this where the demo runs, or say --site URL"
        ) from error


def _event(args: argparse.Namespace) -> int:
    from edge_service.simulation import utility_acts  # noqa: PLC0415

    wish = {key: getattr(args, key) for key in ("start_in_s", "duration_s", "power_kw", "name")}
    made = _at_utility(lambda: utility_acts.event(_utility(args), **wish))
    say(f"event {made.get('id', '')}: {args.power_kw:g} kW in {args.start_in_s:g} s for {args.duration_s:g} s")
    return 0


def _cancel(args: argparse.Namespace) -> int:
    from edge_service.simulation import utility_acts  # noqa: PLC0415

    gone = _at_utility(lambda: utility_acts.cancel(_utility(args), args.event_id))
    say(f"event {gone.get('event', {}).get('id', '')}: {gone.get('how', 'cancelled')}")
    return 0


def _at_utility(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    from edge_service.simulation.utility_acts import UtilityActError  # noqa: PLC0415

    try:
        return act()
    except UtilityActError as error:
        raise CommandError(str(error)) from error


def _utility(args: argparse.Namespace) -> str:
    """Its control address; of an address without a path, the usual one there."""
    said = str(args.utility or os.environ.get("RIDETHROUGH_UTILITY") or UTILITY_URL).rstrip("/")
    return said if "/" in said.partition("://")[2] else f"{said}/simulate"
