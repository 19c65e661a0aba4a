"""The grid comes and goes: one outage, one way out and one way back, whatever the street does meanwhile."""

from collections.abc import Iterator
from datetime import timedelta

from demo.house import Json
from demo.loads import LOADS, WATER_HEATER
from demo.scenes.stage import Before, Stage
from demo.telling import BACKUP_WITHIN_S, RAMP_WITHIN_S, SHOWN_WITHIN_S, SITE, is_state, is_told, sleep_until
from demo.timeline import Cause
from demo.verdict import Check

TIMES = 5
RESTORED_WITHIN_S = 40.0


async def flap(stage: Stage) -> list[Check]:
    """The grid is lost five times, and back for less than the delay that a return asks for."""
    before, telling, pace = await Before.of(stage.house), stage.telling, stage.house.pace
    lost = first = await telling.cause("grid lost", "outage")
    await telling.see("outage is certain", is_told(SITE("outage"), "started"), lost)
    await telling.see("charger formed the island", is_state(SITE("supply"), "island"), lost, BACKUP_WITHIN_S)
    for number in range(2, TIMES + 1):
        back = await telling.cause("grid back", "restore")
        await telling.see("grid is back, watched", is_state(SITE("grid_status"), "reconnecting"), back)
        # Long enough for a return that does not wait; the delay is twice as long.
        await sleep_until(back.at + timedelta(seconds=pace.enter_service_s / 2))
        lost = await telling.cause(f"lost again ({number} of {TIMES})", "outage")
        await telling.see("still the same outage", is_state(SITE("grid_status"), "outage", "checking"), lost)
    back = await telling.cause("grid back for good", "restore")
    stable_s = pace.enter_service_s + SHOWN_WITHIN_S
    closed_s = stable_s + pace.announce_return_s + BACKUP_WITHIN_S
    announced = is_told(SITE("outage"), "return_announced")
    await telling.see("stable; dark moment announced", announced, back, stable_s + RAMP_WITHIN_S)
    await telling.see("reconnected", is_state(SITE("supply"), "grid"), back, closed_s)
    await telling.see("outage over", is_told(SITE("outage"), "ended"), back, closed_s)
    on = is_state(stage.load(WATER_HEATER, "load_state"), "on")
    await telling.see("water heater put back", on, back, closed_s + RESTORED_WITHIN_S)
    return list(_checks(stage, first, back, before, await stage.house.truth()))


def _checks(stage: Stage, first: Cause, back: Cause, before: Before, truth: Json) -> Iterator[Check]:
    since = stage.telling.since
    for kind, times in {"started": 1, "return_announced": 1, "ended": 1}.items():
        told = since(first, is_told(SITE("outage"), kind))
        yield Check(f'"{kind}" was told once', len(told) == times, f"{len(told)} times")
    lost, moved = len(before.happened(truth, "grid_lost")), before.happened(truth, "switch_moved")
    yield Check(f"the grid was lost {TIMES} times", lost == TIMES, f"{lost} times")
    yield Check("the island switch moved twice, out and back", len(moved) == 2, f"{len(moved)} times")
    early = [entry for entry in moved[1:] if entry["at"] < back.at.isoformat()]
    yield Check("and not back before the grid was stable", not early, f"{len(early)} times too early")
    dark = before.dark_s(truth)
    yield Check("the house was dark twice", len(dark) == 2, ", ".join(f"{seconds:.2f} s" for seconds in dark))
    for load in LOADS:
        switched, most = len(before.happened(truth, "switched_load", name=load.id)), 2 if load is WATER_HEATER else 0
        yield Check(f"{load.name.lower()} switched no more than needed", switched == most, f"{switched} times")
