"""Why, in words: what a charger does, who holds it back, what to do, at the sensor and by action."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
from probatio import Invalid
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from custom_components.ridethrough.const import DOMAIN
from custom_components.ridethrough.explanation import explained, next_step_of_block, step_told
from custom_components.ridethrough.reasons import ORDER_REASONS, STEP_REASONS
from custom_components.ridethrough.site_explanation import evidence, faults, outlook, standing
from custom_components.ridethrough.wording import Words, energy, lasted

from .conftest import attributes, device_of, shown
from .peer import Eventually, Peer, at, event, home, notice

WHY = "sensor.driveway_charger_why"
TEXTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "custom_components" / DOMAIN / "translations" / "en.json").read_text()
)
NOW = "2026-07-15T19:00:00+00:00"
UNTIL: dict[str, Any] = {"until": "2026-07-16T00:00:00+00:00"}


def flat(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """The texts as Home Assistant keeps them."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from flat(value, f"{path}.{key}")
    else:
        yield path, node


ENGLISH = Words(
    dict(flat(TEXTS["common"], f"component.{DOMAIN}.common")),
    dict(flat(TEXTS["entity"], f"component.{DOMAIN}.entity")),
    "US",
    "en",
)


def step(reason: str, low_w: int | None = 0, high_w: int | None = 0, rung: str = "device_safety", **data: Any) -> Any:
    """One rung's word."""
    return {"rung": rung, "reason": reason, "low_w": low_w, "high_w": high_w, "data": data}


def order(power_w: int, stage: str = "held", reason: str | None = None) -> Any:
    return {"kind": "power", "power_w": power_w, "stage": stage, "reason": reason, "measured_w": None, "reached": {}}


def charger(*why: Any, **changes: Any) -> Any:
    return {**home()["chargers"]["driveway"], "why": list(why), **changes}


DEVICE = step("device", -9600, 9600)
EVENT: dict[str, Any] = {"event": "peak-1", "name": "Summer peak", "asked_w": -5000, **UNTIL}
EXPORT = step("export_capacity", -2940, 9600, "site_limits", limit_w=3000, program="peak", **UNTIL)
CALLED: dict[str, Any] = {"rung": "demand_response", **EVENT}
BY_HAND: dict[str, Any] = {"rung": "manual", **UNTIL}


def manual(kind: str, power_w: int | None) -> Any:
    return {"kind": kind, "power_w": power_w, "until": UNTIL["until"]}


EVENTS: dict[str, Any] = {
    "limited": event("limited", "running") | {"limited_by": "capacity_limit"},
    "empty": event("empty", "running") | {"limited_by": "event_floor"},
    "drawn": event("drawn", "running") | {"limited_by": "vehicle", "power_w": 7000},
}

