"""The desk of one charger: one order under way, the newest waits, and a withdrawal that waits is not forgotten."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edge_service.charger_desk import ChargerDesk
from edge_service.domain.contest import FIRST_YIELD
from edge_service.domain.model import (
    Authority,
    Capability,
    ChargerReading,
    ChargerState,
    Control,
    Evidence,
    Lease,
    Order,
    Pause,
    Power,
    Release,
    Stage,
    Stop,
)
from edge_service.ports import DeviceIdentity, DeviceRefusedError, DeviceUnreachableError, FastReading
from tests.edge.domain.houses import DER, after
from tests.edge.fakes import FakeCharger, LeapingClock, leaping, passes

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)


class StoppedClock:
    """The wall clock stands where it is put; the other one runs."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return time.monotonic()


class SlowCharger:
    """A charger that takes an order only when it is let."""

    id = "left"

    def __init__(self) -> None:
        self.taken: list[Order] = []
        self.begun = asyncio.Event()
        self.let = asyncio.Event()

    async def order(self, order: Order, now: datetime) -> None:
        self.begun.set()
        await self.let.wait()
        self.taken.append(order)

    async def probe(self) -> tuple[DeviceIdentity, Capability]:
        return DeviceIdentity("SimVendor", "Sim", "1"), Capability(Control.SIGNED, 9600, 9600)

    async def read(self, now: datetime) -> ChargerReading:
        return ChargerReading(now, ChargerState.IDLE, grid_present=True, forming=False)

    async def read_fast(self, now: datetime) -> FastReading:
        return FastReading(now, grid_present=False, forming=False)

    async def close(self) -> None: ...


async def taken(*orders: Order | None) -> list[Order]:
    """What reaches a charger that is busy with the first of the orders while the others are given."""
    charger = SlowCharger()
    desk = ChargerDesk(charger, lambda: None, StoppedClock())
    desk.give(orders[0], NOW)
    async with asyncio.timeout(5):
        await charger.begun.wait()
        for order in orders[1:]:
            desk.give(order, NOW)
        charger.let.set()
        await desk.close()
    return charger.taken


async def test_of_the_orders_that_wait_the_newest_is_given() -> None:
    assert await taken(Power(-1), Power(-2), Power(-3)) == [Power(-1), Power(-3)]


async def test_a_withdrawal_that_waits_is_given_although_the_next_cycle_lets_the_charger_alone() -> None:
    assert await taken(Power(-1), Release(), None) == [Power(-1), Release()]


@pytest.mark.parametrize("order", [Power(-2), Pause(), Stop()])
async def test_any_other_order_that_waits_is_dropped_when_the_charger_is_let_alone(order: Order) -> None:
    assert await taken(Power(-1), order, None) == [Power(-1)]


@pytest.mark.parametrize(("full_reading_is_s_old", "stays_fresh"), [(3, True), (31, False)])
async def test_what_the_fast_lane_saw_stands_in_the_reading_and_keeps_a_young_one_fresh(
    full_reading_is_s_old: float, stays_fresh: bool
) -> None:
    seen, clock = asyncio.Event(), StoppedClock()
    desk = ChargerDesk(SlowCharger(), seen.set, clock)
    await desk.read()
    clock.at = NOW + timedelta(seconds=full_reading_is_s_old)
    lane = asyncio.create_task(desk.watch(0.001))
    async with asyncio.timeout(5):
        await seen.wait()
    lane.cancel()
    reading = desk.reading
    assert reading is not None
    assert reading.at == (clock.at if stays_fresh else NOW)
    assert (reading.grid_present, reading.grid_at) == (False, clock.at)


# --------------------------------------------------------------------------------------------------- stages of an order


