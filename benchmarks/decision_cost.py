"""What one decision costs: ``decide`` for 1 to 40 chargers, against what a short script would do instead.

Run: ``python -m benchmarks.decision_cost``. Everything in one process, no device and no network.
"""

import argparse
import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from time import thread_time_ns

from benchmarks.figures import machine, table
from edge_service.domain.decide import decide
from edge_service.domain.memory import Memory
from edge_service.domain.model import (
    Authority,
    Capability,
    ChargerFacts,
    ChargerReading,
    ChargerState,
    Control,
    Event,
    Lease,
    MeterReading,
    Observation,
    Program,
    Settings,
    SiteFacts,
    Slot,
    frozen_map,
)

COUNTS = (1, 10, 40)
T0 = datetime(2026, 7, 15, 20, 0, tzinfo=UTC)
RATING_W = 9600
HOUSE_W = 1200
# Six amperes at 240 V: below that a car does not charge.
LEAST_W = 1440


@dataclass(frozen=True, slots=True)
class Case:
    """A site at one moment, and the memory of a decision just before."""

    name: str
    observation: Observation
    memory: Memory
    settings: Settings
    facts: SiteFacts


def site(count: int, share_of_all: float, *, legs: bool) -> SiteFacts:
    """``count`` equal chargers behind a breaker that carries a share of what they could draw together."""
    capability = Capability(Control.SIGNED, RATING_W, RATING_W, LEAST_W, LEAST_W, lease=Lease.TIMER)
    names = [f"charger_{number:02d}" for number in range(count)]
    most_w = int(RATING_W * count * share_of_all) + HOUSE_W
    return SiteFacts(
        "Depot",
        frozen_map({name: ChargerFacts(name, name, capability) for name in names}),
        import_max_w=most_w,
        export_max_w=most_w,
        has_meter=True,
        programs=frozen_map({"peak": Program("peak", "Peak", "manual")}),
        leg_max_w=(most_w // 2, most_w // 2) if legs else (),
    )


def observation(facts: SiteFacts, at: datetime, soc_pct: float, events: tuple[Event, ...] = ()) -> Observation:
    """Every charger at rest, plugged in, all readings fresh."""
    reading = ChargerReading(
        at,
        ChargerState.IDLE,
        Authority.OURS,
        plugged=True,
        power_w=0,
        soc_pct=soc_pct,
        capacity_wh=60000,
        charge_max_w=RATING_W,
        discharge_max_w=RATING_W,
        grid_present=True,
        service_permitted=True,
        voltage_v=240.0,
    )
    legs = (HOUSE_W // 2, HOUSE_W // 2) if facts.leg_max_w else ()
    meter = MeterReading(at, HOUSE_W, 240.0, 60.0, leg_power_w=legs)
    return Observation(at, frozen_map(dict.fromkeys(facts.chargers, reading)), meter, events=events)


def cases(count: int) -> list[Case]:
    """Nothing to do; an event to serve together; every vehicle below its reserve under a breaker too small for all."""
    peak = Slot(T0, T0 + timedelta(hours=2), power_w=-RATING_W * count // 3)
    event = Event("e1", "peak", "Peak", T0, (peak,))
    plain, tight = site(count, 1.0, legs=True), site(count, 0.1, legs=True)
    return [
        warmed("at rest", plain, 70.0, ()),
        warmed("event", plain, 70.0, (event,)),
        warmed("fills, tight limit", tight, 15.0, ()),
    ]


def warmed(name: str, facts: SiteFacts, soc_pct: float, events: tuple[Event, ...]) -> Case:
    """The case once the grid is known to be on."""
    settings, memory = Settings(), Memory()
    for second in range(5):
        seen = observation(facts, T0 + timedelta(seconds=second), soc_pct, events)
        memory = decide(seen, memory, settings, facts).memory
    return Case(name, seen, memory, settings, facts)


def proportional_split(
    chargers: Mapping[str, ChargerReading | None], wish_w: int, low_w: int, high_w: int
) -> dict[str, int]:
    """The bare way: cut the joint wish to the site's limits, give everyone the same part, clip each alone.

    It looks at no age, no charge, no leg and no dead zone, remembers nothing and explains nothing.
    """
    each_w = max(low_w, min(high_w, wish_w)) // max(1, len(chargers))
    return {
        name: max(-(reading.discharge_max_w or 0), min(reading.charge_max_w or 0, each_w))
        for name, reading in chargers.items()
        if reading is not None
    }


def bare(case: Case) -> dict[str, int]:
    """What the bare way does with a case."""
    facts, seen = case.facts, case.observation
    meter_w = (seen.meter.power_w if seen.meter else None) or 0
    wish_w = seen.events[0].slots[0].power_w if seen.events else RATING_W * len(seen.chargers)
    return proportional_split(seen.chargers, wish_w, -facts.export_max_w - meter_w, facts.import_max_w - meter_w)


def timed(act: Callable[[], object], trials: int) -> list[float]:
    """Microseconds of processor time of each of ``trials`` runs, warmed, without the garbage collector.

    Processor time, so that what else runs on the machine counts less.
    """
    for _ in range(min(50, trials)):
        act()
    gc.collect()
    gc.disable()
    try:
        return sorted(_once(act) for _ in range(trials))
    finally:
        gc.enable()


def _once(act: Callable[[], object]) -> float:
    start = thread_time_ns()
    act()
    return (thread_time_ns() - start) / 1000


def rank(ranked: list[float], share: float) -> float:
    """A percentile by nearest rank."""
    return ranked[ceil(share * len(ranked)) - 1]


HEADS = ("chargers, case", "trials", "decide p50 us", "decide p99 us", "bare p50 us", "bare p99 us", "p50 to bare")


def rows(trials: int, counts: tuple[int, ...] = COUNTS) -> list[list[str]]:
    """One row per case: ours and the bare way, in turn, in the same run."""
    found = []
    for count in counts:
        for case in cases(count):
            ours = timed(partial(decide, case.observation, case.memory, case.settings, case.facts), trials)
            split = timed(partial(bare, case), trials)
            figures = [rank(ours, 0.5), rank(ours, 0.99), rank(split, 0.5), rank(split, 0.99)]
            ratio = figures[0] / figures[2]
            found.append(
                [f"{count}, {case.name}", str(trials), *(f"{figure:.1f}" for figure in figures), f"{ratio:.0f}"]
            )
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    trials = parser.parse_args().trials
    print(table(HEADS, rows(trials)))
    print(machine())


if __name__ == "__main__":
    main()
