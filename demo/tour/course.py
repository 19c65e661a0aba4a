"""The course of the tour: found, paired, a dashboard, an event, an outage, a restart; every screen is photographed and read."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from demo.home_assistant import HomeAssistant
from demo.house import House, Pace
from demo.processes import DemoError
from demo.telling import say
from demo.tour.person import DESKTOP, PHONE, WALL, Person

TOUR_PACE = Pace(enter_service_s=6, announce_return_s=4, lease_s=30, soc_pct=72)
# What a resident is promised; a person reads slower than this one, so the acts are told too.
SET_UP_WITHIN_S = 180.0
DASHBOARD = "/home-resilience"
VIEWS = ("now", "power", "outage", "events", "vehicle", "history", "devices")
EVERYWHERE = (PHONE, DESKTOP, WALL)


@dataclass
class Course:
    """One tour. ``found``: what was wrong."""

    house: House
    home: HomeAssistant
    person: Person
    discovered: bool
    found: list[str] = field(default_factory=list)

    async def take(self) -> None:
        """All of it. Raises ``DemoError`` when it cannot go on."""
        for chapter in (
            self._set_up,
            self._make_dashboard,
            self._look_around,
            self._event,
            self._outage,
            self._restart,
        ):
            started = time.monotonic()
            await chapter()
            say(f"  {chapter.__name__.strip('_').replace('_', ' '):<20} {time.monotonic() - started:5.1f} s")

    # ---------------------------------------------------------------------------------------------------------- set-up

    async def _set_up(self) -> None:
        person = self.person
        await person.open("/config/integrations/dashboard")
        started, acts = time.monotonic(), person.acts
        if self.discovered:
            await person.read("Discovered", "Ridethrough")
            await person.picture("01-discovered", whole=False)
            await person.press("Add")
        else:
            await person.press("Add integration")
            await person.type("dialog-add-integration input", "Ridethrough")
            await person.click("Ridethrough", within="dialog-add-integration")
        await person.read("[Cc]ode")
        await person.picture("02-pairing-code", whole=False)
        if not self.discovered:
            await person.type("[name=host]", self.house.listen)
        await person.type("step-flow-form ha-textfield input, step-flow-form input", await self.house.pairing_code())
        await self._finish_dialog()
        seconds = time.monotonic() - started
        say(f"  set up in {seconds:.1f} s, pictures included, and {person.acts - acts} clicks and words typed")
        if seconds > SET_UP_WITHIN_S:
            self.found.append(f"the first set-up took {seconds:.0f} s")

    async def _finish_dialog(self) -> None:
        """Whatever steps there are: submit each, with a picture, until it says that it is done."""
        person = self.person
        for number in range(1, 6):
            await person.press("Submit", "Next", "Finish", "Skip and finish", "OK")
            await person.settle()
            if not await person.shows("step-flow-form, step-flow-create-entry"):
                return
            await person.picture(f"03-set-up-{number}", whole=False)
        raise DemoError("the set-up does not end")

    async def _make_dashboard(self) -> None:
        person = self.person
        await person.open("/config/lovelace/dashboards")
        await person.press("Add dashboard")
        await person.read("Community", "Ridethrough")
        await person.picture("04-add-dashboard", whole=False)
        await person.click("Ridethrough", within="ha-dialog")
        await person.settle()
        await person.picture("05-name-dashboard", (DESKTOP,), whole=False)
        await person.press("Create")
        await person.open(f"{DASHBOARD}/now")
        await person.read("The house")

    # ------------------------------------------------------------------------------------------------------------ views

    async def _look_around(self) -> None:
        for view in VIEWS:
            await self.person.turn(f"{DASHBOARD}/{view}")
            await self.person.settle()
            await self.person.picture(f"10-{view}", EVERYWHERE if view == "now" else (PHONE, DESKTOP))

    async def _event(self) -> None:
        await self.house.simulate("event", "--power-kw", "5", "--start-in", "10", "--duration", "60")
        await self.person.turn(f"{DASHBOARD}/events")
        await self.person.read("Prepared|Running")
        await self.person.picture("20-events", (PHONE, DESKTOP))
        await self.person.turn(f"{DASHBOARD}/now")
        await self.person.read("Running")
        await self.person.picture("21-event-now", (PHONE, DESKTOP))

    async def _outage(self) -> None:
        person = self.person
        await self.house.simulate("outage")
        await person.turn(f"{DASHBOARD}/outage")
        await person.read("Power is out")
        await person.picture("30-outage", EVERYWHERE)
        await person.turn(f"{DASHBOARD}/now")
        await person.settle()
        await person.picture("31-outage-now", EVERYWHERE)

    async def _restart(self) -> None:
        await self.home.restart()
        await self.home.loaded()
        await self.person.come_back()
        await self.person.open(f"{DASHBOARD}/outage")
        await self.person.read("Power is out")
        await self.house.simulate("restore")
        await self.person.picture("40-after-restart", (PHONE,))
        await self.person.read("Connected", within_s=40)
        await self.person.turn(f"{DASHBOARD}/history")
        await self.person.settle()
        await self.person.picture("41-history", (PHONE, DESKTOP))

    def complaints(self, log: Path) -> Iterator[str]:
        """All that was wrong, also in Home Assistant's log."""
        yield from self.found
        yield from dict.fromkeys(self.person.complaints)
        for line in log.read_text(encoding="utf-8").splitlines():
            if (" ERROR " in line or " WARNING " in line) and not any(one in line for one in EXPECTED):
                yield f"the log of Home Assistant: {line[:300]}"


# Of this rig: no camera, a custom integration, and no packages fetched.
EXPECTED = (
    "custom integration ridethrough which has not been tested",
    "ffmpeg",
    "zlib_ng",
    "--skip-pip",
    "Skipping pip",
)
