"""Ready by and the calendar of peak events at a real edge: what is set here is kept there, and comes back as it was."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from custom_components.ridethrough.const import DOMAIN
from edge_service.simulation import acts

from .conftest import attributes, shown
from .houses import Houses, Lived
from .peer import Eventually

TIME, TARGET, SWITCH = (
    "time.driveway_charger_ready_by_time",
    "number.driveway_charger_ready_by_charge",
    "switch.driveway_charger_ready_by",
)
MODE, STATUS = "select.driveway_charger_charge_mode", "sensor.driveway_charger_status"
NEXT, PLANS = "sensor.driveway_charger_next_departure", "get_departures"
CALENDAR, PROGRAM = "calendar.peak_power_peak_events", {"kind": "manual", "name": "Peak power"}


@pytest.fixture
async def houses(
    hass: HomeAssistant, tmp_path: Path, eventually: Eventually, socket_enabled: None
) -> AsyncGenerator[Houses]:
    """Houses that are closed after the test, Home Assistant's side first."""
    async with AsyncExitStack() as stack:
        yield Houses(hass, tmp_path, eventually, stack)


async def do(home: Lived, entity: str, action: str, **data: Any) -> None:
    domain = entity.partition(".")[0]
    await home.hass.services.async_call(domain, action, {ATTR_ENTITY_ID: entity, **data}, blocking=True)


async def plans(home: Lived) -> list[dict[str, Any]]:
    """The departures that the edge keeps."""
    answer = await home.hass.services.async_call(
        DOMAIN, PLANS, {"device_id": home.device("charger-driveway")}, blocking=True, return_response=True
    )
    return cast("Any", answer)["departures"]  # type: ignore[no-any-return]


async def test_ready_by_is_a_plan_of_the_edge_beside_the_others(houses: Houses) -> None:
    home = await houses.open()
    charger = {"device_id": home.device("charger-driveway")}
    bus = {"plan": "school bus", "weekdays": ["mon", "fri"], "time": "06:40", "target": 85}
    await home.hass.services.async_call(DOMAIN, "set_departure", charger | bus, blocking=True)
    await home.eventually(lambda: shown(home.hass, NEXT) != "unknown")
    assert home.shows(SWITCH, TIME, TARGET) == ("off", "07:00:00", "80.0")

    await do(home, TIME, "set_value", time="05:30:00")
    assert [plan["plan"] for plan in await plans(home)] == ["school bus"]
    await do(home, SWITCH, "turn_on")
    await home.sees(SWITCH, "on")
    kept = {plan["plan"]: (plan["time"], plan["target"], len(plan["weekdays"])) for plan in await plans(home)}
    assert kept == {"school bus": ("06:40", 85.0, 2), "ready_by": ("05:30", 80.0, 7)}

    await do(home, TARGET, "set_value", value=90)
    await do(home, TIME, "set_value", time="23:10:00")
    await home.eventually(lambda: home.shows(SWITCH, TIME, TARGET) == ("on", "23:10:00", "90.0"))
    await do(home, SWITCH, "turn_off")
    await home.sees(SWITCH, "off")
    assert [plan["plan"] for plan in await plans(home)] == ["school bus"]
    assert home.shows(TIME, TARGET) == ("23:10:00", "90.0")
    await do(home, SWITCH, "turn_on")
    await home.sees(SWITCH, "on")
    assert (await plans(home))[1] == {
        "plan": "ready_by",
        "at": None,
        "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "time": "23:10",
        "target": 90.0,
        "miles": None,
        "skipped_until": None,
    }


