"""An event that is moved or cut while it runs, and a clock that is set in it: counted is what was given within it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from edge_service.domain.decide import decide
from edge_service.domain.memory import EventMemory, EventStage, Gap, Memory
from edge_service.domain.model import Event, Settings
from tests.edge.domain.houses import a_site, after, an_event, an_observation

CALL = an_event("peak:1", 10, 110, -3600)


def run(event: Event | None, begin: int, until: int, memory: Memory, power_w: int = -3600) -> Memory:
    """Decide once a second; 3.6 kW are a watt hour each second."""
    for second in range(begin, until):
        events = () if event is None else (event,)
        observation = an_observation(second, {"car": {"power_w": power_w}}, events=events)
        memory = decide(observation, memory, Settings(), a_site()).memory
    return memory


def account(memory: Memory) -> EventMemory:
    return memory.events["peak:1"]


def at(event: Event, start: float, end: float) -> Event:
    return replace(event, slots=(replace(event.slots[0], start=after(start), end=after(end)),))


def test_an_event_cut_to_a_moment_ago_is_over_with_what_was_given_until_then() -> None:
    memory = run(CALL, 0, 61, Memory())
    memory = run(at(CALL, 10, 50), 61, 62, memory)
    assert account(memory).stage is EventStage.FINISHED
    assert account(memory).charger_wh == pytest.approx(40, abs=0.1)
    assert account(memory).site_wh is not None
    assert account(memory).average_w == pytest.approx(3600, abs=10)
    assert account(memory).run_s == pytest.approx(40, abs=0.1)


def test_what_was_given_before_an_event_was_put_off_is_not_part_of_it() -> None:
    memory = run(CALL, 0, 31, Memory())
    tomorrow = at(CALL, 10 + 86_400, 110 + 86_400)
    memory = run(tomorrow, 31, 33, memory)
    assert (account(memory).charger_wh, account(memory).run_s, account(memory).counted_to) == (0, 0, None)
    memory = run(tomorrow, 86_400, 86_520, replace(memory, at=after(86_399)))
    assert account(memory).charger_wh == pytest.approx(100, abs=1)


def test_of_an_event_that_begins_later_after_all_only_what_falls_into_it_counts() -> None:
    memory = run(CALL, 0, 51, Memory())
    memory = run(at(CALL, 30, 130), 51, 140, memory)
    assert account(memory).charger_wh == pytest.approx(100, abs=1)


def test_a_clock_that_is_set_back_in_an_event_counts_nothing_twice() -> None:
    memory = run(CALL, 0, 61, Memory())
    memory = run(CALL, 31, 120, memory.shifted(timedelta(seconds=-30)))
    assert account(memory).charger_wh == pytest.approx(100, abs=1)


def test_a_clock_that_was_ahead_for_a_moment_leaves_no_gap_in_what_is_yet_to_come() -> None:
    memory = run(CALL, 0, 61, Memory())
    memory = run(None, 500, 501, memory.shifted(timedelta(seconds=440)))
    assert account(memory).gaps == (Gap(after(60), after(110)),)
    memory = run(CALL, 61, 120, memory.shifted(timedelta(seconds=-440)))
    assert account(memory).stage is EventStage.FINISHED
    assert account(memory).gap_s == pytest.approx(0, abs=1.5)
    assert account(memory).charger_wh == pytest.approx(100, abs=2)


def test_an_event_that_its_server_drops_in_its_last_moments_was_served() -> None:
    hour = at(CALL, 10, 3610)
    memory = run(hour, 0, 60, Memory())
    memory = run(None, 3580, 3581, run(hour, 3570, 3580, replace(memory, at=after(3569))))
    assert account(memory).stage is EventStage.FINISHED
    memory = run(hour, 0, 60, Memory())
    memory = run(None, 3500, 3501, run(hour, 3490, 3500, replace(memory, at=after(3489))))
    assert account(memory).stage is EventStage.CANCELLED
