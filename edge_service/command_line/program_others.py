"""``ridethrough program add openadr2b`` and ``add calendar``: where their events are read from."""

import argparse
import sys
from pathlib import Path
from typing import Any

from edge_service.command_line.outcome import CommandError, Commands
from edge_service.command_line.program_add import add_common

# What may be said of an OpenADR 2.0b program besides its server: kept only where it is said.
OPENADR2B = (
    *("ven_name", "ven_id", "certificate_file", "key_file", "key_password", "ca_file", "vtn_fingerprint", "sign"),
    *("check_hostname", "market_context", "poll_s", "consumption_positive"),
)
LONGEST_LINE = 2000


def add_kinds(kinds: Commands) -> None:
    """Declare both kinds with their options."""
    _add_openadr2b(kinds.add_parser("openadr2b", help="the utility's OpenADR 2.0b server is asked"))
    _add_calendar(kinds.add_parser("calendar", help="events stand in an iCalendar, a file or on the web"))


def _add_openadr2b(parser: argparse.ArgumentParser) -> None:
    add_common(parser, "openadr2b", own=_own_openadr2b)
    words = "address of the server, such as https://host/OpenADR2/Simple/2.0b"
    parser.add_argument("--url", required=True, help=words)
    parser.add_argument("--ven-name", metavar="NAME", help="as the utility registered this house")
    parser.add_argument("--ven-id", metavar="ID", help="as the utility gave it; asked for if not said")
    parser.add_argument("--certificate-file", metavar="FILE", help="our certificate, in PEM")
    parser.add_argument("--key-file", metavar="FILE", help="its key, in PEM")
    words = "read the passphrase of the key from standard input"
    parser.add_argument("--key-password-stdin", dest="key_password", action="store_const", const="", help=words)
    parser.add_argument("--ca-file", metavar="FILE", help="certificates of the utility's own authority, in PEM")
    words = "take answers only if they are signed with the certificate of this fingerprint"
    parser.add_argument("--vtn-fingerprint", metavar="FINGERPRINT", help=words)
    parser.add_argument("--no-sign", dest="sign", action="store_const", const=False, help="do not sign our messages")
    words = "do not compare the server's name with its certificate"
    parser.add_argument("--any-hostname", dest="check_hostname", action="store_const", const=False, help=words)
    parser.add_argument("--market-context", metavar="URI", help="only events of this one")
    parser.add_argument("--poll-s", type=float, metavar="S", help="seconds between two readings (10)")
    words = "this utility means supply by a positive setpoint, against the standard"
    parser.add_argument("--supply-positive", dest="consumption_positive", action="store_const", const=False, help=words)


def _own_openadr2b(args: argparse.Namespace) -> dict[str, Any]:
    said = {name: getattr(args, name) for name in OPENADR2B}
    if args.key_password is not None:
        said["key_password"] = _line("the passphrase")
    for name in ("certificate_file", "key_file", "ca_file"):
        said[name] = None if said[name] is None else str(Path(said[name]).absolute())
    return {"url": args.url} | {name: value for name, value in said.items() if value is not None}


def _add_calendar(parser: argparse.ArgumentParser) -> None:
    add_common(parser, "calendar", own=_own_calendar)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="https://, webcal:// or file:///")
    words = "read the address from standard input: that of a private calendar is its key"
    where.add_argument("--url-stdin", action="store_true", help=words)
    parser.add_argument("--poll-s", type=float, metavar="S", help="seconds between two readings (300)")
    words = "time zone of entries that name none; the site's if not said"
    parser.add_argument("--time-zone", metavar="ZONE", help=words)


def _own_calendar(args: argparse.Namespace) -> dict[str, Any]:
    said = {"url": _line("the address") if args.url_stdin else args.url}
    said |= {"poll_s": args.poll_s, "time_zone": args.time_zone}
    return {name: value for name, value in said.items() if value is not None}


def _line(what: str) -> str:
    """One line of standard input: what no other user of this machine is to see among its processes."""
    text = sys.stdin.readline(LONGEST_LINE + 2).strip()
    if not text or len(text) > LONGEST_LINE or not text.isprintable():
        raise CommandError(f"{what} is 1 to {LONGEST_LINE} printable characters on one line of standard input")
    return text
