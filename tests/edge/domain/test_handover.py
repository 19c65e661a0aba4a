"""From one charger that forms the island to another: never two at once, and none left out while the house is dark."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from edge_service.domain.decide import Decision, decide
from edge_service.domain.islanding_situation import Situation
from edge_service.domain.islanding_table import TABLE
from edge_service.domain.memory import GridMemory, IslandMemory, IslandStep, Memory
from edge_service.domain.model import (
    AtEnd,
    ChargerReading,
    ChargerState,
    Evidence,
    Grid,
    Hold,
    Mode,
    Observation,
    Order,
    Pause,
    Release,
    Settings,
    Stop,
    SwitchOrder,
    SwitchReading,
    frozen_map,
)
from tests.edge.domain.houses import NAMES, T0, a_meter, a_reading, a_site, after, an_observation

S = IslandStep
FACTS = a_site("bus", "car")
RESERVE = "reserve_reached"
# A charger looks at a dead bus for this long before it lights it.
LOOKS_S = 2


@dataclass
class Charger:
    """One that forms by its own act, as soon as nothing keeps it from that: whoever we have chosen."""

    soc_pct: float
    order: Order = field(default_factory=Release)
    ordered_at: datetime = T0
    forming: bool = False
    works: bool = True
    plugged: bool = True
    silent: bool = False
    contactor: bool = True
    deaf: bool = False
    looked_s: int = 0
    seen: ChargerReading | None = None

    @property
    def free(self) -> bool:
        return self.works and self.plugged and self.contactor and isinstance(self.order, Release)

    def obey(self, order: Order | None, at: datetime) -> None:
        if self.silent or self.deaf or order is None or order == self.order:
            return
        self.order, self.ordered_at = order, at


@dataclass
class House:
    """A grid that is gone, a switch, and chargers that stand by the last order that reached them."""

    chargers: dict[str, Charger]
    opened: bool = False
    most_forming: int = 0

    def act(self) -> None:
        live = any(charger.forming for charger in self.chargers.values())
        for charger in self.chargers.values():
            stopped = isinstance(charger.order, Stop) or not (charger.works and charger.plugged)
            charger.forming = charger.forming and not stopped and self.opened
            waits = charger.free and self.opened and not live
            charger.looked_s = charger.looked_s + 1 if waits else 0
            charger.forming = charger.forming or charger.looked_s > LOOKS_S
        self.most_forming = max(self.most_forming, sum(charger.forming for charger in self.chargers.values()))

    def observe(self, now: datetime) -> Observation:
        volts = 240.0 if any(charger.forming for charger in self.chargers.values()) else 0.0
        for charger in self.chargers.values():
            if not charger.silent:
                charger.seen = a_reading(
                    now,
                    plugged=charger.plugged,
                    soc_pct=charger.soc_pct,
                    forming=charger.forming,
                    grid_present=None if charger.forming else bool(volts),
                    voltage_v=volts,
                    state=_state(charger),
                )
        return Observation(
            now,
            frozen_map({name: charger.seen for name, charger in self.chargers.items()}),
            a_meter(now, voltage_v=0.0, power_w=0),
            SwitchReading(now, self.opened, self.opened, not self.opened),
            orders=frozen_map(
                {
                    name: Evidence(charger.order, charger.ordered_at, charger.ordered_at, charger.ordered_at)
                    for name, charger in self.chargers.items()
                    if not (charger.silent or charger.deaf)
                }
            ),
        )

    def obey(self, decision: Decision, at: datetime) -> None:
        for name, charger in self.chargers.items():
            charger.obey(decision.orders.get(name), at)
        if decision.switch is not None:
            self.opened = decision.switch is SwitchOrder.OPEN


def _state(charger: Charger) -> ChargerState:
    if not charger.works:
        return ChargerState.FAULT
    return ChargerState.UNAVAILABLE if isinstance(charger.order, Stop) else ChargerState.IDLE


class Run:
    """An outage, second by second."""

    def __init__(self, car: float = 70.0, bus: float = 65.0, people: Settings | None = None) -> None:
        self.house = House({"bus": Charger(bus), "car": Charger(car)})
        self.memory = Memory(
            grid=GridMemory(Grid.ON, T0, good_since=T0, closed_since=after(-60)), island=IslandMemory(S.TIED, T0, "car")
        )
        self.people = people or Settings()
        self.seconds = 0
        self.walked: list[IslandStep] = []
        self.formers: list[str | None] = []

    def seconds_pass(self, seconds: int) -> Run:
        for _ in range(seconds):
            self.seconds += 1
            self.house.act()
            decision = decide(self.house.observe(after(self.seconds)), self.memory, self.people, FACTS)
            self.memory = decision.memory
            self.house.obey(decision, after(self.seconds))
            if self.walked[-1:] != [decision.memory.island.step]:
                self.walked.append(decision.memory.island.step)
            if self.formers[-1:] != [decision.memory.island.former]:
                self.formers.append(decision.memory.island.former)
        return self

    @property
    def lit_by(self) -> list[str]:
        return [name for name, charger in self.house.chargers.items() if charger.forming]


# Something that becomes of a charger: who, what, and how long the house is watched after that.
acts = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(["works", "plugged", "contactor", "deaf", "silent", "reserve"]),
    st.sampled_from([1, 7, 40, 90]),
)


def become(run: Run, name: str, what: str) -> None:
    """A charger that is silent stays as it is: what it does in that time nobody could know."""
    charger = run.house.chargers[name]
    if what == "silent":
        charger.silent = not charger.silent
    elif what == "reserve":
        charger.soc_pct = 90.0 - charger.soc_pct
    elif not charger.silent:
        setattr(charger, what, not getattr(charger, what))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(acts, max_size=8))
def test_never_do_two_chargers_form_whatever_becomes_of_them(course: list[tuple[str, str, int]]) -> None:
    run = Run().seconds_pass(20)
    for name, what, seconds in course:
        become(run, name, what)
        run.seconds_pass(seconds)
    assert run.house.most_forming <= 1


@pytest.mark.parametrize("what", ["works", "plugged", "silent"])
def test_when_the_one_that_carries_the_house_fails_the_other_takes_its_place(what: str) -> None:
    run = Run().seconds_pass(20)
    assert run.lit_by == ["car"]
    car = run.house.chargers["car"]
    car.works = False
    become(run, "car", what) if what != "works" else None
    run.seconds_pass(120)
    assert run.lit_by == ["bus"]
    assert run.formers == ["car", "bus"]
    assert run.house.most_forming == 1


def test_a_charger_that_takes_no_stop_is_not_overtaken_though_it_does_not_form() -> None:
    run = Run()
    car = run.house.chargers["car"]
    car.contactor = False
    run.seconds_pass(10)
    car.deaf = True
    assert run.seconds_pass(100).lit_by == []
    assert run.formers == ["car"]
    assert 2 <= run.walked.count(S.HANDOVER) <= 3, "asked again, but not every second"
    car.contactor = True
    run.seconds_pass(20)
    assert (run.lit_by, run.house.most_forming) == (["car"], 1)


def test_a_silent_charger_that_still_carries_the_house_is_left_to_it() -> None:
    run = Run().seconds_pass(20)
    run.house.chargers["car"].silent = True
    run.seconds_pass(300)
    assert run.lit_by == ["car"]
    assert S.HANDOVER not in run.walked


def test_the_first_comes_back_into_play_when_the_second_fails_too() -> None:
    run = Run().seconds_pass(20)
    become(run, "car", "works")
    run.seconds_pass(60)
    become(run, "car", "works")
    run.seconds_pass(5)
    become(run, "bus", "plugged")
    run.seconds_pass(60)
    assert run.lit_by == ["car"]
    assert run.formers == ["car", "bus", "car"]


def test_two_that_never_form_are_not_turned_over_and_over() -> None:
    run = Run()
    for charger in run.house.chargers.values():
        charger.contactor = False
    run.seconds_pass(500)
    assert run.formers == ["car", "bus"]
    run.seconds_pass(1300)
    assert 3 <= len(run.formers) <= 5


def test_at_the_reserve_the_other_goes_on_unless_the_resident_lends() -> None:
    run = Run().seconds_pass(20)
    run.house.chargers["car"].soc_pct = 20.0
    assert run.seconds_pass(20).lit_by == ["bus"]
    lent = Run(people=Settings(at_end=AtEnd.LEND)).seconds_pass(20)
    lent.house.chargers["car"].soc_pct = 20.0
    assert lent.seconds_pass(20).lit_by == ["car"]


def test_a_vehicle_that_comes_after_the_backup_has_ended_carries_the_house() -> None:
    run = Run().seconds_pass(20)
    become(run, "bus", "plugged")
    run.house.chargers["car"].soc_pct = 20.0
    run.seconds_pass(20)
    assert (run.walked[-1], run.lit_by) == (S.ENDED, [])
    become(run, "bus", "plugged")
    assert run.seconds_pass(20).lit_by == ["bus"]


def test_a_person_who_ends_the_backup_ends_it_for_all() -> None:
    run = Run().seconds_pass(20)
    run.people = Settings(end_backup=True)
    assert run.seconds_pass(60).lit_by == []
    assert S.HANDOVER not in run.walked


# ------------------------------------------------------------------------------------------------------- single guards


def handing_over(car: dict[str, Any], order: Evidence | None = None, **changes: Any) -> Situation:
    """In the middle of a handover from the car to the bus."""
    quiet: dict[str, Any] = {"voltage_v": 0.0, "grid_present": False}
    seen = an_observation(100, {"car": quiet | car, "bus": quiet}, meter=a_meter(after(100), voltage_v=0.0))
    opened = SwitchReading(after(100), True, True, False)
    orders = {} if order is None else {"car": order}
    seen = replace(seen, switch=opened, orders=frozen_map(orders), **changes)
    people = changes.pop("people", Settings())
    return Situation(seen, IslandMemory(S.HANDOVER, after(95), "car"), Grid.OUTAGE, people, FACTS)


STOPPED = Evidence(Stop(), after(95), after(95), after(96))


@pytest.mark.parametrize(
    ("car", "order", "let_go"),
    [
        ({}, STOPPED, True),
        ({}, replace(STOPPED, order=Pause()), True),
        ({}, replace(STOPPED, order=Hold()), False),
        ({}, replace(STOPPED, read_back_at=None), False),
        ({}, replace(STOPPED, read_back_at=after(100)), False),
        ({}, None, False),
        ({"forming": None}, STOPPED, False),
        ({"forming": True}, STOPPED, False),
        ({"plugged": False}, None, True),
        ({"state": ChargerState.FAULT}, None, True),
        ({"state": ChargerState.FAULT, "forming": None}, None, False),
        ({"plugged": False, "forming": True}, None, False),
    ],
)
def test_who_is_let_go_is_stopped_and_seen_since_or_cannot_form(
    car: dict[str, Any], order: Evidence | None, let_go: bool
) -> None:
    assert handing_over(car, order).let_go is let_go


def test_a_silent_charger_is_given_the_time_to_light_the_house_again() -> None:
    run = Run().seconds_pass(20)
    car = run.house.chargers["car"]
    car.silent = True
    run.seconds_pass(300)
    car.works = False
    run.seconds_pass(29)
    assert (run.walked[-1], run.formers) == (S.FORMING, ["car"])
    assert run.seconds_pass(10).lit_by == ["bus"]


def test_nothing_is_handed_over_where_something_else_may_feed_the_house() -> None:
    at = replace(handing_over({"plugged": False}), memory=IslandMemory(S.DARK, T0, "car"))
    (guard,) = [
        transition.guard for transition in TABLE[S.DARK] if transition.to is S.HANDOVER and transition.why != RESERVE
    ]
    assert guard(at)
    assert not guard(replace(at, grid=Grid.ON))
    assert not guard(replace(at, at_generator=True))


def test_one_that_never_answered_since_the_start_is_waited_for() -> None:
    at = handing_over({})
    chargers = frozen_map({**at.observation.chargers, "car": None})
    at = replace(at, observation=replace(at.observation, chargers=chargers))
    assert not at.gone
    assert replace(at, memory=replace(at.memory, since=after(40))).gone


@pytest.mark.parametrize(("silent_s", "volts", "gone"), [(60, 0.0, True), (59, 0.0, False), (600, 240.0, False)])
def test_a_silent_charger_is_gone_only_after_long_and_in_a_dark_house(silent_s: int, volts: float, gone: bool) -> None:
    at = handing_over({})
    seen = an_observation(100, {"bus": {"voltage_v": volts}}).chargers
    chargers = frozen_map({**seen, "car": a_reading(after(100 - silent_s))})
    at = replace(at, observation=replace(at.observation, chargers=chargers))
    assert at.gone is gone
    assert at.let_go is gone
    mute = frozen_map({**chargers, "bus": a_reading(after(100), voltage_v=None)})
    assert not replace(at, observation=replace(at.observation, chargers=mute)).gone


def test_nobody_is_chosen_while_only_watching_or_before_the_switch_is_proven_open() -> None:
    at = handing_over({}, STOPPED)
    assert at.successor == "bus"
    assert replace(at, settings=Settings(mode=Mode.READ_ONLY)).successor is None
    closed = replace(at.observation, switch=SwitchReading(after(100), True, None, None))
    assert replace(at, observation=closed).successor is None
