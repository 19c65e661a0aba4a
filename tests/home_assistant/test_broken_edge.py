"""An edge with a defect, or somebody who plays one: wrong forms, numbers that are none, times that are none. What can
be shown is shown, nobody falls silent, and all is well again once the edge is."""

from functools import partial
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import wire

from .conftest import shown
from .peer import Eventually, Peer

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
