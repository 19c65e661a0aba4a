"""What happened is told exactly once: over a lost link, a reload, a restart."""

from collections.abc import Iterator
from typing import Any

import pytest
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import CoreState, Event, HomeAssistant, State, callback
from pytest_homeassistant_custom_component.common import MockConfigEntry, mock_restore_cache_with_extra_data

from custom_components.ridethrough.const import DOMAIN

from .conftest import shown
from .peer import Eventually, Peer, at

OUTAGE = "event.home_outage"
PEAK = "event.peak_power_peak_event"


class Told(list[tuple[str, str, int]]):
    """What an automation would have seen: entity, event type, number."""

    @callback
    def note(self, change: Event[Any]) -> None:
        old, new = change.data["old_state"], change.data["new_state"]
        if new is None or not new.entity_id.startswith("event.") or old is None:
            return
        came_back = old.state == STATE_UNAVAILABLE
        if not came_back and new.state not in (STATE_UNAVAILABLE, STATE_UNKNOWN) and new.state != old.state:
            self.append((new.entity_id, new.attributes["event_type"], new.attributes["seq"]))


@pytest.fixture
def told(hass: HomeAssistant) -> Iterator[Told]:
    """Everything that is told from now on."""
    list_of_all = Told()
    stop = hass.bus.async_listen("state_changed", list_of_all.note)
    yield list_of_all
    stop()


async def test_an_occurrence_is_told_at_once_with_its_number_and_time(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, told: Told, eventually: Eventually
) -> None:
    await peer.happen("outage_started", evidence=["charger:driveway"])
    await eventually(lambda: bool(told))
    assert told == [(OUTAGE, "started", 1)]
    state = hass.states.get(OUTAGE)
    assert state is not None
    assert state.attributes["occurred_at"] == peer.history[0]["at"]
    assert state.attributes["evidence"] == ["charger:driveway"]


async def test_each_subject_tells_its_own(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, told: Told, eventually: Eventually
) -> None:
    await peer.happen("discharging_started", "driveway")
    await peer.happen("event_started", "peak", uid="peak-1")
    await peer.happen("a_later_kind")
    await peer.happen("vehicle_connected", "a_charger_of_tomorrow")
    await peer.happen("outage_ended", duration_s=60, energy_wh=10)
    await eventually(lambda: len(told) == 3)
    session = "event.driveway_charger_session"
    assert told == [(session, "discharging_started", 1), (PEAK, "started", 2), (OUTAGE, "ended", 5)]


async def test_a_charger_and_a_program_of_one_name_tell_their_own(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, told: Told, eventually: Eventually
) -> None:
    peer.state["programs"]["driveway"] = peer.state["programs"].pop("peak")
    await hass.config_entries.async_setup(entry.entry_id)
    await peer.happen("order_refused", "driveway", order="power", reason="local_mode")
    await peer.happen("event_started", "driveway", uid="peak-1")
    await eventually(lambda: len(told) == 2)
    assert told == [("event.driveway_charger_session", "order_refused", 1), (PEAK, "started", 2)]

    coordinator = entry.runtime_data
    heard: list[str] = []
    for kind in ("charger", "program"):
        coordinator.async_listen_occurrences(
            (kind, "driveway"),
            lambda one, kind=kind: heard.append(f"{kind}: {one['kind']}"),
        )
    await peer.happen("event_announced_in_a_later_way", "driveway")
    await peer.happen("polished", "driveway")
    await eventually(lambda: len(heard) == 2)
    assert heard == ["program: event_announced_in_a_later_way", "charger: polished"]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_what_happened_before_the_pairing_is_not_told(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, told: Told
) -> None:
    await peer.happen("outage_started")
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert told == []
    assert peer.starts[0]["last_occurrence"] is None
    await hass.config_entries.async_unload(entry.entry_id)


async def test_what_happened_while_the_link_was_down_is_told_once_when_it_is_back(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, told: Told, eventually: Eventually
) -> None:
    await peer.happen("outage_started")
    await eventually(lambda: len(told) == 1)
    await peer.stop()
    await eventually(lambda: shown(hass, "sensor.home_supply") == STATE_UNAVAILABLE)
    await peer.happen("backup_started", transfer_s=3.2)
    await peer.start()
    await eventually(lambda: len(told) == 2)
    assert told == [(OUTAGE, "started", 1), (OUTAGE, "backup_started", 2)]


async def test_a_reload_tells_what_was_missed_and_nothing_twice(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, told: Told, eventually: Eventually
) -> None:
    await peer.happen("outage_started")
    await eventually(lambda: len(told) == 1)
    assert await hass.config_entries.async_unload(house.entry_id)
    await peer.happen("backup_started", transfer_s=3.2)
    assert await hass.config_entries.async_setup(house.entry_id)
    await eventually(lambda: len(told) == 2)
    assert told == [(OUTAGE, "started", 1), (OUTAGE, "backup_started", 2)]

    assert await hass.config_entries.async_reload(house.entry_id)
    await peer.until(lambda: len(peer.starts) == 3)
    await hass.async_block_till_done()
    assert len(told) == 2
    assert peer.starts[-1]["last_occurrence"] == 2


async def test_after_a_restart_it_waits_until_automations_listen(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    entry: MockConfigEntry,
    peer: Peer,
    told: Told,
    eventually: Eventually,
) -> None:
    hass_storage[f"{DOMAIN}.{entry.entry_id}"] = {"version": 1, "key": "", "data": {"last_occurrence": 1}}
    before = State(OUTAGE, "2026-06-01T03:00:00.000+00:00")
    mock_restore_cache_with_extra_data(
        hass, [(before, {"last_event_type": "started", "last_event_attributes": {"seq": 1}})]
    )
    hass.set_state(CoreState.starting)
    await peer.happen("outage_started")
    await peer.happen("outage_ended", duration_s=60, energy_wh=10)
    await hass.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: entry.runtime_data.history.received == 2)
    assert told == []
    assert shown(hass, OUTAGE) == before.state

    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await eventually(lambda: bool(told))
    assert told == [(OUTAGE, "ended", 2)]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_the_announcement_of_an_event_that_is_over_is_not_told_late(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, told: Told, eventually: Eventually
) -> None:
    await hass.config_entries.async_unload(house.entry_id)
    await peer.happen("event_announced", "peak", uid="old", end=at(-60))
    await peer.happen("event_announced", "peak", uid="new", end=at(3600))
    await hass.config_entries.async_setup(house.entry_id)
    await eventually(lambda: bool(told))
    assert told == [(PEAK, "announced", 2)]


async def test_an_edge_that_lost_its_history_is_followed_from_its_new_beginning(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, told: Told, eventually: Eventually
) -> None:
    await peer.happen("outage_started")
    await peer.happen("outage_ended")
    await eventually(lambda: len(told) == 2)
    await peer.stop()
    peer.history.clear()
    await peer.start()
    await peer.until(lambda: len(peer.starts) == 2)
    await peer.happen("outage_started")
    await eventually(lambda: len(told) == 3)
    assert told[-1] == (OUTAGE, "started", 1)


async def test_histories_stay_readable_without_a_link(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, told: Told, eventually: Eventually
) -> None:
    await peer.happen("outage_started")
    await eventually(lambda: bool(told))
    last = shown(hass, OUTAGE)
    await peer.stop()
    await eventually(lambda: shown(hass, "sensor.home_supply") == STATE_UNAVAILABLE)
    assert shown(hass, OUTAGE) == last
