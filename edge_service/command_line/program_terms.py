"""A program's terms at the command line: the option for each, and plain words for what stands."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

NONE = "none"
MONTHS = tuple(date(2000, month, 1).strftime("%B") for month in range(1, 13))
WHERE = {"charger": "at the chargers", "site": "net at the meter"}


@dataclass(frozen=True, slots=True)
class TermOption:
    """``--flag`` for the term at ``path``; ``read`` makes a plain value of the words, or raises ValueError."""

    flag: str
    path: str
    metavar: str
    words: str
    read: Callable[[str], Any] = str

    @property
    def dest(self) -> str:
        return "term_" + self.path.replace(".", "_")


def _flag(text: str) -> bool:
    return {"yes": True, "no": False}[text]


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


OPTIONS = (
    TermOption("--measure", "measure", "WHERE", "where its pay is measured: charger or site; as --scope if not given"),
    TermOption("--pay-usd-per-kwh", "pay_usd_per_kwh", "USD", "for each kWh delivered", float),
    TermOption("--baseline", "baseline", "KIND", "what a delivery is compared with: none or ten_of_ten"),
    TermOption(
        "--baseline-cap-pct", "baseline_cap_pct", "PCT", "most that a baseline is adjusted by on the day", float
    ),
    TermOption("--opted-out-counts", "opted_out_counts", "yes|no", "whether an event left out counts as 0", _flag),
    TermOption("--exports", "exports", "yes|no", "whether what flows out at the meter is wanted", _flag),
    TermOption("--ramp-s", "ramp_s", "S", "seconds from nothing to full power at an event's start", float),
    TermOption("--floor-pct", "floor_pct", "PCT", "no event takes a vehicle below this, unless you set another", float),
    TermOption("--seasons", "rules.seasons", "DATES", "such as 06-01..09-30, more with commas", _words),
    TermOption("--weekdays", "rules.weekdays", "DAYS", "such as mon,tue,wed,thu,fri", _words),
    TermOption("--holidays", "rules.holidays", "PLACE", "no events on holidays of US, or of US/MA"),
    TermOption("--window", "rules.window", "HOURS", "local time of all events, such as 15:00-20:00"),
    TermOption("--shortest-h", "rules.shortest_h", "H", "hours of the shortest event", float),
    TermOption("--longest-h", "rules.longest_h", "H", "hours of the longest event", float),
    TermOption("--notice-h", "rules.notice_h", "H", "hours from the announcement to the start", float),
    TermOption("--most-events", "rules.most_events", "N", "most events in a season", int),
    TermOption("--most-hours", "rules.most_hours", "H", "most hours of events in a season", float),
    TermOption("--outside", "rules.outside", "ask|serve", "what to do with an event outside of these rules"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """An option for each term. ``none`` takes away what the preset says."""
    words = "start from the terms that ship under this name; see: ridethrough program presets"
    parser.add_argument("--preset", type=_preset, metavar="NAME", help=words)
    group = parser.add_argument_group("terms", "what the program says of its events; none: it says nothing")
    for option in OPTIONS:
        group.add_argument(
            option.flag, dest=option.dest, type=_checked(option), metavar=option.metavar, help=option.words
        )


# What a person types, for what a file says.
_AS_TYPED = {
    "none or ten_of_ten, or null for none": "none or ten_of_ten",
    "or null for none": f"or {NONE}",
    "true or false": "yes or no",
    "such as [06-01..09-30]": "such as 06-01..09-30",
}


def _preset(text: str) -> str:
    from edge_service.ports import ConfigError  # noqa: PLC0415
    from edge_service.programs import presets  # noqa: PLC0415

    try:
        return presets.load(text).name
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _checked(option: TermOption) -> Callable[[str], Any]:
    """Reads a term by its own rule, which is loaded only for it. None, for ``none``, would be "not given": a tuple."""

    def read(text: str) -> tuple[Any]:
        from edge_service.ports import ConfigError  # noqa: PLC0415
        from edge_service.programs import terms  # noqa: PLC0415

        if text == NONE and option.path != "baseline":
            return (None,)
        try:
            value: Any = option.read(text)
        except ValueError, KeyError:
            value = text
        try:
            return (terms.check_term(option.path, value),)
        except ConfigError as error:
            allowed = str(error).partition("; allowed: ")[2]
            for ours, typed in _AS_TYPED.items():
                allowed = allowed.replace(ours, typed)
            raise argparse.ArgumentTypeError(f"found {text}; allowed: {allowed}") from error

    return read


def said(args: argparse.Namespace) -> dict[str, Any]:
    """The terms that were said, as a program keeps them."""
    entry: dict[str, Any] = {} if args.preset is None else {"preset": args.preset}
    given = {option.path: getattr(args, option.dest) for option in OPTIONS}
    found = {path: one[0] for path, one in given.items() if one is not None}
    rules = {path.partition(".")[2]: value for path, value in found.items() if "." in path}
    entry |= {path: value for path, value in found.items() if "." not in path}
    return entry | ({"rules": rules} if rules else {})


# --------------------------------------------------------------------------------------------------------- plain words


def words(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the terms of a kept program say, each with its heading."""
    rules = entry.get("rules") or {}
    if entry.get("preset"):
        yield "terms", f"{entry['preset']} of {entry.get('preset_date')}"
    yield "pay", _pay(entry)
    yield from _days(rules)
    yield from _hours(rules)
    most = [f"{rules['most_events']} events" if rules.get("most_events") else ""]
    most.append(f"{rules['most_hours']:g} hours" if rules.get("most_hours") else "")
    if any(most):
        yield "at most", f"{' and '.join(word for word in most if word)} in a season"
    yield "counted", _counted(entry)
    if entry.get("opted_out_counts") is False:
        yield "left out", "an event that you leave out is no part of the average"
    if entry.get("exports") is False:
        yield "export", "not wanted: an event covers the house at most"
    if entry.get("ramp_s"):
        yield "ramp", f"{entry['ramp_s']:g} s"
    if entry.get("floor_pct"):
        yield "floor", f"{entry['floor_pct']:g} % of a vehicle's battery stays, unless you set another"
    if _knows_events(rules):
        served = rules.get("outside") == "serve"
        yield "else", "served, and said so" if served else "you are asked about an event outside of these rules"


