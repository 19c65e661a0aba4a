"""Which events were called, over restarts and cancellations, so that a season's most can be counted."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain.model import Event, SiteFacts, frozen_map
from edge_service.domain.program import Flag, Program, Rules
from edge_service.intake import Intake
from edge_service.judgement import DOCUMENT, KEPT, MOST_CALLS, Judgement
from tests.edge.domain.houses import a_site, after, an_event
from tests.edge.fakes import LeapingClock, MemoryJournal

DAY_S = 86_400.0


def facts(most_events: int | None = 2, zone: str | None = "America/New_York") -> SiteFacts:
    program = Program("peak", "Peak", "openadr3", rules=Rules(most_events=most_events))
    return a_site(programs=frozen_map({"peak": program}), time_zone=zone)


class SetClock(LeapingClock):
    """A clock that is where a test puts it."""

    at = after(0)

    def now(self) -> datetime:
        return self.at


def daily(*days: int) -> list[Event]:
    return [an_event(f"peak:{day}", day * DAY_S + 600, day * DAY_S + 1200) for day in days]


def flagged(events: Sequence[Event]) -> list[str]:
    return [event.uid for event in events if Flag.TOO_MANY in event.flags]


class Office:
    """An intake with a judge, and what it can be told."""

    def __init__(self, journal: MemoryJournal | None = None, most_events: int | None = 2) -> None:
        self.journal = journal or MemoryJournal()
        self.clock = SetClock()
        self.facts = facts(most_events)
        judge = Judgement(lambda: self.facts, self.journal, self.clock, self.journal.documents.get(DOCUMENT))
        self.intake = Intake(self.clock, self.journal, self.journal.events, lambda: None, judge=judge)

    async def hear(self, *events: Event) -> list[str]:
        """The program lists these; returns which of all are too many."""
        await self.intake._take("peak", events)
        return flagged(self.intake.events())


async def test_a_seasons_most_is_counted_over_restarts_though_its_events_are_long_over() -> None:
    office = Office()
    assert await office.hear(*daily(0, 1)) == []
    office.clock.at = after(5 * DAY_S)
    assert await office.hear() == []
    again = Office(office.journal)
    again.clock.at = after(5 * DAY_S)
    assert await again.hear(*daily(6)) == ["peak:6"]


async def test_an_event_taken_back_before_its_start_was_none_and_one_ended_early_was_one() -> None:
    office = Office()
    await office.hear(*daily(1, 2))
    assert await office.hear(*daily(1, 3)) == []
    office.clock.at = after(DAY_S + 900)
    assert await office.hear(*daily(3, 4)) == ["peak:4"]
    kept = office.journal.documents[DOCUMENT]
    assert kept["peak:1"]["end"] == after(DAY_S + 900).isoformat()
    assert "peak:2" not in kept


async def test_calls_are_forgotten_after_a_season() -> None:
    office = Office()
    await office.hear(*daily(0))
    office.clock.at = after(0) + KEPT + timedelta(days=1)
    later = round(KEPT / timedelta(days=1)) + 2
    await office.hear(*daily(later))
    assert set(office.journal.documents[DOCUMENT]) == {f"peak:{later}"}


async def test_of_very_many_calls_the_latest_are_kept() -> None:
    office = Office()
    judge = Judgement(lambda: office.facts, office.journal, office.clock)
    for number in range(0, MOST_CALLS + 300, 100):
        await judge.keep([an_event(f"peak:{one}", one, one + 30) for one in range(number, number + 100)])
        office.clock.at = after(number + 200)
    kept = office.journal.documents[DOCUMENT]
    assert len(kept) == MOST_CALLS + 100
    assert ("peak:0" in kept, f"peak:{MOST_CALLS}" in kept) == (False, True)


async def test_a_rehearsal_is_no_call() -> None:
    office = Office()
    await office.hear(*(replace(event, rehearsal=True) for event in daily(0, 1)), *daily(2))
    assert set(office.journal.documents[DOCUMENT]) == {"peak:2"}


async def test_what_cannot_be_read_of_the_calls_keeps_nothing_from_being_served() -> None:
    journal = MemoryJournal()
    await journal.save_document(DOCUMENT, {"peak:0": {"start": "soon"}, "peak:1": 7})
    assert await Office(journal, most_events=1).hear(*daily(2)) == []


async def test_a_disk_that_forgets_the_calls_stops_no_event() -> None:
    office = Office()
    await office.hear(*daily(0, 1))

    async def refuse(name: str, document: object) -> None:
        raise OSError("the disk is full")

    office.journal.save_document = refuse  # type: ignore[method-assign]
    assert await office.hear(*daily(0, 1, 2)) == ["peak:2"]
    assert len(office.intake.events()) == 3


async def test_events_are_judged_anew_when_their_programs_terms_change() -> None:
    office = Office()
    assert await office.hear(*daily(0, 1, 2)) == ["peak:2"]
    office.facts = facts(most_events=3)
    await office.intake.judge_anew()
    assert flagged(office.intake.events()) == []
    assert flagged(office.journal.events) == []
    wrote = list(office.journal.wrote)
    await office.intake.judge_anew()
    assert office.journal.wrote == wrote
