"""How fast things go: fifty orders a second, a slider that is dragged, two hundred pushes a second, a slow edge."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.ridethrough import client, link_issues, orders, pushes
from custom_components.ridethrough.client import CommandRefusedError, LinkLostError
from custom_components.ridethrough.const import DOMAIN
from custom_components.ridethrough.orders import Orders, TooManyOrdersError, setting_of
from custom_components.ridethrough.pace import Bucket
from custom_components.ridethrough.pushes import Shown, is_measurement
from edge_service.api.allowance import ALWAYS_HEARD, BURST, PER_SECOND

from .conftest import shown
from .peer import Eventually, Peer, home, notice, refusing

RESERVE = "number.home_backup_reserve"
GRID_POWER = "sensor.home_grid_power"


async def set_reserve(hass: HomeAssistant, value: float) -> None:
    await hass.services.async_call("number", "set_value", {"entity_id": RESERVE, "value": value}, blocking=True)


async def draw(peer: Peer, what: str, watts: int) -> None:
    await peer.push(lambda state: state["site"].update({what: watts}))


# ----------------------------------------------------------------------------------------- an automation that is broken


async def test_of_fifty_orders_a_second_the_last_wins_and_most_are_never_sent(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "SAME_PER_S", 50.0)
    order = house.runtime_data.async_command
    async with asyncio.timeout(10):
        await asyncio.gather(*(order("set_backup_reserve", pct=value) for value in range(50)))
    sent = [args["pct"] for args in peer.named("set_backup_reserve")]
    assert sent[-1] == 49
    assert len(sent) <= orders.SAME_AT_ONCE + 1
    assert sent == sorted(sent)


async def test_a_stop_and_what_an_outage_needs_overtake_everything(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    peer.slow = {"set_backup_reserve", "set_at_end"}
    order = house.runtime_data.async_command
    waiting = [asyncio.ensure_future(order("set_backup_reserve", pct=value)) for value in range(50)]
    waiting += [asyncio.ensure_future(order("set_at_end", value=value)) for value in ("lend", "stop")]
    await peer.until(lambda: len(peer.commands) >= 2)
    async with asyncio.timeout(5):
        for _ in range(100):
            await order("stop")
        await order("set_load", group="pool", order="shed")
        await order("end_backup", charger="driveway", confirm=True)
    assert len(peer.named("stop")) == 100
    assert (len(peer.named("set_load")), len(peer.named("end_backup"))) == (1, 1)
    assert len(peer.named("set_backup_reserve")) == 1
    peer.slow.clear()
    await peer.answer_all()
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting)
    assert peer.named("set_backup_reserve")[-1] == {"pct": 49}


async def test_an_automation_that_flaps_has_its_repair_while_it_does(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    issue_registry: ir.IssueRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_issues, "STRAIN_AFTER_S", 0.0)
    monkeypatch.setattr(orders, "SAME_PER_S", 50.0)
    issue = (DOMAIN, f"too_many_commands_{house.entry_id}")
    order = house.runtime_data.async_command
    async with asyncio.timeout(10):
        await asyncio.gather(*(order("set_at_end", value=("lend", "stop")[one % 2]) for one in range(50)))
    assert peer.named("set_at_end")[-1] == {"value": "stop"}
    assert issue_registry.async_get_issue(*issue) is not None
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=31))
    assert issue_registry.async_get_issue(*issue) is not None
    monkeypatch.setattr(link_issues, "CALM_AFTER_S", 0.0)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=62))
    await eventually(lambda: issue_registry.async_get_issue(*issue) is None)


async def test_the_repair_of_a_flapping_automation_goes_with_the_entry(
    hass: HomeAssistant, house: MockConfigEntry, issue_registry: ir.IssueRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_issues, "STRAIN_AFTER_S", 0.0)
    monkeypatch.setattr(orders, "SAME_PER_S", 50.0)
    order = house.runtime_data.async_command
    await asyncio.gather(*(order("set_at_end", value="lend") for _ in range(50)))
    issue = (DOMAIN, f"too_many_commands_{house.entry_id}")
    assert issue_registry.async_get_issue(*issue) is not None
    assert await hass.config_entries.async_unload(house.entry_id)
    assert issue_registry.async_get_issue(*issue) is None


async def test_a_person_who_drags_a_slider_is_not_blamed(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, issue_registry: ir.IssueRegistry
) -> None:
    for value in (31, 33, 35):
        await set_reserve(hass, value)
    assert [args["pct"] for args in peer.named("set_backup_reserve")] == [31, 33, 35]
    assert issue_registry.async_get_issue(DOMAIN, f"too_many_commands_{house.entry_id}") is None


async def test_a_refusal_reaches_everybody_whose_order_was_overtaken(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "SAME_AT_ONCE", 1)
    monkeypatch.setattr(orders, "SAME_PER_S", 50.0)
    peer.answers["set_at_end"] = refusing("internal")
    order = house.runtime_data.async_command
    told = await asyncio.gather(*(order("set_at_end", value="lend") for _ in range(5)), return_exceptions=True)
    assert all(isinstance(one, HomeAssistantError) for one in told)
    assert len(peer.named("set_at_end")) == 2


async def test_too_many_different_orders_are_refused_in_words(
    hass: HomeAssistant, house: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "MOST_WAITING", 0)
    order = house.runtime_data.async_command
    told = await asyncio.gather(*(order("set_at_end", value="lend") for _ in range(9)), return_exceptions=True)
    refused = [one for one in told if isinstance(one, HomeAssistantError)]
    assert {one.translation_key for one in refused} == {"too_many_commands"}
    assert house.runtime_data.commands[-1]["outcome"] == "too_many_commands"


# ------------------------------------------------------------------------------------------------- an edge that is slow


async def test_orders_to_a_slow_edge_do_not_pile_up(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    peer.slow = {"set_backup_reserve"}
    order = house.runtime_data.async_command
    waiting = [asyncio.ensure_future(order("set_backup_reserve", pct=value)) for value in range(30)]
    await peer.until(lambda: bool(peer.commands))
    await peer.push(lambda state: state["site"].update(grid_power_w=4200))
    await eventually(lambda: shown(hass, GRID_POWER) in ("4.2", "4200"))
    assert len(peer.commands) == 1
    peer.slow.clear()
    await peer.answer_all()
    await asyncio.gather(*waiting)
    assert [args["pct"] for args in peer.named("set_backup_reserve")] == [0, 29]


async def test_an_order_that_is_not_answered_says_so_and_the_next_one_goes(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "COMMAND_TIMEOUT_S", 0.05)
    peer.slow = {"set_backup_reserve"}
    with pytest.raises(HomeAssistantError) as told:
        await set_reserve(hass, 40)
    assert told.value.translation_key == "no_answer"
    peer.slow.clear()
    await set_reserve(hass, 41)
    assert peer.named("set_backup_reserve")[-1] == {"pct": 41}


async def test_orders_that_wait_when_the_link_ends_or_the_entry_is_unloaded_say_so(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer
) -> None:
    peer.slow = {"set_backup_reserve"}
    order = house.runtime_data.async_command
    waiting = [asyncio.ensure_future(order("set_backup_reserve", pct=value)) for value in range(3)]
    await peer.until(lambda: bool(peer.commands))
    assert await hass.config_entries.async_unload(house.entry_id)
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert {one.translation_key for one in told if isinstance(one, HomeAssistantError)} == {"no_link"}


# ------------------------------------------------------------------------------------------------- an edge that is fast


async def test_two_hundred_pushes_are_shown_a_few_times_and_the_last_one_is(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    written: list[Event[Any]] = []

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["entity_id"] == GRID_POWER:
            written.append(event)

    hass.bus.async_listen("state_changed", note)
    began = hass.loop.time()
    for watts in range(2000, 2400, 2):
        await draw(peer, "grid_power_w", 10 * watts)
    await eventually(lambda: house.runtime_data.data["site"]["grid_power_w"] == 23_980)
    most = pushes.AT_ONCE + pushes.PER_S * (hass.loop.time() - began) + 1
    assert 1 <= len(written) <= most
    assert len(written) < 100


async def test_what_people_wait_for_is_not_held_back_by_a_flood_of_numbers(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pushes, "PER_S", 0.001)
    house.runtime_data._pushes = Shown(hass.loop, house.runtime_data.async_set_updated_data)
    for watts in range(50):
        await draw(peer, "house_power_w", watts)
    await peer.push(lambda state: state["site"].update(grid="outage", supply="island"))
    await eventually(lambda: shown(hass, "sensor.home_grid_status") == "outage")
    assert house.runtime_data.data["site"]["house_power_w"] == 49
    await peer.push(lambda state: state["site"].update(house_power_w=4711))
    await peer.raise_notice(notice(1))
    await eventually(lambda: house.runtime_data.data["site"]["house_power_w"] == 4711)
    await peer.push(lambda state: state["site"].update(house_power_w=815))
    await peer.happen("outage_started")
    await eventually(lambda: shown(hass, "event.home_outage") not in ("unknown", "unavailable"))
    assert house.runtime_data.data["site"]["house_power_w"] == 815


async def test_numbers_that_wait_when_the_link_ends_are_not_shown_after_it(hass: HomeAssistant) -> None:
    seen: list[Any] = []
    slow = Shown(hass.loop, seen.append)
    for watts in range(pushes.AT_ONCE + 1):
        slow.take(home(), {"set": [(["site", "house_power_w"], watts)], "removed": []})
    assert len(seen) == pushes.AT_ONCE
    slow.drop()
    slow.flush()
    assert len(seen) == pushes.AT_ONCE


async def test_a_depot_of_forty_is_shown_whole(hass: HomeAssistant, entry: MockConfigEntry, peer: Peer) -> None:
    one = peer.state["chargers"]["driveway"]
    peer.state["chargers"] = {f"bay_{number}": {**one, "name": f"Bay {number}"} for number in range(40)}
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert shown(hass, "sensor.bay_39_status") == "idle"
    assert await hass.config_entries.async_unload(entry.entry_id)


# ----------------------------------------------------------------------------------------------------- the parts alone


@pytest.mark.parametrize(
    ("put", "gone", "waits"),
    [
        ([(["site", "grid_power_w"], 5)], [], True),
        ([(["site", "evidence"], [])], [], True),
        ([(["chargers", "driveway", "why"], [])], [], True),
        ([(["site", "grid"], "outage")], [], False),
        ([(["site", "grid_power_w"], None)], [], False),
        ([(["site", "disputed"], True)], [], False),
        ([(["site", "grid_power_w"], 5), (["notices"], [])], [], False),
        ([], [["chargers", "driveway"]], False),
    ],
)
def test_only_measured_numbers_may_wait(put: list[Any], gone: list[Any], waits: bool) -> None:
    assert is_measurement(put, gone) is waits


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("charge", {"charger": "a", "power_w": 1}), ("resume", {"charger": "a"}), True),
        (("charge", {"charger": "a"}), ("charge", {"charger": "b"}), False),
        (
            ("set_drivers_reserve", {"charger": "a", "pct": 1}),
            ("set_drivers_reserve", {"charger": "a", "pct": 2}),
            True,
        ),
        (
            ("set_power_limit", {"charger": "a", "charge_w": 1}),
            ("set_power_limit", {"charger": "a", "discharge_w": 1}),
            False,
        ),
        (("set_departure", {"charger": "a", "id": "x"}), ("set_departure", {"charger": "a", "id": "y"}), False),
        (("opt_out", {"uid": "1"}), ("opt_out", {"uid": "2"}), False),
        (("opt_out", {"uid": "1"}), ("opt_out", {"uid": "1"}), True),
    ],
)
def test_what_takes_the_place_of_what(
    one: tuple[str, Mapping[str, Any]], other: tuple[str, Mapping[str, Any]], same: bool
) -> None:
    assert (setting_of(*one) == setting_of(*other)) is same


def test_so_many_at_once_then_so_many_a_second() -> None:
    bucket = Bucket(2, 4.0)
    waits = []
    for now in (100.0, 100.0, 100.0, 100.25, 200.0):
        waits.append(bucket.wait_s(now))
        bucket.take()
    assert waits == [0.0, 0.0, 0.25, 0.0, 0.0]


async def test_an_order_keeps_its_own_pace_and_forgets_who_has_rested() -> None:
    sent: list[float] = []
    tasks: list[asyncio.Task[None]] = []

    async def send(_: str, args: Mapping[str, Any]) -> dict[str, Any]:
        sent.append(args["pct"])
        if args["pct"] == 13:
            raise CommandRefusedError("internal", "no", {})
        return {"told": args["pct"]}

    line = Orders(send, lambda one: tasks.append(asyncio.ensure_future(one)), lambda: None)
    for value in range(orders.SAME_AT_ONCE):
        assert await line.order("set_backup_reserve", {"pct": value}) == {"told": value}
    waiting = asyncio.ensure_future(line.order("set_backup_reserve", {"pct": 7}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (task,) = tasks
    task.cancel()
    with pytest.raises(LinkLostError):
        await waiting
    assert sent == [*range(orders.SAME_AT_ONCE)]
    with pytest.raises(CommandRefusedError):
        await line.order("set_storm_reserve", {"pct": 13})


async def test_one_more_than_can_wait_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "MOST_WAITING", 0)
    monkeypatch.setattr(orders, "SAME_AT_ONCE", 1)

    async def send(_: str, __: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    line = Orders(send, lambda one: one.close(), lambda: None)
    await line.order("set_at_end", {"value": "lend"})
    with pytest.raises(TooManyOrdersError):
        await line.order("set_at_end", {"value": "lend"})


def test_what_may_go_at_once_from_here_is_heard_at_the_edge() -> None:
    assert BURST >= orders.ALL_AT_ONCE
    assert PER_SECOND >= orders.ALL_PER_S
    assert {"stop", "end_backup", "retry_backup", "set_load", "cancel_drill", "report"} <= ALWAYS_HEARD
