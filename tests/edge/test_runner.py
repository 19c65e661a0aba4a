"""The cycle: what is written, when it looks, what may hold it up, and what ends it. In leaping time, with fakes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from edge_service.domain.memory import IslandStep
from edge_service.domain.model import (
    Alert,
    CapacityLimit,
    Event,
    Grid,
    Happening,
    ManualKind,
    ManualOrder,
    Mode,
    Power,
    Price,
    Program,
    Release,
    Settings,
    SiteFacts,
    Stage,
    Stop,
    SwitchOrder,
    frozen_map,
)
from edge_service.domain.program import Direction, PriceKind
from edge_service.domain.tally import Tally
from edge_service.ports import DeviceError, DeviceRefusedError, DeviceUnreachableError
from edge_service.runner import READ_SHARE, Devices, Image, Pacing, Runner
from tests.edge.domain.houses import a_site, after, an_event
from tests.edge.fakes import FakeMeter, FakeSwitch, FastCharger, LeapingClock, leaping, passes, until

PACING = Pacing(cycle_s=1.0, fast_s=0.1, transfer_s=0.1)


@dataclass
class Residents:
    """``People``."""

    settings: Settings = field(default_factory=Settings)
    called: list[Event] = field(default_factory=list)
    warned: list[Alert] = field(default_factory=list)
    bounds: tuple[CapacityLimit, ...] = ()
    quoted: tuple[Price, ...] = ()
    outages_over: int = 0
    expired: list[Settings] = field(default_factory=list)

    def replace_expired(self, settings: Settings) -> None:
        self.settings = settings
        self.expired.append(settings)

    def press_stop(self) -> None:
        self.settings = replace(self.settings, stopped=True)

    def events(self) -> Sequence[Event]:
        return self.called

    def alerts(self) -> Sequence[Alert]:
        return self.warned

    def capacity_limits(self) -> tuple[CapacityLimit, ...]:
        return self.bounds

    def prices(self) -> tuple[Price, ...]:
        return self.quoted

    def outage_over(self) -> None:
        self.outages_over += 1

    def seasons(self, programs: Mapping[str, Program], now: datetime) -> Mapping[str, Tally]:
        return frozen_map()


@dataclass
class Album:
    """``Witness``: keeps every image."""

    images: list[Image] = field(default_factory=list)

    def witness(self, image: Image) -> None:
        self.images.append(image)


class Home:
    """A runner among fakes: a charger with a fast lane, a meter, an island switch."""

    def __init__(self, facts: SiteFacts | None = None, settings: Settings | None = None) -> None:
        self.charger = FastCharger()
        self.meter, self.switch = FakeMeter(), FakeSwitch()
        self.people, self.album, self.clock = Residents(settings or Settings()), Album(), LeapingClock()
        devices = Devices([self.charger], self.meter, self.switch)
        self.runner = Runner(facts or a_site(), devices, self.people, self.album, self.clock, pacing=PACING)

    @property
    def grid(self) -> Grid:
        return self.runner.memory.grid.state

    @property
    def step(self) -> IslandStep:
        return self.runner.memory.island.step

    def lose_grid(self) -> None:
        self.meter.voltage_v = 0.0
        self.charger.shows |= {"grid_present": False, "voltage_v": 0.0}

    def decided_at(self) -> list[float]:
        """Seconds at which decisions were made."""
        return [(image.decision.at - after(0)).total_seconds() for image in self.album.images]

    def told(self, kind: str) -> list[Happening]:
        return [one for image in self.album.images for one in image.happenings if one.kind == kind]

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[asyncio.Task[None]]:
        """The runner runs until the block ends, from when the grid is known; a defect in it fails the test."""
        task = asyncio.create_task(self.runner.run())
        try:
            await until(lambda: task.done() or self.grid is Grid.ON)
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.runner.close()


def discharging(power_w: int = 4000, until_s: float = 3600) -> Settings:
    """A person's order that stands for an hour; the charge is above every reserve."""
    order = ManualOrder(ManualKind.DISCHARGE, after(0), after(until_s), power_w)
    return Settings(manual=frozen_map({"car": order}))