CASES: dict[str, tuple[Any, str, str | None]] = {
    "gives for an event": (
        charger(DEVICE, step("event", -5000, -5000, **CALLED), order=order(-5003)),
        "Gives 5.0 kW for the peak event until 8 PM.",
        None,
    ),
    "has no vehicle": (
        charger(DEVICE, step("rests"), plugged=False, order=order(0)),
        "Waits for a vehicle: none is plugged in.",
        None,
    ),
    "does not know whether there is a vehicle": (
        charger(DEVICE, step("rests"), plugged=None, order=order(0)),
        "Rests: nobody wants anything of it.",
        None,
    ),
    "is held back by the site's limit": (
        charger(DEVICE, EXPORT, step("event", -2940, -2940, **CALLED | {"event": "limited", "asked_w": -2940})),
        "Gives 2.9 kW of the 5.0 kW that the peak event asks until 8 PM. Held back by: Limit set by the utility.",
        None,
    ),
    "has nothing for an event": (
        charger(DEVICE, step("event", 0, 0, **CALLED | {"event": "empty", "asked_w": 0})),
        "Gives nothing of the 5.0 kW that the peak event asks until 8 PM. Held back by: Event floor is reached.",
        "Lower the event floor if you want to give more.",
    ),
    "is held back, and does not do even that": (
        charger(
            DEVICE, step("event", -2940, -2940, **CALLED | {"event": "limited"}), order=order(-2940, "refused", "busy")
        ),
        "Gives 2.9 kW of the 5.0 kW that the peak event asks until 8 PM. Held back by: Limit set by the utility. "
        "Refused by the charger: Charger is busy.",
        "Wait a moment",
    ),
    "draws less than an event asks": (
        charger(DEVICE, step("event", 3000, 3000, **CALLED | {"event": "drawn"})),
        "Draws 3.0 kW of the 7.0 kW that the peak event asks until 8 PM. Held back by: Vehicle allows no more.",
        "Look at the vehicle",
    ),
    "an event that draws": (
        charger(DEVICE, step("event", 4000, 4000, **CALLED | {"asked_w": 4000})),
        "Draws 4.0 kW for the peak event until 8 PM.",
        None,
    ),
    "an event of no power": (
        charger(DEVICE, step("event", 0, 0, **CALLED | {"asked_w": 0})),
        "Gives and draws nothing for the peak event until 8 PM.",
        None,
    ),
    "nothing left of an order by the reserve": (
        charger(
            DEVICE,
            step("drivers_reserve", 0, 9600, "drivers_reserve"),
            step("manual_discharge", 0, 0, **BY_HAND),
            manual=manual("discharge", None),
        ),
        "Would give power as you ordered; the driver's reserve leaves nothing.",
        "Lower the driver's reserve if you do not need it.",
    ),
    "the vehicle gives nothing": (
        charger(
            step("device", 0, 9600),
            step("manual_discharge", 0, 0, **BY_HAND),
            manual=manual("discharge", 4000),
            blocked_by="no_vehicle",
        ),
        "Would give 4.0 kW as you ordered; what charger and vehicle can take now leaves nothing.",
        "Plug the vehicle in.",
    ),
    "charges as told": (
        charger(DEVICE, step("manual_charge", 7200, 7200, **BY_HAND), manual=manual("charge", 7200)),
        "Charges with 7.2 kW, as you ordered, until 8 PM.",
        None,
    ),
    "charges less by the breaker": (
        charger(
            DEVICE,
            step("service_limits", -9600, 3130, "site_limits", house_w=16_000),
            step("manual_charge", 3130, 3130, **BY_HAND),
            manual=manual("charge", 7200),
        ),
        "Would charge with 7.2 kW as you ordered; the import and export limit of your site leaves 3.0 kW.",
        None,
    ),
    "to leave": (
        charger(
            DEVICE,
            step("departure_charges", 9600, 9600, "departure", at="2026-07-16T11:30:00+00:00", target_pct=80.0),
        ),
        "Charges with 9.6 kW to be ready at Thu 7:30 AM: 80% are wanted.",
        None,
    ),
    "until somebody takes it back": (
        charger(DEVICE, step("storm", 0, 9600, "backup_reserve", until=None, name="", reserve_pct=90.0)),
        "Keeps its charge for a storm until further notice.",
        "Switch storm hold off if the storm is over.",
    ),
    "left alone": (
        charger(step("service_not_permitted", None, None)),
        "Does nothing: the charger is locked.",
        "Release",
    ),
    "of a later edge": (charger(DEVICE, step("of_a_later_edge")), "Follows a rule that this version", "Update"),
    "nothing yet": (charger(), "Nothing is decided yet.", None),
    "refused": (
        charger(
            DEVICE, step("event", -5000, -5000, **CALLED), order=order(-5000, "refused", "session_not_bidirectional")
        ),
        "Gives 5.0 kW for the peak event until 8 PM. "
        "Refused by charger and vehicle: Session with this vehicle cannot discharge.",
        "Unplug the vehicle",
    ),
    "limited": (
        charger(DEVICE, step("event", -5000, -5000, **CALLED), order=order(-5000, "limited", "soc_floor")),
        "Gives 5.0 kW for the peak event until 8 PM. Limited by the vehicle: Vehicle is nearly empty.",
        "Charge the vehicle",
    ),
    "not given yet": (
        charger(DEVICE, step("event", -5000, -5000, **CALLED), order=order(-5000, "ordered", "of_a_later_edge")),
        "Gives 5.0 kW for the peak event until 8 PM. Not there yet: Another reason.",
        "Look at the charger's display",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_a_charger_does_is_said_with_who_holds_it_back_and_what_to_do(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, case: str
) -> None:
    await hass.config.async_set_time_zone("America/New_York")
    freezer.move_to(NOW)
    state, text, next_step = CASES[case]
    told = explained(ENGLISH, state, EVENTS)
    assert told.whole.startswith(text) if text[-1] != "." else told.whole == text
    assert (told.next_step or "").startswith(next_step or "")
    assert (told.next_step is None) == (next_step is None)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (step("rests", 0, 0), "Nothing to do: nothing flows."),
        (step("event", -5000, -5000), "Serves a peak event: 5.0 kW out of the vehicle."),
        (step("manual_charge", 7200, 7200), "You ordered it to charge: 7.2 kW into the vehicle."),
        (DEVICE, "What charger and vehicle can take: leaves 9.6 kW out of the vehicle and 9.6 kW into it."),
        (
            step("drivers_reserve", 0, 9600),
            "Driver's reserve reached: leaves nothing out of the vehicle and 9.6 kW into it.",
        ),
        (step("departure_charges", 1400, 9600), "Charges to be ready to drive: 1.4 kW to 9.6 kW into the vehicle."),
        (step("event", -9600, -1000), "Serves a peak event: 1.0 kW to 9.6 kW out of the vehicle."),
        (step("parked", None, None), "Another charger powers the house."),
    ],
)
def test_each_step_tells_what_it_left(one: Any, text: str) -> None:
    assert step_told(ENGLISH, one) == text


