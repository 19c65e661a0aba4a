"""Every story in this folder is found and played."""

from itertools import pairwise
from pathlib import Path

import pytest

from edge_service.domain.policies import LADDER
from tests.edge.scenarios.story import StoryError, differences, play_file

STORIES = sorted(Path(__file__).parent.glob("*.json"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_the_story_goes_as_told(path: Path) -> None:
    differs = None
    try:
        play = play_file(path)
    except StoryError as error:
        differs = str(error)
    if differs is not None:
        pytest.fail(differs, pytrace=False)
    assert play.story["expect"], f"{path.name} expects nothing"
    assert play.story["title"]


def test_each_rung_and_each_pair_of_neighbours_has_its_story() -> None:
    names = [rung.name for rung in LADDER]
    stories = {path.stem for path in STORIES}
    pairs = [f"ladder-{upper}-over-{lower}" for upper, lower in pairwise(names)]
    assert not [name for name in [*(f"rung-{name}" for name in names), *pairs] if name not in stories]


@pytest.mark.parametrize("place", range(len(LADDER) - 1))
def test_the_story_of_two_neighbours_does_not_go_as_told_when_they_are_swapped(place: int) -> None:
    upper, lower = LADDER[place : place + 2]
    swapped = (*LADDER[:place], lower, upper, *LADDER[place + 2 :])
    path = Path(__file__).parent / f"ladder-{upper.name}-over-{lower.name}.json"
    with pytest.raises(StoryError):
        play_file(path, swapped)


def test_an_expectation_that_nobody_understands_is_an_error() -> None:
    with pytest.raises(StoryError, match="cannot expect"):
        differences({"at": 1, "gird": "on"}, {"grid": "on"})
