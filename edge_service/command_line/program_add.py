"""``ridethrough program add``: what is common to every kind of program."""

import argparse
import re
from collections.abc import Callable
from typing import Any

from edge_service.command_line import program_terms
from edge_service.command_line.outcome import CommandError, add_config, say, warn
from edge_service.command_line.program_book import Book
from edge_service.domain.model import Program, Scope

# The record's subject of the site itself, the prefix of events entered by hand, and their program in every house.
RESERVED_IDS = frozenset({"site", "hand", "manual"})

_ID = re.compile(r"[a-z0-9_]{1,32}")

type Own = Callable[[argparse.Namespace], dict[str, Any]]


def nothing_more(_: argparse.Namespace) -> dict[str, Any]:
    """Of a kind that keeps nothing but terms."""
    return {}


def add_common(parser: argparse.ArgumentParser, kind: str, own: Own = nothing_more) -> None:
    """Name, id and terms. ``own`` gives what only this kind keeps; it may raise ``CommandError``."""
    plain = Program("", "", kind)
    add_config(parser)
    parser.set_defaults(act=_add, kind=kind, own=own)
    parser.add_argument("--name", required=True, type=_name, help="what people call it")
    parser.add_argument("--id", type=_id, help="short name, a-z, 0-9 and _; made from the name if not given")
    words = f"where setpoints count, and delivery if --measure says nothing ({plain.scope})"
    parser.add_argument("--scope", choices=[scope.value for scope in Scope], help=words)
    parser.add_argument("--pay-usd-per-kw", type=_amount, metavar="USD", help="per season and average kW")
    words = f"events expected in a season, for the estimate ({plain.season_events})"
    parser.add_argument("--season-events", type=_count, metavar="N", help=words)
    parser.add_argument("--replace", action="store_true", help="if there is one with this id, put this in its place")
    program_terms.add_options(parser)


def _name(text: str) -> str:
    if not text.strip() or len(text) > 60 or not text.isprintable():
        raise argparse.ArgumentTypeError("allowed: 1 to 60 printable characters")
    return text.strip()


def _id(text: str) -> str:
    if not _ID.fullmatch(text) or text in RESERVED_IDS:
        allowed = "1 to 32 characters out of a-z, 0-9 and _, but not site, hand or manual"
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: {allowed}")
    return text


def _amount(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,4})?", text):
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: dollars from 0, such as 275")
    return float(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= 366:
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: a whole number from 1 to 366")
    return int(text)


def _add(args: argparse.Namespace) -> int:
    key = args.id or re.sub(r"[^a-z0-9]+", "_", args.name.lower()).strip("_")[:32].strip("_")
    if not key or key in RESERVED_IDS:
        raise CommandError("no id can be made from this name; say one with --id")
    book = Book.of(args)
    if not args.replace and key in book.names():
        raise CommandError(f"there is a program {key} already; say --replace, or another --id")
    entry = _entry(args)
    _check(book, key, entry)
    when = book.put(key, entry)
    say(f"program {key} ({args.name}) is set; {when}")
    return 0


def _entry(args: argparse.Namespace) -> dict[str, Any]:
    """The program as the journal keeps it: what was said, before what its preset says, before what is usual."""
    from edge_service.programs import presets  # noqa: PLC0415

    plain = Program("", "", args.kind)
    common = {"scope": args.scope, "pay_usd_per_kw": args.pay_usd_per_kw, "season_events": args.season_events}
    given = {key: value for key, value in common.items() if value is not None}
    usual = {"kind": args.kind, "name": args.name, "scope": plain.scope.value, "pay_usd_per_kw": None}
    filled = presets.filled({**given, **program_terms.said(args)})
    return {**usual, "season_events": plain.season_events, **filled, **args.own(args)}


def _check(book: Book, key: str, entry: dict[str, Any]) -> None:
    """As the edge would check it. Raises ``ConfigError``; warns of rules that cannot be looked at."""
    from edge_service import enrolment  # noqa: PLC0415

    enrolment.check(key, entry, book.config)
    problem = enrolment.problem(enrolment.program(key, entry), book.config.facts().time_zone)
    if problem is not None:
        warn(f"{problem}; say it there, such as time_zone: America/New_York")
