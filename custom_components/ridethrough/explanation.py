"""Why a charger does what it does, in sentences: who decided, what stood above that, what the device made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .reasons import DRAWS, GIVES, ORDER_REASONS, STEP_REASONS
from .sensor_rows import turned
from .wire import ChargerWire, EventWire, OrderState, StepState
from .wording import Words, measured, power

# Less than this is no shortfall.
NEAR_W = 150
# What moves with the house's own load is told in halves of a kilowatt, so that it is not told anew each second.
MOVING = frozenset({"service_limits", "import_capacity", "export_capacity", "generator", "meter_late"})
ROUGH_W = 500

# What a step tells as a number.
NUMBERS = ("target_pct", "reaches_pct", "reserve_pct", "limit_w", "charge_max_w", "power_w")

# What a person can do where an event is held back, told with another reason's words.
NEXT_STEPS: Mapping[str, str] = MappingProxyType(
    {
        "stopped": "why_stopped_by_person",
        "mode": "why_paused",
        "reserve": "why_backup_reserve",
        "event_floor": "why_event_floor",
        "storm": "why_storm",
        "meter_silent": "why_meter_silent",
        "no_vehicle": "blocked_no_vehicle",
        "vehicle": "order_vehicle",
        "charger_silent": "why_no_contact",
        "another_controller": "why_another_controller",
        "not_followed": "order_not_followed",
        "persons_limit": "blocked_limit",
    }
)

# Who stands behind a reason of an order; every other one is the charger's.
BY_WHOM: Mapping[str, str] = MappingProxyType(
    {
        "charge_limit": "both",
        "discharge_limit": "both",
        "session_not_bidirectional": "both",
        "soc_ceiling": "vehicle",
        "soc_floor": "vehicle",
        "vehicle": "vehicle",
        "v2g_not_offered": "vehicle",
        "overwritten": "controller",
    }
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """``text``: what it does and why. ``order``: what the device made of the order, None: all is as ordered.
    ``next_step``: what a person can do; None: nothing is to be done."""

    text: str
    order: str | None
    next_step: str | None

    @property
    def whole(self) -> str:
        """All of it in one text."""
        return self.text if self.order is None else f"{self.text} {self.order}"


def explained(words: Words, charger: ChargerWire, events: Mapping[str, EventWire]) -> Explanation:
    """The last step settled it; one above it may have left less than was asked. Of an event, the event itself tells."""
    if not charger["why"]:
        return Explanation(words.say("why_nothing_decided"), None, None)
    settled = charger["why"][-1]
    order, limiter, event = charger["order"], _limiter(charger), _short_event(settled, events)
    told = None if order is None else order_told(words, order)
    if event is not None:
        return Explanation(_event_short(words, settled, event), told, _next_step_of_event(words, charger, event))
    text = _sentence(words, charger, settled) if limiter is None else _held_back(words, charger, limiter)
    return Explanation(text, told, _next_step(words, charger, limiter))


def step_told(words: Words, step: StepState) -> str:
    """One rung's word, and what it left."""
    what = words.state("sensor.why", step["reason"])
    low_w, high_w = step["low_w"], step["high_w"]
    if low_w is None or high_w is None:
        return f"{what}."
    if low_w == high_w:
        key = "rests" if low_w == 0 else "gives" if low_w < 0 else "draws"
        return words.say(f"step_{key}", what=what, power=power(low_w))
    if low_w > 0 or high_w < 0:
        least, most = sorted((abs(low_w), abs(high_w)))
        key = "between_draws" if low_w > 0 else "between_gives"
        return words.say(f"step_{key}", what=what, least=power(least), most=power(most))
    gives, draws = (power(one) if one else words.say("step_nothing") for one in (low_w, high_w))
    return words.say("step_leaves", what=what, gives=gives, draws=draws)


def steps(words: Words, charger: ChargerWire) -> list[dict[str, Any]]:
    """Every rung that was heard, top first; power in kilowatts, positive comes out of the vehicle."""
    return [
        {
            "rung": step["rung"],
            "rung_name": words.state("sensor.control_reason", step["rung"]),
            "reason": step["reason"],
            "text": step_told(words, step),
            "low_kw": _kilowatts(turned(step["high_w"])),
            "high_kw": _kilowatts(turned(step["low_w"])),
        }
        for step in charger["why"]
    ]


def order_told(words: Words, order: OrderState) -> str | None:
    """By whom an order is refused or limited, and why; None: by nobody."""
    reason = order["reason"]
    if reason is None:
        return None
    who = words.say(f"who_{BY_WHOM.get(reason, 'charger')}")
    what = words.state("sensor.limited_by", reason if reason in ORDER_REASONS else "other")
    if order["stage"] in ("refused", "limited"):
        return words.say(f"order_{order['stage']}", who=who, what=what)
    return words.say("order_not_yet", what=what)


def next_step_of_order(words: Words, reason: str) -> str | None:
    """What a person can do about a reason of an order; None: nothing."""
    return words.find(f"next_order_{reason if reason in ORDER_REASONS else 'other'}")


def next_step_of_block(words: Words, reason: str) -> str | None:
    """What a person can do where a charger cannot discharge."""
    return words.find(f"next_blocked_{reason}") or words.find("next_blocked_other")


def blocked_told(words: Words, reason: str) -> str:
    """Why a charger cannot discharge."""
    return words.find(f"blocked_{reason}") or words.say("blocked_other")


def _kilowatts(power_w: int | None) -> float | None:
    return None if power_w is None else round(power_w / 1000, 1)


