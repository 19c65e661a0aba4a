"""``ridethrough export`` and ``verify``: measurements for a program manager, and the check that they are unchanged."""

import argparse
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from edge_service.command_line.local_time import local_text
from edge_service.command_line.outcome import CommandError, Commands, add_config, say, warn


def add_commands(commands: Commands) -> None:
    """Declare them; nothing is loaded yet."""
    make = commands.add_parser("export", help="write measurements of a time for measurement and verification")
    add_config(make)
    make.add_argument("--from", dest="first", type=_day, required=True, metavar="DAY", help="such as 2026-06-01")
    make.add_argument("--to", dest="last", type=_day, required=True, metavar="DAY", help="this day included")
    make.add_argument("--program", metavar="ID", help="tell of the events of this program only")
    make.add_argument("--format", choices=("csv", "parquet"), default="csv", help="of the measurements (%(default)s)")
    make.add_argument("--out", type=Path, metavar="DIR", help="a folder that is not there yet")
    make.add_argument("--previous", type=Path, metavar="FILE", help="manifest of the export that this one follows")
    make.set_defaults(act=_export)
    check = commands.add_parser("verify", help="check that an export is as it was made")
    check.add_argument("folder", type=Path, metavar="DIR")
    check.add_argument("--sha256", metavar="HASH", help="of its manifest, as it was told by another way")
    check.add_argument("--previous", type=Path, metavar="FILE", help="manifest of the export that it must follow")
    check.set_defaults(act=_verify)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: a day such as 2026-06-01") from error


def _export(args: argparse.Namespace) -> int:
    from edge_service.config import load  # noqa: PLC0415
    from edge_service.export.snapshot import looked_at  # noqa: PLC0415
    from edge_service.export.tables import written  # noqa: PLC0415
    from edge_service.export.writing import MANIFEST, ExportError, Site, Wish, export  # noqa: PLC0415

    config = load(args.config)
    devices = {key: {"name": one.name, "driver": one.model} for key, one in config.chargers.items()}
    site = Site(config.site.name, config.site.time_zone, devices)
    wish = Wish(args.first, args.last, args.program, args.format, args.previous)
    folder = args.out or Path(f"ridethrough-{args.first}-to-{args.last}")
    try:
        with looked_at(config.data) as snapshot:
            made = export(snapshot, site, wish, folder, datetime.now(UTC), metadata.version("ridethrough"))
    except ExportError as error:
        raise CommandError(str(error)) from error
    except FileExistsError as error:
        raise CommandError(f"{folder} is there already; name another folder with --out") from error
    except OSError as error:
        raise CommandError(f"the export to {folder} failed: {error}") from error
    for file in made["files"]:
        say(f"{folder / file['name']}: {file['rows']} rows, {file['bytes'] / 1e6:.1f} MB")
    for note in _notes(made, args):
        warn(note)
    if made["minutes_without_record"]:
        say(f"{made['minutes_without_record']} minutes have no record; they are empty and marked as gaps")
    say(f"SHA-256 of the manifest, to be told by another way: {written(folder / MANIFEST, 0).sha256}")
    return 0


def _notes(made: Mapping[str, Any], args: argparse.Namespace) -> Iterator[str]:
    """What the export does not hold, though it was wished for."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    end, zone = datetime.fromisoformat(made["period"]["end_utc"]), made["site"]["time_zone"]
    if end.astimezone(ZoneInfo(zone)).date() <= args.last:
        yield f"it ends with the last quarter hour that is over: {local_text(end.isoformat(), zone)}"
    told = [file["rows"] for file in made["files"] if file["name"] in ("events.csv", "settlements.csv")]
    if args.program is not None and not any(told):
        yield f"no event of {args.program} is in it; its programs are named by: ridethrough program list"


def _verify(args: argparse.Namespace) -> int:
    from edge_service.export.verifying import TamperedError, verify  # noqa: PLC0415
    from edge_service.export.writing import ExportError  # noqa: PLC0415

    try:
        found = verify(args.folder, args.sha256, args.previous)
    except (TamperedError, ExportError) as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{args.folder} cannot be read: {error}") from error
    for note in found.notes:
        say(f"note: {note}")
    say(f"{args.folder}: as it was made; {found.days} days, {found.rows} minutes")
    say(f"SHA-256 of the manifest: {found.manifest_sha256}")
    if args.sha256 is None:
        say("Who changes all of it together can make a new manifest: compare this with what the site told you.")
    return 0
