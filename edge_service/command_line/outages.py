"""Commands about outages: the log of them and of drills, and a drill."""

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edge_service.command_line import rehearsal, settlements
from edge_service.command_line.outcome import Commands, add_config, say

if TYPE_CHECKING:
    from edge_service.command_line.local_edge import LocalEdge


def add_commands(commands: Commands) -> None:
    """Declare them; nothing of the edge is loaded yet."""
    log = commands.add_parser("log", help="show the last outages, drills or rehearsals, or what events came to")
    log.add_argument(
        "of", choices=("outages", "drills", "rehearsals", "settlements"), help="settlements: what events came to"
    )
    log.add_argument("--program", metavar="ID", help="of settlements: of this program only")
    log.add_argument("--year", type=int, help="of settlements: of seasons that began in this year")
    add_config(log)
    log.add_argument("--json", action="store_true", help="every entry whole, for programs")
    log.set_defaults(act=_log)
    drill = commands.add_parser("drill", help="rehearse an outage with the running edge")
    add_config(drill)
    drill.add_argument("--transfer", action="store_true", help="really leave the grid: dark for a moment, twice")
    drill.add_argument("--minutes", type=float, default=2, help="that the vehicle carries the house (%(default)s)")
    words = "what somebody's health depends on has a battery of its own"
    drill.add_argument("--medical-safe", action="store_true", help=words)
    words = "somebody stands beside the island switch and can close it by hand"
    drill.add_argument("--at-switch", action="store_true", help=words)
    drill.add_argument("--cancel", action="store_true", help="break off the one that runs")
    drill.set_defaults(act=_drill)


def _edge(args: argparse.Namespace) -> LocalEdge:
    from edge_service.command_line.local_edge import LocalEdge  # noqa: PLC0415
    from edge_service.config import load  # noqa: PLC0415

    return LocalEdge.of(load(args.config))


def _log(args: argparse.Namespace) -> int:
    if args.of == "settlements":
        return settlements.show_log(args, _edge(args))
    entries = _edge(args).log(args.of)
    if args.json:
        say(json.dumps(entries, indent=2, ensure_ascii=False))
        return 0
    words = {"outages": _outage, "drills": _rehearsed, "rehearsals": rehearsal.lines_of}[args.of]
    lines = [line for entry in entries for line in words(entry)]
    say("\n".join(lines) or f"No {args.of} so far.")
    return 0


def _outage(entry: Mapping[str, Any]) -> Iterator[str]:
    yield f"{entry.get('started_at')}: {_seconds(entry.get('duration_s'))}, told by {entry.get('evidence')}"
    yield f"  carried after {_seconds(entry.get('transfer_s'))}, dark for {_seconds(entry.get('dark_s'))} in all"
    lowest = entry.get("lowest_soc_pct")
    yield f"  {entry.get('energy_wh')} Wh, {entry.get('highest_w')} W at most, charge down to {lowest} %"
    yield f"  loads shed: {', '.join(entry.get('loads_shed', ())) or 'none'}"
    yield f"  notices: {', '.join(entry.get('notices', ())) or 'none'}"


def _rehearsed(entry: Mapping[str, Any]) -> Iterator[str]:
    kind = str(entry.get("kind", "")).removeprefix("drill_")
    before = f" (before: {entry['previous_score']})" if entry.get("previous_score") is not None else ""
    yield f"{entry.get('at')}: {kind}, score {entry.get('score')}{before}"
    if entry.get("transfer"):
        yield f"  dark for {_seconds(entry.get('transfer_s'))}, and {_seconds(entry.get('return_s'))} on the way back"
        yield f"  {entry.get('energy_wh')} Wh, {entry.get('highest_w')} W at most, lowest {entry.get('lowest_v')} V"
    yield f"  loads shed: {', '.join(entry.get('loads_shed', ())) or 'none'}"
    yield f"  findings: {', '.join(entry.get('reasons', ())) or 'none'}"


def _seconds(value: object) -> str:
    return "not known" if not isinstance(value, int | float) else f"{value:.1f} s"


def _drill(args: argparse.Namespace) -> int:
    edge = _edge(args)
    if args.cancel:
        edge.command("cancel_drill", {})
        say("The drill is broken off; the house goes back to the grid.")
        return 0
    wish = {"transfer": args.transfer, "confirm": args.transfer, "medical_safe": args.medical_safe}
    wish["at_switch"] = args.at_switch
    edge.command("start_drill", {**wish, "island_s": args.minutes * 60})
    say("The drill begins. How it went: ridethrough log drills")
    return 0