def _settled_w(step: StepState) -> int:
    """What flows by this step; of a band what is nearest to nothing."""
    low_w, high_w = step["low_w"], step["high_w"]
    return 0 if low_w is None or high_w is None else min(max(0, low_w), high_w)


def _wished_w(charger: ChargerWire, step: StepState) -> int | None:
    """The power that a person ordered, where that settles it; None: none is named."""
    manual = charger["manual"]
    if step["reason"] in ("manual_charge", "manual_discharge") and manual is not None:
        power_w = manual["power_w"]
        return -power_w if power_w is not None and step["reason"] == "manual_discharge" else power_w
    return None


def _direction(step: StepState, wished_w: int | None) -> int:
    """-1: it is to give, 1: to draw, 0: neither."""
    if wished_w:
        return 1 if wished_w > 0 else -1
    return -1 if step["reason"] in GIVES else 1 if step["reason"] in DRAWS else 0


def _limiter(charger: ChargerWire) -> StepState | None:
    """The highest step that leaves as little as the lowest gets, where that is less than it asks for; None: none is."""
    *above, settled = charger["why"]
    wished_w = _wished_w(charger, settled)
    direction = _direction(settled, wished_w)
    bounded = [step for step in above if step["low_w"] is not None and step["high_w"] is not None]
    if not direction or not bounded:
        return None
    left_w = max(0, _bound_w(bounded[-1], direction))
    if left_w > 0 if wished_w is None else left_w > abs(wished_w) - NEAR_W:
        return None
    return next(step for step in bounded if max(0, _bound_w(step, direction)) <= left_w)


def _bound_w(step: StepState, direction: int) -> int:
    """How much it leaves in this direction."""
    bound_w = step["low_w"] if direction < 0 else step["high_w"]
    return direction * (bound_w or 0)


def _sentence(words: Words, charger: ChargerWire, step: StepState) -> str:
    reason = step["reason"] if step["reason"] in STEP_REASONS else "other"
    if reason == "rests" and charger["plugged"] is False:
        return words.say("why_no_vehicle")
    flow_w = _settled_w(step) or _wished_w(charger, step) or 0
    # What is ordered differs a little from the part that is asked, so that just that is measured.
    flow_w = step["data"].get("asked_w", flow_w) if reason == "event" else flow_w
    way = "rests" if flow_w == 0 else "gives" if flow_w < 0 else "draws"
    key = next((key for key in (f"why_{reason}_{way}", f"why_{reason}") if words.find(key)), "why_other")
    return words.say(key, **_told(words, step["data"]), power=power(flow_w))


def _held_back(words: Words, charger: ChargerWire, limiter: StepState) -> str:
    """It would; what stands above leaves less."""
    settled = charger["why"][-1]
    wished_w = _wished_w(charger, settled)
    direction = _direction(settled, wished_w)
    left_w = max(0, _bound_w(limiter, direction))
    if limiter["reason"] in MOVING:
        left_w = ROUGH_W * round(left_w / ROUGH_W)
    way = "gives" if direction < 0 else "draws"
    return words.say(
        f"held_back_{way}{'' if wished_w is None else '_power'}",
        purpose=words.say(f"for_{settled['reason']}", **_told(words, settled["data"])),
        wished=power(wished_w or 0),
        limit=words.find(f"limit_{limiter['reason']}") or words.say("limit_other"),
        left=power(left_w) if left_w else words.say("step_nothing"),
    )


def _short_event(step: StepState, events: Mapping[str, EventWire]) -> EventWire | None:
    """The event that is served, where something keeps it from its target."""
    event = events.get(str(step["data"].get("event"))) if step["reason"] == "event" else None
    return event if event is not None and event.get("limited_by") and event["power_w"] else None


def _event_short(words: Words, step: StepState, event: EventWire) -> str:
    asked_w, given_w = event["power_w"] or 0, _settled_w(step)
    way = "rests" if given_w == 0 else "gives" if given_w < 0 else "draws"
    return words.say(
        f"event_short_{way}",
        **_told(words, step["data"]),
        power=power(given_w),
        asked=power(asked_w),
        limit=words.state("sensor.event_limited_by", str(event.get("limited_by"))),
    )


def _next_step_of_event(words: Words, charger: ChargerWire, event: EventWire) -> str | None:
    order = charger["order"]
    if order is not None and order["reason"] is not None and (step := next_step_of_order(words, order["reason"])):
        return step
    key = NEXT_STEPS.get(str(event.get("limited_by")))
    return None if key is None else words.find(f"next_{key}")


def _next_step(words: Words, charger: ChargerWire, limiter: StepState | None) -> str | None:
    order, settled = charger["order"], charger["why"][-1]
    if order is not None and order["reason"] is not None and (step := next_step_of_order(words, order["reason"])):
        return step
    reasons = [settled["reason"]] if limiter is None else [limiter["reason"], settled["reason"]]
    blocked = charger.get("blocked_by")
    if limiter is not None and limiter["reason"] == "device" and blocked is not None:
        return next_step_of_block(words, blocked)
    known = [reason if reason in STEP_REASONS else "other" for reason in reasons]
    return next((step for reason in known if (step := words.find(f"next_why_{reason}"))), None)


def _told(words: Words, data: Mapping[str, Any]) -> dict[str, str]:
    """What a step tells, as a person reads it."""
    until = words.clock_of(data.get("until")) or words.say("until_further_notice")
    told = {"name": str(data.get("name") or ""), "until": until, "at": words.clock_of(data.get("at"))}
    told |= {key: measured(key, data[key]) for key in NUMBERS if _is_number(data, key)}
    return {key: value for key, value in told.items() if value is not None}


def _is_number(data: Mapping[str, Any], key: str) -> bool:
    return isinstance(data.get(key), int | float)
