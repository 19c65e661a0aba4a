"""What is remembered of loads survives the journal, a restart and a clock that is set."""

from datetime import timedelta

from edge_service.domain.memory import LoadMemory, LoadsMemory, Memory
from edge_service.domain.model import LoadOrder, frozen_map
from edge_service.journal.encoding import from_plain, to_plain
from tests.edge.domain.houses import after

SHED = LoadMemory(LoadOrder.SHED, after(10), "overload", 2, 1, kept=True, power_w=4000, counted=True, shed_proven=True)
LOADS = LoadsMemory(
    frozen_map({"oven": SHED, "pump": LoadMemory(silent_since=after(12))}),
    house_w=5000,
    leg_w=(3000, 2000),
    overload_since=after(20),
    overloaded_at=after(21),
    collapsed_at=after(5),
    last_restored_at=after(6),
)


def test_it_comes_back_from_the_journal_as_it_was() -> None:
    memory = Memory(at=after(30), loads=LOADS)
    assert from_plain(Memory, to_plain(memory)) == memory


def test_a_restart_forgets_nothing_of_it() -> None:
    assert Memory(at=after(30), loads=LOADS).after_restart().loads == LOADS


def test_every_delay_goes_on_as_it_was_when_the_clock_is_set() -> None:
    moved = Memory(at=after(30), loads=LOADS).shifted(timedelta(hours=1)).loads
    assert moved.group("oven").since == after(3610)
    assert moved.group("pump").silent_since == after(3612)
    times = (moved.overload_since, moved.overloaded_at, moved.collapsed_at, moved.last_restored_at)
    assert times == (after(3620), after(3621), after(3605), after(3606))


def test_a_time_that_has_not_come_yet_is_taken_for_now() -> None:
    known = Memory(at=after(30), loads=LOADS).not_after(after(11)).loads
    assert known.group("oven").since == after(10)
    assert known.group("pump").silent_since == after(11)
    assert (known.overload_since, known.last_restored_at) == (after(11), after(6))
