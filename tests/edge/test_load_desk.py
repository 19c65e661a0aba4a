"""Load relays beside the cycle: given until they stand so, and never in the way of a decision. In leaping time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from edge_service.domain.memory import IslandStep
from edge_service.domain.model import (
    LoadGroup,
    LoadOrder,
    LoadReading,
    LoadState,
    Mode,
    Settings,
    Tier,
    frozen_map,
)
from edge_service.household import Household
from edge_service.intake import Intake
from edge_service.ports import DeviceIdentity, DeviceUnreachableError
from edge_service.runner import Devices, Image, Pacing, Runner
from tests.edge.domain.houses import a_site, after
from tests.edge.fakes import (
    FakeCharger,
    FakeDevice,
    FakeMeter,
    FakeSwitch,
    FastCharger,
    LeapingClock,
    MemoryJournal,
    leaping,
    passes,
    until,
)

SHED, ON = LoadOrder.SHED, LoadOrder.ON
BY_HAND = Settings(loads_by_hand=frozen_map({"oven": SHED}), loads_by_hand_at=frozen_map({"oven": after(0)}))


class FakeRelay(FakeDevice):
    """``LoadRelay``: does as told, unless it is ``stuck``."""

    def __init__(self, name: str = "oven") -> None:
        super().__init__()
        self.id, self.state, self.stuck = name, LoadState.ON, False
        self.given: list[LoadOrder] = []

    async def probe(self) -> DeviceIdentity:
        return DeviceIdentity("SimVendor", "Relay", "R1")

    async def read(self, now: datetime) -> LoadReading:
        await self._ask("read")
        return LoadReading(now, self.state)

    async def give(self, order: LoadOrder) -> None:
        await self._ask("give")
        self.given.append(order)
        if not self.stuck:
            self.state = LoadState.SHED if order is SHED else LoadState.ON


class Home:
    """A runner among fakes, with one relay."""

    def __init__(self, settings: Settings, charger: FakeCharger | None = None, cycle_s: float = 1.0) -> None:
        self.relay, self.clock, self.journal = FakeRelay(), LeapingClock(), MemoryJournal()
        self.journal.settings = settings
        self.images: list[Image] = []
        self.household = Household(
            settings, Intake(self.clock, self.journal, (), lambda: None), self.journal, self.clock
        )
        relays = frozen_map({"oven": LoadGroup("oven", "Oven", Tier.NICE_TO_HAVE, 4000)})
        switch = FakeSwitch()
        switch.open = switch.commanded_open = charger is not None
        devices = Devices([charger or FakeCharger()], FakeMeter(), switch, relays=[self.relay])
        facts = a_site(relays=relays)
        self.runner = Runner(facts, devices, self.household, self, self.clock, pacing=Pacing(cycle_s, 0.1, 0.1))

    def witness(self, image: Image) -> None:
        self.images.append(image)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.runner.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.runner.close()


@leaping
async def test_what_is_wanted_is_given_once_and_seen_to_stand() -> None:
    home = Home(BY_HAND)
    async with home.at_work():
        await until(lambda: home.relay.state is LoadState.SHED, within_s=3)
        await passes(20)
        assert home.relay.given == [SHED]
        assert home.images[-1].observation.loads["oven"].state is LoadState.SHED
    assert home.relay.closed


@leaping
async def test_what_did_not_succeed_is_tried_again() -> None:
    home = Home(BY_HAND)
    home.relay.trouble["give"] = DeviceUnreachableError("no answer")
    async with home.at_work():
        await until(lambda: len(home.relay.asked["give"]) >= 3, within_s=10)
        home.relay.trouble.clear()
        await until(lambda: home.relay.state is LoadState.SHED, within_s=3)


@leaping
async def test_a_relay_that_loses_its_order_gets_it_again() -> None:
    home = Home(BY_HAND)
    async with home.at_work():
        await until(lambda: home.relay.state is LoadState.SHED, within_s=3)
        home.relay.state = LoadState.ON
        await until(lambda: home.relay.given == [SHED, SHED], within_s=3)


@leaping
async def test_a_persons_hand_at_the_load_is_not_undone() -> None:
    home = Home(BY_HAND)
    async with home.at_work():
        await until(lambda: home.relay.state is LoadState.SHED, within_s=3)
        home.relay.state = LoadState.KEPT
        await until(lambda: home.relay.given == [SHED, ON], within_s=3)
        home.relay.state = LoadState.OFF
        await passes(5)
        assert home.relay.given == [SHED, ON], "nobody switches on what a person switched off"


@leaping
async def test_a_relay_that_hangs_holds_up_no_decision() -> None:
    home = Home(BY_HAND)
    home.relay.hanging.add("give")
    async with home.at_work():
        await until(lambda: home.relay.asked["give"], within_s=5)
        before = len(home.images)
        await passes(10)
        assert len(home.images) - before >= 10
        assert len(home.relay.asked["give"]) == 1, "one thing under way at a time"
        home.relay.hanging.add("read")
        before = len(home.images)
        await passes(10)
        assert len(home.images) - before >= 10


@leaping
async def test_an_overload_that_the_fast_lane_sees_waits_for_no_cycle() -> None:
    charger = FastCharger()
    charger.shows = {"forming": True, "grid_present": None, "power_w": -5000}
    home = Home(Settings(), charger, cycle_s=10.0)
    async with home.at_work():
        await until(
            lambda: home.images and home.images[-1].decision.memory.island.step is IslandStep.ISLAND, within_s=30
        )
        assert home.relay.given == []
        charger.shows["power_w"] = -9700
        await until(lambda: home.relay.given == [SHED], within_s=0.2)


@leaping
async def test_while_only_watching_no_relay_is_moved() -> None:
    home = Home(BY_HAND)
    async with home.at_work():
        await until(lambda: home.relay.state is LoadState.SHED, within_s=3)
        args = {"mode": "read_only"}
        await home.household.carry_out("set_mode", args, home.runner.facts, home.runner.memory, local=True)
        await until(lambda: home.images[-1].settings.mode is Mode.READ_ONLY, within_s=3)
        home.relay.state = LoadState.ON
        await passes(10)
        assert home.relay.given == [SHED]
