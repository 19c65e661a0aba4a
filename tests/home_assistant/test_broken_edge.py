"""An edge with a defect, or somebody who plays one: wrong forms, numbers that are none, times that are none. What can
be shown is shown, nobody falls silent, and all is well again once the edge is."""

from functools import partial
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components import persistent_notification
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.ridethrough import wire

from .conftest import shown
from .peer import Eventually, Peer, at, notice
from .phone_kit import PhoneShop, choose

BATTERY, GRID = "sensor.driveway_charger_vehicle_battery", "sensor.home_grid_status"
CONTROLLER = "binary_sensor.home_controller"


async def follows(peer: Peer, hass: HomeAssistant, eventually: Eventually, soc_pct: float) -> None:
    """What the edge says now is shown."""
    await peer.push(lambda state: state["chargers"]["driveway"].update(soc_pct=soc_pct))
    await eventually(lambda: shown(hass, BATTERY) == str(soc_pct))


def _draws(power_w: int, state: Any) -> None:
    state["site"]["grid_power_w"] = power_w


# ----------------------------------------------------------------------------------------------------------- forms


@pytest.mark.parametrize("wrong", ["full", [78.0], {"pct": 78.0}, True, 10**40], ids=str)
async def test_a_charger_of_another_form_is_away_and_all_else_is_shown(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, wrong: Any
) -> None:
    await peer.push(lambda state: state["chargers"]["driveway"].update(soc_pct=wrong))
    await eventually(lambda: shown(hass, BATTERY) == "unavailable")
    assert shown(hass, GRID) == "connected"
    assert shown(hass, CONTROLLER) == "on"
    await follows(peer, hass, eventually, 61.0)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
async def test_a_number_that_is_none_is_never_shown(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, number: str
) -> None:
    peer.seq += 1
    change = f'["chargers","driveway","soc_pct"],{number}'
    await peer.say(f'{{"type":"change","seq":{peer.seq},"set":[[{change}]],"removed":[]}}')
    await eventually(lambda: shown(hass, BATTERY) == "unavailable")
    await follows(peer, hass, eventually, 61.0)


