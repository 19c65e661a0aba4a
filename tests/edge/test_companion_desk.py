"""Companion inverters in the cycle: they delay nobody, and their reserve is set on grid only. In leaping time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from edge_service.domain.model import (
    CompanionFacts,
    CompanionReading,
    CompanionState,
    Grid,
    Mode,
    Settings,
    frozen_map,
)
from edge_service.ports import DeviceRefusedError, DeviceUnreachableError
from edge_service.runner import Devices, Pacing, Runner
from tests.edge.domain.houses import a_site, after
from tests.edge.fakes import FakeCharger, FakeCompanion, FakeMeter, LeapingClock, leaping, passes, until
from tests.edge.test_runner import Album, Residents

SETTINGS = Settings(backup_reserve_pct=40)


class BusyLine(FakeCompanion):
    """What is to be written waits until the line is ``free``, as behind a least time between requests."""

    def __init__(self, read_every_s: float = 0.0) -> None:
        super().__init__(read_every_s=read_every_s)
        self.free = asyncio.Event()
        self.free.set()

    async def keep_reserve(self, pct: float) -> None:
        self.asked["waits"].append(pct)
        await self.free.wait()
        await super().keep_reserve(pct)


class Home:
    """A runner among fakes: a charger, a meter, and a companion whose gateway keeps a reserve; no switch of ours."""

    def __init__(self, settings: Settings = SETTINGS, *, keeps: bool = True, read_every_s: float = 0.0) -> None:
        self.charger, self.meter, self.companion = FakeCharger(), FakeMeter(), BusyLine(read_every_s)
        self.people, self.album, self.clock = Residents(settings), Album(), LeapingClock()
        companions = frozen_map({"plant": CompanionFacts("plant", "Plant", keeps_reserve=keeps)})
        facts = a_site(switch=None, companions=companions, enter_service_s=20)
        devices = Devices([self.charger], self.meter, companions=[self.companion])
        self.runner = Runner(facts, devices, self.people, self.album, self.clock, pacing=Pacing(1.0, 0.1, 0.1))

    @property
    def grid(self) -> Grid:
        return self.runner.memory.grid.state

    @property
    def known(self) -> CompanionReading | None:
        """What the last cycle knew of the companion, while it counts."""
        image = self.runner.image
        assert image is not None
        return image.facts.fresh(image.observation.companions.get("plant"), image.observation.now)

    def lose_grid(self) -> None:
        self.meter.voltage_v = 0.0
        self.charger.shows |= {"grid_present": False, "voltage_v": 0.0}
        self.companion.state = CompanionState.ISLANDED

    def restore_grid(self) -> None:
        self.meter.voltage_v = 240.0
        self.charger.shows |= {"grid_present": True, "voltage_v": 240.0}
        self.companion.state = CompanionState.ON_GRID

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.runner.run())
        try:
            await until(lambda: task.done() or self.grid is Grid.ON)
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.runner.close()


# ---------------------------------------------------------------------------------------------------------- the reading


@leaping
async def test_a_companion_is_read_once_a_cycle_and_closed_at_the_end() -> None:
    home = Home()
    async with home.at_work():
        before = len(home.companion.asked["read"])
        await passes(10)
        assert len(home.companion.asked["read"]) - before == pytest.approx(10, abs=1)
        assert home.known is not None
        assert home.known.state is CompanionState.ON_GRID
    assert home.companion.closed


@leaping
async def test_one_that_bears_no_haste_is_read_at_its_own_pace() -> None:
    home = Home(read_every_s=3)
    async with home.at_work():
        before = len(home.companion.asked["read"])
        await passes(30)
        assert len(home.companion.asked["read"]) - before == pytest.approx(10, abs=1)
        assert home.known is not None


@leaping
async def test_one_that_never_answers_delays_no_cycle_goes_stale_and_makes_no_outage() -> None:
    home = Home()
    async with home.at_work():
        home.companion.hanging.add("read")
        begun = len(home.album.images)
        await passes(40)
        assert len(home.album.images) - begun == pytest.approx(40, abs=1)
        reads = home.charger.asked["read"]
        moments = [(image.decision.at - after(0)).total_seconds() for image in home.album.images[-30:]]
        assert max(min(abs(at - read) for read in reads) for at in moments) < 0.001
        assert home.known is None
        assert home.grid is Grid.ON


@leaping
async def test_a_changed_state_wakes_the_cycle() -> None:
    home = Home()
    async with home.at_work():
        await passes(5)
        decided = len(home.album.images)
        home.lose_grid()
        await until(lambda: home.grid is Grid.SUSPECT, within_s=1.1)
        assert len(home.album.images) > decided


@leaping
async def test_a_companion_in_trouble_ends_nothing() -> None:
    home = Home()
    async with home.at_work() as task:
        home.companion.trouble["read"] = DeviceUnreachableError("no answer")
        await passes(10)
        assert home.known is None
        assert not task.done()


@pytest.mark.parametrize("question", ["read", "keep_reserve"])
def test_a_defect_in_its_driver_ends_the_run_and_does_not_vanish(question: str) -> None:
    @leaping
    async def play() -> None:
        home = Home()

        async def work() -> None:
            async with home.at_work():
                home.companion.trouble[question] = ZeroDivisionError("a defect")
                home.people.settings = Settings(backup_reserve_pct=60)
                await passes(10)

        with pytest.raises(ExceptionGroup) as caught:
            await work()
        assert caught.group_contains(ZeroDivisionError, match="a defect")

    play()


# ---------------------------------------------------------------------------------------------------------- the reserve


@leaping
async def test_the_reserve_is_set_once_and_anew_only_when_people_change_it() -> None:
    home = Home()
    async with home.at_work():
        await passes(30)
        assert home.companion.kept == [40]
        home.people.settings = Settings(backup_reserve_pct=55)
        await passes(30)
    assert home.companion.kept == [40, 55]


@leaping
async def test_what_a_person_sets_at_the_device_stands() -> None:
    home = Home()
    async with home.at_work():
        await passes(5)
        home.companion.reserve_pct = 20
        await passes(60)
        assert (home.companion.kept, home.companion.reserve_pct) == ([40], 20)


@leaping
async def test_nothing_is_set_from_the_first_sign_of_a_loss_until_the_grid_was_good_for_long_enough() -> None:
    home = Home()
    async with home.at_work():
        await passes(5)
        home.lose_grid()
        await until(lambda: home.grid is Grid.SUSPECT)
        home.people.settings = Settings(backup_reserve_pct=70)
        await passes(30)
        home.restore_grid()
        await until(lambda: home.grid is Grid.RESTORING)
        await passes(15)
        assert home.companion.kept == [40]
        await until(lambda: home.grid is Grid.ON)
        await passes(2)
        assert home.companion.kept == [40, 70]


@leaping
async def test_a_write_that_waits_its_turn_is_broken_off_by_the_first_sign_of_a_loss() -> None:
    home = Home()
    async with home.at_work():
        await passes(5)
        home.companion.free.clear()
        home.people.settings = Settings(backup_reserve_pct=70)
        await until(lambda: home.companion.asked["waits"] == [40, 70])
        home.lose_grid()
        await until(lambda: home.grid is Grid.SUSPECT)
        home.companion.free.set()
        await passes(30)
        assert home.companion.kept == [40]


@pytest.mark.parametrize(
    "settings", [replace(SETTINGS, mode=Mode.READ_ONLY), replace(SETTINGS, stopped=True)], ids=["read_only", "stopped"]
)
def test_nothing_is_set_while_only_watching_or_stopped(settings: Settings) -> None:
    @leaping
    async def play() -> None:
        home = Home(settings)
        async with home.at_work():
            await passes(30)
        assert home.companion.asked["keep_reserve"] == []

    play()


@leaping
async def test_nothing_is_set_where_the_reserve_is_not_ours() -> None:
    home = Home(keeps=False)
    async with home.at_work():
        await passes(30)
    assert home.companion.asked["keep_reserve"] == []


@pytest.mark.parametrize(
    ("trouble", "tries"), [(DeviceUnreachableError("no answer"), 5), (DeviceRefusedError("no", "not_applied"), 1)]
)
def test_a_failed_write_is_tried_again_seldom_and_a_refused_one_hardly(trouble: Exception, tries: int) -> None:
    @leaping
    async def play() -> None:
        home = Home()
        home.companion.trouble["keep_reserve"] = trouble
        async with home.at_work():
            await passes(290)
            assert len(home.companion.asked["keep_reserve"]) == tries
            assert home.companion.kept == []

    play()
