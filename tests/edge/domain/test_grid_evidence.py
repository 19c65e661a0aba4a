"""The word of a charger on the grid is as old as its last look at it, not as its last whole reading."""

from datetime import UTC, datetime, timedelta

import pytest

from edge_service.domain.grid import Verdict, assess
from edge_service.domain.memory import GridMemory
from edge_service.domain.model import ChargerFacts, ChargerReading, ChargerState, Observation, SiteFacts, frozen_map

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)
FACTS = SiteFacts(name="Home", chargers=frozen_map({"car": ChargerFacts("car", "Car", None)}), import_max_w=24_000)


@pytest.mark.parametrize(
    ("grid_seen_s_ago", "verdict"),
    [(None, Verdict.SILENT), (FACTS.stale_after_s + 1, Verdict.SILENT), (0.1, Verdict.LOST)],
)
def test_what_the_fast_lane_saw_counts_although_the_whole_reading_is_stale(
    grid_seen_s_ago: float | None, verdict: Verdict
) -> None:
    reading = ChargerReading(
        at=NOW - timedelta(seconds=FACTS.stale_after_s + 2),
        state=ChargerState.IDLE,
        grid_present=False,
        grid_at=None if grid_seen_s_ago is None else NOW - timedelta(seconds=grid_seen_s_ago),
    )
    observation = Observation(now=NOW, chargers=frozen_map({"car": reading}))
    assert assess(observation, GridMemory(), FACTS).verdict is verdict
