"""A program's events in a calendar: what is found in a span, over changes of the clock, and what is told of each."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from homeassistant.components.calendar import CalendarEntityFeature
from homeassistant.const import ATTR_ENTITY_ID, STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from .conftest import attributes, shown
from .peer import Eventually, Peer, at, event

CALENDAR = "calendar.peak_power_peak_events"
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture(autouse=True)
async def in_new_york(hass: HomeAssistant) -> None:
    await hass.config.async_set_time_zone("America/New_York")


def timed(uid: str, start: datetime, lasts_h: float = 3, **changes: Any) -> dict[str, Any]:
    """An event at a time by somebody's clock."""
    end = start.astimezone(UTC) + timedelta(hours=lasts_h)
    return event(uid) | {"start": start.astimezone(UTC).isoformat(), "end": end.isoformat(), **changes}


def local(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=NEW_YORK, fold=fold)  # type: ignore[misc,arg-type]


async def holds(hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, *events: Any) -> None:
    peer.state["programs"]["peak"]["events"] = cast("Any", list(events))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


async def found(hass: HomeAssistant, start: datetime, end: datetime) -> list[dict[str, Any]]:
    span = {"start_date_time": start.isoformat(), "end_date_time": end.isoformat()}
    answer = await hass.services.async_call(
        "calendar", "get_events", {ATTR_ENTITY_ID: CALENDAR, **span}, blocking=True, return_response=True
    )
    return list(cast("Any", answer)[CALENDAR]["events"])


async def named(hass: HomeAssistant, start: datetime, end: datetime) -> list[str]:
    """The ids of what is found, in its order."""
    return [one["description"].rsplit(" ", 1)[1] for one in await found(hass, start, end)]


@pytest.mark.parametrize(
    ("start", "end", "uids"),
    [
        (local(2026, 7, 15), local(2026, 7, 16), ["noon", "evening"]),
        (local(2026, 7, 15, 19), local(2026, 7, 15, 21), ["evening"]),
        (local(2026, 7, 15, 20), local(2026, 7, 15, 21), []),
        (local(2026, 7, 15, 16), local(2026, 7, 15, 17), []),
        (local(2026, 7, 15, 17), local(2026, 7, 15, 17, 1), ["evening"]),
        (local(2026, 7, 15, 18), local(2026, 7, 15, 18, 30), ["evening"]),
        (local(2026, 7, 1), local(2026, 8, 1), ["first", "noon", "evening", "last"]),
        (local(2026, 9, 1), local(2026, 10, 1), []),
    ],
)
async def test_what_overlaps_a_span_is_found_by_its_start_and_what_only_touches_it_is_not(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, start: datetime, end: datetime, uids: list[str]
) -> None:
    await holds(
        hass,
        entry,
        peer,
        timed("evening", local(2026, 7, 15, 17)),
        timed("noon", local(2026, 7, 15, 12), status="finished"),
        timed("last", local(2026, 7, 31, 17)),
        timed("first", local(2026, 7, 1, 17), status="missed"),
        timed("off", local(2026, 7, 15, 18), status="cancelled"),
        timed("nothing", local(2026, 7, 15, 18), lasts_h=0),
    )
    assert await named(hass, start, end) == uids
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("start", "lasts_h", "ends", "said_start", "said_end"),
    [
        # The clock goes from 2:00 to 3:00, and in November from 2:00 back to 1:00.
        (local(2026, 3, 8, 1), 1, local(2026, 3, 8, 3), "2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00"),
        (local(2026, 3, 7, 23), 5, local(2026, 3, 8, 5), "2026-03-07T23:00:00-05:00", "2026-03-08T05:00:00-04:00"),
        (
            local(2026, 11, 1, 1),
            1,
            local(2026, 11, 1, 1, fold=1),
            "2026-11-01T01:00:00-04:00",
            "2026-11-01T01:00:00-05:00",
        ),
        (
            local(2026, 11, 1, 1, 30, fold=1),
            1,
            local(2026, 11, 1, 2, 30),
            "2026-11-01T01:30:00-05:00",
            "2026-11-01T02:30:00-05:00",
        ),
    ],
)
async def test_an_event_over_a_change_of_the_clock_is_as_long_as_it_is(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    start: datetime,
    lasts_h: float,
    ends: datetime,
    said_start: str,
    said_end: str,
) -> None:
    await holds(hass, entry, peer, timed("change", start, lasts_h))
    day = start.replace(hour=0, minute=0, fold=0)
    whole = await found(hass, day, day + timedelta(days=2))
    assert [(one["start"], one["end"]) for one in whole] == [(said_start, said_end)]
    after = ends.astimezone(UTC)
    assert await found(hass, after, after + timedelta(hours=1)) == []
    assert len(await found(hass, after - timedelta(minutes=1), after)) == 1
    await hass.config_entries.async_unload(entry.entry_id)


OVER = {"energy_wh": 14_200, "average_w": 4733, "earnings_usd": 21.5}


