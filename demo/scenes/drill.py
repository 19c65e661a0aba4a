"""An outage rehearsed: refused by name without a vehicle, then done, measured and scored."""

from collections.abc import Iterator

from demo.house import Json
from demo.loads import WATER_HEATER
from demo.scenes.stage import CHARGE_PCT, Before, Stage
from demo.telling import BACKUP_WITHIN_S, SITE, VEHICLE, MissingStepError, is_state, is_told, say
from demo.timeline import Cause
from demo.verdict import DARK_AT_LOSS_S, DARK_AT_RETURN_S, Check
from demo.watching import RefusedError, Seen

CARRIES_S = 30
# Five seconds of looking, the withdrawal of orders, shedding, the switch, the charger's own island.
TRANSFERRED_WITHIN_S = 5 + BACKUP_WITHIN_S + 5
RETURNED_WITHIN_S = CARRIES_S + BACKUP_WITHIN_S
# A drill looks once a second.
NEAR_S = 2.0


async def drill(stage: Stage) -> list[Check]:
    """Refused, set right, carried out, read."""
    before = await Before.of(stage.house)
    await _refused(stage)
    passed = await _done(stage)
    return list(_checks(passed, before, await stage.house.truth()))


async def _refused(stage: Stage) -> None:
    telling = stage.telling
    first = telling.shown(SITE("backup_readiness"))
    say(f"  readiness before: {first.state}, {_reasons(first)}")
    gone = await telling.cause("vehicle unplugged", "unplug")
    await telling.see("vehicle gone", is_state(VEHICLE("vehicle_connected"), "off"), gone)
    not_ready = await telling.see("backup not ready", is_state(SITE("backup_readiness"), "not_ready"), gone)
    say(f"  readiness without a vehicle: {not_ready.state}, {_reasons(not_ready)}")
    try:
        await _start(stage)
    except RefusedError as refused:
        if "vehicle_absent" not in refused.key:
            raise MissingStepError(f"the drill was refused, but not for the vehicle: {refused}") from refused
        say(f"  a drill is refused: {refused.message}")
    else:
        raise MissingStepError("a drill without a vehicle was not refused")
    back = await telling.cause("vehicle plugged in", "plug", "--soc", str(CHARGE_PCT))
    await telling.see("vehicle there", is_state(VEHICLE("vehicle_connected"), "on"), back)
    await telling.see("backup would work", is_state(SITE("backup_readiness"), "ready", "degraded"), back)


async def _start(stage: Stage) -> Cause:
    return await stage.telling.act(
        "drill asked for",
        "ridethrough.start_drill",
        config_entry_id=stage.entry_id,
        transfer=True,
        at_switch=True,
        duration={"seconds": CARRIES_S},
        confirm=True,
    )


async def _done(stage: Stage) -> Seen:
    telling, key = stage.telling, SITE("drill_status")
    asked = await _start(stage)
    await telling.see("checks", is_state(key, "checking"), asked)
    await telling.see("leaves the grid", is_state(key, "transferring"), asked, TRANSFERRED_WITHIN_S)
    await telling.see("vehicle carries the house", is_state(key, "carrying"), asked, TRANSFERRED_WITHIN_S)
    telling.picture("drill", "outage")
    back_s = TRANSFERRED_WITHIN_S + RETURNED_WITHIN_S
    await telling.see("goes back", is_state(key, "returning"), asked, back_s)
    passed = await telling.see("drill passed", is_told(SITE("outage"), "drill_passed"), asked, back_s)
    await telling.see("reconnected", is_state(SITE("supply"), "grid"), asked, back_s)
    score = await telling.stands("scored", lambda seen: seen.key == SITE("drill_score") and seen.number is not None)
    await telling.stands("kept", lambda seen: seen.key == SITE("last_backup_test") and seen.state[:2] == "20")
    after = await telling.stands("backup is ready", is_state(SITE("backup_readiness"), "ready"))
    say(f"  score {score.state}; readiness after: {after.state}, {_reasons(after)}")
    return passed


def _reasons(readiness: Seen) -> str:
    return ", ".join(readiness.attributes.get("reasons", ())) or "no reasons"


def _checks(passed: Seen, before: Before, truth: Json) -> Iterator[Check]:
    told, dark = passed.attributes, before.dark_s(truth)
    found = ", ".join(f"{seconds:.2f} s" for seconds in dark)
    yield Check("the house was dark twice, out and back", len(dark) == 2, found)
    if len(dark) == 2:
        for words, seconds, bound, key in zip(
            ("dark on the way out", "dark on the way back"),
            dark,
            (DARK_AT_LOSS_S, DARK_AT_RETURN_S),
            ("transfer_s", "return_s"),
            strict=True,
        ):
            ok = seconds <= bound and abs(seconds - told[key]) <= NEAR_S
            yield Check(words, ok, f"{seconds:.2f} s ({bound:g} allowed), {told[key]:.1f} s told")
    lost = before.happened(truth, "grid_lost")
    yield Check("the street never failed", not lost, f"{len(lost)} times")
    names = list(told["loads_shed"])
    yield Check("the water heater was shed for it", names == [WATER_HEATER.name], ", ".join(names) or "nothing")
    yield Check(
        "the score is good", told["score"] >= 80, f"{told['score']} of 100, reasons: {told['reasons'] or 'none'}"
    )
