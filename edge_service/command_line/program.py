"""``ridethrough program``: the utility programs that a site takes part in. The edge keeps them in its journal.

While the edge runs they are set through it and count at once; otherwise they are written to its journal.
"""

import argparse
from collections.abc import Mapping
from typing import Any

from edge_service.command_line import program_discover, program_openadr3, program_others, program_terms
from edge_service.command_line.outcome import FAILED, CommandError, Commands, add_config, say
from edge_service.command_line.program_add import add_common
from edge_service.command_line.program_book import Book


def add_commands(commands: Commands) -> None:
    """Declare add, list, show, test, presets and remove."""
    program = commands.add_parser("program", help="the utility programs that the site takes part in")
    acts = program.add_subparsers(title="what to do", metavar="WHAT", required=True)
    kinds = acts.add_parser("add", help="take part in a program").add_subparsers(
        title="kind of program", metavar="KIND", required=True
    )
    program_openadr3.add_kind(kinds)
    program_others.add_kinds(kinds)
    manual = kinds.add_parser("manual", help="events are entered by hand")
    add_common(manual, "manual")
    listing = acts.add_parser("list", help="show the programs and their terms")
    listing.set_defaults(act=_list)
    add_config(listing)
    _add_of_one(acts, "show", "show all that is kept of a program, but for its secrets").set_defaults(act=_show)
    _add_of_one(acts, "test", "try its server and say what works").set_defaults(act=_test)
    _add_of_one(acts, "remove", "leave a program; its record stays").set_defaults(act=_remove)
    program_discover.add_command(acts)
    presets = acts.add_parser("presets", help="show the terms that ship, and where they are from")
    presets.add_argument("preset", nargs="?", help="only this one, with the source of every value")
    presets.set_defaults(act=_presets)


def _add_of_one(acts: Commands, name: str, words: str) -> argparse.ArgumentParser:
    parser = acts.add_parser(name, help=words)
    parser.add_argument("id", help="of the program, as ridethrough program list shows it")
    add_config(parser)
    return parser


# ------------------------------------------------------------------------------------------------------------- the acts


def _list(args: argparse.Namespace) -> int:
    entries = Book.of(args).entries()
    for key, entry in entries.items():
        _say_program(key, entry)
    if not entries:
        say("no programs; add one with: ridethrough program add")
    return 0


def _say_program(key: str, entry: Mapping[str, Any]) -> None:
    from edge_service.programs import presets  # noqa: PLC0415

    say(f"{key}  {entry.get('kind')}  {entry.get('name')}")
    for heading, words in program_terms.words(entry):
        _say_row(heading, words)
    newer = presets.newer(entry)
    if newer is not None:
        told = ", ".join(f"{path} {was} is now {now}" for path, (was, now) in newer.differs(entry).items())
        _say_row("newer", f"{newer.name} of {newer.read} says otherwise: {told}")
        _say_row("", f"yours stay; to take them over: program add ... --preset {newer.name} --replace")


def _say_row(heading: str, words: str) -> None:
    say(f"  {heading:<9} {words}")


def _show(args: argparse.Namespace) -> int:
    from edge_service.programs.terms import TERMS  # noqa: PLC0415

    entry = _known(Book.of(args).entries(), args.id)
    _say_program(args.id, entry)
    for key, value in entry.items():
        if key not in (*TERMS, "kind", "rules") and value not in (None, ""):
            _say_row(key, str(value))
    return 0


def _known(entries: Mapping[str, Mapping[str, Any]], key: str) -> Mapping[str, Any]:
    if key not in entries:
        raise CommandError(f"there is no program {key}; known are: {', '.join(entries) or 'none'}")
    return entries[key]


def _test(args: argparse.Namespace) -> int:
    book = Book.of(args)
    _known(book.entries(), args.id)
    checks = book.test(args.id)
    for check in checks:
        say(f"  {'ok  ' if check.get('ok') else 'FAIL'} {check.get('what')}: {check.get('text')}")
    return 0 if all(check.get("ok") for check in checks) else FAILED


def _remove(args: argparse.Namespace) -> int:
    book = Book.of(args)
    _known(book.names(), args.id)
    say(f"program {args.id} is removed; {book.drop(args.id)}")
    return 0


def _presets(args: argparse.Namespace) -> int:
    from edge_service.programs import presets  # noqa: PLC0415

    for name in presets.names() if args.preset is None else [args.preset]:
        preset = presets.load(name)
        say(f"{name}: {preset.title}; facts read {preset.read}; see {preset.page}")
        for heading, words in program_terms.words(preset.entry()):
            if args.preset is None or heading != "terms":
                _say_row(heading, words)
        if args.preset is not None:
            _say_sources(preset.terms, preset.sources, preset.choices)
    return 0


def _say_sources(terms: Mapping[str, Any], sources: Mapping[str, str], choices: tuple[str, ...]) -> None:
    say("sources")
    for path, value in terms.items():
        _say_row("", f"{path} {value}: {'our choice, see below' if sources[path] == 'choice' else sources[path]}")
    say("choices")
    for choice in choices:
        _say_row("", choice)
