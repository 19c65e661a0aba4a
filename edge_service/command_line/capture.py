"""The command that makes a dump of a device, for people who want their charger to be understood by others."""

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_service.command_line.outcome import CommandError, Commands, say

_ALSO = "registers to read besides, such as holding:40000-40200 or input:4000-4103; may be given several times"
_OPTION = "what site.yaml would say about such a charger besides, such as connector=3; may be given several times"
_RANGE = re.compile(r"(?P<kind>holding|input):(?P<first>\d{1,5})-(?P<last>\d{1,5})")
_NUMBERS = re.compile(r"\[\s*(\d+(?:,\s*\d+)*)\s*\]")


def add_commands(commands: Commands) -> None:
    """Declare it; no driver is loaded yet."""
    make = commands.add_parser("capture", help="read a charger's registers into a file, without its serial number")
    make.add_argument("--address", required=True, metavar="HOST[:PORT]", help="where it listens for Modbus TCP")
    make.add_argument("--model", required=True, help="the driver that shall read it, as in site.yaml")
    make.add_argument("--unit-id", type=_unit, default=1, metavar="N", help="Modbus unit, 1 if not given")
    make.add_argument("--also", type=_range, action="append", default=[], metavar="KIND:FIRST-LAST", help=_ALSO)
    make.add_argument("--option", type=_option, action="append", default=[], metavar="KEY=VALUE", help=_OPTION)
    make.add_argument("--out", type=Path, metavar="FILE", help="where the dump goes; to the screen if not given")
    make.set_defaults(act=_capture)


def _unit(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 247:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: a Modbus unit from 1 to 247")
    return int(text)


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: a key and its value, as in connector=3")
    return key, value


def _range(text: str) -> tuple[str, int, int]:
    match = _RANGE.fullmatch(text)
    if match is None or not int(match["first"]) <= int(match["last"]) <= 0xFFFF:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: holding: or input: and two registers, as in {_ALSO}")
    return (f"{match['kind']}_registers", int(match["first"]), int(match["last"]))


def _capture(args: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from edge_service.config.schema import models  # noqa: PLC0415
    from edge_service.config.value_rules import WrongValue, device_address  # noqa: PLC0415

    if args.model not in models("charger"):
        raise CommandError(f"no model {args.model}; there are: {', '.join(sorted(models('charger')))}")
    options = _options(args.model, dict(args.option))
    if args.out is not None and args.out.exists():
        raise CommandError(f"{args.out} is there already; name another file")
    try:
        address = device_address()(args.address)
    except WrongValue as error:
        raise CommandError(f"--address {args.address} is wrong; allowed: {device_address().allowed}") from error
    dump = asyncio.run(_dump(address.host, address.port, args, options))
    text = _NUMBERS.sub(_on_one_line, json.dumps(dump, indent=1, ensure_ascii=False))
    if args.out is None:
        say(text)
        return 0
    args.out.write_text(f"{text}\n", encoding="utf-8")
    say(f"{args.out}: {_summary(dump)}; read it before you share it, and fill in what device it is")
    return 0


def _options(model: str, said: Mapping[str, str]) -> dict[str, Any]:
    """The options of the model's driver, by the rules of ``site.yaml``. Raises CommandError."""
    from edge_service.config.check import Check  # noqa: PLC0415
    from edge_service.config.marked_yaml import parse  # noqa: PLC0415
    from edge_service.config.schema import models  # noqa: PLC0415

    own = sorted({option.name for option in fields(models("charger")[model].options)} - {"unit_id"})
    for key in said:
        if key not in own:
            raise CommandError(f"--option {key}: {model} has no such option; there are: {', '.join(own)}")
    needed = {"name": "captured", "model": model, "address": "captured"}
    source = parse("\n".join(f"{key}: {value}" for key, value in {**needed, **said}.items()))
    check = Check(source, Path("site.yaml"))
    clean = check.device("charger", (), source.value)
    if check.mistakes:
        raise CommandError("; ".join(f"--option {wrong.where}: {wrong.says}" for wrong in sorted(check.mistakes)))
    return {key: clean[key] for key in said}


def _on_one_line(numbers: re.Match[str]) -> str:
    return f"[{', '.join(numbers[1].replace(',', ' ').split())}]"


async def _dump(host: str, port: int, args: argparse.Namespace, options: Mapping[str, Any]) -> dict[str, object]:
    from edge_service.capture import Range, capture  # noqa: PLC0415
    from edge_service.chargers.link import Link  # noqa: PLC0415

    async with Link(host, port) as link:
        also = [Range(*wanted) for wanted in args.also]
        return await capture(link, args.model, args.unit_id, datetime.now(UTC), also, options=options)


def _summary(dump: dict[str, object]) -> str:
    units = [dump, *_mapping(dump.get("other_units")).values()]
    kinds = ("holding_registers", "input_registers")
    runs = [run for unit in units for kind in kinds for run in _mapping(_mapping(unit).get(kind)).values()]
    count = sum(len(run) for run in runs if isinstance(run, list))
    error = _mapping(dump["seen"]).get("error")
    understood = f", but the driver does not understand it: {error}" if error else ""
    return f"{count} registers{understood}" + ("" if "redacted" in dump else "; no serial number was found in it")


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