def test_every_reason_has_its_sentence_and_every_hindrance_its_next_step() -> None:
    words = TEXTS["common"]
    assert [reason for reason in STEP_REASONS if f"why_{reason}" not in words] == []
    assert [reason for reason in (*ORDER_REASONS, "other") if f"next_order_{reason}" not in words] == []
    contract = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()
    section = contract.partition("### Reasons why a charger cannot discharge")[2].partition("###")[0]
    blocks = [part.partition("`")[0] for part in section.split("`")[1::2]]
    assert len(blocks) == 13
    for reason in (*blocks, "other"):
        assert f"blocked_{reason}" in words, reason
        assert f"next_blocked_{reason}" in words, reason
    readiness = TEXTS["entity"]["sensor"]["backup_readiness"]["state_attributes"]["reasons"]["state"]
    assert [reason for reason in readiness if f"next_ready_{reason}" not in words] == []
    assert next_step_of_block(ENGLISH, "of_a_later_edge") == words["next_blocked_other"]


async def test_the_sensor_carries_the_sentence_and_is_written_only_when_the_decision_changes(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    freezer: FrozenDateTimeFactory,
) -> None:
    assert attributes(hass, WHY, "text", "next_step") == {"text": "Nothing is decided yet.", "next_step": None}
    changes = async_capture_events(hass, "state_changed")

    async def serves(power_w: int, **changed: Any) -> str:
        """The event, held back to so much."""
        why = [DEVICE, step("event", -power_w, -power_w, **CALLED | {"asked_w": -power_w})]
        await peer.push(lambda state: state["chargers"]["driveway"].update(why=why, **changed))
        await eventually(lambda: house.runtime_data.data["chargers"]["driveway"]["why"] == why)
        return str(attributes(hass, WHY, "text")["text"])

    limited = event(status="running") | {"limited_by": "export_limit"}
    await peer.push(lambda state: state["programs"]["peak"].update(events=[limited]))
    assert (await serves(2940)).startswith("Gives 2.9 kW of the 5.0 kW that the peak event asks until ")
    del changes[:]
    for moved in (3100, 2800, 3400):
        assert (await serves(moved)).startswith("Gives 2.9 kW of the 5.0 kW")
    assert [one for one in changes if one.data["entity_id"] == WHY] == []
    freezer.tick(timedelta(seconds=31))
    assert (await serves(3600)).startswith("Gives 3.6 kW of the 5.0 kW")
    # Another decision, or another word of the charger, never waits.
    assert "Refused by the charger: " in await serves(3601, order=order(-3600, "refused", "local_mode"))
    assert attributes(hass, WHY, "next_step")["next_step"] == "Set the charger to remote at its own display or app."


