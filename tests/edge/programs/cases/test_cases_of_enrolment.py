"""Cases 32, 35 and 47: who we are at a server, lists in pages, and which version it speaks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from edge_service.ports import ProgramError
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from tests.edge.programs.test_openadr3_source import HOUR, MINUTE, NOON, Desk, opened

MINE = [{"type": "VEN_NAME", "values": ["home"]}]
THEIRS = [{"type": "VEN_NAME", "values": ["next-door"]}]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened(ven_name="home") as one:
        yield one


@asynccontextmanager
async def opened_at(version: str, **changes: Any) -> AsyncIterator[Desk]:
    """At a utility of that version, as the house ``home``."""
    desk: Desk
    async with SimulatedUtility(UtilityOptions(version=version), now=lambda: desk.now) as utility:
        desk = Desk(utility, changes={"ven_name": "home"} | changes)
        utility.dispatch.program()
        desk.restart()
        try:
            yield desk
        finally:
            for source in desk.sources:
                await source.close()


def forget(desk: Desk) -> None:
    """The utility deletes us, with what hangs on us."""
    for kind in ("resources", "vens"):
        for row in desk.utility.store.rows(kind):
            desk.utility.store.remove(kind, row["id"])


# -------------------------------------------------------------------------------------------------------------- case 32


@pytest.mark.parametrize("version", ["3.1.0", "3.0.1"])
async def test_case_32_a_house_and_its_resource_are_made_once_and_adopted_after_a_restart(version: str) -> None:
    async with opened_at(version) as desk:
        for number in range(6):
            if number == 3:
                desk.restart()
            assert (await desk.poll(MINUTE)).problems == ()
        [ven] = desk.utility.store.rows("vens")
        [resource] = desk.utility.store.rows("resources")
        assert (ven["venName"], resource["resourceName"], resource["venID"]) == ("home", "home", ven["id"])
        assert desk.asked("POST", "/vens") + desk.asked("POST", "/resources") == 2


async def test_case_32_a_house_that_the_utility_deleted_enrols_again_once(desk: Desk) -> None:
    await desk.poll()
    forget(desk)
    for _ in range(3):
        assert (await desk.poll(MINUTE)).problems == ()
    assert len(desk.utility.store.rows("vens")) == len(desk.utility.store.rows("resources")) == 1
    assert desk.asked("POST", "/vens") == 2


async def test_case_32_a_house_that_left_the_list_and_is_there_by_its_id_is_not_made_again(desk: Desk) -> None:
    desk.call()
    await desk.poll()
    desk.utility.set_faults({"empty_lists": True, "only": "/vens"})
    for _ in range(3):
        news = await desk.poll(MINUTE)
        assert (len(news.events), news.problems) == (1, ())
    assert desk.asked("POST", "/vens") == 1


async def test_case_32_a_name_that_another_holds_gets_the_suffix_of_this_house(desk: Desk) -> None:
    desk.utility.store.add("vens", {"clientID": "someone", "venName": "home", "targets": []})
    for _ in range(3):
        assert (await desk.poll(MINUTE)).problems == ()
    names = sorted(row["venName"] for row in desk.utility.store.rows("vens"))
    assert names[0] == "home"
    assert names[1].startswith("home-")
    assert desk.asked("POST", "/vens") == 2
    assert desk.utility.store.rows("resources")[0]["resourceName"] == names[1]


async def test_case_32_a_server_that_takes_us_and_forgets_us_is_not_filled_with_copies_of_us(desk: Desk) -> None:
    desk.call()
    desk.utility.set_faults({"forgets_vens": True})
    for _ in range(30):
        news = await desk.poll(MINUTE)
        assert len(news.events) == 1
    assert desk.asked("POST", "/vens") <= 4
    assert any("forgets us" in problem or "enrol" in problem for problem in news.problems)


async def test_case_32_a_resource_that_another_hand_made_is_adopted_with_what_was_granted_to_it(desk: Desk) -> None:
    ven = {"clientID": "ven-client", "venName": "home", "targets": ["north"]}
    own = desk.utility.store.add("vens", ven)
    resource = {"clientID": "ven-client", "resourceName": "home", "venID": own["id"], "targets": ["feeder-7"]}
    desk.utility.store.add("resources", resource)
    await desk.poll()
    asked = [seen.path for seen in desk.utility.requests if "targets=" in seen.path]
    assert len(asked) == 1
    assert "targets=north&targets=feeder-7" in asked[0]
    assert desk.asked("POST", "/resources") == 0


@pytest.mark.parametrize("status", [403, 404, 405, 409, 501])
async def test_case_32_a_server_without_resources_gives_events_all_the_same(desk: Desk, status: int) -> None:
    desk.call()
    desk.utility.set_faults({"status": status, "only": "/resources"})
    for _ in range(3):
        news = await desk.poll(MINUTE)
        assert len(news.events) == 1
        assert bool(news.problems) == (status in (403, 409))
    assert desk.asked("GET", "/resources") <= 2


# -------------------------------------------------------------------------------------------------------------- case 35


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 100, 200])
async def test_case_35_lists_are_read_to_their_end_in_pages_of_fifty_and_each_event_counts_once(
    desk: Desk, count: int
) -> None:
    for number in range(count):
        desk.call(start_in=HOUR + number * MINUTE)
    events = await desk.events()
    assert len({event.uid for event in events}) == len(events) == count
    asked = [seen.path for seen in desk.utility.requests if seen.path.startswith("/events?")]
    assert len(asked) == count // 50 + 1
    assert all("limit=50" in path for path in asked)
    assert all(seen.status == 200 for seen in desk.utility.requests if seen.path.startswith("/events?"))


async def test_case_35_more_than_any_home_can_have_is_refused_as_a_whole_and_what_stood_stands(desk: Desk) -> None:
    for number in range(2):
        desk.call(start_in=HOUR + number * MINUTE)
    await desk.poll()
    for number in range(1100):
        desk.call(start_in=HOUR + number * MINUTE)
    with pytest.raises(ProgramError, match="more than 1000"):
        await desk.poll(MINUTE)


# -------------------------------------------------------------------------------------------------------------- case 47


@pytest.mark.parametrize(("version", "shown"), [("3.1.0", "3.1"), ("3.0.1", "3.0.1")])
async def test_case_47_the_version_is_found_out_and_told(version: str, shown: str) -> None:
    async with opened_at(version) as desk:
        desk.call()
        news = await desk.poll()
        assert (news.version, len(news.events), news.problems) == (shown, 1, ())


async def test_case_47_the_older_version_lists_what_is_for_others_and_only_ours_counts() -> None:
    async with opened_at("3.0.1") as desk:
        mine, theirs = (
            desk.write(intervalPeriod=soon(), targets=MINE),
            desk.write(intervalPeriod=soon(), targets=THEIRS),
        )
        resource = [{"type": "RESOURCE_NAME", "values": ["home"]}]
        ours = desk.write(intervalPeriod=soon(), targets=resource)
        assert {event.uid for event in await desk.events()} == {f"peak:{mine}", f"peak:{ours}"}
        assert theirs in {row["id"] for row in desk.utility.store.rows("events")}
        asked = [seen for seen in desk.utility.requests if "targetType" in seen.path]
        assert {seen.status for seen in asked} == {200}


def soon() -> dict[str, str]:
    return {"start": (NOON + HOUR).isoformat(), "duration": "P0Y0M0DT1H0M0S"}


async def test_case_47_a_newer_server_that_hides_what_tells_its_version_is_known_by_its_deeds() -> None:
    async with opened_at("3.1.0") as desk:
        desk.utility.set_faults({"hides_auth_server": True})
        desk.call()
        news = await desk.poll()
        assert (news.version, len(news.events), news.problems) == ("3.1", 1, ())
        assert [seen.status for seen in desk.utility.requests if seen.method == "POST"] == [200, 400, 201, 201]


async def test_case_47_a_newer_server_that_hides_it_and_knows_us_already_is_known_by_its_resources() -> None:
    async with opened_at("3.1.0") as desk:
        await desk.poll()
        desk.utility.set_faults({"hides_auth_server": True})
        desk.restart()
        news = await desk.poll(MINUTE)
        assert (news.version, news.problems) == ("3.1", ())


async def test_case_47_an_older_server_behind_a_gate_that_names_a_token_address_is_spoken_to_in_its_own_form() -> None:
    async with opened_at("3.0.1") as desk:
        desk.utility.set_faults({"shows_auth_server": True})
        desk.call()
        news = await desk.poll()
        assert (news.version, len(news.events), news.problems) == ("3.0.1", 1, ())
