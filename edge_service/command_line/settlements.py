"""Commands about what events have come to: the log of them, and a program's season."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from edge_service.command_line.outcome import CommandError, Commands, add_config, say

if TYPE_CHECKING:
    from edge_service.command_line.local_edge import LocalEdge

HEAD = f"{'day':<11}{'event':<22}{'how':<10}{'hours':>6}{'charger':>10}{'site':>10}{'$':>10}  gaps"
WORST_GAPS = 5


def add_commands(commands: Commands) -> None:
    """Declare them; nothing of the edge is loaded yet."""
    season = commands.add_parser("season", help="show what a program's season has come to")
    season.add_argument("program", nargs="?", help="its id; else every program")
    season.add_argument("--year", type=int, help="in which the season began; else the present or last one")
    add_config(season)
    season.add_argument("--json", action="store_true", help="everything, for programs")
    season.set_defaults(act=_season)


def show_log(args: argparse.Namespace, edge: LocalEdge) -> int:
    """The events that are over, by both measures."""
    books = edge.settlements(args.program, args.year)
    if args.json:
        say(json.dumps(books["entries"], indent=2, ensure_ascii=False))
        return 0
    lines = [line for entry in books["entries"] for line in _event(entry)]
    say("\n".join([HEAD, *lines]) if lines else "No event is over so far.")
    return 0


def _season(args: argparse.Namespace) -> int:
    from edge_service.command_line.local_edge import LocalEdge  # noqa: PLC0415
    from edge_service.config import load  # noqa: PLC0415

    books = LocalEdge.of(load(args.config)).settlements(args.program, args.year)
    seasons = latest(books["seasons"]) if args.year is None else books["seasons"]
    if args.program is not None and not seasons:
        raise CommandError(
            f"no season of {args.program} is known{_then(args.year)}; ridethrough program list shows the programs"
        )
    if not seasons and not args.json:
        say("No program has a season then.")
        return 0
    if args.json:
        say(json.dumps(seasons, indent=2, ensure_ascii=False))
        return 0
    say("\n\n".join("\n".join(told(season, books["entries"])) for season in seasons))
    return 0


def _then(year: int | None) -> str:
    return "" if year is None else f" that began in {year}"


def latest(seasons: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The newest of each program; they come the newest first."""
    found: dict[str, Mapping[str, Any]] = {}
    for season in seasons:
        found.setdefault(season["program"], season)
    return list(found.values())


def told(season: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A season in lines: its events by both measures, what it has come to, and where it was not measured."""
    own = [one for one in entries if one["program"] == season["program"] and _is_in(one["day"], season)]
    yield f"{season['name']} ({season['program']}), {season['first']} to {season['last']}"
    if not own:
        yield "  no event of this season is over yet"
        return
    yield HEAD
    for one in reversed(own):
        yield from _event(one)
    if season["paid_average_w"] is None:
        yield "  no event has been settled yet"
    measures = f"chargers {_kw(season['average_w'])}, net at the street {_kw(season['site_average_w'])}"
    yield f"  average over {_of_events(season['events'])}: {measures}; paid by: {_measure(season['measure'])}"
    opted = "" if season["opted_out_counts"] else " (not counted)"
    yield f"  missed {season['missed']}, left out {season['opted_out']}{opted}, not settled yet {season['unsettled']}"
    if season["usd"] is not None:
        expected = "the season is over" if season["over"] else f"{season['events_expected']} events expected"
        yield f"  earned ${season['usd']:.2f}; ${season['projection_usd']:.2f} if the rest goes as so far ({expected})"
    worst = sorted((one for one in own if one["gap_s"]), key=lambda one: -one["gap_s"])[:WORST_GAPS]
    if worst:
        yield f"  worst gaps: {', '.join(f'{one["day"]} {_minutes(one["gap_s"])}' for one in worst)}"


def _of_events(count: int) -> str:
    return f"{count} event{'s' * (count != 1)}"


def _is_in(day: str, season: Mapping[str, Any]) -> bool:
    return bool(season["first"] <= day <= season["last"])


def _event(one: Mapping[str, Any]) -> Iterator[str]:
    hours = (_seconds(one["end"]) - _seconds(one["start"])) / 3600
    usd = "-" if one["usd"] is None else f"{one['usd']:.2f}"
    measures = f"{_kw(one['average_w']):>10}{_kw(one['site_average_w']):>10}"
    notes = [_gaps(one), "out of season" if "out_of_season" in one.get("flags", ()) else ""]
    gaps = ", ".join(note for note in notes if note)
    name, how = one["name"][:20], one["outcome"].replace("_", " ")
    yield f"{one['day']:<11}{name:<22}{how:<10}{hours:>6.2g}{measures}{usd:>10}  {gaps}".rstrip()


def _gaps(one: Mapping[str, Any]) -> str:
    """What nobody measured: at the chargers, else at the meter."""
    if one["gap_s"]:
        return _minutes(one["gap_s"])
    return _minutes(one["site_gap_s"], "meter ") if one["site_gap_s"] else ""


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _measure(measure: str) -> str:
    return "the chargers" if measure == "charger" else "the net at the street"


def _kw(watts: int | None) -> str:
    return "-" if watts is None else f"{watts / 1000:.2f} kW"


def _minutes(seconds: float, what: str = "") -> str:
    return f"{what}{seconds / 60:.0f} min" if seconds >= 60 else f"{what}{seconds:.0f} s"
