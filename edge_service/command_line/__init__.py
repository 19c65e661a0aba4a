"""The ``ridethrough`` command: what a person types. Each command's code is loaded only when it is used."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from edge_service.command_line import (
    capture,
    edge,
    events,
    export,
    outages,
    preferences,
    program,
    rehearsal,
    settlements,
    simulate,
    time_travel,
)
from edge_service.command_line.outcome import FAILED, INTERRUPTED, USAGE, CommandError, Commands
from edge_service.ports import ConfigError, DeviceError, ProgramError


class _Parser(argparse.ArgumentParser):
    """Says one line on a wrong command line, not the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 failed, 2 wrong command line or configuration."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = _parser(words).parse_args(words)
    try:
        return int(args.act(args))
    except ConfigError as error:
        return _say(error, USAGE)
    except (CommandError, DeviceError, ProgramError) as error:
        return _say(error, FAILED)
    except BrokenPipeError:
        # The reader of our output has gone (``ridethrough state | head``); nothing may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _say(error: Exception, code: int) -> int:
    sys.stderr.write(f"ridethrough: {error}\n")
    return code


def _parser(words: list[str]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="ridethrough",
        description="Backup power for the house, and paid peak power for the grid, from a bidirectional charger.",
    )
    commands: Commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    edge.add_commands(commands)
    outages.add_commands(commands)
    events.add_commands(commands)
    preferences.add_commands(commands)
    rehearsal.add_commands(commands)
    settlements.add_commands(commands)
    time_travel.add_commands(commands)
    export.add_commands(commands)
    program.add_commands(commands)
    capture.add_commands(commands)
    simulate.add_commands(commands, words)
    return parser
