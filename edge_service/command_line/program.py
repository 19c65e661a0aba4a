"""``ridethrough program``: the utility programs that a site takes part in. The edge keeps them in its journal.

While the edge runs they are set through it and count at once; otherwise they are written to its journal.
"""

import argparse
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_service.command_line.outcome import CommandError, Commands, add_config, say, warn
from edge_service.domain.model import Program, Scope

if TYPE_CHECKING:
    from edge_service.command_line.local_edge import LocalEdge
    from edge_service.config import Config
    from edge_service.ports import Journal

DOCUMENT = "programs"
LONGEST_SECRET = 500

# The record's subject of the site itself, the prefix of events entered by hand, and their program in every house.
RESERVED_IDS = frozenset({"site", "hand", "manual"})

# What may be said of an OpenADR 3 program besides its server: kept only where it is said.
OPENADR3_OPTIONS = ("program_name", "program_id", "ven_name", "poll_s", "consumption_positive", "token_hosts")

_ID = re.compile(r"[a-z0-9_]{1,32}")


def add_commands(commands: Commands) -> None:
    """Declare add, list and remove."""
    program = commands.add_parser("program", help="the utility programs that the site takes part in")
    acts = program.add_subparsers(title="what to do", metavar="WHAT", required=True)
    kinds = acts.add_parser("add", help="take part in a program").add_subparsers(
        title="kind of program", metavar="KIND", required=True
    )
    _add_openadr3(kinds)
    manual = kinds.add_parser("manual", help="events are entered by hand")
    _add_common(manual, "manual")
    listing = acts.add_parser("list", help="show the programs")
    listing.set_defaults(act=_list)
    remove = acts.add_parser("remove", help="leave a program; its record stays")
    remove.add_argument("id")
    remove.set_defaults(act=_remove)
    for parser in (listing, remove):
        add_config(parser)


def _add_openadr3(kinds: Commands) -> None:
    parser = kinds.add_parser("openadr3", help="the utility's OpenADR 3 server is asked")
    _add_common(parser, "openadr3")
    parser.add_argument("--url", required=True, type=_option("base_url"), help="address of the server with its path")
    parser.add_argument("--client-id", default="", metavar="ID", help="as the utility gave it")
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--client-secret-file", type=Path, metavar="FILE", help="file that holds the secret alone")
    secret.add_argument("--client-secret-stdin", action="store_true", help="read the secret from standard input")
    _add_openadr3_options(parser)


def _add_openadr3_options(parser: argparse.ArgumentParser) -> None:
    words = "only the program of this name, as the utility spells it, if it offers several"
    parser.add_argument("--program-name", type=_option("program_name"), metavar="NAME", help=words)
    words = "only the program with this id at the utility"
    parser.add_argument("--program-id", type=_option("program_id"), metavar="ID", help=words)
    words = "name to register this house under; made from the installation if not given"
    parser.add_argument("--ven-name", type=_option("ven_name"), metavar="NAME", help=words)
    words = "seconds between two readings (10)"
    parser.add_argument("--poll-s", type=_option("poll_s", float), metavar="S", help=words)
    words = "this utility means supply by a positive setpoint, against the standard"
    parser.add_argument("--supply-positive", dest="consumption_positive", action="store_const", const=False, help=words)
    words = "another host that may receive the secret to give a token; may be said more than once"
    parser.add_argument(
        "--token-host",
        dest="token_hosts",
        action="extend",
        type=_option("token_hosts", lambda text: [text]),
        metavar="HOST",
        help=words,
    )


def _add_common(parser: argparse.ArgumentParser, kind: str) -> None:
    plain = Program("", "", kind)
    add_config(parser)
    parser.set_defaults(act=_add, kind=kind)
    parser.add_argument("--name", required=True, type=_name, help="what people call it")
    parser.add_argument("--id", type=_id, help="short name, a-z, 0-9 and _; made from the name if not given")
    words = "where delivery is measured (%(default)s)"
    parser.add_argument("--scope", choices=[scope.value for scope in Scope], default=plain.scope.value, help=words)
    parser.add_argument("--pay-usd-per-kw", type=_amount, metavar="USD", help="per season and average kW")
    parser.add_argument("--season-events", type=_count, default=plain.season_events, metavar="N", help="%(default)s")
    parser.add_argument("--replace", action="store_true", help="if there is one with this id, put this in its place")


def _option(name: str, read: Callable[[str], object] = str) -> Callable[[str], Any]:
    """Reads one option of an OpenADR 3 program by the protocol's own rule, which is loaded only for it."""

    def checked(text: str) -> Any:
        from edge_service.programs.openadr3_options import OpenAdr3Options  # noqa: PLC0415

        try:
            return OpenAdr3Options.value(name, read(text))
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


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


# ------------------------------------------------------------------------------------------------------------- the acts


def _add(args: argparse.Namespace) -> int:
    key = args.id or re.sub(r"[^a-z0-9]+", "_", args.name.lower()).strip("_")[:32].strip("_")
    if not key or key in RESERVED_IDS:
        raise CommandError("no id can be made from this name; say one with --id")
    book = _Book.of(args)
    if not args.replace and key in book.names():
        raise CommandError(f"there is a program {key} already; say --replace, or another --id")
    when = book.put(key, _entry(args))
    say(f"program {key} ({args.name}) is set; {when}")
    return 0


