"""An OpenADR 3 program polled from the simulated utility over real sockets: what stands, what changes, what is gone."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edge_service.domain.model import Alert, AlertKind, Event, Program, Scope, Slot, SlotKind
from edge_service.domain.timeline import MOST_SLOTS
from edge_service.ports import ProgramCredentialsError, ProgramError, ProgramNews
from edge_service.programs import PROGRAMS
from edge_service.programs.manual import enter_event
from edge_service.programs.openadr3 import MOST_LAID_OUT, MOST_LOOKUPS, OpenAdr3Source
from edge_service.programs.openadr3_options import OpenAdr3Options
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions

NOON = datetime(2026, 7, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NOW_PERIOD = {"start": "0001-01-01T00:00:00+00:00", "duration": "P0Y0M0DT2H0M0S"}
CANCELLED_PERIOD = {"start": "0001-01-01T00:00:00+00:00", "duration": "P0Y0M0DT0H0M0S"}


@dataclass
class Desk:
    """A utility, the time, and our source; ``restart`` is a new process that knows what the last one gave out."""

    utility: SimulatedUtility
    now: datetime = NOON
    changes: dict[str, Any] = field(default_factory=dict)
    sources: list[OpenAdr3Source] = field(default_factory=list)
    given: tuple[Event, ...] = ()

    def restart(self, known: Sequence[Event] = (), house: str = "house") -> None:
        who = {"id": "peak", "name": "Peak power", "client_id": "ven-client", "client_secret": "ven-secret"}
        options = OpenAdr3Options(base_url=self.utility.base_url, **(who | self.changes))
        self.sources.append(OpenAdr3Source(options, house, known))

    async def poll(self, after: timedelta = timedelta()) -> ProgramNews:
        self.now += after
        news = await self.sources[-1].poll(self.now)
        self.given = news.events
        return news

    async def events(self, after: timedelta = timedelta()) -> tuple[Event, ...]:
        return (await self.poll(after)).events

    def call(self, start_in: timedelta = HOUR, lasts: timedelta = HOUR, kw: float = 5, **more: Any) -> str:
        row = self.utility.dispatch.call_event(
            start_in_s=start_in.total_seconds(), duration_s=lasts.total_seconds(), power_kw=kw, **more
        )
        return str(row["id"])

    def write(self, **fields: Any) -> str:
        """An event as written, without the checks of the utility."""
        row = {
            "programID": self.utility.dispatch.program()["id"],
            "priority": None,
            "targets": [],
            "intervals": [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [3]}]}],
        }
        return str(self.utility.store.add("events", row | fields)["id"])

    def change(self, event_id: str, **fields: Any) -> None:
        row = self.utility.store.find("events", event_id)
        assert row is not None
        rest = ("id", "createdDateTime", "modificationDateTime")
        self.utility.store.replace("events", event_id, {k: v for k, v in row.items() if k not in rest} | fields)

    def asked(self, method: str, start: str) -> int:
        return sum(seen.method == method and seen.path.startswith(start) for seen in self.utility.requests)


@asynccontextmanager
async def opened(**changes: Any) -> AsyncIterator[Desk]:
    desk: Desk
    async with SimulatedUtility(now=lambda: desk.now) as utility:
        desk = Desk(utility, changes=changes)
        utility.dispatch.program()
        desk.restart()
        try:
            yield desk
        finally:
            for source in desk.sources:
                await source.close()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened() as one:
        yield one


async def test_an_event_is_read_in_our_words(desk: Desk) -> None:
    event_id = desk.call(start_in=HOUR, lasts=2 * HOUR, kw=5)
    news = await desk.poll()
    assert news.events == (
        Event(
            f"peak:{event_id}",
            "peak",
            "Peak event",
            NOON,
            (Slot(NOON + HOUR, NOON + 3 * HOUR, SlotKind.POWER, -5000),),
        ),
    )
    assert (news.at, news.problems) == (NOON, ())
    assert news.clock_skew_s is not None


async def test_a_registry_entry_opens_a_source_from_plain_values(desk: Desk) -> None:
    values = {"id": "peak", "name": "Peak", "base_url": desk.utility.base_url, "pay_usd_per_kw": 275, "scope": "site"}
    source = PROGRAMS["openadr3"]({**values, "client_id": "ven-client", "client_secret": "ven-secret"}, "house")
    assert source.program == Program("peak", "Peak", "openadr3", Scope.SITE, 275.0)
    assert (source.id, source.poll_s) == ("peak", 10.0)
    desk.call()
    assert len((await source.poll(NOON)).events) == 1
    await source.close()


async def test_polls_that_bring_nothing_new_bring_the_same_events_and_one_token(desk: Desk) -> None:
    desk.call()
    first = await desk.events()
    for _ in range(5):
        assert await desk.events(MINUTE) == first
    assert desk.asked("POST", "/auth/token") == 1


# ------------------------------------------------------------------------------------------------- the life of an event


async def test_an_event_that_asks_nothing_yet_keeps_its_first_sight(desk: Desk) -> None:
    level = [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [0]}]}]
    event_id = desk.write(intervals=level, intervalPeriod={"start": (NOON + HOUR).isoformat(), "duration": "PT1H"})
    assert await desk.events() == ()
    desk.change(event_id, intervals=[{"id": 0, "payloads": [{"type": "SIMPLE", "values": [2]}]}])
    (event,) = await desk.events(MINUTE)
    assert (event.announced_at, event.slots[0].kind) == (NOON, SlotKind.COVER_HOUSE)


# ------------------------------------------------------------------------------------------- what "now" and chance mean


async def test_now_is_the_first_sight_and_stays_so_over_polls_and_restarts(desk: Desk) -> None:
    desk.write(intervalPeriod=NOW_PERIOD)
    (event,) = await desk.events()
    assert (event.start, event.end) == (NOON, NOON + 2 * HOUR)
    assert await desk.events(30 * MINUTE) == (event,)
    desk.restart(desk.given)
    assert await desk.events(30 * MINUTE) == (event,)
    assert await desk.events(HOUR) == ()


async def test_an_event_changed_to_start_now_starts_when_the_change_is_seen_also_after_a_restart(desk: Desk) -> None:
    event_id = desk.call(start_in=10 * HOUR)
    await desk.events()
    desk.change(event_id, intervalPeriod=NOW_PERIOD)
    (event,) = await desk.events(3 * HOUR)
    assert (event.announced_at, event.start) == (NOON, NOON + 3 * HOUR)
    desk.restart(desk.given)
    assert await desk.events(HOUR) == (event,)


async def test_an_event_moved_to_a_fixed_time_and_back_to_now_starts_at_the_second_now(desk: Desk) -> None:
    event_id = desk.write(intervalPeriod=NOW_PERIOD)
    await desk.events()
    desk.change(event_id, intervalPeriod={"start": (NOON + 9 * HOUR).isoformat(), "duration": "PT1H"})
    await desk.events(MINUTE)
    desk.change(event_id, intervalPeriod=NOW_PERIOD)
    (event,) = await desk.events(HOUR)
    assert event.start == NOON + MINUTE + HOUR


async def test_a_restart_keeps_the_time_of_announcement_and_an_event_of_another_hand_is_no_business_of_ours(
    desk: Desk,
) -> None:
    desk.call()
    (event,) = await desk.events()
    by_hand = enter_event("peak", "By hand", NOON, NOON + HOUR, 5000, NOON)
    desk.restart([event, by_hand, replace(event, uid="other:1", program_id="other")])
    assert await desk.events(MINUTE) == (event,)
    assert desk.asked("GET", "/events/") == 0


# ------------------------------------------------------------------------------------------------------- what is no end


async def test_of_many_events_gone_at_once_some_are_looked_up_at_a_time_and_the_rest_stand_until_then(
    desk: Desk,
) -> None:
    ids = [desk.call(start_in=HOUR * number) for number in range(1, MOST_LOOKUPS + 4)]
    assert len(await desk.events()) == MOST_LOOKUPS + 3
    for event_id in ids:
        desk.utility.store.remove("events", event_id)
    assert len(await desk.events(MINUTE)) == 3
    assert await desk.events(MINUTE) == ()


async def test_two_hundred_events_come_in_pages_each_once(desk: Desk) -> None:
    for number in range(200):
        desk.call(start_in=MINUTE * (number + 1))
    events = await desk.events()
    assert len({event.uid for event in events}) == len(events) == 200
    assert desk.asked("GET", "/events?") == 5


async def test_endless_events_of_endless_slots_stop_at_what_a_small_machine_can_hold(desk: Desk) -> None:
    call = desk.call()
    await desk.poll()
    for _ in range(8):
        period = {"start": "2026-07-15T00:00:00Z", "duration": "PT20S"}
        desk.write(duration="P9999Y", intervalPeriod=period)
    news = await desk.poll(MINUTE)
    assert sum(len(event.slots) for event in news.events) <= MOST_LAID_OUT + MOST_SLOTS
    assert f"peak:{call}" in {event.uid for event in news.events}
    assert any(problem.startswith(f"Only events with {MOST_LAID_OUT} slots") for problem in news.problems)


async def test_an_event_that_is_cut_to_a_time_that_has_passed_is_told_once_with_its_new_end(desk: Desk) -> None:
    call = desk.call(start_in=-HOUR, lasts=3 * HOUR)
    await desk.events()
    (row,) = [row for row in desk.utility.store.rows("events") if row["id"] == call]
    desk.change(call, intervalPeriod=row["intervalPeriod"] | {"duration": "PT30M"})
    (cut,) = await desk.events(MINUTE)
    assert (cut.start, cut.end) == (NOON - HOUR, NOON - HOUR / 2)
    assert await desk.events(MINUTE) == ()


async def test_exactly_one_full_page_is_followed_by_an_empty_one(desk: Desk) -> None:
    for number in range(50):
        desk.call(start_in=MINUTE * (number + 1))
    assert len(await desk.events()) == 50


# ------------------------------------------------------------------------------------------------------------ enrolment


async def test_we_enrol_once_and_are_found_again(desk: Desk) -> None:
    await desk.poll()
    desk.restart()
    await desk.poll(MINUTE)
    assert desk.asked("POST", "/vens") == 1
    assert len(desk.utility.store.rows("vens")) == 1


async def test_a_ven_deleted_by_the_utility_is_made_again(desk: Desk) -> None:
    await desk.poll()
    for kind in ("resources", "vens"):
        desk.utility.store.remove(kind, desk.utility.store.rows(kind)[0]["id"])
    await desk.poll(MINUTE)
    assert len(desk.utility.store.rows("vens")) == 1


async def test_a_name_that_another_holds_gets_the_suffix_of_this_house_and_keeps_it() -> None:
    async with opened(ven_name="home") as desk:
        desk.utility.store.add("vens", {"clientID": "someone", "venName": "home", "targets": []})
        assert (await desk.poll()).problems == ()
        desk.restart()
        assert (await desk.poll(MINUTE)).problems == ()
        names = sorted(row["venName"] for row in desk.utility.store.rows("vens"))
        assert names[0] == "home"
        assert len(names) == 2
        assert names[1].startswith("home-")


async def test_events_for_the_targets_granted_to_us_are_ours_and_others_are_not(desk: Desk) -> None:
    await desk.poll()
    row = desk.utility.store.rows("vens")[0]
    granted = {"clientID": row["clientID"], "venName": row["venName"], "targets": ["group-1"]}
    desk.utility.store.replace("vens", row["id"], granted)
    ours = desk.call(targets=("group-1",))
    desk.call(targets=("group-2",))
    assert [event.uid for event in await desk.events(MINUTE)] == [f"peak:{ours}"]
    assert desk.asked("GET", "/events?targets=group-1") == 1


# -------------------------------------------------------------------------------------------------------- which program


async def test_only_the_program_that_was_named_is_read() -> None:
    async with opened(program_name="Peak power") as desk:
        other = desk.utility.store.add("programs", {"programName": "Other", "targets": []})["id"]
        desk.write(programID=other, intervalPeriod=NOW_PERIOD)
        ours = desk.write(intervalPeriod=NOW_PERIOD)
        assert [event.uid for event in await desk.events()] == [f"peak:{ours}"]


async def test_a_program_that_is_not_offered_is_an_error_that_names_those_that_are() -> None:
    async with opened(program_name="Pique power") as desk:
        with pytest.raises(ProgramError, match='no program "Pique power"; it lists "Peak power"'):
            await desk.poll()


async def test_a_program_renamed_meanwhile_is_named_and_its_events_go_on() -> None:
    async with opened(program_name="Peak power") as desk:
        desk.write(intervalPeriod=NOW_PERIOD)
        before = await desk.events()
        program = desk.utility.dispatch.program()
        desk.utility.store.replace("programs", program["id"], {"programName": "New name", "targets": []})
        news = await desk.poll(MINUTE)
        assert news.events == before
        assert news.problems == ('The server lists no program "Peak power"; it lists "New name".',)


# ---------------------------------------------------------------------------------------------------------- credentials


async def test_a_token_that_is_refused_is_renewed_once(desk: Desk) -> None:
    before = await desk.events()
    desk.utility.set_faults({"expire_tokens": True})
    assert await desk.events(MINUTE) == before
    assert desk.asked("POST", "/auth/token") == 2


async def test_wrong_credentials_need_a_person_and_are_tried_once_per_poll() -> None:
    async with opened(client_secret="wrong") as desk:
        for number in (1, 2):
            with pytest.raises(ProgramCredentialsError, match="Invalid client_id or client_secret"):
                await desk.poll(MINUTE)
            assert desk.asked("POST", "/auth/token") == number


@pytest.mark.parametrize("status", [401, 403])
async def test_a_server_that_refuses_every_token_is_not_asked_in_a_loop(desk: Desk, status: int) -> None:
    await desk.poll()
    desk.utility.set_faults({"status": status})
    before = len(desk.utility.requests)
    with pytest.raises(ProgramCredentialsError):
        await desk.poll(MINUTE)
    assert len(desk.utility.requests) - before <= 4


async def test_without_credentials_we_ask_without_a_token_and_do_not_enrol() -> None:
    async with opened(client_id="", client_secret="") as desk:
        with pytest.raises(ProgramCredentialsError, match="401"):
            await desk.poll()
        assert [seen.path.partition("?")[0] for seen in desk.utility.requests] == ["/auth/server", "/programs"]


# --------------------------------------------------------------------------------------------------------------- pauses


@pytest.mark.parametrize(("status", "asked_s", "pause_s"), [(429, 30, 30), (503, 10**9, 900), (503, None, 60)])
async def test_the_pause_that_a_server_asks_for_is_kept_within_bounds(
    desk: Desk, status: int, asked_s: int | None, pause_s: int
) -> None:
    before = await desk.events()
    desk.utility.set_faults({"status": status, "retry_after_s": asked_s})
    with pytest.raises(ProgramError) as refused:
        await desk.poll(MINUTE)
    assert refused.value.retry_after_s == pause_s  # type: ignore[attr-defined]
    desk.utility.set_faults({"status": None, "retry_after_s": None})
    requests = len(desk.utility.requests)
    with pytest.raises(ProgramError, match="left alone"):
        await desk.poll(timedelta(seconds=pause_s - 1))
    assert len(desk.utility.requests) == requests
    assert await desk.events(timedelta(seconds=1)) == before


async def test_a_utility_that_is_not_there_is_named() -> None:
    async with SimulatedUtility(UtilityOptions()) as utility:
        url = utility.base_url
    source = OpenAdr3Source(OpenAdr3Options(id="peak", name="Peak", base_url=url), "house")
    with pytest.raises(ProgramError, match="failed: ClientConnectorError"):
        await source.poll(NOON)
    await source.close()


# --------------------------------------------------------------------------------------------------------------- alerts


async def test_an_alert_is_told_beside_the_events_and_gone_when_it_is_taken_back(desk: Desk) -> None:
    called = desk.call()
    warned = desk.utility.dispatch.warn(word="ALERT_WIND", start_in_s=3600, duration_s=7200, text="Trees may fall")
    news = await desk.poll()
    assert [event.uid for event in news.events] == [f"peak:{called}"]
    own_id = f"peak:{warned['id']}/wind"
    start = NOON + HOUR
    assert news.alerts == (Alert(own_id, "peak", AlertKind.WIND, "Trees may fall", start, start + 2 * HOUR),)
    assert news.problems == ()
    desk.change(warned["id"], intervalPeriod={"start": "2026-07-15T14:00:00Z", "duration": "PT1H"})
    assert [alert.start for alert in (await desk.poll(MINUTE)).alerts] == [NOON + 2 * HOUR]
    desk.utility.dispatch.cancel(warned["id"])
    assert (await desk.poll(MINUTE)).alerts == ()


async def test_an_alert_that_is_over_is_told_no_more(desk: Desk) -> None:
    desk.utility.dispatch.warn(word="ALERT_FIRE", start_in_s=0, duration_s=3600)
    assert [alert.name for alert in (await desk.poll()).alerts] == ["Warning"]
    assert (await desk.poll(HOUR)).alerts == ()


async def test_an_alert_that_left_the_list_is_looked_up_before_it_is_over(desk: Desk) -> None:
    warned = desk.utility.dispatch.warn(word="ALERT_FIRE", start_in_s=0, duration_s=3600)
    before = (await desk.poll()).alerts
    asked = desk.asked("GET", f"/events/{warned['id']}")
    desk.change(warned["id"], targets=["others"])
    assert (await desk.poll(MINUTE)).alerts in (before, ())
    assert desk.asked("GET", f"/events/{warned['id']}") == asked + 1


# --------------------------------------------------------------------------------------------------- what reports need


async def test_everything_listed_for_us_is_told_with_what_is_wanted_reported(desk: Desk) -> None:
    wanted = {"payloadType": "USAGE", "frequency": 1}
    step = {"id": 7, "payloads": [{"type": "SIMPLE", "values": [1]}]}
    event_id = desk.write(reportDescriptors=[wanted, 3], intervals=[step], intervalPeriod=NOW_PERIOD)
    only_report = desk.write(reportDescriptors=[wanted], intervals=None)
    assert desk.sources[-1].listed() == ()
    (event,) = await desk.events()
    listed = {one.id: one for one in desk.sources[-1].listed()}
    assert set(listed) == {event_id, only_report}
    assert (listed[event_id].uid, listed[event_id].interval_ids) == (event.uid, (7,))
    assert (listed[event_id].report_descriptors, listed[event_id].sight.anchor) == ((wanted,), NOON)
    assert (listed[only_report].schedule.intervals, listed[only_report].report_descriptors) == ((), (wanted,))
    assert listed[event_id].program_id == desk.utility.dispatch.program()["id"]
