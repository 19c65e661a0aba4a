"""``ridethrough program add openadr3``: what may be said of a utility's OpenADR 3 server."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_service.command_line.outcome import CommandError, Commands, warn
from edge_service.command_line.program_add import add_common

KIND = "openadr3"
LONGEST_SECRET = 500

# What may be said of an OpenADR 3 program besides its server: kept only where it is said.
OPTIONS = (
    *("program_name", "program_id", "ven_name", "poll_s", "consumption_positive", "payload_map", "discharge_level"),
    *("percent", "currency", "most_skew_s", "token_hosts", "push", "broker_hosts", "plain_push", "ca_file"),
    "allow_unverified",
)


def add_kind(kinds: Commands) -> None:
    """Declare the kind with its options."""
    parser = kinds.add_parser(KIND, help="the utility's OpenADR 3 server is asked")
    add_common(parser, KIND, own=_own)
    parser.add_argument("--url", required=True, type=_option("base_url"), help="address of the server with its path")
    parser.add_argument("--client-id", default="", metavar="ID", help="as the utility gave it")
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--client-secret-file", type=Path, metavar="FILE", help="file that holds the secret alone")
    secret.add_argument("--client-secret-stdin", action="store_true", help="read the secret from standard input")
    _add_meaning(parser)
    _add_connection(parser)


def _add_meaning(parser: argparse.ArgumentParser) -> None:
    words = "only the program of this name, as the utility spells it, if it offers several"
    parser.add_argument("--program-name", type=_option("program_name"), metavar="NAME", help=words)
    words = "only the program with this id at the utility"
    parser.add_argument("--program-id", type=_option("program_id"), metavar="ID", help=words)
    words = "this utility means supply by a positive setpoint, against the standard"
    parser.add_argument("--supply-positive", dest="consumption_positive", action="store_const", const=False, help=words)
    words = "what a value means at this utility, such as SIMPLE:1=cover_house; may be said more than once"
    parser.add_argument("--payload", dest="payload_map", action=_Payload, metavar="WHAT=MEANING", help=words)
    words = "CONTROL_LEVEL_OFFSET from which on to discharge, 1 to 10"
    parser.add_argument("--discharge-level", type=_option("discharge_level", int), metavar="N", help=words)
    words = "how this utility writes a percentage: auto, fraction or percent"
    parser.add_argument("--percent", type=_option("percent"), metavar="FORM", help=words)
    parser.add_argument("--currency", type=_option("currency"), metavar="CODE", help="of prices, such as USD")


def _add_connection(parser: argparse.ArgumentParser) -> None:
    words = "name to register this house under; made from the installation if not given"
    parser.add_argument("--ven-name", type=_option("ven_name"), metavar="NAME", help=words)
    words = "seconds between two readings (10)"
    parser.add_argument("--poll-s", type=_option("poll_s", float), metavar="S", help=words)
    words = "no event starts anew while the utility's clock and ours differ by more"
    parser.add_argument("--most-skew-s", type=_option("most_skew_s", float), metavar="S", help=words)
    words = "another host that may receive the secret to give a token; may be said more than once"
    _add_hosts(parser, "--token-host", "token_hosts", words)
    words = "do not listen for news at the server's broker"
    parser.add_argument("--no-push", dest="push", action="store_const", const=False, help=words)
    words = "another host that may receive a token to tell of news; may be said more than once"
    _add_hosts(parser, "--broker-host", "broker_hosts", words)
    words = "listen also without encryption; no token is sent that way"
    parser.add_argument("--plain-push", action="store_const", const=True, help=words)
    words = "file with the certificates of the utility's own authority"
    parser.add_argument("--ca-file", type=_option("ca_file"), metavar="FILE", help=words)
    words = "trust any certificate; for a server in this house only"
    parser.add_argument("--allow-unverified", action="store_const", const=True, help=words)


def _add_hosts(parser: argparse.ArgumentParser, flag: str, name: str, words: str) -> None:
    one = _option(name, lambda text: [text])
    parser.add_argument(flag, dest=name, action="extend", type=one, metavar="HOST", help=words)


class _Payload(argparse.Action):
    """Gathers ``WHAT=MEANING`` into one mapping, checked by the protocol's own rule."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        what, _, meaning = str(values).partition("=")
        gathered = {**(getattr(namespace, self.dest) or {}), what.strip(): meaning.strip()}
        try:
            setattr(namespace, self.dest, dict(_option(self.dest, lambda _: gathered)("")))
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from error


def _option(name: str, read: Callable[[str], object] = str) -> Callable[[str], Any]:
    """Reads one option of an OpenADR 3 program by the protocol's own rule, which is loaded only for it."""

    def checked(text: str) -> Any:
        from edge_service.programs.openadr3_options import OpenAdr3Options  # noqa: PLC0415

        try:
            return OpenAdr3Options.value(name, read(text))
        except ValueError as error:
            # An address may hold a password; what is written for --payload is named by its own rule.
            found = "" if name == "base_url" or not text else f"found {text}; it "
            raise argparse.ArgumentTypeError(f"{found}{error}") from error

    return checked


# ------------------------------------------------------------------------------------------------------- what is kept


def _own(args: argparse.Namespace) -> dict[str, Any]:
    """What only this protocol keeps of a program."""
    found = {name: getattr(args, name) for name in OPTIONS}
    own = {"url": args.url, "client_id": args.client_id, "client_secret": _secret(args)}
    return own | {name: value for name, value in found.items() if value is not None}


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