def gaps(moments: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(moments)]


# ------------------------------------------------------------------------------------------------------ what is written


@leaping
async def test_in_read_only_nothing_is_written_but_a_person_s_stop() -> None:
    home = Home(settings=replace(discharging(), mode=Mode.READ_ONLY))
    home.people.called = [an_event("e1", 4, 60)]
    async with home.at_work():
        await passes(5)
        home.lose_grid()
        await until(lambda: home.grid is Grid.OUTAGE)
        await passes(5)
        assert (home.charger.asked["order"], home.switch.asked["move"]) == ([], [])
        home.people.settings = replace(home.people.settings, stopped=True)
        home.runner.wake()
        await until(lambda: home.charger.orders, within_s=0.1)
        await passes(3)
    assert set(home.charger.orders) == {Stop()}
    assert home.switch.moves == []


@leaping
async def test_one_who_never_stops_asking_for_something_else_gets_an_order_a_cycle_and_a_stop_at_once() -> None:
    home = Home(settings=discharging(1000))
    async with home.at_work():
        await until(lambda: home.charger.orders)
        await passes(5)
        before = len(home.album.images)
        for number in range(100):
            home.people.settings = discharging(1000 + 10 * number)
            home.runner.wake()
            await passes(0.05)
        assert len(home.album.images) - before <= 5 + 3 + 1
        home.people.settings = replace(home.people.settings, stopped=True)
        home.runner.wake()
        home.runner.wake_at_once()
        await until(lambda: home.charger.orders[-1] == Stop(), within_s=0.1)


@leaping
async def test_an_order_that_stood_is_not_renewed_in_read_only() -> None:
    home = Home(settings=discharging())
    async with home.at_work():
        await until(lambda: home.charger.orders)
        home.people.settings = replace(home.people.settings, mode=Mode.READ_ONLY)
        home.runner.wake()
        await passes(0.01)
        given = len(home.charger.orders)
        await passes(5)
        assert len(home.charger.orders) == given
        assert home.album.images[-1].progress == {}


@leaping
async def test_each_cycle_renews_the_order_that_stands() -> None:
    home = Home(settings=discharging())
    async with home.at_work():
        await until(lambda: home.charger.orders)
        before = len(home.charger.orders), len(home.album.images)
        await passes(10)
        assert len(home.charger.orders) - before[0] == len(home.album.images) - before[1] == 10
    assert set(home.charger.orders) == {Power(-4000)}


@leaping
async def test_a_charger_that_is_let_alone_is_not_ordered_so_that_its_lease_runs_out() -> None:
    home = Home(settings=discharging())
    async with home.at_work():
        await until(lambda: home.charger.orders)
        home.charger.shows["service_permitted"] = False
        await until(lambda: not home.runner.image or not home.runner.image.decision.orders)
        given = len(home.charger.asked["order"])
        await passes(10)
        assert len(home.charger.asked["order"]) == given


@leaping
async def test_a_charger_that_goes_silent_is_ordered_no_more_once_its_reading_is_stale() -> None:
    home = Home(settings=discharging())
    async with home.at_work():
        await until(lambda: home.charger.orders)
        home.charger.hanging |= {"read", "read_fast"}
        await passes(a_site().stale_after_s + 1.1)
        given = len(home.charger.asked["order"])
        await passes(10)
        assert len(home.charger.asked["order"]) == given


@leaping
async def test_what_time_has_taken_from_the_settings_is_passed_on_once() -> None:
    home = Home(settings=discharging(until_s=5))
    async with home.at_work():
        await passes(10)
    assert home.people.expired == [Settings()]


# ----------------------------------------------------------------------------------------------------- what holds it up