@pytest.fixture
def device(house: MockConfigEntry, device_registry: dr.DeviceRegistry) -> Callable[[str], str]:
    """The device id of a part such as ``charger-driveway``."""

    def find(part: str) -> str:
        found = device_of(device_registry, house, part)
        assert found is not None
        return found.id

    return find


async def ask(hass: HomeAssistant, action: str, data: Mapping[str, Any]) -> Any:
    return await hass.services.async_call(DOMAIN, action, dict(data), blocking=True, return_response=True)


async def test_explain_answers_for_a_charger_or_the_whole_house(
    hass: HomeAssistant, house: MockConfigEntry, device: Callable[[str], str], peer: Peer, eventually: Eventually
) -> None:
    await hass.config.async_set_time_zone("America/New_York")
    serving = [DEVICE, EXPORT, step("event", -2940, -2940, **CALLED)]
    change = {"why": serving, "order": order(-2940, "limited", "dwell"), "blocked_by": "reserve"}
    limited = event(status="running") | {"limited_by": "capacity_limit"}
    await peer.push(lambda state: state["programs"]["peak"].update(events=[limited]))
    await peer.push(lambda state: state["chargers"]["driveway"].update(change))
    await peer.raise_notice(notice(1, "stop", "stopped"))
    await eventually(lambda: shown(hass, WHY) == "event")
    (told,) = (await ask(hass, "explain", {"device_id": device("charger-driveway")}))["chargers"].values()
    assert told["text"].startswith("Gives 2.9 kW of the 5.0 kW that the peak event asks until ")
    assert told["order"] == {
        "stage": "limited",
        "reason": "dwell",
        "text": "Limited by the charger: " + "Waiting between two changes.",
    }
    assert told["next_step"].startswith("Wait a moment")
    assert told["cannot_discharge"]["text"] == "the vehicle is at its driver's reserve"
    assert [(one["rung_name"], one["reason"], one["low_kw"], one["high_kw"]) for one in told["steps"]] == [
        ("Device safety", "device", -9.6, 9.6),
        ("Limits of the house", "export_capacity", -9.6, 2.9),
        ("Peak event", "event", 2.9, 2.9),
    ]
    whole = await ask(hass, "explain", {"config_entry_id": house.entry_id})
    assert whole["chargers"] == {"driveway": told}
    assert whole["site"]["evidence"][0]["text"] == "Driveway charger: the grid is there (ConnSt)."
    assert whole["site"]["outage"].startswith(
        "If the power failed now, the vehicle would power the house for about 18 h"
    )
    assert [one["text"] for one in whole["site"]["notices"]] == ["Stopped"]
    for wrong in ({}, {"config_entry_id": house.entry_id, "device_id": device("charger-driveway")}):
        with pytest.raises(Invalid):
            await ask(hass, "explain", wrong)
    with pytest.raises(ServiceValidationError, match="Choose a charger"):
        await ask(hass, "explain", {"device_id": device("program-peak")})


