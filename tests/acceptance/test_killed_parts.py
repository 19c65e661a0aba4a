"""Parts are killed without a word, as a power cut or a full disk does it; each process is a real one."""

from datetime import UTC, datetime

import pytest

from demo.house import CHARGER, PROGRAM, House, Json, at
from tests.acceptance.conftest import PACE, until_told, until_true

POWER_W = 5000
# A program's server is asked every ten seconds.
EVENT_IN_S = 12
# A timer in the charger is exact; asking for it is not.
SLACK_S = 2.0


def event_of(state: Json) -> Json:
    """The one event of the story, {} before it is known."""
    events: list[Json] = state["programs"][PROGRAM]["events"]
    return events[0] if events else {}


def serves(truth: Json) -> bool:
    """The charger gives what the event asks."""
    power_w: float = truth["charger"]["power_w"]
    return abs(power_w + POWER_W) <= 100


async def an_event_runs(house: House, duration_s: int) -> Json:
    """Call an event and wait until the charger serves it; returns it as the edge tells it."""
    times = ("--start-in", str(EVENT_IN_S), "--duration", str(duration_s))
    await house.simulate("event", "--power-kw", str(POWER_W / 1000), *times)
    await until_told(house, event_of, EVENT_IN_S, "the edge to know the event")
    await until_true(house, serves, EVENT_IN_S + 10, "the charger to serve the event")
    state = await until_told(house, lambda state: event_of(state)["status"] == "running", 5, "the event to run")
    return event_of(state)


async def an_island_carries(house: House) -> Json:
    """Take the grid away and wait until the vehicle carries the house; returns what is so then."""
    await house.simulate("outage")
    told = await until_told(house, lambda state: state["site"]["supply"] == "island", 15, "the edge to tell an island")
    assert told["site"]["grid"] == "outage"
    return await until_true(house, lambda truth: truth["house_powered"], 5, "light in the house")


async def registrations(house: House) -> list[Json]:
    """How often the house has introduced itself to the utility."""
    seen: list[Json] = (await house.utility_truth())["requests"]
    return [one for one in seen if one["method"] == "POST" and one["path"] == "/vens"]


async def kinds_told(house: House) -> list[str]:
    """What happened, by the edge's own numbered account, oldest first."""
    return [occurrence["kind"] for occurrence in await house.occurrences()]


@pytest.mark.timeout(120)
async def test_a_killed_edge_lets_the_charger_go_by_its_timer_and_comes_back_to_the_same_event(house: House) -> None:
    event = await an_event_runs(house, duration_s=70)
    await house.edge.kill()
    killed_at = datetime.now(UTC)
    truth = await until_true(
        house, lambda truth: truth["charger"]["lease_expiries"], PACE.lease_s + SLACK_S, "the charger's own timer"
    )
    expired_at = at(truth["charger"]["lease_expiries"][0])
    assert (expired_at - killed_at).total_seconds() <= PACE.lease_s
    assert truth["charger"]["setpoint_enabled"] is False
    await until_true(house, lambda truth: abs(truth["charger"]["power_w"]) < 50, 5, "the charger to rest")

    await house.start_edge()
    await until_true(house, serves, 15, "the charger to serve the event again")
    state = await until_told(house, lambda state: event_of(state)["status"] == "running", 5, "the event to run")
    assert event_of(state)["uid"] == event["uid"]
    assert len(state["programs"][PROGRAM]["events"]) == 1
    kinds = await kinds_told(house)
    assert kinds.count("event_announced") == 1
    assert kinds.count("event_started") == 1
    assert len(await registrations(house)) == 1
    assert (await house.truth())["violations"] == []


@pytest.mark.timeout(120)
async def test_a_killed_edge_leaves_the_island_lit_and_the_next_one_takes_it_over(house: House) -> None:
    before = await an_island_carries(house)
    await house.edge.kill()
    # Longer than any order of ours stands at the charger.
    until_s = before["uptime_s"] + PACE.lease_s + SLACK_S
    lit: list[bool] = []

    def watched(truth: Json) -> bool:
        lit.append(truth["house_powered"])
        return bool(truth["uptime_s"] > until_s)

    after = await until_true(house, watched, PACE.lease_s + 10, "the lease to be over")
    assert all(lit)
    assert after["house"]["dark_s"] == before["house"]["dark_s"]

    await house.start_edge()
    await until_told(house, lambda state: state["site"]["supply"] == "island", 10, "the island to be found")
    state = await until_told(house, lambda state: state["site"]["grid"] == "outage", 10, "the outage to be certain")
    assert state["site"]["supply"] == "island"
    truth = await house.truth()
    assert truth["house"]["dark_s"] == before["house"]["dark_s"]
    assert truth["violations"] == []
    kinds = await kinds_told(house)
    assert kinds.count("outage_started") == 1
    assert kinds.count("backup_started") == 1

    await house.simulate("restore")
    await until_told(house, lambda state: state["site"]["supply"] == "grid", 30, "the way back to the grid")
    assert (await house.truth())["violations"] == []


@pytest.mark.timeout(120)
async def test_a_killed_utility_does_not_end_the_event_that_was_accepted(house: House) -> None:
    event = await an_event_runs(house, duration_s=35)
    await house.utility.kill()
    ends_at = at(event["end"])
    served: list[tuple[datetime, bool]] = []

    def over(truth: Json) -> bool:
        served.append((at(truth["at"]), serves(truth)))
        return at(truth["at"]) >= ends_at

    truth = await until_true(house, over, 60, "the event's end")
    assert all(does for moment, does in served if moment < ends_at)
    assert truth["charger"]["lease_expiries"] == []
    await until_true(house, lambda truth: abs(truth["charger"]["power_w"]) < 50, 5, "the charger to rest")
    state = await until_told(house, lambda state: event_of(state)["status"] == "finished", 5, "the event's result")
    assert state["programs"][PROGRAM]["connected"] is False
    asked_wh = POWER_W * (ends_at - at(event["start"])).total_seconds() / 3600
    assert event_of(state)["energy_wh"] == pytest.approx(asked_wh, rel=0.1)
    assert state["chargers"][CHARGER]["connected"]
