"""What is kept of an outage, held against what the stories' houses went through."""

from pathlib import Path

import pytest

from tests.edge.scenarios.story import play_file

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ["outage-island-return", "outage-flapping-grid"])
def test_darkness_counts_from_the_first_sign_to_the_island_and_again_in_the_return(name: str) -> None:
    outage = play_file(HERE / f"{name}.json").memory.outage
    assert outage is not None
    returning_s = 2.0
    assert (outage.transfer_s, outage.dark_s) == (4.0, 4.0 + returning_s)


def test_a_house_without_backup_is_dark_for_the_whole_outage() -> None:
    outage = play_file(HERE / "no-switch.json").memory.outage
    assert outage is not None
    assert outage.ended_at is not None
    assert outage.dark_s == (outage.ended_at - outage.started_at).total_seconds()


def test_a_house_that_a_gateway_carries_is_not_dark() -> None:
    outage = play_file(HERE / "vendor-backup.json").memory.outage
    assert outage is not None
    assert outage.dark_s == 0.0
