"""Case 46: OpenADR 2.0b by its own rules, against openleadr's own server."""

from datetime import UTC, datetime, timedelta

import pytest

from edge_service.domain.model import Event, Slot, SlotKind
from edge_service.ports import ProgramError
from tests.edge.programs.test_openadr2b_source import a_source, both
from tests.edge.programs.vtn_2b import VEN, a_vtn, power

NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
HOUR = timedelta(hours=1)
SOON = NOW + HOUR
DURING = SOON + HOUR / 2


@pytest.mark.parametrize("at", [NOW, DURING])
async def test_case_46_an_event_that_is_listed_no_more_is_cancelled(at: datetime) -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, HOUR, event_id="e1")
        vtn.call(SOON, HOUR, event_id="e2")
        assert len((await source.poll(at)).events) == 2
        vtn.events.pop(0)
        vtn.server.events_updated[VEN] = True
        assert [event.uid for event in (await source.poll(at)).events] == ["peak:e2"]


async def test_case_46_the_last_event_is_gone_with_an_empty_response_and_no_word_of_a_poll() -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, HOUR)
        assert len((await source.poll(DURING)).events) == 1
        vtn.events.clear()
        assert (await source.poll(DURING)).events == ()


async def test_case_46_an_older_version_changes_nothing_and_is_told() -> None:
    async with both() as (vtn, source):
        event = vtn.call(SOON, HOUR, modification_number=3)
        await source.poll(NOW)
        event.event_descriptor.modification_number = 2
        event.event_signals = [power(SOON, HOUR, -1.0)]
        vtn.server.events_updated[VEN] = True
        news = await source.poll(NOW)
        assert news.events[0].slots == (Slot(SOON, SOON + HOUR, SlotKind.POWER, -5000),)
        assert news.problems == ("Event 'e1' came as modification 2, older than 3, which stands.",)
        event.event_descriptor.modification_number = 4
        vtn.server.events_updated[VEN] = True
        assert (await source.poll(NOW)).events[0].slots[0].power_w == -1000


async def test_case_46_a_cancellation_that_only_raises_the_number_counts() -> None:
    async with both() as (vtn, source):
        event = vtn.call(SOON, HOUR)
        await source.poll(DURING)
        modified_at = event.event_descriptor.modification_date_time
        vtn.server.cancel_event(VEN, "e1")
        assert event.event_descriptor.modification_date_time == modified_at
        assert (await source.poll(DURING)).events == ()


async def test_case_46_an_event_that_is_cut_to_a_time_that_has_passed_is_told_once_with_its_new_end() -> None:
    async with both() as (vtn, source):
        event = vtn.call(SOON, HOUR)
        assert len((await source.poll(DURING)).events) == 1
        event.event_descriptor.modification_number = 1
        event.active_period.duration = HOUR / 4
        event.event_signals = [power(SOON, HOUR / 4, -5.0)]
        vtn.server.events_updated[VEN] = True
        assert [one.end for one in (await source.poll(DURING)).events] == [SOON + HOUR / 4]
        assert (await source.poll(DURING)).events == ()


async def test_case_46_an_event_that_is_completed_by_its_server_s_word_is_told_once_with_its_end() -> None:
    """The server here says so by the clock of the wall; ours is behind."""
    wall = datetime.now(UTC).replace(microsecond=0)
    start, ours = wall - HOUR, wall - HOUR / 4
    async with both() as (vtn, source):
        vtn.call(start, HOUR - timedelta(seconds=1))
        vtn.call(wall + HOUR, HOUR, event_id="later")
        slots = (Slot(start, wall, SlotKind.POWER, -5000),)
        source._given["peak:e1"] = Event("peak:e1", "peak", "Peak", start, slots)  # as it was while it ran
        assert {one.uid: one.end for one in (await source.poll(ours)).events}["peak:e1"] == ours
        assert [one.uid for one in (await source.poll(ours)).events] == ["peak:later"]


@pytest.mark.parametrize("at", [NOW, DURING])
async def test_case_46_a_test_of_the_utility_s_is_answered_and_told_and_moves_nothing(at: datetime) -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, HOUR, test_event=True)
        news = await source.poll(at)
        assert news.events == ()
        assert news.problems == ("Event 'e1' is a test of the utility's; it is answered and moves nothing.",)
        assert vtn.answered_of("e1") == ["optIn"]


async def test_case_46_a_server_that_has_forgotten_us_is_registered_at_anew_and_the_event_runs_on() -> None:
    async with both() as (vtn, source):
        event = vtn.call(SOON, HOUR)
        (running,) = (await source.poll(DURING)).events
        await source.tell_participation(running.uid, takes_part=True)
        vtn.forget_us()
        assert (await source.poll(DURING)).events == (running,)
        assert vtn.asked.count("registration of house") == 2
        assert vtn.answered_of("e1") == ["optIn", "optIn"]  # it forgot that too
        vtn.cancel(event)
        assert (await source.poll(DURING)).events == ()


async def test_case_46_a_server_just_come_back_without_its_events_is_believed_the_second_time() -> None:
    async with both() as (vtn, source):
        event = vtn.call(SOON, HOUR)
        (running,) = (await source.poll(DURING)).events
        vtn.forget_us()
        vtn.events.clear()
        assert (await source.poll(DURING)).events == (running,)
        vtn.events.append(event)
        assert (await source.poll(DURING)).events == (running,)
        vtn.forget_us()
        vtn.events.clear()
        assert (await source.poll(DURING)).events == (running,)
        assert (await source.poll(DURING)).events == ()


async def test_case_46_after_our_own_restart_an_event_runs_on_while_the_server_gathers_itself() -> None:
    async with a_vtn() as vtn:
        async with a_source(vtn) as source:
            await source.poll(NOW)
            vtn.call(SOON, HOUR)
            known = (await source.poll(NOW)).events
        vtn.forget_us()
        vtn.events.clear()
        async with a_source(vtn, known) as source:
            assert (await source.poll(DURING)).events == known
            assert (await source.poll(DURING)).events == ()


async def test_case_46_a_failed_contact_is_no_empty_list() -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, HOUR)
        known = (await source.poll(DURING)).events
        vtn.broken = True
        with pytest.raises(ProgramError):
            await source.poll(DURING)
        vtn.broken = False
        assert (await source.poll(DURING)).events == known
