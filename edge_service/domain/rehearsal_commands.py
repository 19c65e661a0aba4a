"""Events that people rehearse: from a command to an event, or refused by the name of what forbids it. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from edge_service.domain.asked import Asked, CommandRefusedError
from edge_service.domain.model import Event, Mode, Slot
from edge_service.domain.resolved import resolved

# A person entered it, so that no word of a utility's takes it away: as events by hand.
UID = "hand:rehearsal:"
# The kind of the programs whose events people enter, and the id of the one that a house has without asking.
BY_HAND = "manual"
USUAL_POWER_W, MOST_POWER_W = 1000, 5000
USUAL_MINUTES, MOST_MINUTES = 5, 15
# Time for its notice to be brought, and to think better of it.
BEGINS_AFTER = timedelta(seconds=60)
FARTHEST = timedelta(days=7)


class Refusal(StrEnum):
    """What forbids a rehearsal; the command's code is ``rehearsal_`` and this."""

    STOPPED = "stopped"
    MODE = "mode"
    GRID_NOT_ON = "grid_not_on"
    STORM = "storm"
    DRILL = "drill"
    EVENT_NEAR = "event_near"
    NOT_PARTICIPATING = "not_participating"
    NO_CHARGER = "no_charger"


# For who has no client that puts the codes into words.
REFUSALS: Mapping[Refusal, str] = {
    Refusal.STOPPED: "a stop stands",
    Refusal.MODE: "the mode is not automatic",
    Refusal.GRID_NOT_ON: "the grid is not on beyond suspicion",
    Refusal.STORM: "a storm is prepared for",
    Refusal.DRILL: "a drill runs",
    Refusal.EVENT_NEAR: "an event is called for that time",
    Refusal.NOT_PARTICIPATING: "the house does not take part in its program",
    Refusal.NO_CHARGER: "no charger with a vehicle can supply",
}


def rehearsal_event(asked: Asked) -> Event:
    """The event to be entered. ``dry`` is the rule: a pulse is asked for in words. Raises ``CommandRefusedError``."""
    program = asked.program() if asked.args.get("program") is not None else _by_hand(asked)
    dry = asked.flag("dry") if "dry" in asked.args else True
    power_w = _number(asked, "power_w", USUAL_POWER_W, MOST_POWER_W)
    start = _start(asked)
    end = start + timedelta(minutes=_number(asked, "minutes", USUAL_MINUTES, MOST_MINUTES))
    if asked.observation is None:
        raise CommandRefusedError("not_ready", "the edge has not finished starting; try again")
    if asked.memory.rehearsal is not None and asked.memory.rehearsal.ended_at is None:
        raise CommandRefusedError("rehearsal_running", "a rehearsal comes or runs already")
    reasons = list(_refusals(asked, program, (start, end), dry=dry))
    if reasons:
        words = ", ".join(REFUSALS[reason] for reason in reasons)
        codes = [str(reason) for reason in reasons]
        raise CommandRefusedError(f"rehearsal_{reasons[0]}", f"no rehearsal now: {words}", reasons=codes)
    slots = (Slot(start, end, power_w=-power_w),)
    return Event(f"{UID}{start:%Y%m%dT%H%M%SZ}", program, "Rehearsal", asked.now, slots, rehearsal=True, dry=dry)


def rehearsal_to_cancel(asked: Asked) -> str:
    """The uid of the one that comes or runs."""
    known = asked.memory.rehearsal
    if known is None or known.ended_at is not None:
        raise CommandRefusedError("no_rehearsal_running", "no rehearsal comes or runs")
    return known.uid


def _by_hand(asked: Asked) -> str:
    """The program for events by hand: that of every house, else the first that people added in its place."""
    offers = asked.facts.programs
    own = [name for name, offer in sorted(offers.items()) if offer.kind == BY_HAND]
    if not own:
        allowed = ", ".join(offers)
        raise CommandRefusedError("unknown_program", "no program takes events by hand", found=BY_HAND, allowed=allowed)
    return BY_HAND if BY_HAND in own else own[0]


def _number(asked: Asked, name: str, usual: int, most: int) -> int:
    return usual if asked.args.get(name) is None else int(asked.number(name, 1, most))


def _start(asked: Asked) -> datetime:
    if asked.args.get("at") is None:
        return (asked.now + BEGINS_AFTER).replace(microsecond=0)
    at = asked.time("at")
    if at < asked.now:
        raise CommandRefusedError("in_the_past", "the start is in the past", argument="at")
    if at > asked.now + FARTHEST:
        raise CommandRefusedError("until_too_far", "a rehearsal begins within 7 days", allowed="7 d")
    return at


def _refusals(asked: Asked, program: str, event: tuple[datetime, datetime], *, dry: bool) -> Iterator[Refusal]:
    observation, memory = asked.observation, asked.memory
    if observation is None:
        return
    settings = resolved(asked.settings, observation, memory, asked.facts)
    forbids = {
        Refusal.STOPPED: settings.stopped,
        Refusal.MODE: settings.mode is not Mode.AUTOMATIC,
        Refusal.GRID_NOT_ON: not asked.tied,
        Refusal.STORM: settings.storm_at(asked.now) is not None,
        Refusal.DRILL: memory.drill is not None and memory.drill.runs,
        Refusal.EVENT_NEAR: any(_overlaps(known, *event) for known in observation.events),
        Refusal.NOT_PARTICIPATING: program in settings.not_participating,
        Refusal.NO_CHARGER: not dry and not any(_can_supply(asked, name) for name in asked.facts.chargers),
    }
    yield from (reason for reason, holds in forbids.items() if holds)


def _overlaps(event: Event, start: datetime, end: datetime) -> bool:
    real = bool(event.slots) and not (event.cancelled or event.rehearsal)
    return real and event.start < end and start < event.end


def _can_supply(asked: Asked, charger: str) -> bool:
    """It is there, can discharge, and a vehicle is on it."""
    capability, observation = asked.facts.chargers[charger].capability, asked.observation
    reading = None if observation is None else asked.facts.fresh(observation.chargers.get(charger), asked.now)
    able = capability is not None and capability.discharge_rating_w > 0
    return able and reading is not None and reading.plugged is not False
