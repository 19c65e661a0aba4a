"""``ridethrough rehearse``: an event to try things out, with the running edge."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from edge_service.command_line.local_time import A_TIME, local_text, moment
from edge_service.command_line.outcome import Commands, add_config, say


def add_commands(commands: Commands) -> None:
    """Declare it; nothing of the edge is loaded yet."""
    rehearse = commands.add_parser(
        "rehearse", help="rehearse an event with the running edge; nothing moves without --pulse"
    )
    add_config(rehearse)
    rehearse.add_argument(
        "--program", metavar="ID", help="whose event it shall be; the one for events by hand if not given"
    )
    rehearse.add_argument("--pulse", type=_watts, metavar="KW", help="really supply this, from 0.1 to 5 kW")
    rehearse.add_argument("--minutes", type=int, default=5, metavar="N", help="from 1 to 15 (%(default)s)")
    rehearse.add_argument("--at", metavar="TIME", help=f"such as {A_TIME}; in a minute if not given")
    rehearse.add_argument("--cancel", action="store_true", help="take back the one that comes or runs")
    rehearse.set_defaults(act=_rehearse)


def _watts(text: str) -> int:
    try:
        power_kw = float(text)
    except ValueError:
        power_kw = 0.0
    if not 0.1 <= power_kw <= 5:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: 0.1 to 5 kW")
    return round(power_kw * 1000)


def _rehearse(args: argparse.Namespace) -> int:
    from edge_service.command_line.local_edge import LocalEdge  # noqa: PLC0415
    from edge_service.config import load  # noqa: PLC0415

    config = load(args.config)
    edge = LocalEdge.of(config)
    if args.cancel:
        edge.command("cancel_rehearsal", {})
        say("The rehearsal is taken back.")
        return 0
    wish: dict[str, Any] = {"dry": args.pulse is None, "minutes": args.minutes}
    at = None if args.at is None else moment(args.at, "--at", config.facts().time_zone).isoformat()
    said = {"program": args.program, "power_w": args.pulse, "at": at}
    made = edge.command("start_rehearsal", wish | {name: value for name, value in said.items() if value is not None})
    begins, ends = (local_text(str(made[key]), config.facts().time_zone) for key in ("start", "end"))
    say(f"The rehearsal runs from {begins} to {ends}. How it went: ridethrough log rehearsals")
    return 0


def lines_of(entry: Mapping[str, Any]) -> Iterator[str]:
    """One entry of the log in words."""
    outcome = str(entry.get("kind", "")).removeprefix("rehearsal_")
    what = "dry" if entry.get("dry") else f"{entry.get('target_w')} W"
    score = "no score" if entry.get("score") is None else f"score {entry['score']}"
    yield f"{entry.get('start')}: {outcome}, {score}, {what}, program {entry.get('program')}"
    if outcome == "cancelled":
        return
    yield f"  began {_of(entry.get('start_s'), 's')} after its time, told after {_of(entry.get('told_s'), 's')}"
    if not entry.get("dry"):
        error = _of(entry.get("error_w"), "W")
        yield f"  {entry.get('energy_wh')} Wh, off its target by {error}, {entry.get('gap_s')} s not measured"
    yield f"  limited by: {', '.join(entry.get('limited_by', ())) or 'nothing'}"
    yield f"  findings: {', '.join(entry.get('reasons', ())) or 'none'}"


def _of(value: object, unit: str) -> str:
    return "not known" if not isinstance(value, int | float) else f"{value:g} {unit}"
