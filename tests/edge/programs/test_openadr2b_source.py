"""An OpenADR 2.0b program against openleadr's own server, over HTTP."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edge_service.domain.model import Event, Slot, SlotKind
from edge_service.domain.program import Price, PriceKind
from edge_service.domain.timeline import FOREVER
from edge_service.ports import ProgramCredentialsError, ProgramError
from edge_service.programs.openadr2b import OpenAdr2Source
from edge_service.programs.openadr2b_messages import EventMessage, Signal, Stretch
from edge_service.programs.openadr2b_signals import slots_of
from tests.edge.programs.vtn_2b import KILOWATT_HOURS, KILOWATTS, Vtn, a_signal, a_vtn, power

# The foreign server looks at its own clock, and drops what is over by it.
NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
HOUR = timedelta(hours=1)
SOON = NOW + HOUR


@asynccontextmanager
async def a_source(vtn: Vtn, known: Sequence[Event] = (), **options: Any) -> AsyncIterator[OpenAdr2Source]:
    plain = {"id": "peak", "name": "Peak power", "base_url": vtn.url, "ven_name": "house"}
    source = OpenAdr2Source.open(plain | options, "installation-1", known)
    try:
        yield source
    finally:
        await source.close()


@asynccontextmanager
async def both(**options: Any) -> AsyncIterator[tuple[Vtn, OpenAdr2Source]]:
    """A server and a source that has registered there."""
    async with a_vtn() as vtn, a_source(vtn, **options) as source:
        await source.poll(NOW)
        yield vtn, source


async def test_a_setpoint_in_kilowatts_becomes_a_power_of_the_house() -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, HOUR, priority=2)
        (event,) = (await source.poll(NOW)).events
        assert event.slots == (Slot(SOON, SOON + HOUR, SlotKind.POWER, -5000),)
        assert (event.uid, event.program_id, event.name, event.priority) == ("peak:e1", "peak", "Peak power", 2)
        assert event.announced_at == NOW


async def test_the_server_is_polled_no_faster_than_it_asks() -> None:
    async with a_vtn(poll_every=timedelta(seconds=30)) as vtn, a_source(vtn, poll_s=5.0) as source:
        assert source.poll_s == 5.0
        await source.poll(NOW)
        assert source.poll_s == 30.0


async def test_the_server_s_sign_is_turned_round_where_a_person_says_so() -> None:
    async with both(consumption_positive=False) as (vtn, source):
        vtn.call(SOON, HOUR, power(SOON, HOUR, 5.0))
        (event,) = (await source.poll(NOW)).events
        assert event.slots[0].power_w == -5000


@pytest.mark.parametrize(
    ("signal", "slot"),
    [
        (a_signal("SIMPLE", SOON, (HOUR, 1)), Slot(SOON, SOON + HOUR, SlotKind.NO_CHARGE)),
        (a_signal("SIMPLE", SOON, (HOUR, 2)), Slot(SOON, SOON + HOUR, SlotKind.COVER_HOUSE)),
        (a_signal("SIMPLE", SOON, (HOUR, 3)), Slot(SOON, SOON + HOUR, SlotKind.MAX_DISCHARGE)),
        (power(SOON, HOUR, -2.5, "delta"), Slot(SOON, SOON + HOUR, SlotKind.CHANGE, -2500)),
        (
            a_signal("CHARGE_STATE", SOON, (HOUR, 40), type_="setpoint", measurement=KILOWATT_HOURS),
            Slot(SOON, SOON + HOUR, SlotKind.CHARGE_STATE, energy_wh=40_000),
        ),
    ],
)
async def test_each_signal_asks_for_its_own(signal: Any, slot: Slot) -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, HOUR, signal)
        news = await source.poll(NOW)
        assert [event.slots for event in news.events] == [(slot,)]
        assert news.problems == ()


async def test_intervals_follow_each_other_and_the_normal_level_asks_nothing() -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, 3 * HOUR, a_signal("SIMPLE", SOON, (HOUR, 1), (HOUR, 0), (HOUR, 3)))
        (event,) = (await source.poll(NOW)).events
        assert [(slot.start - SOON, slot.kind) for slot in event.slots] == [
            (timedelta(), SlotKind.NO_CHARGE),
            (2 * HOUR, SlotKind.MAX_DISCHARGE),
        ]


async def test_of_several_signals_the_most_exact_counts_and_an_unknown_one_is_told() -> None:
    async with both() as (vtn, source):
        level, strange = a_signal("SIMPLE", SOON, (HOUR, 1)), a_signal("x-moon", SOON, (HOUR, 1))
        vtn.call(SOON, HOUR, level, strange, power(SOON, HOUR, -5.0))
        news = await source.poll(NOW)
        assert news.events[0].slots == (Slot(SOON, SOON + HOUR, SlotKind.POWER, -5000),)
        assert news.problems == ("Event 'e1': signal 'x-moon' is not known here.",)


@pytest.mark.parametrize("measurement", [None, KILOWATT_HOURS])
async def test_a_number_without_its_unit_moves_nothing_and_is_declined(measurement: Any) -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, HOUR, power(SOON, HOUR, -5.0, measurement=measurement))
        news = await source.poll(NOW)
        assert news.events == ()
        assert "powerReal is needed" in news.problems[0]
        assert vtn.answered_of("e1") == ["optOut"]


async def test_a_price_is_told_and_moves_nothing() -> None:
    async with both() as (vtn, source):
        usd = type(KILOWATTS)(name="currencyPerKWh", description="currency per kWh", unit="USD", scale="none")
        vtn.call(SOON, HOUR, a_signal("ELECTRICITY_PRICE", SOON, (HOUR, 0.42), type_="price", measurement=usd))
        news = await source.poll(NOW)
        assert news.events == ()
        assert news.prices == (Price("peak", PriceKind.IMPORT, SOON, SOON + HOUR, 0.42, "USD"),)
        assert vtn.answered_of("e1") == ["optIn"]


async def test_an_event_without_an_end_lasts_until_it_is_taken_back() -> None:
    async with both() as (vtn, source):
        event = vtn.call(SOON, timedelta(), power(SOON, timedelta(), -5.0))
        assert (await source.poll(NOW)).events[0].end == FOREVER
        vtn.cancel(event)
        assert (await source.poll(NOW)).events == ()


def test_an_event_or_an_interval_of_ten_thousand_years_lasts_until_it_is_taken_back_too() -> None:
    ages = timedelta(days=3_660_000)
    signal = Signal("SIMPLE", "level", "", "", "", (Stretch(None, ages, 1.0),))
    event = EventMessage("e1", 0, "far", None, "", False, False, SOON, ages, ages, (signal,))
    assert slots_of(event, timedelta(), 1) == ((Slot(SOON, FOREVER, SlotKind.NO_CHARGE),), ())
    assert slots_of(event, timedelta(days=3_000_000), 1) == ((), ())


async def test_several_events_are_known_side_by_side_far_or_near() -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, HOUR, event_id="007", event_status="far")
        vtn.call(SOON + HOUR, HOUR, event_id="1.50", event_status="near")
        events = {event.uid: event for event in (await source.poll(NOW)).events}
        assert set(events) == {"peak:007", "peak:1.50"}


async def test_an_event_of_another_market_is_not_ours() -> None:
    async with both(market_context="http://other") as (vtn, source):
        vtn.call(SOON, HOUR)
        assert (await source.poll(NOW)).events == ()


# -------------------------------------------------------------------------------------------- changes before and during


@pytest.mark.parametrize("at", [NOW, SOON + HOUR / 2])
async def test_a_modification_counts_before_and_during_the_event(at: datetime) -> None:
    async with both() as (vtn, source):
        event = vtn.call(SOON, HOUR)
        await source.poll(at)
        event.event_signals = [power(SOON, 2 * HOUR, -3.0)]
        event.active_period.duration = 2 * HOUR
        vtn.change(event, event_status="active")
        (changed,) = (await source.poll(at)).events
        assert changed.slots == (Slot(SOON, SOON + 2 * HOUR, SlotKind.POWER, -3000),)
        assert changed.uid == "peak:e1"


@pytest.mark.parametrize("at", [NOW, SOON + HOUR / 2])
async def test_a_cancellation_ends_it_before_and_during_and_is_acknowledged(at: datetime) -> None:
    async with both() as (vtn, source):
        event = vtn.call(SOON, HOUR)
        assert len((await source.poll(at)).events) == 1
        vtn.cancel(event)
        assert (await source.poll(at)).events == ()
        assert vtn.events == []  # this server drops it once the cancellation is acknowledged
        assert (await source.poll(at)).problems == ()


# -------------------------------------------------------------------------------------------------------- random starts


async def test_a_random_start_is_put_off_the_same_after_a_restart_and_only_a_new_start_draws_anew() -> None:
    async with both() as (vtn, source):
        event = vtn.call(SOON, HOUR, startafter=timedelta(minutes=30))
        (first,) = (await source.poll(NOW)).events
        assert SOON < first.start <= SOON + timedelta(minutes=30)
        assert first.end - first.start == HOUR
        async with a_source(vtn, [first]) as restarted:
            assert (await restarted.poll(first.start + HOUR / 2)).events == (first,)
        event.event_signals = [power(SOON, HOUR, -3.0)]
        vtn.change(event)
        assert (await source.poll(NOW)).events[0].start == first.start
        event.active_period.dtstart = event.event_signals[0].intervals[0].dtstart = SOON + HOUR
        vtn.change(event)
        moved = (await source.poll(NOW)).events[0].start
        assert SOON + HOUR <= moved <= SOON + HOUR + timedelta(minutes=30)


async def test_random_starts_spread_from_house_to_house() -> None:
    async with a_vtn() as vtn:
        starts = set()
        for house in range(5):
            source = OpenAdr2Source.open({"id": "peak", "name": "Peak", "base_url": vtn.url}, f"installation-{house}")
            await source.poll(NOW)
            if not vtn.events:
                vtn.call(SOON, HOUR, startafter=timedelta(hours=1))
            vtn.server.events_updated["ven-1"] = True
            starts.add((await source.poll(NOW)).events[0].start)
            await source.close()
        assert len(starts) == 5


# -------------------------------------------------------------------------------------------------------- participation


async def test_a_person_s_no_is_told_at_once_and_so_is_a_change_of_mind() -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, HOUR)
        (event,) = (await source.poll(NOW)).events
        assert vtn.opts == []  # nobody has been asked yet
        for takes_part in (True, True, False, False, True):
            await source.tell_participation(event.uid, takes_part=takes_part)
        assert vtn.answered_of("e1") == ["optIn", "optOut", "optIn"]


async def test_after_a_restart_and_after_a_modification_it_is_told_anew() -> None:
    async with both() as (vtn, source):
        called = vtn.call(SOON, HOUR)
        (event,) = (await source.poll(NOW)).events
        await source.tell_participation(event.uid, takes_part=False)
        async with a_source(vtn, [event]) as restarted:
            await restarted.poll(NOW)
            await restarted.tell_participation(event.uid, takes_part=False)
            assert vtn.answered_of("e1") == ["optOut", "optOut"]
        vtn.change(called)
        await source.poll(NOW)
        assert vtn.answered_of("e1") == ["optOut", "optOut", "optOut"]


async def test_an_event_that_asks_for_no_answer_gets_none() -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, HOUR, answer="never")
        (event,) = (await source.poll(NOW)).events
        await source.tell_participation(event.uid, takes_part=False)
        await source.tell_participation("peak:unknown", takes_part=False)
        assert vtn.opts == []
        assert "oadrCreatedEvent" not in vtn.asked


# -------------------------------------------------------------------------------------------------------------- trouble


async def test_a_server_that_does_not_let_us_register_says_what_to_give_it() -> None:
    async with a_vtn() as vtn, a_source(vtn) as source:
        vtn.lets_in = False
        with pytest.raises(ProgramCredentialsError, match="does not register house"):
            await source.poll(NOW)
        vtn.lets_in = True
        assert (await source.poll(NOW)).events == ()


async def test_a_server_that_is_not_there_is_a_failed_contact_and_what_it_brings_afterwards_counts() -> None:
    async with a_vtn() as vtn:
        url = vtn.url
    async with a_source(vtn, base_url=url) as source:
        with pytest.raises(ProgramError):
            await source.poll(NOW)


async def test_news_whose_answer_was_lost_is_asked_for_again() -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, HOUR)
        vtn.server.events_updated["ven-1"] = False  # as if told, and lost on the way
        assert (await source.poll(NOW)).events == ()
        vtn.broken = True
        with pytest.raises(ProgramError, match="failed with 500"):
            await source.poll(NOW)
        vtn.broken = False
        assert [event.uid for event in (await source.poll(NOW)).events] == ["peak:e1"]


async def test_news_that_went_to_somebody_else_in_our_name_is_found_within_minutes() -> None:
    async with both() as (vtn, source):
        vtn.call(SOON, HOUR)
        async with a_source(vtn) as another:
            assert len((await another.poll(NOW)).events) == 1
        assert (await source.poll(NOW)).events == ()
        assert len((await source.poll(NOW + timedelta(minutes=5))).events) == 1
