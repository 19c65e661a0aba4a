"""Drills that people ask for, plan and break off: from a command to settings. Pure."""

from dataclasses import replace

from edge_service.domain.asked import Asked, CommandRefusedError, bad_argument
from edge_service.domain.drill_checks import Moment, refusals
from edge_service.domain.model import DrillRequest, DrillSchedule, Settings
from edge_service.domain.resolved import resolved

SHORTEST_ISLAND_S, LONGEST_ISLAND_S, USUAL_ISLAND_S = 30.0, 3600.0, 120.0
MOST_DAYS = 366


def start_drill(asked: Asked) -> Settings:
    """Begin a drill; refused by the name of what forbids it (``drill_<reason>``)."""
    drill = asked.memory.drill
    if drill is not None and drill.runs:
        raise CommandRefusedError("drill_running", "a drill runs already")
    transfer = _transfer(asked)
    request = DrillRequest(
        asked.now.isoformat(),
        asked.now,
        transfer,
        _island_s(asked),
        _said(asked, "medical_safe"),
        _said(asked, "at_switch"),
    )
    if asked.observation is None:
        raise CommandRefusedError("not_ready", "the edge has not finished starting; try again")
    settings = resolved(asked.settings, asked.observation, asked.memory, asked.facts)
    reasons = refusals(Moment(asked.observation, asked.memory, settings, asked.facts), request)
    if reasons:
        words = [str(reason) for reason in reasons]
        raise CommandRefusedError(f"drill_{reasons[0]}", f"no drill now: {', '.join(words)}", reasons=words)
    return replace(asked.settings, drill=request)


def _transfer(asked: Asked) -> bool:
    """Whether the house really leaves the grid. That darkens it for a moment, twice: a person says so in words."""
    transfer = asked.flag("transfer") if "transfer" in asked.args else False
    if transfer and asked.args.get("confirm") is not True:
        raise CommandRefusedError(
            "drill_confirm_needed",
            "this darkens the house for a moment, twice; say confirm: true",
            allowed="confirm: true",
        )
    return transfer


def _said(asked: Asked, name: str) -> bool:
    """Whether a person gave this word; it is never guessed."""
    return asked.args.get(name) is True


def _island_s(asked: Asked) -> float:
    if asked.args.get("island_s") is None:
        return USUAL_ISLAND_S
    return asked.number("island_s", SHORTEST_ISLAND_S, LONGEST_ISLAND_S)


def cancel_drill(asked: Asked) -> Settings:
    """Break off the one that runs; the house goes back to the grid."""
    drill = asked.memory.drill
    if drill is None or not drill.runs:
        raise CommandRefusedError("no_drill_running", "no drill is running")
    return replace(asked.settings, drill_cancelled=drill.id)


def set_drill_schedule(asked: Asked) -> Settings:
    """Drills that come by themselves. Each is announced a day before, and refused by name when it cannot be."""
    local_time = asked.local_time("local_time")
    every_days = asked.number("every_days", 1, MOST_DAYS)
    if every_days != int(every_days):
        raise bad_argument("every_days", every_days, "a whole number of days")
    transfer, medical_safe, at_switch = _transfer(asked), _said(asked, "medical_safe"), _said(asked, "at_switch")
    schedule = DrillSchedule(
        int(every_days), local_time, transfer, asked.now, _island_s(asked), medical_safe, at_switch
    )
    return replace(asked.settings, drill_schedule=schedule)


def clear_drill_schedule(asked: Asked) -> Settings:
    """No more of them come by themselves."""
    return replace(asked.settings, drill_schedule=None)
