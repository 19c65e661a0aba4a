"""What the device tells while it allows nothing reaches the explanation."""

from dataclasses import replace
from typing import Any

import pytest

from edge_service.domain.decide import decide
from edge_service.domain.memory import GridMemory, IslandMemory, IslandStep, Memory
from edge_service.domain.model import ChargerFacts, ChargerState, Grid, Settings, SiteFacts, Storm, frozen_map
from edge_service.domain.realise import order_power_w
from edge_service.domain.view import Step
from tests.edge.domain.houses import DER, a_site, after, an_observation

TIED = Memory(grid=GridMemory(Grid.ON), island=IslandMemory(IslandStep.TIED))
ONLY_CHARGES = frozen_map({"car": ChargerFacts("car", "Car", replace(DER, discharge_rating_w=0))})


def top_step(facts: SiteFacts, charger: str, chargers: dict[str, Any]) -> Step:
    return decide(an_observation(chargers=chargers), TIED, Settings(), facts).steps[charger][0]


@pytest.mark.parametrize(
    ("reading", "told"),
    [
        ({"discharge_max_w": 0, "alarms": ("v2g_not_offered",)}, ["v2g_not_offered"]),
        ({"charge_max_w": 0, "alarms": ("over_temp", "memory_loss")}, ["over_temp", "memory_loss"]),
        ({"alarms": ("over_temp",)}, None),
        ({"discharge_max_w": 0}, None),
        ({"discharge_max_w": 4000, "alarms": ("over_temp",)}, None),
        ({"plugged": False, "discharge_max_w": 0, "alarms": ("over_temp",)}, None),
    ],
)
def test_the_device_tells_why_it_allows_nothing(reading: dict[str, Any], told: list[str] | None) -> None:
    step = top_step(a_site(), "car", {"car": reading})
    assert (step.rung, step.reason) == ("device_safety", "device")
    assert step.data.get("limited_by") == told


def test_a_charger_that_is_not_made_to_discharge_is_not_limited_in_it() -> None:
    facts = a_site(chargers=ONLY_CHARGES)
    assert not top_step(facts, "car", {"car": {"discharge_max_w": 0, "alarms": ("memory_loss",)}}).data


def test_each_charger_has_its_own_reason() -> None:
    facts = a_site("car", "van", "bus")
    seen: dict[str, Any] = {
        "car": {},
        "van": {"discharge_max_w": 0, "alarms": ("v2g_not_offered",)},
        "bus": {"discharge_max_w": 0, "alarms": ("window_unknown",)},
    }
    told = {name: top_step(facts, name, seen).data.get("limited_by") for name in seen}
    assert told == {"car": None, "van": ["v2g_not_offered"], "bus": ["window_unknown"]}


def test_a_charger_with_a_fault_tells_its_alarms() -> None:
    step = top_step(a_site(), "car", {"car": {"state": ChargerState.FAULT, "alarms": ("error_1_0x0004",)}})
    assert (step.reason, step.data) == ("charger_fault", {"limited_by": ["error_1_0x0004"]})


def test_a_full_vehicle_whose_charge_jumps_is_not_charged_on_and_off() -> None:
    facts, memory = a_site(), TIED
    people = Settings(storm=Storm(after(3600), 100.0))
    asked: dict[float, list[bool]] = {}
    for second, soc_pct in enumerate([97.9, 100.0, 97.9, 99.9, 100.0, 97.0, 96.9, 97.9, 99.9, 100.0, 99.9]):
        decision = decide(an_observation(second, {"car": {"soc_pct": soc_pct}}), memory, people, facts)
        asked.setdefault(soc_pct, []).append(bool(order_power_w(decision.orders["car"])))
        memory = decision.memory
    assert asked == {
        97.9: [True, False, True],
        100.0: [False, False, False],
        99.9: [False, True, False],
        97.0: [False],
        96.9: [True],
    }
