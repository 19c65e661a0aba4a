"""The course of the tour: found, paired, a dashboard, a phone, an event, an outage, a restart; every screen is read."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from demo.home_assistant import HomeAssistant
from demo.house import House, Pace
from demo.loads import LOADS, Load, group
from demo.processes import DemoError, until
from demo.telling import say
from demo.tour import registries
from demo.tour.person import DESKTOP, PHONE, THEMES, WALL, Person
from demo.tour.phone import Phone

TOUR_PACE = Pace(enter_service_s=6, announce_return_s=4, lease_s=30, soc_pct=72)
# A house as most are: the scenes want one that asks for too much.
POWERS = {"water_heater": 1500, "heat_pump": 1900, "dryer": 600}
TOUR_LOADS: tuple[Load, ...] = tuple(replace(load, power_w=POWERS[load.id]) for load in LOADS)
BASE_W = 700
ACCEPTED_WITHIN_S = 15.0
# What a resident is promised; a person reads slower than this one, so the acts are told too.
SET_UP_WITHIN_S = 180.0
DASHBOARD = "/home-resilience"
VIEWS = ("power", "outage", "events", "vehicle", "devices")
PAGES = (PHONE, DESKTOP)
EVERYWHERE = (PHONE, DESKTOP, WALL)
CALLED = ("event", "--power-kw", "5", "--start-in", "20", "--duration", "75")
# Of this rig: a custom integration, no camera, no packages fetched, and nobody to ask for names of the internet.
EXPECTED = (
    "Skipping pip",
    "custom integration ridethrough which has not been tested",
    "ffmpeg",
    "zlib_ng",
    "OSError exception in shielded",
)


@dataclass
class Course:
    """One tour. ``found``: what was wrong."""

    house: House
    home: HomeAssistant
    person: Person
    phone: Phone
    discovered: bool
    found: list[str] = field(default_factory=list)

    async def take(self) -> None:
        """All of it. Raises ``DemoError`` when it cannot go on."""
        await self.house.simulate("load", str(BASE_W))
        chapters = (self._set_up, self._dashboard, self._notifications, self._views, self._event, self._outage)
        for chapter in (*chapters, self._restart, self._return):
            started = time.monotonic()
            await chapter()
            say(f"  {chapter.__name__.strip('_').replace('_', ' '):<16} {time.monotonic() - started:5.1f} s")

    # ---------------------------------------------------------------------------------------------------------- set-up

    async def _set_up(self) -> None:
        person = self.person
        await person.open("/config/integrations/dashboard")
        started, acts = time.monotonic(), person.acts
        await (self._find() if self.discovered else self._look_up())
        await person.picture("02-pairing-code", whole=False)
        await person.type("step-flow-form input", await self.house.pairing_code())
        await self._finish_dialog("03-set-up")
        seconds = time.monotonic() - started
        say(f"  set up in {seconds:.0f} s, pictures included, and {person.acts - acts} clicks and words typed")
        if seconds > SET_UP_WITHIN_S:
            self.found.append(f"the first set-up took {seconds:.0f} s")
        await self.home.loaded()
        for load in TOUR_LOADS:
            if not load.by_relay:
                await self.home.add_load_group(group(load))

    async def _find(self) -> None:
        """As Home Assistant has found it by itself."""
        await self.person.read("Discovered", "Ridethrough")
        await self.person.picture("01-discovered", whole=False)
        await self.person.press("Add")
        await self.person.read("Pairing code")

    async def _look_up(self) -> None:
        """By its address, where this machine lends no network to find it on."""
        await self.person.press("Add integration")
        await self.person.type("dialog-add-integration input", "Ridethrough")
        await self.person.click("Ridethrough", within="dialog-add-integration")
        await self.person.read("Host")
        await self.person.type("step-flow-form input[name=host]", self.house.listen)
        await self.person.type("step-flow-form input[type=number]", str(self.house.edge_port))
        await self.person.press("Submit", "Next")
        await self.person.read("Pairing code")

    async def _finish_dialog(self, name: str) -> None:
        """Whatever steps there are: submit each, with a picture, until there is none."""
        for number in range(1, 7):
            await self.person.press("Submit", "Next", "Finish", "Skip and finish", "OK", "Close")
            await self.person.settle()
            if not await self.person.shows("step-flow-form, step-flow-create-entry, step-flow-abort"):
                return
            is_page = await self.person.shows("step-flow-form")
            screens, themes = (PAGES, THEMES) if is_page else ((DESKTOP,), THEMES[:1])
            await self.person.picture(f"{name}-{number}", screens, themes, whole=False)
        raise DemoError(f"{name} does not end")

    async def _dashboard(self) -> None:
        person = self.person
        await person.open("/config/lovelace/dashboards")
        await person.press("Add dashboard")
        await person.read("Community", "Ridethrough")
        await person.picture("04-add-dashboard", whole=False)
        await person.click("Ridethrough", within="ha-dialog")
        await person.settle()
        await person.picture("05-name-dashboard", (DESKTOP,), ("light",), whole=False)
        await person.press("Create")
        await person.open(f"{DASHBOARD}/now")
        await person.read("The house", "Connected", "Driveway charger", "Peak events")
        self.found += await registries.check(person)

    async def _notifications(self) -> None:
        person = self.person
        await person.open("/config/integrations/integration/ridethrough")
        await person.press("Configure")
        await person.click("Notifications on phones")
        await person.read("Quiet from")
        await person.picture("06-notifications", whole=False)
        await self._finish_dialog("07-notifications")

    # ------------------------------------------------------------------------------------------------------------ views

    async def _views(self) -> None:
        person = self.person
        await person.open(f"{DASHBOARD}/power")
        await person.read("Fill in the Energy dashboard")
        await person.click("Fill in the Energy dashboard")
        await person.settle()
        await person.open(f"{DASHBOARD}/now")
        await person.read("The house")
        await person.picture("10-now", EVERYWHERE)
        for view in VIEWS:
            await person.turn(f"{DASHBOARD}/{view}")
            await person.settle()
            await person.picture(f"10-{view}", slow=view == "power")

    async def _energy_is_accepted(self) -> None:
        """By Home Assistant's own judgement, once each meter has counted something."""
        watch = await self.home.watch()
        said: Any = None

        async def accepted() -> bool:
            nonlocal said
            preferences = await watch.ask("energy/get_prefs")
            validated = await watch.ask("energy/validate")
            issues = {issue["type"] for source in validated["energy_sources"] for issue in source}
            said = {source["type"] for source in preferences["energy_sources"]}, issues
            # Statistics are compiled every five minutes, and the first have not been.
            return said[0] == {"battery", "grid"} and issues <= {"statistics_not_defined"}

        try:
            await until(accepted, ACCEPTED_WITHIN_S, "the Energy dashboard to accept what was filled in")
        except TimeoutError as error:
            self.found.append(f"{error}; it has and says {said}")

    # ---------------------------------------------------------------------------------------------------------- driving

    async def _event(self) -> None:
        """Announced, skipped on the phone, taken part in again on the dashboard."""
        person = self.person
        await self.house.simulate(*CALLED)
        await person.turn(f"{DASHBOARD}/events")
        push = await self._pushed("event", "Peak")
        await self.phone.tap(push, "Skip")
        await person.read("Opted out")
        await person.picture("20-opted-out", (PHONE,), ("light",))
        await person.touch("Take part")
        await person.read("Opt out")
        await person.picture("21-events")
        await person.turn(f"{DASHBOARD}/now")
        await person.read("Running", "for the peak event", within_s=25)
        await person.picture("22-event-now")

    async def _outage(self) -> None:
        person = self.person
        await self.house.simulate("outage")
        await person.turn(f"{DASHBOARD}/outage")
        push = await self._pushed("outage", "Power is out")
        await person.read("Power is out", "Active", "At least")
        await person.picture("30-outage", EVERYWHERE)
        await person.turn(f"{DASHBOARD}/now")
        await person.settle()
        await person.picture("31-outage-now", EVERYWHERE)
        if "critical" not in json.dumps(push):
            self.found.append(f"the push of an outage is not critical: {push}")

    async def _pushed(self, name: str, words: str) -> dict[str, Any]:
        """A push, kept beside the pictures."""
        push = await self.phone.push(words)
        self.person.keep(f"push-{name}.json", json.dumps(push, indent=2))
        return push

    async def _restart(self) -> None:
        """In the midst of the outage."""
        self.person.leave()
        await self.home.restart()
        await self.home.running()
        await self.home.loaded()
        await self.person.come_back()
        await self.person.open(f"{DASHBOARD}/outage")
        await self.person.read("Power is out", "Active")

    async def _return(self) -> None:
        person = self.person
        await self.house.simulate("restore")
        await person.read("Coming back", within_s=20)
        await person.picture("40-return", (PHONE,))
        await person.read("Connected", within_s=40)
        await person.turn(f"{DASHBOARD}/history")
        await person.read("The last outage", "Lasted")
        await person.settle()
        await person.picture("41-history")
        await self._energy_is_accepted()

    def complaints(self, log: Path) -> Iterator[str]:
        """All that was wrong, also in Home Assistant's log."""
        yield from self.found
        yield from dict.fromkeys(self.person.complaints)
        for line in log.read_text(encoding="utf-8").splitlines():
            if (" ERROR " in line or " WARNING " in line) and not any(one in line for one in EXPECTED):
                yield f"the log of Home Assistant: {line[:300]}"
