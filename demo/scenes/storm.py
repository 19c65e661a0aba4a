"""Warned of wind, by the utility and by an entity in Home Assistant: the vehicle fills up and serves no event."""

from collections.abc import Iterator
from datetime import UTC, datetime

from demo.house import Json, at
from demo.loads import WARNING_ENTITY
from demo.scenes.stage import Before, Stage
from demo.telling import (
    ANNOUNCED_WITHIN_S,
    NOTICE,
    PEAK,
    RAMP_WITHIN_S,
    SHOWN_WITHIN_S,
    SITE,
    VEHICLE,
    MissingStepError,
    is_near,
    is_state,
    is_told,
    say,
)
from demo.timeline import Cause
from demo.verdict import Check
from demo.watching import Seen

EVENT_W, EVENT_IN_S, EVENT_S = 5000, 12, 120
STORM_S = 26
UNKNOWN = ("unknown", "unavailable")


async def storm(stage: Stage) -> list[Check]:
    """An event is called and a storm comes: charged up, not served, said why; one warning refused; over by itself."""
    telling, before = stage.telling, await Before.of(stage.house)
    begins = datetime.now(UTC)
    warned = Cause("the utility warns", begins, telling.mark())
    await stage.house.warn("wind", STORM_S, "Gale")
    wish = ("--power-kw", str(EVENT_W / 1000), "--start-in", str(EVENT_IN_S), "--duration", str(EVENT_S))
    called = await telling.cause("event called", "event", *wish)
    await telling.see("storm is prepared for", is_state(SITE("storm_hold"), "on"), warned, ANNOUNCED_WITHIN_S)
    until = await telling.stands("until when", lambda seen: seen.key == SITE("storm_until") and _is_known(seen))
    charges = is_state(VEHICLE("charging"), "on")
    await telling.see("vehicle charges", charges, warned, ANNOUNCED_WITHIN_S + RAMP_WITHIN_S)
    announced = await telling.see(
        "event announced", is_told(PEAK("peak_event"), "announced"), called, ANNOUNCED_WITHIN_S
    )
    notices = [seen for key, seen in stage.watch.now.items() if key.startswith(NOTICE("storm"))]
    _said(notices)
    await _second_warning(stage)
    starts = Cause("event start", at(announced.attributes["start"]), telling.mark())
    running = is_state(PEAK("event_status"), "running", "interrupted")
    await telling.see("its time has come", running, starts, EVENT_IN_S + SHOWN_WITHIN_S)
    await telling.stands("it is not served: the vehicle charges", charges)
    why = await telling.stands("says why", lambda seen: seen.key == VEHICLE("why") and seen.state.startswith("storm"))
    telling.picture("storm", "now")
    ends = Cause("storm ends", at(until.state), telling.mark())
    left_s = max(0.0, (ends.at - datetime.now(UTC)).total_seconds()) + SHOWN_WITHIN_S
    over = await telling.see("ends by itself", is_state(SITE("storm_hold"), "off"), ends, left_s)
    served = is_near(VEHICLE("power"), EVENT_W)
    await telling.see("event is served", served, ends, RAMP_WITHIN_S + SHOWN_WITHIN_S)
    gone = await telling.cause("utility cancels", "cancel")
    await telling.see("event cancelled", is_told(PEAK("peak_event"), "cancelled"), gone, ANNOUNCED_WITHIN_S)
    await telling.act("the wind is over", "input_boolean.turn_off", entity_id=WARNING_ENTITY)
    return list(_checks(before, await stage.house.truth(), ends, over, why))


async def _second_warning(stage: Stage) -> None:
    """An entity warns too, without an end; a person wants nothing done about that one."""
    telling = stage.telling
    gone = await telling.act("an entity warns", "input_boolean.turn_on", entity_id=WARNING_ENTITY)
    later = await telling.see("the storm lasts longer", lambda seen: seen.key == SITE("storm_until"), gone)
    standing = telling.shown(SITE("alert")).attributes
    listed = (standing, *standing.get("others", ()))
    alert = next((one["alert"] for one in listed if one["alert"].startswith(WARNING_ENTITY)), None)
    if alert is None:
        raise MissingStepError(f"the warning of {WARNING_ENTITY} is not shown among the alerts: {dict(standing)}")
    said = "opted out of that one"
    refused = await telling.act(said, "ridethrough.opt_out_alert", config_entry_id=stage.entry_id, alert=alert)
    earlier = lambda seen: seen.key == SITE("storm_until") and _is_known(seen) and at(seen.state) < at(later.state)  # noqa: E731
    await telling.see("the other one stands on", earlier, refused)


def _is_known(seen: Seen) -> bool:
    return seen.state not in UNKNOWN


def _said(notices: list[Seen]) -> None:
    if not notices:
        raise MissingStepError("no notification tells of the storm")
    say(f"  {notices[-1].attributes['message']}")


def _checks(before: Before, truth: Json, ends: Cause, over: Seen, why: Seen) -> Iterator[Check]:
    late_s = (over.at - datetime.fromisoformat(before.truth["at"])).total_seconds()
    yield Check(
        "the storm ended by itself", late_s >= STORM_S, f"{late_s:.0f} s after it was announced for {STORM_S} s"
    )
    charged_wh = truth["charger"]["charged_wh"] - before.truth["charger"]["charged_wh"]
    yield Check("the vehicle was charged meanwhile", charged_wh > 10, f"{charged_wh:.0f} Wh")
    held = [entry for entry in before.happened(truth, "setpoint_written") if at(entry["at"]) < ends.at]
    given = [entry for entry in held if _asked_w(entry) < 0]
    yield Check("no discharge was ordered in the storm", not given, f"{len(given)} orders; it said {why.state}")


def _asked_w(entry: Json) -> float:
    return float(entry["setpoint_w"] or 0.0) if entry["enabled"] else 0.0
