"""``scripts/demo``: the whole product on this machine, to look at; story and scenes, told and checked unattended."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.home_assistant import PASSWORD, USER, HomeAssistant
from demo.house import EDGE_PORT, REAL_DELAYS, RIDETHROUGH, ROOT, UTILITY_PORT, House, Pace
from demo.loads import LOADS, Load, configuration
from demo.processes import HOST, DemoError, claimed

if TYPE_CHECKING:
    from demo.browser import Browser
    from demo.watching import Watch

FOLDER = Path(".demo")
STORY_FOLDER, SCENES_FOLDER = FOLDER / "unattended", FOLDER / "scenes"
PICTURES = FOLDER / "story"
SCENES = ("outage", "flap", "storm", "drill")
TOUR, TOUR_FOLDER, TOUR_PICTURES = "tour", FOLDER / "touring", FOLDER / "tour"
HOME_ASSISTANT_PORT = 8123
# What a shell reports of a program that ended by Ctrl-C.
INTERRUPTED = 130


def main() -> int:
    """0 when all went well; 1 with the reason otherwise."""
    args = _arguments()
    work, lock = (_scenes, "scenes") if args.scenes else (_story, "story") if args.story else (_demo, "demo")
    if args.tour:
        from demo.tour import apart  # noqa: PLC0415 - only the tour needs a network of its own

        apart.enter()
        work, lock = _tour, TOUR
    try:
        with claimed(ROOT / FOLDER / f"{lock}.lock"):
            return asyncio.run(_interruptible(work(args)))
    except DemoError as error:
        sys.stderr.write(f"\ndemo: {error}\n")
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument(
        "scenes",
        nargs="*",
        metavar="scene",
        help=f"{', '.join(SCENES)} or all: those scenes unattended, from an empty folder; exit 0 when all was seen; "
        "tour: what a new user does and sees, with pictures of every screen",
    )
    parser.add_argument("--story", action="store_true", help="likewise: a peak event and an outage in the midst of it")
    parser.add_argument("--keep", action="store_true", help="after story or scenes, let it run until Ctrl-C")
    parser.add_argument("--out", type=Path, default=PICTURES, metavar="FOLDER", help="for screenshots (%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs of the demo have kept")
    parser.add_argument("--port", type=int, default=HOME_ASSISTANT_PORT, help="of Home Assistant (%(default)s)")
    args = parser.parse_args()
    args.tour = args.scenes == [TOUR]
    if args.tour:
        args.scenes = []
        return args
    unknown = [name for name in args.scenes if name not in (*SCENES, "all")]
    if unknown or (args.story and args.scenes):
        parser.error(f"no such scene: {', '.join(unknown)}" if unknown else "the story or scenes, not both")
    args.scenes = list(SCENES if "all" in args.scenes else dict.fromkeys(args.scenes))
    return args


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
        await _pair(house, home)
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


async def _pair(house: House, home: HomeAssistant) -> None:
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


# ---------------------------------------------------------------------------------------------------------- unattended


@dataclass(frozen=True, slots=True)
class Running:
    """All of it, started from an empty folder, watched."""

    house: House
    home: HomeAssistant
    watch: Watch
    browser: Browser | None
    since: float

    @property
    def lasted_s(self) -> float:
        return time.monotonic() - self.since


@asynccontextmanager
async def _unattended(folder: Path, pace: Pace, loads: Sequence[Load] = ()) -> AsyncIterator[Running]:
    from demo.browser import Browser, find_browser  # noqa: PLC0415 - Playwright takes its time

    since = time.monotonic()
    say("\nStarting, from an empty folder ...")
    shutil.rmtree(folder, ignore_errors=True)
    house = House(folder, pace, loads=loads)
    more = configuration(loads, house.control_url) if loads else ""
    home = HomeAssistant(folder / "home_assistant", folder / "logs" / "home_assistant.log", more_configuration=more)
    async with AsyncExitStack() as stack:
        await _start(stack, house, home)
        await _pair(house, home)
        watch = await home.watch()
        await watch.learn()
        browser = None
        if (program := find_browser()) is None:
            say("No Chromium here, so no screenshots; to have them, as root: apt-get install chromium")
        else:
            browser = await stack.enter_async_context(Browser(home, program))
        running = Running(house, home, watch, browser, since)
        say(f"Running after {running.lasted_s:.0f} s. What Home Assistant shows:\n")
        yield running


async def _story(args: argparse.Namespace) -> int:
    from demo.story import STORY_PACE, Story, delays  # noqa: PLC0415 - others start meanwhile
    from demo.telling import Telling  # noqa: PLC0415

    for line in delays(STORY_PACE):
        say(line)
    async with _unattended(ROOT / STORY_FOLDER, STORY_PACE) as running:
        telling = Telling(running.house, running.watch, running.browser, args.out)
        try:
            verdict = await Story(telling).tell()
            taken = await telling.pictures()
        finally:
            await telling.drop_pictures()
        say()
        for line in (*verdict.lines(), *(f"Screenshot: {path}" for path in taken)):
            say(line)
        say(f"{'The story was seen whole' if verdict.ok else 'FAILED'}, in {running.lasted_s:.0f} s.")
        await _keep(args, running)
    return 0 if verdict.ok else 1


async def _scenes(args: argparse.Namespace) -> int:
    from demo.scenes import SCENE_PACE, Stage, delays  # noqa: PLC0415 - others start meanwhile

    for line in delays(SCENE_PACE):
        say(line)
    async with _unattended(ROOT / SCENES_FOLDER, SCENE_PACE, LOADS) as running:
        stage = await Stage.set_up(running.house, running.home, running.watch, running.browser, args.out)
        failed = [name for name in args.scenes if not await stage.play(name)]
        say(f"\n{f'FAILED: {", ".join(failed)}' if failed else 'All was seen'}, in {running.lasted_s:.0f} s.")
        await _keep(args, running)
    return 1 if failed else 0


async def _tour(args: argparse.Namespace) -> int:
    from demo.browser import find_browser  # noqa: PLC0415 - others start meanwhile
    from demo.tour import apart  # noqa: PLC0415
    from demo.tour.course import TOUR_LOADS, TOUR_PACE, Course  # noqa: PLC0415
    from demo.tour.person import Person  # noqa: PLC0415

    if (program := find_browser()) is None:
        raise DemoError("the tour needs a browser; as root: apt-get install chromium")
    since, folder, listen = time.monotonic(), ROOT / TOUR_FOLDER, apart.listen()
    for old in (folder, ROOT / TOUR_PICTURES):
        shutil.rmtree(old, ignore_errors=True)
    house = House(folder, TOUR_PACE, loads=TOUR_LOADS, listen=listen)
    more = configuration(TOUR_LOADS, house.control_url) + ("zeroconf:\n" if listen != HOST else "")
    log = folder / "logs" / "home_assistant.log"
    home = HomeAssistant(folder / "home_assistant", log, more_configuration=more, has_dashboard=False)
    say("Starting, from an empty folder ...")
    async with AsyncExitStack() as stack:
        await _start(stack, house, home)
        person = await stack.enter_async_context(Person(home, program, ROOT / TOUR_PICTURES))
        say(f"Running after {time.monotonic() - since:.0f} s. The tour:")
        await home.running()
        phone = await stack.enter_async_context(home.phone())
        course = Course(house, home, person, phone, discovered=listen != HOST)
        try:
            await course.take()
        finally:
            for complaint in (complaints := list(course.complaints(log))):
                say(f"  FAIL {complaint}")
            say(f"{len(person.taken)} pictures in {TOUR_PICTURES}, {time.monotonic() - since:.0f} s.")
            if args.keep:
                say(f"Left running until Ctrl-C: {home.url} (user {USER}, password {PASSWORD}); {os.getpid()=}")
                await _until_something_ends(house, home)
    return 1 if complaints else 0


async def _keep(args: argparse.Namespace, running: Running) -> None:
    if args.keep:
        say(f"Left running until Ctrl-C: {running.home.dashboard_url} (user {USER}, password {PASSWORD})")
        await _until_something_ends(running.house, running.home)


def say(text: str = "") -> None:
    """One line for the person who watches, at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
