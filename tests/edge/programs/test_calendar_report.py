"""A calendar that Home Assistant watches: told whole, kept like any accepted event, gone when it is told no more."""

from dataclasses import replace
from typing import Any

import pytest

from edge_service.domain.asked import CommandRefusedError
from edge_service.domain.memory import GridMemory, IslandMemory, IslandStep, Memory
from edge_service.domain.model import Event, Grid, Program, Settings, SlotKind, frozen_map
from edge_service.domain.program import Scope
from edge_service.household import Household
from edge_service.intake import Intake
from tests.edge.domain.houses import a_site, after, an_event
from tests.edge.fakes import FakeSource, LeapingClock, MemoryJournal, leaping, passes

TIED = Memory(grid=GridMemory(Grid.ON), island=IslandMemory(IslandStep.TIED))
PEAK = Program("peak", "Peak power", "manual")
CALENDAR = "calendar.utility"


class Home:
    """A household that takes part in one program."""

    def __init__(self, *known: Event, program: Program = PEAK) -> None:
        self.journal, self.clock = MemoryJournal(), LeapingClock()
        self.journal.events = known
        self.intake = Intake(self.clock, self.journal, known, lambda: None)
        self.household = Household(Settings(), self.intake, self.journal, self.clock)
        self.facts = replace(a_site("car"), programs=frozen_map({"peak": program}))

    async def tell(self, *entries: Any, hours: float = 48, **args: Any) -> dict[str, Any]:
        """The calendar as told, whole up to some hours from now."""
        until_at = after(hours * 3600).isoformat()
        told = {"program": "peak", "calendar": CALENDAR, "entries": list(entries), "until": until_at} | args
        return dict(await self.household.carry_out("set_calendar", told, self.facts, TIED, local=False))

    @property
    def events(self) -> list[Event]:
        return sorted(self.household.events(), key=lambda event: event.start)


def an_entry(start_s: float = 3600, end_s: float = 7200, **changes: Any) -> dict[str, Any]:
    times = {"start": after(start_s).isoformat(), "end": after(end_s).isoformat()}
    return {"uid": "a", "summary": "Peak event 5 kW", **times} | changes


@leaping
async def test_an_entry_becomes_an_event_that_is_on_disk_and_told_again_it_is_the_same() -> None:
    home = Home()
    answer = await home.tell(an_entry(), an_entry(uid="b", summary="Dentist"))
    (event,) = home.events
    assert answer == {"events": [event.uid], "problems": []}
    assert (event.program_id, event.name, event.start, event.end) == (
        "peak",
        "Peak event 5 kW",
        after(3600),
        after(7200),
    )
    assert (event.slots[0].kind, event.slots[0].power_w) == (SlotKind.POWER, -5000)
    assert list(home.journal.events) == [event]
    await home.tell(an_entry())
    assert home.events == [event]


@leaping
async def test_a_moved_entry_is_the_same_event_and_one_that_is_missing_is_cancelled() -> None:
    home = Home()
    await home.tell(an_entry(), an_entry(uid="b", start_s=9000, end_s=9600))
    first, second = home.events
    await home.tell(an_entry(start_s=5400))
    assert [(event.uid, event.start) for event in home.events] == [(first.uid, after(5400))]
    assert second.uid not in [event.uid for event in home.journal.events]
    await home.tell()
    assert home.events == []


@leaping
async def test_an_event_that_runs_is_cancelled_when_it_is_taken_out() -> None:
    home = Home()
    await home.tell(an_entry(start_s=-600, end_s=7200))
    assert len(home.events) == 1
    await home.tell()
    assert home.events == []


@leaping
async def test_an_entry_that_runs_and_is_cut_to_a_time_that_has_passed_is_an_event_that_ended_then() -> None:
    home = Home()
    await home.tell(an_entry(-3600, 3600))
    await home.tell(an_entry(-3600, -600))
    (event,) = home.events
    assert (event.start, event.end) == (after(-3600), after(-600))
    await passes(31)
    await home.tell(an_entry(-3600, -600))
    assert home.events == []


