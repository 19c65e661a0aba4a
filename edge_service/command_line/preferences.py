"""``ridethrough set``: what a person prefers, for who has no Home Assistant. The running edge keeps it."""

import argparse
from collections.abc import Callable
from typing import Any

from edge_service.command_line.outcome import Commands, add_config, say
from edge_service.domain.model import Mode
from edge_service.domain.persons_limits import MOST_W

type Wish = Callable[[argparse.Namespace], dict[str, Any]]


def add_commands(commands: Commands) -> None:
    """Declare it; nothing of the edge is loaded yet."""
    chosen = commands.add_parser(
        "set", help="set mode, reserves, power limits, event floors and whose events count first"
    )
    acts = chosen.add_subparsers(title="what to set", metavar="WHAT", required=True)
    mode = _declared(acts, "mode", "what it may do by itself", "set_mode", _of("mode"))
    mode.add_argument("mode", choices=[one.value for one in Mode])
    words = "percent that events and prices leave for an outage"
    backup = _declared(acts, "backup-reserve", words, "set_backup_reserve", _of("pct"))
    backup.add_argument("pct", type=_percent, metavar="PCT")
    words = "percent of a vehicle's battery that stays for driving, also in an outage"
    drivers = _declared(acts, "drivers-reserve", words, "set_drivers_reserve", _of("charger", "pct", "confirm"))
    drivers.add_argument("charger", metavar="CHARGER", help="its id in site.yaml")
    drivers.add_argument("pct", type=_percent, metavar="PCT")
    drivers.add_argument("--confirm", action="store_true", help="even if that darkens a house that runs on it")
    words = "watts that a charger may draw and give while the grid is there; not in an outage"
    limit = _declared(acts, "power-limit", words, "set_power_limit", _power_limit)
    limit.add_argument("charger", metavar="CHARGER", help="its id in site.yaml")
    limit.add_argument("--charge", type=_watts, metavar="W", help="most that it may draw, or none")
    limit.add_argument("--discharge", type=_watts, metavar="W", help="most that it may give, or none")
    words = "percent below which no event of a program takes a vehicle"
    floor = _declared(acts, "event-floor", words, "set_event_floor", _of("program", "pct"))
    floor.add_argument("program", metavar="PROGRAM", help="its id, as ridethrough program list shows it")
    floor.add_argument("pct", type=_percent, metavar="PCT")
    words = "whose events count first where two call at once"
    order = _declared(acts, "program-order", words, "set_program_order", _of("programs"))
    order.add_argument("programs", nargs="+", metavar="PROGRAM", help="their ids, the first first")


def _of(*names: str) -> Wish:
    return lambda args: {name: getattr(args, name) for name in names}


def _declared(acts: Commands, name: str, words: str, command: str, wish: Wish) -> argparse.ArgumentParser:
    parser = acts.add_parser(name, help=words, description=words)
    add_config(parser)
    parser.set_defaults(act=_set, command=command, wish=wish, what=name)
    return parser


def _power_limit(args: argparse.Namespace) -> dict[str, Any]:
    """What was not said stays as it is."""
    said = {"charge_w": args.charge, "discharge_w": args.discharge}
    return {"charger": args.charger} | {name: one[0] for name, one in said.items() if one is not None}


def _watts(text: str) -> tuple[int | None]:
    """None, for ``none``, would be "not said": a tuple."""
    if text == "none":
        return (None,)
    if not text.isascii() or not text.isdigit() or int(text) > MOST_W:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: watts from 0 to {MOST_W}, or none")
    return (int(text),)


def _percent(text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: percent from 0 to 100")
    return percent


def _set(args: argparse.Namespace) -> int:
    from edge_service.command_line.local_edge import LocalEdge  # noqa: PLC0415
    from edge_service.config import load  # noqa: PLC0415

    LocalEdge.of(load(args.config)).command(args.command, args.wish(args))
    say(f"{args.what} is set; it counts from now on and stays over a restart.")
    return 0
