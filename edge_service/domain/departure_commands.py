"""Departures that people plan: from a command to plans that are kept, left out or forgotten. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain.asked import Asked, CommandRefusedError, bad_argument
from edge_service.domain.model import DeparturePlan, Settings, frozen_map

FARTHEST_DEPARTURE = timedelta(days=30)
# A week with two trips a day, and some for once.
MOST_DEPARTURES = 20
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def set_departure(asked: Asked) -> Settings:
    """Keep a plan under its id; one without an id replaces ``once`` or ``weekly``."""
    charger = asked.charger()
    weekly = asked.args.get("at") is None
    plan_id = asked.name("id", "weekly" if weekly else "once")
    soc_pct, miles = _how_much(asked)
    if weekly:
        plan = DeparturePlan(plan_id, None, _weekdays(asked), asked.local_time("local_time"), soc_pct, miles)
    else:
        plan = DeparturePlan(plan_id, at=_departure_time(asked), soc_pct=soc_pct, miles=miles)
    others = tuple(old for old in asked.settings.departures.get(charger, ()) if old.id != plan_id)
    if len(others) >= MOST_DEPARTURES:
        raise CommandRefusedError(
            "too_many_departures", f"{charger} has {len(others)} departures already", allowed=str(MOST_DEPARTURES)
        )
    return _with_departures(asked, charger, (*others, plan))


def _with_departures(asked: Asked, charger: str, plans: tuple[DeparturePlan, ...]) -> Settings:
    departures = {**asked.settings.departures, charger: plans}
    return replace(asked.settings, departures=frozen_map({name: kept for name, kept in departures.items() if kept}))


def _how_much(asked: Asked) -> tuple[float | None, float | None]:
    soc, miles = asked.args.get("soc_pct"), asked.args.get("miles")
    if (soc is None) == (miles is None):
        found = "neither" if soc is None else "both"
        raise bad_argument("soc_pct", found, "soc_pct or miles", f"a departure needs soc_pct or miles, not {found}")
    if miles is None:
        return asked.number("soc_pct", 1, 100), None
    return None, asked.number("miles", 1, 500)


def _departure_time(asked: Asked) -> datetime:
    at = asked.time("at")
    if asked.args.get("weekdays") is not None or asked.args.get("local_time") is not None:
        allowed = "at, or weekdays and local_time"
        raise bad_argument("at", "both", allowed, "a departure is either at a time, or weekly")
    if at <= asked.now:
        raise CommandRefusedError("in_the_past", "the departure is in the past", argument="at")
    if at > asked.now + FARTHEST_DEPARTURE:
        raise CommandRefusedError("until_too_far", "a departure is 30 days ahead at most", allowed="30 days")
    return at


def _weekdays(asked: Asked) -> tuple[int, ...]:
    days = asked.args.get("weekdays")
    if not isinstance(days, list) or not days or not all(isinstance(day, str) and day in WEEKDAYS for day in days):
        allowed = ", ".join(WEEKDAYS)
        raise bad_argument("weekdays", days, allowed, f"weekdays must be a list of {allowed}")
    return tuple(sorted({WEEKDAYS.index(day) for day in days}))


def departure_plan(asked: Asked) -> tuple[str, DeparturePlan]:
    """The charger and the plan that a command names."""
    charger, plan_id = asked.charger(), asked.text("id")
    plans = asked.settings.departures.get(charger, ())
    plan = next((plan for plan in plans if plan.id == plan_id), None)
    if plan is None:
        known = ", ".join(plan.id for plan in plans)
        raise CommandRefusedError(
            "unknown_departure", f"{charger} has no departure {plan_id}", found=plan_id, allowed=known
        )
    return charger, plan


def clear_departure(asked: Asked) -> Settings:
    charger, plan = departure_plan(asked)
    return _with_departures(asked, charger, tuple(p for p in asked.settings.departures[charger] if p != plan))


def skip_departure(asked: Asked, at: datetime | None) -> Settings:
    """Leave out the plan's next time ``at``. A plan for once, or one without a next time, goes."""
    charger, plan = departure_plan(asked)
    if plan.at is None:
        asked.need_time_zone()
    if plan.at is not None or at is None:
        return clear_departure(asked)
    skipped = replace(plan, skip_until=at)
    return _with_departures(
        asked, charger, tuple(skipped if p == plan else p for p in asked.settings.departures[charger])
    )


def departures_left(settings: Settings, now: datetime) -> Mapping[str, tuple[DeparturePlan, ...]]:
    """The plans without those for a time that is over, the very same mapping where none is."""
    if not any(_is_past(plan, now) for plans in settings.departures.values() for plan in plans):
        return settings.departures
    left = {
        name: tuple(plan for plan in plans if not _is_past(plan, now)) for name, plans in settings.departures.items()
    }
    return frozen_map({name: plans for name, plans in left.items() if plans})


def _is_past(plan: DeparturePlan, now: datetime) -> bool:
    return plan.at is not None and plan.at <= now
