"""Cases 14 to 17: which of several events counts, for power, limits and prices each for itself."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from edge_service.domain.capacity import best
from edge_service.domain.model import Event
from edge_service.domain.program import Direction, PriceKind
from edge_service.domain.timeline import Timeline
from tests.edge.programs.test_openadr3_source import HOUR, MINUTE, NOON, Desk, opened


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened() as one:
        yield one


def between(start_h: float, hours: float) -> dict[str, str]:
    return {"start": (NOON + start_h * HOUR).isoformat(), "duration": f"PT{hours * 60:g}M"}


def payload(kind: str, *values: Any, unit: str = "KW", currency: str | None = None) -> dict[str, Any]:
    return {
        "payloadDescriptors": [{"payloadType": kind, "units": unit, "currency": currency}],
        "intervals": [{"id": 0, "payloads": [{"type": kind, "values": list(values)}]}],
    }


def names(events: tuple[Event, ...], *hours: float, order: tuple[str, ...] = ()) -> list[str | None]:
    """Whose event counts at these hours."""
    calls = [Timeline(events, order).at(NOON + hour * HOUR) for hour in hours]
    return [None if call is None else call.event.name for call in calls]


async def test_case_14_a_lower_number_wins_and_the_loser_resumes(desk: Desk) -> None:
    desk.write(eventName="long", priority=5, intervalPeriod=between(1, 4))
    desk.write(eventName="short", priority=2, intervalPeriod=between(2, 1))
    news = await desk.poll()
    assert names(news.events, 0.5, 1, 2, 2.9, 3, 4.9, 5) == [None, "long", "short", "short", "long", "long", None]
    assert news.problems == ()


async def test_case_14_what_is_of_another_kind_is_no_rival(desk: Desk) -> None:
    desk.write(eventName="power", priority=5, intervalPeriod=between(1, 2))
    desk.write(priority=0, intervalPeriod=between(1, 2), **payload("IMPORT_CAPACITY_LIMIT", 4))
    desk.write(priority=0, intervalPeriod=between(1, 2), **payload("PRICE", 0.4, unit="KWH", currency="USD"))
    desk.utility.dispatch.warn(word="ALERT_WIND", start_in_s=3600, duration_s=7200)
    news = await desk.poll()
    assert names(news.events, 1, 2.9) == ["power", "power"]
    assert (len(news.limits), len(news.prices), len(news.alerts)) == (1, 1, 1)


async def test_case_14_a_limit_of_higher_rank_interrupts_another_in_its_direction_only(desk: Desk) -> None:
    desk.write(priority=5, intervalPeriod=between(1, 4), **payload("IMPORT_CAPACITY_LIMIT", 10))
    desk.write(priority=1, intervalPeriod=between(2, 1), **payload("IMPORT_CAPACITY_LIMIT", 12))
    desk.write(priority=9, intervalPeriod=between(0, 9), **payload("EXPORT_CAPACITY_LIMIT", 3))
    desk.write(intervalPeriod=between(-1, 99), **payload("IMPORT_CAPACITY_SUBSCRIPTION", 6))
    limits = (await desk.poll()).limits

    def at(hour: float, direction: Direction) -> int | None:
        found = best(limits, direction, NOON + hour * HOUR)
        return None if found is None else found.power_w

    assert [at(hour, Direction.IMPORT) for hour in (0, 1, 2, 3, 4.9, 5, 50)] == [
        *(6000, 10_000, 12_000, 10_000, 10_000, 6000, 6000),
    ]
    assert [at(hour, Direction.EXPORT) for hour in (0, 8, 9)] == [3000, 3000, None]


async def test_case_14_a_price_of_higher_rank_interrupts_another_which_resumes(desk: Desk) -> None:
    day = [number / 10 for number in range(8)]
    desk.write(priority=5, intervalPeriod=between(0, 8), **payload("PRICE", *day, unit="KWH", currency="USD"))
    desk.write(priority=1, intervalPeriod=between(2.5, 1), **payload("PRICE", 9, unit="KWH", currency="USD"))
    desk.write(priority=0, intervalPeriod=between(2, 3), **payload("GHG", 400, unit="GHG"))
    prices = (await desk.poll()).prices
    found = [(one.start, one.end, one.value) for one in prices if one.kind is PriceKind.IMPORT]

    def row(start_h: float, end_h: float, value: float) -> tuple[datetime, datetime, float]:
        return NOON + start_h * HOUR, NOON + end_h * HOUR, value

    assert found == [
        row(0, 1, 0.0),
        row(1, 2, 0.1),
        row(2, 2.5, 0.2),
        row(2.5, 3.5, 9),
        row(3.5, 4, 0.3),
        *(row(hour, hour + 1, hour / 10) for hour in range(4, 8)),
    ]
    assert [one.value for one in prices if one.kind is PriceKind.GHG] == [400]


async def test_case_15_of_equal_priorities_the_one_announced_first_counts_and_that_is_said_once(desk: Desk) -> None:
    desk.write(eventName="first", intervalPeriod=between(1, 2))
    await desk.poll()
    desk.write(eventName="second", intervalPeriod=between(1, 3))
    news = await desk.poll(MINUTE)
    assert names(news.events, 1, 2.9, 3) == ["first", "first", "second"]
    assert len(news.problems) == 1
    assert "have the same priority at the same time: the one announced first counts" in news.problems[0]
    assert (await desk.poll(MINUTE)).problems == news.problems
    desk.restart(desk.given)
    assert names((await desk.poll(MINUTE)).events, 1, 2.9, 3) == ["first", "first", "second"]


async def test_case_15_events_that_follow_each_other_are_no_rivals(desk: Desk) -> None:
    desk.write(eventName="first", intervalPeriod=between(1, 2))
    desk.write(eventName="second", intervalPeriod=between(3, 1))
    assert (await desk.poll()).problems == ()


async def test_case_16_zero_is_first_then_numbers_however_large_and_none_is_last(desk: Desk) -> None:
    for name, priority in (("none", None), ("huge", 2**31), ("zero", 0), ("one", 1)):
        desk.write(eventName=name, priority=priority, intervalPeriod=between(1, 1))
    events = (await desk.poll()).events
    ranked = []
    while events:
        (winner,) = names(events, 1)
        ranked.append(winner)
        events = tuple(event for event in events if event.name != winner)
    assert ranked == ["zero", "one", "huge", "none"]


async def test_case_17_of_two_programs_that_contradict_each_other_the_one_that_a_person_put_first_counts() -> None:
    async with opened() as peak, opened(id="net", name="Net") as net:
        peak.call(start_in=timedelta(0), lasts=2 * HOUR, kw=5, name="discharge")
        net.write(
            eventName="charge",
            priority=0,
            intervalPeriod=between(0, 1),
            **payload("DISPATCH_SETPOINT", 7),
        )
        events = (*(await peak.poll()).events, *(await net.poll()).events)
        assert {event.uid.partition(":")[0] for event in events} == {"peak", "net"}
        assert names(events, 0.5, 1.5, order=("peak", "net")) == ["discharge", "discharge"]
        assert names(events, 0.5, 1.5, order=("net", "peak")) == ["charge", "discharge"]


async def test_case_17_limits_of_two_programs_are_both_kept_to_whatever_their_priorities() -> None:
    async with opened() as peak, opened(id="net", name="Net") as net:
        peak.write(priority=7, intervalPeriod=between(0, 2), **payload("EXPORT_CAPACITY_LIMIT", 3))
        net.write(priority=0, intervalPeriod=between(0, 1), **payload("EXPORT_CAPACITY_LIMIT", 5))
        net.write(intervalPeriod=between(0, 9), **payload("EXPORT_CAPACITY_SUBSCRIPTION", 2))
        limits = (*(await peak.poll()).limits, *(await net.poll()).limits)
        found = [best(limits, Direction.EXPORT, NOON + hour * HOUR) for hour in (0.5, 1.5, 3)]
        assert [limit and limit.power_w for limit in found] == [3000, 2000, 2000]