async def test_the_charge_mode_orders_for_a_time_and_goes_back(houses: Houses) -> None:
    home = await houses.open()
    await do(home, MODE, "select_option", option="charge_now")
    await home.sees(MODE, "charge_now")
    await home.sees(STATUS, "charging")
    ends = datetime.fromisoformat(shown(home.hass, "sensor.driveway_charger_your_order_ends"))
    assert timedelta(hours=11) < ends - dt_util.utcnow() <= timedelta(hours=12)
    await do(home, MODE, "select_option", option="pause")
    await home.sees(MODE, "pause")
    await home.sees(STATUS, "idle")
    await do(home, MODE, "select_option", option="automatic")
    await home.sees(MODE, "automatic")
    order = {"device_id": home.device("charger-driveway"), "duration": {"minutes": 30}, "power": 3}
    await home.hass.services.async_call(DOMAIN, "discharge", order, blocking=True)
    await home.sees(MODE, "discharge")
    await home.sees(STATUS, "discharging")
    await do(home, MODE, "select_option", option="automatic")
    await home.sees(STATUS, "idle")


async def test_a_limit_of_power_holds_and_is_lifted_at_the_end_of_its_slider(houses: Houses) -> None:
    home = await houses.open()
    limit, power = "number.driveway_charger_maximum_charging_power", "sensor.driveway_charger_power"
    assert shown(home.hass, limit) == "25.0"
    await do(home, limit, "set_value", value=2.5)
    await home.sees(limit, "2.5")
    await do(home, MODE, "select_option", option="charge_now")
    await home.eventually(lambda: shown(home.hass, power) == "-2.5")
    await do(home, limit, "set_value", value=25)
    await home.sees(limit, "25.0")
    await home.eventually(lambda: float(shown(home.hass, power)) < -5)


async def test_what_the_edge_tells_of_itself_and_of_its_charger_is_shown(
    houses: Houses, everything_enabled: None
) -> None:
    home = await houses.open()
    assert home.shows("sensor.home_outages", "binary_sensor.home_problem") == ("0", "off")
    assert home.shows("update.home_controller_software", "binary_sensor.home_export_permitted") == ("off", "on")
    assert float(shown(home.hass, "sensor.home_storage_free")) > 0
    assert home.shows("sensor.driveway_charger_discharging_blocked_by") == ("none",)
    assert 230 < float(shown(home.hass, "sensor.driveway_charger_voltage")) < 250
    assert 59 < float(shown(home.hass, "sensor.driveway_charger_frequency")) < 61
    await home.act(acts.unplug)
    await home.sees("sensor.driveway_charger_discharging_blocked_by", "no_vehicle")


async def test_an_event_stands_in_the_calendar_until_it_is_called_off(houses: Houses) -> None:
    home = await houses.open()
    await home.edge.command("set_program", id="peak", program=PROGRAM)
    await home.eventually(lambda: home.hass.states.get(CALENDAR) is not None)
    start = dt_util.now().replace(microsecond=0) + timedelta(hours=5)
    given = {"device_id": home.device("program-peak"), "name": "Heat wave", "power": 4}
    times = {"start": start, "end": start + timedelta(hours=2)}
    entered = await home.hass.services.async_call(
        DOMAIN, "enter_event", given | times, blocking=True, return_response=True
    )
    summary = "Heat wave, 4.0 kW from the house"
    await home.eventually(lambda: attributes(home.hass, CALENDAR, "message") == {"message": summary})
    span = {"start_date_time": start.isoformat(), "duration": {"hours": 1}}
    answer = await home.hass.services.async_call(
        "calendar", "get_events", {ATTR_ENTITY_ID: CALENDAR, **span}, blocking=True, return_response=True
    )
    (entry,) = cast("Any", answer)[CALENDAR]["events"]
    assert (entry["summary"], entry["start"]) == (summary, dt_util.as_local(start).isoformat())
    uid = cast("Any", entered)["event"]
    assert entry["description"].endswith(f"Event: {uid}")

    await do(home, "button.peak_power_opt_out_of_next_event", "press")
    await home.eventually(lambda: "You left it out." in attributes(home.hass, CALENDAR, "description")["description"])
    taken_back = {"device_id": home.device("program-peak"), "uid": uid}
    await home.hass.services.async_call(DOMAIN, "cancel_event", taken_back, blocking=True)
    await home.eventually(lambda: attributes(home.hass, CALENDAR, "message") == {})
