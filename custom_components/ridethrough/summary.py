"""What was found at a house, what is missing and what to do next, in words: the last page of the set-up."""

from collections.abc import Iterator, Mapping
from typing import Any

import probatio
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import BooleanSelector

from .const import CONF_BACKED_UP
from .entity import may_discharge
from .notice_kinds import Group
from .phones.choice import CONF_PHONES, found_phones, option_of
from .phones.pages import PHONE_SELECTOR
from .phones.quiet import END, START
from .program_events import BY_HAND
from .wire import ChargerWire, ReasonState, State
from .wording import Words

READINESS = "sensor.backup_readiness"


def question_of(state: State) -> probatio.Schema:
    """What nobody but a person can know of an outage: asked only where there is backup."""
    asked = {probatio.Required(CONF_BACKED_UP, default=False): BooleanSelector()}
    return probatio.Schema(asked if state["site"]["has_backup"] else {})


def questions_of(hass: HomeAssistant, state: State) -> probatio.Schema:
    """At the set-up also who is told when the power fails: every phone, unless a person takes it out."""
    asked: dict[Any, Any] = dict(question_of(state).schema)
    if phones := found_phones(hass):
        asked[probatio.Optional(CONF_PHONES, description={"suggested_value": list(phones)})] = PHONE_SELECTOR
    return probatio.Schema(asked)


def options_of(hass: HomeAssistant, answers: Mapping[str, Any]) -> dict[str, Any]:
    """What the entry keeps of the answers: each phone is told everything, and may ring at night; Configure has more."""
    names = found_phones(hass)
    phones = [one for one in answers.get(CONF_PHONES, ()) if one in names]
    options = {key: value for key, value in answers.items() if key != CONF_PHONES}
    if not phones:
        return options
    everything = dict.fromkeys(Group, phones)
    return options | option_of({one: names[one] for one in phones}, phones, everything, phones, (START, END))


def summary_of(state: State, version: str, words: Words) -> str:
    """Markdown: one line for each thing that was found, then what to do next, most important first."""
    found = [*_site(state, version, words), *_chargers(state, words), *_programs(state, words), *_ready(state, words)]
    steps = [f"{number}. {words.say(f'next_{code}')}" for number, code in enumerate(next_steps(state), 1)]
    return "\n".join([*found, "", f"**{words.say('next_title')}**", "", *(steps or [words.say("next_nothing")])])


def _line(words: Words, key: str, /, **said: str) -> str:
    return f"- {words.say(f'summary_{key}', **said)}"


def _site(state: State, version: str, words: Words) -> Iterator[str]:
    site = state["site"]
    yield _line(words, "controller", version=version)
    yield _line(words, "meter" if site["has_meter"] else "no_meter")
    kind = site.get("kind", "island_switch" if site["has_backup"] else "none")
    switch = site["switch"]
    by_us = switch is not None and switch.get("owner") == "home_assistant"
    yield _line(words, "kind_home_assistant" if by_us else f"kind_{kind}")


def _chargers(state: State, words: Words) -> Iterator[str]:
    if not state["chargers"]:
        yield _line(words, "no_charger")
    for charger in state["chargers"].values():
        model = " ".join(part for part in (charger["manufacturer"], charger["model"]) if part) or words.say(
            "summary_model"
        )
        abilities = ", ".join(words.say(f"can_{code}") for code in abilities_of(charger))
        yield _line(words, "charger", name=charger["name"], model=model, abilities=abilities)


def abilities_of(charger: ChargerWire) -> list[str]:
    """What it can do, of the contract: carry the house, supply in events, or charge; whether it answers now."""
    found = ["back_up"] if charger["can_back_up"] else []
    if may_discharge(charger):
        found.append("serve_events")
    return [*(found or ["charge"]), *([] if charger["connected"] else ["not_answer"])]


def _programs(state: State, words: Words) -> Iterator[str]:
    named = [program["name"] for program in state["programs"].values() if program["kind"] != BY_HAND]
    yield _line(words, "programs", programs=", ".join(named)) if named else _line(words, "no_program")


def _ready(state: State, words: Words) -> Iterator[str]:
    judged = state["site"].get("readiness")
    if judged is None:
        return
    yield _line(words, "readiness", level=words.state(READINESS, judged["level"]))
    yield from (f"  - {_reason(reason, state, words)}" for reason in judged["reasons"])


def _reason(reason: ReasonState, state: State, words: Words) -> str:
    """In words, with the name of the charger or load group that it is about."""
    told = words.attribute(READINESS, "reasons", reason["code"])
    named = {**state.get("loads", {}), **state["chargers"]}.get(reason["subject"])
    return told if named is None else f"{named['name']}: {told}"


# Reasons of readiness that call for a person, and the step that mends each; the others pass or have no cure here.
STEPS: Mapping[str, str] = {
    "stopped": "reset_stop",
    "backup_latched": "try_again",
    "read_only": "leave_read_only",
    "switch_silent": "check_wiring",
    "switch_not_proven": "check_wiring",
    "home_assistant_away": "choose_switch",
    "charger_offline": "check_charger",
    "charger_fault": "check_charger",
    "service_not_permitted": "release_charger",
    "vehicle_absent": "plug_in",
    "charge_below_reserve": "charge",
    "no_grid_side_source": "name_grid_source",
    "drill_failed": "drill",
    "drill_too_old": "drill",
}


def next_steps(state: State) -> list[str]:
    """Each once: what backup lacks, then what the site lacks, then what else there is to set up."""
    site = state["site"]
    judged = site.get("readiness")
    reasons = [] if judged is None else judged["reasons"]
    steps = [STEPS[reason["code"]] for reason in reasons if reason["code"] in STEPS]
    steps += [] if site["has_meter"] else ["meter"]
    steps += ["time_zone"] if site.get("time_zone", "") is None else []
    if all(program["kind"] == BY_HAND for program in state["programs"].values()):
        steps.append("program")
    steps += ["load_group"] if site["has_backup"] and not state.get("loads") else []
    return list(dict.fromkeys(steps))