@leaping
async def test_a_meter_that_never_answers_delays_a_cycle_by_its_share_and_no_more() -> None:
    home = Home(settings=discharging())
    async with home.at_work():
        home.meter.hanging.add("read")
        await passes(2)
        begun = len(home.album.images)
        await passes(20)
        assert home.meter.asked["read"][-1] < home.clock.monotonic() - 20
    assert all(gap == pytest.approx(1.0, abs=0.001) for gap in gaps(home.decided_at()[begun:]))
    reads = home.charger.asked["read"]
    late = [min(at - read for read in reads if read <= at) for at in home.decided_at()[begun:]]
    assert max(late) == pytest.approx(READ_SHARE * PACING.cycle_s, abs=0.001)


@leaping
async def test_a_meter_that_never_answers_does_not_delay_the_protective_act() -> None:
    home = Home(settings=discharging())
    async with home.at_work():
        home.meter.hanging.add("read")
        await passes(3)
        reads = len(home.charger.asked["read"])
        await until(lambda: len(home.charger.asked["read"]) > reads)
        lost_at = home.clock.monotonic()
        home.charger.shows |= {"grid_present": False, "voltage_v": 0.0}
        await until(lambda: home.charger.orders[-1:] == [Release()], within_s=PACING.fast_s + 0.02)
        assert home.clock.monotonic() - lost_at < PACING.fast_s + 0.02
        assert home.grid is Grid.SUSPECT


@leaping
async def test_a_meter_that_never_answers_does_not_stretch_the_time_between_two_supplies() -> None:
    home = Home()
    home.switch.stuck = True
    async with home.at_work():
        home.lose_grid()
        home.meter.hanging.add("read")
        await until(lambda: home.step is IslandStep.OPENING)
        begun = len(home.album.images)
        await passes(3)
        assert home.step is IslandStep.OPENING
    assert max(gaps(home.decided_at()[begun:])) <= 2 * PACING.transfer_s


@leaping
async def test_an_event_begins_on_its_moment_not_at_the_next_tick() -> None:
    home = Home()
    home.people.called = [an_event("e1", 7.37, 12.61)]
    async with home.at_work():
        await passes(20)
    assert {7.37, 12.61} <= {round(at, 3) for at in home.decided_at()}
    serving = [image for image in home.album.images if image.decision.orders.get("car") == Power(-5000)]
    assert abs(serving[0].decision.at - after(7.37)) < timedelta(milliseconds=1)
    assert serving[-1].decision.at < after(12.61)


@leaping
async def test_a_person_s_word_is_heard_at_once() -> None:
    home = Home()
    async with home.at_work():
        decided = len(home.album.images)
        await until(lambda: len(home.album.images) > decided)
        home.people.settings = replace(home.people.settings, stopped=True)
        home.runner.wake()
        await until(lambda: home.charger.orders[-1:] == [Stop()], within_s=0.01)


@pytest.mark.parametrize("step", [None, IslandStep.OPENING, IslandStep.FORMING])
@leaping
async def test_in_suspicion_and_between_two_supplies_it_looks_every_tenth_of_a_second(step: IslandStep | None) -> None:
    home = Home(a_site(outage_after_s=4.0))
    home.switch.stuck = step is IslandStep.OPENING
    async with home.at_work():
        calm = len(home.charger.asked["read"])
        await passes(3)
        assert len(home.charger.asked["read"]) - calm == 3
        home.lose_grid()
        await until(lambda: home.grid is Grid.SUSPECT if step is None else home.step is step)
        hasty = len(home.charger.asked["read"])
        await passes(2)
        assert home.grid is Grid.SUSPECT if step is None else home.step is step
        assert len(home.charger.asked["read"]) - hasty == pytest.approx(20, abs=1)


# ----------------------------------------------------------------------------------------------------------- the switch


