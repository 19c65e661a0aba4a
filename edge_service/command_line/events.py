"""``ridethrough event``: events by hand and a person's say on any event, with the running edge."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from edge_service.command_line.local_time import A_TIME, local_text, moment
from edge_service.command_line.outcome import CommandError, Commands, add_config, say

if TYPE_CHECKING:
    from edge_service.command_line.local_edge import LocalEdge

MOST_KW = 1000
# Of the states of an event: nothing of it is left to decide.
OVER = frozenset({"finished", "missed", "cancelled"})
FLAGS = {
    "out_of_season": "out of its program's season",
    "wrong_weekday": "on a weekday that its program does not call",
    "holiday": "on a holiday",
    "outside_window": "at an hour that its program does not call",
    "too_long": "longer than its program says",
    "too_short": "shorter than its program says",
    "short_notice": "announced at short notice",
    "too_many": "beyond the most of the season",
    "unsure_clock": "the clocks of the utility and of this house differ too much",
}


def add_commands(commands: Commands) -> None:
    """Declare enter, list, out, in and cancel; nothing of the edge is loaded yet."""
    event = commands.add_parser("event", help="peak events: list them, enter one by hand, leave one out")
    acts = event.add_subparsers(title="what to do", metavar="WHAT", required=True)
    _declared(acts, "list", "the events that run or come, with the money at stake", _list)
    enter = _declared(acts, "enter", "enter an event that a text, mail or phone call told of", _enter)
    enter.add_argument("--start", required=True, metavar="TIME", help=f"such as {A_TIME}")
    enter.add_argument("--end", required=True, metavar="TIME", help="likewise, or the hour alone: 20:00")
    enter.add_argument("--power", required=True, type=_kilowatts, metavar="KW", help="what the house shall give")
    enter.add_argument("--name", default="Peak event", help="what people call it (%(default)s)")
    enter.add_argument("--program", metavar="ID", help="its program; needed where several take events by hand")
    out = _declared(acts, "out", "leave out one event, or a day, or all events of a program", _out)
    back = _declared(acts, "in", "take part again; also the yes to an event that asks", _in)
    for parser in (out, back):
        parser.add_argument("event", nargs="?", help="its uid, or its name where only one has it")
        parser.add_argument("--day", type=_day, metavar="DAY", help="all events of this local date, such as 2026-07-15")
        parser.add_argument("--program", metavar="ID", help="with an event or --day: of this one; else all its events")
    cancel = _declared(acts, "cancel", "take back one that was entered by hand", _cancel)
    cancel.add_argument("event", help="its uid, or its name where only one has it")


def _declared(acts: Commands, name: str, words: str, act: Callable[[argparse.Namespace], int]) -> Any:
    parser = acts.add_parser(name, help=words)
    add_config(parser)
    parser.set_defaults(act=act)
    return parser


def _kilowatts(text: str) -> int:
    """Watts."""
    try:
        power_kw = float(text)
    except ValueError:
        power_kw = 0.0
    if not 0.001 <= power_kw <= MOST_KW:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: above 0 to {MOST_KW} kW")
    return round(power_kw * 1000)


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: a local date such as 2026-07-15") from None


# ----------------------------------------------------------------------------------------------------------- the house


@dataclass(frozen=True, slots=True)
class _House:
    """The running edge, its programs and the zone that people's times are in (None: not told)."""

    edge: LocalEdge
    programs: Mapping[str, Mapping[str, Any]]
    zone: str | None

    @classmethod
    def of(cls, args: argparse.Namespace) -> _House:
        from edge_service.command_line.local_edge import LocalEdge  # noqa: PLC0415
        from edge_service.config import load  # noqa: PLC0415

        config = load(args.config)
        edge = LocalEdge.of(config)
        return cls(edge, edge.state().get("programs", {}), config.facts().time_zone)

    def events(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """What runs or comes, the next first, each with its program's id."""
        listed = [(key, one) for key, program in self.programs.items() for one in program.get("events", ())]
        yield from sorted((one for one in listed if one[1]["status"] not in OVER), key=lambda one: str(one[1]["start"]))

    def uid(self, wanted: str, program: str | None = None) -> str:
        """Of the event with this uid, or the only one with this name (of this program)."""
        known = [one for key, one in self.events() if program in (None, key)]
        found = [one for one in known if one["uid"] == wanted]
        found = found or [one for one in known if str(one["name"]).casefold() == wanted.casefold()]
        if len(found) == 1:
            return str(found[0]["uid"])
        listed = "; ".join(
            f"{one['uid']}, {one['name']}, {local_text(one['start'], self.zone)}" for one in found or known
        )
        if found:
            raise CommandError(f"several events have the name {wanted!r}; say the uid of one: {listed}")
        raise CommandError(f"no event {wanted!r} runs or comes; there are: {listed or 'none'}")

    def program_by_hand(self, wanted: str | None) -> str:
        if wanted is not None:
            return self.program(wanted)
        by_hand = [key for key, program in self.programs.items() if program.get("kind") == "manual"]
        if len(by_hand) != 1:
            raise CommandError(f"say whose event it is with --program; by hand are: {', '.join(by_hand) or 'none'}")
        return by_hand[0]

    def program(self, wanted: str) -> str:
        if wanted not in self.programs:
            raise CommandError(f"there is no program {wanted}; known are: {', '.join(self.programs) or 'none'}")
        return wanted


# ------------------------------------------------------------------------------------------------------------ the acts


def _list(args: argparse.Namespace) -> int:
    house = _House.of(args)
    lines = [line for key, one in house.events() for line in lines_of(key, one, house.zone)]
    days = [line for key, program in house.programs.items() for line in _standing(key, program)]
    say("\n".join([*(lines or ["No event runs or comes."]), *days]))
    return 0


def lines_of(program: str, one: Mapping[str, Any], zone: str | None) -> Iterator[str]:
    """One event in words."""
    span = f"{local_text(one['start'], zone)} to {local_text(one['end'], zone)}"
    yield f"{one['name']} ({program}): {str(one['status']).replace('_', ' ')}, {span}"
    yield f"  asked to {_power(one.get('power_w'))}; what can be held: {_power(one.get('feasible_w'))}"
    if one.get("stake_usd") is not None:
        yield f"  at stake: ${one['stake_usd']:.2f}"
    if flags := _flags(one.get("flags", ())):
        yield f"  not by its program's rules: {flags}"
    if one.get("asks") and one.get("opted_out"):
        yield f"  is not served until you say yes: ridethrough event in {one['uid']}"
    yield f"  uid {one['uid']}"


def _flags(flags: Sequence[str]) -> str:
    return ", ".join(FLAGS.get(flag, flag) for flag in flags)


def _standing(key: str, program: Mapping[str, Any]) -> Iterator[str]:
    """What may keep a program's events from being known or served."""
    if program.get("problem"):
        yield f"{key} has a problem: {program['problem']}"
    if program.get("participating") is False:
        yield f"all events of {key} are left out"
    if program.get("days_opted_out"):
        yield f"{key} is left out on {', '.join(program['days_opted_out'])}"


def _power(watts: float | None) -> str:
    if watts is None:
        return "(not known)"
    return f"{'take' if watts > 0 else 'give'} {abs(watts) / 1000:.2f} kW"


def _enter(args: argparse.Namespace) -> int:
    house = _House.of(args)
    program = house.program_by_hand(args.program)
    start = moment(args.start, "--start", house.zone)
    end = _end(house, args.end, start)
    wish = {"program": program, "name": args.name, "power_w": args.power}
    wish |= {"start": start.isoformat(), "end": end.isoformat()}
    made = house.edge.command("enter_event", wish)
    hours = (end - start) / timedelta(hours=1)
    say(f"Entered for {program}: {args.power / 1000:g} kW for {hours:g} h, uid {made['event']}")
    say("What can be held and what it may bring: ridethrough event list")
    return 0


def _end(house: _House, text: str, start: datetime) -> datetime:
    """A time, or an hour of the day on which the event starts, of the next day where it would be before the start."""
    if "-" in text or "T" in text:
        return moment(text, "--end", house.zone)
    end = moment(f"{start.date()} {text}", "--end", house.zone)
    if start.tzinfo is not None:
        end = end.replace(tzinfo=start.tzinfo)
    return end if end > start else end + timedelta(days=1)


def _out(args: argparse.Namespace) -> int:
    return _said(args, takes_part=False)


def _in(args: argparse.Namespace) -> int:
    return _said(args, takes_part=True)


def _said(args: argparse.Namespace, *, takes_part: bool) -> int:
    house, word = _House.of(args), "in" if takes_part else "out"
    if (args.event is None) == (args.day is None) and (args.event is not None or args.program is None):
        raise CommandError("say one of: an event, --day, or --program; see ridethrough event list")
    if args.program is not None:
        house.program(args.program)
    if args.event is not None:
        say(
            _stake(
                house.edge.command(f"opt_{word}", {"event": house.uid(args.event, args.program)}), takes_part=takes_part
            )
        )
    elif args.day is not None:
        house.edge.command(f"opt_{word}_day", {"day": args.day, "program": args.program})
        say(f"{args.day} is {'served again' if takes_part else 'left out'}: {args.program or 'all programs'}.")
    else:
        house.edge.command("set_participation", {"program": args.program, "participating": takes_part})
        words = "served again" if takes_part else "left out until you take part again: ridethrough event in --program"
        say(f"All events of {args.program} are {words}{'.' if takes_part else f' {args.program}'}")
    return 0


def _stake(made: Mapping[str, Any], *, takes_part: bool) -> str:
    words = "It is served." if takes_part else "It is left out."
    if made.get("stake_usd") is None:
        return words
    worth = f"${made['stake_usd']:.2f} and {made['average_w'] / 1000:.3g} kW of the season's average"
    return f"{words} {'It can bring' if takes_part else 'That gives up'} {worth}."


def _cancel(args: argparse.Namespace) -> int:
    house = _House.of(args)
    house.edge.command("cancel_event", {"event": house.uid(args.event)})
    say("The event is taken back.")
    return 0
