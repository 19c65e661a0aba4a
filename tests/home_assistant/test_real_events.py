"""Peak events from a calendar of Home Assistant to what was delivered, at a real edge: all real but the metal."""

import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from homeassistant.components import persistent_notification
from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import setup_test_component_platform

from custom_components.ridethrough.const import DOMAIN
from edge_service.domain.model import Event, Slot

from .conftest import attributes, shown
from .diary import Diary
from .houses import Houses, Lived
from .peer import Eventually

DIARY = "calendar.diary"
PROGRAM = {"kind": "manual", "name": "Peak power", "pay_usd_per_kw": 275, "season_events": 30}
STATUS, POWER = "sensor.peak_power_peak_event_status", "sensor.driveway_charger_power"
ENERGY, AVERAGE = "sensor.peak_power_event_energy", "sensor.peak_power_event_average_power"
OPT_IN, OPT_OUT = "button.peak_power_opt_in_to_next_event", "button.peak_power_opt_out_of_next_event"
PEAK = "event.peak_power_peak_event"


class PeaksDiary(Diary):
    """Entries of 3 kW."""

    def put(self, in_s: float, lasts_s: float, title: str = "Peak event 3 kW") -> None:
        """An entry, so far ahead."""
        self.write(title, timedelta(seconds=in_s), timedelta(seconds=lasts_s))

    def tear_out(self) -> None:
        """Every entry goes."""
        self.entries.clear()
        self.async_write_ha_state()


@pytest.fixture
async def houses(
    hass: HomeAssistant, tmp_path: Path, eventually: Eventually, socket_enabled: None
) -> AsyncGenerator[Houses]:
    """Houses that are closed after the test, Home Assistant's side first."""
    async with AsyncExitStack() as stack:
        yield Houses(hass, tmp_path, eventually, stack)


@pytest.fixture
async def diary(hass: HomeAssistant) -> AsyncGenerator[PeaksDiary]:
    """The calendar, in Home Assistant."""
    calendar = PeaksDiary("Diary")
    setup_test_component_platform(hass, "calendar", [calendar])
    assert await async_setup_component(hass, "calendar", {"calendar": {"platform": "test"}})
    await hass.async_block_till_done()
    yield calendar
    calendar.tear_out()  # its entity has no timer left


async def watched(houses: Houses, **more: Any) -> Lived:
    """A house whose diary holds the events of its program."""
    home = await houses.open()
    await home.edge.command("set_program", id="peak", program=PROGRAM | more)
    await home.eventually(lambda: home.hass.states.get(STATUS) is not None)
    options = {"calendars": [DIARY], "calendar_program": "peak"}
    home.hass.config_entries.async_update_entry(home.entry, options=options)
    return home


async def act(home: Lived, action: str, **data: Any) -> Any:
    """An action on the program, with its answer."""
    data = {ATTR_DEVICE_ID: home.device("program-peak")} | data
    return await home.hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=True)


async def on_the_day(home: Lived, action: str) -> None:
    """An action on the day of the event that is shown, for all programs."""
    day = date.fromisoformat(attributes(home.hass, STATUS, "day")["day"])
    data = {"config_entry_id": home.entry.entry_id, "date": day}
    await home.hass.services.async_call(DOMAIN, action, data, blocking=True)


def read(title: str, home: Lived) -> str:
    """What the notification of this title says."""
    board = persistent_notification._async_get_or_create_notifications(home.hass)
    return next((str(one["message"]) for one in board.values() if one["title"] == title), "")


def charger_w(state: Any) -> int:
    return state["chargers"]["driveway"]["power_w"] or 0


