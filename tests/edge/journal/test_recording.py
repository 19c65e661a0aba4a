"""A recorded cycle comes back exactly as it was, whatever changed between cycles."""

import asyncio
import json
import random
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st

from edge_service.domain.decide import Decision
from edge_service.domain.memory import HISTORY_H, MINUTES, Memory, RuntimeMemory, Track
from edge_service.domain.model import (
    Alert,
    CapacityLimit,
    ChargerFacts,
    ChargerReading,
    ChargerState,
    CompanionReading,
    Contact,
    ContactReading,
    Departure,
    Event,
    Grid,
    GridEvidence,
    Happening,
    LoadReading,
    MeterReading,
    Mode,
    Observation,
    Order,
    Power,
    Price,
    Settings,
    SiteFacts,
    Slot,
    Supply,
    SwitchReading,
    frozen_map,
)
from edge_service.domain.tally import Tally
from edge_service.journal import recording
from edge_service.journal.database import JournalError
from edge_service.journal.delta import columns, cycles_of, patch
from edge_service.journal.encoding import Change, EncodingError, changes, patched, to_plain
from edge_service.journal.recording import CycleRecorder, RecordedCycle, kept_stretches, read_stretch
from edge_service.ports import Mark

AT = datetime(2026, 7, 1, 17, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FACTS = SiteFacts("Home", frozen_map({"ccu": ChargerFacts("ccu", "Garage")}), import_max_w=24000)
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
BY_DEFAULT = Settings()
NOTHING = Memory()


BEGINNING = datetime(1990, 1, 1, tzinfo=UTC)
times = st.datetimes(BEGINNING.replace(tzinfo=None), timezones=st.just(UTC))
KNOWN: dict[Any, st.SearchStrategy[Any]] = {
    datetime: times,
    float: st.floats(allow_nan=False),
    float | None: st.none() | st.floats(allow_nan=False),
    tuple[float | None, ...]: st.lists(st.none() | st.floats(allow_nan=False), max_size=3).map(tuple),
    datetime | None: st.none() | times,
}


def any_of(kind: Any, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Instances of ``kind`` with every field drawn."""
    hints: dict[str, Any] = {field.name: field.type for field in fields(kind)}
    drawn = {name: KNOWN.get(hint, st.from_type(hint)) for name, hint in hints.items() if name not in known}
    return st.builds(kind, **drawn, **known)


slots = any_of(Slot)
trips = any_of(Departure, later=st.builds(Departure, st.just("trip"), times).map(lambda one: (one,)))
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
    departures=st.dictionaries(st.sampled_from("abc"), trips, max_size=2).map(frozen_map),
    companions=st.dictionaries(st.sampled_from("abc"), any_of(CompanionReading), max_size=2).map(frozen_map),
    loads=st.dictionaries(st.sampled_from("abc"), any_of(LoadReading), max_size=2).map(frozen_map),
    alerts=st.lists(any_of(Alert), max_size=2).map(tuple),
    capacity_limits=st.lists(any_of(CapacityLimit), max_size=2).map(tuple),
    prices=st.lists(any_of(Price), max_size=2).map(tuple),
    seasons=st.dictionaries(st.sampled_from(["peak", "net"]), any_of(Tally), max_size=2).map(frozen_map),
    out_of_hours=st.frozensets(st.sampled_from("abc")),
)


def observed(number: int, power_w: int = 0) -> Observation:
    now = AT + number * SECOND
    reading = ChargerReading(now, ChargerState.DISCHARGING, plugged=True, power_w=power_w, soc_pct=60.0)
    return Observation(now, frozen_map({"ccu": reading}), MeterReading(now, power_w + 800))


def remembered(number: int, of: Memory = NOTHING) -> Memory:
    return replace(of, rotation=number, runtime=replace(of.runtime, load=replace(of.runtime.load, sum_w_s=number)))


def decided(at: datetime, memory_after: Memory, *kinds: str, **changes: Any) -> Decision:
    happenings = tuple(Happening(kind, "ccu", at, frozen_map()) for kind in kinds)
    decision = Decision(
        at, Grid.ON, Supply.GRID, frozen_map(), None, frozen_map(), "idle", {}, (), None, memory_after, happenings
    )
    return replace(decision, **changes)


class Recorded:
    """Gives cycles to a recorder as the edge does: each goes on from the memory that the one before left."""

    def __init__(self, recorder: CycleRecorder, known: Memory = NOTHING) -> None:
        self.recorder = recorder
        self.number = 0
        self.known = known
        self.memory = remembered(0, known)

    def add(
        self,
        observation: Observation,
        settings: Settings = BY_DEFAULT,
        *,
        orders: Mapping[str, Order] | None = None,
        mark: Mark | None = None,
    ) -> None:
        before, self.number = self.memory, self.number + 1
        self.memory = remembered(self.number, self.known)
        decision = decided(observation.now, self.memory, orders=frozen_map(orders or {"ccu": Power(self.number - 1)}))
        self.recorder.add(observation, before, settings, FACTS, decision, [mark] if mark else [])


async def record(
    folder: Path, cycles: list[tuple[Observation, Settings]], *, keyframe_every: int = 3, known: Memory = NOTHING
) -> None:
    recorder = await CycleRecorder.open(folder, keyframe_every, write_every=2)
    recorded = Recorded(recorder, known)
    for number, (observation, settings) in enumerate(cycles):
        recorded.add(observation, settings)
        if number % 300 == 299:
            await recorder.flush()
    await recorder.close()
    assert recorder.lost == 0


def read(folder: Path, start: datetime = BEGINNING, end: datetime = FOREVER) -> list[RecordedCycle[Memory]]:
    return list(read_stretch(folder, start, end, Memory))


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
    orders = [cycle.decision["orders"] for cycle in back]
    assert orders == [{"ccu": {"$type": "Power", "w": number}} for number in range(len(cycles))]


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(observations, observations)
def test_changes_turn_one_observation_into_the_other_as_objects_and_in_plain_form(
    old: Observation, new: Observation
) -> None:
    found = changes(Observation, old, new)
    assert patched(Observation, old, found) == new
    assert patch(to_plain(old), found) == to_plain(new)
    assert patched(Observation, old, through_columns(found)) == new


def through_columns(found: list[Change]) -> list[Change]:
    (back,) = cycles_of(json.loads(json.dumps(columns([found]))), 1)
    return back


def test_what_did_not_change_is_the_same_object() -> None:
    before, after = observed(1), replace(observed(1), meter=MeterReading(AT, 99))
    back = patched(Observation, before, changes(Observation, before, after))
    assert back == after
    assert back.chargers is before.chargers


def test_a_number_that_becomes_a_truth_is_a_change() -> None:
    before = ChargerReading(AT, ChargerState.IDLE, power_w=1)
    assert changes(ChargerReading, before, replace(before, power_w=True)) == [(("power_w",), True)]
    assert changes(ChargerReading, before, replace(before, alarms=())) == []
    percent = Settings(drivers_reserve_pct=frozen_map({"car": 1.0}))
    whole = replace(percent, drivers_reserve_pct=frozen_map({"car": 1}))
    ((path, value),) = changes(Settings, percent, whole)
    assert (path, type(value)) == (("drivers_reserve_pct", "car"), int)


@pytest.mark.parametrize(
    "change", [(("now", "x"), 1), (("chargers", "nobody", "at"), "x"), (("meter", "power_w"), "x")]
)
def test_a_change_that_does_not_fit_is_refused(change: Change) -> None:
    with pytest.raises(EncodingError):
        patched(Observation, observed(1), [change])


def test_a_change_of_a_field_that_is_not_known_any_more_is_passed_over() -> None:
    assert patched(Observation, observed(1), [(("meter", "humidity"), 1), (("moon",), {})]) == observed(1)


async def test_memory_is_known_at_each_keyframe(tmp_path: Path) -> None:
    await record(tmp_path, [(observed(number), Settings()) for number in range(7)])
    memories = [cycle.memory for cycle in read(tmp_path)]
    assert [memory.rotation if memory else None for memory in memories] == [0, None, None, 3, None, None, 6]


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


def a_mark(seconds: float, what: str = "fault_raised", around: timedelta = SECOND) -> Mark:
    at = AT + seconds * SECOND
    return Mark(at, what, "ccu", at - around, at + around)


def seconds_of(folder: Path) -> list[float]:
    return [(cycle.at - AT).total_seconds() for cycle in read(folder)]


async def test_seven_days_are_kept_and_what_was_marked_for_good(tmp_path: Path) -> None:
    recorder = await CycleRecorder.open(tmp_path, keyframe_every=3, write_every=2)
    recorded = Recorded(recorder)
    for number in range(12):
        recorded.add(observed(number))
    recorder.keep([a_mark(4.5, around=0.5 * SECOND)])
    await recorder.flush()
    recorded.add(replace(observed(0), now=AT + timedelta(days=8)))
    await recorder.close()
    assert seconds_of(tmp_path) == [3, 4, 5, timedelta(days=8).total_seconds()]


async def test_a_marked_cycle_has_a_keyframe_and_its_stretch_stands_when_the_ring_around_it_is_gone(
    tmp_path: Path,
) -> None:
    recorder = await CycleRecorder.open(tmp_path, keyframe_every=100, write_every=2)
    recorded = Recorded(recorder)
    for number in range(12):
        recorded.add(observed(number), mark=a_mark(7) if number == 7 else None)
    await recorder.flush()
    memories = [cycle.memory.rotation for cycle in read(tmp_path) if cycle.memory]
    assert memories == [0, 7]
    (stretch,) = kept_stretches(tmp_path)
    recorded.add(replace(observed(0), now=AT + timedelta(days=8)))
    await recorder.close()
    kept = list(read_stretch(tmp_path, stretch.start, stretch.end, Memory))
    assert [(cycle.at - AT).total_seconds() for cycle in kept][-2:] == [6, 7]
    assert kept[0].memory is not None


async def test_marks_that_lie_close_make_one_stretch_under_a_number_that_stays(tmp_path: Path) -> None:
    recorder = await CycleRecorder.open(tmp_path)
    recorder.keep([a_mark(100, "event_started"), a_mark(5, "outage_started"), a_mark(5, "outage_started")])
    await recorder.flush()
    before = [(one.number, [mark.what for mark in one.marks]) for one in kept_stretches(tmp_path)]
    assert before == [(2, ["outage_started"]), (1, ["event_started"])]
    recorder.keep([a_mark(6, "backup_failed"), a_mark(-50)])
    await recorder.close()
    assert [(one.number, [mark.what for mark in one.marks]) for one in kept_stretches(tmp_path)] == [
        (4, ["fault_raised"]),
        (2, ["outage_started", "backup_failed"]),
        (1, ["event_started"]),
    ]


async def test_a_mark_that_the_disk_refuses_is_kept_once_the_disk_works(tmp_path: Path) -> None:
    recorder = await CycleRecorder.open(tmp_path, write_every=1000)
    recorded = Recorded(recorder)
    await recorder._database.run(lambda connection: connection.executescript("ALTER TABLE kept RENAME TO away"))
    recorded.add(observed(1), mark=a_mark(1))
    with pytest.raises(JournalError):
        await recorder.flush()
    await recorder._database.run(lambda connection: connection.executescript("ALTER TABLE away RENAME TO kept"))
    recorded.add(observed(2))
    await recorder.close()
    assert [mark.at for one in kept_stretches(tmp_path) for mark in one.marks] == [AT + SECOND]


async def test_of_a_fault_that_comes_and_goes_all_day_four_marks_are_kept_also_over_a_restart(tmp_path: Path) -> None:
    recorder = await CycleRecorder.open(tmp_path)
    recorder.keep([a_mark(4 * number) for number in range(3)])
    recorder.keep([a_mark(4), a_mark(5, "order_refused")])
    await recorder.close()
    again = await CycleRecorder.open(tmp_path)
    again.keep([a_mark(4 * number) for number in range(1, 150)])
    again.keep([a_mark(4 * number, "outage_started") for number in range(150)])
    again.keep([a_mark(86400 + 4)])
    await again.close()
    kept = [mark for stretch in kept_stretches(tmp_path) for mark in stretch.marks]
    counts = {what: sum(mark.what == what for mark in kept) for what in {mark.what for mark in kept}}
    assert counts == {"fault_raised": 5, "order_refused": 1, "outage_started": 150}


async def test_marks_that_follow_each_other_share_a_keyframe_but_an_outage_has_its_own(tmp_path: Path) -> None:
    marks = {2: a_mark(2), 4: a_mark(4, "order_refused"), 6: a_mark(6, "outage_started"), 8: a_mark(8)}
    marks[66] = a_mark(66, "control_contested")
    recorder = await CycleRecorder.open(tmp_path, keyframe_every=1000)
    recorded = Recorded(recorder)
    for number in range(70):
        recorded.add(observed(number), mark=marks.get(number))
    await recorder.close()
    assert [cycle.memory.rotation for cycle in read(tmp_path) if cycle.memory] == [0, 2, 6, 66]


async def test_what_is_kept_for_good_stays_small_and_outages_go_last(tmp_path: Path) -> None:
    """The faults go, the older one first, then the older of outages and events."""
    recorder = await CycleRecorder.open(tmp_path, keyframe_every=10, write_every=10)
    recorded = Recorded(recorder)
    whats = {100: "outage_started", 300: "fault_raised", 500: "event_completed", 700: "fault_raised"}
    for number in range(800):
        at = next((at for at in whats if number == at), None)
        recorded.add(observed(number), mark=None if at is None else a_mark(at, whats[at], 40 * SECOND))
        if number % 300 == 299:
            await recorder.flush()
    await recorder.flush()
    assert recorder.lost == 0
    later = AT + timedelta(days=8)
    recorded.add(replace(observed(0), now=later))
    await recorder.close()
    assert await kept_after(tmp_path, 10**9, later) == [100, 300, 500, 700]
    size = await kept_size(tmp_path)
    assert await kept_after(tmp_path, size - 1, later) == [100, 500, 700]
    assert await kept_after(tmp_path, size * 6 // 10, later) == [100, 500]
    assert await kept_after(tmp_path, size * 4 // 10, later) == [500]
    assert await kept_size(tmp_path) <= size * 4 // 10
    assert {second // 100 for second in seconds_of(tmp_path) if second < 1000} == {4, 5}


async def kept_after(folder: Path, kept_bytes: int, now: datetime) -> list[float]:
    """The seconds of the marks that are left once an edge with so much room has tidied."""
    recorder = await CycleRecorder.open(folder, kept_bytes=kept_bytes)
    Recorded(recorder).add(replace(observed(0), now=now))
    await recorder.close()
    return [(mark.at - AT).total_seconds() for stretch in kept_stretches(folder) for mark in stretch.marks]


async def kept_size(folder: Path) -> int:
    """Bytes of what is older than the ring."""
    with closing(sqlite3.connect(folder / recording.FILE)) as connection:
        query = "SELECT coalesce(sum(length(body)), 0) FROM stretch WHERE first_at < '2026-07-02'"
        return int(connection.execute(query).fetchone()[0])


async def test_a_disk_that_is_nearly_full_gets_minutes_and_marks_but_no_cycles(tmp_path: Path) -> None:
    left = [10**10]
    recorder = await CycleRecorder.open(tmp_path, write_every=1000, disk_left=lambda _: left[0])
    recorded = Recorded(recorder)
    for number, free in enumerate([10**10, 10**8, 10**10]):
        left[0] = free
        recorded.add(observed(number), mark=a_mark(number, "outage_started"))
        recorder.add_minute(AT + number * SECOND, {})
        await recorder.flush()
    await recorder.close()
    assert seconds_of(tmp_path) == [0, 2]
    assert recorder.lost == 1
    assert [cycle.memory is not None for cycle in read(tmp_path)] == [True, True]
    assert len(kept_stretches(tmp_path)[0].marks) == 3
    with closing(sqlite3.connect(tmp_path / recording.FILE)) as connection:
        assert connection.execute("SELECT count(*) FROM minute").fetchone() == (3,)


async def test_what_follows_a_mark_is_kept_though_the_edge_died_at_it(tmp_path: Path) -> None:
    recorder = await CycleRecorder.open(tmp_path, write_every=1)
    Recorded(recorder).add(observed(1), mark=a_mark(1, around=5 * SECOND))
    await recorder.flush()  # and no more of this process
    again = await CycleRecorder.open(tmp_path, keyframe_every=2)
    restarted = Recorded(again)
    for number in (4, 5, 6, 20):
        restarted.add(observed(number))
    restarted.add(replace(observed(0), now=AT + timedelta(days=8)))
    await again.close()
    await recorder.close()
    assert seconds_of(tmp_path)[:-1] == [1, 4, 5, 6, 20]  # the last row of two cycles ends after the stretch


async def test_a_clock_that_was_set_makes_a_keyframe_since_memory_went_along(tmp_path: Path) -> None:
    recorder = await CycleRecorder.open(tmp_path)
    recorded = Recorded(recorder)
    recorded.add(observed(1))
    recorded.memory = remembered(77)
    recorded.add(observed(2))
    recorded.add(observed(3))
    await recorder.close()
    assert [cycle.memory and cycle.memory.rotation for cycle in read(tmp_path)] == [0, 77, None]


async def test_a_recording_of_the_first_layout_makes_room_for_a_new_one_and_minutes_stay(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / recording.FILE)) as old, old:
        old.executescript(recording.LAYOUT.steps[0])
        old.execute("PRAGMA user_version = 1")
        old.execute("INSERT INTO stretch VALUES (1, 'a', 'b', 1, x'00')")
        old.execute("INSERT INTO kept VALUES ('a', 'b')")
        old.execute("INSERT INTO minute VALUES ('2026', 1.0, 2.0, '{}')")
    with pytest.raises(JournalError, match="older"):
        kept_stretches(tmp_path)
    await record(tmp_path, [(observed(0), Settings())])
    assert len(read(tmp_path)) == 1
    assert kept_stretches(tmp_path) == []
    with closing(sqlite3.connect(tmp_path / recording.FILE)) as new:
        assert new.execute("SELECT count(*) FROM minute").fetchone() == (1,)


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
    recorded = Recorded(recorder)
    for number in range(500):
        recorded.add(observed(number), Settings(mode=list(Mode)[number % 4]))
    await recorder.flush()
    await recorder._database.run(
        lambda connection: connection.executescript("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA shrink_memory")
    )
    (tmp_path / recording.FILE).write_bytes(random.Random(1).randbytes(100_000))
    recorded.add(observed(500))
    recorder.keep([a_mark(500)])
    with pytest.raises(JournalError):
        await recorder.flush()
    recorded.add(observed(501))
    await recorder.close()
    assert recorder.lost == 1
    assert [cycle.memory for cycle in read(tmp_path)] == [remembered(501)]
    assert [one.start for one in kept_stretches(tmp_path)] == [AT + 499 * SECOND]
    assert list(tmp_path.glob("*.corrupt.*"))


def test_no_recording_is_told(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no recording"):
        read(tmp_path)


async def test_an_hour_of_a_busy_house_is_small(tmp_path: Path) -> None:
    """Seven days stay under 100 MB, so a year of wear and a Raspberry Pi's card can bear it.

    With all that is remembered of the load of the last 14 days, and a sum in it that moves each second.
    """
    chance = random.Random(7)

    def track(sign: int) -> Track:
        minutes, hours = ([sign * chance.randint(200, 4000) for _ in range(count)] for count in (MINUTES, HISTORY_H))
        return Track(minutes=tuple(minutes), hours=tuple(hours))

    cycles = [(observed(n, chance.randint(-5000, 5000)), Settings()) for n in range(3600)]
    known = Memory(runtime=RuntimeMemory(minute_at=AT, load=track(1), solar=track(-1)))
    await record(tmp_path, cycles, keyframe_every=60, known=known)
    with closing(sqlite3.connect(tmp_path / recording.FILE)) as connection:
        size = connection.execute("SELECT sum(length(body)) FROM stretch").fetchone()[0]
    assert size * 24 * 7 < 100_000_000