@pytest.mark.parametrize(
    ("changes", "summary", "lines"),
    [
        (
            {},
            "Summer peak, 5.0 kW from the house",
            ["Status: Ready", "Promised: 4.8 kW", "Worth about $12.40", "Event: peak-1"],
        ),
        (
            {"status": "opted_out", "opted_out": True, "feasible_w": None, "stake_usd": None},
            "Summer peak, 5.0 kW from the house",
            ["Status: Opted out", "You left it out.", "Event: peak-1"],
        ),
        (
            {"status": "opted_out", "asks": True, "feasible_w": None, "stake_usd": None},
            "Summer peak, 5.0 kW from the house",
            ["Status: Waits for your yes", "Event: peak-1"],
        ),
        (
            {"status": "finished", **OVER},
            "Summer peak, 5.0 kW from the house",
            ["Status: Finished", "Delivered 14.2 kWh, 4.7 kW on average", "Earned about $21.50", "Event: peak-1"],
        ),
        (
            {"status": "missed"},
            "Summer peak, 5.0 kW from the house",
            ["Status: Missed", "Event: peak-1"],
        ),
        (
            {"rehearsal": True, "dry": True, "power_w": None, "feasible_w": None, "stake_usd": None},
            "Summer peak",
            [
                "Status: Ready",
                "A rehearsal: not told to the utility, not paid.",
                "No power moves.",
                "Event: peak-1",
            ],
        ),
        (
            {"power_w": 3000, "feasible_w": 3000, "stake_usd": None},
            "Summer peak, 3.0 kW into the vehicle",
            ["Status: Ready", "Promised: 3.0 kW", "Event: peak-1"],
        ),
    ],
)
async def test_an_entry_tells_what_is_asked_how_it_stands_and_what_it_brings(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    changes: dict[str, Any],
    summary: str,
    lines: list[str],
) -> None:
    await holds(hass, entry, peer, event() | changes)
    (told,) = await found(hass, dt_util.now(), dt_util.now() + timedelta(days=1))
    assert told["summary"] == summary
    assert told["description"].splitlines() == lines
    await hass.config_entries.async_unload(entry.entry_id)


async def test_the_calendar_is_on_while_an_event_runs_and_shows_the_next_one_else(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    assert shown(hass, CALENDAR) == STATE_OFF
    coming = event("next", start_s=7200, end_s=9000) | {"name": "Tomorrow"}
    running = event("now", "running", -60, 3600)
    old = event("old", "finished", -9000, -6000)
    await peer.push(lambda state: state["programs"]["peak"].update(events=[old, running, coming]))
    await eventually(lambda: shown(hass, CALENDAR) == STATE_ON)
    assert attributes(hass, CALENDAR, "message", "all_day") == {
        "message": "Summer peak, 5.0 kW from the house",
        "all_day": False,
    }
    await peer.push(lambda state: state["programs"]["peak"].update(events=[old, coming]))
    await eventually(lambda: shown(hass, CALENDAR) == STATE_OFF)
    start = dt_util.as_local(cast("datetime", dt_util.parse_datetime(coming["start"])))
    told = attributes(hass, CALENDAR, "message", "start_time")
    assert told == {"message": "Tomorrow, 5.0 kW from the house", "start_time": f"{start:%Y-%m-%d %H:%M:%S}"}
    await peer.push(lambda state: state["programs"]["peak"].update(events=[old, coming | {"status": "cancelled"}]))
    await eventually(lambda: attributes(hass, CALENDAR, "message") == {})


async def test_it_goes_on_and_off_by_the_clock_alone(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, freezer: Any
) -> None:
    await holds(hass, entry, peer, event(start_s=2, end_s=4))
    assert shown(hass, CALENDAR) == STATE_OFF
    for state in (STATE_ON, STATE_OFF):
        freezer.tick(2.1)
        async_fire_time_changed(hass)
        await hass.async_block_till_done()
        assert shown(hass, CALENDAR) == state
    await hass.config_entries.async_unload(entry.entry_id)


async def test_money_that_moves_while_an_event_runs_writes_no_state(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    running = event(status="running", start_s=-600)
    await holds(hass, entry, peer, running)
    changes = async_capture_events(hass, "state_changed")
    for step in range(1, 20):
        moved = running | {"stake_usd": 12.4 - step / 100, "feasible_w": -4800 + step, "energy_wh": 100 * step}
        await peer.push(lambda state, moved=moved: state["programs"]["peak"].update(events=[moved]))  # type: ignore[misc]
    await eventually(lambda: entry.runtime_data.data == peer.state)
    assert [change for change in changes if change.data["entity_id"] == CALENDAR] == []
    await hass.config_entries.async_unload(entry.entry_id)


async def test_nobody_writes_in_it_and_the_page_of_calendars_reads_it(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, house: MockConfigEntry
) -> None:
    assert await async_setup_component(hass, "calendar", {})
    state = hass.states.get(CALENDAR)
    assert state is not None
    assert CalendarEntityFeature(state.attributes.get("supported_features", 0)) == CalendarEntityFeature(0)
    client = await hass_client()
    span = {"start": at(-60).replace("+00:00", "Z"), "end": at(86_400).replace("+00:00", "Z")}
    answer = await client.get(f"/api/calendars/{CALENDAR}", params=span)
    assert [one["uid"] for one in await answer.json()] == ["peak-1"]


async def test_without_a_link_it_is_unavailable_and_what_was_known_can_still_be_read(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.stop()
    await eventually(lambda: shown(hass, CALENDAR) == STATE_UNAVAILABLE)
    await peer.start()
    await eventually(lambda: shown(hass, CALENDAR) == STATE_OFF)
    await peer.push(lambda state: state["programs"].clear())
    await eventually(lambda: shown(hass, CALENDAR) == STATE_UNAVAILABLE)
    assert house.runtime_data.data["programs"] == {}
