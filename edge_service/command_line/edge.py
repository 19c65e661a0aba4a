"""Commands on one site's edge: run, check, state, pair, reset-stop, version."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_service.command_line.outcome import FAILED, CommandError, Commands, add_config, say, warn

if TYPE_CHECKING:
    from edge_service.config import Config

LOCK_FILE = "edge.lock"


def add_commands(commands: Commands) -> None:
    """Declare them; nothing of the edge is loaded yet."""
    run = commands.add_parser("run", help="run the edge service of a site")
    add_config(run)
    run.set_defaults(act=_run)
    check = commands.add_parser("check", help="check the configuration and each device, or ask the running edge")
    add_config(check)
    check.set_defaults(act=_check)
    state = commands.add_parser("state", help="show what the running edge knows and does")
    add_config(state)
    state.add_argument("--json", action="store_true", help="the whole state, for programs")
    state.set_defaults(act=_state)
    pair = commands.add_parser("pair", help="make a pairing code for Home Assistant")
    add_config(pair)
    pair.set_defaults(act=_pair)
    reset = commands.add_parser("reset-stop", help="lift a stop, on site and after looking")
    add_config(reset)
    reset.set_defaults(act=_reset_stop)
    commands.add_parser("version", help="show the version").set_defaults(act=_version)


def _load(args: argparse.Namespace, *, warnings: bool = False) -> Config:
    from edge_service.config import load  # noqa: PLC0415

    config = load(args.config)
    for text in config.warnings if warnings else ():
        warn(text)
    return config


def _run(args: argparse.Namespace) -> int:
    config = _load(args, warnings=True)
    import asyncio  # noqa: PLC0415

    from edge_service import app  # noqa: PLC0415

    try:
        with _alone(config.data):
            asyncio.run(app.run(config))
    except OSError as error:
        raise CommandError(f"the edge cannot run: {error}") from error
    except ExceptionGroup as group:
        # A task that could not have its port or its disk ends the whole; anything else is a defect, shown as one.
        if group.split(OSError)[1] is not None:
            raise
        raise CommandError(f"the edge cannot run: {_first(group)}") from group
    return 0


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only edge of this site, before any device is touched: a charger takes one master. Raises OSError."""
    import fcntl  # noqa: PLC0415

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("w", encoding="ascii") as lock:
        try:
            # The system lets go of it when the process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(f"an edge already runs for this site (it holds {folder / LOCK_FILE})") from error
        yield


def _first(error: Exception) -> Exception:
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def _check(args: argparse.Namespace) -> int:
    config = _load(args, warnings=True)
    from edge_service.command_line.local_edge import LocalEdge, NotRunningError  # noqa: PLC0415

    say(f"{args.config}: in order, {len(config.chargers)} charger{'s' * (len(config.chargers) != 1)}")
    try:
        findings = _findings(LocalEdge.of(config).check())
        say("The edge is running; it says:")
    except NotRunningError:
        import asyncio  # noqa: PLC0415

        from edge_service import app  # noqa: PLC0415

        findings = list(asyncio.run(app.check(config)))
    return _tell(findings)


def _findings(answer: Mapping[str, Any]) -> list[tuple[str, bool, str]]:
    """Each finding is an object with these keys, or a list in this order."""
    try:
        listed = [
            list(map(item.get, ("device", "ok", "text"))) if isinstance(item, dict) else item
            for item in answer["findings"]
        ]
        return [(str(device), bool(ok), str(text)) for device, ok, text in listed]
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError("the running edge gave no findings; is it of the same version?") from error


def _tell(findings: Sequence[tuple[str, bool, str]]) -> int:
    for device, ok, text in findings:
        say(f"  {'ok  ' if ok else 'FAIL'} {device}: {text}")
    wrong = sum(not ok for _, ok, _ in findings)
    if wrong:
        sys.stderr.write(f"ridethrough: {wrong} of {len(findings)} findings need attention\n")
    return FAILED if wrong else 0


def _state(args: argparse.Namespace) -> int:
    from edge_service.command_line.local_edge import LocalEdge  # noqa: PLC0415
    from edge_service.command_line.summary import summary  # noqa: PLC0415

    state = LocalEdge.of(_load(args)).state()
    say(json.dumps(state, indent=2, ensure_ascii=False) if args.json else summary(state))
    return 0


def _pair(args: argparse.Namespace) -> int:
    from edge_service.command_line.local_edge import LocalEdge  # noqa: PLC0415
    from edge_service.command_line.summary import boxed  # noqa: PLC0415
    from edge_service.loopback import is_loopback  # noqa: PLC0415

    config = _load(args)
    made = LocalEdge.of(config).command("new_pairing_code", {})
    lines = [
        f"Pairing code:  {made.get('code', 'none was given')}",
        "",
        "In Home Assistant open Settings, Devices & services.",
        "Choose Ridethrough there if it was found by itself, or",
        "Add integration, Ridethrough, and this machine's address",
        f"with port {config.api.port}. Then type the code.",
        f"It works once, {_until(made.get('until'))}.",
    ]
    if is_loopback(config.api.host):
        lines.append("Home Assistant must run on this machine: api.host says so.")
    if config.api.encrypted:
        lines += ["", "Fingerprint of this edge, to type in or to compare:", *_fingerprint(config)]
    say(boxed(lines))
    return 0


def _fingerprint(config: Config) -> list[str]:
    """SHA-256 of the certificate that the edge shows, in lines of pairs that a phone beside it shows as well."""
    from edge_service.api.listener import Tls  # noqa: PLC0415

    digits = Tls(*config.certificate).fingerprint()
    pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
    lines = [":".join(pairs[at : at + 8]) for at in range(0, len(pairs), 8)]
    return [f"{line}:" for line in lines[:-1]] + lines[-1:]


def _until(text: object) -> str:
    """Until when, by the clock on the wall."""
    try:
        return f"until {datetime.fromisoformat(str(text)).astimezone():%H:%M}"
    except ValueError:
        return "and only for a few minutes"


def _reset_stop(args: argparse.Namespace) -> int:
    from edge_service.command_line.local_edge import LocalEdge  # noqa: PLC0415

    answer = LocalEdge.of(_load(args)).command("reset_stop", {})
    say("No stop stood." if answer.get("stood") is False else "The stop is lifted; the edge goes on by its settings.")
    if answer.get("kept") is False:
        say("The disk fails, so this is not kept yet: until it is, a restart would bring the stop back. Make room.")
    return 0


def _version(_args: argparse.Namespace) -> int:
    try:
        say(f"ridethrough {metadata.version('ridethrough')}")
    except metadata.PackageNotFoundError as error:
        raise CommandError("ridethrough is not installed here, so it has no version; run scripts/setup") from error
    return 0
