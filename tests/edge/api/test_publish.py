"""From a decision to the state that clients are shown: what is not known, what is not there, what is over."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge_service.api import publish, wire
from edge_service.departures import next_departures
from edge_service.domain.decide import decide
from edge_service.domain.memory import (
    ChargerMemory,
    DepartureMemory,
    DepartureStage,
    EnergyMemory,
    GridMemory,
    IslandMemory,
    IslandStep as Step,
    Memory,
)
from edge_service.domain.model import (
    Contact,
    ContactReading,
    DeparturePlan,
    Grid,
    ManualKind,
    ManualOrder,
    MeterReading,
    Mode,
    Settings,
    SiteFacts,
    Storm,
    frozen_map,
)
from tests.edge.api.test_contract import misfits
from tests.edge.domain.houses import a_site, after, an_observation

TIED = Memory(grid=GridMemory(Grid.ON), island=IslandMemory(Step.TIED))
NOW = after(0)


def shown(settings: Settings | None = None, facts: SiteFacts | None = None, /, **observed: Any) -> wire.State:
    """What clients are shown of one decision; the next departures are found as the runner does."""
    settings, facts = settings or Settings(), facts or a_site()
    memory = observed.pop("memory", TIED)
    coming = frozen_map(next_departures(settings.departures, NOW, facts.time_zone))
    silent = observed.pop("silent", False)
    observation = an_observation(departures=coming, **observed)
    if silent:
        observation = replace(observation, chargers=frozen_map({"car": None}))
    decision = decide(observation, memory, settings, facts)
    state = publish.state(publish.Shown(observation, settings, facts, decision, {}, {}, {}, [], NOW))
    assert misfits(json.loads(json.dumps(state)), wire.State, "state") == []
    return state


DISCHARGE = Settings(manual=frozen_map({"car": ManualOrder(ManualKind.DISCHARGE, NOW, after(7200), 5000)}))


def test_a_discharge_that_the_vehicle_does_not_offer_says_so() -> None:
    told = {"discharge_max_w": 0, "alarms": ("v2g_not_offered",)}
    seen = car(shown(DISCHARGE, chargers={"car": told}))
    assert seen["alarms"] == ["v2g_not_offered"]
    device, *_, last = seen["why"]
    assert (device["rung"], device["low_w"], device["data"]) == (
        "device_safety",
        0,
        {"limited_by": ["v2g_not_offered"]},
    )
    assert (last["reason"], last["low_w"], last["high_w"]) == ("manual_discharge", 0, 0)


def test_a_charger_without_contact_tells_no_alarm() -> None:
    assert car(shown(silent=True))["alarms"] == []


def leaving(hours: float, **changes: Any) -> Settings:
    """The car leaves once, with 90 % unless told otherwise."""
    asked = {"soc_pct": 90.0} | changes
    return Settings(departures=frozen_map({"car": (DeparturePlan("once", after(hours * 3600), **asked),)}))


def car(state: wire.State) -> dict[str, Any]:
    found: Any = state["chargers"]["car"]
    return dict(found)


@pytest.mark.parametrize(
    ("hours", "stage", "charging"), [(30, "waits", False), (3.4, "charges", True), (0.2, "late", True)]
)
def test_a_departure_is_shown_with_its_outlook(hours: float, stage: str, charging: bool) -> None:
    departure = car(shown(leaving(hours), chargers={"car": {"soc_pct": 60.0}}))["departure"]
    assert (departure["id"], departure["stage"], departure["charging"]) == ("once", stage, charging)
    assert departure["target_pct"] == departure["soc_pct"] == 90


@pytest.mark.parametrize(
    "above",
    [
        {"manual": frozen_map({"car": ManualOrder(ManualKind.HOLD, NOW, after(7200))})},
        {"mode": Mode.PAUSED},
        {"stopped": True},
    ],
)
def test_what_stands_above_a_departure_is_not_shown_as_charging_for_it(above: dict[str, Any]) -> None:
    departures = leaving(0.2).departures
    seen = car(shown(Settings(departures=departures, **above), chargers={"car": {"soc_pct": 60.0}}))
    assert (seen["departure"]["stage"], seen["departure"]["charging"]) == ("late", False)


def test_the_outlook_of_an_earlier_departure_says_nothing_about_this_one() -> None:
    old = DepartureMemory("once", after(-60), DepartureStage.LATE, 90.0, 70.0)
    memory = Memory(chargers=frozen_map({"car": ChargerMemory(departure=old)}))
    departure = car(shown(leaving(5), silent=True, memory=memory))["departure"]
    assert departure == {
        "id": "once",
        "at": "2026-07-16T01:00:00.000Z",
        "soc_pct": 90.0,
        "miles": None,
        "stage": None,
        "target_pct": None,
        "reaches_pct": None,
        "charging": False,
    }


def test_a_vehicle_that_does_not_tell_its_charge_has_a_target_and_no_promise() -> None:
    departure = car(shown(leaving(5), chargers={"car": {"soc_pct": None}}))["departure"]
    assert (departure["target_pct"], departure["reaches_pct"]) == (90.0, None)


def test_plans_are_shown_in_the_words_of_the_command() -> None:
    weekly = DeparturePlan("bus", None, (0, 4), "07:30", None, 40.0, skip_until=after(3600))
    settings = Settings(departures=frozen_map({"car": (weekly,)}), miles_per_kwh=frozen_map({"car": 2.5}))
    seen = car(shown(settings, a_site(time_zone="Etc/UTC")))
    assert seen["departures"] == [
        {
            "id": "bus",
            "at": None,
            "weekdays": ["mon", "fri"],
            "local_time": "07:30",
            "soc_pct": None,
            "miles": 40.0,
            "skip_until": "2026-07-15T21:00:00.000Z",
        }
    ]
    assert seen["departure"]["at"] == "2026-07-17T07:30:00.000Z"
    assert seen["miles_per_kwh"] == 2.5
    assert car(shown(settings))["departure"] is None
    assert (car(shown())["departures"], car(shown())["departure"], car(shown())["miles_per_kwh"]) == ([], None, 3.0)


def test_a_storm_raises_the_reserve_that_counts_and_one_that_is_over_is_gone() -> None:
    site = shown(Settings(storm=Storm(after(3600), 90.0, "Ida")))["site"]
    assert site["storm"] == {"until": "2026-07-15T21:00:00.000Z", "reserve_pct": 90.0, "name": "Ida", "alert": ""}
    assert (site["backup_reserve_pct"], site["backup_reserve_effective_pct"]) == (30.0, 90.0)
    assert shown(Settings(storm=Storm(after(3600), 10.0)))["site"]["backup_reserve_effective_pct"] == 30.0
    over = shown(Settings(storm=Storm(NOW, 90.0)))["site"]
    assert (over["storm"], over["backup_reserve_effective_pct"]) == (None, 30.0)


def test_only_contacts_that_are_wired_are_shown_and_a_silent_one_is_not_known() -> None:
    wired = a_site(contacts=frozenset({Contact.STOP, Contact.GENERATOR}), generator_max_w=3000)
    now, old = NOW - timedelta(seconds=1), NOW - timedelta(minutes=1)
    readings = {Contact.STOP: ContactReading(old, active=False), Contact.GENERATOR: ContactReading(now, active=False)}
    site = shown(None, wired, contacts=frozen_map(readings))["site"]
    assert (site["contacts"], site["generator_max_w"]) == ({"generator": False, "stop": None}, 3000)
    site = shown(None, a_site(), contacts=frozen_map(readings))["site"]
    assert (site["contacts"], site["generator_max_w"]) == ({}, None)


def test_legs_are_shown_as_the_meter_tells_them_and_are_not_known_while_it_is_silent() -> None:
    meter = MeterReading(NOW, power_w=1200, voltage_v=240.0, leg_power_w=(800, None))
    assert shown(meter=meter)["site"]["leg_power_w"] == [800, None]
    silent = MeterReading(NOW - timedelta(minutes=1), power_w=1200, leg_power_w=(800, 400))
    assert shown(meter=silent)["site"]["leg_power_w"] == [None, None]
    assert shown(meter=None)["site"]["leg_power_w"] == []


def test_what_people_allow_and_why_a_charger_cannot_give_is_shown() -> None:
    limited = Settings(charge_limit_w=frozen_map({"car": 4000}), discharge_limit_w=frozen_map({"car": 0}))
    seen = car(shown(limited))
    assert (seen["charge_limit_w"], seen["discharge_limit_w"], seen["blocked_by"]) == (4000, 0, "limit")
    free = car(shown())
    assert (free["charge_limit_w"], free["discharge_limit_w"], free["blocked_by"]) == (None, None, None)
    assert (free["bidirectional"], free["clears_faults"], free["restarts"]) == (True, False, False)
    gone = car(shown(silent=True))
    assert (gone["bidirectional"], gone["blocked_by"]) == (None, "no_contact")


def test_energies_are_shown_by_the_last_counters_also_of_a_charger_that_is_silent() -> None:
    energy = EnergyMemory(charged_from_wh=1000, discharged_from_wh=400, backup_wh=70, events_wh=30)
    memory = replace(TIED, chargers=frozen_map({"car": ChargerMemory(plugged=True, energy=energy)}))
    told = {"energy_charged_wh": 1500, "energy_discharged_wh": 600}
    seen = car(shown(memory=memory, chargers={"car": told}))
    assert (seen["session_charged_wh"], seen["session_discharged_wh"]) == (500, 200)
    assert (seen["backup_wh"], seen["events_wh"]) == (70, 30)
    nothing = car(shown())
    assert (nothing["session_charged_wh"], nothing["backup_wh"]) == (None, None)


def test_outages_are_counted_and_what_only_the_edge_knows_is_not_known_before_it_does() -> None:
    site = shown(memory=replace(TIED, outages=3))["site"]
    assert (site["outages"], site["clock_offset_ms"], site["storage_free_mb"]) == (3, None, None)
