"""The dark-start clock begins with the dark, outlives a restart, and ends with any supply; nobody hurries it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from edge_service.domain.dark_start import dark_start_at, follow, stands_still
from edge_service.domain.memory import GridMemory, Memory
from edge_service.domain.model import Backup, ChargerFacts, Grid, Settings, Supply, frozen_map
from edge_service.domain.view import View
from edge_service.journal.encoding import from_plain, to_plain
from tests.edge.domain.houses import DER, T0, a_site, after, an_observation

FACTS = replace(a_site(), dark_start_min=10.0)


def seen(supply: Supply, seconds: float = 0, plugged: bool | None = True) -> View:
    vendor = ChargerFacts("car", "Car", replace(DER, backup=Backup.VENDOR))
    facts = replace(FACTS, chargers=frozen_map({"car": vendor}), switch=None)
    observation = an_observation(seconds, {"car": {"plugged": plugged}})
    return View(observation, Memory(), Settings(), facts, Grid.OUTAGE, supply, None)


@pytest.mark.parametrize(
    ("supply", "plugged", "since_s"),
    [
        (Supply.GRID, True, None),
        (Supply.ISLAND, True, None),
        (Supply.VENDOR_BACKUP, True, None),
        (Supply.VENDOR_BACKUP, None, None),
        (Supply.VENDOR_BACKUP, False, 60),
        (Supply.NONE, True, 60),
        (Supply.TRANSFER, True, 60),
        (Supply.UNKNOWN, True, None),
    ],
)
def test_the_clock_begins_where_nothing_is_known_to_feed_the_house(
    supply: Supply, plugged: bool | None, since_s: float | None
) -> None:
    since = follow(seen(supply, 60, plugged), Memory())
    assert since == (None if since_s is None else after(since_s))


@pytest.mark.parametrize(
    ("supply", "runs_on"),
    [
        (Supply.NONE, True),
        (Supply.TRANSFER, True),
        (Supply.UNKNOWN, True),
        (Supply.ISLAND, False),
        (Supply.GRID, False),
    ],
)
def test_a_clock_that_runs_goes_on_until_something_feeds_the_house(supply: Supply, runs_on: bool) -> None:
    assert follow(seen(supply, 300), Memory(dark_since=T0)) == (T0 if runs_on else None)


def test_a_moment_that_has_passed_stays_told_and_a_maker_who_declares_nothing_has_none() -> None:
    assert dark_start_at(Memory(dark_since=T0), FACTS) == after(600)
    assert dark_start_at(Memory(dark_since=T0), a_site()) is None
    assert dark_start_at(Memory(), FACTS) is None


def test_a_transfer_is_no_standstill() -> None:
    assert not stands_still(Memory(dark_since=T0), after(59))
    assert stands_still(Memory(dark_since=T0), after(60))


def test_it_outlives_a_restart_and_moves_with_a_clock_that_is_set() -> None:
    memory = Memory(at=after(100), dark_since=T0, grid=GridMemory(islanders=frozenset({"car"}), neutral_lost_since=T0))
    assert memory.after_restart().dark_since == T0
    assert memory.shifted(timedelta(hours=1)).dark_since == after(3600)
    assert memory.not_after(after(-50)).dark_since == after(-50)
    assert from_plain(Memory, to_plain(memory)) == memory
