"""A person's say on events: left out or taken back in by the event, by the day or by the program. Pure.

The later word counts: leaving out a day or a program also takes back a yes that was said to one of its events.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from edge_service.domain.asked import Asked, CommandRefusedError, bad_argument
from edge_service.domain.memory import EventMemory
from edge_service.domain.model import Settings, frozen_map
from edge_service.domain.settlement import stake

A_DAY = "2026-07-15"
FARTHEST_DAY = timedelta(days=366)
# A local day is over everywhere on earth so long after its date in UTC began.
DAY_OVER_AFTER = timedelta(hours=36)
# A no to an event stands so long after its end: a server may lose it and list it again, or make it longer.
NO_KEPT_AFTER = timedelta(hours=24)


def opt_out(asked: Asked) -> Settings:
    """Leave one event out, also in its middle."""
    uid, _ = called(asked)
    return replace(asked.settings, opted_out=asked.settings.opted_out | {uid}, opted_in=asked.settings.opted_in - {uid})


def opt_in(asked: Asked) -> Settings:
    """Say yes to one event, whatever was said of its day or its program; also to one that asks."""
    uid, _ = called(asked)
    return replace(asked.settings, opted_out=asked.settings.opted_out - {uid}, opted_in=asked.settings.opted_in | {uid})


def called(asked: Asked) -> tuple[str, EventMemory]:
    """The event that a command names. Raises ``CommandRefusedError``: not known, or over."""
    uid = asked.text("event")
    account = asked.memory.events.get(uid)
    if account is None:
        raise CommandRefusedError("unknown_event", f"no event {uid}", found=uid, allowed=", ".join(asked.memory.events))
    if account.is_over(asked.now) or asked.now >= account.end:
        raise CommandRefusedError("event_over", f"event {account.name} is over")
    return uid, account


def set_participation(asked: Asked) -> Settings:
    """Take part in a program or not."""
    program, left_out = asked.program(), set(asked.settings.not_participating)
    takes_part = asked.flag("participating")
    (left_out.discard if takes_part else left_out.add)(program)
    opted_in = asked.settings.opted_in
    if not takes_part:
        opted_in -= {uid for uid, account in asked.memory.events.items() if account.program_id == program}
    return replace(asked.settings, not_participating=frozenset(left_out), opted_in=opted_in)


def opt_out_day(asked: Asked, today: date) -> Settings:
    """Leave out all events that begin on a local date, of one program or of all. ``today``: the site's date."""
    day, programs = _day(asked, today), _programs(asked)
    days = dict(asked.settings.days_opted_out)
    for program in programs:
        days[program] = days.get(program, frozenset()) | {day}
    on_it = {uid for uid, one in asked.memory.events.items() if one.day == day and one.program_id in programs}
    return replace(asked.settings, days_opted_out=frozen_map(days), opted_in=asked.settings.opted_in - on_it)


def opt_in_day(asked: Asked, today: date) -> Settings:
    """Take a day back in. An event that was left out by itself stays out."""
    day, programs = _day(asked, today), _programs(asked)
    known = asked.settings.days_opted_out
    days = {program: days - {day} if program in programs else days for program, days in known.items()}
    return replace(asked.settings, days_opted_out=_filled(days))


DAY_COMMANDS: Mapping[str, Callable[[Asked, date], Settings]] = {"opt_out_day": opt_out_day, "opt_in_day": opt_in_day}


def _day(asked: Asked, today: date) -> str:
    text = asked.text("day")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise bad_argument("day", text, A_DAY) from None
    if day < today:
        raise CommandRefusedError("in_the_past", f"{day} is over", argument="day")
    if day > today + FARTHEST_DAY:
        raise bad_argument("day", text, f"at most {FARTHEST_DAY.days} days ahead")
    return day.isoformat()


def _programs(asked: Asked) -> frozenset[str]:
    """The one that is named, else all."""
    return frozenset(asked.facts.programs) if asked.args.get("program") is None else frozenset({asked.program()})


def _filled(days: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
    return frozen_map({program: dates for program, dates in days.items() if dates})


def days_left(settings: Settings, now: datetime) -> Mapping[str, frozenset[str]]:
    """The days left out that are not over everywhere; the very same object where none is."""
    known = settings.days_opted_out
    left = _filled({name: frozenset(day for day in days if not _is_over(day, now)) for name, days in known.items()})
    return known if left == known else left


def _is_over(day: str, now: datetime) -> bool:
    return now >= datetime.fromisoformat(day).replace(tzinfo=now.tzinfo) + DAY_OVER_AFTER


def told(name: str, asked: Asked) -> dict[str, Any]:
    """What a person hears who leaves an event out or takes it back in: the money at stake."""
    if name not in ("opt_out", "opt_in"):
        return {}
    _, account = called(asked)
    season = None if asked.observation is None else asked.observation.seasons.get(account.program_id)
    found = stake(account, asked.facts.programs.get(account.program_id), season, asked.now)
    if found is None:
        return {"stake_usd": None, "average_w": None}
    return {"stake_usd": round(found.usd, 2), "average_w": round(found.average_w)}


COMMANDS: Mapping[str, Callable[[Asked], Settings]] = {
    "opt_out": opt_out,
    "opt_in": opt_in,
    "set_participation": set_participation,
}