@pytest.mark.timeout(120)
async def test_an_entry_in_the_calendar_is_served_over_home_assistants_absence_and_called_off_with_its_entry(
    houses: Houses, diary: PeaksDiary
) -> None:
    home = await watched(houses)
    diary.put(in_s=10, lasts_s=14)
    await home.reads("Peak event announced")
    text = read("Peak event announced", home)
    # 3 kW of 30 events, and 275 dollars for each kW of the season's average
    assert text.endswith("3.0 kW asked, 3.0 kW possible, worth about $27.50. You may opt out."), text
    assert home.shows("sensor.peak_power_money_at_stake") == ("27.5",)
    await on_the_day(home, "opt_out_day")
    await home.sees(STATUS, "opted_out")
    await home.reads()
    await on_the_day(home, "opt_in_day")
    await home.sees(STATUS, "prepared")
    await home.sees(STATUS, "running")
    await home.eventually(lambda: float(shown(home.hass, POWER)) > 2.9)
    await home.eventually(lambda: shown(home.hass, AVERAGE) != STATE_UNKNOWN)

    await home.hass.config_entries.async_unload(home.entry.entry_id)
    assert home.shows(STATUS, POWER) == (STATE_UNAVAILABLE,) * 2
    event = home.edge.state["programs"]["peak"]["events"][0]
    begun_wh = event["energy_wh"]
    await home.edge.until(lambda state: state["programs"]["peak"]["events"][0]["energy_wh"] > begun_wh)
    assert charger_w(home.edge.state) == -3000
    await home.edge.until(lambda state: state["programs"]["peak"]["events"][0]["status"] == "finished")
    await home.edge.until(lambda state: charger_w(state) == 0)
    await home.hass.config_entries.async_setup(home.entry.entry_id)
    await home.sees(STATUS, "finished")
    assert 2500 < float(shown(home.hass, AVERAGE)) * 1000 < 3100
    await home.reads("Peak event over")
    text = read("Peak event over", home)
    assert re.search(r"delivered \d\d Wh, [23]\.\d kW on average, worth about \$2\d\.\d\d\.$", text), text
    await home.eventually(lambda: shown(home.hass, "sensor.peak_power_season_events") == "1")
    assert home.edge.edge.ledger.rows

    diary.put(in_s=3600, lasts_s=7200)
    await home.sees(STATUS, "prepared")
    diary.tear_out()
    await home.eventually(lambda: home.resident.peaks[-1] == "cancelled")
    await home.sees(STATUS, "finished")
    assert home.resident.peaks == [
        *("announced", "soon", "opted_out", "opted_in", "started", "completed"),
        *("announced", "cancelled"),
    ]


async def test_an_event_outside_the_rules_waits_for_a_yes_and_a_rehearsal_ends_with_its_score(
    houses: Houses, diary: PeaksDiary
) -> None:
    night = datetime.now(ZoneInfo("America/New_York")) + timedelta(hours=11)
    window = f"{night:%H}:00-{night + timedelta(hours=2):%H}:00"
    rules = {"seasons": ["01-01..12-31"], "window": window}
    home = await watched(houses, preset="connected_solutions_ma", rules=rules, exports=True)
    diary.put(in_s=0, lasts_s=3600)
    await home.sees(STATUS, "asks")
    assert "outside_window" in attributes(home.hass, STATUS, "flags")["flags"]
    await home.reads("Serve this peak event?")
    text = read("Serve this peak event?", home)
    assert "3.0 kW asked, 3.0 kW possible, worth about $" in text, text
    assert "outside of the program's hours" in text
    assert "_" not in text
    await home.passes(timedelta(seconds=1))
    assert charger_w(home.edge.state) == 0
    assert STATE_UNAVAILABLE not in home.shows(OPT_IN, OPT_OUT)
    await home.hass.services.async_call("button", "press", {ATTR_ENTITY_ID: OPT_IN}, blocking=True)
    await home.sees(STATUS, "running")
    await home.eventually(lambda: float(shown(home.hass, POWER)) > 2.9)
    await home.reads("Peak event, not as usual")
    diary.tear_out()
    await home.sees(POWER, "0.0")
    await home.eventually(lambda: home.resident.peaks[-1] == "cancelled")

    start = (dt_util.now() + timedelta(minutes=40)).replace(microsecond=0)
    times = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
    made = await act(home, "enter_event", name="By mail", power=12, **times)
    await home.eventually(lambda: attributes(home.hass, STATUS, "uid").get("uid") == made["event"])
    short = "Peak event cannot be served in full"
    await home.eventually(lambda: "12.0 kW asked, 9.6 kW possible, worth about $" in read(short, home))
    answer = await act(home, "opt_out_event", uid=made["event"])
    assert answer["stake_usd"] > 0
    await home.hass.services.async_call(
        DOMAIN, "cancel_event", {ATTR_DEVICE_ID: home.device("program-peak"), "uid": made["event"]}, blocking=True
    )
    await home.sees(STATUS, "none")

    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    made = await act(home, "start_rehearsal", duration="00:01:00", at=soon)
    await cut_short(home, made["event"], timedelta(seconds=4))
    await home.eventually(lambda: home.resident.peaks[-1] == "rehearsal_passed")
    told = attributes(home.hass, PEAK, "score", "dry", "reasons", "uid")
    assert told == {"score": 100, "dry": True, "reasons": [], "uid": made["event"]}
    await home.eventually(lambda: "scored 100 of 100" in read("Rehearsal passed", home))
    assert shown(home.hass, "sensor.peak_power_season_events") == "0"


async def cut_short(home: Lived, uid: str, lasts: timedelta) -> None:
    """The rehearsal as it was made, but of seconds: nobody waits a minute here."""
    made = next(one for one in home.edge.edge.intake.events() if one.uid == uid)
    short: Event = replace(made, slots=tuple[Slot, ...](replace(one, end=one.start + lasts) for one in made.slots))
    await home.edge.edge.intake.enter(short)
