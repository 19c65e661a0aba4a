"""The story, unattended: a peak event, the grid lost in the middle of it, the house carried, and the way back.

Everything is made to happen by the commands that a person types, and every step counts only when it shows in Home
Assistant's websocket API. At the end the simulated site says what was physically so.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from demo.house import PAY_USD_PER_KW, Pace, at
from demo.telling import (
    ANNOUNCED_WITHIN_S,
    BACKUP_WITHIN_S,
    PEAK,
    RAMP_WITHIN_S,
    SHOWN_WITHIN_S,
    SITE,
    VEHICLE,
    MissingStepError,
    Telling,
    is_near,
    is_state,
    is_told,
    not_before,
    say,
    sleep_until,
)
from demo.timeline import Cause, head
from demo.verdict import Account, Verdict
from demo.watching import Seen

STORY_PACE = Pace(enter_service_s=8, announce_return_s=5, lease_s=30)
EVENT_W, EVENT_IN_S, EVENT_S = 5000, 14, 90
HOUSE_W, MORE_W = 1200, 2400
# The grid fails and comes back at these moments of the event.
OUTAGE_AT_S, RESTORE_AT_S = 12, 26


# What is physics must also have shown in its order.
PHYSICS = ("protective act", "outage is certain", "island switch open, proven", "charger formed the island",
           "grid is back, watched", "stable; dark moment announced", "transfer begins",
           "island switch closed, proven", "reconnected")  # fmt: skip


class Story:
    """One telling."""

    def __init__(self, telling: Telling) -> None:
        self._telling, self._see = telling, telling.see
        self._start = self._end = datetime.now(UTC)

    async def tell(self) -> Verdict:
        """Tell it to the end. Raises ``MissingStepError``, ``DemoError``."""
        say(head())
        account = Account(self._telling.house)
        following = asyncio.create_task(account.follow(), name="account of the simulated site")
        try:
            await self._peak()
            lost = await self._outage()
            await self._return()
            completed = await self._finish()
            self._telling.check_order(*PHYSICS)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        return await account.judge(self._start, self._end, lost, completed.attributes, self._shown_in_the_end())

    # ---------------------------------------------------------------------------------------------------- chapters

    async def _peak(self) -> None:
        power, soon, long = str(EVENT_W / 1000), str(EVENT_IN_S), str(EVENT_S)
        wish = ("event", "--power-kw", power, "--start-in", soon, "--duration", long)
        called = await self._telling.cause("event called", *wish)
        announced = await self._see(
            "event announced", is_told(PEAK("peak_event"), "announced"), called, ANNOUNCED_WITHIN_S
        )
        await self._see("event prepared", is_state(PEAK("event_status"), "prepared"), called, ANNOUNCED_WITHIN_S)
        self._start, self._end = at(announced.attributes["start"]), at(announced.attributes["end"])
        begun = Cause("event start", self._start, called.mark)
        await self._see("event runs", is_state(PEAK("event_status"), "running"), begun, EVENT_IN_S + SHOWN_WITHIN_S)
        await self._see("vehicle discharges", is_state(VEHICLE("discharging"), "on"), begun, RAMP_WITHIN_S)
        await self._see("discharges at target", is_near(VEHICLE("power"), EVENT_W), begun, RAMP_WITHIN_S)
        self._telling.picture("1-peak-event", "now", "events")

    async def _outage(self) -> datetime:
        await sleep_until(self._start + timedelta(seconds=OUTAGE_AT_S))
        lost = await self._telling.cause("grid lost", "outage")
        await self._see("protective act", is_state(SITE("grid_status"), "checking"), lost)
        await self._see("event interrupted", is_told(PEAK("peak_event"), "interrupted"), lost, BACKUP_WITHIN_S)
        await self._see("outage is certain", is_told(SITE("outage"), "started"), lost)
        await self._see("island switch open, proven", is_state(SITE("island_switch"), "open"), lost, BACKUP_WITHIN_S)
        formed = await self._see("charger formed the island", is_state(SITE("supply"), "island"), lost, BACKUP_WITHIN_S)
        carries = is_near(VEHICLE("power"), HOUSE_W)
        await self._see("vehicle carries the house", not_before(formed, carries), lost, BACKUP_WITHIN_S)
        await self._carry()
        return lost.at

    async def _carry(self) -> None:
        more = await self._telling.cause("load doubled", "load", str(MORE_W))
        await self._see("house draws more", is_near(SITE("house_power"), MORE_W), more, SHOWN_WITHIN_S)
        await self._see("vehicle follows", is_near(VEHICLE("power"), MORE_W), more, SHOWN_WITHIN_S)
        self._check_reserve()
        self._telling.picture("2-outage", "now", "outage")

    async def _return(self) -> None:
        await sleep_until(self._start + timedelta(seconds=RESTORE_AT_S))
        pace = self._telling.house.pace
        back = await self._telling.cause("grid back", "restore")
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
        ends = Cause("event end", self._end, self._telling.mark())
        left_s = (self._end - datetime.now(UTC)).total_seconds()
        within_s = left_s + SHOWN_WITHIN_S
        completed = await self._see("event finished", is_told(PEAK("peak_event"), "completed"), ends, within_s)
        await self._see("event status finished", is_state(PEAK("event_status"), "finished"), ends, SHOWN_WITHIN_S)
        await self._see("charger rests", is_near(VEHICLE("power"), 0), ends, RAMP_WITHIN_S)
        self._telling.picture("3-finished", "now", "events")
        return completed

    # ------------------------------------------------------------------------------------------------------- seeing

    def _check_reserve(self) -> None:
        charge, reserve = (self._telling.shown(VEHICLE(key)).number for key in ("vehicle_battery", "drivers_reserve"))
        if charge is None or reserve is None or charge <= reserve:
            raise MissingStepError(f"the driver's reserve is not kept: charge {charge} %, reserve {reserve} %")
        say(f"  driver's reserve kept: {charge:g} % in the vehicle, {reserve:g} % are the driver's")

    def _shown_in_the_end(self) -> dict[str, float | None]:
        keys = ("event_energy", "event_average_power", "event_earnings")
        return {key: self._telling.shown(PEAK(key)).number for key in keys}


def delays(pace: Pace) -> Iterator[str]:
    """Every delay that the story shortens, beside what it is at a real site."""
    yield "Delays, shortened so that this ends today (at a real site):"
    yield f"  stable grid before the return    {pace.enter_service_s:g} s   (300 s, IEEE 1547; charger and edge alike)"
    yield f"  announcement of the dark moment  {pace.announce_return_s:g} s   (60 s)"
    yield f"  lease of an order                {pace.lease_s:g} s  (60 s)"
    yield "  the charger's island forms in    1.5 s (up to 30 s, by its maker)"
    yield f"  the event                        {EVENT_S} s, called {EVENT_IN_S} s ahead  (hours, called a day ahead)"
    yield f"  pay                              ${PAY_USD_PER_KW} per average kW and season of 45 events"
