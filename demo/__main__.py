"""``scripts/demo``: the whole product on this machine, to look at; with ``--story``, told and checked unattended."""

import argparse
import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from demo.home_assistant import PASSWORD, USER, HomeAssistant
from demo.house import EDGE_PORT, REAL_DELAYS, RIDETHROUGH, ROOT, UTILITY_PORT, House, Pace
from demo.processes import HOST, DemoError, claimed

FOLDER = Path(".demo")
STORY_FOLDER = FOLDER / "unattended"
PICTURES = FOLDER / "story"
HOME_ASSISTANT_PORT = 8123
# What a shell reports of a program that ended by Ctrl-C.
INTERRUPTED = 130


def main() -> int:
    """0 when all went well; 1 with the reason otherwise."""
    args = _arguments()
    try:
        with claimed(ROOT / FOLDER / ("story.lock" if args.story else "demo.lock")):
            return asyncio.run(_interruptible(_story(args) if args.story else _demo(args)))
    except DemoError as error:
        sys.stderr.write(f"\ndemo: {error}\n")
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument(
        "--story", action="store_true", help="unattended, from an empty folder; exit 0 when all was seen"
    )
    parser.add_argument("--keep", action="store_true", help="after the story, let it run until Ctrl-C")
    parser.add_argument("--out", type=Path, default=PICTURES, metavar="FOLDER", help="for screenshots (%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs of the demo have kept")
    parser.add_argument("--port", type=int, default=HOME_ASSISTANT_PORT, help="of Home Assistant (%(default)s)")
    return parser.parse_args()


async def _interruptible(work: Coroutine[Any, Any, int]) -> int:
    """Ctrl-C, a closed terminal and a polite kill all end the work in order."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        say("\nended")
        return INTERRUPTED


# ------------------------------------------------------------------------------------------------------------ the demo


async def _demo(args: argparse.Namespace) -> int:
    started = time.monotonic()
    say("Starting the simulated house and its utility, the edge service and Home Assistant ...")
    folder = ROOT / FOLDER
    _keep_or_forget(folder, fresh=args.fresh)
    house = House(folder, Pace(), EDGE_PORT, UTILITY_PORT)
    home = HomeAssistant(folder / "home_assistant", folder / "logs" / "home_assistant.log", args.port)
    async with AsyncExitStack() as stack:
        await _start(stack, house, home)
        _tell(house, home, time.monotonic() - started)
        await _until_something_ends(house, home)
    return 0


def _keep_or_forget(folder: Path, *, fresh: bool) -> None:
    """The edge and Home Assistant know each other, so both are kept or neither; logs are of this run only."""
    kept = (folder / "data" / "journal.db", folder / "home_assistant" / ".storage" / "core.config_entries")
    if fresh or not all(path.exists() for path in kept):
        for name in ("data", "home_assistant"):
            shutil.rmtree(folder / name, ignore_errors=True)
    shutil.rmtree(folder / "logs", ignore_errors=True)


async def _start(stack: AsyncExitStack, house: House, home: HomeAssistant) -> None:
    """Everything at the same time: Home Assistant takes longest. Leaving the stack ends them."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(stack.enter_async_context(house))
            group.create_task(stack.enter_async_context(home))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    await home.answers()
    await home.pair(HOST, house.edge_port, house.pairing_code)


def _tell(house: House, home: HomeAssistant, seconds: float) -> None:
    command = RIDETHROUGH.relative_to(ROOT)
    say(f"""\
Running after {seconds:.0f} s.

  Look at    {home.dashboard_url}
  Log in     user {USER}, password {PASSWORD}

Make things happen, from a second terminal in this folder:

  {command} simulate outage                  the grid fails
  {command} simulate restore                 and comes back
  {command} simulate event --start-in 30     the utility calls a peak of 5 kW
  {command} simulate cancel                  and takes it back
  {command} simulate load 3000               the house draws 3 kW
  {command} simulate unplug                  the vehicle leaves
  {command} simulate plug --soc 55           and comes back

  {command} state --config {house.site_file.relative_to(ROOT)}    what the edge knows and does

Shortened here: the grid must be stable for {house.pace.enter_service_s:g} s before the return (a real site: \
{REAL_DELAYS["enter_service_s"]} s),
the dark moment is announced {house.pace.announce_return_s:g} s ahead ({REAL_DELAYS["announce_return_s"]} s), \
an order's lease is {house.pace.lease_s} s ({REAL_DELAYS["lease_s"]} s).
Logs: {(house.folder / "logs").relative_to(ROOT)}    Ctrl-C ends all of it.""")


async def _until_something_ends(house: House, home: HomeAssistant) -> None:
    """Nothing should. Raises ``DemoError`` with the log of what did."""
    while True:
        house.require_alive()
        home.process.require_alive()
        await asyncio.sleep(0.5)


# ----------------------------------------------------------------------------------------------------------- the story


async def _story(args: argparse.Namespace) -> int:
    from demo.browser import Browser, find_browser  # noqa: PLC0415 - Playwright takes its time; others start meanwhile
    from demo.story import STORY_PACE, Story, delays  # noqa: PLC0415

    started = time.monotonic()
    for line in delays(STORY_PACE):
        say(line)
    say("\nStarting, from an empty folder ...")
    folder = ROOT / STORY_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    house = House(folder, STORY_PACE)
    home = HomeAssistant(folder / "home_assistant", folder / "logs" / "home_assistant.log")
    async with AsyncExitStack() as stack:
        await _start(stack, house, home)
        watch = await home.watch()
        await watch.learn()
        browser = None
        if (program := find_browser()) is None:
            say("No Chromium here, so no screenshots; to have them, as root: apt-get install chromium")
        else:
            browser = await stack.enter_async_context(Browser(home, program))
        say(f"Running after {time.monotonic() - started:.0f} s. What Home Assistant shows:\n")
        story = Story(house, watch, browser, args.out)
        verdict = await story.tell()
        say()
        for line in verdict.lines():
            say(line)
        for path in story.taken:
            say(f"Screenshot: {path}")
        say(f"{'The story was seen whole' if verdict.ok else 'FAILED'}, in {time.monotonic() - started:.0f} s.")
        if args.keep:
            say(f"Left running until Ctrl-C: {home.dashboard_url} (user {USER}, password {PASSWORD})")
            await _until_something_ends(house, home)
    return 0 if verdict.ok else 1


def say(text: str = "") -> None:
    """One line for the person who watches, at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
