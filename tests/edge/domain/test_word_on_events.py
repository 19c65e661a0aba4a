"""A person's no to an event outlives whatever its utility's list does meanwhile."""

from edge_service.domain.commands import expire
from edge_service.domain.decide import decide
from edge_service.domain.memory import EventStage, Memory
from edge_service.domain.model import Event, Settings
from tests.edge.domain.houses import a_site, an_event, an_observation

CALL = an_event("peak:1", 60, 3660)
DAY_S = 86_400
NO = Settings(opted_out=frozenset({"peak:1"}))


def later(memory: Memory, settings: Settings, second: int, *events: Event) -> tuple[Memory, Settings]:
    """A cycle as the runner makes it."""
    observation = an_observation(second, {"car": {}}, events=events)
    settings = expire(settings, memory, observation.now)
    return decide(observation, memory, settings, a_site()).memory, settings


def test_an_event_that_was_left_out_is_not_served_when_its_list_loses_it_and_has_it_again() -> None:
    memory, settings = later(Memory(), NO, 0, CALL)
    for second in (1, 2, 3):
        memory, settings = later(memory, settings, second)
    assert memory.events["peak:1"].stage is EventStage.CANCELLED
    for second in (100, 101, 102):
        memory, settings = later(memory, settings, second, CALL)
    assert memory.events["peak:1"].stage is EventStage.OPTED_OUT


def test_an_event_that_was_left_out_is_not_served_when_it_is_made_longer_after_its_end() -> None:
    memory, settings = later(Memory(), NO, 0, CALL)
    for second in (3660, 3670, 3690):
        memory, settings = later(memory, settings, second, CALL)
    longer = an_event("peak:1", 60, 7200)
    for second in (3700, 3701):
        memory, settings = later(memory, settings, second, longer)
    assert memory.events["peak:1"].stage is EventStage.OPTED_OUT


def test_a_no_is_forgotten_a_day_after_its_event() -> None:
    memory, settings = later(Memory(), NO, 0, CALL)
    memory, settings = later(memory, settings, 3661, CALL)
    memory, settings = later(memory, settings, 3660 + DAY_S - 1)
    assert settings.opted_out
    memory, settings = later(memory, settings, 3660 + DAY_S)
    assert not settings.opted_out
