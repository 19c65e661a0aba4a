"""Which of a program's events people look at."""

from datetime import datetime

from homeassistant.util import dt as dt_util

from .times import time_of
from .wire import EventWire, ProgramWire, State

# The kind of a program whose events people enter: it has no server to be connected to.
BY_HAND = "manual"
RUNNING = frozenset({"running", "interrupted"})
COMING = frozenset({"announced", "preparing", "prepared"})
OVER = frozenset({"finished", "missed", "cancelled"})


def events_of(state: State) -> dict[str, EventWire]:
    """Every event of every program, by its uid."""
    return {event["uid"]: event for program in state["programs"].values() for event in program["events"]}


def _is_over(event: EventWire, now: datetime) -> bool:
    end = time_of(event["end"])
    return event["status"] in OVER or (event["status"] == "opted_out" and end is not None and end <= now)


def next_event(program: ProgramWire) -> EventWire | None:
    """The event that runs, else the next one, opted out of or not."""
    now = dt_util.utcnow()
    open_events = [event for event in program["events"] if not _is_over(event, now)]
    running = [event for event in open_events if event["status"] in RUNNING]
    return min(running or open_events, key=lambda event: event["start"], default=None)


def last_event(program: ProgramWire) -> EventWire | None:
    """The event that was over last, cancelled ones aside."""
    now = dt_util.utcnow()
    over = [event for event in program["events"] if _is_over(event, now) and event["status"] != "cancelled"]
    return max(over, key=lambda event: event["end"], default=None)


def shown_event(program: ProgramWire) -> EventWire | None:
    """What the status tells about: the running or next event, else how the last one went."""
    return next_event(program) or last_event(program)


def measured_event(program: ProgramWire) -> EventWire | None:
    """The event whose delivery is shown: the running one, else the last."""
    event = next_event(program)
    return event if event is not None and event["status"] in RUNNING else last_event(program)


def is_active(program: ProgramWire) -> bool:
    """An event that we take part in runs, even if an outage interrupts it."""
    event = next_event(program)
    return event is not None and event["status"] in RUNNING


def waits_for_yes(event: EventWire) -> bool:
    """It departs from its program's rules, is served only after a person's yes, and nobody has answered yet."""
    return event["status"] == "opted_out" and event.get("asks", False) and not event.get("opted_out", True)


def may_opt_out(program: ProgramWire) -> bool:
    """There is an event to say no to."""
    event = next_event(program)
    return event is not None and (event["status"] in RUNNING | COMING or waits_for_yes(event))


def may_opt_in(program: ProgramWire) -> bool:
    """There is an event to say yes to: one that asks, or one that was said no to."""
    event = next_event(program)
    return event is not None and event["status"] == "opted_out"