@leaping
async def test_a_switch_that_was_told_so_is_not_told_again() -> None:
    home = Home()
    home.switch.stuck = True
    async with home.at_work():
        home.lose_grid()
        await until(lambda: home.step is IslandStep.OPENING)
        await passes(4)
        assert home.step is IslandStep.OPENING
    assert home.switch.moves == [SwitchOrder.OPEN]


@pytest.mark.parametrize("fault", ["link_down", "tells_no_order"])
@leaping
async def test_a_switch_that_fails_at_once_is_tried_again_in_the_cycle_s_time_not_without_a_breath(fault: str) -> None:
    home = Home()
    home.switch.stuck = True
    if fault == "link_down":
        home.switch.trouble["move"] = DeviceUnreachableError("no connection")
    home.switch.tells_its_order = fault != "tells_no_order"
    async with home.at_work():
        home.lose_grid()
        await until(lambda: home.step is IslandStep.OPENING)
        tried = len(home.switch.asked["move"])
        await passes(2)
        assert 10 <= len(home.switch.asked["move"]) - tried <= 21


@leaping
async def test_an_opened_switch_is_followed_up_without_waiting_for_the_tick() -> None:
    home = Home()
    async with home.at_work():
        home.lose_grid()
        await until(lambda: home.step is IslandStep.FORMING)
        opened = home.switch.asked["move"][-1]
        assert home.decided_at()[-1] - opened < PACING.transfer_s / 2


# ---------------------------------------------------------------------------------------- orders that are not followed


@leaping
async def test_an_order_that_is_not_followed_is_told_once_until_it_is_followed_again() -> None:
    home = Home(settings=discharging())
    home.charger.follows = False
    async with home.at_work():
        await passes(60)
        (news,) = home.told("order_limited")
        assert (news.subject, dict(news.data)) == (
            "car",
            {"order": "power", "reason": "not_followed", "power_w": -4000, "measured_w": 0},
        )
        assert [notice.kind for image in home.album.images for notice in image.decision.notices] == [
            "order_not_followed"
        ]
        home.charger.follows = True
        await passes(5)
        assert home.album.images[-1].progress["car"].stage is Stage.MEASURED
        assert [key for image in home.album.images for key in image.decision.cleared] == ["order:car"]
        home.charger.follows = False
        await passes(60)
        assert len(home.told("order_limited")) == 2


@leaping
async def test_what_is_recorded_of_a_cycle_has_the_evidence_that_it_was_decided_with() -> None:
    home = Home(settings=discharging())
    async with home.at_work():
        await passes(40)
    stages = [image.observation.orders["car"].stage for image in home.album.images if image.observation.orders]
    assert list(dict.fromkeys(stages)) == [Stage.MEASURED, Stage.HELD]


async def overwrite(home: Home) -> None:
    """Another controller writes over each order, until the charger counts as contested."""
    await until(lambda: home.charger.orders)
    while not home.album.images[-1].observation.contested:
        home.charger.shows["setpoint_w"] = 3000
        await passes(1)


@leaping
async def test_nothing_is_written_to_a_charger_that_another_one_commands_until_a_person_says_so() -> None:
    home = Home(settings=discharging())
    async with home.at_work():
        await overwrite(home)
        assert home.album.images[-1].decision.orders == {}
        given = len(home.charger.asked["order"])
        await passes(300)
        assert len(home.charger.asked["order"]) == given
        assert len(home.told("control_contested")) == 1
        home.runner.take_up("car")
        home.runner.wake()
        await passes(2)
        assert home.charger.orders[given:] != []
        assert home.album.images[-1].observation.contested == {}


@leaping
async def test_by_itself_it_tries_again_after_ten_minutes() -> None:
    home = Home(settings=discharging())
    async with home.at_work():
        await overwrite(home)
        given = len(home.charger.asked["order"])
        await passes(597)
        assert len(home.charger.asked["order"]) == given
        await passes(5)
        assert len(home.charger.asked["order"]) > given


