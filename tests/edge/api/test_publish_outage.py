"""What clients are shown of outages: loads, companions, alerts, drills, and estimates that stand still."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge_service.api.steady import SteadyRuntime
from edge_service.domain.memory import (
    DrillMemory,
    DrillStage,
    GridMemory,
    IslandMemory,
    IslandStep,
    LoadMemory,
    LoadsMemory,
    OutageMemory,
)
from edge_service.domain.model import (
    Alert,
    AlertKind,
    Backup,
    ChargerFacts,
    CompanionFacts,
    CompanionReading,
    CompanionState,
    Confidence,
    DrillSchedule,
    Grid,
    GridEvidence,
    LoadGroup,
    LoadOrder,
    LoadReading,
    LoadState,
    MeterReading,
    Position,
    Runtime,
    Settings,
    SwitchFacts,
    SwitchOwner,
    Tier,
    frozen_map,
)
from tests.edge.api.test_publish import NOW, TIED, shown
from tests.edge.domain.houses import DER, a_site, after

POOL = LoadGroup("pool", "Pool pump", Tier.NON_ESSENTIAL, 1500, hours=(("17:00", "21:00"),))


def test_a_load_is_shown_with_what_is_wanted_and_what_is_reported_of_it() -> None:
    settings = Settings(load_groups=frozen_map({"pool": POOL}), loads_by_hand=frozen_map({"pool": LoadOrder.SHED}))
    loads = {"pool": LoadReading(NOW, LoadState.ON, 1480, valid_s=45)}
    state = shown(settings, loads=frozen_map(loads))
    pool = dict(state["loads"]["pool"])
    assert (pool["owner"], pool["state"], pool["measured_w"]) == ("home_assistant", "on", 1480)
    assert (pool["by_hand"], pool["tier"], pool["medical"]) == ("shed", "non_essential", False)
    assert pool["hours"] == [["17:00", "21:00"]]


def test_a_load_of_which_nobody_tells_any_more_is_not_known() -> None:
    settings = Settings(load_groups=frozen_map({"pool": POOL}))
    late = LoadReading(NOW - timedelta(seconds=46), LoadState.ON, 1480, valid_s=45)
    pool = dict(shown(settings, loads=frozen_map({"pool": late}))["loads"]["pool"])
    assert (pool["state"], pool["measured_w"]) == (None, None)


def test_a_relay_of_the_edge_is_its_own_and_what_was_wanted_stands() -> None:
    since = NOW - timedelta(minutes=1)
    memory = replace(TIED, loads=LoadsMemory(frozen_map({"pool": LoadMemory(LoadOrder.ON, since)})))
    pool = dict(shown(None, a_site(relays=frozen_map({"pool": POOL})), memory=memory)["loads"]["pool"])
    assert (pool["owner"], pool["wanted"]) == ("edge", "on")


ROOF = frozen_map({"roof": CompanionFacts("roof", "Roof"), "shed": CompanionFacts("shed", "Shed")})


def test_companions_are_shown_while_they_answer_and_their_solar_is_added_up() -> None:
    readings = {
        "roof": CompanionReading(NOW, CompanionState.ON_GRID, "ON GRID", -2000, 30.0),
        "shed": CompanionReading(NOW - timedelta(minutes=5), CompanionState.ISLANDED, "BACKUP", -500),
    }
    state = shown(None, a_site(companions=ROOF), companions=frozen_map(readings))
    assert state["site"]["solar_power_w"] == -2000
    roof, shed = (dict(state["companions"][name]) for name in ("roof", "shed"))
    assert (roof["connected"], roof["state"], roof["reserve_pct"]) == (True, "on_grid", 30.0)
    assert (shed["connected"], shed["state"], shed["detail"], shed["solar_w"]) == (False, None, "", None)


def test_solar_is_not_known_while_no_companion_tells_it() -> None:
    assert shown()["site"]["solar_power_w"] is None
    reading = CompanionReading(NOW, CompanionState.ON_GRID)
    state = shown(None, a_site(companions=ROOF), companions=frozen_map({"roof": reading}))
    assert state["site"]["solar_power_w"] is None


def test_alerts_are_shown_by_their_start_and_say_which_were_opted_out_of() -> None:
    wind = Alert("w", "home_assistant", AlertKind.WIND, "Wind", after(3600))
    fire = Alert("f", "peak", AlertKind.FIRE, "Fire", NOW, after(7200))
    alerts = shown(Settings(alerts_opted_out=frozen_map({"w": after(7200)})), alerts=(wind, fire))["site"]["alerts"]
    assert [(one["id"], one["opted_out"], one["end"]) for one in alerts] == [
        ("f", False, "2026-07-15T22:00:00.000Z"),
        ("w", True, None),
    ]


def test_evidence_says_how_far_it_can_be_relied_on_and_whether_it_counts() -> None:
    street = GridEvidence("sensor.street", NOW, False, Position.GRID_SIDE, "off", Confidence.LIKELY)
    hearsay = GridEvidence("sensor.map", NOW, False, Position.GRID_SIDE, "", Confidence.HINT)
    meter = MeterReading(NOW, power_w=0, voltage_v=240.0)
    site = shown(evidence=(street, hearsay), meter=meter)["site"]
    weights = {one["source"]: (one["confidence"], one["sees_grid"], one["counts"]) for one in site["evidence"]}
    assert weights["meter"] == ("sure", True, True)
    assert weights["sensor.street"] == ("likely", True, True)
    assert weights["sensor.map"] == ("hint", True, False)
    assert site["disputed"] is True
    assert shown(evidence=(hearsay,), meter=meter)["site"]["disputed"] is False


@pytest.mark.parametrize(
    ("switch", "backup", "kind"),
    [
        (SwitchFacts(), Backup.CAN_FORM, "island_switch"),
        (None, Backup.VENDOR, "vendor"),
        (None, Backup.CAN_FORM, "none"),
        (None, Backup.NONE, "none"),
    ],
)
def test_a_site_says_how_it_bridges_an_outage(switch: SwitchFacts | None, backup: Backup, kind: str) -> None:
    charger = ChargerFacts("car", "Car", replace(DER, backup=backup))
    assert shown(None, a_site(switch=switch, chargers=frozen_map({"car": charger})))["site"]["kind"] == kind


def test_a_companion_that_carries_the_house_shows_a_gateway() -> None:
    facts = a_site(switch=None, companions=ROOF)
    assert shown(None, facts)["site"]["kind"] == "none"
    reading = CompanionReading(NOW, CompanionState.ISLANDED)
    assert shown(None, facts, companions=frozen_map({"roof": reading}))["site"]["kind"] == "vendor"
    keeps = frozen_map({"roof": replace(ROOF["roof"], keeps_reserve=True)})
    assert shown(None, replace(facts, companions=keeps))["site"]["kind"] == "vendor"


def test_it_is_told_when_a_dark_system_can_no_longer_start_itself() -> None:
    since = NOW - timedelta(minutes=5)
    memory = replace(TIED, dark_since=since, grid=GridMemory(Grid.OUTAGE), island=IslandMemory(IslandStep.DARK))
    facts = a_site(dark_start_min=30.0, switch=None)
    site = shown(None, facts, memory=memory, meter=MeterReading(NOW, voltage_v=0.0), silent=True)["site"]
    assert site["dark_start_at"] == "2026-07-15T20:25:00.000Z"
    assert shown(None, facts)["site"]["dark_start_at"] is None


def test_a_switch_says_who_moves_it() -> None:
    site = shown(None, a_site(switch=SwitchFacts(owner=SwitchOwner.HOME_ASSISTANT)))["site"]
    switch: Any = site["switch"]
    assert (switch["owner"], switch["wanted"]) == ("home_assistant", None)


def test_an_outage_leaves_behind_what_it_was_like() -> None:
    outage = OutageMemory(
        NOW - timedelta(hours=2),
        NOW - timedelta(hours=1),
        evidence="meter: grid lost",
        transfer_s=8.64,
        dark_s=9.4,
        highest_w=4200,
        collapses=1,
        loads_shed=("pool",),
        notices=("outage",),
    )
    seen: Any = shown(memory=replace(TIED, outage=outage))["site"]["outage"]
    assert (seen["transfer_s"], seen["dark_s"], seen["loads_shed"], seen["notices"]) == (8.6, 9, ["pool"], ["outage"])


def test_attempts_to_light_the_house_again_are_shown_only_when_there_were_any() -> None:
    assert shown()["site"]["backup_retry"] is None
    island = IslandMemory(IslandStep.TIED, collapses=3, retries=2, latched=True)
    retry = shown(memory=replace(TIED, island=island))["site"]["backup_retry"]
    assert retry is None or (retry["collapses"], retry["latched"]) == (3, True)


def test_a_drill_and_the_next_ones_are_shown() -> None:
    drill = DrillMemory(
        "d", DrillStage.PASSED, NOW, NOW, transfer=True, island_s=120.0, ended_at=after(60), transfer_s=9.44, score=92
    )
    settings = Settings(drill_schedule=DrillSchedule(90, "10:30", transfer=True, since=NOW))
    site = shown(settings, memory=replace(TIED, drill=drill), drill_due=after(3600))["site"]
    seen, schedule = dict(site["drill"] or {}), dict(site["drill_schedule"] or {})
    assert (seen["stage"], seen["transfer_s"], seen["score"]) == ("passed", 9.4, 92)
    assert (schedule["every_days"], schedule["next_at"]) == (90, "2026-07-15T21:00:00.000Z")


def runtime(p50_h: float | None) -> Runtime:
    return Runtime(5.0, p50_h, None, 30_049, 1_236)


def test_a_runtime_that_only_trembles_stands_still() -> None:
    steady = SteadyRuntime()
    first = steady.follow(runtime(24.13), NOW)
    assert first == Runtime(5.0, 24.0, None, 30_000, 1_240)
    assert [steady.follow(runtime(24.13 + step / 10), after(step)) for step in range(1, 20)] == [first] * 19


def test_a_runtime_is_renewed_after_half_a_minute_or_when_it_moves() -> None:
    steady = SteadyRuntime()
    steady.follow(runtime(9.0), NOW)
    assert steady.follow(runtime(8.76), after(29)) == runtime_shown(9.0)
    assert steady.follow(runtime(8.76), after(30)) == runtime_shown(8.8)
    assert steady.follow(runtime(7.0), after(31)) == runtime_shown(7.0)
    assert steady.follow(runtime(None), after(32)) == runtime_shown(None)
    assert steady.follow(None, after(33)) is None
    assert steady.follow(runtime(7.0), after(34)) == runtime_shown(7.0)


def runtime_shown(p50_h: float | None) -> Runtime:
    return Runtime(5.0, p50_h, None, 30_000, 1_240)


def test_a_neutral_is_sound_lost_or_not_known() -> None:
    """Not known where the meter tells of no two legs, or is silent."""
    legs = MeterReading(NOW, power_w=0, voltage_v=240.0, leg_voltage_v=(121.0, 119.0))
    assert shown(meter=legs)["site"]["neutral_lost"] is False
    assert shown(meter=MeterReading(NOW, power_w=0, voltage_v=240.0))["site"]["neutral_lost"] is None
    late = NOW - timedelta(minutes=1)
    assert shown(meter=replace(legs, at=late))["site"]["neutral_lost"] is None
    apart = replace(legs, leg_voltage_v=(150.0, 90.0))
    memory = replace(TIED, grid=replace(TIED.grid, neutral_lost_since=NOW - timedelta(seconds=10)))
    assert shown(meter=apart, memory=memory)["site"]["neutral_lost"] is True
