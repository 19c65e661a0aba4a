"""A recorded cycle comes back exactly as it was, whatever changed between cycles."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st

from edge_service.domain.model import (
    ChargerFacts,
    ChargerReading,
    ChargerState,
    Contact,
    ContactReading,
    Departure,
    Event,
    GridEvidence,
    MeterReading,
    Mode,
    Observation,
    Order,
    Power,
    Settings,
    SiteFacts,
    Slot,
    SwitchReading,
    frozen_map,
)
from edge_service.journal import recording
from edge_service.journal.database import JournalError
from edge_service.journal.delta import difference, patch
from edge_service.journal.recording import CycleRecorder, RecordedCycle, read_stretch

AT = datetime(2026, 7, 1, 17, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FACTS = SiteFacts("Home", frozen_map({"ccu": ChargerFacts("ccu", "Garage")}), import_max_w=24000)
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Remembered:
    """Stands for the domain's memory: any frozen dataclass."""

    cycle: int
    order: Order | None = None


BEGINNING = datetime(1990, 1, 1, tzinfo=UTC)
times = st.datetimes(BEGINNING.replace(tzinfo=None), timezones=st.just(UTC))
KNOWN: dict[Any, st.SearchStrategy[Any]] = {
    datetime: times,
    float | None: st.none() | st.floats(allow_nan=False),
    datetime | None: st.none() | times,
}