@leaping
async def test_what_lies_beyond_the_end_of_a_report_is_not_cancelled_by_it() -> None:
    home = Home()
    await home.tell(an_entry(start_s=100_000, end_s=107_200))
    await home.tell(hours=24)
    assert len(home.events) == 1


@leaping
async def test_each_calendar_speaks_for_itself_and_neither_takes_back_what_others_called() -> None:
    home = Home(an_event("peak:1", 3600, 7200))
    await home.tell(an_entry())
    await home.tell(an_entry(), calendar="calendar.other")
    assert len(home.events) == 3
    await home.tell()
    assert len(home.events) == 2


@leaping
async def test_a_server_s_word_takes_nothing_back_that_stands_in_the_calendar() -> None:
    home = Home()
    await home.tell(an_entry())
    await home.intake.contact(FakeSource("peak", ()))
    assert len(home.events) == 1


@leaping
async def test_an_entry_without_a_uid_is_known_by_its_words_and_its_beginning() -> None:
    home = Home()
    await home.tell(an_entry(uid=None))
    (event,) = home.events
    await home.tell(an_entry(uid=None, end_s=9000))
    assert [(one.uid, one.end) for one in home.events] == [(event.uid, after(9000))]


@leaping
async def test_occurrences_of_a_series_are_events_of_their_own() -> None:
    home = Home()
    again = an_entry(start_s=90_000, end_s=93_600, recurrence_id="20260716T210000")
    await home.tell(an_entry(recurrence_id="20260715T210000"), again)
    assert len(home.events) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"summary": "Peak event 5"}, "number that is not clear"),
        ({"start": "2026-07-15", "end": "2026-07-16"}, "lasts all day"),
        ({"end": after(3600).isoformat()}, "does not end after it begins"),
        ({"end": after(86_400).isoformat()}, "longer than 12 hours"),
        ({"summary": "Peak event 5 kW net"}, "scope to site"),
    ],
)
@leaping
async def test_an_entry_that_is_not_clear_is_told_and_the_others_count(changes: dict[str, Any], words: str) -> None:
    home = Home()
    answer = await home.tell(an_entry(**changes), an_entry(uid="b"))
    assert len(answer["events"]) == len(home.events) == 1
    assert len(answer["problems"]) == 1
    assert words in answer["problems"][0]


@leaping
async def test_net_is_understood_where_the_program_counts_at_the_meter() -> None:
    home = Home(program=replace(PEAK, scope=Scope.SITE))
    assert (await home.tell(an_entry(summary="Peak event 5 kW net")))["problems"] == []


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"program": "none"}, "unknown_program"),
        ({"calendar": ""}, "bad_argument"),
        ({"calendar": "x" * 501}, "bad_argument"),
        ({"until": "tomorrow"}, "bad_argument"),
        ({"entries": None}, "bad_argument"),
        ({"entries": ["Peak event 5 kW"]}, "bad_argument"),
        ({"entries": [an_entry(start="soon")]}, "bad_argument"),
        ({"entries": [an_entry(start="2026-07-15T10:00:00")]}, "bad_argument"),
        ({"entries": [an_entry(uid="")]}, "bad_argument"),
        ({"entries": [an_entry()] * 501}, "bad_argument"),
    ],
)
@leaping
async def test_a_report_that_is_not_whole_is_refused_and_nothing_of_it_counts(args: dict[str, Any], code: str) -> None:
    home = Home()
    await home.tell(an_entry())
    before = home.events
    with pytest.raises(CommandRefusedError) as refused:
        await home.tell(**args)
    assert refused.value.code == code
    assert home.events == before


@leaping
async def test_a_disk_that_fails_keeps_what_stood() -> None:
    home = Home()
    await home.tell(an_entry())
    before = home.events
    home.journal.disk_fails = True
    with pytest.raises(OSError, match="the disk fails"):
        await home.tell()
    assert home.events == before
