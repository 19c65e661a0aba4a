"""An event's account and the season's: what was delivered, what may be promised, what it adds up to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from edge_service.domain.decide import decide
from edge_service.domain.memory import EventStage, Memory
from edge_service.domain.model import Event, Mode, Observation, Settings, Storm
from tests.edge.domain.houses import a_site, after, an_event, an_observation


def run(event: Event, powers_w: dict[int, int], until: int, memory: Memory | None = None, begin: int = 0) -> Memory:
    """Decide once a second through an event; the charger's power changes at the given seconds."""
    memory, power_w = memory or Memory(), 0
    for second in range(begin, until):
        power_w = powers_w.get(second, power_w)
        observation = an_observation(second, {"car": {"power_w": power_w}}, events=(event,))
        memory = decide(observation, memory, Settings(), a_site()).memory
    return memory


def test_a_ramp_counts_half() -> None:
    memory = run(an_event("one", 5, 25), {8: -3600, 18: 0}, 30)
    account = memory.events["one"]
    assert account.stage is EventStage.FINISHED
    # Ten seconds at 3.6 kW are 10 Wh; the second up and the second down count half each.
    assert account.charger_wh == pytest.approx(10.0)


def test_no_more_is_promised_than_a_full_battery_holds_above_the_floor() -> None:
    eight_hours = an_event("long", 0, 0)
    day = timedelta(hours=24)
    slot = replace(eight_hours.slots[0], start=after(0) + day, end=after(0) + day + timedelta(hours=8), power_w=-9000)
    observation: Observation = an_observation(0, {"car": {}}, events=(replace(eight_hours, slots=(slot,)),))
    promised_w = decide(observation, Memory(), Settings(), a_site()).memory.events["long"].feasible_w
    # 60 kWh, backup reserve 30 %, 93 % efficient: 39 kWh over eight hours.
    assert promised_w == pytest.approx(-4882, abs=2)


@pytest.mark.parametrize(
    ("wishes", "promised_w"),
    [
        (Settings(), -5000),
        (Settings(mode=Mode.HOLD_FOR_BACKUP), 0),
        (Settings(mode=Mode.PAUSED), 0),
        (Settings(storm=Storm(after(3600), 90)), 0),
        (Settings(storm=Storm(after(60), 30)), -5000),
    ],
)
def test_what_a_mode_or_a_storm_keeps_is_not_promised(wishes: Settings, promised_w: int) -> None:
    observation = an_observation(0, events=(an_event("one", 600, 1200, -5000),))
    assert decide(observation, Memory(), wishes, a_site()).memory.events["one"].feasible_w == promised_w


def test_a_missed_event_counts_as_nothing_delivered() -> None:
    memory = run(an_event("one", 5, 15), {}, 20)
    assert memory.events["one"].stage is EventStage.MISSED
    assert memory.events["one"].charger_wh == 0