async def test_the_status_names_faults_with_the_next_step(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    broken = {"state": "fault", "alarms": ["over_temp"], "why": [step("charger_fault", None, None)]}
    await peer.push(lambda state: state["chargers"]["driveway"].update(broken))
    await peer.push(lambda state: state["programs"]["peak"].update(problem="its server answers 500"))
    await eventually(lambda: house.runtime_data.data["programs"]["peak"].get("problem") is not None)
    status = await ask(hass, "get_status", {"config_entry_id": house.entry_id})
    assert status["linked"] is True
    assert status["grid_evidence"] == "Driveway charger: the grid is there (ConnSt)."
    assert [(one["where"], one["text"]) for one in status["faults"]] == [
        ("Driveway charger", "Too hot"),
        ("Driveway charger", "Does nothing: the charger has a fault."),
        ("Peak power", "its server answers 500"),
    ]
    assert status["faults"][1]["next_step"].startswith("Look at the charger's display")


def test_a_refused_order_is_a_fault_with_its_next_step() -> None:
    state: Any = home()
    state["chargers"]["driveway"] = charger(step("rests"), order=order(0, "refused", "local_mode"))
    (fault,) = faults(ENGLISH, state)
    assert fault["text"] == "Refused by the charger: Charger is in local mode, set it to remote there."
    assert fault["next_step"] == "Set the charger to remote at its own display or app."


OUTLOOKS: dict[str, tuple[dict[str, Any], str]] = {
    "ready": ({}, "If the power failed now, the vehicle would power the house for about 18 h (14 h to 24 h)."),
    "carries": ({"supply": "island"}, "The vehicle powers the house, for about 18 h more (14 h to 24 h)."),
    "endless": (
        {"runtime": {"p10_h": 9.5, "p50_h": None, "p90_h": None, "usable_wh": 1, "load_w": -5}},
        "If the power failed now, the vehicle would power the house, and the sun would keep it going.",
    ),
    "unknown": (
        {"runtime": None},
        "If the power failed now, the vehicle would power the house. How long is not known.",
    ),
    "degraded": (
        {"readiness": {"level": "degraded", "reasons": [{"code": "drill_too_old", "subject": "site"}]}},
        "If the power failed now, the vehicle would power the house for about 18 h (14 h to 24 h). "
        "With limits: no drill passed for half a year.",
    ),
    "not ready": (
        {"readiness": {"level": "not_ready", "reasons": [{"code": "vehicle_absent", "subject": "driveway"}]}},
        "If the power failed now, the house would stay dark: no vehicle is plugged in.",
    ),
    "takes over": (
        {"grid": "suspect"},
        "The vehicle is to power the house from here on, for about 18 h (14 h to 24 h).",
    ),
    "carries for an unknown time": (
        {"supply": "vendor_backup", "runtime": None},
        "The vehicle powers the house. How long is not known.",
    ),
    "dark": (
        {"grid": "outage", "readiness": {"level": "not_ready", "reasons": [{"code": "stopped", "subject": "site"}]}},
        "The vehicle does not power the house: stopped by a person.",
    ),
    "not here": ({"has_backup": False}, "Nothing here can power the house in an outage."),
    "older edge": ({"readiness": None}, "Whether backup would work is not known yet."),
}


@pytest.mark.parametrize("case", OUTLOOKS)
def test_what_an_outage_would_find_is_told(case: str) -> None:
    changes, text = OUTLOOKS[case]
    site: Any = {**home()["site"], **changes}
    assert outlook(ENGLISH, site) == text


def test_each_source_says_what_it_sees_and_an_unknown_notice_stands_by_its_level() -> None:
    state: Any = home()
    state["site"]["evidence"] = [
        {"source": "meter", "present": False, "detail": "", "at": at(), "counts": True},
        {"source": "relay", "present": None, "detail": "silent", "at": at()},
        {"source": "sensor.ups", "present": True, "detail": "on", "at": at(), "counts": False},
    ]
    assert [one["text"] for one in evidence(ENGLISH, state)] == [
        "meter: the grid is gone (–).",
        "relay: cannot tell (silent).",
        "sensor.ups: tells nothing that counts now (on).",
    ]
    state["notices"] = [notice(1, "x", "of_a_later_edge")]
    assert standing(ENGLISH, state)[0]["text"] == "Message from your controller"


async def test_times_and_spans_are_read_as_on_the_wall(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    await hass.config.async_set_time_zone("America/New_York")
    freezer.move_to(NOW)
    now = dt_util.utcnow()
    ahead = [timedelta(0), timedelta(hours=5, minutes=5), timedelta(hours=9), timedelta(days=30)]
    told = [(now + one).isoformat() for one in ahead]
    assert [ENGLISH.clock_of(one) for one in told] == ["3 PM", "8:05 PM", "Thu 12 AM", "Fri Aug 14 3 PM"]
    german = replace(ENGLISH, country="DE")
    assert [german.clock_of(one) for one in told] == ["15:00", "20:05", "Thu 00:00", "Fri Aug 14 15:00"]
    assert [ENGLISH.clock_of(one) for one in ("2026-13-01T00:00:00Z", "soon", None)] == [None, None, None]
    assert [lasted(one) for one in (90, 600, 11_400)] == ["90 s", "10 min", "3 h 10 min"]


def test_little_energy_is_told_in_watt_hours() -> None:
    assert [energy(wh) for wh in (0, -42, 94, 96, 14_200)] == ["0 Wh", "42 Wh", "94 Wh", "0.1 kWh", "14.2 kWh"]
