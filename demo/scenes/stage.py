"""What the scenes share: a house with loads to shed, made known to Home Assistant as a person does it, and its rest."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiohttp import ClientError

from demo.browser import Browser
from demo.home_assistant import HomeAssistant
from demo.house import House, Json, Pace
from demo.loads import LOADS, WARNING_ENTITY, Load, group
from demo.processes import until
from demo.telling import GROUP, PEAK, SITE, VEHICLE, MissingStepError, Telling, is_state, say
from demo.timeline import head
from demo.verdict import Check, leases_kept, no_violations
from demo.watching import Watch

SCENE_PACE = Pace(enter_service_s=6, announce_return_s=3, lease_s=30, overload_s=5)
CHARGE_PCT = 70
# What the house draws besides the loads that can be shed.
BASE_W = 1200
LISTED_WITHIN_S = 15.0
# Loads come back one by one, 22 s apart; and the way back to the grid, if a scene ended on it.
RESTS_WITHIN_S = 90.0

type Scene = Callable[["Stage"], Awaitable[list[Check]]]


@dataclass(slots=True)
class Stage:
    """The house, its Home Assistant, and the names of what was made there."""

    home: HomeAssistant
    watch: Watch
    browser: Browser | None
    pictures: Path
    telling: Telling
    entry_id: str
    groups: Mapping[str, str]
    devices: Mapping[str, str]

    @classmethod
    async def set_up(
        cls, house: House, home: HomeAssistant, watch: Watch, browser: Browser | None, pictures: Path
    ) -> Self:
        """Make the load groups, and have warnings forwarded. Raises ``DemoError``."""
        for load in LOADS:
            if not load.by_relay:
                await home.add_load_group(group(load))
        await home.forward_warnings(WARNING_ENTITY)
        entry_id = await home.entry_id()
        made = await watch.groups(entry_id)
        ids = {load.id: load.id if load.by_relay else made[load.name] for load in LOADS}
        stage = cls(home, watch, browser, pictures, Telling(house, watch, browser, pictures), entry_id, ids, {})
        try:
            await until(stage.are_known, LISTED_WITHIN_S, "the load groups to be shown, all on")
        except TimeoutError as error:
            raise MissingStepError(f"{error}; they are {stage.load_states()}") from error
        stage.devices = await watch.devices()
        return stage

    async def are_known(self) -> bool:
        """The load groups are shown, and on."""
        await self.watch.learn()
        return self._all_on()

    def load_states(self) -> dict[str, str | None]:
        """How each load group stands; None: Home Assistant does not show it."""
        shown = {load.name: self.watch.now.get(self.load(load, "load_state")) for load in LOADS}
        return {name: None if seen is None else seen.state for name, seen in shown.items()}

    def _all_on(self) -> bool:
        return set(self.load_states().values()) == {"on"}

    @property
    def house(self) -> House:
        return self.telling.house

    def load(self, load: Load, key: str) -> str:
        """The integration's name of an entity of this load's group."""
        return GROUP(self.groups[load.id], key)

    @property
    def charger(self) -> str:
        """The charger's device, as actions want it."""
        return self.devices["Driveway charger"]

    # --------------------------------------------------------------------------------------------------------- a scene

    async def play(self, name: str) -> bool:
        """Bring the house to rest, tell one scene, and say whether all of it held."""
        from demo.scenes.drill import drill  # noqa: PLC0415 - they import this
        from demo.scenes.flap import flap  # noqa: PLC0415
        from demo.scenes.outage import outage  # noqa: PLC0415
        from demo.scenes.storm import storm  # noqa: PLC0415

        scenes: Mapping[str, Scene] = {"outage": outage, "flap": flap, "storm": storm, "drill": drill}
        started = time.monotonic()
        await self.rest()
        self.telling = Telling(self.house, self.watch, self.browser, self.pictures)
        say(f"\n== {name}\n{head()}")
        try:
            checks = [*await scenes[name](self), *await self._promises()]
            await self.telling.pictures()
        finally:
            await self._keep_truth(name)
            await self.telling.drop_pictures()
        for check in checks:
            say(f"  {'ok  ' if check.ok else 'FAIL'} {check.words}: {check.found}")
        say(f"  {name}: {time.monotonic() - started:.0f} s")
        return all(check.ok for check in checks)

    async def _keep_truth(self, name: str) -> None:
        """Beside the logs, also of a scene that failed."""
        with suppress(ClientError, TimeoutError):
            told = {"truth": await self.house.truth(), "writes": await self.house.writes()}
            path = self.house.folder / "logs" / f"{name}.json"
            await asyncio.to_thread(path.write_text, json.dumps(told, indent=1), encoding="utf-8")

    async def _promises(self) -> list[Check]:
        truth = await self.house.truth()
        return [no_violations(truth), leases_kept(truth)]

    async def rest(self) -> None:
        """As every scene finds it. Raises ``MissingStepError`` that says how it stands."""
        await self.house.simulate("load", str(BASE_W))
        await self.house.simulate("plug", "--soc", str(CHARGE_PCT))
        try:
            await until(self._rests, RESTS_WITHIN_S, "the house to rest on the grid, with all loads on")
        except TimeoutError as error:
            wanting = [words for words, holds in self._at_rest().items() if not holds]
            raise MissingStepError(f"{error}; wanting: {', '.join(wanting)}; loads: {self.load_states()}") from error

    async def _rests(self) -> bool:
        return all(self._at_rest().values())

    def _at_rest(self) -> dict[str, bool]:
        return {
            "on the grid": self._shows(SITE("supply"), "grid") and self._shows(SITE("grid_status"), "connected"),
            "no storm": self._shows(SITE("storm_hold"), "off") and self._shows(SITE("alert"), "off"),
            "no event": self._shows(PEAK("event_active"), "off"),
            "all loads on": self._all_on(),
            "vehicle there": self._shows(VEHICLE("vehicle_connected"), "on"),
        }

    def _shows(self, key: str, state: str) -> bool:
        seen = self.watch.now.get(key)
        return seen is not None and is_state(key, state)(seen)


@dataclass(frozen=True, slots=True)
class Before:
    """The simulated site's account before a scene, to tell what came in it."""

    truth: Json

    @classmethod
    async def of(cls, house: House) -> Self:
        return cls(await house.truth())

    def dark_s(self, truth: Json) -> list[float]:
        """How long the house was dark, each time since then."""
        periods = truth["house"]["dark_periods"][len(self.truth["house"]["dark_periods"]) :]
        return [float(period["seconds"]) for period in periods]

    def happened(self, truth: Json, kind: str, **said: object) -> list[Json]:
        """What the site has noted of this kind since then, oldest first."""
        return [
            entry
            for entry in truth["history"]
            if entry["kind"] == kind
            and entry["at"] > self.truth["at"]
            and all(entry.get(name) == one for name, one in said.items())
        ]


def delays(pace: Pace) -> Iterator[str]:
    """Every delay that the scenes shorten, beside what it is at a real site."""
    yield "Delays, shortened so that this ends today (at a real site):"
    yield f"  stable grid before the return    {pace.enter_service_s:g} s   (300 s, IEEE 1547; charger and edge alike)"
    yield f"  announcement of the dark moment  {pace.announce_return_s:g} s   (60 s)"
    yield f"  lease of an order                {pace.lease_s:g} s  (60 s)"
    yield "  the charger's island forms in    1.5 s (up to 30 s, by its maker)"
    yield f"  the charger bears an overload    {pace.overload_s:g} s   (by its maker)"
    yield "Not shortened: loads come back 22 s apart."
