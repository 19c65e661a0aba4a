"""What a site knows and expects, in sentences: who tells of the grid, what an outage would find, what stands."""

from collections.abc import Mapping
from typing import Any

from .explanation import blocked_told, explained, next_step_of_block, steps
from .program_events import events_of
from .wire import ChargerWire, EventWire, EvidenceState, ReasonState, RuntimeState, SiteWire, State
from .wording import DASH, Words, hours

# The grid is gone, or may be: what is told of an outage is about this one.
OUT = frozenset({"suspect", "outage", "restoring"})


def evidence(words: Words, state: State) -> list[dict[str, Any]]:
    """Each source's word on the grid."""
    return [
        {
            "source": one["source"],
            "present": one["present"],
            "counts": one.get("counts"),
            "at": one["at"],
            "text": words.say(f"evidence_{_says(one)}", source=_source(state, one), detail=one["detail"] or DASH),
        }
        for one in state["site"]["evidence"]
    ]


def grid_told(words: Words, state: State) -> str:
    """What the grid is taken for, and by whose word."""
    told = [str(one["text"]) for one in evidence(words, state)] or [words.say("no_evidence")]
    return " ".join(told)


def outlook(words: Words, site: SiteWire) -> str:
    """What an outage would find, or finds now."""
    readiness = site.get("readiness")
    if not site["has_backup"]:
        return words.say("outage_not_here")
    if site["supply"] in ("island", "vendor_backup"):
        return _lasting(words, "outage_carried", site.get("runtime"))
    if readiness is None:
        return words.say("outage_not_judged")
    reasons = ", ".join(_reason(words, one).lower() for one in readiness["reasons"])
    if readiness["level"] == "not_ready":
        return words.say("outage_dark" if site["grid"] in OUT else "outage_not_ready", reasons=reasons or DASH)
    told = _lasting(words, "outage_takes_over" if site["grid"] in OUT else "outage_ready", site.get("runtime"))
    return told if not reasons else f"{told} {words.say('outage_degraded', reasons=reasons)}"


def lacks(words: Words, site: SiteWire) -> list[dict[str, Any]]:
    """What is in the way of backup, worst first, and what to do about it."""
    readiness = site.get("readiness")
    return [
        {
            "reason": one["code"],
            "subject": one["subject"],
            "text": _reason(words, one),
            "next_step": words.find(f"next_ready_{one['code']}") or words.say("next_ready_other"),
        }
        for one in (readiness["reasons"] if readiness else ())
    ]


def standing(words: Words, state: State) -> list[dict[str, Any]]:
    """The notices that nobody has dealt with yet."""
    return [
        {
            "kind": one["kind"],
            "level": one["level"],
            "since": one["raised_at"],
            "text": words.find(f"notice_{one['kind']}_title") or words.say("notice_other_title"),
        }
        for one in state["notices"]
    ]


def charger_told(words: Words, charger: ChargerWire, events: Mapping[str, EventWire]) -> dict[str, Any]:
    """Why a charger does what it does, step by step, and why it cannot discharge where it cannot."""
    told = explained(words, charger, events)
    return {
        "name": charger["name"],
        "text": told.text,
        "order": _order(charger, told.order),
        "next_step": told.next_step,
        "steps": steps(words, charger),
        "cannot_discharge": _blocked(words, charger),
    }


def site_told(words: Words, state: State) -> dict[str, Any]:
    """The grid by each source, what an outage would find, and what stands."""
    site = state["site"]
    return {
        "name": site["name"],
        "grid": site["grid"],
        "supply": site["supply"],
        "mode": site["mode"],
        "evidence": evidence(words, state),
        "outage": outlook(words, site),
        "in_the_way": lacks(words, site),
        "notices": standing(words, state),
    }


def faults(words: Words, state: State) -> list[dict[str, Any]]:
    """What needs a person at a charger or a program, and the next step."""
    events = events_of(state)
    found = [fault for charger in state["chargers"].values() for fault in _faults_of(words, charger, events)]
    return found + [
        {"where": program["name"], "text": str(program.get("problem")), "next_step": None}
        for program in state["programs"].values()
        if program.get("problem")
    ]


def _faults_of(words: Words, charger: ChargerWire, events: Mapping[str, EventWire]) -> list[dict[str, Any]]:
    alarms = [
        {"where": charger["name"], "text": words.attribute("sensor.why", "limited_by", alarm), "next_step": None}
        for alarm in charger.get("alarms", ())
    ]
    order = charger["order"]
    told = explained(words, charger, events)
    if order is not None and order["stage"] == "refused":
        return [*alarms, {"where": charger["name"], "text": told.order, "next_step": told.next_step}]
    if not charger["connected"] or charger["state"] in ("fault", "blocked"):
        return [*alarms, {"where": charger["name"], "text": told.text, "next_step": told.next_step}]
    return alarms


def _order(charger: ChargerWire, told: str | None) -> Mapping[str, Any] | None:
    order = charger["order"]
    return None if order is None else {"stage": order["stage"], "reason": order["reason"], "text": told}


def _blocked(words: Words, charger: ChargerWire) -> Mapping[str, Any] | None:
    reason = charger.get("blocked_by")
    if reason is None:
        return None
    return {"reason": reason, "text": blocked_told(words, reason), "next_step": next_step_of_block(words, reason)}


def _says(one: EvidenceState) -> str:
    if one.get("counts") is False:
        return "not_counted"
    return {True: "present", False: "lost", None: "unknown"}[one["present"]]


def _source(state: State, one: EvidenceState) -> str:
    """A charger by its name; all others as the controller calls them."""
    kind, _, own_id = one["source"].partition(":")
    charger = state["chargers"].get(own_id) if kind == "charger" else None
    return one["source"] if charger is None else charger["name"]


def _reason(words: Words, one: ReasonState) -> str:
    return words.attribute("sensor.backup_readiness", "reasons", one["code"])


def _lasting(words: Words, key: str, runtime: RuntimeState | None) -> str:
    """A runtime with its range; without end where the sun covers the house."""
    if runtime is None:
        return words.say(f"{key}_unknown")
    p10, p50, p90 = (
        None if runtime[name] is None else hours(runtime[name] or 0) for name in ("p10_h", "p50_h", "p90_h")
    )
    if p50 is None:
        return words.say(f"{key}_endless")
    return words.say(key, p10=p10 or DASH, p50=p50, p90=p90 or DASH)
