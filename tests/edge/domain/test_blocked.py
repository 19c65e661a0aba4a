"""Why a charger cannot discharge now, in one word."""

from dataclasses import replace
from typing import Any

import pytest

from edge_service.domain.blocked import bidirectional, blocked_by
from edge_service.domain.memory import ChargerMemory, Memory
from edge_service.domain.model import (
    Authority,
    Capability,
    ChargerFacts,
    ChargerState,
    Control,
    Grid,
    Settings,
    Supply,
    frozen_map,
)
from edge_service.domain.view import View
from tests.edge.domain.houses import DER, T0, a_reading, a_site, after, an_observation

ONE_WAY = Capability(Control.SIGNED, 7400, 0)


def why(
    reading: dict[str, Any] | None = None,
    settings: Settings | None = None,
    capability: Capability | None = DER,
    memory: Memory | None = None,
    grid: Grid = Grid.ON,
    **observation: Any,
) -> str | None:
    facts = a_site(chargers=frozen_map({"car": ChargerFacts("car", "Car", capability)}))
    seen = replace(an_observation(0, {"car": reading or {}}), **observation)
    supply = Supply.GRID if grid is Grid.ON else Supply.ISLAND
    return blocked_by(View(seen, memory or Memory(), settings or Settings(), facts, grid, supply, None), "car")


def test_one_in_order_can() -> None:
    assert why() is None


@pytest.mark.parametrize(
    ("reading", "code"),
    [
        ({"plugged": False, "discharge_max_w": 0, "soc_pct": None}, "no_vehicle"),
        ({"state": ChargerState.FAULT, "plugged": False}, "fault"),
        ({"state": ChargerState.BOOTING}, "charger"),
        ({"service_permitted": False}, "charger"),
        ({"discharge_max_w": 0}, "charger"),
        ({"authority": Authority.APP}, "another_controller"),
        ({"alarms": ("session_not_bidirectional",), "discharge_max_w": 0}, "not_bidirectional"),
        ({"alarms": ("v2g_not_offered",), "discharge_max_w": 0}, "not_offered"),
        ({"alarms": ("window_unknown",), "discharge_max_w": 0}, "window_unknown"),
        ({"soc_pct": None}, "vehicle"),
        ({"soc_pct": 5.0, "discharge_max_w": 0}, "vehicle"),
        ({"at": after(-60)}, "no_contact"),
    ],
)
def test_what_the_devices_say(reading: dict[str, Any], code: str) -> None:
    if "at" in reading:
        assert why(chargers=frozen_map({"car": a_reading(after(-60))})) == code
    else:
        assert why(reading) == code


def test_what_was_never_probed_or_never_discharges() -> None:
    assert why(capability=None) == "no_contact"
    assert why(capability=ONE_WAY) == "unable"
    assert why(capability=ONE_WAY, chargers=frozen_map({"car": None})) == "unable"


def test_what_people_decided() -> None:
    low = Memory(chargers=frozen_map({"car": ChargerMemory(low=frozenset({"driver"}))}))
    none = Settings(discharge_limit_w=frozen_map({"car": 0}))
    assert why(settings=Settings(stopped=True)) == "stopped"
    assert why(memory=low, settings=none) == "reserve"
    assert why(settings=none) == "limit"
    assert why(settings=replace(none, discharge_limit_w=frozen_map({"car": 1}))) is None
    assert why(settings=none, grid=Grid.OUTAGE) is None
    assert why(contested=frozen_map({"car": T0})) == "another_controller"


@pytest.mark.parametrize(
    ("reading", "capability", "agreed"),
    [
        ({}, DER, True),
        ({}, ONE_WAY, False),
        ({}, None, None),
        ({"plugged": False}, DER, None),
        ({"plugged": None}, DER, None),
        ({"discharge_max_w": 0}, DER, None),
        ({"discharge_max_w": 0, "state": ChargerState.DISCHARGING}, DER, True),
        ({"alarms": ("session_not_bidirectional",)}, DER, False),
        ({"alarms": ("v2g_not_offered",)}, DER, False),
        ({"alarms": ("window_unknown",)}, DER, None),
    ],
)
def test_whether_charger_and_vehicle_have_agreed_on_discharge(
    reading: dict[str, Any], capability: Capability | None, agreed: bool | None
) -> None:
    assert bidirectional(a_reading(T0, **reading), capability) is agreed


def test_of_a_silent_charger_it_is_not_known() -> None:
    assert bidirectional(None, DER) is None
    assert bidirectional(None, ONE_WAY) is False
