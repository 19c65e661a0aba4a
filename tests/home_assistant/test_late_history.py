"""What comes late: bounded, in order, and each number kept before the next power cut."""

from copy import deepcopy
from typing import Any

import pytest
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers.storage import Store
from homeassistant.setup import _DATA_SETUP_DONE, async_set_domains_to_be_loaded
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import history as module
from custom_components.ridethrough.history import History
from custom_components.ridethrough.relevance import MOST_AT_ONCE
from custom_components.ridethrough.wire import Occurrence

from .automations import Automations, on
from .peer import Eventually, Peer, at

OUTAGE = "event.home_outage"


def happening(number: int, kind: str = "outage_started", **data: Any) -> Occurrence:
    return {"type": "occurrence", "number": number, "kind": kind, "subject": "site", "at": at(), "data": data}


@pytest.fixture
async def history(hass: HomeAssistant) -> History:
    """One that was told up to number 3 before."""
    await Store[Any](hass, 1, "history").async_save({"last_occurrence": 3})
    new = History(hass, "history")
    await new.async_load()
    return new


async def heard_by(history: History) -> list[int]:
    heard: list[int] = []
    history.async_listen(("site", "site"), lambda one: heard.append(one["number"]))
    await history.async_wait_for_automations()
    return heard


async def test_what_comes_late_waits_until_it_is_complete(history: History) -> None:
    heard = await heard_by(history)
    assert history.known == 3
    history.async_follows(6)
    history.async_take(happening(4, "backup_failed"))
    assert heard == []
    assert history.known == 4
    history.async_take(happening(5, "backup_started"))
    history.async_take(happening(6, "load_shed", group="pool"))
    assert heard == [5, 6]
    history.async_take(happening(6, "load_shed", group="pool"))
    history.async_take(happening(7, "load_restored", group="pool"))
    assert heard == [5, 6, 7]


async def test_where_numbers_are_withheld_the_next_other_message_ends_the_wait(history: History) -> None:
    heard = await heard_by(history)
    history.async_follows(9)
    history.async_take(happening(4))
    assert heard == []
    history.async_settle()
    assert heard == [4]


async def test_a_link_that_breaks_in_the_middle_goes_on_where_it_broke(history: History) -> None:
    heard = await heard_by(history)
    history.async_follows(6)
    history.async_take(happening(4))
    history.async_follows(6)
    assert history.known == 4
    history.async_take(happening(5, "backup_started"))
    history.async_take(happening(6, "load_shed", group="pool"))
    assert heard == [4, 5, 6]


async def test_while_home_assistant_stops_nothing_is_told_and_nothing_counts_as_told(
    hass: HomeAssistant, history: History, hass_storage: dict[str, Any]
) -> None:
    heard = await heard_by(history)
    history.async_follows(3)
    hass.set_state(CoreState.stopping)
    history.async_take(happening(4))
    await history.async_save()
    assert heard == []
    assert hass_storage["history"]["data"] == {"last_occurrence": 3}


async def test_automations_that_never_load_hold_it_up_for_so_long_only(
    hass: HomeAssistant, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AUTOMATIONS_WITHIN_S", 0)
    async_set_domains_to_be_loaded(hass, {"automation"})
    heard = await heard_by(history)
    history.async_follows(4)
    history.async_take(happening(4))
    assert heard == [4]
    loading = hass.data[_DATA_SETUP_DONE]["automation"]
    assert not loading.cancelled()
    loading.set_result(False)


async def test_the_number_is_written_at_once_and_not_when_home_assistant_stops(
    hass: HomeAssistant, history: History, hass_storage: dict[str, Any], eventually: Eventually
) -> None:
    heard = await heard_by(history)
    history.async_follows(3)
    for number in range(4, 8):
        history.async_take(happening(number, "load_shed", group=str(number)))
    assert heard == [4, 5, 6, 7]
    # Nobody stops Home Assistant and no clock moves on: as before a power cut.
    await eventually(lambda: hass_storage["history"]["data"] == {"last_occurrence": 7})
    after_the_cut = History(hass, "history")
    await after_the_cut.async_load()
    assert after_the_cut.known == 7


async def test_what_was_received_but_not_told_before_a_power_cut_is_asked_for_again(
    hass: HomeAssistant, history: History
) -> None:
    history.async_follows(5)
    history.async_take(happening(4))
    history.async_take(happening(5))
    assert history.known == 5
    await history.async_save()
    after_the_cut = History(hass, "history")
    await after_the_cut.async_load()
    assert after_the_cut.known == 3


async def test_the_first_word_of_a_new_program_is_told_though_its_entity_comes_later(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    automations = Automations(hass)
    entity_id = "event.winter_peak_peak_event"
    await automations.load(on("peak_event_announced", {"entity_id": entity_id}))
    program = deepcopy(peer.state["programs"]["peak"])
    program["name"] = "Winter peak"
    await peer.happen("event_announced", "winter", uid="w-1", end=at(3600))
    await peer.push(lambda state: state["programs"].update(winter=program))
    await eventually(lambda: bool(automations.runs))
    await peer.happen("event_started", "winter", uid="w-1")
    await eventually(lambda: hass.states.get(entity_id).attributes["event_type"] == "started")  # type: ignore[union-attr]
    assert automations.runs == ["peak_event_announced"]


async def test_after_a_month_of_five_hundred_occurrences_only_what_is_news_is_told_and_soon(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    automations = Automations(hass)
    names = ("outage_started", "outage_ended", "load_shed", "load_restored")
    await automations.load(*(on(name, {"entity_id": OUTAGE}) for name in names))
    await hass.config_entries.async_unload(house.entry_id)
    for day in range(30, 0, -1):
        for hour in range(4):
            for kind, minutes in (("outage_started", 0), ("load_shed", 1), ("load_restored", 50), ("outage_ended", 59)):
                await peer.happen(kind, group="pool") if "load" in kind else await peer.happen(kind)
                peer.history[-1]["at"] = at(-86400 * day + 3600 * hour + 60 * minutes)
    for _ in range(20):
        await peer.happen("stop_pressed")
    await peer.happen("outage_started")
    assert len(peer.history) == 501
    began = dt_util.utcnow()
    await hass.config_entries.async_setup(house.entry_id)
    await eventually(lambda: house.runtime_data.history.known == 501 and automations.runs[-1:] == ["outage_started"])
    assert (dt_util.utcnow() - began).total_seconds() < 5
    # of the last day two outages were over within it, and the last goes on
    counts = automations.counts()
    assert counts["outage_started"] == counts["outage_ended"] + 1
    assert len(automations.runs) <= MOST_AT_ONCE
    assert await told_again(hass, house) == 0


async def told_again(hass: HomeAssistant, house: MockConfigEntry) -> int:
    await hass.config_entries.async_reload(house.entry_id)
    await hass.async_block_till_done()
    return len(house.runtime_data.history.told)