async def test_what_is_left_out_is_said_once_in_the_log(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await peer.push(lambda state: state["chargers"]["driveway"].update(power_w="much"))
    await eventually(lambda: shown(hass, BATTERY) == "unavailable")
    for grid_power_w in (100, 200):
        await peer.push(partial(_draws, grid_power_w))
    await eventually(lambda: house.runtime_data.data["site"]["grid_power_w"] == 200)
    assert caplog.text.count("chargers/driveway cannot be shown") == 1


# ----------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize("at_", ["2026-13-45T00:00:00+00:00", "2026-07-15T12:00:00", "0001-01-01T00:00:00+00:00", "x"])
@pytest.mark.parametrize("replayed", [False, True], ids=["as it happens", "late"])
async def test_an_occurrence_whose_time_is_none_neither_ends_the_link_nor_hides_the_next(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, at_: str, replayed: bool
) -> None:
    if replayed:
        await peer.stop()
        await eventually(lambda: shown(hass, CONTROLLER) == "off")
    for kind, data in (("event_announced", {"uid": "p", "end": at_}), ("outage_started", {"evidence": "x"})):
        subject = "peak" if kind.startswith("event") else "site"
        odd: Any = {"type": "occurrence", "number": len(peer.history) + 1, "kind": kind, "subject": subject}
        peer.history.append(odd | {"at": at_, "data": data})
        await peer.say(wire.encode(peer.history[-1]))
    if replayed:
        await peer.start()
    await eventually(lambda: shown(hass, "event.home_outage") != "unknown")
    await eventually(lambda: shown(hass, CONTROLLER) == "on")
    await follows(peer, hass, eventually, 61.0)


async def test_events_with_times_that_are_none_leave_the_house_standing(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    (first,) = peer.state["programs"]["peak"]["events"]
    times = ["2026-13-45T00:00:00+00:00", "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "2026-07-15", "x"]
    odd: Any = [first | {"uid": f"e{number}", "start": time, "end": time} for number, time in enumerate(times)]
    peer.state["programs"]["peak"]["events"] = odd
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    await follows(peer, hass, eventually, 61.0)
    assert shown(hass, GRID) == "connected"
    await hass.config_entries.async_unload(entry.entry_id)


# ----------------------------------------------------------------------------------------------------------- defects


async def test_a_defect_in_what_is_read_does_not_leave_the_house_unseen(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(_: Any) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as broken:
        broken.setattr(house.runtime_data.history, "async_take", fails)
        await peer.happen("outage_started", evidence="x")
        await eventually(lambda: "a defect" in caplog.text)
    await follows(peer, hass, eventually, 61.0)
    await eventually(lambda: shown(hass, "event.home_outage") != "unknown")


# --------------------------------------------------------------------------------------------------------- notices

ODD: tuple[tuple[str, dict[str, Any]], ...] = (
    ("reserve_near", {"minutes": "30", "soc_pct": "x", "charger": 5, "ends": []}),
    ("event_announced", {"uid": "e1", "name": 5, "start": "2026-13-45T00:00:00+00:00", "power_w": "5 kW"}),
    ("event_flagged", {"uid": "e2", "flags": 5}),
    ("departure_late", {"charger": "Driveway charger", "at": "0001-01-01T00:00:00", "target_pct": None}),
    ("drill_failed", {"score": "x", "reasons": 7}),
    ("outage", {"since": "9999-12-31T23:59:59+00:00", "soc_pct": {}}),
    ("no_backup", {"since": "2026-07-15T12:00:00", "reason": ["x"]}),
)


def standing(hass: HomeAssistant) -> list[str]:
    """The texts of the notifications on the board."""
    return [one["message"] for one in persistent_notification._async_get_or_create_notifications(hass).values()]


def odd_notice(number: int, kind: str, data: dict[str, Any]) -> wire.NoticeWire:
    return notice(number, f"{kind}:odd", kind, **data)


@pytest.mark.parametrize(("kind", "data"), ODD, ids=[kind for kind, _ in ODD])
async def test_a_notice_that_nobody_can_read_hides_no_outage_from_phone_and_board(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    shop: PhoneShop,
    eventually: Eventually,
    kind: str,
    data: dict[str, Any],
) -> None:
    peer.state["notices"] = [odd_notice(1, kind, data)]
    phone = await shop.buy()
    choose(hass, entry, phone)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    await peer.raise_notice(notice(2, "outage", since=at(-60), soc_pct=50))
    await eventually(lambda: phone.reads("Power is out since"))
    await eventually(lambda: len(standing(hass)) == 2)
    assert peer.named("notice_delivered") == [{"number": 2}]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_defect_in_one_phones_message_is_tried_again_and_keeps_nothing_else_back(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    shop: PhoneShop,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    freezer: FrozenDateTimeFactory,
) -> None:
    phone = await shop.buy()
    choose(hass, house, phone)
    await hass.async_block_till_done()

    async def fails(*_: Any) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as broken:
        broken.setattr("custom_components.ridethrough.phones.post.PhoneWay.send", fails)
        await peer.raise_notice(notice(1, "stop", "stopped"))
        await eventually(lambda: bool(peer.named("notice_delivered")))
    assert phone.texts == []
    freezer.tick(61)
    async_fire_time_changed(hass)
    await eventually(lambda: len(phone.texts) == 1)


async def test_a_name_on_the_board_is_no_link_picture_or_heading(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    name = "Peak\n\n# ![x](https://a.example/p.png) <b>now</b> [pay](http://b.example) www.c.example a@d.example"
    told = {"uid": "e1", "name": name, "start": at(60), "end": at(600), "power_w": -5000, "feasible_w": -5000}
    await peer.raise_notice(notice(1, "event:e1", "event_announced", **told))
    await eventually(lambda: len(standing(hass)) == 1)
    (text,) = standing(hass)
    assert "\n" not in text
    assert r"\# !\[x\](https:\//a.example/p.png) \<b\>now\</b\> \[pay\](http:\//b.example) www\.c.example" in text
    assert r"a\@d.example" in text
