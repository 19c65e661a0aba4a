"""How anything is told here: made to happen, waited for in Home Assistant, printed with its times, and pictured."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from demo.browser import Browser
from demo.house import CHARGER, PROGRAM, House, at
from demo.processes import DemoError
from demo.timeline import Cause, Step, Timeline
from demo.watching import Matches, Seen, Watch

SHOWN_WITHIN_S = 5.0
# A program's server is asked every ten seconds.
ANNOUNCED_WITHIN_S = 15.0
# A transfer: two seconds of doubt, the switch, the charger's own island, and the pace of looking.
BACKUP_WITHIN_S = 10.0
RAMP_WITHIN_S = 8.0
# What the edge tells in one push becomes many states, written one after the other in any order.
SAME_MOMENT = timedelta(seconds=0.25)

SITE = "site-{}".format
VEHICLE = f"charger-{CHARGER}-{{}}".format
PEAK = f"program-{PROGRAM}-{{}}".format
GROUP = "load-{}-{}".format
NOTICE = "notice-{}".format


class MissingStepError(DemoError):
    """A step did not show in Home Assistant in time, or not as it must."""


def tolerance_w(power_w: float) -> float:
    """How close a power must come to count as reached."""
    return max(0.02 * abs(power_w), 100.0)


def is_state(key: str, *states: str) -> Matches:
    """The entity takes this state, or one of these."""
    return lambda seen: seen.key == key and seen.state in states


def is_told(key: str, kind: str, **said: Any) -> Matches:
    """The event entity tells this kind, with at least these words."""
    return lambda seen: (
        seen.key == key and seen.kind == kind and all(seen.attributes.get(name) == one for name, one in said.items())
    )


def is_near(key: str, power_w: float) -> Matches:
    """The power comes close enough."""
    return lambda seen: (
        seen.key == key and seen.number is not None and abs(seen.number - power_w) <= tolerance_w(power_w)
    )


def is_between(key: str, low: float, high: float) -> Matches:
    """The number lies in these bounds."""
    return lambda seen: seen.key == key and seen.number is not None and low <= seen.number <= high


def not_before(first: Seen, matches: Matches) -> Matches:
    """Not before that one."""
    return lambda seen: seen.at >= first.at - SAME_MOMENT and matches(seen)


class Telling:
    """What is made to happen and what shows of it, in one timeline."""

    def __init__(self, house: House, watch: Watch, browser: Browser | None, pictures: Path) -> None:
        self.house, self.watch = house, watch
        self._browser, self._pictures = browser, pictures
        self.timeline = Timeline()
        self._taking: list[asyncio.Task[Path]] = []

    # ------------------------------------------------------------------------------------------------------- causing

    async def cause(self, words: str, *act: str) -> Cause:
        """Type ``ridethrough simulate`` and these words."""
        mark, typed = self.mark(), datetime.now(UTC)
        await self.house.simulate(*act)
        return Cause(words, await self._happened_at(act[0], typed), mark)

    async def _happened_at(self, act: str, typed: datetime) -> datetime:
        """By the simulated site's or the utility's own clock where it says so; else when it was typed."""
        match act:
            case "outage":
                return at((await self.house.truth())["grid_lost_at"])
            case "restore":
                return at((await self.house.truth())["grid_restored_at"])
            case "event":
                events: list[dict[str, Any]] = (await self.house.utility_truth())["events"]
                return max(at(event["createdDateTime"]) for event in events)
        return typed

    async def act(self, words: str, action: str, **data: Any) -> Cause:
        """Call an action of Home Assistant, as a person or an automation does. Raises ``RefusedError``."""
        cause = Cause(words, datetime.now(UTC), self.mark())
        await self.watch.call(action, **data)
        return cause

    # -------------------------------------------------------------------------------------------------------- seeing

    def mark(self) -> int:
        """How many changes Home Assistant has told so far."""
        return len(self.watch.changes)

    async def see(self, words: str, matches: Matches, cause: Cause, within_s: float = SHOWN_WITHIN_S) -> Seen:
        """Wait for a step and tell it. Only changes after its cause count. Raises ``MissingStepError``."""
        try:
            seen = await self.watch.see(lambda one: one.at >= cause.at and matches(one), cause.mark, within_s)
        except TimeoutError as error:
            self.house.require_alive()
            raise MissingStepError(self._missing(words, cause, within_s)) from error
        say(self.timeline.add(Step(words, seen.at, cause, seen.words)))
        return seen

    async def stands(self, words: str, matches: Matches, within_s: float = SHOWN_WITHIN_S) -> Seen:
        """Likewise, of something that may be so already."""
        cause = Cause("it stands so", datetime.now(UTC), self.mark())
        for seen in self.watch.now.values():
            if matches(seen):
                say(self.timeline.add(Step(words, cause.at, cause, seen.words)))
                return seen
        return await self.see(words, matches, cause, within_s)

    def shown(self, key: str) -> Seen:
        """How it stands now. Raises ``MissingStepError`` when Home Assistant has no such entity."""
        try:
            return self.watch.now[key]
        except KeyError as error:
            raise MissingStepError(f'Home Assistant shows no "{key}"') from error

    def since(self, cause: Cause, matches: Matches) -> list[Seen]:
        """Everything of that kind that Home Assistant has told since."""
        return [seen for seen in self.watch.changes[cause.mark :] if matches(seen)]

    def _missing(self, words: str, cause: Cause, within_s: float) -> str:
        states = "\n".join(f"    {key} = {seen.state}" for key, seen in sorted(self.watch.now.items()) if "-" in key)
        return (
            f'the step "{words}" did not show in Home Assistant: waited {within_s:.0f} s, its cause is "{cause.words}" '
            f"at {cause.at:%H:%M:%S}\nthe last states:\n{states}\nthe logs: {self.house.folder / 'logs'}"
        )

    def check_order(self, *physics: str) -> None:
        """What is physics must also have shown in its order. Raises ``MissingStepError``."""
        seen = {step.words: step.at for step in self.timeline.steps}
        for earlier, later in pairwise(physics):
            if seen[earlier] > seen[later] + SAME_MOMENT:
                raise MissingStepError(f'"{later}" showed before "{earlier}"')

    # ------------------------------------------------------------------------------------------------------ pictures

    def picture(self, name: str, *views: str) -> None:
        """Of these views of the dashboard, in the background: nothing waits for a camera."""
        if self._browser is None:
            return
        for view in views:
            path = self._pictures / f"{name}-{view}.png"
            self._taking.append(asyncio.create_task(self._browser.picture(path, view), name=path.name))

    async def pictures(self) -> list[Path]:
        """All that were taken. Raises ``DemoError``."""
        return await asyncio.gather(*self._taking)

    async def drop_pictures(self) -> None:
        """Wait for them without a word on those that failed."""
        await asyncio.gather(*self._taking, return_exceptions=True)


async def sleep_until(moment: datetime) -> None:
    """Let the clock reach it."""
    await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def say(text: str = "") -> None:
    """One line for the person who watches, at once."""
    print(text, flush=True)
