"""What the rungs say together, in small cases."""

from typing import Any

from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import Memory
from edge_service.domain.model import (
    Event,
    ManualKind,
    ManualOrder,
    Mode,
    Observation,
    Pause,
    Power,
    Settings,
    SiteFacts,
    Stop,
    frozen_map,
)
from edge_service.domain.policies import LADDER
from edge_service.domain.realise import order_power_w
from tests.edge.domain.houses import a_meter, a_site, after, an_event, an_observation

TWO: dict[str, Any] = {"bus": {}, "car": {}}


def on_grid(facts: SiteFacts, settings: Settings, observation: Observation) -> Decision:
    """Decide once the grid is known to be on: three seconds after the first look."""
    first = an_observation(0, {name: {} for name in facts.chargers})
    return decide(observation, decide(first, Memory(), settings, facts).memory, settings, facts)


def manual(**orders: tuple[ManualKind, int | None]) -> Settings:
    placed = {name: ManualOrder(kind, after(0), after(600), power_w) for name, (kind, power_w) in orders.items()}
    return Settings(manual=frozen_map(placed))


def powers(decision: Decision) -> dict[str, int | None]:
    return {name: order_power_w(order) for name, order in decision.orders.items()}


def test_safety_comes_before_people_people_before_money() -> None:
    assert [rung.name for rung in LADDER] == [
        "device_safety",
        "stop",
        "site_limits",
        "outage",
        "drivers_reserve",
        "manual",
        "departure",
        "backup_reserve",
        "demand_response",
        "idle",
    ]


def test_a_manual_discharge_beyond_the_export_permission_does_not_make_the_other_vehicle_charge() -> None:
    facts = a_site("bus", "car", export_max_w=0)
    decision = on_grid(facts, manual(car=(ManualKind.DISCHARGE, 9600)), an_observation(3, TWO))
    assert powers(decision) == {"bus": 0, "car": -1200}


def test_a_manual_charge_beyond_the_fuse_does_not_make_the_other_vehicle_discharge() -> None:
    facts = a_site("bus", "car", import_max_w=6000)
    decision = on_grid(facts, manual(car=(ManualKind.CHARGE, None)), an_observation(3, TWO))
    assert powers(decision) == {"bus": 0, "car": 4800}


def test_a_paused_neighbour_stays_paused_and_the_export_limit_holds() -> None:
    facts = a_site("bus", "car", export_max_w=0)
    placed = ManualOrder(ManualKind.DISCHARGE, after(0), after(600))
    settings = Settings(mode=Mode.PAUSED, manual=frozen_map({"bus": placed}))
    decision = on_grid(facts, settings, an_observation(3, TWO))
    assert decision.orders == {"bus": Power(-1200), "car": Pause()}


def test_an_event_beyond_the_export_permission_is_shared_and_no_vehicle_charges_another() -> None:
    facts = a_site("bus", "car", export_max_w=0)
    decision = on_grid(facts, Settings(), an_observation(3, TWO, events=(an_event("e1", 1, 60, -9600),)))
    assert powers(decision) == {"bus": -600, "car": -600}


def test_two_chargers_give_an_event_s_target_together() -> None:
    facts = a_site("bus", "car")
    decision = on_grid(facts, Settings(), an_observation(3, TWO, events=(an_event("e1", 1, 60, -5001),)))
    assert sum(w or 0 for w in powers(decision).values()) == -5001


def test_what_a_person_already_discharges_counts_for_the_event() -> None:
    facts = a_site("bus", "car", export_max_w=20000)
    observation = an_observation(3, TWO, events=(an_event("e1", 1, 60, -5000),))
    decision = on_grid(facts, manual(car=(ManualKind.DISCHARGE, 4000)), observation)
    assert powers(decision) == {"bus": -1000, "car": -4000}


def test_a_net_program_counts_house_and_every_charger() -> None:
    facts = a_site("bus", "car", export_max_w=20000)
    event = an_event("e1", 1, 60, -5000, program="net")
    decision = on_grid(facts, manual(car=(ManualKind.CHARGE, 2000)), an_observation(3, TWO, events=(event,)))
    assert powers(decision) == {"bus": -5000 - 1200 - 2000, "car": 2000}


def test_a_house_beyond_its_fuse_makes_no_vehicle_discharge() -> None:
    observation = an_observation(3, meter=a_meter(after(3), power_w=30000))
    decision = on_grid(a_site(), Settings(), observation)
    assert powers(decision) == {"car": 0}


def test_solar_beyond_the_export_permission_makes_no_vehicle_charge() -> None:
    observation = an_observation(3, meter=a_meter(after(3), power_w=-12000))
    decision = on_grid(a_site(export_max_w=5000), Settings(), observation)
    assert powers(decision) == {"car": 0}


def test_a_silent_charger_does_not_keep_the_other_from_an_event() -> None:
    facts = a_site("bus", "car")
    observation = an_observation(6, {"car": {}}, events=(an_event("e1", 1, 60),))
    decision = on_grid(facts, Settings(), observation)
    assert powers(decision) == {"car": -5000}
    assert decision.house_w is None


def test_a_charger_that_another_commands_keeps_its_place_under_the_fuse() -> None:
    facts = a_site("bus", "car", import_max_w=12000)
    chargers = {"bus": {"authority": "local", "power_w": 9000}, "car": {}}
    observation = an_observation(3, chargers, meter=a_meter(after(3), power_w=10200))
    decision = on_grid(facts, manual(car=(ManualKind.CHARGE, None)), observation)
    assert powers(decision) == {"car": 1800}


def test_in_read_only_nothing_is_ordered_but_a_person_s_stop() -> None:
    event: tuple[Event, ...] = (an_event("e1", 1, 60),)
    watching = Settings(mode=Mode.READ_ONLY)
    decision = on_grid(a_site(), watching, an_observation(3, events=event))
    assert not decision.orders
    assert decision.steps["car"][-1].reason == "read_only"
    stopped = Settings(mode=Mode.READ_ONLY, stopped=True)
    assert on_grid(a_site(), stopped, an_observation(3)).orders == {"car": Stop()}
