"""Would backup work now? Each thing that stands in its way by name, once, the worst first."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import (
    DrillMemory,
    DrillStage,
    GridMemory,
    IslandMemory,
    IslandStep,
    LoadsMemory,
    Memory,
)
from edge_service.domain.model import (
    AtEnd,
    Backup,
    ChargerFacts,
    ChargerState,
    Confidence,
    Contact,
    ContactReading,
    Grid,
    GridEvidence,
    Lease,
    LoadGroup,
    LoadReading,
    LoadState,
    Mode,
    Observation,
    Position,
    Settings,
    SiteFacts,
    SwitchFacts,
    SwitchOwner,
    SwitchReading,
    Tier,
    frozen_map,
)
from tests.edge.domain.houses import (
    DER,
    T0,
    a_meter,
    a_site,
    after,
    an_observation,
    observations,
    settings_of_people,
    sites,
)

ROOT = Path(__file__).parents[3]
ENDED_AT = after(-600)
PASSED = DrillMemory(
    "d", DrillStage.PASSED, after(-900), ENDED_AT, True, 120.0, ended_at=ENDED_AT, last_passed_at=ENDED_AT
)
TIED = Memory(
    grid=GridMemory(Grid.ON, T0, good_since=after(-600), closed_since=after(-600)),
    island=IslandMemory(IslandStep.TIED, T0, former="car"),
    drill=PASSED,
)


def lacks(
    observation: Observation | None = None,
    memory: Memory = TIED,
    people: Settings | None = None,
    facts: SiteFacts | None = None,
) -> list[str]:
    """The level, then ``code subject`` of each reason."""
    decision = decide(observation or an_observation(1), memory, people or Settings(), facts or a_site())
    judged = decision.readiness
    return [judged.level.value, *(f"{code} {subject}" for code, subject in judged.reasons)]


def car(**changes: Any) -> Observation:
    return an_observation(1, {"car": changes})


def test_a_house_that_lacks_nothing_is_ready() -> None:
    assert lacks() == ["ready"]


GROUP = LoadGroup("pool", "Pool", Tier.NON_ESSENTIAL, power_w=2000)
STREETLESS: dict[str, Any] = {"meter_position": Position.PROTECTED_SIDE}


@pytest.mark.parametrize(
    ("given_", "reasons"),
    [
        ({"people": Settings(stopped=True)}, ["stopped site"]),
        ({"people": Settings(mode=Mode.READ_ONLY)}, ["read_only site"]),
        ({"facts": a_site(switch=None)}, ["no_backup_here site"]),
        ({"observation": replace(an_observation(1), switch=None)}, ["switch_silent site"]),
        (
            {
                "observation": replace(an_observation(1), switch=None),
                "facts": a_site(switch=SwitchFacts(owner=SwitchOwner.HOME_ASSISTANT)),
            },
            ["home_assistant_away site"],
        ),
        ({"observation": car(state=ChargerState.OFFLINE)}, ["charger_offline car"]),
        ({"observation": car(state=ChargerState.FAULT)}, ["charger_fault car"]),
        ({"observation": car(service_permitted=False)}, ["service_not_permitted car"]),
        ({"observation": car(plugged=False)}, ["vehicle_absent car"]),
        ({"observation": car(plugged=None)}, ["vehicle_unknown car"]),
        ({"observation": car(soc_pct=20.0)}, ["charge_below_reserve car"]),
        ({"observation": replace(car(), chargers=frozen_map({"car": None}))}, ["charger_offline car"]),
    ],
)
def test_what_prevents_backup_is_named(given_: dict[str, Any], reasons: list[str]) -> None:
    assert lacks(**given_) == ["not_ready", *reasons]


def test_what_belongs_to_the_driver_counts_where_it_is_lent() -> None:
    assert lacks(car(soc_pct=15.0), people=Settings(at_end=AtEnd.LEND, at_end_chosen=True)) == ["ready"]
    lent = Settings(at_end=AtEnd.LEND, at_end_chosen=True)
    assert lacks(car(soc_pct=4.0), people=lent) == ["not_ready", "charge_below_reserve car"]


def test_a_switch_whose_contacts_are_swapped_is_named() -> None:
    """It stands closed and says that it is open: on a good grid the return to it fails again and again."""
    swapped = replace(an_observation(1), switch=SwitchReading(after(1), False, open_proven=True, closed_proven=False))
    failed = replace(TIED.island, step=IslandStep.FORMING, since=after(-5), return_failed_at=after(-5))
    assert "switch_not_proven site" in lacks(swapped, memory=replace(TIED, island=failed))


def test_an_island_that_fell_too_often_waits_for_a_person() -> None:
    latched = replace(TIED, island=replace(TIED.island, step=IslandStep.DARK, latched=True))
    assert "backup_latched site" in lacks(memory=replace(latched, grid=replace(TIED.grid, state=Grid.OUTAGE)))


def test_at_a_generator_no_island_is_formed() -> None:
    facts = a_site(contacts=frozenset({Contact.GENERATOR}))
    runs = replace(an_observation(1), contacts=frozen_map({Contact.GENERATOR: ContactReading(after(1), active=True)}))
    assert "at_generator site" in lacks(runs, facts=facts)


@pytest.mark.parametrize(
    ("given_", "reasons"),
    [
        ({"observation": car(soc_pct=None)}, ["charge_unknown car"]),
        ({"facts": a_site(**STREETLESS)}, ["no_grid_side_source site"]),
        ({"observation": replace(an_observation(1), meter=None)}, ["grid_unseen site"]),
        ({"observation": replace(an_observation(1), meter=a_meter(after(1), voltage_v=None))}, ["grid_unseen site"]),
        ({"memory": replace(TIED, drill=None)}, ["drill_too_old site"]),
        ({"memory": replace(TIED, drill=replace(PASSED, last_passed_at=after(-181 * 86400)))}, ["drill_too_old site"]),
        ({"memory": replace(TIED, drill=replace(PASSED, stage=DrillStage.FAILED))}, ["drill_failed site"]),
        ({"memory": replace(TIED, drill=replace(PASSED, stage=DrillStage.REFUSED))}, []),
        (
            {"facts": a_site(chargers=frozen_map({"car": ChargerFacts("car", "Car", replace(DER, lease=Lease.NONE))}))},
            ["unsupervised car"],
        ),
        ({"people": Settings(load_groups=frozen_map({"pool": GROUP}))}, ["load_unreachable pool"]),
        ({"people": Settings(load_groups=frozen_map({"pool": replace(GROUP, tier=Tier.MUST_HAVE)}))}, []),
    ],
)
def test_what_diminishes_backup_is_named(given_: dict[str, Any], reasons: list[str]) -> None:
    assert lacks(**given_) == (["degraded", *reasons] if reasons else ["ready"])


def test_an_entity_on_the_street_is_a_source_and_hearsay_is_none() -> None:
    facts = a_site(**STREETLESS)
    word = GridEvidence("envoy", after(1), True, Position.GRID_SIDE, confidence=Confidence.LIKELY, valid_s=90)
    assert lacks(replace(an_observation(1), evidence=(word,)), facts=facts) == ["ready"]
    heard = replace(word, confidence=Confidence.HINT)
    assert lacks(replace(an_observation(1), evidence=(heard,)), facts=facts) == ["degraded", "no_grid_side_source site"]


def test_a_house_that_draws_more_than_the_vehicle_gives_is_told_so() -> None:
    draws = replace(TIED, loads=LoadsMemory(house_w=12_000))
    heavy = replace(an_observation(1), meter=a_meter(after(1), power_w=12_000))
    assert lacks(heavy, memory=draws) == ["degraded", "load_too_big site"]


def test_of_two_chargers_one_that_can_is_enough_and_without_any_each_says_what_it_lacks() -> None:
    facts = a_site("bus", "car")
    one = an_observation(1, {"bus": {"plugged": False}, "car": {}})
    assert lacks(one, facts=facts) == ["ready"]
    none = an_observation(1, {"bus": {"plugged": False}, "car": {"soc_pct": 3.0, "service_permitted": False}})
    found = ["vehicle_absent bus", "service_not_permitted car", "charge_below_reserve car"]
    assert lacks(none, facts=facts) == ["not_ready", *found]


def test_a_makers_gateway_needs_no_switch_of_ours() -> None:
    vendor = ChargerFacts("car", "Car", replace(DER, backup=Backup.VENDOR))
    facts = a_site(switch=None, chargers=frozen_map({"car": vendor}))
    assert lacks(facts=facts) == ["ready"]
    assert lacks(car(plugged=False), facts=facts) == ["not_ready", "vehicle_absent car"]


ISLAND = replace(
    TIED,
    grid=GridMemory(Grid.OUTAGE, T0, lost_since=T0),
    island=IslandMemory(IslandStep.ISLAND, T0, former="car"),
)


def in_island(**changes: Any) -> Observation:
    chargers = {"car": {"forming": True, "grid_present": None, "power_w": -1200, **changes}}
    opened = SwitchReading(after(1), True, True, False)
    return an_observation(1, chargers, meter=a_meter(after(1), voltage_v=0.0), switch=opened)


def test_a_house_that_the_vehicle_carries_is_ready_as_long_as_it_does() -> None:
    assert lacks(in_island(), memory=ISLAND) == ["ready"]
    assert lacks(in_island(soc_pct=None), memory=ISLAND) == ["degraded", "charge_unknown car"]


def test_a_dark_house_with_everything_in_order_is_not_carried() -> None:
    dark = replace(ISLAND, island=IslandMemory(IslandStep.DARK, T0, former="car"))
    found = lacks(in_island(forming=False, grid_present=False, voltage_v=0.0, power_w=0), memory=dark)
    assert found[0] == "not_ready"
    assert "not_carried site" in found


# ----------------------------------------------------------------------------------------------------- whatever happens


@given(sites(), settings_of_people, observations(1))
def test_no_reason_is_told_twice_and_the_level_follows_from_them(
    facts: SiteFacts, people: Settings, observation: Observation
) -> None:
    decision: Decision = decide(observation, TIED, people, facts)
    reasons = decision.readiness.reasons
    assert len(set(reasons)) == len(reasons)
    subjects = {"site", *facts.chargers}
    assert all(subject in subjects for _, subject in reasons)
    assert (decision.readiness.level == "ready") is (not reasons)


def test_every_reason_is_documented_and_has_words() -> None:
    source = (ROOT / "edge_service" / "domain" / "readiness.py").read_text(encoding="utf-8")
    said = set(re.findall(r'"([a-z]+(?:_[a-z]+)+|stopped|unsupervised)"', source))
    contract = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    table = contract.split("### Reasons of readiness\n")[1].split("\n### ")[0]
    rows = [row.split(" | ")[0] for row in table.splitlines() if row.startswith("| `")]
    assert said - {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)} == set()
    words = json.loads((ROOT / "custom_components/ridethrough/translations/en.json").read_text(encoding="utf-8"))
    assert said - set(words["entity"]["sensor"]["backup_readiness"]["state_attributes"]["reasons"]["state"]) == set()


def test_a_group_that_tells_how_it_stands_is_reachable() -> None:
    people = Settings(load_groups=frozen_map({"pool": GROUP}))
    told = frozen_map({"pool": LoadReading(after(1), LoadState.ON, 2000)})
    assert lacks(replace(an_observation(1), loads=told), people=people) == ["ready"]