def any_of(kind: Any, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Instances of ``kind`` with every field drawn."""
    hints: dict[str, Any] = {field.name: field.type for field in fields(kind)}
    drawn = {name: KNOWN.get(hint, st.from_type(hint)) for name, hint in hints.items() if name not in known}
    return st.builds(kind, **drawn, **known)


slots = any_of(Slot)
observations = any_of(
    Observation,
    now=st.datetimes(datetime(2026, 7, 1), datetime(2026, 7, 7), timezones=st.just(UTC)),  # noqa: DTZ001
    chargers=st.dictionaries(st.sampled_from("abc"), st.none() | any_of(ChargerReading), max_size=3).map(frozen_map),
    meter=st.none() | any_of(MeterReading),
    switch=st.none() | any_of(SwitchReading),
    evidence=st.lists(any_of(GridEvidence), max_size=2).map(tuple),
    events=st.lists(any_of(Event, slots=st.lists(slots, max_size=2).map(tuple)), max_size=2).map(tuple),
    stopped=st.dictionaries(st.sampled_from("abc"), times, max_size=2).map(frozen_map),
    contested=st.dictionaries(st.sampled_from("abc"), times, max_size=2).map(frozen_map),
    contacts=st.dictionaries(st.sampled_from(Contact), any_of(ContactReading), max_size=2).map(frozen_map),
    departures=st.dictionaries(st.sampled_from("abc"), any_of(Departure), max_size=2).map(frozen_map),
)


def observed(number: int, power_w: int = 0) -> Observation:
    now = AT + number * SECOND
    reading = ChargerReading(now, ChargerState.DISCHARGING, plugged=True, power_w=power_w, soc_pct=60.0)
    return Observation(now, frozen_map({"ccu": reading}), MeterReading(now, power_w + 800))


async def record(
    folder: Path,
    cycles: list[tuple[Observation, Settings]],
    *,
    keyframe_every: int = 3,
    digest: Callable[[int], dict[str, Any]] = lambda number: {"order": number},
) -> None:
    recorder = await CycleRecorder.open(folder, keyframe_every, write_every=2)
    for number, (observation, settings) in enumerate(cycles):
        recorder.add(observation, Remembered(number, Power(number)), settings, FACTS, digest(number))
        if number % 300 == 299:
            await recorder.flush()
    await recorder.close()
    assert recorder.lost == 0


def read(folder: Path, start: datetime = BEGINNING, end: datetime = FOREVER) -> list[RecordedCycle[Remembered]]:
    return list(read_stretch(folder, start, end, Remembered))


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(observations, st.sampled_from([Settings(), Settings(mode=Mode.PAUSED)])), min_size=1, max_size=7)
)
def test_every_observation_comes_back_exactly(cycles: list[tuple[Observation, Settings]]) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(record(Path(folder), cycles))
        back = read(Path(folder))
    assert [cycle.observation for cycle in back] == [observation for observation, _ in cycles]
    assert [list(cycle.observation.chargers) for cycle in back] == [list(item.chargers) for item, _ in cycles]
    assert [cycle.settings for cycle in back] == [settings for _, settings in cycles]
    assert [cycle.decision for cycle in back] == [{"order": number} for number in range(len(cycles))]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(plain, plain)
def test_the_difference_of_two_trees_turns_one_into_the_other(old: Any, new: Any) -> None:
    assert repr(patch(old, difference(old, new))).replace("-0.0", "0.0") == repr(new).replace("-0.0", "0.0")


def test_an_unchanged_tree_has_no_difference() -> None:
    assert difference({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}) == []
    assert difference({"a": 1}, {"a": True}) == [(["a"], True)]


async def test_memory_is_known_at_each_keyframe(tmp_path: Path) -> None:
    await record(tmp_path, [(observed(number), Settings()) for number in range(7)])
    memories = [cycle.memory for cycle in read(tmp_path)]
    assert [memory.cycle if memory else None for memory in memories] == [0, None, None, 3, None, None, 6]
    assert memories[3] == Remembered(3, Power(3))


async def test_changed_settings_make_a_keyframe(tmp_path: Path) -> None:
    stopped = Settings(stopped=True)
    await record(tmp_path, [(observed(0), Settings()), (observed(1), stopped), (observed(2), stopped)])
    cycles = read(tmp_path)
    assert [cycle.memory is not None for cycle in cycles] == [True, True, False]
    assert [cycle.settings.stopped for cycle in cycles] == [False, True, True]
    assert cycles[0].facts == FACTS


async def test_a_stretch_begins_at_the_keyframe_before_and_ends_before_its_end(tmp_path: Path) -> None:
    await record(tmp_path, [(observed(number), Settings()) for number in range(20)])
    cycles = read(tmp_path, AT + 7 * SECOND, AT + 11 * SECOND)
    assert [cycle.at for cycle in cycles] == [AT + number * SECOND for number in (6, 7, 8, 9, 10)]
    assert cycles[0].memory is not None


async def test_a_clock_that_steps_back_does_not_break_the_chain(tmp_path: Path) -> None:
    order = [0, 1, 2, 3, -50, -49, -48, -47, 4, 5]
    cycles = [(observed(number, power_w=index), Settings()) for index, number in enumerate(order)]
    await record(tmp_path, cycles, keyframe_every=100)
    assert [cycle.observation for cycle in read(tmp_path)] == [observation for observation, _ in cycles]


async def test_a_restart_begins_with_a_keyframe(tmp_path: Path) -> None:
    await record(tmp_path, [(observed(0), Settings())])
    await record(tmp_path, [(observed(1), Settings())])
    assert [cycle.memory is not None for cycle in read(tmp_path)] == [True, True]


async def test_seven_days_are_kept_and_what_was_marked_for_good(tmp_path: Path) -> None:
    recorder = await CycleRecorder.open(tmp_path, keyframe_every=3, write_every=2)
    for number in range(12):
        recorder.add(observed(number), Remembered(number), Settings(), FACTS, {})
    await recorder.flush()
    await recorder.keep(AT + 4 * SECOND, AT + 5 * SECOND)
    later = replace(observed(0), now=AT + timedelta(days=8))
    recorder.add(later, Remembered(99), Settings(), FACTS, {})
    await recorder.close()
    seconds = [(cycle.at - AT).total_seconds() for cycle in read(tmp_path)]
    assert seconds == [3, 4, 5, timedelta(days=8).total_seconds()]


async def test_minute_rows_are_wide_and_a_repeated_minute_replaces(tmp_path: Path) -> None:
    recorder = await CycleRecorder.open(tmp_path)
    recorder.add_minute(AT, {"grid_w": 1.0})
    recorder.add_minute(AT, {"grid_w": -4200.5, "house_w": None, "ccu.power_w": -5000})
    await recorder.flush()
    rows = await recorder._database.run(lambda connection: connection.execute("SELECT * FROM minute").fetchall())
    await recorder.close()
    assert rows == [(AT.isoformat(timespec="microseconds"), -4200.5, None, '{"ccu.power_w":-5000}')]


async def test_a_file_damaged_while_running_is_replaced_and_recording_goes_on(tmp_path: Path) -> None:
    recorder = await CycleRecorder.open(tmp_path, write_every=1000)
    for number in range(500):
        recorder.add(observed(number), Remembered(number), Settings(mode=list(Mode)[number % 4]), FACTS, {"n": number})
    await recorder.flush()
    await recorder._database.run(
        lambda connection: connection.executescript("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA shrink_memory")
    )
    (tmp_path / recording.FILE).write_bytes(random.Random(1).randbytes(100_000))
    recorder.add(observed(500), Remembered(500), Settings(), FACTS, {})
    with pytest.raises(JournalError):
        await recorder.flush()
    recorder.add(observed(501), Remembered(501), Settings(), FACTS, {})
    await recorder.close()
    assert recorder.lost == 1
    assert [cycle.memory for cycle in read(tmp_path)] == [Remembered(501)]
    assert list(tmp_path.glob("*.corrupt.*"))


def test_no_recording_is_told(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no recording"):
        read(tmp_path)


@pytest.mark.parametrize("cycles", [3600])
async def test_an_hour_of_a_busy_house_is_small(tmp_path: Path, cycles: int) -> None:
    """Seven days stay under 150 MB, so a year of wear and a Raspberry Pi's card can bear it."""
    chance = random.Random(7)
    await record(
        tmp_path,
        [(observed(number, chance.randint(-5000, 5000)), Settings()) for number in range(cycles)],
        keyframe_every=60,
        digest=lambda number: {"order": chance.randint(-5000, 5000)},
    )
    size = sum(file.stat().st_size for file in tmp_path.glob("telemetry.db*"))
    assert size * 24 * 7 < 150_000_000