class TellingCharger(FakeCharger):
    """Also tells when the device has accepted the write; ``answers`` its read-back when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.on_written: Callable[[], None] | None = None
        self.answers = asyncio.Event()

    async def order(self, order: Order, now: datetime) -> None:
        assert self.on_written is not None
        self.on_written()
        await self.answers.wait()
        await super().order(order, now)


DISCHARGE = Power(-4000)


class Visit:
    """A desk at a fake charger, visited as the runner does: read, look, give, once a second."""

    def __init__(self, charger: FakeCharger | None = None) -> None:
        self.charger = charger or FakeCharger()
        self.clock = LeapingClock()
        self.desk = ChargerDesk(self.charger, lambda: None, self.clock)

    @property
    def evidence(self) -> Evidence:
        evidence = self.desk.evidence
        assert evidence is not None
        return evidence

    @property
    def stage(self) -> Stage:
        return self.evidence.stage

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def clock_is_set(self, by: timedelta) -> None:
        self.clock.set_by += by
        self.desk.clock_set(by)

    async def goes_by(self, seconds: int, order: Order | None = DISCHARGE) -> None:
        for _ in range(seconds):
            await self.desk.read()
            self.desk.give(order, self.now)
            await passes(1)

    async def is_overwritten(self, times: int = 1, **shows: Any) -> None:
        """Somebody else writes; a cycle sees it and puts ours in its place, the next one sees that."""
        for _ in range(times):
            self.charger.shows |= shows or {"setpoint_w": 3000}
            await self.goes_by(2)


@leaping
async def test_an_order_is_followed_through_its_stages() -> None:
    visit, stages = Visit(), []
    for seconds in (1, 1, 31):
        await visit.goes_by(seconds)
        stages.append(visit.stage)
    assert stages == [Stage.READ_BACK, Stage.MEASURED, Stage.HELD]
    assert visit.evidence.ordered_at == after(0)


@leaping
async def test_between_write_and_read_back_it_is_known_to_be_written() -> None:
    charger = TellingCharger()
    visit = Visit(charger)
    await visit.goes_by(2)
    assert (visit.stage, visit.evidence.written_at) == (Stage.WRITTEN, after(0))
    charger.answers.set()
    await visit.goes_by(1)
    assert (visit.evidence.written_at, visit.evidence.read_back_at) == (after(0), after(2))


@leaping
async def test_a_write_whose_read_back_gets_no_answer_is_known_to_be_written() -> None:
    charger = TellingCharger()
    charger.answers.set()
    charger.trouble["order"] = DeviceUnreachableError("no answer")
    visit = Visit(charger)
    await visit.goes_by(1)
    assert (visit.stage, visit.evidence.reason) == (Stage.WRITTEN, "no_contact")


@leaping
async def test_a_charger_that_holds_its_order_and_does_nothing_is_limited() -> None:
    visit = Visit()
    await visit.goes_by(1)
    for _ in range(14):
        visit.charger.shows["power_w"] = 0
        await visit.desk.read()
        assert visit.stage is Stage.READ_BACK
        visit.desk.give(Power(-4000), visit.now)
        await passes(1)
    visit.charger.shows["power_w"] = 0
    await visit.desk.read()
    assert (visit.stage, visit.evidence.reason) == (Stage.LIMITED, "not_followed")


@leaping
async def test_what_the_fast_lane_measures_counts_too() -> None:
    visit = Visit()
    await visit.goes_by(1)
    await passes(0.5)
    visit.desk._see(FastReading(visit.now, True, False, power_w=-4000))
    assert visit.evidence.measured_at == visit.now


@leaping
async def test_a_charger_that_is_let_alone_has_no_order() -> None:
    visit = Visit()
    await visit.goes_by(2)
    await visit.goes_by(1, None)
    assert visit.desk.evidence is None


@leaping
async def test_a_stop_is_proven_from_its_read_back_until_it_is_refused() -> None:
    visit = Visit()
    await visit.goes_by(3, Stop())
    assert visit.desk.stopped_at == after(0)
    visit.charger.trouble["order"] = DeviceRefusedError("no", "busy")
    await visit.goes_by(1, Stop())
    assert visit.desk.stopped_at is None


@leaping
async def test_a_clock_that_is_set_back_does_not_blind_the_desk() -> None:
    visit = Visit()
    await visit.goes_by(1)
    visit.desk.clock_set(timedelta(hours=-1))
    assert visit.evidence.read_back_at == after(-3600)


# -------------------------------------------------------------------------------------------------- another controller


@leaping
async def test_who_overwrites_three_orders_gets_the_charger_for_ten_minutes() -> None:
    visit = Visit()
    await visit.goes_by(1)
    await visit.is_overwritten(2)
    assert visit.desk.contested_since is None
    await visit.is_overwritten()
    since = visit.desk.contested_since
    assert since == after(5)
    await passes(FIRST_YIELD.total_seconds() - 3)
    assert visit.desk.contested_since == since
    await passes(1)
    assert visit.desk.contested_since is None


@pytest.mark.parametrize("hours", [-2, 2])
@leaping
async def test_a_clock_that_is_set_neither_ends_a_yielding_nor_makes_it_longer(hours: int) -> None:
    visit, by = Visit(), timedelta(hours=hours)
    await visit.goes_by(1)
    await visit.is_overwritten(3)
    visit.clock_is_set(by)
    assert visit.desk.contested_since == after(5) + by
    await passes(FIRST_YIELD.total_seconds() - 3)
    assert visit.desk.contested_since == after(5) + by
    await passes(1)
    assert visit.desk.contested_since is None


@pytest.mark.parametrize("hours", [-2, 2])
@leaping
async def test_a_clock_that_is_set_neither_stops_a_device_s_heart_nor_hides_that_it_stopped(hours: int) -> None:
    visit = Visit()
    visit.charger.shows["heartbeat"] = 7
    await visit.goes_by(2)
    visit.clock_is_set(timedelta(hours=hours))
    await visit.goes_by(4)
    last = visit.desk.reading
    assert last is not None
    assert last.at == visit.now - timedelta(seconds=1)
    await visit.goes_by(4)
    assert visit.desk.reading is not None
    assert visit.now - visit.desk.reading.at > timedelta(seconds=2)


@leaping
async def test_an_overwritten_order_is_seen_to_be_so_and_given_again() -> None:
    visit = Visit()
    await visit.goes_by(2)
    visit.charger.shows["setpoint_w"] = 3000
    await visit.desk.read()
    assert (visit.stage, visit.evidence.reason) == (Stage.ORDERED, "overwritten")
    await visit.goes_by(1)
    assert visit.stage is Stage.READ_BACK


@leaping
async def test_who_writes_faster_than_we_is_found_out_too() -> None:
    visit = Visit()
    await visit.goes_by(1)
    for _ in range(3):
        visit.charger.shows["setpoint_w"] = 3000
        await visit.goes_by(1)
    assert visit.desk.contested_since == after(3)


@leaping
async def test_a_person_who_says_so_gets_it_taken_up_at_once() -> None:
    visit = Visit()
    await visit.goes_by(1)
    await visit.is_overwritten(3)
    visit.desk.take_up()
    assert visit.desk.contested_since is None


@leaping
async def test_a_setpoint_that_is_switched_off_before_its_lease_ran_out_is_overwritten() -> None:
    visit = Visit()
    await visit.goes_by(2)
    await visit.is_overwritten(3, setpoint_w=None)
    assert visit.desk.contested_since is not None


@leaping
async def test_an_order_that_nobody_renewed_in_time_ran_out_by_itself() -> None:
    visit = Visit()
    await visit.goes_by(2)
    for _ in range(4):
        await passes(10)
        visit.charger.shows["setpoint_w"] = None
        await visit.goes_by(2)
    assert visit.desk.contested_since is None


@leaping
async def test_an_order_without_a_timer_never_runs_out_by_itself() -> None:
    visit = Visit(FakeCharger(capability=replace(DER, lease=Lease.TRAFFIC)))
    await visit.goes_by(2)
    for _ in range(3):
        await passes(10)
        visit.charger.shows["setpoint_w"] = None
        await visit.goes_by(2)
    assert visit.desk.contested_since is not None


@leaping
async def test_a_model_that_shows_no_setpoint_is_not_contested() -> None:
    class Mute(FakeCharger):
        async def order(self, order: Order, now: datetime) -> None:
            await super().order(order, now)
            self.shows["setpoint_w"] = None

    visit = Visit(Mute())
    await visit.goes_by(30)
    assert visit.desk.contested_since is None
    assert visit.stage is Stage.MEASURED


@leaping
async def test_an_order_of_ours_in_the_place_of_another_is_no_contest() -> None:
    visit = Visit()
    for number in range(20):
        await visit.goes_by(1, Power(-4000 + 400 * number))
    assert visit.desk.contested_since is None


@leaping
async def test_a_reading_that_was_on_its_way_while_we_wrote_tells_nothing() -> None:
    visit = Visit()
    await visit.goes_by(1)
    for number in range(6):
        reading = asyncio.create_task(visit.charger.read(visit.now))
        old = await reading
        visit.desk.give(Power(-4000 + 500 * number), visit.now)
        await passes(0.2)
        visit.desk._take(old)
        await passes(0.8)
    assert visit.desk.contested_since is None


@pytest.mark.parametrize(
    "shows", [{"authority": Authority.LOCAL}, {"state": ChargerState.FAULT}, {"grid_present": False}]
)
@leaping
async def test_what_the_charger_does_by_itself_is_not_counted(shows: dict[str, Any]) -> None:
    visit = Visit()
    await visit.goes_by(1)
    await visit.is_overwritten(4, setpoint_w=None, **shows)
    assert visit.desk.contested_since is None


@leaping
async def test_a_charger_that_was_restarted_holds_nothing_of_ours_and_nobody_is_to_blame() -> None:
    visit = Visit()
    for beats in range(0, 40, 10):
        visit.charger.shows |= {"heartbeat": 1000 + beats, "setpoint_w": -4000}
        await visit.goes_by(1)
        visit.charger.shows |= {"heartbeat": 1, "setpoint_w": None}
        await visit.goes_by(1)
    assert visit.desk.contested_since is None


@leaping
async def test_after_a_broken_contact_the_order_is_proven_anew_before_anybody_is_blamed() -> None:
    visit = Visit()
    for _ in range(5):
        await visit.goes_by(2)
        visit.charger.trouble["read"] = DeviceUnreachableError("gone")
        await visit.desk.read()
        visit.charger.trouble.clear()
        visit.charger.shows["setpoint_w"] = None
    assert visit.desk.contested_since is None


@leaping
async def test_a_read_back_that_differs_counts_for_an_order_that_stood_and_not_for_one_that_never_did() -> None:
    visit = Visit()
    refusal = DeviceRefusedError("reads back otherwise", "not_applied")
    visit.charger.trouble["order"] = refusal
    await visit.goes_by(20)
    assert visit.desk.contested_since is None
    for _ in range(3):
        assert visit.desk.contested_since is None
        visit.charger.trouble.clear()
        await visit.goes_by(1)
        visit.charger.trouble["order"] = refusal
        await visit.goes_by(2)
    assert visit.desk.contested_since is not None


@leaping
async def test_a_withdrawal_that_another_one_undoes_is_no_contest() -> None:
    visit = Visit()
    await visit.goes_by(1, Release())
    for _ in range(10):
        visit.charger.shows["setpoint_w"] = 3000
        await visit.goes_by(1, Release())
    assert visit.desk.contested_since is None
