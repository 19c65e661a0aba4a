"""The story, unattended: a peak event, the grid lost in the middle of it, the house carried, and the way back.

Everything is made to happen by the commands that a person types, and every step counts only when it shows in Home
Assistant's websocket API. At the end the simulated site says what was physically so.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from demo.browser import Browser
from demo.house import CHARGER, PAY_USD_PER_KW, PROGRAM, House, Pace, at
from demo.processes import DemoError
from demo.timeline import Cause, Step, Timeline, head
from demo.verdict import Account, Verdict
from demo.watching import Matches, Seen, Watch

STORY_PACE = Pace(enter_service_s=8, announce_return_s=5, lease_s=30)
EVENT_W, EVENT_IN_S, EVENT_S = 5000, 14, 90
HOUSE_W, MORE_W = 1200, 2400
# The grid fails and comes back at these moments of the event.
OUTAGE_AT_S, RESTORE_AT_S = 12, 26
# A program's server is asked every ten seconds.
ANNOUNCED_WITHIN_S = 15.0
SHOWN_WITHIN_S = 5.0
# A transfer: two seconds of doubt, the switch, the charger's own island, and the pace of looking.
BACKUP_WITHIN_S = 10.0
RAMP_WITHIN_S = 8.0
# What the edge tells in one push becomes many states, written one after the other in any order.
SAME_MOMENT = timedelta(seconds=0.25)

SITE = "site-{}".format
VEHICLE = f"charger-{CHARGER}-{{}}".format
PEAK = f"program-{PROGRAM}-{{}}".format


class MissingStepError(DemoError):
    """A step of the story did not show in Home Assistant in time."""


def tolerance_w(power_w: float) -> float:
    """How close a power must come to count as reached."""
    return max(0.02 * abs(power_w), 100.0)


def is_state(key: str, state: str) -> Matches:
    """The entity takes this state."""
    return lambda seen: seen.key == key and seen.state == state


def is_told(key: str, kind: str) -> Matches:
    """The event entity tells this kind."""
    return lambda seen: seen.key == key and seen.kind == kind


def is_near(key: str, power_w: float) -> Matches:
    """The power comes close enough."""
    return lambda seen: (
        seen.key == key and seen.number is not None and abs(seen.number - power_w) <= tolerance_w(power_w)
    )


def _from(first: Seen, matches: Matches) -> Matches:
    """Not before that one."""
    return lambda seen: seen.at >= first.at - SAME_MOMENT and matches(seen)


class Story:
    """One telling. ``say`` is given each line as it becomes known."""

    def __init__(self, house: House, watch: Watch, browser: Browser | None, pictures: Path) -> None:
        self._house, self._watch, self._browser, self._pictures = house, watch, browser, pictures
        self._timeline = Timeline()
        self._taking: list[asyncio.Task[Path]] = []
        self._start = self._end = datetime.now(UTC)

    @property
    def taken(self) -> list[Path]:
        """The screenshots, once the story is told."""
        return [task.result() for task in self._taking]

    async def tell(self) -> Verdict:
        """Tell it to the end. Raises ``MissingStepError``, ``DemoError``."""
        say(head())
        account = Account(self._house)
        following = asyncio.create_task(account.follow(), name="account of the simulated site")
        try:
            await self._peak()
            lost = await self._outage()
            await self._return()
            completed = await self._finish()
            self._check_order()
            await asyncio.gather(*self._taking)
        finally:
            following.cancel()
            await asyncio.gather(following, *self._taking, return_exceptions=True)
        return await account.judge(self._start, self._end, lost, completed.attributes, self._shown_in_the_end())

    # ---------------------------------------------------------------------------------------------------- chapters

    async def _peak(self) -> None:
        mark = self._mark()
        power, soon, long = str(EVENT_W / 1000), str(EVENT_IN_S), str(EVENT_S)
        await self._house.simulate("event", "--power-kw", power, "--start-in", soon, "--duration", long)
        called = Cause("event called", await self._called_at(), mark)
        announced = await self._see(
            "event announced", is_told(PEAK("peak_event"), "announced"), called, ANNOUNCED_WITHIN_S
        )
        await self._see("event prepared", is_state(PEAK("event_status"), "prepared"), called, ANNOUNCED_WITHIN_S)
        self._start, self._end = at(announced.attributes["start"]), at(announced.attributes["end"])
        begun = Cause("event start", self._start, mark)
        await self._see("event runs", is_state(PEAK("event_status"), "running"), begun, EVENT_IN_S + SHOWN_WITHIN_S)
        await self._see("vehicle discharges", is_state(VEHICLE("discharging"), "on"), begun, RAMP_WITHIN_S)
        await self._see("discharges at target", is_near(VEHICLE("power"), EVENT_W), begun, RAMP_WITHIN_S)
        self._picture("1-peak-event", "now", "events")

    async def _outage(self) -> datetime:
        await _sleep_until(self._start + timedelta(seconds=OUTAGE_AT_S))
        mark = self._mark()
        await self._house.simulate("outage")
        lost = Cause("grid lost", at((await self._house.truth())["grid_lost_at"]), mark)
        await self._see("protective act", is_state(SITE("grid_status"), "checking"), lost, SHOWN_WITHIN_S)
        await self._see("event interrupted", is_told(PEAK("peak_event"), "interrupted"), lost, BACKUP_WITHIN_S)
        await self._see("outage is certain", is_told(SITE("outage"), "started"), lost, SHOWN_WITHIN_S)
        await self._see("island switch open, proven", is_state(SITE("island_switch"), "open"), lost, BACKUP_WITHIN_S)
        formed = await self._see("charger formed the island", is_state(SITE("supply"), "island"), lost, BACKUP_WITHIN_S)
        carries = is_near(VEHICLE("power"), HOUSE_W)
        await self._see("vehicle carries the house", _from(formed, carries), lost, BACKUP_WITHIN_S)
        await self._carry()
        return lost.at

    async def _carry(self) -> None:
        mark = self._mark()
        await self._house.simulate("load", str(MORE_W))
        more = Cause("load doubled", datetime.now(UTC), mark)
        await self._see("house draws more", is_near(SITE("house_power"), MORE_W), more, SHOWN_WITHIN_S)
        await self._see("vehicle follows", is_near(VEHICLE("power"), MORE_W), more, SHOWN_WITHIN_S)
        self._check_reserve()
        self._picture("2-outage", "now", "outage")

    async def _return(self) -> None:
        await _sleep_until(self._start + timedelta(seconds=RESTORE_AT_S))
        pace, mark = self._house.pace, self._mark()
        await self._house.simulate("restore")
        back = Cause("grid back", at((await self._house.truth())["grid_restored_at"]), mark)
        stable_s = pace.enter_service_s + SHOWN_WITHIN_S
        closed_s = stable_s + pace.announce_return_s + BACKUP_WITHIN_S
        await self._see("grid is back, watched", is_told(SITE("outage"), "grid_returned"), back, SHOWN_WITHIN_S)
        await self._see("stable; dark moment announced", is_told(SITE("outage"), "return_announced"), back, stable_s)
        await self._see("transfer begins", is_state(SITE("supply"), "transfer"), back, closed_s)
        await self._see("island switch closed, proven", is_state(SITE("island_switch"), "closed"), back, closed_s)
        await self._see("reconnected", is_state(SITE("supply"), "grid"), back, closed_s)
        await self._see("outage over", is_told(SITE("outage"), "ended"), back, closed_s)
        await self._see("event resumed", is_told(PEAK("peak_event"), "resumed"), back, closed_s)
        again_s = closed_s + pace.enter_service_s + RAMP_WITHIN_S
        await self._see("discharges at target again", is_near(VEHICLE("power"), EVENT_W), back, again_s)

    async def _finish(self) -> Seen:
        ends = Cause("event end", self._end, self._mark())
        left_s = (self._end - datetime.now(UTC)).total_seconds()
        within_s = left_s + SHOWN_WITHIN_S
        completed = await self._see("event finished", is_told(PEAK("peak_event"), "completed"), ends, within_s)
        await self._see("event status finished", is_state(PEAK("event_status"), "finished"), ends, SHOWN_WITHIN_S)
        await self._see("charger rests", is_near(VEHICLE("power"), 0), ends, RAMP_WITHIN_S)
        self._picture("3-finished", "now", "events")
        return completed

    # ------------------------------------------------------------------------------------------------------- seeing

    async def _see(self, words: str, matches: Matches, cause: Cause, within_s: float) -> Seen:
        """Wait for a step and tell it. Only changes after its cause count."""
        try:
            seen = await self._watch.see(lambda one: one.at >= cause.at and matches(one), cause.mark, within_s)
        except TimeoutError as error:
            self._house.require_alive()
            raise MissingStepError(self._missing(words, cause, within_s)) from error
        say(self._timeline.add(Step(words, seen.at, cause, _shown(seen))))
        return seen

    def _missing(self, words: str, cause: Cause, within_s: float) -> str:
        states = "\n".join(f"    {key} = {seen.state}" for key, seen in sorted(self._watch.now.items()) if "-" in key)
        return (
            f'the step "{words}" did not show in Home Assistant: waited {within_s:.0f} s, its cause is "{cause.words}" '
            f"at {cause.at:%H:%M:%S}\nthe last states:\n{states}\nthe logs: {self._house.folder / 'logs'}"
        )

    def _check_reserve(self) -> None:
        charge, reserve = (self._watch.now[VEHICLE(key)].number for key in ("vehicle_battery", "drivers_reserve"))
        if charge is None or reserve is None or charge <= reserve:
            raise MissingStepError(f"the driver's reserve is not kept: charge {charge} %, reserve {reserve} %")
        say(f"  driver's reserve kept: {charge:g} % in the vehicle, {reserve:g} % are the driver's")

    def _check_order(self) -> None:
        """What is physics must also have shown in its order."""
        physics = ("protective act", "outage is certain", "island switch open, proven", "charger formed the island",
                   "grid is back, watched", "stable; dark moment announced", "transfer begins",
                   "island switch closed, proven", "reconnected")  # fmt: skip
        seen = {step.words: step.at for step in self._timeline.steps}
        for earlier, later in pairwise(physics):
            if seen[earlier] > seen[later] + SAME_MOMENT:
                raise MissingStepError(f'"{later}" showed before "{earlier}"')

    def _shown_in_the_end(self) -> dict[str, float | None]:
        keys = ("event_energy", "event_average_power", "event_earnings")
        return {key: self._watch.now[PEAK(key)].number for key in keys}

    def _mark(self) -> int:
        return len(self._watch.changes)

    async def _called_at(self) -> datetime:
        """When the utility made its newest event."""
        events: list[dict[str, Any]] = (await self._house.utility_truth())["events"]
        return max(at(event["createdDateTime"]) for event in events)

    def _picture(self, name: str, *views: str) -> None:
        """Of these views of the dashboard, in the background: the story does not wait for a camera."""
        if self._browser is None:
            return
        for view in views:
            path = self._pictures / f"{name}-{view}.png"
            self._taking.append(asyncio.create_task(self._browser.picture(path, view), name=path.name))


def delays(pace: Pace) -> Iterator[str]:
    """Every delay that the story shortens, beside what it is at a real site."""
    yield "Delays, shortened so that this ends today (at a real site):"
    yield f"  stable grid before the return    {pace.enter_service_s:g} s   (300 s, IEEE 1547; charger and edge alike)"
    yield f"  announcement of the dark moment  {pace.announce_return_s:g} s   (60 s)"
    yield f"  lease of an order                {pace.lease_s:g} s  (60 s)"
    yield "  the charger's island forms in    1.5 s (up to 30 s, by its maker)"
    yield f"  the event                        {EVENT_S} s, called {EVENT_IN_S} s ahead  (hours, called a day ahead)"
    yield f"  pay                              ${PAY_USD_PER_KW} per average kW and season of 45 events"


def _shown(seen: Seen) -> str:
    unit = seen.attributes.get("unit_of_measurement") or ""
    said = seen.kind if "event_type" in seen.attributes else f"{seen.state} {unit}".strip()
    return f"{seen.entity_id}: {said}"


async def _sleep_until(moment: datetime) -> None:
    await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def say(text: str = "") -> None:
    """One line for the person who watches, at once."""
    print(text, flush=True)
