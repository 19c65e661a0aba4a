"""Input contacts in the cycle, and a stop that stands whatever the disk does. In leaping time, with fakes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from edge_service.domain.asked import CommandRefusedError
from edge_service.domain.model import (
    Contact,
    Grid,
    ManualKind,
    ManualOrder,
    Mode,
    Power,
    Settings,
    Stop,
    frozen_map,
)
from edge_service.household import Household
from edge_service.intake import Intake
from edge_service.ports import DeviceUnreachableError
from edge_service.runner import Devices, Image, Pacing, Runner
from tests.edge.domain.houses import a_site, after
from tests.edge.fakes import (
    FakeCharger,
    FakeContact,
    FakeMeter,
    FakeSwitch,
    LeapingClock,
    MemoryJournal,
    leaping,
    passes,
    until,
)

DISCHARGING = Settings(manual=frozen_map({"car": ManualOrder(ManualKind.DISCHARGE, after(0), after(3600), 4000)}))


class Home:
    """A runner and a real household among fakes, with a stop button and a generator's contact."""

    def __init__(self, settings: Settings = DISCHARGING, cycle_s: float = 1.0) -> None:
        self.charger, self.meter, self.switch = FakeCharger(), FakeMeter(), FakeSwitch()
        self.button, self.generator, self.relay = FakeContact(), FakeContact(), FakeContact()
        self.journal, self.clock = MemoryJournal(), LeapingClock()
        self.journal.settings = settings
        self.images: list[Image] = []
        intake = Intake(self.clock, self.journal, (), lambda: None)
        self.household = Household(settings, intake, self.journal, self.clock)
        contacts = frozen_map(
            {Contact.STOP: self.button, Contact.GENERATOR: self.generator, Contact.GRID_LOST: self.relay}
        )
        devices = Devices([self.charger], self.meter, self.switch, contacts)
        facts = a_site(contacts=frozenset(Contact))
        self.runner = Runner(facts, devices, self.household, self, self.clock, pacing=Pacing(cycle_s, 0.1, 0.1))

    def witness(self, image: Image) -> None:
        self.images.append(image)

    def told(self, kind: str) -> list[dict[str, object]]:
        return [dict(one.data) for image in self.images for one in image.happenings if one.kind == kind]

    async def command(self, name: str, **args: object) -> None:
        facts, memory = self.runner.facts, self.runner.memory
        await self.household.carry_out(name, args, facts, memory, local=True)
        self.runner.wake()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.runner.run())
        try:
            await until(lambda: task.done() or Power(-4000) in self.charger.orders)
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.runner.close()


@leaping
async def test_a_pressed_button_stops_within_the_pace_of_the_fast_lane_however_long_the_cycle() -> None:
    home = Home(cycle_s=10.0)
    async with home.at_work():
        home.button.active = True
        await until(lambda: isinstance(home.charger.orders[-1], Stop), within_s=0.15)
        assert home.household.settings.stopped
        assert home.told("stop_pressed") == [{"by": "contact"}]
        assert home.images[-1].settings.stopped


@leaping
async def test_a_tap_is_enough_and_stays_until_it_is_reset() -> None:
    home = Home()
    async with home.at_work():
        home.button.active = True
        await until(lambda: home.household.settings.stopped, within_s=0.2)
        home.button.active = False
        await passes(30)
        assert isinstance(home.charger.orders[-1], Stop)
        await until(lambda: home.journal.settings.stopped)
        await home.command("reset_stop")
        await until(lambda: home.charger.orders[-1] == Power(-4000), within_s=2)
        assert home.told("stop_pressed") == [{"by": "contact"}]


@leaping
async def test_a_pressed_button_refuses_the_reset() -> None:
    home = Home()
    async with home.at_work():
        home.button.active = True
        await until(lambda: home.household.settings.stopped)
        await passes(1)
        with pytest.raises(CommandRefusedError) as refused:
            await home.command("reset_stop")
        assert refused.value.code == "stop_contact_active"


@leaping
async def test_a_stop_by_the_button_stands_while_the_disk_fails_and_is_written_when_it_works_again() -> None:
    home = Home()
    async with home.at_work():
        home.journal.disk_fails = True
        home.button.active = True
        await until(lambda: isinstance(home.charger.orders[-1], Stop), within_s=0.2)
        home.button.active = False
        await passes(60)
        assert home.household.settings.stopped
        assert isinstance(home.charger.orders[-1], Stop)
        home.journal.disk_fails = False
        await until(lambda: home.journal.settings.stopped, within_s=6)


@leaping
async def test_no_command_that_is_being_written_undoes_a_button() -> None:
    home = Home()
    async with home.at_work():
        home.journal.slow_s = 2.0
        writing = asyncio.create_task(home.command("set_mode", mode="paused"))
        await passes(0.5)
        home.button.active = True
        await passes(0.5)
        home.button.active = False
        await writing
        assert (home.household.settings.stopped, home.household.settings.mode) == (True, Mode.PAUSED)
        await until(lambda: home.journal.settings == home.household.settings)


@leaping
async def test_a_button_pressed_while_its_reset_is_written_stands() -> None:
    home = Home()
    async with home.at_work():
        await home.command("stop")
        home.journal.slow_s = 2.0
        writing = asyncio.create_task(home.command("reset_stop"))
        await passes(0.5)
        home.button.active = True
        await passes(0.5)
        home.button.active = False
        await writing
        assert home.household.settings.stopped
        await until(lambda: home.journal.settings.stopped)


@leaping
async def test_an_input_block_that_answers_no_more_is_no_stop_holds_up_nobody_and_is_told() -> None:
    home = Home()
    async with home.at_work():
        home.button.trouble["read"] = DeviceUnreachableError("no answer")
        home.generator.hanging.add("read")
        cycles = len(home.images)
        await passes(40)
        assert len(home.images) >= cycles + 39
        assert not home.household.settings.stopped
        kinds = [notice.kind for image in home.images for notice in image.decision.notices]
        assert kinds == ["generator_contact_silent", "stop_contact_silent"]
        del home.button.trouble["read"]
        home.button.active = True
        await until(lambda: home.household.settings.stopped, within_s=0.2)


@leaping
async def test_a_contact_is_read_at_the_pace_of_the_fast_lane() -> None:
    home = Home()
    async with home.at_work():
        before = len(home.button.asked["read"])
        await passes(10)
        assert 95 <= len(home.button.asked["read"]) - before <= 101


@leaping
async def test_a_generator_ends_the_discharge_at_once() -> None:
    home = Home(cycle_s=10.0)
    async with home.at_work():
        home.generator.active = True
        await until(lambda: home.runner.memory.grid.state is Grid.GENERATOR, within_s=0.15)
        await until(lambda: home.charger.orders[-1] != Power(-4000), within_s=0.01)
        assert home.told("generator_started") == [{}]
        assert home.switch.moves == []


@leaping
async def test_a_voltage_relay_that_opens_withdraws_what_was_ordered_within_the_pace_of_the_fast_lane() -> None:
    home = Home(cycle_s=10.0)
    async with home.at_work():
        home.relay.active = True
        await until(lambda: home.runner.memory.grid.state is Grid.SUSPECT, within_s=0.15)
        await until(lambda: home.charger.orders[-1] != Power(-4000), within_s=0.01)
        assert home.switch.moves == []


@leaping
async def test_closing_closes_the_contacts_too() -> None:
    home = Home()
    async with home.at_work():
        pass
    assert home.button.closed
    assert home.generator.closed
