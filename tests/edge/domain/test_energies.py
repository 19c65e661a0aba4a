"""What went into a vehicle since it was plugged in, and what it gave for what."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from edge_service.domain.energies import follow, given_wh, session_wh
from edge_service.domain.memory import ChargerMemory, EventMemory, EventStage, Memory, OutageMemory
from edge_service.domain.model import Grid, Settings, Supply, frozen_map
from edge_service.domain.view import View
from edge_service.journal.encoding import from_plain, to_plain
from tests.edge.domain.houses import T0, a_reading, a_site, after, an_observation

OUTAGE = OutageMemory(T0)
EVENT = EventMemory(EventStage.RUNNING, T0, "Peak", "peak", T0, after(600))


class Count:
    """A charger's memory, cycle after cycle."""

    def __init__(self) -> None:
        self.memory = ChargerMemory()
        self.reading = a_reading(T0)

    def sees(
        self,
        charged: int | None,
        discharged: int | None,
        *,
        plugged: bool | None = True,
        outage: OutageMemory | None = None,
        events: Iterable[EventMemory] = (),
        supply: Supply = Supply.GRID,
        silent: bool = False,
    ) -> None:
        changes: dict[str, Any] = {"energy_charged_wh": charged, "energy_discharged_wh": discharged, "plugged": plugged}
        self.reading = a_reading(T0, **changes)
        seen = an_observation(0)
        seen = replace(seen, chargers=frozen_map({"car": None if silent else self.reading}))
        known = Memory(outage=outage, events=frozen_map({str(number): one for number, one in enumerate(events)}))
        view = View(seen, known, Settings(), a_site(), Grid.ON, supply, None)
        after_ = self.memory if plugged is None or silent else replace(self.memory, plugged=plugged)
        self.memory = follow(view, "car", self.memory, after_)

    @property
    def session(self) -> tuple[int | None, int | None]:
        return session_wh(self.memory.energy, self.reading)

    @property
    def given(self) -> tuple[int | None, int | None]:
        return given_wh(self.memory.energy, self.reading)

    def restarts(self) -> None:
        kept = Memory(chargers=frozen_map({"car": self.memory})).after_restart()
        self.memory = from_plain(Memory, to_plain(kept, Memory)).charger("car")


def test_a_session_counts_from_the_plug_and_a_restart_loses_nothing_of_it() -> None:
    count = Count()
    count.sees(1000, 500, plugged=False)
    assert set(count.session) == {None}
    count.sees(1000, 500)
    count.sees(3000, 600)
    count.restarts()
    count.sees(4000, 900, silent=True)
    count.sees(5000, 900)
    assert count.session == (4000, 400)
    count.sees(5000, 900, plugged=None)
    assert count.session == (4000, 400)
    count.sees(5000, 900, plugged=False)
    assert set(count.session) == {None}


def test_a_vehicle_that_was_there_before_was_plugged_in_nobody_knows_when() -> None:
    count = Count()
    count.sees(1000, 500)
    count.sees(2000, 500)
    assert set(count.session) == {None}


def test_a_counter_that_begins_anew_with_the_session_counts_from_nothing() -> None:
    count = Count()
    count.sees(9000, 9000, plugged=False)
    count.sees(9000, 9000)
    count.sees(20, 0)
    assert count.session == (20, 0)
    count.sees(9500, 0)
    assert count.session == (9500, 0)


def test_a_charger_that_counts_nothing_tells_nothing() -> None:
    count = Count()
    count.sees(None, None, plugged=False)
    count.sees(None, None, outage=OUTAGE, supply=Supply.ISLAND)
    assert set(count.session) == {None}
    assert set(count.given) == {None}


def test_what_was_given_is_told_apart_and_kept() -> None:
    count = Count()
    count.sees(0, 1000)
    assert count.given == (0, 0)
    count.sees(0, 1000, events=[EVENT])
    count.sees(0, 1600, events=[EVENT])
    assert count.given == (0, 600)
    count.sees(0, 2000)
    count.sees(0, 5000)
    assert count.given == (0, 1000)
    count.sees(0, 5000, outage=OUTAGE, supply=Supply.ISLAND, events=[EVENT])
    count.restarts()
    count.sees(0, 7000, outage=OUTAGE, supply=Supply.ISLAND)
    assert count.given == (2000, 1000)
    count.sees(0, 7500, outage=replace(OUTAGE, ended_at=after(9)))
    count.sees(0, 8000, outage=replace(OUTAGE, ended_at=after(9)))
    assert count.given == (2500, 1000)


@pytest.mark.parametrize(
    ("event", "supply", "outage"),
    [
        (replace(EVENT, rehearsal=True), Supply.GRID, None),
        (replace(EVENT, stage=EventStage.FINISHED), Supply.GRID, None),
        (EVENT, Supply.ISLAND, None),
        (EVENT, Supply.ISLAND, replace(OUTAGE, ended_at=after(1))),
    ],
)
def test_neither_a_rehearsal_nor_a_drill_counts(
    event: EventMemory, supply: Supply, outage: OutageMemory | None
) -> None:
    count = Count()
    count.sees(0, 0, events=[event], supply=supply, outage=outage)
    count.sees(0, 500, events=[event], supply=supply, outage=outage)
    assert count.given == (0, 0)


def test_a_counter_that_falls_back_loses_nothing_that_was_counted() -> None:
    count = Count()
    count.sees(0, 1000, events=[EVENT])
    count.sees(0, 3000, events=[])
    count.sees(0, 3000, events=[EVENT])
    count.sees(0, 100, events=[EVENT])
    count.sees(0, 400, events=[EVENT])
    assert count.given == (0, 2400)


def test_nothing_is_remembered_anew_while_nothing_begins_or_ends() -> None:
    count = Count()
    count.sees(0, 1000, events=[EVENT])
    before = count.memory.energy
    for discharged in range(1001, 1100):
        count.sees(0, discharged, events=[EVENT])
        assert count.memory.energy is before
