"""The grid fails under a house that is too much for the vehicle: loads go first, the vehicle carries the rest."""

from collections.abc import Iterator
from itertools import pairwise

from demo.house import Json, at
from demo.loads import DRYER, HEAT_PUMP, LOADS, WATER_HEATER
from demo.processes import DemoError
from demo.scenes.stage import Before, Stage
from demo.telling import (
    BACKUP_WITHIN_S,
    NOTICE,
    SHOWN_WITHIN_S,
    SITE,
    VEHICLE,
    is_between,
    is_near,
    is_state,
    is_told,
    not_before,
    say,
)
from demo.verdict import DARK_AT_LOSS_S, DARK_AT_RETURN_S, Check
from demo.watching import Matches, Seen

# The switch opens once the loads are proven off, or after three seconds.
DARK_WITH_SHEDDING_S = DARK_AT_LOSS_S + 3
# With all loads 14.3 kW. The vehicle gives 9.6 kW, and an island is formed with nine tenths of that at most.
HOUSE_W = 4000
SHED_FIRST = (WATER_HEATER, HEAT_PUMP)
LEFT_W = HOUSE_W + DRYER.power_w
ALL_W = LEFT_W + sum(load.power_w for load in SHED_FIRST)
# Somebody cooks: 9.9 kW with the dryer, 8.4 kW without.
COOKS_W = 8400
LOW_PCT, LENT_PCT, RESERVE_PCT = 22, 10, 20
# Shedding by Home Assistant waits for an answer over two sockets; the switch opens when it is proven.
SHED_WITHIN_S = BACKUP_WITHIN_S + 3
# Two loads wait their turn, 22 s each, after the first one.
RESTORED_WITHIN_S = 60.0
ESTIMATED_WITHIN_S = 15.0
# How far the edge's own word on dark seconds may be from the truth: it looks once a second, also at the return.
DARK_WITHIN_S = 1.0


async def outage(stage: Stage) -> list[Check]:
    """Shed, carried, overloaded, nearly empty, lent, returned, restored."""
    before = await Before.of(stage.house)
    await _lose(stage)
    await _too_much(stage)
    await _lend(stage)
    ended = await _return(stage)
    truth = await stage.house.truth()
    return list(_checks(stage, before, truth, ended))


async def _lose(stage: Stage) -> None:
    telling = stage.telling
    more = await telling.cause("house draws more", "load", str(HOUSE_W))
    await telling.see("house draws too much for a vehicle", is_near(SITE("house_power"), ALL_W), more)
    lost = await telling.cause("grid lost", "outage")
    await telling.see("protective act", is_state(SITE("grid_status"), "checking"), lost)
    await telling.see("outage is certain", is_told(SITE("outage"), "started"), lost)
    for load in SHED_FIRST:
        words = f"{load.name.lower()} shed"
        await telling.see(words, is_state(stage.load(load, "load_state"), "shed"), lost, BACKUP_WITHIN_S)
    await telling.see("island switch open, proven", is_state(SITE("island_switch"), "open"), lost, SHED_WITHIN_S)
    formed = await telling.see("charger formed the island", is_state(SITE("supply"), "island"), lost, SHED_WITHIN_S)
    carries = not_before(formed, is_near(VEHICLE("power"), LEFT_W))
    await telling.see("vehicle carries what is left", carries, lost, SHED_WITHIN_S)
    await telling.stands("people are told", is_state(NOTICE("outage"), "Power is out"))
    await telling.stands("how long it lasts", is_between(SITE("backup_runtime"), 1, 24), ESTIMATED_WITHIN_S)
    lasts = await stage.watch.call("ridethrough.forecast_runtime", answers=True, config_entry_id=stage.entry_id)
    say(f"  runtime left: {_hours(lasts, 'p10_h')} to {_hours(lasts, 'p90_h')}, likely {_hours(lasts, 'p50_h')}")
    telling.check_order("outage is certain", "heat pump shed", "charger formed the island")
    telling.picture("outage", "outage")


def _hours(lasts: Json, key: str) -> str:
    if lasts.get(key) is None:
        raise DemoError(f"the forecast does not tell {key}: {lasts}")
    return f"{lasts[key]:.1f} h"


async def _too_much(stage: Stage) -> None:
    telling = stage.telling
    cooks = await telling.cause("somebody cooks", "load", str(COOKS_W))
    await telling.see("dryer shed: overload", is_state(stage.load(DRYER, "load_state"), "shed"), cooks)
    told = is_told(SITE("outage"), "load_shed", name=DRYER.name, reason="overload")
    await telling.see("the reason is told", told, cooks)
    await telling.see("people are told", is_state(NOTICE("overload"), "Too much is switched on"), cooks)
    await telling.see("vehicle bears what is left", is_near(VEHICLE("power"), COOKS_W), cooks)
    done = await telling.cause("the meal is done", "load", str(HOUSE_W))
    await telling.see("vehicle follows", is_near(VEHICLE("power"), HOUSE_W), done)


