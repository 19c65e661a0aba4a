"""Cases 7 to 13, 18, 19 and 36: when an event is, however strangely it says so."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from edge_service.domain.model import SlotKind
from edge_service.domain.program import Flag, OutsideRules, Rules
from edge_service.domain.timeline import MOST_SLOTS, Timeline
from edge_service.programs.rules import judge
from tests.edge.programs.test_openadr3_source import HOUR, MINUTE, NOON, NOW_PERIOD, Desk, opened

EVENING = {"start": (NOON + HOUR).isoformat(), "duration": "PT1H"}


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened() as one:
        yield one


def power(kw: float, **period: Any) -> dict[str, Any]:
    """An interval with a setpoint, and a period of its own."""
    row: dict[str, Any] = {"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT", "values": [kw]}]}
    return row | ({"intervalPeriod": period} if period else {})


async def stretches(desk: Desk) -> list[tuple[datetime, datetime, int]]:
    """All slots of the one event."""
    (event,) = await desk.events()
    return [(slot.start, slot.end, slot.power_w) for slot in event.slots]


# -------------------------------------------------------------------------------------------------------- cases 7 and 8


async def test_case_07_an_event_that_is_over_is_left_out_and_not_looked_up(desk: Desk) -> None:
    event_id = desk.call(start_in=timedelta(0))
    assert len(await desk.events()) == 1
    assert await desk.events(HOUR) == ()
    desk.utility.dispatch.cancel(event_id)
    assert await desk.events(MINUTE) == ()
    assert desk.asked("GET", f"/events/{event_id}") == 0


async def test_case_07_an_event_first_seen_when_it_is_over_is_never_told(desk: Desk) -> None:
    desk.call(start_in=-2 * HOUR, lasts=HOUR)
    desk.call(start_in=-timedelta(days=366), lasts=HOUR)
    news = await desk.poll()
    assert (news.events, news.problems) == ((), ())


async def test_case_08_an_event_read_in_the_middle_is_in_its_right_interval_and_not_shifted(desk: Desk) -> None:
    steps = [power(-kw) for kw in (5, 6, 7)]
    start = {"start": (NOON - 90 * MINUTE).isoformat(), "duration": "PT1H", "randomizeStart": "PT10M"}
    desk.write(intervals=steps, intervalPeriod=start)
    events = await desk.events()
    call = Timeline(events).at(NOON)
    assert call is not None
    assert (call.slot.power_w, call.slot.start) == (-6000, NOON - 30 * MINUTE)


# ------------------------------------------------------------------------------------------------------- cases 9 to 12


@pytest.mark.parametrize(
    ("period", "says"),
    [({}, "has no duration"), ({"duration": "PT0S"}, "lasts no time"), ({"duration": "-PT1H"}, "is negative")],
)
async def test_case_09_an_event_of_no_duration_moves_nothing_and_is_named_and_others_count(
    desk: Desk, period: dict[str, str], says: str
) -> None:
    desk.write(intervalPeriod={"start": (NOON + HOUR).isoformat()} | period)
    sound = desk.call()
    news = await desk.poll()
    assert [event.uid for event in news.events] == [f"peak:{sound}"]
    assert [says in problem for problem in news.problems] == [True]


@pytest.mark.parametrize("duration", ["P9999Y", "P9999Y0M0DT0H0M0S", "P10000Y", "P999999999999D"])
async def test_case_10_an_event_without_end_goes_on_and_what_is_laid_out_moves_once_a_day(
    desk: Desk, duration: str
) -> None:
    desk.write(intervalPeriod=NOW_PERIOD | {"duration": duration})
    (event,) = await desk.events()
    assert timedelta(days=2) < event.end - NOON <= timedelta(days=3)
    assert await desk.events(11 * HOUR) == (event,)
    desk.restart(desk.given)
    (later,) = await desk.events(2 * HOUR)
    assert (later.start, later.end - event.end) == (NOON, timedelta(days=1))


@pytest.mark.parametrize(
    ("start", "read_as"),
    [
        ("0001-01-01", NOON),
        ("0001-01-01T00:00:00", NOON),
        ("0001-01-01T00:00:00+05:00", NOON),
        ("2026-07-15 13:00:00.000Z", NOON + HOUR),
        ("2026-07-15T13:00:00.123456789Z", NOON + HOUR + timedelta(microseconds=123_456)),
        ("2026-07-15T12:59:60Z", NOON + HOUR),
        ("2026-07-15T24:00:00Z", NOON + 12 * HOUR),
        ("2026-07-15T09:00:00-04:00", NOON + HOUR),
        ("0000-00-00", None),
        ("0001-01-02T00:00:00+05:00", None),
        ("2026-07-15T13:00:00", None),
        ("2026-07-15T25:00:00Z", None),
        ("2026-02-30T13:00:00Z", None),
        ("tomorrow", None),
        (1_784_000_000, None),
        ("9999-12-31T23:59:59Z", None),
    ],
)
async def test_case_11_a_start_is_read_or_its_event_is_named_and_others_count(
    desk: Desk, start: Any, read_as: datetime | None
) -> None:
    desk.write(priority=1, intervalPeriod={"start": start, "duration": "PT2H"})
    sound = desk.call()
    news = await desk.poll()
    found = [event.start for event in news.events if event.uid != f"peak:{sound}"]
    assert found == ([] if read_as is None else [read_as])
    assert len(news.events) == len(found) + 1
    assert len(news.problems) == (0 if found else 1)


@pytest.mark.parametrize(
    ("duration", "lasts"),
    [
        ("PT1.5H", 1.5 * HOUR),
        ("P0Y0M0DT1H0M0S", HOUR),
        ("P0Y0M0DT1.5H0M0S", 1.5 * HOUR),
        ("P2W", timedelta(days=14)),
        ("PT90S", timedelta(seconds=90)),
        ("P1M", timedelta(days=31)),
        ("PT", None),
        ("P", None),
        ("P12H", None),
        ("1H", None),
        (3600, None),
    ],
)
async def test_case_12_a_duration_is_read_or_its_event_is_named_and_others_count(
    desk: Desk, duration: Any, lasts: timedelta | None
) -> None:
    desk.write(priority=1, intervalPeriod={"start": NOON.isoformat(), "duration": duration})
    sound = desk.call()
    news = await desk.poll()
    found = [event.end - NOON for event in news.events if event.uid != f"peak:{sound}"]
    assert found == ([] if lasts is None else [lasts])
    assert (len(news.events), len(news.problems)) == (len(found) + 1, 1 - len(found))


# -------------------------------------------------------------------------------------------------------------- case 13


async def test_case_13_ids_are_labels_and_the_later_of_two_overlapping_intervals_counts(desk: Desk) -> None:
    unit = [{"payloadType": "DISPATCH_SETPOINT", "units": "KW"}]
    rows = [
        power(-1, start=(NOON + 4 * HOUR).isoformat(), duration="PT1H") | {"id": 3},
        power(-2, start=(NOON + HOUR).isoformat(), duration="PT2H") | {"id": -7},
        power(-3, start=(NOON + 2 * HOUR).isoformat(), duration="PT30M") | {"id": 3},
    ]
    desk.write(payloadDescriptors=unit, intervals=rows)
    assert await stretches(desk) == [
        (NOON + HOUR, NOON + 2 * HOUR, -2000),
        (NOON + 2 * HOUR, NOON + 2.5 * HOUR, -3000),
        (NOON + 2.5 * HOUR, NOON + 3 * HOUR, -2000),
        (NOON + 4 * HOUR, NOON + 5 * HOUR, -1000),
    ]


# -------------------------------------------------------------------------------------------------------------- case 18


async def test_case_18_a_random_start_stays_over_polls_and_restarts_and_differs_from_house_to_house(desk: Desk) -> None:
    desk.write(intervalPeriod=EVENING | {"randomizeStart": "PT15M"})
    (event,) = await desk.events()
    assert abs(event.start - (NOON + HOUR)) <= 15 * MINUTE
    assert await desk.events(MINUTE) == (event,)
    desk.restart(desk.given)
    assert await desk.events(HOUR) == (event,)
    desk.now = NOON
    starts = set()
    for house in range(8):
        desk.restart(house=str(house))
        starts.add((await desk.events())[0].start)
    assert len(starts) > 4


@pytest.mark.parametrize("reach", ["PT5H", "-PT5H", "P300D"])
@pytest.mark.parametrize("period", [EVENING, NOW_PERIOD])
async def test_case_18_a_random_start_beyond_all_measure_is_bounded_and_never_before_the_event_was_seen(
    desk: Desk, reach: str, period: dict[str, str]
) -> None:
    desk.write(intervalPeriod=period | {"randomizeStart": reach})
    for house in range(6):
        desk.restart(house=str(house))
        (event,) = await desk.events()
        assert NOON <= event.start <= NOON + 25 * HOUR
        desk.restart(desk.given, house=str(house))
        assert await desk.events() == (event,)


# -------------------------------------------------------------------------------------------------------------- case 19


@pytest.mark.parametrize("off_s", [600, -600])
async def test_case_19_with_clocks_apart_an_event_that_runs_goes_on_and_none_starts_without_a_person(
    desk: Desk, off_s: int
) -> None:
    runs, comes = desk.call(start_in=timedelta(0), lasts=3 * HOUR), desk.call(start_in=HOUR)
    before = {event.uid: event for event in await desk.events()}
    assert not any(event.asks for event in before.values())
    desk.utility.set_faults({"clock_off_s": off_s})
    seen = desk.call(start_in=-MINUTE)
    news = await desk.poll(MINUTE)
    asks = {event.uid: (event.asks, event.flags) for event in news.events}
    doubted = (True, (Flag.UNSURE_CLOCK,))
    assert asks == {f"peak:{runs}": (False, ()), f"peak:{comes}": doubted, f"peak:{seen}": doubted}
    which = "behind" if off_s > 0 else "ahead"
    assert f"Our clock is 10 min {which} of the utility's: no event of this program starts" in news.problems[0]
    desk.restart(desk.given)
    assert {event.uid: (event.asks, event.flags) for event in (await desk.poll(MINUTE)).events} == asks
    desk.utility.set_faults({"clock_off_s": None})
    news = await desk.poll(MINUTE)
    assert not any(event.asks or event.flags for event in news.events)
    assert len(news.events) == 3
    assert not any("clock" in problem for problem in news.problems)


@pytest.mark.parametrize(("off_s", "told"), [(3, False), (-3, False), (8, True), (-60, True)])
async def test_case_19_a_difference_of_more_than_five_seconds_is_told_and_moves_nothing(
    desk: Desk, off_s: int, told: bool
) -> None:
    desk.call()
    desk.utility.set_faults({"clock_off_s": off_s})
    news = await desk.poll()
    assert [event.asks for event in news.events] == [False]
    assert ["Our clock is" in problem for problem in news.problems] == ([True] if told else [])
    again = await desk.poll(MINUTE)
    assert again.problems == news.problems


async def test_case_19_no_rule_of_a_program_takes_back_that_a_person_must_agree(desk: Desk) -> None:
    desk.call()
    desk.utility.set_faults({"clock_off_s": 600})
    (event,) = await desk.events()
    serving = replace(desk.sources[-1].program, rules=Rules(outside=OutsideRules.SERVE))
    judged = judge(judge(event, serving, "America/New_York"), serving, "America/New_York")
    assert (judged.asks, judged.flags, judged.day) == (True, (Flag.UNSURE_CLOCK,), "2026-07-15")


async def test_case_19_the_bound_is_a_person_s_choice() -> None:
    async with opened(most_skew_s=900.0) as desk:
        desk.call()
        desk.utility.set_faults({"clock_off_s": 600})
        assert [event.asks for event in await desk.events()] == [False]


# -------------------------------------------------------------------------------------------------------------- case 36


async def test_case_36_an_event_of_endless_repetition_is_laid_out_a_little_way(desk: Desk) -> None:
    desk.write(intervalPeriod=EVENING | {"duration": "PT0.001S"}, duration="P9999Y")
    (event,) = await desk.events()
    assert 0 < len(event.slots) <= MOST_SLOTS
    desk.write(intervalPeriod=EVENING | {"duration": "PT1H"}, duration="P9999Y")
    events = await desk.events(240 * HOUR)
    assert all(event.slots[0].kind is SlotKind.MAX_DISCHARGE for event in events)
    assert all(event.end > desk.now for event in events)


async def test_case_36_more_intervals_than_anyone_needs_are_cut_and_the_house_is_not_held_up(desk: Desk) -> None:
    row = {"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}
    desk.write(priority=1, intervalPeriod=EVENING | {"duration": "PT1S"}, intervals=[row] * 12_000)
    sound = desk.call()
    news = await desk.poll()
    lengths = {event.uid: len(event.slots) for event in news.events}
    assert lengths.pop(f"peak:{sound}") == 1
    assert list(lengths.values()) == [MOST_SLOTS]
    assert [f"only the first {MOST_SLOTS}" in problem for problem in news.problems] == [True]
