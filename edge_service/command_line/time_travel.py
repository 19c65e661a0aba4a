"""Commands on recorded time: replay, and scenarios made of it."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_service.command_line.outcome import FAILED, CommandError, Commands, add_config, say, warn

if TYPE_CHECKING:
    from edge_service.domain.memory import Memory
    from edge_service.journal.recording import KeptStretch, RecordedCycle
    from edge_service.replay import Difference, Tally, WhatIf

# More lines than this tell nobody more.
MOST_RUNS = 40
# What deciding raises over a recording that fits together nowhere.
UNDECIDABLE = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError)
# What a file says in one line.
LONGEST_LINE = 300
# A download has two megabytes at most.
MOST_FILE_BYTES = 50_000_000
# A replay that takes longer says where it is.
PROGRESS_EVERY_S = 2.0
# Keyframes of a part that a processor takes for itself: about an hour. Less is not worth its start.
PART_KEYFRAMES = 60


def add_commands(commands: Commands) -> None:
    """Declare them; nothing of the edge is loaded yet."""
    replay = commands.add_parser("replay", help="decide a recorded time again and show where today's code differs")
    _add_span(replay)
    what_if = "try a setting out, such as backup_reserve_pct=50 or drivers_reserve_pct.garage=40; may be given again"
    replay.add_argument("--with", dest="what_if", action="append", default=[], metavar="SETTING=VALUE", help=what_if)
    replay.add_argument("--list", action="store_true", help="list what is kept for good: outages, events, faults")
    replay.set_defaults(act=_replay)
    scenario = commands.add_parser("scenario", help="make a test out of recorded time, and play it")
    acts: Commands = scenario.add_subparsers(title="commands", metavar="ACT", required=True)
    make = acts.add_parser("make", help="from a diagnostics download of Home Assistant, or from this site's recording")
    make.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="the download; without it this site's recording"
    )
    _add_span(make)
    make.add_argument("--which", type=int, metavar="N", help="which of a download's recordings, from 1")
    make.add_argument("--title", default="", help="what a resident would call it")
    make.add_argument("--expect", choices=("recorded", "today"), default="recorded", help="whose decisions it expects")
    make.add_argument("--out", type=Path, required=True, metavar="FILE")
    make.set_defaults(act=_make)
    run = acts.add_parser("run", help="decide scenarios again and show where today's code differs")
    run.add_argument("files", nargs="+", type=Path, metavar="FILE")
    run.set_defaults(act=_run)


def _add_span(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--from", dest="start", type=moment, metavar="TIME", help="such as 2026-07-04T17:00:00Z")
    parser.add_argument("--to", dest="end", type=moment, metavar="TIME")
    parser.add_argument("--stretch", type=int, metavar="N", help="one that is kept for good; see replay --list")


def moment(text: str) -> datetime:
    """A time with its zone, for argparse."""
    from edge_service.domain.asked import aware_time  # noqa: PLC0415

    found = aware_time(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: a time with its zone, such as 2026-07-04T17:00:00Z")
    return found


# -------------------------------------------------------------------------------------------------------------- replay


def _replay(args: argparse.Namespace) -> int:
    from edge_service.domain.memory import Memory  # noqa: PLC0415
    from edge_service.journal.database import JournalError  # noqa: PLC0415
    from edge_service.journal.recording import read_stretch  # noqa: PLC0415
    from edge_service.replay import Replay, summed, tally  # noqa: PLC0415

    try:
        if args.list:
            return _list(_folder(args))
        what_if = _what_if(args.what_if)
        span = _span(args)
        if what_if is not None:  # its memory goes on from what it has itself decided, so it is one piece
            found = tally(_with_progress(read_stretch(*span, Memory)), Replay(what_if=what_if))
        else:
            found = summed(_in_parts(*span))
        return _tell(found, "recorded", "now")
    except JournalError as error:
        raise CommandError(str(error)) from error


def _in_parts(folder: Path, start: datetime, end: datetime) -> Iterator[Tally]:
    """A long time is decided again by all processors at once: each keyframe holds what a part starts from."""
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

    from edge_service.domain.memory import Memory  # noqa: PLC0415
    from edge_service.journal.recording import keyframed_parts, read_stretch  # noqa: PLC0415
    from edge_service.replay import Replay, tally, tally_part  # noqa: PLC0415

    parts = keyframed_parts(folder, start, end, PART_KEYFRAMES)
    if len(parts) < 2:
        yield tally(_with_progress(read_stretch(folder, start, end, Memory)), Replay())
        return
    with ProcessPoolExecutor(min(len(parts), os.cpu_count() or 1)) as pool:
        done = pool.map(tally_part, repeat(folder), parts, repeat(end))
        for number, part in enumerate(done, 1):
            _show_progress(f"{number} of {len(parts)} parts")
            yield part
    _show_progress("")


def _what_if(words: list[str]) -> WhatIf | None:
    from edge_service.replay import WhatIf, WhatIfError  # noqa: PLC0415

    try:
        return WhatIf.of(words, _value) if words else None
    except WhatIfError as error:
        raise CommandError(f"--with: {error}") from error


def _value(text: str) -> Any:
    """A number, true, null, a list or an object as JSON writes it; anything else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _folder(args: argparse.Namespace) -> Path:
    from edge_service.config import load  # noqa: PLC0415

    return load(args.config).data


