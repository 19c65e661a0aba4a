"""A calendar of Home Assistant is told to the edge whole: when it changes, and only while it can be read."""

from collections.abc import AsyncGenerator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.calendar import CalendarEvent
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    setup_test_component_platform,
)

from .diary import Diary
from .peer import Eventually, Peer, refusing

UTILITY = "calendar.utility"
OPTIONS = {"calendars": [UTILITY], "calendar_program": "peak"}


class Wall(Diary):
    """Entries of three hours."""

    def put(self, summary: str, hours: float = 24, description: str | None = None) -> CalendarEvent:
        """An entry, so far ahead."""
        return self.write(summary, timedelta(hours=hours), timedelta(hours=3), description)


def told(peer: Peer) -> list[dict[str, Any]]:
    return peer.named("set_calendar")


async def later(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    freezer.tick(timedelta(seconds=seconds))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


async def comes(hass: HomeAssistant, freezer: FrozenDateTimeFactory, met: Callable[[], bool]) -> None:
    """Let held time go on until it is so: a link that fell silent in a leap of time comes back meanwhile."""
    for _ in range(2000):
        if met():
            return
        await later(hass, freezer, 0.05)
    raise AssertionError("it did not come to that")


async def quarter_of_an_hour(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """The calendars are looked at again."""
    await later(hass, freezer, 901)
    await later(hass, freezer, 3)


@pytest.fixture
async def wall(hass: HomeAssistant) -> AsyncGenerator[Wall]:
    """The calendar, on the wall."""
    calendar = Wall("Utility")
    setup_test_component_platform(hass, "calendar", [calendar])
    assert await async_setup_component(hass, "calendar", {"calendar": {"platform": "test"}})
    await hass.async_block_till_done()
    yield calendar
    await calendar.async_remove(force_remove=True)


@pytest.fixture
async def watched(
    hass: HomeAssistant,
    wall: Wall,
    peer: Peer,
    entry: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> AsyncGenerator[MockConfigEntry]:
    """A house whose calendar is watched for its utility's program."""
    peer.brings["set_calendar"] = {"events": [], "problems": []}
    hass.config_entries.async_update_entry(entry, options=OPTIONS)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await later(hass, freezer, 3)
    await comes(hass, freezer, lambda: bool(told(peer)))
    yield entry
    await hass.config_entries.async_unload(entry.entry_id)


async def test_what_stands_in_the_calendar_is_told_in_the_contracts_words(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    wall: Wall,
    peer: Peer,
    freezer: FrozenDateTimeFactory,
) -> None:
    entry = wall.put("Peak event 5 kW", description="from the text message")
    wall.put("Dentist", hours=48)
    await later(hass, freezer, 3)
    await comes(hass, freezer, lambda: len(told(peer)[-1]["entries"]) == 2)
    last = told(peer)[-1]
    assert (last["program"], last["calendar"]) == ("peak", UTILITY)
    assert last["entries"][0] == {
        "summary": "Peak event 5 kW",
        "description": "from the text message",
        "start": entry.start_datetime_local.isoformat(),
        "end": entry.end_datetime_local.isoformat(),
    }
    assert [one["summary"] for one in last["entries"]] == ["Peak event 5 kW", "Dentist"]
    assert timedelta(days=29) < datetime.fromisoformat(last["until"]) - dt_util.utcnow() < timedelta(days=31)


async def test_several_changes_at_once_are_told_once_and_an_entry_taken_out_is_told_by_its_absence(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    wall: Wall,
    peer: Peer,
    freezer: FrozenDateTimeFactory,
) -> None:
    before = len(told(peer))
    for hours in (24, 48, 72):
        wall.put("Peak event 5 kW", hours=hours)
    await later(hass, freezer, 3)
    await comes(hass, freezer, lambda: len(told(peer)[-1]["entries"]) == 3)
    assert len(told(peer)) == before + 1
    wall.entries.pop()
    await quarter_of_an_hour(hass, freezer)
    await comes(hass, freezer, lambda: len(told(peer)[-1]["entries"]) == 2)


@pytest.mark.parametrize("how", ["broken", "unavailable"])
async def test_a_calendar_that_cannot_be_read_is_told_nothing_of(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    wall: Wall,
    peer: Peer,
    freezer: FrozenDateTimeFactory,
    how: str,
) -> None:
    wall.put("Peak event 5 kW")
    await later(hass, freezer, 3)
    await comes(hass, freezer, lambda: len(told(peer)[-1]["entries"]) == 1)
    before = len(told(peer))
    if how == "broken":
        wall.broken = True
    else:
        hass.states.async_set(UTILITY, "unavailable")
    await quarter_of_an_hour(hass, freezer)
    # Whatever was on its way has arrived once a later order has.
    await hass.services.async_call("button", "press", {"entity_id": "button.home_emergency_stop"}, blocking=True)
    assert peer.named("stop") == [{}]
    assert len(told(peer)) == before


async def test_a_calendar_that_is_watched_no_longer_is_taken_back_once_even_after_a_restart(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    wall: Wall,
    peer: Peer,
    freezer: FrozenDateTimeFactory,
) -> None:
    wall.put("Peak event 5 kW")
    await later(hass, freezer, 3)
    await comes(hass, freezer, lambda: len(told(peer)[-1]["entries"]) == 1)
    assert await hass.config_entries.async_unload(watched.entry_id)
    hass.config_entries.async_update_entry(watched, options={})
    assert await hass.config_entries.async_setup(watched.entry_id)
    await later(hass, freezer, 3)
    await comes(hass, freezer, lambda: told(peer)[-1]["entries"] == [])
    assert told(peer)[-1]["calendar"] == UTILITY
    before = len(told(peer))
    await quarter_of_an_hour(hass, freezer)
    await hass.services.async_call("button", "press", {"entity_id": "button.home_emergency_stop"}, blocking=True)
    assert len(told(peer)) == before


async def test_what_the_edge_does_not_take_is_told_again(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    wall: Wall,
    peer: Peer,
    freezer: FrozenDateTimeFactory,
) -> None:
    peer.answers["set_calendar"] = refusing("internal")
    wall.put("Peak event 5 kW")
    await later(hass, freezer, 3)
    await comes(hass, freezer, lambda: len(told(peer)[-1]["entries"]) == 1)
    del peer.answers["set_calendar"]
    before = len(told(peer))
    await quarter_of_an_hour(hass, freezer)
    await comes(hass, freezer, lambda: len(told(peer)) == before + 1)


async def test_an_entry_that_is_not_understood_becomes_a_repair_until_it_is(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    wall: Wall,
    peer: Peer,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
) -> None:
    issue = ("ridethrough", f"calendar_{watched.entry_id}_{UTILITY}")
    peer.brings["set_calendar"] = {"events": [], "problems": ["“Peak about 5”: say how much, such as 5 kW"]}
    wall.put("Peak about 5")
    await later(hass, freezer, 3)
    await comes(hass, freezer, lambda: issue_registry.async_get_issue(*issue) is not None)
    shown = issue_registry.async_get_issue(*issue)
    assert shown is not None
    assert shown.translation_placeholders is not None
    assert "such as 5 kW" in shown.translation_placeholders["problems"]
    peer.brings["set_calendar"] = {"events": ["x"], "problems": []}
    wall.put("Peak event 5 kW")
    await quarter_of_an_hour(hass, freezer)
    await comes(hass, freezer, lambda: issue_registry.async_get_issue(*issue) is None)


async def test_what_does_not_fit_into_a_message_is_left_for_later_and_its_time_is_not_claimed(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    wall: Wall,
    peer: Peer,
    freezer: FrozenDateTimeFactory,
) -> None:
    entries = [wall.put("Peak event 5 kW", hours=24 + 4 * n, description="x" * 5_000) for n in range(40)]
    await later(hass, freezer, 3)
    await comes(hass, freezer, lambda: bool(told(peer)[-1]["entries"]))
    last = told(peer)[-1]
    count = len(last["entries"])
    assert 5 < count < 40
    assert last["until"] == entries[count].start_datetime_local.isoformat()
    assert {len(one["description"]) for one in last["entries"]} == {4_000}


async def test_the_calendars_and_their_program_are_chosen_in_the_options(
    hass: HomeAssistant, wall: Wall, house: MockConfigEntry, peer: Peer, freezer: FrozenDateTimeFactory
) -> None:
    peer.brings["set_calendar"] = {"events": [], "problems": []}
    menu = await hass.config_entries.options.async_init(house.entry_id)
    page = await hass.config_entries.options.async_configure(menu["flow_id"], {"next_step_id": "calendars"})
    wrong = await hass.config_entries.options.async_configure(
        page["flow_id"], {"calendars": [UTILITY], "calendar_program": "peak"}
    )
    assert wrong["type"] is FlowResultType.CREATE_ENTRY
    assert house.options["calendar_program"] == "peak"
    await comes(hass, freezer, lambda: bool(told(peer)))
    assert told(peer)[-1]["program"] == "peak"


async def test_a_program_that_went_while_somebody_chose_it_is_said_to_be_gone(
    hass: HomeAssistant, wall: Wall, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    menu = await hass.config_entries.options.async_init(house.entry_id)
    page = await hass.config_entries.options.async_configure(menu["flow_id"], {"next_step_id": "calendars"})
    await peer.push(lambda state: state["programs"].update(hand=state["programs"].pop("peak")))
    await eventually(lambda: "peak" not in house.runtime_data.data["programs"])
    choice = {"calendars": [UTILITY], "calendar_program": "peak"}
    again = await hass.config_entries.options.async_configure(page["flow_id"], choice)
    assert (again["type"], again["errors"]) == (FlowResultType.FORM, {"calendar_program": "unknown_program"})
    done = await hass.config_entries.options.async_configure(page["flow_id"], choice | {"calendar_program": "hand"})
    assert done["type"] is FlowResultType.CREATE_ENTRY


async def test_without_a_link_only_the_program_of_events_by_hand_is_offered(
    hass: HomeAssistant, wall: Wall, house: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_unload(house.entry_id)
    menu = await hass.config_entries.options.async_init(house.entry_id)
    page = await hass.config_entries.options.async_configure(menu["flow_id"], {"next_step_id": "calendars"})
    schema = page["data_schema"]
    assert schema is not None
    (offered,) = (field.config["options"] for key, field in schema.schema.items() if key == "calendar_program")
    assert [one["value"] for one in offered] == ["manual"]
