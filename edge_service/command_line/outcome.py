"""How a command ends, and how it tells."""

import argparse
import sys
from pathlib import Path

FAILED = 1
USAGE = 2
# What a shell reports of a program that ended by Ctrl-C.
INTERRUPTED = 130

type Commands = argparse._SubParsersAction[argparse.ArgumentParser]


class CommandError(Exception):
    """A command could not be done: one line that says what was tried and what to do next."""


def say(text: str) -> None:
    """One line of a command's result."""
    sys.stdout.write(f"{text}\n")


def warn(text: str) -> None:
    """One line beside the result."""
    sys.stderr.write(f"warning: {text}\n")


def add_config(parser: argparse.ArgumentParser) -> None:
    """The option that names the site."""
    words = "the facts of the installation (site.yaml)"
    parser.add_argument("--config", type=Path, default=Path("site.yaml"), metavar="FILE", help=words)