def _entry(args: argparse.Namespace) -> dict[str, Any]:
    """The program as the journal keeps it."""
    entry: dict[str, Any] = {
        "kind": args.kind,
        "name": args.name,
        "scope": args.scope,
        "pay_usd_per_kw": args.pay_usd_per_kw,
        "season_events": args.season_events,
    }
    if args.kind == "openadr3":
        entry |= {"url": args.url, "client_id": args.client_id, "client_secret": _secret(args)}
        said = {name: getattr(args, name) for name in OPENADR3_OPTIONS}
        entry |= {name: value for name, value in said.items() if value is not None}
    return entry


def _secret(args: argparse.Namespace) -> str:
    """The client secret, never from the command line, where every user of the machine could see it."""
    if args.client_secret_file:
        try:
            text: str = args.client_secret_file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise CommandError(f"the secret cannot be read from {args.client_secret_file}") from error
        if args.client_secret_file.stat().st_mode & 0o077:
            warn(f"{args.client_secret_file} can be read by others; delete it, the edge keeps its own copy")
    elif args.client_secret_stdin:
        text = sys.stdin.readline(LONGEST_SECRET + 2)
    elif args.client_id:
        raise CommandError("the client id needs its secret: --client-secret-file FILE or --client-secret-stdin")
    else:
        return ""
    return _checked_secret(text.strip(), args.client_id)


def _checked_secret(secret: str, client_id: str) -> str:
    if not secret or len(secret) > LONGEST_SECRET or not secret.isprintable() or not client_id:
        raise CommandError(f"a secret is 1 to {LONGEST_SECRET} printable characters on one line, with its --client-id")
    return secret


def _list(args: argparse.Namespace) -> int:
    names = _Book.of(args).names()
    for key, entry in names.items():
        say(f"{key}  {entry.get('kind')}  {entry.get('name')}")
    if not names:
        say("no programs; add one with: ridethrough program add")
    return 0


def _remove(args: argparse.Namespace) -> int:
    book = _Book.of(args)
    if args.id not in book.names():
        raise CommandError(f"there is no program {args.id}; known are: {', '.join(book.names()) or 'none'}")
    when = book.drop(args.id)
    say(f"program {args.id} is removed; {when}")
    return 0


# ------------------------------------------------------------------------------------------------- where they are kept


@dataclass(frozen=True, slots=True)
class _Book:
    """The programs of a site: through its running edge, or in the journal when it does not run (``edge`` None)."""

    config: Config
    edge: LocalEdge | None

    @classmethod
    def of(cls, args: argparse.Namespace) -> _Book:
        from edge_service.command_line.local_edge import LocalEdge, NotRunningError  # noqa: PLC0415
        from edge_service.config import load  # noqa: PLC0415

        config = load(args.config)
        edge = LocalEdge.of(config)
        try:
            edge.state()
        except NotRunningError:
            return cls(config, None)
        return cls(config, edge)

    def names(self) -> Mapping[str, Mapping[str, Any]]:
        """The programs by id; their secrets are not for showing."""
        if self.edge is not None:
            shown: Mapping[str, Mapping[str, Any]] = self.edge.state().get("programs", {})
            return shown
        return self._kept(None)

    def put(self, key: str, entry: Mapping[str, Any]) -> str:
        """Set a program; says when it counts."""
        if self.edge is not None:
            self.edge.command("set_program", {"id": key, "program": dict(entry)})
            return "the running edge has it"
        self._kept(lambda programs: {**programs, key: entry})
        return "the edge asks it from its next start on"

    def drop(self, key: str) -> str:
        """Remove a program; says when it counts."""
        if self.edge is not None:
            self.edge.command("remove_program", {"id": key})
            return "the running edge has let it go"
        self._kept(lambda programs: {other: entry for other, entry in programs.items() if other != key})
        return "the edge no longer asks it from its next start on"

    def _kept(self, change: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None) -> Mapping[str, Any]:
        """Read the document of programs from the journal, and write it back changed."""

        async def work(journal: Journal) -> Mapping[str, Any]:
            programs: Mapping[str, Any] = (await journal.load_document(DOCUMENT) or {}).get("programs", {})
            if change is not None:
                await journal.save_document(DOCUMENT, {"programs": dict(change(programs))})
            return programs

        if change is None and not (self.config.data / "journal.db").exists():
            return {}
        return self._with_journal(work)

    def _with_journal[T](self, work: Callable[[Journal], Awaitable[T]]) -> T:
        import asyncio  # noqa: PLC0415

        from edge_service.journal.store import SqliteJournal  # noqa: PLC0415

        async def opened() -> T:
            self.config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            journal = await SqliteJournal.open(self.config.data)
            try:
                return await work(journal)
            finally:
                await journal.close()

        try:
            return asyncio.run(opened())
        except OSError as error:
            raise CommandError(f"the journal in {self.config.data} cannot be used: {error}") from error