def _knows_events(rules: Mapping[str, Any]) -> bool:
    return any(value for key, value in rules.items() if key != "outside")


def _pay(entry: Mapping[str, Any]) -> str:
    if entry.get("pay_usd_per_kw") is not None:
        events = entry.get("season_events") or 45
        return f"${entry['pay_usd_per_kw']:g} per average kW and season, spread over {events} events"
    if entry.get("pay_usd_per_kwh") is not None:
        return f"${entry['pay_usd_per_kwh']:g} per kWh"
    return "not told, so no dollars are shown"


def _days(rules: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if rules.get("seasons"):
        yield "season", " and ".join(season_words(one) for one in rules["seasons"])
    if rules.get("weekdays"):
        yield "days", ", ".join(rules["weekdays"])
    if rules.get("holidays"):
        yield "not on", f"holidays of {rules['holidays']}"


def season_words(written: str) -> str:
    """``06-01..09-30`` as one says it."""
    first, _, last = written.partition("..")
    return f"{int(first[3:])} {MONTHS[int(first[:2]) - 1]} to {int(last[3:])} {MONTHS[int(last[:2]) - 1]}"


def _hours(rules: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if rules.get("window"):
        yield "hours", f"{rules['window'].replace('-', ' to ')}, local time"
    shortest, longest = rules.get("shortest_h"), rules.get("longest_h")
    lengths = [f"{one:g}" for one in (shortest, longest) if one is not None]
    if lengths:
        bound = "" if len(lengths) > 1 else "at least " if longest is None else "at most "
        yield "length", f"{bound}{' to '.join(lengths)} h"
    if rules.get("notice_h"):
        yield "notice", f"{rules['notice_h']:g} h before"


def _counted(entry: Mapping[str, Any]) -> str:
    scope = entry.get("scope") or "charger"
    measured = entry.get("measure") or scope
    text = f"delivery {WHERE[measured]}"
    if scope != measured:
        text += f", setpoints {WHERE[scope]}"
    return text + (", less a baseline of ten like days" if entry.get("baseline") == "ten_of_ten" else "")