async def _lend(stage: Stage) -> None:
    telling = stage.telling
    low = await telling.cause("charge nearly down", "plug", "--soc", str(LOW_PCT))
    await telling.see("charge near the driver's reserve", is_near_pct(VEHICLE("vehicle_battery"), LOW_PCT), low)
    alarm = is_state(NOTICE("reserve"), "Backup ends soon")
    said = await telling.see("alarm", alarm, low, ESTIMATED_WITHIN_S)
    say(f"  {said.attributes['message']}")
    short = await telling.stands("little time left", is_between(SITE("backup_runtime"), 0, 0.6), ESTIMATED_WITHIN_S)
    lent = await telling.act(
        f"{LENT_PCT} points are lent", "ridethrough.lend_reserve", device_id=stage.charger, reserve=LENT_PCT
    )
    await telling.see("lent for this outage", is_near_pct(VEHICLE("lent"), LENT_PCT), lent)
    longer = is_between(SITE("backup_runtime"), (short.number or 0) + 0.5, 24)
    await telling.see("it lasts longer", longer, lent, ESTIMATED_WITHIN_S)


def is_near_pct(key: str, pct: float) -> Matches:
    """Within half a point."""
    return is_between(key, pct - 0.5, pct + 0.5)


async def _return(stage: Stage) -> Seen:
    telling, pace = stage.telling, stage.house.pace
    back = await telling.cause("grid back", "restore")
    stable_s = pace.enter_service_s + SHOWN_WITHIN_S
    closed_s = stable_s + pace.announce_return_s + BACKUP_WITHIN_S
    await telling.see("grid is back, watched", is_told(SITE("outage"), "grid_returned"), back)
    await telling.see("stable; dark moment announced", is_told(SITE("outage"), "return_announced"), back, stable_s)
    await telling.see("people are told", is_state(NOTICE("return"), "Short dark time ahead"), back, stable_s)
    await telling.see("island switch closed, proven", is_state(SITE("island_switch"), "closed"), back, closed_s)
    await telling.see("reconnected", is_state(SITE("supply"), "grid"), back, closed_s)
    ended = await telling.see("outage over", is_told(SITE("outage"), "ended"), back, closed_s)
    await telling.see("what was lent is the driver's again", is_near_pct(VEHICLE("lent"), 0), back, closed_s)
    for load in (DRYER, HEAT_PUMP, WATER_HEATER):
        words = f"{load.name.lower()} put back"
        await telling.see(words, is_state(stage.load(load, "load_state"), "on"), back, closed_s + RESTORED_WITHIN_S)
    telling.picture("outage-over", "outage")
    return ended


# ----------------------------------------------------------------------------------------------- what was physically so


def _checks(stage: Stage, before: Before, truth: Json, ended: Seen) -> Iterator[Check]:
    dark, told = before.dark_s(truth), ended.attributes
    found = ", ".join(f"{seconds:.2f} s" for seconds in dark)
    yield Check("the house was dark twice, at the loss and at the return", len(dark) == 2, found)
    bounds = (DARK_WITH_SHEDDING_S, DARK_AT_RETURN_S)
    ok = len(dark) == 2 and all(seconds <= most for seconds, most in zip(dark, bounds, strict=True))
    yield Check("and not for long", ok, f"{found} ({bounds[0]:g} and {bounds[1]:g} allowed)")
    off = abs(float(told["dark_s"]) - sum(dark))
    yield Check("the outage's account", off <= DARK_WITHIN_S, f"{told['dark_s']:.1f} s dark told, {off:.1f} s off")
    yield _shed_before_lit(before, truth)
    yield _shed_in_time(before, truth)
    yield _restored_one_by_one(before, truth)
    names = sorted(load.name for load in LOADS)
    yield Check("all shed loads are in the log", sorted(told["loads_shed"]) == names, ", ".join(told["loads_shed"]))
    yield Check("the island never fell", told["collapses"] == 0, f"{told['collapses']} times")
    notices = list(told["notices"])
    wanted = {"outage", "overload", "reserve_near"}
    yield Check("all notices are in the log", wanted <= set(notices), ", ".join(notices))


def _shed_before_lit(before: Before, truth: Json) -> Check:
    formed = at(before.happened(truth, "house_lit")[0]["at"])
    off = [before.happened(truth, "switched_load", name=load.id, running=False)[:1] for load in SHED_FIRST]
    times = [(formed - at(one[0]["at"])).total_seconds() for one in off if one]
    ok = len(times) == len(SHED_FIRST) and min(times) >= 0
    return Check("loads were off before the island", ok, ", ".join(f"{seconds:.2f} s before" for seconds in times))


def _shed_in_time(before: Before, truth: Json) -> Check:
    cooks = at(before.happened(truth, "house_load", load_w=COOKS_W)[0]["at"])
    off = before.happened(truth, "switched_load", name=DRYER.id, running=False)
    if not off:
        return Check("the overload was relieved", False, "never")
    return Check(
        "the overload was relieved", True, f"{(at(off[0]['at']) - cooks).total_seconds():.2f} s after it began"
    )


def _restored_one_by_one(before: Before, truth: Json) -> Check:
    times = sorted(at(entry["at"]) for entry in before.happened(truth, "switched_load", running=True))
    apart = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    ok = len(times) == 3 and all(seconds >= 20 for seconds in apart)
    return Check("three loads came back one by one", ok, ", ".join(f"{seconds:.1f} s apart" for seconds in apart))