def _list(folder: Path) -> int:
    from edge_service.journal.recording import kept_stretches  # noqa: PLC0415

    stretches = kept_stretches(folder)
    for stretch in stretches:
        say(f"{stretch.number:>4}  {_time(stretch.start)} to {_time(stretch.end)}")
        for mark in stretch.marks:
            say(f"      {_time(mark.at)}  {mark.what} ({mark.subject})")
    if not stretches:
        say("Nothing is kept for good yet: no outage, event or fault was recorded.")
    return 0


def _span(args: argparse.Namespace) -> tuple[Path, datetime, datetime]:
    """This site's folder and the time that was asked for; the last seven days where none was."""
    from edge_service.journal.recording import RECORDING_KEPT  # noqa: PLC0415

    folder = _folder(args)
    stretch = _stretch(folder, args.stretch)
    end = args.end or (stretch.end if stretch else datetime.now(UTC))
    return folder, args.start or (stretch.start if stretch else end - RECORDING_KEPT), end


def _stretch(folder: Path, number: int | None) -> KeptStretch | None:
    from edge_service.journal.recording import kept_stretches  # noqa: PLC0415

    if number is None:
        return None
    stretches = {stretch.number: stretch for stretch in kept_stretches(folder)}
    if number not in stretches:
        raise CommandError(f"there is no stretch {number}; see them with: ridethrough replay --list")
    return stretches[number]


def _with_progress[T: RecordedCycle[Memory]](cycles: Iterable[T]) -> Iterator[T]:
    """The cycles; on a terminal, where the replay is."""
    next_at = time.monotonic() + PROGRESS_EVERY_S
    for cycle in cycles:
        if time.monotonic() >= next_at:
            _show_progress(f"at {_time(cycle.at)}")
            next_at = time.monotonic() + PROGRESS_EVERY_S
        yield cycle
    _show_progress("")


def _show_progress(words: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{words:<40}\r")
        sys.stderr.flush()


def _tell(found: Tally, before: str, after: str) -> int:
    """What differs, in runs, and a line that sums up; 1 where anything does."""
    for run in found.runs[:MOST_RUNS]:
        first = run.first
        until = "" if run.cycles == 1 else f", {run.cycles} cycles to {_time(run.last_at)}"
        what = f"{first.what}: {before} {_words(first, 'was')}, {after} {_words(first, 'is')}"
        say(f"{_time(first.at)}  {_printable(what)}{until}")
    if len(found.runs) > MOST_RUNS:
        say(f"and {len(found.runs) - MOST_RUNS} more")
    say(_summary(found))
    return FAILED if found.runs else 0


def _summary(found: Tally) -> str:
    if found.first_at is None or found.last_at is None:
        return "Nothing is recorded there."
    count = len(found.runs)
    span = f"{found.cycles} cycles decided again, {_time(found.first_at)} to {_time(found.last_at)}"
    skipped = f" ({found.skipped} without a beginning passed over)" if found.skipped else ""
    return f"{span}{skipped}: {count or 'no'} difference{'s' * (count != 1)}"


def _words(difference: Difference, which: str) -> str:
    value = difference.recorded if which == "was" else difference.today
    if isinstance(value, Mapping) and "$type" in value:
        numbers = " ".join(f"{name}={number}" for name, number in value.items() if name != "$type")
        return f"{str(value['$type']).lower()} {numbers}".strip()
    return "nothing" if value in (None, [], {}) else str(value)


def _not_decided(error: Exception) -> str:
    """For what only a file made by hand can hold, or for a mistake of ours that a recording brought to light."""
    return f"today's code cannot decide this recording: {error!r:.200}"


def _printable(told: Any) -> str:
    """Text from a file as one line that moves no terminal."""
    text = str(told)
    short = text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}..."
    return "".join(letter if letter.isprintable() else "?" for letter in short)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ------------------------------------------------------------------------------------------------------------ scenarios


