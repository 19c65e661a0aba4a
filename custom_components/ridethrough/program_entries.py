"""A peak event as an entry of a calendar: what it is called there, and what is told of it."""

from collections.abc import Iterator

from .program_events import OVER, waits_for_yes
from .wire import EventWire
from .wording import Words, energy, power


def summary(event: EventWire, words: Words) -> str:
    """Its name, with what is asked of the house."""
    if not event["power_w"]:
        return event["name"]
    way = "calendar_supply" if event["power_w"] < 0 else "calendar_draw"
    return words.say(way, name=event["name"], power=power(event["power_w"]))


def description(event: EventWire, words: Words, *, moving: bool) -> str:
    """How it stands, in lines. ``moving``: also what may change with each minute, such as money."""
    lines = [*_standing(event, words), *(_figures(event, words) if moving else ())]
    return "\n".join((*lines, words.say("calendar_uid", uid=event["uid"])))


def _standing(event: EventWire, words: Words) -> Iterator[str]:
    asks = waits_for_yes(event)
    status = words.state("sensor.event_status", "asks" if asks else event["status"])
    yield words.say("calendar_status", status=status)
    if event.get("opted_out", event["status"] == "opted_out"):
        yield words.say("calendar_opted_out")
    if event.get("rehearsal"):
        yield words.say("calendar_rehearsal")
    if event.get("dry"):
        yield words.say("calendar_dry")


def _figures(event: EventWire, words: Words) -> Iterator[str]:
    if event["status"] in OVER:
        yield from _result(event, words)
        return
    if event["feasible_w"] is not None:
        yield words.say("calendar_promised", power=power(event["feasible_w"]))
    stake = event.get("stake_usd")
    if stake is not None:
        yield words.say("calendar_stake", usd=f"${stake:.2f}")


def _result(event: EventWire, words: Words) -> Iterator[str]:
    if event["average_w"] is not None:
        yield words.say("calendar_given", energy=energy(event["energy_wh"]), power=power(event["average_w"]))
    if event["earnings_usd"] is not None:
        yield words.say("calendar_earned", usd=f"${event['earnings_usd']:.2f}")