@leaping
async def test_the_first_sign_of_a_loss_withdraws_also_what_another_one_ordered() -> None:
    home = Home(settings=discharging())
    async with home.at_work():
        await overwrite(home)
        home.lose_grid()
        await until(lambda: home.charger.orders[-1:] == [Release()], within_s=0.2)
    assert home.charger.orders[-1] == Release()


@leaping
async def test_a_clock_that_is_set_back_an_hour_leaves_the_evidence_as_old_as_it_is() -> None:
    home = Home(settings=discharging())
    async with home.at_work():
        await passes(20)
        home.clock.set_by -= timedelta(hours=1)
        await passes(40)
        evidence = home.album.images[-1].progress["car"]
        assert (evidence.stage, evidence.ordered_at < after(-3500)) == (Stage.HELD, True)


# ------------------------------------------------------------------------------------------------------------- refusals


@leaping
async def test_a_refused_order_is_told_once_and_again_after_another_reason_or_a_taken_order() -> None:
    home = Home(settings=discharging())
    home.charger.trouble["order"] = DeviceRefusedError("the device says no", "local_mode")
    async with home.at_work():
        await passes(5)
        (news,) = home.told("order_refused")
        assert (news.subject, dict(news.data)) == ("car", {"order": "power", "reason": "local_mode", "power_w": -4000})
        assert home.album.images[-1].progress["car"].stage is Stage.REFUSED
        home.charger.trouble["order"] = DeviceRefusedError("the device says no", "busy")
        await passes(5)
        assert [one.data["reason"] for one in home.told("order_refused")] == ["local_mode", "busy"]
        home.charger.trouble.clear()
        await passes(5)
        home.charger.trouble["order"] = DeviceRefusedError("the device says no", "busy")
        await passes(5)
        assert [one.data["reason"] for one in home.told("order_refused")] == ["local_mode", "busy", "busy"]


@leaping
async def test_a_broken_contact_between_two_equal_refusals_is_no_reason_to_tell_it_again() -> None:
    home = Home(settings=discharging())
    home.charger.trouble["order"] = DeviceRefusedError("the device says no", "busy")
    async with home.at_work():
        await passes(3)
        home.charger.trouble["order"] = DeviceUnreachableError("no answer")
        await passes(3)
        home.charger.trouble["order"] = DeviceRefusedError("the device says no", "busy")
        await passes(3)
    assert len(home.told("order_refused")) == 1


@leaping
async def test_a_refusal_is_told_although_each_cycle_orders_another_power() -> None:
    home = Home()
    home.charger.trouble["order"] = DeviceRefusedError("the device says no", "local_mode")
    async with home.at_work():
        for power_w in range(4000, 4010):
            home.people.settings = discharging(power_w)
            await passes(1)
    assert [one.data["reason"] for one in home.told("order_refused")] == ["local_mode"]


# --------------------------------------------------------------------------------------------------------- what ends it


def _charger(home: Home) -> FastCharger:
    return home.charger


def _meter(home: Home) -> FakeMeter:
    return home.meter


def _switch(home: Home) -> FakeSwitch:
    return home.switch


@pytest.mark.parametrize(
    ("device", "question"),
    [
        (_charger, "read"),
        (_charger, "read_fast"),
        (_charger, "probe"),
        (_charger, "order"),
        (_meter, "read"),
        (_switch, "read"),
        (_switch, "move"),
    ],
)
@leaping
async def test_a_defect_in_a_driver_ends_the_run_and_does_not_vanish(
    device: Callable[[Home], FastCharger | FakeMeter | FakeSwitch], question: str
) -> None:
    home = Home(settings=discharging())
    task = asyncio.create_task(home.runner.run())
    if question != "probe":
        await until(lambda: home.grid is Grid.ON)
    device(home).trouble[question] = ZeroDivisionError("a defect")
    if question == "move":
        home.lose_grid()
    async with asyncio.timeout(10):
        with pytest.raises(ExceptionGroup) as raised:
            await task
    assert raised.group_contains(ZeroDivisionError, match="a defect")
    await home.runner.close()


