"""What is written down, in which order, and what people hear while the disk fails."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from edge_service.domain.decide import Decision
from edge_service.domain.memory import EventMemory, EventStage, Memory, OutageMemory
from edge_service.domain.model import Grid, Happening, Notice, Observation, Settings, SiteFacts, Supply, frozen_map
from edge_service.ports import Mark, NumberedHappening
from edge_service.runner import Image
from edge_service.scribe import KEPT_AROUND, MOST_UNTOLD, SAVE_MEMORY_EVERY, UNKEPT_FROM, Scribe
from tests.edge.domain.houses import a_site, after, an_observation
from tests.edge.fakes import MemoryJournal, leaping, passes, until


class Bystander:
    """``Audience``: hears everything."""

    def __init__(self) -> None:
        self.shown: list[list[str]] = []
        self.heard: list[tuple[int, str]] = []
        self.notices: list[Notice] = []

    def show(self, image: Image, notices: Sequence[Notice]) -> None:
        self.shown.append([notice.key for notice in notices])

    def occurred(self, numbered: NumberedHappening) -> None:
        self.heard.append((numbered.number, numbered.happening.kind))

    def notify(self, notice: Notice) -> None:
        self.notices.append(notice)


class Shelf:
    """``Recorder``: remembers what it was to keep for good."""

    def __init__(self) -> None:
        self.cycles = 0
        self.minutes: list[datetime] = []
        self.marks: list[Mark] = []

    @property
    def kept(self) -> list[tuple[datetime, datetime]]:
        return [(mark.start, mark.end) for mark in self.marks]

    def add_minute(self, at: datetime, values: Mapping[str, float | None]) -> None:
        self.minutes.append(at)

    def keep(self, marks: Sequence[Mark]) -> None:
        self.marks.extend(marks)

    def add(
        self,
        observation: Observation,
        memory_before: Memory,
        settings: Settings,
        facts: SiteFacts,
        decision: Decision,
        marks: Sequence[Mark] = (),
    ) -> None:
        self.cycles += 1
        self.keep(marks)


class Office:
    """A scribe with all that it writes to."""

    def __init__(self, *standing: Notice) -> None:
        self.journal, self.shelf, self.bystander = MemoryJournal(), Shelf(), Bystander()
        self.scribe = Scribe(self.journal, self.shelf, self.bystander, _memory, standing)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """The scribe writes until the block ends; it must not end by itself."""
        task = asyncio.create_task(self.scribe.write())
        yield
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def sees(self, *images: Image) -> None:
        """The cycle shows images, and what can be written is."""
        for image in images:
            self.scribe.witness(image)
        await passes(1)

    @property
    def kinds(self) -> list[str]:
        return [kind for _, kind in self.bystander.heard]


def _memory(memory: Memory) -> Mapping[str, Any]:
    return {"at": memory.at}


def an_image(seconds: float, *kinds: str, memory: Memory | None = None, **told: Any) -> Image:
    """A cycle in which these things happened; ``told``: notices and keys cleared."""
    at = after(seconds)
    memory = replace(memory or Memory(), at=at)
    decision = Decision(at, Grid.ON, Supply.GRID, {}, None, {}, "idle", {}, (), 1200, memory, **told)
    happenings = tuple(Happening(kind, "site", at, frozen_map({"uid": "e1"})) for kind in kinds)
    return Image(an_observation(seconds), Memory(), Settings(), a_site(), decision, {}, {}, happenings, None)


def a_notice(key: str, kind: str = "outage") -> Notice:
    return Notice(key, kind, "critical", after(0), frozen_map({}))


# ------------------------------------------------------------------------------------------------------------- in order


@leaping
async def test_what_happened_is_told_in_order_with_the_journals_numbers() -> None:
    office = Office()
    async with office.writing():
        await office.sees(an_image(1, "outage_started", "backup_started"), an_image(2, "grid_returned"))
    assert office.bystander.heard == [(1, "outage_started"), (2, "backup_started"), (3, "grid_returned")]


@leaping
async def test_memory_is_saved_last_so_that_a_crash_tells_news_twice_rather_than_never() -> None:
    office = Office()
    async with office.writing():
        await office.sees(an_image(1, "outage_started", notices=(a_notice("outage"),)))
    assert office.journal.wrote == ["notice: outage", "happenings", "document: memory"]


@leaping
async def test_memory_is_saved_every_few_seconds_when_nothing_happens_and_at_once_when_something_does() -> None:
    office = Office()
    async with office.writing():
        await office.sees(*(an_image(second) for second in range(11)))
        assert office.journal.wrote == ["document: memory"] * 3
        await office.sees(an_image(11, "vehicle_connected"))
        assert office.journal.documents["memory"] == {"at": after(11)}
    assert timedelta(seconds=5) == SAVE_MEMORY_EVERY


@leaping
async def test_every_cycle_is_shown_and_recorded_and_each_minute_over_gives_a_row() -> None:
    office = Office()
    for second in range(0, 180, 10):
        office.scribe.witness(an_image(second))
    assert (office.shelf.cycles, len(office.bystander.shown)) == (18, 18)
    assert office.shelf.minutes == [after(0), after(60)]


@leaping
async def test_a_disk_that_does_not_keep_up_holds_up_no_cycle() -> None:
    office = Office()
    for second in range(1500):
        office.scribe.witness(an_image(second, "vehicle_connected"))
    assert len(office.bystander.shown) == office.shelf.cycles == 1500
    async with office.writing():
        await until(lambda: len(office.kinds) == 1000)
        await office.sees(an_image(1501, "vehicle_disconnected"))
    assert office.kinds[-1] == "vehicle_disconnected"


# -------------------------------------------------------------------------------------------------------------- notices


@leaping
async def test_a_notice_stands_until_it_is_cleared() -> None:
    office = Office()
    async with office.writing():
        await office.sees(an_image(1, notices=(a_notice("outage"), a_notice("stop", "stopped"))), an_image(2))
        assert [notice.number for notice in office.bystander.notices] == [1, 2]
        assert [notice.key for notice in office.scribe.standing] == ["outage", "stop"]
        await office.sees(an_image(3, cleared=("stop",)))
        assert [notice.key for notice in office.scribe.standing] == ["outage"]
        assert [notice.key for notice in await office.journal.standing_notices()] == ["outage"]
        await office.sees(an_image(4))
    assert office.bystander.shown[-1] == ["outage"]


@leaping
async def test_a_notice_of_the_same_key_takes_the_place_of_the_former() -> None:
    office = Office()
    async with office.writing():
        await office.sees(an_image(1, notices=(a_notice("outage"),)))
        await office.sees(an_image(2, notices=(a_notice("outage", "power_back"),)))
    assert [(notice.number, notice.kind) for notice in office.scribe.standing] == [(2, "power_back")]


@leaping
async def test_a_notice_that_a_person_has_read_stands_no_longer() -> None:
    office = Office(replace(a_notice("stop"), number=7))
    async with office.writing():
        await office.sees(an_image(1, notices=(a_notice("outage"),)))
        office.scribe.acknowledged(1)
        assert [notice.number for notice in office.scribe.standing] == [7]
        office.scribe.acknowledged(99)
        assert [notice.number for notice in office.scribe.standing] == [7]


@pytest.mark.parametrize(
    ("delivered", "back_after_s", "kind", "calls"),
    [(True, 59, "generator", 1), (True, 61, "generator", 2), (False, 2, "generator", 2), (True, 2, "stopped", 2)],
)
@leaping
async def test_a_notice_that_was_brought_and_comes_back_at_once_stands_and_calls_nobody_anew(
    delivered: bool, back_after_s: float, kind: str, calls: int
) -> None:
    office = Office()
    async with office.writing():
        await office.sees(an_image(1, notices=(a_notice("generator", "generator"),)))
        if delivered:
            await office.journal.mark_notice(1, delivered_at=after(1))
        await office.sees(an_image(10, cleared=("generator",)))
        back = replace(a_notice("generator", kind), raised_at=after(10 + back_after_s))
        await office.sees(an_image(10 + back_after_s, notices=(back,)))
        assert [notice.number for notice in office.scribe.standing] == [2]
        assert len(office.bystander.notices) == calls
        assert [one.delivered_at is None for one in await office.journal.standing_notices()] == [calls == 2]


@leaping
async def test_a_contact_that_bounces_for_an_hour_calls_people_once() -> None:
    office = Office()
    async with office.writing():
        for second in range(0, 3600, 4):
            notice = replace(a_notice("generator", "generator"), raised_at=after(second))
            await office.sees(an_image(second, notices=(notice,)))
            if second == 0:
                await office.journal.mark_notice(1, delivered_at=after(0))
            await office.sees(an_image(second + 2, cleared=("generator",)))
    assert len(office.bystander.notices) == 1


@leaping
async def test_of_a_fault_that_comes_and_goes_four_an_hour_are_told_and_the_next_says_how_many_were_not() -> None:
    office = Office()
    async with office.writing():
        for second in range(0, 3600, 10):
            await office.sees(an_image(second, "fault_raised", "vehicle_connected"))
        await office.sees(an_image(3600, "fault_raised"), an_image(3601, "order_refused"))
    told = [one.happening for one in office.journal.happenings if one.happening.kind == "fault_raised"]
    assert [(one.at, one.data.get("repeats")) for one in told] == [
        *((after(second), None) for second in (0, 10, 20, 30)),
        (after(3600), 356),
    ]
    assert office.kinds.count("vehicle_connected") == 360
    assert office.kinds[-1] == "order_refused"


# ------------------------------------------------------------------------------------------------------- the disk fails


@leaping
async def test_while_the_disk_fails_notices_are_brought_with_numbers_that_no_journal_gave() -> None:
    office = Office()
    office.journal.disk_fails = True
    async with office.writing():
        await office.sees(an_image(1, "outage_started", notices=(a_notice("outage"), a_notice("reserve"))))
        assert [notice.key for notice in office.bystander.notices] == ["outage", "reserve"]
        first, second = (notice.number for notice in office.bystander.notices)
        assert UNKEPT_FROM < first < second
        assert [notice.number for notice in office.scribe.standing] == [first, second]
        office.scribe.acknowledged(first)
        await office.sees(an_image(2, cleared=("reserve",)))
        assert office.scribe.standing == []


@leaping
async def test_what_happened_while_the_disk_failed_is_told_when_it_works_again_in_order_and_once() -> None:
    office = Office()
    async with office.writing():
        office.journal.disk_fails = True
        await office.sees(an_image(1, "outage_started", "backup_started"), an_image(2, "vehicle_connected"))
        assert office.kinds == []
        office.journal.disk_fails = False
        await office.sees(an_image(3, "grid_returned"), an_image(4, "outage_ended"))
        await office.sees(an_image(30))
    told = ["outage_started", "backup_started", "vehicle_connected", "grid_returned", "outage_ended"]
    assert office.bystander.heard == list(enumerate(told, 1))
    assert [one.happening.kind for one in office.journal.happenings] == told


@leaping
async def test_a_disk_that_fails_between_two_happenings_loses_none_and_tells_none_twice() -> None:
    office = Office()
    office.journal.slow_s = 1.0
    async with office.writing():
        office.scribe.witness(an_image(1, "outage_started", "backup_started", "vehicle_connected"))
        await until(lambda: office.kinds == ["outage_started"])
        office.journal.disk_fails = True
        await passes(5)
        office.journal.disk_fails, office.journal.slow_s = False, 0.0
        await office.sees(an_image(9, "grid_returned"))
    assert office.kinds == ["outage_started", "backup_started", "vehicle_connected", "grid_returned"]


@leaping
async def test_of_a_disk_that_fails_for_long_the_newest_happenings_are_told() -> None:
    office = Office()
    async with office.writing():
        office.journal.disk_fails = True
        for second in range(MOST_UNTOLD + 10):
            await office.sees(an_image(second, f"happening_{second}"))
        office.journal.disk_fails = False
        await office.sees(an_image(2000, "last"))
    assert (len(office.kinds), office.kinds[0], office.kinds[-1]) == (MOST_UNTOLD, "happening_11", "last")


@leaping
async def test_the_memory_that_could_not_be_saved_is_saved_once_the_disk_works() -> None:
    office = Office()
    async with office.writing():
        office.journal.disk_fails = True
        await office.sees(an_image(1, "outage_started"))
        assert office.journal.documents == {}
        office.journal.disk_fails = False
        await office.sees(*(an_image(second) for second in range(2, 8)))
    assert office.journal.documents["memory"]["at"] >= after(6)


# -------------------------------------------------------------------------------------------------------- kept for good


@leaping
async def test_an_outage_is_kept_whole_with_what_led_to_it_and_what_followed() -> None:
    office = Office()
    memory = Memory(outage=OutageMemory(started_at=after(0), ended_at=after(36000)))
    async with office.writing():
        await office.sees(an_image(36000, "outage_ended", memory=memory))
    assert office.shelf.kept == [(after(0) - KEPT_AROUND, after(36000) + KEPT_AROUND)]
    assert timedelta(minutes=15) == KEPT_AROUND


@pytest.mark.parametrize("kind", ["event_completed", "event_missed"])
@leaping
async def test_an_event_is_kept_whole(kind: str) -> None:
    office = Office()
    account = EventMemory(EventStage.FINISHED, after(7200), "Hot evening", "peak", after(0), after(7200))
    async with office.writing():
        await office.sees(an_image(7200, kind, memory=Memory(events=frozen_map({"e1": account}))))
    assert office.shelf.kept == [(after(0) - KEPT_AROUND, after(7200) + KEPT_AROUND)]


@leaping
async def test_what_is_kept_is_marked_in_its_own_cycle_so_that_a_failing_disk_loses_no_mark() -> None:
    office = Office()
    office.journal.disk_fails = True
    office.scribe.witness(an_image(100, "control_contested", "order_refused"))
    assert [(mark.at, mark.what) for mark in office.shelf.marks] == [
        (after(100), "control_contested"),
        (after(100), "order_refused"),
    ]


@leaping
async def test_what_a_person_stopped_is_kept_though_it_was_told_between_two_cycles() -> None:
    office = Office()
    await office.scribe.tell("stop_pressed", after(100))
    await office.scribe.tell("stop_reset", after(200))
    assert office.shelf.kept == [(after(100) - KEPT_AROUND, after(100) + KEPT_AROUND)]


@leaping
async def test_a_fault_is_kept_with_its_surroundings_and_an_unplugged_vehicle_is_not() -> None:
    office = Office()
    async with office.writing():
        await office.sees(an_image(100, "fault_raised"), an_image(200, "vehicle_disconnected"))
    assert office.shelf.kept == [(after(100) - KEPT_AROUND, after(100) + KEPT_AROUND)]
