"""A utility whose protocol asks hears whether its events are served: each change of mind, once, sooner or later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from edge_service.domain.model import Settings
from edge_service.participation import AGAIN_AFTER_S, Participation
from edge_service.ports import ProgramError
from tests.edge.domain.houses import an_event
from tests.edge.fakes import leaping, passes, until

EVENT = an_event("e1", 60, 600)
OUT = Settings(opted_out=frozenset({"e1"}))


class Hears:
    """``TellsParticipation``: what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool]] = []
        self.unreachable = self.defect = False

    async def tell_participation(self, event: str, *, takes_part: bool) -> None:
        if self.unreachable:
            raise ProgramError("the server does not answer")
        if self.defect:
            raise OverflowError("date value out of range")
        self.told.append((event, takes_part))


@asynccontextmanager
async def telling() -> AsyncIterator[tuple[Participation, Hears]]:
    participation, utility = Participation(), Hears()
    participation.attend({"peak": utility})
    task = asyncio.create_task(participation.run())
    try:
        yield participation, utility
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@leaping
async def test_each_change_of_mind_is_told_once() -> None:
    async with telling() as (participation, utility):
        for settings in (Settings(), Settings(), OUT, OUT, Settings()):
            participation.follow([EVENT], settings)
            await passes(1)
        assert utility.told == [("e1", True), ("e1", False), ("e1", True)]


@leaping
async def test_a_defect_in_telling_ends_nothing_and_the_word_is_told_later() -> None:
    async with telling() as (participation, utility):
        utility.defect = True
        participation.follow([EVENT], Settings())
        await passes(1)
        utility.defect = False
        await passes(AGAIN_AFTER_S)
        assert utility.told == [("e1", True)]


@leaping
async def test_a_server_that_cannot_be_told_is_told_later_and_only_the_last_word() -> None:
    async with telling() as (participation, utility):
        utility.unreachable = True
        participation.follow([EVENT], Settings())
        await passes(1)
        participation.follow([EVENT], OUT)
        utility.unreachable = False
        await until(lambda: utility.told, 2 * AGAIN_AFTER_S)
        await passes(1)
        assert utility.told == [("e1", False)]


@leaping
async def test_a_server_that_was_silent_hears_it_though_nothing_is_said_anew() -> None:
    async with telling() as (participation, utility):
        utility.unreachable = True
        participation.follow([EVENT], OUT)
        await passes(1)
        utility.unreachable = False
        await until(lambda: utility.told, 2 * AGAIN_AFTER_S)
        assert utility.told == [("e1", False)]


@leaping
async def test_an_event_that_asks_a_person_is_answered_when_the_person_has_spoken() -> None:
    async with telling() as (participation, utility):
        asks = replace(EVENT, asks=True)
        participation.follow([asks], Settings())
        await passes(1)
        assert utility.told == []
        participation.follow([asks], Settings(opted_in=frozenset({"e1"})))
        await passes(1)
        assert utility.told == [("e1", True)]


@leaping
async def test_rehearsals_cancelled_events_and_programs_that_do_not_ask_are_not_told() -> None:
    async with telling() as (participation, utility):
        others = [replace(EVENT, rehearsal=True), replace(EVENT, uid="e2", cancelled=True)]
        participation.follow([*others, replace(EVENT, uid="e3", program_id="net")], Settings())
        await passes(5)
        assert utility.told == []


@leaping
async def test_a_source_that_was_opened_anew_is_told_what_stands() -> None:
    async with telling() as (participation, _):
        participation.follow([EVENT], OUT)
        await passes(1)
        anew = Hears()
        participation.attend({"peak": anew})
        participation.follow([EVENT], OUT)
        await passes(1)
        assert anew.told == [("e1", False)]