@pytest.mark.parametrize("device", [_charger, _meter, _switch])
@leaping
async def test_a_device_in_trouble_ends_nothing(
    device: Callable[[Home], FastCharger | FakeMeter | FakeSwitch],
) -> None:
    home = Home(settings=discharging())
    async with home.at_work() as task:
        questions = ("probe", "read", "read_fast", "order", "move")
        device(home).trouble |= {question: DeviceError("out of order") for question in questions}
        decided = len(home.album.images)
        home.lose_grid()
        await passes(20)
        assert not task.done()
        assert len(home.album.images) - decided >= 20


@leaping
async def test_closing_closes_every_device() -> None:
    home = Home()
    async with home.at_work():
        await passes(1)
    assert (home.charger.closed, home.meter.closed, home.switch.closed) == (True, True, True)


# --------------------------------------------------------------------------------- clocks that are set, frozen devices


@pytest.mark.parametrize("hours", [1, -1])
@leaping
async def test_a_clock_that_is_set_neither_skips_nor_repeats_the_time_of_good_grid(hours: int) -> None:
    home = Home(facts=a_site(enter_service_s=60.0, announce_return_s=600.0))
    async with home.at_work():
        home.lose_grid()
        await until(lambda: home.grid is Grid.OUTAGE)
        home.meter.voltage_v = 240.0
        await until(lambda: home.grid is Grid.RESTORING)
        began = home.clock.monotonic()
        await passes(30)
        home.clock.set_by = timedelta(hours=hours)
        await until(lambda: home.grid is Grid.ON, within_s=60)
        assert home.clock.monotonic() - began == pytest.approx(60, abs=2)


@leaping
async def test_a_charger_whose_heartbeat_stands_still_is_not_believed() -> None:
    home = Home(settings=discharging())
    home.charger.shows["heartbeat"] = 7
    async with home.at_work():
        await passes(20)
        seen = home.album.images[-1]
        assert seen.decision.reasons["car"] == "device_safety"
        assert "car" not in seen.decision.orders
        home.charger.shows["heartbeat"] = 8
        await until(lambda: "car" in home.album.images[-1].decision.orders, within_s=3)


@leaping
async def test_a_stop_counts_as_proven_from_its_first_read_back_and_only_while_it_stands() -> None:
    home = Home(settings=Settings(stopped=True))
    async with home.at_work():
        await until(lambda: home.album.images[-1].observation.stopped)
        proven_at = home.album.images[-1].observation.stopped["car"]
        await passes(5)
        assert home.album.images[-1].observation.stopped["car"] == proven_at
        home.charger.trouble["order"] = DeviceUnreachableError("no answer")
        await passes(3)
        assert not home.album.images[-1].observation.stopped


# --------------------------------------------------------------------------------------------- what utilities announced


@leaping
async def test_limits_and_prices_are_in_the_process_image() -> None:
    home = Home()
    home.people.bounds = (CapacityLimit("a", "peak", Direction.EXPORT, 0, after(0)),)
    home.people.quoted = (Price("peak", PriceKind.IMPORT, after(0), after(60), 0.3, "USD"),)
    async with home.at_work():
        seen = home.album.images[-1].observation
        assert (seen.capacity_limits, seen.prices) == (home.people.bounds, home.people.quoted)


@leaping
async def test_the_end_of_an_outage_is_told_once() -> None:
    home = Home(settings=Settings(mode=Mode.READ_ONLY))
    async with home.at_work():
        home.lose_grid()
        await until(lambda: home.grid is Grid.OUTAGE)
        await passes(60)
        assert home.people.outages_over == 0
        home.meter.voltage_v = FakeMeter().voltage_v
        home.charger.shows.clear()
        await until(lambda: home.people.outages_over, within_s=900)
        await passes(30)
        assert (home.people.outages_over, home.grid) == (1, Grid.ON)
