"""Cases 1 to 6 and 31: events that change, end, vanish or come back, and what a server in trouble does not change."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_service.domain.model import Slot, SlotKind
from edge_service.ports import ProgramError
from edge_service.simulation.utility import SimulatedUtility
from tests.edge.edge_kit import a_house
from tests.edge.programs.test_openadr3_source import (
    CANCELLED_PERIOD,
    HOUR,
    MINUTE,
    NOON,
    NOW_PERIOD,
    Desk,
    opened,
)
from tests.edge.test_app_programs import an_entry


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened() as one:
        yield one


# --------------------------------------------------------------------------------------------------------------- case 1


async def test_case_01_an_event_changed_while_it_runs_is_the_same_event_with_new_slots(desk: Desk) -> None:
    event_id = desk.call(start_in=timedelta(0))
    (before,) = await desk.events()
    changed = [{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT", "values": [-3.5]}]}]
    desk.change(event_id, intervals=changed, intervalPeriod={"start": NOON.isoformat(), "duration": "P0Y0M0DT3H0M0S"})
    (after,) = await desk.events(10 * MINUTE)
    assert after == replace(before, slots=(Slot(NOON, NOON + 3 * HOUR, SlotKind.POWER, -3500),))


async def test_case_01_a_change_of_what_is_asked_draws_no_new_random_start_and_a_new_start_does(desk: Desk) -> None:
    period = {"start": (NOON + HOUR).isoformat(), "duration": "PT1H", "randomizeStart": "PT15M"}
    event_id = desk.write(intervalPeriod=period)
    (before,) = await desk.events()
    desk.change(event_id, intervals=[{"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}])
    (after,) = await desk.events(MINUTE)
    assert (after.start, after.slots[0].kind) == (before.start, SlotKind.NO_CHARGE)
    desk.change(event_id, intervalPeriod=period | {"start": (NOON + 2 * HOUR).isoformat()})
    (moved,) = await desk.events(MINUTE)
    assert abs(moved.start - (NOON + 2 * HOUR)) <= 15 * MINUTE
    assert moved.start - (NOON + 2 * HOUR) != after.start - (NOON + HOUR)


async def test_case_01_a_change_keeps_what_now_meant(desk: Desk) -> None:
    event_id = desk.write(intervalPeriod=NOW_PERIOD)
    await desk.events()
    desk.change(event_id, intervalPeriod=NOW_PERIOD | {"duration": "PT4H"})
    (after,) = await desk.events(30 * MINUTE)
    assert (after.start, after.end) == (NOON, NOON + 4 * HOUR)


# --------------------------------------------------------------------------------------------------------------- case 2


async def test_case_02_the_same_content_written_again_changes_nothing(desk: Desk) -> None:
    event_id = desk.write(intervalPeriod=NOW_PERIOD | {"randomizeStart": "PT10M"})
    before = await desk.events()
    desk.now += MINUTE
    desk.change(event_id)
    assert await desk.events(MINUTE) == before


# -------------------------------------------------------------------------------------------------------- cases 3 and 4


async def test_case_03_a_deleted_event_is_gone_with_the_next_poll(desk: Desk) -> None:
    event_id = desk.call(start_in=timedelta(0))
    assert len(await desk.events()) == 1
    desk.utility.dispatch.cancel(event_id)
    assert await desk.events(MINUTE) == ()
    assert desk.asked("GET", f"/events/{event_id}") == 1


async def test_case_04_an_event_set_to_nothing_is_gone_and_not_without_end(desk: Desk) -> None:
    event_id = desk.call(start_in=timedelta(0))
    assert len(await desk.events()) == 1
    desk.change(event_id, intervalPeriod=CANCELLED_PERIOD)
    news = await desk.poll(MINUTE)
    assert (news.events, news.problems) == ((), ())


@pytest.mark.parametrize("how", ["deleted", "emptied"])
async def test_case_03_and_04_the_vehicle_stops_within_a_poll_when_its_running_event_is_taken_back(
    tmp_path: Path, how: str
) -> None:
    async with SimulatedUtility() as utility, a_house(tmp_path) as (_, edge):
        await edge.command("set_program", id="peak", program=an_entry(utility))
        row = utility.dispatch.call_event(start_in_s=0, duration_s=600, power_kw=3)
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -3000)
        if how == "deleted":
            utility.store.remove("events", row["id"])
        else:
            utility.store.replace("events", row["id"], row | {"intervalPeriod": CANCELLED_PERIOD})
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == 0)
        assert edge.edge.intake.events() == []


# --------------------------------------------------------------------------------------------------------------- case 5


async def test_case_05_an_event_that_left_the_list_but_is_found_by_its_id_goes_on(desk: Desk) -> None:
    event_id = desk.call(start_in=timedelta(0))
    before = await desk.events()
    desk.utility.set_faults({"empty_lists": True})
    assert await desk.events(MINUTE) == before
    assert desk.asked("GET", f"/events/{event_id}") == 1


async def test_case_05_an_event_retargeted_away_from_us_is_gone(desk: Desk) -> None:
    event_id = desk.call(start_in=timedelta(0))
    await desk.events()
    desk.change(event_id, targets=["somebody-else"])
    assert await desk.events(MINUTE) == ()


async def test_case_05_a_limit_that_left_the_list_but_is_found_by_its_id_stands(desk: Desk) -> None:
    payload = [{"type": "EXPORT_CAPACITY_LIMIT", "values": [2]}]
    unit = [{"payloadType": "EXPORT_CAPACITY_LIMIT", "units": "KW"}]
    event_id = desk.write(
        payloadDescriptors=unit, intervals=[{"id": 0, "payloads": payload}], intervalPeriod=NOW_PERIOD
    )
    before = (await desk.poll()).limits
    assert [limit.power_w for limit in before] == [2000]
    desk.utility.set_faults({"empty_lists": True})
    assert (await desk.poll(MINUTE)).limits == before
    desk.utility.store.remove("events", event_id)
    assert (await desk.poll(MINUTE)).limits == ()


# --------------------------------------------------------------------------------------------------------------- case 6


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 502}, {"status": 404}, {"garbage": True}])
async def test_case_06_a_failed_contact_is_an_error_and_forgets_nothing(desk: Desk, fault: dict[str, Any]) -> None:
    desk.write(intervalPeriod=NOW_PERIOD)
    before = await desk.events()
    desk.utility.set_faults(fault)
    for _ in range(4):
        with pytest.raises(ProgramError):
            await desk.poll(MINUTE)
    desk.utility.set_faults(dict.fromkeys(fault))
    assert await desk.events(MINUTE) == before


async def test_case_06_an_empty_list_is_believed_only_event_by_event(desk: Desk) -> None:
    kept = desk.call(start_in=timedelta(0), kw=3)
    lost = desk.call(start_in=timedelta(0), kw=4)
    assert len(await desk.events()) == 2
    desk.utility.set_faults({"empty_lists": True})
    desk.utility.store.remove("events", lost)
    assert [event.uid for event in await desk.events(MINUTE)] == [f"peak:{kept}"]


async def test_case_06_an_event_that_cannot_be_looked_up_is_not_gone_and_nothing_new_starts(desk: Desk) -> None:
    event_id = desk.call(start_in=timedelta(0))
    await desk.events()
    desk.utility.set_faults({"only": f"/events/{event_id}", "status": 500})
    row = desk.utility.store.find("events", event_id)
    desk.utility.store.remove("events", event_id)
    desk.call(start_in=timedelta(0), kw=9)
    with pytest.raises(ProgramError, match="500"):
        await desk.poll(MINUTE)
    assert row is not None
    assert [event.uid for event in desk.given] == [f"peak:{event_id}"]


# -------------------------------------------------------------------------------------------------------------- case 31


async def test_case_31_an_event_under_a_new_id_goes_on_as_the_same_event_also_after_a_restart(desk: Desk) -> None:
    first = desk.write(eventName="Peak", intervalPeriod=NOW_PERIOD)
    (event,) = await desk.events()
    desk.utility.store.remove("events", first)
    second = desk.write(eventName="Peak", intervalPeriod=NOW_PERIOD)
    assert await desk.events(10 * MINUTE) == (event,)
    desk.restart(desk.given)
    assert await desk.events(10 * MINUTE) == (event,)
    desk.utility.store.remove("events", second)
    assert await desk.events(10 * MINUTE) == ()


async def test_case_31_a_server_that_lost_everything_stops_what_it_no_longer_knows(desk: Desk) -> None:
    desk.call(start_in=timedelta(0))
    assert len(await desk.events()) == 1
    for kind in ("events", "resources", "vens"):
        for row in list(desk.utility.store.rows(kind)):
            desk.utility.store.remove(kind, row["id"])
    news = await desk.poll(MINUTE)
    assert (news.events, len(desk.utility.store.rows("vens"))) == ((), 1)


async def test_case_31_another_event_in_the_place_of_one_is_not_taken_for_it(desk: Desk) -> None:
    first = desk.call(kw=5)
    await desk.events()
    desk.utility.store.remove("events", first)
    second = desk.call(kw=6)
    assert [event.uid for event in await desk.events(MINUTE)] == [f"peak:{second}"]