def _make(args: argparse.Namespace) -> int:
    from edge_service import scenario_export as export  # noqa: PLC0415
    from edge_service.domain.memory import Memory  # noqa: PLC0415
    from edge_service.journal.database import JournalError  # noqa: PLC0415
    from edge_service.journal.recording import read_stretch  # noqa: PLC0415

    try:
        cycles, mark = _from_file(args) if args.file else (list(read_stretch(*_span(args), Memory)), None)
        if args.start or args.end:
            cycles = export.cut(cycles, args.start or cycles[0].at, args.end or cycles[-1].at + timedelta(seconds=1))
        if args.expect == "today":
            cycles = _as_today(cycles)
        made = _fitted(cycles, mark)
    except (export.ScenarioError, JournalError) as error:
        raise CommandError(f"{args.file or args.config}: {error}") from error
    except UNDECIDABLE as error:
        raise CommandError(f"{args.file or args.config}: {_not_decided(error)}") from error
    _write(args, made)
    return 0


def _from_file(args: argparse.Namespace) -> tuple[list[RecordedCycle[Memory]], Mapping[str, Any] | None]:
    from edge_service.scenario_export import documents_in, mark_of, recorded_cycles  # noqa: PLC0415

    documents = documents_in(_read(args.file))
    if not documents:
        raise CommandError(f"{args.file} holds no recording; is it a diagnostics download of Ridethrough?")
    if args.which is not None and not 1 <= args.which <= len(documents):
        raise CommandError(f"--which: found {args.which}; {args.file} holds {len(documents)}")
    chosen = documents[(args.which or 1) - 1]
    return recorded_cycles(chosen), mark_of(chosen)


def _read(file: Path) -> Any:
    try:
        if (size := file.stat().st_size) > MOST_FILE_BYTES:
            raise CommandError(f"{file}: found {size} bytes; allowed: {MOST_FILE_BYTES}")
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from error


def _as_today(cycles: list[RecordedCycle[Memory]]) -> list[RecordedCycle[Memory]]:
    """The same with what today's code decides in place of what was decided."""
    from edge_service.journal.digest import Digest  # noqa: PLC0415
    from edge_service.journal.encoding import to_plain  # noqa: PLC0415
    from edge_service.replay import Replay  # noqa: PLC0415

    return [replace(cycle, decision=to_plain(today, Digest)) for cycle, today in Replay().all(cycles)]


def _fitted(cycles: list[RecordedCycle[Memory]], mark: Mapping[str, Any] | None) -> dict[str, Any]:
    from edge_service import scenario_export as export  # noqa: PLC0415

    if not cycles:
        raise CommandError("nothing is recorded there")
    version = metadata.version("ridethrough")
    focus = datetime.fromisoformat(mark["at"]) if mark else cycles[-1].at
    made = export.fitted(cycles, focus, export.SCENARIO_BYTES, lambda some: export.document(some, version))
    if made["cycles"] < len(cycles):
        warn(
            f"{made['cycles']} of {len(cycles)} cycles taken, so that it stays small; choose others by --from and --to"
        )
    return made | {"mark": mark}


def _write(args: argparse.Namespace, made: dict[str, Any]) -> None:
    from edge_service.scenario_export import text_of  # noqa: PLC0415

    text = text_of({"title": args.title, "story": "", **made})
    try:
        args.out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{args.out} cannot be written: {error}") from error
    say(
        f"{args.out}: {made['cycles']} cycles, {len(text.encode()) // 1000} kB. Tell in it what happened: title, story."
    )


def _run(args: argparse.Namespace) -> int:
    from edge_service.replay import Replay, tally  # noqa: PLC0415
    from edge_service.scenario_export import ScenarioError, documents_in, recorded_cycles  # noqa: PLC0415

    codes = []
    for file in args.files:
        try:
            for made in documents_in(_read(file)):
                say(f"{file}: {_printable(made.get('title') or 'no title yet')}")
                codes.append(_tell(tally(recorded_cycles(made), Replay()), "expected", "now"))
        except ScenarioError as error:
            raise CommandError(f"{file}: {error}") from error
        except UNDECIDABLE as error:
            raise CommandError(f"{file}: {_not_decided(error)}") from error
    if not codes:
        raise CommandError(f"{', '.join(map(str, args.files))}: no recording is in there")
    return max(codes)
