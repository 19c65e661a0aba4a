"""The edge's standing notices as notifications: once each, in words, gone when they are over."""

from typing import Any

import pytest
from homeassistant.components import persistent_notification
from homeassistant.components.persistent_notification import Notification, UpdateType
from homeassistant.core import HomeAssistant, callback
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.notice_kinds import KINDS

from .peer import INSTALLATION, Eventually, Peer, at, notice


class Board:
    """The notifications that people see now, and how often one was put up anew."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.seen: dict[str, Notification] = {}
        self.put_up: list[str] = []
        self.stop = persistent_notification.async_register_callback(hass, self._changed)

    @callback
    def _changed(self, kind: UpdateType, notifications: dict[str, Notification]) -> None:
        if kind is UpdateType.REMOVED:
            for notification in notifications:
                self.seen.pop(notification)
            return
        self.seen |= notifications
        if kind is UpdateType.ADDED:
            self.put_up += notifications

    def texts(self) -> list[str]:
        return [str(notification["message"]) for notification in self.seen.values()]


@pytest.fixture
def board(hass: HomeAssistant) -> Board:
    """Watched from before the set-up."""
    return Board(hass)


OUTAGE = f"ridethrough_{INSTALLATION}_outage"


async def test_a_notice_is_shown_at_once_and_confirmed_to_the_edge(
    hass: HomeAssistant, board: Board, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.raise_notice(notice(7))
    await peer.until(lambda: bool(peer.named("notice_delivered")))
    assert peer.named("notice_delivered") == [{"number": 7}]
    assert board.put_up == [OUTAGE]
    assert "Home has no grid power since" in board.texts()[0]


async def test_one_raised_while_home_assistant_was_dark_is_shown_once(
    hass: HomeAssistant, board: Board, entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.raise_notice(notice(7))
    await hass.config_entries.async_setup(entry.entry_id)
    await peer.until(lambda: bool(peer.named("notice_delivered")))
    assert board.put_up == [OUTAGE]

    await peer.drop()
    await peer.until(lambda: len(peer.starts) == 2)
    await hass.config_entries.async_reload(entry.entry_id)
    await peer.until(lambda: len(peer.starts) == 3)
    await hass.async_block_till_done()
    assert board.put_up == [OUTAGE]
    assert peer.named("notice_delivered") == [{"number": 7}]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_the_return_of_power_takes_the_place_of_the_outage(
    hass: HomeAssistant, board: Board, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.raise_notice(notice(7))
    await peer.raise_notice(notice(8, "outage", "power_back", duration_s=11_400, energy_wh=9400))
    await eventually(lambda: any("9.4 kWh" in text for text in board.texts()))
    assert board.texts() == ["Home is on the grid again after 3 h 10 min. The vehicle gave 9.4 kWh."]


async def test_what_the_edge_clears_is_taken_down(
    hass: HomeAssistant, board: Board, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.raise_notice(notice(7))
    await eventually(lambda: OUTAGE in board.seen)
    await peer.push(lambda state: state.update(notices=[]))
    await eventually(lambda: not board.seen)
    assert peer.named("acknowledge_notice") == []


async def test_a_person_who_dismisses_it_has_acknowledged_it(
    hass: HomeAssistant, board: Board, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.raise_notice(notice(7))
    await eventually(lambda: OUTAGE in board.seen)
    persistent_notification.async_dismiss(hass, OUTAGE)
    await peer.until(lambda: bool(peer.named("acknowledge_notice")))
    assert peer.named("acknowledge_notice") == [{"number": 7}]
    await peer.push(lambda state: state["site"].update(mode="paused"))
    await eventually(lambda: house.runtime_data.data["site"]["mode"] == "paused")
    assert board.put_up == [OUTAGE]


SAID: dict[str, Any] = {
    "name": "Summer peak",
    "start": at(3600),
    "end": at(7200),
    "power_w": -5000,
    "measured_w": 0,
    "setpoint_w": 3000,
    "feasible_w": -4800,
    "energy_wh": 20_700,
    "average_w": 6900,
    "earnings_usd": 12.5,
    "stake_usd": 30.56,
    "soc_pct": 24.0,
    "duration_s": 600,
    "at": at(60),
    "dark_s": 20.0,
    "target_pct": 80.0,
    "reaches_pct": 62.0,
    "reserve_pct": 90.0,
    "until": at(90),
    "charger": "Driveway charger",
    "program": "Peak power",
    "reason": "not_formed",
    "retries": 4,
    "score": 92,
    "legs": "88, 152 V",
    "minutes": 30,
    "ends": "stop",
    "miles": 40,
    "house_w": 9300,
    "groups": "Pool pump, Heat pump",
    "limit_w": 5000,
    "surplus_w": 900,
}


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_every_kind_is_told_in_words_without_gaps(
    hass: HomeAssistant, board: Board, entry: MockConfigEntry, peer: Peer, kind: str
) -> None:
    peer.state["notices"] = [notice(1, "subject", kind, **SAID)]
    await hass.config_entries.async_setup(entry.entry_id)
    (told,) = board.seen.values()
    for text in (told["title"], told["message"]):
        assert text
        assert not set("{}–_") & set(text), text
        assert text != kind
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({}, "it does not answer"),
        ({"reason": None}, "it does not answer"),
        ({"reason": "other_device"}, "another device answers at its address"),
        ({"reason": "of_a_later_edge"}, "for another reason"),
    ],
)
async def test_a_charger_that_cannot_be_used_says_since_when_and_why(
    hass: HomeAssistant, board: Board, entry: MockConfigEntry, peer: Peer, data: dict[str, Any], why: str
) -> None:
    peer.state["notices"] = [notice(1, "offline:driveway", "charger_offline", charger="Driveway charger", **data)]
    await hass.config_entries.async_setup(entry.entry_id)
    (text,) = board.texts()
    assert text.startswith("Driveway charger cannot be used since ")
    assert f": {why}. " in text
    assert "–" not in text
    await hass.config_entries.async_unload(entry.entry_id)


async def test_the_stop_says_how_it_is_reset(
    hass: HomeAssistant, board: Board, entry: MockConfigEntry, peer: Peer
) -> None:
    peer.state["notices"] = [notice(1, "stop", "stopped")]
    await hass.config_entries.async_setup(entry.entry_id)
    (text,) = board.texts()
    assert text.endswith("ridethrough reset-stop")
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_kind_of_a_later_edge_and_missing_facts_are_still_told(
    hass: HomeAssistant, board: Board, entry: MockConfigEntry, peer: Peer
) -> None:
    peer.state["notices"] = [notice(1, "a", "meteor"), notice(2, "b", "power_back")]
    await hass.config_entries.async_setup(entry.entry_id)
    later, power_back = board.texts()
    assert "meteor" in later
    assert power_back == "Home is on the grid again after –. The vehicle gave –."
    await hass.config_entries.async_unload(entry.entry_id)
