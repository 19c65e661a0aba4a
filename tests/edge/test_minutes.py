"""Rows of whole minutes: means of what was measured, and how much of the minute that was."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from edge_service.domain.decide import decide
from edge_service.domain.memory import Memory
from edge_service.domain.model import (
    Capability,
    ChargerFacts,
    ChargerReading,
    ChargerState,
    Control,
    Event,
    MeterReading,
    Observation,
    Program,
    Settings,
    SiteFacts,
    Slot,
    frozen_map,
)
from edge_service.minutes import ClockTrust, MinuteMeans
from edge_service.ports import DeviceIdentity
from edge_service.runner import Image

START = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)
CAPABLE = Capability(Control.SIGNED, 9600, 9600)
FACTS = SiteFacts(
    "Home",
    frozen_map({"car": ChargerFacts("car", "Car", CAPABLE)}),
    import_max_w=24_000,
    export_max_w=9600,
    has_meter=True,
    programs=frozen_map({"peak": Program("peak", "Peak", "manual")}),
)


class Cycles:
    """Feeds cycles to the means as the runner would, each with the memory of the one before."""

    def __init__(self, clock: ClockTrust | None = None) -> None:
        self.means = MinuteMeans(lambda: clock or ClockTrust())
        self.memory = Memory()
        self.events: tuple[Event, ...] = ()
        self.identities: dict[str, DeviceIdentity] = {}

    def at(self, second: float, grid_w: int | None = 0, car_w: int | None = 0, set_s: float = 0.0) -> Any:
        """The values of the row that this cycle brings out; None where it brings none."""
        at = START + timedelta(seconds=second)
        reading = ChargerReading(
            at, ChargerState.CHARGING, plugged=True, power_w=car_w, soc_pct=60.0, grid_present=True, voltage_v=240.0
        )
        observation = Observation(
            at, frozen_map({"car": reading}), MeterReading(at, grid_w, voltage_v=240.0), events=self.events
        )
        decision = decide(observation, self.memory, Settings(), FACTS)
        self.memory = decision.memory
        rest: Any = frozen_map()
        image = Image(observation, Memory(), Settings(), FACTS, decision, self.identities, rest, (), None, set_s)
        row = self.means.add(image)
        return None if row is None else {**row[1], "at": row[0]}

    def through(self, first: int, last: int, *, step: int = 5, **powers: Any) -> Any:
        """Cycles every few seconds; the last row that one of them brought out."""
        rows = [self.at(second, **powers) for second in range(first, last + 1, step)]
        return next((row for row in reversed(rows) if row is not None), None)


def test_a_minute_is_given_out_when_the_next_begins_with_the_means_over_its_time() -> None:
    cycles = Cycles()
    assert cycles.through(0, 30, grid_w=1000, car_w=400) is None
    row = cycles.through(35, 60, grid_w=2000, car_w=400)
    assert row["at"] == START
    # 30 s at 1000 W, 5 s halfway between the two, 25 s at 2000 W.
    assert row["grid_w"] == round((30 * 1000 + 5 * 1500 + 25 * 2000) / 60, 1)
    assert row["car.power_w"] == 400
    assert row["car.soc_pct"] == 60
    assert row["n"] == 12
    assert not [name for name in row if name.endswith(".s") or name == "s"]  # all 60 seconds were measured


def test_a_cycle_that_comes_too_soon_weighs_no_more_than_its_time() -> None:
    cycles = Cycles()
    cycles.through(0, 10, grid_w=0)
    for hundredth in range(1, 50):
        cycles.at(10 + hundredth / 100, grid_w=9000)
    row = cycles.through(15, 60, grid_w=0)
    assert row["grid_w"] < 9000 * 5 / 60


def test_seconds_without_a_reading_are_a_gap_and_are_told() -> None:
    cycles = Cycles()
    cycles.through(0, 30, car_w=400)
    cycles.through(35, 40, car_w=None)
    row = cycles.through(45, 60, car_w=1000)
    # From 30 to 45 s nobody knows the power on both sides.
    assert row["car.power_w.s"] == 45.0
    assert row["car.power_w"] == round((30 * 400 + 15 * 1000) / 45, 1)
    assert "grid_w.s" not in row


def test_what_was_never_known_is_none() -> None:
    row = Cycles().through(0, 60, car_w=None)
    assert row["car.power_w"] is None
    assert row["grid_w"] == 0


def test_a_pause_of_the_edge_is_not_measured() -> None:
    cycles = Cycles()
    cycles.through(0, 20, grid_w=1000)
    row = cycles.through(40, 60, grid_w=5000)
    assert row["s"] == 40.0
    assert row["grid_w.s"] == 40.0
    assert row["grid_w"] == 3000


def test_the_step_over_a_minute_counts_in_both() -> None:
    cycles = Cycles()
    cycles.through(0, 55, grid_w=1000)
    first = cycles.at(62, grid_w=1000)
    second = cycles.through(67, 122, grid_w=1000)
    assert "s" not in first
    assert "s" not in second


def test_the_event_that_ran_is_told_with_its_target_and_how_long() -> None:
    cycles = Cycles()
    start = START + timedelta(seconds=30)
    cycles.events = (Event("e1", "peak", "Peak", START, (Slot(start, start + timedelta(hours=1), power_w=-5000),)),)
    first = cycles.through(-600, 60)  # the enter-service delay after a start is over before the event
    second = cycles.through(65, 120)
    assert (first["event"], first["program"], first["asks"]) == ("e1", "peak", "power")
    assert first["target_w"] == -5000
    assert first["event_s"] == 30.0
    assert "event_s" not in second
    assert "rehearsal" not in second
    assert second["car.order_w"] == -5000


def test_an_order_of_nothing_is_no_part_of_a_row_without_an_event() -> None:
    assert "car.order_w" not in Cycles().through(-600, 60)


def test_the_state_of_the_grid_is_told_with_every_change_in_the_minute() -> None:
    cycles = Cycles()
    assert cycles.through(0, 60)["grid"].startswith("unknown")
    assert "grid" not in cycles.through(65, 1200)  # on, all the time


def test_the_clock_is_told_as_far_as_the_system_knows_it() -> None:
    steered = Cycles(ClockTrust(True, 0.012)).through(0, 60)
    assert steered["error_s"] == 0.01
    assert "sync" not in steered  # which the error says
    assert Cycles(ClockTrust(False)).through(0, 60)["sync"] == 0
    nobody_knows = Cycles().through(0, 60)
    assert "sync" not in nobody_knows
    assert "error_s" not in nobody_knows


def test_a_clock_that_was_set_is_told_and_its_step_is_not_measured() -> None:
    cycles = Cycles()
    cycles.through(0, 20, grid_w=1000)
    cycles.at(30, 1000, set_s=5.0)
    row = cycles.through(35, 60, grid_w=1000)
    assert row["set_s"] == 5.0
    assert row["s"] == 50.0


def test_the_devices_are_named_once_a_day_and_when_they_change() -> None:
    cycles = Cycles()
    cycles.identities = {"car": DeviceIdentity("Maker", "Model", "123", "1.0")}
    alias = sha256(b"123").hexdigest()[:12]
    assert cycles.through(0, 60)["devices"] == {"car": ["Maker", "Model", alias, "1.0"]}
    assert "devices" not in cycles.through(65, 120)
    cycles.identities = {"car": DeviceIdentity("Maker", "Model", "124", "1.0")}
    assert cycles.through(125, 180)["devices"]["car"][2] not in ("124", alias)
    day = 24 * 3600
    cycles.at(day)
    assert "devices" in cycles.through(day + 5, day + 60)
